"""Under which the notebooks are tested: kernels without a network, with a house of their own, in their own folder.

`make test` runs every cell of every notebook: `pytest --nbval-lax --nbval-current-env notebooks`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

OFFLINE = """
import socket

_connect = socket.socket.connect


def _only_here(self, address):
    if self.family != socket.AF_UNIX and not (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
        raise RuntimeError(f"a notebook tried to open a network connection to {address}")
    _connect(self, address)


socket.socket.connect = _only_here
"""


def pytest_configure(config: pytest.Config) -> None:
    """Kernels inherit this environment."""
    folder = Path(tempfile.mkdtemp(prefix="notebooks-"))
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-offline.py").write_text(OFFLINE)
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    os.environ["VASA_HOME"] = str(folder / "house")
