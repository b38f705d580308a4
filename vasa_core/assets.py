"""Where our own portraits, voices and weights lie: the folder `assets` beside the package."""

from __future__ import annotations

from pathlib import Path

from vasa_core.errors import MissingWeights

FOLDER = Path(__file__).resolve().parent.parent / "assets"


def weights(name: str) -> Path:
    """The path of one of our weight files."""
    path = FOLDER / "weights" / name
    if not path.is_file():
        raise MissingWeights(f"{path} is missing; get the whole repository again, weights included.")
    return path


def portraits() -> list[Path]:
    """Our own cast, in order of name."""
    return _all("portraits", (".png", ".jpg", ".webp"))


def voices() -> list[Path]:
    """Our own synthetic voices, in order of name."""
    return _all("voices", (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"))


def _all(kind: str, suffixes: tuple[str, ...]) -> list[Path]:
    found = sorted(path for path in (FOLDER / kind).glob("*") if path.suffix in suffixes)
    if not found:
        raise MissingWeights(f"{FOLDER / kind} is empty; get the whole repository again.")
    return found
