"""What a face does in a frame: looks taken from performances, and looks drawn at random up to the limits.

Contact is each person's own: how much `mouthClose` makes these lips touch and how far these lids must fall differs from
face to face, so weights drawn for the average face are settled on the person before they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.surface import LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP
from vasa_core.world.facekit import SIDES, FaceKit, Number
from vasa_core.world.people import Look
from vasa_core.world.performer import EMOTION_SHAPES, EXPRESSION_NAMES, PHONES, Mood, perform
from vasa_core.world.truth import Binding

POSE_LIMITS = (42.0, 24.0, 20.0)  # degrees: yaw, pitch, roll
GAZE_LIMITS = (30.0, 20.0)
CLOSED_PER_JAW = 0.84  # `mouthClose` that closes the lips of the average face at `jawOpen` 1
STRONGEST = {"jawOpen": 0.75, "mouthFunnel": 0.8, "mouthPucker": 0.9, "cheekPuff": 0.7, "eyeWide": 0.9,
             "mouthUpperUp": 0.8}  # fmt: skip
NOT_DRAWN = ("eyeLook", "PupilDilate", "eyeBlink", "mouthClose")  # follow gaze, light, lids and jaw
SHARES = (0.35, 0.45, 0.20)  # of performed, random and extreme looks in a group, after its first
PERFORMANCE_S = 3.0


@dataclass(frozen=True)
class Contact:
    """What makes these lips touch at rest, and how far `eyeBlink` must go for these lids to meet, by side."""

    mouth_close: float
    blink: dict[str, float]


def contact(kit: FaceKit, binding: Binding, rest: Float[Array, "vertex 3"]) -> Contact:
    """The contact of a person, from the landmarks of lips and lids (every mode is linear, so this is exact)."""
    marks = binding.on(rest)
    modes = {name: binding.on(_mode(kit, name)) for name in ("mouthClose", "eyeBlink_L", "eyeBlink_R")}
    gap, per_unit = (_gap(values, UPPER_LIP[2:7], LOWER_LIP[2:7]) for values in (marks, modes["mouthClose"]))
    blink = {}
    for side, lids, under in zip(reversed(SIDES), UPPER_LIDS, LOWER_LIDS, strict=True):
        over, below = list(lids[2:5]), list(under[2:5])
        open_cm, closing = (_gap(values, over, below) for values in (marks, modes[f"eyeBlink_{side}"]))
        blink[side] = float(np.clip(-open_cm / closing, 0.5, 1.6))
    return Contact(float(np.clip(-gap / per_unit, -0.05, 0.2)), blink)


def _mode(kit: FaceKit, name: str) -> Array:
    return kit.expression_modes[kit.expression_index[name]].reshape(-1, 3)


def _gap(marks: Array, upper: Sequence[int], lower: Sequence[int]) -> float:
    return float((marks[list(upper), 1] - marks[list(lower), 1]).mean())


def settled(look: Look, touch: Contact) -> Look:
    """The look on a person: lips that touch where the average's would, lids that just meet where the average's do."""
    expression = dict(look.expression)
    both = {"mouthClose": expression.get("mouthClose", 0.0) + touch.mouth_close}
    for side in SIDES:
        both[f"eyeBlink_{side}"] = expression.get(f"eyeBlink_{side}", 0.0) * touch.blink[side]
    return replace(look, expression=expression | both)


# ---- the looks of a group --------------------------------------------------------------------------------------------
def random_looks(count: int, rng: Generator) -> list[Look]:
    """Looks of one person: a calm one first, then performed ones, random ones and extremes."""
    kinds = rng.choice(3, size=count - 1, p=SHARES) if count > 1 else np.zeros(0, int)
    performed = iter(performed_looks(int((kinds == 0).sum()), rng))
    drawn = [
        next(performed) if kind == 0 else drawn_look(rng, 1.0 if kind == 2 else rng.uniform(0.25, 0.8))
        for kind in kinds
    ]
    return [calm_look(rng), *drawn]


def calm_look(rng: Generator) -> Look:
    """As people sit for a portrait: lips closed, sometimes a slight smile, eyes on the camera."""
    smile = float(max(0.0, rng.normal(-0.05, 0.15)))
    yaw, pitch, roll = (float(v) for v in rng.normal(0, (7.0, 3.5, 2.5)))
    gaze = (-yaw + float(rng.normal(0, 2)), -pitch + float(rng.normal(0, 1.5)))
    return Look(expression=two_sided({"mouthSmile": smile}), yaw=yaw, pitch=pitch, roll=roll, gaze=gaze)


def performed_looks(count: int, rng: Generator) -> list[Look]:
    """Moments of one random performance: invented words, in a random mood."""
    if not count:
        return []
    phones, sound = babble(PERFORMANCE_S, rng)
    emotion = str(rng.choice(list(EMOTION_SHAPES))) if rng.random() < 0.6 else "neutral"
    gaze = (float(rng.normal(0, 0.15)), float(rng.normal(0, 0.1)))
    done = perform(phones, sound, Mood(gaze=gaze, emotion=emotion, intensity=float(rng.uniform(0.3, 1))), rng)
    frames = rng.choice(len(done), size=count, replace=count > len(done))
    return [_performed(done.expression[k], done.head_pose[k], done.gaze[k]) for k in frames]


def _performed(weights: Array, head_pose: Array, gaze: Array) -> Look:
    roll, yaw, pitch = Rotation.from_rotvec(head_pose[:3]).as_euler("ZYX", degrees=True)
    expression = {
        name: float(w)
        for name, w in zip(EXPRESSION_NAMES, weights, strict=True)
        if w and not name.startswith("eyeLook")
    }
    return Look(
        expression=expression,
        yaw=float(yaw),
        pitch=float(pitch),
        roll=-float(roll),  # latents turn counter-clockwise, the renderer clockwise
        gaze=(float(np.degrees(gaze[0])), float(np.degrees(gaze[1]))),
    )


@dataclass(frozen=True)
class Spoken:
    """One phone of invented speech."""

    label: str
    start_s: float
    end_s: float


def babble(seconds: float, rng: Generator) -> tuple[list[Spoken], Float[Array, " sample"]]:
    """Phones in random order and a hiss as loud as speech would be: enough for a performer, not for a listener."""
    phones, at = [], float(rng.uniform(0.1, 0.4))
    sound = 1e-3 * rng.standard_normal(int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    names = [name for name in PHONES if name != "SIL"]
    while at < seconds - 0.4:
        end = at + float(np.clip(rng.lognormal(-2.5, 0.4), 0.04, 0.25))
        phones.append(Spoken(str(rng.choice(names)) if rng.random() > 0.06 else "SIL", at, end))
        if phones[-1].label != "SIL":
            sound[int(at * SAMPLE_RATE_HZ) : int(end * SAMPLE_RATE_HZ)] *= 100
        at = end
    return phones, sound


def drawn_look(rng: Generator, strength: Number) -> Look:
    """A random expression, pose and gaze; at strength 1 single modes and turns reach their limits."""
    expression: dict[str, float] = {}
    names = sorted({name.removesuffix("_L").removesuffix("_R") for name in EXPRESSION_NAMES})
    names = [name for name in names if not name.startswith(NOT_DRAWN)]
    for name in rng.choice(names, size=rng.integers(1, 6), replace=False):
        amount = strength * rng.random() * STRONGEST.get(str(name), 1.0)
        expression |= one_sided(str(name), amount, rng)
    if rng.random() < 0.4:
        expression["jawOpen"] = float(strength * rng.beta(1.2, 1.6) * STRONGEST["jawOpen"])
    jaw = expression.get("jawOpen", 0.0)
    if rng.random() < 0.25:  # lips together over an open jaw
        expression["mouthClose"] = CLOSED_PER_JAW * jaw * float(rng.random())
    lids = float(rng.choice([0, rng.random(), 1.0], p=[0.72, 0.2, 0.08]))
    expression |= {f"eyeBlink_{side}": lids for side in SIDES}
    yaw, pitch, roll = (float(strength * limit * v) for limit, v in zip(POSE_LIMITS, in_ball(3, rng), strict=True))
    right, down = (float(strength * limit * v) for limit, v in zip(GAZE_LIMITS, in_ball(2, rng), strict=True))
    return Look(expression=expression, yaw=yaw, pitch=pitch, roll=roll, gaze=(right, down))


def two_sided(named: dict[str, float]) -> dict[str, float]:
    """Names without a side written out for both."""
    return {f"{name}_{side}": value for name, value in named.items() for side in SIDES}


def one_sided(name: str, amount: Number, rng: Generator) -> dict[str, float]:
    """A mode by its own name, or both its halves, sometimes unequal."""
    if name in EXPRESSION_NAMES:
        return {name: float(amount)}
    left, right = (amount * (rng.random() if rng.random() < 0.3 else 1.0) for _ in SIDES)
    return {f"{name}_L": float(left), f"{name}_R": float(right)}


def in_ball(axes: int, rng: Generator) -> Array:
    """A point of the unit ball, evenly."""
    toward = rng.normal(size=axes)
    return toward / np.linalg.norm(toward) * rng.random() ** (1 / axes)
