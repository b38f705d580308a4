"""Compiled kernels around the refinement network: what it is told, its answer bounded, and the blend at full size.

Each does in one pass over memory what `refinement` says in many, without Python's lock, so that two threads can work;
`tests/test_blending.py` holds each to its plain twin. Planes are [channel, high, wide], pictures [high, wide, channel].
"""

from __future__ import annotations

from typing import no_type_check

import cv2
import numba
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.landmarks import CROP_PX
from vasa_core.refinement import (
    BESIDE_PX,
    FACE_MOVED_PX,
    FACE_STILL_PX,
    FEATURES,
    FLOW_PX,
    FRINGE_PX,
    GAIN,
    MOUTH_PAINTED,
    MOVED_PX,
    OVERPAINTED,
    STILL_PX,
    VOLUME_HIGH_CM,
    VOLUME_LOW_CM,
    WARP_FIRST,
    WIDE_FROM,
    WIDE_PX,
    WIDE_TO,
)
from vasa_core.sight import CANONICAL_CM, COARSE, COARSE_PX, FINE, FINE_PX
from vasa_core.sight import MOVED_PX as SIGHT_MOVED_PX

TOLD = 4 * (6 + len(FINE)) + len(COARSE) + FEATURES
"""Channels of the network's input once it is unfolded to COARSE_PX."""

LIGHT_PX = 64
"""Flow and gain are told this small."""

BLEND = ("unmoved", "painted", "red", "green", "blue")
LIGHT = ("flow x", "flow y", "gain red", "gain green", "gain blue")
BLEND_FIRST, LIGHT_FIRST = 1, 2
"""So many of these planes obey the first of their two bounds."""

LEAST_WITHIN, SHARE_LEAST = np.float32(1e-3), np.float32(1 / 512)
NEXT = np.uint32(1)

_COVERED = len(BLEND)
_PORTRAIT_AT, _FINE_AT, _COARSE_AT = 12, 24, 24 + 4 * len(FINE)
_HEAD = COARSE.index("head")
_PERSON, _FACE, _SHOWN, _MOUTH, _EYES = (FINE.index(name) for name in ("person", "face", "shown", "mouth", "eyes"))


ZERO, HALF, ONE, BRIGHTEST = (np.float32(x) for x in (0, 0.5, 1, 255))
"""Compiled code computes in double precision as soon as one whole number joins in."""

FLOW_LEAST_PX = np.float32(1 / 64)
NEARLY_ALL = np.float32(0.998)


def _unit_from_tenth() -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset from canonical places, in tenths of cm, to 0..1 of the volume; height runs downwards."""
    low, high = np.array(VOLUME_LOW_CM, np.float32), np.array(VOLUME_HIGH_CM, np.float32)
    factor, offset = CANONICAL_CM / (high - low), -low / (high - low)
    factor[1], offset[1] = -factor[1], 1 - offset[1]
    return factor.astype(np.float32), offset.astype(np.float32)


UNIT_FROM_TENTH = _unit_from_tenth()


def told_of_portrait(crop: UInt8[np.ndarray, "512 512 3"]) -> Float[np.ndarray, "128 128 told=72"]:
    """The network's input with what never changes in it: the unmoved portrait, -1 to 1."""
    told = np.zeros((COARSE_PX, COARSE_PX, TOLD), np.float32)
    small = cv2.resize(crop, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1
    unfolded = small.reshape(COARSE_PX, 2, COARSE_PX, 2, 3).transpose(0, 2, 4, 1, 3)
    told[..., _PORTRAIT_AT:_FINE_AT] = unfolded.reshape(COARSE_PX, COARSE_PX, 12)
    return told


def head_within(matte: Float[np.ndarray, "512 512"]) -> Float[np.ndarray, "256 256"]:
    """Where the unmoved portrait may show a head, hair that the matte misses included: 0 to 1."""
    small = cv2.resize(matte, (FINE_PX, FINE_PX), interpolation=cv2.INTER_AREA)
    wide = cv2.dilate(small, np.ones((2 * FRINGE_PX + 1,) * 2), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.minimum(2 * wide, 1).astype(np.float32)


def drawn_in(fine: UInt8[np.ndarray, "fine=5 256 256"]) -> UInt8[np.ndarray, "256 256"]:
    """What geometry draws itself, mouth and eyes, and a pixel around it: 0 to 255."""
    return cv2.dilate(np.maximum(fine[_MOUTH], fine[_EYES]), np.ones((3, 3), np.uint8))


def eyes_in(fine: UInt8[np.ndarray, "fine=5 256 256"]) -> UInt8[np.ndarray, "256 256"]:
    """The drawn eyes alone, likewise."""
    return cv2.dilate(fine[_EYES], np.ones((3, 3), np.uint8))


def unpainted_in(
    fine: UInt8[np.ndarray, "fine=5 256 256"], eyes: UInt8[np.ndarray, "256 256"]
) -> Float[np.ndarray, "256 256"]:
    """How much of each pixel nothing may paint over: the eyes, most of a mouth that is wide open, and what lies beside
    the person."""
    mouth = cv2.dilate(fine[_MOUTH], np.ones((3, 3), np.uint8))
    around = cv2.blur(fine[_MOUTH].astype(np.float32), (WIDE_PX, WIDE_PX), borderType=cv2.BORDER_CONSTANT) / 255
    wide = np.clip((around - WIDE_FROM) / (WIDE_TO - WIDE_FROM), 0, 1)
    wide = cv2.dilate(wide, np.ones((2 * WIDE_PX - 1,) * 2))
    person = cv2.dilate(fine[_PERSON], np.ones((2 * BESIDE_PX + 1,) * 2, np.uint8))
    drawn = np.maximum(eyes, (1 - MOUTH_PAINTED * (1 - wide)) * mouth)
    return np.maximum(drawn, 255 - person.astype(np.float32)) / np.float32(255)


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check  # compiled code takes no run-time checks
def find(volume, canonical, factor, offset, out):
    """Features of the volume [deep, high, wide, c] at canonical places [3, high2, wide2], trilinear, clamped at its
    walls, into the last channels of `out` [high2, wide2, ...]; the twin of `refinement.found_at`."""
    deep, high, wide, channels = volume.shape
    first = out.shape[2] - channels
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = min(max(canonical[0, row, column] * factor[0] + offset[0], 0.0), 1.0) * (wide - 1)
            y = min(max(canonical[1, row, column] * factor[1] + offset[1], 0.0), 1.0) * (high - 1)
            z = min(max(canonical[2, row, column] * factor[2] + offset[2], 0.0), 1.0) * (deep - 1)
            x0, y0, z0 = min(int(x), wide - 2), min(int(y), high - 2), min(int(z), deep - 2)
            fx, fy, fz = np.float32(x - x0), np.float32(y - y0), np.float32(z - z0)
            for c in range(channels):
                near = volume[z0, y0, x0, c] * (1 - fx) + volume[z0, y0, x0 + 1, c] * fx
                below = volume[z0, y0 + 1, x0, c] * (1 - fx) + volume[z0, y0 + 1, x0 + 1, c] * fx
                front = volume[z0 + 1, y0, x0, c] * (1 - fx) + volume[z0 + 1, y0, x0 + 1, c] * fx
                both = volume[z0 + 1, y0 + 1, x0, c] * (1 - fx) + volume[z0 + 1, y0 + 1, x0 + 1, c] * fx
                out[row, column, first + c] = (near * (1 - fy) + below * fy) * (1 - fz) + (
                    front * (1 - fy) + both * fy
                ) * fz


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def tell(warped, fine, coarse, told):
    """Writes the frame's warp, halved, its fine planes and its coarse ones into the network's input, unfolded two by
    two (channel, row, column) as `torch.nn.functional.pixel_unshuffle` does."""
    unit, byte = np.float32(1 / 127.5), np.float32(1 / 255)
    for row in range(told.shape[0]):
        for column in range(told.shape[1]):
            cell = told[row, column]
            for dy in range(2):
                y = 2 * row + dy
                for dx in range(2):
                    x, place = 2 * column + dx, 2 * dy + dx
                    for c in range(3):
                        total = (
                            np.int32(warped[2 * y, 2 * x, c])
                            + np.int32(warped[2 * y, 2 * x + 1, c])
                            + np.int32(warped[2 * y + 1, 2 * x, c])
                            + np.int32(warped[2 * y + 1, 2 * x + 1, c])
                        )
                        cell[4 * c + place] = np.float32((total + 2) >> 2) * unit - np.float32(1)
                    for c in range(fine.shape[0]):
                        cell[_FINE_AT + 4 * c + place] = fine[c, y, x] * byte
            for c in range(coarse.shape[0]):
                cell[_COARSE_AT + c] = coarse[c, row, column]


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def hear(fine_said, coarse_said, fine, blend, light):
    """What the network said, as planes: from the numbers of its heads [128, 128, 24] and [64, 64, 5] the shares of
    unmoved and painted and the painted colours (BLEND, 0 to 255), and flow in pixels of 512 with the gain's logarithm
    (LIGHT); the twin of `Refinement.forward` after its last convolution, and of `shares`."""
    over = np.float32(OVERPAINTED / 255)
    for y in range(blend.shape[1]):
        for x in range(blend.shape[2]):
            said, place = fine_said[y // 2, x // 2], 2 * (y % 2) + x % 2
            lead = said[place] + np.float32(WARP_FIRST)
            unmoved = np.exp(said[4 + place] - lead)
            painted = np.exp(said[8 + place] - over * np.float32(fine[_SHOWN, y, x]) - lead)
            total = ONE / (ONE + unmoved + painted)
            blend[0, y, x] = unmoved * total
            blend[1, y, x] = painted * total
            for c in range(3):
                blend[2 + c, y, x] = (said[12 + 4 * c + place] + ONE) * np.float32(127.5)
    for row in range(light.shape[1]):
        for column in range(light.shape[2]):
            for c in range(2):
                flow = np.tanh(np.float32(0.2) * coarse_said[row, column, c])
                light[c, row, column] = np.float32(FLOW_PX * CROP_PX / FINE_PX) * flow
            for c in range(2, 5):
                light[c, row, column] = np.float32(GAIN) * np.tanh(np.float32(0.5) * coarse_said[row, column, c])


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def bound(fine, drawn, eyes, unpainted, coarse, head, within, light_within):
    """What the geometry knows: how much of its share unmoved and painted may have (within [2, 256, 256]), and how much
    of flow and gain is left (light_within [2, 64, 64]); the twin of `refinement.bounded`."""
    byte, near, far = np.float32(1 / 255), np.float32(0.75), np.float32(0.25)
    gone, turned = np.empty(coarse.shape[1:], np.float32), np.empty(coarse.shape[1:], np.float32)
    for row in range(gone.shape[0]):
        for column in range(gone.shape[1]):
            moved = np.float32(SIGHT_MOVED_PX) * np.sqrt(coarse[0, row, column] ** 2 + coarse[1, row, column] ** 2)
            share = (moved - np.float32(STILL_PX)) * np.float32(1 / (MOVED_PX - STILL_PX))
            gone[row, column] = min(max(share, ZERO), ONE) * coarse[_HEAD, row, column]
            share = (moved - np.float32(FACE_STILL_PX)) * np.float32(1 / (FACE_MOVED_PX - FACE_STILL_PX))
            turned[row, column] = min(max(share, ZERO), ONE)
    for y in range(within.shape[1]):
        row = y // 2
        other = min(max(row + 2 * (y % 2) - 1, 0), gone.shape[0] - 1)
        for x in range(within.shape[2]):
            column = x // 2
            beside = min(max(column + 2 * (x % 2) - 1, 0), gone.shape[1] - 1)
            a = near * (near * gone[row, column] + far * gone[row, beside])
            a += far * (near * gone[other, column] + far * gone[other, beside])
            b = near * (near * turned[row, column] + far * turned[row, beside])
            b += far * (near * turned[other, column] + far * turned[other, beside])
            between = np.float32(drawn[y, x]) * byte
            lost = max(a * head[y, x], b * np.float32(fine[_FACE, y, x]) * byte)
            within[0, y, x] = ONE - max(lost, between)
            within[1, y, x] = ONE - unpainted[y, x]
    step = within.shape[1] // light_within.shape[1]
    for row in range(light_within.shape[1]):
        for column in range(light_within.shape[2]):
            held, covered = np.int32(0), np.int32(0)
            for y in range(step * row, step * (row + 1)):
                for x in range(step * column, step * (column + 1)):
                    held += max(np.int32(fine[_SHOWN, y, x]), np.int32(drawn[y, x]))
                    covered = max(covered, np.int32(eyes[y, x]))
            light_within[0, row, column] = ONE - np.float32(held) * byte / np.float32(step * step)
            light_within[1, row, column] = ONE - np.float32(covered) * byte


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def apply(blend, within, light, light_within, settled_blend, settled_light):
    """Shares, flow and gain within their bounds; the gain becomes a factor."""
    for y in range(blend.shape[1]):
        for x in range(blend.shape[2]):
            for c in range(2):
                settled_blend[c, y, x] = blend[c, y, x] * within[c, y, x]
            for c in range(2, 5):
                settled_blend[c, y, x] = blend[c, y, x]
    for y in range(light.shape[1]):
        for x in range(light.shape[2]):
            for c in range(2):
                settled_light[c, y, x] = light[c, y, x] * light_within[0, y, x]
            for c in range(2, 5):
                settled_light[c, y, x] = np.exp(light[c, y, x] * light_within[1, y, x])


@numba.njit(cache=True, fastmath=True, nogil=True, inline="always")
@no_type_check
def _shifted(shift, y, x, high, wide):
    """Where in planes [high, wide] something was, that is seen at (y, x) now, from `shift` [2, high2, wide2] in pixels
    of 512; clamped at the borders."""
    v = (np.float32(y) + HALF) * np.float32(shift.shape[1] / high) - HALF
    u = (np.float32(x) + HALF) * np.float32(shift.shape[2] / wide) - HALF
    v = min(max(v, ZERO), np.float32(shift.shape[1] - 1))
    u = min(max(u, ZERO), np.float32(shift.shape[2] - 1))
    y0, x0 = np.uint32(min(np.int32(v), shift.shape[1] - 2)), np.uint32(min(np.int32(u), shift.shape[2] - 2))
    v, u = v - np.float32(y0), u - np.float32(x0)
    dx, dy = _between(shift[0], y0, x0, v, u), _between(shift[1], y0, x0, v, u)
    there_y = min(max(np.float32(y) + dy * np.float32(high / CROP_PX), ZERO), np.float32(high - 1))
    there_x = min(max(np.float32(x) + dx * np.float32(wide / CROP_PX), ZERO), np.float32(wide - 1))
    return there_y, there_x


@numba.njit(cache=True, fastmath=True, nogil=True, inline="always")
@no_type_check
def _between(plane, y0, x0, v, u):
    """Linear between four pixels; indices that cannot be negative spare a look."""
    above = plane[y0, x0] + u * (plane[y0, x0 + NEXT] - plane[y0, x0])
    below = plane[y0 + NEXT, x0] + u * (plane[y0 + NEXT, x0 + NEXT] - plane[y0 + NEXT, x0])
    return above + v * (below - above)


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def meet(before, before_within, before_shift, after, after_within, after_shift, now, of_first, planes, within):
    """The words on two moments brought to one between them and mixed.

    What is seen here now was `shift` (pixels of 512) away at the other moment. The first `of_first` planes [channel,
    high, wide] obey the first of two bounds `within`, the others the second; each word counts as far as it was bound
    to nothing, for where a network is bound it has learned nothing. What both forbid, or `now` forbids, stays
    forbidden; what is forbidden is not worked out.
    """
    high, wide = planes.shape[1:]
    for y in range(high):
        for x in range(wide):
            first, second = now[0, y, x] > ZERO, now[1, y, x] > ZERO
            within[0, y, x], within[1, y, x] = ZERO, ZERO
            for c in range(planes.shape[0]):
                planes[c, y, x] = ZERO
            if not (first or second):
                continue
            v, u = _shifted(before_shift, y, x, high, wide)
            y0, x0 = np.uint32(min(np.int32(v), high - 2)), np.uint32(min(np.int32(u), wide - 2))
            v, u = v - np.float32(y0), u - np.float32(x0)
            t, s = _shifted(after_shift, y, x, high, wide)
            y1, x1 = np.uint32(min(np.int32(t), high - 2)), np.uint32(min(np.int32(s), wide - 2))
            t, s = t - np.float32(y1), s - np.float32(x1)
            for k in range(2):
                if now[k, y, x] <= ZERO:
                    continue
                a = _between(before_within[k], y0, x0, v, u)
                b = _between(after_within[k], y1, x1, t, s)
                within[k, y, x] = min(now[k, y, x], max(a, b))
                a, b = a + LEAST_WITHIN, b + LEAST_WITHIN
                a = a / (a + b)
                c = 0 if k == 0 else of_first
                last = of_first if k == 0 else planes.shape[0]
                while c < last:
                    one = _between(before[c], y0, x0, v, u)
                    planes[c, y, x] = a * one + (ONE - a) * _between(after[c], y1, x1, t, s)
                    if of_first == 1 and c == 1 and planes[c, y, x] < SHARE_LEAST:
                        for colour in range(2, planes.shape[0]):  # hardly painted: any colour near will do
                            planes[colour, y, x] = before[colour, y0, x0]
                        c = last
                    c += 1


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def _doubled(planes, out):
    """The same where rows become twice as long, as a loop that compilers turn into vectors."""
    near, far, last = np.float32(0.75), np.float32(0.25), planes.shape[2] - 1
    for c in range(planes.shape[0]):
        for y in range(planes.shape[1]):
            row, wide = planes[c, y], out[c, y]
            for x in range(1, last):
                here = near * row[x]
                wide[2 * x] = here + far * row[x - 1]
                wide[2 * x + 1] = here + far * row[x + 1]
            wide[0], wide[1] = row[0], near * row[0] + far * row[1]
            wide[2 * last], wide[2 * last + 1] = near * row[last] + far * row[last - 1], row[last]


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def widen(planes, out):
    """Planes enlarged along their rows, linearly between pixel middles, as `cv2.resize` does."""
    small = planes.shape[2]
    times = out.shape[2] // small
    if times == 2:
        _doubled(planes, out)
        return
    weight = np.empty((times, 3), np.float32)
    for phase in range(times):
        place = (phase + 0.5) / times - 0.5
        weight[phase, 0], weight[phase, 1], weight[phase, 2] = max(-place, 0), 1 - abs(place), max(place, 0)
    for c in range(planes.shape[0]):
        for y in range(planes.shape[1]):
            for x in range(small):
                left, here, right = planes[c, y, max(x - 1, 0)], planes[c, y, x], planes[c, y, min(x + 1, small - 1)]
                for phase in range(times):
                    mixed = weight[phase, 0] * left + weight[phase, 1] * here + weight[phase, 2] * right
                    out[c, y, times * x + phase] = mixed


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def _row_of(planes, place, row):
    """All planes on the line `place`, between two of their rows, clamped at the borders."""
    place = min(max(place, ZERO), np.float32(planes.shape[1] - 1))
    above = min(int(place), planes.shape[1] - 2)
    down = place - np.float32(above)
    up = ONE - down
    for c in range(planes.shape[0]):
        for x in range(row.shape[1]):
            row[c, x] = planes[c, above, x] * up + planes[c, above + 1, x] * down


@numba.njit(cache=True, fastmath=True, nogil=True)
@no_type_check
def put_together(warped, portrait, blend, light, out):
    """The blend of `refinement.composed` at full resolution; planes as `apply` leaves them are enlarged on the way.

    A sixth plane of the blend says how much of each pixel the person covers: light falls on nothing else, for behind a
    jaw that turns away the network lights the neck that it expects. A flow of less than FLOW_LEAST_PX is none, and
    where the unmoved portrait has all but NEARLY_ALL the warp is not looked at: together at most one grey level.
    """
    high, wide = out.shape[:2]
    blend_wide = np.empty((blend.shape[0], blend.shape[1], wide), np.float32)
    light_wide = np.empty((light.shape[0], light.shape[1], wide), np.float32)
    widen(blend, blend_wide)
    widen(light, light_wide)
    share, lit = np.empty((blend.shape[0], wide), np.float32), np.empty((light.shape[0], wide), np.float32)
    seen = np.empty((3, wide), np.float32)
    for row in range(high):
        _row_of(blend_wide, np.float32((row + 0.5) * blend.shape[1] / high - 0.5), share)
        _row_of(light_wide, np.float32((row + 0.5) * light.shape[1] / high - 0.5), lit)
        if share.shape[0] > _COVERED:
            for k in range(2, 5):
                for column in range(wide):
                    lit[k, column] = ONE + share[_COVERED, column] * (lit[k, column] - ONE)
        for column in range(wide):
            if share[0, column] > NEARLY_ALL:
                for k in range(3):
                    seen[k, column] = np.float32(portrait[row, column, k])
            elif abs(lit[0, column]) + abs(lit[1, column]) < FLOW_LEAST_PX:
                for k in range(3):
                    seen[k, column] = np.float32(warped[row, column, k])
            else:
                x = min(max(np.float32(column) + lit[0, column], ZERO), np.float32(wide - 1))
                y = min(max(np.float32(row) + lit[1, column], ZERO), np.float32(high - 1))
                x0, y0 = min(np.int32(x), wide - 2), min(np.int32(y), high - 2)
                right, down = x - np.float32(x0), y - np.float32(y0)
                for k in range(3):
                    above = np.float32(warped[y0, x0, k])
                    above += right * (np.float32(warped[y0, x0 + 1, k]) - above)
                    below = np.float32(warped[y0 + 1, x0, k])
                    below += right * (np.float32(warped[y0 + 1, x0 + 1, k]) - below)
                    seen[k, column] = above + down * (below - above)
        for column in range(wide):
            unmoved, painted = share[0, column], share[1, column]
            kept = ONE - unmoved - painted
            for k in range(3):
                value = kept * lit[2 + k, column] * seen[k, column] + painted * share[2 + k, column]
                value += unmoved * np.float32(portrait[row, column, k]) + HALF
                out[row, column, k] = np.uint8(np.int32(min(max(value, ZERO), BRIGHTEST)))
