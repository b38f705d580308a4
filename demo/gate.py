"""The gate before Gradio: only who is signed in, only the routes the pages need, only one's own files.

Gradio answers anybody who is signed in and knows a path, and calls "private" events for anybody who posts to them. So
here each file that travels in or out must be one that the same account uploaded; what an event does is checked inside.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.limits import Rate
from demo.security import Refusals, body_as_json, refuse
from demo.sessions import Sessions
from vasa_core.trust.accounts import Account

MOUNT = "/studio"
API = "/gradio_api"
NEEDED = re.compile(
    r"/|/config/?|/theme\.css|/manifest\.json|/favicon\.ico|/robots\.txt|/(assets|static|svelte)/.+"
    r"|/gradio_api/(info/?|theme\.css|startup-events|app_id|user|login_check|reset/?|cancel|upload|upload_progress"
    r"|queue/(join|data|status)|heartbeat/[^/]+|(call|run|api)/.+|stream/[^/]+(/close)?|custom_component/.+"
    r"|component_server|process_recording|file=.+)"
)
ASSET = re.compile(r"/(assets|static|svelte)/.+|/theme\.css|/gradio_api/theme\.css")
EVENT = re.compile(r"/gradio_api/(queue/join|(call|run|api)/.+|component_server|process_recording|cancel|stream/.+)")
KNOWN_FILES = 20_000
KEPT_S = 3600.0


@dataclass(frozen=True)
class Ownership:
    """Whose a word is: an uploaded file's path, or the name a browser gave its page. The oldest are forgotten."""

    _owners: OrderedDict[str, dict[str, float]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def give(self, word: str, account: Account) -> None:
        """From now on the word is this account's (too)."""
        with self._lock:
            self._owners.setdefault(word, {})[account.id] = time.monotonic()
            self._owners.move_to_end(word)
            self._forget()

    def has(self, word: str, account: Account) -> bool:
        """Whether the word was given to this account in the last hour."""
        with self._lock:
            given = self._owners.get(word, {}).get(account.id)
            return given is not None and time.monotonic() - given < KEPT_S

    def claim(self, word: str, account: Account) -> bool:
        """Gives a word nobody has; says whether it is this account's."""
        with self._lock:
            owners = self._owners.setdefault(word, {account.id: time.monotonic()})
            self._forget()
            return account.id in owners

    def _forget(self) -> None:
        while len(self._owners) > KNOWN_FILES:
            self._owners.popitem(last=False)


@dataclass(frozen=True)
class Gate:
    """Stands between the server and what Gradio mounted at /studio."""

    app: ASGIApp
    sessions: Sessions
    refusals: Refusals
    cookie: str
    uploads: Rate
    files: Ownership = field(default_factory=Ownership)
    pages: Ownership = field(default_factory=Ownership)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request to Gradio through, or says no."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == MOUNT or path.startswith(f"{MOUNT}/")):
            return await self.app(scope, receive, send)
        within = path.removeprefix(MOUNT) or "/"
        token = HTTPConnection(scope).cookies.get(self.cookie)
        account = await run_in_threadpool(self.sessions.find, token)
        if account is None:
            return await self._send_to_sign_in(scope, receive, send, within, forged=token is not None)
        refused, receive = await self._refused(scope, receive, within, account)
        if refused:
            await self.refusals.tell(refused[1], scope, account.id)
            return await refuse(scope, receive, send, *refused)
        return await self.app(scope, receive, self._noting(send, account) if within == f"{API}/upload" else send)

    async def _send_to_sign_in(self, scope: Scope, receive: Receive, send: Send, within: str, *, forged: bool) -> None:
        if within == "/" and scope["method"] in ("GET", "HEAD"):
            return await RedirectResponse("/login", 303)(scope, receive, send)
        if not ASSET.fullmatch(within):
            await self.refusals.tell("forged_session" if forged else "not_signed_in", scope)
        return await refuse(scope, receive, send, 401, "not_signed_in")

    async def _refused(
        self, scope: Scope, receive: Receive, within: str, account: Account
    ) -> tuple[tuple[int, str] | None, Receive]:
        if not NEEDED.fullmatch(within):
            return (404, "no_such_page"), receive
        if within.startswith(f"{API}/file=") and not self.files.has(within.removeprefix(f"{API}/file="), account):
            return (403, "foreign_file"), receive
        if within == f"{API}/upload" and not self.uploads.allows(account.id):
            return (429, "too_many"), receive
        pages = _pages_named(scope, within)
        if EVENT.fullmatch(within) and scope["method"] == "POST":
            body, receive = await body_as_json(receive)
            if not all(self.files.has(path, account) for path in _paths(body)):
                return (403, "foreign_file"), receive
            pages += [body["session_hash"]] if isinstance(body, dict) and "session_hash" in body else []
        if not all(isinstance(page, str) and self.pages.claim(page, account) for page in pages):
            return (403, "foreign_file"), receive
        return None, receive

    def _noting(self, send: Send, account: Account) -> Send:
        """Reads from Gradio's answer to an upload where it put the files."""
        answer = bytearray()

        async def noting(message: Message) -> None:
            answer.extend(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body"):
                for path in _listed(bytes(answer)):
                    self.files.give(path, account)
            await send(message)

        return noting


def _pages_named(scope: Scope, within: str) -> list[object]:
    """Which browser page's events are asked for, where the address says so."""
    if within.startswith(f"{API}/heartbeat/"):
        return [within.rsplit("/", 1)[1]]
    return list(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", []))


def _paths(value: object) -> Iterator[str]:
    """Every file that an event's input names, wherever it stands in it; web addresses too, which are nobody's."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            if isinstance(inner.get("path"), str):
                yield inner["path"]
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner


def _listed(answer: bytes) -> list[str]:
    try:
        paths = json.loads(answer)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []
