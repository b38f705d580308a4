"""The queue in the database: accounts take turns, everybody learns their place, and a restart forgets nothing."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from demo.limits import Limits
from demo.sessions import utc_now
from vasa_core.errors import BadOption, Busy
from vasa_core.trust.accounts import Account
from vasa_core.trust.audit import Audit
from vasa_core.trust.schema import jobs

WAITING, RUNNING = "queued", "running"
UNDER_WAY = (WAITING, RUNNING)
ENDS = {"done": "job_done", "failed": "job_failed", "cancelled": "job_cancelled", "interrupted": "job_interrupted"}
INTERRUPTED = "The server was stopped while this was being made; ask for it again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One row of the queue."""

    id: str
    account_id: str
    kind: str
    state: str
    request: Mapping[str, Any]
    message: str | None
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    clip_id: str | None


@dataclass(frozen=True)
class Jobs:
    """The queue of one database. Every change of state is audited, in the same transaction."""

    audit: Audit
    limits: Limits
    now: Callable[[], datetime] = utc_now

    def add(self, account: Account, kind: str, request: Mapping[str, Any]) -> str:
        """The id of a new job at the end of this account's own queue, unless it has asked for too much."""
        job_id = secrets.token_hex(16)
        row = {"id": job_id, "account_id": account.id, "kind": kind, "state": WAITING, "request": dict(request)}
        with self.audit.writing() as note:
            self._check_room(note.connection, account)
            note.connection.execute(insert(jobs).values(**row, queued_at=self.now()))
            note("job_queued", account.id, job=job_id, kind=kind)
        return job_id

    def take(self) -> Job | None:
        """The job whose turn it is, now running; None when nobody waits."""
        with self.audit.store.reading() as connection:  # looked at often: a look must not stop who writes
            if not connection.execute(select(func.count()).where(jobs.c.state == WAITING)).scalar():
                return None
        with self.audit.writing() as note:
            order = _order(note.connection)
            if not order:
                return None
            now = self.now()
            change = update(jobs).where(jobs.c.id == order[0])
            note.connection.execute(change.values(state=RUNNING, started_at=now))
            row = note.connection.execute(select(jobs).where(jobs.c.id == order[0])).one()
            note("job_started", row.account_id, job=row.id, waited_s=round((now - row.queued_at).total_seconds(), 3))
        return _job(row)

    def end(
        self,
        job_id: str,
        state: str,
        message: str | None = None,
        clip_id: str | None = None,
        made: Mapping[str, Any] | None = None,
    ) -> bool:
        """Ends a job that has not ended yet; says whether it did. `made` tells about the clip, beside the request."""
        with self.audit.writing() as note:
            living = (jobs.c.id == job_id, jobs.c.state.in_(UNDER_WAY))
            row = note.connection.execute(select(jobs.c.account_id, jobs.c.request).where(*living)).first()
            if row is None:
                return False
            fields: dict[str, Any] = {"state": state, "message": message, "clip_id": clip_id, "ended_at": self.now()}
            fields["request"] = {**row.request, "made": dict(made)} if made else row.request
            note.connection.execute(update(jobs).where(jobs.c.id == job_id).values(**fields))
            note(ENDS[state], row.account_id, job=job_id, clip=clip_id)
        return True

    def cancel_waiting(self, account: Account, job_id: str) -> bool:
        """Takes a job out of the queue; False when it is already running or over."""
        job = self.of(account, job_id)
        return job.state == WAITING and self.end(job_id, "cancelled", "Cancelled before it began.")

    def end_waiting(self, job_id: str) -> bool:
        """Ends a job that nobody waits for any more, unless its turn has come."""
        return job_id not in self.places() or self.end(job_id, "cancelled")

    def of(self, account: Account, job_id: str) -> Job:
        """A job of this account; the same refusal for one of somebody else's and for none."""
        with self.audit.store.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
        if row is None or (row.account_id != account.id and not account.is_at_least("administrator")):
            raise BadOption("There is no such job of yours.")
        return _job(row)

    def all_of(self, account: Account, newest: int = 50) -> list[Job]:
        """The newest jobs of this account, newest first."""
        query = select(jobs).where(jobs.c.account_id == account.id).order_by(jobs.c.queued_at.desc()).limit(newest)
        with self.audit.store.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def of_clip(self, clip_id: str) -> Job | None:
        """The job that made a clip."""
        with self.audit.store.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.clip_id == clip_id)).first()
        return _job(row) if row is not None else None

    def places(self) -> dict[str, int]:
        """Of every waiting job: 1 when it is next, and so on, as the turns would go from here."""
        with self.audit.store.reading() as connection:
            return {job_id: place for place, job_id in enumerate(_order(connection), 1)}

    def forget_words(self, ended_before: datetime) -> int:
        """Takes the words out of jobs that ended long ago; says of how many."""
        with self.audit.store.writing() as connection:
            return connection.execute(update(jobs).where(jobs.c.ended_at < ended_before).values(request={})).rowcount

    def recover(self) -> int:
        """At start: what ran when the server went down is over, and live sessions have nobody at the other end."""
        gone = (jobs.c.state == RUNNING) | ((jobs.c.state == WAITING) & (jobs.c.kind == "live"))
        with self.audit.store.reading() as connection:
            orphans = connection.execute(select(jobs.c.id).where(gone)).scalars().all()
        return sum(self.end(job_id, "interrupted", INTERRUPTED) for job_id in orphans)

    def _check_room(self, connection: Connection, account: Account) -> None:
        waiting = select(func.count()).where(jobs.c.state.in_(UNDER_WAY))
        own = connection.execute(waiting.where(jobs.c.account_id == account.id)).scalar() or 0
        if own >= self.limits.queued_per_account:
            raise Busy(f"You have {own} jobs waiting, as many as one person may; wait for one of them.")
        if (connection.execute(waiting).scalar() or 0) >= self.limits.queued_in_all:
            raise Busy("The queue is full; try again in a few minutes.")
        hour_ago = self.now() - timedelta(hours=1)
        recent = select(func.count()).where(jobs.c.account_id == account.id, jobs.c.queued_at > hour_ago)
        if (connection.execute(recent).scalar() or 0) >= self.limits.clips_per_hour:
            raise Busy(f"At most {self.limits.clips_per_hour} jobs in an hour; try again later.")


def fair_order(waiting: Iterable[tuple[str, str]], last_turn: Mapping[str, datetime]) -> list[str]:
    """Job ids in the order of turns. `waiting` is (job, account), oldest first; `last_turn` when each was served last.

    One job of each account, those first who have waited longest for a turn; then the next of each, and so on.
    """
    own: dict[str, deque[str]] = {}
    for job_id, account_id in waiting:
        own.setdefault(account_id, deque()).append(job_id)
    never = datetime.min.replace(tzinfo=utc_now().tzinfo)
    turns = deque(sorted(own, key=lambda account_id: last_turn.get(account_id, never)))  # stable: then oldest first
    order = []
    while turns:
        account_id = turns.popleft()
        order.append(own[account_id].popleft())
        if own[account_id]:
            turns.append(account_id)
    return order


def _order(connection: Connection) -> list[str]:
    waiting = select(jobs.c.id, jobs.c.account_id).where(jobs.c.state == WAITING)
    rows = connection.execute(waiting.order_by(jobs.c.queued_at, jobs.c.id)).all()
    accounts = {row.account_id for row in rows}
    turns = select(jobs.c.account_id, func.max(jobs.c.started_at)).where(jobs.c.account_id.in_(accounts))
    turns = turns.where(jobs.c.started_at.is_not(None)).group_by(jobs.c.account_id)
    last_turn = {row[0]: row[1] for row in connection.execute(turns)} if rows else {}
    return fair_order(((row.id, row.account_id) for row in rows), last_turn)


def _job(row: Any) -> Job:
    return Job(**row._mapping)
