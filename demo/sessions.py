"""Who is signed in: random tokens in cookies, of which the database knows only the sha256; and slow, counted logins."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from vasa_core.errors import Busy, SignInRefused
from vasa_core.trust.accounts import Account, Accounts, folded
from vasa_core.trust.audit import Audit
from vasa_core.trust.schema import accounts, login_attempts, sessions

SEEN_STEP = timedelta(minutes=1)
"""`last_seen_at` is written at most this often: a page of a hundred files is not a hundred writes."""
WINDOW = timedelta(minutes=15)
FAILURES_OF_ONE = 5
"""Wrong passwords for one name from one address in a window."""
FAILURES_OF_NAME = 30
"""From all addresses together: somebody far away cannot easily lock a person out, nor guess at leisure."""
FAILURES_OF_ADDRESS = 20
HASHES_AT_ONCE = 2
"""argon2 takes 64 MB each: many at once would be an attack on our memory."""


def utc_now() -> datetime:
    """The moment, with its time zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sessions:
    """The open sessions of one database; each ends after `lifetime_s`, `idle_s` without a request, or a logout."""

    audit: Audit
    lifetime_s: float
    idle_s: float
    now: Callable[[], datetime] = utc_now

    def open(self, account: Account) -> str:
        """A new session's token, to be kept by the browser alone."""
        token, now = secrets.token_urlsafe(32), self.now()
        row = {"token_sha256": digest(token), "account_id": account.id, "csrf": secrets.token_urlsafe(24)}
        moments = {"created_at": now, "last_seen_at": now, "expires_at": now + timedelta(seconds=self.lifetime_s)}
        with self.audit.writing() as note:
            note.connection.execute(delete(sessions).where(self._over(now)))
            note.connection.execute(insert(sessions).values(**row, **moments))
            note("login", account.id)
        return token

    def find(self, token: str | None) -> Account | None:
        """Whose session this is, while it lasts and the account may be used."""
        if not token:
            return None
        query = select(sessions, accounts.c.name, accounts.c.role, accounts.c.disabled).join(accounts)
        with self.audit.store.reading() as connection:
            row = connection.execute(query.where(sessions.c.token_sha256 == digest(token))).first()
        now = self.now()
        if row is None or row.disabled or row.expires_at <= now or row.last_seen_at + self._idle <= now:
            return None
        if now - row.last_seen_at > SEEN_STEP:
            self._see(row.token_sha256, now)
        return Account(id=row.account_id, name=row.name, role=row.role, csrf=row.csrf)

    def close(self, token: str) -> None:
        """Ends a session for good, whoever still has its token."""
        with self.audit.writing() as note:
            query = select(sessions.c.account_id).where(sessions.c.token_sha256 == digest(token))
            owner = note.connection.execute(query).scalar()
            note.connection.execute(delete(sessions).where(sessions.c.token_sha256 == digest(token)))
            if owner is not None:
                note("logout", owner)

    @property
    def _idle(self) -> timedelta:
        return timedelta(seconds=self.idle_s)

    def _over(self, now: datetime):  # type: ignore[no-untyped-def]
        return (sessions.c.expires_at <= now) | (sessions.c.last_seen_at <= now - self._idle)

    def _see(self, token_sha256: str, now: datetime) -> None:
        with self.audit.store.writing() as connection:
            connection.execute(update(sessions).where(sessions.c.token_sha256 == token_sha256).values(last_seen_at=now))


@dataclass(frozen=True)
class Logins:
    """The way from a name and a password to an account, with every wrong turn counted before it is taken."""

    accounts: Accounts
    now: Callable[[], datetime] = utc_now
    _hashing: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(HASHES_AT_ONCE))

    def account(self, name: str, password: str, address: str) -> Account:
        """The account, or SignInRefused with the same words whether the name or the password is wrong."""
        attempt = self._count(_blurred(name), address)
        with self._hashing:
            found = self.accounts.with_password(name, password)
        if found is None:
            self.accounts.audit.append("login_refused", "anonymous", address=address)
            raise SignInRefused("Name and password do not belong together; try again.")
        with self.accounts.audit.store.writing() as connection:
            connection.execute(update(login_attempts).where(login_attempts.c.id == attempt).values(succeeded=True))
        return found

    def _count(self, name: str, address: str) -> int:
        """Books the attempt as failed until it succeeds, so that attempts at the same moment are counted as well."""
        now = self.now()
        with self.accounts.audit.store.writing() as connection:
            connection.execute(delete(login_attempts).where(login_attempts.c.at < now - timedelta(days=1)))
            if _too_many(connection, name, address, now - WINDOW):
                minutes = int(WINDOW.total_seconds() // 60)
                raise Busy(f"Too many wrong passwords; wait {minutes} minutes and try again.")
            row = {"name": name, "address": address, "at": now, "succeeded": False}
            return int(connection.execute(insert(login_attempts).values(**row)).inserted_primary_key[0])  # type: ignore[index]


def _too_many(connection: Connection, name: str, address: str, since: datetime) -> bool:
    table, bounds = login_attempts.c, (FAILURES_OF_ONE, FAILURES_OF_NAME, FAILURES_OF_ADDRESS)
    conditions = (and_(table.name == name, table.address == address), table.name == name, table.address == address)
    for condition, bound in zip(conditions, bounds, strict=True):
        query = select(func.count()).where(condition, table.at > since, table.succeeded.is_(False))
        if (connection.execute(query).scalar() or 0) >= bound:
            return True
    return False


def _blurred(name: str) -> str:
    """What is remembered of a name that was typed: people type their password there by mistake."""
    return hashlib.sha256(folded(name).encode()).hexdigest()


def digest(token: str) -> str:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
