"""Motion read off pictures more closely than landmarks tell: by the person's own pixels.

MediaPipe's landmarks follow lips and lids, but see half of a nod, a raised brow and a glance (measured on frames whose
truth is known). So the portrait is drawn as the landmarks would have it, the optical flow from there to the picture
moves the landmarks to where the skin really is, and the motion is read again. The irises are
looked for between the lids by their own colours. Beside that, two networks compare the two pictures by what they
learned on other people: the pixel encoder (`pixel_codes.py`) the whole face, and more closely `upper_face.py` eyes and
brows, `lower_face.py` jaw and lips. Each is believed as far as it was found to err.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core.changes import Changes, Kept
from vasa_core.decoder import Decoder, Pose
from vasa_core.encoders import EYEBALL_RADIUS_CM
from vasa_core.eyes import EyePlates
from vasa_core.following import NOISE_CM, NOTHING_KNOWN, UNSURE, ExpectedChange, Moved, follower
from vasa_core.latents import DYNAMICS, EXPRESSION, GAZE, POSE
from vasa_core.lower_face import LOWER_FACE, jaw_and_lips
from vasa_core.pixel_codes import PixelEncoder, Told
from vasa_core.portrait import Portrait
from vasa_core.surface import IRIS_CENTRES, LANDMARKS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP, Surface
from vasa_core.upper_face import lids_and_brows

ROUNDS, ROUNDS_NEAR = 3, 2
FLOW_CM = 0.04
"""Spread of a landmark that the flow carried there and back to where it was."""

UNSEEN_CM = 0.5
"""Spread of landmarks on skin that the portrait hides, and of the outline, which slides over the skin in a turn."""

OUTLINE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
CONTOURS = (*UPPER_LIP, *LOWER_LIP, *UPPER_LIDS[0], *UPPER_LIDS[1], *LOWER_LIDS[0], *LOWER_LIDS[1])
"""Where something opens the flow has nothing to hold on to: there MediaPipe is believed."""

MARGIN_SHARE = 0.12
LEAST_IRIS = 0.3
"""Share of the iris's disc that must show between the lids."""

LEAST_OPEN = 0.6
"""Eyes less open than this share of what they are in the portrait do not tell where they look."""

OPEN_FOR_NETWORKS = 0.35
"""Networks, which know how lids follow a glance down, tell it of eyes open to this share."""

FARTHEST_CM = 0.75
"""How far an iris is looked for from where it is in the portrait."""

LANDMARKS_AGREE = 15.0
"""Landmarks err together, so against the pixel encoder they weigh this many times less than their number says."""

TURN_DOUBTED = 6.0
"""The encoder's turn is taken to err this many times more than it does: the person's own pixels tell it better."""

SHIFT_HELD = 12.0
"""How much more than beside landmarks alone the head is expected to stay in its place."""

CONTOURS_ERR = 3.0
"""Beside the pixel encoder, contours of lips and lids are taken to err this many times more than other landmarks."""

LIDS_DOUBTED, BROWS_DOUBTED = 0.25, 1.2
"""What the closer look tells is taken to err this many times as much as it did: it knows lids better than landmarks
do, brows no better than flow."""

JAW_DOUBTED, LIPS_DOUBTED = 1.0, 0.7
"""What the closer look at mouth and chin tells, likewise."""

GAZE_DOUBTED = 2.0
"""The pixel encoder's gaze, beside the closer look's, likewise."""

EYES_LARGER = 1.31
"""Eyes of rendered people, from which the networks learned, move their irises so much farther in a glance of so many
degrees than our decoder does (`encoders.EYEBALL_RADIUS_CM`): what counts is where the iris is seen."""

IRIS_ERRS_RAD, IRIS_FITS = np.deg2rad(2.5), 0.2
"""How far an iris that was found errs when what the eye shows is like the portrait's, and how unlike it (share of the
contrast between iris and white) doubles that."""

Grey = Float[np.ndarray, "height width"]
Picture = UInt8[np.ndarray, "512 512 3"]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A motion, and the landmarks (px) from which it was read, with how far each may err."""

    moved: Moved
    landmarks: Float[np.ndarray, "478 2"]
    spread_cm: Float[np.ndarray, " landmark=468"]
    told: Told | None
    """What the pixel encoder says of the picture by itself."""


class Closeup:
    """One portrait, ready to have its motion read off pictures of the same person."""

    def __init__(
        self,
        portrait: Portrait,
        surface: Surface,
        hidden: float = 0.0,
        encoder: PixelEncoder | None = None,
        upper: Changes | None = None,
        lower: Changes | None = None,
    ) -> None:
        """`hidden` is said of a gaze that lids hide; without an encoder only this person's own pixels are asked,
        without closer looks at the `upper` and `lower` face the encoder alone tells of eyes and brows, jaw and lips."""
        self.hidden, self.encoder, self.upper, self.lower = hidden, encoder, upper, lower
        self.before = encoder(portrait.crop, portrait.landmarks) if encoder else None
        self.eyes_before = upper(portrait.crop, portrait.landmarks) if upper else None
        self.mouth_before = lower(portrait.crop, portrait.landmarks) if lower else None
        self.upper_from_code, self.lower_from_code = lids_and_brows(surface), jaw_and_lips(surface)
        self.own = portrait.facial_dynamics - portrait.rest_dynamics
        self.portrait, self.follow = portrait, follower(portrait, surface)
        self.decoder = Decoder(portrait, surface, smile_yields=False)
        self.flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        rings = [portrait.landmarks[centre + 1 : centre + 5] - portrait.landmarks[centre] for centre in IRIS_CENTRES]
        self.iris_px = [float(np.linalg.norm(ring, axis=1).mean()) for ring in rings]
        self.carried = np.ones(LANDMARKS, bool)
        self.carried[[*OUTLINE, *CONTOURS]] = False
        still = self.decoder.pose(np.zeros(POSE, np.float32), np.zeros(DYNAMICS, np.float32))
        areas = [cv2.contourArea(contour.astype(np.float32)) for contour in self.decoder.eye_openings(still.projected)]
        self.open_px = [max(area, LEAST_IRIS * np.pi * r**2) for area, r in zip(areas, self.iris_px, strict=True)]
        own = [self._moved_iris(portrait.crop, still, eye) for eye in (0, 1)]
        self.own_moves = [np.zeros(2) if found is None else found[0] for found in own]

    def __call__(self, picture: Picture, landmarks: Float[np.ndarray, "478 2"], near: Moved | None = None) -> Moved:
        """Head pose and facial dynamics, relative to the portrait, of a picture in the portrait's crop with its
        landmarks; a motion known to be `near`, that of the frame before, saves time."""
        return self.look(picture, landmarks, near).moved

    def look(self, picture: Picture, landmarks: Float[np.ndarray, "478 2"], near: Moved | None = None) -> Seen:
        """The same, with where the skin was found."""
        told = self.encoder(picture, landmarks) if self.encoder else None
        eyes = self.upper(picture, landmarks) if self.upper else None
        mouth = self.lower(picture, landmarks) if self.lower else None
        expected, gaze = self._expected(told, eyes, mouth)
        moved = self.follow(landmarks, near=near, expected=expected)
        for _ in range(ROUNDS if near is None else ROUNDS_NEAR):
            carried, spread_cm = self._carried(picture, landmarks, self.decoder.pose(*moved))
            moved = self.follow(carried, spread_cm, near=moved, expected=expected)
        pose = self.decoder.pose(*moved)
        found, misfit = self._gaze(picture, pose)
        if gaze is not None and (np.isfinite(found).all() or self._eyes_show(pose)):
            found = gaze[0] if np.isinf(misfit) else _weighed(*gaze, found, _iris_errors(misfit))
        moved[1][EXPRESSION:] = found
        return Seen(moved=moved, landmarks=carried, spread_cm=spread_cm, told=told)

    def _expected(
        self, told: Told | None, eyes: Kept | None, mouth: Kept | None
    ) -> tuple[ExpectedChange, tuple[Float[np.ndarray, " 2"], Float[np.ndarray, "2 2"]] | None]:
        """What the networks tell of the change since the portrait: pose and expression; and gaze (rad) with the
        covariance of its errors."""
        if self.encoder is None or self.before is None or told is None:
            return NOTHING_KNOWN, None
        change, covariance = self.encoder.change(self.before, told)
        turn_and_code = np.r_[:3, POSE : POSE + EXPRESSION]
        told_of = np.arange(len(turn_and_code))
        doubted = np.r_[np.full(3, TURN_DOUBTED), np.ones(EXPRESSION)]
        mean, weight = np.zeros(POSE + EXPRESSION), np.diag(SHIFT_HELD * UNSURE)
        mean[turn_and_code] = change[told_of] + np.r_[np.zeros(3), self.own[:EXPRESSION]]
        precision = np.linalg.inv(covariance[np.ix_(told_of, told_of)] * np.outer(doubted, doubted))
        weight[np.ix_(turn_and_code, turn_and_code)] = LANDMARKS_AGREE * precision
        expected = ExpectedChange(mean=mean, precision=weight)
        gaze, errs = change[-GAZE:], covariance[-GAZE:, -GAZE:]
        if self.upper is not None and self.eyes_before is not None and eyes is not None:
            changed, errors = self.upper.change(self.eyes_before, eyes)
            doubted = np.repeat([LIDS_DOUBTED, BROWS_DOUBTED], [2, 4])
            expected = self._knowing(expected, self.upper_from_code, doubted, changed[GAZE:], errors[GAZE:, GAZE:])
            gaze = _weighed(gaze, GAZE_DOUBTED**2 * errs, changed[:GAZE], errors[:GAZE, :GAZE])
            errs = errors[:GAZE, :GAZE]
        if self.lower is not None and self.mouth_before is not None and mouth is not None:
            doubted = np.where(np.array(LOWER_FACE.doubt_of_names) == 0, JAW_DOUBTED, LIPS_DOUBTED)
            changed, errors = self.lower.change(self.mouth_before, mouth)
            expected = self._knowing(expected, self.lower_from_code, doubted, changed, errors)
        return expected, (EYES_LARGER * gaze + self.own[EXPRESSION:], EYES_LARGER**2 * errs)

    def _knowing(
        self,
        expected: ExpectedChange,
        from_code: Float[np.ndarray, "name expression=48"],
        doubted: Float[np.ndarray, " name"],
        changed: Float[np.ndarray, " name"],
        errors: Float[np.ndarray, "name name"],
    ) -> ExpectedChange:
        """What is expected once numbers that a code tells linearly (cm) are known to have changed so much since the
        portrait, with the covariance of their errors and how many times that they are `doubted`."""
        rows = np.zeros((len(changed), POSE + EXPRESSION))
        rows[:, POSE:] = from_code
        sure = LANDMARKS_AGREE * rows.T @ np.linalg.inv(errors * np.outer(doubted, doubted))
        precision = expected.precision + sure @ rows
        seen = changed + from_code @ self.own[:EXPRESSION]
        mean = np.linalg.solve(precision, expected.precision @ expected.mean + sure @ seen)
        return ExpectedChange(mean=mean, precision=precision)

    # --- skin ----------------------------------------------------------------------------------------------------

    def _carried(
        self, picture: Picture, landmarks: np.ndarray, pose: Pose
    ) -> tuple[Float[np.ndarray, "478 2"], Float[np.ndarray, " landmark=468"]]:
        """The landmarks moved to where the portrait's skin is in the picture, and how far each may err (cm)."""
        warp = self.decoder.warped(pose)
        places = pose.projected[:LANDMARKS, :2]
        low, high = places.min(0), places.max(0)
        margin = MARGIN_SHARE * (high - low)
        left, top = np.clip(np.floor(low - margin), 0, None).astype(int)
        right, bottom = np.clip(np.ceil(high + margin), None, picture.shape[0]).astype(int)
        region = slice(top, bottom), slice(left, right)
        drawn, shown = (cv2.cvtColor(p[region], cv2.COLOR_RGB2GRAY) for p in (warp.picture, picture))
        there, back = self.flow.calc(drawn, shown, None), self.flow.calc(shown, drawn, None)
        move = _at(there, places - (left, top))
        astray = np.linalg.norm(move + _at(back, places + move - (left, top)), axis=1) / self.decoder.camera.scale_px
        shown_skin = _at(warp.face[region][..., 1], places - (left, top))[:, 0]
        trusted = self.carried & (shown_skin > 0.5) & (astray < NOISE_CM)
        seen = landmarks.copy()
        seen[:LANDMARKS][trusted] = (places + move)[trusted]
        spread_cm = np.where(trusted, np.hypot(FLOW_CM, 2 * astray), UNSEEN_CM)
        spread_cm[list(CONTOURS)] = NOISE_CM * (CONTOURS_ERR if self.encoder else 1)
        return seen, spread_cm

    # --- eyes ----------------------------------------------------------------------------------------------------

    def _gaze(self, picture: Picture, pose: Pose) -> tuple[Float[np.ndarray, " 2"], float]:
        """How far the eyes have turned from where they look in the portrait (rad), `hidden` where lids hide both; and
        how unlike the portrait's the eyes are then."""
        found = [self._moved_iris(picture, pose, eye) for eye in (0, 1)]
        moves = [seen[0] - own for seen, own in zip(found, self.own_moves, strict=True) if seen is not None]
        if not moves:
            return np.full(2, self.hidden, np.float32), np.inf
        offset = np.mean(moves, axis=0) * (1, -1) / (EYEBALL_RADIUS_CM * self.decoder.camera.scale_px)
        x, y = np.linalg.solve(self.portrait.rotation[:2, :2].astype(np.float64), offset)
        misfit = float(np.mean([seen[1] for seen in found if seen is not None]))
        return np.arcsin(np.clip([x, -y], -0.9, 0.9)).astype(np.float32), misfit

    def _eyes_show(self, pose: Pose) -> bool:
        """Whether an eye is open enough for networks to tell where it looks."""
        contours = self.decoder.eye_openings(pose.projected)
        shares = [cv2.contourArea(c.astype(np.float32)) / o for c, o in zip(contours, self.open_px, strict=True)]
        return max(shares) > OPEN_FOR_NETWORKS

    def _moved_iris(self, picture: Picture, pose: Pose, eye: int) -> tuple[Float[np.ndarray, " 2"], float] | None:
        """How far the iris has moved, as if the head had not (px of the portrait), and how unlike the portrait's the
        eye is then; None where too little of it shows."""
        plates, centre = self.decoder.eyes[eye], self.portrait.landmarks[IRIS_CENTRES[eye]]
        portrait_from_frame = self.decoder._eye_transform(eye, pose.head_pose)
        contour = self.decoder.eye_openings(pose.projected)[eye]
        contour = contour @ portrait_from_frame[:, :2].T + portrait_from_frame[:, 2] - plates.origin
        height, width = plates.white.shape[:2]
        opening = np.zeros((height, width), np.uint8)
        cv2.fillPoly(opening, [np.round(contour * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
        if opening.sum() < LEAST_OPEN * self.open_px[eye]:
            return None
        back = portrait_from_frame.copy()
        back[:, 2] -= plates.origin
        window = cv2.warpAffine(picture, back, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        at = centre - plates.origin
        unlike = iris_unlikeness(window, opening.astype(np.float32), plates, at, self.iris_px[eye])
        y, x = np.mgrid[0:height, 0:width]
        far = np.hypot(x - at[0], y - at[1]) > FARTHEST_CM * self.decoder.camera.scale_px
        unlike = np.where(far, np.inf, unlike)
        return _lowest(unlike) - np.round(at), _misfit(window, opening, plates, float(unlike.min()))


def _misfit(
    window: Float[np.ndarray, "height width 3"],
    opening: UInt8[np.ndarray, "height width"],
    plates: EyePlates,
    unlikeness: float,
) -> float:
    """The squared difference that is left between an eye and the portrait's with its iris in the best place, as a
    share of the squared difference between iris and white."""
    bare = float((opening[..., None] * (window - plates.white) ** 2).sum())
    alpha = plates.iris[..., 3:]
    contrast = float((alpha * (plates.iris[..., :3] - plates.white) ** 2).sum() / max(float(alpha.sum()), 1.0))
    return (bare + unlikeness) / float(opening.sum()) / max(contrast, 1.0)


def _iris_errors(misfit: float) -> Float[np.ndarray, "2 2"]:
    """The covariance of a gaze read off an iris: the less it fits, the less was it one."""
    return np.eye(2) * (IRIS_ERRS_RAD * (1 + (misfit / IRIS_FITS) ** 2)) ** 2


def _weighed(
    one: np.ndarray, one_errs: np.ndarray, other: np.ndarray, other_errs: np.ndarray
) -> Float[np.ndarray, " number"]:
    """The mean of two that err independently, each weighed by its covariance."""
    sure, as_sure = np.linalg.inv(one_errs), np.linalg.inv(other_errs)
    return np.linalg.solve(sure + as_sure, sure @ one + as_sure @ other)


def iris_unlikeness(
    window: Float[np.ndarray, "height width 3"],
    opening: Grey,
    plates: EyePlates,
    centre: Float[np.ndarray, " 2"],
    radius: float,
) -> Grey:
    """For each place of the iris's centre, the squared difference between what shows within the opening and the
    portrait's iris put there, white around it."""
    half = int(np.ceil(radius)) + 2
    x, y = np.round(centre).astype(int)
    padded = np.pad(plates.iris, ((half, half), (half, half), (0, 0)))
    iris = padded[y : y + 2 * half + 1, x : x + 2 * half + 1]
    colour, alpha = iris[..., :3], np.ascontiguousarray(iris[..., 3])
    white = (opening[..., None] * (window - plates.white) ** 2).sum(-1)
    there = _correlated(white, -alpha)
    for channel in range(3):
        shown, own = window[..., channel] * opening, np.ascontiguousarray(colour[..., channel])
        there += _correlated(shown * window[..., channel], alpha)
        there += _correlated(opening, alpha * own**2) - 2 * _correlated(shown, alpha * own)
    hidden = _correlated(opening, alpha) < LEAST_IRIS * alpha.sum()
    return np.where(hidden, np.inf, there)


def _correlated(plane: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """At each place the sum of the plane under the kernel centred there."""
    return cv2.filter2D(plane.astype(np.float32), cv2.CV_64F, kernel, borderType=cv2.BORDER_CONSTANT)


def _lowest(values: np.ndarray) -> Float[np.ndarray, " 2"]:
    """The place (x, y) of the lowest value, between pixels by a parabola through its neighbours."""
    y, x = np.unravel_index(int(values.argmin()), values.shape)
    place = np.array([x, y], np.float64)
    for axis, (k, line) in enumerate(((x, values[y]), (y, values[:, x]))):
        if 0 < k < len(line) - 1 and np.isfinite(line[k - 1 : k + 2]).all():
            before, here, after = (float(line[k + d]) for d in (-1, 0, 1))
            bend = before - 2 * here + after
            place[axis] += 0.5 * (before - after) / bend if bend > 0 else 0.0
    return place


def _at(plane: np.ndarray, places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n channel"]:
    """The plane's values at places (x, y), between pixels."""
    x, y = places.astype(np.float32).T
    values = cv2.remap(plane, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(len(places), -1)
