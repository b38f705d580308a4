"""Clothes: garments cut from the surface of neck, shoulders and chest, with collars, lapels, hoods and folds.

A garment starts at its neckline, a height for every place around the neck, and runs down to the hem. Lengths in cm,
head rest space; azimuth 0 is the front, +pi/2 the person's left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.spatial import cKDTree

from vasa_core.world.facekit import SCALP, FaceKit, Number, smoothstep, unit
from vasa_core.world.materials import Stuff
from vasa_core.world.meshes import Mesh, ball, joined, lengths, sheet, tube
from vasa_core.world.people import Clothes, Color, tinted

AXIS_Z = -1.5  # the axis around which azimuths are counted, behind the face
NECK_TOP, NECK_ROWS, TORSO_ROWS = -9.0, 30, 60
LIFT = 0.35  # cm that cloth lies above the skin
FINE_PX = 0.09  # cm a pixel: above it meshes are coarser
Edge = Callable[[Array], Array]  # height of the garment's border at points [..., 3]


@dataclass(frozen=True)
class Piece:
    """One thing worn: which part of the ground truth it is, its surface and what it is made of."""

    part: str
    mesh: Mesh
    stuff: Stuff


def torso(border: Array, half_width: Number, rings: int = 30) -> tuple[Array, Array]:
    """Neck border to shoulders and chest: points and triangles of rings along Bezier curves."""
    count = len(border)
    angle, back = np.arctan2(border[:, 0], border[:, 2] + 1.5), -1.5

    def oval(width: Number, depth: Number, y: Array) -> Array:
        x, z = np.sin(angle), np.cos(angle)
        return np.stack([width * np.sign(x) * np.abs(x) ** 0.85, y, back + depth * np.sign(z) * np.abs(z) ** 0.85], 1)

    front = np.clip(np.cos(angle), 0, 1)
    slope = oval(0.80 * half_width, 9.0, border[:, 1] - 1.9 - 2.0 * front)
    shoulder = oval(1.05 * half_width, 11.0, -18.5 - 9.0 * np.abs(np.cos(angle)))
    hem = oval(0.98 * half_width, 11.8, np.full(count, -60.0))
    s = np.linspace(0, 1, rings)[:, None, None]
    points = (1 - s) ** 3 * border + 3 * s * (1 - s) ** 2 * slope + 3 * s * s * (1 - s) * shoulder + s**3 * hem
    row, column = np.arange(rings - 1)[:, None] * count, np.arange(count)[None]
    a, b = row + column, row + (column + 1) % count
    faces = np.stack([a, a + count, b, b, a + count, b + count], -1).reshape(-1, 3)
    return points.reshape(-1, 3).astype(np.float32), faces


class Trunk:
    """Neck, shoulders and chest as profiles: for every azimuth a line of points from under the jaw to the hem."""

    def __init__(self, kit: FaceKit, rest: Array, half_width: Number, columns: int = 128):
        self.azimuth = np.linspace(0, 2 * np.pi, columns + 1)
        border = self._border(rest[kit.neck_loop])
        chest = torso(border, half_width, TORSO_ROWS)[0].reshape(TORSO_ROWS, columns + 1, 3)
        neck, weight = self._neck(kit, rest, border)
        points = np.concatenate([neck, chest[1:]]).transpose(1, 0, 2).astype(np.float64)
        self.weight = np.concatenate([weight, np.zeros((columns + 1, TORSO_ROWS - 1))], 1)
        for _ in range(2):  # where chest and neck meet the lookup leaves small steps
            points[:, 1:-1] = 0.5 * points[:, 1:-1] + 0.25 * (points[:, :-2] + points[:, 2:])
        self.points = points  # [columns, rows, 3]
        down, right = np.gradient(points, axis=1), np.gradient(points, axis=0)
        right[0] = right[-1] = 0.5 * (points[1] - points[-2])
        self.normals = unit(np.cross(down, right))

    def _border(self, loop: Array) -> Array:
        """The lower border of the neck at our azimuths."""
        angle = np.arctan2(loop[:, 0], loop[:, 2] - AXIS_Z) % (2 * np.pi)
        order = np.argsort(angle)
        angle, loop = angle[order], loop[order]
        angle, loop = np.r_[angle[-1:] - 2 * np.pi, angle, angle[:1] + 2 * np.pi], np.r_[loop[-1:], loop, loop[:1]]
        return np.stack([np.interp(self.azimuth, angle, loop[:, i]) for i in range(3)], 1)

    def _neck(self, kit: FaceKit, rest: Array, border: Array) -> tuple[Array, Array]:
        """The neck from below the jaw down to the border, and how much it follows the head."""
        n = kit.neutral
        skin = (kit.part <= SCALP) & (n[:, 1] < -8.2) & ((n[:, 2] < 6.2) | (n[:, 1] < -11))
        at = rest[skin] - [0, 0, AXIS_Z]
        azimuth, radius = np.arctan2(at[:, 0], at[:, 2]), np.hypot(at[:, 0], at[:, 2])
        key = np.stack([np.sin(azimuth), np.cos(azimuth), at[:, 1] / 7], 1)
        share = np.linspace(0, 1, NECK_ROWS)[:, None] ** 0.9
        y = NECK_TOP + (border[:, 1] - NECK_TOP) * share
        wanted = np.stack([np.sin(self.azimuth) + 0 * y, np.cos(self.azimuth) + 0 * y, y / 7], -1)
        gap, near = cKDTree(key).query(wanted, k=4)
        close = 1 / (gap + 0.01) ** 2
        close /= close.sum(-1, keepdims=True)
        r = (radius[near] * close).sum(-1)
        r += (np.hypot(border[:, 0], border[:, 2] - AXIS_Z) - r[-1]) * share**4
        points = np.stack([r * np.sin(self.azimuth), y, AXIS_Z + r * np.cos(self.azimuth)], -1)
        return points, (kit.weight[skin][near] * close).sum(-1).T

    def lifted(self, cm: Array | Number) -> Array:
        """The profiles blown up by so many cm."""
        return self.points + self.normals * np.asarray(cm)[..., None]

    def height(self, x: Array, z: Array) -> Array:
        """Height of the body at places seen from above, -99 beside it."""
        flat = self.points.reshape(-1, 3)
        gap, near = self._from_above.query(np.stack([x, z], -1), k=3)
        close = 1 / (gap + 0.2)
        return np.where(gap[..., 0] > 3, -99, (flat[near, 1] * close).sum(-1) / close.sum(-1))

    @property
    def _from_above(self) -> cKDTree:
        if not hasattr(self, "_tree"):
            self._tree = cKDTree(self.points.reshape(-1, 3)[:, [0, 2]])
        return self._tree


# ---- necklines -------------------------------------------------------------------------------------------------------
def front(p: Array) -> Array:
    """1 in front of the neck, -1 behind it."""
    return np.cos(np.arctan2(p[..., 0], p[..., 2] + 2.5))


def vee(p: Array, depth: Number, half: Number) -> Array:
    """How far a V of this depth and half width lowers a neckline."""
    return depth * np.maximum(0, 1 - np.abs(p[..., 0]) / half) * (p[..., 2] > 0)


EDGES: dict[str, Edge] = {
    "crew": lambda p: -10.6 - 4.2 * smoothstep(-0.25, 1.0, front(p)),
    "vneck": lambda p: -10.8 - 3.0 * smoothstep(-0.25, 0.6, front(p)) - vee(p, 7.0, 5.5),
    "scoop": lambda p: -11.5 - 6.5 * smoothstep(-0.2, 0.9, front(p)),
    "boat": lambda p: -12.2 - 3.4 * smoothstep(-0.6, 0.9, front(p)),
    "turtle": lambda p: -9.7 - 0.6 * smoothstep(-0.4, 0.9, front(p)),
    "stand": lambda p: -10.3 - 3.3 * smoothstep(-0.3, 1.0, front(p)) - vee(p, 2.5, 1.4),
    "open": lambda p: -10.4 - 3.2 * smoothstep(-0.3, 1.0, front(p)) - vee(p, 5.0, 3.0),
    "jacket": lambda p: -10.5 - 3.2 * smoothstep(-0.3, 0.7, front(p)) - vee(p, 24.0, 7.0),
    "crossed": lambda p: -10.5 - 3.2 * smoothstep(-0.3, 0.7, front(p)) - vee(p, 10.0, 6.0),
    "strapless": lambda p: (
        -17.5 - 2.6 * smoothstep(0.0, 0.8, front(p)) + 1.2 * np.cos(np.clip(np.abs(p[..., 0]) - 6, -6, 6) / 2)
    ),
    "wide": lambda p: -12.6 - 4.6 * smoothstep(-0.2, 0.9, front(p)),
}


# ---- folds -----------------------------------------------------------------------------------------------------------
class Folds:
    """Creases of cloth: ridges of smooth random waves, longer along one direction than across it."""

    def __init__(self, rng: Generator, waves: int = 7):
        self.phase = rng.uniform(0, 2 * np.pi, (4, waves))
        self.turn = rng.normal(size=(4, waves))
        self.pitch = rng.uniform(0.6, 1.6, (4, waves))

    def noise(self, kind: int, across: Array, along: Array) -> Array:
        """About -1..1, one unit of `across` a wave."""
        pitch, turn, phase = self.pitch[kind], self.turn[kind], self.phase[kind]
        total = sum(np.sin(across * pitch[i] + 0.35 * turn[i] * along + phase[i]) / pitch[i] for i in range(len(pitch)))
        return total / len(self.phase[0]) ** 0.5

    def ridges(self, kind: int, across: Array, along: Array) -> Array:
        """Sharp creases, mean about 0."""
        return 0.55 - np.abs(self.noise(kind, across, along)) ** 0.8

    def at(self, points: Array, walked: Array, softness: Number) -> Array:
        """Height of the folds in cm, for cloth `walked` cm below its border; `softness` 0 is stiff, 1 flowing."""
        x, y, z = np.moveaxis(points, -1, 0)
        side = np.abs(x)
        drape = self.ridges(0, 0.75 * x, 0.30 * (y - z)) * smoothstep(-15, -24, y) * 0.42
        pulled = (
            self.ridges(1, 0.55 * (side * 0.7 + (y + 20)), 0.4 * (side - y)) * np.exp(-(((side - 13) / 5) ** 2)) * 0.40
        )
        yoke = self.ridges(2, 0.8 * (0.5 * side - y), 0.35 * x) * np.exp(-(((walked - 5) / 4) ** 2)) * 0.24
        height = (drape + pulled + yoke) * (0.45 + 0.9 * softness)
        return np.maximum(height, -0.12) * smoothstep(0, 3.0, walked)  # never into the body


# ---- cutting ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Tailor:
    """What a garment is cut on: the trunk, folds, and how fine the mesh is."""

    trunk: Trunk
    folds: Folds
    rows: int
    shift: Number  # how much lower this person's neck sits than the average one, cm

    def cut(self, edge: Edge, lift: Number = LIFT, softness: Number = 0.5, bottom: Number = -46.0) -> Mesh:
        """The garment below a neckline."""
        points, start, walked, weight = self.laid(edge, bottom)
        rise = lift * (0.35 + 0.65 * smoothstep(0, 0.35, walked))  # the border hugs the skin
        points = points + self.normals_at(start, bottom) * (rise + self.folds.at(points, walked, softness))[..., None]
        x, y, z = np.moveaxis(points, -1, 0)
        uv = np.stack([x, y - 0.9 * z], -1)
        shade = 0.55 + 0.45 * smoothstep(0, 0.8, walked)
        return self.as_mesh(points, uv, weight, np.stack([walked, shade], -1))

    def as_mesh(self, points: Array, uv: Array, weight: Array, edge: Array) -> Mesh:
        swap = (1, 0, 2)
        middle = np.array([0, -30, AXIS_Z])
        return sheet(
            points.transpose(swap),
            uv.transpose(swap),
            weight=weight.T,
            edge=edge.transpose(swap),
            around=True,
            outward=middle,
        )

    def starts(self, edge: Edge) -> Array:
        """Where along each profile the neckline crosses it, in rows."""
        trunk = self.trunk.points
        below = edge(np.add(trunk, [0, self.shift, 0])) - (trunk[..., 1] + self.shift)  # > 0 on cloth
        first = np.clip((below > 0).argmax(1), 1, None)
        column = np.arange(len(trunk))
        low, high = below[column, first - 1], below[column, first]
        return first - 1 + np.clip(-low / np.maximum(high - low, 1e-6), 0, 1)

    def rows_from(self, start: Array, bottom: Number) -> Array:
        """Row numbers [columns, rows] from the neckline to the bottom, denser at the neckline."""
        last = np.array([np.interp(bottom, line[::-1, 1], np.arange(len(line))[::-1]) for line in self.trunk.points])
        share = np.linspace(0, 1, self.rows) ** 1.5
        return start[:, None] + (np.maximum(last, start + 1) - start)[:, None] * share

    def lookup(self, values: Array, row: Array) -> Array:
        """Values [columns, rows, ...] at fractional rows."""
        low = np.clip(np.floor(row).astype(int), 0, values.shape[1] - 2)
        part = (row - low).reshape(*row.shape, *(1,) * (values.ndim - 2))
        column = np.arange(len(row))[:, None]
        return values[column, low] * (1 - part) + values[column, low + 1] * part

    def laid(self, edge: Edge, bottom: Number) -> tuple[Array, Array, Array, Array]:
        """Points [columns, rows, 3] on the body below a neckline, its rows, cm from the border, head weights."""
        start = self.starts(edge)
        row = self.rows_from(start, bottom)
        points = self.lookup(self.trunk.points, row)
        return points, start, lengths(points, 1), self.lookup(self.trunk.weight, row)

    def normals_at(self, start: Array, bottom: Number) -> Array:
        return unit(self.lookup(self.trunk.normals, self.rows_from(start, bottom)))

    def along(self, edge: Edge, lift: Number) -> tuple[Array, Array, Array]:
        """The neckline itself: points [columns, 3], outward normals and head weights."""
        row = self.starts(edge)[:, None]
        normal = unit(self.lookup(self.trunk.normals, row)[:, 0])
        points = self.lookup(self.trunk.points, row)[:, 0] + normal * lift
        return points, normal, self.lookup(self.trunk.weight, row)[:, 0]

    def ribbon(self, edge: Edge, profile: Array, lift: Number) -> Mesh:
        """A band along a neckline: `profile` [n, 2] or [columns, n, 2] is (cm outward, cm upwards) at each place."""
        points, normal, weight = self.along(edge, lift)
        flat = unit(normal * [1, 0, 1])
        profile = np.broadcast_to(profile, (len(points), *profile.shape[-2:]))
        grid = points[:, None] + flat[:, None] * profile[..., :1] + np.array([0, 1.0, 0]) * profile[..., 1:]
        walked = np.linspace(0, 1, grid.shape[1])[None].repeat(len(grid), 0)
        uv = np.stack([lengths(grid, 0), lengths(grid, 1)], -1)
        return self.as_mesh(
            grid, uv, weight[:, None].repeat(grid.shape[1], 1), np.stack([2 + 3 * walked, 0 * walked + 1], -1)
        )

    def on_front(self, x: Array, y: Array, lift: Number) -> Array:
        """Points of the chest at these places seen from the front."""
        half = self.trunk.points[np.cos(self.trunk.azimuth) > 0.05].reshape(-1, 3)
        gap, near = cKDTree(half[:, :2]).query(np.stack([x, y], -1), k=4)
        close = 1 / (gap + 0.05)
        z = (half[near, 2] * close).sum(-1) / close.sum(-1)
        return np.stack([x, y, z + lift], -1)


def azimuth_gap(tailor: Tailor, degrees: Number) -> Array:
    """0 in the opening at the front, this many degrees wide on each side, 1 elsewhere, soft."""
    away = np.abs((tailor.trunk.azimuth + np.pi) % (2 * np.pi) - np.pi)
    return smoothstep(np.radians(degrees) * 0.6, np.radians(degrees) * 1.4, away)


# ---- parts of garments -----------------------------------------------------------------------------------------------
def band(tailor: Tailor, edge: Edge, width: Number, stuff: Stuff, lift: Number = LIFT) -> Piece:
    """A ribbed band along the neckline, a little thicker than the garment."""
    points, start, walked, weight = tailor.laid(edge, -60.0)
    row = start[:, None] + _rows_for(tailor, start, width)[:, None] * np.linspace(0, 1, 7)[None]
    points, weight = tailor.lookup(tailor.trunk.points, row), tailor.lookup(tailor.trunk.weight, row)
    round_ = np.sqrt(np.clip(1 - np.linspace(-1, 1, 7) ** 4, 0, 1))
    points = points + unit(tailor.lookup(tailor.trunk.normals, row)) * (lift - 0.1 + 0.28 * round_)[None, :, None]
    walked = np.linspace(0, width, 7)[None].repeat(len(points), 0)
    uv = np.stack([lengths(points, 0), walked], -1)
    shade = 0.75 + 0.25 * round_[None].repeat(len(points), 0)
    return Piece("cloth", tailor.as_mesh(points, uv, weight, np.stack([walked + 9, shade], -1)), stuff)


def _rows_for(tailor: Tailor, start: Array, width: Number) -> Array:
    """How many profile rows make a width in cm, from a start row on."""
    walked = lengths(tailor.trunk.points, 1)
    rows = np.arange(walked.shape[1])
    begin = [np.interp(s, rows, w) for s, w in zip(start, walked, strict=True)]
    return np.array([np.interp(b + width, w, rows) for b, w in zip(begin, walked, strict=True)]) - start


def fold_collar(tailor: Tailor, stuff: Stuff, *, stand: Number = 2.6, leaf: Number = 4.2, point: Number = 3.4) -> Piece:
    """A shirt's collar: it stands around the neck, turns over and ends in two points."""
    edge = EDGES["open"]
    away = np.abs((tailor.trunk.azimuth + np.pi) % (2 * np.pi) - np.pi)
    tip = np.exp(-((away / 0.55) ** 2))[:, None]  # towards the front
    t = np.linspace(0, 1, 14)[None]
    up = stand * np.minimum(t / 0.35, 1) * (1 - 0.45 * tip)
    down = np.clip((t - 0.42) / 0.58, 0, 1)
    fall = (leaf + point * tip) * down
    out = 0.05 - 0.15 * np.minimum(t / 0.35, 1) + 0.45 * smoothstep(0.30, 0.5, t) + (1.0 + 0.4 * tip) * down**1.3
    mesh = tailor.ribbon(edge, np.stack([out + 0 * tip, up - fall], -1), LIFT)
    return Piece("cloth", without_front(mesh, tailor, 14, 0.16), stuff)


def without_front(mesh: Mesh, tailor: Tailor, rows: int, half: Number) -> Mesh:
    """A collar opened at the throat, `half` radians on each side."""
    columns = len(tailor.trunk.azimuth)
    away = np.abs((tailor.trunk.azimuth + np.pi) % (2 * np.pi) - np.pi)
    column = np.arange(rows * columns) % columns
    gone = (away[column][mesh.faces] < half).any(1)
    return replace(mesh, faces=mesh.faces[~gone])


def stand_collar(tailor: Tailor, edge: Edge, stuff: Stuff, height: Number = 3.2, gap: Number = 0.12) -> Piece:
    """A band that stands around the neck, open in front."""
    t = np.linspace(0, 1, 8)
    profile = np.stack([0.15 + 0.12 * np.sin(np.pi * t) - 0.1 * t, height * t], -1)
    return Piece("cloth", without_front(tailor.ribbon(edge, profile, LIFT), tailor, 8, gap), stuff)


def rolled_collar(tailor: Tailor, stuff: Stuff, deep: Number = 3.9) -> Piece:
    """The turned-over tube of a turtleneck."""
    t = np.linspace(0, 1, 18)
    turned = np.clip((t - 0.12) / 0.16, 0, 1)
    out = 0.10 + 0.30 * turned + 0.22 * np.sin(np.pi * np.clip((t - 0.15) / 0.85, 0, 1))
    up = 0.32 * np.sin(np.pi * np.clip(t / 0.28, 0, 1)) - deep * np.clip((t - 0.2) / 0.8, 0, 1)
    sag = 0.35 * tailor.folds.noise(3, 3 * np.cos(tailor.trunk.azimuth)[:, None], t[None])
    profile = np.stack([out + 0.25 * sag * turned, up + sag * np.clip((t - 0.4) / 0.6, 0, 1)], -1)
    return Piece("cloth", follow_down(tailor, tailor.ribbon(EDGES["turtle"], profile, 0.12), 18), stuff)


def follow_down(tailor: Tailor, mesh: Mesh, rows: int) -> Mesh:
    """A collar's lower rows moved out where the neck widens under them."""
    columns = len(tailor.trunk.azimuth)
    points = mesh.points.reshape(rows, columns, 3).copy()
    line = tailor.trunk.points
    radius = np.hypot(line[..., 0], line[..., 2] - AXIS_Z)
    for column in range(columns):
        under = np.interp(-points[:, column, 1], -line[column, :, 1], radius[column])
        own = np.hypot(points[:, column, 0], points[:, column, 2] - AXIS_Z)
        grow = np.clip(under + 0.45, own, own + 0.6) / np.maximum(own, 1e-6)
        points[:, column, 0] *= grow
        points[:, column, 2] = AXIS_Z + (points[:, column, 2] - AXIS_Z) * grow
    return replace(mesh, points=points.reshape(-1, 3).astype(np.float32))


def hood(tailor: Tailor, stuff: Stuff) -> Piece:
    """A hood lying on the shoulders: a thick roll, fuller behind."""
    edge = EDGES["crew"]
    behind = 0.5 - 0.5 * np.cos(tailor.trunk.azimuth)[:, None]
    angle = np.linspace(-0.3, 1.25, 18)[None] * np.pi
    size = 1.5 + 2.3 * behind + 0.25 * tailor.folds.noise(3, 4 * np.cos(tailor.trunk.azimuth)[:, None], angle)
    out = 1.1 * size * (0.75 - np.cos(angle - 0.2)) * (0.75 + 0.35 * behind)
    up = 1.15 * size * np.sin(angle) + 0.6 * behind
    return Piece("cloth", tailor.ribbon(edge, np.stack([out, up], -1), LIFT), stuff)


def cords(tailor: Tailor, color: Color) -> Piece:
    """The two strings of a hood."""
    y = np.linspace(-15.2, -27.0, 12)
    hung = [tube(tailor.on_front(s * (2.4 + 0.25 * np.sin(0.4 * y + s)), y, 1.15), 0.22, sides=6) for s in (-1.0, 1.0)]
    return Piece("cloth", still(joined(hung)), Stuff(color=color, weave="rib"))


def still(mesh: Mesh) -> Mesh:
    """A mesh that stays with the body when the head turns."""
    return replace(mesh, weight=np.zeros_like(mesh.weight))


def placket(tailor: Tailor, stuff: Stuff, top: Number, half: Number = 1.5) -> Piece:
    """The strip down the front that carries the buttons."""
    x, y = np.meshgrid(np.linspace(-half, half, 7), np.linspace(top, -46, 30))
    rise = 0.10 * np.sqrt(np.clip(1 - (x / half) ** 6, 0, 1))
    points = tailor.on_front(x, y, 0.0) + np.array([0, 0, 1.0]) * (LIFT + 0.12 + rise)[..., None]
    edge = np.stack([np.full_like(x, 9.0), 0.72 + 0.28 * smoothstep(0, 0.05, rise)], -1)
    mesh = sheet(points, np.stack([x, y], -1), edge=edge, outward=np.array([0, -30, -40]))
    return Piece("cloth", still(mesh), stuff)


def buttons(tailor: Tailor, color: Color, top: Number, gap: Number = 7.0, x: Number = 0.0) -> Piece:
    """Buttons down the front."""
    centers = tailor.on_front(np.full(4, x), top - gap * np.arange(4), LIFT + 0.28)
    flat = np.array([[0.55, 0, 0], [0, 0.55, -0.05], [0, 0.02, 0.14]])
    return Piece("cloth", still(joined([ball(c, flat, sides=7) for c in centers])), Stuff(color=color, weave="plastic"))


def lapels(tailor: Tailor, stuff: Stuff, edge: Edge, width: Number = 6.0) -> Piece:
    """A jacket's turned-back fronts and its collar, one ribbon along the opening."""
    points, normal, weight = tailor.along(edge, LIFT + 0.5)
    down = np.clip((-13.0 - points[:, 1]) / 22, 0, 1)  # 0 at the neck, 1 where the jacket closes
    wide = width * np.clip(1.05 - down**1.8, 0.06, 1) * (0.62 + 0.38 * smoothstep(0.02, 0.10, down))
    wide *= 1 - 0.42 * np.exp(-(((down - 0.125) / 0.028) ** 2))  # the notch
    t = np.linspace(0, 1, 9)
    side = np.sign(points[:, :1]) * np.array([1.0, 0, 0]) * smoothstep(0.0, 0.08, down)[:, None]
    out = unit(unit(normal * [1, 0, 1]) * (1 - smoothstep(0.0, 0.08, down))[:, None] + side)
    fall = np.array([0, -1.0, 0]) * (0.75 * (1 - smoothstep(0, 0.12, down)) + 0.12)[:, None]
    flat = out + fall
    grid = points[:, None] + flat[:, None] * (wide[:, None] * t)[..., None]
    hug = self_rise(tailor, grid) * t[None]
    grid = grid + unit(normal)[:, None] * (0.35 * np.sin(np.pi * np.minimum(1, 1.6 * t)))[None, :, None]
    grid[..., 1] += np.where(down[:, None] < 0.06, np.maximum(hug, 0), 0)
    grid[..., 2] = np.where(down[:, None] >= 0.06, np.maximum(grid[..., 2], front_z(tailor, grid) + 0.75), grid[..., 2])
    uv = np.stack([lengths(grid, 0), lengths(grid, 1)], -1)
    edge_ = np.stack([np.full(grid.shape[:2], 9.0), 0.8 + 0.2 * np.broadcast_to(t, grid.shape[:2])], -1)
    return Piece("cloth", tailor.as_mesh(grid, uv, weight[:, None].repeat(9, 1), edge_), stuff)


def front_z(tailor: Tailor, points: Array) -> Array:
    """Depth of the chest at points, as seen from the front."""
    return tailor.on_front(points[..., 0], points[..., 1], 0.0)[..., 2]


def self_rise(tailor: Tailor, points: Array) -> Array:
    """How far points would have to rise to lie on the shoulders."""
    return tailor.trunk.height(points[..., 0], points[..., 2]) + 0.8 - points[..., 1]


def frill(tailor: Tailor, edge: Edge, stuff: Stuff, wide: Number = 3.2) -> Piece:
    """A ruffle along the neckline."""
    t = np.linspace(0, 1, 8)[None]
    wave = np.sin(
        34 * tailor.trunk.azimuth[:, None] + 1.5 * tailor.folds.noise(3, 5 * np.cos(tailor.trunk.azimuth)[:, None], t)
    )
    out = 0.25 + wide * (0.75 * t) + 0.55 * wave * t
    up = 0.6 * np.sin(np.pi * t) - 0.55 * wide * t**1.3 + 0.25 * wave * t
    return Piece("cloth", tailor.ribbon(edge, np.stack([out, up], -1), LIFT), stuff)


def straps(tailor: Tailor, stuff: Stuff, x: Number = 7.5, half: Number = 0.9) -> Piece:
    """Two straps over the shoulders."""
    made = []
    for side in (-1, 1):
        z = np.linspace(9.5, -8, 40)[:, None]
        across = side * (x + np.linspace(-half, half, 5)[None])
        lying = tailor.trunk.height(across + 0 * z, z + 0 * across)
        lying = np.where(lying < -90, -21.5, lying)
        points = np.stack([across + 0 * z, lying + 0.6, z + 0 * across], -1)
        made.append(sheet(points, outward=np.array([side * x, -30, 0])))
    return Piece("cloth", still(joined(made)), stuff)


# ---- garments --------------------------------------------------------------------------------------------------------
def of(clothes: Clothes, weave: str | None = None, **settings) -> Stuff:
    """What the garment is made of."""
    stuff = Stuff(
        color=clothes.color,
        second=clothes.second,
        weave=weave or clothes.fabric,
        pattern=clothes.pattern,
        scale=clothes.pattern_cm,
        relief=0.5 + clothes.knit,
    )
    return replace(stuff, **settings)


def sweater(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """A knitted garment with a ribbed neck band, or a turtleneck."""
    edge, rib = EDGES[clothes.neckline], of(clothes, "rib", pattern="none")
    body = Piece("cloth", tailor.cut(edge, 0.45, 0.35), of(clothes))
    if clothes.neckline == "turtle":
        return [body, rolled_collar(tailor, rib)]
    return [body, band(tailor, edge, 2.2, rib, 0.45)]


def tshirt(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """Thin cotton with a narrow band."""
    edge = EDGES[clothes.neckline]
    return [
        Piece("cloth", tailor.cut(edge, LIFT, 0.7), of(clothes)),
        band(tailor, edge, 1.5, of(clothes, "rib", pattern="none", color=tinted(clothes.color, 0.92))),
    ]


def shirt(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """A buttoned shirt, its top button open."""
    plain = of(clothes, relief=0.6)
    return [
        Piece("cloth", tailor.cut(EDGES["open"], LIFT, 0.65), plain),
        placket(tailor, plain, -19.0),
        buttons(tailor, clothes.second, -20.6),
        fold_collar(tailor, plain),
    ]


def blouse(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """Flowing cloth with a ruffle."""
    edge = EDGES[clothes.neckline]
    return [Piece("cloth", tailor.cut(edge, LIFT, 1.3), of(clothes)), frill(tailor, edge, of(clothes))]


def jacket(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """A jacket with lapels over a shirt or a T-shirt (whichever the neckline says)."""
    under = replace(clothes, color=clothes.second, pattern="none", fabric="cotton", second=tinted(clothes.second, 0.8))
    inner = shirt(tailor, under) if clothes.neckline == "open" else tshirt(tailor, under)
    outer = of(clothes, relief=0.7)
    return [
        *inner,
        Piece("cloth", tailor.cut(EDGES["jacket"], LIFT + 0.55, 0.3), outer),
        lapels(tailor, replace(outer, color=tinted(clothes.color, 1.05)), EDGES["jacket"]),
    ]


def hoodie(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """A sweatshirt with a hood and its cords."""
    return [
        Piece("cloth", tailor.cut(EDGES["crew"], 0.5, 0.6), of(clothes)),
        hood(tailor, of(clothes, pattern="none")),
        cords(tailor, clothes.second),
    ]


def dress(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """A dress: on straps, or with a wide neckline."""
    edge = EDGES[clothes.neckline]
    made = [Piece("cloth", tailor.cut(edge, 0.25, 0.8), of(clothes))]
    return [*made, straps(tailor, of(clothes))] if clothes.neckline == "strapless" else made


def kurta(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """A standing collar, a short placket and embroidery around it."""
    plain = of(clothes, trim=1.0)
    collar = of(clothes, color=clothes.second, second=clothes.color, pattern="chevron", scale=0.8)
    return [
        Piece("cloth", tailor.cut(EDGES["stand"], LIFT, 0.7), plain),
        stand_collar(tailor, EDGES["stand"], collar),
        placket(tailor, collar, -17.4, 1.3),
        buttons(tailor, tinted(clothes.second, 1.6), -18.6, 5.0),
    ]


def wrapped(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """Two fronts crossed over a broad contrasting band, as kimono and hanbok are worn."""
    edge = EDGES["crossed"]
    trim = of(clothes, color=clothes.second, pattern="none")
    return [Piece("cloth", tailor.cut(edge, LIFT, 0.5), of(clothes)), crossing(tailor, edge, trim, 3.6, 0.10)]


def crossing(tailor: Tailor, edge: Edge, stuff: Stuff, wide: Number, below: Number) -> Piece:
    """A flat band along a crossed neckline."""
    points, normal, weight = tailor.along(edge, LIFT + 0.3 - below)
    t = np.linspace(0, 1, 7)
    in_front = smoothstep(-14.0, -15.5, points[:, 1])[:, None] * (points[:, 2:] > 0)
    around = unit(normal * [1, 0, 1]) * 0.45 + np.array([0, -1.0, 0])
    away = around * (1 - in_front) + np.array([1.0, -0.25, 0]) * np.sign(points[:, :1]) * in_front
    grid = points[:, None] + away[:, None] * (wide * t - 0.5)[None, :, None]
    seen = in_front > 0.5
    grid[..., 2] = np.where(seen, np.maximum(grid[..., 2], front_z(tailor, grid) + 0.75 - below), grid[..., 2])
    grid[..., 1] += np.where(seen, 0, np.clip(self_rise(tailor, grid) - below, 0, 3))
    uv = np.stack([lengths(grid, 0), lengths(grid, 1)], -1)
    edge_ = np.stack([np.full(grid.shape[:2], 9.0), np.full(grid.shape[:2], 1.0)], -1)
    return Piece("cloth", tailor.as_mesh(grid, uv, weight[:, None].repeat(7, 1), edge_), stuff)


GARMENTS: dict[str, Callable[[Tailor, Clothes], list[Piece]]] = {
    "sweater": sweater,
    "tshirt": tshirt,
    "shirt": shirt,
    "blouse": blouse,
    "jacket": jacket,
    "hoodie": hoodie,
    "dress": dress,
    "kurta": kurta,
    "wrapped": wrapped,
}


def tailor_for(kit: FaceKit, rest: Array, clothes: Clothes, rng: Generator, pixel: Number = 0.0) -> Tailor:
    """A tailor for this body; `pixel` is how many cm a pixel covers: coarse pictures get coarse meshes."""
    coarse = pixel > FINE_PX
    trunk = Trunk(kit, rest, clothes.shoulders, 96 if coarse else 160)
    loop = kit.neck_loop
    shift = float((kit.neutral[loop, 1] - rest[loop, 1]).mean())
    return Tailor(trunk, Folds(rng), 36 if coarse else 64, shift)


def sew(tailor: Tailor, clothes: Clothes) -> list[Piece]:
    """The garment's pieces."""
    return GARMENTS[clothes.kind](tailor, clothes)
