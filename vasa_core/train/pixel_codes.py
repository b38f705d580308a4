"""Learns codes from pixels: `python -m vasa_core.train.pixel_codes --train DIR [DIR ...] --held DIR [DIR ...]`.

Truth comes from rendered people (`python -m vasa_core.world render`; few frames of many people tell who is who best).
First MediaPipe looks at every picture and at its mirror image, and the faces are kept upright and of one size; then the
network learns, in the paper's losses by their names (section 3.1): reconstruction; pairwise transfer (who one look
shows with what another of the same person does, and what changed from the one to the other); cross-identity (two looks
of one person tell one identity code). All errors count by what they do to the surface, lips and lids four times. What
the pictures show is spoiled as film, paint, drawing, cameras and hands do; the crop trembles as landmarks do.

Both parts resume where they stopped, and more shards may have come in the meantime.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from safetensors.torch import load_file, save_file
from scipy.linalg import eigh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.encoders import OPENING_WEIGHT, OUTPUTS, aligned_features, openings
from vasa_core.landmarks import CROP_PX, LID_RINGS, crop_transform, cut, widen_lids
from vasa_core.latents import EXPRESSION, GAZE, IDENTITY
from vasa_core.pixel_codes import (
    DIRECTIONS,
    LIKENESS,
    PX_PER_CM,
    RECOGNISED,
    WINDOW_PX,
    Network,
    PixelEncoder,
    planes,
    window,
)
from vasa_core.surface import LANDMARKS, Surface, load_surface
from vasa_core.train.encoders import as_seen_from, identity_projection, surface_numbers, tilted
from vasa_core.train.face import random_look
from vasa_core.train.surface import load_facekit
from vasa_core.world.facekit import data_folder, head_rotation
from vasa_core.world.shards import Group, read_shard

KEPT_PX = 144
"""Windows are kept a little larger than the network sees them, so that they can tremble."""

PEOPLE = 24
"""People in a batch, two looks each."""

RATE, DECAY = 1.2e-3, 5e-2
AVERAGED = 0.998
"""Each step the weights that are kept move this little: what is kept is a mean over the last steps."""

LONGEST_STEP = 100.0
"""Gradients are shortened to this."""

JITTER = 0.05
"""Noise on the landmarks' main directions, in their own spreads: no look is quite like one that was trained on."""

TURN_WEIGHT, GAZE_WEIGHT = 500.0, 60.0
"""Of a squared error in rad: what it moves, in the units of the other terms."""

SHARES = {"reconstruction": 1.0, "pairwise": 0.7, "cross_identity": 1.0, "doubt": 0.02, "likeness": 0.2}
WARMTH, MARGIN = 0.1, 0.15
"""Of the likeness's cosines: what a difference counts, and by how much the same person has to be nearer than others."""

REMEMBERED = 1024
"""Likenesses of the last looks, against which new ones are held."""

ALONE = 0.1
"""How far errors are taken to be independent of each other, against what a few hundred people show."""

WITHIN_ALIKE = 0.3
"""How far looks at one person are taken to differ alike in all directions, against what is seen of them."""

RECOGNISED_BY = 3000
"""Looks at people of the training by which people are told apart."""

EVERY = 500
"""Steps after which held-out people are looked at, and all is kept."""

MIRROR = np.array([-1.0, 1.0, 1.0])

EYES = (5, 6)
"""Their numbers among `world.renderer.PART_NAMES`."""

THROUGH_LIDS = 0.003
"""A frame is left out where more of an eye shows outside its lids (px over the squared distance between the eyes'
outer corners): in early renders corneas came through shut lids, and a pupil on a lid teaches what is not so."""


# ---- looking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Looks:
    """Windows on faces, what MediaPipe saw of them, and the truth in the encoder's numbers."""

    windows: UInt8[np.ndarray, "look kept kept 3"]
    aligned: Float[np.ndarray, "look feature"]
    truth: Float[np.ndarray, "look output"]
    """Expressions are NaN where they are not to be learned from."""
    person: Int[np.ndarray, " look"]
    """Equal where the identity is; a person's mirror image is somebody else."""
    scene: Int[np.ndarray, " look"]
    """One person in one light before one camera."""

    def __getitem__(self, rows: Any) -> Looks:
        columns = (self.windows, self.aligned, self.truth, self.person, self.scene)
        return Looks(*(column[rows] for column in columns))


class Watcher:
    """MediaPipe, and what mirrors a person's numbers."""

    def __init__(self, surface: Surface) -> None:
        import mediapipe as mp

        self.surface, self.who = surface, identity_projection(surface)
        self.mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1)
        kit = load_facekit(data_folder() / "facekit" / "ict_face.npz")
        twin = cKDTree(kit.neutral).query(kit.neutral * MIRROR)[1]
        self.mirrored_identity, self.mirrored_expression = (
            _mirrored(modes, twin) for modes in (kit.identity, kit.expression)
        )

    def seen(self, picture: UInt8[np.ndarray, "h w 3"], rough: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The crop and the landmarks in it of a face that is roughly there; None where MediaPipe sees none."""
        crop = cut(picture, crop_transform(rough, picture.shape[1], picture.shape[0]))
        found = self.mesh.process(crop).multi_face_landmarks
        if not found:
            return None
        points = np.array([(p.x * CROP_PX, p.y * CROP_PX) for p in found[0].landmark], np.float32)
        return crop, widen_lids(crop, points)

    def rows(self, group: Group) -> Iterator[dict[str, np.ndarray]]:
        """All that is kept of the frames of a group, and of their mirror images."""
        for k in range(len(group)):
            if eyes_through_lids(group.part[k], group.landmarks[k]) > THROUGH_LIDS:
                continue
            eye = np.array([group.camera[2], group.camera[3], 2 + group.camera[0]])
            turn = head_rotation(*(float(angle) for angle in group.pose[k]))
            turn = as_seen_from(eye - group.landmarks_cm[k][:LANDMARKS].mean(0)).T @ turn
            told = {
                "turn": turn,
                "identity": group.identity @ self.who[: len(group.identity)],
                "expression": self.surface.dynamics_from_expression @ group.expression[k],
                "gaze": np.deg2rad(group.gaze[k]),
            }
            coefficients = self.mirrored_identity[:, : len(group.identity)] @ group.identity
            other = {
                "turn": MIRROR[:, None] * turn * MIRROR,
                "identity": coefficients @ self.who[: len(coefficients)],
                "expression": self.surface.dynamics_from_expression @ (self.mirrored_expression @ group.expression[k]),
                "gaze": told["gaze"] * (-1, 1),
            }
            rough, width = group.landmarks[k], group.picture.shape[2]
            for side, (picture, places, truth) in enumerate(
                (
                    (group.picture[k], rough, told),
                    (np.ascontiguousarray(group.picture[k][:, ::-1]), rough * (-1, 1) + (width, 0), other),
                )
            ):
                seen = self.seen(picture, places)
                if seen is not None:
                    shown = window(*seen, self.surface, KEPT_PX)
                    person = np.array(2 * int(group.key) + side)
                    yield truth | {"window": shown, "landmarks": seen[1], "person": person}


def eyes_through_lids(part: UInt8[np.ndarray, "size size"], landmarks: Float[np.ndarray, "478 2"]) -> float:
    """How much of the eyes shows outside the lids: px over the squared distance between their outer corners."""
    between = np.zeros(part.shape, np.uint8)
    for ring in LID_RINGS:
        cv2.fillPoly(between, [np.round(16 * landmarks[list(ring)]).astype(np.int32)], 1, cv2.LINE_8, 4)
    outside = np.isin(part, EYES) & (cv2.dilate(between, np.ones((3, 3), np.uint8)) == 0)
    return float(outside.sum() / max(((landmarks[33] - landmarks[263]) ** 2).sum(), 1.0))


def _mirrored(modes: Float[np.ndarray, "mode vertex 3"], twin: Int[np.ndarray, " vertex"]) -> np.ndarray:
    """The matrix that turns weights of modes into those of the mirrored face (the modes explain all but 0.4 %)."""
    flat = modes.reshape(len(modes), -1)
    swapped = (modes * MIRROR)[:, twin].reshape(len(modes), -1)
    return np.linalg.lstsq(flat @ flat.T + 1e-6 * np.eye(len(flat)), flat @ swapped.T, rcond=None)[0]


def look_at(folder: Path, cache: Path, surface: Surface) -> None:
    """Keeps what is seen of each finished shard that was not looked at yet."""
    cache.mkdir(parents=True, exist_ok=True)
    todo = [tar for tar in sorted(folder.glob("shard-*.tar")) if tar.with_suffix(".json").exists()]
    todo = [tar for tar in todo if not (cache / f"{tar.stem}.npz").exists()]
    if not todo:
        return
    watch = Watcher(surface)
    for tar in tqdm(todo, unit="shard", desc=str(folder)):
        rows = [row for group in read_shard(tar) for row in watch.rows(group)]
        half = cache / f"{tar.stem}.part.npz"
        np.savez(half, **{name: np.array([row[name] for row in rows]) for name in rows[0]})
        half.replace(cache / f"{tar.stem}.npz")


def gathered(caches: Sequence[Path], surface: Surface) -> Looks:
    """All that is kept in these folders. One group of frames is one scene; scenes with the same identity show the same
    person (drawn styles change proportions, and so who it is)."""
    parts = []
    for number, cache in enumerate(caches):
        for file in sorted(cache.glob("shard-??????.npz")):
            rows = dict(np.load(file))
            aligned, tilt = aligned_features(rows["landmarks"].astype(np.float64), surface)
            turn = tilted(Rotation.from_matrix(rows["turn"]), tilt)
            truth = np.concatenate([rows["identity"], rows["expression"], turn, rows["gaze"]], 1)
            scene = rows["person"] + number * 10_000_000  # twice the group's number, one more where mirrored
            parts.append((rows["window"], aligned.astype(np.float32), truth.astype(np.float32), scene))
    windows, aligned, truth, scene = (np.concatenate(column) for column in zip(*parts, strict=True))
    who = np.c_[scene % 2, truth[:, OUTPUTS["identity"]].round(3)]
    return Looks(windows, aligned, truth, np.unique(who, axis=0, return_inverse=True)[1].ravel(), scene)


# ---- spoiling --------------------------------------------------------------------------------------------------------


def spoiled(kept: UInt8[np.ndarray, "kept kept 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "side side 3"]:
    """The window as another camera, hand or file might show it, trembling as landmarks do."""
    picture = _softened(kept, rng) if rng.random() < 0.45 else kept
    angle, scale = np.deg2rad(1.5) * rng.normal(), np.exp(0.02 * rng.normal())
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, KEPT_PX / 2 - 0.5)
    shift = np.full(2, WINDOW_PX / 2 - 0.5) + 0.12 * PX_PER_CM * rng.normal(size=2) - turn @ middle
    picture = cv2.warpAffine(
        picture, np.c_[turn, shift], (WINDOW_PX, WINDOW_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    x = random_look(rng)(picture)
    if rng.random() < 0.4:
        x = x * _shade(rng)
    if rng.random() < 0.4:
        x = x + rng.uniform(2, 16) * _grain(rng)
    picture = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return _covered(picture, rng) if rng.random() < 0.25 else picture


def _softened(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or seen by fewer pixels."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    side = int(KEPT_PX * rng.uniform(0.4, 0.9))
    return cv2.resize(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), (KEPT_PX, KEPT_PX))


def _grain(rng: np.random.Generator) -> np.ndarray:
    """Noise of spread 1 in grey or in colours, finer or coarser than pixels."""
    grain = rng.standard_normal((WINDOW_PX, WINDOW_PX, 3 if rng.random() < 0.5 else 1), np.float32)
    if rng.random() < 0.5:
        grain = 2 * cv2.GaussianBlur(grain, (0, 0), 0.7).reshape(grain.shape)
    return grain


def _shade(rng: np.random.Generator) -> np.ndarray:
    """Light that falls off across the picture, gently or with an edge."""
    y, x = np.mgrid[-1 : 1 : WINDOW_PX * 1j, -1 : 1 : WINDOW_PX * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.5, 0.5)
    return np.exp(rng.uniform(0.1, 0.6) * np.tanh(along * rng.choice([0.7, 1.5, 8.0])))[..., None].astype(np.float32)


def _covered(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hand, a strand, a microphone: one stretch of the picture in a colour of its own."""
    picture = picture.copy()
    at, reach = rng.uniform(0, WINDOW_PX, 2), rng.uniform(0.06, 0.22, 2) * WINDOW_PX
    colour = tuple(int(v) for v in picture[tuple(rng.integers(0, WINDOW_PX, 2))] * rng.uniform(0.5, 1.3))
    cv2.ellipse(picture, (tuple(at), tuple(2 * reach), rng.uniform(0, 180)), colour, -1, cv2.LINE_AA)
    return picture


# ---- learning --------------------------------------------------------------------------------------------------------


def started(looks: Looks) -> Network:
    """A network that knows what ridge regression on landmarks knows."""
    network = Network()
    aligned = looks.aligned.astype(np.float64)
    mean = aligned.mean(0)
    values, vectors = np.linalg.eigh((aligned - mean).T @ (aligned - mean) / len(aligned))
    values = np.maximum(values[::-1][:DIRECTIONS], 1e-6 * values.max())
    inlet = vectors[:, ::-1][:, :DIRECTIONS] / np.sqrt(values)
    x, truth = (aligned - mean) @ inlet, looks.truth.astype(np.float64)
    known = np.isfinite(truth).all(1)
    usual = truth[known].mean(0)
    ridge = np.linalg.solve(x[known].T @ x[known] + 100 * np.eye(DIRECTIONS), x[known].T @ (truth[known] - usual))
    unit = (truth[known] - usual - x[known] @ ridge).std(0)
    with torch.no_grad():
        for tensor, array in ((network.mean, mean), (network.inlet, inlet), (network.usual, usual),
                              (network.unit, unit), (network.guess.weight, ridge.T)):  # fmt: skip
            tensor.copy_(torch.tensor(array))
        network.guess.bias.zero_()
    network.guess.requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def measure(surface: Surface) -> Float[Tensor, "code code"]:
    """The squared length of a difference of codes, by what it does to the surface: mean over landmarks, cm^2 * 20;
    openings of lips and lids count `OPENING_WEIGHT` times."""
    basis = np.concatenate([surface.identity_basis, surface.dynamics_basis])[:, :LANDMARKS].astype(np.float64)
    upper, lower = openings()
    gaps = OPENING_WEIGHT * (basis[:, upper] - basis[:, lower]) / np.sqrt(2)
    flat = np.concatenate([basis, gaps], 1).reshape(len(basis), -1)
    return torch.tensor(20 * flat @ flat.T / LANDMARKS, dtype=torch.float32)


def unlike_others(
    likeness: Float[Tensor, "pair two=2 likeness"],
    elsewhere: Bool[Tensor, " pair"],
    others: Float[Tensor, "other likeness"],
) -> Tensor:
    """How hard it is to tell which of many looks shows the same person (cross entropy with a margin of cosines), for
    pairs of looks in different scenes: within one, light and background would tell."""
    pairs = len(likeness)
    flat = likeness.reshape(2 * pairs, -1)
    cosine = flat @ torch.cat([flat, others]).T
    who = torch.arange(2 * pairs) // 2
    partner = torch.arange(2 * pairs) ^ 1
    same = who[:, None] == who[None]
    cosine[:, : 2 * pairs] = cosine[:, : 2 * pairs].masked_fill(same, -torch.inf)
    own = (likeness[:, 0] * likeness[:, 1]).sum(-1).repeat_interleave(2) - MARGIN
    cosine = cosine.scatter(1, partner[:, None], own[:, None])
    hard = nn.functional.cross_entropy(cosine / WARMTH, partner, reduction="none")
    counted = elsewhere.repeat_interleave(2).float()
    return (hard * counted).sum() / counted.sum().clamp(min=1)


def losses(told: Tensor, doubt: Tensor, truth: Tensor, shape: Float[Tensor, "code code"]) -> dict[str, Tensor]:
    """The terms for pairs of looks [pair, 2, output] at one person each."""
    identity, expression = OUTPUTS["identity"], OUTPUTS["expression"]
    known = torch.isfinite(truth)
    off = torch.where(known, told - torch.nan_to_num(truth), 0.0)
    both = known.all(1).float()

    def moved(difference: Tensor, place: slice) -> Tensor:
        return ((difference @ shape[place, place]) * difference).sum(-1)

    def turned(difference: Tensor) -> Tensor:
        squared = difference**2
        gaze = GAZE_WEIGHT * squared[..., OUTPUTS["gaze"]].sum(-1)
        return TURN_WEIGHT * squared[..., OUTPUTS["turn"]].sum(-1) + gaze

    who, acts = off[..., identity], off[..., expression]
    parts = {
        "identity": moved(who, identity) + 0.3 * (who**2).mean(-1),
        "expression": moved(acts, expression),
        "turn": TURN_WEIGHT * (off[..., OUTPUTS["turn"]] ** 2).sum(-1),
        "gaze": GAZE_WEIGHT * (off[..., OUTPUTS["gaze"]] ** 2).sum(-1),
    }
    swapped = torch.cat([who.flip(1), acts], -1)
    changed = (off[:, 0] - off[:, 1]) * both
    one_person = told[:, 0, identity] - told[:, 1, identity]
    return {
        "reconstruction": torch.stack([part.mean() for part in parts.values()]).sum(),
        "pairwise": moved(swapped, slice(0, IDENTITY + EXPRESSION)).mean()
        + (moved(changed[..., expression], expression) + turned(changed)).mean(),
        "cross_identity": moved(one_person, identity).mean() + 0.3 * (one_person**2).mean(),
        "doubt": sum(
            (part.detach() * torch.exp(-2 * doubt[..., k]) / USUAL[name] + 2 * doubt[..., k]).mean()
            for k, (name, part) in enumerate(parts.items())
        ),
    }


USUAL = {"identity": 1.5, "expression": 0.5, "turn": 0.5, "gaze": 0.3}
"""Middling sizes of the terms, by which doubts start out near 1."""


class Trainer:
    """The network, its averaged twin, the optimiser, and how far they are."""

    def __init__(
        self, looks: Looks, surface: Surface, steps: int, seed: int, shares: dict[str, float], rate: float = RATE
    ) -> None:
        torch.manual_seed(seed)
        self.rate = rate
        self.looks, self.surface, self.steps, self.seed, self.shares = looks, surface, steps, seed, shares
        self.step = 0
        self.remembered = torch.zeros(REMEMBERED, LIKENESS)
        self.network, self.averaged = started(looks), started(looks)
        self.averaged.load_state_dict(self.network.state_dict())
        learning = [p for p in self.network.parameters() if p.requires_grad]
        wide, thin = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
        groups = [{"params": wide, "weight_decay": DECAY}, {"params": thin, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, RATE)
        self.shape = measure(surface)
        order = np.argsort(looks.person, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(looks.person[order]) != 0])
        self.people = [group for group in np.split(order, starts[1:]) if len(group) > 1]

    def start_from(self, path: Path) -> None:
        """Begins with weights that were kept, where they fit."""
        known = {name: values.float() for name, values in load_file(path).items()}
        for network in (self.network, self.averaged):
            network.load_state_dict(known, strict=False)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Spoiled windows, directions and truth of pairs of looks, and which pairs show two scenes."""
        chosen = rng.choice(len(self.people), PEOPLE, replace=False)
        rows = np.concatenate([rng.choice(self.people[k], 2, replace=False) for k in chosen])
        shown = planes(np.stack([spoiled(self.looks.windows[row], rng) for row in rows]))
        directions = self.network.directions(torch.from_numpy(self.looks.aligned[rows]))
        noise = torch.from_numpy(rng.standard_normal(directions.shape, np.float32))
        scene = self.looks.scene[rows].reshape(-1, 2)
        elsewhere = torch.from_numpy(scene[:, 0] != scene[:, 1])
        return shown, directions + JITTER * noise, torch.from_numpy(self.looks.truth[rows]), elsewhere

    def advance(self) -> dict[str, float]:
        """One step; its terms."""
        rng = np.random.default_rng([self.seed, self.step])
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            share = self.step / self.steps
            group["lr"] = self.rate * min(1, (self.step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        shown, directions, truth, elsewhere = self.batch(rng)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.network.trunk(shown.contiguous(memory_format=torch.channels_last))
        answers = self.network.answer(seen.flatten(1).float(), directions)
        told, doubt, likeness, truth = (values.reshape(PEOPLE, 2, -1) for values in (*answers, truth))
        terms = losses(told, doubt, truth, self.shape)
        terms["likeness"] = unlike_others(likeness, elsewhere, self.remembered)
        self.remembered = torch.cat([answers[2].detach(), self.remembered])[:REMEMBERED]
        loss = torch.stack([self.shares[name] * term for name, term in terms.items()]).sum()
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
        torch.save(state | {"step": self.step, "remembered": self.remembered}, half)
        half.replace(path)

    def load(self, path: Path) -> None:
        """Goes on from there."""
        state = torch.load(path, weights_only=True)
        for name in ("network", "averaged", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.optimiser.param_groups[0]["weight_decay"] = DECAY
        self.step, self.remembered = state["step"], state["remembered"]

    def encoder(self) -> PixelEncoder:
        """What was learned so far."""
        return PixelEncoder(self.averaged.eval(), self.surface)


def average(kept: nn.Module, now: nn.Module, step: int, share: float) -> None:
    """Moves the weights that are kept towards those of this step; this share of them stays, less in the first steps."""
    share = min(share, step / (step + 10))
    with torch.no_grad():
        for mean, value in zip(kept.state_dict().values(), now.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - share)
            else:
                mean.copy_(value)


# ---- judging ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What the encoder tells of many looks."""

    told: Float[np.ndarray, "look output"]
    doubt: Float[np.ndarray, "look part=4"]
    """Logarithms."""
    likeness: Float[np.ndarray, "look likeness=64"]


def asked(encoder: PixelEncoder, looks: Looks, at_once: int = 64) -> Answers:
    """What the encoder tells of clean windows."""
    margin = (KEPT_PX - WINDOW_PX) // 2
    inner = looks.windows[:, margin : margin + WINDOW_PX, margin : margin + WINDOW_PX]
    parts = range(0, len(inner), at_once)
    found = [encoder.numbers(inner[k : k + at_once], looks.aligned[k : k + at_once]) for k in parts]
    return Answers(*(np.concatenate(column) for column in zip(*found, strict=True)))


def both_ways(encoder: PixelEncoder, answers: Answers, looks: Looks) -> tuple[Answers, Looks]:
    """What is told of looks and of their mirror images together, as the encoder does at run time; of looks whose mirror
    image was seen as well."""
    rows = np.flatnonzero((looks.scene[:-1] % 2 == 0) & (looks.scene[1:] == looks.scene[:-1] + 1))
    one, other = (Answers(a.told[k], a.doubt[k], a.likeness[k]) for a in (answers,) for k in (rows, rows + 1))
    swapped = other.told.copy()
    for name, matrix in zip(("identity", "expression"), encoder.mirrors, strict=True):
        swapped[:, OUTPUTS[name]] = other.told[:, OUTPUTS[name]] @ matrix
    swapped[:, OUTPUTS["turn"]] *= -MIRROR
    swapped[:, OUTPUTS["gaze"]] *= MIRROR[:2]
    likeness = one.likeness + other.likeness
    likeness /= np.linalg.norm(likeness, axis=1, keepdims=True)
    doubt = np.log((np.exp(one.doubt) + np.exp(other.doubt)) / 2)
    return Answers((one.told + swapped) / 2, doubt, likeness), looks[rows]


def recognition(codes: Float[np.ndarray, "look code"], looks: Looks) -> dict[str, float]:
    """Do looks at one person, in one scene and in two, lie nearer than looks at two people? Without mirror images."""
    rows = looks.scene % 2 == 0
    codes, person, scene = codes[rows], looks.person[rows], looks.scene[rows]
    apart = np.stack([np.linalg.norm(codes - code, axis=1) for code in codes])
    same, elsewhere = person[:, None] == person[None], scene[:, None] != scene[None]
    others = apart[~same]
    pairs = {"": same & ~elsewhere & ~np.eye(len(same), dtype=bool), "_elsewhere": same & elsewhere}
    found = {}
    for where, chosen in pairs.items():
        if chosen.any():
            found[f"drift{where}"] = float(apart[chosen].mean() / others.mean())
            found[f"equal_error{where}"] = equal_error(-apart[chosen], -others)
    return found


def equal_error(same: Float[np.ndarray, " a"], other: Float[np.ndarray, " b"]) -> float:
    """The share of pairs told wrongly where as many of either kind are."""
    bars = np.quantile(same, np.linspace(0, 1, 1001))
    missed = np.linspace(0, 1, 1001)
    mistaken = 1 - np.searchsorted(np.sort(other), bars) / len(other)
    k = int(np.abs(missed - mistaken).argmin())
    return float((missed[k] + mistaken[k]) / 2)


def figures(told: np.ndarray, looks: Looks, surface: Surface) -> dict[str, float]:
    """What held-out people show: who, and what changes from the first look in a scene to the others."""
    who = told[:, OUTPUTS["identity"]]
    _, first, number = np.unique(looks.scene, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[number] != np.arange(len(number)))
    shape = measure(surface).numpy()[:IDENTITY, :IDENTITY]
    root = np.linalg.cholesky(shape + 1e-6 * np.eye(IDENTITY))
    true = looks.truth[:, OUTPUTS["identity"]]
    drift = np.linalg.norm(who[again] - who[first[number[again]]], axis=1)
    apart = np.linalg.norm(who[first][:, None] - who[first][None], axis=2)[~np.eye(len(first), dtype=bool)]

    def length(codes: np.ndarray) -> float:
        return float(np.linalg.norm(codes @ root, axis=1).mean())

    found = {
        "identity_drift_ratio": float(drift.mean() / apart.mean()),
        "identity_shape_error": float(length(who - true) / length(true - true.mean(0))),
    }
    off = Rotation.from_rotvec(told[:, OUTPUTS["turn"]]).inv() * Rotation.from_rotvec(looks.truth[:, OUTPUTS["turn"]])
    found["pose_error_deg"] = float(np.rad2deg(np.median(off.magnitude())))
    change, truth = (values[again] - values[first[number[again]]] for values in (told, looks.truth))
    gaze = np.rad2deg(np.abs(change - truth)[:, OUTPUTS["gaze"]])
    found["gaze_error_deg"] = float(np.median(gaze))
    known = np.isfinite(truth).all(1)
    shown, was = (surface_numbers(values[known][:, OUTPUTS["expression"]], surface) for values in (change, truth))
    return found | {f"{name}_correlation": float(np.corrcoef(shown[name], was[name])[0, 1]) for name in shown}


def judged(encoder: PixelEncoder, held: Looks) -> dict[str, float]:
    """All figures of held-out people, by looks and their mirror images together."""
    answers, held = both_ways(encoder, asked(encoder, held), held)
    recognised = who_codes(answers) @ encoder.network.telling.numpy()
    judges = {
        "identity": answers.told[:, OUTPUTS["identity"]],
        "likeness": answers.likeness,
        "recognised": recognised.astype(np.float32),
    }
    told_apart = {
        f"{name}_{figure}": value
        for name, codes in judges.items()
        for figure, value in recognition(codes, held).items()
    }
    return figures(answers.told, held, encoder.surface) | told_apart


def calibrate(encoder: PixelEncoder, answers: Answers, looks: Looks) -> None:
    """Tells the encoder how it errs, as seen on people kept out of its training: in one look, and from the first
    look in a scene to the others."""
    _, first, number = np.unique(looks.scene, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[number] != np.arange(len(number)))
    before = first[number[again]]
    told, off = answers.told, answers.told - looks.truth
    shown, true = (Rotation.from_rotvec(values[:, OUTPUTS["turn"]]) for values in (told, looks.truth))
    turns = (shown[again] * shown[before].inv()) * (true[again] * true[before].inv()).inv()
    changed = (off[again] - off[before])[:, IDENTITY:]
    changed = np.concatenate([turns.as_rotvec(), changed[:, :EXPRESSION], changed[:, -GAZE:]], 1)
    network = encoder.network
    with torch.no_grad():  # a doubt of 1 is the usual one
        network.doubt.bias -= torch.tensor(np.log(np.exp(2 * answers.doubt).mean(0)) / 2)
    for buffer, errors in ((network.look_covariance, off), (network.change_covariance, changed)):
        covariance = errors.T @ errors / len(errors)
        buffer.copy_(torch.tensor((1 - ALONE) * covariance + ALONE * np.diag(np.diag(covariance))))


def discriminants(
    codes: Float[np.ndarray, "look code"], person: Int[np.ndarray, " look"], count: int
) -> Float[np.ndarray, "code count"]:
    """The directions in which people differ most against how looks at one of them differ (Fisher 1936), each weighed
    by the square root of that ratio."""
    number, size = np.unique(person, return_inverse=True, return_counts=True)[1:]
    means = np.stack([np.bincount(number, column) for column in codes.T], 1) / size[:, None]
    off = codes - means[number]
    within = off.T @ off / max(len(codes) - len(size), 1)
    within = (1 - WITHIN_ALIKE) * within + WITHIN_ALIKE * np.trace(within) / len(within) * np.eye(len(within))
    ratios, directions = eigh(np.cov(means[size > 1].T), within)
    best = slice(None, -count - 1, -1)
    return directions[:, best] * np.sqrt(np.maximum(ratios[best], 0))


def learn_to_recognise(encoder: PixelEncoder, looks: Looks) -> None:
    """Tells the encoder which of its numbers tell people apart, by the last looks that are not mirrored."""
    chosen = looks[np.flatnonzero(looks.scene % 2 == 0)[-RECOGNISED_BY:]]
    telling = discriminants(who_codes(asked(encoder, chosen)), chosen.person, RECOGNISED)
    with torch.no_grad():
        encoder.network.telling.copy_(torch.tensor(telling))


def who_codes(answers: Answers) -> Float[np.ndarray, "look code"]:
    """All that is told of who somebody is."""
    return np.concatenate([answers.told[:, OUTPUTS["identity"]], answers.likeness], 1).astype(np.float64)


def keep(encoder: PixelEncoder, path: Path) -> None:
    """The weights in half precision, covariances whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = encoder.network.state_dict().items()
    whole = ("look_covariance", "change_covariance", "telling")
    halves = {n: v.half() if v.dtype.is_floating_point and n not in whole else v for n, v in state}
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
                line = {"step": trainer.step} | mean | judged(trainer.encoder(), held)
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(line) + "\n")
                trainer.save(out / "state.pt")
    trainer.save(out / "state.pt")


def main() -> None:
    """Looks, learns, judges on held-out people and keeps what was learned."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.pixel_codes")
    options.add_argument("--train", type=Path, nargs="+", required=True, help="folders of shards to learn from")
    options.add_argument("--held", type=Path, nargs="+", required=True, help="folders of shards to be judged by")
    options.add_argument(
        "--without-expression", nargs="*", default=[], help="names of folders whose faces act otherwise"
    )
    options.add_argument("--cache", type=Path, default=Path("runs/pixel_looks"), help="where what was seen is kept")
    options.add_argument("--out", type=Path, default=Path("runs/pixel_codes"), help="where it can go on from")
    options.add_argument("--weights", type=Path, default=assets.FOLDER / "weights" / "pixels.safetensors")
    options.add_argument("--steps", type=int, default=12000)
    options.add_argument("--minutes", type=float, default=1e9, help="stop after so long, to go on another time")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rate", type=float, default=RATE, help="the highest rate of learning")
    options.add_argument("--start", type=Path, help="weights to begin with, instead of what landmarks alone tell")
    options.add_argument("--look-only", action="store_true", help="look at the pictures and leave it at that")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    surface = load_surface(assets.weights("surface.safetensors"))
    caches = {folder: chosen.cache / "-".join(folder.parts[-2:]) for folder in (*chosen.train, *chosen.held)}
    for folder, cache in caches.items():
        look_at(folder, cache, surface)
    if chosen.look_only:
        return
    looks = gathered([caches[folder] for folder in chosen.train], surface)
    held = gathered([caches[folder] for folder in chosen.held], surface)
    trainer = Trainer(looks, surface, chosen.steps, chosen.seed, SHARES, chosen.rate)
    if chosen.start:
        trainer.start_from(chosen.start)
    if (chosen.out / "state.pt").exists():
        trainer.load(chosen.out / "state.pt")
    learn(trainer, held, chosen.out, chosen.minutes)
    encoder = trainer.encoder()
    calibrate(encoder, *both_ways(encoder, asked(encoder, held), held))
    learn_to_recognise(encoder, looks)
    keep(encoder, chosen.weights)
    report = {"looks": len(looks.person), "people": len(trainer.people), "steps": trainer.step}
    print(json.dumps(report | judged(encoder, held), indent=1))


if __name__ == "__main__":
    main()
