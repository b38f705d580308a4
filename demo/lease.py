"""One live session, seen from the server's event loop: a place in the queue, then the device for a while."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool

from demo.child import ChildDied
from demo.device import Device
from demo.jobs import Jobs
from vasa_core.errors import VasaError
from vasa_core.trust.accounts import Account

FRAMES_WAITING = 8
"""Frames that wait for a slow browser; older ones are dropped, so that what is seen is now."""
MESSAGES_WAITING = 400
POLL_S = 0.4

Send = Callable[[dict[str, Any], bytes], None]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, labelled and marked, as JPEG. Seconds of the sound: its own, and how much was heard by then."""

    jpeg: bytes
    index: int
    at_s: float
    heard_s: float


class LiveSession:
    """Sound and wishes in, frames out. Made by `Services.live`."""

    def __init__(self, jobs: Jobs, device: Device) -> None:
        self._jobs, self._device = jobs, device
        self._loop = asyncio.get_running_loop()
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._outgoing: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue(MESSAGES_WAITING)
        self._gone = Event()
        self.begun, self.over = asyncio.Event(), asyncio.Event()
        self.job_id = ""
        self.message: str | None = None

    async def queue(self, account: Account, request: Mapping[str, Any]) -> None:
        """Takes a place in the queue."""
        self.job_id = await run_in_threadpool(self._jobs.add, account, "live", request)
        self._device.lives[self.job_id] = self
        self._device.wake()

    async def waiting(self) -> AsyncIterator[int]:
        """The place in the queue (1 is next), again and again until the turn has come; raises when it never will."""
        while not self.begun.is_set() and not self.over.is_set():
            places = await run_in_threadpool(self._jobs.places)
            yield places.get(self.job_id, 0)
            try:
                await asyncio.wait_for(asyncio.shield(self._either()), POLL_S)
            except TimeoutError:
                continue
        if self.over.is_set() and self.message:
            raise VasaError(self.message)

    async def sound(self, samples: np.ndarray | bytes) -> None:
        """More of the voice: mono, 16 kHz, float32."""
        payload = samples if isinstance(samples, bytes) else np.asarray(samples, "<f4").tobytes()
        self._say({"do": "sound"}, payload[: len(payload) // 4 * 4])

    async def controls(self, wishes: Mapping[str, Any]) -> None:
        """Other wishes, from the next stretch of motion on."""
        self._say({"do": "controls", "controls": dict(wishes)})

    async def end(self) -> None:
        """No more sound will come; the frames that are still due will."""
        self._say({"do": "end"})

    async def frames(self) -> AsyncIterator[Frame]:
        """Frames as they come; ends when the session does, raising what was in the way."""
        while (frame := await self._frames.get()) is not None:
            yield frame
        if self.message:
            raise VasaError(self.message)

    async def leave(self) -> None:
        """Gives the device back, at once."""
        self._gone.set()
        self._hang_up()
        self._device.cancel(self.job_id)
        await run_in_threadpool(self._jobs.end_waiting, self.job_id)

    # ---- called by the device's thread -----------------------------------------------------------------------------

    def begin(self, send: Send) -> bool:
        """Its turn has come; False when it is no longer there."""
        if self._gone.is_set():
            return False
        Thread(target=self._pass_on, args=(send,), daemon=True).start()
        return True

    def show(self, message: dict[str, Any], payload: bytes) -> None:
        """One frame, or that the portrait is ready."""
        if "frame" in message:
            frame = Frame(payload, message["frame"], message["at_s"], message["heard_s"])
            self._loop.call_soon_threadsafe(self._take_in, frame)
        elif message.get("live") == "ready":
            self._loop.call_soon_threadsafe(self.begun.set)

    def finish(self, message: str | None) -> None:
        """It is over."""
        self._hang_up()
        self._loop.call_soon_threadsafe(self._close, message)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _say(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Never blocks the event loop: what cannot keep up loses its oldest sound rather than everybody's time."""
        try:
            self._outgoing.put_nowait((message, payload))
        except queue.Full:
            return

    def _hang_up(self) -> None:
        try:
            self._outgoing.put_nowait(None)
        except queue.Full:
            self._gone.set()

    def _pass_on(self, send: Send) -> None:
        while (said := self._outgoing.get()) is not None and not self._gone.is_set():
            try:
                send(*said)
            except ChildDied:
                return

    def _take_in(self, frame: Frame) -> None:
        while self._frames.qsize() >= FRAMES_WAITING:
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    def _close(self, message: str | None) -> None:
        self.message = message
        self.over.set()
        self._frames.put_nowait(None)

    async def _either(self) -> None:
        first = [asyncio.ensure_future(event.wait()) for event in (self.begun, self.over)]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        for task in first:
            task.cancel()
