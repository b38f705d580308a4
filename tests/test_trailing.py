"""Trailing: a spring's known answers."""

import numpy as np
import pytest

from vasa_core.trailing import DAMPING, Trail

TURN = np.array([0, 0.3, 0, 0, 0, 0], np.float32)


def trailed(poses, fps=25.0):
    trail = Trail(fps)
    return np.stack([trail(pose) for pose in poses])


def test_a_head_that_holds_still_is_followed_exactly():
    assert np.abs(trailed([TURN] * 10) - TURN).max() < 1e-7


def test_a_sudden_turn_is_passed_once_by_what_the_damping_says_and_settles():
    followed = trailed([0 * TURN, *[TURN] * 400], fps=200.0)[:, 1] / 0.3
    overshoot = np.exp(-np.pi * DAMPING / np.sqrt(1 - DAMPING**2))
    assert followed.max() - 1 == pytest.approx(overshoot, abs=0.01)
    assert abs(followed[-1] - 1) < 0.001


def test_frame_rates_swing_alike():
    slow, fast = (trailed([0 * TURN, *[TURN] * fps], fps)[:, 1] for fps in (25, 100))
    assert np.abs(slow[1:] - fast[4::4]).max() < 1e-5


def test_equal_poses_trail_equally_whatever_the_pieces():
    poses = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    assert np.array_equal(trailed(poses), trailed(list(poses)))
