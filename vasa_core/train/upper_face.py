"""Learns changes of eyes, lids and brows: `python -m vasa_core.train.upper_face --train DIR [...] --held DIR [...]`.

Truth comes from rendered people (`python -m vasa_core.world render`; some at 512 px, for eyes are small). MediaPipe
looks at every picture, both eyes are cut out, and pairs of frames of one person in one scene teach what changed from
the one to the other, in either order. What both show is spoiled alike, as film, paint and drawing do, and each by
itself, as cameras do: a rendered frame is softer than its portrait. Where lids hide an eye its gaze teaches nothing.

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
from vasa_core.encoders import aligned_features
from vasa_core.landmarks import CROP_PX, crop_transform, cut, widen_lids
from vasa_core.pixel_codes import planes
from vasa_core.surface import IRIS_CENTRES, LANDMARKS, LOWER_LIDS, UPPER_LIDS, Surface, load_surface
from vasa_core.train.face import random_look
from vasa_core.train.pixel_codes import THROUGH_LIDS, average, eyes_through_lids
from vasa_core.upper_face import (
    CHANGED,
    DIRECTIONS,
    DOUBTED,
    HIGH_PX,
    INNER_BROWS,
    NAMES,
    OUTER_BROWS,
    PX_PER_CM,
    RAISED_CM,
    SHAPE,
    SHOWN,
    WIDE_PX,
    Network,
    UpperFace,
    of_names,
    shapes,
    together,
    windows,
    windows_from_picture,
)
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
"""How much it counts what each eye shows by itself, against what changed; and how well doubt is told."""

GAZE_COUNTS = 2.0
"""Gaze counts this much more than lids and brows."""

SHUT_CM, OPEN_CM = 0.12, 0.45
"""An eye opened less than the first does not tell where it looks, more than the second wholly."""

EVERY = 250
"""Steps after which held-out people are looked at, and all is kept."""

Seen = tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "478 2"]]


# ---- looking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Looks:
    """Both eyes of many pictures, the shapes of the landmarks around them, and the truth of each eye."""

    windows: UInt8[np.ndarray, "look eye=2 kept_high kept_wide 3"]
    shapes: Float[np.ndarray, "look eye=2 shape"]
    truth: Float[np.ndarray, "look eye=2 shown"]
    """In the order of SHOWN."""
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


def rows(group: Group, surface: Surface, look: Callable[[Group, int], Seen | None]) -> Iterator[dict[str, np.ndarray]]:
    """All that is kept of the frames of a group."""
    for k in range(len(group)):
        if eyes_through_lids(group.part[k], group.landmarks[k]) > THROUGH_LIDS:
            continue
        seen = look(group, k)
        if seen is not None:
            crop, landmarks = seen
            yield {
                "windows": windows(crop, landmarks, surface, MARGIN_PX),
                "landmarks": landmarks,
                "truth": truth_of(group, k, landmarks, surface),
                "scene": np.array(int(group.key)),
            }


def truth_of(
    group: Group, frame: int, landmarks: Float[np.ndarray, "478 2"], surface: Surface
) -> Float[np.ndarray, "eye=2 shown"]:
    """What each eye truly shows, in the order of SHOWN, the left one as in a mirror."""
    picture, head = group.picture[frame], group.landmarks_head[frame][:LANDMARKS]
    crop_from_picture = crop_transform(group.landmarks[frame], picture.shape[1], picture.shape[0])
    true_px = group.landmarks[frame] @ crop_from_picture[:, :2].T + crop_from_picture[:, 2]
    middle = np.array([WIDE_PX / 2 - 0.5, HIGH_PX / 2 - 0.5 + RAISED_CM * PX_PER_CM])
    shown = []
    for eye, to_window in enumerate(windows_from_picture(landmarks, surface)):
        yaw, pitch = np.deg2rad(group.gaze[frame])
        iris = to_window[:, :2] @ true_px[IRIS_CENTRES[eye]] + to_window[:, 2] - middle
        up = [head[list(ids), 1] for ids in (UPPER_LIDS[eye][2:5], LOWER_LIDS[eye][2:5])]
        brows = [head[list(ids[eye]), 1].mean() for ids in (INNER_BROWS, OUTER_BROWS)]
        shown.append([yaw * (1, -1)[eye], pitch, up[0].mean() - up[1].mean(), *brows, *iris / (PX_PER_CM, -PX_PER_CM)])
    return np.array(shown, np.float32)


def look_at(folder: Path, cache: Path, surface: Surface, look: Callable[[Group, int], Seen | None]) -> None:
    """Keeps what is seen of each finished shard that was not looked at yet."""
    cache.mkdir(parents=True, exist_ok=True)
    todo = [tar for tar in sorted(folder.glob("shard-*.tar")) if tar.with_suffix(".json").exists()]
    todo = [tar for tar in todo if not (cache / f"{tar.stem}.npz").exists()]
    for tar in tqdm(todo, unit="shard", desc=str(folder)):
        kept = [row for group in read_shard(tar) for row in rows(group, surface, look)]
        half = cache / f"{tar.stem}.part.npz"
        np.savez(half, **{name: np.array([row[name] for row in kept]) for name in kept[0]})
        half.replace(cache / f"{tar.stem}.npz")


def gathered(caches: Sequence[Path], surface: Surface, sharp: Sequence[Path] = ()) -> Looks:
    """All that is kept in these folders."""
    parts = []
    for number, cache in enumerate(caches):
        for file in sorted(cache.glob("shard-??????.npz")):
            kept = dict(np.load(file))
            aligned = aligned_features(kept["landmarks"].astype(np.float64), surface)[0]
            scene = kept["scene"] + number * 10_000_000
            shape = shapes(aligned).astype(np.float32)
            parts.append((kept["windows"], shape, kept["truth"], scene, np.full(len(scene), cache in sharp)))
    return Looks(*(np.concatenate(column) for column in zip(*parts, strict=True)))


# ---- spoiling --------------------------------------------------------------------------------------------------------


def spoiled(
    frames: UInt8[np.ndarray, "frame eye=2 kept_high kept_wide 3"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "frame eye=2 high wide 3"], Float[np.ndarray, "frame eye=2 2"]]:
    """Frames of one scene as another camera, hand or file might show them, trembling as landmarks do; and how far the
    windows' middles moved (cm, to the right and up)."""
    treated, shade = random_look(rng), _shade(rng) if rng.random() < 0.3 else 1.0
    blur = rng.uniform(0.3, 1.6) if rng.random() < 0.4 else 0.0
    grain = rng.uniform(2, 14) if rng.random() < 0.4 else 0.0
    shown, moved = [], []
    for eyes in frames:
        common, size = rng.normal(size=2), 0.02 * rng.normal()
        softer = np.hypot(blur, rng.uniform(0, 1.5) if rng.random() < 0.35 else 0.0)
        pair = [_trembled(eye, softer, common, size, rng) for eye in eyes]
        x = treated(np.hstack([eye for eye, _ in pair])) * shade
        if grain:
            x = x + grain * _grain(rng)
        picture = np.clip(x, 0, 255).astype(np.uint8)
        if rng.random() < 0.1:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))]
            picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
        shown.append(np.stack([picture[:, :WIDE_PX], picture[:, WIDE_PX:]]))
        moved.append([shift for _, shift in pair])
    return np.stack(shown), np.array(moved)


def _trembled(
    eye: np.ndarray, blur: float, common: np.ndarray, size: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One window out of focus, turned, scaled and shifted a little, and its shift."""
    if blur > 0.3:
        eye = cv2.GaussianBlur(eye, (0, 0), blur)
    angle, scale = np.deg2rad(1.5) * rng.normal(), np.exp(size)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    old = np.array(eye.shape[1::-1]) / 2 - 0.5
    shift_px = PX_PER_CM * (0.05 * common + 0.05 * rng.normal(size=2))
    new = np.array([WIDE_PX, HIGH_PX]) / 2 - 0.5 + shift_px
    eye = cv2.warpAffine(eye, np.c_[turn, new - turn @ old], (WIDE_PX, HIGH_PX), borderMode=cv2.BORDER_REFLECT_101)
    return eye, shift_px / (PX_PER_CM, -PX_PER_CM)


def _grain(rng: np.random.Generator) -> np.ndarray:
    """Noise of spread 1 in grey or in colours, finer or coarser than pixels."""
    grain = rng.standard_normal((HIGH_PX, 2 * WIDE_PX, 3 if rng.random() < 0.5 else 1), np.float32)
    if rng.random() < 0.5:
        grain = 2 * cv2.GaussianBlur(grain, (0, 0), 0.7).reshape(grain.shape)
    return grain


def _shade(rng: np.random.Generator) -> np.ndarray:
    """Light that falls off across the picture, gently or with an edge."""
    y, x = np.mgrid[-1 : 1 : HIGH_PX * 1j, -1 : 1 : 2j * WIDE_PX].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.5, 0.5)
    return np.exp(rng.uniform(0.1, 0.6) * np.tanh(along * rng.choice([0.7, 1.5, 8.0])))[..., None].astype(np.float32)


# ---- learning --------------------------------------------------------------------------------------------------------


def started(looks: Looks) -> Network:
    """A network that knows the main directions of the landmarks and how far each number goes."""
    network = Network()
    flat = looks.shapes.reshape(-1, SHAPE).astype(np.float64)
    mean = flat.mean(0)
    values, vectors = np.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
    inlet = vectors[:, ::-1][:, :DIRECTIONS] / np.sqrt(np.maximum(values[::-1][:DIRECTIONS], 1e-6 * values.max()))
    truth = looks.truth.reshape(-1, len(SHOWN))
    with torch.no_grad():
        for tensor, array in ((network.mean, mean), (network.inlet, inlet), (network.usual, truth.mean(0)),
                              (network.unit, truth.std(0))):  # fmt: skip
            tensor.copy_(torch.tensor(array))
    return network.to(memory_format=torch.channels_last)


def openness(truth: Float[Tensor, "*look shown"]) -> Float[Tensor, "*look"]:
    """How far an eye is open enough to tell where it looks: 0 to 1."""
    return ((truth[..., 2] - SHUT_CM) / (OPEN_CM - SHUT_CM)).clamp(0, 1)


def losses(
    network: Network, shown: Tensor, changed: Tensor, doubt: Tensor, truth: Tensor, pairs: Tensor
) -> dict[str, Tensor]:
    """The terms, for what each eye shows [look, eye, shown], what changed and its doubt [pair, ...], the truth of the
    looks, and the pairs [pair, (before, now)]."""
    wanted = (truth - network.usual) / network.unit
    seen = openness(truth)
    alone = (shown - wanted) ** 2
    gaze = [SHOWN.index(name) for name in SHOWN if name.startswith(("gaze", "iris"))]
    counted = torch.ones_like(alone)
    counted[..., gaze] = seen[..., None]
    before, now = wanted[pairs[:, 0]][..., :CHANGED], wanted[pairs[:, 1]][..., :CHANGED]
    both = (seen[pairs[:, 0]] * seen[pairs[:, 1]]).mean(1)
    off = (together(changed) - together(now - before)) ** 2
    weight = torch.ones_like(off)
    weight[:, :2] = both[:, None]
    parts = torch.stack(
        [(off * weight)[:, [n == part for n in of_names()]].mean(1) for part in range(max(DOUBTED) + 1)], 1
    )
    known = torch.stack([both, *[torch.ones_like(both)] * (parts.shape[1] - 1)], 1)
    doubted = known * (parts.detach() / 0.05 * torch.exp(-2 * doubt) + 2 * doubt)
    counts = torch.ones(len(NAMES))
    counts[:2] = GAZE_COUNTS
    return {
        "changed": (off * weight * counts).mean(),
        "alone": (alone * counted).mean(),
        "doubt": doubted.mean(),
    }


class Trainer:
    """The network, its averaged twin, the optimiser, and how far they are."""

    def __init__(self, looks: Looks, surface: Surface, steps: int, seed: int, rate: float = RATE) -> None:
        torch.manual_seed(seed)
        self.looks, self.surface, self.steps, self.seed, self.rate, self.step = looks, surface, steps, seed, rate, 0
        self.network, self.averaged = started(looks), started(looks)
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
            eyes, shift = spoiled(self.looks.windows[frames], rng)
            shown.append(eyes)
            moved.append(shift)
        truth = self.looks.truth[chosen].copy()
        truth[..., -2:] += np.concatenate(moved)
        shape = torch.from_numpy(self.looks.shapes[chosen])
        directions = self.network.directions(shape)
        noise = torch.from_numpy(rng.standard_normal(directions.shape, np.float32))
        pixels = planes(np.concatenate(shown).reshape(-1, HIGH_PX, WIDE_PX, 3))
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
        features, shown = self.network.eyes(cells.float(), directions.flatten(0, 1))
        features, shown = features.unflatten(0, (-1, 2)), shown.unflatten(0, (-1, 2))
        before, now = ((features[pairs[:, k]], shown[pairs[:, k]]) for k in (0, 1))
        changed, doubt = self.network.change(before, now)
        terms = losses(self.network, shown, changed, doubt, truth, pairs)
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

    def upper_face(self) -> UpperFace:
        """What was learned so far."""
        return UpperFace(self.averaged.eval(), self.surface)


# ---- judging ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """What was told of changes from the first frame of each scene to its others, and the truth."""

    told: Float[np.ndarray, "pair name=8"]
    doubt: Float[np.ndarray, "pair part=3"]
    """Logarithms."""
    truth: Float[np.ndarray, "pair name=8"]
    """Gaze that lids hide is NaN."""


def judged(upper: UpperFace, looks: Looks, at_once: int = 32) -> Judged:
    """The network asked about clean windows."""
    inner = looks.windows[:, :, MARGIN_PX : MARGIN_PX + HIGH_PX, MARGIN_PX : MARGIN_PX + WIDE_PX]
    parts = range(0, len(inner), at_once)
    eyes = [
        upper.eyes(
            np.ascontiguousarray(inner[k : k + at_once]).reshape(-1, HIGH_PX, WIDE_PX, 3),
            looks.shapes[k : k + at_once].reshape(-1, SHAPE),
        )
        for k in parts
    ]
    features, shown = (
        torch.cat([getattr(e, name) for e in eyes]).unflatten(0, (-1, 2)) for name in ("features", "shown")
    )
    _, first, number = np.unique(looks.scene, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[number] != np.arange(len(number)))
    before = first[number[again]]
    with torch.inference_mode():
        changed, doubt = upper.network.change((features[before], shown[before]), (features[again], shown[again]))
        told = together(changed * upper.network.unit[:CHANGED])
    truth = torch.from_numpy(looks.truth)
    true = together((truth[again] - truth[before])[..., :CHANGED]).numpy()
    hidden = (openness(truth[again]) * openness(truth[before])).mean(1).numpy() < 0.5
    true[hidden, :2] = np.nan
    return Judged(told.numpy(), doubt.numpy(), true)


def figures(found: Judged) -> dict[str, float]:
    """Correlations of what was told with the truth, and the gaze's usual error in degrees."""
    known = np.isfinite(found.truth)
    told = {
        name: float(np.corrcoef(found.told[known[:, k], k], found.truth[known[:, k], k])[0, 1])
        for k, name in enumerate(NAMES)
    }
    off = np.rad2deg(np.abs(found.told - found.truth)[known.all(1)])
    return told | {"yaw_error_deg": float(np.median(off[:, 0])), "pitch_error_deg": float(np.median(off[:, 1]))}


def calibrate(upper: UpperFace, found: Judged) -> None:
    """Tells the network how it errs, as seen on people kept out of its training."""
    network, known = upper.network, np.isfinite(found.truth).all(1)
    usual = np.log(np.exp(2 * found.doubt[known]).mean(0)) / 2
    off = (found.told - found.truth)[known] / np.exp(found.doubt[known] - usual)[:, list(of_names())]
    with torch.no_grad():
        network.doubt.bias -= torch.tensor(usual, dtype=torch.float32)
        network.covariance.copy_(torch.tensor(off.T @ off / len(off)))


def keep(upper: UpperFace, path: Path) -> None:
    """The weights in half precision, the covariance whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = upper.network.state_dict().items()
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
                line = {"step": trainer.step} | mean | figures(judged(trainer.upper_face(), held))
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(line) + "\n")
                trainer.save(out / "state.pt")
    trainer.save(out / "state.pt")


def main() -> None:
    """Looks, learns, judges on held-out people and keeps what was learned."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.upper_face")
    options.add_argument("--train", type=Path, nargs="+", required=True, help="folders of shards to learn from")
    options.add_argument("--sharp", type=Path, nargs="*", default=[], help="those of them that show eyes most sharply")
    options.add_argument("--held", type=Path, nargs="+", required=True, help="folders of shards to be judged by")
    options.add_argument("--cache", type=Path, default=Path("runs/eye_looks"), help="where what was seen is kept")
    options.add_argument("--out", type=Path, default=Path("runs/upper_face"), help="where it can go on from")
    options.add_argument("--weights", type=Path, default=assets.FOLDER / "weights" / "upper_face.safetensors")
    options.add_argument("--steps", type=int, default=4000)
    options.add_argument("--minutes", type=float, default=1e9, help="stop after so long, to go on another time")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--look-only", action="store_true", help="look at the pictures and leave it at that")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    surface = load_surface(assets.weights("surface.safetensors"))
    caches = {folder: chosen.cache / "-".join(folder.parts[-2:]) for folder in (*chosen.train, *chosen.held)}
    watch = Watcher()
    for folder, cache in caches.items():
        look_at(folder, cache, surface, watch)
    if chosen.look_only:
        return
    looks = gathered([caches[f] for f in chosen.train], surface, [caches[f] for f in chosen.sharp])
    held = gathered([caches[f] for f in chosen.held], surface)
    trainer = Trainer(looks, surface, chosen.steps, chosen.seed)
    if (chosen.out / "state.pt").exists():
        trainer.load(chosen.out / "state.pt")
    learn(trainer, held, chosen.out, chosen.minutes)
    upper = trainer.upper_face()
    calibrate(upper, judged(upper, held))
    keep(upper, chosen.weights)
    report = {"looks": len(looks.scene), "scenes": len(np.unique(looks.scene)), "steps": trainer.step}
    print(json.dumps(report | figures(judged(upper, held)), indent=1))


if __name__ == "__main__":
    main()
