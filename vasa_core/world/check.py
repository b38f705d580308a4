"""What the training world must show, measured: faces found, landmarks where MediaPipe sees them, heads like real ones.

Distances in pixels are given in percent of the distance between the outer corners of the eyes. Errors have two parts:
a systematic one, the same for all people, where MediaPipe's landmark means another place than ours, and the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.spatial import cKDTree

from vasa_core.surface import EYE_CORNERS, LANDMARKS, LIP_CORNERS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP
from vasa_core.world import shards
from vasa_core.world.facekit import NECK_PIVOT, Number, head_rotation
from vasa_core.world.frames import Recipe, shoot_looks, who
from vasa_core.world.head import FACE_OVAL
from vasa_core.world.looks import drawn_look
from vasa_core.world.people import Look
from vasa_core.world.renderer import Renderer
from vasa_core.world.scenes import Capture
from vasa_core.world.truth import ALL_LANDMARKS

Detector = Callable[[UInt8[Array, "height width 3"]], Float[Array, "landmark 3"] | None]
REGIONS: dict[str, tuple[int, ...]] = {
    "eye corners": (*EYE_CORNERS[0], *EYE_CORNERS[1]),
    "lids": tuple(sum((*UPPER_LIDS, *LOWER_LIDS), ())),
    "irises": tuple(range(LANDMARKS, ALL_LANDMARKS)),
    "brows": (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
    "nose": (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 64, 294, 48, 278, 115, 344),
    "lip corners": LIP_CORNERS,
    "inner lips": (*UPPER_LIP, *LOWER_LIP),
    "outer lips": (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
    "face oval": FACE_OVAL,
}
SKIN = 1  # its number among the parts
RIGID_WEIGHT_Y = -5.5  # canonical height above which points follow the head wholly (cm)
COMPONENTS = 6  # of head shape that the classifier sees


def mediapipe_detector() -> Detector:
    """MediaPipe's face mesh as a function: landmarks (x, y in pixels, z in the same scale), or None."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1)

    def find(picture: UInt8[Array, "height width 3"]) -> Float[Array, "landmark 3"] | None:
        height, width = picture.shape[:2]
        found = mesh.process(np.ascontiguousarray(picture)).multi_face_landmarks
        if not found:
            return None
        return np.array([(p.x * width, p.y * height, p.z * width) for p in found[0].landmark], np.float32)

    return find


# ---- faces and landmarks ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a detector saw of one frame, against its truth."""

    key: str
    yaw: float
    offset: Float[Array, "landmark 2"] | None  # found minus true, in eye distances, along and across the eyes' line
    visible: Bool[Array, " landmark"]
    shape: Float[Array, "landmark 3"] | None
    photograph: bool = True  # neither painted nor drawn, hence with no cartoon's proportions


def eye_distance(landmarks: Float[Array, "landmark 2"]) -> float:
    """Between the outer corners of the eyes."""
    return float(np.linalg.norm(landmarks[EYE_CORNERS[1][0]] - landmarks[EYE_CORNERS[0][0]]))


def look_at(groups: Iterable[shards.Group], detect: Detector) -> Iterator[Seen]:
    """What the detector sees of every frame."""
    for group in groups:
        for k in range(len(group)):
            found, true = detect(group.picture[k]), group.landmarks[k]
            offset = None
            if found is not None:
                across = true[EYE_CORNERS[1][0]] - true[EYE_CORNERS[0][0]]
                x = across / np.linalg.norm(across)
                turn = np.stack([x, np.array([-x[1], x[0]])])
                yaw = np.cos(np.radians(group.pose[k, 0]))  # a turned head's eyes look nearer to each other
                offset = (found[:, :2] - true) @ turn.T / (np.linalg.norm(across) / max(yaw, 0.5))
            yield Seen(
                key=f"{group.key}-{k:02d}",
                yaw=float(group.pose[k, 0]),
                offset=offset,
                visible=group.visible[k],
                shape=found,
                photograph=not group.drawn.get("scene", {}).get("style", {}).get("amount", 0),
            )


@dataclass(frozen=True, kw_only=True)
class LandmarkReport:
    """Share of frames in which a face was found, and errors in percent of the eye distance."""

    frames: int
    found: float
    lost: tuple[str, ...]
    median: float
    regions: dict[str, tuple[float, float]]  # median error; of it systematic


def landmark_report(seen: Sequence[Seen]) -> LandmarkReport:
    """Errors of visible landmarks in all frames with a face."""
    offsets = np.array([s.offset for s in seen if s.offset is not None])
    visible = np.array([s.visible for s in seen if s.offset is not None])
    error = np.where(visible, np.linalg.norm(offsets, axis=2), np.nan)
    systematic = np.linalg.norm(np.nanmedian(np.where(visible[..., None], offsets, np.nan), axis=0), axis=1)
    regions = {
        name: (100 * float(np.nanmedian(error[:, list(ids)])), 100 * float(np.nanmean(systematic[list(ids)])))
        for name, ids in REGIONS.items()
    }
    return LandmarkReport(
        frames=len(seen),
        found=len(offsets) / max(len(seen), 1),
        lost=tuple(s.key for s in seen if s.offset is None),
        median=100 * float(np.nanmedian(error)),
        regions=regions,
    )


# ---- head shape ------------------------------------------------------------------------------------------------------
def aligned(shapes: Float[Array, "face landmark 3"], rounds: int = 4) -> Float[Array, "face landmark 3"]:
    """Shapes moved, turned and scaled onto their common mean (generalised Procrustes): what is left is shape."""
    shapes = shapes - shapes.mean(1, keepdims=True)
    shapes = shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)
    mean = shapes[0]
    for _ in range(rounds):
        u, _, vt = np.linalg.svd(np.einsum("fla,lb->fab", shapes, mean))
        u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
        shapes = np.einsum("fla,fab->flb", shapes, u @ vt)
        mean = shapes.mean(0) / np.linalg.norm(shapes.mean(0))
    return shapes.astype(np.float32)


def logistic(points: Float[Array, "face axis"], labels: Bool[Array, " face"], ridge: Number = 1.0) -> Array:
    """Weights and offset of a logistic regression with an L2 penalty, by Newton's method."""
    x, w = np.c_[points, np.ones(len(points))], np.zeros(points.shape[1] + 1)
    penalty = ridge * np.eye(len(w))
    penalty[-1, -1] = 1e-6
    for _ in range(20):
        chance = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (chance - labels) + penalty @ w
        w = w - np.linalg.solve((x * (chance * (1 - chance))[:, None]).T @ x + penalty, slope)
    return w


def left_out_accuracy(points: Float[Array, "face axis"], labels: Bool[Array, " face"]) -> float:
    """Share of faces told right by a classifier that was trained on all others, both kinds counting the same."""
    right = np.zeros(len(points), bool)
    for k in range(len(points)):
        others = np.arange(len(points)) != k
        axes, middle = principal(points[others], COMPONENTS)
        seen, asked = ((p - middle) @ axes.T for p in (points[others], points[k]))
        spread = seen.std(0) + 1e-12
        w = logistic(seen / spread, labels[others])
        right[k] = (asked / spread @ w[:-1] + w[-1] > 0) == labels[k]
    return float((right[labels].mean() + right[~labels].mean()) / 2)


def principal(points: Float[Array, "face axis"], count: int) -> tuple[Array, Array]:
    """The leading axes and the mean of points."""
    middle = points.mean(0)
    return np.linalg.svd(points - middle, full_matrices=False)[2][:count], middle


@dataclass(frozen=True, kw_only=True)
class ShapeReport:
    """How well head shape alone tells ours from others; chance is what random labels give (2.5 to 97.5 %)."""

    ours: int
    others: int
    accuracy: float
    chance: tuple[float, float]


def shape_report(
    ours: Float[Array, "face landmark 3"], others: Float[Array, "other landmark 3"], rng: Generator
) -> ShapeReport:
    """As many of ours as of the others, drawn several times; the same with labels at random for comparison."""
    accuracies, chances = [], []
    for _ in range(25):
        chosen = ours[rng.choice(len(ours), size=min(len(ours), len(others)), replace=False)]
        points = aligned(np.concatenate([chosen, others])).reshape(len(chosen) + len(others), -1)
        labels = np.arange(len(points)) < len(chosen)
        accuracies.append(left_out_accuracy(points, labels))
        chances += [left_out_accuracy(points, rng.permutation(labels)) for _ in range(8)]
    low, high = np.percentile(chances, [2.5, 97.5])
    return ShapeReport(
        ours=len(ours), others=len(others), accuracy=float(np.mean(accuracies)), chance=(float(low), float(high))
    )


def portrait_shapes(folder: Path, detect: Detector) -> Float[Array, "face landmark 3"]:
    """Shapes of the faces in a folder of pictures."""
    shapes = []
    for path in sorted(folder.iterdir()):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        found = None if picture is None else detect(np.ascontiguousarray(picture[..., ::-1]))
        if found is not None:
            shapes.append(found[:LANDMARKS])
    return np.array(shapes, np.float32).reshape(-1, LANDMARKS, 3)


# ---- one frame seen through another ----------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Reprojection:
    """How well one frame of a group predicts another: places in pixels, colours in display values 0..255."""

    pixels: int
    place_px: float  # median distance between canonical map and depth-and-pose
    there_and_back_px: float  # median distance after going over by canonical position and back again
    colour: float  # median difference of colour at the same canonical place, after a gain for the light
    noise: float  # the same between a frame and itself shifted by half a pixel: what resampling and grain alone do


def sampled(picture: Array, places: Float[Array, "point 2"]) -> Array:
    """A picture [row, column, ...] at places (x, y) in pixels, bilinear."""
    x, y = (np.ascontiguousarray(places[:, i] - 0.5, np.float32) for i in (0, 1))
    out = cv2.remap(picture.astype(np.float32), x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out[0]


def skin_pixels(group: shards.Group, frame: int) -> tuple[Float[Array, "point 2"], Float[Array, "point 3"]]:
    """Middles (x, y) and canonical places of the skin pixels of a frame that have skin on all sides."""
    skin = (group.part[frame] == SKIN).astype(np.uint8)
    row, column = np.nonzero(cv2.erode(skin, np.ones((3, 3), np.uint8)))
    return np.stack([column, row], 1) + 0.5, group.canonical[frame, row, column]


def correspondence(from_canonical: Array, to_places: Array, to_canonical: Array) -> tuple[Array, Array]:
    """For each point of one frame its place in another (x, y), by canonical position, and whether it is seen there.

    Between pixels by the local linear map from canonical space to the picture.
    """
    gap, near = cKDTree(to_canonical).query(from_canonical, k=6)
    center, place = to_canonical[near].mean(1), to_places[near].mean(1)
    a, b = to_canonical[near] - center[:, None], to_places[near] - place[:, None]
    square = np.einsum("nki,nkj->nij", a, a) + 1e-5 * np.eye(3)
    slope = np.linalg.solve(square, np.einsum("nki,nkj->nij", a, b))
    return place + np.einsum("ni,nij->nj", from_canonical - center, slope), gap[:, 0] < np.median(gap[:, 5]) * 1.5


def by_geometry(group: shards.Group, a: int, b: int, places: Array) -> tuple[Array, Array]:
    """Where points of frame a are in frame b if only the head turned: by depth, camera and pose; and which do so."""
    depth = group.depth[a, (places[:, 1]).astype(int), (places[:, 0]).astype(int)]
    camera = group.pixel_from_world[a].astype(np.float64)
    rays = np.c_[places, np.ones(len(places))] * depth[:, None]
    world = np.linalg.solve(camera[:, :3], (rays - camera[:, 3]).T).T
    turn_a, turn_b = (head_rotation(*(float(v) for v in group.pose[k])).astype(np.float64) for k in (a, b))
    head = (world - NECK_PIVOT) @ turn_a
    world_b = head @ turn_b.T + NECK_PIVOT
    pixels = np.c_[world_b, np.ones(len(world_b))] @ group.pixel_from_world[b].astype(np.float64).T
    return pixels[:, :2] / pixels[:, 2:], head[:, 1] + NECK_PIVOT[1] > RIGID_WEIGHT_Y


def reprojection(group: shards.Group, a: int, b: int) -> Reprojection:
    """Frame a seen through frame b of the same group, where both show the same skin."""
    places_a, canonical_a = skin_pixels(group, a)
    places_b, canonical_b = skin_pixels(group, b)
    there, seen = correspondence(canonical_a, places_b, canonical_b)
    back_canonical = sampled(group.canonical[b], there)
    back, _ = correspondence(back_canonical, places_a, canonical_a)
    geometry, rigid = by_geometry(group, a, b, places_a)
    used = seen & rigid
    colour_a, colour_b = sampled(group.picture[a], places_a), sampled(group.picture[b], there)
    gain = np.median(colour_a[seen] + 1, axis=0) / np.median(colour_b[seen] + 1, axis=0)
    shifted = 0.5 * (sampled(group.picture[a], places_a + 0.5) + sampled(group.picture[a], places_a - 0.5))
    return Reprojection(
        pixels=int(seen.sum()),
        place_px=float(np.median(np.linalg.norm(there - geometry, axis=1)[used])) if used.any() else 0.0,
        there_and_back_px=float(np.median(np.linalg.norm(back - places_a, axis=1)[seen])),
        colour=float(np.median(np.abs(colour_a - colour_b * gain)[seen])),
        noise=float(np.median(np.abs(colour_a - shifted)[seen])),
    )


def turned_pairs(renderer: Renderer, seed: int, people: int, passes: int = 8) -> Iterator[shards.Group]:
    """Photographs without noise of people who turn their heads and keep their expression: what geometry predicts."""
    rng = np.random.default_rng(seed)
    for number in range(people):
        person, scene = who(Recipe(seed=seed, photographs=1.0), number)
        scene = replace(scene, capture=Capture(exposure=scene.capture.exposure, balance=scene.capture.balance))
        look = drawn_look(rng, 0.5)
        moved = Look(
            expression=look.expression,
            yaw=look.yaw + rng.uniform(-12, 12),
            pitch=look.pitch + rng.uniform(-6, 6),
            roll=look.roll + rng.uniform(-6, 6),
            gaze=look.gaze,
        )
        yield shoot_looks(renderer, f"{number:07d}", person, scene, [look, moved], passes)


# ---- as text ---------------------------------------------------------------------------------------------------------
def landmark_lines(report: LandmarkReport) -> Iterator[str]:
    """The report on faces and landmarks, line by line."""
    yield f"faces: MediaPipe finds {100 * report.found:.2f} % of {report.frames} frames (at least 99.5 is asked)"
    if report.lost:
        yield f"  not found: {', '.join(report.lost)}"
    yield f"landmarks: median error {report.median:.2f} % of the eye distance (at most 3 is asked)"
    for name, (error, systematic) in report.regions.items():
        yield f"  {name:12s} {error:5.2f}, of it systematic (another place is meant) {systematic:5.2f}"


def shape_lines(report: ShapeReport) -> Iterator[str]:
    """The report on head shape."""
    low, high = report.chance
    yield (
        f"head shape: {100 * report.accuracy:.0f} % of faces told right ({report.others} portraits against as many of "
        f"ours, drawn 25 times from {report.ours}); labels at random give {100 * low:.0f} to {100 * high:.0f} %"
    )


def reprojection_lines(found: Sequence[Reprojection]) -> Iterator[str]:
    """The report on consistency."""
    median = {name: float(np.median([getattr(r, name) for r in found])) for name in Reprojection.__annotations__}
    yield (
        f"one frame seen through another ({len(found)} pairs, {median['pixels']:.0f} skin pixels in both): canonical "
        f"map against depth and pose {median['place_px']:.3f} px, there and back {median['there_and_back_px']:.3f} px"
    )
    yield (
        f"  colour {median['colour']:.2f} of 255 after a gain for the light; "
        f"the same frame resampled differs by {median['noise']:.2f}"
    )
