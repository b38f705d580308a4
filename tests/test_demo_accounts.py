"""Accounts, sessions and sign-ins: what is kept of a secret, when it ends, and how slowly it can be guessed."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from demo.sessions import FAILURES_OF_ADDRESS, FAILURES_OF_ONE, Logins, Sessions
from vasa_core.errors import BadOption, Busy, SignInRefused
from vasa_core.trust import schema
from vasa_core.trust.accounts import Accounts
from vasa_core.trust.registry import Registry

RIGHT = "correct horse battery staple"
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def registry(tmp_path):
    registry = Registry.open(home=tmp_path)
    yield registry
    registry.close()


class Quick:
    """In place of argon2, which is slow on purpose: for tests that look at something else."""

    def hash(self, password: str) -> str:
        return password

    def verify(self, password: str, known: str) -> bool:
        return password == known


@pytest.fixture
def accounts(registry):
    accounts = Accounts(registry.audit)
    accounts.__dict__["_hasher"] = Quick()
    return accounts


@pytest.fixture
def anna(accounts):
    return accounts.add("anna", "reviewer", RIGHT, by="tests")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(registry, clock):
    return Sessions(registry.audit, lifetime_s=3600 * 12, idle_s=3600, now=clock)


def kept(registry, table):
    with registry.store.reading() as connection:
        return connection.execute(select(table)).all()


# ---- accounts -----------------------------------------------------------------------------------------------------


def test_of_a_password_only_an_argon2_hash_is_kept(registry):
    accounts = Accounts(registry.audit)
    accounts.add("anna", "reviewer", RIGHT, by="tests")
    assert accounts.with_password("anna", RIGHT).name == "anna" and accounts.with_password("anna", "wrong") is None
    (row,) = kept(registry, schema.accounts)
    assert row.password_hash.startswith("$argon2id$")
    everything = (registry.home / "registry.db").read_bytes() + (registry.home / "registry.db-wal").read_bytes()
    assert RIGHT.encode() not in everything


def test_the_same_password_has_another_hash_each_time(registry):
    accounts = Accounts(registry.audit)
    accounts.add("anna", "viewer", RIGHT, by="tests")
    accounts.add("bert", "viewer", RIGHT, by="tests")
    one, other = (row.password_hash for row in kept(registry, schema.accounts))
    assert one != other


def test_a_password_opens_its_own_account_only(accounts, anna):
    accounts.add("bert", "viewer", "quite another password", by="tests")
    assert accounts.with_password("anna", RIGHT).id == anna.id
    assert accounts.with_password(" Anna ", RIGHT).id == anna.id
    assert accounts.with_password("bert", RIGHT) is None
    assert accounts.with_password("anna", RIGHT + " ") is None
    assert accounts.with_password("nobody", RIGHT) is None


def test_an_account_without_a_password_has_no_password(accounts):
    accounts.add("carla", "viewer", by="tests", oidc_subject="issuer|1")
    assert accounts.with_password("carla", "") is None
    assert accounts.with_subject("issuer|1").name == "carla"


@pytest.mark.parametrize("name", ["", " ", "../x", "a b", "a/b", "<b>", "x" * 65, "-x"])
def test_names_that_are_no_names_are_refused(accounts, name):
    with pytest.raises(BadOption):
        accounts.add(name, "viewer", RIGHT, by="tests")


def test_a_name_can_be_had_once(accounts, anna):
    with pytest.raises(BadOption, match="already"):
        accounts.add("ANNA", "viewer", RIGHT, by="tests")


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_passwords_too_short_or_too_long_are_refused(accounts, password):
    with pytest.raises(BadOption, match="letters"):
        accounts.add("dora", "viewer", password, by="tests")


def test_an_unknown_role_is_refused(accounts):
    with pytest.raises(BadOption, match="role"):
        accounts.add("dora", "root", RIGHT, by="tests")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", (True, False, False)),
        ("reviewer", (True, True, False)),
        ("administrator", (True, True, True)),
    ],
)
def test_each_role_may_what_the_lesser_ones_may(accounts, role, may):
    account = accounts.add("dora", role, RIGHT, by="tests")
    assert tuple(map(account.is_at_least, ("viewer", "reviewer", "administrator"))) == may


def test_a_disabled_account_is_shut_out_at_once(accounts, sessions, anna):
    token = sessions.open(anna)
    accounts.disable("anna", by="tests")
    assert sessions.find(token) is None
    assert accounts.with_password("anna", RIGHT) is None
    assert accounts.with_id(anna.id) is None


def test_another_password_ends_every_session(accounts, sessions, anna):
    token = sessions.open(anna)
    accounts.set_password("anna", "a new one altogether", by="tests")
    assert sessions.find(token) is None
    assert accounts.with_password("anna", RIGHT) is None
    assert accounts.with_password("anna", "a new one altogether") is not None


def test_changes_to_accounts_are_in_the_audit_without_names(registry, accounts, anna):
    accounts.disable("anna", by="terminal")
    entries = registry.audit.entries()
    assert [entry.event for entry in entries] == ["account_added", "account_disabled"]
    assert not any("anna" in str(entry.facts) for entry in entries)
    assert registry.audit.verify().sound


# ---- sessions -----------------------------------------------------------------------------------------------------


def test_a_session_is_found_by_its_token_alone(sessions, anna):
    token = sessions.open(anna)
    found = sessions.find(token)
    assert (found.id, found.name, found.role) == (anna.id, "anna", "reviewer") and found.csrf
    for wrong in (None, "", token[:-1], token + "x", token.swapcase(), hashlib.sha256(token.encode()).hexdigest()):
        assert sessions.find(wrong) is None


def test_of_a_token_only_its_sha256_is_kept(registry, sessions, anna):
    token = sessions.open(anna)
    (row,) = kept(registry, schema.sessions)
    assert row.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(row)


def test_two_sessions_share_neither_token_nor_form_word(sessions, anna):
    one, other = sessions.open(anna), sessions.open(anna)
    assert one != other and sessions.find(one).csrf != sessions.find(other).csrf


def test_a_session_ends_after_its_lifetime_however_busy(sessions, clock, anna):
    token = sessions.open(anna)
    for _ in range(23):
        clock.pass_(minutes=30)
        assert sessions.find(token) is not None
    clock.pass_(minutes=31)
    assert sessions.find(token) is None


def test_a_session_ends_when_nobody_uses_it(sessions, clock, anna):
    token = sessions.open(anna)
    clock.pass_(minutes=59)
    assert sessions.find(token) is not None
    clock.pass_(minutes=59)
    assert sessions.find(token) is not None, "the last use counts, not the first"
    clock.pass_(minutes=60)
    assert sessions.find(token) is None


def test_logging_out_ends_the_session_for_who_kept_the_token(registry, sessions, anna):
    token, other = sessions.open(anna), sessions.open(anna)
    sessions.close(token)
    assert sessions.find(token) is None and sessions.find(other) is not None
    assert [entry.event for entry in registry.audit.entries()][-1] == "logout"


def test_sessions_that_are_over_are_forgotten(registry, sessions, clock, anna):
    sessions.open(anna)
    clock.pass_(hours=13)
    sessions.open(anna)
    assert len(kept(registry, schema.sessions)) == 1


# ---- signing in ---------------------------------------------------------------------------------------------------


@pytest.fixture
def logins(accounts, clock):
    return Logins(accounts, now=clock)


def fail(logins, times, name="anna", address=HERE):
    """How many of so many wrong passwords were looked at before the door was shut."""
    looked_at = 0
    for _ in range(times):
        try:
            logins.account(name, "wrong", address)
        except SignInRefused:
            looked_at += 1
        except Busy:
            pass
    return looked_at


def test_the_refusal_does_not_say_whether_the_name_exists(logins, accounts):
    accounts.add("anna", "viewer", RIGHT, by="tests")
    said = set()
    for name in ("anna", "nobody"):
        with pytest.raises(SignInRefused) as refusal:
            logins.account(name, "wrong", HERE)
        said.add(str(refusal.value))
    assert len(said) == 1


def test_after_a_few_wrong_passwords_even_the_right_one_waits(logins, accounts, clock):
    accounts.add("anna", "viewer", RIGHT, by="tests")
    assert fail(logins, 200) == FAILURES_OF_ONE
    with pytest.raises(Busy, match="15 minutes"):
        logins.account("anna", RIGHT, HERE)
    assert logins.account("anna", RIGHT, THERE).name == "anna", "who sits elsewhere is not locked out by that"
    clock.pass_(minutes=16)
    assert logins.account("anna", RIGHT, HERE).name == "anna"


def test_right_passwords_are_never_counted(logins, accounts):
    accounts.add("anna", "viewer", RIGHT, by="tests")
    for _ in range(50):
        logins.account("anna", RIGHT, HERE)


def test_one_address_cannot_try_many_names(logins):
    looked_at = sum(fail(logins, 1, f"name{number}") for number in range(200))
    assert looked_at == FAILURES_OF_ADDRESS


def test_attempts_at_the_same_moment_are_counted_like_others(logins, accounts):
    accounts.add("anna", "viewer", RIGHT, by="tests")
    with ThreadPoolExecutor(8) as people:
        looked_at = sum(people.map(lambda _: fail(logins, 1), range(40)))
    assert looked_at == FAILURES_OF_ONE


def test_what_was_typed_as_a_name_is_not_kept(registry, logins):
    fail(logins, 1, name="my-secret-password")
    assert "my-secret-password" not in str(kept(registry, schema.login_attempts))
    assert "my-secret-password" not in str(registry.audit.entries())


# ---- the command line ---------------------------------------------------------------------------------------------


def test_the_command_line_makes_lists_and_shuts_out(tmp_path, monkeypatch, capsys):
    from vasa_core.__main__ import app

    def vasa(*words: str, typed: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        app(["app", "user", *words], standalone_mode=False)
        return capsys.readouterr().out

    monkeypatch.setenv("VASA_HOME", str(tmp_path))
    monkeypatch.delenv("VASA_DATABASE", raising=False)
    assert "administrator" in vasa("add", "anna", "--role", "administrator", typed=f"{RIGHT}\n")
    vasa("add", "bert", "--provider", "https://id.example|7")
    assert vasa("list") == "anna\tadministrator\nbert\tviewer\n"
    vasa("password", "anna", typed="a new one altogether\n")
    vasa("disable", "bert")
    assert "bert\tviewer\tdisabled" in vasa("list")
    with pytest.raises(BadOption, match="no account"):
        vasa("disable", "carla")
    accounts = Accounts(Registry.open(home=tmp_path).audit)
    assert accounts.with_password("anna", "a new one altogether").role == "administrator"
