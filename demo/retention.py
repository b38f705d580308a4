"""One server to a house, and its housekeeping: what is past its time is deleted, what was half-made is cleared away."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import IO

from demo.jobs import Jobs
from vasa_core.errors import Busy
from vasa_core.trust.registry import Registry

LOG = logging.getLogger("vasa.demo")
SWEEP_S = 600.0
CACHE_KEPT_S = 3600.0
LOCK = "server.lock"
HALF_MADE = ("unfinished", "stills")
"""Folders of the house whose files belong to a running server; at its start they belong to nobody."""


@dataclass(frozen=True)
class Retention:
    """The housekeeping of one house."""

    registry: Registry
    queue: Jobs
    every_s: float = SWEEP_S

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Holds the house for one server, clears it and keeps it clear; refuses while another server holds it."""
        with (self.registry.home / LOCK).open("a") as lock:
            _claim(lock, self.registry.home)
            self._clear()
            stop = Event()
            Thread(target=self._sweep, args=(stop,), name="retention", daemon=True).start()
            try:
                yield
            finally:
                stop.set()

    def sweep(self) -> None:
        """Deletes what is past its time, in the house and in Gradio's cache."""
        self.registry.sweep()
        kept = timedelta(seconds=self.queue.limits.clips_kept_s)
        self.queue.forget_words(self.registry.clock() - kept)
        forget_older(gradio_cache(), CACHE_KEPT_S)
        forget_older(self.registry.files / "stills", CACHE_KEPT_S)

    def _sweep(self, stop: Event) -> None:
        while not stop.wait(self.every_s):
            try:
                self.sweep()
            except Exception:
                LOG.exception("the sweep stumbled and is tried again later")

    def _clear(self) -> None:
        for name in HALF_MADE:
            shutil.rmtree(self.registry.files / name, ignore_errors=True)
        for path in self.registry.files.rglob(".*.unfinished*"):
            path.unlink(missing_ok=True)
        forget_older(gradio_cache(), 0.0)


def check_free(home: Path) -> None:
    """Refuses at once, before anything slow, when another server holds this house."""
    with (home / LOCK).open("a") as lock:
        _claim(lock, home)


def _claim(lock: IO[str], home: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Busy(f"Another server already uses {home}; stop it or set VASA_HOME.") from None


def gradio_cache() -> Path:
    """Where Gradio puts what browsers upload; the server gives it a folder of its own in the house."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")


def forget_older(folder: Path, seconds: float) -> None:
    """Deletes the files of a folder that were last written longer ago, and folders that are empty then."""
    before = time.time() - seconds
    for path in sorted(folder.rglob("*"), reverse=True):  # what is inside comes before what holds it
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.lstat().st_mtime <= before:
                path.unlink()
        except OSError:
            continue  # not empty, or gone meanwhile
