"""A voice taken apart and put together: pitch, envelope and time, so that one utterance can be said or sung otherwise.

The manner of WORLD (Morise, Yokomori and Ozawa 2016), small: pitch by autocorrelation and dynamic programming, the
spectral envelope by a window of three periods and smoothing over harmonics, synthesis by minimum-phase pulses and
noise. Sounds are mono float32 at 16 kHz; frames are 5 ms apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from vasa_core.clock import SAMPLE_RATE_HZ

HOP = 80
FRAMES_PER_S = SAMPLE_RATE_HZ / HOP
FFT = 1024
BINS = FFT // 2 + 1
LOWEST_HZ, HIGHEST_HZ = 64.0, 640.0
UNVOICED_HZ = 250.0  # how finely the envelope of what has no pitch is seen
_HERTZ = np.arange(BINS) * SAMPLE_RATE_HZ / FFT


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """An utterance frame by frame: pitch in Hz (0 where there is none) and the power envelope of its sound."""

    f0_hz: Float[ndarray, " frame"]
    envelope: Float[ndarray, "frame bin=513"]

    @property
    def seconds(self) -> float:
        return len(self.f0_hz) / FRAMES_PER_S

    def median_hz(self) -> float:
        """The speaker's usual pitch; 120 Hz where nothing is voiced."""
        voiced = self.f0_hz[self.f0_hz > 0]
        return float(np.median(voiced)) if len(voiced) else 120.0


def analysed(sound: Float[ndarray, " sample"]) -> Voice:
    """The voice in a clean sound."""
    f0_hz = pitch(sound)
    return Voice(f0_hz=f0_hz, envelope=envelope(sound, f0_hz))


# --------------------------------------------------------------------------- pitch


def _framed(sound: Float[ndarray, " sample"], width: int, frames: int) -> Float[ndarray, "frame width"]:
    """Stretches of the sound centred on each frame."""
    padded = np.pad(sound.astype(np.float64), (width // 2, width // 2 + HOP))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[: frames * HOP : HOP]


def pitch(sound: Float[ndarray, " sample"]) -> Float[ndarray, " frame"]:
    """Hz at each frame, 0 where unvoiced: the smoothest path over the peaks of the autocorrelation."""
    frames = len(sound) // HOP
    width, shortest, longest = 800, int(SAMPLE_RATE_HZ / HIGHEST_HZ), int(SAMPLE_RATE_HZ / LOWEST_HZ)
    pieces = _framed(sound, width, frames) * np.hanning(width)
    power = np.mean(pieces**2, axis=1)
    spectrum = np.abs(np.fft.rfft(pieces - pieces.mean(1, keepdims=True), 2048, axis=1)) ** 2
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(width), 2048)) ** 2)
    correlation = np.fft.irfft(spectrum, axis=1)[:, : longest + 2]
    correlation /= np.maximum(correlation[:, :1], 1e-9) * (taper[: longest + 2] / taper[0])
    lags = np.arange(shortest, longest + 1)
    score = correlation[:, lags] - 0.0006 * lags  # of equal peaks the shortest period
    bounds = np.unique(np.geomspace(1, longest - shortest + 2, 80).astype(int) - 1)[:-1]  # finer where notes are high
    coarse = _smoothest(np.maximum.reduceat(score, bounds, axis=1), lags[bounds])
    ends = np.r_[bounds[1:], len(lags)]
    outside = (np.arange(len(lags)) < bounds[coarse][:, None]) | (np.arange(len(lags)) >= ends[coarse][:, None])
    at = lags[np.where(outside, -np.inf, score).argmax(1)]
    left, middle, right = (correlation[np.arange(frames), at + step] for step in (-1, 0, 1))
    curvature = left - 2 * middle + right
    fraction = np.where(curvature < -1e-9, 0.5 * (left - right) / np.minimum(curvature, -1e-9), 0.0)
    voiced = (middle > 0.5) & (power > 1e-4 * np.percentile(power, 95)) & (power > 1e-8)
    return np.where(voiced, SAMPLE_RATE_HZ / (at + np.clip(fraction, -0.5, 0.5)), 0.0)


def _smoothest(score: Float[ndarray, "frame lag"], lags: ndarray) -> ndarray:
    """The best path through the scores where a jump costs by its size in octaves (Viterbi)."""
    octaves = np.log2(lags)
    jump = 0.8 * np.abs(octaves[:, None] - octaves[None])
    best, back = score[0], np.zeros(score.shape, np.int32)
    for frame in range(1, len(score)):
        reached = best[None] - jump
        back[frame] = reached.argmax(1)
        best = reached[np.arange(len(lags)), back[frame]] + score[frame]
    path = np.zeros(len(score), np.int64)
    path[-1] = best.argmax()
    for frame in range(len(score) - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path


# --------------------------------------------------------------------------- envelope


def envelope(sound: Float[ndarray, " sample"], f0_hz: Float[ndarray, " frame"]) -> Float[ndarray, "frame bin=513"]:
    """Power at each frequency without the harmonics' ripple (CheapTrick, Morise 2015)."""
    f0 = np.where(f0_hz > 0, f0_hz, UNVOICED_HZ)[:, None]
    offset_s = (np.arange(FFT) - FFT // 2) / SAMPLE_RATE_HZ
    window = np.where(np.abs(offset_s) < 1.5 / f0, 0.5 + 0.5 * np.cos(2 * np.pi * offset_s * f0 / 3), 0.0)
    window /= np.sqrt((window**2).sum(1, keepdims=True))
    pieces = _framed(sound, FFT, len(f0_hz)) * window
    pieces -= window * (pieces.sum(1, keepdims=True) / window.sum(1, keepdims=True))
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2 + 1e-12
    cepstrum = np.fft.irfft(np.log(_averaged(power, f0 / 3)), axis=1)
    quefrency_s = np.minimum(np.arange(FFT), FFT - np.arange(FFT)) / SAMPLE_RATE_HZ
    lifter = np.sinc(f0 * quefrency_s) * (1.18 - 0.18 * np.cos(2 * np.pi * quefrency_s * f0))
    return np.exp(np.fft.rfft(cepstrum * lifter, axis=1).real)


def _averaged(power: Float[ndarray, "frame bin"], reach_hz: Float[ndarray, "frame 1"]) -> Float[ndarray, "frame bin"]:
    """Each value's mean over its neighbourhood in frequency, by sums from the start; mirrored at both ends."""
    margin = 48
    mirrored = np.concatenate([power[:, margin:0:-1], power, power[:, -2 : -margin - 2 : -1]], axis=1)
    sums = np.concatenate([np.zeros((len(power), 1)), np.cumsum(mirrored, axis=1)], axis=1)
    reach = np.minimum(reach_hz * FFT / SAMPLE_RATE_HZ, margin - 2)
    middle = np.arange(BINS)[None] + margin + 0.5
    return (_read(sums, middle + reach) - _read(sums, middle - reach)) / (2 * reach)


def _read(rows: Float[ndarray, "frame n"], at: Float[ndarray, "frame m"]) -> Float[ndarray, "frame m"]:
    """Each row read between its values."""
    low = np.clip(at.astype(int), 0, rows.shape[1] - 2)
    part = np.clip(at - low, 0, 1)
    return np.take_along_axis(rows, low, 1) * (1 - part) + np.take_along_axis(rows, low + 1, 1) * part


def warped(power: Float[ndarray, "frame bin=513"], ratio: float) -> Float[ndarray, "frame bin=513"]:
    """The envelope of a vocal tract `ratio` times shorter: formants that much higher."""
    at = np.minimum(np.arange(BINS) / ratio, BINS - 1.0)
    low = np.minimum(at.astype(int), BINS - 2)
    part = at - low
    log_power = np.log(power + 1e-14)
    return np.exp(log_power[:, low] * (1 - part) + log_power[:, low + 1] * part)


# --------------------------------------------------------------------------- synthesis


def synthesised(
    voice: Voice, place: Float[ndarray, " frame"], f0_hz: Float[ndarray, " frame"], breath: float,
    rng: np.random.Generator,
) -> Float[ndarray, " sample"]:  # fmt: skip
    """Sound of which frame k has the envelope of the voice's frame `place[k]` and the pitch `f0_hz[k]`.

    `breath` from 0 to 1 is how much of the excitation is noise; where the pitch is 0 all of it is.
    """
    at = np.clip(np.round(place).astype(int), 0, len(voice.envelope) - 1)
    hiss = np.clip(0.01 + 0.45 / (1 + np.exp(-(_HERTZ - 4700) / 700)) + breath, 0, 1)
    noise = _noise(voice.envelope[at], np.where((f0_hz > 0)[:, None], hiss, 1.0), rng)
    sound = noise + _pulses(voice.envelope[at], f0_hz, 1 - hiss)
    return sound.astype(np.float32)


def _minimum_phase(power: Float[ndarray, "n bin=513"]) -> ndarray:
    """The spectrum with this power whose impulse response comes as early as can be."""
    cepstrum = np.fft.irfft(0.5 * np.log(power + 1e-14), axis=1)
    cepstrum[:, 1 : FFT // 2] *= 2
    cepstrum[:, FFT // 2 + 1 :] = 0
    return np.exp(np.fft.rfft(cepstrum, axis=1))


def _pulses(
    power: Float[ndarray, "frame bin=513"], f0_hz: Float[ndarray, " frame"], share: Float[ndarray, " bin=513"]
) -> Float[ndarray, " sample"]:
    """One response for each glottal pulse, placed between samples where it falls."""
    samples = len(f0_hz) * HOP
    out = np.zeros(samples + FFT)
    per_sample = np.interp(np.arange(samples) / HOP, np.arange(len(f0_hz)), f0_hz)
    voiced = np.repeat(f0_hz > 0, HOP)
    turns = np.cumsum(np.where(voiced, np.maximum(per_sample, 50.0), 0.0) / SAMPLE_RATE_HZ)
    begun = np.flatnonzero(np.diff(np.floor(turns)) > 0) + 1
    if not len(begun):
        return out[:samples]
    rate = turns[begun] - turns[begun - 1]
    fraction = (turns[begun] - np.floor(turns[begun])) / rate  # how long before this sample the pulse fell
    spectrum = _minimum_phase(power[begun // HOP]) * np.sqrt(share)
    spectrum *= np.exp(2j * np.pi * np.arange(BINS) / FFT * fraction[:, None]) / np.sqrt(rate)[:, None]
    response = np.fft.irfft(spectrum, axis=1)
    np.add.at(out, begun[:, None] + np.arange(FFT), response)
    return out[:samples]


def _noise(
    power: Float[ndarray, "frame bin=513"], share: Float[ndarray, "frame bin=513"], rng: np.random.Generator
) -> Float[ndarray, " sample"]:
    """Fresh noise under each frame's envelope, joined."""
    frames = len(power)
    out = np.zeros(frames * HOP + FFT)
    excitation = np.fft.rfft(rng.normal(size=(frames, HOP)), FFT, axis=1)
    pieces = np.fft.irfft(excitation * _minimum_phase(power * share), axis=1)
    np.add.at(out, np.arange(frames)[:, None] * HOP + np.arange(FFT), pieces)
    return out[: frames * HOP]
