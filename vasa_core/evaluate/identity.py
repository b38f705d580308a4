"""Who is seen: the change of identity code that a frame of a known portrait suggests, pose and expression left free.

One step of the same least squares as `following`, at the motion that the second look found, but with the identity code
free as well: what neither pose nor expression explains of where the skin is seen. Its prior is the encoder's. Beside
it, how unlike the portrait's person a frame looks in the numbers by which the encoder tells people apart.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from vasa_core.following import SPREAD
from vasa_core.geometry import CAMERA_DISTANCE_CM, NECK_PIVOT_CM, rotation
from vasa_core.latents import EXPRESSION, IDENTITY, POSE
from vasa_core.portrait import Portrait
from vasa_core.surface import LANDMARKS, Surface

PRIOR = 4.0
"""Weight of the priors against the landmarks, as in `encoders`."""


def unlikeness(one: Float[np.ndarray, " recognised=20"], other: Float[np.ndarray, " recognised=20"]) -> float:
    """The distance of two looks in the numbers that tell people apart: 0 for the same look."""
    return float(np.linalg.norm(one - other))


def identity_change(
    portrait: Portrait,
    surface: Surface,
    motion: tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " dynamics=50"]],
    canonical: Float[np.ndarray, "landmark=468 3"],
    seen: Float[np.ndarray, "landmark 2"],
    spread_cm: Float[np.ndarray, " landmark=468"],
) -> Float[np.ndarray, " identity=80"]:
    """How the identity code would have to change for the portrait under this motion, which puts its face in the
    canonical places given (cm), to lie on the seen landmarks (px), each of which may err by its spread."""
    head_pose, dynamics = motion
    turn, camera = rotation(head_pose[:3]).astype(np.float64), portrait.camera
    own = portrait.rotation.T.astype(np.float64)
    bases = [surface.dynamics_basis[:, :LANDMARKS] @ own @ turn.T, surface.identity_basis[:, :LANDMARKS] @ own @ turn.T]
    pivot = portrait.posed(NECK_PIVOT_CM[None])[0]
    arm = (portrait.posed(canonical) - pivot) @ turn.T
    points = arm + pivot + head_pose[3:]
    near = 1 / (1 - points[:, 2] / CAMERA_DISTANCE_CM)
    flat = points[:, :2] * near[:, None]  # cm at the portrait's own scale
    missing = (seen[:LANDMARKS] - camera.centre_px) * (1, -1) / camera.scale_px - flat
    turning = np.cross(np.eye(3)[:, None], arm[None])
    shifting = np.broadcast_to(np.eye(3)[:, None], (3, LANDMARKS, 3))
    moves = np.concatenate([turning, shifting, *bases])  # [unknown, landmark, 3]
    ahead = moves[..., 2:] * (near / CAMERA_DISTANCE_CM)[:, None] * flat
    design = (moves[..., :2] * near[:, None] + ahead) / spread_cm[:, None]
    a, b = design.reshape(len(design), -1), (missing / spread_cm[:, None]).ravel()
    prior = PRIOR * np.concatenate([SPREAD**-2, np.ones(IDENTITY)])
    held = np.concatenate([np.zeros(POSE), dynamics[:EXPRESSION], np.zeros(IDENTITY)])
    step = np.linalg.solve(a @ a.T + np.diag(prior), a @ b - prior * held)
    return step[-IDENTITY:].astype(np.float32)
