"""Driving: the motion that was filmed is the motion that is read, whoever it was filmed of."""

from __future__ import annotations

import numpy as np
import pytest
from filmed import film

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.driving import FARTHEST_CM, WIDEST_RAD, motion_of, steadied, within_room
from vasa_core.errors import ConsentRefused
from vasa_core.footage import watch
from vasa_core.latents import EXPRESSION, MOTION, POSE
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.studio import Studio
from vasa_core.surface import load_surface

FRAMES = 16


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def performed(surface):
    """Head turns and the mouth opens, three times as fast."""
    time = np.linspace(0, 2 * np.pi, FRAMES)
    packed = np.zeros((FRAMES, MOTION), np.float32)
    packed[:, 1] = np.deg2rad(9) * np.sin(time)
    packed[:, POSE:] = (0.25 - 0.25 * np.cos(3 * time))[:, None] * surface.dynamics_from_weights({"jawOpen": 1.0})
    return packed


@pytest.fixture(scope="module")
def video(surface, performed, tmp_path_factory):
    decoder = Decoder(prepare(load_picture(assets.FOLDER / "portraits" / "amara.png"), surface), surface)
    frames = [decoder.frame(row[:POSE], row[POSE:]) for row in performed]
    sound = 0.1 * np.sin(np.arange(FRAMES * 640) * 0.2)
    return film(tmp_path_factory.mktemp("film") / "amara.mp4", frames, np.arange(FRAMES) / 25, sound)


def jaw(packed, surface):
    return np.array([surface.displacement(row[POSE:])[14, 1] for row in packed])


def test_the_motion_that_was_filmed_is_read_again(video, performed, surface):
    motion = motion_of(video, watch(video), surface).packed().numpy()
    assert len(motion) == FRAMES
    assert np.corrcoef(motion[:, 1], performed[:, 1])[0, 1] > 0.98
    assert np.polyfit(performed[:, 1], motion[:, 1], 1)[0] == pytest.approx(1, abs=0.12)
    assert np.corrcoef(jaw(motion, surface), jaw(performed, surface))[0, 1] > 0.95


def test_another_face_moves_as_the_video_does_with_its_sound(video, tmp_path, house):
    released = Studio(house=house).reenact(
        assets.FOLDER / "portraits" / "mei.png", video, tmp_path / "mei.mp4", size=256, progress=False
    )
    assert released.frames == FRAMES
    again = watch(released.path)
    lips = np.linalg.norm(again.landmarks[:, 13] - again.landmarks[:, 14], axis=1)
    filmed = watch(video)
    asked = np.linalg.norm(filmed.landmarks[:, 13] - filmed.landmarks[:, 14], axis=1)
    assert np.corrcoef(lips, asked)[0, 1] > 0.9
    import av

    with av.open(str(released.path)) as file:
        assert file.streams.best("audio") is not None


def test_a_stranger_is_not_driven_without_consent(video, tmp_path, house, picture):
    with pytest.raises(ConsentRefused):
        Studio(house=house).reenact(picture, video, tmp_path / "stranger.mp4", progress=False)


def test_steadying_calms_trembling_and_keeps_a_blink(surface):
    rng = np.random.default_rng(4)
    packed = np.zeros((60, MOTION))
    blink = surface.dynamics_from_weights({"eyeBlink": 1.0})
    packed[30, POSE:] = blink
    noise = 0.01 * rng.standard_normal(packed.shape)
    calm = steadied(packed + noise, surface)
    away = np.r_[5:26, 35:55]
    assert np.abs(calm[away, :EXPRESSION]).mean() < 0.75 * np.abs(noise[away, :EXPRESSION]).mean()
    lids = surface.displacement(calm[30, POSE:].astype(np.float32))[159, 1]
    assert lids == pytest.approx(surface.displacement(blink)[159, 1], rel=0.08)


def test_a_head_stays_where_the_picture_has_room():
    packed = np.zeros((9, MOTION))
    packed[4, :POSE] = (2, -2, 2, 30, -30, 80)
    packed[5, :3] = np.deg2rad(3)
    held = within_room(packed)
    assert (np.abs(held[:, :3]) <= WIDEST_RAD).all() and (np.abs(held[:, 3:POSE]) <= FARTHEST_CM).all()
    np.testing.assert_allclose(held[5, :3], packed[5, :3], rtol=0.02)
