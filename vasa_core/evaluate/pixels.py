"""Pictures against the truth, pixel by pixel: signal-to-noise, sharpness, hidden regions, places of skin, masks.

All in the 512-pixel crop of a portrait. Truth on a grid of points (`Grid`) says what each point shows and where that
lies on the neutral average head, so that two frames of one person can be compared place by place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.spatial import cKDTree

CROP_PX = 512
SHOWN_CM = 0.45
"""A place counts as shown by another frame that shows the same part at most this far away (a grid of about 0.3 cm)."""

NEIGHBOURS = 6
Picture = UInt8[np.ndarray, "height width 3"]
Mask = Bool[np.ndarray, "height width"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Truth of one frame at points of the crop: their pixels, what part is there (0 nobody), and its place (cm)."""

    places: Float[np.ndarray, "row column 2"]
    part: UInt8[np.ndarray, "row column"]
    canonical: Float[np.ndarray, "row column 3"]


def squared_error(picture: Picture, truth: Picture, where: Mask | None = None) -> float:
    """Mean squared difference of code values, everywhere or where the mask is set; NaN where it is empty."""
    difference = (picture.astype(np.float32) - truth.astype(np.float32)) ** 2
    if where is not None:
        difference = difference[where]
    return float(difference.mean()) if difference.size else math.nan


def psnr_db(error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error of 8-bit values, dB; at most 99."""
    return min(10 * math.log10(255**2 / max(error, 1e-9)), 99.0)


def sharpness(picture: Picture, where: Mask) -> float:
    """Variance of the luma's Laplacian inside the mask: how much fine detail a face shows."""
    luma = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(luma, cv2.CV_32F)[where].var())


def moved_alone(picture: Picture, backward: Float[np.ndarray, "height width 2"]) -> Picture:
    """Warping and nothing else: each pixel from where `backward` (x, y) says; what comes from nowhere (far outside)
    stays as it is."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    nowhere = backward[..., 0] < -picture.shape[1]
    x, y = np.where(nowhere, x, backward[..., 0]), np.where(nowhere, y, backward[..., 1])
    return cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def hull(points: Float[np.ndarray, "n 2"], grow: float = 1.0) -> Mask:
    """The convex hull of landmarks as a mask of the crop, enlarged about its middle."""
    middle = points.mean(0)
    outline = cv2.convexHull(((points - middle) * grow + middle).astype(np.float32))
    mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
    cv2.fillConvexPoly(mask, outline.round().astype(np.int32), 1)
    return mask > 0


def hidden(target: Grid, source: Grid) -> Bool[np.ndarray, "row column"]:
    """Which points of the target show what the source does not: hidden skin, hair and cloth by their canonical place,
    and background that the person stood before."""
    unseen = np.zeros(target.part.shape, bool)
    for part in np.unique(target.part[target.part > 0]):
        here, there = target.part == part, source.part == part
        if not there.any():
            unseen |= here
            continue
        gap, _ = cKDTree(source.canonical[there]).query(target.canonical[here])
        unseen[here] = gap > SHOWN_CM
    covered = _at_grid(source, target.places) > 0
    return unseen | ((target.part == 0) & covered)


def _at_grid(grid: Grid, places: Float[np.ndarray, "row column 2"]) -> UInt8[np.ndarray, "row column"]:
    """The part that a grid shows nearest to other places."""
    _, near = cKDTree(grid.places.reshape(-1, 2)).query(places.reshape(-1, 2))
    return grid.part.ravel()[near].reshape(places.shape[:2])


def spread(flags: Bool[np.ndarray, "row column"], grid: Grid) -> Mask:
    """Flags of grid points as a mask of the crop."""
    low, high = grid.places[0, 0], grid.places[-1, -1]
    steps = (high - low) / (np.array(flags.shape[::-1]) - 1)
    crop_from_grid = np.array([[steps[0], 0, low[0]], [0, steps[1], low[1]]])
    size = (CROP_PX, CROP_PX)
    return cv2.warpAffine(flags.astype(np.uint8), crop_from_grid, size, flags=cv2.INTER_NEAREST) > 0


@dataclass(frozen=True, kw_only=True)
class Places:
    """Same skin in two frames: where it is in the target and where in the source (px of the crop)."""

    target: Float[np.ndarray, "n 2"]
    source: Float[np.ndarray, "n 2"]


def same_skin(target: Grid, source: Grid, skin: int) -> Places:
    """Skin that both frames show. Between the source's points by the local linear map from canonical places."""
    here, there = inner(target.part == skin), inner(source.part == skin)
    if not here.any() or there.sum() < NEIGHBOURS:
        return Places(target=np.zeros((0, 2), np.float32), source=np.zeros((0, 2), np.float32))
    found, reach = between(source.canonical[there], source.places[there], target.canonical[here])
    seen = reach < SHOWN_CM
    return Places(target=target.places[here][seen].astype(np.float32), source=found[seen].astype(np.float32))


def place_floor_px(grid: Grid, skin: int) -> float:
    """How well places between the grid's points are told: every second skin point from the others, mean error."""
    here = inner(grid.part == skin)
    odd = np.indices(here.shape).sum(0) % 2 == 1
    if (here & ~odd).sum() < NEIGHBOURS or not (here & odd).any():
        return math.nan
    found, _ = between(grid.canonical[here & ~odd], grid.places[here & ~odd], grid.canonical[here & odd])
    return float(np.linalg.norm(found - grid.places[here & odd], axis=1).mean())


def inner(flags: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Grid points that have their like on all sides."""
    return cv2.erode(flags.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0


def between(
    known: Float[np.ndarray, "m 3"], values: Float[np.ndarray, "m 2"], asked: Float[np.ndarray, "n 3"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Values at asked places, by the local linear map through the nearest known ones, and how far the nearest is."""
    gap, near = cKDTree(known).query(asked, k=NEIGHBOURS)
    centre, middle = known[near].mean(1), values[near].mean(1)
    a, b = known[near] - centre[:, None], values[near] - middle[:, None]
    square = np.einsum("nki,nkj->nij", a, a) + 1e-4 * np.eye(3)
    slope = np.linalg.solve(square, np.einsum("nki,nkj->nij", a, b))
    return middle + np.einsum("ni,nij->nj", asked - centre, slope), gap[:, 0]


def sampled(
    picture: Float[np.ndarray, "height width channel"], places: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n channel"]:
    """Bilinear samples at pixels (x, y), the first pixel's middle at 0."""
    x, y = (np.ascontiguousarray(places[None, :, axis], np.float32) for axis in (0, 1))
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max((one | other).sum(), 1))
