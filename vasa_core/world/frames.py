"""Groups of frames with their ground truth: one person, one light, one camera, one backdrop, many looks.

A person may sit for several groups, each in another scene: so one learns what stays when light and camera change.

Everything follows from a seed and the number of the group, on any machine and in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vasa_core.mouth import FORWARD_CM, HIDE_CM, SHOW_CM
from vasa_core.world.batch import Tick, source_hash
from vasa_core.world.detail import detail_for, texture_for
from vasa_core.world.facekit import Number
from vasa_core.world.head import head_at_hand, load_head
from vasa_core.world.looks import contact, random_looks, settled
from vasa_core.world.people import Camera, Light, Look, Person, random_person
from vasa_core.world.renderer import PART_NAMES, Renderer
from vasa_core.world.scenes import Scene, finish, random_scene
from vasa_core.world.shards import FRAME_NUMBERS, Files, Group, group_files
from vasa_core.world.style import stylised

PANELS, COLOR = ("key", "fill", "rim"), ("red", "green", "blue")
LIGHT_PARAMETERS = (
    *(f"{panel} {what}" for panel in PANELS for what in ("azimuth", "elevation", "size", *COLOR)),
    *(f"{half} {color}" for half in ("above", "below") for color in COLOR),
)
CAMERA_PARAMETERS = ("distance", "view", "x", "y", "lens")
PERSON, SCENE, LOOKS = range(3)  # streams of chance


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a data set is made of; equal recipes give equal data."""

    seed: int = 0
    frames: int = 8  # a group
    scenes: int = 1  # groups in a row that show one person
    size: int = 256  # pixels along a side
    passes: int = 1  # averaged a picture
    photographs: Number = 0.6  # the share of groups that is neither painted nor drawn

    def settings(self) -> dict[str, Any]:
        """The recipe as JSON, with what else decides the bytes."""
        return asdict(self)


def light_parameters(light: Light) -> Float[Array, " parameter"]:
    """The numbers of a light in the order of LIGHT_PARAMETERS: degrees, and linear RGB."""
    panels = [(p.azimuth, p.elevation, p.size, *p.color) for p in (light.key, light.fill, light.rim)]
    return np.array([v for p in panels for v in p] + [*light.above, *light.below], np.float32)


def camera_parameters(camera: Camera) -> Float[Array, " parameter"]:
    """Distance, view, x, y and lens radius in cm."""
    return np.array([getattr(camera, name) for name in CAMERA_PARAMETERS], np.float32)


def number_of(seed: int, group: int, stream: int) -> int:
    """A seed of its own for each stream of chance of each group."""
    return int(np.random.SeedSequence([seed, group, stream]).generate_state(1)[0])


def who(recipe: Recipe, group: int) -> tuple[Person, Scene]:
    """The person and the scene of a group."""
    person = random_person(number_of(recipe.seed, group // recipe.scenes, PERSON))
    return person, random_scene(number_of(recipe.seed, group, SCENE), person, recipe.photographs)


def nothing(count: int) -> None:
    """Nobody is told of progress."""


def shoot_group(renderer: Renderer, recipe: Recipe, group: int, tick: Tick = nothing) -> Group:
    """All frames of a group with their truth."""
    person, scene = who(recipe, group)
    looks = random_looks(recipe.frames, np.random.default_rng([recipe.seed, group, LOOKS]))
    return shoot_looks(renderer, f"{group:07d}", person, scene, looks, recipe.passes, tick)


def shoot_looks(
    renderer: Renderer, key: str, person: Person, scene: Scene, looks: list[Look], passes: int, tick: Tick = nothing
) -> Group:
    """A person in a scene, in several looks."""
    person = stylised(renderer.kit, person, scene.style)
    figure = renderer.dress(person)
    touch = contact(renderer.kit, renderer.binding, figure.rest)
    frames = []
    for index, look in enumerate(settled(look, touch) for look in looks):
        shot = renderer.shoot(figure, look, scene.light, scene.camera, passes)
        truth = renderer.truth(figure, look, scene.camera)
        alpha = (np.clip(shot.other[..., 3], 0, 1) * 255 + 0.5).astype(np.uint8)
        frames.append({"picture": finish(shot, scene, index), "alpha": alpha, "truth": truth})
        tick(1)
    figure.release()
    return gathered(key, frames, person, scene)


def gathered(key: str, frames: list[dict[str, Any]], person: Person, scene: Scene) -> Group:
    """Frames as one group of arrays."""
    truths = [frame["truth"] for frame in frames]
    names = ("part", "canonical", "depth", "normals", *FRAME_NUMBERS)
    drawn = {"person": plain(asdict(person), leave="identity"), "scene": plain(asdict(scene))}
    return Group(
        key=key,
        picture=np.stack([frame["picture"] for frame in frames]),
        alpha=np.stack([frame["alpha"] for frame in frames]),
        **{name: np.stack([getattr(truth, name) for truth in truths]) for name in names},
        identity=person.identity,
        light=light_parameters(scene.light),
        camera=camera_parameters(scene.camera),
        drawn=drawn,
    )


def plain(value: Any, leave: str = "") -> Any:
    """The value as JSON knows it, without the fields called `leave`."""
    if isinstance(value, dict):
        return {str(k): plain(v, leave) for k, v in value.items() if k != leave}
    if isinstance(value, list | tuple):
        return [plain(v, leave) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


@lru_cache(maxsize=1)
def renderer_for(size: int, head: str = "") -> Renderer:
    """This process's renderer of that size, on a head of head.HEADS."""
    return Renderer(size, load_head(head), texture=texture_for(size), detail=detail_for(size))


@dataclass(frozen=True, kw_only=True)
class RenderWork:
    """A data set of groups as work for `batch.run`."""

    folder: Path
    recipe: Recipe
    people: int
    per_shard: int = 8  # groups
    head: str = field(default_factory=head_at_hand)
    code: str = field(default_factory=source_hash)
    unit: str = "frame"

    def settings(self) -> dict[str, Any]:
        """The recipe, and what else decides the bytes."""
        own = {"per_shard": self.per_shard, "head": self.head, "code": self.code}
        return self.recipe.settings() | own | {"teeth_cm": [SHOW_CM, HIDE_CM, FORWARD_CM]}

    def about(self) -> dict[str, Any]:
        """Names and versions for the manifest."""
        return about(renderer_for(self.recipe.size, self.head))

    def count(self) -> int:
        """Shards in all."""
        return -(-self.people * self.recipe.scenes // self.per_shard)

    def groups(self, shard: int) -> range:
        """Numbers of the groups in a shard."""
        last = self.people * self.recipe.scenes
        return range(shard * self.per_shard, min((shard + 1) * self.per_shard, last))

    def amount(self, shard: int) -> int:
        """Frames in a shard."""
        return len(self.groups(shard)) * self.recipe.frames

    def make(self, shard: int, tick: Tick) -> Iterator[Files]:
        """The groups of a shard as files."""
        renderer = renderer_for(self.recipe.size, self.head)
        return (group_files(shoot_group(renderer, self.recipe, group, tick)) for group in self.groups(shard))


def about(renderer: Renderer) -> dict[str, Any]:
    """What the manifest says beside the settings: names of parts and numbers, and the versions that made the data."""
    packages = {name: _version(name) for name in ("vasa_core", "numpy", "scipy", "opencv-contrib-python", "moderngl")}
    return {
        "parts": list(PART_NAMES),
        "expression": list(renderer.kit.expression_names),
        "light_parameters": list(LIGHT_PARAMETERS),
        "camera_parameters": list(CAMERA_PARAMETERS),
        "versions": packages | {"graphics": renderer.gl.info["GL_RENDERER"], "opengl": renderer.gl.info["GL_VERSION"]},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
