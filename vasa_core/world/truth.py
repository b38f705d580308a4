"""Ground truth of a frame: what every pixel shows, where MediaPipe's 478 landmarks are, and every number behind them.

Pictures are [row, column], row 0 at the top; pixel positions are (x right, y down) with the first pixel's centre at
(0.5, 0.5). World axes: +x to the right of the picture, +y up, +z towards the camera, cm; the camera stands at
(x, y, 2 + distance) and looks along -z without turning. Head space is the world before the head turns about
`NECK_PIVOT`; canonical space is the neutral average head. Angles in degrees as in `facekit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray as Array
from safetensors.numpy import load_file
from scipy.spatial import cKDTree

from vasa_core.assets import weights
from vasa_core.surface import (
    EYE_CORNERS,
    LANDMARKS,
    LIP_CORNERS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    load_surface,
)
from vasa_core.world.facekit import FACE, SIDES, FaceKit, Number

ALL_LANDMARKS = LANDMARKS + 10
RIGHT_IRIS, LEFT_IRIS = slice(468, 473), slice(473, 478)
"""Centre, then the rim to the right, top, left and bottom of the picture; the subject's right eye comes first."""
LIMBUS = 0.95  # MediaPipe's iris ring lies a little inside the dark border of the iris
EXACT_CM = 0.01
SHIFT = Path(__file__).with_name("landmark_shift.safetensors")
VISIBLE_CM = 0.35  # a landmark at most this far behind what its pixel shows counts as seen
DEPTH_SPREAD = 1  # pixels around it that are asked, since landmarks lie on rims


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What one frame shows. Where nobody is, all pictures are 0."""

    part: UInt8[Array, "size size"]  # place in renderer.PART_NAMES
    canonical: Float[Array, "size size 3"]  # cm; hair, cloth and torso: their place on the person at rest
    depth: Float[Array, "size size"]  # cm along the optical axis from the eye
    normals: Float[Array, "size size 3"]  # unit, world axes, towards the camera's side
    landmarks: Float[Array, "landmark 2"]  # px; MediaPipe's 478
    landmarks_cm: Float[Array, "landmark 3"]  # the same in the world
    landmarks_head: Float[Array, "landmark 3"]  # the same in head space: identity and expression without pose
    visible: Bool[Array, " landmark"]  # nothing lies in front of it
    landmarks68: Float[Array, "outline 2"]  # px; the 68 of the iBUG scheme
    pose: Float[Array, " angle"]  # degrees: yaw, pitch, roll
    gaze: Float[Array, " turn"]  # degrees in the head: yaw, pitch
    expression: Float[Array, " mode"]  # the weights drawn, with what gaze adds to the lids
    pixel_from_world: Float[Array, "3 4"]  # (x, y, 1) * depth = this @ (X, Y, Z, 1)
    irises: Float[Array, "eye 2"]  # px; the apex of each cornea, L then R


@dataclass(frozen=True)
class Binding:
    """Where landmarks sit on a head: corners [n, 3] (vertex numbers) and their shares [n, 3], summing to one."""

    corners: Int[Array, "landmark 3"]
    shares: Float[Array, "landmark 3"]

    def on(self, vertices: Float[Array, "vertex axis"]) -> Float[Array, "landmark axis"]:
        """The landmarks where the mesh now is; also weights or any other vertex values [vertex, k]."""
        return np.einsum("nka,nk->na", vertices[self.corners], self.shares).astype(np.float32)


def canonical_landmarks() -> Float[Array, "landmark=468 3"]:
    """MediaPipe's 468 face landmarks on the neutral average head, as our own shipped surface holds them (cm)."""
    return load_surface(weights("surface.safetensors")).neutral[:LANDMARKS]


def meeting() -> frozenset[int]:
    """Landmarks of contours that meet when mouth and eyes close: their place is exact, MediaPipe's opinion or not."""
    lids = sum((*UPPER_LIDS, *LOWER_LIDS), ())
    return frozenset((*lids, *UPPER_LIP, *LOWER_LIP, *LIP_CORNERS, *EYE_CORNERS[0], *EYE_CORNERS[1]))


def meant_landmarks() -> Float[Array, "landmark=468 3"]:
    """The canonical landmarks moved to where MediaPipe puts them on our renders (cm; `meant` learns the table)."""
    return canonical_landmarks() + load_file(SHIFT)["shift_cm"]


def bind_landmarks(kit: FaceKit, places: Float[Array, "landmark 3"]) -> Binding:
    """Each landmark at the nearest point of the face; on FaceKit these are the vertices our surface was made from.

    On another head, lips and lids keep to their own side of the opening, and sides are told by motion: what opens with
    the jaw is lower lip, what falls in a blink is upper lid.
    """
    triangles = kit.faces[(kit.part[kit.faces] == FACE).all(1)]
    corners, shares = _nearest(kit.neutral, triangles, places)
    found = Binding(corners, shares).on(kit.neutral)
    for ids, mask in _sides(kit):
        off = [i for i in ids if np.linalg.norm(found[i] - places[i]) > EXACT_CM]
        if off:
            corners[off], shares[off] = _nearest(kit.neutral, triangles[mask[triangles].all(1)], places[off])
    return Binding(corners, shares)


def _sides(kit: FaceKit) -> list[tuple[list[int], Array]]:
    """Lip and lid landmarks with the vertices they may sit on."""
    modes = kit.expression_modes.reshape(len(kit.expression_names), -1, 3)[:, :, 1]
    jaw = -modes[kit.expression_index["jawOpen"]]
    lids = -modes[[kit.expression_index[f"eyeBlink_{side}"] for side in SIDES]].sum(0)
    lower, falling = jaw > 0.5 * jaw.max(), lids > 0.4 * lids.max()
    uppers, lowers = (list(sum(lid, ())) for lid in (UPPER_LIDS, LOWER_LIDS))
    return [(list(LOWER_LIP), lower), (list(UPPER_LIP), ~lower), (uppers, falling), (lowers, ~falling)]


def _nearest(points: Array, triangles: Array, places: Array) -> tuple[Array, Array]:
    """Corners and shares of the points of the triangles that are nearest (of the 24 with the nearest middles)."""
    near = triangles[cKDTree(points[triangles].mean(1)).query(places, k=24)[1]]  # [landmark, 24, corner]
    shares = closest_shares(points[near].astype(np.float64), places[:, None])
    gap = np.linalg.norm(np.einsum("nmka,nmk->nma", points[near], shares) - places[:, None], axis=2)
    best, row = gap.argmin(1), np.arange(len(places))
    return near[row, best].astype(np.int64), shares[row, best].astype(np.float32)


def closest_shares(corners: Float[Array, "*n 3 3"], place: Float[Array, "*m 3"]) -> Float[Array, "*n 3"]:
    """Barycentric shares of the points of the triangles that are nearest to the places."""
    best, out = np.full(corners.shape[:-2], np.inf), np.zeros(corners.shape[:-1])
    for i, j in ((0, 1), (1, 2), (2, 0)):  # on the rim
        start, along = corners[..., i, :], corners[..., j, :] - corners[..., i, :]
        t = np.clip(((place - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
        gap = np.linalg.norm(start + t[..., None] * along - place, axis=-1)
        rim = np.zeros(out.shape)
        rim[..., i], rim[..., j] = 1 - t, t
        out, best = np.where((gap < best)[..., None], rim, out), np.minimum(gap, best)
    u, v, w = (
        corners[..., 1, :] - corners[..., 0, :],
        corners[..., 2, :] - corners[..., 0, :],
        place - corners[..., 0, :],
    )
    uu, uv, vv, uw, vw = ((a * b).sum(-1) for a, b in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    area = np.maximum(uu * vv - uv * uv, 1e-12)
    second, third = (vv * uw - uv * vw) / area, (uu * vw - uv * uw) / area
    within = (second >= 0) & (third >= 0) & (second + third <= 1)
    return np.where(within[..., None], np.stack([1 - second - third, second, third], -1), out)


def iris_landmarks(eyes: dict[str, dict], radius: Number) -> Float[Array, "landmark=10 3"]:
    """The ten iris landmarks in head space from the eyes' centres and axes; right eye of the subject first."""
    out = []
    for side in reversed(SIDES):
        center, axis, across = (np.asarray(eyes[side][name]) for name in ("uCenter", "uAxis", "uAcross"))
        up = np.cross(axis, across)
        plane = center + axis * np.sqrt(max(eyes[side]["uApex"] ** 2 - radius**2, 0))
        out += [plane, *(plane + LIMBUS * radius * toward for toward in (across, up, -across, -up))]
    return np.stack(out).astype(np.float32)


def seen(
    landmarks: Float[Array, "landmark 2"], far: Float[Array, " landmark"], depth: Array
) -> Bool[Array, " landmark"]:
    """Which landmarks at `far` cm from the eye are not hidden, by the frame's depth picture."""
    size = len(depth)
    inside = ((landmarks >= 0) & (landmarks < size)).all(1)
    column, row = np.clip(landmarks.astype(int), 0, size - 1).T
    shown = np.zeros(len(landmarks), bool)
    for down in range(-DEPTH_SPREAD, DEPTH_SPREAD + 1):
        for right in range(-DEPTH_SPREAD, DEPTH_SPREAD + 1):
            there = depth[np.clip(row + down, 0, size - 1), np.clip(column + right, 0, size - 1)]
            shown |= (there == 0) | (far <= there + VISIBLE_CM)
    return inside & shown
