"""Learning changes of eyes and brows: losses that know when they are zero, spoiled windows, runs that go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.surface import load_surface
from vasa_core.train import upper_face
from vasa_core.train.upper_face import (
    MARGIN_PX,
    Looks,
    Trainer,
    calibrate,
    figures,
    judged,
    keep,
    losses,
    spoiled,
)
from vasa_core.upper_face import CHANGED, HIGH_PX, NAMES, SHAPE, SHOWN, WIDE_PX, UpperFace, load_upper_face, together

PEOPLE = 4


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def looks():
    """People of noise, two frames each, one half of them sharp."""
    rng = np.random.default_rng(0)
    kept = (2 * PEOPLE, 2, HIGH_PX + 2 * MARGIN_PX, WIDE_PX + 2 * MARGIN_PX, 3)
    truth = (0.3 * rng.standard_normal((2 * PEOPLE, 2, len(SHOWN)))).astype(np.float32)
    truth[..., 2] = 1 + 0.1 * truth[..., 2]
    return Looks(
        rng.integers(0, 255, kept, np.uint8),
        rng.standard_normal((2 * PEOPLE, 2, SHAPE)).astype(np.float32),
        truth,
        np.repeat(np.arange(PEOPLE), 2),
        np.arange(2 * PEOPLE) < PEOPLE,
    )


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(upper_face, "SCENES", 2)


def told_truly(looks: Looks, trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a network would tell that knows everything: shown, changed, doubt; and the pairs."""
    truth, network = torch.from_numpy(looks.truth), trainer.network
    shown = (truth - network.usual) / network.unit
    pairs = torch.arange(2 * PEOPLE).reshape(-1, 2)
    changed = (shown[pairs[:, 1]] - shown[pairs[:, 0]])[..., :CHANGED]
    return shown, changed, torch.zeros(PEOPLE, 3), pairs


def test_losses_are_zero_at_the_truth_and_each_sees_its_own_fault(looks, surface):
    trainer = Trainer(looks, surface, 2, 0)
    shown, changed, doubt, pairs = told_truly(looks, trainer)
    truth = torch.from_numpy(looks.truth)
    right = losses(trainer.network, shown, changed, doubt, truth, pairs)
    assert float(right["changed"]) == pytest.approx(0, abs=1e-9) and float(right["alone"]) == pytest.approx(0, abs=1e-9)
    wrong = losses(trainer.network, shown, changed + 0.1, doubt, truth, pairs)
    assert float(wrong["changed"]) > 1e-3 and float(wrong["alone"]) == pytest.approx(0, abs=1e-9)


def test_gaze_behind_lids_is_not_learned(looks, surface):
    trainer = Trainer(looks, surface, 2, 0)
    shown, changed, doubt, pairs = told_truly(looks, trainer)
    truth = torch.from_numpy(looks.truth.copy())
    off = changed.clone()
    off[..., :2] += 0.5 * torch.tensor([[1.0], [-1.0]])  # both eyes look wrongly aside; up and down cancels out
    assert float(losses(trainer.network, shown, off, doubt, truth, pairs)["changed"]) > 1e-2
    truth[..., 2] = 0.0
    told = (truth - trainer.network.usual) / trainer.network.unit
    assert float(losses(trainer.network, told, off, doubt, truth, pairs)["changed"]) == pytest.approx(
        float(losses(trainer.network, told, changed, doubt, truth, pairs)["changed"])
    )


def test_both_eyes_tell_one_gaze_and_each_its_own_lids():
    changed = torch.tensor([[[0.2, 0.1, 1.0, 3.0, 5.0], [-0.4, 0.3, 2.0, 4.0, 6.0]]])
    expected = dict(zip(NAMES, (0.3, 0.2, 1, 2, 3, 4, 5, 6), strict=True))
    assert dict(zip(NAMES, together(changed)[0].tolist(), strict=True)) == pytest.approx(expected)


def test_a_spoiled_eye_is_where_it_is_said_to_have_moved():
    """A white disc in the middle of the window, wherever the trembling puts it."""
    frames = np.zeros((3, 2, HIGH_PX + 2 * MARGIN_PX, WIDE_PX + 2 * MARGIN_PX, 3), np.uint8)
    y, x = np.mgrid[: frames.shape[2], : frames.shape[3]]
    middle = np.array(frames.shape[3:1:-1]) / 2 - 0.5
    frames[:, :, np.hypot(x - middle[0], y - middle[1]) < 6] = 255
    for seed in range(6):
        shown, moved = spoiled(frames, np.random.default_rng(seed))
        assert shown.shape == (3, 2, HIGH_PX, WIDE_PX, 3)
        bright = shown.astype(float).mean(-1)
        bright = np.clip(bright - np.median(bright) - 0.5 * np.ptp(bright), 0, None)
        total = bright.sum((2, 3))
        assert (total > 0).all()
        at = np.stack([bright.sum(2) @ np.arange(WIDE_PX) / total, bright.sum(3) @ np.arange(HIGH_PX) / total], -1) - (
            WIDE_PX / 2 - 0.5,
            HIGH_PX / 2 - 0.5,
        )
        np.testing.assert_allclose(at, moved * (upper_face.PX_PER_CM, -upper_face.PX_PER_CM), atol=1.5)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(looks, surface, few, tmp_path):
    whole = Trainer(looks, surface, 4, 3)
    through = [whole.advance() for _ in range(2)]
    first = Trainer(looks, surface, 4, 3)
    first.advance()
    first.save(tmp_path / "state.pt")
    second = Trainer(looks, surface, 4, 3)
    second.load(tmp_path / "state.pt")
    assert second.step == 1
    assert second.advance() == pytest.approx(through[1], rel=1e-3)


def test_what_is_kept_is_what_was_learned(looks, surface, few, tmp_path):
    trainer = Trainer(looks, surface, 2, 0)
    upper_face.learn(trainer, looks, tmp_path, minutes=5)
    assert trainer.step == 2 and (tmp_path / "state.pt").exists()
    found = judged(trainer.upper_face(), looks)
    calibrate(trainer.upper_face(), found)
    keep(trainer.upper_face(), tmp_path / "upper_face.safetensors")
    assert (tmp_path / "upper_face.safetensors").stat().st_size < 2_000_000
    loaded = load_upper_face(tmp_path / "upper_face.safetensors", surface)
    again = judged(loaded, looks)
    np.testing.assert_allclose(again.told, found.told, atol=0.01)
    np.testing.assert_array_equal(loaded.network.covariance, trainer.averaged.covariance)
    report = figures(found)
    assert json.loads(json.dumps(report)) == report


def test_the_covariance_is_that_of_the_errors(looks, surface):
    rng = np.random.default_rng(2)
    trainer = Trainer(looks, surface, 2, 0)
    spread = np.linspace(0.1, 0.8, len(NAMES))
    off = rng.standard_normal((5000, len(NAMES))) * spread
    truth = np.zeros_like(off)
    truth[::7, :2] = np.nan  # pairs behind lids do not count
    doubt = np.zeros((len(off), 3), np.float32)
    calibrate(trainer.upper_face(), upper_face.Judged(off, doubt, truth))
    assert isinstance(trainer.upper_face(), UpperFace)
    np.testing.assert_allclose(np.diag(trainer.averaged.covariance), spread**2, rtol=0.1)
