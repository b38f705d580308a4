"""Sight and refinement network for a batch of frames: `sight`, `blending` and `mending` in torch.

The network is asked about every frame: on a graphics card it costs less than finding out whether it need be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vasa_core.blending import UNIT_FROM_TENTH, head_within, told_of_portrait
from vasa_core.decoder import Decoder
from vasa_core.device.planes import Window, polygons
from vasa_core.device.posing import Normals, Poses, enlarged, on
from vasa_core.device.raster import Hits, hits, interpolated
from vasa_core.device.warping import Rooms, Warps, whole
from vasa_core.landmarks import CROP_PX
from vasa_core.mending import CANONICAL, MOVED
from vasa_core.refinement import (
    FACE_MOVED_PX,
    FACE_STILL_PX,
    FLOW_PX,
    GAIN,
    MOVED_PX,
    OVERPAINTED,
    STILL_PX,
    WARP_FIRST,
    FaceNetworks,
)
from vasa_core.sight import CANONICAL_CM, COARSE_PX, FINE_PX
from vasa_core.sight import MOVED_PX as SIGHT_MOVED_PX

PORTRAIT_TOLD = slice(12, 24)
"""Channels of the network's input that hold the unmoved portrait."""


class Sights:
    """What the geometry knows of each pixel of one portrait's frames."""

    def __init__(self, decoder: Decoder, device: torch.device) -> None:
        self.face = decoder.face
        self.triangles, self.sheet_triangles = on(device, decoder.triangles), on(device, decoder.sheet_triangles)
        self.source_px, self.sheet_px = on(device, decoder.source_px), on(device, decoder.sheet_px)
        self.normals = Normals(decoder.triangles, len(decoder.source_px), device)
        self.canonical = on(device, decoder.face_attributes[:, 4:] / CANONICAL_CM)
        self.source_normals = on(device, decoder.source_normals)
        weight = decoder.portrait.sheet_head_weight[:, None]
        told = [decoder.sheet_canonical / CANONICAL_CM, np.zeros((len(weight), 6)), weight]
        self.sheet_told = on(device, np.concatenate(told, 1))

    def fine(
        self, warps: Warps, contours: Sequence[Tensor], windows: Sequence[tuple[int, int]]
    ) -> Float[Tensor, "batch fine=5 256 256"]:
        """The twin of `sight.fine_planes`, 0 to 1 in steps of a byte; contours (crop px) of the mouth and both eyes,
        and windows (high, wide) that hold them at this size."""
        times = warps.alpha.shape[-1] // FINE_PX
        person = F.avg_pool2d(warps.alpha[:, None], times)
        face = F.avg_pool2d(warps.face.permute(0, 3, 1, 2), times)
        mouth, *eyes = (self._opened(c, w) for c, w in zip(contours, windows, strict=True))
        planes = torch.cat([person, face, mouth[:, None], torch.maximum(*eyes)[:, None]], 1)
        return (planes * 255 + 0.5).floor() / 255

    def _opened(self, contour: Tensor, size: tuple[int, int]) -> Float[Tensor, "batch 256 256"]:
        small = enlarged(contour, FINE_PX / CROP_PX)
        window = Window((small.amin(1) + small.amax(1)) / 2, size, FINE_PX)
        plane = torch.zeros(len(contour), FINE_PX, FINE_PX, device=contour.device)
        window.put(plane, polygons(window.inside(small), window.size))
        return plane

    def coarse(self, poses: Poses, rooms: Rooms) -> tuple[Float[Tensor, "batch coarse=12 128 128"], tuple[Hits, Hits]]:
        """The twin of `sight.coarse_planes`."""
        batch, face = len(poses.sheet), poses.projected[:, self.face]
        size = (COARSE_PX, COARSE_PX)
        same = (told.expand(batch, -1, -1) for told in (self.canonical, self.source_normals, self.sheet_told))
        canonical, source_normals, sheet_told = same
        normals = self.normals(poses.posed[:, self.face])
        face_told = torch.cat([canonical, normals, source_normals, torch.ones_like(face[..., :1])], -1)
        seen = []
        for points, source, told, triangles, room in (
            (poses.sheet, self.sheet_px, sheet_told, self.sheet_triangles, rooms.coarse_sheet),
            (face, self.source_px, face_told, self.triangles, rooms.coarse_face),
        ):
            hit = hits(enlarged(points, COARSE_PX / CROP_PX), triangles, size, room)
            moved = (source - points[..., :2]) / SIGHT_MOVED_PX
            seen.append((hit, interpolated(hit, torch.cat([moved, told], -1), triangles)))
        (on_sheet, sheet_planes), (on_face, face_planes) = seen
        planes = torch.where(on_face.seen[..., None], face_planes, sheet_planes)
        return planes.permute(0, 3, 1, 2), (on_sheet, on_face)


class Mends:
    """The refinement network over one portrait's frames; the twin of `mending.Mending`."""

    def __init__(self, decoder: Decoder, networks: FaceNetworks, device: torch.device) -> None:
        portrait = decoder.portrait
        self.network = networks.refinement
        self.unmoved = on(device, decoder.plates.crop.astype(np.float32)).permute(2, 0, 1)
        told = told_of_portrait(portrait.crop)[..., PORTRAIT_TOLD]
        self.portrait_told = on(device, told).permute(2, 0, 1)[None]
        self.head = on(device, head_within(portrait.matte))
        self.volume = on(device, portrait.appearance_volume)[None]
        self.factor, self.offset = (on(device, part) for part in UNIT_FROM_TENTH)

    def __call__(self, warps: Warps, fine: Tensor, coarse: Tensor) -> Float[Tensor, "batch size size 3"]:
        """The frames, mended."""
        fine_said, coarse_said = self.network.heads(self._told(warps.picture, fine, coarse))
        said = F.pixel_shuffle(fine_said.float(), 2)
        unmoved_within, painted_within, flow_within, gain_within = self._bounds(fine, coarse)
        share = torch.softmax(said[:, :3] + self._lead(fine), 1)
        blend = torch.cat([share[:, 1:2] * unmoved_within, share[:, 2:] * painted_within, (said[:, 3:] + 1) * 127.5], 1)
        light = coarse_said.float()
        flow = FLOW_PX * CROP_PX / FINE_PX * torch.tanh(0.2 * light[:, :2]) * flow_within
        gain = torch.exp(GAIN * torch.tanh(0.5 * light[:, 2:]) * gain_within)
        return self._put_together(warps.picture, blend, flow, gain)

    def _told(self, picture: Tensor, fine: Tensor, coarse: Tensor) -> Float[Tensor, "batch told=72 128 128"]:
        """All that the network is told; the twin of `blending.tell` and `blending.find`."""
        warped = picture.permute(0, 3, 1, 2)
        while warped.shape[-1] > FINE_PX:
            warped = (F.avg_pool2d(warped, 2) + 0.5).floor()
        warped = F.pixel_unshuffle(warped / 127.5 - 1, 2)
        place = (coarse[:, CANONICAL].permute(0, 2, 3, 1) * self.factor + self.offset).clamp(0, 1) * 2 - 1
        volume = self.volume.expand(len(picture), -1, -1, -1, -1)
        features = F.grid_sample(volume, place[:, None], align_corners=True)[:, :, 0]
        portrait = self.portrait_told.expand(len(picture), -1, -1, -1)
        told = torch.cat([warped, portrait, F.pixel_unshuffle(fine, 2), coarse, features], 1)
        return told.contiguous(memory_format=torch.channels_last)

    def _lead(self, fine: Tensor) -> Float[Tensor, "batch 3 256 256"]:
        """What is added to the logits of warped, unmoved and painted."""
        shown = fine[:, 2:3]
        return torch.cat([torch.full_like(shown, WARP_FIRST), torch.zeros_like(shown), -OVERPAINTED * shown], 1)

    def _bounds(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """How much unmoved, painted, flow and gain may have; the twin of `refinement.bounded`."""
        drawn = F.max_pool2d(fine[:, 3:5].amax(1, keepdim=True), 3, 1, 1)
        moved = coarse[:, MOVED].norm(dim=1, keepdim=True) * SIGHT_MOVED_PX
        gone, gone_face = (
            F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            for x in (
                _gone(moved, STILL_PX, MOVED_PX) * coarse[:, -1:],
                _gone(moved, FACE_STILL_PX, FACE_MOVED_PX),
            )
        )
        held = torch.stack([gone * self.head, gone_face * fine[:, 1:2], drawn]).amax(0)
        flow_held = F.avg_pool2d(torch.maximum(fine[:, 2:3], drawn), 4)
        return 1 - held, 1 - drawn, 1 - flow_held, 1 - F.max_pool2d(drawn, 4)

    def _put_together(self, picture: Tensor, blend: Tensor, flow: Tensor, gain: Tensor) -> Tensor:
        """The blend at full size; the twin of `blending.put_together`."""
        size = picture.shape[1]
        blend, flow, gain = (
            F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False) for x in (blend, flow, gain)
        )
        flow = flow * (size / CROP_PX)
        line = torch.arange(size, device=picture.device, dtype=torch.float32)
        at = torch.stack([line + flow[:, 0], line[:, None] + flow[:, 1]], -1)
        warped = picture.permute(0, 3, 1, 2)
        seen = F.grid_sample(warped, (2 * at + 1) / size - 1, align_corners=False, padding_mode="border") * gain
        unmoved, painted, colours = blend[:, :1], blend[:, 1:2], blend[:, 2:]
        value = (1 - unmoved - painted) * seen + painted * colours + unmoved * self.unmoved
        return whole(value.permute(0, 2, 3, 1))


def _gone(moved: Tensor, still_px: float, moved_px: float) -> Tensor:
    return ((moved - still_px) / (moved_px - still_px)).clamp(0, 1)
