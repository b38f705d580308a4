"""Codes read off the pixels of a face: who, what it does, how it is turned, where it looks, and how sure each is.

The paper's encoders: a small convolutional network that looks at the face itself, brought upright and to one size by
its landmarks, which it is told as well. It learned on rendered people, whose truth is known
(`train/pixel_codes.py`). Landmarks know neither the shade beside a nose nor where a brow's hair ends; pixels do.
It looks at the mirror image too, with landmarks found anew, and believes the mean of both.
Angles in rad, lengths in cm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vasa_core.encoders import FEATURES, OUTPUTS, Expected, aligned_features
from vasa_core.errors import MissingWeights
from vasa_core.geometry import CAMERA_DISTANCE_CM, rotation, rotation_vector
from vasa_core.landmarks import seen_in_mirror
from vasa_core.latents import EXPRESSION, GAZE, IDENTITY
from vasa_core.surface import LANDMARKS, Surface

WINDOW_PX = 128
PX_PER_CM = WINDOW_PX / 19.2
RAISED_CM = 0.6
"""The window's middle lies this far above the landmarks' mean, so that it shows as much forehead as chin."""

DIRECTIONS = 100
"""Main directions of the landmarks that the network is told."""

WIDTHS = (32, 64, 112, 160)
BLOCKS = 2
NARROW, FEATURE = 32, 320
TOLD = IDENTITY + EXPRESSION + 3 + GAZE
LIKENESS = 64
RECOGNISED = 20

LANDMARKS_AGREE = 25.0
"""Errors of landmarks are not independent: all of them together weigh this many times less than their number says."""

TWIN_CM = 0.02
"""Vertices that lie so near each other's mirror images are twins."""

MIRROR = np.array([-1, 1, 1], np.float32)

TURN_SHARE = 0.7
"""How far the pixels are believed against the landmarks on how a portrait's head is turned."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one look at a face tells, and `doubt`: how many times its usual error each part may be off."""

    identity_code: Float[np.ndarray, " identity=80"]
    expression: Float[np.ndarray, " expression=48"]
    rotation: Float[np.ndarray, "3 3"]
    """In the picture's camera, `geometry.CAMERA_DISTANCE_CM` before the head."""
    gaze: Float[np.ndarray, " 2"]
    doubt: dict[str, float]
    likeness: Float[np.ndarray, " likeness=64"]
    """Of length 1: looks at one person lie close together, looks at two people far apart, whatever the light and the
    camera. With the identity code it says whether two looks show one person (`PixelEncoder.recognised`)."""


# ---- what the network is shown ---------------------------------------------------------------------------------------


def window_from_picture(
    landmarks: Float[np.ndarray, "478 2"], surface: Surface, side_px: int = WINDOW_PX
) -> Float[np.ndarray, "2 3"]:
    """The similarity that brings a face upright, to one size and into the middle of a window."""
    average = surface.neutral[:LANDMARKS, :2].astype(np.float64)
    average = (average - average.mean(0)) @ (1, 1j)
    seen = landmarks[:LANDMARKS].astype(np.float64) @ (1, -1j)
    middle = seen.mean()
    turn = ((seen - middle).conj() @ average) / (np.abs(seen - middle) ** 2).sum() * PX_PER_CM
    matrix = np.array([[turn.real, turn.imag], [-turn.imag, turn.real]])
    centre = np.array([side_px / 2 - 0.5, side_px / 2 - 0.5 + RAISED_CM * PX_PER_CM])
    return np.concatenate([matrix, (centre - matrix @ (middle.real, -middle.imag))[:, None]], 1)


def line_of_sight(
    picture: UInt8[np.ndarray, "height width 3"], landmarks: Float[np.ndarray, "478 2"], surface: Surface
) -> Float[np.ndarray, "3 3"]:
    """The rotation from the axes of the line of sight to the face to those of the camera, whose axis goes through the
    middle of the picture."""
    cm_per_px = np.hypot(*window_from_picture(landmarks, surface)[0, :2]) / PX_PER_CM
    off = landmarks[:LANDMARKS].mean(0) - np.array(picture.shape[1::-1]) / 2
    right, down = off * cm_per_px / CAMERA_DISTANCE_CM
    return rotation(np.array([-down, -right, 0], np.float32))


def window(
    picture: UInt8[np.ndarray, "height width 3"],
    landmarks: Float[np.ndarray, "478 2"],
    surface: Surface,
    side_px: int = WINDOW_PX,
) -> UInt8[np.ndarray, "side side 3"]:
    """The face upright and of one size."""
    transform = window_from_picture(landmarks, surface, side_px)
    shrink = float(np.hypot(*transform[0, :2]))
    if shrink < 1:  # warpAffine does not average
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        half = (0.5 / shrink - 0.5) * transform[:, :2].sum(1)  # pixels' centres: x becomes (x + 0.5) * shrink - 0.5
        transform = np.c_[transform[:, :2] / shrink, transform[:, 2] + half]
    return cv2.warpAffine(
        picture, transform, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


# ---- the network -----------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Two convolutions and a way past them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = convolved(width, width), convolved(width, width)

    def forward(self, x: Float[Tensor, "look width high wide"]) -> Float[Tensor, "look width high wide"]:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


def convolved(before: int, after: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution whose numbers are brought to one spread."""
    return nn.Sequential(nn.Conv2d(before, after, side, stride, side // 2, bias=False), nn.BatchNorm2d(after))


class Network(nn.Module):
    """Pixels and landmarks in; a linear guess from the landmarks, corrected by what the pixels show."""

    mean: Tensor
    inlet: Tensor
    usual: Tensor
    unit: Tensor
    look_covariance: Tensor
    """Of the errors of one look, on people kept out of the training."""
    change_covariance: Tensor
    """Of the errors of the difference of two looks at one person: expression code, rotation vector and gaze."""
    telling: Tensor
    """The directions of identity code and likeness in which people differ most, against how much looks at one person
    differ there, each weighed by that."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolved(3, WIDTHS[0], 5, 2), nn.ReLU()]
        for before, after in pairwise(WIDTHS):
            layers += [convolved(before, after, 3, 2), nn.ReLU(), *(Block(after) for _ in range(BLOCKS))]
        self.trunk = nn.Sequential(*layers, nn.Conv2d(WIDTHS[-1], NARROW, 1))
        cells = (WINDOW_PX // 2 ** len(WIDTHS)) ** 2 * NARROW
        self.joined = nn.Sequential(nn.Linear(cells + DIRECTIONS, FEATURE, bias=False), nn.BatchNorm1d(FEATURE))
        self.hidden = nn.Sequential(nn.Linear(FEATURE, FEATURE, bias=False), nn.BatchNorm1d(FEATURE))
        self.correction = nn.Linear(FEATURE, TOLD)
        self.guess = nn.Linear(DIRECTIONS, TOLD)
        self.doubt = nn.Linear(FEATURE, len(OUTPUTS))
        self.likeness = nn.Linear(FEATURE, LIKENESS)
        self.dropout = nn.Dropout(0.25)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("inlet", torch.zeros(FEATURES, DIRECTIONS))
        self.register_buffer("usual", torch.zeros(TOLD))
        self.register_buffer("unit", torch.ones(TOLD))
        self.register_buffer("look_covariance", torch.eye(TOLD))
        self.register_buffer("change_covariance", torch.eye(TOLD - IDENTITY))
        self.register_buffer("telling", torch.zeros(IDENTITY + LIKENESS, RECOGNISED))
        for layer in (self.correction, self.doubt):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def directions(self, aligned: Float[Tensor, "look feature"]) -> Float[Tensor, "look direction"]:
        """The landmarks along their main directions, each of spread 1."""
        return (aligned - self.mean) @ self.inlet

    def forward(
        self, pixels: Float[Tensor, "look 3 high wide"], directions: Float[Tensor, "look direction"]
    ) -> tuple[Float[Tensor, "look told"], Float[Tensor, "look doubt"], Float[Tensor, "look likeness=64"]]:
        """What `encoders.OUTPUTS` names, the logarithm of how far each part may be off, and the likeness."""
        return self.answer(self.trunk(pixels).flatten(1).float(), directions)

    def answer(
        self, seen: Float[Tensor, "look cell"], directions: Float[Tensor, "look direction"]
    ) -> tuple[Float[Tensor, "look told"], Float[Tensor, "look doubt"], Float[Tensor, "look likeness=64"]]:
        """The same, from what the trunk saw."""
        x = nn.functional.silu(self.joined(torch.cat([seen, directions], 1)))
        x = nn.functional.silu(self.hidden(self.dropout(x))) + x
        told = self.guess(directions) + self.correction(self.dropout(x)) * self.unit + self.usual
        return told, self.doubt(x.detach()), nn.functional.normalize(self.likeness(self.dropout(x)))


@dataclass(frozen=True)
class PixelEncoder:
    """The network at work on one picture at a time."""

    network: Network
    surface: Surface

    def __call__(self, crop: UInt8[np.ndarray, "512 512 3"], landmarks: Float[np.ndarray, "478 2"]) -> Told:
        """What the face with these landmarks (px) shows: the mean of what it and its mirror image tell."""
        told, mirrored = self.one_look(crop, landmarks), seen_in_mirror(crop)
        if mirrored is None:
            return told
        return mean_of(told, self.swapped(self.one_look(np.ascontiguousarray(crop[:, ::-1]), mirrored)))

    @cached_property
    def mirrors(self) -> tuple[Float[np.ndarray, "80 80"], Float[np.ndarray, "48 48"]]:
        """What a face's identity and expression codes are multiplied by to be those of its mirror image."""
        return mirrored_codes(self.surface, self.surface.identity_basis), mirrored_codes(
            self.surface, self.surface.dynamics_basis
        )

    def swapped(self, told: Told) -> Told:
        """What is told of a mirror image, as said of the face itself."""
        identity, expression = self.mirrors
        return replace(
            told,
            identity_code=told.identity_code @ identity,
            expression=told.expression @ expression,
            rotation=MIRROR[:, None] * told.rotation * MIRROR,
            gaze=told.gaze * MIRROR[:2],
        )

    def one_look(self, picture: UInt8[np.ndarray, "height width 3"], landmarks: Float[np.ndarray, "478 2"]) -> Told:
        """What the picture alone tells, without its mirror image."""
        aligned, tilt = aligned_features(landmarks[None].astype(np.float64), self.surface)
        shown = window(picture, landmarks, self.surface)
        numbers, doubt, likeness = self.numbers(shown[None], aligned)
        told = {name: numbers[0, place] for name, place in OUTPUTS.items()}
        upright = rotation(np.array([0, 0, -tilt[0]], np.float32)) @ rotation(told["turn"])
        return Told(
            identity_code=told["identity"],
            expression=told["expression"],
            rotation=line_of_sight(picture, landmarks, self.surface) @ upright,
            gaze=told["gaze"],
            doubt={name: float(np.exp(value)) for name, value in zip(OUTPUTS, doubt[0], strict=True)},
            likeness=likeness[0],
        )

    def expected_face(self, told: Told) -> Expected:
        """What a look at a portrait tells before its landmarks are fitted."""
        covariance = self.network.look_covariance.numpy()[: IDENTITY + EXPRESSION, : IDENTITY + EXPRESSION]
        return Expected(
            codes=np.concatenate([told.identity_code, told.expression]).astype(np.float64),
            precision=LANDMARKS_AGREE * np.linalg.inv(covariance.astype(np.float64)),
            rotation=told.rotation.astype(np.float64),
            turn_share=TURN_SHARE,
        )

    def change(self, before: Told, now: Told) -> tuple[Float[np.ndarray, " 53"], Float[np.ndarray, "53 53"]]:
        """What happened between two looks at one person: rotation vector, expression code and gaze, and the
        covariance of their errors."""
        turn = rotation_vector(now.rotation @ before.rotation.T)
        what = np.concatenate([turn, now.expression - before.expression, now.gaze - before.gaze]).astype(np.float64)
        doubts = {name: np.sqrt((before.doubt[name] ** 2 + now.doubt[name] ** 2) / 2) for name in OUTPUTS}
        spread = np.repeat([doubts["turn"], doubts["expression"], doubts["gaze"]], [3, EXPRESSION, GAZE])
        return what, self.network.change_covariance.numpy().astype(np.float64) * np.outer(spread, spread)

    def recognised(self, told: Told) -> Float[np.ndarray, " recognised=20"]:
        """Who it is, in the numbers that tell people apart: the distance of two looks says whether they show one
        person (linear discriminants, Fisher 1936, learned on looks at people in several poses and expressions)."""
        return np.concatenate([told.identity_code, told.likeness]) @ self.network.telling.numpy()

    def numbers(
        self, windows: UInt8[np.ndarray, "look high wide 3"], aligned: Float[np.ndarray, "look feature"]
    ) -> tuple[Float[np.ndarray, "look told"], Float[np.ndarray, "look doubt"], Float[np.ndarray, "look likeness=64"]]:
        """The network's numbers for many looks; turns are those of the upright faces."""
        with torch.inference_mode():
            directions = self.network.directions(torch.tensor(aligned, dtype=torch.float32))
            told, doubt, likeness = self.network(planes(windows), directions)
        return told.numpy(), doubt.numpy(), likeness.numpy()


def mean_of(one: Told, other: Told) -> Told:
    """Halfway between two looks at the same picture."""
    apart = rotation_vector((other.rotation @ one.rotation.T).astype(np.float32))
    between = one.likeness + other.likeness
    return Told(
        identity_code=(one.identity_code + other.identity_code) / 2,
        expression=(one.expression + other.expression) / 2,
        rotation=rotation(apart / 2) @ one.rotation,
        gaze=(one.gaze + other.gaze) / 2,
        doubt={name: (value + other.doubt[name]) / 2 for name, value in one.doubt.items()},
        likeness=between / np.linalg.norm(between),
    )


def mirrored_codes(surface: Surface, basis: Float[np.ndarray, "code vertex 3"]) -> Float[np.ndarray, "code code"]:
    """The matrix that turns codes into those of the mirrored shape: least squares over all vertices that have a twin
    on the other side (bases explain all but 1 % of their mirror images)."""
    apart, twin = cKDTree(surface.neutral).query(surface.neutral * MIRROR)
    paired = apart < TWIN_CM
    flat = basis[:, paired].reshape(len(basis), -1).astype(np.float64)
    mirrored = (basis * MIRROR)[:, twin[paired]].reshape(len(basis), -1)
    return np.linalg.lstsq(flat @ flat.T + 1e-6 * np.eye(len(flat)), flat @ mirrored.T, rcond=None)[0].T.astype(
        np.float32
    )


def planes(windows: UInt8[np.ndarray, "look high wide 3"]) -> Float[Tensor, "look 3 high wide"]:
    """Windows as the network takes them: about -2 to 2."""
    return (torch.from_numpy(windows).permute(0, 3, 1, 2).float() - 127.5) / 64


def load_pixel_encoder(path: Path, surface: Surface) -> PixelEncoder:
    """The encoder in a weight file, or MissingWeights when the file is absent or made for other code."""
    network = Network()
    try:
        network.load_state_dict({name: values.float() for name, values in load_file(path).items()})
    except (FileNotFoundError, SafetensorError, RuntimeError) as cause:
        raise MissingWeights(f"{path} is not an encoder of ours: restore it from the repository.") from cause
    return PixelEncoder(_folded(network.eval()).to(memory_format=torch.channels_last), surface)


def _folded(network: Network) -> Network:
    """The same network with each convolution's normalisation inside its weights: a little faster."""
    for layers in [part for part in network.trunk.modules() if isinstance(part, nn.Sequential)]:
        if isinstance(layers[0], nn.Conv2d):
            layers[0], layers[1] = fuse_conv_bn_eval(layers[0], layers[1]), nn.Identity()
    return network
