"""Where MediaPipe means its landmarks to be: learned once from renders, as a shift of each on the average head.

Our surface knows the 468 points from one measured face; MediaPipe's network puts most of them a little elsewhere, on
all people alike. `learned` asks which place of the head, fixed to the skin and turning with it, its answers point at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from vasa_core.surface import LANDMARKS
from vasa_core.world import shards
from vasa_core.world.check import Detector, eye_distance
from vasa_core.world.facekit import head_rotation
from vasa_core.world.truth import SHIFT, canonical_landmarks, meeting

GROSS = 0.25  # of the eye distance: farther off is a mistake, not a meaning
ROBUST_CM = 0.2  # errors above it pull with the force of this one alone
TRUST = 0.1  # how shyly a direction is followed that few frames show (depth), as a share of the frames
ROUNDS = 8


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """Where one frame's landmarks were found off their place: `slope` takes a shift in head space to one in the
    picture, both in cm at the landmark's depth."""

    off: Float[Array, "landmark=468 2"]
    slope: Float[Array, "landmark=468 2 3"]
    used: Bool[Array, " landmark=468"]


def sightings(groups: Iterable[shards.Group], detect: Detector) -> list[Sighting]:
    """One for each frame in which a face is found."""
    out = []
    for group in groups:
        for frame in range(len(group)):
            found = detect(group.picture[frame])
            if found is not None:
                out.append(sighting(group, frame, found[:LANDMARKS, :2]))
    return out


def sighting(group: shards.Group, frame: int, found: Float[Array, "landmark=468 2"]) -> Sighting:
    """What one frame says, from where its landmarks were found (px)."""
    true, world = (values[frame, :LANDMARKS] for values in (group.landmarks, group.landmarks_cm))
    matrix = group.pixel_from_world[frame].astype(np.float64)
    depth = world @ matrix[2, :3] + matrix[2, 3]
    rotation = head_rotation(*(float(angle) for angle in group.pose[frame])).astype(np.float64)
    slope = (matrix[None, :2, :3] - true[:, :, None] * matrix[None, 2:, :3]) / depth[:, None, None] @ rotation
    per_cm = np.linalg.norm(matrix[0, :2]) / depth  # pixels
    off = (found - true) / per_cm[:, None]
    near = np.linalg.norm(found - true, axis=1) < GROSS * eye_distance(group.landmarks[frame])
    return Sighting(
        off=off.astype(np.float32),
        slope=(slope / per_cm[:, None, None]).astype(np.float32),
        used=group.visible[frame, :LANDMARKS] & near,
    )


def learned(seen: list[Sighting]) -> Float[Array, "landmark=468 3"]:
    """The shift in cm on the average head that explains most, by robust least squares; 0 where contours must meet."""
    off, slope, used = (np.array([getattr(s, name) for s in seen], np.float64) for name in ("off", "slope", "used"))
    shift = np.zeros((LANDMARKS, 3))
    for _ in range(ROUNDS):
        left = np.linalg.norm(off - np.einsum("flpa,la->flp", slope, shift), axis=2)
        weight = used * ROBUST_CM / np.maximum(left, ROBUST_CM)
        square = np.einsum("fl,flpa,flpb->lab", weight, slope, slope)
        pull = np.einsum("fl,flpa,flp->la", weight, slope, off)
        shy = TRUST * (weight.sum(0) + 1)[:, None, None] * np.eye(3)
        shift = np.linalg.solve(square + shy, pull[..., None])[..., 0]
    shift[list(meeting())] = 0
    return shift.astype(np.float32)


def learn(folders: Iterable[Path], detect: Detector, out: Path = SHIFT) -> Float[Array, "landmark=468 3"]:
    """Learn from folders of shards that were made with the table at hand, and move it by what they still show."""
    named = [folder / s["name"] for folder in folders for s in shards.read_manifest(folder)["shards"]]
    groups = (group for path in tqdm(named, unit="shard") for group in shards.read_shard(path))
    shift = load_file(out)["shift_cm"] + learned(sightings(groups, detect))
    save_file({"shift_cm": shift}, out)
    return shift


def mean_shift(shift: Float[Array, "landmark 3"]) -> float:
    """How far landmarks move, in percent of the distance between the eyes' outer corners of the average head."""
    return 100 * float(np.median(np.linalg.norm(shift, axis=1))) / eye_distance(canonical_landmarks()[:, :2])
