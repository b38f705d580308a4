"""FaceKit: the morphable head on which every synthetic person is built.

Units cm. +x is the subject's left (the right of a picture taken from the front), +y up, +z out of the face.
Yaw > 0 turns to the right of the picture, pitch > 0 nods down, roll > 0 tilts clockwise in the picture; all in degrees.
`neutral` is the average face at rest; a point of it names the same anatomical place on every person (`canonical`).
The mesh comes from ICT-FaceKit (MIT, University of Southern California), packed as one npz by `pack`; training data,
not shipped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float, Int
from numpy import ndarray as Array

from vasa_core.errors import MissingWeights

Number = float | int
NECK_PIVOT = np.array([0, -9, -2], np.float32)  # the point about which the head turns
FACE, SCALP, MOUTH, SOCKET_L, SOCKET_R, GUMS, TEETH, EYE_L, EYE_R = range(9)
LASHES_L, LASHES_R = 15, 16  # parts 9 to 14 (tear film, lid blends) are not drawn
SIDES = ("L", "R")


def smoothstep(low: Number, high: Number, value: Array) -> Array:
    """0 below `low`, 1 above `high`, a smooth cubic between; `low` may be the larger."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def unit(vectors: Array) -> Array:
    """The vectors at length one; a zero vector stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def neck_weight(points: Float[Array, "*points 3"]) -> Float[Array, " *points"]:
    """How much rest points follow the head: 0 on the torso, 1 above the jaw line."""
    return smoothstep(-14.5, -6.0, points[..., 1] + 0.2857 * points[..., 2]).astype(np.float32)


def head_rotation(yaw: Number, pitch: Number, roll: Number) -> Float[Array, "3 3"]:
    """The rotation matrix of a head pose in degrees, applied roll @ yaw @ pitch."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.deg2rad([yaw, pitch, roll])), np.sin(np.deg2rad([yaw, pitch, roll]))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def quaternion(rotation: Float[Array, "3 3"]) -> Float[Array, 4]:
    """The unit quaternion (x, y, z, w) of a rotation by less than 180 degrees."""
    w = np.sqrt(max(0.0, 1 + np.trace(rotation))) / 2
    r = rotation
    xyz = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]) / (4 * w)
    return np.append(xyz, w).astype(np.float32)


def turn(q: Float[Array, "*q 4"], v: Float[Array, "*v 3"]) -> Float[Array, "*v 3"]:
    """The vectors turned by the quaternions."""
    t = 2 * np.cross(q[..., :3], v)
    return v + q[..., 3:] * t + np.cross(q[..., :3], t)


def pose_points(points: Float[Array, "n 3"], weight: Float[Array, " n"], rotation: Float[Array, "3 3"]) -> Array:
    """Where rest points go when the head turns about the neck and each follows by its weight (as in the shader)."""
    still = np.array([0, 0, 0, 1], np.float32)
    q = unit(still * (1 - weight[:, None]) + quaternion(rotation) * weight[:, None])
    return turn(q, points - NECK_PIVOT) + NECK_PIVOT


def data_folder() -> Path:
    """Where the training data lies: the environment variable VASA_DATA, else ../shared/data."""
    return Path(os.environ.get("VASA_DATA", "../shared/data"))


def facekit_path() -> Path:
    """Where the packed model is looked for."""
    return data_folder() / "facekit" / "ict_face.npz"


@dataclass(frozen=True)
class Eyeball:
    """One eye of the neutral head: a sphere that turns about its centre."""

    vertices: Int[Array, " n"]
    center: Float[Array, 3]
    axis: Float[Array, 3]  # from the centre to the apex of the cornea, at rest
    apex: Number  # distance from the centre to the apex, cm


class FaceKit:
    """The head's topology, its 100 identity modes and its 57 expression modes."""

    def __init__(self, path: Path | None = None, pack: Mapping[str, Array] | None = None):
        """The model in a file, or another head given as the arrays that such a file holds (`head.shipped_head`)."""
        if pack is None:
            path = path or facekit_path()
            if not path.exists():
                raise MissingWeights(
                    f"The head model is not at {path}: set VASA_DATA to the folder that holds facekit/."
                )
            pack = np.load(path)
        self.neutral: Float[Array, "vertices 3"] = pack["neutral"]
        self.identity_modes = pack["ident"].astype(np.float32).reshape(len(pack["ident"]), -1)
        self.expression_modes = pack["expr"].astype(np.float32).reshape(len(pack["expr"]), -1)
        self.expression_names = [str(name) for name in pack["expr_names"]]
        self.expression_index = {name: i for i, name in enumerate(self.expression_names)}
        self.faces, self.uv_faces, self.uv = pack["fv"], pack["ft"], pack["uv"]
        self.face_material, self.materials = pack["fmat"], [str(name) for name in pack["mat_names"]]
        self.part, self.landmarks, self.jaw_line = pack["part"], pack["lm68"], pack["jaw"]
        self.face_part = self.part[self.faces[:, 0]]
        self.weight = np.where(self.part >= MOUTH, np.float32(1), neck_weight(self.neutral))
        self._split_at_uv_seams()

    def _split_at_uv_seams(self) -> None:
        """A GPU vertex has one texture coordinate, so vertices on a seam are doubled."""
        pair = self.faces.astype(np.int64) * len(self.uv) + self.uv_faces
        unique, inverse = np.unique(pair.ravel(), return_inverse=True)
        self.split_vertex = (unique // len(self.uv)).astype(np.int32)
        self.split_uv = self.uv[unique % len(self.uv)]
        self.split_faces = inverse.reshape(-1, 3).astype(np.int32)

    def identity(self, coefficients: Float[Array, " modes"]) -> Float[Array, "vertices 3"]:
        """The resting head of the person with these identity coefficients (standard deviations)."""
        coefficients = np.asarray(coefficients, np.float32)
        return self.neutral + (coefficients @ self.identity_modes[: len(coefficients)]).reshape(-1, 3)

    def expression(self, rest: Float[Array, "vertices 3"], weights: Float[Array, " modes"]) -> Array:
        """A resting head with expression modes added."""
        used = np.nonzero(weights)[0]
        return rest + (weights[used] @ self.expression_modes[used]).reshape(-1, 3)

    def expression_weights(self, named: dict[str, Number]) -> Float[Array, " modes"]:
        """The weight vector of named modes; `mouthSmile` stands for its _L and _R halves."""
        weights = np.zeros(len(self.expression_names), np.float32)
        for name, value in named.items():
            for full in (name,) if name in self.expression_index else (f"{name}_L", f"{name}_R"):
                weights[self.expression_index[full]] += value
        return weights

    def shape(self, coefficients: Float[Array, " modes"], named: dict[str, Number]) -> Float[Array, "vertices 3"]:
        """The head of a person making an expression."""
        return self.expression(self.identity(coefficients), self.expression_weights(named))

    def closing(self, vertices: Float[Array, "vertices 3"]) -> dict[str, Number]:
        """The little `mouthClose` that makes these lips just touch (linear in the gap between the inner lips)."""
        upper, lower = self.landmarks[[61, 62, 63]], self.landmarks[[67, 66, 65]]
        mode = self.expression_modes[self.expression_index["mouthClose"]].reshape(-1, 3)
        gap, per_unit = ((values[upper, 1] - values[lower, 1]).mean() for values in (vertices, mode))
        return {"mouthClose": float(np.clip(-gap / per_unit, -0.02, 0.2))}

    def normals(self, vertices: Float[Array, "vertices 3"]) -> Float[Array, "vertices 3"]:
        """Unit vertex normals, weighted by triangle area."""
        a, b, c = (vertices[self.faces[:, i]] for i in range(3))
        return unit(self._vertex_from_face @ np.cross(b - a, c - a)).astype(np.float32)

    @cached_property
    def _vertex_from_face(self) -> sparse.csr_matrix:
        count = len(self.faces)
        rows, columns = self.faces.ravel(), np.repeat(np.arange(count), 3)
        return sparse.csr_matrix((np.ones(3 * count, np.float32), (rows, columns)), (len(self.neutral), count))

    def material_faces(self, *names: str) -> Array:
        """Mask of the triangles of the named materials."""
        return np.isin(self.face_material, [self.materials.index(name) for name in names])

    @cached_property
    def eyeballs(self) -> dict[str, Eyeball]:
        """The two eyes by side."""
        return {
            side: self._eyeball(part, name)
            for side, part, name in (("L", EYE_L, "M_ScleraLeft"), ("R", EYE_R, "M_ScleraRight"))
        }

    def _eyeball(self, part: int, material: str) -> Eyeball:
        triangles = self.material_faces(material)
        surface = self.neutral[np.unique(self.faces[triangles])]
        back = surface[surface[:, 2] < surface[:, 2].max() - 0.9]  # without the corneal bulge it is a sphere
        fit = np.linalg.lstsq(np.c_[2 * back, np.ones(len(back))], (back**2).sum(1), rcond=None)[0]
        center = fit[:3].astype(np.float32)
        nearest = ((self.uv[self.uv_faces[triangles]] - 0.5) ** 2).sum(-1).argmin()  # the pupil is at uv (1/2, 1/2)
        to_apex = self.neutral[self.faces[triangles].ravel()[nearest]] - center
        return Eyeball(np.nonzero(self.part == part)[0], center, unit(to_apex), float(np.linalg.norm(to_apex)))

    @cached_property
    def neck_loop(self) -> Int[Array, " loop"]:
        """The open border at the bottom of the neck, in order, starting at its lowest vertex and turning to +x."""
        following = self._border_neighbours()
        start = min(following, key=lambda v: self.neutral[v, 1] + 1e-3 * abs(self.neutral[v, 0]))
        loop, previous = [start], None
        while True:
            ahead = next(v for v in following[loop[-1]] if v != previous)
            if ahead == start:
                break
            previous = loop[-1]
            loop.append(ahead)
        if self.neutral[loop[1], 0] < self.neutral[start, 0]:
            loop = [start, *loop[:0:-1]]
        return np.array(loop)

    def _border_neighbours(self) -> dict[int, list[int]]:
        faces = self.faces[self.face_part <= SCALP]
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        unique, count = np.unique(edges, axis=0, return_counts=True)
        neighbours: dict[int, list[int]] = {}
        for a, b in unique[(count == 1) & (self.neutral[unique, 1] < -10).all(1)]:
            neighbours.setdefault(int(a), []).append(int(b))
            neighbours.setdefault(int(b), []).append(int(a))
        return neighbours
