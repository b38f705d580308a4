"""Training pairs of the face decoder: a rendered portrait made ready, driven to other frames of the same person.

`python -m vasa_core.train.pairs SHARDS OUT` turns shards of the training world into one npz a portrait: what the
decoder sees of it, and for each driven frame the bare warp, the sight of the geometry, and the truth. The portrait is
prepared as at run time, errors of landmarks and matte included; the driven geometry lies on the true landmarks, moved
by the error that the portrait's landmarks carry along, so that pixels meet and nothing learns to blur. Resumable by
shard. `--from-truth` does without MediaPipe (which is not to be had everywhere): true landmarks with an error as smooth
and as large as MediaPipe's, true coverage with its edge frayed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from tqdm import tqdm

from vasa_core import assets
from vasa_core.decoder import Decoder, Pose
from vasa_core.errors import BadPortrait
from vasa_core.following import follower
from vasa_core.landmarks import FaceCrop, crop_transform, cut
from vasa_core.matting import Matting, load_matting
from vasa_core.pixel_codes import PixelEncoder, load_pixel_encoder
from vasa_core.portrait import Portrait, prepare, prepare_found
from vasa_core.relief import Relief, load_relief
from vasa_core.sight import FINE_PX, depth_seen
from vasa_core.surface import EYE_CORNERS, LANDMARKS, Surface, between_landmarks, load_surface
from vasa_core.world.shards import Group, read_shard

DRIVEN = 4
"""Frames each portrait is driven to, itself included."""

FARTHEST_PX = 14.0
"""Truth may differ from the fitted surface by this much on the crop before the pair is left out: a wrong fit."""

ERROR_SHARE, ERROR_REACH_CM = 0.02, 4.0
"""MediaPipe's landmarks lie 2 to 3 % of the eyes' distance from the truth, alike over some centimetres (RESULTS.md)."""

ENLARGED = 2
WIDEST_DEG = 32.0
"""Portraits turned farther are left out: at run time they are rare, and half of their face is guessed."""

COARSE_STEP = 100.0
"""Coarse planes are kept as whole hundredths."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """One portrait and the frames it was driven to; pictures are 256 pixels of the portrait's crop."""

    crop: UInt8[Array, "256 256 3"]
    matte: UInt8[Array, "256 256"]
    background: UInt8[Array, "256 256 3"]
    depth: Float[Array, "128 128"]  # cm towards the camera, of what the portrait shows
    rotation: Float[Array, "3 3"]
    translation: Float[Array, " 3"]
    camera_scale: Float[Array, " 1"]
    warped: UInt8[Array, "pair 256 256 3"]
    fine: UInt8[Array, "pair fine 256 256"]
    coarse: Float[Array, "pair coarse 128 128"]  # kept as int8 hundredths in the file
    truth: UInt8[Array, "pair 256 256 3"]
    truth_person: UInt8[Array, "pair 256 256"]


def pairs_of(
    group: Group,
    source: int,
    targets: Sequence[int],
    surface: Surface,
    rng: np.random.Generator | None = None,
    encoder: PixelEncoder | None = None,
    relief: Relief | None = None,
    matting: Matting | None = None,
) -> Pairs:
    """The portrait in frame `source` of a group driven to its `targets`; BadPortrait where it cannot serve. Encoder,
    relief and matting as at run time.

    With `rng` landmarks and matte are the true ones, spoiled as MediaPipe spoils them.
    """
    if rng:
        portrait = spoiled_truth(group, source, surface, rng, encoder, relief)
    else:
        portrait = prepare(enlarged(group.picture[source]), surface, encoder, relief, matting)
    decoder, follows = Decoder(portrait, surface), follower(portrait, surface)
    carried = portrait.landmarks - on_crop(group.landmarks[source], portrait)
    warped, fine, coarse, truth, person = [], [], [], [], []
    for target in targets:
        seen = portrait.landmarks if target == source else on_crop(group.landmarks[target], portrait) + carried
        pose = decoder.pose(*follows(seen.astype(np.float32)))
        pose = met(pose, seen[:LANDMARKS], surface)
        warp = decoder.warped(pose)
        sight = decoder.sight(pose, warp)
        warped.append(small(warp.picture))
        fine.append(sight.fine)
        coarse.append(sight.coarse)
        truth.append(small(cut(enlarged(group.picture[target]), portrait.crop_from_picture)))
        person.append(small(cut(enlarged(group.alpha[target]), portrait.crop_from_picture)))
    still = decoder.pose(np.zeros(6, np.float32), np.zeros(50, np.float32))
    return Pairs(
        crop=small(portrait.crop),
        matte=small((portrait.matte * 255).astype(np.uint8)),
        background=small(portrait.background),
        depth=depth_seen(decoder.meshes(still)),
        rotation=portrait.rotation,
        translation=portrait.translation,
        camera_scale=portrait.camera_scale,
        warped=np.stack(warped),
        fine=np.stack(fine),
        coarse=np.stack(coarse),
        truth=np.stack(truth),
        truth_person=np.stack(person),
    )


def enlarged(picture: UInt8[Array, "size size *channel"]) -> UInt8[Array, "larger larger *channel"]:
    """A render as large as a portrait should be."""
    return cv2.resize(picture, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)


def spoiled_truth(
    group: Group,
    frame: int,
    surface: Surface,
    rng: np.random.Generator,
    encoder: PixelEncoder | None = None,
    relief: Relief | None = None,
) -> Portrait:
    """The portrait in a frame of a group, prepared without MediaPipe."""
    picture = enlarged(group.picture[frame])
    landmarks = ENLARGED * group.landmarks[frame] - 0.5
    transform = crop_transform(landmarks, picture.shape[1], picture.shape[0]).astype(np.float32)
    seen = landmarks @ transform[:, :2].T + transform[:, 2]
    span = float(np.linalg.norm(seen[33] - seen[263]))
    found = (seen + span * smooth_error(surface, rng)).astype(np.float32)
    alpha = cut(enlarged(group.alpha[frame]), transform).astype(np.float32) / 255
    frayed = cv2.GaussianBlur(alpha, (0, 0), float(rng.uniform(1, 5)))
    matte = np.clip((frayed - rng.uniform(0.1, 0.4)) / 0.4, 0, 1).astype(np.float32)
    face = FaceCrop(crop=cut(picture, transform), landmarks=found, crop_from_picture=transform)
    expected = encoder.expected_face(encoder(face.crop, face.landmarks)) if encoder else None
    return prepare_found(picture, face, matte, surface, expected, relief)


def smooth_error(surface: Surface, rng: np.random.Generator) -> Float[Array, "landmark=478 2"]:
    """An error of landmarks in shares of the eyes' distance: neighbours err alike."""
    places = surface.neutral[:LANDMARKS]
    waves, phases = rng.normal(size=(6, 3)) / ERROR_REACH_CM, rng.uniform(0, 2 * np.pi, 6)
    strength = rng.normal(size=(6, 2)) * ERROR_SHARE / np.sqrt(3)
    error = np.cos(places @ waves.T + phases) @ strength
    irises = np.repeat([error[list(corners)].mean(0) for corners in EYE_CORNERS], 5, axis=0)
    return np.concatenate([error, irises]).astype(np.float32)


def on_crop(landmarks: Float[Array, "landmark 2"], portrait: Portrait) -> Float[Array, "landmark 2"]:
    """True landmarks (the render's first pixel has its centre at 0.5) as pixels of the crop (its first is at 0)."""
    transform = portrait.crop_from_picture
    return ((ENLARGED * landmarks - 0.5) @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def met(pose: Pose, landmarks: Float[Array, "landmark=468 2"], surface: Surface) -> Pose:
    """The pose with the face moved, in the picture, exactly onto the landmarks; BadPortrait where it is far off."""
    face = surface.parts["face"]
    off = landmarks - pose.projected[face][:LANDMARKS, :2]
    if np.abs(off).mean() > FARTHEST_PX:
        raise BadPortrait("the surface does not reach the landmarks of the driven frame: leave this pair out.")
    a, b = between_landmarks(surface)
    projected = pose.projected.copy()
    projected[face, :2] += np.concatenate([off, (off[a] + off[b]) / 2])
    return replace(pose, projected=projected)


def small(picture: UInt8[Array, "512 512 *channel"]) -> UInt8[Array, "256 256 *channel"]:
    """The crop at the size the network works at."""
    return cv2.resize(picture, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)


# ---- files -----------------------------------------------------------------------------------------------------------
def save_pairs(pairs: Pairs, path: Path) -> None:
    """Uncompressed, so that training reads it as fast as the disk; seen only when it is whole."""
    arrays = {name: getattr(pairs, name) for name in Pairs.__dataclass_fields__}
    arrays["coarse"] = np.clip(np.round(pairs.coarse * COARSE_STEP), -127, 127).astype(np.int8)
    arrays["depth"] = pairs.depth.astype(np.float16)
    half = path.with_suffix(".part.npz")
    np.savez(half, **arrays)
    half.replace(path)


def load_pairs(path: Path) -> Pairs:
    """The pairs in a file of `save_pairs`."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["coarse"] = arrays["coarse"].astype(np.float32) / COARSE_STEP
    arrays["depth"] = arrays["depth"].astype(np.float32)
    return Pairs(**arrays)


def chosen(group: Group, rng: np.random.Generator) -> Iterator[tuple[int, list[int]]]:
    """Which frames of a group serve as portraits, and which each is driven to: the calm look and one other."""
    frames = len(group)
    frontal = [k for k in range(1, frames) if abs(group.pose[k, 0]) < WIDEST_DEG]
    for source in (0, *(int(k) for k in rng.permutation(frontal)[:1])):
        others = rng.permutation([k for k in range(frames) if k != source])[: DRIVEN - 1]
        yield source, [source, *(int(k) for k in others)]


def prepare_shard(shard: Path, out: Path, seed: int, from_truth: bool = False) -> int:
    """All pairs of a shard as files; how many portraits were left out."""
    surface = load_surface(assets.weights("surface.safetensors"))
    encoder = load_pixel_encoder(assets.weights("pixels.safetensors"), surface)
    relief = load_relief(assets.weights("relief.safetensors"))
    matting = load_matting(assets.weights("matting.safetensors"))
    left_out = 0
    for group in read_shard(shard):
        rng = np.random.default_rng([seed, int(group.key)])
        for source, targets in chosen(group, rng):
            try:
                pairs = pairs_of(group, source, targets, surface, rng if from_truth else None, encoder, relief, matting)
                save_pairs(pairs, out / f"{group.key}-{source}.npz")
            except BadPortrait:  # a face that is not found, or found wrongly
                left_out += 1
    (out / f"{shard.stem}.json").write_text(json.dumps({"left out": left_out}))
    return left_out


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare training pairs of the face decoder from rendered shards.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--from-truth", action="store_true", help="without MediaPipe")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    whole = [record.with_suffix(".tar") for record in sorted(options.shards.glob("shard-*.json"))]
    left = [shard for shard in whole if not (options.out / f"{shard.stem}.json").exists()]
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with ProcessPoolExecutor(options.workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        jobs = [pool.submit(prepare_shard, shard, options.out, options.seed, options.from_truth) for shard in left]
        for job in tqdm(jobs, desc="shards", unit="shard", mininterval=10):
            job.result()


if __name__ == "__main__":
    main()
