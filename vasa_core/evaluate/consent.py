"""How well consent is checked: `vasa evaluate consent`.

Copies of a photo are told from other photos: every portrait of ours, and those in a folder if one is given, is cropped,
made smaller and encoded anew, and matched with itself and with all others. Words said are told from other words:
phrases by espeak-ng and flite, in quiet and in noise. How well faces are told apart from frame to frame is measured by
train/likeness.py, which renders them.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.audio import load_sound
from vasa_core.errors import BadPortrait
from vasa_core.pictures import load_picture
from vasa_core.trust import phrase
from vasa_core.trust.likeness import Likeness, geometry_distance, hash_distance, likeness, same_photo

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
ESPEAK = ("en-us", "en-gb", "en-gb-scotland", "en-029", "en-us+f2", "en-us+f4", "en-us+m3", "en-gb+f3")
FLITE = ("kal16", "awb", "rms", "slt")
NOISES_DB = (None, 20.0, 10.0)
OTHER_PHRASES = 200

Picture = UInt8[np.ndarray, "height width 3"]


def measure(quick: bool, folder: Path | None = None, progress: bool = True) -> dict[str, float]:
    """Every figure by its name; what cannot be measured here (no voice installed) is left out."""
    paths = assets.portraits() + sorted(p for p in (folder.iterdir() if folder else ()) if p.suffix.lower() in SUFFIXES)
    return photos(paths[:4] if quick else paths, quick, progress) | words(1 if quick else 3, progress)


def report(figures: dict[str, float]) -> str:
    """The figures as a table."""
    return "\n".join(f"{name:<34}{value:12.4g}" for name, value in figures.items())


# ---- photos -------------------------------------------------------------------------------------------------------


def photos(paths: list[Path], quick: bool, progress: bool) -> dict[str, float]:
    """Error rates of `same_photo`, and the distances next to its thresholds."""
    seen: list[tuple[int, Likeness]] = []
    for number, path in enumerate(tqdm(paths, unit="photo", disable=not progress, leave=False)):
        for copy in copies(load_picture(path), quick):
            try:
                seen.append((number, likeness(copy)))
            except BadPortrait:  # a small face made smaller is refused as a portrait, whatever was agreed to
                continue
    pairs = list(combinations(seen, 2))
    same = [(a, b) for (i, a), (k, b) in pairs if i == k]
    other = [(a, b) for (i, a), (k, b) in pairs if i != k]
    return {
        "photo_copies": len(same),
        "photo_false_reject": float(np.mean([not same_photo(*pair) for pair in same])),
        "photo_same_hash_max": max(hash_distance(*pair) for pair in same),
        "photo_same_geometry_max": max(geometry_distance(a.geometry, b.geometry) for a, b in same),
        "photo_others": len(other),
        "photo_false_accept": float(np.mean([same_photo(*pair) for pair in other])),
        "photo_other_hash_min": min(hash_distance(*pair) for pair in other),
        "photo_other_geometry_min": min(geometry_distance(a.geometry, b.geometry) for a, b in other),
    }


def copies(picture: Picture, quick: bool) -> Iterator[Picture]:
    """The picture, then what people do to pictures."""
    image, rng = Image.fromarray(picture), random.Random(1)
    yield picture
    for quality in (60, 30):
        yield _encoded(image, ".jpg", quality)
    cut = [share * rng.uniform(0.5, 1.0) for share in (0.15, 0.12, 0.15, 0.15)]
    cropped = image.crop((
        round(cut[0] * image.width), round(cut[1] * image.height),
        round((1 - cut[2]) * image.width), round((1 - cut[3]) * image.height),
    ))  # fmt: skip
    yield _encoded(_scaled(cropped, 0.6), ".jpg", 50)
    if not quick:
        yield np.asarray(cropped)
        yield np.asarray(_scaled(image, 0.75))
        yield np.asarray(_scaled(image, 0.5))
        yield _encoded(_scaled(image, 0.8), ".webp", 40)


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, suffix: str, quality: int) -> Picture:
    """The picture as it comes out of a lossy file, made in memory."""
    option = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}[suffix]
    _, file = cv2.imencode(suffix, cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR), (option, quality))
    return cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


# ---- words --------------------------------------------------------------------------------------------------------


def words(rounds: int, progress: bool) -> dict[str, float]:
    """How often a phrase said is heard, by noise, and how often another phrase passes for it."""
    rng, noise = random.Random(5), np.random.default_rng(5)
    voices = [*(ESPEAK if shutil.which("espeak-ng") else ()), *(FLITE if shutil.which("flite") else ())]
    passed: dict[float | None, list[bool]] = {level: [] for level in NOISES_DB}
    wrongly: list[bool] = []
    for voice in tqdm(voices * rounds, unit="voice", disable=not progress, leave=False):
        asked = phrase.draw(rng)
        sound = _said(asked, voice)
        for level, answers in passed.items():
            said = phrase.heard(_in_noise(sound, level, noise))
            answers.append(phrase.passes(phrase.matching(asked, said), len(said)))
            others = (phrase.matching(phrase.draw(rng), said) for _ in range(OTHER_PHRASES))
            wrongly += [phrase.passes(matched, len(said)) for matched in others]
    if not voices:
        return {}
    names = {None: "quiet", 20.0: "20_db", 10.0: "10_db"}
    hits = {f"phrase_heard_{names[level]}": float(np.mean(answers)) for level, answers in passed.items()}
    return hits | {"phrase_trials": len(wrongly), "phrase_false_alarm": float(np.mean(wrongly))}


def _said(text: str, voice: str) -> Float[np.ndarray, " sample"]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        flite = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
        espeak = ["espeak-ng", "-v", voice, "-s", "145", "-w", str(path), text]
        subprocess.run(flite if voice in FLITE else espeak, check=True, capture_output=True)
        sound = load_sound(path).numpy()
    return np.concatenate([np.zeros(6_000, np.float32), sound, np.zeros(8_000, np.float32)])


def _in_noise(sound: np.ndarray, level_db: float | None, rng: np.random.Generator) -> np.ndarray:
    """The voice in the murmur of a room, this many decibels below it."""
    if level_db is None:
        return sound
    white = rng.normal(size=len(sound))
    murmur = white + 0.02 * np.cumsum(white)
    return (sound + murmur / murmur.std() * sound.std() * 10 ** (-level_db / 20)).astype(np.float32)
