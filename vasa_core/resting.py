"""Lips at rest where nobody speaks: what is left of the opening is taken away, on a motion that streams by.

The motion model closes most pauses by itself, but may part the lips half a second before a word or leave them parted
after one; in a picture that reads as a mouth that hangs open. The speech encoder knows silence better than any mouth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.latents import EXPRESSION, Motion
from vasa_core.surface import LOWER_LIP, UPPER_LIP, Surface

BACK, AHEAD = 5, 3
"""Frames before and after one that must be silent for its lips to rest: they close 0.2 s after the voice and open
0.12 s before it (people: 120 to 200 ms)."""

SURE = (0.5, 0.9)
"""Likelihood of silence up to which a frame counts as speech, and from which on as silence."""

Silence = Callable[[Float[Tensor, "frame audio"]], Float[Tensor, " frame"]]
"""Audio features to the likelihood that nobody speaks."""


class Rest:
    """Closes lips in pauses, frame by frame, so pieces of any length give the same."""

    def __init__(self, surface: Surface, silence: Silence) -> None:
        basis = np.asarray(surface.dynamics_basis)
        middle = slice(3, 6)
        self._gap = (basis[:, UPPER_LIP[middle], 1] - basis[:, LOWER_LIP[middle], 1]).mean(1)
        close = surface.dynamics_from_weights({"mouthClose": 1.0})[:EXPRESSION]
        self._close = close / -(close @ self._gap)
        self._silence = silence

    def change(self, windows: Iterable[Motion], features: Iterable[Float[Tensor, "_ audio"]]) -> Iterator[Motion]:
        """The same motion with lips that meet in pauses; `features` are those it was made from, in any blocks.

        Each window needs one frame of features more than `AHEAD` beyond its end; around the sound lies silence.
        """
        blocks, quiet = iter(features), np.ones(BACK + 1)  # begins BACK + 1 frames before the window
        for window in windows:
            needed = BACK + 1 + len(window) + AHEAD + 1
            while len(quiet) < needed and (block := next(blocks, None)) is not None:
                quiet = np.concatenate([quiet, self._quiet(block)])
            padded = np.concatenate([quiet, np.ones(max(0, needed - len(quiet)))])[:needed]
            yield self._met(window, resting(padded))
            quiet = quiet[len(window) :]

    def _quiet(self, block: Float[Tensor, "frame audio"]) -> Float[np.ndarray, " frame"]:
        low, high = SURE
        return np.clip((self._silence(block).double().numpy() - low) / (high - low), 0, 1)

    def _met(self, window: Motion, share: Float[np.ndarray, " frame"]) -> Motion:
        """The window with this share of each frame's opening taken away."""
        code = window.facial_dynamics[:, :EXPRESSION].double().numpy()
        taken = share * np.maximum(code @ self._gap, 0)
        facial_dynamics = window.facial_dynamics.clone()
        facial_dynamics[:, :EXPRESSION] += torch.from_numpy(np.outer(taken, self._close)).to(facial_dynamics)
        return Motion(head_pose=window.head_pose, facial_dynamics=facial_dynamics)


def resting(quiet: Float[np.ndarray, " padded"]) -> Float[np.ndarray, " frame"]:
    """How far the lips rest where it is quiet all around, softened; for all but the frames beyond either end."""
    around = np.lib.stride_tricks.sliding_window_view(quiet, BACK + 1 + AHEAD).min(1)
    return np.convolve(around, np.ones(3) / 3, "valid")
