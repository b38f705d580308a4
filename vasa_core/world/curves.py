"""The building blocks of performances: curves at 100 Hz, what is known of a phone and a sound, how one person moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, exact_div

CURVE_RATE_HZ = 100
STEP = exact_div(CURVE_RATE_HZ, FRAME_RATE_HZ)

VOWELS = frozenset("AA AE AH AO EH ER IH IY UH UW AY AW OY OW EY".split())


@runtime_checkable
class Phone(Protocol):
    """One phone of an utterance: ARPAbet label without stress (or SIL) and when it sounds."""

    @property
    def label(self) -> str: ...

    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How one person moves: drawn once per performance."""

    jaw: float
    lips: float
    head: float
    stillness: float
    blink_mu: float
    aversion: float
    brows: float
    smile: float
    asymmetry: float
    anticipation_s: float
    parting: float
    rest_jaw: float
    closing: float

    @staticmethod
    def drawn(rng: np.random.Generator) -> Style:
        """A calm to lively presenter."""
        return Style(
            jaw=float(np.clip(rng.normal(1.10, 0.13), 0.8, 1.45)),
            lips=float(np.clip(rng.normal(1.06, 0.12), 0.8, 1.4)),
            head=float(np.clip(np.exp(rng.normal(0.22, 0.22)), 0.7, 1.9)),
            stillness=float(rng.uniform(0.35, 0.55)),
            blink_mu=float(rng.normal(0.62, 0.22)),
            aversion=float(rng.uniform(0.5, 1.3)),
            brows=float(np.exp(rng.normal(0.0, 0.35))),
            smile=float(rng.uniform(0.04, 0.20)),
            asymmetry=float(np.clip(rng.normal(0.0, 0.06), -0.15, 0.15)),
            anticipation_s=float(rng.uniform(0.15, 0.26)),
            parting=float(rng.uniform(0.0, 0.04)),
            rest_jaw=float(rng.uniform(0.0, 0.12)),
            closing=float(rng.uniform(0.1, 0.7)),
        )


# --------------------------------------------------------------------------- curves


def smooth(curve: ndarray, sigma_s: float) -> ndarray:
    """The curve blurred by a Gaussian of this width, edges held."""
    radius = max(1, int(3 * sigma_s * CURVE_RATE_HZ))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / (sigma_s * CURVE_RATE_HZ)) ** 2)
    padded = np.pad(curve, (radius, radius), mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def coloured(steps: int, low_hz: float, high_hz: float, slope: float, rng: np.random.Generator) -> ndarray:
    """Gaussian noise of unit variance in a band, its amplitude falling as frequency^-slope above low_hz."""
    padded = int(2 ** np.ceil(np.log2(steps + 20 * CURVE_RATE_HZ)))
    frequency = np.fft.rfftfreq(padded, 1 / CURVE_RATE_HZ)
    shape = (1 + (frequency / low_hz) ** 2) ** (-slope / 2) * np.exp(-((frequency / high_hz) ** 4))
    shape[0] = 0
    spectrum = shape * (rng.normal(size=len(shape)) + 1j * rng.normal(size=len(shape)))
    curve = np.fft.irfft(spectrum, padded)
    return curve[:steps] / curve.std()


def pulse(time: ndarray, start: float, rise: float, hold: float, fall: float) -> ndarray:
    """A smooth bump: cosine up, plateau, cosine down."""
    up = np.clip((time - start) / rise, 0, 1)
    down = np.clip((time - start - rise - hold) / fall, 0, 1)
    return 0.5 * (1 - np.cos(np.pi * up)) - 0.5 * (1 - np.cos(np.pi * down))


def minimum_jerk(time: ndarray, start: float, length: float) -> ndarray:
    """From 0 to 1 as a limb moves between two points of rest (Flash and Hogan 1985)."""
    u = np.clip((time - start) / length, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u * u)


# --------------------------------------------------------------------------- sound and speech


def loudness(sound: Float[ndarray, " sample"], steps: int) -> Float[ndarray, " step"]:
    """How loud each hundredth of a second is, 0 (40 dB under the loud parts) to 1."""
    hop = exact_div(SAMPLE_RATE_HZ, CURVE_RATE_HZ)
    padded = np.zeros(steps * hop, np.float32)
    padded[: len(sound)] = sound[: len(padded)]
    power_db = 10 * np.log10(np.mean(padded.reshape(steps, hop).astype(np.float64) ** 2, axis=1) + 1e-9)
    power_db = smooth(power_db, 0.025)
    top = max(np.percentile(power_db, 95), -55.0)
    return np.clip((power_db - top + 40) / 40, 0, 1.1)


def speech_activity(phones: Sequence[Phone], time: ndarray, style: Style) -> Float[ndarray, " step"]:
    """Near 1 while speaking, 0 in pauses; the body starts before the voice and calms down after it."""
    active = np.zeros(len(time))
    for phone in phones:
        if phone.label != "SIL":
            active[(time > phone.start_s - style.anticipation_s - 0.08) & (time < phone.end_s + 0.1)] = 1
    return smooth(active, 0.08)


def phrases_of(phones: Sequence[Phone], least_pause_s: float = 0.25) -> list[tuple[float, float, float]]:
    """(start, end, pause before) of each stretch of speech between pauses of at least this length."""
    found: list[tuple[float, float, float]] = []
    begun, ended = None, 0.0
    for phone in phones:
        if phone.label == "SIL" and phone.end_s - phone.start_s < least_pause_s:
            continue
        if phone.label == "SIL":
            if begun is not None:
                found.append((begun, ended, begun - (found[-1][1] if found else 0.0)))
            begun = None
        else:
            begun, ended = phone.start_s if begun is None else begun, phone.end_s
    if begun is not None:
        found.append((begun, ended, begun - (found[-1][1] if found else 0.0)))
    return found


def accents_of(phones: Sequence[Phone], loud: ndarray) -> list[tuple[float, float]]:
    """Vowels that stand out: (time, strength 0..1), loud or long ones first; about one in three."""
    vowels = [phone for phone in phones if phone.label in VOWELS and phone.end_s - phone.start_s > 0.05]
    if not vowels:
        return []
    centre = np.array([(phone.start_s + phone.end_s) / 2 for phone in vowels])
    length = np.array([phone.end_s - phone.start_s for phone in vowels])
    level = loud[np.clip((centre * CURVE_RATE_HZ).astype(int), 0, len(loud) - 1)]
    stress = level + np.clip(length / 0.25, 0, 1)
    floor = np.percentile(stress, 62)
    return [(float(t), float(min(1.0, 0.4 + s - floor))) for t, s in zip(centre, stress, strict=True) if s >= floor]
