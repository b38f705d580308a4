"""Origins: every pixel is accounted for, and what the geometry knows is found again in the map."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.latents import POSE
from vasa_core.origins import BEHIND, CARRIED, DRAWN, HIDDEN, KEPT, ORIGINS, PAINTED, invented, origins
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.refinement import load_networks
from vasa_core.sight import FINE_PX
from vasa_core.surface import load_surface


@pytest.fixture(scope="module")
def decoder():
    surface = load_surface(assets.weights("surface.safetensors"))
    portrait = prepare(load_picture(assets.FOLDER / "portraits" / "jonas.png"), surface)
    return Decoder(portrait, surface, load_networks(assets.weights("face.safetensors")))


def seen(decoder, yaw_deg: float = 0.0, **weights: float):
    head = np.zeros(POSE, np.float32)
    head[1] = np.radians(yaw_deg)
    return origins(decoder, decoder.pose(head, decoder.surface.dynamics_from_weights(weights)))


def test_every_pixel_comes_from_somewhere(decoder):
    found = seen(decoder, 20, jawOpen=0.4)
    assert found.shape == (len(ORIGINS), FINE_PX, FINE_PX)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_an_unmoved_portrait_is_kept_and_nothing_is_invented(decoder):
    found = seen(decoder)
    assert found[KEPT].mean() > 0.97
    assert invented(found) < 1e-3


def test_the_more_a_head_turns_the_more_is_invented(decoder):
    little, much = seen(decoder, 8), seen(decoder, 28)
    assert 0 < invented(little) < invented(much)
    assert much[BEHIND].sum() > much[[HIDDEN, PAINTED]].sum(), "most of it is background that the head uncovers"


def test_background_is_invented_only_where_the_person_stood(decoder):
    found = seen(decoder, 28)
    alone = cv2.resize(decoder.portrait.matte, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA) < 1e-3
    assert 0.3 < alone.mean() < 0.8
    assert found[BEHIND][alone].max() < 1e-3


def test_an_open_mouth_is_drawn_and_never_painted(decoder):
    closed, opened = seen(decoder, 10), seen(decoder, 10, jawOpen=0.6)
    assert opened[DRAWN].sum() > closed[DRAWN].sum() + 200
    inside = opened[DRAWN] > 0.99
    assert opened[PAINTED][inside].max() < 0.02
    assert opened[CARRIED][inside].max() < 0.02
