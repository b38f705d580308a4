"""Skin that folds, for a batch of frames: `folds.Folds` in torch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vasa_core.device.posing import on
from vasa_core.folds import CONCAVE, LEAST_SHARE, TINT, Folds
from vasa_core.landmarks import CROP_PX


class Folding:
    """One portrait's folds."""

    def __init__(self, folds: Folds, device: torch.device) -> None:
        self.muscles, self.own, self.begun = (on(device, x) for x in (folds.muscles, folds.own, folds.begun))
        self.shades, self.tint = on(device, folds.shades), on(device, np.array(TINT, np.float32))
        self.origin = on(device, np.array(folds.origin, np.float32))
        self.size = on(device, np.array(folds.shades.shape[:0:-1], np.float32))  # width, height

    def __call__(
        self,
        picture: Float[Tensor, "batch size size 3"],
        backward: Float[Tensor, "batch size size 2"],
        face: Float[Tensor, "batch size size 2"],
        facial_dynamics: Float[Tensor, "batch dynamics=50"],
    ) -> Float[Tensor, "batch size size 3"]:
        """The warped pictures (0 to 255, whole numbers), shaded; the twin of `Folds.draw`."""
        pushed = (facial_dynamics @ self.muscles - self.own - LEAST_SHARE).clamp(min=0)
        strengths = torch.exp(-CONCAVE * self.begun) * -torch.expm1(-CONCAVE * pushed)
        shade = torch.einsum("bk,khw->bhw", strengths, self.shades)[:, None]
        at = (backward + 0.5) * (CROP_PX / picture.shape[1]) - self.origin
        here = F.grid_sample(shade, 2 * at / self.size - 1, align_corners=False)[:, 0]
        here = (here * face[..., 0] * face[..., 1])[..., None]
        t = torch.where(here < 0, here * self.tint, here)
        return (picture * (1 + t + t.square() / 2) + 0.5).floor().clamp(0, 255)
