"""Frames of 1024 pixels: the same as those of 512, with what the picture has more."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.landmarks import cut
from vasa_core.mending import Mending, Said
from vasa_core.pictures import load_picture
from vasa_core.plates import LARGE_PX, at_size, enlarged, plates_of
from vasa_core.portrait import prepare
from vasa_core.sight import Sight
from vasa_core.surface import load_surface


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def person(surface):
    return prepare(load_picture(assets.FOLDER / "portraits" / "mei.png"), surface)


@pytest.mark.parametrize("scale", [0.4, 0.7, 1.0, 1.6])
def test_a_larger_cut_shows_the_same_place(scale):
    """A picture that rises evenly to the right and down: each pixel of the cut tells where it was taken."""
    rows, columns = np.mgrid[0:1600, 0:1600].astype(np.float32)
    picture = np.stack([columns, rows, rows], -1)
    transform = np.array([[scale, 0, -40.25], [0, scale, -70.5]], np.float32)
    small, large = cut(picture, transform), cut(picture, enlarged(transform, LARGE_PX), LARGE_PX)
    halved = cv2.resize(large.astype(np.float32), (512, 512), interpolation=cv2.INTER_AREA)
    assert np.abs(halved - small)[20:-20, 20:-20, :2].max() < 0.6


def test_points_keep_their_place_and_what_follows_it():
    points = np.array([[0.0, 511.0, 7.0], [255.5, 3.0, -2.0]], np.float32)
    assert at_size(points, 2.0) == pytest.approx(np.array([[0.5, 1022.5, 7.0], [511.5, 6.5, -2.0]]))
    assert at_size(points, 1.0) is points


def test_the_portraits_own_plates_are_its_own(person):
    plates = plates_of(person)
    assert plates.zoom == 1 and plates.crop is person.crop and plates.matte is person.matte


def test_an_unmoved_large_frame_is_the_picture_at_its_own_size(person, surface):
    decoder = Decoder(person, surface, size=LARGE_PX)
    frame = decoder.frame(np.zeros(6, np.float32), person.facial_dynamics - person.rest_dynamics)
    inner = np.s_[8:-8, 8:-8]
    error = (frame.astype(np.float32) - decoder.plates.crop)[inner]
    assert frame.shape == (LARGE_PX, LARGE_PX, 3)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 45
    fine = [np.abs(cv2.Laplacian(p[..., 1].astype(np.float32), cv2.CV_32F))[250:750, 300:720].mean()
            for p in (frame, cv2.resize(person.crop, (LARGE_PX, LARGE_PX), interpolation=cv2.INTER_CUBIC))]  # fmt: skip
    assert fine[0] > 1.2 * fine[1]


def test_a_moved_large_frame_is_the_moved_frame(person, surface):
    pose = np.array([0.05, 0.2, 0.03, 0, 0, 0], np.float32)
    dynamics = surface.dynamics_from_weights({"jawOpen": 0.3, "eyeBlink": 0.4})
    small, large = (Decoder(person, surface, size=size).frame(pose, dynamics) for size in (512, LARGE_PX))
    halved = cv2.resize(large, (512, 512), interpolation=cv2.INTER_AREA).astype(np.float32)
    assert 10 * np.log10(255**2 / ((halved - small) ** 2).mean()) > 34


def test_the_networks_flow_goes_as_far_at_any_size(person):
    """A word that moves everything by three pixels of 512 and paints nothing."""
    mending = Mending.__new__(Mending)
    blend, within = np.zeros((5, 256, 256), np.float32), np.ones((2, 256, 256), np.float32)
    light, light_within = np.zeros((5, 64, 64), np.float32), np.ones((2, 64, 64), np.float32)
    light[0] = 3
    sight = Sight(fine=np.zeros((5, 256, 256), np.uint8), coarse=np.zeros((12, 128, 128), np.float32))
    said = Said(sight=sight, blend=blend, within=within, light=light, light_within=light_within)
    moved = []
    for size in (512, LARGE_PX):
        columns = np.mgrid[0:size, 0:size][1].astype(np.float32) * (200 / size)
        warped = np.repeat(columns[..., None], 3, -1).astype(np.uint8)
        mending.unmoved = warped
        shifted = mending.frame(warped, said).astype(np.float32) - warped
        moved.append(shifted[100:-100, 100:-100].mean())
    assert moved == pytest.approx([200 * 3 / 512] * 2, abs=0.1)
