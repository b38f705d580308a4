"""The commands `vasa app user` (add, list, disable, password, link): who may sign in to the demo."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vasa_core.errors import BadOption

if TYPE_CHECKING:
    from vasa_core.trust.accounts import Accounts

TERMINAL = "terminal"
"""Who does this, for the audit: whoever may write to the house."""

app = typer.Typer(no_args_is_help=True, help="The demo in the browser.")
user = typer.Typer(no_args_is_help=True, help="Who may sign in.")
app.add_typer(user, name="user")

Name = Annotated[str, typer.Argument(help="What the person types to sign in.", metavar="NAME")]


@user.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, reviewer or administrator.")] = "viewer",
    provider: Annotated[str | None, typer.Option(help="The id by which an identity provider knows the person.")] = None,
) -> None:
    """Let somebody in: the password is asked for, or read from standard input."""
    password = None if provider is not None else _asked()
    made = _accounts().add(name, role, password, by=TERMINAL, oidc_subject=provider)
    typer.echo(f"{made.name} may sign in as {made.role}.")


@user.command("list")
def show() -> None:
    """Who may sign in."""
    for account in _accounts().all():
        typer.echo(f"{account.name}\t{account.role}{chr(9) + 'disabled' if account.disabled else ''}")


@user.command()
def disable(name: Name) -> None:
    """Shut somebody out, at once."""
    _accounts().disable(name, by=TERMINAL)
    typer.echo(f"{name} can no longer sign in.")


@user.command()
def password(name: Name) -> None:
    """Set another password; whoever is signed in with the old one is signed out."""
    accounts = _accounts()
    accounts.named(name)
    accounts.set_password(name, _asked(), by=TERMINAL)
    typer.echo(f"{name} has another password.")


@user.command()
def link(
    name: Name, subject: Annotated[str, typer.Argument(help="ISSUER|SUBJECT, as the provider's tokens say.")]
) -> None:
    """Let somebody sign in through the identity provider as well."""
    _accounts().link(name, subject, by=TERMINAL)
    typer.echo(f"{name} may sign in through the provider.")


def _accounts() -> Accounts:
    from vasa_core.trust.accounts import Accounts
    from vasa_core.trust.registry import Registry

    return Accounts(Registry.open().audit)


def _asked() -> str:
    """Typed twice and not shown, or one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first: str = typer.prompt("Password", hide_input=True, err=True)
    if first != typer.prompt("Once more", hide_input=True, err=True):
        raise BadOption("The two passwords differ; try again.")
    return first
