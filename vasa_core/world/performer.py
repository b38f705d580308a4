"""Synthetic performances: what a face and head do while saying known phones, many ways for the same sentence.

Speech: dominance functions blend the targets of neighbouring phones (Cohen and Massaro 1993), jaw and lips on separate
axes with their own gains (JALI, Edwards 2016). Lip closure is not blended: it is a gate that shuts whatever gap the
other shapes leave, so P, B and M touch under any emotion. Around it lives a body: head, gaze, lids, brows, breath.
Curves are made at 100 Hz and read at the middle of each video frame. Weights are FaceKit's 57 (ARKit-like) shapes.
Angles rad and signs as in `latents`; lengths cm. Laws and target bands: MODEL_CARD, "statistics of real speech".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, exact_div
from vasa_core.geometry import CAMERA_DISTANCE_CM

EXPRESSION_NAMES = tuple(
    (
        "PupilDilate_L PupilDilate_R browDown_L browDown_R browInnerUp_L browInnerUp_R browOuterUp_L browOuterUp_R "
        "cheekPuff_L cheekPuff_R cheekRaiser_L cheekRaiser_R cheekSquint_L cheekSquint_R eyeBlink_L eyeBlink_R "
        "eyeLookDown_L eyeLookDown_R eyeLookIn_L eyeLookIn_R eyeLookOut_L eyeLookOut_R eyeLookUp_L eyeLookUp_R "
        "eyeSquint_L eyeSquint_R eyeWide_L eyeWide_R jawForward jawLeft jawOpen jawRight mouthClose mouthDimple_L "
        "mouthDimple_R mouthFrown_L mouthFrown_R mouthFunnel mouthLeft mouthLowerDown_L mouthLowerDown_R mouthPress_L "
        "mouthPress_R mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper "
        "mouthSmile_L mouthSmile_R mouthStretch_L mouthStretch_R mouthUpperUp_L mouthUpperUp_R noseSneer_L "
        "noseSneer_R"
    ).split()
)
"""The 57 expression weights in FaceKit's order."""

CURVE_RATE_HZ = 100
STEP = exact_div(CURVE_RATE_HZ, FRAME_RATE_HZ)

# What one unit of each shape does to the opening between the inner lips and between the lids, in cm, measured on
# FaceKit's neutral face (landmarks 62-66 of the 68; the lids between 37-38 and 40-41). Both sides counted together.
LIP_GAP_CM = {
    "jawOpen": 3.275, "mouthFunnel": 1.373, "mouthLowerDown": 0.676, "mouthUpperUp": 0.710, "mouthPress": -0.254,
    "mouthPucker": -0.052, "mouthRollLower": -0.375, "mouthRollUpper": 0.182, "mouthShrugLower": -0.688,
    "mouthShrugUpper": 0.526, "jawForward": 0.129, "noseSneer": 0.622, "mouthDimple": -0.072, "mouthClose": -3.894,
}  # fmt: skip
LID_GAP_CM = {"eyeLookDown": -0.498, "eyeLookUp": 0.180, "eyeSquint": -0.231, "eyeWide": 0.303,
              "cheekSquint": -0.238, "cheekRaiser": -0.238, "noseSneer": -0.132, "eyeBlink": -0.929}  # fmt: skip
OPEN_LID_CM = 0.955

# phone: (jaw, funnel, pucker, stretch, lowerDown, upperUp, tuck), jaw dominance, lip dominance.
# Openings follow real speech by phone (AA 0.97 of the 95th percentile, IY 0.51, S 0.47, UW 0.26, W 0.07, F 0.05).
MOUTH_CHANNELS = ("jaw", "funnel", "pucker", "stretch", "lower", "upper", "tuck")
PHONES: dict[str, tuple[tuple[float, ...], float, float]] = {
    "SIL": ((0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.8),
    "AA": ((0.310, 0.00, 0.00, 0.04, 0.25, 0.15, 0.00), 1.3, 1.0),
    "AE": ((0.265, 0.00, 0.00, 0.24, 0.30, 0.20, 0.00), 1.3, 1.0),
    "AH": ((0.140, 0.00, 0.00, 0.05, 0.14, 0.06, 0.00), 0.9, 0.7),
    "AO": ((0.160, 0.22, 0.26, 0.00, 0.06, 0.02, 0.00), 1.1, 1.3),
    "EH": ((0.205, 0.00, 0.00, 0.16, 0.25, 0.15, 0.00), 1.1, 0.9),
    "ER": ((0.085, 0.20, 0.28, 0.00, 0.10, 0.05, 0.00), 0.9, 1.1),
    "IH": ((0.120, 0.00, 0.00, 0.13, 0.25, 0.10, 0.00), 0.9, 0.8),
    "IY": ((0.100, 0.00, 0.00, 0.22, 0.34, 0.15, 0.00), 1.0, 1.0),
    "UH": ((0.085, 0.15, 0.30, 0.00, 0.06, 0.00, 0.00), 0.9, 1.1),
    "UW": ((0.055, 0.12, 0.52, 0.00, 0.02, 0.00, 0.00), 1.0, 1.7),
    "EY": ((0.235, 0.00, 0.00, 0.22, 0.30, 0.16, 0.00), 1.2, 1.0),
    "B": ((0.050, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.6),
    "P": ((0.050, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.6),
    "M": ((0.050, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00), 1.0, 0.6),
    "F": ((0.050, 0.00, 0.00, 0.04, 0.00, 0.12, 0.46), 1.6, 3.0),
    "V": ((0.050, 0.00, 0.00, 0.04, 0.00, 0.10, 0.42), 1.5, 2.6),
    "W": ((0.035, 0.04, 0.60, 0.00, 0.00, 0.00, 0.00), 1.3, 2.4),
    "R": ((0.060, 0.16, 0.30, 0.00, 0.08, 0.02, 0.00), 0.8, 1.2),
    "Y": ((0.075, 0.00, 0.00, 0.18, 0.30, 0.10, 0.00), 0.8, 0.7),
    "L": ((0.105, 0.00, 0.00, 0.05, 0.24, 0.10, 0.00), 0.6, 0.35),
    "T": ((0.085, 0.00, 0.00, 0.08, 0.26, 0.10, 0.00), 0.7, 0.35),
    "D": ((0.085, 0.00, 0.00, 0.08, 0.26, 0.10, 0.00), 0.7, 0.35),
    "N": ((0.090, 0.00, 0.00, 0.08, 0.24, 0.08, 0.00), 0.7, 0.35),
    "S": ((0.040, 0.00, 0.00, 0.14, 0.44, 0.24, 0.00), 1.2, 0.8),
    "Z": ((0.045, 0.00, 0.00, 0.14, 0.42, 0.22, 0.00), 1.1, 0.7),
    "TH": ((0.090, 0.00, 0.00, 0.06, 0.24, 0.12, 0.00), 0.9, 0.5),
    "DH": ((0.090, 0.00, 0.00, 0.06, 0.20, 0.10, 0.00), 0.7, 0.4),
    "SH": ((0.050, 0.34, 0.24, 0.00, 0.10, 0.10, 0.00), 1.1, 1.5),
    "ZH": ((0.050, 0.32, 0.24, 0.00, 0.10, 0.10, 0.00), 1.1, 1.4),
    "CH": ((0.050, 0.32, 0.22, 0.00, 0.10, 0.10, 0.00), 1.1, 1.4),
    "JH": ((0.055, 0.30, 0.22, 0.00, 0.10, 0.10, 0.00), 1.1, 1.3),
    "K": ((0.165, 0.00, 0.00, 0.05, 0.20, 0.10, 0.00), 0.4, 0.25),
    "G": ((0.155, 0.00, 0.00, 0.05, 0.20, 0.10, 0.00), 0.4, 0.25),
    "NG": ((0.150, 0.00, 0.00, 0.05, 0.20, 0.08, 0.00), 0.4, 0.25),
    "HH": ((0.130, 0.00, 0.00, 0.03, 0.12, 0.06, 0.00), 0.3, 0.2),
}  # fmt: skip
GLIDES = {"AY": ("AA", "IY"), "AW": ("AA", "UW"), "OY": ("AO", "IY"), "OW": ("AO", "UW"), "EY": ("EY", "IY")}
"""Diphthongs move: the first shape for three fifths of the time, then the second."""

BILABIALS = frozenset("PBM")
VOWELS = frozenset("AA AE AH AO EH ER IH IY UH UW AY AW OY OW EY".split())

# How far each phone shuts the remaining gap. F, V and W nearly shut, but not flat against each other.
SHUT = {"P": 1.0, "B": 1.0, "M": 1.0, "F": 0.72, "V": 0.66, "W": 0.60}

EMOTION_SHAPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.50, "cheekSquint": 0.40, "eyeSquint": 0.22, "browOuterUp": 0.10, "mouthDimple": 0.15},
    "sad": {"browInnerUp": 0.70, "mouthFrown": 0.50, "browDown": 0.15, "eyeLookDown": 0.14, "mouthShrugLower": 0.10},
    "angry": {"browDown": 0.85, "eyeSquint": 0.40, "noseSneer": 0.30, "mouthFrown": 0.20, "mouthPress": 0.15},
    "surprised": {"browInnerUp": 0.65, "browOuterUp": 0.70, "eyeWide": 0.65, "jawOpen": 0.05},
    "afraid": {"browInnerUp": 0.75, "browOuterUp": 0.20, "eyeWide": 0.55, "mouthStretch": 0.28, "browDown": 0.20},
    "disgusted": {"noseSneer": 0.65, "mouthUpperUp": 0.22, "browDown": 0.40, "cheekSquint": 0.30, "mouthFrown": 0.22},
    "contempt": {"mouthSmile_L": 0.38, "mouthDimple_L": 0.45, "cheekSquint_L": 0.25, "eyeSquint": 0.22,
                 "browOuterUp_R": 0.30, "browDown_L": 0.20},
}  # fmt: skip
EMOTION_HEAD_DEG = {"sad": (3.5, 0.0, 1.0), "happy": (-1.0, 0.0, 0.5), "angry": (1.5, 0.0, 0.0),
                    "contempt": (-3.0, 2.0, 1.5), "surprised": (-1.5, 0.0, 0.0), "afraid": (-1.0, 0.0, 0.0),
                    "disgusted": (-1.5, 2.0, 0.0)}  # fmt: skip
EMOTION_LIVELINESS = {"sad": 0.65, "happy": 1.15, "angry": 1.20, "surprised": 1.15, "afraid": 1.1}


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
class Mood:
    """What the performer is asked for; the transformer later learns these as its conditions g, d and e."""

    gaze: tuple[float, float] = (0.0, 0.0)
    head_distance: float = 1.0
    emotion: str = "neutral"
    intensity: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """One way of saying it, frame by frame at the video's rate."""

    expression: Float[ndarray, "frame weights=57"]
    gaze: Float[ndarray, "frame 2"]
    head_pose: Float[ndarray, "frame 6"]
    mood: Mood

    def __len__(self) -> int:
        return len(self.expression)


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
    asymmetry: float
    anticipation_s: float
    parting: float

    @staticmethod
    def drawn(rng: np.random.Generator) -> Style:
        """A calm to lively presenter."""
        return Style(
            jaw=float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.3)),
            lips=float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.3)),
            head=float(np.clip(np.exp(rng.normal(0.0, 0.22)), 0.6, 1.6)),
            stillness=float(rng.uniform(0.40, 0.65)),
            blink_mu=float(rng.normal(0.70, 0.22)),
            aversion=float(rng.uniform(0.5, 1.3)),
            brows=float(np.exp(rng.normal(0.0, 0.35))),
            asymmetry=float(np.clip(rng.normal(0.0, 0.06), -0.15, 0.15)),
            anticipation_s=float(rng.uniform(0.12, 0.22)),
            parting=float(rng.uniform(0.0, 0.04)),
        )


def perform(
    phones: Sequence[Phone],
    sound: Float[ndarray, " sample"],
    mood: Mood,
    rng: np.random.Generator,
) -> Performance:
    """One plausible performance of these phones and this sound; the same rng state gives the same one."""
    frames = -(-len(sound) // exact_div(SAMPLE_RATE_HZ, FRAME_RATE_HZ))
    steps = frames * STEP
    time = (np.arange(steps) + 0.5) / CURVE_RATE_HZ
    style = Style.drawn(rng)
    loud = loudness(sound, steps)
    voiced = speech_activity(phones, time, style)
    accents = _accents(phones, loud)
    head = head_curves(time, loud, voiced, accents, mood, style, rng)
    gaze = gaze_curves(head[:, :2], mood, style, rng)
    face = _Face(steps)
    _emote(face, mood, rng)
    _speak(face, mouth_curves(phones, loud, time, style), lip_closure(phones, time, style), style, rng)
    _raise_brows(face, accents, time, style, rng)
    _look(face, gaze)
    _blink(face, blink_curve(gaze, voiced, style, rng))
    middle = slice(STEP // 2, None, STEP)
    return Performance(
        expression=face.weights[middle].astype(np.float32),
        gaze=gaze[middle].astype(np.float32),
        head_pose=head[middle].astype(np.float32),
        mood=mood,
    )


class _Face:
    """The 57 weights over time, addressed by name; a name without side means both sides."""

    def __init__(self, steps: int) -> None:
        self.weights = np.zeros((steps, len(EXPRESSION_NAMES)))

    def columns(self, name: str) -> list[int]:
        if name in EXPRESSION_NAMES:
            return [EXPRESSION_NAMES.index(name)]
        return [EXPRESSION_NAMES.index(name + side) for side in ("_L", "_R")]

    def add(self, name: str, curve: ndarray | float) -> None:
        for column in self.columns(name):
            self.weights[:, column] += curve

    def total(self, effect_cm: dict[str, float]) -> ndarray:
        """The summed effect of the present weights, in cm; two-sided shapes count half per side."""
        total = np.zeros(len(self.weights))
        for name, amount in effect_cm.items():
            columns = self.columns(name)
            total += self.weights[:, columns].sum(axis=1) * (amount / len(columns))
        return total


# --------------------------------------------------------------------------- sound and time


def smooth(curve: ndarray, sigma_s: float) -> ndarray:
    """The curve blurred by a Gaussian of this width, edges held."""
    radius = max(1, int(3 * sigma_s * CURVE_RATE_HZ))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / (sigma_s * CURVE_RATE_HZ)) ** 2)
    padded = np.pad(curve, (radius, radius), mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


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


def _accents(phones: Sequence[Phone], loud: ndarray) -> list[tuple[float, float]]:
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


def coloured(steps: int, low_hz: float, high_hz: float, slope: float, rng: np.random.Generator) -> ndarray:
    """Gaussian noise of unit variance in a band, its amplitude falling as frequency^-slope above low_hz."""
    padded = int(2 ** np.ceil(np.log2(steps + 20 * CURVE_RATE_HZ)))
    frequency = np.fft.rfftfreq(padded, 1 / CURVE_RATE_HZ)
    shape = (1 + (frequency / low_hz) ** 2) ** (-slope / 2) * np.exp(-((frequency / high_hz) ** 4))
    shape[0] = 0
    spectrum = shape * (rng.normal(size=len(shape)) + 1j * rng.normal(size=len(shape)))
    curve = np.fft.irfft(spectrum, padded)
    return curve[:steps] / curve.std()


def _pulse(time: ndarray, start: float, rise: float, hold: float, fall: float) -> ndarray:
    """A smooth bump: cosine up, plateau, cosine down."""
    up = np.clip((time - start) / rise, 0, 1)
    down = np.clip((time - start - rise - hold) / fall, 0, 1)
    return 0.5 * (1 - np.cos(np.pi * up)) - 0.5 * (1 - np.cos(np.pi * down))


# --------------------------------------------------------------------------- mouth


def _articulations(phones: Sequence[Phone], style: Style) -> list[tuple[str, float, float]]:
    """(label, start, end) with diphthongs split in two and silences shortened by what the mouth anticipates."""
    spans: list[tuple[str, float, float]] = []
    for phone in phones:
        if phone.label in GLIDES:
            turn = phone.start_s + 0.6 * (phone.end_s - phone.start_s)
            first, second = GLIDES[phone.label]
            spans += [(first, phone.start_s, turn), (second, turn, phone.end_s)]
        elif phone.label == "SIL":
            spans.append(("SIL", phone.start_s + 0.06, max(phone.start_s + 0.08, phone.end_s - style.anticipation_s)))
        else:
            spans.append((phone.label, phone.start_s, phone.end_s))
    return spans


def mouth_curves(
    phones: Sequence[Phone], loud: ndarray, time: ndarray, style: Style
) -> Float[ndarray, "step channel=7"]:
    """Jaw and lip shape over time: each phone's target, weighted by its dominance a * exp(-(tau / width)^1.5)."""
    spans = _articulations(phones, style) or [("SIL", 0.0, float(time[-1]))]
    weighted = np.zeros((len(time), len(MOUTH_CHANNELS)))
    total = np.full((len(time), len(MOUTH_CHANNELS)), 1e-9)
    for label, start, end in spans:
        near = slice(max(0, int((start - 0.5) * CURVE_RATE_HZ)), max(0, int((end + 0.5) * CURVE_RATE_HZ)))
        target, jaw_power, lip_power = PHONES[label]
        silent = label == "SIL"
        flat = 0.5 * (end - start) * (1.0 if silent else 0.4)
        tau = np.maximum(0, np.abs(time[near] - (start + end) / 2) - flat)
        width = 0.05 if silent else 0.075 if label in VOWELS else 0.055
        shape = np.exp(-((tau / width) ** 1.5))
        effort = 1.0 if silent else _effort(label, start, end, loud)
        power = np.array([jaw_power] + [lip_power] * 6)
        dominance = shape[:, None] * power
        weighted[near] += dominance * (np.array(target) * effort)
        total[near] += dominance
    curves = weighted / (total + 0.02)  # the small constant lets a long gap between phones relax to rest
    curves *= np.array([style.jaw] + [style.lips] * 5 + [1.0])
    return np.stack([smooth(c, 0.02 if i == 0 else 0.014) for i, c in enumerate(curves.T)], axis=1)


def _effort(label: str, start: float, end: float, loud: ndarray) -> float:
    """Loud vowels open wider than faint ones."""
    if label not in VOWELS:
        return 1.0
    heard = loud[int(start * CURVE_RATE_HZ) : max(int(end * CURVE_RATE_HZ), int(start * CURVE_RATE_HZ) + 1)]
    return float(0.80 + 0.48 * heard.mean()) if len(heard) else 1.0


def lip_closure(phones: Sequence[Phone], time: ndarray, style: Style) -> Float[ndarray, "step kind=2"]:
    """How far the lips are shut: by any cause, and by a bilabial alone (which also presses)."""
    shut, press = np.zeros(len(time)), np.zeros(len(time))
    for phone in phones:
        if phone.label in SHUT:
            hold = 0.8 * (phone.end_s - phone.start_s) if phone.label in "PB" else phone.end_s - phone.start_s
            # at least 85 ms of plateau, so that two frames of 40 ms always fall inside
            hold = max(hold, 0.085) if phone.label in BILABIALS else max(0.6 * hold, 0.045)
            start = phone.start_s - 0.012 if phone.label in BILABIALS else phone.start_s + 0.01
            bump = _pulse(time, start - 0.07, 0.07, hold, 0.075)
            shut = np.maximum(shut, SHUT[phone.label] * bump)
            press = np.maximum(press, bump) if phone.label in BILABIALS else press
        elif phone.label == "SIL" and phone.end_s - phone.start_s > 0.22:
            edge = phone.end_s - style.anticipation_s - 0.05
            hold = max(0.0, edge - phone.start_s - 0.20)
            depth = 1.0 if hold > 0.25 else 0.75
            shut = np.maximum(shut, depth * _pulse(time, phone.start_s + 0.02, 0.18, hold, 0.16))
    shut = np.maximum(shut, _open_ends(phones, time, style))
    return np.stack([shut, press], axis=1)


def _open_ends(phones: Sequence[Phone], time: ndarray, style: Style) -> ndarray:
    """Closed before the first sound and after the last, where no silence was marked."""
    spoken = [phone for phone in phones if phone.label != "SIL"]
    if not spoken:
        return np.ones(len(time))
    before = np.clip((spoken[0].start_s - style.anticipation_s - time) / 0.12, 0, 1)
    after = np.clip((time - spoken[-1].end_s - 0.03) / 0.2, 0, 1)
    ease = np.maximum(before, after)
    return ease * ease * (3 - 2 * ease)


def _speak(face: _Face, mouth: ndarray, closure: ndarray, style: Style, rng: np.random.Generator) -> None:
    """Adds the articulation, then shuts whatever gap is left wherever the lips must touch."""
    jaw, funnel, pucker, stretch, lower, upper, tuck = mouth.T
    for name, curve in (("jawOpen", jaw), ("mouthFunnel", funnel), ("mouthPucker", pucker), ("mouthStretch", stretch),
                        ("mouthLowerDown", lower), ("mouthUpperUp", upper), ("mouthRollLower", tuck)):  # fmt: skip
        face.add(name, curve)
    for side, sign in (("_L", 1), ("_R", -1)):
        face.weights[:, face.columns("mouthLowerDown" + side)[0]] *= 1 + sign * style.asymmetry
        face.weights[:, face.columns("mouthUpperUp" + side)[0]] *= 1 + sign * style.asymmetry
    face.add("jawForward", 0.12 * smooth(funnel + pucker, 0.03) * rng.uniform(0.2, 1.0))
    shut, press = closure.T
    face.add("mouthPress", 0.22 * press)
    face.add("mouthRollUpper", 0.05 * press)
    gap = np.maximum(face.total(LIP_GAP_CM), 0)
    aim_cm = np.where(press > 0.02, -0.05 * press, style.parting * (1 - shut))
    face.add("mouthClose", np.maximum(shut * (gap - aim_cm), 0) / -LIP_GAP_CM["mouthClose"])


def lip_gap_cm(expression: Float[ndarray, "frame weights=57"]) -> Float[ndarray, " frame"]:
    """Opening of the inner lips above the neutral face's, in cm: 0 is closed, the linear model of this file."""
    face = _Face(0)
    face.weights = np.asarray(expression, float)
    return face.total(LIP_GAP_CM)


def lid_gap_cm(expression: Float[ndarray, "frame weights=57"]) -> Float[ndarray, " frame"]:
    """Opening of the lids in cm, mean of both eyes."""
    face = _Face(0)
    face.weights = np.asarray(expression, float)
    return OPEN_LID_CM + face.total(LID_GAP_CM)


# --------------------------------------------------------------------------- emotion, brows


def _emote(face: _Face, mood: Mood, rng: np.random.Generator) -> None:
    """Adds the emotion's shapes, breathing a little in strength; a neutral face still has a faint temper."""
    steps = len(face.weights)
    swell = np.clip(1.0 + 0.12 * coloured(steps, 0.15, 0.8, 1.0, rng), 0.6, 1.25)
    for name, amount in EMOTION_SHAPES[mood.emotion].items():
        face.add(name, mood.intensity * amount * swell)
    temper = 0.03 * coloured(steps, 0.1, 0.6, 1.0, rng)
    face.add("mouthSmile", np.maximum(0, 0.03 + temper))
    face.add("browDown", np.maximum(0, 0.03 * coloured(steps, 0.15, 1.0, 1.0, rng)))


def _raise_brows(
    face: _Face, accents: list[tuple[float, float]], time: ndarray, style: Style, rng: np.random.Generator
) -> None:
    """Sparse raises on accents (one in eight) and a few of their own."""
    for moment, strength in accents:
        if rng.random() < 0.13:
            rise, hold, fall = rng.uniform(0.12, 0.25), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.6)
            amount = np.clip(style.brows * strength * rng.lognormal(-1.2, 0.4), 0.05, 0.75)
            bump = amount * _pulse(time, moment - rise - 0.04, rise, hold, fall)
            inner = rng.uniform(0.6, 1.0)
            face.add("browInnerUp", inner * bump)
            face.add("browOuterUp", (1.5 - inner) * bump)
            face.add("eyeWide", 0.2 * bump)


# --------------------------------------------------------------------------- head


def head_curves(
    time: ndarray, loud: ndarray, voiced: ndarray, accents: list[tuple[float, float]], mood: Mood, style: Style,
    rng: np.random.Generator,
) -> Float[ndarray, "step 6"]:  # fmt: skip
    """Rotation vector (rad) and translation (cm): posture shifts, sway in bursts, nods on accents, breath.

    Speed is heavy-tailed (p90 about 3 times p50), two thirds of the power lie under 0.5 Hz; it starts at zero.
    """
    steps = len(time)
    liveliness = style.head * (1 + mood.intensity * (EMOTION_LIVELINESS.get(mood.emotion, 1.0) - 1))
    drive = style.stillness + (1 - style.stillness) * voiced * (0.7 + 0.5 * smooth(loud, 0.25))
    degrees = np.zeros((steps, 3))
    for axis, size in enumerate((2.5, 3.1, 2.3)):
        posture = _posture(time, size, rng)
        burst = np.exp(0.80 * coloured(steps, 0.25, 1.2, 1.0, rng) - 0.32)
        sway = size * 0.85 * coloured(steps, 0.8, 2.6, 1.4, rng)
        tremble = size * 0.085 * coloured(steps, 2.2, 5.0, 1.0, rng)
        degrees[:, axis] = liveliness * (posture + drive * burst * (sway + tremble))
    degrees += liveliness * _nods(time, accents, rng)
    degrees[:, 2] += -0.25 * degrees[:, 1]  # turning the head tilts it a little the other way
    degrees = 14 * np.tanh(degrees / 14)
    degrees += mood.intensity * np.array(EMOTION_HEAD_DEG.get(mood.emotion, (0, 0, 0)))
    radians = np.deg2rad(degrees)
    radians[:, 0] += 0.30 * mood.gaze[1]
    radians[:, 1] += 0.40 * mood.gaze[0]
    start = np.exp(-time / 1.2)[:, None]
    radians -= radians[:1] * start  # begins in the portrait's own pose, then forgets that it did
    return np.concatenate([radians, _sway_cm(time, liveliness, mood, rng)], axis=1)


def _posture(time: ndarray, size_deg: float, rng: np.random.Generator) -> ndarray:
    """Held orientations around rest with quick smooth shifts between them."""
    angle, moment, level = np.zeros(len(time)), 0.0, 0.0
    while moment < time[-1]:
        target = rng.normal(0, size_deg)
        length = rng.uniform(0.35, 0.9)
        u = np.clip((time - moment) / length, 0, 1)
        angle += (target - level) * u**3 * (10 - 15 * u + 6 * u * u)  # minimum jerk
        level, moment = target, moment + length + rng.lognormal(0.25, 0.6)
    return angle


def _nods(time: ndarray, accents: list[tuple[float, float]], rng: np.random.Generator) -> ndarray:
    """Down and up again around accents, mostly pitch, heavy-tailed in size; some are nods upward."""
    degrees = np.zeros((len(time), 3))
    for moment, strength in accents:
        if rng.random() < 0.45:
            size = strength * min(rng.lognormal(0.75, 0.55), 8.0)
            length = rng.uniform(0.16, 0.32)
            bump = _pulse(time, moment - length - 0.05, length, 0.02, 1.5 * length)
            direction = np.array([1.0 if rng.random() < 0.75 else -0.7, rng.normal(0, 0.45), rng.normal(0, 0.25)])
            degrees += size * bump[:, None] * direction
    return degrees


def _sway_cm(time: ndarray, liveliness: float, mood: Mood, rng: np.random.Generator) -> ndarray:
    """Breath and weight shifts: a few millimetres; the distance hardly changes, or the face would swell and shrink."""
    steps = len(time)
    breath = np.sin(2 * np.pi * (rng.uniform(0.2, 0.3) * time + rng.random()))
    x = 0.16 * liveliness * coloured(steps, 0.2, 1.0, 1.5, rng)
    y = 0.09 * liveliness * coloured(steps, 0.2, 1.0, 1.5, rng) + 0.05 * breath
    z = 0.12 * coloured(steps, 0.12, 0.6, 1.5, rng)
    sway = np.stack([x, y, z], axis=1)
    sway -= sway[:1] * np.exp(-time / 1.2)[:, None]
    sway[:, 2] -= (mood.head_distance - 1) * CAMERA_DISTANCE_CM
    return sway


# --------------------------------------------------------------------------- eyes


def gaze_curves(
    head: Float[ndarray, "step 2"], mood: Mood, style: Style, rng: np.random.Generator
) -> Float[ndarray, "step 2"]:
    """Eye-in-head gaze (yaw, pitch; rad): fixations in the world, mostly the main direction, minus the head's turn."""
    steps = len(head)
    target, step = np.zeros((steps, 2)), 0
    away = False
    while step < steps:
        length = int(np.clip(rng.lognormal(-0.25 if not away else -0.75, 0.65), 0.16, 4.0) * FRAME_RATE_HZ) * STEP
        offset = rng.normal(0, (0.9, 0.6))
        if away:
            reach = style.aversion * min(rng.lognormal(1.65, 0.45), 16.0)
            angle = rng.uniform(0, 2 * np.pi)
            offset = reach * np.array([np.cos(angle), 0.6 * np.sin(angle)])
        target[step : step + length] = np.deg2rad(offset)
        step += max(length, STEP)
        away = (not away and rng.random() < 0.52) or (away and rng.random() < 0.25)
    world = np.array(mood.gaze) + target
    eye = world - 0.9 * head[:, ::-1]  # the vestibulo-ocular reflex holds the world still
    return np.stack([0.55 * np.tanh(eye[:, 0] / 0.55), 0.40 * np.tanh(eye[:, 1] / 0.40)], axis=1)


def _look(face: _Face, gaze: Float[ndarray, "step 2"]) -> None:
    """The lids and the skin around the eyes follow the gaze."""
    yaw, pitch = gaze.T
    face.add("eyeLookDown", np.clip(pitch / 0.55, 0, 1))
    face.add("eyeLookUp", np.clip(-pitch / 0.55, 0, 1))
    face.add("eyeLookOut_L", np.clip(yaw / 0.6, 0, 1))
    face.add("eyeLookIn_R", np.clip(yaw / 0.6, 0, 1))
    face.add("eyeLookOut_R", np.clip(-yaw / 0.6, 0, 1))
    face.add("eyeLookIn_L", np.clip(-yaw / 0.6, 0, 1))


def _blink_times(gaze: ndarray, voiced: ndarray, style: Style, rng: np.random.Generator) -> list[float]:
    """Log-normal intervals, drawn towards large gaze shifts and the ends of phrases."""
    shift = np.abs(np.diff(gaze, axis=0)).max(axis=1)
    lures = np.flatnonzero(shift > np.deg2rad(6)) / CURVE_RATE_HZ
    ends = np.flatnonzero((voiced[1:] < 0.5) & (voiced[:-1] >= 0.5)) / CURVE_RATE_HZ
    lures = np.concatenate([lures - 0.03, ends + 0.05])
    moments, moment = [], rng.uniform(0.3, 3.0)
    while moment < len(gaze) / CURVE_RATE_HZ - 0.3:
        near = lures[np.abs(lures - moment) < 0.35]
        moments.append(float(near[0]) if len(near) and rng.random() < 0.6 else float(moment))
        moment = max(moment, moments[-1]) + max(0.4, rng.lognormal(style.blink_mu, 0.80))
    return moments


def blink_curve(gaze: ndarray, voiced: ndarray, style: Style, rng: np.random.Generator) -> Float[ndarray, " step"]:
    """How far blinking shuts the lids, 0..1: close in 90 ms, hold, open more slowly; one in four is partial."""
    steps = len(gaze)
    time = (np.arange(steps) + 0.5) / CURVE_RATE_HZ
    lids = np.zeros(steps)
    for moment in _blink_times(gaze, voiced, style, rng):
        depth = rng.uniform(0.30, 0.55) if rng.random() < 0.25 else 1.0
        bump = _pulse(time, moment, rng.uniform(0.07, 0.095), rng.uniform(0.03, 0.05), rng.uniform(0.13, 0.21))
        lids = np.maximum(lids, depth * bump)
    return lids


def _blink(face: _Face, lids: Float[ndarray, " step"]) -> None:
    """Shuts exactly the opening each eye has at that moment, so a full blink closes under any expression."""
    for side in ("_L", "_R"):
        opening = np.full(len(lids), OPEN_LID_CM)
        for name, amount in LID_GAP_CM.items():
            opening += face.weights[:, face.columns(name + side)[0]] * amount
        face.add("eyeBlink" + side, lids * np.maximum(opening, 0) / -LID_GAP_CM["eyeBlink"])
