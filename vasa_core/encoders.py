"""From landmarks to codes: who (identity code), where the head is (head pose), what the face does (facial dynamics).

Landmarks are the bridge from the synthetic world to any picture. `encode_landmarks` inverts the learned surface by
alternating least squares with the codes' own priors, under perspective, with the openings of lips and lids weighted
as such: its surface lies where the landmarks are. `LookEncoder` learned (train/encoders.py) what a single look really
tells of who it is, as MediaPipe errs: its codes wander less with pose and expression, and lie less on the landmarks.
Gaze is where the iris sits in the eyeball. Lengths in cm, angles in rad, pixels of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open

from vasa_core.errors import MissingWeights
from vasa_core.geometry import CAMERA_DISTANCE_CM, Camera, rotation, rotation_vector
from vasa_core.latents import DYNAMICS, EXPRESSION, IDENTITY
from vasa_core.surface import (
    EYE_CORNERS,
    IRIS_CENTRES,
    LANDMARKS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    Surface,
)

ROUNDS = 12
NOISE_CM = 0.15
"""Spread of MediaPipe's landmarks about the truth: 0.14 cm median on rendered people."""

DYNAMICS_SPREAD = 0.22
"""Prior spread of the expression code: portraits are seldom far from neutral."""

OPENING_WEIGHT = 4.0
"""An opening of lips or lids counts this much more than a position: a closed mouth must stay closed."""

EYEBALL_RADIUS_CM = 1.25


@dataclass(frozen=True, kw_only=True)
class FaceCodes:
    """The factors read off one face, with the camera under which they explain its landmarks."""

    camera: Camera
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, " 3"]
    identity_code: Float[np.ndarray, " identity=80"]
    facial_dynamics: Float[np.ndarray, " dynamics=50"]
    residual_px: float

    def posed(self, vertices: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex 3"]:
        """Canonical head coordinates to camera coordinates."""
        return (vertices @ self.rotation.T + self.translation).astype(np.float32)

    @property
    def head_pose(self) -> Float[np.ndarray, " pose=6"]:
        return np.concatenate([rotation_vector(self.rotation), self.translation]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is known of a face before its landmarks are fitted: identity and expression code with the inverse of their
    covariance, and its rotation, which is believed to this share against that of the landmarks."""

    codes: Float[np.ndarray, " code=128"]
    precision: Float[np.ndarray, "code=128 code=128"]
    rotation: Float[np.ndarray, "3 3"]
    turn_share: float


def anybody() -> Expected:
    """What is known of a face that nobody has looked at: it is somebody's, and calm."""
    spread = np.concatenate([np.ones(IDENTITY), np.full(EXPRESSION, DYNAMICS_SPREAD)])
    return Expected(
        codes=np.zeros(IDENTITY + EXPRESSION), precision=np.diag(4 * spread**-2), rotation=np.eye(3), turn_share=0.0
    )


def encode_landmarks(
    landmarks: Float[np.ndarray, "478 2"],
    surface: Surface,
    centre_px: tuple[float, float],
    expected: Expected | None = None,
) -> FaceCodes:
    """The codes whose surface, posed and projected, lands on these landmarks, held near what is `expected`."""
    expected = expected or anybody()
    codes = expected.codes.astype(np.float64)
    basis = np.concatenate([surface.identity_basis, surface.dynamics_basis])[:, :LANDMARKS].astype(np.float64)
    neutral = surface.neutral[:LANDMARKS].astype(np.float64)
    observed = (landmarks[:LANDMARKS] - centre_px) * (1, -1)
    depth = np.zeros(LANDMARKS)
    pairs = openings()
    for _ in range(ROUNDS):
        flat = observed * (1 - depth / CAMERA_DISTANCE_CM)[:, None]  # perspective undone at the current depths (POSIT)
        vertices = neutral + np.tensordot(codes, basis, 1)
        scale, rows, shift = _scaled_pose(vertices, flat, expected)
        design = np.einsum("ij,kvj->kvi", rows, basis)
        target = (flat - shift) / scale - neutral @ rows.T
        codes = _regularised(design, target, pairs, expected)
        turned = np.vstack([rows, np.cross(rows[0], rows[1])])
        depth = (neutral + np.tensordot(codes, basis, 1)) @ turned[2]
    vertices = neutral + np.tensordot(codes, basis, 1)
    scale, rows, shift = _scaled_pose(vertices, flat, expected)
    matrix = np.vstack([rows, np.cross(rows[0], rows[1])]).astype(np.float32)
    camera = Camera(scale_px=float(scale), centre_px=centre_px)
    translation = np.array([shift[0] / scale, shift[1] / scale, 0], np.float32)
    seen = camera.project(vertices.astype(np.float32) @ matrix.T + translation)[:, :2]
    dynamics = np.zeros(DYNAMICS, np.float32)
    dynamics[:EXPRESSION] = codes[IDENTITY:]
    dynamics[EXPRESSION:] = gaze_in_head(landmarks, matrix, float(scale))
    return FaceCodes(
        camera=camera,
        rotation=matrix,
        translation=translation,
        identity_code=codes[:IDENTITY].astype(np.float32),
        facial_dynamics=dynamics,
        residual_px=float(np.abs(seen - landmarks[:LANDMARKS]).mean()),
    )


def openings() -> np.ndarray:
    """Pairs of landmarks (upper, lower) whose distance is an opening."""
    uppers = [*UPPER_LIP, *UPPER_LIDS[0], *UPPER_LIDS[1]]
    lowers = [*LOWER_LIP, *LOWER_LIDS[0], *LOWER_LIDS[1]]
    return np.array([uppers, lowers])


def _scaled_pose(vertices: np.ndarray, seen: np.ndarray, expected: Expected) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, the first two rows of the rotation, and the shift: pose from orthography and scaling (DeMenthon 1995)."""
    affine = np.linalg.lstsq(np.c_[vertices, np.ones(len(vertices))], seen, rcond=None)[0].T
    u, s, vt = np.linalg.svd(affine[:, :3])
    rows, scale = u @ np.eye(2, 3) @ vt, float(s.mean())
    if expected.turn_share:
        rows = _towards(np.vstack([rows, np.cross(rows[0], rows[1])]), expected.rotation, expected.turn_share)[:2]
        flat = vertices @ rows.T
        about, middle = flat - flat.mean(0), seen - seen.mean(0)
        scale = float((about * middle).sum() / (about**2).sum())
    return scale, rows, (seen - scale * vertices @ rows.T).mean(0)


def _towards(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """The rotation this share of the way from one to the other."""
    step = rotation_vector((other @ one.T).astype(np.float32))
    return rotation(np.float32(share) * step).astype(np.float64) @ one


def _regularised(design: np.ndarray, target: np.ndarray, openings: np.ndarray, expected: Expected) -> np.ndarray:
    """Codes that minimise landmark and opening errors in units of noise plus their distance from what is expected."""
    upper, lower = openings
    rows = [
        design.reshape(len(design), -1).T,
        OPENING_WEIGHT * (design[:, upper] - design[:, lower]).reshape(len(design), -1).T,
    ]
    wanted = [target.reshape(-1), OPENING_WEIGHT * (target[upper] - target[lower]).reshape(-1)]
    a, b = np.concatenate(rows) / NOISE_CM, np.concatenate(wanted) / NOISE_CM
    precision = expected.precision
    return np.linalg.solve(a.T @ a + precision, a.T @ b + precision @ expected.codes)


def gaze_in_head(landmarks: np.ndarray, matrix: np.ndarray, scale: float) -> np.ndarray:
    """Eye-in-head yaw and pitch: the irises' offset from the middle of the lid corners over the eyeball's radius."""
    offsets = []
    for iris, (outer, inner) in zip(IRIS_CENTRES, EYE_CORNERS, strict=True):
        offset = (landmarks[iris] - (landmarks[outer] + landmarks[inner]) / 2) / scale
        offsets.append(offset @ matrix[:2, :2] * (1, 1))
    x, y = np.mean(offsets, axis=0) / EYEBALL_RADIUS_CM
    return np.arcsin(np.clip([x, y], -0.9, 0.9))


# ---- learned ------------------------------------------------------------------------------------------------------

FEATURES = 2 * LANDMARKS + 2 * len(IRIS_CENTRES)
OUTPUTS = {"identity": slice(0, IDENTITY), "expression": slice(IDENTITY, IDENTITY + EXPRESSION),
           "turn": slice(-5, -2), "gaze": slice(-2, None)}  # fmt: skip
"""What the network's numbers mean: identity code, expression code, rotation vector and gaze (rad)."""

WEIGHTS = ("mean", "inlet", "skip", "skip_bias", "first", "first_bias", "second", "second_bias", "last", "last_bias")


@dataclass(frozen=True)
class LookEncoder:
    """A small perceptron over the main directions of aligned landmarks, with a linear way past it."""

    weights: dict[str, np.ndarray]
    surface: Surface

    def __call__(self, landmarks: Float[np.ndarray, "478 2"], centre_px: tuple[float, float]) -> FaceCodes:
        """The codes that a single look tells, and the camera under which they explain its landmarks best."""
        aligned, tilt = aligned_features(landmarks[None].astype(np.float64), self.surface)
        told = self.numbers(aligned)[0]
        codes = {name: told[place] for name, place in OUTPUTS.items()}
        dynamics = np.concatenate([codes["expression"], codes["gaze"]]).astype(np.float32)
        identity = codes["identity"].astype(np.float32)
        matrix = rotation(np.array([0, 0, -tilt[0]], np.float32)) @ rotation(codes["turn"].astype(np.float32))
        vertices = self.surface.vertices(identity, dynamics)[:LANDMARKS]
        scale, shift = _placed(vertices @ matrix.T, (landmarks[:LANDMARKS] - centre_px) * (1, -1))
        camera = Camera(scale_px=scale, centre_px=centre_px)
        translation = np.array([*(shift / scale), 0], np.float32)
        seen = camera.project((vertices @ matrix.T + translation).astype(np.float32))[:, :2]
        return FaceCodes(
            camera=camera,
            rotation=matrix.astype(np.float32),
            translation=translation,
            identity_code=identity,
            facial_dynamics=dynamics,
            residual_px=float(np.abs(seen - landmarks[:LANDMARKS]).mean()),
        )

    def numbers(self, aligned: Float[np.ndarray, "look feature"]) -> Float[np.ndarray, "look output"]:
        """The network: what `OUTPUTS` names."""
        w = self.weights
        x = (aligned - w["mean"]) @ w["inlet"]
        hidden = _silu(_silu(x @ w["first"] + w["first_bias"]) @ w["second"] + w["second_bias"])
        return x @ w["skip"] + w["skip_bias"] + hidden @ w["last"] + w["last_bias"]


def load_look_encoder(path: Path, surface: Surface) -> LookEncoder:
    """The encoder in a weight file, or MissingWeights when the file is absent or made for other code."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            weights = {name: file.get_tensor(name).astype(np.float64) for name in WEIGHTS}
    except (FileNotFoundError, SafetensorError) as cause:
        raise MissingWeights(f"{path} is not an encoder of ours: restore it from the repository.") from cause
    return LookEncoder(weights, surface)


def aligned_features(
    landmarks: Float[np.ndarray, "look 478 2"], surface: Surface
) -> tuple[Float[np.ndarray, "look feature"], Float[np.ndarray, " look"]]:
    """Landmarks brought nearest to the average face by shift, turn and scale, as differences from it (cm), and the
    irises from the middle of their lid corners; then the angle (rad, anticlockwise) by which they were turned."""
    average = surface.neutral[:LANDMARKS, :2] - surface.neutral[:LANDMARKS, :2].mean(0)
    seen = landmarks[..., 0] - 1j * landmarks[..., 1]
    seen = seen - seen[:, :LANDMARKS].mean(1, keepdims=True)
    face = seen[:, :LANDMARKS]
    turn = (face.conj() @ (average[:, 0] + 1j * average[:, 1])) / (np.abs(face) ** 2).sum(1)
    seen = seen * turn[:, None]
    off = seen[:, :LANDMARKS] - (average[:, 0] + 1j * average[:, 1])
    irises = [
        seen[:, iris] - (seen[:, outer] + seen[:, inner]) / 2
        for iris, (outer, inner) in zip(IRIS_CENTRES, EYE_CORNERS, strict=True)
    ]
    flat = np.concatenate([off, np.stack(irises, 1)], 1)
    return np.stack([flat.real, flat.imag], -1).reshape(len(flat), FEATURES), np.angle(turn)


def _placed(posed: np.ndarray, seen: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale and shift that put posed vertices (cm) nearest to where they are seen (px), under perspective."""
    flat = seen * (1 - posed[:, 2:] / CAMERA_DISTANCE_CM)
    middle, centre = posed[:, :2].mean(0), flat.mean(0)
    scale = float(((posed[:, :2] - middle) * (flat - centre)).sum() / ((posed[:, :2] - middle) ** 2).sum())
    return scale, centre - scale * middle


def _silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))
