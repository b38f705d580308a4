"""Create: a face, a voice and a manner become a clip that plays at once.

Three choices on the left, the stage on the right. The work is done by the server's queue (`services`); this page asks
for it, looks again and again how far it is, and shows what came out through the server's own checked addresses.

No event of ours takes Gradio's queue. Its answers come over one stream a page, which the server closes when nothing is
left to answer; who clicks in that very moment has joined, yet nobody listens: the work is done, the page never moves.
"""

from __future__ import annotations

import html
import shutil
import subprocess
from functools import lru_cache
from typing import Any

import gradio as gr

from demo import consent_page, theme
from demo.captions import LANGUAGES
from demo.cards import EMPTY_STAGE, clip_list, clip_stage, job_card, refusal_card
from demo.jobs import UNDER_WAY
from demo.presets import PRESETS
from demo.services import ClipRequest, ClipView, JobView, Services
from vasa_core import assets
from vasa_core.controls import EMOTIONS, Controls
from vasa_core.errors import BadSound, ConsentRefused, VasaError

POLL_S = 0.4
DIRECT: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
CAST, OWN, OTHER = "One of our cast", "Me", "Another person"
SAMPLE, SOUND, TEXT = "Sample voice", "Record or upload", "Type a sentence"
STEADY = "As set, all the time"
LETTERS = 600

VOICES = {"english": "English", "french": "Français", "catalan": "Català"}


def build(services: Services, app: gr.Blocks) -> None:
    """The page's controls and what they do."""
    with gr.Row(elem_classes="vs-split"):
        with gr.Column(scale=6, min_width=320, elem_classes="vs-form"):
            face = _face(services, app)
            voice = _voice()
            manner = _manner()
        with gr.Column(scale=5, min_width=320, elem_classes="vs-stage"):
            stage = theme.block(EMPTY_STAGE, elem_id="create-stage")
            with gr.Row(elem_classes="vs-actions"):
                make = gr.Button("Make the clip", variant="primary", size="lg", elem_id="make-clip")
                stop = gr.Button("Cancel", size="lg", elem_id="cancel-clip", visible=False)
            clips = theme.block(elem_id="create-clips")
    job, look = gr.State(None), gr.Timer(POLL_S, active=False)
    asked = {**face, **voice, **manner}
    names = list(asked)

    def start(request: gr.Request, *values: Any) -> tuple[Any, ...]:
        return _started(services, request, dict(zip(names, values, strict=True)))

    def follow(request: gr.Request, job_id: str | None) -> tuple[Any, ...]:
        return _followed(services, services.account(request), job_id)

    def resume(request: gr.Request) -> tuple[Any, ...]:
        return _resumed(services, services.account(request))

    def cancel(request: gr.Request, job_id: str | None) -> None:
        if job_id is not None:
            services.cancel(services.account(request), job_id)

    shown = [stage, make, stop, clips, job, look]
    make.click(start, list(asked.values()), shown, api_name="create", **DIRECT)
    stop.click(cancel, job, None, api_name="cancel", **DIRECT)
    look.tick(follow, job, shown, api_visibility="private", **DIRECT)
    app.load(resume, None, shown, api_visibility="private", **DIRECT)


# ---- the form -----------------------------------------------------------------------------------------------------


def _heading(number: int, title: str, line: str = "") -> None:
    said = f"<p>{html.escape(line)}</p>" if line else ""
    theme.block(f'<div class="vs-step"><span aria-hidden="true">{number}</span><div><h2>{title}</h2>{said}</div></div>')


def _face(services: Services, app: gr.Blocks) -> dict[str, gr.components.Component]:
    with gr.Group(elem_classes="vs-card"):
        _heading(1, "Face")
        source = gr.Radio([CAST, OWN, OTHER], value=CAST, label="Whose face", elem_classes="vs-segments vs-quiet")
        with gr.Column(elem_classes="vs-flat") as cast_part:
            cast = cast_picker("create-cast")
        with gr.Column(visible=False, elem_classes="vs-flat") as people_part:
            person = _person(services, app)
            with gr.Column(visible=False, elem_classes="vs-flat") as own_part:
                theme.block(consent_page.own_face())
            with gr.Column(visible=False, elem_classes="vs-flat") as other_part:
                theme.block(consent_page.another_person())
    source.change(
        lambda chosen: [gr.update(visible=v) for v in (chosen == CAST, chosen != CAST, chosen == OWN, chosen == OTHER)],
        source, [cast_part, people_part, own_part, other_part], api_visibility="private",
        **DIRECT,
    )  # fmt: skip

    def allowed(request: gr.Request) -> Any:
        return gr.update(visible=services.account(request).role in ("reviewer", "administrator"))

    app.load(allowed, None, source, api_visibility="private", **DIRECT)  # viewers have our own cast
    return {"source": source, "cast": cast, "person": person}


def _person(services: Services, app: gr.Blocks) -> gr.Dropdown:
    """The portraits of real people that may be used now; asked for again whenever a consent comes or goes."""
    person = gr.Dropdown([], label="Portraits with consent", info="Nobody yet", elem_id="create-person")
    again = gr.Button("Refresh", elem_id="refresh-people", elem_classes="vs-unseen")

    def people(request: gr.Request) -> Any:
        known = consent_page.choices(services.consents(services.account(request)))
        info = "" if known else "Nobody yet: record a consent below."
        return gr.update(choices=known, value=known[0][1] if known else None, info=info)

    for event in (app.load, again.click):
        event(people, None, person, api_visibility="private", **DIRECT)
    return person


def cast_picker(elem_id: str, *, label: str = "Nobody here exists: all are rendered by our own code") -> gr.Radio:
    """Our cast as cards with their portraits; underneath it is an ordinary group of radio buttons."""
    names = [path.stem for path in assets.portraits()]
    choices = [(name.capitalize(), name) for name in names]
    chosen = "mei" if "mei" in names else names[0]
    return gr.Radio(choices, value=chosen, label=label, elem_id=elem_id, elem_classes="vs-cast")


def _voice() -> dict[str, gr.components.Component]:
    sources = [SAMPLE, SOUND, *([TEXT] if synthesiser() else [])]
    with gr.Group(elem_classes="vs-card"):
        _heading(2, "Voice")
        source = gr.Radio(
            sources, value=SAMPLE, label="Where the voice comes from", elem_classes="vs-segments vs-quiet"
        )
        with gr.Column(elem_classes="vs-flat") as sample_part:
            sample = voice_picker("create-voice")
        with gr.Column(visible=False, elem_classes="vs-flat") as sound_part:
            theme.block('<vs-recorder data-for="create-sound"></vs-recorder>')
            sound = gr.Textbox("", label="Recording", elem_id="create-sound", elem_classes="vs-unseen")
        with gr.Column(visible=False, elem_classes="vs-flat") as text_part:
            words = gr.Textbox(
                label="Sentence",
                lines=3,
                max_length=LETTERS,
                placeholder="What should be said?",
                elem_id="create-words",
            )
        with gr.Column(visible=False, elem_classes="vs-flat") as language_part:
            language = gr.Dropdown([(n, c) for c, n in languages().items()], value="en", label="Language")
    source.change(
        lambda chosen: [
            *(gr.update(visible=chosen == each) for each in (SAMPLE, SOUND, TEXT)),
            gr.update(visible=chosen != SAMPLE),
        ],
        source, [sample_part, sound_part, text_part, language_part], api_visibility="private", **DIRECT,
    )  # fmt: skip
    return {"voice_source": source, "sample": sample, "sound": sound, "words": words, "language": language}


def voice_picker(elem_id: str) -> gr.Radio:
    """Our sample voices, each of which can be listened to first."""
    names = sorted((path.stem for path in assets.voices()), key=lambda name: (name != "english", name))
    choices = [(VOICES.get(name, name.capitalize()), name) for name in names]
    with gr.Row(elem_classes="vs-voices"):
        picker = gr.Radio(
            choices, value=choices[0][1], label="Voice", elem_id=elem_id, elem_classes="vs-chips vs-quiet"
        )
        theme.block(f'<vs-listen data-for="{elem_id}"></vs-listen>')
    return picker


def synthesiser() -> str | None:
    """The path of espeak-ng, where it is installed."""
    return shutil.which("espeak-ng")


@lru_cache(maxsize=1)
def languages() -> dict[str, str]:
    """The languages of ours that the installed espeak-ng can speak: code -> name in that language."""
    if synthesiser() is None:
        return {"en": LANGUAGES["en"]}
    listed = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True, check=False).stdout
    spoken = {row.split()[1].split("-")[0] for row in listed.splitlines()[1:] if row.strip()}
    return {code: name for code, name in LANGUAGES.items() if code in spoken}


def _manner() -> dict[str, gr.components.Component]:
    with gr.Group(elem_classes="vs-card"):
        _heading(3, "Manner")
        wishes = {**_mood(), **_attention()}
        over_time = [(STEADY, ""), *((preset.title, name) for name, preset in PRESETS.items())]
        wishes["curve"] = gr.Radio(
            over_time, value="", label="Over time", elem_id="create-curve", elem_classes="vs-chips"
        )
        with gr.Accordion("Head and eyes", open=False):
            wishes |= _head()
        with gr.Accordion("Fine control", open=False):
            wishes |= _fine()
    return wishes


def _mood() -> dict[str, gr.components.Component]:
    moods = [(name.capitalize(), name) for name in EMOTIONS]
    return {
        "emotion": gr.Radio(moods, value="neutral", label="Mood", elem_id="create-emotion", elem_classes="vs-chips"),
        "emotion_intensity": gr.Slider(0, 1, 0.8, step=0.05, label="Strength of the mood", buttons=[]),
    }


def _attention() -> dict[str, gr.components.Component]:
    with gr.Row():
        yaw = gr.Slider(-35, 35, 0, step=1, label="Looks left or right (°)", buttons=[])
        pitch = gr.Slider(-25, 25, 0, step=1, label="Looks up or down (°)", buttons=[])
    listening = gr.Checkbox(False, label="Only listens: the voice is somebody else's, lips stay closed")
    return {"gaze_yaw": yaw, "gaze_pitch": pitch, "listening": listening}


def _head() -> dict[str, gr.components.Component]:
    with gr.Row():
        distance = gr.Slider(0.7, 1.6, 1, step=0.05, label="Distance (×)", buttons=[])
        energy = gr.Slider(0, 2, 1, step=0.05, label="Liveliness (×)", buttons=[])
    with gr.Row():
        blinks = gr.Slider(0, 3, 1, step=0.1, label="Blinks (×)", buttons=[])
        roll = gr.Slider(-20, 20, 0, step=1, label="Tilt (°)", buttons=[])
    with gr.Row():
        yaw = gr.Slider(-20, 20, 0, step=1, label="Head left or right (°)", buttons=[])
        pitch = gr.Slider(-15, 15, 0, step=1, label="Head up or down (°)", buttons=[])
    return {
        "head_distance": distance, "energy": energy, "blink_rate": blinks,
        "pose_yaw": yaw, "pose_pitch": pitch, "pose_roll": roll,
    }  # fmt: skip


def _fine() -> dict[str, gr.components.Component]:
    usual = Controls()
    with gr.Row():
        audio = gr.Slider(
            0, 1.5, usual.guidance_audio, step=0.05, label="Lips and head follow the voice (λ_A)", buttons=[]
        )
        gaze = gr.Slider(0, 3, usual.guidance_gaze, step=0.1, label="Eyes follow a gaze aside (λ_g)", buttons=[])
    with gr.Row():
        steps = gr.Slider(5, 50, usual.steps, step=1, label="Denoising steps", buttons=[])
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
    with gr.Row():
        size = gr.Dropdown([(f"{px} × {px}", px) for px in (256, 384, 512)], value=512, label="Size")
        whole = gr.Checkbox(False, label="Put the head back into the whole portrait")
    return {
        "guidance_audio": audio, "guidance_gaze": gaze, "steps": steps,
        "seed": seed, "size": size, "full_picture": whole,
    }  # fmt: skip


# ---- the work -----------------------------------------------------------------------------------------------------

CONTROLS = (
    "gaze_yaw", "gaze_pitch", "head_distance", "emotion", "emotion_intensity", "guidance_audio", "guidance_gaze",
    "steps", "energy", "blink_rate", "pose_yaw", "pose_pitch", "pose_roll", "listening",
)  # fmt: skip


def clip_request(asked: dict[str, Any]) -> ClipRequest:
    """What the form asks for; a recording and a portrait are named by the ids of what the server keeps."""
    if asked["voice_source"] == SOUND and not asked["sound"]:
        raise BadSound("Record or upload a voice first.")
    if asked["voice_source"] == TEXT and not (asked["words"] or "").strip():
        raise BadSound("Type the sentence that should be said.")
    return ClipRequest(
        portrait=_portrait(asked),
        voice=asked["sample"] if asked["voice_source"] == SAMPLE else None,
        upload=asked["sound"] if asked["voice_source"] == SOUND else None,
        text=asked["words"].strip() if asked["voice_source"] == TEXT else None,
        language=asked["language"] or "en",
        controls={name: asked[name] if name == "emotion" else float(asked[name]) for name in CONTROLS},
        curve=asked["curve"] or None,
        seed=int(asked["seed"] or 0),
        size=int(asked["size"]),
        full_picture=bool(asked["full_picture"]),
    )


def _portrait(asked: dict[str, Any]) -> str:
    if asked["source"] == CAST:
        return str(asked["cast"])
    if not asked["person"]:
        raise ConsentRefused("Record this person's consent first; then the portrait can be chosen.")
    return str(asked["person"])


def _started(services: Services, request: gr.Request, asked: dict[str, Any]) -> tuple[Any, ...]:
    try:
        account = services.account(request)
        job_id = services.submit(account, clip_request(asked))
    except VasaError as refusal:
        return _shown(refusal_card(str(refusal)), busy=False)
    return _followed(services, account, job_id)


def _resumed(services: Services, account: Any) -> tuple[Any, ...]:
    """After a reload: a job still under way is followed again; else only the list of clips is new.

    The rest stays as it is: whoever is quick has asked for a clip before this answer comes.
    """
    for job in services.jobs(account):
        if job.state in UNDER_WAY and job.kind == "clip":
            return _followed(services, account, job.id)
    listed = theme.flat(clip_list(services.clips(account)))
    return gr.skip(), gr.skip(), gr.skip(), listed, gr.skip(), gr.skip()


def _followed(services: Services, account: Any, job_id: str | None) -> tuple[Any, ...]:
    """The stage while a job waits and works, and what it ends with.

    A server that was started anew knows no pages: then the newest job is meant.
    """
    newest = next((job for job in services.jobs(account) if job.kind == "clip"), None)
    job = services.job(account, job_id) if job_id else newest
    if job is not None and job.state in UNDER_WAY:
        return _shown(job_card(job), busy=True, job_id=job.id)
    clips = services.clips(account)
    return _shown(_ended(job, clips) if job else EMPTY_STAGE, busy=False, clips=clips)


def _ended(job: JobView, clips: list[ClipView]) -> str:
    made = next((clip for clip in clips if clip.id == job.clip_id), None)
    if job.state == "done" and made is not None:
        return clip_stage(made)
    if job.state == "cancelled":
        return refusal_card("Nothing was kept.", title="Cancelled")
    return refusal_card(job.message or "Something went wrong on our side; nothing was kept. Try again.")


def _shown(
    stage: str, *, busy: bool, job_id: str | None = None, clips: list[ClipView] | None = None
) -> tuple[Any, ...]:
    """Stage, the two buttons, the list of clips, the job under way, and whether to look again."""
    listed = gr.skip() if clips is None else theme.flat(clip_list(clips))
    buttons = gr.update(interactive=not busy), gr.update(visible=busy)
    return theme.flat(stage), *buttons, listed, job_id, gr.update(active=busy)
