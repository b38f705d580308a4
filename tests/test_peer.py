"""The stand-in for LivePortrait's networks has the size that is published, and ratios are told the right way round."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from vasa_core.evaluate.peer import (
    CHAIN,
    FRAMES,
    PUBLISHED_MILLIONS,
    Comparison,
    report,
    sizes,
    write,
)


def modulated(features: int) -> int:
    """Multiplications of a modulation at one place: what is told, scale and shift."""
    return 9 * (256 * 128 + 2 * 128 * features)


def test_the_networks_have_the_published_size():
    millions, _ = sizes()
    assert millions == pytest.approx(PUBLISHED_MILLIONS, abs=0.006)


def test_the_multiplications_are_those_of_the_layers():
    """Counted by hand from the layers' shapes; in a volume of 16 x 64 x 64 each halving leaves a quarter."""
    volume, flat = 16 * 64 * 64, 64 * 64
    down, up = [110, 64, 128, 256, 512, 1024], [(1024, 512), (1024, 256), (512, 128), (256, 64), (128, 32)]
    moving = volume * (32 * 4 + 27 * sum(a * b / 4**k for k, (a, b) in enumerate(pairwise(down))))
    moving += volume * 27 * sum(a * b / 4 ** (4 - k) for k, (a, b) in enumerate(up))
    moving += volume * (27 * 142**2 + 343 * 142 * 22) + flat * (49 * 142 * 16 + 9 * 512 * 256 + 256**2)
    painting = flat * (9 * 256 * 512 + 6 * 2 * (9 * 512**2 + modulated(512)))
    painting += 4 * flat * (9 * (512 + 256) * 256 + 512 * 256 + 2 * modulated(512) + modulated(256))
    painting += 16 * flat * (9 * (256 + 64) * 64 + 256 * 64 + 2 * modulated(256) + modulated(64) + 9 * 64 * 12)
    _, multiplications = sizes()
    assert multiplications == pytest.approx({"moving": moving / 1e9, "painting": painting / 1e9}, rel=1e-6)


def test_ratios_say_how_many_of_our_frames_go_into_one_of_theirs(tmp_path):
    found = Comparison(
        machine="a machine",
        cores=2,
        millions={"moving": 45.5, "painting": 55.4},
        giga_multiplications={"moving": 171.0, "painting": 445.8},
        theirs_s={"float32": 8.0, "bfloat16": 4.0},
        theirs_processor_s={"float32": 12.0, "bfloat16": 9.0},
        ours_s={CHAIN: 0.04, FRAMES: 0.02},
        ours_processor_s={CHAIN: 0.05, FRAMES: 0.03},
    )
    assert found.ratio("float32", CHAIN) == pytest.approx(200)
    assert found.ratio("bfloat16", FRAMES, processor=True) == pytest.approx(300)
    told = report(found)
    assert "random weights, time only" in told and "published: 45.53" in told
    write(found, tmp_path / "peer.json")
    assert json.loads((tmp_path / "peer.json").read_text())["ratios"][f"bfloat16, {CHAIN}"] == pytest.approx(100)
