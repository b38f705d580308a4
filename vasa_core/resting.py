"""Lips that meet where they must: at rest while nobody speaks, and for each P, B or M; on a motion that streams by.

The motion model closes most pauses by itself, but may part the lips half a second before a word or leave them parted
after one; in a picture that reads as a mouth that hangs open. The speech encoder knows silence better than any mouth.
Of a stranger it is often unsure whether that was an M or an N; the model then closes halfway. A closure too few is seen
before one too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.latents import EXPRESSION, Motion
from vasa_core.speech import HALVES
from vasa_core.surface import LOWER_LIP, UPPER_LIP, Surface

BACK, AHEAD = 5, 3
"""Frames before and after one that must be silent for its lips to rest: they close 0.2 s after the voice and open
0.12 s before it (people: 120 to 200 ms)."""

SURE = (0.5, 0.9)
"""Likelihood of silence up to which a frame counts as speech, and from which on as silence."""

HEARD = (0.12, 0.25)
"""Likelihood of P, B or M at its peak up to which lips do as they like, and from which on they meet. On recorded people
nobody was trained on 0.92 and 0.85 of closures have such a peak within 60 ms, the model closes at about 0.4: 0.75."""

PEAK = 5
"""Halves (20 ms) to either side among which a peak is the highest: lips seldom close twice in a tenth of a second."""

SHUT = (0.25, 0.75, 1.0, 1.0, 0.75, 0.25)
"""How far lips meet for a peak in each of the six halves around a frame's middle: for one frame, apart two later."""

Silence = Callable[[Float[Tensor, "frame audio"]], Float[Tensor, " frame"]]
"""Audio features to the likelihood that nobody speaks."""

Closing = Callable[[Float[Tensor, "frame audio"]], Float[Tensor, "frame half"]]
"""Audio features to the likelihood, twice a frame, that the lips close for a sound."""


class Rest:
    """Closes lips in pauses and where `closing` hears it, frame by frame, so pieces of any length give the same."""

    def __init__(self, surface: Surface, silence: Silence, closing: Closing | None = None) -> None:
        basis = np.asarray(surface.dynamics_basis)
        middle = slice(3, 6)
        self._gap = (basis[:, UPPER_LIP[middle], 1] - basis[:, LOWER_LIP[middle], 1]).mean(1)
        close = surface.dynamics_from_weights({"mouthClose": 1.0})[:EXPRESSION]
        self._close = close / -(close @ self._gap)
        self._silence, self._closing = silence, closing

    def change(self, windows: Iterable[Motion], features: Iterable[Float[Tensor, "_ audio"]]) -> Iterator[Motion]:
        """The same motion with lips that meet; `features` are those it was made from, in any blocks.

        Each window needs one frame of features more than `AHEAD` beyond its end; around the sound lies silence.
        """
        nothing = np.array([1.0, *[0.0] * HALVES])
        blocks, heard = iter(features), np.tile(nothing, (BACK + 1, 1))  # begins BACK + 1 frames before the window
        for window in windows:
            needed = BACK + 1 + len(window) + AHEAD + 1
            while len(heard) < needed and (block := next(blocks, None)) is not None:
                heard = np.concatenate([heard, self._heard(block)])
            padded = np.concatenate([heard, np.tile(nothing, (max(0, needed - len(heard)), 1))])[:needed]
            yield self._met(window, np.maximum(resting(padded[:, 0]), meeting(padded[:, 1:].reshape(-1))))
            heard = heard[len(window) :]

    def _heard(self, block: Float[Tensor, "frame audio"]) -> Float[np.ndarray, "frame quiet_and_halves=3"]:
        """How surely nobody speaks, and in each half how surely the lips close for a sound, 0 to 1."""
        quiet = _between(self._silence(block).double().numpy(), SURE)
        closing = self._closing(block).double().numpy() if self._closing else np.zeros((len(block), HALVES))
        return np.concatenate([quiet[:, None], closing], axis=1)

    def _met(self, window: Motion, share: Float[np.ndarray, " frame"]) -> Motion:
        """The window with this share of each frame's opening taken away."""
        code = window.facial_dynamics[:, :EXPRESSION].double().numpy()
        taken = share * np.maximum(code @ self._gap, 0)
        facial_dynamics = window.facial_dynamics.clone()
        facial_dynamics[:, :EXPRESSION] += torch.from_numpy(np.outer(taken, self._close)).to(facial_dynamics)
        return Motion(head_pose=window.head_pose, facial_dynamics=facial_dynamics)


def _between(likely: Float[np.ndarray, "*any"], bounds: tuple[float, float]) -> Float[np.ndarray, "*any"]:
    """0 up to the first bound, 1 from the second on."""
    return np.clip((likely - bounds[0]) / (bounds[1] - bounds[0]), 0, 1)


def meeting(likely: Float[np.ndarray, " padded_half"]) -> Float[np.ndarray, " frame"]:
    """How far lips meet for peaks of this likelihood; for all but the frames beyond either end."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(likely, PEAK), 2 * PEAK + 1).max(1)
    surely = np.where(likely >= around, _between(likely, HEARD), 0)
    reach = len(SHUT) // 2
    first = HALVES * (BACK + 1) + 1 - reach  # of the halves around the first frame's middle
    frames = len(likely) // HALVES - (BACK + 1) - (AHEAD + 1)
    places = first + HALVES * np.arange(frames)[:, None] + np.arange(len(SHUT))
    return np.asarray((surely[places] * SHUT).max(1))


def resting(quiet: Float[np.ndarray, " padded"]) -> Float[np.ndarray, " frame"]:
    """How far the lips rest where it is quiet all around, softened; for all but the frames beyond either end."""
    around = np.lib.stride_tricks.sliding_window_view(quiet, BACK + 1 + AHEAD).min(1)
    return np.convolve(around, np.ones(3) / 3, "valid")
