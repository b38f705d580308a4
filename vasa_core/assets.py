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
