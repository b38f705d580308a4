"""What may be asked for, and the refusals."""

from __future__ import annotations

import math

import pytest

from vasa_core.controls import Controls, constant
from vasa_core.errors import BadOption


@pytest.mark.parametrize(
    "wish",
    [
        {"gaze": (1.0, 0.0)},
        {"gaze": (0.0, -0.8)},
        {"head_distance": 0.2},
        {"head_distance": math.nan},
        {"emotion": "hungry"},
        {"emotion_intensity": 1.5},
        {"guidance_audio": -0.1},
        {"guidance_gaze": 9.0},
        {"steps": 0},
        {"energy": 3.0},
        {"pose": (0.6, 0.0, 0.0)},
        {"pose": (0.0, -0.4, 0.0)},
        {"blink_rate": -0.1},
        {"blink_rate": math.nan},
    ],
)
def test_impossible_wishes_are_refused_in_one_sentence(wish) -> None:
    with pytest.raises(BadOption) as refusal:
        Controls(**wish)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


def test_emotion_becomes_one_intensity_among_eight() -> None:
    assert Controls(emotion="happy", emotion_intensity=0.6).emotion_vector() == (0, 0.6, 0, 0, 0, 0, 0, 0)
    assert not any(Controls().emotion_vector())


def test_one_wish_is_a_constant_curve() -> None:
    wish = Controls(head_distance=1.1)
    assert constant(wish)(0.0) is wish and constant(wish)(99.0) is wish
    assert constant(lambda second: Controls(energy=second))(0.5).energy == 0.5
