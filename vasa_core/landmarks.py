"""Where the face is: MediaPipe's 478 landmarks, the square crop around it, and its word on where the person is.

MediaPipe 0.10.21 carries its models in the package. Every way in which a picture cannot serve is a named refusal.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.errors import BadPortrait

CROP_PX = 512
CROP_OVER_FACE = 2.1
"""The crop's side over the landmarks' larger extent: head, hair and shoulders."""

TIGHTEST_CROP_OVER_FACE = 1.45
"""A face near the picture's border gets a tighter crop down to this, before the picture is continued."""

SMALLEST_FACE_PX = 96
SECOND_FACE_SHARE = 0.4
"""A second face at least this large compared with the first makes the choice ambiguous."""


LID_RINGS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
LID_SEARCH_SHARE = 0.16
"""The white is searched this share of the eye's width beyond the lids."""


@dataclass(frozen=True, kw_only=True)
class FaceCrop:
    """The square crop, the landmarks in it (pixels), the way back, and how much of the crop the picture really
    covers."""

    crop: UInt8[np.ndarray, "512 512 3"]
    landmarks: Float[np.ndarray, "478 2"]
    crop_from_picture: Float[np.ndarray, "2 3"]


def find_face(picture: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "478 2"]:
    """Landmarks of the one face in the picture, in its pixels; BadPortrait says what was seen instead."""
    found = _meshes(picture) or _meshes_after_detection(picture)
    if not found:
        raise BadPortrait(
            "no human face was found in the portrait: use a picture of one face, seen mostly from the front."
        )
    sizes = np.array([_extent(face) for face in found])
    largest = int(sizes.argmax())
    rivals = int((sizes > SECOND_FACE_SHARE * sizes.max()).sum())
    if rivals > 1:
        raise BadPortrait(f"the portrait shows {rivals} faces: crop it to the one that should speak.")
    if sizes[largest] < SMALLEST_FACE_PX:
        raise BadPortrait(
            f"the face is only {sizes[largest]:.0f} pixels across: "
            f"use a picture in which it has at least {SMALLEST_FACE_PX}."
        )
    return found[largest]


def crop_face(picture: UInt8[np.ndarray, "height width 3"]) -> FaceCrop:
    """The 512-pixel crop around the one face, with landmarks found again in it for precision."""
    coarse = find_face(picture)
    transform = crop_transform(coarse, picture.shape[1], picture.shape[0])
    crop = cut(picture, transform)
    again = _meshes(crop)
    landmarks = again[0] if again else coarse @ transform[:, :2].T + transform[:, 2]
    landmarks = widen_lids(crop, landmarks)
    return FaceCrop(crop=crop, landmarks=landmarks.astype(np.float32), crop_from_picture=transform.astype(np.float32))


def seen_in_mirror(crop: UInt8[np.ndarray, "512 512 3"]) -> Float[np.ndarray, "478 2"] | None:
    """Landmarks of the face in the crop's mirror image, found anew; None where none is found. They err otherwise than
    those of the crop, so two looks tell more than one."""
    mirror = np.ascontiguousarray(crop[:, ::-1])
    found = _close_mesh().process(mirror).multi_face_landmarks
    if not found:
        return None
    landmarks = np.array([(p.x * CROP_PX, p.y * CROP_PX) for p in found[0].landmark], np.float32)
    return widen_lids(mirror, landmarks)


_of_thread = threading.local()


def _close_mesh() -> Any:
    """MediaPipe for one face a picture: one for each thread, for it takes a while to make and serves one at a time."""
    import mediapipe as mp

    if not hasattr(_of_thread, "mesh"):
        _of_thread.mesh = mp.solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True, max_num_faces=1
        )
    return _of_thread.mesh


def widen_lids(
    crop: UInt8[np.ndarray, "512 512 3"], landmarks: Float[np.ndarray, "478 2"]
) -> Float[np.ndarray, "478 2"]:
    """The landmarks with the lids moved out to where the white of the eye really ends.

    MediaPipe knows human proportions and draws its lids inside the large eyes of cartoons; there the white goes on
    beyond them.
    """
    moved = landmarks.copy()
    soft = cv2.GaussianBlur(crop, (0, 0), 0.8).astype(np.float32)
    for iris, lids in zip((468, 473), LID_RINGS, strict=True):
        ring = np.array(lids)
        contour = landmarks[ring]
        shift = _white_beyond(soft, contour, landmarks[iris], landmarks[iris + 1 : iris + 5])
        shift = (np.roll(shift, 1, 0) + 2 * shift + np.roll(shift, -1, 0)) / 4
        width = np.ptp(contour[:, 0])
        distance = np.linalg.norm(landmarks[:468, None] - contour[None], axis=-1)
        nearest = distance.min(1)
        share = np.exp(-(distance - nearest[:, None]) / (0.06 * width))
        share *= (np.exp(-((nearest / (0.4 * width)) ** 2)) / share.sum(1))[:, None]
        share[ring] = np.eye(len(ring))
        moved[:468] += share @ shift
    return moved.astype(np.float32)


def _white_beyond(soft: np.ndarray, contour: np.ndarray, iris: np.ndarray, iris_ring: np.ndarray) -> np.ndarray:
    """How far outwards from each contour point the white of the eye continues, as vectors in pixels."""
    centre = contour.mean(0)
    radius = np.linalg.norm(iris_ring - iris, axis=1).mean()
    inner = np.linspace(0.15, 0.95, 9)[:, None, None] * (contour - centre) + centre
    inner = inner.reshape(-1, 2)
    inner = inner[np.linalg.norm(inner - iris, axis=1) > 1.1 * radius]
    if len(inner) < 8:
        return np.zeros_like(contour)
    colours = _at(soft, inner)
    white = np.median(colours[colours.sum(1) >= np.percentile(colours.sum(1), 60)], 0)
    width = np.ptp(contour[:, 0])
    outwards = contour - centre
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    steps = np.arange(0, LID_SEARCH_SHARE * width, 0.5)
    path = contour[None] + steps[:, None, None] * outwards[None]
    skin = np.median(_at(soft, contour + 0.45 * width * outwards), 0)
    here = _at(soft, path.reshape(-1, 2)).reshape(len(steps), len(contour), 3)
    to_white, to_skin = np.linalg.norm(here - white, axis=-1), np.linalg.norm(here - skin, axis=-1)
    if white.min() < 0.95 * skin.min():  # no white to speak of: a small, dark or half-closed eye keeps its lids
        return np.zeros_like(contour)
    is_white = to_white < 0.9 * to_skin
    in_iris = np.linalg.norm(path - iris, axis=-1) < 1.25 * radius
    reach = np.zeros(len(contour))
    for k in range(len(contour)):  # the last white pixel, a pixel of noise allowed
        gap = 0
        for step, white_here, iris_here in zip(steps, is_white[:, k], in_iris[:, k], strict=True):
            gap = 0 if white_here or iris_here else gap + 1
            if white_here:
                reach[k] = step
            if gap > 2:
                break
    # one point that ran out over pale skin is outvoted by its neighbours
    reach = np.median([np.roll(reach, 1), reach, np.roll(reach, -1)], axis=0)
    return reach[:, None] * outwards


def _at(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    x, y = points.round().astype(int).clip(0, picture.shape[0] - 1).T
    return picture[y, x]


def person_word(crop: UInt8[np.ndarray, "512 512 3"]) -> Float[np.ndarray, "512 512"]:
    """MediaPipe's word on how likely each pixel belongs to the person, 0 to 1; soft, as it looks at 256 pixels."""
    import mediapipe as mp

    with mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as segmenter:
        return segmenter.process(crop).segmentation_mask.astype(np.float32)


def edged(crop: UInt8[np.ndarray, "512 512 3"], word: Float[np.ndarray, "512 512"]) -> Float[np.ndarray, "512 512"]:
    """The word as a matte whose edge follows the picture's own edges."""
    fine = cv2.ximgproc.guidedFilter(crop.astype(np.float32) / 255, word, 8, 1e-3)
    return np.clip((fine - 0.15) / 0.7, 0, 1).astype(np.float32)


def _extent(face: np.ndarray) -> float:
    return float(np.ptp(face[:468], axis=0).max())


def _meshes(picture: np.ndarray) -> list[np.ndarray]:
    import mediapipe as mp

    height, width = picture.shape[:2]
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=4) as mesh:
        faces = mesh.process(picture).multi_face_landmarks or []
    return [np.array([[p.x * width, p.y * height] for p in face.landmark], np.float32) for face in faces]


def _meshes_after_detection(picture: np.ndarray) -> list[np.ndarray]:
    """Faces that are small in a large picture: the full-range detector finds them, the mesh then looks closely."""
    import mediapipe as mp

    height, width = picture.shape[:2]
    with mp.solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5) as detector:
        boxes = [d.location_data.relative_bounding_box for d in detector.process(picture).detections or []]
    faces = []
    for box in boxes:
        centre = np.array([(box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height])
        side = 2.0 * max(box.width * width, box.height * height)
        scale = CROP_PX / side
        transform = np.concatenate([np.eye(2) * scale, (CROP_PX / 2 - centre * scale)[:, None]], 1)
        found = _meshes(cut(picture, transform))
        faces += [(f - transform[:, 2]) / scale for f in found[:1]]
    return faces


def crop_transform(face: np.ndarray, width: int, height: int) -> np.ndarray:
    """The upright square around the face: moved, then tightened, to stay inside the picture where it can."""
    low, high = face[:468].min(0), face[:468].max(0)
    centre, extent = (low + high) / 2, float((high - low).max())
    side = min(CROP_OVER_FACE * extent, max(min(width, height), TIGHTEST_CROP_OVER_FACE * extent))
    centre = centre - (0, 0.02 * side)
    for axis, size in ((0, width), (1, height)):
        if side <= size:
            centre[axis] = np.clip(centre[axis], side / 2, size - side / 2)
        else:
            centre[axis] = size / 2
    scale = CROP_PX / side
    return np.concatenate([np.eye(2) * scale, (CROP_PX / 2 - centre * scale)[:, None]], 1)


def cut(picture: np.ndarray, transform: np.ndarray, size: int = CROP_PX) -> np.ndarray:
    """The crop; where it leaves the picture, the picture continues mirrored and softened, never as streaks."""
    shrink = transform[0, 0] < 1
    flags = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    if shrink:  # warpAffine does not average, so reduce first
        factor = float(transform[0, 0])
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=flags)
        shift = np.array([[1, 0, transform[0, 2]], [0, 1, transform[1, 2]]])
    else:
        shift = transform
    cut = cv2.warpAffine(picture, shift, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    inside = cv2.warpAffine(np.ones(picture.shape[:2], np.float32), shift, (size, size), flags=cv2.INTER_LINEAR)
    if inside.min() > 0.5:
        return cut
    distance = cv2.distanceTransform((inside < 0.999).astype(np.uint8), cv2.DIST_L2, 5)
    wide = 12 * size / CROP_PX
    soft = cv2.GaussianBlur(cut, (0, 0), wide)
    mix = np.clip(distance / (2 * wide), 0, 1)[..., None]
    return (cut * (1 - mix) + soft * mix).astype(np.uint8)
