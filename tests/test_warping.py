"""The compiled look-up against OpenCV's, and what it must leave alone."""

import cv2
import numpy as np
import pytest
import torch

from vasa_core.device.warping import softened
from vasa_core.portrait import COLOURS, sample_volume, volume_index
from vasa_core.warping import LEAP_PX, look_up, near_person, packed, show_hidden, soften

SIZE = 96


@pytest.fixture
def scene():
    """A person, a matte and a background of smooth random pixels, and a backward map that turns and leaves the
    picture."""
    rng = np.random.default_rng(0)
    smooth = lambda *shape: cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 3) * 8  # noqa: E731
    person, background = (np.clip(128 + 60 * smooth(SIZE, SIZE, 3), 0, 255).astype(np.uint8) for _ in range(2))
    matte = np.clip(smooth(SIZE, SIZE) + 0.3, 0, 1)
    turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 20, 1.1)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    backward = (np.stack([columns, rows, np.ones_like(rows)], -1) @ turn.T).astype(np.float32)
    backward[:5] = -1e4  # what nothing was drawn to
    return person, matte, background, backward


def looked_up(person, matte, background, backward):
    picture, alpha = np.empty_like(background), np.empty_like(matte)
    look_up(packed(person, matte), near_person(matte), background, backward, picture, alpha)
    return picture, alpha


def test_it_is_opencvs_cubic_look_up_over_the_background(scene):
    person, matte, background, backward = scene
    x, y = np.moveaxis(backward, -1, 0)
    seen = cv2.remap(person, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    shown = cv2.remap(matte, x, y, cv2.INTER_LINEAR, borderValue=0)
    expected = cv2.blendLinear(seen, background, shown, 1 - shown)
    picture, alpha = looked_up(*scene)
    assert 0.3 < alpha.mean() < 0.7
    assert np.abs(alpha - shown).max() < 0.02
    error = picture.astype(np.float32) - expected
    assert np.abs(error).max() <= 4 and np.sqrt((error**2).mean()) < 0.6


def test_nothing_moved_is_the_picture_itself(scene):
    person, _, background, _ = scene
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    still = np.stack([columns, rows], -1).astype(np.float32)
    picture, alpha = looked_up(person, np.ones((SIZE, SIZE), np.float32), background, still)
    assert np.array_equal(picture, person) and (alpha == 1).all()
    picture, alpha = looked_up(person, np.zeros((SIZE, SIZE), np.float32), background, still)
    assert np.array_equal(picture, background) and not alpha.any()


def test_hidden_skin_takes_the_volumes_colour_as_far_as_it_is_hidden():
    rng = np.random.default_rng(1)
    volume = (rng.random(COLOURS) * 255).astype(np.float32)
    places = rng.uniform(-6, 6, (4, 5, 3)).astype(np.float32)
    face = np.concatenate([np.zeros((4, 5, 2)), np.ones((4, 5, 1)), np.zeros((4, 5, 1)), places], -1).astype(np.float32)
    face[0, :, 3] = 1.0  # shown: stays
    face[1, :, 2] = 0.0  # not the face: stays
    face[2, :, 3] = 0.5
    picture = np.full((4, 5, 3), 100, np.uint8)
    offset = volume_index(np.zeros((1, 3), np.float32))[0]
    factor = volume_index(np.ones((1, 3), np.float32))[0] - offset
    show_hidden(face, volume, factor, offset, np.ones((4, 5), np.float32), picture)
    colours = sample_volume(volume, places.reshape(-1, 3))[:, :3].reshape(4, 5, 3)
    assert (picture[:2] == 100).all()
    assert np.abs(picture[2] - (50 + colours[2] / 2)).max() <= 1.1
    assert np.abs(picture[3] - colours[3]).max() <= 1.1


def stairs(leap: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two parts of a person that lie `leap` pixels apart in the portrait, the border between them a slanted line."""
    y, x = np.mgrid[0:40, 0:50].astype(np.float32)
    before = x > 20 + y / 3
    backward = np.stack([x + leap * before, y], -1).astype(np.float32)
    picture = np.where(before[..., None], (200, 100, 50), (40, 60, 80)).astype(np.uint8)
    return backward, picture, np.where(before, 1.0, 0.5).astype(np.float32)


def test_where_nothing_leaps_nothing_is_softened():
    backward, picture, alpha = stairs(leap=LEAP_PX - 2)
    soft, shown = picture.copy(), alpha.copy()
    soften(backward, np.float32(LEAP_PX), soft, shown)
    np.testing.assert_array_equal(soft, picture)
    np.testing.assert_array_equal(shown, alpha)


def test_stairs_are_softened_over_a_pixel_on_either_side_and_as_on_the_other_road():
    backward, picture, alpha = stairs(leap=4 * LEAP_PX)
    soft, shown = picture.copy(), alpha.copy()
    soften(backward, np.float32(LEAP_PX), soft, shown)
    whole = cv2.sepFilter2D(picture.astype(np.float32), -1, np.array([1, 2, 1]) / 4, np.array([1, 2, 1]) / 4)
    changed = (soft != picture).any(-1)
    beside = cv2.dilate((backward[..., 0] > np.arange(50)).astype(np.uint8), np.ones((3, 3)))
    assert changed[1:-1].sum(1).min() == 2 and not changed[[0, -1]].any()
    np.testing.assert_allclose(soft[changed], whole[changed], atol=0.51)
    assert not changed[beside == 0].any()
    told = (torch.from_numpy(part)[None] for part in (backward, picture.astype(np.float32), alpha))
    inside = np.zeros((1, 40, 50), bool)
    inside[:, 1:-1, 1:-1] = True
    at, colours, matte = told
    found, seen = softened(at, LEAP_PX, colours, matte, torch.from_numpy(inside))
    assert np.abs(found[0].numpy() - soft).max() <= 1
    np.testing.assert_allclose(seen[0].numpy(), shown, atol=1e-5)
