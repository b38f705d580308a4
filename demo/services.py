"""Everything a page may do. Each call checks inside: who asks, their role, consent, quota; a page only shows.

Refusals are `VasaError`s, one sentence each. Every method takes the account first, as `account(request)` found it.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import HTTPConnection, Request

from demo.captions import language_of, webvtt, words_of
from demo.consents import Consents, ConsentView, Terms
from demo.device import Device, Progress
from demo.jobs import UNDER_WAY, Job, Jobs
from demo.lease import LiveSession
from demo.limits import Rate
from demo.requests import ClipRequest, LiveRequest, StillRequest, as_json
from demo.security import SAFE_METHODS, address_of
from demo.sessions import Sessions
from demo.settings import Settings
from demo.uploads import Inspector, Uploads, brought
from vasa_core import assets
from vasa_core.errors import AccessRefused, BadOption, ClipRefused, ConsentRefused, SignInRefused
from vasa_core.trust.accounts import Account, Accounts
from vasa_core.trust.chain import Entry, Verdict
from vasa_core.trust.registry import Registry
from vasa_core.trust.shelf import Clip

if TYPE_CHECKING:
    from vasa_core.trust.verify import Findings

__all__ = [
    "ClipRequest", "ClipView", "ConsentView", "JobView", "LiveRequest", "Services", "StillRequest", "StillView",
]  # fmt: skip

STILL_KEPT_S = 600.0
TRAIL_SEARCHED = 5000
"""A search in the audit goes back so many entries."""
STILLS_KEPT = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class JobView:
    """A job as its owner sees it. `position` is 0 while it runs and counts from 1 while it waits."""

    id: str
    kind: str
    state: str
    position: int | None
    stage: str
    fraction: float
    message: str | None
    clip_id: str | None
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipView:
    """A clip as its owner sees it; `words` are what is said, where that is known."""

    id: str
    title: str
    made_at: datetime
    duration_s: float
    servable: bool
    reason: str | None
    words: str | None
    owner: str
    language: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StillView:
    """A released picture, at an address that only its owner may open, for ten minutes."""

    id: str
    url: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Still:
    owner: str
    path: Path
    consent_id: str | None
    made_at: float


@dataclass(frozen=True, slots=True)
class _Portrait:
    path: Path
    consent_id: str | None

    @property
    def told(self) -> dict[str, str | None]:
        return {"portrait": str(self.path), "consent": self.consent_id}


@dataclass
class Services:
    """The studio as the pages know it."""

    settings: Settings
    registry: Registry
    accounts: Accounts
    sessions: Sessions
    queue: Jobs
    uploads: Uploads
    device: Device
    consent_book: Consents
    examiner: Inspector
    cookie: str
    still_rate: Rate
    verify_rate: Rate
    _stills: OrderedDict[str, _Still] = field(default_factory=OrderedDict)

    # ---- who asks --------------------------------------------------------------------------------------------------

    def account(self, request: Any) -> Account:
        """Whose request this is (Gradio's, Starlette's, or a WebSocket that our guard let through)."""
        inner = getattr(request, "request", request)
        cookies = inner.cookies if isinstance(inner, HTTPConnection) else dict(getattr(inner, "cookies", {}))
        account = self.sessions.find(cookies.get(self.cookie))
        if account is None:
            raise SignInRefused("Your session is over; sign in again.")
        if isinstance(request, Request) and request.method not in SAFE_METHODS:
            self._check_token(account, request)
        return account

    def _check_token(self, account: Account, request: Request) -> None:
        """What changes something shows the session's own word, besides coming from our own pages."""
        if not hmac.compare_digest(request.headers.get("x-csrf", "").encode(), account.csrf.encode()):
            self.registry.audit.append("access_refused", account.id, why="forged_form")
            raise AccessRefused("This page was too old; reload it.")

    def _check_role(self, account: Account, role: str) -> None:
        """Asked of the database and not of the value in hand: a page may hold it for an hour."""
        known = self.accounts.with_id(account.id)
        if known is None:
            raise SignInRefused("Your session is over; sign in again.")
        if not known.is_at_least(role):
            self.registry.audit.append("access_refused", account.id, why="role", needed=role)
            raise AccessRefused(f"Only {'an administrator' if role == 'administrator' else f'a {role}'} may do this.")

    # ---- clips -----------------------------------------------------------------------------------------------------

    def keep_upload(self, account: Account, path: Path | str, kind: str) -> str:
        """The id of a checked copy of a file in the house: a "picture", a "sound" or a "document"."""
        self._check_role(account, "viewer" if kind == "sound" else "reviewer")
        return self.uploads.keep(account, Path(path), kind)

    def submit(self, account: Account, request: ClipRequest) -> str:
        """The id of the job that will make this clip."""
        self._check_role(account, "viewer")
        request.check(self.settings.limits)
        request = replace(request, language=language_of(request))
        self._portrait(account, request.portrait)
        if request.upload:
            self.uploads.path(account, request.upload, "sound")
        job_id = self.queue.add(account, "clip", as_json(replace(request, title=request.title or _title(request))))
        self.device.wake()
        return job_id

    def job(self, account: Account, job_id: str) -> JobView:
        """How far a job of this account is."""
        job = self.queue.of(account, job_id)
        return self._job_view(job, self.queue.places() if job.state == "queued" else {})

    def jobs(self, account: Account) -> list[JobView]:
        """The newest jobs of this account, newest first."""
        found = self.queue.all_of(account)
        places = self.queue.places() if any(job.state in UNDER_WAY for job in found) else {}
        return [self._job_view(job, places) for job in found]

    def cancel(self, account: Account, job_id: str) -> None:
        """Takes a job out of the queue or stops it; one that is over stays as it is."""
        if not self.queue.cancel_waiting(account, job_id) and self.queue.of(account, job_id).state == "running":
            self.device.cancel(job_id)

    def clips(self, account: Account) -> list[ClipView]:
        """The clips of this account, newest first; also those that its consent no longer lets be seen, and why."""
        requests = {job.clip_id: job.request for job in self.queue.all_of(account, 1000) if job.clip_id}
        return [self._clip_view(clip, requests.get(clip.id, {})) for clip in self.registry.clips(account.id)]

    def clip(self, account: Account, clip_id: str) -> Clip:
        """The file of a clip, if this account may see it now."""
        self._check_role(account, "viewer")
        return self.registry.servable(clip_id, account.id, account.role)

    def captions(self, account: Account, clip_id: str) -> str | None:
        """What is said in a clip, as WebVTT, where the words are known."""
        self.clip(account, clip_id)
        job = self.queue.of_clip(clip_id)
        words = words_of(job.request) if job else None
        return webvtt(words, 0.0, job.request.get("made", {}).get("duration_s", 0.0)) if job and words else None

    def delete_clip(self, account: Account, clip_id: str) -> None:
        """Deletes a clip; its owner and administrators may."""
        self.registry.delete_clip(clip_id, account.id, account.role)

    # ---- pictures and live -----------------------------------------------------------------------------------------

    def still(self, account: Account, request: StillRequest) -> StillView:
        """One labelled, marked, signed picture; waits for the device, before the clips."""
        self._check_role(account, "viewer")
        self.still_rate.check(account.id, "pictures")
        request.check(self.settings.limits)
        portrait, start = self._portrait(account, request.portrait), time.perf_counter()
        still_id, folder = secrets.token_hex(16), self.registry.files / "stills"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        asked = {"request": as_json(request), **portrait.told, "owner": account.id}
        made = self.device.ask({"do": "still", **asked, "out": str(folder / f"{still_id}.jpg")})
        self._stills[still_id] = _Still(account.id, Path(made["path"]), made["consent"], time.monotonic())
        self._forget_stills()
        return StillView(id=still_id, url=f"/stills/{still_id}.jpg", seconds=time.perf_counter() - start)

    def still_path(self, account: Account, still_id: str) -> Path:
        """The file of a picture, for its owner, while consent stands."""
        still = self._stills.get(still_id)
        if still is None or still.owner != account.id or not still.path.is_file():
            raise BadOption("There is no such picture of yours any more.")
        if still.consent_id is not None:
            self.registry.check_live(still.consent_id)
        return still.path

    @asynccontextmanager
    async def live(self, account: Account, request: LiveRequest) -> AsyncIterator[LiveSession]:
        """A live session: waits its turn like a clip, then has the device until it ends or its time is over."""
        self._check_role(account, "viewer")
        request.check(self.settings.limits)
        self._portrait(account, request.portrait)
        session = LiveSession(self.queue, self.device)
        await session.queue(account, as_json(request))
        try:
            yield session
        finally:
            await session.leave()

    # ---- open to everybody -----------------------------------------------------------------------------------------

    async def examine(self, request: HTTPConnection, upload: UploadFile) -> Findings:
        """What a file that anybody brought carries; nothing of it is kept."""
        self.verify_rate.check(address_of(request.scope), "files")
        return await run_in_threadpool(self._examined, upload)

    def _examined(self, upload: UploadFile) -> Findings:
        with brought(upload, self.registry.files / "unfinished") as path:
            return self.examiner.examine(path)

    # ---- consents and the audit ------------------------------------------------------------------------------------

    def consents(self, account: Account) -> list[ConsentView]:
        """Those this account recorded or may use; all of them for reviewers."""
        known = self.accounts.with_id(account.id)
        sees_all = known is not None and known.is_at_least("reviewer")
        found = self.registry.consents() if sees_all else self.registry.consents(usable_by=account.id)
        return [self.consent_book.view(account, record) for record in found]

    def approve(self, account: Account, consent_id: str) -> ConsentView:
        """A second person's yes to a signed statement."""
        self._check_role(account, "reviewer")
        return self.consent_book.view(account, self.registry.approve(consent_id, account.id))

    def revoke(self, account: Account, consent_id: str, why: str = "") -> ConsentView:
        """Takes a consent back, at once: who recorded it, who may use it, or an administrator.

        A reviewer turns down what waits for one.
        """
        record = self.registry.consent(consent_id)
        if account.id not in (record.recorded_by, record.granted_to):
            self._check_role(account, "reviewer" if record.state == "pending" else "administrator")
        revoked = self.registry.revoke(consent_id, account.id, why.strip()[:500])
        self.consent_book.forget_picture(consent_id)
        return self.consent_book.view(account, revoked)

    def begin_capture(self, account: Account) -> tuple[str, str]:
        """A phrase to say before the camera, good once and for a short while; and its id."""
        self._check_role(account, "reviewer")
        return self.consent_book.challenge(account)

    def finish_capture(self, account: Account, challenge: str, portrait: str, video: str, terms: Terms) -> ConsentView:
        """The consent that a capture proves, or the refusal that says what was not seen or heard."""
        self._check_role(account, "reviewer")
        return self.consent_book.capture(account, challenge, portrait, video, terms)

    def submit_statement(self, account: Account, portrait: str, statement: str, terms: Terms) -> ConsentView:
        """A signed statement about an uploaded portrait; it waits for a second person's approval."""
        self._check_role(account, "reviewer")
        return self.consent_book.hand_in(account, portrait, statement, terms)

    def consent_picture(self, account: Account, consent_id: str) -> Path:
        """The picture a consent is about, for those who may see the consent."""
        path = self.consent_book.picture(consent_id) if consent_id in self._visible_consents(account) else None
        if path is None:
            raise ClipRefused("There is no such picture for you.")
        return path

    def consent_paper(self, account: Account, consent_id: str) -> Path:
        """The signed statement of a consent, for those who may see the consent; every look is in the audit."""
        path = self.consent_book.paper(consent_id) if consent_id in self._visible_consents(account) else None
        if path is None:
            raise ClipRefused("There is no such statement for you.")
        self.registry.audit.append("paper_seen", account.id, consent=consent_id)
        return path

    def _visible_consents(self, account: Account) -> set[str]:
        return {view.id for view in self.consents(account)}

    def trail(self, account: Account, newest: int = 200, like: str = "") -> list[Entry]:
        """The newest entries of the audit, the newest first; those in which a word stands, where one is given."""
        self._check_role(account, "administrator")
        entries = reversed(self.registry.audit.entries(newest=newest if not like else TRAIL_SEARCHED))
        found = (e for e in entries if like in f"{e.event} {e.actor} {' '.join(map(str, e.facts.values()))}")
        return list(islice(found, newest))

    def chain(self, account: Account) -> Verdict:
        """Whether the audit's chain is whole."""
        self._check_role(account, "administrator")
        return self.registry.audit.verify()

    def names(self, account: Account) -> dict[str, str]:
        """What the accounts' ids stand for."""
        self._check_role(account, "administrator")
        return {known.id: known.name for known in self.accounts.all()}

    # ---- for the device --------------------------------------------------------------------------------------------

    def prepare(self, job: Job) -> dict[str, Any]:
        """What the worker must be told to do a job; all is checked once more, since time has passed."""
        account = self.accounts.with_id(job.account_id)
        if account is None:
            raise AccessRefused("The account was closed.")
        asked_for = {name: value for name, value in job.request.items() if name != "made"}
        request: ClipRequest | LiveRequest = (ClipRequest if job.kind == "clip" else LiveRequest)(**asked_for)
        request.check(self.settings.limits)
        portrait = self._portrait(account, request.portrait)
        asked = {"request": as_json(request), **portrait.told, "language": request.language}
        return asked if isinstance(request, LiveRequest) else asked | self._prepared_clip(account, job, request)

    def _prepared_clip(self, account: Account, job: Job, request: ClipRequest) -> dict[str, Any]:
        folder = self.registry.files / "unfinished"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sound = None
        if request.voice:
            sound = next(path for path in assets.voices() if path.stem == request.voice)
        elif request.upload:
            sound = self.uploads.path(account, request.upload, "sound")
        return {
            "sound": str(sound) if sound else None,
            "sound_s": self.settings.limits.sound_s,
            "kept_s": self.settings.limits.clips_kept_s,
            "out": str(folder / f"{job.id}.mp4"),
            "title": request.title,
        }

    # ---- what they share -------------------------------------------------------------------------------------------

    def _portrait(self, account: Account, portrait: str) -> _Portrait:
        """One of our cast; or the picture of a consent that stands and that this account may use.

        Whether the picture is still the one that was agreed to the worker finds out, when it looks at it.
        """
        cast = {path.stem: path for path in assets.portraits()}
        if portrait in cast:
            return _Portrait(cast[portrait], None)
        self._check_role(account, "reviewer")
        usable = {record.id: record for record in self.registry.consents(usable_by=account.id)}
        path = self.consent_book.picture(portrait) if portrait in usable else None
        if path is None:
            self.registry.audit.append("refused", account.id, reason="no_consent", portrait=portrait)
            raise ConsentRefused("Nobody has recorded a consent for this portrait; record one first.", "no_consent")
        try:
            usable[portrait].check_live(self.registry.today)
        except ConsentRefused as refusal:
            self.registry.audit.append("refused", account.id, reason=refusal.code, consent=portrait)
            raise
        return _Portrait(path, portrait)

    def _job_view(self, job: Job, places: Mapping[str, int]) -> JobView:
        progress = self.device.progress.get(job.id, Progress())
        return JobView(
            id=job.id, kind=job.kind, state=job.state, message=job.message, clip_id=job.clip_id,
            position=0 if job.state == "running" else places.get(job.id),
            stage=progress.stage, fraction=progress.share, title=str(job.request.get("title", "")),
        )  # fmt: skip

    def _clip_view(self, clip: Clip, request: Mapping[str, Any]) -> ClipView:
        try:
            if clip.consent_id is not None:
                self.registry.check_live(clip.consent_id)
            reason = None if clip.expires_at > self.registry.clock() else "Its time is over."
        except ConsentRefused as refusal:
            reason = str(refusal)
        made = request.get("made", {})
        return ClipView(
            id=clip.id, title=clip.title, made_at=clip.made_at, owner=clip.owner, servable=reason is None,
            reason=reason,
            duration_s=made.get("duration_s", 0.0), words=words_of(request), language=request.get("language"),
        )  # fmt: skip

    def _forget_stills(self) -> None:
        while self._stills:
            still_id, still = next(iter(self._stills.items()))
            if len(self._stills) <= STILLS_KEPT and time.monotonic() - still.made_at < STILL_KEPT_S:
                return
            still.path.unlink(missing_ok=True)
            self._stills.pop(still_id, None)


def _title(request: ClipRequest) -> str:
    cast = {path.stem for path in assets.portraits()}
    who = request.portrait.capitalize() if request.portrait in cast else "A portrait"
    said = request.voice.capitalize() if request.voice else (request.text or "a recording")
    return f"{who}: {said}"[:80]
