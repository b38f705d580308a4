"""The refinement network in 8-bit whole numbers: the same picture to about 55 dB, in three fifths of bfloat16's time.

Convolutions run on oneDNN's 8-bit kernels as torch ships them, sums of residual blocks stay in float32, and what lies
between two convolutions (SiLU, enlarging, rounding) is one compiled pass. How large numbers get is looked up once a
portrait (`Ranges`), with a few looks through the network as it was trained, so new weights need no recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vasa_core.refinement import Refinement

LEVELS = 255.0
LEAST_SPAN = 1e-3
"""A channel that never moved is not blown up into noise."""

ZERO, HALF, ONE, TOP = (np.float32(x) for x in (0, 0.5, 1, LEVELS))
TANH_END = np.float32(4.97)
"""Where the rational tanh below reaches 1."""


# ---- how large numbers get -------------------------------------------------------------------------------------------


def convolutions(network: Refinement) -> list[nn.Conv2d]:
    """All convolutions, in one fixed order; the stem is first."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def ranges_of(network: Refinement, told: Iterable[Float[np.ndarray, "high wide told"]]) -> Float[np.ndarray, "input 2"]:
    """The least and the greatest number that enters each channel of the stem, then each other convolution."""
    seen: dict[int, Tensor] = {}
    with _watched(network, seen), torch.inference_mode():
        for one in told:
            network.heads(torch.from_numpy(one)[None].movedim(-1, 1))
    return np.concatenate([seen[k].numpy() for k in range(len(seen))]).astype(np.float32)


@contextmanager
def _watched(network: Refinement, seen: dict[int, Tensor]) -> Iterator[None]:
    def watch(k: int, entering: Tensor) -> None:
        over = (0, 2, 3) if k == 0 else (0, 1, 2, 3)
        now = torch.stack([entering.float().amin(over), entering.float().amax(over)], -1).reshape(-1, 2)
        before = seen.get(k, now)
        seen[k] = torch.stack([torch.minimum(before[:, 0], now[:, 0]), torch.maximum(before[:, 1], now[:, 1])], -1)

    hooks = [
        one.register_forward_pre_hook(lambda _, entering, k=k: watch(k, entering[0]))
        for k, one in enumerate(convolutions(network))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


# ---- the network -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """real = step * (whole - zero), whole from 0 to 255."""

    step: float
    zero: int

    @classmethod
    def spanning(cls, low: float, high: float) -> Scale:
        """The finest scale that holds everything between, and 0 exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = max(high - low, LEAST_SPAN) / LEVELS
        return cls(step=step, zero=round(-low / step))

    @property
    def numbers(self) -> tuple[np.float32, np.float32]:
        """What compiled passes want: how many steps are one, and zero with the half that rounds."""
        return np.float32(1 / self.step), np.float32(self.zero + 0.5)


class Convolution:
    """One convolution on 8-bit input at a fixed scale."""

    def __init__(self, conv: nn.Conv2d, scale: Scale, weight: Tensor | None = None) -> None:
        weight = conv.weight.float() if weight is None else weight
        self.scale = scale
        self.steps = weight.abs().amax((1, 2, 3)).clamp_min(1e-12) / 127
        rounded = (weight / self.steps[:, None, None, None]).round().to(torch.int8)
        self.place = list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)
        self.bias = None if conv.bias is None else conv.bias.float()
        self.packed = torch.ops.onednn.qconv_prepack(rounded, self.steps, scale.step, scale.zero, *self.place, None)

    def __call__(self, told: Tensor) -> Tensor:
        """The answer in float32."""
        scale = self.scale
        return torch.ops.onednn.qconv2d_pointwise(
            *(told, scale.step, scale.zero, self.packed, self.steps, self.zeros, self.bias, *self.place),
            *(1.0, 0, torch.float32, "none", [], ""),
        )

    def onto(self, told: Tensor, sums: Tensor) -> Tensor:
        """The answer added to `sums`, in place."""
        place, scale = self.place, self.scale
        return torch.ops.onednn.qconv2d_pointwise.binary(
            *(told, scale.step, scale.zero, self.packed, self.steps, self.zeros, sums, self.bias, *place),
            *(1.0, 0, torch.float32, 1.0, 0, "sum", 1.0, "none", [], ""),
        )


class EightBit:
    """`Refinement.heads` for one portrait."""

    def __init__(self, network: Refinement, ranges: Float[np.ndarray, "input 2"]) -> None:
        convs = convolutions(network)
        channels = convs[0].in_channels
        spans = [Scale.spanning(float(low), float(high)) for low, high in ranges[channels:]]
        self.steps = np.maximum(np.abs(ranges[:channels]).max(1), LEAST_SPAN) / 127
        stem = convs[0].weight.float() * torch.from_numpy(self.steps)[None, :, None, None]
        made = {convs[0]: Convolution(convs[0], Scale(1.0, 128), stem)}
        made |= {conv: Convolution(conv, span) for conv, span in zip(convs[1:], spans, strict=True)}
        self.per_one = (1 / self.steps).astype(np.float32)
        self.stem = made[network.stem]
        self.down = [made[conv] for conv in network.down]
        self.up = [made[conv] for conv in network.up]
        self.enter, self.middle, self.leave = (
            [(made[block.first], made[block.second]) for block in blocks]
            for blocks in (network.enter, network.middle, network.leave)
        )
        self.fine_head, self.coarse_head = made[network.fine_head], made[network.coarse_head]

    def heads(
        self, told: Float[np.ndarray, "high wide told"]
    ) -> tuple[Float[np.ndarray, "high wide 24"], Float[np.ndarray, "half_high half_wide 5"]]:
        """What `Refinement.heads` says, channels last."""
        entering = np.empty(told.shape, np.uint8)
        count(told, self.per_one, entering)
        with torch.inference_mode():
            x = self.stem(_tensor(entering))
            levels = []
            for block, down in zip(self.enter, self.down, strict=True):
                levels.append(_mended(block, x))
                x = down(_counted(x, down.scale))
            for block in self.middle:
                x = _mended(block, x)
            for k, (up, block, level) in enumerate(zip(self.up, self.leave, levels[::-1], strict=True)):
                small = up(_counted(x, up.scale))
                entering = _grown(small, level, block[0].scale)
                x = block[1].onto(_lit(block[0](entering), block[1].scale), level)
                if k == 1:
                    coarse = self.coarse_head(_lit(x, self.coarse_head.scale))
            return _array(self.fine_head(_lit(x, self.fine_head.scale))), _array(coarse)


def _mended(block: tuple[Convolution, Convolution], x: Tensor) -> Tensor:
    """A residual block; x itself becomes the sum."""
    first, second = block
    return second.onto(_lit(first(_lit(x, first.scale)), second.scale), x)


def _array(x: Tensor) -> np.ndarray:
    return x[0].movedim(0, -1).numpy()


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x)[None].movedim(-1, 1)


def _counted(x: Tensor, scale: Scale) -> Tensor:
    out = np.empty(_array(x).shape, np.uint8)
    rounded(_array(x).reshape(-1), *scale.numbers, out.reshape(-1))
    return _tensor(out)


def _lit(x: Tensor, scale: Scale) -> Tensor:
    out = np.empty(_array(x).shape, np.uint8)
    lit(_array(x).reshape(-1), *scale.numbers, out.reshape(-1))
    return _tensor(out)


def _grown(small: Tensor, level: Tensor, scale: Scale) -> Tensor:
    """`level` becomes the sum with the enlarged `small`; its SiLU in 8 bits."""
    sums = _array(level)
    out = np.empty(sums.shape, np.uint8)
    grown(_array(small), sums, *scale.numbers, out)
    return _tensor(out)


# ---- between convolutions --------------------------------------------------------------------------------------------


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
@no_type_check  # compiled code takes no run-time checks
def _silu(x):
    """x / (1 + exp(-x)) to 2e-4 of x, as a quotient that compilers turn into vectors (tanh's continued fraction)."""
    t = min(max(HALF * x, -TANH_END), TANH_END)
    s = t * t
    above = t * (np.float32(135135) + s * (np.float32(17325) + s * (np.float32(378) + s)))
    below = np.float32(135135) + s * (np.float32(62370) + s * (np.float32(3150) + s * np.float32(28)))
    return x * HALF * (ONE + above / below)


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
@no_type_check
def count(told, per_one, out):
    """Each channel of told [high, wide, channel] in its own steps, around 128."""
    for row in range(told.shape[0]):
        for column in range(told.shape[1]):
            for c in range(told.shape[2]):
                value = told[row, column, c] * per_one[c] + np.float32(128.5)
                out[row, column, c] = np.uint8(np.int32(min(max(value, ZERO), TOP)))


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
@no_type_check
def rounded(x, per_one, zero, out):
    """x in 8 bits."""
    for k in range(x.shape[0]):
        out[k] = np.uint8(np.int32(min(max(x[k] * per_one + zero, ZERO), TOP)))


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
@no_type_check
def lit(x, per_one, zero, out):
    """SiLU of x in 8 bits."""
    for k in range(x.shape[0]):
        out[k] = np.uint8(np.int32(min(max(_silu(x[k]) * per_one + zero, ZERO), TOP)))


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
@no_type_check
def grown(small, sums, per_one, zero, out):
    """sums [high, wide, c] += small [high/2, wide/2, c], each pixel of it four times; SiLU of that in 8 bits."""
    for row in range(sums.shape[0]):
        for column in range(sums.shape[1]):
            from_, to, whole = small[row // 2, column // 2], sums[row, column], out[row, column]
            for c in range(sums.shape[2]):
                value = to[c] + from_[c]
                to[c] = value
                whole[c] = np.uint8(np.int32(min(max(_silu(value) * per_one + zero, ZERO), TOP)))
