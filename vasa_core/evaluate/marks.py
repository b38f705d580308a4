"""How well the marks hold: `vasa evaluate marks`, on clips that the engine makes and the one door releases in that run.

Each clip is released as users get it, then harmed (attacks.py) and read without being told what was done to it. The
false-alarm rate is not what the detector believes of itself: complete searches of unmarked clips, and of marked ones
with other keys, give the distribution of their highest score, a Gumbel distribution is fitted to it, and its tail above
the score that the detector asks for is multiplied by the chance that a CRC of 16 bits fits one of the candidates. The
place of an uncropped picture, believed on a lower score, is judged likewise and added.
"""

from __future__ import annotations

import math
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.audio import load_sound
from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.evaluate.attacks import (
    Attack,
    Clip,
    as_video,
    at_15_fps,
    cropped,
    frames_of,
    luma,
    resized_and_back,
    trimmed,
    uploaded_again,
    x264,
)
from vasa_core.studio import Studio
from vasa_core.trust.codeword import CRC_BITS, payload_bits
from vasa_core.trust.consent import Grant
from vasa_core.trust.credentials import sign
from vasa_core.trust.house import House
from vasa_core.trust.release import recompressed, release_video, software
from vasa_core.trust.verify import seal_of
from vasa_core.trust.watermark import CANDIDATES, mark_for, read, score_asked_for, whole_score

FRAMES = 75
QUICK_CAST = ("mei", "kofi", "nora")
"""A woman before a plain wall, a dark-skinned man with a beard, and a cartoon: what the mark finds easy and hard."""

QUICK_SEARCHES, SEARCHES = 28, 600
FLIPS = 48
EULER = 0.5772156649

Picture = UInt8[np.ndarray, "height width 3"]


def attacks(clip_number: int) -> dict[str, Attack]:
    """What is done to a clip, by the name of its figure; each clip is cropped elsewhere."""
    right, down = ((0.0, 1.0), (1.0, 0.3), (0.45, 0.6))[clip_number % 3]
    return {
        "crf28": x264(28),
        "resize": resized_and_back,
        "crop": lambda clip: x264(23)(cropped(clip, 0.1, right, down)),
        "fps15": at_15_fps,
        "trim": trimmed,
        "vp9": uploaded_again,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A clip of the engine: as rendered, and as released under a grant."""

    pictures: list[Picture]
    released: Path
    grant: Grant


def measure(quick: bool, progress: bool = True) -> dict[str, float]:
    """Every figure by its name. Accuracies are shares of the payload's bits: 1 is bit-exact in every clip."""
    searches = QUICK_SEARCHES if quick else SEARCHES
    names = QUICK_CAST if quick else tuple(path.stem for path in assets.portraits())
    with tempfile.TemporaryDirectory() as folder, tqdm(total=7 * len(names) + searches, disable=not progress) as bar:
        house = House.at(Path(folder) / "house")
        studio, trials = Studio(house=house), []
        for number, (name, voice) in enumerate(zip(names, cycle(assets.voices()), strict=False)):
            bar.set_description(f"{name} speaks")
            trials.append(_trial(studio, name, voice, Path(folder) / f"{number}.mp4"))
            bar.update()
        bar.set_description("harmed and read")
        figures = _survival(trials, house, bar)
        bar.set_description("unmarked")
        figures |= _false_alarms(trials, house, searches, bar)
        return figures | _quality(trials, house) | _signature(trials[0], house)


def _trial(studio: Studio, name: str, voice: Path, out: Path) -> Trial:
    """Three seconds of a portrait speaking, and their release."""
    portrait = assets.FOLDER / "portraits" / f"{name}.png"
    sound = load_sound(voice)
    pictures = [moment.picture for moment in islice(studio.stream(portrait, [sound]), FRAMES)]
    grant = studio.grant(portrait, "speak")
    release_video(pictures, voice, FRAME_RATE_HZ, out, grant, house=studio.house)
    return Trial(pictures=pictures, released=out, grant=grant)


# ---- does it survive ----------------------------------------------------------------------------------------------


def _survival(trials: list[Trial], house: House, bar: Any) -> dict[str, float]:
    shares: dict[str, list[float]] = {}
    for number, trial in enumerate(trials):
        for name, attack in attacks(number).items():
            harmed = attack(frames_of(trial.released))
            shares.setdefault(name, []).append(bit_accuracy(harmed, trial.grant.mark, house.watermark_key))
            bar.update()
    return {f"watermark_{name}_bit_accuracy": statistics.fmean(found) for name, found in shares.items()}


def bit_accuracy(clip: Clip, payload: int, key: bytes) -> float:
    """The share of this payload's bits in what is read, believed or not."""
    reading = read(map(luma, clip), key)
    return float(np.mean(payload_bits(reading.payload) == payload_bits(payload))) if reading else 0.0


# ---- is it ever seen where it is not ------------------------------------------------------------------------------


def _false_alarms(trials: list[Trial], house: House, searches: int, bar: Any) -> dict[str, float]:
    scores, whole, alarms = [], [], 0
    for lumas, key in islice(_without_mark(trials, house), searches):
        reading = read(lumas, key)
        assert reading is not None
        scores.append(reading.known)
        whole.append(whole_score(lumas, key))
        alarms += reading.fits
        bar.update()
    rate = gumbel_tail(score_asked_for(), *gumbel(scores)) * CANDIDATES / 2**CRC_BITS
    whole_rate = gumbel_tail(score_asked_for(whole=True), *gumbel(whole)) / 2**CRC_BITS
    return {
        "false_alarm_rate": rate + whole_rate,
        "false_alarms_seen": float(alarms),
        "unmarked_searched": float(searches),
        "unmarked_highest_score": max(scores),
        "score_asked_for": score_asked_for(),
        "unmarked_highest_whole_score": max(whole),
        "whole_score_asked_for": score_asked_for(whole=True),
    }


def gumbel(scores: list[float]) -> tuple[float, float]:
    """Place and scale of the Gumbel distribution with these scores' mean and deviation."""
    scale = statistics.stdev(scores) * math.sqrt(6) / math.pi
    return statistics.fmean(scores) - EULER * scale, scale


def gumbel_tail(score: float, place: float, scale: float) -> float:
    """How often the maximum of many scores lies above this one; heavier than a normal distribution's maximum."""
    return -math.expm1(-math.exp(-(score - place) / scale))


def _without_mark(trials: list[Trial], house: House) -> Iterator[tuple[list[Picture], bytes]]:
    """Windows and keys that do not belong together, without end: half are unmarked, half marked under another key."""
    unmarked = [[luma(as_video(picture)) for picture in trial.pictures] for trial in trials]
    marked = [[luma(frame).copy() for frame in frames_of(trial.released)] for trial in trials]
    starts = cycle([(0, 75), (10, 11), (20, 45), (50, 51), (30, 75)])
    for (start, end), (clean, bearing) in zip(starts, cycle(zip(unmarked, marked, strict=True)), strict=False):
        yield clean[start:end], house.watermark_key if start == 0 else secrets.token_bytes(32)
        yield bearing[start:end], secrets.token_bytes(32)


# ---- what it costs ------------------------------------------------------------------------------------------------


def _quality(trials: list[Trial], house: House) -> dict[str, float]:
    """The mark's own part in the picture, before any codec, and its time on one core."""
    errors, seconds = [], []
    for trial in trials:
        mark = mark_for(trial.grant.mark, house.watermark_key, *trial.pictures[0].shape[:2])
        mark = mark.suited_to(cv2.cvtColor(trial.pictures[0], cv2.COLOR_RGB2GRAY), recompressed)
        for picture in trial.pictures[::5]:
            clean = luma(as_video(picture)).copy()
            marked = clean.copy()
            start = time.perf_counter()
            mark.into_luma(marked)
            seconds.append(time.perf_counter() - start)
            errors.append(float(np.mean((marked.astype(np.float64) - clean) ** 2)))
    worst = max(errors)
    return {
        "watermark_psnr_db": 10 * math.log10(255**2 / statistics.fmean(errors)),
        "watermark_worst_frame_psnr_db": 10 * math.log10(255**2 / worst),
        "watermark_ms_per_frame": 1000 * statistics.median(seconds),
    }


def _signature(trial: Trial, house: House) -> dict[str, float]:
    """The time to sign, and the share of single flipped bits, anywhere in the file, that are noticed."""
    again, seconds = trial.released.with_suffix(".again.mp4"), []
    for _ in range(9):
        start = time.perf_counter()
        sign(trial.released, again, trial.grant, software(), house.authority)
        seconds.append(time.perf_counter() - start)
    content = trial.released.read_bytes()
    spread = (np.linspace(0, 1, FLIPS) ** 2 * (len(content) - 1)).astype(int)  # denser at the start, where the index is
    noticed = [_is_noticed(content, int(at), again, house) for at in spread]
    return {"sign_ms": 1000 * statistics.median(seconds), "flipped_bits_noticed": statistics.fmean(noticed)}


def _is_noticed(content: bytes, at: int, harmed: Path, house: House) -> bool:
    flipped = bytearray(content)
    flipped[at] ^= 1
    harmed.write_bytes(flipped)
    return seal_of(harmed, house) != "ours"


def report(figures: dict[str, float]) -> str:
    """The figures as a table."""
    return "\n".join(f"{name:<34}{value:12.4g}" for name, value in figures.items())
