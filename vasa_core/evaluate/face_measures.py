"""What is measured of faces that move: each function adds its samples, by name, to the notes.

Lengths are pixels of the 512-pixel crop or shares of the eye distance (between the outer corners). What a second look
at a rendered frame tells has its floor beside it: the same look at the true frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vasa_core.evaluate import expressions, pixels
from vasa_core.evaluate.held_out import BLINK, CALM, ROLES, STRONG, TURNED
from vasa_core.evaluate.subjects import ASKS, Landmarks, Look, Motion, Picture, Seat, Subject
from vasa_core.geometry import rotation, rotation_vector
from vasa_core.landmarks import CROP_PX
from vasa_core.surface import LANDMARKS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP

SKIN = 1
"""Its number among `world.renderer.PART_NAMES`."""

OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
OPENINGS = {"lips": ((UPPER_LIP,), (LOWER_LIP,)), "lids": (UPPER_LIDS, LOWER_LIDS)}
ASKED_SHUT = 0.002
"""Lips and lids asked to be nearer than this share of the eye distance are asked to be closed."""

TRULY_SHUT = 0.02
"""Closed lids of the training world just meet: their landmarks stay up to this share apart."""

Notes = dict[str, list[Any]]
"""Samples by name, gathered over people and frames: numbers, codes or readings."""


# ---- measures: each adds its samples to the notes --------------------------------------------------------------------


def note_self(one: Subject, notes: Notes, kind: str) -> None:
    """The portrait under its own motion, as it is and as the second look reads it off the portrait, against itself,
    whole crop: dB."""
    look = one.look(one.portrait.crop)
    for name, motion in (("exact", one.own), ("self", one.own if look is None else look.motion)):
        error = pixels.squared_error(one.frame(motion), one.portrait.crop)
        notes[f"{name} psnr {kind}"].append(pixels.psnr_db(error))


def note_driven(one: Seat, notes: Notes) -> list[Picture]:
    """Driven to the sitter's other frames, by the engine, without its network and by warping alone, against those
    frames; returns three pictures a frame: truth, engine, without the network."""
    decoder = one.subject.decoder
    shown: list[Picture] = []
    for frame in range(1, len(ROLES)):
        look = one.looks[frame]
        if look is None:
            notes["lost"].append(f"{one.subject.name} {ROLES[frame]}, true frame")
            continue
        pose = decoder.pose(*look.motion)
        warp = decoder.warped(pose)
        pictures = (one.crops[frame], one.subject.frame(look.motion), warp.picture)
        _note_regions(one, frame, (*pictures, pixels.moved_alone(one.subject.portrait.crop, warp.backward)), notes)
        _note_sharpness(one, frame, pictures, notes)
        inside = (warp.alpha > 0.5) & one.inside
        notes["mask iou"].append(pixels.overlap(inside, one.people[frame] & one.inside))
        _note_places(one, frame, warp.backward, notes)
        _note_landmarks(one, frame, pose.projected[:LANDMARKS, :2], look, notes)
        shown += pictures
    return shown


def _note_regions(one: Seat, frame: int, pictures: tuple[Picture, ...], notes: Notes) -> None:
    truth, *others = pictures
    for name, where in regions(one, frame).items():
        error, drawn, plain = (pixels.squared_error(picture, truth, where) for picture in others)
        if not math.isnan(error):
            notes[f"driven psnr {name}"].append(pixels.psnr_db(error))
            notes[f"drawn psnr {name}"].append(pixels.psnr_db(drawn))
            notes[f"warped psnr {name}"].append(pixels.psnr_db(plain))
            notes[f"driven psnr {name}, {ROLES[frame]}"].append(pixels.psnr_db(error))
            notes[f"worst {name}"].append((pixels.psnr_db(error), f"{one.subject.name} {ROLES[frame]}"))


def _note_sharpness(one: Seat, frame: int, pictures: tuple[Picture, Picture, Picture], notes: Notes) -> None:
    face = pixels.hull(one.landmarks[frame][:LANDMARKS]) & one.inside
    truth, ours, warp = (pixels.sharpness(picture, face) for picture in pictures)
    notes["sharpness"].append(ours / truth)
    notes["warped sharpness"].append(warp / truth)


def regions(one: Seat, frame: int) -> dict[str, Bool[np.ndarray, "512 512"]]:
    """Where errors are summed: everywhere, at mouth and eyes, and what the portrait does not show."""
    true = one.landmarks[frame]
    eyes = [pixels.hull(true[[*a, *b]], grow=1.5) for a, b in zip(UPPER_LIDS, LOWER_LIDS, strict=True)]
    unseen = pixels.spread(pixels.hidden(one.grids[frame], one.grids[CALM]), one.grids[frame])
    masks = {"whole": one.inside, "mouth": pixels.hull(true[list(OUTER_LIPS)], grow=1.2)}
    masks |= {"eyes": eyes[0] | eyes[1], "hidden": unseen}
    return {name: mask & one.inside for name, mask in masks.items()}


def _note_places(one: Seat, frame: int, backward: Float[np.ndarray, "512 512 2"], notes: Notes) -> None:
    """How far from its true place in the portrait each visible skin pixel is fetched (px)."""
    places = pixels.same_skin(one.grids[frame], one.grids[CALM], SKIN)
    if len(places.target):
        fetched = pixels.sampled(backward, places.target)
        off = np.linalg.norm(fetched - places.source, axis=1)
        notes["places px"].append(float(off[off < 200].mean()))
        notes[f"places px, {ROLES[frame]}"].append(float(off[off < 200].mean()))


def _note_landmarks(one: Seat, frame: int, projected: np.ndarray, look: Look, notes: Notes) -> None:
    """How far the portrait's surface ends from the true landmarks, beyond what it was off in the portrait (px)."""
    own = one.subject.portrait.landmarks[:LANDMARKS] - one.landmarks[CALM][:LANDMARKS]
    true = one.landmarks[frame][:LANDMARKS] + own
    notes["surface px"].append(float(np.linalg.norm(projected - true, axis=1).mean()))
    notes["surface px, floor"].append(float(np.linalg.norm(look.landmarks[:LANDMARKS] - true, axis=1).mean()))


def note_transfer(driver: Seat, driven: Subject, notes: Notes, kind: str) -> list[Picture]:
    """The driver's motion on another portrait: what its rendered frames show again, against the driver's truth;
    returns two pictures a frame: the driver's true one, and the portrait."""
    still, shown = driven.reading(driven.own[1]), []
    for frame in range(1, len(ROLES)):
        read = driver.looks[frame]
        if read is None:
            continue
        shown += [driver.crops[frame], driven.frame(moved(driven, read.motion))]
        look = driven.look(shown[-1])
        if look is None:
            notes["lost"].append(f"{driven.name} as {driver.subject.name} {ROLES[frame]}")
            continue
        readings = driver.change(frame), driven.reading(look.motion[1]) - still, driver.read_change(read.motion)
        for name, reading in zip(("asked", "shown", "encoded"), readings, strict=True):
            notes[f"{name} {kind}"].append(reading if driver.eyes_show(frame) else expressions.without_gaze(reading))
    return shown


def moved(one: Subject, motion: Motion) -> Motion:
    """A motion read off another, on top of the portrait's own."""
    return motion[0], motion[1] + one.own[1]


def note_truth(one: Seat, notes: Notes) -> None:
    """The floors: what a second look says of the true frames themselves."""
    notes["places px, floor"].append(pixels.place_floor_px(one.grids[CALM], SKIN))
    for frame in range(1, len(ROLES)):
        notes["change"].append(one.change(frame))
        look = one.looks[frame]
        if look is None:
            continue
        notes["drift, floor"].append(float(np.linalg.norm(look.identity_change)))
        notes["unlike, floor"].append(look.unlikeness)
        turn = rotation_vector(one.true_turn(frame).astype(np.float32))
        notes["pose off, floor"].append(angle_between_deg(turn, look.motion[0][:3]))
        if frame == TURNED:
            notes["pose edit, floor"].append(one.read_change(look.motion))
        if frame in (STRONG, BLINK):
            notes["expression edit deg, floor"].append(angle_deg(look.motion[0][:3]))
            _note_wobble(one.subject, look, notes, ", floor")
        for name, pairs in OPENINGS.items():
            true, seen = (
                max(opening(points, *pairs), 0.0) / one.subject.eyes_px
                for points in (one.landmarks[frame], look.landmarks)
            )
            notes[f"{name} opening, floor"].append(abs(seen - true))
            if true < TRULY_SHUT:
                notes[f"shut {name}, floor"].append(seen)


def note_asks(one: Subject, notes: Notes, kind: str) -> list[Picture]:
    """Pose-only, expression-only and mixed edits of one portrait; returns the rendered frames."""
    still = one.reading(one.own[1])
    notes[f"code {kind}"].append(one.identity_code)
    notes[f"who {kind}"].append(one.recognised)
    frames = []
    for ask in ASKS:
        motion = moved(one, ask.motion(one.surface))
        frames.append(one.frame(motion))
        look = one.look(frames[-1])
        if look is None:
            notes["lost"].append(f"{one.name} asked {ask.name}")
            continue
        turn, dynamics = look.motion[0][:3], look.motion[1]
        notes[f"drift {kind}"].append(float(np.linalg.norm(look.identity_change)))
        notes[f"unlike {kind}"].append(look.unlikeness)
        if ask.turns and not ask.acts:
            notes[f"pose edit {kind}"].append(one.reading(dynamics) - still)
            notes[f"pose off {kind}"].append(angle_between_deg(motion[0][:3], turn))
        if ask.acts and not ask.turns:
            notes[f"expression edit deg {kind}"].append(angle_deg(turn))
            _note_wobble(one, look, notes, f" {kind}")
        _note_openings(one, motion, look.landmarks, notes, kind)
    return frames


def _note_wobble(one: Subject, look: Look, notes: Notes, suffix: str) -> None:
    """How much larger, and how far displaced, the bones of the face are seen than in the portrait (shares)."""
    at_rest, now = one.bones_px(one.own[0]), one.bones_px(look.motion[0])
    size, before = (np.linalg.norm(points - points.mean(0)) for points in (now, at_rest))
    notes[f"size wobble{suffix}"].append(float(abs(size / before - 1)))
    notes[f"place wobble{suffix}"].append(float(np.linalg.norm(now.mean(0) - at_rest.mean(0))) / CROP_PX)


def _note_openings(one: Subject, motion: Motion, found: Landmarks, notes: Notes, kind: str) -> None:
    """Openings of lips and lids, asked (the surface's) and seen (shares of the eye distance)."""
    asked_at = one.decoder.pose(*motion).projected[:LANDMARKS, :2]
    for name, pairs in OPENINGS.items():
        asked, seen = (max(opening(points, *pairs), 0.0) / one.eyes_px for points in (asked_at, found))
        notes[f"{name} opening {kind}"].append(abs(seen - asked))
        if asked < ASKED_SHUT:
            notes[f"shut {name} {kind}"].append(seen)


def opening(
    landmarks: Float[np.ndarray, "landmark 2"], uppers: Sequence[Sequence[int]], lowers: Sequence[Sequence[int]]
) -> float:
    """How far the middles of lower contours stand below those of the upper ones, square to the eyes' line (px)."""
    across = landmarks[263] - landmarks[33]
    down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
    gaps = []
    for upper, lower in zip(uppers, lowers, strict=True):
        middle = slice(len(upper) // 2 - 1, len(upper) // 2 + 2)
        gaps.append((landmarks[list(lower)[middle]] - landmarks[list(upper)[middle]]).mean(0) @ down)
    return float(np.mean(gaps))


def angle_deg(vector: Float[np.ndarray, " 3"]) -> float:
    """The angle of a rotation vector, degrees."""
    return float(np.degrees(np.linalg.norm(vector)))


def angle_between_deg(a: Float[np.ndarray, " 3"], b: Float[np.ndarray, " 3"]) -> float:
    """The angle of the rotation from one rotation vector to the other."""
    return angle_deg(rotation_vector(rotation(a).T @ rotation(b)))
