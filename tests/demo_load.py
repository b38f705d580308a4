"""A crowd at the demo's door, and two murders: what becomes of everybody's jobs.

The tests use a light crowd; `python tests/demo_load.py --users 20 --jobs 3 --seconds 2 --size 512` measures another.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from demo_house import LOOKS, PASSWORD, Browser, House, resident_mb, voice

OVER = ("done", "failed", "cancelled", "interrupted")


@dataclass
class Crowd:
    """People who each ask for a few clips at once."""

    house: House
    users: int
    jobs: int
    clip: dict[str, object]
    browsers: list[Browser] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    memory: list[tuple[int, str, float]] = field(default_factory=list)
    """(jobs over, whose, megabytes) as time went by."""

    def arrive(self, seconds: float) -> None:
        """Everybody signs in and brings a voice of their own."""
        self.house.add(*((f"user{number}", "viewer") for number in range(self.users)))
        self.browsers = [Browser(self.house.url) for _ in range(self.users)]
        with ThreadPoolExecutor(2) as door:  # two at a time get their password checked anyway
            answers = list(door.map(lambda pair: pair[1].sign_in(f"user{pair[0]}", PASSWORD), enumerate(self.browsers)))
        assert {answer.status_code for answer in answers} == {303}
        for number, browser in enumerate(self.browsers):
            sound = browser.upload(voice(seconds, 100 + 10 * number), "sound")
            browser.sound = sound.json()["upload"]  # type: ignore[attr-defined]

    def ask(self, greedy: int = 0) -> None:
        """All at once; the first of them for `greedy` clips more than they should."""

        def one(number: int) -> None:
            browser = self.browsers[number]
            for _ in range(self.jobs + (greedy if number == 0 else 0)):
                asked = {"portrait": "mei", "upload": browser.sound, **self.clip}  # type: ignore[attr-defined]
                answer = browser.post("/jobs", json=asked)
                if answer.status_code == 202:
                    self.accepted.append(answer.json()["job"])
                else:
                    self.refused.append((answer.status_code, answer.json()["detail"]))

        with ThreadPoolExecutor(self.users) as all_of_them:
            list(all_of_them.map(one, range(self.users)))

    def watch(self, until: Callable[[Counter[str]], bool]) -> None:
        """Looks on until enough has happened, writing down how much memory is used."""
        for _ in range(LOOKS * 4):
            states = Counter(job.state for job in self.rows())
            over = sum(states[state] for state in OVER)
            for whose, pids in (("server", [self.house.server.pid]), ("worker", self.house.worker_pids())):
                for pid in pids:
                    try:
                        self.memory.append((over, whose, resident_mb(pid)))
                    except OSError:
                        continue
            if until(states):
                return
            time.sleep(0.1)
        raise AssertionError(f"it takes too long: {states}")

    def rows(self) -> list[Row]:
        """The queue as the database has it."""
        with sqlite3.connect(self.house.home / "registry.db", timeout=30) as database:
            found = database.execute("select id, account_id, state, queued_at, started_at, ended_at, message from jobs")
            return [Row(*row) for row in found]

    def growth_mb(self, whose: str, first: int, last: int) -> float:
        """How much larger a process was when `last` jobs were over than when `first` were."""
        sizes = defaultdict(list)
        for over, who, size in self.memory:
            if who == whose:
                sizes[over].append(size)
        begin = [size for over in sizes if first <= over <= first + 3 for size in sizes[over]]
        end = [size for over in sizes if last - 3 <= over <= last for size in sizes[over]]
        return statistics.median(end) - statistics.median(begin) if begin and end else 0.0


@dataclass(frozen=True)
class Row:
    """One job."""

    id: str
    account: str
    state: str
    queued_at: str
    started_at: str | None
    ended_at: str | None
    message: str | None


def unfair_turns(rows: list[Row]) -> list[Row]:
    """Jobs that began although somebody else who waited had gone longer without a turn."""
    unfair = []
    begun = sorted((row for row in rows if row.started_at), key=lambda row: row.started_at)
    for row in begun:
        last: dict[str, str] = {}
        for other in begun:
            if other.started_at < row.started_at:
                last[other.account] = max(last.get(other.account, ""), other.started_at)
        waiting = {
            other.account
            for other in rows
            if other.queued_at < row.started_at
            and (other.started_at or other.ended_at or "9") > row.started_at
            and other.account != row.account
        }
        if any(last.get(account, "") < last.get(row.account, "") for account in waiting):
            unfair.append(row)
    return unfair


def murder(pid: int) -> None:
    """What the kernel does when memory runs out."""
    os.kill(pid, signal.SIGKILL)


def measured(crowd: Crowd) -> dict[str, object]:
    """The figures of one storm."""
    rows = crowd.rows()
    waits = [(_moment(row.started_at) - _moment(row.queued_at)).total_seconds() for row in rows if row.started_at]
    span = max(_moment(row.ended_at) for row in rows if row.ended_at) - min(_moment(row.queued_at) for row in rows)
    states = Counter(row.state for row in rows)
    last = len(rows)
    return {
        "asked": len(crowd.accepted) + len(crowd.refused),
        "states": dict(states),
        "refused": len(crowd.refused),
        "unfair_turns": len(unfair_turns(rows)),
        "jobs_a_minute": round(60 * states["done"] / span.total_seconds(), 1),
        "wait_median_s": round(statistics.median(waits), 1),
        "wait_longest_s": round(max(waits), 1),
        "server_mb": round(max((mb for _, who, mb in crowd.memory if who == "server"), default=0)),
        "worker_mb": round(max((mb for _, who, mb in crowd.memory if who == "worker"), default=0)),
        "server_growth_mb": round(crowd.growth_mb("server", last // 4, last), 1),
        "worker_growth_mb": round(crowd.growth_mb("worker", last // 4, last), 1),
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def main() -> None:
    """One storm with the sizes of the command line, measured."""
    words = argparse.ArgumentParser()
    for name, usual in (("users", 20), ("jobs", 3), ("size", 512), ("steps", 20)):
        words.add_argument(f"--{name}", type=int, default=usual)
    words.add_argument("--seconds", type=float, default=2.0)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.start()
        try:
            crowd = Crowd(house, asked.users, asked.jobs, {"size": asked.size, "controls": {"steps": asked.steps}})
            crowd.arrive(asked.seconds)
            crowd.ask(greedy=5)
            crowd.watch(lambda states: not states["queued"] and not states["running"])
            print(json.dumps(measured(crowd), indent=1))
            print(house.registry().audit.verify().finding)
        finally:
            house.stop()


if __name__ == "__main__":
    main()
