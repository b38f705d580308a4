"""Smiles that give way: lips that smile in the portrait let go of it where they are asked to round, or to smile anew.

A smile draws lips wide, and rounding them on top of it leaves them wide: OO would stay a smile with teeth. Who smiles
and says OO stops smiling for as long. So the portrait's own smile is taken back by the share of rounding that the
motion asks for beyond the portrait's own look. And nobody smiles twice: a mood's smile on top of the portrait's ends
where a broad smile does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vasa_core.latents import EXPRESSION
from vasa_core.surface import LIP_CORNERS, Surface

GIVES_WAY = 0.9
"""Share of a smile that rounded lips take away."""

ROUNDED = 0.6
"""Lips are as round as speech makes them at this share of a full pucker."""

LEAST_CM = 0.2
"""A smile gives way over no less of a narrowing than this."""

BROADEST = 1.25
"""Lips smile no broader than this many of the surface's full smiles."""

LEAST_ROOM = 0.2
"""Though who smiles as broadly in the portrait may still smile so much more."""

KNEE = 0.8
"""Share of that room in which smiles are as asked; beyond it they near its end."""


@dataclass(frozen=True, kw_only=True)
class Smile:
    """One portrait's smile, as facial dynamics."""

    across: Float[np.ndarray, " dynamics=50"]
    """How much wider each coordinate makes the lips (cm)."""
    own_width: Float[np.ndarray, ""]
    """How much wider the portrait's own look makes them than its rest (cm)."""
    full: Float[np.ndarray, ""]
    """By how much rounded lips are narrower than in the portrait's own look (cm)."""
    code: Float[np.ndarray, " dynamics=50"]
    """What rounded lips take away."""
    smiling: Float[np.ndarray, " dynamics=50"]
    """How much of a full smile each coordinate is, told by the corners of the lips."""
    own: Float[np.ndarray, ""]
    """How much of one the portrait's own look is beyond its rest."""
    room: Float[np.ndarray, ""]
    """How many full smiles may be added to that look."""
    full_smile: Float[np.ndarray, " dynamics=50"]

    def yielding(self, facial_dynamics: Float[np.ndarray, " dynamics=50"]) -> Float[np.ndarray, " dynamics=50"]:
        """Facial dynamics with as much of the smile taken back as they round the lips, or smile too broadly."""
        narrowed = (self.own_width - facial_dynamics @ self.across) / self.full
        beyond = facial_dynamics @ self.smiling - self.own - KNEE * self.room
        rest = (1 - KNEE) * self.room
        surplus = np.maximum(beyond, 0) - rest * (1 - np.exp(-np.maximum(beyond, 0) / rest))
        return (
            facial_dynamics
            - np.clip(narrowed, 0, 1).astype(np.float32) * self.code
            - surplus.astype(np.float32) * self.full_smile
        )


def smile_of(
    surface: Surface, rest_dynamics: Float[np.ndarray, " dynamics=50"], own: Float[np.ndarray, " dynamics=50"]
) -> Smile:
    """The smile of a portrait with this resting face, whose own look adds `own` to it."""
    right, left = (surface.dynamics_basis[:, corner, 0] for corner in LIP_CORNERS)
    across = np.zeros(len(rest_dynamics), np.float32)
    across[:EXPRESSION] = left - right
    smile, pucker = (surface.dynamics_from_weights({name: 1.0}) for name in ("mouthSmile", "mouthPucker"))
    share = np.clip((rest_dynamics @ across) / (smile @ across), 0, 1)
    own_width = own @ across
    corners = np.zeros((2, len(rest_dynamics)), np.float32)
    corners[0] = across
    corners[1, :EXPRESSION] = surface.dynamics_basis[:, list(LIP_CORNERS), 1].sum(1)
    way = corners @ smile
    smiling = way @ corners / (way @ way)
    shown = (rest_dynamics + own) @ smiling
    return Smile(
        across=across,
        own_width=np.asarray(own_width),
        full=np.asarray(max(own_width - ROUNDED * (pucker @ across), LEAST_CM)),
        code=(GIVES_WAY * share * smile).astype(np.float32),
        smiling=smiling.astype(np.float32),
        own=np.asarray(own @ smiling),
        room=np.asarray(max(BROADEST - max(shown, 0.0), LEAST_ROOM)),
        full_smile=smile.astype(np.float32),
    )
