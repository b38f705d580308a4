"""The motion of a face in a video, free of whose face it is: what drives another portrait (motion of A on B).

The driver's own portrait is the calmest, most frontal picture of the first seconds; every other picture is compared
with it (closeup.py), so what moves is relative to how the driver looks at rest. Times on the engine's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from vasa_core import assets
from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.closeup import Closeup
from vasa_core.encoders import FaceCodes, load_look_encoder
from vasa_core.errors import BadPortrait, BadVideo
from vasa_core.following import Moved
from vasa_core.footage import Footage, stills
from vasa_core.landmarks import cut
from vasa_core.latents import EXPRESSION, POSE, Motion
from vasa_core.lower_face import load_lower_face
from vasa_core.matting import load_matting
from vasa_core.pixel_codes import load_pixel_encoder
from vasa_core.portrait import prepare
from vasa_core.relief import load_relief
from vasa_core.surface import LANDMARKS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP, Surface
from vasa_core.upper_face import load_upper_face

FIRST_SECONDS = 6.0
CANDIDATES = 40
"""Pictures among which the driver's portrait is chosen."""

TURN_RAD, GAP_CM, UNLIKE_CM = 0.15, 0.15, 0.25
"""A turn, open lips and a difference from the usual face that are equally bad in the driver's portrait."""

FARTHEST_CM = np.array([2.5, 2.0, 6.0])
"""Softly, how far a head may leave its place: the portrait's picture has no more room."""

WIDEST_RAD = np.deg2rad([30.0, 38.0, 30.0])

REGIONS = {
    "lips": (*UPPER_LIP, *LOWER_LIP, 61, 291, 0, 17, 37, 267, 84, 314, 152),
    "left lids": (*UPPER_LIDS[0], *LOWER_LIDS[0]),
    "right lids": (*UPPER_LIDS[1], *LOWER_LIDS[1]),
    "brows": (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
}
REACH = 3
"""Frames to either side that a steadied moment looks at."""

SPREAD_FRAMES = 1.2
TOLERANCE = 1.5
"""Moments further apart than this many times the noise are different on purpose and do not blur each other."""


def motion_of(
    video: Path, footage: Footage, surface: Surface, progress: Callable[[float], object] = lambda share: None
) -> Motion:
    """The driver's motion at the engine's frame rate, relative to the driver at rest: one row for each 40 ms."""
    closeup = driver(video, footage, surface)
    packed = np.array([np.concatenate(moved) for moved in _followed(video, footage, closeup, progress)])
    times = (np.arange(max(1, round(footage.length_s * FRAME_RATE_HZ))) / FRAME_RATE_HZ).astype(np.float32)
    even = np.stack([_between(times, footage.seconds, column) for column in packed.T], 1)
    return Motion.unpacked(torch.from_numpy(within_room(steadied(even, surface)).astype(np.float32)))


def _between(times: np.ndarray, seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at other times; what was hidden (NaN) lies between what was seen before and after."""
    known = np.isfinite(values)
    return np.interp(times, seconds[known], values[known]) if known.any() else np.zeros(len(times))


def _followed(video: Path, footage: Footage, closeup: Closeup, progress: Callable[[float], object]) -> Iterator[Moved]:
    """The driver's motion in each picture in which the face was found."""
    crop_from_picture = closeup.portrait.crop_from_picture
    faces = (footage.landmarks - 0.5) @ crop_from_picture[:, :2].T + crop_from_picture[:, 2] + 0.5
    # the tracker and the closer look at the driver's portrait differ a little, always alike
    resting = int(np.argmin(np.abs(faces - closeup.portrait.landmarks).mean((1, 2))))
    faces += closeup.portrait.landmarks - faces[resting]
    wanted, near = iter(zip(footage.seconds.tolist(), faces.astype(np.float32), strict=True)), None
    second, face = next(wanted)
    for still in stills(video):
        if np.float32(still.second) == np.float32(second):
            near = closeup(cut(still.picture, crop_from_picture), face, near)
            yield near
            second, face = next(wanted, (np.inf, face))
            progress(still.share)


def driver(video: Path, footage: Footage, surface: Surface) -> Closeup:
    """The driver's portrait: the calmest picture of the first seconds, ready to be compared with the others."""
    early = np.flatnonzero(footage.seconds <= max(FIRST_SECONDS, float(footage.seconds[0])))
    early = early[np.unique(np.linspace(0, len(early) - 1, CANDIDATES).round().astype(int))]
    encoder = load_look_encoder(assets.weights("encoders.safetensors"), surface)
    codes = [encoder(face, (0.0, 0.0)) for face in footage.landmarks[early]]
    second = footage.seconds[early[int(np.argmin(unrest(codes, surface)))]]
    picture = next(still.picture for still in stills(video) if np.float32(still.second) == second)
    weights = assets.weights
    pixels = load_pixel_encoder(weights("pixels.safetensors"), surface)
    upper = load_upper_face(weights("upper_face.safetensors"), surface)
    lower = load_lower_face(weights("lower_face.safetensors"), surface)
    relief, matting = load_relief(weights("relief.safetensors")), load_matting(weights("matting.safetensors"))
    try:
        portrait = prepare(picture, surface, pixels, relief, matting)
        return Closeup(portrait, surface, hidden=np.nan, encoder=pixels, upper=upper, lower=lower)
    except BadPortrait as why:
        raise BadVideo(f"the face in {video.name} cannot be followed, at {second:.1f} s: {why}") from why


def unrest(codes: list[FaceCodes], surface: Surface) -> Float[np.ndarray, " candidate"]:
    """How far each picture is from a calm look into the camera: turned, talking, or unlike the usual face."""
    dynamics = np.array([code.facial_dynamics for code in codes])
    faces = np.array([surface.displacement(row)[:LANDMARKS] for row in dynamics])
    turned = np.abs([code.head_pose[:2] for code in codes]).sum(1) / TURN_RAD
    gaze = np.abs(dynamics[:, EXPRESSION:] - np.median(dynamics[:, EXPRESSION:], axis=0)).sum(1) / TURN_RAD
    gaps = (faces[:, list(UPPER_LIP), 1] - faces[:, list(LOWER_LIP), 1]).mean(1)
    lids = np.array([(*UPPER_LIDS[0], *UPPER_LIDS[1]), (*LOWER_LIDS[0], *LOWER_LIDS[1])])
    open_eyes = (faces[:, lids[0], 1] - faces[:, lids[1], 1]).mean(1)
    unlike = np.linalg.norm(faces - np.median(faces, axis=0), axis=2).mean(1) / UNLIKE_CM
    return turned + gaze + (gaps - gaps.min()) / GAP_CM + np.abs(open_eyes - np.median(open_eyes)) / GAP_CM + unlike


# ---- steadying ----------------------------------------------------------------------------------------------------


def steadied(packed: Float[np.ndarray, "frame motion=56"], surface: Surface) -> Float[np.ndarray, "frame motion=56"]:
    """The motion without the landmarks' trembling; what moves fast, lips, lids and darting eyes, keeps its edges.

    Each part of the face is averaged with the moments around it that look alike up to the noise it shows itself.
    """
    code, gaze = packed[:, POSE : POSE + EXPRESSION], packed[:, POSE + EXPRESSION :]
    basis = surface.dynamics_basis[:, :LANDMARKS].astype(np.float64)
    face = np.tensordot(code, basis, 1)  # [frame, landmark, 3]
    calm = face.copy()
    rest = np.ones(LANDMARKS, bool)
    for region in map(list, REGIONS.values()):
        calm[:, region] = _bilateral(face[:, region].reshape(len(face), -1)).reshape(len(face), -1, 3)
        rest[region] = False
    calm[:, rest] = _bilateral(face[:, rest].reshape(len(face), -1)).reshape(len(face), -1, 3)
    change = (calm - face).reshape(len(face), -1)
    flat = basis.reshape(EXPRESSION, -1)
    square = flat @ flat.T + 1e-3 * np.eye(EXPRESSION)
    code = code + np.linalg.solve(square, flat @ change.T).T
    turn, shift = _bilateral(packed[:, :3]), _bilateral(packed[:, 3:POSE])
    return np.concatenate([turn, shift, code, _bilateral(gaze)], 1)


def _bilateral(values: Float[np.ndarray, "frame channel"]) -> Float[np.ndarray, "frame channel"]:
    """Averages over time among alike moments (Tomasi and Manduchi 1998), the noise judged by second differences."""
    if len(values) < 3:
        return values
    wobble = np.sqrt((np.diff(values, 2, axis=0) ** 2).mean(1))
    tolerance = max(TOLERANCE * float(np.median(wobble)) / np.sqrt(6), 1e-9)
    total, weights = values.copy(), np.ones(len(values))
    for step in range(1, REACH + 1):
        difference = np.sqrt(((values[step:] - values[:-step]) ** 2).mean(1))
        weight = np.exp(-((step / SPREAD_FRAMES) ** 2) / 2 - (difference / tolerance) ** 2 / 2)
        total[step:] += weight[:, None] * values[:-step]
        total[:-step] += weight[:, None] * values[step:]
        weights[step:] += weight
        weights[:-step] += weight
    return total / weights[:, None]


def within_room(packed: Float[np.ndarray, "frame motion=56"]) -> Float[np.ndarray, "frame motion=56"]:
    """The motion with the head near its usual place and its turns held back, softly, where no portrait can go."""
    held = packed.copy()
    held[:, :3] = WIDEST_RAD * np.tanh(packed[:, :3] / WIDEST_RAD)
    away = packed[:, 3:POSE] - np.median(packed[:, 3:POSE], axis=0)
    held[:, 3:POSE] = FARTHEST_CM * np.tanh(away / FARTHEST_CM)
    return held
