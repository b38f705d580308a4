"""People whom nobody trained on, with their truth; `python -m vasa_core.evaluate.held_out` renders them.

Everything follows from one seed. Twelve sitters (ten photographed, two painted) at 512 px, each in five frames of fixed
roles, with parts, canonical maps and every number behind them; and a crowd of small pictures, each in a light of its
own, for measures that need many samples. The seed is shared with no other data of ours (901 is trained on, 902 and 1
are measured on elsewhere).
"""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from vasa_core import assets
from vasa_core.errors import DamagedData, MissingWeights

if TYPE_CHECKING:
    from numpy.random import Generator

    from vasa_core.world.people import Look
    from vasa_core.world.renderer import Renderer

SEED = 904
PHOTOGRAPHED, PAINTED = 10, 2
SIZE_PX, CROWD_PX = 512, 256
CROWD, CROWD_FRAMES = 60, 4
CROWD_COLUMNS = 16
PASSES = 3
"""Pictures averaged a frame, both of sitters and crowd."""

CALM, SPEAKING, STRONG, TURNED, BLINK = range(5)
ROLES = ("calm", "speaking", "strong", "turned", "blink")
"""Calm: as people sit for a portrait. Speaking: a moment of a performance, head and eyes included. Strong: calm, but
for an extreme expression and gaze. Turned: calm, but for the head. Blink: calm, but for the lids."""

TURN_DEG, NOD_DEG = 25.0, 6.0
CANONICAL_SHARE = 4
"""The canonical map is kept at this fraction of the picture's side."""

HEAD = "facekit"
"""The head that sitters and crowd are built on, as the training data is; on another they would be other people."""

STEP_CM = 0.01
"""Canonical places are kept in steps of this; a pixel of a sitter is 0.06 to 0.09 cm."""

FINE_STEP_CM = 0.002
"""Landmarks in the head are kept in steps of this."""

SUFFIX = ".npz.xz"

EXPRESSION_NAMES = "expression_names"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The numbers behind frames: of one sitter, or of a crowd. Units as in `world.truth`: cm and degrees."""

    landmarks_head: Float[np.ndarray, "frame 478 3"]
    pose: Float[np.ndarray, "frame 3"]
    gaze: Float[np.ndarray, "frame 2"]
    expression: Float[np.ndarray, "frame mode"]
    identity: Float[np.ndarray, "frame coefficient"]
    light: Float[np.ndarray, "frame parameter"]
    expression_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pose)


@dataclass(frozen=True, kw_only=True)
class Sitter:
    """One person in the five frames of ROLES."""

    name: str
    pictures: UInt8[np.ndarray, "frame 512 512 3"]
    part: UInt8[np.ndarray, "frame 512 512"]
    """Places in `world.renderer.PART_NAMES`; 0 is the background."""
    canonical: Float[np.ndarray, "frame 128 128 3"]
    """Where each fourth pixel (from the second) lies on the neutral average head, cm; 0 where nobody is."""
    landmarks: Float[np.ndarray, "frame 478 2"]
    """Pixels."""
    truth: Truth


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Small pictures of many people; frame k of the truth belongs to picture k, `person` says whose it is."""

    pictures: UInt8[np.ndarray, "frame 256 256 3"]
    person: Int[np.ndarray, " frame"]
    truth: Truth


# ---- reading ---------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Where the held-out people lie."""
    return assets.FOLDER / "held_out"


def load_sitters(where: Path | None = None) -> list[Sitter]:
    """All sitters, in order of name."""
    paths = sorted((where or folder()).glob(f"sitter_*{SUFFIX}"))
    if not paths:
        raise MissingWeights(f"{where or folder()} holds no held-out people; get the whole repository again.")
    return [_sitter(path) for path in paths]


def _sitter(path: Path) -> Sitter:
    strip, arrays = _picture(path), _arrays(path)
    steps = np.cumsum(arrays["canonical"].astype(np.int32), axis=-1)  # kept as differences along the rows
    return Sitter(
        name=path.name.removesuffix(SUFFIX),
        pictures=np.stack(np.split(strip, len(ROLES), axis=1)),
        part=np.stack([_decoded(arrays[f"part_{k}"], cv2.IMREAD_GRAYSCALE) for k in range(len(ROLES))]),
        canonical=np.moveaxis(steps * STEP_CM, 1, -1).astype(np.float32),
        landmarks=arrays["landmarks"],
        truth=_truth(arrays),
    )


def load_crowd(where: Path | None = None) -> Crowd:
    """The crowd."""
    path = (where or folder()) / f"crowd{SUFFIX}"
    arrays, sheet = _arrays(path), _picture(path)
    rows = [np.split(row, CROWD_COLUMNS, axis=1) for row in np.split(sheet, sheet.shape[0] // CROWD_PX, axis=0)]
    tiles = np.stack([tile for row in rows for tile in row])
    return Crowd(pictures=tiles[: len(arrays["pose"])], person=arrays["person"], truth=_truth(arrays))


def _truth(arrays: Arrays) -> Truth:
    names = tuple(str(name) for name in arrays[EXPRESSION_NAMES])
    same = ("pose", "gaze", "expression", "identity", "light")
    return Truth(
        landmarks_head=arrays["landmarks_head"].astype(np.float32) * np.float32(FINE_STEP_CM),
        **{name: arrays[name].astype(np.float32) for name in same},
        expression_names=names,
    )


def _arrays(path: Path) -> Arrays:
    try:
        with lzma.open(path) as packed, np.load(io.BytesIO(packed.read()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as cause:
        raise MissingWeights(f"{path} is missing; get the whole repository again.") from cause
    except (lzma.LZMAError, EOFError, ValueError) as cause:
        raise DamagedData(f"{path} is damaged; get the whole repository again.") from cause


def _picture(path: Path) -> np.ndarray:
    """The pictures beside a file of numbers."""
    beside = picture_path(path)
    if not beside.is_file():
        raise MissingWeights(f"{beside} is missing; get the whole repository again.")
    return np.ascontiguousarray(_decoded(np.fromfile(beside, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])


def picture_path(path: Path) -> Path:
    """Where the pictures to a file of numbers lie."""
    return path.with_name(path.name.replace(SUFFIX, ".webp"))


def _decoded(content: np.ndarray, how: int) -> np.ndarray:
    picture = cv2.imdecode(content, how)
    if picture is None:
        raise DamagedData("A picture of the held-out people cannot be read: get the whole repository again.")
    return picture


# ---- rendering: needs the training world -----------------------------------------------------------------------------


def looks(rng: Generator) -> list[Look]:
    """A sitter's looks in the order of ROLES."""
    from vasa_core.world.looks import calm_look, drawn_look, performed_looks, two_sided

    calm = calm_look(rng)
    spoken = max(performed_looks(12, rng), key=lambda look: look.expression.get("jawOpen", 0.0))
    acted = max((drawn_look(rng, 1.0) for _ in range(8)), key=lambda look: sum(look.expression.values()))
    open_eyed = {name: value for name, value in acted.expression.items() if not name.startswith("eyeBlink")}
    side = 1 if rng.random() < 0.5 else -1
    turned = replace(calm, yaw=calm.yaw + side * TURN_DEG, pitch=calm.pitch + rng.uniform(-NOD_DEG, NOD_DEG))
    return [
        calm,
        spoken,
        replace(calm, expression=open_eyed, gaze=acted.gaze),
        turned,
        replace(calm, expression=calm.expression | two_sided({"eyeBlink": 1.0})),
    ]


def render(where: Path) -> None:
    """Writes sitters and crowd into the folder; what is there already is kept, so a stopped run goes on."""
    from tqdm.auto import tqdm

    from vasa_core.world.frames import renderer_for
    from vasa_core.world.head import head_at_hand

    if head_at_hand() != HEAD:
        raise MissingWeights("The held-out people are built on FaceKit: set VASA_DATA to the folder that holds it.")
    where.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(PHOTOGRAPHED + PAINTED), desc="sitters", unit="person"):
        path = where / f"sitter_{number:02d}{SUFFIX}"
        if not path.exists():
            _write_sitter(path, _shoot_sitter(renderer_for(SIZE_PX), number))
    crowd = where / f"crowd{SUFFIX}"
    if not crowd.exists():
        shots = [
            shot
            for number in tqdm(range(CROWD), desc="crowd", unit="person")
            for shot in _shoot_in_lights(renderer_for(CROWD_PX), number)
        ]
        _write_crowd(crowd, shots)


def _scene(number: int, stream: int, person: Any, photographs: float) -> Any:
    """A random scene whose camera adds no noise: what is compared with truth pixel by pixel must be predictable."""
    from vasa_core.world.frames import number_of
    from vasa_core.world.scenes import random_scene

    scene = random_scene(number_of(SEED, number, stream), person, photographs)
    return replace(scene, capture=replace(scene.capture, noise=0.0, jpeg=100))


def _shoot_sitter(renderer: Renderer, number: int) -> list[dict[str, Any]]:
    from vasa_core.world.frames import LOOKS, PERSON, SCENE, number_of
    from vasa_core.world.people import random_person

    person = random_person(number_of(SEED, number, PERSON))
    scene = _scene(number, SCENE, person, 1.0 if number < PHOTOGRAPHED else 0.0)
    return _shoot(renderer, person, [(look, scene) for look in looks(np.random.default_rng([SEED, number, LOOKS]))])


def _shoot_in_lights(renderer: Renderer, number: int) -> list[dict[str, Any]]:
    """One of the crowd: every frame has its own look and its own scene, so no factor tells of another."""
    from vasa_core.world.frames import LOOKS, PERSON, number_of
    from vasa_core.world.looks import drawn_look
    from vasa_core.world.people import random_person

    number += 1000  # the sitters' numbers stay theirs
    rng = np.random.default_rng([SEED, number, LOOKS])
    person = random_person(number_of(SEED, number, PERSON))
    chosen = [
        (drawn_look(rng, rng.uniform(0.3, 0.9)), _scene(number, 10 + frame, person, 1.0))
        for frame in range(CROWD_FRAMES)
    ]
    return _shoot(renderer, person, chosen)


def _shoot(renderer: Renderer, person: Any, frames: list[tuple[Look, Any]]) -> list[dict[str, Any]]:
    from vasa_core.world.frames import light_parameters
    from vasa_core.world.looks import contact, settled
    from vasa_core.world.scenes import finish
    from vasa_core.world.style import stylised

    person = stylised(renderer.kit, person, frames[0][1].style)
    figure = renderer.dress(person)
    touch = contact(renderer.kit, renderer.binding, figure.rest)
    shots = []
    for index, (look, scene) in enumerate((settled(look, touch), scene) for look, scene in frames):
        shot = renderer.shoot(figure, look, scene.light, scene.camera, PASSES)
        truth = renderer.truth(figure, look, scene.camera)
        light = light_parameters(scene.light)
        names = renderer.kit.expression_names
        shots.append({"picture": finish(shot, scene, index), "truth": truth, "light": light} | {"names": names})
        shots[-1] |= {"identity": person.identity, "seed": person.seed}
    figure.release()
    return shots


def _numbers(shots: list[dict[str, Any]]) -> Arrays:
    truths = [shot["truth"] for shot in shots]
    kept = {name: np.stack([getattr(truth, name) for truth in truths]) for name in ("pose", "gaze", "expression")}
    kept |= {name: np.stack([shot[name] for shot in shots]) for name in ("identity", "light")}
    places = np.round(np.stack([truth.landmarks_head for truth in truths]) / FINE_STEP_CM)
    return {name: values.astype(np.float16) for name, values in kept.items()} | {
        "landmarks_head": places.astype(np.int16),
        EXPRESSION_NAMES: np.array(shots[0]["names"]),
    }


def _write_sitter(path: Path, shots: list[dict[str, Any]]) -> None:
    start = CANONICAL_SHARE // 2
    sparse = np.stack([shot["truth"].canonical[start::CANONICAL_SHARE, start::CANONICAL_SHARE] for shot in shots])
    steps = np.moveaxis(np.round(sparse / STEP_CM).astype(np.int32), -1, 1)  # [frame, axis, row, column]
    arrays = _numbers(shots) | {
        "canonical": np.diff(steps, axis=-1, prepend=0).astype(np.int16),
        "landmarks": np.stack([shot["truth"].landmarks for shot in shots]),
    }
    for k, shot in enumerate(shots):
        arrays[f"part_{k}"] = _encoded(".png", shot["truth"].part, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    _write(path, arrays, np.concatenate([shot["picture"] for shot in shots], axis=1), 92)


def _write_crowd(path: Path, shots: list[dict[str, Any]]) -> None:
    tiles = [shot["picture"] for shot in shots]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % CROWD_COLUMNS)
    rows: Iterator[np.ndarray] = (
        np.concatenate(tiles[k : k + CROWD_COLUMNS], 1) for k in range(0, len(tiles), CROWD_COLUMNS)
    )
    person = np.unique([shot["seed"] for shot in shots], return_inverse=True)[1]
    _write(path, _numbers(shots) | {"person": person.astype(np.int32)}, np.concatenate(list(rows), 0), 80)


def _write(path: Path, arrays: Arrays, picture: np.ndarray, quality: int) -> None:
    """Pictures first: where the numbers are, all is there."""
    _encoded(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality]).tofile(picture_path(path))
    plain = io.BytesIO()
    np.savez(plain, **arrays)  # type: ignore[arg-type]
    path.write_bytes(lzma.compress(plain.getvalue()))


def _encoded(kind: str, picture: np.ndarray, how: list[int]) -> np.ndarray:
    done, content = cv2.imencode(kind, np.ascontiguousarray(picture), how)
    if not done:
        raise DamagedData("A picture of the held-out people could not be packed: render them anew.")
    return content.ravel()


if __name__ == "__main__":
    render(folder())
