"""The hash chain: whatever is changed, removed, inserted, moved or cut off is found, and named."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random

import pytest

from vasa_core.trust import chain
from vasa_core.trust.chain import GENESIS, Anchor, Entry, canonical, prove, sealed, unsealed

KEY = b"k" * 32


def made(count: int, seed: int = 0) -> list[Entry]:
    rng, entries, previous = random.Random(seed), [], GENESIS
    for number in range(1, count + 1):
        facts = {"clip": f"{rng.getrandbits(64):016x}", "frames": rng.randrange(900), "late": None}
        at = f"2026-01-01T00:{number // 60:02}:{number % 60:02}.000000+00:00"
        entries.append(chain.entry(number, at, rng.choice(["granted", "refused"]), "someone", facts, previous))
        previous = entries[-1].digest
    return entries


def anchor_of(entries: list[Entry]) -> Anchor:
    return Anchor(count=len(entries), head=entries[-1].digest)


def reforged(entries: list[Entry]) -> list[Entry]:
    """The same entries with numbers and digests made anew, as a forger who knows the recipe would."""
    forged, previous = [], GENESIS
    for number, line in enumerate(entries, 1):
        forged.append(chain.entry(number, line.at, line.event, line.actor, line.facts, previous))
        previous = forged[-1].digest
    return forged


def test_the_digest_is_the_sha256_of_the_canonical_json():
    line = chain.entry(1, "now", "granted", "a", {"b": 1, "a": "x"}, GENESIS)
    text = json.dumps([1, "now", "granted", "a", '{"a":"x","b":1}', GENESIS], separators=(",", ":"))
    assert line.digest == hashlib.sha256(text.encode()).hexdigest()


def test_the_spelling_does_not_depend_on_the_order():
    assert canonical({"b": 1, "a": None}) == canonical({"a": None, "b": 1}) == '{"a":null,"b":1}'


@pytest.mark.parametrize("fact", ["Jane Doe", "a/b", "jané", "x" * 161, "<b>", "a\n"])
def test_names_sentences_and_paths_do_not_get_into_the_log(fact):
    with pytest.raises(ValueError, match="no names"):
        canonical({"who": fact})


@pytest.mark.parametrize(("event", "actor"), [("", "a"), ("granted", ""), ("granted", "Jane Doe"), ("a b", "a")])
def test_events_and_actors_are_words(event, actor):
    with pytest.raises(ValueError, match="are words"):
        chain.entry(1, "now", event, actor, {}, GENESIS)


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        canonical({"n": float("nan")})


def test_a_whole_chain_is_sound():
    entries = made(50)
    verdict = prove(entries, anchor_of(entries))
    assert (verdict.sound, verdict.count, verdict.head, verdict.first_broken) == (True, 50, entries[-1].digest, None)


def test_an_empty_chain_is_sound():
    assert prove([]).sound
    assert prove([], Anchor(count=0, head=GENESIS)).sound


@pytest.mark.parametrize("seed", range(25))
def test_any_change_of_any_field_is_found_where_it_is(seed):
    rng, entries = random.Random(seed), made(20, seed)
    place = rng.randrange(20)
    field = ("at", "event", "actor", "facts", "digest", "previous")[seed % 6]
    value = {"facts": {"clip": "other"}, "digest": "0" * 64, "previous": "1" * 64}.get(field, "other")
    entries[place] = dataclasses.replace(entries[place], **{field: value})
    verdict = prove(entries)
    assert not verdict.sound
    assert verdict.first_broken == place + 1


@pytest.mark.parametrize("seed", range(10))
def test_a_removed_an_inserted_and_a_moved_entry_are_found_where_they_are(seed):
    rng, entries = random.Random(seed), made(20, seed)
    place = rng.randrange(18)
    without = entries[:place] + entries[place + 1 :]
    assert prove(without).first_broken == place + 1
    assert prove([dataclasses.replace(e, number=n) for n, e in enumerate(without, 1)]).first_broken == place + 1
    doubled = entries[: place + 1] + entries[place:]
    assert prove(doubled).first_broken == place + 2
    swapped = [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]
    assert prove(swapped).first_broken == place + 1


@pytest.mark.parametrize("left", [0, 1, 19])
def test_a_cut_off_end_is_found_by_the_anchor_alone(left):
    entries = made(20)
    assert prove(entries[:left]).sound
    verdict = prove(entries[:left], anchor_of(entries))
    assert not verdict.sound
    assert verdict.first_broken == left + 1
    assert "cut off" in verdict.finding


def test_another_history_made_with_the_right_recipe_is_found_by_the_anchor():
    entries = made(20)
    entries[4] = dataclasses.replace(entries[4], actor="nobody")
    forged = reforged(entries)
    assert prove(forged).sound
    verdict = prove(forged, anchor_of(made(20)))
    assert not verdict.sound
    assert "replaced" in verdict.finding


def test_entries_newer_than_the_anchor_are_told():
    entries = made(20)
    verdict = prove(entries, anchor_of(entries[:17]))
    assert verdict.sound
    assert "3 of them newer" in verdict.finding


def test_an_anchor_is_read_by_its_key_alone():
    anchor = anchor_of(made(3))
    line = sealed(anchor, KEY)
    assert unsealed(line, KEY) == anchor
    assert unsealed(line, b"other") is None
    assert unsealed(line.replace("3:", "2:", 1), KEY) is None
    for damaged in ("", "3", line[:-5], line + line, "x" * 140):
        assert unsealed(damaged, KEY) is None
