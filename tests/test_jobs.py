"""Tables of jobs: what is read is what was written, and every mistake is named by its line and column."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from vasa_core import assets
from vasa_core.controls import Controls
from vasa_core.errors import BadTable
from vasa_core.jobs import COLUMNS, Job, read_jobs


@pytest.fixture
def folder(tmp_path):
    """A folder with a portrait, a sound and a statement; nothing here looks into them."""
    for name in ("a.png", "b.png", "hello.wav", "yes.toml"):
        (tmp_path / name).write_text(name)
    return tmp_path


def table(folder, *lines: str, name="jobs.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refused(folder, *lines: str, name="jobs.csv") -> str:
    with pytest.raises(BadTable) as refusal:
        read_jobs(table(folder, *lines, name=name))
    return str(refusal.value)


WISHED = Controls(
    gaze=(math.radians(10), math.radians(-5)), head_distance=1.2, emotion="happy", emotion_intensity=0.5, steps=4
)


def test_a_row_says_what_the_options_of_speak_say(folder):
    job, plain = read_jobs(
        table(
            folder,
            "portrait,sound,out,consent,language,seed,size,full_picture,gaze,distance,emotion,steps",
            'a.png,hello.wav,one.mp4,yes.toml,fr,7,256,yes,"10,-5",1.2,happy:0.5,4',
            "",
            "b.png,hello.wav",
        )
    )
    assert job == Job(
        line=2,
        name="one",
        portrait=folder / "a.png",
        sound=folder / "hello.wav",
        consent=folder / "yes.toml",
        language="fr",
        seed=7,
        size=256,
        full_picture=True,
        controls=WISHED,
    )
    assert plain == Job(line=4, name="b-hello", portrait=folder / "b.png", sound=folder / "hello.wav")


def test_a_table_means_the_same_in_csv_with_semicolons_and_in_json(folder):
    commas = table(folder, "portrait,sound,gaze,distance,emotion,steps", 'a.png,hello.wav,"10,-5",1.2,happy:0.5,4')
    semicolons = table(
        folder,
        "\ufeffportrait;sound;gaze;distance;emotion;steps",
        "a.png;hello.wav;10,-5;1.2;happy:0.5;4",
        name="b.csv",
    )
    row = {"portrait": "a.png", "sound": "hello.wav", "gaze": [10, -5], "distance": 1.2, "steps": 4, "seed": None}
    objects = table(folder, "", json.dumps(row | {"emotion": "happy:0.5", "listening": False}), name="c.jsonl")
    first, second, third = (read_jobs(path)[0] for path in (commas, semicolons, objects))
    assert first == second and first.controls == third.controls == WISHED


def test_every_option_of_speak_that_makes_a_difference_is_a_column():
    import inspect

    from vasa_core.__main__ import batch, speak

    for_all = {*inspect.signature(batch).parameters} - {"jobs", "out", "workers", "address"}
    assert {*inspect.signature(speak).parameters} - for_all == {*COLUMNS} - {"sound"} | {"audio"}


@pytest.mark.parametrize(
    ("header", "cells", "where", "why"),
    [
        ("portrait,sond", "a.png,hello.wav", "line 1", "no column 'sond'; did you mean sound?"),
        ("portrait,seed", "a.png,1", "line 1", "the column sound is missing"),
        ("portrait,sound,seed,seed", "a.png,hello.wav,1,1", "line 1", "the column seed is there twice"),
        ("portrait,sound,gaze", "a.png,hello.wav,10,-5", "line 2", "4 cells under 3 columns"),
        ("portrait,sound", ",hello.wav", "line 2, column portrait", "it is empty"),
        ("portrait,sound", "c.png,hello.wav", "line 2, column portrait", "there is no file"),
        ("portrait,sound,consent", "a.png,hello.wav,no.toml", "line 2, column consent", "there is no file"),
        ("portrait,sound,out", "a.png,hello.wav,../x", "line 2, column out", "without folders"),
        ("portrait,sound,gaze", "a.png,hello.wav,left", "line 2, column gaze", "two numbers of degrees"),
        ("portrait,sound,gaze", 'a.png,hello.wav,"80,0"', "line 2, column gaze", "between -35 and 35"),
        ("portrait,sound,distance", "a.png,hello.wav,far", "line 2, column distance", "'far' is no number"),
        ("portrait,sound,distance", "a.png,hello.wav,nan", "line 2, column distance", "between 0.7 and 1.6"),
        ("portrait,sound,seed", "a.png,hello.wav,1.5", "line 2, column seed", "no whole number"),
        ("portrait,sound,fps", "a.png,hello.wav,5", "line 2, column fps", "between 10 and 60"),
        ("portrait,sound,emotion", "a.png,hello.wav,gloomy", "line 2, column emotion", "choose one of neutral"),
        ("portrait,sound,listening", "a.png,hello.wav,maybe", "line 2, column listening", "neither yes nor no"),
        ("portrait,sound", "", "", "holds no jobs"),
    ],
)
def test_mistakes_are_named_by_line_and_column(folder, header, cells, where, why):
    said = refused(folder, header, cells)
    assert "jobs.csv" in said and where in said and why in said
    assert said.count("\n") == 0 and said.endswith((".", "?"))


def test_all_rows_are_looked_at_and_many_mistakes_counted(folder):
    said = refused(folder, "portrait,sound,size", *["a.png,hello.wav,9"] * 7)
    assert "line 2, column size" in said and "line 6, column size" in said and said.endswith("; and 2 more.")


def test_two_clips_of_one_name_are_refused(folder):
    said = refused(folder, "portrait,sound,seed", "a.png,hello.wav,1", "b.png,hello.wav,2", "a.png,hello.wav,3")
    assert "line 4, column out: 'a-hello' is already the clip of line 2" in said


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '"a.png"', "3"])
def test_a_line_that_is_no_object_is_refused(folder, line):
    assert "line 1: write one JSON object" in refused(folder, line, name="jobs.jsonl")


def test_what_is_no_text_is_refused(folder):
    shutil.copy(assets.portraits()[0], folder / "jobs.csv")
    with pytest.raises(BadTable, match="UTF-8"):
        read_jobs(folder / "jobs.csv")
    with pytest.raises(BadTable, match="cannot be read"):
        read_jobs(folder / "nowhere.csv")
