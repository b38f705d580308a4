"""Utterances: something said by somebody with every phone timed, and the files they are kept in.

All phones are in one closed inventory, `PHONES`: ARPAbet's 39 and SIL. Times are in seconds from the start of the
sound; phones are contiguous and cover it all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import BadInput
from vasa_core.speech import PHONES

SILENCE = PHONES[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Phone:
    """One phone of `PHONES` and when it sounds."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """Something said by somebody, mono float32 at 16 kHz, with its phones from first sample to last."""

    sound: Float[Tensor, " sample"]
    phones: tuple[Phone, ...]
    speaker: str
    language: str
    source: str
    beat_s: float = 0.0
    """Of a sung phrase; 0 when it is spoken."""

    @property
    def duration_s(self) -> float:
        return len(self.sound) / SAMPLE_RATE_HZ


def phones_from_starts(starts: Sequence[tuple[float, tuple[str, ...]]], duration_s: float) -> tuple[Phone, ...]:
    """Contiguous phones over [0, duration] from (start, labels): labels share time, none prolongs the last."""
    named = [(start_s, labels) for start_s, labels in starts if labels]
    if not named or named[0][0] > 0:
        named.insert(0, (0.0, (SILENCE,)))
    ends_s = [start_s for start_s, _ in named[1:]] + [duration_s]
    phones: list[Phone] = []
    for (start_s, labels), end_s in zip(named, ends_s, strict=True):
        step_s = (end_s - start_s) / len(labels)
        for at, label in enumerate(labels):
            _append(phones, label, start_s + at * step_s, start_s + (at + 1) * step_s)
    return tuple(phones)


def _append(phones: list[Phone], label: str, start_s: float, end_s: float) -> None:
    """Adds a phone of some length; a pause right after a pause is the same pause."""
    if end_s - start_s < 1e-4:
        return
    if phones and phones[-1].label == label == SILENCE:
        start_s = phones.pop().start_s
    phones.append(Phone(label=label, start_s=start_s, end_s=end_s))


def with_silence(utterance: Utterance, before_s: float, after_s: float) -> Utterance:
    """The same utterance with digital silence around it."""
    before, after = round(before_s * SAMPLE_RATE_HZ), round(after_s * SAMPLE_RATE_HZ)
    before_s = before / SAMPLE_RATE_HZ
    starts = [(phone.start_s + before_s, (phone.label,)) for phone in utterance.phones]
    end_s = utterance.duration_s + before_s
    sound = torch.nn.functional.pad(utterance.sound, (before, after))
    phones = phones_from_starts([(0.0, (SILENCE,)), *starts, (end_s, (SILENCE,))], len(sound) / SAMPLE_RATE_HZ)
    return replace(utterance, sound=sound, phones=phones)


# ---------------------------------------------------------------------------------------------------------------------
# Shards: a few hundred utterances a file, samples as 16-bit numbers.


def write_shard(path: Path, utterances: list[Utterance]) -> None:
    """Utterances side by side in one .npz file."""
    phones = [phone for utterance in utterances for phone in utterance.phones]
    pcm = [(utterance.sound.clamp(-1, 1) * 32767).round().to(torch.int16).numpy() for utterance in utterances]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        samples=np.concatenate(pcm),
        sample_counts=np.array([len(utterance.sound) for utterance in utterances]),
        phone_labels=np.array([PHONES.index(phone.label) for phone in phones], dtype=np.uint8),
        phone_times_s=np.array([(phone.start_s, phone.end_s) for phone in phones]),
        phone_counts=np.array([len(utterance.phones) for utterance in utterances]),
        speakers=np.array([utterance.speaker for utterance in utterances]),
        languages=np.array([utterance.language for utterance in utterances]),
        sources=np.array([utterance.source for utterance in utterances]),
        beats_s=np.array([utterance.beat_s for utterance in utterances]),
    )


def read_shard(path: Path) -> list[Utterance]:
    """The utterances of one file."""
    with np.load(path) as stored:
        shard = {name: stored[name] for name in stored.files}
    sounds = np.split(shard["samples"], np.cumsum(shard["sample_counts"])[:-1])
    ends = np.cumsum(shard["phone_counts"])[:-1]
    beats_s = shard.get("beats_s", np.zeros(len(sounds)))
    labels, times = np.split(shard["phone_labels"], ends), np.split(shard["phone_times_s"], ends)
    return [
        Utterance(
            sound=torch.from_numpy(sound.astype(np.float32) / 32767),
            phones=tuple(
                Phone(label=PHONES[label], start_s=float(start_s), end_s=float(end_s))
                for label, (start_s, end_s) in zip(mine, spans, strict=True)
            ),
            speaker=str(speaker),
            language=str(language),
            source=str(source),
            beat_s=float(beat_s),
        )
        for sound, mine, spans, speaker, language, source, beat_s in zip(
            sounds, labels, times, shard["speakers"], shard["languages"], shard["sources"], beats_s, strict=True
        )
    ]


def load_utterances(folder: str | os.PathLike[str]) -> list[Utterance]:
    """All cached utterances of a folder, in the order of its files."""
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise BadInput(f"There are no utterances in {folder}: run python -m vasa_core.world.voices --out {folder}.")
    return [utterance for path in paths for utterance in read_shard(path)]
