"""The pieces of HTML that several pages show: the stage, a job under way, a clip, a refusal, a list of clips.

Whatever a person typed goes through `html.escape` here.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime

from demo.services import ClipView, JobView

STAGES = {
    "speech": "Listening",
    "portrait": "Studying the portrait",
    "motion": "Imagining the motion",
    "render": "Drawing the frames",
    "starting": "Starting",
    "signing": "Signing",
}

EMPTY_STAGE = """<div class="vs-screen vs-empty" data-stage="create"><div class="vs-empty-words">
<p class="vs-lead">Choose a face and a voice.</p>
<p>Six seconds of speech take about as long to make.</p></div></div>"""


def job_card(job: JobView) -> str:
    """A job that waits or works, told so that a screen reader hears of changes and not of every percent."""
    if job.state == "queued":
        ahead = max((job.position or 1) - 1, 0)
        place = "Next in line" if ahead == 0 else f"{ahead} {'job' if ahead == 1 else 'jobs'} before yours"
        return _under_way("Waiting", place, None, spoken=f"Waiting. {place}.")
    stage = STAGES.get(job.stage, "Starting")
    percent = round(100 * job.fraction) if job.fraction else 0
    return _under_way(stage, f"{percent} %", percent, spoken=stage)


def _under_way(title: str, line: str, percent: int | None, spoken: str) -> str:
    bar = (
        f'<div class="vs-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>'
        if percent is not None
        else '<div class="vs-bar vs-waiting" role="progressbar" aria-label="Waiting in the queue"><i></i></div>'
    )
    return (
        f'<div class="vs-screen vs-working"><div class="vs-empty-words"><p class="vs-lead">{html.escape(title)}</p>'
        f'{bar}<p class="vs-count">{html.escape(line)}</p></div>'
        f'<p class="vs-spoken" role="status">{html.escape(spoken)}</p></div>'
    )


def refusal_card(sentence: str, title: str = "This was not made") -> str:
    """Why there is no clip, in one sentence that says what to do."""
    return (
        '<div class="vs-screen vs-refused"><div class="vs-empty-words" role="alert">'
        f'<p class="vs-lead">{html.escape(title)}</p><p>{html.escape(sentence)}</p></div></div>'
    )


def clip_stage(clip: ClipView) -> str:
    """A finished clip: it plays at once, says what it is, and downloads with its credentials."""
    return f"""<figure class="vs-clip">{video(clip, autoplay=True)}
<figcaption><span class="vs-made">AI-generated</span> <span>{html.escape(clip.title)} · {_length(clip)}</span>
{_download(clip)}</figcaption></figure>"""


def video(clip: ClipView, *, autoplay: bool = False, quiet: bool = False) -> str:
    """The clip through the server's own checked address, with captions where the words are known."""
    source = f"/clips/{html.escape(clip.id)}"
    captions = f'<track kind="captions" src="{source}.vtt" srclang="en" label="Captions" default>' if clip.words else ""
    switches = " autoplay" * autoplay + " muted" * quiet
    return (
        f'<video src="{source}.mp4" poster="{source}.jpg" controls playsinline preload="metadata"{switches} '
        f'aria-label="{html.escape(clip.title, quote=True)}">{captions}</video>'
    )


def clip_list(clips: list[ClipView]) -> str:
    """What this account made before, newest first."""
    if not clips:
        return ""
    rows = "".join(_row(clip) for clip in clips[:8])
    return (
        f'<section class="vs-clips" aria-labelledby="clips-h"><h2 id="clips-h">Your clips</h2><ul>{rows}</ul></section>'
    )


def _row(clip: ClipView) -> str:
    title = html.escape(clip.title)
    if not clip.servable:
        reason = html.escape(clip.reason or "No longer served.")
        gone = '<span class="vs-thumb vs-gone" aria-hidden="true"></span>'
        return f"<li>{gone}<span><b>{title}</b><i>{reason}</i></span></li>"
    source = html.escape(clip.id)
    return (
        f'<li><button type="button" class="vs-thumb" data-play="{source}" aria-label="Play {title}">'
        f'<img src="/clips/{source}.jpg" alt="" loading="lazy"></button>'
        f"<span><b>{title}</b><i>{_length(clip)} · {ago(clip.made_at)}</i></span>{_download(clip)}"
        f'<template id="clip-{source}">{clip_stage(clip)}</template></li>'
    )


def _download(clip: ClipView) -> str:
    return (
        f'<a class="vs-button" href="/clips/{html.escape(clip.id)}.mp4?download=1" download '
        f'aria-label="Download {html.escape(clip.title, quote=True)}">Download</a>'
    )


def _length(clip: ClipView) -> str:
    return f"{clip.duration_s:.1f} s"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, as one would say it."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    minutes = int(((now or datetime.now(UTC)) - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    return moment.strftime("%-d %b %Y")
