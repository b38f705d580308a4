"""Where the time goes: seconds per stage, measured while the work streams by."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Seconds per stage. Stages may nest: an inner stage's seconds are not counted in the outer one's.

    Stages of several threads run side by side, so that their seconds may add up to more than passed.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _nest: threading.local = field(default_factory=threading.local)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Books the time spent inside under `name`."""
        inner = self._nest.__dict__.setdefault("inner", [])
        inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - inner.pop()
            if inner:
                inner[-1] += spent

    def timed(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the time that making them takes is booked under `name`."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item
