"""How fast this machine makes a video: offline and streaming, stage by stage, with memory and what speed costs.

Offline is the whole chain, sound to signed MP4. Streaming is measured twice: with sound as fast as it is wanted (how
many frames a second), and as in a conversation, with sound that arrives as it is spoken and a player that asks for a
frame every 40 ms, BEHIND_S behind the voice (how evenly they come, and whether one is late). The first frame's latency
counts from the moment the last chunk it needs was handed over.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core import assets
from vasa_core.attention import contrast, foretold_db
from vasa_core.audio import load_sound
from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.decoder import Decoder
from vasa_core.device.choice import device_named
from vasa_core.device.measure import measure as device_figures
from vasa_core.device.measure import pack, rig, write
from vasa_core.device.measure import report as card_report
from vasa_core.errors import BadOption
from vasa_core.latents import Motion
from vasa_core.portrait import Portrait
from vasa_core.refinement import load_networks
from vasa_core.render import poses, render_frames
from vasa_core.studio import Studio, one_thread

Made = TypeVar("Made")

CHUNK = SAMPLE_RATE_HZ // FRAME_RATE_HZ
PACED_S, QUICK_PACED_S = 60.0, 8.0
FREE_S, QUICK_FREE_S = 20.0, 6.0
BEHIND_S = 1.2
"""The player shows a frame so long after its moment was spoken: motion hears 0.96 s ahead of the first of eight."""

LATE_S = 0.5 / FRAME_RATE_HZ
"""A frame that a player has in its hands later than this after it was due, is late."""
CLIP = slice(25, 55)
"""Frames of a generated performance on which the fast path is compared with the reference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What was measured. Frames are 512 x 512 unless a name says otherwise."""

    machine: str
    offline_fps_512: float
    offline_fps_256: float
    first_video_s: float
    stages_ms: dict[str, float]
    stream_fps_512: float
    stream_p99_ms: float
    first_frame_ms: float
    frame_p50_ms: float
    frame_p95_ms: float
    frame_p99_ms: float
    wait_p99_ms: float
    late_frames: int
    paced_frames: int
    behind_ms: float
    peak_rss_mb: float
    rss_slope_mb_per_min: float
    fast_vs_reference_psnr_db: float
    fast_vs_reference_mouth_db: float
    processor_ms: float
    costs_ms: dict[str, float]


def measure(quick: bool = False) -> Bench:
    """Makes videos and streams from nothing but files; the first video holds all loading and compiling."""
    subject, voice = assets.portraits()[0], assets.voices()[0]
    studio, start = Studio(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.mp4"
        studio.speak(subject, voice, out, progress=False)
        first_s = time.perf_counter() - start
        before = time.process_time()
        large, large_s = _timed(studio, subject, voice, out, 512)
        processor_s = time.process_time() - before
        small, small_s = _timed(studio, subject, voice, out, 256)
    portrait, sound = studio.portrait(subject), load_sound(voice)
    latency = _first_frame_s(studio, portrait, sound)
    free_ms = 1000 * np.diff(_stream(studio, portrait, sound, QUICK_FREE_S if quick else FREE_S))
    paced = _paced(studio, portrait, sound, QUICK_PACED_S if quick else PACED_S)
    gaps_ms = 1000 * np.diff(paced.handed_s)
    clip = _performance(studio, sound)
    whole_db, mouth_db = _fidelity(studio, portrait, clip)
    return Bench(
        machine=machine(),
        offline_fps_512=large.frames / large_s,
        offline_fps_256=small.frames / small_s,
        first_video_s=first_s,
        stages_ms={stage: 1000 * spent / large.frames for stage, spent in large.seconds.items()},
        stream_fps_512=float(1000 / free_ms.mean()),
        stream_p99_ms=float(np.percentile(free_ms, 99)),
        first_frame_ms=1000 * latency,
        frame_p50_ms=float(np.percentile(gaps_ms, 50)),
        frame_p95_ms=float(np.percentile(gaps_ms, 95)),
        frame_p99_ms=float(np.percentile(gaps_ms, 99)),
        wait_p99_ms=float(np.percentile(1000 * paced.waited_s, 99)),
        late_frames=paced.late,
        paced_frames=len(paced.due_s),
        behind_ms=1000 * BEHIND_S,
        peak_rss_mb=_peak_memory_mb(),
        rss_slope_mb_per_min=_slope(paced.handed_s, paced.memory_mb),
        fast_vs_reference_psnr_db=whole_db,
        fast_vs_reference_mouth_db=mouth_db,
        processor_ms=1000 * processor_s / large.frames,
        costs_ms=_costs(studio, portrait, clip),
    )


def pack_for_card(folder: Path) -> str:
    """Writes a portrait and a voice of ours for `device.measure`; says how to go on."""
    pack(Studio().portrait(assets.portraits()[0]), load_sound(assets.voices()[0]), folder)
    return f"{folder}: now, on the machine with the card, python -m vasa_core.device.measure {folder} --json FILE"


def measure_card(device: str, quick: bool = False, json_file: Path | None = None) -> str:
    """The same portrait and voice made on a graphics card, as a table (`device.measure`)."""
    studio, place = Studio(device=device), device_named(device)
    assert place
    subject = rig(studio.portrait(assets.portraits()[0]), load_sound(assets.voices()[0]), place)
    figures = device_figures(subject, QUICK_STREAM_S if quick else STREAM_S)
    if json_file:
        write(figures, json_file)
    return card_report(figures)


def _timed(studio: Studio, subject: Path, voice: Path, out: Path, size: int):
    start = time.perf_counter()
    released = studio.speak(subject, voice, out, size=size, progress=False)
    return released, time.perf_counter() - start


def _chunks(sound: Tensor, seconds: float) -> Iterator[Tensor]:
    """The sound over and over, one video frame's worth at a time."""
    for k in range(round(seconds * FRAME_RATE_HZ)):
        at = (k * CHUNK) % (len(sound) - CHUNK)
        yield sound[at : at + CHUNK]


def _stream(studio: Studio, portrait: Portrait, sound: Tensor, seconds: float) -> Float[np.ndarray, " frame"]:
    """When each frame arrived (s), with sound as fast as it is wanted."""
    return np.array([time.perf_counter() for _ in studio.stream(portrait, _chunks(sound, seconds))])


@dataclass(frozen=True, kw_only=True)
class Paced:
    """A conversation: when each frame was due, when the player had it (s of one clock), and memory then (MB)."""

    due_s: Float[np.ndarray, " frame"]
    handed_s: Float[np.ndarray, " frame"]
    memory_mb: Float[np.ndarray, " frame"]

    @property
    def waited_s(self) -> Float[np.ndarray, " frame"]:
        """How long the player waited for each."""
        return self.handed_s - self.due_s

    @property
    def late(self) -> int:
        """How many were late."""
        return int((self.waited_s > LATE_S).sum())


def _paced(studio: Studio, portrait: Portrait, sound: Tensor, seconds: float) -> Paced:
    """Sound arrives as it is spoken; a player asks for each frame when it is due, BEHIND_S after its moment."""
    began: list[float] = []

    def spoken() -> Iterator[Tensor]:
        began.append(time.perf_counter())
        for k, chunk in enumerate(_chunks(sound, seconds)):
            _wait_until(began[0] + (k + 1) / FRAME_RATE_HZ)
            yield chunk

    due, handed, memory = [], [], []
    with closing(studio.stream(portrait, spoken())) as frames:
        first = [next(frames)]  # with the first question all begins; this frame, too, is shown when it is due
        for k in range(round(seconds * FRAME_RATE_HZ)):
            due.append(began[0] + (k + 0.5) / FRAME_RATE_HZ + BEHIND_S)
            _wait_until(due[-1])
            first.pop() if first else next(frames)
            handed.append(time.perf_counter())
            memory.append(_memory_mb())
    return Paced(due_s=np.array(due), handed_s=np.array(handed), memory_mb=np.array(memory))


def _wait_until(second: float) -> None:
    time.sleep(max(0.0, second - time.perf_counter()))


def _first_frame_s(studio: Studio, portrait: Portrait, sound: Tensor, tries: int = 5) -> float:
    """Seconds from the chunk that the first frame was still waiting for to that frame, median of some tries."""
    waits = []
    for _ in range(tries):
        handed: list[float] = []

        def noted(handed: list[float] = handed) -> Iterator[Tensor]:
            for chunk in _chunks(sound, 4.0):
                handed.append(time.perf_counter())
                yield chunk

        with closing(studio.stream(portrait, noted())) as frames:
            next(frames)
            arrived = time.perf_counter()
        waits.append(arrived - handed[_chunks_needed(studio, sound) - 1])
    return float(np.median(waits))


def _chunks_needed(studio: Studio, sound: Tensor) -> int:
    """How many chunks the first stretch of motion takes."""
    taken = 0

    def counted() -> Iterator[Tensor]:
        nonlocal taken
        for chunk in _chunks(sound, 4.0):
            taken += 1
            yield chunk

    next(studio.first_motion(counted()))
    return taken


def _performance(studio: Studio, sound: Tensor) -> Motion:
    """Some frames in the middle of what this sound is performed as."""
    with one_thread():
        packed = torch.cat([motion.packed() for motion in studio.first_motion([sound[: CLIP.stop * CHUNK]])])
    return Motion.unpacked(packed[CLIP])


def _fidelity(studio: Studio, portrait: Portrait, clip: Motion) -> tuple[float, float]:
    """PSNR (dB), whole and around the mouth, of frames as they run against the reference: the network asked about
    every frame, in full precision."""
    exact = load_networks(assets.weights("face.safetensors"), exact=True)
    with one_thread():
        fast = render_frames(portrait, [clip], studio.surface, networks=studio.face_networks)
        reference = render_frames(portrait, [clip], studio.surface, networks=exact, every_frame=True)
        errors = [(a.astype(np.float32) - b) ** 2 for a, b in zip(fast, reference, strict=True)]
    around = _mouth(portrait)
    return _psnr_db(float(np.mean(errors))), _psnr_db(float(np.mean([error[around] for error in errors])))


def _mouth(portrait: Portrait) -> tuple[slice, slice]:
    """Rows and columns around the portrait's mouth."""
    lips = portrait.landmarks[[61, 291, 0, 17]]
    margin = np.ptp(lips[:, 0]) / 3
    (x0, y0), (x1, y1) = np.floor(lips.min(0) - margin).astype(int), np.ceil(lips.max(0) + margin).astype(int)
    return slice(max(y0, 0), y1 + round(margin)), slice(max(x0, 0), x1)


def _psnr_db(mean_square: float) -> float:
    return float(10 * np.log10(255**2 / max(mean_square, 1e-9)))


def _costs(studio: Studio, portrait: Portrait, clip: Motion) -> dict[str, float]:
    """Processor milliseconds of each step of a frame, done one after the other; the least of some tries."""
    decoder = Decoder(portrait, studio.surface, studio.face_networks)
    mending, grey = decoder.mending, contrast(portrait.crop)
    assert mending
    least: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Made]) -> Made:
        start = time.thread_time()
        made = step()
        least[name] = min(least.get(name, np.inf), 1000 * (time.thread_time() - start))
        return made

    with one_thread():
        looks = list(poses(clip))
        for k in range(1, len(looks) - 1, 4):
            begun = [timed("geometry", partial(decoder.begun, *look)) for look in looks[k - 1 : k + 2]]
            sights = [sight for _, sight in begun if sight]
            said = [timed("network, when asked", partial(mending.asked, w, s)) for w, s in begun if s]
            timed("is it to be asked?", partial(foretold_db, sights[0], sights[1], sights[2], grey))
            between = timed("between two, when not asked", partial(mending.between, said[0], said[2], sights[1]))
            timed("blend", partial(mending.frame, begun[1][0], between))
    return least


def _slope(times: np.ndarray, memory: np.ndarray) -> float:
    """Growth in MB a minute over the last three quarters, when everything has been touched once."""
    from_then = len(times) // 4
    return float(60 * np.polyfit(times[from_then:] - times[0], memory[from_then:], 1)[0])


# ---- telling ---------------------------------------------------------------------------------------------------------
UNITS = {
    "offline_fps_512": "frames a second, sound to signed MP4, 512 x 512",
    "offline_fps_256": "the same at 256 x 256",
    "first_video_s": "s, the first video of a process, loading and compiling included",
    "stream_fps_512": "frames a second while sound streams in as fast as it is wanted",
    "stream_p99_ms": "ms from frame to frame then, 99 in 100 are faster",
    "first_frame_ms": "ms from the last sound it needs to the first frame, warm",
    "frame_p50_ms": "ms from frame to frame in a conversation (40 by its clock), median",
    "frame_p95_ms": "ms, 95 in 100 are faster",
    "frame_p99_ms": "ms, 99 in 100 are faster",
    "wait_p99_ms": "ms from when a frame is due to when the player has it, 99 in 100 are faster",
    "late_frames": "frames that the player had more than 20 ms after they were due",
    "paced_frames": "frames of that conversation",
    "behind_ms": "ms that its player stays behind the voice",
    "peak_rss_mb": "MB of memory at most",
    "rss_slope_mb_per_min": "MB a minute of growth while streaming",
    "fast_vs_reference_psnr_db": "dB, frames as they run against every frame asked about in full precision",
    "fast_vs_reference_mouth_db": "dB, the same around the mouth",
    "processor_ms": "ms of all processors a frame, sound to signed MP4",
}


def report(bench: Bench, before: dict[str, float] | None = None) -> str:
    """The measurement as a table; with an earlier one, the ratio to it."""
    rows = []
    for name, meaning in UNITS.items():
        value = getattr(bench, name)
        ratio = f"{value / before[name]:7.2f} x" if before and before.get(name) else ""
        rows.append(f"{name:<26}{value:9.1f}{ratio}  {meaning}")
    stages = [f"  {stage:<24}{spent:9.1f}  ms a frame" for stage, spent in bench.stages_ms.items()]
    costs = [f"  {step:<28}{spent:5.1f}  ms" for step, spent in bench.costs_ms.items()]
    return "\n".join(
        [
            bench.machine,
            *rows,
            "stages of the offline video (side by side, so they add up to more)",
            *stages,
            "processor time of a frame's own steps",
            *costs,
        ]
    )


def read_earlier(path: Path) -> dict[str, float]:
    """An earlier run's figures, or BadOption."""
    try:
        return {name: value for name, value in json.loads(path.read_text()).items() if name in UNITS}
    except (OSError, ValueError, AttributeError):
        raise BadOption(f"{path} holds no figures of vasa bench: write them with --json.") from None


def write_figures(bench: Bench, path: Path) -> None:
    """The figures as JSON."""
    path.write_text(json.dumps(asdict(bench), indent=1) + "\n")


def machine() -> str:
    """Processor and versions, so that a figure can be compared with another."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{_processor()}, {os.cpu_count()} cores, Python {python}, torch {torch.__version__}"


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # macOS counts bytes, Linux kilobytes


def _memory_mb() -> float:
    """What the process holds now; where /proc is not there, what it held at most."""
    listed = Path("/proc/self/statm")
    if not listed.is_file():
        return _peak_memory_mb()
    return int(listed.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
