"""The emotion judge: which of eight moods some frames of a talking face show, and how strongly.

It sees what `seen.Stage` reads off rendered frames (MediaPipe's landmarks as an expression code, averaged over the
frames, so that speech averages out) and was trained on rendered performances of other sitters; the generator never met
it. The peers' complaint is labels that change nothing (Ditto, issues 26 and 89); the paper shows four moods in figure 5
and gives no figure for them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from vasa_core.controls import EMOTIONS
from vasa_core.evaluate.seen import Sighting
from vasa_core.latents import EXPRESSION

OPEN_LIDS = 0.6
"""Frames in which the lids are less open than this (of the portrait's) are blinks and say nothing of the mood."""

SIGNS = EXPRESSION + 1


class EmotionJudge(nn.Module):
    """Two layers from signs to moods."""

    sign_mean: Tensor
    sign_std: Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("sign_mean", torch.zeros(SIGNS))
        self.register_buffer("sign_std", torch.ones(SIGNS))
        self.layers = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(SIGNS, width), nn.GELU(), nn.Dropout(0.2), nn.Linear(width, len(EMOTIONS))
        )

    def forward(self, signs: Float[Tensor, "clip signs=49"]) -> Float[Tensor, "clip emotions=8"]:
        """Logits."""
        return self.layers((signs - self.sign_mean) / self.sign_std)


def signs_of(sighting: Sighting) -> Float[np.ndarray, " signs=49"]:
    """The mean expression code and how wide the eyes are, over frames that are no blink."""
    awake = sighting.lids > OPEN_LIDS
    awake = awake if awake.any() else np.ones(len(awake), bool)
    return np.concatenate([sighting.expression[awake].mean(0), [sighting.lids[awake].mean() - 1]])


@torch.no_grad()
def judged(judge: EmotionJudge, signs: Float[np.ndarray, " signs=49"]) -> Float[np.ndarray, " emotions=8"]:
    """How likely each mood is."""
    return judge(torch.from_numpy(signs).float()[None]).softmax(-1)[0].numpy()


@torch.no_grad()
def strength(judge: EmotionJudge, signs: Float[np.ndarray, " signs=49"], emotion: str) -> float:
    """How much rather this mood than a plain face: the difference of their logits."""
    logits = judge(torch.from_numpy(signs).float()[None])[0]
    return float(logits[EMOTIONS.index(emotion)] - logits[0])


def emotion_loss(judge: EmotionJudge, signs: Tensor, named: Int[Tensor, " clip"]) -> Tensor:
    """Cross entropy with a little doubt about every label."""
    return functional.cross_entropy(judge(signs), named, label_smoothing=0.05)
