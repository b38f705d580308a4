"""Learning the matte: people put before something else, words spoiled in every way, and a run that goes on."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from vasa_core.matting import SIDE_PX, Matting
from vasa_core.train import matting
from vasa_core.train.matting import (
    before,
    judged,
    learn,
    moved,
    near_edge,
    new_background,
    off,
    own_colours,
    placed,
    sample,
    softened,
    spoiled,
    windows,
)

PERSON, BEHIND = np.array([200.0, 120.0, 60.0]), np.array([20.0, 60.0, 160.0])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def scene(size: int = SIDE_PX) -> tuple[np.ndarray, np.ndarray]:
    """Somebody in one colour before another, with a soft outline: picture and coverage."""
    cover = cv2.circle(np.zeros((size, size), np.float32), (size // 2, size // 3), size // 6, 1.0, -1)
    cover = cv2.ellipse(cover, (size // 2, size), (size // 3, size // 2), 0, 0, 360, 1.0, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), 2)
    picture = cover[..., None] * PERSON + (1 - cover[..., None]) * BEHIND
    return np.round(picture).astype(np.uint8), np.round(255 * cover).astype(np.uint8)


def rows(count: int) -> matting.Row:
    picture, alpha = scene()
    face = cv2.circle(np.zeros((SIDE_PX, SIDE_PX), np.uint8), (SIDE_PX // 2, SIDE_PX // 3), SIDE_PX // 8, 255, -1)
    word = cv2.GaussianBlur(alpha, (0, 0), 4)
    one = {"crop": picture, "alpha": alpha, "word": word, "face": face}
    return {name: np.stack([values] * count) for name, values in one.items()}


def test_a_persons_own_colours_go_on_beyond_the_outline(rng):
    picture, alpha = scene()
    person, _ = own_colours(picture, alpha)
    assert np.abs(person[alpha > 60] - PERSON).mean() < 4
    white = np.full_like(picture, 255)
    again = before(person, alpha, white, np.random.default_rng(1))
    assert again[alpha == 0].mean() > 225 and again.shape == picture.shape


def test_whoever_is_put_smaller_stands_on_the_lower_border_with_the_landmarks_in_place():
    picture, alpha = scene()
    landmarks = np.tile(np.array([SIDE_PX / 2, SIDE_PX / 3]), (478, 1))
    for seed in range(6):
        person, cover, marks = placed(picture, alpha, landmarks, np.random.default_rng(seed))
        assert person.shape == picture.shape and cover.shape == alpha.shape
        assert (cover[-1] > 200).sum() > 60
        x, y = marks[0].round().astype(int)
        assert cover[y, x] == 255
        np.testing.assert_allclose(person[y, x], PERSON, atol=2)


def test_backgrounds_are_of_many_kinds_and_never_the_same(rng):
    picture, alpha = scene(64)
    made = [new_background(picture, alpha, [picture], rng) for _ in range(12)]
    assert all(x.shape == picture.shape and x.dtype == np.uint8 for x in made)
    assert len({x.tobytes() for x in made}) == 12


def test_picture_and_coverage_move_and_soften_alike():
    picture, alpha = scene()
    for seed in range(8):
        shifted, cover = (moved(x, np.random.default_rng(seed)) for x in (picture, alpha))
        soft, cover = softened(shifted, cover, np.random.default_rng(seed))
        share = cover[..., None] / 255
        assert np.abs(soft - (share * PERSON + (1 - share) * BEHIND)).mean() < 1.5


def test_words_are_spoiled_at_times_and_stay_words(rng):
    word = scene()[1].astype(np.float32) / 255
    made = [spoiled(word, rng) for _ in range(60)]
    assert all(x.min() >= 0 and x.max() <= 1 + 1e-6 and x.shape == word.shape for x in made)
    assert 12 < sum(not np.array_equal(x, word) for x in made) < 40


def test_what_is_right_is_not_off_and_outlines_count_more():
    alpha = torch.from_numpy(scene()[1] / np.float32(255))[None, None].round()
    edge, right = near_edge(alpha), 30 * (2 * alpha - 1)
    assert float(off(right, alpha, edge)) < 1e-4
    inside, outline = right.clone(), right.clone()
    inside[..., 220:230, 120:130] *= -1
    row = int((alpha[0, 0, :, 128] > 0.5).nonzero()[0])
    outline[..., row : row + 10, 123:133] *= -1
    assert float(off(outline, alpha, edge)) > 2 * float(off(inside, alpha, edge))


def test_windows_lie_in_the_picture_and_mostly_on_the_outline(rng):
    edge = near_edge(torch.from_numpy(scene()[1] / np.float32(255))[None, None])
    at = [windows(rng, edge)[0] for _ in range(40)]
    assert all(0 <= top <= SIDE_PX - matting.WINDOW_PX and top % 16 == 0 for pair in at for top in pair)
    shown = [float(edge[..., top : top + 128, left : left + 128].mean()) for top, left in at]
    assert np.mean(shown) > 1.2 * float(edge.mean())


def test_a_look_that_nobody_spoils_is_what_was_kept():
    told, alpha = sample(rows(1), 0, None)
    picture, cover = scene()
    np.testing.assert_allclose((told[:3] + 1) * 127.5, picture.transpose(2, 0, 1), atol=1e-3)
    np.testing.assert_allclose(alpha[0] * 255, cover, atol=1e-3)


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(matting, "BATCH", 2)
    monkeypatch.setattr(matting, "EVERY", 1)
    data = rows(3)
    whole = learn(data, data, tmp_path / "whole", steps=2, minutes=10, seed=1)
    trainer = matting.Trainer(data, 2, 1)
    trainer.advance(0.0)
    (tmp_path / "parts").mkdir()
    trainer.save(tmp_path / "parts" / "state.pt")
    resumed = learn(data, data, tmp_path / "parts", steps=2, minutes=10, seed=1)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 2 and log[-1]["iou_mediapipe"] > 0.9


def test_judged_tells_overlap_and_error(monkeypatch):
    data = rows(2)

    def knowing(self, picture, cover, hints):
        return 40 * torch.from_numpy(data["alpha"][:1] / np.float32(255))[None] - 20

    monkeypatch.setattr(Matting, "refined", knowing)
    figures = judged(Matting().eval(), data)
    assert figures["iou"] == 1.0 and figures["worst_tenth"] == 1.0
