"""The deforming surface: identity code and facial dynamics in, vertices in canonical head coordinates (cm) out.

The template is our own: MediaPipe's landmark topology subdivided once for the face (vertices 0..467 are the
landmarks), a shell for skull, ears, neck and shoulders, two dental arches, a tongue, and two eyeball centres. The
bases were learned from FaceKit shapes by `train.surface`; FaceKit's shapes are sums of an identity and an expression
part, so the network that reproduces them best at a given code size is linear, and neither code can leak into the
other's vertices.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open

from vasa_core.errors import MissingWeights
from vasa_core.latents import EXPRESSION

LANDMARKS = 468
"""MediaPipe's face mesh without the ten iris points; they are the surface's first vertices."""

# MediaPipe's numbering of the contours that must meet: each lower entry lies under the upper one.
UPPER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LIP_CORNERS = (78, 308)
UPPER_LIDS = ((246, 161, 160, 159, 158, 157, 173), (466, 388, 387, 386, 385, 384, 398))
LOWER_LIDS = ((7, 163, 144, 145, 153, 154, 155), (249, 390, 373, 374, 380, 381, 382))
EYE_CORNERS = ((33, 133), (263, 362))
"""Outer, then inner corner; first the eye on the left of the picture."""
IRIS_CENTRES = (468, 473)


@dataclass(frozen=True, kw_only=True)
class Surface:
    """Template, bases and topology. `parts` are vertex ranges, `triangles` index the whole vertex array."""

    neutral: Float[np.ndarray, "vertex 3"]
    identity_basis: Float[np.ndarray, "identity vertex 3"]
    dynamics_basis: Float[np.ndarray, "expression vertex 3"]
    head_weight: Float[np.ndarray, " vertex"]
    arch_coordinates: Float[np.ndarray, "vertex 2"]
    dynamics_from_expression: Float[np.ndarray, "expression named"]
    expression_names: tuple[str, ...]
    parts: dict[str, slice]
    triangles: dict[str, Int[np.ndarray, "triangle 3"]]

    def vertices(
        self, identity_code: Float[np.ndarray, " identity"], facial_dynamics: Float[np.ndarray, " dynamics"]
    ) -> Float[np.ndarray, "vertex 3"]:
        """The surface in canonical head coordinates; gaze, the last two numbers of the dynamics, moves no vertex."""
        shape = np.tensordot(identity_code, self.identity_basis, 1)
        return self.neutral + shape + self.displacement(facial_dynamics)

    def displacement(self, facial_dynamics: Float[np.ndarray, " dynamics"]) -> Float[np.ndarray, "vertex 3"]:
        """What the facial dynamics add to every vertex (cm)."""
        code = np.asarray(facial_dynamics, np.float32)[:EXPRESSION]
        return (code @ self.dynamics_basis.reshape(EXPRESSION, -1)).reshape(-1, 3)

    def dynamics_from_weights(self, weights: dict[str, float]) -> Float[np.ndarray, " dynamics"]:
        """Facial dynamics of named expression weights; `mouthSmile` sets both `mouthSmile_L` and `mouthSmile_R`."""
        named = np.zeros(len(self.expression_names), np.float32)
        for name, value in weights.items():
            both = [k for k, known in enumerate(self.expression_names) if known in (name, f"{name}_L", f"{name}_R")]
            if not both:
                raise KeyError(name)
            named[both] += value
        return np.concatenate([self.dynamics_from_expression @ named, np.zeros(2)]).astype(np.float32)


def between_landmarks(surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """For each subdivided face vertex the two landmarks whose edge it halves."""
    triangles = surface.triangles["face"]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, 1), axis=0)
    edges = edges[(edges[:, 0] < LANDMARKS) & (edges[:, 1] >= LANDMARKS)]
    order = np.argsort(edges[:, 1], kind="stable")
    pairs = edges[order, 0].reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def load_surface(path: Path) -> Surface:
    """The surface in a weight file, or MissingWeights when the file is absent or made for other code."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            meta = json.loads(file.metadata()["surface"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (a file, not a dict)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError) as cause:
        raise MissingWeights(f"{path} is not a surface of ours: restore it from the repository.") from cause
    floats = {k: v.astype(np.float32) for k, v in arrays.items() if not k.startswith("triangles_")}
    return Surface(
        **floats,
        expression_names=tuple(meta["expression_names"]),
        parts={name: slice(*ends) for name, ends in meta["parts"].items()},
        triangles={k.removeprefix("triangles_"): v for k, v in arrays.items() if k.startswith("triangles_")},
    )
