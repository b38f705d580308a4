"""The inside of the mouth: where the cheeks show, and that they do not hide what stands before them."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core.geometry import empty_depth, rasterise
from vasa_core.mouth import CHEEK, CHEEK_SHARE, MouthLight, _cheeks, _shade, inner_cheeks


@pytest.fixture(scope="module")
def contour():
    """Lips open like an ellipse, 5 cm wide."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = [2.5 * np.cos(angles), np.sin(angles), np.full(24, 11.0)]
    return np.stack(points, 1).astype(np.float32)


def seen(points, turn):
    """Orthographic, 20 px a cm, after a turn about the vertical."""
    x = points[:, 0] * np.cos(turn) + (points[:, 2] - 11) * np.sin(turn)
    z = -points[:, 0] * np.sin(turn) + (points[:, 2] - 11) * np.cos(turn)
    return np.stack([64 + 20 * x, 32 - 20 * points[:, 1], z], 1).astype(np.float32)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_far_cheek_shows_from_the_side(contour, side):
    """Turned to one side, the far corner shows the inside of its cheek, the near one does not."""
    walls = seen(inner_cheeks(contour), side * 0.5)
    triangles, attributes = _cheeks(walls)
    drawn = np.zeros((64, 128, 5), np.float32)
    rasterise(walls, triangles, attributes, empty_depth(64, 128), drawn)
    shown = np.argwhere(drawn[..., 4] == CHEEK)
    middle = (walls[:24, 0].max() + walls[:24, 0].min()) / 2
    inside = shown[np.abs(shown[:, 1] - middle) < np.ptp(walls[:24, 0]) / 2 - 2]
    assert len(inside) > 20
    far = inside[(inside[:, 1] - middle) * side > 0]
    assert len(far) > 0.9 * len(inside)


def test_nothing_is_drawn_behind_the_middle_of_the_lips(contour):
    walls = seen(inner_cheeks(contour), 0.0)
    triangles, _ = _cheeks(walls)
    used = np.abs(inner_cheeks(contour)[np.unique(triangles) % 24, 0])
    assert used.min() > CHEEK_SHARE * 2.5
    assert used.max() == pytest.approx(2.5)


def test_a_cheek_is_bright_at_the_corner_and_dark_at_the_back():
    light = MouthLight(**{k: np.array(v, np.float32) for k, v in
                          {"teeth": (220, 210, 200), "gums": (180, 90, 90), "tongue": (190, 100, 95),
                           "dark": (30, 12, 10)}.items()})  # fmt: skip
    drawn = np.zeros((1, 3, 5), np.float32)
    drawn[0, :, 4] = CHEEK
    drawn[0, :, :2] = (1, 0), (1, 1), (0, 0)  # corner; its back; towards the middle
    corner, back, middle = _shade(drawn, light)[0]
    assert (corner > light.dark + 0.5 * (light.gums - light.dark)).all() and (corner < light.gums).all()
    assert back == pytest.approx(light.dark) and middle == pytest.approx(light.dark)
