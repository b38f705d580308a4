"""A passive detector of our own frames, small enough to teach with: what warping does to a photograph's grain.

A camera's grain is independent from pixel to pixel. Our decoder carries the portrait's own pixels to new places, and a
place between four pixels gets a mixture of their grains: neighbours become alike. `fingerprint` measures how alike, in
six directions, where the face is smooth. Nobody real is needed to show this, and nobody is used: the photographs are
renders of our cast with grain added, as a phone adds it in a dim room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.evaluate.attacks import as_video, x264
from vasa_core.evaluate.held_out import CALM, SPEAKING, STRONG, load_sitters
from vasa_core.evaluate.subjects import Ask
from vasa_core.following import follower
from vasa_core.landmarks import cut
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.refinement import FaceNetworks
from vasa_core.surface import LANDMARKS, Surface

GRAIN = (2.5, 8.0)
"""Standard deviation of the added grain in grey levels at a portrait's own 1024 pixels, drawn for each person's camera;
about half of it is left on a crop."""

FRESH_GRAIN = 4.5
"""What is laid over finished frames to hide them from the detector."""

LEVEL_DEG = 2.0

NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
"""Rows down and columns right: the six directions in which grain is compared."""

NAMES = ("log of grain", *(f"alike {down} down, {right} right" for down, right in NEIGHBOURS))

SMOOTH_SHARE, SMOOTH_PX = 0.25, 4.0
"""Grain is measured on this share of the face, where there is least of anything fine for so many pixels around:
cheeks and forehead, not brows or stubble."""

MARGIN_PX = 12
DETAIL_PX = 1.0
"""What is finer than this counts as grain."""

DRAWN_AS_INK = ("clara", "nora")
"""Of our cast, the painted: grain is a photograph's."""

Picture = UInt8[np.ndarray, "height width 3"]
Crop = UInt8[np.ndarray, "512 512 3"]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


# ---- pictures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """A held-out person in two true frames, speaking and making a strong face, and as our decoder makes them."""

    name: str
    photograph: Picture
    """The calm frame, all that the decoder is given."""
    true: tuple[Crop, Crop]
    refined: tuple[Crop, Crop]


def sittings(surface: Surface, networks: FaceNetworks, count: int = 8) -> Iterator[Sitting]:
    """The first held-out people, driven by true landmarks to where they truly were."""
    for sitter in load_sitters()[:count]:
        portrait = prepare(sitter.pictures[CALM], surface)
        decoder, follows = Decoder(portrait, surface, networks), follower(portrait, surface)
        places = sitter.landmarks @ portrait.crop_from_picture[:, :2].T + portrait.crop_from_picture[:, 2]
        carried = portrait.landmarks - places[CALM]  # the portrait's own error of landmarks moves along
        roles = (SPEAKING, STRONG)
        yield Sitting(
            name=sitter.name,
            photograph=sitter.pictures[CALM],
            true=tuple(cut(sitter.pictures[role], portrait.crop_from_picture) for role in roles),  # type: ignore[arg-type]
            refined=tuple(decoder.frame(*follows((places[role] + carried).astype(np.float32))) for role in roles),  # type: ignore[arg-type]
        )


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A crop and where its face is."""

    picture: Crop
    face: Box


@dataclass(frozen=True, kw_only=True)
class Film:
    """One of our cast: photographs with fresh grain each, and frames made from one of them, two ways."""

    name: str
    photographs: list[Exhibit]
    refined: list[Exhibit]
    warped: list[Exhibit]
    """The same moments as the bare warp, without the network."""
    unmoved: list[Exhibit]
    """What the decoder shows while the person keeps still."""


def film(name: str, surface: Surface, networks: FaceNetworks, frames: int = 12) -> Film:
    """Photographs and frames of one of our cast; the name seeds the grain and the moments."""
    picture, rng = load_picture(assets.FOLDER / "portraits" / f"{name}.png"), np.random.default_rng(list(name.encode()))
    deviation = rng.uniform(*GRAIN)
    portrait = prepare(grainy(picture, rng, deviation), surface)
    decoder = Decoder(portrait, surface, networks)
    still = decoder.pose(*Ask(name="still").motion(surface))
    shots = (grainy(picture, rng, deviation) for _ in range(frames - 1))
    crops = [portrait.crop, *(cut(shot, portrait.crop_from_picture) for shot in shots)]
    refined, warped = [], []
    for _ in range(frames):
        motion = _moment(rng).motion(surface)
        begun, face = decoder.begun(*motion), _face(decoder.pose(*motion).projected, surface)
        warped.append(Exhibit(picture=begun[0], face=face))
        refined.append(Exhibit(picture=decoder.finished(begun), face=face))
    at_rest = _face(still.projected, surface)
    unmoved = decoder.frame(still.head_pose, still.facial_dynamics)
    return Film(
        name=name,
        photographs=[Exhibit(picture=crop, face=at_rest) for crop in crops],
        refined=refined,
        warped=warped,
        unmoved=[Exhibit(picture=unmoved, face=at_rest)],
    )


def photographed() -> list[str]:
    """Those of our cast who look like photographs."""
    return [path.stem for path in assets.portraits() if path.stem not in DRAWN_AS_INK]


def grainy(picture: Picture, rng: np.random.Generator, deviation: float) -> Picture:
    """The picture as a camera in a dim room takes it: another grain in every pixel."""
    noise = rng.normal(0, deviation, picture.shape).astype(np.float32)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def _moment(rng: np.random.Generator) -> Ask:
    """Somebody talking, as far as people move while they talk."""
    weights = {"jawOpen": rng.uniform(0, 0.4), "mouthSmile": rng.uniform(0, 0.6), "browInnerUp": rng.uniform(0, 0.5)}
    return Ask(name="talking", yaw=rng.uniform(-12, 12), pitch=rng.uniform(-6, 6), weights=weights)


def _face(projected: Float[np.ndarray, "vertex 3"], surface: Surface) -> Box:
    points = projected[surface.parts["face"]][:LANDMARKS, :2]
    low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int)
    return max(int(low[0]), 0), max(int(low[1]), 0), int(high[0]), int(high[1])


# ---- what is measured ------------------------------------------------------------------------------------------------


def fingerprint(exhibit: Exhibit) -> Float[np.ndarray, " feature=7"]:
    """How strong the grain of a face is where it is smooth, and how much it is like its neighbours'; see NAMES."""
    left, top, right, bottom = exhibit.face
    grey = cv2.cvtColor(exhibit.picture[top:bottom, left:right], cv2.COLOR_RGB2GRAY).astype(np.float32)
    grain = grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_PX)
    inner = slice(MARGIN_PX, -MARGIN_PX)
    busy = cv2.GaussianBlur(grain**2, (0, 0), SMOOTH_PX)[inner, inner]
    smooth, here = busy <= np.quantile(busy, SMOOTH_SHARE), grain[inner, inner]
    power = float((here[smooth] ** 2).mean()) + 1e-3
    shifted = (np.roll(grain, (-down, -aside), (0, 1))[inner, inner] for down, aside in NEIGHBOURS)
    alike = [(here * there)[smooth].mean() for there in shifted]
    return np.array([np.log(power), *(value / power for value in alike)])


def fingerprints(exhibits: Sequence[Exhibit]) -> Float[np.ndarray, "exhibit feature=7"]:
    """One fingerprint a row."""
    return np.stack([fingerprint(exhibit) for exhibit in exhibits])


def table(
    films: Sequence[Film], kind: str, change: Callable[[Exhibit], Exhibit] = lambda exhibit: exhibit
) -> Float[np.ndarray, "exhibit feature=7"]:
    """The fingerprints of all pictures of a kind ("photographs", "refined", "warped", "unmoved"), changed or not."""
    return fingerprints([change(exhibit) for one in films for exhibit in getattr(one, kind)])


# ---- what is done to pictures ----------------------------------------------------------------------------------------


def compressed(exhibit: Exhibit, crf: int) -> Exhibit:
    """The picture as one frame of an H.264 video at this constant rate factor."""
    frame = x264(crf)([as_video(exhibit.picture)])[0]
    return Exhibit(picture=frame.to_ndarray(format="rgb24"), face=exhibit.face)


def regrained(exhibit: Exhibit, deviation: float = FRESH_GRAIN) -> Exhibit:
    """The picture with fresh grain over it, which hides a decoder's; the picture itself seeds it."""
    rng = np.random.default_rng(int(exhibit.picture.astype(np.int64).sum()))
    return Exhibit(picture=grainy(exhibit.picture, rng, deviation), face=exhibit.face)


def straightened(exhibit: Exhibit) -> Exhibit:
    """The picture turned a little, as every photo program does to a horizon that is not level."""
    height, width = exhibit.picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), LEVEL_DEG, 1.0)
    level = cv2.warpAffine(exhibit.picture, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return Exhibit(picture=level, face=exhibit.face)
