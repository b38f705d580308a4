"""People as values: what a synthetic person looks like, how they are lit and framed, and random ones of all kinds.

Colours are linear RGB unless a name says sRGB; lengths in cm; angles in degrees. Every random choice comes from the
generator that is handed in, so that a seed names a person for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.facekit import Number

Color = tuple[Number, Number, Number]  # linear RGB

SKIN_TONES_SRGB = (
    np.array(
        [
            (226, 188, 168),
            (219, 176, 151),
            (208, 160, 132),
            (190, 139, 108),
            (164, 113, 83),
            (131, 87, 62),
            (100, 64, 46),
            (75, 48, 36),
        ]
    )
    / 255
)  # light to dark
HAIR_COLORS = {
    "black": (0.014, 0.011, 0.010),
    "dark brown": (0.035, 0.020, 0.013),
    "brown": (0.075, 0.042, 0.024),
    "light brown": (0.16, 0.095, 0.050),
    "blond": (0.36, 0.235, 0.115),
    "platinum": (0.55, 0.43, 0.28),
    "red": (0.24, 0.070, 0.022),
    "auburn": (0.11, 0.034, 0.016),
    "grey": (0.16, 0.155, 0.15),
    "white": (0.34, 0.33, 0.315),
}
IRIS_COLORS = {
    "brown": (0.11, 0.045, 0.016),
    "hazel": (0.13, 0.070, 0.026),
    "amber": (0.22, 0.12, 0.03),
    "green": (0.09, 0.115, 0.055),
    "blue": (0.075, 0.135, 0.21),
    "grey": (0.13, 0.16, 0.175),
    "dark": (0.045, 0.020, 0.010),
}
NECKLINES = ("crew", "vneck", "scoop", "turtle")  # of knitted garments


@dataclass(frozen=True, kw_only=True)
class Skin:
    """The complexion; strengths are 0 for none, about 1 for marked."""

    darkness: Number  # position in SKIN_TONES_SRGB, 0 light to 1 dark
    color: Color
    redness: Number = 0.7
    freckles: Number = 0.0
    blotches: Number = 0.6
    eye_shade: Number = 0.4
    pores: Number = 0.8
    wrinkles: Number = 0.0  # lines that stay when the face rests
    lines: Number = 0.5  # how deeply expressions fold the skin
    sag: Number = 0.0  # pouches and jowls
    age_spots: Number = 0.0
    gloss: Number = 0.8
    moles: int = 1
    stubble: Number = 0.0
    lip_strength: Number = 0.7
    lipstick: Color | None = None
    blush: Number = 0.0
    blush_color: Color = (0.62, 0.24, 0.22)
    eyeshadow: Number = 0.0
    eyeshadow_color: Color = (0.20, 0.11, 0.09)
    liner: Number = 0.0


@dataclass(frozen=True, kw_only=True)
class Hair:
    """A style of hair.STYLES and its settings."""

    style: str
    color: Color
    length: Number = 5.0  # cm
    thickness: Number = 1.0  # how far the outer layer stands off the scalp, cm
    parting: Number = 0.0  # x of the parting, cm
    recede: Number = 0.0  # how far the temples are bare, cm
    hairline: Number = 0.0  # shift of the front hairline upwards, cm
    sweep: Number = 0.5
    behind: Number = 0.0  # how far hair from the back of the head stays behind the neck, 0..1
    clump: Number = 0.35
    wave: Number = 0.05  # radius of waves or curls, cm
    wave_per_cm: Number = 0.15
    frizz: Number = 0.05
    mess: Number = 0.10
    density: Number = 1.0


@dataclass(frozen=True, kw_only=True)
class Beard:
    """A beard of one kind: full, goatee or moustache."""

    kind: str
    length: Number = 0.6  # cm
    density: Number = 1.0
    curl: Number = 0.2


@dataclass(frozen=True, kw_only=True)
class Brows:
    """Eyebrows: density and thickness around 1, arch in -0.5..1."""

    color: Color
    density: Number = 0.8
    thickness: Number = 1.0
    arch: Number = 0.2


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """Iris, pupil (fraction of the iris), veins and lashes."""

    iris: Color
    iris_radius: Number = 0.62
    pupil: Number = 0.36
    veins: Number = 0.3
    lashes: Number = 0.7


@dataclass(frozen=True, kw_only=True)
class Clothes:
    """A garment: one of clothes.GARMENTS, cut at one of clothes.EDGES, woven and printed as materials.Stuff says."""

    neckline: str
    color: Color
    knit: Number = 0.6  # how coarse the cloth is
    shoulders: Number = 20.0  # half width, cm
    kind: str = "sweater"
    fabric: str = "knit"
    pattern: str = "none"
    pattern_cm: Number = 3.0
    second: Color = (0.55, 0.53, 0.50)  # of patterns, buttons, trimmings


@dataclass(frozen=True, kw_only=True)
class Glasses:
    """Spectacles: a frame of worn.FRAMES, its rim's thickness in cm, metal or not, how dark the lenses are."""

    frame: str
    color: Color
    rim: Number = 0.3
    metal: bool = False
    tint: Number = 0.0  # 0 clear, 0.85 sunglasses
    tint_color: Color = (0.05, 0.05, 0.05)
    width: Number = 1.0  # size of the lenses


@dataclass(frozen=True, kw_only=True)
class Earrings:
    """A pair of earrings: stud, hoop or drop, `size` cm across (hoop, stud) or long (drop)."""

    kind: str
    size: Number
    color: Color
    gem: Color = (0.8, 0.8, 0.85)


@dataclass(frozen=True, kw_only=True)
class Hat:
    """What covers the head: beanie, cap, brimmed, headwrap or headscarf."""

    kind: str
    color: Color
    second: Color = (0.5, 0.48, 0.45)
    fabric: str = "knit"
    pattern: str = "none"
    seed: int = 0  # of its folds


@dataclass(frozen=True, kw_only=True)
class Scarf:
    """A scarf wound about the neck, with or without an end that hangs down."""

    color: Color
    second: Color = (0.5, 0.48, 0.45)
    fabric: str = "knit"
    pattern: str = "none"
    hanging: bool = True
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Person:
    """Everything that stays when the expression, the pose, the light and the camera change."""

    seed: int  # of strands, moles and noise
    identity: Array  # FaceKit identity coefficients, [100]
    age: Number = 0.3  # 0 a young adult, 1 very old
    teeth: Number = 0.3  # 0 white, 1 stained
    skin: Skin
    hair: Hair
    brows: Brows
    eyes: Eyes
    clothes: Clothes
    beard: Beard | None = None
    glasses: Glasses | None = None
    earrings: Earrings | None = None
    hat: Hat | None = None
    scarf: Scarf | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A soft light: where it stands as seen from the head, how large it looks, and how much light it sends."""

    azimuth: Number
    elevation: Number
    size: Number  # angular radius, degrees
    color: Color

    def seen_in_eyes(self) -> Array:
        """Where its mirror image should come from: near enough to the middle that no lid hides it."""
        azimuth = max(-34, min(34, self.azimuth))
        return replace(self, azimuth=azimuth, elevation=min(self.elevation, 17)).direction()

    def direction(self, right: Number = 0.0, up: Number = 0.0) -> Array:
        """Unit vector to the panel's centre, or to a point of it given in -1..1."""
        a, e = np.radians([self.azimuth + right * self.size, self.elevation + up * self.size])
        return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


@dataclass(frozen=True, kw_only=True)
class Light:
    """Three panels (key, fill, rim) in a surrounding glow of two colours, from above and from below."""

    key: Panel
    fill: Panel
    rim: Panel
    above: Color = (0.23, 0.24, 0.26)
    below: Color = (0.11, 0.095, 0.085)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera in front of the head, looking at (x, y, 2)."""

    distance: Number = 130.0
    view: Number = 39.0  # what the picture spans at the face, cm
    x: Number = 0.0
    y: Number = -2.6
    lens: Number = 0.35  # radius of the aperture, cm: depth of field


@dataclass(frozen=True, kw_only=True)
class Look:
    """What changes from frame to frame: expression (FaceKit mode names), head pose and gaze in degrees."""

    expression: dict[str, Number] = field(default_factory=dict)
    yaw: Number = 0.0
    pitch: Number = 0.0
    roll: Number = 0.0
    gaze: tuple[Number, Number] = (0.0, 0.0)  # yaw, pitch


def linear(srgb: Array) -> Array:
    """Linear light of sRGB values in 0..1."""
    srgb = np.asarray(srgb, np.float64)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def skin_color(darkness: Number) -> Color:
    """Linear skin colour between the tones of the scale."""
    place = np.linspace(0, 1, len(SKIN_TONES_SRGB))
    red, green, blue = (float(np.interp(darkness, place, tone)) for tone in linear(SKIN_TONES_SRGB).T)
    return red, green, blue


def tinted(color: Color, factor: Number) -> Color:
    """The colour made lighter or darker."""
    return color[0] * factor, color[1] * factor, color[2] * factor


# ---- random people ---------------------------------------------------------------------------------------------------
FEMININE = ("bob", "long", "bangs", "bun", "curly", "long", "bob", "afro")
MASCULINE = ("buzz", "short", "sidepart", "swept", "short", "bald", "afro", "buzz")
LENGTHS = {
    "bald": (0, 0),
    "buzz": (0.35, 0.8),
    "short": (2.2, 4.0),
    "sidepart": (4, 7),
    "swept": (5.5, 9),
    "bob": (19, 24),
    "long": (30, 40),
    "bangs": (20, 36),
    "afro": (3, 6.5),
    "curly": (16, 30),
    "bun": (1, 1),
}
CURLED = {
    "afro": dict(wave=0.32, wave_per_cm=1.1, clump=0.3, frizz=0.3),
    "curly": dict(wave=0.55, wave_per_cm=0.19, clump=0.7, frizz=0.1),
}


def random_identity(rng: Generator, variety: Number = 0.75) -> Array:
    """Identity coefficients; `variety` is their standard deviation."""
    return np.clip(variety * rng.normal(size=100), -2.2, 2.2).astype(np.float32)


def random_person(seed: int, variety: Number | None = None) -> Person:
    """The person of this seed: any age, any tone, near the average face or far from it, all equally often."""
    rng = np.random.default_rng(seed)
    identity = random_identity(rng, 1.0)
    identity = np.clip(identity * (variety or rng.uniform(0.5, 1.05)), -2.2, 2.2)
    feminine, age, darkness = (float(share) for share in rng.random(3))
    hair = random_hair(rng, feminine, age, darkness)
    return Person(
        seed=seed,
        identity=identity,
        age=age,
        teeth=float(np.clip(0.2 + 0.5 * age + 0.25 * rng.normal(), 0, 1)),
        hair=hair,
        skin=random_skin(rng, feminine, age, darkness),
        brows=random_brows(rng, hair, feminine, age),
        eyes=random_eyes(rng, feminine, darkness),
        clothes=random_clothes(rng, feminine),
        beard=random_beard(rng) if feminine < 0.4 and rng.random() < 0.4 else None,
    )


def random_brows(rng: Generator, hair: Hair, feminine: Number, age: Number) -> Brows:
    """Eyebrows in a shade of the hair; they thin and pale with age."""
    faded = hair.color[0] > 0.25
    own = tinted(HAIR_COLORS["brown"] if faded and age < 0.75 else hair.color, 0.7)
    return Brows(
        color=own,
        density=rng.uniform(0.6, 1.0) * (1 - 0.25 * max(0.0, age - 0.5)),
        thickness=rng.uniform(0.7, 1.0) if feminine > 0.5 else rng.uniform(0.85, 1.3),
        arch=rng.uniform(0.0, 0.8) if feminine > 0.5 else rng.uniform(-0.2, 0.4),
    )


def undertone(rng: Generator, darkness: Number) -> Color:
    """Skin of this darkness with a rosy, golden or olive cast."""
    color = np.array(skin_color(darkness)) * np.exp(rng.normal(size=3) * (0.05, 0.045, 0.09))
    return tuple(float(c) for c in color)  # type: ignore[return-value]


def random_makeup(rng: Generator, feminine: Number, darkness: Number) -> dict:
    """Nothing, a little, or a full face of make-up."""
    much = rng.uniform(0.3, 1.0) if feminine > 0.5 and rng.random() < 0.55 else 0.0
    if much == 0.0:
        return {}
    deep = 1 - 0.55 * darkness
    hue = rng.uniform((0.03, 0.02, 0.02), (0.28, 0.18, 0.26)) * deep
    lips = rng.uniform(0.22, 0.5) * deep * np.array([1.0, rng.uniform(0.10, 0.36), rng.uniform(0.14, 0.40)])
    return dict(
        lipstick=tuple(float(c) for c in lips) if rng.random() < 0.75 else None,
        blush=much * rng.uniform(0, 1.0),
        eyeshadow=much * rng.uniform(0, 1.0),
        eyeshadow_color=tuple(float(c) for c in hue),
        liner=much * rng.uniform(0.2, 1.0),
    )


def random_skin(rng: Generator, feminine: Number, age: Number, darkness: Number) -> Skin:
    """A complexion that suits the age and the tone."""
    old = max(0.0, age - 0.3) / 0.7
    return Skin(
        darkness=darkness,
        color=undertone(rng, darkness),
        redness=rng.uniform(0.4, 1.0),
        blotches=rng.uniform(0.3, 0.8) + 0.4 * old,
        freckles=max(0.0, rng.normal() * 0.6 - 0.2) if darkness < 0.45 else 0.0,
        eye_shade=rng.uniform(0.1, 0.5) + 0.3 * age,
        pores=rng.uniform(0.5, 0.9) + 0.25 * age,
        wrinkles=1.25 * old**1.3 * rng.uniform(0.7, 1.15),
        lines=rng.uniform(0.3, 0.55) + 0.45 * age,
        sag=1.1 * old**1.5 * rng.uniform(0.5, 1.1),
        age_spots=max(0.0, 1.6 * age - 0.9) * rng.random(),
        gloss=rng.uniform(0.65, 1.15) - 0.2 * old,
        moles=int(rng.integers(5)),
        stubble=rng.random() ** 1.5 if feminine < 0.45 else 0.0,
        lip_strength=rng.uniform(0.5, 0.85) - 0.2 * old,
        **random_makeup(rng, feminine, darkness),
    )


def random_hair(rng: Generator, feminine: Number, age: Number, darkness: Number) -> Hair:
    """A style and a colour."""
    style = str(rng.choice(FEMININE if feminine > 0.5 else MASCULINE))
    weights = (
        np.array([3, 3, 3, 2, 2, 0.4, 1, 1, 0.6, 0.3])
        if darkness < 0.5
        else np.array([9, 4, 1, 0.1, 0.1, 0.02, 0.02, 0.1, 0.5, 0.3])
    )
    if age > 0.7:
        weights = weights * np.array([1, 1, 1, 1, 1, 1, 0.4, 0.4, 8, 6])
    name = str(rng.choice(list(HAIR_COLORS), p=weights / weights.sum()))
    return Hair(
        style=style,
        color=tinted(HAIR_COLORS[name], float(np.exp(0.15 * rng.normal()))),
        length=rng.uniform(*LENGTHS[style]),
        thickness=rng.uniform(0.7, 1.2),
        parting=rng.uniform(-3, 3),
        recede=max(0.0, 0.6 * rng.normal() + (0.4 if feminine < 0.5 else -0.5)),
        hairline=rng.uniform(-0.4, 0.4),
        sweep=rng.uniform(-1, 1),
        mess=rng.uniform(0.05, 0.15),
        **CURLED.get(
            style, dict(wave=rng.uniform(0, 0.2), wave_per_cm=rng.uniform(0.05, 0.12), clump=rng.uniform(0.2, 0.5))
        ),
    )


def random_beard(rng: Generator) -> Beard:
    """A beard of any kind."""
    return Beard(
        kind=str(rng.choice(["full", "full", "goatee", "moustache"])),
        length=rng.uniform(0.3, 1.1),
        curl=rng.uniform(0.1, 0.4),
    )


def random_eyes(rng: Generator, feminine: Number, darkness: Number) -> Eyes:
    """Eyes whose colour suits the skin."""
    names = list(IRIS_COLORS) if darkness < 0.4 else ["brown", "dark", "dark"]
    return Eyes(
        iris=tinted(IRIS_COLORS[str(rng.choice(names))], float(np.exp(0.15 * rng.normal()))),
        iris_radius=rng.uniform(0.60, 0.65),
        pupil=rng.uniform(0.30, 0.42),
        veins=rng.uniform(0.1, 0.6),
        lashes=rng.uniform(0.6, 1.0) if feminine > 0.5 else rng.uniform(0.3, 0.6),
    )


def random_clothes(rng: Generator, feminine: Number) -> Clothes:
    """A garment in a muted colour."""
    hue, grey = rng.random(3), rng.uniform(0.02, 0.35)
    return Clothes(
        neckline=str(rng.choice(NECKLINES, p=[0.4, 0.25, 0.1, 0.25])),
        color=tuple(grey * (0.5 + hue)),
        knit=rng.uniform(0.2, 1.0),
        shoulders=rng.uniform(18.5, 21.0) - (1.5 if feminine > 0.5 else 0.0),
    )


STUDIO = Light(
    key=Panel(azimuth=-32, elevation=30, size=20, color=(2.05, 1.94, 1.80)),
    fill=Panel(azimuth=38, elevation=8, size=32, color=(0.45, 0.47, 0.50)),
    rim=Panel(azimuth=145, elevation=30, size=12, color=(1.3, 1.3, 1.35)),
)
WINDOW = Light(
    key=Panel(azimuth=48, elevation=18, size=26, color=(1.95, 1.95, 1.96)),
    fill=Panel(azimuth=-40, elevation=12, size=36, color=(0.46, 0.43, 0.40)),
    rim=Panel(azimuth=-140, elevation=35, size=14, color=(1.0, 0.85, 0.65)),
)
