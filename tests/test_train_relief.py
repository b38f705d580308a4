"""Learning how hair stands out: truth from a scene whose every number is known, and a run that goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vasa_core.relief import SIDE_PX
from vasa_core.train.relief import (
    followed,
    head_moved,
    judged,
    learn,
    loss_of,
    off,
    sample,
    seen_in_world,
    turned_deg,
)
from vasa_core.world.shards import Group

SIZE = 32
AWAY_CM, FOCAL_PX = 100.0, 200.0
SHIFT_CM = np.array([2.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def group():
    """A wall before a camera: its left half (part 1) goes with the head, two centimetres to the right, the other half
    (part 2) stays; the wall's places on the neutral head are those of the first frame."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    world = (
        np.stack([(columns - SIZE / 2), (rows - SIZE / 2), 0 * rows], -1) * AWAY_CM / FOCAL_PX * np.array([1, -1, 1])
    )
    matrix = np.array([[FOCAL_PX, 0, -SIZE / 2, 0], [0, -FOCAL_PX, -SIZE / 2, 0], [0, 0, -1, 0.0]])
    matrix[:, 3] = (SIZE / 2 * AWAY_CM, SIZE / 2 * AWAY_CM, AWAY_CM)
    part = np.where(columns < SIZE / 2, 1, 2).astype(np.uint8)
    moved = world - SHIFT_CM  # what is seen at each pixel of the second frame, if it goes with the head
    canonical = np.stack([world, np.where((part == 1)[..., None], moved, world)]).astype(np.float32)
    parts = np.stack([part, part])
    parts[1, :, : int(SHIFT_CM[0] * FOCAL_PX / AWAY_CM)] = 0  # behind the left half nobody comes into view
    bones = np.random.default_rng(0).normal(size=(478, 3)) * 5
    zero = np.zeros
    return Group(
        key="0", picture=zero((2, SIZE, SIZE, 3), np.uint8), alpha=zero((2, SIZE, SIZE), np.uint8), part=parts,
        canonical=canonical, depth=np.full((2, SIZE, SIZE), AWAY_CM, np.float32),
        normals=zero((2, SIZE, SIZE, 3), np.float32), landmarks=zero((2, 478, 2), np.float32),
        landmarks_cm=np.stack([bones, bones + SHIFT_CM]).astype(np.float32),
        landmarks_head=zero((2, 478, 3), np.float32),
        visible=np.ones((2, 478), bool), landmarks68=zero((2, 68, 2), np.float32), pose=zero((2, 3), np.float32),
        gaze=zero((2, 2), np.float32), expression=zero((2, 1), np.float32),
        pixel_from_world=np.stack([matrix, matrix]).astype(np.float32), irises=zero((2, 2, 2), np.float32),
        identity=zero(1, np.float32), light=zero(1, np.float32), camera=zero(5, np.float32), drawn={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """Noise to learn from, whose truth is two centimetres nearer and half as firm as believed."""
    rng, side = np.random.default_rng(0), (30, SIDE_PX, SIDE_PX)
    depth, weight = rng.normal(size=side), np.full(side, 0.8)
    return {
        "crop": rng.integers(0, 255, (*side, 3), np.uint8), "matte": rng.random(side), "depth": depth, "weight": weight,
        "face": np.zeros(side), "true depth": depth + 2, "follows": weight / 2,
    }  # fmt: skip


def test_places_in_the_world_are_where_the_wall_is(group):
    world = seen_in_world(group, 0, np.array([0, 16, 31]), np.array([0, 16, 5]))
    np.testing.assert_allclose(world, [[-8, 8, 0], [0, 0, 0], [7.5, 5.5, 0]], atol=1e-4)


def test_a_head_that_was_shifted_did_not_turn(group):
    turn, shift = head_moved(group, 0, 1)
    np.testing.assert_allclose(turn, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(shift, SHIFT_CM, atol=1e-5)
    assert turned_deg(group, 0, 1) == pytest.approx(0, abs=0.1)


def test_what_goes_with_the_head_follows_wholly_and_what_stays_not_at_all(group):
    rows, columns = (values.ravel() for values in np.mgrid[4:28:4, 2:30:4])
    world = seen_in_world(group, 0, columns, rows)
    part = group.part[0][rows, columns]
    share = followed(group, 0, 1, world, group.canonical[0][rows, columns].astype(float), part)
    seen_again = (part == 2) | (columns < SIZE / 2 - 4)
    np.testing.assert_allclose(share[(part == 1) & seen_again], 1, atol=1e-3)
    np.testing.assert_allclose(share[part == 2], 0, atol=1e-3)
    assert np.isnan(share[(part == 1) & ~seen_again]).all()  # it went behind the other half


def test_errors_count_outside_the_face_and_where_truth_is_known(rows):
    planes, truth = (torch.from_numpy(values)[None] for values in sample(rows, 0, None))
    deep, firm, counts = off(torch.zeros(1, 2, SIDE_PX, SIDE_PX), planes, truth)
    assert float(deep.mean()) == pytest.approx(-2, abs=1e-3) and float(firm.mean()) == pytest.approx(0.4, abs=1e-3)
    assert (counts == 1).all()
    planes[:, 6] = 1  # all face
    truth[:, 0, 0] = torch.nan
    assert float(off(torch.zeros(1, 2, SIDE_PX, SIDE_PX), planes, truth)[2].sum()) == 0
    right = torch.stack([torch.full((1, SIDE_PX, SIDE_PX), 2.0), torch.full((1, SIDE_PX, SIDE_PX), -0.4)], 1)
    planes, truth = (torch.from_numpy(values)[None] for values in sample(rows, 0, None))
    assert [float(loss) for loss in loss_of(right, planes, truth)] == pytest.approx([0, 0], abs=1e-3)


def test_a_run_learns_goes_on_and_keeps_a_log(rows, tmp_path):
    before = judged(learn(rows, rows, tmp_path / "none", 0, 1.0, 0), rows)
    learn(rows, rows, tmp_path, 3, 1.0, 0)
    network = learn(rows, rows, tmp_path, 6, 1.0, 0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert before["depth_cm"] == before["depth_cm_before"] == pytest.approx(2, abs=1e-2)
    assert judged(network, rows)["depth_cm"] < before["depth_cm"]
