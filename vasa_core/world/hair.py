"""Strands: head hair grown over the scalp, and brows, beards and lashes rooted in the skin.

A strand is a polyline. `Strands` stay where they grew (head rest space, cm); `Rooted` strands hang on mesh vertices and
follow every expression. Growing is vectorised over strands: comb (where to), march (step by step, held near the skull),
then clump, wave, and clear the face.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.interpolate import CubicSpline
from scipy.spatial import Delaunay, cKDTree

from vasa_core.world.facekit import FACE, LASHES_L, LASHES_R, SCALP, FaceKit, Number, smoothstep, unit
from vasa_core.world.people import Beard, Brows, Hair

SKULL_CENTER = np.array([0, 3, 0], np.float32)
DOWN = np.array([0, -1, 0], np.float32)
BUN = np.array([0, 13.2, -6.6])
# Height of the hairline around the neutral head: azimuth from the front (degrees) and y (cm).
HAIRLINE = np.array([(0, 10.2), (15, 10.25), (30, 10.1), (43, 9.1), (54, 7.6), (64, 6.0), (73, 2.4), (79, 1.9), (84, 3.9),
                     (92, 5.0), (104, 4.6), (118, .2), (140, -4.4), (160, -5.6), (180, -5.8)])


@dataclass(frozen=True)
class Strands:
    """n strands of K points; `tint` and `layer` (0 at the skull, 1 outside) vary by strand."""

    points: Array  # [n, K, 3] cm
    normals: Array  # [n, K, 3] outwards, for shading
    tint: Array  # [n] 0..1
    layer: Array  # [n] 0..1
    width: Array  # [n] cm


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
        return Strands(points, self.normals, self.tint, np.full(len(points), .8), self.width)


# ---- where hair grows ------------------------------------------------------------------------------------------------
def inside_hairline(canonical: Array, hair: Hair) -> Array:
    """Height in cm of canonical points above the hairline, which wanders a little as real ones do."""
    x, y, z = canonical[..., 0], canonical[..., 1], canonical[..., 2]
    azimuth = np.degrees(np.arctan2(np.abs(x), z + .5))
    line = np.interp(azimuth, *HAIRLINE.T) + hair.hairline * np.exp(-((azimuth / 43) ** 2))
    temples = hair.recede * np.exp(-(((azimuth - 36) / 13) ** 2))
    wander = .18 * np.sin(2.3 * x + 1.1 * hair.parting) + .12 * np.sin(5.1 * x + 2.0 * y) + .10 * np.sin(3.7 * z + 1.7 * y)
    return y - line - temples + wander


def ears(canonical: Array) -> Array:
    """1 on the ears, 0 elsewhere."""
    x, y, z = np.abs(canonical[..., 0]), canonical[..., 1], canonical[..., 2]
    return smoothstep(7.45, 7.8, x) * smoothstep(-4.6, -4.2, y) * smoothstep(5.3, 4.9, y) * smoothstep(3.2, 2.8, z) * smoothstep(-2.6, -2.0, z)


def scalp_density(canonical: Array, hair: Hair) -> Array:
    """How thickly hair grows, 0..1, thinning out towards the hairline."""
    return smoothstep(-.7, 1.5, inside_hairline(canonical, hair)) * (1 - ears(canonical))


def beard_density(canonical: Array, kind: str) -> Array:
    """How thickly a beard of this kind grows, 0..1."""
    x, y, z = np.abs(canonical[..., 0]), canonical[..., 1], canonical[..., 2]
    cheek = smoothstep(.9, -.5, y + 4.4 - 1.05 * (x - 2.6)) * smoothstep(-9.5, -6.2, y + .2857 * z) * smoothstep(-.5, 1.5, z)
    lips = smoothstep(1.25, .95, np.hypot(x / 2.35, (y + 3.0) / .95))
    moustache = smoothstep(-.9, -1.6, y + .26 * x) * smoothstep(3.9, 2.9, x) * smoothstep(-4.4, -3.4, y) * smoothstep(7, 8, z)
    sideburn = smoothstep(7.5, 6.9, x) * smoothstep(3.4, 1.4, y) * smoothstep(-1.5, 0, z) * smoothstep(3.6, 2.2, z) * smoothstep(-6, -2, y) * (x > 5.5)
    chin = cheek * smoothstep(3.5, 2.3, x) * smoothstep(3, 5, z)
    grown = {"full": np.maximum(np.maximum(cheek, moustache), sideburn), "goatee": np.maximum(chin, moustache), "moustache": moustache}[kind]
    return np.clip(grown, 0, 1) * (1 - lips) * smoothstep(7.5, 7.1, x)


def sample_surface(kit: FaceKit, rest: Array, density: Array, count: int, rng: Generator) -> tuple[Array, Array]:
    """Random points of the face and scalp: triangle corners [n, 3] and barycentric weights [n, 3]."""
    triangles = np.nonzero(kit.face_part <= SCALP)[0]
    a, b, c = (rest[kit.faces[triangles, i]] for i in range(3))
    mass = np.linalg.norm(np.cross(b - a, c - a), axis=1) * density[kit.faces[triangles]].mean(1)
    chosen = kit.faces[rng.choice(triangles, count, p=mass / mass.sum())]
    u, v = np.sqrt(rng.random(count)), rng.random(count)
    return chosen, np.stack([1 - u, u * (1 - v), u * v], 1).astype(np.float32)


def blend(values: Array, corners: Array, weights: Array) -> Array:
    """Vertex values at barycentric points."""
    return (values[corners] * weights[..., None]).sum(1)


class Skull:
    """The head without ears as a radius in every direction from its centre."""

    COLUMNS, ROWS = 128, 64

    def __init__(self, kit: FaceKit, rest: Array):
        head = (kit.part <= SCALP) & (kit.neutral[:, 1] > -9.5) & (ears(kit.neutral) < .5)
        away = rest[head] - SKULL_CENTER
        distance = np.linalg.norm(away, axis=1)
        azimuth = (np.arange(self.COLUMNS) + .5) / self.COLUMNS * 2 * np.pi - np.pi
        height, azimuth = np.meshgrid((np.arange(self.ROWS) + .5) / self.ROWS * np.pi - np.pi / 2, azimuth, indexing="ij")
        toward = np.stack([np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth)], -1)
        gap, near = cKDTree(away / distance[:, None]).query(toward.reshape(-1, 3), k=4)
        closeness = 1 / (gap + 1e-3)
        self.grid = ((distance[near] * closeness).sum(1) / closeness.sum(1)).reshape(self.ROWS, self.COLUMNS)

    def radius(self, direction: Array) -> Array:
        """Bilinear radius in cm for unit directions."""
        u = (np.arctan2(direction[..., 0], direction[..., 2]) + np.pi) / (2 * np.pi) * self.COLUMNS - .5
        v = np.clip((np.arcsin(np.clip(direction[..., 1], -1, 1)) / np.pi + .5) * self.ROWS - .5, 0, self.ROWS - 1.001)
        column, row = np.floor(u).astype(int), np.floor(v).astype(int)
        a, b, fu, fv = column % self.COLUMNS, (column + 1) % self.COLUMNS, u - column, v - row
        low, high = (self.grid[r, a] * (1 - fu) + self.grid[r, b] * fu for r in (row, row + 1))
        return low * (1 - fv) + high * fv


# ---- combing ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Roots:
    """Where strands start, with what the combing needs to know of the place."""

    point: Array
    normal: Array
    canonical: Array
    inside: Array  # cm above the hairline
    chance: Array  # one uniform number a strand
    side: Array  # -1 or 1: the side of the parting
    top: Array  # 1 on the crown, 0 at the sides


@dataclass(frozen=True)
class Combed:
    """Length (cm), direction along the scalp, how much a strand stands up, how much it falls."""

    length: Array
    flow: Array
    lift: Array
    gravity: Number = 0.


def comb_buzz(r: Roots, hair: Hair) -> Combed:
    x, one = r.canonical[:, 0], np.ones(len(r.point))
    return Combed(hair.length * (.7 + .5 * r.chance), np.stack([.1 * x, -.5 * one, .5 * one], 1), 1.1 * one)


def comb_short(r: Roots, hair: Hair) -> Combed:
    x, z = r.canonical[:, 0], r.canonical[:, 2]
    length = (1.2 + (hair.length - 1.2) * r.top) * (.8 + .4 * r.chance)
    flow = np.stack([.03 * x + .8 * hair.sweep * r.top, -.9 * (1 - r.top), .25 * r.top - .55 * (1 - r.top) * (z < 4)], 1)
    return Combed(length, flow, .22 + .7 * r.top, .03)


def comb_sidepart(r: Roots, hair: Hair) -> Combed:
    room = np.clip(7.5 - r.side * r.canonical[:, 0], 0, 20)  # to the side of the head, where long hair would overhang
    length = np.minimum(1.4 + (hair.length - 1.4) * r.top, 1.6 + .75 * room) * (.8 + .35 * r.chance)
    flow = np.stack([r.side * r.top, -.9 * (1 - r.top) - .1, (-.35 + .3 * hair.sweep) * r.top - .5 * (1 - r.top)], 1)
    return Combed(length, flow, .10 + .35 * r.top + .5 * r.top * smoothstep(3, 8, r.canonical[:, 2]), .05)


def comb_swept(r: Roots, hair: Hair) -> Combed:
    length = (1.8 + (hair.length - 1.8) * r.top) * (.85 + .3 * r.chance)
    flow = np.stack([.05 * r.canonical[:, 0] + .25 * hair.sweep * r.top, -.3 * (1 - r.top), -np.ones(len(length))], 1)
    return Combed(length, flow, .12 + .75 * r.top * smoothstep(3, 8, r.canonical[:, 2]), .03)


def comb_long(r: Roots, hair: Hair) -> Combed:
    fall = np.maximum(hair.length - .8 * np.clip(10 - r.canonical[:, 1], 0, 30), 3)  # ends cut at one level
    one = np.ones(len(fall))
    return Combed(fall * (.90 + .14 * r.chance), np.stack([r.side, -.1 * one, -.40 * one], 1), .28 * one, .22)


def comb_afro(r: Roots, hair: Hair) -> Combed:
    return Combed(hair.length * (.8 + .25 * r.chance), r.normal, np.full(len(r.point), 2.))


def comb_bun(r: Roots, hair: Hair) -> Combed:
    to_bun = BUN - r.point
    return Combed(np.linalg.norm(to_bun, axis=1) * 1.12, to_bun, np.full(len(r.point), .06))


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a style is grown; counts are for hair of density 1."""

    comb: Callable[[Roots, Hair], Combed]
    strands: int
    points: int
    width: Number  # cm
    fades: bool = False  # shorter at the hairline
    falls: bool = False  # hangs past the face onto the shoulders
    free: bool = False  # stands off the skull


STYLES = {
    "buzz": Style(comb=comb_buzz, strands=42000, points=4, width=.022, fades=True),
    "short": Style(comb=comb_short, strands=34000, points=8, width=.030, fades=True),
    "sidepart": Style(comb=comb_sidepart, strands=30000, points=11, width=.032, fades=True),
    "swept": Style(comb=comb_swept, strands=30000, points=11, width=.032, fades=True),
    "bob": Style(comb=comb_long, strands=26000, points=16, width=.034, falls=True),
    "long": Style(comb=comb_long, strands=26000, points=22, width=.034, falls=True),
    "bangs": Style(comb=comb_long, strands=26000, points=18, width=.034, falls=True),
    "curly": Style(comb=comb_long, strands=17000, points=40, width=.036, falls=True),
    "afro": Style(comb=comb_afro, strands=26000, points=16, width=.034, free=True),
    "bun": Style(comb=comb_bun, strands=26000, points=14, width=.032),
}
BALD = "bald"


# ---- growing ---------------------------------------------------------------------------------------------------------
def grow(kit: FaceKit, rest: Array, normals: Array, hair: Hair, rng: Generator, shoulders: Callable[[Array, Array], Array]) -> Strands | None:
    """The head hair of a person at rest; `shoulders(x, z)` is the height of the body there. None when bald."""
    if hair.style == BALD:
        return None
    style, skull = STYLES[hair.style], Skull(kit, rest)
    roots = find_roots(kit, rest, normals, hair, int(style.strands * hair.density), rng)
    fringe = fringe_of(roots, hair)
    combed = trim(style.comb(roots, hair), roots, style, fringe)
    layer = .15 + .85 * rng.random(len(roots.point)) ** .8
    points = march(roots, combed, style, hair, skull, layer, fringe, shoulders, rng)
    points, tint = arrange(points, roots, combed, hair, rng)
    if not style.free:
        points = clear_face(points, layer, fringe)
    points = push_out(points, skull)
    strands = as_strands(points, roots, tint, layer, style, rng)
    if hair.style == "bun":
        strands = joined(strands, knot(style, rng))
    return strands if style.free else without(strands, crosses_face(strands.points, fringe))


def find_roots(kit: FaceKit, rest: Array, normals: Array, hair: Hair, count: int, rng: Generator) -> Roots:
    parting = 1 + 1.2 * np.exp(-(((kit.neutral[:, 0] - hair.parting) / 1.5) ** 2))  # combed both ways, it needs more
    corners, weights = sample_surface(kit, rest, scalp_density(kit.neutral, hair) * parting + 1e-6, count, rng)
    point, canonical = blend(rest, corners, weights), blend(kit.neutral, corners, weights)
    side = np.where(point[:, 0] + .3 * rng.normal(size=count) > hair.parting, 1., -1.)
    top = smoothstep(5.5, 10.5, canonical[:, 1] + .15 * canonical[:, 2])
    return Roots(point, unit(blend(normals, corners, weights)), canonical, inside_hairline(canonical, hair), rng.random(count), side, top)


def fringe_of(roots: Roots, hair: Hair) -> Array:
    """Which strands hang over the forehead."""
    x, y, z = roots.canonical.T
    return (hair.style == "bangs") & (z > 4.5) & (np.abs(x) < 5.9) & (y > 7.) & (roots.inside < 3.5 + 2.5 * roots.chance)


def trim(combed: Combed, roots: Roots, style: Style, fringe: Array) -> Combed:
    length, flow, lift = combed.length.copy(), combed.flow.copy(), combed.lift.copy()
    if style.fades:
        length *= .3 + .7 * smoothstep(-.5, 2.4, roots.inside)
    cut = 5.0 + np.clip(roots.inside, 0, 4.5) + .7 * roots.chance + .11 * roots.canonical[:, 0] ** 2
    length[fringe] = cut[fringe]
    flow[fringe] = np.stack([.06 * roots.canonical[fringe, 0], np.full(fringe.sum(), -.2), np.ones(fringe.sum())], 1)
    return Combed(np.maximum(length, .15), flow, lift, combed.gravity)


def march(roots, combed, style, hair, skull, layer, fringe, shoulders, rng) -> Array:
    """Points [n, K, 3]: each strand walks its way, kept between its own layer's bounds above the skull."""
    flat = combed.flow - (combed.flow * roots.normal).sum(1, keepdims=True) * roots.normal
    heading = unit(unit(flat) + roots.normal * combed.lift[:, None] + hair.mess * rng.normal(size=flat.shape))
    step = (combed.length / (style.points - 1))[:, None]
    # The layer rises gradually behind the hairline, or the hair would look like a cap.
    stand = layer * hair.thickness * (.12 + .88 * smoothstep(-.2, 3.2, roots.inside))
    if style.fades:
        stand = stand * (.30 + .70 * roots.top)
    here, walked = roots.point.astype(np.float64), [roots.point.astype(np.float64)]
    for k in range(1, style.points):
        t = k / (style.points - 1)
        if hair.style == "bun":
            heading = unit(heading + .6 * unit(BUN - here))
        heading = unit(heading + combed.gravity * step * DOWN * (1 + 1.5 * t))
        ahead = hold_to_skull(here + heading * step, skull, stand, t, style, hair)
        if style.falls:
            ahead, step = fall_past(ahead, step, roots, layer, fringe, shoulders)
        heading = unit(.35 * heading + .65 * unit(ahead - here))
        here = ahead if style.free else here + unit(ahead - here) * step
        walked.append(here.copy())
    return np.stack(walked, 1)


def hold_to_skull(points: Array, skull: Skull, stand: Array, t: Number, style: Style, hair: Hair) -> Array:
    away = points - SKULL_CENTER
    distance = np.linalg.norm(away, axis=1)
    direction = away / distance[:, None]
    surface = skull.radius(direction)
    if style.free:
        return SKULL_CENTER + direction * np.maximum(distance, surface + .1)[:, None]
    rise = min(1., 2.2 * t + .05)
    if style.fades:  # the sides of short hair lie flat
        rise = rise * (1 - .85 * t * smoothstep(9.5, 5.5, points[:, 1]))
    low = surface + stand * rise + .05
    high = low + .15 + (.9 if style.falls else .35) * t
    upper = smoothstep(-3, 1, points[:, 1])  # below the ears hair hangs freely
    held = np.where(upper > .02, np.clip(distance, low, high * upper + (1 - upper) * np.maximum(distance, high)), np.maximum(distance, low))
    return SKULL_CENTER + direction * held[:, None]


def fall_past(points: Array, step: Array, roots: Roots, layer: Array, fringe: Array, shoulders) -> tuple[Array, Array]:
    """Long hair goes around the face and comes to rest on the shoulders."""
    points = points.copy()
    near = smoothstep(.5, 4, points[:, 2]) * (points[:, 1] < 8.6) * ~fringe
    frame = 6.7 + .7 * layer - .03 * np.clip(points[:, 1] - 4, 0, 4) ** 2
    push = np.clip(frame - np.abs(points[:, 0]), 0, 4) * near
    points[:, 0] += .7 * roots.side * push
    points[:, 2] -= .25 * push
    floor = shoulders(points[:, 0], points[:, 2]) + .25 + .6 * layer
    under = points[:, 1] < floor
    points[:, 1] = np.where(under, floor, points[:, 1])
    points[:, 2] += np.where(under, np.where(roots.point[:, 2] > 1, .5, -.5), 0)
    return points, np.where(under[:, None], .35 * step, step)


def arrange(points: Array, roots: Roots, combed: Combed, hair: Hair, rng: Generator) -> tuple[Array, Array]:
    """Strands gathered in clumps, waved or curled, and a little unruly; and their tint, which a clump shares."""
    count, steps = points.shape[:2]
    t = np.linspace(0, 1, steps)[None, :, None]
    guides = rng.choice(count, max(20, count // 70), replace=False)
    mine = cKDTree(roots.point[guides]).query(roots.point)[1]
    guide, pull = points[guides][mine], hair.clump * t**1.3
    spread = points[:, :1] - guide[:, :1]
    points = points * (1 - pull) + (guide + spread * (1 - .75 * t)) * pull
    along = unit(np.gradient(points, axis=1))
    out = unit(roots.normal[:, None] - (roots.normal[:, None] * along).sum(-1, keepdims=True) * along)
    phase = 12.6 * (.85 * rng.random(len(guides))[mine] + .15 * rng.random(count))[:, None, None]
    turn = 2 * np.pi * hair.wave_per_cm * combed.length[:, None, None] * t + phase
    points = points + hair.wave * np.minimum(1, combed.length / 4.)[:, None, None] * np.minimum(1, 2.5 * t) * (np.cos(turn) * np.cross(along, out) + .8 * np.sin(turn) * out)
    stray = rng.normal(size=(count, 1, 3)) * np.minimum(combed.length, 8)[:, None, None]
    tint = np.clip(.5 + .22 * rng.normal(size=len(guides))[mine] + .18 * rng.normal(size=count), 0, 1)
    return points + .2 * hair.frizz * stray * t, tint


def clear_face(points: Array, layer: Array, fringe: Array) -> Array:
    """Strands moved sideways out of an oval window around the face."""
    points, half = points.copy(), (6.7 + .8 * layer)[:, None]
    for _ in range(2):
        x, y = points[..., 0], points[..., 1]
        v = np.where(y > 1, (y - 1) / (8.8 + .5 * layer[:, None]), .35 * (y - 1) / (8.8 + .5 * layer[:, None]))
        r = np.hypot(x / half, v)
        inside = (r < 1) & ~fringe[:, None] & (np.arange(points.shape[1]) > 0) & (y > -16)
        amount, stretch = smoothstep(-.3, 2.2, points[..., 2]) * inside, 1 / np.maximum(r, .25) - 1
        points[..., 0] *= 1 + stretch * amount
        points[..., 1] = np.where(y > 1, 1 + (y - 1) * (1 + stretch * amount), y)
        points[..., 2] -= np.minimum(2.5, .6 * stretch * half) * amount * (points[..., 1] < 6)
    return points


def push_out(points: Array, skull: Skull) -> Array:
    """No point but the root lies under the scalp."""
    away = points - SKULL_CENTER
    distance = np.linalg.norm(away, axis=-1)
    direction = away / distance[..., None]
    surface = skull.radius(direction) + .05
    surface[:, 0] = 0
    sunk = (points[..., 1] > -5) & (distance < surface)
    return np.where(sunk[..., None], SKULL_CENTER + direction * surface[..., None], points)


def crosses_face(points: Array, fringe: Array) -> Array:
    """Which strands still pass in front of the face."""
    between = np.concatenate([points, .5 * (points[:, 1:] + points[:, :-1])], 1)
    x, y, z = np.moveaxis(between, -1, 0)
    oval = ((x / 6.3) ** 2 + ((y - 1) * np.where(y > 1, 1, .5) / 8.1) ** 2 < 1) & (z > 1.5) & (y > -11)
    oval |= (np.abs(x) < 5.6) & (z > 1.) & (y <= -9) & (y > -24)  # nor over the throat
    eyes = (np.abs(x) < 5.5) & (y < 5.2) & (y > -11) & (z > 3)
    hangs = np.zeros(len(points), bool)
    hangs[: len(fringe)] = fringe
    return np.where(hangs, eyes.any(1), oval.any(1))


def as_strands(points: Array, roots: Roots, tint: Array, layer: Array, style: Style, rng: Generator) -> Strands:
    """With normals away from the head, flattened below the ears, and finer hair at the hairline."""
    out = points - np.array([0, 3, -.5])
    out[..., 1] = np.where(points[..., 1] < 3, 0, out[..., 1])
    count = len(points)
    width = style.width * (.7 + .6 * rng.random(count)) * (.5 + .5 * smoothstep(-.5, 1.5, roots.inside))
    return Strands(points, unit(out), tint, layer, width)


def knot(style: Style, rng: Generator) -> Strands:
    """The ball of a bun: strands wound about it."""
    count, t = 9000, np.linspace(0, 1.8, style.points)
    radius = 2.9 * (.82 + .18 * rng.random(count))[:, None, None]
    axis = unit(.40 * rng.normal(size=(count, 3)) + np.array([.25, .4, 1.]))
    across = unit(np.cross(axis, rng.normal(size=(count, 3))))
    circle = across[:, None] * np.cos(t)[None, :, None] + np.cross(axis, across)[:, None] * np.sin(t)[None, :, None]
    center = BUN + np.array([0, 1.6, .2])
    points = center + radius * circle * np.array([1.15, .9, .9]) + (axis * rng.uniform(-.9, .9, (count, 1)))[:, None]
    return Strands(points, unit(points - center), rng.random(count), np.full(count, .9), style.width * (.7 + .6 * rng.random(count)))


def joined(a: Strands, b: Strands) -> Strands:
    return Strands(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in Strands.__dataclass_fields__))


def without(strands: Strands, gone: Array) -> Strands:
    return replace(strands, **{name: getattr(strands, name)[~gone] for name in Strands.__dataclass_fields__})


# ---- brows, beards, lashes -------------------------------------------------------------------------------------------
def rooted_walk(kit, rest, normals, corners, weights, heading, length, points, curl, hug, rng) -> tuple[Array, Array]:
    """Offsets and normals of strands that leave a root and bend with random curl and a pull back to the skin."""
    normal = unit(blend(normals, corners, weights))
    offsets, step = [np.zeros_like(heading)], (length / (points - 1))[:, None]
    for _ in range(1, points):
        offsets.append(offsets[-1] + heading * step)
        heading = unit(heading - hug * normal + curl * rng.normal(size=heading.shape))
    return np.stack(offsets, 1), np.repeat(normal[:, None], points, 1)


def rooted(corners: Array, weights: Array, offsets: Array, normals: Array, width: Array, rng: Generator) -> Rooted:
    points = offsets.shape[1]
    return Rooted(np.repeat(corners[:, None], points, 1), np.repeat(weights[:, None], points, 1), offsets, normals, rng.random(len(corners)), width)


def grow_beard(kit: FaceKit, rest: Array, normals: Array, beard: Beard, rng: Generator) -> Rooted:
    """A beard that follows the jaw."""
    density = np.where(kit.part == FACE, beard_density(kit.neutral, beard.kind), 0)
    corners, weights = sample_surface(kit, rest, density**1.5, int(26000 * beard.density * (.3 if beard.kind == "moustache" else 1)), rng)
    normal, root, here = unit(blend(normals, corners, weights)), blend(rest, corners, weights), blend(density[:, None], corners, weights)[:, 0]
    count = len(root)
    length = beard.length * (.4 + .8 * rng.random(count)) * np.clip(1.2 * here, .25, 1)
    length = np.where(blend(kit.neutral, corners, weights)[:, 1] > -3.2, np.minimum(length, .55), length)  # trimmed above the lip
    flow = np.stack([.10 * root[:, 0], -np.ones(count), np.full(count, .1)], 1)
    heading = unit(flow - .9 * (flow * normal).sum(1, keepdims=True) * normal + .45 * normal + .28 * rng.normal(size=flow.shape))
    offsets, spread = rooted_walk(kit, rest, normals, corners, weights, heading, length, 6, beard.curl, .1, rng)
    return rooted(corners, weights, offsets, spread, .026 * (.7 + .6 * rng.random(count)), rng)


def grow_brows(kit: FaceKit, rest: Array, normals: Array, brows: Brows, rng: Generator) -> Rooted:
    """Both eyebrows, hair by hair: upright at the inner end, lying along the arch, thinning to a tail."""
    pieces = [grow_brow(kit, rest, normals, brows, inner_to_outer, rng) for inner_to_outer in (range(21, 16, -1), range(22, 27))]
    return Rooted(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in Rooted.__dataclass_fields__))


def grow_brow(kit, rest, normals, brows, landmarks, rng) -> Rooted:
    curve = kit.neutral[kit.landmarks[list(landmarks)]].astype(np.float64)
    curve[2:4, 1] += .22 * brows.arch
    t = np.linspace(-.02, 1.04, 160)
    spline = CubicSpline(np.linspace(0, 1, 5), curve)
    line, along = spline(t), unit(spline(t, 1))
    near = cKDTree(line).query(kit.neutral)[0]
    corners, weights = sample_surface(kit, rest, (near < 1.) * (kit.part == FACE) + 0., 16000, rng)
    root = blend(kit.neutral, corners, weights)
    nearest = cKDTree(line[:, :2]).query(root[:, :2])[1]
    across = np.stack([-along[nearest, 1], along[nearest, 0]], 1) * np.sign(along[nearest, :1])  # upwards in the picture
    place, off = t[nearest], ((root - line[nearest])[:, :2] * across).sum(1)
    half = .40 * brows.thickness * np.interp(place, [0, .12, .45, .75, 1.04], [.70, 1., .90, .60, .22])
    ends = smoothstep(-.02, .10, place) * smoothstep(1.04, .90, place)
    keep = np.nonzero(rng.random(len(place)) < np.exp(-((off / half) ** 2) * 1.6) * ends)[0][: int(700 * brows.density)]
    corners, weights, place, off, half = corners[keep], weights[keep], place[keep], off[keep], half[keep]
    normal, along, count = unit(blend(normals, corners, weights)), along[nearest[keep]], len(keep)
    angle = np.interp(place, [0, .12, .4, 1], [1.25, .85, .42, .05]) - .38 * off / half + .16 * rng.normal(size=count)
    up = np.cross(normal, along) * np.sign(along[:, :1])
    heading = unit(along * np.cos(angle)[:, None] + up * np.sin(angle)[:, None] + .22 * normal)
    length = rng.uniform(.40, .75, count) * np.interp(place, [0, .2, 1], [.75, 1., .8])
    offsets, spread = rooted_walk(kit, rest, normals, corners, weights, heading, length, 6, .05, .10, rng)
    return rooted(corners, weights, offsets, spread, .018 * (.7 + .6 * rng.random(count)), rng)


def grow_lashes(kit: FaceKit, rest: Array, amount: Number, rng: Generator) -> Rooted:
    """Lashes along the mesh's lash cards: three cards above and three below each eye."""
    pieces = [grow_card(kit, card, center, amount, rng)
              for part, side in ((LASHES_L, "L"), (LASHES_R, "R"))
              for card, center in ((c, kit.eyeballs[side].center) for c in lash_cards(kit, part))]
    return Rooted(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in Rooted.__dataclass_fields__))


def lash_cards(kit: FaceKit, part: int) -> list[Array]:
    """The vertices of each lash card of an eye (equal shares of its vertices, in order)."""
    return list(np.nonzero(kit.part == part)[0].reshape(6, -1))


def grow_card(kit: FaceKit, card: Array, eye: Array, amount: Number, rng: Generator) -> Rooted:
    uv = np.zeros((len(kit.neutral), 2))
    uv[kit.faces] = kit.uv[kit.uv_faces]
    flat = uv[card]
    low, high = flat.min(0), flat.max(0)
    flat = (flat - low) / (high - low)
    away = np.linalg.norm(kit.neutral[card] - eye, axis=1)
    outward = np.corrcoef(away, flat[:, 1])[0, 1] > 0  # whether v grows from the lid to the tip
    upper = kit.neutral[card, 1].mean() > eye[1]
    count, points = int((50 if upper else 26) * (.5 + amount)), 7
    along = np.linspace(.02, .97, count) + .008 * rng.normal(size=count)
    reach = np.linspace(0, 1, points) * ((.55 + .4 * rng.random(count)) * (.85 if upper else .36) * (.6 + .4 * amount))[:, None]
    where = np.stack([np.clip(along[:, None] + .012 * rng.normal(size=(count, 1)) * reach, .01, .99),
                      np.clip(reach if outward else 1 - reach, .005, .995)], -1)
    mesh = Delaunay(flat)
    simplex = mesh.find_simplex(where)
    corner = mesh.simplices[np.maximum(simplex, 0)]
    affine = mesh.transform[np.maximum(simplex, 0)]
    two = np.einsum("nkij,nkj->nki", affine[..., :2, :], where - affine[..., 2, :])
    weights = np.concatenate([two, 1 - two.sum(-1, keepdims=True)], -1)
    good = (simplex >= 0).all(1)
    normals = np.tile(np.array([0, 0, 1.]), (count, points, 1))
    curl = reach[..., None] ** 1.6 * np.array([0, .42 if upper else -.12, 0])  # the cards are flatter than lashes are
    fan = reach[..., None] * (along - .45)[:, None, None] * np.array([.7, 0, 0])
    return Rooted(card[corner][good], weights[good], (curl + fan)[good], normals[good], rng.random(good.sum()),
                  np.full(good.sum(), .024 if upper else .009))
