"""wav2vec 2.0 as the ear: a model of its own architecture, small and untrained, must keep our interface to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vasa_core import assets
from vasa_core.controls import Controls, constant
from vasa_core.errors import MissingWeights
from vasa_core.motion import MotionConfig, MotionTransformer, save_motion_model
from vasa_core.stream import WHOLE
from vasa_core.studio import Studio
from vasa_core.surface import load_surface
from vasa_core.train.motion import LipsAndLids, Weights, ear, motion_loss
from vasa_core.train.takes import heard, made_takes, performed, random_windows
from vasa_core.wav2vec import AHEAD, BLOCK, Wav2VecEncoder, load_wav2vec
from vasa_core.world.scripts import Script
from vasa_core.world.utterances import Phone

transformers = pytest.importorskip("transformers", reason="wav2vec 2.0 needs transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The smallest model with wav2vec's own front (seven convolutions, 320 samples a vector), stored as it ships."""
    config = transformers.Wav2Vec2Config(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(16,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("wav2vec")
    transformers.Wav2Vec2Model(config).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def encoder(folder) -> Wav2VecEncoder:
    return load_wav2vec(folder)


def test_one_vector_for_each_video_frame(encoder) -> None:
    for samples in (0, 1, 640, 641, 16_000, 20_001):
        assert encoder.encode(torch.randn(samples)).shape == (-(-samples // 640), 24)


@pytest.mark.parametrize("chunk", [333, 6_400, 50_000])
def test_how_the_sound_arrives_changes_no_bit(encoder, chunk) -> None:
    sound = torch.randn(40_000, generator=torch.Generator().manual_seed(1))
    whole = encoder.encode(sound)
    assert torch.equal(torch.cat(list(encoder.listen(sound.split(chunk), 8))), whole)


def test_a_block_waits_for_no_more_than_its_look_ahead(encoder) -> None:
    sound = torch.randn(32_000, generator=torch.Generator().manual_seed(2))
    later = sound.clone()
    later[(BLOCK + AHEAD) * 640 :] = 0
    assert torch.equal(encoder.encode(sound)[:BLOCK], encoder.encode(later)[:BLOCK])
    assert not torch.equal(encoder.encode(sound)[BLOCK : 2 * BLOCK], encoder.encode(later)[BLOCK : 2 * BLOCK])


def test_loudness_is_divided_out(encoder) -> None:
    sound = torch.randn(32_000, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(encoder.encode(sound), encoder.encode(0.1 * sound), atol=1e-4)


def test_what_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(MissingWeights, match=r"put config\.json"):
        load_wav2vec(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingWeights, match="does not hold"):
        load_wav2vec(tmp_path)


def test_the_motion_model_learns_from_it_as_from_our_own(encoder, folder) -> None:
    """Script to features to windows to a loss that reaches the layer that hears, by the functions training uses."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    surface = load_surface(assets.weights("surface.safetensors"))
    phones = (Phone(label="SIL", start_s=0.0, end_s=0.5), Phone(label="AA", start_s=0.5, end_s=3.0))
    script = Script(sound=torch.randn(48_000, generator=generator), phones=phones, speaker="a", language="en")
    takes = made_takes(heard([script], ear(folder)), performed([script], surface, 1, rng))
    assert torch.equal(takes.features, encoder.encode(script.sound).half())
    model = MotionTransformer(MotionConfig(audio_features=24, hidden=12, depth=1, heads=2))
    clean, conditions = random_windows(takes, 4, 50, 10, generator)
    torch.nn.init.normal_(model.to_motion.weight)  # it begins at zero, and nothing before it would learn in one step
    sum(motion_loss(model, clean, conditions, LipsAndLids(surface), Weights(), generator).values()).backward()
    assert model.from_audio[1].weight.grad.abs().max() > 0


@pytest.fixture(scope="module")
def motion_weights(tmp_path_factory) -> Path:
    """Motion as if trained on this ear: as small as can be, and never still."""
    torch.manual_seed(1)
    model = MotionTransformer(MotionConfig(audio_features=24, hidden=12, depth=1, heads=2))
    torch.nn.init.normal_(model.to_motion.weight)
    path = tmp_path_factory.mktemp("motion") / "motion.safetensors"
    save_motion_model(model, path)
    return path


def moved(studio: Studio, chunks: list[torch.Tensor]) -> torch.Tensor:
    curve = constant(Controls(steps=2, blink_rate=0))
    return torch.cat([part.packed() for part in studio._motions(chunks, curve, 0, WHOLE)])


def test_the_studio_moves_to_what_it_hears_by_wav2vec(folder, motion_weights) -> None:
    studio = Studio(wav2vec=folder, motion=motion_weights)
    sound = 0.1 * torch.randn(48_000, generator=torch.Generator().manual_seed(4))
    whole = moved(studio, [sound])
    assert whole.shape == (75, 56) and whole.std(0).max() > 0
    assert torch.equal(moved(studio, list(sound.split(7_000))), whole)
    assert not torch.equal(moved(studio, [sound.flip(0)]), whole)


def test_motion_that_learned_from_another_ear_is_refused(folder, motion_weights) -> None:
    with pytest.raises(MissingWeights, match=r"wav2vec 2\.0 in .* gives 24: name motion weights"):
        _ = Studio(wav2vec=folder).motion_model
    with pytest.raises(MissingWeights, match=r"learned to move from 24 .* our own ear"):
        _ = Studio(motion=motion_weights).motion_model
    with pytest.raises(MissingWeights, match="not a motion model of ours"):
        _ = Studio(motion=folder / "nothing.safetensors").motion_model
