"""Lips that close and lids that shut: what a sum of basis shapes cannot promise, put right on each person's own face.

The bases know one average opening; a portrait has its own. So lids follow the *share* of a full blink that the
surface's own lids make and meet on a line that hangs less than the open lower lid, and lips that would pass through
each other meet halfway. The corrections fade out over the skin around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vasa_core.surface import (
    EYE_CORNERS,
    LANDMARKS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    Surface,
    between_landmarks,
)

LID_REACH_CM = 0.75
LIP_REACH_CM = 0.6
WIDEST_LIDS = 1.35
"""Lids open at most this share wider than in the portrait."""

SHUT_SHARE = 0.22
"""Lids within this share of a full blink count as shut: generated blinks bottom out at 0.3 of open in the middle."""

SEAM_SHARE = 0.7
"""The lower lid of a shut eye hangs this share as far below the eye's corners as it does in the portrait: it rises and
draws tight."""

OVERLAP_SHARE = 0.15
"""A shut upper lid overlaps the lower one by this share of the opening: landmarks lie a little inside the lids'
edges."""

FORWARD_CM = 0.12
"""How far a shut upper lid stands in front of the lower one."""

LASH_SHARE = 0.85
"""The skin next to the lid's edge goes along with it, lashes unstretched; the fold above gives."""


@dataclass(frozen=True, kw_only=True)
class Lids:
    """One eye's lids: vertices of the upper contour and of what is under it (lower contour and corners)."""

    upper: Int[np.ndarray, " upper"]
    under: Int[np.ndarray, " under"]
    below: Float[np.ndarray, "upper under"]
    """Weights of the points straight below the upper contour."""
    opening: Float[np.ndarray, " upper"]
    """How far the surface's own full blink brings each upper point down onto the lower contour (cm)."""
    reach: Float[np.ndarray, "face upper"]
    lashes: tuple[Int[np.ndarray, " vertex"], Int[np.ndarray, " vertex"], Int[np.ndarray, " vertex"]]
    above: Float[np.ndarray, "under upper"]
    """Weights of the points of the upper contour straight above what is under it."""
    rise: Float[np.ndarray, " under"]
    """How much farther up than the surface's own blink a shut eye's lower contour goes (cm)."""
    lower_reach: Float[np.ndarray, "face under"]


class Contact:
    """Corrections for one person: call with the rest vertices' displacement, get it back with lips and lids in
    contact."""

    def __init__(self, surface: Surface, rest: Float[np.ndarray, "face 3"]) -> None:
        """`rest` is the portrait's resting face in canonical coordinates."""
        self.rest = rest
        eyes = zip(UPPER_LIDS, LOWER_LIDS, EYE_CORNERS, strict=True)
        self.lids = [_lids(surface, rest, np.array(upper), np.array(lower), corners) for upper, lower, corners in eyes]
        upper, lower = np.array(UPPER_LIP), np.array(LOWER_LIP)
        self.lips = upper, lower
        self.lip_gap = np.maximum(rest[upper, 1] - rest[lower, 1], 0)
        self.upper_reach = _exact(
            surface, _reach(rest, upper, LIP_REACH_CM) * _side(rest, upper, lower, above=True), upper, lower
        )
        self.lower_reach = _exact(
            surface, _reach(rest, lower, LIP_REACH_CM) * _side(rest, upper, lower, above=False), lower, upper
        )

    def __call__(self, displacement: Float[np.ndarray, "face 3"]) -> Float[np.ndarray, "face 3"]:
        """The displacement with shut lids shut and closed lips closed."""
        moved = displacement.copy()
        for lids in self.lids:
            below, under = lids.below, displacement[lids.under]
            change = displacement[lids.upper, 1] - below @ under[:, 1]
            share = 1 + change / lids.opening
            share = np.clip((share - SHUT_SHARE) / (1 - SHUT_SHARE), 0, WIDEST_LIDS)
            kept = np.where(share < 1, share * (1 + OVERLAP_SHARE) - OVERLAP_SHARE, share)
            shut = np.clip(1 - share, 0, 1)
            raised = np.zeros_like(under)
            raised[:, 1] = lids.rise * (lids.above @ shut)
            floor = below @ self.rest[lids.under]
            gap = self.rest[lids.upper] - floor
            wanted = below @ (under + raised) + floor + kept[:, None] * gap - self.rest[lids.upper]
            wanted[:, 2] += FORWARD_CM * shut
            moved += lids.reach @ (wanted - displacement[lids.upper]) + lids.lower_reach @ raised
            lash, edge, fold = lids.lashes
            moved[lash] = LASH_SHARE * moved[edge] + (1 - LASH_SHARE) * moved[fold]
        upper, lower = self.lips
        overlap = np.minimum(self.lip_gap + displacement[upper, 1] - displacement[lower, 1], 0)
        half = np.zeros((len(overlap), 3), np.float32)
        half[:, 1] = -overlap / 2
        return moved + self.upper_reach @ half - self.lower_reach @ half


def _lids(surface: Surface, rest: np.ndarray, upper: np.ndarray, lower: np.ndarray, corners: tuple[int, int]) -> Lids:
    """One eye's lids on this resting face."""
    blink = surface.displacement(surface.dynamics_from_weights({"eyeBlink": 1.0}))
    under = np.array([*lower, *corners])
    below = _below(rest, upper, under)
    reach = _reach(rest, upper, LID_REACH_CM) * _side(rest, upper, lower, above=True)
    lower_reach = _reach(rest, lower, LID_REACH_CM) * _side(rest, upper, lower, above=False)
    fixed = np.zeros((len(rest), len(corners)), np.float32)
    line = np.interp(rest[under, 0], *rest[list(corners)][np.argsort(rest[list(corners), 0]), :2].T)
    hanging = np.maximum(line - rest[under, 1], 0)
    rise = (1 - SEAM_SHARE) * hanging - blink[under, 1]
    rise[-len(corners) :] = 0
    return Lids(
        upper=upper,
        under=under,
        below=below,
        opening=np.maximum((below @ blink[under] - blink[upper])[:, 1], 0.06),
        reach=_exact(surface, reach, upper, lower),
        lashes=_lashes(surface, upper),
        above=_below(rest, under, upper),
        rise=rise.astype(np.float32),
        lower_reach=np.concatenate([_exact(surface, lower_reach, lower, upper), fixed], 1),
    )


def _below(points: np.ndarray, upper: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Weights by which the points `under` give the one straight below (or above) each upper one. [upper, under]"""
    order = np.argsort(points[under, 0])
    weights = np.zeros((len(upper), len(under)), np.float32)
    for column in range(len(under)):
        hat = np.zeros(len(under))
        hat[column] = 1
        weights[:, column] = np.interp(points[upper, 0], points[under[order], 0], hat[order])
    return weights


def _lashes(surface: Surface, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The subdivided vertices just above the lid's edge, each with the edge landmark and the fold landmark it lies
    between."""
    a, b = between_landmarks(surface)
    on_a, on_b = np.isin(a, upper), np.isin(b, upper)
    corners = [corner for eye in EYE_CORNERS for corner in eye]
    single = (on_a ^ on_b) & ~np.isin(a, corners) & ~np.isin(b, corners)
    vertex = np.where(single)[0]
    edge, fold = np.where(on_a, a, b)[vertex], np.where(on_a, b, a)[vertex]
    return vertex + LANDMARKS, edge, fold


def _reach(points: np.ndarray, contour: np.ndarray, reach_cm: float) -> np.ndarray:
    """How much each vertex follows each contour vertex: nearest ones most, fading with distance. [face, contour]"""
    distance = np.linalg.norm(points[:, None] - points[contour][None], axis=-1)
    nearest = distance.min(1, keepdims=True)
    share = np.exp(-((distance - nearest) / 0.18))
    fade = np.clip(1 - nearest / reach_cm, 0, 1)
    return (share / share.sum(1, keepdims=True) * fade * fade * (3 - 2 * fade)).astype(np.float32)


def _side(points: np.ndarray, upper: np.ndarray, lower: np.ndarray, above: bool) -> np.ndarray:
    """1 on the vertices above (or below) the line midway between the two contours. [face, 1]"""
    middle = (points[upper] + points[lower]) / 2
    order = np.argsort(middle[:, 0])
    line = np.interp(points[:, 0], middle[order, 0], middle[order, 1])
    side = points[:, 1] > line if above else points[:, 1] < line
    return side[:, None].astype(np.float32)


def _exact(surface: Surface, reach: np.ndarray, contour: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Contour vertices follow themselves alone and not at all the other side, so the contact is exact; halved edges
    follow their two ends."""
    reach[other] = 0
    reach[contour] = np.eye(len(contour), dtype=np.float32)
    a, b = between_landmarks(surface)
    reach[LANDMARKS:] = (reach[a] + reach[b]) / 2
    return reach
