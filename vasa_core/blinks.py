"""Blinks as often as asked: the generated ones thinned out, or more of them strewn in, on a motion that streams by.

People blink 10 to 33 times a minute in conversation, each blink 100 to 400 ms long, the waits between them
log-normal (reference: real people talking; Bentivoglio 1997 gives 26 a minute in conversation, 17 at rest).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import ControlCurve
from vasa_core.latents import EXPRESSION, Motion
from vasa_core.surface import LOWER_LIDS, UPPER_LIDS, Surface

USUAL_PER_MINUTE = 18.0
"""How often people blink where nothing else is asked."""

LEARNED_PER_MINUTE = 18.0
"""How often the motion model is taken to blink by itself in ten steps: it shows 16 blinks a minute on held-out
voices (and begins 23), as many as people, so none is strewn in or taken away unasked."""

PULSE = (0.35, 0.85, 1.0, 0.85, 0.45, 0.15)
"""Shares of a full blink, frame by frame: down in 100 ms, up in 140 ms."""

ONSET = 0.3
"""Share of a full blink above the lids' resting place at which a blink is taken for one."""

WAIT_SPREAD = 0.7
"""Standard deviation of the logarithm of the wait between two blinks."""

RESTING_FRAMES = 25
"""Over so many frames the lids' resting place is followed: squints and looks down are no blinks."""


class Lids:
    """How far closed a facial dynamics code holds the lids, as a share of a full blink of both eyes."""

    def __init__(self, surface: Surface) -> None:
        self.blink = surface.dynamics_from_weights({"eyeBlink": 1.0})[:EXPRESSION]
        upper, lower = (list(side[0] + side[1]) for side in (UPPER_LIDS, LOWER_LIDS))
        gaps = (surface.dynamics_basis[:, upper, 1] - surface.dynamics_basis[:, lower, 1]).mean(1)
        self._share_per_code = gaps / (self.blink @ gaps)

    def closed(self, code: Float[np.ndarray, "*frame expression"]) -> Float[np.ndarray, "*frame"]:
        """0 with the neutral face's lids, 1 in a full blink, below 0 with eyes wide open."""
        return np.asarray(code @ self._share_per_code)


class Blinker:
    """Changes how often a stream of motion blinks; frame by frame, so pieces of any length give the same."""

    def __init__(self, surface: Surface, rng: np.random.Generator) -> None:
        self._lids, self._rng = Lids(surface), rng
        self._resting = 0.0
        self._seen = 0
        self._in_blink = self._suppressed = False
        self._pulse = len(PULSE)
        self._wait = self._drawn_wait()

    def change(self, windows: Iterable[Motion], curve: ControlCurve) -> Iterator[Motion]:
        """The same motion with `Controls.blink_rate` times as many blinks as people usually make."""
        for window in windows:
            code = window.facial_dynamics[:, :EXPRESSION].double().numpy()
            shares = self._lids.closed(code)
            wanted = np.array([self._frame(float(share), curve) for share in shares])
            moved = np.outer(wanted - shares, self._lids.blink)
            facial_dynamics = window.facial_dynamics.clone()
            facial_dynamics[:, :EXPRESSION] += torch.from_numpy(moved).to(facial_dynamics)
            yield Motion(head_pose=window.head_pose, facial_dynamics=facial_dynamics)

    def _frame(self, share: float, curve: ControlCurve) -> float:
        rate = curve((self._seen + 0.5) / FRAME_RATE_HZ).blink_rate
        self._seen += 1
        blinking = share > self._resting + ONSET
        if blinking and not self._in_blink:
            self._suppressed = bool(self._rng.random() >= rate * USUAL_PER_MINUTE / LEARNED_PER_MINUTE)
        self._in_blink = blinking
        if not blinking:
            self._resting += (share - self._resting) / RESTING_FRAMES
        kept = min(share, self._resting + ONSET) if blinking and self._suppressed else share
        return max(kept, self._added(rate * USUAL_PER_MINUTE - LEARNED_PER_MINUTE, blinking))

    def _added(self, extra_per_minute: float, blinking: bool) -> float:
        """The share that a blink of our own asks for in this frame; none begins during one that is there."""
        if self._pulse < len(PULSE):
            self._pulse += 1
            return PULSE[self._pulse - 1]
        self._wait -= max(extra_per_minute, 0.0) / 60 / FRAME_RATE_HZ
        if self._wait <= 0 < extra_per_minute and not blinking:
            self._wait, self._pulse = self._drawn_wait(), 0
        return -np.inf

    def _drawn_wait(self) -> float:
        """Wait until the next added blink, where 1 is the mean."""
        return float(self._rng.lognormal(-(WAIT_SPREAD**2) / 2, WAIT_SPREAD))
