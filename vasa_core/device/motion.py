"""Speech encoder and motion transformer on the device, in the place of those on the processor.

What goes in and comes out stays on the processor, where noise is drawn and steps are counted: the same seed gives the
same performance to rounding. Windows of one performance hang together, each on the one before, so only the guidance
passes of a window share a batch.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields

import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.device.replay import Replayed
from vasa_core.motion import Conditions, MotionTransformer
from vasa_core.speech import Heard, SpeechEncoder
from vasa_core.swift import Swift

CONDITION_NAMES = tuple(field.name for field in fields(Conditions))


class DeviceSpeech(SpeechEncoder):
    """A speech encoder that listens on the device."""

    def __init__(self, encoder: SpeechEncoder, device: torch.device) -> None:
        super().__init__(encoder.config)
        self.eval().requires_grad_(False)
        self._there = [copy.deepcopy(encoder).to(device)]  # in a list: no part of this module's own weights

    @torch.no_grad()
    def hear(self, sound: Float[Tensor, " sample"], start: int, stop: int) -> Heard:
        """As `SpeechEncoder.hear`, the answer back on the processor."""
        heard = self._there[0].hear(sound, start, stop)
        return Heard(**{name: value.cpu() for name, value in vars(heard).items()})


class DeviceMotion(Swift):
    """A motion transformer whose passes run on the device, recorded once for each length of a window; what goes before
    and after them, and its weights for that, stay on the processor."""

    def __init__(self, model: MotionTransformer, device: torch.device, recorded: bool = True) -> None:
        self.model, self.config = model, model.config  # nothing else of `Swift`: that is for the processor
        there = copy.deepcopy(model).to(device)
        self._device, self._turn = device, threading.Lock()  # of those who share one model, one at a time
        # beside the frames and before them, as those wait for it
        self._aside = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None

        def passes(noisy: Tensor, time: Tensor, *conditions: Tensor) -> tuple[Tensor, ...]:
            return (there(noisy, time, Conditions(**dict(zip(CONDITION_NAMES, conditions, strict=True)))),)

        self._passes = Replayed(torch.inference_mode()(passes), device, recorded)

    def answering(self, conditions: Conditions) -> Callable[[Tensor, Tensor, tuple[str | None, ...]], Tensor]:
        """As `Swift.answering`; the conditions travel to the device once."""
        prepared: dict[tuple[str | None, ...], list[Tensor]] = {}

        def denoise(noisy: Tensor, time: Tensor, without: tuple[str | None, ...]) -> Tensor:
            with self._turn, torch.cuda.stream(self._aside) if self._aside else nullcontext():
                if without not in prepared:
                    repeated = conditions.repeated(without)
                    prepared[without] = [getattr(repeated, name).to(self._device) for name in CONDITION_NAMES]
                return self._passes(noisy, time, *prepared[without])[0].cpu()

        return denoise
