"""The cast we ship: each sitter is a face (an identity seed), a styling, a place and a finish.

Faces were chosen from contact sheets of random identities; everything else was set by eye. Nobody here exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vasa_core.world.facekit import Number
from vasa_core.world.people import (
    HAIR_COLORS,
    IRIS_COLORS,
    Beard,
    Brows,
    Camera,
    Clothes,
    Earrings,
    Eyes,
    Glasses,
    Hair,
    Hat,
    Look,
    Person,
    Skin,
    random_identity,
    skin_color,
    tinted,
)
from vasa_core.world.places import random_place
from vasa_core.world.scenes import Capture, Scene, balanced, exposed
from vasa_core.world.style import Style

RELAXED = {"mouthSmile": 0.26, "cheekSquint": 0.09, "eyeSquint": 0.05}
WARM = {"mouthSmile": 0.36, "cheekSquint": 0.15, "eyeSquint": 0.07, "mouthDimple": 0.10}


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """One portrait to be made."""

    caption: str
    person: Person
    place: tuple[str, int]  # family of places.FAMILIES and the seed of this one
    look: Look
    camera: Camera = Camera(view=37, y=-1.2, lens=0.3)  # noqa: RUF009
    exposure: Number = 1.0  # times what a light meter says
    style: Style = field(default_factory=Style)


def scene_of(sitter: Sitter) -> Scene:
    """The scene of a sitter, photographed by a perfect camera."""
    family, light, behind = random_place(np.random.default_rng(sitter.place[1]), sitter.place[0])
    capture = Capture(
        exposure=exposed(light, sitter.person) * sitter.exposure,
        balance=balanced(light, 0.7),
        vignette=0.15,
        sharpen=0.25,
    )
    return Scene(
        family=family,
        light=light,
        backdrop=behind,
        camera=sitter.camera,
        style=sitter.style,
        capture=capture,
        seed=sitter.person.seed,
    )


def face(seed: int) -> dict:
    """The identity of a random person, and the seed of this one's strands and noise."""
    return dict(seed=seed, identity=random_identity(np.random.default_rng(seed)))


def complexion(darkness: Number, **settings) -> Skin:
    return Skin(darkness=darkness, color=skin_color(darkness), **settings)


def cast() -> dict[str, Sitter]:
    """Every sitter by file name."""
    return {
        "elena": Sitter(
            caption="A young woman with long dark brown hair in window light",
            person=Person(
                **face(113),
                age=0.15,
                skin=complexion(
                    0.30,
                    redness=0.75,
                    pores=0.55,
                    eye_shade=0.25,
                    gloss=0.8,
                    moles=0,
                    lipstick=(0.40, 0.14, 0.12),
                    blush=0.4,
                    liner=0.6,
                    eyeshadow=0.3,
                    lines=0.4,
                ),
                hair=Hair(
                    style="long",
                    color=tinted(HAIR_COLORS["dark brown"], 0.6),
                    length=34,
                    behind=0.85,
                    thickness=1.3,
                    parting=1.5,
                    wave=0.35,
                    wave_per_cm=0.08,
                    clump=0.45,
                ),
                brows=Brows(color=(0.03, 0.018, 0.012), density=0.9, thickness=0.8, arch=0.35),
                eyes=Eyes(iris=IRIS_COLORS["hazel"], lashes=1.0, veins=0.1),
                earrings=Earrings(kind="stud", size=0.45, color=(0.75, 0.52, 0.22)),
                clothes=Clothes(
                    kind="blouse", neckline="vneck", fabric="satin", color=(0.30, 0.055, 0.05), shoulders=18.0
                ),
            ),
            place=("window", 1),
            look=Look(expression=WARM, yaw=-5, gaze=(4, 0)),
        ),
        "kofi": Sitter(
            caption="A man with dark skin, close-cropped hair and a short beard",
            person=Person(
                **face(120),
                age=0.25,
                skin=complexion(
                    0.84, redness=0.4, pores=0.8, gloss=1.0, stubble=1.0, eye_shade=0.25, lines=0.5, wrinkles=0.1
                ),
                hair=Hair(style="buzz", color=HAIR_COLORS["black"], length=0.45, recede=0.5),
                beard=Beard(kind="full", length=0.46, curl=0.4, density=1.7),
                brows=Brows(color=HAIR_COLORS["black"], density=1.0, thickness=1.1),
                eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=0.5, veins=0.3),
                clothes=Clothes(
                    kind="jacket",
                    neckline="crew",
                    fabric="linen",
                    color=(0.055, 0.050, 0.042),
                    second=(0.55, 0.53, 0.5),
                ),
            ),
            place=("evening", 4),
            look=Look(expression=WARM, yaw=4, gaze=(-3, 0)),
            exposure=0.78,
        ),
        "mei": Sitter(
            caption="A woman with a black bob",
            person=Person(
                **face(202),
                age=0.2,
                skin=complexion(
                    0.16,
                    redness=0.55,
                    pores=0.5,
                    eye_shade=0.2,
                    lipstick=(0.42, 0.075, 0.07),
                    moles=1,
                    blush=0.5,
                    liner=0.7,
                    eyeshadow=0.25,
                    lines=0.4,
                ),
                hair=Hair(
                    style="bob",
                    color=HAIR_COLORS["black"],
                    length=20.5,
                    thickness=1.2,
                    parting=1.2,
                    wave=0.04,
                    clump=0.3,
                    frizz=0.025,
                ),
                brows=Brows(color=(0.02, 0.014, 0.012), density=0.8, thickness=0.8, arch=0.2),
                eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=0.9, veins=0.1),
                clothes=Clothes(
                    kind="kurta", neckline="stand", fabric="satin", color=(0.045, 0.10, 0.075), shoulders=18.0
                ),
            ),
            place=("studio", 1),
            look=Look(expression=RELAXED, yaw=3, gaze=(-2, 0)),
        ),
        "jonas": Sitter(
            caption="A young man with brown hair and light stubble",
            person=Person(
                **face(128),
                age=0.1,
                skin=complexion(0.08, redness=0.8, pores=0.8, stubble=0.55, eye_shade=0.3, freckles=0.15, lines=0.45),
                hair=Hair(
                    style="sidepart",
                    color=HAIR_COLORS["brown"],
                    length=5,
                    thickness=0.7,
                    hairline=-0.8,
                    parting=3.2,
                    clump=0.6,
                    mess=0.2,
                    sweep=0.2,
                    wave=0.25,
                ),
                brows=Brows(color=(0.05, 0.03, 0.018), density=0.9, thickness=1.1, arch=0.0),
                eyes=Eyes(iris=IRIS_COLORS["blue"], lashes=0.5, veins=0.2),
                clothes=Clothes(kind="shirt", neckline="open", fabric="denim", color=(0.045, 0.075, 0.135)),
            ),
            place=("overcast", 6),
            look=Look(expression=RELAXED, yaw=-4, gaze=(3, 0)),
        ),
        "ruth": Sitter(
            caption="An older woman with white hair in a bob",
            person=Person(
                **face(134),
                age=0.85,
                skin=complexion(
                    0.07,
                    redness=0.9,
                    blotches=0.9,
                    wrinkles=0.75,
                    pores=0.9,
                    eye_shade=0.55,
                    moles=3,
                    lip_strength=0.6,
                    lines=0.9,
                    sag=0.7,
                    age_spots=0.5,
                    blush=0.2,
                ),
                hair=Hair(
                    style="bob",
                    color=HAIR_COLORS["white"],
                    length=19,
                    thickness=1.3,
                    parting=-1.5,
                    wave=0.22,
                    wave_per_cm=0.09,
                    clump=0.4,
                ),
                brows=Brows(color=(0.16, 0.13, 0.11), density=0.7, thickness=0.8, arch=0.3),
                eyes=Eyes(iris=IRIS_COLORS["grey"], lashes=0.5, veins=0.4),
                earrings=Earrings(kind="stud", size=0.5, color=(0.62, 0.62, 0.64), gem=(0.62, 0.58, 0.52)),
                clothes=Clothes(
                    kind="blouse", neckline="crew", fabric="linen", color=(0.02, 0.085, 0.10), shoulders=18.5
                ),
            ),
            place=("garden", 4),
            look=Look(expression=WARM, yaw=4, gaze=(-3, 0)),
        ),
        "henry": Sitter(
            caption="A bald older man with a white beard",
            person=Person(
                **face(127),
                age=0.85,
                skin=complexion(
                    0.15,
                    redness=1.0,
                    blotches=0.9,
                    wrinkles=0.9,
                    pores=1.0,
                    eye_shade=0.5,
                    stubble=0.2,
                    moles=3,
                    gloss=0.9,
                    lines=0.9,
                    sag=0.7,
                    age_spots=0.4,
                ),
                hair=Hair(style="bald", color=HAIR_COLORS["white"]),
                beard=Beard(kind="full", length=1.0, curl=0.25),
                brows=Brows(color=(0.20, 0.19, 0.18), density=1.0, thickness=1.25),
                eyes=Eyes(iris=IRIS_COLORS["blue"], lashes=0.3, veins=0.5),
                clothes=Clothes(
                    kind="shirt",
                    neckline="open",
                    fabric="linen",
                    pattern="check",
                    color=(0.16, 0.05, 0.035),
                    shoulders=21.0,
                ),
            ),
            place=("library", 4),
            look=Look(expression=WARM, yaw=-6, gaze=(4, 0)),
        ),
        "amara": Sitter(
            caption="A woman with dark skin and an afro",
            person=Person(
                **face(102),
                age=0.3,
                skin=complexion(
                    0.72,
                    redness=0.45,
                    pores=0.55,
                    eye_shade=0.2,
                    gloss=1.1,
                    lipstick=(0.15, 0.026, 0.028),
                    blush=0.4,
                    liner=0.6,
                    eyeshadow=0.5,
                    eyeshadow_color=(0.10, 0.045, 0.02),
                    lines=0.4,
                ),
                hair=Hair(
                    style="afro",
                    color=HAIR_COLORS["black"],
                    length=5.0,
                    wave=0.30,
                    wave_per_cm=1.1,
                    clump=0.3,
                    frizz=0.3,
                ),
                brows=Brows(color=HAIR_COLORS["black"], density=0.9, thickness=0.8, arch=0.4),
                eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=1.0, veins=0.15),
                earrings=Earrings(kind="hoop", size=3.6, color=(0.75, 0.52, 0.22)),
                clothes=Clothes(
                    kind="dress", neckline="wide", fabric="satin", color=(0.40, 0.20, 0.03), shoulders=18.0
                ),
            ),
            place=("golden hour", 5),
            look=Look(expression={**WARM, "eyeBlink": 0.10, "mouthSmile": 0.34}, yaw=3, gaze=(-2, 0)),
            camera=Camera(view=41, y=-0.4, lens=0.3),
            exposure=0.85,
        ),
        "ines": Sitter(
            caption="A young woman with wavy copper hair",
            person=Person(
                **face(111),
                age=0.12,
                skin=complexion(
                    0.05,
                    redness=0.9,
                    freckles=0.7,
                    pores=0.4,
                    eye_shade=0.2,
                    lip_strength=0.9,
                    blush=0.3,
                    liner=0.3,
                    lines=0.4,
                ),
                hair=Hair(
                    style="wavy",
                    color=tinted(HAIR_COLORS["red"], 0.85),
                    length=30,
                    thickness=1.2,
                    wave=0.5,
                    wave_per_cm=0.16,
                    clump=0.6,
                    parting=0.3,
                ),
                brows=Brows(color=(0.10, 0.04, 0.02), density=0.8, thickness=0.8, arch=0.3),
                eyes=Eyes(iris=IRIS_COLORS["green"], lashes=0.9, veins=0.1),
                clothes=Clothes(
                    kind="dress", neckline="scoop", fabric="linen", color=(0.018, 0.060, 0.050), shoulders=18.0
                ),
            ),
            place=("garden", 7),
            look=Look(expression=RELAXED, yaw=-6, gaze=(4, 0)),
        ),
        "clara": Sitter(
            caption="A woman with wavy chestnut hair, painted in oil",
            person=Person(
                **face(214),
                age=0.3,
                skin=complexion(
                    0.14, redness=0.9, pores=0.4, eye_shade=0.2, lipstick=(0.40, 0.10, 0.09), blush=0.5, liner=0.3
                ),
                hair=Hair(
                    style="curly",
                    color=(0.040, 0.020, 0.011),
                    length=29,
                    thickness=1.4,
                    wave=0.55,
                    wave_per_cm=0.13,
                    clump=0.65,
                    parting=-0.8,
                ),
                brows=Brows(color=(0.035, 0.018, 0.012), density=0.9, thickness=0.85, arch=0.4),
                eyes=Eyes(iris=IRIS_COLORS["brown"], lashes=0.9, veins=0.1),
                clothes=Clothes(
                    kind="dress", neckline="boat", fabric="satin", color=(0.11, 0.014, 0.016), shoulders=18.0
                ),
            ),
            place=("studio", 2),
            look=Look(expression=WARM, yaw=6, gaze=(-4, 0)),
            style=Style(amount=0.3, finish="oil"),
        ),
        "ravi": Sitter(
            caption="A middle-aged man with greying hair swept back",
            person=Person(
                **face(144),
                age=0.5,
                skin=complexion(
                    0.52,
                    redness=0.6,
                    blotches=0.7,
                    pores=0.9,
                    wrinkles=0.35,
                    stubble=1.0,
                    eye_shade=0.55,
                    gloss=0.9,
                    lines=0.7,
                    sag=0.3,
                ),
                hair=Hair(
                    style="swept",
                    color=(0.030, 0.028, 0.027),
                    length=6.5,
                    thickness=0.9,
                    hairline=-0.3,
                    recede=0.8,
                    clump=0.5,
                    sweep=0.5,
                    wave=0.12,
                ),
                brows=Brows(color=HAIR_COLORS["black"], density=1.0, thickness=1.2),
                eyes=Eyes(iris=IRIS_COLORS["brown"], lashes=0.5, veins=0.4),
                clothes=Clothes(
                    kind="jacket", neckline="open", fabric="felt", color=(0.022, 0.030, 0.055), second=(0.5, 0.5, 0.5)
                ),
            ),
            place=("office", 2),
            look=Look(expression={**WARM, "mouthSmile": 0.38}, yaw=-4, gaze=(3, 0)),
            exposure=0.8,
        ),
        "omar": Sitter(
            caption="A man in his fifties with dark curls, a short beard and glasses",
            person=Person(
                **face(131),
                age=0.55,
                skin=complexion(
                    0.40,
                    redness=0.7,
                    pores=0.9,
                    wrinkles=0.4,
                    lines=0.8,
                    sag=0.3,
                    stubble=1.0,
                    eye_shade=0.4,
                    gloss=0.9,
                ),
                hair=Hair(
                    style="curls",
                    color=(0.022, 0.018, 0.016),
                    length=4.5,
                    recede=0.8,
                    hairline=0.2,
                    streaks=0.25,
                    wave=0.35,
                    wave_per_cm=0.45,
                    clump=0.6,
                    frizz=0.08,
                ),
                beard=Beard(kind="full", length=0.5, curl=0.35, density=1.2),
                brows=Brows(color=HAIR_COLORS["black"], density=1.0, thickness=1.15),
                eyes=Eyes(iris=IRIS_COLORS["brown"], lashes=0.5, veins=0.3),
                glasses=Glasses(frame="round", color=(0.045, 0.018, 0.006), rim=0.28),
                clothes=Clothes(
                    kind="jacket", neckline="crew", fabric="felt", color=(0.06, 0.045, 0.035), second=(0.12, 0.16, 0.17)
                ),
            ),
            place=("library", 1),
            look=Look(expression=WARM, yaw=5, gaze=(-4, 0)),
        ),
        "zola": Sitter(
            caption="A woman with deep dark skin, a patterned headwrap and drop earrings",
            person=Person(
                **face(112),
                age=0.3,
                skin=complexion(
                    0.93,
                    redness=0.4,
                    pores=0.5,
                    eye_shade=0.15,
                    gloss=1.15,
                    lines=0.4,
                    lipstick=(0.075, 0.012, 0.014),
                    liner=0.7,
                    eyeshadow=0.4,
                    eyeshadow_color=(0.12, 0.05, 0.02),
                ),
                hair=Hair(style="buzz", color=HAIR_COLORS["black"], length=0.6),
                brows=Brows(color=HAIR_COLORS["black"], density=0.9, thickness=0.8, arch=0.5),
                eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=1.0, veins=0.1),
                earrings=Earrings(kind="drop", size=3.0, color=(0.75, 0.52, 0.22), gem=(0.03, 0.20, 0.10)),
                hat=Hat(
                    kind="headwrap",
                    color=(0.42, 0.10, 0.015),
                    second=(0.02, 0.10, 0.16),
                    fabric="cotton",
                    pattern="floral",
                ),
                clothes=Clothes(
                    kind="dress", neckline="wide", fabric="cotton", color=(0.02, 0.085, 0.11), shoulders=18.0
                ),
            ),
            place=("seaside", 2),
            look=Look(expression=WARM, yaw=-5, gaze=(4, 0)),
            camera=Camera(view=41, y=0.2, lens=0.3),
            exposure=0.72,
        ),
        "nora": Sitter(
            caption="A young woman with a blond bob, drawn as a cartoon",
            person=Person(
                **face(201),
                age=0.1,
                skin=complexion(
                    0.12,
                    redness=1.0,
                    pores=0.0,
                    blotches=0.2,
                    eye_shade=0.1,
                    freckles=0.3,
                    moles=0,
                    lipstick=(0.45, 0.13, 0.12),
                    blush=0.6,
                    liner=0.6,
                ),
                hair=Hair(
                    style="bob",
                    color=tinted(HAIR_COLORS["blond"], 0.6),
                    length=21,
                    thickness=1.4,
                    parting=-1.0,
                    wave=0.15,
                    wave_per_cm=0.08,
                    clump=0.6,
                    frizz=0.02,
                ),
                brows=Brows(color=(0.09, 0.05, 0.028), density=1.6, thickness=0.85, arch=0.5),
                eyes=Eyes(iris=IRIS_COLORS["brown"], iris_radius=0.70, pupil=0.42, lashes=1.0, veins=0.0),
                clothes=Clothes(
                    kind="hoodie", neckline="crew", fabric="cotton", color=(0.45, 0.15, 0.02), shoulders=17.5, knit=0.0
                ),
            ),
            place=("studio", 4),
            look=Look(expression=WARM, yaw=5, gaze=(-3, 0)),
            style=Style(amount=0.8, finish="ink"),
        ),
    }
