"""The commands `vasa consent` (record, approve, revoke, list and more) and `vasa audit` (verify, list).

Whoever may write to the house acts as "terminal". Approving takes a second person all the same: a reviewer's account
and its password.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vasa_core.errors import BadOption, ConsentRefused

if TYPE_CHECKING:
    from vasa_core.trust.chain import Anchor
    from vasa_core.trust.registry import Registry

BROKEN = 21
"""Exit code of `vasa audit verify` where the chain is broken, as of `vasa verify` for a tampered file."""

consent = typer.Typer(no_args_is_help=True, help="Who agreed to be animated.")
audit = typer.Typer(no_args_is_help=True, help="What was allowed, made, served and revoked.")

ConsentId = Annotated[str, typer.Argument(help="As `vasa consent list` shows it.", metavar="ID")]


@consent.command()
def record(
    portrait: Annotated[Path, typer.Argument(help="The picture that the consent is for.", metavar="PORTRAIT")],
    statement: Annotated[Path, typer.Argument(help="What was agreed to: a consent file.", metavar="STATEMENT")],
    document: Annotated[
        Path | None, typer.Option(help="The signed statement, kept for a reviewer, who then approves it.")
    ] = None,
    capture: Annotated[
        Path | None, typer.Option(help="Video of the person saying a phrase of `vasa consent phrase`.")
    ] = None,
    phrase_id: Annotated[str, typer.Option("--phrase", help="The id of that phrase.")] = "",
) -> None:
    """Keep a consent, so that the portrait needs no --consent any more."""
    from vasa_core.pictures import load_picture
    from vasa_core.trust.consent import STATED, TERMINAL, file_sha256, pixels_sha256, read_statement

    if document is not None and capture is not None:
        raise BadOption("A consent rests on a signed document or on a capture; give one of the two.")
    picture, said, registry = load_picture(portrait), read_statement(statement), _registry()
    if said.portrait_sha256 not in (None, pixels_sha256(picture), file_sha256(portrait)):
        raise ConsentRefused("The consent is for another picture: its portrait_sha256 is not this portrait's.")
    if document is not None:
        kept = registry.record_statement(picture, said, registry.signed_statement(_copy(document), TERMINAL))
    elif capture is not None:
        kept = registry.record_statement(picture, said, registry.captured(phrase_id, capture, picture, TERMINAL))
    else:
        kept = registry.consent(registry.keep_statement(picture, said, STATED))
    typer.echo(f"{kept.id}\t{kept.state}")


@consent.command()
def phrase() -> None:
    """Words to say into a camera within minutes, for `vasa consent record --capture`."""
    from vasa_core.trust.consent import TERMINAL

    challenge = _registry().new_phrase(TERMINAL)
    typer.echo(f"{challenge.phrase}\n--phrase {challenge.id}\tuntil {challenge.expires_at.astimezone():%H:%M}")


@consent.command()
def approve(
    consent_id: ConsentId,
    reviewer: Annotated[str, typer.Option(help="The reviewer's account; the password is asked for.")],
) -> None:
    """A second person's yes to a signed statement."""
    from vasa_core.trust.accounts import Accounts
    from vasa_core.trust.consent import TERMINAL

    registry = _registry()
    account = Accounts(registry.audit).with_password(reviewer, _password(reviewer))
    if account is None or not account.is_at_least("reviewer"):
        registry.audit.append("refused", TERMINAL, reason="no_reviewer")
        raise ConsentRefused("That is no reviewer's account and password; nothing was approved.", "no_reviewer")
    typer.echo(f"{registry.approve(consent_id, account.id).id}\tactive")


@consent.command()
def revoke(
    consent_id: ConsentId, why: Annotated[str, typer.Option(help="For the record; not for the audit.")] = ""
) -> None:
    """Take a consent back, at once: nothing more is made, and what was made is no longer served."""
    from vasa_core.trust.consent import TERMINAL

    registry = _registry()
    registry.revoke(consent_id, TERMINAL, why)
    swept = registry.sweep()
    typer.echo(f"{consent_id}\trevoked\t{swept.clips} clips deleted")


@consent.command("list")
def show(state: Annotated[str | None, typer.Option(help="Only pending, active or revoked ones.")] = None) -> None:
    """Consents, the newest first: id, state, until when, for what, on which basis, who."""
    registry = _registry()
    for kept in registry.consents(state=state):
        name = registry.name_of(kept.subject_id) or "(name erased)"
        typer.echo(
            f"{kept.id}\t{kept.state}\t{kept.expires_on}\t{','.join(kept.purposes)}\t{kept.basis}"
            f"\t{kept.granted_to}\t{kept.subject_id}\t{name}"
        )


@consent.command()
def erase_name(
    subject: Annotated[str, typer.Argument(help="The subject's id, from the list.", metavar="SUBJECT")],
) -> None:
    """Forget what a person is called; the records stay whole."""
    from vasa_core.trust.consent import TERMINAL

    _registry().erase_name(subject, TERMINAL)


@consent.command()
def sweep() -> None:
    """Delete uploads and clips that are past their time."""
    swept = _registry().sweep()
    typer.echo(f"{swept.clips} clips and {swept.uploads} uploads deleted")


@audit.command("verify")
def prove(
    expect: Annotated[
        str | None, typer.Option(help="COUNT:HEAD, as an earlier `vasa audit verify` printed it.")
    ] = None,
) -> None:
    """Prove that nothing in the log was changed, removed, inserted, moved or cut off. Exit code 21 where it was."""
    verdict = _registry().audit.verify(_anchor(expect) if expect else None)
    typer.echo(f"{'sound' if verdict.sound else 'BROKEN'}: {verdict.finding}\n{verdict.count}:{verdict.head}")
    raise typer.Exit(0 if verdict.sound else BROKEN)


@audit.command("list")
def entries(
    last: Annotated[int, typer.Option(help="How many, counted from the end.")] = 50,
    event: Annotated[str | None, typer.Option(help="Only entries of this event.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only entries of this account.")] = None,
) -> None:
    """The log, the newest at the end: number, when (UTC), what, who, and the facts."""
    for line in _registry().audit.entries(newest=last, event=event, actor=actor):
        facts = " ".join(f"{name}={fact}" for name, fact in line.facts.items() if fact is not None)
        typer.echo(f"{line.number}\t{line.at[:19]}\t{line.event}\t{line.actor}\t{facts}")


def _registry() -> Registry:
    from vasa_core.trust.registry import Registry

    return Registry.open()


def _copy(document: Path) -> Path:
    """A copy that the registry may take in: what lies in a person's own folder stays there."""
    import shutil
    import tempfile

    if not document.is_file():
        raise BadOption(f"There is no file at {document}; check the path.")
    return Path(shutil.copy(document, Path(tempfile.mkdtemp()) / f"document{document.suffix}"))


def _password(name: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {name}", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _anchor(text: str) -> Anchor:
    import re

    from vasa_core.trust.chain import Anchor

    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
    if not found:
        raise BadOption("--expect takes COUNT:HEAD, as `vasa audit verify` prints it.")
    return Anchor(count=int(found[1]), head=found[2])
