"""Performances against what is known of real speech (bands: statistics of real speech, target column)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pytest

from vasa_core.controls import EMOTIONS
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.world import performer
from vasa_core.world.performer import BILABIALS, EXPRESSION_NAMES, VOWELS, Mood, lid_gap_cm, lip_gap_cm, perform


@dataclass(frozen=True)
class Said:
    label: str
    start_s: float
    end_s: float


def babble(seed: int, seconds: float = 20.0) -> tuple[list[Said], np.ndarray]:
    """Random syllables in phrases with pauses, and a sound that is loud where vowels are."""
    rng = np.random.default_rng(seed)
    consonants = [label for label in performer.PHONES if label not in VOWELS | {"SIL"}]
    said, now = [Said("SIL", 0.0, 0.5)], 0.5
    while now < seconds:
        for _ in range(rng.integers(4, 18)):
            for label, length in (
                (rng.choice(consonants), rng.uniform(0.05, 0.11)),
                (rng.choice(sorted(VOWELS)), rng.uniform(0.06, 0.2)),
            ):
                said.append(Said(str(label), now, now + length))
                now += length
        said.append(Said("SIL", now, now + 0.7))
        now += 0.7
    sound = np.zeros(int(now * 16000), np.float32)
    for phone in said:
        level = 0.0 if phone.label == "SIL" else 0.1 if phone.label in VOWELS else 0.02
        part = sound[int(phone.start_s * 16000) : int(phone.end_s * 16000)]
        part += level * rng.uniform(0.5, 1.5) * rng.normal(size=len(part)).astype(np.float32)
    return said, sound


@pytest.fixture(scope="module")
def takes():
    made = []
    for seed in range(12):
        phones, sound = babble(seed)
        made.append((phones, perform(phones, sound, Mood(), np.random.default_rng(seed))))
    return made


def frames_of(phone: Said) -> slice:
    middle = int((phone.start_s + phone.end_s) / 2 * 25)
    return slice(max(0, middle - 1), middle + 2)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_bilabials_close_for_two_frames_under_every_emotion(emotion: str) -> None:
    phones, sound = babble(3)
    done = perform(phones, sound, Mood(emotion=emotion, intensity=1.0), np.random.default_rng(0))
    gap = lip_gap_cm(done.expression)
    closed = [(gap[frames_of(p)] < 0.03).sum() >= 2 for p in phones if p.label in BILABIALS]
    assert len(closed) > 10 and all(closed)


def test_vowels_open_and_lips_rest_nearly_closed_in_pauses(takes) -> None:
    """In short pauses people leave their lips parted, by some 0.3 of the 95th percentile (1.3 cm)."""
    opened, rested = [], []
    for phones, done in takes:
        gap = lip_gap_cm(done.expression)
        opened += [gap[frames_of(p)].max() for p in phones if p.label in ("AA", "AE", "AY")]
        rested += [gap[frames_of(p)].min() for p in phones if p.label == "SIL"]
    assert np.median(opened) > 0.8
    assert np.median(rested) < 0.3 and np.mean(np.array(rested) < 0.1) > 0.15


def test_the_mouth_opens_before_the_voice(takes) -> None:
    leads = []
    for phones, done in takes:
        gap = lip_gap_cm(done.expression)
        for silence, first in pairwise(phones):
            if silence.label == "SIL" and first.label not in BILABIALS | {"F", "V", "W"}:
                onset = int(first.start_s * 25)
                opened = np.flatnonzero(gap[onset - 10 : onset + 10] > 0.3 * np.percentile(gap, 95))
                leads.append((opened[0] - 10) / 25 if len(opened) else 0.4)
    assert -0.3 <= np.median(leads) <= -0.08


def test_rounded_vowels_pucker_and_spread_ones_do_not(takes) -> None:
    pucker = EXPRESSION_NAMES.index("mouthPucker")
    by_label = {"UW": [], "IY": []}
    for phones, done in takes:
        for phone in phones:
            if phone.label in by_label:
                by_label[phone.label].append(done.expression[frames_of(phone), pucker].max())
    assert np.median(by_label["UW"]) > np.median(by_label["IY"]) + 0.15


def test_opening_lies_in_the_band_of_real_speech(takes) -> None:
    gap = np.concatenate([lip_gap_cm(done.expression) for _, done in takes])
    assert 0.11 < np.percentile(gap, 95) / 8.92 < 0.25  # of the eye span
    assert 0.35 < gap.mean() / np.percentile(gap, 95) < 0.62


def test_the_head_moves_like_a_presenters(takes) -> None:
    turns = [np.diff(np.rad2deg(done.head_pose[:, :3]), axis=0) for _, done in takes]
    assert 0.30 < np.mean([np.abs(t).mean() for t in turns]) < 0.50
    speed = np.concatenate([np.linalg.norm(t, axis=1) for t in turns])
    assert 2.2 < np.percentile(speed, 90) / np.percentile(speed, 50) < 4.0
    spreads = np.mean([np.rad2deg(done.head_pose[:, :3]).std(0) for _, done in takes], axis=0)
    assert (spreads > 1.5).all() and (spreads < 7).all()
    assert all(np.abs(done.head_pose[:, 3:]).max() < 2.8 for _, done in takes)
    assert all(np.abs(done.head_pose[0]).max() < 0.04 for _, done in takes)  # begins at rest


def test_head_power_lies_low(takes) -> None:
    shares = []
    for _, done in takes:
        angle = done.head_pose[:, :3] - done.head_pose[:, :3].mean(0)
        power = np.abs(np.fft.rfft(angle * np.hanning(len(angle))[:, None], axis=0)) ** 2
        frequency = np.fft.rfftfreq(len(angle), 0.04)
        shares.append(
            [
                power[(frequency > a) & (frequency <= b)].sum() / power[1:].sum()
                for a, b in ((0, 0.5), (0.5, 2), (5, 13))
            ]
        )
    low, middle, high = np.mean(shares, axis=0)
    assert low > 0.5 and 0.15 < middle < 0.45 and high < 0.01


def test_blinks_come_at_a_human_rate_and_close(takes) -> None:
    blinks, seconds, lengths = 0, 0.0, []
    for _, done in takes:
        lids = lid_gap_cm(done.expression)
        low = np.flatnonzero(np.diff(np.r_[0, (lids < 0.6 * np.percentile(lids, 80)).astype(int), 0]))
        lengths += list(low[1::2] - low[::2])
        blinks += sum(lids[a:b].min() < 0.1 for a, b in zip(low[::2], low[1::2], strict=True))
        seconds += len(done) / 25
    assert 7 < 60 * blinks / seconds < 30
    assert 2 <= np.median(lengths) <= 6


def test_eyes_jump_and_mostly_meet_the_viewer(takes) -> None:
    world = np.concatenate([done.gaze + done.head_pose[:, 1::-1] for _, done in takes])
    jumps = np.concatenate([np.linalg.norm(np.diff(done.gaze, axis=0), axis=1) for _, done in takes])
    per_second = (np.rad2deg(jumps) > 2.5).sum() / (len(world) / 25)
    assert 0.4 < per_second < 1.3
    assert (np.rad2deg(np.abs(np.median(world, axis=0))) < 1.0).all()


def test_wishes_for_gaze_distance_and_emotion_arrive() -> None:
    phones, sound = babble(5)
    asked = Mood(gaze=(0.3, -0.1), head_distance=1.1, emotion="happy", intensity=1.0)
    done = perform(phones, sound, asked, np.random.default_rng(0))
    world = np.median(done.gaze + done.head_pose[:, 1::-1], axis=0)
    assert world == pytest.approx([0.3, -0.1], abs=0.06)
    assert done.head_pose[:, 5].mean() == pytest.approx(-0.1 * CAMERA_DISTANCE_CM, abs=0.5)
    assert done.expression[:, EXPRESSION_NAMES.index("mouthSmile_L")].mean() > 0.3


def test_one_sentence_has_many_performances_and_a_seed_replays() -> None:
    phones, sound = babble(7)
    one, same, other = (perform(phones, sound, Mood(), np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.head_pose, same.head_pose)
    assert np.abs(one.head_pose - other.head_pose).max() > 0.02
    agreement = np.corrcoef(lip_gap_cm(one.expression), lip_gap_cm(other.expression))[0, 1]
    assert agreement > 0.9  # the words stay the same


def test_silence_idles_alive_with_closed_lips() -> None:
    done = perform([Said("SIL", 0.0, 20.0)], np.zeros(20 * 16000, np.float32), Mood(), np.random.default_rng(0))
    assert np.abs(lip_gap_cm(done.expression)).max() < 0.06
    assert 0.05 < np.abs(np.diff(np.rad2deg(done.head_pose[:, :3]), axis=0)).mean() < 0.4
    assert lid_gap_cm(done.expression).min() < 0.1


def test_very_short_sound_works() -> None:
    done = perform([Said("AA", 0.0, 0.1)], np.zeros(1600, np.float32), Mood(), np.random.default_rng(0))
    assert len(done) == 3 and np.isfinite(done.expression).all()


def hurried(phones: list[Said], times: float) -> list[Said]:
    return [Said(p.label, p.start_s / times, p.end_s / times) for p in phones]


@pytest.mark.parametrize("times", [1.0, 1.6, 2.2])
def test_bilabials_shut_and_labiodentals_touch_at_every_tempo(times: float) -> None:
    phones, sound = babble(6)
    phones, sound = hurried(phones, times), sound[: int(len(sound) / times)]
    done = perform(phones, sound, Mood(), np.random.default_rng(0))
    gap, tuck = lip_gap_cm(done.expression), done.expression[:, EXPRESSION_NAMES.index("mouthRollLower")]
    inside = [p for p in phones if p.end_s < len(done) / 25 - 0.1]
    shut = [gap[frames_of(p)].min() < 0.02 for p in inside if p.label in BILABIALS]
    assert len(shut) > 6 and all(shut)
    limit = 0.2 * np.percentile(gap, 95)
    touching = [gap[frames_of(p)].min() < limit and tuck[frames_of(p)].max() > 0.15 for p in inside if p.label in "FV"]
    assert len(touching) > 5 and np.mean(touching) > 0.85
    assert np.percentile(gap, 95) > 0.6  # and vowels still open


def test_eight_emotions_differ_and_grow_with_intensity() -> None:
    phones, sound = babble(8, seconds=6.0)

    def mean_face(emotion: str, intensity: float) -> np.ndarray:
        done = perform(phones, sound, Mood(emotion=emotion, intensity=intensity), np.random.default_rng(0))
        return np.median(done.expression, axis=0)

    plain = mean_face("neutral", 0.0)
    faces = {emotion: mean_face(emotion, 1.0) - plain for emotion in EMOTIONS if emotion != "neutral"}
    for one, other in combinations(faces, 2):
        a, b = faces[one], faces[other]
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) < 0.9, (one, other)
    for emotion, face in faces.items():
        half = mean_face(emotion, 0.5) - plain
        assert 0.3 < np.linalg.norm(half) / np.linalg.norm(face) < 0.7, emotion


def test_the_tongue_goes_where_the_consonants_are_made() -> None:
    said = [Said("SIL", 0.0, 0.4)]
    for label in ("T", "AA", "TH", "AA", "K", "AA"):
        said.append(Said(label, said[-1].end_s, said[-1].end_s + 0.15))
    done = perform(said, np.zeros(int(said[-1].end_s * 16000), np.float32), Mood(), np.random.default_rng(0))
    tip_up, tip_out, back_up = (
        {p.label: done.tongue[frames_of(p), channel].max() for p in said} for channel in range(3)
    )
    assert tip_up["T"] > 0.6 and tip_out["TH"] > 0.6 and back_up["K"] > 0.6
    assert tip_out["T"] < 0.3 and tip_up["K"] < 0.4 and done.tongue.min() >= 0 and done.tongue.max() <= 1


def test_singers_sway_with_the_beat() -> None:
    time = (np.arange(3000) + 0.5) / 100
    sway = np.rad2deg(performer.beat_sway(time, performer.Song(beat_s=0.5), np.random.default_rng(1)))
    power = np.abs(np.fft.rfft(sway[:, 2] * np.hanning(3000))) ** 2
    strongest = np.fft.rfftfreq(3000, 0.01)[power[3:].argmax() + 3]
    assert min(abs(strongest - 1.0), abs(strongest - 0.5)) < 0.08  # two beats or four
    assert 0.5 < np.abs(sway[:, 2]).max() < 6


def test_held_vowels_stay_open_and_unmoved() -> None:
    said = [Said("SIL", 0.0, 0.5), Said("M", 0.5, 0.6), Said("AA", 0.6, 2.4), Said("SIL", 2.4, 3.0)]
    sound = np.zeros(48000, np.float32)
    sound[9600:38400] = 0.1
    gap = lip_gap_cm(perform(said, sound, Mood(), np.random.default_rng(0)).expression)
    held = gap[20:55]
    assert held.min() > 0.8 and np.ptp(held) < 0.25 * held.max()
