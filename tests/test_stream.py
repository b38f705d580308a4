"""Windows of motion: any length, the same whatever the blocks, and wishes that arrive exactly."""

from __future__ import annotations

import pytest
import torch

from vasa_core import stream
from vasa_core.controls import Controls
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import GAZE, MOTION, POSE
from vasa_core.motion import LIPS, MotionConfig, MotionTransformer
from vasa_core.stream import (
    LIPS_LED,
    LIVE,
    SHIFT_NOISE,
    TURN_DRIFT,
    TURN_NOISE,
    WHOLE,
    Pace,
    generate_motion,
    motion_windows,
    to_the_voice,
)


@pytest.fixture(scope="module")
def model() -> MotionTransformer:
    torch.manual_seed(0)
    made = MotionTransformer(MotionConfig(audio_features=5, window=24, past=4, hidden=24, depth=1, heads=2))
    torch.nn.init.normal_(made.to_motion.weight, std=0.1)
    return made.eval().requires_grad_(False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


FAST = Controls(steps=3)


@pytest.mark.parametrize("frames", [1, 7, 24, 25, 40, 41, 100])
def test_every_frame_of_sound_gets_one_frame_of_motion(model, frames: int) -> None:
    motion = generate_motion(torch.randn(frames, 5), FAST, model, seeded())
    assert len(motion) == frames
    assert torch.isfinite(motion.packed()).all()


@pytest.mark.parametrize("block", [1, 3, 17, 64])
def test_sound_in_blocks_gives_the_same_motion_as_sound_at_once(model, block: int) -> None:
    features = torch.randn(70, 5)
    whole = generate_motion(features, FAST, model, seeded())
    pieces = list(motion_windows(features.split(block), FAST, model, seeded()))
    assert torch.equal(torch.cat([piece.packed() for piece in pieces]), whole.packed())


BRISK = Pace(hop=4, lookahead=3, imagined=5)


@pytest.mark.parametrize("block", [1, 3, 17])
def test_a_brisk_pace_too_gives_the_same_motion_in_blocks_of_any_length(model, block: int) -> None:
    features = torch.randn(33, 5)
    whole = generate_motion(features, FAST, model, seeded(), BRISK)
    pieces = list(motion_windows(features.split(block), FAST, model, seeded(), BRISK))
    assert len(whole) == 33
    assert torch.equal(torch.cat([piece.packed() for piece in pieces]), whole.packed())


def test_a_brisk_pace_waits_for_no_more_sound_than_it_says(model) -> None:
    taken = []

    def features():
        for _ in range(40):
            taken.append(1)
            yield torch.randn(1, 5)

    windows = motion_windows(features(), FAST, model, seeded(), BRISK)
    assert len(next(windows)) == 4
    assert len(taken) == BRISK.delay_frames(24) == 8
    next(windows)
    assert len(taken) == 12


def test_wishes_are_asked_for_just_before_they_are_needed(model) -> None:
    now = {"distance": 1.0}
    windows = motion_windows(
        torch.randn(40, 5), lambda _: Controls(steps=2, head_distance=now["distance"]), model, seeded(), BRISK
    )
    before = next(windows)
    now["distance"] = 1.3
    after = next(windows)
    assert after.head_pose[0, 5] < before.head_pose[-1, 5] - 0.2 * CAMERA_DISTANCE_CM


def test_whole_numbers_are_numbers(model) -> None:
    features = torch.randn(9, 5)
    whole = Controls(steps=2, gaze=(0, 0), head_distance=1, emotion="sad", emotion_intensity=1, energy=1)
    point = Controls(steps=2, gaze=(0.0, 0.0), head_distance=1.0, emotion="sad", emotion_intensity=1.0, energy=1.0)
    one, other = (generate_motion(features, wish, model, seeded()).packed() for wish in (whole, point))
    assert torch.equal(one, other)


def test_a_turned_head_turns_by_exactly_that_much_and_the_eyes_keep_their_aim(model) -> None:
    features, turn = torch.randn(50, 5), (0.2, -0.1, 0.15)
    plain = generate_motion(features, FAST, model, seeded())
    turned = generate_motion(features, Controls(steps=3, pose=turn), model, seeded())
    for axis, asked in ((1, turn[0]), (0, turn[1]), (2, turn[2])):
        assert torch.allclose(turned.head_pose[:, axis] - plain.head_pose[:, axis], torch.full((50,), asked), atol=1e-5)
    free = turned.facial_dynamics[:, -2].abs() < 0.6  # where the eyes are not at their limit
    aim = [m.head_pose[:, 1] + m.facial_dynamics[:, -2] for m in (plain, turned)]
    assert free.any() and torch.allclose(aim[0][free], aim[1][free], atol=1e-5)


def test_later_sound_beyond_the_lookahead_changes_nothing_already_made(model) -> None:
    features = torch.randn(70, 5)
    other = features.clone()
    other[30:] += 1
    one, two = (generate_motion(f, FAST, model, seeded()).packed() for f in (features, other))
    assert torch.equal(one[:16], two[:16])
    assert not torch.equal(one[32:], two[32:])


def test_lips_take_nothing_from_the_dice_where_nothing_else_does(model, monkeypatch) -> None:
    features, seen = torch.randn(20, 5), []
    stilled = MotionTransformer.lips_stilled
    monkeypatch.setattr(MotionTransformer, "lips_stilled", lambda *args: seen.append(stilled(*args)) or seen[-1])
    lips = torch.linalg.qr(torch.randn(MOTION, LIPS))[0]
    model.lips.copy_(lips)
    generate_motion(features, FAST, model, seeded())
    model.lips.zero_()
    assert seen and all((noise @ lips).abs().max() < 1e-5 and noise.std() > 0.7 for noise in seen)


def test_lips_that_settle_wholly_say_in_many_steps_what_they_say_in_one(model, monkeypatch) -> None:
    features, face = torch.randn(16, 5), slice(POSE, MOTION - GAZE)
    lips = torch.zeros(MOTION, LIPS)
    lips[face] = torch.linalg.qr(torch.randn(MOTION - GAZE - POSE, LIPS))[0]
    model.lips.copy_(lips)
    monkeypatch.setattr(stream, "LIPS_SETTLED", 1.0)
    one, many = (generate_motion(features, Controls(steps=n), model, seeded()).packed() for n in (1, 5))
    model.lips.zero_()
    assert torch.allclose(one @ lips, many @ lips, atol=1e-5) and not torch.allclose(one, many, atol=1e-2)


@pytest.mark.parametrize(("gaze", "drift"), [((0.0, 0.0), TURN_DRIFT), ((0.2, 0.0), TURN_NOISE)])
def test_of_the_noise_of_turns_its_mean_counts_more_unless_it_has_an_aim(model, monkeypatch, gaze, drift) -> None:
    features, seen = torch.randn(20, 5), []
    stilled = MotionTransformer.lips_stilled
    monkeypatch.setattr(MotionTransformer, "lips_stilled", lambda *args: seen.append(args[1]) or stilled(*args))
    generate_motion(features, Controls(steps=3, gaze=gaze), model, seeded())
    noise, drawn = seen[0], torch.randn(seen[0].shape, generator=seeded())
    assert torch.allclose(noise[..., :3].mean(1), drift * drawn[..., :3].mean(1), atol=1e-6)
    assert torch.allclose(noise[..., :3].std(1), TURN_NOISE * drawn[..., :3].std(1), atol=1e-6)
    assert torch.equal(noise[..., 3:POSE], SHIFT_NOISE * drawn[..., 3:POSE])
    assert torch.equal(noise[..., POSE:], drawn[..., POSE:])


def test_the_same_seed_replays_and_another_differs(model) -> None:
    features = torch.randn(30, 5)
    one, same, other = (generate_motion(features, FAST, model, seeded(s)).packed() for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.allclose(one, other)


def test_distance_moves_the_head_by_exactly_that_much_and_follows_a_curve(model) -> None:
    torch.nn.init.zeros_(model.from_distance.weight)  # what is left is the exact part
    features = torch.randn(50, 5)
    near = generate_motion(features, FAST, model, seeded())
    far = generate_motion(features, Controls(steps=3, head_distance=1.25), model, seeded())
    assert torch.allclose(
        near.head_pose[:, 5] - far.head_pose[:, 5], torch.full((50,), 0.25 * CAMERA_DISTANCE_CM), atol=1e-4
    )
    leaving = generate_motion(features, lambda s: Controls(steps=3, head_distance=1 + 0.1 * s), model, seeded())
    asked = 0.1 * (torch.arange(50) + 0.5) / 25 * CAMERA_DISTANCE_CM
    assert torch.allclose(near.head_pose[:, 5] - leaving.head_pose[:, 5], asked, atol=1e-4)


def test_no_energy_holds_the_head_still_and_keeps_the_eyes_on_target(model) -> None:
    features = torch.randn(50, 5)
    lively = generate_motion(features, FAST, model, seeded())
    still = generate_motion(features, Controls(steps=3, energy=0.0), model, seeded())
    assert still.head_pose.abs().max() < 1e-6
    for axis, gaze in ((1, -2), (0, -1)):  # turn + eye stays
        before = lively.head_pose[:, axis] + lively.facial_dynamics[:, gaze]
        assert torch.allclose(still.facial_dynamics[:, gaze], before, atol=1e-5)


def test_windows_join_without_a_twitch_even_untrained(model) -> None:
    """The untrained model knows no continuity; what is left at the joins comes from the windows' own overlap."""
    packed = generate_motion(torch.randn(16 * 12, 5), FAST, model, seeded()).packed()
    step = packed.diff(dim=0).abs().mean(1)
    join = torch.arange(len(step)) % 16 == 15
    assert step[join].mean() < 1.3 * step[~join].mean()


def test_the_head_begins_near_the_portraits_own_pose(model) -> None:
    pose = generate_motion(torch.randn(50, 5), FAST, model, seeded()).head_pose
    assert pose[0].abs().mean() < 0.1 * pose.abs().mean()


def test_guidance_changes_the_motion(model) -> None:
    features, wish = torch.randn(24, 5), {"steps": 3, "gaze": (0.3, 0.0)}
    plain = generate_motion(features, Controls(guidance_audio=0, guidance_gaze=0, **wish), model, seeded()).packed()
    for more in ({"guidance_audio": 1.0, "guidance_gaze": 0}, {"guidance_audio": 0, "guidance_gaze": 1.0}):
        assert not torch.allclose(plain, generate_motion(features, Controls(**more, **wish), model, seeded()).packed())


def test_the_sound_leads_heads_less_strictly_where_windows_are_short() -> None:
    """Half as strictly live as with all of the sound; lips and eyes alike."""
    whole, live = (to_the_voice(0.5, pace.strictest_head) for pace in (WHOLE, LIVE))
    assert torch.allclose(live[:POSE], whole[:POSE] / 2) and torch.equal(live[POSE:], whole[POSE:])
    assert torch.equal(to_the_voice(0.1, LIVE.strictest_head), to_the_voice(0.1))  # nothing is led more than asked
    assert torch.allclose(whole[POSE:-GAZE], torch.tensor(0.5 * LIPS_LED)) and whole[-GAZE:].min() > 0.5
