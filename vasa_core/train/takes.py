"""Training material of the motion transformer: takes of 10 to 20 s of speech and pauses, each performed several times.

One take is what one speaker says with pauses between, sometimes noisy, sometimes nothing but silence. Its features are
heard once; its performances differ in style, mood and chance. Motion here is packed as in `latents`, with z counted
from the distance asked for, as the transformer sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.controls import EMOTIONS
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import MOTION
from vasa_core.motion import TRANSLATION_Z, Conditions
from vasa_core.speech import SpeechEncoder
from vasa_core.surface import Surface
from vasa_core.world.performer import Mood, Performance, perform
from vasa_core.world.voices import Phone, Utterance

TAKE_S = (10.0, 20.0)
IDLE_SHARE = 0.06  # takes without a word, so that silence is lived through and not guessed


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """What is heard in one take and which phones it says when."""

    sound: Float[Tensor, " sample"]
    phones: tuple[Phone, ...]
    speaker: str
    language: str


@dataclass(frozen=True, kw_only=True)
class Takes:
    """Many performances end to end. Performance p is frames [starts[p], starts[p] + lengths[p]) of `motion`."""

    features: Float[Tensor, "heard audio"]
    motion: Float[Tensor, "frame motion=56"]
    starts: Int[Tensor, " performance"]
    lengths: Int[Tensor, " performance"]
    feature_starts: Int[Tensor, " performance"]
    gaze: Float[Tensor, "performance 2"]
    head_distance: Float[Tensor, " performance"]
    emotion: Float[Tensor, "performance emotions=8"]

    def hours(self) -> float:
        return float(self.lengths.sum()) / FRAME_RATE_HZ / 3600


def scripts_from(utterances: Sequence[Utterance], rng: np.random.Generator) -> Iterator[Script]:
    """Every utterance once, those of a speaker joined to takes, with idle takes among them."""
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    for speaker in by_speaker:
        mine = by_speaker[speaker]
        rng.shuffle(mine)  # type: ignore[arg-type]
        while mine:
            if rng.random() < IDLE_SHARE:
                yield _idle(speaker, rng)
            length_s, chosen = rng.uniform(*TAKE_S), [mine.pop()]
            while mine and sum(u.duration_s for u in chosen) < length_s:
                chosen.append(mine.pop())
            yield _joined(chosen, rng)


def _hush(seconds: float, level: float, rng: np.random.Generator) -> np.ndarray:
    """Silence as recordings have it: exact zeros at level 0, else faint noise."""
    return (level * rng.normal(size=int(seconds * SAMPLE_RATE_HZ))).astype(np.float32)


def _idle(speaker: str, rng: np.random.Generator) -> Script:
    level = rng.choice([0.0, 10 ** rng.uniform(-4.5, -2.0)])
    sound = _hush(rng.uniform(6, 14), level, rng)
    phones = (Phone(label="SIL", start_s=0.0, end_s=len(sound) / SAMPLE_RATE_HZ),)
    return Script(sound=torch.from_numpy(sound), phones=phones, speaker=speaker, language="none")


def _joined(chosen: list[Utterance], rng: np.random.Generator) -> Script:
    """Utterances with pauses between them, at one loudness, in one room."""
    level = rng.choice([0.0, 10 ** rng.uniform(-4.5, -3.0)])
    pieces, phones, now = [], [], 0.0
    for place, utterance in enumerate(chosen):
        pause_s = rng.uniform(0.0, 0.6) if place == 0 else rng.lognormal(-0.9, 0.7)
        pause = _hush(min(pause_s, 3.0), level, rng)
        if len(pause):
            phones.append(Phone(label="SIL", start_s=now, end_s=now + len(pause) / SAMPLE_RATE_HZ))
        now += len(pause) / SAMPLE_RATE_HZ
        phones += [Phone(label=p.label, start_s=now + p.start_s, end_s=now + p.end_s) for p in utterance.phones]
        pieces += [pause, utterance.sound.numpy()]
        now += len(utterance.sound) / SAMPLE_RATE_HZ
    ending = _hush(rng.uniform(0.0, 0.8), level, rng)
    phones.append(Phone(label="SIL", start_s=now, end_s=now + len(ending) / SAMPLE_RATE_HZ))
    sound = _coloured(np.concatenate([*pieces, ending]), rng)
    language, speaker = chosen[0].language, chosen[0].speaker
    return Script(sound=torch.from_numpy(sound), phones=_merged(phones), speaker=speaker, language=language)


def _merged(phones: list[Phone]) -> tuple[Phone, ...]:
    """Neighbouring silences as one: a pause is as long as the mouth has time to rest."""
    merged: list[Phone] = []
    for phone in phones:
        if merged and phone.label == merged[-1].label == "SIL":
            phone = Phone(label="SIL", start_s=merged.pop().start_s, end_s=phone.end_s)
        merged.append(phone)
    return tuple(merged)


def _coloured(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Louder or softer, one time in three with noise 10 to 30 dB below."""
    sound = sound * 10 ** (rng.uniform(-14, 6) / 20)
    if rng.random() < 0.33:
        power = float(np.sqrt(np.mean(sound**2)) + 1e-6)
        hiss = np.cumsum(rng.normal(size=len(sound))) if rng.random() < 0.5 else rng.normal(size=len(sound))
        hiss = hiss - np.convolve(hiss, np.ones(400) / 400, mode="same")
        sound = sound + hiss / hiss.std() * power * 10 ** (-rng.uniform(10, 30) / 20)
    return np.clip(sound, -1, 1).astype(np.float32)


def random_mood(rng: np.random.Generator) -> Mood:
    """Half of the time plain, else looking elsewhere, nearer or farther, or in one of the emotions."""
    gaze = np.deg2rad(rng.normal(0, 1.5, 2))
    if rng.random() < 0.45:
        gaze = np.deg2rad([rng.uniform(-30, 30), rng.uniform(-20, 20)])
    distance = float(rng.uniform(0.75, 1.4)) if rng.random() < 0.4 else 1.0
    emotion = str(rng.choice(EMOTIONS[1:])) if rng.random() < 0.5 else "neutral"
    intensity = 0.0 if emotion == "neutral" else float(rng.uniform(0.3, 1.0))
    return Mood(gaze=(float(gaze[0]), float(gaze[1])), head_distance=distance, emotion=emotion, intensity=intensity)


def packed(
    performance: Performance, dynamics_from_expression: Float[np.ndarray, "expression=48 weights=57"]
) -> Float[Tensor, "frame motion=56"]:
    """Head pose, expression code, gaze; z counted from the distance asked for."""
    code = performance.expression @ dynamics_from_expression.T
    motion = np.concatenate([performance.head_pose, code, performance.gaze], axis=1).astype(np.float32)
    motion[:, TRANSLATION_Z] += (performance.mood.head_distance - 1) * CAMERA_DISTANCE_CM
    return torch.from_numpy(motion)


def emotion_vector(mood: Mood) -> list[float]:
    """As `Controls.emotion_vector`: intensity at the emotion's place."""
    return [mood.intensity * (name == mood.emotion and name != "neutral") for name in EMOTIONS]


def heard(scripts: Sequence[Script], encoder: SpeechEncoder) -> dict[str, Tensor]:
    """What the encoder hears of each script, end to end, and where each script begins."""
    features = [encoder.encode(script.sound).half() for script in scripts]
    counts = torch.tensor([len(audio) for audio in features])
    return {"features": torch.cat(features), "script_starts": counts.cumsum(0) - counts}


def performed(scripts: Sequence[Script], surface: Surface, ways: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Every script performed in so many ways, end to end; `script` says which one each performance says."""
    motions, moods = [], []
    for script in scripts:
        for _ in range(ways):
            moods.append(random_mood(rng))
            done = perform(script.phones, script.sound.numpy(), moods[-1], rng)
            motions.append(packed(done, surface.dynamics_from_expression).half())
    lengths = torch.tensor([len(motion) for motion in motions])
    return {
        "motion": torch.cat(motions),
        "starts": lengths.cumsum(0) - lengths,
        "lengths": lengths,
        "script": torch.arange(len(scripts)).repeat_interleave(ways),
        "gaze": torch.tensor([mood.gaze for mood in moods]),
        "head_distance": torch.tensor([mood.head_distance for mood in moods]),
        "emotion": torch.tensor([emotion_vector(mood) for mood in moods]),
    }


def made_takes(sounds: dict[str, Tensor], performances: dict[str, Tensor]) -> Takes:
    """Sounds and performances of the same scripts put together."""
    rest = {name: value for name, value in performances.items() if name != "script"}
    starts = sounds["script_starts"][performances["script"]]
    return Takes(features=sounds["features"], feature_starts=starts, **rest)


def cached(path: Path, key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What this file holds if it was made under the same key, else made now and stored."""
    if path.is_file():
        stored = torch.load(path, weights_only=True)
        if stored.pop("key") == key:
            return stored
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"key": key, **made}, path)
    return made


def fingerprint(*paths: Path) -> str:
    """Changes when one of the files does."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def random_windows(
    takes: Takes, batch: int, window: int, past: int, generator: torch.Generator
) -> tuple[Float[Tensor, "batch window motion=56"], Conditions]:
    """Clean motion windows at random places with their full conditions; one in ten begins its performance.

    Before the first frame lie the portrait at rest and the first moment's sound, as at run time; beyond the last frame
    nothing is heard and the last pose is held.
    """
    which = torch.randint(len(takes.lengths), (batch,), generator=generator)
    length = takes.lengths[which]
    first = (torch.rand(batch, generator=generator) * (length - 12).clamp(min=1)).long()
    first[torch.rand(batch, generator=generator) < 0.1] = 0
    frame = first[:, None] + torch.arange(-past, window)  # [batch, past+window]
    inside = torch.minimum(frame.clamp(min=0), length[:, None] - 1)
    motion = takes.motion[takes.starts[which, None] + inside].float()
    motion[frame < 0] = 0
    audio = takes.features[takes.feature_starts[which, None] + inside].float()
    assert motion.shape[-1] == MOTION
    conditions = Conditions(
        audio=audio[:, past:],
        heard=frame[:, past:] < length[:, None],
        past_audio=audio[:, :past],
        past_motion=motion[:, :past],
        gaze=takes.gaze[which, None].expand(-1, window, -1),
        head_distance=takes.head_distance[which, None].expand(-1, window),
        emotion=takes.emotion[which, None].expand(-1, window, -1),
        present=torch.ones(batch, 5, dtype=torch.bool),
    )
    return motion[:, past:], conditions
