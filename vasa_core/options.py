"""What people type, in a command line or in a table of clips, read as numbers: degrees, turns, moods, weights."""

from __future__ import annotations

from math import radians

from vasa_core.errors import BadOption

USUAL_INTENSITY = 0.8


def degrees(text: str, option: str) -> tuple[float, float]:
    """Yaw and pitch as typed, in degrees."""
    try:
        yaw, pitch = (float(part) for part in text.split(","))
    except ValueError:
        raise BadOption(f"{option} takes two numbers of degrees, as in {option} 10,-5; not '{text}'.") from None
    return yaw, pitch


def direction(text: str, option: str) -> tuple[float, float]:
    """Yaw and pitch typed in degrees, in rad."""
    yaw, pitch = degrees(text, option)
    return radians(yaw), radians(pitch)


def turn(text: str, option: str) -> tuple[float, float, float]:
    """Yaw, pitch and roll typed in degrees, in rad."""
    try:
        yaw, pitch, roll = (radians(float(part)) for part in text.split(","))
    except ValueError:
        raise BadOption(f"{option} takes three numbers of degrees, as in {option} 10,-5,0; not '{text}'.") from None
    return yaw, pitch, roll


def emotion(text: str, option: str) -> tuple[str, float]:
    """A mood and its intensity; `happy` alone is as happy as usual."""
    name, _, intensity = text.partition(":")
    try:
        return name, float(intensity or USUAL_INTENSITY)
    except ValueError:
        raise BadOption(f"{option} takes a name, or a name and a number as in happy:0.5; not '{text}'.") from None


def weights(text: str, option: str) -> dict[str, float]:
    """Named weights: `jawOpen=0.3,mouthSmile=0.5`."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise BadOption(f"{option} takes weights, as in jawOpen=0.3,mouthSmile=0.5; not '{text}'.") from None
