"""Sung phrases: a spoken utterance set to a melody of our own, with long vowels, vibrato and exact phone times.

Each vowel gets a note; consonants keep about their spoken length, so vowels take what is left of the beat. Notes glide
into each other within a tenth of a second; held ones get vibrato of 5 to 6 Hz a quarter of a second after they begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.world.curves import VOWELS
from vasa_core.world.utterances import Phone, Utterance
from vasa_core.world.vocoder import FRAMES_PER_S, HOP, Voice, analysed, synthesised

SCALES = ((0, 2, 4, 7, 9), (0, 3, 5, 7, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
"""Pentatonic and full, major and minor, in semitones above the key note."""
LONGEST_CONSONANT_S = 0.11


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One syllable's note: when it is held and at which pitch, before vibrato."""

    start_s: float
    end_s: float
    hertz: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a sung utterance was asked to sing."""

    notes: tuple[Note, ...]
    beat_s: float
    vibrato_hz: float
    vibrato_semitones: float


def sung(utterance: Utterance, rng: np.random.Generator) -> tuple[Utterance, Score]:
    """The utterance sung to a random melody, and the melody."""
    voice = analysed(utterance.sound.numpy())
    beat_s = float(rng.uniform(0.38, 0.62))
    phones = retimed(utterance.phones, beat_s, rng)
    notes = melody(phones, voice.median_hz(), rng)
    score = Score(
        notes=notes,
        beat_s=beat_s,
        vibrato_hz=float(rng.uniform(5.0, 6.0)),
        vibrato_semitones=float(rng.uniform(0.25, 0.8)),
    )
    sound = rendered(voice, utterance.phones, phones, score, rng)
    words = replace(utterance, sound=sound, phones=phones, source=f"{utterance.source}, sung", beat_s=beat_s)
    return words, score


def retimed(phones: Sequence[Phone], beat_s: float, rng: np.random.Generator) -> tuple[Phone, ...]:
    """The same phones with vowels that last until the next beat or the one after; breath between phrases.

    A syllable of half a beat comes now and then, one of two beats at the end of each phrase.
    """
    now, due, placed = 0.0, 0.0, []
    for at, phone in enumerate(phones):
        spoken = phone.end_s - phone.start_s
        last = not any(p.label in VOWELS for p in _until_silence(phones[at + 1 :]))
        if phone.label in VOWELS:
            beats = 2.0 if last else float(rng.choice([0.5, 1.0, 1.0, 1.0, 2.0]))
            due = max(due, now) + beats * beat_s
            follow = sum(_short(p) for p in _until_vowel(phones[at + 1 :]))
            length = max(due - follow - now, min(spoken, 0.12), 0.09)
        elif phone.label == "SIL":
            length = float(np.clip(spoken, 0.25, 0.7)) if 0 < at < len(phones) - 1 else spoken
            due = now + length
        else:
            length = _short(phone)
        placed.append(Phone(label=phone.label, start_s=now, end_s=now + length))
        now += length
    whole = round(now * FRAMES_PER_S) * HOP / SAMPLE_RATE_HZ  # the sound is whole frames long
    placed[-1] = replace(placed[-1], end_s=max(whole, placed[-1].start_s + 1e-3))
    return tuple(placed)


def _short(phone: Phone) -> float:
    return min(phone.end_s - phone.start_s, LONGEST_CONSONANT_S)


def _until_silence(phones: Sequence[Phone]) -> list[Phone]:
    ends = [at for at, phone in enumerate(phones) if phone.label == "SIL"]
    return list(phones[: ends[0]] if ends else phones)


def _until_vowel(phones: Sequence[Phone]) -> list[Phone]:
    ends = [at for at, phone in enumerate(phones) if phone.label in VOWELS or phone.label == "SIL"]
    return list(phones[: ends[0]] if ends else phones)


def melody(phones: Sequence[Phone], speaks_hz: float, rng: np.random.Generator) -> tuple[Note, ...]:
    """A note for every vowel: a walk over a scale, mostly by steps, around a pitch a little above the spoken one."""
    scale = SCALES[rng.integers(len(SCALES))]
    steps = np.array([12 * octave + tone for octave in (-1, 0, 1) for tone in scale])
    key = round(12 * np.log2(speaks_hz / 440.0)) + int(rng.integers(0, 4))
    middle = len(scale)
    place, notes = middle, []
    for phone in phones:
        if phone.label in VOWELS:
            pull = int(np.sign(middle + 2 - place)) if rng.random() < 0.3 else 0
            place = int(np.clip(place + rng.choice([-2, -1, -1, 0, 1, 1, 2]) + pull, middle - 2, middle + 5))
            hertz = float(440.0 * 2 ** ((key + steps[place]) / 12))
            notes.append(Note(start_s=phone.start_s, end_s=phone.end_s, hertz=hertz))
    return tuple(notes)


def rendered(
    voice: Voice, spoken: Sequence[Phone], phones: Sequence[Phone], score: Score, rng: np.random.Generator
) -> Float[torch.Tensor, " sample"]:
    """The sound of these notes with the spoken utterance's articulation."""
    frames = round(phones[-1].end_s * FRAMES_PER_S)
    time = np.arange(frames) / FRAMES_PER_S
    place = source_time(time, spoken, phones) * FRAMES_PER_S
    nearest = np.clip(np.round(place).astype(int), 0, len(voice.f0_hz) - 1)
    held = np.zeros(frames, bool)
    for note in score.notes:  # a vowel that was whispered or creaked in speech still sings
        held |= (time > note.start_s + 0.02) & (time < note.end_s - 0.02)
    voiced = (voice.f0_hz[nearest] > 0) | held
    f0_hz = np.where(voiced, sung_pitch(time, score, rng), 0.0)
    sound = synthesised(voice, place, f0_hz, 0.0, rng)
    return torch.from_numpy(np.clip(sound / max(1.0, 1.05 * float(np.abs(sound).max())), -1, 1))


def source_time(
    time: Float[ndarray, " frame"], spoken: Sequence[Phone], phones: Sequence[Phone]
) -> Float[ndarray, " frame"]:
    """Where in the spoken sound each moment of the sung one lies: vowels keep their edges, their middles last."""
    new, old = [0.0], [0.0]
    for before, after in zip(spoken, phones, strict=True):
        length, wanted = before.end_s - before.start_s, after.end_s - after.start_s
        if wanted > 1.3 * length and after.label in VOWELS:
            edge = 0.35 * length
            new += [after.start_s + edge, after.end_s - edge]
            old += [before.start_s + edge, before.end_s - edge]
        new.append(after.end_s)
        old.append(before.end_s)
    return np.interp(time, new, old)


def sung_pitch(time: Float[ndarray, " frame"], score: Score, rng: np.random.Generator) -> Float[ndarray, " frame"]:
    """Hz: the notes, joined by glides, with vibrato on what is held and a singer's small drift."""
    if not score.notes:
        return np.full(len(time), 150.0)
    semitones = np.full(len(time), 12 * np.log2(score.notes[0].hertz))
    vibrato = np.zeros(len(time))
    for before, note in zip((score.notes[0], *score.notes), score.notes, strict=False):
        glide = np.clip((time - note.start_s + 0.06) / 0.09, 0, 1)
        semitones += 12 * np.log2(note.hertz / before.hertz) * glide * glide * (3 - 2 * glide)
        if note.end_s - note.start_s > 0.4:
            swell = np.clip((time - note.start_s - 0.22) / 0.15, 0, 1) * np.clip((note.end_s - time) / 0.06, 0, 1)
            vibrato += swell * np.sin(2 * np.pi * score.vibrato_hz * (time - note.start_s - 0.22))
    drift = np.cumsum(rng.normal(0, 0.012, len(time)))
    drift -= np.interp(time, time[:: max(1, len(time) // 8)], drift[:: max(1, len(time) // 8)])
    return 2 ** ((semitones + score.vibrato_semitones * vibrato + np.clip(drift, -0.15, 0.15)) / 12)
