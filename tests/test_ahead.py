"""One step ahead: the same items in order, made in another thread, and an end when nobody listens."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from vasa_core.ahead import made_ahead


def test_the_same_items_come_in_the_same_order() -> None:
    assert list(made_ahead(range(50), depth=3)) == list(range(50))


def test_items_are_made_in_another_thread() -> None:
    (maker,) = made_ahead(threading.get_ident() for _ in range(1))
    assert maker != threading.get_ident()


def test_no_more_is_made_than_was_allowed() -> None:
    made: list[int] = []
    ahead = made_ahead((made.append(k) or k for k in itertools.count()), depth=2)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 4  # one taken, two ready, one in hand
    ahead.close()


def test_work_begins_before_anything_is_asked_for() -> None:
    begun = threading.Event()
    ahead = made_ahead(begun.set() for _ in range(1))
    assert begun.wait(10)
    ahead.close()


def test_closing_what_was_never_asked_for_stops_the_maker_too() -> None:
    made: list[int] = []
    made_ahead(made.append(k) or k for k in itertools.count()).close()
    before = len(made)
    time.sleep(0.3)
    assert len(made) == before


def test_closing_stops_the_maker() -> None:
    made: list[int] = []
    ahead = made_ahead((made.append(k) or k for k in itertools.count()), depth=1)
    next(ahead)
    ahead.close()
    time.sleep(0.3)
    before = len(made)
    time.sleep(0.3)
    assert len(made) == before


def test_an_error_is_raised_where_its_item_was_due() -> None:
    def broken():
        yield 1
        raise KeyError("lost")

    ahead = made_ahead(broken())
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="lost"):
        next(ahead)


def test_closing_the_last_of_a_chain_ends_all_even_where_one_waits_for_another() -> None:
    left, forever = threading.Event(), threading.Event()
    waiting = threading.Event()

    def long_in_coming():
        yield 1
        waiting.set()
        forever.wait(60)

    first = made_ahead(long_in_coming(), left=left)
    last = made_ahead((2 * item for item in first), left=left)
    assert next(last) == 2
    assert waiting.wait(10)
    begun = time.monotonic()
    last.close()
    assert time.monotonic() - begun < 5  # it would have waited for a minute
    forever.set()
    first.close()
