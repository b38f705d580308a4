"""The refinement network at work: one warped frame and its sight in, the mended frame at full resolution out.

The network sees 256 pixels; what it answers is enlarged and the blend done at 512, so the portrait's own pixels keep
their sharpness.
"""

from __future__ import annotations

from typing import no_type_check

import cv2
import numba
import numpy as np
import torch
from jaxtyping import Float, UInt8

from vasa_core.landmarks import CROP_PX
from vasa_core.portrait import Portrait
from vasa_core.refinement import VOLUME_HIGH_CM, VOLUME_LOW_CM, FaceNetworks, Seen, bounded, shares
from vasa_core.sight import CANONICAL_CM, COARSE_PX, FINE_PX, Sight

CANONICAL = slice(2, 5)
"""The coarse planes that hold the canonical place."""


class Mending:
    """What one portrait needs for every frame: its own planes and its appearance volume."""

    def __init__(self, portrait: Portrait, networks: FaceNetworks) -> None:
        """The portrait must have its appearance volume (`decoder.with_appearance`)."""
        self.crop = portrait.crop
        self.network = networks.refinement
        self.kind = next(self.network.parameters()).dtype
        own = cv2.resize(portrait.crop, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
        self.own = self._tensor(own) / 127.5 - 1
        matte = cv2.resize(portrait.matte, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
        self.matte = torch.from_numpy(matte)[None, None]
        self.volume = np.ascontiguousarray(np.moveaxis(portrait.appearance_volume, 0, -1))

    def __call__(self, warped: UInt8[np.ndarray, "512 512 3"], sight: Sight) -> UInt8[np.ndarray, "512 512 3"]:
        """The frame, mended."""
        features = np.zeros((COARSE_PX, COARSE_PX, self.volume.shape[-1]), np.float32)
        find(self.volume, sight.coarse[CANONICAL], *UNIT_FROM_TENTH, features)
        small = cv2.resize(warped, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            fine, coarse = torch.from_numpy(sight.fine)[None] / 255, torch.from_numpy(sight.coarse)[None]
            told = (fine.to(self.kind), coarse.to(self.kind), self._tensor(features))
            answer = self.network(self._tensor(small) / 127.5 - 1, self.own, *told)
            answer = bounded(answer, fine, coarse, self.matte)
            share = shares(answer)[0].permute(1, 2, 0).numpy()
            painted = answer.painted[0].permute(1, 2, 0).numpy()
            flow = answer.flow[0].permute(1, 2, 0).numpy() * (CROP_PX / FINE_PX)
            gain = answer.gain[0].exp().permute(1, 2, 0).numpy()
        frame = np.empty_like(warped)
        large = [enlarged(plane) for plane in (share, painted, flow, gain)]
        put_together(warped, self.crop, *large, frame)
        return frame

    def _tensor(self, picture: Float[np.ndarray, "high wide c"] | UInt8[np.ndarray, "high wide c"]) -> torch.Tensor:
        """Channels first for torch, last in memory."""
        return torch.from_numpy(picture).permute(2, 0, 1)[None].to(self.kind)


def lifted(
    portrait: Portrait, depth: Float[np.ndarray, "128 128"], networks: FaceNetworks
) -> Float[np.ndarray, "feature deep high wide"]:
    """The portrait's appearance volume; `depth` is what it shows, unmoved (`sight.depth_seen`)."""
    with torch.inference_mode():
        return networks.appearance(seen_of(portrait, depth))[0].float().numpy()


def seen_of(portrait: Portrait, depth: Float[np.ndarray, "128 128"]) -> Seen:
    """The portrait as the appearance encoder sees it."""
    crop = cv2.resize(portrait.crop, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
    matte = cv2.resize((portrait.matte * 255).astype(np.uint8), (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
    return Seen(
        crop=torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 127.5 - 1,
        matte=torch.from_numpy(matte)[None, None].float() / 255,
        depth=torch.from_numpy(depth)[None, None],
        rotation=torch.from_numpy(portrait.rotation)[None],
        translation=torch.from_numpy(portrait.translation)[None],
        scale_px=torch.from_numpy(portrait.camera_scale),
    )


def enlarged(planes: Float[np.ndarray, "high wide channel"]) -> Float[np.ndarray, "512 512 channel"]:
    """Planes at full resolution."""
    return cv2.resize(np.ascontiguousarray(planes), (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)


def _unit_from_tenth() -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset from canonical places, in tenths of cm, to 0..1 of the volume; height runs downwards."""
    low, high = np.array(VOLUME_LOW_CM, np.float32), np.array(VOLUME_HIGH_CM, np.float32)
    factor, offset = CANONICAL_CM / (high - low), -low / (high - low)
    factor[1], offset[1] = -factor[1], 1 - offset[1]
    return factor.astype(np.float32), offset.astype(np.float32)


UNIT_FROM_TENTH = _unit_from_tenth()


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check  # compiled code takes no run-time checks
def find(volume, canonical, factor, offset, out):
    """Features of the volume [deep, high, wide, c] at canonical places [3, high2, wide2], trilinear, clamped at its
    walls; the twin of `refinement.found_at`."""
    deep, high, wide, channels = volume.shape
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = min(max(canonical[0, row, column] * factor[0] + offset[0], 0.0), 1.0) * (wide - 1)
            y = min(max(canonical[1, row, column] * factor[1] + offset[1], 0.0), 1.0) * (high - 1)
            z = min(max(canonical[2, row, column] * factor[2] + offset[2], 0.0), 1.0) * (deep - 1)
            x0, y0, z0 = min(int(x), wide - 2), min(int(y), high - 2), min(int(z), deep - 2)
            fx, fy, fz = np.float32(x - x0), np.float32(y - y0), np.float32(z - z0)
            for c in range(channels):
                near = volume[z0, y0, x0, c] * (1 - fx) + volume[z0, y0, x0 + 1, c] * fx
                below = volume[z0, y0 + 1, x0, c] * (1 - fx) + volume[z0, y0 + 1, x0 + 1, c] * fx
                front = volume[z0 + 1, y0, x0, c] * (1 - fx) + volume[z0 + 1, y0, x0 + 1, c] * fx
                both = volume[z0 + 1, y0 + 1, x0, c] * (1 - fx) + volume[z0 + 1, y0 + 1, x0 + 1, c] * fx
                out[row, column, c] = (near * (1 - fy) + below * fy) * (1 - fz) + (front * (1 - fy) + both * fy) * fz


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def put_together(warped, portrait, share, painted, flow, gain, out):
    """The blend of `refinement.composed` at full resolution; all [high, wide, c], pictures uint8, painted -1 to 1."""
    high, wide = out.shape[:2]
    for row in range(high):
        for column in range(wide):
            x = min(max(column + flow[row, column, 0], 0.0), wide - 1.0)
            y = min(max(row + flow[row, column, 1], 0.0), high - 1.0)
            x0, y0 = min(int(x), wide - 2), min(int(y), high - 2)
            fx, fy = np.float32(x - x0), np.float32(y - y0)
            for c in range(3):
                above = warped[y0, x0, c] * (1 - fx) + warped[y0, x0 + 1, c] * fx
                below = warped[y0 + 1, x0, c] * (1 - fx) + warped[y0 + 1, x0 + 1, c] * fx
                lit = (above * (1 - fy) + below * fy) * gain[row, column, c]
                value = (
                    share[row, column, 0] * lit
                    + share[row, column, 1] * portrait[row, column, c]
                    + share[row, column, 2] * (painted[row, column, c] + 1) * np.float32(127.5)
                )
                out[row, column, c] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
