"""From linear shots to finished pictures: light under the skin, backdrop, bloom, film curve; painting and cartoon.

Pictures are float32 [height, width, 3]; linear until `film`, then display values in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy import ndarray as Array

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

TONES = 8  # steps of lightness in a cartoon
INK = (0.10, 0.06, 0.06)
CLOUDS = (4, 7, 13)  # patches along a side of the backdrop, by size


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """A painted cloth, lighter behind the sitter: two linear colours and how mottled it is."""

    center: Color
    edge: Color
    mottle: Number = 0.25
    spot: tuple[Number, Number] = (0.5, 0.42)  # where it is lightest, in picture widths
    seed: int = 0


def blurred(picture: Array, sigma: Number) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.25 else picture


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


def backdrop(size: int, cloth: Backdrop) -> Array:
    """The cloth as a linear picture."""
    rng = np.random.default_rng(cloth.seed)
    y, x = np.mgrid[0:size, 0:size] / size
    fall = np.exp(-(((x - cloth.spot[0]) / 0.52) ** 2 + ((y - cloth.spot[1]) / 0.58) ** 2))[..., None]
    picture = np.array(cloth.center) * fall + np.array(cloth.edge) * (1 - fall)
    coarse = [cv2.resize(rng.normal(size=(n, n)), (size, size), interpolation=cv2.INTER_LINEAR) for n in CLOUDS]
    clouds = np.sum([blurred(layer, size / n / 3) / n**0.5 for n, layer in zip(CLOUDS, coarse, strict=True)], axis=0)
    return (picture * np.exp(cloth.mottle * clouds[..., None] * 0.55)).astype(np.float32)


def film(linear: Array, exposure: Number = 1.0) -> Array:
    """Display values of linear light: a filmic curve (Hable 2010) that lets the brightest colours pale a little."""
    x = np.maximum(linear, 0) * exposure * 1.55
    peak = x.max(-1, keepdims=True)
    x = x + (peak - x) * np.clip((peak - 1.5) / 12, 0, 0.5)

    def curve(v):
        return (v * (0.22 * v + 0.03) + 0.002) / (v * (0.22 * v + 0.30) + 0.06) - 0.002 / 0.06

    shown = np.clip(curve(x) / curve(np.float32(6.0)), 0, 1) ** (1 / 2.2)
    grey = shown @ np.array([0.30, 0.59, 0.11], np.float32)
    return np.clip(grey[..., None] + (shown - grey[..., None]) * 1.08, 0, 1)


def develop(shot: Shot, cloth: Backdrop, exposure: Number = 1.0) -> Array:
    """The finished photograph."""
    person = under_skin(shot) + shot.other[..., :3]
    alpha = np.clip(shot.other[..., 3:], 0, 1)
    scene = person + backdrop(len(person), cloth) * (1 - alpha)
    scale = len(person) / 1024
    glow = 0.6 * blurred(scene, 6 * scale) + 0.4 * blurred(scene, 24 * scale)
    return film(scene * 0.93 + glow * 0.07, exposure)


def to_bytes(picture: Array) -> Array:
    """uint8 of display values."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


# ---- other finishes --------------------------------------------------------------------------------------------------
def structure(grey: Array, sigma: Number) -> tuple[Array, Array]:
    """Direction along edges (radians) and how strongly directed the picture is (0..1), from its structure tensor."""
    dx, dy = cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)
    xx, yy, xy = (blurred(product, sigma) for product in (dx * dx, dy * dy, dx * dy))
    spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    return 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2, spread / np.maximum(xx + yy, 1e-6)


def line_smeared(picture: Array, angle: Array, length: int, step: Number = 1.0) -> Array:
    """The mean along the local direction, `length` steps each way: strokes (Cabral, Leedom 1993)."""
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    cos, sin, total = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32), picture.copy()
    for sign in (-1, 1):
        px, py, lx, ly = x, y, sign * cos, sign * sin
        for _ in range(length):
            px, py = px + step * lx, py + step * ly
            nx, ny = cv2.remap(cos, px, py, cv2.INTER_LINEAR), cv2.remap(sin, px, py, cv2.INTER_LINEAR)
            flip = np.where(nx * lx + ny * ly < 0, -1, 1).astype(np.float32)
            lx, ly = nx * flip, ny * flip
            total = total + cv2.remap(picture, px, py, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return total / (2 * length + 1)


def kuwahara(picture: Array, radius: Number) -> Array:
    """Each pixel takes the mean of the calmest of eight surrounding sectors: flat dabs with crisp borders."""
    total, weights = np.zeros_like(picture), np.zeros((*picture.shape[:2], 1), np.float32)
    for k in range(8):
        a = 2 * np.pi * k / 8
        shift = np.array([[1, 0, radius * np.cos(a)], [0, 1, radius * np.sin(a)]], np.float32)
        mean, square = blurred(picture, radius / 2), blurred(picture**2, radius / 2)
        mean, square = (cv2.warpAffine(m, shift, m.shape[1::-1], borderMode=cv2.BORDER_REFLECT) for m in (mean, square))
        deviation = np.sqrt(np.maximum(square - mean**2, 0).sum(-1, keepdims=True))
        weight = 1 / (1 + (60 * deviation) ** 4)
        total, weights = total + mean * weight, weights + weight
    return total / weights


def canvas_weave(size: int, rng: np.random.Generator) -> Array:
    """The relief of linen: threads across and along, unevenly spun; about -1..1."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    uneven = [blurred(rng.normal(size=(size, size)).astype(np.float32), 9) * 26 for _ in range(2)]
    weave = np.cos(2 * np.pi * (x / 4.3 + 0.12 * uneven[0])) * np.cos(2 * np.pi * (y / 4.3 + 0.12 * uneven[1]))
    return 0.6 * weave + 0.4 * blurred(rng.normal(size=(size, size)).astype(np.float32), 1.2) * 2.5


def painting(picture: Array, detail: Array, seed: int = 0) -> Array:
    """An oil painting: dabs, strokes that follow the form, bristle relief lit from the upper left, linen.

    `detail` [height, width] in 0..1 is 1 where the brush was fine (eyes, mouth).
    """
    rng, size = np.random.default_rng(seed), len(picture)
    unit = size / 1024
    _, directed = structure(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 4 * unit)
    detail = np.maximum(detail, 0.55 * directed**2)  # a finer brush for hair
    broad, fine = kuwahara(picture, 5.5 * unit), 0.35 * kuwahara(picture, 1.6 * unit) + 0.65 * picture
    flat = (broad + (fine - broad) * detail[..., None]).astype(np.float32)
    angle, _ = structure(cv2.cvtColor(blurred(flat, 2 * unit), cv2.COLOR_RGB2GRAY), 5 * unit)
    strokes = line_smeared(flat, angle, int(6 * unit) + 1)
    strokes += (flat - strokes) * detail[..., None]
    bristle = line_smeared(rng.normal(size=(size, size)).astype(np.float32), angle, int(13 * unit))
    dabs = line_smeared(blurred(rng.normal(size=(size, size, 3)).astype(np.float32), 3.5 * unit), angle, int(9 * unit))
    bristle, dabs = bristle / bristle.std(), dabs / dabs.std()
    thin = 1 - 0.8 * detail  # paint is thick where the brush was broad
    height = blurred(bristle, 0.7) * thin + 0.30 * canvas_weave(size, rng)
    lit = cv2.Sobel(height, cv2.CV_32F, 1, 0) + cv2.Sobel(height, cv2.CV_32F, 0, 1)
    broken = 0.016 * dabs.mean(-1, keepdims=True) + 0.009 * dabs  # neighbouring strokes differ in tone and hue
    return np.clip(
        strokes * (1 + (broken + 0.010 * bristle[..., None]) * thin[..., None]) + 0.0042 * lit[..., None], 0, 1
    )


def cartoon(picture: Array, detail: Array) -> Array:
    """Flat tones with soft steps, and ink lines; `detail` [height, width] is 1 where the eyes stay as they are."""
    unit = len(picture) / 1024
    eyes = np.clip(2 * detail - 1, 0, 1)[..., None]
    broad, fine = kuwahara(picture, 5 * unit), kuwahara(picture, 1.5 * unit)
    flat = (broad + (fine - broad) * eyes).astype(np.float32)
    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB)
    tone = lab[..., 0] / 100 * TONES
    stepped = (np.floor(tone) + np.clip((tone % 1 - 0.5) * 3.5 + 0.5, 0, 1)) / TONES * 100
    lab[..., 0] += (stepped - lab[..., 0]) * 0.75 * (1 - eyes[..., 0])
    lab[..., 1:] *= 1.25
    colors = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    ink = 0.85 * ink_lines(kuwahara(picture, 2.5 * unit))[..., None] * (1 - 0.5 * eyes)
    return colors * (1 - ink) + np.array(INK) * ink


def ink_lines(picture: Array) -> Array:
    """Where a draughtsman would draw, 0..1: dark sides of edges, by a difference of Gaussians (Winnemoeller 2012)."""
    scale = len(picture) / 1024
    grey = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    narrow, wide = blurred(grey, 1.6 * scale), blurred(grey, 3.2 * scale)
    return np.clip((wide - narrow - 0.012) * 22, 0, 1)
