"""How fast this machine makes a video: offline and streaming, stage by stage, with memory and what speed costs.

Offline is the whole chain, sound to signed MP4. Streaming takes sound in chunks as fast as they are wanted and times
each frame's arrival. The first frame's latency counts from the moment the last chunk it needs was handed over.
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
from torch import Tensor

from vasa_core import assets
from vasa_core.attention import contrast, foretold_db
from vasa_core.audio import load_sound
from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.decoder import Decoder
from vasa_core.errors import BadOption
from vasa_core.latents import Motion
from vasa_core.portrait import Portrait
from vasa_core.refinement import load_networks
from vasa_core.render import poses, render_frames
from vasa_core.studio import Studio, one_thread

Made = TypeVar("Made")

CHUNK = SAMPLE_RATE_HZ // FRAME_RATE_HZ
STREAM_S, QUICK_STREAM_S = 60.0, 8.0
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
    first_frame_ms: float
    frame_p50_ms: float
    frame_p95_ms: float
    frame_p99_ms: float
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
    times, memory = _stream(studio, portrait, sound, QUICK_STREAM_S if quick else STREAM_S)
    gaps_ms = 1000 * np.diff(times)
    clip = _performance(studio, sound)
    whole_db, mouth_db = _fidelity(studio, portrait, clip)
    return Bench(
        machine=machine(),
        offline_fps_512=large.frames / large_s,
        offline_fps_256=small.frames / small_s,
        first_video_s=first_s,
        stages_ms={stage: 1000 * spent / large.frames for stage, spent in large.seconds.items()},
        stream_fps_512=float(1000 / gaps_ms.mean()),
        first_frame_ms=1000 * latency,
        frame_p50_ms=float(np.percentile(gaps_ms, 50)),
        frame_p95_ms=float(np.percentile(gaps_ms, 95)),
        frame_p99_ms=float(np.percentile(gaps_ms, 99)),
        peak_rss_mb=_peak_memory_mb(),
        rss_slope_mb_per_min=_slope(times, memory),
        fast_vs_reference_psnr_db=whole_db,
        fast_vs_reference_mouth_db=mouth_db,
        processor_ms=1000 * processor_s / large.frames,
        costs_ms=_costs(studio, portrait, clip),
    )


def _timed(studio: Studio, subject: Path, voice: Path, out: Path, size: int):
    start = time.perf_counter()
    released = studio.speak(subject, voice, out, size=size, progress=False)
    return released, time.perf_counter() - start


def _chunks(sound: Tensor, seconds: float) -> Iterator[Tensor]:
    """The sound over and over, one video frame's worth at a time."""
    for k in range(round(seconds * FRAME_RATE_HZ)):
        at = (k * CHUNK) % (len(sound) - CHUNK)
        yield sound[at : at + CHUNK]


def _stream(studio: Studio, portrait: Portrait, sound: Tensor, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """When each frame arrived (s), and the process's memory then (MB)."""
    times, memory = [], []
    for _ in studio.stream(portrait, _chunks(sound, seconds)):
        times.append(time.perf_counter())
        memory.append(_memory_mb())
    return np.array(times), np.array(memory)


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
    "stream_fps_512": "frames a second while sound streams in",
    "first_frame_ms": "ms from the last sound it needs to the first frame, warm",
    "frame_p50_ms": "ms from frame to frame while streaming, median",
    "frame_p95_ms": "ms, 95 in 100 are faster",
    "frame_p99_ms": "ms, 99 in 100 are faster",
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
