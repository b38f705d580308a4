"""Eyes that live: fixations and saccades that hold the world still while the head turns, and blinks.

Angles rad and signs as in `latents`. Intervals, amplitudes and durations follow real talkers; `report` compares them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.world.curves import CURVE_RATE_HZ, STEP, Style, minimum_jerk, pulse


def fixations(steps: int, style: Style, rng: np.random.Generator) -> Float[ndarray, "step 2"]:
    """Where the eyes rest beside their main direction (yaw, pitch): near it, now and then away from it."""
    target, step, away = np.zeros((steps, 2)), 0, False
    while step < steps:
        length = int(np.clip(rng.lognormal(-0.25 if not away else -0.75, 0.65), 0.16, 4.0) * FRAME_RATE_HZ) * STEP
        offset = rng.normal(0, (1.8, 0.8))  # from eye to eye to mouth of whom they look at
        if away:
            reach = style.aversion * min(rng.lognormal(1.72, 0.45), 16.0)
            angle = rng.uniform(0, 2 * np.pi)
            offset = reach * np.array([np.cos(angle), 0.45 * np.sin(angle)])
        target[step : step + length] = np.deg2rad(offset)
        step += max(length, STEP)
        away = (not away and rng.random() < 0.55) or (away and rng.random() < 0.25)
    return target


def head_share(target: Float[ndarray, "step 2"], time: Float[ndarray, " step"]) -> Float[ndarray, "step 2"]:
    """What the head (pitch, yaw) adds to a gaze shift: a third of it, begun with the eyes but slower."""
    share = np.zeros_like(target)
    moved = np.flatnonzero(np.abs(np.diff(target, axis=0)).max(axis=1) > np.deg2rad(3))
    for step in moved:
        move = minimum_jerk(time, time[step + 1] - 0.02, 0.40)
        share += move[:, None] * np.array([0.15, 0.22]) * (target[step + 1] - target[step])[::-1]
    return share


def gaze_curves(head: Float[ndarray, "step 2"], world: Float[ndarray, "step 2"]) -> Float[ndarray, "step 2"]:
    """Eye-in-head gaze (yaw, pitch): what is looked at in the world, minus the turn of the head (pitch, yaw)."""
    eye = world - 0.70 * head[:, ::-1]  # the vestibulo-ocular reflex holds the world still
    return np.stack([0.55 * np.tanh(eye[:, 0] / 0.55), 0.40 * np.tanh(eye[:, 1] / 0.40)], axis=1)


def blink_times(
    gaze: Float[ndarray, "step 2"], voiced: Float[ndarray, " step"], style: Style, rng: np.random.Generator
) -> list[float]:
    """Log-normal intervals, drawn towards large gaze shifts and the ends of phrases."""
    shift = np.abs(np.diff(gaze, axis=0)).max(axis=1)
    lures = np.flatnonzero(shift > np.deg2rad(6)) / CURVE_RATE_HZ
    ends = np.flatnonzero((voiced[1:] < 0.5) & (voiced[:-1] >= 0.5)) / CURVE_RATE_HZ
    lures = np.concatenate([lures - 0.03, ends + 0.05])
    moments, moment = [], rng.uniform(0.3, 3.0)
    while moment < len(gaze) / CURVE_RATE_HZ - 0.3:
        near = lures[np.abs(lures - moment) < 0.35]
        moments.append(float(near[0]) if len(near) and rng.random() < 0.6 else float(moment))
        moment = max(moment, moments[-1]) + max(0.4, rng.lognormal(style.blink_mu, 0.80))
    return moments


def blink_curve(
    gaze: Float[ndarray, "step 2"], voiced: Float[ndarray, " step"], style: Style, rng: np.random.Generator
) -> Float[ndarray, " step"]:
    """How far blinking shuts the lids, 0..1: close in 75 ms, hold, open more slowly; three in ten are partial."""
    steps = len(gaze)
    time = (np.arange(steps) + 0.5) / CURVE_RATE_HZ
    lids = np.zeros(steps)
    for moment in blink_times(gaze, voiced, style, rng):
        depth = rng.uniform(0.26, 0.48) if rng.random() < 0.30 else 1.0
        bump = pulse(time, moment, rng.uniform(0.065, 0.085), rng.uniform(0.035, 0.05), rng.uniform(0.12, 0.19))
        lids = np.maximum(lids, depth * bump)
    return lids
