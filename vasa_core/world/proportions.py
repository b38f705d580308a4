"""Proportions of faces: women's beside men's, and what makes a face look young, as identities of the face model.

A face model is a normal distribution of faces. Of all faces in it that have certain measures, the mean one is taken:
what a face with a woman's lower jaw, mouth and eyes most likely looks like everywhere else. So people keep to what the
model was made for, and every landmark and expression stays exact.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from vasa_core.world.facekit import FaceKit
from vasa_core.world.people import IDENTITY_LIMIT, Build, Person
from vasa_core.world.truth import bind_landmarks, canonical_landmarks

Pairs = tuple[tuple[int, int], ...]
MEASURES: dict[str, tuple[Pairs, float, float, float]] = {  # landmarks, men's and women's mean (mm), young over grown
    "between the outer corners of the eyes": (((33, 263),), 91.2, 87.8, 1.0),
    "between the inner corners of the eyes": (((133, 362),), 33.3, 31.8, 1.0),
    "length of an eye": (((33, 133), (362, 263)), 31.3, 30.7, 1.06),
    "opening of an eye": (((159, 145), (386, 374)), 10.8, 10.9, 1.20),
    "width of the nose": (((64, 294),), 34.9, 31.4, 0.92),
    "height of the nose": (((168, 2),), 54.8, 50.6, 0.95),
    "width of the mouth": (((61, 291),), 54.5, 50.2, 0.90),
    "upper lip": (((0, 13),), 8.0, 8.7, 1.0),
    "lower lip": (((14, 17),), 9.3, 9.4, 1.0),
    "from nose to chin": (((2, 152),), 72.6, 64.3, 0.90),
    "width of the face": (((234, 454),), 139.1, 130.0, 1.0),
    "width of the jaw": (((172, 397),), 105.6, 94.5, 0.94),
}
"""Means of North American adults after Farkas, *Anthropometry of the Head and Face* (1994); where a young face differs
after Berry and McArthur (*Psychological Bulletin* 100, 1986): large eyes, a small nose, mouth and chin."""

SMALL_EYES = {"opening of an eye": 1.0, "length of an eye": 0.3}
"""Where the average head lies off both means, and what share of it is made good: its landmarks end before the inner
corner does, so its eyes are not quite as short as they measure."""

TOLERANCE = 0.02  # how far measures may miss (standard deviation of their logarithm)
STEP = 1e-3  # standard deviations, for derivatives


def built(kit: FaceKit, person: Person) -> Person:
    """The person with the identity that their build asks for; one without a build stays."""
    if person.build is None:
        return person
    identity = person.identity + towards(kit, person.build)[: len(person.identity)]
    identity = np.clip(identity, -IDENTITY_LIMIT, IDENTITY_LIMIT).astype(np.float32)
    return replace(person, identity=identity, build=None)


def towards(kit: FaceKit, build: Build) -> Float[Array, " mode"]:
    """Identity coefficients of the mean face of this build."""
    women, young, larger_eyes = wanted(kit)
    return _most_likely(kit) @ (build.feminine * women + build.youth * young + larger_eyes)


def wanted(kit: FaceKit) -> Float[Array, "wish=3 measure"]:
    """Logarithms of how measures change: from men to women, from grown to young, from the average head to people."""
    men, women, young = (np.array([row[i] for row in MEASURES.values()]) for i in (1, 2, 3))
    average = 10 * np.exp(measured(bind_landmarks(kit, canonical_landmarks()).on(kit.neutral)))  # mm
    larger_eyes = np.array([SMALL_EYES.get(name, 0.0) for name in MEASURES]) * np.log(men / average)
    return np.stack([np.log(women / men), np.log(young), larger_eyes])


def measured(landmarks: Float[Array, "landmark 3"]) -> Float[Array, " measure"]:
    """Logarithm of each of MEASURES, the mean of both sides where there are two (in the landmarks' own unit)."""
    lengths = [np.mean([np.linalg.norm(landmarks[a] - landmarks[b]) for a, b in row[0]]) for row in MEASURES.values()]
    return np.log(lengths)


@lru_cache(maxsize=4)
def _most_likely(kit: FaceKit) -> Float[Array, "mode measure"]:
    """Takes changes of the measures to the mean of all identities that have them (linear about the average head)."""
    binding = bind_landmarks(kit, canonical_landmarks())
    neutral = binding.on(kit.neutral).astype(np.float64)
    modes = [binding.on(mode.reshape(-1, 3)) for mode in kit.identity_modes]
    slope = np.stack([(measured(neutral + STEP * m) - measured(neutral - STEP * m)) / (2 * STEP) for m in modes])
    spread = slope.T @ slope + TOLERANCE**2 * np.eye(len(MEASURES))
    return np.linalg.solve(spread, slope.T).T
