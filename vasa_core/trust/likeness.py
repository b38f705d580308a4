"""Is this the photo that was agreed to? A perceptual hash of the face and the geometry of the face, both free of crop.

The face is brought to a fixed place by its landmarks before it is hashed, so a crop, a smaller copy or a re-encoded
one of the same photo gives nearly the same bits. The geometry is the identity code that the engine itself reads off
the landmarks (encoders.py), free of head pose and expression, in units of its own spread between frames of one person.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from safetensors.numpy import load_file

from vasa_core import assets
from vasa_core.encoders import encode_landmarks
from vasa_core.landmarks import CROP_PX, crop_face
from vasa_core.surface import LANDMARKS, Surface, load_surface

WANDERING = Path(__file__).with_name("likeness.safetensors")
"""Learned by train/likeness.py from rendered people."""

HASH_SIDE = 16
"""Frequencies a side: 16 x 16 - 1 bits."""

ALIGNED_PX = 64
FACE_CM = 16.0
"""The side of the aligned square, measured on the face: from the brows to below the mouth, no hair, no background."""

LOOKS = ((0, 1, 0, 0), (5, 0.9, 8, -6), (-5, 0.9, -8, 6), (3, 1.06, -7, -7), (-3, 0.84, 7, 7))
"""Turn (degrees), scale and shift (pixels) of the copies in which the landmarks are looked for."""

SAME_HASH, SAME_GEOMETRY = 0.12, 0.25
"""Of 497 copies of 19 photos (crops, sizes, JPEG, light) the farthest lie at 0.047 and 0.136; other photos of faces at
0.21 and more of the bits (`vasa evaluate consent --photos DIR`)."""


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What a picture of a face is known again by."""

    portrait_hash: UInt8[np.ndarray, " byte=32"]
    geometry: Float[np.ndarray, " identity=80"]

    def packed(self) -> tuple[bytes, bytes]:
        """The two parts as bytes, for the database."""
        return self.portrait_hash.tobytes(), self.geometry.astype("<f4").tobytes()

    @staticmethod
    def unpacked(portrait_hash: bytes, geometry: bytes) -> Likeness:
        """The likeness whose `packed` this is."""
        codes = np.frombuffer(geometry, "<f4").astype(np.float32)
        return Likeness(portrait_hash=np.frombuffer(portrait_hash, np.uint8), geometry=codes)


def likeness(picture: UInt8[np.ndarray, "height width 3"]) -> Likeness:
    """The likeness of the one face in the picture; BadPortrait where there is none, or several."""
    face = crop_face(picture)
    landmarks = _steadied(face.crop, face.landmarks)
    return Likeness(portrait_hash=face_hash(face.crop, landmarks), geometry=geometry_of(landmarks))


def raw_geometry(picture: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, " identity=80"]:
    """The identity code of the one face in the picture, as the engine reads it."""
    face = crop_face(picture)
    return _identity_code(_steadied(face.crop, face.landmarks))


def _steadied(crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The mean of the landmarks found in several slightly moved copies of the crop: half as noisy as one look."""
    import mediapipe as mp

    found = []
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        for turn_deg, scale, right, down in LOOKS:
            moved = cv2.getRotationMatrix2D((CROP_PX / 2, CROP_PX / 2), turn_deg, scale)
            moved[:, 2] += (right, down)
            seen = cv2.warpAffine(crop, moved, (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE)
            for face in mesh.process(seen).multi_face_landmarks or []:
                points = np.array([[point.x, point.y] for point in face.landmark]) * CROP_PX
                found.append((points - moved[:, 2]) @ np.linalg.inv(moved[:, :2]).T)
    return (np.mean(found, 0) if found else landmarks).astype(np.float32)


def geometry_of(landmarks: Float[np.ndarray, "478 2"]) -> Float[np.ndarray, " identity=80"]:
    """The shape of a face from its landmarks in a picture of square pixels, wherever and however large it is, without
    the directions in which one person's code wanders with distance, pose and expression."""
    code, wandering = _identity_code(landmarks), _wandering()
    return (code - code @ wandering.T @ wandering).astype(np.float32)


def _identity_code(landmarks: np.ndarray) -> np.ndarray:
    middle = landmarks[:LANDMARKS].mean(0)
    scale = CROP_PX / 2 / np.ptp(landmarks[:LANDMARKS], axis=0).max()
    centred = ((landmarks - middle) * scale + CROP_PX / 2).astype(np.float32)
    return encode_landmarks(centred, _surface(), (CROP_PX / 2, CROP_PX / 2)).identity_code


def face_hash(
    crop: UInt8[np.ndarray, "height width 3"], landmarks: Float[np.ndarray, "478 2"]
) -> UInt8[np.ndarray, " byte=32"]:
    """Signs of the face's low frequencies (cosine transform), the face brought to a fixed place: 255 bits and a 0."""
    transform = _alignment(landmarks)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    scale = float(np.linalg.norm(transform[:, 0]))
    soft = cv2.GaussianBlur(grey, (0, 0), max(0.3, 0.5 / scale))  # no aliasing, whatever the picture's own size
    aligned = cv2.warpAffine(soft, transform, (ALIGNED_PX, ALIGNED_PX), borderMode=cv2.BORDER_REPLICATE)
    low = cv2.dct(aligned)[:HASH_SIDE, :HASH_SIDE].ravel()[1:]
    return np.packbits(np.append(low > np.median(low), False))


def _alignment(landmarks: np.ndarray) -> np.ndarray:
    """The similarity that brings all landmarks nearest to the mean face in the aligned square (Procrustes)."""
    mean_face = _surface().neutral[:LANDMARKS, :2] * (1, -1)
    wanted = (mean_face - mean_face.mean(0)) * (ALIGNED_PX / FACE_CM)
    middle = landmarks[:LANDMARKS].mean(0)
    seen = landmarks[:LANDMARKS] - middle
    turn = np.vdot(_complex(seen), _complex(wanted)) / np.vdot(_complex(seen), _complex(seen)).real
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.c_[matrix, ALIGNED_PX / 2 - matrix @ middle].astype(np.float32)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def hash_distance(one: Likeness, other: Likeness) -> float:
    """Share of hash bits that differ: 0 for the same photo, about 0.5 for unrelated ones."""
    differing = np.unpackbits(one.portrait_hash ^ other.portrait_hash).sum()
    return float(differing) / (HASH_SIDE**2 - 1)


def geometry_distance(one: Float[np.ndarray, " identity=80"], other: Float[np.ndarray, " identity=80"]) -> float:
    """How far two faces' shapes are apart: root mean square, 1 is the spread between people of the training world."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def same_photo(one: Likeness, other: Likeness) -> bool:
    """Whether both pictures are copies of one photo: hash and geometry have to agree."""
    near = geometry_distance(one.geometry, other.geometry)
    return hash_distance(one, other) <= SAME_HASH and near <= SAME_GEOMETRY


@cache
def _wandering() -> np.ndarray:
    return load_file(WANDERING)["wandering"]


@cache
def _surface() -> Surface:
    return load_surface(assets.weights("surface.safetensors"))
