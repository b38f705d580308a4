"""The server's side of the one device: whose turn it is, what the worker is told, and what becomes of it when it dies.

One thread. What is quick (a picture, a look at a consent) goes before clips, since a person waits with a finger on a
slider; live sessions queue like clips.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Protocol

from demo.child import Child, ChildDied, Sent
from demo.jobs import INTERRUPTED, Job, Jobs
from demo.limits import Limits
from vasa_core import errors
from vasa_core.errors import Busy, VasaError

LOG = logging.getLogger("vasa.demo")
POLL_S = 0.25
GRACE_S = 10.0
"""How long a cancelled piece of work may take to stop before its process is killed."""
START_S = 180.0
BROKEN = "The work broke off: it needed too much memory or crashed; try a smaller size or another file."
TOO_LONG = "The work took too long and was stopped; try a shorter sound or fewer steps."
NEVER_READY = "The models could not be loaded; an administrator finds the reason in the server's log."

Prepare = Callable[[Job], dict[str, Any]]
"""What the worker must be told to do a job: its files, checked once more; refuses with a VasaError."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is: a stage's name and the share of it that is done."""

    stage: str = "starting"
    share: float = 0.0


class Live(Protocol):
    """The other end of a live session."""

    def begin(self, send: Callable[[dict[str, Any], bytes], None]) -> bool:
        """Its turn has come; False when it is no longer there."""

    def show(self, message: dict[str, Any], payload: bytes) -> None:
        """One frame, or news."""

    def finish(self, message: str | None) -> None:
        """It is over; a sentence says why, unless it ended as it should."""


@dataclass
class _Question:
    message: dict[str, Any]
    answer: Future[dict[str, Any]]


@dataclass
class Device:
    """Serves the queue with one worker process."""

    jobs: Jobs
    limits: Limits
    prepare: Prepare
    sweep: Callable[[int], None]
    """Told the process number of a worker that died, removes what it left half-made."""
    environment: dict[str, str]
    progress: dict[str, Progress] = field(default_factory=dict)
    lives: dict[str, Live] = field(default_factory=dict)
    ready: Event = field(default_factory=Event)
    _questions: queue.Queue[_Question] = field(default_factory=queue.Queue)
    _cancelled: set[str] = field(default_factory=set)
    _woken: Event = field(default_factory=Event)
    _stopping: Event = field(default_factory=Event)
    _child: Child | None = None
    _thread: Thread | None = None
    _lock: Lock = field(default_factory=Lock)

    def start(self) -> None:
        """Starts the worker and the thread that serves the queue."""
        self._thread = Thread(target=self._serve, name="device", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends both; a job under way is reported as interrupted."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(GRACE_S)
        if self._child is not None:
            self._child.end(patience_s=3.0)
            self.sweep(self._child.pid)

    def wake(self) -> None:
        """Something new is in the queue."""
        self._woken.set()

    def cancel(self, job_id: str) -> None:
        """Asks a running job to stop."""
        with self._lock:
            self._cancelled.add(job_id)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Something quick from the worker, as soon as the work at hand is done; refuses when that takes too long."""
        asked = _Question(message, Future())
        self._questions.put(asked)
        self._woken.set()
        try:
            return asked.answer.result(timeout=self.limits.wait_s)
        except TimeoutError:
            asked.answer.cancel()
            raise Busy("The device is busy with somebody's clip; try again in a moment.") from None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process number, while there is one."""
        return self._child.pid if self._child is not None else None

    # ---- the thread ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        stumbles = 0
        while not self._stopping.is_set():
            try:
                if not self._serve_one():
                    self._woken.wait(POLL_S)
                    self._woken.clear()
                stumbles = 0
            except Exception as fault:
                stumbles += 1
                LOG.error("the device stumbled %d times and goes on: %s", stumbles, fault, exc_info=stumbles == 1)
                self._stopping.wait(min(60.0, 2.0**stumbles))

    def _serve_one(self) -> bool:
        """Does the next thing, if there is one."""
        if self._child is None or not self._child.is_alive():
            self._lose_child()
            self._start_child()
        try:
            self._reply(self._questions.get_nowait())
            return True
        except queue.Empty:
            pass
        job = self.jobs.take()
        if job is None:
            return False
        self.progress[job.id] = Progress()
        try:
            self._do(job)
        finally:
            self.progress.pop(job.id, None)
            self.lives.pop(job.id, None)
            with self._lock:
                self._cancelled.discard(job.id)
        return True

    def _reply(self, asked: _Question) -> None:
        if not asked.answer.set_running_or_notify_cancel():
            return
        try:
            answer = self._answer(asked.message, lambda: None, self.limits.wait_s, lambda news, payload: None)
            asked.answer.set_result(answer)
        except ChildDied:
            self._lose_child()
            asked.answer.set_exception(VasaError(BROKEN))
        except (_Cancelled, _TooLong):
            asked.answer.set_exception(VasaError(TOO_LONG))
        except Exception as fault:
            asked.answer.set_exception(fault)

    def _do(self, job: Job) -> None:
        live = self.lives.get(job.id)
        try:
            message = {"do": job.kind, "job": job.id, "owner": job.account_id, **self.prepare(job)}
            if job.kind == "live":
                answer = self._play(job, live, message)
            else:
                answer = self._answer(message, lambda: self._is_cancelled(job), self.limits.job_s, self._note(job))
            state, said = "done", None
        except _Cancelled:
            state, said, answer = (
                ("interrupted", INTERRUPTED, {}) if self._stopping.is_set() else ("cancelled", None, {})
            )
        except _TooLong:
            state, said, answer = "failed", TOO_LONG, {}
        except ChildDied:
            self._lose_child()
            state, said, answer = (
                ("interrupted", INTERRUPTED, {}) if self._stopping.is_set() else ("failed", BROKEN, {})
            )
        except VasaError as refusal:
            state, said, answer = "failed", str(refusal), {}
        except Exception:
            LOG.exception("a job failed on the server's side")
            state, said, answer = "failed", "Something went wrong on our side; try again.", {}
        self.jobs.end(job.id, state, said, answer.get("clip"), answer.get("made"))
        if live is not None:
            live.finish(said)

    def _play(self, job: Job, live: Live | None, message: dict[str, Any]) -> dict[str, Any]:
        """A live session: frames go out as they come; what comes in goes straight to the worker."""
        child = self._child
        assert child is not None
        if live is None or not live.begin(child.line.send):
            raise _Cancelled
        ends = time.monotonic() + self.limits.live_s
        told = False

        def is_cancelled() -> bool | None:
            nonlocal told
            if time.monotonic() > ends and not told:
                told = True
                child.line.send({"do": "end"})
            return self._is_cancelled(job)

        return self._answer(message, is_cancelled, self.limits.live_s + GRACE_S, live.show)

    def _note(self, job: Job) -> Callable[[dict[str, Any], bytes], None]:
        def note(news: dict[str, Any], payload: bytes) -> None:
            if "stage" in news:
                self.progress[job.id] = Progress(news["stage"], news["share"])

        return note

    def _is_cancelled(self, job: Job) -> bool:
        with self._lock:
            return job.id in self._cancelled or self._stopping.is_set()

    def _answer(
        self,
        message: dict[str, Any],
        is_cancelled: Callable[[], bool | None],
        longest_s: float,
        news: Callable[[dict[str, Any], bytes], None],
    ) -> dict[str, Any]:
        """What the worker answers in the end. What it tells meanwhile goes to `news`."""
        child, ends, give_up = self._child, time.monotonic() + longest_s, None
        assert child is not None
        child.line.send(message)
        late = False
        while True:
            received = child.line.receive(0.1)
            now = time.monotonic()
            if received is not None and (ended := _ended(received, late=late)) is not None:
                return ended
            if received is not None:
                news(*received)
            if give_up is None and (now > ends or is_cancelled()):
                late, give_up = now > ends, now + GRACE_S
                child.line.send({"do": "cancel"})
            if give_up is not None and now > give_up:
                self._lose_child()
                raise _TooLong if late else _Cancelled

    # ---- the worker ------------------------------------------------------------------------------------------------

    def _start_child(self) -> None:
        self._child = Child("demo.worker", self.environment)
        ends = time.monotonic() + START_S
        try:
            while not self._stopping.is_set() and time.monotonic() < ends:
                if (received := self._child.line.receive(POLL_S)) is not None:
                    news, _ = received
                    if "fatal" in news:
                        LOG.error("the worker cannot start: %s", news["fatal"])
                        raise VasaError(news["fatal"])
                    self.ready.set()
                    return
        except ChildDied:
            pass
        if not self._stopping.is_set():
            raise VasaError(NEVER_READY)

    def _lose_child(self) -> None:
        """Ends what is left of a worker and of its work. At once when its line is cut: a process that was killed takes
        a moment to be gone, and the next job must not be given to it."""
        if self._child is not None:
            self.ready.clear()
            self._child.end()
            self.sweep(self._child.pid)
            self._child = None


class _Cancelled(Exception):
    """The work was stopped because it was no longer wanted."""


class _TooLong(Exception):
    """The work was stopped because it took too long."""


def _ended(received: Sent, *, late: bool) -> dict[str, Any] | None:
    """The worker's last word on a piece of work, if this is it."""
    news, _ = received
    if "done" in news:
        done: dict[str, Any] = news["done"]
        return done
    if "cancelled" in news:
        raise _TooLong if late else _Cancelled
    if "refused" in news:
        kind = getattr(errors, news["kind"], VasaError)
        raise kind(news["refused"])
    if "failed" in news:
        raise VasaError(news["failed"])
    return None


def remove_unfinished(folder: Path, pid: int) -> None:
    """Removes what a process that died was writing; files appear whole or not at all, so these have no name yet."""
    for path in folder.rglob(f".*.{pid}.unfinished*"):
        path.unlink(missing_ok=True)
