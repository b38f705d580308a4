"""Lips meet where nobody speaks, keep what they say elsewhere, and do not care how the motion arrives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vasa_core.assets import weights
from vasa_core.latents import Motion
from vasa_core.resting import AHEAD, BACK, FIRST_HALVES, HEARD, HEARD_WELL, Rest
from vasa_core.speech import HALVES, PHONES, SpeechEncoder, audio_features, bilabial, clearness, silence
from vasa_core.surface import LOWER_LIP, UPPER_LIP, load_surface


@pytest.fixture(scope="module")
def surface():
    return load_surface(weights("surface.safetensors"))


def parted(surface, frames: int) -> Motion:
    """A jaw that hangs a little open all the time."""
    code = torch.from_numpy(surface.dynamics_from_weights({"jawOpen": 0.15})).float()
    return Motion(head_pose=torch.zeros(frames, 6), facial_dynamics=code.repeat(frames, 1))


def opening_cm(surface, motion: Motion) -> np.ndarray:
    gap = surface.dynamics_basis[:, UPPER_LIP[4], 1] - surface.dynamics_basis[:, LOWER_LIP[4], 1]
    return motion.facial_dynamics[:, :48].numpy() @ gap


def first_number(features):
    """Features that are the likelihood of silence itself."""
    return features[:, 0]


def test_lips_meet_in_pauses_and_nowhere_else(surface) -> None:
    quiet = torch.zeros(60, 1)
    quiet[20:40] = 1
    motion = parted(surface, 60)
    (rested,) = Rest(surface, first_number).change([motion], [quiet])
    before, after = opening_cm(surface, motion), opening_cm(surface, rested)
    assert np.allclose(after[: 20 + BACK - 1], before[: 20 + BACK - 1]) and np.allclose(after[41 - AHEAD :], before[0])
    assert np.abs(after[21 + BACK : 39 - AHEAD]).max() < 0.15 * before[0]
    assert torch.equal(rested.head_pose, motion.head_pose)


def test_a_short_silence_between_words_is_none(surface) -> None:
    quiet = torch.zeros(40, 1)
    quiet[15 : 15 + BACK + AHEAD] = 1
    motion = parted(surface, 40)
    (rested,) = Rest(surface, first_number).change([motion], [quiet])
    assert torch.equal(rested.facial_dynamics, motion.facial_dynamics)


def test_around_the_sound_lies_silence(surface) -> None:
    (rested,) = Rest(surface, first_number).change([parted(surface, 12)], [torch.ones(12, 1)])
    assert np.abs(opening_cm(surface, rested)).max() < 0.02


@pytest.mark.parametrize("lengths", [(50,), (8,) * 7, (1, 30, 19)])
@pytest.mark.parametrize("block", [5, 17, 50])
def test_pieces_of_any_length_give_the_same(surface, lengths, block) -> None:
    quiet = (torch.rand(50, 1, generator=torch.Generator().manual_seed(0)) > 0.1).float()
    motion, whole = parted(surface, 50), None
    (whole,) = Rest(surface, first_number).change([motion], [quiet])
    pieces, start = [], 0
    for length in lengths:
        pieces.append(motion[start : start + length])
        start += length
    rested = list(Rest(surface, first_number).change(pieces, quiet.split(block)))
    assert torch.equal(torch.cat([piece.facial_dynamics for piece in rested]), whole.facial_dynamics)


def test_what_the_encoder_is_unsure_of_changes_nothing(surface) -> None:
    motion = parted(surface, 20)
    (met,) = Rest(surface, first_number).change([motion], [torch.full((20, 1), 0.5)])
    assert torch.equal(met.facial_dynamics, motion.facial_dynamics)


def nowhere_silent(features):
    return torch.zeros(len(features))


def told(features):
    """Features that are the likelihood of a closure in each half."""
    return features


def test_lips_meet_for_a_peak_of_p_b_or_m_and_are_apart_two_frames_on(surface) -> None:
    motion, likely = parted(surface, 30), torch.zeros(30, 2)
    likely[12] = torch.tensor([0.25, 0.15])
    likely[20, 0] = 0.09
    (met,) = Rest(surface, nowhere_silent, told).change([motion], [likely])
    before, after = opening_cm(surface, motion), opening_cm(surface, met)
    assert after[12] == pytest.approx(0, abs=0.02) and np.allclose(np.delete(after, [11, 12, 13]), before[0])
    assert 0 <= after[11] < before[0] and 0 < after[13] < before[0]


def test_only_the_peak_counts_and_half_a_likelihood_meets_half(surface) -> None:
    motion, likely = parted(surface, 20), torch.zeros(20, 2)
    half = sum(HEARD) / 2
    likely[8:11] = half - torch.tensor([[0.03, 0.02], [0.01, 0.0], [0.01, 0.02]])
    (met,) = Rest(surface, nowhere_silent, told).change([motion], [likely])
    after = opening_cm(surface, met)
    assert after[9] == pytest.approx(0.5 * opening_cm(surface, motion)[0], rel=0.1)
    assert after[9] == after.min()


def told_first(features):
    return features[:, :2]


def told_last(features):
    return features[:, 2:]


@pytest.mark.parametrize("lengths", [(50,), (8,) * 7, (1, 30, 19)])
def test_closures_too_are_the_same_in_pieces(surface, lengths) -> None:
    dice, motion = torch.Generator().manual_seed(0), parted(surface, 50)
    heard = torch.cat([torch.rand(50, 2, generator=dice) ** 3, 0.4 + 0.6 * torch.rand(50, 2, generator=dice)], dim=1)
    (whole,) = Rest(surface, nowhere_silent, told_first, told_last).change([motion], [heard])
    starts = np.cumsum([0, *lengths[:-1]])
    pieces = [motion[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    met = list(Rest(surface, nowhere_silent, told_first, told_last).change(pieces, heard.split(9)))
    assert torch.equal(torch.cat([piece.facial_dynamics for piece in met]), whole.facial_dynamics)


@pytest.mark.parametrize(("clear", "share"), [(0.95, 0.0), (0.5, 1.0)])
def test_a_guess_is_believed_of_a_voice_that_is_heard_badly_alone(surface, clear, share) -> None:
    frames = int(FIRST_HALVES) + 20  # what is heard badly at first is heard well by now, or is not
    likely, motion = torch.zeros(frames, 2), parted(surface, frames)
    likely[-10, 0] = (HEARD[1] + HEARD_WELL[0]) / 2
    heard = torch.cat([likely, torch.full((frames, 2), clear)], dim=1)
    (met,) = Rest(surface, nowhere_silent, told_first, told_last).change([motion], [heard])
    before, after = opening_cm(surface, motion), opening_cm(surface, met)
    assert after[-10] == pytest.approx((1 - share) * before[0], abs=0.02)


def test_who_has_said_nothing_yet_is_heard_badly_and_silence_says_nothing(surface) -> None:
    likely, motion = torch.zeros(60, 2), parted(surface, 60)
    likely[50, 0] = HEARD[1]
    heard = torch.cat([likely, torch.zeros(60, 2)], dim=1)
    (met,) = Rest(surface, nowhere_silent, told_first, told_last).change([motion], [heard])
    assert opening_cm(surface, met)[50] == pytest.approx(0, abs=0.02)


def test_clearness_is_the_likeliest_phone_unless_that_is_silence() -> None:
    encoder = SpeechEncoder().eval()
    with torch.no_grad():
        heard = encoder(torch.randn(1, 40, 80))
    heard.phone_logits[0, ::3] = 0.0
    heard.phone_logits[0, ::3, PHONES.index("SIL")] = 9.0
    clear = clearness(audio_features(heard)[0]).flatten()
    assert (clear[::3] == 0).all()
    assert torch.allclose(clear[1::3], heard.phone_logits.softmax(-1)[0, 1::3].amax(-1))


def test_closures_are_read_where_the_encoder_writes_them() -> None:
    encoder = SpeechEncoder().eval()
    with torch.no_grad():
        heard = encoder(torch.randn(1, 40, 80))
        phones = heard.phone_logits.softmax(-1)[0]
        expected = sum(phones[:, PHONES.index(phone)] for phone in "PBM").unflatten(0, (-1, HALVES))
        assert torch.allclose(bilabial(audio_features(heard)[0]), expected, atol=1e-6)


def test_silence_is_read_where_the_encoder_writes_it() -> None:
    encoder = SpeechEncoder().eval()
    with torch.no_grad():
        heard = encoder(torch.randn(1, 40, 80))
        expected = heard.phone_logits.softmax(-1)[0, :, PHONES.index("SIL")].unflatten(0, (-1, HALVES)).mean(1)
        assert torch.allclose(silence(audio_features(heard)[0]), expected, atol=1e-6)
