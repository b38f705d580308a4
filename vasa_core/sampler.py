"""Sampling and guidance over any denoiser: a callable (noisy, time) -> clean.

DDIM (Song 2021) walks from noise to data by asking for the clean motion and noising it again, a little less. With the
`straight` schedule the same step is Euler's on the flow, so one function serves both. DPM-Solver++ (Lu 2022, second
order, multistep) remembers the answer before and so needs fewer steps; DEIS (Zhang and Chen 2023) does so to the very
ends of the walk. Guidance is the paper's Eq. 2; its lambda is 0 when off (the field's "scale" is 1 + lambda), and its
passes run as one batch.
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


def time_grid(steps: int, late: float = 1.0) -> Float[Tensor, " steps_and_end"]:
    """Times from 1 to 0, both ends included: in equal steps, or with `late` above 1 smaller ones towards the end.

    What moves little beside its own spread (a brow at speech, in units that also hold surprise) is drowned in noise
    until the end: equal steps leave it to the last of them and give the mean of all it could have been.
    """
    return torch.linspace(1, 0, steps + 1) ** late


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


def sample_multistep(
    denoiser: Denoiser,
    noise: Float[Tensor, batch * rest],
    steps: int,
    schedule: Schedule = cosine,
    late: float = 1.0,
) -> Float[Tensor, batch * rest]:
    """The sample this noise leads to by DPM-Solver++(2M) (Lu 2022, Algorithm 2): one answer a step, second order.

    Each step leads towards what the last two answers say together, extrapolated in the logarithm of the
    signal-to-noise ratio; the first and the last step are DDIM's.
    """
    noisy, before, reach_before = noise, None, None
    grid = time_grid(steps, late).to(noise)
    for now, then in pairwise(grid):
        clean = denoiser(noisy, now.expand(len(noise)))
        reach = _log_ratio(then, schedule) - _log_ratio(now, schedule)
        ahead = clean
        if before is not None and reach_before is not None and torch.isfinite(reach):
            ahead = clean + reach / (2 * reach_before) * (clean - before)
        noise_left = noise_within(noisy, ahead, now.expand(len(noise)), schedule)
        noisy = noised(ahead, noise_left, then.expand(len(noise)), schedule)
        before, reach_before = clean, reach
    return noisy


def sample_deis(
    denoiser: Denoiser, noise: Float[Tensor, batch * rest], steps: int, schedule: Schedule = cosine
) -> Float[Tensor, batch * rest]:
    """The sample this noise leads to by DEIS (Zhang and Chen 2023, their tAB-2, for the clean sample): second order.

    Between two answers the clean sample is taken to go on changing evenly in time, and the step is exact for that. In
    the logarithm of the signal-to-noise ratio, as DPM-Solver++ reckons, the first step and the last are infinitely
    long: its first two and its last are first order, and in ten steps motion loses a tenth of its speed to them.
    """
    noisy, before = noise, None
    grid = time_grid(steps)
    for last, now, then in zip([None, *grid], grid, grid[1:], strict=False):
        clean = denoiser(noisy, now.to(noise).expand(len(noise)))
        ahead = clean
        if before is not None and last is not None:
            share = mean_way(now, then, schedule) / (last - now)
            ahead = clean + share.to(noise) * (clean - before)
        noise_left = noise_within(noisy, ahead, now.to(noise).expand(len(noise)), schedule)
        noisy, before = noised(ahead, noise_left, then.to(noise).expand(len(noise)), schedule), clean
    return noisy


def mean_way(now: Float[Tensor, ""], then: Float[Tensor, ""], schedule: Schedule) -> Float[Tensor, ""]:
    """How far into this step, in time, its clean sample counts on the whole: weighed by how signal over noise grows."""
    moments = torch.lerp(now.double(), then.double(), torch.linspace(0, 1, 65, dtype=torch.float64))
    alpha, sigma = schedule(moments)
    if sigma[-1] <= 0:
        return now - then  # no noise is left: all that counts is the end
    grown = (alpha / sigma).diff()
    return ((now - (moments[1:] + moments[:-1]) / 2) * grown).sum() / grown.sum()


def _log_ratio(time: Float[Tensor, ""], schedule: Schedule) -> Float[Tensor, ""]:
    """Half the logarithm of the signal-to-noise ratio; infinite at both ends."""
    alpha, sigma = schedule(time)
    return alpha.clamp(min=0).log() - sigma.clamp(min=0).log()


def guided(
    denoiser: ConditionalDenoiser,
    guidance: Mapping[str, float | int | Tensor],
    until: Mapping[str, float] | None = None,
) -> Denoiser:
    """The denoiser pushed away from what it says without each condition (Eq. 2).

    (1 + sum_c lambda_c) H(C) - sum_c lambda_c H(C without c); a lambda of 0 costs nothing, and one that is a tensor
    pushes each channel by its own. A condition named in `until` pushes from that time on only (Kynkaanniemi 2024):
    where all is noise the answer without it is the mean of everything, and the push away from there overshoots.
    """
    wanted = {name: torch.as_tensor(scale) for name, scale in guidance.items() if torch.as_tensor(scale).any()}
    begins = dict(until or {})

    def denoise(noisy: Tensor, time: Tensor) -> Tensor:
        now = float(time.max())
        active = {name: scale for name, scale in wanted.items() if now <= begins.get(name, 1.0)}
        without = (None, *active)
        passes = len(without)
        answers = denoiser(torch.cat([noisy] * passes), time.repeat(passes), without)
        full, *lacking = answers.unflatten(0, (passes, len(noisy)))
        pushes = (scale.to(full) * (full - less) for scale, less in zip(active.values(), lacking, strict=True))
        return sum(pushes, full)

    return denoise


def held(denoiser: Denoiser, wanted: Tensor, weight: Tensor) -> Denoiser:
    """The denoiser with its answer drawn to `wanted` (weight 1: replaced, 0: untouched); the rest follows suit."""
    return lambda noisy, time: torch.lerp(denoiser(noisy, time), wanted, weight)


def settled(denoiser: Denoiser, directions: Float[Tensor, "channel some"], share: float) -> Denoiser:
    """The denoiser of one walk whose answers keep this share of the first one along these directions of length 1.

    The first answer knows no noise yet: it is the mean of all that could be. Where the conditions leave open which of
    two things is meant a walk decides, wrongly as often as not; so far it stays between them.
    """
    first: Tensor | None = None

    def denoise(noisy: Tensor, time: Tensor) -> Tensor:
        nonlocal first
        clean = denoiser(noisy, time)
        first = clean if first is None else first
        return clean + share * (first - clean) @ directions @ directions.T

    return denoise
