"""What happens to a video out in the world, done to frames in memory: re-encoding, scaling, cropping, dropping frames.

A clip is a list of yuv420p frames at 25 frames a second. Nothing is written: encoders hand their packets to decoders.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Colorspace
from jaxtyping import UInt8

from vasa_core.clock import FRAME_RATE_HZ

Clip = list[av.VideoFrame]
Attack = Callable[[Clip], Clip]

DECODERS = {"libx264": "h264", "libvpx-vp9": "vp9"}
VP9 = {"crf": "40", "b": "0", "deadline": "good", "cpu-used": "6"}
SMALL_PX = 360


def encoded(clip: Clip, codec: str, options: dict[str, str], fps: int = FRAME_RATE_HZ) -> Clip:
    """The clip after one pass through a codec."""
    writer = av.CodecContext.create(codec, "w")
    assert isinstance(writer, VideoCodecContext)
    writer.width, writer.height, writer.pix_fmt = clip[0].width, clip[0].height, "yuv420p"
    writer.time_base, writer.framerate, writer.options = Fraction(1, fps), Fraction(fps), options
    packets = []
    for index, frame in enumerate(clip):
        frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, fps), 0
        packets += writer.encode(frame)
    packets += writer.encode(None)
    reader = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(reader, VideoCodecContext)
    reader.extradata = writer.extradata
    return [frame for packet in [*packets, None] for frame in reader.decode(packet)]


def x264(crf: int, fps: int = FRAME_RATE_HZ) -> Attack:
    """H.264 at this constant rate factor, as uploaders encode."""
    return lambda clip: encoded(clip, "libx264", {"crf": str(crf), "preset": "fast"}, fps)


def scaled(clip: Clip, width: int, height: int) -> Clip:
    """The clip at another size."""
    return [frame.reformat(width=width, height=height) for frame in clip]


def resized_and_back(clip: Clip) -> Clip:
    """At three quarters of its size, encoded, and back at its own."""
    width, height = clip[0].width, clip[0].height
    return scaled(x264(23)(scaled(clip, width * 3 // 8 * 2, height * 3 // 8 * 2)), width, height)


def cropped(clip: Clip, share: float, right: float, down: float) -> Clip:
    """What is left when this share of each side is cut off: `right` and `down` say how much of that at left and top."""
    width, height = clip[0].width, clip[0].height
    kept = [round(side * (1 - share) / 2) * 2 for side in (width, height)]
    left, top = (
        round((side - size) * at / 2) * 2 for side, size, at in zip((width, height), kept, (right, down), strict=True)
    )
    return [_window(frame, left, top, *kept) for frame in clip]


def _window(frame: av.VideoFrame, left: int, top: int, width: int, height: int) -> av.VideoFrame:
    cut = av.VideoFrame(width, height, "yuv420p")
    for index, (source, target) in enumerate(zip(frame.planes, cut.planes, strict=True)):
        half = 1 if index == 0 else 2
        seen = plane(source)[top // half :, left // half :]
        plane(target)[: height // half, : width // half] = seen[: height // half, : width // half]
    return cut


def plane(source: av.VideoPlane) -> UInt8[np.ndarray, "row column"]:
    """A plane of a frame where it lies; rows may be longer than the picture is wide."""
    return np.frombuffer(source, np.uint8).reshape(-1, source.line_size)


def luma(frame: av.VideoFrame) -> UInt8[np.ndarray, "height width"]:
    """The luma of a frame where it lies."""
    return plane(frame.planes[0])[: frame.height, : frame.width]


def at_15_fps(clip: Clip) -> Clip:
    """Ten of every 25 frames dropped, then encoded."""
    return x264(23, 15)([clip[int(k * FRAME_RATE_HZ / 15)] for k in range(len(clip) * 15 // FRAME_RATE_HZ)])


def trimmed(clip: Clip) -> Clip:
    """A second from the middle, encoded anew."""
    middle = len(clip) // 2
    return x264(23)(clip[middle - 12 : middle + 13])


def uploaded_again(clip: Clip) -> Clip:
    """One re-upload chain: 360p by H.264 at crf 28, then VP9 at crf 40."""
    small = scaled(clip, round(clip[0].width * SMALL_PX / clip[0].height / 2) * 2, SMALL_PX)
    return encoded(x264(28)(small), "libvpx-vp9", VP9)


def as_video(picture: UInt8[np.ndarray, "height width 3"]) -> av.VideoFrame:
    """An RGB picture as the frame that an encoder takes."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)


def frames_of(path: Path) -> Clip:
    """All frames of a video file."""
    with av.open(str(path)) as file:
        return list(file.decode(video=0))
