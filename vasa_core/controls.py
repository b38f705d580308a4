"""What a user may ask of the motion: where to look, how near, in what mood, how lively; impossible wishes are refused.

Defaults are the paper's (section 4) for gaze, distance, emotion and both lambdas; steps were measured.
Where one `Controls` is accepted, a function from seconds to `Controls` makes every wish a curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from vasa_core.errors import BadOption

EMOTIONS = ("neutral", "happy", "sad", "angry", "surprised", "afraid", "disgusted", "contempt")

Number = float | int

GAZE_LIMIT_RAD = (math.radians(35), math.radians(25))
"""Yaw, pitch: beyond this the eyes and the head together would leave what a portrait can show."""

POSE_LIMIT_RAD = (math.radians(30), math.radians(20), math.radians(30))
"""Yaw, pitch, roll that may be added to the head's own movement."""

DISTANCE_LIMIT = (0.7, 1.6)
"""Of the portrait's own distance: nearer fills the picture, farther loses the face."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Controls:
    """Wishes for the generated motion; angles in rad with the signs of `latents`."""

    gaze: tuple[Number, Number] = (0.0, 0.0)
    """Main direction (yaw, pitch) of the eyes in the world; the head takes its share."""
    head_distance: Number = 1.0
    """Ratio to the portrait's distance: 1.2 is a fifth farther."""
    emotion: str = "neutral"
    emotion_intensity: Number = 0.8
    guidance_audio: Number = 0.5
    """lambda_A: how strictly lips and head follow the voice; at 1 the mouth opens a third too wide."""
    guidance_gaze: Number = 1.0
    """lambda_g: how closely the eyes keep to an aim other than straight ahead; above 0 it costs part of a pass more."""
    steps: int = 10
    """Denoising steps per window (paper: 50)."""
    energy: Number = 1.0
    """Size of head movements relative to what was learned; 0 holds the head still."""
    pose: tuple[Number, Number, Number] = (0.0, 0.0, 0.0)
    """Yaw, pitch, roll added to the head's own movement; the eyes keep their aim as far as they can turn."""
    blink_rate: Number = 1.0
    """Blinks relative to what was learned, about 20 a minute; 0 keeps the eyes open."""
    listening: bool = False
    """Whether the voice is somebody else's: the lips stay closed, the head nods at the ends of phrases."""

    def __post_init__(self) -> None:
        _within("gaze yaw in degrees", math.degrees(self.gaze[0]), *_symmetric_degrees(GAZE_LIMIT_RAD[0]))
        _within("gaze pitch in degrees", math.degrees(self.gaze[1]), *_symmetric_degrees(GAZE_LIMIT_RAD[1]))
        _within("head distance", self.head_distance, *DISTANCE_LIMIT)
        _within("emotion intensity", self.emotion_intensity, 0, 1)
        _within("audio guidance", self.guidance_audio, 0, 5)
        _within("gaze guidance", self.guidance_gaze, 0, 5)
        _within("steps", self.steps, 1, 1000)
        _within("energy", self.energy, 0, 2)
        for name, angle, limit in zip(("yaw", "pitch", "roll"), self.pose, POSE_LIMIT_RAD, strict=True):
            _within(f"pose {name} in degrees", math.degrees(angle), *_symmetric_degrees(limit))
        _within("blink rate", self.blink_rate, 0, 3)
        if self.emotion not in EMOTIONS:
            raise BadOption(f"There is no emotion {self.emotion!r}: choose one of {', '.join(EMOTIONS)}.")

    def emotion_vector(self) -> tuple[Number, ...]:
        """One number per emotion: its intensity for the one asked for, 0 elsewhere; neutral is all zeros."""
        return tuple(self.emotion_intensity * (name == self.emotion and name != "neutral") for name in EMOTIONS)


ControlCurve = Callable[[float], Controls]
"""Controls at a time in seconds."""


def constant(controls: Controls | ControlCurve) -> ControlCurve:
    """A curve in any case: one `Controls` becomes the same wish at all times."""
    return controls if callable(controls) else lambda _: controls


def _symmetric_degrees(limit_rad: float) -> tuple[float, float]:
    return -math.degrees(limit_rad), math.degrees(limit_rad)


def _within(name: str, value: Number, low: Number, high: Number) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise BadOption(f"The {name} must lie between {low:g} and {high:g}, not {value:g}.")
