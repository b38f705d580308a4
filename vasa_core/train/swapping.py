"""Faces taken apart without truth, in small: what reconstruction after a swap learns, and what two more losses add.

The paper's situation (section 3.1), with landmarks in place of pictures: clips of people of whom nothing is known but
which frames belong together, and a face recogniser. Encoders for identity, pose and dynamics, and a decoder that turns
its shape by the pose, learn from one frame of a person driven to look like another. Small enough for a notebook: a few
seconds for a run on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vasa_core.surface import LANDMARKS, Surface

EVERY = 8
"""Every so many-th landmark is seen."""

WHO, ACTS = 8, ("jawOpen", "mouthSmile", "mouthPucker", "browInnerUp", "eyeBlink", "mouthLeft")
FARTHEST_RAD = (0.45, 0.25)
"""Yaw and pitch."""

NOISE_CM = 0.02
SIZES = {"identity": 8, "pose": 2, "dynamics": 8}
"""Numbers a code has: as many as there are true ones, but for the dynamics, where there is room for more."""

HIDDEN, BATCH, RATE = 128, 96, 3e-3
SHARES = {"pairwise": 1.0, "cross_identity": 0.3}
MAIN, RIDGE = 20, 1.0
"""Directions that the recogniser looks along, and how strongly its least squares are held back."""

Points = Float[Tensor, "*batch number"]
Recogniser = Callable[[Points], Float[Tensor, "*batch who"]]


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Landmarks as seen (cm about the average face), and the truth, which no training here looks at."""

    seen: Float[np.ndarray, "person frame number"]
    who: Float[np.ndarray, "person who"]
    pose: Float[np.ndarray, "person frame 2"]
    acts: Float[np.ndarray, "person frame act"]


def film(surface: Surface, people: int, frames: int, rng: np.random.Generator) -> Clips:
    """People who never were, turning and making faces, seen from far away."""
    who = rng.standard_normal((people, WHO))
    acts = rng.beta(0.6, 1.2, (people, frames, len(ACTS)))
    pose = rng.uniform(-1, 1, (people, frames, 2)) * FARTHEST_RAD
    moves = np.stack([surface.displacement(surface.dynamics_from_weights({name: 1.0})) for name in ACTS])
    kept = slice(0, LANDMARKS, EVERY)
    shape = surface.neutral[kept] + np.tensordot(who, surface.identity_basis[:WHO, kept], 1)[:, None]
    shape = shape + np.tensordot(acts, moves[:, kept], 1)
    turned = _turned(torch.tensor(shape), torch.tensor(pose)).numpy()
    seen = turned.reshape(people, frames, -1) - surface.neutral[kept, :2].ravel()
    noisy = seen + NOISE_CM * rng.standard_normal(seen.shape)
    return Clips(seen=noisy.astype(np.float32), who=who, pose=pose, acts=acts)


def _turned(shape: Float[Tensor, "*batch point 3"], pose: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch number"]:
    """x and y of points turned by yaw, then nodded by pitch, one after the other."""
    (x, y, z), (yaw, pitch) = shape.unbind(-1), pose[..., None, :].unbind(-1)
    ahead = z * yaw.cos() - x * yaw.sin()
    across = x * yaw.cos() + z * yaw.sin()
    return torch.stack([across, y * pitch.cos() - ahead * pitch.sin()], -1).flatten(-2)


def recogniser(clips: Clips) -> Recogniser:
    """Who is seen, whatever they do: least squares over landmarks and their products, on clips with names.

    It stands for ArcFace, which the paper borrows.
    """
    flat = torch.tensor(clips.seen).flatten(0, 1)
    _, s, vt = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    inlet = vt[:MAIN].T / (s[:MAIN] / len(flat) ** 0.5)

    def features(seen: Points) -> Tensor:
        main = (seen - flat.mean(0)) @ inlet
        pairs = (main[..., :, None] * main[..., None, :])[..., *torch.triu_indices(MAIN, MAIN)]
        return torch.cat([torch.ones_like(main[..., :1]), main, pairs], -1)

    x = features(flat)
    names = torch.tensor(clips.who, dtype=torch.float32).repeat_interleave(clips.seen.shape[1], 0)
    weights = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(x.shape[1]), x.T @ names)
    return lambda seen: features(seen) @ weights


class Swapper(nn.Module):
    """Three encoders and a decoder."""

    def __init__(self, surface: Surface) -> None:
        super().__init__()
        neutral = torch.tensor(surface.neutral[:LANDMARKS:EVERY])
        self.register_buffer("neutral", neutral)
        self.encoders = nn.ModuleDict({name: _perceptron(2 * len(neutral), size) for name, size in SIZES.items()})
        self.shape = _perceptron(SIZES["identity"] + SIZES["dynamics"], 3 * len(neutral))

    def forward(self, seen: Points) -> dict[str, Tensor]:
        """The codes of what is seen."""
        return {name: encode(seen) for name, encode in self.encoders.items()}

    def decode(self, identity: Tensor, pose: Tensor, dynamics: Tensor) -> Points:
        """Landmarks of this person, turned so, doing this."""
        offset = self.shape(torch.cat([identity, dynamics], -1)).unflatten(-1, self.neutral.shape)
        return _turned(self.neutral + offset, pose) - self.neutral[:, :2].flatten()


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, outputs)
    )


def losses(model: Swapper, one: Points, other: Points, stranger: Points, who: Recogniser) -> dict[str, Tensor]:
    """The paper's terms for two frames of one person and a frame of somebody else (section 3.1)."""
    i, j, s = model(one), model(other), model(stranger)
    driven = model.decode(j["identity"], i["pose"], i["dynamics"])
    turned = model.decode(j["identity"], i["pose"], j["dynamics"])
    acted = model.decode(i["identity"], i["pose"], j["dynamics"])
    foreign = model.decode(s["identity"], i["pose"], i["dynamics"])
    alike = nn.functional.cosine_similarity(who(stranger), who(foreign), dim=-1)
    return {
        "reconstruction": ((driven - one) ** 2).mean(),
        "pairwise": ((turned - acted) ** 2).mean(),
        "cross_identity": (1 - alike).mean(),
    }


def learned(
    clips: Clips, surface: Surface, who: Recogniser, shares: Mapping[str, float], steps: int = 800, seed: int = 0
) -> Swapper:
    """What these clips teach with these shares of the added losses; the same seed gives the same model."""
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Swapper(surface)
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    seen, people, frames = torch.tensor(clips.seen), *clips.seen.shape[:2]
    for _ in range(steps):
        person, at = rng.integers(people, size=BATCH), rng.integers(frames, size=(3, BATCH))
        somebody = (person + rng.integers(1, people, BATCH)) % people
        terms = losses(model, seen[person, at[0]], seen[person, at[1]], seen[somebody, at[2]], who)
        loss = terms["reconstruction"] + sum(share * terms[name] for name, share in shares.items())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    return model.eval().requires_grad_(False)


def identity_kept(model: Swapper, clips: Clips, who: Recogniser) -> float:
    """Motion of everybody on their neighbour: how alike (cosine) the recogniser finds the result and the neighbour."""
    seen = torch.tensor(clips.seen)
    codes = model(seen)
    neighbour = torch.roll(codes["identity"], 1, 0)
    shown = model.decode(neighbour, codes["pose"], codes["dynamics"])
    return float(nn.functional.cosine_similarity(who(shown), who(torch.roll(seen, 1, 0)), dim=-1).mean())


def codes_of(model: Swapper, clips: Clips) -> dict[str, Float[np.ndarray, "look number"]]:
    """The codes of every frame, person after person."""
    return {name: code.flatten(0, 1).numpy() for name, code in model(torch.tensor(clips.seen)).items()}


def factors_of(clips: Clips) -> tuple[dict[str, Float[np.ndarray, "look number"]], Int[np.ndarray, " look"]]:
    """The truth of every frame in the same order, and whose frame it is."""
    people, frames = clips.seen.shape[:2]
    person = np.repeat(np.arange(people), frames)
    flat = {"pose": clips.pose, "acts": clips.acts}
    return {"who": clips.who[person]} | {name: v.reshape(len(person), -1) for name, v in flat.items()}, person
