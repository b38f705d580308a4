"""Databases for tests: SQLite in a folder, and Debian's PostgreSQL started for the session, on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSIONS = Path("/usr/lib/postgresql")
USER = "postgres"


def postgresql_programs() -> Path | None:
    """The folder with initdb and pg_ctl, or None where PostgreSQL is not installed."""
    folders = sorted(VERSIONS.glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = [folder for folder in folders if (folder / "initdb").is_file()]
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


@contextmanager
def postgresql(programs: Path) -> Iterator[str]:
    """A PostgreSQL server that nobody else can reach: the URL of its database, with {} for the database's name."""
    folder = Path(tempfile.mkdtemp(prefix="vasa-pg-"))
    as_user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}  # initdb refuses root
    if as_user:
        shutil.chown(folder, USER, USER)

    def run(*command: object) -> None:
        done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, **as_user)
        assert done.returncode == 0, done.stderr

    data, options = folder / "data", f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off"
    try:
        run(programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        yield f"postgresql+psycopg://{USER}@/{{}}?host={folder}"
    finally:
        if (data / "postmaster.pid").exists():
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str, name: str) -> str:
    """The URL of a new, empty database on the server."""
    from sqlalchemy import create_engine, text

    engine = create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return server.format(name)
