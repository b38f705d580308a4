"""The lines that motion is judged by: sounds nobody trained on, their phones, and how they were performed.

`assets/judging/lines.npz` holds takes of synthetic voices and languages that neither the speech encoder, the motion
model nor the judges ever heard, each with two performances as truth: the first is compared with, the second says how
alike two true ones are. `python -m vasa_core.train.judges lines` makes the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.assets import FOLDER
from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import MissingWeights
from vasa_core.latents import MOTION, Motion
from vasa_core.world.performances import flac, unflac
from vasa_core.world.utterances import Phone

SHIPPED = FOLDER / "judging" / "lines.npz"

SITTERS = ("mei", "kofi", "ruth", "clara")
"""Of our cast, those on whom motion is judged; no judge was trained on them. The last is painted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One take: what is heard, which phones it says when, and true ways of saying it (plain mood)."""

    sound: Float[Tensor, " sample"]
    phones: tuple[Phone, ...]
    speaker: str
    language: str
    truths: tuple[Motion, ...]

    @property
    def seconds(self) -> float:
        return len(self.sound) / SAMPLE_RATE_HZ

    @property
    def spoken(self) -> bool:
        """Whether there is a word in it."""
        return any(phone.label != "SIL" for phone in self.phones)

    def said(self, count: int, rate_hz: float) -> list[str]:
        """The phone in the middle of each of the first `count` moments; the last one goes on."""
        ends_s = [phone.end_s for phone in self.phones]
        places = np.searchsorted(ends_s, (np.arange(count) + 0.5) / rate_hz, side="right")
        return [self.phones[min(place, len(ends_s) - 1)].label for place in places.tolist()]


def write_lines(lines: Sequence[Line], path: Path) -> None:
    """All lines in one file; sounds as FLAC, motion in half precision."""
    arrays: dict[str, np.ndarray] = {}
    for at, line in enumerate(lines):
        told = {"speaker": line.speaker, "language": line.language, "phones": [asdict(p) for p in line.phones]}
        arrays[f"{at:03d}.told"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
        arrays[f"{at:03d}.sound"] = np.frombuffer(flac(line.sound), np.uint8)
        arrays[f"{at:03d}.truths"] = torch.stack([t.packed() for t in line.truths]).numpy().astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def read_lines(path: Path = SHIPPED) -> list[Line]:
    """The lines of a file, or MissingWeights when it is absent."""
    if not path.is_file():
        raise MissingWeights(f"{path} is missing: run python -m vasa_core.train.judges lines.")
    with np.load(path) as stored:
        names = sorted({name.split(".")[0] for name in stored.files})
        return [_line(*(stored[f"{name}.{part}"] for part in ("told", "sound", "truths"))) for name in names]


def _line(told: np.ndarray, sound: np.ndarray, truths: np.ndarray) -> Line:
    words = json.loads(told.tobytes())
    motions = torch.from_numpy(truths.astype(np.float32))
    assert motions.shape[-1] == MOTION
    return Line(
        sound=unflac(sound.tobytes()),
        phones=tuple(Phone(**phone) for phone in words["phones"]),
        speaker=words["speaker"],
        language=words["language"],
        truths=tuple(Motion.unpacked(motion) for motion in motions),
    )
