"""The inside of open mouths, for a batch of frames: `mouth.draw_mouth` in torch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from vasa_core.decoder import Decoder
from vasa_core.device.planes import Window, blurred, distances, looked_up, polygons
from vasa_core.device.posing import Normals, Poses, Posing, enlarged, on
from vasa_core.device.raster import Hits, hits, interpolated
from vasa_core.device.warping import whole
from vasa_core.mouth import (
    CHEEK,
    CHEEK_DEEP_CM,
    CHEEK_IN,
    CHEEK_LIT,
    CHEEK_SHARE,
    FAR_CM,
    LOWER,
    LOWER_TEETH_CM,
    NEAR_CM,
    OVERSAMPLING,
    SHADE,
    THIN_PX,
    TONGUE,
    UPPER,
    UPPER_TEETH_CM,
)

PARTS = (("upper_teeth", UPPER), ("lower_teeth", LOWER), ("tongue", TONGUE))
ROOM_SHARE = (2.3, 2.0)
"""Width and height of the window that mouths are drawn in, in widths of the portrait's mouth."""

SOFT_PX, SOFT_REACH = 0.7, 3
LIT_FROM_PX = 4
"""The lips' shadow ends so far behind them."""


def even(pixels: float, most: int) -> int:
    """At least so many pixels, but not more than `most`, and a multiple of 16."""
    return min(int(np.ceil(pixels / 16)) * 16, most)


class Mouths:
    """One portrait's teeth, gums and tongue."""

    def __init__(self, decoder: Decoder, device: torch.device) -> None:
        surface, light = decoder.surface, decoder.light
        self.zoom, self.frame_px = decoder.zoom, decoder.plates.crop.shape[0]
        self.span = slice(surface.parts[PARTS[0][0]].start, surface.parts[PARTS[-1][0]].stop)
        triangles = [surface.triangles[part] - self.span.start for part, _ in PARTS]
        kinds = np.concatenate([np.full(len(t), kind) for t, (_, kind) in zip(triangles, PARTS, strict=True)])
        meshed = np.concatenate(triangles)
        walls = _walls(len(decoder.lips))  # drawn first, as `mouth._cavity` does
        self.lips = on(device, decoder.lips)
        self.deep = on(device, np.repeat([0.0, 1.0], len(decoder.lips)))
        kinds = np.concatenate([np.full(len(walls), CHEEK), kinds])
        self.triangles = on(device, np.concatenate([walls, meshed + 2 * len(decoder.lips)]))
        self.kinds = on(device, kinds.astype(np.float32))
        self.normals = Normals(meshed, self.span.stop - self.span.start, device)
        self.arch = on(device, surface.arch_coordinates[self.span])
        self.colours = {name: on(device, getattr(light, name)) for name in ("teeth", "gums", "tongue", "dark")}
        self.shade, self.gum_line = on(device, SHADE), light.gum_line
        self.own = _own(decoder, self.span, device)
        self.sets = [(UPPER, *_arch(UPPER_TEETH_CM, device)), (LOWER, *_arch(LOWER_TEETH_CM, device))]
        self.paths = [on(device, path) for path in decoder.lip_paths]
        width = float(np.ptp(decoder.drawn_from[0][decoder.lip_paths[0], 0]))
        self.window = even(ROOM_SHARE[1] * width, self.frame_px), even(ROOM_SHARE[0] * width, self.frame_px)
        self.soft = torch.full((1,), SOFT_PX, device=device)

    def openings(self, projected: Float[Tensor, "batch vertex 3"]) -> Float[Tensor, "batch n 2"]:
        """The contours between the lips (px)."""
        return opening(projected, *self.paths)

    def draw(
        self, pictures: Float[Tensor, "batch size size 3"], poses: Poses, posing: Posing, contour: Tensor, room: int
    ) -> Hits:
        """Draws the inside of each mouth into its picture within the inner lips' `contour`, in pixels of that picture;
        tells what the rasteriser says."""
        window, low, high = within(contour, self.window, 2, 3, self.frame_px)
        mask = polygons(window.inside(contour), self.window)
        drawn = ((high - low).amin(1) >= 2) & (mask.sum((1, 2)) >= 3)
        hit, inside, shown = self._cavity(poses, posing, window, room)
        solid = mask > 0.5
        inside = inside * self._shadow(solid, (high - low)[:, 0])[..., None]
        if shown is not None:
            inside = inside + shown[..., 3:] * (shown[..., :3] - inside)
        thin = (solid.sum(1, keepdim=True) / THIN_PX).clamp(max=1)
        share = blurred(mask, self.soft.expand(len(mask)), SOFT_REACH) * (mask * 1.5).clamp(max=1) * thin
        share = (share * drawn[:, None, None])[..., None]
        window.put(pictures, whole(window.of(pictures) * (1 - share) + inside * share))
        return hit

    def _shadow(self, solid: Tensor, wide: Float[Tensor, " batch"]) -> Float[Tensor, "batch high wide2"]:
        """Lips shade what lies just behind them; the twin of `mouth._lip_shadow`."""
        depth = distances(solid, LIT_FROM_PX) / LIT_FROM_PX
        first = solid.to(torch.uint8).argmax(1, keepdim=True)
        rows = torch.arange(solid.shape[1], device=solid.device)[:, None]
        below_upper = ((rows - first) / (0.16 * wide[:, None, None])).clamp(0, 1)
        return (0.8 + 0.2 * depth) * (0.75 + 0.25 * below_upper.sqrt())

    def points(self, poses: Poses, posing: Posing, window: Window) -> Float[Tensor, "batch point 3"]:
        """Walls of the cheeks, teeth and tongue, in pixels of the window drawn larger."""
        there = torch.cat([posing.seen(self._behind(poses), poses), poses.projected[:, self.span]], 1)
        there = enlarged(there, self.zoom)
        return torch.cat([window.inside(there[..., :2]) * OVERSAMPLING, there[..., 2:]], -1)

    def _behind(self, poses: Poses) -> Float[Tensor, "batch twice_n 3"]:
        """The twin of `mouth.inner_cheeks`."""
        lips = poses.canonical[:, self.lips]
        middle = lips.mean(1, keepdim=True)
        x, y, z = (lips - middle).unbind(-1)
        return torch.cat([lips, torch.stack([x * CHEEK_IN, y, z - CHEEK_DEEP_CM], -1) + middle], 1)

    def _cavity(
        self, poses: Poses, posing: Posing, window: Window, room: int
    ) -> tuple[Hits, Float[Tensor, "batch high wide 3"], Float[Tensor, "batch high wide 4"] | None]:
        """The unclipped inside of each mouth, and the portrait's own teeth there; the twin of `mouth._cavity`."""
        high, wide = window.size
        points = self.points(poses, posing, window)
        wall, shown = self._walled(points)
        hit = hits(points, self.triangles, (high * OVERSAMPLING, wide * OVERSAMPLING), room, shown)
        facing = self.normals(poses.posed[:, self.span])[..., 2:].abs()
        told = [self.arch.expand(len(points), -1, -1), poses.canonical[:, self.span, 2:], facing]
        if self.own is not None:
            told.append(self.own[1].expand(len(points), -1, -1))
            wall = F.pad(wall, (0, 2))
        seen = interpolated(hit, torch.cat([wall, torch.cat(told, -1)], 1), self.triangles)
        kind = torch.where(hit.seen, self.kinds[hit.triangle.clamp(min=0)], 0.0)
        inside = _halved(self._shaded(seen[..., :4], kind))
        if self.own is None:
            return hit, inside, None
        shown = looked_up(self.own[0], seen[..., 4:])
        tooth = ((kind == UPPER) | (kind == LOWER))[..., None]
        return hit, inside, _halved(torch.cat([shown[..., :3], shown[..., 3:] * tooth], -1))

    def _walled(self, points: Tensor) -> tuple[Float[Tensor, "batch twice_n 4"], Bool[Tensor, "batch triangle"]]:
        """What the cheeks' points tell, how far towards a corner and how deep, 0 to 1; and which triangles are there,
        as only corners have walls; the twin of `mouth._cheeks`."""
        count = len(self.lips)
        x = points[:, :count, 0]
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        half = ((high - low) / 2).clamp(min=1e-3)
        aside = ((x - (high + low) / 2).abs() / half - CHEEK_SHARE) / (1 - CHEEK_SHARE)
        told = torch.stack([aside.clamp(0, 1).repeat(1, 2), self.deep.expand(len(points), -1)], -1)
        wall = ((aside > 0) & (aside.roll(-1, 1) > 0)).repeat(1, 2)
        return F.pad(told, (0, 2)), F.pad(wall, (0, len(self.triangles) - 2 * count), value=True)

    def _shaded(self, seen: Tensor, kind: Tensor) -> Float[Tensor, "batch high2 wide2 3"]:
        """The twin of `mouth._shade`."""
        u, v, z, facing = seen.unbind(-1)
        lit = ((z - FAR_CM) / (NEAR_CM - FAR_CM)).clamp(0, 1) * (0.6 + 0.4 * facing)
        groove = 1 - 0.25 * torch.exp(-((u / 0.12) ** 2))
        tongue = self.colours["tongue"] * (0.28 + 0.85 * lit * groove)[..., None]
        dark = self.colours["dark"]
        cheek = dark + (CHEEK_LIT * u.clamp(min=0).sqrt() * (1 - v) ** 2)[..., None] * (self.colours["gums"] - dark)
        colour = torch.where((kind == TONGUE)[..., None], tongue, dark)
        colour = torch.where((kind == CHEEK)[..., None], cheek, colour)
        for which, ends, halves in self.sets:
            teeth = self._teeth(u, v, 0.25 + 0.75 * lit, ends, halves)
            colour = torch.where((kind == which)[..., None], teeth, colour)
        return colour

    def _teeth(self, u: Tensor, v: Tensor, lit: Tensor, ends: Tensor, halves: Tensor) -> Tensor:
        """The twin of `mouth._teeth`."""
        far = u.abs()
        index = (torch.searchsorted(ends, far, right=True) - 1).clamp(0, len(halves) - 1)
        half = halves[index]
        across = (far - ends[index] - half) / half
        seam = ((1 - across.abs()) * half / 0.07).clamp(0, 1)
        edge = 1 - 0.05 * across**4 - 0.05 * (index == 1)
        gum = self.gum_line + 0.20 * across**2
        bright = (0.92 + 0.08 * (1 - across**2).clamp(0, 1)) * (0.90 + 0.10 * seam) * (0.94 + 0.06 * v.clamp(0, 1))
        flesh = ((gum - v) / 0.10).clamp(0, 1)[..., None]
        colour = self.colours["teeth"] * bright[..., None] * (1 - flesh) + self.colours["gums"] * flesh
        colour = colour * lit[..., None] ** self.shade
        past = ((v - edge) / 0.05).clamp(0, 1)[..., None]
        return colour * (1 - past) + self.colours["dark"] * past


def _walls(count: int) -> np.ndarray:
    """Triangles between each two of `count` points and those behind them."""
    here = np.arange(count)
    there = np.roll(here, -1)
    both = [np.stack([here, there, here + count], 1), np.stack([there, there + count, here + count], 1)]
    return np.concatenate(both)


def _own(decoder: Decoder, span: slice, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """The portrait with how surely each pixel is a tooth, and where the drawn teeth lie in it, if it shows any."""
    own = decoder.teeth
    if own is None:
        return None
    picture = np.concatenate([own.picture, own.share[..., None]], -1).astype(np.float32)
    return on(device, picture), on(device, own.places_px[span])


def _halved(drawn: Float[Tensor, "batch high2 wide2 channel"]) -> Float[Tensor, "batch high wide channel"]:
    return F.avg_pool2d(drawn.permute(0, 3, 1, 2), OVERSAMPLING).permute(0, 2, 3, 1)


def _arch(widths: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each tooth of one side ends, from the middle, and half its width."""
    ends = np.concatenate([[0], np.cumsum(widths)])
    return on(device, ends), on(device, np.array(widths) / 2)


def opening(projected: Float[Tensor, "batch vertex 3"], upper: Tensor, lower: Tensor) -> Float[Tensor, "batch n 2"]:
    """The twin of `decoder.opening`."""
    above, below = projected[:, upper, :2], projected[:, lower, :2]
    crossed = (above[..., 1] > below[..., 1])[..., None]
    middle = (above + below) / 2
    there, back = torch.where(crossed, middle, above), torch.where(crossed, middle, below)
    return torch.cat([there, back.flip(1)], 1)


def within(
    contour: Tensor, size: tuple[int, int], before: int, after: int, frame_px: int
) -> tuple[Window, Tensor, Tensor]:
    """A window around each contour, and the corners of the box that `draw_mouth` and `draw_eye` would have taken."""
    low = (contour.amin(1).floor() - before).clamp(min=0)
    high = (contour.amax(1).ceil() + after).clamp(max=frame_px)
    return Window((low + high) / 2, size, frame_px), low, high
