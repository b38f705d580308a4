"""The visible label that every released picture carries, top right, from the first frame: "AI", on a plate of its own.

The plate is dark and nearly opaque, so the letters keep their contrast on any picture (WCAG 2: at least 4.5 to 1, for
white, black and busy ones alike). Size follows the frame's shorter side; small frames carry the two letters alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from PIL import Image, ImageDraw, ImageFont

MAIN, REST = "AI", "generated"
MAIN_HEIGHT = 1 / 19
"""Of the shorter side: letters of 27 px at 512, of which the capital is two thirds."""

REST_SHARE = 0.62
SMALLEST_MAIN_PX = 15
SMALLEST_REST_PX = 11
OVERSAMPLING = 4
BACKING = (16, 16, 18, 196)
INK = (255, 255, 255, 255)


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
    size = OVERSAMPLING * max(SMALLEST_MAIN_PX, shorter_side * MAIN_HEIGHT)
    words = [(MAIN, ImageFont.load_default(size), size / 22)]  # the stroke makes a bold of a regular face
    if REST_SHARE * size >= OVERSAMPLING * SMALLEST_REST_PX:
        words.append((REST, ImageFont.load_default(REST_SHARE * size), 0))
    gap, pad_x, pad_y = 0.24 * size, 0.34 * size, 0.26 * size
    lengths = [font.getlength(word) + 2 * stroke for word, font, stroke in words]
    _, top, _, bottom = words[0][1].getbbox(MAIN, anchor="ls", stroke_width=words[0][2])
    box = (round(sum(lengths) + gap * (len(words) - 1) + 2 * pad_x), round(bottom - top + 2 * pad_y))
    large = Image.new("RGBA", box, (*BACKING[:3], 0))
    pen, x = ImageDraw.Draw(large), pad_x
    pen.rounded_rectangle((0, 0, box[0] - 1, box[1] - 1), radius=box[1] / 3.2, fill=BACKING)
    for (word, font, stroke), length in zip(words, lengths, strict=True):
        pen.text((x + stroke, pad_y - top), word, font=font, fill=INK, anchor="ls", stroke_width=stroke)
        x += length + gap
    return large.resize((box[0] // OVERSAMPLING, box[1] // OVERSAMPLING), Image.Resampling.BOX)


def contrast(one: Float[np.ndarray, " 3"], other: Float[np.ndarray, " 3"]) -> float:
    """WCAG 2's contrast ratio of two sRGB colours of 0 to 255: from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Float[np.ndarray, " 3"]) -> float:
    share = np.asarray(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
