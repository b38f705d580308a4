"""Learns how one face's geometry wanders, and measures how well faces are told apart without that.

`python -m vasa_core.train.likeness` renders people of the training world, each from several distances, in several
poses, with several expressions and lights (forty people in ten minutes), reads their identity codes off, and keeps the
few directions in which the codes of one person wander most: `vasa_core/trust/likeness.safetensors`. The error rates are
cross-validated over people: one frame, as a portrait, against the mean of the others, as a capture.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import save_file
from tqdm.auto import tqdm

from vasa_core.errors import BadPortrait
from vasa_core.trust.likeness import WANDERING, raw_geometry
from vasa_core.world.darkroom import Backdrop, develop, to_bytes
from vasa_core.world.people import STUDIO, WINDOW, Camera, Look, Person, random_person
from vasa_core.world.renderer import Renderer

DIRECTIONS = 4
FOLDS = 5
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {"mouthSmile": 0.15},
    {"jawOpen": 0.5},
    {"mouthSmile": 0.8, "browInnerUp": 0.3},
    {"mouthPucker": 0.5, "jawOpen": 0.2},
)

Codes = Float[np.ndarray, "person frame identity"]


def frames_of(renderer: Renderer, person: Person, rng: np.random.Generator) -> list[np.ndarray]:
    """The person as a portrait, then as a camera may see the person on another day."""
    figure, pictures = renderer.dress(person), []
    for number, expression in enumerate(EXPRESSIONS):
        look, camera = Look(expression=dict(expression)), Camera()
        if number == 0:
            rest = renderer.kit.shape(person.identity, look.expression)
            look = replace(look, expression={**look.expression, **renderer.kit.closing(rest)})
        else:
            yaw, pitch, roll = rng.uniform((-18, -12, -8), (18, 12, 8))
            look = replace(look, yaw=yaw, pitch=pitch, roll=roll)
            camera = Camera(distance=rng.uniform(60, 150), x=rng.uniform(-2, 2), view=rng.uniform(34, 44))
        shot = renderer.shoot(figure, look, STUDIO if number % 2 == 0 else WINDOW, camera, 3)
        backdrop = Backdrop(center=tuple(rng.uniform(0.05, 0.4, 3)), edge=(0.05, 0.05, 0.06))
        pictures.append(to_bytes(develop(shot, backdrop, 1.0)))
    figure.release()
    return pictures


def codes_of(count: int, first_seed: int, progress: bool = True) -> Codes:
    """Identity codes of people in several frames each; who is not found in all of them is left out."""
    renderer, codes = Renderer(384, texture=512), []
    for seed in tqdm(range(first_seed, first_seed + count), unit="person", disable=not progress):
        try:
            pictures = frames_of(renderer, random_person(seed), np.random.default_rng(seed))
            codes.append([raw_geometry(picture) for picture in pictures])
        except BadPortrait:
            continue
    return np.array(codes, np.float32)


def wandering(codes: Codes, directions: int = DIRECTIONS) -> Float[np.ndarray, "direction identity"]:
    """The orthonormal directions in which the codes of one person vary most."""
    apart = (codes - codes.mean(1, keepdims=True)).reshape(-1, codes.shape[-1])
    return np.linalg.svd(apart, full_matrices=False)[2][:directions].astype(np.float32)


def distances(codes: Codes, directions: int = DIRECTIONS) -> tuple[np.ndarray, np.ndarray]:
    """Distances portrait to capture of the same and of different people, each judged by what others taught."""
    same, different = [], []
    for fold in range(FOLDS):
        judged = np.arange(len(codes)) % FOLDS == fold
        taught = wandering(codes[~judged], directions) if directions else np.zeros((1, codes.shape[-1]))
        kept = codes[judged] - codes[judged] @ taught.T @ taught
        apart = np.sqrt(np.mean((kept[:, None, 0] - kept[None, :, 1:].mean(2)) ** 2, axis=-1))
        same.append(np.diag(apart))
        different.append(apart[~np.eye(len(apart), dtype=bool)])
    return np.concatenate(same), np.concatenate(different)


def rates(same: np.ndarray, different: np.ndarray, threshold: float) -> tuple[float, float]:
    """Shares of one's own face refused and of other faces accepted at this threshold."""
    return float(np.mean(same > threshold)), float(np.mean(different <= threshold))


def report(codes: Codes) -> str:
    """Error rates by threshold, with what wanders taken out and without."""
    lines = [f"{len(codes)} people, {codes.shape[1]} frames each; portrait against the mean of the others"]
    for directions in (0, DIRECTIONS):
        same, different = distances(codes, directions)
        lines.append(f"{directions} directions taken out: threshold, own face refused, other face accepted")
        for threshold in np.quantile(same, (0.5, 0.75, 0.85, 0.9, 0.95, 1.0)):
            refused, accepted = rates(same, different, threshold)
            lines.append(f"  {threshold:.3f}  {refused:5.1%}  {accepted:5.1%}")
    return "\n".join(lines)


def main() -> None:
    """Renders, learns, keeps and reports."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.likeness")
    options.add_argument("--people", type=int, default=40)
    options.add_argument("--seed", type=int, default=5000)
    options.add_argument("--codes", type=Path, help="a file of codes from an earlier run; made there if it is missing")
    chosen = options.parse_args()
    if chosen.codes is not None and chosen.codes.is_file():
        codes = np.load(chosen.codes)
    else:
        codes = codes_of(chosen.people, chosen.seed)
        if chosen.codes is not None:
            np.save(chosen.codes, codes)
    save_file({"wandering": wandering(codes)}, WANDERING)
    print(report(codes))


if __name__ == "__main__":
    main()
