"""Motion read off another frame of a portrait's person: which head pose and facial dynamics put the portrait there.

The inverse of `decoder.Decoder`'s geometry by Gauss-Newton over pose and expression together, the person held fixed:
landmarks of the other frame in, motion relative to the portrait out. It drives a portrait by a video of the same face;
by another face's video through that face's own portrait (the paper's cross-identity transfer, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vasa_core.encoders import OPENING_WEIGHT, gaze_in_head, openings
from vasa_core.geometry import CAMERA_DISTANCE_CM, NECK_PIVOT_CM, Camera, rotation, rotation_vector
from vasa_core.latents import EXPRESSION, POSE
from vasa_core.portrait import Portrait
from vasa_core.surface import LANDMARKS, Surface

ROUNDS, ROUNDS_NEAR = 7, 3
NOISE_CM = 0.08
"""Spread of MediaPipe's landmarks about the truth once the person's own residual is known."""

SPREAD = np.array([0.35] * 3 + [3.0, 3.0, 12.0] + [0.45] * EXPRESSION)
"""Prior spread of rotation (rad), translation (cm) and the expression code: speaking and acting faces, not sitters."""


Moved = tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " dynamics=50"]]
"""Head pose and facial dynamics."""


UNSURE = 4 * SPREAD**-2
"""Weight of that prior: landmarks err together, so each counts for less than its own spread says."""


@dataclass(frozen=True, kw_only=True)
class ExpectedChange:
    """What is known of a motion before landmarks are asked, beyond that faces speak and act: rotation vector (rad),
    translation (cm, unknown: 0) and expression code, and the inverse of their covariance."""

    mean: Float[np.ndarray, " number=54"]
    precision: Float[np.ndarray, "number=54 number=54"]


NOTHING_KNOWN = ExpectedChange(mean=np.zeros(POSE + EXPRESSION), precision=np.diag(UNSURE))


@dataclass(frozen=True)
class Follower:
    """One portrait's geometry made ready to be fitted frame after frame."""

    camera: Camera
    rotation: Float[np.ndarray, "3 3"]
    rest: Float[np.ndarray, "landmark=468 3"]
    """The resting face on its landmarks, in camera coordinates of the portrait's own pose."""
    basis: Float[np.ndarray, "expression=48 landmark=468 3"]
    """What each expression coordinate adds, turned the same way."""
    pivot: Float[np.ndarray, " 3"]
    own_gaze: Float[np.ndarray, " 2"]

    def __call__(
        self,
        landmarks: Float[np.ndarray, "478 2"],
        spread_cm: Float[np.ndarray, " landmark=468"] | None = None,
        near: Moved | None = None,
        expected: ExpectedChange = NOTHING_KNOWN,
    ) -> Moved:
        """Head pose and facial dynamics, relative to the portrait, under which it lies on these landmarks (px of its
        crop), each of which errs by its `spread_cm`, held near what is `expected`; a motion known to be `near` saves
        rounds."""
        found, turn = np.zeros(POSE + EXPRESSION), np.eye(3)
        if near is not None:
            found = np.concatenate([near[0], near[1][:EXPRESSION]]).astype(np.float64)
            turn = rotation(near[0][:3]).astype(np.float64)
        spread_cm = np.full(LANDMARKS, NOISE_CM) if spread_cm is None else spread_cm
        for _ in range(ROUNDS if near is None else ROUNDS_NEAR):
            turn, found = self._improved(turn, found, landmarks[:LANDMARKS], spread_cm, expected)
        head_pose = np.concatenate([rotation_vector(turn.astype(np.float32)), found[3:POSE]])
        matrix = turn.astype(np.float32) @ self.rotation
        scale = self.camera.scale_px / (1 - found[5] / CAMERA_DISTANCE_CM)
        gaze = gaze_in_head(landmarks, matrix, float(scale)) - self.own_gaze
        return head_pose.astype(np.float32), np.concatenate([found[POSE:], gaze]).astype(np.float32)

    def _improved(
        self, turn: np.ndarray, found: np.ndarray, seen: np.ndarray, spread_cm: np.ndarray, expected: ExpectedChange
    ) -> tuple[np.ndarray, np.ndarray]:
        """One Gauss-Newton step; `found` holds the translation and the code, its first three are unused."""
        camera = self.camera
        arm = (self.rest + np.tensordot(found[POSE:], self.basis, 1) - self.pivot) @ turn.T
        points = arm + self.pivot + found[3:POSE]
        near = 1 / (1 - points[:, 2] / CAMERA_DISTANCE_CM)
        x, y = points[:, 0] * near, points[:, 1] * near  # in cm of the portrait's own scale
        wanted = (seen - camera.centre_px) * (1, -1) / camera.scale_px - np.stack([x, y], 1)
        # d(x, y) / d(point), then d(point) / d(turn, shift, code)
        lens = np.zeros((LANDMARKS, 2, 3))
        lens[:, 0, 0] = lens[:, 1, 1] = near
        lens[:, 0, 2], lens[:, 1, 2] = x * near / CAMERA_DISTANCE_CM, y * near / CAMERA_DISTANCE_CM
        turning = np.cross(np.eye(3)[:, None], arm[None])
        shifting = np.broadcast_to(np.eye(3)[:, None], (3, LANDMARKS, 3))
        design = np.einsum("vij,kvj->kvi", lens, np.concatenate([turning, shifting, self.basis @ turn.T]))
        now = np.concatenate([rotation_vector(turn.astype(np.float32)), found[3:]])
        step = _step(design, wanted, now, spread_cm, expected)
        return rotation(step[:3]).astype(np.float64) @ turn, found + np.concatenate([np.zeros(3), step[3:]])


def follower(portrait: Portrait, surface: Surface) -> Follower:
    """The portrait made ready to follow."""
    rest = surface.vertices(portrait.identity_code, portrait.rest_dynamics)[:LANDMARKS] + portrait.residual[:LANDMARKS]
    return Follower(
        camera=portrait.camera,
        rotation=portrait.rotation,
        rest=portrait.posed(rest).astype(np.float64),
        basis=surface.dynamics_basis[:, :LANDMARKS].astype(np.float64) @ portrait.rotation.T.astype(np.float64),
        pivot=portrait.posed(NECK_PIVOT_CM[None])[0].astype(np.float64),
        own_gaze=gaze_in_head(portrait.landmarks, portrait.rotation, portrait.camera.scale_px),
    )


def follow(portrait: Portrait, landmarks: Float[np.ndarray, "478 2"], surface: Surface) -> Moved:
    """`follower` for a single frame."""
    return follower(portrait, surface)(landmarks)


def _step(
    design: np.ndarray, wanted: np.ndarray, now: np.ndarray, spread_cm: np.ndarray, expected: ExpectedChange
) -> np.ndarray:
    """The step that minimises what is left of landmarks and openings, in units of noise, plus the distance from what
    is expected."""
    upper, lower = openings()
    gap_cm = np.hypot(spread_cm[upper], spread_cm[lower]) / np.sqrt(2) / OPENING_WEIGHT
    rows = [design / spread_cm[:, None], (design[:, upper] - design[:, lower]) / gap_cm[:, None]]
    left = [wanted / spread_cm[:, None], (wanted[upper] - wanted[lower]) / gap_cm[:, None]]
    a = np.concatenate([r.reshape(len(design), -1) for r in rows], 1)
    b = np.concatenate([part.ravel() for part in left])
    precision = expected.precision
    return np.linalg.solve(a @ a.T + precision, a @ b + precision @ (expected.mean - now))
