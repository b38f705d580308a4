"""One dial from photograph to cartoon: 0 photographic, then painted, drawn, and 1 cartoon, in shading and proportions.

Proportions change through the head's own identity modes: we ask which coefficients come nearest to a head with larger
eyes, a smaller nose and mouth and a rounder outline, and move every person that way. So a stylised head is still a head
that the face model can make, and everything that is known of it (landmarks, expressions, closure) stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.facekit import FaceKit, Number, smoothstep
from vasa_core.world.people import Person
from vasa_core.world.proportions import built

DIAL = ((0.05, "photograph"), (0.30, "oil"), (0.45, "watercolour"), (0.6, "pencil"), (0.7, "charcoal"), (0.85, "ink"))
LAST = "cel"
IDENTITY_BOUND = 3.0  # standard deviations that the face model was made for
EXAGGERATION = 1.9  # the fit is a shy one: how much further a full cartoon goes the same way
RIDGE = 12.0  # how much a unit coefficient costs in the fit of proportions, cm squared


@dataclass(frozen=True, kw_only=True)
class Style:
    """How far from a photograph, in which finish (the dial's own when left out), with how broad a brush."""

    amount: Number = 0.0
    finish: str = ""
    brush: Number = 1.0

    @property
    def hand(self) -> str:
        """The finish by name."""
        return self.finish or next((name for end, name in DIAL if self.amount <= end), LAST)

    @property
    def cover(self) -> float:
        """How much of the photograph the finish replaces, 0..1."""
        return float(smoothstep(0.05, 0.22, np.array([self.amount]))[0])


def random_style(rng: Generator, photographs: Number = 0.6) -> Style:
    """A photograph as often as given; else anything on the dial, in any finish near it."""
    if rng.random() < photographs:
        return Style(amount=0.0)
    amount = rng.uniform(0.1, 1.0)
    names = ("oil", "watercolour", "pencil", "charcoal") if amount < 0.6 else ("oil", "pencil", "ink", "cel", "cel")
    return Style(amount=amount, finish=str(rng.choice(names)), brush=float(np.exp(rng.uniform(-0.4, 0.9))))


def stylised(kit: FaceKit, person: Person, style: Style) -> Person:
    """The person in their own proportions and the style's; the same person at 0 when they have theirs already."""
    person = built(kit, person)
    if style.amount <= 0:
        return person
    a, count = float(style.amount) ** 1.5, len(person.identity)
    identity = np.clip(person.identity + a * EXAGGERATION * cartoon_modes(kit)[:count], -IDENTITY_BOUND, IDENTITY_BOUND)
    keep = 1 - 0.85 * a
    skin = person.skin
    return replace(
        person,
        identity=identity.astype(np.float32),
        skin=replace(
            skin,
            pores=skin.pores * keep,
            blotches=skin.blotches * keep,
            wrinkles=skin.wrinkles * (1 - 0.6 * a),
            eye_shade=skin.eye_shade * keep,
            lid_fold=skin.lid_fold * keep,
        ),
        eyes=replace(
            person.eyes,
            iris_radius=person.eyes.iris_radius * (1 + 0.16 * a),
            pupil=person.eyes.pupil * (1 + 0.2 * a),
            veins=person.eyes.veins * keep,
            lashes=min(1.0, person.eyes.lashes * (1 + 0.3 * a)),
        ),
    )


@lru_cache(maxsize=4)
def cartoon_modes(kit: FaceKit) -> Array:
    """Identity coefficients of the average head in cartoon proportions, as near as the modes come."""
    wanted, weight = cartoon_shift(kit)
    modes = kit.identity_modes.reshape(len(kit.identity_modes), -1, 3)
    root = np.sqrt(weight)[:, None]
    a = (modes * root).reshape(len(modes), -1)
    b = (wanted * root).ravel()
    solved = np.linalg.solve(a @ a.T + RIDGE * np.eye(len(a)), a @ b)
    return np.clip(solved, -IDENTITY_BOUND, IDENTITY_BOUND).astype(np.float32)


def cartoon_shift(kit: FaceKit) -> tuple[Array, Array]:
    """Where the average head's points should go in a cartoon, cm, and how much each point counts."""
    points = kit.neutral.astype(np.float64)
    shift, weight = np.zeros_like(points), np.where(kit.part == 0, 0.4, 0.05)
    for ids, growth, reach in (
        (range(36, 42), 0.45, 2.4),
        (range(42, 48), 0.45, 2.4),
        (range(29, 36), -0.30, 2.2),
        (range(48, 60), -0.12, 2.6),
    ):
        middle = kit.neutral[kit.landmarks[list(ids)]].mean(0)
        near = np.exp(-(((points - middle) / reach) ** 2).sum(1))[:, None]
        shift += growth * near * (points - middle)
        weight += 3.0 * near[:, 0] * (kit.part == 0)
    low = smoothstep(0.0, -8.0, points[:, 1]) * (points[:, 1] > -14)
    shift[:, 0] -= 0.14 * low * points[:, 0]
    shift[:, 1] += 0.12 * low * -points[:, 1]
    high = smoothstep(4.0, 11.0, points[:, 1])
    shift += 0.10 * high[:, None] * points * (1, 0.5, 0.5)
    return shift, weight
