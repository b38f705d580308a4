"""The database behind the registry: SQLite in the house or PostgreSQL by URL, at this version's schema, one writer.

`writing` is a transaction that excludes every other writer, of all threads, processes and hosts, for as long as it
lasts: what is read in it still holds when it commits. `reading` excludes nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from vasa_core.errors import StoreFault

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_S = 30.0
WRITER_LOCK = 0x7661_7361  # "vasa", PostgreSQL's advisory lock for the one writer
SUPPORTED = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Store:
    """An open database at this version's schema."""

    engine: Engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction to look around in."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one transaction that may write; committed at the end, undone when anything is raised."""
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def open_store(url: str) -> Store:
    """The database at this URL, brought to the newest schema; StoreFault says why not."""
    store = Store(_engine(_parsed(url)))
    try:
        with store.reading() as connection:
            found = _revision(connection)
        if found != newest_revision():
            _upgrade(store, found)
    except OperationalError as failure:
        store.close()
        reason = str(failure.orig).splitlines()[0]
        raise StoreFault(f"The database cannot be opened ({reason}); check VASA_DATABASE or VASA_HOME.") from None
    return store


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise StoreFault("VASA_DATABASE is not a database's URL; write it as postgresql://user@host/name.") from None
    if parsed.get_backend_name() not in SUPPORTED:
        raise StoreFault(f"The registry lives in SQLite or PostgreSQL, not in {parsed.get_backend_name()}.")
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": BUSY_S} if is_sqlite else {"connect_timeout": int(BUSY_S)}
    try:
        engine = create_engine(url, connect_args=arguments, pool_pre_ping=not is_sqlite)
    except (ImportError, NoSuchModuleError):
        raise StoreFault("PostgreSQL needs its driver: install this package with its extra 'app'.") from None
    if is_sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _configure_sqlite(connection: Any, record: object) -> None:
    """Transactions are begun by us, not by the driver's guess; readers never wait for the writer (WAL)."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")  # a power cut loses no audit entry
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("writing"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


# ---- migrations ---------------------------------------------------------------------------------------------------


def newest_revision() -> str:
    """The revision that this version of the code works with: migration files are numbered, the last one counts."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).split("_")[0]


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(store: Store, found: str | None) -> None:
    if found is not None and found > newest_revision():
        raise StoreFault("The database was made by a newer version of this software; install that version.")
    from alembic import command  # half a second, and only for a database that is new or old

    with store.writing() as connection:
        command.upgrade(migration_config(connection), "head")  # does nothing where another process was faster


def migration_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations of this package, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
