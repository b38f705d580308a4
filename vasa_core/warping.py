"""The portrait's own pixels through a backward map, over the background: the compiled loop of every frame.

Cubic as in `cv2.remap` (a = -0.75), but only between the first and the last pixel of a row that may show the person.
Colours and matte are packed into one number a pixel, so that one look brings all four, and rows are worked tap by tap,
which compilers turn into vectors.
"""

from __future__ import annotations

from typing import no_type_check

import cv2
import numba
import numpy as np
from jaxtyping import Float, UInt8, UInt32

ZERO, HALF, ONE, BRIGHTEST = (np.float32(x) for x in (0, 0.5, 1, 255))
"""Compiled code computes in double precision as soon as one whole number joins in."""

SHOWN = np.float32(0.999)
"""Skin that the portrait shows this well is not looked for in the volume."""

A, TWO, THREE, EIGHTH = (np.float32(x) for x in (-0.75, 2, 3, 0.125))
BYTE, EIGHT, SIXTEEN, TWENTY_FOUR = (np.uint32(x) for x in (255, 8, 16, 24))

LEAP_PX = 13.0
"""Neighbours whose places in the portrait (px of 512) are so far apart belong to different parts of the person."""

PAD = 3
"""Mirrored pixels around a packed portrait: a tap beyond its border needs no look."""


def packed(
    person: UInt8[np.ndarray, "high wide 3"], matte: Float[np.ndarray, "high wide"]
) -> UInt32[np.ndarray, "padded_high padded_wide"]:
    """Red in the lowest byte, then green, blue and the matte, which ends at the border."""
    colours = cv2.copyMakeBorder(person, PAD, PAD, PAD, PAD, cv2.BORDER_REFLECT).astype(np.uint32)
    alpha = np.pad((matte * 255 + 0.5).astype(np.uint32), PAD)
    return np.ascontiguousarray(colours[..., 0] | colours[..., 1] << 8 | colours[..., 2] << 16 | alpha << 24)


def near_person(matte: Float[np.ndarray, "high wide"]) -> UInt8[np.ndarray, "higher wider"]:
    """1 where a look-up may find some of the person; one more pixel on each side, and shifted by one."""
    return cv2.dilate(np.pad((matte > 0).astype(np.uint8), 1), np.ones((5, 5), np.uint8))


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check  # compiled code takes no run-time checks
def look_up(person, near, background, backward, picture, alpha):
    """What the `packed` person shows where `backward` [high, wide, 2] says, laid over the background.

    Writes picture [high, wide, 3] and alpha [high, wide]; outside the portrait there is no person.
    """
    high, wide = alpha.shape
    stride, flat = np.uint32(person.shape[1]), person.reshape(-1)
    at, colour = np.empty(wide, np.uint32), np.empty(wide, np.uint32)
    weight = np.empty((8, wide), np.float32)
    linear, sums = np.empty((4, wide), np.float32), np.empty((4, wide), np.float32)
    for row in range(high):
        first, last = wide, 0
        for column in range(wide):
            x, y = backward[row, column, 0], backward[row, column, 1]
            inside = x > -ONE and y > -ONE and x < np.float32(wide) and y < np.float32(high)
            if inside and near[np.uint32(np.int32(y + ONE)), np.uint32(np.int32(x + ONE))]:
                first, last = min(first, column), column + 1
        count = max(last - first, 0)
        there = backward[row, first : first + count]
        for k in range(count):
            x, y = min(max(there[k, 0], -ONE), np.float32(wide)), min(max(there[k, 1], -ONE), np.float32(high))
            x0, y0 = np.floor(x), np.floor(y)
            at[k] = np.uint32(np.int32(y0) + PAD - 1) * stride + np.uint32(np.int32(x0) + PAD - 1)
            t, v = x - x0, y - y0
            u, w = ONE - t, ONE - v
            weight[0, k], weight[3, k] = A * t * u * u, A * u * t * t
            weight[1, k], weight[2, k] = (
                ((A + TWO) * t - (A + THREE)) * t * t + ONE,
                ((A + TWO) * u - (A + THREE)) * u * u + ONE,
            )
            weight[4, k], weight[7, k] = A * v * w * w, A * w * v * v
            weight[5, k], weight[6, k] = (
                ((A + TWO) * v - (A + THREE)) * v * v + ONE,
                ((A + TWO) * w - (A + THREE)) * w * w + ONE,
            )
            linear[0, k], linear[1, k], linear[2, k], linear[3, k] = u, t, w, v
            sums[0, k], sums[1, k], sums[2, k], sums[3, k] = ZERO, ZERO, ZERO, ZERO
        for j in range(4):
            for i in range(4):
                offset = np.uint32(j) * stride + np.uint32(i)
                across, down = weight[i], weight[4 + j]
                for k in range(count):
                    colour[k] = flat[at[k] + offset]
                for k in range(count):
                    share = across[k] * down[k]
                    sums[0, k] += share * np.float32(np.int32(colour[k] & BYTE))
                    sums[1, k] += share * np.float32(np.int32((colour[k] >> EIGHT) & BYTE))
                    sums[2, k] += share * np.float32(np.int32((colour[k] >> SIXTEEN) & BYTE))
                if 1 <= i <= 2 and 1 <= j <= 2:
                    across, down = linear[i - 1], linear[1 + j]
                    for k in range(count):
                        sums[3, k] += across[k] * down[k] * np.float32(np.int32(colour[k] >> TWENTY_FOUR))
        alpha[row, :first] = ZERO
        alpha[row, last:] = ZERO
        picture[row, :first] = background[row, :first]
        picture[row, last:] = background[row, last:]
        behind, out = background[row, first : first + count], picture[row, first : first + count]
        for k in range(count):
            shown = sums[3, k] / BRIGHTEST
            alpha[row, first + k] = shown
            for c in range(3):
                own = min(max(sums[c, k], ZERO), BRIGHTEST)
                out[k, c] = np.uint8(np.int32(shown * own + (ONE - shown) * np.float32(behind[k, c]) + HALF))


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def lay(face, backward, known):
    """The face over the sheet: as far as it wins, its places in the portrait become those of `backward` [high, wide,
    2]; how far that is, and how well the portrait shows it, goes into `known`."""
    for row in range(face.shape[0]):
        for column in range(face.shape[1]):
            wins = face[row, column, 2]
            for k in range(2):
                backward[row, column, k] += wins * (face[row, column, k] - backward[row, column, k])
            known[row, column, 0], known[row, column, 1] = wins, face[row, column, 3]


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def soften(backward, leap, picture, alpha):
    """Where one part of the person ends before another, smooths the stairs of the border: pixels whose place in
    `backward` [high, wide, 2] is farther than `leap` (px) from a neighbour's become a binomial mean of those around
    them, wholly at twice that. Writes picture [high, wide, 3] and alpha [high, wide]; their rims stay."""
    high, wide = alpha.shape
    before = np.empty((2, wide, 4), np.float32)  # what the rows above, overwritten since, were
    share = np.zeros((high, wide), np.float32)
    least, most = leap * leap, ONE / (THREE * leap * leap)
    for row in range(high - 1):
        for column in range(wide - 1):
            x, y = backward[row, column, 0], backward[row, column, 1]
            right = (backward[row, column + 1, 0] - x) ** 2 + (backward[row, column + 1, 1] - y) ** 2
            down = (backward[row + 1, column, 0] - x) ** 2 + (backward[row + 1, column, 1] - y) ** 2
            if right > least:
                jump = min((right - least) * most, ONE)
                share[row, column] = max(share[row, column], jump)
                share[row, column + 1] = max(share[row, column + 1], jump)
            if down > least:
                jump = min((down - least) * most, ONE)
                share[row, column] = max(share[row, column], jump)
                share[row + 1, column] = max(share[row + 1, column], jump)
    for row in range(high):
        above, here = before[1 - row % 2], before[row % 2]
        for column in range(wide):
            for c in range(3):
                here[column, c] = np.float32(picture[row, column, c])
            here[column, 3] = alpha[row, column]
        if row == 0 or row == high - 1:
            continue
        for column in range(1, wide - 1):
            if share[row, column] > ZERO:
                for c in range(4):
                    total = above[column, c] + TWO * here[column, c] + here[column - 1, c] + here[column + 1, c]
                    total += HALF * (above[column - 1, c] + above[column + 1, c])
                    for k in range(-1, 2):
                        part = HALF if k else ONE
                        below = np.float32(picture[row + 1, column + k, c]) if c < 3 else alpha[row + 1, column + k]
                        total += part * below
                    value = here[column, c] + share[row, column] * (total * EIGHTH - here[column, c])
                    if c < 3:
                        picture[row, column, c] = np.uint8(np.int32(value + HALF))
                    else:
                        alpha[row, column] = value


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def show_hidden(face, volume, factor, offset, alpha, picture):
    """Skin that the portrait does not show, from the colour volume [4, deep, high, wide] at its canonical place.

    face [high2, wide2, 7] holds how much the face wins, how well the portrait shows it and the canonical place (cm) in
    its last five channels; factor and offset bring places to indices of the volume.
    """
    deep, high, wide = volume.shape[1:]
    for row in range(face.shape[0]):
        for column in range(face.shape[1]):
            if face[row, column, 2] <= ZERO or face[row, column, 3] >= SHOWN:
                continue
            doubt = (ONE - face[row, column, 3]) * face[row, column, 2] * alpha[row, column]
            x = min(max(face[row, column, 4] * factor[0] + offset[0], ZERO), np.float32(wide - 1.001))
            y = min(max(face[row, column, 5] * factor[1] + offset[1], ZERO), np.float32(high - 1.001))
            z = min(max(face[row, column, 6] * factor[2] + offset[2], ZERO), np.float32(deep - 1.001))
            x0, y0, z0 = np.int32(x), np.int32(y), np.int32(z)
            fx, fy, fz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
            for c in range(3):
                near, far = ZERO, ZERO
                for dy in range(2):
                    share = fy if dy else ONE - fy
                    a, b = volume[c, z0, y0 + dy, x0], volume[c, z0, y0 + dy, x0 + 1]
                    near += share * (a + fx * (b - a))
                    a, b = volume[c, z0 + 1, y0 + dy, x0], volume[c, z0 + 1, y0 + dy, x0 + 1]
                    far += share * (a + fx * (b - a))
                seen = np.float32(picture[row, column, c])
                value = seen + doubt * (near + fz * (far - near) - seen)
                picture[row, column, c] = np.uint8(np.int32(min(max(value, ZERO), BRIGHTEST)))
