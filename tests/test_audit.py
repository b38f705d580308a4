"""The audit log in a database: many writers and one chain, forgeries past the triggers, an anchor outside."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading

import pytest
from conftest import REPOSITORY
from sqlalchemy import text

from vasa_core.trust.chain import Anchor
from vasa_core.trust.registry import Registry

WRITER = """
import sys
from pathlib import Path
from vasa_core.trust.registry import Registry
registry = Registry.open(sys.argv[1], Path(sys.argv[2]))
for number in range(int(sys.argv[4])):
    registry.audit.append("counted", sys.argv[3], number=number)
"""


@pytest.fixture
def kept(database, tmp_path):
    """A registry on each kind of database."""
    opened = Registry.open(database, tmp_path / "house")
    yield opened
    opened.close()


def filled(kept: Registry, count: int = 6) -> Registry:
    for number in range(count):
        kept.audit.append("counted", "someone", number=number)
    return kept


def forge(kept: Registry, *orders: str) -> None:
    """Changes the table behind the triggers' back, as who owns the database can."""
    with kept.store.writing() as connection:
        if connection.dialect.name == "sqlite":
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS audit_refuses_{verb}"))
        else:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_refuses ON audit"))
        for order in orders:
            connection.exec_driver_sql(order)


def test_what_was_appended_is_read_back_in_order(kept):
    first = kept.audit.append("granted", "a", grant="g1", frames=3, late=None, live=True)
    second = kept.audit.append("refused", "b")
    assert kept.audit.entries() == [first, second]
    assert kept.audit.entries(event="refused") == [second]
    assert kept.audit.entries(actor="a") == [first]
    assert kept.audit.entries(after=1) == [second]
    assert kept.audit.entries(newest=1) == [second]
    assert kept.audit.verify().sound


def test_a_name_is_refused_and_nothing_is_written(kept):
    with pytest.raises(ValueError, match="no names"):
        kept.audit.append("granted", "a", who="Jane Doe")
    assert kept.audit.entries() == []


def test_a_change_that_fails_leaves_no_entry(kept):
    with pytest.raises(RuntimeError), kept.audit.writing() as note:
        note("revoked", "a")
        raise RuntimeError
    assert kept.audit.entries() == []
    assert kept.audit.verify().sound


def test_several_entries_in_one_transaction_follow_one_another(kept):
    with kept.audit.writing() as note:
        one, two = note("a", "x"), note("b", "x")
    assert two.previous == one.digest
    assert kept.audit.verify().sound


@pytest.mark.parametrize(
    ("order", "broken", "words"),
    [
        ("UPDATE audit SET actor = 'other' WHERE number = 3", 3, "changed"),
        (
            """UPDATE audit SET facts = '{"number": 2}' WHERE number = 3""",
            None,
            "",
        ),  # the same facts, spelled otherwise
        ("""UPDATE audit SET facts = '{"number":9}' WHERE number = 3""", 3, "changed"),
        ("DELETE FROM audit WHERE number = 2", 2, "missing"),
        ("DELETE FROM audit WHERE number = 1", 1, "missing"),
        ("DELETE FROM audit WHERE number > 4", 5, "cut off"),
        (
            "INSERT INTO audit SELECT 0, at, event, actor, facts, previous, 'x' FROM audit LIMIT 1",
            1,
            "missing",
        ),
        ("INSERT INTO audit SELECT 7, at, event, actor, facts, previous, 'x' FROM audit WHERE number = 6", 7, "follow"),
        ("DELETE FROM audit", 1, "cut off"),
        ("UPDATE audit SET number = number + 10 WHERE number > 3", 4, "missing"),
    ],
)
def test_a_forgery_in_the_database_is_named(kept, order, broken, words):
    filled(kept)
    forge(kept, order)
    verdict = kept.audit.verify()
    assert verdict.first_broken == broken
    assert verdict.sound == (broken is None)
    assert words in verdict.finding


def test_two_entries_that_changed_places_are_named(kept):
    filled(kept)
    moves = [f"UPDATE audit SET number = {new} WHERE number = {old}" for old, new in ((3, 99), (4, 3), (99, 4))]
    forge(kept, *moves)
    assert kept.audit.verify().first_broken == 3


def test_a_lost_anchor_is_told_and_a_forged_one_is_found(kept):
    filled(kept)
    anchor = kept.audit.anchor_path
    anchor.write_text(anchor.read_text().replace("6:", "4:", 1))
    assert not kept.audit.verify().sound
    assert "anchor" in kept.audit.verify().finding
    kept.audit.append("counted", "someone")  # an append does not heal what was forged
    assert not kept.audit.verify().sound
    anchor.unlink()
    assert "nothing says whether more came" in kept.audit.verify().finding


def test_a_head_noted_down_elsewhere_finds_another_history(kept, tmp_path):
    before = filled(kept).audit.verify()
    noted = Anchor(count=before.count, head=before.head)
    kept.audit.append("counted", "someone")
    assert kept.audit.verify(noted).sound
    forge(kept, "DELETE FROM audit")
    kept.audit.anchor_path.unlink()
    filled(kept, 8)
    assert kept.audit.verify().sound  # a new history, forged whole with the house's own key
    assert not kept.audit.verify(noted).sound


def test_an_old_copy_of_the_database_put_back_is_found(tmp_path):
    registry = filled(Registry.open(home=tmp_path))
    registry.close()
    shutil.copy(tmp_path / "registry.db", tmp_path / "old.db")
    filled(Registry.open(home=tmp_path), 2).close()
    shutil.copy(tmp_path / "old.db", tmp_path / "registry.db")
    verdict = Registry.open(home=tmp_path).audit.verify()
    assert (verdict.sound, verdict.first_broken) == (False, 7)


def test_each_database_has_an_anchor_of_its_own(tmp_path):
    home = tmp_path / "house"
    one, two = (Registry.open(f"sqlite:///{tmp_path / name}.db", home) for name in ("one", "two"))
    filled(one, 5)
    filled(two, 2)
    assert one.audit.verify().sound
    assert two.audit.verify().sound


def test_many_threads_write_one_chain(kept):
    threads = [threading.Thread(target=filled, args=(kept, 15)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = kept.audit.verify()
    assert (verdict.sound, verdict.count) == (True, 90)
    assert "reach the anchor" in verdict.finding
    assert "newer" not in verdict.finding


def test_many_processes_write_one_chain_even_while_it_is_made(database, tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database, str(tmp_path / "house"), f"process{k}", "15"],
            cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
        )
        for k in range(3)
    ]  # fmt: skip
    for writer in writers:
        _, complaint = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaint
    registry = Registry.open(database, tmp_path / "house")
    verdict = registry.audit.verify()
    assert (verdict.sound, verdict.count) == (True, 45)
    assert "newer" not in verdict.finding
    for k in range(3):
        assert [e.facts["number"] for e in registry.audit.entries(actor=f"process{k}")] == list(range(15))


def test_a_writer_killed_in_the_middle_leaves_a_sound_chain(database, tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, database, str(tmp_path / "house"), "killed", "100000"], cwd=REPOSITORY
    )
    registry = Registry.open(database, tmp_path / "house")
    while len(registry.audit.entries(newest=20)) < 20:
        assert writer.poll() is None
    writer.kill()
    writer.wait()
    registry.audit.append("counted", "survivor")
    verdict = registry.audit.verify()
    assert verdict.sound
    assert verdict.count > 20


def test_keys_and_database_are_for_their_owner_alone(tmp_path):
    filled(Registry.open(home=tmp_path / "house"))
    for path in (tmp_path / "house", tmp_path / "house" / "keys"):
        assert path.stat().st_mode & 0o077 == 0
    for path in (tmp_path / "house" / "registry.db", tmp_path / "house" / "keys" / "audit.key"):
        assert path.stat().st_mode & 0o077 == 0
