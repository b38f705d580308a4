"""A scene: light, backdrop, camera, style and what the camera's sensor and the file format do to the picture.

person = random_person(seed)
scene = random_scene(seed, person)
figure = renderer.dress(stylised(kit, person, scene.style))
picture = finish(renderer.shoot(figure, look, scene.light, scene.camera, samples), scene)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vasa_core.world.backdrops import Backdrop, backdrop, blurred
from vasa_core.world.darkroom import develop, to_bytes
from vasa_core.world.facekit import Number
from vasa_core.world.finishes import FINISHES, attention, cel
from vasa_core.world.lights import LUMINANCE, on_face, triple
from vasa_core.world.people import Camera, Color, Light, Person
from vasa_core.world.places import random_place
from vasa_core.world.renderer import Shot
from vasa_core.world.style import Style, random_style

FACE_LEVEL = 1.05  # linear radiance at which a face of middling skin is well exposed


@dataclass(frozen=True, kw_only=True)
class Capture:
    """What a camera and a file do to a picture; lengths in pixels of a picture of 256."""

    exposure: Number = 1.0
    balance: Color = (1.0, 1.0, 1.0)  # gains of red, green, blue
    contrast: Number = 1.0
    saturation: Number = 1.0
    vignette: Number = 0.0  # how much darker the corners are
    aberration: Number = 0.0  # how much larger red is drawn than blue, in parts of the picture
    soft: Number = 0.0  # blur
    noise: Number = 0.0  # standard deviation at middle grey, display values
    sharpen: Number = 0.0
    jpeg: int = 100  # quality; 100 leaves the picture alone


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything about a picture but the person and what they do."""

    family: str
    light: Light
    backdrop: Backdrop
    camera: Camera = field(default_factory=Camera)
    style: Style = field(default_factory=Style)
    capture: Capture = field(default_factory=Capture)
    seed: int = 0


def random_scene(seed: int, person: Person, photographs: Number = 0.6) -> Scene:
    """The scene of this seed, exposed for this person; `photographs` is the share that is not painted or drawn."""
    rng = np.random.default_rng([seed, 0x5CE4E])
    family, light, behind = random_place(rng)
    style = random_style(rng, photographs)
    return Scene(
        family=family,
        light=light,
        backdrop=behind,
        camera=random_camera(rng),
        style=style,
        capture=random_capture(rng, light, person, family),
        seed=seed,
    )


def random_camera(rng: Generator) -> Camera:
    """Any lens from a telephone at arm's length to a long portrait lens."""
    distance = float(np.exp(rng.uniform(np.log(62), np.log(260))))
    view = rng.uniform(31, 46)
    return Camera(
        distance=distance,
        view=view,
        x=rng.normal() * 0.8,
        y=rng.uniform(-3.4, -0.4) - 0.09 * (view - 36),
        lens=rng.uniform(0.05, 0.5),
    )


def random_capture(rng: Generator, light: Light, person: Person, family: str) -> Capture:
    """A camera that exposes and balances for the face, nearly right; from clean to cheap."""
    cheap = rng.random() ** 2
    dark_places = family in ("night street", "screen", "stage", "evening", "neon")
    return Capture(
        exposure=exposed(light, person) * float(np.exp(0.16 * rng.normal())),
        balance=cast_over(balanced(light, rng.uniform(0.35, 0.8) if dark_places else rng.uniform(0.4, 1.0)), rng),
        contrast=rng.uniform(0.92, 1.12),
        saturation=rng.uniform(0.85, 1.12),
        vignette=rng.uniform(0, 0.35) * (rng.random() < 0.6),
        aberration=rng.uniform(0, 0.003) * (rng.random() < 0.4),
        soft=cheap * rng.uniform(0, 1.1),
        noise=(0.004 + 0.035 * cheap) * rng.uniform(0.3, 1) * (1.6 if dark_places else 1.0),
        sharpen=rng.uniform(0, 0.6) * (rng.random() < 0.6),
        jpeg=int(rng.uniform(55, 97)) if rng.random() < 0.6 else 100,
    )


def exposed(light: Light, person: Person) -> float:
    """The exposure at which this skin in this light is well seen; darker skin stays darker, a little."""
    level = float(on_face(light) @ LUMINANCE) * (np.array(person.skin.color) @ LUMINANCE) ** 0.6
    return float((FACE_LEVEL / max(level, 0.02)) ** 0.85)


def balanced(light: Light, amount: Number) -> Color:
    """Gains that take away this share of the hue of the light on the face, and no luminance."""
    hue = on_face(light)
    gains = np.clip((hue / hue[1]) ** -amount, 0.45, 2.2)
    return triple(gains / (gains @ LUMINANCE))


def cast_over(gains: Color, rng: Generator) -> Color:
    """The gains of a camera that errs a little."""
    return triple(np.array(gains) * np.exp(0.03 * rng.normal(size=3)))


# ---- from shot to file -----------------------------------------------------------------------------------------------
def finish(shot: Shot, scene: Scene, frame: int = 0) -> Array:
    """The picture, uint8 [size, size, 3]; frames of one clip differ only in their noise."""
    picture = styled(shot, scene)
    if scene.style.cover > 0.5:  # paintings are reproduced well
        return to_bytes(picture)
    return compressed(to_bytes(sensed(picture, scene.capture, scene.seed, frame)), scene.capture.jpeg)


def styled(shot: Shot, scene: Scene) -> Array:
    """The developed picture in the scene's style, float32 display values."""
    capture, style = scene.capture, scene.style
    photograph = develop(shot, scene.backdrop, capture.exposure, capture.balance)
    if style.cover == 0:
        return photograph
    detail = attention(shot)
    if style.hand == "cel":
        behind, gains = backdrop(len(photograph), scene.backdrop), np.array(capture.balance, np.float32)
        drawn = cel(shot, behind, capture.exposure, gains, detail, style.brush)
    elif style.hand == "photograph":
        drawn = photograph
    else:
        drawn = FINISHES[style.hand](photograph, detail, scene.seed, style.brush)
    return (photograph + (drawn - photograph) * style.cover).astype(np.float32)


def sensed(picture: Array, capture: Capture, seed: int = 0, frame: int = 0) -> Array:
    """What the lens and the sensor add; a capture of defaults leaves the picture alone."""
    size = len(picture)
    scale = size / 256
    if capture.aberration:
        picture = fringed(picture, capture.aberration)
    picture = blurred(picture, capture.soft * scale)
    if capture.vignette:
        across = np.linspace(-1, 1, size, dtype=np.float32) ** 2
        picture = picture * (1 - capture.vignette * 0.5 * (across[None] + across[:, None]))[..., None]
    if capture.noise:
        rng = np.random.default_rng([seed, frame])
        grain = rng.standard_normal(picture.shape, np.float32)
        grain = 0.75 * blurred(grain, 0.5 * scale) * (scale if scale > 1 else 1) + 0.25 * grain
        picture = picture + capture.noise * grain * (1.35 - 0.8 * picture)  # darker parts are noisier
    if capture.sharpen:
        picture = picture + capture.sharpen * (picture - blurred(picture, 0.9 * scale))
    if capture.saturation != 1:
        grey = picture @ np.array([0.30, 0.59, 0.11], np.float32)
        picture = grey[..., None] + (picture - grey[..., None]) * capture.saturation
    if capture.contrast != 1:
        picture = 0.45 + (picture - 0.45) * capture.contrast
    return np.clip(picture, 0, 1).astype(np.float32)


def fringed(picture: Array, amount: Number) -> Array:
    """Red drawn a little larger and blue a little smaller than green, about the middle."""
    size, out = len(picture), picture.copy()
    for channel, sign in ((0, 1), (2, -1)):
        grown = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), 0, 1 + sign * amount)
        out[..., channel] = cv2.warpAffine(picture[..., channel], grown, (size, size), borderMode=cv2.BORDER_REFLECT)
    return out


def compressed(picture: Array, quality: int) -> Array:
    """The picture after it was kept as JPEG."""
    if quality >= 100:
        return picture
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]) if done else picture
