"""Throats drawn at random, and espeak-ng speaking through them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from vasa_core.world.throats import random_throat, with_throats
from vasa_core.world.voices import installed_data, throat_utterances

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def test_a_throat_is_told_by_its_seed_and_sets_every_formant() -> None:
    text = random_throat("anna", np.random.default_rng(4))
    assert text == random_throat("anna", np.random.default_rng(4)) != random_throat("anna", np.random.default_rng(5))
    formants = [line.split() for line in text.splitlines() if line.startswith("formant")]
    assert [int(words[1]) for words in formants] == list(range(9))
    assert all(50 < int(words[2]) < 190 for words in formants)


def test_the_copy_has_all_of_the_installed_data_but_only_our_variants(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    (installed / "voices" / "!v").mkdir(parents=True)
    (installed / "voices" / "!v" / "theirs").write_text("theirs")
    (installed / "voices" / "other").write_text("other")
    (installed / "phontab").write_text("phones")
    folder = tmp_path / "copy"
    folder.mkdir()
    data = with_throats(installed, folder, {"ours": "language variant\n"}) / "espeak-ng-data"
    assert (data / "phontab").read_text() == "phones" and (data / "voices" / "other").read_text() == "other"
    assert [path.name for path in (data / "voices" / "!v").iterdir()] == ["ours"]


@needs_espeak
def test_several_throats_speak_between_pauses() -> None:
    assert (installed_data() / "phontab").is_file()
    # the library is global to a process, and other tests use it with its own voices
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        said = pool.submit(_said, 3).result(timeout=60)
    assert len({speaker for speaker, *_ in said}) > 1
    assert all(peak <= 1 and labels[0] == labels[-1] == "SIL" for _, peak, labels in said)


def _said(count: int) -> list[tuple[str, float, list[str]]]:
    spoken = throat_utterances("en-us", count, np.random.default_rng(1), throats=4)
    return [(u.speaker, float(u.sound.abs().max()), [phone.label for phone in u.phones]) for u in spoken]
