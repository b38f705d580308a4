"""The motion transformer: what may and may not reach its answer, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vasa_core.diffusion import noised
from vasa_core.errors import MissingWeights
from vasa_core.latents import MOTION
from vasa_core.motion import (
    CONDITIONS,
    EMOTIONS,
    LIPS,
    Conditions,
    MotionConfig,
    MotionTransformer,
    load_motion_model,
    save_motion_model,
)

TINY = MotionConfig(audio_features=5, window=12, past=3, hidden=24, depth=2, heads=2)


def tiny(seed: int = 0) -> MotionTransformer:
    """A small model whose last layer is not zero, so that everything inside can be seen from outside."""
    torch.manual_seed(seed)
    model = MotionTransformer(TINY)
    torch.nn.init.normal_(model.to_motion.weight, std=0.1)
    for block in model.blocks:
        torch.nn.init.normal_(block.modulation.weight, std=0.05)
    return model.eval().requires_grad_(False)


def some_conditions(batch: int = 2) -> Conditions:
    return Conditions(
        audio=torch.randn(batch, 12, 5),
        heard=torch.ones(batch, 12, dtype=torch.bool),
        past_audio=torch.randn(batch, 3, 5),
        past_motion=torch.randn(batch, 3, MOTION),
        gaze=torch.randn(batch, 12, 2),
        head_distance=1 + 0.1 * torch.randn(batch, 12),
        emotion=torch.rand(batch, 12, len(EMOTIONS)),
        listening=torch.zeros(batch, 12),
        present=torch.ones(batch, len(CONDITIONS), dtype=torch.bool),
    )


CHANGED = {"audio": "audio", "past": "past_motion", "gaze": "gaze", "distance": "head_distance", "emotion": "emotion"}


def test_who_speaks_matters() -> None:
    model, conditions = tiny(), some_conditions()
    noisy, time = torch.randn(2, 12, MOTION), torch.tensor([0.4, 0.9])
    other = replace(conditions, listening=torch.ones(2, 12))
    assert not torch.allclose(model(noisy, time, conditions), model(noisy, time, other), atol=1e-5)


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_matters_when_present_and_never_when_absent(name: str) -> None:
    model, conditions = tiny(), some_conditions()
    other = replace(conditions, **{CHANGED[name]: getattr(conditions, CHANGED[name]).flip(1) + 1})
    noisy, time = torch.randn(2, 12, MOTION), torch.tensor([0.4, 0.9])
    assert not torch.allclose(model(noisy, time, conditions), model(noisy, time, other), atol=1e-5)
    absent = conditions.present.clone()
    absent[:, CONDITIONS.index(name)] = False
    one, two = (model(noisy, time, replace(c, present=absent)) for c in (conditions, other))
    assert torch.equal(one, two)


def test_unheard_frames_do_not_matter() -> None:
    model, conditions = tiny(), some_conditions()
    heard = torch.arange(12).expand(2, 12) < 7
    noise = torch.where(heard[..., None], conditions.audio, torch.randn(2, 12, 5))
    noisy, time = torch.randn(2, 12, MOTION), torch.tensor([0.4, 0.9])
    one = model(noisy, time, replace(conditions, heard=heard))
    assert torch.equal(one, model(noisy, time, replace(conditions, heard=heard, audio=noise)))


def test_at_time_zero_the_clean_window_is_the_input() -> None:
    noisy = torch.randn(2, 12, MOTION)
    assert torch.allclose(tiny()(noisy, torch.zeros(2), some_conditions()), noisy)


def test_passes_in_one_batch_equal_passes_one_by_one() -> None:
    model, conditions = tiny(), some_conditions()
    noisy, time = torch.randn(2, 12, MOTION), torch.tensor([0.4, 0.9])
    together = model.answering(conditions)(noisy.repeat(2, 1, 1), time.repeat(2), (None, "gaze"))
    present = conditions.present.clone()
    present[:, CONDITIONS.index("gaze")] = False
    assert torch.allclose(together[:2], model(noisy, time, conditions), atol=1e-5)
    assert torch.allclose(together[2:], model(noisy, time, replace(conditions, present=present)), atol=1e-5)


def test_statistics_standardise_and_restore() -> None:
    model = tiny()
    model.mean.copy_(torch.arange(MOTION))
    model.std.fill_(2)
    motion = torch.randn(4, MOTION)
    assert torch.allclose(model.restored(model.standardised(motion)), motion, atol=1e-5)


def test_saving_and_loading_gives_the_same_answers_to_half_precision(tmp_path) -> None:
    model, conditions = tiny(), some_conditions()
    save_motion_model(model, tmp_path / "m.safetensors")
    again = load_motion_model(tmp_path / "m.safetensors")
    noisy, time = torch.randn(2, 12, MOTION), torch.tensor([0.4, 0.9])
    assert again.config == TINY
    assert torch.allclose(again(noisy, time, conditions), model(noisy, time, conditions), atol=0.02)


def with_lips(model: MotionTransformer) -> MotionTransformer:
    model.lips.copy_(torch.linalg.qr(torch.randn(MOTION, LIPS))[0])
    return model


def test_stilled_lips_lose_what_moves_them_and_nothing_else() -> None:
    model, noise = with_lips(tiny()), torch.randn(2, 7, MOTION)
    still = model.lips_stilled(noise, 0.0)
    assert torch.allclose(still @ model.lips, torch.zeros(2, 7, LIPS), atol=1e-5)
    away = torch.eye(MOTION) - model.lips @ model.lips.T
    assert torch.allclose(still @ away, noise @ away, atol=1e-5)
    assert torch.allclose(model.lips_stilled(noise, 1.0), noise, atol=1e-5)
    assert torch.allclose(model.lips_stilled(noise, 0.5), (noise + still) / 2, atol=1e-5)


def test_a_file_that_knows_nothing_of_lips_leaves_them_all_their_noise(tmp_path) -> None:
    path, noise = tmp_path / "m.safetensors", torch.randn(1, 3, MOTION)
    save_motion_model(with_lips(tiny()), path)
    with safe_open(str(path), framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys() if key != "lips"}  # noqa: SIM118
        save_file(tensors, tmp_path / "old.safetensors", metadata=file.metadata())
    assert torch.equal(load_motion_model(tmp_path / "old.safetensors").lips_stilled(noise, 0.0), noise)


def test_a_missing_or_foreign_file_is_refused(tmp_path) -> None:
    (tmp_path / "bad.safetensors").write_text("not weights")
    for name in ("none.safetensors", "bad.safetensors"):
        with pytest.raises(MissingWeights):
            load_motion_model(tmp_path / name)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        MotionConfig(audio_features=5, hidden=25, heads=2)


def test_it_learns_to_follow_the_sound() -> None:
    torch.manual_seed(0)
    model = MotionTransformer(TINY)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        conditions = some_conditions(16)
        clean = torch.sign(conditions.audio[..., :1]).expand(
            -1, -1, MOTION
        )  # every channel repeats the first audio feature
        time = torch.rand(16)
        guess = model(noised(clean, torch.randn_like(clean), time), time, conditions)
        losses.append(loss := (guess - clean).square().mean())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
