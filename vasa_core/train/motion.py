"""Trains the motion transformer on synthetic performances, and measures what it generates on unseen speakers.

    python -m vasa_core.train.motion --out runs/motion --minutes 60
    torchrun --nproc-per-node 8 -m vasa_core.train.motion --size base --device cuda --batch 512    # several together

The loss asks for the clean window X^0 (paper Eq. 1), for its velocity, and for what it does to the lips and lids of the
surface: without their own weight lips drown among 56 channels (Ditto's ablation loses all sync without such weights).
A stopped run goes on where it was; `log.jsonl` grows a line a minute, `report.json` holds the held-out figures.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import Controls
from vasa_core.diffusion import cosine, noised
from vasa_core.latents import EXPRESSION, GAZE, POSE, Motion
from vasa_core.motion import CONDITIONS, LIPS, Conditions, MotionConfig, MotionTransformer, save_motion_model
from vasa_core.speech import SpeechEncoder, load_speech_encoder
from vasa_core.stream import LOOKAHEAD, generate_motion
from vasa_core.surface import LIP_CORNERS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP, Surface, load_surface
from vasa_core.train.takes import (
    Takes,
    cached,
    fingerprint,
    heard,
    made_takes,
    packed,
    performed,
    random_windows,
)
from vasa_core.train.together import ALONE, CPU, GPU, Together, joined
from vasa_core.wav2vec import Wav2VecEncoder, load_wav2vec
from vasa_core.world import performer, voices
from vasa_core.world.measures import BROWS
from vasa_core.world.performer import BILABIALS, Mood, perform
from vasa_core.world.scripts import Script, scripts_from

SIZES = {"fast": {"hidden": 192, "depth": 5, "heads": 6}, "base": {"hidden": 512, "depth": 8, "heads": 8}}
"""What ships, and the paper's own size (section 4: 8 layers, 512 wide, 8 heads)."""

CODE = slice(POSE, POSE + EXPRESSION)
# Paper section 3.2, but for the past (0.5 there): our first window has one too, the portrait at rest, and joining
# windows smoothly is what takes longest to learn.
LISTENING = 0.08  # of the takes are listened to instead of said
DROPOUT = {"audio": 0.1, "past": 0.2, "gaze": 0.1, "distance": 0.1, "emotion": 0.1}
TAIL_DROPOUT = 0.15
HELD_OUT = frozenset(
    "0053 0575 1092 1439 2208 2799 3423 6010 9070 9619 espeak-Annie-woman espeak-klatt2-man espeak-max-man".split()
)
"""Speakers never trained on, whatever else is added to the voices; the judges learn from them (`train.judges`)."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much each part of the loss counts beside the plain error, which counts 1."""

    velocity: float = 4.0
    border: float = 6.0  # the velocity into the window's first frame counts this much more: there the windows join
    lips: float = 3.0
    lids: float = 3.0
    brows: float = 1.0
    contact: float = 1.0  # lips apart where they touch: half a millimetre there is seen more than two in a vowel
    head: float = 1.0  # the six numbers of the pose and their change, lost among 56 channels otherwise


TOUCHING_CM, CONTACT_CM = 0.05, 0.15
"""Lips less open than the first touch; an opening by the second there weighs as one unit."""


class LipsAndLids:
    """What an expression code does to the contours that must meet, as plain matrices."""

    def __init__(self, surface: Surface) -> None:
        basis = torch.from_numpy(np.asarray(surface.dynamics_basis, np.float32))
        lips, (right, left), (right_low, left_low) = list(UPPER_LIP + LOWER_LIP), UPPER_LIDS, LOWER_LIDS
        self.lip_vertices = basis[:, lips].flatten(1)
        self.lip_gap = (basis[:, UPPER_LIP, 1] - basis[:, LOWER_LIP, 1])[:, 3:6].mean(1)  # the middle three
        self.lip_gaps = basis[:, UPPER_LIP, 1] - basis[:, LOWER_LIP, 1]
        self.lid_gaps = basis[:, right + left, 1] - basis[:, right_low + left_low, 1]
        open_lid = surface.neutral[list(right + left), 1] - surface.neutral[list(right_low + left_low), 1]
        self.open_lids = torch.from_numpy(np.asarray(open_lid, np.float32))
        corners = basis[:, LIP_CORNERS, 0]
        self.lip_width = corners[:, 1] - corners[:, 0]
        # how far the middle of the lips stands before their corners
        self.lip_bow = basis[:, lips, 2].mean(1) - basis[:, LIP_CORNERS, 2].mean(1)
        # one unit of every readout should weigh alike: lips move by 0.3 cm, their opening by 0.4, lids by 0.25;
        # width and bow, which tell rounded from spread vowels, by 0.25 and 0.15
        roundness = torch.stack([self.lip_width / 0.25, self.lip_bow / 0.15], dim=1)
        self.for_lips = torch.cat(
            [self.lip_vertices / 0.3 / len(lips) ** 0.5, self.lip_gaps / 0.4 / 9**0.5, 0.6 * roundness], dim=1
        )
        self.for_lids = self.lid_gaps / 0.25 / self.lid_gaps.shape[1] ** 0.5
        self.for_brows = basis[:, BROWS, 1] / 0.2 / len(BROWS) ** 0.5

    def directions(self, std: Float[Tensor, " motion=56"]) -> Float[Tensor, "motion=56 lips"]:
        """The directions, in standardised motion, that show most on the lips; each of length 1, none like another."""
        shown = torch.linalg.svd(std[CODE, None].cpu() * self.for_lips, full_matrices=False)[0][:, :LIPS]
        return torch.nn.functional.pad(shown, (0, 0, POSE, GAZE))

    def touching(self, motion: Float[Tensor, "*batch motion=56"]) -> Float[Tensor, "*batch 1"]:
        """1 where the middle of the lips is closer than `TOUCHING_CM`, else 0."""
        return ((motion[..., CODE] @ self.lip_gap) < TOUCHING_CM).float()[..., None]

    def opening_cm(self, motion: Float[Tensor, "frame motion=56"]) -> Float[Tensor, " frame"]:
        """Opening of the middle of the lips beyond the neutral face's."""
        return motion[:, CODE] @ self.lip_gap

    def lid_cm(self, motion: Float[Tensor, "frame motion=56"]) -> Float[Tensor, " frame"]:
        """Opening of the lids, mean over the contour of both eyes."""
        return (self.open_lids + motion[:, CODE] @ self.lid_gaps).mean(1)


def with_dropout(conditions: Conditions, generator: torch.Generator) -> Conditions:
    """Each condition gone now and then, and now and then the last frames of the sound."""
    batch, window = conditions.heard.shape
    chance = torch.tensor([DROPOUT[name] for name in CONDITIONS])
    tail = torch.randint(1, window // 2, (batch, 1), generator=generator)
    tail = tail * (torch.rand(batch, 1, generator=generator) < TAIL_DROPOUT)
    return replace(
        conditions,
        present=torch.rand(batch, len(CONDITIONS), generator=generator) >= chance,
        heard=conditions.heard & (torch.arange(window) < window - tail),
    )


def motion_loss(
    model: MotionTransformer,
    clean: Float[Tensor, "batch window motion=56"],
    conditions: Conditions,
    readout: LipsAndLids,
    weights: Weights,
    generator: torch.Generator,
    together: Together = ALONE,
) -> dict[str, Tensor]:
    """The parts of the loss at random times; small noise counts more, or the last polish would never be learned.

    Processes that train together draw all times and noise alike, and compute the loss of their share of the batch.
    """
    time_ = torch.rand(len(clean), generator=generator)
    noise = together.mine(torch.randn(clean.shape, generator=generator))
    importance = 1 / (cosine(time_)[1] ** 2 + 0.05)
    importance = together.mine((importance / importance.mean())[:, None, None])
    time_, clean, conditions = together.mine(time_), together.mine(clean), together.mine(conditions)
    standard = model.standardised(clean)
    with torch.autocast(standard.device.type, torch.bfloat16):
        guess = model(noised(standard, noise, time_), time_, conditions)
    error = guess.float() - standard
    known = conditions.present[:, CONDITIONS.index("past"), None, None]
    step = torch.cat(
        [weights.border**0.5 * error[:, :1] * known, error[:, 1:] - error[:, :-1]], dim=1
    )  # the past is exact
    code = error[..., CODE] * model.std[CODE]
    care = carefulness(model)
    head = error[..., :POSE].square() + weights.velocity * step[..., :POSE].square()
    apart = (code @ readout.lip_gaps) / CONTACT_CM * readout.touching(model.restored(standard))
    return {
        "plain": (importance * care * error.square()).mean(),
        "velocity": weights.velocity * (importance * care * step.square()).mean(),
        "head": weights.head * (importance * head).mean(),
        "contact": weights.contact * (importance * apart.square()).mean(),
        **{
            name: getattr(weights, name) * (importance * (code @ matrix.to(code.device)).square()).sum(-1).mean()
            for name, matrix in (("lips", readout.for_lips), ("lids", readout.for_lids), ("brows", readout.for_brows))
        },
    }


def carefulness(model: MotionTransformer) -> Float[Tensor, " motion=56"]:
    """How much each channel's error counts: all are noised alike, but one that hardly moves the face matters less.

    (The statistics must not say so: a channel scaled small drowns in noise until the sampler's last step and comes
    out as the mean of all it could have been.)
    """
    care = torch.ones_like(model.std)
    care[CODE] = (model.std[CODE] / model.std[CODE].max()).clamp(min=0.15)
    return care / care.mean()


@dataclass
class Run:
    """One training run with everything that must survive a stop."""

    model: MotionTransformer
    average: MotionTransformer
    optimiser: torch.optim.AdamW
    folder: Path
    steps: int = 0
    minutes: float = 0.0
    together: Together = ALONE

    def save(self) -> None:
        if not self.together.leads:
            return
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
            "minutes": self.minutes,
        }
        partial = self.folder / "state.part"
        torch.save(state, partial)
        partial.replace(self.folder / "state.pt")
        save_motion_model(self.average, self.folder / "motion.safetensors")

    def resume(self) -> None:
        state = torch.load(self.folder / "state.pt", weights_only=True, map_location=self.together.device)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps, self.minutes = state["steps"], state["minutes"]

    def log(self, **entry: object) -> None:
        if not self.together.leads:
            return
        line = {"steps": self.steps, "minutes": round(self.minutes, 2), **entry}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def started(config: MotionConfig, takes: Takes, folder: Path, together: Together = ALONE) -> Run:
    """A fresh run, or the one stored in the folder."""
    model, average = MotionTransformer(config), MotionTransformer(config)
    model.mean.copy_(takes.motion.float().mean(0))
    model.std.copy_(takes.motion.float().std(0).clamp(min=1e-3))
    average.load_state_dict(model.state_dict())
    average.requires_grad_(False).eval()
    model, average = model.to(together.device), average.to(together.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(model, average, optimiser, folder, together=together)
    if (folder / "state.pt").is_file():
        run.resume()
    return run


def learning_rate(run: Run, budget_minutes: float) -> float:
    """A short warm-up, then a cosine down over the time given."""
    falling = math.cos(math.pi / 2 * min(1, run.minutes / budget_minutes)) ** 2
    return 1e-3 * min(1.0, run.steps / 200) * (0.02 + 0.98 * falling)


def train(run: Run, takes: Takes, readout: LipsAndLids, minutes: float, batch: int, seed: int) -> None:
    """Trains until the run has had this many minutes; saves every two."""
    generator = torch.Generator().manual_seed(seed + run.steps)
    config, begun, before = run.model.config, time.monotonic(), run.minutes
    sums: dict[str, float] = {}
    logged, logged_steps = run.minutes, run.steps
    while run.minutes < minutes:
        clean, conditions = random_windows(takes, batch, config.window, config.past, generator)
        parts = step(run, clean, conditions, readout, generator, learning_rate(run, minutes))
        run.minutes = run.together.agreed(before + (time.monotonic() - begun) / 60)
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + part.item()
        if run.minutes - logged >= 1:
            count, sums = run.steps - logged_steps, run.together.mean(sums)
            run.log(**{name: round(total / count, 4) for name, total in sums.items()}, steps_per_s=round(count / 60, 2))
            if int(run.minutes) % 2 == 0:
                run.save()
            sums, logged, logged_steps = {}, run.minutes, run.steps
    run.save()


def step(
    run: Run,
    clean: Float[Tensor, "batch window motion=56"],
    conditions: Conditions,
    readout: LipsAndLids,
    generator: torch.Generator,
    rate: float,
) -> dict[str, Tensor]:
    """One batch forward and back, at this learning rate; the parts of its loss."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    conditions = with_dropout(conditions, generator)
    parts = motion_loss(run.model, clean, conditions, readout, Weights(), generator, run.together)
    run.optimiser.zero_grad(set_to_none=True)
    sum(parts.values()).backward()
    run.together.average(run.model)
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimiser.step()
    run.steps += 1
    follow(run.average, run.model, min(0.999, 1 - 10 / (10 + run.steps)))
    return parts


@torch.no_grad()
def follow(average: torch.nn.Module, model: torch.nn.Module, memory: float) -> None:
    """The slow average of the weights, which samples better than the last step's."""
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - memory)


# --------------------------------------------------------------------------- measuring


def closures(opening: Float[np.ndarray, " frame"], script: Script, labels: frozenset[str]) -> list[bool]:
    """For each such phone: is the opening within 60 ms of its centre ever under 15 % of the clip's 95th percentile?"""
    floor, found = 0.15 * np.percentile(opening, 95), []
    for phone in script.phones:
        if phone.label in labels:
            centre = (phone.start_s + phone.end_s) / 2
            near = slice(
                max(0, round((centre - 0.06) * FRAME_RATE_HZ - 0.5)), round((centre + 0.06) * FRAME_RATE_HZ + 0.5)
            )
            found.append(bool(opening[near].min() < floor)) if len(opening[near]) else None
    return found


def blinks(lids: Float[np.ndarray, " frame"]) -> tuple[int, list[int]]:
    """How many full blinks (under half of the open lid), and for how many frames each stays under 60 %."""
    ratio = lids / np.percentile(lids, 80)
    edges = np.flatnonzero(np.diff(np.r_[0, (ratio < 0.6).astype(int), 0]))
    full = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if ratio[a:b].min() < 0.5]
    return len(full), [int(b - a) for a, b in full]


def head_figures(pose: Float[np.ndarray, "frame 6"]) -> dict[str, float]:
    """Delta P in degrees a frame, spreads, and how bursty the speed is."""
    turn = np.rad2deg(pose[:, :3])
    speed = np.linalg.norm(np.diff(turn, axis=0), axis=1)
    return {
        "delta_p_deg_per_frame": float(np.abs(np.diff(turn, axis=0)).mean()),
        "pitch_sd_deg": float(turn[:, 0].std()),
        "yaw_sd_deg": float(turn[:, 1].std()),
        "roll_sd_deg": float(turn[:, 2].std()),
        "speed_p90_over_p50": float(np.percentile(speed, 90) / np.percentile(speed, 50)),
        "start_deg": float(np.abs(turn[0]).max()),
    }


def measured(motion: Motion, truth: Float[Tensor, "frame motion=56"], script: Script, readout: LipsAndLids) -> dict:
    """The figures of one generated take beside a true performance of the same words."""
    made, packed_motion = motion.packed(), motion.packed()
    opening, expected = readout.opening_cm(made).numpy(), readout.opening_cm(truth).numpy()
    count, lengths = blinks(readout.lid_cm(packed_motion).numpy())
    step = np.abs(np.diff(np.rad2deg(made[:, :3].numpy()), axis=0)).mean(1)
    gaze = np.rad2deg(made[:, -GAZE:].numpy())
    silent = np.concatenate([np.arange(len(opening))[int(p.start_s * 25) + 7 : int(p.end_s * 25) - 8]
                             for p in script.phones if p.label == "SIL"] or [np.zeros(0, int)])  # fmt: skip
    return {
        **head_figures(motion.head_pose.numpy()),
        "bilabials": closures(opening, script, BILABIALS),
        "bilabials_true": closures(expected, script, BILABIALS),
        "labiodentals": closures(opening, script, frozenset("FV")),
        "lip_correlation": float(np.corrcoef(opening, expected)[0, 1]) if expected.std() > 0.02 else None,
        "lip_p95_cm": float(np.percentile(opening, 95)),
        "lip_p95_true_cm": float(np.percentile(expected, 95)),
        "lip_in_silence_cm": [float(x) for x in opening[silent]],
        "blinks": count,
        "blink_frames": lengths,
        "saccades": int((np.linalg.norm(np.diff(gaze, axis=0), axis=1) > 2.5).sum()),
        "gaze_sd_deg": float(gaze.std(0).mean()),
        "seconds": len(made) / FRAME_RATE_HZ,
        "border_steps": [float(x) for x in step[np.arange(len(step)) % HOP == HOP - 1]],
        "other_steps": [float(x) for x in step[np.arange(len(step)) % HOP != HOP - 1]],
    }


HOP = MotionConfig(audio_features=1).window - LOOKAHEAD


def report(
    model: MotionTransformer,
    encoder: SpeechEncoder | Wav2VecEncoder,
    scripts: Sequence[Script],
    surface: Surface,
    controls: Controls,
) -> dict[str, float]:
    """Pooled figures over scripts nobody trained on, with the given controls."""
    readout, single, spent = LipsAndLids(surface), [], 0.0
    for seed, script in enumerate(scripts):
        features = encoder.encode(script.sound)
        begun = time.process_time()
        motion = generate_motion(features, controls, model, torch.Generator().manual_seed(seed))
        spent += time.process_time() - begun
        mood = Mood(emotion=controls.emotion, intensity=controls.emotion_intensity)
        truth = perform(script.phones, script.sound.numpy(), mood, np.random.default_rng(seed))
        single.append(measured(motion, packed(truth, surface.dynamics_from_expression), script, readout))
    return {**pooled(single), "motion_seconds_per_cpu_second": sum(s["seconds"] for s in single) / spent}


def pooled(single: list[dict]) -> dict[str, float]:
    """Means over clips; rates over all their seconds."""

    def every(name: str) -> list:
        return [value for figures in single for value in figures[name]]

    def mean(name: str) -> float:
        return float(np.mean([figures[name] for figures in single if figures[name] is not None]))

    minutes = sum(figures["seconds"] for figures in single) / 60
    plain = ("delta_p_deg_per_frame", "pitch_sd_deg", "yaw_sd_deg", "roll_sd_deg", "speed_p90_over_p50", "start_deg",
             "lip_correlation", "lip_p95_cm", "lip_p95_true_cm", "gaze_sd_deg")  # fmt: skip
    return {
        "minutes": minutes,
        **{name: mean(name) for name in plain},
        "bilabials_closed": float(np.mean(every("bilabials"))),
        "bilabials_closed_in_truth": float(np.mean(every("bilabials_true"))),
        "bilabial_count": len(every("bilabials")),
        "labiodentals_closed": float(np.mean(every("labiodentals"))),
        "lip_in_silence_p90_cm": float(np.percentile(every("lip_in_silence_cm"), 90)),
        "blinks_per_minute": sum(figures["blinks"] for figures in single) / minutes,
        "blink_frames_under_60": float(np.median(every("blink_frames") or [0])),
        "saccades_per_s": sum(figures["saccades"] for figures in single) / minutes / 60,
        "border_over_other_speed": float(np.mean(every("border_steps")) / np.mean(every("other_steps"))),
    }


# --------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m vasa_core.train.motion", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/motion"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--utterances", type=Path, nargs="+", default=[Path("runs/world/utterances")])
    parser.add_argument("--encoder", type=Path, default=Path("assets/weights/speech.safetensors"),
                        help="our speech encoder's weights, or a folder with wav2vec 2.0")  # fmt: skip
    parser.add_argument("--surface", type=Path, default=Path("assets/weights/surface.safetensors"))
    parser.add_argument("--ways", type=int, default=2, help="performances of each take")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", choices=SIZES, default="fast", help="base is the paper's: for a graphics card")
    parser.add_argument("--device", choices=(CPU, GPU), default=CPU)
    parser.add_argument("--judged", type=int, default=12, help="held-out takes in the report")
    chosen = parser.parse_args(arguments)
    together = joined(chosen.device)
    encoder, surface = ear(chosen.encoder), load_surface(chosen.surface)
    training, judged = split_scripts(chosen.utterances, chosen.seed)
    with together.one_first():
        takes = prepared(chosen, training, encoder, surface)
    torch.manual_seed(chosen.seed)
    config = MotionConfig(audio_features=takes.features.shape[1], **SIZES[chosen.size])
    run, readout = started(config, takes, chosen.out, together), LipsAndLids(surface)
    for model in (run.model, run.average):
        model.lips.copy_(readout.directions(model.std))
    run.log(
        hours=round(takes.hours(), 2),
        performances=len(takes.lengths),
        weights=sum(p.numel() for p in run.model.parameters()),
    )
    train(run, takes, readout, chosen.minutes, chosen.batch, chosen.seed)
    if together.leads:
        _reported(run, encoder, surface, judged[: chosen.judged], chosen.out)
    together.part()


def _reported(
    run: Run, encoder: SpeechEncoder | Wav2VecEncoder, surface: Surface, judged: list[Script], folder: Path
) -> None:
    figures = report(run.average.to(CPU), encoder, judged, surface, Controls())
    (folder / "report.json").write_text(json.dumps(figures, indent=1))
    run.log(report=figures)


def ear(path: Path) -> SpeechEncoder | Wav2VecEncoder:
    """Our own speech encoder from its file, or wav2vec 2.0 from its folder."""
    return load_wav2vec(path) if path.is_dir() else load_speech_encoder(path)


def split_scripts(folders: Sequence[Path], seed: int) -> tuple[list[Script], list[Script]]:
    """Training takes and those of speakers held out, whatever the seed."""
    utterances = [utterance for folder in folders for utterance in voices.load_utterances(folder)]
    spoken = [utterance for utterance in utterances if utterance.speaker not in HELD_OUT]
    training = scripts_from(spoken, np.random.default_rng(seed), LISTENING)
    judged = scripts_from([u for u in utterances if u.speaker in HELD_OUT], np.random.default_rng(1))
    held = [script for script in judged if script.language != "none"]
    np.random.default_rng(2).shuffle(held)  # type: ignore[arg-type]
    return list(training), held


def prepared(
    chosen: argparse.Namespace, scripts: list[Script], encoder: SpeechEncoder | Wav2VecEncoder, surface: Surface
) -> Takes:
    """Takes from the caches in the output folder where they still fit."""
    ears = sorted(chosen.encoder.glob("*.*")) if chosen.encoder.is_dir() else [chosen.encoder]
    words = f"{chosen.seed} {len(scripts)} {sum(len(s.sound) for s in scripts)}"
    sounds = cached(
        chosen.out / "sounds.pt", f"{words} {fingerprint(*(ears or [chosen.encoder]))}", lambda: heard(scripts, encoder)
    )
    performers = ("articulation", "curves", "glances", "listening", "performer", "scripts")
    code = [Path(performer.__file__).with_stem(name) for name in performers]
    key = f"{words} {chosen.ways} {fingerprint(chosen.surface, *code)}"
    rng = np.random.default_rng(chosen.seed + 1)
    performances = cached(chosen.out / "performances.pt", key, lambda: performed(scripts, surface, chosen.ways, rng))
    return made_takes(sounds, performances)


if __name__ == "__main__":
    main()
