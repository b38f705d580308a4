"""What the geometry knows about each pixel of a frame, drawn small: the refinement network's view of the surface.

Fine planes (256 pixels) say where person, face, mouth and eyes are; coarse ones (128 pixels) what is seen there and
how it has turned since the portrait, which is what hidden skin and shading follow from (paper section 3.1: the warp of
the canonical volume; here it is known, not guessed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from vasa_core.eyes import polygon_mask
from vasa_core.geometry import empty_depth, rasterise
from vasa_core.landmarks import CROP_PX

FINE_PX, COARSE_PX = 256, 128
FINE = ("person", "face", "shown", "mouth", "eyes")
COARSE = (
    *("moved x", "moved y", "canonical x", "canonical y", "canonical z"),
    *("normal x", "normal y", "normal z", "portrait's normal x", "portrait's normal y", "portrait's normal z", "head"),
)
MOVED_PX = 64.0
"""A displacement of this many crop pixels counts as 1."""

CANONICAL_CM = 10.0


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Planes named by FINE (0 to 255) and COARSE (about -1 to 1)."""

    fine: UInt8[np.ndarray, "fine=5 256 256"]
    coarse: Float[np.ndarray, "coarse=12 128 128"]


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """Points on the crop (px, px, cm), triangles, and what each point tells the coarse planes after `moved`."""

    points: Float[np.ndarray, "vertex 3"]
    triangles: Int[np.ndarray, "triangle 3"]
    source_px: Float[np.ndarray, "vertex 2"]
    told: Float[np.ndarray, "vertex 10"]


def fine_planes(
    alpha: Float[np.ndarray, "size size"],
    face: Float[np.ndarray, "size size 2"],
    mouth: Float[np.ndarray, "n 2"],
    eyes: Sequence[Float[np.ndarray, "m 2"]],
) -> UInt8[np.ndarray, "fine=5 256 256"]:
    """Person, face, how well the portrait shows this skin, and the openings of mouth and eyes (contours in crop px)."""
    shape = (FINE_PX, FINE_PX)
    person = cv2.resize(alpha, shape, interpolation=cv2.INTER_AREA)
    wins, shown = np.moveaxis(cv2.resize(face, shape, interpolation=cv2.INTER_AREA), -1, 0)
    opened = [polygon_mask(at(contour, FINE_PX), shape) for contour in (mouth, *eyes)]
    planes = np.stack([person, wins, shown, opened[0], np.maximum(opened[1], opened[2])])
    return (planes * 255 + 0.5).astype(np.uint8)


def coarse_planes(sheet: Mesh, face: Mesh) -> Float[np.ndarray, "coarse=12 128 128"]:
    """The sheet, and the face over it."""
    planes = np.zeros((COARSE_PX, COARSE_PX, len(COARSE)), np.float32)
    for mesh in (sheet, face):
        points = mesh.points.copy()
        points[:, :2] = at(points[:, :2], COARSE_PX)
        moved = (mesh.source_px - mesh.points[:, :2]) / MOVED_PX
        attributes = np.concatenate([moved, mesh.told], 1).astype(np.float32)
        rasterise(points, mesh.triangles, attributes, empty_depth(COARSE_PX, COARSE_PX), planes)
    return np.ascontiguousarray(np.moveaxis(planes, -1, 0))


def depth_seen(meshes: Sequence[Mesh]) -> Float[np.ndarray, "128 128"]:
    """Depth (cm towards the camera) of what is seen, nearer meshes last; far away where there is nothing."""
    seen = np.full((COARSE_PX, COARSE_PX, 1), -100, np.float32)
    for mesh in meshes:
        points = mesh.points.copy()
        points[:, :2] = at(points[:, :2], COARSE_PX)
        rasterise(points, mesh.triangles, mesh.points[:, 2:], empty_depth(COARSE_PX, COARSE_PX), seen)
    return seen[..., 0]


def at(points: Float[np.ndarray, "*n 2"], size_px: int) -> Float[np.ndarray, "*n 2"]:
    """Crop pixels as pixels of the crop at another size; samples at integer positions in both."""
    return ((points + 0.5) * (size_px / CROP_PX) - 0.5).astype(np.float32)
