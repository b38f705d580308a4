"""Skin folds where muscles push it together: lines of a raised or knitted brow, crow's feet, the fold beside a smile.

A warp moves skin and leaves it smooth. So lines are drawn on each portrait's skin once, where anatomy puts them and its
own lines run, lit as its face is lit, and they show as far as the surface says that the skin there has been pushed
together since the portrait was taken: none at rest. How deep, the skin itself tells: one without grain, painted flat or
a child's, hardly folds; nothing is drawn on hair, frames or lenses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import cv2
import numba
import numpy as np
from jaxtyping import Bool, Float, UInt8

from vasa_core.geometry import empty_depth, rasterise, vertex_normals
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import DYNAMICS, EXPRESSION
from vasa_core.portrait import Portrait
from vasa_core.surface import EYE_CORNERS, LANDMARKS, Surface

FOLDS = ("forehead R", "forehead L", "frown", "eye R", "eye L", "smile R", "smile L", "socket R", "socket L")
"""R is the person's right, on the left of the picture. A socket does not fold: light falls in when the brow rises."""

FULL_CM = {"forehead": 0.6, "frown": 0.45, "eye": 0.7, "smile": 1.0, "socket": 0.6}
"""The muscles' movement that folds skin wholly; what a strong look of the training world does."""

LEAST_SHARE = 0.08
"""Less of it shows nothing."""

CONCAVE = 1.4
"""Folds show early and deepen ever less: 1 - exp(-CONCAVE t)."""

SHOWN_ALREADY = 0.5
"""How far the look that a portrait's codes give it is believed to have folded its skin already."""

DEPTH_CM = {"forehead": 0.07, "frown": 0.06, "eye": 0.045, "smile": 0.07}
OCCLUDED = {"forehead": 0.26, "frown": 0.29, "eye": 0.22, "smile": 0.2}
"""How deep full folds are, and how much darker (natural logarithm) at their bottom, where light does not reach."""

OWN_LINES = {"forehead": 1.2, "frown": 1.2, "eye": 0.9, "smile": 0.7}
"""How many times stronger full folds make the lines that skin there has already."""

DARKEST, LIGHTEST = 0.5, 0.14
TINT = (0.86, 1.03, 1.11)
"""Bounds of the shading (natural logarithm); skin in its own shade is redder: shares of red, green and blue."""

SMOOTH, GRAINY = 0.003, 0.009
"""Skin with so little grain (median contrast of details of a millimetre) hardly folds, with so much it folds wholly."""

BEARD_CM = -6.0
"""Skin is looked for above this height of the template, the mouth's at -3.6."""

LIT_UP, LIGHTEST_SOCKET = 0.6, 0.4
"""The share of its shadow that a socket loses under a brow raised high, and the most (natural logarithm)."""

SHADOW_CM = (0.18, 0.06)
"""Shadow is what is dark both at large and closely."""

EDGE_ON = 0.3
"""Skin that the portrait sees so obliquely (cosine) shows no folds of its own, and all of them at twice that."""

LEAST_DEPTH, SOFT_CM = 0.6, 0.13
"""Folds of the smoothest skin: how deep against the others, and how far their lines are blurred."""

ZERO, HALF, ONE, BRIGHTEST = (np.float32(x) for x in (0, 0.5, 1, 255))


@dataclass(frozen=True, kw_only=True)
class Folds:
    """One portrait's folds, on a window of its crop."""

    origin: tuple[int, int]
    shades: Float[np.ndarray, "fold=9 high wide"]
    """What each fold does to the skin's brightness at full strength (natural logarithm)."""
    muscles: Float[np.ndarray, "dynamics=50 fold=9"]
    """How far each coordinate of the facial dynamics pushes the skin together, as shares of FULL_CM."""
    begun: Float[np.ndarray, " fold=9"]
    """How far it already is in the portrait."""
    own: Float[np.ndarray, " fold=9"]
    """What the muscles do in the portrait's own look."""

    def strengths(self, facial_dynamics: Float[np.ndarray, " dynamics=50"]) -> Float[np.ndarray, " fold=9"]:
        """How far each fold shows, beyond the portrait's own look: 0 to 1."""
        pushed = np.maximum(facial_dynamics @ self.muscles - self.own - LEAST_SHARE, 0)
        return (np.exp(-CONCAVE * self.begun) * -np.expm1(-CONCAVE * pushed)).astype(np.float32)

    def draw(
        self,
        picture: UInt8[np.ndarray, "size size 3"],
        backward: Float[np.ndarray, "size size 2"],
        face: Float[np.ndarray, "size size 2"],
        facial_dynamics: Float[np.ndarray, " dynamics=50"],
    ) -> None:
        """Shades the warped picture; `face` is how much the face wins and how well it is shown (`decoder.Warp`)."""
        strengths = self.strengths(facial_dynamics)
        if strengths.any():
            shade = _together(strengths, self.shades)
            _shaded(picture, backward, face, shade, np.array(self.origin, np.float32), np.array(TINT, np.float32))


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check  # compiled code takes no run-time checks
def _together(strengths, shades):
    """All folds [fold, high, wide] as strong as they are."""
    shade = np.zeros(shades.shape[1:], np.float32)
    for k in range(len(strengths)):
        if strengths[k] > ZERO:
            for row in range(shade.shape[0]):
                for column in range(shade.shape[1]):
                    shade[row, column] += strengths[k] * shades[k, row, column]
    return shade


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def _shaded(picture, backward, face, shade, origin, tint):
    """The picture [size, size, 3] times exp(shade [high, wide]) at `backward`; see `Folds.draw`."""
    high, wide = shade.shape
    unit = np.float32(CROP_PX / picture.shape[0])
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            wins = face[row, column, 0] * face[row, column, 1]
            if wins <= ZERO:
                continue
            x = (backward[row, column, 0] + HALF) * unit - HALF - origin[0]
            y = (backward[row, column, 1] + HALF) * unit - HALF - origin[1]
            if x <= ZERO or y <= ZERO or x >= np.float32(wide - 1) or y >= np.float32(high - 1):
                continue
            x0, y0 = np.int32(x), np.int32(y)
            fx, fy = x - np.float32(x0), y - np.float32(y0)
            above = shade[y0, x0] + fx * (shade[y0, x0 + 1] - shade[y0, x0])
            below = shade[y0 + 1, x0] + fx * (shade[y0 + 1, x0 + 1] - shade[y0 + 1, x0])
            here = wins * (above + fy * (below - above))
            if here == ZERO:
                continue
            for c in range(3):
                t = here * tint[c] if here < ZERO else here
                value = np.float32(picture[row, column, c]) * (ONE + t + HALF * t * t) + HALF
                picture[row, column, c] = np.uint8(np.int32(min(value, BRIGHTEST)))


def folds_of(portrait: Portrait, surface: Surface) -> Folds:
    """The folds of a portrait's skin."""
    face = surface.parts["face"]
    canonical = surface.vertices(portrait.identity_code, portrait.facial_dynamics)[face]
    canonical += portrait.residual
    posed = portrait.posed(canonical)
    points, triangles = portrait.camera.project(posed), surface.triangles["face"]
    attributes = np.concatenate([_template(surface)[:, :2], vertex_normals(posed, triangles)], 1).astype(np.float32)
    seen = np.zeros((CROP_PX, CROP_PX, 5), np.float32)
    depth = empty_depth(CROP_PX, CROP_PX)
    rasterise(points, triangles, attributes, depth, seen)
    there = depth > -1e8
    rows, columns = np.where(there.any(1))[0], np.where(there.any(0))[0]
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    place, normals, there = seen[window][..., :2], seen[window][..., 2:], there[window]
    light = np.log(np.maximum(cv2.cvtColor(portrait.crop, cv2.COLOR_RGB2GRAY)[window].astype(np.float32), 8))
    scale_px = portrait.camera.scale_px
    skin, lit, off = skin_seen(portrait.crop[window], light, normals, place, there)
    own = light - _blurred(light, 0.14 * scale_px)
    grain = grain_of(own, skin, place, SMOOTH, GRAINY)
    depth_share, soft = LEAST_DEPTH + (1 - LEAST_DEPTH) * grain, SOFT_CM * (1 - grain) * scale_px
    darker = -np.maximum(*(_blurred(off, size_cm * scale_px) for size_cm in SHADOW_CM))
    shadow = np.clip(LIT_UP * darker - 0.03, 0, LIGHTEST_SOCKET)
    skin *= np.clip((normals[..., 2] - EDGE_ON) / EDGE_ON, 0, 1)
    shades = []
    lines = lines_of(place, portrait.identity_code)
    for name in FOLDS:
        kind = name.split()[0]
        if kind == "socket":
            shades.append((shadow * sockets_at(place, name.endswith("L"))).astype(np.float32))
            continue
        valley, height, where = lines[name]
        height = DEPTH_CM[kind] * height
        slope = np.stack([np.gradient(height, axis=1), -np.gradient(height, axis=0)]) * scale_px
        drawn = -slope[0] * lit[0] - slope[1] * lit[1] - OCCLUDED[kind] * valley
        shown = OWN_LINES[kind] * where * _along(own, kind, scale_px)
        shade = np.clip(depth_share * (drawn + shown), -DARKEST, LIGHTEST)
        shades.append((skin * _blurred(shade.astype(np.float32), max(soft, 0.5))).astype(np.float32))
    muscles = muscles_of(surface)
    looks = portrait.facial_dynamics - portrait.rest_dynamics
    return Folds(
        origin=(int(columns[0]), int(rows[0])),
        shades=np.stack(shades),
        muscles=muscles,
        begun=(SHOWN_ALREADY * np.clip(portrait.facial_dynamics @ muscles, 0, 1)).astype(np.float32),
        own=(looks @ muscles).astype(np.float32),
    )


# --- which muscles ----------------------------------------------------------------------------------------------------


def muscles_of(surface: Surface) -> Float[np.ndarray, "dynamics=50 fold=9"]:
    """What pushes the skin of each fold together, as shares of FULL_CM: brows that rise, or near each other; lower lids
    and cheeks that rise; corners of the mouth that go out and cheeks that go up."""
    move = surface.dynamics_basis[:, :LANDMARKS].astype(np.float64)  # [expression, landmark, axis]
    columns = []
    for name in FOLDS:
        kind, right = name.split()[0], name.endswith("R")
        if kind in ("forehead", "socket"):
            brow = (70, 105, 107, 55) if right else (300, 334, 336, 285)
            pushed = move[:, brow, 1].mean(1)
        elif kind == "frown":
            pushed = (move[:, (55, 107), 0] - move[:, (285, 336), 0]).mean(1)
        elif kind == "eye":
            lid, cheek = (145, 117) if right else (374, 346)
            pushed = move[:, lid, 1] + move[:, cheek, 1]
        else:
            corner, cheek, out = (61, 205, -1) if right else (291, 425, 1)
            pushed = out * move[:, corner, 0] + move[:, cheek, 1]
        columns.append(pushed / FULL_CM[kind])
    muscles = np.zeros((DYNAMICS, len(FOLDS)), np.float32)
    muscles[:EXPRESSION] = np.stack(columns, 1)
    return muscles


def _template(surface: Surface) -> Float[np.ndarray, "face 3"]:
    """The template's face with its middle between the eyes' corners at x = 0 (cm): what lines are told in."""
    face = surface.neutral[surface.parts["face"]].copy()
    face[:, 0] -= face[[c for eye in EYE_CORNERS for c in eye], 0].mean()
    return face


# --- skin -------------------------------------------------------------------------------------------------------------


def skin_seen(
    crop: UInt8[np.ndarray, "high wide 3"],
    light: Float[np.ndarray, "high wide"],
    normals: Float[np.ndarray, "high wide 3"],
    place: Float[np.ndarray, "high wide 2"],
    there: Bool[np.ndarray, "high wide"],
) -> tuple[Float[np.ndarray, "high wide"], Float[np.ndarray, " 2"], Float[np.ndarray, "high wide"]]:
    """How surely each pixel is skin, 0 to 1: as light as a face lit like this one is there, and of its colour. By how
    much skin that leans to the right and up is lighter (natural logarithm a unit of slope). And how much lighter each
    pixel is than skin would be (natural logarithm)."""
    known = np.concatenate([np.ones_like(light)[..., None], normals], -1)
    usable = there & (place[..., 1] > BEARD_CM)
    use = usable
    for _ in range(5):  # hair, eyes and lips are soon left out
        parts, seen = known[use][::7], light[use][::7]
        held = 0.02 * len(parts) * np.diag([0, 1, 1, 1])
        weights = np.linalg.solve(parts.T @ parts + held, parts.T @ seen)
        off = (light - known @ weights).astype(np.float32)
        nearer = usable & (np.abs(off - np.median(off[use])) < 0.3)
        use = nearer if nearer.sum() > 700 else use
    colour = np.log(cv2.GaussianBlur(crop, (0, 0), 1.5).astype(np.float32) + 8)
    colour -= colour.mean(-1, keepdims=True)
    other = np.linalg.norm(colour - np.median(colour[use], 0), axis=-1)
    alike = np.clip((0.55 - np.abs(_blurred(off, 1.5))) / 0.2, 0, 1) * np.clip((0.3 - other) / 0.12, 0, 1)
    alike = cv2.erode(np.where(there, alike, 0).astype(np.float32), np.ones((5, 5)))
    flat = normals[use].mean(0)
    lit = (weights[1:] - (weights[1:] @ flat) * flat)[:2]
    return _blurred(alike, 1.5), np.clip(lit, -0.9, 0.9).astype(np.float32), off


def grain_of(
    own: Float[np.ndarray, "high wide"],
    skin: Float[np.ndarray, "high wide"],
    place: Float[np.ndarray, "high wide 2"],
    smooth: float,
    grainy: float,
) -> float:
    """How grainy the skin of forehead and cheeks is: 0 for `smooth`, 1 for `grainy`."""
    x, y = np.abs(place[..., 0]), place[..., 1]
    plain = (skin > 0.9) & (((y > 6.6) & (x < 4.5)) | ((y < 1.2) & (y > -2) & (x > 2.6) & (x < 5.5)))
    if plain.sum() < 200:
        return 0.5
    return float(np.clip((np.median(np.abs(own[plain])) - smooth) / (grainy - smooth), 0, 1))


# --- lines ------------------------------------------------------------------------------------------------------------


def lines_of(
    place: Float[np.ndarray, "high wide 2"], identity_code: Float[np.ndarray, " identity=80"]
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each of FOLDS: how deep its lines are (0 to 1), the skin's height (shares of DEPTH_CM), and where it folds
    (0 to 1), at places of the template (cm)."""
    x, y = place[..., 0], place[..., 1]
    side = np.abs(x)
    broad, middle = _noise(place, 2.4, identity_code, 0), _noise(place, 0.7, identity_code, 1)
    left = _smooth((x + 0.5) / 1.0)
    # along the forehead, bent like the brows under them
    wave = 2.75 * (y - 0.1 * np.cos(0.9 * side)) + 0.9 * broad + 0.28 * middle
    deep = np.clip(0.8 + 0.45 * broad + 0.3 * middle, 0.15, 1.1)
    where = _bell((y - 7.75) / 1.25) * _bell(x / 4.4)
    valley = _furrow(wave, 3.0) * deep * where
    forehead = valley, where * deep * (0.35 - _furrow(wave, 1.6)), where
    # between the brows
    off = side - 0.70 - 0.10 * (y - 5.6) + 0.06 * middle
    where = _bell((y - 5.9) / 0.95) * np.where(x > 0, 1.0, 0.75)
    valley = np.exp(-((off / 0.13) ** 2)) * where
    frown = valley, 0.6 * where * np.exp(-(((off - 0.45) / 0.3) ** 2)) - valley, _bell((side - 0.8) / 0.7) * where
    # outwards from the eye's corner, and under the lid
    dx, dy = side - 4.75, y - 3.45
    reach, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    ray = 4.4 * turn + 0.5 * broad + 0.4 * middle + 0.25 * reach
    where = _smooth((reach - 0.25) / 0.5) * _smooth((2.3 - reach) / 1.3) * _smooth((1.1 - np.abs(turn + 0.12)) / 0.45)
    valley = _furrow(ray, 3.2) * where * np.clip(0.8 + 0.5 * broad, 0.2, 1.1)
    sunk = y - 2.62 + 0.12 * (side - 3.0) ** 2 * (side < 3.0) + 0.04 * (side - 3.0) ** 2
    under = _bell((side - 3.2) / 1.3) * 0.55
    lid = np.exp(-((sunk / 0.11) ** 2)) * under
    eye = (
        np.maximum(valley, lid),
        where * 0.25 + 0.3 * under * np.exp(-(((sunk - 0.28) / 0.2) ** 2)) - valley - lid,
        where,
    )
    # from the nose's wing past the corner of the mouth
    t = np.clip((y + 3.9) / 4.4, 0, 1)
    off = side - (3.2 + (1.8 - 3.2) * t * t * (1.6 - 0.6 * t)) - 0.05 * broad
    where = _smooth((y + 4.3) / 1.9) * _smooth((0.6 - y) / 1.0)
    valley = (0.45 * np.exp(-((off / 0.13) ** 2)) + 0.55 * np.exp(-(((off + 0.12) / 0.34) ** 2))) * where
    bulge = np.exp(-(((off - 0.65) / 0.5) ** 2)) * where
    smile = valley, bulge - 0.8 * valley, np.exp(-((off / 0.5) ** 2)) * where
    both = {"forehead": forehead, "eye": eye, "smile": smile}
    split = {
        f"{k} {s}": tuple(part * (left if s == "L" else 1 - left) for part in p) for k, p in both.items() for s in "RL"
    }
    return {**split, "frown": frown}


def sockets_at(place: Float[np.ndarray, "high wide 2"], left: bool) -> Float[np.ndarray, "high wide"]:
    """Where the skin between one eye's lid and its brow is, 0 to 1."""
    x, y = place[..., 0] if left else -place[..., 0], place[..., 1]
    bent = y - 4.75 + 0.09 * (x - 3.2) ** 2
    return _smooth((0.62 - np.abs(bent)) / 0.35) * _smooth((2.1 - np.abs(x - 3.15)) / 0.8)


def _along(own: Float[np.ndarray, "high wide"], kind: str, scale_px: float) -> Float[np.ndarray, "high wide"]:
    """The skin's own lines that run as this fold does: details drawn out along it, so that pores go."""
    long, thin = 0.16 * scale_px, 0.02 * scale_px
    across = {
        "forehead": (long, thin),
        "eye": (0.6 * long, thin),
        "frown": (thin, long),
        "smile": (0.5 * long, 0.5 * long),
    }
    lines = cv2.GaussianBlur(own, (0, 0), sigmaX=max(across[kind][0], 0.4), sigmaY=max(across[kind][1], 0.4))
    return np.clip(lines, -0.15, 0.05)


def _blurred(plane: Float[np.ndarray, "high wide"], sigma: float) -> Float[np.ndarray, "high wide"]:
    return cv2.GaussianBlur(plane, (0, 0), sigma)


def _bell(t: np.ndarray) -> np.ndarray:
    return np.exp(-t * t)


def _smooth(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _furrow(phase: np.ndarray, sharp: float) -> np.ndarray:
    """1 in a valley wherever phase / pi is a whole number, 0 on the rounded skin between."""
    return (1 - np.abs(np.sin(phase))) ** sharp


def _noise(place: np.ndarray, size_cm: float, code: np.ndarray, channel: int) -> Float[np.ndarray, "high wide"]:
    """Smooth noise of about -1 to 1 in patches of this size; a slowly different part of it for each person."""
    patches = np.random.default_rng(channel).normal(size=(64, 64)).astype(np.float32)
    shift = 16 + 4 * np.array([code[2 * channel], code[2 * channel + 1]])
    at = (place / size_cm + shift).astype(np.float32)
    x, y = np.mod(at[..., 0], 62), np.mod(at[..., 1], 62)
    return np.clip(cv2.remap(patches, x, y, cv2.INTER_CUBIC), -1.5, 1.5) / 1.5
