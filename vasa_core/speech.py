"""The speech encoder: what one video frame hears of a voice, as one vector (the paper's A, section 3.2).

Log-mel at 100 Hz goes through convolutions at 50 Hz ("halves", two for each video frame) that see `LOOK_BACK_FRAMES`
back and `LOOK_AHEAD_FRAMES` ahead and nothing else: a sound in pieces gives the same vectors as the sound at once.
Each half says: a learned code, how likely each phone of `PHONES` is, voicing, loudness of the voice, and melody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from vasa_core.audio import MEL_RATE_HZ, MELS, MELS_PER_FRAME, log_mel
from vasa_core.clock import FRAME_RATE_HZ, SAMPLES_PER_FRAME, exact_div, frames_for_samples
from vasa_core.errors import MissingWeights

PHONES = (
    *("SIL", "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"),
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH"),
    *("V", "W", "Y", "Z", "ZH"),
)
"""Silence and ARPAbet's 39, in the order of the phone head."""

HALF_RATE_HZ = 50
HALVES = exact_div(HALF_RATE_HZ, FRAME_RATE_HZ)  # 2 halves a video frame
SCALARS = 4  # voicing, loudness, melody, level
AUDIO_FEATURES = 256
"""Width of one frame's vector with the shipped configuration: 2 halves of code 84, phones 40 and 4 scalars."""

F0_CENTRE_HZ = 150.0
"""Melody is in octaves from here, 0 where there is no voice."""

_LEVEL_BACK = 300  # mel frames whose loudest sets the level: 3 s back, none ahead, as that would add to the look-ahead
_STEM_REACH = 3  # mel frames beyond its own two that a half hears before the blocks
_LEVEL_SMOOTHING = 9  # mel frames, odd
_QUIETEST_LEVEL = math.log(1e-9)  # a voice peaking at -60 dB; what is quieter must not be blown up into noise


@dataclass(frozen=True, kw_only=True)
class SpeechEncoderConfig:
    """Size of the encoder; each block is (dilation, hears ahead?) of a kernel of three halves."""

    width: int = 192
    code: int = 84
    blocks: tuple[tuple[int, bool], ...] = (
        *((1, True), (1, True), (2, True), (4, False), (2, True)),
        *((8, False), (3, True), (1, False), (1, False)),
    )

    def __post_init__(self) -> None:
        if self.width < 1 or self.code < 1 or not self.blocks:
            raise ValueError("a speech encoder needs a width, a code and at least one block")

    @property
    def half_features(self) -> int:
        return self.code + len(PHONES) + SCALARS

    @property
    def audio_features(self) -> int:
        return HALVES * self.half_features

    @property
    def look_ahead_frames(self) -> int:
        """Whole video frames after a frame that its vector depends on: blocks, stem and the mel window."""
        halves = sum(dilation for dilation, ahead in self.blocks if ahead)
        mel_frames = 2 * halves + _STEM_REACH + _LEVEL_SMOOTHING // 2 + 1
        return -(-mel_frames // MELS_PER_FRAME)

    @property
    def look_back_frames(self) -> int:
        """Whole video frames before a frame that its vector depends on."""
        halves = sum(dilation if ahead else 2 * dilation for dilation, ahead in self.blocks)
        mel_frames = 2 * halves + _STEM_REACH + _LEVEL_BACK + _LEVEL_SMOOTHING // 2 + 1
        return -(-mel_frames // MELS_PER_FRAME)


LOOK_AHEAD_FRAMES = SpeechEncoderConfig().look_ahead_frames  # 0.28 s
LOOK_BACK_FRAMES = SpeechEncoderConfig().look_back_frames


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What the heads say for each half (50 Hz)."""

    code: Float[Tensor, "*batch half code"]
    phone_logits: Float[Tensor, "*batch half phone=40"]
    voicing_logit: Float[Tensor, "*batch half"]
    loudness: Float[Tensor, "*batch half"]
    """Log energy of the voice without noise, relative to its loudest: 0 is loud, -1 is 60 dB less."""
    melody: Float[Tensor, "*batch half"]
    """Octaves from `F0_CENTRE_HZ`; only meaningful where there is voice."""
    level: Float[Tensor, "*batch half"]
    """How loud the recording has been lately, log power over 10."""


class _Norm(nn.Module):
    """Root-mean-square norm over channels: looks at one moment only, so nothing leaks through time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width, 1))

    def forward(self, hidden: Float[Tensor, "batch width half"]) -> Float[Tensor, "batch width half"]:
        return hidden * torch.rsqrt(hidden.square().mean(1, keepdim=True) + 1e-6) * self.gain


class _Block(nn.Module):
    """A residual convolution over three moments and a mix of channels."""

    def __init__(self, width: int, dilation: int, ahead: bool) -> None:
        super().__init__()
        self.padding = (dilation, dilation) if ahead else (2 * dilation, 0)
        self.norm = _Norm(width)
        self.listen = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.mix.weight)  # every block begins as the identity
        nn.init.zeros_(self.mix.bias)

    def forward(self, hidden: Float[Tensor, "batch width half"]) -> Float[Tensor, "batch width half"]:
        heard = self.listen(functional.pad(self.norm(hidden), self.padding))
        return hidden + self.mix(functional.gelu(heard))


class SpeechEncoder(nn.Module):
    """Our own speech encoder; `encode` is what the rest of the studio calls."""

    def __init__(self, config: SpeechEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SpeechEncoderConfig()
        self.stem = nn.Conv1d(MELS + 1, config.width, 5, padding=2)
        self.halve = nn.Conv1d(config.width, config.width, 4, stride=exact_div(MEL_RATE_HZ, HALF_RATE_HZ), padding=1)
        self.blocks = nn.ModuleList(_Block(config.width, dilation, ahead) for dilation, ahead in config.blocks)
        self.code = nn.Sequential(_Norm(config.width), nn.Conv1d(config.width, config.code, 1), _Norm(config.code))
        self.phone_head = nn.Conv1d(config.code, len(PHONES), 1)
        self.scalar_head = nn.Conv1d(config.code, 3, 1)

    def forward(self, mel: Float[Tensor, "batch mel_frame mel"]) -> Heard:
        """What the heads say of a log-mel spectrogram; beyond its edges there is nothing."""
        level = recent_level(mel)
        hidden = functional.gelu(self.stem(_at_level(mel, level).transpose(1, 2)))
        hidden = self.halve(hidden)  # [batch, width, half]
        for block in self.blocks:
            hidden = block(hidden)
        code = self.code(hidden)
        voicing, loudness, melody = self.scalar_head(code).unbind(1)
        return Heard(
            code=code.transpose(1, 2),
            phone_logits=self.phone_head(code).transpose(1, 2),
            voicing_logit=voicing,
            loudness=loudness,
            melody=melody,
            level=level[:, ::2] / 10,
        )

    @torch.no_grad()
    def encode(
        self, sound: Float[Tensor, " sample"], block_frames: int = 1000
    ) -> Float[Tensor, "frame audio_features"]:
        """One vector for each video frame of the sound, as if silence lay around it; any length, flat memory."""
        frames = frames_for_samples(len(sound))
        blocks = [
            audio_features(self.hear(sound, start, min(start + block_frames, frames)))
            for start in range(0, frames, block_frames)
        ]
        return torch.cat(blocks) if blocks else torch.empty(0, self.config.audio_features)

    def listen(
        self, sound: Iterable[Float[Tensor, " _"]], block_frames: int
    ) -> Iterator[Float[Tensor, "_ audio_features"]]:
        """The same vectors from a sound that arrives in chunks of any length, `block_frames` video frames at a time.

        A block comes as soon as its look-ahead is there; what the chunks' lengths are changes no bit.
        """
        waiting, past, start = torch.zeros(0), 0, 0  # `waiting` begins with frame `past`
        needed = block_frames + self.config.look_ahead_frames
        for chunk in sound:
            waiting = torch.cat([waiting, chunk.float()])
            while len(waiting) >= (start - past + needed) * SAMPLES_PER_FRAME:
                yield self._block(waiting, start - past, block_frames, needed)
                start += block_frames
                gone = max(0, start - past - self.config.look_back_frames)
                waiting, past = waiting[gone * SAMPLES_PER_FRAME :], past + gone
        end = past + frames_for_samples(len(waiting))
        while start < end:
            yield self._block(waiting, start - past, min(block_frames, end - start), needed)
            start += block_frames

    @torch.no_grad()
    def _block(
        self, sound: Float[Tensor, " sample"], start: int, frames: int, needed: int
    ) -> Float[Tensor, "frame audio_features"]:
        """One block of `listen`, always computed at one length: only so are all its bits the same at a sound's end."""
        stop = start + needed - self.config.look_ahead_frames
        return audio_features(self.hear(sound[: (start + needed) * SAMPLES_PER_FRAME], start, stop))[:frames]

    @torch.no_grad()
    def hear(self, sound: Float[Tensor, " sample"], start: int, stop: int) -> Heard:
        """What the heads say of video frames [start, stop) of a sound, with all they depend on."""
        back, ahead = self.config.look_back_frames, self.config.look_ahead_frames
        mel = log_mel(_samples_between(sound, start - back, stop + ahead).to(self.phone_head.weight.device))
        heard = self(mel[None])
        kept = slice(back * HALVES, (stop - start + back) * HALVES)
        return Heard(**{name: value[0, kept] for name, value in vars(heard).items()})


def _samples_between(sound: Float[Tensor, " sample"], start: int, stop: int) -> Float[Tensor, " padded"]:
    """The samples of video frames [start, stop), zeros where the sound has none."""
    first, last = start * SAMPLES_PER_FRAME, stop * SAMPLES_PER_FRAME
    inside = sound[max(first, 0) : max(last, 0)]
    before = min(max(-first, 0), last - first)
    return functional.pad(inside, (before, last - first - before - len(inside)))


def recent_level(mel: Float[Tensor, "batch mel_frame mel"]) -> Float[Tensor, "batch mel_frame"]:
    """Log power of the loudest moment of the last 3 s: the volume knob that is divided out."""
    energy = mel.exp().mean(-1)
    smooth = functional.avg_pool1d(energy[:, None], _LEVEL_SMOOTHING, 1, _LEVEL_SMOOTHING // 2)
    around = functional.pad(smooth, (_LEVEL_BACK, 0))
    loudest = functional.max_pool1d(around, _LEVEL_BACK + 1, 1)[:, 0]
    return loudest.clamp_min(math.exp(_QUIETEST_LEVEL)).log()


def _at_level(
    mel: Float[Tensor, "batch mel_frame mel"], level: Float[Tensor, "batch mel_frame"]
) -> Float[Tensor, "batch mel_frame channel"]:
    """Mel bands relative to the level, about in [-2, 2], and the frame's own energy beside them."""
    relative = (mel - level[..., None]).clamp_min(-12)
    energy = relative.exp().mean(-1, keepdim=True).clamp_min(math.exp(-12)).log()
    return torch.cat([relative, energy], -1) / 4 + 1


def audio_features(heard: Heard) -> Float[Tensor, "*batch frame audio_features"]:
    """The heads' answers as one vector a video frame; melody counts as far as there is voice."""
    voicing = heard.voicing_logit.sigmoid()
    scalars = torch.stack([voicing, heard.loudness, heard.melody * voicing, heard.level], -1)
    halves = torch.cat([heard.code, heard.phone_logits.softmax(-1), scalars], -1)
    return rearrange(halves, "... (frame half) feature -> ... frame (half feature)", half=HALVES)


def silence(features: Float[Tensor, "frame audio_features"]) -> Float[Tensor, " frame"]:
    """How likely nobody speaks in each frame, as its vector says: the mean over its halves."""
    halves = features.unflatten(1, (HALVES, -1))
    return halves[..., -len(PHONES) - SCALARS + PHONES.index("SIL")].mean(1)


def bilabial(features: Float[Tensor, "frame audio_features"]) -> Float[Tensor, "frame half"]:
    """How likely a P, B or M is heard, as each frame's vector says of each of its halves."""
    halves = features.unflatten(1, (HALVES, -1))
    phones = halves[..., -len(PHONES) - SCALARS : -SCALARS]
    return phones[..., [PHONES.index(phone) for phone in ("P", "B", "M")]].sum(-1)


def clearness(features: Float[Tensor, "frame audio_features"]) -> Float[Tensor, "frame half"]:
    """How likely the likeliest phone is in each half, 0 where that is silence: how well a voice is heard."""
    halves = features.unflatten(1, (HALVES, -1))
    phones = halves[..., -len(PHONES) - SCALARS : -SCALARS]
    return phones.amax(-1) * (phones[..., PHONES.index("SIL")] < 0.5)


def save_speech_encoder(encoder: SpeechEncoder, path: str | PathLike[str]) -> None:
    """Writes weights as half floats with the configuration inside."""
    weights = {name: value.detach().to(torch.float16).contiguous() for name, value in encoder.state_dict().items()}
    save_file(weights, str(path), metadata={"config": json.dumps(asdict(encoder.config))})


def load_speech_encoder(path: str | PathLike[str]) -> SpeechEncoder:
    """The encoder stored at this path, ready to listen; `MissingWeights` when it is not there or does not fit."""
    path = Path(path)
    if not path.is_file():
        raise MissingWeights(f"The speech encoder's weights are not at {path}: restore the file from the repository.")
    try:
        with safe_open(str(path), framework="pt") as stored:
            settings = json.loads((stored.metadata() or {})["config"])
            weights = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
        settings["blocks"] = tuple((int(dilation), bool(ahead)) for dilation, ahead in settings["blocks"])
        encoder = SpeechEncoder(SpeechEncoderConfig(**settings))
        encoder.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as why:
        raise MissingWeights(f"{path} does not fit this version of the speech encoder: fetch it again.") from why
    return encoder.eval().requires_grad_(False)
