"""What stands behind a sitter, painted by rule and thrown out of focus: studio cloths, rooms, streets, gardens, nights.

Pictures are linear float32 [size, size, 3] in the units of the light on the face. Shapes are drawn on a square canvas,
u to the right and v downwards in 0..1, then blurred by a disc as a lens does, so that small bright things become discs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.facekit import Number, smoothstep
from vasa_core.world.people import Color

Paint = Array | Color  # a linear colour
CANVAS = 320  # pixels on which out-of-focus places are painted
CLOUDS = (4, 7, 13)  # patches along a side of a mottled cloth, by size
SHARP = 0.004  # a lens blur below which a place is painted at the picture's own size


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """What is behind: a kind of PAINTERS, its two main colours, its lamps, and how far out of focus it is."""

    center: Color
    edge: Color
    kind: str = "cloth"
    lamps: tuple[Color, ...] = ()  # radiance of visible light sources
    mottle: Number = 0.25
    spot: tuple[Number, Number] = (0.5, 0.42)  # where it is lightest, in picture widths
    side: Number = 0.0  # towards which side it grows brighter, -1 left to 1 right
    blur: Number = 0.0  # radius of the disc of confusion, in picture widths
    seed: int = 0


def blurred(picture: Array, sigma: Number) -> Array:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0.25 else picture


def disc(radius: Number) -> Array:
    """The blur of a round aperture, a little brighter at its rim as real lenses are; sums to 1."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    away = np.hypot(x, y)
    kernel = np.clip(radius + 0.5 - away, 0, 1) * (1 + 0.35 * smoothstep(0.6 * radius, radius, away))
    return (kernel / kernel.sum()).astype(np.float32)


def clouds(rng: Generator, size: int, cells: int, octaves: int = 4) -> Array:
    """Smooth noise [size, size] of about unit variance, `cells` patches along a side at its coarsest."""
    total, power = np.zeros((size, size), np.float32), 0.0
    for octave in range(octaves):
        n = min(cells * 2**octave + 3, size)
        layer = rng.normal(size=(n, n)).astype(np.float32)
        total += 0.55**octave * cv2.resize(layer, (size, size), interpolation=cv2.INTER_CUBIC)
        power += 0.3**octave
    return total / power**0.5


@lru_cache(maxsize=8)
def backdrop(size: int, wanted: Backdrop) -> Array:
    """The place as a linear picture; kept, since a clip shows one place in every frame (do not write to it)."""
    if wanted.blur < SHARP:
        picture = painted(size, wanted)
    else:
        picture = unsharp(wanted)
        way = cv2.INTER_AREA if size < len(picture) else cv2.INTER_CUBIC
        picture = cv2.resize(picture, (size, size), interpolation=way)
    picture = np.maximum(picture, 0).astype(np.float32)
    picture.setflags(write=False)
    return picture


@lru_cache(maxsize=8)
def unsharp(wanted: Backdrop) -> Array:
    """The place out of focus, on a canvas of its own."""
    kernel = disc(wanted.blur * CANVAS)
    return cv2.filter2D(painted(CANVAS, wanted), -1, kernel, borderType=cv2.BORDER_REFLECT)


def painted(size: int, wanted: Backdrop) -> Array:
    """The place in focus."""
    picture = PAINTERS[wanted.kind](Canvas(size, np.random.default_rng(wanted.seed)), wanted)
    x = (np.arange(size) + 0.5) / size - 0.5
    return (picture * np.exp(0.9 * wanted.side * x)[None, :, None]).astype(np.float32)


class Canvas:
    """A square to draw on, in coordinates 0..1."""

    def __init__(self, size: int, rng: Generator):
        self.size, self.rng = size, rng
        self.v, self.u = (np.mgrid[0:size, 0:size] + 0.5).astype(np.float32) / size
        self.picture = np.zeros((size, size, 3), np.float32)

    def at(self, *places: Number) -> tuple[int, ...]:
        return tuple(round(place * self.size) for place in places)

    def wash(self, top: Paint, bottom: Paint, bend: Number = 1.0) -> None:
        """Fill everything from one colour above to another below."""
        share = self.v[..., None] ** bend
        self.picture[:] = np.asarray(top) * (1 - share) + np.asarray(bottom) * share

    def box(self, u: Number, v: Number, width: Number, height: Number, color: Paint) -> None:
        left, top, right, bottom = self.at(u, v, u + width, v + height)
        cv2.rectangle(self.picture, (left, top), (right - 1, bottom - 1), tuple(float(c) for c in color), -1)

    def oval(self, u: Number, v: Number, width: Number, height: Number, color: Paint, angle: Number = 0.0) -> None:
        axes = self.at(max(width / 2, 0.6 / self.size), max(height / 2, 0.6 / self.size))
        cv2.ellipse(self.picture, self.at(u, v), axes, angle, 0, 360, tuple(float(c) for c in color), -1, cv2.LINE_AA)

    def polygon(self, points: Array | list, color: Paint) -> None:
        corners = np.round(np.asarray(points) * self.size).astype(np.int32)
        cv2.fillPoly(self.picture, [corners], tuple(float(c) for c in color), cv2.LINE_AA)

    def glow(self, u: Number, v: Number, reach: Number, color: Paint) -> None:
        """Add a soft light."""
        near = np.exp(-((self.u - u) ** 2 + (self.v - v) ** 2) / reach**2)
        self.picture += near[..., None] * np.asarray(color, np.float32)

    def mottle(self, amount: Number, cells: int) -> None:
        self.picture *= np.exp(amount * clouds(self.rng, self.size, cells))[..., None]


# ---- indoors ---------------------------------------------------------------------------------------------------------
def cloth(canvas: Canvas, wanted: Backdrop) -> Array:
    """A painted cloth, lightest behind the sitter."""
    size, rng = canvas.size, canvas.rng
    fall = np.exp(-(((canvas.u - wanted.spot[0]) / 0.52) ** 2 + ((canvas.v - wanted.spot[1]) / 0.58) ** 2))[..., None]
    picture = np.array(wanted.center) * fall + np.array(wanted.edge) * (1 - fall)
    coarse = [cv2.resize(rng.normal(size=(n, n)), (size, size), interpolation=cv2.INTER_LINEAR) for n in CLOUDS]
    patches = np.sum([blurred(layer, size / n / 3) / n**0.5 for n, layer in zip(CLOUDS, coarse, strict=True)], axis=0)
    return picture * np.exp(wanted.mottle * patches[..., None] * 0.55)


def wall(canvas: Canvas, wanted: Backdrop) -> Array:
    """Painted plaster, perhaps with the shadow of a blind or of leaves across it."""
    rng = canvas.rng
    canvas.wash(wanted.center, wanted.edge)
    canvas.mottle(0.05, 5)
    canvas.mottle(0.03, 60)
    pattern = rng.integers(3)
    tilt = canvas.v + rng.uniform(-0.6, 0.6) * canvas.u
    if pattern == 1:
        stripes = smoothstep(-0.25, 0.25, np.sin(tilt * rng.uniform(22, 45)))
        canvas.picture *= (0.62 + 0.38 * stripes)[..., None]
    elif pattern == 2:
        leaves = smoothstep(-0.5, 0.6, clouds(rng, canvas.size, 5, 2))
        canvas.picture *= (0.6 + 0.4 * leaves)[..., None]
    return canvas.picture


def tone(rng: Generator, color: Paint, spread: Number = 0.35) -> Array:
    """A colour near another."""
    return np.asarray(color) * np.exp(spread * rng.normal() + 0.4 * spread * rng.normal(size=3))


def room(canvas: Canvas, wanted: Backdrop) -> Array:
    """A wall with pictures, a cupboard, a plant, a window on its bright side and lamps, if there are any."""
    rng, wall_color, dark = canvas.rng, np.array(wanted.center), np.array(wanted.edge)
    canvas.wash(wall_color, 0.8 * wall_color)
    floor = rng.uniform(0.78, 0.95)
    canvas.box(0, floor, 1, 1 - floor, 0.6 * dark)
    away = -1 if wanted.side > 0 else 1  # furniture stands on the darker side
    for _ in range(rng.integers(1, 4)):
        u, width, height = 0.5 + away * rng.uniform(0.05, 0.45) - 0.1, rng.uniform(0.08, 0.2), rng.uniform(0.1, 0.25)
        frame, picture = tone(rng, dark), tone(rng, wall_color, 0.6)
        v = rng.uniform(0.05, 0.35)
        canvas.box(u, v, width, height, frame)
        canvas.box(u + 0.012, v + 0.012, width - 0.024, height - 0.024, picture)
    cupboard = rng.uniform(0.5, 0.75)
    canvas.box(0.5 + away * 0.35 - 0.2, cupboard, 0.4, 1 - cupboard, tone(rng, dark))
    if rng.random() < 0.6:
        plant(canvas, 0.5 + away * rng.uniform(0.2, 0.42), rng.uniform(0.45, 0.6), wall_color)
    if abs(wanted.side) > 0.3 and wanted.lamps:
        window(canvas, 0.5 - away * rng.uniform(0.28, 0.46), np.array(wanted.lamps[0]))
    for color in wanted.lamps[1:]:
        u, v = 0.5 + rng.choice([-1, 1]) * rng.uniform(0.25, 0.45), rng.uniform(0.2, 0.5)
        canvas.oval(u, v, 0.07, 0.09, color)
        canvas.glow(u, v, 0.22, 0.06 * np.array(color))
        canvas.box(u - 0.006, v + 0.05, 0.012, 0.4, 0.5 * dark)
    canvas.mottle(0.06, 4)
    return canvas.picture


def plant(canvas: Canvas, u: Number, v: Number, lit: Array) -> None:
    """A bunch of leaves."""
    rng = canvas.rng
    for _ in range(45):
        green = np.array([0.30, 0.55, 0.18]) * lit.mean() * rng.uniform(0.25, 1.0)
        at_u, at_v = np.array([u, v]) + rng.normal(size=2) * (0.055, 0.09)
        canvas.oval(at_u, at_v, rng.uniform(0.02, 0.05), rng.uniform(0.05, 0.11), green, rng.uniform(0, 180))


def window(canvas: Canvas, u: Number, sky: Array) -> None:
    """A bright window with a cross, curtains beside it."""
    rng, width, top = canvas.rng, canvas.rng.uniform(0.22, 0.34), canvas.rng.uniform(-0.1, 0.1)
    height = rng.uniform(0.55, 0.75)
    canvas.box(u - width / 2, top, width, height, sky)
    canvas.box(u - width / 2, top + 0.6 * height, width, 0.4 * height, 0.55 * tone(rng, sky, 0.2))
    canvas.box(u - 0.008, top, 0.016, height, 0.12 * sky)
    canvas.box(u - width / 2, top + 0.45 * height, width, 0.014, 0.12 * sky)
    for edge in (-1, 1):
        for fold in range(4):
            share = 0.16 + 0.10 * ((fold * 7) % 4) / 3
            canvas.box(u + edge * (width / 2 + 0.02 * fold) - 0.012, top - 0.05, 0.024, height + 0.15, share * sky)
    canvas.glow(u, top + height / 2, 0.3, 0.06 * sky)


def shelf(canvas: Canvas, wanted: Backdrop) -> Array:
    """Books on boards."""
    rng, board = canvas.rng, np.array(wanted.edge)
    canvas.picture[:] = 0.35 * board
    level, top = np.array(wanted.center), rng.uniform(-0.2, 0.0)
    while top < 1:
        height, u = rng.uniform(0.20, 0.27), rng.uniform(-0.04, 0)
        while u < 1:
            width, tall = rng.uniform(0.014, 0.045), rng.uniform(0.6, 0.93) * height
            if rng.random() < 0.93:
                hue = rng.uniform(0.25, 1.3, 3)
                hue = (0.35 * hue + 0.65 * hue.mean() * np.array([1.15, 1.0, 0.8])) * rng.uniform(0.15, 1.1)
                canvas.box(u, top + height - tall, width, tall, level * hue)
                canvas.box(u, top + height - 0.8 * tall, width, 0.06 * tall, level * hue * rng.uniform(0.6, 2.0))
            u += width + 0.002
        canvas.box(0, top + height, 1, 0.022, board)
        top += height + 0.022
    canvas.picture *= (0.55 + 0.45 * smoothstep(1.1, 0.1, canvas.v))[..., None]
    return canvas.picture


def office(canvas: Canvas, wanted: Backdrop) -> Array:
    """A long room: lamps along the ceiling, glass on one side, desks with screens."""
    rng, level, dark = canvas.rng, np.array(wanted.center), np.array(wanted.edge)
    canvas.wash(level, 0.55 * level)
    vanish = np.array([rng.uniform(0.3, 0.7), rng.uniform(0.40, 0.5)])
    canvas.polygon([(0, 0), (1, 0), vanish], 0.85 * level)
    canvas.polygon([(0, 1), (1, 1), vanish], tone(rng, dark))
    sky = np.array(wanted.lamps[0]) if wanted.lamps else 2 * level
    left = wanted.side < 0
    for near, far in ((0.05, 0.3), (0.34, 0.52), (0.56, 0.68), (0.71, 0.8)):
        edge = np.array([[0.0 if left else 1.0, y] for y in (0.05, 0.85)])
        pane = [edge[0] + (vanish - edge[0]) * s for s in (near, far)] + [
            edge[1] + (vanish - edge[1]) * s for s in (far, near)
        ]
        canvas.polygon(pane, 0.8 * tone(rng, sky, 0.12))
        for lane in (0.25, 0.75):
            row = np.array([lane, -0.15])
            across = np.array([0.07, 0])
            lamp = [row - across, row + across]
            canvas.polygon(
                [p + (vanish - p) * s for p, s in ((lamp[0], near), (lamp[1], near), (lamp[1], far), (lamp[0], far))],
                1.6 * sky,
            )
    for _ in range(rng.integers(3, 7)):
        u, v, width = rng.uniform(0, 1), rng.uniform(0.55, 0.75), rng.uniform(0.06, 0.14)
        canvas.box(u, v, width, 0.6 * width, 0.3 * dark)
        canvas.box(u + 0.01, v + 0.01, width - 0.02, 0.6 * width - 0.02, tone(rng, 0.7 * level, 0.4))
    return canvas.picture


# ---- outdoors --------------------------------------------------------------------------------------------------------
def street(canvas: Canvas, wanted: Backdrop) -> Array:
    """House fronts under a strip of sky, trees and parked cars."""
    rng, stone, sky = canvas.rng, np.array(wanted.center), np.array(wanted.edge)
    canvas.wash(sky, 0.9 * sky)
    u = -0.1
    while u < 1:
        width, top = rng.uniform(0.18, 0.4), rng.uniform(-0.15, 0.28)
        front = tone(rng, stone, 0.4)
        canvas.box(u, top, width, 1 - top, front)
        columns, rows = rng.integers(2, 5), rng.integers(4, 8)
        for column in range(columns):
            for row in range(rows):
                glass = tone(rng, 0.25 * front + 0.12 * sky * rng.random(), 0.3)
                canvas.box(
                    u + (column + 0.25) * width / columns, top + 0.03 + row * 0.11, 0.5 * width / columns, 0.07, glass
                )
        u += width
    canvas.box(0, 0.82, 1, 0.18, 0.5 * stone)
    for _ in range(rng.integers(2, 5)):
        u, body = rng.uniform(-0.1, 0.9), stone.mean() * rng.uniform(0.1, 1.2, 3)
        canvas.box(u, 0.76, 0.22, 0.09, body)
        canvas.oval(u + 0.11, 0.76, 0.15, 0.09, 0.5 * body)
    for _ in range(rng.integers(0, 3)):
        u = rng.uniform(0, 1)
        canvas.box(u, 0.4, 0.015, 0.5, 0.12 * stone)
        leaves(canvas, 60, np.array([0.16, 0.26, 0.07]) * stone.mean() * 2, (u, 0.25), (0.09, 0.13))
    return canvas.picture


def leaves(canvas: Canvas, count: int, color: Array, middle: tuple, spread: tuple) -> None:
    rng = canvas.rng
    for _ in range(count):
        u, v = np.array(middle) + rng.normal(size=2) * spread
        size = rng.uniform(0.015, 0.06)
        canvas.oval(u, v, size, 0.6 * size, color * rng.uniform(0.25, 1.6), rng.uniform(0, 180))


def foliage(canvas: Canvas, wanted: Backdrop) -> Array:
    """Leaves near and far with the sky breaking through."""
    rng, green, sky = canvas.rng, np.array(wanted.center), np.array(wanted.edge)
    canvas.wash(1.2 * green, 0.4 * green)
    canvas.mottle(0.45, 5)
    for depth in range(5):
        shade = green * (0.35 + 0.25 * depth)
        for _ in range(110):
            u, v = rng.random(2)
            size = rng.uniform(0.02, 0.09)
            hue = shade * np.exp(0.3 * rng.normal(size=3) * (0.5, 0.3, 0.6)) * (1.3 - 0.9 * v)
            canvas.oval(u, v, size, 0.65 * size, hue, rng.uniform(0, 180))
    for _ in range(rng.integers(25, 90)):
        u, v, size = rng.random(), rng.random() ** 1.8, rng.uniform(0.004, 0.022)
        canvas.oval(u, v, size, size, sky * rng.uniform(0.5, 2.2))
    for _ in range(rng.integers(0, 4)):
        u, width = rng.random(), rng.uniform(0.01, 0.05)
        canvas.box(u, 0, width, 1, 0.18 * green)
    return canvas.picture


def horizon(canvas: Canvas, wanted: Backdrop) -> Array:
    """Sky over sea, sand, grass or snow: `center` is the sky, `edge` the ground; a low sun if there is a lamp."""
    rng, sky, ground = canvas.rng, np.array(wanted.center), np.array(wanted.edge)
    line = rng.uniform(0.45, 0.72)
    high = sky * (0.55, 0.72, 1.05)
    fall = smoothstep(0, line, canvas.v)[..., None]
    canvas.picture[:] = high * (1 - fall) + sky * fall
    cover = smoothstep(0.0, 1.6, clouds(rng, canvas.size, 3) + 0.8 * rng.normal())[..., None]
    canvas.picture += cover * 0.35 * sky.mean()
    for color in wanted.lamps:
        canvas.glow(wanted.spot[0], line - 0.05, 0.45, 0.10 * np.array(color))
        canvas.glow(wanted.spot[0], line - 0.05, 0.12, 0.35 * np.array(color))
    ridge = line - 0.05 * np.maximum(clouds(rng, canvas.size, 4)[0] + rng.uniform(-0.5, 1.5), 0) * rng.uniform(0.3, 2.0)
    hills = (canvas.v > ridge[None]) & (canvas.v <= line)
    canvas.picture[hills] = (0.45 * sky + 0.3 * ground) * (0.6 if rng.random() < 0.5 else 0.9)
    near = np.clip((canvas.v - line) / (1 - line), 0, 1)[..., None]
    floor = (0.5 * ground + 0.4 * sky) * (1 - near) + ground * near
    floor = floor * np.exp(0.12 * clouds(rng, canvas.size, 10))[..., None]
    return np.where((canvas.v > line)[..., None], floor, canvas.picture).astype(np.float32)


def city_night(canvas: Canvas, wanted: Backdrop) -> Array:
    """Dark fronts, lit windows, lamps that the lens turns to discs, and their gleam on a wet road."""
    rng, dark = canvas.rng, np.array(wanted.edge)
    canvas.wash(dark, 0.5 * np.array(wanted.center))
    canvas.mottle(0.4, 4)
    lamps = [np.array(color) for color in wanted.lamps]
    for _ in range(rng.integers(30, 90)):
        u, v = rng.random(), 0.08 + 0.6 * rng.random()
        canvas.box(u, v, 0.012, 0.017, lamps[rng.integers(len(lamps))] * rng.uniform(0.05, 0.35))
    for _ in range(rng.integers(25, 60)):
        u, v, size = rng.random(), rng.normal(0.55, 0.16), rng.uniform(0.004, 0.012)
        color = lamps[rng.integers(len(lamps))] * rng.lognormal(0.6, 0.8)
        canvas.oval(u, v, size, size, color)
        if v > 0.4:
            canvas.box(u - 0.004, 0.75 + 0.4 * (v - 0.4), 0.008, 0.12, 0.06 * color)
    for color in lamps:
        canvas.glow(rng.random(), rng.uniform(0.3, 0.7), 0.35, 0.02 * color)
    return canvas.picture


def neon(canvas: Canvas, wanted: Backdrop) -> Array:
    """Neon tubes on a dark wall."""
    rng = canvas.rng
    canvas.wash(wanted.center, wanted.edge)
    canvas.mottle(0.15, 6)
    for number, color in enumerate(wanted.lamps):
        side = -1 if (number % 2 == 0) == (wanted.side < 0) else 1
        u, v = 0.5 + side * rng.uniform(0.2, 0.45), rng.uniform(0.1, 0.6)
        shape = rng.integers(3)
        tube, thick = tuple(float(c) for c in 3 * np.array(color)), max(round(0.008 * canvas.size), 1)
        if shape == 0:
            cv2.line(canvas.picture, canvas.at(u, v - 0.3), canvas.at(u + rng.uniform(-0.1, 0.1), v + 0.3), tube, thick)
        elif shape == 1:
            cv2.circle(canvas.picture, canvas.at(u, v), canvas.at(rng.uniform(0.08, 0.2))[0], tube, thick, cv2.LINE_AA)
        else:
            zigzag = np.array([(u + 0.1 * (k % 2), v - 0.2 + 0.1 * k) for k in range(5)])
            cv2.polylines(canvas.picture, [np.round(zigzag * canvas.size).astype(np.int32)], False, tube, thick)
        canvas.glow(u, v, 0.40, 0.16 * np.array(color))
    return canvas.picture


def stage(canvas: Canvas, wanted: Backdrop) -> Array:
    """Beams in haze."""
    rng = canvas.rng
    canvas.wash(wanted.center, wanted.edge)
    beams = np.zeros_like(canvas.picture)
    for color in wanted.lamps:
        u, foot, width = rng.random(), rng.random(), rng.uniform(0.1, 0.3)
        cone = np.array([(u, -0.02), (foot - width, 1.05), (foot + width, 1.05)])
        cv2.fillPoly(beams, [np.round(cone * canvas.size).astype(np.int32)], tuple(0.12 * float(c) for c in color))
        canvas.picture += blurred(beams, 0.03 * canvas.size) * np.exp(-1.3 * canvas.v)[..., None]
        beams[:] = 0
        canvas.oval(u, rng.uniform(0, 0.12), 0.02, 0.02, 8 * np.array(color))
    return canvas.picture


PAINTERS: dict[str, Callable[[Canvas, Backdrop], Array]] = {
    "cloth": cloth,
    "wall": wall,
    "room": room,
    "shelf": shelf,
    "office": office,
    "street": street,
    "foliage": foliage,
    "horizon": horizon,
    "city night": city_night,
    "neon": neon,
    "stage": stage,
}
