"""Trains the face decoder: appearance volume and refinement, on pairs of rendered people.

    python -m vasa_core.world render --out runs/faces/train --people 4000 --frames 6 --seed 901 --workers 2
    python -m vasa_core.world render --out runs/faces/held --people 64 --frames 6 --seed 902 --workers 2
    python -m vasa_core.train.pairs runs/faces/train runs/faces/pairs
    python -m vasa_core.train.pairs runs/faces/held runs/faces/pairs_held
    python -m vasa_core.train.face --out runs/face --preset cpu
    torchrun --nproc-per-node 8 -m vasa_core.train.face --preset gpu    # several graphics cards, or machines, together

Losses, with the paper's names where it has them (section 3.1): reconstruction of a driven frame (weighted L1, gradients
and the energy of fine detail, in place of a perceptual network, which would have to be downloaded), self-reconstruction
(one pair in four is the portrait itself), an adversarial term late in the run, and a price on painting where the
portrait shows the skin. Pose and dynamics are exchanged between frames by the geometry, exactly, so the pairwise and
cross-identity terms belong to the encoders (`train.encoders`). A stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import queue
import threading
import time
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray as Array
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from vasa_core.errors import BadOption
from vasa_core.refinement import FaceNetworks, Seen, bounded, composed, found_at, load_networks, shares
from vasa_core.sight import CANONICAL_CM, FINE_PX
from vasa_core.train.pairs import Pairs, load_pairs
from vasa_core.train.together import ALONE, CPU, GPU, Together, joined

WINDOWS_PX = (160, 192)
"""Training sees windows of this size, larger ones once the discriminator joins: more pictures a second."""

CUT_PX = 64
"""The discriminator sees pieces of this size."""

PRESETS = {"cpu": (75.0, 4), "gpu": (60.0, 32)}
"""Minutes, portraits a batch (two driven frames each)."""

OWN = ("portrait", "own matte")
KEPT = ("fine", "coarse", "warped", "truth")
MIRRORED_COARSE = (0, 2, 5, 8)
"""Coarse planes that change sign in a mirror: what moved sideways, canonical x, both normals' x."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a run is made of; the last three are for ablations."""

    seed: int = 0
    minutes: float = 75.0
    rate: float = 6e-4  # of learning, at its highest
    most_steps: int = 0  # where given, the run is this long instead
    portraits: int = 4
    adversarial_from: float = 0.6  # share of the run after which the discriminator joins
    volume: bool = True
    augmentation: bool = True
    detail: bool = True  # gradient, energy and adversarial terms


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Portraits, and driven frames of them in windows; `owner` says whose each frame is. Pictures are -1 to 1."""

    seen: Seen
    owner: Tensor
    portrait: Float[Tensor, "pair 3 high wide"]
    matte: Float[Tensor, "pair 1 high wide"]
    warped: Float[Tensor, "pair 3 high wide"]
    truth: Float[Tensor, "pair 3 high wide"]
    fine: Float[Tensor, "pair fine high wide"]
    coarse: Float[Tensor, "pair coarse half_high half_wide"]


# ---- pictures as they may look ---------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Look:
    """A colour treatment that portrait, warp and truth share: film, grading, paint, drawing."""

    matrix: Array
    gain: Array
    offset: Array
    gamma: float
    contrast: float
    posterised: int
    smoothed: int
    sharpened: float

    def __call__(self, picture: Array) -> Array:
        """The picture, uint8, treated."""
        if self.smoothed:
            picture = cv2.medianBlur(picture, self.smoothed)
        x = picture.astype(np.float32)
        if self.sharpened:
            x = x + self.sharpened * (x - cv2.GaussianBlur(x, (0, 0), 1.2))
        x = (x @ self.matrix - 128) * self.contrast + 128
        x = 255 * (np.clip(x * self.gain + self.offset, 0, 255) / 255) ** self.gamma
        return (np.round(x / 255 * self.posterised) / self.posterised * 255 if self.posterised else x).astype(
            np.float32
        )


def random_look(rng: np.random.Generator) -> Look:
    """From nearly untouched to black and white, tinted, posterised or smoothed like paint."""
    kind = rng.random()
    saturation = rng.uniform(0.3, 1.5) if kind < 0.8 else (0.0 if kind < 0.9 else 1.0)
    grey = np.outer(np.ones(3), [0.30, 0.59, 0.11]).T
    mix = np.eye(3) + 0.06 * rng.normal(size=(3, 3))
    matrix = (saturation * np.eye(3) + (1 - saturation) * grey) @ mix
    return Look(
        matrix=matrix.astype(np.float32),
        gain=np.exp(0.09 * rng.normal(size=3) + 0.1 * rng.normal()).astype(np.float32),
        offset=(6 * rng.normal(size=3) + 8 * rng.normal()).astype(np.float32),
        gamma=float(np.exp(0.22 * rng.normal())),
        contrast=float(rng.uniform(0.75, 1.35)),
        posterised=int(rng.integers(5, 14)) if rng.random() < 0.08 else 0,
        smoothed=int(rng.choice([3, 5])) if rng.random() < 0.12 else 0,
        sharpened=float(rng.uniform(0.3, 1.2)) if rng.random() < 0.25 else 0.0,
    )


def plain(picture: Array) -> Array:
    """No treatment."""
    return picture.astype(np.float32)


# ---- batches ---------------------------------------------------------------------------------------------------------
def sample(pairs: Pairs, rng: np.random.Generator, recipe: Recipe, window_px: int) -> dict[str, Array]:
    """A portrait and two windows of frames it is driven to, perhaps mirrored and recoloured."""
    look = random_look(rng) if recipe.augmentation else plain
    both = rng.permutation(len(pairs.truth))[:2]
    span = FINE_PX - window_px
    portrait = look(pairs.crop)
    matte = pairs.matte[None].astype(np.float32) / 255
    out: dict[str, list[Array]] = {name: [] for name in (*KEPT, *OWN)}
    for k in both:
        top, left = (4 * int(np.clip(rng.triangular(-0.15, 0.5, 1.15), 0, 1) * span / 4) for _ in range(2))
        window = np.s_[top : top + window_px, left : left + window_px]
        half = np.s_[:, top // 2 : (top + window_px) // 2, left // 2 : (left + window_px) // 2]
        out["portrait"].append(planes(portrait[window]))
        out["own matte"].append(matte[:, *window])
        out["warped"].append(planes(look(pairs.warped[k])[window]))
        out["truth"].append(planes(look(pairs.truth[k])[window]))
        out["fine"].append(pairs.fine[k][:, *window].astype(np.float32) / 255)
        out["coarse"].append(pairs.coarse[k][half])
    stacked = {name: np.stack(values) for name, values in out.items()}
    seen = {
        "crop": planes(portrait),
        "matte": matte,
        "depth": pairs.depth[None],
        "rotation": pairs.rotation,
        "translation": pairs.translation,
        "scale_px": pairs.camera_scale[0],
    }
    return mirrored(seen | stacked) if rng.random() < 0.5 else seen | stacked


def planes(picture: Float[Array, "high wide 3"]) -> Float[Array, "3 high wide"]:
    """0..255 with channels last to -1..1 with channels first."""
    return np.ascontiguousarray(np.moveaxis(picture / np.float32(127.5) - 1, -1, 0), np.float32)


def mirrored(drawn: dict[str, Array]) -> dict[str, Array]:
    """Everything as in a mirror: pictures flipped, sideways numbers negated."""
    flipped = {name: value[..., ::-1] if np.ndim(value) >= 3 else value for name, value in drawn.items()}
    flipped["coarse"] = flipped["coarse"].copy()
    flipped["coarse"][:, MIRRORED_COARSE] *= -1
    mirror = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
    flipped["rotation"] = mirror @ drawn["rotation"] @ mirror
    flipped["translation"] = mirror @ drawn["translation"]
    return flipped


def batch_of(samples: list[dict[str, Array]]) -> Batch:
    """Samples side by side; their driven frames end to end."""
    stacked = {name: torch.from_numpy(np.stack([s[name] for s in samples])) for name in samples[0]}
    seen = Seen(**{field.name: stacked[field.name] for field in fields(Seen)})
    frames = {name.removeprefix("own "): stacked[name].flatten(0, 1).contiguous() for name in (*KEPT, *OWN)}
    owner = torch.arange(len(samples)).repeat_interleave(stacked["truth"].shape[1])
    return Batch(seen=seen, owner=owner, **frames)


def moved(batch: Batch, device: str) -> Batch:
    """The batch in another memory."""
    seen = Seen(**{field.name: getattr(batch.seen, field.name).to(device) for field in fields(Seen)})
    tensors = {field.name: getattr(batch, field.name) for field in fields(Batch) if field.name != "seen"}
    return Batch(seen=seen, **{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})


class Feeder:
    """Batches made in threads ahead of the training; files that appear while it runs are found."""

    def __init__(self, folder: Path, recipe: Recipe, threads: int = 1, ahead: int = 6, first: int = 0) -> None:
        self.folder, self.recipe, self.window_px = folder, recipe, WINDOWS_PX[0]
        self.ready: queue.Queue[Batch] = queue.Queue(ahead)
        for number in range(first, first + threads):  # each draws differently, in other processes too
            threading.Thread(target=self._fill, args=(number,), daemon=True).start()

    def _fill(self, number: int) -> None:
        rng = np.random.default_rng([self.recipe.seed, number, int(time.time())])
        files: list[Path] = []
        for turn in range(10**9):
            if turn % 200 == 0:
                files = sorted(path for path in self.folder.glob("*.npz") if ".part." not in path.name)
            chosen = rng.choice(len(files), self.recipe.portraits)
            self.ready.put(batch_of([sample(load_pairs(files[k]), rng, self.recipe, self.window_px) for k in chosen]))

    def __call__(self) -> Batch:
        return self.ready.get()


# ---- losses ----------------------------------------------------------------------------------------------------------
def weight_of(batch: Batch) -> Float[Tensor, "pair 1 high wide"]:
    """What a viewer looks at counts more: the mouth five times, the eyes three times as much as the rest."""
    face, mouth = batch.fine[:, 1:2], opened(batch)
    x, y, z = (
        F.interpolate(batch.coarse[:, k : k + 1] * CANONICAL_CM, scale_factor=2.0, mode="nearest") for k in (2, 3, 4)
    )
    lips = torch.exp(-((x / 2.9) ** 2 + ((y + 3.2) / 2.0) ** 2)) * (z > 5)
    eyes = torch.exp(-(((x.abs() - 3.1) / 1.6) ** 2 + ((y - 3.3) / 1.1) ** 2)) * (z > 3)
    eyes = torch.maximum(eyes * (face > 0.1), batch.fine[:, 4:5])
    return 0.7 + 5 * torch.maximum(lips * (face > 0.1), mouth) + 2.5 * eyes + 0.6 * face


def opened(batch: Batch) -> Float[Tensor, "pair 1 high wide"]:
    """The open mouth and a little around it."""
    return F.max_pool2d(batch.fine[:, 3:4], 5, 1, 2)


def gradient_loss(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Differences of neighbouring pixels, at two sizes."""
    total = one.new_zeros(())
    for _ in range(2):
        for axis in (-1, -2):
            total = (
                total
                + (
                    (one.diff(dim=axis) - other.diff(dim=axis)).abs() * weight.narrow(axis, 1, one.shape[axis] - 1)
                ).mean()
            )
        one, other, weight = (F.avg_pool2d(x, 2) for x in (one, other, weight))
    return total


def energy_loss(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """As much fine detail here as there, wherever exactly it lies: what L1 alone blurs away."""

    def energy(x: Tensor) -> Tensor:
        across, down = x.diff(dim=-1)[..., 1:, :], x.diff(dim=-2)[..., 1:]
        return sum((F.avg_pool2d((d**2).mean(1, keepdim=True), 8, 4) + 1e-4).sqrt() for d in (across, down))

    return ((energy(one) - energy(other)).abs() * F.avg_pool2d(weight[..., 1:, 1:], 8, 4)).mean()


def share_loss(share: Tensor, batch: Batch) -> Tensor:
    """The price of painting, or of leaving the portrait unmoved, where the warp has the portrait's own skin."""
    mouth = opened(batch)
    skin = batch.fine[:, 2:3] * (1 - mouth)
    moved = F.interpolate(batch.coarse[:, :2].abs().sum(1, keepdim=True), scale_factor=2.0).mul(10).clamp(0, 1)
    lips = (weight_of(batch) > 3).float()
    painted, unmoved = share[:, 2:], share[:, 1:2]
    dear = (painted * skin * (1 - 0.6 * lips)).mean() + 0.5 * (unmoved * skin * moved).mean()
    return dear + 0.15 * (painted * (1 - mouth)).mean()


class Discriminator(nn.Module):
    """Is this piece of a face a render or put together? Told where mouth and eyes are (PatchGAN, Isola et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (6, 40, 80, 128)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, pieces: Tensor) -> Tensor:
        return self.body(pieces).float()


def cut_pieces(pictures: list[Tensor], batch: Batch, generator: torch.Generator) -> list[Tensor]:
    """Of each frame a piece around the mouth and one from anywhere, at the same places in all pictures."""
    weight = weight_of(batch)[:, 0]
    rows, columns = (torch.arange(n, dtype=torch.float32, device=weight.device) for n in weight.shape[1:])
    heavy = torch.where(weight > 3, weight, 0) + 1e-6
    total = heavy.sum((1, 2))
    middle = torch.stack([(heavy.sum(2) * rows).sum(1) / total, (heavy.sum(1) * columns).sum(1) / total], 1)
    last = weight.shape[-1] - CUT_PX
    anywhere = torch.randint(0, last + 1, middle.shape, generator=generator)
    corners = torch.cat([(middle - CUT_PX / 2).long().clamp(0, last).cpu(), anywhere]).tolist()
    places = [(k % len(weight), y, x) for k, (y, x) in enumerate(corners)]
    return [torch.stack([p[k, :, y : y + CUT_PX, x : x + CUT_PX] for k, y, x in places]) for p in pictures]


# ---- the run ---------------------------------------------------------------------------------------------------------
def frame_of(networks: FaceNetworks, batch: Batch, recipe: Recipe) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frame, warp after flow and gain, painting and shares; networks in bfloat16 where the machine gains by it."""
    with torch.autocast(batch.truth.device.type, torch.bfloat16):
        volume = networks.appearance(batch.seen)
    volume = volume.float() if recipe.volume else torch.zeros_like(volume, dtype=torch.float32)
    features = found_at(volume[batch.owner], batch.coarse[:, 2:5])
    with torch.autocast(batch.truth.device.type, torch.bfloat16):
        answer = networks.refinement(batch.warped, batch.portrait, batch.fine, batch.coarse, features)
    answer = bounded(answer, batch.fine, batch.coarse, batch.matte)
    frame, lit = composed(answer, batch.warped, batch.portrait)
    return frame, lit, answer.painted, shares(answer)


class Trainer:
    """Networks, their running average, discriminator and optimisers."""

    def __init__(self, recipe: Recipe, device: str = CPU, together: Together = ALONE) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.together = recipe, device, together
        self.networks = FaceNetworks().to(device)
        self.networks.refinement.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.networks).requires_grad_(False)
        self.judge = Discriminator().to(device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(self.networks.parameters(), lr=6e-4, betas=(0.9, 0.99), weight_decay=1e-4)
        self.judge_optimiser = torch.optim.AdamW(self.judge.parameters(), lr=4e-4, betas=(0.5, 0.99))
        self.generator = torch.Generator().manual_seed(recipe.seed + together.rank)
        self.steps, self.seconds = 0, 0.0
        self.sums: dict[str, float] = {}

    @property
    def progress(self) -> float:
        """The share of the run that is done."""
        if self.recipe.most_steps:
            return self.steps / self.recipe.most_steps
        return self.seconds / 60 / self.recipe.minutes

    def step(self, batch: Batch) -> None:
        """One batch forward and back."""
        start, batch = time.perf_counter(), moved(batch, self.device)
        rate = (
            self.recipe.rate * min(1, (self.steps + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * min(self.progress, 1)))
            + 1e-5
        )
        self.optimiser.param_groups[0]["lr"] = rate
        frame, lit, painted, share = frame_of(self.networks, batch, self.recipe)
        terms = self._terms(frame, lit, painted, share, batch)
        if self.recipe.detail and self.progress > self.recipe.adversarial_from:
            terms |= self._contest(frame, batch)
        loss = sum(terms.values())
        self.optimiser.zero_grad()
        loss.backward()
        self.together.average(self.networks)
        norm = nn.utils.clip_grad_norm_(self.networks.parameters(), 0.5)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._follow()
        for name, value in {**terms, "warp alone": (batch.warped - batch.truth).abs().mean()}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        self.steps += 1
        self.seconds = self.together.agreed(self.seconds + time.perf_counter() - start)

    def _terms(self, frame: Tensor, lit: Tensor, painted: Tensor, share: Tensor, batch: Batch) -> dict[str, Tensor]:
        weight, truth = weight_of(batch), batch.truth
        terms = {
            "reconstruction": 0.7 * ((frame - truth).abs() * weight).mean(),
            "painting": 0.3 * ((painted - truth).abs() * weight).mean(),
            "shares": 0.35 * share_loss(share, batch),
            "warp": 0.3 * ((lit - truth).abs() * batch.fine[:, 2:3]).mean(),
        }
        if self.recipe.detail:
            terms["gradients"] = 0.6 * gradient_loss(frame, truth, weight)
            terms["energy"] = 0.7 * energy_loss(frame, truth, weight)
        return terms

    def _contest(self, frame: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The discriminator learns from this batch; what it thinks of the frames is the adversarial loss."""
        told = torch.cat([batch.fine[:, 3:5], batch.fine[:, 1:2]], 1)
        made, true, where = cut_pieces([frame, batch.truth, told], batch, self.generator)
        with torch.autocast(frame.device.type, torch.bfloat16):
            real, fake = self.judge(torch.cat([true, where], 1)), self.judge(torch.cat([made.detach(), where], 1))
        hinge = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        self.judge_optimiser.zero_grad()
        hinge.backward()
        self.together.average(self.judge)
        self.judge_optimiser.step()
        self.judge.requires_grad_(False)
        with torch.autocast(frame.device.type, torch.bfloat16):
            opinion = -self.judge(torch.cat([made, where], 1)).mean()
        self.judge.requires_grad_(True)
        ramp = min(1.0, (self.progress - self.recipe.adversarial_from) / 0.05)
        return {"adversarial": 0.03 * ramp * opinion}

    def _follow(self) -> None:
        keep = min(0.997, 1 - 1 / (0.1 * self.steps + 1.1))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.networks.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)

    def save(self, folder: Path) -> None:
        """State to go on from, and the averaged weights as they ship (half precision)."""
        state = {name: getattr(self, name).state_dict() for name in STATES}
        torch.save(state | {"steps": self.steps, "seconds": self.seconds}, folder / "state.partial")
        (folder / "state.partial").replace(folder / "state.pt")
        save_networks(self.average, folder / "face.safetensors")

    def resume(self, folder: Path, start: Path | None = None) -> None:
        """Goes on where a run in this folder stopped; one that has not begun starts with the weights in a file."""
        if start and not (folder / "state.pt").is_file():
            weights = load_networks(start).state_dict()
            for networks in (self.networks, self.average):
                networks.load_state_dict({name: value.float() for name, value in weights.items()})
        if (folder / "state.pt").is_file():
            state = torch.load(folder / "state.pt", weights_only=True, map_location=self.device)
            for name in STATES:
                getattr(self, name).load_state_dict(state[name])
            self.steps, self.seconds = state["steps"], state["seconds"]


STATES = ("networks", "average", "judge", "optimiser", "judge_optimiser")


def save_networks(networks: FaceNetworks, path: Path) -> None:
    """The weight file that `refinement.load_networks` reads."""
    tensors = {name: value.to("cpu", torch.float16).contiguous() for name, value in networks.state_dict().items()}
    half = path.with_suffix(".partial")
    save_file(tensors, half, {"kind": "vasa face decoder"})
    half.replace(path)


# ---- held-out people -------------------------------------------------------------------------------------------------
def judged(networks: FaceNetworks, folder: Path, recipe: Recipe, most: int = 24) -> dict[str, dict[str, float]]:
    """PSNR (dB) by region of held-out people's driven frames, warped alone and refined, and sharpness against truth."""
    sums: dict[str, list[float]] = {}
    for path in sorted(folder.glob("*.npz"))[:most]:
        drawn = whole(load_pairs(path))
        device = next(networks.parameters()).device.type
        batch = moved(batch_of([drawn]), device)
        with torch.no_grad():
            frame, _, _, _ = frame_of(networks, batch, recipe)
        for name, picture in (("warped", batch.warped), ("refined", frame)):
            for region, mask in regions(batch).items():
                error = (((picture - batch.truth) * 127.5) ** 2).mean(1, keepdim=True)
                sums.setdefault(f"{region} {name}", []).append(float((error * mask).sum() / mask.sum().clamp(min=1)))
            detail = laplacian(picture, batch.fine[:, 1:2]) / laplacian(batch.truth, batch.fine[:, 1:2])
            sums.setdefault(f"sharpness {name}", []).append(float(detail))
    table: dict[str, dict[str, float]] = {}
    for key, values in sums.items():
        region, name = key.rsplit(" ", 1)
        mean = float(np.mean(values))
        table.setdefault(region, {})[name] = mean if region == "sharpness" else 10 * math.log10(255**2 / mean)
    return table


def whole(pairs: Pairs) -> dict[str, Array]:
    """All driven frames of a portrait but the portrait itself, uncut and untreated."""
    count = len(pairs.truth) - 1
    portrait = planes(pairs.crop.astype(np.float32))
    return {
        "crop": portrait,
        "matte": pairs.matte[None].astype(np.float32) / 255,
        "depth": pairs.depth[None],
        "rotation": pairs.rotation,
        "translation": pairs.translation,
        "scale_px": pairs.camera_scale[0],
        "portrait": np.repeat(portrait[None], count, 0),
        "own matte": np.repeat(pairs.matte[None, None].astype(np.float32) / 255, count, 0),
        "warped": np.stack([planes(x.astype(np.float32)) for x in pairs.warped[1:]]),
        "truth": np.stack([planes(x.astype(np.float32)) for x in pairs.truth[1:]]),
        "fine": pairs.fine[1:].astype(np.float32) / 255,
        "coarse": pairs.coarse[1:],
    }


def regions(batch: Batch) -> dict[str, Tensor]:
    """Masks by name."""
    weight, face, shown = weight_of(batch), batch.fine[:, 1:2], batch.fine[:, 2:3]
    return {
        "whole": torch.ones_like(face),
        "mouth": (weight > 3).float(),
        "skin": shown * (1 - opened(batch)),
        "elsewhere": 1 - face,
    }


def laplacian(picture: Tensor, mask: Tensor) -> Tensor:
    """Variance of the Laplacian of the luma within the mask: how sharp it is."""
    luma = (picture * 127.5 * torch.tensor([0.299, 0.587, 0.114], device=picture.device).view(1, 3, 1, 1)).sum(
        1, keepdim=True
    )
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    edges = F.conv2d(luma, kernel, padding=1)
    inner = -F.max_pool2d(-mask, 7, 1, 3)
    return ((edges**2) * inner).sum() / inner.sum().clamp(min=1)


def train(
    pairs: Path,
    held: Path,
    out: Path,
    recipe: Recipe,
    save_every_s: float = 300.0,
    device: str = CPU,
    threads: int = 1,
    together: Together = ALONE,
    start: Path | None = None,
) -> None:
    """Trains for the recipe's minutes of work, saving and judging now and then; a new run begins with the weights in
    `start`, if given.

    Of processes together each draws its share of a batch itself; the first saves and judges.
    """
    if not any(pairs.glob("*.npz")):
        raise BadOption(f"{pairs} holds no training pairs: make them with python -m vasa_core.train.pairs.")
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, device, together)
    trainer.resume(out, start)
    share = replace(recipe, portraits=together.share(recipe.portraits))
    feed = Feeder(pairs, share, threads, first=together.rank * threads)
    saved, counted = trainer.seconds, trainer.steps
    with tqdm(
        total=100.0, initial=100 * min(trainer.progress, 1), unit="%", mininterval=20, disable=not together.leads
    ) as bar:
        while trainer.progress < 1:
            feed.window_px = WINDOWS_PX[trainer.progress > recipe.adversarial_from]
            trainer.step(feed())
            bar.update(max(0.0, 100 * min(trainer.progress, 1) - bar.n))
            if trainer.seconds - saved > save_every_s or trainer.progress >= 1:
                trainer.sums = together.mean(trainer.sums)
                if together.leads:
                    trainer.save(out)
                    log(out, trainer, held, trainer.steps - counted)
                saved, counted, trainer.sums = trainer.seconds, trainer.steps, {}


def log(out: Path, trainer: Trainer, held: Path, steps: int) -> None:
    """A line of log.jsonl: steps, minutes, losses, and what held-out people get."""
    losses = {name: round(total / max(steps, 1), 5) for name, total in trainer.sums.items()}
    table = judged(trainer.average, held, trainer.recipe)
    entry = {"steps": trainer.steps, "minutes": round(trainer.seconds / 60, 2), "losses": losses, "held_out": table}
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    short = {region: [round(v, 2) for v in values.values()] for region, values in table.items()}
    print(f"{trainer.steps} steps, {trainer.seconds / 60:.1f} min, {losses}, {short}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m vasa_core.train.face", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/face"))
    parser.add_argument("--pairs", type=Path, default=Path("runs/faces/pairs"))
    parser.add_argument("--held", type=Path, default=Path("runs/faces/pairs_held"))
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--minutes", type=float, help="minutes of work, instead of the preset's")
    parser.add_argument("--steps", type=int, default=0, help="steps instead of minutes: equal runs to compare")
    parser.add_argument("--start", type=Path, help="weights to begin with, as a finished run leaves them")
    parser.add_argument("--rate", type=float, default=6e-4, help="of learning, at its highest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    for part in ("volume", "augmentation", "detail"):
        parser.add_argument(f"--without-{part}", dest=part, action="store_false", help="for the ablation table")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    minutes, portraits = PRESETS[options.preset]
    recipe = Recipe(
        seed=options.seed,
        minutes=options.minutes or minutes,
        rate=options.rate,
        most_steps=options.steps,
        portraits=portraits,
        volume=options.volume,
        augmentation=options.augmentation,
        detail=options.detail,
    )
    device, feeders = (GPU, 8) if options.preset == "gpu" else (CPU, 1)
    together = joined(device)
    train(
        options.pairs,
        options.held,
        options.out,
        recipe,
        device=together.device,
        threads=feeders,
        together=together,
        start=options.start,
    )
    together.part()


if __name__ == "__main__":
    main()
