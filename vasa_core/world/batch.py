"""Shards made by many processes or many machines: resumable, cancellable, the same bytes however the work is shared.

Work is anything that knows its shards and can write one of them (`Work`). Each process draws with one thread: two
processes are faster than one with two threads, and sums do not depend on how many cores there are.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
from tqdm.auto import tqdm

from vasa_core.errors import BadOption, VasaError
from vasa_core.world import shards

ONE_THREAD = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The environment of a worker; the first is llvmpipe's and means nothing to a graphics card."""
LOG_EVERY_S = 20.0  # where nobody watches a progress bar
Tick = Callable[[int], None]


@runtime_checkable
class Work(Protocol):
    """A data set in the making."""

    @property
    def folder(self) -> Path:
        """Where its shards lie."""
        ...

    @property
    def unit(self) -> str:
        """What is counted: frames, takes."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides the bytes; shards of other settings are not mixed with these."""
        ...

    def about(self) -> dict[str, Any]:
        """What else the manifest should say."""
        ...

    def count(self) -> int:
        """How many shards there are in all."""
        ...

    def groups(self, shard: int) -> range:
        """The numbers of the groups in a shard."""
        ...

    def amount(self, shard: int) -> int:
        """How many units a shard holds."""
        ...

    def make(self, shard: int, tick: Tick) -> Iterable[shards.Files]:
        """The files of each group of a shard; `tick(n)` says that n more units are done."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did: shards and units made now, shards that were there already, seconds."""

    made: int
    kept: int
    units: int
    seconds: float

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / max(self.seconds, 1e-9)


def source_hash(folder: Path | None = None) -> str:
    """A short hash of the code of the training world: data of different code is not mixed unnoticed."""
    files = sorted((folder or Path(__file__).parent).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def shard_range(text: str, count: int) -> range:
    """`a:b` as the shards a to b - 1; either end may be left out."""
    first, _, last = text.partition(":")
    try:
        chosen = range(int(first or 0), int(last or count) if ":" in text else int(first) + 1)
    except ValueError as cause:
        raise BadOption(f"{text!r} is no range of shards: write for instance 0:{count}.") from cause
    if not 0 <= chosen.start < chosen.stop <= count:
        raise BadOption(f"There are {count} shards: choose a range within 0:{count}.")
    return chosen


def write(work: Work, shard: int, tick: Tick) -> dict[str, Any]:
    """Make one shard, however far an earlier attempt came."""
    path = shards.shard_path(work.folder, shard)
    for stale in work.folder.glob(f".{path.name}.*.part"):
        stale.unlink()
    return shards.write_shard(path, work.make(shard, tick), work.settings(), work.amount(shard))


def missing(work: Work, chosen: range) -> list[int]:
    """The shards of a range that are still to be made; refuses a folder that holds other data."""
    settings, left = work.settings(), []
    for shard in chosen:
        record = shards.finished(shards.shard_path(work.folder, shard), settings)
        if record is None or record["groups"] != len(work.groups(shard)):
            left.append(shard)
    return left


def run(work: Work, chosen: range, workers: int, progress: bool = True) -> Outcome:
    """Make what is missing of a range of shards in parallel processes, then the manifest."""
    work.folder.mkdir(parents=True, exist_ok=True)
    left = missing(work, chosen)
    units, begun = sum(work.amount(shard) for shard in left), time.perf_counter()
    if left:
        with _Bar(units, work.unit, progress) as bar:
            _in_processes(work, left, min(workers, len(left)), bar)
    seconds = time.perf_counter() - begun
    shards.write_manifest(work.folder, work.settings(), work.about())
    return Outcome(made=len(left), kept=len(chosen) - len(left), units=units, seconds=seconds)


def _in_processes(work: Work, left: list[int], workers: int, bar: _Bar) -> None:
    context = multiprocessing.get_context("spawn")
    ticks = context.Queue()
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # inherited by the processes, who read it as they start
    pool = ProcessPoolExecutor(workers, context, _become_worker, (ticks,))
    try:
        waiting: set[Future] = {pool.submit(_work_on, work, shard) for shard in left}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            bar.drain(ticks)
            for future in done:
                future.result()
    except BrokenProcessPool as cause:
        raise VasaError("A worker died, perhaps for want of memory: run the same command again, it goes on.") from cause
    except BaseException:
        for process in list((pool._processes or {}).values()):  # or a cancelled run would finish its shards first
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_ticks: Any = None  # the queue of a worker process


def _become_worker(ticks: Any) -> None:
    global _ticks
    _ticks = ticks
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: one that was killed cannot tell its workers."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work_on(work: Work, shard: int) -> dict[str, Any]:
    return write(work, shard, _ticks.put)


class _Bar:
    """Progress and rate: a bar where somebody watches, a line now and then in a log."""

    def __init__(self, total: int, unit: str, shown: bool) -> None:
        watched = sys.stderr.isatty()
        self.bar = tqdm(total=total, unit=unit, disable=not (shown and watched), dynamic_ncols=True)
        self.logs, self.total, self.unit = shown and not watched, total, unit
        self.done, self.begun, self.last = 0, time.perf_counter(), time.perf_counter()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def drain(self, ticks: Any) -> None:
        """Count what the workers have done since."""
        while True:
            try:
                count = ticks.get_nowait()
            except queue.Empty:
                break
            self.done += count
            self.bar.update(count)
        now = time.perf_counter()
        if self.logs and now - self.last > LOG_EVERY_S:
            rate, self.last = self.done / (now - self.begun), now
            print(f"{self.done} of {self.total} {self.unit}s, {rate:.1f} a second", file=sys.stderr, flush=True)
