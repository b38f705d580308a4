"""One door to every training: each is named by its file and says what it does; others are refused."""

from __future__ import annotations

import subprocess
import sys

from vasa_core.train.__main__ import trainings


def door(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vasa_core.train", *words], capture_output=True, text=True, timeout=120
    )


def test_each_training_says_what_it_does():
    known = trainings()
    assert {"face", "motion", "speech", "surface", "judges"} <= set(known)
    assert "takes" not in known and all(said.endswith(".") and len(said) < 160 for said in known.values())
    listed = door()
    assert listed.returncode == 0 and all(said in listed.stdout for said in known.values())


def test_options_reach_the_training_and_strangers_are_refused():
    named = door("surface", "--help")
    assert named.returncode == 0 and "vasa_core.train.surface" in named.stdout
    refused = door("faces")
    assert refused.returncode == 1 and "no training named faces" in refused.stderr and "Traceback" not in refused.stderr
