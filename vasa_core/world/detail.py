"""How finely people are drawn: small pictures need fewer and wider strands, smaller shadow maps and skin pictures.

The covered area stays the same. Head hair knows its own level of detail (`hair.grow`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.facekit import Number
from vasa_core.world.facial_hair import Rooted
from vasa_core.world.hair import Strands
from vasa_core.world.people import Hair

WINDS = 0.05  # radius in cm times waves per cm: hair that winds
TWISTED = ("locs", "braids", "cornrows")


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One level of detail; the defaults are for portraits of 1024 pixels and more."""

    shadow_tile: int = 1024  # pixels along a shadow map
    shadow_share: int = 4  # only one strand of so many casts a shadow, a wider one
    thinnest: Number = 0.0  # width of the strands of brows, lashes and beards, in pixels
    segments: int = 64  # of such a strand at most
    hair_pixel: Number = 1.0  # head hair is grown for pixels so many times as large
    hair_segments: int = 128  # of a strand of head hair at most; three times as many where it winds
    shadow_cell: Number = 0.0  # cm: what casts shadows is drawn with triangles of this size
    inside: bool = True  # mouth, sockets and eyes cast shadows, and teeth are drawn behind closed lips
    oversample: Number = 1.0  # pictures are drawn so much larger: cheaper than one more pass
    faintest: Number = 0.0  # lights below this share of all light cast no shadow
    still_lights: bool = False  # fill and rim keep their place, and their shadows, through all passes


FINE = Detail()


def detail_for(size: int) -> Detail:
    """What a picture of so many pixels can show."""
    if size >= 1024:
        return FINE
    return Detail(
        shadow_tile=int(np.clip(size, 192, 1024)),
        thinnest=0.45,
        hair_pixel=1.8 if size < 384 else 1.0,
        hair_segments=round(max(12, size / 20)),
        segments=3 if size < 384 else 5,
        shadow_cell=128 / size,
        inside=False,
        oversample=1.125,
        faintest=0.04,
        still_lights=True,
    )


def texture_for(size: int) -> int:
    """Side of the skin's picture: a face takes half a frame's width and half a picture's, so as many pixels do."""
    return int(np.clip(size, 128, 2048))


def sparser(rooted: Rooted, thinnest: Number, segments: int, rng: Generator) -> Rooted:
    """Fewer and wider strands, so that the typical one is not thinner than this (cm); of at most so many segments."""
    share = float(np.clip(np.median(rooted.width) / max(thinnest, 1e-9), 0.02, 1.0))
    chosen = np.sort(rng.permutation(len(rooted.width))[: max(1, round(share * len(rooted.width)))])
    kept = _kept(rooted.offsets.shape[1], segments)
    return Rooted(
        corners=rooted.corners[chosen][:, kept],
        weights=rooted.weights[chosen][:, kept],
        offsets=rooted.offsets[chosen][:, kept],
        normals=rooted.normals[chosen][:, kept],
        tint=rooted.tint[chosen],
        width=rooted.width[chosen] / share,
    )


def coarser(strands: Strands, hair: Hair, detail: Detail) -> Strands:
    """Head hair of at most so many segments."""
    winds = hair.wave * hair.wave_per_cm > WINDS or hair.style in TWISTED
    kept = _kept(strands.points.shape[1], detail.hair_segments * (3 if winds else 1))
    return replace(strands, points=strands.points[:, kept], normals=strands.normals[:, kept])


def _kept(count: int, segments: int) -> Array:
    """Which points of a polyline of `count` stay: evenly spread, both ends among them."""
    return np.unique(np.round(np.linspace(0, count - 1, min(count, segments + 1))).astype(int))


def coarse_triangles(points: Array, faces: Array, cell: Number) -> Array:
    """The triangles of a mesh with all vertices of a cell of space drawn together into one of them."""
    if cell <= 0:
        return faces
    used = np.unique(faces)
    _, group = np.unique(np.floor(points[used] / cell).astype(int), axis=0, return_inverse=True)
    group = group.ravel()
    middle = np.stack([np.bincount(group, points[used, axis]) for axis in range(3)], 1) / np.bincount(group)[:, None]
    order = np.lexsort((np.linalg.norm(points[used] - middle[group], axis=1), group))
    nearest = used[order[np.r_[True, np.diff(group[order]) > 0]]]  # of each cell the vertex next to its middle
    merged = nearest[group[np.searchsorted(used, faces)]]
    merged = merged[(merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])]
    return np.unique(np.sort(merged, axis=1), axis=0)
