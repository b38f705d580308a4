from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
import torch

from vasa_core.latents import DYNAMICS, EXPRESSION, GAZE, MOTION, POSE, Motion


def numbered(frames: int) -> Motion:
    return Motion.unpacked(torch.arange(frames * MOTION, dtype=torch.float32).reshape(frames, MOTION))


def test_the_factors_add_up():
    assert EXPRESSION + GAZE == DYNAMICS
    assert POSE + DYNAMICS == MOTION == 56


def test_unpacked_is_the_inverse_of_packed():
    packed = torch.randn(7, MOTION, generator=torch.Generator().manual_seed(1))
    assert torch.equal(Motion.unpacked(packed).packed(), packed)


def test_the_first_six_numbers_are_the_head_pose():
    motion = numbered(2)
    assert motion.head_pose[1].tolist() == list(range(MOTION, MOTION + POSE))
    assert motion.facial_dynamics.shape == (2, DYNAMICS)


def test_a_slice_keeps_pose_and_dynamics_together():
    motion = numbered(5)[1:3]
    assert len(motion) == 2
    assert torch.equal(motion.packed(), numbered(5).packed()[1:3])


def test_a_motion_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        numbered(1).head_pose = torch.zeros(1, POSE)  # type: ignore[misc]


def test_frames_that_do_not_match_are_refused():
    with pytest.raises(Exception, match=r"(?s)facial_dynamics.*frame"):
        Motion(head_pose=torch.zeros(5, POSE), facial_dynamics=torch.zeros(4, DYNAMICS))
