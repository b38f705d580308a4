"""Eyes that look around with the portrait's own pixels: the iris is lifted off the eyeball, moved, and clipped by the
lids.

What the lids hide in the portrait is completed once: the iris by its own symmetry, the white by diffusion. Works on
photographs, paintings and drawings alike, because nothing is assumed but a round iris.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.encoders import EYEBALL_RADIUS_CM
from vasa_core.portrait import fill_holes
from vasa_core.surface import IRIS_CENTRES

LID_FOLDS = ((33, 247, 30, 29, 27, 28, 56, 190, 133), (263, 467, 260, 259, 257, 258, 286, 414, 362))
UNDER_BROWS = ((225, 224, 223, 222), (445, 444, 443, 442))


ROWS, ROW_SHIFT = 4, -0.5
"""Polygons are drawn this many times taller: OpenCV puts their corners on whole rows, and lips would jump."""

LASH_REACH_SHARE = 0.16
"""Dark lines thinner than this share of the eye's width around it are lashes, hair or frames, not skin."""

LID_ALIKE = 0.6
"""What is darker than this share of the skin around an eye, or as much lighter, is not skin of its lid."""

LID_STRENGTH = 0.9
"""How much of a shut lid is its own skin; the rest, its creases, comes from what the portrait stretches there."""

LID_FROM, LID_OVER = 0.15, 0.5
"""A lid is drawn from this much shut on, and wholly once it is shut by so much more."""

LID_INSET, LID_FEATHER = 0.08, 0.06
"""Where the drawn skin begins above the edge, as a share of the way to the fold; its soft border, as a share of the
eye's width."""

LASH_WIDTHS, LASH_FEATHER = (0.02, 0.04), 0.015
"""The line of lashes from corner to corner, and within, as shares of the eye's width: thinner towards the corners."""

EYE_FRONT_CM = 1.5
"""How far before the eyeball's middle the iris is seen, and so how far it goes along when the head turns: nearer than
that (1.2) it lay behind the lids, and eyes of turned heads looked 5 degrees back towards the camera."""

LASH_DROP = 0.02
"""How far below a shut lid's edge its lashes hang, as a share of the eye's width."""

LASHES_ALIKE, LIGHTEST_LASHES = 1.25, 0.6
"""The lashes of one eye are at most so many times lighter, against the lid's skin, than the other's, and than that
skin: where landmarks miss them, pixels beside them are taken for lashes."""

LASH_STRENGTH = 0.7
"""How dark the line of lashes lies along a shut lid, against the portrait's own."""


COMES_DOWN = (0.15, 0.5)
"""A lid that shuts by more than this (0 open, 1 shut) brings an eye down that looks up, wholly from so much on: who
blinks while looking up shows no white below."""


@dataclass(frozen=True, kw_only=True)
class EyePlates:
    """One eye of the portrait in a window of the crop: as it is, the white without iris, the iris alone."""

    origin: tuple[int, int]
    seen: Float[np.ndarray, "height width 3"]
    white: Float[np.ndarray, "height width 3"]
    iris: Float[np.ndarray, "height width 4"]
    inside: Float[np.ndarray, "height width"]


@dataclass(frozen=True, kw_only=True)
class LidPlate:
    """The skin of one shut eye in a window of the crop."""

    origin: tuple[int, int]
    skin: Float[np.ndarray, "height width 3"]


def lift_eye(
    crop: UInt8[np.ndarray, "size size 3"],
    landmarks: Float[np.ndarray, "478 2"],
    contour: Float[np.ndarray, "n 2"],
    eye: int,
) -> EyePlates:
    """The plates of eye 0 (left in the picture) or 1, whose lids run along `contour` (pixels)."""
    centre = landmarks[IRIS_CENTRES[eye]]
    ring = landmarks[IRIS_CENTRES[eye] + 1 : IRIS_CENTRES[eye] + 5]
    radius = float(np.linalg.norm(ring - centre, axis=1).mean())
    low, high = contour.min(0), contour.max(0)
    margin = 0.45 * (high - low).max() + 4
    x0, y0 = np.floor(np.maximum(low - margin, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(high + margin, crop.shape[0] - 1)).astype(int)
    window = crop[y0:y1, x0:x1].astype(np.float32)
    opening = polygon_mask(contour - (x0, y0), window.shape[:2])
    yy, xx = np.mgrid[0 : y1 - y0, 0 : x1 - x0].astype(np.float32)
    from_iris = np.hypot(xx - (centre[0] - x0), yy - (centre[1] - y0))
    deep = cv2.erode((opening > 0.5).astype(np.uint8), np.ones((3, 3))).astype(np.float32)
    white = _white(window, deep, from_iris, radius)
    iris = _iris(window, deep, from_iris, radius, (centre[0] - x0, centre[1] - y0))
    depth = cv2.distanceTransform((opening > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    inside = np.clip(depth / max(0.16 * (high - low)[1], 1.5), 0, 1)
    return EyePlates(origin=(int(x0), int(y0)), seen=window, white=white, iris=iris, inside=inside.astype(np.float32))


def _white(window: np.ndarray, deep: np.ndarray, from_iris: np.ndarray, radius: float) -> np.ndarray:
    known = deep * (from_iris > 1.18 * radius)
    if known.sum() < 6:  # an eye that shows no white: take the lightest of what it shows
        shown = window[deep > 0.5] if deep.any() else window.reshape(-1, 3)
        return np.broadcast_to(np.percentile(shown, 90, axis=0), window.shape).astype(np.float32).copy()
    return cv2.GaussianBlur(fill_holes(window, known.astype(np.float32)), (0, 0), 0.8)


def _iris(
    window: np.ndarray, deep: np.ndarray, from_iris: np.ndarray, radius: float, centre: tuple[float, float]
) -> np.ndarray:
    known = deep * (from_iris < radius * 1.02)
    colour = window.copy()
    for flip in (np.diag([-1.0, 1.0]), np.diag([1.0, -1.0]), np.diag([-1.0, -1.0])):
        shift = np.array(centre) - flip @ np.array(centre)
        matrix = np.concatenate([flip, shift[:, None]], 1)
        size = window.shape[1], window.shape[0]
        mirrored = cv2.warpAffine(colour * known[..., None], matrix, size)
        seen = cv2.warpAffine(known, matrix, size)
        new = (known < 0.5) & (seen > 0.99) & (from_iris < radius * 1.1)
        colour = np.where(new[..., None], mirrored, colour)
        known = np.where(new, 1, known)
    colour = fill_holes(colour, known.astype(np.float32)) if known.any() else colour
    edge = max(1.2, 0.12 * radius)
    alpha = np.clip((radius + edge / 2 - from_iris) / edge, 0, 1)
    return np.concatenate([colour, alpha[..., None]], -1).astype(np.float32)


def polygon_mask(points: Float[np.ndarray, "n 2"], shape: tuple[int, ...]) -> Float[np.ndarray, "height width"]:
    """1 inside the polygon, 0 outside, in between on its edge."""
    high, wide = shape
    mask = np.zeros((high, wide), np.float32)
    first = min(max(int(points[:, 1].min()) - 1, 0), high - 1)
    last = min(max(int(points[:, 1].max()) + 3, first + 1), high)
    tall = np.zeros(((last - first) * ROWS, wide), np.uint8)
    drawn = np.stack([points[:, 0], (points[:, 1] - first + 0.5) * ROWS + ROW_SHIFT], 1)
    cv2.fillPoly(tall, [np.round(drawn * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    mask[first:last] = tall.reshape(last - first, ROWS, wide).mean(1) / 255
    return mask


def gaze_shift_px(
    gaze: Float[np.ndarray, " 2"], rotation: Float[np.ndarray, "3 3"], scale_px: float
) -> Float[np.ndarray, " 2"]:
    """How far, in portrait pixels, the iris moves when the eye turns by (yaw, pitch) from where it looks in the
    portrait."""
    x, y = np.sin(gaze[0]), -np.sin(gaze[1])
    offset = rotation @ np.array([x, y, 0.0]) * EYEBALL_RADIUS_CM * scale_px
    return np.array([offset[0], -offset[1]], np.float32)


def under_lid(shift: Float[np.ndarray, " 2"], shut: float) -> Float[np.ndarray, " 2"]:
    """How far the iris moves (px) under a lid this far shut: upwards only while the lid is open."""
    begun, whole = COMES_DOWN
    kept = 1 - min(max((shut - begun) / (whole - begun), 0.0), 1.0)
    return np.array([shift[0], max(shift[1], kept * shift[1])], np.float32)


def draw_eye(
    frame: UInt8[np.ndarray, "height width 3"],
    plates: EyePlates,
    contour: Float[np.ndarray, "n 2"],
    portrait_from_frame: Float[np.ndarray, "2 3"],
    shift: Float[np.ndarray, " 2"],
) -> None:
    """Draws the eye into the frame inside the lids' `contour`; `portrait_from_frame` says which portrait pixel lies
    there."""
    low = np.maximum(np.floor(contour.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(contour.max(0)).astype(int) + 2, (frame.shape[1], frame.shape[0]))
    if (high - low).min() < 2:
        return
    region = frame[low[1] : high[1], low[0] : high[0]]
    # a polygon without area would still draw its outline
    opening_px = cv2.contourArea(contour.astype(np.float32)) / max(float(np.ptp(contour[:, 0])), 1.0)
    mask = polygon_mask(contour - low, region.shape[:2]) * np.clip(opening_px - 0.5, 0, 1)
    xx, yy = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    at = np.stack([xx, yy], -1).astype(np.float32) @ portrait_from_frame[:, :2].T + portrait_from_frame[:, 2]
    at = (at - plates.origin).astype(np.float32)
    seen, white, inside = (_sample(p, at) for p in (plates.seen, plates.white, plates.inside))
    iris = _sample(plates.iris, at - shift)
    moved = white * (1 - iris[..., 3:]) + iris[..., :3] * iris[..., 3:]
    # an unmoved eye is the portrait's own; near the lids its lashes and shadow stay
    change = np.clip(np.hypot(*shift) / 1.5, 0, 1) * inside[..., None]
    eye = seen * (1 - change) + moved * change
    region[:] = (region * (1 - mask[..., None]) + eye * mask[..., None] + 0.5).astype(np.uint8)


def lift_lid(
    crop: UInt8[np.ndarray, "size size 3"],
    landmarks: Float[np.ndarray, "478 2"],
    contour: Float[np.ndarray, "n 2"],
    eye: int,
) -> LidPlate:
    """The skin that eye 0 (left in the picture) or 1 shuts with: what lies around it, above the fold and below the bag,
    continued over the eye, with the grain of the cheek. Lashes, brows and frames, thin and dark, are closed first."""
    fold, brow = landmarks[list(LID_FOLDS[eye])], landmarks[list(UNDER_BROWS[eye])]
    width = float(np.ptp(contour[:, 0]))
    low = np.minimum(contour.min(0) - 0.3 * width, brow.min(0))
    high = contour.max(0) + 0.35 * width
    x0, y0 = (int(k) for k in np.floor(np.maximum(low, 0)))
    x1, y1 = (int(k) for k in np.ceil(np.minimum(high, crop.shape[0] - 1)))
    size = max(int(LASH_REACH_SHARE * width), 3) | 1
    clean = cv2.morphologyEx(crop, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    window = cv2.GaussianBlur(clean, (0, 0), 0.03 * width)[y0:y1, x0:x1].astype(np.float32)
    lidded = np.concatenate([contour, fold[1:-1]]) - (x0, y0)
    hull = cv2.convexHull(lidded.astype(np.float32))[:, 0]
    known = 1 - polygon_mask(hull, window.shape[:2])
    known = cv2.erode((known > 0.99).astype(np.uint8), np.ones((size, size), np.uint8)).astype(np.float32)
    face = cv2.convexHull(landmarks.astype(np.float32))[:, 0] - (x0, y0)
    known *= cv2.erode(polygon_mask(face, known.shape), np.ones((size, size), np.uint8), borderValue=1.0)
    brow_px = np.interp(np.arange(x0, x1), *brow[np.argsort(brow[:, 0])].T) - y0
    known *= np.arange(y1 - y0)[:, None] > brow_px
    skin = fill_holes(window, known * _alike(window.mean(-1), known))
    soft = cv2.GaussianBlur(skin, (0, 0), 0.05 * width)
    return LidPlate(origin=(x0, y0), skin=soft + _grain(crop, (x0, y0, x1, y1), int(contour[:, 1].max()) - y0))


def _alike(tone: Float[np.ndarray, "height width"], known: np.ndarray) -> np.ndarray:
    """Where what is known is about as light as most of it: hair, and what stands behind a far eye, are not."""
    if not known.any():
        return known
    usual = float(np.median(tone[known > 0]))
    return (tone > usual * LID_ALIKE) & (tone < usual / LID_ALIKE)


def _grain(crop: np.ndarray, window: Sequence[int], down: int) -> np.ndarray:
    """Fine detail of the skin `down` pixels below the window, without what stands out."""
    x0, y0, x1, y1 = window
    below = np.clip(np.arange(y0, y1) + down, 0, crop.shape[0] - 1)
    skin = crop[below, x0:x1].astype(np.float32)
    detail = skin - cv2.GaussianBlur(skin, (0, 0), 2)
    usual = 3 * float(np.median(np.abs(detail)))
    return np.clip(detail, -usual, usual)


def lash_colours(
    crop: UInt8[np.ndarray, "size size 3"], edges: list[Float[np.ndarray, "n 2"]], plates: Sequence[LidPlate]
) -> Float[np.ndarray, "2 3"]:
    """The dark line along each upper lid's edge, as the portrait shows it."""
    colours = []
    for edge in edges:
        points = np.concatenate([edge + np.array([0, dy]) for dy in (-2, -1, 0)]).round().astype(int)
        points = points.clip(0, crop.shape[0] - 1)
        line = crop[points[:, 1], points[:, 0]].astype(np.float32)
        colours.append(line[line.sum(1) <= np.percentile(line.sum(1), 30)].mean(0))
    lashes, skin = np.array(colours, np.float32), np.array([plate.skin.mean() for plate in plates])
    share = np.maximum(lashes.mean(1) / np.maximum(skin, 1), 1e-3)
    lightest = min(LASHES_ALIKE * share.min(), LIGHTEST_LASHES)
    return (lashes * np.minimum(lightest / share, 1)[:, None]).astype(np.float32)


def draw_lid(
    frame: UInt8[np.ndarray, "height width 3"],
    edge: Float[np.ndarray, "n 2"],
    fold: Float[np.ndarray, "m 2"],
    plate: LidPlate,
    lash: Float[np.ndarray, " 3"],
    portrait_from_frame: Float[np.ndarray, "2 3"],
    shut: float,
) -> None:
    """Lays the lid's own skin between its edge and fold as it shuts (0 open, 1 shut): the portrait shows only a
    sliver of it, which stretching alone would turn into a dark smear of lashes."""
    if shut < LID_FROM:
        return
    width = float(np.ptp(edge[:, 0]))
    inner = edge + LID_INSET * (fold.mean(0) - edge.mean(0))  # the lashes stay
    contour = np.concatenate([inner, fold[::-1]])
    pad = int(0.2 * width) + 2
    low = np.maximum(np.floor(contour.min(0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(contour.max(0)).astype(int) + pad, (frame.shape[1], frame.shape[0]))
    if (high - low).min() < 3 or width < 4:
        return
    region = frame[low[1] : high[1], low[0] : high[0]]
    there = portrait_from_frame.copy()
    there[:, 2] += portrait_from_frame[:, :2] @ low - plate.origin
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    skin = cv2.warpAffine(plate.skin, there, region.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.GaussianBlur(polygon_mask(contour - low, region.shape[:2]), (0, 0), LID_FEATHER * width)
    begun = min((shut - LID_FROM) / LID_OVER, 1.0)
    mask = (LID_STRENGTH * begun * mask)[..., None]
    line = np.zeros(region.shape[:2], np.uint8)
    for path, share in zip((edge, edge[1:-1]), LASH_WIDTHS, strict=True):
        hanging = path - low + (0, LASH_DROP * width)
        points = np.round(hanging * 16).astype(np.int32)
        cv2.polylines(line, [points], False, 255, max(1, round(share * width)), cv2.LINE_AA, 4)
    stroke = cv2.GaussianBlur(line.astype(np.float32) / 255, (0, 0), max(0.6, LASH_FEATHER * width))[..., None]
    stroke *= LASH_STRENGTH * begun
    lid = region * (1 - mask) + skin * mask
    region[:] = np.clip(lid * (1 - stroke) + lash * stroke + 0.5, 0, 255).astype(np.uint8)


def _sample(plate: np.ndarray, at: np.ndarray) -> np.ndarray:
    return cv2.remap(plate, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
