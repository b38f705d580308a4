"""Places where people are seen: each agrees with itself in light and backdrop, from a soft studio to a coloured night.

A place is drawn in two steps. Its family chooses lamps and what stands behind; the glow that surrounds the face is then
measured from the painted backdrop itself, so that a face between green leaves has green in its shadows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.backdrops import Backdrop, backdrop
from vasa_core.world.lights import LUMINANCE, bright_side, hard_key, lamp_color, panel, rim, soft_key, triple, vivid
from vasa_core.world.people import Light, Panel

DARK = np.zeros(3)
Place = tuple[Light, Backdrop]


def side_of(rng: Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def paint(rng: Generator, low: float, high: float, saturation: float = 0.5) -> Array:
    """A random colour of walls and cloths whose luminance lies between the bounds."""
    return vivid(rng.random(), saturation * rng.random()) * np.exp(rng.uniform(np.log(low), np.log(high)))


def place(
    key: Panel, fill: Panel, back: Panel, kind: str, center: Array, edge: Array, lamps: tuple = (), **rest
) -> Place:
    """Lights and what stands behind them, as values."""
    light = Light(key=key, fill=fill, rim=back, above=(0, 0, 0), below=(0, 0, 0))
    behind = Backdrop(
        kind=kind,
        center=triple(center),
        edge=triple(edge),
        lamps=tuple(triple(np.asarray(lamp)) for lamp in lamps),
        **rest,
    )
    return light, behind


# ---- studios ---------------------------------------------------------------------------------------------------------
def studio(rng: Generator) -> Place:
    """A large soft box, a reflector, a cloth of any colour."""
    side, color = side_of(rng), lamp_color(rng.uniform(5200, 6800))
    key, fill = soft_key(rng, side, 2.0 * color, rng.uniform(2.5, 8))
    center = paint(rng, 0.04, 0.9)
    return place(key, fill, rim(rng, side_of(rng), rng.uniform(0, 1.6) * color), "cloth", center, 0.25 * center)


def low_key(rng: Generator) -> Place:
    """One lamp from high on one side, before a dark cloth."""
    side, color = side_of(rng), lamp_color(rng.uniform(3600, 6000))
    key, fill = hard_key(rng, side, 2.5 * color, rng.uniform(9, 22))
    key = replace(key, size=rng.uniform(4, 12), azimuth=side * rng.uniform(25, 60), elevation=rng.uniform(15, 45))
    center = paint(rng, 0.01, 0.06)
    back = rim(rng, -side, rng.uniform(0.3, 1.8) * lamp_color(rng.uniform(4500, 8000)), 7)
    return place(key, fill, back, "cloth", center, 0.3 * center, side=0.4 * -side)


def painted_wall(rng: Generator) -> Place:
    """Close to a wall in hard or soft light, which falls on the wall as well."""
    side, color = side_of(rng), lamp_color(rng.uniform(4500, 6500))
    make = hard_key if rng.random() < 0.5 else soft_key
    key, fill = make(rng, side, 2.1 * color, rng.uniform(3, 7))
    center = paint(rng, 0.12, 0.8, 0.8) * color
    blur = rng.uniform(0, 0.012)
    return place(
        key,
        fill,
        rim(rng, side, 0.4 * color),
        "wall",
        center,
        0.8 * center,
        side=rng.uniform(0.2, 0.9) * side,
        blur=blur,
    )


# ---- rooms -----------------------------------------------------------------------------------------------------------
def window_room(rng: Generator) -> Place:
    """Daylight from a window on one side, a room in its gleam."""
    side, color = side_of(rng), lamp_color(rng.uniform(5800, 8000))
    key = panel(side * rng.uniform(35, 80), rng.uniform(5, 30), rng.uniform(16, 30), 2.2 * color)
    walls = paint(rng, 0.12, 0.55, 0.35)
    fill = panel(-side * 40, 8, 36, rng.uniform(0.12, 0.4) * walls / (walls @ LUMINANCE))
    back = rim(rng, side, rng.uniform(0.2, 1.5) * color, 14)
    lamps = (rng.uniform(1.5, 4) * color,)
    return place(
        key, fill, back, "room", walls, 0.4 * paint(rng, 0.1, 0.3), lamps, side=side * 0.8, blur=rng.uniform(0.01, 0.04)
    )


def evening_room(rng: Generator) -> Place:
    """Warm lamps in a room at night."""
    side, warm = side_of(rng), lamp_color(rng.uniform(2500, 3300))
    key, fill = soft_key(rng, side, 1.9 * warm, rng.uniform(4, 10))
    walls = paint(rng, 0.03, 0.18, 0.4) * warm
    back = rim(rng, -side, rng.uniform(0.2, 1.2) * lamp_color(2800 if rng.random() < 0.5 else 9000), 9)
    lamps = (DARK, *[rng.uniform(3, 8) * warm for _ in range(rng.integers(1, 4))])
    return place(key, fill, back, "room", walls, 0.5 * walls, lamps, side=0.2 * side, blur=rng.uniform(0.015, 0.05))


def library(rng: Generator) -> Place:
    """In front of bookshelves."""
    side, color = side_of(rng), lamp_color(rng.uniform(3000, 6200))
    key, fill = soft_key(rng, side, 2.0 * color, rng.uniform(3, 8))
    wood = np.array([0.20, 0.11, 0.055]) * color * rng.uniform(0.3, 1.6)
    back = rim(rng, side_of(rng), rng.uniform(0, 1) * color)
    books = rng.uniform(0.12, 0.4) * color
    return place(key, fill, back, "shelf", books, wood, side=0.3 * side, blur=rng.uniform(0.006, 0.03))


def office_day(rng: Generator) -> Place:
    """Ceiling lamps and a glass front."""
    side, color = side_of(rng), lamp_color(rng.uniform(4800, 7500))
    key = panel(side * rng.uniform(5, 45), rng.uniform(30, 58), rng.uniform(20, 32), 1.9 * color)
    fill = panel(-side * 40, 5, 38, 0.5 * color)
    level = rng.uniform(0.3, 0.8) * paint(rng, 0.9, 1.1, 0.15) * color
    back = rim(rng, side, rng.uniform(0.3, 1.5) * color, 16)
    lamps = (rng.uniform(1.2, 2.5) * color,)
    dark = paint(rng, 0.04, 0.2, 0.3)
    return place(key, fill, back, "office", level, dark, lamps, side=0.5 * side, blur=rng.uniform(0.01, 0.04))


def screen_glow(rng: Generator) -> Place:
    """Lit by a screen from the front and below, in a dim room."""
    side, cool = side_of(rng), lamp_color(rng.uniform(7000, 11000))
    if rng.random() < 0.3:
        cool = vivid(rng.random(), 0.5)
    key = panel(side * rng.uniform(0, 20), rng.uniform(-25, 0), rng.uniform(12, 22), 1.6 * cool)
    warm = lamp_color(rng.uniform(2400, 3500))
    fill = panel(-side * rng.uniform(40, 75), rng.uniform(5, 30), 18, rng.uniform(0.1, 0.7) * warm)
    walls = 0.03 * warm + 0.03 * cool
    back = rim(rng, -side, rng.uniform(0, 1) * warm, 8)
    lamps = (DARK, *[rng.uniform(2, 5) * warm] * int(rng.integers(0, 3)))
    return place(key, fill, back, "room", walls, 0.4 * walls, lamps, side=-0.3 * side, blur=rng.uniform(0.01, 0.04))


# ---- outdoors --------------------------------------------------------------------------------------------------------
def overcast(rng: Generator) -> Place:
    """A street under a white sky."""
    side, color = side_of(rng), lamp_color(rng.uniform(6500, 8000))
    key = panel(side * rng.uniform(0, 40), rng.uniform(38, 60), rng.uniform(28, 40), 1.6 * color)
    fill = panel(-side * 40, 20, 44, 0.7 * color)
    stone, sky = paint(rng, 0.12, 0.5, 0.35) * color, rng.uniform(1.0, 2.2) * color
    return place(key, fill, rim(rng, side, 0.8 * color, 24), "street", stone, sky, blur=rng.uniform(0.01, 0.04))


def sunny_street(rng: Generator) -> Place:
    """High hard sun in a street; half of the time from behind."""
    side, sun, sky = side_of(rng), lamp_color(rng.uniform(4900, 5700)), lamp_color(9500)
    stone = paint(rng, 0.25, 0.7, 0.4) * sun
    if rng.random() < 0.5:
        key, fill = hard_key(rng, side, 2.6 * sun, rng.uniform(4, 8))
        fill, back = replace(fill, color=triple(0.4 * sky)), rim(rng, -side, 0.4 * sky, 25)
    else:
        key = panel(-side * 25, 25, 40, 1.0 * (0.5 * sky + 0.5 * stone / (stone @ LUMINANCE)))
        fill, back = panel(side * 40, 10, 40, 0.5 * sky), rim(rng, side, 3.6 * sun, 3)
    behind = dict(side=0.4 * side, blur=rng.uniform(0.01, 0.04))
    return place(key, fill, back, "street", stone, rng.uniform(0.9, 1.6) * sky, (), **behind)


def garden(rng: Generator) -> Place:
    """Among leaves, in open shade or with the sun behind."""
    side, sky, sun = side_of(rng), lamp_color(rng.uniform(6500, 9000)), lamp_color(5300)
    leaf = rng.uniform(0.15, 0.6) * np.array([0.55, 1.0, 0.22]) * np.exp(0.2 * rng.normal(size=3))
    key, fill = soft_key(rng, side, 1.7 * (0.75 * sky + 0.25 * leaf / (leaf @ LUMINANCE)), rng.uniform(2.5, 6))
    if rng.random() < 0.3:
        key, fill = hard_key(rng, side, 2.5 * sun, 5)
    back = rim(rng, side_of(rng), rng.uniform(0.3, 3.0) * sun, 5)
    behind = dict(side=0.5 * side, blur=rng.uniform(0.015, 0.055))
    return place(key, fill, back, "foliage", leaf, rng.uniform(1.5, 3) * sky, (), **behind)


def seaside(rng: Generator) -> Place:
    """Open sky, light thrown back from sand, water or snow."""
    side, sun = side_of(rng), lamp_color(rng.uniform(5000, 6000))
    key, fill = hard_key(rng, side, 2.3 * sun, 4)
    sky = rng.uniform(0.8, 1.7) * lamp_color(rng.uniform(8000, 14000))
    ground = np.array([[0.75, 0.62, 0.42], [0.12, 0.3, 0.36], [1.3, 1.35, 1.5], [0.2, 0.32, 0.08]])[rng.integers(4)]
    fill = panel(-side * 35, -10, 44, 0.25 * sky + 0.25 * ground)
    behind = dict(side=0.3 * side, blur=rng.uniform(0.006, 0.03))
    return place(key, fill, rim(rng, side, 0.6 * sun, 10), "horizon", sky, ground, (), **behind)


def golden_hour(rng: Generator) -> Place:
    """A low sun: it rakes across the face, or stands behind and makes a rim of hair."""
    side, sun, sky = side_of(rng), lamp_color(rng.uniform(2600, 3900)), lamp_color(rng.uniform(4500, 9000))
    level, ground = rng.uniform(0.4, 1.1), paint(rng, 0.05, 0.25) * sun
    lamps: tuple[Array, ...] = ()
    if rng.random() < 0.5:
        key = panel(side * rng.uniform(25, 75), rng.uniform(3, 15), rng.uniform(2, 7), 2.3 * sun)
        fill, back = panel(-side * 40, 20, 42, 0.35 * sky), rim(rng, -side, 0.3 * sky, 24)
    else:
        key = panel(-side * 20, 20, 40, 0.5 * sky + 0.6 * sun)
        fill, lamps = panel(side * 35, 5, 40, 0.4 * sun), (rng.uniform(4, 9) * sun,)
        back = panel(side * rng.uniform(140, 165), rng.uniform(5, 15), 4, rng.uniform(2, 4.5) * sun)
    haze, spot = level * (0.6 * sun + 0.4 * sky), (0.5 + side * rng.uniform(0.15, 0.4), 0.5)
    behind = dict(side=0.5 * side, spot=spot, blur=rng.uniform(0.01, 0.04))
    return place(key, fill, back, "horizon", haze, ground, lamps, **behind)


def night_street(rng: Generator) -> Place:
    """A shop window or a street lamp on the face, the town's lights behind."""
    side, lamps = side_of(rng), [lamp_color(rng.uniform(2000, 4500)) for _ in range(3)]
    lamps += [vivid(rng.random(), 0.8) for _ in range(rng.integers(1, 4))]
    key, fill = soft_key(rng, side, 1.8 * lamps[0], 8)
    key = replace(key, size=rng.uniform(6, 20))
    fill = replace(fill, color=triple(rng.uniform(0.1, 0.5) * lamps[-1]))
    dark = rng.uniform(0.004, 0.03) * lamp_color(rng.uniform(6000, 14000))
    back = rim(rng, -side, rng.uniform(0.4, 1.8) * lamps[-1], 6)
    behind = dict(side=0.3 * side, blur=rng.uniform(0.015, 0.05))
    return place(key, fill, back, "city night", 2 * dark, dark, tuple(3 * c for c in lamps), **behind)


def neon_night(rng: Generator) -> Place:
    """Two coloured lights, one on each side, and the tubes that send them."""
    side, hue = side_of(rng), rng.random()
    one = vivid(hue, rng.uniform(0.5, 0.9))
    other = vivid(hue + side_of(rng) * rng.uniform(0.2, 0.5), rng.uniform(0.5, 0.95))
    key = panel(side * rng.uniform(30, 65), rng.uniform(0, 25), rng.uniform(6, 16), 1.8 * one)
    fill = panel(-side * rng.uniform(35, 75), rng.uniform(0, 20), rng.uniform(8, 20), rng.uniform(0.4, 1.2) * other)
    back = rim(rng, -side, rng.uniform(0.3, 1.5) * other, 7)
    dark, behind = 0.012 * one + 0.012 * other, dict(side=0.3 * side, blur=rng.uniform(0.008, 0.035))
    return place(key, fill, back, "neon", dark, 0.5 * dark, (1.5 * one, 1.5 * other), **behind)


def on_stage(rng: Generator) -> Place:
    """A spotlight, coloured beams behind."""
    side, spot = side_of(rng), lamp_color(rng.uniform(3200, 5600))
    key, fill = hard_key(rng, side, 2.4 * spot, 12)
    lamps = [vivid(rng.random(), rng.uniform(0.5, 0.95)) for _ in range(rng.integers(2, 5))]
    fill = replace(fill, color=triple(rng.uniform(0.1, 0.35) * lamps[0]))
    back, dark = rim(rng, -side, rng.uniform(0.8, 2.5) * lamps[1], 5), 0.02 * lamps[0]
    return place(
        key, fill, back, "stage", dark, 0.4 * dark, tuple(lamps), side=0.2 * side, blur=rng.uniform(0.01, 0.03)
    )


FAMILIES: dict[str, Callable[[Generator], Place]] = {
    "studio": studio,
    "low key": low_key,
    "painted wall": painted_wall,
    "window": window_room,
    "evening": evening_room,
    "library": library,
    "office": office_day,
    "screen": screen_glow,
    "overcast": overcast,
    "sunny street": sunny_street,
    "garden": garden,
    "seaside": seaside,
    "golden hour": golden_hour,
    "night street": night_street,
    "neon": neon_night,
    "stage": on_stage,
}
GLOW_PIXELS = 48  # size of the small picture from which the glow is measured


def surrounded(light: Light, behind: Backdrop) -> Light:
    """The light with the glow that this backdrop throws from all around, above and below."""
    picture = np.minimum(backdrop(GLOW_PIXELS, behind), 4.0)
    upper, lower = picture[: GLOW_PIXELS // 2].mean((0, 1)), picture[GLOW_PIXELS // 2 :].mean((0, 1))
    own = 0.05 * (np.array(light.key.color) + np.array(light.fill.color))  # what comes back from behind the camera
    return replace(light, above=triple(0.33 * upper + own), below=triple(0.25 * lower + 0.6 * own))


def random_place(rng: Generator, family: str | None = None) -> tuple[str, Light, Backdrop]:
    """A place of this family, or of any: its family, its light, its backdrop."""
    family = family or str(rng.choice(list(FAMILIES)))
    light, behind = FAMILIES[family](rng)
    behind = replace(behind, seed=int(rng.integers(2**31)))
    return family, surrounded(light, behind), behind


def agreement(light: Light, behind: Backdrop) -> float:
    """Positive where the side of the face that is lit is the side on which the backdrop was meant to be lighter."""
    return bright_side(light) * behind.side
