"""Two processes that train together end where one alone ends, with the real losses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_trainers
from conftest import REPOSITORY

from vasa_core.errors import BadOption, MissingExtra
from vasa_core.train import face, motion
from vasa_core.train.together import ALONE, Together, joined

COMMAND = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folder of a run of two processes, and what each of them made."""
    pytest.importorskip("accelerate", reason="several processes need Accelerate: pip install 'vasa_core[train]'")
    folder = tmp_path_factory.mktemp("together") / "motion"
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*COMMAND, two_trainers.__file__, folder], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder, [torch.load(folder.with_name(f"{rank}.pt")) for rank in range(2)]


def apart(one: torch.Tensor, other: torch.Tensor, begun: torch.Tensor) -> float:
    """How far two trainings are from each other, as a share of how far one has come."""
    return float((one - other).norm() / (other - begun).norm())


def begun_motion(folder: Path) -> torch.Tensor:
    torch.manual_seed(0)
    return two_trainers.flat(motion.started(two_trainers.TINY, two_trainers.some_takes(), folder).model)


@pytest.mark.parametrize("what", ["motion", "face", "contest", "speech"])
def test_both_processes_hold_the_same_parameters_to_the_last_bit(both, what):
    first, second = both[1]
    assert torch.equal(first[what], second[what]) and first[what].isfinite().all()


def test_two_processes_make_of_motion_what_one_makes(both, tmp_path):
    with two_trainers.full_precision():
        alone = two_trainers.motion_parameters(tmp_path / "alone", ALONE)
        half = two_trainers.motion_parameters(tmp_path / "half", ALONE, batch=two_trainers.BATCH // 2)
    begun, together = begun_motion(tmp_path / "begun"), both[1][0]["motion"]
    assert apart(together, alone, begun) < 1e-3 < 0.1 < apart(half, alone, begun)


def test_two_processes_make_of_faces_what_one_makes(both):
    with two_trainers.full_precision():
        alone = two_trainers.face_parameters(ALONE, contest=False)
        half = two_trainers.face_parameters(Half(count=2), contest=False)
    begun = face.Trainer(face.Recipe())
    begun = torch.cat([two_trainers.flat(begun.networks), two_trainers.flat(begun.judge)])
    together = both[1][0]["face"]
    assert apart(together, alone, begun) < 1e-2 < 0.1 < apart(half, alone, begun)


class Half(Together):
    """The first of two, who hears nothing of the other."""

    def average(self, *modules):
        pass

    def agreed(self, number):
        return number


def test_the_first_process_alone_saves_and_logs_means(both, tmp_path):
    folder = both[0]
    assert {path.name for path in folder.iterdir()} == {"state.pt", "motion.safetensors", "log.jsonl"}
    with two_trainers.full_precision():
        two_trainers.motion_parameters(tmp_path / "alone", ALONE)
    together, alone = (
        [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
        for place in (folder, tmp_path / "alone")
    )
    assert [line["steps"] for line in together] == [two_trainers.STEPS, 2 * two_trainers.STEPS]
    for line, other in zip(together, alone, strict=True):
        assert line == pytest.approx(other, rel=1e-3)
    assert [float(made["agreed"]) for made in both[1]] == [100.0, 100.0]


def test_one_alone_is_given_back_what_it_gives():
    batch, module = torch.arange(6.0), torch.nn.Linear(2, 2)
    module(torch.ones(1, 2)).sum().backward()
    before = module.weight.grad.clone()
    ALONE.average(module)
    assert torch.equal(ALONE.mine(batch), batch) and torch.equal(module.weight.grad, before)
    assert ALONE.agreed(3.5) == 3.5 and ALONE.mean({"a": 1.0}) == {"a": 1.0} and ALONE.leads


def test_a_batch_is_shared_out_whole_or_not_at_all():
    shares = [Together(rank=rank, count=3).mine(torch.arange(6)).tolist() for rank in range(3)]
    assert shares == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(BadOption, match="A batch of 8 cannot be shared by 3"):
        Together(count=3).mine(torch.arange(8))


def test_without_accelerate_one_process_trains_and_several_are_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert joined() == ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MissingExtra, match=r"vasa_core\[train\]"):
        joined()
