"""What people bring: inspected by content, kept in the house under random names, for their owner and for a while."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile

from demo.child import Child, ChildDied
from demo.limits import Limits, Rate
from vasa_core.errors import BadInput, BadOption
from vasa_core.trust.accounts import Account
from vasa_core.trust.registry import Registry
from vasa_core.trust.shelf import keep_until

if TYPE_CHECKING:
    from vasa_core.trust.verify import Findings

KINDS = ("picture", "sound", "document", "capture")
PATIENCE_S = 30.0
"""A file that takes longer to look at was made to waste our time."""


class Inspector:
    """The process that looks into files: started when first needed, ended and replaced when a file undoes it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment or {}
        self._child: Child | None = None
        self._one_at_a_time = Lock()

    def inspect(self, kind: str, path: Path, limits: Limits) -> dict[str, Any]:
        """What the file is, or BadInput."""
        bounds = {"picture_pixels": limits.picture_pixels, "sound_s": limits.sound_s}
        return self._asked({"kind": kind, "path": str(path), "bounds": bounds})

    def examine(self, path: Path) -> Findings:
        """What marks of ours a file carries, or BadInput."""
        return findings_from(self._asked({"kind": "marks", "path": str(path), "bounds": {}}))

    def close(self) -> None:
        """Ends the process."""
        with self._one_at_a_time:
            self._give_up()

    def _asked(self, message: dict[str, Any]) -> dict[str, Any]:
        with self._one_at_a_time:
            try:
                if self._child is None or not self._child.is_alive():
                    self._child = Child("demo.inspector", self._environment)
                self._child.line.send(message)
                received = self._child.line.receive(PATIENCE_S)
            except ChildDied:
                received = None
            if received is None:
                self._give_up()
                raise BadInput("The file could not be read in reasonable time and memory; choose another.")
        answer, _ = received
        if "refused" in answer:
            raise BadInput(answer["refused"])
        found: dict[str, Any] = answer["found"]
        return found

    def _give_up(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def findings_from(told: dict[str, Any]) -> Findings:
    """The findings as the inspector's JSON tells them."""
    from vasa_core.trust.credentials import Credentials
    from vasa_core.trust.verify import Findings
    from vasa_core.trust.watermark import Reading

    return Findings(
        carries=told["carries"],
        credentials=Credentials(**told["credentials"]),
        watermark=Reading(**told["watermark"]) if told["watermark"] else None,
        false_alarm=told["false_alarm"],
        made_at=datetime.fromisoformat(told["made_at"]) if told["made_at"] else None,
        sentences=tuple(told["sentences"]),
    )


@contextmanager
def brought(upload: UploadFile, folder: Path) -> Iterator[Path]:
    """A file that came by HTTP, where another process can read it, for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=folder) as copy:
        shutil.copyfileobj(upload.file, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)


@dataclass(frozen=True)
class Uploads:
    """The files that accounts brought to one house."""

    registry: Registry
    limits: Limits
    rate: Rate
    inspector: Inspector = field(default_factory=Inspector)

    def keep(self, account: Account, source: Path, kind: str) -> str:
        """The id of a copy of this file in the house, once it was found to be what it should be."""
        if kind not in KINDS:
            raise BadOption(f"An upload is a {', a '.join(KINDS)}; this is none of them.")
        self.rate.check(account.id, "uploads")
        if source.stat().st_size > self.limits.upload_bytes:
            raise BadInput(
                f"The file has more than {self.limits.upload_bytes / 1e6:g} megabytes; choose a smaller one."
            )
        folder = self.registry.files / "unfinished"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy = folder / secrets.token_hex(16)
        try:
            shutil.copyfile(source, copy)
            found = self.inspector.inspect(kind, copy, self.limits)
            copy = copy.rename(copy.with_suffix(found["suffix"]))
            kept_for = timedelta(seconds=self.limits.uploads_kept_s)
            return self.registry.keep_upload(copy, account.id, kind, keep_for=kept_for).id
        except BadInput:
            self.registry.audit.append("upload_refused", account.id, kind=kind)
            raise
        finally:
            copy.unlink(missing_ok=True)

    def forget(self, upload_id: str) -> None:
        """Lets the next sweep delete an upload that has done its service."""
        with self.registry.store.writing() as connection:
            keep_until(connection, upload_id, self.registry.clock())

    def path(self, account: Account, upload_id: str, kind: str) -> Path:
        """Where an upload of this account lies; the same refusal for one of somebody else's and for none."""
        found = self.registry.shelf.upload(upload_id)
        living = found is not None and found.expires_at > self.registry.clock() and found.path.is_file()
        if found is None or not living or (found.owner, found.kind) != (account.id, kind):
            raise BadInput(f"There is no such {kind} of yours any more; upload it again.")
        return found.path
