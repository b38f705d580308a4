"""Frames one after the other from a decoder that makes them by the batch: gathered, launched, fetched without waiting.

While one batch is fetched and used the next is already being made. Batches have a fixed length, so that one recording
(`replay`) serves all; a shorter one is filled up with its last moment.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from vasa_core.decoder import Decoder
from vasa_core.device.decoder import BatchDecoder
from vasa_core.device.replay import Replayed
from vasa_core.latents import DYNAMICS, POSE
from vasa_core.portrait import Portrait
from vasa_core.refinement import FaceNetworks
from vasa_core.surface import Surface

Moment = tuple[Float[np.ndarray, " pose=6"], Float[np.ndarray, " dynamics=50"], Float[np.ndarray, " pose=6"]]
"""Head pose, facial dynamics, trailing pose."""

WHOLE_BATCH, LIVE_BATCH = 32, 8
"""Frames made at once from a sound that is all there, and of a voice that is still speaking (`stream.LIVE.hop`)."""

TRIAL_BATCH = 2
"""On the processor, where nothing is gained by more."""

IN_FLIGHT = 2

PORTRAITS_KEPT = 4
"""Of so many portraits and sizes all that was made ready, recordings included, is kept for the next clip."""


@dataclass(frozen=True, kw_only=True)
class _Launched:
    """A batch under way: the moments it shows, and where its pictures will be."""

    moments: list[Moment]
    pictures: UInt8[Tensor, "batch size size 3"]
    lacking: Bool[Tensor, ""]
    done: Any  # torch.cuda.Event, or None where nothing runs beside


class Batches:
    """Launches batches of one length and fetches their frames."""

    def __init__(self, decoder: BatchDecoder, batch: int, recorded: bool = True) -> None:
        self.decoder, self.batch = decoder, batch
        self._draw = Replayed(decoder, decoder.device, recorded)
        self._cuda = decoder.device.type == "cuda"
        self._slots = [self._slot() for _ in range(IN_FLIGHT + 1)] if self._cuda else []
        self._next = 0

    def frames(
        self, wanted: Iterable[Moment | None], live: bool
    ) -> Generator[UInt8[np.ndarray, "size size 3"], None, None]:
        """The frames of what is wanted, in order. None says that more will be long in coming: a `live` one then gives
        out all it has, instead of waiting until a batch is full."""
        waiting: list[Moment] = []
        under_way: list[_Launched] = []
        for one in wanted:
            if one is not None:
                waiting.append(one)
            if len(waiting) == self.batch or (one is None and live and waiting):
                under_way.append(self._launched(waiting))
                waiting = []
            while under_way and (len(under_way) == IN_FLIGHT or (one is None and live)):
                yield from self._fetched(under_way.pop(0))
        if waiting:
            under_way.append(self._launched(waiting))
        for launched in under_way:
            yield from self._fetched(launched)

    def _slot(self) -> tuple[Tensor, Tensor, Tensor]:
        """Pinned memory, which the card reads and writes by itself: moments, pictures, whether room lacked."""
        return (
            torch.empty(self.batch, 2 * POSE + DYNAMICS).pin_memory(),
            torch.empty(self.batch, self.decoder.size, self.decoder.size, 3, dtype=torch.uint8).pin_memory(),
            torch.empty((), dtype=torch.bool).pin_memory(),
        )

    def _launched(self, moments: list[Moment]) -> _Launched:
        filled = moments + moments[-1:] * (self.batch - len(moments))
        told = torch.from_numpy(np.array([np.concatenate(moment) for moment in filled], np.float32))
        if not self._cuda:
            pictures, lacking = self._draw(*told.split((POSE, DYNAMICS, POSE), 1))
            return _Launched(moments=moments, pictures=pictures, lacking=lacking, done=None)
        asked, pictures, lacking = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        asked.copy_(told)
        drawn, lacked = self._draw(*asked.split((POSE, DYNAMICS, POSE), 1))
        pictures.copy_(drawn, non_blocking=True)
        lacking.copy_(lacked, non_blocking=True)
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self.decoder.device))
        return _Launched(moments=moments, pictures=pictures, lacking=lacking, done=done)

    def _fetched(self, launched: _Launched) -> Iterable[UInt8[np.ndarray, "size size 3"]]:
        if launched.done is not None:
            launched.done.synchronize()
        if bool(launched.lacking):  # a head nearer, or a mouth wider, than any that was tried
            self.decoder.widen()
            self._draw.forget()
            return self._fetched(self._launched(launched.moments))
        pictures = launched.pictures.numpy()
        return [pictures[k].copy() for k in range(len(launched.moments))]


class Drawer:
    """Draws frames of any portrait on one device, and remembers what it made ready for the last few."""

    def __init__(self, device: torch.device, networks: FaceNetworks | None, recorded: bool = True) -> None:
        self.device, self.networks, self.recorded = device, networks, recorded
        self._kept: dict[tuple[int, int, bool], tuple[Portrait, Batches]] = {}

    def frames(
        self, portrait: Portrait, surface: Surface, size: int, wanted: Iterable[Moment | None], live: bool
    ) -> Generator[UInt8[np.ndarray, "size size 3"], None, None]:
        """As `render.drawn`, at this size; a `live` voice is not kept waiting for a full batch."""
        key = id(portrait), size, live
        kept = self._kept.pop(key, None)  # two clips of one portrait at once: each with its own
        batches = kept[1] if kept else self.ready(portrait, surface, size, live)
        try:
            yield from batches.frames(wanted, live)
        finally:
            self._kept[key] = portrait, batches  # the portrait too: while it lives, no other has its id
            while len(self._kept) > PORTRAITS_KEPT:
                self._kept.pop(next(iter(self._kept)))

    def ready(self, portrait: Portrait, surface: Surface, size: int, live: bool) -> Batches:
        """Everything that this portrait needs before its first frame."""
        batch = TRIAL_BATCH if self.device.type == "cpu" else LIVE_BATCH if live else WHOLE_BATCH
        decoder = BatchDecoder(Decoder(portrait, surface, self.networks, size), self.networks, self.device)
        return Batches(decoder, batch, self.recorded)
