"""The cast we ship: each sitter is a face (an identity seed), a styling, a light, a backdrop and a finish.

Faces were chosen from contact sheets of random identities; everything else was set by eye. Nobody here exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vasa_core.world.darkroom import Backdrop
from vasa_core.world.facekit import Number
from vasa_core.world.people import (
    HAIR_COLORS,
    IRIS_COLORS,
    STUDIO,
    WINDOW,
    Beard,
    Brows,
    Camera,
    Clothes,
    Eyes,
    Hair,
    Light,
    Look,
    Panel,
    Person,
    Skin,
    random_identity,
    skin_color,
    tinted,
)
from vasa_core.world.style import Style

RELAXED = {"mouthSmile": 0.18, "cheekSquint": 0.09, "eyeSquint": 0.05}
WARM = {"mouthSmile": 0.27, "cheekSquint": 0.15, "eyeSquint": 0.07, "mouthDimple": 0.10}
SOFT_FRONT = Light(
    key=Panel(azimuth=-22, elevation=28, size=26, color=(1.85, 1.78, 1.72)),
    fill=Panel(azimuth=40, elevation=10, size=34, color=(0.52, 0.52, 0.54)),
    rim=Panel(azimuth=150, elevation=28, size=14, color=(1.5, 1.45, 1.4)),
    above=(0.24, 0.24, 0.26),
    below=(0.13, 0.12, 0.11),
)
GOLDEN = Light(
    key=Panel(azimuth=-40, elevation=22, size=24, color=(1.95, 1.62, 1.28)),
    fill=Panel(azimuth=42, elevation=10, size=34, color=(0.46, 0.52, 0.62)),
    rim=Panel(azimuth=148, elevation=30, size=12, color=(1.3, 1.0, 0.7)),
    above=(0.23, 0.25, 0.28),
    below=(0.14, 0.11, 0.09),
)


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """One portrait to be made."""

    caption: str
    person: Person
    light: Light
    backdrop: Backdrop
    look: Look
    camera: Camera = field(default_factory=Camera)
    exposure: Number = 1.0
    saturation: Number = 1.0
    style: Style = field(default_factory=Style)


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
                skin=complexion(
                    0.30, redness=0.75, pores=0.55, eye_shade=0.25, gloss=0.8, moles=0, lipstick=(0.40, 0.14, 0.12)
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
                clothes=Clothes(neckline="crew", color=(0.12, 0.02, 0.025), shoulders=18.0),
            ),
            light=WINDOW,
            backdrop=Backdrop(center=(0.19, 0.23, 0.24), edge=(0.04, 0.052, 0.058), seed=1),
            look=Look(expression=WARM, yaw=-5, gaze=(4, 0)),
        ),
        "kofi": Sitter(
            caption="A man with dark skin, close-cropped hair and a short beard",
            person=Person(
                **face(120),
                skin=complexion(0.84, redness=0.4, pores=0.8, gloss=1.0, stubble=1.0, eye_shade=0.25),
                hair=Hair(style="buzz", color=HAIR_COLORS["black"], length=0.45, recede=0.5),
                beard=Beard(kind="full", length=0.46, curl=0.4, density=1.7),
                brows=Brows(color=HAIR_COLORS["black"], density=1.0, thickness=1.1),
                eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=0.5, veins=0.3),
                clothes=Clothes(neckline="turtle", color=(0.20, 0.082, 0.010), knit=1.0),
            ),
            light=GOLDEN,
            backdrop=Backdrop(center=(0.11, 0.17, 0.19), edge=(0.025, 0.04, 0.05), seed=2),
            look=Look(expression=WARM, yaw=4, gaze=(-3, 0)),
            exposure=1.2,
        ),
        "mei": Sitter(
            caption="A woman with a black bob",
            person=Person(
                **face(202),
                skin=complexion(0.16, redness=0.55, pores=0.5, eye_shade=0.2, lipstick=(0.42, 0.075, 0.07), moles=1),
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
                clothes=Clothes(neckline="turtle", color=(0.050, 0.085, 0.062), shoulders=18.0, knit=0.8),
            ),
            light=SOFT_FRONT,
            backdrop=Backdrop(center=(0.42, 0.33, 0.28), edge=(0.14, 0.10, 0.085), seed=3),
            look=Look(expression=RELAXED, yaw=3, gaze=(-2, 0)),
        ),
        "jonas": Sitter(
            caption="A young man with brown hair and light stubble",
            person=Person(
                **face(128),
                skin=complexion(0.08, redness=0.8, pores=0.8, stubble=0.55, eye_shade=0.3, freckles=0.15),
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
                clothes=Clothes(neckline="crew", color=(0.012, 0.018, 0.038), knit=0.7),
            ),
            light=STUDIO,
            backdrop=Backdrop(center=(0.20, 0.25, 0.29), edge=(0.045, 0.06, 0.075), seed=4),
            look=Look(expression=RELAXED, yaw=-4, gaze=(3, 0)),
        ),
        "ruth": Sitter(
            caption="An older woman with white hair in a bob",
            person=Person(
                **face(134),
                skin=complexion(
                    0.07, redness=0.9, blotches=0.9, wrinkles=0.75, pores=0.9, eye_shade=0.55, moles=3, lip_strength=0.6
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
                clothes=Clothes(neckline="turtle", color=(0.018, 0.065, 0.075), shoulders=18.5),
            ),
            light=WINDOW,
            backdrop=Backdrop(center=(0.30, 0.27, 0.23), edge=(0.09, 0.08, 0.065), seed=5),
            look=Look(expression=WARM, yaw=4, gaze=(-3, 0)),
        ),
        "henry": Sitter(
            caption="A bald older man with a white beard",
            person=Person(
                **face(127),
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
                ),
                hair=Hair(style="bald", color=HAIR_COLORS["white"]),
                beard=Beard(kind="full", length=1.0, curl=0.25),
                brows=Brows(color=(0.20, 0.19, 0.18), density=1.0, thickness=1.25),
                eyes=Eyes(iris=IRIS_COLORS["blue"], lashes=0.3, veins=0.5),
                clothes=Clothes(neckline="crew", color=(0.035, 0.038, 0.030), shoulders=21.0, knit=1.0),
            ),
            light=STUDIO,
            backdrop=Backdrop(center=(0.17, 0.14, 0.115), edge=(0.035, 0.028, 0.024), seed=6),
            look=Look(expression=WARM, yaw=-6, gaze=(4, 0)),
        ),
        "amara": Sitter(
            caption="A woman with dark skin and an afro",
            person=Person(
                **face(102),
                skin=complexion(
                    0.72, redness=0.45, pores=0.55, eye_shade=0.2, gloss=1.1, lipstick=(0.15, 0.026, 0.028)
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
                clothes=Clothes(neckline="crew", color=(0.36, 0.30, 0.22), shoulders=18.0),
            ),
            light=GOLDEN,
            backdrop=Backdrop(center=(0.30, 0.13, 0.075), edge=(0.08, 0.03, 0.02), seed=7),
            look=Look(expression={**WARM, "eyeBlink": 0.10, "mouthSmile": 0.34}, yaw=3, gaze=(-2, 0)),
            camera=Camera(view=43, y=-1.4),
            exposure=1.1,
        ),
        "ines": Sitter(
            caption="A young woman with wavy copper hair",
            person=Person(
                **face(111),
                skin=complexion(0.05, redness=0.9, freckles=0.7, pores=0.4, eye_shade=0.2, lip_strength=0.9),
                hair=Hair(
                    style="curly",
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
                clothes=Clothes(neckline="vneck", color=(0.018, 0.040, 0.034), shoulders=18.0),
            ),
            light=GOLDEN,
            backdrop=Backdrop(center=(0.16, 0.13, 0.075), edge=(0.025, 0.022, 0.016), mottle=0.5, seed=8),
            look=Look(expression=RELAXED, yaw=-6, gaze=(4, 0)),
            camera=Camera(view=38, y=-1.8),
        ),
        "clara": Sitter(
            caption="A woman with wavy chestnut hair, painted in oil",
            person=Person(
                **face(214),
                skin=complexion(0.14, redness=0.9, pores=0.4, eye_shade=0.2, lipstick=(0.40, 0.10, 0.09)),
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
                clothes=Clothes(neckline="vneck", color=(0.11, 0.014, 0.016), shoulders=18.0),
            ),
            light=GOLDEN,
            backdrop=Backdrop(center=(0.12, 0.095, 0.055), edge=(0.018, 0.015, 0.011), mottle=0.5, seed=11),
            look=Look(expression=RELAXED, yaw=6, gaze=(-4, 0)),
            camera=Camera(view=38, y=-1.8),
            style=Style(amount=0.3, finish="oil"),
        ),
        "ravi": Sitter(
            caption="A middle-aged man with greying hair swept back",
            person=Person(
                **face(144),
                skin=complexion(
                    0.52, redness=0.6, blotches=0.7, pores=0.9, wrinkles=0.35, stubble=1.0, eye_shade=0.55, gloss=0.9
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
                clothes=Clothes(neckline="crew", color=(0.085, 0.030, 0.022), knit=0.8),
            ),
            light=WINDOW,
            backdrop=Backdrop(center=(0.17, 0.20, 0.16), edge=(0.04, 0.05, 0.04), seed=9),
            look=Look(expression={**WARM, "mouthSmile": 0.38}, yaw=-4, gaze=(3, 0)),
        ),
        "nora": Sitter(
            caption="A young woman with a blond bob, drawn as a cartoon",
            person=Person(
                **face(201),
                skin=complexion(
                    0.12,
                    redness=1.0,
                    pores=0.0,
                    blotches=0.2,
                    eye_shade=0.1,
                    freckles=0.3,
                    moles=0,
                    lipstick=(0.45, 0.13, 0.12),
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
                clothes=Clothes(neckline="turtle", color=(0.30, 0.10, 0.02), shoulders=17.5, knit=0.0),
            ),
            light=SOFT_FRONT,
            backdrop=Backdrop(center=(0.16, 0.34, 0.36), edge=(0.06, 0.17, 0.20), mottle=0.05, seed=10),
            look=Look(expression=WARM, yaw=5, gaze=(-3, 0)),
            style=Style(amount=0.8, finish="ink"),
            camera=Camera(view=37, y=-2.4),
        ),
    }
