"""The benchmark's arithmetic and its table; what it measures is no matter for tests."""

import json
from dataclasses import replace

import numpy as np
import pytest

from vasa_core.bench import UNITS, Bench, Paced, _slope, read_earlier, report, write_figures
from vasa_core.errors import BadOption


@pytest.fixture
def figures():
    names = dict.fromkeys(Bench.__dataclass_fields__, 10.0)
    return Bench(
        **(
            names
            | {
                "machine": "a machine",
                "stages_ms": {"render": 5.0},
                "costs_ms": {"blend": 3.0},
                "late_frames": 10,
                "paced_frames": 10,
            }
        )
    )


def test_growth_is_told_by_the_later_part_alone():
    times = np.linspace(0, 120, 400)
    memory = np.where(times < 20, 100 * times, 2000 + 3 * (times - 20) / 60)
    assert _slope(times, memory) == pytest.approx(3, abs=0.01)


def test_late_is_what_a_player_has_half_a_frame_after_it_was_due():
    due = np.arange(5) / 25
    paced = Paced(due_s=due, handed_s=due + np.array([0, 0.001, 0.019, 0.021, 0.5]), memory_mb=np.zeros(5))
    assert paced.late == 2
    assert np.allclose(paced.waited_s, [0, 0.001, 0.019, 0.021, 0.5])


def test_an_earlier_run_is_compared_with(figures, tmp_path):
    write_figures(figures, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["machine"] == "a machine"
    twice = replace(figures, offline_fps_512=20.0)
    table = report(twice, read_earlier(tmp_path / "a.json"))
    assert "2.00 x" in table and table.count("1.00 x") == len(UNITS) - 1
    assert " x " not in report(figures).replace(" x 512", "").replace(" x 256", "")


def test_a_file_without_figures_is_refused(tmp_path):
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(BadOption, match="--json"):
        read_earlier(tmp_path / "b.json")
