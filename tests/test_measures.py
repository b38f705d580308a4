"""Measures against motions whose every figure is known, and performances against the bands of real people."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("scipy", reason="the training world needs scipy: pip install 'vasa_core[world]'")

import spoken

from vasa_core import assets
from vasa_core.latents import Motion
from vasa_core.surface import load_surface
from vasa_core.world import measures
from vasa_core.world.measures import clip_of, head_figures, pooled, sync_of, track_of
from vasa_core.world.performer import Mood, perform
from vasa_core.world.report import BANDS, compared
from vasa_core.world.utterances import Phone

FRAMES = 250


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


def moving(surface, weights: dict[str, np.ndarray] | None = None, yaw_deg=None, gaze_deg=None) -> Motion:
    """Ten seconds of a face with these weights over time."""
    pose, dynamics = torch.zeros(FRAMES, 6), torch.zeros(FRAMES, 50)
    for name, curve in (weights or {}).items():
        direction = torch.from_numpy(surface.dynamics_from_weights({name: 1.0}))
        dynamics += torch.from_numpy(np.asarray(curve, np.float32))[:, None] * direction
    if yaw_deg is not None:
        pose[:, 1] = torch.from_numpy(np.deg2rad(yaw_deg).astype(np.float32))
    if gaze_deg is not None:
        dynamics[:, 48] = torch.from_numpy(np.deg2rad(gaze_deg).astype(np.float32))
    return Motion(head_pose=pose, facial_dynamics=dynamics)


def test_a_sine_turn_has_the_delta_p_spread_and_rhythm_of_a_sine(surface) -> None:
    time = np.arange(FRAMES) / 25
    found = head_figures(track_of(moving(surface, yaw_deg=6 * np.sin(2 * np.pi * 1.0 * time)), surface))
    assert found["head.dP.yaw"] == pytest.approx(6 * 4 / 25, rel=0.03)  # a sine travels four amplitudes a period
    assert found["head.dP.pitch"] < 0.02 and found["head.dP"] == pytest.approx(found["head.dP.yaw"] / 3, rel=0.05)
    assert found["head.sd.yaw"] == pytest.approx(6 / np.sqrt(2), rel=0.02)
    assert found["head.power.yaw.0.5-2"] > 0.97
    assert found["head.burstiness"] < 1.6  # a swinging doll, not a person


def test_blinks_and_half_blinks_are_counted_apart(surface) -> None:
    shut = np.zeros(FRAMES)
    for first, depth in ((40, 1.0), (100, 0.45), (170, 1.0)):
        shut[first : first + 5] = depth * np.array([0.5, 1, 1, 0.6, 0.3])
    full, partial = measures.blinks_of(track_of(moving(surface, {"eyeBlink": shut}), surface))
    assert [blink.frame for blink in full] == pytest.approx([41, 171], abs=1) and len(partial) == 1
    assert all(2 <= blink.frames_under_60 <= 4 and blink.depth < 0.3 for blink in full)


def test_saccades_are_jumps_and_not_drift(surface) -> None:
    jumps, drift = np.zeros(FRAMES), np.linspace(0, 20, FRAMES)
    jumps[60:], jumps[140:] = 6.0, -3.0
    found = measures.saccades_of(track_of(moving(surface, gaze_deg=jumps), surface))
    assert [frame for frame, _ in found] == pytest.approx([60, 140], abs=1)
    assert [size for _, size in found] == pytest.approx([6, 9], abs=0.2)
    assert measures.saccades_of(track_of(moving(surface, gaze_deg=drift), surface)) == []


def test_a_face_at_rest_is_shut_and_an_open_jaw_is_not(surface) -> None:
    jaw = np.zeros(FRAMES)
    jaw[100:] = 0.3
    opening = measures.lip_opening(track_of(moving(surface, {"jawOpen": jaw}), surface))
    assert opening[:100].max() < 1e-6
    assert opening[150] == pytest.approx(0.3 * 3.275 / 8.95, rel=0.05)  # cm over the eye span


def phrase() -> list[Phone]:
    said = list(np.random.default_rng(0).permutation(["AA", "M", "IY", "S", "UW", "P", "AE", "T"] * 5))
    labels, phones, now = ["SIL", *map(str, said), "SIL"], [], 0.0
    for label in labels:
        length = 1.0 if label == "SIL" else 0.16
        phones.append(Phone(label=label, start_s=now, end_s=now + length))
        now += length
    return phones


@pytest.mark.parametrize("late_frames", [0, 3, -3])
def test_late_lips_are_found_to_be_late(surface, late_frames: int) -> None:
    phones = phrase()
    sound = np.zeros(int(phones[-1].end_s * 16_000), np.float32)
    done = perform(phones, sound, Mood(), np.random.default_rng(0)).motion(surface.dynamics_from_expression)
    moved = Motion(head_pose=done.head_pose, facial_dynamics=done.facial_dynamics.roll(late_frames, 0))
    found = sync_of(track_of(moved, surface), phones)
    assert found["sync.lag_ms"] == pytest.approx(40 * late_frames, abs=45)
    assert found["sync.correlation"] > 0.4 > found["sync.chance"]


def test_voice_activity_follows_the_voice() -> None:
    said = spoken.utterance()
    active = measures.voice_activity(measures.energy_db(said.sound.numpy()), 37)
    assert not active[:5].any() and active[10:25].mean() > 0.8 and not active[-4:].any()


def test_the_table_judges_by_its_bands(surface) -> None:
    inside = {band.name: (band.low + band.high) / 2 for band in BANDS} | {"lips.closed_by_chance": 0.3}
    lines, count, total = compared(inside)
    assert count == total == len(BANDS) + 1 and not any(" NO " in line for line in lines)
    lines, count, _ = compared(inside | {"head.dP": 0.05})
    assert count == total - 1 and sum(" NO " in line for line in lines) == 1
    assert compared({})[1] == 0  # what was not measured is not inside


def test_performances_of_many_takes_lie_near_the_bands(surface) -> None:
    """A dozen takes of made-up syllables are no speech, but what does not depend on the words must fit."""
    clips = []
    for seed in range(10):
        said = spoken.utterance()
        phones, sound, now = [], [], 0.0
        for _ in range(8):
            phones += [Phone(label=p.label, start_s=now + p.start_s, end_s=now + p.end_s) for p in said.phones]
            sound.append(said.sound.numpy())
            now += said.duration_s
        heard = np.concatenate(sound)
        done = perform(phones, heard, Mood(), np.random.default_rng(seed))
        clips.append(clip_of(track_of(done.motion(surface.dynamics_from_expression), surface), heard, phones))
    found = pooled(clips)
    assert found["phones.bilabial.closed"] == 1.0
    assert 10 < found["blinks.per_min"] < 30 and 0.4 < found["gaze.saccades_per_s"] < 1.3
    assert 0.3 < found["head.dP"] < 0.7 and 2.0 < found["head.burstiness"] < 4
    assert -80 <= found["sync.lag_ms"] <= 40
