"""Head hair: strands grown over the scalp, in head rest space (cm).

A strand is a polyline. Growing is vectorised over strands: comb (where to), march (step by step, held near the skull),
then clump or twist, wave, and clear the face. The coarser the picture, the fewer, wider and shorter-sampled the
strands: what they cover together stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.spatial import cKDTree

from vasa_core.world.facekit import SCALP, FaceKit, Number, smoothstep, unit
from vasa_core.world.people import Hair

Shoulders = Callable[[Array, Array], Array]  # height of the body at x, z
STRAND_PX = 0.85  # strands are at least so many pixels wide
LOWEST = -0.75  # cm above the hairline: no root lies lower
COVER = 0.85  # strands overlap, so fewer need not be wider by the whole of it
SKULL_CENTER = np.array([0, 3, 0], np.float32)
DOWN = np.array([0, -1, 0], np.float32)
BUN = np.array([0, 13.2, -6.6])
TAIL = np.array([0, 9.0, -9.2])  # where a ponytail is tied
# Height of the hairline around the neutral head: azimuth from the front (degrees) and y (cm).
HAIRLINE = np.array(
    [
        (0, 10.2),
        (15, 10.25),
        (30, 10.1),
        (43, 9.1),
        (54, 7.6),
        (64, 6.0),
        (73, 2.4),
        (79, 1.9),
        (84, 3.9),
        (92, 5.0),
        (104, 4.6),
        (118, 0.2),
        (140, -4.4),
        (160, -5.6),
        (180, -5.8),
    ]
)


@dataclass(frozen=True)
class Strands:
    """n strands of K points; `tint` and `layer` (0 at the skull, 1 outside) vary by strand.

    A tint of 1 and more is a strand of the other colour: grey, or bleached.
    """

    points: Array  # [n, K, 3] cm
    normals: Array  # [n, K, 3] outwards, for shading
    tint: Array  # [n] 0..1, or 1..2
    layer: Array  # [n] 0..1
    width: Array  # [n] cm


# ---- where hair grows ------------------------------------------------------------------------------------------------
def inside_hairline(canonical: Array, hair: Hair) -> Array:
    """Height in cm of canonical points above the hairline, which wanders a little as real ones do."""
    x, y, z = canonical[..., 0], canonical[..., 1], canonical[..., 2]
    azimuth = np.degrees(np.arctan2(np.abs(x), z + 0.5))
    line = np.interp(azimuth, *HAIRLINE.T) + hair.hairline * np.exp(-((azimuth / 43) ** 2))
    temples = hair.recede * np.exp(-(((azimuth - 36) / 13) ** 2))
    wander = (
        0.18 * np.sin(2.3 * x + 1.1 * hair.parting)
        + 0.12 * np.sin(5.1 * x + 2.0 * y)
        + 0.10 * np.sin(3.7 * z + 1.7 * y)
    )
    return y - line - temples + wander


def ears(canonical: Array) -> Array:
    """1 on the ears, 0 elsewhere."""
    x, y, z = np.abs(canonical[..., 0]), canonical[..., 1], canonical[..., 2]
    return (
        smoothstep(7.45, 7.8, x)
        * smoothstep(-4.6, -4.2, y)
        * smoothstep(5.3, 4.9, y)
        * smoothstep(3.2, 2.8, z)
        * smoothstep(-2.6, -2.0, z)
    )


def scalp_density(canonical: Array, hair: Hair) -> Array:
    """How thickly hair grows, 0..1, thinning out towards the hairline."""
    return smoothstep(-0.7, 1.5, inside_hairline(canonical, hair)) * (1 - ears(canonical))


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
        head = (kit.part <= SCALP) & (kit.neutral[:, 1] > -9.5) & (ears(kit.neutral) < 0.5)
        away = rest[head] - SKULL_CENTER
        distance = np.linalg.norm(away, axis=1)
        azimuth = (np.arange(self.COLUMNS) + 0.5) / self.COLUMNS * 2 * np.pi - np.pi
        height, azimuth = np.meshgrid(
            (np.arange(self.ROWS) + 0.5) / self.ROWS * np.pi - np.pi / 2, azimuth, indexing="ij"
        )
        toward = np.stack([np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth)], -1)
        gap, near = cKDTree(away / distance[:, None]).query(toward.reshape(-1, 3), k=4)
        closeness = 1 / (gap + 1e-3)
        self.grid = ((distance[near] * closeness).sum(1) / closeness.sum(1)).reshape(self.ROWS, self.COLUMNS)

    def radius(self, direction: Array) -> Array:
        """Bilinear radius in cm for unit directions."""
        u = (np.arctan2(direction[..., 0], direction[..., 2]) + np.pi) / (2 * np.pi) * self.COLUMNS - 0.5
        v = np.clip(
            (np.arcsin(np.clip(direction[..., 1], -1, 1)) / np.pi + 0.5) * self.ROWS - 0.5, 0, self.ROWS - 1.001
        )
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
    gravity: Number = 0.0


def comb_buzz(r: Roots, hair: Hair) -> Combed:
    """Cropped, standing up and a little forward."""
    x, one = r.canonical[:, 0], np.ones(len(r.point))
    return Combed(hair.length * (0.7 + 0.5 * r.chance), np.stack([0.1 * x, -0.5 * one, 0.5 * one], 1), 1.1 * one)


def comb_short(r: Roots, hair: Hair) -> Combed:
    """Tousled on top, flat at the sides."""
    x, z = r.canonical[:, 0], r.canonical[:, 2]
    length = (1.2 + (hair.length - 1.2) * r.top) * (0.8 + 0.4 * r.chance)
    flow = np.stack(
        [0.03 * x + 0.8 * hair.sweep * r.top, -0.9 * (1 - r.top), 0.25 * r.top - 0.55 * (1 - r.top) * (z < 4)], 1
    )
    return Combed(length, flow, 0.22 + 0.7 * r.top, 0.03)


def comb_sidepart(r: Roots, hair: Hair) -> Combed:
    """Parted, with some volume above the forehead."""
    room = np.clip(7.5 - r.side * r.canonical[:, 0], 0, 20)  # to the side of the head, where long hair would overhang
    length = np.minimum(1.4 + (hair.length - 1.4) * r.top, 1.6 + 0.75 * room) * (0.8 + 0.35 * r.chance)
    flow = np.stack(
        [r.side * r.top, -0.9 * (1 - r.top) - 0.1, (-0.35 + 0.3 * hair.sweep) * r.top - 0.5 * (1 - r.top)], 1
    )
    return Combed(length, flow, 0.10 + 0.35 * r.top + 0.5 * r.top * smoothstep(3, 8, r.canonical[:, 2]), 0.05)


def comb_swept(r: Roots, hair: Hair) -> Combed:
    """Brushed back from the forehead."""
    length = (1.8 + (hair.length - 1.8) * r.top) * (0.85 + 0.3 * r.chance)
    flow = np.stack(
        [0.05 * r.canonical[:, 0] + 0.25 * hair.sweep * r.top, -0.3 * (1 - r.top), -np.ones(len(length))], 1
    )
    return Combed(length, flow, 0.12 + 0.75 * r.top * smoothstep(3, 8, r.canonical[:, 2]), 0.03)


def comb_long(r: Roots, hair: Hair) -> Combed:
    """Parted and falling past the face."""
    fall = np.maximum(hair.length - 0.8 * np.clip(10 - r.canonical[:, 1], 0, 30), 3)  # ends cut at one level
    uneven = np.interp(hair.length, (20, 28), (0.14, 0.38))  # or grown out: long hair thins towards its ends
    one = np.ones(len(fall))
    sideways = r.side * (1 - hair.behind * smoothstep(4, -2, r.canonical[:, 2]))
    return Combed(
        fall * (1.04 - uneven * (1 - r.chance) ** 2), np.stack([sideways, -0.1 * one, -0.40 * one], 1), 0.28 * one, 0.22
    )


def comb_afro(r: Roots, hair: Hair) -> Combed:
    """Away from the head on all sides."""
    return Combed(hair.length * (0.8 + 0.25 * r.chance), r.normal, np.full(len(r.point), 2.0))


def comb_bun(r: Roots, hair: Hair) -> Combed:
    """Drawn tight towards a knot."""
    to_bun = BUN - r.point
    return Combed(np.linalg.norm(to_bun, axis=1) * 1.12, to_bun, np.full(len(r.point), 0.06))


def comb_quiff(r: Roots, hair: Hair) -> Combed:
    """Brushed up and back above the forehead, short at the sides."""
    front = smoothstep(1.0, 6.5, r.canonical[:, 2]) * r.top
    length = (1.3 + (hair.length - 1.3) * r.top * (0.55 + 0.45 * front)) * (0.85 + 0.3 * r.chance)
    one = np.ones(len(length))
    flow = np.stack(
        [0.04 * r.canonical[:, 0] + 0.35 * hair.sweep * r.top, -0.9 * (1 - r.top), -0.4 * one - 0.5 * (1 - front)], 1
    )
    return Combed(length, flow, 0.15 + 0.35 * r.top + 1.5 * front)


def comb_curls(r: Roots, hair: Hair) -> Combed:
    """Short curls: away from the head, falling a little to all sides."""
    length = (0.45 + 0.55 * r.top) * hair.length * (0.8 + 0.35 * r.chance)
    x, z, one = r.canonical[:, 0], r.canonical[:, 2], np.ones(len(length))
    flow = np.stack([0.10 * x, -0.5 * one, 0.10 * (z - 1) + 0.25 * r.top], 1)
    return Combed(length, flow, 0.7 + 0.7 * r.top, 0.05)


def comb_tail(r: Roots, hair: Hair) -> Combed:
    """Drawn tight towards the tie of a ponytail."""
    to_tie = TAIL - r.point
    return Combed(np.linalg.norm(to_tie, axis=1) * 1.10, to_tie, np.full(len(r.point), 0.06))


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
    tie: tuple[Number, ...] | None = None  # where all strands run together
    ropes: int = 0  # strands are twisted into so many locs or braids
    rope_cm: Number = 0.0  # their radius
    plait: Number = 0.0  # how strongly a rope bulges, as braids do, 0..1
    rows: bool = False  # braided close to the scalp
    scalp: Number = 0.92  # how strongly the hair colours the scalp


STYLES = {
    "buzz": Style(comb=comb_buzz, strands=42000, points=4, width=0.022, fades=True, scalp=0.70),
    "short": Style(comb=comb_short, strands=34000, points=8, width=0.030, fades=True),
    "receding": Style(comb=comb_short, strands=26000, points=8, width=0.028, fades=True, scalp=0.55),
    "sidepart": Style(comb=comb_sidepart, strands=30000, points=11, width=0.032, fades=True),
    "swept": Style(comb=comb_swept, strands=30000, points=11, width=0.032, fades=True),
    "quiff": Style(comb=comb_quiff, strands=30000, points=11, width=0.032, fades=True),
    "curls": Style(comb=comb_curls, strands=22000, points=18, width=0.034, fades=True),
    "bob": Style(comb=comb_long, strands=26000, points=22, width=0.034, falls=True),
    "long": Style(comb=comb_long, strands=26000, points=28, width=0.034, falls=True),
    "wavy": Style(comb=comb_long, strands=24000, points=34, width=0.034, falls=True),
    "bangs": Style(comb=comb_long, strands=26000, points=18, width=0.034, falls=True),
    "curly": Style(comb=comb_long, strands=17000, points=40, width=0.036, falls=True),
    "afro": Style(comb=comb_afro, strands=26000, points=16, width=0.034, free=True),
    "bun": Style(comb=comb_bun, strands=26000, points=14, width=0.032, tie=tuple(BUN)),
    "ponytail": Style(comb=comb_tail, strands=26000, points=24, width=0.032, tie=tuple(TAIL)),
    "locs": Style(
        comb=comb_long, strands=24000, points=30, width=0.045, falls=True, ropes=220, rope_cm=0.56, scalp=0.92
    ),
    "braids": Style(
        comb=comb_long, strands=16000, points=44, width=0.04, falls=True, ropes=280, rope_cm=0.42, plait=0.3, scalp=0.9
    ),
    "cornrows": Style(comb=comb_bun, strands=15000, points=70, width=0.034, rows=True, scalp=0.30),
}
BALD = "bald"


# ---- growing ---------------------------------------------------------------------------------------------------------
def fineness(style: Style, pixel: Number) -> tuple[Style, Number]:
    """The style with fewer, wider strands of fewer points for pixels of so many cm, and the share of strands left."""
    wider = max(1.0, STRAND_PX * pixel / style.width)
    share = wider ** (-1 / COVER)
    points = max(4, round(style.points * wider ** (-0.25 if style.ropes or style.rows else -0.45)))
    return replace(style, strands=int(style.strands * share), points=points, width=style.width * wider), share


def grow(
    kit: FaceKit,
    rest: Array,
    normals: Array,
    hair: Hair,
    rng: Generator,
    shoulders: Shoulders,
    pixel: Number = 0.0,
    skull: Skull | None = None,
) -> Strands | None:
    """The head hair of a person at rest; `shoulders(x, z)` is the height of the body there. None when bald.

    `pixel` is how many cm a pixel will cover (0: as fine as can be); `skull` is this head's, if it is at hand.
    """
    if hair.style == BALD:
        return None
    (style, share), skull = fineness(STYLES[hair.style], pixel), skull or Skull(kit, rest)
    if style.rows:
        return streaked(grow_rows(kit, rest, hair, style, skull, rng), hair, rng)
    roots = find_roots(kit, rest, normals, hair, int(style.strands * hair.density), rng)
    fringe = fringe_of(roots, hair)
    combed = trim(style.comb(roots, hair), roots, style, fringe)
    layer = 0.15 + 0.85 * rng.random(len(roots.point)) ** 0.8
    points = march(roots, combed, style, hair, skull, layer, fringe, shoulders, rng)
    points, tint = arrange(points, roots, combed, hair, style, rng)
    if not style.free:
        points = rounded(clear_face(points, layer, fringe))
    points = push_out(points, skull, style.falls)
    tint = 0.5 + (tint - 0.5) * share**0.25  # a wide strand stands for several
    strands = as_strands(points, roots, tint, layer, style, rng)
    if style.tie is not None:
        strands = joined(strands, TIED[hair.style](style, share, hair, shoulders, rng))
        fringe = np.r_[fringe, np.zeros(len(strands.points) - len(fringe), bool)]
    if not style.free:
        strands = without(strands, crosses_face(strands.points, fringe))
    if not style.fades and not style.free:
        strands = joined(strands, baby_hairs(kit, rest, normals, hair, style, share, skull, shoulders, rng))
    return streaked(strands, hair, rng)


def streaked(strands: Strands, hair: Hair, rng: Generator) -> Strands:
    """With the share of the strands in the other colour that the person has, neighbours alike."""
    tint = np.clip(strands.tint, 0, 0.99)
    if not hair.streaks:
        return replace(strands, tint=tint)
    x, y, z = strands.points[:, 0].T
    patch = np.sin(2.1 * x + 0.7 * z) + np.sin(1.7 * z - 1.3 * y + 2.0) + 0.7 * np.sin(4.3 * x + 3.1 * y)
    likely = 0.7 * patch + rng.normal(size=len(tint))
    return replace(strands, tint=tint + (likely > np.quantile(likely, 1 - hair.streaks)))


def baby_hairs(
    kit: FaceKit,
    rest: Array,
    normals: Array,
    hair: Hair,
    style: Style,
    share: Number,
    skull: Skull,
    shoulders: Shoulders,
    rng: Generator,
) -> Strands:
    """Short fine hairs along the hairline, lying the way the others are combed: they soften its edge."""
    line = np.exp(-(((inside_hairline(kit.neutral, hair) - 0.35) / 0.55) ** 2)) * (1 - ears(kit.neutral))
    roots = roots_at(kit, rest, normals, hair, line, int(4200 * share * hair.density), rng)
    combed = style.comb(roots, hair)
    short = 0.5 + 1.3 * roots.chance * smoothstep(-0.8, 1.0, roots.inside)
    combed = replace(combed, length=short, lift=0.06 * np.ones(len(short)))
    still = replace(style, falls=False, fades=True, tie=None)
    nothing = np.zeros(len(short), bool)
    points = march(roots, combed, still, hair, skull, 0.1 * roots.chance, nothing, shoulders, rng)
    strands = as_strands(push_out(points, skull), roots, 0.35 + 0.3 * roots.chance, 0.4 * roots.chance, style, rng)
    return replace(strands, width=0.55 * strands.width)


def find_roots(kit: FaceKit, rest: Array, normals: Array, hair: Hair, count: int, rng: Generator) -> Roots:
    """Random roots on the scalp, thinner towards the hairline."""
    density = scalp_density(kit.neutral, hair)
    if STYLES[hair.style].falls:  # or single long hairs would cross the forehead
        density = density * smoothstep(-0.1, 1.3, inside_hairline(kit.neutral, hair))
    density = density * (1 + 1.2 * np.exp(-(((kit.neutral[:, 0] - hair.parting) / 1.5) ** 2)))  # combed both ways
    return roots_at(kit, rest, normals, hair, density, count, rng)


def roots_at(
    kit: FaceKit, rest: Array, normals: Array, hair: Hair, density: Array, count: int, rng: Generator
) -> Roots:
    """Random roots where the vertices' density says."""
    corners, weights = sample_surface(kit, rest, density + 1e-9, count, rng)
    grows = inside_hairline(blend(kit.neutral, corners, weights), hair) > LOWEST
    corners, weights, count = corners[grows], weights[grows], int(grows.sum())
    point, canonical = blend(rest, corners, weights), blend(kit.neutral, corners, weights)
    side = np.where(point[:, 0] + 0.3 * rng.normal(size=count) > hair.parting, 1.0, -1.0)
    top = smoothstep(5.5, 10.5, canonical[:, 1] + 0.15 * canonical[:, 2])
    return Roots(
        point,
        unit(blend(normals, corners, weights)),
        canonical,
        inside_hairline(canonical, hair),
        rng.random(count),
        side,
        top,
    )


def fringe_of(roots: Roots, hair: Hair) -> Array:
    """Which strands hang over the forehead."""
    x, y, z = roots.canonical.T
    return (
        (hair.style == "bangs") & (z > 3.2) & (np.abs(x) < 6.6) & (y > 6.4) & (roots.inside < 4.5 + 2.5 * roots.chance)
    )


def trim(combed: Combed, roots: Roots, style: Style, fringe: Array) -> Combed:
    """The combing with the hairline faded and the fringe cut to an arc above the eyes."""
    length, flow, lift = combed.length.copy(), combed.flow.copy(), combed.lift.copy()
    if style.fades:
        length *= 0.3 + 0.7 * smoothstep(-0.5, 2.4, roots.inside)
    cut = 5.0 + np.clip(roots.inside, 0, 4.5) + 0.7 * roots.chance + 0.11 * roots.canonical[:, 0] ** 2
    length[fringe] = cut[fringe]
    flow[fringe] = np.stack([0.06 * roots.canonical[fringe, 0], np.full(fringe.sum(), -0.2), np.ones(fringe.sum())], 1)
    return Combed(np.maximum(length, 0.15), flow, lift, combed.gravity)


def march(
    roots: Roots,
    combed: Combed,
    style: Style,
    hair: Hair,
    skull: Skull,
    layer: Array,
    fringe: Array,
    shoulders: Shoulders,
    rng: Generator,
) -> Array:
    """Points [n, K, 3]: each strand walks its way, kept between its own layer's bounds above the skull."""
    flat = combed.flow - (combed.flow * roots.normal).sum(1, keepdims=True) * roots.normal
    heading = unit(unit(flat) + roots.normal * combed.lift[:, None] + hair.mess * rng.normal(size=flat.shape))
    step = (combed.length / (style.points - 1))[:, None]
    # The layer rises gradually behind the hairline, or the hair would look like a cap.
    stand = layer * hair.thickness * (0.12 + 0.88 * smoothstep(-0.2, 3.2, roots.inside))
    if style.fades:
        stand = stand * (0.30 + 0.70 * roots.top)  # close at the sides
    here, walked = roots.point.astype(np.float64), [roots.point.astype(np.float64)]
    for k in range(1, style.points):
        t = k / (style.points - 1)
        if style.tie is not None:
            heading = unit(heading + 0.6 * unit(np.array(style.tie) - here))
        heading = unit(heading + combed.gravity * step * DOWN * (1 + 1.5 * t))
        ahead = hold_to_skull(here + heading * step, skull, stand, t, style)
        if style.falls:
            ahead, step = fall_past(ahead, step, roots, layer, fringe, shoulders)
        heading = unit(0.35 * heading + 0.65 * unit(ahead - here))
        here = ahead if style.free else here + unit(ahead - here) * step
        walked.append(here.copy())
    return np.stack(walked, 1)


def hold_to_skull(points: Array, skull: Skull, stand: Array, t: Number, style: Style) -> Array:
    """The points moved along the radius to between their layer's height above the skull and a little more."""
    away = points - SKULL_CENTER
    distance = np.linalg.norm(away, axis=1)
    direction = away / distance[:, None]
    surface = skull.radius(direction)
    if style.falls:
        surface = surface + over_ears(points)
    if style.free:
        return SKULL_CENTER + direction * np.maximum(distance, surface + 0.1)[:, None]
    low = surface + stand * min(1.0, 2.2 * t + 0.05) + 0.05
    if style.fades:  # the sides of short hair lie flat
        low = low - (low - surface - 0.05) * 0.85 * t * smoothstep(9.5, 5.5, points[:, 1])
    high = low + 0.15 + (0.9 if style.falls else 0.35) * t
    upper = smoothstep(-3, 1, points[:, 1])  # below the ears hair hangs freely
    held = np.where(
        upper > 0.02,
        np.clip(distance, low, high * upper + (1 - upper) * np.maximum(distance, high)),
        np.maximum(distance, low),
    )
    return SKULL_CENTER + direction * held[:, None]


def fall_past(
    points: Array, step: Array, roots: Roots, layer: Array, fringe: Array, shoulders: Shoulders
) -> tuple[Array, Array]:
    """Long hair goes around the face and comes to rest on the shoulders."""
    points = points.copy()
    near = smoothstep(0.5, 4, points[:, 2]) * (points[:, 1] < 8.6) * ~fringe
    frame = 6.7 + 0.7 * layer - 0.03 * np.clip(points[:, 1] - 4, 0, 4) ** 2
    push = np.clip(frame - np.abs(points[:, 0]), 0, 4) * near
    points[:, 0] += 0.7 * roots.side * push
    points[:, 2] -= 0.25 * push
    floor = shoulders(points[:, 0], points[:, 2]) + 0.25 + 0.6 * layer
    under = points[:, 1] < floor
    points[:, 1] = np.where(under, floor, points[:, 1])
    points[:, 2] += np.where(under, np.where(roots.point[:, 2] > 1, 0.5, -0.5), 0)
    return points, np.where(under[:, None], 0.35 * step, step)


def arrange(
    points: Array, roots: Roots, combed: Combed, hair: Hair, style: Style, rng: Generator
) -> tuple[Array, Array]:
    """Strands gathered in clumps, waved or curled, and a little unruly; and their tint, which a clump shares."""
    count, steps = points.shape[:2]
    t = np.linspace(0, 1, steps)[None, :, None]
    if style.ropes:
        guides = far_apart(roots.point, style.ropes)
    else:
        guides = rng.choice(count, min(max(60, count // 70), 400, count), replace=False)
    mine = cKDTree(roots.point[guides]).query(roots.point)[1]
    if style.ropes:
        return twisted(points, points[guides][mine], combed, hair, style, mine, rng)
    guide, pull = points[guides][mine], hair.clump * t**1.3
    spread = points[:, :1] - guide[:, :1]
    points = points * (1 - pull) + (guide + spread * (1 - 0.75 * t)) * pull
    along = unit(np.gradient(points, axis=1))
    out = unit(roots.normal[:, None] - (roots.normal[:, None] * along).sum(-1, keepdims=True) * along)
    phase = 12.6 * (0.85 * rng.random(len(guides))[mine] + 0.15 * rng.random(count))[:, None, None]
    turn = 2 * np.pi * hair.wave_per_cm * combed.length[:, None, None] * t + phase
    points = points + hair.wave * np.minimum(1, combed.length / 4.0)[:, None, None] * np.minimum(1, 2.5 * t) * (
        np.cos(turn) * np.cross(along, out) + 0.8 * np.sin(turn) * out
    )
    stray = rng.normal(size=(count, 1, 3)) * np.minimum(combed.length, 8)[:, None, None]
    tint = np.clip(0.5 + 0.22 * rng.normal(size=len(guides))[mine] + 0.18 * rng.normal(size=count), 0, 1)
    return points + 0.2 * hair.frizz * stray * t, tint


def far_apart(points: Array, count: int) -> Array:
    """Numbers of points spread evenly: each next one is the farthest from those before."""
    chosen, gap = [0], np.full(len(points), np.inf)
    for _ in range(min(count, len(points)) - 1):
        gap = np.minimum(gap, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(gap.argmax()))
    return np.array(chosen)


def twisted(
    points: Array, guide: Array, combed: Combed, hair: Hair, style: Style, mine: Array, rng: Generator
) -> tuple[Array, Array]:
    """Strands drawn together to their guides and wound about them: locs, or braids where they bulge; and their tint."""
    count, steps = guide.shape[:2]
    t = np.linspace(0, 1, steps)[None, :, None]
    along = unit(np.gradient(guide, axis=1))
    across = unit(np.cross(along, np.array([0.3, 0.2, 1.0])))
    third = np.cross(along, across)
    ropes = mine.max() + 1
    phase = (2 * np.pi * rng.random(count) + 9.0 * rng.random(ropes)[mine])[:, None, None]
    turn = phase + 2 * np.pi * 0.35 * combed.length[:, None, None] * t
    bulge = 1 + style.plait * np.cos(2 * np.pi * 0.9 * combed.length[:, None, None] * t + 2 * np.round(phase / 2.1))
    own = (0.75 + 0.5 * rng.random(ropes))[mine][:, None, None]
    radius = style.rope_cm * own * np.sqrt(rng.random(count))[:, None, None] ** 0.5 * bulge
    gathered = smoothstep(0.0, 4.0, combed.length[:, None, None] * t)
    radius = radius * gathered * (1 - 0.45 * smoothstep(0.8, 1.0, t))
    guide = guide + (points[:, :1] - guide[:, :1]) * (1 - gathered)
    loose = 0.25 * hair.frizz * rng.normal(size=(count, 1, 3)) * t
    tint = np.clip(0.5 + 0.2 * rng.normal(size=ropes)[mine] + 0.12 * rng.normal(size=count), 0, 1)
    return guide + radius * (np.cos(turn) * across + np.sin(turn) * third) + loose, tint


def clear_face(points: Array, layer: Array, fringe: Array) -> Array:
    """Strands moved sideways out of an oval window around the face."""
    points, half = points.copy(), (6.7 + 0.8 * layer)[:, None]
    for _ in range(2):
        x, y = points[..., 0], points[..., 1]
        v = np.where(y > 1, (y - 1) / (8.8 + 0.5 * layer[:, None]), 0.35 * (y - 1) / (8.8 + 0.5 * layer[:, None]))
        r = np.hypot(x / half, v)
        inside = (r < 1) & ~fringe[:, None] & (np.arange(points.shape[1]) > 0) & (y > -16)
        amount, stretch = smoothstep(-0.3, 2.2, points[..., 2]) * inside, 1 / np.maximum(r, 0.25) - 1
        points[..., 0] *= 1 + stretch * amount
        points[..., 1] = np.where(y > 1, 1 + (y - 1) * (1 + stretch * amount), y)
        points[..., 2] -= np.minimum(2.5, 0.6 * stretch * half) * amount * (points[..., 1] < 6)
    return points


def rounded(points: Array) -> Array:
    """Strands without the kinks that moving them left: each inner point drawn to its neighbours, three times."""
    points = points.copy()
    for _ in range(3):
        points[:, 1:-1] = 0.5 * points[:, 1:-1] + 0.25 * (points[:, :-2] + points[:, 2:])
    return points


def over_ears(points: Array) -> Array:
    """How much farther out than the skull hair must lie to pass over the ears, cm."""
    side = (points[..., 1] - 1.6) / 4.2, (points[..., 2] + 0.1) / 2.6
    return 1.5 * np.exp(-(side[0] ** 2) - side[1] ** 2) * smoothstep(5.0, 7.0, np.abs(points[..., 0]))


def push_out(points: Array, skull: Skull, ears_too: bool = False) -> Array:
    """No point but the root lies under the scalp, nor, if asked, inside an ear."""
    away = points - SKULL_CENTER
    distance = np.linalg.norm(away, axis=-1)
    direction = away / distance[..., None]
    surface = skull.radius(direction) + 0.05 + (over_ears(points) if ears_too else 0.0)
    surface[:, 0] = 0
    sunk = (points[..., 1] > -5) & (distance < surface)
    return np.where(sunk[..., None], SKULL_CENTER + direction * surface[..., None], points)


def crosses_face(points: Array, fringe: Array) -> Array:
    """Which strands still pass in front of the face."""
    between = np.concatenate([points, 0.5 * (points[:, 1:] + points[:, :-1])], 1)
    x, y, z = np.moveaxis(between, -1, 0)
    oval = ((x / 6.3) ** 2 + ((y - 1) * np.where(y > 1, 1, 0.5) / 8.1) ** 2 < 1) & (z > 1.5) & (y > -11)
    oval |= (np.abs(x) < 5.6) & (z > 1.0) & (y <= -9) & (y > -24)  # nor over the throat
    eyes = (np.abs(x) < 5.5) & (y < 5.2) & (y > -11) & (z > 3)
    hangs = np.zeros(len(points), bool)
    hangs[: len(fringe)] = fringe
    return np.where(hangs, eyes.any(1), oval.any(1))


def as_strands(points: Array, roots: Roots, tint: Array, layer: Array, style: Style, rng: Generator) -> Strands:
    """With normals away from the head, flattened below the ears, and finer hair at the hairline."""
    out = points - np.array([0, 3, -0.5])
    out[..., 1] = np.where(points[..., 1] < 3, 0, out[..., 1])
    count = len(points)
    width = style.width * (0.7 + 0.6 * rng.random(count)) * (0.5 + 0.5 * smoothstep(-0.5, 1.5, roots.inside))
    return Strands(points, unit(out), tint, layer, width)


def knot(style: Style, share: Number, hair: Hair, shoulders: Shoulders, rng: Generator) -> Strands:
    """The ball of a bun: strands wound about it."""
    count, t = int(9000 * share), np.linspace(0, 1.8, style.points)
    radius = 2.9 * (0.82 + 0.18 * rng.random(count))[:, None, None]
    axis = unit(0.40 * rng.normal(size=(count, 3)) + np.array([0.25, 0.4, 1.0]))
    across = unit(np.cross(axis, rng.normal(size=(count, 3))))
    circle = across[:, None] * np.cos(t)[None, :, None] + np.cross(axis, across)[:, None] * np.sin(t)[None, :, None]
    center = BUN + np.array([0, 1.6, 0.2])
    points = (
        center + radius * circle * np.array([1.15, 0.9, 0.9]) + (axis * rng.uniform(-0.9, 0.9, (count, 1)))[:, None]
    )
    return bundle(points, points - center, style, rng)


def bundle(points: Array, outward: Array, style: Style, rng: Generator) -> Strands:
    """Strands that are not rooted in the scalp."""
    count = len(points)
    width = style.width * (0.7 + 0.6 * rng.random(count))
    return Strands(points, unit(outward), rng.uniform(0.3, 0.7, count), np.full(count, 0.9), width)


def tail(style: Style, share: Number, hair: Hair, shoulders: Shoulders, rng: Generator) -> Strands:
    """A ponytail: up and out of its tie, then down the back and a little to one side."""
    count, steps = int(7000 * share), style.points
    t = np.linspace(0, 1, steps)
    reach = hair.length * (0.85 + 0.2 * rng.random(count))[:, None]
    side = 1.0 if hair.parting >= 0 else -1.0
    fall = t[None] * reach
    out = 3.4 * (1 - np.exp(-fall / 2.2))
    center = np.stack(
        [
            side * 5.0 * smoothstep(2, 22, fall),
            TAIL[1] + 1.3 * np.sin(np.clip(fall / 3.0, 0, np.pi)) - np.maximum(fall - 2.0, 0),
            TAIL[2] - out + 2.2 * smoothstep(8, 24, fall),
        ],
        -1,
    )
    thick = 0.75 + 1.5 * smoothstep(0, 6, fall) - 1.1 * smoothstep(0.6 * hair.length, hair.length, fall)
    spot = rng.normal(size=(count, 2)) * 0.55
    wave = hair.wave * np.sin(2 * np.pi * hair.wave_per_cm * fall + 9 * rng.random(count)[:, None])
    offset = np.stack([spot[:, :1] * thick + wave, 0.3 * spot[:, 1:] * thick, spot[:, 1:] * thick + 0.6 * wave], -1)
    points = center + offset
    points[..., 1] = np.maximum(points[..., 1], shoulders(points[..., 0], points[..., 2]) + 0.4)
    return bundle(points, offset + np.array([0, 0, -0.4]), style, rng)


TIED = {"bun": knot, "ponytail": tail}


# ---- cornrows --------------------------------------------------------------------------------------------------------
def grow_rows(kit: FaceKit, rest: Array, hair: Hair, style: Style, skull: Skull, rng: Generator) -> Strands:
    """Braids along the scalp from the hairline to the nape, skin between them, and short ends behind."""
    rows, per_row = 11, style.strands // 11
    tilt = np.linspace(-1.12, 1.12, rows)
    shift = kit.neutral[kit.landmarks[27], 1] - rest[kit.landmarks[27], 1]
    made = [row_path(t, hair, skull, style.points, float(shift)) for t in tilt]
    steps, place = np.linspace(0, 1, style.points), np.arange(per_row)
    pieces = []
    for center, out in made:
        along = unit(np.gradient(center, axis=0))
        across = np.cross(along, out)
        length = np.linalg.norm(np.diff(center, axis=0), axis=1).sum()
        turn = 2 * np.pi * 0.62 * length * steps[None] + 2 * np.pi / 3 * (place % 3)[:, None]
        spread = 0.17 * rng.normal(size=(per_row, 2))
        thin = (0.45 + 0.55 * smoothstep(0, 0.06, steps))[None]
        a = (0.30 * np.sin(turn) + spread[:, :1]) * thin
        b = (0.17 * np.sin(2 * turn) + 0.30 + np.abs(spread[:, 1:])) * thin
        points = center[None] + a[..., None] * across[None] + b[..., None] * out[None]
        normals = unit(out[None] + 1.2 * a[..., None] * across[None])
        width = style.width * (0.7 + 0.6 * rng.random(per_row))
        pieces.append(Strands(points, normals, rng.uniform(0.35, 0.65, per_row), np.full(per_row, 0.9), width))
    return Strands(*(np.concatenate([getattr(p, n) for p in pieces]) for n in Strands.__dataclass_fields__))


def row_path(tilt: Number, hair: Hair, skull: Skull, points: int, shift: Number) -> tuple[Array, Array]:
    """One cornrow on the scalp: points [n, 3] from the hairline to the nape, and the way outwards there."""
    angle = np.linspace(1.35, -2.1, 220)  # from the forehead over the crown, about the left-right axis
    lean = tilt * (0.80 + 0.20 * np.cos(angle))
    direction = np.stack([np.sin(lean), np.cos(lean) * np.cos(angle), np.cos(lean) * np.sin(angle)], 1)
    on = SKULL_CENTER + direction * skull.radius(direction)[:, None]
    hairy = (inside_hairline(np.add(on, [0, shift, 0]), hair) > 0.1) & (ears(on) < 0.1)
    first = int(hairy.argmax())
    stop = first + int((~hairy[first:]).argmax()) if (~hairy[first:]).any() else len(on)
    path = on[first : max(stop, first + 20)]
    where = np.linspace(0, len(path) - 1, points)
    even = np.stack([np.interp(where, np.arange(len(path)), path[:, i]) for i in range(3)], 1)
    return even, unit(even - SKULL_CENTER)


def joined(a: Strands, b: Strands) -> Strands:
    """Both sets of strands."""
    return Strands(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in Strands.__dataclass_fields__))


def without(strands: Strands, gone: Array) -> Strands:
    """The strands that are not gone."""
    return replace(strands, **{name: getattr(strands, name)[~gone] for name in Strands.__dataclass_fields__})
