"""The registry of one installation: who agreed to what, what was granted, what was made, and the audit of it all.

    registry = Registry.open()

The house is a folder (VASA_HOME, by default ~/.vasa): database, keys, files. The database may be elsewhere
(VASA_DATABASE). Several processes may have the same registry open.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vasa_core.trust.audit import Audit
from vasa_core.trust.store import Store, open_store

HOME = "VASA_HOME"
DATABASE = "VASA_DATABASE"


@dataclass(frozen=True)
class Registry:
    """An open registry; `home` holds its keys and files."""

    store: Store
    home: Path
    chain_name: str

    @staticmethod
    def open(url: str | None = None, home: Path | None = None) -> Registry:
        """The registry at this URL or in this house, its database brought to the newest schema."""
        home = home_folder(home)
        local = f"sqlite:///{home / 'registry.db'}"
        url = url or os.environ.get(DATABASE) or local
        if url == local:
            (home / "registry.db").touch(mode=0o600)
        store = open_store(url)
        return Registry(store, home, "own" if url == local else _chain_name(store))

    @cached_property
    def audit(self) -> Audit:
        """The log of everything."""
        keys = self.home / "keys"
        return Audit(self.store, keys / f"audit-{self.chain_name}.head", keys / "audit.key")

    @property
    def files(self) -> Path:
        """Where uploads and results lie."""
        return self.home / "files"

    def close(self) -> None:
        """Closes the database."""
        self.store.close()


def home_folder(home: Path | None = None) -> Path:
    """The house: the folder given, VASA_HOME or ~/.vasa; made if need be, for its owner only."""
    home = (home or Path(os.environ.get(HOME) or Path.home() / ".vasa")).expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return home


def _chain_name(store: Store) -> str:
    """A word for this database wherever it is, so that its anchor is not held against another's chain."""
    place = store.engine.url.set(username=None, password=None, query={})
    return hashlib.sha256(place.render_as_string().encode()).hexdigest()[:16]
