"""How far hair, hats, ears and necks stand out of a portrait, and how far each goes with the head.

The surface knows a face exactly and of the rest only an average skull, neck and shoulders: hair that stands four
centimetres before that skull would stay behind when the head turns. A small network looks at the portrait and at what
the surface believes of it, and says how that has to change. It learned on rendered people, whose depth is known
(`train/relief.py`). Depths in cm towards the camera.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vasa_core.errors import MissingWeights

SIDE_PX = 64
WIDTHS = (24, 40, 64, 96)
"""Channels at 64, 32, 16 and 8 pixels."""

PLANES = 9
SOFT_PX = 6.0
"""Its word is softened by this, in pixels of the crop, or strands of hair would waver."""

DEPTH_CM = 6.0
"""Depths are told, and their changes said, in this unit."""


class Relief(nn.Module):
    """Portrait, matte and what the surface believes in; how depth (cm) and head weight have to change out."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(PLANES, WIDTHS[0], 3, 1, 1)
        self.down = nn.ModuleList([_step(a, b, 2) for a, b in pairwise(WIDTHS)])
        self.middle = nn.Sequential(_step(WIDTHS[-1], WIDTHS[-1], 1), _step(WIDTHS[-1], WIDTHS[-1], 1))
        self.up = nn.ModuleList([_step(a + b, b, 1) for b, a in pairwise(WIDTHS)][::-1])
        self.said = nn.Conv2d(WIDTHS[0], 2, 3, 1, 1)
        nn.init.zeros_(self.said.weight)
        nn.init.zeros_(self.said.bias)

    def forward(self, planes: Float[Tensor, "look 9 64 64"]) -> Float[Tensor, "look 2 64 64"]:
        levels = [self.enter(planes)]
        for step in self.down:
            levels.append(step(levels[-1]))
        x = levels[-1] + self.middle(levels[-1])
        for step, level in zip(self.up, levels[-2::-1], strict=True):
            x = step(torch.cat([nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear"), level], 1))
        depth, weight = self.said(x).unbind(1)
        return torch.stack([DEPTH_CM * depth, weight], 1)


def _step(before: int, after: int, stride: int) -> nn.Sequential:
    """Two convolutions, the first of which may halve the size."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(8, after), nn.SiLU(),
        nn.Conv2d(after, after, 3, 1, 1), nn.GroupNorm(8, after), nn.SiLU(),
    )  # fmt: skip


def shrunk(values: np.ndarray) -> np.ndarray:
    """A map or picture of the crop as small as the network looks at it."""
    return cv2.resize(values, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def planes_of(
    crop: Float[np.ndarray, "64 64 3"],
    matte: Float[np.ndarray, "64 64"],
    depth: Float[np.ndarray, "64 64"],
    weight: Float[np.ndarray, "64 64"],
    face: Float[np.ndarray, "64 64"],
) -> Float[np.ndarray, "plane=9 64 64"]:
    """What the network is told: the crop (0 to 255), the rest 0 to 1 but the depth (cm), and where each pixel is."""
    y, x = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    colours = [crop[..., k] / 127.5 - 1 for k in range(3)]
    return np.stack([*colours, 2 * matte - 1, depth / DEPTH_CM, 2 * weight - 1, 2 * face - 1, x, y]).astype(np.float32)


def relieved(
    network: Relief,
    crop: UInt8[np.ndarray, "512 512 3"],
    matte: Float[np.ndarray, "512 512"],
    depth: Float[np.ndarray, "512 512"],
    weight: Float[np.ndarray, "512 512"],
    on_face: Bool[np.ndarray, "512 512"],
) -> tuple[Float[np.ndarray, "512 512"], Float[np.ndarray, "512 512"]]:
    """Depth (cm) and head weight of everything in the crop, corrected by what the portrait shows."""
    maps = (crop.astype(np.float32), matte.astype(np.float32), depth, weight, on_face.astype(np.float32))
    planes = torch.from_numpy(planes_of(*(shrunk(values) for values in maps)))
    with torch.inference_mode():
        change = network(planes[None])[0].numpy()
    enlarged = (cv2.resize(plane, depth.shape, interpolation=cv2.INTER_CUBIC) for plane in change)
    deeper, firmer = (cv2.GaussianBlur(plane, (0, 0), SOFT_PX) for plane in enlarged)
    return depth + deeper, np.clip(weight + firmer, 0, 1)


def load_relief(path: Path) -> Relief:
    """The network in a weight file, or MissingWeights when the file is absent or made for other code."""
    network = Relief()
    try:
        network.load_state_dict({name: values.float() for name, values in load_file(path).items()})
    except (FileNotFoundError, SafetensorError, RuntimeError) as cause:
        raise MissingWeights(f"{path} is not a relief network of ours: restore it from the repository.") from cause
    return network.eval().requires_grad_(False)
