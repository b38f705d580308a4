"""Single looks: what does not depend on where a face is, and what a learned encoder keeps of who it is."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.encoders import FEATURES, _placed, aligned_features, encode_landmarks, load_look_encoder
from vasa_core.errors import MissingWeights
from vasa_core.evaluate.held_out import load_sitters
from vasa_core.geometry import Camera, rotation
from vasa_core.landmarks import CROP_PX, crop_face
from vasa_core.latents import DYNAMICS, IDENTITY
from vasa_core.surface import LANDMARKS, load_surface

CENTRE = (CROP_PX / 2, CROP_PX / 2)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def encoder(surface):
    return load_look_encoder(assets.weights("encoders.safetensors"), surface)


def seen(surface, who, what, turn):
    """Landmarks of a posed face in a crop; irises in the middle of their eyes."""
    points = surface.vertices(who, what)[:LANDMARKS] @ rotation(np.asarray(turn, np.float32)).T
    pixels = Camera(scale_px=16.0, centre_px=CENTRE).project(points.astype(np.float32))[:, :2]
    irises = [np.repeat((pixels[[a]] + pixels[[b]]) / 2, 5, 0) for a, b in ((33, 133), (263, 362))]
    return np.concatenate([pixels, *irises]).astype(np.float32)


def test_features_do_not_depend_on_place_size_and_tilt(surface):
    landmarks = seen(surface, np.zeros(IDENTITY, np.float32), np.zeros(DYNAMICS, np.float32), (0, 0.2, 0))
    angle = 0.3  # clockwise in the picture, whose y points down
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 0.7 * landmarks.astype(np.float64) @ turn.T + (30, -12)
    (plain, tilted), tilts = aligned_features(np.stack([landmarks, moved]), surface)
    assert plain.shape == (FEATURES,)
    np.testing.assert_allclose(plain, tilted, atol=1e-6)
    assert tilts[1] - tilts[0] == pytest.approx(angle)


def test_scale_and_shift_are_found_under_perspective(surface):
    posed = surface.neutral[:LANDMARKS].astype(np.float64)
    camera = Camera(scale_px=14.0, centre_px=(0.0, 0.0))
    pixels = camera.project((posed + np.array([0.5, -0.25, 0])).astype(np.float32))[:, :2] * (1, -1)
    scale, shift = _placed(posed, pixels)
    assert scale == pytest.approx(14, rel=1e-4)
    np.testing.assert_allclose(shift, (7, -3.5), atol=0.01)


def test_people_nobody_trained_on_are_told_apart_better_than_by_least_squares(surface, encoder):
    learned, fitted = [], []
    for sitter in load_sitters()[:8]:
        faces = [crop_face(sitter.pictures[frame]).landmarks for frame in (0, 1, 3)]  # calm, speaking, turned
        learned.append([encoder(face, CENTRE).identity_code for face in faces])
        fitted.append([encode_landmarks(face, surface, CENTRE).identity_code for face in faces])
    assert drift(np.array(learned)) < 0.85 * drift(np.array(fitted))


def drift(codes):
    """How far looks at one person lie from each other, over how far people do."""
    within = np.linalg.norm(codes[:, 1:] - codes[:, :1], axis=2).mean()
    between = np.linalg.norm(codes[:, None, 0] - codes[None, :, 0], axis=2)
    return within / between[~np.eye(len(codes), dtype=bool)].mean()


def test_a_turn_is_told_and_the_face_lies_near_its_landmarks(surface, encoder):
    for turn in ((0.0, 0.35, 0.0), (0.15, 0.0, 0.2), (0.0, -0.25, -0.3)):
        look = seen(surface, np.zeros(IDENTITY, np.float32), np.zeros(DYNAMICS, np.float32), turn)
        codes = encoder(look, CENTRE)
        off = codes.rotation @ rotation(np.array(turn, np.float32)).T
        assert np.rad2deg(np.arccos(np.clip((np.trace(off) - 1) / 2, -1, 1))) < 8
        assert codes.residual_px < 6


def test_other_files_are_not_taken_for_an_encoder(surface, tmp_path):
    with pytest.raises(MissingWeights):
        load_look_encoder(assets.weights("surface.safetensors"), surface)
    with pytest.raises(MissingWeights):
        load_look_encoder(tmp_path / "none.safetensors", surface)
