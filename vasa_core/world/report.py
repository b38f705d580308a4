"""The statistics report: our performances beside real people on video, measure by measure, inside the band or not.

    python -m vasa_core.world report --takes 200

Real figures are medians [10 %, 90 %] over 27 clips of natural speech (281 s); a band is what such clips span, or the
tighter one that was set as target. Ours are measured without a tracker's noise, so what that noise makes is not judged.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.controls import EMOTIONS
from vasa_core.surface import load_surface
from vasa_core.world.measures import Clip, clip_of, pooled, track_of
from vasa_core.world.performer import Mood
from vasa_core.world.scripts import Script, performed, scripts_from
from vasa_core.world.voices import Utterance, load_utterances


@dataclass(frozen=True)
class Band:
    """One measure: where it must lie, and what real people showed."""

    name: str
    low: float
    high: float
    real: str


BANDS = tuple(
    Band(name, low, high, real)
    for name, low, high, real in (
        ("head.dP", 0.30, 0.70, "0.53 [0.34, 0.76] deg/frame"),
        ("head.dP_below_6Hz", 0.20, 0.65, "0.41 [0.24, 0.70]"),
        ("head.dP.yaw", 0.40, 0.95, "0.66 [0.40, 0.95]"),
        ("head.dP.pitch", 0.40, 0.86, "0.56 [0.40, 0.86]"),
        ("head.dP.roll", 0.20, 0.59, "0.35 [0.20, 0.59]"),
        ("head.sd.yaw", 2.0, 8.0, "4.2 [1.9, 10.7] deg"),
        ("head.sd.pitch", 1.5, 6.0, "3.5 [1.5, 6.0]"),
        ("head.sd.roll", 1.0, 6.0, "3.7 [1.2, 6.7]"),
        ("head.range.yaw", 7.6, 38.3, "16.1 [7.6, 38.3] deg"),
        ("head.range.pitch", 5.5, 22.8, "12.4 [5.5, 22.8]"),
        ("head.range.roll", 4.5, 25.7, "14.5 [4.5, 25.7]"),
        ("head.speed.p50", 9.8, 27.8, "14.6 [9.8, 27.8] deg/s"),
        ("head.speed.p90", 21.9, 74.5, "44 [22, 75]"),
        ("head.speed.p99", 40.4, 158.7, "75 [40, 159]"),
        ("head.burstiness", 2.3, 4.0, "3.0, p90 over p50"),
        ("head.still_share", 0.0, 0.032, "0.005 [0, 0.032] of frames"),
        ("head.power.yaw.<0.5", 0.227, 0.890, "0.62 [0.23, 0.89]"),
        ("head.power.yaw.0.5-2", 0.090, 0.675, "0.31 [0.09, 0.68]"),
        ("head.power.yaw.2-5", 0.004, 0.131, "0.018 [0.004, 0.131]"),
        ("head.power.yaw.>5", 0.0, 0.030, "0.005 [0.001, 0.037]"),
        ("head.power.pitch.<0.5", 0.278, 0.884, "0.64 [0.28, 0.88]"),
        ("head.power.pitch.0.5-2", 0.080, 0.577, "0.29 [0.08, 0.58]"),
        ("head.power.pitch.2-5", 0.008, 0.104, "0.030 [0.008, 0.104]"),
        ("head.power.pitch.>5", 0.0, 0.030, "0.010 [0.003, 0.032]"),
        ("head.power.roll.<0.5", 0.439, 0.918, "0.68 [0.44, 0.92]"),
        ("head.power.roll.0.5-2", 0.075, 0.505, "0.27 [0.08, 0.51]"),
        ("head.power.roll.2-5", 0.003, 0.075, "0.010 [0.003, 0.075]"),
        ("head.power.roll.>5", 0.0, 0.030, "0.003 [0.001, 0.021]"),
        ("head.place_sd.x", 0.044, 0.188, "0.077 [0.044, 0.188] eye spans"),
        ("head.place_sd.y", 0.018, 0.114, "0.045 [0.018, 0.114]"),
        ("head.place_step", 0.0098, 0.0280, "0.016 [0.010, 0.028]"),
        ("head.size_sd", 0.008, 0.032, "0.017 [0.008, 0.032]"),
        ("head.speed.speech", 12.0, 37.0, "23 [12, 37] deg/s"),
        ("head.speed.silence", 8.0, 34.5, "14 [8, 35]"),
        ("head.energy_correlation", 0.136, 0.55, "0.32 [0.14, 0.55]; backwards 0.20"),
        ("onset.head_speed_320ms_before", 0.5, 1.0, "0.70 of its mean"),
        ("onset.head_speed_80ms_before", 1.05, 1.8, "1.41 of its mean"),
        ("blinks.per_min", 10, 30, "24 (clips 3-54)"),
        ("blinks.partial_per_min", 2, 12, "10.5"),
        ("blinks.frames_under_60", 2, 5, "3 [2, 7]"),
        ("blinks.frames_under_82", 4, 9, "5 [3, 12]"),
        ("blinks.depth", 0.0, 0.40, "0.21 [0.10, 0.40] of the open lid"),
        ("blinks.interval_mu", 0.12, 1.1, "0.39-0.55, calm 1.1 (log s)"),
        ("blinks.interval_sigma", 0.6, 1.0, "0.70-0.86"),
        ("lids.closed_share", 0.024, 0.275, "0.10 [0.02, 0.28]"),
        ("gaze.saccades_per_s", 0.4, 1.2, "0.74"),
        ("gaze.saccade_deg", 2.6, 8.8, "3.6 [2.6, 8.8]"),
        ("gaze.fixation_s", 0.2, 2.45, "0.56 [0.2, 2.5]"),
        ("gaze.sd.x", 2.0, 6.0, "3.7 [2.0, 7.7] deg"),
        ("gaze.sd.y", 1.0, 4.0, "2.3 [1.3, 3.9]"),
        ("gaze.counter_rotation", -0.13, 0.48, "0.19 [-0.13, 0.48]"),
        ("lips.p95", 0.11, 0.25, "0.15 [0.09, 0.24] eye spans"),
        ("lips.p50", 0.018, 0.112, "0.065 [0.018, 0.112]"),
        ("lips.p5", 0.0, 0.0125, "0.003 [0.001, 0.008]"),
        ("lips.width_mean", 0.522, 0.633, "0.58 [0.52, 0.63]"),
        ("lips.width_sd", 0.024, 0.059, "0.033 [0.024, 0.059]"),
        ("lips.protrusion_sd", 0.010, 0.024, "0.015 [0.010, 0.024]"),
        ("lips.jaw_sd", 0.022, 0.045, "0.033 [0.022, 0.045]"),
        ("lips.step_over_p95", 0.076, 0.153, "0.125 [0.076, 0.153]"),
        ("lips.fast_over_p95", 0.02, 0.05, "0.045 [0.021, 0.059]"),
        ("lips.power.<1", 0.168, 0.700, "0.44 [0.17, 0.70]"),
        ("lips.power.1-3", 0.195, 0.540, "0.39 [0.20, 0.54]"),
        ("lips.power.3-6", 0.059, 0.283, "0.13 [0.06, 0.28]"),
        ("lips.power.6-8", 0.006, 0.048, "0.018 [0.006, 0.048]"),
        ("lips.power.>8", 0.005, 0.053, "0.023 [0.005, 0.053]"),
        ("lips.speech.mean", 0.35, 0.62, "0.47 [0.30, 0.61] of p95"),
        ("lips.speech.closed", 0.12, 0.40, "0.20 [0.11, 0.47]"),
        ("lips.silence.mean", 0.13, 0.59, "0.29 [0.13, 0.59]"),
        ("lips.silence.closed", 0.0, 0.84, "0.28 [0, 0.84]"),
        ("phones.bilabial.closed", 0.80, 1.0, "0.93 (chance 0.37)"),
        ("phones.labiodental.closed", 0.65, 1.0, "0.81"),
        ("phones.open_minus_bilabial", 0.35, 1.0, "0.45 [0.33, 0.59]"),
        ("phones.bilabial.opening", 0.0, 0.21, "0.03 [0.01, 0.21] of p95"),
        ("phones.labiodental.opening", 0.02, 0.27, "0.06 [0.02, 0.27]"),
        ("phones.rounded.opening", 0.02, 0.55, "0.17 [0.02, 0.55]"),
        ("phones.alveolar.opening", 0.06, 0.81, "0.45 [0.06, 0.81]"),
        ("phones.sibilant.opening", 0.10, 0.79, "0.47 [0.10, 0.79]"),
        ("phones.spread.opening", 0.16, 0.89, "0.54 [0.16, 0.89]"),
        ("phones.velar.opening", 0.27, 0.90, "0.63 [0.27, 0.90]"),
        ("phones.open.opening", 0.45, 1.12, "0.72 [0.15, 1.12]"),
        ("phones.rounded.width_z", -2.5, -0.7, "-1.3"),
        ("phones.spread.width_z", 0.1, 1.2, "+0.26"),
        ("sync.correlation", 0.40, 0.95, "0.39 [0.29, 0.60]"),
        ("sync.chance", 0.0, 0.32, "0.19 [0.10, 0.32]"),
        ("sync.lag_ms", -80, 40, "-40..0"),
        ("onset.mouth_lead_ms", -300, -80, "-200 [-410, +60]"),
        ("brows.sd", 0.008, 0.029, "0.016 [0.008, 0.029] eye spans"),
        ("brows.range", 0.024, 0.084, "0.050 [0.024, 0.084]"),
    )
)

NOT_COMPARED = (
    "jitter of rigid points, residual after the rigid fit, angles above 8 Hz: a tracker's noise, which ours has not",
    "brows against F0, lips against energy: no effect above chance in real people, so none is asked for",
    "sign of pitch against F0: differs from person to person",
    "opening of the lids (EAR): a matter of anatomy; the performer's face is the mean face",
)
"""What real people were measured for and ours are not judged by, and why."""


def performed_clips(scripts: Sequence[Script], mood: Mood, seed: int) -> Iterator[Clip]:
    """One performance of each script, measured."""
    surface = load_surface(assets.weights("surface.safetensors"))
    for script, sequence in zip(scripts, np.random.SeedSequence(seed).spawn(len(scripts)), strict=True):
        done = performed(script, mood, np.random.default_rng(sequence))
        track = track_of(done.motion(surface.dynamics_from_expression), surface)
        yield clip_of(track, script.sound.numpy(), script.phones)


def compared(figures: dict[str, float]) -> tuple[list[str], int, int]:
    """The table's lines, how many measures lie in their band, and how many there are."""
    lines, inside = [f"{'measure':34}{'ours':>9}   {'band':>18}   in   real people"], 0
    for band in BANDS:
        ours = figures.get(band.name, float("nan"))
        fits = band.low <= ours <= band.high
        inside += fits
        span = f"{band.low:.4g} .. {band.high:.4g}"
        lines.append(f"{band.name:34}{ours:9.3f}   {span:>18}   {'yes' if fits else 'NO ':3}  {band.real}")
    chance = figures.get("lips.closed_by_chance", float("nan"))
    ratio = figures.get("phones.bilabial.closed", float("nan")) / max(chance, 1e-3)
    inside += ratio >= 2
    verdict, theirs = "yes" if ratio >= 2 else "NO ", "2.5, chance 0.37 [0.22, 0.64]"
    lines.append(f"{'bilabials closed over chance':34}{ratio:9.3f}   {'2 ..':>18}   {verdict:3}  {theirs}")
    return lines, inside, len(BANDS) + 1


def drawn_scripts(utterances: Sequence[Utterance], count: int, seed: int) -> list[Script]:
    """So many takes of speech with pauses, from all speakers alike."""
    rng = np.random.default_rng(seed)
    scripts = [script for script in scripts_from(utterances, rng) if script.language != "none"]
    chosen = rng.choice(len(scripts), size=min(count, len(scripts)), replace=False)
    return [scripts[at] for at in sorted(chosen)]


def report(folder: Path, takes: int, seed: int, mood: Mood, out: Path | None) -> bool:
    """Prints the table over so many performances; true when everything lies in its band."""
    scripts = drawn_scripts(load_utterances(folder), takes, seed)
    clips = list(tqdm(performed_clips(scripts, mood, seed), total=len(scripts), unit="take"))
    figures = pooled(clips)
    lines, inside, count = compared(figures)
    seconds = sum(clip.seconds for clip in clips)
    print(*lines, "", f"not compared: {NOT_COMPARED[0]}", *NOT_COMPARED[1:], sep="\n")
    print(f"\n{inside} of {count} in their bands, over {len(clips)} performances, {seconds / 60:.0f} minutes")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1))
    return inside == count


def run_report(options: argparse.Namespace) -> None:
    """Prints the table; ends with an error when something lies outside its band."""
    mood = Mood(emotion=options.emotion, intensity=options.intensity if options.emotion != "neutral" else 0.0)
    if not report(options.utterances, options.takes, options.seed, mood, options.json):
        raise SystemExit(1)


def add_report(commands: argparse._SubParsersAction) -> None:
    """`report` on the command line of the world."""
    told = commands.add_parser("report", help="statistics of our performances beside those of real people")
    told.add_argument("--takes", type=int, default=200, help="how many performances")
    told.add_argument("--utterances", type=Path, default=Path("runs/world/utterances"), help="what is said")
    told.add_argument("--seed", type=int, default=0)
    told.add_argument("--emotion", choices=EMOTIONS, default="neutral", help="the bands are those of plain speech")
    told.add_argument("--intensity", type=float, default=0.6)
    told.add_argument("--json", type=Path, help="write the figures there as well")
    told.set_defaults(run=run_report)
