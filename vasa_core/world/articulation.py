"""Lips, jaw and tongue from phones: what the mouth does to make each sound, blended as mouths blend them.

The published model is Cohen and Massaro's (1993, "Modeling coarticulation in synthetic visual speech"): every phone
has a target and a dominance that falls off to both sides; the mouth follows the average weighted by dominance. Jaw and
lips are separate axes with gains of their own, as in JALI (Edwards, Landreth, Fiume and Singh 2016). Contact is not
blended: lip closure is a gate that shuts whatever gap the other shapes leave, so P, B and M touch under any emotion and
at any tempo, and F and V bring the lower lip to the upper teeth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from vasa_core.world.curves import CURVE_RATE_HZ, VOWELS, Phone, Style, phrases_of, pulse, smooth

# phone: (jaw, funnel, pucker, stretch, lowerDown, upperUp, tuck), jaw dominance, lip dominance.
# Openings follow real speech by phone (AA 0.97 of the 95th percentile, IY 0.51, S 0.47, UW 0.26, W 0.07, F 0.05).
MOUTH_CHANNELS = ("jaw", "funnel", "pucker", "stretch", "lower", "upper", "tuck")
PHONES: dict[str, tuple[tuple[float, ...], float, float]] = {
    "SIL": ((0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.8),
    "AA": ((0.330, 0.00, 0.00, 0.02, 0.25, 0.15, 0.00), 1.3, 1.0),
    "AE": ((0.285, 0.00, 0.00, 0.20, 0.30, 0.20, 0.00), 1.3, 1.0),
    "AH": ((0.125, 0.00, 0.00, 0.03, 0.14, 0.06, 0.00), 0.9, 0.7),
    "AO": ((0.175, 0.18, 0.28, 0.00, 0.06, 0.02, 0.00), 1.1, 1.4),
    "EH": ((0.205, 0.00, 0.00, 0.12, 0.25, 0.15, 0.00), 1.1, 0.9),
    "ER": ((0.060, 0.16, 0.30, 0.00, 0.08, 0.03, 0.00), 0.9, 1.1),
    "IH": ((0.105, 0.00, 0.00, 0.08, 0.22, 0.08, 0.00), 0.9, 0.8),
    "IY": ((0.085, 0.00, 0.00, 0.15, 0.30, 0.12, 0.00), 1.0, 1.0),
    "UH": ((0.060, 0.10, 0.34, 0.00, 0.04, 0.00, 0.00), 0.9, 1.2),
    "UW": ((0.030, 0.06, 0.58, 0.00, 0.01, 0.00, 0.00), 1.1, 1.9),
    "EY": ((0.230, 0.00, 0.00, 0.18, 0.30, 0.16, 0.00), 1.2, 1.0),
    "B": ((0.040, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.6),
    "P": ((0.040, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.6),
    "M": ((0.040, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.6),
    "F": ((0.040, 0.00, 0.00, 0.04, 0.00, 0.12, 0.46), 1.6, 3.0),
    "V": ((0.040, 0.00, 0.00, 0.04, 0.00, 0.10, 0.42), 1.5, 2.6),
    "W": ((0.020, 0.02, 0.66, 0.00, 0.00, 0.00, 0.00), 1.4, 2.6),
    "R": ((0.045, 0.12, 0.32, 0.00, 0.06, 0.01, 0.00), 0.9, 1.2),
    "Y": ((0.065, 0.00, 0.00, 0.12, 0.28, 0.08, 0.00), 0.8, 0.7),
    "L": ((0.090, 0.00, 0.00, 0.03, 0.20, 0.08, 0.00), 0.7, 0.45),
    "T": ((0.055, 0.00, 0.00, 0.05, 0.20, 0.07, 0.00), 0.9, 0.50),
    "D": ((0.055, 0.00, 0.00, 0.05, 0.20, 0.07, 0.00), 0.9, 0.50),
    "N": ((0.060, 0.00, 0.00, 0.05, 0.19, 0.06, 0.00), 0.9, 0.50),
    "S": ((0.025, 0.00, 0.00, 0.09, 0.34, 0.17, 0.00), 1.4, 0.9),
    "Z": ((0.030, 0.00, 0.00, 0.09, 0.33, 0.16, 0.00), 1.3, 0.8),
    "TH": ((0.075, 0.00, 0.00, 0.04, 0.20, 0.10, 0.00), 1.0, 0.6),
    "DH": ((0.070, 0.00, 0.00, 0.04, 0.17, 0.08, 0.00), 0.8, 0.5),
    "SH": ((0.030, 0.28, 0.28, 0.00, 0.08, 0.07, 0.00), 1.2, 1.6),
    "ZH": ((0.030, 0.26, 0.28, 0.00, 0.08, 0.07, 0.00), 1.2, 1.5),
    "CH": ((0.030, 0.26, 0.26, 0.00, 0.08, 0.07, 0.00), 1.2, 1.5),
    "JH": ((0.035, 0.24, 0.26, 0.00, 0.08, 0.07, 0.00), 1.2, 1.4),
    "K": ((0.145, 0.00, 0.00, 0.03, 0.17, 0.08, 0.00), 0.4, 0.25),
    "G": ((0.135, 0.00, 0.00, 0.03, 0.17, 0.08, 0.00), 0.4, 0.25),
    "NG": ((0.130, 0.00, 0.00, 0.03, 0.17, 0.06, 0.00), 0.4, 0.25),
    "HH": ((0.130, 0.00, 0.00, 0.02, 0.12, 0.06, 0.00), 0.3, 0.2),
}  # fmt: skip
GLIDES = {"AY": ("AA", "IY"), "AW": ("AA", "UW"), "OY": ("AO", "IY"), "OW": ("AO", "UW"), "EY": ("EY", "IY")}
"""Diphthongs move: the first shape for three fifths of the time, then the second."""

BILABIALS = frozenset("PBM")

# How far each phone shuts the remaining gap. F and V leave room for the teeth, W for its breath.
SHUT = {"P": 1.0, "B": 1.0, "M": 1.0, "F": 0.74, "V": 0.70, "W": 0.62}

# phone: (tip to the ridge behind the teeth, tip between the teeth, back to the palate), dominance.
TONGUE: dict[str, tuple[tuple[float, float, float], float]] = {
    **dict.fromkeys(("T", "D", "N"), ((1.0, 0.0, 0.1), 1.6)),
    "L": ((1.0, 0.1, 0.0), 1.6),
    **dict.fromkeys(("S", "Z", "SH", "ZH", "CH", "JH"), ((0.75, 0.0, 0.2), 1.4)),
    **dict.fromkeys(("TH", "DH"), ((0.3, 1.0, 0.0), 1.8)),
    **dict.fromkeys(("K", "G", "NG"), ((0.0, 0.0, 1.0), 1.5)),
    "R": ((0.6, 0.0, 0.5), 1.1),
    "ER": ((0.45, 0.0, 0.5), 1.0),
    "Y": ((0.3, 0.15, 0.6), 1.0),
    **dict.fromkeys(("IY", "IH", "EY"), ((0.25, 0.15, 0.45), 0.8)),
    **dict.fromkeys(("EH", "AE", "AH"), ((0.1, 0.1, 0.1), 0.7)),
    **dict.fromkeys(("AA", "AO"), ((0.0, 0.0, 0.15), 0.8)),
    **dict.fromkeys(("UH", "UW", "W"), ((0.0, 0.0, 0.55), 0.8)),
    "SIL": ((0.15, 0.0, 0.1), 0.6),
}  # fmt: skip
"""Lips let the tongue do as it likes: for phones not listed it goes where their neighbours want it."""


def articulations(phones: Sequence[Phone], style: Style) -> list[tuple[str, float, float]]:
    """(label, start, end) with diphthongs split in two and silences shortened by what the mouth anticipates."""
    spans: list[tuple[str, float, float]] = []
    for phone in phones:
        if phone.label in GLIDES:
            # a long, sung diphthong stays on its first shape and turns late
            turn = max(phone.start_s + 0.6 * (phone.end_s - phone.start_s), phone.end_s - 0.16)
            first, second = GLIDES[phone.label]
            spans += [(first, phone.start_s, turn), (second, turn, phone.end_s)]
        elif phone.label == "SIL":
            spans.append(("SIL", phone.start_s + 0.06, max(phone.start_s + 0.08, phone.end_s - style.anticipation_s)))
        else:
            spans.append((phone.label, phone.start_s, phone.end_s))
    return spans


def dominance(label: str, start: float, end: float, time: ndarray) -> ndarray:
    """How much this phone asks for at each time: 1 around its middle, then exp(-(tau / width)^1.5) to both sides."""
    silent = label == "SIL"
    long = label in VOWELS and end - start > 0.25  # held notes keep their shape all the time
    flat = 0.5 * (end - start) * (1.0 if silent else 0.8 if long else 0.4)
    tau = np.maximum(0, np.abs(time - (start + end) / 2) - flat)
    width = 0.05 if silent else 0.062 if label in VOWELS else 0.046
    return np.exp(-((tau / width) ** 1.5))


def mouth_curves(
    phones: Sequence[Phone], loud: ndarray, time: ndarray, style: Style, rng: np.random.Generator
) -> Float[ndarray, "step channel=7"]:
    """Jaw and lip shape over time: the targets of `PHONES`, averaged by dominance, no two vowels made alike."""
    spans = articulations(phones, style) or [("SIL", 0.0, float(time[-1]))]
    weighted = np.zeros((len(time), len(MOUTH_CHANNELS)))
    total = np.full((len(time), len(MOUTH_CHANNELS)), 1e-9)
    for label, start, end in spans:
        near = _around(start, end)
        target, jaw_power, lip_power = PHONES[label]
        weight = dominance(label, start, end, time[near])[:, None] * np.array([jaw_power] + [lip_power] * 6)
        care = np.clip(rng.lognormal(-0.05, 0.22), 0.55, 1.5) if label in VOWELS else 1.0
        weighted[near] += weight * (np.array(target) * (care * _effort(label, start, end, loud)))
        total[near] += weight
    curves = weighted / (total + 0.02)  # the small constant lets a long gap between phones relax to rest
    curves[:, 0] += _inhaling(phones, time) + style.rest_jaw * _pausing(phones, time)
    curves *= np.array([style.jaw] + [style.lips] * 5 + [1.0])
    return np.stack([smooth(c, 0.015 if i == 0 else 0.011) for i, c in enumerate(curves.T)], axis=1)


def tongue_curves(phones: Sequence[Phone], time: ndarray, style: Style) -> Float[ndarray, "step channel=3"]:
    """Where the tongue goes, each channel from 0 to 1, by the same averaging."""
    weighted, total = np.zeros((len(time), 3)), np.full((len(time), 1), 1e-9)
    for label, start, end in articulations(phones, style):
        if label in TONGUE:
            near, (target, power) = _around(start, end), TONGUE[label]
            weight = power * dominance(label, start, end, time[near])[:, None]
            weighted[near] += weight * np.array(target)
            total[near] += weight
    return np.stack([smooth(c, 0.010) for c in (weighted / (total + 0.02)).T], axis=1)


def _around(start: float, end: float) -> slice:
    """The steps a phone can reach."""
    return slice(max(0, int((start - 0.5) * CURVE_RATE_HZ)), max(0, int((end + 0.5) * CURVE_RATE_HZ)))


def _effort(label: str, start: float, end: float, loud: ndarray) -> float:
    """Loud vowels open wider than faint ones, and long ones reach farther than short ones (undershoot)."""
    if label not in VOWELS:
        return 1.0
    heard = loud[int(start * CURVE_RATE_HZ) : max(int(end * CURVE_RATE_HZ), int(start * CURVE_RATE_HZ) + 1)]
    level = 0.80 + 0.42 * heard.mean() if len(heard) else 1.0
    return float(level * (0.90 + 0.35 * np.clip((end - start) / 0.25, 0, 1) ** 1.5))


def _pausing(phones: Sequence[Phone], time: ndarray) -> ndarray:
    """1 in pauses, where some let the jaw hang a little."""
    curve = np.zeros(len(time))
    for phone in phones:
        if phone.label == "SIL" and phone.end_s - phone.start_s > 0.2:
            length = phone.end_s - phone.start_s
            curve = np.maximum(curve, pulse(time, phone.start_s, 0.15, length - 0.2, 0.15))
    return curve


def _inhaling(phones: Sequence[Phone], time: ndarray) -> ndarray:
    """Breath is taken through a slightly open mouth before a phrase that follows a pause, more after a longer one."""
    jaw = np.zeros(len(time))
    for start, _, pause in phrases_of(phones, 0.35):
        if pause < 0.35:  # the first phrase may begin at once
            continue
        depth = 0.045 * min(1.0, pause / 0.8)
        length = min(0.42, 0.6 * pause)
        jaw = np.maximum(jaw, depth * pulse(time, start - length - 0.08, 0.4 * length, 0.3 * length, 0.5 * length))
    return jaw


def lip_closure(
    phones: Sequence[Phone], time: ndarray, style: Style, rng: np.random.Generator
) -> Float[ndarray, "step kind=2"]:
    """How far the lips are shut: by any cause, and by a bilabial alone (which also presses).

    Long pauses shut them; in short ones many people leave them parted.
    """
    shut, press = np.zeros(len(time)), np.zeros(len(time))
    for at, phone in enumerate(phones):
        if phone.label in SHUT:
            bump = _contact(phones, at, time)
            # in fast speech vowels reach into the contact: then it takes more of the gap away
            haste = 0.16 * float(np.clip((0.07 - (phone.end_s - phone.start_s)) / 0.04, 0, 1))
            shut = np.maximum(shut, min(1.0, SHUT[phone.label] + haste) * bump)
            press = np.maximum(press, bump) if phone.label in BILABIALS else press
        elif phone.label == "SIL" and phone.end_s - phone.start_s > 0.22:
            edge = phone.end_s - style.anticipation_s - 0.05
            length = phone.end_s - phone.start_s
            edge -= min(0.25, 0.35 * length) if length > 0.35 else 0.0  # then the breath before the next phrase
            hold = max(0.0, edge - phone.start_s - 0.20)
            shuts = rng.random() < (style.closing if length < 2.5 else 0.9)
            depth = 1.0 if shuts else float(rng.uniform(0.1, 0.7))
            shut = np.maximum(shut, depth * pulse(time, phone.start_s + 0.02, 0.18, hold, 0.16))
    shut = np.maximum(shut, _open_ends(phones, time, style))
    return np.stack([shut, press], axis=1)


def _contact(phones: Sequence[Phone], at: int, time: ndarray) -> ndarray:
    """One closure: quick where its neighbours are short, but always long enough to be seen."""
    phone = phones[at]
    hold = 0.8 * (phone.end_s - phone.start_s) if phone.label in "PB" else phone.end_s - phone.start_s
    # at least 85 ms of plateau for P, B and M, so that two frames of 40 ms always fall inside; one for F and V
    hold = max(hold, 0.085) if phone.label in BILABIALS else max(0.8 * hold, 0.05)
    start = (phone.start_s + phone.end_s - hold) / 2 - 0.006  # lips close a little before the sound says so
    before = phones[at - 1].end_s - phones[at - 1].start_s if at else 0.1
    after = phones[at + 1].end_s - phones[at + 1].start_s if at + 1 < len(phones) else 0.1
    rise, fall = (float(np.clip(0.42 * length, 0.03, 0.06)) for length in (before, after))
    return pulse(time, start - rise, rise, hold, fall)


def _open_ends(phones: Sequence[Phone], time: ndarray, style: Style) -> ndarray:
    """Closed before the first sound and after the last, where no silence was marked."""
    spoken = [phone for phone in phones if phone.label != "SIL"]
    if not spoken:
        return np.ones(len(time))
    lead = style.anticipation_s + min(0.25, 0.35 * spoken[0].start_s)
    before = np.clip((spoken[0].start_s - lead - time) / 0.12, 0, 1)
    after = np.clip((time - spoken[-1].end_s - 0.03) / 0.2, 0, 1)
    ease = np.maximum(before, after)
    return ease * ease * (3 - 2 * ease)
