"""What is seen in rendered frames: head pose, expression, gaze and distance, by the sitter's own pixels.

The frames are the engine's own, at 512 px; who looks knows the portrait but not the motion. MediaPipe's landmarks see
half of a nod, a raised brow and a glance, so frames are looked at closely (`closeup.Closeup`): the optical flow from
the portrait drawn that way moves the landmarks to where its skin is, irises are found by their own colours. What is
left is taken out as eye trackers do it: a few rendered looks that are known tell how far to trust each number on this
sitter (`Calibration`), about what other sitters taught (`GazeReading`); no performance and nothing generated is among
them.
Where a figure is asked for by MediaPipe alone, as real people were measured, `Stage.traced` gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from vasa_core.closeup import Closeup
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import DYNAMICS, EXPRESSION, POSE, Motion
from vasa_core.portrait import Portrait
from vasa_core.render import poses, within_view
from vasa_core.surface import EYE_CORNERS, LOWER_LIDS, UPPER_LIDS, Surface

READINGS = 5
"""What the gaze is read from: eyes in the head (yaw, pitch), the head's own yaw and pitch (all rad), and 1."""

KNOWN_LOOKS = (
    ((0, 0), (0, 0), 1.0), ((-18, 0), (0, 0), 1.2), ((18, 0), (0, 0), 0.85), ((0, -9), (0, 0), 1.1),
    ((0, 9), (0, 0), 1.0), ((-10, 6), (0, -5), 0.85), ((10, -6), (0, 5), 1.2), ((10, 6), (-8, 0), 1.35),
    ((-10, -6), (8, 0), 1.0), ((6, 0), (-8, 6), 1.1), ((-6, 0), (8, -6), 0.85), ((0, 4), (4, -8), 1.35),
    ((0, -4), (-4, 8), 1.2),
)  # fmt: skip
"""Eye in head (yaw, pitch) and head (yaw, pitch) in degrees, and the distance over the portrait's."""

PRIOR_WEIGHT = np.array([0.01, 0.01, 0.005, 0.005, 0.01])
"""How strongly each reading holds to what other sitters taught: about a tenth of what the known looks weigh."""

Frame = UInt8[np.ndarray, "512 512 3"]


@dataclass(frozen=True, kw_only=True)
class GazeReading:
    """Eye-in-head yaw and pitch (rad) as a linear function of `READINGS` numbers."""

    weights: Float[np.ndarray, "readings=5 2"]

    def __call__(self, readings: Float[np.ndarray, "frame readings=5"]) -> Float[np.ndarray, "frame 2"]:
        return np.asarray(readings @ self.weights)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What is read on one sitter, made true by known looks."""

    gaze: GazeReading
    depth: Float[np.ndarray, " 2"]
    """z = depth[0] + depth[1] * z as read, in cm."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What was read off some frames; a frame without a face is left out, `frames` says which are there."""

    frames: list[int]
    head_pose: Float[np.ndarray, "frame pose=6"]
    expression: Float[np.ndarray, "frame expression=48"]
    readings: Float[np.ndarray, "frame readings=5"]
    """NaN in the first two where lids hide both irises."""
    lids: Float[np.ndarray, " frame"]
    """Opening of the lids over the unmoved portrait's."""

    @property
    def eyes_shown(self) -> Bool[np.ndarray, " frame"]:
        """Frames whose lids hide no more than one iris."""
        return np.isfinite(self.readings).all(1)

    def gaze(self, reading: GazeReading) -> Float[np.ndarray, "seen 2"]:
        """Where the eyes look in the world (rad) in the frames that show them: eye in head and head together."""
        shown = self.eyes_shown
        return reading(self.readings[shown]) + self.head_pose[shown][:, [1, 0]]

    def distance(self, depth: Float[np.ndarray, " 2"]) -> float:
        """Mean distance over the portrait's, as `Controls.head_distance` counts it."""
        return 1 - (depth[0] + depth[1] * float(self.head_pose[:, POSE - 1].mean())) / CAMERA_DISTANCE_CM


class Mesh:
    """MediaPipe's face mesh, each picture looked at by itself; closed with `with`."""

    def __init__(self) -> None:
        import mediapipe as mp

        self._mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1)

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *_: object) -> None:
        self._mesh.close()

    def landmarks(self, frame: Frame) -> Float[np.ndarray, "478 2"] | None:
        """In pixels, or None where it sees no face."""
        faces = self._mesh.process(frame).multi_face_landmarks
        if not faces:
            return None
        return CROP_PX * np.array([[point.x, point.y] for point in faces[0].landmark], np.float32)


class Stage:
    """A sitter before the camera: renders any frame of a motion and reads frames back."""

    def __init__(self, portrait: Portrait, surface: Surface, mesh: Mesh, reading: GazeReading | None = None) -> None:
        """With a reading of gaze it is calibrated to the sitter, which takes a second or two."""
        self.portrait, self.mesh = portrait, mesh
        self.closeup = Closeup(portrait, surface, hidden=np.nan)
        self.decoder = self.closeup.decoder
        still = mesh.landmarks(self.rendered(np.zeros(POSE, np.float32), np.zeros(DYNAMICS, np.float32)))
        if still is None:
            raise ValueError("MediaPipe sees no face in the unmoved portrait")
        self._astray = portrait.landmarks - still  # this tracker and the portrait's differ a little, always alike
        self._lids_open = _lid_gap(still)
        self.calibration = self.calibrated(reading) if reading is not None else None

    def rendered(self, head_pose: np.ndarray, facial_dynamics: np.ndarray) -> Frame:
        """One frame at 512 px, as the engine draws it in a performance."""
        return self.decoder.frame(within_view(head_pose, self.portrait), facial_dynamics)

    def frames(self, motion: Motion, which: Iterable[int]) -> Iterator[tuple[int, Frame]]:
        """Some frames of a motion."""
        moments = list(poses(motion))
        for at in which:
            yield at, self.rendered(*moments[at])

    def watched(self, motion: Motion, which: Iterable[int]) -> Sighting:
        """What is seen of these frames of a motion."""
        return self.read(self.frames(motion, which))

    def traced(self, motion: Motion) -> Motion | None:
        """The whole motion rendered and read back by MediaPipe's landmarks alone; None where a face is lost."""
        found = [self.mesh.landmarks(frame) for _, frame in self.frames(motion, range(len(motion)))]
        moved = [self.closeup.follow(seen + self._astray) for seen in found if seen is not None]
        if len(moved) < len(motion):
            return None
        pose, dynamics = (torch.from_numpy(np.array(part)) for part in zip(*moved, strict=True))
        return Motion(head_pose=pose, facial_dynamics=dynamics)

    def read(self, frames: Iterable[tuple[int, Frame]]) -> Sighting:
        """Pose, expression and irises in each frame that shows a face, looked at closely."""
        found = [(at, frame, seen) for at, frame in frames if (seen := self.mesh.landmarks(frame)) is not None]
        moved = [np.concatenate(self.closeup(frame, seen + self._astray)) for _, frame, seen in found]
        packed = np.array(moved, np.float64).reshape(-1, POSE + DYNAMICS)
        pose, dynamics = packed[:, :POSE], packed[:, POSE:]
        return Sighting(
            frames=[at for at, *_ in found],
            head_pose=pose,
            expression=dynamics[:, :EXPRESSION],
            readings=np.c_[dynamics[:, EXPRESSION:], pose[:, [1, 0]], np.ones(len(pose))],
            lids=np.array([_lid_gap(seen) / self._lids_open for *_, seen in found]),
        )

    def calibrated(self, reading: GazeReading) -> Calibration:
        """The readings for this sitter: known looks rendered, seen, and fitted by least squares about the given one."""
        looks = self.known_looks()
        seen = self.watched(looks, range(len(looks)))
        shown = seen.eyes_shown
        known = looks.packed().double().numpy()[seen.frames]
        rows, world = seen.readings[shown], (known[:, -2:] + known[:, [1, 0]])[shown]
        aims = world - seen.gaze(reading)  # a head is read short as well
        correction = np.linalg.solve(rows.T @ rows + np.diag(PRIOR_WEIGHT), rows.T @ aims)
        slope, offset = np.polyfit(seen.head_pose[:, POSE - 1], known[:, POSE - 1], 1)
        return Calibration(
            gaze=GazeReading(weights=reading.weights + correction), depth=np.array([offset, slope], np.float64)
        )

    def known_looks(self) -> Motion:
        """`KNOWN_LOOKS` as this sitter can show them, a frame each."""
        eyes, heads = np.deg2rad(np.array([look[:2] for look in KNOWN_LOOKS], float)).transpose(1, 0, 2)
        pose = np.zeros((len(eyes), POSE), np.float32)
        pose[:, [1, 0]] = heads
        pose[:, POSE - 1] = [(1 - distance) * CAMERA_DISTANCE_CM for *_, distance in KNOWN_LOOKS]
        pose = np.array([within_view(row, self.portrait) for row in pose])
        dynamics = np.array([self._look(*eye) for eye in eyes], np.float32)
        return Motion(head_pose=torch.from_numpy(pose), facial_dynamics=torch.from_numpy(dynamics))

    def _look(self, yaw: float, pitch: float) -> Float[np.ndarray, " dynamics=50"]:
        """Facial dynamics of a look, lids and skin following the eyes as in performances (`world.performer`)."""
        out, within = np.clip(np.array([yaw, -yaw]) / 0.6, 0, 1)
        weights = {"eyeLookDown": np.clip(pitch / 0.55, 0, 1), "eyeLookUp": np.clip(-pitch / 0.55, 0, 1),
                   "eyeLookOut_L": out, "eyeLookIn_R": out, "eyeLookOut_R": within, "eyeLookIn_L": within}  # fmt: skip
        dynamics = self.decoder.surface.dynamics_from_weights({k: float(v) for k, v in weights.items()})
        dynamics[EXPRESSION:] = yaw, pitch
        return dynamics


def _lid_gap(landmarks: Float[np.ndarray, "478 2"]) -> float:
    """Opening of both eyes over their width."""
    gaps = [
        np.linalg.norm(landmarks[list(upper)] - landmarks[list(lower)], axis=1).mean()
        / np.linalg.norm(landmarks[outer] - landmarks[inner])
        for upper, lower, (outer, inner) in zip(UPPER_LIDS, LOWER_LIDS, EYE_CORNERS, strict=True)
    ]
    return float(np.mean(gaps))
