"""What is seen in rendered frames: MediaPipe's landmarks turned back into head pose, expression and gaze.

The frames are the engine's own, at 512 px; the tracker knows the portrait but not the motion. The same inverse problem
as `encoders.encode_landmarks` with the person known: head pose and expression code whose surface, posed and projected,
lands on the landmarks (Gauss-Newton, four rounds). What MediaPipe sees otherwise on the unmoved portrait is taken out.
Irises give the gaze through a linear reading learned on performed looks of other sitters (`GazeReading`) and, as eye
trackers are, calibrated to the sitter by a few rendered looks that are known: one sitter's irises seem to move twice as
far as another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from vasa_core.decoder import Decoder
from vasa_core.encoders import EYEBALL_RADIUS_CM, OPENING_WEIGHT
from vasa_core.geometry import CAMERA_DISTANCE_CM, NECK_PIVOT_CM, rotation
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import DYNAMICS, EXPRESSION, POSE, Motion
from vasa_core.portrait import Portrait
from vasa_core.render import poses, within_view
from vasa_core.surface import (
    EYE_CORNERS,
    IRIS_CENTRES,
    LANDMARKS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    Surface,
)

ROUNDS = 4
NOISE_CM = 0.06
"""Spread of MediaPipe's landmarks about the surface once its view of the unmoved portrait is taken out."""

SPREAD = 0.30
"""Prior spread of the expression code."""

READINGS = 5
"""What the gaze is read from: irises' place (x, y in eyeball radii), the head's yaw and pitch (rad), and 1."""

CALIBRATION_DEG = (
    ((0, 0), (0, 0)), ((-18, 0), (0, 0)), ((18, 0), (0, 0)), ((0, -9), (0, 0)), ((0, 9), (0, 0)),
    ((-10, 6), (0, 0)), ((10, -6), (0, 0)), ((10, 6), (0, 0)), ((-10, -6), (0, 0)),
    ((6, 0), (-8, 0)), ((-6, 0), (8, 0)), ((0, 4), (0, -5)), ((0, -4), (0, 5)),
)  # fmt: skip
"""Known looks: eye in head (yaw, pitch), head (yaw, pitch)."""

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
class Sighting:
    """What was read off some frames; a frame without a face is left out, `frames` says which are there."""

    frames: list[int]
    head_pose: Float[np.ndarray, "frame pose=6"]
    expression: Float[np.ndarray, "frame expression=48"]
    readings: Float[np.ndarray, "frame readings=5"]
    lids: Float[np.ndarray, " frame"]
    """Opening of the lids over the unmoved portrait's."""

    def gaze(self, reading: GazeReading) -> Float[np.ndarray, "frame 2"]:
        """Where the eyes look in the world (rad): eye in head and head together, as `Controls.gaze` counts it."""
        return reading(self.readings) + self.head_pose[:, [1, 0]]

    def motion(self, reading: GazeReading) -> Motion:
        """The same as a motion, for whatever measures motions."""
        dynamics = np.concatenate([self.expression, reading(self.readings)], axis=1).astype(np.float32)
        pose = torch.from_numpy(np.asarray(self.head_pose, np.float32))
        return Motion(head_pose=pose, facial_dynamics=torch.from_numpy(dynamics))


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
        """With a reading of gaze it is calibrated to the sitter, which takes half a second."""
        self.portrait, self.mesh = portrait, mesh
        self.decoder = Decoder(portrait, surface)
        self._rest = self.decoder.rest[:LANDMARKS].astype(np.float64)
        self._basis = surface.dynamics_basis[:, :LANDMARKS].astype(np.float64)
        uppers, lowers = [*UPPER_LIP, *UPPER_LIDS[0], *UPPER_LIDS[1]], [*LOWER_LIP, *LOWER_LIDS[0], *LOWER_LIDS[1]]
        self._openings = np.array(uppers), np.array(lowers)
        still = self.rendered(np.zeros(POSE, np.float32), np.zeros(DYNAMICS, np.float32))
        seen = mesh.landmarks(still)
        if seen is None:
            raise ValueError("MediaPipe sees no face in the unmoved portrait")
        self._bias = seen[:LANDMARKS] - self._projected(np.zeros(POSE), np.zeros(EXPRESSION))
        self._iris = self._iris_cm(seen, np.zeros(POSE))
        self._lids_open = self._lid_gap(seen)
        self.reading = self.calibrated(reading) if reading is not None else None

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

    def read(self, frames: Iterable[tuple[int, Frame]]) -> Sighting:
        """Pose, expression and irises in each frame that shows a face."""
        found = [(at, seen) for at, frame in frames if (seen := self.mesh.landmarks(frame)) is not None]
        fits = [self.fitted(seen[:LANDMARKS]) for _, seen in found]
        poses_ = np.array([pose for pose, _ in fits]).reshape(-1, POSE)
        irises = np.array(
            [self._iris_cm(seen, pose) - self._iris for (_, seen), (pose, _) in zip(found, fits, strict=True)]
        ).reshape(-1, 2)
        readings = np.c_[irises / EYEBALL_RADIUS_CM, poses_[:, [1, 0]], np.ones(len(poses_))]
        return Sighting(
            frames=[at for at, _ in found],
            head_pose=poses_,
            expression=np.array([code for _, code in fits]).reshape(-1, EXPRESSION),
            readings=readings,
            lids=np.array([self._lid_gap(seen) / self._lids_open for _, seen in found]),
        )

    def calibrated(self, reading: GazeReading) -> GazeReading:
        """The reading for this sitter: known looks rendered, seen, and fitted by least squares about the given one."""
        eyes, heads = np.deg2rad(np.array(CALIBRATION_DEG, float)).transpose(1, 0, 2)
        dynamics = np.array([self._look(*eye) for eye in eyes], np.float32)
        pose = np.zeros((len(eyes), POSE), np.float32)
        pose[:, [1, 0]] = heads
        known = Motion(head_pose=torch.from_numpy(pose), facial_dynamics=torch.from_numpy(dynamics))
        seen = self.watched(known, range(len(eyes)))
        rows, aims = seen.readings, (eyes + heads)[seen.frames] - seen.gaze(reading)  # a head is read short as well
        correction = np.linalg.solve(rows.T @ rows + np.diag(PRIOR_WEIGHT), rows.T @ aims)
        return GazeReading(weights=reading.weights + correction)

    def _look(self, yaw: float, pitch: float) -> Float[np.ndarray, " dynamics=50"]:
        """Facial dynamics of a look, lids and skin following the eyes as in performances (`world.performer`)."""
        out, within = np.clip(np.array([yaw, -yaw]) / 0.6, 0, 1)
        weights = {"eyeLookDown": np.clip(pitch / 0.55, 0, 1), "eyeLookUp": np.clip(-pitch / 0.55, 0, 1),
                   "eyeLookOut_L": out, "eyeLookIn_R": out, "eyeLookOut_R": within, "eyeLookIn_L": within}  # fmt: skip
        dynamics = self.decoder.surface.dynamics_from_weights({k: float(v) for k, v in weights.items()})
        dynamics[EXPRESSION:] = yaw, pitch
        return dynamics

    def fitted(
        self, landmarks: Float[np.ndarray, "468 2"]
    ) -> tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " expression=48"]]:
        """Head pose and expression code under which the known face lands on these landmarks."""
        wanted = landmarks - self._bias
        pose, code = np.zeros(POSE), np.zeros(EXPRESSION)
        precision = np.concatenate([np.full(POSE, 1e-6), np.full(EXPRESSION, SPREAD**-2)])
        upper, lower = self._openings
        noise_px = NOISE_CM * self.portrait.camera.scale_px
        for _ in range(ROUNDS):
            error = wanted - self._projected(pose, code)
            slopes = self._slopes(pose, code)
            rows = np.concatenate([slopes, OPENING_WEIGHT * (slopes[upper] - slopes[lower])]).reshape(
                -1, len(precision)
            )
            aims = np.concatenate([error, OPENING_WEIGHT * (error[upper] - error[lower])]).reshape(-1)
            rows, aims = rows / noise_px, aims / noise_px
            pull = precision * np.concatenate([np.zeros(POSE), code])
            step = np.linalg.solve(rows.T @ rows + np.diag(precision), rows.T @ aims - pull)
            pose, code = pose + step[:POSE], code + step[POSE:]
        return pose, code

    def _posed(self, pose: np.ndarray, code: np.ndarray) -> np.ndarray:
        canonical = self._rest + np.tensordot(code, self._basis, 1)
        pivot = self._turned_in(NECK_PIVOT_CM[None].astype(np.float64))[0]
        return (self._turned_in(canonical) - pivot) @ rotation(pose[:3]).T + pivot + pose[3:]

    def _turned_in(self, points: np.ndarray) -> np.ndarray:
        """Canonical coordinates as the portrait itself stands before the camera."""
        return points @ self.portrait.rotation.T.astype(np.float64) + self.portrait.translation

    def _projected(self, pose: np.ndarray, code: np.ndarray) -> np.ndarray:
        return self.portrait.camera.project(self._posed(pose, code))[:, :2].astype(np.float64)

    def _slopes(self, pose: np.ndarray, code: np.ndarray) -> Float[np.ndarray, "468 2 unknown=54"]:
        """What each unknown does to each landmark, in pixels: pose by differences, the code by the posed basis."""
        here, step = self._projected(pose, code), 1e-2
        by_pose = [(self._projected(pose + step * unit, code) - here) / step for unit in np.eye(POSE)]
        turn = (rotation(pose[:3]) @ self.portrait.rotation).astype(np.float64)
        scale = self.portrait.camera.scale_px / (1 - self._posed(pose, code)[:, 2] / CAMERA_DISTANCE_CM)
        by_code = np.einsum("cvk,jk->vjc", self._basis, turn[:2] * [[1], [-1]]) * scale[:, None, None]
        return np.concatenate([np.stack(by_pose, -1), by_code], -1)

    def _iris_cm(self, landmarks: np.ndarray, pose: np.ndarray) -> Float[np.ndarray, " 2"]:
        """Irises from the middle of the lid corners, in cm before the turned head (x right, y down)."""
        offsets = [
            landmarks[iris] - (landmarks[outer] + landmarks[inner]) / 2
            for iris, (outer, inner) in zip(IRIS_CENTRES, EYE_CORNERS, strict=True)
        ]
        turn = rotation(np.asarray(pose[:3])) @ self.portrait.rotation
        flat = np.mean(offsets, axis=0) * (1, -1) / self.portrait.camera.scale_px
        return np.linalg.lstsq(turn[:2, :2], flat, rcond=None)[0] * (1, -1)

    @staticmethod
    def _lid_gap(landmarks: np.ndarray) -> float:
        """Opening of both eyes over their width."""
        gaps = [
            np.linalg.norm(landmarks[list(upper)] - landmarks[list(lower)], axis=1).mean()
            / np.linalg.norm(landmarks[outer] - landmarks[inner])
            for upper, lower, (outer, inner) in zip(UPPER_LIDS, LOWER_LIDS, EYE_CORNERS, strict=True)
        ]
        return float(np.mean(gaps))
