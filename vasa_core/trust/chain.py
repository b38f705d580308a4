"""The hash chain of the audit log: what is hashed, how a chain is proved, and the anchor that guards its end.

Each entry's digest is the sha256 of the canonical JSON of its own fields and of the digest before it. So a changed,
removed, inserted or reordered entry breaks the chain where it happened. A chain cut off at its end is still a chain:
an `Anchor`, count and head under an HMAC whose key lies in the house and not in the database, says how long it was.

What cannot be told: whoever may write the database and read the house's key can write another history. Note count and
head down elsewhere (`vasa audit verify` prints them) and compare later (`--expect`) to be safe from that as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

GENESIS = "0" * 64
"""What the first entry follows."""

WORD = re.compile(r"[A-Za-z0-9_.:+-]{0,160}")
"""A fact is a word: an opaque id, a hash, a code. No spaces, so no sentence and hardly a name gets into the log."""

Fact = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the audit log, `number` counted from 1; `at` is UTC as ISO 8601."""

    number: int
    at: str
    event: str
    actor: str
    facts: Mapping[str, Fact]
    previous: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """How long the chain was and how it ended when somebody last looked."""

    count: int
    head: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a proof of the chain found; `first_broken` is the number of the first entry that does not fit."""

    sound: bool
    count: int
    head: str
    finding: str
    first_broken: int | None = None


def canonical(facts: Mapping[str, Fact]) -> str:
    """The one spelling of these facts as JSON; ValueError where one is not a word or a number."""
    for name, fact in facts.items():
        if not name.isidentifier() or (isinstance(fact, str) and not WORD.fullmatch(fact)):
            raise ValueError(f"The audit keeps words and numbers, no names and no sentences: {name}={fact!r}")
    return _spelled(dict(facts))


def _spelled(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def digest(number: int, at: str, event: str, actor: str, facts: str, previous: str) -> str:
    """The sha256 that ties an entry, its facts in canonical spelling, to the one before it."""
    return hashlib.sha256(_spelled([number, at, event, actor, facts, previous]).encode()).hexdigest()


def entry(number: int, at: str, event: str, actor: str, facts: Mapping[str, Fact], previous: str) -> Entry:
    """A new entry that follows `previous`; ValueError where a part of it is not a word or a number."""
    if not all(0 < len(word) <= 64 and WORD.fullmatch(word) for word in (event, actor)):
        raise ValueError(f"Events and actors are words: {event!r}, {actor!r}")
    own = digest(number, at, event, actor, canonical(facts), previous)
    frozen = MappingProxyType(dict(facts))
    return Entry(number=number, at=at, event=event, actor=actor, facts=frozen, previous=previous, digest=own)


def prove(entries: Iterable[Entry], anchor: Anchor | None = None) -> Verdict:
    """Reads the chain from its first entry and names the first that does not fit, or says that all do."""
    count, head, anchored = 0, GENESIS, anchor is None or anchor.count == 0
    for line in entries:
        if fault := _fault(line, count, head):
            return Verdict(sound=False, count=count, head=head, finding=fault, first_broken=count + 1)
        count, head = line.number, line.digest
        if anchor is not None and count == anchor.count:
            if head != anchor.head:
                finding = f"entry {count} or one before it was replaced: the anchor remembers another digest"
                return Verdict(sound=False, count=count, head=head, finding=finding, first_broken=count)
            anchored = True
    if not anchored and anchor is not None:
        finding = f"the end was cut off: the anchor remembers {anchor.count} entries, {count} are left"
        return Verdict(sound=False, count=count, head=head, finding=finding, first_broken=count + 1)
    return Verdict(sound=True, count=count, head=head, finding=_praise(count, anchor))


def _fault(line: Entry, count: int, head: str) -> str | None:
    if line.number != count + 1:
        return f"entry {count + 1} is missing: {line.number} stands in its place"
    if line.previous != head:
        return f"entry {line.number} does not follow entry {count}: one was changed, inserted or moved here"
    if line.digest != digest(line.number, line.at, line.event, line.actor, _spelled(dict(line.facts)), line.previous):
        return f"entry {line.number} was changed: its digest is not that of its words"
    return None


def _praise(count: int, anchor: Anchor | None) -> str:
    if anchor is None:
        return f"all {count} entries follow one another; nothing says whether more came after them"
    newer = f", {count - anchor.count} of them newer than the anchor" if count > anchor.count else ""
    return f"all {count} entries follow one another and reach the anchor{newer}"


# ---- the anchor's own spelling ------------------------------------------------------------------------------------


def sealed(anchor: Anchor, key: bytes) -> str:
    """The anchor as one line of text that only who has the key can write."""
    return f"{anchor.count}:{anchor.head}:{_mac(anchor, key)}\n"


def unsealed(text: str, key: bytes) -> Anchor | None:
    """The anchor in a sealed line; None when it was not written with this key."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64}):([0-9a-f]{64})\n?", text)
    if not found:
        return None
    anchor = Anchor(count=int(found[1]), head=found[2])
    return anchor if hmac.compare_digest(found[3], _mac(anchor, key)) else None


def _mac(anchor: Anchor, key: bytes) -> str:
    return hmac.new(key, f"{anchor.count}:{anchor.head}".encode(), hashlib.sha256).hexdigest()
