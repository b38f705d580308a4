"""Many faces read once each: codes beside the true factors, for the measure of disentanglement.

Factors: who (the five main shapes of the crowd's neutral heads, size taken out, for a picture does not tell size),
pose, expression (what the weights do to an average face, as numbers of `expressions`), gaze, and light (how much
brighter a cheek or a brow turned to one side is lit than its opposite). Codes: identity, pose, expression, gaze, and
appearance, the portrait's colours at places of the face, which is what the appearance volume holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.encoders import LookEncoder
from vasa_core.evaluate import expressions
from vasa_core.evaluate.held_out import Crowd, Truth
from vasa_core.evaluate.subjects import Landmarks, Watcher
from vasa_core.geometry import rotation_vector
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import EXPRESSION
from vasa_core.pixel_codes import PixelEncoder, Told
from vasa_core.surface import LANDMARKS, Surface

SHAPES = 5
"""Main shapes that count as who somebody is."""

SIZES = {"identity": 10, "expression": 12, "appearance": 10}
"""Longer blocks are told by this many main directions of what they do to the surface, or of their colours."""

SKIN_PLACES = (151, 69, 299, 50, 280, 205, 425, 187, 411, 199, 4, 6)
PANELS = 3
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
SIDEWAYS, UPRIGHT = np.array([0.7071, 0, 0.7071]), np.array([0, 0.7071, 0.7071])
Blocks = dict[str, np.ndarray]


def read_codes(
    crowd: Crowd, frames: Sequence[int], encode: LookEncoder | PixelEncoder, watch: Watcher
) -> tuple[list[int], Blocks]:
    """The frames in which a face was found, and the codes read off each, by its pixels or by its landmarks alone."""
    kept, codes = [], []
    for frame in frames:
        crop = cv2.resize(crowd.pictures[frame], (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
        found = watch(crop)
        if found is not None:
            kept.append(frame)
            codes.append(_codes(crop, found, encode))
    return kept, {name: np.array([code[name] for code in codes]) for name in (codes[0] if codes else {})}


def _codes(crop: UInt8[np.ndarray, "512 512 3"], found: Landmarks, encode: LookEncoder | PixelEncoder) -> Blocks:
    codes = _by_pixels(encode(crop, found)) if isinstance(encode, PixelEncoder) else _by_landmarks(found, encode)
    soft = cv2.GaussianBlur(crop, (0, 0), 4).astype(np.float32)
    x, y = found[list(SKIN_PLACES)].round().astype(int).clip(0, CROP_PX - 1).T
    return codes | {"appearance": np.log(soft[y, x] + 8).ravel()}


def _by_pixels(told: Told) -> Blocks:
    pose = rotation_vector(told.rotation)
    return {"identity": told.identity_code, "pose": pose, "expression": told.expression, "gaze": told.gaze}


def _by_landmarks(found: Landmarks, encode: LookEncoder) -> Blocks:
    told = encode(found, (CROP_PX / 2, CROP_PX / 2))
    expression, gaze = np.split(told.facial_dynamics, [EXPRESSION])
    return {"identity": told.identity_code, "pose": told.head_pose, "expression": expression, "gaze": gaze}


def shortened(codes: Blocks, surface: Surface) -> Blocks:
    """The codes with long blocks told by the main directions in which they move the surface, or vary."""
    bases = {"identity": surface.identity_basis, "expression": surface.dynamics_basis}
    short = dict(codes)
    for name, size in SIZES.items():
        values = codes[name]
        if name in bases:
            values = values @ bases[name][:, :LANDMARKS].reshape(len(bases[name]), -1)
        short[name] = main_directions(values, size)
    return short


def main_directions(values: Float[np.ndarray, "sample number"], count: int) -> Float[np.ndarray, "sample count"]:
    """Coordinates along the main directions of variation."""
    u, s, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    return u[:, :count] * s[:count]


def true_factors(truth: Truth, frames: Sequence[int], surface: Surface) -> Blocks:
    """The true numbers of each factor, in frames."""
    rows = list(frames)
    moves = [surface.displacement(surface.dynamics_from_weights(_weights(truth, k)))[:LANDMARKS] for k in rows]
    neutral = np.array([truth.landmarks_head[k][:LANDMARKS] - move for k, move in zip(rows, moves, strict=True)])
    average, straight = surface.neutral[:LANDMARKS], np.zeros(2, np.float32)
    acting = [expressions.read(average + move, straight) - expressions.read(average, straight) for move in moves]
    return {
        "who": main_directions(unsized(neutral).reshape(len(rows), -1), SHAPES),
        "pose": truth.pose[rows],
        "expression": np.array(acting)[:, : -len(expressions.GROUPS["gaze"])],
        "gaze": truth.gaze[rows],
        "light": np.array([[_contrast(truth.light[k], axis) for axis in (SIDEWAYS, UPRIGHT)] for k in rows]),
    }


def _weights(truth: Truth, frame: int) -> dict[str, float]:
    return {name: float(w) for name, w in zip(truth.expression_names, truth.expression[frame], strict=True) if w}


def unsized(shapes: Float[np.ndarray, "sample landmark 3"]) -> Float[np.ndarray, "sample landmark 3"]:
    """Shapes about their middle, all of one size."""
    shapes = shapes - shapes.mean(1, keepdims=True)
    return shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)


def _contrast(light: Float[np.ndarray, " parameter"], direction: Float[np.ndarray, " 3"]) -> float:
    """Log ratio of the light on skin that faces this way and on its mirror image (in the plane through the gaze)."""
    return float(np.log(irradiance(light, direction) / irradiance(light, direction * (-1, -1, 1))))


def irradiance(light: Float[np.ndarray, " parameter"], normal: Float[np.ndarray, " 3"]) -> float:
    """Luminance that falls on a surface facing `normal`; the parameters are those of `world.frames`."""
    total = 0.0
    for panel in light[: 6 * PANELS].reshape(PANELS, 6):
        azimuth, elevation = np.radians(panel[:2])
        toward = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
        total += max(float(normal @ toward), 0.0) * float(panel[3:] @ LUMINANCE)
    above, below = light[6 * PANELS :].reshape(2, 3) @ LUMINANCE
    mix = 0.5 + 0.5 * float(normal[1])
    return total + 2 * float(above * mix + below * (1 - mix))
