"""Uploads and clips: files in the house that belong to somebody and are deleted when their time is over.

A file comes under a name drawn at random, never one that a user chose. What is deleted leaves a row without title or
path content behind, so that the audit's ids still mean something.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, Table, insert, select, update

from vasa_core.errors import ClipRefused
from vasa_core.trust.audit import Audit, Note
from vasa_core.trust.chain import WORD
from vasa_core.trust.consent import file_sha256
from vasa_core.trust.schema import clips, grants, uploads

CLIP_KEPT = timedelta(days=30)
UPLOAD_KEPT = timedelta(days=7)
LONGEST_TITLE = 200
NO_CLIP = "There is no such clip for you."
SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that somebody brought; `path` is absolute."""

    id: str
    owner: str
    kind: str
    path: Path
    sha256: str
    size_bytes: int
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A released file in the house; `path` is absolute, `consent_id` None for our own cast."""

    id: str
    grant_id: str
    consent_id: str | None
    subject_id: str | None
    owner: str
    title: str
    path: Path
    sha256: str
    size_bytes: int
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """How much a sweep deleted."""

    clips: int
    uploads: int


@dataclass(frozen=True)
class Shelf:
    """The files of one house."""

    audit: Audit
    folder: Path
    clock: Callable[[], datetime]

    def keep_clip(self, grant_id: str, path: Path, owner: str, title: str, keep_for: timedelta) -> Clip:
        """Takes a released file in."""
        fields = {"grant_id": grant_id, "owner": owner, "title": title.strip()[:LONGEST_TITLE]}
        clip_id = self._keep(clips, path, "clip_kept", owner, keep_for, fields, grant=grant_id)
        return self.clip(clip_id)

    def keep_upload(self, path: Path, owner: str, kind: str, keep_for: timedelta) -> Upload:
        """Takes an uploaded file in."""
        kept = self.upload(self._keep(uploads, path, "uploaded", owner, keep_for, {"owner": owner, "kind": kind}))
        assert kept is not None  # it was kept just now
        return kept

    def clip(self, clip_id: str) -> Clip:
        """The clip of this id, or ClipRefused."""
        with self.audit.store.reading() as connection:
            row = connection.execute(_clips().where(clips.c.id == clip_id)).mappings().first()
        if row is None:
            raise ClipRefused(NO_CLIP)
        return self._as(Clip, row)

    def clips(self, owner: str | None) -> list[Clip]:
        """Clips that are still there, the newest first."""
        query = _clips().order_by(clips.c.made_at.desc(), clips.c.id)
        query = query.where(clips.c.owner == owner) if owner is not None else query
        with self.audit.store.reading() as connection:
            return [self._as(Clip, row) for row in connection.execute(query).mappings()]

    def upload(self, upload_id: str) -> Upload | None:
        """The upload of this id; None where it is gone."""
        query = select(uploads).where(uploads.c.id == upload_id, uploads.c.deleted_at.is_(None))
        with self.audit.store.reading() as connection:
            row = connection.execute(query).mappings().first()
        return self._as(Upload, row) if row else None

    def visible(self, clip_id: str, account_id: str, role: str) -> Clip:
        """The clip, for its owner or an administrator; ClipRefused for everybody else."""
        clip = self.clip(clip_id)
        if clip.owner != account_id and role != "administrator":
            raise ClipRefused(NO_CLIP)
        return clip

    def check_time(self, clip: Clip) -> None:
        """Refuses a clip whose time is over, though no sweep came by yet."""
        if clip.expires_at <= self.clock():
            raise ClipRefused(NO_CLIP)

    def delete_clip(self, clip_id: str, by: str, role: str) -> None:
        """Deletes a clip before its time."""
        clip = self.visible(clip_id, by, role)
        with self.audit.writing() as note:
            self._delete(note, clips, clip.id, clip.path, self.clock(), by, "asked")

    def sweep(self, now: datetime) -> Swept:
        """Deletes every file past its time."""
        return Swept(clips=self._sweep(clips, now), uploads=self._sweep(uploads, now))

    def _sweep(self, table: Table, now: datetime) -> int:
        with self.audit.writing() as note:
            due = select(table.c.id, table.c.path).where(table.c.expires_at <= now, table.c.deleted_at.is_(None))
            found = note.connection.execute(due).all()
            for row in found:
                self._delete(note, table, row.id, self.folder / row.path, now, "retention", "retention")
        return len(found)

    def _delete(self, note: Note, table: Table, key: str, path: Path, now: datetime, by: str, reason: str) -> None:
        """The file first: cut short in between, the next sweep finds the row again."""
        path.unlink(missing_ok=True)
        words = {"title": ""} if table is clips else {}
        note.connection.execute(update(table).where(table.c.id == key).values(deleted_at=now, **words))
        note("deleted", by, reason=reason, **{table.name.rstrip("s"): key})

    def _keep(
        self, table: Table, path: Path, event: str, by: str, keep_for: timedelta, fields: dict[str, Any], **facts: str
    ) -> str:
        """Moves the file in under a random name; it moves out again when the database does not take it."""
        key, now = secrets.token_hex(16), self.clock()
        suffix = path.suffix.lower() if SUFFIX.fullmatch(path.suffix.lower()) else ""
        place = Path(table.name) / f"{key}{suffix}"
        digest = file_sha256(path)
        kept = {"id": key, "path": place.as_posix(), "sha256": digest, "size_bytes": path.stat().st_size}
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(path, target)
        try:
            with self.audit.writing() as note:
                note.connection.execute(insert(table).values(**kept, **fields, made_at=now, expires_at=now + keep_for))
                note(event, by, sha256=digest, **{table.name.rstrip("s"): key}, **facts)
        except BaseException:
            shutil.move(target, path)
            raise
        return key

    def _as(self, kind: Any, row: Mapping[Any, Any]) -> Any:
        fields = {name: row[name] for name in kind.__dataclass_fields__}
        return kind(**(fields | {"path": self.folder / row["path"]}))


def run_out(connection: Connection, consent_id: str, now: datetime) -> int:
    """Lets the time of all clips on a consent end now; says how many they were."""
    on_it = select(grants.c.id).where(grants.c.consent_id == consent_id)
    standing = (clips.c.grant_id.in_(on_it), clips.c.deleted_at.is_(None))
    return connection.execute(update(clips).where(*standing).values(expires_at=now)).rowcount


def keep_until(connection: Connection, upload_id: str, end: datetime) -> None:
    """Keeps an upload at least until this moment."""
    connection.execute(update(uploads).where(uploads.c.id == upload_id).values(expires_at=end))


def word(text: str) -> str:
    """The text if the audit may keep it, else a stand-in: what strangers send is not for the log."""
    return text if WORD.fullmatch(text) else "unreadable"


def _clips() -> Select[Any]:
    joined = clips.join(grants, clips.c.grant_id == grants.c.id)
    return (
        select(clips, grants.c.consent_id, grants.c.subject_id).select_from(joined).where(clips.c.deleted_at.is_(None))
    )
