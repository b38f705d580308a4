"""The portrait's pixels through the backward map, hidden skin and all, for a batch of frames: `warping` in torch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from vasa_core.decoder import BESIDE_PX, TURNED_IN, Decoder, unmixed
from vasa_core.device.folds import Folding
from vasa_core.device.posing import Poses, enlarged, on
from vasa_core.device.raster import Hits, hits, interpolated
from vasa_core.warping import LEAP_PX, PAD, SHOWN

NOWHERE = -1e4
"""Where the backward map points if nothing was drawn: outside the portrait, so the background shows."""


@dataclass(frozen=True, kw_only=True)
class Warps:
    """`decoder.Warp` for a batch of moments; colours 0 to 255, whole numbers."""

    picture: Float[Tensor, "batch size size 3"]
    alpha: Float[Tensor, "batch size size"]
    face: Float[Tensor, "batch size size 2"]


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """Room for the rasteriser (`raster.hits`): sheet and face at full size and coarse, and the inside of the mouth."""

    sheet: int
    face: int
    coarse_sheet: int
    coarse_face: int
    mouth: int


def whole(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Rounded as the compiled kernels do where they write bytes: half up, between 0 and 255."""
    return (values + 0.5).floor().clamp(0, 255)


class Warping:
    """The bare warp of one portrait."""

    def __init__(self, decoder: Decoder, device: torch.device) -> None:
        portrait, plates = decoder.portrait, decoder.plates
        self.size, self.zoom = plates.crop.shape[0], decoder.zoom
        self.triangles, self.sheet_triangles = on(device, decoder.triangles), on(device, decoder.sheet_triangles)
        face_px, sheet_px = decoder.drawn_from
        self.sheet_px = on(device, sheet_px)
        self.attributes = on(device, np.concatenate([face_px[:, :2], decoder.face_attributes[:, 2:]], 1))
        self.source_normals = on(device, decoder.source_normals)
        self.face = decoder.face
        person = unmixed(plates.crop, plates.background, plates.matte)
        person = cv2.copyMakeBorder(person, PAD, PAD, PAD, PAD, cv2.BORDER_REFLECT)
        self.person = on(device, person.astype(np.float32)).permute(2, 0, 1)[None]
        self.matte = (on(device, plates.matte) * 255 + 0.5).floor()[None, None] / 255
        self.background = on(device, plates.background.astype(np.float32))
        self.colours = on(device, portrait.colour_volume[:3])[None]
        self.factor, self.offset = (on(device, part) for part in decoder.volume_from_cm)
        walls = np.array(portrait.colour_volume.shape[:0:-1], np.float32)  # width, height, depth
        self.last, self.most = on(device, walls - 1), on(device, walls - np.float32(1.001))
        self.hidden_exists = decoder.hidden_exists
        self.folding = Folding(decoder.folds, device)

    def __call__(self, poses: Poses, rooms: Rooms) -> tuple[Warps, tuple[Hits, Hits]]:
        """Each moment's warp, and what the rasteriser says of sheet and face; the twin of `Decoder._pixels`,
        folds drawn."""
        size, batch = (self.size, self.size), len(poses.sheet)
        on_sheet = hits(enlarged(poses.sheet, self.zoom), self.sheet_triangles, size, rooms.sheet)
        backward = interpolated(on_sheet, self.sheet_px.expand(batch, -1, -1), self.sheet_triangles, NOWHERE)
        on_face = hits(enlarged(poses.projected[:, self.face], self.zoom), self.triangles, size, rooms.face)
        face = interpolated(on_face, self._trusted(poses), self.triangles)
        backward = backward + face[..., 2:3] * (face[..., :2] - backward)
        alpha, picture = self._looked_up(backward)
        if self.hidden_exists:
            picture = self._hidden_shown(picture, alpha, face)
        box = self._beside(enlarged(poses.projected[:, self.face], self.zoom))
        picture, alpha = softened(backward, LEAP_PX * self.zoom, picture, alpha, box)
        picture = self.folding(picture, backward, face[..., 2:4], poses.facial_dynamics)
        return Warps(picture=picture, alpha=alpha, face=face[..., 2:4]), (on_sheet, on_face)

    def _trusted(self, poses: Poses) -> Float[Tensor, "batch face 7"]:
        """The face attributes with confidence for each turn; the twin of `Decoder._trusted`."""
        facing = poses.turn[:, 2] @ self.source_normals.T
        turned_in = ((facing - self.source_normals[:, 2]) / TURNED_IN).clamp(0, 1)
        trust = 1 - (1 - self.attributes[:, 3]) * turned_in
        same = self.attributes.expand(len(trust), -1, -1)
        return torch.cat([same[..., :3], trust[..., None], same[..., 4:]], -1)

    def _beside(self, face: Float[Tensor, "batch vertex 3"]) -> Bool[Tensor, "batch high wide"]:
        """The inside of a box around each face."""
        low = face[..., :2].amin(1).floor().clamp(0, self.size - 1)
        high = torch.maximum((face[..., :2].amax(1).ceil() + 1).clamp(max=self.size), low + 1)
        low, high = (low - BESIDE_PX).clamp(min=0)[:, None], (high + BESIDE_PX).clamp(max=self.size)[:, None]
        line = torch.arange(self.size, device=face.device)[:, None]
        within = (line > low) & (line < high - 1)  # [batch, line, axis]
        return within[:, :, None, 1] & within[:, None, :, 0]

    def _looked_up(
        self, backward: Tensor
    ) -> tuple[Float[Tensor, "batch high wide"], Float[Tensor, "batch high wide 3"]]:
        """Alpha and picture; the twin of `warping.look_up`."""
        batch, near = len(backward), backward.clamp(-1, self.size)
        padded = self.size + 2 * PAD
        person, matte = (plane.expand(batch, -1, -1, -1) for plane in (self.person, self.matte))
        at = (2 * (near + PAD) + 1) / padded - 1
        own = F.grid_sample(person, at, mode="bicubic", align_corners=False, padding_mode="border")
        at = (2 * near + 1) / self.size - 1
        inside = (backward > -1).all(-1) & (backward < self.size).all(-1)
        alpha = F.grid_sample(matte, at, align_corners=False)[:, 0] * inside
        shown = alpha[..., None]
        own = own.permute(0, 2, 3, 1).clamp(0, 255)
        return alpha, whole(shown * own + (1 - shown) * self.background)

    def _hidden_shown(self, picture: Tensor, alpha: Tensor, face: Tensor) -> Float[Tensor, "batch high wide 3"]:
        """Skin that the portrait does not show from the colour volume; the twin of `warping.show_hidden`."""
        wins, shown, place = face[..., 2:3], face[..., 3:4], face[..., 4:]
        index = torch.minimum((place * self.factor + self.offset).clamp(min=0), self.most)
        volume = self.colours.expand(len(picture), -1, -1, -1, -1)
        at = (index / self.last * 2 - 1)[:, None]
        colour = F.grid_sample(volume, at, align_corners=True)[:, :, 0].permute(0, 2, 3, 1)
        doubt = torch.where((wins > 0) & (shown < float(SHOWN)), (1 - shown) * wins * alpha[..., None], 0.0)
        return (picture + doubt * (colour - picture)).clamp(0, 255).floor()


def softened(
    backward: Float[Tensor, "batch high wide 2"],
    leap: float,
    picture: Float[Tensor, "batch high wide 3"],
    alpha: Float[Tensor, "batch high wide"],
    box: Bool[Tensor, "batch high wide"],
) -> tuple[Float[Tensor, "batch high wide 3"], Float[Tensor, "batch high wide"]]:
    """Stairs smoothed where one part of the person ends before another; the twin of `warping.soften`, inside a box."""
    right, down = (
        ((backward.diff(dim=axis).square().sum(-1) - leap**2) / (3 * leap**2)).clamp(0, 1) for axis in (2, 1)
    )
    sides = F.pad(right, (0, 1)), F.pad(right, (1, 0)), F.pad(down, (0, 0, 0, 1)), F.pad(down, (0, 0, 1, 0))
    share = (torch.stack(sides).amax(0) * box)[..., None]
    planes = torch.cat([picture, alpha[..., None]], -1)
    around = F.pad(planes, (0, 0, 1, 1, 1, 1))
    around = (around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]) / 4
    around = (around[:, :, :-2] + 2 * around[:, :, 1:-1] + around[:, :, 2:]) / 4
    soft = planes + share * (around - planes)
    return whole(soft[..., :3]), soft[..., 3]
