"""How long things take, timed and drawn: what notebook 08 measures on the machine that runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from vasa_core import showing
from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import EMOTIONS
from vasa_core.latents import MOTION
from vasa_core.motion import CONDITIONS, Conditions, MotionTransformer
from vasa_core.stream import Pace

VASA_1 = {"VASA-1 offline, RTX 4090": 45.0, "VASA-1 online, RTX 4090": 40.0}
"""Frames a second at 512 x 512 (paper, section 4 and project page)."""

VASA_1_FIRST_FRAME_MS = 170.0
"""Preceding latency of its online mode (the same)."""


def median_ms(work: Callable[[], object], times: int = 9) -> float:
    """Milliseconds that this takes, median of some times."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        spent.append(1000 * (time.perf_counter() - begun))
    return float(np.median(spent))


def batch_ms(model: MotionTransformer, batch: int, times: int = 5) -> float:
    """Milliseconds that the motion transformer takes for one answer about so many windows at once."""
    config = model.config
    many = _silence(model).repeated((None,) * batch)
    noisy, half = torch.zeros(batch, config.window, MOTION), torch.full((batch,), 0.5)
    with torch.inference_mode():
        return median_ms(lambda: model(noisy, half, many), times)


def _silence(model: MotionTransformer) -> Conditions:
    """The conditions of one window of silence, nothing wished for."""
    config = model.config
    return Conditions(
        audio=torch.zeros(1, config.window, config.audio_features),
        heard=torch.ones(1, config.window, dtype=torch.bool),
        past_audio=torch.zeros(1, config.past, config.audio_features),
        past_motion=torch.zeros(1, config.past, MOTION),
        gaze=torch.zeros(1, config.window, 2),
        head_distance=torch.ones(1, config.window),
        emotion=torch.zeros(1, config.window, len(EMOTIONS)),
        listening=torch.zeros(1, config.window),
        present=torch.ones(1, len(CONDITIONS), dtype=torch.bool),
    )


# ---- drawn -----------------------------------------------------------------------------------------------------------


def show_windows(pace: Pace, past: int, window: int, count: int = 4) -> None:
    """Which frames each window remembers, makes, hears ahead and imagines."""
    hop = pace.hop_of(window)
    parts = (
        (-past, past, showing.PALE, "remembered"),
        (0, hop, showing.BLUE, "made"),
        (hop, pace.lookahead, showing.ORANGE, "heard ahead"),
        (hop + pace.lookahead, pace.imagined, showing.YELLOW, "imagined"),
    )
    figure, axes = showing.plt.subplots(figsize=(showing.WIDTH_IN, 2.8))
    for row in range(count):
        for begin, length, colour, word in parts:
            told = word if row == 0 else None
            axes.barh(row, length, left=hop * row + begin, color=colour, edgecolor="white", height=0.7, label=told)
    axes.set(yticks=range(count), yticklabels=[f"window {row + 1}" for row in range(count)])
    axes.set_xlabel(f"frame, {FRAME_RATE_HZ} a second")
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    alt = "Windows as bars, each starting one hop later than the one above: frames remembered, made, heard ahead and"
    showing.described(figure, f"{alt} imagined; the made parts join without a gap.")


def show_stages(stages_ms: Mapping[str, float], fps: float) -> None:
    """Milliseconds a frame by stage, and of a whole frame at this pace."""
    stages = sorted(stages_ms.items(), key=lambda stage: stage[1])
    figure, axes = showing.plt.subplots()
    axes.barh([name for name, _ in stages], [spent for _, spent in stages], color=showing.BLUE)
    axes.axvline(1000 / fps, color=showing.RED, label="a frame, all in all")
    axes.axvline(1000 / FRAME_RATE_HZ, color=showing.INK, linestyle=":", label="real time")
    axes.set_xlabel("ms a frame of video")
    axes.legend(loc="lower right")
    longest = ", then ".join(name for name, _ in stages[::-1][:2])
    showing.described(figure, f"Bars of milliseconds a frame for each stage of making a video; longest is {longest}.")


def show_speeds(ours: Mapping[str, float]) -> None:
    """Frames a second beside VASA-1's."""
    speeds = VASA_1 | dict(ours)
    colours = [showing.PALE] * len(VASA_1) + [showing.BLUE] * len(ours)
    figure, axes = showing.plt.subplots()
    axes.barh(list(speeds), list(speeds.values()), color=colours)
    axes.axvline(FRAME_RATE_HZ, color=showing.INK, linestyle=":", label="real time")
    axes.invert_yaxis()
    axes.set_xlabel("frames a second at 512 × 512")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    alt = "Bars of frames a second: VASA-1 offline 45 and online 40 on a graphics card, beside ours on this machine:"
    showing.described(figure, f"{alt} {', '.join(f'{name} {speed:.0f}' for name, speed in ours.items())}.")
