"""One installation that releases media: its registry, its signing authority, its watermark key. Opened when needed.

    house = House.at()

The folder is VASA_HOME, by default ~/.vasa; keys are made at first use and stand in `keys`, for their owner only.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vasa_core.trust.authority import Authority
    from vasa_core.trust.registry import Registry

HOME = "VASA_HOME"
KEY_BYTES = 32


@dataclass(frozen=True)
class House:
    """What an installation needs to release media."""

    folder: Path

    @staticmethod
    def at(folder: Path | str | None = None) -> House:
        """The house in this folder, or in the usual one. Nothing is made or opened yet."""
        return House(Path(folder or os.environ.get(HOME) or Path.home() / ".vasa").expanduser().resolve())

    @property
    def keys(self) -> Path:
        """Where the secrets lie."""
        return self.folder / "keys"

    @cached_property
    def registry(self) -> Registry:
        """Who agreed to what, what was made, and the audit."""
        from vasa_core.trust.registry import Registry  # SQLAlchemy, a third of a second

        return Registry.open(home=self.folder)

    def released(self, grant_id: str) -> frozenset[str]:
        """The sha256 of every file that left under this grant, as the audit heard of it."""
        from sqlalchemy import select

        from vasa_core.trust.schema import audit

        told = audit.c.facts.contains(json.dumps(grant_id), autoescape=True)
        with self.registry.store.reading() as connection:
            found = connection.execute(select(audit.c.facts).where(audit.c.event == "generated", told)).scalars()
            return frozenset(facts["sha256"] for facts in map(json.loads, found) if facts["grant"] == grant_id)

    @cached_property
    def authority(self) -> Authority:
        """What signs the credentials."""
        from vasa_core.trust.authority import authority

        return authority(self.keys)

    @cached_property
    def watermark_key(self) -> bytes:
        """The secret that places the watermark. Whoever has it can find the mark, forge it and wash it out."""
        from vasa_core.trust.authority import keep_first

        file = self.keys / "watermark.key"
        if not file.exists():
            keep_first(file, secrets.token_bytes(KEY_BYTES))
        return file.read_bytes()
