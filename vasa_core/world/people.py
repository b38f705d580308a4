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
IDENTITY_LIMIT = 2.2  # standard deviations: what the face model was made for
YOUNGEST = 0.6  # how much of a young face's proportions people have at most


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
    lid_fold: Number = 0.6  # the crease above the upper lid: 0 none, 1 deep


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
    streaks: Number = 0.0  # share of the hairs that have the other colour: grey ones, or bleached
    streak_color: Color = (0.30, 0.295, 0.28)


@dataclass(frozen=True, kw_only=True)
class Beard:
    """A beard of one kind: full, goatee or moustache."""

    kind: str
    length: Number = 0.6  # cm
    density: Number = 1.0
    curl: Number = 0.2


@dataclass(frozen=True, kw_only=True)
class Brows:
    """Eyebrows: density and thickness around 1, arch in -0.5..1, `height` cm above where most grow."""

    color: Color
    density: Number = 0.8
    thickness: Number = 1.0
    arch: Number = 0.2
    height: Number = 0.0


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
class Build:
    """Proportions that an identity has yet to be given (`proportions.built`): 0 a man's, 1 a woman's; how young."""

    feminine: Number = 0.0
    youth: Number = 0.0


@dataclass(frozen=True, kw_only=True)
class Person:
    """Everything that stays when the expression, the pose, the light and the camera change."""

    seed: int  # of strands, moles and noise
    identity: Array  # FaceKit identity coefficients, [100]
    build: Build | None = None  # proportions still to be given to it
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


def between(a: Color, b: Color, share: Number) -> Color:
    """The colour between two, as dyes mix: their weighted geometric mean."""
    red, green, blue = (float(x ** (1 - share) * y**share) for x, y in zip(a, b, strict=True))
    return red, green, blue


# ---- random people ---------------------------------------------------------------------------------------------------
STRAIGHT_STYLES = {  # how often, for (feminine, masculine) people
    "buzz": (0.3, 3),
    "short": (1, 4),
    "sidepart": (0.3, 3),
    "swept": (0.3, 2.5),
    "quiff": (0.3, 2.5),
    "curls": (1, 1.5),
    "bob": (3, 0.1),
    "long": (3, 0.5),
    "wavy": (3.5, 0.3),
    "curly": (2.5, 0.2),
    "bangs": (2, 0),
    "bun": (1.6, 0.3),
    "ponytail": (2.2, 0.4),
    "receding": (0, 0.6),
    "bald": (0.1, 0.8),
}
COILED_STYLES = {
    "afro": (3, 2),
    "buzz": (0.6, 4),
    "curls": (1, 2),
    "cornrows": (1.5, 2),
    "locs": (1.5, 1.5),
    "braids": (3, 0.3),
    "bun": (1, 0),
    "bald": (0.2, 1),
    "receding": (0, 0.5),
}
LENGTHS = {
    "bald": (0, 0),
    "buzz": (0.35, 0.8),
    "short": (2.2, 4.0),
    "receding": (1.2, 2.6),
    "sidepart": (4, 7),
    "swept": (5.5, 9),
    "quiff": (4.5, 7.5),
    "curls": (3.5, 6.5),
    "bob": (19, 24),
    "long": (28, 40),
    "wavy": (24, 38),
    "bangs": (20, 36),
    "afro": (2.5, 6.5),
    "curly": (16, 30),
    "bun": (1, 1),
    "ponytail": (18, 34),
    "locs": (18, 34),
    "braids": (24, 40),
    "cornrows": (1, 1),
}
CURLED = {
    "afro": dict(wave=0.32, wave_per_cm=1.1, clump=0.3, frizz=0.3),
    "curly": dict(wave=0.55, wave_per_cm=0.19, clump=0.7, frizz=0.1),
    "curls": dict(wave=0.35, wave_per_cm=0.45, clump=0.6, frizz=0.08),
    "wavy": dict(wave=0.45, wave_per_cm=0.11, clump=0.6, frizz=0.05),
}
DYED = ((0.30, 0.04, 0.12), (0.05, 0.10, 0.30), (0.03, 0.20, 0.18), (0.16, 0.04, 0.24), (0.22, 0.015, 0.03))
GREYS = ("grey", "white")
BLOND = 0.25  # red of a linear colour above which hair is fair


def random_identity(rng: Generator, variety: Number = 0.75) -> Array:
    """Identity coefficients; `variety` is their standard deviation."""
    return np.clip(variety * rng.normal(size=100), -IDENTITY_LIMIT, IDENTITY_LIMIT).astype(np.float32)


def random_person(seed: int, variety: Number | None = None) -> Person:
    """The person of this seed: any age, any tone, near the average face or far from it, all equally often."""
    rng = np.random.default_rng(seed)
    identity = random_identity(rng, 1.0)
    identity = np.clip(identity * (variety or rng.uniform(0.5, 1.05)), -IDENTITY_LIMIT, IDENTITY_LIMIT)
    feminine, age, darkness = (float(share) for share in rng.random(3))
    hair, own = random_hair(rng, feminine, age, darkness), np.random.default_rng([seed, 6])
    return Person(
        seed=seed,
        identity=identity,
        build=random_build(np.random.default_rng([seed, 8]), feminine),
        age=age,
        teeth=float(np.clip(0.2 + 0.5 * age + 0.25 * rng.normal(), 0, 1)),
        hair=dyed(np.random.default_rng([seed, 4]), hair, feminine, age),
        skin=replace(random_skin(rng, feminine, age, darkness), lid_fold=float(own.uniform(0.1, 1.0))),
        brows=replace(random_brows(rng, hair, feminine, age), height=float(0.14 * own.normal())),
        eyes=random_eyes(rng, feminine, darkness),
        clothes=random_clothes(np.random.default_rng([seed, 1]), feminine),
        beard=random_beard(rng) if feminine < 0.4 and rng.random() < 0.4 else None,
        **random_worn(np.random.default_rng([seed, 2]), feminine, age),
    )


def random_build(rng: Generator, feminine: Number) -> Build:
    """A man's proportions, a woman's, or some between; some people look younger than others at any age."""
    return Build(feminine=float(np.clip(2.5 * feminine - 0.75, 0, 1)), youth=float(rng.uniform(0, YOUNGEST)))


def random_brows(rng: Generator, hair: Hair, feminine: Number, age: Number) -> Brows:
    """Eyebrows in a shade of the hair; they thin and pale with age."""
    faded = hair.color[0] > 0.25
    own = tinted(HAIR_COLORS["brown"] if faded and age < 0.75 else hair.color, 0.7)
    if faded and age >= 0.75:  # brows keep some of their colour when the hair has lost it
        own = between(own, HAIR_COLORS["dark brown"], 0.45)
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
    deep = 0.85 * (1 - 0.65 * darkness)
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


def random_style(rng: Generator, feminine: Number, age: Number, darkness: Number) -> str:
    """The name of a hair style; hair recedes with age in men."""
    coiled = rng.random() < 0.06 + 0.5 * darkness**1.5
    styles = COILED_STYLES if coiled else STRAIGHT_STYLES
    weights = np.array([often[0 if feminine > 0.5 else 1] for often in styles.values()], float)
    losing = [name in ("bald", "receding") for name in styles]
    weights[losing] *= 0.4 + 3.0 * age**2
    return str(rng.choice(list(styles), p=weights / weights.sum()))


def random_hair(rng: Generator, feminine: Number, age: Number, darkness: Number) -> Hair:
    """A style and a colour."""
    style = random_style(rng, feminine, age, darkness)
    weights = (
        np.array([3, 3, 3, 2, 2, 0.4, 1, 1, 0.6, 0.3])
        if darkness < 0.5
        else np.array([9, 4, 1, 0.1, 0.1, 0.02, 0.02, 0.1, 0.5, 0.3])
    )
    if age > 0.7:
        weights = weights * np.array([1, 1, 1, 1, 1, 1, 0.4, 0.4, 8, 6])
    name = str(rng.choice(list(HAIR_COLORS), p=weights / weights.sum()))
    losing, color = style == "receding", tinted(HAIR_COLORS[name], float(np.exp(0.15 * rng.normal())))
    return Hair(
        style=style,
        color=color,
        length=rng.uniform(*LENGTHS[style]),
        thickness=rng.uniform(0.7, 1.2),
        parting=rng.uniform(-3, 3),
        recede=rng.uniform(1.5, 3.2) if losing else max(0.0, 0.6 * rng.normal() + (0.4 if feminine < 0.5 else -0.5)),
        hairline=rng.uniform(0.5, 1.8) if losing else rng.uniform(-0.4, 0.4),
        density=rng.uniform(0.5, 0.8) if losing else rng.uniform(0.85, 1.0),
        behind=float(rng.choice([0.0, 0.5, 0.9])),
        sweep=rng.uniform(-1, 1),
        mess=rng.uniform(0.05, 0.15),
        streak_color=between(color, HAIR_COLORS["white"], 0.65),
        streaks=float(np.clip(1.8 * age - 0.9 + 0.2 * rng.normal(), 0, 0.6))
        if name not in GREYS and age > 0.4
        else 0.0,
        **CURLED.get(
            style, dict(wave=rng.uniform(0, 0.2), wave_per_cm=rng.uniform(0.05, 0.12), clump=rng.uniform(0.2, 0.5))
        ),
    )


def dyed(rng: Generator, hair: Hair, feminine: Number, age: Number) -> Hair:
    """Hair that may be dyed or bleached in streaks; brows keep their own colour."""
    chance = rng.random()
    if feminine < 0.45 or age > 0.8 or chance > 0.11:
        return hair
    if chance > 0.05:
        fair = tinted(HAIR_COLORS["blond"], rng.uniform(0.6, 1.1))
        streaks, lighter = rng.uniform(0.2, 0.5), between(hair.color, fair, 0.55)
        return replace(hair, streaks=streaks, streak_color=lighter) if hair.color[0] < BLOND else hair
    color = tinted(DYED[int(rng.integers(len(DYED)))], rng.uniform(0.6, 1.2))
    return replace(hair, color=color, streaks=0.0)


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


def cloth_color(rng: Generator) -> Color:
    """White, black, grey, earthy, muted or vivid."""
    kind, hue = rng.random(), rng.random()
    if kind < 0.30:  # without colour
        value, saturation = float(rng.choice([0.012, 0.03, 0.12, 0.3, 0.62])) * rng.uniform(0.7, 1.3), 0.08
    elif kind < 0.75:
        value, saturation = rng.uniform(0.03, 0.35), rng.uniform(0.25, 0.6)
    else:
        value, saturation = rng.uniform(0.15, 0.5), rng.uniform(0.65, 0.92)
    channels = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    red, green, blue = value * (1 - saturation * (1 - channels))
    return float(min(red, 0.7)), float(min(green, 0.7)), float(min(blue, 0.7))


GARMENT_CHANCES = {  # (feminine, masculine)
    "sweater": (0.22, 0.22),
    "tshirt": (0.18, 0.24),
    "shirt": (0.10, 0.19),
    "blouse": (0.13, 0.0),
    "jacket": (0.11, 0.15),
    "hoodie": (0.08, 0.12),
    "dress": (0.10, 0.0),
    "kurta": (0.04, 0.05),
    "wrapped": (0.04, 0.03),
}
GARMENT_NECKLINES = {
    "sweater": NECKLINES,
    "tshirt": ("crew", "crew", "vneck", "scoop"),
    "shirt": ("open",),
    "blouse": ("vneck", "scoop", "crew"),
    "jacket": ("open", "open", "crew", "vneck"),
    "hoodie": ("crew",),
    "dress": ("boat", "wide", "scoop", "vneck", "strapless"),
    "kurta": ("stand",),
    "wrapped": ("crossed",),
}
GARMENT_FABRICS = {
    "sweater": ("knit", "knit", "rib"),
    "tshirt": ("cotton",),
    "shirt": ("cotton", "cotton", "denim", "linen"),
    "blouse": ("satin", "cotton", "linen"),
    "jacket": ("cotton", "linen", "felt", "leather", "denim"),
    "hoodie": ("cotton", "felt"),
    "dress": ("satin", "cotton", "linen"),
    "kurta": ("linen", "cotton", "satin"),
    "wrapped": ("satin", "cotton"),
}
PRINTS = {
    "sweater": ("stripes", "chevron", "blocks"),
    "tshirt": ("stripes", "dots", "blocks", "floral"),
    "shirt": ("check", "stripes", "pinstripes", "dots", "floral"),
    "blouse": ("floral", "dots", "stripes", "chevron"),
    "jacket": ("pinstripes", "check"),
    "hoodie": ("blocks",),
    "dress": ("floral", "dots", "chevron"),
    "kurta": ("floral", "chevron"),
    "wrapped": ("floral", "chevron"),
}


def random_clothes(rng: Generator, feminine: Number) -> Clothes:
    """A garment of any kind."""
    chances = np.array([chance[0 if feminine > 0.5 else 1] for chance in GARMENT_CHANCES.values()])
    kind = str(rng.choice(list(GARMENT_CHANCES), p=chances / chances.sum()))
    pattern = str(rng.choice(PRINTS[kind])) if rng.random() < 0.35 else "none"
    fabric, color = str(rng.choice(GARMENT_FABRICS[kind])), cloth_color(rng)
    return Clothes(
        kind=kind,
        neckline=str(rng.choice(GARMENT_NECKLINES[kind])),
        color=tinted((0.06, 0.10, 0.19), rng.uniform(0.4, 2.0)) if fabric == "denim" else color,
        second=cloth_color(rng),
        fabric=fabric,
        pattern="none" if fabric in ("denim", "leather") else pattern,
        pattern_cm=rng.uniform(1.6, 4.5),
        knit=rng.uniform(0.2, 1.0),
        shoulders=rng.uniform(18.5, 21.0) - (1.5 if feminine > 0.5 else 0.0),
    )


# ---- what is worn besides --------------------------------------------------------------------------------------------
METALS = (
    (0.75, 0.52, 0.22),
    (0.62, 0.62, 0.64),
    (0.10, 0.10, 0.11),
    (0.72, 0.42, 0.32),
)  # gold, silver, gunmetal, rose
PLASTICS = ((0.008, 0.008, 0.009), (0.045, 0.018, 0.006), (0.16, 0.07, 0.02), (0.25, 0.02, 0.03), (0.02, 0.05, 0.14))
FRAME_NAMES = ("round", "oval", "rectangular", "square", "wayfarer", "cateye", "aviator", "halfrim")
SUNGLASSES = 0.07  # share of glasses


def random_worn(rng: Generator, feminine: Number, age: Number) -> dict:
    """Glasses, earrings, hat and scarf, each of them sometimes, whatever the tone and the face."""
    chance = rng.random(4)
    glasses = random_glasses(rng, feminine) if chance[0] < 0.12 + 0.18 * age else None
    earrings = random_earrings(rng) if chance[1] < (0.35 if feminine > 0.5 else 0.05) else None
    hat = random_hat(rng, feminine) if chance[2] < 0.11 else None
    scarf = random_scarf(rng) if chance[3] < 0.07 and not (hat and hat.kind == "headscarf") else None
    return dict(glasses=glasses, earrings=earrings, hat=hat, scarf=scarf)


def random_glasses(rng: Generator, feminine: Number) -> Glasses:
    """Spectacles, rarely dark ones."""
    frame = str(rng.choice([name for name in FRAME_NAMES if feminine > 0.5 or name != "cateye"]))
    metal = bool(rng.random() < 0.45) or frame in ("aviator", "halfrim")
    colors = METALS if metal else PLASTICS
    dark = rng.random() < SUNGLASSES
    return Glasses(
        frame=frame,
        metal=metal,
        color=tinted(colors[int(rng.integers(len(colors)))], rng.uniform(0.7, 1.2)),
        rim=rng.uniform(0.11, 0.18) if metal else rng.uniform(0.2, 0.46),
        tint=rng.uniform(0.65, 0.92) if dark else 0.0,
        tint_color=tinted((0.06, 0.055, 0.05), rng.uniform(0.3, 1.5)),
        width=rng.uniform(0.94, 1.10),
    )


def random_earrings(rng: Generator) -> Earrings:
    """Studs, hoops or drops."""
    kind = str(rng.choice(["stud", "stud", "hoop", "drop"]))
    size = {"stud": (0.3, 0.7), "hoop": (1.0, 4.5), "drop": (1.5, 3.5)}[kind]
    gems = ((0.75, 0.75, 0.78), (0.35, 0.02, 0.04), (0.02, 0.10, 0.30), (0.03, 0.20, 0.10), (0.62, 0.58, 0.52))
    return Earrings(
        kind=kind,
        size=rng.uniform(*size),
        color=METALS[int(rng.integers(len(METALS)))],
        gem=gems[int(rng.integers(len(gems)))],
    )


def random_hat(rng: Generator, feminine: Number) -> Hat:
    """Something on the head."""
    kinds = (
        ("beanie", "cap", "brimmed", "headwrap", "headscarf")
        if feminine > 0.5
        else ("beanie", "cap", "brimmed", "headwrap")
    )
    kind = str(rng.choice(kinds))
    fabrics = {"beanie": ("rib",), "cap": ("cotton", "denim"), "brimmed": ("felt", "straw")}
    color, printed = cloth_color(rng), rng.random() < 0.35
    return Hat(
        kind=kind,
        color=(0.42, 0.30, 0.15)
        if (fabric := str(rng.choice(fabrics.get(kind, ("cotton", "satin"))))) == "straw"
        else color,
        second=cloth_color(rng) if rng.random() < 0.6 else tinted(color, 0.6),
        fabric=fabric,
        pattern=str(rng.choice(["floral", "dots", "chevron", "stripes"]))
        if printed and kind in ("headwrap", "headscarf")
        else "none",
        seed=int(rng.integers(1 << 30)),
    )


def random_scarf(rng: Generator) -> Scarf:
    """Wool or silk about the neck."""
    return Scarf(
        color=cloth_color(rng),
        second=cloth_color(rng),
        fabric=str(rng.choice(["knit", "knit", "satin", "linen"])),
        pattern=str(rng.choice(["none", "none", "check", "stripes"])),
        hanging=bool(rng.random() < 0.6),
        seed=int(rng.integers(1 << 30)),
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
