"""How finely people are drawn: small pictures need fewer and wider strands, smaller shadow maps and skin pictures.

The covered area stays about the same: fewer strands are wider, up to a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array

from vasa_core.world.facekit import Number
from vasa_core.world.hair import Strands
from vasa_core.world.people import Beard, Hair, Person

COVER = 0.75  # strands overlap, so fewer need not be wider by the whole of it
CURLED = 0.05  # radius times waves per cm: strands that wind need twice the segments


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One level of detail; the defaults are for portraits of 1024 pixels and more."""

    shadow_tile: int = 1024  # pixels along a shadow map
    shadow_share: int = 4  # only one strand of so many casts a shadow, a wider one
    strands: Number = 1.0  # share of the hairs of head and beard that is grown
    segments: int = 64  # a strand at most
    shadow_cell: Number = 0.0  # cm: what casts shadows is drawn with triangles of this size
    inside: bool = True  # teeth and gums cast shadows, and are drawn behind closed lips
    oversample: Number = 1.0  # pictures are drawn so much larger: cheaper than one more pass
    faintest: Number = 0.0  # lights below this share of all light cast no shadow


FINE = Detail()


def detail_for(size: int) -> Detail:
    """What a picture of so many pixels can show."""
    if size >= 1024:
        return FINE
    return Detail(
        shadow_tile=int(np.clip(2 * size, 256, 1024)),
        strands=max(0.16, size / 1024) ** 1.6,
        segments=int(np.clip(size / 32, 5, 20)),
        shadow_cell=128 / size,
        inside=False,
        oversample=1.5,
        faintest=0.02,
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
        width=(strands.width / share**COVER).astype(strands.width.dtype),
    )


def segments_for(hair: Hair, detail: Detail) -> int:
    """Segments of a strand of head hair: more where it winds."""
    return detail.segments * (3 if hair.wave * hair.wave_per_cm > CURLED else 1)


def coarse_triangles(points: Array, faces: Array, cell: Number) -> Array:
    """The triangles of a mesh with all vertices of a cell of space drawn together into one of them."""
    if cell <= 0:
        return faces
    _, group = np.unique(np.floor(points / cell).astype(int), axis=0, return_inverse=True)
    group = group.ravel()
    middle = np.stack([np.bincount(group, points[:, axis]) for axis in range(3)], 1) / np.bincount(group)[:, None]
    order = np.lexsort((np.linalg.norm(points - middle[group], axis=1), group))
    first = np.r_[True, np.diff(group[order]) > 0]
    chosen = order[first]  # of each cell the vertex nearest to its middle
    merged = chosen[group[faces]]
    merged = merged[(merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])]
    return np.unique(np.sort(merged, axis=1), axis=0)
