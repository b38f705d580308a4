"""The inside of an open mouth: two dental arches, gums, tongue and the dark behind, lit and coloured like the portrait.

Rendered from the surface, so teeth are the same from frame to frame and stay put on skull and jaw while lips move
over them. Arch coordinates: u in cm from the middle, v from -1 (deep gum) through 0 (tooth neck) to 1 (biting edge).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.eyes import polygon_mask
from vasa_core.geometry import empty_depth, rasterise, vertex_normals
from vasa_core.surface import LIP_CORNERS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP, Surface
from vasa_core.teeth import OwnTeeth

UPPER_TEETH_CM = (0.86, 0.67, 0.78, 0.70, 0.66, 1.0)
LOWER_TEETH_CM = (0.53, 0.60, 0.68, 0.70, 0.72, 1.0)
"""Common widths from the middle outwards: incisors, canine, premolars, molar (Ash, Dental Anatomy)."""

OVERSAMPLING = 2
BACKDROP, UPPER, LOWER, TONGUE, CHEEK = 0.0, 1.0, 2.0, 3.0, 4.0
THIN_PX = 3.0
"""Where lips part by less than this, at the corners above all, what lies behind them shows only partly."""

SHADE = np.array([0.85, 1.05, 1.12], np.float32)
"""Shadow inside a mouth is warm: red light lasts longest between the cheeks."""

SHOW_CM = 0.36
"""The upper teeth hang this much lower than in the training world: an open mouth then shows their edges, as most do."""

FORWARD_CM = 0.55
"""The teeth stand this much nearer the lips than there: from the side no gap may show between lip and teeth."""

HIDE_CM = 0.27
"""The lower teeth stand this much lower than there: the lower lip mostly hides them in speech."""

GUM_LINE, HIGH_GUM_LINE = 0.02, -0.30
"""Where gums end; and where they do in a mouth whose portrait shows teeth up to the lip, so that they end behind it."""

CHEEK_SHARE, CHEEK_DEEP_CM, CHEEK_IN = 0.62, 3.0, 0.82
"""The inside of a cheek begins where the lips are farther from the middle than this share of their half width, goes
back so far, and comes in by this factor."""

CHEEK_LIT = 0.62
"""How bright the inside of a cheek is beside the lips, against the gums; it fades towards the back."""

NEAR_CM, FAR_CM = 11.0, 4.5
"""Depth, in head coordinates, at which the inside of the mouth is fully lit, and at which it is dark."""


@dataclass(frozen=True, kw_only=True)
class MouthLight:
    """Colours of the inside of this portrait's mouth, 0 to 255."""

    teeth: Float[np.ndarray, " 3"]
    gums: Float[np.ndarray, " 3"]
    tongue: Float[np.ndarray, " 3"]
    dark: Float[np.ndarray, " 3"]
    gum_line: float = GUM_LINE
    """Where the gums end over the middle of a tooth (v)."""


def mouth_light(crop: UInt8[np.ndarray, "512 512 3"], landmarks: Float[np.ndarray, "478 2"]) -> MouthLight:
    """Colours that fit the portrait: as bright as its lower face, tinted by its light, gums and tongue between skin
    and lips."""
    soft = cv2.GaussianBlur(crop, (0, 0), 3).astype(np.float32)
    skin, lips = skin_and_lips(crop, landmarks)
    level = skin.max()
    tint = skin / max(level, 1)
    # skin may be dark where the light is bright: the whites of the eyes tell the light
    white = max(1.12 * level, 1.2 * _eye_white(soft, landmarks))
    teeth = (0.5 * tint + 0.5 * np.array([1.0, 0.97, 0.91])) * np.clip(white, 80, 235)
    red = 0.5 * lips + 0.5 * np.array([1.0, 0.55, 0.52]) * level * 0.75
    return MouthLight(
        teeth=teeth.astype(np.float32),
        gums=(red * 0.92).astype(np.float32),
        tongue=(red * 0.95).astype(np.float32),
        dark=(np.array([0.22, 0.085, 0.08]) * level * 0.8).astype(np.float32),
    )


def skin_and_lips(
    crop: UInt8[np.ndarray, "512 512 3"], landmarks: Float[np.ndarray, "478 2"]
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """The colours of the lower face and of the lips."""
    soft = cv2.GaussianBlur(crop, (0, 0), 3).astype(np.float32)
    skin = np.median(soft[_rows(landmarks, [50, 280, 205, 425, 164, 199, 61, 291])], 0)
    return skin, np.median(soft[_rows(landmarks, [14, 17, 0, 13, 84, 314])], 0)


def _eye_white(soft: np.ndarray, landmarks: np.ndarray) -> float:
    """The lightest tenth of what shows between the lids."""
    values = []
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        between = np.linspace(landmarks[list(upper)], landmarks[list(lower)], 7)[1:-1].reshape(-1, 2)
        x, y = between.round().astype(int).clip(0, soft.shape[0] - 1).T
        values.append(np.percentile(soft[y, x].max(-1), 90))
    return float(np.mean(values))


def seat_cavity(
    surface: Surface, rest: Float[np.ndarray, "vertex 3"], neutral: Float[np.ndarray, "vertex 3"]
) -> Float[np.ndarray, "vertex 3"]:
    """The resting vertices with teeth and tongue behind this person's own lips, as wide as the mouth, showing a
    little. They stand where the `neutral` face has its lips: a smile bares them, it does not move them."""
    lips = [*UPPER_LIP, *LOWER_LIP]
    template, own = surface.neutral, neutral
    width = np.ptp(own[list(LIP_CORNERS), 0]) / np.ptp(template[list(LIP_CORNERS), 0])
    width = float(np.clip(width, 0.75, 1.3))
    shift = own[lips].mean(0) - template[lips].mean(0) + np.array([0, -SHOW_CM, FORWARD_CM])
    seated = rest.copy()
    for part in ("upper_teeth", "lower_teeth", "tongue"):
        seated[surface.parts[part]] = template[surface.parts[part]] * (width, 1, 1) + shift
    seated[surface.parts["lower_teeth"], 1] += SHOW_CM - HIDE_CM
    return seated.astype(np.float32)


def inner_cheeks(contour: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "twice_n 3"]:
    """The lips' inner contour (canonical, cm), then the same points where the inside of the cheeks ends."""
    middle = contour.mean(0)
    behind = (contour - middle) * (CHEEK_IN, 1, 1) + middle
    behind[:, 2] -= CHEEK_DEEP_CM
    return np.concatenate([contour, behind]).astype(np.float32)


def _rows(landmarks: np.ndarray, which: list[int]) -> tuple[np.ndarray, np.ndarray]:
    at = landmarks[which].round().astype(int).clip(0, 511)
    return at[:, 1], at[:, 0]


def draw_mouth(
    frame: UInt8[np.ndarray, "height width 3"],
    surface: Surface,
    light: MouthLight,
    canonical: Float[np.ndarray, "vertex 3"],
    posed: Float[np.ndarray, "vertex 3"],
    projected: Float[np.ndarray, "vertex 3"],
    contour: Float[np.ndarray, "n 2"],
    cheeks: Float[np.ndarray, "m 3"],
    own: OwnTeeth | None = None,
) -> None:
    """Draws the inside of the mouth into the frame within the inner lips' `contour` (pixels); `cheeks` is
    `inner_cheeks`, projected; `own` are the teeth that the portrait shows."""
    low = np.maximum(np.floor(contour.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(contour.max(0)).astype(int) + 3, (frame.shape[1], frame.shape[0]))
    if (high - low).min() < 2:
        return
    region = frame[low[1] : high[1], low[0] : high[0]]
    mask = polygon_mask(contour - low, region.shape[:2])
    if mask.sum() < 3:
        return
    inside, shown = _cavity(surface, light, canonical, posed, projected, cheeks, low, mask.shape, own)
    inside *= _lip_shadow(mask)[..., None]
    if own is not None:  # lit as they were photographed, behind lips
        inside += shown[..., 3:] * (shown[..., :3] - inside)
    thickness = (mask > 0.5).sum(0, dtype=np.float32)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.7) * np.clip(mask * 1.5, 0, 1) * np.clip(thickness / THIN_PX, 0, 1)
    region[:] = np.clip(region * (1 - mask[..., None]) + inside * mask[..., None] + 0.5, 0, 255).astype(np.uint8)


def _lip_shadow(mask: np.ndarray) -> np.ndarray:
    """Lips shade what lies just behind them, the upper lip more than the lower."""
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    rows = np.arange(mask.shape[0], dtype=np.float32)[:, None]
    first = np.argmax(mask > 0.5, axis=0).astype(np.float32)[None]
    below_upper = np.clip((rows - first) / (0.16 * mask.shape[1]), 0, 1)
    return (0.8 + 0.2 * np.clip(depth / 4, 0, 1)) * (0.75 + 0.25 * np.sqrt(below_upper))


def _cavity(surface, light, canonical, posed, projected, cheeks, low, shape, own) -> tuple[np.ndarray, np.ndarray]:
    """The unclipped inside of the mouth, [height, width, 3]; the portrait's own teeth there, [height, width, 4]: their
    colour and how surely they are."""
    k = OVERSAMPLING
    drawn = np.zeros((shape[0] * k, shape[1] * k, 5 if own is None else 7), np.float32)
    depth = empty_depth(*drawn.shape[:2])
    points, walls = projected.copy(), cheeks.copy()
    for moved in (points, walls):
        moved[:, :2] = (moved[:, :2] - low) * k
    triangles, attributes = _cheeks(walls)
    rasterise(walls, triangles, np.pad(attributes, ((0, 0), (0, drawn.shape[2] - 5))), depth, drawn)
    for part, kind in (("upper_teeth", UPPER), ("lower_teeth", LOWER), ("tongue", TONGUE)):
        span = surface.parts[part]
        triangles = surface.triangles[part] - span.start
        normals = np.abs(vertex_normals(posed[span], triangles)[:, 2])
        columns = [
            surface.arch_coordinates[span],
            canonical[span, 2:],
            normals[:, None],
            np.full((len(normals), 1), kind),
        ]
        if own is not None:
            columns.append(own.places_px[span])
        rasterise(points[span], triangles, np.concatenate(columns, 1).astype(np.float32), depth, drawn)
    size = shape[1], shape[0]
    inside = cv2.resize(_shade(drawn, light), size, interpolation=cv2.INTER_AREA)
    if own is None:
        return inside, inside
    shown = own.at(drawn[..., 5:], (drawn[..., 4] == UPPER) | (drawn[..., 4] == LOWER))
    return inside, cv2.resize(shown, size, interpolation=cv2.INTER_AREA)


def _cheeks(walls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the walls behind both corners of the lips, and attributes: how far towards a corner (0 to 1), how
    deep (0 to 1)."""
    count = len(walls) // 2
    x = walls[:count, 0]
    half = max(float(np.ptp(x)) / 2, 1e-3)
    aside = (np.abs(x - (x.max() + x.min()) / 2) / half - CHEEK_SHARE) / (1 - CHEEK_SHARE)
    attributes = np.zeros((len(walls), 5), np.float32)
    attributes[:, 0] = np.tile(np.clip(aside, 0, 1), 2)
    attributes[count:, 1] = 1
    attributes[:, 4] = CHEEK
    here = np.arange(count)
    there = np.roll(here, -1)
    at_corner = (aside > 0) & (aside[there] > 0)
    here, there = here[at_corner], there[at_corner]
    both = [np.stack([here, there, here + count], 1), np.stack([there, there + count, here + count], 1)]
    return np.concatenate(both).astype(np.int32), attributes


def _shade(drawn: np.ndarray, light: MouthLight) -> np.ndarray:
    u, v, z, facing, kind = (drawn[..., c] for c in range(5))
    lit = np.clip((z - FAR_CM) / (NEAR_CM - FAR_CM), 0, 1) * (0.6 + 0.4 * facing)
    colour = np.broadcast_to(light.dark, (*u.shape, 3)).copy()
    for teeth, widths in ((UPPER, UPPER_TEETH_CM), (LOWER, LOWER_TEETH_CM)):
        at = kind == teeth
        if at.any():
            colour[at] = _teeth(u[at], v[at], 0.25 + 0.75 * lit[at], widths, light)
    at = kind == CHEEK
    bright = (CHEEK_LIT * np.sqrt(u[at]) * (1 - v[at]) ** 2)[:, None]
    colour[at] = light.dark + bright * (light.gums - light.dark)
    at = kind == TONGUE
    groove = 1 - 0.25 * np.exp(-((u[at] / 0.12) ** 2))
    colour[at] = light.tongue * (0.28 + 0.85 * lit[at] * groove)[:, None]
    return colour


def _teeth(u: np.ndarray, v: np.ndarray, lit: np.ndarray, widths: tuple[float, ...], light: MouthLight) -> np.ndarray:
    """Enamel with dark seams and rounded corners, gum above a scalloped line, dark past the biting edge."""
    ends = np.concatenate([[0], np.cumsum(widths)])
    index = np.clip(np.searchsorted(ends, np.abs(u), side="right") - 1, 0, len(widths) - 1)
    half = np.array(widths)[index] / 2
    across = (np.abs(u) - ends[index] - half) / half  # -1 .. 1 over one tooth
    seam = np.clip((1 - np.abs(across)) * half / 0.07, 0, 1)
    edge = 1 - 0.05 * np.abs(across) ** 4 - 0.05 * (index == 1)
    gum = light.gum_line + 0.20 * across**2
    enamel = light.teeth * (0.92 + 0.08 * np.clip(1 - np.abs(across) ** 2, 0, 1))[:, None]
    enamel *= (0.90 + 0.10 * seam)[:, None] * (0.94 + 0.06 * np.clip(v, 0, 1))[:, None]
    flesh = np.clip((gum - v) / 0.10, 0, 1)[:, None]
    colour = (enamel * (1 - flesh) + light.gums * flesh) * lit[:, None] ** SHADE
    past = np.clip((v - edge) / 0.05, 0, 1)[:, None]
    return colour * (1 - past) + light.dark * past
