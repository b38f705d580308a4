"""The pixels that frames are drawn with, at the size of the frames: the portrait's crop, its matte and background.

At 512 pixels they are the portrait's own; for larger frames they are cut again from the picture that it came from, so
a frame of 1024 shows what the picture shows, where it has that much.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.landmarks import CROP_PX, cut
from vasa_core.portrait import Portrait

LARGE_PX = 2 * CROP_PX
"""Frames larger than the crop are made at this size."""


@dataclass(frozen=True, kw_only=True)
class Plates:
    """Crop, matte and background of one portrait at one size."""

    crop: UInt8[np.ndarray, "size size 3"]
    matte: Float[np.ndarray, "size size"]
    background: UInt8[np.ndarray, "size size 3"]

    @property
    def zoom(self) -> float:
        """Pixels for each pixel of the crop."""
        return self.crop.shape[0] / CROP_PX


def plates_of(portrait: Portrait, size: int = CROP_PX) -> Plates:
    """The portrait's plates at this size: CROP_PX or LARGE_PX."""
    if size == CROP_PX:
        return Plates(crop=portrait.crop, matte=portrait.matte, background=portrait.background)
    crop = cut(portrait.picture, enlarged(portrait.crop_from_picture, size), size)
    matte = cv2.resize(portrait.matte, (size, size), interpolation=cv2.INTER_LINEAR)
    behind = cv2.resize(portrait.background, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    # where the plate is the picture itself, it is so at this size too
    near = cv2.dilate(portrait.matte, np.ones((9, 9), np.uint8))
    own = cv2.GaussianBlur((near < 0.05).astype(np.float32), (0, 0), 2)
    own = np.clip(2 * cv2.resize(own, (size, size), interpolation=cv2.INTER_LINEAR) - 1, 0, 1)[..., None]
    background = np.clip(behind + own * (crop - behind) + 0.5, 0, 255).astype(np.uint8)
    return Plates(crop=crop, matte=np.clip(matte, 0, 1), background=background)


def enlarged(crop_from_picture: Float[np.ndarray, "2 3"], size: int) -> Float[np.ndarray, "2 3"]:
    """The transform whose `cut` shows at this size what that of `crop_from_picture` shows at CROP_PX.

    A cut that shrinks (`landmarks.cut`) meets pixels by their borders, one that enlarges by their middles.
    """
    times, scale = size / CROP_PX, float(crop_from_picture[0, 0])
    larger = (crop_from_picture * times).astype(np.float32)
    if scale >= 1:
        larger[:, 2] += (times - 1) / 2
    elif scale * times >= 1:
        larger[:, 2] += (scale * times - 1) / 2
    return larger


def at_size(points: Float[np.ndarray, "*n axis"], zoom: float) -> Float[np.ndarray, "*n axis"]:
    """Crop pixels (and what comes after x and y) as pixels of the crop `zoom` times as large; whole numbers are
    middles in both."""
    if zoom == 1:
        return points
    moved = points.astype(np.float32)
    moved[..., :2] = (points[..., :2] + 0.5) * zoom - 0.5
    return moved
