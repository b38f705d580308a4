"""Mouth and chin looked at closely: what jaw and lips did between two pictures of one person (`changes.py`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from vasa_core.changes import Changes, Part, load_changes
from vasa_core.surface import LANDMARKS, LOWER_LIP, UPPER_LIP, Surface

CHIN = (152, 148, 377, 176, 400)
CORNERS = (61, 291)
OUTER_LIPS = (0, 17)
"""Whose places `evaluate.expressions` reads, and so the network tells."""

PUSHED = (0, 13, 14, 17)
"""Landmarks that go forward together when lips are pushed out."""

LIPS = (
    (61, 185, 40, 39, 37, 146, 91, 181, 84, 78, 191, 80, 81, 82, 95, 88, 178, 87, 0, 13, 14, 17),
    (291, 409, 270, 269, 267, 375, 321, 405, 314, 308, 415, 310, 311, 312, 324, 318, 402, 317, 0, 13, 14, 17),
)

LOWER_FACE = Part(
    name="lower face",
    px_per_cm=11.0,
    high_px=96,
    wide_px=88,
    raised_cm=-1.75,  # from the nose to the chin of a jaw dropped far
    anchors=(CORNERS, CORNERS),
    near=LIPS,
    moving=((152, 148, 176, 149, 150, 61), (152, 377, 400, 378, 379, 291)),
    far=(
        (234, 93, 132, 58, 127, 162, 172, 136, 50, 205, 206, 129, 48, 33, 133),
        (454, 323, 361, 288, 356, 389, 397, 365, 280, 425, 426, 358, 278, 263, 362),
    ),
    middle=(10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 164),
    common=("jaw drop", "lip opening", "lip height", "lips forward"),
    signs=(1, 1, 1, 1),
    own=("corner aside", "corner lift"),
    helping=("corner seen aside", "corner seen up"),  # cm from the middle of the corners, in the window
    doubted=(0, 1, 1, 1, 2, 2),
)
"""The whole mouth with its chin, and the same mirrored: either side tells of its own corner."""


def load_lower_face(path: Path, surface: Surface) -> Changes:
    """The network in a weight file; MissingWeights."""
    return load_changes(path, LOWER_FACE, surface)


def lower_face_of(landmarks: Float[np.ndarray, "*look landmark 3"]) -> Float[np.ndarray, "*look name=8"]:
    """What landmarks in head coordinates (cm) show, in the order of LOWER_FACE.names: linear in them."""
    right, up, forward = np.moveaxis(landmarks.astype(np.float64), -1, 0)
    lips = [up[..., list(ids)[2:7]].mean(-1) for ids in (UPPER_LIP, LOWER_LIP)]
    common = [
        -up[..., list(CHIN)].mean(-1),
        lips[0] - lips[1],
        up[..., OUTER_LIPS[0]] - up[..., OUTER_LIPS[1]],
        forward[..., list(PUSHED)].mean(-1),
    ]
    aside = [sign * right[..., corner] for sign, corner in zip((-1, 1), CORNERS, strict=True)]
    return np.stack([*common, *aside, *(up[..., corner] for corner in CORNERS)], -1)


def jaw_and_lips(surface: Surface) -> Float[np.ndarray, "name=8 expression=48"]:
    """What each expression coordinate does to what is told of jaw and lips (cm)."""
    return lower_face_of(surface.dynamics_basis[:, :LANDMARKS]).T
