from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from vasa_core.evaluate import attacks
from vasa_core.evaluate.attacks import as_video, luma
from vasa_core.evaluate.marks import EULER, bit_accuracy, gumbel_tail, report
from vasa_core.trust.watermark import mark_for

KEY = b"k" * 32
PAYLOAD = 0x0123456789AB


def ramp(value=0):
    """A picture whose luma tells the place: rows grow downwards, columns rightwards."""
    y, x = np.mgrid[0:96, 0:160]
    grey = (40 + y + x // 2 + value).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1)


@pytest.fixture
def clip():
    return [as_video(ramp(index % 25)) for index in range(50)]


def test_a_codec_gives_back_the_frames_in_order(clip):
    for after in (attacks.x264(18)(clip), attacks.encoded(clip, "libvpx-vp9", attacks.VP9)):
        assert len(after) == 50
        means = [float(luma(frame).mean()) for frame in after]
        assert means == pytest.approx([float(luma(frame).mean()) for frame in clip], abs=1.5)


def test_a_stronger_codec_does_more_harm(clip):
    noisy = [as_video(np.random.default_rng(i).integers(0, 255, (96, 160, 3), dtype=np.uint8)) for i in range(5)]
    harm = [
        np.mean(
            [np.abs(luma(a).astype(int) - luma(b)).mean() for a, b in zip(attacks.x264(crf)(noisy), noisy, strict=True)]
        )
        for crf in (18, 28, 38)
    ]
    assert harm == sorted(harm)
    assert harm[2] > 2 * harm[0]


def test_a_crop_is_what_it_says(clip):
    whole = luma(clip[0])
    for right, down, top, left in ((0.0, 0.0, 0, 0), (1.0, 1.0, 10, 16), (0.5, 0.5, 4, 8)):
        kept = attacks.cropped(clip[:1], 0.1, right, down)[0]
        assert (kept.height, kept.width) == (86, 144)
        assert (luma(kept) == whole[top : top + 86, left : left + 144]).all()


def test_sizes_rates_and_lengths(clip):
    assert len(attacks.at_15_fps(clip)) == 30
    assert len(attacks.trimmed(clip)) == 25
    again = attacks.uploaded_again(clip[:3])
    assert (again[0].height, again[0].width) == (360, 600)
    back = attacks.resized_and_back(clip[:3])
    assert (back[0].height, back[0].width) == (96, 160)


def test_accuracy_is_one_with_the_mark_and_chance_without():
    grey = np.full((192, 192, 3), 120, np.uint8)
    clean, marked = as_video(grey), as_video(grey)
    mark_for(PAYLOAD, KEY, 192, 192).into_luma(luma(marked))
    assert bit_accuracy([marked], PAYLOAD, KEY) == 1.0
    noise = np.random.default_rng(3).integers(100, 140, (192, 192, 3), dtype=np.uint8)
    assert 0.2 < bit_accuracy([as_video(noise)], PAYLOAD, KEY) < 0.8
    assert bit_accuracy([], PAYLOAD, KEY) == 0.0
    assert (luma(clean) == luma(as_video(grey))).all()


def test_the_fitted_tail_is_not_too_light():
    """Maxima of a million normal scores: the fit to sixty of them must not promise fewer than there are."""
    random = np.random.default_rng(0)
    uniform = random.random(200_000)  # the maximum of n is distributed as the n-th root
    normal = statistics.NormalDist()
    maxima = np.array([normal.inv_cdf(1 - -math.log(u) / 1e6) for u in uniform])
    few = maxima[:60]
    scale = float(np.std(few, ddof=1)) * math.sqrt(6) / math.pi
    place = float(few.mean()) - EULER * scale
    for score in (5.4, 5.8, 6.2):
        assert gumbel_tail(score, place, scale) > 0.7 * np.mean(maxima > score)


def test_a_gumbel_tail_is_one_far_below_and_exponential_far_above():
    assert gumbel_tail(-50, 0, 1) == 1
    assert gumbel_tail(20, 0, 1) == pytest.approx(math.exp(-20), rel=1e-6)
    assert gumbel_tail(0, 0, 1) == pytest.approx(1 - math.exp(-1))


def test_the_report_has_a_line_for_each_figure():
    assert [line.split()[0] for line in report({"a": 1.0, "b": 2e-9}).splitlines()] == ["a", "b"]
