"""Contact sheets to be looked at: random people, one person's expressions, eyes and mouths enlarged, the style dial.

Nobody is selected: a sheet shows the people of consecutive seeds, each in the scene of the same seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy import ndarray as Array
from tqdm import tqdm

from vasa_core.world.cast import Sitter, scene_of
from vasa_core.world.facekit import Number
from vasa_core.world.people import Camera, Look, Person, random_person
from vasa_core.world.renderer import Renderer
from vasa_core.world.scenes import Capture, Scene, finish, random_scene
from vasa_core.world.style import Style, stylised

REST = {"eyeBlink": 0.10, "eyeSquint": 0.05, "mouthSmile": 0.10}
SMILE = {"mouthSmile": 0.6, "cheekSquint": 0.5, "eyeSquint": 0.3, "mouthDimple": 0.2}
OPEN = {"jawOpen": 0.35}
EXPRESSIONS: tuple[tuple[dict[str, Number], Number, Number, tuple[Number, Number]], ...] = (  # modes, yaw, pitch, gaze
    (REST, 0, 0, (0, 0)),
    (SMILE, 0, 0, (0, 0)),
    ({**SMILE, **OPEN, "mouthUpperUp": 0.4}, -10, -4, (0, 0)),
    ({"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.5, "jawOpen": 0.5}, 0, 0, (0, 0)),
    ({"browDown": 0.9, "noseSneer": 0.5, "mouthPress": 0.6, "eyeSquint": 0.4}, 0, 4, (0, 0)),
    ({"browInnerUp": 0.8, "mouthFrown": 0.7, "eyeBlink": 0.25}, 8, 8, (0, 10)),
    ({"noseSneer": 0.9, "mouthUpperUp": 0.6, "browDown": 0.4}, -6, 0, (0, 0)),
    ({"eyeBlink": 1.0}, 0, 0, (0, 0)),
    ({**REST, "eyeBlink_L": 1.0, "mouthSmile_L": 0.5, "cheekSquint_L": 0.6}, 0, 0, (0, 0)),
    ({"mouthPucker": 0.9}, 0, 0, (0, 0)),
    ({"mouthFunnel": 0.7, "jawOpen": 0.3}, 12, 0, (0, 0)),
    ({"jawOpen": 0.85, "mouthStretch": 0.2}, 0, -6, (0, 0)),
    (REST, 28, 0, (0, 0)),
    (REST, -28, 0, (0, 0)),
    (REST, 45, -5, (-20, 0)),
    (SMILE, -45, 5, (15, 0)),
    (REST, 0, 20, (0, -12)),
    (REST, 0, -18, (0, 10)),
    (REST, 0, 0, (22, 0)),
    (REST, 0, 0, (0, 18)),
    ({"cheekPuff": 0.7}, 0, 0, (0, 0)),
    ({"browOuterUp_L": 0.9, "browInnerUp_L": 0.5, "browDown_R": 0.5}, 6, 0, (0, 0)),
    ({"mouthLeft": 0.5, "mouthSmile_L": 0.4}, 0, 0, (-10, 0)),
    ({"mouthRollLower": 0.6, "mouthLowerDown": 0.1, "mouthUpperUp": 0.2}, -15, 6, (0, 0)),
)


def closed(renderer: Renderer, person: Person, look: Look) -> Look:
    """The look with lips that just touch, where the jaw is shut."""
    if look.expression.get("jawOpen", 0.0) > 0.06 or look.expression.get("mouthUpperUp", 0.0) > 0.15:
        return look
    shape = renderer.kit.shape(person.identity, look.expression)
    return replace(look, expression={**look.expression, **renderer.kit.closing(shape)})


def photographed(renderer: Renderer, person: Person, looks: list[Look], scene: Scene, passes: int) -> Iterator[Array]:
    """Pictures of one person in one scene."""
    person = stylised(renderer.kit, person, scene.style)
    figure = renderer.dress(person)
    for frame, look in enumerate(looks):
        shot = renderer.shoot(figure, closed(renderer, person, look), scene.light, scene.camera, passes)
        yield finish(shot, scene, frame)
    figure.release()


def portrait(renderer: Renderer, sitter: Sitter, passes: int) -> Array:
    """One finished portrait, uint8 [size, size, 3]."""
    scene = scene_of(sitter)
    (picture,) = photographed(renderer, sitter.person, [sitter.look], scene, passes)
    return picture


def random_look(rng: np.random.Generator) -> Look:
    """A natural look: mostly towards the camera, a little expression."""
    expression, _, _, _ = EXPRESSIONS[0] if rng.random() < 0.5 else EXPRESSIONS[rng.integers(1, 12)]
    gentle = {name: weight * rng.uniform(0.4, 1.0) for name, weight in expression.items()}
    yaw, pitch, roll = (float(limit * np.tanh(rng.normal() * 0.6)) for limit in (30, 12, 8))
    return Look(expression=gentle, yaw=yaw, pitch=pitch, roll=roll, gaze=(float(-0.6 * yaw), float(-0.6 * pitch)))


def people(renderer: Renderer, seed: int, count: int, passes: int, photographs: Number = 0.6) -> list[Array]:
    """The people of consecutive seeds in their scenes."""
    pictures: list[Array] = []
    for number in tqdm(range(seed, seed + count), desc="people"):
        person, look = random_person(number), random_look(np.random.default_rng([number, 7]))
        scene = random_scene(number, person, photographs)
        pictures += photographed(renderer, person, [look], scene, passes)
    return pictures


def large(renderer: Renderer, seed: int, count: int, passes: int) -> list[Array]:
    """The same as photographs only."""
    return people(renderer, seed, count, passes, photographs=1.0)


def expressions(renderer: Renderer, seed: int, count: int, passes: int) -> list[Array]:
    """One person in many expressions and poses."""
    person = random_person(seed)
    scene = random_scene(seed, person, photographs=1.0)
    looks = [Look(expression=e, yaw=yaw, pitch=pitch, gaze=gaze) for e, yaw, pitch, gaze in EXPRESSIONS[:count]]
    return list(tqdm(photographed(renderer, person, looks, scene, passes), desc="expressions", total=len(looks)))


def details(renderer: Renderer, seed: int, count: int, passes: int) -> list[Array]:
    """Of each person an open mouth, a smile and an eye, enlarged."""
    wide = (
        (Look(expression={"jawOpen": 0.75}), Camera(view=11, y=-4.2, lens=0.1)),
        (Look(expression={**SMILE, "jawOpen": 0.25, "mouthUpperUp": 0.5}), Camera(view=11, y=-3.0, lens=0.1)),
        (Look(expression=REST, gaze=(-6, 0)), Camera(view=9, x=3.0, y=3.6, lens=0.1)),
    )
    pictures: list[Array] = []
    for number in tqdm(range(seed, seed + -(-count // len(wide))), desc="details"):
        person = random_person(number)
        scene = random_scene(number, person, photographs=1.0)
        for look, camera in wide:
            near = replace(scene, camera=camera, capture=replace(scene.capture, noise=0.0, soft=0.0, jpeg=100))
            pictures += photographed(renderer, person, [look], near, passes)
    return pictures[:count]


def dial(renderer: Renderer, seed: int, count: int, passes: int) -> list[Array]:
    """Of each person eight stops from photograph to cartoon."""
    pictures: list[Array] = []
    for number in tqdm(range(seed, seed + -(-count // 8)), desc="dial"):
        person = random_person(number)
        scene = replace(random_scene(number, person, photographs=1.0), capture=Capture())
        for amount in (0.0, 0.2, 0.35, 0.5, 0.62, 0.75, 0.88, 1.0):
            styled = replace(scene, style=Style(amount=amount))
            pictures += photographed(renderer, person, [Look(expression=REST)], styled, passes)
    return pictures[:count]


# What a sheet shows: the function, how many pictures, how many in a row, their size, passes.
KINDS: dict[str, tuple[Callable[..., list[Array]], int, int, int, int]] = {
    "people": (people, 64, 8, 256, 4),
    "large": (large, 12, 4, 512, 10),
    "expressions": (expressions, 24, 6, 256, 6),
    "details": (details, 12, 6, 384, 10),
    "dial": (dial, 32, 8, 256, 4),
}


def laid_out(pictures: list[Array], columns: int) -> Array:
    """One picture of many, row by row; what is missing in the last row is black."""
    pictures = pictures + [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    return np.concatenate([np.concatenate(pictures[i : i + columns], 1) for i in range(0, len(pictures), columns)])
