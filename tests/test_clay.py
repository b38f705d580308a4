"""Clay: the picture of codes alone looks where it should, and is nobody's."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.clay import PAPER, SIZE_PX, clay
from vasa_core.latents import IDENTITY
from vasa_core.surface import load_surface

NOBODY = np.zeros(IDENTITY, np.float32)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


def shape(surface, **weights):
    return surface.vertices(NOBODY, surface.dynamics_from_weights(weights))


def middle_column(picture: np.ndarray) -> float:
    """Where the clay's upper half (skull and face) lies, in columns."""
    columns = np.flatnonzero((picture[: SIZE_PX // 2] < PAPER).any((0, 2)))
    return float(columns.mean())


def test_a_neutral_head_is_seen_in_the_middle_on_white_paper(surface):
    picture = clay(shape(surface), surface)
    assert picture.shape == (SIZE_PX, SIZE_PX, 3)
    assert (picture[0, 0] == PAPER).all()
    assert middle_column(picture) == pytest.approx((SIZE_PX - 1) / 2, abs=1.5)


def test_a_nose_points_where_the_head_is_turned(surface):
    nose = 4  # MediaPipe's tip of the nose
    ahead = shape(surface)[nose]
    left, right = (clay(shape(surface), surface, yaw=yaw) for yaw in (-60, 60))
    assert ahead[2] > 0
    assert middle_column(left) < SIZE_PX / 2 < middle_column(right)
    down, up = (clay(shape(surface), surface, pitch=pitch) for pitch in (30, -30))
    tops = [np.flatnonzero((picture < PAPER).any((1, 2)))[0] for picture in (down, up)]
    assert tops[0] != tops[1]


def test_an_open_mouth_is_dark_and_open_eyes_are_white(surface):
    closed, opened = (clay(shape(surface, jawOpen=jaw), surface) for jaw in (0.0, 0.8))
    dark = [int((picture.max(-1) < 75).sum()) for picture in (closed, opened)]
    assert dark[0] < 100 < 500 < dark[1]
    awake, asleep = (clay(shape(surface, eyeBlink=shut), surface) for shut in (0.0, 1.0))
    white = [int((picture == 226).all(-1).sum()) for picture in (awake, asleep)]
    assert white[1] < 0.25 * white[0]
