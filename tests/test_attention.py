"""Which frames the network is asked about, and that what it was not asked about looks as if it had been."""

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.attention import Attention, contrast, foretold_db
from vasa_core.decoder import Decoder, with_appearance
from vasa_core.latents import Motion
from vasa_core.mending import Mending
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.refinement import load_networks
from vasa_core.render import drawn, render_frames
from vasa_core.surface import load_surface

LEAST_DB = 40.0


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def networks():
    return load_networks(assets.weights("face.safetensors"))


@pytest.fixture(scope="module")
def person(surface, networks):
    """One of our cast, with the appearance volume."""
    return with_appearance(prepare(load_picture(assets.FOLDER / "portraits/mei.png"), surface), surface, networks)


@pytest.fixture(scope="module")
def motion(surface):
    """Half a second of speech by hand: a nod and a turn, a jaw that opens twice, a blink."""
    t = torch.arange(12) / 25
    poses = torch.zeros(12, 6)
    poses[:, 0], poses[:, 1] = 0.03 * torch.sin(9 * t), 0.12 * torch.sin(5 * t)
    jaw, blink = 0.35 * torch.sin(13 * t).abs(), torch.exp(-(((t - 0.2) / 0.07) ** 2))
    named = [{"jawOpen": float(j), "eyeBlink": float(b)} for j, b in zip(jaw, blink, strict=True)]
    dynamics = torch.from_numpy(np.stack([surface.dynamics_from_weights(weights) for weights in named]))
    return Motion(head_pose=poses, facial_dynamics=dynamics)


@pytest.fixture
def asked(monkeypatch):
    """How often the network was asked."""
    questions: list[int] = []
    plain = Mending.asked
    monkeypatch.setattr(Mending, "asked", lambda self, *frame: questions.append(1) or plain(self, *frame))
    return questions


def mouth_of(person):
    """Rows and columns around the mouth."""
    lips = person.landmarks[[61, 291, 0, 17]]
    low, high, width = lips.min(0), lips.max(0), np.ptp(lips[:, 0])
    return np.s_[int(low[1] - width / 3) : int(high[1] + width), int(low[0] - width / 3) : int(high[0] + width / 3)]


def psnr_db(one, other):
    error = np.mean((np.asarray(one, np.float32) - np.asarray(other, np.float32)) ** 2)
    return 10 * np.log10(255**2 / max(float(error), 1e-9))


def test_the_fast_path_is_the_reference_to_forty_decibels_mouth_included(person, surface, networks, motion, asked):
    exact = load_networks(assets.weights("face.safetensors"), exact=True)
    fast = np.stack(list(render_frames(person, [motion], surface, networks=networks)))
    questions = len(asked)
    reference = np.stack(list(render_frames(person, [motion], surface, networks=exact, every_frame=True)))
    assert len(asked) - questions == len(motion) == len(fast) == len(reference)
    assert questions <= 0.75 * len(motion)  # it did save something
    assert psnr_db(fast, reference) > LEAST_DB
    assert psnr_db(fast[:, *mouth_of(person)], reference[:, *mouth_of(person)]) > LEAST_DB
    warp = np.stack(list(render_frames(person, [motion], surface)))
    assert psnr_db(warp, reference) < LEAST_DB  # the bare warp would not have passed


def test_no_frame_waits_for_one_that_is_long_in_coming(person, surface, networks, motion):
    decoder = Decoder(person, surface, networks)
    begun = [decoder.begun(motion.head_pose[k].numpy(), motion.facial_dynamics[k].numpy()) for k in range(2)]
    given: list[int] = []

    def coming():
        for item in (begun[0], begun[1], None):
            given.append(1)
            yield item
        raise AssertionError("asked for a frame that is long in coming")

    frames = Attention(decoder.mending).frames(coming())
    one, other = next(frames), next(frames)
    assert len(given) == 3
    assert np.array_equal(one, decoder.finished(begun[0])) and np.array_equal(other, decoder.finished(begun[1]))


def test_frames_come_in_order_and_none_is_lost(person, surface, networks, motion):
    decoder = Decoder(person, surface, networks)
    for count in (0, 1, 2, 3):
        poses = motion.head_pose[:count].numpy(), motion.facial_dynamics[:count].numpy()
        wanted = [(pose, dynamics, pose) for pose, dynamics in zip(*poses, strict=True)]
        made = list(drawn(decoder, wanted))
        assert len(made) == count
        for frame, one in zip(made, wanted, strict=True):
            assert psnr_db(frame, decoder.frame(*one)) > 35


def test_what_moves_evenly_is_foretold_better_than_what_jumps(person, surface, networks):
    decoder, still = Decoder(person, surface, networks), np.zeros(50, np.float32)
    pose = lambda degrees: np.array([0, np.deg2rad(degrees), 0, 0, 0, 0], np.float32)  # noqa: E731
    sights = [decoder.begun(pose(degrees), still)[1] for degrees in (2.0, 2.5, 3.0, 14.0)]
    grey = contrast(person.crop)
    even, jump = foretold_db(*sights[:3], grey), foretold_db(sights[0], sights[1], sights[3], grey)
    assert even[0] > jump[0] + 6 and even[1] > jump[1]
    assert foretold_db(*sights[:3], 4 * grey)[0] < even[0] - 9  # a picture full of lines shows more


def test_a_flat_picture_has_no_contrast_and_a_ramp_has_its_slope():
    assert contrast(np.full((20, 20, 3), 90, np.uint8)) == 0
    ramp = np.repeat(np.tile(np.arange(0, 120, 4, np.uint8), (30, 1))[..., None], 3, -1)
    assert contrast(ramp[:, 1:-1]) == pytest.approx(4, abs=0.3)
