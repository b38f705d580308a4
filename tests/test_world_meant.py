"""Where landmarks are meant to be: a shift that was put in is found again, through turned heads, mistakes and noise."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy.spatial", reason="the training world needs scipy: pip install 'vasa_core[world]'")

from vasa_core.surface import LANDMARKS
from vasa_core.world.facekit import head_rotation
from vasa_core.world.head import shipped_head
from vasa_core.world.meant import Sighting, learned
from vasa_core.world.truth import bind_landmarks, canonical_landmarks, meant_landmarks, meeting

FREE = [k for k in range(LANDMARKS) if k not in meeting()]


def test_a_shift_is_found_again_and_meeting_contours_stay():
    rng = np.random.default_rng(3)
    shift = rng.normal(0, 0.2, (LANDMARKS, 3))
    seen = []
    for _ in range(120):
        rotation = head_rotation(*(float(a) for a in rng.uniform(-35, 35, 3)))
        slope = np.broadcast_to(rotation[:2] * ((1,), (-1,)), (LANDMARKS, 2, 3)).astype(np.float32)
        off = np.einsum("lpa,la->lp", slope, shift) + rng.normal(0, 0.05, (LANDMARKS, 2))
        off[rng.random(LANDMARKS) < 0.05] += 3  # one in twenty of the detector's answers are nonsense
        seen.append(Sighting(off=off.astype(np.float32), slope=slope, used=rng.random(LANDMARKS) < 0.8))
    found = learned(seen)
    assert np.median(np.linalg.norm(found - shift, axis=1)[FREE]) < 0.06
    assert not found[list(meeting())].any()


def test_the_table_we_ship_moves_landmarks_along_the_skin_and_no_contour_that_meets():
    kit = shipped_head()
    still, moved = (bind_landmarks(kit, places) for places in (canonical_landmarks(), meant_landmarks()))
    gap = np.linalg.norm(moved.on(kit.neutral) - still.on(kit.neutral), axis=1)
    assert gap[list(meeting())].max() < 0.01
    assert 0.05 < np.median(gap[FREE]) < 0.5 and gap.max() < 1.0
