"""The command line: `vasa speak`, `vasa batch`, `vasa reenact`, `vasa look`, `vasa bench`, `vasa consent-template`.

Every refusal is one sentence on stderr, `vasa: ...`, with the exit code of its class (errors.py); 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from vasa_core import app_commands, trust_commands
from vasa_core.errors import INTERRUPTED, Stopped, VasaError
from vasa_core.options import degrees, direction, turn, weights
from vasa_core.options import emotion as mood

if TYPE_CHECKING:
    from vasa_core.studio import Studio
    from vasa_core.trust.release import Released

DEBUG = "VASA_DEBUG"
"""Set in the environment, it lets tracebacks and the libraries' own log lines through."""

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(app_commands.app, name="app")
app.add_typer(trust_commands.consent, name="consent")
app.add_typer(trust_commands.audit, name="audit")
evaluate = typer.Typer(no_args_is_help=True, help="Measure what was promised.")
app.add_typer(evaluate, name="evaluate")

Portrait = Annotated[Path, typer.Argument(help="Picture of one face: JPEG, PNG, WebP or HEIC.", metavar="PORTRAIT")]
Consent = Annotated[
    Path | None, typer.Option(help="Consent statement of the person shown; needed unless the portrait is one of ours.")
]
FullPicture = Annotated[bool, typer.Option("--full-picture", help="Put the moving head back into the whole portrait.")]
Size = Annotated[int, typer.Option(help="Side of the square picture in pixels.")]
Device = Annotated[str, typer.Option(help="Where frames are made: cpu, or cuda on a graphics card.")]


@app.command()
def speak(
    portrait: Portrait,
    audio: Annotated[Path, typer.Argument(help="Any sound file, or a video with sound.", metavar="AUDIO")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The video to write, .mp4.")],
    seed: Annotated[int, typer.Option(help="Another seed, another performance of the same sentence.")] = 0,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 25,
    gaze: Annotated[str, typer.Option(help="Main gaze in degrees: yaw (> 0 to the right),pitch (> 0 down).")] = "0,0",
    distance: Annotated[float, typer.Option(help="Head distance as a ratio: 1.2 is a fifth farther away.")] = 1.0,
    emotion: Annotated[str, typer.Option(help="Mood, with intensity if wanted: happy or happy:0.5.")] = "neutral",
    pose: Annotated[str, typer.Option(help="Turn added to the head's own movement: yaw,pitch,roll degrees.")] = "0,0,0",
    energy: Annotated[float, typer.Option(help="Size of head movements; 0 holds the head still.")] = 1.0,
    blink_rate: Annotated[
        float, typer.Option(help="Blinks relative to the natural rate; 0 keeps the eyes open.")
    ] = 1.0,
    listening: Annotated[
        bool, typer.Option("--listening", help="The voice is somebody else's: closed lips, nods, eyes on the speaker.")
    ] = False,
    guidance_audio: Annotated[float, typer.Option(help="How strictly lips and head follow the sound; 0 is off.")] = 0.5,
    guidance_gaze: Annotated[float, typer.Option(help="How strictly eyes follow a --gaze other than 0,0.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Denoising steps per window.")] = 10,
    size: Size = 512,
    full_picture: FullPicture = False,
    consent: Consent = None,
    language: Annotated[str | None, typer.Option(help="Language spoken, where a consent is limited to some.")] = None,
    wav2vec: Annotated[
        Path | None, typer.Option(help="Folder of a wav2vec 2.0 model that listens in place of our own ear.")
    ] = None,
    motion: Annotated[
        Path | None, typer.Option(help="Motion weights of yours; those for wav2vec 2.0 have to be.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Make a portrait speak a sound."""
    from vasa_core.controls import Controls
    from vasa_core.trust.release import check_output

    check_output(out)  # before anything slow
    controls = Controls(
        gaze=direction(gaze, "--gaze"),
        head_distance=distance,
        pose=turn(pose, "--pose"),
        energy=energy,
        blink_rate=blink_rate,
        listening=listening,
        guidance_audio=guidance_audio,
        guidance_gaze=guidance_gaze,
        steps=steps,
        emotion=mood(emotion, "--emotion")[0],
        emotion_intensity=mood(emotion, "--emotion")[1],
    )
    released = _studio(wav2vec, motion, device).speak(
        portrait,
        audio,
        out,
        controls,
        consent=consent,
        language=language,
        seed=seed,
        fps=fps,
        size=size,
        full_picture=full_picture,
    )
    typer.echo(summary(released))


@app.command()
def reenact(
    portrait: Portrait,
    video: Annotated[
        Path, typer.Argument(help="Video of one person who agreed to drive the portrait; its sound is kept.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The video to write, .mp4; PORTRAIT-as-VIDEO.mp4 if not said.")
    ] = None,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 25,
    size: Size = 512,
    full_picture: FullPicture = False,
    consent: Consent = None,
    language: Annotated[str | None, typer.Option(help="Language spoken, where a consent is limited to some.")] = None,
) -> None:
    """Drive a portrait by another person's video.

    The person in the video is not shown, only moved like; ask them first all the same.
    """
    from vasa_core.trust.release import check_output

    out = out or Path(f"{portrait.stem}-as-{video.stem}.mp4")
    check_output(out)  # before anything slow
    released = _studio().reenact(
        portrait, video, out, consent=consent, language=language, fps=fps, size=size, full_picture=full_picture
    )
    typer.echo(summary(released))


@app.command()
def look(
    portrait: Portrait,
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to write: .png, .jpg or .webp.")],
    yaw: Annotated[float, typer.Option(help="Turn the head, degrees; > 0 to the right.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Nod the head, degrees; > 0 down.")] = 0.0,
    roll: Annotated[float, typer.Option(help="Tilt the head, degrees.")] = 0.0,
    gaze: Annotated[str, typer.Option(help="Eyes in degrees: yaw (> 0 to the right),pitch (> 0 down).")] = "0,0",
    expression: Annotated[str, typer.Option(help="Weights of named expressions: jawOpen=0.3,mouthSmile=0.5")] = "",
    size: Size = 512,
    full_picture: FullPicture = False,
    consent: Consent = None,
) -> None:
    """Show a portrait in one pose."""
    from vasa_core.trust.release import STILL_SUFFIXES, check_output

    check_output(out, STILL_SUFFIXES)
    released = _studio().release_look(
        portrait,
        out,
        consent=consent,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        gaze=degrees(gaze, "--gaze"),
        expression=weights(expression, "--expression"),
        size=size,
        full_picture=full_picture,
    )
    typer.echo(released.path)


@app.command()
def batch(
    jobs: Annotated[Path, typer.Argument(help="Table of clips, .csv or .jsonl: a row for each.", metavar="JOBS")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the clips; one that all machines share.")],
    workers: Annotated[int, typer.Option(help="So many clips at a time; more than one needs Ray.")] = 1,
    address: Annotated[str | None, typer.Option(help="A Ray cluster to work on, as in HOST:6379 or auto.")] = None,
    wav2vec: Annotated[Path | None, typer.Option(help="Folder with wav2vec 2.0 to listen with, as in speak.")] = None,
    motion: Annotated[Path | None, typer.Option(help="Motion weights of yours.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda: a graphics card for each worker.")] = "cpu",
) -> None:
    """Make many clips from a table; the same command goes on where it was stopped."""
    from vasa_core.batch import SUMMARY, check, make, prepared
    from vasa_core.jobs import read_jobs

    work = prepared(read_jobs(jobs), out, wav2vec, motion, device)
    try:
        outcome = make(work, workers, address)
    except KeyboardInterrupt:
        raise Stopped("stopped; finished clips are kept, and the same command goes on from there.") from None
    typer.echo(f"{outcome.sentence()}: {out / SUMMARY}")
    check(outcome)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A shorter stream: done within 50 s.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
    compare: Annotated[Path | None, typer.Option("--compare", help="Show ratios to an earlier --json.")] = None,
    device: Device = "cpu",
    pack: Annotated[
        Path | None, typer.Option(help="Folder to write what a machine with a graphics card needs to be measured.")
    ] = None,
) -> None:
    """Measure how fast this machine is."""
    from vasa_core.bench import measure, measure_card, pack_for_card, read_earlier, report, write_figures

    if pack or device != "cpu":
        typer.echo(pack_for_card(pack) if pack else measure_card(device, quick, json_file))
        return
    before = read_earlier(compare) if compare else None
    figures = measure(quick)
    if json_file:
        write_figures(figures, json_file)
    typer.echo(report(figures, before))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A picture or a video.", metavar="FILE")],
) -> None:
    """Tell what marks of this studio a file carries. Exit code: 0 found and whole, 20 none, 21 tampered."""
    from vasa_core.trust.house import House
    from vasa_core.trust.verify import examine

    findings = examine(file, House.at())
    typer.echo("\n".join(findings.sentences))
    raise typer.Exit(findings.exit_code)


@evaluate.command()
def marks(
    quick: Annotated[bool, typer.Option("--quick", help="Three clips and few searches: under a minute.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure how well label, watermark and credentials hold, on clips made for it."""
    import json

    from vasa_core.evaluate.marks import measure, report

    figures = measure(quick)
    typer.echo(report(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


@evaluate.command("motion")
def motion_judges(
    quick: Annotated[bool, typer.Option("--quick", help="One seed, few frames: under a minute.")] = False,
    people: Annotated[Path | None, typer.Option(help="A folder of recorded utterances to judge besides ours.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report there: Markdown, JSON and plots.")] = None,
) -> None:
    """Measure how good the motion is: sync, head, blinks, gaze, moods, rest and speed, by judges of our own."""
    from vasa_core.evaluate.motion import measure
    from vasa_core.evaluate.motion_report import lines, write_json, write_report

    findings = measure(quick, people)
    typer.echo(lines(findings))
    if json_file is not None:
        write_json(findings, json_file)
    if out is not None:
        typer.echo(write_report(findings, out))


@evaluate.command("consent")
def consent_checks(
    quick: Annotated[bool, typer.Option("--quick", help="Four portraits, one phrase a voice: under a minute.")] = False,
    photos: Annotated[Path | None, typer.Option(help="A folder of portraits to measure besides ours.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure how well a photo, and a phrase that was said, are known again."""
    import json

    from vasa_core.evaluate.consent import measure, report

    figures = measure(quick, photos)
    typer.echo(report(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


@evaluate.command("face")
def face_space(
    quick: Annotated[
        bool, typer.Option("--quick", help="Six sitters, most of the crowd: under 50 s on two cores.")
    ] = False,
    portraits: Annotated[Path | None, typer.Option(help="A folder of portraits to measure besides our own.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.md, report.json and contact sheets.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure the face latent space on held-out people: put together, driven, edited, taken apart."""
    import json

    from vasa_core.evaluate.face import measure, table, write

    report = measure(quick, portraits, out)
    typer.echo(table(report))
    typer.echo(f"{report.seconds:.0f} s")
    if out is not None:
        write(report, out)
    if json_file is not None:
        json_file.write_text(json.dumps(report.numbers(), indent=2) + "\n")


@evaluate.command("peer")
def beside_a_peer(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each; figures are medians.")] = 2,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure our frame beside networks of the size of LivePortrait's: time only, random weights. Two minutes."""
    from vasa_core.evaluate.peer import measure, report, write

    found = measure(rounds)
    typer.echo(report(found))
    if json_file is not None:
        write(found, json_file)


@app.command()
def consent_template(
    portrait: Annotated[Path | None, typer.Argument(help="Bind the statement to this picture.")] = None,
) -> None:
    """Print a consent statement to fill in."""
    from vasa_core.pictures import load_picture
    from vasa_core.trust.consent import template

    if portrait is not None:
        load_picture(portrait)  # a statement about a file that is no picture would help nobody
    typer.echo(template(portrait), nl=False)


def summary(released: Released) -> str:
    """What was made and where the time went, for people."""
    seconds = released.seconds
    total = sum(seconds.values())
    shares = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in seconds.items())
    return (
        f"{released.path}: {released.duration_s:.2f} s, {released.frames} frames,"
        f" {released.frames / total:.1f} frames a second\n{total:.1f} s: {shares}"
    )


# ---- running ------------------------------------------------------------------------------------------------------


def _studio(wav2vec: Path | None = None, motion: Path | None = None, device: str = "cpu") -> Studio:
    from vasa_core.studio import Studio

    ask = _ask if sys.stdin.isatty() and sys.stderr.isatty() else None
    return Studio(ask=ask, wav2vec=wav2vec, motion=motion, device=device)


def _ask(question: str) -> str:
    print(f"{question}\n> ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def _hush_native_logs() -> None:
    """MediaPipe's C++ parts write notes about themselves to file descriptor 2; Python's stderr moves away from it."""
    sys.stderr.flush()
    ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = ours


def _stop(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run() -> int:
    try:
        code = app(prog_name="vasa", standalone_mode=False) or 0
        return _complain("stopped; nothing was written.", code) if code == INTERRUPTED else code
    except VasaError as refusal:
        return _complain(str(refusal), refusal.exit_code)
    except typer.TyperException as usage:
        return _complain(usage.format_message(), usage.exit_code)
    except typer.Abort:  # the end of what is typed in, where something was asked
        return _complain("stopped; nothing was written.", INTERRUPTED)
    except Exception as fault:
        if os.environ.get(DEBUG):
            raise
        return _complain(f"something went wrong inside ({type(fault).__name__}: {fault}); {DEBUG}=1 shows where.", 1)


def _complain(sentence: str, code: int) -> int:
    print(f"vasa: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def main() -> None:
    """The `vasa` command."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its idle threads spin and take the network's core
    signal.signal(signal.SIGTERM, _stop)  # stopped like Ctrl-C: unfinished files are removed
    if not os.environ.get(DEBUG):
        _hush_native_logs()
    code = _run()
    if code == INTERRUPTED and "ray" not in sys.modules:
        # all is tidied up; threads stopped in the middle of a computation may abort an interpreter that winds down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
