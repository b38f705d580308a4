"""Frames from motion: the decoder run over time, at the asked size, or pasted back into the whole picture."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import cast

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.ahead import made_ahead
from vasa_core.attention import Attention, Begun
from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.decoder import Decoder
from vasa_core.device.frames import Drawer
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import Motion
from vasa_core.plates import LARGE_PX
from vasa_core.portrait import Portrait
from vasa_core.refinement import FaceNetworks
from vasa_core.surface import Surface
from vasa_core.trailing import Trail

Wanted = tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " dynamics=50"], Float[np.ndarray, " pose=6"]]

GEOMETRY_AHEAD, FRAMES_AHEAD = 2, 2
"""Frames that may lie ready between the hands of `drawn`."""

FRONT_TURN_RAD = float(np.deg2rad(40))
"""Roughly how far past the front a frontal portrait could turn before what it never showed dominates."""

LEAST_TURN_RAD = float(np.deg2rad(5))

SEAM_PX = 14
"""Width, in crop pixels, of the soft seam when a frame is pasted back; the crop's border itself never moves."""


def render_frames(
    portrait: Portrait,
    moments: Iterable[Motion],
    surface: Surface,
    size: int = CROP_PX,
    networks: FaceNetworks | None = None,
    fps: float = FRAME_RATE_HZ,
    *,
    every_frame: bool = False,
    drawer: Drawer | None = None,
) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """The frames of a motion that arrives in stretches of any length, `fps` to the second, one at a time; `every_frame`
    as in `drawn`. A `drawer` draws them on its device with networks of its own."""
    trail = Trail(fps)

    def wanted() -> Iterator[Wanted | None]:
        for motion in moments:
            for wished, dynamics in poses(motion):
                pose = within_view(wished, portrait)
                yield pose, dynamics, trail(pose)
            yield None

    if drawer:
        frames = drawer.frames(portrait, surface, made_at(size), wanted(), live=False)
    else:
        decoder = Decoder(portrait, surface, networks, made_at(size))
        frames = drawn(decoder, wanted(), every_frame=every_frame)
    with closing(frames):
        for frame in frames:
            yield resized(frame, size)


def drawn(
    decoder: Decoder,
    wanted: Iterable[Wanted | None],
    *,
    every_frame: bool = False,
    left: threading.Event | None = None,
) -> Generator[UInt8[np.ndarray, "size size 3"], None, None]:
    """Frames of what is wanted: head pose, facial dynamics, trailing pose; None says that more will be long in coming.

    Three hands: the geometry of the next frames, the network beside it, and whoever takes the frames, each in its own
    thread and a few frames ahead of the other; so a frame that takes longer is not waited for. Without a network there
    is nothing to share. The network is asked as often as needed (`Attention`), or about every frame: the reference.
    Closing all that shares `left` ends with this.
    """
    begun = (one and decoder.begun(*one) for one in wanted)
    if not decoder.mending:
        yield from (decoder.finished(one) for one in begun if one)
        return
    left = left or threading.Event()
    with closing(made_ahead(begun, GEOMETRY_AHEAD, left)) as ahead:
        frames: Iterator[UInt8[np.ndarray, "size size 3"]]
        if every_frame:
            frames = (decoder.finished(one) for one in ahead if one)
        else:
            seen = cast("Iterator[Begun | None]", ahead)  # a decoder that mends tells what it sees
            frames = Attention(decoder.mending).frames(seen)
        with closing(made_ahead(frames, FRAMES_AHEAD, left)) as mended:
            yield from mended


def poses(
    motion: Motion,
) -> Iterator[tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " dynamics=50"]]]:
    """Head pose and facial dynamics, frame by frame."""
    return zip(motion.head_pose.numpy(), motion.facial_dynamics.numpy(), strict=True)


def within_view(head_pose: Float[np.ndarray, " pose=6"], portrait: Portrait) -> Float[np.ndarray, " pose=6"]:
    """The pose with its turn towards the hidden side of a three-quarter portrait held back, softly.

    A performance is free to turn a little less; a still turned on request (`render_frame`) is not held back.
    """
    own = float(portrait.head_pose[1])
    yaw = float(head_pose[1])
    if own * yaw >= 0:  # turning farther away shows nothing new
        return head_pose
    limit = max(FRONT_TURN_RAD - abs(own), LEAST_TURN_RAD)
    held = head_pose.copy()
    held[1] = limit * np.tanh(yaw / limit)
    return held


def render_frame(
    portrait: Portrait,
    head_pose: Float[np.ndarray, " pose=6"],
    facial_dynamics: Float[np.ndarray, " dynamics=50"],
    surface: Surface,
    size: int = CROP_PX,
    networks: FaceNetworks | None = None,
) -> UInt8[np.ndarray, "size size 3"]:
    """One still under this pose and expression."""
    return resized(Decoder(portrait, surface, networks, made_at(size)).frame(head_pose, facial_dynamics), size)


def made_at(size: int) -> int:
    """The size at which frames are made that are shown at `size`."""
    return CROP_PX if size <= CROP_PX else LARGE_PX


def resized(frame: UInt8[np.ndarray, "h w 3"], size_px: int) -> UInt8[np.ndarray, "size size 3"]:
    """The square frame at another size."""
    if frame.shape[0] == size_px:
        return frame
    flags = cv2.INTER_AREA if size_px < frame.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(frame, (size_px, size_px), interpolation=flags)


class PasteBack:
    """Puts frames back where the crop was taken from; made once per portrait."""

    def __init__(self, portrait: Portrait) -> None:
        self.picture = portrait.picture
        height, width = self.picture.shape[:2]
        self.picture_from_crop = cv2.invertAffineTransform(portrait.crop_from_picture)
        ramp = np.clip(np.minimum(np.arange(CROP_PX), np.arange(CROP_PX)[::-1]) / SEAM_PX, 0, 1).astype(np.float32)
        seam = cv2.warpAffine(np.minimum(ramp[:, None], ramp[None]), self.picture_from_crop, (width, height))
        rows, columns = np.where(seam.max(1) > 0)[0], np.where(seam.max(0) > 0)[0]
        self.box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        self.seam = np.ascontiguousarray(seam[self.box])
        self.shift = self.picture_from_crop.copy()
        self.shift[:, 2] -= (columns[0], rows[0])

    def __call__(self, frame: UInt8[np.ndarray, "512 512 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """The whole picture with this frame in its place."""
        frame = resized(frame, CROP_PX)
        whole = self.picture.copy()
        size = self.seam.shape[::-1]
        there = cv2.warpAffine(frame, self.shift, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        region = np.ascontiguousarray(whole[self.box])
        whole[self.box] = cv2.blendLinear(there, region, self.seam, 1 - self.seam)
        return whole
