"""The teeth that a portrait shows: who smiles with parted lips goes on with their own.

Each vertex of the drawn teeth knows where it lies in the portrait; where a tooth is seen there, its pixels are taken,
elsewhere enamel is drawn in the colour of those that are seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from vasa_core.eyes import polygon_mask

LEAST_PX = 60
"""Fewer pixels than this (in a crop of 512) are a glint, not teeth."""

ENAMEL_FROM, ENAMEL_SURE = 0.55, 0.72
"""Between these shares of the skin's brightness what is seen between the lips turns from shadow into enamel."""

PALE_FROM, PALE_SURE = 0.25, 0.65
"""And between these shares of the way from the lips' redness to the skin's, from flesh into enamel."""

COLOUR_PERCENTILE = 70
SOFT_PX = 0.8


@dataclass(frozen=True, kw_only=True)
class OwnTeeth:
    """What the portrait shows of teeth, and where the drawn ones lie in it."""

    picture: UInt8[np.ndarray, "size size 3"]
    share: Float[np.ndarray, "size size"]
    """How surely each pixel is a tooth."""
    places_px: Float[np.ndarray, "vertex 2"]
    """Of all vertices of the surface, on the picture."""
    colour: Float[np.ndarray, " 3"]

    def at(
        self, places_px: Float[np.ndarray, "height width 2"], tooth: Bool[np.ndarray, "height width"]
    ) -> Float[np.ndarray, "height width 4"]:
        """What the picture shows at these places: its colour, and how surely that is a tooth, 0 where none is
        drawn."""
        x, y = np.ascontiguousarray(places_px[..., 0]), np.ascontiguousarray(places_px[..., 1])
        colour = cv2.remap(self.picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = cv2.remap(self.share, x, y, cv2.INTER_LINEAR) * tooth
        return np.concatenate([colour, share[..., None]], -1).astype(np.float32)


def own_teeth(
    picture: UInt8[np.ndarray, "size size 3"],
    contour: Float[np.ndarray, "n 2"],
    places_px: Float[np.ndarray, "vertex 2"],
    skin: Float[np.ndarray, " 3"],
    lips: Float[np.ndarray, " 3"],
    least_px: float = LEAST_PX,
) -> OwnTeeth | None:
    """The teeth between the lips' inner `contour` (px), told from shadow by how bright they are beside the skin, and
    from flesh by how little red; None where the portrait shows none."""
    share = tooth_share(picture, contour, skin, lips)
    sure = share > 0.5
    if sure.sum() < least_px:
        return None
    colour = np.percentile(picture[sure].astype(np.float32), COLOUR_PERCENTILE, axis=0).astype(np.float32)
    return OwnTeeth(picture=picture, share=share, places_px=places_px.astype(np.float32), colour=colour)


def tooth_share(
    picture: UInt8[np.ndarray, "size size 3"],
    contour: Float[np.ndarray, "n 2"],
    skin: Float[np.ndarray, " 3"],
    lips: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, "size size"]:
    """How surely each pixel between the lips is a tooth."""
    inside = cv2.erode(polygon_mask(contour, picture.shape[:2]), np.ones((3, 3), np.uint8))
    colour = picture.astype(np.float32)
    bright = _ramp(colour.max(-1) / max(float(skin.max()), 1), ENAMEL_FROM, ENAMEL_SURE)
    share = inside * bright
    span = float(_paleness(skin) - _paleness(lips))
    if span > 0.05:  # a picture without colour tells by brightness alone
        share *= _ramp((_paleness(colour) - _paleness(lips)) / span, PALE_FROM, PALE_SURE)
    return cv2.GaussianBlur(share.astype(np.float32), (0, 0), SOFT_PX * picture.shape[0] / 512) * inside


def _paleness(colour: np.ndarray) -> np.ndarray:
    return np.asarray((colour[..., 1] + 1) / (colour[..., 0] + 1))


def _ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
