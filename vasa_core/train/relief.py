"""Learns how hair, hats and necks stand out: `python -m vasa_core.train.relief --train DIR [DIR ...] --held DIR`.

From shards of rendered people (`python -m vasa_core.world render`, two frames or more a person) each picture is made a
portrait as at run time. Its truth is the rendered depth, brought to the portrait's own scale by the face, and how far
each place went with the head from this frame to another of the same group, told by canonical places. Both parts resume
where they stopped, and more shards may have come in the meantime.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from scipy.spatial import cKDTree
from torch import Tensor
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.errors import BadPortrait
from vasa_core.landmarks import CROP_PX
from vasa_core.pixel_codes import PixelEncoder, load_pixel_encoder
from vasa_core.portrait import Portrait, body_maps, prepare
from vasa_core.relief import DEPTH_CM, SIDE_PX, Relief, planes_of, shrunk
from vasa_core.surface import LANDMARKS, Surface, load_surface
from vasa_core.train.face import plain, random_look
from vasa_core.train.pairs import enlarged
from vasa_core.world.shards import Group, read_shard

BONES = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 10, 127, 356, 234, 454)
"""Landmarks that hardly move on the head."""

SAME_CM = 0.45
"""A place counts as found again within this distance on the neutral head."""

LEAST_TURN_DEG = 5.0
"""Frames whose head turned less tell nothing of what goes with it."""

BATCH, RATE = 24, 2e-3
WEIGHT_SHARE = 3.0
"""A head weight that is off by one counts as so many cm."""

SMOOTH_SHARE = 0.02
EVERY = 250
"""Steps after which held-out people are looked at, and all is kept."""

Row = dict[str, np.ndarray]


# ---- looking ---------------------------------------------------------------------------------------------------------


def rows_of(group: Group, surface: Surface, encoder: PixelEncoder) -> Iterator[Row]:
    """What is kept of each frame of a group that makes a portrait."""
    for frame in range(len(group)):
        try:
            portrait = prepare(enlarged(group.picture[frame]), surface, encoder)
        except BadPortrait:
            continue
        yield believed(portrait, surface) | truth(portrait, surface, group, frame)


def believed(portrait: Portrait, surface: Surface) -> Row:
    """The network's planes, as small as it takes them."""
    canonical = as_pictured(portrait, surface)
    depth, weight, _ = body_maps(portrait, canonical, surface, ("shell", "face"))
    _, _, on_face = body_maps(portrait, canonical, surface, ("face",))
    return {
        "crop": shrunk(portrait.crop),
        "matte": shrunk(portrait.matte).astype(np.float16),
        "depth": shrunk(depth).astype(np.float16),
        "weight": shrunk(weight).astype(np.float16),
        "face": shrunk(on_face.astype(np.float32)).astype(np.float16),
    }


def as_pictured(portrait: Portrait, surface: Surface) -> Float[np.ndarray, "vertex 3"]:
    """The portrait's surface as its picture shows it, canonical (cm)."""
    canonical = surface.vertices(portrait.identity_code, portrait.facial_dynamics)
    canonical[: len(portrait.residual)] += portrait.residual
    return canonical


def truth(portrait: Portrait, surface: Surface, group: Group, frame: int) -> Row:
    """Depth in the portrait's own scale, and head weight; NaN where nobody is or nothing is known."""
    at = (np.arange(SIDE_PX) + 0.5) * (CROP_PX / SIDE_PX) - 0.5
    crop_px = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    picture_px = (crop_px - portrait.crop_from_picture[:, 2]) @ np.linalg.inv(portrait.crop_from_picture[:, :2]).T
    x, y = ((picture_px + 0.5) / 2 - 0.5).round().astype(int).T
    size = group.part.shape[1]
    shown = (x >= 0) & (y >= 0) & (x < size) & (y < size)
    shown[shown] = group.part[frame][y[shown], x[shown]] > 0
    away, places = np.full(len(x), np.nan), np.full((len(x), 3), np.nan)
    away[shown] = group.depth[frame][y[shown], x[shown]]
    places[shown] = group.canonical[frame][y[shown], x[shown]]
    follows = np.full(len(x), np.nan)
    others = [k for k in range(len(group)) if k != frame and turned_deg(group, frame, k) > LEAST_TURN_DEG]
    if others:
        other = max(others, key=lambda k: turned_deg(group, frame, k))
        world = seen_in_world(group, frame, x, y)
        follows[shown] = followed(
            group, frame, other, world[shown], places[shown], group.part[frame][y[shown], x[shown]]
        )
    shape = (SIDE_PX, SIDE_PX)
    depth = own_depth(portrait, surface, group, frame, away)
    return {"true depth": depth.reshape(shape).astype(np.float16), "follows": follows.reshape(shape).astype(np.float16)}


def own_depth(portrait: Portrait, surface: Surface, group: Group, frame: int, away: np.ndarray) -> np.ndarray:
    """Distances from the eye as depths of the portrait, whose face lies where the true one does."""
    canonical = as_pictured(portrait, surface)
    ours = portrait.posed(canonical[:LANDMARKS])[:, 2]
    matrix = group.pixel_from_world[frame]
    true = group.landmarks_cm[frame][:LANDMARKS] @ matrix[2, :3] + matrix[2, 3]
    px_per_cm = np.linalg.norm(matrix[0, :3]) / true.mean()  # of the render; the portrait was enlarged, then cropped
    shrink = np.sqrt(abs(np.linalg.det(portrait.crop_from_picture[:, :2]))) * 2
    scale = px_per_cm * shrink / float(portrait.camera_scale[0])
    return ours.mean() + scale * (true.mean() - away)


def turned_deg(group: Group, frame: int, other: int) -> float:
    """How far the head is turned between two frames."""
    turn, _ = head_moved(group, frame, other)
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def head_moved(group: Group, frame: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and shift of the head's bones between two frames (Kabsch)."""
    a, b = (group.landmarks_cm[k][list(BONES)].astype(np.float64) for k in (frame, other))
    u, _, v = np.linalg.svd((a - a.mean(0)).T @ (b - b.mean(0)))
    turn = v.T @ np.diag([1, 1, np.sign(np.linalg.det(v.T @ u.T))]) @ u.T
    return turn, b.mean(0) - turn @ a.mean(0)


def seen_in_world(group: Group, frame: int, x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """Where what these pixels show is in the world (cm); of no meaning where nobody is."""
    matrix, size = group.pixel_from_world[frame].astype(np.float64), group.depth.shape[1]
    away = group.depth[frame][y.clip(0, size - 1), x.clip(0, size - 1)].astype(np.float64)
    rays = np.stack([x, y, np.ones(len(x))], 1) * away[:, None] - matrix[:, 3]
    return rays @ np.linalg.inv(matrix[:, :3]).T


def followed(
    group: Group, frame: int, other: int, world: np.ndarray, places: np.ndarray, part: np.ndarray
) -> Float[np.ndarray, " n"]:
    """How far each place went with the head to another frame, 0 to 1: its own movement along the head's at that place;
    NaN where it is not seen again."""
    turn, shift = head_moved(group, frame, other)
    head = world @ turn.T + shift - world
    follows = np.full(len(world), np.nan)
    rows, columns = np.nonzero(group.part[other])
    there = seen_in_world(group, other, columns, rows)
    kind, canonical = group.part[other][rows, columns], group.canonical[other][rows, columns]
    for number in np.unique(part):
        mine, theirs = part == number, kind == number
        if theirs.any():
            gap, near = cKDTree(canonical[theirs]).query(places[mine])
            own = there[theirs][near] - world[mine]
            share = (own * head[mine]).sum(1) / np.maximum((head[mine] ** 2).sum(1), 1e-6)
            known = (gap < SAME_CM) & (np.linalg.norm(head[mine], axis=1) > 0.5)
            follows[mine] = np.where(known, np.clip(share, 0, 1), np.nan)
    return follows


def look_at(folder: Path, cache: Path, surface: Surface, encoder: PixelEncoder, most: int) -> None:
    """Keeps what is seen of the first finished shards, if not looked at yet."""
    cache.mkdir(parents=True, exist_ok=True)
    finished = [tar for tar in sorted(folder.glob("shard-*.tar")) if tar.with_suffix(".json").exists()][:most]
    todo = [tar for tar in finished if not (cache / f"{tar.stem}.npz").exists()]
    for tar in tqdm(todo, unit="shard", desc=str(folder)):
        rows = [row for group in read_shard(tar) for row in rows_of(group, surface, encoder)]
        half = cache / f"{tar.stem}.part.npz"
        np.savez_compressed(half, **{name: np.array([row[name] for row in rows]) for name in rows[0]})
        half.replace(cache / f"{tar.stem}.npz")


def gathered(caches: Sequence[Path]) -> Row:
    """All that is kept in these folders."""
    files = [dict(np.load(file)) for cache in caches for file in sorted(cache.glob("shard-??????.npz"))]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


# ---- learning --------------------------------------------------------------------------------------------------------


def sample(rows: Row, k: int, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Planes and truth of one look; with chance mirrored and recoloured."""
    crop = (random_look(rng) if rng else plain)(rows["crop"][k])
    names = ("matte", "depth", "weight", "face")
    told = planes_of(crop, *(rows[name][k].astype(np.float32) for name in names))
    true = np.stack([rows["true depth"][k], rows["follows"][k]]).astype(np.float32)
    if rng is not None and rng.random() < 0.5:
        told, true = told[..., ::-1].copy(), true[..., ::-1].copy()
        told[-2] *= -1
    if rng is not None:
        told[4] += rng.normal() * 0.05  # a face may lie nearer or farther
    return told, true


def off(said: Tensor, planes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Errors of depth (cm) and head weight, and how much each pixel counts; the face is the surface's own."""
    outside = (1 - planes[:, 6]) / 2
    errors, counts = [], []
    for k, before in enumerate((planes[:, 4] * DEPTH_CM, (planes[:, 5] + 1) / 2)):
        known = torch.isfinite(truth[:, k])
        told = before + said[:, k]
        errors.append(torch.where(known, told - torch.nan_to_num(truth[:, k]), 0.0))
        counts.append(known * outside)
    return errors[0], errors[1], torch.stack(counts, 1)


def loss_of(said: Tensor, planes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean errors of depth (cm, long ones count less) and of head weight."""
    deep, firm, counts = off(said, planes, truth)
    depth = (F.smooth_l1_loss(deep, torch.zeros_like(deep), reduction="none") * counts[:, 0]).sum() / counts[:, 0].sum()
    weight = (firm.abs() * counts[:, 1]).sum() / counts[:, 1].sum().clamp(min=1)
    return depth, weight


def judged(network: Relief, rows: Row) -> dict[str, float]:
    """Mean errors on held-out people, before and after."""
    looks = [sample(rows, k, None) for k in range(len(rows["crop"]))]
    sums: dict[str, list[float]] = {"depth_cm": [], "depth_cm_before": [], "weight": [], "weight_before": []}
    for start in range(0, len(looks), 64):
        planes, truth_ = (torch.from_numpy(np.stack(part)) for part in zip(*looks[start : start + 64], strict=True))
        with torch.no_grad():
            said = network(planes)
        for name, word in (("", said), ("_before", torch.zeros_like(said))):
            deep, firm, counts = off(word, planes, truth_)
            sums[f"depth_cm{name}"].append(float((deep.abs() * counts[:, 0]).sum() / counts[:, 0].sum()))
            sums[f"weight{name}"].append(float((firm.abs() * counts[:, 1]).sum() / counts[:, 1].sum()))
    return {name: float(np.mean(values)) for name, values in sums.items()}


class Trainer:
    """The network, its optimiser, and how far they are."""

    def __init__(self, rows: Row, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.rows, self.steps, self.seed, self.step = rows, steps, seed, 0
        self.network = Relief()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=1e-2)

    def advance(self) -> float:
        """One step; its loss."""
        rng = np.random.default_rng([self.seed, self.step])
        chosen = rng.choice(len(self.rows["crop"]), BATCH, replace=False)
        looks = [sample(self.rows, int(k), rng) for k in chosen]
        planes, true = (torch.from_numpy(np.stack(part)) for part in zip(*looks, strict=True))
        fall = 0.5 + 0.5 * math.cos(math.pi * self.step / self.steps)
        self.optimiser.param_groups[0]["lr"] = RATE * min(1, (self.step + 1) / 100) * fall
        said = self.network.train()(planes)
        depth, weight = loss_of(said, planes, true)
        rough = said.diff(dim=-1).abs().mean() + said.diff(dim=-2).abs().mean()
        loss = depth + WEIGHT_SHARE * weight + SMOOTH_SHARE * rough
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """All that is needed to go on."""
        half = path.with_suffix(".part")
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "step": self.step}
        torch.save(state, half)
        half.replace(path)

    def load(self, path: Path) -> None:
        """Goes on from there."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def learn(rows: Row, held: Row, out: Path, steps: int, minutes: float, seed: int) -> Relief:
    """Trains to the end, or for so long at most; keeps what is needed to go on, and a log."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(rows, steps, seed)
    if (out / "state.pt").is_file():
        trainer.load(out / "state.pt")
    begun = time.monotonic()
    with tqdm(total=steps, initial=trainer.step, unit="step") as bar:
        while trainer.step < steps and time.monotonic() - begun < 60 * minutes:
            loss = trainer.advance()
            bar.update()
            if trainer.step % EVERY == 0 or trainer.step == steps:
                line = {"step": trainer.step, "loss": loss} | judged(trainer.network.eval(), held)
                bar.set_postfix({name: f"{value:.3f}" for name, value in line.items()})
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(line) + "\n")
                trainer.save(out / "state.pt")
    return trainer.network.eval()


def main() -> None:
    """Looks, learns, judges on held-out people and keeps what was learned."""
    options = argparse.ArgumentParser(prog="python -m vasa_core.train.relief")
    options.add_argument("--train", type=Path, nargs="+", required=True, help="folders of shards to learn from")
    options.add_argument("--held", type=Path, nargs="+", required=True, help="folders of shards to be judged by")
    options.add_argument("--most", type=int, default=10**6, help="shards of each folder that are looked at")
    options.add_argument("--cache", type=Path, default=Path("runs/relief_looks"), help="where what was seen is kept")
    options.add_argument("--out", type=Path, default=Path("runs/relief"), help="where it can go on from")
    options.add_argument("--weights", type=Path, default=assets.FOLDER / "weights" / "relief.safetensors")
    options.add_argument("--steps", type=int, default=6000)
    options.add_argument("--minutes", type=float, default=1e9, help="stop after so long, to go on another time")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--look-only", action="store_true", help="look at the pictures and leave it at that")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    surface = load_surface(assets.weights("surface.safetensors"))
    encoder = load_pixel_encoder(assets.weights("pixels.safetensors"), surface)
    caches = {folder: chosen.cache / "-".join(folder.parts[-2:]) for folder in (*chosen.train, *chosen.held)}
    for folder, cache in caches.items():
        look_at(folder, cache, surface, encoder, chosen.most)
    if chosen.look_only:
        return
    rows, held = (gathered([caches[folder] for folder in folders]) for folders in (chosen.train, chosen.held))
    network = learn(rows, held, chosen.out, chosen.steps, chosen.minutes, chosen.seed)
    halves = {name: values.half().contiguous() for name, values in network.state_dict().items()}
    chosen.weights.parent.mkdir(parents=True, exist_ok=True)
    save_file(halves, chosen.weights, {"kind": "vasa relief"})
    print(json.dumps({"looks": len(rows["crop"])} | judged(network, held), indent=1))


if __name__ == "__main__":
    main()
