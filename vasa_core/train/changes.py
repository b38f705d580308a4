"""Learns changes of a part of the face: `python -m vasa_core.train.changes PART --train DIR [...] --held DIR [...]`.

PART is upper or lower. Truth comes from rendered people (`python -m vasa_core.world render`; some at 512 px, for eyes
are small). MediaPipe looks at every picture, the part is cut out, and pairs of frames of one person in one scene teach
what changed from the one to the other, in either order. What both show is spoiled alike, as film, paint and drawing do,
and each by itself, as cameras do: a rendered frame is softer than its portrait. Where lids hide an eye its gaze teaches
nothing.

Both parts resume where they stopped, and more shards may have come in the meantime.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.changes import (
    DIRECTIONS,
    Changes,
    Network,
    Part,
    load_changes,
    shapes,
    together,
    windows,
    windows_from_picture,
)
from vasa_core.encoders import aligned_features
from vasa_core.landmarks import CROP_PX, crop_transform, cut, widen_lids
from vasa_core.lower_face import CORNERS, LOWER_FACE, lower_face_of
from vasa_core.pixel_codes import planes
from vasa_core.surface import IRIS_CENTRES, LANDMARKS, LOWER_LIDS, UPPER_LIDS, Surface, load_surface
from vasa_core.train.face import random_look
from vasa_core.train.pixel_codes import THROUGH_LIDS, average, eyes_through_lids
from vasa_core.upper_face import INNER_BROWS, OUTER_BROWS, UPPER_FACE
from vasa_core.world.shards import Group, read_shard

MARGIN_PX = 7
"""Windows are kept this much larger on each side than the network sees them, so that they can tremble."""

SCENES, FRAMES = 28, 3
"""Scenes in a batch, and frames of each at most: any two of them are a pair."""

RATE, DECAY = 1.5e-3, 5e-2
AVERAGED = 0.997
"""Each step the weights that are kept move this little: what is kept is a mean over the last steps."""

LONGEST_STEP = 20.0
"""Gradients are shortened to this."""

JITTER = 0.05
"""Noise on the landmarks' main directions, in their own spreads."""

SHARP = 0.35
"""Share of a batch that comes from the folders named as sharp."""

ALONE, DOUBT = 0.35, 0.05
"""How much it counts what each side shows by itself, against what changed; and how well doubt is told."""

SHUT_CM, OPEN_CM = 0.12, 0.45
"""An eye opened less than the first does not tell where it looks, more than the second wholly."""

EVERY = 250
"""Steps after which held-out people are looked at, and all is kept."""

Seen = tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "478 2"]]


# ---- what is learned -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A part of the face, the truth of it, and what of that can be seen."""

    part: Part
    truth_of: Callable[[Group, int, Float[np.ndarray, "478 2"], Surface], Float[np.ndarray, "side=2 shown"]]
    """Of a frame of a group, whose windows these landmarks in the crop have put in their places."""
    seen: Callable[[Float[Tensor, "*look shown"]], Float[Tensor, "*look shown"]]
    """How far each number shows, told by the truth: 0 to 1."""
    counts: tuple[float, ...]
    """How much the change of each number counts."""


def true_upper_face(
    group: Group, frame: int, landmarks: Float[np.ndarray, "478 2"], surface: Surface
) -> Float[np.ndarray, "side=2 shown"]:
    """What each eye truly shows, the left one as in a mirror."""
    head = group.landmarks_head[frame][:LANDMARKS]
    irises = _seen_in_windows(group, frame, landmarks, UPPER_FACE, surface, IRIS_CENTRES)
    shown = []
    for eye, iris in enumerate(irises):
        yaw, pitch = np.deg2rad(group.gaze[frame])
        up = [head[list(ids), 1] for ids in (UPPER_LIDS[eye][2:5], LOWER_LIDS[eye][2:5])]
        brows = [head[list(ids[eye]), 1].mean() for ids in (INNER_BROWS, OUTER_BROWS)]
        shown.append([yaw * (1, -1)[eye], pitch, up[0].mean() - up[1].mean(), *brows, *iris])
    return np.array(shown, np.float32)


def true_lower_face(
    group: Group, frame: int, landmarks: Float[np.ndarray, "478 2"], surface: Surface
) -> Float[np.ndarray, "side=2 shown"]:
    """What the mouth truly shows, seen from either side."""
    told = lower_face_of(group.landmarks_head[frame][:LANDMARKS])
    corners = _seen_in_windows(group, frame, landmarks, LOWER_FACE, surface, CORNERS)
    common = len(LOWER_FACE.common)
    return np.array([[*told[:common], *told[common + side :: 2], *corners[side]] for side in (0, 1)], np.float32)


def _seen_in_windows(
    group: Group,
    frame: int,
    landmarks: Float[np.ndarray, "478 2"],
    part: Part,
    surface: Surface,
    of_sides: tuple[int, int],
) -> list[Float[np.ndarray, " 2"]]:
    """Where a true landmark of each side lies in its window: cm from the anchors' middle, to the right and up."""
    picture = group.picture[frame]
    crop_from_picture = crop_transform(group.landmarks[frame], picture.shape[1], picture.shape[0])
    true_px = group.landmarks[frame] @ crop_from_picture[:, :2].T + crop_from_picture[:, 2]
    raised = part.raised_cm * part.px_per_cm
    middle = np.array([part.wide_px / 2 - 0.5, part.high_px / 2 - 0.5 + raised])
    maps = windows_from_picture(landmarks, part, surface)
    places = [m[:, :2] @ true_px[point] + m[:, 2] for m, point in zip(maps, of_sides, strict=True)]
    return [(place - middle) / (part.px_per_cm, -part.px_per_cm) for place in places]


def openness(truth: Float[Tensor, "*look shown"]) -> Float[Tensor, "*look"]:
    """How far an eye is open enough to tell where it looks: 0 to 1."""
    return ((truth[..., 2] - SHUT_CM) / (OPEN_CM - SHUT_CM)).clamp(0, 1)


def gaze_between_lids(truth: Float[Tensor, "*look shown"]) -> Float[Tensor, "*look shown"]:
    """Lids and brows always show, gaze and irises as far as an eye is open."""
    seen = torch.ones_like(truth)
    hidden = [k for k, name in enumerate(UPPER_FACE.shown) if name.startswith(("gaze", "iris"))]
    seen[..., hidden] = openness(truth)[..., None]
    return seen


LESSONS = {
    "upper": Lesson(
        part=UPPER_FACE, truth_of=true_upper_face, seen=gaze_between_lids, counts=(2.0, 2.0, 1.0, 1.0, 1.0)
    ),
    "lower": Lesson(
        part=LOWER_FACE, truth_of=true_lower_face, seen=torch.ones_like, counts=(1.0, 1.0, 1.0, 0.5, 1.5, 1.5)
    ),
}


# ---- looking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Looks:
    """Both sides of many pictures, the shapes of the landmarks, and the truth of each side."""

    windows: UInt8[np.ndarray, "look side=2 kept_high kept_wide 3"]
    shapes: Float[np.ndarray, "look side=2 shape"]
    truth: Float[np.ndarray, "look side=2 shown"]
    """In the order of Part.shown."""
    scene: Int[np.ndarray, " look"]
    """One person in one light before one camera."""
    sharp: np.ndarray

    def __getitem__(self, rows: Any) -> Looks:
        columns = (self.windows, self.shapes, self.truth, self.scene, self.sharp)
        return Looks(*(column[rows] for column in columns))


class Watcher:
    """MediaPipe's landmarks in the crop around a face that is roughly known."""

    def __init__(self) -> None:
        import mediapipe as mp

        self.mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1)

    def __call__(self, group: Group, frame: int) -> Seen | None:
        """The crop and the landmarks in it; None where MediaPipe sees no face."""
        crop = cropped(group, frame)
        found = self.mesh.process(crop).multi_face_landmarks
        if not found:
            return None
        points = np.array([(p.x * CROP_PX, p.y * CROP_PX) for p in found[0].landmark], np.float32)
        return crop, widen_lids(crop, points)


def cropped(group: Group, frame: int) -> UInt8[np.ndarray, "512 512 3"]:
    """The portrait's crop of a frame."""
    picture = group.picture[frame]
    return cut(picture, crop_transform(group.landmarks[frame], picture.shape[1], picture.shape[0]))


def rows(
    group: Group, lesson: Lesson, surface: Surface, look: Callable[[Group, int], Seen | None]
) -> Iterator[dict[str, np.ndarray]]:
    """All that is kept of the frames of a group."""
    for k in range(len(group)):
        if eyes_through_lids(group.part[k], group.landmarks[k]) > THROUGH_LIDS:
            continue
        seen = look(group, k)
        if seen is not None:
            crop, landmarks = seen
            yield {
                "windows": windows(crop, landmarks, lesson.part, surface, MARGIN_PX),
                "landmarks": landmarks,
                "truth": lesson.truth_of(group, k, landmarks, surface),
                "scene": np.array(int(group.key)),
            }


def look_at(
    folder: Path, cache: Path, lesson: Lesson, surface: Surface, look: Callable[[Group, int], Seen | None]
) -> None:
    """Keeps what is seen of each finished shard that was not looked at yet."""
    cache.mkdir(parents=True, exist_ok=True)
    todo = [tar for tar in sorted(folder.glob("shard-*.tar")) if tar.with_suffix(".json").exists()]
    todo = [tar for tar in todo if not (cache / f"{tar.stem}.npz").exists()]
    for tar in tqdm(todo, unit="shard", desc=str(folder)):
        kept = [row for group in read_shard(tar) for row in rows(group, lesson, surface, look)]
        half = cache / f"{tar.stem}.part.npz"
        np.savez(half, **{name: np.array([row[name] for row in kept]) for name in kept[0]})
        half.replace(cache / f"{tar.stem}.npz")


def gathered(caches: Sequence[Path], part: Part, surface: Surface, sharp: Sequence[Path] = ()) -> Looks:
    """All that is kept in these folders."""
    parts = []
    for number, cache in enumerate(caches):
        for file in sorted(cache.glob("shard-??????.npz")):
            kept = dict(np.load(file))
            aligned = aligned_features(kept["landmarks"].astype(np.float64), surface)[0]
            scene = kept["scene"] + number * 10_000_000
            shape = shapes(aligned, part).astype(np.float32)
            parts.append((kept["windows"], shape, kept["truth"], scene, np.full(len(scene), cache in sharp)))
    return Looks(*(np.concatenate(column) for column in zip(*parts, strict=True)))


# ---- spoiling --------------------------------------------------------------------------------------------------------


def spoiled(
    frames: UInt8[np.ndarray, "frame side=2 kept_high kept_wide 3"], part: Part, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "frame side=2 high wide 3"], Float[np.ndarray, "frame side=2 2"]]:
    """Frames of one scene as another camera, hand or file might show them, trembling as landmarks do; and how far the
    windows' middles moved (cm, to the right and up)."""
    treated, shade = random_look(rng), _shade(part, rng) if rng.random() < 0.3 else 1.0
    blur = rng.uniform(0.3, 1.6) if rng.random() < 0.4 else 0.0
    grain = rng.uniform(2, 14) if rng.random() < 0.4 else 0.0
    shown, moved = [], []
    for sides in frames:
        common, size = rng.normal(size=2), 0.02 * rng.normal()
        softer = np.hypot(blur, rng.uniform(0, 1.5) if rng.random() < 0.35 else 0.0)
        pair = [_trembled(side, part, softer, common, size, rng) for side in sides]
        x = treated(np.hstack([side for side, _ in pair])) * shade
        if grain:
            x = x + grain * _grain(part, rng)
        picture = np.clip(x, 0, 255).astype(np.uint8)
        if rng.random() < 0.1:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))]
            picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
        shown.append(np.stack([picture[:, : part.wide_px], picture[:, part.wide_px :]]))
        moved.append([shift for _, shift in pair])
    return np.stack(shown), np.array(moved)


def _trembled(
    side: np.ndarray, part: Part, blur: float, common: np.ndarray, size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One window out of focus, turned, scaled and shifted a little, and its shift."""
    if blur > 0.3:
        side = cv2.GaussianBlur(side, (0, 0), blur)
    angle, scale = np.deg2rad(1.5) * rng.normal(), np.exp(size)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    old = np.array(side.shape[1::-1]) / 2 - 0.5
    shift_px = part.px_per_cm * (0.05 * common + 0.05 * rng.normal(size=2))
    new = np.array([part.wide_px, part.high_px]) / 2 - 0.5 + shift_px
    transform, whole = np.c_[turn, new - turn @ old], (part.wide_px, part.high_px)
    side = cv2.warpAffine(side, transform, whole, borderMode=cv2.BORDER_REFLECT_101)
    return side, shift_px / (part.px_per_cm, -part.px_per_cm)


def _grain(part: Part, rng: np.random.Generator) -> np.ndarray:
    """Noise of spread 1 in grey or in colours, finer or coarser than pixels."""
    grain = rng.standard_normal((part.high_px, 2 * part.wide_px, 3 if rng.random() < 0.5 else 1), np.float32)
    if rng.random() < 0.5:
        grain = 2 * cv2.GaussianBlur(grain, (0, 0), 0.7).reshape(grain.shape)
    return grain


def _shade(part: Part, rng: np.random.Generator) -> np.ndarray:
    """Light that falls off across the picture, gently or with an edge."""
    y, x = np.mgrid[-1 : 1 : part.high_px * 1j, -1 : 1 : 2j * part.wide_px].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.5, 0.5)
    return np.exp(rng.uniform(0.1, 0.6) * np.tanh(along * rng.choice([0.7, 1.5, 8.0])))[..., None].astype(np.float32)


# ---- learning --------------------------------------------------------------------------------------------------------


def started(looks: Looks, part: Part) -> Network:
    """A network that knows the main directions of the landmarks and how far each number goes."""
    network = Network(part)
    flat = looks.shapes.reshape(-1, part.shape).astype(np.float64)
    mean = flat.mean(0)
    values, vectors = np.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
    inlet = vectors[:, ::-1][:, :DIRECTIONS] / np.sqrt(np.maximum(values[::-1][:DIRECTIONS], 1e-6 * values.max()))
    truth = looks.truth.reshape(-1, len(part.shown))
    with torch.no_grad():
        for tensor, array in ((network.mean, mean), (network.inlet, inlet), (network.usual, truth.mean(0)),
                              (network.unit, truth.std(0))):  # fmt: skip
            tensor.copy_(torch.tensor(array))
    return network.to(memory_format=torch.channels_last)


def losses(
    network: Network,
    lesson: Lesson,
    shown: Float[Tensor, "look side=2 shown"],
    changed: Float[Tensor, "pair side=2 changed"],
    doubt: Float[Tensor, "pair doubt"],
    truth: Float[Tensor, "look side=2 shown"],
    pairs: Int[Tensor, "pair before_now=2"],
) -> dict[str, Tensor]:
    """The terms, for what each side shows, what changed and its doubt, the truth of the looks, and the pairs."""
    part = lesson.part
    wanted, seen = (truth - network.usual) / network.unit, lesson.seen(truth)
    before, now = (wanted[pairs[:, k]][..., : part.changed] for k in (0, 1))
    off = (together(changed, part) - together(now - before, part)) ** 2
    known = known_changes(seen, pairs, part)
    counts = torch.tensor([*lesson.counts[: len(part.common)], *np.repeat(lesson.counts[len(part.common) :], 2)])
    doubts = range(max(part.doubted) + 1)
    of_doubt = [[name == k for name in part.doubt_of_names] for k in doubts]
    errors = torch.stack([(off * known)[:, names].mean(1) for names in of_doubt], 1)
    sure = torch.stack([known[:, names].mean(1) for names in of_doubt], 1)
    return {
        "changed": (off * known * counts).mean(),
        "alone": ((shown - wanted) ** 2 * seen).mean(),
        "doubt": (sure * (errors.detach() / 0.05 * torch.exp(-2 * doubt) + 2 * doubt)).mean(),
    }


def known_changes(
    seen: Float[Tensor, "look side=2 shown"], pairs: Int[Tensor, "pair before_now=2"], part: Part
) -> Float[Tensor, "pair name"]:
    """How far each change shows in both pictures: 0 to 1."""
    both = (seen[pairs[:, 0]] * seen[pairs[:, 1]])[..., : part.changed]
    common = both[..., : len(part.common)].mean(1)
    return torch.cat([common, both[..., len(part.common) :].transpose(1, 2).flatten(1)], 1)


class Trainer:
    """The network, its averaged twin, the optimiser, and how far they are."""

    def __init__(
        self,
        lesson: Lesson,
        looks: Looks,
        surface: Surface,
        steps: int,
        seed: int,
        rate: float = RATE,
        start: Changes | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.lesson, self.looks, self.surface = lesson, looks, surface
        self.steps, self.seed, self.rate, self.step = steps, seed, rate, 0
        self.network, self.averaged = started(looks, lesson.part), started(looks, lesson.part)
        if start is not None:
            self.network.load_state_dict(start.network.state_dict())
        self.averaged.load_state_dict(self.network.state_dict())
        learning = list(self.network.parameters())
        wide, thin = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
        groups = [{"params": wide, "weight_decay": DECAY}, {"params": thin, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, rate)
        order = np.argsort(looks.scene, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(looks.scene[order]) != 0])
        scenes = [group for group in np.split(order, starts[1:]) if len(group) > 1]
        self.scenes = {sharp: [s for s in scenes if looks.sharp[s[0]] == sharp] for sharp in (False, True)}

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Spoiled windows, directions and truth of looks, and the pairs among them."""
        shown, moved, pairs = [], [], []
        chosen: list[int] = []
        for k in range(SCENES):
            kinds = [kind for kind, scenes in self.scenes.items() if scenes]
            sharp = (k < SHARP * SCENES) if len(kinds) == 2 else kinds[0]
            scene = self.scenes[sharp][rng.integers(len(self.scenes[sharp]))]
            frames = rng.permutation(scene)[:FRAMES]
            pairs += [(len(chosen) + a, len(chosen) + b) for a, b in combinations(range(len(frames)), 2)]
            chosen += list(frames)
            sides, shift = spoiled(self.looks.windows[frames], self.lesson.part, rng)
            shown.append(sides)
            moved.append(shift)
        truth = self.looks.truth[chosen].copy()
        truth[..., -len(self.lesson.part.helping) :] += np.concatenate(moved)
        shape = torch.from_numpy(self.looks.shapes[chosen])
        directions = self.network.directions(shape)
        noise = torch.from_numpy(rng.standard_normal(directions.shape, np.float32))
        pixels = planes(np.concatenate(shown).reshape(-1, *shown[0].shape[2:]))
        return pixels, directions + JITTER * noise, torch.from_numpy(truth), torch.tensor(pairs)

    def advance(self) -> dict[str, float]:
        """One step; its terms."""
        rng = np.random.default_rng([self.seed, self.step])
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        share = self.step / self.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * min(1, (self.step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        pixels, directions, truth, pairs = self.batch(rng)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            cells = self.network.trunk(pixels.contiguous(memory_format=torch.channels_last))
        features, shown = self.network.sides(cells.float(), directions.flatten(0, 1))
        features, shown = features.unflatten(0, (-1, 2)), shown.unflatten(0, (-1, 2))
        before, now = ((features[pairs[:, k]], shown[pairs[:, k]]) for k in (0, 1))
        changed, doubt = self.network.change(before, now)
        terms = losses(self.network, self.lesson, shown, changed, doubt, truth, pairs)
        loss = terms["changed"] + ALONE * terms["alone"] + DOUBT * terms["doubt"]
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_STEP)
        self.optimiser.step()
        self.step += 1
        average(self.averaged, self.network, self.step, AVERAGED)
        return {name: float(term.detach()) for name, term in terms.items()}

    def save(self, path: Path) -> None:
        """All that is needed to go on."""
        half = path.with_suffix(".part")
        state = {name: getattr(self, name).state_dict() for name in ("network", "averaged", "optimiser")}
        torch.save(state | {"step": self.step}, half)
        half.replace(path)

    def load(self, path: Path) -> None:
        """Goes on from there."""
        state = torch.load(path, weights_only=True)
        for name in ("network", "averaged", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.step = state["step"]

    def changes(self) -> Changes:
        """What was learned so far."""
        return Changes(self.averaged.eval(), self.surface)


# ---- judging ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """What was told of changes from the first frame of each scene to its others, and the truth."""

    told: Float[np.ndarray, "pair name"]
    doubt: Float[np.ndarray, "pair doubt"]
    """Logarithms."""
    truth: Float[np.ndarray, "pair name"]
    """What does not show is NaN."""


def judged(changes: Changes, lesson: Lesson, looks: Looks, at_once: int = 32) -> Judged:
    """The network asked about clean windows."""
    part, network = lesson.part, changes.network
    inner = looks.windows[:, :, MARGIN_PX : MARGIN_PX + part.high_px, MARGIN_PX : MARGIN_PX + part.wide_px]
    kept = [
        changes.kept(
            np.ascontiguousarray(inner[k : k + at_once]).reshape(-1, *inner.shape[2:]),
            looks.shapes[k : k + at_once].reshape(-1, part.shape),
        )
        for k in range(0, len(inner), at_once)
    ]
    features, shown = (
        torch.cat([getattr(one, name) for one in kept]).unflatten(0, (-1, 2)) for name in ("features", "shown")
    )
    _, first, number = np.unique(looks.scene, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[number] != np.arange(len(number)))
    before = first[number[again]]
    with torch.inference_mode():
        changed, doubt = network.change((features[before], shown[before]), (features[again], shown[again]))
        told = together(changed * network.unit[: part.changed], part)
    truth = torch.from_numpy(looks.truth)
    true = together((truth[again] - truth[before])[..., : part.changed], part).numpy()
    known = known_changes(lesson.seen(truth), torch.from_numpy(np.stack([before, again], 1)), part)
    true[known.numpy() < 0.5] = np.nan
    return Judged(told.numpy(), doubt.numpy(), true)


def figures(found: Judged, part: Part) -> dict[str, float]:
    """Correlations of what was told with the truth, and usual errors: of gaze in degrees, else in cm."""
    known = np.isfinite(found.truth)
    told = {
        name: float(np.corrcoef(found.told[known[:, k], k], found.truth[known[:, k], k])[0, 1])
        for k, name in enumerate(part.names)
    }
    off = np.nanmedian(np.abs(found.told - found.truth), 0)
    errors = {
        f"{name} error": float(np.rad2deg(value) if name.startswith("gaze") else value)
        for name, value in zip(part.names, off, strict=True)
    }
    return told | errors


def calibrate(changes: Changes, found: Judged) -> None:
    """Tells the network how it errs, as seen on people kept out of its training."""
    network, known = changes.network, np.isfinite(found.truth).all(1)
    usual = np.log(np.exp(2 * found.doubt[known]).mean(0)) / 2
    off = (found.told - found.truth)[known]
    off = off / np.exp(found.doubt[known] - usual)[:, list(changes.part.doubt_of_names)]
    with torch.no_grad():
        network.doubt.bias -= torch.tensor(usual, dtype=torch.float32)
        network.covariance.copy_(torch.tensor(off.T @ off / len(off)))


def keep(changes: Changes, path: Path) -> None:
    """The weights in half precision, the covariance whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = changes.network.state_dict().items()
    halves = {n: v.half() if v.dtype.is_floating_point and n != "covariance" else v for n, v in state}
    save_file({name: values.contiguous() for name, values in halves.items()}, path)


def learn(trainer: Trainer, held: Looks, out: Path, minutes: float) -> None:
    """Trains for so long at most, or to the end; keeps what is needed to go on, and a log."""
    out.mkdir(parents=True, exist_ok=True)
    begun, recent = time.monotonic(), []
    with tqdm(total=trainer.steps, initial=trainer.step, unit="step") as bar:
        while trainer.step < trainer.steps and time.monotonic() - begun < 60 * minutes:
            recent.append(trainer.advance())
            bar.update()
            if trainer.step % EVERY == 0:
                mean = {name: float(np.mean([terms[name] for terms in recent[-EVERY:]])) for name in recent[0]}
                bar.set_postfix({name: f"{value:.2f}" for name, value in mean.items()})
                line = (
                    {"step": trainer.step}
                    | mean
                    | figures(judged(trainer.changes(), trainer.lesson, held), trainer.lesson.part)
                )
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(line) + "\n")
                trainer.save(out / "state.pt")
    trainer.save(out / "state.pt")


def main() -> None:
    """Looks, learns, judges on held-out people and keeps what was learned."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.changes")
    options.add_argument("part", choices=LESSONS, help="which part of the face")
    options.add_argument("--train", type=Path, nargs="+", required=True, help="folders of shards to learn from")
    options.add_argument("--sharp", type=Path, nargs="*", default=[], help="those of them that show faces most sharply")
    options.add_argument("--held", type=Path, nargs="+", required=True, help="folders of shards to be judged by")
    options.add_argument("--cache", type=Path, help="where what was seen is kept; runs/PART_looks if not said")
    options.add_argument("--out", type=Path, help="where it can go on from; runs/PART_face if not said")
    options.add_argument("--weights", type=Path, help="where what was learned is kept; among the assets if not said")
    options.add_argument("--start", type=Path, help="weights to begin with")
    options.add_argument("--steps", type=int, default=4000)
    options.add_argument("--rate", type=float, default=RATE, help="of learning, at the beginning")
    options.add_argument("--minutes", type=float, default=1e9, help="stop after so long, to go on another time")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--look-only", action="store_true", help="look at the pictures and leave it at that")
    chosen = options.parse_args()
    lesson, name = LESSONS[chosen.part], f"{chosen.part}_face"
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    surface = load_surface(assets.weights("surface.safetensors"))
    kept = chosen.cache or Path(f"runs/{chosen.part}_looks")
    caches = {folder: kept / "-".join(folder.parts[-2:]) for folder in (*chosen.train, *chosen.held)}
    watch = Watcher()
    for folder, cache in caches.items():
        look_at(folder, cache, lesson, surface, watch)
    if chosen.look_only:
        return
    sharp = [caches[folder] for folder in chosen.sharp]
    looks = gathered([caches[folder] for folder in chosen.train], lesson.part, surface, sharp)
    held = gathered([caches[folder] for folder in chosen.held], lesson.part, surface)
    start = load_changes(chosen.start, lesson.part, surface, folded=False) if chosen.start else None
    trainer = Trainer(lesson, looks, surface, chosen.steps, chosen.seed, chosen.rate, start)
    out = chosen.out or Path("runs") / name
    if (out / "state.pt").exists():
        trainer.load(out / "state.pt")
    learn(trainer, held, out, chosen.minutes)
    changes = trainer.changes()
    calibrate(changes, judged(changes, lesson, held))
    keep(changes, chosen.weights or assets.FOLDER / "weights" / f"{name}.safetensors")
    report = {"looks": len(looks.scene), "scenes": len(np.unique(looks.scene)), "steps": trainer.step}
    print(json.dumps(report | figures(judged(changes, lesson, held), lesson.part), indent=1))


if __name__ == "__main__":
    main()
