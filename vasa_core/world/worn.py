"""What people wear besides clothes: glasses, earrings, hats, scarves, fitted to their heads.

Lengths in cm. Everything is built twice, on this head and on the average one: each point knows its canonical place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array
from scipy.spatial import cKDTree

from vasa_core.world.clothes import Folds, Piece, Tailor, still
from vasa_core.world.facekit import FACE, SCALP, FaceKit, Number, neck_weight, smoothstep, unit
from vasa_core.world.hair import SKULL_CENTER, Skull, Strands, ears
from vasa_core.world.materials import Stuff
from vasa_core.world.meshes import Mesh, ball, disc, joined, lengths, sheet, tube
from vasa_core.world.people import Earrings, Glasses, Hat, Person, Scarf

PANTOSCOPIC = 0.14  # how far the tops of lenses lean out, cm a cm
WRAP_CM = 24.0  # radius of the cylinder that glasses bend around
LENS_GAP = 0.38  # cm between the rims and the skin, at least
PAD_GAP = 0.12
HAT_LIFT = {"beanie": 0.55, "cap": 0.60, "brimmed": 0.55, "headwrap": 0.75, "headscarf": 0.60}


class Head:
    """A resting head with the places where things rest."""

    def __init__(self, kit: FaceKit, rest: Array):
        self.kit, self.rest = kit, rest
        self.eyes = {side: rest[eye.vertices].mean(0) for side, eye in kit.eyeballs.items()}
        self.apex = {
            side: eye.center + (rest - kit.neutral)[eye.vertices].mean(0) + eye.apex * np.array([0, 0, 1.0])
            for side, eye in kit.eyeballs.items()
        }
        self.skull = Skull(kit, rest)
        ear = ears(kit.neutral) > 0.5
        front = (kit.part == FACE) & (kit.neutral[:, 2] > 3) & (kit.neutral[:, 1] > -6) & ~ear
        temple = (kit.part <= SCALP) & (kit.neutral[:, 0] > 5) & (ears(kit.neutral) < 0.3)
        self._front, self._front_tree = rest[front], cKDTree(rest[front][:, :2])
        self._side, self._side_tree = rest[temple], cKDTree(rest[temple][:, 1:])
        self.ear_top = self._mean(ear & (kit.neutral[:, 1] > 4.6) & (kit.neutral[:, 0] > 0))
        self.lobe = self._mean(
            ear & (kit.neutral[:, 1] < -0.9) & (kit.neutral[:, 0] > 7.75) & (kit.neutral[:, 2] > -0.5)
        )

    def _mean(self, mask: Array) -> Array:
        return self.rest[mask].mean(0)

    def depth(self, x: Array, y: Array) -> Array:
        """How far out the face lies at places seen from the front."""
        gap, near = self._front_tree.query(np.stack([x, y], -1), k=3)
        close = 1 / (gap + 0.02)
        return (self._front[near, 2] * close).sum(-1) / close.sum(-1)

    def breadth(self, y: Array, z: Array) -> Array:
        """Half the head's width at places seen from the side, without ears."""
        gap, near = self._side_tree.query(np.stack([y, z], -1), k=3)
        close = 1 / (gap + 0.02)
        return (self._side[near, 0] * close).sum(-1) / close.sum(-1)


def fitted(make: Callable[[Head], list[Piece]], head: Head, average: Head) -> list[Piece]:
    """The pieces on this head, each point knowing where it would lie on the average one."""
    pairs = zip(make(head), make(average), strict=True)
    return [replace(own, mesh=replace(own.mesh, canonical=mean.mesh.points)) for own, mean in pairs]


def mirrored(mesh: Mesh) -> Mesh:
    """The same on the other side of the head."""
    flip = np.array([-1, 1, 1], np.float32)
    return replace(mesh, points=mesh.points * flip, normals=mesh.normals * flip, faces=mesh.faces[:, ::-1])


# ---- glasses ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Frame:
    """A lens outline: half width and half height, squareness (2 is an ellipse), and what lifts or narrows it."""

    across: Number
    up: Number
    square: Number = 2.0
    lift: Number = 0.0  # of the outer top corner
    drop: Number = 0.0  # of the outer lower part, as aviators have it
    taper: Number = 0.0  # wider at the top than below
    rimless_below: bool = False


FRAMES = {
    "round": Frame(2.20, 2.10),
    "oval": Frame(2.45, 1.75, 2.3),
    "rectangular": Frame(2.60, 1.60, 4.5),
    "square": Frame(2.55, 2.05, 3.6, taper=0.06),
    "wayfarer": Frame(2.60, 2.0, 3.2, lift=0.18, taper=0.14),
    "cateye": Frame(2.55, 1.85, 2.8, lift=0.55, taper=0.10),
    "aviator": Frame(2.75, 2.30, 2.5, drop=0.35, taper=0.05),
    "halfrim": Frame(2.55, 1.70, 3.8, rimless_below=True),
}


def outline(frame: Frame, size: Number, count: int = 49) -> Array:
    """The rim of the left lens about its middle: [n, 2], closed, +x outwards."""
    angle = np.linspace(0, 2 * np.pi, count)
    c, s = np.cos(angle), np.sin(angle)
    x = np.sign(c) * np.abs(c) ** (2 / frame.square)
    y = np.sign(s) * np.abs(s) ** (2 / frame.square)
    y = y * frame.up + frame.lift * np.clip(x, 0, 1) ** 2 * (y > -0.2) - frame.drop * x * (y < 0) * np.abs(y)
    x = x * frame.across * (1 + frame.taper * y / frame.up)
    return size * np.stack([x, y], 1)


def seat(head: Head, glasses: Glasses) -> tuple[Array, Array]:
    """The rim of the left lens on the face [n, 3], and the middle of the lens."""
    frame = FRAMES[glasses.frame]
    flat = outline(frame, glasses.width)
    eye = 0.5 * (head.apex["L"] + head.apex["R"] * [-1, 1, 1])
    x = max(eye[0] + 0.15, frame.across * glasses.width + 0.95)
    x, y = flat[:, 0] + x, flat[:, 1] + eye[1] - 0.22
    bent = -(x**2) / (2 * WRAP_CM) + PANTOSCOPIC * (y - eye[1])
    skin = head.depth(x, y)
    z = max((skin + LENS_GAP - bent).max(), eye[2] + 0.75, head.depth(*np.array([[0.0], [eye[1] - 0.1]]))[0] - 0.1)
    rim = np.stack([x, y, z + bent], 1)
    return rim, rim[:-1].mean(0)


def spectacles(head: Head, glasses: Glasses) -> list[Piece]:
    """Rims, bridge, temples and lenses."""
    rim, middle = seat(head, glasses)
    frame, thick = FRAMES[glasses.frame], 0.5 * glasses.rim
    forward = np.array([0, 0, 1.0])
    drawn = rim[: len(rim) // 2 + 1] if frame.rimless_below else rim
    left = tube(drawn, thick, sides=8, flat=1.25 if not glasses.metal else 1.0, up=forward)
    parts = [left, mirrored(left), bridge(head, rim, thick, glasses.metal)]
    arm = temple(head, rim, thick)
    parts += [arm, mirrored(arm)]
    if glasses.metal:
        pad = nose_pad(head, rim)
        parts += [pad, mirrored(pad)]
    stuff = Stuff(color=glasses.color, weave="metal" if glasses.metal else "plastic")
    lens = disc(rim - forward * 0.02, 0.10 * forward)
    lens = replace(lens, uv=(lens.points[:, :2] - middle[:2]).astype(np.float32))
    glass = Stuff(color=glasses.tint_color, opacity=0.03 + 0.97 * glasses.tint if glasses.tint else 0.03)
    return [Piece("glasses", joined(parts), stuff), Piece("glasses", joined([lens, mirrored(lens)]), glass)]


def bridge(head: Head, rim: Array, thick: Number, metal: bool) -> Mesh:
    """From lens to lens over the nose."""
    inner = rim[len(rim) // 2]
    top = rim[:, 1].max()
    y = inner[1] + (0.35 if metal else 0.45) * (top - inner[1])
    start = rim[np.abs(rim[:, 1] - y).argsort()[:6]]
    start = start[start[:, 0].argmin()]
    t = np.linspace(-1, 1, 15)
    path = np.stack([start[0] * t, start[1] + 0.35 * (1 - t**2), start[2] + 0.0 * t], 1)
    over = head.depth(path[:, 0], path[:, 1]) + thick + PAD_GAP
    path[:, 2] = np.maximum(path[:, 2] + 0.12 * (1 - t**2), np.where(np.abs(t) < 0.9, over, path[:, 2]))
    return tube(path, 1.15 * thick, flat=1.0 if metal else 1.5)


def nose_pad(head: Head, rim: Array) -> Mesh:
    """The pad that rests on the left flank of the nose, and its arm."""
    inner = rim[len(rim) // 2]
    place = np.array([0.72, inner[1] - 0.35, 0.0])
    place[2] = head.depth(place[:1], place[1:2])[0] + 0.10
    arm = np.stack([np.add(inner, [0, -0.2, -0.05]), np.add(inner, [-0.1, -0.3, -0.35]), place])
    axes = np.array([[0.10, 0, 0.12], [0, 0.42, 0.05], [0.07, 0, -0.05]])
    return joined([ball(place, axes, sides=6), tube(arm, 0.045, sides=5)])


def temple(head: Head, rim: Array, thick: Number) -> Mesh:
    """The left arm: from the rim past the side of the head, over the ear and down behind it."""
    reach = rim[:, 0].max()
    hinge = rim[np.argmax(rim[:, 0] + 0.6 * rim[:, 1])]
    ear = head.ear_top

    def beside(z: Number) -> Number:
        return head.breadth(hinge[1:2], np.array([z]))[0] + 0.2

    y_ear = ear[1] - 0.10
    knots = np.array(
        [
            np.add(hinge, [0.0, 0, 0.02]),
            [max(reach + 0.12, beside(hinge[2] - 0.6)), hinge[1] + 0.02, hinge[2] - 0.6],
            [max(reach + 0.35, beside(6.3)), hinge[1], 6.3],
            [0, 0.6 * hinge[1] + 0.4 * y_ear, 0.5 * hinge[2]],
            [0, y_ear, 1.2],
            [0, y_ear + 0.05, -0.2],
            [0, y_ear - 0.8, -1.7],
            [0, y_ear - 3.0, -2.6],
        ]
    )
    for knot in knots[3:]:
        knot[0] = head.breadth(knot[1:2], knot[2:])[0] + 0.16 + thick
    s = np.linspace(0, 1, 40)
    at = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    path = np.stack([np.interp(s, at / at[-1], knots[:, i]) for i in range(3)], 1)
    for _ in range(2):
        path[1:-1] = 0.5 * path[1:-1] + 0.25 * (path[:-2] + path[2:])
    tall = 1.6 if thick > 0.09 else 1.0
    return tube(path, 0.75 * thick * (1 - 0.25 * s), flat=tall)


# ---- earrings --------------------------------------------------------------------------------------------------------
def earrings(head: Head, worn: Earrings) -> list[Piece]:
    """A pair, hanging from the lobes."""
    lobe = np.add(head.lobe, [0.12, 0, 0.10])
    metal, gem = Stuff(color=worn.color, weave="metal"), Stuff(color=worn.gem, weave="gem")
    if worn.kind == "stud":
        stone = ball(np.add(lobe, [0.15, 0, 0.15]), 0.5 * worn.size * np.eye(3), sides=8)
        return [Piece("jewellery", both(stone), gem)]
    if worn.kind == "hoop":
        angle, radius = np.linspace(0, 2 * np.pi, 41), 0.5 * worn.size
        flat = unit(np.array([0.45, 0, 0.9]))  # hoops hang turned a little to the front
        center = np.add(lobe, [0.05, 0.15 - radius, 0.05])
        ring = center + radius * (np.sin(angle)[:, None] * flat + np.cos(angle)[:, None] * np.array([0, 1.0, 0]))
        return [Piece("jewellery", both(tube(ring, 0.07 + 0.012 * worn.size, up=np.cross(flat, [0, 1, 0]))), metal)]
    hook = np.array([[0, 0.2, 0.05], [0.1, 0.1, 0.2], [0.1, -0.3, 0.15], [0.1, -0.55 * worn.size, 0.12]]) + lobe
    bead = hook[-1] - [0, 0.25 * worn.size, 0]
    shape = np.diag([0.17 * worn.size, 0.30 * worn.size, 0.17 * worn.size])
    return [
        Piece("jewellery", both(tube(hook, 0.05, sides=5)), metal),
        Piece("jewellery", both(ball(bead, shape[[0, 2, 1]], sides=9)), gem),
    ]


def both(mesh: Mesh) -> Mesh:
    return joined([mesh, mirrored(mesh)])


# ---- hats ------------------------------------------------------------------------------------------------------------
# Height of the rim around the head: (front, side, back), cm above the eyes' origin.
RIMS = {
    "beanie": (8.3, 2.6, -1.0),
    "cap": (8.7, 5.6, 1.5),
    "brimmed": (8.8, 6.4, 3.6),
    "headwrap": (9.3, 5.2, -2.5),
    "headscarf": (9.0, 0.0, -9.5),
}


def rim_height(kind: str, azimuth: Array) -> Array:
    """Height of a hat's rim at azimuths in radians."""
    degrees = np.abs(np.degrees((azimuth + np.pi) % (2 * np.pi) - np.pi))
    front, side, back = RIMS[kind]
    return np.interp(degrees, (0, 30, 60, 90, 120, 150, 180), smooth_rim(front, side, back))


def smooth_rim(front: Number, side: Number, back: Number) -> Array:
    """Seven heights from the front to the back that go smoothly through the three given ones."""
    ahead, behind = front - side, side - back
    return np.array(
        [front, front - 0.12 * ahead, front - 0.55 * ahead, side, side - 0.5 * behind, back + 0.12 * behind, back]
    )


class Dome:
    """The part of a hat that lies on the skull: rows from the rim to the crown in every direction."""

    def __init__(self, head: Head, kind: str, rows: int = 30, columns: int = 81):
        self.head, self.kind = head, kind
        self.azimuth = np.linspace(0, 2 * np.pi, columns)
        rise = np.linspace(-1.2, np.pi / 2, 90)
        surface = self.on_skull(rise[:, None], self.azimuth[None])
        wanted = rim_height(kind, self.azimuth)
        start = np.array([np.interp(h, surface[:, i, 1], rise) for i, h in enumerate(wanted)])
        self.share = np.linspace(0, 1, rows)[:, None]
        self.rise = start[None] + (np.pi / 2 - start)[None] * self.share
        self.points = self.on_skull(self.rise, self.azimuth[None] + 0 * self.rise)

    def on_skull(self, rise: Array, azimuth: Array) -> Array:
        """The skull in directions, smoothed as cloth would lie."""
        d = directions(rise, azimuth)
        nearby = [(0, 0), (0.12, 0), (-0.12, 0), (0, 0.14), (0, -0.14)]
        radius = np.mean([self.head.skull.radius(directions(rise + a, azimuth + b)) for a, b in nearby], 0)
        radius = np.maximum(radius, self.head.skull.radius(d))
        return SKULL_CENTER + d * radius[..., None]

    def lifted(self, cm: Array | Number) -> Array:
        away = unit(self.points - SKULL_CENTER)
        return self.points + away * np.asarray(cm)[..., None]


def directions(rise: Array, azimuth: Array) -> Array:
    """Unit vectors at angles above the horizon and around from the front."""
    flat = np.cos(rise)
    return np.stack(np.broadcast_arrays(flat * np.sin(azimuth), np.sin(rise), flat * np.cos(azimuth)), -1)


def hat_sheet(points: Array, uv: Array | None = None, shade: Array | None = None) -> Mesh:
    """A closed grid around the head."""
    rows, columns = points.shape[:2]
    edge = (
        None
        if shade is None
        else np.stack([np.full((rows, columns), 9.0), np.broadcast_to(shade, (rows, columns))], -1)
    )
    return sheet(points, uv, weight=1.0, edge=edge, around=True, outward=SKULL_CENTER)


def rim_shade(dome: Dome) -> Array:
    """Darker right at the rim, where the hat meets the head."""
    return 0.6 + 0.4 * smoothstep(0, 0.05, dome.share)


def around_cm(dome: Dome, points: Array, repeats: Number) -> Array:
    """Cloth coordinates of a dome: the same number of ribs in every row."""
    u = dome.azimuth[None] / (2 * np.pi) * repeats + 0 * dome.share
    return np.stack([u, lengths(points, 0)], -1)


def beanie(head: Head, hat: Hat) -> list[Piece]:
    """A knitted cap with a turned-up cuff, a little slack at the top."""
    dome, folds = Dome(head, "beanie"), Folds(np.random.default_rng(hat.seed))
    t = dome.share
    slack = 1.6 * smoothstep(0.45, 1.0, t) + 0.18 * folds.noise(
        0, 4 * np.sin(dome.azimuth + 0.7)[None], 5 * t
    ) * smoothstep(0.2, 0.5, t)
    crown = dome.lifted(HAT_LIFT["beanie"] + slack)
    crown[..., 2] -= 0.9 * smoothstep(0.6, 1.0, t)
    high = 0.30
    cuff_t = np.linspace(0, 1, 12)[:, None]
    row = cuff_t * high * (len(t) - 1)
    low = np.clip(np.floor(row[:, 0]).astype(int), 0, len(t) - 2)
    base = dome.points[low] + (dome.points[low + 1] - dome.points[low]) * (row[:, :1] - low[:, None])[..., None]
    round_ = np.clip(1 - np.abs(2 * cuff_t - 1) ** 6, 0, 1) ** 0.5
    cuff = base + unit(base - SKULL_CENTER) * (HAT_LIFT["beanie"] - 0.15 + 0.75 * round_)[..., None]
    rib = Stuff(color=hat.color, second=hat.second, weave="rib", pattern=hat.pattern, scale=5.0, relief=1.5)
    uv = around_cm(dome, crown, 42)
    cuff_uv = np.stack(
        [dome.azimuth[None] / (2 * np.pi) * 42 + 0 * cuff_t, 9 + 6 * cuff_t + 0 * dome.azimuth[None]], -1
    )
    return [
        Piece("hat", hat_sheet(crown, uv, rim_shade(dome)), rib),
        Piece("hat", hat_sheet(cuff, cuff_uv, 0.7 + 0.3 * round_), replace(rib, pattern="none")),
    ]


def cap(head: Head, hat: Hat) -> list[Piece]:
    """Six panels, a button and a curved peak."""
    dome = Dome(head, "cap")
    t = dome.share
    lift = HAT_LIFT["cap"] + 0.75 * np.sin(np.pi * np.clip(t, 0, 1) ** 0.8) * (0.6 + 0.4 * np.cos(dome.azimuth))[None]
    seam = np.exp(-((np.abs((dome.azimuth / (np.pi / 3) + 0.5) % 1 - 0.5) / 0.05) ** 2))[None]
    crown = dome.lifted(lift - 0.10 * seam)
    cloth = Stuff(color=hat.color, second=hat.second, weave=hat.fabric, pattern=hat.pattern, relief=0.8)
    shade = rim_shade(dome) * (1 - 0.22 * seam)
    top = crown[-1].mean(0)
    button = ball(top, np.diag([0.7, 0.7, 0.28])[[0, 1, 2]][:, [0, 2, 1]], sides=7)
    return [
        Piece("hat", hat_sheet(crown, None, shade), cloth),
        Piece("hat", joined([button, peak(dome, crown)]), replace(cloth, color=hat.second, pattern="none")),
    ]


def peak(dome: Dome, crown: Array) -> Mesh:
    """The peak of a cap: an upper and a lower face that meet at its border."""
    u = np.linspace(-1, 1, 31)
    azimuth = u * np.radians(58)
    base = np.stack([np.interp(azimuth % (2 * np.pi), dome.azimuth, crown[0, :, i]) for i in range(3)], 1)
    far = 6.6 * np.sqrt(np.clip(1 - np.abs(u) ** 2.6, 0, 1))
    t = np.linspace(0, 1, 10)[:, None]
    ahead = np.stack([0.04 * base[:, 0], -0.16 - 0.30 * u**2, np.ones_like(u)], 1)
    top = base[None] + ahead[None] * (far[None] * t)[..., None] + np.array([0, 0.35, -0.25])
    top[..., 1] -= 0.9 * u[None] ** 2 * t + 0.5 * t**2
    under = top - np.array([0, 0.22, 0]) * np.sqrt(np.clip(1 - t**4, 0, 1))[..., None]
    inside = np.array([0, -40, 8])
    lower = sheet(
        under, outward=np.array([0, 60, 8]), edge=np.stack([9 + 0 * far[None] * t, 0.45 + 0 * far[None] * t], -1)
    )
    return joined([sheet(top, outward=inside), lower])


def brimmed(head: Head, hat: Hat) -> list[Piece]:
    """A hat with a pinched crown, a ribbon and a brim."""
    dome = Dome(head, "brimmed")
    base = dome.lifted(HAT_LIFT["brimmed"])[0]
    center = base.mean(0)
    t = np.linspace(0, 1, 26)[:, None]
    side, roof = np.minimum(t / 0.62, 1), np.clip((t - 0.62) / 0.38, 0, 1)
    shrink = (1 - 0.16 * side**1.5) * (1 - roof**1.3)
    x, z = (base - center)[None, :, 0] * shrink, (base - center)[None, :, 2] * shrink
    top = 15.6 + (center[1] - 6.3)
    y = base[None, :, 1] + (top - base[None, :, 1]) * (1 - (1 - side) ** 1.25) + 0.5 * roof
    pinch = np.exp(-((x / 2.2) ** 2)) * roof * (1.9 + 0.25 * z) * smoothstep(-7, 3, z)
    crown = np.stack([x + center[0], y - np.clip(pinch, 0, 2.6), z + center[2]], -1)
    s = np.linspace(0, 1, 12)[:, None]
    away = unit((base - center) * [1, 0, 1])
    wide = 6.4
    roll = 0.9 * np.abs(np.sin(dome.azimuth)) ** 2 - 0.5 * np.cos(dome.azimuth)
    brim = (
        base[None]
        + away[None] * (wide * s)[..., None]
        + np.array([0, 1.0, 0]) * (roll[None] * s**2 + 0.12 - 0.3 * s)[..., None]
    )
    under = brim - np.array([0, 0.20, 0]) * np.sqrt(np.clip(1 - s**6, 0, 1))[..., None]
    felt = Stuff(color=hat.color, second=hat.second, weave=hat.fabric, relief=0.9)
    ribbon = crown[:8] + unit((crown[:8] - center) * [1, 0, 1]) * 0.10
    dark = np.stack([np.full((12, len(base)), 9.0), np.full((12, len(base)), 0.55)], -1)
    return [
        Piece("hat", hat_sheet(crown), felt),
        Piece("hat", hat_sheet(ribbon), Stuff(color=hat.second, weave="satin")),
        Piece(
            "hat",
            joined(
                [
                    sheet(brim, around=True, outward=np.array([0, -60, 0])),
                    sheet(under, around=True, outward=np.array([0, 60, 0]), edge=dark),
                ]
            ),
            felt,
        ),
    ]


def headwrap(head: Head, hat: Hat) -> list[Piece]:
    """Cloth wound about the head in folds that cross in front, with a knot above."""
    dome, folds = Dome(head, "headwrap", 40, 121), Folds(np.random.default_rng(hat.seed))
    t, a = dome.share, dome.azimuth[None]
    slope = 0.9 * np.sin(a / 2) ** 2 + 0.35 * np.cos(a)
    wound = 5.5 * t + 2.6 * slope + 0.35 * folds.noise(0, 2 * np.cos(a), 3 * t)
    crease = np.abs(np.sin(np.pi * wound)) ** 0.6
    full = 1.1 + 2.4 * smoothstep(0.25, 0.75, t) * (0.7 - 0.3 * np.cos(a))
    wrap = dome.lifted(HAT_LIFT["headwrap"] + (full * smoothstep(0, 0.15, t)) * 0.8 + 0.55 * (crease - 0.6))
    wrap[..., 2] -= 0.8 * smoothstep(0.4, 1.0, t)
    shade = rim_shade(dome) * (0.45 + 0.55 * crease)
    cloth = Stuff(color=hat.color, second=hat.second, weave=hat.fabric, pattern=hat.pattern, scale=4.0, relief=0.5)
    uv = np.stack([wound * 4, a * 8 + 0 * t], -1)
    row = int(0.60 * len(t))
    knot_at = wrap[row, 0] + np.array([0, 0.3, 0.1])
    turned = unit(np.array([[1.0, 0.25, 0], [-0.25, 1.0, 0.2], [0, -0.2, 1.0]]))
    knot = [ball(knot_at + turned[0] * dx, turned * np.array([[1.9], [1.35], [1.2]]), sides=9) for dx in (-1.1, 1.1)]
    return [
        Piece("hat", hat_sheet(wrap, uv, shade), cloth),
        Piece("hat", joined(knot), cloth),
    ]


def headscarf(head: Head, hat: Hat) -> list[Piece]:
    """A scarf around the face, closed under the chin, lying on the shoulders."""
    folds = Folds(np.random.default_rng(hat.seed))
    cloth = Stuff(color=hat.color, second=hat.second, weave=hat.fabric, pattern=hat.pattern, scale=3.5, relief=0.45)
    hood_, border = face_hood(head, folds)
    return [Piece("hat", hood_, cloth), Piece("hat", drape(head, folds, border), cloth)]


def face_hood(head: Head, folds: Folds) -> tuple[Mesh, Array]:
    """The scarf over the head: from an oval around the face to the nape. Also the oval [n, 3]."""
    angle = np.linspace(0, 2 * np.pi, 97)
    middle = np.array([0, 0.5, 0])
    chin = head.rest[head.kit.landmarks[8]]
    top = 9.3
    x = 6.35 * np.sin(angle) * (1 - 0.10 * (np.cos(angle) < 0) * np.cos(angle) ** 2)
    y = np.where(np.cos(angle) > 0, (top - 0.5) * np.cos(angle), (0.5 - chin[1] + 0.9) * np.cos(angle)) + 0.5
    t = np.linspace(0, 1, 34)[:, None]
    # Directions sweep from the oval to the back of the head, below the ears.
    oval = np.stack([x, y, head_front(head, x, y, chin)], 1)
    pole = np.array([0, -1.5, -9.0])
    a, b = unit(oval - middle), unit(pole - middle)
    omega = np.arccos(np.clip(a @ b, -1, 1))[None]
    d = (np.sin((1 - t) * omega)[..., None] * a[None] + np.sin(t * omega)[..., None] * b) / np.sin(omega)[..., None]
    skull = head.skull.radius(unit(middle + 9 * d - SKULL_CENTER))
    on = SKULL_CENTER + unit(middle + 9 * d - SKULL_CENTER) * skull[..., None]
    low = smoothstep(-5, -9, on[..., 1])
    crease = folds.ridges(0, 9 * t + 0.9 * np.cos(angle)[None], 4 * np.sin(angle)[None])
    ear = np.exp(-(((on[..., 1] - 1.8) / 4.0) ** 2) - ((on[..., 2] - 0.3) / 2.8) ** 2) * (np.abs(on[..., 0]) > 5)
    lift = 0.35 + 0.9 * smoothstep(0.0, 0.25, t) + 0.8 * crease * smoothstep(0.02, 0.15, t) + 1.7 * ear
    points = on + unit(on - SKULL_CENTER) * lift[..., None] * (1 - 0.5 * low)[..., None]
    begin = smoothstep(0.14, 0.0, t)[..., None]
    points = points * (1 - begin) + (oval[None] + 0.12 * a[None]) * begin
    weight = neck_weight(points.astype(np.float32))
    uv = np.stack([angle[None] * 7 + 0 * t, lengths(points, 0)], -1)
    edge = np.stack([9 + 0 * weight, np.broadcast_to(0.55 + 0.45 * smoothstep(0, 0.06, t), weight.shape)], -1)
    return sheet(points, uv, weight=weight, edge=edge, around=True, outward=middle), oval


def head_front(head: Head, x: Array, y: Array, chin: Array) -> Array:
    """Depth of the oval around the face; under the chin it lies behind the chin's edge."""
    skin = head.depth(x, np.maximum(y, chin[1] + 1.0)) + 0.25
    below = smoothstep(chin[1] + 2.5, chin[1] - 0.6, y)
    return skin * (1 - below) + (chin[2] - 1.8) * below


def drape(head: Head, folds: Folds, oval: Array) -> Mesh:
    """The scarf from under the chin down over neck and shoulders."""
    chin = oval[:, 1].min()
    t = np.linspace(0, 1, 44)[:, None]
    a = np.linspace(0, 2 * np.pi, 121)[None]
    y = (chin + 3.0) - (26.0 + 2 * np.cos(a)) * t
    front = oval[oval[:, 1].argmin(), 2]
    spread = smoothstep(0.10, 0.75, t)
    wide = 6.9 + 13.0 * spread**0.8
    deep = np.where(np.cos(a) > 0, front + 0.4 + 1.6 * smoothstep(0, 0.2, t) + 3.0 * t, 6.5 + 6.0 * spread)
    # Folds hang in arcs from one side of the chin to the other shoulder.
    side = np.sin(a)
    arcs = folds.ridges(1, 13.0 * (t - 0.30 * side**2 + 0.22 * side), 1.0 * side)
    tucks = folds.ridges(2, 7.0 * side - 2.0 * t, 2.0 * t) * smoothstep(0.5, 0.05, t)
    crease = (1.0 * arcs + 0.6 * tucks) * smoothstep(0.0, 0.10, t)
    tuck = 1 - 0.12 * smoothstep(0.10, 0.0, t)
    bulge = (1 + 0.11 * crease) * tuck
    points = np.stack([wide * side * bulge, y + 0.3 * crease, -0.5 + deep * np.cos(a) * bulge], -1)
    weight = neck_weight(points.astype(np.float32)) * (1 - smoothstep(0, 0.5, t))
    uv = np.stack([a * 8 + 0 * t, lengths(points, 0)], -1)
    shade = np.broadcast_to(0.35 + 0.65 * smoothstep(-0.5, 0.3, crease), weight.shape)
    edge = np.stack([9 + 0 * weight, shade], -1)
    return sheet(points, uv, weight=weight, edge=edge, around=True, outward=np.array([0, -20, -1]))


HATS = {"beanie": beanie, "cap": cap, "brimmed": brimmed, "headwrap": headwrap, "headscarf": headscarf}
HIDING = ("headwrap", "headscarf")  # these leave no hair to be seen


class Cover:
    """A hat as hair feels it: below what height it lets strands go, and how far from the skull."""

    def __init__(self, kind: str, skull: Skull):
        self.kind, self.skull = kind, skull

    def pressed(self, strands: Strands) -> Strands | None:
        """The strands held under the hat; those that are hidden altogether are gone."""
        if self.kind in HIDING:
            return None
        points, covered = self.held(strands.points)
        points, _ = self.held(points)  # at the nape, what is pulled in moves up
        keep = ~covered.all(1)
        kept = {name: getattr(strands, name)[keep] for name in ("normals", "tint", "layer", "width")}
        return replace(strands, points=points[keep], **kept)

    def held(self, points: Array) -> tuple[Array, Array]:
        """The points pulled under the hat, and which of them it covers."""
        away = points - SKULL_CENTER
        distance = np.linalg.norm(away, axis=-1)
        direction = away / distance[..., None]
        above = points[..., 1] - rim_height(self.kind, np.arctan2(away[..., 0], away[..., 2]))
        inner = self.skull.radius(direction) + 0.45 * HAT_LIFT[self.kind]
        room = inner + 3.0 * smoothstep(0.4, -3.0, above)
        inside = np.where(above > -3.0, np.minimum(distance, room), distance)
        return SKULL_CENTER + direction * inside[..., None], above > 0.5


# ---- scarves ---------------------------------------------------------------------------------------------------------
def scarf_pieces(tailor: Tailor, scarf: Scarf) -> list[Piece]:
    """Two windings about the neck and an end that hangs in front."""
    folds = Folds(np.random.default_rng(scarf.seed))
    cloth = Stuff(
        color=scarf.color, second=scarf.second, weave=scarf.fabric, pattern=scarf.pattern, scale=3.0, relief=1.0
    )
    made = [winding(tailor, folds, -14.6, 2.5, 0.9, 0), winding(tailor, folds, -12.2, 2.1, 0.55, 1)]
    if scarf.hanging:
        made.append(hanging_end(tailor, folds))
    return [Piece("scarf", joined(made), cloth)]


def winding(tailor: Tailor, folds: Folds, y: Number, size: Number, out: Number, number: int) -> Mesh:
    """One turn of the scarf: a fat ring, higher behind, creased along its length."""
    a = tailor.trunk.azimuth
    height = y - 1.9 * np.cos(a) + 0.9 * np.sin(a + 1.1 + 2.2 * number)
    row = np.array(
        [np.interp(-h, -line[:, 1], np.arange(len(line))) for h, line in zip(height, tailor.trunk.points, strict=True)]
    )
    center = tailor.lookup(tailor.trunk.points, row[:, None])[:, 0]
    flat = unit((center - [0, 0, -1.5]) * [1, 0, 1])
    radius = np.minimum(np.linalg.norm((center - [0, 0, -1.5])[:, [0, 2]], axis=1), 9.5)
    for _ in range(6):
        radius = 0.5 * radius + 0.25 * (np.roll(radius, 1) + np.roll(radius, -1))
        radius[0] = radius[-1] = 0.5 * (radius[0] + radius[-1])
    center = np.array([0, 0, -1.5]) + flat * (radius + 0.55 * size + out)[:, None]
    center[:, 1] = height
    around = np.linspace(0, 2 * np.pi, 31)
    crease = folds.ridges(number, 1.6 * around[None] + 0.35 * np.sin(3 * a)[:, None], 4 * np.sin(a)[:, None])
    crease = crease * (0.5 - 0.5 * np.cos(around))[None] ** 0.2
    r = size * (1 + 0.16 * crease)[..., None]
    points = center[:, None] + r * (
        0.72 * np.cos(around)[None, :, None] * flat[:, None] + np.sin(around)[None, :, None] * np.array([0, 1.0, 0])
    )
    weight = 0.5 * neck_weight(points.astype(np.float32))
    uv = np.stack([lengths(points, 0), 3 * size * around[None] / 2 + 0 * a[:, None]], -1)
    edge = np.stack([9 + 0 * crease, 0.55 + 0.45 * smoothstep(0.0, 0.45, crease + 0.35)], -1)
    swap = (1, 0, 2)
    mesh = sheet(points.transpose(swap), uv.transpose(swap), weight=weight.T, edge=edge.transpose(swap), around=True)
    inward = ((mesh.points.reshape(31, len(a), 3) - center[None]).reshape(-1, 3) * mesh.normals).sum() < 0
    return replace(mesh, normals=-mesh.normals, faces=mesh.faces[:, ::-1]) if inward else mesh


def hanging_end(tailor: Tailor, folds: Folds) -> Mesh:
    """The end of the scarf on the chest."""
    s, t = np.meshgrid(np.linspace(-1, 1, 25), np.linspace(0, 1, 30))
    x = 3.2 + (2.6 + 1.2 * t) * s - 0.8 * t
    y = -15.5 - 26 * t
    ripple = folds.ridges(2, 1.5 * x, 0.25 * y)
    points = (
        tailor.on_front(x, y, 0.0)
        + np.array([0, 0, 1.0]) * (1.5 + 0.5 * ripple + 1.3 * smoothstep(0.12, 0, t))[..., None]
    )
    uv = np.stack([y, x], -1)
    edge = np.stack([9 + 0 * s, 0.6 + 0.4 * smoothstep(-0.1, 0.4, ripple + 0.2)], -1)
    return still(sheet(points, uv, edge=edge, outward=np.array([0, -30, -40])))


# ---- all together ----------------------------------------------------------------------------------------------------
def put_on(kit: FaceKit, person: Person, rest: Array, average: Head | None = None) -> list[Piece]:
    """Glasses, earrings and hat of a person; `average` is the neutral head, if it is at hand."""
    makers: list[Callable[[Head], list[Piece]]] = []
    if (glasses := person.glasses) is not None:
        makers.append(lambda head: spectacles(head, glasses))
    if (rings := person.earrings) is not None:
        makers.append(lambda head: earrings(head, rings))
    if (hat := person.hat) is not None:
        makers.append(lambda head: HATS[hat.kind](head, hat))
    if not makers:
        return []
    head, average = Head(kit, rest), average or Head(kit, kit.neutral)
    return [piece for make in makers for piece in fitted(make, head, average)]
