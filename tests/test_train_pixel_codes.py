"""Learning codes from pixels: losses that know when they are zero, windows spoiled but still faces, runs that go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from vasa_core import assets
from vasa_core.encoders import FEATURES, OUTPUTS
from vasa_core.landmarks import LID_RINGS
from vasa_core.latents import EXPRESSION, GAZE, IDENTITY
from vasa_core.pixel_codes import LIKENESS, TOLD, WINDOW_PX, load_pixel_encoder
from vasa_core.surface import LANDMARKS, load_surface
from vasa_core.train import pixel_codes
from vasa_core.train.pixel_codes import (
    KEPT_PX,
    MIRROR,
    SHARES,
    Answers,
    Looks,
    Trainer,
    both_ways,
    calibrate,
    discriminants,
    equal_error,
    eyes_through_lids,
    figures,
    gathered,
    keep,
    learn_to_recognise,
    losses,
    measure,
    recognition,
    spoiled,
    unlike_others,
)

PEOPLE = 6


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def looks():
    """People of noise, two looks each."""
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 255, (2 * PEOPLE, KEPT_PX, KEPT_PX, 3), np.uint8)
    aligned = rng.standard_normal((2 * PEOPLE, FEATURES)).astype(np.float32)
    truth = 0.1 * rng.standard_normal((2 * PEOPLE, TOLD)).astype(np.float32)
    truth[1::2, OUTPUTS["identity"]] = truth[::2, OUTPUTS["identity"]]
    return Looks(windows, aligned, truth, np.repeat(np.arange(PEOPLE), 2), np.repeat(2 * np.arange(PEOPLE), 2))


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(pixel_codes, "PEOPLE", 2)


def test_losses_are_zero_at_the_truth_and_each_sees_its_own_fault(looks, surface):
    truth = torch.from_numpy(looks.truth).reshape(PEOPLE, 2, -1)
    doubt, shape = torch.zeros(PEOPLE, 2, len(OUTPUTS)), measure(surface)
    assert all(float(term) == pytest.approx(0, abs=1e-6) for term in losses(truth, doubt, truth, shape).values())
    other = truth.clone()
    other[:, 0, OUTPUTS["identity"]] += 0.1
    assert float(losses(other, doubt, truth, shape)["cross_identity"]) > 0.01
    alike = truth.clone()
    alike[..., OUTPUTS["turn"]] += 0.1  # both looks err alike: what changed is still told
    terms = losses(alike, doubt, truth, shape)
    assert float(terms["pairwise"]) == pytest.approx(0, abs=1e-5) and float(terms["reconstruction"]) > 1


def test_what_is_not_known_is_not_learned_from(looks, surface):
    truth = torch.from_numpy(looks.truth.copy()).reshape(PEOPLE, 2, -1)
    told = truth + 0.1
    truth[..., OUTPUTS["expression"]] = torch.nan
    told.requires_grad_(True)
    terms = losses(told, torch.zeros(PEOPLE, 2, len(OUTPUTS)), truth, measure(surface))
    terms["reconstruction"].backward()
    assert torch.isfinite(told.grad).all()
    assert (told.grad[..., OUTPUTS["expression"]] == 0).all() and (told.grad[..., OUTPUTS["turn"]] != 0).all()


def test_the_same_person_is_told_from_others_by_likeness():
    who = torch.nn.functional.normalize(torch.randn(4, LIKENESS, generator=torch.Generator().manual_seed(0)))
    alike = torch.stack([who, who], 1)
    everywhere, nowhere = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    others = torch.zeros(8, LIKENESS)
    right, wrong = (
        float(unlike_others(pairs, everywhere, others)) for pairs in (alike, torch.stack([who, who.flip(0)], 1))
    )
    assert right < 0.05 < 2 < wrong
    assert float(unlike_others(alike, nowhere, others)) == 0  # looks in one scene teach nothing
    stranger = torch.cat([others, who])  # somebody met before looks the same: the margin is lost
    assert float(unlike_others(alike, everywhere, stranger)) > np.log(2)
    hard = torch.stack([who, who.flip(0)], 1).requires_grad_(True)
    unlike_others(hard, everywhere, others).backward()
    assert ((hard.grad * hard.detach().flip(1)).sum(-1) < 0).all()  # a step nears the partner


def test_errors_are_equal_where_as_many_are_missed_as_mistaken():
    rng = np.random.default_rng(0)
    same, other = rng.normal(2, 1, 20000), rng.normal(0, 1, 20000)
    assert equal_error(same, other) == pytest.approx(0.1587, abs=0.01)  # the normal distribution beyond one spread
    assert equal_error(same + 20, other) == pytest.approx(0, abs=1e-3)


def test_people_are_told_apart_by_what_stays_with_them():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(200), 4)
    codes = rng.normal(size=(800, 6)) * (1, 1, 1, 1, 1, 3)  # how looks at one person differ
    codes += rng.normal(size=(200, 6))[person] * (4, 2, 0, 0, 0, 3)  # how people differ
    telling = np.abs(discriminants(codes, person, 3))
    assert (telling.argmax(0)[:2] == (0, 1)).all()  # the steadiest first, whatever its size
    assert telling[0, 0] == pytest.approx(2 * telling[1, 1], rel=0.3)  # each weighed by how well it tells
    assert telling[2:5].max() < 0.2 * telling[0, 0]


def test_likenesses_of_two_scenes_count_and_mirror_images_do_not():
    person, scene = np.repeat([0, 1, 2], 4), np.array([0, 0, 2, 2, 4, 4, 6, 6, 1, 1, 3, 3])
    likeness = np.eye(LIKENESS, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]]
    likeness[2:4, :3] = (0.8, 0.0, 0.6)  # the first one looks a little different elsewhere
    looks = Looks(np.zeros((12, 1, 1, 3), np.uint8), np.zeros((12, 1)), np.zeros((12, 1)), person, scene)
    found = recognition(likeness, looks)
    assert found["drift"] == pytest.approx(0, abs=1e-6) and found["equal_error"] < 0.01
    far = np.sqrt(0.4) / 2  # one of two people by sqrt(2 - 2 * 0.8), the other not at all
    assert found["drift_elsewhere"] == pytest.approx(far / np.sqrt(2)) and found["equal_error_elsewhere"] < 0.01


def test_scenes_of_one_identity_show_one_person(surface, tmp_path):
    rng, groups = np.random.default_rng(0), 4
    who = rng.standard_normal((groups, IDENTITY))
    who[1] = who[0]
    rows = [(group, side) for group in range(groups) for side in (0, 1)]
    points = np.zeros((len(rows), 478, 2), np.float32)
    points[:, :LANDMARKS] = surface.neutral[:LANDMARKS, :2] * (12, -12) + 256
    np.savez(
        tmp_path / "shard-000000.npz",
        window=np.zeros((len(rows), KEPT_PX, KEPT_PX, 3), np.uint8),
        landmarks=points,
        identity=np.array([who[group] + side for group, side in rows]),
        expression=np.zeros((len(rows), EXPRESSION)),
        turn=np.tile(np.eye(3), (len(rows), 1, 1)),
        gaze=np.zeros((len(rows), GAZE)),
        person=np.array([2 * group + side for group, side in rows]),
    )
    looks = gathered([tmp_path], surface)
    assert looks.person[0] == looks.person[2] and looks.person[1] == looks.person[3]
    assert len(np.unique(looks.person)) == 6 and len(np.unique(looks.scene)) == 8


def test_an_eye_is_seen_between_its_lids_or_through_them(surface):
    landmarks = np.zeros((478, 2), np.float32)
    landmarks[:LANDMARKS] = surface.neutral[:LANDMARKS, :2] * (16, -16) + 128
    part = np.ones((256, 256), np.uint8)
    x, y = landmarks[list(LID_RINGS[0])].mean(0).round().astype(int)
    part[y - 1 : y + 2, x - 3 : x + 4] = 5
    assert eyes_through_lids(part, landmarks) == 0
    part[y - 20 : y - 10, x - 5 : x + 5] = 6
    between = float(((landmarks[33] - landmarks[263]) ** 2).sum())
    assert eyes_through_lids(part, landmarks) == pytest.approx(100 / between, rel=1e-4)


def test_two_ways_of_looking_are_one_answer(looks, surface):
    encoder = load_pixel_encoder(assets.weights("pixels.safetensors"), surface)
    rng = np.random.default_rng(3)
    told = rng.standard_normal((3, TOLD)).astype(np.float32)
    told[1] = told[0]
    for name, matrix in zip(("identity", "expression"), encoder.mirrors, strict=True):
        told[1, OUTPUTS[name]] = told[0, OUTPUTS[name]] @ np.linalg.inv(matrix)
    told[1, OUTPUTS["turn"]] *= -MIRROR
    told[1, OUTPUTS["gaze"]] *= MIRROR[:2]
    answers = Answers(told, np.zeros((3, len(OUTPUTS)), np.float32), np.ones((3, LIKENESS), np.float32))
    seen = Looks(looks.windows[:3], looks.aligned[:3], looks.truth[:3], np.array([0, 1, 2]), np.array([4, 5, 6]))
    both, kept = both_ways(encoder, answers, seen)
    assert list(kept.scene) == [4]  # the third look's mirror image was not seen
    np.testing.assert_allclose(both.told[0], told[0], atol=2e-3)


def test_doubt_grows_with_the_error(looks, surface):
    truth = torch.from_numpy(looks.truth).reshape(PEOPLE, 2, -1)
    doubt = torch.zeros(PEOPLE, 2, len(OUTPUTS), requires_grad=True)
    losses(truth + 1.0, doubt, truth, measure(surface))["doubt"].backward()
    assert (doubt.grad < 0).all()  # a step down the gradient makes it doubt more


def test_spoiled_windows_are_smaller_different_and_repeatable(looks):
    smooth = np.full((KEPT_PX, KEPT_PX, 3), 120, np.uint8)
    smooth[40:100, 40:100] = (200, 150, 90)
    one, again, other = (spoiled(smooth, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (WINDOW_PX, WINDOW_PX, 3) and one.dtype == np.uint8
    assert (one == again).all() and (one != other).any()


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(looks, surface, few, tmp_path):
    whole = Trainer(looks, surface, 4, 3, SHARES)
    through = [whole.advance() for _ in range(2)]
    first = Trainer(looks, surface, 4, 3, SHARES)
    first.advance()
    first.save(tmp_path / "state.pt")
    second = Trainer(looks, surface, 4, 3, SHARES)
    second.load(tmp_path / "state.pt")
    assert second.step == 1
    assert second.advance() == pytest.approx(through[1], rel=1e-3)


def test_what_is_kept_is_what_was_learned(looks, surface, few, tmp_path):
    trainer = Trainer(looks, surface, 2, 0, SHARES)
    pixel_codes.learn(trainer, looks, tmp_path, minutes=5)
    assert trainer.step == 2 and (tmp_path / "state.pt").exists()
    answers = pixel_codes.asked(trainer.encoder(), looks)
    calibrate(trainer.encoder(), answers, looks)
    learn_to_recognise(trainer.encoder(), looks)
    keep(trainer.encoder(), tmp_path / "pixels.safetensors")
    loaded = load_pixel_encoder(tmp_path / "pixels.safetensors", surface)
    again = pixel_codes.asked(loaded, looks)
    np.testing.assert_allclose(again.told, answers.told, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(again.likeness, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(2 * again.doubt).mean(0), 1, atol=0.02)  # the usual doubt
    np.testing.assert_array_equal(loaded.network.look_covariance, trainer.averaged.look_covariance)
    report = figures(answers.told, looks, surface)
    assert json.loads(json.dumps(report)) == report and report["identity_drift_ratio"] > 0
    other = Trainer(looks, surface, 2, 0, SHARES)
    other.start_from(tmp_path / "pixels.safetensors")
    np.testing.assert_allclose(pixel_codes.asked(other.encoder(), looks).told, answers.told, atol=0.02)


def test_covariances_are_those_of_the_errors(surface):
    """Errors of known spread: codes by 0.2, and a turn that is always told twice as far."""
    rng, many = np.random.default_rng(1), 4000
    truth = np.zeros((many, TOLD), np.float32)
    turns = Rotation.from_rotvec(np.where(np.arange(many)[:, None] % 2, (0, 0.1, 0), 0.0))
    truth[:, OUTPUTS["turn"]] = turns.as_rotvec()
    told = truth + 0.2 * rng.standard_normal(truth.shape)
    told[:, OUTPUTS["turn"]] = 2 * truth[:, OUTPUTS["turn"]]
    windows, aligned = np.zeros((many, 1, 1, 3), np.uint8), np.zeros((many, FEATURES), np.float32)
    encoder = load_pixel_encoder(assets.weights("pixels.safetensors"), surface)
    answers = Answers(told.astype(np.float32), np.zeros((many, len(OUTPUTS)), np.float32), np.ones((many, LIKENESS)))
    calibrate(encoder, answers, Looks(windows, aligned, truth, np.arange(many) // 2, np.arange(many) // 2))
    look, change = (c.numpy() for c in (encoder.network.look_covariance, encoder.network.change_covariance))
    np.testing.assert_allclose(np.diag(look)[: IDENTITY + EXPRESSION], 0.04, rtol=0.15)
    np.testing.assert_allclose(np.diag(change)[3 : 3 + EXPRESSION], 0.08, rtol=0.2)
    assert np.diag(change)[1] == pytest.approx(0.01, rel=1e-3) and np.diag(change)[-GAZE:].min() > 0.06
