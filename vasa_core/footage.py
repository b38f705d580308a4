"""A video of one face, watched: when each picture was taken and where the face's landmarks were in it.

Any video that FFmpeg reads, turned as its rotation says; uneven frame rates keep their own times, which run on the
clock of the video's sound. Nothing of the pictures is kept. Every way in which a video cannot serve is a named refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.errors import BadVideo
from vasa_core.landmarks import SECOND_FACE_SHARE, SMALLEST_FACE_PX

LOOKING_PX = 1280
"""Pictures are made this small (longer side) before they are looked at: more would be looked at in vain."""

LOOKS_PER_S = 31.0
LONGEST_GAP_S = 1.0
LONGEST_CROWD_S = 0.5
FARTHEST_JUMP = 0.6
"""A face that moves this share of its size from one picture to the next, nearer than a tenth of a second, is a cut."""

Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class Footage:
    """One face through a video: seconds since its sound began, and landmarks in pixels of the upright, small
    picture."""

    seconds: Float[np.ndarray, " look"]
    landmarks: Float[np.ndarray, "look 478 2"]
    length_s: float


@dataclass(frozen=True, kw_only=True)
class Still:
    """One picture of the video, upright and small: when it begins, how long it is shown, what share of the video is
    over."""

    picture: Picture
    second: float
    length_s: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one picture shows: the faces in it, the larger first."""

    second: float
    faces: list[np.ndarray]


def watch(video: Path | str, progress: Callable[[float], object] = lambda share: None) -> Footage:
    """The face in this video; BadVideo says what stands in the way. `progress` is told the share that was seen."""
    import mediapipe as mp

    video = Path(video)
    looks: list[Look] = []
    end_s = 0.0
    with mp.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=2) as mesh:
        for still in stills(video):
            end_s = still.second + still.length_s
            progress(still.share)
            if looks and still.second < looks[-1].second + 1 / LOOKS_PER_S:
                continue
            found = mesh.process(still.picture).multi_face_landmarks or []
            size = np.array([still.picture.shape[1], still.picture.shape[0]])
            faces = [np.array([[p.x, p.y] for p in face.landmark]) * size for face in found]
            looks.append(Look(second=still.second, faces=sorted(faces, key=_extent, reverse=True)))
    _check_seen(looks, end_s, video.name)
    seen = [look for look in looks if look.faces]
    landmarks = np.array([look.faces[0] for look in seen], np.float32)
    seconds = np.array([look.second for look in seen], np.float32)
    _check_steady(seconds, landmarks, video.name)
    return Footage(seconds=seconds, landmarks=landmarks, length_s=end_s)


def has_sound(video: Path | str) -> bool:
    """Whether the file has a sound track at all."""
    with av.open(str(video)) as file:
        return file.streams.best("audio") is not None


def stills(video: Path) -> Iterator[Still]:
    """The pictures of a video, one by one, on the clock of its sound."""
    if not video.is_file():
        raise BadVideo(f"There is no video at {video}: check the path.")
    try:
        with av.open(str(video)) as file:
            track = file.streams.best("video")
            still = "image2" in file.format.name or file.format.name.endswith("_pipe")
            if still or not isinstance(track, av.VideoStream):
                raise BadVideo(f"{video.name} has no moving pictures in it: choose a video.")
            usual_s = float(1 / (track.average_rate or FRAME_RATE_HZ))
            whole_s = max((file.duration or 0) / av.time_base, usual_s)
            origin = _start_s(file.streams.best("audio"))
            for index, frame in enumerate(file.decode(track)):
                at = index * usual_s if frame.time is None else float(frame.time)
                origin = at if origin is None else origin
                second = at - origin
                yield Still(
                    picture=_upright(frame),
                    second=second,
                    length_s=_shown_s(frame, usual_s),
                    share=min(1.0, max(0.0, second / whole_s)),
                )
    except av.error.FFmpegError as why:
        raise BadVideo(f"{video.name} cannot be read as a video ({why.strerror}): convert it to MP4.") from why


def _start_s(stream: object) -> float | None:
    """When a stream begins by the file's clock."""
    start, base = getattr(stream, "start_time", None), getattr(stream, "time_base", None)
    return None if start is None or base is None else float(start * base)


def _shown_s(frame: av.VideoFrame, usual_s: float) -> float:
    """How long a picture is shown; files that do not know are believed to be even."""
    length = float((frame.duration or 0) * (frame.time_base or 0))
    return length if 0 < length < LONGEST_GAP_S else usual_s


def _upright(frame: av.VideoFrame) -> Picture:
    """The picture as it is meant to be seen, made small."""
    shrunk = min(1.0, LOOKING_PX / max(frame.width, frame.height))
    size = {"width": max(2, round(frame.width * shrunk)), "height": max(2, round(frame.height * shrunk))}
    picture = frame.reformat(**size, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))


# ---- refusals -----------------------------------------------------------------------------------------------------


def _check_seen(looks: list[Look], end_s: float, name: str) -> None:
    """Refuses a video without pictures, without a face, with a face that is long away, or with two."""
    if not looks:
        raise BadVideo(f"{name} holds not a single picture: record it again.")
    if not any(look.faces for look in looks):
        raise BadVideo(f"no face was found in {name}: use a video of one person, seen mostly from the front.")
    crowd = [look for look in looks if _rivals(look)]
    if len(crowd) * end_s / len(looks) > LONGEST_CROWD_S:
        raise BadVideo(f"{name} shows two faces at {crowd[0].second:.1f} s: cut it to the one that should drive.")
    known = [0.0, *(look.second for look in looks if look.faces), end_s]
    longest = int(np.argmax(np.diff(known)))
    if known[longest + 1] - known[longest] > LONGEST_GAP_S:
        raise BadVideo(
            f"no face is seen in {name} from {known[longest]:.1f} to {known[longest + 1]:.1f} s: cut that part out."
        )
    size = float(np.median([_extent(look.faces[0]) for look in looks if look.faces]))
    if size < SMALLEST_FACE_PX:
        raise BadVideo(f"the face in {name} is only {size:.0f} pixels across: film it from nearer.")


def _check_steady(seconds: Float[np.ndarray, " look"], landmarks: Float[np.ndarray, "look 478 2"], name: str) -> None:
    """Refuses a video that cuts from one take to another."""
    step = np.linalg.norm(np.diff(landmarks.mean(1), axis=0), axis=1)
    size = np.array([_extent(face) for face in landmarks])[1:]
    jumps = np.flatnonzero((step > FARTHEST_JUMP * size) & (np.diff(seconds) < 0.1))
    if len(jumps):
        raise BadVideo(f"{name} cuts at {seconds[jumps[0] + 1]:.1f} s: use one take that goes on.")


def _rivals(look: Look) -> bool:
    return len(look.faces) > 1 and _extent(look.faces[1]) > SECOND_FACE_SHARE * _extent(look.faces[0])


def _extent(face: np.ndarray) -> float:
    return float(np.ptp(face[:468], axis=0).max())
