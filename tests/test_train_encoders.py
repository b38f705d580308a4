"""Learning of single looks: losses that know when they are zero, a network that runs alike in training and in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.encoders import FEATURES, OUTPUTS
from vasa_core.latents import EXPRESSION, IDENTITY
from vasa_core.surface import load_surface
from vasa_core.train import encoders
from vasa_core.train.encoders import Looks, Network, figures, losses, posed, same_expression, trained

WIDTH = IDENTITY + EXPRESSION + 5


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def looks(surface):
    """Forty people who never were, two looks each, seen without error."""
    rng = np.random.default_rng(0)
    truth = np.concatenate([rng.normal(0, 0.8, (80, IDENTITY)), rng.normal(0, 0.1, (80, EXPRESSION + 5))], 1)
    zero = np.zeros((80, FEATURES))
    start = Looks(zero, zero, truth, np.zeros(80), np.zeros((80, 478, 2), np.float32), np.repeat(np.arange(40), 2))
    aligned, told = posed(start, 40, surface, rng)
    told[:, OUTPUTS["gaze"]] = 0
    return Looks(aligned, 0 * aligned, told, np.zeros(80), start.crops, start.person)


def test_pairs_are_two_looks_at_one_person(looks):
    pairs = looks.pairs(200, np.random.default_rng(1))
    assert (looks.person[pairs[:, 0]] == looks.person[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all() and len(np.unique(looks.person[pairs])) > 30


def test_posed_people_come_in_pairs_and_share_their_expressions(looks, surface):
    _, truth = posed(looks, 6, surface, np.random.default_rng(2))
    who, what = truth[:, OUTPUTS["identity"]].reshape(6, 2, -1), truth[:, OUTPUTS["expression"]].reshape(3, 2, 2, -1)
    assert (who[:, 0] == who[:, 1]).all() and not (who[0] == who[1]).any()
    assert (what[:, 0] == what[:, 1]).all() and not (what[:, :, 0] == what[:, :, 1]).all()


def test_losses_are_zero_at_the_truth_and_each_sees_its_own_fault(looks):
    shape = torch.eye(IDENTITY + EXPRESSION)
    one = torch.tensor(looks.truth[:2], dtype=torch.float32)
    truth = torch.stack([one[:1].expand(2, -1), one[1:].expand(2, -1)])  # two people, each seen twice
    assert all(float(term) == pytest.approx(0, abs=1e-9) for term in losses(truth, truth, shape).values())
    other = truth.clone()
    other[:, 0, OUTPUTS["identity"]] += 0.1
    assert float(losses(other, truth, shape)["cross_identity"]) > 0.1
    both = truth.clone()
    both[..., OUTPUTS["identity"]] += 0.1
    wrong = losses(both, truth, shape)
    assert float(wrong["cross_identity"]) == pytest.approx(0, abs=1e-9) and float(wrong["pairwise"]) > 0.1
    acting = torch.zeros(4, 2, WIDTH)
    assert float(same_expression(acting, shape)) == 0
    acting[0, 0, OUTPUTS["expression"]] = 1
    assert float(same_expression(acting, shape)) > 0


def test_the_network_says_the_same_in_training_and_in_use(looks, surface, monkeypatch):
    monkeypatch.setattr(encoders, "DROPOUT", 0.0)
    monkeypatch.setattr(encoders, "JITTER", 0.0)
    monkeypatch.setattr(encoders, "DIRECTIONS", 40)
    generator = torch.Generator().manual_seed(3)
    network = Network(looks, generator)
    torch.nn.init.normal_(network.last, std=0.1, generator=generator)
    with torch.no_grad():
        told = network(torch.tensor(looks.aligned, dtype=torch.float32), generator).numpy()
    np.testing.assert_allclose(network.encoder(surface).numbers(looks.aligned), told, atol=2e-3)


def test_cross_identity_makes_one_person_s_looks_agree(looks, surface, monkeypatch):
    monkeypatch.setattr(encoders, "DIRECTIONS", 40)
    monkeypatch.setattr(encoders, "PEOPLE", 8)
    monkeypatch.setattr(encoders, "POSED", 2)
    drifts = []
    for share in (0.0, 20.0):
        shares = {"reconstruction": 1.0, "pairwise": 0.0, "cross_identity": share}
        encoder = trained(looks, surface, shares, steps=12, seed=0)
        drifts.append(figures(encoder.numbers(looks.aligned), looks, surface)["identity_drift_ratio"])
    assert drifts[1] < drifts[0]
