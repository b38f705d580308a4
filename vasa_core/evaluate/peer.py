"""Networks of the size of LivePortrait's, with random weights, for their time alone, beside our own frame.

LivePortrait (Guo et al. 2024, arXiv:2407.03168) makes a frame of 512 x 512 with two networks: one moves a volume of
32 x 16 x 64 x 64 features by 21 key points, one paints the frame from what was moved. Neither its code nor its weights
are here: layers of the same shapes (its published configuration) do the same multiplications, and their numbers of
parameters stand beside the published ones (its `speed.md`), so that anybody sees that the size is right. What comes out
is noise. Its normalisations are ready for use (spectral norms divided out), which is in its favour.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from vasa_core import assets
from vasa_core.audio import load_sound
from vasa_core.bench import machine
from vasa_core.render import render_frames
from vasa_core.stream import WHOLE
from vasa_core.studio import Studio, one_thread

POINTS, CHANNELS, DEPTH, SIDE = 21, 32, 16, 64
"""Key points, and the feature volume."""

LEAST = 32
"""Features of the moving network at full height and width."""

PUBLISHED_MILLIONS = {"moving": 45.53, "painting": 55.37}
"""Parameters of its warping module and its SPADE generator."""

HALVES = (64, 128, 256, 512, 1024)
"""Features after each halving of height and width."""

LOOKS = POINTS + 1  # every key point's motion, and none
SEEN = LOOKS * (4 + 1)  # of each four features moved so, and where its point is
FOUND = SEEN + LEAST


def block(before: int, after: int) -> nn.Sequential:
    """A convolution of a volume, normalised."""
    return nn.Sequential(nn.Conv3d(before, after, 3, padding=1), nn.BatchNorm3d(after), nn.ReLU())


class Moving(nn.Module):
    """The size of its warping module: a U-shaped network over volumes, which says whose motion each place follows."""

    def __init__(self) -> None:
        super().__init__()
        self.few = nn.Sequential(nn.Conv3d(CHANNELS, 4, 1), nn.BatchNorm3d(4), nn.ReLU())
        wide = (SEEN, *HALVES)
        self.down = nn.ModuleList(block(a, b) for a, b in pairwise(wide))
        up = [(HALVES[-1], HALVES[-2]), *((2 * n, n // 2) for n in HALVES[-2::-1])]
        self.up = nn.ModuleList(block(a, b) for a, b in up)
        self.last = block(FOUND, FOUND)
        self.whose = nn.Conv3d(FOUND, LOOKS, 7, padding=3)
        self.hidden = nn.Conv2d(FOUND * DEPTH, 1, 7, padding=3)
        flat = CHANNELS * DEPTH
        self.out = nn.Sequential(
            nn.Conv2d(flat, 256, 3, padding=1), nn.BatchNorm2d(256), nn.LeakyReLU(), nn.Conv2d(256, 256, 1)
        )

    def forward(
        self, volume: Float[Tensor, "1 32 16 64 64"], places: Float[Tensor, "22 16 64 64 3"]
    ) -> Float[Tensor, "1 256 64 64"]:
        few = self.few(volume).expand(LOOKS, -1, -1, -1, -1)
        moved = F.grid_sample(few, places.to(few), align_corners=False)
        near = torch.exp(-places.square().sum(-1) / 0.02)[:, None]  # where the points were and are
        kept = [torch.cat([near.to(moved), moved], 1).reshape(1, SEEN, DEPTH, SIDE, SIDE)]
        for layer in self.down:
            kept.append(F.avg_pool3d(layer(kept[-1]), (1, 2, 2)))
        answer = kept.pop()
        for layer in self.up:
            answer = torch.cat([layer(F.interpolate(answer, scale_factor=(1.0, 2.0, 2.0))), kept.pop()], 1)
        answer = self.last(answer)
        share = self.whose(answer).softmax(1)[0, :, ..., None]
        there = (share * places.to(share)).sum(0, keepdim=True)
        seen = torch.sigmoid(self.hidden(answer.flatten(1, 2)))
        return self.out(F.grid_sample(volume.to(there), there, align_corners=False).flatten(1, 2)) * seen


class Modulated(nn.Module):
    """Features normalised, then scaled and shifted as the moved volume says (SPADE, Park et al. 2019)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.told = nn.Sequential(nn.Conv2d(256, 128, 3, padding=1), nn.ReLU())
        self.scale, self.shift = (nn.Conv2d(128, features, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, moved: Tensor) -> Tensor:
        told = self.told(F.interpolate(moved, size=x.shape[2:]))
        return F.instance_norm(x) * (1 + self.scale(told)) + self.shift(told)


class Residue(nn.Module):
    """Two modulated convolutions beside the features themselves, or one more where their number changes."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        middle = min(before, after)
        self.norms = nn.ModuleList([Modulated(before), Modulated(middle)])
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(before, middle, 3, padding=1), nn.Conv2d(middle, after, 3, padding=1)]
        )
        self.beside = nn.Conv2d(before, after, 1, bias=False) if before != after else None
        self.norm_beside = Modulated(before) if before != after else None

    def forward(self, x: Tensor, moved: Tensor) -> Tensor:
        beside = self.beside(self.norm_beside(x, moved)) if self.beside and self.norm_beside else x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = convolution(F.leaky_relu(norm(x, moved), 0.2))
        return beside + x


class Painting(nn.Module):
    """The size of its decoder: features of 64 x 64 to a picture of 512 x 512."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(256, 512, 3, padding=1)
        self.middle = nn.ModuleList(Residue(512, 512) for _ in range(6))
        self.larger = nn.ModuleList([Residue(512, 256), Residue(256, 64)])
        self.last = nn.Conv2d(64, 3 * 2 * 2, 3, padding=1)

    def forward(self, moved: Float[Tensor, "1 256 64 64"]) -> Float[Tensor, "1 3 512 512"]:
        x = self.first(moved)
        for layer in self.middle:
            x = layer(x, moved)
        for layer in self.larger:
            x = layer(F.interpolate(x, scale_factor=2.0), moved)
        return torch.sigmoid(F.pixel_shuffle(self.last(F.leaky_relu(x, 0.2)), 2))


# ---- measured --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Seconds a frame of 512 x 512, on the clock and of all processors, and what was compared."""

    machine: str
    cores: int
    millions: dict[str, float]
    giga_multiplications: dict[str, float]
    theirs_s: dict[str, float]
    theirs_processor_s: dict[str, float]
    ours_s: dict[str, float]
    ours_processor_s: dict[str, float]

    def ratio(self, kind: str, what: str, *, processor: bool = False) -> float:
        """How many of our frames go into one of theirs."""
        theirs, ours = (self.theirs_processor_s, self.ours_processor_s) if processor else (self.theirs_s, self.ours_s)
        return theirs[kind] / ours[what]


KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CHAIN, FRAMES = "sound to signed video", "motion to frames"


class Peer:
    """Both networks in one kind of numbers, with what they would be given, of chance."""

    def __init__(self, kind: torch.dtype = torch.float32, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.kind = kind
        self.moving, self.painting = Moving().eval().to(kind), Painting().eval().to(kind)
        self.volume = torch.randn(1, CHANNELS, DEPTH, SIDE, SIDE)
        self.places = 2 * torch.rand(LOOKS, DEPTH, SIDE, SIDE, 3) - 1

    @torch.inference_mode()
    def frame(self) -> Float[Tensor, "1 3 512 512"]:
        """One frame of noise."""
        with torch.autocast("cpu", self.kind, enabled=self.kind != torch.float32):
            return self.painting(self.moving(self.volume, self.places)).float()

    def frames(self) -> int:
        """Makes a frame with all cores; says that it was one."""
        before = torch.get_num_threads()
        torch.set_num_threads(os.cpu_count() or 1)
        self.frame()
        torch.set_num_threads(before)
        return 1


def sizes() -> tuple[dict[str, float], dict[str, float]]:
    """Million parameters, and thousand million multiplications (each with its addition) a frame, of each network.

    Nothing is multiplied for it: tensors without contents tell as much.
    """
    with torch.device("meta"):
        moving, painting = Moving(), Painting()
        volume = torch.empty(1, CHANNELS, DEPTH, SIDE, SIDE)
        places = torch.empty(LOOKS, DEPTH, SIDE, SIDE, 3)
    millions, multiplications = {}, {}
    given: tuple[Tensor, ...] = (volume, places)
    for name, network in (("moving", moving), ("painting", painting)):
        with FlopCounterMode(display=False) as counted:
            given = (network(*given),)
        millions[name] = sum(p.numel() for p in network.parameters()) / 1e6
        multiplications[name] = counted.get_total_flops() / 2e9
    return millions, multiplications


def measure(rounds: int = 2) -> Comparison:
    """Their frame and our clip by turns, so that a busy machine is as busy for both; medians of so many rounds."""
    peers, studio = {name: Peer(kind) for name, kind in KINDS.items()}, Studio()
    subject, voice = assets.portraits()[0], assets.voices()[0]
    portrait, motion = studio.portrait(subject), list(studio.first_motion([load_sound(voice)], WHOLE))
    spent: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, work: Callable[[], int]) -> None:
        clock, processor = time.perf_counter(), time.process_time()
        frames = work()
        now = (time.perf_counter() - clock) / frames, (time.process_time() - processor) / frames
        spent.setdefault(name, []).append(now)

    def rendered() -> int:
        with one_thread():
            return sum(1 for _ in render_frames(portrait, motion, studio.surface, networks=studio.face_networks))

    with TemporaryDirectory() as folder:

        def spoken() -> int:
            return studio.speak(subject, voice, Path(folder) / "ours.mp4", progress=False).frames

        work = {name: peer.frames for name, peer in peers.items()} | {CHAIN: spoken, FRAMES: rendered}
        for name in tqdm([*work] * (rounds + 1), unit="turn", leave=False):  # the first round warms up
            timed(name, work[name])
    clock, processor = (
        {name: float(np.median([times[k] for times in all_times[1:]])) for name, all_times in spent.items()}
        for k in range(2)
    )
    millions, multiplications = sizes()
    return Comparison(
        machine=machine(),
        cores=os.cpu_count() or 1,
        millions=millions,
        giga_multiplications=multiplications,
        theirs_s={name: clock[name] for name in KINDS},
        theirs_processor_s={name: processor[name] for name in KINDS},
        ours_s={name: clock[name] for name in (CHAIN, FRAMES)},
        ours_processor_s={name: processor[name] for name in (CHAIN, FRAMES)},
    )


def report(found: Comparison) -> str:
    """Tables for people: the size of their networks beside what is published, then times and ratios."""
    sizes = [
        f"{name:<10}{found.millions[name]:8.2f} million parameters (published: {PUBLISHED_MILLIONS[name]:.2f}),"
        f" {found.giga_multiplications[name]:6.1f} thousand million multiplications a frame"
        for name in PUBLISHED_MILLIONS
    ]
    times = [
        f"{name:<30}{1000 * clock:9.1f}{1000 * processor:12.1f}"
        for name, clock, processor in (
            *((f"theirs, {k}", found.theirs_s[k], found.theirs_processor_s[k]) for k in KINDS),
            *((f"ours, {k}", found.ours_s[k], found.ours_processor_s[k]) for k in (CHAIN, FRAMES)),
        )
    ]
    ratios = [
        f"{f'{kind} beside ours, {what}':<50}{found.ratio(kind, what):8.0f} x"
        f"{found.ratio(kind, what, processor=True):10.0f} x"
        for kind in KINDS
        for what in (CHAIN, FRAMES)
    ]
    return "\n".join(
        [
            found.machine,
            "networks of the size of LivePortrait's, random weights, time only",
            *sizes,
            f"{'ms a frame of 512 x 512':<30}{'clock':>9}{'processors':>12}   {found.cores} cores",
            *times,
            f"{'their frame in frames of ours':<50}{'clock':>10}{'processors':>12}",
            *ratios,
        ]
    )


def write(found: Comparison, path: Path) -> None:
    """The figures as JSON, ratios included."""
    ratios = {f"{kind}, {what}": found.ratio(kind, what) for kind in KINDS for what in (CHAIN, FRAMES)}
    path.write_text(json.dumps(asdict(found) | {"ratios": ratios}, indent=1) + "\n")
