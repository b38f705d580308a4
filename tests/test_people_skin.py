"""Skin, wrinkles and random people: which muscles fold which lines, and that all kinds of people come up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")

from vasa_core.world.darkroom import under_skin
from vasa_core.world.facekit import FaceKit, data_folder
from vasa_core.world.people import STUDIO, Camera, Look, Skin, random_person, skin_color
from vasa_core.world.style import IDENTITY_BOUND, Style, cartoon_modes, stylised
from vasa_core.world.wrinkles import FOLDS, KINDS, line_depths, uniforms

PACK = data_folder() / "facekit" / "ict_face.npz"
needs_data = pytest.mark.skipif(not PACK.exists(), reason=f"VASA_DATA: no head model at {PACK}")
YOUNG = Skin(darkness=0.2, color=skin_color(0.2), wrinkles=0.0, lines=0.5)
OLD = replace(YOUNG, wrinkles=1.0, lines=1.0, sag=0.8)


@pytest.mark.parametrize(
    ("mode", "deeper", "same"),
    [
        ("browInnerUp", "forehead", "chin"),
        ("browDown", "frown", "smile"),
        ("mouthSmile", "smile", "frown"),
        ("eyeSquint", "crow", "chin"),
        ("noseSneer", "nose", "chin"),
        ("mouthShrugLower", "chin", "forehead"),
    ],
)
def test_a_muscle_deepens_its_own_lines_and_not_those_elsewhere(mode, deeper, same):
    rest, moved = line_depths(YOUNG, {}), line_depths(YOUNG, {mode: 1.0})
    assert min(moved[deeper]) > max(rest[deeper]) + 0.1
    assert moved[same] == rest[same]


def test_one_raised_brow_furrows_one_half_of_the_forehead():
    left, right = line_depths(YOUNG, {"browOuterUp_L": 1.0})["forehead"]
    assert left > 0.1 and right == 0.0


def test_lines_stay_in_an_old_face_at_rest_and_not_in_a_young_one():
    assert max(max(depth) for depth in line_depths(YOUNG, {}).values()) == 0.0
    assert min(line_depths(OLD, {})["forehead"]) > 0.5


def test_a_face_that_never_folds_its_skin_has_no_lines_of_expression():
    flat = replace(YOUNG, lines=0.0)
    assert all(depth == (0.0, 0.0) for depth in line_depths(flat, {"browInnerUp": 1.0, "mouthSmile": 1.0}).values())


@needs_data
def test_every_mode_that_folds_a_line_is_one_of_the_head_model():
    kit = FaceKit()
    for mode in {mode for modes in FOLDS.values() for mode in modes}:
        kit.expression_weights({mode: 1.0})  # refuses an unknown name


def test_the_shader_gets_a_pair_for_every_kind_of_line():
    assert uniforms(OLD, {})["uLines"].shape == (len(KINDS), 2)


@needs_data
def test_a_brow_raise_darkens_the_forehead_in_the_picture_and_leaves_the_chin():
    """The same geometry drawn with and without lines of expression: only the forehead differs."""
    from vasa_core.world.renderer import Renderer

    try:
        renderer = Renderer(96, texture=512)
    except Exception as reason:  # moderngl raises a bare Exception where there is no EGL
        pytest.skip(f"no OpenGL here: {reason}")
    person = random_person(5)
    person = replace(person, hair=replace(person.hair, style="bald"), beard=None, skin=replace(YOUNG, stubble=0.0))
    look, camera, pictures = Look(expression={"browInnerUp": 1.0, "browOuterUp": 1.0}), Camera(view=24, y=1.5), []
    for lines in (0.0, 1.0):
        figure = renderer.dress(replace(person, skin=replace(person.skin, lines=lines)))
        shot = renderer.shoot(figure, look, STUDIO, camera, samples=1)
        pictures.append(under_skin(shot))
        figure.release()
    change = np.abs(pictures[1] - pictures[0]).sum(-1)
    brows, chin = shot.landmarks[17:27, 1].min(), shot.landmarks[57, 1]
    left, right = int(shot.landmarks[18, 0]), int(shot.landmarks[25, 0])
    above, below = change[int(brows) - 14 : int(brows) - 3, left:right], change[int(chin) + 3 :, left:right]
    assert above.mean() > 0.01 and above.mean() > 20 * below.mean()


def test_the_same_seed_is_the_same_person():
    one, two = random_person(12), random_person(12)
    assert np.array_equal(one.identity, two.identity) and one.skin == two.skin and one.age == two.age


def test_ages_and_tones_come_up_evenly():
    crowd = [random_person(seed) for seed in range(400)]
    for values in ([p.age for p in crowd], [p.skin.darkness for p in crowd]):
        counts = np.histogram(values, 5, (0, 1))[0]
        assert counts.min() > 50  # 80 each on average; 50 is 3.8 standard deviations below


def test_old_people_have_deeper_lines_than_young_ones():
    crowd = [random_person(seed) for seed in range(200)]
    old, young = ([p.skin.wrinkles for p in crowd if (p.age > 0.7) == is_old] for is_old in (True, False))
    assert np.mean(old) > 0.4 > 0.25 > np.mean(young)


def test_identities_stay_within_what_the_face_model_was_made_for():
    assert max(np.abs(random_person(seed).identity).max() for seed in range(50)) < 2.2001


@needs_data
def test_the_style_dial_at_zero_leaves_the_person_alone():
    person = replace(random_person(1), build=None)
    assert stylised(FaceKit(), person, Style(amount=0.0)) is person


@needs_data
def test_a_cartoon_has_larger_eyes_and_stays_a_head_that_the_model_can_make():
    kit, person = FaceKit(), random_person(1)

    def opening(identity):
        head = kit.identity(identity)
        upper, lower = head[kit.landmarks[[37, 38, 43, 44]]], head[kit.landmarks[[41, 40, 47, 46]]]
        return float((upper - lower)[:, 1].mean())

    drawn = [stylised(kit, person, Style(amount=amount)).identity for amount in (0.0, 0.5, 1.0)]
    openings = [opening(identity) for identity in drawn]
    assert openings[0] < openings[1] < openings[2] and openings[2] > 1.15 * openings[0]
    assert np.abs(drawn[2]).max() <= IDENTITY_BOUND and np.abs(cartoon_modes(kit)).max() <= IDENTITY_BOUND
