"""A portrait made ready to move, once: codes, geometry, matte, background plate, appearance volume; savable as one
file.

What the landmarks say and the surface's codes do not explain stays with the person as a small `residual` (cm), so the
posed surface lies exactly on the landmarks and an unmoved portrait is the picture itself. The pixels around the face
ride on a `sheet`: a grid over the crop with depth and a weight that says how far each point follows the head, the
rest of the body or nothing (where the person runs out of the crop its border is held, so the result can be pasted
back).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy import ndimage

from vasa_core.encoders import Expected, FaceCodes, encode_landmarks
from vasa_core.errors import BadPortrait
from vasa_core.geometry import Camera, empty_depth, rasterise, vertex_normals
from vasa_core.landmarks import CROP_PX, FaceCrop, crop_face
from vasa_core.matting import Matting, matte_of
from vasa_core.pixel_codes import PixelEncoder
from vasa_core.relief import Relief, relieved
from vasa_core.surface import LANDMARKS, LOWER_LIP, UPPER_LIP, Surface, between_landmarks

SHEET_CELLS = 72
"""Finer than `RIM_REACH_SHARE`: with 48 a chin that rose had a scalloped jaw."""

BORDER_SHARE = 0.07
"""The outer part of the crop over which motion fades to nothing."""

RIM_REACH_SHARE = 0.06
"""Share of the face's width over which the sheet passes from the face's own depth to that of neck, ears and hair."""

RELIEF_REACH_SHARE = 0.2
"""Share of the face's width over which the relief's word on depth becomes whole: a fringe lies on the forehead, and
strands that turned with the one and not with the other would kink."""

COLOURS = (4, 24, 48, 48)
"""Colour volume: channel (red, green, blue, confidence), depth, height, width."""

COLOURS_LOW_CM = np.array([-9.5, -10.0, -1.0], np.float32)
COLOURS_HIGH_CM = np.array([9.5, 9.5, 13.5], np.float32)

MIRRORED = 0.08
"""How much the other half of a face counts where this one is seen as well."""

LIT_ALIKE_CELLS, MOST_RELIT = (2.0, 6.0, 20.0), 4.0
"""How far (cells of the colour volume, about 0.4 cm) light is about the same; and how many times it may differ."""

HIDDEN_CM, OUTLINE_CM, OUTLINE_PX = 0.6, 1.5, 9
"""Skin so far behind what is seen at its pixel is hidden; so is what lies farther behind what pixels near it show."""

ROWS_COUNT, FAINT = 4, 1e-3
"""Behind the person a background is as like what lies beside it as what lies this many times nearer above; and what is
only guessed counts this little against what is seen."""

MIRRORED_PX = 45
"""This far behind the person's outline the background is continued by its mirror image, and fading as far again."""

OPEN_MOUTH_SHARE = 0.035
"""Lips further apart than this share of the eye span make an open mouth, which is first brought to rest."""

LEAST_HUMAN = 1.1
"""Root mean square of the identity code (1 on average for random people of the training world; 0.45 to 0.83 on 19
photographs, paintings and cartoons, as the fit is cautious; 1.35 on a drawn cat)."""

WIDEST_TURN_RAD = np.deg2rad(58)


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """Everything the decoder needs of one portrait. Arrays are numpy; pixels are of the 512-pixel crop."""

    picture: UInt8[np.ndarray, "height width 3"]
    crop: UInt8[np.ndarray, "512 512 3"]
    crop_from_picture: Float[np.ndarray, "2 3"]
    landmarks: Float[np.ndarray, "478 2"]
    matte: Float[np.ndarray, "512 512"]
    background: UInt8[np.ndarray, "512 512 3"]
    colour_volume: Float[np.ndarray, "channel=4 deep high wide"]
    """What the bare warp fills hidden skin from: colours, and how well they are known."""
    appearance_volume: Float[np.ndarray, "feature deep2 high2 wide2"]
    """What the refinement network asks (the paper's V^app); no features until `decoder.with_appearance` lifts them."""
    activation_ranges: Float[np.ndarray, "input 2"]
    """How large numbers get in the refinement network, for its 8-bit form; none until `with_appearance` has looked."""
    identity_code: Float[np.ndarray, " identity=80"]
    head_pose: Float[np.ndarray, " pose=6"]
    facial_dynamics: Float[np.ndarray, " dynamics=50"]
    residual: Float[np.ndarray, "face 3"]
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, " 3"]
    camera_scale: Float[np.ndarray, " 1"]
    rest_dynamics: Float[np.ndarray, " dynamics=50"]
    face_confidence: Float[np.ndarray, " face"]
    sheet_points: Float[np.ndarray, "sheet 3"]
    sheet_head_weight: Float[np.ndarray, " sheet"]
    sheet_body_weight: Float[np.ndarray, " sheet"]

    @property
    def camera(self) -> Camera:
        return Camera(scale_px=float(self.camera_scale[0]), centre_px=(CROP_PX / 2, CROP_PX / 2))

    def posed(self, vertices: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex 3"]:
        """Canonical head coordinates to camera coordinates in the portrait's own pose."""
        return (vertices @ self.rotation.T + self.translation).astype(np.float32)


def prepare(
    picture: UInt8[np.ndarray, "height width 3"],
    surface: Surface,
    encoder: PixelEncoder | None = None,
    relief: Relief | None = None,
    matting: Matting | None = None,
) -> Portrait:
    """The portrait of the one face in the picture; BadPortrait names what is in the way. The encoder tells what
    landmarks do not: how deep the face is, and how far it nods; the relief, how hair, hats and necks stand out; the
    matting, what is person and what background, better than MediaPipe alone."""
    face = crop_face(picture)
    expected = encoder.expected_face(encoder(face.crop, face.landmarks)) if encoder else None
    return prepare_found(picture, face, matte_of(face, matting), surface, expected, relief)


def prepare_found(
    picture: UInt8[np.ndarray, "height width 3"],
    face: FaceCrop,
    matte: Float[np.ndarray, "512 512"],
    surface: Surface,
    expected: Expected | None = None,
    relief: Relief | None = None,
) -> Portrait:
    """The portrait of a face whose landmarks and matte are known already: from the training world, say. Its codes are
    held near what is expected of it, if anything."""
    codes = encode_landmarks(face.landmarks, surface, (CROP_PX / 2, CROP_PX / 2))
    if np.sqrt(np.mean(codes.identity_code**2)) > LEAST_HUMAN:
        raise BadPortrait("what looks like a face in the portrait has no human proportions: use a picture of a person.")
    if abs(codes.head_pose[1]) > WIDEST_TURN_RAD:
        turn = np.rad2deg(abs(codes.head_pose[1]))
        raise BadPortrait(
            f"the face is turned {turn:.0f} degrees away: use a view of at most {np.rad2deg(WIDEST_TURN_RAD):.0f}."
        )
    if expected is not None:
        codes = encode_landmarks(face.landmarks, surface, (CROP_PX / 2, CROP_PX / 2), expected)
    residual = _residual(face.landmarks, codes, surface)
    canonical = surface.vertices(codes.identity_code, codes.facial_dynamics)
    canonical[: len(residual)] += residual
    confidence = _confidence(codes, canonical, surface, matte)
    matte = np.maximum(matte, _face_mask(codes, canonical, surface))
    sheet = _sheet(codes, canonical, surface, matte, face.crop, relief)
    return Portrait(
        picture=picture,
        crop=face.crop,
        crop_from_picture=face.crop_from_picture,
        landmarks=face.landmarks,
        matte=matte,
        background=background_plate(face.crop, matte),
        colour_volume=lift_colours(face.crop, codes, canonical, confidence, surface),
        appearance_volume=np.zeros((0, 1, 1, 1), np.float32),
        activation_ranges=np.zeros((0, 2), np.float32),
        identity_code=codes.identity_code,
        head_pose=codes.head_pose,
        facial_dynamics=codes.facial_dynamics,
        residual=residual,
        rotation=codes.rotation,
        translation=codes.translation,
        camera_scale=np.array([codes.camera.scale_px], np.float32),
        rest_dynamics=_rest(face.landmarks, codes, surface),
        face_confidence=confidence,
        sheet_points=sheet[0],
        sheet_head_weight=sheet[1],
        sheet_body_weight=sheet[2],
    )


def save(portrait: Portrait, path: Path) -> None:
    """One safetensors file that `load` turns back into an equal portrait."""
    fields = {name: np.ascontiguousarray(getattr(portrait, name)) for name in Portrait.__dataclass_fields__}
    save_file(fields, path, {"kind": "vasa portrait"})


def load(path: Path) -> Portrait:
    """The portrait saved in a file, or BadPortrait when it is not one."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return Portrait(**{name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (a file, not a dict)
    except (FileNotFoundError, SafetensorError, TypeError) as cause:
        raise BadPortrait(f"{path} is not a saved portrait: prepare it again from the picture.") from cause


# --- geometry ---------------------------------------------------------------------------------------------------------


def _residual(landmarks: np.ndarray, codes: FaceCodes, surface: Surface) -> np.ndarray:
    """What moves each face vertex, at its own depth, exactly under its landmark: canonical cm."""
    face = surface.parts["face"]
    posed = codes.posed(surface.vertices(codes.identity_code, codes.facial_dynamics)[face])
    exact = codes.camera.unproject(landmarks[:LANDMARKS], posed[:LANDMARKS, 2])
    offset = (exact - posed[:LANDMARKS]) @ codes.rotation
    a, b = between_landmarks(surface)
    return np.concatenate([offset, (offset[a] + offset[b]) / 2]).astype(np.float32)


def _rest(landmarks: np.ndarray, codes: FaceCodes, surface: Surface) -> np.ndarray:
    """The portrait's own dynamics with the mouth brought to rest; unchanged where it is already closed."""
    span = np.linalg.norm(landmarks[33] - landmarks[263])
    gap_px = float(np.max(landmarks[list(LOWER_LIP), 1] - landmarks[list(UPPER_LIP), 1]))
    if gap_px < OPEN_MOUTH_SHARE * span:
        return codes.facial_dynamics
    jaw = surface.dynamics_from_weights({"jawOpen": 1.0})
    moved = surface.displacement(jaw)[:LANDMARKS, 1]
    per_unit = float(np.max(moved[list(UPPER_LIP)] - moved[list(LOWER_LIP)]))
    return (codes.facial_dynamics - jaw * (1.15 * gap_px / codes.camera.scale_px / per_unit)).astype(np.float32)


def _face_mask(codes: FaceCodes, canonical: np.ndarray, surface: Surface) -> np.ndarray:
    depth = _depth_of(codes, canonical, surface.triangles["face"])
    return (depth > -1e8).astype(np.float32)


def _depth_of(codes: FaceCodes, canonical: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    depth = empty_depth(CROP_PX, CROP_PX)
    points = codes.camera.project(codes.posed(canonical))
    rasterise(points, triangles, np.zeros((len(points), 1), np.float32), depth, np.zeros((*depth.shape, 1), np.float32))
    return depth


def _confidence(codes: FaceCodes, canonical: np.ndarray, surface: Surface, matte: np.ndarray) -> np.ndarray:
    """How well the portrait shows each face vertex: 0 hidden or edge-on, 1 seen squarely."""
    triangles = surface.triangles["face"]
    face = surface.parts["face"]
    posed = codes.posed(canonical)[face]
    normals = vertex_normals(posed, triangles)
    facing = np.clip((normals[:, 2] - 0.10) / 0.25, 0, 1)
    points = codes.camera.project(posed)
    depth = _depth_of(codes, canonical, triangles)
    x, y = np.clip(np.round(points[:, :2]).astype(int), 0, CROP_PX - 1).T
    # a little around what stands before it: where a nose ends on the cheek, its outline is no cheek
    before = cv2.dilate(depth, np.ones((OUTLINE_PX, OUTLINE_PX), np.uint8))
    occluded = (depth[y, x] > points[:, 2] + HIDDEN_CM) | (before[y, x] > points[:, 2] + OUTLINE_CM)
    # and a little inside the person's own outline, which is not where landmarks have it to the pixel
    person = cv2.erode(matte, np.ones((OUTLINE_PX, OUTLINE_PX), np.uint8), borderValue=1.0)
    return np.where(occluded, 0, facing * person[y, x]).astype(np.float32)


def _sheet(
    codes: FaceCodes,
    canonical: np.ndarray,
    surface: Surface,
    matte: np.ndarray,
    crop: np.ndarray,
    relief: Relief | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Camera-space points, head weights and body weights of the grid that carries everything but the face."""
    depth, weight, _ = body_maps(codes, canonical, surface, ("shell", "face"))
    face_depth, face_weight, on_face = body_maps(codes, canonical, surface, ("face",))
    # next to the face the sheet takes its depth and weight from the face's rim, so neither tears nor doubles there
    away = cv2.distanceTransform((~on_face).astype(np.uint8), cv2.DIST_L2, 5)
    width = np.ptp(np.where(on_face.any(0))[0])
    if relief is not None:
        deeper, weight = relieved(relief, crop, matte, depth, weight, on_face)
        depth = depth + _smoothstep(away / (RELIEF_REACH_SHARE * width)) * (deeper - depth)
    own = _smoothstep(away / (RIM_REACH_SHARE * width))
    depth, weight = depth * own + face_depth * (1 - own), weight * own + face_weight * (1 - own)
    lines = np.linspace(0, CROP_PX - 1, SHEET_CELLS + 1).astype(np.float32)
    x, y = (a.ravel() for a in np.meshgrid(lines, lines))
    at = y.round().astype(int), x.round().astype(int)
    pinned = _free_of_border(matte)[at]
    sheet = codes.camera.unproject(np.stack([x, y], -1), np.clip(depth[at], -9, 12).astype(np.float32))
    # the body leans with the head's translation and is held where it meets the crop's lower border
    body = pinned * np.maximum(_smoothstep((CROP_PX - 1 - y) / (0.35 * CROP_PX)), weight[at])
    return sheet, (weight[at] * pinned).astype(np.float32), body.astype(np.float32)


def _free_of_border(matte: np.ndarray) -> np.ndarray:
    """How freely each pixel may move: 0 at the crop's border where the person runs out of the crop, 1 elsewhere.

    Where only background meets the border nothing is held: hair just below it then moves whole instead of stretching.
    """
    inwards = 1 - _smoothstep(np.arange(CROP_PX) / (BORDER_SHARE * CROP_PX))
    free = np.ones((CROP_PX, CROP_PX))
    for turns in range(4):  # the border under consideration is the top one
        touched = np.rot90(matte, turns)[:4].max(0)
        touched = cv2.GaussianBlur(touched[None].astype(np.float32), (0, 0), 8)[0]
        free *= np.rot90(1 - inwards[:, None] * np.clip(2 * touched[None], 0, 1), -turns)
    return free


def body_maps(
    codes: FaceCodes | Portrait, canonical: np.ndarray, surface: Surface, parts: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth and head weight of these parts at every pixel, continued beyond their silhouette; and where they really
    are."""
    points = codes.camera.project(codes.posed(canonical))
    depth = empty_depth(CROP_PX, CROP_PX)
    weight = np.zeros((CROP_PX, CROP_PX, 1), np.float32)
    for part in parts:
        rasterise(points, surface.triangles[part], surface.head_weight[:, None].astype(np.float32), depth, weight)
    known = depth > -1e8
    return _spread(np.where(known, depth, 0), known), _spread(weight[..., 0], known), known


def _smoothstep(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _spread(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Known values continued outwards from the nearest known pixel, blurred more the farther they go."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros(labels.max() + 1, np.float32)
    lookup[labels[known]] = values[known]
    filled = lookup[labels].astype(np.float32)
    soft = cv2.GaussianBlur(filled, (0, 0), 18)
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    mix = np.clip(distance / 30, 0, 1)
    return filled * (1 - mix) + soft * mix


# --- pixels -----------------------------------------------------------------------------------------------------------


def background_plate(
    crop: UInt8[np.ndarray, "512 512 3"], matte: Float[np.ndarray, "512 512"]
) -> UInt8[np.ndarray, "512 512 3"]:
    """The picture without the person: what a moving head uncovers, continued from the background around it."""
    outside = (cv2.dilate(matte, np.ones((9, 9))) < 0.05).astype(np.float32)
    if outside.sum() < 200:
        return crop.copy()
    smooth = _continued(crop.astype(np.float32), outside)
    mirrored, share = _mirrored_in(crop, outside)
    plate = smooth + share[..., None] * (mirrored - smooth)
    # the plate keeps the background's own grain, so an uncovered strip is not conspicuously smooth
    detail = (crop.astype(np.float32) - cv2.GaussianBlur(crop.astype(np.float32), (0, 0), 3)) * outside[..., None]
    grain = np.sqrt((detail**2).sum((0, 1)) / outside.sum())
    noise = cv2.GaussianBlur(np.random.default_rng(0).standard_normal(crop.shape).astype(np.float32), (0, 0), 0.8) * 2.2
    soft = cv2.GaussianBlur(outside, (0, 0), 2)[..., None]
    return np.clip(plate + noise * np.minimum(grain, 6) * (1 - soft), 0, 255).astype(np.uint8)


def _continued(crop: Float[np.ndarray, "512 512 3"], outside: Float[np.ndarray, "512 512"]) -> np.ndarray:
    """The background's colours continued behind the person, from beside rather than from above: skies, walls and
    horizons lie in rows. Where a row shows none, from all around."""
    around, size = fill_holes(crop, outside), (CROP_PX // ROWS_COUNT, CROP_PX)
    known = outside + (1 - outside) * FAINT
    narrow = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    values = cv2.resize(around * known[..., None], size, interpolation=cv2.INTER_AREA) / narrow[..., None]
    filled = cv2.resize(fill_holes(values, narrow), (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)
    return np.where(outside[..., None] > 0.999, crop, filled)


def _mirrored_in(crop: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The background mirrored over the person's outline, and how far it may be believed: what lies behind an edge is
    most often what lies before it, shelves and leaves included."""
    inside = (outside < 0.5).astype(np.uint8)
    distance, labels = cv2.distanceTransformWithLabels(inside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.indices(crop.shape[:2])
    nearest = np.zeros((labels.max() + 1, 2), np.float32)
    nearest[labels[inside == 0]] = np.stack([columns[inside == 0], rows[inside == 0]], 1)
    there = 2 * nearest[labels] - np.stack([columns, rows], -1)
    there = cv2.GaussianBlur(there, (0, 0), 2).astype(np.float32)  # neighbours look at neighbouring places
    mirrored = cv2.remap(crop, there[..., 0], there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    free = cv2.remap(outside, there[..., 0], there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    near = 1 - _smoothstep((distance - MIRRORED_PX) / MIRRORED_PX)
    share = cv2.GaussianBlur(free * near, (0, 0), 3) * inside
    return mirrored.astype(np.float32), np.minimum(share, free).astype(np.float32)


def fill_holes(
    values: Float[np.ndarray, "height width channel"], known: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width channel"]:
    """Push-pull: averages go up a pyramid and come down only where finer levels know nothing (Gortler et al. 1996)."""
    levels = [(values * known[..., None], known)]
    while min(levels[-1][1].shape) > 2:
        v, k = levels[-1]
        levels.append((cv2.pyrDown(v).reshape(*cv2.pyrDown(k).shape, -1), cv2.pyrDown(k)))
    v, k = levels[-1]
    current = v / np.maximum(k[..., None], 1e-6)
    for v, k in reversed(levels[:-1]):
        up = cv2.resize(current, k.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(*k.shape, -1)
        own = np.clip(k * 4, 0, 1)[..., None]
        current = own * v / np.maximum(k[..., None], 1e-6) + (1 - own) * up
    hard = (known > 0.999)[..., None]
    return np.where(hard, values, current)


def lift_colours(
    crop: UInt8[np.ndarray, "512 512 3"],
    codes: FaceCodes,
    canonical: Float[np.ndarray, "vertex 3"],
    confidence: Float[np.ndarray, " face"],
    surface: Surface,
) -> Float[np.ndarray, "channel deep high wide"]:
    """The canonical colour volume: the crop's colours carried to where the surface puts them, then completed.

    Every face vertex, seen with its confidence, leaves its colour at its canonical place and, more faintly, at the
    mirrored place, in the light there (faces are nearly symmetric, light is not); what is still empty is diffused. The
    last channel keeps the confidence.
    """
    face = surface.parts["face"]
    points = codes.camera.project(codes.posed(canonical)[face])
    dense, centre = _dense_points(points, canonical[face], confidence, surface.triangles["face"])
    soft = cv2.GaussianBlur(crop, (0, 0), 1.5)
    colours = cv2.remap(soft, dense[None, :, 0], dense[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)[0]
    sums = np.zeros((*COLOURS[1:], 4), np.float32)
    at = volume_index(centre).round().astype(int)
    inside = ((at >= 0) & (at < np.array(COLOURS[:0:-1]))).all(1)
    x, y, z = at[inside].T
    weight = dense[inside, 2][:, None]
    np.add.at(sums, (z, y, x), np.concatenate([colours[inside] * weight, weight], 1))
    sums += MIRRORED * _relit(sums)
    known = sums[..., 3:]
    volume = np.concatenate([sums[..., :3] / np.maximum(known, 1e-6), np.clip(known, 0, 1)], -1)
    return np.moveaxis(_diffused(volume), -1, 0).astype(np.float32)


def _relit(sums: Float[np.ndarray, "deep high wide 4"]) -> Float[np.ndarray, "deep high wide 4"]:
    """The other half of a face (sums of colours, and their weights) in the light of this one: as much darker or
    lighter, and of another tint, as skin is that both show nearby. A cheek in shadow is no mirror image of a sunlit
    one."""
    other = sums[:, :, ::-1]
    both = np.minimum(sums[..., 3:], other[..., 3:])
    here, there = (both * part[..., :3] / np.maximum(part[..., 3:], 1e-6) for part in (sums, other))
    near = [
        [ndimage.gaussian_filter(part, (size, size, size, 0), mode="constant", truncate=2.0) for part in (here, there)]
        for size in LIT_ALIKE_CELLS
    ]
    # what lies nearer counts far more, but where there is nothing near, what is farther tells
    brighter = sum(0.01**k * one for k, (one, _) in enumerate(near)) + 1e-6
    usual = sum(0.01**k * one for k, (_, one) in enumerate(near)) + 1e-6
    times = np.clip(brighter / usual, 1 / MOST_RELIT, MOST_RELIT)
    return np.concatenate([np.minimum(other[..., :3] * times, 255 * other[..., 3:]), other[..., 3:]], -1)


def _dense_points(points: np.ndarray, centre: np.ndarray, confidence: np.ndarray, triangles: np.ndarray):
    """Vertices and triangle centres: pixel x, y, confidence [n, 3] and canonical place [n, 3]."""
    middle = points[triangles].mean(1)
    packed = np.concatenate([points[:, :2], confidence[:, None]], 1)
    packed = np.concatenate([packed, np.c_[middle[:, :2], confidence[triangles].min(1)]])
    return packed.astype(np.float32), np.concatenate([centre, centre[triangles].mean(1)])


def volume_index(points: Float[np.ndarray, "*point 3"]) -> Float[np.ndarray, "*point 3"]:
    """Where canonical points (cm) lie in the volume, as width, height, depth indices; height runs downwards."""
    size = np.array([COLOURS[3], COLOURS[2], COLOURS[1]], np.float32) - 1
    unit = (points - COLOURS_LOW_CM) / (COLOURS_HIGH_CM - COLOURS_LOW_CM)
    unit = np.stack([unit[..., 0], 1 - unit[..., 1], unit[..., 2]], -1)
    return (unit * size).astype(np.float32)


def _diffused(volume: np.ndarray, rounds: int = 40) -> np.ndarray:
    """Colours spread into the empty cells by repeated neighbour averages; confidence stays what it was."""
    colour, known = volume[..., :3].copy(), volume[..., 3:] > 0
    filled = known.astype(np.float32)
    for _ in range(rounds):
        total, count = np.zeros_like(colour), np.zeros_like(filled)
        for axis in range(3):
            for step in (-1, 1):
                total += np.roll(colour * (filled > 0), step, axis)
                count += np.roll((filled > 0).astype(np.float32), step, axis)
        grow = ~known & (count > 0)
        colour = np.where(grow, total / np.maximum(count, 1), colour)
        filled = np.where(grow, 1, filled)
    return np.concatenate([colour, volume[..., 3:]], -1)


def sample_volume(
    volume: Float[np.ndarray, "channel deep high wide"], points: Float[np.ndarray, "point 3"]
) -> Float[np.ndarray, "point channel"]:
    """Trilinear samples of the volume at canonical points (cm), clamped at its walls."""
    at = np.clip(volume_index(points), 0, np.array([COLOURS[3], COLOURS[2], COLOURS[1]], np.float32) - 1.001)
    low = at.astype(int)
    x, y, z = low.T
    fx, fy, fz = (at - low).T
    out = np.zeros((len(points), volume.shape[0]), np.float32)
    for dz in (0, 1):
        for dy in (0, 1):
            for dx in (0, 1):
                weight = np.where(dx, fx, 1 - fx) * np.where(dy, fy, 1 - fy) * np.where(dz, fz, 1 - fz)
                out += weight[:, None] * volume[:, z + dz, y + dy, x + dx].T
    return out
