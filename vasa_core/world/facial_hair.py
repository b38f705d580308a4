"""Brows, beards and lashes: short strands that hang on the skin and follow every expression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.interpolate import CubicSpline
from scipy.spatial import Delaunay, cKDTree

from vasa_core.world.facekit import FACE, LASHES_L, LASHES_R, FaceKit, Number, smoothstep, unit
from vasa_core.world.hair import Strands, blend, sample_surface
from vasa_core.world.people import Beard, Brows

POINTS = 6  # along a brow or beard hair
BROWS = ((21, 20, 19, 18, 17), (22, 23, 24, 25, 26))  # landmarks from the inner to the outer end
BROW_DROP_CM = 0.85  # hair grows on the edge of the bone, so far below the landmarks: there MediaPipe sees real brows
SHADING_HAIRS = 5000  # so many of them tell where the shade of a beard lies
LASH_CARDS = 6  # an eye: the mesh carries three strips above and three below


@dataclass(frozen=True)
class Rooted:
    """Strands whose points are offsets from points of mesh triangles."""

    corners: Array  # [n, K, 3] vertex numbers
    weights: Array  # [n, K, 3] barycentric
    offsets: Array  # [n, K, 3] cm
    normals: Array  # [n, K, 3]
    tint: Array
    width: Array

    def on(self, vertices: Array) -> Strands:
        """The strands where the mesh now is."""
        points = np.einsum("nkcx,nkc->nkx", vertices[self.corners], self.weights) + self.offsets
        return Strands(points, self.normals, self.tint, np.full(len(points), 0.8), self.width)


def gathered(pieces: list[Rooted]) -> Rooted:
    """All strands of the pieces."""
    return Rooted(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in Rooted.__dataclass_fields__))


def bending(
    corners: Array,
    weights: Array,
    normal: Array,
    heading: Array,
    length: Array,
    curl: Number,
    width: Number | Array,
    rng: Generator,
) -> Rooted:
    """Strands that leave their roots along `heading`, curl at random and bend back to the skin."""
    offsets, step = [np.zeros_like(heading)], (length / (POINTS - 1))[:, None]
    for _ in range(1, POINTS):
        offsets.append(offsets[-1] + heading * step)
        heading = unit(heading - 0.1 * normal + curl * rng.normal(size=heading.shape))
    corners, weights, normals = (np.repeat(values[:, None], POINTS, 1) for values in (corners, weights, normal))
    tint, count = rng.random(len(corners)), len(corners)
    return Rooted(corners, weights, np.stack(offsets, 1), normals, tint, width * (0.7 + 0.6 * rng.random(count)))


# ---- beards ----------------------------------------------------------------------------------------------------------
def beard_density(canonical: Array, kind: str) -> Array:
    """How thickly a beard of this kind grows, 0..1."""
    x, y, z = np.abs(canonical[..., 0]), canonical[..., 1], canonical[..., 2]
    cheek = (
        smoothstep(0.9, -0.5, y + 4.4 - 1.05 * (x - 2.6))
        * smoothstep(-9.5, -6.2, y + 0.2857 * z)
        * smoothstep(-0.5, 1.5, z)
    )
    lips = smoothstep(1.25, 0.95, np.hypot(x / 2.35, (y + 3.0) / 0.95))
    moustache = (
        smoothstep(-0.9, -1.4, y + 0.26 * x) * smoothstep(3.6, 2.3, x) * smoothstep(-4.1, -2.9, y) * smoothstep(7, 8, z)
    )
    sideburn = (
        smoothstep(7.5, 6.9, x)
        * smoothstep(3.4, 1.4, y)
        * smoothstep(-1.5, 0, z)
        * smoothstep(3.6, 2.2, z)
        * smoothstep(-6, -2, y)
        * (x > 5.5)
    )
    chin = cheek * smoothstep(3.5, 2.3, x) * smoothstep(3, 5, z)
    grown = {
        "full": np.maximum(np.maximum(cheek, moustache), sideburn),
        "goatee": np.maximum(chin, moustache),
        "moustache": moustache,
    }[kind]
    return np.clip(grown, 0, 1) * (1 - lips) * smoothstep(7.5, 7.1, x)


def grow_beard(kit: FaceKit, rest: Array, normals: Array, beard: Beard, rng: Generator) -> Rooted:
    """A beard that follows the jaw, trimmed above the lip."""
    density = np.where(kit.part == FACE, beard_density(kit.neutral, beard.kind), 0)
    wanted = int(26000 * beard.density * (0.3 if beard.kind == "moustache" else 1))
    corners, weights = sample_surface(kit, rest, density**1.5, wanted, rng)
    normal, x = unit(blend(normals, corners, weights)), blend(rest, corners, weights)[:, 0]
    thickness = np.clip(1.2 * (density[corners] * weights).sum(1), 0.25, 1)
    length = beard.length * (0.4 + 0.8 * rng.random(wanted)) * thickness
    length = np.where(blend(kit.neutral, corners, weights)[:, 1] > -3.2, np.minimum(length, 0.55), length)
    flow = np.stack([0.10 * x, -np.ones(wanted), np.full(wanted, 0.1)], 1)
    flow = flow - 0.9 * (flow * normal).sum(1, keepdims=True) * normal
    heading = unit(flow + 0.45 * normal + 0.28 * rng.normal(size=flow.shape))
    return bending(corners, weights, normal, heading, length, beard.curl, 0.026 * (0.45 + 0.55 * thickness), rng)


# ---- brows -----------------------------------------------------------------------------------------------------------
def grow_brows(kit: FaceKit, rest: Array, normals: Array, brows: Brows, rng: Generator) -> Rooted:
    """Both eyebrows, hair by hair."""
    return gathered([grow_brow(kit, rest, normals, brows, landmarks, rng) for landmarks in BROWS])


def grow_brow(
    kit: FaceKit, rest: Array, normals: Array, brows: Brows, landmarks: tuple[int, ...], rng: Generator
) -> Rooted:
    """One eyebrow: upright at the inner end, lying along the arch, thinning to a tail."""
    t, line, along = brow_line(kit, brows, landmarks)
    corners, weights = sample_surface(
        kit, rest, (cKDTree(line).query(kit.neutral)[0] < 1) * (kit.part == FACE) + 0.0, 16000, rng
    )
    root = blend(kit.neutral, corners, weights)
    nearest = cKDTree(line[:, :2]).query(root[:, :2])[1]
    upwards = np.stack([-along[:, 1], along[:, 0]], 1) * np.sign(along[:, :1])
    place, off = t[nearest], ((root - line[nearest])[:, :2] * upwards[nearest]).sum(1)
    off = off / (0.40 * brows.thickness * np.interp(place, [0, 0.12, 0.45, 0.75, 1.04], [0.70, 1.0, 0.90, 0.60, 0.22]))
    chance = np.exp(-1.6 * off**2) * smoothstep(-0.02, 0.10, place) * smoothstep(1.04, 0.90, place)
    keep = np.nonzero(rng.random(len(place)) < chance)[0][: int(950 * brows.density)]
    normal = unit(blend(normals, corners[keep], weights[keep]))
    heading = brow_heading(normal, along[nearest[keep]], place[keep], off[keep], rng)
    length = rng.uniform(0.40, 0.75, len(keep)) * np.interp(place[keep], [0, 0.2, 1], [0.75, 1.0, 0.8])
    return bending(corners[keep], weights[keep], normal, heading, length, 0.05, 0.014, rng)


def brow_shadow(kit: FaceKit, rest: Array, brows: Rooted, side: int) -> Array:
    """The soft shade of brows, uint8 [side, side]: what they look like from afar."""
    return hair_shadow(kit, rest, brows, side, (kit.neutral[:, 1] > 3.5) & (kit.neutral[:, 2] > 4))


def beard_shadow(kit: FaceKit, rest: Array, beard: Rooted, side: int) -> Array:
    """The soft shade of a beard, uint8 [side, side]: between its hairs skin is seldom seen."""
    return hair_shadow(kit, rest, beard, side, kit.neutral[:, 1] < 3.5)


def hair_shadow(kit: FaceKit, rest: Array, hairs: Rooted, side: int, near_it: Array) -> Array:
    """The hairs' soft shade on the unfolded face, as far as they grow near those vertices."""
    face = (kit.part == FACE) & near_it
    unfolded = np.zeros((len(rest), 2))
    on_face = kit.split_uv[:, 0] < 1
    unfolded[kit.split_vertex[on_face]] = kit.split_uv[on_face]
    every = max(1, len(hairs.width) // SHADING_HAIRS)
    points = hairs.on(rest).points[::every].reshape(-1, 3)
    gap, near = cKDTree(rest[face]).query(points, k=3)
    close = 1 / (gap + 0.02)
    uv = (unfolded[face][near] * close[..., None]).sum(1) / close.sum(1, keepdims=True)
    column, row = (np.clip((uv * side).astype(int), 0, side - 1)).T
    density = np.zeros((side, side), np.float32)
    np.add.at(density, (row, column), 1.0)
    density = cv2.GaussianBlur(density, (0, 0), max(0.0032 * side, 0.6))
    return (255 * (1 - np.exp(-1.1 * density / np.percentile(density[density > density.max() / 20], 60)))).astype(
        np.uint8
    )


def brow_line(kit: FaceKit, brows: Brows, landmarks: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Parameter (0 inner, 1 outer end), points and directions of the middle of an eyebrow."""
    curve = kit.neutral[kit.landmarks[list(landmarks)]].astype(np.float64)
    curve[:, 1] += brows.height - BROW_DROP_CM
    curve[2:4, 1] += 0.22 * brows.arch
    front = kit.neutral[(kit.part == FACE) & (kit.neutral[:, 2] > 4)]
    gap, near = cKDTree(front[:, :2]).query(curve[:, :2], k=4)
    curve[:, 2] = (front[near, 2] / (gap + 0.02)).sum(1) / (1 / (gap + 0.02)).sum(1)
    t, spline = np.linspace(-0.02, 1.04, 160), CubicSpline(np.linspace(0, 1, len(curve)), curve)
    return t, spline(t), unit(spline(t, 1))


def brow_heading(normal: Array, along: Array, place: Array, off: Array, rng: Generator) -> Array:
    """Which way brow hairs point: lower ones rise, upper ones lie down."""
    angle = (
        np.interp(place, [0, 0.12, 0.4, 1], [1.25, 0.85, 0.42, 0.05]) - 0.38 * off + 0.16 * rng.normal(size=len(place))
    )
    up = np.cross(normal, along) * np.sign(along[:, :1])
    return unit(along * np.cos(angle)[:, None] + up * np.sin(angle)[:, None] + 0.22 * normal)


# ---- lashes ----------------------------------------------------------------------------------------------------------
def grow_lashes(kit: FaceKit, amount: Number, rng: Generator) -> Rooted:
    """Lashes along the mesh's lash cards."""
    cards = [(card, side) for part, side in ((LASHES_L, "L"), (LASHES_R, "R")) for card in lash_cards(kit, part)]
    return gathered([grow_card(kit, card, kit.eyeballs[side].center, amount, rng) for card, side in cards])


def lash_cards(kit: FaceKit, part: int) -> list[Array]:
    """The vertices of each lash card of an eye (equal shares of its vertices, in order)."""
    return list(np.nonzero(kit.part == part)[0].reshape(LASH_CARDS, -1))


def grow_card(kit: FaceKit, card: Array, eye: Array, amount: Number, rng: Generator) -> Rooted:
    """The lashes of one card: u runs along the lid, v from the tips (0) to the lid (1)."""
    upper = bool(kit.neutral[card, 1].mean() > eye[1])
    count, points = int((50 if upper else 26) * (0.5 + amount)), 7
    along = np.linspace(0.02, 0.97, count) + 0.008 * rng.normal(size=count)
    longest = (0.55 + 0.4 * rng.random(count)) * (0.85 if upper else 0.36) * (0.6 + 0.4 * amount)
    reach = np.linspace(0, 1, points) * longest[:, None]
    u = np.clip(along[:, None] + 0.012 * rng.normal(size=(count, 1)) * reach, 0.01, 0.99)
    corners, weights, found = on_card(kit, card, np.stack([u, np.clip(1 - reach, 0.005, 0.995)], -1))
    curl = reach[..., None] ** 1.6 * np.array([0, 0.42 if upper else -0.12, 0])  # the cards are flatter than lashes are
    fan = reach[..., None] * (along - 0.45)[:, None, None] * np.array([0.7, 0, 0])
    forward = np.tile(np.array([0, 0, 1.0]), (count, points, 1))
    width = np.full(count, 0.024 if upper else 0.009)
    return Rooted(*(values[found] for values in (corners, weights, curl + fan, forward, rng.random(count), width)))


def on_card(kit: FaceKit, card: Array, where: Array) -> tuple[Array, Array, Array]:
    """Corners and weights of places [n, K, 2] on a card's unit square, and which strands lie on it entirely."""
    uv = np.zeros((len(kit.neutral), 2))
    uv[kit.faces] = kit.uv[kit.uv_faces]
    low, high = uv[card].min(0), uv[card].max(0)
    mesh = Delaunay((uv[card] - low) / (high - low))
    simplex = mesh.find_simplex(where)
    affine = mesh.transform[np.maximum(simplex, 0)]
    two = np.einsum("nkij,nkj->nki", affine[..., :2, :], where - affine[..., 2, :])
    weights = np.concatenate([two, 1 - two.sum(-1, keepdims=True)], -1)
    return card[mesh.simplices[np.maximum(simplex, 0)]], weights, (simplex >= 0).all(1)
