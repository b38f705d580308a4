"""CUDA graphs: a function of tensors recorded once for each shape of its inputs, and replayed from then on.

A frame is some thousand small kernels; launched one by one they cost more than they take. Where there is no graphics
card the function is simply called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WARM_UPS = 2
"""Calls before the recording: libraries choose their kernels and take their memory then."""


@dataclass(frozen=True)
class _Recording:
    graph: Any  # torch.cuda.CUDAGraph, absent from builds without CUDA
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Replayed:
    """The same function; what it returns on a graphics card is overwritten by the next call with these shapes.

    The function must be a pure one of its tensors, without a look at their values and without shapes that follow them.
    """

    def __init__(
        self, function: Callable[..., tuple[Tensor, ...]], device: torch.device, recorded: bool = True
    ) -> None:
        """Nothing is recorded if not `recorded`, or off the graphics card."""
        self.function, self.device = function, device
        self.recorded = recorded and device.type == "cuda"
        self._recordings: dict[tuple[object, ...], _Recording] = {}

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The function's answer; inputs may lie on the processor, pinned ones are fetched without waiting."""
        if not self.recorded:
            return self.function(*(part.to(self.device, non_blocking=True) for part in inputs))
        kind = tuple((part.shape, part.dtype) for part in inputs)
        if kind not in self._recordings and not self._record(kind, inputs):
            return self(*inputs)
        recording = self._recordings[kind]
        for held, given in zip(recording.inputs, inputs, strict=True):
            held.copy_(given, non_blocking=True)
        recording.graph.replay()
        return recording.outputs

    def forget(self) -> None:
        """Records anew when called again: for a function that has changed."""
        if self._recordings:
            torch.cuda.synchronize(self.device)  # a recording that is still at work must not lose its memory
        self._recordings.clear()

    def _record(self, kind: tuple[object, ...], inputs: tuple[Tensor, ...]) -> bool:
        """Whether it could be recorded; what cannot is called plainly, at the price of its launches."""
        held = tuple(part.to(self.device).clone() for part in inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            self._warm_up(held)
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads go on meanwhile
                outputs = self.function(*held)
        except RuntimeError as why:
            warnings.warn(f"not recorded as a CUDA graph, and slower for it: {why}", stacklevel=2)
            torch.cuda.synchronize(self.device)
            self.recorded = False
            return False
        self._recordings[kind] = _Recording(graph, held, outputs)
        return True

    def _warm_up(self, held: tuple[Tensor, ...]) -> None:
        aside = torch.cuda.Stream(self.device)
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self.function(*held)
        torch.cuda.current_stream(self.device).wait_stream(aside)
