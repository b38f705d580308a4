"""Live: somebody speaks, a face speaks along a moment later, and every slider acts on the moving head.

One WebSocket a session. Up: wishes as JSON, sound as 16-bit samples at 16 kHz in small pieces. Down: news as JSON, and
frames as eight bytes (the second of the sound they belong to, float64) followed by a JPEG that has passed the door
already. Sound that comes faster than time, or a socket too slow for the frames, is dealt with here.
"""

from __future__ import annotations

import asyncio
import html
import json
import struct
import time
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from demo import theme
from demo.create import VOICES
from demo.services import LiveRequest, Services
from vasa_core import assets
from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.controls import EMOTIONS
from vasa_core.errors import VasaError

FRAMES_WAITING = 12
"""For a slow line; when there are more the oldest are dropped: late pictures of a conversation are worth nothing."""

PIECE_BYTES = 32_000
"""One second of sound: no honest page sends a longer piece."""

AHEAD_S = 3.0
"""Sound may run ahead of the clock by this much before the session is closed: nobody speaks faster than time."""

HELLO_S = 10.0
MESSAGE_LETTERS = 4000

SLIDERS = (
    ("gaze_yaw", "Looks left or right (°)", -30, 30, 1, 0),
    ("gaze_pitch", "Looks up or down (°)", -20, 20, 1, 0),
    ("head_distance", "Distance (×)", 0.7, 1.6, 0.05, 1),
    ("emotion_intensity", "Strength of the mood", 0, 1, 0.05, 0.8),
    ("energy", "Liveliness (×)", 0, 2, 0.05, 1),
    ("blink_rate", "Blinks (×)", 0, 3, 0.1, 1),
)


def build() -> None:
    """The page: everything in it is our own element (`static/live.js`)."""
    theme.block(panel())


def panel() -> str:
    """The live page as HTML: faces, voice and sliders at the left, the face at the right."""
    names = [path.stem for path in assets.portraits()]
    start = "mei" if "mei" in names else names[0]
    faces = _radios("live-face", [(n, n.capitalize()) for n in names], start, "vs-cast", "Face")
    moods = _radios("live-emotion", [(n, n.capitalize()) for n in EMOTIONS], "neutral", "vs-chips", "Mood")
    sources = [("microphone", "My microphone"), ("sample", "Sample voice")]
    source = _radios("live-source", sources, "microphone", "vs-segments", "Voice")
    samples = [(path.stem, VOICES.get(path.stem, path.stem.capitalize())) for path in assets.voices()]
    voice = _radios("live-voice", samples, "english", "vs-chips", "Which")
    sliders = "".join(_slider(*slider) for slider in SLIDERS)
    return f"""<vs-live class="vs-split2"><div class="vs-form2">
<section class="vs-panel"><h2>Face and voice</h2><div data-cast="live">{faces}</div>
{source}<div data-mic><label class="vs-check"><input type="checkbox" data-hear> Let me hear myself, delayed
<small>with headphones only, or it echoes</small></label></div><div data-sample hidden>{voice}</div></section>
<section class="vs-panel"><h2>While it speaks</h2>{moods}<div class="vs-sliders">{sliders}</div></section></div>
<div class="vs-stage2 vs-watch"><div class="vs-screen" data-stage="live">
<canvas width="512" height="512" role="img" aria-label="The speaking face, AI-generated"></canvas>
<div class="vs-empty-words vs-over" data-words role="status"><p class="vs-lead">Say something.</p>
<p>The face speaks along, a moment later.</p></div></div>
<button type="button" class="vs-button vs-main vs-wide" data-go>Start</button>
<dl class="vs-meter" data-meter aria-label="Measured"></dl>
<p class="vs-p"><span class="vs-made">AI-generated</span> Neither your voice nor the pictures are kept.</p>
</div></vs-live>"""


def _radios(name: str, choices: list[tuple[str, str]], chosen: str, kind: str, legend: str) -> str:
    labels = "".join(
        f'<label data-testid="{html.escape(text)}-radio-label"><input type="radio" name="{name}" value="{value}"'
        f"{' checked' * (value == chosen)}><span>{html.escape(text)}</span></label>"
        for value, text in choices
    )
    return f'<fieldset class="vs-set {kind}"><legend>{legend}</legend><div class="wrap">{labels}</div></fieldset>'


def _slider(name: str, label: str, low: float, high: float, step: float, start: float) -> str:
    share = 100 * (start - low) / (high - low)
    return (
        f'<label class="vs-range"><span>{label}</span><b aria-hidden="true">{start:g}</b>'
        f'<input type="range" name="{name}" min="{low:g}" max="{high:g}" step="{step:g}" value="{start:g}"'
        f' style="--range_progress: {share:g}%"></label>'
    )


# ---- the WebSocket --------------------------------------------------------------------------------------------------


def router(services: Services) -> APIRouter:
    """`/live`, for accounts only; the server's own check looks at cookie and Origin."""
    made = APIRouter()

    @made.websocket("/live")
    async def live(socket: WebSocket) -> None:
        """One session: from the first wish to the last frame."""
        try:
            account = services.account(socket)
        except VasaError as refusal:
            await socket.close(1008, str(refusal))
            return
        await socket.accept()
        with suppress(WebSocketDisconnect, RuntimeError):
            await _session(services, account, socket)

    return made


async def _session(services: Services, account: Any, socket: WebSocket) -> None:
    try:
        wanted = _wanted(await asyncio.wait_for(socket.receive_text(), HELLO_S))
        async with services.live(account, wanted) as session:
            await _talk(session, socket)
        await _tell(socket, state="ended")
    except TimeoutError:
        await _tell(socket, state="refused", why="The page did not say which face; reload it.")
    except (VasaError, ValueError, KeyError, TypeError) as refusal:
        why = str(refusal) if isinstance(refusal, VasaError) else "The page sent what this server does not understand."
        await _tell(socket, state="refused", why=why)
    await socket.close()


def _wanted(hello: str) -> LiveRequest:
    said = _object(hello)
    return LiveRequest(portrait=str(said["portrait"]), controls=_wishes(said.get("controls", {})))


def _wishes(said: dict[str, Any]) -> dict[str, Any]:
    """Numbers as the engine wants them: JSON makes an int of 1."""
    return {name: float(value) if isinstance(value, int) else value for name, value in said.items()}


def _object(text: str) -> dict[str, Any]:
    if len(text) > MESSAGE_LETTERS or not isinstance(said := json.loads(text), dict):
        raise ValueError("not a message of ours")
    return said


async def _talk(session: Any, socket: WebSocket) -> None:
    """Waits for the device, then lets sound up and frames down until one side ends."""
    async for position in session.waiting():
        await _tell(socket, state="waiting", position=position)
    await _tell(socket, state="ready")
    up = asyncio.create_task(_sound_up(session, socket))
    down = asyncio.create_task(_frames_down(session, socket))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if up.done() and up.exception() is None and up.result():  # an honest end: the last frames still come
            await down
        for task in (up, down):
            if task.done() and (failure := task.exception()) is not None:
                raise failure
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _sound_up(session: Any, socket: WebSocket) -> bool:
    """Passes sound and wishes on; True when the page said that the sound is over."""
    heard_s, started = 0.0, time.monotonic()
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        if (piece := message.get("bytes")) is not None:
            heard_s += len(piece) / 2 / SAMPLE_RATE_HZ
            if len(piece) > PIECE_BYTES or len(piece) % 2 or heard_s > time.monotonic() - started + AHEAD_S:
                raise ValueError("sound faster than time")
            await session.sound(np.frombuffer(piece, "<i2").astype(np.float32) / 32768)
        elif (said := _object(message.get("text") or "{}")).get("end"):
            await session.end()
            return True
        elif "controls" in said:
            await session.controls(_wishes(said["controls"]))


async def _frames_down(session: Any, socket: WebSocket) -> None:
    """Sends frames as fast as the line takes them; of those that wait too long the oldest go."""
    waiting: deque[bytes] = deque(maxlen=FRAMES_WAITING)
    there, over = asyncio.Event(), False

    async def send() -> None:
        while not (over and not waiting):
            there.clear()
            while waiting:
                await socket.send_bytes(waiting.popleft())
            if not over:
                await there.wait()

    sender = asyncio.create_task(send())
    try:
        async for frame in session.frames():
            waiting.append(struct.pack(">d", frame.at_s) + frame.jpeg)
            there.set()
            if sender.done():
                break
        over = True
        there.set()
        await sender
    finally:
        sender.cancel()


async def _tell(socket: WebSocket, **news: object) -> None:
    await socket.send_text(json.dumps(news))
