"""Learns what a single look tells of a face: `python -m vasa_core.train.encoders --train DIR --held DIR`.

Truth comes from rendered people: what MediaPipe sees of them, and who they are, where they look and what they do. The
paper's losses by their names (section 3.1), with truth in place of a proxy: reconstruction; pairwise transfer (who one
look shows with what another look of the same person does); cross-identity (two looks of one person tell the same
identity code, two people with one expression the same dynamics). Half of each batch is our own surface, posed at
random before cameras at 45 to 250 cm, with MediaPipe's errors on rendered people laid over it.

Looking at the renders resumes where it stopped; the training after it takes a few minutes and starts anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.numpy import save_file
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.encoders import OUTPUTS, LookEncoder, aligned_features, encode_landmarks, load_look_encoder
from vasa_core.errors import BadPortrait
from vasa_core.geometry import rotation, rotation_vector
from vasa_core.landmarks import CROP_OVER_FACE, CROP_PX, crop_face
from vasa_core.latents import EXPRESSION, IDENTITY
from vasa_core.surface import LANDMARKS, Surface, load_surface
from vasa_core.train.surface import bind_landmarks, load_facekit
from vasa_core.world.facekit import data_folder, head_rotation
from vasa_core.world.shards import Group, read_shard
from vasa_core.world.truth import meant_landmarks

DIRECTIONS = 100
HIDDEN = 256
DROPOUT = 0.3
JITTER = 0.05
"""Noise on the main directions, in their own spreads: no look is quite like one that was trained on."""

PEOPLE, POSED = 64, 64
"""Pairs of looks in a batch, of rendered people and of our own surface: fewer of these told people apart better (0.49
for 0.52), but more of a turn leaked into jaw and lips."""

RATE = 1e-3
SHARES = {"reconstruction": 1.0, "pairwise": 0.5, "cross_identity": 3.0}
FARTHEST_DEG = np.array([35.0, 18.0, 12.0])  # yaw, pitch, roll of our own surface
CAMERA_CM = (45.0, 250.0)
EDIT_RAD = 0.26
"""The turn and the nod by which leaks of pose into expression are told: 15 degrees."""


@dataclass(frozen=True)
class Looks:
    """What MediaPipe saw of rendered people, aligned, and the truth in the encoder's numbers."""

    aligned: Float[np.ndarray, "look feature"]
    errors: Float[np.ndarray, "look feature"]
    """What was seen less what truly was there."""
    truth: Float[np.ndarray, "look output"]
    tilt: Float[np.ndarray, " look"]
    crops: Float[np.ndarray, "look 478 2"]
    person: Int[np.ndarray, " look"]

    def pairs(self, count: int, rng: np.random.Generator) -> Int[np.ndarray, "pair 2"]:
        """Two looks each at people drawn at random."""
        starts = np.flatnonzero(np.r_[True, np.diff(self.person) != 0])
        sizes = np.diff(np.r_[starts, len(self.person)])
        several = np.flatnonzero(sizes > 1)
        chosen = rng.choice(several, count)
        first = (rng.random(count) * sizes[chosen]).astype(int)
        second = (first + 1 + (rng.random(count) * (sizes[chosen] - 1)).astype(int)) % sizes[chosen]
        return starts[chosen][:, None] + np.stack([first, second], 1)


# ---- looking at renders -------------------------------------------------------------------------------------------


def looked_at(folder: Path, cache: Path, surface: Surface) -> Looks:
    """Every look at the people in a folder of shards; what was seen of a shard is kept in `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    who, seen = identity_projection(surface), []
    for tar in tqdm(sorted(folder.glob("shard-*.tar")), unit="shard", desc=folder.name):
        kept = cache / f"{tar.stem}.npz"
        if not tar.with_suffix(".json").exists():
            continue  # still being written
        if not kept.exists():
            rows = [row for group in read_shard(tar) for row in _rows(group, who, surface)]
            np.savez(kept, **{name: np.array([row[name] for row in rows]) for name in rows[0]})
        seen.append(dict(np.load(kept)))
    both = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
    aligned, tilt = aligned_features(both["found"].astype(np.float64), surface)
    true_aligned, _ = aligned_features(both["true"].astype(np.float64), surface)
    vectors = tilted(Rotation.from_matrix(both["turn"]), tilt)
    truth = np.concatenate([both["identity"], both["expression"], vectors, both["gaze"]], 1)
    return Looks(aligned, aligned - true_aligned, truth, tilt, both["found"], both["person"])


def _rows(group: Group, who: np.ndarray, surface: Surface) -> Iterator[dict[str, np.ndarray]]:
    """What was seen and what is true of each frame in which a face was found."""
    for k in range(len(group)):
        try:
            face = crop_face(group.picture[k])
        except BadPortrait:
            continue
        scale, shift = face.crop_from_picture[0, 0], face.crop_from_picture[:, 2]
        eye = np.array([group.camera[2], group.camera[3], 2 + group.camera[0]])
        turn = head_rotation(*(float(angle) for angle in group.pose[k]))
        yield {
            "found": face.landmarks,
            "true": ((group.landmarks[k] - 0.5) * scale + shift + 0.5).astype(np.float32),
            "turn": as_seen_from(eye - group.landmarks_cm[k][:LANDMARKS].mean(0)).T @ turn,
            "identity": group.identity @ who[: len(group.identity)],
            "expression": surface.dynamics_from_expression @ group.expression[k],
            "gaze": np.deg2rad(group.gaze[k]),
            "person": np.array(int(group.key)),
        }


def as_seen_from(toward_eye: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """The rotation that takes the camera's axis to the line of sight: a crop no longer tells where it was cut out."""
    yaw = np.arctan2(toward_eye[0], toward_eye[2])
    pitch = -np.arctan2(toward_eye[1], np.hypot(toward_eye[0], toward_eye[2]))
    return rotation(np.array([0, yaw, 0])) @ rotation(np.array([pitch, 0, 0]))


def tilted(turns: Rotation, tilt: Float[np.ndarray, " look"]) -> Float[np.ndarray, "look 3"]:
    """Rotation vectors of faces that were brought upright by this tilt in the picture."""
    return np.asarray((Rotation.from_rotvec(tilt[:, None] * (0, 0, 1)) * turns).as_rotvec())


def identity_projection(surface: Surface) -> Float[np.ndarray, "coefficient identity"]:
    """FaceKit's identity coefficients in our identity code: least squares over the landmarks."""
    folder = data_folder() / "facekit"
    kit = load_facekit(folder / "ict_face.npz")
    under = bind_landmarks(kit, np.load(folder / "mediapipe_to_facekit.npz")["vid"])
    shapes = kit.identity[:, under].reshape(len(kit.identity), -1)
    basis = surface.identity_basis[:, :LANDMARKS].reshape(IDENTITY, -1).astype(np.float64)
    return np.linalg.lstsq(basis.T, shapes.T, rcond=None)[0].T


# ---- our own surface, posed ---------------------------------------------------------------------------------------


def posed(
    looks: Looks, count: int, surface: Surface, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "look feature"], Float[np.ndarray, "look output"]]:
    """`count` pairs of looks at people who never were: each pair one person, pairs two by two with the same two
    expressions, seen as MediaPipe would err."""
    spread = looks.truth[:, OUTPUTS["identity"]].std(0)
    people = np.repeat(rng.standard_normal((count, IDENTITY)) * spread, 2, axis=0)
    acting = looks.truth[rng.integers(len(looks.truth), size=count // 2 * 2)].reshape(-1, 2, looks.truth.shape[1])
    acting = np.repeat(acting, 2, axis=0).reshape(2 * count, -1)[:, OUTPUTS["expression"]]
    basis = np.concatenate([surface.identity_basis, surface.dynamics_basis])[:, :LANDMARKS].reshape(-1, 3 * LANDMARKS)
    shapes = meant_landmarks() + (np.c_[people, acting] @ basis).reshape(-1, LANDMARKS, 3)
    angles = rng.uniform(-1, 1, (2 * count, 3)) * FARTHEST_DEG
    turns = Rotation.from_euler("ZYX", angles[:, [2, 0, 1]] * (-1, 1, 1), degrees=True)  # as facekit.head_rotation
    points = shapes @ turns.as_matrix().transpose(0, 2, 1)
    away = np.exp(rng.uniform(np.log(CAMERA_CM[0]), np.log(CAMERA_CM[1]), 2 * count))[:, None]
    pixels = points[..., :2] * (1, -1) / (1 - points[..., 2:] / away[..., None])
    irises = np.zeros((2 * count, 10, 2))  # nothing is asked about gaze here
    aligned, tilt = aligned_features(np.concatenate([pixels, irises], 1), surface)
    errors = looks.errors[looks.pairs(count, rng).ravel()]  # MediaPipe errs on one person much alike
    truth = np.concatenate([people, acting, tilted(turns, tilt), np.full((2 * count, 2), np.nan)], 1)
    aligned[:, 2 * LANDMARKS :] = looks.aligned[:, 2 * LANDMARKS :].mean(0)
    return aligned + errors, truth


# ---- learning -----------------------------------------------------------------------------------------------------


class Network(nn.Module):
    """`encoders.LookEncoder` while it learns; it starts as ridge regression."""

    def __init__(self, looks: Looks, generator: torch.Generator) -> None:
        super().__init__()
        mean = looks.aligned.mean(0)
        _, s, vt = np.linalg.svd(looks.aligned - mean, full_matrices=False)
        inlet = vt[:DIRECTIONS].T / (s[:DIRECTIONS] / np.sqrt(len(looks.aligned)))
        x, usual = (looks.aligned - mean) @ inlet, looks.truth.mean(0)
        ridge = np.linalg.solve(x.T @ x + 100 * np.eye(DIRECTIONS), x.T @ (looks.truth - usual))
        start = {"mean": mean, "inlet": inlet, "skip": ridge, "skip_bias": usual}
        sizes = {"first": (DIRECTIONS, HIDDEN), "second": (HIDDEN, HIDDEN), "last": (HIDDEN, looks.truth.shape[1])}
        for name, shape in sizes.items():
            scale = 0.0 if name == "last" else shape[0] ** -0.5
            start[name] = scale * torch.randn(shape, generator=generator).numpy()
            start[f"{name}_bias"] = np.zeros(shape[1])
        fixed = ("mean", "inlet")
        for name, values in start.items():
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=name not in fixed))

    def forward(self, aligned: Float[Tensor, "look feature"], generator: torch.Generator) -> Tensor:
        x = (aligned - self.mean) @ self.inlet
        x = x + JITTER * torch.randn(x.shape, generator=generator)
        hidden = x
        for name in ("first", "second"):
            hidden = nn.functional.silu(hidden @ getattr(self, name) + getattr(self, f"{name}_bias"))
            kept = torch.rand(hidden.shape, generator=generator) >= DROPOUT
            hidden = hidden * kept / (1 - DROPOUT)
        return x @ self.skip + self.skip_bias + hidden @ self.last + self.last_bias

    def encoder(self, surface: Surface) -> LookEncoder:
        """What was learned so far."""
        return LookEncoder({n: p.detach().double().numpy() for n, p in self.named_parameters()}, surface)


def losses(told: Tensor, truth: Tensor, shape: Float[Tensor, "code code"]) -> dict[str, Tensor]:
    """The three terms for pairs of looks [pair, 2, output]; `shape` measures codes by what they do to the surface."""
    codes = slice(0, IDENTITY + EXPRESSION)
    identity, expression = OUTPUTS["identity"], OUTPUTS["expression"]
    off = told - truth
    gaze = torch.nan_to_num(off[..., OUTPUTS["gaze"]])
    who = off[..., identity]

    def moved(difference: Tensor) -> Tensor:
        return ((difference @ shape) * difference).sum(-1).mean()

    def told_apart(difference: Tensor, place: slice) -> Tensor:
        part = shape[place, place]
        return ((difference @ part) * difference).sum(-1).mean()

    swapped = torch.cat([off[..., identity].flip(1), off[..., expression]], -1)
    one_person = told[:, 0, identity] - told[:, 1, identity]
    turns = 10 * (off[..., OUTPUTS["turn"]] ** 2).sum(-1).mean() + 3 * (gaze**2).sum(-1).mean()
    parts = told_apart(who, identity) + told_apart(off[..., expression], expression)
    return {
        "reconstruction": 0.5 * moved(off[..., codes]) + parts + 0.15 * (who**2).mean() + turns,
        "pairwise": moved(swapped),
        "cross_identity": told_apart(one_person, identity) + 0.15 * (one_person**2).mean(),
    }


def same_expression(told: Tensor, shape: Float[Tensor, "code code"]) -> Tensor:
    """How far two people with one expression are told apart by their dynamics; `posed` puts them two by two."""
    place = OUTPUTS["expression"]
    dynamics = told[..., place].reshape(-1, 2, 2, EXPRESSION)
    difference = dynamics[:, 0] - dynamics[:, 1]
    return ((difference @ shape[place, place]) * difference).sum(-1).mean()


def trained(looks: Looks, surface: Surface, shares: dict[str, float], steps: int, seed: int) -> LookEncoder:
    """The encoder after `steps` batches; the same seed gives the same encoder."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    network = Network(looks, generator)
    basis = np.concatenate([surface.identity_basis, surface.dynamics_basis])[:, :LANDMARKS]
    flat = torch.tensor(basis.reshape(len(basis), -1), dtype=torch.float32)
    shape = 20 * flat @ flat.T / LANDMARKS
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], RATE, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: min(1, (k + 1) / 50) * (1 - k / steps))
    bar = tqdm(range(steps), unit="step")
    for _ in bar:
        pairs = looks.pairs(PEOPLE, rng).ravel()
        ours, ours_truth = posed(looks, POSED, surface, rng)
        seen = torch.tensor(np.concatenate([looks.aligned[pairs], ours]), dtype=torch.float32)
        truth = torch.tensor(np.concatenate([looks.truth[pairs], ours_truth]), dtype=torch.float32)
        told = network(seen, generator).reshape(PEOPLE + POSED, 2, -1)
        terms = losses(told, truth.reshape(PEOPLE + POSED, 2, -1), shape)
        terms["cross_identity"] = terms["cross_identity"] + same_expression(told[PEOPLE:], shape)
        loss = torch.stack([shares[name] * term for name, term in terms.items()]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        bar.set_postfix({name: f"{term.item():.3f}" for name, term in terms.items()}, refresh=False)
    return network.encoder(surface)


# ---- judging ------------------------------------------------------------------------------------------------------


def figures(codes: np.ndarray, looks: Looks, surface: Surface) -> dict[str, float]:
    """What held-out people show of codes told in the encoder's numbers [look, output]."""
    who = codes[:, OUTPUTS["identity"]]
    first = np.flatnonzero(np.r_[True, np.diff(looks.person) != 0])
    at_first = first[np.cumsum(np.r_[True, np.diff(looks.person) != 0]) - 1]
    again = np.flatnonzero(at_first != np.arange(len(who)))
    drift = np.sqrt(((who[again] - who[at_first[again]]) ** 2).mean(1))
    apart = np.sqrt(((who[first][:, None] - who[first][None]) ** 2).mean(2))[~np.eye(len(first), dtype=bool)]
    found = {
        "identity_drift_ratio": float(drift.mean() / apart.mean()),
        "identity_equal_error": _equal_error(drift, apart),
    }
    told, true = (surface_numbers(c[:, OUTPUTS["expression"]], surface) for c in (codes, looks.truth))
    turns = looks.truth[:, OUTPUTS["turn"]]
    by_pose = np.concatenate([np.ones((len(turns), 1)), turns[:, :2], turns[:, :2] ** 2], 1)
    edits = np.array([[0, EDIT_RAD, 0, EDIT_RAD**2], [EDIT_RAD, 0, EDIT_RAD**2, 0]])
    for name in told:
        found[f"{name}_correlation"] = float(np.corrcoef(told[name], true[name])[0, 1])
        slope = np.linalg.lstsq(by_pose, told[name] - true[name], rcond=None)[0]
        reach = np.subtract(*np.percentile(true[name], [97.5, 2.5]))
        found[f"{name}_pose_leak"] = float(np.abs(edits @ slope[1:]).max() / reach)
    off = Rotation.from_rotvec(codes[:, OUTPUTS["turn"]]).inv() * Rotation.from_rotvec(turns)
    found["pose_error_deg"] = float(np.rad2deg(np.median(off.magnitude())))
    return found


def surface_numbers(dynamics: Float[np.ndarray, "look code"], surface: Surface) -> dict[str, np.ndarray]:
    """Jaw, lips, corners, lids and brows (cm), up is positive."""
    up = np.tensordot(dynamics, surface.dynamics_basis[:, :LANDMARKS, 1], 1)
    return {
        "jaw": up[:, 152],
        "lips": up[:, 13] - up[:, 14],
        "corners": up[:, 61] + up[:, 291],
        "lids": up[:, 159] - up[:, 145] + up[:, 386] - up[:, 374],
        "brows": up[:, 105] + up[:, 334] + up[:, 55] + up[:, 285],
    }


def _equal_error(same: np.ndarray, different: np.ndarray) -> float:
    """The error rate at the threshold where as many are wrongly told apart as wrongly taken for one."""
    thresholds = np.quantile(np.concatenate([same, different]), np.linspace(0, 1, 400))
    return float(min(max((same > t).mean(), (different <= t).mean()) for t in thresholds))


def by_least_squares(looks: Looks, surface: Surface) -> Float[np.ndarray, "look output"]:
    """What `encode_landmarks` tells of the same looks, for comparison."""
    told = []
    for crop, tilt in zip(looks.crops, looks.tilt, strict=True):
        low, high = crop[:LANDMARKS].min(0), crop[:LANDMARKS].max(0)
        scale = CROP_PX / CROP_OVER_FACE / float((high - low).max())
        centred = ((crop - (low + high) / 2) * scale + CROP_PX / 2).astype(np.float32)
        codes = encode_landmarks(centred, surface, (CROP_PX / 2, CROP_PX / 2))
        turn = rotation_vector(rotation(np.array([0, 0, tilt], np.float32)) @ codes.rotation)
        expression, gaze = np.split(codes.facial_dynamics, [EXPRESSION])
        told.append(np.concatenate([codes.identity_code, expression, turn, gaze]))
    return np.array(told)


def main() -> None:
    """Looks, learns, judges on held-out people and keeps what was learned."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.encoders")
    options.add_argument("--train", type=Path, required=True, help="folder of shards to learn from")
    options.add_argument("--held", type=Path, required=True, help="folder of shards to be judged by")
    options.add_argument("--cache", type=Path, default=Path("runs/looks"), help="where what was seen is kept")
    options.add_argument("--out", type=Path, default=assets.FOLDER / "weights" / "encoders.safetensors")
    options.add_argument("--steps", type=int, default=1200)
    options.add_argument("--seed", type=int, default=0)
    for name in SHARES:
        options.add_argument(f"--no-{name.replace('_', '-')}", dest=name, action="store_false", help="for the ablation")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    surface = load_surface(assets.weights("surface.safetensors"))
    looks = looked_at(chosen.train, chosen.cache / chosen.train.name, surface)
    held = looked_at(chosen.held, chosen.cache / chosen.held.name, surface)
    shares = {name: share * getattr(chosen, name) for name, share in SHARES.items()}
    encoder = trained(looks, surface, shares, chosen.steps, chosen.seed)
    save_file({n: np.ascontiguousarray(w, np.float32) for n, w in encoder.weights.items()}, chosen.out)
    encoder = load_look_encoder(chosen.out, surface)
    report = {
        "looks": len(looks.person),
        "learned": figures(encoder.numbers(held.aligned), held, surface),
        "least squares": figures(by_least_squares(held, surface), held, surface),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
