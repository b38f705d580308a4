"""Eyes and brows looked at closely: what gaze, lids and brows did between two pictures of one person (`changes.py`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from vasa_core.changes import Changes, Part, load_changes
from vasa_core.landmarks import LID_RINGS
from vasa_core.surface import EYE_CORNERS, LANDMARKS, LOWER_LIDS, UPPER_LIDS, Surface

BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
INNER_BROWS, OUTER_BROWS = ((55, 107), (285, 336)), ((70, 105), (300, 334))
"""Whose mean heights `evaluate.expressions` reads, and so the network tells."""

UPPER_FACE = Part(
    name="upper face",
    px_per_cm=13.0,
    high_px=72,
    wide_px=80,
    raised_cm=0.9,  # the brow shows, raised too
    anchors=EYE_CORNERS,
    near=((*LID_RINGS[0], *BROWS[0]), (*LID_RINGS[1], *BROWS[1])),
    moving=((LANDMARKS,), (LANDMARKS + 1,)),  # the irises
    far=(
        (234, 93, 132, 58, 127, 162, 21, 54, 103, 67, 109, 172, 50, 205, 129, 48),
        (454, 323, 361, 288, 356, 389, 251, 284, 332, 297, 338, 397, 280, 425, 358, 278),
    ),
    middle=(10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 164, 152),
    common=("gaze yaw", "gaze pitch"),
    signs=(-1, 1),  # yaw is told as the right eye has it
    own=("lids", "inner brow", "outer brow"),
    helping=("iris aside", "iris up"),  # where the iris is, cm from the middle of the corners
    doubted=(0, 0, 1, 2, 2),
)
"""The right eye with its brow, and the left."""


def load_upper_face(path: Path, surface: Surface) -> Changes:
    """The network in a weight file; MissingWeights."""
    return load_changes(path, UPPER_FACE, surface)


def lids_and_brows(surface: Surface) -> Float[np.ndarray, "name=6 expression=48"]:
    """What each expression coordinate does to what is told of lids and brows (cm)."""
    up = surface.dynamics_basis[:, :LANDMARKS, 1].astype(np.float64)
    rows = [
        up[:, list(upper[2:5])].mean(1) - up[:, list(lower[2:5])].mean(1)
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True)
    ]
    return np.stack([*rows, *(up[:, list(ids)].mean(1) for ids in (*INNER_BROWS, *OUTER_BROWS))])
