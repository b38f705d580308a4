"""Frames on the device: the whole decoder in torch, many moments at once, the pixels that `decoder.Decoder` makes.

What a portrait needs once is worked out by that decoder on the processor; what every frame needs is done here, without
a look at any value on the way, so that a CUDA graph can hold it all.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vasa_core.decoder import Decoder
from vasa_core.device.eyes import Eyes
from vasa_core.device.mending import Mends, Sights
from vasa_core.device.mouth import Mouths, within
from vasa_core.device.posing import Posing, enlarged, on
from vasa_core.device.raster import pairs
from vasa_core.device.warping import Rooms, Warping
from vasa_core.landmarks import CROP_PX
from vasa_core.mouth import OVERSAMPLING
from vasa_core.refinement import FaceNetworks
from vasa_core.sight import COARSE_PX, FINE_PX

SPARE = 1.5
"""The rasteriser gets this many times the room that its hardest trial takes."""

TRIALS: tuple[tuple[tuple[float, ...], dict[str, float]], ...] = (
    ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0), {}),
    ((0.3, 0.5, 0.1, 0.0, 0.0, 8.0), {"jawOpen": 0.8}),
    ((-0.3, -0.5, -0.1, 0.0, 0.0, 8.0), {"mouthSmile": 0.8, "eyeBlink": 1.0}),
)
"""Head poses and expressions on which the room is tried."""


class BatchDecoder:
    """Frames of one portrait, a batch at a time."""

    def __init__(self, decoder: Decoder, networks: FaceNetworks | None, device: torch.device) -> None:
        """Without `networks` frames are the bare warp. On a graphics card the network runs in bfloat16."""
        self.device, self.face, self.zoom = device, decoder.face, decoder.zoom
        self.size = decoder.plates.crop.shape[0]
        self.posing, self.warping = Posing(decoder, device), Warping(decoder, device)
        self.mouths, self.eyes = Mouths(decoder, device), [Eyes(decoder, eye, device) for eye in (0, 1)]
        self.parts: list[Mouths | Eyes] = [self.mouths, *self.eyes]
        self.sights = Sights(decoder, device)
        self.mends = Mends(decoder, _placed(networks, device), device) if networks else None
        self.rooms = self._tried(decoder)

    @torch.inference_mode()
    def __call__(
        self,
        head_pose: Float[Tensor, "batch pose=6"],
        facial_dynamics: Float[Tensor, "batch dynamics=50"],
        trailing: Float[Tensor, "batch pose=6"],
    ) -> tuple[UInt8[Tensor, "batch size size 3"], Bool[Tensor, ""]]:
        """The frames, and whether the rasteriser had too little room for them (`widen`, and ask again)."""
        poses = self.posing(head_pose, facial_dynamics, trailing)
        warps, seen = self.warping(poses, self.rooms)
        pictures = warps.picture
        mouth, *lids = (part.openings(enlarged(poses.projected, self.zoom)) for part in self.parts)
        drawn = [*seen, self.mouths.draw(pictures, poses, self.posing, mouth, self.rooms.mouth)]
        for eye, contour in zip(self.eyes, lids, strict=True):
            eye.draw(pictures, poses, self.posing, contour)
        if self.mends:
            contours = [part.openings(poses.projected) for part in self.parts]
            fine = self.sights.fine(warps, contours, self._fine_windows())
            coarse, seen = self.sights.coarse(poses, self.rooms)
            drawn += seen
            pictures = self.mends(warps, fine, coarse)
        return pictures.to(torch.uint8), torch.stack([hit.lacking for hit in drawn]).any()

    def widen(self) -> None:
        """Twice the room."""
        self.rooms = Rooms(**{name: 2 * room for name, room in vars(self.rooms).items()})

    def _fine_windows(self) -> list[tuple[int, int]]:
        """Windows of mouth and eyes on the fine planes."""
        times = self.size // FINE_PX
        return [(high // times, wide // times) for high, wide in (part.window for part in self.parts)]

    def _tried(self, decoder: Decoder) -> Rooms:
        """Room enough for the hardest of a few poses, and some to spare."""
        poses = np.array([pose for pose, _ in TRIALS], np.float32)
        dynamics = np.stack([decoder.surface.dynamics_from_weights(weights) for _, weights in TRIALS])
        tried = self.posing(on(self.device, poses), on(self.device, dynamics), on(self.device, poses))
        sheet, face = tried.sheet, tried.projected[:, self.face]
        window, _, _ = within(
            self.mouths.openings(enlarged(tried.projected, self.zoom)), self.mouths.window, 2, 3, self.size
        )
        mouth = self.mouths.points(tried, self.posing, window)
        high, wide = (OVERSAMPLING * side for side in self.mouths.window)
        on_sheet, on_face, large, coarse = self.warping.sheet_triangles, self.warping.triangles, self.size, COARSE_PX
        needed = {
            "sheet": pairs(enlarged(sheet, self.zoom), on_sheet, (large, large)),
            "face": pairs(enlarged(face, self.zoom), on_face, (large, large)),
            "coarse_sheet": pairs(enlarged(sheet, coarse / CROP_PX), on_sheet, (coarse, coarse)),
            "coarse_face": pairs(enlarged(face, coarse / CROP_PX), on_face, (coarse, coarse)),
            "mouth": pairs(mouth, self.mouths.triangles, (high, wide)),
        }
        return Rooms(**{name: int(SPARE * float(room.max())) for name, room in needed.items()})


def _placed(networks: FaceNetworks, device: torch.device) -> FaceNetworks:
    """The networks where they are to run: as they are on the processor, else a copy in bfloat16."""
    if device.type == "cpu":
        return networks
    placed = copy.deepcopy(networks).to(device)
    placed.refinement.to(torch.bfloat16).to(memory_format=torch.channels_last)
    return placed
