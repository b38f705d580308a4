"""That what is timed is what is said; how long it takes is no test's business."""

from __future__ import annotations

import torch

from vasa_core.evaluate import timing
from vasa_core.latents import MOTION
from vasa_core.motion import MotionConfig, MotionTransformer


def test_work_is_done_as_often_as_asked():
    done = []
    assert timing.median_ms(lambda: done.append(1), times=5) >= 0
    assert len(done) == 5


def test_a_batch_is_one_answer_about_so_many_windows():
    torch.manual_seed(0)
    model = MotionTransformer(MotionConfig(audio_features=8, window=6, past=2, hidden=24, depth=1, heads=2)).eval()
    shapes = []
    model.register_forward_hook(lambda module, given, answer: shapes.append(tuple(answer.shape)))
    timing.batch_ms(model, 3, times=2)
    assert shapes == [(3, 6, MOTION)] * 2
