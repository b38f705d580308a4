"""How good the face latent space is: `vasa evaluate face`, on people nobody trained on and on portraits that are given.

Held-out sitters (held_out.py) are taken apart, put together, driven to their other frames and by each other's motion,
turned and made to grimace; what comes out is compared with the truth, or seen again through the same encoders as any
picture. Nothing is read from a file but pictures and their truth. A figure that comes from such a second look carries
its floor: what the same look says of the *true* frame, which no renderer could better.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.errors import BadOption, BadPortrait
from vasa_core.evaluate import contact_sheets, expressions
from vasa_core.evaluate.crowd import read_codes, shortened, true_factors
from vasa_core.evaluate.disentanglement import Dci, dci
from vasa_core.evaluate.face_measures import Notes, moved, note_asks, note_driven, note_self, note_transfer, note_truth
from vasa_core.evaluate.held_out import CALM, ROLES, Crowd, load_crowd, load_sitters
from vasa_core.evaluate.identity import unlikeness
from vasa_core.evaluate.subjects import ASKS, Watcher, pixel_encoder, seat, subject
from vasa_core.pictures import load_picture
from vasa_core.render import drawn
from vasa_core.surface import Surface, load_surface

HELD_OUT, PORTRAITS = "held-out", "portraits"
QUICK_SITTERS = (0, 1, 2, 3, 4, 10)
"""Five photographed, one painted."""

AT_ONCE = 2
"""Sitters a task: they drive each other."""

QUICK_CROWD = 160
CROWD_AT_ONCE = 40
PROCESSES = 2
TIMED_ROUNDS, UNTIMED = 3, 4
WORST = 5
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number with its meaning; `floor` is what the same measure says of the truth itself."""

    name: str
    value: float
    meaning: str
    bar: float | None = None
    at_least: bool = False
    floor: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every figure, what to look at first, and the matrix of importances behind the disentanglement."""

    figures: tuple[Figure, ...]
    worst: dict[str, list[str]]
    lost: tuple[str, ...]
    dci: Dci
    seconds: float

    def numbers(self) -> dict[str, float]:
        """Figures by name, each floor as `NAME_floor`; without those that could not be measured (NaN)."""
        floors = {f"{f.name}_floor": f.floor for f in self.figures if f.floor is not None}
        return {
            name: value for name, value in ({f.name: f.value for f in self.figures} | floors).items() if value == value
        }


# ---- the work, in processes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Task:
    """Work for one process: some sitters, some of the crowd, or a given portrait (driven by the first of `sitters`)."""

    sitters: tuple[int, ...] = ()
    crowd: tuple[int, ...] = ()
    portrait: Path | None = None
    sheets: Path | None = None


def tasks(quick: bool, portraits: Iterable[Path] = (), sheets: Path | None = None) -> list[Task]:
    """All work, the longest first."""
    everyone = QUICK_SITTERS if quick else tuple(range(len(_sitters())))
    pairs = [everyone[k : k + AT_ONCE] for k in range(0, len(everyone), AT_ONCE)]
    count = QUICK_CROWD if quick else len(_crowd().pictures)
    crowds = [tuple(range(k, min(k + CROWD_AT_ONCE, count))) for k in range(0, count, CROWD_AT_ONCE)]
    given = [Task(portrait=path, sitters=pairs[k % len(pairs)], sheets=sheets) for k, path in enumerate(portraits)]
    return given + [Task(sitters=pair, sheets=sheets) for pair in pairs] + [Task(crowd=part) for part in crowds]


def done(task: Task) -> Notes:
    """The notes of one task."""
    notes: Notes = defaultdict(list)
    if task.crowd:
        _crowd_notes(task, notes)
    elif task.portrait is not None:
        _portrait_notes(task, task.portrait, notes)
    else:
        _sitter_notes(task, notes)
    return dict(notes)


def _sitter_notes(task: Task, notes: Notes) -> None:
    surface, watch = _surface(), _watcher()
    seats = [seat(_sitters()[k], surface, watch) for k in task.sitters]
    for one, other in zip(seats, [*seats[1:], seats[0]], strict=True):
        note_self(one.subject, notes, HELD_OUT)
        note_truth(one, notes)
        shown = {
            "driven": (3, note_driven(one, notes)),
            "asked": (4, note_asks(one.subject, notes, HELD_OUT)),
            "transfer": (2, note_transfer(one, other.subject, notes, HELD_OUT)),
        }
        for name, (columns, frames) in shown.items():
            contact_sheets.write(task.sheets, f"{one.subject.name}-{name}", frames, columns)


def _portrait_notes(task: Task, path: Path, notes: Notes) -> None:
    surface, watch = _surface(), _watcher()
    try:
        one = subject(path.stem, load_picture(path), surface, watch)
    except BadPortrait as refusal:
        notes["lost"].append(f"{path.name}, refused: {refusal}")
        return
    driver = seat(_sitters()[task.sitters[0]], surface, watch)
    note_self(one, notes, PORTRAITS)
    contact_sheets.write(task.sheets, f"{one.name}-asked", note_asks(one, notes, PORTRAITS), 4)
    contact_sheets.write(task.sheets, f"{one.name}-transfer", note_transfer(driver, one, notes, PORTRAITS), 2)


def _crowd_notes(task: Task, notes: Notes) -> None:
    kept, codes = read_codes(_crowd(), task.crowd, pixel_encoder(), _watcher())
    notes["crowd"] += kept
    notes["lost"] += [f"crowd {frame}" for frame in task.crowd if frame not in kept]
    for name, values in codes.items():
        notes[f"crowd {name}"] += list(values)


@lru_cache(maxsize=1)
def _surface() -> Surface:
    return load_surface(assets.weights("surface.safetensors"))


@lru_cache(maxsize=1)
def _watcher() -> Watcher:
    return Watcher()


@lru_cache(maxsize=1)
def _sitters() -> list[Any]:
    return load_sitters()


@lru_cache(maxsize=1)
def _crowd() -> Crowd:
    return load_crowd()


def _become_worker() -> None:
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: one that was killed cannot tell its workers."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def gather(work: Sequence[Task], processes: int, progress: bool) -> Notes:
    """The notes of all tasks; with 0 processes they are done here, one after the other."""
    notes: Notes = defaultdict(list)
    with tqdm(total=len(work), desc="faces", disable=not progress) as bar:
        for part in _results(work, processes):
            for name, samples in part.items():
                notes[name] += samples
            bar.update()
    return notes


def _results(work: Sequence[Task], processes: int) -> Iterable[Notes]:
    if processes == 0:
        yield from map(done, work)
        return
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # read by the new processes as they start
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _become_worker)
    try:
        for future in as_completed([pool.submit(done, task) for task in work]):
            yield future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):  # or an interrupted run would finish its tasks first
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


# ---- from notes to figures -------------------------------------------------------------------------------------------


def measure(
    quick: bool,
    portraits: Path | None = None,
    sheets: Path | None = None,
    processes: int = PROCESSES,
    progress: bool = True,
) -> Report:
    """Everything, computed now."""
    start = time.perf_counter()
    given = _pictures(portraits) if portraits else []
    notes = gather(tasks(quick, given, sheets), processes, progress)
    told = _told(notes)
    found = [*_pixel_figures(notes), *_edit_figures(notes, HELD_OUT), *_identity_figures(notes, HELD_OUT)]
    found += [*_transfer_figures(notes, HELD_OUT), *_separation(told), *_cost()]
    if notes.get(f"code {PORTRAITS}"):
        found += [*_edit_figures(notes, PORTRAITS), *_identity_figures(notes, PORTRAITS)]
        found += _transfer_figures(notes, PORTRAITS)
    return Report(
        figures=tuple(found),
        worst={name.removeprefix("worst "): _worst(seen) for name, seen in notes.items() if name.startswith("worst ")},
        lost=tuple(notes["lost"]),
        dci=told,
        seconds=time.perf_counter() - start,
    )


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BadOption(f"{folder} is no folder of portraits.")
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _worst(samples: list[tuple[float, str]]) -> list[str]:
    return [f"{who} ({value:.1f} dB)" for value, who in sorted(samples)[:WORST]]


def _mean(notes: Notes, name: str, scale: float = 1.0) -> float:
    samples = notes.get(name, [])
    return scale * float(np.mean(samples)) if samples else math.nan


def _pixel_figures(notes: Notes) -> Iterable[Figure]:
    for kind, end in ((HELD_OUT, ""), (PORTRAITS, "_portraits")):
        own = notes.get(f"self psnr {kind}", [])
        if own:
            yield Figure(
                name=f"self_psnr{end}_db",
                value=float(np.mean(own)),
                bar=38,
                at_least=True,
                meaning="a portrait against itself under its own motion as read off it again, whole crop, mean, dB",
            )
            yield Figure(name=f"self_psnr{end}_worst_db", value=min(own), meaning="the worst of these, dB")
            exact = _mean(notes, f"exact psnr {kind}")
            yield Figure(name=f"self_psnr{end}_exact_db", value=exact, meaning="the same under no motion at all, dB")
    bars = {"whole": ("drive", 4.0), "mouth": ("mouth", 4.0), "eyes": ("eyes", None), "hidden": ("hidden", 5.0)}
    for region, (name, bar) in bars.items():
        ours, drawn, plain = (_mean(notes, f"{how} psnr {region}") for how in ("driven", "drawn", "warped"))
        yield Figure(
            name=f"{name}_psnr_gain_db",
            value=ours - plain,
            bar=bar,
            at_least=True,
            meaning=f"driven to another true frame, {region}: dB over warping alone, the portrait's pixels moved by "
            "the same flow (mean of frames)",
        )
        yield Figure(
            name=f"{name}_psnr_gain_drawn_db",
            value=ours - drawn,
            meaning="the same over the engine without its network: mouth and eyes drawn, the background behind",
        )
        yield Figure(name=f"{name}_psnr_db", value=ours, meaning=f"the engine there, dB (warping alone {plain:.2f})")
    yield Figure(
        name="sharpness_ratio",
        value=float(np.median(notes["sharpness"])),
        bar=0.85,
        at_least=True,
        meaning="variance of the Laplacian inside the face, driven frame over true one, median",
    )
    yield Figure(
        name="skin_place_error_px",
        value=_mean(notes, "places px"),
        floor=_mean(notes, "places px, floor"),
        bar=1.0,
        meaning="how far from its true place in the portrait visible skin is fetched, mean, px at 512",
    )
    for role in ROLES[1:]:
        yield Figure(
            name=f"skin_place_error_{role}_px", value=_mean(notes, f"places px, {role}"), meaning=f"of {role} frames"
        )
    yield Figure(
        name="surface_error_px",
        value=_mean(notes, "surface px"),
        floor=_mean(notes, "surface px, floor"),
        meaning="the surface's landmarks from the true ones in driven frames, mean, px",
    )
    yield Figure(
        name="mask_iou",
        value=_mean(notes, "mask iou"),
        bar=0.97,
        at_least=True,
        meaning="person in the driven frame against the truth, intersection over union, mean",
    )


def _edit_figures(notes: Notes, kind: str) -> Iterable[Figure]:
    end = "" if kind == HELD_OUT else "_portraits"
    floor = (lambda name, scale=1.0: _mean(notes, f"{name}, floor", scale)) if kind == HELD_OUT else lambda *_: None
    for name in ("lip", "lid"):
        parts = f"{name}s"
        yield Figure(name=f"{name}_opening_error_pct{end}", value=_mean(notes, f"{parts} opening {kind}", 100), bar=4,
                     floor=floor(f"{parts} opening", 100),
                     meaning=f"{name} opening seen in the rendered frame against the one asked, mean, % of the eye "
                     "distance")  # fmt: skip
        shut = notes.get(f"shut {parts} {kind}", [])
        yield Figure(
            name=f"closed_{name}s_pct{end}",
            value=100 * float(np.percentile(shut, 95)) if shut else math.nan,
            bar=4,
            floor=floor(f"shut {parts}", 100),
            meaning=f"{name}s asked to be closed: opening seen, 95th percentile, % of the eye distance",
        )
    scale = expressions.ranges(np.array(notes["change"]))
    leak = 100 * np.abs(np.array(notes[f"pose edit {kind}"])).mean(0) / scale
    true_leak = 100 * np.abs(np.array(notes["pose edit, floor"])).mean(0) / scale
    yield Figure(
        name=f"pose_edit_expression_leak_pct{end}",
        value=float(leak.mean()),
        bar=5,
        floor=float(true_leak.mean()) if not end else None,
        meaning="turns of 25 and 15 degrees alone: change of the expression seen, mean, % of each number's range",
    )
    for group, names in expressions.GROUPS.items():
        chosen = [expressions.NAMES.index(name) for name in names]
        yield Figure(
            name=f"pose_edit_{group}_leak_pct{end}",
            value=float(leak[chosen].mean()),
            floor=float(true_leak[chosen].mean()) if not end else None,
            meaning=f"of {group}",
        )
    yield Figure(
        name=f"expression_edit_pose_leak_deg{end}",
        value=_mean(notes, f"expression edit deg {kind}"),
        bar=1,
        floor=floor("expression edit deg"),
        meaning="expressions and gaze alone: change of the head pose seen, mean, degrees",
    )
    yield Figure(
        name=f"pose_error_deg{end}",
        value=_mean(notes, f"pose off {kind}"),
        floor=floor("pose off"),
        meaning="turns alone: pose seen against the pose asked, mean, degrees",
    )
    for what in ("size", "place"):
        yield Figure(
            name=f"{what}_wobble_pct{end}",
            value=_mean(notes, f"{what} wobble {kind}", 100),
            bar=0.5,
            floor=floor(f"{what} wobble", 100),
            meaning=f"{what} of the head (bone landmarks) while only the expression changes, mean, %"
            + (" of the picture" if what == "place" else ""),
        )


def _identity_figures(notes: Notes, kind: str) -> Iterable[Figure]:
    end = "" if kind == HELD_OUT else "_portraits"
    people = list(combinations(notes[f"who {kind}"], 2))
    between = float(np.mean([unlikeness(a, b) for a, b in people])) if people else math.nan
    yield Figure(
        name=f"identity_drift_ratio{end}",
        value=_mean(notes, f"unlike {kind}") / between,
        bar=0.15,
        floor=_mean(notes, "unlike, floor") / between if not end else None,
        meaning="identity seen in twelve poses and expressions from the portrait's, mean, over the mean distance "
        "between people, in the numbers that tell people apart best (how well: MODEL_CARD.md)",
    )
    codes = list(combinations(notes[f"code {kind}"], 2))
    between = float(np.mean([np.linalg.norm(a - b) for a, b in codes])) if codes else math.nan
    yield Figure(
        name=f"identity_code_drift_ratio{end}",
        value=_mean(notes, f"drift {kind}") / between,
        floor=_mean(notes, "drift, floor") / between if not end else None,
        meaning="the same of the plain identity code, in which every coordinate counts alike",
    )


def _transfer_figures(notes: Notes, kind: str) -> Iterable[Figure]:
    end = "" if kind == HELD_OUT else "_portraits"
    asked, shown, encoded = (np.array(notes[f"{name} {kind}"]) for name in ("asked", "shown", "encoded"))
    found, floors = expressions.correlations(asked, shown), expressions.correlations(asked, encoded)
    lowest = min(found, key=lambda group: found[group])
    yield Figure(
        name=f"transfer_corr_min{end}",
        value=found[lowest],
        bar=0.95,
        at_least=True,
        floor=floors[lowest],
        meaning=f"motion of A on B: A's true expression against what B's frames show, lowest group: {lowest}",
    )
    for group, value in found.items():
        yield Figure(
            name=f"transfer_corr_{group}{end}",
            value=value,
            bar=0.95,
            at_least=True,
            floor=floors[group],
            meaning=f"the same for {group}: {', '.join(expressions.GROUPS[group])}",
        )


def _told(notes: Notes) -> Dci:
    frames = np.argsort(notes["crowd"])
    kept = [notes["crowd"][k] for k in frames]
    blocks = ("identity", "pose", "expression", "gaze", "appearance")
    codes = {name: np.array(notes[f"crowd {name}"])[frames] for name in blocks}
    crowd, surface = _crowd(), _surface()
    person = np.unique(crowd.person[kept], return_inverse=True)[1]
    factors = true_factors(crowd.truth, kept, surface)
    return dci(shortened(codes, surface), factors, person, np.random.default_rng(0))


def _separation(told: Dci) -> Iterable[Figure]:
    yield Figure(
        name="disentanglement",
        value=told.total,
        bar=0.9,
        at_least=True,
        meaning="DCI disentanglement of identity, pose, expression, gaze and appearance codes on true factors",
    )
    for block, value in zip(told.blocks, told.disentanglement, strict=True):
        yield Figure(name=f"disentanglement_{block}", value=float(value), meaning=f"of the {block} code alone")
    for k, factor in enumerate(told.factors):
        yield Figure(
            name=f"completeness_{factor}",
            value=float(told.completeness[k]),
            meaning=f"one block alone tells of: {factor}",
        )
        yield Figure(
            name=f"informativeness_{factor}",
            value=float(told.informativeness[k]),
            meaning=f"R^2 with which all codes tell of unseen people: {factor}",
        )


def _cost() -> Iterable[Figure]:
    """Time of a frame here, as a clip is made, and the network's work counted from its layers."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    one = subject("cost", _sitters()[0].pictures[CALM], _surface(), _watcher())
    motions = [moved(one, ask.motion(one.surface)) for ask in ASKS] * TIMED_ROUNDS
    mending = one.decoder.mending
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        if mending:  # counted as trained: eight-bit layers are not seen by the counter
            mending.network.heads(torch.from_numpy(mending.told)[None].movedim(-1, 1))
    weights = sum(path.stat().st_size for path in (assets.FOLDER / "weights").iterdir())
    yield Figure(
        name="decoder_ms",
        value=1000 * float(np.median(_seconds(one.decoder, motions))),
        bar=35,
        meaning="one 512 frame of a clip, all geometry included, median, ms",
    )
    yield Figure(
        name="decoder_gflop",
        value=counter.get_total_flops() / 1e9,
        bar=6,
        meaning="floating-point operations of the networks a frame, counted from their layers, 10^9",
    )
    yield Figure(name="weights_mb", value=weights / 1e6, bar=40, meaning="all weight files, 10^6 bytes")


def _seconds(decoder: Decoder, motions: Sequence[Motion]) -> list[float]:
    """From frame to frame of a clip; the first few are not counted. One thread for the network, as in `studio`."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ticks = [time.perf_counter() for _ in drawn(decoder, ((pose, dynamics, pose) for pose, dynamics in motions))]
    finally:
        torch.set_num_threads(before)
    return list(np.diff(ticks)[UNTIMED:])


# ---- as text ---------------------------------------------------------------------------------------------------------


def table(report: Report) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | value | floor | bar | met | meaning |", "|---|---|---|---|---|---|"]
    for figure in report.figures:
        floor = "" if figure.floor is None else f"{figure.floor:.3g}"
        bar = "" if figure.bar is None else f"{'≥' if figure.at_least else '≤'} {figure.bar:g}"
        met = {None: "", True: "yes", False: "**no**"}[figure.met]
        lines.append(f"| `{figure.name}` | {figure.value:.4g} | {floor} | {bar} | {met} | {figure.meaning} |")
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """The whole report."""
    told = report.dci
    rows = [
        f"| {block} | " + " | ".join(f"{value:.3f}" for value in row) + f" | {own:.2f} |"
        for block, row, own in zip(told.blocks, told.importance, told.disentanglement, strict=True)
    ]
    worst = [f"- {region}: {', '.join(names)}" for region, names in report.worst.items()]
    return "\n".join(
        [
            "# The face latent space, measured",
            "",
            f"`vasa evaluate face`, {report.seconds:.0f} s.",
            "",
            "A floor is what the same measure says of the true frames themselves.",
            "",
            table(report),
            "",
            "## Which code tells of which factor",
            "",
            f"| code | {' | '.join(told.factors)} | disentanglement |",
            "|---" * (len(told.factors) + 2) + "|",
            *rows,
            "",
            "## Worst driven frames",
            "",
            *worst,
            "",
            f"No face was seen again in: {', '.join(report.lost) or 'none'}.",
            "",
        ]
    )


def write(report: Report, folder: Path) -> None:
    """report.md and report.json in the folder; contact sheets are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(report))
    (folder / "report.json").write_text(json.dumps(report.numbers(), indent=2) + "\n")
