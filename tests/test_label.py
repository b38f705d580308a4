from __future__ import annotations

import numpy as np
import pytest

from vasa_core.trust.label import BACKING, contrast, label_for

BLACK, WHITE, GREY = (np.full(3, value, float) for value in (0, 255, 119))
RED = np.array([255.0, 0, 0])


def pictures(height, width):
    """Backgrounds that a label could drown in."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stripes = np.zeros((height, width, 3), np.uint8)
    stripes[:, ::2] = 255
    flat = [np.full((height, width, 3), value, np.uint8) for value in (0, 128, 255)]
    return [*flat, noise, stripes]


def test_contrast_is_that_of_wcag():
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast(GREY, WHITE) == pytest.approx(4.48, abs=0.01)  # #777777: just fails AA
    assert contrast(RED, WHITE) == contrast(WHITE, RED) == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("size", [128, 256, 512, 1024])
def test_the_letters_stand_out_from_their_plate_on_any_picture(size):
    label = label_for(size, size)
    height, width, _ = label.colour.shape
    plate = label.transparency[..., 0] == round((1 - BACKING[3] / 255) * 256)
    letters = label.transparency[..., 0] <= 2
    assert plate.sum() > 30
    assert letters.sum() > 10
    for picture in pictures(size, size):
        shown = label.onto(picture)[label.top : label.top + height, label.left : label.left + width]
        ink = shown[letters].mean(axis=0)
        lightest = shown[plate & (shown.mean(axis=-1) < 128)].reshape(-1, 3).max(axis=0)
        assert contrast(ink, lightest.astype(float)) >= 4.5


@pytest.mark.parametrize(("height", "width"), [(512, 512), (2048, 1365), (256, 256), (64, 64), (16, 16), (720, 1280)])
def test_it_stands_top_right_and_takes_little(height, width):
    frame = np.full((height, width, 3), 200, np.uint8)
    labelled = label_for(height, width).onto(frame)
    changed = np.argwhere((labelled != frame).any(axis=-1))
    assert changed[:, 0].max() < max(0.12 * height, 22)
    assert width - changed[:, 1].max() <= max(3, width // 40)
    if min(height, width) >= 128:
        assert len(changed) < 0.035 * height * width
    assert (frame == 200).all(), "the frame given is not touched"


@pytest.mark.parametrize(("size", "least"), [(128, 9), (512, 16), (1024, 33)])
def test_capitals_are_tall_enough_to_read(size, least):
    letters = label_for(size, size).transparency[..., 0] <= 64
    left = letters[:, : letters.shape[0]]  # the A
    assert np.ptp(np.flatnonzero(left.any(axis=1))) + 1 >= least


def test_the_label_is_drawn_once():
    assert label_for(512, 512) is label_for(512, 512)
