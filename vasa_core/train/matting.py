"""Learns the matte: `python -m vasa_core.train.matting --train DIR [DIR ...] --held DIR [DIR ...]`.

Shards of rendered people (`python -m vasa_core.world render`) know the coverage of every pixel. Of each group one frame
is kept as it is and another is put before a new background, smaller or larger: a place of the training world, noise,
stripes, blots, or people, for those are what MediaPipe takes for the person; often in the person's own colours.
MediaPipe says its word on each picture once; while learning, that word is spoiled at times, so the network knows when
to leave it. Both parts resume where they stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.decoder import unmixed
from vasa_core.landmarks import crop_transform, cut
from vasa_core.matting import SIDE_PX, Matting, face_within, hanging_together, planes_of
from vasa_core.portrait import fill_holes
from vasa_core.train.face import plain, random_look
from vasa_core.world.backdrops import backdrop, clouds
from vasa_core.world.places import random_place
from vasa_core.world.shards import Group, read_shard

BATCH, RATE = 8, 1.5e-3
WINDOW_PX = 128
"""The refinement learns from a window of this size; it looks no farther than its neighbourhoods."""

EDGE_SHARE = 4.0
"""A pixel at the outline counts so many times one elsewhere, and one more."""

ZOOMS = (0.55, 1.05)
EVERY = 100
"""Steps after which held-out people are looked at, and all is kept."""

Picture = UInt8[np.ndarray, "size size 3"]
Plane = UInt8[np.ndarray, "size size"]
Row = dict[str, np.ndarray]


# ---- looking ---------------------------------------------------------------------------------------------------------


class Watcher:
    """MediaPipe's segmenter, made once."""

    def __init__(self) -> None:
        import mediapipe as mp

        self.segmenter = mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)

    def row(self, picture: Picture, alpha: Plane, landmarks: Float[np.ndarray, "478 2"]) -> Row:
        """What is kept of a picture: its crop, the coverage, MediaPipe's word and where the face is, 256 pixels all."""
        transform = crop_transform(landmarks, picture.shape[1], picture.shape[0])
        transform = transform * (SIDE_PX / 512)
        crop = cut(picture, transform, SIDE_PX)
        word = self.segmenter.process(crop).segmentation_mask
        face = face_within(landmarks @ transform[:, :2].T + transform[:, 2], SIDE_PX)
        return {
            "crop": crop,
            "alpha": cut(alpha, transform, SIDE_PX),
            "word": np.round(255 * word).astype(np.uint8),
            "face": (255 * face).astype(np.uint8),
        }


def rows_of(group: Group, watch: Watcher, crowd: list[Picture], rng: np.random.Generator) -> Iterator[Row]:
    """One frame of the group as it is, another before something else; what is seen joins the crowd."""
    first, second = (int(k) for k in rng.permutation(len(group))[:2])
    yield watch.row(group.picture[first], group.alpha[first], group.landmarks[first] - 0.5)
    person, alpha = own_colours(group.picture[second], group.alpha[second])
    person, alpha, landmarks = placed(person, alpha, group.landmarks[second] - 0.5, rng)
    picture = before(person, alpha, new_background(person, alpha, crowd, rng), rng)
    yield watch.row(picture, alpha, landmarks)
    crowd.append(group.picture[first])
    del crowd[:-64]


def own_colours(picture: Picture, alpha: Plane) -> tuple[Picture, Plane]:
    """The person's own colours, beyond the outline too."""
    cover = alpha.astype(np.float32) / 255
    behind = fill_holes(picture.astype(np.float32), (cover < 0.02).astype(np.float32))
    near = fill_holes(picture.astype(np.float32), (cover > 0.9).astype(np.float32))
    own = unmixed(picture, np.clip(behind, 0, 255).astype(np.uint8), cover)
    sure = np.clip((cover - 0.2) / 0.4, 0, 1)[..., None]
    return np.clip(near + sure * (own - near), 0, 255).astype(np.uint8), alpha


def placed(
    person: Picture, alpha: Plane, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[Picture, Plane, np.ndarray]:
    """The person smaller or larger on the same canvas, standing on its lower border as before."""
    size = alpha.shape[0]
    zoom = float(rng.uniform(*ZOOMS))
    if max(np.mean(alpha[:, side] > 128) for side in (0, -1)) > 0.4:
        zoom = max(zoom, 0.9)  # a close look has no shoulders to go on with
    if (alpha[0] > 8).any():
        zoom = max(zoom, 1.0)  # nor a head that the picture cuts off a crown
    side = round(zoom * size)
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    person, alpha = (cv2.resize(x, (side, side), interpolation=way) for x in (person, alpha))
    left = round(float(rng.uniform(0.2, 0.8)) * (size - side))
    landmarks = (landmarks + 0.5) * (side / size) - 0.5 + (left, size - side)
    if side >= size:
        window = np.s_[side - size :, -left : size - left]
        return person[window], alpha[window], landmarks
    margins = (size - side, 0, left, size - side - left)
    alpha = np.vstack([np.zeros((size - side, side), np.uint8), alpha])
    person = cv2.copyMakeBorder(person, *margins, cv2.BORDER_REPLICATE)
    return person, cv2.copyMakeBorder(alpha, 0, 0, *margins[2:], cv2.BORDER_REPLICATE), landmarks


def before(person: Picture, alpha: Plane, behind: Picture, rng: np.random.Generator) -> Picture:
    """The person before a background, seen by a camera of some kind."""
    cover = alpha[..., None].astype(np.float32) / 255
    person = person * np.exp(0.2 * rng.normal() + 0.05 * rng.normal(size=3))
    picture = cover * person + (1 - cover) * behind
    if rng.random() < 0.5:
        picture = picture + rng.uniform(1, 10) * rng.standard_normal((*alpha.shape, int(rng.choice([1, 3]))))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        picture = _packed(picture, rng)
    return picture


def _packed(picture: Picture, rng: np.random.Generator) -> Picture:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 92))]
    return cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)


# ---- backgrounds by rule ---------------------------------------------------------------------------------------------


def new_background(person: Picture, alpha: Plane, crowd: Sequence[Picture], rng: np.random.Generator) -> Picture:
    """Something to stand before, at times in colours of the person's own."""
    size, kind = alpha.shape[0], rng.random()
    if kind < 0.35:
        x = _place(size, rng)
    elif kind < 0.6 and crowd:
        x = _people(size, crowd, rng)
    elif kind < 0.75:
        x = _washed(size, rng)
    else:
        x = _patterned(size, rng)
    if rng.random() < 0.3:
        x = _like(x, person[alpha > 128], rng)
    if rng.random() < 0.5:
        x = cv2.GaussianBlur(x, (0, 0), float(np.exp(rng.uniform(-0.5, 2.2))))
    return np.clip(x, 0, 255).astype(np.uint8)


def _place(size: int, rng: np.random.Generator) -> np.ndarray:
    """A place of the training world, in display values."""
    linear = backdrop(size, random_place(rng)[2])
    level = rng.uniform(0.1, 0.5) / max(float(linear.mean()), 1e-3)
    return (255 * np.clip(level * linear, 0, 1) ** (1 / 2.2)).astype(np.float32)


def _people(size: int, crowd: Sequence[Picture], rng: np.random.Generator) -> np.ndarray:
    """Parts of other pictures, people included, larger or smaller, side by side."""
    picture = crowd[int(rng.integers(len(crowd)))]
    zoom, turn = rng.uniform(0.5, 2.5), rng.normal() * 25 * (rng.random() < 0.3)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), float(turn), float(zoom))
    matrix[:, 2] += rng.uniform(-0.6, 0.6, 2) * size
    return cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REFLECT).astype(np.float32)


def _washed(size: int, rng: np.random.Generator) -> np.ndarray:
    """One colour passing into another."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y if rng.random() < 0.6 else 2 * np.hypot(x, y) - 1
    one, other = rng.uniform(0, 255, (2, 3)) if rng.random() < 0.5 else _near(rng.uniform(0, 255, 3), rng)
    share = 1 / (1 + np.exp(-along * rng.uniform(0.5, 4)))[..., None]
    return (one + share * (other - one)).astype(np.float32)


def _near(colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.stack([colour, colour * np.exp(0.25 * rng.normal() + 0.08 * rng.normal(size=3))])


def _patterned(size: int, rng: np.random.Generator) -> np.ndarray:
    """Colours by smooth noise, by its steps, in stripes, or as blots one over the other: leaves, bokeh, walls."""
    picture = _washed(size, rng)
    kind = rng.random()
    if kind < 0.4:
        for _ in range(int(rng.integers(1, 4))):
            noise = clouds(rng, size, int(rng.integers(2, 24)))[..., None]
            noise = np.tanh(4 * noise) if rng.random() < 0.4 else noise
            picture = picture + noise * rng.normal(size=3) * rng.uniform(5, 50)
        return picture.astype(np.float32)
    if kind < 0.6:
        y, x = np.mgrid[0:size, 0:size] / size
        angle = rng.uniform(0, np.pi)
        wave = np.sin(2 * np.pi * rng.uniform(2, 24) * (np.cos(angle) * x + np.sin(angle) * y))
        return (picture + np.tanh(wave * rng.uniform(1, 8))[..., None] * rng.uniform(-50, 50, 3)).astype(np.float32)
    palette = picture[tuple(rng.integers(0, size, (2, 6)))] * np.exp(0.5 * rng.normal(size=(6, 1)))
    picture, reach = np.ascontiguousarray(picture), rng.uniform(0.02, 0.25)
    for _ in range(int(rng.integers(8, 90))):
        at, axes = rng.uniform(0, size, 2), size * reach * rng.uniform(0.2, 1.0, 2)
        colour = tuple(float(v) for v in palette[rng.integers(6)] + rng.normal(size=3) * 12)
        if rng.random() < 0.25:
            corner, other = (tuple(int(v) for v in at + side * axes) for side in (-1, 1))
            cv2.rectangle(picture, corner, other, colour, -1)
        else:
            box = (tuple(map(float, at)), tuple(map(float, 2 * axes)), float(rng.uniform(0, 180)))
            cv2.ellipse(picture, box, colour, -1, cv2.LINE_AA)
    return picture


def _like(picture: np.ndarray, colours: UInt8[np.ndarray, "n 3"], rng: np.random.Generator) -> np.ndarray:
    """The picture in about the colour of some place on the person: green before green."""
    if not len(colours):
        return picture
    wanted = colours[int(rng.integers(len(colours)))].astype(np.float32) + rng.normal(size=3) * 10
    calm = rng.uniform(0.2, 0.9)
    return (wanted + calm * (picture - picture.mean((0, 1)))).astype(np.float32)


def look_at(folder: Path, cache: Path, most: int, seed: int) -> None:
    """Keeps what is seen of the first finished shards, if not looked at yet."""
    cache.mkdir(parents=True, exist_ok=True)
    finished = [tar for tar in sorted(folder.glob("shard-*.tar")) if tar.with_suffix(".json").exists()][:most]
    todo = [tar for tar in finished if not (cache / f"{tar.stem}.npz").exists()]
    if not todo:
        return
    watch = Watcher()
    crowd: list[Picture] = []
    for tar in tqdm(todo, unit="shard", desc=str(folder), mininterval=10):
        rng = np.random.default_rng([seed, int(tar.stem.split("-")[1])])
        rows = [row for group in read_shard(tar) for row in rows_of(group, watch, crowd, rng)]
        half = cache / f"{tar.stem}.part.npz"
        np.savez(half, **{name: np.array([row[name] for row in rows]) for name in rows[0]})
        half.replace(cache / f"{tar.stem}.npz")


def gathered(caches: Sequence[Path]) -> Row:
    """All that is kept in these folders."""
    files = [dict(np.load(file)) for cache in caches for file in sorted(cache.glob("shard-??????.npz"))]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


# ---- spoiling --------------------------------------------------------------------------------------------------------


def sample(rows: Row, k: int, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Planes and coverage of one look; with chance moved, recoloured and with a spoiled word."""
    crop, alpha, word, face = (rows[name][k] for name in ("crop", "alpha", "word", "face"))
    if rng is None:
        values = (crop, word / 255, face / 255)
    else:
        crop, alpha, word, face = (moved(x, np.random.default_rng(m)) for m in [int(rng.integers(2**31))]
                                   for x in (crop, alpha, word, face))  # fmt: skip
        if rng.random() < 0.4:
            crop = dressed(crop, alpha, rows["crop"][int(rng.integers(len(rows["crop"])))], rng)
        crop, alpha = softened(crop, alpha, rng)
        values = (recoloured(crop, rng), spoiled(word / np.float32(255), rng), face / 255)
    told = planes_of(*(x.astype(np.float32) for x in values))
    return told, alpha[None].astype(np.float32) / 255


def moved(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Perhaps mirrored; turned, enlarged and shifted a little, or by whole pixels alone, which keeps it sharp."""
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    matrix = np.eye(2, 3)
    if rng.random() < 0.6:  # many a picture ends within the hair
        matrix = cv2.getRotationMatrix2D((SIDE_PX / 2,) * 2, 4 * rng.normal(), float(np.exp(rng.uniform(-0.05, 0.5))))
    matrix[:, 2] += np.round(rng.normal(size=2) * (10, 5) - (0, 5))  # upwards: above is no second head
    side = (SIDE_PX, SIDE_PX)
    return cv2.warpAffine(picture, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def dressed(crop: Picture, alpha: Plane, other: Picture, rng: np.random.Generator) -> Picture:
    """The person with parts in other patterns: a picture's person may wear anything, and has any hair."""
    cover = alpha.astype(np.float32)[..., None] / 255
    pattern = _patterned(SIDE_PX, rng) if rng.random() < 0.5 else _people(SIDE_PX, [other], rng)
    pattern = rng.uniform(0.3, 1.1) * pattern
    own = cv2.GaussianBlur(crop * cover, (0, 0), 3) / (cv2.GaussianBlur(cover, (0, 0), 3)[..., None] + 1e-3)
    share = _blob(rng, np.argwhere(alpha > 200)[:, ::-1])[..., None] * rng.uniform(0.5, 1.0)
    return np.clip(crop + cover * share * (pattern - own), 0, 255).astype(np.uint8)


def softened(crop: Picture, alpha: Plane, rng: np.random.Generator) -> tuple[Picture, Plane]:
    """At times out of focus, or enlarged from fewer pixels: what is soft in the picture is soft in the matte."""
    kind = rng.random()
    if kind < 0.15:
        wide = float(rng.uniform(0.4, 1.8))
        crop, alpha = (cv2.GaussianBlur(x, (0, 0), wide) for x in (crop, alpha))
    elif kind < 0.35:
        few = (int(SIDE_PX * rng.uniform(0.35, 0.9)),) * 2
        fewer = (cv2.resize(x, few, interpolation=cv2.INTER_AREA) for x in (crop, alpha))
        crop, alpha = (cv2.resize(x, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC) for x in fewer)
    return crop, alpha


def recoloured(crop: Picture, rng: np.random.Generator) -> Float[np.ndarray, "256 256 3"]:
    """As film, paint, drawing or another camera would show it, and in another light."""
    x = (random_look(rng) if rng.random() < 0.7 else plain)(crop)
    if rng.random() < 0.4:
        y, across = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
        angle = rng.uniform(0, 2 * np.pi)
        x = x * np.exp(rng.uniform(0.1, 0.6) * np.tanh(np.cos(angle) * across + np.sin(angle) * y))[..., None]
    if rng.random() < 0.3:
        x = x + rng.uniform(1, 10) * rng.standard_normal((SIDE_PX, SIDE_PX, int(rng.choice([1, 3]))), np.float32)
    x = np.clip(x, 0, 255)
    return _packed(x.astype(np.uint8), rng).astype(np.float32) if rng.random() < 0.15 else x.astype(np.float32)


def spoiled(word: Float[np.ndarray, "256 256"], rng: np.random.Generator) -> Float[np.ndarray, "256 256"]:
    """MediaPipe's word, in one of three cases worse than it was: grown, shrunk, shifted, blurred, with a blob more or
    less, or not there at all."""
    kind = rng.random()
    if kind > 0.33:
        return word
    if kind < 0.02:
        return np.full_like(word, rng.uniform(0, 1))
    if kind < 0.1:
        reach = np.ones((2 * int(rng.integers(1, 7)) + 1,) * 2, np.uint8)
        return (cv2.dilate if rng.random() < 0.5 else cv2.erode)(word, reach)
    if kind < 0.14:
        return cv2.warpAffine(word, np.c_[np.eye(2), rng.normal(size=2) * 5], word.shape, borderMode=cv2.BORDER_REFLECT)
    if kind < 0.18:
        return cv2.GaussianBlur(word, (0, 0), float(rng.uniform(2, 9)))
    return np.maximum(word, _blob(rng)) if rng.random() < 0.85 else np.minimum(word, 1 - _blob(rng))


def _blob(rng: np.random.Generator, places: np.ndarray | None = None) -> Float[np.ndarray, "256 256"]:
    """Some ground with a ragged border, around some of these places if there are any: 1 on it, 0 elsewhere."""
    blob = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        at = rng.uniform(0, SIDE_PX, 2) if places is None or not len(places) else rng.choice(places)
        axes = rng.uniform(0.05, 0.35, 2) * SIDE_PX
        cv2.ellipse(blob, (tuple(map(float, at)), tuple(map(float, axes)), float(rng.uniform(0, 180))), 1.0, -1)
    blob = cv2.GaussianBlur(blob, (0, 0), 12) + 0.3 * clouds(rng, SIDE_PX, 8) * blob
    return cv2.GaussianBlur((blob > 0.5).astype(np.float32), (0, 0), float(rng.uniform(0.3, 6)))


# ---- learning --------------------------------------------------------------------------------------------------------


def near_edge(alpha: Float[Tensor, "look 1 size size"]) -> Float[Tensor, "look 1 size size"]:
    """1 where coverage is partial or changes nearby, 0 elsewhere."""
    most, least = (F.max_pool2d(F.max_pool2d(x, (9, 1), 1, (4, 0)), (1, 9), 1, (0, 4)) for x in (alpha, -alpha))
    return most + least


def off(said: Tensor, alpha: Tensor, edge: Tensor) -> Tensor:
    """The error of a coverage (logits): its size, of outlines more, and of its differences from pixel to pixel."""
    cover = torch.sigmoid(said)
    weight = 1 + EDGE_SHARE * edge
    error = ((cover - alpha).abs() * weight).sum() / weight.sum()
    slope = sum(((cover - alpha).diff(dim=axis).abs()).mean() for axis in (-1, -2))
    unsure = F.binary_cross_entropy_with_logits(said, alpha, weight=weight) / weight.mean()
    return error + slope + 0.3 * unsure


def windows(rng: np.random.Generator, edge: Tensor) -> list[tuple[int, int]]:
    """For each look a window's upper left corner, which most often has the outline in it; multiples of 16."""
    busy = F.avg_pool2d(F.avg_pool2d(edge, 16), WINDOW_PX // 16, 1)[:, 0].numpy()
    out = []
    for plane in busy:
        tries = rng.integers(0, plane.shape[0], (3, 2))
        best = max(tries, key=lambda at: plane[at[0], at[1]])
        out.append((16 * int(best[0]), 16 * int(best[1])))
    return out


class Trainer:
    """The network, its mean over the last steps, its optimiser, and how far they are."""

    def __init__(self, rows: Row, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.rows, self.steps, self.seed, self.step = rows, steps, seed, 0
        self.network = Matting().to(memory_format=torch.channels_last)
        self.mean = {name: values.clone() for name, values in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=1e-2)

    def advance(self, share: float) -> float:
        """One step, `share` of the way to the end; its loss."""
        rng = np.random.default_rng([self.seed, self.step])
        looks = [sample(self.rows, int(k), rng) for k in rng.choice(len(self.rows["crop"]), BATCH, replace=False)]
        planes, alpha = (torch.from_numpy(np.stack(part)) for part in zip(*looks, strict=True))
        fall = 0.5 + 0.5 * math.cos(math.pi * min(share, 1.0))
        self.optimiser.param_groups[0]["lr"] = RATE * min(1, (self.step + 1) / 60) * max(fall, 0.01)
        loss = self.loss(planes.contiguous(memory_format=torch.channels_last), alpha, rng)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        kept = min(0.99, self.step / (self.step + 20))
        for name, values in self.network.state_dict().items():
            self.mean[name].lerp_(values, 1 - kept)
        return float(loss.detach())

    def loss(self, planes: Tensor, alpha: Tensor, rng: np.random.Generator) -> Tensor:
        """Errors of the first look, of its refinement, and of a second one that starts from the first's halved: at run
        time it goes on to 512 pixels."""
        with torch.autocast("cpu", torch.bfloat16):
            coarse, hints = self.network.train()(planes)
            edge = near_edge(alpha)
            at = windows(rng, edge)
            picture, true, outline = (_cut_out(x, at, 1) for x in (planes[:, :3], alpha, edge))
            half, near = _cut_out(coarse, at, 2), _cut_out(hints, at, 2)
            once = self.network.refined(picture, torch.sigmoid(half), near)
            twice = self.network.refined(picture, F.avg_pool2d(torch.sigmoid(once), 2).detach(), near)
        first = off(coarse.float(), F.avg_pool2d(alpha, 2), F.avg_pool2d(edge, 2))
        return first + off(once.float(), true, outline) + off(twice.float(), true, outline)

    def averaged(self) -> Matting:
        """The mean network, ready to be asked."""
        network = Matting()
        network.load_state_dict(self.mean)
        return network.eval().to(memory_format=torch.channels_last)

    def save(self, path: Path) -> None:
        """All that is needed to go on."""
        state: dict[str, Any] = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        half = path.with_suffix(".part")
        torch.save(state | {"step": self.step, "mean": self.mean}, half)
        half.replace(path)

    def load(self, path: Path) -> None:
        """Goes on from there."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.mean = state["step"], state["mean"]


def _cut_out(values: Tensor, at: Sequence[tuple[int, int]], shrunk: int) -> Tensor:
    side = WINDOW_PX // shrunk
    parts = [
        x[:, top // shrunk :, left // shrunk :][:, :side, :side] for x, (top, left) in zip(values, at, strict=True)
    ]
    return torch.stack(parts).contiguous(memory_format=torch.channels_last)


def judged(network: Matting, rows: Row, most: int = 96) -> dict[str, float]:
    """On held-out people: mean error of the coverage, and the share of union in which persons overlap, of the network
    and of MediaPipe."""
    sums: dict[str, list[float]] = {"error": [], "iou": [], "worst_tenth": [], "iou_mediapipe": []}
    chosen = np.linspace(0, len(rows["crop"]) - 1, min(most, len(rows["crop"]))).astype(int)
    for k in chosen:
        planes, alpha = (torch.from_numpy(x)[None] for x in sample(rows, int(k), None))
        with torch.no_grad():
            coarse, hints = network(planes)
            said = torch.sigmoid(network.refined(planes[:, :3], torch.sigmoid(coarse), hints))
        cover = hanging_together(said[0, 0].numpy(), rows["face"][k].astype(np.float32) / 255)
        true = alpha[0, 0].numpy()
        sums["error"].append(float(np.abs(cover - true).mean()))
        sums["iou"].append(_overlap(cover, true))
        sums["iou_mediapipe"].append(_overlap(rows["word"][k] / 255, true))
    sums["worst_tenth"] = sorted(sums["iou"])[: max(len(chosen) // 10, 1)]
    return {name: float(np.mean(values)) for name, values in sums.items()}


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one > 0.5) & (other > 0.5)).sum() / max(((one > 0.5) | (other > 0.5)).sum(), 1))


def learn(rows: Row, held: Row, out: Path, steps: int, minutes: float, seed: int) -> Matting:
    """Trains to the end, or for so long at most, the rate falling with whichever comes first; keeps what is needed to
    go on, and a log."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(rows, steps, seed)
    if (out / "state.pt").is_file():
        trainer.load(out / "state.pt")
    begun = time.monotonic()
    with tqdm(total=steps, initial=trainer.step, unit="step", mininterval=10) as bar:
        while trainer.step < steps and time.monotonic() - begun < 60 * minutes:
            loss = trainer.advance(max(trainer.step / steps, (time.monotonic() - begun) / (60 * minutes)))
            bar.update()
            if trainer.step % EVERY == 0:
                _keep(trainer, held, out, loss)
    _keep(trainer, held, out, float("nan"))
    return trainer.averaged()


def _keep(trainer: Trainer, held: Row, out: Path, loss: float) -> None:
    line = {"step": trainer.step, "loss": loss} | judged(trainer.averaged(), held, 48)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    trainer.save(out / "state.pt")
    write(trainer.averaged(), out / "matting.safetensors")


def write(network: Matting, path: Path) -> None:
    """The weights, half precision."""
    halves = {name: values.half().contiguous() for name, values in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(halves, path, {"kind": "vasa matting"})


def main() -> None:
    """Looks, learns, judges on held-out people and keeps what was learned."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.matting")
    options.add_argument("--train", type=Path, nargs="+", required=True, help="folders of shards to learn from")
    options.add_argument("--held", type=Path, nargs="+", required=True, help="folders of shards to be judged by")
    options.add_argument("--most", type=int, default=10**6, help="shards of each folder that are looked at")
    options.add_argument("--cache", type=Path, default=Path("runs/matting_looks"), help="where what was seen is kept")
    options.add_argument("--out", type=Path, default=Path("runs/matting"), help="where it can go on from")
    options.add_argument("--weights", type=Path, default=assets.FOLDER / "weights" / "matting.safetensors")
    options.add_argument("--steps", type=int, default=6000)
    options.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--look-only", action="store_true", help="look at the pictures and leave it at that")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    caches = {folder: chosen.cache / "-".join(folder.parts[-2:]) for folder in (*chosen.train, *chosen.held)}
    for folder, cache in caches.items():
        look_at(folder, cache, chosen.most, chosen.seed)
    if chosen.look_only:
        return
    rows, held = (gathered([caches[folder] for folder in folders]) for folders in (chosen.train, chosen.held))
    network = learn(rows, held, chosen.out, chosen.steps, chosen.minutes, chosen.seed)
    write(network, chosen.weights)
    print(json.dumps({"looks": len(rows["crop"])} | judged(network, held), indent=1))


if __name__ == "__main__":
    main()
