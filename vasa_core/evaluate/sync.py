"""The sync judge: whether these lips say this sound, how surely, and how many frames apart they are.

After SyncNet (Chung and Zisserman 2016): 0.2 s of sound and 0.2 s of lips become two vectors that lie near each other
where they belong together. As in its public evaluation, distances are averaged over the clip for every offset within
15 frames; S_D is the least of them, S_C the median less the least, the offset is where the least lies (> 0: lips late).
Ours sees the lips' landmarks from the front instead of pixels, so performed, generated and rendered lips are judged
alike, and learns by multi-way matching within the clip (Chung 2019, "Perfect match") on unit vectors, so its distances
lie between 0 and 2. They compare with nothing but each other: paper, table 1: S_C 8.841, real people 7.640.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vasa_core.audio import MELS, MELS_PER_FRAME, log_mel
from vasa_core.surface import LIP_CORNERS, LOWER_LIP, UPPER_LIP
from vasa_core.world.measures import Track

WINDOW = 5
"""Frames in one look: 0.2 s, and 20 mel frames, as SyncNet's."""

REACH = 15
"""Offsets that are tried to either side, in frames."""

OUTER_LIPS = (61, 40, 37, 0, 267, 270, 291, 91, 84, 17, 314, 321)
CHIN = 152
SEEN = (*UPPER_LIP, *LOWER_LIP, *LIP_CORNERS, *OUTER_LIPS, CHIN)
LIPS = 3 * len(SEEN)
QUIETEST = -12.0  # log power under the clip's loud moments: what is fainter is not heard


@dataclass(frozen=True, kw_only=True, slots=True)
class Sync:
    """What the judge says of one clip."""

    confidence: float
    distance: float
    offset: int
    distances: Float[np.ndarray, " offset=31"]
    """Mean distance for lips moved -15 .. 15 frames."""


class SyncJudge(nn.Module):
    """Two towers, one vector a moment each; moment k covers frames k to k + 4."""

    lip_mean: Tensor
    lip_std: Tensor

    def __init__(self, width: int = 128, size: int = 96) -> None:
        super().__init__()
        self.register_buffer("lip_mean", torch.zeros(LIPS))
        self.register_buffer("lip_std", torch.ones(LIPS))
        self.audio = nn.Sequential(  # sees 3, 6, 12, 20 mel frames
            nn.Conv1d(MELS, width, 3), nn.GELU(),
            nn.Conv1d(width, width, 4, stride=2), nn.GELU(),
            nn.Conv1d(width, width, 4, stride=2), nn.GELU(),
            nn.Conv1d(width, 2 * width, 3), nn.GELU(),
            nn.Conv1d(2 * width, size, 1),
        )  # fmt: skip
        self.visual = nn.Sequential(
            nn.Conv1d(LIPS, 2 * width, WINDOW), nn.GELU(),
            nn.Conv1d(2 * width, 2 * width, 1), nn.GELU(),
            nn.Conv1d(2 * width, size, 1),
        )  # fmt: skip
        self.sharpness = nn.Parameter(torch.tensor(2.0))

    def hear(self, mel: Float[Tensor, "batch mel_frame mel"]) -> Float[Tensor, "batch moment size"]:
        """Unit vectors of the sound; takes what `levelled` gives."""
        return functional.normalize(self.audio(mel.transpose(1, 2)).transpose(1, 2), dim=-1)

    def see(self, lips: Float[Tensor, "batch frame lips"]) -> Float[Tensor, "batch moment size"]:
        """Unit vectors of the lips; takes what `lip_shapes` gives."""
        shapes = (lips - self.lip_mean) / self.lip_std
        return functional.normalize(self.visual(shapes.transpose(1, 2)).transpose(1, 2), dim=-1)


def levelled(mel: Float[Tensor, "*batch mel_frame mel"]) -> Float[Tensor, "*batch mel_frame mel"]:
    """Log-mel counted from the clip's loud moments, about in [-2, 1]: how loud it was recorded does not matter."""
    energy = mel.exp().mean(-1)
    loud = energy.quantile(0.95, dim=-1).clamp_min(1e-9).log()
    return (mel - loud[..., None, None]).clamp_min(QUIETEST) / 4 + 1


def lip_shapes(track: Track) -> Float[Tensor, "frame lips"]:
    """Lips and chin from the front, frame by frame, in eye spans."""
    points = track.landmarks[:, list(SEEN)]
    return torch.from_numpy(np.ascontiguousarray(points.reshape(len(points), -1), np.float32))


def heard(sound: Float[Tensor, " sample"], frames: int) -> Float[Tensor, "mel_frame mel"]:
    """The sound as the judges hear it, cut or padded to so many video frames."""
    mel = log_mel(sound)[: frames * MELS_PER_FRAME]
    missing = frames * MELS_PER_FRAME - len(mel)
    return levelled(functional.pad(mel, (0, 0, 0, missing), value=-20.0))


@torch.no_grad()
def judged(judge: SyncJudge, sound: Float[Tensor, " sample"], track: Track) -> Sync:
    """Confidence, distance and offset of one clip."""
    lips = lip_shapes(track)
    return matched(judge.hear(heard(sound, len(lips))[None])[0], judge.see(lips[None])[0])


def matched(sounds: Float[Tensor, "moment size"], lips: Float[Tensor, "moment size"]) -> Sync:
    """The search over offsets: distance of sound k and lips k + offset, averaged over the clip."""
    count, distances = len(sounds), []
    for offset in range(-REACH, REACH + 1):
        first, last = max(0, -offset), min(count, count - offset)
        apart = (sounds[first:last] - lips[first + offset : last + offset]).norm(dim=-1)
        distances.append(float(apart.mean()) if len(apart) else 2.0)
    curve = np.array(distances, np.float64)
    least = int(curve.argmin())
    return Sync(
        confidence=float(np.median(curve) - curve[least]),
        distance=float(curve[least]),
        offset=least - REACH,
        distances=curve,
    )


def sync_loss(judge: SyncJudge, mel: Tensor, lips: Tensor) -> Tensor:
    """Each moment's sound must find its own lips among those of the same clip, and the lips their sound."""
    with torch.autocast("cpu", torch.bfloat16):  # half of the time
        sounds, seen = judge.hear(mel), judge.see(lips)  # [clip, moment, size]
    likeness = judge.sharpness.exp() * torch.einsum("bis,bjs->bij", sounds.float(), seen.float())
    target = torch.arange(likeness.shape[1]).expand(len(likeness), -1)
    return (functional.cross_entropy(likeness, target) + functional.cross_entropy(likeness.mT, target)) / 2
