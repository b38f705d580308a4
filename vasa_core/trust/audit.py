"""The audit log in the database: append, read, prove. Nothing in it can be changed or taken out, only added to.

The database itself refuses UPDATE and DELETE on the table (triggers). An entry is written in the same transaction as
the change it tells of, so one never stands without the other.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert, select

from vasa_core.trust import chain
from vasa_core.trust.chain import GENESIS, Anchor, Entry, Fact, Verdict
from vasa_core.trust.schema import audit
from vasa_core.trust.store import Store

PAGE = 1000
KEY_BYTES = 32


@dataclass(frozen=True)
class Audit:
    """The log of one database; `anchor_path` and `key_path` lie in the house, away from the database."""

    store: Store
    anchor_path: Path
    key_path: Path

    def append(self, event: str, actor: str, **facts: Fact) -> Entry:
        """Adds one entry. Facts are opaque ids, codes and numbers: names and sentences are a ValueError."""
        with self.writing() as note:
            return note(event, actor, **facts)

    @contextmanager
    def writing(self) -> Iterator[Note]:
        """A writing transaction, and what appends entries to the log within it."""
        with self.store.writing() as connection:
            note = Note(connection)
            yield note
        if note.last is not None:
            self._move_anchor(Anchor(count=note.last.number, head=note.last.digest))

    def entries(
        self, *, newest: int | None = None, after: int = 0, event: str | None = None, actor: str | None = None
    ) -> list[Entry]:
        """Entries in order; the `newest` so many, those `after` a number, of one event, by one actor."""
        query = select(audit).where(audit.c.number > after)
        query = query.where(audit.c.event == event) if event is not None else query
        query = query.where(audit.c.actor == actor) if actor is not None else query
        with self.store.reading() as connection:
            if newest is None:
                return list(map(_entry, connection.execute(query.order_by(audit.c.number))))
            rows = connection.execute(query.order_by(audit.c.number.desc()).limit(newest)).all()
        return [_entry(row) for row in reversed(rows)]

    def verify(self, expected: Anchor | None = None) -> Verdict:
        """Proves the chain from its first entry, against the house's anchor and one noted down elsewhere."""
        anchor, damaged = self._anchor()  # read first: the chain only grows
        with self.store.reading() as connection:
            verdict = chain.prove(_pages(connection), anchor)
            if verdict.sound and expected is not None:
                verdict = chain.prove(_pages(connection), expected)
        if verdict.sound and damaged:
            finding = "the entries follow one another, but the anchor in the house was damaged or forged"
            return Verdict(sound=False, count=verdict.count, head=verdict.head, finding=finding)
        return verdict

    # ---- the anchor ------------------------------------------------------------------------------------------------

    def _anchor(self) -> tuple[Anchor | None, bool]:
        """The anchor, and whether its file is there but not ours."""
        if not self.anchor_path.exists():
            return None, False
        anchor = chain.unsealed(self.anchor_path.read_text(errors="replace"), self._key())
        return anchor, anchor is None

    def _move_anchor(self, anchor: Anchor) -> None:
        """Moves it forwards, never back; a damaged one stays for `verify` to find."""
        with _locked(self.anchor_path.with_suffix(".lock")):
            before, damaged = self._anchor()
            if damaged or (before is not None and before.count >= anchor.count):
                return
            unfinished = self.anchor_path.with_suffix(f".{os.getpid()}.unfinished")
            unfinished.write_text(chain.sealed(anchor, self._key()))
            unfinished.replace(self.anchor_path)

    def _key(self) -> bytes:
        if not self.key_path.exists():
            self.key_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished = self.key_path.with_suffix(f".{secrets.token_hex(4)}.unfinished")
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(secrets.token_bytes(KEY_BYTES))
            with suppress(FileExistsError):  # another process was faster: its key counts
                os.link(unfinished, self.key_path)
            unfinished.unlink()
        return self.key_path.read_bytes()


class Note:
    """Appends to the log inside one writing transaction, whose `connection` may be used for what the entries tell."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.last: Entry | None = None

    def __call__(self, event: str, actor: str, **facts: Fact) -> Entry:
        """Adds one entry."""
        number, previous = (self.last.number, self.last.digest) if self.last else _end(self.connection)
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        made = chain.entry(number + 1, at, event, actor, facts, previous)
        spelled = chain.canonical(facts)
        fields = {"event": event, "actor": actor, "facts": spelled, "previous": previous, "digest": made.digest}
        self.connection.execute(insert(audit).values(number=made.number, at=at, **fields))
        self.last = made
        return made


def _end(connection: Connection) -> tuple[int, str]:
    last = connection.execute(select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)).first()
    return (last.number, last.digest) if last else (0, GENESIS)


def _entry(row: object) -> Entry:
    fields = dict(row._mapping)  # type: ignore[attr-defined]
    return Entry(**(fields | {"facts": json.loads(fields["facts"])}))


def _pages(connection: Connection) -> Iterator[Entry]:
    """The whole log, a page in memory at a time, whatever numbers stand in it."""
    query = select(audit).order_by(audit.c.number).limit(PAGE)
    page = list(map(_entry, connection.execute(query)))
    while page:
        yield from page
        page = list(map(_entry, connection.execute(query.where(audit.c.number > page[-1].number))))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock file against the other processes and threads of this machine."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes
        yield
