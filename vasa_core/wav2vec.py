"""wav2vec 2.0 as the ear, for those who have its weights: what the paper listens with (section 3.2), by our interface.

Baevski 2020, through transformers and from a folder on this machine; nothing is ever fetched. Sound is heard in blocks
on a fixed grid with the same context each, so a vector does not depend on how the sound arrived. The motion model must
have been trained on the same vectors: `python -m vasa_core.train.motion --encoder FOLDER`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from vasa_core.clock import SAMPLES_PER_FRAME, frames_for_samples
from vasa_core.errors import MissingWeights
from vasa_core.speech import HALVES

BLOCK = 10
"""Video frames (0.4 s) that are heard at a time."""

BACK, AHEAD = 40, 7
"""Video frames before and after a block that it is understood by: 1.6 s, and as little ahead as our own encoder."""

_EDGE = 40
"""Samples at either end that make one vector of every 320 samples: its first layers see 400 at a time."""


class Wav2VecEncoder:
    """One vector for each video frame, the mean of wav2vec's two; `encode` and `listen` as `speech.SpeechEncoder`."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        self.audio_features: int = model.config.hidden_size

    def encode(self, sound: Float[Tensor, " sample"]) -> Float[Tensor, "frame audio_features"]:
        """One vector for each video frame of the sound, as if silence lay around it; any length, flat memory."""
        blocks = list(self.listen([sound], BLOCK))
        return torch.cat(blocks) if blocks else torch.empty(0, self.audio_features)

    def listen(
        self, sound: Iterable[Float[Tensor, " _"]], block_frames: int
    ) -> Iterator[Float[Tensor, "_ audio_features"]]:
        """The same vectors from a sound that arrives in chunks of any length, `block_frames` of them at a time."""
        waiting = torch.empty(0, self.audio_features)
        for vectors in self._blocks(sound):
            waiting = torch.cat([waiting, vectors])
            while len(waiting) >= block_frames:
                yield waiting[:block_frames]
                waiting = waiting[block_frames:]
        if len(waiting):
            yield waiting

    def _blocks(self, sound: Iterable[Float[Tensor, " _"]]) -> Iterator[Float[Tensor, "block audio_features"]]:
        """Block after block, each as soon as what it needs ahead is there; the last ones meet silence."""
        waiting = torch.zeros(BACK * SAMPLES_PER_FRAME)  # begins `BACK` frames before the next block
        needed = (BACK + BLOCK + AHEAD) * SAMPLES_PER_FRAME
        for chunk in sound:
            waiting = torch.cat([waiting, chunk.float()])
            while len(waiting) >= needed:
                yield self._understood(waiting[:needed])
                waiting = waiting[BLOCK * SAMPLES_PER_FRAME :]
        frames = frames_for_samples(len(waiting)) - BACK
        for _ in range(0, frames, BLOCK):
            yield self._understood(functional.pad(waiting, (0, needed))[:needed])[:frames]
            waiting, frames = waiting[BLOCK * SAMPLES_PER_FRAME :], frames - BLOCK

    @torch.inference_mode()
    def _understood(self, sound: Float[Tensor, " sample"]) -> Float[Tensor, "block audio_features"]:
        """A block's vectors from its sound and context, loudness divided out as in wav2vec's own training."""
        level = (sound - sound.mean()) / (sound.var() + 1e-7).sqrt()
        halves = self.model(functional.pad(level, (_EDGE, _EDGE))[None]).last_hidden_state[0]
        frames = halves.unflatten(0, (-1, HALVES)).mean(1)
        return frames[BACK : BACK + BLOCK].clone()


def load_wav2vec(folder: str | PathLike[str]) -> Wav2VecEncoder:
    """The wav2vec 2.0 model in this folder (config.json and weights), or MissingWeights that says what to do."""
    try:
        from transformers import Wav2Vec2Model
    except ImportError as why:
        raise MissingWeights("wav2vec 2.0 needs transformers: run pip install '.[wav2vec]'.") from why
    if not (Path(folder) / "config.json").is_file():
        raise MissingWeights(f"There is no wav2vec 2.0 model in {folder}: put config.json and its weights there.")
    try:
        return Wav2VecEncoder(Wav2Vec2Model.from_pretrained(str(folder), local_files_only=True))
    except (OSError, ValueError, RuntimeError) as why:
        raise MissingWeights(f"{folder} does not hold a wav2vec 2.0 model: fetch it again.") from why
