"""The registry of one installation: who agreed to what, what was granted, what was made, and the audit of it all.

    registry = Registry.open()
    grant = registry.grant(picture, "speak", asked_by=account.id)

The house is a folder (VASA_HOME, by default ~/.vasa): database, keys, files. The database may be elsewhere
(VASA_DATABASE). Several processes may have the same registry open. Who asks, records, approves and owns is an opaque
word: an account's id, or "terminal". Every method that changes something tells the audit in the same transaction.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from vasa_core.errors import BadOption, BadPortrait, ClipRefused, ConsentRefused
from vasa_core.trust import shelf
from vasa_core.trust.audit import Audit, Note
from vasa_core.trust.consent import (
    PURPOSES,
    STATED,
    TERMINAL,
    ConsentRecord,
    Grant,
    Picture,
    Statement,
    check_known,
    file_sha256,
    granted_on,
    granted_on_cast,
    is_our_cast,
    pixels_sha256,
)
from vasa_core.trust.evidence import Evidence, captured, check_document, signed, stated
from vasa_core.trust.phrase import draw
from vasa_core.trust.schema import challenges, consents, evidence, grants, subject_names, subjects
from vasa_core.trust.shelf import CLIP_KEPT, UPLOAD_KEPT, Clip, Shelf, Swept, Upload
from vasa_core.trust.store import Store, open_store

if TYPE_CHECKING:
    from vasa_core.trust.likeness import Likeness

HOME = "VASA_HOME"
DATABASE = "VASA_DATABASE"
ANYBODY = "anybody"
"""A consent granted to this name serves everybody of the installation."""

LONGEST_CONSENT = timedelta(days=5 * 366)
PHRASE_LASTS = timedelta(minutes=5)
EVIDENCE_KEPT_AFTER = timedelta(days=365)
"""How long a signed statement is kept after the consent has run out."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """Words that a person is to say into the camera, once, before `expires_at`."""

    id: str
    phrase: str
    expires_at: datetime


@dataclass(frozen=True)
class Registry:
    """An open registry; `home` holds its keys and files."""

    store: Store
    home: Path
    chain_name: str
    clock: Callable[[], datetime] = _now

    @staticmethod
    def open(url: str | None = None, home: Path | None = None, clock: Callable[[], datetime] | None = None) -> Registry:
        """The registry at this URL or in this house, its database brought to the newest schema."""
        home = home_folder(home)
        local = f"sqlite:///{home / 'registry.db'}"
        url = url or os.environ.get(DATABASE) or local
        if url == local:
            (home / "registry.db").touch(mode=0o600)
        store = open_store(url)
        return Registry(store, home, "own" if url == local else _chain_name(store), clock or _now)

    @cached_property
    def audit(self) -> Audit:
        """The log of everything."""
        keys = self.home / "keys"
        return Audit(self.store, keys / f"audit-{self.chain_name}.head", keys / "audit.key")

    @property
    def files(self) -> Path:
        """Where uploads and results lie."""
        return self.home / "files"

    @property
    def today(self) -> date:
        """The day it is here."""
        return self.clock().astimezone().date()

    def close(self) -> None:
        """Closes the database."""
        self.store.close()

    # ---- consents --------------------------------------------------------------------------------------------------

    def record_consent(
        self,
        picture: Picture,
        *,
        name: str,
        statement: str,
        purposes: Collection[str],
        expires_on: date,
        recorded_by: str,
        evidence: Evidence,
        languages: Collection[str] | None = None,
        emotions: Collection[str] | None = None,
        starts_on: date | None = None,
        granted_to: str | None = None,
        subject_id: str | None = None,
    ) -> ConsentRecord:
        """Keeps a consent, bound to this picture. `granted_to` may use it: by default who records it.

        A signed statement waits for a second person's `approve`; everything else counts at once.
        """
        starts_on = starts_on or self.today
        _check_terms(name, statement, purposes, starts_on, expires_on, self.today)
        _check_evidence(evidence, recorded_by, pixels_sha256(picture))
        portrait_hash, face_geometry = _likeness(picture).packed()
        consent_id, moment = secrets.token_hex(16), self.clock()
        fields: dict[str, Any] = {
            "id": consent_id,
            "state": "pending" if evidence.needs_approval else "active",
            "basis": evidence.kind,
            "pixels_sha256": pixels_sha256(picture),
            "portrait_hash": portrait_hash,
            "face_geometry": face_geometry,
            "statement": statement.strip(),
            "purposes": sorted(set(purposes)),
            "languages": None if languages is None else sorted(set(languages)),
            "emotions": None if emotions is None else sorted(set(emotions)),
            "recorded_by": recorded_by,
            "recorded_at": moment,
            "granted_to": granted_to or recorded_by,
            "starts_on": starts_on,
            "expires_on": expires_on,
        }
        with self.audit.writing() as note:
            subject_id = subject_id or _new_subject(note.connection, name, moment)
            note.connection.execute(insert(consents).values(**fields, subject_id=subject_id))
            _keep_evidence(note.connection, evidence, consent_id, expires_on, moment)
            told = {"consent": consent_id, "subject": subject_id, "basis": evidence.kind.replace(" ", "_")}
            note("consent_recorded", recorded_by, **told, evidence=evidence.sha256, state=fields["state"])
        return self.consent(consent_id)

    def keep_statement(self, picture: Picture, statement: Statement, basis: str) -> str:
        """The id of the consent that a statement given at the terminal is kept as: for the picture that it names, else
        bound to the first picture it is used with."""
        shown = stated(statement, basis)
        named = None if statement.portrait_sha256 is None else picture
        if basis == STATED and (known := self._known_statement(shown.sha256, named)):
            return known
        return self.record_statement(picture, statement, shown).id

    def record_statement(self, picture: Picture, statement: Statement, shown: Evidence) -> ConsentRecord:
        """Keeps what a statement file says, at the terminal, on this evidence."""
        return self.record_consent(
            picture,
            name=statement.subject,
            statement=f"{statement.statement}\nWritten down by: {statement.recorded_by}",
            purposes=statement.purposes,
            languages=statement.languages,
            emotions=statement.emotions,
            expires_on=statement.expiry,
            starts_on=statement.date,
            recorded_by=TERMINAL,
            evidence=shown,
        )

    def approve(self, consent_id: str, reviewer: str) -> ConsentRecord:
        """A second person's yes to a signed statement."""
        with self._telling(reviewer, consent=consent_id), self.audit.writing() as note:
            record = _record(note.connection, consent_id)
            if record.state != "pending":
                raise ConsentRefused(f"The consent does not wait for approval: it is {record.state}.", "not_pending")
            if reviewer in (record.recorded_by, record.granted_to):
                raise ConsentRefused(
                    "Who recorded a consent or is to use it cannot approve it; ask another reviewer.", "same_person"
                )
            approved = {"state": "active", "approved_by": reviewer, "approved_at": self.clock()}
            note.connection.execute(update(consents).where(consents.c.id == consent_id).values(**approved))
            note("consent_approved", reviewer, consent=consent_id, subject=record.subject_id)
        return self.consent(consent_id)

    def revoke(self, consent_id: str, by: str, why: str = "") -> ConsentRecord:
        """Takes effect at once: no new grants, running ones stop at their next check, clips are no longer served and
        go with the next sweep."""
        with self._telling(by, consent=consent_id), self.audit.writing() as note:
            record, moment = _record(note.connection, consent_id), self.clock()
            if record.state == "revoked":
                return record
            changed = {"state": "revoked", "revoked_by": by, "revoked_at": moment, "revoked_because": why}
            note.connection.execute(update(consents).where(consents.c.id == consent_id).values(**changed))
            withdrawn = shelf.run_out(note.connection, consent_id, moment)
            note("revoked", by, consent=consent_id, subject=record.subject_id, clips=withdrawn)
        return self.consent(consent_id)

    def consent(self, consent_id: str) -> ConsentRecord:
        """The consent of this id, or ConsentRefused."""
        with self.store.reading() as connection:
            return _record(connection, consent_id)

    def consents(
        self, *, state: str | None = None, subject_id: str | None = None, usable_by: str | None = None
    ) -> list[ConsentRecord]:
        """Consents, the newest first: of a state, of a subject, those that one account recorded or may use."""
        query = select(consents).order_by(consents.c.recorded_at.desc(), consents.c.id)
        query = query.where(consents.c.state == state) if state else query
        query = query.where(consents.c.subject_id == subject_id) if subject_id else query
        if usable_by:
            query = query.where(or_(_usable_by(usable_by), consents.c.recorded_by == usable_by))
        with self.store.reading() as connection:
            return [_as_record(row) for row in connection.execute(query).mappings()]

    def name_of(self, subject_id: str) -> str | None:
        """The display name of a subject; None once it was erased."""
        with self.store.reading() as connection:
            query = select(subject_names.c.name).where(subject_names.c.subject_id == subject_id)
            return connection.execute(query).scalar()

    def erase_name(self, subject_id: str, by: str) -> None:
        """Forgets what a subject is called; the records about the subject stay whole."""
        with self.audit.writing() as note:
            gone = note.connection.execute(delete(subject_names).where(subject_names.c.subject_id == subject_id))
            if gone.rowcount:
                note("name_erased", by, subject=subject_id)

    def evidence_upload(self, consent_id: str) -> Upload | None:
        """The signed statement of a consent, for the reviewer to look at; None where there is none (any more)."""
        query = select(evidence.c.upload_id).where(evidence.c.consent_id == consent_id)
        with self.store.reading() as connection:
            upload_id = connection.execute(query).scalar()
        return self.shelf.upload(upload_id) if upload_id else None

    def _known_statement(self, fingerprint: str, named: Picture | None) -> str | None:
        """The consent kept of what says the same; where the statement names its picture, of that photo: somebody may
        agree in the same words to two."""
        query = (
            select(consents)
            .join(evidence, evidence.c.consent_id == consents.c.id)
            .where(evidence.c.sha256 == fingerprint, consents.c.basis == STATED)
        )
        with self.store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        found = [row["id"] for row in rows] if named is None else _of_photo(named, rows)
        return found[0] if found else None

    # ---- live captures ---------------------------------------------------------------------------------------------

    def new_phrase(self, asked_by: str) -> Challenge:
        """Words to say into the camera now: for this account, within minutes, once."""
        issued = self.clock()
        challenge = Challenge(
            id=secrets.token_hex(16), phrase=draw(secrets.SystemRandom()), expires_at=issued + PHRASE_LASTS
        )
        fields = {"id": challenge.id, "phrase": challenge.phrase, "expires_at": challenge.expires_at}
        with self.audit.writing() as note:
            note.connection.execute(insert(challenges).values(**fields, asked_by=asked_by, issued_at=issued))
            note("phrase_issued", asked_by, challenge=challenge.id)
        return challenge

    def captured(self, challenge_id: str, video: Path, picture: Picture, asked_by: str) -> Evidence:
        """Evidence from a live capture of whoever is in the portrait, for `record_consent`; ConsentRefused says what
        failed. The phrase is used up either way. The video stays the caller's, who should delete it: only numbers are
        kept."""
        from vasa_core.trust.capture import examine

        with self._telling(asked_by, challenge=shelf.word(challenge_id)):
            phrase = self._use_up(challenge_id, asked_by)
            findings = examine(video, phrase, _likeness(picture))
            digest = file_sha256(video)
            return captured(findings, challenge_id, digest, pixels_sha256(picture), asked_by)

    def _use_up(self, challenge_id: str, asked_by: str) -> str:
        mine = (challenges.c.id == challenge_id, challenges.c.asked_by == asked_by)
        with self.store.writing() as connection:
            row = connection.execute(select(challenges).where(*mine)).first()
            if row is None or row.used_at is not None:
                raise ConsentRefused("This phrase was used already or is not yours; ask for a new one.", "used_phrase")
            connection.execute(update(challenges).where(*mine).values(used_at=self.clock()))
        if row.expires_at <= self.clock():
            raise ConsentRefused("The phrase is too old; ask for a new one and say it at once.", "old_phrase")
        return row.phrase

    # ---- grants ----------------------------------------------------------------------------------------------------

    def grant(
        self,
        picture: Picture,
        purpose: str,
        *,
        asked_by: str,
        language: str | None = None,
        emotions: Collection[str] = (),
        portrait_path: Path | None = None,
        consent_id: str | None = None,
    ) -> Grant:
        """Leave to animate this picture, or ConsentRefused: free for our own cast, on a consent kept for all others."""
        pixels = pixels_sha256(picture)
        asked = {"asked_by": asked_by, "language": language, "emotions": sorted(set(emotions))}
        with self._telling(asked_by, purpose=purpose if purpose in PURPOSES else "unknown", consent=consent_id):
            check_known(purpose)
            if is_our_cast(pixels, portrait_path):
                with self.audit.writing() as note:
                    return self._noted(granted_on_cast(purpose, pixels), asked, note)
            candidates = self._covering(picture, asked_by, consent_id)
            with self.audit.writing() as note:
                record = _permitted(note.connection, candidates, self.today, purpose, language, emotions)
                given = granted_on(record, purpose, pixels, still_live=partial(self.check_live, record.id))
                return self._noted(given, asked, note)

    def check_live(self, consent_id: str) -> None:
        """Refuses when this consent no longer stands; a running job asks again and again."""
        self.consent(consent_id).check_live(self.today)

    def knows(self, grant: Grant) -> bool:
        """Whether this registry gave the grant."""
        with self.store.reading() as connection:
            mark = connection.execute(select(grants.c.mark).where(grants.c.id == grant.grant_id)).scalar()
        return mark == grant.mark

    def made_with(self, mark: int) -> Mapping[str, Any] | None:
        """The grant whose watermark this is, as a row of the table; None where it is not ours."""
        with self.store.reading() as connection:
            row = connection.execute(select(grants).where(grants.c.mark == mark)).mappings().first()
        return dict(row) if row else None

    def _noted(self, grant: Grant, asked: Mapping[str, Any], note: Note) -> Grant:
        fields = {
            "id": grant.grant_id,
            "mark": grant.mark,
            "consent_id": grant.consent_id,
            "subject_id": grant.subject_id,
            "purpose": grant.purpose,
            "basis": grant.basis,
            "pixels_sha256": grant.pixels_sha256,
            "granted_at": self.clock(),
            "expires_on": grant.expiry,
        }
        note.connection.execute(insert(grants).values(**fields, **asked))
        told = {"grant": grant.grant_id, "purpose": grant.purpose, "basis": grant.basis.replace(" ", "_")}
        note("granted", asked["asked_by"], **told, consent=grant.consent_id)
        return grant

    def _covering(self, picture: Picture, asked_by: str, consent_id: str | None) -> list[str]:
        """Ids of the consents for this very photo that `asked_by` may use, the newest first, or ConsentRefused."""
        query = select(consents).where(_usable_by(asked_by)).order_by(consents.c.recorded_at.desc())
        query = query.where(consents.c.id == consent_id) if consent_id is not None else query
        with self.store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        if consent_id is not None and not rows:
            raise ConsentRefused("There is no such consent for whoever asks.", "unknown_consent")
        found = _of_photo(picture, rows)
        if not found and consent_id is not None:
            raise ConsentRefused("The consent is for another picture; ask for one for this portrait.", "other_portrait")
        if not found:
            raise ConsentRefused("Nobody has recorded a consent for this portrait; record one first.", "no_consent")
        return found

    # ---- clips and uploads -----------------------------------------------------------------------------------------

    @cached_property
    def shelf(self) -> Shelf:
        """Where files lie until their time is over."""
        return Shelf(self.audit, self.files, self.clock)

    def keep_clip(self, grant: Grant, path: Path, owner: str, title: str, *, keep_for: timedelta = CLIP_KEPT) -> Clip:
        """Takes a released file into the house; refuses, and removes it, when the consent was revoked meanwhile."""
        try:
            grant.check(grant.purpose)
        except ConsentRefused:
            path.unlink(missing_ok=True)
            raise
        return self.shelf.keep_clip(grant.grant_id, path, owner, title, keep_for)

    def clip(self, clip_id: str) -> Clip:
        """The clip of this id, or ClipRefused."""
        return self.shelf.clip(clip_id)

    def clips(self, owner: str | None = None) -> list[Clip]:
        """Clips that are still there, the newest first."""
        return self.shelf.clips(owner)

    def servable(self, clip_id: str, account_id: str, role: str) -> Clip:
        """The clip, if this account may see it now: its owner or an administrator, while consent stands."""
        with self._telling(account_id, clip=shelf.word(clip_id)):
            clip = self.shelf.visible(clip_id, account_id, role)
            if clip.consent_id is not None:
                self.check_live(clip.consent_id)
            self.shelf.check_time(clip)
            return clip

    def keep_upload(self, path: Path, owner: str, kind: str, *, keep_for: timedelta = UPLOAD_KEPT) -> Upload:
        """Takes an uploaded file into the house, to be deleted when its time is over."""
        return self.shelf.keep_upload(path, owner, kind, keep_for)

    def signed_statement(self, path: Path, owner: str) -> Evidence:
        """Keeps an uploaded signed statement and makes evidence of it, for `record_consent`."""
        check_document(path)
        upload = self.keep_upload(path, owner, "signed_statement")
        return signed(upload.id, upload.sha256, owner)

    def delete_clip(self, clip_id: str, by: str, role: str = "viewer") -> None:
        """Deletes a clip before its time; its owner and administrators may."""
        self.shelf.delete_clip(clip_id, by, role)

    def sweep(self, now: datetime | None = None) -> Swept:
        """Deletes every file past its time, notes the consents that have run out, forgets old phrases."""
        now = now or self.clock()
        swept = self.shelf.sweep(now)
        with self.audit.writing() as note:
            day = now.astimezone().date()
            ended = (consents.c.expires_on < day, consents.c.expiry_noted_at.is_(None), consents.c.state != "revoked")
            for consent_id in note.connection.execute(select(consents.c.id).where(*ended)).scalars().all():
                changed = update(consents).where(consents.c.id == consent_id).values(expiry_noted_at=now)
                note.connection.execute(changed)
                shelf.run_out(note.connection, consent_id, now)
                note("expired", "retention", consent=consent_id)
            note.connection.execute(delete(challenges).where(challenges.c.expires_at < now - timedelta(days=1)))
        return swept

    def _telling(self, actor: str, **facts: str | None) -> _Telling:
        return _Telling(self.audit, actor, {name: fact for name, fact in facts.items() if fact is not None})


@dataclass(frozen=True)
class _Telling:
    """A block whose refusals the audit hears of."""

    audit: Audit
    actor: str
    facts: Mapping[str, str]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if isinstance(failure, (ConsentRefused, BadPortrait, ClipRefused)):
            facts = {name: shelf.word(fact) for name, fact in self.facts.items()}
            self.audit.append("refused", self.actor, reason=_reason(failure), **facts)


def _reason(failure: BaseException) -> str:
    if isinstance(failure, ConsentRefused):
        return failure.code
    return "no_such_clip" if isinstance(failure, ClipRefused) else "no_face"


def home_folder(home: Path | None = None) -> Path:
    """The house: the folder given, VASA_HOME or ~/.vasa; made if need be, for its owner only."""
    home = (home or Path(os.environ.get(HOME) or Path.home() / ".vasa")).expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return home


def _chain_name(store: Store) -> str:
    """A word for this database wherever it is, so that its anchor is not held against another's chain."""
    place = store.engine.url.set(username=None, password=None, query={})
    return hashlib.sha256(place.render_as_string().encode()).hexdigest()[:16]


# ---- what a consent must say --------------------------------------------------------------------------------------


def _check_terms(
    name: str, statement: str, purposes: Collection[str], starts_on: date, expires_on: date, today: date
) -> None:
    if not name.strip() or not statement.strip():
        raise BadOption("A consent says who is shown and what this person agreed to; fill in both.")
    if not purposes or not set(purposes) <= set(PURPOSES):
        raise BadOption(f"A consent says for what: {' or '.join(PURPOSES)}.")
    if not max(starts_on, today) <= expires_on <= starts_on + LONGEST_CONSENT:
        raise BadOption("A consent ends after it begins, today at the earliest and within five years.")


def _check_evidence(shown: Evidence, recorded_by: str, pixels: str) -> None:
    if shown.by != recorded_by:
        raise ConsentRefused(
            "The evidence was given by somebody else than who records the consent.", "foreign_evidence"
        )
    if shown.pixels_sha256 is not None and shown.pixels_sha256 != pixels:
        raise ConsentRefused("The evidence was given for another portrait.", "other_portrait")


def _keep_evidence(
    connection: Connection, shown: Evidence, consent_id: str, expires_on: date, moment: datetime
) -> None:
    fields = {"consent_id": consent_id, "kind": shown.kind, "sha256": shown.sha256, "upload_id": shown.upload_id}
    figures = dict(shown.figures)
    connection.execute(insert(evidence).values(id=secrets.token_hex(16), **fields, figures=figures, kept_at=moment))
    if shown.upload_id is not None:
        end = datetime.combine(expires_on, datetime.min.time(), UTC) + EVIDENCE_KEPT_AFTER
        shelf.keep_until(connection, shown.upload_id, end)


def _new_subject(connection: Connection, name: str, moment: datetime) -> str:
    subject_id = secrets.token_hex(16)
    connection.execute(insert(subjects).values(id=subject_id, created_at=moment))
    connection.execute(insert(subject_names).values(subject_id=subject_id, name=name.strip()))
    return subject_id


# ---- which consent serves -----------------------------------------------------------------------------------------


def _usable_by(account: str) -> Any:
    return consents.c.granted_to.in_((account, ANYBODY))


def _likeness(picture: Picture) -> Likeness:
    from vasa_core.trust.likeness import likeness  # MediaPipe, a second: only where a stranger's face is looked at

    return likeness(picture)


def _of_photo(picture: Picture, rows: Collection[Mapping[Any, Any]]) -> list[str]:
    """Ids of the consents for this very photo, else for what it is a copy of."""
    pixels = pixels_sha256(picture)
    return [row["id"] for row in rows if row["pixels_sha256"] == pixels] or _copies(picture, rows)


def _copies(picture: Picture, rows: Collection[Mapping[Any, Any]]) -> list[str]:
    """Ids of the consents whose photo this picture is a crop or another encoding of."""
    if not rows:
        return []
    from vasa_core.trust.likeness import Likeness, same_photo

    try:
        seen = _likeness(picture)
    except BadPortrait:
        return []
    kept = {row["id"]: Likeness.unpacked(row["portrait_hash"], row["face_geometry"]) for row in rows}
    return [consent_id for consent_id, known in kept.items() if same_photo(seen, known)]


def _permitted(
    connection: Connection,
    candidates: Collection[str],
    today: date,
    purpose: str,
    language: str | None,
    emotions: Collection[str],
) -> ConsentRecord:
    """The first consent that stands and covers what is asked; else the refusal of the newest."""
    refusals = []
    for consent_id in candidates:
        record = _record(connection, consent_id)
        try:
            record.check_live(today)
            record.check_covers(purpose, language, emotions)
            return record
        except ConsentRefused as refusal:
            refusals.append(refusal)
    raise refusals[0]


def _record(connection: Connection, consent_id: str) -> ConsentRecord:
    row = connection.execute(select(consents).where(consents.c.id == consent_id)).mappings().first()
    if row is None:
        raise ConsentRefused("There is no such consent.", "unknown_consent")
    return _as_record(row)


def _as_record(row: Mapping[Any, Any]) -> ConsentRecord:
    fields = {name: row[name] for name in ConsentRecord.__dataclass_fields__}
    for name in ("purposes", "languages", "emotions"):
        fields[name] = None if fields[name] is None else tuple(fields[name])
    return ConsentRecord(**fields)
