"""The refinement network in 8 bits: its scales, the passes between convolutions, its word beside the float one."""

import numpy as np
import pytest
import torch

from vasa_core.eightbit import EightBit, Scale, convolutions, grown, lit, ranges_of
from vasa_core.refinement import Refinement, counts_in_eight_bits
from vasa_core.sight import COARSE_PX


@pytest.fixture(scope="module")
def network() -> Refinement:
    torch.manual_seed(3)
    made = Refinement().eval().requires_grad_(False)
    for convolution in made.modules():
        if isinstance(convolution, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(convolution.weight, 0.5)
    return made


def told_like(seed: int) -> np.ndarray:
    """Something smooth on every channel, some of them ten times as large."""
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.normal(size=(1, 72, 9, 9)).astype(np.float32))
    wide = torch.nn.functional.interpolate(small, size=(COARSE_PX,) * 2, mode="bilinear")[0].permute(1, 2, 0)
    return np.ascontiguousarray(wide.numpy() * np.where(np.arange(72) % 7, 1, 10).astype(np.float32))


def said_by(network: Refinement, told: np.ndarray) -> list[np.ndarray]:
    with torch.inference_mode():
        answers = network.heads(torch.from_numpy(told)[None].movedim(-1, 1))
    return [answer[0].movedim(0, -1).numpy() for answer in answers]


def noise_db(exact: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(np.mean((exact - other) ** 2) / exact.var()))


def test_a_scale_holds_its_ends_and_zero_exactly() -> None:
    for low, high in ((-0.28, 11.0), (-5.0, 5.0), (0.5, 2.0), (-3.0, -1.0), (0.0, 0.0)):
        scale = Scale.spanning(low, high)
        assert 0 <= scale.zero <= 255
        for value in (low, high):
            whole = np.clip(round(value / scale.step) + scale.zero, 0, 255)
            assert abs(scale.step * (whole - scale.zero) - value) <= scale.step


def test_the_compiled_silu_is_torchs_to_a_quarter_of_a_step() -> None:
    x = np.linspace(-14, 14, 4001, dtype=np.float32)
    expected, fine, out = (
        torch.nn.functional.silu(torch.from_numpy(x)).numpy(),
        Scale.spanning(-0.3, 14.0),
        np.empty(4001, np.uint8),
    )
    lit(x, *fine.numbers, out)
    assert np.abs(fine.step * (out.astype(float) - fine.zero) - expected).max() < 0.75 * fine.step


def test_enlarging_adds_each_pixel_four_times() -> None:
    small, sums = np.full((2, 2, 3), -1e3, np.float32), np.zeros((4, 4, 3), np.float32)
    small[0, 1] = (1, 2, 3)
    out = np.empty((4, 4, 3), np.uint8)
    grown(small, sums, *Scale(1.0, 0).numbers, out)
    assert (sums[:2, 2:] == (1, 2, 3)).all() and (sums[2:] == -1e3).all()
    assert (out[:2, 2:] == (1, 2, 3)).all() and (out[2:] == 0).all()  # SiLU of 1, 2, 3 is 0.7, 1.8 and 2.9


def test_ranges_are_what_enters_each_convolution(network) -> None:
    ones, twos = told_like(0), 2 * told_like(0)
    ranges = ranges_of(network, [ones, twos])
    assert np.allclose(ranges[:72, 0], twos.min((0, 1))) and np.allclose(ranges[:72, 1], twos.max((0, 1)))
    assert convolutions(network)[4] is network.enter[0].first
    stem = network.stem(torch.from_numpy(twos)[None].movedim(-1, 1))
    assert ranges[75, 1] == pytest.approx(float(torch.nn.functional.silu(stem).max()), rel=1e-5)
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.skipif(not counts_in_eight_bits(), reason="this processor does not multiply 8-bit numbers itself")
def test_eight_bits_say_what_the_float_network_says(network) -> None:
    seen, new = [told_like(1), told_like(2)], told_like(4)
    eight = EightBit(network, ranges_of(network, seen))
    for exact, other in zip(said_by(network, new), eight.heads(new), strict=True):
        assert exact.shape == other.shape
        assert noise_db(exact, other) < -25
    assert noise_db(said_by(network, seen[0])[0], eight.heads(new)[0]) > -10  # another input has another answer
    again = [eight.heads(new) for _ in range(2)]
    assert all(np.array_equal(one, same) for one, same in zip(*again, strict=True))
