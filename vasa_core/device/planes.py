"""What OpenCV does with small planes, in torch: polygons, blurs, distances and windows, for a batch of frames at once.

Planes are [batch, high, wide], pictures [batch, high, wide, channel]; contours [batch, point, 2] in pixels, sample at
integer positions. Shapes never depend on values, so all of it can be recorded into a CUDA graph.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from vasa_core.eyes import ROW_SHIFT, ROWS

FIXED = 16.0
"""Contours are taken to a sixteenth of a pixel, as drawing calls with four fractional bits do."""

EDGE_SPREAD = 0.58
"""A soft line fades as exp(-distance^2 / this), the distance counted along the axis that it runs less along."""

AT_ONCE = 8
"""So many segments of a contour are drawn side by side: more would only take more memory."""

CHAMFER = (((1, 0), 1.0), ((1, 1), 1.4), ((2, 1), 2.1969))
"""Steps of `cv2.distanceTransform` with DIST_L2 and a mask of 5, to be turned and mirrored, and their lengths."""


def grid(size: tuple[int, int], device: torch.device) -> tuple[Float[Tensor, "high 1"], Float[Tensor, " wide"]]:
    """Rows and columns of a plane."""
    high, wide = (torch.arange(n, device=device, dtype=torch.float32) for n in size)
    return high[:, None], wide


# ---- polygons --------------------------------------------------------------------------------------------------------


def polygons(contour: Float[Tensor, "batch point 2"], size: tuple[int, int]) -> Float[Tensor, "batch high wide"]:
    """1 inside each closed contour, 0 outside, in between on its soft outline; the twin of `eyes.polygon_mask`."""
    high, wide = size
    x, y = contour[..., 0], (contour[..., 1] + 0.5) * ROWS + ROW_SHIFT
    start = torch.stack([_fixed(x), (_fixed(y) + 0.5).floor()], -1)  # `cv2.fillPoly` takes whole rows
    end = start.roll(-1, 1)
    rows, columns = grid((high * ROWS, wide), contour.device)
    covered = torch.where(_inside(start, end, rows, columns), 1.0, _outlines(start, end, rows, columns))
    return covered.unflatten(1, (high, ROWS)).mean(2)


def strokes(
    path: Float[Tensor, "batch point 2"], thick: Float[Tensor, " batch"], size: tuple[int, int]
) -> Float[Tensor, "batch high wide"]:
    """An open path drawn so many whole pixels thick, 1 on it, soft at its edges; the twin of `cv2.polylines`."""
    rows, columns = grid(size, path.device)
    start, end = _fixed(path[:, :-1]), _fixed(path[:, 1:])
    thin = _outlines(start, end, rows, columns)
    x, y = columns - start[..., 0, None, None], rows - start[..., 1, None, None]
    wx, wy = ((end - start)[..., k, None, None] for k in (0, 1))
    share = ((x * wx + y * wy) / (wx.square() + wy.square()).clamp(min=1e-6)).clamp(0, 1)
    distance = torch.hypot(x - share * wx, y - share * wy).amin(1)
    thick = thick[:, None, None]
    broad = _faded(distance - ((thick + 1) / 2).floor())
    return torch.where(thick > 1.5, broad, thin)


def _fixed(values: Tensor) -> Tensor:
    return (values * FIXED).round() / FIXED


def _faded(beyond: Tensor) -> Tensor:
    """How much a line along an edge covers so far beyond it."""
    line = math.sqrt(0.5) * torch.exp(-beyond.clamp(min=0).square() / EDGE_SPREAD)
    return torch.where(beyond <= 0, 1.0, 1 - (1 - line).square())


def _inside(start: Tensor, end: Tensor, rows: Tensor, columns: Tensor) -> Bool[Tensor, "batch high wide"]:
    """Even-odd rule at pixel middles."""
    (x0, y0), (x1, y1) = ((p[..., 0, None], p[..., 1, None]) for p in (start, end))
    y = rows[:, 0]
    crosses = (y0 <= y) != (y1 <= y)  # [batch, segment, row]
    at = x0 + (y - y0) / torch.where(y1 == y0, 1.0, y1 - y0) * (x1 - x0)
    at = torch.where(crosses, at, 1e9)
    odd = torch.zeros(len(at), len(y), columns.shape[0], dtype=torch.bool, device=at.device)
    for crossing in at.unbind(1):
        odd = odd ^ (crossing[..., None] <= columns)
    return odd


def _outlines(start: Tensor, end: Tensor, rows: Tensor, columns: Tensor) -> Float[Tensor, "batch high wide"]:
    """What soft lines along all segments cover."""
    left = torch.ones(len(start), rows.shape[0], columns.shape[0], device=start.device)
    for some in range(0, start.shape[1], AT_ONCE):
        lines = _lines(start[:, some : some + AT_ONCE], end[:, some : some + AT_ONCE], rows, columns)
        left = left * (1 - lines).prod(1)
    return 1 - left.square()  # OpenCV draws each line twice


def _lines(start: Tensor, end: Tensor, rows: Tensor, columns: Tensor) -> Float[Tensor, "batch segment high wide"]:
    """Soft lines one pixel wide, each ending softly."""
    (x0, y0), (x1, y1) = ((p[..., 0, None, None], p[..., 1, None, None]) for p in (start, end))
    flat = (x1 - x0).abs() > (y1 - y0).abs()
    along, beside = torch.where(flat, columns, rows), torch.where(flat, rows, columns)
    a0, a1, b0, b1 = (torch.where(flat, *pair) for pair in ((x0, y0), (x1, y1), (y0, x0), (y1, x1)))
    slope = (b1 - b0) / torch.where(a1 == a0, 1.0, a1 - a0)
    distance = beside - b0 - slope * (along - a0)
    begun = ((along - torch.minimum(a0, a1) + 1) / 2).clamp(0, 1)
    left = ((torch.maximum(a0, a1) - along + 1) / 2).clamp(0, 1)
    return begun * left * ((1 + slope.square()) / 2).sqrt() * torch.exp(-distance.square() / EDGE_SPREAD)


# ---- blurs, distances ------------------------------------------------------------------------------------------------


def blurred(
    planes: Float[Tensor, "batch high wide"], sigma: Float[Tensor, " batch"], reach: int
) -> Float[Tensor, "batch high wide"]:
    """Gaussian blur with a width of its own for each plane, cut off as `cv2.GaussianBlur` does, at most at `reach`."""
    taps = torch.arange(-reach, reach + 1, device=planes.device, dtype=planes.dtype)
    cut = ((8 * sigma + 1).round() / 2).floor().clamp(max=reach)
    weights = torch.exp(-taps.square() / (2 * sigma.square())[:, None]) * (taps.abs() <= cut[:, None])
    weights = (weights / weights.sum(1, keepdim=True))[:, None]
    for _ in range(2):
        padded = F.pad(planes[None], (reach, reach, 0, 0), mode="reflect")
        planes = F.conv2d(padded, weights[:, :, None], groups=len(weights))[0].mT
    return planes


def distances(solid: Bool[Tensor, "batch high wide"], most: int) -> Float[Tensor, "batch high wide"]:
    """How far each pixel of `solid` is from the nearest that is not, in the chamfer steps of OpenCV, up to `most`."""
    steps = {
        (sy * dy, sx * dx): length
        for (a, b), length in CHAMFER
        for dy, dx in ((a, b), (b, a))
        for sy in (-1, 1)
        for sx in (-1, 1)
    }
    far = float(most + 1)
    away = torch.where(solid, far, 0.0)
    high, wide = away.shape[1:]
    for _ in range(most):
        padded = F.pad(away, (2, 2, 2, 2), value=far)
        reached = [
            padded[:, 2 + dy : 2 + dy + high, 2 + dx : 2 + dx + wide] + length for (dy, dx), length in steps.items()
        ]
        away = torch.minimum(away, torch.stack(reached).amin(0))
    return away.clamp(max=float(most))


# ---- windows ---------------------------------------------------------------------------------------------------------


class Window:
    """A box of fixed size that lies elsewhere in every frame of a batch."""

    def __init__(self, middle: Float[Tensor, "batch 2"], size: tuple[int, int], frame_px: int) -> None:
        """Around `middle` (x, y), but inside the frame."""
        high, wide = size
        device = middle.device
        most = torch.stack([torch.full_like(middle[0, 0], frame_px - n) for n in (wide, high)])
        half = torch.stack([torch.full_like(most[0], n // 2) for n in (wide, high)])
        self.size = size
        self.origin = torch.minimum((middle.round() - half).clamp(min=0), most)
        self._frame = torch.arange(len(middle), device=device)[:, None, None]
        self._rows = (self.origin[:, 1].long()[:, None] + torch.arange(high, device=device))[:, :, None]
        self._columns = (self.origin[:, 0].long()[:, None] + torch.arange(wide, device=device))[:, None]

    def of(self, pictures: Float[Tensor, "batch _ _ *channel"]) -> Float[Tensor, "batch high wide *channel"]:
        """What lies there."""
        return pictures[self._frame, self._rows, self._columns]

    def put(
        self, pictures: Float[Tensor, "batch _ _ *channel"], part: Float[Tensor, "batch high wide *channel"]
    ) -> None:
        """Writes it back."""
        pictures[self._frame, self._rows, self._columns] = part

    def inside(self, points: Float[Tensor, "batch point 2"]) -> Float[Tensor, "batch point 2"]:
        """Points of the frame as points of the window."""
        return points - self.origin[:, None]

    def places(self) -> Float[Tensor, "batch high wide 2"]:
        """Which pixel (x, y) of the frame each of its pixels is."""
        shape = (len(self.origin), *self.size)
        return torch.stack([self._columns.expand(shape), self._rows.expand(shape)], -1).float()


def looked_up(
    plate: Float[Tensor, "high wide channel"], at: Float[Tensor, "batch high2 wide2 2"]
) -> Float[Tensor, "batch high2 wide2 channel"]:
    """Linear between pixels of one plate at places (x, y), held at its border; places to a 32nd, as `cv2.remap`."""
    size = torch.stack([torch.full_like(at[0, 0, 0, 0], n) for n in (plate.shape[1], plate.shape[0])])
    where = ((at * 32).round() / 32 * 2 + 1) / size - 1
    source = plate.permute(2, 0, 1)[None].expand(len(at), -1, -1, -1)
    seen = F.grid_sample(source, where, align_corners=False, padding_mode="border")
    return seen.permute(0, 2, 3, 1)
