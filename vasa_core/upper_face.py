"""What eyes, lids and brows did between two pictures of one person, told by looking closely at both.

`pixel_codes.py` sees the whole face at 7 px a cm: an iris is 8 px there, and how far somebody looks down is told by
half of one. Here each eye is looked at by itself with its brow, at twice that, by one network for both: a left eye is
shown as in a mirror. It was taught on pairs of frames of rendered people (`train/upper_face.py`); which of the two is
the later one changes nothing but the sign. Angles in rad, lengths in cm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vasa_core.encoders import aligned_features
from vasa_core.errors import MissingWeights
from vasa_core.landmarks import LID_RINGS
from vasa_core.pixel_codes import PX_PER_CM as FACE_PX_PER_CM
from vasa_core.pixel_codes import Block, convolved, planes, window_from_picture
from vasa_core.surface import EYE_CORNERS, LANDMARKS, Surface

PX_PER_CM = 13.0
HIGH_PX, WIDE_PX = 72, 80
RAISED_CM = 0.9
"""The window's middle lies this far above the middle of an eye's corners: it shows the brow, raised too."""

BESIDE_PX = 4
"""Pixels that are cut out beside what windows show."""

BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
INNER_BROWS, OUTER_BROWS = ((55, 107), (285, 336)), ((70, 105), (300, 334))
"""Whose mean heights `evaluate.expressions` reads, and so the network tells."""

SIDES = (
    (234, 93, 132, 58, 127, 162, 21, 54, 103, 67, 109, 172, 50, 205, 129, 48),
    (454, 323, 361, 288, 356, 389, 251, 284, 332, 297, 338, 397, 280, 425, 358, 278),
)
MIDDLE = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 164, 152)
"""Landmarks that tell how the head is turned: of either side, and between them."""

SHAPE = 2 * (2 * (len(LID_RINGS[0]) + 1 + len(BROWS[0])) + 2 * len(SIDES[0]) + len(MIDDLE))
CLOSER = 4.0
"""Landmarks of eyes and brows count this much more among the main directions: they move little and matter most."""

DIRECTIONS = 64
WIDTHS = (24, 40, 64, 80)
NEAR, FAR = 16, 24
"""Channels of the finer and of the coarser map that are looked at cell by cell."""

FEATURE, PAIRED = 128, 192
SHOWN = ("gaze yaw", "gaze pitch", "lids", "inner brow", "outer brow", "iris aside", "iris up")
"""What one eye shows, yaw and aside as the right eye has it; where the iris is (cm from the middle of the corners) only
helps to learn."""

CHANGED = 5
"""The first of those are compared between pictures."""

DOUBTED = (0, 0, 1, 2, 2)
"""Gaze, lids and brows are each doubted as a whole."""

NAMES = ("gaze yaw", "gaze pitch", "right lids", "left lids", "right inner brow", "left inner brow",
         "right outer brow", "left outer brow")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """A picture's two eyes, as the network sees them: the right one, and the left one's mirror image."""

    features: Float[Tensor, "eye feature"]
    shown: Float[Tensor, "eye shown"]
    """In the order of SHOWN, in the network's units."""


# ---- what the network is shown ---------------------------------------------------------------------------------------


def windows(
    picture: UInt8[np.ndarray, "height width 3"],
    landmarks: Float[np.ndarray, "478 2"],
    surface: Surface,
    margin_px: int = 0,
) -> UInt8[np.ndarray, "eye=2 high wide 3"]:
    """Both eyes with their brows, upright and of one size, the left one mirrored."""
    size = WIDE_PX + 2 * margin_px, HIGH_PX + 2 * margin_px
    part, maps = _sized(picture, windows_from_picture(landmarks, surface, margin_px), size)
    how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    return np.stack([cv2.warpAffine(part, transform, size, **how) for transform in maps])


def _sized(
    picture: UInt8[np.ndarray, "height width 3"], maps: Float[np.ndarray, "eye 2 3"], size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "high wide 3"], Float[np.ndarray, "eye 2 3"]]:
    """The part of the picture that the windows show, no larger than they show it, and the maps from there: warpAffine
    does not average."""
    shrink = float(np.hypot(*maps[0, 0, :2]))
    if shrink >= 1:
        return picture, maps
    corners = np.array([(x, y) for x in (0, size[0]) for y in (0, size[1])])
    seen = np.concatenate([np.linalg.solve(m[:, :2], (corners - m[:, 2]).T).T for m in maps])
    end = np.array(picture.shape[1::-1])
    low = np.clip(np.floor(seen.min(0)) - BESIDE_PX, 0, end - 1).astype(int)
    high = np.clip(np.ceil(seen.max(0)) + BESIDE_PX, low + 1, end).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    part = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    # pixels' centres: x becomes (x - low + 0.5) * shrink - 0.5
    shift = maps[:, :, 2] + maps[:, :, :2] @ (low + 0.5 / shrink - 0.5)
    return part, np.concatenate([maps[:, :, :2] / shrink, shift[:, :, None]], 2)


def windows_from_picture(
    landmarks: Float[np.ndarray, "478 2"], surface: Surface, margin_px: int = 0
) -> Float[np.ndarray, "eye=2 2 3"]:
    """The maps from the picture to each window; the left eye's is a reflection."""
    upright = window_from_picture(landmarks, surface)[:, :2] * (PX_PER_CM / FACE_PX_PER_CM)
    middle = np.array([WIDE_PX / 2 - 0.5, HIGH_PX / 2 - 0.5 + RAISED_CM * PX_PER_CM]) + margin_px
    maps = []
    for corners, mirror in zip(EYE_CORNERS, (1.0, -1.0), strict=True):
        matrix = upright * [[mirror], [1.0]]
        centre = landmarks[list(corners)].astype(np.float64).mean(0)
        maps.append(np.c_[matrix, middle - matrix @ centre])
    return np.stack(maps)


def shapes(aligned: Float[np.ndarray, "look feature"]) -> Float[np.ndarray, "look eye=2 shape"]:
    """Landmarks of `encoders.aligned_features` as each eye sees them (cm): its own, the other's, and those that tell
    the head's turn; the left one's mirrored."""
    points = aligned.reshape(len(aligned), -1, 2)
    seen = []
    for own, mirror in ((0, 1.0), (1, -1.0)):
        parts = []
        for side in (own, 1 - own):
            corners = points[:, list(EYE_CORNERS[side])].mean(1, keepdims=True)
            near = points[:, [*LID_RINGS[side], *BROWS[side]]] - corners
            parts += [CLOSER * near, CLOSER * points[:, [LANDMARKS + side]]]
        rest = [*SIDES[own], *SIDES[1 - own], *MIDDLE]
        seen.append(np.concatenate([*parts, points[:, rest]], 1) * (mirror, 1.0))
    return np.stack(seen, 1).reshape(len(points), 2, SHAPE)


# ---- the network -----------------------------------------------------------------------------------------------------


class Network(nn.Module):
    """Windows and shapes in, features of each eye out; and what the features of two pictures tell together."""

    mean: Tensor
    inlet: Tensor
    usual: Tensor
    unit: Tensor
    covariance: Tensor
    """Of the errors of a change in the order of NAMES, on people kept out of the training."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.fine = nn.Sequential(
            *(convolved(3, first, 5, 2), nn.ReLU(), convolved(first, second, 3, 2), nn.ReLU()),
            *(Block(second), Block(second), convolved(second, third, 3, 2), nn.ReLU(), Block(third), Block(third)),
        )
        self.coarse = nn.Sequential(convolved(third, fourth, 3, 2), nn.ReLU(), Block(fourth), Block(fourth))
        self.near, self.far = nn.Conv2d(third, NEAR, 1), nn.Conv2d(fourth, FAR, 1)
        high, wide = HIGH_PX // 8, WIDE_PX // 8
        cells = NEAR * high * wide + FAR * -(-high // 2) * -(-wide // 2)
        self.joined = nn.Sequential(nn.Linear(cells + DIRECTIONS, FEATURE, bias=False), nn.BatchNorm1d(FEATURE))
        self.one = nn.Linear(FEATURE, len(SHOWN))
        self.guess = nn.Linear(DIRECTIONS, len(SHOWN), bias=False)
        self.paired = nn.Sequential(nn.Linear(4 * FEATURE, PAIRED), nn.SiLU())
        self.hidden = nn.Sequential(nn.Linear(PAIRED, PAIRED), nn.SiLU())
        self.correction = nn.Linear(PAIRED, CHANGED)
        self.doubt = nn.Linear(PAIRED, max(DOUBTED) + 1)
        self.dropout = nn.Dropout(0.2)
        for layer in (self.guess, self.correction, self.doubt):
            nn.init.zeros_(layer.weight)
        self.register_buffer("mean", torch.zeros(SHAPE))
        self.register_buffer("inlet", torch.zeros(SHAPE, DIRECTIONS))
        self.register_buffer("usual", torch.zeros(len(SHOWN)))
        self.register_buffer("unit", torch.ones(len(SHOWN)))
        self.register_buffer("covariance", torch.eye(len(NAMES)))

    def directions(self, shape: Float[Tensor, "*look shape"]) -> Float[Tensor, "*look direction"]:
        """The landmarks along their main directions, each of spread 1."""
        return (shape - self.mean) @ self.inlet

    def trunk(self, pixels: Float[Tensor, "eye 3 high wide"]) -> Float[Tensor, "eye cell"]:
        """What the windows show, cell by cell."""
        fine = self.fine(pixels)
        return torch.cat([self.near(fine).flatten(1), self.far(self.coarse(fine)).flatten(1)], 1)

    def eyes(
        self, cells: Float[Tensor, "eye cell"], directions: Float[Tensor, "eye direction"]
    ) -> tuple[Float[Tensor, "eye feature"], Float[Tensor, "eye shown"]]:
        """Features of each eye, and what it shows by itself, in units."""
        features = nn.functional.silu(self.joined(torch.cat([cells, directions], 1)))
        return features, self.one(self.dropout(features)) + self.guess(directions)

    def change(
        self,
        before: tuple[Float[Tensor, "pair eye=2 feature"], Float[Tensor, "pair eye=2 shown"]],
        now: tuple[Float[Tensor, "pair eye=2 feature"], Float[Tensor, "pair eye=2 shown"]],
    ) -> tuple[Float[Tensor, "pair eye=2 changed"], Float[Tensor, "pair doubt"]]:
        """What changed, in units, as each eye sees it, and the logarithm of how far it may be off."""
        forth, back = self._compared(before[0], now[0]), self._compared(now[0], before[0])
        plain = (now[1] - before[1])[..., :CHANGED]
        doubt = self.doubt((forth + back).detach()).mean(1)
        return plain + self.correction(forth) - self.correction(back), doubt

    def _compared(self, one: Tensor, other: Tensor) -> Float[Tensor, "pair eye=2 paired"]:
        """Both eyes of both pictures, as each eye sees them: its own first."""
        both = torch.cat([one, other, one.flip(1), other.flip(1)], -1)
        x = self.paired(self.dropout(both))
        return x + self.hidden(self.dropout(x))


def together(changed: Float[Tensor, "pair eye=2 changed"]) -> Float[Tensor, "pair name=8"]:
    """Changes as both eyes see them in the order of NAMES: of the gaze their mean, of lids and brows each its own."""
    right, left = changed[:, 0], changed[:, 1]
    gaze = [(right[:, 0] - left[:, 0]) / 2, (right[:, 1] + left[:, 1]) / 2]
    return torch.stack([*gaze, *(eye[:, k] for k in range(2, CHANGED) for eye in (right, left))], 1)


@dataclass(frozen=True)
class UpperFace:
    """The network at work on one picture at a time."""

    network: Network
    surface: Surface

    def __call__(self, crop: UInt8[np.ndarray, "height width 3"], landmarks: Float[np.ndarray, "478 2"]) -> Eyes:
        """What is kept of a picture of a face with these landmarks (px)."""
        shape = shapes(aligned_features(landmarks[None].astype(np.float64), self.surface)[0])
        return self.eyes(windows(crop, landmarks, self.surface), shape[0])

    def eyes(self, shown: UInt8[np.ndarray, "eye high wide 3"], shape: Float[np.ndarray, "eye shape"]) -> Eyes:
        """The same, from windows and shapes."""
        with torch.inference_mode():
            cells = self.network.trunk(planes(shown).contiguous(memory_format=torch.channels_last))
            directions = self.network.directions(torch.tensor(shape, dtype=torch.float32))
            return Eyes(**dict(zip(("features", "shown"), self.network.eyes(cells, directions), strict=True)))

    def change(
        self, before: Eyes, now: Eyes
    ) -> tuple[Float[np.ndarray, " name=8"], Float[np.ndarray, "name=8 name=8"]]:
        """What happened between two pictures of one person, in the order of NAMES, and the covariance of its errors."""
        with torch.inference_mode():
            one, other = ((eyes.features[None], eyes.shown[None]) for eyes in (before, now))
            changed, doubt = self.network.change(one, other)
            told = together(changed * self.network.unit[:CHANGED])[0].double().numpy()
            spread = torch.exp(doubt[0]).double().numpy()[list(of_names())]
        return told, self.network.covariance.double().numpy() * np.outer(spread, spread)


def of_names() -> tuple[int, ...]:
    """Which doubt each of NAMES has."""
    return (*DOUBTED[:2], *(DOUBTED[k] for k in range(2, CHANGED) for _ in (0, 1)))


def load_upper_face(path: Path, surface: Surface) -> UpperFace:
    """The network in a weight file, or MissingWeights when the file is absent or made for other code."""
    network = Network()
    try:
        network.load_state_dict({name: values.float() for name, values in load_file(path).items()})
    except (FileNotFoundError, SafetensorError, RuntimeError) as cause:
        raise MissingWeights(f"{path} is not a look at upper faces of ours: restore it from the repository.") from cause
    return UpperFace(_folded(network.eval()).to(memory_format=torch.channels_last), surface)


def _folded(network: Network) -> Network:
    """The same network with each convolution's normalisation inside its weights: a little faster."""
    for layers in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        if isinstance(layers[0], nn.Conv2d):
            layers[0], layers[1] = fuse_conv_bn_eval(layers[0], layers[1]), nn.Identity()
    return network
