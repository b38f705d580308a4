"""Noise schedules and the forward process: how a clean motion drowns in noise, as plain functions of time.

Time runs from 0 (clean) to 1 (pure noise). A schedule gives alpha and sigma of x_t = alpha x_0 + sigma noise.
Nothing here knows a network; nothing that knows a network chooses a schedule by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Schedule = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Time in [0, 1] to (alpha, sigma): how much signal and how much noise is left."""


def cosine(time: Float[Tensor, "*time"]) -> tuple[Float[Tensor, "*time"], Float[Tensor, "*time"]]:
    """Variance preserving: alpha = cos(pi t / 2), sigma = sin(pi t / 2) (Nichol and Dhariwal 2021, without offset)."""
    angle = time * (math.pi / 2)
    return torch.cos(angle), torch.sin(angle)


def straight(time: Float[Tensor, "*time"]) -> tuple[Float[Tensor, "*time"], Float[Tensor, "*time"]]:
    """Flow matching's straight line: alpha = 1 - t, sigma = t (Lipman 2023); one DDIM step is then one Euler step."""
    return 1 - time, time


def spread(per_sample: Float[Tensor, " batch"], like: Float[Tensor, batch * rest]) -> Float[Tensor, batch * ones]:
    """One number per sample, shaped so that it multiplies everything that sample holds."""
    return per_sample.reshape(-1, *[1] * (like.ndim - 1))


def noised(
    clean: Float[Tensor, batch * rest],
    noise: Float[Tensor, batch * rest],
    time: Float[Tensor, " batch"],
    schedule: Schedule = cosine,
) -> Float[Tensor, batch * rest]:
    """The forward process: x_t = alpha x_0 + sigma noise."""
    alpha, sigma = schedule(time)
    return spread(alpha, clean) * clean + spread(sigma, clean) * noise


def noise_within(
    noisy: Float[Tensor, batch * rest],
    clean: Float[Tensor, batch * rest],
    time: Float[Tensor, " batch"],
    schedule: Schedule = cosine,
) -> Float[Tensor, batch * rest]:
    """The noise that `noised` must have added to come from `clean` to `noisy`; time must be above 0."""
    alpha, sigma = schedule(time)
    return (noisy - spread(alpha, clean) * clean) / spread(sigma, clean)
