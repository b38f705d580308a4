"""Learning changes of parts of the face: losses that know when they are zero, spoiled windows, runs that go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.changes import Changes, load_changes, together
from vasa_core.lower_face import lower_face_of
from vasa_core.surface import LANDMARKS, load_surface
from vasa_core.train import changes
from vasa_core.train.changes import (
    LESSONS,
    MARGIN_PX,
    Looks,
    Trainer,
    calibrate,
    figures,
    judged,
    keep,
    known_changes,
    losses,
    spoiled,
)
from vasa_core.upper_face import UPPER_FACE

PEOPLE = 4


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module", params=LESSONS)
def lesson(request):
    return LESSONS[request.param]


@pytest.fixture(scope="module")
def looks(lesson):
    """People of noise, two frames each, one half of them sharp."""
    rng, part = np.random.default_rng(0), lesson.part
    kept = (2 * PEOPLE, 2, part.high_px + 2 * MARGIN_PX, part.wide_px + 2 * MARGIN_PX, 3)
    truth = (0.3 * rng.standard_normal((2 * PEOPLE, 2, len(part.shown)))).astype(np.float32)
    truth[..., 2] = 1 + 0.1 * truth[..., 2]
    return Looks(
        rng.integers(0, 255, kept, np.uint8),
        rng.standard_normal((2 * PEOPLE, 2, part.shape)).astype(np.float32),
        truth,
        np.repeat(np.arange(PEOPLE), 2),
        np.arange(2 * PEOPLE) < PEOPLE,
    )


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(changes, "SCENES", 2)


def told_truly(looks: Looks, trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a network would tell that knows everything: shown, changed, doubt; and the pairs."""
    truth, network = torch.from_numpy(looks.truth), trainer.network
    shown = (truth - network.usual) / network.unit
    pairs = torch.arange(2 * PEOPLE).reshape(-1, 2)
    part = trainer.lesson.part
    changed = (shown[pairs[:, 1]] - shown[pairs[:, 0]])[..., : part.changed]
    return shown, changed, torch.zeros(PEOPLE, max(part.doubted) + 1), pairs


def test_losses_are_zero_at_the_truth_and_each_sees_its_own_fault(lesson, looks, surface):
    trainer = Trainer(lesson, looks, surface, 2, 0)
    shown, changed, doubt, pairs = told_truly(looks, trainer)
    truth = torch.from_numpy(looks.truth)
    right = losses(trainer.network, lesson, shown, changed, doubt, truth, pairs)
    assert float(right["changed"]) == pytest.approx(0, abs=1e-9) and float(right["alone"]) == pytest.approx(0, abs=1e-9)
    wrong = losses(trainer.network, lesson, shown, changed + 0.1, doubt, truth, pairs)
    assert float(wrong["changed"]) > 1e-3 and float(wrong["alone"]) == pytest.approx(0, abs=1e-9)


def test_gaze_behind_lids_is_not_known():
    """Of two open eyes all is known, of shut ones no gaze, whatever the other picture shows."""
    truth = torch.zeros(3, 2, len(UPPER_FACE.shown))
    truth[:, :, 2] = torch.tensor([1.0, 1.0, 0.0])[:, None]
    known = known_changes(LESSONS["upper"].seen(truth), torch.tensor([[0, 1], [0, 2]]), UPPER_FACE)
    gaze = torch.tensor([name.startswith("gaze") for name in UPPER_FACE.names])
    np.testing.assert_array_equal(known, torch.stack([torch.ones(8), (~gaze).float()]))


def test_both_sides_tell_one_number_in_common_and_each_its_own():
    changed = torch.tensor([[[0.2, 0.1, 1.0, 3.0, 5.0], [-0.4, 0.3, 2.0, 4.0, 6.0]]])
    expected = dict(zip(UPPER_FACE.names, (0.3, 0.2, 1, 2, 3, 4, 5, 6), strict=True))
    found = dict(zip(UPPER_FACE.names, together(changed, UPPER_FACE)[0].tolist(), strict=True))
    assert found == pytest.approx(expected)


def test_a_widened_mouth_is_told_of_its_corners():
    head = np.random.default_rng(3).normal(size=(LANDMARKS, 3))
    wider = head.copy()
    wider[61] += (-0.3, 0.2, 0)  # the right corner lies at the picture's left
    change = dict(zip(LESSONS["lower"].part.names, lower_face_of(wider) - lower_face_of(head), strict=True))
    assert change.pop("right corner aside") == pytest.approx(0.3)
    assert change.pop("right corner lift") == pytest.approx(0.2)
    assert max(map(abs, change.values())) < 1e-9


def test_a_spoiled_window_is_where_it_is_said_to_have_moved(lesson):
    """A white disc in the middle of the window, wherever the trembling puts it."""
    part = lesson.part
    frames = np.zeros((3, 2, part.high_px + 2 * MARGIN_PX, part.wide_px + 2 * MARGIN_PX, 3), np.uint8)
    y, x = np.mgrid[: frames.shape[2], : frames.shape[3]]
    middle = np.array(frames.shape[3:1:-1]) / 2 - 0.5
    frames[:, :, np.hypot(x - middle[0], y - middle[1]) < 6] = 255
    for seed in range(6):
        shown, moved = spoiled(frames, part, np.random.default_rng(seed))
        assert shown.shape == (3, 2, part.high_px, part.wide_px, 3)
        bright = shown.astype(float).mean(-1)
        bright = np.clip(bright - np.median(bright) - 0.5 * np.ptp(bright), 0, None)
        total = bright.sum((2, 3))
        assert (total > 0).all()
        sums = ((bright.sum(2), part.wide_px), (bright.sum(3), part.high_px))
        at = np.stack([along @ np.arange(px) / total - (px / 2 - 0.5) for along, px in sums], -1)
        np.testing.assert_allclose(at, moved * (part.px_per_cm, -part.px_per_cm), atol=1.5)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(lesson, looks, surface, few, tmp_path):
    whole = Trainer(lesson, looks, surface, 4, 3)
    through = [whole.advance() for _ in range(2)]
    first = Trainer(lesson, looks, surface, 4, 3)
    first.advance()
    first.save(tmp_path / "state.pt")
    second = Trainer(lesson, looks, surface, 4, 3)
    second.load(tmp_path / "state.pt")
    assert second.step == 1
    assert second.advance() == pytest.approx(through[1], rel=1e-3)


def test_what_is_kept_is_what_was_learned(lesson, looks, surface, few, tmp_path):
    trainer = Trainer(lesson, looks, surface, 2, 0)
    changes.learn(trainer, looks, tmp_path, minutes=5)
    assert trainer.step == 2 and (tmp_path / "state.pt").exists()
    found = judged(trainer.changes(), lesson, looks)
    calibrate(trainer.changes(), found)
    path = tmp_path / "face.safetensors"
    keep(trainer.changes(), path)
    assert path.stat().st_size < 2_700_000
    loaded = load_changes(path, lesson.part, surface)
    again = judged(loaded, lesson, looks)
    np.testing.assert_allclose(again.told, found.told, atol=0.01)
    np.testing.assert_array_equal(loaded.network.covariance, trainer.averaged.covariance)
    report = figures(found, lesson.part)
    assert json.loads(json.dumps(report)) == report


def test_learning_can_begin_where_kept_weights_ended(lesson, looks, surface, few, tmp_path):
    first = Trainer(lesson, looks, surface, 2, 0)
    first.advance()
    calibrate(first.changes(), judged(first.changes(), lesson, looks))
    keep(first.changes(), tmp_path / "face.safetensors")
    start = load_changes(tmp_path / "face.safetensors", lesson.part, surface, folded=False)
    second = Trainer(lesson, looks, surface, 2, 0, start=start)
    kept, again = first.averaged.state_dict(), second.network.state_dict()
    assert all(torch.allclose(kept[name], again[name], atol=2e-2, rtol=1e-2) for name in kept)


def test_the_covariance_is_that_of_the_errors(lesson, looks, surface):
    rng = np.random.default_rng(2)
    trainer = Trainer(lesson, looks, surface, 2, 0)
    spread = np.linspace(0.1, 0.8, len(lesson.part.names))
    off = rng.standard_normal((5000, len(spread))) * spread
    truth = np.zeros_like(off)
    truth[::7, :2] = np.nan  # pairs that do not show all do not count
    doubt = np.zeros((len(off), 3), np.float32)
    calibrate(trainer.changes(), changes.Judged(off, doubt, truth))
    assert isinstance(trainer.changes(), Changes)
    np.testing.assert_allclose(np.diag(trainer.averaged.covariance), spread**2, rtol=0.1)
