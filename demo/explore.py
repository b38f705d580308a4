"""Explore: one face under one's own hands, and one performance seen several times: on other faces, or guided more.

Stills come from the server's quick road (`services.still`); the comparisons are ordinary clips of the queue, made with
one seed, so that the faces move alike: motion depends on voice, wishes and seed, never on the portrait.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from demo import theme
from demo.cards import refusal_card, video
from demo.create import DIRECT, POLL_S, cast_picker, voice_picker
from demo.jobs import UNDER_WAY
from demo.services import ClipRequest, ClipView, JobView, Services, StillRequest
from vasa_core import assets
from vasa_core.errors import BadOption, VasaError

MOST_FACES = 4
STILL_PX = 512
COMPARED_PX = 256
STRENGTHS = {"λ_A, lips follow the voice": ("guidance_audio", (0.0, 0.5, 1.0, 1.5)),
             "λ_g, eyes follow the gaze": ("guidance_gaze", (0.0, 0.5, 1.0, 2.0))}  # fmt: skip

EXPRESSIONS = {
    "mouthSmile": "Smile", "jawOpen": "Jaw open", "mouthPucker": "Pucker", "mouthFrown": "Mouth down",
    "browInnerUp": "Inner brows up", "browDown": "Brows down", "eyeBlink": "Eyes closed", "eyeWide": "Eyes wide",
}  # fmt: skip

STILL_BEFORE = """<div class="vs-screen vs-empty" data-stage="explore"><div class="vs-empty-words">
<p class="vs-lead">Move a slider.</p></div></div>"""


def build(services: Services, tab: gr.Tab) -> None:
    """Three ways to look: hands on one face, several faces, several strengths."""
    with gr.Tabs(elem_classes="vs-inner"):
        with gr.Tab("One face"):
            _one_face(services, tab)
        with gr.Tab("Several faces"):
            _several_faces(services)
        with gr.Tab("Several strengths"):
            _several_strengths(services)


# ---- one face -------------------------------------------------------------------------------------------------------


def _one_face(services: Services, tab: gr.Tab) -> None:
    with gr.Row(elem_classes="vs-split"):
        with gr.Column(scale=6, min_width=320, elem_classes="vs-form"):
            with gr.Group(elem_classes="vs-card"):
                theme.block('<h2 class="vs-h">Face</h2>')
                face = cast_picker("explore-cast")
            with gr.Group(elem_classes="vs-card"):
                theme.block('<h2 class="vs-h">Pose</h2>')
                pose = _pose()
            with gr.Group(elem_classes="vs-card"):
                theme.block('<h2 class="vs-h">Expression</h2>')
                expression = _expression()
        with gr.Column(scale=5, min_width=320, elem_classes="vs-stage vs-watch"):
            stage = theme.block(STILL_BEFORE, elem_id="explore-stage")
            reset = gr.Button("Back to the portrait", elem_id="explore-reset")
    sliders = {**pose, **expression}

    def show(request: gr.Request, portrait: str, *values: float) -> str:
        return theme.flat(_still(services, request, portrait, dict(zip(sliders, values, strict=True))))

    inputs = [face, *sliders.values()]
    quick: dict[str, Any] = {"trigger_mode": "always_last", **DIRECT}
    for slider in sliders.values():
        slider.change(show, inputs, stage, api_visibility="private", **quick)
    face.change(show, inputs, stage, api_name="still", **quick)
    tab.select(show, inputs, stage, api_visibility="private", **quick)
    reset.click(lambda: [0] * len(sliders), None, list(sliders.values()), api_visibility="private", **DIRECT)


def _pose() -> dict[str, gr.Slider]:
    with gr.Row():
        yaw = gr.Slider(-35, 35, 0, step=1, label="Turn left or right (°)", buttons=[])
        pitch = gr.Slider(-25, 25, 0, step=1, label="Nod up or down (°)", buttons=[])
    with gr.Row():
        roll = gr.Slider(-30, 30, 0, step=1, label="Tilt (°)", buttons=[])
        gaze_yaw = gr.Slider(-35, 35, 0, step=1, label="Eyes left or right (°)", buttons=[])
    gaze_pitch = gr.Slider(-25, 25, 0, step=1, label="Eyes up or down (°)", buttons=[])
    return {"yaw": yaw, "pitch": pitch, "roll": roll, "gaze_yaw": gaze_yaw, "gaze_pitch": gaze_pitch}


def _expression() -> dict[str, gr.Slider]:
    made = {}
    pairs = list(EXPRESSIONS.items())
    for left, right in zip(pairs[::2], pairs[1::2], strict=True):
        with gr.Row():
            for name, label in (left, right):
                made[name] = gr.Slider(0, 1, 0, step=0.05, label=label, buttons=[])
    return made


def _still(services: Services, request: gr.Request, portrait: str, asked: dict[str, float]) -> str:
    pose = {name: float(value) for name, value in asked.items() if name not in EXPRESSIONS}
    expression = {name: float(asked[name]) for name in EXPRESSIONS if asked[name]}
    wanted = StillRequest(portrait=portrait, expression=expression, size=STILL_PX, **pose)
    try:
        still = services.still(services.account(request), wanted)
    except VasaError as refusal:
        return refusal_card(str(refusal))
    return (
        f'<figure class="vs-clip"><div class="vs-screen"><img src="{html.escape(still.url, quote=True)}" '
        f'alt="{html.escape(portrait.capitalize())} as the sliders ask"></div><figcaption>'
        f'<span class="vs-made">AI-generated</span> <span>{round(1000 * still.seconds)} ms</span>'
        f'<a class="vs-button" href="{html.escape(still.url, quote=True)}?download=1" download>Download</a>'
        "</figcaption></figure>"
    )


# ---- several faces, several strengths -------------------------------------------------------------------------------


def _several_faces(services: Services) -> None:
    names = [path.stem for path in assets.portraits()]
    start = [name for name in ("mei", "henry", "amara") if name in names] or names[:3]
    with gr.Group(elem_classes="vs-card"):
        theme.block(
            f'<h2 class="vs-h">The same performance on several faces</h2><p class="vs-p">Two to {MOST_FACES}.</p>'
        )
        faces = gr.CheckboxGroup(
            [(n.capitalize(), n) for n in names], value=start, label="Faces", elem_id="compare-cast",
            elem_classes="vs-cast vs-quiet",
        )  # fmt: skip
        voice = voice_picker("compare-voice")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
    make = gr.Button("Make them side by side", variant="primary", size="lg", elem_id="compare-faces")
    shown = theme.block(elem_id="compare-faces-stage")

    def wanted(chosen: list[str], voice: str, seed: float) -> dict[str, ClipRequest]:
        if not 2 <= len(chosen) <= MOST_FACES:
            raise BadOption(f"Choose two to {MOST_FACES} faces.")
        return {n.capitalize(): _small(n, voice, int(seed or 0), {}) for n in chosen}

    _side_by_side(services, make, [faces, voice, seed], shown, wanted, "faces")


def _several_strengths(services: Services) -> None:
    with gr.Group(elem_classes="vs-card"):
        theme.block('<h2 class="vs-h">The same face under several strengths of guidance</h2>')
        face = cast_picker("strength-cast")
        voice = voice_picker("strength-voice")
        with gr.Row():
            which = gr.Radio(list(STRENGTHS), value=next(iter(STRENGTHS)), label="Strength of", elem_classes="vs-chips")
            gaze = gr.Slider(-30, 30, 15, step=1, label="Looks left or right (°)", buttons=[])
    make = gr.Button("Make them side by side", variant="primary", size="lg", elem_id="compare-strengths")
    shown = theme.block(elem_id="compare-strengths-stage")

    def wanted(face: str, voice: str, which: str, gaze: float) -> dict[str, ClipRequest]:
        name, strengths = STRENGTHS[which]
        wishes = {"gaze_yaw": float(gaze)}
        return {f"{which.split(',')[0]} = {s:g}": _small(face, voice, 0, wishes | {name: s}) for s in strengths}

    _side_by_side(services, make, [face, voice, which, gaze], shown, wanted, "strengths")


def _small(portrait: str, voice: str, seed: int, controls: dict[str, Any]) -> ClipRequest:
    return ClipRequest(portrait=portrait, voice=voice, controls=controls, seed=seed, size=COMPARED_PX)


def _side_by_side(
    services: Services,
    make: gr.Button,
    inputs: list[Any],
    stage: gr.Markdown,
    wanted: Callable[..., dict[str, ClipRequest]],
    api_name: str,
) -> None:
    """A click asks for the clips wanted; then they are looked at until all are over, each under its name."""
    jobs, look = gr.State({}), gr.Timer(2 * POLL_S, active=False)

    def start(request: gr.Request, *values: Any) -> tuple[Any, ...]:
        account = services.account(request)
        try:
            asked = {
                name: services.submit(account, replace(each, title=name)) for name, each in wanted(*values).items()
            }
        except VasaError as refusal:
            return theme.flat(refusal_card(str(refusal))), {}, gr.update(active=False)
        return _compared(services, account, asked)

    def follow(request: gr.Request, asked: dict[str, str]) -> tuple[Any, ...]:
        return _compared(services, services.account(request), asked)

    shown = [stage, jobs, look]
    make.click(start, inputs, shown, api_name=api_name, **DIRECT)
    look.tick(follow, jobs, shown, api_visibility="private", **DIRECT)


def _compared(services: Services, account: Any, asked: dict[str, str]) -> tuple[Any, ...]:
    """The clips as they become ready, the jobs they come from, and whether to look again."""
    if not asked:  # the server was started anew and knows no pages
        return theme.flat(refusal_card("The studio was restarted; make them again.")), {}, gr.update(active=False)
    seen = {name: services.job(account, job_id) for name, job_id in asked.items()}
    clips = {clip.id: clip for clip in services.clips(account)}
    waiting = any(job.state in UNDER_WAY for job in seen.values())
    return theme.flat(_grid(seen, clips, whole=not waiting)), asked, gr.update(active=waiting)


def _grid(jobs: dict[str, JobView], clips: dict[str, ClipView], *, whole: bool) -> str:
    cells = "".join(
        f"<figure>{_cell(job, clips)}<figcaption>{html.escape(n)}</figcaption></figure>" for n, job in jobs.items()
    )
    if not whole:
        return f'<div class="vs-grid">{cells}</div>'
    made = '<p class="vs-p"><span class="vs-made">AI-generated</span></p>'
    return f'<vs-compare><div class="vs-grid">{cells}</div>{made}</vs-compare>'


def _cell(job: JobView, clips: dict[str, ClipView]) -> str:
    if job.state == "done" and job.clip_id in clips:
        return video(clips[job.clip_id])
    if job.state in UNDER_WAY:
        line = f"{round(100 * (job.fraction or 0))} %" if job.state == "running" else "Waiting"
        return f'<div class="vs-screen"><p class="vs-count">{line}</p></div>'
    return f'<div class="vs-screen vs-refused"><p>{html.escape(job.message or "Not made")}</p></div>'
