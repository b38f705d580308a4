"""Light in places: colours of lamps and skies, and how a face is lit in each kind of place.

A colour of light has luminance 1 unless it is multiplied; a key light of about 2 exposes a face well (`film`). Azimuth
is 0 in front of the face and positive towards the right of the picture; beyond 90 degrees the light comes from behind.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.facekit import Number
from vasa_core.world.people import Color, Light, Panel

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
WAVELENGTHS = np.array([610e-9, 550e-9, 465e-9])  # metres: where the three primaries peak
DAYLIGHT = 6500  # kelvin: what a camera shows as white


def planck(wavelength: Array, kelvin: Number) -> Array:
    """Relative radiance of a black body."""
    return wavelength**-5.0 / np.expm1(0.014388 / (wavelength * kelvin))


def lamp_color(kelvin: Number) -> Array:
    """Linear RGB of a lamp of this colour temperature, luminance 1; 6500 K is white, less is redder."""
    color = planck(WAVELENGTHS, kelvin) / planck(WAVELENGTHS, DAYLIGHT)
    return color / (color @ LUMINANCE)


def vivid(hue: Number, saturation: Number) -> Array:
    """Linear RGB of a coloured lamp, luminance 1 unless that would need a primary above 4; hue in turns from red."""
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    color = 1 + (wheel - 1) * saturation
    return color / max(color @ LUMINANCE, color.max() / 4)


def triple(color: Array) -> Color:
    """The colour as a hashable value."""
    red, green, blue = (float(c) for c in color)
    return red, green, blue


def panel(azimuth: Number, elevation: Number, size: Number, color: Array) -> Panel:
    """A panel from plain numbers, its azimuth brought into -180..180."""
    return Panel(azimuth=(azimuth + 180) % 360 - 180, elevation=elevation, size=size, color=triple(color))


def strength(light: Panel) -> float:
    """Luminance that a panel sends."""
    return float(np.array(light.color) @ LUMINANCE)


def on_face(light: Light) -> Array:
    """Linear RGB that a face turned to the camera receives: panels by the cosine of their angle, and half the glow."""
    facing = [max(p.direction()[2], 0.15 if abs(p.azimuth) < 110 else 0.0) for p in (light.key, light.fill, light.rim)]
    panels = sum(f * np.array(p.color) for f, p in zip(facing, (light.key, light.fill, light.rim), strict=True))
    return panels + (np.array(light.above) + np.array(light.below)) * 1.0


def bright_side(light: Light) -> float:
    """Where most light on the face comes from: -1 left of the picture, +1 right."""
    pull = weight = 0.0
    for lamp in (light.key, light.fill):
        direction = lamp.direction()
        pull += strength(lamp) * direction[0]
        weight += strength(lamp)
    return float(pull / max(weight, 1e-6))


# ---- how faces are lit -----------------------------------------------------------------------------------------------
def soft_key(rng: Generator, side: Number, color: Array, ratio: Number) -> tuple[Panel, Panel]:
    """A large key light on one side and a fill on the other, `ratio` times weaker."""
    key = panel(side * rng.uniform(15, 55), rng.uniform(12, 42), rng.uniform(16, 30), color)
    fill = panel(-side * rng.uniform(25, 60), rng.uniform(0, 18), rng.uniform(28, 38), color / ratio)
    return key, fill


def hard_key(rng: Generator, side: Number, color: Array, ratio: Number) -> tuple[Panel, Panel]:
    """A small key light (sun, spotlight) and a broad fill."""
    key = panel(side * rng.uniform(20, 70), rng.uniform(20, 58), rng.uniform(1.5, 5), color)
    fill = panel(-side * rng.uniform(20, 60), rng.uniform(5, 35), rng.uniform(34, 44), color / ratio)
    return key, fill


def rim(rng: Generator, side: Number, color: Array, size: Number = 12) -> Panel:
    """A light from behind on one side."""
    return panel(side * rng.uniform(125, 160), rng.uniform(12, 45), size, color)
