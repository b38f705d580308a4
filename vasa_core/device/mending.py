"""Sight and refinement network for a batch of frames: `sight`, `blending` and `mending` in torch.

The network is asked about every frame: on a graphics card it costs less than finding out whether it need be.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vasa_core.blending import UNIT_FROM_TENTH, told_of_portrait
from vasa_core.decoder import Decoder
from vasa_core.device.planes import Window, polygons
from vasa_core.device.posing import Normals, Poses, enlarged, on
from vasa_core.device.raster import Hits, hits, interpolated
from vasa_core.device.warping import Rooms, Warps, whole
from vasa_core.landmarks import CROP_PX
from vasa_core.mending import CANONICAL, PERSON
from vasa_core.refinement import FLOW_PX, GAIN, WARP_FIRST, Answer, FaceNetworks, bounded, shares
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
        matte = cv2.resize(portrait.matte, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
        self.matte, self.lead = on(device, matte)[None, None], on(device, np.array([WARP_FIRST, 0, 0]))[:, None, None]
        self.volume = on(device, portrait.appearance_volume)[None]
        self.factor, self.offset = (on(device, part) for part in UNIT_FROM_TENTH)

    def __call__(self, warps: Warps, fine: Tensor, coarse: Tensor) -> Float[Tensor, "batch size size 3"]:
        """The frames, mended."""
        fine_said, coarse_said = self.network.heads(self._told(warps.picture, fine, coarse))
        said, light = F.pixel_shuffle(fine_said.float(), 2), coarse_said.float()
        free = torch.ones_like(said[:, :1])
        answer = Answer(
            logits=said[:, :3] + self.lead,
            painted=said[:, 3:],
            flow=FLOW_PX * torch.tanh(0.2 * light[:, :2]),
            gain=GAIN * torch.tanh(0.5 * light[:, 2:]),
            unmoved_within=free,
            painted_within=free,
        )
        answer = bounded(answer, fine, coarse, self.matte.expand(len(said), -1, -1, -1))
        blend = torch.cat([shares(answer)[:, 1:], (answer.painted + 1) * 127.5], 1)
        blend = torch.cat([blend, fine[:, PERSON : PERSON + 1]], 1)
        return self._put_together(warps.picture, blend, answer.flow * (CROP_PX / FINE_PX), torch.exp(answer.gain))

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

    def _put_together(self, picture: Tensor, blend: Tensor, flow: Tensor, gain: Tensor) -> Tensor:
        """The blend at full size; the twin of `blending.put_together`."""
        size = picture.shape[1]
        blend, flow, gain = (
            F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False) for x in (blend, flow, gain)
        )
        flow, gain = flow * (size / CROP_PX), 1 + blend[:, -1:] * (gain - 1)
        line = torch.arange(size, device=picture.device, dtype=torch.float32)
        at = torch.stack([line + flow[:, 0], line[:, None] + flow[:, 1]], -1)
        warped = picture.permute(0, 3, 1, 2)
        seen = F.grid_sample(warped, (2 * at + 1) / size - 1, align_corners=False, padding_mode="border") * gain
        unmoved, painted, colours = blend[:, :1], blend[:, 1:2], blend[:, 2:-1]
        value = (1 - unmoved - painted) * seen + painted * colours + unmoved * self.unmoved
        return whole(value.permute(0, 2, 3, 1))
