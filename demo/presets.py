"""Wishes that change over time, ready to pick: each turns one `Controls` and a clip's length into a curve.

A preset moves away from what the sliders ask for and comes back, so it goes with any setting of them. Everything stays
within the limits of `Controls`, whatever the sliders say. Angles in rad, times in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from vasa_core.controls import DISTANCE_LIMIT, GAZE_LIMIT_RAD, ControlCurve, Controls

CurveMaker = Callable[[Controls, float], ControlCurve]
"""(what the sliders ask for, length in seconds) -> the wishes at each time."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One curve to pick: its name, one line that says what will be seen, and how it is made."""

    title: str
    promise: str
    make: CurveMaker


def look_away(controls: Controls, seconds: float) -> ControlCurve:
    """To the side and a little down from a third of the clip, and back by two thirds."""

    def wishes(at: float) -> Controls:
        away = _bump(at / seconds, 0.28, 0.66)
        yaw, pitch = controls.gaze
        side = -1 if yaw > 0 else 1
        return replace(controls, gaze=_gaze(yaw + away * side * math.radians(24), pitch + away * math.radians(7)))

    return wishes


def approach(controls: Controls, seconds: float) -> ControlCurve:
    """From a fifth farther away to a fifth nearer, steadily."""

    def wishes(at: float) -> Controls:
        near = _ease(at / seconds)
        return replace(controls, head_distance=_held(controls.head_distance + 0.2 - 0.38 * near, *DISTANCE_LIMIT))

    return wishes


def mood_swing(controls: Controls, seconds: float) -> ControlCurve:
    """The mood of the sliders at first; by the end its opposite, as strong as it was."""
    opposite = OPPOSITES[controls.emotion]

    def wishes(at: float) -> Controls:
        part = at / seconds
        if part < 0.5:
            return replace(controls, emotion_intensity=controls.emotion_intensity * (1 - _ease((part - 0.3) / 0.2)))
        return replace(
            controls, emotion=opposite, emotion_intensity=controls.emotion_intensity * _ease((part - 0.5) / 0.2)
        )

    return wishes


def wake_up(controls: Controls, seconds: float) -> ControlCurve:
    """Still at first, then livelier and livelier up to what the slider says."""
    return lambda at: replace(controls, energy=controls.energy * (0.1 + 0.9 * _ease(at / (0.7 * seconds))))


OPPOSITES = {
    "neutral": "happy",
    "happy": "sad",
    "sad": "happy",
    "angry": "happy",
    "surprised": "contempt",
    "afraid": "happy",
    "disgusted": "happy",
    "contempt": "happy",
}

PRESETS: dict[str, Preset] = {
    "look_away": Preset(
        "Look away and back", "The eyes leave the listener for a while, and the head follows.", look_away
    ),
    "approach": Preset("Come closer", "The head starts farther away and ends nearer.", approach),
    "mood_swing": Preset("Change of mood", "The mood turns into its opposite half-way.", mood_swing),
    "wake_up": Preset("Wake up", "From standing still to as lively as the slider says.", wake_up),
}

CURVES: dict[str, CurveMaker] = {name: preset.make for name, preset in PRESETS.items()}


def _ease(part: float) -> float:
    """0 up to 0, 1 from 1 on, without a jerk between."""
    part = min(max(part, 0.0), 1.0)
    return part * part * (3 - 2 * part)


def _bump(part: float, start: float, end: float) -> float:
    """0, then 1 between start and end, then 0 again, with soft flanks a tenth of the clip long."""
    return _ease((part - start) / 0.1) - _ease((part - end) / 0.1)


def _held(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _gaze(yaw: float, pitch: float) -> tuple[float, float]:
    (most_yaw, most_pitch) = GAZE_LIMIT_RAD
    return _held(yaw, -most_yaw, most_yaw), _held(pitch, -most_pitch, most_pitch)
