"""Voices made of nothing but harmonics, so that tests know every pitch and phone time beforehand."""

from __future__ import annotations

import numpy as np
import torch

from vasa_core.world.utterances import Phone, Utterance

FORMANTS_HZ = {"AA": (750, 1200, 2500), "IY": (300, 2300, 3000), "UW": (320, 800, 2300)}


def vowel(label: str, hertz: float, seconds: float) -> np.ndarray:
    """A held vowel: all harmonics of one pitch under three formants."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    sound = np.zeros(len(time))
    for harmonic in range(1, int(7000 / hertz)):
        tone_hz = harmonic * hertz
        gain = sum(1 / (1 + ((tone_hz - formant) / 120) ** 2) for formant in FORMANTS_HZ[label]) + 0.01
        sound += gain * np.sin(2 * np.pi * tone_hz * time + harmonic)
    return 0.1 * sound


def utterance(hertz: float = 120.0, speaker: str = "harmonic", beat_s: float = 0.0) -> Utterance:
    """SIL, then three syllables S AA, M IY, S UW with pauses around, at one pitch."""
    rng = np.random.default_rng(0)
    pieces, phones, now = [], [], 0.0
    for label, seconds in (("SIL", 0.3), ("S", 0.1), ("AA", 0.2), ("M", 0.08), ("IY", 0.15), ("S", 0.1), ("UW", 0.25),
                           ("SIL", 0.3)):  # fmt: skip
        if label in FORMANTS_HZ:
            piece = vowel(label, hertz, seconds)
        elif label == "M":
            piece = 0.3 * vowel("UW", hertz, seconds)
        else:
            piece = (0.02 if label == "S" else 1e-5) * rng.normal(size=round(seconds * 16_000))
        pieces.append(piece)
        phones.append(Phone(label=label, start_s=now, end_s=now + len(piece) / 16_000))
        now += len(piece) / 16_000
    sound = torch.from_numpy(np.concatenate(pieces).astype(np.float32))
    return Utterance(sound=sound, phones=tuple(phones), speaker=speaker, language="none", source="test", beat_s=beat_s)


def covers(said: Utterance) -> bool:
    """Phones without gaps from the first sample to the last."""
    ends = [phone.end_s for phone in said.phones]
    starts = [phone.start_s for phone in said.phones]
    joined = np.allclose(starts[1:], ends[:-1], atol=1e-6) and starts[0] == 0
    longer = all(phone.end_s > phone.start_s for phone in said.phones)
    return bool(joined and longer and abs(ends[-1] - said.duration_s) < 1e-3)
