"""A table of clips to make, CSV or JSONL: a row says what `vasa speak` is told, a mistake is named by line and column.

Columns are named like the options of `vasa speak`; `portrait` and `sound` must be there. Files are looked for beside
the table. The whole table is read, and every mistake found, before anything is made.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import Controls
from vasa_core.errors import BadOption, BadTable
from vasa_core.landmarks import CROP_PX
from vasa_core.options import direction, emotion, turn
from vasa_core.studio import FRAME_RATES, SIZES
from vasa_core.trust.release import VIDEO_SUFFIXES

NEEDED = ("portrait", "sound")
SHOWN = 5
"""So many mistakes are named; of others only how many there are."""

YES, NO = ("yes", "true", "1"), ("no", "false", "0")

Row = tuple[int, dict[str, str]]
"""The line it stands in, from 1, and its cells by column; empty cells are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One clip to make."""

    line: int
    name: str
    """The clip becomes NAME.mp4."""
    portrait: Path
    sound: Path
    consent: Path | None = None
    language: str | None = None
    seed: int = 0
    fps: int = FRAME_RATE_HZ
    size: int = CROP_PX
    full_picture: bool = False
    controls: Controls = field(default_factory=Controls)


def read_jobs(table: Path) -> list[Job]:
    """The jobs of a table in its order, or BadTable that names what is wrong and where."""
    mistakes: list[str] = []
    jobs = [job for line, cells in _rows(table) if (job := _job(line, cells, table.parent, mistakes))]
    first_line: dict[str, int] = {}
    for job in jobs:
        if first_line.setdefault(job.name, job.line) != job.line:
            already = f"'{job.name}' is already the clip of line {first_line[job.name]}, so give it another name"
            mistakes.append(f"line {job.line}, column out: {already}")
    if mistakes:
        others = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise BadTable(f"{table}: {'; '.join(mistakes[:SHOWN])}{others}.")
    if not jobs:
        raise BadTable(f"{table} holds no jobs: write a row for each clip.")
    return jobs


# ---- rows ----------------------------------------------------------------------------------------------------------


def _rows(table: Path) -> Iterator[Row]:
    try:
        text = table.read_text(encoding="utf-8-sig")  # spreadsheets write a mark first
    except (OSError, UnicodeDecodeError) as cause:
        raise BadTable(f"{table} cannot be read as UTF-8 text ({cause}).") from None
    return _json_rows(table, text) if table.suffix.lower() in (".jsonl", ".ndjson") else _csv_rows(table, text)


def _csv_rows(table: Path, text: str) -> Iterator[Row]:
    header = text.partition("\n")[0]
    delimiter = ";" if ";" in header and "," not in header else ","  # spreadsheets of half the world
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [name.strip() for name in next(reader, [])]
    _check_columns(table, 1, columns)
    if missing := [name for name in NEEDED if name not in columns]:
        raise BadTable(f"{table}, line 1: the column {' and the column '.join(missing)} is missing.")
    for cells in reader:
        if len(cells) > len(columns):
            hint = 'put values with commas between quotes, as in "10,-5"'
            raise BadTable(f"{table}, line {reader.line_num}: {len(cells)} cells under {len(columns)} columns; {hint}.")
        row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}
        if row:  # an empty line is none
            yield reader.line_num, row


def _json_rows(table: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = dict(json.loads(line))
        except (ValueError, TypeError):
            raise BadTable(
                f'{table}, line {number}: write one JSON object, as in {{"portrait": "a.png", ...}}.'
            ) from None
        _check_columns(table, number, list(row))
        yield number, {name: _typed(value) for name, value in row.items() if value not in (None, "")}


def _typed(value: Any) -> str:
    """A JSON value as one would type it."""
    if isinstance(value, bool):
        return YES[0] if value else NO[0]
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_columns(table: Path, line: int, columns: list[str]) -> None:
    for name in columns:
        if name not in COLUMNS:
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COLUMNS)}."
            raise BadTable(f"{table}, line {line}: there is no column '{name}'; {hint}")
        if columns.count(name) > 1:
            raise BadTable(f"{table}, line {line}: the column {name} is there twice.")


# ---- cells ---------------------------------------------------------------------------------------------------------


def _job(line: int, cells: dict[str, str], folder: Path, mistakes: list[str]) -> Job | None:
    """The job of a row; None when a cell is wrong, which is then among the mistakes."""
    read: dict[str, Any] = {}
    wishes: dict[str, Any] = {}
    wrong = [f"line {line}, column {name}: it is empty" for name in NEEDED if name not in cells]
    for name, text in cells.items():
        try:
            if name in WISHES:
                wish = WISHES[name](text)
                Controls(**wish)  # here, so that what is out of range is known by its column
                wishes |= wish
            else:
                read |= PLAIN[name](text, folder)
        except BadOption as refusal:
            wrong.append(f"line {line}, column {name}: {str(refusal).rstrip('.')}")
    mistakes += wrong
    if wrong:
        return None
    name = read.pop("name", f"{read['portrait'].stem}-{read['sound'].stem}")
    return Job(line=line, name=name, controls=Controls(**wishes), **read)


def _file(text: str, folder: Path) -> Path:
    path = (folder / Path(text).expanduser()).resolve()
    if not path.is_file():
        raise BadOption(f"there is no file {path}")
    return path


def _name(text: str) -> str:
    name = text.removesuffix(VIDEO_SUFFIXES[0])
    if not name or Path(name).name != name or name.startswith(".") or "\\" in name:
        raise BadOption(f"'{text}' must be a name without folders, as in anna-01")
    return name


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadOption(f"'{text}' is no number") from None


def _whole(text: str, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise BadOption(f"'{text}' is no whole number") from None
    if not low <= number <= high:
        raise BadOption(f"{number} does not lie between {low} and {high}")
    return number


def _switch(text: str) -> bool:
    if text.lower() not in YES + NO:
        raise BadOption(f"'{text}' is neither yes nor no")
    return text.lower() in YES


def _mood(text: str) -> dict[str, Any]:
    name, intensity = emotion(text, "emotion")
    return {"emotion": name, "emotion_intensity": intensity}


MOST_SEED = 2**63 - 1

PLAIN: dict[str, Callable[[str, Path], dict[str, Any]]] = {
    "portrait": lambda text, folder: {"portrait": _file(text, folder)},
    "sound": lambda text, folder: {"sound": _file(text, folder)},
    "out": lambda text, folder: {"name": _name(text)},
    "consent": lambda text, folder: {"consent": _file(text, folder)},
    "language": lambda text, folder: {"language": text},
    "seed": lambda text, folder: {"seed": _whole(text, 0, MOST_SEED)},
    "fps": lambda text, folder: {"fps": _whole(text, *FRAME_RATES)},
    "size": lambda text, folder: {"size": _whole(text, *SIZES)},
    "full_picture": lambda text, folder: {"full_picture": _switch(text)},
}
"""Columns that are arguments of `Studio.speak`, and how their cells are read; files lie relative to a folder."""

WISHES: dict[str, Callable[[str], dict[str, Any]]] = {
    "gaze": lambda text: {"gaze": direction(text, "gaze")},
    "distance": lambda text: {"head_distance": _number(text)},
    "emotion": _mood,
    "pose": lambda text: {"pose": turn(text, "pose")},
    "energy": lambda text: {"energy": _number(text)},
    "blink_rate": lambda text: {"blink_rate": _number(text)},
    "listening": lambda text: {"listening": _switch(text)},
    "guidance_audio": lambda text: {"guidance_audio": _number(text)},
    "guidance_gaze": lambda text: {"guidance_gaze": _number(text)},
    "steps": lambda text: {"steps": _whole(text, 1, 1000)},
}
"""Columns that are wishes for the motion."""

COLUMNS = [*PLAIN, *WISHES]
