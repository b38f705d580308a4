"""Faces get the proportions that were asked for, stay faces of the model, and get them once."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core.world.facekit import FaceKit
from vasa_core.world.head import load_head
from vasa_core.world.people import IDENTITY_LIMIT, Build, random_person
from vasa_core.world.proportions import MEASURES, TOLERANCE, built, measured, towards, wanted
from vasa_core.world.style import Style, stylised
from vasa_core.world.truth import bind_landmarks, canonical_landmarks

NAMES = list(MEASURES)


@pytest.fixture(scope="module")
def kit() -> FaceKit:
    return load_head("shipped")


def lengths(kit: FaceKit, build: Build) -> np.ndarray:
    """Logarithms of all measures on the mean face of a build, in cm, by the way over the mesh."""
    return measured(bind_landmarks(kit, canonical_landmarks()).on(kit.identity(towards(kit, build).astype(np.float32))))


def test_measures_are_lengths_of_the_average_head():
    width = measured(canonical_landmarks())[NAMES.index("width of the mouth")]
    assert np.exp(width) == pytest.approx(np.linalg.norm(np.subtract(*canonical_landmarks()[[61, 291]])), rel=1e-6)


def test_women_differ_from_men_as_the_table_says(kit):
    change = lengths(kit, Build(feminine=1.0)) - lengths(kit, Build())
    asked = wanted(kit)[0]
    assert np.abs(change - asked).max() < 3 * TOLERANCE and np.corrcoef(change, asked)[0, 1] > 0.9
    assert change[NAMES.index("from nose to chin")] < -0.06 < 0 < change[NAMES.index("upper lip")]


def test_young_faces_have_larger_eyes_and_a_smaller_chin(kit):
    change = lengths(kit, Build(youth=0.5)) - lengths(kit, Build())
    assert change[NAMES.index("opening of an eye")] > 0.06
    assert change[NAMES.index("from nose to chin")] < -0.02 > change[NAMES.index("width of the mouth")]


def test_a_person_is_built_once_and_within_what_the_model_was_made_for(kit):
    for seed in range(6):
        person = built(kit, random_person(seed))
        assert person.build is None and built(kit, person) is person
        assert np.abs(person.identity).max() <= np.float32(IDENTITY_LIMIT)
        assert np.array_equal(person.identity, stylised(kit, random_person(seed), Style()).identity)


def test_sitters_without_a_build_stay_as_they_are(kit):
    from vasa_core.world.cast import cast

    sitter = cast()["mei"].person
    assert sitter.build is None and built(kit, sitter) is sitter


def test_builds_come_up_evenly():
    builds = [random_person(seed).build for seed in range(200)]
    women, men = (np.mean([b.feminine == value for b in builds]) for value in (1.0, 0.0))
    assert 0.2 < women < 0.4 and 0.2 < men < 0.4 and 0.25 < np.mean([b.youth for b in builds]) < 0.35
