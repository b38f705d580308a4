"""Sampling with denoisers whose answers are known: a Gaussian has an exact one in one line."""

from __future__ import annotations

import pytest
import torch

from vasa_core.diffusion import cosine, straight
from vasa_core.sampler import ddim_step, guided, held, sample

MEAN, STD = 3.0, 0.5


def gaussian_denoiser(schedule):
    """E[x_0 | x_t] for x_0 ~ N(3, 1/2): the exact denoiser."""

    def denoise(noisy, time):
        alpha, sigma = (part[:, None] for part in schedule(time))
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (noisy - alpha * MEAN)

    return denoise


@pytest.mark.parametrize("schedule", [cosine, straight])
def test_an_exact_denoiser_gives_back_its_distribution(schedule) -> None:
    noise = torch.randn(5_000, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample(gaussian_denoiser(schedule), noise, 200, schedule)
    assert drawn.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert drawn.std().item() == pytest.approx(STD, abs=0.03)


def test_with_one_known_answer_every_step_count_arrives_there() -> None:
    answer = torch.tensor([[1.0, -2.0]])
    for steps in (1, 2, 10):
        assert torch.allclose(sample(lambda x, t: answer, torch.randn(1, 2), steps), answer, atol=1e-6)


def test_on_the_straight_schedule_a_step_is_eulers_on_the_flow() -> None:
    denoiser, noisy = gaussian_denoiser(straight), torch.randn(6, 1)
    now, then = torch.full((6,), 0.8), torch.full((6,), 0.7)
    velocity = (noisy - denoiser(noisy, now)) / 0.8  # dx/dt of x_t = (1 - t) x_0 + t noise
    assert torch.allclose(ddim_step(denoiser, noisy, now, then, straight), noisy - 0.1 * velocity, atol=1e-5)


class Toy:
    """H(C) = 10, without audio 4, without gaze 7; counts its calls and batch sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, noisy, time, without):
        self.sizes.append(len(noisy))
        answer = {None: 10.0, "audio": 4.0, "gaze": 7.0}
        return torch.cat([torch.full((len(noisy) // len(without), 2), answer[name]) for name in without])


def test_guidance_is_the_papers_equation_2_in_one_batch() -> None:
    toy = Toy()
    clean = guided(toy, {"audio": 0.5, "gaze": 1.0})(torch.zeros(3, 2), torch.ones(3))
    assert torch.allclose(clean, torch.full((3, 2), (1 + 0.5 + 1.0) * 10 - 0.5 * 4 - 1.0 * 7))
    assert toy.sizes == [9]


def test_guidance_0_is_the_plain_denoiser() -> None:
    toy = Toy()
    clean = guided(toy, {"audio": 0.0, "gaze": 0.0})(torch.zeros(3, 2), torch.ones(3))
    assert torch.equal(clean, torch.full((3, 2), 10.0))
    assert toy.sizes == [3]


def test_held_frames_arrive_where_they_are_wanted_and_others_are_free() -> None:
    wanted, weight = torch.tensor([[5.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    drawn = sample(held(lambda x, t: torch.tensor([[1.0, 2.0]]), wanted, weight), torch.randn(1, 2), 10)
    assert torch.allclose(drawn, torch.tensor([[5.0, 2.0]]), atol=1e-6)
