"""Lids and contours, against pictures whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vasa_core.eyes import COMES_DOWN, LID_FOLDS, UNDER_BROWS, draw_lid, lift_lid, polygon_mask, under_lid


@pytest.mark.parametrize("up", [0.0, 0.25, 0.5, 0.75])
def test_a_contour_moves_by_parts_of_a_pixel(up):
    """A box from row 10 to row 20, moved up: each of its border rows is covered as far as it really is."""
    box = np.array([[5, 9.5], [30, 9.5], [30, 19.5], [5, 19.5]]) - (0, up)
    mask = polygon_mask(box.astype(np.float32), (40, 40))
    rows = mask[:, 15]
    assert rows[11:18] == pytest.approx(1)
    assert rows.sum() == pytest.approx(10, abs=0.45)
    assert (rows * np.arange(40)).sum() / rows.sum() == pytest.approx(14.5 - up, abs=0.15)
    assert not mask[:8].any() and not mask[22:].any()


@pytest.fixture(scope="module")
def face():
    """Skin that darkens to one side, with a dark eye, a brow above it and landmarks around both."""
    level = np.linspace(200, 120, 512, dtype=np.float32)
    skin = np.repeat((level[None, :, None] * np.array([1, 0.8, 0.7], np.float32)), 512, 0)
    crop = skin.copy()
    cv2.ellipse(crop, (200, 250), (30, 12), 0, 0, 360, (30, 20, 20), -1)
    cv2.line(crop, (165, 212), (240, 208), (20, 15, 10), 5)
    angles = np.linspace(np.pi, 3 * np.pi, 17)[:-1]
    contour = np.stack([200 + 30 * np.cos(angles), 250 + 12 * np.sin(angles)], 1).astype(np.float32)
    landmarks = np.tile(np.array([256, 256], np.float32), (478, 1))
    landmarks[:4] = (60, 60), (450, 60), (60, 450), (450, 450)
    across = np.linspace(170, 230, len(LID_FOLDS[0]))
    landmarks[list(LID_FOLDS[0])] = np.stack([across, 236 + 14 * ((across - 200) / 30) ** 2], 1)
    landmarks[list(UNDER_BROWS[0])] = np.stack([np.linspace(230, 170, 4), np.full(4, 219)], 1)
    return skin, crop.astype(np.uint8), landmarks, contour


def test_a_lid_is_the_skin_around_it(face):
    skin, crop, landmarks, contour = face
    plate = lift_lid(crop, landmarks, contour, 0)
    x, y = plate.origin
    high, wide = plate.skin.shape[:2]
    over = plate.skin[235 - y : 262 - y, 175 - x : 225 - x]
    assert high > 40 and wide > 70
    assert np.abs(over - skin[235:262, 175:225]).max() < 12


def test_a_shut_lid_hides_the_eye_and_an_open_one_is_untouched(face):
    skin, crop, landmarks, contour = face
    plate, still = lift_lid(crop, landmarks, contour, 0), np.eye(2, 3, dtype=np.float32)
    edge = np.stack([np.linspace(170, 230, 9), np.full(9, 260.0)], 1).astype(np.float32)
    fold, lash = landmarks[list(LID_FOLDS[0])], np.array([30, 20, 20], np.float32)
    open_eyed, shut = crop.copy(), crop.copy()
    draw_lid(open_eyed, edge, fold, plate, lash, still, 0.1)
    draw_lid(shut, edge, fold, plate, lash, still, 1.0)
    assert np.array_equal(open_eyed, crop)
    middle = np.s_[243:252, 190:210]
    assert np.abs(crop[middle] - skin[middle]).mean() > 80
    assert np.abs(shut[middle] - skin[middle]).mean() < 20
    assert np.array_equal(shut[300:], crop[300:])


def test_a_shutting_lid_brings_down_an_eye_that_looks_up_and_no_other():
    up, down, half = np.array([3.0, -4.0]), np.array([3.0, 4.0]), sum(COMES_DOWN) / 2
    np.testing.assert_array_equal(under_lid(up, COMES_DOWN[0]), up)
    np.testing.assert_allclose(under_lid(up, half), [3, -2])
    np.testing.assert_array_equal(under_lid(up, COMES_DOWN[1]), [3, 0])
    np.testing.assert_array_equal(under_lid(down, 1.0), down)
