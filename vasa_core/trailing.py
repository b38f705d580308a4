"""Hair and shoulders follow the head late, swing past it a little and settle: a damped spring on the head pose.

Nothing in the paper's codes says how hair hangs, so this is mechanics, not motion: the same head pose always trails the
same way. Solved exactly over a frame (the pose held), so any frame rate swings alike.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm

from vasa_core.clock import FRAME_RATE_HZ

SWING_HZ = 2.2
"""How fast hair and shoulders would swing by themselves."""

DAMPING = 0.5
"""1 would creep back without passing; hair passes by a sixth of a sudden turn, once."""


class Trail:
    """The pose that trails the head's, frame by frame; a first frame starts settled."""

    def __init__(self, fps: float = FRAME_RATE_HZ) -> None:
        speed = 2 * np.pi * SWING_HZ
        self.step = expm(np.array([[0, 1], [-(speed**2), -2 * DAMPING * speed]]) / fps).astype(np.float32)
        self.state: Float[np.ndarray, "two=2 pose=6"] | None = None  # distance from the head's pose, and its speed
        self.head = np.zeros(6, np.float32)

    def __call__(self, head_pose: Float[np.ndarray, " pose=6"]) -> Float[np.ndarray, " pose=6"]:
        """The trailing pose of the next frame."""
        if self.state is None:
            self.state = np.zeros((2, 6), np.float32)
        else:
            self.state[0] += self.head - head_pose
            self.state = self.step @ self.state
        self.head = head_pose.copy()
        return (head_pose + self.state[0]).astype(np.float32)
