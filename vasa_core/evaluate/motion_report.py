"""The report of `vasa evaluate motion`: one Markdown page, one JSON file, and plots, from findings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vasa_core.controls import EMOTIONS
from vasa_core.errors import MissingExtra
from vasa_core.evaluate.asking import INTENSITIES
from vasa_core.evaluate.dials import MANY, SUMMARY, TOLERANCE, holds
from vasa_core.evaluate.figures import REAL_OPENING, Estimate
from vasa_core.evaluate.findings import Figure, Findings
from vasa_core.evaluate.speaking import SCALES, SHIFTS
from vasa_core.evaluate.sync import REACH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GENERATED, PERFORMED = "#c2410c", "#1d4ed8"

JUDGES = (
    ("S_C, S_D, offset", "`sync`", "distance of sound and lips moved by up to 15 frames: least (S_D), median less "
     "least (S_C), where it is least", "SyncNet, Chung and Zisserman 2016; Perfect match, Chung 2019"),
    ("CAPP", "`capp`", "cosine of 3 s of sound and of head turns; falls as the head is moved against the sound",
     "VASA-1, section 4.2 and tables 3 and 4"),
    ("ΔP", "`head`", "mean change of yaw, pitch and roll from frame to frame, degrees", "VASA-1, section 4.2"),
    ("closures", "`lips`", "P, B, M with an opening under 15 % of the clip's 95th percentile within 60 ms; chance: the "
     "share of random moments of speech that would pass", "62 clips of real people"),
    ("lip shapes", "`lips`", "median opening at each class of phones, rank correlation with real people's",
     "46 clips of real people, MediaPipe"),
    ("rounding", "`lips`", "lips' mean width at unrounded vowels less that at UW, UH, OW, AO, W and OY; correlation of "
     "their width over time with one performance's", "our own"),
    ("rest", "`lips`", "lips closed in pauses from half a second on", "users of peers"),
    ("blinks, gaze, every band", "`world.measures`", "blinks under 82 % of the open lid, saccades, fixations, spectra "
     "beside the band of real people", "62 clips of real people; Bentivoglio 1997"),
    ("E_g, E_d", "`asking`, `seen`", "densest gaze and mean distance off rendered frames, less what was asked",
     "VASA-1, table 5"),
    ("moods", "`emotion`", "which of eight a classifier sees in frames of sitters it does not know", "our own"),
    ("diversity", "`life`", "root mean square between seeds of one line", "VASA-1, section 4"),
    ("Fréchet", "`figures`", "between normal distributions of curves and their change a frame: all, head, lips, eyes",
     "Dowson and Landau 1982; FVD, Unterthiner 2018, on pixels"),
    ("ten steps", "`dials`", "what 10 steps lose of 50's figures, all lines and seeds, in every draw the same on both "
     "sides", "VASA-1, table 5"),
)  # fmt: skip
"""What is judged, where in `vasa_core.evaluate`, by which definition, after whom."""


def lines(findings: Findings) -> str:
    """The figures as a table for the terminal."""
    head = f"{'figure':34}{'generated':>28}{'truth':>10}   {'bar':14}"
    return "\n".join([head, *(_line(figure) for figure in findings.figures)])


def _line(figure: Figure) -> str:
    truth = f"{figure.truth.value:10.3g}" if figure.truth else " " * 10
    verdict = {True: "reached", False: "MISSED", None: ""}[figure.reached]
    return f"{figure.name:34}{_told(figure.ours):>28}{truth}   {figure.bar:14}{verdict}"


def _told(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.value:.3g}"
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def write_json(findings: Findings, path: Path) -> None:
    """Every number by its name; what could not be measured is null."""
    numbers = {k: None if math.isnan(v) else v for k, v in findings.flat().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(numbers, indent=1) + "\n")


def write_report(findings: Findings, folder: Path) -> Path:
    """`report.md`, `report.json` and the plots in this folder; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(findings, folder / "report.json")
    pictures = [name for name, draw in PLOTS.items() if _plotted(findings, folder / f"{name}.png", draw)]
    page = [
        "# Motion, judged",
        "",
        "Intervals: 95 of 100 bootstrap draws over clips. Truth: the same sounds performed by the training world. The",
        "paper's numbers come from other judges, people and pictures: for orientation.",
        "",
        "| figure | generated | truth | bar | reached | paper |",
        "|---|---|---|---|---|---|",
        *(_row(figure) for figure in findings.figures),
        "",
        *(f"- {note}" for note in findings.notes),
        *_tables(findings),
        "| judged | where | definition | source |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in JUDGES),
        "",
        *(f"![{name}]({name}.png)" for name in pictures),
        "",
    ]
    path = folder / "report.md"
    path.write_text("\n".join(page))
    return path


def _row(figure: Figure) -> str:
    truth = _told(figure.truth) if figure.truth else "–"
    verdict = {True: "yes", False: "**no**", None: ""}[figure.reached]
    what = f"{figure.what} (`{figure.name}`)"
    return f"| {what} | {_told(figure.ours)} | {truth} | {figure.bar} | {verdict} | {figure.paper} |"


def _tables(findings: Findings) -> list[str]:
    page = []
    for name, dial in (("steps", "steps"), ("audio_guidance", "λ_A")):
        if name in findings.curves:
            page += ["", f"| {dial} | " + " | ".join(SUMMARY) + " |", "|---" * (len(SUMMARY) + 1) + "|"]
            page += ["| " + " | ".join(f"{value:.3g}" for value in row) + " |" for row in findings.curves[name]]
    if "gaze_guidance" in findings.curves:
        page += ["", "| λ_g | E_g of the motion, degrees |", "|---|---|"]
        page += [f"| {dial:g} | {error:.2f} |" for dial, error in findings.curves["gaze_guidance"]]
    if "ten_over_fifty" in findings.curves:
        page += ["", f"| figure | 10 steps | {MANY} steps | lost of it | kept |", "|---|---|---|---|---|"]
        for name, (few, many, *lost) in zip(SUMMARY, findings.curves["ten_over_fifty"], strict=True):
            loss = Estimate(value=lost[0], low=lost[1], high=lost[2])
            kept = "yes" if loss.value <= TOLERANCE else "cannot be told" if holds(loss) else "**no**"
            page.append(f"| {name} | {few:.3g} | {many:.3g} | {_told(loss)} | {kept} |")
    if findings.bands:
        page += ["", "| measure | generated | performed | band | in it | real people |", "|---|---|---|---|---|---|"]
        for name, ours, truth, low, high, real in findings.bands:
            inside = "yes" if low <= ours <= high else "**no**"
            page.append(f"| {name} | {ours:.3g} | {truth:.3g} | {low:g} – {high:g} | {inside} | {real} |")
    return [*page, ""]


# --------------------------------------------------------------------------- plots


def _plotted(findings: Findings, path: Path, draw: Callable[[Findings, Axes], bool]) -> bool:
    try:
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError:
        raise MissingExtra("Plots need matplotlib: install this package's extra 'notebooks'.") from None
    canvas = Canvas(figsize=(6, 3.6), layout="constrained")
    if not draw(findings, canvas.subplots()):
        return False
    canvas.savefig(path, dpi=110)
    return True


def _two(axes: Axes, x: object, curves: list[list[float]], title: str, xlabel: str, ylabel: str) -> bool:
    for curve, name, colour in zip(curves, ("generated", "performed"), (GENERATED, PERFORMED), strict=True):
        axes.plot(x, curve, "o-", ms=3, color=colour, label=name)  # type: ignore[arg-type]
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.legend()
    return True


def _sync(findings: Findings, axes: Axes) -> bool:
    curves = findings.curves.get("sync_offsets")
    x = np.arange(-REACH, REACH + 1)
    return bool(curves) and _two(axes, x, curves or [], "sound against lips", "offset of the lips (frames)", "distance")


def _capp_shift(findings: Findings, axes: Axes) -> bool:
    curves = findings.curves.get("capp_shift")
    if curves:
        axes.plot(range(4), (0.608, 0.462, 0.206, 0.069), ":", color="grey", label="paper, its judge")
    return bool(curves) and _two(
        axes, SHIFTS, curves or [], "head moved against the sound", "frames, mean of ±", "CAPP"
    )


def _capp_scale(findings: Findings, axes: Axes) -> bool:
    curves = findings.curves.get("capp_scale")
    axes.set_xscale("log")
    return bool(curves) and _two(axes, SCALES, curves or [], "turns scaled", "times as large", "CAPP")


def _phones(findings: Findings, axes: Axes) -> bool:
    curves = findings.curves.get("phone_openings")
    if curves:
        axes.plot(list(REAL_OPENING), list(REAL_OPENING.values()), "s--", color="grey", label="real people")
        axes.tick_params(axis="x", rotation=30)
    return bool(curves) and _two(axes, list(REAL_OPENING), curves or [], "lip opening by phone class", "", "of the p95")


def _gaze(findings: Findings, axes: Axes) -> bool:
    rows = findings.curves.get("controls", [])
    for yaw, pitch, seen_yaw, seen_pitch, *_ in rows:
        axes.annotate("", (seen_yaw, seen_pitch), (yaw, pitch), arrowprops={"arrowstyle": "->", "color": GENERATED})
        axes.plot(yaw, pitch, "o", color=PERFORMED, ms=4)
        axes.plot(seen_yaw, seen_pitch, ".", color=GENERATED)
    axes.invert_yaxis()
    axes.set(title="gaze: asked (dot) to seen (arrow's end)", xlabel="yaw (degrees)", ylabel="pitch")
    return bool(rows)


def _dial(findings: Findings, axes: Axes) -> bool:
    if "emotion_dial" not in findings.curves:
        return False
    for curve, name in zip(findings.curves["emotion_dial"], EMOTIONS[1:], strict=True):
        axes.plot(INTENSITIES, curve, "o-", ms=3, label=name)
    axes.set(title="moods turned up", xlabel="intensity asked for", ylabel="logit over a plain face")
    axes.legend(fontsize=7)
    return True


def _confusion(findings: Findings, axes: Axes) -> bool:
    if not findings.confusion:
        return False
    axes.imshow(findings.confusion, cmap="Oranges")
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=40)
    axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
    axes.set(title="moods: asked (row), seen (column)")
    return True


def _dials(name: str, title: str) -> Callable[[Findings, Axes], bool]:
    def draw(findings: Findings, axes: Axes) -> bool:
        rows = np.array(findings.curves.get(name, []))
        if not len(rows):
            return False
        for at in (0, 1, 2, 3):
            axes.plot(rows[:, 0], rows[:, at + 1], "o-", ms=3, label=SUMMARY[at])
        axes.set(title=title, xlabel=title)
        axes.legend(fontsize=7)
        return True

    return draw


PLOTS: dict[str, Callable[[Findings, Axes], bool]] = {
    "sync_offsets": _sync,
    "capp_shift": _capp_shift,
    "capp_scale": _capp_scale,
    "phones": _phones,
    "gaze": _gaze,
    "emotion_dial": _dial,
    "emotion_confusion": _confusion,
    "steps": _dials("steps", "denoising steps"),
    "audio_guidance": _dials("audio_guidance", "λ_A"),
}
