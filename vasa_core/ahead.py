"""One step ahead: what comes next is made in another thread while this one works on what came before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")

_PATIENCE_S = 0.1  # how soon the maker notices that nobody takes its things any more
_FAREWELL_S = 10.0  # a maker that still works while Python ends would take the process down with it


def made_ahead(
    items: Iterable[Item], depth: int = 1, left: threading.Event | None = None
) -> Generator[Item, None, None]:
    """The same items in the same order, up to `depth` of them finished before they are asked for; work begins at once.

    Closing this generator waits until the maker stops, at its next item. An error of the maker is raised where its item
    was due. Generators that make ahead from one another share `left`: closing the last of them ends them all, even
    where one waits for another.
    """
    ready: queue.Queue[tuple[str, object]] = queue.Queue(maxsize=depth)
    left = left or threading.Event()

    def put(kind: str, value: object) -> None:
        while not left.is_set():
            with suppress(queue.Full):
                ready.put((kind, value), timeout=_PATIENCE_S)
                break

    def make() -> None:
        try:
            for item in items:
                put("item", item)
                if left.is_set():
                    return
            put("end", None)
        except BaseException as fault:
            put("fault", fault)

    maker = threading.Thread(target=make, name="made-ahead", daemon=True)

    def given() -> Generator[Item, None, None]:
        try:
            yield  # type: ignore[misc]  # once entered, closing stops the maker
            while True:
                try:
                    kind, value = ready.get(timeout=_PATIENCE_S)
                except queue.Empty:
                    if left.is_set():
                        return
                    continue
                if kind == "end":
                    return
                if kind == "fault":
                    raise value  # type: ignore[misc]
                yield value  # type: ignore[misc]
        except GeneratorExit:
            left.set()
            maker.join(_FAREWELL_S)
            raise

    taken = given()
    maker.start()
    next(taken)
    return taken
