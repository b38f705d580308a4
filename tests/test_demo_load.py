"""Twenty people, sixty jobs, two murders: everybody is served in turn or told why not, and nothing is lost."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from demo_house import LOOKS, QUICK, House
from demo_load import Crowd, Row, murder, unfair_turns

pytestmark = pytest.mark.timeout(900)  # the storm takes a minute; on a machine that is busy with others, several


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """The storm, from the first knock to the last job; the tests look at what it left behind."""
    house = House(tmp_path_factory.mktemp("storm"))
    house.start()
    crowd = Crowd(house, users=20, jobs=3, clip=QUICK)
    try:
        crowd.arrive(0.3)
        crowd.ask(greedy=4)
        crowd.watch(lambda states: states["done"] >= 24)
        (worker,) = house.worker_pids()
        murder(worker)
        crowd.watch(lambda states: states["done"] >= 40 and states["running"])
        crowd.orphans = house.worker_pids()
        murder(house.server.pid)
        house.server.wait(30)
        house.server = None
        crowd.before = {row.id: row.state for row in crowd.rows()}
        crowd.orphans_left = left_alive(crowd.orphans)
        house.start()
        crowd.watch(lambda states: not states["queued"] and not states["running"])
        yield crowd
    finally:
        house.stop()


def left_alive(pids: list[int]) -> list[int]:
    """Those that still run some seconds later."""
    for _ in range(LOOKS):
        pids = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if not pids:
            break
        time.sleep(0.02)
    return pids


def test_a_judge_of_fairness_sees_an_unfair_turn():
    def row(name: str, account: str, queued: int, started: int) -> Row:
        return Row(name, account, "done", f"{queued:03}", f"{started:03}", f"{started + 1:03}", None)

    fair = [row("1", "a", 0, 10), row("2", "b", 1, 12), row("3", "a", 0, 14), row("4", "b", 1, 16)]
    assert not unfair_turns(fair)
    greedy = [row("1", "a", 0, 10), row("3", "a", 0, 12), row("2", "b", 1, 14)]
    assert [each.id for each in unfair_turns(greedy)] == ["3"]
    late = [row("1", "a", 0, 10), row("3", "a", 0, 12), row("2", "b", 13, 14)]
    assert not unfair_turns(late), "who was not there yet was not passed over"


def test_nothing_that_was_accepted_is_lost(crowd):
    rows = {row.id: row for row in crowd.rows()}
    assert len(crowd.accepted) >= 60 and set(crowd.accepted) == set(rows)
    states = [row.state for row in rows.values()]
    assert states.count("failed") == 1, "the job at hand when the worker was killed"
    assert states.count("interrupted") == 1, "the job at hand when the server was killed"
    assert states.count("done") == len(rows) - 2


def test_the_others_were_refused_with_a_reason(crowd):
    assert crowd.refused
    for status, said in crowd.refused:
        assert status == 429 and "as many as one person may" in said


def test_everybody_had_their_turn(crowd):
    assert not unfair_turns(crowd.rows())


def test_whose_job_broke_was_told_so_in_one_sentence(crowd):
    (failed,) = [row for row in crowd.rows() if row.state == "failed"]
    (interrupted,) = [row for row in crowd.rows() if row.state == "interrupted"]
    assert "broke off" in failed.message and "stopped while" in interrupted.message
    assert crowd.before[interrupted.id] == "running" and list(crowd.before.values()).count("queued") > 5


def test_the_worker_does_not_outlive_its_server(crowd):
    assert crowd.orphans and not crowd.orphans_left


def test_the_database_is_sound_and_the_audit_whole(crowd):
    with sqlite3.connect(crowd.house.home / "registry.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert not database.execute("pragma foreign_key_check").fetchall()
    registry = crowd.house.registry()
    verdict = registry.audit.verify()
    assert verdict.sound, verdict.finding
    ends = [e.event for e in registry.audit.entries() if e.event in ("job_done", "job_failed", "job_interrupted")]
    assert len(ends) == len(crowd.rows())
    registry.close()


def test_no_half_made_file_is_left_and_every_clip_is_whole(crowd):
    files = crowd.house.home / "files"
    assert not [path for path in files.rglob("*") if "unfinished" in path.name and path.is_file()]
    assert not list((files / "unfinished").glob("*"))
    with sqlite3.connect(crowd.house.home / "registry.db") as database:
        kept = dict(database.execute("select path, size_bytes from clips where deleted_at is null"))
    there = {path.relative_to(files).as_posix(): path.stat().st_size for path in (files / "clips").glob("*")}
    assert there == kept and len(kept) >= 58


def test_memory_stays_flat(crowd):
    assert crowd.growth_mb("server", 5, 40) < 40
    assert crowd.growth_mb("worker", 5, 24) < 60
