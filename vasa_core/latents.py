"""The factors a face is taken apart into (paper section 3.1), as immutable values that travel between stages.

Symbols: `appearance_volume` V^app, `identity_code` z^id, `head_pose` z^pose, `facial_dynamics` z^dyn.
Axes: +x is the subject's left (image right), +y up, +z out of the face towards the camera; lengths in cm, angles in
rad. A head pose is a rotation vector and a translation relative to the portrait's own pose, which is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

POSE = 6
"""Rotation vector (rad: x = pitch, > 0 looks down; y = yaw, > 0 to image right; z = roll) and translation (cm)."""

EXPRESSION = 48
"""Learned expression code: lips, jaw, brows, cheeks, lids. Zero is the neutral face."""

GAZE = 2
"""Eye-in-head gaze (rad): yaw > 0 to image right, pitch > 0 down."""

DYNAMICS = EXPRESSION + GAZE
IDENTITY = 80
MOTION = POSE + DYNAMICS


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """What moves, frame by frame: where the head is and what the face does."""

    head_pose: Float[Tensor, "frame pose=6"]
    facial_dynamics: Float[Tensor, "frame dynamics=50"]

    def __len__(self) -> int:
        return self.head_pose.shape[0]

    def __getitem__(self, frames: slice) -> Motion:
        return Motion(head_pose=self.head_pose[frames], facial_dynamics=self.facial_dynamics[frames])

    def packed(self) -> Float[Tensor, "frame motion=56"]:
        """Head pose and facial dynamics side by side: the X of the motion transformer."""
        return torch.cat([self.head_pose, self.facial_dynamics], dim=-1)

    @staticmethod
    def unpacked(packed: Float[Tensor, "frame motion=56"]) -> Motion:
        """The motion whose `packed` this is."""
        return Motion(head_pose=packed[:, :POSE], facial_dynamics=packed[:, POSE:])
