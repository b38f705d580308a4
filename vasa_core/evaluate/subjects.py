"""Who is judged: portraits ready to move and to be looked at again, and held-out sitters with the truth of every frame.

What is asked of each portrait (`ASKS`) is the same for all: turns, grimaces and both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from vasa_core import assets
from vasa_core.changes import Changes
from vasa_core.closeup import EYES_LARGER, Closeup
from vasa_core.decoder import Decoder
from vasa_core.evaluate import expressions, identity, pixels
from vasa_core.evaluate.held_out import CALM, CANONICAL_SHARE, ROLES, SIZE_PX, Sitter, Truth
from vasa_core.landmarks import CROP_PX, cut, widen_lids
from vasa_core.latents import DYNAMICS, EXPRESSION, IDENTITY, POSE
from vasa_core.lower_face import load_lower_face
from vasa_core.matting import Matting, load_matting
from vasa_core.pixel_codes import PixelEncoder, load_pixel_encoder
from vasa_core.portrait import Portrait, prepare
from vasa_core.refinement import FaceNetworks, load_networks
from vasa_core.relief import Relief, load_relief
from vasa_core.surface import LANDMARKS, Surface, load_surface
from vasa_core.upper_face import load_upper_face
from vasa_core.world.facekit import head_rotation

BONES = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4)
"""Landmarks on bone: corners of the eyes and the nose's ridge."""

Landmarks = Float[np.ndarray, "478 2"]
Picture = UInt8[np.ndarray, "512 512 3"]
Motion = tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " dynamics=50"]]


# ---- what portraits are asked to do ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A pose in degrees (yaw > 0 to image right, pitch > 0 down), named expression weights, and a gaze in degrees."""

    name: str
    yaw: float = 0.0
    pitch: float = 0.0
    weights: dict[str, float] | None = None
    gaze: tuple[float, float] = (0.0, 0.0)

    @property
    def turns(self) -> bool:
        return bool(self.yaw or self.pitch)

    @property
    def acts(self) -> bool:
        return bool(self.weights) or any(self.gaze)

    def motion(self, surface: Surface) -> Motion:
        """As head pose and facial dynamics."""
        pose, dynamics = np.zeros(POSE, np.float32), np.zeros(DYNAMICS, np.float32)
        pose[:2] = np.radians([self.pitch, self.yaw])
        dynamics += surface.dynamics_from_weights(self.weights or {})
        dynamics[EXPRESSION:] = np.radians(self.gaze)
        return pose, dynamics


ASKS = (
    Ask(name="still"),
    Ask(name="left", yaw=-25),
    Ask(name="right", yaw=25),
    Ask(name="up", pitch=-15),
    Ask(name="down", pitch=15),
    Ask(name="open", weights={"jawOpen": 0.55}),
    Ask(name="smile", weights={"mouthSmile": 0.9, "cheekSquint": 0.4}),
    Ask(name="blink", weights={"eyeBlink": 1.0}),
    Ask(name="surprise", weights={"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.6, "jawOpen": 0.2}),
    Ask(name="kiss, eyes aside", weights={"mouthPucker": 0.9, "browDown": 0.7}, gaze=(18, -6)),
    Ask(name="left, talking", yaw=-20, pitch=10, weights={"jawOpen": 0.3, "mouthStretch": 0.3}, gaze=(10, 0)),
    Ask(name="right, smiling", yaw=20, pitch=-10, weights={"mouthSmile": 0.7, "jawOpen": 0.15}, gaze=(-10, 4)),
)
"""Twelve poses and expressions: each portrait's contact sheet, and the edits that must not leak."""


# ---- seeing ----------------------------------------------------------------------------------------------------------


class Watcher:
    """MediaPipe's landmarks of one face, found anew in each crop, the lids where the portrait's own would be put."""

    @cached_property
    def _mesh(self) -> Any:
        import mediapipe as mp

        return mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1)

    def __call__(self, crop: Picture) -> Landmarks | None:
        """The landmarks (px), or None where no face is found."""
        found = self._mesh.process(crop).multi_face_landmarks
        if not found:
            return None
        points = np.array([(p.x * CROP_PX, p.y * CROP_PX) for p in found[0].landmark], np.float32)
        return widen_lids(crop, points)


@dataclass(frozen=True, kw_only=True)
class Look:
    """A frame seen again: its landmarks, and the motion relative to the portrait that they tell."""

    landmarks: Landmarks
    motion: Motion
    identity_change: Float[np.ndarray, " identity=80"]
    """How the identity code seems to differ from the portrait's."""
    unlikeness: float
    """How far it is from the portrait in the numbers that tell people apart."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A portrait ready to move and to be looked at."""

    name: str
    portrait: Portrait
    decoder: Decoder
    closeup: Closeup
    surface: Surface
    watch: Watcher

    @property
    def own(self) -> Motion:
        """The portrait's own motion: an open mouth is part of it, for the resting face has it closed."""
        return np.zeros(POSE, np.float32), self.portrait.facial_dynamics - self.portrait.rest_dynamics

    @property
    def eyes_px(self) -> float:
        """The distance of the outer corners of the eyes."""
        return float(np.linalg.norm(self.portrait.landmarks[33] - self.portrait.landmarks[263]))

    def frame(self, motion: Motion) -> Picture:
        """The portrait under this motion."""
        return self.decoder.frame(*motion)

    def look(self, frame: Picture) -> Look | None:
        """The second look: what any frame of this person, in the portrait's crop, shows; None where no face is."""
        found = self.watch(frame)
        if found is None:
            return None
        seen = self.closeup.look(frame, found)
        places = self.decoder.pose(*seen.moved).canonical[:LANDMARKS]
        changed = identity.identity_change(
            self.portrait, self.surface, seen.moved, places, seen.landmarks, seen.spread_cm
        )
        if seen.told and self.closeup.before:
            changed = (changed + seen.told.identity_code - self.closeup.before.identity_code) / 2
        who = pixel_encoder().recognised(seen.told) if seen.told else None
        unlikeness = float("nan") if who is None else identity.unlikeness(self.recognised, who)
        return Look(landmarks=found, motion=seen.moved, identity_change=changed, unlikeness=unlikeness)

    @property
    def recognised(self) -> Float[np.ndarray, " recognised=20"]:
        """Whom the portrait looks like, in the numbers that tell people apart."""
        assert self.closeup.before is not None
        return pixel_encoder().recognised(self.closeup.before)

    @property
    def identity_code(self) -> Float[np.ndarray, " identity=80"]:
        """Who the portrait shows: the mean of what its landmarks and its pixels tell."""
        before = self.closeup.before
        return (self.portrait.identity_code + before.identity_code) / 2 if before else self.portrait.identity_code

    def reading(self, dynamics: Float[np.ndarray, " dynamics=50"]) -> expressions.Reading:
        """What facial dynamics do on this face; gaze in degrees of rendered people's eyes, as the truth has it."""
        head = self.decoder.rest[:LANDMARKS] + self.surface.displacement(dynamics)[:LANDMARKS]
        return expressions.read(head, np.degrees(dynamics[EXPRESSION:]) / EYES_LARGER)

    def bones_px(self, head_pose: Float[np.ndarray, " pose=6"]) -> Float[np.ndarray, "bone 2"]:
        """Where this pose puts landmarks on bone, whatever the face does."""
        return self.decoder.pose(head_pose, self.own[1]).projected[list(BONES), :2]


def subject(name: str, picture: UInt8[np.ndarray, "h w 3"], surface: Surface, watch: Watcher) -> Subject:
    """A picture made ready."""
    portrait = prepare(picture, surface, pixel_encoder(), relief(), matting())
    return Subject(
        name=name,
        portrait=portrait,
        decoder=ready_decoder(portrait, surface),
        closeup=Closeup(portrait, surface, encoder=pixel_encoder(), upper=upper_face(), lower=lower_face()),
        surface=surface,
        watch=watch,
    )


def ready_decoder(portrait: Portrait, surface: Surface) -> Decoder:
    """The decoder as users get it; its `warped` alone is what it is compared with."""
    return Decoder(portrait, surface, _networks())


@lru_cache(maxsize=1)
def pixel_encoder() -> PixelEncoder:
    """The encoder that the second look asks; it knows none of the people who are judged."""
    surface = load_surface(assets.weights("surface.safetensors"))
    return load_pixel_encoder(assets.weights("pixels.safetensors"), surface)


@lru_cache(maxsize=1)
def upper_face() -> Changes:
    """The closer look at eyes and brows that the second look asks; it knows none of the people who are judged."""
    surface = load_surface(assets.weights("surface.safetensors"))
    return load_upper_face(assets.weights("upper_face.safetensors"), surface)


@lru_cache(maxsize=1)
def lower_face() -> Changes:
    """The closer look at jaw and lips that the second look asks; it knows none of the people who are judged."""
    surface = load_surface(assets.weights("surface.safetensors"))
    return load_lower_face(assets.weights("lower_face.safetensors"), surface)


@lru_cache(maxsize=1)
def relief() -> Relief:
    """What tells how hair, hats and necks stand out; it knows none of the people who are judged."""
    return load_relief(assets.weights("relief.safetensors"))


@lru_cache(maxsize=1)
def matting() -> Matting:
    """What tells a person from the background; it knows none of the people who are judged."""
    return load_matting(assets.weights("matting.safetensors"))


@lru_cache(maxsize=1)
def _networks() -> FaceNetworks | None:
    path = assets.FOLDER / "weights" / "face.safetensors"
    return load_networks(path) if path.is_file() else None


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A held-out sitter: the portrait made of the calm frame, and all frames in its crop with their truth."""

    subject: Subject
    truth: Truth
    crops: list[Picture]
    inside: Bool[np.ndarray, "512 512"]
    """Where the crop shows the picture, not its continuation."""
    people: list[Bool[np.ndarray, "512 512"]]
    grids: list[pixels.Grid]
    landmarks: list[Landmarks]
    """True ones, px of the crop."""
    looks: list[Look | None]
    """The second look at each true frame; that of the calm one is the portrait itself under its own motion."""

    def change(self, frame: int) -> expressions.Reading:
        """What the face truly does since the calm frame."""
        return self._true(frame) - self._true(CALM)

    def true_turn(self, frame: int) -> Float[np.ndarray, "3 3"]:
        """How the head has truly turned since the calm frame."""
        now, then = (head_rotation(*(float(angle) for angle in self.truth.pose[k])) for k in (frame, CALM))
        return now @ then.T

    def eyes_show(self, frame: int) -> bool:
        """Whether the lids leave enough of the eyes to see where they look."""
        lids = [self._true(k)[[expressions.NAMES.index(f"{side} lids") for side in ("right", "left")]].mean()
                for k in (frame, CALM)]  # fmt: skip
        return bool(lids[0] > 0.4 * lids[1])

    def _true(self, frame: int) -> expressions.Reading:
        return expressions.read(self.truth.landmarks_head[frame][:LANDMARKS], self.truth.gaze[frame])

    def read_change(self, motion: Motion) -> expressions.Reading:
        """What a motion does since the portrait's own."""
        return self.subject.reading(motion[1]) - self.subject.reading(self.subject.own[1])


def seat(sitter: Sitter, surface: Surface, watch: Watcher) -> Seat:
    """The sitter's portrait, made of the calm frame."""
    made = subject(sitter.name, sitter.pictures[CALM], surface, watch)
    crop_from_picture = made.portrait.crop_from_picture
    crops = [made.portrait.crop] + [cut(picture, crop_from_picture) for picture in sitter.pictures[1:]]
    nothing = np.zeros(IDENTITY, np.float32)
    own = Look(landmarks=made.portrait.landmarks, motion=made.own, identity_change=nothing, unlikeness=0.0)
    whole = np.ones((SIZE_PX, SIZE_PX), np.float32)
    return Seat(
        subject=made,
        truth=sitter.truth,
        crops=crops,
        inside=_warped(whole, crop_from_picture) > 0.999,
        people=[_warped((part > 0).astype(np.float32), crop_from_picture) > 0.5 for part in sitter.part],
        grids=[_grid(sitter, k, crop_from_picture) for k in range(len(ROLES))],
        landmarks=[_moved(points, crop_from_picture) for points in sitter.landmarks],
        looks=[own, *(made.look(crop) for crop in crops[1:])],
    )


def _warped(mask: np.ndarray, crop_from_picture: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(mask, crop_from_picture, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)


def _moved(points: np.ndarray, crop_from_picture: np.ndarray) -> np.ndarray:
    return (points @ crop_from_picture[:, :2].T + crop_from_picture[:, 2]).astype(np.float32)


def _grid(sitter: Sitter, frame: int, crop_from_picture: np.ndarray) -> pixels.Grid:
    at = np.arange(CANONICAL_SHARE // 2, SIZE_PX, CANONICAL_SHARE)
    places = np.stack(np.meshgrid(at, at), -1).astype(np.float32)
    return pixels.Grid(
        places=_moved(places.reshape(-1, 2), crop_from_picture).reshape(places.shape),
        part=sitter.part[frame][at[:, None], at[None]],
        canonical=sitter.canonical[frame],
    )
