"""Signing in and out: by a password, or through an identity provider that the installation names."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from demo.security import Refusals, address_of
from demo.sessions import Logins, Sessions
from demo.settings import Settings
from vasa_core.errors import SignInRefused, VasaError
from vasa_core.trust.accounts import Account, Accounts

HOME = "/studio/"
FORM = "vasa_form"
"""A cookie whose word must stand in the form: no other site can make somebody sign in as somebody else."""


def cookie_name(settings: Settings) -> str:
    """The session's cookie; by https browsers themselves see to it that only this host can set it."""
    return "__Host-vasa_session" if settings.secure else "vasa_session"


@dataclass(frozen=True)
class SignIn:
    """What the routes below need."""

    settings: Settings
    accounts: Accounts
    sessions: Sessions
    logins: Logins
    refusals: Refusals
    form: Callable[[str, str, str | None], str]
    """The page's HTML, given the form's word, a message and the provider's name."""

    def page(self, message: str = "", status: int = 200) -> Response:
        """The page with the form, and the cookie that belongs to it."""
        word = secrets.token_urlsafe(24)
        provider = self.settings.oidc.name if self.settings.oidc else None
        response = HTMLResponse(self.form(word, message, provider), status)
        response.set_cookie(FORM, word, max_age=3600, httponly=True, samesite="strict", secure=self.settings.secure)
        return response

    async def welcome(self, account: Account) -> Response:
        """To the studio, with a new session: one that somebody planted before is worth nothing."""
        token = await run_in_threadpool(self.sessions.open, account)
        response = RedirectResponse(HOME, 303)
        lifetime = int(self.settings.session_s)
        secure = self.settings.secure
        response.set_cookie(
            cookie_name(self.settings), token, max_age=lifetime, httponly=True, samesite="lax", secure=secure
        )
        response.delete_cookie(FORM)
        return response

    async def farewell(self, token: str) -> Response:
        """Ends the session and forgets its cookie."""
        await run_in_threadpool(self.sessions.close, token)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(cookie_name(self.settings), httponly=True, samesite="lax", secure=self.settings.secure)
        return response


def router(sign_in: SignIn) -> APIRouter:
    """/login, /session and /logout."""
    routes = APIRouter()

    @routes.get("/login")
    def form() -> Response:
        return sign_in.page()

    @routes.post("/login")
    async def login(request: Request) -> Response:
        given = await _fields(request)
        if not _same(request.cookies.get(FORM), given.get("csrf")):
            await sign_in.refusals.tell("forged_form", request.scope)
            return sign_in.page("This form was too old; try again.", 403)
        address = address_of(request.scope)
        try:
            account = await run_in_threadpool(
                sign_in.logins.account, given.get("name", ""), given.get("password", ""), address
            )
        except SignInRefused as refusal:
            return sign_in.page(str(refusal), 401)
        except VasaError as refusal:
            await sign_in.refusals.tell("too_many_logins", request.scope)
            return sign_in.page(str(refusal), 429)
        return await sign_in.welcome(account)

    @routes.get("/session")
    def session(request: Request) -> Response:
        """Who is signed in, and the word to show with what changes something; only our own pages can read it."""
        account = sign_in.sessions.find(request.cookies.get(cookie_name(sign_in.settings)))
        if account is None:
            raise SignInRefused("Sign in first.")
        return JSONResponse({"name": account.name, "role": account.role, "csrf": account.csrf})

    @routes.post("/logout")
    async def logout(request: Request) -> Response:
        token = request.cookies.get(cookie_name(sign_in.settings), "")
        account = await run_in_threadpool(sign_in.sessions.find, token)
        if account is None:
            return RedirectResponse("/login", 303)
        if not _same(account.csrf, (await _fields(request)).get("csrf")):
            await sign_in.refusals.tell("forged_form", request.scope, account.id)
            return Response("This form was too old; go back and try again.", 403)
        return await sign_in.farewell(token)

    return routes


def provider_router(sign_in: SignIn) -> APIRouter:
    """/login/oidc and /login/oidc/back: OpenID Connect's code flow with PKCE, by Authlib."""
    provider = sign_in.settings.oidc
    assert provider is not None
    routes, oauth = APIRouter(prefix="/login/oidc"), OAuth()
    oauth.register(
        "provider",
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=provider.metadata_url,
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
    )

    @routes.get("")
    async def start(request: Request) -> Response:
        return await oauth.provider.authorize_redirect(request, f"{sign_in.settings.address}/login/oidc/back")

    @routes.get("/back")
    async def back(request: Request) -> Response:
        try:
            token = await oauth.provider.authorize_access_token(request)
        except OAuthError:
            await sign_in.refusals.tell("provider_refused", request.scope)
            return sign_in.page("The provider did not vouch for you; try again.", 401)
        request.session.clear()
        account = await run_in_threadpool(_known, sign_in.accounts, token["userinfo"], admits=provider.admits)
        if account is None:
            await sign_in.refusals.tell("provider_stranger", request.scope)
            return sign_in.page("There is no account for you here yet; ask an administrator.", 403)
        return await sign_in.welcome(account)

    return routes


def _known(accounts: Accounts, person: dict[str, Any], *, admits: bool) -> Account | None:
    """The account of whom a provider vouches for; a new viewer where the installation admits strangers."""
    subject = f"{person['iss']}|{person['sub']}"[:255]
    account = accounts.with_subject(subject)
    if account is None and admits:
        return accounts.add(f"guest-{secrets.token_hex(6)}", "viewer", by="oidc", oidc_subject=subject)
    return None if account is None or account.disabled else account


async def _fields(request: Request) -> dict[str, str]:
    """The form's texts; files in it are ignored."""
    async with request.form(max_files=0, max_fields=8) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def _same(one: str | None, other: str | None) -> bool:
    return bool(one and other) and hmac.compare_digest(one.encode(), other.encode())  # type: ignore[union-attr]
