"""Hair, hats and necks in depth: a network that knows nothing changes nothing, one that learned brings hair nearer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vasa_core import assets
from vasa_core.errors import MissingWeights
from vasa_core.evaluate import pixels
from vasa_core.evaluate.held_out import CALM, TURNED, load_sitters
from vasa_core.evaluate.subjects import Watcher, seat
from vasa_core.relief import DEPTH_CM, SIDE_PX, Relief, load_relief, planes_of, relieved
from vasa_core.surface import load_surface

HAIR = 10
"""Its number among `world.renderer.PART_NAMES`."""


@pytest.fixture(scope="module")
def maps():
    """A crop and what might be believed of it."""
    rng = np.random.default_rng(0)
    smooth = [cv2.GaussianBlur(rng.random((512, 512), np.float32), (0, 0), 20) for _ in range(3)]
    crop = rng.integers(0, 255, (512, 512, 3), np.uint8)
    return crop, smooth[0], 10 * smooth[1], smooth[2], smooth[0] > 0.5


def test_what_knows_nothing_changes_nothing(maps):
    depth, weight = relieved(Relief().eval(), *maps)
    np.testing.assert_array_equal(depth, maps[2])
    np.testing.assert_array_equal(weight, np.clip(maps[3], 0, 1))


def test_what_says_a_constant_moves_all_by_it(maps):
    network = Relief().eval()
    with torch.no_grad():
        network.said.bias[:] = torch.tensor([0.5, 2.0])
    depth, weight = relieved(network, *maps)
    np.testing.assert_allclose(depth - maps[2], 0.5 * DEPTH_CM, atol=1e-4)
    assert (weight == 1).all()  # no more than whole


def test_planes_are_told_in_their_units():
    side = (SIDE_PX, SIDE_PX)
    half, deep = np.full(side, 0.5, np.float32), np.full(side, DEPTH_CM, np.float32)
    told = planes_of(np.full((*side, 3), 255, np.float32), half, deep, half, 0 * half)
    assert told.shape == (9, *side)
    assert [float(plane.mean()) for plane in told[:7]] == pytest.approx([1, 1, 1, 0, 1, 0, -1])
    assert told[7, 0, 0] == -1 and told[7, 0, -1] == 1 and told[8, 0, 0] == -1 and told[8, -1, 0] == 1


def test_weights_that_are_not_there_or_not_ours_are_named(tmp_path):
    with pytest.raises(MissingWeights, match="relief"):
        load_relief(tmp_path / "none.safetensors")
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(MissingWeights, match="relief"):
        load_relief(tmp_path / "other.safetensors")


def test_turned_hair_is_fetched_from_nearer_its_true_place(monkeypatch):
    """Held-out people whose hair both frames show: with the relief it goes with the head as it truly does."""
    surface, watch = load_surface(assets.weights("surface.safetensors")), Watcher()
    off = {}
    for name, known in (("flat", None), ("relief", load_relief(assets.weights("relief.safetensors")))):
        monkeypatch.setattr("vasa_core.evaluate.subjects.relief", lambda known=known: known)
        off[name] = []
        for sitter in load_sitters()[:2]:
            one = seat(sitter, surface, watch)
            places, look = pixels.same_skin(one.grids[TURNED], one.grids[CALM], HAIR), one.looks[TURNED]
            inside = ((places.target > 2) & (places.target < 509)).all(1)
            decoder = one.subject.decoder
            fetched = pixels.sampled(decoder.warped(decoder.pose(*look.motion)).backward, places.target[inside])
            off[name].append(np.median(np.linalg.norm(fetched - places.source[inside], axis=1)))
    assert np.mean(off["relief"]) < 0.9 * np.mean(off["flat"])
