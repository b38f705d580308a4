"""Sound in and what the ear sees of it: any file to mono 16 kHz samples, and samples to a log-mel spectrogram.

Axes: `sample` at `clock.SAMPLE_RATE_HZ`, `mel_frame` at `MEL_RATE_HZ`, `mel` from low to high. Mel frame k is centred
on the middle of hop k, so frames [4n, 4n+4) are exactly what video frame n hears. Powers are relative to full scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, exact_div
from vasa_core.errors import BadSound

try:
    import av
except ModuleNotFoundError:  # only files need it: machines that train or measure may do without
    av = None  # type: ignore[assignment]

MEL_RATE_HZ = 100
MELS = 80
HOP = exact_div(SAMPLE_RATE_HZ, MEL_RATE_HZ)  # 160 samples, 10 ms
WINDOW = exact_div(SAMPLE_RATE_HZ, 40)  # 400 samples, 25 ms
MELS_PER_FRAME = exact_div(MEL_RATE_HZ, FRAME_RATE_HZ)  # 4 mel frames hear one video frame
FFT = 512
FLOOR = 1e-12
"""Power below which everything counts as silence: a tone 120 dB under full scale, about 16-bit noise in one band."""

_SHORT_BY_S = 1.0
"""A file may end this much earlier than its header says before it counts as cut off; encoders pad by under 0.1 s."""


def load_sound(path: str | PathLike[str]) -> Float[Tensor, " sample"]:
    """Any sound file, or the sound of a video, as mono float32 at 16 kHz; `BadSound` says why it cannot be used."""
    path = Path(path)
    if not path.is_file():
        raise BadSound(f"There is no sound file at {path}: check the path.")
    samples = bytearray()  # grows in place: one copy of the sound, whatever its length
    try:
        with av.open(str(path)) as container:
            declared_s = _declared_s(container)
            for block in _blocks(container, path):
                samples += block.tobytes()
    except av.error.FFmpegError as why:
        raise BadSound(f"{path.name} cannot be read as sound ({why.strerror}): convert it to WAV or MP3.") from why
    return _checked(torch.frombuffer(samples, dtype=torch.float32) if samples else torch.empty(0), declared_s, path)


def _blocks(container: av.container.InputContainer, path: Path) -> Iterator[np.ndarray]:
    """The best audio stream, decoded and resampled block by block."""
    stream = container.streams.best("audio")
    if stream is None:
        raise BadSound(f"{path.name} has no sound in it: choose a file with an audio track.")
    resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE_HZ)
    for frame in chain(container.decode(stream), [None]):
        assert frame is None or isinstance(frame, av.AudioFrame)
        if frame is not None:
            frame.pts = None  # gaps in time stamps must not insert or drop samples
        # The mean of the channels: FFmpeg's own mono is 3 dB louder and clips.
        yield from (block.to_ndarray().mean(0) for block in resampler.resample(frame))


def _declared_s(container: av.container.InputContainer) -> float:
    """The length the file claims in seconds; 0 where FFmpeg only guesses it from the bit rate."""
    if container.format.name in ("mp3", "aac"):
        return 0.0
    stream = container.streams.best("audio")
    if stream is None or stream.duration is None or stream.time_base is None:
        return 0.0
    return float(stream.duration * stream.time_base)


def _share_missing(path: Path) -> float:
    """How much of a WAV file is not there by its own header; FFmpeg believes the size of the file instead."""
    with path.open("rb") as file:
        head = file.read(8)
    promised = int.from_bytes(head[4:], "little") + 8
    streamed = promised <= 8 or promised > 0xFFFFFF00  # written to a pipe: the size was not known
    return 0.0 if head[:4] != b"RIFF" or streamed else max(0.0, 1 - path.stat().st_size / promised)


def _checked(sound: Float[Tensor, " sample"], declared_s: float, path: Path) -> Float[Tensor, " sample"]:
    """The sound itself, unless it is empty, cut off or not made of numbers."""
    length_s = len(sound) / SAMPLE_RATE_HZ
    declared_s = max(declared_s, length_s / (1 - min(_share_missing(path), 0.999)))
    if len(sound) == 0:
        raise BadSound(f"{path.name} holds 0 seconds of sound: choose a longer recording.")
    if length_s < declared_s - max(_SHORT_BY_S, 0.02 * declared_s):
        raise BadSound(f"{path.name} is cut off ({length_s:.1f} s of {declared_s:.1f} s): copy or export it again.")
    if not bool(torch.isfinite(sound).all()):
        raise BadSound(f"{path.name} holds values that are not numbers: export it again.")
    return sound


def mel_frames_for_samples(samples: int) -> int:
    """How many mel frames cover this many samples."""
    return -(-samples // HOP)


def log_mel(
    sound: Float[Tensor, "*batch sample"], filters: Float[Tensor, "bin mel"] | None = None
) -> Float[Tensor, "*batch mel_frame mel"]:
    """Natural log of the power in each mel band (a full-scale tone is near 0), zeros assumed outside the sound."""
    frames = mel_frames_for_samples(sound.shape[-1])
    margin = exact_div(WINDOW - HOP, 2)
    sound = torch.nn.functional.pad(sound, (margin, margin + frames * HOP - sound.shape[-1]))
    window = torch.hann_window(WINDOW, periodic=False, device=sound.device)
    spectrum = torch.fft.rfft(sound.unfold(-1, WINDOW, HOP) * (2 * window / window.sum()), n=FFT)
    power = spectrum.real.square() + spectrum.imag.square()
    filters = mel_filters() if filters is None else filters
    return (power @ filters.to(power.device)).clamp_min(FLOOR).log()


@cache
def mel_filters(warp: float = 1.0) -> Float[Tensor, "bin mel"]:
    """Triangles equally spaced in mel, each reaching 1 at its centre; `warp` > 1 hears a shorter vocal tract."""
    edges_hz = _hz_from_mel(torch.linspace(0, _mel_from_hz(SAMPLE_RATE_HZ / 2), MELS + 2)) / warp
    bins_hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, FFT // 2 + 1)[:, None]
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rise, fall = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    return torch.minimum(rise, fall).clamp_min(0)


def mel_centres_hz() -> Float[Tensor, " mel"]:
    """The frequency each mel band is centred on."""
    return _hz_from_mel(torch.linspace(0, _mel_from_hz(SAMPLE_RATE_HZ / 2), MELS + 2))[1:-1]


def _mel_from_hz(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))  # O'Shaughnessy (1987)


def _hz_from_mel(mel: Float[Tensor, " mel"]) -> Float[Tensor, " mel"]:
    return 700 * (10 ** (mel / 2595) - 1)
