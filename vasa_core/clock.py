"""The one clock: sample rate, video frame rate, and the exact conversions between them.

No other file says 16000 or 25. Conversions divide exactly or fail, so sound and picture cannot drift apart.
"""

from __future__ import annotations

SAMPLE_RATE_HZ = 16_000
"""Sound is mono float32 in [-1, 1] at this rate everywhere inside the engine."""

FRAME_RATE_HZ = 25
"""The motion model's own frame rate; any other output rate is interpolated from it."""


def exact_div(numerator: int, denominator: int) -> int:
    """The quotient, or a ValueError when it is not whole."""
    quotient, remainder = divmod(numerator, denominator)
    if remainder:
        raise ValueError(f"{numerator} is not a multiple of {denominator}")
    return quotient


SAMPLES_PER_FRAME = exact_div(SAMPLE_RATE_HZ, FRAME_RATE_HZ)  # 640 samples, 40 ms


def frames_for_samples(samples: int) -> int:
    """How many motion frames cover this many samples: the last one may be partly silence."""
    return -(-samples // SAMPLES_PER_FRAME)
