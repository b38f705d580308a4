"""The compiled look-up against OpenCV's, and what it must leave alone."""

import cv2
import numpy as np
import pytest

from vasa_core.portrait import COLOURS, sample_volume, volume_index
from vasa_core.warping import look_up, near_person, packed, show_hidden

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
