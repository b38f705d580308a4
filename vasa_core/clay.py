"""A face surface as grey clay: what codes alone say of a shape, without anybody's skin.

Vertices in canonical head coordinates (cm) go in, a shaded picture comes out; nobody's pixels are in it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.geometry import Camera, empty_depth, rasterise, rotation, vertex_normals
from vasa_core.surface import EYE_CORNERS, LIP_CORNERS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP, Surface

Contour = tuple[int, ...]
OPENINGS: tuple[tuple[Contour, Contour, Contour, float], ...] = (
    (LIP_CORNERS, UPPER_LIP, LOWER_LIP, 70.0),
    (EYE_CORNERS[0], UPPER_LIDS[0], LOWER_LIDS[0], 226.0),
    (EYE_CORNERS[1], UPPER_LIDS[1], LOWER_LIDS[1], 226.0),
)
"""Corners, upper and lower contour, and how bright it is between them: a dark mouth, white eyes."""

OPENING_BEHIND_CM = 0.02
SIZE_PX = 320
HEAD_CM = 33.0
"""So much of the world fits into the picture's height."""

PAPER, CLAY = 250.0, np.array([205, 190, 176], np.float32)
KEY_LIGHT = np.array([-0.45, 0.55, 0.70], np.float32) / np.linalg.norm([-0.45, 0.55, 0.70])
AMBIENT = 0.45
SHELL_BEHIND_CM = 1.0
"""Skull and neck lie so far behind the face where both are drawn, or their triangles would cut through the cheeks."""


def clay(
    vertices: Float[np.ndarray, "vertex 3"],
    surface: Surface,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    size_px: int = SIZE_PX,
) -> UInt8[np.ndarray, "size size 3"]:
    """The vertices seen after a turn (degrees: yaw > 0 to image right, pitch > 0 down), lit from the upper left."""
    turn = rotation(np.array([0, np.radians(yaw), 0], np.float32)) @ rotation(np.array([np.radians(pitch), 0, 0]))
    posed = (vertices @ turn.T).astype(np.float32)
    camera = Camera(scale_px=size_px / HEAD_CM, centre_px=(size_px / 2, size_px * 0.47))
    pixels, depth = camera.project(posed), empty_depth(size_px, size_px)
    picture = np.full((size_px, size_px, 3), PAPER, np.float32)
    for part, behind_cm in (("face", 0.0), ("shell", SHELL_BEHIND_CM)):
        triangles = surface.triangles[part]
        lit = AMBIENT + (1 - AMBIENT) * np.clip(_normals(posed, triangles) @ KEY_LIGHT, 0, 1)
        colours = (lit[:, None] * CLAY).astype(np.float32)
        rasterise(pixels - np.array([0, 0, behind_cm], np.float32), triangles, colours, depth, picture)
    for corners, upper, lower, bright in OPENINGS:
        between = np.full((len(pixels), 3), bright, np.float32)
        set_back: np.ndarray = pixels - np.array([0, 0, OPENING_BEHIND_CM], np.float32)
        rasterise(set_back, _strip(corners, upper, lower), between, depth, picture)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _normals(posed: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Normals averaged with their neighbours': the mesh is coarse, and clay has no facets."""
    normals = vertex_normals(posed, triangles)
    for _ in range(2):
        around = normals[triangles].sum(1)
        sums = np.zeros_like(normals)
        np.add.at(sums, triangles.ravel(), np.repeat(around, 3, axis=0))
        normals = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return normals


def _strip(corners: Contour, upper: Contour, lower: Contour) -> np.ndarray:
    """Triangles that fill the opening between two contours of equal length."""
    above, below = ([corners[0], *contour, corners[1]] for contour in (upper, lower))
    quads = [(above[k], above[k + 1], below[k], below[k + 1]) for k in range(len(above) - 1)]
    return np.array([triangle for a, b, c, d in quads for triangle in ((a, b, c), (b, d, c))], np.int32)
