"""Sounds in every format against known tones, and mel frames against answers known beforehand."""

from __future__ import annotations

import math
import wave

import av
import numpy as np
import pytest
import torch

from vasa_core.audio import (
    FLOOR,
    HOP,
    MELS,
    MELS_PER_FRAME,
    load_sound,
    log_mel,
    mel_centres_hz,
    mel_filters,
    mel_frames_for_samples,
)
from vasa_core.clock import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from vasa_core.errors import BadSound


def tone(hertz: float, seconds: float, rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32)


def write_wave(path, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """16-bit PCM, [channel, sample] or [sample]."""
    samples = np.atleast_2d(samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples.T * 32767).round().astype("<i2").tobytes())


def write_encoded(path, codec: str, samples: np.ndarray, rate_hz: int, picture: bool = False) -> None:
    """Through PyAV: a compressed sound, with a still picture beside it when asked for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        if picture:
            video = container.add_stream("mpeg4", rate=25)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for _ in range(25):
                container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
            container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate_hz, frame_size=stream.frame_size or 0
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def test_samples_of_a_wave_file_arrive_unchanged(tmp_path):
    samples = tone(440, 1.0) * 0.5
    write_wave(tmp_path / "tone.wav", samples)
    sound = load_sound(tmp_path / "tone.wav")
    assert sound.dtype == torch.float32
    assert np.abs(sound.numpy() - samples).max() < 1e-4


def test_stereo_at_another_rate_becomes_its_mean_at_ours(tmp_path):
    left, right = tone(440, 1.0, 44100) * 0.5, tone(1000, 1.0, 44100) * 0.5
    write_wave(tmp_path / "stereo.wav", np.stack([left, right]), 44100)
    sound = load_sound(tmp_path / "stereo.wav").numpy()
    expected = (tone(440, 1.0) + tone(1000, 1.0)) / 4
    assert abs(len(sound) - SAMPLE_RATE_HZ) <= 2
    middle = slice(1000, 15000)
    assert np.abs(sound[middle] - expected[middle]).max() < 2e-3


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [
        ("a.mp3", "libmp3lame", 44100),
        ("a.flac", "flac", 22050),
        ("a.ogg", "libopus", 48000),
        ("a.m4a", "aac", 48000),
        ("a.opus", "libopus", 48000),
    ],
)
def test_every_format_gives_the_same_tone(tmp_path, name, codec, rate_hz):
    write_encoded(tmp_path / name, codec, tone(440, 2.0, rate_hz) * 0.5, rate_hz)
    sound = load_sound(tmp_path / name)
    assert abs(len(sound) / SAMPLE_RATE_HZ - 2.0) < 0.12  # codecs pad to whole packets
    spectrum = torch.fft.rfft(sound[4000:28000]).abs()
    assert abs(spectrum.argmax().item() * SAMPLE_RATE_HZ / 24000 - 440) < 1


def test_the_sound_of_a_video_is_its_sound(tmp_path):
    write_encoded(tmp_path / "film.mp4", "aac", tone(300, 1.0, 44100) * 0.5, 44100, picture=True)
    assert abs(len(load_sound(tmp_path / "film.mp4")) / SAMPLE_RATE_HZ - 1.0) < 0.1


def test_what_is_no_sound_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "text.wav").write_text("these are words, not a sound")
    write_wave(tmp_path / "empty.wav", np.zeros(0))
    write_encoded(tmp_path / "whole.m4a", "aac", tone(440, 4.0), 16000)
    whole = (tmp_path / "whole.m4a").read_bytes()
    (tmp_path / "half.m4a").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "folder.wav").mkdir()
    refusals = {
        "absent.wav": "no sound file",
        "folder.wav": "no sound file",
        "text.wav": "cannot be read as sound",
        "empty.wav": "0 seconds|cannot be read as sound",
        "half.m4a": "cannot be read as sound",
    }
    for name, reason in refusals.items():
        with pytest.raises(BadSound, match=reason) as refused:
            load_sound(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_a_file_much_shorter_than_its_header_says_is_refused(tmp_path):
    write_wave(tmp_path / "whole.wav", np.zeros((2, 20 * 44100)), 44100)
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "half.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadSound, match=r"cut off \(10.0 s of 20.0 s\)"):
        load_sound(tmp_path / "half.wav")


def test_a_film_without_sound_is_refused(tmp_path):
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
    with pytest.raises(BadSound, match="no sound in it"):
        load_sound(tmp_path / "mute.mp4")


def test_ten_minutes_load_whole(tmp_path):
    write_wave(tmp_path / "long.wav", np.tile(tone(200, 1.0), 600) * 0.1)
    assert len(load_sound(tmp_path / "long.wav")) == 600 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("band", [10, 30, 50, 70])
def test_a_tone_lands_in_its_band_at_its_loudness(band):
    """The loudest band is the one centred on the tone, and a full-scale tone's power there is 1."""
    mel = log_mel(torch.from_numpy(tone(mel_centres_hz()[band].item(), 0.5)))
    assert mel[25].argmax() == band
    assert abs(mel[25, band].item()) < 0.7  # the window spreads it over a few bins


def test_loudness_is_in_nepers_of_power():
    quiet, loud = (log_mel(torch.from_numpy(tone(1000, 0.3) * gain))[15].max() for gain in (0.1, 1.0))
    assert (loud - quiet).item() == pytest.approx(math.log(100), abs=1e-4)


def test_a_shift_by_one_hop_is_a_shift_by_one_frame():
    sound = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_mel(sound[HOP:])[2:-2], log_mel(sound)[3:-2])


def test_a_click_is_heard_by_the_frames_around_it_only():
    sound = torch.zeros(3200)
    sound[HOP * 10 + HOP // 2] = 1.0  # the middle of hop 10
    heard = (log_mel(sound) > math.log(FLOOR) + 1).any(-1).nonzero().flatten()
    assert heard.tolist() == [9, 10, 11]


def test_silence_is_the_floor_and_frames_cover_every_sample():
    assert torch.equal(log_mel(torch.zeros(161)), torch.full((2, MELS), math.log(FLOOR)))
    assert [mel_frames_for_samples(n) for n in (0, 1, 160, 161)] == [0, 1, 1, 2]
    assert MELS_PER_FRAME * HOP == SAMPLES_PER_FRAME


def test_a_batch_is_its_rows():
    sounds = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_mel(sounds)[1], log_mel(sounds[1]))


def test_each_triangle_peaks_where_it_says_and_a_warp_moves_it():
    bins_hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, mel_filters().shape[0])
    peaks_hz = bins_hz[mel_filters()[:, 40:].argmax(0)]
    assert (peaks_hz - mel_centres_hz()[40:]).abs().max() < 16  # half a bin
    warped_hz = bins_hz[mel_filters(1.1)[:, 40:].argmax(0)]
    assert (warped_hz - mel_centres_hz()[40:] / 1.1).abs().max() < 16
