"""Rotations, the camera, and the rasteriser that says which surface point each pixel sees.

Axes as in `latents`: x right, y up, z towards the camera, centimetres. Pixels: x right, y down, sample at integer
positions. The camera looks along -z from `CAMERA_DISTANCE_CM` in front of the head's origin; perspective is
x_px = centre + scale * X / (1 - Z / CAMERA_DISTANCE_CM), so `scale` is pixels per centimetre at the head's own depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float, Int

CAMERA_DISTANCE_CM = 80.0
"""Arm's length: the distance portraits are commonly taken from. It only sets how strong perspective is."""

NECK_PIVOT_CM = np.array([0.0, -9.0, -2.0], np.float32)
"""The joint the head turns about, in head coordinates: where skull meets neck in the training world."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Perspective onto a square crop: pixels per centimetre at depth zero, and the picture's centre."""

    scale_px: float
    centre_px: tuple[float, float]

    def project(self, points: Float[np.ndarray, "*vertex 3"]) -> Float[np.ndarray, "*vertex 3"]:
        """Pixel x, pixel y, and depth in cm (larger is nearer)."""
        scale = self.scale_px / (1 - points[..., 2] / CAMERA_DISTANCE_CM)
        x, y = self.centre_px
        columns = [x + scale * points[..., 0], y - scale * points[..., 1], points[..., 2]]
        return np.stack(columns, -1).astype(np.float32)

    def unproject(
        self, pixels: Float[np.ndarray, "*vertex 2"], depth_cm: Float[np.ndarray, "*vertex"]
    ) -> Float[np.ndarray, "*vertex 3"]:
        """The point at this depth that projects to this pixel: the inverse of `project`."""
        scale = self.scale_px / (1 - depth_cm / CAMERA_DISTANCE_CM)
        x, y = self.centre_px
        return np.stack([(pixels[..., 0] - x) / scale, (y - pixels[..., 1]) / scale, depth_cm], -1).astype(np.float32)


def rotation(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation matrix of a rotation vector in radians (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-8:
        return np.eye(3, dtype=np.float32)
    x, y, z = np.asarray(vector, np.float64) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix.astype(np.float32)


def rotation_vector(matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 3"]:
    """The rotation vector of a rotation matrix: the inverse of `rotation`, for angles below pi."""
    m = matrix.astype(np.float64)
    angle = np.arccos(np.clip((np.trace(m) - 1) / 2, -1, 1))
    if angle < 1e-7:
        return np.zeros(3, np.float32)
    axis = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]]) / (2 * np.sin(angle))
    return (axis * angle).astype(np.float32)


def vertex_normals(
    points: Float[np.ndarray, "vertex 3"], triangles: Int[np.ndarray, "triangle 3"]
) -> Float[np.ndarray, "vertex 3"]:
    """Unit normals, area-weighted over the triangles that meet at each vertex."""
    normals = np.zeros(points.shape, np.float32)
    _add_normals(points.astype(np.float32, copy=False), triangles, normals)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
@no_type_check  # compiled code takes no run-time checks
def _add_normals(points, triangles, normals):
    """Adds to each vertex the normals of its triangles, as long as these are large."""
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += x
            normals[corner, 1] += y
            normals[corner, 2] += z


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check  # compiled code takes no run-time checks
def rasterise(points, triangles, attributes, depth, out):
    """Draws triangles into `out`: where a pixel is nearer than `depth`, its attributes are interpolated and depth
    updated.

    points [vertex, 3] pixel x, pixel y, depth (larger nearer); attributes [vertex, channel]; depth [height, width] and
    out [height, width, channel] are written in place, so that several meshes can share one depth buffer.
    """
    height, width = depth.shape
    channels = attributes.shape[1]
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = points[a, 0], points[a, 1], points[a, 2]
        x1, y1, z1 = points[b, 0], points[b, 1], points[b, 2]
        x2, y2, z2 = points[c, 0], points[c, 1], points[c, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-6:
            continue
        inv = 1.0 / area
        left = max(int(np.ceil(min(x0, x1, x2) - 1e-3)), 0)
        right = min(int(np.floor(max(x0, x1, x2) + 1e-3)), width - 1)
        top = max(int(np.ceil(min(y0, y1, y2) - 1e-3)), 0)
        bottom = min(int(np.floor(max(y0, y1, y2) + 1e-3)), height - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inv
                w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inv
                w0 = 1.0 - w1 - w2
                # a hair of slack closes the cracks that rounding leaves between neighbours
                if w0 < -1e-4 or w1 < -1e-4 or w2 < -1e-4:
                    continue
                z = w0 * z0 + w1 * z1 + w2 * z2
                if z > depth[y, x]:
                    depth[y, x] = z
                    for k in range(channels):
                        out[y, x, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]


def empty_depth(height: int, width: int) -> Float[np.ndarray, "height width"]:
    """A depth buffer in which everything drawn is nearer."""
    return np.full((height, width), -1e9, np.float32)
