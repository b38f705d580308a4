"""The teeth that a portrait shows: told from lips, tongue and shadow, and shown again where the mouth opens."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.device.decoder import BatchDecoder
from vasa_core.eyes import polygon_mask
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.surface import load_surface
from vasa_core.teeth import own_teeth, tooth_share

SKIN, LIPS = np.array([205.0, 160, 135]), np.array([185.0, 95, 95])
ENAMEL, TONGUE, DARK = (232, 222, 205), (190, 100, 95), (40, 16, 14)
MOUTH = np.array([[40.0, 60], [128, 40], [216, 60], [216, 196], [40, 196]], np.float32)
PAINT = np.array([250, 236, 214], np.uint8)
STILL = np.zeros(6, np.float32)


@pytest.fixture
def mouth():
    """Three stripes between the lips: enamel, tongue, darkness."""
    picture = np.full((256, 256, 3), SKIN, np.uint8)
    for top, colour in ((40, ENAMEL), (96, TONGUE), (148, DARK)):
        picture[top : top + 56, 40:217] = colour
    return picture


def test_enamel_is_told_from_tongue_darkness_and_skin(mouth):
    share = tooth_share(mouth, MOUTH, SKIN, LIPS)
    assert share[70:90, 60:200].min() > 0.95
    assert share[105:140, 60:200].max() < 0.05 and share[155:190, 60:200].max() < 0.05
    assert share[:38].max() == 0 and share[:, 222:].max() == 0


def test_a_picture_without_colour_tells_by_brightness(mouth):
    grey = np.repeat(cv2.cvtColor(mouth, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    level = np.full(3, 165.0)
    share = tooth_share(grey, MOUTH, level, level)
    assert share[70:90, 60:200].min() > 0.95 and share[155:190, 60:200].max() < 0.05


def test_a_glint_is_no_tooth(mouth):
    mouth[40:96, 40:217] = TONGUE
    mouth[70:74, 100:106] = ENAMEL
    assert own_teeth(mouth, MOUTH, np.zeros((1, 2), np.float32), SKIN, LIPS) is None


def test_places_tell_colour_and_certainty(mouth):
    own = own_teeth(mouth, MOUTH, np.zeros((1, 2), np.float32), SKIN, LIPS)
    assert own is not None and own.colour == pytest.approx(ENAMEL, abs=1)
    places = np.array([[[128.0, 80.0], [128.0, 80.0], [128.0, 120.0]]], np.float32)
    told = own.at(places, np.array([[True, False, True]]))
    assert told[0, 0] == pytest.approx([*ENAMEL, 1], abs=0.1)
    assert told[0, 1:, 3] == pytest.approx([0, 0], abs=0.01)


@pytest.fixture(scope="module")
def laughing():
    """One of the cast with the mouth open and painted in a colour that no drawn tooth has, taken for a portrait."""
    surface = load_surface(assets.weights("surface.safetensors"))
    closed = Decoder(prepare(load_picture(assets.portraits()[0]), surface), surface)
    assert closed.teeth is None  # this one keeps the lips shut
    pose = closed.pose(STILL, surface.dynamics_from_weights({"jawOpen": 0.25, "mouthSmile": 0.6}))
    picture = closed.warped(pose).picture
    inside = polygon_mask(closed.mouth_opening(pose.projected), picture.shape[:2])[..., None]
    picture = np.round(picture + inside * (PAINT.astype(np.float32) - picture)).astype(np.uint8)
    return Decoder(prepare(picture, surface), surface)


def as_painted(decoder, dynamics, where):
    """Share of these pixels that look as they were painted."""
    shown = decoder.warped(decoder.pose(STILL, dynamics)).picture
    return float((np.abs(shown[where].astype(np.float32) - PAINT).mean(1) < 8).mean())


def test_an_open_mouth_shows_its_own_teeth_again(laughing, monkeypatch):
    """As open as in the portrait, teeth have the portrait's colour; drawn as other people's are, none has."""
    own = laughing.portrait.facial_dynamics - laughing.portrait.rest_dynamics
    sure = laughing.teeth.share > 0.9
    assert sure.sum() > 150
    assert laughing.light.teeth == pytest.approx(PAINT, abs=4)
    assert as_painted(laughing, own, sure) > 0.4
    monkeypatch.setattr(laughing, "teeth", None)
    assert as_painted(laughing, own, sure) < 0.05


def test_the_batched_decoder_shows_them_too(laughing):
    own = laughing.portrait.facial_dynamics - laughing.portrait.rest_dynamics
    told = [torch.from_numpy(x[None]) for x in (STILL, own, STILL)]
    pictures, _ = BatchDecoder(laughing, None, torch.device("cpu"))(*told)
    expected = laughing.frame(STILL, own).astype(np.float32)
    error = np.abs(pictures[0].numpy() - expected)[laughing.teeth.share > 0.5]
    assert np.mean(error**2) < 255**2 / 10**4.0  # 40 dB
