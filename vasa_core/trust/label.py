"""The small visible label that every released picture carries, top right, from the first frame.

It brings its own dark backing, so it reads on any picture; its size follows the frame's shorter side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageDraw, ImageFont

TEXT = "AI-generated"
TEXT_HEIGHT = 1 / 30
"""Of the shorter side: 17 px at 512."""

SMALLEST_TEXT_PX = 9
OVERSAMPLING = 4
BACKING = (16, 16, 18, 168)
INK = (255, 255, 255, 245)


@dataclass(frozen=True, slots=True)
class Label:
    """The label as it lies on frames of one size: out = (colour + frame · transparency) / 256."""

    top: int
    left: int
    colour: UInt16[np.ndarray, "label_height label_width 3"]
    transparency: UInt16[np.ndarray, "label_height label_width 1"]

    def onto(self, frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """A labelled copy of the frame."""
        labelled = frame.copy()
        height, width, _ = self.colour.shape
        region = labelled[self.top : self.top + height, self.left : self.left + width]
        region[:] = (region * self.transparency + self.colour) >> 8
        return labelled


@lru_cache(maxsize=8)
def label_for(height: int, width: int) -> Label:
    """The label for frames of this size, drawn once."""
    patch = np.asarray(_drawn(min(height, width)), dtype=np.float64)
    margin = max(2, round(min(height, width) / 64))
    patch = patch[: max(1, height - 2 * margin), -max(1, width - 2 * margin) :]
    alpha = patch[..., 3:] / 255
    return Label(
        top=min(margin, height - patch.shape[0]),
        left=max(0, width - margin - patch.shape[1]),
        colour=np.round(patch[..., :3] * alpha * 256).astype(np.uint16),
        transparency=np.round((1 - alpha) * 256).astype(np.uint16),
    )


def _drawn(shorter_side: int) -> Image.Image:
    """The label as an RGBA picture, drawn large and scaled down: smooth corners at any size."""
    size = OVERSAMPLING * max(SMALLEST_TEXT_PX, shorter_side * TEXT_HEIGHT)
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(TEXT)
    pad_x, pad_y = 0.55 * size, 0.35 * size
    box = (round(right - left + 2 * pad_x), round(bottom - top + 2 * pad_y))
    large = Image.new("RGBA", box, (*BACKING[:3], 0))
    pen = ImageDraw.Draw(large)
    pen.rounded_rectangle((0, 0, box[0] - 1, box[1] - 1), radius=box[1] / 3, fill=BACKING)
    pen.text((pad_x - left, pad_y - top), TEXT, font=font, fill=INK)
    return large.resize((box[0] // OVERSAMPLING, box[1] // OVERSAMPLING), Image.Resampling.BOX)
