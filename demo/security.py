"""What stands before every route: our own hosts and origins only, bodies of bounded size, headers that browsers obey.

Plain ASGI, since Gradio's event streams must pass through unbuffered; only HTML is held back, to name its scripts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.limits import Rate
from demo.settings import Settings
from vasa_core.trust.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG = logging.getLogger("vasa.demo")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
UPLOADS = ("/uploads", "/studio/gradio_api/upload", "/verify")
BODY_BYTES = 1_000_000
ENVELOPE_BYTES = 65_536
"""What a form puts around a file."""
KEPT = (
    ("/studio/assets/", "private, max-age=86400, immutable"),  # named by their content
    ("/studio/static/", "private, max-age=3600"),
    ("/static/", "public, max-age=300"),
)
"""What browsers may keep; all else they ask for again each time."""
INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=(), interest-cohort=()",
}


@dataclass(frozen=True)
class Refusals:
    """Tells the audit of what was refused at the door; a flood from one address is told of once in a while."""

    audit: Audit
    rate: Rate = field(default_factory=lambda: Rate(20, 60))

    async def tell(self, why: str, scope: Scope, actor: str = "anonymous", **facts: str | int) -> None:
        """Adds an entry, off the event loop."""
        await run_in_threadpool(self.tell_now, why, address_of(scope), route_of(scope), actor, **facts)

    def tell_now(self, why: str, address: str, route: str, actor: str = "anonymous", **facts: str | int) -> None:
        """Adds an entry."""
        if self.rate.allows((address, why)):
            self.audit.append("access_refused", actor, why=why, address=address, route=route, **facts)


@dataclass(frozen=True)
class Guard:
    """Every request and every response passes here, before and after anything else."""

    app: ASGIApp
    settings: Settings
    refusals: Refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses strangers and giants; puts the headers on what is answered."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if refused := self._refused(scope):
            await self.refusals.tell(refused[1], scope)
            return await refuse(scope, receive, send, *refused)
        if scope["type"] == "websocket":
            return await self.app(scope, receive, send)
        kept = next((how for start, how in KEPT if scope["path"].startswith(start)), "no-store")
        answer = _Answer(send, policy(self.settings), kept, is_secure=self.settings.secure)
        try:
            await self.app(scope, _Bounded(receive, self._body_limit(scope)), answer)
        except _TooLarge:
            await self.refusals.tell("too_large", scope)
            if not answer.started:
                await refuse(scope, receive, answer, 413, "too_large")
        return None

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in self.settings.hosts:
            return 421, "foreign_host"
        if not self._is_from_us(scope, headers):
            return 403, "foreign_origin"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._body_limit(scope):
            return 413, "too_large"
        return None

    def _is_from_us(self, scope: Scope, headers: Headers) -> bool:
        """Browsers name their page's origin with all that changes something; a program that names none has no cookie
        to abuse. A WebSocket must name it: no preflight protects it."""
        origin = headers.get("origin")
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return True
        if origin is not None:
            return origin.lower() in self.settings.origins
        return scope["type"] == "http" and headers.get("sec-fetch-site", "none") in ("same-origin", "none")

    def _body_limit(self, scope: Scope) -> int:
        is_upload = scope["path"].rstrip("/") in UPLOADS
        return self.settings.limits.upload_bytes + ENVELOPE_BYTES if is_upload else BODY_BYTES


SENTENCES = {
    "foreign_host": "This address is not ours; use the one the server printed when it started.",
    "foreign_origin": "This request came from another site and was refused.",
    "too_large": "That is too large; choose a smaller file.",
    "not_signed_in": "Sign in first.",
    "no_such_page": "There is no such page.",
    "foreign_file": "There is no such file.",
    "too_many": "Too much at once; wait a little and try again.",
}


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    """Answers with one sentence; closes a WebSocket before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": SENTENCES[why]})
    else:
        await JSONResponse({"detail": SENTENCES[why]}, status)(scope, receive, send)


def policy(settings: Settings, scripts: Iterable[str] = ()) -> str:
    """The content security policy: everything from here, no other script than those named by their hash."""
    sockets = " ".join(origin.replace("http", "ws", 1) for origin in sorted(settings.origins))
    named = "".join(f" '{script}'" for script in scripts)
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self'{named}",
            "style-src 'self' 'unsafe-inline'",  # Gradio sets styles on its elements
            "img-src 'self' blob: data:",
            "media-src 'self' blob: data:",
            "font-src 'self' data:",
            f"connect-src 'self' {sockets} blob: data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
        )
    )


class _TooLarge(Exception):
    """More came than was announced or allowed."""


class _Bounded:
    """A request's body, up to a limit; for bodies that do not announce their length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._left = receive, limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLarge
        return message


class _Answer:
    """A response on its way out, with our headers on it; HTML is held until its inline scripts are known."""

    def __init__(self, send: Send, plain_policy: str, kept: str, *, is_secure: bool) -> None:
        self._send, self._policy, self._kept, self._is_secure = send, plain_policy, kept, is_secure
        self._held: Message | None = None
        self._body = b""
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = self._with_ours(message)
            if headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers:
                self._held = message
                return
        elif self._held is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            start, self._held = self._held, None
            self._name_scripts(MutableHeaders(scope=start))
            await self._send(start)
            message = {"type": "http.response.body", "body": self._body}
        await self._send(message)

    def _with_ours(self, message: Message) -> MutableHeaders:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers[name] = value
        headers["Content-Security-Policy"] = self._policy
        headers.setdefault("Cache-Control", self._kept)
        if self._is_secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if "server" in headers:
            del headers["server"]
        return headers

    def _name_scripts(self, headers: MutableHeaders) -> None:
        hashes = dict.fromkeys(map(script_hash, INLINE_SCRIPT.findall(self._body)))
        named = "".join(f" '{h}'" for h in hashes)
        headers["Content-Security-Policy"] = self._policy.replace("script-src 'self'", f"script-src 'self'{named}")


def script_hash(script: bytes) -> str:
    """How a policy names one inline script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}"


def address_of(scope: Scope) -> str:
    """Who asks, as far as the network tells; a word for the audit."""
    client = scope.get("client")
    return re.sub(r"[^A-Za-z0-9_.:+-]", "_", client[0])[:64] if client else "unknown"


def route_of(scope: Scope) -> str:
    """What was asked for, as a word for the audit: no more than its first two steps, which hold no secrets."""
    steps = [step for step in scope.get("path", "").split("/") if step][:2]
    return re.sub(r"[^A-Za-z0-9_.:+-]", "_", ".".join(steps))[:60]


async def body_as_json(receive: Receive) -> tuple[object, Receive]:
    """The body as JSON (None where it is not), and what gives the same body to the next reader."""
    messages: list[Message] = []
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
        if messages[-1]["type"] != "http.request":
            break
    body = b"".join(message.get("body", b"") for message in messages)
    waiting = iter(messages)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    try:
        return json.loads(body), again
    except (ValueError, RecursionError):
        return None, again
