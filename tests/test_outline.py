"""Outlines: what a ball's does when it turns, and that nothing moves which is not near one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vasa_core.device import posing
from vasa_core.geometry import rotation
from vasa_core.outline import INWARDS_CM, RADIUS_CM, come_round, rims

PX_PER_CM = 20.0
MIDDLE = 255.5


def ball(radius_px: float = 150.0) -> np.ndarray:
    y, x = np.mgrid[:512, :512]
    return np.clip(radius_px + 0.5 - np.hypot(x - MIDDLE, y - MIDDLE), 0, 1).astype(np.float32)


def around(radius_px: float, count: int = 24) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return (MIDDLE + radius_px * np.stack([np.cos(angle), -np.sin(angle)], 1)).astype(np.float32)


def test_rims_face_outwards_and_are_as_long_as_the_radius():
    at = around(150)
    found = rims(ball(), at, PX_PER_CM)
    outwards = (at - MIDDLE) * (1, -1) / 150
    np.testing.assert_allclose(found[:, :2] / np.linalg.norm(found, axis=1, keepdims=True), outwards, atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), RADIUS_CM, rtol=0.1)
    assert not found[:, 2].any()


def test_what_is_well_inside_has_none_and_a_picture_without_outline_neither():
    inside = around(150 - PX_PER_CM * INWARDS_CM - 2)
    assert not rims(ball(), inside, PX_PER_CM).any()
    for whole in (0.0, 1.0):
        assert not rims(np.full((512, 512), whole, np.float32), around(100), PX_PER_CM).any()


@pytest.mark.parametrize("turn", [(0.0, 0.4, 0.0), (0.3, 0.0, 0.0), (-0.2, 0.3, 0.0)])
def test_a_turned_balls_outline_stays_where_it_was(turn):
    """A ball of that radius, turned about its middle: its rim turns away, and comes round to where it was seen."""
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = (RADIUS_CM * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)).astype(np.float32)
    turned = rim @ rotation(np.array(turn, np.float32)).T
    moved = turned + come_round(turned, np.full((12, 1), RADIUS_CM, np.float32))
    np.testing.assert_allclose(np.linalg.norm(moved[:, :2], axis=1), RADIUS_CM, rtol=1e-5)
    np.testing.assert_allclose(moved[:, 2], 0, atol=1e-5)


def test_a_head_on_its_side_does_not_swell():
    rim = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    rolled = rim @ rotation(np.array([0.0, 0.0, 1.0], np.float32)).T
    np.testing.assert_allclose(come_round(rolled, np.array([[5.0], [0.0]], np.float32)), 0, atol=1e-5)


def test_the_batched_twin_says_the_same():
    rng = np.random.default_rng(0)
    turned = rng.normal(size=(7, 3)).astype(np.float32)
    radius = np.linalg.norm(turned, axis=1, keepdims=True)
    said = posing.come_round(torch.from_numpy(turned)[None], torch.from_numpy(radius))
    np.testing.assert_allclose(said[0].numpy(), come_round(turned, radius), atol=1e-5)


def test_an_outline_is_that_of_its_surroundings():
    """Strands of a few pixels have no say in where it faces."""
    matte, frayed = ball(), ball()
    for angle in np.linspace(0, 2 * np.pi, 40):
        at = MIDDLE + np.array([np.cos(angle), np.sin(angle)]) * np.array([[145.0], [156.0]])
        cv2.line(frayed, *(tuple(int(v) for v in end) for end in at), 1.0, 1)
    smooth, other = (rims(m, around(152), PX_PER_CM) for m in (matte, frayed))
    cosine = (smooth * other).sum(1) / np.linalg.norm(smooth, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.95
