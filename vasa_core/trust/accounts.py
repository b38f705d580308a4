"""Who may use the demo: accounts with a role and a password known only by its argon2 hash, or known to a provider."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vasa_core.errors import BadOption, VasaError
from vasa_core.trust.audit import Audit
from vasa_core.trust.schema import ROLES, accounts, sessions

if TYPE_CHECKING:
    from pwdlib import PasswordHash

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
PASSWORD_LETTERS = (10, 200)
"""The upper bound keeps anybody from having us hash a novel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Somebody who may sign in. `id` is opaque: it alone stands in the audit, in jobs and as a clip's owner."""

    id: str
    name: str
    role: str
    disabled: bool = False
    csrf: str = ""
    """The session's own word for its forms; empty outside a session."""

    def is_at_least(self, role: str) -> bool:
        """Whether this role may do what `role` may do."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Accounts:
    """The accounts of one database; every change is audited."""

    audit: Audit

    @cached_property
    def _hasher(self) -> PasswordHash:
        try:
            from pwdlib import PasswordHash
        except ImportError:
            raise VasaError("Accounts need the app's libraries: pip install -e '.[app]' -c constraints.txt.") from None
        return PasswordHash.recommended()  # argon2id with its library's current costs

    @cached_property
    def _nobodys_hash(self) -> str:
        """Checked for names that do not exist, so that they take as long as the others."""
        return self._hasher.hash(secrets.token_hex(16))

    def add(
        self, name: str, role: str, password: str | None = None, *, by: str, oidc_subject: str | None = None
    ) -> Account:
        """A new account; without a password it can sign in through a provider only."""
        name = folded(name)
        if not NAME.fullmatch(name):
            raise BadOption(f"A name is 1 to 64 letters, digits or . _ @ -; '{name[:80]}' is not.")
        if role not in ROLES:
            raise BadOption(f"A role is {', '.join(ROLES[:-1])} or {ROLES[-1]}, not '{role}'.")
        password_hash = self._hasher.hash(_checked(password)) if password is not None else None
        fields: dict[str, Any] = {"id": secrets.token_hex(16), "name": name, "role": role, "disabled": False}
        row = fields | {"password_hash": password_hash, "oidc_subject": oidc_subject, "created_at": datetime.now(UTC)}
        try:
            with self.audit.writing() as note:
                note.connection.execute(insert(accounts).values(**row))
                note("account_added", by, account=row["id"], role=role)
        except IntegrityError:
            raise BadOption(f"There is an account '{name}' already, or one with that provider's id.") from None
        return Account(**fields)

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self.audit.store.reading() as connection:
            return [_account(row) for row in connection.execute(select(accounts).order_by(accounts.c.name))]

    def named(self, name: str) -> Account:
        """The account of this name."""
        if (found := self._one(accounts.c.name == folded(name))) is None:
            raise BadOption(f"There is no account '{name}'; `vasa app user list` shows those there are.")
        return found

    def with_id(self, account_id: str) -> Account | None:
        """The account of this id, if there is one that may be used."""
        found = self._one(accounts.c.id == account_id)
        return None if found is None or found.disabled else found

    def with_subject(self, oidc_subject: str) -> Account | None:
        """The account that a provider's id belongs to."""
        return self._one(accounts.c.oidc_subject == oidc_subject)

    def with_password(self, name: str, password: str) -> Account | None:
        """The account, if name and password belong together and it may be used; as slow for a wrong name."""
        with self.audit.store.reading() as connection:
            row = connection.execute(select(accounts).where(accounts.c.name == folded(name))).first()
        known = row.password_hash if row is not None and row.password_hash else self._nobodys_hash
        right = len(password) <= PASSWORD_LETTERS[1] and self._hasher.verify(password, known)
        return _account(row) if right and row is not None and row.password_hash and not row.disabled else None

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Another password; every session of this account ends."""
        account, password_hash = self.named(name), self._hasher.hash(_checked(password))
        self._change(account, "password_changed", by, password_hash=password_hash)

    def disable(self, name: str, *, by: str) -> None:
        """Shuts an account out at once; what it made and recorded stays."""
        self._change(self.named(name), "account_disabled", by, disabled=True)

    def link(self, name: str, oidc_subject: str, *, by: str) -> None:
        """Lets this account sign in through the provider that knows it by this id."""
        self._change(self.named(name), "account_linked", by, oidc_subject=oidc_subject)

    def is_empty(self) -> bool:
        """Whether nobody can sign in yet."""
        with self.audit.store.reading() as connection:
            return not connection.execute(select(func.count()).select_from(accounts)).scalar()

    def _one(self, condition: ColumnElement[bool]) -> Account | None:
        with self.audit.store.reading() as connection:
            row = connection.execute(select(accounts).where(condition)).first()
        return _account(row) if row is not None else None

    def _change(self, account: Account, event: str, by: str, **fields: object) -> None:
        with self.audit.writing() as note:
            note.connection.execute(update(accounts).where(accounts.c.id == account.id).values(**fields))
            note.connection.execute(delete(sessions).where(sessions.c.account_id == account.id))
            note(event, by, account=account.id)


def folded(name: str) -> str:
    """A name as it is compared: `Anna ` and `anna` are one."""
    return name.strip().casefold()


def _checked(password: str) -> str:
    fewest, most = PASSWORD_LETTERS
    if not fewest <= len(password) <= most:
        raise BadOption(f"A password has {fewest} to {most} letters; a few words in a row are good and easy to keep.")
    return password


def _account(row: Any) -> Account:
    return Account(id=row.id, name=row.name, role=row.role, disabled=row.disabled)
