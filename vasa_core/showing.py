"""What the notebooks show with: one style of figures, pictures side by side, descriptions in words, clips, numbers.

Figures live in memory and on the page alone; nothing here writes a file. Pictures of faces carry the visible label
before they are drawn, as everything does that our decoder makes; clips come from the one door (`trust.release`).
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vasa_core.assets import FOLDER
from vasa_core.errors import BadOption, MissingExtra
from vasa_core.latents import Motion
from vasa_core.motion import Conditions, MotionTransformer
from vasa_core.portrait import Portrait
from vasa_core.render import render_frames
from vasa_core.speech import HALF_RATE_HZ, PHONES, Heard
from vasa_core.studio import Studio
from vasa_core.swift import Swift
from vasa_core.trust.label import label_for
from vasa_core.trust.release import Released

try:
    import matplotlib as mpl
    from IPython.display import display
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ModuleNotFoundError:
    raise MissingExtra("Figures need matplotlib and IPython: install this package's extra 'notebooks'.") from None

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, YELLOW, INK, PALE = "#56B4E9", "#CC79A7", "#F0E442", "#222222", "#B8B8B8"
"""Okabe and Ito's palette (2008): told apart with every common kind of colour blindness, and in print by lightness."""

CYCLE = (BLUE, ORANGE, GREEN, RED, SKY, PINK, INK)
WIDTH_IN = 9.0
DPI = 100  # 900 pixels wide
HEAVY_BYTES = 120_000
"""A figure whose PNG is larger than this is shown as JPEG."""

JPEG_QUALITY = 85
LARGEST_CLIP_BYTES = 400_000
FIGURES_MIME = "application/vnd.vasa.figures+json"
"""Numbers that a cell shows, beside their table, for whoever compares them with a report (tests/test_notebooks.py)."""

STYLE: dict[Any, Any] = {
    "figure.figsize": (WIDTH_IN, 3.6),
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.labelsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler(color={list(CYCLE)})",
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "image.cmap": "cividis",
}

Picture = UInt8[np.ndarray, "_ _ 3"]


def set_up() -> None:
    """Called once at the top of a notebook: the style, one thread for small networks, quiet native libraries."""
    mpl.rcParams.update(STYLE)
    torch.set_num_threads(1)  # two threads wait for each other on two cores
    for quiet in ("GLOG_minloglevel", "TF_CPP_MIN_LOG_LEVEL"):
        os.environ.setdefault(quiet, "3")
    if type(sys.stderr).__module__.startswith("ipykernel"):
        _silence_native_libraries()


def _silence_native_libraries() -> None:
    """MediaPipe tells every reader which delegate it made; what Python itself says reaches a notebook another way."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def described(figure: Figure, alt: str) -> None:
    """Shows the figure as a light picture with alternative text, and the same words below it to be opened; closes it.

    Say what can be seen, not what it means: axes, what rises and falls, who looks where.
    """
    if len(alt.split()) < 4:
        raise BadOption("Say in a sentence what the figure shows, for those who cannot see it.")
    kind, drawn = _drawn(figure)
    width = round(figure.get_figwidth() * DPI)
    plt.close(figure)
    # the picture's own alternative text is what page exports read; JupyterLab drops it, hence the words below
    picture = {f"image/{kind}": base64.b64encode(drawn).decode(), "text/plain": alt}
    display(picture, metadata={f"image/{kind}": {"alt": alt, "width": width}}, raw=True)
    in_words = f"<details><summary><small>in words</small></summary><small>{html.escape(alt)}</small></details>"
    display({"text/html": in_words, "text/plain": alt}, raw=True)


def _drawn(figure: Figure) -> tuple[str, bytes]:
    """The figure as PNG, or as JPEG where it is heavy or shows photographs (sliders wait for every millisecond)."""
    shown = (image.get_array() for axes in figure.axes for image in axes.get_images())
    photographs = any(pixels is not None and pixels.ndim == 3 for pixels in shown)
    if not photographs:
        drawn = _file(figure, "png", {"optimize": True})
        if len(drawn) <= HEAVY_BYTES:
            return "png", drawn
    return "jpeg", _file(figure, "jpeg", {"quality": JPEG_QUALITY, "optimize": True})


def _file(figure: Figure, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    figure.canvas.print_figure(file, format=kind, dpi=DPI, pil_kwargs=options)
    return file.getvalue()


def labelled(picture: Picture) -> Picture:
    """The picture with the visible label that everything made here carries."""
    return label_for(*picture.shape[:2]).onto(picture)


def pictures(
    frames: Sequence[Picture], titles: Sequence[str] = (), *, columns: int | None = None, cell_px: int = 256
) -> Figure:
    """Faces in a grid (one row by default), each labelled, under their titles; give the figure to `described`."""
    if not frames or (titles and len(titles) != len(frames)):
        raise BadOption(f"A grid needs pictures and a title for each or none, not {len(frames)} and {len(titles)}.")
    columns = columns or len(frames)
    rows = -(-len(frames) // columns)
    side = WIDTH_IN / max(columns, 3)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns, (side + 0.3 * bool(titles)) * rows))
    for place, at in zip(np.atleast_1d(axes).flat, range(rows * columns), strict=True):
        place.axis("off")
        if at < len(frames):
            place.imshow(_shrunk(labelled(frames[at]), cell_px))
            place.set_title(titles[at] if titles else "", fontsize=12, loc="center")
    return figure


def _shrunk(picture: Picture, cell_px: int) -> Picture:
    scale = min(1.0, cell_px / max(picture.shape[:2]))
    height, width = (round(side * scale) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def stills(studio: Studio, portrait: Portrait, moments: Sequence[Tensor] | Tensor, size: int = 256) -> list[Picture]:
    """A portrait at single moments of motion, each with its hair at rest; moments are packed motion [moment, 56]."""
    motion = Motion.unpacked(torch.stack(list(moments)))
    one_a_second = render_frames(portrait, [motion], studio.surface, size, studio.face_networks, fps=1)
    return list(one_a_second)


def cloud(place: Axes, points: Float[Tensor, "point 2"], title: str, **style: Any) -> None:
    """Points in the plane, standardised, seen always through the same window."""
    place.scatter(*points.numpy().T, **{"s": 3, "color": INK, "zorder": 3, **style})
    place.set(title=title, xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal", xticks=[], yticks=[])


def phone_roll(place: Axes, heard: Heard, until_s: float, least: float = 0.25) -> list[str]:
    """What the speech encoder believes, a row a phone and dark where it is sure; the rows' phones, from the top."""
    sure = heard.phone_logits.softmax(-1)[: int(until_s * HALF_RATE_HZ)].numpy()
    rows = [k for k in range(len(PHONES)) if sure[:, k].max() > least]
    place.imshow(sure[:, rows].T, aspect="auto", cmap="Greys", extent=(0, until_s, len(rows) - 0.5, -0.5), vmax=1)
    names = [PHONES[k] for k in rows]
    place.set_yticks(range(len(rows)), names, fontsize=9)
    place.grid(False)
    return names


def sweep(
    names: Sequence[str],
    ours: Mapping[float, Mapping[str, float]],
    papers: Mapping[float, Mapping[str, float]],
    dial: str,
) -> Figure:
    """One panel a figure, each over the truth's: what a dial does here, and in the paper where it tells."""
    figure, axes = plt.subplots(1, len(names), figsize=(WIDTH_IN, 3.2), sharey=True)
    for place, name in zip(axes, names, strict=True):
        place.axhline(1, color=PALE, lw=1.2)
        for rows, label, style in ((ours, "ours", "o-"), (papers, "paper", "s--")):
            told = {at: row[name] for at, row in rows.items() if name in row}
            place.plot(list(told), list(told.values()), style, label=label)
        place.set(title=name.replace("ratio", "over the truth's"), xlabel=dial, xticks=list(ours))
    axes[0].legend()
    return figure


def clip(released: Released, alt: str, width: int = 320) -> None:
    """Shows a clip that went through the one door, inside the page; let stills of it stand beside for readers."""
    if len(alt.split()) < 4:
        raise BadOption("Say in a sentence what the clip shows, for those who cannot see it.")
    film = released.path.read_bytes()
    if len(film) > LARGEST_CLIP_BYTES:
        raise BadOption(f"{released.path.name} has {len(film) // 1000} kB: show a shorter or smaller clip.")
    told = html.escape(alt, quote=True)
    source = f"data:video/mp4;base64,{base64.b64encode(film).decode()}"
    page = f'<video controls width="{width}" aria-label="{told}" src="{source}"></video><br><small>{told}</small>'
    display({"text/html": page, "text/plain": alt}, metadata={"text/html": {"alt": alt}}, raw=True)


def report(name: str, folder: Path = FOLDER / "reports") -> dict[str, float | None]:
    """Every number of an evaluation report that was kept: "motion" is what `vasa evaluate motion --json` wrote."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise BadOption(f"There is no report {path.name}: write it with `vasa evaluate {name} --json`.")
    return json.loads(path.read_text())


def beside_report(name: str, here: Mapping[str, float], folder: Path = FOLDER / "reports") -> None:
    """A table of numbers found here beside those of the kept report, which also carries them for machines."""
    known = report(name, folder)
    missing = sorted(set(here) - set(known))
    if missing:
        raise BadOption(f"The report {name} knows nothing of {', '.join(missing)}.")
    rows = [(figure, _told(value), _told(known[figure])) for figure, value in here.items()]
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    head = f"<tr><th>figure</th><th>here</th><th>report ({html.escape(name)}.json)</th></tr>"
    plain = "\n".join(f"{figure}: here {ours}, report {theirs}" for figure, ours, theirs in rows)
    carried = {"report": name, "figures": {figure: float(value) for figure, value in here.items()}}
    display({"text/html": f"<table>{head}{cells}</table>", "text/plain": plain, FIGURES_MIME: carried}, raw=True)


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


class Watched(Swift):
    """The motion transformer at work, looked over its shoulder: `seen` holds what went in and out of it, step by step.

    Each entry is ((noisy window, time, conditions), answer), as many of them as denoising steps were made.
    """

    def __init__(self, model: MotionTransformer) -> None:
        super().__init__(model)
        self.seen: list[tuple[tuple[Tensor, Tensor, Conditions], Tensor]] = []

    def answering(self, conditions: Conditions) -> Callable[[Tensor, Tensor, tuple[str | None, ...]], Tensor]:
        """As `Swift.answering`, remembering."""
        network = super().answering(conditions)

        def answer(noisy: Tensor, time: Tensor, without: tuple[str | None, ...]) -> Tensor:
            clean = network(noisy, time, without)
            self.seen.append(((noisy, time, conditions), clean))
            return clean

        return answer
