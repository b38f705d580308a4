"""The rasteriser in torch: a batch of meshes at once, on any device, without a shape that depends on values.

Every triangle's box of pixels is written out as pairs (triangle, pixel), a fixed number of them for the whole batch;
each pair that lies inside casts depth and triangle, packed into one whole number, into its pixel, where the largest
stays: the nearest triangle, and of equally near ones the first. `geometry.rasterise` is its twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SLACK, BOX_SLACK_PX, LEAST_AREA = 1e-4, 1e-3, 1e-6
"""As in `geometry.rasterise`: a hair of slack closes the cracks that rounding leaves between neighbours."""

NOTHING = torch.iinfo(torch.int64).min


@dataclass(frozen=True, kw_only=True)
class Hits:
    """Which triangle each pixel sees, -1 for none, and where in it; and whether there was room to look at all."""

    triangle: Int[Tensor, "batch high wide"]
    weights: Float[Tensor, "batch high wide 3"]
    lacking: Bool[Tensor, ""]

    @property
    def seen(self) -> Tensor:
        """Where anything is. [batch, high, wide]"""
        return self.triangle >= 0


def hits(
    points: Float[Tensor, "batch vertex 3"],
    triangles: Int[Tensor, "triangle 3"],
    size: tuple[int, int],
    room: int,
    shown: Bool[Tensor, "batch triangle"] | None = None,
) -> Hits:
    """What each pixel of `size` (high, wide) sees of triangles whose points are (pixel x, pixel y, depth; larger is
    nearer), or of those that are `shown`. So many pairs as there is `room` for are looked at for each mesh, on average
    over the batch."""
    batch, count, (high, wide) = len(points), len(triangles), size
    told, counts = _boxes(points[:, triangles], size)
    counts = counts if shown is None else counts * shown
    ends = counts.flatten().cumsum(0)
    slots = torch.arange(batch * room, device=points.device)
    which = torch.searchsorted(ends, slots, right=True).clamp(max=batch * count - 1)
    place = slots - (ends - counts.flatten())[which]
    x, y, inside, depth = _looked_at(told.flatten(1)[:, which], place)
    inside = inside & (slots < ends[-1])
    packed = torch.where(inside, (_ordered(depth) << 32) | (count - which % count), NOTHING)
    at = torch.where(inside, (which // count * high + y) * wide + x, slots % (batch * high * wide))
    nearest = torch.full((batch * high * wide,), NOTHING, dtype=torch.int64, device=points.device)
    nearest = nearest.scatter_reduce(0, at, packed, "amax").view(batch, high, wide)
    triangle = torch.where(nearest == NOTHING, -1, count - (nearest & 0xFFFFFFFF))
    return Hits(triangle=triangle, weights=_weights(told, triangle), lacking=ends[-1] > batch * room)


def pairs(
    points: Float[Tensor, "batch vertex 3"], triangles: Int[Tensor, "triangle 3"], size: tuple[int, int]
) -> Int[Tensor, " batch"]:
    """How much room each mesh takes."""
    return _boxes(points[:, triangles], size)[1].sum(1)


def interpolated(
    hit: Hits,
    attributes: Float[Tensor, "batch vertex channel"],
    triangles: Int[Tensor, "triangle 3"],
    elsewhere: float = 0.0,
) -> Float[Tensor, "batch high wide channel"]:
    """The attributes of what each pixel sees; `elsewhere` where it sees nothing."""
    corners = triangles[hit.triangle.clamp(min=0)]
    frame = torch.arange(len(attributes), device=attributes.device)[:, None, None]
    values = sum(hit.weights[..., k, None] * attributes[frame, corners[..., k]] for k in range(3))
    return torch.where(hit.seen[..., None], values, elsewhere)


def _boxes(
    corners: Float[Tensor, "batch triangle 3 3"], size: tuple[int, int]
) -> tuple[Float[Tensor, "told=12 batch triangle"], Int[Tensor, "batch triangle"]]:
    """Per triangle: first corner x, y; slopes of two weights; depth and its slopes; its box's left, top and width; and
    how many pixels that box holds."""
    first, second, third = corners.unbind(2)
    (x1, y1, z1), (x2, y2, z2) = (second - first).unbind(-1), (third - first).unbind(-1)
    area = x1 * y2 - x2 * y1
    there = area.abs() >= LEAST_AREA
    over = torch.where(there, area, torch.ones_like(area)).reciprocal()
    x0, y0, z0 = first.unbind(-1)
    left, top = ((corners[..., k].amin(2) - BOX_SLACK_PX).ceil().clamp(min=0) for k in (0, 1))
    right, bottom = ((corners[..., k].amax(2) + BOX_SLACK_PX).floor().clamp(max=size[1 - k] - 1) for k in (0, 1))
    wide, high = (right - left + 1).clamp(min=0), (bottom - top + 1).clamp(min=0)
    told = [x0, y0, y2 * over, -x2 * over, -y1 * over, x1 * over, z0, z1, z2, left, top, wide.clamp(min=1)]
    return torch.stack(told), (wide * high * there).long()


def _looked_at(told: Float[Tensor, "told=12 pair"], place: Int[Tensor, " pair"]) -> tuple[Tensor, ...]:
    """Column, row, whether it is inside and its depth, for the `place`-th pixel of each triangle's box."""
    x0, y0, w1x, w1y, w2x, w2y, z0, z1, z2, left, top, wide = told
    ordinal = place.float()
    row = ((ordinal + 0.5) / wide).floor()
    x, y = left + ordinal - row * wide, top + row
    across, down = x - x0, y - y0
    w1, w2 = across * w1x + down * w1y, across * w2x + down * w2y
    inside = (w1 >= -SLACK) & (w2 >= -SLACK) & (w1 + w2 <= 1 + SLACK)
    return x.long(), y.long(), inside, z0 + w1 * z1 + w2 * z2


def _ordered(depth: Float[Tensor, " pair"]) -> Int[Tensor, " pair"]:
    """Whole numbers of 32 bits in the same order as these depths."""
    bits = depth.view(torch.int32)
    return torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()


def _weights(told: Float[Tensor, "told=12 batch triangle"], triangle: Int[Tensor, "batch high wide"]) -> Tensor:
    """Weights of the three corners at each pixel. [batch, high, wide, 3]"""
    batch, high, wide = triangle.shape
    frame = torch.arange(batch, device=told.device)[:, None, None]
    x0, y0, w1x, w1y, w2x, w2y = told[:6, frame, triangle.clamp(min=0)]
    across = torch.arange(wide, device=told.device) - x0
    down = torch.arange(high, device=told.device)[:, None] - y0
    w1, w2 = across * w1x + down * w1y, across * w2x + down * w2y
    return torch.stack([1 - w1 - w2, w1, w2], -1)
