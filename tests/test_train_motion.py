"""The judge of motion on curves whose figures are known, and the loss where its value is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_motion import TINY, some_conditions, tiny

from vasa_core import assets
from vasa_core.latents import EXPRESSION, GAZE, MOTION, POSE
from vasa_core.motion import CONDITIONS, LIPS, MotionTransformer
from vasa_core.surface import load_surface
from vasa_core.train.motion import (
    DROPOUT,
    LipsAndLids,
    Script,
    Weights,
    blinks,
    carefulness,
    closures,
    follow,
    head_figures,
    motion_loss,
    with_dropout,
)
from vasa_core.world.performer import EXPRESSION_NAMES
from vasa_core.world.voices import Phone


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


def saying(*phones: tuple[str, float, float]) -> Script:
    spoken = tuple(Phone(label=label, start_s=start, end_s=end) for label, start, end in phones)
    return Script(sound=torch.zeros(32_000), phones=spoken, speaker="x", language="en")


def test_the_directions_of_the_lips_hold_nearly_all_that_lips_do_and_little_of_the_lids(surface) -> None:
    readout, std = LipsAndLids(surface), torch.rand(MOTION) + 0.5
    lips = readout.directions(std)
    assert torch.allclose(lips.T @ lips, torch.eye(LIPS), atol=1e-5)
    assert lips[:POSE].abs().max() == 0 and lips[-GAZE:].abs().max() == 0
    looks = torch.randn(200, MOTION)
    whole, kept = ((some * std)[:, POSE:-GAZE] @ readout.for_lips for some in (looks, looks @ lips @ lips.T))
    assert (whole - kept).norm() < 0.2 * whole.norm()
    blink = torch.from_numpy(surface.dynamics_from_weights({"eyeBlink": 1.0})[:EXPRESSION]).float() / std[POSE:-GAZE]
    assert (blink @ lips[POSE:-GAZE]).norm() < 0.3 * blink.norm()


def test_a_closed_bilabial_counts_and_an_open_one_does_not() -> None:
    opening = np.ones(50)
    opening[25] = 0.0  # the frame whose middle is 1.02 s
    script = saying(("AA", 0.5, 0.6), ("B", 0.98, 1.06), ("AA", 1.1, 1.4), ("P", 1.5, 1.6))
    assert closures(opening, script, frozenset("PBM")) == [True, False]


def test_blinks_are_counted_and_half_blinks_are_not() -> None:
    lids = np.ones(100)
    lids[20:23] = 0.1
    lids[60:63] = 0.55
    assert blinks(lids) == (1, [3])


def test_a_steady_turn_has_its_own_speed() -> None:
    pose = np.zeros((50, 6), np.float32)
    pose[:, 1] = np.deg2rad(0.9) * np.arange(50)
    assert head_figures(pose)["delta_p_deg_per_frame"] == pytest.approx(0.3, rel=1e-4)  # the mean of three axes


def test_the_readouts_open_with_the_jaw_and_shut_with_a_blink(surface) -> None:
    readout = LipsAndLids(surface)
    motion = torch.zeros(3, MOTION)
    for frame, (name, amount) in enumerate([("jawOpen", 0.3), ("eyeBlink", 1.0)]):
        weights = np.array([amount * known.startswith(name) for known in EXPRESSION_NAMES])
        motion[frame, 6:54] = torch.from_numpy(surface.dynamics_from_expression @ weights).float()
    opening, lids = readout.opening_cm(motion), readout.lid_cm(motion)
    assert opening[0] == pytest.approx(0.98, abs=0.15) and abs(opening[2]) < 1e-6  # 3.275 cm a unit of jaw
    assert lids[1] < 0.15 * lids[2]


def test_lips_are_known_by_width_and_bow_too(surface) -> None:
    """A pucker and a smile open nothing, but a rounded vowel said with spread lips must cost."""
    readout = LipsAndLids(surface)
    codes = [surface.dynamics_from_weights({name: 1.0})[:48] for name in ("mouthPucker", "mouthSmile")]
    pucker, smile = (torch.from_numpy(code).float() for code in codes)
    assert pucker @ readout.lip_width < -0.3 < 0.3 < smile @ readout.lip_width
    assert pucker @ readout.lip_bow < 0 < smile @ readout.lip_bow  # the corners come forward, or go back


def test_a_brow_at_rest_costs_where_it_should_rise(surface) -> None:
    readout = LipsAndLids(surface)
    raised = torch.from_numpy(surface.dynamics_from_weights({"browInnerUp": 1.0})[:48]).float()
    assert (raised @ readout.for_brows).square().sum() > 1


def test_a_channel_that_hardly_moves_counts_less_and_all_count_one_on_average() -> None:
    model = tiny()
    model.std.copy_(torch.linspace(0.1, 1.0, MOTION))
    care = carefulness(model)
    assert care.mean() == pytest.approx(1)
    assert care[6] < care[30] < care[53] and care[:6].unique().numel() == 1


def test_conditions_are_dropped_as_often_as_said() -> None:
    conditions = some_conditions(2000)
    gone = (~with_dropout(conditions, torch.Generator().manual_seed(0)).present).float().mean(0)
    assert gone.tolist() == pytest.approx([DROPOUT[name] for name in CONDITIONS], abs=0.03)


def test_a_model_that_is_right_costs_nothing(surface) -> None:
    class Right(MotionTransformer):
        def forward(self, noisy, time, conditions):
            return self.standardised(clean)

    clean, readout = torch.randn(4, 12, MOTION), LipsAndLids(surface)
    generator = torch.Generator().manual_seed(0)
    right = motion_loss(Right(TINY), clean, some_conditions(4), readout, Weights(), generator)
    wrong = motion_loss(tiny(), clean, some_conditions(4), readout, Weights(), generator)
    assert sum(right.values()).item() == 0 < sum(wrong.values()).item()


def test_the_average_follows_the_model() -> None:
    slow, fast = tiny(0), tiny(1)
    before, there = slow.to_motion.weight.clone(), fast.to_motion.weight
    follow(slow, fast, 0.75)
    assert torch.allclose(slow.to_motion.weight, 0.75 * before + 0.25 * there)
