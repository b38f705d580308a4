"""The studio as it is seen: what the server mounts, from the sign-in page to the tabs behind it."""

from __future__ import annotations

import html
import io
from functools import lru_cache
from typing import Any

import gradio as gr
from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse
from PIL import Image

from demo import audit_page, consent_page, create, explore, live, theme, verify_page
from demo.services import Services
from vasa_core import assets

TITLE = "Talking-face studio"
THUMBNAIL_PX = (240, 300)
A_DAY = {"Cache-Control": "public, max-age=86400"}
DOOR_FACES = ("amara", "henry", "mei", "ravi")


def build(services: Services) -> gr.Blocks:
    """Everything behind the door; the tabs that an account may not use are not shown to it."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as app:
        header = theme.block(_header(None))
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Create", id="create"):
                create.build(services, app)
            with gr.Tab("Live", id="live"):
                live.build()
            with gr.Tab("Explore", id="explore") as looking:
                explore.build(services, looking)
            with gr.Tab("Verify", id="verify"):
                theme.block(verify_page.panel())
            with gr.Tab("Audit", id="audit", visible=False) as audit:
                theme.block(audit_page.panel())
        theme.block(f'<div class="vs-footer" role="contentinfo">{theme.FOOTER}</div>')

        def arrive(request: gr.Request) -> tuple[str, Any]:
            account = services.account(request)
            return theme.flat(_header(account)), gr.update(visible=account.role in ("reviewer", "administrator"))

        app.load(arrive, None, [header, audit], api_visibility="private", **create.DIRECT)
    return app


def mount_options() -> dict[str, Any]:
    """How Gradio is to be dressed where the server mounts it."""
    return {"theme": theme.theme(), "head": theme.head(), "footer_links": [], "favicon_path": None}


def routers(services: Services) -> list[APIRouter]:
    """Our own addresses: portraits of the cast, samples and fonts for all; live, consent and audit for accounts."""
    return [
        _public(),
        verify_page.router(services),
        live.router(services),
        consent_page.router(services),
        audit_page.router(services),
    ]


def login_page(csrf: str, message: str = "", sign_in_with: str | None = None) -> str:
    """The door: name and password, or another provider; no script, so nothing to go wrong."""
    note = f'<p class="vs-note vs-wrong" role="alert">{html.escape(message)}</p>' if message else ""
    faces = "".join(f'<img src="/cast/{name}.jpg" alt="" width="120" height="150">' for name in DOOR_FACES)
    return theme.page(
        f"Sign in · {TITLE}",
        f"""<div class="vs-door"><section class="vs-words">
<h1>One portrait and a voice become somebody who speaks.</h1>
<p>And always with the consent of whoever is shown, and with marks that say how it was made.
Nobody below exists; they are yours to try.</p><div class="vs-faces">{faces}</div></section>
<section class="vs-panel" aria-labelledby="door"><h2 id="door">Sign in</h2>{note}
<form method="post" action="/login"><input type="hidden" name="csrf" value="{html.escape(csrf, quote=True)}">
<label class="vs-field"><span>Name</span><input name="name" autocomplete="username" required autofocus></label>
<label class="vs-field"><span>Password</span>
<input name="password" type="password" autocomplete="current-password" required></label>
<button class="vs-button vs-main" type="submit">Sign in</button></form>{_provider(sign_in_with)}</section></div>""",
        door=True,
    )


def _provider(name: str | None) -> str:
    if name is None:
        return ""
    return f'<p class="vs-or">or</p><a class="vs-button" href="/login/oidc">Sign in with {html.escape(name)}</a>'


def _header(account: Any | None) -> str:
    """Wordmark, and who is here; the token that our own script shows with each request of its own."""
    who = ""
    if account is not None:
        csrf = html.escape(account.csrf, quote=True)
        who = (
            f'<div class="vs-who"><span>{html.escape(account.name)} · {account.role}</span>'
            f'<form method="post" action="/logout"><input type="hidden" name="csrf" value="{csrf}">'
            f'<button type="submit">Sign out</button></form><vs-session data-csrf="{csrf}" '
            f'data-role="{account.role}"></vs-session></div>'
        )
    return f'<div class="vs-header" role="banner"><h1>{theme.brand("/studio/")}</h1>{who}</div>'


# ---- open to everybody ----------------------------------------------------------------------------------------------


def _public() -> APIRouter:
    router = APIRouter()
    faces = {path.stem: path for path in assets.portraits()}
    voices = {path.stem: path for path in assets.voices()}

    @router.get("/cast/{name}.jpg")
    def face(name: str) -> Response:
        """A small portrait of one of our cast."""
        if name not in faces:
            raise HTTPException(404)
        return Response(_thumbnail(name), media_type="image/jpeg", headers=A_DAY)

    @router.get("/voices/{name}.flac")
    def voice(name: str) -> Response:
        """One of our sample voices."""
        if name not in voices:
            raise HTTPException(404)
        return FileResponse(voices[name], media_type="audio/flac", headers=A_DAY)

    @router.get("/fonts/{family}/{name}.woff2")
    def font(family: str, name: str) -> Response:
        """A typeface that came with Gradio's package."""
        path = FONTS.get(f"{family}/{name}")
        if path is None:
            raise HTTPException(404)
        return FileResponse(path, media_type="font/woff2", headers=A_DAY)

    return router


FONTS = {f"{path.parent.name}/{path.stem}": path for path in sorted((theme.FONTS / "IBMPlexSans").glob("*.woff2"))}


@lru_cache(maxsize=64)
def _thumbnail(name: str) -> bytes:
    """The upper middle of the portrait; a picture that we ship, so nothing is released here."""
    path = next(path for path in assets.portraits() if path.stem == name)
    with Image.open(path) as portrait:
        side = portrait.width
        box = (round(0.14 * side), round(0.02 * side), round(0.86 * side), round(0.92 * side))
        small = portrait.convert("RGB").crop(box).resize(THUMBNAIL_PX, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=88)
    return out.getvalue()
