"""The forward process, checked against its own definition."""

from __future__ import annotations

import pytest
import torch

from vasa_core.diffusion import cosine, noise_within, noised, straight


@pytest.mark.parametrize("schedule", [cosine, straight])
def test_time_zero_is_clean_and_time_one_is_pure_noise(schedule) -> None:
    clean, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    assert torch.allclose(noised(clean, noise, torch.zeros(2), schedule), clean)
    assert torch.allclose(noised(clean, noise, torch.ones(2), schedule), noise, atol=1e-6)


def test_cosine_keeps_the_variance() -> None:
    alpha, sigma = cosine(torch.linspace(0, 1, 11))
    assert torch.allclose(alpha**2 + sigma**2, torch.ones(11))


@pytest.mark.parametrize("schedule", [cosine, straight])
def test_the_noise_put_in_is_the_noise_found(schedule) -> None:
    clean, noise = torch.randn(5, 7), torch.randn(5, 7)
    time = torch.tensor([0.1, 0.3, 0.5, 0.7, 1.0])
    found = noise_within(noised(clean, noise, time, schedule), clean, time, schedule)
    assert torch.allclose(found, noise, atol=1e-5)
