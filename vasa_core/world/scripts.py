"""Scripts: what is heard in one take, joined from utterances with pauses, and what its performer does meanwhile.

A take is 10 to 20 s of one speaker, or some seconds of silence, or somebody else's voice that the performer hears.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.controls import EMOTIONS
from vasa_core.world.listening import listen
from vasa_core.world.performer import Mood, Performance, Song, perform
from vasa_core.world.voices import Phone, Utterance

TAKE_S = (10.0, 20.0)
TAKE_LENGTH_S = 15.0  # of numbered takes, which are all equally long
LISTENING_SHARE = 0.10
IDLE_SHARE = 0.06  # takes without a word, so that silence is lived through and not guessed


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """What is heard in one take and which phones it says when; `other` is what somebody else says in it."""

    sound: Float[Tensor, " sample"]
    phones: tuple[Phone, ...]
    speaker: str
    language: str
    song: Song | None = None
    other: tuple[Phone, ...] = ()

    @staticmethod
    def told(sound: Float[Tensor, " sample"], words: dict[str, Any]) -> Script:
        """The script of a stored take, from its sound and what stands beside it."""
        phones, other = (
            tuple(Phone(label=label, start_s=start_s, end_s=end_s) for label, start_s, end_s in words[name])
            for name in ("phones", "other")
        )
        song = Song(**words["song"]) if words["song"] else None
        return Script(sound=sound, phones=phones, speaker=words["speaker"], language=words["language"], song=song,
                      other=other)  # fmt: skip


def performed(script: Script, mood: Mood, rng: np.random.Generator) -> Performance:
    """One way of speaking, singing, idling or listening through this take."""
    if script.other:
        return listen(script.other, script.sound.numpy(), mood, rng)
    return perform(script.phones, script.sound.numpy(), mood, rng, script.song)


def overheard(script: Script) -> Script:
    """The same take for somebody who listens to it: all its words are somebody else's."""
    silence = (Phone(label="SIL", start_s=0.0, end_s=len(script.sound) / SAMPLE_RATE_HZ),)
    return Script(
        sound=script.sound, phones=silence, speaker=script.speaker, language=script.language, other=script.phones
    )


def scripts_from(utterances: Sequence[Utterance], rng: np.random.Generator, listening: float = 0.0) -> Iterator[Script]:
    """Every utterance once, those of a speaker joined to takes, with idle takes among them.

    Sung phrases stay alone, each with its own beat. A share of the takes is listened to instead of said.
    """
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
            while mine and not chosen[0].beat_s and sum(u.duration_s for u in chosen) < length_s:
                if mine[-1].beat_s:
                    break
                chosen.append(mine.pop())
            script = _joined(chosen, rng)
            yield overheard(script) if rng.random() < listening else script


def numbered_script(utterances: Sequence[Utterance], rng: np.random.Generator) -> Script:
    """A take of exactly `TAKE_LENGTH_S` that nothing but these utterances and this rng decide."""
    kind = rng.random()
    first = utterances[rng.integers(len(utterances))]
    if kind < IDLE_SHARE:
        return cut_to(_idle(first.speaker, rng), TAKE_LENGTH_S)
    mine = [utterance for utterance in utterances if utterance.speaker == first.speaker and not utterance.beat_s]
    chosen = [first]
    while mine and not first.beat_s and sum(u.duration_s for u in chosen) < TAKE_LENGTH_S - 2:
        chosen.append(mine[rng.integers(len(mine))])
    script = cut_to(_joined(chosen, rng), TAKE_LENGTH_S)
    return overheard(script) if kind < IDLE_SHARE + LISTENING_SHARE else script


def cut_to(script: Script, seconds: float) -> Script:
    """The take's first seconds; a shorter one ends in silence, a longer one wherever it is."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    sound = torch.nn.functional.pad(script.sound[:samples], (0, max(0, samples - len(script.sound))))
    phones = [
        Phone(label=phone.label, start_s=phone.start_s, end_s=min(phone.end_s, seconds))
        for phone in script.phones
        if phone.start_s < seconds - 1e-3
    ]
    if phones[-1].end_s < seconds:
        phones.append(Phone(label="SIL", start_s=phones[-1].end_s, end_s=seconds))
    return replace(script, sound=sound, phones=_merged(phones))


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
    begun_s = next((phone.start_s for phone in phones if phone.label != "SIL"), 0.0)
    song = Song(beat_s=chosen[0].beat_s, first_beat_s=begun_s) if chosen[0].beat_s else None
    return Script(sound=torch.from_numpy(sound), phones=_merged(phones), speaker=speaker, language=language, song=song)


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
