"""Parts of the face looked at closely: windows that show them, changes that know before from after and left from right.

Oracles: a mark put beside an eye or a mouth's corner is found in its window; two looks at one picture tell no change;
swapped pictures tell the opposite, mirrored ones the mirror image; what was drawn is read again.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vasa_core import assets
from vasa_core.changes import shapes, windows, windows_from_picture
from vasa_core.closeup import EYES_LARGER, Closeup, _weighed
from vasa_core.encoders import aligned_features
from vasa_core.errors import MissingWeights
from vasa_core.evaluate import expressions
from vasa_core.evaluate.held_out import BLINK, CALM, STRONG, load_sitters
from vasa_core.evaluate.subjects import Watcher
from vasa_core.landmarks import crop_face, cut, seen_in_mirror
from vasa_core.latents import DYNAMICS, EXPRESSION
from vasa_core.lower_face import LOWER_FACE, jaw_and_lips, load_lower_face, lower_face_of
from vasa_core.pixel_codes import load_pixel_encoder
from vasa_core.portrait import prepare
from vasa_core.surface import EYE_CORNERS, LANDMARKS, load_surface
from vasa_core.upper_face import UPPER_FACE, lids_and_brows, load_upper_face

PARTS = pytest.mark.parametrize("part", [UPPER_FACE, LOWER_FACE], ids=lambda part: part.name)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def upper(surface):
    return load_upper_face(assets.weights("upper_face.safetensors"), surface)


@pytest.fixture(scope="module")
def lower(surface):
    return load_lower_face(assets.weights("lower_face.safetensors"), surface)


@pytest.fixture(scope="module")
def both(upper, lower):
    return {UPPER_FACE: upper, LOWER_FACE: lower}


@pytest.fixture(scope="module")
def faces():
    """Calm, acting and blinking frames of three held-out sitters, in the crop of the calm one."""
    found = []
    for sitter in load_sitters()[:3]:
        transform = crop_face(sitter.pictures[CALM]).crop_from_picture
        found.append({role: crop_face(cut(sitter.pictures[role], transform)) for role in (CALM, STRONG, BLINK)})
    return found


def average_face(surface, px_per_cm: float, turn: float = 0.0) -> np.ndarray:
    """The average face's landmarks in the middle of a crop, irises between the corners of the eyes."""
    cos, sin = np.cos(turn), np.sin(turn)
    flat = surface.neutral[:LANDMARKS, :2] - surface.neutral[:LANDMARKS, :2].mean(0)
    points = px_per_cm * flat @ np.array([[cos, sin], [-sin, cos]]) * (1, -1) + 256
    irises = [points[list(corners)].mean(0, keepdims=True).repeat(5, 0) for corners in EYE_CORNERS]
    return np.concatenate([points, *irises]).astype(np.float32)


@PARTS
@pytest.mark.parametrize(("px_per_cm", "turn"), [(13.0, 0.0), (20.0, 0.2), (8.0, -0.3)])
def test_a_mark_in_a_face_is_found_in_its_window(surface, part, px_per_cm, turn):
    """A third of the way from the anchors' middle to the nose: up in both windows, right in both eyes'."""
    landmarks = average_face(surface, px_per_cm, turn)
    for side, anchors in enumerate(part.anchors):
        picture = np.zeros((512, 512, 3), np.uint8)
        middle = landmarks[list(anchors)].mean(0)
        mark = np.round(16 * (middle + 0.3 * (landmarks[1] - middle))) / 16
        cv2.circle(picture, tuple(int(v) for v in 16 * mark), 64, (255, 255, 255), -1, cv2.LINE_AA, 4)
        shown = windows(picture, landmarks, part, surface)[side, ..., 0].astype(float)
        sides = ((part.high_px, 1), (part.wide_px, 0))
        y, x = (np.arange(n) @ shown.sum(axis) / shown.sum() for n, axis in sides)
        expected = windows_from_picture(landmarks, part, surface)[side] @ (*mark, 1)
        np.testing.assert_allclose([x, y], expected, atol=0.15)
        way = surface.neutral[1, :2] - surface.neutral[list(anchors), :2].mean(0)
        off = expected - (part.wide_px / 2 - 0.5, part.high_px / 2 - 0.5 + part.raised_cm * part.px_per_cm)
        flat = 0.3 * part.px_per_cm * way * ((1, -1)[side], -1)
        np.testing.assert_allclose(off, flat, atol=0.4)


@PARTS
def test_both_sides_of_a_face_and_its_mirror_image_look_alike(surface, part):
    """Of a picture of noise under landmarks that are symmetric, the mirror image swaps the windows."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (512, 512, 3), np.uint8)
    landmarks = average_face(surface, part.px_per_cm)
    flat = shapes(aligned_features(landmarks[None].astype(np.float64), surface)[0], part)[0]
    assert np.abs(flat[0] - flat[1]).max() < 2.5  # the average face is nearly its own mirror image
    shown = windows(picture, landmarks, part, surface)
    from_picture = windows_from_picture(landmarks, part, surface)
    whole = (part.wide_px, part.high_px)
    again = cv2.warpAffine(picture[:, ::-1], _through_mirror(from_picture[1], 512), whole)
    np.testing.assert_array_equal(again, shown[1])


def _through_mirror(transform: np.ndarray, side: int) -> np.ndarray:
    """The same map, from the mirror image."""
    return np.c_[-transform[:, 0], transform[:, 1], transform[:, 2] + (side - 1) * transform[:, 0]]


@PARTS
def test_one_picture_twice_tells_no_change_and_swapped_pictures_the_opposite(both, faces, part):
    look = both[part]
    before, now = (look(faces[0][role].crop, faces[0][role].landmarks) for role in (CALM, STRONG))
    np.testing.assert_allclose(look.change(now, now)[0], 0, atol=1e-6)
    (there, errors), (back, same) = look.change(before, now), look.change(now, before)
    np.testing.assert_allclose(there, -back, atol=1e-6)
    np.testing.assert_allclose(errors, same, rtol=1e-5)
    assert np.linalg.eigvalsh(errors).min() > 0


@PARTS
def test_the_mirror_image_tells_the_mirrored_change(both, faces, part):
    look, told = both[part], []
    for mirrored in (False, True):
        kept = []
        for role in (CALM, STRONG):
            face = faces[1][role]
            picture = np.ascontiguousarray(face.crop[:, ::-1]) if mirrored else face.crop
            landmarks = seen_in_mirror(face.crop) if mirrored else face.landmarks
            kept.append(look(picture, landmarks))
        told.append(look.change(*kept)[0])
    common = len(part.common)
    own = np.arange(common, len(part.names)).reshape(-1, 2)[:, ::-1].ravel()  # left and right change places
    swapped = np.concatenate([told[1][:common] * part.signs, told[1][own]])
    allowed = [np.deg2rad(4) if name.startswith("gaze") else 0.2 for name in part.names]
    assert (np.abs(swapped - told[0]) < allowed).all()


def test_a_dropped_jaw_and_a_smile_are_seen(lower, faces):
    """The acting sitters, against the truth of the world."""
    for sitter, held in zip(faces, load_sitters()[:3], strict=True):
        before, now = (lower(sitter[role].crop, sitter[role].landmarks) for role in (CALM, STRONG))
        heads = held.truth.landmarks_head
        true = lower_face_of(heads[STRONG][:LANDMARKS]) - lower_face_of(heads[CALM][:LANDMARKS])
        off = dict(zip(LOWER_FACE.names, np.abs(lower.change(before, now)[0] - true), strict=True))
        assert off["jaw drop"] < 0.3 and off["lip opening"] < 0.3
        assert max(off["right corner lift"], off["left corner lift"]) < 0.3


def test_shut_eyes_are_seen_shut(upper, faces):
    for sitter in faces:
        before, now = (upper(sitter[role].crop, sitter[role].landmarks) for role in (CALM, BLINK))
        lids = [k for k, name in enumerate(UPPER_FACE.names) if name.endswith("lids")]
        assert (upper.change(before, now)[0][lids] < -0.4).all()


def test_a_glance_down_is_told_where_the_lower_lid_hides_half_the_iris(surface, upper):
    """The second look at an acting sitter, against the truth of the world, whose eyes are larger than the engine's."""
    sitter = load_sitters()[3]
    pixels = load_pixel_encoder(assets.weights("pixels.safetensors"), surface)
    portrait = prepare(sitter.pictures[CALM], surface, pixels)
    closeup = Closeup(portrait, surface, encoder=pixels, upper=upper)
    crop = cut(sitter.pictures[STRONG], portrait.crop_from_picture)
    _, dynamics = closeup(crop, Watcher()(crop))
    true = EYES_LARGER * (sitter.truth.gaze[STRONG] - sitter.truth.gaze[CALM])
    assert true[1] > 15
    np.testing.assert_allclose(np.rad2deg(dynamics[EXPRESSION:]), true, atol=7)


def test_lids_and_brows_of_a_code_are_what_is_read_of_its_face(surface):
    rng = np.random.default_rng(1)
    dynamics = np.zeros(DYNAMICS, np.float32)
    dynamics[:EXPRESSION] = rng.normal(size=EXPRESSION)
    told = lids_and_brows(surface) @ dynamics[:EXPRESSION]
    head, nowhere = surface.neutral[:LANDMARKS], np.zeros(2)
    read = expressions.read(head + surface.displacement(dynamics)[:LANDMARKS], nowhere) - expressions.read(
        head, nowhere
    )
    names = ("right lids", "left lids", "inner brows", "outer brows")
    wanted = [read[expressions.NAMES.index(name)] for name in names]
    np.testing.assert_allclose([*told[:2], told[2:4].mean(), told[4:].mean()], wanted, atol=1e-4)


def test_jaw_and_lips_of_a_code_are_what_is_read_of_its_face(surface):
    rng = np.random.default_rng(2)
    dynamics = np.zeros(DYNAMICS, np.float32)
    dynamics[:EXPRESSION] = rng.normal(size=EXPRESSION)
    told = dict(zip(LOWER_FACE.names, jaw_and_lips(surface) @ dynamics[:EXPRESSION], strict=True))
    head, nowhere = surface.neutral[:LANDMARKS], np.zeros(2)
    now = head + surface.displacement(dynamics)[:LANDMARKS]
    read = dict(zip(expressions.NAMES, expressions.read(now, nowhere) - expressions.read(head, nowhere), strict=True))
    wide, lift = (told[f"right corner {k}"] + told[f"left corner {k}"] for k in ("aside", "lift"))
    found = [told["jaw drop"], told["lip opening"], told["lip height"], wide, lift / 2]
    wanted = [read[name] for name in ("jaw drop", "lip opening", "lip height", "mouth width", "corner lift")]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_who_errs_less_is_believed_more():
    one, other = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    np.testing.assert_allclose(_weighed(one, np.eye(2), other, np.eye(2)), [0.5, 1])
    np.testing.assert_allclose(_weighed(one, np.eye(2), other, np.diag([3.0, 1.0])), [0.25, 1])


@pytest.mark.parametrize("load", [load_upper_face, load_lower_face])
def test_a_file_of_something_else_is_refused(surface, tmp_path, load):
    for path in (tmp_path / "nothing.safetensors", assets.weights("surface.safetensors")):
        with pytest.raises(MissingWeights, match="restore it"):
            load(path, surface)
