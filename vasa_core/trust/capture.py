"""What a live capture shows: whose face, which words, and a mouth that moves.

Three looks at a short video from a camera: the words (phrase.py), the face's geometry averaged over the frames
(likeness.py), and a simple sign of life: the mouth opens and closes while the voice is heard. A photo held into the
camera fails, and so does a recording made before the phrase was known. A talking head made for the purpose, by this
very program for instance, passes, and so does a moving mouth with another's voice: it is a hurdle, not a proof, and who
doubts a capture asks for a signed statement instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import BadPortrait, BadSound, ConsentRefused
from vasa_core.surface import EYE_CORNERS
from vasa_core.trust import phrase as spoken
from vasa_core.trust.evidence import Findings
from vasa_core.trust.likeness import Likeness, geometry_distance, likeness

LONGEST_S = 30.0
LOOKS_PER_S = 12.5
LOOKING_PX = 480
INNER_LIPS = (13, 14)
KEPT_EVERY_S, MOST_KEPT = 0.6, 8


def examine(video: Path, phrase: str, portrait: Likeness) -> Findings:
    """What the capture in this video file shows."""
    from vasa_core.audio import load_sound

    try:
        samples = load_sound(video).numpy()[: round(LONGEST_S * SAMPLE_RATE_HZ)]
    except BadSound as why:
        raise ConsentRefused(f"The capture has no sound that can be read: {why}", "no_voice") from None
    times, faces, looked, kept = _faces(video)
    said = spoken.heard(samples)
    mouth = _while_heard(times, _mouth_openings(faces), samples)
    return Findings(
        words_matched=spoken.matching(phrase, said),
        words_heard=len(said),
        face_share=len(faces) / max(1, looked),
        geometry_distance=_distance(kept, portrait),
        mouth_range=float(np.subtract(*np.percentile(mouth, [90, 10]))) if len(mouth) else 0.0,
    )


def _faces(
    video: Path,
) -> tuple[Float[np.ndarray, " frame"], Float[np.ndarray, "frame 478 2"], int, list[UInt8[np.ndarray, "h w 3"]]]:
    """When a single face was seen, its landmarks, at how many frames was looked, and some pictures of the face."""
    import mediapipe as mp

    times, faces, looked = [], [], 0
    kept: list[UInt8[np.ndarray, "h w 3"]] = []
    with mp.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=2) as mesh:
        for at, picture in _frames(video):
            looked += 1
            found = mesh.process(picture).multi_face_landmarks or []
            if len(found) == 1:
                size = np.array([picture.shape[1], picture.shape[0]], np.float32)
                faces.append(np.array([[point.x, point.y] for point in found[0].landmark], np.float32) * size)
                times.append(at)
                if at >= len(kept) * KEPT_EVERY_S:
                    kept.append(picture)
    return np.array(times, np.float32), np.array(faces, np.float32).reshape(-1, 478, 2), looked, kept


def _frames(video: Path) -> Iterator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
    """Some frames a second with their times, made small."""
    try:
        with av.open(str(video)) as file:
            following = 0.0
            for frame in file.decode(video=0):
                at = float(frame.time or 0.0)
                if at >= LONGEST_S:
                    return
                if at >= following:
                    following = at + 1 / LOOKS_PER_S - 1e-3
                    yield at, _small(frame.to_ndarray(format="rgb24"))
    except (av.error.FFmpegError, IndexError):
        raise ConsentRefused("The capture is not a video that can be read; record it again.", "no_video") from None


def _small(picture: np.ndarray) -> np.ndarray:
    scale = LOOKING_PX / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _eye_span(faces: np.ndarray) -> np.ndarray:
    left, right = (faces[:, list(pair)].mean(1) for pair in EYE_CORNERS)
    return np.linalg.norm(left - right, axis=-1)


def _mouth_openings(faces: np.ndarray) -> np.ndarray:
    upper, lower = INNER_LIPS
    return np.linalg.norm(faces[:, upper] - faces[:, lower], axis=-1) / np.maximum(_eye_span(faces), 1e-6)


def _distance(pictures: list[UInt8[np.ndarray, "h w 3"]], portrait: Likeness) -> float:
    """How far the face's shape, the mean of some pictures, is from the portrait's.

    Each is looked at as the portrait was: landmarks followed from frame to frame lie elsewhere, and 0.25 apart is as
    far as other people are.
    """
    codes = []
    for picture in pictures[:: max(1, len(pictures) // MOST_KEPT)][:MOST_KEPT]:
        with suppress(BadPortrait):
            codes.append(likeness(picture).geometry)
    return geometry_distance(np.mean(codes, 0), portrait.geometry) if codes else 9.0


def _while_heard(times: np.ndarray, mouth: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """The mouth's openings at the moments at which the voice is louder than a quarter of its loudest."""
    window = SAMPLE_RATE_HZ // 4
    power = np.convolve(samples.astype(np.float64) ** 2, np.ones(window) / window, mode="same")
    places = (times * SAMPLE_RATE_HZ).round().astype(int).clip(0, len(samples) - 1)
    return mouth[power[places] > power.max() / 16]
