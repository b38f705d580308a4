"""Eyes that look around and lids that shut, for a batch of frames: `eyes.draw_eye` and `eyes.draw_lid` in torch."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.decoder import Decoder
from vasa_core.device.mouth import even, opening, within
from vasa_core.device.planes import Window, blurred, looked_up, polygons, strokes
from vasa_core.device.posing import Poses, Posing, enlarged, on
from vasa_core.device.warping import whole
from vasa_core.encoders import EYEBALL_RADIUS_CM
from vasa_core.eyes import (
    COMES_DOWN,
    EYE_FRONT_CM,
    LASH_DROP,
    LASH_FEATHER,
    LASH_STRENGTH,
    LASH_WIDTHS,
    LID_FEATHER,
    LID_FOLDS,
    LID_FROM,
    LID_INSET,
    LID_OVER,
    LID_STRENGTH,
)
from vasa_core.latents import EXPRESSION
from vasa_core.plates import at_size

EYE_SHARE, LID_SHARE = (0.9, 1.8), (1.6, 2.3)
"""Height and width of the windows that eye and lid are drawn in, in widths of the portrait's eye."""

NEAREST = 1.6
"""An eye may come this many times as near as in the portrait before a lid's blur is cut short."""


class Eyes:
    """One eye of a portrait: 0 (left in the picture) or 1."""

    def __init__(self, decoder: Decoder, eye: int, device: torch.device) -> None:
        held = lambda value: on(device, value)  # noqa: E731
        plates, portrait = decoder.eyes[eye], decoder.portrait
        self.zoom, self.frame_px = decoder.zoom, decoder.plates.crop.shape[0]
        self.seen, self.white, self.iris = (held(p) for p in (plates.seen, plates.white, plates.iris))
        self.inside, self.origin = held(plates.inside)[..., None], held(np.array(plates.origin, np.float32))
        self.paths = [held(path) for path in decoder.lid_paths[eye]]
        self.fold = held(np.array(LID_FOLDS[eye]))
        self.open_px = decoder.lids_open_px[eye]
        lid = decoder.lids[eye]
        self.lid_skin, self.lid_origin = held(lid.skin), held(np.array(lid.origin, np.float32))
        self.lash = held(decoder.lashes[eye])
        width = float(np.ptp(decoder.drawn_from[0][decoder.lid_paths[eye][0], 0]))
        self.window, self.lid_window = (
            (even(h * width, self.frame_px), even(w * width, self.frame_px)) for h, w in (EYE_SHARE, LID_SHARE)
        )
        self.soft_reach, self.line_reach = (
            int(4 * share * NEAREST * width) + 2 for share in (LID_FEATHER, LASH_FEATHER)
        )
        centre = decoder.rest[decoder.surface.parts["eyes"]][eye] + np.array([0, 0, EYE_FRONT_CM], np.float32)
        corners = portrait.posed(centre + np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32))
        self.corners, source = held(corners), at_size(decoder.camera.project(corners)[:, :2], self.zoom)
        self.source, self.source_ways = held(source[0]), held((source[1:] - source[0]).T)
        self.gaze_px = held(portrait.rotation[:2, :2] * EYEBALL_RADIUS_CM * decoder.camera.scale_px * self.zoom)

    def openings(self, projected: Float[Tensor, "batch vertex 3"]) -> Float[Tensor, "batch n 2"]:
        """The contours between the lids (px)."""
        return opening(projected, *self.paths)

    def draw(
        self,
        pictures: Float[Tensor, "batch size size 3"],
        poses: Poses,
        posing: Posing,
        contour: Float[Tensor, "batch n 2"],
    ) -> None:
        """Draws lid and eye into each picture; `contour` is the lids', in pixels of that picture."""
        from_frame, start = self._from_frame(posing, poses)
        shut = self._lid(pictures, enlarged(poses.projected, self.zoom), from_frame, start)
        window, low, high = within(contour, self.window, 1, 2, self.frame_px)
        area = _areas(contour) / (contour[..., 0].amax(1) - contour[..., 0].amin(1)).clamp(min=1)
        there = ((high - low).amin(1) >= 2) * (area - 0.5).clamp(0, 1)
        mask = (polygons(window.inside(contour), self.window) * there[:, None, None])[..., None]
        at = window.places() @ from_frame[:, None].mT + start[:, None, None] - self.origin
        gaze = under_lid(self._gaze_px(poses), shut)
        seen, white, inside = (looked_up(plate, at) for plate in (self.seen, self.white, self.inside))
        iris = looked_up(self.iris, at - gaze[:, None, None])
        moved = white * (1 - iris[..., 3:]) + iris[..., :3] * iris[..., 3:]
        change = (gaze.norm(dim=1)[:, None, None, None] / 1.5).clamp(0, 1) * inside
        eye = seen * (1 - change) + moved * change
        window.put(pictures, whole(window.of(pictures) * (1 - mask) + eye * mask))

    def _lid(self, pictures: Tensor, projected: Tensor, from_frame: Tensor, start: Tensor) -> Float[Tensor, " batch"]:
        """The lid's own skin as it shuts, and its lashes; the twin of `eyes.draw_lid`. How far it is shut."""
        edge, lower = (projected[:, path, :2] for path in self.paths)
        fold = projected[:, self.fold, :2]
        shut = (1 - (lower - edge)[..., 1].sum(1) / self.open_px).clamp(0, 1)
        width = edge[..., 0].amax(1) - edge[..., 0].amin(1)
        inner = edge + LID_INSET * (fold.mean(1, keepdim=True) - edge.mean(1, keepdim=True))
        contour = torch.cat([inner, fold.flip(1)], 1)
        window = Window((contour.amin(1) + contour.amax(1)) / 2, self.lid_window, self.frame_px)
        begun = ((shut - LID_FROM) / LID_OVER).clamp(max=1) * ((shut >= LID_FROM) & (width >= 4))
        begun = begun[:, None, None]
        at = window.places() @ from_frame[:, None].mT + start[:, None, None] - self.lid_origin
        skin = looked_up(self.lid_skin, at)
        mask = blurred(polygons(window.inside(contour), self.lid_window), LID_FEATHER * width, self.soft_reach)
        mask = (LID_STRENGTH * begun * mask)[..., None]
        drop = torch.stack([torch.zeros_like(width), LASH_DROP * width], -1)[:, None]
        within_px = window.inside(edge + drop)
        lines = [
            strokes(path, (share * width).round().clamp(min=1), self.lid_window)
            for path, share in zip((within_px, within_px[:, 1:-1]), LASH_WIDTHS, strict=True)
        ]
        line = 1 - (1 - lines[0]) * (1 - lines[1])  # one drawn over the other
        stroke = blurred(line, (LASH_FEATHER * width).clamp(min=0.6), self.line_reach)
        stroke = (LASH_STRENGTH * begun * stroke)[..., None]
        under = window.of(pictures)
        lid = under * (1 - mask) + skin * mask
        drawn = whole(lid * (1 - stroke) + self.lash * stroke)
        window.put(pictures, torch.where(begun[..., None] > 0, drawn, under))
        return shut

    def _from_frame(self, posing: Posing, poses: Poses) -> tuple[Tensor, Tensor]:
        """The affine map from frame to portrait pixels at the eyeball's front; the twin of `Decoder._eye_transform`."""
        target = enlarged(posing.project(posing.moved(self.corners, poses.turn, poses.shift)), self.zoom)[..., :2]
        a, b = (target[:, 1:] - target[:, :1]).unbind(1)
        area = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])[:, None, None]
        back = torch.stack([b[:, 1], -b[:, 0], -a[:, 1], a[:, 0]], 1).view(-1, 2, 2) / area
        from_frame = self.source_ways @ back
        return from_frame, self.source - (from_frame @ target[:, 0, :, None])[..., 0]

    def _gaze_px(self, poses: Poses) -> Float[Tensor, "batch 2"]:
        """The twin of `eyes.gaze_shift_px`."""
        yaw, pitch = poses.facial_dynamics[:, EXPRESSION:].unbind(1)
        offset = torch.stack([yaw.sin(), -pitch.sin()], 1) @ self.gaze_px.T
        return torch.stack([offset[:, 0], -offset[:, 1]], 1)


def under_lid(shift: Float[Tensor, "batch 2"], shut: Float[Tensor, " batch"]) -> Float[Tensor, "batch 2"]:
    """The twin of `eyes.under_lid`."""
    begun, wholly = COMES_DOWN
    kept = 1 - ((shut - begun) / (wholly - begun)).clamp(0, 1)
    return torch.stack([shift[:, 0], torch.maximum(shift[:, 1], kept * shift[:, 1])], 1)


def _areas(contour: Float[Tensor, "batch n 2"]) -> Float[Tensor, " batch"]:
    """What each closed contour encloses; the twin of `cv2.contourArea`."""
    (x, y), (x1, y1) = contour.unbind(-1), contour.roll(-1, 1).unbind(-1)
    return ((x * y1 - x1 * y).sum(1) / 2).abs()
