"""How deep the lines of a face are now: those that age has left, and those that an expression folds for a moment.

Lines are baked once a person, as heights on the unfolded skin; which of them show, and how deep, follows the muscles
that fold them, by side, as games do it (wrinkle maps). Names are those of FaceKit's expression modes.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray as Array

from vasa_core.world.facekit import Number
from vasa_core.world.people import Skin

SIDES = ("L", "R")
# What folds each kind of line, and how much of it at full strength.
FOLDS: dict[str, dict[str, Number]] = {
    "forehead": {"browInnerUp": 0.9, "browOuterUp": 0.7, "eyeWide": 0.15},
    "frown": {"browDown": 1.0, "noseSneer": 0.35, "eyeSquint": 0.1},
    "crow": {"eyeSquint": 0.8, "cheekSquint": 0.9, "mouthSmile": 0.35, "eyeBlink": 0.15},
    "smile": {"mouthSmile": 0.8, "noseSneer": 0.5, "mouthUpperUp": 0.35, "cheekRaiser": 0.4, "mouthStretch": 0.3},
    "nose": {"noseSneer": 1.0, "mouthUpperUp": 0.15, "browDown": 0.2},
    "chin": {"mouthShrugLower": 1.0, "mouthPress": 0.3, "mouthFrown": 0.4, "mouthPucker": 0.4},
    "lips": {"mouthPucker": 0.9, "mouthFunnel": 0.4, "mouthPress": 0.3},
}
KINDS = tuple(FOLDS)
# How much a line of each kind stays in a face at rest that age has marked, and how much a fold shows at full strength.
KEPT = {"forehead": 0.75, "frown": 0.6, "crow": 0.75, "smile": 0.75, "nose": 0.1, "chin": 0.15, "lips": 0.35}
FOLDED = {"forehead": 0.95, "frown": 0.9, "crow": 0.8, "smile": 0.7, "nose": 0.8, "chin": 0.7, "lips": 0.5}


def value(named: dict[str, Number], mode: str, side: str) -> float:
    """Weight of a mode on one side; a name without side stands for both."""
    return float(named.get(mode, 0.0)) + float(named.get(f"{mode}_{side}", 0.0))


def folded(named: dict[str, Number], kind: str, side: str) -> float:
    """How strongly the muscles fold a kind of line on one side, 0..1."""
    pull = sum(share * max(value(named, mode, side), 0.0) for mode, share in FOLDS[kind].items())
    return float(1 - np.exp(-1.6 * max(pull - 0.04, 0.0))) / (1 - np.exp(-1.6))


def line_depths(skin: Skin, named: dict[str, Number]) -> dict[str, tuple[float, float]]:
    """Depth of each kind of line, left and right of the person: about 1 for a deep line."""
    return {
        kind: tuple(  # type: ignore[misc]
            KEPT[kind] * float(skin.wrinkles)
            + FOLDED[kind] * float(skin.lines) * (1 + 0.5 * float(skin.wrinkles)) * folded(named, kind, side)
            for side in SIDES
        )
        for kind in KINDS
    }


def uniforms(skin: Skin, named: dict[str, Number]) -> dict[str, Array | float]:
    """The skin program's `uLines`: for each kind the depths left and right, [kinds, 2]; and `uSag`."""
    depths = line_depths(skin, named)
    return dict(uLines=np.array([depths[kind] for kind in KINDS], np.float32), uSag=float(skin.sag))
