"""What may be asked of the studio, as plain values: checked, kept with the job, sent to the worker as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from demo.limits import Limits
from vasa_core import assets
from vasa_core.controls import Controls
from vasa_core.errors import BadOption

Wishes = Mapping[str, Any]
"""Fields of `Controls`; angles in degrees and one by one: gaze_yaw, gaze_pitch, pose_yaw, pose_pitch, pose_roll."""

ANGLES = {"gaze": ("gaze_yaw", "gaze_pitch"), "pose": ("pose_yaw", "pose_pitch", "pose_roll")}
WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
SIZES = (128, 1024)
FRAME_RATES = (10, 60)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRequest:
    """A clip: whose face, which sound (a voice of ours, an upload, or a text to be spoken), in which manner."""

    portrait: str
    voice: str | None = None
    upload: str | None = None
    text: str | None = None
    language: str | None = None
    controls: Wishes = field(default_factory=dict)
    curve: str | None = None
    seed: int = 0
    fps: int = 25
    size: int = 512
    full_picture: bool = False
    title: str = ""

    def check(self, limits: Limits) -> None:
        """Refuses what is out of bounds."""
        sounds = [sound for sound in (self.voice, self.upload, self.text) if sound]
        if len(sounds) != 1:
            raise BadOption("Choose one voice: one of ours, a recording, or a sentence to be spoken.")
        if self.text and len(self.text) > limits.text_letters:
            raise BadOption(f"The sentence has more than {limits.text_letters} letters; shorten it.")
        if self.voice and self.voice not in {path.stem for path in assets.voices()}:
            raise BadOption("There is no such voice.")
        _check_words(portrait=self.portrait, upload=self.upload, language=self.language, curve=self.curve)
        _check_number("seed", self.seed, 0, 2**31 - 1)
        _check_number("frame rate", self.fps, *FRAME_RATES)
        _check_number("size", self.size, SIZES[0], min(SIZES[1], limits.size_px))
        _check_steps(controls_from(self.controls), limits)
        if not isinstance(self.title, str) or len(self.title) > 120:
            raise BadOption("The title has more than 120 letters; shorten it.")


@dataclass(frozen=True, kw_only=True, slots=True)
class StillRequest:
    """One picture of a portrait, turned, looking and making a face as asked; angles in degrees."""

    portrait: str
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    gaze_yaw: float = 0.0
    gaze_pitch: float = 0.0
    expression: Mapping[str, float] = field(default_factory=dict)
    size: int = 512

    def check(self, limits: Limits) -> None:
        """Refuses what is out of bounds; the engine checks angles and names again."""
        _check_words(portrait=self.portrait)
        _check_number("size", self.size, SIZES[0], min(SIZES[1], limits.size_px))
        for name in ("yaw", "pitch", "roll", "gaze_yaw", "gaze_pitch"):
            _check_number(name, getattr(self, name), -90, 90)
        if not isinstance(self.expression, dict) or len(self.expression) > 100:
            raise BadOption("An expression is a name and a weight for each of its parts.")
        for name, weight in self.expression.items():
            _check_words(expression=name)
            _check_number("expression", weight, -1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveRequest:
    """A live session: whose face moves while a voice comes in."""

    portrait: str
    controls: Wishes = field(default_factory=dict)
    seed: int = 0
    size: int = 512
    fps: int = 25
    language: str | None = None

    def check(self, limits: Limits) -> None:
        """Refuses what is out of bounds."""
        _check_words(portrait=self.portrait, language=self.language)
        _check_number("seed", self.seed, 0, 2**31 - 1)
        _check_number("frame rate", self.fps, *FRAME_RATES)
        _check_number("size", self.size, SIZES[0], min(SIZES[1], limits.size_px))
        _check_steps(controls_from(self.controls), limits)


Request = ClipRequest | StillRequest | LiveRequest


def controls_from(wishes: Wishes) -> Controls:
    """The engine's controls, in radians; BadOption names what is unknown or out of range."""
    if not isinstance(wishes, Mapping):
        raise BadOption("The controls are a name and a value each.")
    left = {name: value for name, value in wishes.items() if value is not None}
    fields: dict[str, Any] = {}
    for name, parts in ANGLES.items():
        if any(part in left for part in parts):
            degrees = [left.pop(part, 0.0) for part in parts]
            for part, value in zip(parts, degrees, strict=True):
                _check_number(part, value, -90, 90)
            fields[name] = tuple(math.radians(value) for value in degrees)
    known = set(Controls.__dataclass_fields__) - set(ANGLES)
    if unknown := sorted(map(str, left.keys() - known)):
        raise BadOption(f"There is no control '{unknown[0][:40]}'; there are {', '.join(sorted(known))}.")
    for name, value in left.items():
        if name != "emotion":
            _check_number(name.replace("_", " "), value, -1e6, 1e6)
        elif not isinstance(value, str) or not WORD.fullmatch(value):
            raise BadOption("The emotion is one word.")
    if "listening" in left:
        _check_number("listening", left["listening"], 0, 1)
        fields["listening"] = bool(left.pop("listening"))
    numbers = {name: int(v) if name == "steps" else float(v) for name, v in left.items() if name != "emotion"}
    return Controls(**fields, **left | numbers)


def as_json(request: Request) -> dict[str, Any]:
    """The request as it is kept and sent."""
    return asdict(request)


def _check_steps(controls: Controls, limits: Limits) -> None:
    _check_number("steps", controls.steps, 1, limits.steps)


def _check_number(name: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise BadOption(f"The {name} must be a number between {low:g} and {high:g}.")


def _check_words(**words: object) -> None:
    """Names and ids are words: nothing that could be a path, a mark-up or a command."""
    for name, word in words.items():
        if word is not None and (not isinstance(word, str) or not WORD.fullmatch(word)):
            raise BadOption(f"There is no such {name}.")
