"""Following: the motion that moved a portrait is found again from where its landmarks went."""

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.following import follow, follower
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.surface import LANDMARKS, load_surface


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def portrait(surface):
    return prepare(load_picture(assets.portraits()[0]), surface)


SMILE, POUT = {"jawOpen": 0.4, "mouthSmile": 0.5}, {"browInnerUp_L": 0.6, "mouthPucker": 0.4}


@pytest.mark.parametrize("weights", [{}, SMILE, POUT])
def test_a_known_motion_is_found_again(portrait, surface, weights):
    head_pose = np.array([0.1, -0.25, 0.05, 0.4, -0.3, 2.0], np.float32)
    dynamics = surface.dynamics_from_weights(weights)
    landmarks = moved_landmarks(portrait, surface, head_pose, dynamics)
    found_pose, found_dynamics = follow(portrait, landmarks, surface)
    assert np.abs(found_pose[:3] - head_pose[:3]).max() < 0.005
    assert np.abs(found_pose[3:] - head_pose[3:]).max() < 0.05
    assert np.abs(moved_landmarks(portrait, surface, found_pose, found_dynamics) - landmarks)[:LANDMARKS].max() < 0.5


def test_the_portrait_itself_has_moved_nowhere(portrait, surface):
    head_pose, dynamics = follower(portrait, surface)(portrait.landmarks)
    rested = portrait.facial_dynamics - portrait.rest_dynamics
    assert np.abs(head_pose).max() < 0.05
    assert np.abs(dynamics[-2:]).max() < 1e-3
    assert np.abs(surface.displacement(dynamics) - surface.displacement(rested))[:LANDMARKS].max() < 0.1


def moved_landmarks(portrait, surface, head_pose, dynamics):
    decoder = Decoder(portrait, surface)
    face = decoder.rest + surface.displacement(dynamics)
    points = portrait.camera.project(decoder._moved(portrait.posed(face), head_pose))
    return np.concatenate([points[:LANDMARKS, :2], portrait.landmarks[LANDMARKS:]]).astype(np.float32)
