"""From linear shots to photographs: light under the skin, backdrop, bloom, white balance, film curve.

Pictures are float32 [height, width, 3]; linear until `film`, then display values in 0..1.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray as Array

from vasa_core.world.backdrops import Backdrop, backdrop, blurred
from vasa_core.world.facekit import Number
from vasa_core.world.people import Color
from vasa_core.world.renderer import Shot

# How far light wanders under skin: share and standard deviation in cm of Gaussians, per colour (after d'Eon and Luebke
# 2007, GPU Gems 3, chapter 14: red reaches furthest).
SCATTER = {
    0: ((0.35, 0.03), (0.35, 0.11), (0.30, 0.20)),
    1: ((0.55, 0.025), (0.35, 0.08), (0.10, 0.16)),
    2: ((0.65, 0.02), (0.30, 0.06), (0.05, 0.12)),
}
PRINT = 0.30  # how much steeper than the film curve a print is about its middle


def under_skin(shot: Shot) -> Array:
    """Light that has diffused under the skin, times the skin's colour."""
    coverage = shot.light[..., 3]
    out = np.empty((*shot.light.shape[:2], 3), np.float32)
    for channel, lobes in SCATTER.items():
        light = 0.0
        for share, cm in lobes:
            sigma = cm * shot.px_per_cm
            light = light + share * blurred(shot.light[..., channel], sigma) / np.maximum(
                blurred(coverage, sigma), 1e-3
            )
        out[..., channel] = light
    return out * shot.albedo[..., :3]


def film(linear: Array, exposure: Number = 1.0) -> Array:
    """Display values of linear light: a filmic curve (Hable 2010) that lets the brightest colours pale a little."""
    x = np.maximum(linear, 0) * exposure * 1.55
    peak = x.max(-1, keepdims=True)
    x = x + (peak - x) * np.clip((peak - 1.5) / 12, 0, 0.5)

    def curve(v):
        return (v * (0.22 * v + 0.03) + 0.002) / (v * (0.22 * v + 0.30) + 0.06) - 0.002 / 0.06

    shown = np.clip(curve(x) / curve(np.float32(6.0)), 0, 1) ** (1 / 2.2)
    shown = shown + PRINT * (shown * shown * (3 - 2 * shown) - shown)
    grey = shown @ np.array([0.30, 0.59, 0.11], np.float32)
    return np.clip(grey[..., None] + (shown - grey[..., None]) * 1.08, 0, 1)


def composed(person: Array, alpha: Array, behind: Array) -> Array:
    """Linear radiance of a person in front of a backdrop, with the glow that a lens adds around bright things."""
    scene = person + behind * (1 - alpha)
    scale = len(person) / 1024
    glow = 0.6 * blurred(scene, 6 * scale) + 0.4 * blurred(scene, 24 * scale)
    return scene * 0.93 + glow * 0.07


def solid(shot: Shot) -> Array:
    """How much of each pixel the person fills, [size, size, 1]."""
    return np.clip(shot.other[..., 3:], 0, 1)


def develop(shot: Shot, cloth: Backdrop, exposure: Number = 1.0, balance: Color = (1.0, 1.0, 1.0)) -> Array:
    """The finished photograph; `balance` are the gains of red, green and blue."""
    scene = composed(under_skin(shot) + shot.other[..., :3], solid(shot), backdrop(len(shot.light), cloth))
    return film(scene * np.array(balance, np.float32), exposure)


def to_bytes(picture: Array) -> Array:
    """uint8 of display values."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
