"""When the refinement network is asked: on every second frame, and between only where its word would not do.

What the network says of a frame changes slowly, so a frame between two others takes its word from both: moved as the
geometry says everything has moved, and bounded by what the geometry knows now. Warp, mouth and eyes are drawn anew in
every frame. How far such a frame is from the one the network would have made is foretold from the geometry alone
(figures in RESULTS.md); where that is nearer than NEAR_DB, it is asked after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import UInt8

from vasa_core.blending import drawn_in
from vasa_core.mending import MOVED, Mending, Said
from vasa_core.sight import MOVED_PX, Sight

Begun = tuple[UInt8[np.ndarray, "size size 3"], Sight]

NEAR_DB = 42.0
"""PSNR foretold for the whole picture and for the mouth, that a frame between two others must reach."""

WHOLE_DB = (67.6, -11.1, -7.4, -20.9)
MOUTH_DB = (57.1, -5.4, -8.9)
"""Least squares over 410 frames of three portraits, spread 3.4 dB: by decades of what sight does besides changing
evenly, of the longest way that anything goes, and of the portrait's contrast; of the drawn openings, and of the way."""


class Attention:
    """Frames of one portrait in order, mended with as few questions as will do."""

    def __init__(self, mending: Mending) -> None:
        self.mending = mending
        self.contrast = contrast(mending.crop)

    def frames(self, begun: Iterable[Begun | None]) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
        """The mended frames. None among what was begun says that the next will be long in coming, so that none waits
        for it."""
        asked: Said | None = None
        waiting: Begun | None = None
        for one in begun:
            if one is None:
                if waiting:
                    asked = self.mending.asked(*waiting)
                    yield self.mending.frame(waiting[0], asked)
                waiting = None
            elif asked is None or waiting:
                said = self.mending.asked(*one)
                if asked and waiting:
                    yield self._between(asked, waiting, said)
                yield self.mending.frame(one[0], said)
                asked, waiting = said, None
            else:
                waiting = one
        if waiting:
            yield self.mending(*waiting)

    def _between(self, before: Said, one: Begun, after: Said) -> UInt8[np.ndarray, "size size 3"]:
        warped, sight = one
        if min(foretold_db(before.sight, sight, after.sight, self.contrast)) < NEAR_DB:
            return self.mending(warped, sight)
        return self.mending.frame(warped, self.mending.between(before, after, sight))


def foretold_db(before: Sight, sight: Sight, after: Sight, contrast: float) -> tuple[float, float]:
    """PSNR, whole and around the mouth, of the frame between against the one that the network would make."""
    way = MOVED_PX * np.linalg.norm(after.coarse[MOVED] - before.coarse[MOVED], axis=0).max()
    uneven = _uneven(*(one.fine[:, ::2, ::2] for one in (before, sight, after)))
    opened = _uneven(*(drawn_in(one.fine) for one in (before, sight, after)))
    decades = np.log10(np.array([uneven, way, contrast, opened]) + 0.01)
    whole = WHOLE_DB[0] + WHOLE_DB[1] * decades[0] + WHOLE_DB[2] * decades[1] + WHOLE_DB[3] * decades[2]
    return float(whole), float(MOUTH_DB[0] + MOUTH_DB[1] * decades[3] + MOUTH_DB[2] * decades[1])


def _uneven(before: np.ndarray, between: np.ndarray, after: np.ndarray) -> float:
    """How far planes (0 to 255) are, on average, from the mean of their neighbours in time."""
    before, between, after = (planes.astype(np.float32) for planes in (before, between, after))
    return float(np.abs(between - (before + after) / 2).mean())


def contrast(picture: UInt8[np.ndarray, "high wide 3"]) -> float:
    """Grey levels from pixel to pixel, on average."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, x, 1 - x, scale=1 / 8) for x in (1, 0))
    return float(np.hypot(across, down).mean())
