"""Voices taken apart, sung and said otherwise: pitch, vibrato and phone times are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the training world needs scipy: pip install 'vasa_core[world]'")

import spoken

from vasa_core.world import sound_stage, vocoder
from vasa_core.world.singing import Note, Score, rendered, retimed, sung, sung_pitch
from vasa_core.world.sound_stage import Manner, said_otherwise
from vasa_core.world.vocoder import FRAMES_PER_S


def cents(one: np.ndarray | float, other: float) -> float:
    return float(np.median(np.abs(1200 * np.log2(np.asarray(one) / other))))


@pytest.mark.parametrize("hertz", [85.0, 137.0, 220.0, 430.0])
def test_pitch_of_a_known_tone(hertz: float) -> None:
    found = vocoder.pitch(spoken.vowel("AA", hertz, 0.5).astype(np.float32))[10:-10]
    assert (found > 0).all() and cents(found, hertz) < 12


def test_noise_and_silence_have_no_pitch() -> None:
    rng = np.random.default_rng(0)
    assert (vocoder.pitch(rng.normal(size=8000).astype(np.float32)) > 0).mean() < 0.1
    assert (vocoder.pitch(np.zeros(8000, np.float32)) == 0).all()


@pytest.mark.parametrize("ratio", [0.85, 1.2])
def test_a_shorter_throat_has_higher_formants_at_the_same_pitch(ratio: float) -> None:
    said = spoken.utterance(130.0)
    changed = said_otherwise(said, Manner(formants=ratio), np.random.default_rng(0))
    middle = int(0.5 * FRAMES_PER_S)
    peaks = []
    for sound in (said.sound.numpy(), changed.sound.numpy()):
        voice = vocoder.analysed(sound)
        assert cents(voice.f0_hz[middle - 8 : middle + 8], 130.0) < 12
        peaks.append(30 + voice.envelope[middle, 30:60].argmax() if ratio else 0)  # 470 to 940 Hz: AA's first formant
    assert peaks[1] / peaks[0] == pytest.approx(ratio, abs=0.06)


def test_sung_vowels_carry_the_asked_notes_and_vibrato() -> None:
    said = spoken.utterance(120.0)
    rng = np.random.default_rng(1)
    phones = retimed(said.phones, 0.8, rng)
    vowels = [phone for phone in phones if phone.label in spoken.FORMANTS_HZ]
    asked = (146.8, 164.8, 130.8)
    notes = tuple(Note(start_s=p.start_s, end_s=p.end_s, hertz=hertz) for p, hertz in zip(vowels, asked, strict=True))
    score = Score(notes=notes, beat_s=0.8, vibrato_hz=5.6, vibrato_semitones=0.6)
    f0_hz = vocoder.pitch(rendered(vocoder.analysed(said.sound.numpy()), said.phones, phones, score, rng).numpy())
    for note in notes:
        held = f0_hz[int((note.start_s + 0.06) * FRAMES_PER_S) : int((note.end_s - 0.05) * FRAMES_PER_S)]
        assert (held > 0).mean() > 0.9
        assert 1200 * np.log2(np.exp(np.log(held[held > 0]).mean()) / note.hertz) == pytest.approx(0, abs=30)
    longest = max(notes, key=lambda note: note.end_s - note.start_s)
    swung = f0_hz[int((longest.start_s + 0.4) * FRAMES_PER_S) : int((longest.end_s - 0.06) * FRAMES_PER_S)]
    semitones = 12 * np.log2(swung / longest.hertz)
    spectrum = np.abs(np.fft.rfft((semitones - semitones.mean()) * np.hanning(len(semitones)), 4096))
    rate = np.fft.rfftfreq(4096, 1 / FRAMES_PER_S)[10:][spectrum[10:].argmax()]
    assert rate == pytest.approx(5.6, abs=0.4)
    assert 0.3 < (semitones.max() - semitones.min()) / 2 < 0.9


def test_vibrato_waits_and_short_notes_have_none() -> None:
    time = np.arange(0, 1.0, 0.005)
    score = Score(notes=(Note(start_s=0.0, end_s=1.0, hertz=200.0),), beat_s=0.5, vibrato_hz=5.5, vibrato_semitones=1)
    curve = sung_pitch(time, score, np.random.default_rng(0))
    assert cents(curve[:40], 200.0) < 25 and np.ptp(12 * np.log2(curve[80:180])) > 1.4
    brief = Score(notes=(Note(start_s=0.0, end_s=0.3, hertz=200.0),), beat_s=0.5, vibrato_hz=5.5, vibrato_semitones=1)
    assert np.ptp(12 * np.log2(sung_pitch(time[:60], brief, np.random.default_rng(0)))) < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_a_sung_phrase_is_longer_keeps_its_phones_and_says_its_beat(seed: int) -> None:
    said = spoken.utterance()
    song, score = sung(said, np.random.default_rng(seed))
    assert spoken.covers(song) and song.duration_s > said.duration_s
    assert [p.label for p in song.phones] == [p.label for p in said.phones]
    assert song.beat_s == score.beat_s > 0 and len(score.notes) == 3


MANNERS = {
    "fast": Manner(tempo=1.5),
    "slow": Manner(tempo=0.7),
    "high": Manner(pitch=1.6, formants=1.2),
    "whispered": Manner(whispered=True),
    "loud": Manner(effort_db=5, pitch=1.2),
    "lively": Manner(pitch_range=2.0),
    "anything": Manner.drawn(np.random.default_rng(5)),
}


@pytest.mark.parametrize("name", MANNERS)
def test_phone_times_still_cover_the_sound_in_every_manner(name: str) -> None:
    said = spoken.utterance()
    other = said_otherwise(said, MANNERS[name], np.random.default_rng(0))
    assert spoken.covers(other) and [p.label for p in other.phones] == [p.label for p in said.phones]
    assert float(other.sound.abs().max()) <= 1


def test_manners_do_what_they_are_called() -> None:
    said, rng = spoken.utterance(120.0), np.random.default_rng(0)
    assert said_otherwise(said, MANNERS["fast"], rng).duration_s < 0.75 * said.duration_s
    high = vocoder.pitch(said_otherwise(said, MANNERS["high"], rng).sound.numpy())
    assert cents(high[high > 0], 192.0) < 15
    assert (vocoder.pitch(said_otherwise(said, MANNERS["whispered"], rng).sound.numpy()) > 0).mean() < 0.08


def test_vowels_stay_on_their_sound_when_the_tempo_changes() -> None:
    slow = said_otherwise(spoken.utterance(), Manner(tempo=0.7), np.random.default_rng(0))
    for phone in slow.phones:
        inside = slow.sound[int((phone.start_s + 0.03) * 16_000) : int((phone.end_s - 0.03) * 16_000)].numpy()
        if phone.label in spoken.FORMANTS_HZ:
            assert inside.std() > 0.03
        if phone.label == "SIL":
            assert inside.std() < 0.01


# --------------------------------------------------------------------------- the stage


@pytest.mark.parametrize(
    ("codec", "bit_rate", "agreement"), [("mp3", 32_000, 0.97), ("opus", 14_000, 0.7), ("telephone", 64_000, 0.9)]
)
def test_codecs_return_the_voice_on_time(codec: str, bit_rate: int, agreement: float) -> None:
    sound = spoken.utterance().sound.numpy()
    heard = sound_stage.through_codec(sound, codec, bit_rate)
    assert len(heard) == len(sound) and np.corrcoef(sound, heard)[0, 1] > agreement
    assert sound_stage.on_time(np.r_[np.zeros(777), sound], sound) == pytest.approx(sound, abs=1e-6)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_as_its_colour_says(slope: float) -> None:
    power = np.abs(np.fft.rfft(sound_stage.noise(64_000, slope, np.random.default_rng(0)))) ** 2
    octaves = [power[int(4 * low) : int(8 * low)].mean() for low in (200, 1600)]
    assert np.log2(octaves[0] / octaves[1]) / 3 == pytest.approx(slope, abs=0.15)


def test_under_keeps_the_asked_ratio_and_rooms_start_with_the_sound_itself() -> None:
    rng = np.random.default_rng(0)
    sound = spoken.utterance().sound.numpy()
    for bed in (sound_stage.music(len(sound), rng), sound_stage.hum(len(sound), rng),
                sound_stage.babble([spoken.utterance()], len(sound), rng)):  # fmt: skip
        added = sound_stage.under(sound, bed, 12.0) - sound
        assert 20 * np.log10(sound.std() / added.std()) == pytest.approx(12, abs=0.3)
    click = np.zeros(4000)
    click[100] = 1
    heard = sound_stage.in_room(click, sound_stage.room(rng))
    assert len(heard) == 4000 and heard[:100] == pytest.approx(0, abs=1e-9) and heard[100] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(6))
def test_staging_keeps_length_phones_and_bounds(seed: int) -> None:
    said = spoken.utterance()
    heard = sound_stage.staged(said, [said], np.random.default_rng(seed))
    assert len(heard.sound) == len(said.sound) and heard.phones == said.phones
    assert float(heard.sound.abs().max()) <= 1 and bool(heard.sound.isfinite().all())
