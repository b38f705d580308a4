"""Where each pixel of a frame comes from: carried over from the portrait, kept in place, drawn, guessed or painted.

At the 256 pixels that the network sees, with the shares and bounds that `mending` puts the frame together by.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from vasa_core.decoder import Decoder, Pose
from vasa_core.sight import FINE_PX

CARRIED, KEPT, BACKDROP, DRAWN, BEHIND, HIDDEN, PAINTED = range(7)
ORIGINS = ("carried", "kept", "backdrop", "drawn", "behind", "hidden", "painted")
"""Carried: the person's own pixels, moved. Kept: the portrait, unmoved. Backdrop: background that the portrait shows.
Drawn: the openings of mouth and eyes (irises are the portrait's own, teeth are not). Behind: background that the person
stood before, continued. Hidden: skin that the portrait does not show, from the colour volume. Painted: the network's.
"""

INVENTED = (BEHIND, HIDDEN, PAINTED)


def origins(decoder: Decoder, pose: Pose) -> Float[np.ndarray, "origin=7 256 256"]:
    """The share of each origin in each pixel; they sum to one. The decoder needs its networks."""
    warp = decoder.warped(pose)
    sight = decoder.sight(pose, warp)
    assert decoder.mending, "the origins of a frame need a decoder with its networks"
    said = decoder.mending.asked(warp.picture, sight)
    kept, painted = said.blend[:2] * said.within
    moved = 1 - kept - painted
    person, face, shown, mouth, eyes = sight.fine.astype(np.float32) / 255
    drawn = np.maximum(mouth, eyes)
    body, hidden = moved * (1 - drawn) * person, face * (1 - shown)
    backdrop, stood = moved * (1 - drawn) * (1 - person), _small(decoder.portrait.matte)
    found = {
        CARRIED: body * (1 - hidden),
        KEPT: kept,
        BACKDROP: backdrop * (1 - stood),
        DRAWN: moved * drawn,
        BEHIND: backdrop * stood,
        HIDDEN: body * hidden,
        PAINTED: painted,
    }
    return np.stack([found[k] for k in range(len(ORIGINS))]).astype(np.float32)


def invented(
    shares_of: Float[np.ndarray, "origin=7 256 256"], within: Float[np.ndarray, "256 256"] | None = None
) -> float:
    """The share of a picture, or of a region of it, that the portrait does not show."""
    where = np.ones(shares_of.shape[1:]) if within is None else within
    return float((shares_of[list(INVENTED)].sum(0) * where).sum() / where.sum())


def _small(plane: np.ndarray) -> np.ndarray:
    return cv2.resize(plane, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
