"""Codes read off pixels: the window they are shown, what they tell of people nobody trained on, and who believes them.

Oracles: a picture moved, turned and scaled shows the same window; a second look at the same picture tells no change;
held-out people's truth; fits that are told firmly enough obey.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from vasa_core import assets
from vasa_core.encoders import Expected, anybody, encode_landmarks
from vasa_core.errors import MissingWeights
from vasa_core.evaluate.held_out import BLINK, CALM, STRONG, TURNED, load_sitters
from vasa_core.following import NOTHING_KNOWN, UNSURE, ExpectedChange, follower
from vasa_core.geometry import CAMERA_DISTANCE_CM, rotation, rotation_vector
from vasa_core.landmarks import CROP_PX, crop_face, cut, seen_in_mirror
from vasa_core.latents import DYNAMICS, EXPRESSION, GAZE, IDENTITY, POSE
from vasa_core.pixel_codes import (
    MIRROR,
    TWIN_CM,
    WINDOW_PX,
    line_of_sight,
    load_pixel_encoder,
    mirrored_codes,
    window,
    window_from_picture,
)
from vasa_core.portrait import prepare
from vasa_core.surface import LANDMARKS, LOWER_LIDS, UPPER_LIDS, load_surface
from vasa_core.world.facekit import head_rotation

CENTRE = (CROP_PX / 2, CROP_PX / 2)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def encoder(surface):
    return load_pixel_encoder(assets.weights("pixels.safetensors"), surface)


@pytest.fixture(scope="module")
def sitters():
    return load_sitters()[:3]


@pytest.fixture(scope="module")
def looks(sitters, encoder):
    """What is told of each sitter's frames, all in the crop of the calm one."""
    told = []
    for sitter in sitters:
        transform = crop_face(sitter.pictures[CALM]).crop_from_picture
        told.append({})
        for role in (CALM, STRONG, TURNED, BLINK):
            face = crop_face(cut(sitter.pictures[role], transform))
            told[-1][role] = encoder(face.crop, face.landmarks)
    return told


def face_on_paper(surface) -> tuple[np.ndarray, np.ndarray]:
    """A soft pattern, and the average face's landmarks in the middle of it."""
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (CROP_PX, CROP_PX, 3), np.uint8), (0, 0), 12)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    points = np.zeros((478, 2), np.float32)
    points[:LANDMARKS] = surface.neutral[:LANDMARKS, :2] * (12, -12) + CENTRE
    return picture, points


# ---- what is shown ---------------------------------------------------------------------------------------------------


def test_a_window_shows_the_same_wherever_the_face_is(surface):
    picture, points = face_on_paper(surface)
    moved = cv2.getRotationMatrix2D(CENTRE, 25, 0.8) + np.array([[0, 0, 20], [0, 0, -15]])
    elsewhere = cv2.warpAffine(picture, moved, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC)
    there = (points @ moved[:, :2].T + moved[:, 2]).astype(np.float32)
    one, other = (window(p, at, surface).astype(float) for p, at in ((picture, points), (elsewhere, there)))
    assert one.shape == (WINDOW_PX, WINDOW_PX, 3)
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(one[inner] - other[inner]).mean() < 2 < one.std() / 5


def test_the_average_face_stands_upright_in_its_window(surface):
    _, points = face_on_paper(surface)
    at = window_from_picture(points, surface)
    shown = points[:LANDMARKS] @ at[:, :2].T + at[:, 2]
    assert shown.min() > 0 and shown.max() < WINDOW_PX
    assert abs(at[0, 1]) < 1e-6 and shown[10, 1] < shown[152, 1]  # forehead above chin


def test_the_line_of_sight_leans_towards_a_face_off_the_axis(surface):
    picture, points = face_on_paper(surface)
    middle = points[:LANDMARKS].mean(0)
    centred = points - middle + CENTRE
    np.testing.assert_allclose(line_of_sight(picture, centred.astype(np.float32), surface), np.eye(3), atol=1e-6)
    to_the_right = (centred + np.array([12 * 0.1 * CAMERA_DISTANCE_CM, 0])).astype(np.float32)
    turned = rotation_vector(line_of_sight(picture, to_the_right, surface))
    np.testing.assert_allclose(turned, (0, -0.1, 0), atol=1e-5)  # towards the eye


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_nothing_changes_between_two_looks_at_one_picture(encoder, looks):
    change, covariance = encoder.change(looks[0][CALM], looks[0][CALM])
    assert np.abs(change).max() < 1e-6
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_turns_of_people_nobody_trained_on(encoder, sitters, looks):
    for sitter, told in zip(sitters, looks, strict=True):
        then, now = (head_rotation(*map(float, sitter.truth.pose[k])) for k in (CALM, TURNED))
        change, _ = encoder.change(told[CALM], told[TURNED])
        off = rotation(change[:3].astype(np.float32)) @ (now @ then.T).T
        assert np.rad2deg(np.linalg.norm(rotation_vector(off.astype(np.float32)))) < 7


def test_a_blink_closes_lids_and_turns_no_head(encoder, surface, looks):
    for told in looks:
        change, _ = encoder.change(told[CALM], told[BLINK])
        moved = surface.displacement(np.r_[change[3 : 3 + EXPRESSION], np.zeros(GAZE)].astype(np.float32))[:, 1]
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
            assert moved[list(upper)[2:5]].mean() - moved[list(lower)[2:5]].mean() < -0.4  # cm
        assert np.rad2deg(np.linalg.norm(change[:3])) < 3


def test_a_mirrored_face_tells_the_mirrored_codes(encoder, sitters, surface):
    crop = crop_face(sitters[0].pictures[TURNED]).crop
    mirror = np.ascontiguousarray(crop[:, ::-1])
    landmarks, mirrored = seen_in_mirror(mirror), seen_in_mirror(crop)
    one, other = encoder(crop, landmarks), encoder.swapped(encoder(mirror, mirrored))
    np.testing.assert_allclose(other.rotation, one.rotation, atol=2e-3)
    np.testing.assert_allclose(other.gaze, one.gaze, atol=1e-5)
    apart = surface.displacement(np.r_[other.expression - one.expression, np.zeros(GAZE)].astype(np.float32))
    assert np.abs(apart[:LANDMARKS]).max() < 0.05  # cm
    alone, mean = encoder.one_look(crop, landmarks), one
    assert np.abs(mean.gaze - (alone.gaze + encoder.swapped(encoder.one_look(mirror, mirrored)).gaze) / 2).max() < 1e-6


def test_codes_of_mirrored_shapes_move_twins_alike(surface):
    raised = surface.dynamics_from_weights({"mouthSmile_L": 0.8, "eyeBlink_R": 1.0})
    code = raised[:EXPRESSION]
    swapped = np.r_[code @ mirrored_codes(surface, surface.dynamics_basis), np.zeros(GAZE)].astype(np.float32)
    moved, other = surface.displacement(raised), surface.displacement(swapped)
    left, right = surface.neutral[:LANDMARKS, 0] > 1, surface.neutral[:LANDMARKS, 0] < -1
    up = [np.abs(moved[:LANDMARKS][side]).sum() for side in (left, right)]
    down = [np.abs(other[:LANDMARKS][side]).sum() for side in (right, left)]
    np.testing.assert_allclose(up, down, rtol=0.35)  # landmarks are no twins of each other
    apart, twin = cKDTree(surface.neutral).query(surface.neutral * MIRROR)
    paired = apart < TWIN_CM
    np.testing.assert_allclose(other[paired], (moved * MIRROR)[twin[paired]], atol=0.05)


def test_people_are_told_apart_in_every_frame(looks):
    calm = np.array([told[CALM].identity_code for told in looks])
    for who, told in enumerate(looks):
        for role in (STRONG, TURNED, BLINK):
            far = np.linalg.norm(calm - told[role].identity_code, axis=1)
            assert far.argmin() == who


def test_doubts_are_positive_and_covariances_fit_the_codes(encoder, looks):
    assert all(0 < doubt < 20 for doubt in looks[0][CALM].doubt.values())
    expected = encoder.expected_face(looks[0][CALM])
    assert expected.codes.shape == (IDENTITY + EXPRESSION,)
    assert (np.linalg.eigvalsh(expected.precision) > 0).all()


def test_other_files_are_no_encoders(surface):
    with pytest.raises(MissingWeights):
        load_pixel_encoder(assets.weights("surface.safetensors"), surface)


# ---- who believes it -------------------------------------------------------------------------------------------------


def test_a_fit_that_expects_nobody_is_the_plain_fit(surface):
    _, points = face_on_paper(surface)
    plain, told = (encode_landmarks(points, surface, CENTRE, known) for known in (None, anybody()))
    np.testing.assert_array_equal(plain.identity_code, told.identity_code)


def test_a_fit_obeys_what_it_is_told_firmly(surface):
    _, points = face_on_paper(surface)
    codes = np.zeros(IDENTITY + EXPRESSION)
    codes[0], codes[IDENTITY] = 1.5, 0.3
    firm = Expected(codes=codes, precision=1e12 * np.eye(len(codes)), rotation=np.eye(3), turn_share=0.0)
    told = encode_landmarks(points, surface, CENTRE, firm)
    np.testing.assert_allclose(np.r_[told.identity_code, told.facial_dynamics[:EXPRESSION]], codes, atol=1e-4)
    nodding = rotation(np.array([0.1, 0.05, 0], np.float32)).astype(np.float64)
    firm = Expected(codes=codes, precision=firm.precision, rotation=nodding, turn_share=1.0)
    np.testing.assert_allclose(encode_landmarks(points, surface, CENTRE, firm).rotation, nodding, atol=1e-4)


def test_a_portrait_lies_on_its_landmarks_whatever_was_expected(sitters, surface, encoder):
    portrait = prepare(sitters[0].pictures[CALM], surface, encoder)
    canonical = surface.vertices(portrait.identity_code, portrait.facial_dynamics)[:LANDMARKS]
    seen = portrait.camera.project(portrait.posed(canonical + portrait.residual[:LANDMARKS]))[:, :2]
    np.testing.assert_allclose(seen, portrait.landmarks[:LANDMARKS], atol=0.05)


def test_a_follower_obeys_what_it_is_told_firmly(sitters, surface):
    portrait = prepare(sitters[0].pictures[CALM], surface)
    follow = follower(portrait, surface)
    mean = np.zeros(POSE + EXPRESSION)
    mean[1], mean[POSE] = 0.2, 0.1
    pose, dynamics = follow(portrait.landmarks, expected=ExpectedChange(mean=mean, precision=1e12 * np.eye(len(mean))))
    np.testing.assert_allclose(np.r_[pose, dynamics[:EXPRESSION]], mean, atol=1e-3)
    one, other = (follow(portrait.landmarks, expected=known) for known in
                  (NOTHING_KNOWN, ExpectedChange(mean=np.zeros(len(mean)), precision=np.diag(UNSURE))))  # fmt: skip
    np.testing.assert_array_equal(one[1], other[1])
    assert one[1].shape == (DYNAMICS,)
