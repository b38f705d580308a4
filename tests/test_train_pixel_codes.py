"""Learning codes from pixels: losses that know when they are zero, windows spoiled but still faces, runs that go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from vasa_core import assets
from vasa_core.encoders import FEATURES, OUTPUTS
from vasa_core.latents import EXPRESSION, GAZE, IDENTITY
from vasa_core.pixel_codes import TOLD, WINDOW_PX, load_pixel_encoder
from vasa_core.surface import load_surface
from vasa_core.train import pixel_codes
from vasa_core.train.pixel_codes import (
    KEPT_PX,
    SHARES,
    Looks,
    Trainer,
    calibrate,
    figures,
    keep,
    losses,
    measure,
    spoiled,
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
    return Looks(windows, aligned, truth, np.repeat(np.arange(PEOPLE), 2))


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
    told = pixel_codes.asked(trainer.encoder(), looks)
    calibrate(trainer.encoder(), told, looks)
    keep(trainer.encoder(), tmp_path / "pixels.safetensors")
    loaded = load_pixel_encoder(tmp_path / "pixels.safetensors", surface)
    np.testing.assert_allclose(pixel_codes.asked(loaded, looks), told, atol=0.02)
    np.testing.assert_array_equal(loaded.network.look_covariance, trainer.averaged.look_covariance)
    report = figures(told, looks, surface)
    assert json.loads(json.dumps(report)) == report and report["identity_drift_ratio"] > 0


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
    calibrate(encoder, told, Looks(windows, aligned, truth, np.arange(many) // 2))
    look, change = (c.numpy() for c in (encoder.network.look_covariance, encoder.network.change_covariance))
    np.testing.assert_allclose(np.diag(look)[: IDENTITY + EXPRESSION], 0.04, rtol=0.15)
    np.testing.assert_allclose(np.diag(change)[3 : 3 + EXPRESSION], 0.08, rtol=0.2)
    assert np.diag(change)[1] == pytest.approx(0.01, rel=1e-3) and np.diag(change)[-GAZE:].min() > 0.06
