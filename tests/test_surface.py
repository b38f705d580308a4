"""The learned surface: what its codes promise, and the contact of lips and lids."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.contact import SEAM_SHARE, Contact
from vasa_core.decoder import boundary_loops, corner_paths, opening
from vasa_core.errors import MissingWeights
from vasa_core.latents import DYNAMICS, IDENTITY
from vasa_core.surface import (
    EYE_CORNERS,
    LANDMARKS,
    LIP_CORNERS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    between_landmarks,
    load_surface,
)

NEUTRAL_ID, NEUTRAL = np.zeros(IDENTITY, np.float32), np.zeros(DYNAMICS, np.float32)


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


def test_zero_codes_are_the_mean_face(surface):
    np.testing.assert_allclose(surface.vertices(NEUTRAL_ID, NEUTRAL), surface.neutral)


def test_identity_and_dynamics_do_not_leak_into_each_other(surface):
    rng = np.random.default_rng(0)
    who, what = rng.normal(size=IDENTITY).astype(np.float32), rng.normal(size=DYNAMICS).astype(np.float32)
    both = surface.vertices(who, what)
    apart = surface.vertices(who, NEUTRAL) + surface.vertices(NEUTRAL_ID, what) - surface.neutral
    np.testing.assert_allclose(both, apart, atol=1e-3)


def test_named_weights_do_what_their_names_say(surface):
    moved = {
        name: surface.displacement(surface.dynamics_from_weights({name: 1.0})) for name in ("jawOpen", "eyeBlink_R")
    }
    assert moved["jawOpen"][17, 1] < -2, "the lower lip falls centimetres"
    assert abs(moved["jawOpen"][10]).max() < 0.2, "the forehead stays"
    assert moved["eyeBlink_R"][159, 1] < -0.6 and abs(moved["eyeBlink_R"][386, 1]) < 0.1, (
        "the subject's right eye is image left"
    )
    both = surface.dynamics_from_weights({"mouthSmile": 0.5})
    sides = surface.dynamics_from_weights({"mouthSmile_L": 0.5, "mouthSmile_R": 0.5})
    np.testing.assert_allclose(both, sides)
    with pytest.raises(KeyError):
        surface.dynamics_from_weights({"wiggleEars": 1.0})


def test_the_face_mesh_has_its_four_contours(surface):
    loops = boundary_loops(surface.triangles["face"])
    assert len(loops) == 4
    holes = {corner: next(loop for loop in loops if corner in loop) for corner in (33, 263, 78)}
    assert [len(holes[c]) for c in (33, 263, 78)] == [32, 32, 40]
    upper, lower = corner_paths(holes[78], *LIP_CORNERS, UPPER_LIP[4])
    assert len(upper) == len(lower) and set(UPPER_LIP) < set(upper.tolist()) and set(LOWER_LIP) < set(lower.tolist())
    assert {33, 133} == set(EYE_CORNERS[0])


def test_subdivided_vertices_lie_between_their_landmarks(surface):
    a, b = between_landmarks(surface)
    halves = surface.neutral[LANDMARKS : surface.parts["face"].stop]
    assert np.abs(halves - (surface.neutral[a] + surface.neutral[b]) / 2).max() < 0.35


@pytest.fixture(scope="module")
def contact(surface):
    face = surface.parts["face"]
    rest = surface.neutral[face].copy()
    rest[list(LOWER_LIP), 1] = rest[list(UPPER_LIP), 1]  # a portrait with closed lips
    return Contact(surface, rest), rest


def test_a_full_blink_shuts_the_lids_of_any_eye(surface, contact):
    correct, rest = contact
    moved = rest + correct(
        surface.displacement(surface.dynamics_from_weights({"eyeBlink": 1.0}))[surface.parts["face"]]
    )
    for uppers, lowers, corners in zip(UPPER_LIDS, LOWER_LIDS, EYE_CORNERS, strict=True):
        under = moved[[*lowers, *corners]]
        under = under[np.argsort(under[:, 0])]
        assert (moved[list(uppers), 1] <= np.interp(moved[list(uppers), 0], under[:, 0], under[:, 1]) - 0.02).all()


def test_a_shut_lower_lid_draws_tight_between_the_corners(surface, contact):
    correct, rest = contact
    moved = rest + correct(
        surface.displacement(surface.dynamics_from_weights({"eyeBlink": 1.0}))[surface.parts["face"]]
    )
    for lowers, corners in zip(LOWER_LIDS, EYE_CORNERS, strict=True):
        ends = rest[sorted(corners, key=lambda corner: rest[corner, 0])]
        line = np.interp(rest[list(lowers), 0], ends[:, 0], ends[:, 1])
        hung = line - rest[list(lowers), 1]
        np.testing.assert_allclose((line - moved[list(lowers), 1])[hung > 0], SEAM_SHARE * hung[hung > 0], atol=0.02)


def test_lips_never_pass_through_each_other(surface, contact):
    correct, rest = contact
    pressed = surface.displacement(surface.dynamics_from_weights({"mouthClose": 0.4}))[surface.parts["face"]]
    assert (pressed[list(LOWER_LIP), 1] - pressed[list(UPPER_LIP), 1]).max() > 0.1, "the bare bases cross the lips"
    moved = rest + correct(pressed)
    np.testing.assert_allclose(moved[list(UPPER_LIP), 1], moved[list(LOWER_LIP), 1], atol=1e-4)


def test_an_open_mouth_is_left_alone(surface, contact):
    correct, _ = contact
    opened = surface.displacement(surface.dynamics_from_weights({"jawOpen": 0.4}))[surface.parts["face"]]
    np.testing.assert_allclose(correct(opened), opened, atol=0.01)


def test_crossed_contours_enclose_nothing():
    points = np.array([[0, 5], [5, 6], [10, 5], [5, 4]], np.float32)  # the upper way passes below the lower one
    polygon = opening(points, np.array([0, 1, 2]), np.array([0, 3, 2]))
    assert np.ptp(polygon[:, 1]) == 0


def test_foreign_weights_are_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not weights")
    for path in (tmp_path / "x.safetensors", tmp_path / "missing.safetensors"):
        with pytest.raises(MissingWeights):
            load_surface(path)
