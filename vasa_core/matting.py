"""The matte of person against background, learned: hair to the strand, and nothing that does not belong to the person.

MediaPipe's word is soft, misses hair and takes a hedge beside a shoulder for the shoulder. A small network looks at the
crop, at that word and at where the face is, and says the coverage at 128 pixels; one refinement, used twice, then
doubles it to 256 and to 512 by the colours that lie on either side of the outline. It learned on rendered people, whose
coverage is known (`train/matting.py`).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vasa_core.errors import MissingWeights
from vasa_core.landmarks import CROP_PX, FaceCrop, edged, person_word

SIDE_PX = 256
"""The network looks at the crop at this size; the last refinement at the crop's own."""

PLANES = 7
WIDTHS = (24, 40, 64, 96, 112)
"""Channels at 128, 64, 32, 16 and 8 pixels."""

HINTS, REFINED = 6, 16
"""Planes that the first look hands on to the refinement, and channels within it."""

NEIGHBOURHOODS = (4, 8)
"""Colours on either side are gathered from so coarse pixels, five by five of them."""

SURE = 6.0
"""The logit at which a refinement takes over a coverage of 0 or 1; what it says is added."""

LEAST_CONTRAST = 0.02
SURE_WORD, DEEP_PX, FADING_PX = 0.9, 14, 40
"""MediaPipe is sure of the person from this word on, and well inside so many pixels from where it is not; it is
believed so many rows above the face's middle, and less below them."""

DOUBT = 0.5
"""Ground in the background's colours goes where the matte leaves this much of it to the background, on average."""

LEAST_CLOTHES_PX = 400
"""Ground of fewer pixels (of 256 x 256) is nobody's sleeve."""

HOLE_PX = 16
"""So near to what MediaPipe takes for background, a gap may be one: between strands of hair."""

LEAST_COVER, REACH_PX = 0.12, 4
"""What is covered at least so much hangs together across gaps of twice this many pixels."""

LOBES, CHIN, FOREHEAD = (132, 361), 152, 151
"""Landmarks of the face's rim at the ears' lobes and under the chin, and one within."""

EAR_SHARE, WIRE_SHARE, JEWEL_SHARE, JEWEL_PX = 0.25, 0.15, 0.3, 12
"""Earrings hang at most so far from those landmarks, so far from the person, and are at most so large (shares of the
distance between the lobes), and at least of so many pixels."""

GLINT_PX = 9
"""Glints on it, as bright as the sky behind, are smaller."""

UNLIKE_ITSELF = 0.12
"""A background of which more than this share looks no more like the rest than an earring does tells of none."""


class Matting(nn.Module):
    """Crop, MediaPipe's word and the face in; coverage by the person out, at 128 and 256 pixels, or larger."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(PLANES, WIDTHS[0], 5, 2, 2), nn.SiLU())
        self.first = _convolved(WIDTHS[0], WIDTHS[0], 1)
        self.down = nn.ModuleList(
            [nn.Sequential(_convolved(a, b, 2), _convolved(b, b, 1)) for a, b in pairwise(WIDTHS)]
        )
        self.across = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in pairwise(WIDTHS)])
        self.up = nn.ModuleList([_convolved(a, a, 1) for a in WIDTHS[:-1]])
        self.said = nn.Conv2d(WIDTHS[0], 1 + HINTS, 3, 1, 1)
        told = 4 + 2 * len(NEIGHBOURHOODS) + HINTS
        self.refine = nn.Sequential(
            nn.Conv2d(told, REFINED, 3, 1, 1), nn.SiLU(),
            nn.Conv2d(REFINED, REFINED, 3, 1, 2, 2), nn.SiLU(),
            nn.Conv2d(REFINED, REFINED, 3, 1, 1), nn.SiLU(),
            nn.Conv2d(REFINED, 1, 3, 1, 1),
        )  # fmt: skip
        nn.init.zeros_(self.refine[-1].weight)
        nn.init.zeros_(self.refine[-1].bias)

    def forward(
        self, planes: Float[Tensor, "look 7 256 256"]
    ) -> tuple[Float[Tensor, "look 1 128 128"], Float[Tensor, "look hint 128 128"]]:
        """The first look: coverage at half the size (logits), and hints for its refinement."""
        levels = [self.first(self.enter(planes))]
        for step in self.down:
            levels.append(step(levels[-1]))
        x = levels[-1]
        for step, across, level in zip(self.up[::-1], self.across[::-1], levels[-2::-1], strict=True):
            x = step(F.interpolate(across(x), scale_factor=2.0, mode="bilinear") + level)
        said = self.said(x)
        return said[:, :1], said[:, 1:]

    def refined(
        self,
        picture: Float[Tensor, "look 3 size size"],
        cover: Float[Tensor, "look 1 half half"],
        hints: Float[Tensor, "look hint coarse coarse"],
    ) -> Float[Tensor, "look 1 size size"]:
        """Coverage (logits) at twice the size, by the picture (-1 to 1) at that size."""
        size = picture.shape[-2:]
        wide = F.interpolate(cover, size, mode="bilinear")
        told = [picture, 2 * wide - 1, *sides(picture, wide), F.interpolate(hints, size, mode="bilinear")]
        return SURE * (2 * wide - 1) + self.refine(torch.cat(told, 1))


def _convolved(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(8, after), nn.SiLU())


def sides(
    picture: Float[Tensor, "look 3 size size"], cover: Float[Tensor, "look 1 size size"]
) -> list[Float[Tensor, "look 1 size size"]]:
    """How far each pixel's colour lies from the background's around it (0) towards the person's (1), and how much the
    two differ: for each neighbourhood, both planes in turn."""
    out = []
    for coarse in NEIGHBOURHOODS:
        person, behind = (_mean_colour(picture, weight**2, coarse) for weight in (cover, 1 - cover))
        apart = person - behind
        contrast = (apart**2).sum(1, keepdim=True)
        share = ((picture - behind) * apart).sum(1, keepdim=True) / (contrast + LEAST_CONTRAST)
        out += [share.clamp(-0.5, 1.5), contrast.clamp(max=1.0)]
    return out


def _mean_colour(picture: Tensor, weight: Tensor, coarse: int) -> Tensor:
    """The weighted mean colour around each pixel."""
    both = F.avg_pool2d(torch.cat([picture * weight, weight], 1), coarse)
    both = F.avg_pool2d(both, 5, 1, 2, count_include_pad=False)
    colour = both[:, :3] / (both[:, 3:] + 1e-3)
    return F.interpolate(colour, picture.shape[-2:], mode="bilinear")


def planes_of(
    crop: Float[np.ndarray, "256 256 3"],
    word: Float[np.ndarray, "256 256"],
    face: Float[np.ndarray, "256 256"],
) -> Float[np.ndarray, "plane=7 256 256"]:
    """What the network is told: the crop (0 to 255), MediaPipe's word and the face (0 to 1), where each pixel is."""
    y, x = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    colours = [crop[..., k] / 127.5 - 1 for k in range(3)]
    return np.stack([*colours, 2 * word - 1, 2 * face - 1, x, y]).astype(np.float32)


def face_within(landmarks: Float[np.ndarray, "478 2"], size: int) -> Float[np.ndarray, "size size"]:
    """The landmarks' convex hull: 1 within, 0 outside; landmarks in pixels of that size."""
    mask = np.zeros((size, size), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(landmarks.astype(np.float32)).round().astype(np.int32), 1.0)
    return mask


def matte_of(face: FaceCrop, network: Matting | None = None) -> Float[np.ndarray, "512 512"]:
    """How much of each pixel the person covers, 0 to 1; without a network, MediaPipe's word with its edges mended."""
    word = person_word(face.crop)
    within = face_within(face.landmarks, CROP_PX)
    if network is None:
        return hanging_together(edged(face.crop, word), within)
    matte = np.maximum(covered(network, face, word), crown(word, within))
    matte = settled(matte, word, face.crop, within)
    own = hanging_together(without_holes(matte, word), within)
    return np.maximum(own, worn_at_ears(matte, face.crop, face.landmarks))


def covered(network: Matting, face: FaceCrop, word: Float[np.ndarray, "512 512"]) -> Float[np.ndarray, "512 512"]:
    """Coverage as the network says it."""
    crop = torch.from_numpy(face.crop).permute(2, 0, 1)[None].float() / 127.5 - 1
    small = (SIDE_PX, SIDE_PX)
    crop_small, word_small = (cv2.resize(x, small, interpolation=cv2.INTER_AREA) for x in (face.crop, word))
    within = face_within((face.landmarks + 0.5) * (SIDE_PX / CROP_PX) - 0.5, SIDE_PX)
    planes = torch.from_numpy(planes_of(crop_small.astype(np.float32), word_small, within))[None]
    with torch.inference_mode():
        coarse, hints = network(planes)
        half = torch.sigmoid(network.refined(planes[:, :3], torch.sigmoid(coarse), hints))
        whole = torch.sigmoid(network.refined(crop, half, hints))
    return np.clip((whole[0, 0].numpy() - 0.02) / 0.96, 0, 1)


def crown(word: Float[np.ndarray, "512 512"], face: Float[np.ndarray, "512 512"]) -> Float[np.ndarray, "512 512"]:
    """Where the word alone is believed: well inside what it is sure of, around the upper half of the face. Hair that
    runs out of the picture has no outline there, and is no background."""
    rows, columns = np.nonzero(face)
    middle, width = (rows.min() + rows.max()) / 2, np.ptp(columns)
    near = cv2.distanceTransform((face == 0).astype(np.uint8), cv2.DIST_L2, 5) < width
    deep = cv2.erode((word > SURE_WORD).astype(np.uint8), np.ones((2 * DEEP_PX + 1,) * 2, np.uint8)) * near
    upper = np.clip((middle - np.arange(CROP_PX)) / FADING_PX, 0, 1)[:, None]
    return (upper * cv2.GaussianBlur(deep.astype(np.float32), (0, 0), 4)).astype(np.float32)


def settled(
    matte: Float[np.ndarray, "512 512"],
    word: Float[np.ndarray, "512 512"],
    crop: UInt8[np.ndarray, "512 512 3"],
    face: Float[np.ndarray, "512 512"],
) -> Float[np.ndarray, "512 512"]:
    """The matte where it wavers over ground that MediaPipe takes for the person: the picture's own colours decide.

    Ground in the background's colours goes as a whole where the matte doubts it, unless it is clothes, and what all
    three take for the person is it.
    """
    crop_small, matte_small, word_small, face_small = (
        cv2.resize(x, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for x in (crop, matte, word, face)
    )
    person = by_colours(crop_small, matte_small, word_small, face_small)
    sure = cv2.erode(((word_small > SURE_WORD) & person).astype(np.uint8), np.ones((DEEP_PX + 3,) * 2, np.uint8))
    out = np.maximum(matte, cv2.GaussianBlur(_enlarged(sure), (0, 0), 4))
    gone, kept = contested((word_small > 0.5) & ~person, matte_small, face_small)
    if kept.any():
        near = cv2.dilate(kept.astype(np.uint8), np.ones((15, 15), np.uint8))
        said = np.minimum(edged(crop, word), word)
        out = np.maximum(out, said * cv2.GaussianBlur(_enlarged(near), (0, 0), 4))
    if gone.any():
        gone = cv2.dilate(gone.astype(np.uint8), np.ones((7, 7), np.uint8)) * ~person
        away = cv2.ximgproc.guidedFilter(crop.astype(np.float32) / 255, _enlarged(gone), 6, 1e-4)
        out = out * (1 - np.clip((away - 0.15) / 0.7, 0, 1))
    return out.astype(np.float32)


def _enlarged(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)


def by_colours(
    crop: UInt8[np.ndarray, "256 256 3"],
    matte: Float[np.ndarray, "256 256"],
    word: Float[np.ndarray, "256 256"],
    face: Float[np.ndarray, "256 256"],
) -> Bool[np.ndarray, "256 256"]:
    """What is the person by its colours (Rother et al. 2004, as OpenCV has it): the face and what is below it are known
    to be, and what neither word nor matte claims is known not to be."""
    marks = np.where(matte > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    rows, columns = np.nonzero(face > 0.5)
    below = np.zeros(marks.shape, bool)
    below[rows.max() - 5 :, columns.min() : columns.max()] = True
    marks[(face > 0.5) | (below & (cv2.erode(matte, np.ones((5, 5), np.uint8)) > 0.9))] = cv2.GC_FGD
    marks[(word < 0.1) & (matte < 0.1)] = cv2.GC_BGD
    if (marks == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)
        cv2.grabCut(crop, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 1, cv2.GC_INIT_WITH_MASK)
    return (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)


def contested(
    ground: Bool[np.ndarray, "256 256"], matte: Float[np.ndarray, "256 256"], face: Float[np.ndarray, "256 256"]
) -> tuple[Bool[np.ndarray, "256 256"], Bool[np.ndarray, "256 256"]]:
    """Of this ground, in the background's colours, the broad pieces that go and those that are kept, each as a whole:
    those go that the matte doubts, but for clothes, which reach the lower border on both sides of the face."""
    broad = cv2.morphologyEx(ground.astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    count, number = cv2.connectedComponents(broad)
    middle = np.nonzero(face > 0.5)[1].mean()
    standing = [k for k in np.unique(number[-1][number[-1] > 0]) if (number == k).sum() > LEAST_CLOTHES_PX]
    sides_of = {int(k): float(np.nonzero(number == k)[1].mean() > middle) for k in standing}
    clothes = list(sides_of) if len(set(sides_of.values())) == 2 else []
    doubted = [k for k in range(1, count) if k not in clothes and (1 - matte)[number == k].mean() > DOUBT]
    gone = np.isin(number, doubted)
    return gone, (number > 0) & ~gone


def without_holes(
    matte: Float[np.ndarray, "512 512"], word: Float[np.ndarray, "512 512"]
) -> Float[np.ndarray, "512 512"]:
    """The matte where the background, too, hangs together: what is nowhere near anything that MediaPipe takes for
    background, and not joined to any, is the person."""
    known = cv2.dilate((word < 0.5).astype(np.uint8), np.ones((2 * HOLE_PX + 1,) * 2, np.uint8)) > 0
    _, number = cv2.connectedComponents((matte < 0.5).astype(np.uint8), connectivity=4)
    number[matte >= 0.5] = 0
    hole = (number > 0) & ~np.isin(number, np.unique(number[known & (number > 0)]))
    filled = cv2.GaussianBlur(cv2.dilate(hole.astype(np.float32), np.ones((9, 9), np.uint8)), (0, 0), 1.5)
    return np.maximum(matte, filled * word)


def hanging_together(
    matte: Float[np.ndarray, "size size"], face: Float[np.ndarray, "size size"]
) -> Float[np.ndarray, "size size"]:
    """The matte without what does not hang together with the face."""
    covers = (matte > LEAST_COVER).astype(np.uint8)
    joined = cv2.dilate(np.maximum(covers, (face > 0).astype(np.uint8)), np.ones((2 * REACH_PX + 1,) * 2, np.uint8))
    _, number = cv2.connectedComponents(joined, connectivity=8)
    own = np.isin(number, np.unique(number[face > 0])).astype(np.float32)
    return (matte * cv2.GaussianBlur(own, (0, 0), 1.0)).astype(np.float32)


def worn_at_ears(
    matte: Float[np.ndarray, "512 512"], crop: UInt8[np.ndarray, "512 512 3"], landmarks: Float[np.ndarray, "478 2"]
) -> Float[np.ndarray, "512 512"]:
    """Small things beside the jaw that the matte has in part and not joined to the person: earrings on wires too thin
    to be seen. Each is covered as a whole, where its colours stand out from what is behind it."""
    (left, top), (right, bottom) = landmarks[LOBES[0]], landmarks[LOBES[1]]
    width, chin = float(np.hypot(right - left, bottom - top)), float(landmarks[CHIN, 1])
    _, number, stats, middles = cv2.connectedComponentsWithStats((matte > LEAST_COVER).astype(np.uint8))
    body = number == number[tuple(landmarks[FOREHEAD, ::-1].round().astype(int).clip(0, CROP_PX - 1))]
    away = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, 5)
    whole = np.zeros_like(matte)
    for k, ((x, y), (*_, wide, high, area)) in enumerate(zip(middles, stats, strict=True)):
        beside = min(abs(x - left), abs(x - right)) < EAR_SHARE * width
        hangs = min(top, bottom) - EAR_SHARE * width < y < chin
        small = area >= JEWEL_PX and max(wide, high) < JEWEL_SHARE * width
        if k and beside and hangs and small and away[number == k].min() < WIRE_SHARE * width:
            whole = np.maximum(whole, _standing_out(crop, number == k, matte))
    return cv2.GaussianBlur(whole, (0, 0), 0.7)


def _standing_out(
    crop: UInt8[np.ndarray, "512 512 3"], some: Bool[np.ndarray, "512 512"], matte: Float[np.ndarray, "512 512"]
) -> Float[np.ndarray, "512 512"]:
    """All of a thing of which `some` is known: what differs about as much from the background around; nothing where
    the background differs from itself."""
    rows, columns = np.nonzero(some)
    pad = max(np.ptp(rows), np.ptp(columns)) + 2
    window = tuple(slice(max(int(at.min() - pad), 0), int(at.max() + pad + 1)) for at in (rows, columns))
    behind = cv2.dilate(matte[window], np.ones((5, 5), np.uint8)) < LEAST_COVER
    out = np.zeros_like(matte)
    if not behind.any():
        return out
    pixels = crop[window].astype(np.float32)
    other = np.linalg.norm(pixels - np.median(pixels[behind], 0), axis=-1)
    least = 0.35 * float(np.percentile(other[some[window]], 75))
    if least < 10 or np.mean(other[behind] > least) > UNLIKE_ITSELF:
        return out
    _, number = cv2.connectedComponents((other > least).astype(np.uint8) * (matte[window] < 0.9), connectivity=8)
    thing = np.isin(number, np.unique(number[some[window] & (number > 0)])) | some[window]
    out[window] = cv2.morphologyEx(thing.astype(np.float32), cv2.MORPH_CLOSE, np.ones((GLINT_PX, GLINT_PX), np.uint8))
    return out


def load_matting(path: Path) -> Matting:
    """The network in a weight file, or MissingWeights when the file is absent or made for other code."""
    network = Matting()
    try:
        network.load_state_dict({name: values.float() for name, values in load_file(path).items()})
    except (FileNotFoundError, SafetensorError, RuntimeError) as cause:
        raise MissingWeights(f"{path} is not a matting network of ours: restore it from the repository.") from cause
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
