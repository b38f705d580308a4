"""Folds of the skin: none at rest, each by its own muscles and on its own side, only on skin, alike on both roads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.device.folds import Folding
from vasa_core.folds import FOLDS, TINT, Folds, grain_of, muscles_of, skin_seen
from vasa_core.latents import DYNAMICS, POSE
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.surface import load_surface

SIZE = 512
BESIDE = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1).astype(np.float32)
WHOLLY = np.ones((SIZE, SIZE, 2), np.float32)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def decoder(surface):
    return Decoder(prepare(load_picture(assets.portraits()[0]), surface), surface)


def by_hand(surface, shades):
    nothing = np.zeros(len(FOLDS), np.float32)
    return Folds(origin=(100, 200), shades=shades, muscles=muscles_of(surface), begun=nothing, own=nothing)


def named(strengths):
    return dict(zip(FOLDS, strengths.tolist(), strict=True))


@pytest.mark.parametrize(
    ("weights", "folded"),
    [
        ({}, set()),
        ({"jawOpen": 1.0}, set()),
        ({"eyeBlink": 1.0}, set()),
        ({"mouthPucker": 1.0}, set()),
        ({"browDown": 1.0}, {"frown"}),
        ({"browOuterUp_L": 1.0}, {"forehead L", "socket L"}),
        ({"browInnerUp": 0.6, "browOuterUp": 0.6}, {"forehead R", "forehead L", "socket R", "socket L"}),
        ({"mouthSmile": 1.0, "cheekSquint": 1.0}, {"eye R", "eye L", "smile R", "smile L"}),
    ],
)
def test_each_fold_follows_its_own_muscles(surface, weights, folded):
    shown = named(by_hand(surface, np.zeros((len(FOLDS), 2, 2), np.float32)).strengths(
        surface.dynamics_from_weights(weights)))  # fmt: skip
    assert {name for name, strength in shown.items() if strength > 0.25} == folded
    assert all(strength < 0.15 for name, strength in shown.items() if name not in folded)
    assert max(shown.values()) < 1


def test_what_a_portrait_shows_already_folds_less_and_its_own_look_not_at_all(surface):
    raised = surface.dynamics_from_weights({"browInnerUp": 0.5, "browOuterUp": 0.5})
    rested = by_hand(surface, np.zeros((len(FOLDS), 2, 2), np.float32))
    looks = replace(rested, own=raised @ rested.muscles)
    assert not looks.strengths(raised).any()
    begun = replace(rested, begun=np.full(len(FOLDS), 0.5, np.float32))
    assert 0 < named(begun.strengths(raised))["forehead L"] < 0.6 * named(rested.strengths(raised))["forehead L"]


def test_shades_land_where_the_skin_went_and_nowhere_else(surface):
    shades = np.zeros((len(FOLDS), 40, 60), np.float32)
    shades[FOLDS.index("frown"), 10:30, 20:40] = -0.2
    folds, picture = by_hand(surface, shades), np.full((SIZE, SIZE, 3), 200, np.uint8)
    frown = surface.dynamics_from_weights({"browDown": 1.0})
    folds.draw(picture, BESIDE - (7, 0), WHOLLY, frown)
    strength = named(folds.strengths(frown))["frown"]
    expected = 200 * np.exp(-0.2 * strength * np.array(TINT))
    np.testing.assert_allclose(picture[220, 100 + 30 + 7], expected, atol=1)
    changed = np.argwhere((picture != 200).any(-1))
    assert changed.min(0).tolist() == [210, 127] and changed.max(0).tolist() == [229, 146]


def test_frames_of_two_sizes_are_shaded_alike(surface):
    hill = -0.3 * np.sin(np.linspace(0, np.pi, 80))[:, None] * np.sin(np.linspace(0, 3 * np.pi, 90))
    shades = np.repeat(hill[None], len(FOLDS), 0).astype(np.float32)
    folds, frown = by_hand(surface, shades), surface.dynamics_from_weights({"browDown": 1.0})
    small, large = np.full((512, 512, 3), 150, np.uint8), np.full((1024, 1024, 3), 150, np.uint8)
    at = np.stack(np.meshgrid(np.arange(1024), np.arange(1024)), -1).astype(np.float32)
    folds.draw(small, BESIDE, WHOLLY, frown)
    folds.draw(large, at, np.ones((1024, 1024, 2), np.float32), frown)
    halved = large.reshape(512, 2, 512, 2, 3).mean((1, 3))
    assert np.abs(small - 150.0).max() > 20 and np.abs(halved - small).max() <= 1.5


def test_a_portrait_at_rest_is_untouched_and_a_raised_brow_has_lines(decoder, surface):
    still, none = np.zeros(POSE, np.float32), np.zeros(DYNAMICS, np.float32)
    without = replace(decoder.folds, shades=0 * decoder.folds.shades)
    raised = surface.dynamics_from_weights({"browInnerUp": 0.9, "browOuterUp": 0.9})
    folded = [decoder.frame(still, look) for look in (none, raised)]
    own, decoder.folds = decoder.folds, without
    smooth = [decoder.frame(still, look) for look in (none, raised)]
    decoder.folds = own
    np.testing.assert_array_equal(folded[0], smooth[0])
    changed = (folded[1].astype(int) - smooth[1]).mean(-1)
    rows = np.where((changed < -4).any(1))[0]
    brows_px = decoder.pose(still, raised).projected[[105, 334], 1].mean()
    assert len(rows) > 10 and rows.min() < brows_px - 20  # on the forehead
    assert changed.min() > -70


def test_hair_over_the_forehead_does_not_fold():
    y, x = np.mgrid[0:120, 0:100]
    crop = np.full((120, 100, 3), (210, 170, 150), np.uint8)
    crop[:40, :50] = (60, 40, 30)
    normals = np.stack([(x - 50) / 120, -(y - 60) / 160, np.full(x.shape, 0.8)], -1).astype(np.float32)
    place = np.stack([(x - 50) / 7, 8 - y / 8], -1).astype(np.float32)
    light = np.log(crop.mean(-1)).astype(np.float32)
    skin, lit, off = skin_seen(crop, light, normals, place, np.ones(x.shape, bool))
    assert skin[:36, :46].max() < 0.05 and skin[50:110, 10:90].min() > 0.95
    assert np.abs(lit).max() < 0.2 and off[:36, :46].max() < -0.8


def test_grain_is_nothing_on_flat_paint_and_whole_on_pores():
    y, x = np.mgrid[0:120, 0:100]
    place = np.stack([(x - 50) / 7, 9 - y / 8], -1).astype(np.float32)
    skin, pores = np.ones(x.shape, np.float32), np.random.default_rng(0).normal(0, 0.05, x.shape)
    assert grain_of(np.zeros(x.shape, np.float32), skin, place, 0.003, 0.009) == 0
    assert grain_of(pores.astype(np.float32), skin, place, 0.003, 0.009) == 1


def test_both_roads_shade_alike(decoder, surface):
    looks = [{}, {"browInnerUp": 0.9, "browOuterUp": 0.7}, {"mouthSmile": 0.9, "cheekSquint": 0.6, "browDown": 0.5}]
    moments = np.stack([surface.dynamics_from_weights(look) for look in looks])
    backward = np.stack([BESIDE + np.array([k, -2.3 * k]) for k in range(3)]).astype(np.float32)
    face = np.random.default_rng(1).uniform(0.5, 1, (3, SIZE, SIZE, 2)).astype(np.float32)
    pictures = np.repeat(decoder.portrait.crop[None], 3, 0)
    told = (torch.from_numpy(part) for part in (pictures.astype(np.float32), backward, face, moments))
    found = Folding(decoder.folds, torch.device("cpu"))(*told).numpy()
    for one, at, shown, look, there in zip(pictures, backward, face, moments, found, strict=True):
        decoder.folds.draw(one, at, shown, look)
        assert np.abs(one.astype(int) - there).max() <= 1
    assert (pictures[1] != decoder.portrait.crop).any()
