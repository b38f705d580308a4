"""Closer looks: motion that was drawn is read off the picture again, where landmarks alone would not tell."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.closeup import Closeup
from vasa_core.landmarks import find_face
from vasa_core.latents import DYNAMICS, EXPRESSION, POSE
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.surface import load_surface

INNER_BROWS = [55, 285]


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def closeup(surface):
    return Closeup(prepare(load_picture(assets.FOLDER / "portraits" / "kofi.png"), surface), surface)


def look(closeup, pose, dynamics):
    frame = closeup.decoder.frame(pose, dynamics)
    return closeup(frame, find_face(frame))


def test_the_portrait_itself_has_moved_nowhere(closeup):
    head_pose, dynamics = closeup(closeup.portrait.crop, closeup.portrait.landmarks)
    assert np.abs(head_pose[:3]).max() < np.deg2rad(0.3)
    assert np.abs(dynamics[EXPRESSION:]).max() < np.deg2rad(1)


def test_a_nod_is_seen_whole(closeup):
    pose = np.zeros(POSE, np.float32)
    pose[:2] = np.deg2rad([9, -8])
    found, _ = look(closeup, pose, np.zeros(DYNAMICS, np.float32))
    np.testing.assert_allclose(np.rad2deg(found[:3]), [9, -8, 0], atol=1.5)


def test_raised_brows_and_a_glance_are_seen(closeup, surface):
    dynamics = surface.dynamics_from_weights({"browInnerUp": 0.7})
    dynamics[EXPRESSION:] = np.deg2rad([12, -4])
    _, found = look(closeup, np.zeros(POSE, np.float32), dynamics)
    drawn, read = (surface.displacement(d)[INNER_BROWS, 1].mean() for d in (dynamics, found))
    assert read == pytest.approx(drawn, rel=0.35) and drawn > 0.3
    np.testing.assert_allclose(np.rad2deg(found[EXPRESSION:]), [12, -4], atol=3)


def test_a_gaze_behind_lids_is_what_it_was_said_to_be(closeup, surface):
    _, found = look(closeup, np.zeros(POSE, np.float32), surface.dynamics_from_weights({"eyeBlink": 1.0}))
    assert (found[EXPRESSION:] == 0).all()
