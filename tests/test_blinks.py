"""Blinks as often as asked, on motion whose blinks are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.blinks import LEARNED_PER_MINUTE, ONSET, PULSE, USUAL_PER_MINUTE, Blinker, Lids
from vasa_core.controls import Controls
from vasa_core.latents import DYNAMICS, EXPRESSION, POSE, Motion
from vasa_core.surface import load_surface

SURFACE = load_surface(assets.weights("surface.safetensors"))
LIDS = Lids(SURFACE)
MINUTE = 60 * 25


def motion_with_blinks(frames: int, every: int, depth: float = 1.0) -> Motion:
    """A face at rest that blinks every so many frames."""
    share = np.zeros(frames)
    for start in range(every // 2, frames - len(PULSE), every):
        share[start : start + len(PULSE)] = depth * np.array(PULSE)
    facial_dynamics = np.zeros((frames, DYNAMICS), np.float32)
    facial_dynamics[:, :EXPRESSION] = np.outer(share, LIDS.blink)
    return Motion(head_pose=torch.zeros(frames, POSE), facial_dynamics=torch.from_numpy(facial_dynamics))


def closed(motion: Motion) -> np.ndarray:
    return LIDS.closed(motion.facial_dynamics[:, :EXPRESSION].double().numpy())


def blinks_in(motion: Motion) -> int:
    shut = closed(motion) > 0.6
    return int((shut[1:] & ~shut[:-1]).sum())


def changed(motion: Motion, rate: float, seed: int = 0, piece: int = 10_000) -> Motion:
    pieces = [
        Motion(head_pose=h, facial_dynamics=d)
        for h, d in zip(motion.head_pose.split(piece), motion.facial_dynamics.split(piece), strict=True)
    ]
    made = list(Blinker(SURFACE, np.random.default_rng(seed)).change(pieces, lambda _: Controls(blink_rate=rate)))
    return Motion.unpacked(torch.cat([part.packed() for part in made]))


def test_a_full_blink_of_the_surface_is_one_and_the_neutral_face_is_nought() -> None:
    assert LIDS.closed(LIDS.blink) == pytest.approx(1, abs=1e-5)
    assert LIDS.closed(np.zeros(EXPRESSION)) == 0


LEARNED_EVERY = round(60 * 25 / LEARNED_PER_MINUTE)
"""Frames from blink to blink of a motion that blinks as the model does."""


def test_a_rate_that_is_the_models_own_changes_no_bit() -> None:
    motion = motion_with_blinks(500, LEARNED_EVERY)
    assert torch.equal(changed(motion, LEARNED_PER_MINUTE / USUAL_PER_MINUTE).packed(), motion.packed())


def test_a_rate_of_nought_keeps_the_eyes_open_and_moves_nothing_else() -> None:
    motion = motion_with_blinks(MINUTE, 75)
    still = changed(motion, 0.0)
    assert blinks_in(motion) == 20 and blinks_in(still) == 0
    assert closed(still).max() < ONSET + 0.1
    assert torch.equal(still.head_pose, motion.head_pose)


@pytest.mark.parametrize("rate", [0.25, 1.0, 2.0, 3.0])
def test_eyes_blink_as_often_as_asked(rate: float) -> None:
    minutes = 20
    made = blinks_in(changed(motion_with_blinks(minutes * MINUTE, LEARNED_EVERY), rate))
    assert made == pytest.approx(rate * USUAL_PER_MINUTE * minutes, rel=0.2)


def test_pieces_of_any_length_give_the_same() -> None:
    motion = motion_with_blinks(600, 75)
    assert torch.equal(changed(motion, 1.7).packed(), changed(motion, 1.7, piece=7).packed())


def test_a_lasting_squint_is_no_blink() -> None:
    motion = motion_with_blinks(200, 1000)
    motion.facial_dynamics[:, :EXPRESSION] += torch.from_numpy(0.25 * LIDS.blink)
    assert torch.allclose(changed(motion, 0.0).packed(), motion.packed())
