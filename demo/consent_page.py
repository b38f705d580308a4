"""The consent step, in place: nobody who exists is animated before they agreed and somebody can show it.

Me: a capture by the camera while saying a phrase made for this once (`static/capture.js`). Another person: their signed
statement, and a second person's approval. Both end as a portrait in the list of those that may be used.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from demo.captions import LANGUAGES
from demo.consents import ConsentView, Terms
from demo.services import Services
from vasa_core.trust.consent import PURPOSES

PROMISE = (
    "This studio may make videos and pictures of the face shown, until the day named. The consent can be taken back at "
    "any time and at once, and every clip says that it is AI-generated."
)
KINDS = {"speak": "videos", "look": "pictures"}
STATES = {
    "approved": "May be used",
    "pending": "Waits for a reviewer",
    "refused": "Refused",
    "revoked": "Taken back",
    "expired": "Run out",
}


def choices(consents: list[ConsentView]) -> list[tuple[str, str]]:
    """The portraits that may be used now: what is shown, and what a request names."""
    return [
        (f"{each.name} (until {each.until:%-d %b %Y})", each.portrait) for each in consents if each.state == "approved"
    ]


def scope(consent: ConsentView) -> str:
    """What a consent allows, in a few words."""
    kinds = " and ".join(KINDS[purpose] for purpose in KINDS if purpose in consent.purposes)
    spoken = None if consent.languages is None else f"only in {', '.join(consent.languages)}"
    moods = None if consent.emotions is None else f"only {', '.join(consent.emotions) or 'neutral'}"
    return ", ".join(filter(None, (kinds, spoken, moods)))


def own_face() -> str:
    """A capture by the camera, as one element of ours."""
    return _step("capture", "own", "Record my consent", _own_fields())


def another_person() -> str:
    """A signed statement, as one element of ours."""
    return _step("statement", "other", "Hand in a signed statement", _other_fields())


def _step(mode: str, prefix: str, title: str, fields: str) -> str:
    until = date.today() + timedelta(days=365)
    return f"""<vs-consent data-mode="{mode}"><details class="vs-more"><summary>{title}</summary>
<form novalidate>{fields}
{_scope()}<label class="vs-field"><span>Until</span>
<input type="date" name="until" required value="{until}" min="{date.today()}"></label>
<p class="vs-note" id="{prefix}-promise">{PROMISE}</p>
{_last(mode, prefix)}
<p class="vs-note" data-said role="status"></p></form></details></vs-consent>"""


def _scope() -> str:
    """What for: three choices, all of it where nothing else is chosen."""
    every = [("speak,look", "Videos and pictures"), ("look", "Pictures only"), ("speak", "Videos only")]
    spoken = [("", "Any language"), *((code, f"Only {name}") for code, name in LANGUAGES.items())]
    moods = [("", "Any mood"), ("neutral", "No mood but neutral"), ("neutral,happy", "Neutral and happy")]
    rows = (("purposes", "For", every), ("languages", "Spoken", spoken), ("emotions", "Shown", moods))
    return f'<div class="vs-three">{"".join(_select(*row) for row in rows)}</div>'


def _select(name: str, label: str, choices: list[tuple[str, str]]) -> str:
    options = "".join(f'<option value="{value}">{said}</option>' for value, said in choices)
    return f'<label class="vs-field"><span>{label}</span><select name="{name}">{options}</select></label>'


def _own_fields() -> str:
    return """<label class="vs-field"><span>My name</span><input name="name" autocomplete="name" required></label>
<label class="vs-field"><span>My portrait</span><input type="file" name="portrait" accept="image/*">
<small>From the front, one face, in good light. Leave it empty to take it with the camera now.</small></label>"""


def _other_fields() -> str:
    return """<label class="vs-field"><span>Their name</span><input name="name" autocomplete="off" required></label>
<label class="vs-field"><span>Their portrait</span><input type="file" name="portrait" accept="image/*" required></label>
<label class="vs-field"><span>Their signed statement</span>
<input type="file" name="statement" accept=".pdf,.txt,.toml,.json,image/*" required>
<small>A scan or a photo of the paper, or the file that <code>vasa consent-template</code> writes.</small></label>"""


def _last(mode: str, prefix: str) -> str:
    agree = "I agree" if mode == "capture" else "I have this statement from the person shown"
    box = f'<input type="checkbox" name="agree" aria-describedby="{prefix}-promise">'
    check = f'<label class="vs-check">{box} {agree}</label>'
    if mode == "statement":
        return f'{check}<button type="button" class="vs-button vs-main" data-go>Hand it in</button>'
    return f"""{check}<div class="vs-booth" data-booth hidden><video muted playsinline aria-label="Your camera"></video>
<p class="vs-soft">Look into the camera and say:</p><p class="vs-phrase" data-phrase></p>
<p class="vs-soft" data-left></p></div>
<button type="button" class="vs-button vs-main" data-go>Give me my phrase</button>"""


# ---- its addresses --------------------------------------------------------------------------------------------------


class Agreed(BaseModel):
    """The terms of a consent; nothing said allows any language or mood."""

    name: str = Field(min_length=1, max_length=80)
    until: date
    purposes: tuple[str, ...] = Field(PURPOSES, max_length=8)
    languages: tuple[str, ...] | None = Field(None, min_length=1, max_length=40)
    emotions: tuple[str, ...] | None = Field(None, max_length=20)

    def terms(self) -> Terms:
        """The same, checked."""
        names = ("name", "until", "purposes", "languages", "emotions")
        return Terms(**{name: getattr(self, name) for name in names})


class Capture(Agreed):
    """What camera and microphone took, and the portrait that it is about (ids of uploads)."""

    evidence: str = Field(max_length=64)
    portrait: str = Field(max_length=64)
    video: str = Field(max_length=64)


class Paper(Agreed):
    """A statement on paper, and the portrait that it is about (ids of uploads)."""

    portrait: str = Field(max_length=64)
    statement: str = Field(max_length=64)


class Reason(BaseModel):
    """Why a consent is taken back."""

    why: str = Field("", max_length=300)


def router(services: Services) -> APIRouter:
    """What the consent step and the audit page ask of the server; every one for accounts, with the session's token."""
    made = APIRouter()

    @made.post("/consent/begin")
    def begin(request: Request) -> dict[str, str]:
        """A phrase to say, good once and for a short while."""
        phrase, evidence = services.begin_capture(services.account(request))
        return {"phrase": phrase, "evidence": evidence}

    @made.post("/consent/finish")
    def finish(request: Request, capture: Capture) -> dict[str, Any]:
        """Judges a capture; what was taken decides."""
        account, asked = services.account(request), capture
        view = services.finish_capture(account, asked.evidence, asked.portrait, asked.video, asked.terms())
        return as_json(view)

    @made.post("/consent/statement")
    def statement(request: Request, paper: Paper) -> dict[str, Any]:
        """Keeps a statement until a reviewer has looked at it."""
        account = services.account(request)
        return as_json(services.submit_statement(account, paper.portrait, paper.statement, paper.terms()))

    @made.get("/consents")
    def consents(request: Request) -> list[dict[str, Any]]:
        """The consents that this account may see."""
        return [as_json(each) for each in services.consents(services.account(request))]

    @made.post("/consents/{consent_id}/approve")
    def approve(request: Request, consent_id: str) -> dict[str, Any]:
        """A second person's yes."""
        return as_json(services.approve(services.account(request), consent_id))

    @made.post("/consents/{consent_id}/revoke")
    def revoke(request: Request, consent_id: str, reason: Reason) -> dict[str, Any]:
        """Takes a consent back, at once."""
        return as_json(services.revoke(services.account(request), consent_id, reason.why))

    return made


def as_json(consent: ConsentView) -> dict[str, Any]:
    """A consent as the pages show it."""
    return {
        "id": consent.id, "name": consent.name, "state": consent.state,
        "says": STATES.get(consent.state, consent.state), "basis": consent.basis, "portrait": consent.portrait,
        "sentence": consent.sentence, "until": consent.until.isoformat(), "recorded_by": consent.recorded_by,
        "approved_by": consent.approved_by, "mine": consent.mine, "approvable": consent.approvable,
        "paper": consent.paper, "scope": scope(consent),
    }  # fmt: skip
