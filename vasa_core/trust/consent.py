"""Who may be animated: our own synthetic cast freely, everybody else on a consent statement.

A `Grant` says who appears, for what, on which basis and until when. Only `grant_for` makes one; `release` lets nothing
out without one. Nothing here recognises people: our cast is known by the sha256 of its files and of its pixels.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tomllib
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vasa_core import assets
from vasa_core.errors import ConsentRefused

PURPOSES = ("speak", "look")
CAST_LIST = assets.FOLDER / "portraits" / "cast.json"
ATTESTATION = "I have this person's consent"
PLACEHOLDER = "FILL IN"

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
    portrait: str | None = None
    portrait_sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Leave to animate one portrait for one purpose. Made by `grant_for` alone; cannot be copied into another."""

    grant_id: str
    purpose: str
    basis: str  # "our own cast", "consent statement" or "attestation"
    pixels_sha256: str
    expiry: date | None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("A Grant comes from grant_for alone, which asks for consent first")

    def check(self, purpose: str, on: date | None = None) -> None:
        """Refuses when this grant is for something else or has run out."""
        if purpose != self.purpose:
            raise ConsentRefused(f"This grant is for '{self.purpose}', not for '{purpose}'; ask for another.")
        if self.expiry is not None and (on or date.today()) > self.expiry:
            raise ConsentRefused(f"The consent ran out on {self.expiry}; ask the person again.")

    def check_covers(self, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Refuses when this grant was given for another picture."""
        if pixels_sha256(picture) != self.pixels_sha256:
            raise ConsentRefused("This grant was given for another portrait; ask for one for this portrait.")


def grant_for(
    picture: UInt8[np.ndarray, "height width 3"],
    portrait_path: Path | str | None,
    purpose: str,
    consent: Statement | Path | str | None = None,
    ask: Callable[[str], str] | None = None,
    on: date | None = None,
) -> Grant:
    """Leave to animate this picture, or ConsentRefused.

    `consent` is a statement or its file; `ask` puts a question to a person at a terminal and is used only without one.
    """
    on = on or date.today()
    path = Path(portrait_path) if portrait_path is not None else None
    pixels = pixels_sha256(picture)
    if purpose not in PURPOSES:
        raise ConsentRefused(f"A portrait may be used to {' or to '.join(PURPOSES)}, not to '{purpose}'.")
    if consent is None and _is_our_cast(pixels, path):
        return _granted(purpose, "our own cast", pixels, expiry=None)
    if consent is None:
        statement, basis = _attested(path, purpose, ask, on), "attestation"
    else:
        statement, basis = consent if isinstance(consent, Statement) else read_statement(consent), "consent statement"
    _check(statement, path, pixels, purpose, on)
    return _granted(purpose, basis, pixels, statement.expiry)


def _granted(purpose: str, basis: str, pixels: str, expiry: date | None) -> Grant:
    """The id is drawn at random: it names the grant, never the person."""
    grant_id = secrets.token_hex(8)
    return Grant(grant_id=grant_id, purpose=purpose, basis=basis, pixels_sha256=pixels, expiry=expiry, seal=_SEAL)


# ---- our own cast -------------------------------------------------------------------------------------------------


def pixels_sha256(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    """The fingerprint of a decoded picture: survives a lossless re-save, a crop or an edit changes it."""
    height, width, _ = picture.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def file_sha256(path: Path) -> str:
    """The fingerprint of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_our_cast(pixels: str, path: Path | None) -> bool:
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
    known = {*texts, "date", "expiry", "purposes", "portrait", "portrait_sha256"}
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
        portrait=_optional(fields, "portrait"),
        portrait_sha256=_optional(fields, "portrait_sha256"),
    )


def _optional(fields: dict[str, object], name: str) -> str | None:
    return str(fields[name]) if name in fields else None


def _day(fields: dict[str, object], name: str, path: Path) -> date:
    try:
        return date.fromisoformat(str(fields[name])[:10])
    except (KeyError, ValueError):
        raise ConsentRefused(f"{path} does not give '{name}' as a day; write it as 2030-01-31.") from None


def _check(statement: Statement, path: Path | None, pixels: str, purpose: str, on: date) -> None:
    if statement.date > on:
        raise ConsentRefused(f"The consent is dated {statement.date}, in the future; correct the date.")
    if statement.expiry < on:
        raise ConsentRefused(f"The consent ran out on {statement.expiry}; ask the person again.")
    if purpose not in statement.purposes:
        allowed = ", ".join(statement.purposes)
        raise ConsentRefused(f"The consent covers {allowed}, not '{purpose}'; ask the person for that too.")
    if statement.portrait is not None and (path is None or path.name != statement.portrait):
        raise ConsentRefused(f"The consent is for {statement.portrait}, not for this portrait.")
    if statement.portrait_sha256 is not None:
        ours = {pixels, file_sha256(path)} if path is not None and path.is_file() else {pixels}
        if statement.portrait_sha256.lower() not in ours:
            raise ConsentRefused("The consent is for another picture: its portrait_sha256 is not this portrait's.")


def _attested(path: Path | None, purpose: str, ask: Callable[[str], str] | None, on: date) -> Statement:
    """What a person at the terminal attests, good for today."""
    name = path.name if path is not None else "This portrait"
    if ask is None:
        raise ConsentRefused(
            f"{name} is not one of our own synthetic portraits: show that the person agreed with --consent FILE"
            " (`vasa consent-template PORTRAIT > consent.toml` writes one to fill in)."
        )
    subject = ask(f"{name} is not one of our own synthetic portraits. Who is shown?").strip()
    typed = ask(f"If this person agreed to it, type: {ATTESTATION}").strip() if subject else ""
    if typed.rstrip(".").lower() != ATTESTATION.lower():
        raise ConsentRefused("No consent was attested, so nothing was made.")
    return Statement(subject=subject, statement=typed, recorded_by="terminal", date=on, expiry=on, purposes=(purpose,))
