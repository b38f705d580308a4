"""Sampling and guidance over any denoiser: a callable (noisy, time) -> clean.

DDIM (Song 2021) walks from noise to data by asking for the clean motion and noising it again, a little less. With the
`straight` schedule the same step is Euler's on the flow, so one function serves both. Guidance is the paper's Eq. 2;
its lambda is 0 when off (the field's "scale" is 1 + lambda), and its passes run as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.diffusion import Schedule, cosine, noise_within, noised

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(noisy [batch ...], time [batch]) -> clean [batch ...]."""


ConditionalDenoiser = Callable[[Tensor, Tensor, tuple[str | None, ...]], Tensor]
"""A denoiser that also answers with conditions taken away: (noisy, time, without), all answers in one batch.

`noisy` holds len(without) equal parts along the batch; part i is answered without condition without[i] (None: all).
"""


def time_grid(steps: int) -> Float[Tensor, " steps_and_end"]:
    """Times from 1 to 0 in equal steps, both ends included."""
    return torch.linspace(1, 0, steps + 1)


def sample(
    denoiser: Denoiser, noise: Float[Tensor, batch * rest], steps: int, schedule: Schedule = cosine
) -> Float[Tensor, batch * rest]:
    """The sample this noise leads to in so many deterministic DDIM steps."""
    noisy = noise
    grid = time_grid(steps).to(noise)
    for now, then in pairwise(grid):
        noisy = ddim_step(denoiser, noisy, now.expand(len(noise)), then.expand(len(noise)), schedule)
    return noisy


def ddim_step(
    denoiser: Denoiser,
    noisy: Float[Tensor, batch * rest],
    now: Float[Tensor, " batch"],
    then: Float[Tensor, " batch"],
    schedule: Schedule = cosine,
) -> Float[Tensor, batch * rest]:
    """From time `now` to the earlier `then`: the predicted clean sample with the same noise, less of it."""
    clean = denoiser(noisy, now)
    return noised(clean, noise_within(noisy, clean, now, schedule), then, schedule)


def guided(denoiser: ConditionalDenoiser, guidance: Mapping[str, float | int]) -> Denoiser:
    """The denoiser pushed away from what it says without each condition (Eq. 2).

    (1 + sum_c lambda_c) H(C) - sum_c lambda_c H(C without c); a lambda of 0 costs nothing.
    """
    active = {name: scale for name, scale in guidance.items() if scale != 0}
    without = (None, *active)
    weight = torch.tensor([1 + sum(active.values()), *(-scale for scale in active.values())])

    def denoise(noisy: Tensor, time: Tensor) -> Tensor:
        passes = len(without)
        answers = denoiser(torch.cat([noisy] * passes), time.repeat(passes), without)
        answers = answers.unflatten(0, (passes, len(noisy)))
        return torch.einsum("p,p...->...", weight.to(answers), answers)

    return denoise


def held(denoiser: Denoiser, wanted: Tensor, weight: Tensor) -> Denoiser:
    """The denoiser with its answer drawn to `wanted` (weight 1: replaced, 0: untouched); the rest follows suit."""
    return lambda noisy, time: torch.lerp(denoiser(noisy, time), wanted, weight)
