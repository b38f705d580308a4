"""A person's outline is round: what turns away behind it makes room for what comes round from there.

A picture shows of hair, necks and hats what faces it. Carried along as a shell, the outline of a turning head would
draw in like that of a mask; a rounded body's stays about where it is, for other places become its outline. So points by
the outline are pushed out again by as much as a rim of the usual radius has turned away: the hair beside them is
stretched over what nobody has seen.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

RADIUS_CM = 9.0
"""How round heads are from front to back where they end in the picture."""

INWARDS_CM, OUTWARDS_CM = 2.5, 4.0
"""So far inside the outline, and outside, it takes others along."""

SOFT_PX = 8.0
"""The outline's direction is that of its surroundings: strands of hair have none of their own."""

CLEAR_PX = 512.0
"""A picture that is all person, or shows none, has no outline; distances from it end here."""


def rims(
    matte: Float[np.ndarray, "512 512"], places: Float[np.ndarray, "n 2"], scale_px: float
) -> Float[np.ndarray, "n 3"]:
    """For places of the crop (px): which way the outline near them faces, and as long as they are to go with it: the
    radius at the outline itself, less beside it (cm, camera axes). `scale_px` are pixels for a cm."""
    person = (matte > 0.5).astype(np.uint8)
    inside, outside = (cv2.distanceTransform(mask, cv2.DIST_L2, 5) for mask in (person, 1 - person))
    within = np.clip(inside - outside, -CLEAR_PX, CLEAR_PX)
    downwards, rightwards = np.gradient(cv2.GaussianBlur(within, (0, 0), SOFT_PX))
    x, y = places.round().astype(int).clip(0, matte.shape[0] - 1).T
    facing = np.stack([-rightwards[y, x], downwards[y, x], np.zeros(len(places))], 1)
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-6)
    depth = within[y, x] / scale_px
    share = np.where(depth > 0, np.clip(1 - depth / INWARDS_CM, 0, 1) ** 2, np.clip(1 + depth / OUTWARDS_CM, 0, 1))
    return (RADIUS_CM * share[:, None] * facing).astype(np.float32)


def come_round(turned: Float[np.ndarray, "n 3"], radius: Float[np.ndarray, "n 1"]) -> Float[np.ndarray, "n 3"]:
    """How far points by the outline move (cm), once their rims (`rims`, of these lengths) have turned with the head: a
    ball's outline faces sideways again, however it was turned."""
    sideways = np.linalg.norm(turned[:, :2], axis=1, keepdims=True)
    out = turned[:, :2] * (radius / np.maximum(sideways, 1e-6) - 1)
    return np.concatenate([out, -turned[:, 2:]], 1).astype(np.float32)
