"""Lips that meet where they must: at rest while nobody speaks, and for each P, B or M; on a motion that streams by.

The motion model closes most pauses by itself, but may part the lips half a second before a word or leave them parted
after one; in a picture that reads as a mouth that hangs open. The speech encoder knows silence better than any mouth.
Of a stranger it is often unsure whether that was an M or an N; the model then closes halfway. A closure too few is seen
before one too many; a voice that is heard well needs no guesses.
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
"""Likelihood of P, B or M at its peak up to which lips do as they like, and from which on they meet, in a voice that is
heard badly. On recorded people nobody was trained on 0.92 and 0.85 of closures have such a peak within 60 ms, the model
closes at about 0.4: 0.75."""

HEARD_WELL = (0.4, 0.6)
"""The same in a voice that is heard well: the model then closes what is likely by itself, most guesses are wrong."""

CLEAR = (0.62, 0.72)
"""How likely the likeliest phone is, on the mean of all speech so far, of a voice heard badly and of one heard well:
0.48 to 0.69 for recorded strangers (children, accents), 0.65 to 0.87 for synthetic voices nobody was trained on."""

FIRST, FIRST_HALVES = 0.6, 50.0
"""What that mean begins with, and for how many halves it counts: 1 s. Who has not been heard yet is heard badly."""

PEAK = 5
"""Halves (20 ms) to either side among which a peak is the highest: lips seldom close twice in a tenth of a second."""

SHUT = (0.25, 0.75, 1.0, 1.0, 0.75, 0.25)
"""How far lips meet for a peak in each of the six halves around a frame's middle: for one frame, apart two later."""

Silence = Callable[[Float[Tensor, "frame audio"]], Float[Tensor, " frame"]]
"""Audio features to the likelihood that nobody speaks."""

Closing = Callable[[Float[Tensor, "frame audio"]], Float[Tensor, "frame half"]]
"""Audio features to the likelihood, twice a frame, that the lips close for a sound."""

Clearness = Callable[[Float[Tensor, "frame audio"]], Float[Tensor, "frame half"]]
"""Audio features to how likely the likeliest phone is, twice a frame; 0 where nobody speaks."""


Halves = Float[np.ndarray, "frame half"]
Sums = Float[np.ndarray, " sum_and_count=2"]


class Rest:
    """Closes lips in pauses and where `closing` hears it, frame by frame, so pieces of any length give the same."""

    def __init__(
        self, surface: Surface, silence: Silence, closing: Closing | None = None, clearness: Clearness | None = None
    ) -> None:
        """Without `clearness` every voice counts as heard badly."""
        basis = np.asarray(surface.dynamics_basis)
        middle = slice(3, 6)
        self._gap = (basis[:, UPPER_LIP[middle], 1] - basis[:, LOWER_LIP[middle], 1]).mean(1)
        close = surface.dynamics_from_weights({"mouthClose": 1.0})[:EXPRESSION]
        self._close = close / -(close @ self._gap)
        self._silence, self._closing, self._clearness = silence, closing, clearness

    def change(self, windows: Iterable[Motion], features: Iterable[Float[Tensor, "_ audio"]]) -> Iterator[Motion]:
        """The same motion with lips that meet; `features` are those it was made from, in any blocks.

        Each window needs one frame of features more than `AHEAD` beyond its end; around the sound lies silence.
        """
        nothing = np.array([1.0, *[0.0] * 2 * HALVES])
        blocks, heard = iter(features), np.tile(nothing, (BACK + 1, 1))  # begins BACK + 1 frames before the window
        so_far = np.array([FIRST * FIRST_HALVES, FIRST_HALVES])
        for window in windows:
            needed = BACK + 1 + len(window) + AHEAD + 1
            while len(heard) < needed and (block := next(blocks, None)) is not None:
                likely, share, so_far = self._closed(block, so_far)
                quiet = _between(self._silence(block).double().numpy(), SURE)
                heard = np.concatenate([heard, np.concatenate([quiet[:, None], likely, share], axis=1)])
            padded = np.concatenate([heard, np.tile(nothing, (max(0, needed - len(heard)), 1))])[:needed]
            likely, share = (padded[:, 1:].reshape(len(padded), 2, HALVES)[:, part].reshape(-1) for part in (0, 1))
            yield self._met(window, np.maximum(resting(padded[:, 0]), meeting(likely, share)))
            heard = heard[len(window) :]

    def _closed(self, block: Float[Tensor, "frame audio"], so_far: Sums) -> tuple[Halves, Halves, Sums]:
        """How likely the lips close for a sound, how far they meet if that is a peak, and how clear all speech was."""
        if self._closing is None:
            return np.zeros((len(block), HALVES)), np.zeros((len(block), HALVES)), so_far
        likely = self._closing(block).double().numpy()
        clear = self._clearness(block).double().numpy().reshape(-1) if self._clearness else np.zeros(likely.size)
        # one by one from what was before, so that blocks of any length give the same
        sums = np.cumsum(np.concatenate([so_far[None], np.stack([clear, clear > 0], axis=1)]), axis=0)
        well = _between(sums[1:, 0] / sums[1:, 1], CLEAR).reshape(likely.shape)
        low, high = (badly + (rightly - badly) * well for badly, rightly in zip(HEARD, HEARD_WELL, strict=True))
        return likely, np.clip((likely - low) / (high - low), 0, 1), sums[-1]

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


def meeting(
    likely: Float[np.ndarray, " padded_half"], share: Float[np.ndarray, " padded_half"]
) -> Float[np.ndarray, " frame"]:
    """How far lips meet for peaks of this likelihood, each with its share; all but the frames beyond either end."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(likely, PEAK), 2 * PEAK + 1).max(1)
    surely = np.where(likely >= around, share, 0)
    reach = len(SHUT) // 2
    first = HALVES * (BACK + 1) + 1 - reach  # of the halves around the first frame's middle
    frames = len(likely) // HALVES - (BACK + 1) - (AHEAD + 1)
    places = first + HALVES * np.arange(frames)[:, None] + np.arange(len(SHUT))
    return np.asarray((surely[places] * SHUT).max(1))


def resting(quiet: Float[np.ndarray, " padded"]) -> Float[np.ndarray, " frame"]:
    """How far the lips rest where it is quiet all around, softened; for all but the frames beyond either end."""
    around = np.lib.stride_tricks.sliding_window_view(quiet, BACK + 1 + AHEAD).min(1)
    return np.convolve(around, np.ones(3) / 3, "valid")
