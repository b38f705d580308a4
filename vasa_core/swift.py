"""The motion transformer at work: what denoising steps share is worked out once, and its layers run on oneDNN.

Says what `motion.MotionTransformer.forward` says, in half of its time and in float32 as well. Sound, wishes and the
past are the same in every step of a window; the modulations depend on the time alone and are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vasa_core.diffusion import cosine, spread
from vasa_core.motion import Conditions, MotionTransformer
from vasa_core.motion import _Block as _MotionBlock

TIMES_KEPT = 64
"""Modulations are kept for so many diffusion times: all of one way of denoising, and of a few users' ways at once."""

Linear = Callable[[Tensor], Tensor]


class Swift:
    """One motion transformer made ready to answer often."""

    def __init__(self, model: MotionTransformer) -> None:
        """Weights are read here, so a model that goes on learning needs another one."""
        self.model, self.config = model, model.config
        self.blocks = [_Block(block) for block in model.blocks]
        # of the model, not of this object: a ring of references would keep packed weights after each clip
        self.modulations = lru_cache(TIMES_KEPT)(partial(modulations, model))

    def answering(self, conditions: Conditions) -> Callable[[Tensor, Tensor, tuple[str | None, ...]], Tensor]:
        """As `MotionTransformer.answering`: the network under fixed conditions, several lacking passes in one batch."""
        prepared: dict[tuple[str | None, ...], Tensor] = {}

        def denoise(noisy: Tensor, time: Tensor, without: tuple[str | None, ...]) -> Tensor:
            if without not in prepared:
                prepared[without] = self._shared(conditions.repeated(without))
            return self._clean(noisy, float(time[0]), prepared[without])

        return denoise

    def _shared(self, conditions: Conditions) -> Float[Tensor, "batch past_and_window hidden"]:
        """All that enters the blocks but the noisy window itself."""
        model, length = self.model, self.config.past + conditions.audio.shape[1]
        told = model._sound(conditions) + model._wishes(conditions) + model.places[:length]
        told[:, : self.config.past] += model._past(conditions)
        return told

    def _clean(
        self, noisy: Float[Tensor, "batch window motion=56"], time: float, shared: Tensor
    ) -> Float[Tensor, "batch window motion=56"]:
        model, past = self.model, self.config.past
        x = shared.clone()
        x[:, past:] += model.from_motion(noisy)
        for block, modulation in zip(self.blocks, self.modulations(time), strict=True):
            block(x, modulation)
        guess = model.to_motion(model.norm(x[:, past:]))
        alpha, sigma = cosine(torch.tensor([time]))
        return spread(alpha, noisy) * noisy + spread(sigma, noisy) * guess


def modulations(model: MotionTransformer, time: float) -> list[tuple[Tensor, ...]]:
    """Shift, scale and gate, twice, of each block at this time."""
    clock = model.from_time(model._time_code(torch.tensor([time])))
    made = [block.modulation(clock)[0].chunk(6) for block in model.blocks]
    return [(shift, 1 + scale, 1 + gate, shift2, 1 + scale2, 1 + gate2)
            for shift, scale, gate, shift2, scale2, gate2 in made]  # fmt: skip


@contextmanager
def one_thread() -> Iterator[None]:
    """The networks are small: on two busy cores two threads wait for each other (2.4 s, not 0.9, for 6.6 s)."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Block:
    """`motion._Block` with packed weights; x is changed in place."""

    def __init__(self, block: _MotionBlock) -> None:
        self.heads = block.heads
        self.into_attention, self.from_attention = packed(block.into_attention), packed(block.from_attention)
        self.feed, self.fed = packed(block.feed[0], lit=True), packed(block.feed[2])

    def __call__(self, x: Float[Tensor, "batch frame hidden"], modulation: tuple[Tensor, ...]) -> None:
        shift, scale, gate, shift2, scale2, gate2 = modulation
        x.addcmul_(gate, self.attend(self._normed(x, scale, shift)))
        x.addcmul_(gate2, self.fed(self.feed(self._normed(x, scale2, shift2))))

    def _normed(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], scale, shift)

    def attend(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.into_attention(x).chunk(3, dim=-1)
        )  # [batch, head, frame, channel]
        return self.from_attention(
            functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        )


def packed(layer: nn.Linear, lit: bool = False) -> Linear:
    """A linear layer, then GELU if `lit`; on oneDNN, which needs half of the time of torch's own choice on AMD."""
    weight, bias = layer.weight.detach(), layer.bias.detach()
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return lambda x: functional.gelu(layer(x), approximate="tanh") if lit else layer(x)
    held, put = torch.ops.mkldnn._reorder_linear_weight(weight), torch.ops.mkldnn._linear_pointwise
    after: tuple[str, list[int], str] = ("gelu", [], "tanh") if lit else ("none", [], "")
    return lambda x: put(x, held, bias, *after)
