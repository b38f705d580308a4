"""Faces taken apart without truth: known turns, a recogniser that recognises, and losses that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.geometry import rotation
from vasa_core.surface import LANDMARKS, load_surface
from vasa_core.train.swapping import (
    EVERY,
    FARTHEST_RAD,
    Swapper,
    _turned,
    codes_of,
    factors_of,
    film,
    identity_kept,
    learned,
    losses,
    recogniser,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Small products: two threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def clips(surface):
    return film(surface, 60, 8, np.random.default_rng(0))


@pytest.fixture(scope="module")
def who(surface):
    return recogniser(film(surface, 150, 8, np.random.default_rng(1)))


def test_points_are_turned_as_the_rest_of_the_project_turns_them():
    points, yaw, pitch = np.random.default_rng(0).standard_normal((5, 3)), 0.4, -0.2
    expected = points @ (rotation(np.array([pitch, 0, 0])) @ rotation(np.array([0, yaw, 0]))).T
    found = _turned(torch.tensor(points), torch.tensor([yaw, pitch]))
    np.testing.assert_allclose(found.numpy().reshape(5, 2), expected[:, :2], atol=1e-6)


def test_a_film_shows_what_its_truth_says(surface, clips):
    assert clips.seen.shape == (60, 8, 2 * len(range(0, LANDMARKS, EVERY)))
    assert (np.abs(clips.pose) <= FARTHEST_RAD).all()
    again = film(surface, 60, 8, np.random.default_rng(0))
    np.testing.assert_array_equal(clips.seen, again.seen)
    across = clips.seen[..., 0::2].mean(-1)  # who turns to the right of the picture is seen farther to the right
    assert np.corrcoef(across.ravel(), clips.pose[..., 0].ravel())[0, 1] > 0.8


def test_people_are_recognised_whatever_they_do(clips, who):
    told = who(torch.tensor(clips.seen)).numpy()
    left = ((told - clips.who[:, None]) ** 2).mean() / clips.who.var()
    assert left < 0.15


def test_two_frames_that_are_one_leave_nothing_to_swap(surface, clips, who):
    model, frame = Swapper(surface), torch.tensor(clips.seen[:, 0])
    terms = losses(model, frame, frame, frame, who)
    assert terms["pairwise"] == 0
    assert 0 <= terms["cross_identity"] <= 2
    moved = losses(model, frame, torch.tensor(clips.seen[:, 1]), frame, who)
    assert moved["pairwise"] > 0


def test_the_cross_identity_loss_keeps_people_who_they_are(surface, clips, who):
    without, with_it = (learned(clips, surface, who, shares, steps=120) for shares in ({}, {"cross_identity": 2.0}))
    assert identity_kept(with_it, clips, who) > identity_kept(without, clips, who) + 0.15


def test_the_same_seed_teaches_the_same(surface, clips, who):
    one, same, other = (learned(clips, surface, who, {}, steps=2, seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(one.shape[0].weight, same.shape[0].weight)
    assert not torch.allclose(one.shape[0].weight, other.shape[0].weight)


def test_codes_and_truth_stand_in_one_order(surface, clips):
    factors, person = factors_of(clips)
    codes = codes_of(Swapper(surface).requires_grad_(False), clips)
    assert {len(values) for values in [*codes.values(), *factors.values(), person]} == {clips.seen[..., 0].size}
    np.testing.assert_array_equal(factors["who"][person == 7], np.tile(clips.who[7], (8, 1)))
    np.testing.assert_array_equal(factors["pose"][7 * 8 + 3], clips.pose[7, 3])
