"""The consent step behind its page: uploads in, a consent in the registry out, judged in the worker and not here."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from demo.device import Device
from demo.uploads import Uploads
from vasa_core.controls import EMOTIONS
from vasa_core.errors import BadOption, ConsentRefused
from vasa_core.trust.accounts import Account, Accounts
from vasa_core.trust.consent import PURPOSES, SIGNED, ConsentRecord
from vasa_core.trust.registry import Registry
from vasa_core.trust.schema import portraits, uploads
from vasa_core.trust.shelf import keep_until

NAME_LETTERS = 80
LANGUAGE = re.compile("[a-z]{2,3}")
SCANS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif")
AGREED = "This studio may make videos and pictures of my face, until the day named; I can take this back at any time."
HANDED_IN = "A signed statement of the person shown was handed in; a reviewer compares it with the portrait."


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What is agreed to: whose face, until when, and for what; None allows any language or mood."""

    name: str
    until: date
    purposes: tuple[str, ...] = PURPOSES
    languages: tuple[str, ...] | None = None
    emotions: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.strip()) <= NAME_LETTERS:
            raise BadOption(f"A name has 1 to {NAME_LETTERS} letters.")
        if not self.purposes or not set(self.purposes) <= set(PURPOSES):
            raise BadOption("A consent is for videos, for pictures, or for both.")
        if not set(self.emotions or ()) <= set(EMOTIONS):
            raise BadOption(f"A mood is one of {', '.join(EMOTIONS)}.")
        if not all(map(LANGUAGE.fullmatch, self.languages or ())):
            raise BadOption("A language is named by its code, as in en or cmn.")

    def asked(self) -> dict[str, Any]:
        """The terms as the worker is told them."""
        return {**asdict(self), "name": self.name.strip(), "until": self.until.isoformat()}


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentView:
    """A consent as whoever may see it sees it. `portrait` is what a request names to animate it."""

    id: str
    name: str
    state: str  # approved, pending, revoked or expired
    sentence: str
    basis: str
    portrait: str
    purposes: tuple[str, ...]
    languages: tuple[str, ...] | None
    emotions: tuple[str, ...] | None
    until: date
    recorded_by: str
    approved_by: str | None
    mine: bool
    approvable: bool
    paper: str | None
    """What the signed statement is, where there is one: "text", "picture" or "pdf"."""


def paper_kind(path: Path) -> str:
    """How a signed statement is to be shown: "text", "picture" or "pdf"."""
    return "pdf" if path.suffix == ".pdf" else "picture" if path.suffix in SCANS else "text"


@dataclass(frozen=True)
class Consents:
    """Consents of one house, with the pictures they are about."""

    registry: Registry
    uploads: Uploads
    device: Device
    accounts: Accounts

    def hand_in(self, account: Account, portrait: str, statement: str, terms: Terms) -> ConsentView:
        """A signed statement about an uploaded portrait; it waits for a second person."""
        asked = {"document": str(self.uploads.path(account, statement, "document")), "statement": HANDED_IN}
        return self._record(account, portrait, terms, {"how": "statement", **asked})

    def capture(self, account: Account, challenge: str, portrait: str, video: str, terms: Terms) -> ConsentView:
        """A live capture: the face is compared with the portrait, the phrase is listened for."""
        asked = {
            "challenge": challenge,
            "video": str(self.uploads.path(account, video, "capture")),
            "statement": AGREED,
        }
        try:
            return self._record(account, portrait, terms, {"how": "capture", **asked})
        finally:  # only numbers are kept of it
            self.uploads.forget(video)

    def challenge(self, account: Account) -> tuple[str, str]:
        """A phrase to say, good once and for a short while, and its id."""
        issued = self.registry.new_phrase(account.id)
        return issued.phrase, issued.id

    def view(self, account: Account, record: ConsentRecord) -> ConsentView:
        """A consent as this account sees it."""
        try:
            record.check_live(self.registry.today)
            state, sentence = "approved", f"May be used until {record.expires_on}."
        except ConsentRefused as refusal:
            state, sentence = ("expired" if record.state == "active" else record.state), str(refusal)
        is_own = account.id in (record.recorded_by, record.granted_to)
        return ConsentView(
            id=record.id, name=self.registry.name_of(record.subject_id) or "(name erased)", state=state,
            sentence=sentence, basis=record.basis, portrait=record.id, purposes=record.purposes,
            languages=record.languages, emotions=record.emotions,
            until=record.expires_on, recorded_by=self._name(record.recorded_by),
            approved_by=self._name(record.approved_by) if record.approved_by else None,
            mine=is_own, approvable=record.state == "pending" and not is_own, paper=self._paper_kind(record),
        )  # fmt: skip

    def picture(self, consent_id: str) -> Path | None:
        """The picture that a consent is about; None where it is gone."""
        query = select(portraits.c.upload_id).where(portraits.c.consent_id == consent_id)
        with self.registry.store.reading() as connection:
            upload_id = connection.execute(query).scalar()
        upload = self.registry.shelf.upload(upload_id) if upload_id else None
        if upload is None or upload.expires_at <= self.registry.clock() or not upload.path.is_file():
            return None
        return upload.path

    def paper(self, consent_id: str) -> Path | None:
        """The signed statement of a consent; None where there is none (any more)."""
        upload = self.registry.evidence_upload(consent_id)
        return upload.path if upload is not None and upload.path.is_file() else None

    def _paper_kind(self, record: ConsentRecord) -> str | None:
        path = self.paper(record.id) if record.basis == SIGNED else None
        return None if path is None else paper_kind(path)

    def forget_picture(self, consent_id: str) -> None:
        """Lets the next sweep delete the picture of a consent that was taken back."""
        with self.registry.store.writing() as connection:
            query = select(portraits.c.upload_id).where(portraits.c.consent_id == consent_id)
            if upload_id := connection.execute(query).scalar():
                expiry = uploads.update().where(uploads.c.id == upload_id)
                connection.execute(expiry.values(expires_at=self.registry.clock()))

    def _name(self, account_id: str) -> str:
        """Who that is, for people; what was done at a terminal has no account."""
        known = self.accounts.with_id(account_id)
        return known.name if known is not None else account_id

    def _record(self, account: Account, portrait: str, terms: Terms, asked: dict[str, Any]) -> ConsentView:
        picture = self.uploads.path(account, portrait, "picture")
        asked |= {"do": "consent", "owner": account.id, "portrait": str(picture)}
        made = self.device.ask(asked | terms.asked())
        record = self.registry.consent(made["consent"])
        with self.registry.store.writing() as connection:
            connection.execute(insert(portraits).values(consent_id=record.id, upload_id=portrait))
            keep_until(connection, portrait, datetime.combine(terms.until, time.max, UTC))
        return self.view(account, record)
