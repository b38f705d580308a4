"""The motion transformer at work says what the plain one says, whatever is asked and whichever conditions lack."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from vasa_core.motion import CONDITIONS, Conditions, MotionConfig, MotionTransformer
from vasa_core.swift import Swift, one_thread, packed


@pytest.fixture(scope="module")
def model() -> MotionTransformer:
    torch.manual_seed(1)
    made = MotionTransformer(MotionConfig(audio_features=7, window=20, past=4, hidden=24, depth=2, heads=2))
    for weights in made.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    made.mean.normal_()
    made.std.uniform_(0.5, 2)
    return made.eval().requires_grad_(False)


def asked(window: int, seed: int) -> Conditions:
    torch.manual_seed(seed)
    return Conditions(
        audio=torch.randn(1, window, 7),
        heard=torch.arange(window)[None] < window - 3,
        past_audio=torch.randn(1, 4, 7),
        past_motion=torch.randn(1, 4, 56),
        gaze=torch.randn(1, window, 2),
        head_distance=1 + 0.1 * torch.randn(1, window),
        emotion=torch.rand(1, window, 8),
        listening=torch.rand(1, window),
        present=torch.tensor([[name != "emotion" for name in CONDITIONS]]),
    )


@pytest.mark.parametrize("window", [20, 9])
@pytest.mark.parametrize("without", [(None,), (None, "audio"), (None, "gaze", "past")])
def test_it_says_what_the_plain_model_says(model, window: int, without: tuple[str | None, ...]) -> None:
    conditions = asked(window, seed=window)
    swift, plain = Swift(model).answering(conditions), model.answering(conditions)
    for time in (1.0, 0.6, 0.1, 0.6):
        noisy = torch.randn(len(without), window, 56)
        with torch.inference_mode(), one_thread():
            expected = plain(noisy, torch.full((len(without),), time), without)
            assert torch.allclose(swift(noisy, torch.full((len(without),), time), without), expected, atol=1e-3)
    assert not torch.allclose(expected, noisy, atol=0.1)


def test_nothing_told_is_changed_and_answers_repeat(model) -> None:
    swift, noisy, time = Swift(model).answering(asked(9, seed=3)), torch.randn(2, 9, 56), torch.full((2,), 0.5)
    kept = noisy.clone()
    with torch.inference_mode(), one_thread():
        one, same = (swift(noisy, time, (None, "audio")) for _ in range(2))
    assert torch.equal(one, same) and torch.equal(noisy, kept)


def test_a_packed_layer_is_the_layer() -> None:
    layer, x = torch.nn.Linear(5, 3), torch.randn(2, 4, 5)
    with torch.inference_mode(), one_thread():
        assert torch.allclose(packed(layer)(x), layer(x), atol=1e-6)
        lit = torch.nn.functional.gelu(layer(x), approximate="tanh")
        assert torch.allclose(packed(layer, lit=True)(x), lit, atol=1e-6)


def test_its_packed_weights_go_when_it_goes(model) -> None:
    swift = Swift(model)
    gone = weakref.ref(swift.blocks[0])
    swift.modulations(0.5)
    gc.disable()
    try:
        del swift
        assert gone() is None, "a ring of references keeps it until the collector comes by, some megabytes a clip"
    finally:
        gc.enable()
