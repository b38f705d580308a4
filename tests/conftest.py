"""What every test shares: no sockets, a quiet log, generated portraits, and a grant for them."""

from __future__ import annotations

import os
import socket
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

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


@pytest.fixture
def grant(picture, statement):
    """A grant for the test picture, for a purpose."""
    from vasa_core.trust.consent import grant_for

    return lambda purpose="speak": grant_for(picture, None, purpose, statement())
