"""Synthetic performances: what a face and head do while saying known phones, many ways for the same sentence.

The mouth comes from `articulation` (dominance functions of Cohen and Massaro 1993, jaw and lips apart as in JALI), the
eyes from `glances`; here they meet a body: head, brows, lids, breath, mood. Curves are made at 100 Hz and read at the
middle of each video frame. Weights are FaceKit's 57 (ARKit-like) shapes. Angles rad and signs as in `latents`; lengths
cm. `python -m vasa_core.world report` shows the statistics beside those of real people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, exact_div
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import Motion
from vasa_core.world.articulation import BILABIALS, PHONES, lip_closure, mouth_curves, tongue_curves
from vasa_core.world.curves import (
    CURVE_RATE_HZ,
    STEP,
    VOWELS,
    Phone,
    Style,
    accents_of,
    coloured,
    loudness,
    minimum_jerk,
    phrases_of,
    pulse,
    smooth,
    speech_activity,
)
from vasa_core.world.glances import blink_curve, fixations, gaze_curves, head_share

__all__ = ["BILABIALS", "EXPRESSION_NAMES", "PHONES", "VOWELS", "Mood", "Performance", "Phone", "Song", "perform"]

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


EMOTION_SHAPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.60, "cheekSquint": 0.45, "eyeSquint": 0.24, "browOuterUp": 0.12, "mouthDimple": 0.18},
    "sad": {"browInnerUp": 0.80, "mouthFrown": 0.60, "browDown": 0.15, "eyeLookDown": 0.14, "mouthShrugLower": 0.12},
    "angry": {"browDown": 0.95, "eyeSquint": 0.42, "noseSneer": 0.32, "mouthFrown": 0.22, "mouthPress": 0.18},
    "surprised": {"browInnerUp": 0.75, "browOuterUp": 0.80, "eyeWide": 0.70, "jawOpen": 0.05},
    "afraid": {"browInnerUp": 0.85, "browOuterUp": 0.22, "eyeWide": 0.60, "mouthStretch": 0.30, "browDown": 0.22},
    "disgusted": {"noseSneer": 0.72, "mouthUpperUp": 0.24, "browDown": 0.44, "cheekSquint": 0.32, "mouthFrown": 0.24},
    "contempt": {"mouthSmile_L": 0.42, "mouthDimple_L": 0.50, "cheekSquint_L": 0.28, "eyeSquint": 0.24,
                 "browOuterUp_R": 0.34, "browDown_L": 0.22},
}  # fmt: skip
EMOTION_HEAD_DEG = {"sad": (3.5, 0.0, 1.0), "happy": (-1.0, 0.0, 0.5), "angry": (1.5, 0.0, 0.0),
                    "contempt": (-3.0, 2.0, 1.5), "surprised": (-1.5, 0.0, 0.0), "afraid": (-1.0, 0.0, 0.0),
                    "disgusted": (-1.5, 2.0, 0.0)}  # fmt: skip
EMOTION_LIVELINESS = {"sad": 0.65, "happy": 1.15, "angry": 1.20, "surprised": 1.15, "afraid": 1.1}
EMOTION_EFFORT = {"sad": 0.86, "angry": 1.12, "happy": 1.06, "surprised": 1.10, "disgusted": 0.95, "contempt": 0.93}
"""How far the jaw opens in each mood, at full intensity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mood:
    """What the performer is asked for; the transformer later learns these as its conditions g, d and e."""

    gaze: tuple[float, float] = (0.0, 0.0)
    head_distance: float = 1.0
    emotion: str = "neutral"
    intensity: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Song:
    """What a singer moves to: the beat, and when its first stroke falls."""

    beat_s: float
    first_beat_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """One way of saying it, frame by frame at the video's rate. The tongue: tip up, tip out, back up, each 0 to 1."""

    expression: Float[ndarray, "frame weights=57"]
    gaze: Float[ndarray, "frame 2"]
    head_pose: Float[ndarray, "frame 6"]
    mood: Mood
    tongue: Float[ndarray, "frame 3"] | None = None

    def __len__(self) -> int:
        return len(self.expression)

    def motion(self, dynamics_from_expression: Float[ndarray, "expression=48 weights=57"]) -> Motion:
        """The same performance as the engine's motion, the weights turned into its expression code."""
        code = self.expression @ dynamics_from_expression.T
        dynamics = np.concatenate([code, self.gaze], axis=1).astype(np.float32)
        return Motion(head_pose=torch.from_numpy(self.head_pose), facial_dynamics=torch.from_numpy(dynamics))


def perform(
    phones: Sequence[Phone],
    sound: Float[ndarray, " sample"],
    mood: Mood,
    rng: np.random.Generator,
    song: Song | None = None,
) -> Performance:
    """One plausible performance of these phones and this sound; the same rng state gives the same one."""
    steps = steps_for(sound)
    time = (np.arange(steps) + 0.5) / CURVE_RATE_HZ
    style = Style.drawn(rng)
    loud = loudness(sound, steps)
    voiced = speech_activity(phones, time, style)
    accents = accents_of(phones, loud)
    head = head_curves(phones, time, loud, voiced, accents, mood, style, rng)
    if song is not None:
        head[:, :3] = 0.75 * head[:, :3] + beat_sway(time, song, rng)
    target = fixations(steps, style, rng)
    head[:, :2] += head_share(target, time)
    gaze = gaze_curves(head[:, :2], np.array(mood.gaze) + target)
    face = Face(steps)
    emote(face, mood, style, rng)
    mouth, closure = mouth_curves(phones, loud, time, style, rng), lip_closure(phones, time, style, rng)
    _speak(face, mouth, closure, mood, style, rng)
    raise_brows(face, accents, phrases_of(phones), time, style, rng)
    return filmed(face, head, gaze, blink_curve(gaze, voiced, style, rng), mood, tongue_curves(phones, time, style))


def steps_for(sound: Float[ndarray, " sample"]) -> int:
    """Steps of the curves that cover this sound in whole video frames."""
    return -(-len(sound) // exact_div(SAMPLE_RATE_HZ, FRAME_RATE_HZ)) * STEP


def filmed(face: Face, head: ndarray, gaze: ndarray, lids: ndarray, mood: Mood, tongue: ndarray) -> Performance:
    """Lids that follow the eyes and blink over what the face does, and everything read once a video frame."""
    _look(face, gaze)
    _blink(face, lids)
    middle = slice(STEP // 2, None, STEP)
    return Performance(
        expression=face.weights[middle].astype(np.float32),
        gaze=gaze[middle].astype(np.float32),
        head_pose=head[middle].astype(np.float32),
        mood=mood,
        tongue=tongue[middle].astype(np.float32),
    )


class Face:
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


# --------------------------------------------------------------------------- mouth


def _speak(face: Face, mouth: ndarray, closure: ndarray, mood: Mood, style: Style, rng: np.random.Generator) -> None:
    """Adds the articulation, then shuts whatever gap is left wherever the lips must touch."""
    jaw, funnel, pucker, stretch, lower, upper, tuck = mouth.T
    jaw = jaw * (1 + mood.intensity * (EMOTION_EFFORT.get(mood.emotion, 1.0) - 1))
    for name, curve in (("jawOpen", jaw), ("mouthFunnel", funnel), ("mouthPucker", pucker), ("mouthStretch", stretch),
                        ("mouthLowerDown", lower), ("mouthUpperUp", upper), ("mouthRollLower", tuck)):  # fmt: skip
        face.add(name, curve)
    for side, sign in (("_L", 1), ("_R", -1)):
        face.weights[:, face.columns("mouthLowerDown" + side)[0]] *= 1 + sign * style.asymmetry
        face.weights[:, face.columns("mouthUpperUp" + side)[0]] *= 1 + sign * style.asymmetry
    # a smile gives way to rounded lips and to a wide jaw
    yielding = np.clip(1 - 0.9 * smooth(funnel + pucker, 0.05) - 0.9 * smooth(jaw, 0.05), 0.3, 1)
    for name in ("mouthSmile", "mouthDimple"):
        face.weights[:, face.columns(name)] *= yielding[:, None]
    face.add("jawForward", 0.12 * smooth(funnel + pucker, 0.03) * rng.uniform(0.2, 1.0))
    shut, press = closure.T
    face.add("mouthPress", 0.22 * press)
    face.add("mouthRollUpper", 0.05 * press)
    shut_lips(face, shut, press, style.parting)


def shut_lips(face: Face, shut: ndarray | float, press: ndarray | float, parting: float) -> None:
    """Takes this share of the present gap between the lips away; where they press, they meet with a little force."""
    gap = np.maximum(face.total(LIP_GAP_CM), 0)
    aim_cm = np.where(np.asarray(press) > 0.02, -0.05 * np.asarray(press), parting * (1 - np.asarray(shut)))
    face.add("mouthClose", np.maximum(shut * (gap - aim_cm), 0) / -LIP_GAP_CM["mouthClose"])


def lip_gap_cm(expression: Float[ndarray, "frame weights=57"]) -> Float[ndarray, " frame"]:
    """Opening of the inner lips above the neutral face's, in cm: 0 is closed, the linear model of this file."""
    face = Face(0)
    face.weights = np.asarray(expression, float)
    return face.total(LIP_GAP_CM)


def lid_gap_cm(expression: Float[ndarray, "frame weights=57"]) -> Float[ndarray, " frame"]:
    """Opening of the lids in cm, mean of both eyes."""
    face = Face(0)
    face.weights = np.asarray(expression, float)
    return OPEN_LID_CM + face.total(LID_GAP_CM)


# --------------------------------------------------------------------------- emotion, brows


def emote(face: Face, mood: Mood, style: Style, rng: np.random.Generator) -> None:
    """Adds the emotion's shapes, breathing a little in strength; a plain face still has a changing temper."""
    steps = len(face.weights)
    swell = np.clip(1.0 + 0.12 * coloured(steps, 0.15, 0.8, 1.0, rng), 0.6, 1.25)
    for name, amount in EMOTION_SHAPES[mood.emotion].items():
        face.add(name, mood.intensity * amount * swell)
    temper = style.smile * (1 + coloured(steps, 0.12, 0.7, 1.0, rng))
    face.add("mouthSmile", np.maximum(0, temper) * (1 - 0.7 * mood.intensity))
    face.add("browDown", np.maximum(0, 0.05 * style.brows * coloured(steps, 0.15, 1.0, 1.0, rng)))


def raise_brows(
    face: Face,
    accents: Sequence[tuple[float, float]],
    phrases: Sequence[tuple[float, float, float]],
    time: ndarray,
    style: Style,
    rng: np.random.Generator,
) -> None:
    """Raises on one accent in five and on half of the phrases' beginnings, over a slow rise and fall."""
    wander = np.maximum(0, 0.07 * style.brows * coloured(len(time), 0.15, 0.9, 1.0, rng))
    face.add("browInnerUp", wander)
    face.add("browOuterUp", wander)
    moments = [(moment, strength) for moment, strength in accents if rng.random() < 0.20]
    moments += [(start + 0.1, 0.8) for start, _, _ in phrases if rng.random() < 0.5]
    raised = np.zeros(len(time))
    for moment, strength in moments:
        rise, hold, fall = rng.uniform(0.12, 0.25), rng.uniform(0.05, 0.6), rng.uniform(0.25, 0.6)
        amount = np.clip(style.brows * strength * rng.lognormal(-0.95, 0.4), 0.05, 0.8)
        raised = np.maximum(raised, amount * pulse(time, moment - rise - 0.04, rise, hold, fall))
    inner = rng.uniform(0.7, 1.1)
    face.add("browInnerUp", inner * raised)
    face.add("browOuterUp", (1.7 - inner) * raised)
    face.add("eyeWide", 0.2 * raised)


# --------------------------------------------------------------------------- head


def head_curves(
    phones: Sequence[Phone], time: ndarray, loud: ndarray, voiced: ndarray, accents: Sequence[tuple[float, float]],
    mood: Mood, style: Style, rng: np.random.Generator,
) -> Float[ndarray, "step 6"]:  # fmt: skip
    """Rotation vector (rad) and translation (cm): posture shifts, sway in bursts, nods on accents, breath.

    Speed is heavy-tailed (p90 about 3 times p50), two thirds of the power lie under 0.5 Hz; it starts at zero, and
    each phrase is begun by the head a fifth of a second before the voice.
    """
    steps = len(time)
    liveliness = style.head * (1 + mood.intensity * (EMOTION_LIVELINESS.get(mood.emotion, 1.0) - 1))
    drive = style.stillness + (1 - style.stillness) * voiced * (0.7 + 0.5 * smooth(loud, 0.25))
    burst = np.exp(0.70 * coloured(steps, 0.25, 1.2, 1.0, rng) - 0.25)  # the whole head is lively or calm at a time
    degrees = np.zeros((steps, 3))
    for axis, size in enumerate((3.0, 3.2, 2.1)):
        own = np.exp(0.45 * coloured(steps, 0.25, 1.2, 1.0, rng) - 0.10)
        sway = size * 0.80 * coloured(steps, 0.8, 2.6, 1.4, rng)
        tremble = size * 0.10 * coloured(steps, 2.2, 5.5, 1.0, rng)
        degrees[:, axis] = liveliness * (_posture(time, voiced, size, rng) + drive * burst * own * (sway + tremble))
    degrees += liveliness * (_nods(time, accents, rng) + _beginnings(time, phrases_of(phones), rng))
    degrees[:, 2] += -0.25 * degrees[:, 1]  # turning the head tilts it a little the other way
    degrees = 15 * np.tanh(degrees / 15)
    degrees += mood.intensity * np.array(EMOTION_HEAD_DEG.get(mood.emotion, (0, 0, 0)))
    radians = np.deg2rad(degrees)
    radians[:, 0] += 0.30 * mood.gaze[1]
    radians[:, 1] += 0.40 * mood.gaze[0]
    start = np.exp(-time / 1.2)[:, None]
    radians -= radians[:1] * start  # begins in the portrait's own pose, then forgets that it did
    return np.concatenate([radians, _sway_cm(time, liveliness, mood, rng)], axis=1)


def _posture(time: ndarray, voiced: ndarray, size_deg: float, rng: np.random.Generator) -> ndarray:
    """Held orientations around rest with quick smooth shifts between them, rarer in pauses."""
    angle, moment, level = np.zeros(len(time)), 0.0, 0.0
    while moment < time[-1]:
        speaking = voiced[min(int(moment * CURVE_RATE_HZ), len(voiced) - 1)] > 0.5
        if not speaking and rng.random() < 0.6:
            moment += rng.uniform(0.3, 0.9)
            continue
        target, length = rng.normal(0, size_deg), rng.uniform(0.30, 0.85)
        angle += (target - level) * minimum_jerk(time, moment, length)
        level, moment = target, moment + length + rng.lognormal(0.25, 0.6)
    return angle


def _beginnings(time: ndarray, phrases: Sequence[tuple[float, float, float]], rng: np.random.Generator) -> ndarray:
    """A quick small move just before most phrases, that wears off while they last."""
    degrees = np.zeros((len(time), 3))
    for start, _, pause in phrases:
        if pause > 0.3 and rng.random() < 0.8:
            length = rng.uniform(0.22, 0.38)
            size = min(rng.lognormal(0.85, 0.45), 6.0) * np.array([rng.choice([-1.0, 0.7]), rng.normal(0, 0.8), 0.4])
            begin = start - 0.10 - 0.5 * length + rng.normal(0, 0.03)
            move = minimum_jerk(time, begin, length) - minimum_jerk(time, begin + length, rng.uniform(0.6, 1.6))
            degrees += move[:, None] * size
    return degrees


def _nods(time: ndarray, accents: Sequence[tuple[float, float]], rng: np.random.Generator) -> ndarray:
    """Down and up again around accents, mostly pitch, heavy-tailed in size; some are nods upward."""
    degrees = np.zeros((len(time), 3))
    for moment, strength in accents:
        if rng.random() < 0.48:
            size = strength * min(rng.lognormal(0.95, 0.60), 9.0)
            length = rng.uniform(0.15, 0.30)
            bump = pulse(time, moment - length - 0.05, length, 0.02, 1.5 * length)
            direction = np.array([1.0 if rng.random() < 0.75 else -0.7, rng.normal(0, 0.50), rng.normal(0, 0.25)])
            degrees += size * bump[:, None] * direction
    return degrees


def beat_sway(time: ndarray, song: Song, rng: np.random.Generator) -> Float[ndarray, "step 3"]:
    """A singer's sway (rad): from side to side over two beats or four, not always equally far."""
    beats = 2 * int(rng.integers(1, 3))
    phase = 2 * np.pi * (time - song.first_beat_s) / (beats * song.beat_s)
    depth = np.clip(1 + 0.35 * coloured(len(time), 0.1, 0.4, 1.0, rng), 0.2, 1.8) * np.clip(time / 1.5, 0, 1)
    roll, yaw, nod = rng.uniform(1.2, 2.8), rng.uniform(0.5, 2.0), rng.uniform(0.3, 1.0)
    sway = np.stack([nod * np.sin(2 * phase - 0.5), yaw * np.sin(phase), -roll * np.sin(phase - 0.3)], axis=1)
    return np.deg2rad(depth[:, None] * sway)


def _sway_cm(time: ndarray, liveliness: float, mood: Mood, rng: np.random.Generator) -> ndarray:
    """Breath and weight shifts of a few millimetres, and leaning in or out by a centimetre over many seconds."""
    steps = len(time)
    breath = np.sin(2 * np.pi * (rng.uniform(0.2, 0.3) * time + rng.random()))
    x = 0.16 * liveliness * coloured(steps, 0.2, 1.0, 1.5, rng)
    y = 0.09 * liveliness * coloured(steps, 0.2, 1.0, 1.5, rng) + 0.05 * breath
    z = 0.75 * coloured(steps, 0.10, 0.5, 1.5, rng)
    sway = np.stack([x, y, z], axis=1)
    sway -= sway[:1] * np.exp(-time / 1.2)[:, None]
    sway[:, 2] -= (mood.head_distance - 1) * CAMERA_DISTANCE_CM
    return sway


# --------------------------------------------------------------------------- lids


def _look(face: Face, gaze: Float[ndarray, "step 2"]) -> None:
    """The lids and the skin around the eyes follow the gaze."""
    yaw, pitch = gaze.T
    face.add("eyeLookDown", np.clip(pitch / 0.55, 0, 1))
    face.add("eyeLookUp", np.clip(-pitch / 0.55, 0, 1))
    face.add("eyeLookOut_L", np.clip(yaw / 0.6, 0, 1))
    face.add("eyeLookIn_R", np.clip(yaw / 0.6, 0, 1))
    face.add("eyeLookOut_R", np.clip(-yaw / 0.6, 0, 1))
    face.add("eyeLookIn_L", np.clip(-yaw / 0.6, 0, 1))


def _blink(face: Face, lids: Float[ndarray, " step"]) -> None:
    """Shuts exactly the opening each eye has at that moment, so a full blink closes under any expression."""
    for side in ("_L", "_R"):
        opening = np.full(len(lids), OPEN_LID_CM)
        for name, amount in LID_GAP_CM.items():
            opening += face.weights[:, face.columns(name + side)[0]] * amount
        face.add("eyeBlink" + side, lids * np.maximum(opening, 0) / -LID_GAP_CM["eyeBlink"])
