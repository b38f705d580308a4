"""CAPP, contrastive audio-pose pretraining (paper section 4.2): whether this head moves to this voice.

A sound encoder and an encoder of head turns, both over 3 s, learn which of many belong together (as CLIP does); the
score is the cosine of their vectors. The paper's model (Wav2Vec2 and a transformer, on 2,000 hours) was never released:
ours has the same task and length, is small, learned from performances, with windows of the same take moved in time
among the wrong answers; its vector is what twelve curves say over the 3 s, so when counts as well as what. It is
believed only as far as its score falls when the head is moved against the sound (paper, table 3: 0.608, one frame
0.462, two 0.206, three 0.069) and when turns are scaled (table 4: x0.2 0.368, x1 0.608, x3 0.505). Paper, table 1:
0.468, real people 0.588.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional

from vasa_core.audio import MELS_PER_FRAME
from vasa_core.clock import FRAME_RATE_HZ

WINDOW = 3 * FRAME_RATE_HZ
TURNS = 9
"""Yaw, pitch and roll about the window's mean, their change from frame to frame, and the size of that change."""

BANDS = 20
"""Four mel bands each: loudness and melody matter here, not phones."""

STRIDE = 10  # frames between the windows that a clip is judged by


def _tower(inputs: int, width: int, curves: int) -> nn.Sequential:
    """Three convolutions over a second in all, then a few curves."""
    return nn.Sequential(
        nn.Conv1d(inputs, width, 9, padding=4), nn.GELU(),
        nn.Conv1d(width, width, 9, padding=4), nn.GELU(),
        nn.Conv1d(width, width, 9, padding=4), nn.GELU(),
        nn.Conv1d(width, curves, 1),
    )  # fmt: skip


class CappJudge(nn.Module):
    """Two towers for 3 s of sound and of head turns."""

    def __init__(self, width: int = 64, curves: int = 12) -> None:
        super().__init__()
        self.audio, self.pose = _tower(2 * BANDS, width, curves), _tower(TURNS, width, curves)
        self.sharpness = nn.Parameter(torch.tensor(2.0))

    def hear(self, mel: Float[Tensor, "batch 300 mel"]) -> Float[Tensor, "batch size"]:
        """Unit vectors of 3 s of sound; takes what `sync.levelled` gives."""
        return _unit(self.audio(loudness(mel).transpose(1, 2)))

    def see(self, turns: Float[Tensor, "batch 75 turns"]) -> Float[Tensor, "batch size"]:
        """Unit vectors of 3 s of head turns; takes what `turned` gives."""
        return _unit(self.pose(turns.transpose(1, 2)))


def _unit(curves: Float[Tensor, "batch curve frame"]) -> Float[Tensor, "batch size"]:
    """Curves about their own means, as one vector of length 1."""
    return functional.normalize((curves - curves.mean(-1, keepdim=True)).flatten(1), dim=-1)


def loudness(mel: Float[Tensor, "batch mel_frame mel"]) -> Float[Tensor, "batch frame channel"]:
    """Loudness in wide bands, once a video frame, and how it changes within the frame."""
    bands = reduce(mel, "batch time (band four) -> batch time band", "mean", four=mel.shape[-1] // BANDS)
    moments = rearrange(bands, "batch (frame four) band -> batch frame four band", four=MELS_PER_FRAME)
    return torch.cat([moments.mean(2), moments[:, :, -1] - moments[:, :, 0]], dim=-1)


def turned(turns_deg: Float[Tensor, "batch 75 3"]) -> Float[Tensor, "batch 75 turns"]:
    """Turns about the window's mean, their speed, and its size, all about of size 1."""
    about_mean = turns_deg - turns_deg.mean(1, keepdim=True)
    speed = functional.pad(turns_deg.diff(dim=1), (0, 0, 1, 0))
    return torch.cat([about_mean / 4, speed, speed.abs()], dim=-1)


def windows(mel: Float[Tensor, "mel_frame mel"], starts: Sequence[int]) -> Float[Tensor, "batch 300 mel"]:
    """The sound of the windows that start at these frames; `mel` as `sync.heard` gives it."""
    return torch.stack([mel[s * MELS_PER_FRAME : (s + WINDOW) * MELS_PER_FRAME] for s in starts])


@torch.no_grad()
def judged(judge: CappJudge, mel: Float[Tensor, "mel_frame mel"], turns_deg: Float[ndarray, "frame 3"]) -> float:
    """Mean cosine over the clip's windows; NaN for a clip under 3 s."""
    return shifted(judge, mel, turns_deg, (0,), STRIDE)[0]


@torch.no_grad()
def shifted(
    judge: CappJudge,
    mel: Float[Tensor, "mel_frame mel"],
    turns_deg: Float[ndarray, "frame 3"],
    shifts: Sequence[int],
    stride: int = 1,
    scale: float = 1.0,
) -> list[float]:
    """The mean cosine with the head taken each of these frames later (`stride` divides them), turns `scale` times."""
    starts = list(range(0, len(turns_deg) - WINDOW + 1, stride))
    if not starts:
        return [float("nan")] * len(shifts)
    turns = torch.from_numpy(np.asarray(turns_deg, np.float32)) * scale
    sounds = judge.hear(windows(mel, starts))
    heads = judge.see(turned(torch.stack([turns[s : s + WINDOW] for s in starts])))
    scores = []
    for shift in shifts:
        step = shift // stride
        first, last = max(0, -step), min(len(starts), len(starts) - step)
        both = (sounds[first:last] * heads[first + step : last + step]).sum(-1)
        scores.append(float(both.mean()) if last > first else float("nan"))
    return scores


def capp_loss(judge: CappJudge, mel: Tensor, turns_deg: Tensor) -> Tensor:
    """Each sound must find its own head among all of the batch, and each head its sound."""
    with torch.autocast("cpu", torch.bfloat16):  # half of the time
        sounds, heads = judge.hear(mel), judge.see(turned(turns_deg))
    likeness = judge.sharpness.exp() * sounds.float() @ heads.float().T
    target = torch.arange(len(likeness))
    return (functional.cross_entropy(likeness, target) + functional.cross_entropy(likeness.T, target)) / 2
