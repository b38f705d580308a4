"""Who may be animated: our own synthetic cast freely, everybody else on a consent statement.

A `Grant` says who appears, for what, on which basis and until when. Only `grant_for` and the registry make one;
`release` lets nothing out without one, and asks it again while the work runs. Our cast is known by the sha256 of its
files and of its pixels. A statement covers the picture that it names by `portrait_sha256`; one that names none is
bound to the first picture it is used with, and covers no other after that.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tomllib
from collections.abc import Callable, Collection
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from vasa_core import assets
from vasa_core.errors import ConsentRefused

PURPOSES = ("speak", "look")
CAST_LIST = assets.FOLDER / "portraits" / "cast.json"
ATTESTATION = "I have this person's consent"
PLACEHOLDER = "FILL IN"
TERMINAL = "terminal"
"""Who asks, records and revokes on the command line: whoever may write to the house."""

CAST, STATED, ATTESTED, CAPTURED, SIGNED = (
    "our own cast", "consent statement", "attestation", "live capture", "signed statement",
)  # fmt: skip
MARK_BITS = 48
NEUTRAL = "neutral"
OTHER = "other_portrait"

Picture = UInt8[np.ndarray, "height width 3"]

_SEAL = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What a person has agreed to, as written down in a consent file or attested on the terminal."""

    subject: str
    statement: str
    recorded_by: str
    date: date
    expiry: date
    purposes: tuple[str, ...]
    languages: tuple[str, ...] | None = None
    emotions: tuple[str, ...] | None = None
    portrait: str | None = None
    portrait_sha256: str | None = None

    def fingerprint(self) -> str:
        """The sha256 of what was agreed to: the same statement is known again, whatever file it comes from."""
        days, scope = [str(self.date), str(self.expiry)], [self.purposes, self.languages, self.emotions]
        agreed = [self.subject, self.statement, self.recorded_by, *days, *scope]
        return hashlib.sha256(json.dumps(agreed).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentRecord:
    """A consent as the registry keeps it. `languages` and `emotions` are None where any is allowed."""

    id: str
    subject_id: str
    state: str  # "pending" until a second person approves, "active" or "revoked"
    basis: str
    statement: str
    purposes: tuple[str, ...]
    languages: tuple[str, ...] | None
    emotions: tuple[str, ...] | None
    granted_to: str
    recorded_by: str
    recorded_at: datetime
    starts_on: date
    expires_on: date
    approved_by: str | None
    approved_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None
    revoked_because: str | None
    pixels_sha256: str

    def check_live(self, on: date) -> None:
        """Refuses when this was revoked, still waits for its second person, has not begun or has run out."""
        if self.state == "revoked":
            raise ConsentRefused("The consent was revoked; nothing more is made or shown on it.", "revoked")
        if self.state == "pending":
            raise ConsentRefused("The consent waits for a reviewer's approval; ask one to look at it.", "pending")
        _check_days(self.starts_on, self.expires_on, on)

    def check_covers(self, purpose: str, language: str | None, emotions: Collection[str]) -> None:
        """Refuses a use that was not agreed to."""
        _check_purpose(self.purposes, purpose)
        if purpose != "look":  # a still speaks no language
            check_language(self.languages, language)
        check_emotions(self.emotions, emotions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Leave to animate one portrait for one purpose. Made by `grant_for` and the registry alone; cannot be copied into
    another."""

    grant_id: str
    purpose: str
    basis: str  # "our own cast", or the basis of the consent
    pixels_sha256: str
    expiry: date | None
    mark: int  # 48 random bits, what the watermark carries
    subject_id: str | None = None
    consent_id: str | None = None
    still_live: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    """Asks the registry whether the consent still stands; refuses when it does not."""
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("A Grant comes from grant_for or the registry alone, which ask for consent first")

    def check(self, purpose: str, on: date | None = None) -> None:
        """Refuses when this grant is for something else, has run out, or its consent was revoked since."""
        if purpose != self.purpose:
            raise ConsentRefused(f"This grant is for '{self.purpose}', not for '{purpose}'; ask for another.")
        if self.still_live is not None and on is None:
            self.still_live()
        elif self.expiry is not None and (on or date.today()) > self.expiry:
            raise ConsentRefused(f"The consent ran out on {self.expiry}; ask the person again.", "expired")

    def check_covers(self, picture: Picture) -> None:
        """Refuses when this grant was given for another picture."""
        if pixels_sha256(picture) != self.pixels_sha256:
            raise ConsentRefused("This grant was given for another portrait; ask for one for this portrait.")


@runtime_checkable
class Keeper(Protocol):
    """What keeps consents and grants: `registry.Registry`."""

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
        """Leave on a consent kept, or ConsentRefused."""

    def keep_statement(self, picture: Picture, statement: Statement, basis: str) -> str:
        """The id of the consent that this statement is kept as, bound to this picture."""


def grant_for(
    picture: Picture,
    portrait_path: Path | str | None,
    purpose: str,
    consent: Statement | Path | str | None = None,
    ask: Callable[[str], str] | None = None,
    on: date | None = None,
    *,
    registry: Keeper | None = None,
    language: str | None = None,
    emotions: Collection[str] = (),
) -> Grant:
    """Leave to animate this picture for somebody at a terminal, or ConsentRefused.

    `consent` is a statement or its file; `ask` puts a question to a person at a terminal and is used only without one,
    and where the registry keeps no consent for the picture. What is shown here is kept in the registry.
    """
    on = on or date.today()
    path = Path(portrait_path) if portrait_path is not None else None
    pixels = pixels_sha256(picture)
    asked: dict[str, Any] = {"asked_by": TERMINAL, "language": language, "emotions": emotions, "portrait_path": path}
    check_known(purpose)
    if consent is None and is_our_cast(pixels, path):
        return registry.grant(picture, purpose, **asked) if registry else granted_on_cast(purpose, pixels)
    if consent is None:
        if registry and (kept := _kept(registry, picture, purpose, asked)):
            return kept
        statement, basis = _attested(path, purpose, ask, on), ATTESTED
    else:
        statement, basis = consent if isinstance(consent, Statement) else read_statement(consent), STATED
    _check(statement, path, pixels, purpose, on)
    if purpose != "look":
        check_language(statement.languages, language)
    check_emotions(statement.emotions, emotions)
    if registry:
        return registry.grant(picture, purpose, **asked, consent_id=registry.keep_statement(picture, statement, basis))
    return _granted(purpose=purpose, basis=basis, pixels_sha256=pixels, expiry=statement.expiry)


def _kept(registry: Keeper, picture: Picture, purpose: str, asked: dict[str, Any]) -> Grant | None:
    """The grant on a consent that the registry keeps; None where it keeps none for this picture."""
    try:
        return registry.grant(picture, purpose, **asked)
    except ConsentRefused as refusal:
        if refusal.code in ("no_consent", "expired"):
            return None
        raise


def check_known(purpose: str) -> None:
    """Refuses a purpose that there is not."""
    if purpose not in PURPOSES:
        known = " or to ".join(PURPOSES)
        raise ConsentRefused(f"A portrait may be used to {known}, not to '{purpose}'.", "unknown_purpose")


def check_language(allowed: Collection[str] | None, spoken: str | None) -> None:
    """Refuses a language that was not agreed to, or not to know it where that matters."""
    if allowed is not None and spoken not in allowed:
        instead = f"not '{spoken}'" if spoken else "so say which one is spoken (--language)"
        raise ConsentRefused(f"The consent covers the languages {', '.join(allowed)}, {instead}.", "other_language")


def check_emotions(allowed: Collection[str] | None, asked: Collection[str]) -> None:
    """Refuses an emotion that was not agreed to; a neutral face always was."""
    if allowed is not None and (others := sorted(set(asked) - {*allowed, NEUTRAL})):
        listed = ", ".join((*allowed, NEUTRAL))
        raise ConsentRefused(f"The consent covers the emotions {listed}, not '{others[0]}'.", "other_emotion")


def granted_on_cast(purpose: str, pixels: str, **kept: Any) -> Grant:
    """Leave to animate one of our own cast."""
    return _granted(purpose=purpose, basis=CAST, pixels_sha256=pixels, expiry=None, **kept)


def granted_on(record: ConsentRecord, purpose: str, pixels: str, **kept: Any) -> Grant:
    """Leave on a consent that was checked."""
    subject = {"subject_id": record.subject_id, "consent_id": record.id, "expiry": record.expires_on}
    return _granted(purpose=purpose, basis=record.basis, pixels_sha256=pixels, **subject, **kept)


def _granted(**fields: Any) -> Grant:
    """The id and the mark are drawn at random: they name the grant, never the person."""
    drawn: dict[str, Any] = {"grant_id": secrets.token_hex(8), "mark": secrets.randbits(MARK_BITS)}
    return Grant(**(drawn | fields), seal=_SEAL)


# ---- our own cast -------------------------------------------------------------------------------------------------


def pixels_sha256(picture: Picture) -> str:
    """The fingerprint of a decoded picture: survives a lossless re-save, a crop or an edit changes it."""
    height, width, _ = picture.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def file_sha256(path: Path) -> str:
    """The fingerprint of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_our_cast(pixels: str, path: Path | None) -> bool:
    """Whether these are the pixels, or the file, of one of our own synthetic people."""
    if not CAST_LIST.is_file():
        return False
    known = {value for entry in json.loads(CAST_LIST.read_text()).values() for value in entry.values()}
    return pixels in known or (path is not None and path.is_file() and file_sha256(path) in known)


# ---- consent statements -------------------------------------------------------------------------------------------


def template(portrait_path: Path | None = None, on: date | None = None) -> str:
    """A consent statement to fill in, as TOML; bound to the portrait when one is given."""
    on = on or date.today()
    until = on.replace(year=on.year + 1, day=min(on.day, 28))
    bound = (
        f'portrait_sha256 = "{file_sha256(portrait_path)}"  # {portrait_path.name}'
        if portrait_path
        else ('# portrait_sha256 = "..."  # binds this to one picture: vasa consent-template PORTRAIT fills it in')
    )
    return f'''# Consent to animate a portrait. Keep it with the signed paper or the message it was taken from.
subject = "{PLACEHOLDER}: who is shown"
statement = "{PLACEHOLDER}: what this person agreed to, in their words"
recorded_by = "{PLACEHOLDER}: who wrote this down"
date = {on}
expiry = {until}
purposes = {json.dumps(list(PURPOSES))}
# languages = ["en"]  # any, where nothing is said
# emotions = ["happy"]  # any, where nothing is said
{bound}
'''


def read_statement(path: Path | str) -> Statement:
    """The consent statement in a TOML or JSON file."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError:
        raise ConsentRefused(f"The consent file {path} cannot be read; check the path.") from None
    except ValueError:  # JSON, TOML and UTF-8 errors are all ValueErrors
        raise ConsentRefused(f"{path} is not a consent file; `vasa consent-template` writes one to fill in.") from None
    if not isinstance(fields, dict):
        raise ConsentRefused(f"{path} is not a consent file; `vasa consent-template` writes one to fill in.")
    return _statement(fields, path)


def _statement(fields: dict[str, object], path: Path) -> Statement:
    texts = ("subject", "statement", "recorded_by")
    known = {*texts, "date", "expiry", "purposes", "languages", "emotions", "portrait", "portrait_sha256"}
    if unknown := sorted(fields.keys() - known):
        raise ConsentRefused(f"{path} has an unknown field, '{unknown[0]}'; there are {', '.join(sorted(known))}.")
    for name in texts:
        if not str(fields.get(name, "")).strip() or PLACEHOLDER in str(fields[name]):
            raise ConsentRefused(f"{path} does not say '{name}'; fill it in.")
    purposes = fields.get("purposes")
    if not isinstance(purposes, list) or not purposes:
        raise ConsentRefused(f'{path} does not say for what; add purposes = ["speak"].')
    return Statement(
        **{name: str(fields[name]).strip() for name in texts},
        date=_day(fields, "date", path),
        expiry=_day(fields, "expiry", path),
        purposes=tuple(map(str, purposes)),
        languages=_words(fields, "languages", path),
        emotions=_words(fields, "emotions", path),
        portrait=_optional(fields, "portrait"),
        portrait_sha256=_optional(fields, "portrait_sha256"),
    )


def _words(fields: dict[str, object], name: str, path: Path) -> tuple[str, ...] | None:
    """The words listed; None, which allows any, where there is no list."""
    words = fields.get(name)
    if words is not None and not isinstance(words, list):
        raise ConsentRefused(f"{path} gives '{name}' as one word; write a list, {name} = [\"...\"].")
    return None if words is None else tuple(map(str, words))


def _optional(fields: dict[str, object], name: str) -> str | None:
    return str(fields[name]) if name in fields else None


def _day(fields: dict[str, object], name: str, path: Path) -> date:
    try:
        return date.fromisoformat(str(fields[name])[:10])
    except (KeyError, ValueError):
        raise ConsentRefused(f"{path} does not give '{name}' as a day; write it as 2030-01-31.") from None


def _check_days(starts: date, expires: date, on: date) -> None:
    if starts > on:
        raise ConsentRefused(f"The consent is dated {starts}, in the future; correct the date.", "not_yet")
    if expires < on:
        raise ConsentRefused(f"The consent ran out on {expires}; ask the person again.", "expired")


def _check_purpose(allowed: Collection[str], purpose: str) -> None:
    if purpose not in allowed:
        raise ConsentRefused(
            f"The consent covers {', '.join(allowed)}, not '{purpose}'; ask the person for that too.", "other_purpose"
        )


def _check(statement: Statement, path: Path | None, pixels: str, purpose: str, on: date) -> None:
    _check_days(statement.date, statement.expiry, on)
    _check_purpose(statement.purposes, purpose)
    if statement.portrait is not None and (path is None or path.name != statement.portrait):
        raise ConsentRefused(f"The consent is for {statement.portrait}, not for this portrait.", OTHER)
    if statement.portrait_sha256 is not None:
        ours = {pixels, file_sha256(path)} if path is not None and path.is_file() else {pixels}
        if statement.portrait_sha256.lower() not in ours:
            raise ConsentRefused(
                "The consent is for another picture: its portrait_sha256 is not this portrait's.", OTHER
            )


def _attested(path: Path | None, purpose: str, ask: Callable[[str], str] | None, on: date) -> Statement:
    """What a person at the terminal attests, good for today."""
    name = path.name if path is not None else "This portrait"
    if ask is None:
        raise ConsentRefused(
            f"{name} is not one of our own synthetic portraits: show that the person agreed with --consent FILE"
            " (`vasa consent-template PORTRAIT > consent.toml` writes one to fill in).",
            "no_consent",
        )
    subject = ask(f"{name} is not one of our own synthetic portraits. Who is shown?").strip()
    typed = ask(f"If this person agreed to it, type: {ATTESTATION}").strip() if subject else ""
    if typed.rstrip(".").lower() != ATTESTATION.lower():
        raise ConsentRefused("No consent was attested, so nothing was made.", "no_consent")
    return Statement(subject=subject, statement=typed, recorded_by="terminal", date=on, expiry=on, purposes=(purpose,))
