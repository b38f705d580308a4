"""The cast we ship: each sitter is a face (an identity seed), a styling, a light, a backdrop and a finish.

Faces were chosen from contact sheets of random identities; everything else was set by eye. Nobody here exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from vasa_core.world.darkroom import Backdrop
from vasa_core.world.facekit import Number
from vasa_core.world.people import (HAIR_COLORS, IRIS_COLORS, STUDIO, WINDOW, Beard, Brows, Camera, Clothes, Eyes, Hair, Light, Look,
                                    Panel, Person, Skin, random_person, skin_color, tinted)

RELAXED = {"mouthSmile": .16, "cheekSquint": .08}
WARM = {"mouthSmile": .26, "cheekSquint": .14, "mouthDimple": .10}
SOFT_FRONT = Light(
    key=Panel(azimuth=-22, elevation=28, size=26, color=(1.85, 1.78, 1.72)), fill=Panel(azimuth=40, elevation=10, size=34, color=(.52, .52, .54)),
    rim=Panel(azimuth=150, elevation=28, size=14, color=(1.5, 1.45, 1.4)), above=(.24, .24, .26), below=(.13, .12, .11))
GOLDEN = Light(
    key=Panel(azimuth=-40, elevation=22, size=24, color=(1.95, 1.62, 1.28)), fill=Panel(azimuth=42, elevation=10, size=34, color=(.46, .52, .62)),
    rim=Panel(azimuth=148, elevation=30, size=12, color=(1.3, 1.0, .7)), above=(.23, .25, .28), below=(.14, .11, .09))


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """One portrait to be made."""

    caption: str
    person: Person
    light: Light
    backdrop: Backdrop
    look: Look
    camera: Camera = Camera()
    exposure: Number = 1.
    finish: str = "photograph"  # or painting, cartoon


def face(seed: int) -> dict:
    """The identity of a random person, and the seed of this one's strands and noise."""
    return dict(seed=seed, identity=random_person(seed).identity)


def complexion(darkness: Number, **settings) -> Skin:
    return Skin(darkness=darkness, color=skin_color(darkness), **settings)


def cast() -> dict[str, Sitter]:
    """Every sitter by file name."""
    return {
        "elena": Sitter(
            caption="A young woman with long dark brown hair in window light",
            person=Person(
                **face(130), skin=complexion(.30, redness=.75, pores=.55, eye_shade=.25, gloss=.8, moles=2, lip_strength=.9),
                hair=Hair(style="long", color=HAIR_COLORS["dark brown"], length=36, thickness=1.3, parting=1.5, wave=.35, wave_per_cm=.08, clump=.45),
                brows=Brows(color=(.03, .018, .012), density=.9, thickness=.8, arch=.35),
                eyes=Eyes(iris=IRIS_COLORS["hazel"], lashes=1., veins=.1), clothes=Clothes(neckline="crew", color=(.12, .02, .025), shoulders=18.)),
            light=WINDOW, backdrop=Backdrop(center=(.26, .24, .21), edge=(.055, .050, .045), seed=1), look=Look(expression=RELAXED, yaw=-5, gaze=(4, 0))),
        "kofi": Sitter(
            caption="A man with dark skin, close-cropped hair and a short beard",
            person=Person(
                **face(120), skin=complexion(.84, redness=.4, pores=.8, gloss=1.0, stubble=1., eye_shade=.25),
                hair=Hair(style="buzz", color=HAIR_COLORS["black"], length=.45, recede=.5), beard=Beard(kind="full", length=.46, curl=.4, density=1.7),
                brows=Brows(color=HAIR_COLORS["black"], density=1., thickness=1.1), eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=.5, veins=.3),
                clothes=Clothes(neckline="turtle", color=(.20, .082, .010), knit=1.)),
            light=GOLDEN, backdrop=Backdrop(center=(.11, .17, .19), edge=(.025, .04, .05), seed=2), look=Look(expression=WARM, yaw=4, gaze=(-3, 0)), exposure=1.2),
        "mei": Sitter(
            caption="A woman with a black bob and a fringe",
            person=Person(
                **face(139), skin=complexion(.16, redness=.55, pores=.5, eye_shade=.2, lipstick=(.42, .075, .07), moles=1),
                hair=Hair(style="bangs", color=HAIR_COLORS["black"], length=21, thickness=1.2, wave=.03, clump=.25, frizz=.02),
                brows=Brows(color=(.02, .014, .012), density=.8, thickness=.8, arch=.2), eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=.9, veins=.1),
                clothes=Clothes(neckline="turtle", color=(.050, .085, .062), shoulders=18., knit=.8)),
            light=SOFT_FRONT, backdrop=Backdrop(center=(.42, .33, .28), edge=(.14, .10, .085), seed=3), look=Look(expression=RELAXED, yaw=3, gaze=(-2, 0))),
        "jonas": Sitter(
            caption="A young man with brown hair and light stubble",
            person=Person(
                **face(128), skin=complexion(.08, redness=.8, pores=.8, stubble=.55, eye_shade=.3, freckles=.15),
                hair=Hair(style="sidepart", color=HAIR_COLORS["brown"], length=5, thickness=.7, hairline=-.8, parting=3.2, clump=.6, mess=.2, sweep=.2, wave=.25),
                brows=Brows(color=(.05, .03, .018), density=.9, thickness=1.1, arch=.0), eyes=Eyes(iris=IRIS_COLORS["blue"], lashes=.5, veins=.2),
                clothes=Clothes(neckline="crew", color=(.012, .018, .038), knit=.7)),
            light=STUDIO, backdrop=Backdrop(center=(.20, .25, .29), edge=(.045, .06, .075), seed=4), look=Look(expression=RELAXED, yaw=-4, gaze=(3, 0))),
        "ruth": Sitter(
            caption="An older woman with white hair in a bob",
            person=Person(
                **face(134), skin=complexion(.07, redness=.9, blotches=.9, wrinkles=.75, pores=.9, eye_shade=.55, moles=3, lip_strength=.6),
                hair=Hair(style="bob", color=HAIR_COLORS["white"], length=19, thickness=1.3, parting=-1.5, wave=.22, wave_per_cm=.09, clump=.4),
                brows=Brows(color=(.16, .13, .11), density=.7, thickness=.8, arch=.3), eyes=Eyes(iris=IRIS_COLORS["grey"], lashes=.5, veins=.4),
                clothes=Clothes(neckline="turtle", color=(.018, .065, .075), shoulders=18.5)),
            light=WINDOW, backdrop=Backdrop(center=(.30, .27, .23), edge=(.09, .08, .065), seed=5), look=Look(expression=WARM, yaw=4, gaze=(-3, 0))),
        "henry": Sitter(
            caption="A bald older man with a white beard",
            person=Person(
                **face(127), skin=complexion(.15, redness=1., blotches=.9, wrinkles=.9, pores=1., eye_shade=.5, stubble=.2, moles=3, gloss=.9),
                hair=Hair(style="bald", color=HAIR_COLORS["white"]), beard=Beard(kind="full", length=1.0, curl=.25),
                brows=Brows(color=(.20, .19, .18), density=1., thickness=1.25), eyes=Eyes(iris=IRIS_COLORS["blue"], lashes=.3, veins=.5),
                clothes=Clothes(neckline="crew", color=(.035, .038, .030), shoulders=21., knit=1.)),
            light=STUDIO, backdrop=Backdrop(center=(.17, .14, .115), edge=(.035, .028, .024), seed=6), look=Look(expression=WARM, yaw=-6, gaze=(4, 0))),
        "amara": Sitter(
            caption="A woman with dark skin and an afro",
            person=Person(
                **face(102), skin=complexion(.72, redness=.45, pores=.55, eye_shade=.2, gloss=1.1, lipstick=(.15, .026, .028)),
                hair=Hair(style="afro", color=HAIR_COLORS["black"], length=5., wave=.30, wave_per_cm=1.1, clump=.3, frizz=.3),
                brows=Brows(color=HAIR_COLORS["black"], density=.9, thickness=.8, arch=.4), eyes=Eyes(iris=IRIS_COLORS["dark"], lashes=1., veins=.15),
                clothes=Clothes(neckline="crew", color=(.36, .30, .22), shoulders=18.)),
            light=GOLDEN, backdrop=Backdrop(center=(.30, .13, .075), edge=(.08, .03, .02), seed=7), look=Look(expression=WARM, yaw=3, gaze=(-2, 0)),
            camera=Camera(view=43, y=-1.4), exposure=1.1),
        "ines": Sitter(
            caption="A young woman with wavy copper hair, painted in oil",
            person=Person(
                **face(111), skin=complexion(.05, redness=.9, freckles=.7, pores=.4, eye_shade=.2, lip_strength=.9),
                hair=Hair(style="curly", color=tinted(HAIR_COLORS["red"], .85), length=30, thickness=1.2, wave=.5, wave_per_cm=.16, clump=.6, parting=.3),
                brows=Brows(color=(.10, .04, .02), density=.8, thickness=.8, arch=.3), eyes=Eyes(iris=IRIS_COLORS["green"], lashes=.9, veins=.1),
                clothes=Clothes(neckline="vneck", color=(.018, .040, .034), shoulders=18.)),
            light=GOLDEN, backdrop=Backdrop(center=(.16, .13, .075), edge=(.025, .022, .016), mottle=.5, seed=8), look=Look(expression=RELAXED, yaw=-6, gaze=(4, 0)),
            finish="painting", camera=Camera(view=38, y=-1.8)),
    }
