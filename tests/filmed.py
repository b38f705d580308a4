"""Short videos made for tests: pictures as H.264, at any times, turned or with sound as wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 1000
QUARTER_TURN = np.array([0, 1, 0, -1, 0, 0, 0, 0, 16384], ">i4") * 65536


def film(path: Path, pictures: Iterable[np.ndarray], seconds: Sequence[float], sound: np.ndarray | None = None) -> Path:
    """The pictures as a video, each shown from its second on; `sound` are samples at 16 kHz."""
    with av.open(str(path), "w") as file:
        track, base, voice = None, Fraction(1, TICKS), None
        for picture, second in zip(pictures, seconds, strict=True):
            if track is None:
                track = file.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast", "bf": "0"})
                track.height, track.width = picture.shape[:2]
                track.pix_fmt, track.codec_context.time_base = "yuv420p", base
                if sound is not None:
                    voice = file.add_stream("aac", rate=16_000, layout="mono")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(second * TICKS), base
            file.mux(track.encode(frame))
        file.mux(track.encode(None))
        if voice is not None:
            block = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            block.sample_rate = 16_000
            file.mux(voice.encode(block))
            file.mux(voice.encode(None))
    return path


def turned_a_quarter(path: Path) -> Path:
    """The file told to be shown turned clockwise by 90 degrees, as phones do: the matrix of its track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: 40 bytes before the matrix
    data[at : at + 36] = QUARTER_TURN.astype(">i4").tobytes()
    path.write_bytes(bytes(data))
    return path
