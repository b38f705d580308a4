"""How fast this machine makes a video: the whole chain on a portrait and a voice of ours, stage by stage."""

from __future__ import annotations

import os
import platform
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from vasa_core import assets
from vasa_core.studio import Studio
from vasa_core.trust.release import Released


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What was measured: the first video with all it loads and compiles, and the same again, warm."""

    first_s: float
    again_s: float
    again: Released
    peak_memory_gb: float


def measure() -> Bench:
    """Makes the same video twice, from nothing but files."""
    portrait, voice = assets.portraits()[0], assets.voices()[0]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.mp4"
        studio, start = Studio(), time.perf_counter()
        studio.speak(portrait, voice, out)
        middle = time.perf_counter()
        again = studio.speak(portrait, voice, out)
        end = time.perf_counter()
    return Bench(first_s=middle - start, again_s=end - middle, again=again, peak_memory_gb=_peak_memory_gb())


def report(bench: Bench) -> str:
    """The measurement as a small table."""
    frames = bench.again.frames
    rows = [f"{stage:<10}{1000 * spent / frames:8.1f} ms a frame" for stage, spent in bench.again.seconds.items()]
    return "\n".join([
        f"{machine()}",
        f"{frames} frames of 512 x 512, {bench.again.duration_s:.2f} s",
        *rows,
        f"{'all':<10}{1000 * bench.again_s / frames:8.1f} ms a frame, {frames / bench.again_s:.1f} frames a second",
        f"first video {bench.first_s:.1f} s, again {bench.again_s:.1f} s, peak memory {bench.peak_memory_gb:.2f} GB",
    ])  # fmt: skip


def machine() -> str:
    """Processor and versions, so that a figure can be compared with another."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{_processor()}, {os.cpu_count()} cores, Python {python}, torch {torch.__version__}"


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _peak_memory_gb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)  # macOS counts bytes, Linux kilobytes
