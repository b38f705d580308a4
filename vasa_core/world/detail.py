"""How finely people are drawn: small pictures need fewer and wider strands, smaller shadow maps and skin pictures.

The covered area stays: where a quarter of the strands is grown, each is four times as wide, about a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array

from vasa_core.world.facekit import Number
from vasa_core.world.hair import Strands
from vasa_core.world.people import Beard, Hair, Person

CURLED = 0.015  # radius times waves per cm: strands that wind need twice the segments


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One level of detail; the defaults are for portraits of 1024 pixels and more."""

    shadow_tile: int = 1024  # pixels along a shadow map
    shadow_share: int = 4  # only one strand of so many casts a shadow, a wider one
    strands: Number = 1.0  # share of the hairs of head and beard that is grown
    segments: int = 64  # a strand at most
    inside: bool = True  # teeth and gums cast shadows, and are drawn behind closed lips


FINE = Detail()


def detail_for(size: int) -> Detail:
    """What a picture of so many pixels can show."""
    if size >= 1024:
        return FINE
    share = max(0.16, size / 1024) ** (4 / 3)
    return Detail(
        shadow_tile=int(np.clip(2 * size, 256, 1024)),
        shadow_share=2 if size < 512 else 3,
        strands=share,
        segments=int(np.clip(size / 28, 5, 20)),
        inside=False,
    )


def texture_for(size: int) -> int:
    """Side of the skin's picture: a face takes half a frame's width and half a picture's, so as many pixels do."""
    return int(np.clip(size, 128, 2048))


def thinned(person: Person, detail: Detail) -> Person:
    """The person with the share of hairs that is grown; brows and lashes keep theirs."""
    hair: Hair = replace(person.hair, density=person.hair.density * detail.strands)
    beard: Beard | None = person.beard and replace(person.beard, density=person.beard.density * detail.strands)
    return replace(person, hair=hair, beard=beard)


def kept_points(count: int, segments: int) -> Array:
    """Which points of a strand of `count` are drawn: evenly spread, both ends among them."""
    return np.unique(np.round(np.linspace(0, count - 1, min(count, segments + 1))).astype(int))


def coarser(strands: Strands, segments: int, share: Number = 1.0) -> Strands:
    """Strands of at most so many segments, wider by as much as there are fewer of them."""
    kept = kept_points(strands.points.shape[1], segments)
    return replace(
        strands,
        points=strands.points[:, kept],
        normals=strands.normals[:, kept],
        width=(strands.width / share).astype(strands.width.dtype),
    )


def segments_for(hair: Hair, detail: Detail) -> int:
    """Segments of a strand of head hair: more where it winds."""
    return detail.segments * (3 if hair.wave * hair.wave_per_cm > CURLED else 1)
