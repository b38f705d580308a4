"""The matte: what knows nothing leaves the word as it is; only what hangs together with the face is the person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vasa_core import assets
from vasa_core.errors import MissingWeights
from vasa_core.evaluate.held_out import CALM, load_sitters
from vasa_core.evaluate.pixels import overlap
from vasa_core.landmarks import CROP_PX, crop_face, edged, person_word
from vasa_core.matting import (
    SIDE_PX,
    Matting,
    crown,
    face_within,
    hanging_together,
    load_matting,
    matte_of,
    planes_of,
    settled,
    sides,
    without_holes,
    worn_at_ears,
)


def disc(centre: tuple[int, int], radius: int, size: int = CROP_PX) -> np.ndarray:
    return cv2.circle(np.zeros((size, size), np.float32), centre, radius, 1.0, -1)


def test_only_what_hangs_together_with_the_face_is_the_person():
    face, body, stranger = disc((200, 200), 40), disc((200, 300), 90), disc((450, 200), 30)
    strand = np.zeros_like(face)
    strand[100:160, 296] = 1.0  # a strand of hair with a gap of five pixels to the body's own
    near = np.zeros_like(face)
    near[100:160, 290] = 1.0
    near[155:160, 200:291] = 1.0
    own = np.maximum.reduce([face, body, near])
    kept = hanging_together(np.maximum.reduce([own, stranger, strand]), face)
    np.testing.assert_allclose(kept, np.maximum(own, strand), atol=1e-3)


def a_face_with_an_earring(busy: bool):
    """Crop, matte of a face and of half an earring below its right ear, and landmarks."""
    rng, crop = np.random.default_rng(0), np.full((CROP_PX, CROP_PX, 3), (150, 170, 200), np.float32)
    if busy:
        crop += 70 * rng.choice([-1, 1], (CROP_PX // 8, CROP_PX // 8, 1)).repeat(8, 0).repeat(8, 1)
    matte = np.zeros((CROP_PX, CROP_PX), np.float32)
    cv2.ellipse(matte, (256, 256), (100, 140), 0, 0, 360, 1.0, -1)
    crop[matte > 0] = (180, 120, 100)
    cv2.ellipse(crop, (376, 316), (7, 12), 0, 0, 360, (20, 150, 90), -1)
    matte[306:326, 369:374] = 0.6
    landmarks = np.zeros((478, 2), np.float32)
    landmarks[[132, 361, 152, 151]] = (170, 290), (342, 290), (256, 390), (256, 180)
    return crop.clip(0, 255).astype(np.uint8), matte, landmarks


def test_earrings_are_the_persons_as_a_whole():
    crop, matte, landmarks = a_face_with_an_earring(busy=False)
    worn = worn_at_ears(matte, crop, landmarks)
    assert worn[308:325, 372:381].min() > 0.9
    assert worn[:, :350].max() == 0 and worn[:295].max() == 0 and worn[:, 390:].max() == 0


def test_before_shelves_and_far_from_ears_nothing_is_an_earring():
    crop, matte, landmarks = a_face_with_an_earring(busy=True)
    assert not worn_at_ears(matte, crop, landmarks).any()
    crop, matte, landmarks = a_face_with_an_earring(busy=False)
    assert not worn_at_ears(matte, crop, landmarks + np.array([0, 150], np.float32)).any()
    matte[306:326, 369:374] = 0
    assert not worn_at_ears(matte, crop, landmarks).any()


def test_holes_that_touch_no_background_are_the_person():
    body, word = disc((256, 300), 180), cv2.GaussianBlur(disc((256, 300), 180), (0, 0), 4)
    hole, gap = disc((256, 300), 30), disc((256, 130), 6)  # deep inside, and between strands at the outline
    leak = np.zeros_like(body)
    leak[280:320, 400:] = 1.0  # the word takes it for the person, the network does not
    matte = np.clip(body - hole - gap, 0, 1)
    mended = without_holes(matte, np.maximum(word, leak))
    np.testing.assert_allclose(mended, np.clip(body - gap, 0, 1), atol=2e-3)


def test_colours_decide_where_the_matte_wavers():
    """Before green a person in red; the word takes a broad piece of the green for a shoulder, the matte hardly."""
    rng = np.random.default_rng(0)
    face, body = disc((256, 180), 60), np.maximum(disc((256, 180), 90), disc((256, 460), 200))
    leak = np.zeros_like(body)
    leak[200:300, 330:500] = 1.0
    crop = np.where(body[..., None] > 0, [200, 60, 50], [60, 150, 70]) + rng.normal(size=(512, 512, 3)) * 6
    crop, word = np.clip(crop, 0, 255).astype(np.uint8), np.maximum(body, leak)
    wavering = np.maximum(body, 0.4 * leak)
    wavering[400:430, 240:270] = 0.3  # and doubts a place on the person
    made = settled(wavering, word, crop, face)
    assert overlap(made > 0.5, body > 0.5) > 0.98
    assert made[410:420, 250:260].min() > 0.95
    twin = np.maximum(leak, leak[:, ::-1])  # such ground on both sides, down to the border: a green cape
    twin[300:, 330:500] = twin[300:, 12:182] = 1.0
    cape = settled(np.maximum(body, 0.4 * twin), np.maximum(body, twin), crop, face)
    assert overlap(cape > 0.5, np.maximum(body, twin) > 0.5) > 0.97
    sure = np.maximum(body, leak)  # whoever is sure of it keeps it
    np.testing.assert_allclose(settled(sure, word, crop, face), sure, atol=1e-3)


def test_hair_that_runs_out_of_the_picture_is_no_background():
    face, word = disc((256, 140), 60), disc((256, 170), 190)
    told = crown(word, face)
    assert told[:90, 220:290].min() > 0.98  # up to the border, where the word goes on
    assert not told[141:].any()  # nothing below the face's middle
    assert told[word == 0].max() < 1e-3
    assert told[100, 256 - 176 : 256 - 168].max() < 0.05  # not its outline


def test_a_whole_matte_is_left_alone():
    matte = cv2.GaussianBlur(disc((256, 256), 150), (0, 0), 3)
    matte[matte < 0.01] = 0
    np.testing.assert_allclose(hanging_together(matte, disc((256, 256), 60)), matte, atol=0.01)


def test_sides_tell_the_share_of_two_colours():
    """A flat person before a flat background: each pixel's share is its coverage, whatever the colours."""
    cover = torch.from_numpy(cv2.GaussianBlur(disc((64, 64), 40, 128), (0, 0), 2.0))[None, None]
    person, behind = (torch.tensor(colour).view(1, 3, 1, 1) for colour in ([0.9, -0.5, 0.2], [-0.6, 0.1, 0.5]))
    picture = cover * person + (1 - cover) * behind
    near = ((cover > 0.05) & (cover < 0.95)).expand_as(cover)
    for share, contrast in zip(*[iter(sides(picture, cover))] * 2, strict=True):
        assert float((share - cover)[near].abs().mean()) < 0.06
        assert float(contrast[near].min()) > 0.5


def test_planes_are_told_in_their_units():
    half = np.full((SIDE_PX, SIDE_PX), 0.5, np.float32)
    told = planes_of(np.full((SIDE_PX, SIDE_PX, 3), 255, np.float32), half, 0 * half)
    assert told.shape == (7, SIDE_PX, SIDE_PX)
    assert [float(plane.mean()) for plane in told[:5]] == pytest.approx([1, 1, 1, 0, -1])
    assert told[5, 0, 0] == -1 and told[5, 0, -1] == 1 and told[6, 0, 0] == -1 and told[6, -1, 0] == 1


def test_an_untaught_refinement_keeps_what_it_is_given():
    network = Matting().eval()
    cover = torch.from_numpy(cv2.GaussianBlur(disc((32, 32), 20, 64), (0, 0), 2.0))[None, None]
    picture, hints = torch.rand(1, 3, 128, 128), torch.rand(1, 6, 128, 128)
    with torch.no_grad():
        said = torch.sigmoid(network.refined(picture, cover, hints))
    wide = torch.nn.functional.interpolate(cover, (128, 128), mode="bilinear")
    assert ((said > 0.5) == (wide > 0.5)).all()
    assert float(said.min()) < 0.01 and float(said.max()) > 0.99


def test_the_face_is_where_its_landmarks_are():
    landmarks = np.tile(np.array([[10.0, 10.0], [50.0, 10.0], [50.0, 40.0], [10.0, 40.0]], np.float32), (120, 1))[:478]
    face = face_within(landmarks, 64)
    assert face.sum() == 41 * 31 and face[10:41, 10:51].min() == 1


def test_weights_that_are_not_there_or_not_ours_are_named(tmp_path):
    with pytest.raises(MissingWeights, match="matting"):
        load_matting(tmp_path / "none.safetensors")
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(MissingWeights, match="matting"):
        load_matting(tmp_path / "other.safetensors")


def test_held_out_people_are_cut_out_better_than_by_mediapipe_alone():
    """Four sitters; among them one before a hedge of which MediaPipe takes a part for the person."""
    network = load_matting(assets.weights("matting.safetensors"))
    ours, before, error, error_before = [], [], [], []
    for sitter in (s for s in load_sitters() if s.name in ("sitter_00", "sitter_03", "sitter_04", "sitter_08")):
        face = crop_face(sitter.pictures[CALM])
        warp = (face.crop_from_picture, (CROP_PX, CROP_PX))
        true = cv2.warpAffine((sitter.part[CALM] > 0).astype(np.float32), *warp)
        inside = cv2.warpAffine(np.ones(sitter.part[CALM].shape, np.float32), *warp) > 0.999
        mattes = matte_of(face, network), edged(face.crop, person_word(face.crop))
        for matte, overlaps, errors in zip(mattes, (ours, before), (error, error_before), strict=True):
            overlaps.append(overlap((matte > 0.5) & inside, (true > 0.5) & inside))
            errors.append(np.abs(matte - true)[inside].mean())
    assert min(ours) > max(0.95, min(before))
    assert np.mean(error) < 0.6 * np.mean(error_before)


def test_without_a_network_it_is_the_word_with_its_edges_mended():
    face = crop_face(load_sitters()[5].pictures[CALM])
    alone = edged(face.crop, person_word(face.crop))
    own = face_within(face.landmarks, CROP_PX) > 0
    np.testing.assert_allclose(matte_of(face)[own], alone[own], atol=1e-6)
    assert (matte_of(face) <= alone + 1e-6).all()
