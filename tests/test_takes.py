"""Training takes: sound, phones and motion stay together, and windows hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vasa_core.latents import EXPRESSION, MOTION
from vasa_core.train.takes import Takes, packed, random_windows
from vasa_core.world.performer import Mood, Performance
from vasa_core.world.scripts import scripts_from
from vasa_core.world.voices import Phone, Utterance


def spoken(speaker: str, seed: int) -> Utterance:
    rng = np.random.default_rng(seed)
    sound = torch.from_numpy(rng.uniform(-0.5, 0.5, 32_000).astype(np.float32))
    phones = (Phone(label="SIL", start_s=0.0, end_s=0.5), Phone(label="AA", start_s=0.5, end_s=1.5),
              Phone(label="SIL", start_s=1.5, end_s=2.0))  # fmt: skip
    return Utterance(sound=sound, phones=phones, speaker=speaker, language="en", source="test")


@pytest.fixture(scope="module")
def scripts():
    utterances = [spoken(speaker, seed) for speaker in "ab" for seed in range(20)]
    return list(scripts_from(utterances, np.random.default_rng(0)))


def test_every_utterance_is_said_once_by_its_speaker(scripts) -> None:
    for speaker in "ab":
        said = [p for s in scripts if s.speaker == speaker for p in s.phones if p.label == "AA"]
        assert len(said) == 20


def test_phones_run_without_gaps_to_the_end_of_the_sound(scripts) -> None:
    for script in scripts:
        for one, two in zip(script.phones[:-1], script.phones[1:], strict=True):
            assert two.start_s == pytest.approx(one.end_s, abs=1e-3)
            assert not (one.label == two.label == "SIL")
        assert script.phones[-1].end_s == pytest.approx(len(script.sound) / 16000, abs=1e-3)


def test_phones_stay_on_their_sound(scripts) -> None:
    """Pauses put between are far softer than the speech, wherever the phones say SIL for long."""
    script = max(scripts, key=lambda s: len(s.phones))
    for phone in script.phones:
        if phone.label == "AA":
            said = script.sound[int(phone.start_s * 16000) : int(phone.end_s * 16000)]
            assert said.std() > 0.03


def test_distance_leaves_no_trace_in_packed_z() -> None:
    pose = np.zeros((4, 6), np.float32)
    pose[:, 5] = -0.25 * 80
    done = Performance(expression=np.zeros((4, 57), np.float32), gaze=np.zeros((4, 2), np.float32), head_pose=pose,
                       mood=Mood(head_distance=1.25))  # fmt: skip
    assert packed(done, np.zeros((EXPRESSION, 57), np.float32)).abs().max() < 1e-4


def numbered_takes() -> Takes:
    """Two performances of one sound; every channel of frame i holds i (plus 100 in the second)."""
    count = torch.arange(30.0)
    motion = torch.cat([count, count + 100])[:, None].repeat(1, MOTION)
    return Takes(features=count[:, None].repeat(1, 3), motion=motion, starts=torch.tensor([0, 30]),
                 lengths=torch.tensor([30, 30]), feature_starts=torch.tensor([0, 0]), gaze=torch.zeros(2, 2),
                 head_distance=torch.ones(2), emotion=torch.zeros(2, 8),
                 listening=torch.tensor([0.0, 1.0]))  # fmt: skip


def test_windows_keep_sound_and_motion_on_the_same_frame() -> None:
    clean, conditions = random_windows(numbered_takes(), 64, 20, 5, torch.Generator().manual_seed(0))
    heard = conditions.heard
    assert torch.equal(conditions.listening[:, 0] > 0, clean[:, 0, 0] >= 100)
    assert torch.equal((clean[..., 0] % 100)[heard], conditions.audio[..., 0][heard])
    began = (conditions.past_motion == 0).flatten(1).all(1)
    assert began.any() and not began.all()
    continued = ~began & (conditions.past_motion[..., 0] > 0).all(1)
    assert torch.equal(clean[continued, 0, 0], conditions.past_motion[continued, -1, 0] + 1)


def test_beyond_the_end_nothing_is_heard() -> None:
    clean, conditions = random_windows(numbered_takes(), 64, 40, 5, torch.Generator().manual_seed(1))
    assert not conditions.heard.all(1).any()
    beyond = ~conditions.heard
    assert set((clean[..., 0] % 100)[beyond].tolist()) == {29.0}
