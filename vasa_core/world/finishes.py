"""Other finishes than the photograph: oil, watercolour, pencil, charcoal, ink and flat cel, made from the same shot.

Pictures are float32 display values [height, width, 3] in 0..1. `detail` [height, width] is 1 where the hand was fine
(eyes, mouth). Brush sizes are given at 1024 px and scale with the picture, times `brush`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy import ndarray as Array

from vasa_core.world.backdrops import blurred, clouds
from vasa_core.world.darkroom import composed, film, solid
from vasa_core.world.facekit import Number, smoothstep
from vasa_core.world.renderer import Shot

TONES = 8  # steps of lightness in a cartoon
INK = (0.10, 0.06, 0.06)
EYE_CONTRAST = 0.4  # how much stronger a cel draws what tells eyes and mouth from their surroundings


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
    means, squares = blurred(picture, radius / 2), blurred(picture**2, radius / 2)
    for k in range(8):
        a = 2 * np.pi * k / 8
        shift = np.array([[1, 0, radius * np.cos(a)], [0, 1, radius * np.sin(a)]], np.float32)
        mean, square = (
            cv2.warpAffine(m, shift, m.shape[1::-1], borderMode=cv2.BORDER_REFLECT) for m in (means, squares)
        )
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


def painting(picture: Array, detail: Array, seed: int = 0, brush: Number = 1.0) -> Array:
    """An oil painting: dabs, strokes that follow the form, bristle relief lit from the upper left, linen."""
    rng, size = np.random.default_rng(seed), len(picture)
    unit = brush * size / 1024
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


def cartoon(picture: Array, detail: Array, seed: int = 0, brush: Number = 1.0) -> Array:
    """Flat tones with soft steps, and ink lines; the eyes stay as they are."""
    unit = brush * len(picture) / 1024
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


def paper(size: int, rng: np.random.Generator) -> Array:
    """The relief of rough paper, about -1..1."""
    grain = blurred(rng.normal(size=(size, size)).astype(np.float32), 0.8) * 2
    return np.clip(0.6 * grain + 0.4 * clouds(rng, size, max(size // 10, 4), 2), -2, 2)


def lightness(picture: Array) -> Array:
    return cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)


def watercolour(picture: Array, detail: Array, seed: int = 0, brush: Number = 1.0) -> Array:
    """Thin washes that pool at their borders, on rough paper that is left white in the lights and at the margins."""
    rng, size = np.random.default_rng(seed), len(picture)
    unit = brush * size / 1024
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    bleed = (4 * unit * (1 - 0.85 * detail)).astype(np.float32)
    shifted = cv2.remap(
        picture.astype(np.float32),
        x + bleed * clouds(rng, size, 22, 3),
        y + bleed * clouds(rng, size, 22, 3),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    broad, fine = kuwahara(shifted, 9 * unit), kuwahara(shifted, 2 * unit)
    wash = broad + (fine - broad) * np.maximum(detail, 0.25)[..., None]
    grey = lightness(wash)
    border = blurred(np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)), 1.2 * unit)
    border = border * (1 - 0.9 * np.clip(1.6 * detail, 0, 1))
    density = -np.log(np.clip(wash, 0.03, 0.985)) * (0.86 - 0.25 * smoothstep(0.55, 0.9, grey))[..., None]
    density = density * (1 + 0.16 * clouds(rng, size, 6) + 0.10 * paper(size, rng))[..., None]
    density = density * (1 + np.clip(2.2 * border / max(unit, 0.25) ** 0.5, 0, 0.9))[..., None]
    margin = np.maximum(np.abs(x / size - 0.5), np.abs(y / size - 0.5)) + 0.03 * clouds(rng, size, 7)
    painted = np.maximum(smoothstep(0.5, 0.44, margin), 0.15)[..., None]
    return np.clip(np.array([0.985, 0.975, 0.95]) * np.exp(-density * painted), 0, 1).astype(np.float32)


def hatched(tone: Array, angle: Array, unit: Number, rng: np.random.Generator) -> Array:
    """How much pigment strokes along `angle` leave where the picture is this light: 0 none, 1 full."""
    noise = blurred(rng.normal(size=tone.shape).astype(np.float32), max(0.9 * unit, 0.45))
    strokes = line_smeared(noise, angle.astype(np.float32), max(int(14 * unit), 3))
    strokes = strokes / strokes.std()
    return np.clip(0.5 + 1.5 * ((1 - tone) * 3.2 - 1.55 + 0.6 * strokes) / 1.6, 0, 1)


def pencil(picture: Array, detail: Array, seed: int = 0, brush: Number = 1.0) -> Array:
    """Graphite, or coloured pencils for every other seed: hatching along the form, darker outlines, paper."""
    rng, size = np.random.default_rng(seed), len(picture)
    unit = brush * size / 1024
    calm = blurred(picture.astype(np.float32), 1.5 * unit)
    grey = lightness(calm)
    grey = np.clip((grey - np.percentile(grey, 2)) / max(np.ptp(np.percentile(grey, (2, 98))), 0.2), 0, 1)
    angle, directed = structure(blurred(grey, 2 * unit), 6 * unit)
    slant = np.float32(-0.8)
    angle = np.where(directed > 0.85, angle, slant)
    pigment = hatched(0.12 + 0.88 * grey**0.8, angle, unit, rng) * 0.75
    pigment = np.maximum(
        pigment, hatched(np.minimum(grey + 0.38, 1), np.full_like(angle, slant + 1.1), unit, rng) * 0.8
    )
    rubbed = float(
        np.clip(1.15 * (1 - size / 1024), 0, 0.85)
    )  # strokes are no finer than pixels: a small sketch is rubbed instead
    pigment += (0.95 * (1 - grey) ** 1.3 - pigment) * np.maximum(0.75 * detail, rubbed)
    pigment = np.maximum(pigment, (0.9 - 0.6 * rubbed) * ink_lines(calm) ** 0.8)
    pigment = np.clip(pigment * (1 + 0.25 * (1 - 0.7 * rubbed) * paper(size, rng)), 0, 1)[..., None]
    lead = np.full(3, 0.17) if seed % 2 else 0.75 * blurred(calm, 5 * unit)
    return (np.array([0.955, 0.945, 0.92]) * (1 - pigment) + lead * pigment).astype(np.float32)


def charcoal(picture: Array, detail: Array, seed: int = 0, brush: Number = 1.0) -> Array:
    """Broad smudged blacks on toned paper, lights in white chalk."""
    rng, size = np.random.default_rng(seed), len(picture)
    unit = brush * size / 1024
    grey = lightness(kuwahara(picture.astype(np.float32), 4 * unit))
    fine = lightness(picture)
    grey = grey + (fine - grey) * np.maximum(detail, 0.2)
    grey = np.clip((grey - np.percentile(grey, 2)) / max(np.ptp(np.percentile(grey, (2, 98))), 0.2), 0, 1)
    angle, _ = structure(blurred(grey, 3 * unit), 8 * unit)
    grain = 0.35 * paper(size, rng) * (1 - 0.6 * detail)
    black = np.clip(smoothstep(0.62, 0.05, grey + 0.22 * grain) * 0.9, 0, 1)
    black = np.maximum(black, 0.35 * hatched(grey + 0.1, angle, 2 * unit, rng) * (1 - detail))
    black = np.clip(np.maximum(black, 0.8 * ink_lines(blurred(picture.astype(np.float32), unit))), 0, 0.95)
    chalk = smoothstep(0.72, 1.0, grey - 0.15 * grain) * 0.75
    ground = np.array([(0.80, 0.74, 0.64), (0.66, 0.66, 0.67), (0.90, 0.88, 0.84)][seed % 3])
    out = ground * (1 + 0.02 * paper(size, rng))[..., None] * (1 - chalk[..., None]) + 0.97 * chalk[..., None]
    return np.clip(out * (1 - black[..., None]) + 0.06 * black[..., None], 0, 1).astype(np.float32)


def cel(shot: Shot, behind: Array, expose: Number, gains: Array, detail: Array, brush: Number = 1.0) -> Array:
    """Animation cels: skin in one colour and one shadow, everything else in few tones, clean outlines.

    Unlike the other finishes it is made from the light and the colour of the skin apart.
    """
    unit = brush * len(behind) / 1024
    covered = np.clip(shot.light[..., 3], 0, 1)
    level = blurred(shot.light[..., :3], 5 * unit) / np.maximum(blurred(covered, 5 * unit), 1e-3)[..., None]
    light = level.mean(-1)
    full = float(np.percentile(light[covered > 0.9], 80)) if (covered > 0.9).any() else 1.0
    shadow = smoothstep(0.50, 0.42, light / max(full, 1e-3))
    hue = level / np.maximum(light[..., None], 1e-3)
    tone = full * (1 - 0.50 * shadow)[..., None] * (0.5 + 0.5 * hue)
    colors = kuwahara(np.clip(shot.albedo[..., :3] / np.maximum(covered, 1e-3)[..., None], 0, 1), 4 * unit)
    eyes = np.clip(2 * detail - 1, 0, 1)[..., None]
    rest = shot.other[..., :3] * (1 - covered[..., None])
    person = colors * tone * covered[..., None] + rest
    plain = film(composed(person, solid(shot), behind) * gains, expose)
    flat = kuwahara(plain.astype(np.float32), 4 * unit)
    drawn = plain + EYE_CONTRAST * (plain - blurred(plain.astype(np.float32), 7 * unit))
    flat = stepped(flat + (np.clip(drawn, 0, 1) - flat) * eyes, 1 - covered * 0.8)
    line = np.maximum(ink_lines(flat), ink_lines(np.repeat(solid(shot), 3, -1)))[..., None]
    return (flat * (1 - line) + np.array(INK) * line).astype(np.float32)


def stepped(picture: Array, amount: Array, tones: int = 6) -> Array:
    """Lightness in soft steps, where `amount` [height, width] says; colours a little stronger."""
    lab = cv2.cvtColor(np.clip(picture, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
    tone = lab[..., 0] / 100 * tones
    steps = (np.floor(tone) + np.clip((tone % 1 - 0.5) * 4 + 0.5, 0, 1)) / tones * 100
    lab[..., 0] += (steps - lab[..., 0]) * amount
    lab[..., 1:] *= 1.18
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)


def attention(shot: Shot) -> Array:
    """Where a painter would use the fine brush: 1 at the eyes and mouth, less over the face."""
    size, marks = len(shot.light), shot.landmarks
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    width = max(float(np.linalg.norm(marks[45] - marks[36])), 1.0)  # between the outer corners of the eyes
    detail = 0.45 * np.exp(-(((x - marks[30, 0]) / (0.9 * width)) ** 2 + ((y - marks[30, 1]) / (1.1 * width)) ** 2))
    for ids, reach in ((range(36, 42), 0.24), (range(42, 48), 0.24), (range(48, 60), 0.30)):
        center = marks[list(ids)].mean(0)
        detail = np.maximum(detail, np.exp(-((x - center[0]) ** 2 + 1.6 * (y - center[1]) ** 2) / (reach * width) ** 2))
    return detail.astype(np.float32)


FINISHES = {
    "oil": painting,
    "watercolour": watercolour,
    "pencil": pencil,
    "charcoal": charcoal,
    "ink": cartoon,
}
