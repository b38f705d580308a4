"""Performances at scale: the same bytes whoever makes them, and read back as they were written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("scipy", reason="the training world needs scipy: pip install 'vasa_core[world]'")

import spoken

from vasa_core.errors import BadInput, BadOption
from vasa_core.world import batch, shards
from vasa_core.world.festival import VOICES, phone_labels
from vasa_core.world.performances import PerformWork, flac, read_takes, unflac
from vasa_core.world.performer import Mood, lip_gap_cm
from vasa_core.world.scripts import TAKE_LENGTH_S, cut_to, numbered_script, overheard, performed
from vasa_core.world.utterances import load_utterances, write_shard
from vasa_core.world.voices import doubts


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    for number, speaker in enumerate("abc"):
        said = [spoken.utterance(110 + 20 * number, speaker, beat_s=0.5 * (speaker == "c"))] * 4
        write_shard(folder / f"{speaker}.npz", said)
    return folder


def work(folder, library, **changes) -> PerformWork:
    return PerformWork(**({"folder": folder, "library": library, "seed": 3, "takes": 5, "per_shard": 3} | changes))


def made(folder, library, **changes) -> list[bytes]:
    folder.mkdir()
    mine = work(folder, library, **changes)
    for shard in range(mine.count()):
        batch.write(mine, shard, lambda count: None)
    return [shards.shard_path(folder, shard).read_bytes() for shard in range(mine.count())]


def test_utterances_come_back_with_phones_speakers_and_beats(library) -> None:
    said = load_utterances(library)
    assert [u.speaker for u in said] == list("aaaabbbbcccc") and [u.beat_s for u in said] == [0.0] * 8 + [0.5] * 4
    assert torch.allclose(said[0].sound, spoken.utterance(110, "a").sound, atol=1e-4)
    assert said[5].phones == spoken.utterance().phones


def test_a_seed_gives_the_same_bytes_and_another_seed_others(library, tmp_path) -> None:
    one = made(tmp_path / "one", library)
    assert one == made(tmp_path / "two", library) and len(one) == 2
    assert one != made(tmp_path / "three", library, seed=4)


def test_takes_are_read_back_as_performed(library, tmp_path) -> None:
    made(tmp_path / "shards", library)
    takes = [t for shard in (0, 1) for t in read_takes(shards.shard_path(tmp_path / "shards", shard), check=True)]
    assert [take.key for take in takes] == [f"{number:07d}" for number in range(5)]
    for take in takes:
        assert len(take.sound) == 16_000 * TAKE_LENGTH_S and len(take.performance) == 25 * TAKE_LENGTH_S
        phones = take.script.phones
        assert phones[0].start_s == 0 and phones[-1].end_s == pytest.approx(TAKE_LENGTH_S, abs=1e-3)
        assert take.performance.expression.shape[1] == 57 and take.performance.tongue is not None


def test_a_stopped_run_goes_on_and_other_settings_are_refused(library, tmp_path) -> None:
    mine = work(tmp_path, library)
    batch.write(mine, 0, lambda count: None)
    assert batch.missing(mine, range(2)) == [1]
    with pytest.raises(BadOption):
        batch.missing(work(tmp_path, library, seed=9), range(2))


def test_no_utterances_is_said_so(tmp_path) -> None:
    with pytest.raises(BadInput, match="voices"):
        work(tmp_path, tmp_path / "nothing").settings()


def test_flac_keeps_every_sample() -> None:
    sound = spoken.utterance().sound
    assert torch.allclose(unflac(flac(sound)), sound, atol=1 / 32_000)


def test_takes_are_cut_where_they_are_long_and_filled_where_they_are_short(library) -> None:
    for seed in range(12):
        script = numbered_script(load_utterances(library), np.random.default_rng(seed))
        assert len(script.sound) == 16_000 * TAKE_LENGTH_S
        for one, two in zip(script.phones[:-1], script.phones[1:], strict=True):
            assert two.start_s == pytest.approx(one.end_s, abs=1e-3) and not (one.label == two.label == "SIL")
        assert (script.song is None) == (script.speaker != "c" or not any(p.label != "SIL" for p in script.phones))
        shorter = cut_to(script, 1.0)
        assert len(shorter.sound) == 16_000 and shorter.phones[-1].end_s == pytest.approx(1.0)


def test_what_is_overheard_is_not_said(library) -> None:
    script = overheard(numbered_script(load_utterances(library)[:4], np.random.default_rng(5)))
    assert script.other and [p.label for p in script.phones] == ["SIL"]
    done = performed(script, Mood(), np.random.default_rng(0))
    assert np.abs(lip_gap_cm(done.expression)).max() < 0.06


def test_alignments_that_the_sound_does_not_bear_out_are_doubted() -> None:
    said = spoken.utterance()
    assert doubts(said.sound, said.phones) == ""
    shifted = torch.cat([said.sound[-4600:], said.sound[:-4600]])  # vowels now lie on pauses
    assert doubts(shifted, said.phones) != ""
    assert doubts(torch.randn_like(said.sound) * 0.1, said.phones) == "vowels without voice"


def test_festivals_phones_are_ours() -> None:
    known = {"en-us": "aa ax dx hh pau zh", "ru": "aa bb ay sch c yy nn j", "ca": "O1 ax rr tS J e1 L",
             "hi": "th ddh ksh aa @ pau"}  # fmt: skip
    from vasa_core.speech import PHONES

    for language in VOICES.values():
        for name in known[language].split():
            assert set(phone_labels(name, language)) <= set(PHONES), name
    assert phone_labels("bb", "ru") == ("B",) and phone_labels("O1", "ca") == ("AO",)
    assert phone_labels("J", "ca") == ("N", "Y")
