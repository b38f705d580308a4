"""Surfaces as values: triangle meshes of what people wear, made from grids of points, tubes, discs and balls.

Lengths in cm, head rest space. `uv` are cloth coordinates in cm; `edge` is (cm from the garment's border, shade 0..1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array

from vasa_core.world.facekit import Number, unit


@dataclass(frozen=True)
class Mesh:
    """Vertices with what the GPU needs of them, and triangles [m, 3], counter-clockwise seen from outside."""

    points: Array  # [n, 3] cm
    normals: Array  # [n, 3] unit
    canonical: Array  # [n, 3] where the point lies on the average head
    weight: Array  # [n] how much it follows the head, 0..1
    uv: Array  # [n, 2] cm
    edge: Array  # [n, 2]
    faces: Array


def sheet(
    points: Array,
    uv: Array | None = None,
    *,
    weight: Array | Number = 1.0,
    edge: Array | None = None,
    around: bool = False,
    outward: Array | None = None,
) -> Mesh:
    """A grid of points [rows, columns, 3] as a surface; `around` when its last column repeats its first.

    The outside is the side from which rows run downwards and columns to the right, unless a point inside is given.
    """
    rows, columns = points.shape[:2]
    down, right = np.gradient(points, axis=0), np.gradient(points, axis=1)
    if around:
        right[:, 0] = right[:, -1] = 0.5 * (points[:, 1] - points[:, -2])
    normals = unit(np.cross(down, right))
    first = np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]
    faces = np.stack([first, first + columns, first + 1, first + 1, first + columns, first + columns + 1], -1)
    faces = faces.reshape(-1, 3)
    if outward is not None and (normals * (points - outward)).sum() < 0:
        normals, faces = -normals, faces[:, ::-1]
    if uv is None:
        uv = np.stack([lengths(points, 1), lengths(points, 0)], -1)
    count = rows * columns
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        points.reshape(-1, 3).astype(np.float32),
        np.broadcast_to(np.asarray(weight, np.float32).reshape(-1), (count,)).astype(np.float32),
        np.broadcast_to(uv, (rows, columns, 2)).reshape(-1, 2).astype(np.float32),
        (np.tile((9.0, 1.0), (count, 1)) if edge is None else edge.reshape(-1, 2)).astype(np.float32),
        faces.astype(np.int32),
    )


def lengths(points: Array, axis: int) -> Array:
    """Distance walked along an axis of a grid of points, from 0, [rows, columns]."""
    steps = np.linalg.norm(np.diff(points, axis=axis), axis=-1)
    return np.concatenate(
        [np.zeros_like(points[:1, :, 0] if axis == 0 else points[:, :1, 0]), steps.cumsum(axis)], axis
    )


def joined(meshes: list[Mesh]) -> Mesh:
    """All meshes as one."""
    starts = np.cumsum([0] + [len(mesh.points) for mesh in meshes[:-1]])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)])
    fields = [name for name in Mesh.__dataclass_fields__ if name != "faces"]
    return Mesh(**{name: np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in fields}, faces=faces)


def tube(path: Array, radius: Array | Number, *, sides: int = 8, flat: Number = 1.0, up: Array | None = None) -> Mesh:
    """A tube along a path [n, 3]; `flat` widens it along `up`."""
    along = unit(np.gradient(path, axis=0))
    if np.allclose(path[0], path[-1]):
        along[0] = along[-1] = unit(path[1] - path[-2])
    reference = np.array([0, 1, 0.1]) if up is None else up
    across = unit(np.cross(along, reference))
    upward = np.cross(across, along)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    radius = np.broadcast_to(radius, len(path))[:, None, None]
    ring = np.cos(angle)[None, :, None] * across[:, None] + flat * np.sin(angle)[None, :, None] * upward[:, None]
    mesh = sheet(path[:, None] + radius * ring, around=True)
    out = (ring / np.linalg.norm(ring, axis=-1, keepdims=True)).reshape(-1, 3)
    return facing(replace(mesh, normals=out.astype(np.float32)))


def facing(mesh: Mesh) -> Mesh:
    """The mesh with its triangles turned so that they agree with its normals."""
    a, b, c = (mesh.points[mesh.faces[:, i]] for i in range(3))
    wrong = (np.cross(b - a, c - a) * mesh.normals[mesh.faces].sum(1)).sum(1) < 0
    return replace(mesh, faces=np.where(wrong[:, None], mesh.faces[:, ::-1], mesh.faces))


def ball(center: Array, axes: Array, *, sides: int = 10) -> Mesh:
    """An ellipsoid whose half axes are the rows of `axes` [3, 3]; the last one is its pole."""
    height, angle = np.meshgrid(np.linspace(0, np.pi, sides), np.linspace(0, 2 * np.pi, 2 * sides + 1), indexing="ij")
    on = np.stack([np.sin(height) * np.cos(angle), np.sin(height) * np.sin(angle), np.cos(height)], -1)
    mesh = sheet(center + on @ axes, around=True)
    normals = unit((on / (axes**2).sum(1) ** 0.5) @ unit(axes))
    return facing(replace(mesh, normals=normals.reshape(-1, 3).astype(np.float32)))


def disc(outline: Array, bulge: Array | Number = 0.0) -> Mesh:
    """A closed outline [n, 3] filled in; `bulge` [3] moves its middle."""
    center = outline[:-1].mean(0)
    share = np.linspace(0, 1, 6)[:, None, None]
    points = center + share * (outline - center) + (1 - share**2) * np.asarray(bulge)
    return sheet(points, around=True)


def surface_normals(points: Array, faces: Array) -> Array:
    """Unit vertex normals of any mesh."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    normals, facing_ = np.zeros_like(points), np.cross(b - a, c - a)
    for i in range(3):
        np.add.at(normals, faces[:, i], facing_)
    return unit(normals)
