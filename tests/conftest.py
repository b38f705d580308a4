"""What every test shares: no sockets, a quiet log, generated portraits, and a grant for them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from vasa_core.trust.registry import Registry

os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs the network, and nothing may start to; servers of our own on this machine may be reached."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and not (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            raise RuntimeError(f"a test tried to open a network connection to {address}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory):
    """A house of the tests' own, made once: keys, registry, audit."""
    from vasa_core.trust.house import House

    return House.at(tmp_path_factory.mktemp("home") / "house")


@pytest.fixture(autouse=True)
def _not_my_house(house, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a test starts may find its way into the house of whoever runs it."""
    monkeypatch.setenv("VASA_HOME", str(house.folder))


@pytest.fixture
def picture() -> np.ndarray:
    """A colourful 96 x 128 picture without symmetry, so that any flip or rotation shows."""
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([x * 2, y * 2, (x + y) % 256], axis=-1).astype(np.uint8)


@pytest.fixture
def statement():
    """A valid consent statement, for today's tests; fields can be replaced."""
    from vasa_core.trust.consent import Statement

    def make(**changes: object) -> Statement:
        today = date.today()
        fields: dict[str, object] = {
            "subject": "Test picture",
            "statement": "Drawn by the test suite, shows nobody.",
            "recorded_by": "pytest",
            "date": today,
            "expiry": today + timedelta(days=1),
            "purposes": ("speak", "look"),
        }
        return Statement(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL server for this session; the tests that need it are skipped where it is not installed."""
    from databases import postgresql, postgresql_programs

    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with postgresql(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database, of each kind in turn."""
    from databases import new_database

    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'apart.db'}"
    return new_database(request.getfixturevalue("postgresql_server"), secrets.token_hex(8))


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of SQLite at the newest schema, to be copied."""
    from vasa_core.trust.registry import Registry

    home = tmp_path_factory.mktemp("template")
    Registry.open(home=home).close()
    return home / "registry.db"


@pytest.fixture
def registry(tmp_path: Path, registry_template: Path) -> Iterator[Registry]:
    """A registry of one's own, in a house of one's own."""
    from vasa_core.trust.registry import Registry

    home = tmp_path / "house"
    home.mkdir()
    shutil.copy(registry_template, home / "registry.db")
    registry = Registry.open(f"sqlite:///{home / 'registry.db'}", home)
    yield registry
    registry.close()


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], None]:
    """Declares a picture one of our own cast, for this test."""
    from vasa_core.trust import consent

    def declare(picture: np.ndarray) -> None:
        listed = {"drawn.png": {"pixels": consent.pixels_sha256(picture)}}
        (tmp_path / "cast.json").write_text(json.dumps(listed))
        monkeypatch.setattr(consent, "CAST_LIST", tmp_path / "cast.json")

    return declare


@pytest.fixture
def grant(picture, statement):
    """A grant for the test picture, for a purpose."""
    from vasa_core.trust.consent import grant_for

    return lambda purpose="speak": grant_for(picture, None, purpose, statement())


@pytest.fixture(scope="session")
def demo_house(tmp_path_factory):
    """A real server of the demo in a house of its own, with one person of each role and a stranger; for many tests."""
    from demo_house import PEOPLE, House

    house = House(tmp_path_factory.mktemp("demo"), environment={"VASA_LIMIT_UPLOADS_PER_HOUR": "500"})
    house.start()  # on an empty house, as on a fresh clone
    house.add(*PEOPLE)
    yield house
    house.stop()
