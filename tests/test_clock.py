from __future__ import annotations

import pytest

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, exact_div, frames_for_samples


def test_one_frame_hears_forty_milliseconds():
    assert SAMPLES_PER_FRAME == 640
    assert SAMPLES_PER_FRAME * FRAME_RATE_HZ == SAMPLE_RATE_HZ


def test_a_quotient_that_is_not_whole_is_refused():
    assert exact_div(12, 4) == 3
    with pytest.raises(ValueError, match="not a multiple"):
        exact_div(SAMPLE_RATE_HZ, 30)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (640, 1), (641, 2), (16_000, 25), (9_600_000, 15_000)])
def test_the_last_partial_frame_counts(samples, frames):
    assert frames_for_samples(samples) == frames
