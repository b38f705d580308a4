"""From linear shots to finished pictures: light under the skin, backdrop, bloom, film curve; painting and cartoon.

Pictures are float32 [height, width, 3]; linear until `film`, then display values in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy import ndarray as Array

from vasa_core.world.renderer import Shot

# How far light wanders under skin: share and standard deviation in cm of Gaussians, per colour (after d'Eon and Luebke
# 2007, GPU Gems 3, chapter 14: red reaches furthest).
SCATTER = {0: ((.35, .03), (.35, .11), (.30, .28)), 1: ((.55, .025), (.35, .08), (.10, .16)), 2: ((.65, .02), (.30, .06), (.05, .12))}


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """A painted cloth, lighter behind the sitter: two linear colours and how mottled it is."""

    center: tuple[float, float, float]
    edge: tuple[float, float, float]
    mottle: float = .25
    spot: tuple[float, float] = (.5, .42)  # where it is lightest, in picture widths
    seed: int = 0


def blurred(picture: Array, sigma: float) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > .25 else picture


def under_skin(shot: Shot) -> Array:
    """Light that has diffused under the skin, times the skin's colour."""
    coverage = shot.light[..., 3]
    out = np.empty(shot.light.shape[:2] + (3,), np.float32)
    for channel, lobes in SCATTER.items():
        light = 0.
        for share, cm in lobes:
            sigma = cm * shot.px_per_cm
            light = light + share * blurred(shot.light[..., channel], sigma) / np.maximum(blurred(coverage, sigma), 1e-3)
        out[..., channel] = light
    return out * shot.albedo[..., :3]


def backdrop(size: int, cloth: Backdrop) -> Array:
    """The cloth as a linear picture."""
    rng = np.random.default_rng(cloth.seed)
    y, x = np.mgrid[0:size, 0:size] / size
    fall = np.exp(-(((x - cloth.spot[0]) / .52)**2 + ((y - cloth.spot[1]) / .58)**2))[..., None]
    picture = np.array(cloth.center) * fall + np.array(cloth.edge) * (1 - fall)
    clouds = sum(cv2.resize(rng.normal(size=(n, n)), (size, size), interpolation=cv2.INTER_CUBIC) / n**.5 for n in (4, 7, 13))
    return (picture * np.exp(cloth.mottle * clouds[..., None] * .55)).astype(np.float32)


def film(linear: Array, exposure: float = 1.) -> Array:
    """Display values of linear light: a filmic curve (Hable 2010) that lets the brightest colours pale a little."""
    x = np.maximum(linear, 0) * exposure * 1.55
    peak = x.max(-1, keepdims=True)
    x = x + (peak - x) * np.clip((peak - 1.5) / 12, 0, .5)

    def curve(v):
        return (v * (.22 * v + .03) + .002) / (v * (.22 * v + .30) + .06) - .002 / .06

    shown = np.clip(curve(x) / curve(np.float32(6.0)), 0, 1) ** (1 / 2.2)
    grey = shown @ np.array([.30, .59, .11], np.float32)
    return np.clip(grey[..., None] + (shown - grey[..., None]) * 1.08, 0, 1)


def develop(shot: Shot, cloth: Backdrop, exposure: float = 1.) -> Array:
    """The finished photograph."""
    person = under_skin(shot) + shot.other[..., :3]
    alpha = np.clip(shot.other[..., 3:], 0, 1)
    scene = person + backdrop(len(person), cloth) * (1 - alpha)
    scale = len(person) / 1024
    glow = .6 * blurred(scene, 6 * scale) + .4 * blurred(scene, 24 * scale)
    return film(scene * .93 + glow * .07, exposure)


def to_bytes(picture: Array) -> Array:
    """uint8 of display values."""
    return (np.clip(picture, 0, 1) * 255 + .5).astype(np.uint8)
