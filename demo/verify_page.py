"""Verify: anybody may drop a file and learn what it carries; no account, and nothing is kept.

The answer is the same HTML on the public page, in the studio's tab, and for a browser without script.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, UploadFile
from fastapi.responses import HTMLResponse

from demo import theme
from demo.services import Services
from vasa_core.errors import VasaError

if TYPE_CHECKING:
    from vasa_core.trust.verify import Findings

ABOUT = """<details class="vs-about"><summary>What is looked for</summary>
<dl><dt>Signed credentials</dt><dd>A C2PA manifest says who made the file, with what, and that nothing has changed
since. One changed byte breaks the seal. Most places that re-encode a video strip it.</dd>
<dt>Invisible mark</dt><dd>A weak pattern in every frame that survives re-encoding, scaling and cropping. It names the
release, never the person.</dd>
<dt>What it cannot say</dt><dd>A file without both may still be generated, by somebody else. This page knows its own
work.</dd></dl></details>"""

FORM = """<form class="vs-drop" method="post" action="/verify" enctype="multipart/form-data">
<p class="vs-lead">Drop a picture or a video</p><p>or</p>
<label class="vs-button vs-main vs-file">Choose a file<input type="file" name="file" required
accept="image/*,video/mp4,video/webm,video/quicktime,video/x-matroska"></label>
<p class="vs-soft">It is looked at, and not kept.</p>
<noscript><button class="vs-button" type="submit">Check it</button></noscript></form>"""


def panel(verdict: str = "") -> str:
    """The drop zone and the answer below it."""
    answer = f'<div class="vs-answer" aria-live="polite">{verdict}</div>'
    return f'<vs-verify class="vs-narrow">{FORM}{answer}{ABOUT}</vs-verify>'


def router(services: Services) -> APIRouter:
    """`/verify`, for everybody."""
    made = APIRouter()

    @made.get("/verify", response_class=HTMLResponse)
    def page() -> str:
        """The public page."""
        return _page("")

    @made.post("/verify", response_class=HTMLResponse)
    async def verify(request: Request, file: UploadFile) -> HTMLResponse:
        """What the file carries: as a piece of HTML for our script, as a whole page without it."""
        name = file.filename or "The file"
        try:
            told, status = verdict(await services.examine(request, file), name), 200
        except VasaError as refusal:
            told, status = refused(str(refusal)), 400
        piece = request.headers.get("x-piece") == "1"
        return HTMLResponse(told if piece else _page(told), status_code=status)

    return made


def _page(answer: str) -> str:
    title = "Verify a file · Talking-face studio"
    words = '<div class="vs-narrow"><h1>What does this file carry?</h1></div>'
    return theme.page(title, f"{words}{panel(answer)}", script=True)


def refused(sentence: str) -> str:
    """Why the file could not be looked at."""
    return f'<p class="vs-note vs-wrong" role="alert">{html.escape(sentence)}</p>'


def verdict(findings: Findings, name: str) -> str:
    """The findings under a headline that says what they mean together; the sentences are the engine's own."""
    mood, headline = HEADLINES[findings.carries]
    if findings.carries == "credentials" and findings.credentials.seal == "foreign":
        mood, headline = "vs-heed", "Signed by somebody else"
    first, *others = map(_told, findings.sentences)
    rows = "".join(f"<dt>{html.escape(what)}</dt><dd>{html.escape(said)}</dd>" for what, said in others)
    file = f'<p class="vs-soft">{html.escape(name)}</p>'
    return f"""<section class="vs-found {mood}" role="status">{file}<h2>{headline}</h2>
<p>{html.escape(first[1])}</p><dl>{rows}</dl></section>"""


def _told(sentence: str) -> tuple[str, str]:
    """What a sentence is about, and what it says: "Watermark: none." as ("Watermark", "None.")."""
    what, colon, said = sentence.partition(": ")
    return (what, said[:1].upper() + said[1:]) if colon else ("Also", sentence)


HEADLINES = {
    "both": ("vs-right", "Made here, and unchanged since"),
    "credentials": ("vs-right", "Made here"),
    "watermark": ("vs-right", "Made here, and copied since"),
    "neither": ("vs-off", "Nothing of ours in it"),
    "tampered": ("vs-wrong", "Changed after it was signed"),
}
