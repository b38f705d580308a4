"""Smiles that give way: nothing changes until lips are rounded, and nothing on a face that does not smile."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.latents import DYNAMICS
from vasa_core.smiles import BROADEST, GIVES_WAY, LEAST_ROOM, smile_of
from vasa_core.surface import LIP_CORNERS, load_surface

STILL = np.zeros(DYNAMICS, np.float32)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


def asked(surface, **weights):
    return surface.dynamics_from_weights(weights)


def width(surface, dynamics):
    right, left = (surface.displacement(dynamics)[corner, 0] for corner in LIP_CORNERS)
    return left - right


def test_a_face_that_does_not_smile_rounds_its_lips_as_asked(surface):
    smile = smile_of(surface, STILL, STILL)
    pucker = asked(surface, mouthPucker=0.8)
    np.testing.assert_array_equal(smile.yielding(pucker), pucker)


def test_a_smile_stays_until_lips_are_rounded(surface):
    own = asked(surface, jawOpen=0.1)
    smile = smile_of(surface, asked(surface, mouthSmile=0.7), own)
    for kept in (own, own + asked(surface, mouthSmile=0.2)):
        np.testing.assert_allclose(smile.yielding(kept), kept, atol=1e-6)


def test_rounded_lips_take_most_of_a_smile_away(surface):
    smiling = asked(surface, mouthSmile=0.7)
    smile, pucker = smile_of(surface, smiling, STILL), asked(surface, mouthPucker=1.0)
    taken = width(surface, pucker) - width(surface, smile.yielding(pucker))
    assert taken == pytest.approx(GIVES_WAY * width(surface, smiling), rel=1e-3)
    half = asked(surface, mouthPucker=0.2)
    assert 0 < width(surface, half) - width(surface, smile.yielding(half)) < 0.5 * taken


def test_nobody_smiles_twice(surface):
    """Who smiles fully adds next to nothing to it, who does not smiles as asked; and a broader wish is never less."""
    full = asked(surface, mouthSmile=1.0)
    smiling, calm = smile_of(surface, full, STILL), smile_of(surface, STILL, STILL)
    assert width(surface, smiling.yielding(full)) < 1.05 * (BROADEST - 1) * width(surface, full)
    np.testing.assert_allclose(calm.yielding(0.9 * full), 0.9 * full, atol=1e-6)
    widths = [width(surface, smiling.yielding(share * full)) for share in np.linspace(0, 2, 9)]
    assert (np.diff(widths) > -1e-6).all()
    beyond = smile_of(surface, 2 * full, STILL)
    assert float(beyond.room) == pytest.approx(LEAST_ROOM)
