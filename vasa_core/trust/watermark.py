"""The invisible watermark: 48 bits spread over the luma of every frame, and how they are found again.

A tile of 48 x 48 chips (+1 or -1) covers the shorter side of a picture and repeats along the longer one. A secret key
says which chips are known beforehand (they tell scale and place of the tile) and where and with which sign the others
carry the coded payload, each of its 256 bits on seven chips. The pattern stands still: codecs keep what does not move,
so it costs few bits, cannot flicker, and one frame is read as a whole video is. Nothing is remembered between frames.

What is read is believed only if the known chips stand out and the CRC fits; `Reading.false_alarm` says how often chance
alone would do that: (places looked at) x (Gaussian tail of the known chips' correlation) x (candidates) / 2^16. Most
copies are whole: that place is looked at first and by itself, and being one of few it is believed on fewer grounds.
Luma is in 8-bit code values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import no_type_check

import cv2
import numba
import numpy as np
from jaxtyping import Complex, Float, Float32, Int, UInt8

from vasa_core.trust.codeword import CODED_BITS, CRC_BITS, decoded, encoded, message, payload_in

LATTICE = 48
KNOWN_CHIPS = 512
CHIPS_A_BIT = (LATTICE * LATTICE - KNOWN_CHIPS) // CODED_BITS

FLAT_STRENGTH = 1.4
"""On smooth skin and walls. A wall enlarged twice looks the faintest bit blotchy; with 1.15 clips before shelves or
leaves lose bits to H.264 at crf 28, with 0.8 any clip does to a re-upload through VP9 at 360p."""

TEXTURE_STRENGTH = 5.0
STRENGTH_A_DEVIATION = 0.5

BOLD_FROM, BOLD_STRENGTH, BOLD_STRENGTH_A_DEVIATION = 0.4, 2.6, 1.0
"""Where detail is everywhere and little of the mark would be left: sooner stronger, so that faint texture bears most.
For all clips it would be too much: plain ones are read without it, and would grow by 23 instead of 14 %."""

TRIAL_PX, TRIAL_ASKS = 360, 1.05
"""A re-upload in small: height, and how far the coded bits then have to stand out of their scatter. Over
the cast that goes with how they stand out after 360p and VP9 (correlation 0.9); the one below 0.95 was lost there, and
the three below 1.05 were read with little to spare."""

CELL_PX = 8
EDGE = 1.4
"""Steepens the way from chip to chip: more of the pattern stands at full strength."""

VIDEO_RANGE = (16, 235)
FULL_RANGE = (0, 255)

Luma = UInt8[np.ndarray, "height width"]
Frame = UInt8[np.ndarray, "height width 3"]
Plane = Float32[np.ndarray, "plane_height plane_width"]
Signal = Float32[np.ndarray, "signal_height signal_width"]
Tile = Float[np.ndarray, "lattice lattice"]
Spectrum = Complex[np.ndarray, "row column"]


# ---- the key: what each chip says ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a key puts the known chips and each coded bit, and with what sign."""

    known: Int[np.ndarray, " known"]
    carriers: Int[np.ndarray, "coded repeat"]
    signs: Float[np.ndarray, " chip"]

    def tile(self, payload: int) -> Tile:
        """All chips, +1 or -1, for this payload."""
        chips = self.signs.copy()
        chips[self.carriers] *= np.where(encoded(message(payload)), -1.0, 1.0)[:, None]
        return chips.reshape(LATTICE, LATTICE)

    def known_tile(self) -> Tile:
        """The known chips alone, 0 elsewhere."""
        chips = np.zeros(LATTICE * LATTICE)
        chips[self.known] = self.signs[self.known]
        return chips.reshape(LATTICE, LATTICE)

    def soft_bits(self, chips: Tile) -> Float[np.ndarray, " coded"]:
        """How much each coded bit looks like 0 (> 0) or like 1 (< 0) in chips as received."""
        return (chips.ravel() * self.signs)[self.carriers].sum(axis=1)


@lru_cache(maxsize=64)
def layout(key: bytes) -> Layout:
    """The layout of a secret key; to those without it the mark looks like noise."""
    count = LATTICE * LATTICE
    stream = hashlib.shake_256(b"vasa watermark 1" + key).digest(9 * count)
    order = np.argsort(np.frombuffer(stream[: 8 * count], "<u8"), kind="stable")
    signs = np.where(np.frombuffer(stream[8 * count :], np.uint8) & 1, 1.0, -1.0)
    carriers = order[KNOWN_CHIPS : KNOWN_CHIPS + CODED_BITS * CHIPS_A_BIT].reshape(CHIPS_A_BIT, CODED_BITS).T
    return Layout(order[:KNOWN_CHIPS], np.ascontiguousarray(carriers), signs)


# ---- writing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """One payload as it lies on frames of one size: between -1 and 1, to be scaled by what each place can hide."""

    pattern: Plane
    payload: int
    key: bytes
    bold: bool = False

    def into_luma(self, luma: Luma, limits: tuple[int, int] = VIDEO_RANGE) -> None:
        """Marks a luma plane where it lies, without a copy."""
        strength = cv2.resize(_strengths(luma, self.bold), luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
        _add(luma, self.pattern, strength, DITHER, *limits)

    def suited_to(self, luma: Luma, harm: Callable[[Luma], Luma]) -> Mark:
        """This mark for a whole clip, as bold as its first frame asks for: it is marked, harmed and read for trial.

        `harm` gives a small plane back as careless hands would: it is the door's, as pictures are encoded nowhere else.
        """
        trial = luma.copy()
        replace(self, pattern=self.pattern[: luma.shape[0], : luma.shape[1]]).into_luma(trial)
        size = [round(side * TRIAL_PX / min(luma.shape)) for side in luma.shape[::-1]]
        small = cv2.resize(trial, size, interpolation=cv2.INTER_AREA)
        return replace(self, bold=standing_out(harm(small), self.payload, self.key) < TRIAL_ASKS)

    def onto(self, picture: Frame) -> Frame:
        """A marked copy of an RGB picture: its luma changes, its hue does not."""
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        marked = luma.copy()
        self.into_luma(marked, FULL_RANGE)
        return _with_luma(picture, luma, marked)


DITHER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) + 0.5) / 16
"""Bayer's: lets 1.4 be 1 in some pixels and 2 in others."""


@lru_cache(maxsize=8)
def mark_for(payload: int, key: bytes, height: int, width: int) -> Mark:
    """The mark for frames of this size, drawn once."""
    chip_px = min(height, width) / LATTICE
    pattern = _interpolation(height, chip_px) @ layout(key).tile(payload) @ _interpolation(width, chip_px).T
    return Mark(np.clip(EDGE * pattern, -1, 1).astype(np.float32), payload, key)


def _interpolation(pixels: int, chip_px: float) -> Float[np.ndarray, "pixel lattice"]:
    """How much of each chip each pixel sees, around the tile's circle: a raised cosine two chips wide."""
    places = (np.arange(pixels) + 0.5) / chip_px - 0.5
    away = (places[:, None] - np.arange(LATTICE) + LATTICE / 2) % LATTICE - LATTICE / 2
    return np.where(np.abs(away) < 1, 0.5 + 0.5 * np.cos(np.pi * away), 0.0)


@no_type_check
@numba.njit(cache=True, nogil=True, fastmath=True)
def _strengths(luma, bold):
    """How strong the mark may be in each cell: more where all four quarters are textured, so not along a lone edge."""
    half = CELL_PX // 2
    strengths = np.full((max(1, luma.shape[0] // CELL_PX), max(1, luma.shape[1] // CELL_PX)), np.float32(FLAT_STRENGTH))
    for row in range(luma.shape[0] // CELL_PX):
        for column in range(luma.shape[1] // CELL_PX):
            least = 1 << 20
            for quarter in range(4):
                top, left = row * CELL_PX + half * (quarter // 2), column * CELL_PX + half * (quarter % 2)
                total = 0
                for y in range(half):
                    for x in range(half):
                        total += luma[top + y, left + x]
                mean, deviation = total // (half * half), 0
                for y in range(half):
                    for x in range(half):
                        deviation += abs(int(luma[top + y, left + x]) - mean)
                least = min(least, deviation)
            deviation = least / (half * half)
            if bold:
                strength = min(FLAT_STRENGTH + BOLD_STRENGTH_A_DEVIATION * (deviation - BOLD_FROM), BOLD_STRENGTH)
            else:
                strength = min(STRENGTH_A_DEVIATION * deviation, TEXTURE_STRENGTH)
            strengths[row, column] = max(strength, FLAT_STRENGTH)
    return strengths


@no_type_check
@numba.njit(cache=True, nogil=True, fastmath=True)
def _add(luma, pattern, strength, dither, low, high):
    """Adds pattern times strength; the 256 makes truncation round down on both sides of zero."""
    for y in range(luma.shape[0]):
        for x in range(luma.shape[1]):
            change = int(pattern[y, x] * strength[y, x] + dither[y & 3, x & 3] + np.float32(256)) - 256
            luma[y, x] = min(max(luma[y, x] + change, low), high)


@no_type_check
@numba.njit(cache=True, nogil=True)
def _with_luma(picture, before, after):
    """The picture with all three channels moved by as much as its luma."""
    moved = np.empty_like(picture)
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            change = np.int64(after[y, x]) - np.int64(before[y, x])  # int() would stay unsigned, and wrap below 0
            for channel in range(3):
                moved[y, x, channel] = min(max(np.int64(picture[y, x, channel]) + change, 0), 255)
    return moved


# ---- reading ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What was read, and on what grounds."""

    payload: int
    fits: bool
    """The CRC fits, and chance would do all this less often than is BELIEVABLE: believe it."""
    known: float
    """How far the known chips stand out of chance, in standard deviations."""
    agreement: float
    """Share of the chips seen that are as this payload wants them; 0.5 is chance, 0.6 is plenty."""
    false_alarm: float
    """How often an unmarked picture, searched in the same way, would read as well by chance."""
    scale: float
    """The tile's side in shorter sides of the picture: 1 when uncropped, 1.11 after a crop to nine tenths."""
    frames: int


CHIP_PX = 4
WORKING_PX = 6 * LATTICE
"""Shorter side of what is searched: after a crop to two thirds, chips are still larger than CHIP_PX."""

SMALLEST_SCALE, LARGEST_SCALE, SCALE_STEP = 0.7, 1.7, 1.008
FINE_STEPS = tuple(1 + step / 1000 for step in range(-5, 6))
CANDIDATES = 4
FOR_PLACE, FOR_PAYLOAD = 0.93, 0.72
SPECTRUM_BLUR = 3.1
FINE, AROUND, EVENING, NOISE = 0.24, 0.53, 0.8, 0.06
"""How the picture is taken out of the mark: widths in chips, an exponent, a variance (see `host_suppressed`). These and
the powers above were chosen by how surely all 13 of the cast are read after a re-upload, before any background."""

WHOLE_PLACES = 2 * 3 * 3
"""An uncropped picture and its mirror image, a working pixel to and fro."""

BELIEVABLE, BELIEVABLE_WHOLE = 1e-10, 3e-9
"""Found by search, and found where it was written. Scores of still pictures scatter more widely than noise, of millions
of places more than of few: `vasa evaluate marks` measures how often it is in truth."""


def read(lumas: Iterable[Luma], key: bytes) -> Reading | None:
    """The best reading of all these frames of one size together; None without a frame. Believe it only if it `fits`."""
    picture, frames = _mean(lumas)
    if picture is None:
        return None
    found = layout(key)
    readings = [_read_whole(picture, mirrored, found, frames) for mirrored in (False, True)]
    readings += [_read_at(picture, place, found, frames) for place in _places(picture, found)]
    return max(readings, key=lambda reading: (reading.fits, reading.known))


def _mean(lumas: Iterable[Luma]) -> tuple[Plane | None, int]:
    """What stands still in all frames, at the size that is searched, and how many frames there were."""
    total, count = None, 0
    for luma in lumas:
        ratio = WORKING_PX / min(luma.shape)
        if total is None:
            sides = [max(WORKING_PX, round(side * ratio)) for side in luma.shape]
            total = np.zeros(sides, np.float32)
        flag = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
        cv2.accumulate(cv2.resize(luma, total.shape[::-1], interpolation=flag), total)
        count += 1
    return (None, 0) if total is None else (total / count, count)


def standing_out(luma: Luma, payload: int, key: bytes) -> float:
    """How far this payload's coded bits stand out of their scatter in an uncropped picture; the code needs 0.75."""
    picture, _ = _mean([luma])
    assert picture is not None
    found = layout(key)
    chips = _chips(whitened(_folded(host_suppressed(picture, 1.0), CHIP_PX), FOR_PAYLOAD), CHIP_PX)
    bits = found.soft_bits(chips) * np.where(encoded(message(payload)), -1.0, 1.0)
    return float(bits.mean() / (bits.std() + 1e-12))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the tile may lie: how far the known chips stand out, and its scale; its shift is found again later."""

    known: float
    scale: float
    mirrored: bool


def scales() -> list[float]:
    """The scales looked at, in even ratios."""
    count = math.ceil(math.log(LARGEST_SCALE / SMALLEST_SCALE) / math.log(SCALE_STEP))
    return [SMALLEST_SCALE * SCALE_STEP**k for k in range(count + 1)]


def looked_at() -> int:
    """How many places a search looks at, coarse and fine; neighbours are alike, so this is on the safe side."""
    coarse = 2 * len(scales()) * (LATTICE * CHIP_PX // 2) ** 2
    return coarse + CANDIDATES * len(FINE_STEPS) * (LATTICE * CHIP_PX) ** 2


def _places(picture: Plane, found: Layout) -> list[_Place]:
    """The likeliest scales, best first: the known chips against all shifts, scale by scale, mirrored as well."""
    template = _template(found, CHIP_PX // 2)
    sides = ((False, picture), (True, np.ascontiguousarray(picture[:, ::-1])))
    places = []
    for mirrored, side in sides:
        for scale in scales():
            signal = whitened(_folded(_halved(host_suppressed(side, scale)), CHIP_PX // 2), FOR_PLACE)
            places.append(_Place(float(_correlation(signal, template).max()), scale, mirrored))
    return sorted(places, key=lambda place: -place.known)[:CANDIDATES]


def _read_whole(picture: Plane, mirrored: bool, found: Layout, frames: int) -> Reading:
    """The payload where it was written, if nothing was cut off."""
    side = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
    folded = _folded(host_suppressed(side, 1.0), CHIP_PX)
    likeness = np.roll(_correlation(whitened(folded, FOR_PLACE), _template(found, CHIP_PX)), (1, 1), (0, 1))[:3, :3]
    row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
    chips = _chips(np.roll(whitened(folded, FOR_PAYLOAD), (1 - row, 1 - column), (0, 1)), CHIP_PX)
    return _reading(float(likeness.max()), 1.0, chips, found, frames, whole=True)


def whole_score(lumas: Iterable[Luma], key: bytes) -> float:
    """How far the known chips stand out where they were written, if nothing was cut off; for judging false alarms."""
    picture, frames = _mean(lumas)
    if picture is None:
        return 0.0
    return max(_read_whole(picture, mirrored, layout(key), frames).known for mirrored in (False, True))


def _read_at(picture: Plane, place: _Place, found: Layout, frames: int) -> Reading:
    """The payload under the finest scale and shift around this place."""
    side = np.ascontiguousarray(picture[:, ::-1]) if place.mirrored else picture
    template = _template(found, CHIP_PX)
    best = (-math.inf, place.scale, np.zeros((LATTICE, LATTICE)))
    for step in FINE_STEPS:
        folded = _folded(host_suppressed(side, place.scale * step), CHIP_PX)
        likeness = _correlation(whitened(folded, FOR_PLACE), template)
        row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
        if likeness[row, column] > best[0]:
            chips = _chips(np.roll(whitened(folded, FOR_PAYLOAD), (-row, -column), (0, 1)), CHIP_PX)
            best = (float(likeness[row, column]), place.scale * step, chips)
    return _reading(*best, found, frames)


def _reading(known: float, scale: float, chips: Tile, found: Layout, frames: int, whole: bool = False) -> Reading:
    false_alarm = chance(known, whole)
    payload, crc_fits = payload_in(decoded(found.soft_bits(chips)))
    return Reading(
        payload=payload,
        fits=crc_fits and false_alarm < (BELIEVABLE_WHOLE if whole else BELIEVABLE),
        known=known,
        agreement=_agreement(chips, found.tile(payload)),
        false_alarm=false_alarm,
        scale=scale,
        frames=frames,
    )


def _agreement(chips: Tile, wanted: Tile) -> float:
    seen = chips != 0  # a crop may have cut off all of a chip, a black frame shows none
    return float(np.mean(np.sign(chips[seen]) == wanted[seen])) if seen.any() else 0.5


def chance(known: float, whole: bool = False) -> float:
    """How often the known chips of no mark stand out so far somewhere (or where a whole picture has them), and a CRC
    fits on top of it."""
    tail = 0.5 * math.erfc(known / math.sqrt(2))
    places, candidates = (WHOLE_PLACES, 1) if whole else (looked_at(), CANDIDATES)
    return min(1.0, places * tail) * candidates / 2**CRC_BITS


def score_asked_for(whole: bool = False) -> float:
    """How far the known chips must stand out to be believed, in standard deviations."""
    low, high = 0.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        believed = chance(middle, whole) < (BELIEVABLE_WHOLE if whole else BELIEVABLE)
        low, high = (low, middle) if believed else (middle, high)
    return high


# ---- signals ------------------------------------------------------------------------------------------------------


def host_suppressed(picture: Plane, scale: float) -> Signal:
    """The picture at CHIP_PX a chip under this scale, as a detector wants it.

    What is coarser is taken away, far into the chips themselves: what they lose the evening of the spectrum gives back,
    and a still background is loudest there. Each place weighs by nearly the inverse of the variance left: an edge says
    little about a mark, a smooth wall says much.
    """
    ratio = CHIP_PX * LATTICE / (WORKING_PX * scale)
    size = (round(picture.shape[1] * ratio), round(picture.shape[0] * ratio))
    sized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    fine = sized - cv2.GaussianBlur(sized, (0, 0), FINE * CHIP_PX)
    variance = cv2.GaussianBlur(fine * fine, (0, 0), AROUND * CHIP_PX)
    return fine / (variance + NOISE) ** EVENING


def _halved(signal: Signal) -> Float32[np.ndarray, "half_height half_width"]:
    return cv2.resize(signal, (signal.shape[1] // 2, signal.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _folded(signal: Signal, chip_px: int) -> Float[np.ndarray, "tile tile"]:
    """All repetitions of the tile added up."""
    tile = LATTICE * chip_px
    rows, columns = -(-signal.shape[0] // tile), -(-signal.shape[1] // tile)
    padded = np.zeros((rows * tile, columns * tile))
    padded[: signal.shape[0], : signal.shape[1]] = signal
    return padded.reshape(rows, tile, columns, tile).sum(axis=(0, 2))


def whitened(signal: Float[np.ndarray, "tile tile"], share: float) -> Float[np.ndarray, "tile tile"]:
    """The signal with its spectrum divided by this power of its own smoothed power: 0.5 makes it even.

    The mark's spectrum is even; what a still background leaves after folding, shelves or leaves or a shirt's checks, is
    not. For a correlation with known chips 1 is best in theory (the matched filter in coloured noise), and less for
    single chips.
    """
    spectrum = np.fft.fft2(signal)
    power = np.fft.fftshift(np.abs(spectrum) ** 2)
    power = np.fft.ifftshift(cv2.GaussianBlur(power, (0, 0), SPECTRUM_BLUR))
    return np.fft.ifft2(spectrum / (power + 1e-9 * power.max() + 1e-12) ** share).real


def _chips(signal: Float[np.ndarray, "tile tile"], chip_px: int) -> Tile:
    """What is seen of each chip, its middle more than the way to its neighbours."""
    seen = _interpolation(LATTICE * chip_px, chip_px) ** 2
    return seen.T @ signal @ seen


@lru_cache(maxsize=64)
def _template_of(known: bytes, chip_px: int) -> Spectrum:
    tile = np.frombuffer(known).reshape(LATTICE, LATTICE)
    drawn = _interpolation(LATTICE * chip_px, chip_px) @ tile @ _interpolation(LATTICE * chip_px, chip_px).T
    return np.conj(np.fft.rfft2(drawn))


def _template(found: Layout, chip_px: int) -> Spectrum:
    return _template_of(found.known_tile().tobytes(), chip_px)


def _correlation(signal: Float[np.ndarray, "tile tile"], template: Spectrum) -> Float[np.ndarray, "tile tile"]:
    """The known chips' correlation at every shift, in standard deviations over the shifts."""
    likeness = np.fft.irfft2(np.fft.rfft2(signal) * template, signal.shape)
    return (likeness - likeness.mean()) / (likeness.std() + 1e-12)
