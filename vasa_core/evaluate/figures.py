"""Figures of motion as pure functions: estimates with uncertainty, silence, phone classes, gaze, variety, distance.

What `world.measures` already measures (head, lips, lids, eyes, as real people on video were measured) is taken from
there; here is what compares one motion with another, or with what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.latents import POSE, Motion
from vasa_core.world.measures import CLOSED, Clip, Track, distance, lid_ratio, lip_opening
from vasa_core.world.utterances import Phone

DRAWS = 1000
"""Of the bootstrap."""

REAL_OPENING = {"bilabial": 0.03, "labiodental": 0.06, "rounded": 0.17, "alveolar": 0.45, "sibilant": 0.47,
                "spread": 0.54, "velar": 0.63, "open": 0.72}  # fmt: skip
"""Median lip opening of real people at each class of phones, over the clip's 95th percentile (46 clips, MediaPipe)."""

LONGEST_REST_S = 0.5
"""Pauses from here on are long enough for a mouth to close and stay closed."""

AFTER_S, BEFORE_S = 0.28, 0.36
"""Of a pause: the mouth still closes, and it opens 80 to 300 ms before the voice as real ones do."""


CLOSING, NEAR_S = frozenset(("SIL", "P", "B", "M", "F", "V", "W")), 0.1
"""Within so many seconds of these lips may close."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure and the interval that holds 95 of 100 bootstrap draws over clips."""

    value: float
    low: float
    high: float


def estimated(
    clips: Sequence[float] | Sequence[Sequence[float]],
    figure: Callable[[Float[ndarray, "clip number"]], float] | None = None,
) -> Estimate:
    """The figure over all clips, and over clips drawn with replacement; by default the mean of one number a clip."""
    numbers = np.asarray(clips, float).reshape(len(clips), -1)
    figure = figure or (lambda rows: float(np.nanmean(rows)))
    rng = np.random.default_rng(0)
    draws = [figure(numbers[rng.integers(0, len(numbers), len(numbers))]) for _ in range(DRAWS)]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(value=figure(numbers), low=float(low), high=float(high))


def estimated_together(
    clips: Sequence[Clip], figures: Callable[[Sequence[Clip]], dict[str, float]], names: Sequence[str], draws: int = 80
) -> dict[str, Estimate]:
    """Several figures that need all clips together, each with its interval over clips."""
    rng = np.random.default_rng(0)
    everything = figures(clips)
    drawn = [figures([clips[at] for at in rng.integers(0, len(clips), len(clips))]) for _ in range(draws)]
    found = {}
    for name in names:
        low, high = np.nanpercentile([draw.get(name, np.nan) for draw in drawn], [2.5, 97.5])
        found[name] = Estimate(value=everything.get(name, float("nan")), low=float(low), high=float(high))
    return found


def ratio_of_means(rows: Float[ndarray, "clip 2"]) -> float:
    """Mean of the first column over the mean of the second."""
    return float(np.nanmean(rows[:, 0]) / np.nanmean(rows[:, 1]))


def share(rows: Float[ndarray, "clip 2"]) -> float:
    """Sum of the first column (hits) over the sum of the second (tries)."""
    return float(rows[:, 0].sum() / max(rows[:, 1].sum(), 1e-9))


def closed_over_chance(rows: Float[ndarray, "clip 3"]) -> float:
    """Share of closures (hits, tries) over the mean of the third column, the share at any time."""
    return share(rows[:, :2]) / max(float(np.nanmean(rows[:, 2])), 1e-3)


# --------------------------------------------------------------------------- lips


def resting(phones: Sequence[Phone], frames: int) -> Bool[ndarray, " frame"]:
    """Frames inside long pauses, away from the speech around them; before the first word only the end is cut."""
    mask = np.zeros(frames, bool)
    time = (np.arange(frames) + 0.5) / FRAME_RATE_HZ
    for phone in phones:
        if phone.label == "SIL" and phone.end_s - phone.start_s >= LONGEST_REST_S:
            first = phone.start_s + (AFTER_S if phone.start_s > 0 else 0)
            last = phone.end_s - (BEFORE_S if phone.end_s < time[-1] else 0)
            mask |= (time > first) & (time < last)
    return mask


def closed_at_rest(track: Track, phones: Sequence[Phone], wide: float) -> tuple[int, int]:
    """(frames with lips closed, frames) in pauses; closed is under 15 % of `wide`, the opening at loud vowels."""
    rest = resting(phones, len(track.turns_deg))
    return int((lip_opening(track)[rest] < CLOSED * wide).sum()), int(rest.sum())


def quiver(track: Track, phones: Sequence[Phone], wide: float) -> float:
    """Mean change of the opening from frame to frame in pauses, over `wide`."""
    rest = resting(phones, len(track.turns_deg))
    steps = np.abs(np.diff(lip_opening(track)))[rest[1:] & rest[:-1]]
    return float(steps.mean() / wide) if len(steps) else float("nan")


def closures(clip: Clip) -> tuple[int, int]:
    """(P, B and M whose lips close, all of them): within 60 ms the opening is once under 15 % of the clip's p95."""
    least = [token.least for token in clip.tokens if token.kind == "bilabial"]
    return sum(opening < CLOSED for opening in least), len(least)


def needless_closures(track: Track, phones: Sequence[Phone]) -> tuple[int, float]:
    """(times that lips close where nothing asks for it, seconds in which nothing does): no pause, no P, B, M, F, V or
    W within 0.1 s; closed as in `closures`."""
    opening = lip_opening(track)
    times = (np.arange(len(opening)) + 0.5) / FRAME_RATE_HZ
    free = np.zeros(len(opening), bool)
    for phone in phones:
        free |= (times >= phone.start_s) & (times < phone.end_s)
    for phone in phones:
        if phone.label in CLOSING:
            free &= (times < phone.start_s - NEAR_S) | (times >= phone.end_s + NEAR_S)
    shut = free & (opening < CLOSED * np.percentile(opening, 95))
    return int(shut[0]) + int((shut[1:] & ~shut[:-1]).sum()), float(free.sum() / FRAME_RATE_HZ)


def class_openings(clips: Sequence[Clip]) -> dict[str, float]:
    """Median lip opening of each phone class."""
    return {
        kind: float(np.median([t.opening for clip in clips for t in clip.tokens if t.kind == kind] or [np.nan]))
        for kind in REAL_OPENING
    }


def phone_order(clips: Sequence[Clip]) -> dict[str, float]:
    """Rank correlation (Spearman) of the class openings with those of real people: 1 is the same order."""
    openings = class_openings(clips)
    known = [kind for kind in REAL_OPENING if np.isfinite(openings[kind])]
    ours, real = (np.argsort(np.argsort([side[kind] for kind in known])) for side in (openings, REAL_OPENING))
    return {"phone_order": float(np.corrcoef(ours, real)[0, 1])}


# --------------------------------------------------------------------------- gaze, distance


def main_gaze(gaze: Float[ndarray, "frame 2"], reach_rad: float = 0.09) -> Float[ndarray, " 2"]:
    """Where the eyes mainly look: the densest place within 5 degrees (the paper clusters per-frame estimates)."""
    near = np.linalg.norm(gaze[:, None] - gaze[None], axis=-1) < reach_rad
    return gaze[near[near.sum(1).argmax()]].mean(0)


def world_gaze(motion: Motion) -> Float[ndarray, "frame 2"]:
    """Yaw and pitch of eye in head and head together, frame by frame (rad)."""
    return (motion.facial_dynamics[:, -2:] + motion.head_pose[:, [1, 0]]).double().numpy()


def angle_deg(one: Float[ndarray, " 2"], other: Float[ndarray, " 2"]) -> float:
    """Angle between two directions given as yaw and pitch (rad)."""
    a, b = (
        np.array([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        for yaw, pitch in (one, other)
    )
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


# --------------------------------------------------------------------------- variety, distance, joins


def apart(one: Track, other: Track) -> tuple[float, float]:
    """How differently the same sound was performed: root mean square of head turns (degrees), of lips (eye spans)."""
    frames = min(len(one.turns_deg), len(other.turns_deg))
    turns = one.turns_deg[:frames] - other.turns_deg[:frames]
    lips = lip_opening(one)[:frames] - lip_opening(other)[:frames]
    return float(np.sqrt((turns**2).sum(1).mean())), float(np.sqrt((lips**2).mean()))


def states(track: Track) -> Float[ndarray, "frame number=18"]:
    """What moves, as nine curves and their change a frame: turns, opening, width, brows, lids, gaze."""
    brows = track.landmarks[:, [105, 334], 1].mean(1)
    curves = np.c_[
        track.turns_deg, lip_opening(track), distance(track, 61, 291), brows, lid_ratio(track), track.gaze_deg
    ]
    return np.c_[curves, np.diff(curves, axis=0, prepend=curves[:1])]


PARTS = {"motion": range(9), "head": range(3), "lips": range(3, 5), "eyes": range(5, 9)}
"""Which of the curves of `states` each Fréchet distance is about; eyes with lids and brows."""


def part_of(moving: Float[ndarray, "frame 18"], part: str) -> Float[ndarray, "frame number"]:
    """The curves of one of `PARTS`, and their change a frame."""
    return moving[:, [*PARTS[part], *(9 + column for column in PARTS[part])]]


def frechet(one: Float[ndarray, "sample number"], other: Float[ndarray, "sample number"]) -> float:
    """Distance of two normal distributions fitted to the samples (Dowson and Landau 1982), in spreads of `other`."""
    centre, spread = other.mean(0), other.std(0) + 1e-9
    one, other = (one - centre) / spread, (other - centre) / spread
    first, second = np.cov(one.T), np.cov(other.T)
    # the trace of a matrix root is the sum of the roots of its eigenvalues
    roots = np.sqrt(np.maximum(np.real(np.linalg.eigvals(first @ second)), 0)).sum()
    means = ((one.mean(0) - other.mean(0)) ** 2).sum()
    return float(means + np.trace(first) + np.trace(second) - 2 * roots)


def join_speed(motion: Motion, hop: int) -> float:
    """Speed of all that moves where two windows meet over its speed elsewhere: 1 is a seam nobody sees."""
    packed = motion.packed().double().numpy()
    step = np.abs(np.diff(packed[:, :POSE], axis=0)).sum(1)
    seams = np.arange(len(step)) % hop == hop - 1
    return float(step[seams].mean() / step[~seams].mean()) if seams.any() else float("nan")
