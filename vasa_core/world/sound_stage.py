"""What happens to a voice before it is heard: another speaker, another manner, a room, noise, music, a codec.

Speaker and manner change the voice itself and carry the phone times along; room, noise, music and codec leave the times
as they are. Nothing here is a recording: rooms, noises and music are made by these few lines, babble by our own voices.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import av
import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.signal import fftconvolve

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.world.curves import VOWELS
from vasa_core.world.utterances import Phone, Utterance
from vasa_core.world.vocoder import FRAMES_PER_S, HOP, Voice, analysed, synthesised, warped

# --------------------------------------------------------------------------- speaker and manner


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How an utterance is said, relative to how it was: 1 changes nothing."""

    pitch: float = 1.0
    pitch_range: float = 1.0
    formants: float = 1.0
    tempo: float = 1.0
    effort_db: float = 0.0
    """Over 0 louder: more power in high harmonics, an octave at a time from 500 Hz; under 0 softer."""
    breath: float = 0.0
    whispered: bool = False

    @staticmethod
    def drawn(rng: np.random.Generator) -> Manner:
        """Another speaker most of the time; now and then whispered, shouted, hurried or drawling, lively or flat."""
        formants = float(np.clip(rng.normal(1.0, 0.08), 0.84, 1.22))
        kinds = ["plain", "whispered", "loud", "soft", "lively", "flat"]
        kind = str(rng.choice(kinds, p=[0.5, 0.06, 0.12, 0.1, 0.14, 0.08]))
        lively = float(rng.uniform(1.5, 2.0))
        pitch = formants**2.2 * 2 ** float(rng.normal(0, 0.12))
        tempo = float(np.clip(2 ** rng.normal(0, 0.22), 0.68, 1.6))
        return {
            "plain": Manner(pitch=pitch, formants=formants, tempo=tempo, pitch_range=float(rng.uniform(0.7, 1.3))),
            "whispered": Manner(formants=formants, tempo=min(tempo, 1.1), whispered=True),
            "loud": Manner(pitch=pitch * 1.25, formants=formants, tempo=tempo, pitch_range=1.3, effort_db=4.0),
            "soft": Manner(pitch=pitch * 0.95, formants=formants, tempo=tempo, effort_db=-3.0, breath=0.12),
            "lively": Manner(pitch=pitch * 1.08, formants=formants, tempo=tempo, pitch_range=lively),
            "flat": Manner(pitch=pitch, formants=formants, tempo=tempo, pitch_range=float(rng.uniform(0.1, 0.5))),
        }[kind]


def said_otherwise(utterance: Utterance, manner: Manner, rng: np.random.Generator) -> Utterance:
    """The same words in another manner; phone times follow the tempo, which vowels take more of than consonants."""
    voice = analysed(utterance.sound.numpy())
    phones = hurried(utterance.phones, manner.tempo)
    frames = round(phones[-1].end_s * FRAMES_PER_S)
    time = np.arange(frames) / FRAMES_PER_S
    new = [0.0, *(phone.end_s for phone in phones)]
    old = [0.0, *(phone.end_s for phone in utterance.phones)]
    place = np.interp(time, new, old) * FRAMES_PER_S
    nearest = np.clip(np.round(place).astype(int), 0, len(voice.f0_hz) - 1)
    f0_hz = np.zeros(frames) if manner.whispered else intonation(voice, manner)[nearest]
    recast = replace(voice, envelope=with_effort(warped(voice.envelope, manner.formants), manner))
    sound = synthesised(recast, place, f0_hz, manner.breath, rng)
    sound *= 10 ** (manner.effort_db / 20) * (0.35 if manner.whispered else 1.0)
    sound = torch.from_numpy(np.clip(sound / max(1.0, 1.05 * float(np.abs(sound).max())), -1, 1))
    return replace(utterance, sound=sound, phones=phones)


def hurried(phones: Sequence[Phone], tempo: float) -> tuple[Phone, ...]:
    """Phone times at another tempo: silences and vowels change by it, consonants by its square root."""
    now, placed = 0.0, []
    for phone in phones:
        elastic = phone.label in VOWELS or phone.label == "SIL"
        length = (phone.end_s - phone.start_s) / (tempo if elastic else np.sqrt(tempo))
        placed.append(Phone(label=phone.label, start_s=now, end_s=now + length))
        now += length
    whole = max(round(now * FRAMES_PER_S) * HOP / SAMPLE_RATE_HZ, placed[-1].start_s + HOP / SAMPLE_RATE_HZ)
    placed[-1] = replace(placed[-1], end_s=whole)
    return tuple(placed)


def intonation(voice: Voice, manner: Manner) -> Float[ndarray, " frame"]:
    """The pitch curve, moved and stretched about the speaker's median."""
    median = voice.median_hz()
    octaves = np.log2(np.where(voice.f0_hz > 0, voice.f0_hz, median) / median)
    moved = median * manner.pitch * 2 ** np.clip(octaves * manner.pitch_range, -1.2, 1.4)
    return np.where(voice.f0_hz > 0, np.clip(moved, 55, 900), 0.0)


def with_effort(envelope: Float[ndarray, "frame bin=513"], manner: Manner) -> Float[ndarray, "frame bin=513"]:
    """The envelope tilted as by a louder or softer voice; whispers lose what lies under 500 Hz."""
    hertz = np.maximum(np.arange(envelope.shape[1]) * SAMPLE_RATE_HZ / 1024, 60.0)
    tilt_db = 0.5 * manner.effort_db * np.clip(np.log2(hertz / 500), -1, 3)
    if manner.whispered:
        tilt_db = tilt_db - 14 / (1 + (hertz / 450) ** 4)
    return envelope * 10 ** (tilt_db / 10)


# --------------------------------------------------------------------------- room


def room(rng: np.random.Generator) -> Float[ndarray, " sample"]:
    """An impulse response: the direct sound, a dozen early reflections, and noise that dies away by 60 dB in 0.15-1 s.

    High tones die sooner, as walls and air would have it.
    """
    decay_s = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0))))
    count = int(decay_s * SAMPLE_RATE_HZ)
    time = np.arange(count) / SAMPLE_RATE_HZ
    bright = rng.normal(size=count) * 10 ** (-3 * time / (0.55 * decay_s))
    dull = np.convolve(rng.normal(size=count), np.ones(8) / np.sqrt(8), "same") * 10 ** (-3 * time / decay_s)
    tail = (0.5 * bright + dull) * np.clip((time - 0.004) / 0.02, 0, 1)
    tail *= 10 ** (rng.uniform(-22, -4) / 20) / np.sqrt((tail**2).sum())
    for _ in range(12):
        tail[min(int(rng.exponential(0.012) * SAMPLE_RATE_HZ) + 24, count - 1)] += rng.choice([-1, 1]) * rng.uniform(
            0, 0.25
        )
    tail[0] = 1.0
    return tail


def in_room(sound: Float[ndarray, " sample"], answer: Float[ndarray, " answer"]) -> Float[ndarray, " sample"]:
    """The sound as it is heard in that room, as long as before and on time."""
    return fftconvolve(sound, answer)[: len(sound)]


# --------------------------------------------------------------------------- noise, babble, music


def noise(samples: int, slope: float, rng: np.random.Generator) -> Float[ndarray, " sample"]:
    """Unit power, falling as f^-slope in power: 0 white, 1 pink, 2 brown; -1 is hissing."""
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 30.0)
    curve = np.fft.irfft(np.fft.rfft(rng.normal(size=samples)) * hertz ** (-slope / 2), samples)
    return curve / curve.std()


def hum(samples: int, rng: np.random.Generator) -> Float[ndarray, " sample"]:
    """Mains and fans: 50 or 60 Hz with its overtones, over brown noise, of unit power."""
    time, base = np.arange(samples) / SAMPLE_RATE_HZ, float(rng.choice([50.0, 60.0]))
    tones = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * k * base * time + rng.uniform(0, 6)) for k in range(1, 9))
    curve = np.asarray(tones) + 0.5 * noise(samples, 2.0, rng)
    return curve / curve.std()


def babble(others: Sequence[Utterance], samples: int, rng: np.random.Generator) -> Float[ndarray, " sample"]:
    """Four to eight of our own voices at once, of unit power."""
    mixed = np.zeros(samples)
    for _ in range(int(rng.integers(4, 9))):
        one = others[rng.integers(len(others))].sound.numpy()
        turned = np.roll(np.resize(one, samples), int(rng.integers(samples)))
        mixed += turned / (turned.std() + 1e-6) * rng.uniform(0.4, 1.0)
    return mixed / (mixed.std() + 1e-9)


CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14), (2, 5, 9), (4, 7, 11))
"""Triads of a major key: I, vi, IV, V, ii, iii."""


def music(samples: int, rng: np.random.Generator) -> Float[ndarray, " sample"]:
    """A band of ours: chords, bass and drums in a random key, tempo and timbre, of unit power."""
    beat = int(SAMPLE_RATE_HZ * rng.uniform(0.33, 0.75))
    key, out = float(110 * 2 ** (rng.integers(0, 12) / 12)), np.zeros(samples + 8 * beat)
    progression = rng.choice(len(CHORDS), size=4)
    decay_s, overtones = rng.uniform(0.3, 1.8), int(rng.integers(2, 8))
    drums, bass = rng.random() < 0.75, rng.random() < 0.85
    string = cache(_string)  # a band plays few notes, and often
    for number in range(samples // beat + 1):
        begin, chord = number * beat, CHORDS[progression[(number // 4) % 4]]
        if number % 2 == 0 or rng.random() < 0.3:
            for tone in chord:
                _add(out, begin, 0.3 * string(key * 2 ** (tone / 12), decay_s, overtones))
        if bass and number % 2 == 0:
            _add(out, begin, 0.9 * string(key / 2 * 2 ** (chord[0] / 12), 0.5, 3))
        if drums:
            _add(out, begin, _drum(number % 2 == 0, rng))
            _add(out, begin + beat // 2, 0.25 * _hat(rng))
    curve = out[:samples]
    return curve / (curve.std() + 1e-9)


def _add(out: ndarray, begin: int, piece: ndarray) -> None:
    end = min(len(out), begin + len(piece))
    out[begin:end] += piece[: end - begin]


def _string(hertz: float, decay_s: float, overtones: int) -> Float[ndarray, " sample"]:
    time = np.arange(int(2.5 * decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    turn, fading = np.exp(2j * np.pi * hertz * time), np.exp(-time / decay_s)
    step = turn * fading  # overtone k turns k times as fast and dies k times as soon: powers of the first
    power, total = np.ones(len(time), complex), np.zeros(len(time))
    for k in range(1, overtones):
        power = power * step
        total += power.imag / k**1.2
    return total * np.clip(time / 0.004, 0, 1)


def _drum(low: bool, rng: np.random.Generator) -> Float[ndarray, " sample"]:
    """A kick that falls in pitch, or a snare of tone and noise."""
    time = np.arange(int(0.25 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    if low:
        return 1.4 * np.sin(2 * np.pi * (48 * time + 1.6 * (1 - np.exp(-time / 0.03)))) * np.exp(-time / 0.09)
    return (0.4 * np.sin(2 * np.pi * 190 * time) + 0.5 * rng.normal(size=len(time))) * np.exp(-time / 0.06)


def _hat(rng: np.random.Generator) -> Float[ndarray, " sample"]:
    time = np.arange(int(0.06 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.diff(rng.normal(size=len(time) + 1)) * np.exp(-time / 0.015)


def under(
    sound: Float[ndarray, " sample"], other: Float[ndarray, " sample"], ratio_db: float
) -> Float[ndarray, " sample"]:
    """The sound with something of unit power below it by so many decibels, counted from the sound's own power."""
    return sound + other * (float(np.sqrt(np.mean(sound**2))) + 1e-6) * 10 ** (-ratio_db / 20)


# --------------------------------------------------------------------------- codec

CODECS = {
    "mp3": ("libmp3lame", "mp3", 16_000, (24_000, 32_000, 48_000)),
    "opus": ("libopus", "ogg", 16_000, (6_000, 9_000, 14_000, 24_000)),
    "telephone": ("pcm_mulaw", "wav", 8_000, (64_000,)),
}
"""Encoder, container, sample rate and bit rates."""


def through_codec(sound: Float[ndarray, " sample"], codec: str, bit_rate: int) -> Float[ndarray, " sample"]:
    """The sound as it comes back from a codec, as long as before, its delay taken out."""
    encoder, container, rate_hz, _ = CODECS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(encoder, rate=rate_hz, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if codec != "telephone":
            stream.bit_rate = bit_rate
        pcm = (np.clip(sound, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=rate_hz,
            frame_size=stream.codec_context.frame_size or 0,
        )  # fmt: skip
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as back:
        again = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        pieces = [p.to_ndarray()[0] for f in back.decode(audio=0) for p in again.resample(f)]
        pieces += [p.to_ndarray()[0] for p in again.resample(None)]
    return on_time(np.concatenate(pieces), sound)


def on_time(late: Float[ndarray, " heard"], sound: Float[ndarray, " sample"]) -> Float[ndarray, " sample"]:
    """What came back, moved to where it agrees best with what went in, and as long."""
    size = 1 << int(len(late) + len(sound)).bit_length()
    agreement = np.fft.irfft(np.fft.rfft(late, size) * np.conj(np.fft.rfft(sound, size)), size)
    reach = SAMPLE_RATE_HZ // 5
    window = np.r_[agreement[-reach:], agreement[:reach]]
    lag = int(window.argmax()) - reach
    moved = late[lag:] if lag >= 0 else np.r_[np.zeros(-lag), late]
    return np.resize(np.pad(moved, (0, max(0, len(sound) - len(moved)))), len(sound)).astype(np.float32)


# --------------------------------------------------------------------------- all of it


def staged(utterance: Utterance, others: Sequence[Utterance], rng: np.random.Generator) -> Utterance:
    """The utterance as a microphone somewhere might hear it; phones keep their times."""
    sound = utterance.sound.numpy().astype(np.float64)
    if rng.random() < 0.45:
        sound = in_room(sound, room(rng))
    if rng.random() < 0.25:
        sound = under(sound, music(len(sound), rng), rng.uniform(0, 22))
    if rng.random() < 0.15 and others:
        sound = under(sound, babble(others, len(sound), rng), rng.uniform(5, 22))
    if rng.random() < 0.45:
        bed = hum(len(sound), rng) if rng.random() < 0.2 else noise(len(sound), rng.uniform(-0.5, 2.2), rng)
        sound = under(sound, bed, rng.uniform(3, 40))
    sound = sound / max(1.0, 1.02 * float(np.abs(sound).max()))
    if rng.random() < 0.3:
        codec = str(rng.choice(list(CODECS)))
        sound = through_codec(sound, codec, int(rng.choice(CODECS[codec][3])))
    peak = 10 ** (rng.uniform(-30, -0.5) / 20)
    sound = np.clip(sound * peak / max(float(np.abs(sound).max()), 1e-4), -1, 1)
    return replace(utterance, sound=torch.from_numpy(sound.astype(np.float32)))
