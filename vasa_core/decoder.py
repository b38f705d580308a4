"""One frame from a portrait and one moment of motion: deform, pose, draw.

The posed surface and the sheet around it are rasterised into a backward map (which portrait pixel is seen here),
through which the portrait's own pixels travel at full resolution; skin the portrait does not show is sampled from the
appearance volume; folds of the skin are shaded, the mouth's inside and the eyes drawn where lips and lids leave them
open; all over a background that stays still.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.contact import Contact
from vasa_core.eyes import (
    EYE_FRONT_CM,
    LID_FOLDS,
    draw_eye,
    draw_lid,
    gaze_shift_px,
    lash_colours,
    lift_eye,
    lift_lid,
    under_lid,
)
from vasa_core.folds import folds_of
from vasa_core.geometry import NECK_PIVOT_CM, empty_depth, rasterise, rotation, vertex_normals
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import DYNAMICS, EXPRESSION, POSE
from vasa_core.mending import Mending, lifted
from vasa_core.mouth import HIGH_GUM_LINE, draw_mouth, inner_cheeks, mouth_light, seat_cavity, skin_and_lips
from vasa_core.outline import come_round, rims
from vasa_core.plates import at_size, plates_of
from vasa_core.portrait import RIM_REACH_SHARE, SHEET_CELLS, Portrait, volume_index
from vasa_core.refinement import FaceNetworks
from vasa_core.sight import CANONICAL_CM, Mesh, Sight, coarse_planes, depth_seen, fine_planes
from vasa_core.smiles import smile_of
from vasa_core.surface import EYE_CORNERS, LIP_CORNERS, UPPER_LIDS, UPPER_LIP, Surface
from vasa_core.teeth import LEAST_PX, OwnTeeth, own_teeth
from vasa_core.warping import LEAP_PX, lay, look_up, near_person, packed, show_hidden, soften

EXPRESSION_REACH_SHARE = 0.45
"""Expression moves the sheet outside the face up to this share of the face's width away: the neck under a falling
jaw."""

SWING, SWING_REACH_SHARE = 0.6, 0.7
"""Hair this share of the face's width away from it swings by this much of what the trailing pose says."""

CHIN_REACH_SHARE = 0.12
"""What lies under the chin goes with it farther than necks and ears go with the jaw (`RIM_REACH_SHARE`)."""

BESIDE_PX = 8
"""The person's borders are smoothed so far beside the face, too."""

TURNED_IN = 0.12
"""How much more a surface must face the camera than in the portrait for what was hidden there to be filled wholly."""


RANGING_LOOKS = (
    ((0.05, 0.3, 0.05), {"jawOpen": 0.4}),
    ((-0.1, -0.3, 0.0), {"eyeBlink": 1.0, "mouthSmile": 0.5}),
    ((0.1, 0.0, -0.1), {"jawOpen": 0.15, "mouthPucker": 0.6}),
)
"""Head turned (pitch, yaw, roll in rad) and face: between them the refinement network sees most of what it will."""


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """The closed contours of a triangle mesh, each an ordered array of vertices."""
    directed = {(int(t[i]), int(t[(i + 1) % 3])) for t in triangles for i in range(3)}
    following = defaultdict(list)
    for a, b in directed:
        if (b, a) not in directed:
            following[a].append(b)
    loops = []
    while following:
        start = here = next(iter(following))
        loop = []
        while here in following:
            loop.append(here)
            here = following.pop(here)[0]
            if here == start:
                break
        loops.append(np.array(loop))
    return loops


def corner_paths(loop: np.ndarray, start: int, end: int, upper: int) -> tuple[np.ndarray, np.ndarray]:
    """The contour's upper and lower way from one corner to the other; `upper` is a vertex of the upper one."""
    loop = np.roll(loop, -int(np.where(loop == start)[0][0]))
    turn = int(np.where(loop == end)[0][0])
    there, back = loop[: turn + 1], np.concatenate([loop[turn:], loop[:1]])[::-1]
    return (there, back) if upper in there else (back, there)


def opening(points: Float[np.ndarray, "vertex 2"], upper: np.ndarray, lower: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """The contour in pixels; where the upper way has passed below the lower one, they overlap and nothing is open."""
    above, below = points[upper], points[lower]
    crossed = (above[:, 1] > below[:, 1])[:, None]
    middle = (above + below) / 2
    return np.concatenate([np.where(crossed, middle, above), np.where(crossed, middle, below)[::-1]])


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where everything is in one frame. Vertices: canonical (cm), in front of the camera (cm), on the crop (px, px,
    cm)."""

    head_pose: Float[np.ndarray, " pose=6"]
    facial_dynamics: Float[np.ndarray, " dynamics=50"]
    canonical: Float[np.ndarray, "vertex 3"]
    posed: Float[np.ndarray, "vertex 3"]
    projected: Float[np.ndarray, "vertex 3"]
    sheet: Float[np.ndarray, "sheet 3"]


@dataclass(frozen=True, kw_only=True)
class Warp:
    """The portrait's own pixels where a pose carries them, over the background, and what is known of each pixel."""

    picture: UInt8[np.ndarray, "size size 3"]
    alpha: Float[np.ndarray, "size size"]
    backward: Float[np.ndarray, "size size 2"]
    face: Float[np.ndarray, "size size 2"]
    """How much the face wins over the sheet, and how well the portrait shows this skin."""


class Decoder:
    """Holds what one portrait needs for every frame; `frame` is a pure function of the motion."""

    def __init__(
        self,
        portrait: Portrait,
        surface: Surface,
        networks: FaceNetworks | None = None,
        size: int = CROP_PX,
        smile_yields: bool = True,
    ) -> None:
        """Without `networks` frames are made of the portrait's own pixels alone: what refinement is measured by.

        `size` is CROP_PX or `plates.LARGE_PX`: the same geometry and the network's same word, with more pixels.
        Whoever reads a motion off a face wants it as it is, not a smile that yields to rounded lips.
        """
        self.portrait, self.surface, self.camera = portrait, surface, portrait.camera
        self.face = surface.parts["face"]
        source = surface.vertices(portrait.identity_code, portrait.facial_dynamics)
        self.rest = surface.vertices(portrait.identity_code, portrait.rest_dynamics)
        source[self.face] += portrait.residual
        self.rest[self.face] += portrait.residual
        self.residual_at_rest = self.rest[self.face] - source[self.face]
        neutral = surface.vertices(portrait.identity_code, np.zeros_like(portrait.rest_dynamics))
        neutral[self.face] += portrait.residual
        self.rest = seat_cavity(surface, self.rest, neutral)
        self.contact = Contact(surface, self.rest[self.face])
        own = portrait.facial_dynamics - portrait.rest_dynamics
        self.smile = smile_of(surface, portrait.rest_dynamics, own) if smile_yields else None
        self.triangles = surface.triangles["face"]
        self._contours()
        self._face_attributes(source)
        self._sheet_attributes()
        self.plates = plates = plates_of(portrait, size)
        self.zoom = plates.zoom
        self.light = mouth_light(portrait.crop, portrait.landmarks)
        self.teeth = self._own_teeth()
        if self.teeth:
            self.light = replace(self.light, teeth=self.teeth.colour, gum_line=HIGH_GUM_LINE)
        at, seen = (at_size(points, self.zoom) for points in (self.source_px, portrait.landmarks))
        self.drawn_from = at, at_size(self.sheet_px, self.zoom)
        self.eyes = [lift_eye(plates.crop, seen, at[loop], k) for k, loop in enumerate(self.lid_loops)]
        self.lids_open_px = [max(float((at[lower] - at[upper])[:, 1].sum()), 1.0) for upper, lower in self.lid_paths]
        self.lids = [lift_lid(plates.crop, seen, at[loop], k) for k, loop in enumerate(self.lid_loops)]
        self.lashes = lash_colours(plates.crop, [at[upper] for upper, _ in self.lid_paths], self.lids)
        self.person_pixels = packed(unmixed(plates.crop, plates.background, plates.matte), plates.matte)
        self.near_person = near_person(plates.matte)
        self.folds = folds_of(portrait, surface)
        self.volume_from_cm = index_from_cm()
        if networks and not len(portrait.appearance_volume):
            self.portrait = portrait = replace(portrait, appearance_volume=lifted(portrait, self._depth(), networks))
        self.mending = Mending(portrait, networks, plates.crop) if networks else None
        if self.mending and networks and networks.eight_bit and not len(portrait.activation_ranges):
            self.portrait = portrait = replace(portrait, activation_ranges=self._ranges(self.mending))
            self.mending = Mending(portrait, networks, plates.crop)

    # --- made once ----------------------------------------------------------------------------------------------------

    def _contours(self) -> None:
        loops = boundary_loops(self.triangles)
        find = {corner: loop for loop in loops for corner in loop.tolist()}
        self.lid_loops = [find[EYE_CORNERS[k][0]] for k in (0, 1)]
        self.lid_paths = [corner_paths(find[EYE_CORNERS[k][0]], *EYE_CORNERS[k], UPPER_LIDS[k][3]) for k in (0, 1)]
        self.lip_paths = corner_paths(find[LIP_CORNERS[0]], *LIP_CORNERS, UPPER_LIP[4])
        upper_lip, lower_lip = self.lip_paths
        self.lips = np.concatenate([upper_lip, lower_lip[-2:0:-1]])
        self.oval = find[10]

    def _face_attributes(self, source: np.ndarray) -> None:
        """Per face vertex: source pixel x, y; how much the face wins over the sheet; confidence; canonical place."""
        posed = self.portrait.posed(source[self.face])
        self.source_px = self.camera.project(posed)[:, :2]
        self.source_normals = vertex_normals(posed, self.triangles)
        wins = np.ones(len(self.source_px), np.float32)
        wins[self.oval] = 0
        columns = [self.source_px, wins[:, None], self.portrait.face_confidence[:, None], source[self.face]]
        self.face_attributes = np.concatenate(columns, 1).astype(np.float32)
        self.hidden_exists = bool((self.portrait.face_confidence < 0.999).any())

    def _own_teeth(self) -> OwnTeeth | None:
        """The teeth that the portrait shows, if any."""
        portrait = self.portrait
        shown = self.rest + self.surface.displacement(portrait.facial_dynamics - portrait.rest_dynamics)
        shown[self.face] = self.rest[self.face] - self.residual_at_rest
        places = at_size(self.camera.project(portrait.posed(shown)), self.zoom)
        contour = self.mouth_opening(places)
        skin, lips = skin_and_lips(portrait.crop, portrait.landmarks)
        return own_teeth(self.plates.crop, contour, places[:, :2], skin, lips, LEAST_PX * self.zoom**2)

    def _sheet_attributes(self) -> None:
        portrait = self.portrait
        self.sheet_canonical = (portrait.sheet_points - portrait.translation) @ portrait.rotation
        self.sheet_px = np.ascontiguousarray(self.camera.project(portrait.sheet_points)[:, :2])
        n = SHEET_CELLS + 1
        grid = np.arange(n * n).reshape(n, n)
        quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]], -1).reshape(-1, 4)
        self.sheet_triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [2, 1, 3]]]).astype(np.int32)
        self.rims = rims(portrait.matte, self.sheet_px, self.camera.scale_px)
        self.rim_radius = np.linalg.norm(self.rims, axis=1, keepdims=True)
        rim = self.source_px[self.oval]
        distance = np.linalg.norm(self.sheet_px[:, None] - rim[None], axis=-1)
        width = float(np.ptp(rim[:, 0]))
        nearest = distance.min(1, keepdims=True)
        share = np.exp(-(distance - nearest) / (0.06 * width))
        self.rim_share = (share / share.sum(1, keepdims=True)).astype(np.float32)
        away = np.where(outside_polygon(rim, self.sheet_px), nearest[:, 0], 0) / width
        body = portrait.sheet_body_weight
        self.expression_reach = (_fade(away / EXPRESSION_REACH_SHARE) * body)[:, None].astype(np.float32)
        self.swing = (SWING * (1 - _fade(away / SWING_REACH_SHARE)))[:, None].astype(np.float32)
        self.lean = (1 - portrait.sheet_head_weight)[:, None].astype(np.float32)
        reach = self.rim_share @ self._reaches()
        self.rim_reach = (_fade(away / reach) * portrait.sheet_body_weight)[:, None].astype(np.float32)

    def _reaches(self) -> np.ndarray:
        """How far beyond each point of the face's rim, in shares of its width, all goes exactly with it."""
        rim = self.rest[self.oval, :2]
        down = rim - (rim.max(0) + rim.min(0)) / 2
        down = -down[:, 1] / np.linalg.norm(down, axis=1)
        return RIM_REACH_SHARE + (CHIN_REACH_SHARE - RIM_REACH_SHARE) * (1 - _fade((down - 0.6) / 0.3))

    def _depth(self) -> np.ndarray:
        """What the unmoved portrait shows, in cm towards the camera."""
        still = self.pose(np.zeros(POSE, np.float32), np.zeros(DYNAMICS, np.float32))
        return depth_seen(self.meshes(still))

    def _ranges(self, mending: Mending) -> np.ndarray:
        """How large numbers get in the refinement network, from a few looks that show what this portrait can show."""
        looks = (
            (np.array([*head, 0, 0, 0], np.float32), self.surface.dynamics_from_weights(dict(doing)))
            for head, doing in RANGING_LOOKS
        )
        begun = (self.begun(*look) for look in looks)
        return mending.ranges((warped, sight) for warped, sight in begun if sight)

    # --- made for every frame -----------------------------------------------------------------------------------------

    def frame(
        self,
        head_pose: Float[np.ndarray, " pose=6"],
        facial_dynamics: Float[np.ndarray, " dynamics=50"],
        trailing: Float[np.ndarray, " pose=6"] | None = None,
    ) -> UInt8[np.ndarray, "size size 3"]:
        """The frame under this motion, relative to the portrait's own pose and resting face.

        `trailing` is the pose that hair and shoulders have reached (`trailing.Trail`); by default the head's.
        """
        return self.finished(self.begun(head_pose, facial_dynamics, trailing))

    def begun(
        self,
        head_pose: Float[np.ndarray, " pose=6"],
        facial_dynamics: Float[np.ndarray, " dynamics=50"],
        trailing: Float[np.ndarray, " pose=6"] | None = None,
    ) -> tuple[UInt8[np.ndarray, "size size 3"], Sight | None]:
        """The geometry's half of a frame: the bare warp, and what the network wants to know about it."""
        pose = self.pose(head_pose, facial_dynamics, trailing)
        warp = self.warped(pose)
        return warp.picture, self.sight(pose, warp) if self.mending else None

    def finished(
        self, begun: tuple[UInt8[np.ndarray, "size size 3"], Sight | None]
    ) -> UInt8[np.ndarray, "size size 3"]:
        """The network's half: the frame of what was begun."""
        warped, sight = begun
        return self.mending(warped, sight) if self.mending and sight else warped

    def pose(
        self,
        head_pose: Float[np.ndarray, " pose=6"],
        facial_dynamics: Float[np.ndarray, " dynamics=50"],
        trailing: Float[np.ndarray, " pose=6"] | None = None,
    ) -> Pose:
        """Every vertex under this motion."""
        canonical = self._deformed(facial_dynamics)
        posed = self._moved(self.portrait.posed(canonical), head_pose)
        projected = self.camera.project(posed)
        return Pose(
            head_pose=head_pose,
            facial_dynamics=facial_dynamics,
            canonical=canonical,
            posed=posed,
            projected=projected,
            sheet=self._sheet(canonical, projected, head_pose, head_pose if trailing is None else trailing),
        )

    def warped(self, pose: Pose) -> Warp:
        """The frame made of the portrait's own pixels alone, folds, mouth and eyes drawn into it."""
        projected = at_size(pose.projected, self.zoom)
        warp = self._pixels(projected, at_size(pose.sheet, self.zoom), self._trusted(pose.head_pose))
        frame = warp.picture
        self.folds.draw(frame, warp.backward, warp.face, pose.facial_dynamics)
        lips = self.mouth_opening(projected)
        cheeks = at_size(self._seen(inner_cheeks(pose.canonical[self.lips]), pose.head_pose), self.zoom)
        draw_mouth(frame, self.surface, self.light, pose.canonical, pose.posed, projected, lips, cheeks, self.teeth)
        gaze = pose.facial_dynamics[EXPRESSION:]
        shift = gaze_shift_px(gaze, self.portrait.rotation, self.camera.scale_px * self.zoom)
        for k, (paths, opened) in enumerate(zip(self.lid_paths, self.eye_openings(projected), strict=True)):
            upper, lower = (projected[path, :2] for path in paths)
            shut = min(max(1 - float((lower - upper)[:, 1].sum()) / self.lids_open_px[k], 0.0), 1.0)
            fold = projected[list(LID_FOLDS[k]), :2]
            there = self._eye_transform(k, pose.head_pose)
            draw_lid(frame, upper, fold, self.lids[k], self.lashes[k], there, shut)
            draw_eye(frame, self.eyes[k], opened, there, under_lid(shift, shut))
        return warp

    def sight(self, pose: Pose, warp: Warp) -> Sight:
        """What is known of each pixel of the warped frame."""
        openings = self.mouth_opening(pose.projected), self.eye_openings(pose.projected)
        return Sight(fine=fine_planes(warp.alpha, warp.face, *openings), coarse=coarse_planes(*self.meshes(pose)))

    def meshes(self, pose: Pose) -> tuple[Mesh, Mesh]:
        """Sheet and face as the coarse planes see them."""
        posed = np.ascontiguousarray(pose.posed[self.face])
        normals = vertex_normals(posed, self.triangles)
        face_told = [self.face_attributes[:, 4:] / CANONICAL_CM, normals, self.source_normals, np.ones((len(posed), 1))]
        sheet_weight = self.portrait.sheet_head_weight[:, None]
        sheet_told = [self.sheet_canonical / CANONICAL_CM, np.zeros((len(sheet_weight), 6)), sheet_weight]
        sheet = Mesh(
            points=pose.sheet,
            triangles=self.sheet_triangles,
            source_px=self.sheet_px,
            told=np.concatenate(sheet_told, 1).astype(np.float32),
        )
        face = Mesh(
            points=pose.projected[self.face],
            triangles=self.triangles,
            source_px=self.source_px,
            told=np.concatenate(face_told, 1).astype(np.float32),
        )
        return sheet, face

    def mouth_opening(self, projected: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "n 2"]:
        """The contour between the lips (px)."""
        return opening(projected[:, :2], *self.lip_paths)

    def eye_openings(self, projected: Float[np.ndarray, "vertex 3"]) -> list[Float[np.ndarray, "n 2"]]:
        """The contours between the lids (px), first of the eye on the left of the picture."""
        return [opening(projected[:, :2], *paths) for paths in self.lid_paths]

    def _deformed(self, facial_dynamics: np.ndarray) -> np.ndarray:
        """All vertices, canonical: the resting face displaced, lips and lids in contact."""
        shown = facial_dynamics if self.smile is None else self.smile.yielding(facial_dynamics)
        displacement = self.surface.displacement(shown)
        displacement[self.face] = self.contact(displacement[self.face])
        return self.rest + displacement

    def _moved(self, points: np.ndarray, head_pose: np.ndarray) -> np.ndarray:
        """Camera-space points turned about the neck and shifted."""
        pivot = self.portrait.posed(NECK_PIVOT_CM[None])[0]
        return ((points - pivot) @ rotation(head_pose[:3]).T + pivot + head_pose[3:]).astype(np.float32)

    def _seen(self, canonical: np.ndarray, head_pose: np.ndarray) -> np.ndarray:
        """Canonical points on the crop."""
        return self.camera.project(self._moved(self.portrait.posed(canonical), head_pose))

    def _sheet(
        self, canonical: np.ndarray, face_px: np.ndarray, head_pose: np.ndarray, trailing: np.ndarray
    ) -> np.ndarray:
        """The sheet's points in pixels: beside the face they go exactly with its rim; farther out by their own depth
        and weights, by the outline as round bodies do, the head's turn fading down the neck (so it bends) and the
        head's shift fading down the body; hair away from the face and the body itself move as the trailing pose
        does."""
        portrait = self.portrait
        rim = (canonical[self.oval] - self.rest[self.oval] + self.residual_at_rest[self.oval]) @ portrait.rotation.T
        points = portrait.sheet_points + self.expression_reach * (self.rim_share @ rim)
        still = np.zeros(3, np.float32)
        turned, trailed = (self._moved(points, np.concatenate([p[:3], still])) for p in (head_pose, trailing))
        turned += self.swing * (trailed - turned)
        turned += come_round(self.rims @ rotation(head_pose[:3]).T, self.rim_radius)
        shift = head_pose[3:] + self.lean * (trailing[3:] - head_pose[3:])
        moved = portrait.sheet_head_weight[:, None] * (turned - points) + portrait.sheet_body_weight[:, None] * shift
        far = self.camera.project(points + moved)
        near = self.sheet_px + self.rim_share @ (face_px[self.oval, :2] - self.source_px[self.oval])
        far[:, :2] = far[:, :2] * (1 - self.rim_reach) + near * self.rim_reach
        return far

    def _trusted(self, head_pose: np.ndarray) -> np.ndarray:
        """The face attributes with confidence for this turn: skin the portrait shows badly is replaced only as it turns
        into view, so an unmoved silhouette stays the portrait's own."""
        turned_in = (self.source_normals @ rotation(head_pose[:3])[2] - self.source_normals[:, 2]) / TURNED_IN
        attributes = self.face_attributes.copy()
        attributes[:, :2] = self.drawn_from[0]
        attributes[:, 3] = 1 - (1 - attributes[:, 3]) * np.clip(turned_in, 0, 1)
        return attributes

    def _pixels(self, face_px: np.ndarray, sheet_px: np.ndarray, attributes: np.ndarray) -> Warp:
        """The portrait's pixels through the backward map, hidden skin from the appearance volume, over the
        background."""
        portrait = self.portrait
        size = self.plates.crop.shape[0]
        backward = np.full((size, size, 2), -1e4, np.float32)
        rasterise(sheet_px, self.sheet_triangles, self.drawn_from[1], empty_depth(size, size), backward)
        points = face_px[self.face].copy()
        low = np.clip(np.floor(points[:, :2].min(0)).astype(int), 0, size - 1)
        high = np.clip(np.ceil(points[:, :2].max(0)).astype(int) + 1, low + 1, size)
        region = slice(low[1], high[1]), slice(low[0], high[0])
        points[:, :2] -= low
        face = np.zeros((high[1] - low[1], high[0] - low[0], attributes.shape[1]), np.float32)
        rasterise(points, self.triangles, attributes, empty_depth(*face.shape[:2]), face)
        known = np.zeros((size, size, 2), np.float32)
        lay(face, backward[region], known[region])
        picture, alpha = np.empty((size, size, 3), np.uint8), np.empty((size, size), np.float32)
        look_up(self.person_pixels, self.near_person, self.plates.background, backward, picture, alpha)
        if self.hidden_exists:
            show_hidden(face, portrait.colour_volume, *self.volume_from_cm, alpha[region], picture[region])
        near = tuple(slice(max(part.start - BESIDE_PX, 0), part.stop + BESIDE_PX) for part in region)
        soften(backward[near], np.float32(LEAP_PX * self.zoom), picture[near], alpha[near])
        return Warp(picture=picture, alpha=alpha, backward=backward, face=known)

    def _eye_transform(self, eye: int, head_pose: np.ndarray) -> np.ndarray:
        """Which portrait pixel lies at a frame pixel of this eye: the affine map of the eyeball's front."""
        centre = self.rest[self.surface.parts["eyes"]][eye] + np.array([0, 0, EYE_FRONT_CM], np.float32)
        corners = self.portrait.posed(centre + np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32))
        source = at_size(self.camera.project(corners)[:, :2], self.zoom)
        target = at_size(self.camera.project(self._moved(corners, head_pose))[:, :2], self.zoom)
        return cv2.getAffineTransform(target.astype(np.float32), source.astype(np.float32)).astype(np.float32)


def with_appearance(portrait: Portrait, surface: Surface, networks: FaceNetworks) -> Portrait:
    """The portrait with its appearance volume lifted: once, before the first of many decoders."""
    return Decoder(portrait, surface, networks).portrait


def index_from_cm() -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Factor and offset from canonical places (cm) to indices of the colour volume, width first."""
    offset = volume_index(np.zeros((1, 3), np.float32))[0]
    return volume_index(np.ones((1, 3), np.float32))[0] - offset, offset


def unmixed(
    crop: UInt8[np.ndarray, "size size 3"],
    background: UInt8[np.ndarray, "size size 3"],
    matte: Float[np.ndarray, "size size"],
) -> UInt8[np.ndarray, "size size 3"]:
    """The person's own colours: what, laid over the background by the matte, gives the crop back (C = aF + (1-a)B)."""
    alpha = matte[..., None]
    own = (crop - (1 - alpha) * background) / np.maximum(alpha, 0.02)
    return np.clip(own + 0.5, 0, 255).astype(np.uint8)


def _fade(t: np.ndarray) -> np.ndarray:
    """1 at 0, 0 from 1 on, smooth between."""
    t = 1 - np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def outside_polygon(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points lie outside the polygon."""
    contour = polygon.astype(np.float32).reshape(-1, 1, 2)
    return np.array([cv2.pointPolygonTest(contour, (float(x), float(y)), False) < 0 for x, y in points])
