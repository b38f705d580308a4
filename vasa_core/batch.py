"""Many clips from a table of jobs, here or on a cluster: `vasa batch JOBS --out DIR`.

Each job goes through the one door as `vasa speak` does. Beside the clips, `records` keeps a small file for each job: a
clip is not made again while its table row, the contents of its files, our weights and the clip itself are what they
were. A job that fails has its sentence in the record and in `summary.csv`, and harms no other.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from vasa_core import assets, cluster
from vasa_core.errors import BadOption, SomeFailed, VasaError
from vasa_core.jobs import Job
from vasa_core.studio import Studio
from vasa_core.trust.consent import file_sha256
from vasa_core.trust.house import HOME, House
from vasa_core.trust.release import clear_unfinished, software

RECORDS, SUMMARY = "records", "summary.csv"
WEIGHTS = ("surface.safetensors", "face.safetensors", "speech.safetensors", "motion.safetensors")
CPU = "cpu"
BEGUN, MADE, FAILED, WAITING = "begun", "made", "failed", "waiting"
MOST_TRIES = 2
"""A job that ends its worker, say for want of memory, is tried so often in one run, or it would be for ever."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
OURS = "VASA_"
"""Settings of ours in the environment begin so; every worker gets them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What became of a job; `key` stands for all that decides its clip, `run` for the run that did it."""

    name: str
    line: int = 0
    status: str = WAITING
    key: str = ""
    sha256: str = ""
    frames: int = 0
    duration_s: float = 0.0
    spent_s: float = 0.0
    error: str = ""
    run: str = ""
    tries: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a run did: a record of every job in the table's order, and how many clips were there already."""

    records: tuple[Record, ...]
    kept: int

    def count(self, status: str) -> int:
        """How many jobs ended so."""
        return sum(record.status == status for record in self.records)

    @property
    def failures(self) -> list[Record]:
        """The jobs that failed."""
        return [record for record in self.records if record.status == FAILED]

    def sentence(self) -> str:
        """What happened, for people."""
        made = self.count(MADE) - self.kept
        left = f", {waiting} not made" if (waiting := self.count(WAITING)) else ""
        return f"{made} made, {self.kept} there already, {len(self.failures)} failed{left}, of {len(self.records)}"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Jobs, the folder their clips go to, and the hash of each; sent whole to every worker."""

    jobs: tuple[Job, ...]
    folder: Path
    keys: tuple[str, ...]
    run: str
    equipment: dict[str, Path | str]
    """Arguments of `Studio` that are not the usual ones: wav2vec, motion, device."""

    def studio(self, house: House | None = None) -> Studio:
        """A studio for these jobs; nobody is there to be asked for consent."""
        kept: dict[str, Any] = {**self.equipment} | ({"house": house} if house else {})
        return Studio(**kept)

    def clip(self, number: int) -> Path:
        """The file of a job's clip."""
        return self.folder / f"{self.jobs[number].name}.mp4"

    def kept(self, number: int) -> Record | None:
        """The record of a job, whatever came of it."""
        return _read(_record_path(self.folder, self.jobs[number]))

    def finished(self, number: int) -> bool:
        """Whether a job's clip is there and what it should be, by content."""
        record, clip = self.kept(number), self.clip(number)
        if record is None or record.status != MADE or record.key != self.keys[number]:
            return False
        return clip.is_file() and file_sha256(clip) == record.sha256

    def carry_out(self, number: int, studio: Studio) -> Record:
        """Makes the clip of a job and its record. What goes wrong is in the record; only an interruption is raised."""
        job, before = self.jobs[number], self.kept(number)
        tries = 1 + (before.tries if before and before.status == BEGUN and before.run == self.run else 0)
        record = Record(
            name=job.name,
            line=job.line,
            status=BEGUN,
            key=self.keys[number],
            run=self.run,
            tries=min(tries, MOST_TRIES),
        )
        self._keep(record)
        if tries > MOST_TRIES:
            died = f"Its worker died {MOST_TRIES} times: see whether memory is short, then run the same command again."
            return self._keep(replace(record, status=FAILED, error=died))
        begun = time.perf_counter()
        try:
            record = replace(record, status=MADE, **self._speak(number, studio))
        except VasaError as refusal:
            record = replace(record, status=FAILED, error=" ".join(str(refusal).split()))
        except Exception as fault:  # whatever it is, the other jobs go on
            told = " ".join(f"{type(fault).__name__}: {fault}".split())
            record = replace(record, status=FAILED, error=f"something went wrong inside ({told}).")
        return self._keep(replace(record, spent_s=round(time.perf_counter() - begun, 2)))

    def _speak(self, number: int, studio: Studio) -> dict[str, Any]:
        job, clip = self.jobs[number], self.clip(number)
        clear_unfinished(clip)
        released = studio.speak(
            job.portrait,
            job.sound,
            clip,
            job.controls,
            consent=job.consent,
            language=job.language,
            seed=job.seed,
            fps=job.fps,
            size=job.size,
            full_picture=job.full_picture,
            progress=False,
        )
        return {"sha256": file_sha256(clip), "frames": released.frames, "duration_s": released.duration_s}

    def _keep(self, record: Record) -> Record:
        path = _record_path(self.folder, record)
        path.parent.mkdir(exist_ok=True)
        _write_whole(path, json.dumps(asdict(record), indent=1) + "\n")
        return record


class Maker:
    """A worker: one studio, loaded once, that makes one clip after the other."""

    def __init__(self, batch: Batch, settings: dict[str, str], studio: Studio | None = None) -> None:
        os.environ.update(settings)
        self.batch, self.studio = batch, studio or batch.studio()

    def __call__(self, row: dict[str, int]) -> dict[str, Any]:
        """The record of the job with this number."""
        return asdict(self.batch.carry_out(int(row["number"]), self.studio))


def prepared(
    jobs: list[Job], folder: Path, wav2vec: Path | None = None, motion: Path | None = None, device: str = CPU
) -> Batch:
    """The jobs with their hashes, and their folder, made if need be; the rest is as in `Studio`, for all of them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as refusal:
        raise BadOption(f"{folder} cannot be made a folder ({refusal.strerror}); choose another --out.") from None
    named = {"wav2vec": wav2vec, "motion": motion}
    files = {name: path.resolve() for name, path in named.items() if path is not None}
    if missing := [f"--{name} {path}" for name, path in files.items() if not path.exists()]:
        raise BadOption(f"There is no {missing[0]}.")
    engine = _engine(files)
    seen: dict[Path, str] = {}
    keys = tuple(_key(job, engine, seen) for job in jobs)
    equipment: dict[str, Path | str] = {**files} | ({"device": device} if device != CPU else {})
    return Batch(jobs=tuple(jobs), folder=folder.resolve(), keys=keys, run=secrets.token_hex(8), equipment=equipment)


def make(
    batch: Batch, workers: int = 1, address: str | None = None, studio: Studio | None = None, progress: bool = True
) -> Outcome:
    """Makes what is missing, in this process or, with several workers or an address, on Ray; writes the summary.

    The summary is written however the run ends; an interruption leaves every finished clip in its place.
    """
    if workers < 1:
        raise BadOption(f"--workers must be 1 or more, not {workers}.")
    left = [number for number in range(len(batch.jobs)) if not batch.finished(number)]
    kept = len(batch.jobs) - len(left)
    try:
        if left:
            _make(batch, left, workers, address, studio, progress)
    finally:
        _clear(batch, left)
        outcome = _outcome(batch, kept)
        write_summary(outcome, batch.folder / SUMMARY)
    return outcome


def _clear(batch: Batch, numbers: list[int]) -> None:
    """Removes what workers had begun when they were stopped."""
    for number in numbers:
        record = batch.kept(number)
        if record and record.status == BEGUN and record.run == batch.run:
            clear_unfinished(batch.clip(number))


def _make(
    batch: Batch, left: list[int], workers: int, address: str | None, studio: Studio | None, progress: bool
) -> None:
    house = studio.house if studio else House.at()
    _ = house.registry, house.authority, house.watermark_key  # made here, once, before workers ask
    bar = tqdm(total=len(left), unit="clip", disable=not progress, dynamic_ncols=True)
    with bar:
        for record in _records(batch, left, workers, address, house, studio):
            bar.set_postfix_str(f"{record.name} {record.status}")
            bar.update()


def _records(
    batch: Batch, left: list[int], workers: int, address: str | None, house: House, studio: Studio | None
) -> Iterator[Record]:
    """The record of each job as it ends."""
    if workers == 1 and address is None:
        studio = studio or batch.studio(house)
        for number in left:
            yield batch.carry_out(number, studio)
        return
    settings = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
    arguments = {"batch": batch, "settings": settings | {HOME: str(house.folder)}}
    with cluster.joined(workers, address, ONE_THREAD) as ray:
        for row in cluster.done_by(ray, Maker, arguments, left, workers, card="device" in batch.equipment):
            yield Record(**row)


# ---- what decides a clip -------------------------------------------------------------------------------------------


def _engine(files: dict[str, Path]) -> str:
    """Stands for this software, its weights and those used in their place; on a graphics card they do the same."""
    hashes = [file_sha256(assets.weights(name)) for name in WEIGHTS]
    for path in files.values():
        hashes += [file_sha256(one) for one in (sorted(path.glob("*.*")) if path.is_dir() else [path])]
    return hashlib.sha256(" ".join([software(), *hashes]).encode()).hexdigest()


def _key(job: Job, engine: str, seen: dict[Path, str]) -> str:
    """Stands for all that decides a clip: where its files lie does not, nor where the job stands in the table."""

    def content(path: Path | None) -> str:
        if path is None:
            return ""
        if path not in seen:  # a portrait may stand in thousands of rows
            seen[path] = file_sha256(path)
        return seen[path]

    told = asdict(job) | {name: content(getattr(job, name)) for name in ("portrait", "sound", "consent")}
    del told["line"], told["name"]
    return hashlib.sha256(json.dumps([engine, told], sort_keys=True).encode()).hexdigest()


# ---- records and summary -------------------------------------------------------------------------------------------


def _record_path(folder: Path, job: Job | Record) -> Path:
    return folder / RECORDS / f"{job.name}.json"


def _read(path: Path) -> Record | None:
    """The record in a file; None where there is none that can be read."""
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _outcome(batch: Batch, kept: int) -> Outcome:
    return Outcome(records=tuple(_ended(batch, number) for number in range(len(batch.jobs))), kept=kept)


def _ended(batch: Batch, number: int) -> Record:
    """How a job stands now; what an earlier run said of another job of this name does not count."""
    job, record = batch.jobs[number], batch.kept(number)
    known = record is not None and record.key == batch.keys[number]
    if not (record and known and (record.status == MADE or (record.status == FAILED and record.run == batch.run))):
        return Record(name=job.name, line=job.line)
    if record.status == MADE and not batch.clip(number).is_file():
        gone = "The clip was made where it is not seen from here: --out must be a folder that all machines share."
        return replace(record, line=job.line, status=FAILED, error=gone)
    return replace(record, line=job.line)


def write_summary(outcome: Outcome, path: Path) -> None:
    """A table of all jobs: how each ended, and why not where it failed."""
    text = io.StringIO(newline="")
    columns = [field.name for field in fields(Record) if field.name not in ("key", "run", "tries")]
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(asdict(record) for record in outcome.records)
    _write_whole(path, text.getvalue())


def _write_whole(path: Path, text: str) -> None:
    """Written beside its name and moved there, so that nobody ever reads half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text)
    partial.replace(path)


def check(outcome: Outcome) -> None:
    """SomeFailed when a job failed: the first with its sentence, and where all of them stand."""
    if outcome.failures:
        first = outcome.failures[0]
        told = f"line {first.line} ({first.name}): {first.error}"
        raise SomeFailed(f"{len(outcome.failures)} of {len(outcome.records)} clips failed, the first of them {told}")
