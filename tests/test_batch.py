"""Many clips from a table: what is made again and what not, one failure beside others, and two workers on Ray."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps
from test_cli import HASTY, frames_of, speech

from vasa_core import assets, batch
from vasa_core.__main__ import _run
from vasa_core.batch import Maker, check, make, prepared
from vasa_core.errors import BadOption, BadSound, MissingExtra, NoCluster, SomeFailed
from vasa_core.jobs import Job
from vasa_core.studio import Studio
from vasa_core.trust.consent import file_sha256
from vasa_core.trust.release import clear_unfinished


@dataclass(frozen=True)
class Pretended(Studio):
    """A studio that writes a few words where a clip should be, and does as a sound's file says."""

    asked: list[str] = field(default_factory=list)

    def speak(self, subject, sound, out, controls=None, **options):
        self.asked.append(out.stem)
        said = sound.read_text()
        faults: dict[str, Callable[[], BaseException]] = {
            "broken": lambda: BadSound("It cannot be\nread."),
            "fault": lambda: RuntimeError("a bug"),
            "ctrl-c": KeyboardInterrupt,
        }
        if said in faults:
            raise faults[said]()
        out.write_text(f"{subject.read_text()} says {said} with seed {options['seed']}")
        return SimpleNamespace(frames=25, duration_s=1.0)


@pytest.fixture
def studio(house):
    return Pretended(house=house)


@pytest.fixture
def job(tmp_path):
    """A job whose portrait and sound are words."""

    def write(name: str, says: str = "hello", line: int = 2, **changes) -> Job:
        portrait, sound = tmp_path / "face.png", tmp_path / f"{name}.wav"
        portrait.write_text("someone")
        sound.write_text(says)
        return Job(line=line, name=name, portrait=portrait, sound=sound, **changes)

    return write


def made(studio: Pretended, jobs: list[Job], folder: Path) -> list[str]:
    """Runs the jobs; the names that the studio was asked for."""
    studio.asked.clear()
    make(prepared(jobs, folder), studio=studio, progress=False)
    return list(studio.asked)


def summary(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "summary.csv").open() as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_what_is_finished_is_not_made_again_and_what_changed_is(studio, job, tmp_path):
    one, two, out = job("one"), job("two", line=3), tmp_path / "out"
    assert made(studio, [one, two], out) == ["one", "two"]
    assert made(studio, [one, two], out) == []
    (out / "one.mp4").write_text("something else")
    assert made(studio, [one, two], out) == ["one"]
    (out / "two.mp4").unlink()
    assert made(studio, [one, two], out) == ["two"]
    assert made(studio, [replace(one, seed=1), two], out) == ["one"]
    two.sound.write_text("good bye")
    assert made(studio, [replace(one, seed=1), two], out) == ["two"]
    (out / "records" / "one.json").write_text("{ half")
    assert made(studio, [replace(one, seed=1), two], out) == ["one"]


def test_where_files_lie_and_jobs_stand_makes_no_difference(studio, job, tmp_path):
    one, out = job("one"), tmp_path / "out"
    made(studio, [one], out)
    moved = one.portrait.rename(tmp_path / "elsewhere.png")
    assert made(studio, [job("new"), replace(one, line=9, portrait=moved)], out) == ["new"]


def test_other_weights_make_other_clips(studio, job, tmp_path, monkeypatch):
    out = tmp_path / "out"
    made(studio, [job("one")], out)
    monkeypatch.setattr(batch, "software", lambda: "vasa_core 99")
    assert made(studio, [job("one")], out) == ["one"]
    (own := tmp_path / "own.safetensors").write_text("other motion")
    again = prepared([job("one")], out, motion=own)
    assert not again.finished(0) and again.studio(studio.house).motion == own.resolve()
    own.write_text("yet other motion")
    assert prepared([job("one")], out, motion=own).keys != again.keys


def test_a_failure_harms_one_clip_and_is_told(studio, job, tmp_path):
    out = tmp_path / "out"
    jobs = [job("a"), job("b", "broken", 3), job("c", "fault", 4), job("d", line=5)]
    outcome = make(prepared(jobs, out), studio=studio, progress=False)
    assert outcome.sentence() == "2 made, 0 there already, 2 failed, of 4"
    assert {name: row["status"] for name, row in summary(out).items()} == {
        "a": "made",
        "b": "failed",
        "c": "failed",
        "d": "made",
    }
    assert summary(out)["b"]["error"] == "It cannot be read."
    assert summary(out)["c"]["error"] == "something went wrong inside (RuntimeError: a bug)."
    assert summary(out)["d"]["sha256"] == file_sha256(out / "d.mp4")
    with pytest.raises(SomeFailed, match=r"2 of 4 clips failed, the first of them line 3 \(b\): It cannot"):
        check(outcome)
    jobs[1].sound.write_text("mended")
    outcome = make(prepared(jobs[:2], out), studio=studio, progress=False)
    assert outcome.sentence() == "1 made, 1 there already, 0 failed, of 2"
    check(outcome)


def test_after_an_interruption_the_rest_is_made(studio, job, tmp_path):
    out, jobs = tmp_path / "out", [job("a"), job("b", "ctrl-c", 3), job("c", line=4)]
    with pytest.raises(KeyboardInterrupt):
        made(studio, jobs, out)
    assert [row["status"] for row in summary(out).values()] == ["made", "waiting", "waiting"]
    jobs[1].sound.write_text("hello")
    assert made(studio, jobs, out) == ["b", "c"]


def test_a_job_that_ends_its_worker_is_given_up_after_two_tries(studio, job, tmp_path):
    one = prepared([job("one", "ctrl-c")], tmp_path / "out")
    maker = Maker(one, {}, studio)
    for tries in (1, 2):
        with pytest.raises(KeyboardInterrupt):  # a killed process leaves its record just so
            maker({"number": 0})
        assert (one.kept(0).status, one.kept(0).tries) == ("begun", tries)
    record = maker({"number": 0})
    assert record["status"] == "failed" and "died 2 times" in record["error"]
    assert len(studio.asked) == 2
    again = replace(one, run="another run")
    with pytest.raises(KeyboardInterrupt):
        Maker(again, {}, studio)({"number": 0})


def test_what_a_killed_worker_left_is_cleared_and_nothing_else(tmp_path):
    clip = tmp_path / "a[1].mp4"
    left = [tmp_path / f".a[1].mp4.{stage}" for stage in ("12.unfinished", "12.unsent")]
    others = [clip, tmp_path / ".a1.mp4.12.unfinished", tmp_path / ".b.a[1].mp4.12.unfinished"]
    for path in left + others:
        path.touch()
    clear_unfinished(clip)
    assert not any(path.exists() for path in left) and all(path.exists() for path in others)


def test_a_folder_that_cannot_be_and_no_workers_are_refused(studio, job, tmp_path):
    one = job("one")
    with pytest.raises(BadOption, match="another --out"):
        prepared([one], one.portrait / "below a file")
    with pytest.raises(BadOption, match="There is no --motion"):
        prepared([one], tmp_path / "out", motion=tmp_path / "nowhere")
    with pytest.raises(BadOption, match="--workers must be 1 or more, not 0"):
        make(prepared([one], tmp_path / "out"), workers=0, studio=studio)


# ---- the real thing ------------------------------------------------------------------------------------------------


def short(tmp_path: Path, *portraits: Path) -> list[Job]:
    """A second of speech for each portrait, small and hasty."""
    sound = speech(tmp_path / "hello.wav", 1.0)
    return [
        Job(line=2 + k, name=f"clip-{k}", portrait=portrait, sound=sound, size=128, controls=HASTY)
        for k, portrait in enumerate(portraits)
    ]


def released(house, *clips: Path) -> bool:
    """Whether the audit heard of these very files."""
    told = {entry.facts["sha256"] for entry in house.registry.audit.entries() if entry.event == "generated"}
    return {file_sha256(clip) for clip in clips} <= told


def stranger(tmp_path: Path) -> Path:
    """A face of ours in other colours: nobody's listed portrait."""
    other = tmp_path / "stranger.png"
    with Image.open(assets.portraits()[0]) as picture:
        ImageOps.grayscale(picture.convert("RGB").resize((512, 512))).save(other)
    return other


def test_clips_leave_by_the_one_door_and_nobody_is_shown_unasked(house, tmp_path):
    jobs = short(tmp_path, stranger(tmp_path), assets.portraits()[1])
    outcome = make(prepared(jobs, tmp_path / "out"), studio=Studio(house=house), progress=False)
    refused, done = outcome.records
    assert refused.status == "failed" and "consent" in refused.error
    assert (done.status, done.frames, done.duration_s) == ("made", 25, 1.0)
    assert not (tmp_path / "out" / "clip-0.mp4").exists()
    assert released(house, tmp_path / "out" / "clip-1.mp4")


def run(monkeypatch, capfd, *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["vasa", *map(str, arguments)])
    capfd.readouterr()
    return _run(), capfd.readouterr().err


def test_the_command_says_what_is_wrong(tmp_path, monkeypatch, capfd):
    (jobs := tmp_path / "jobs.csv").write_text("portrait,sound\n,\nnobody.png,nothing.wav\n")
    code, said = run(monkeypatch, capfd, "batch", jobs, "--out", tmp_path / "out")
    assert code == 2 and "line 3, column portrait: there is no file" in said
    assert not (tmp_path / "out").exists()
    jobs.write_text(f"portrait,sound\n{stranger(tmp_path)},{speech(tmp_path / 'hello.wav', 1.0)}\n")
    code, said = run(monkeypatch, capfd, "batch", jobs, "--out", tmp_path / "out")
    assert code == SomeFailed.exit_code and "1 of 1 clips failed" in said
    monkeypatch.setitem(sys.modules, "ray", None)
    code, said = run(monkeypatch, capfd, "batch", jobs, "--out", tmp_path / "out", "--workers", 2)
    assert code == MissingExtra.exit_code and "vasa_core[cluster]" in said


@pytest.mark.timeout(220)  # typically 25 s on two idle cores; Ray itself gives up on actors after 180 s
def test_two_workers_on_ray_make_what_one_process_makes(house, tmp_path):
    pytest.importorskip("ray", reason="the cluster needs Ray: pip install 'vasa_core[cluster]'")
    jobs, out = short(tmp_path, assets.portraits()[0], stranger(tmp_path), assets.portraits()[1]), tmp_path / "out"
    try:
        outcome = make(prepared(jobs, out), workers=2, studio=Studio(house=house), progress=False)
    except NoCluster as reason:
        pytest.skip(str(reason))
    assert [record.status for record in outcome.records] == ["made", "failed", "made"], outcome.records
    assert released(house, out / "clip-0.mp4", out / "clip-2.mp4") and house.registry.audit.verify().sound
    make(prepared(jobs[:1], tmp_path / "alone"), studio=Studio(house=house), progress=False)
    here, there, other = (
        frames_of(clip).astype(int)
        for clip in (tmp_path / "alone" / "clip-0.mp4", out / "clip-0.mp4", out / "clip-2.mp4")
    )
    assert np.abs(here - there).mean() < 3 < np.abs(here - other).mean()  # each release has a watermark of its own
