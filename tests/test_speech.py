"""The speech encoder hears a bounded window, the same in pieces as at once; its truth and its voices are right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY

from vasa_core.audio import load_sound
from vasa_core.clock import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples
from vasa_core.errors import MissingWeights
from vasa_core.speech import (
    AUDIO_FEATURES,
    LOOK_AHEAD_FRAMES,
    LOOK_BACK_FRAMES,
    PHONES,
    SpeechEncoder,
    SpeechEncoderConfig,
    load_speech_encoder,
    save_speech_encoder,
)

WEIGHTS = REPOSITORY / "assets/weights/speech.safetensors"
CLOSED = [PHONES.index(phone) for phone in ("P", "B", "M")]
TINY = SpeechEncoderConfig(width=16, code=8, blocks=((1, True), (2, True), (4, False)))


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    """Bursts of noise: loud and quiet second by second, so that the level moves."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    generator = torch.Generator().manual_seed(seed)
    loudness = 10 ** (-torch.rand(samples // 8000 + 1, generator=generator)).repeat_interleave(8000)[:samples]
    return 0.3 * loudness * torch.randn(samples, generator=generator)


@pytest.fixture
def encoder() -> SpeechEncoder:
    """An untrained encoder whose every weight matters."""
    torch.manual_seed(0)
    made = SpeechEncoder().eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return made


@pytest.fixture(scope="module")
def trained() -> SpeechEncoder:
    return load_speech_encoder(WEIGHTS)


def heard_phones(encoder: SpeechEncoder, sound: torch.Tensor) -> torch.Tensor:
    """Phone probabilities for each half."""
    return encoder.hear(sound, 0, frames_for_samples(len(sound))).phone_logits.softmax(-1)


@pytest.mark.parametrize("samples", [1, 639, 640, 641, 16000, 33333])
def test_there_is_one_vector_for_each_video_frame(encoder, samples):
    features = encoder.encode(noise(3)[:samples])
    assert features.shape == (frames_for_samples(samples), AUDIO_FEATURES)


def test_no_sound_is_no_frames(encoder):
    assert encoder.encode(torch.empty(0)).shape == (0, AUDIO_FEATURES)


@pytest.mark.parametrize("block_frames", [1, 7, 100])
def test_blocks_of_any_length_give_the_same_vectors(encoder, block_frames):
    sound = noise(5)
    torch.testing.assert_close(encoder.encode(sound, block_frames), encoder.encode(sound), atol=1e-4, rtol=1e-4)


def test_what_lies_beyond_the_look_ahead_and_look_back_changes_nothing(encoder):
    sound, frame = noise(12), 150
    whole = encoder.encode(sound)[frame]
    near = sound.clone()
    near[: (frame - LOOK_BACK_FRAMES) * SAMPLES_PER_FRAME] = 0
    near[(frame + 1 + LOOK_AHEAD_FRAMES) * SAMPLES_PER_FRAME :] = 0.5
    torch.testing.assert_close(encoder.encode(near)[frame], whole, atol=1e-5, rtol=1e-5)


def test_the_look_ahead_is_used_and_short(encoder):
    assert LOOK_AHEAD_FRAMES / 25 <= 0.3
    sound, frame = noise(4), 50
    other = sound.clone()
    other[(frame + LOOK_AHEAD_FRAMES - 3) * SAMPLES_PER_FRAME :] = 0.5
    assert not torch.allclose(encoder.encode(other)[frame], encoder.encode(sound)[frame])


def test_a_later_start_gives_the_same_vectors_later(encoder):
    sound = noise(2)
    delayed = torch.cat([torch.zeros(10 * SAMPLES_PER_FRAME), sound])
    torch.testing.assert_close(encoder.encode(delayed)[10:], encoder.encode(sound), atol=1e-4, rtol=1e-4)


def test_silence_is_always_the_same(encoder):
    features = encoder.encode(torch.zeros(3 * SAMPLE_RATE_HZ))
    torch.testing.assert_close(features, features[:1].expand_as(features), atol=1e-5, rtol=1e-5)


def test_a_quiet_recording_is_heard_like_a_loud_one(encoder):
    """Only the level itself (the last number of each half) tells them apart."""
    sound = noise(3)
    loud, quiet = (encoder.hear(gain * sound, 0, 75) for gain in (1.0, 0.1))
    inside = slice(40, -20)  # away from the digital silence around, which has no level
    torch.testing.assert_close(quiet.code[inside], loud.code[inside], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        loud.level - quiet.level, torch.full_like(loud.level, np.log(100) / 10), atol=1e-4, rtol=0
    )


def test_weights_travel_with_their_configuration(tmp_path):
    made = SpeechEncoder(TINY).half().float().eval()
    save_speech_encoder(made, tmp_path / "tiny.safetensors")
    back = load_speech_encoder(tmp_path / "tiny.safetensors")
    assert back.config == TINY
    assert torch.equal(back.encode(noise(1)), made.encode(noise(1)))


def test_missing_or_foreign_weights_are_refused(tmp_path):
    with pytest.raises(MissingWeights, match="restore"):
        load_speech_encoder(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights at all, only words and more words")
    with pytest.raises(MissingWeights, match="does not fit"):
        load_speech_encoder(tmp_path / "text.safetensors")
    with pytest.raises(ValueError, match="at least one block"):
        SpeechEncoderConfig(blocks=())


# --- the trained weights


def test_the_trained_encoder_hears_closed_lips_and_silence_in_our_own_voice(trained):
    """'Maybe my mother may bring home a bag of plums …' begins and ends in silence and is full of p, b, m."""
    phones = heard_phones(trained, load_sound(REPOSITORY / "assets/voices/english.flac"))
    silence = phones[:, 0]
    assert silence[2:8].mean() > 0.8
    assert silence[-8:-2].mean() > 0.8
    said = phones.argmax(-1)
    assert 0.08 < torch.isin(said, torch.tensor(CLOSED)).float().mean() < 0.35
    runs = (torch.isin(said, torch.tensor(CLOSED)).int().diff() == 1).sum()
    assert 10 <= runs <= 28  # 19 in the text


def test_the_trained_encoder_hears_nothing_in_silence(trained):
    phones = heard_phones(trained, torch.zeros(2 * SAMPLE_RATE_HZ))
    assert phones[:, 0].min() > 0.8


def test_the_trained_weights_are_small():
    assert WEIGHTS.stat().st_size < 10_000_000


# --- the truth it learns from


def test_the_pitch_of_a_tone_with_overtones_is_found():
    from vasa_core.train.speech import measured_f0

    seconds = torch.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for hertz in (80.0, 150.0, 320.0):
        sound = sum(torch.sin(2 * torch.pi * hertz * k * seconds) / k for k in range(1, 6)) / 4
        f0_hz, periodicity = measured_f0(sound)
        assert (f0_hz[10:-10] / hertz).log2().abs().max() < 0.04  # half a semitone
        assert periodicity[10:-10].min() > 0.9
    _, periodicity = measured_f0(0.1 * torch.randn(SAMPLE_RATE_HZ, generator=torch.Generator().manual_seed(0)))
    assert periodicity.median() < 0.5


def test_spoiling_keeps_time():
    """A click in a spoiled sound is where it was: a room answers after it, a band does not move it."""
    from vasa_core.train.speech import band_limited, companded, convolved, room

    click = torch.zeros(1, 16000)
    click[0, 8000] = 1.0
    dry_room = room((1, 4000), torch.Generator().manual_seed(0))
    assert convolved(click, dry_room)[0].abs().argmax() == 8000
    assert convolved(click, dry_room)[0, :8000].abs().max() < 1e-5
    assert band_limited(click, torch.tensor([300.0]), torch.tensor([3400.0]))[0].abs().argmax() == 8000
    torch.testing.assert_close(companded(click), click)


def test_noise_comes_in_at_the_ratio_asked_for():
    from vasa_core.train.speech import coloured_noise, mixed, music

    generator = torch.Generator().manual_seed(0)
    sound = torch.sin(torch.arange(32000) / 10)[None]
    for other in (coloured_noise((1, 32000), generator), music((1, 32000), generator)):
        added = mixed(sound, other, torch.tensor([10.0])) - sound
        ratio_db = 10 * (sound.square().mean() / added.square().mean()).log10()
        assert ratio_db.item() == pytest.approx(10.0, abs=0.01)


# --- the voices


def spoken(phones: list[tuple[str, float, float]], seconds: float = 1.0):
    from vasa_core.world.voices import Phone, Utterance

    return Utterance(
        sound=noise(seconds).clamp(-1, 1),
        phones=tuple(Phone(label=label, start_s=start, end_s=end) for label, start, end in phones),
        speaker="nobody",
        language="en",
        source="test",
    )


def test_sounds_of_other_languages_become_the_mouth_they_look_like():
    from vasa_core.world.voices import NEAREST_PHONES, phones_from_ipa

    pytest.importorskip("soxr")
    assert phones_from_ipa("yː") == ("UW",)  # French u: rounded
    assert phones_from_ipa("tʃʲ") == ("CH",)
    assert phones_from_ipa("ɲ") == ("N", "Y")
    assert phones_from_ipa("ɔ̃") == ("AO",)
    assert {phone for phones in NEAREST_PHONES.values() for phone in phones} == set(PHONES) - {"SIL"}


def test_phones_cover_the_sound_and_silence_can_be_put_around_them():
    from vasa_core.world.voices import phones_from_starts, with_silence

    phones = phones_from_starts([(0.25, ("T", "S")), (0.5, ()), (0.75, ("AA",))], 1.0)
    assert [(p.label, p.start_s, p.end_s) for p in phones] == [
        ("SIL", 0.0, 0.25),
        ("T", 0.25, 0.5),
        ("S", 0.5, 0.75),
        ("AA", 0.75, 1.0),
    ]
    quiet = with_silence(spoken([("SIL", 0.0, 0.25), ("AA", 0.25, 1.0)]), 0.5, 0.25)
    assert [(p.label, p.start_s, p.end_s) for p in quiet.phones] == [
        ("SIL", 0.0, 0.75),
        ("AA", 0.75, 1.5),
        ("SIL", 1.5, 1.75),
    ]
    assert len(quiet.sound) == 1.75 * SAMPLE_RATE_HZ


def test_utterances_come_back_from_their_shard(tmp_path):
    from vasa_core.world.voices import load_utterances, write_shard

    said = [spoken([("SIL", 0.0, 0.25), ("M", 0.25, 1.0)]), spoken([("AA", 0.0, 0.5)], 0.5)]
    write_shard(tmp_path / "a.npz", said)
    back = load_utterances(tmp_path)
    for before, after in zip(said, back, strict=True):
        assert (after.phones, after.speaker, after.language) == (before.phones, before.speaker, before.language)
        torch.testing.assert_close(after.sound, before.sound, atol=2e-5, rtol=0)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_says_when_each_phone_sounds():
    """The pause it reports is silent and its vowels are loud."""
    from vasa_core.world.voices import Espeak

    sound, phones = Espeak().say("papa, mama", "it", words_per_minute=120)
    assert [phone.label for phone in phones if phone.label in "PM"] == ["P", "P", "M", "M"]
    assert phones[0].start_s == 0
    assert phones[-1].end_s == pytest.approx(len(sound) / SAMPLE_RATE_HZ, abs=1e-3)
    for phone in phones:
        heard = sound[int(phone.start_s * SAMPLE_RATE_HZ) : int(phone.end_s * SAMPLE_RATE_HZ)].abs()
        if phone.label == "AA":
            assert heard.mean() > 0.02
        elif phone.label == "SIL" and phone.end_s - phone.start_s > 0.1:
            middle = heard[len(heard) // 3 : -len(heard) // 3]
            assert middle.max() < 0.01


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_says_when_each_phone_sounds():
    from vasa_core.world.voices import flite_utterance

    said = flite_utterance("my map", "slt")
    assert [phone.label for phone in said.phones if phone.label != "SIL"] == ["M", "AY", "M", "AE", "P"]
    assert said.phones[-1].end_s == pytest.approx(said.duration_s)


def test_two_utterances_can_be_learnt(tmp_path: Path):
    """Sixty steps on two tones called AA and M: the loss falls by half."""
    from vasa_core.audio import log_mel
    from vasa_core.train.speech import batch_of, lesson, loss_of
    from vasa_core.world.voices import Phone, Utterance

    def hummed(label: str, hertz: float) -> Utterance:
        sound = 0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(32000) / SAMPLE_RATE_HZ)
        return Utterance(
            sound=sound,
            phones=(Phone(label=label, start_s=0.0, end_s=2.0),),
            speaker="nobody",
            language="en",
            source="test",
        )

    lessons = [lesson(hummed("AA", 700.0)), lesson(hummed("M", 200.0))]
    torch.manual_seed(0)
    encoder, rng = SpeechEncoder(TINY), np.random.default_rng(0)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        sound, truth = batch_of(lessons, 4, rng)
        losses.append(loss_of(encoder(log_mel(sound)), truth, torch.ones(len(PHONES))))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1].item() < 0.5 * losses[0].item()


@pytest.mark.parametrize("chunk", [160, 641, 7000])
def test_listening_in_chunks_of_any_length_gives_the_same_bits(chunk: int) -> None:
    encoder = SpeechEncoder(TINY).eval()
    sound = torch.randn(16000 * 2 + 123, generator=torch.Generator().manual_seed(1))
    whole = torch.cat(list(encoder.listen([sound], 8)))
    pieces = torch.cat(list(encoder.listen(sound.split(chunk), 8)))
    assert torch.equal(whole, pieces)
    assert torch.allclose(whole, encoder.encode(sound), atol=1e-4)


def test_listening_gives_each_block_as_soon_as_its_look_ahead_is_there() -> None:
    encoder, taken = SpeechEncoder().eval(), []

    def chunks():
        for _ in range(60):
            taken.append(1)
            yield torch.zeros(640)

    assert len(next(encoder.listen(chunks(), 8))) == 8
    assert len(taken) == 8 + encoder.config.look_ahead_frames


def test_listening_to_nothing_gives_nothing() -> None:
    assert not list(SpeechEncoder().eval().listen([torch.zeros(0)], 8))
