"""What a part of the face did between two pictures of one person, told by looking closely at both.

`pixel_codes.py` sees the whole face at 7 px a cm: an iris is 8 px there, and the corner of a mouth moves by one.
Here a part (`upper_face.py`, `lower_face.py`) is looked at by itself, larger, from both of its sides by one network:
the left side is shown as in a mirror. It was taught on pairs of frames of rendered people (`train/changes.py`); which
of the two is the later one changes nothing but the sign. Angles in rad, lengths in cm.
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
from vasa_core.pixel_codes import PX_PER_CM as FACE_PX_PER_CM
from vasa_core.pixel_codes import Block, convolved, planes, window_from_picture
from vasa_core.surface import Surface

BESIDE_PX = 4
"""Pixels that are cut out beside what windows show."""

CLOSER = 4.0
"""Landmarks of the part itself count this much more among the main directions: they move little and matter most."""

DIRECTIONS = 64
WIDTHS = (24, 40, 64, 80)
NEAR, FAR = 16, 24
"""Channels of the finer and of the coarser map that are looked at cell by cell."""

FEATURE, PAIRED = 128, 192

Landmarks = tuple[int, ...]
OfSides = tuple[Landmarks, Landmarks]
"""Landmarks of the right side and their twins of the left."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the face that has two sides, each the other's mirror image: what is shown of it, and what it tells."""

    name: str
    px_per_cm: float
    high_px: int
    wide_px: int
    raised_cm: float
    """The window's middle lies this far above the middle of the anchors."""
    anchors: OfSides
    near: OfSides
    """Landmarks that are told as seen from their anchors, and `moving` ones as seen from the whole face."""
    moving: OfSides
    far: OfSides
    """Landmarks that tell how the head is turned, of either side, and `middle` ones between them."""
    middle: Landmarks
    common: tuple[str, ...]
    """What both sides tell alike, or as mirrors do: `signs`."""
    signs: tuple[int, ...]
    own: tuple[str, ...]
    """What each side tells of itself."""
    helping: tuple[str, ...]
    """What is told of one picture only, because it helps to learn."""
    doubted: tuple[int, ...]
    """Which of the doubts each common and each own number has."""

    @property
    def shown(self) -> tuple[str, ...]:
        """What one side of one picture shows."""
        return self.common + self.own + self.helping

    @property
    def changed(self) -> int:
        """The first of those are compared between pictures."""
        return len(self.common) + len(self.own)

    @property
    def names(self) -> tuple[str, ...]:
        """What is told of two pictures: common numbers, then each side's own, the right one first."""
        return self.common + tuple(f"{side} {name}" for name in self.own for side in ("right", "left"))

    @property
    def doubt_of_names(self) -> tuple[int, ...]:
        """Which doubt each name has."""
        own = self.doubted[len(self.common) :]
        return self.doubted[: len(self.common)] + tuple(doubt for doubt in own for _ in (0, 1))

    @property
    def shape(self) -> int:
        """How many numbers tell one side the landmarks' shape."""
        return 2 * (2 * (len(self.near[0]) + len(self.moving[0])) + 2 * len(self.far[0]) + len(self.middle))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a picture to compare it with others: of the right side, and of the left one's mirror image."""

    features: Float[Tensor, "side feature"]
    shown: Float[Tensor, "side shown"]
    """In the order of Part.shown, in the network's units."""


# ---- what the network is shown ---------------------------------------------------------------------------------------


def windows(
    picture: UInt8[np.ndarray, "height width 3"],
    landmarks: Float[np.ndarray, "478 2"],
    part: Part,
    surface: Surface,
    margin_px: int = 0,
) -> UInt8[np.ndarray, "side=2 high wide 3"]:
    """The part as its two sides see it, upright and of one size, mirrored for the left one."""
    size = part.wide_px + 2 * margin_px, part.high_px + 2 * margin_px
    seen, maps = _sized(picture, windows_from_picture(landmarks, part, surface, margin_px), size)
    how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
    return np.stack([cv2.warpAffine(seen, transform, size, **how) for transform in maps])


def _sized(
    picture: UInt8[np.ndarray, "height width 3"], maps: Float[np.ndarray, "side 2 3"], size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "high wide 3"], Float[np.ndarray, "side 2 3"]]:
    """What of the picture the windows show, no larger than they show it, and the maps from there: warpAffine does not
    average."""
    shrink = float(np.hypot(*maps[0, 0, :2]))
    if shrink >= 1:
        return picture, maps
    corners = np.array([(x, y) for x in (0, size[0]) for y in (0, size[1])])
    seen = np.concatenate([np.linalg.solve(m[:, :2], (corners - m[:, 2]).T).T for m in maps])
    end = np.array(picture.shape[1::-1])
    low = np.clip(np.floor(seen.min(0)) - BESIDE_PX, 0, end - 1).astype(int)
    high = np.clip(np.ceil(seen.max(0)) + BESIDE_PX, low + 1, end).astype(int)
    piece = picture[low[1] : high[1], low[0] : high[0]]
    piece = cv2.resize(piece, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    # pixels' centres: x becomes (x - low + 0.5) * shrink - 0.5
    shift = maps[:, :, 2] + maps[:, :, :2] @ (low + 0.5 / shrink - 0.5)
    return piece, np.concatenate([maps[:, :, :2] / shrink, shift[:, :, None]], 2)


def windows_from_picture(
    landmarks: Float[np.ndarray, "478 2"], part: Part, surface: Surface, margin_px: int = 0
) -> Float[np.ndarray, "side=2 2 3"]:
    """The maps from the picture to each window; the left side's is a reflection."""
    upright = window_from_picture(landmarks, surface)[:, :2] * (part.px_per_cm / FACE_PX_PER_CM)
    raised = part.raised_cm * part.px_per_cm
    middle = np.array([part.wide_px / 2 - 0.5, part.high_px / 2 - 0.5 + raised]) + margin_px
    maps = []
    for anchors, mirror in zip(part.anchors, (1.0, -1.0), strict=True):
        matrix = upright * [[mirror], [1.0]]
        centre = landmarks[list(anchors)].astype(np.float64).mean(0)
        maps.append(np.c_[matrix, middle - matrix @ centre])
    return np.stack(maps)


def shapes(aligned: Float[np.ndarray, "look feature"], part: Part) -> Float[np.ndarray, "look side=2 shape"]:
    """Landmarks of `encoders.aligned_features` as each side sees them (cm): its own, the other's, and those that tell
    the head's turn; the left one's mirrored."""
    points = aligned.reshape(len(aligned), -1, 2)
    seen = []
    for own, mirror in ((0, 1.0), (1, -1.0)):
        parts = []
        for side in (own, 1 - own):
            middle = points[:, list(part.anchors[side])].mean(1, keepdims=True)
            parts += [CLOSER * (points[:, list(part.near[side])] - middle), CLOSER * points[:, list(part.moving[side])]]
        rest = [*part.far[own], *part.far[1 - own], *part.middle]
        seen.append(np.concatenate([*parts, points[:, rest]], 1) * (mirror, 1.0))
    return np.stack(seen, 1).reshape(len(points), 2, part.shape)


# ---- the network -----------------------------------------------------------------------------------------------------


class Network(nn.Module):
    """Windows and shapes in, features of each side out; and what the features of two pictures tell together."""

    mean: Tensor
    inlet: Tensor
    usual: Tensor
    unit: Tensor
    covariance: Tensor
    """Of the errors of a change in the order of Part.names, on people kept out of the training."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part, changed = part, part.changed
        first, second, third, fourth = WIDTHS
        self.fine = nn.Sequential(
            *(convolved(3, first, 5, 2), nn.ReLU(), convolved(first, second, 3, 2), nn.ReLU()),
            *(Block(second), Block(second), convolved(second, third, 3, 2), nn.ReLU(), Block(third), Block(third)),
        )
        self.coarse = nn.Sequential(convolved(third, fourth, 3, 2), nn.ReLU(), Block(fourth), Block(fourth))
        self.near, self.far = nn.Conv2d(third, NEAR, 1), nn.Conv2d(fourth, FAR, 1)
        high, wide = part.high_px // 8, part.wide_px // 8
        cells = NEAR * high * wide + FAR * -(-high // 2) * -(-wide // 2)
        self.joined = nn.Sequential(nn.Linear(cells + DIRECTIONS, FEATURE, bias=False), nn.BatchNorm1d(FEATURE))
        self.one = nn.Linear(FEATURE, len(part.shown))
        self.guess = nn.Linear(DIRECTIONS, len(part.shown), bias=False)
        self.paired = nn.Sequential(nn.Linear(4 * FEATURE, PAIRED), nn.SiLU())
        self.hidden = nn.Sequential(nn.Linear(PAIRED, PAIRED), nn.SiLU())
        self.correction = nn.Linear(PAIRED, changed)
        self.doubt = nn.Linear(PAIRED, max(part.doubted) + 1)
        self.dropout = nn.Dropout(0.2)
        for layer in (self.guess, self.correction, self.doubt):
            nn.init.zeros_(layer.weight)
        self.register_buffer("mean", torch.zeros(part.shape))
        self.register_buffer("inlet", torch.zeros(part.shape, DIRECTIONS))
        self.register_buffer("usual", torch.zeros(len(part.shown)))
        self.register_buffer("unit", torch.ones(len(part.shown)))
        self.register_buffer("covariance", torch.eye(len(part.names)))

    def directions(self, shape: Float[Tensor, "*look shape"]) -> Float[Tensor, "*look direction"]:
        """The landmarks along their main directions, each of spread 1."""
        return (shape - self.mean) @ self.inlet

    def trunk(self, pixels: Float[Tensor, "side 3 high wide"]) -> Float[Tensor, "side cell"]:
        """What the windows show, cell by cell."""
        fine = self.fine(pixels)
        return torch.cat([self.near(fine).flatten(1), self.far(self.coarse(fine)).flatten(1)], 1)

    def sides(
        self, cells: Float[Tensor, "side cell"], directions: Float[Tensor, "side direction"]
    ) -> tuple[Float[Tensor, "side feature"], Float[Tensor, "side shown"]]:
        """Features of each side, and what it shows by itself, in units."""
        features = nn.functional.silu(self.joined(torch.cat([cells, directions], 1)))
        return features, self.one(self.dropout(features)) + self.guess(directions)

    def change(
        self,
        before: tuple[Float[Tensor, "pair side=2 feature"], Float[Tensor, "pair side=2 shown"]],
        now: tuple[Float[Tensor, "pair side=2 feature"], Float[Tensor, "pair side=2 shown"]],
    ) -> tuple[Float[Tensor, "pair side=2 changed"], Float[Tensor, "pair doubt"]]:
        """What changed, in units, as each side sees it, and the logarithm of how far it may be off."""
        forth, back = self._compared(before[0], now[0]), self._compared(now[0], before[0])
        plain = (now[1] - before[1])[..., : self.part.changed]
        doubt = self.doubt((forth + back).detach()).mean(1)
        return plain + self.correction(forth) - self.correction(back), doubt

    def _compared(self, one: Tensor, other: Tensor) -> Float[Tensor, "pair side=2 paired"]:
        """Both sides of both pictures, as each side sees them: its own first."""
        both = torch.cat([one, other, one.flip(1), other.flip(1)], -1)
        x = self.paired(self.dropout(both))
        return x + self.hidden(self.dropout(x))


def together(changed: Float[Tensor, "pair side=2 changed"], part: Part) -> Float[Tensor, "pair name"]:
    """Changes as both sides see them in the order of Part.names: of what they have in common the mean."""
    right, left = changed[:, 0], changed[:, 1]
    common = [(right[:, k] + sign * left[:, k]) / 2 for k, sign in enumerate(part.signs)]
    return torch.stack([*common, *(side[:, k] for k in range(len(common), part.changed) for side in (right, left))], 1)


@dataclass(frozen=True)
class Changes:
    """The network at work on one picture at a time."""

    network: Network
    surface: Surface

    @property
    def part(self) -> Part:
        return self.network.part

    def __call__(self, crop: UInt8[np.ndarray, "height width 3"], landmarks: Float[np.ndarray, "478 2"]) -> Kept:
        """What is kept of a picture of a face with these landmarks (px)."""
        shape = shapes(aligned_features(landmarks[None].astype(np.float64), self.surface)[0], self.part)
        return self.kept(windows(crop, landmarks, self.part, self.surface), shape[0])

    def kept(self, shown: UInt8[np.ndarray, "side high wide 3"], shape: Float[np.ndarray, "side shape"]) -> Kept:
        """The same, from windows and shapes."""
        with torch.inference_mode():
            cells = self.network.trunk(planes(shown).contiguous(memory_format=torch.channels_last))
            directions = self.network.directions(torch.tensor(shape, dtype=torch.float32))
            return Kept(**dict(zip(("features", "shown"), self.network.sides(cells, directions), strict=True)))

    def change(self, before: Kept, now: Kept) -> tuple[Float[np.ndarray, " name"], Float[np.ndarray, "name name"]]:
        """What happened between two pictures of one person, in the order of Part.names, and the covariance of its
        errors."""
        with torch.inference_mode():
            one, other = ((kept.features[None], kept.shown[None]) for kept in (before, now))
            changed, doubt = self.network.change(one, other)
            told = together(changed * self.network.unit[: self.part.changed], self.part)[0].double().numpy()
            spread = torch.exp(doubt[0]).double().numpy()[list(self.part.doubt_of_names)]
        return told, self.network.covariance.double().numpy() * np.outer(spread, spread)


def load_changes(path: Path, part: Part, surface: Surface, *, folded: bool = True) -> Changes:
    """The network in a weight file, or MissingWeights when the file is absent or made for other code; to learn on from
    it, not `folded`."""
    network = Network(part)
    try:
        network.load_state_dict({name: values.float() for name, values in load_file(path).items()})
    except (FileNotFoundError, SafetensorError, RuntimeError) as cause:
        message = f"{path} is not a look at the {part.name} of ours: restore it from the repository."
        raise MissingWeights(message) from cause
    network = _folded(network.eval()) if folded else network
    return Changes(network.to(memory_format=torch.channels_last), surface)


def _folded(network: Network) -> Network:
    """The same network with each convolution's normalisation inside its weights: a little faster."""
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        if isinstance(layers[0], nn.Conv2d):
            layers[0], layers[1] = fuse_conv_bn_eval(layers[0], layers[1]), nn.Identity()
    return network
