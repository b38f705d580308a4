"""Training of the face decoder: pairs that lie where they must, mirrors that undo themselves, runs that resume."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.errors import BadOption, BadPortrait
from vasa_core.landmarks import crop_face
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.sight import COARSE, FINE
from vasa_core.surface import LANDMARKS, load_surface
from vasa_core.train import face
from vasa_core.train.pairs import Pairs, load_pairs, met, pairs_of, save_pairs, smooth_error
from vasa_core.world.shards import Group

SIZE = 256


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def group():
    """Two equal frames of a sitter of ours, with the landmarks that are found in them."""
    picture = cv2.resize(load_picture(assets.portraits()[0]), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    found = crop_face(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    back = cv2.invertAffineTransform(found.crop_from_picture)
    landmarks = (found.landmarks @ back[:, :2].T + back[:, 2] + 0.5) / 2
    empty = {name: np.zeros((2, 1), np.float32) for name in Group.__dataclass_fields__}
    values = {
        "key": "0",
        "picture": np.stack([picture] * 2),
        "alpha": np.full((2, SIZE, SIZE), 255, np.uint8),
        "landmarks": np.stack([landmarks] * 2).astype(np.float32),
        "drawn": {},
    }
    made = object.__new__(Group)
    for name, value in (empty | values).items():
        object.__setattr__(made, name, value)
    return made


@pytest.fixture(scope="module")
def pairs(group, surface) -> Pairs:
    return pairs_of(group, 0, [0, 1], surface)


def test_a_portrait_driven_to_its_own_picture_is_that_picture(pairs):
    for k in range(2):
        error = pairs.warped[k].astype(np.float32) - pairs.truth[k]
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 34


def test_the_driven_surface_meets_the_landmarks(group, surface):
    portrait = prepare(cv2.resize(group.picture[0], (512, 512)), surface)
    pose = Decoder(portrait, surface).pose(np.zeros(6, np.float32), np.zeros(50, np.float32))
    aim = pose.projected[:LANDMARKS, :2] + np.array([3.0, -2.0], np.float32)
    assert np.abs(met(pose, aim, surface).projected[:LANDMARKS, :2] - aim).max() < 1e-3
    with pytest.raises(BadPortrait, match="leave this pair out"):
        met(pose, aim + 40, surface)


def test_without_mediapipe_the_truth_is_spoiled_as_mediapipe_would(group, surface):
    error = np.stack([smooth_error(surface, np.random.default_rng(k)) for k in range(200)])
    assert np.linalg.norm(error, axis=2).mean() == pytest.approx(0.02, abs=0.006)
    upper, lower = error[:, 13], error[:, 14]  # lips that meet
    assert np.abs(upper - lower).mean() < 0.1 * np.abs(upper).mean()
    pairs = pairs_of(group, 0, [0, 1], surface, np.random.default_rng(1))
    difference = pairs.warped[1].astype(np.float32) - pairs.truth[1]
    assert 10 * np.log10(255**2 / np.mean(difference**2)) > 30


def test_pairs_come_back_from_their_file(pairs, tmp_path):
    save_pairs(pairs, tmp_path / "a.npz")
    again = load_pairs(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.warped, pairs.warped)
    assert np.abs(again.coarse - np.clip(pairs.coarse, -1.27, 1.27)).max() <= 0.0051


def test_a_mirror_undoes_itself_and_keeps_the_geometry(pairs):
    drawn = face.whole(pairs)
    twice = face.mirrored(face.mirrored(drawn))
    for name, value in drawn.items():
        np.testing.assert_allclose(twice[name], value, atol=1e-6)
    assert [COARSE[k] for k in face.MIRRORED_COARSE] == ["moved x", "canonical x", "normal x", "portrait's normal x"]
    assert FINE[1:5] == ("face", "shown", "mouth", "eyes")
    turned = np.linalg.det(face.mirrored(drawn)["rotation"])
    assert turned == pytest.approx(1, abs=1e-4)


def test_a_run_that_was_stopped_goes_on_where_it_was(pairs, tmp_path):
    recipe = face.Recipe(portraits=1, most_steps=4, adversarial_from=0.4)
    drawn = [face.sample(pairs, np.random.default_rng(k), recipe, 64) for k in range(4)]
    batches = [face.batch_of([one]) for one in drawn]
    torch.set_num_threads(1)
    straight, first, second = (face.Trainer(recipe) for _ in range(3))
    for batch in batches:
        straight.step(batch)
    for batch in batches[:2]:
        first.step(batch)
    first.save(tmp_path)
    second.resume(tmp_path)
    for batch in batches[2:]:
        second.step(batch)
    assert second.steps == 4
    for one, other in zip(straight.networks.parameters(), second.networks.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_new_run_begins_with_given_weights_and_a_stopped_one_with_its_own(tmp_path):
    trainer, given = face.Trainer(face.Recipe(seed=1)), tmp_path / "given.safetensors"
    face.save_networks(face.Trainer(face.Recipe(seed=2)).networks, given)
    trainer.resume(tmp_path, given)
    other = face.Trainer(face.Recipe(seed=2))
    for mine, theirs in zip(trainer.networks.parameters(), other.networks.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-2)  # kept in half precision
    third = face.Trainer(face.Recipe(seed=3))
    third.save(tmp_path)
    again = face.Trainer(face.Recipe(seed=4))
    again.resume(tmp_path, given)
    for mine, theirs in zip(again.networks.parameters(), third.networks.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_without_a_volume_the_volume_is_not_asked(pairs):
    recipe = face.Recipe(volume=False)
    torch.manual_seed(0)
    networks = face.FaceNetworks()
    batch = face.batch_of([face.whole(pairs)])
    with torch.no_grad():
        before = face.frame_of(networks, batch, recipe)[0]
        networks.appearance.encode[1].weight.mul_(3)
        after = face.frame_of(networks, batch, recipe)[0]
        differs = face.frame_of(networks, batch, replace(recipe, volume=True))[0]
    torch.testing.assert_close(before, after)
    assert (before - differs).abs().max() > 0


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(BadOption, match=r"train\.pairs"):
        face.train(tmp_path, tmp_path, tmp_path / "out", face.Recipe())
