"""The refinement network at work: one warped frame and its sight in, the mended frame at full resolution out.

The network sees 256 pixels; what it says is enlarged and the blend done at 512, so the portrait's own pixels keep
their sharpness.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from vasa_core.blending import (
    BLEND,
    BLEND_FIRST,
    LIGHT,
    LIGHT_FIRST,
    LIGHT_PX,
    UNIT_FROM_TENTH,
    apply,
    bound,
    drawn_in,
    eyes_in,
    find,
    head_within,
    hear,
    meet,
    put_together,
    tell,
    told_of_portrait,
    unpainted_in,
)
from vasa_core.eightbit import EightBit, ranges_of
from vasa_core.landmarks import CROP_PX
from vasa_core.portrait import Portrait
from vasa_core.refinement import FaceNetworks, Seen
from vasa_core.sight import FINE, FINE_PX, MOVED_PX, Sight

CANONICAL = slice(2, 5)
"""The coarse planes that hold the canonical place."""

PERSON = FINE.index("person")
MOVED = slice(0, 2)
FLOW = slice(0, 2)
"""The planes of LIGHT that are lengths, in pixels of the crop."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """The network's word on one frame, each kind with the bounds that geometry set it; planes as in `blending`."""

    sight: Sight
    blend: Float[np.ndarray, "blend=5 256 256"]
    within: Float[np.ndarray, "two=2 256 256"]
    light: Float[np.ndarray, "light=5 64 64"]
    light_within: Float[np.ndarray, "two=2 64 64"]


class Mending:
    """What one portrait needs for every frame: its own planes and its appearance volume."""

    def __init__(
        self, portrait: Portrait, networks: FaceNetworks, unmoved: UInt8[np.ndarray, "size size 3"] | None = None
    ) -> None:
        """`unmoved` is the portrait's crop at the size of the frames.

        The portrait must have its appearance volume (`decoder.with_appearance`); with its activation ranges the
        network counts in 8 bits, where `networks` may.
        """
        self.crop = portrait.crop
        self.unmoved = portrait.crop if unmoved is None else unmoved
        self.network = networks.refinement
        in_eight = networks.eight_bit and len(portrait.activation_ranges)
        self.heads = EightBit(self.network, portrait.activation_ranges).heads if in_eight else self._heads
        self.told = told_of_portrait(portrait.crop)
        self.head = head_within(portrait.matte)
        self.volume = np.ascontiguousarray(np.moveaxis(portrait.appearance_volume, 0, -1))

    def __call__(self, warped: UInt8[np.ndarray, "size size 3"], sight: Sight) -> UInt8[np.ndarray, "size size 3"]:
        """The frame, mended; the network is asked."""
        return self.frame(warped, self.asked(warped, sight))

    def asked(self, warped: UInt8[np.ndarray, "size size 3"], sight: Sight) -> Said:
        """What the network says of this frame."""
        fine_said, coarse_said = self.heads(self.told_of(warped, sight))
        blend = np.empty((len(BLEND), FINE_PX, FINE_PX), np.float32)
        light = np.empty((len(LIGHT), LIGHT_PX, LIGHT_PX), np.float32)
        hear(fine_said, coarse_said, sight.fine, blend, light)
        within, light_within = self._bounds(sight)
        return Said(sight=sight, blend=blend, within=within, light=light, light_within=light_within)

    def told_of(self, warped: UInt8[np.ndarray, "size size 3"], sight: Sight) -> Float[np.ndarray, "high wide told"]:
        """What the network is told of this frame; the next one is written over it."""
        if warped.shape[0] != CROP_PX:
            warped = cv2.resize(warped, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)
        tell(warped, sight.fine, sight.coarse, self.told)
        find(self.volume, sight.coarse[CANONICAL], *UNIT_FROM_TENTH, self.told)
        return self.told

    def ranges(self, begun: Iterable[tuple[UInt8[np.ndarray, "512 512 3"], Sight]]) -> Float[np.ndarray, "input 2"]:
        """How large numbers get in the network on these frames: what 8 bits must hold."""
        return ranges_of(self.network, (self.told_of(*one) for one in begun))

    def _heads(self, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            fine_said, coarse_said = self.network.heads(torch.from_numpy(told)[None].movedim(-1, 1))
        return _channels_last(fine_said), _channels_last(coarse_said)

    def between(self, before: Said, after: Said, sight: Sight) -> Said:
        """The word on a frame between two others: both brought to it and mixed, each where it was bound least; what
        both forbid or geometry forbids now stays forbidden."""
        planes = [np.empty_like(plane) for plane in (before.blend, before.within, before.light, before.light_within)]
        shifts = [(sight.coarse[MOVED] - said.sight.coarse[MOVED]) * np.float32(MOVED_PX) for said in (before, after)]
        now, light_now = self._bounds(sight)
        then, later = ((said.blend, said.within, shift) for said, shift in zip((before, after), shifts, strict=True))
        meet(*then, *later, now, BLEND_FIRST, *planes[:2])
        then, later = ((s.light, s.light_within, shift) for s, shift in zip((before, after), shifts, strict=True))
        meet(*then, *later, light_now, LIGHT_FIRST, *planes[2:])
        return Said(sight=sight, blend=planes[0], within=planes[1], light=planes[2], light_within=planes[3])

    def frame(self, warped: UInt8[np.ndarray, "size size 3"], said: Said) -> UInt8[np.ndarray, "size size 3"]:
        """The frame put together as was said."""
        light, out = np.empty_like(said.light), np.empty_like(warped)
        blend = np.empty((len(BLEND) + 1, FINE_PX, FINE_PX), np.float32)
        apply(said.blend, said.within, said.light, said.light_within, blend[: len(BLEND)], light)
        np.multiply(said.sight.fine[PERSON], np.float32(1 / 255), out=blend[len(BLEND)])
        light[FLOW] *= warped.shape[0] / CROP_PX
        put_together(warped, self.unmoved, blend, light, out)
        return out

    def _bounds(self, sight: Sight) -> tuple[Float[np.ndarray, "two=2 256 256"], Float[np.ndarray, "two=2 64 64"]]:
        within, light_within = (
            np.empty((2, FINE_PX, FINE_PX), np.float32),
            np.empty((2, LIGHT_PX, LIGHT_PX), np.float32),
        )
        eyes = eyes_in(sight.fine)
        unpainted = unpainted_in(sight.fine, eyes)
        bound(sight.fine, drawn_in(sight.fine), eyes, unpainted, sight.coarse, self.head, within, light_within)
        return within, light_within


def _channels_last(said: torch.Tensor) -> np.ndarray:
    return said[0].movedim(0, -1).float().contiguous().numpy()


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
