"""Training material of the motion transformer: takes of 10 to 20 s of speech and pauses, each performed several times.

One take is what one speaker says with pauses between, sometimes noisy, sometimes nothing but silence. Its features are
heard once; its performances differ in style, mood and chance. Motion here is packed as in `latents`, with z counted
from the distance asked for, as the transformer sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import EMOTIONS
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import MOTION
from vasa_core.motion import TRANSLATION_Z, Conditions
from vasa_core.speech import SpeechEncoder
from vasa_core.surface import Surface
from vasa_core.wav2vec import Wav2VecEncoder
from vasa_core.world import scripts as world_scripts
from vasa_core.world.performer import Mood, Performance
from vasa_core.world.scripts import Script, random_mood


@dataclass(frozen=True, kw_only=True)
class Takes:
    """Many performances end to end. Performance p is frames [starts[p], starts[p] + lengths[p]) of `motion`."""

    features: Float[Tensor, "heard audio"]
    motion: Float[Tensor, "frame motion=56"]
    starts: Int[Tensor, " performance"]
    lengths: Int[Tensor, " performance"]
    feature_starts: Int[Tensor, " performance"]
    gaze: Float[Tensor, "performance 2"]
    head_distance: Float[Tensor, " performance"]
    emotion: Float[Tensor, "performance emotions=8"]
    listening: Float[Tensor, " performance"]

    def hours(self) -> float:
        return float(self.lengths.sum()) / FRAME_RATE_HZ / 3600


def packed(
    performance: Performance, dynamics_from_expression: Float[np.ndarray, "expression=48 weights=57"]
) -> Float[Tensor, "frame motion=56"]:
    """Head pose, expression code, gaze; z counted from the distance asked for."""
    motion = performance.motion(dynamics_from_expression).packed()
    motion[:, TRANSLATION_Z] += (performance.mood.head_distance - 1) * CAMERA_DISTANCE_CM
    return motion


def emotion_vector(mood: Mood) -> list[float]:
    """As `Controls.emotion_vector`: intensity at the emotion's place."""
    return [mood.intensity * (name == mood.emotion and name != "neutral") for name in EMOTIONS]


def heard(scripts: Sequence[Script], encoder: SpeechEncoder | Wav2VecEncoder) -> dict[str, Tensor]:
    """What the encoder hears of each script, end to end, and where each script begins."""
    features = [encoder.encode(script.sound).half() for script in scripts]
    counts = torch.tensor([len(audio) for audio in features])
    return {"features": torch.cat(features), "script_starts": counts.cumsum(0) - counts}


def performed(scripts: Sequence[Script], surface: Surface, ways: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Every script performed in so many ways, end to end; `script` says which one each performance says."""
    motions, moods = [], []
    for script in scripts:
        for _ in range(ways):
            moods.append(random_mood(rng))
            done = world_scripts.performed(script, moods[-1], rng)
            motions.append(packed(done, surface.dynamics_from_expression).half())
    lengths = torch.tensor([len(motion) for motion in motions])
    return {
        "motion": torch.cat(motions),
        "starts": lengths.cumsum(0) - lengths,
        "lengths": lengths,
        "script": torch.arange(len(scripts)).repeat_interleave(ways),
        "gaze": torch.tensor([mood.gaze for mood in moods]),
        "head_distance": torch.tensor([mood.head_distance for mood in moods]),
        "emotion": torch.tensor([emotion_vector(mood) for mood in moods]),
        "listening": torch.tensor([float(bool(script.other)) for script in scripts]).repeat_interleave(ways),
    }


def made_takes(sounds: dict[str, Tensor], performances: dict[str, Tensor]) -> Takes:
    """Sounds and performances of the same scripts put together."""
    rest = {name: value for name, value in performances.items() if name != "script"}
    starts = sounds["script_starts"][performances["script"]]
    return Takes(features=sounds["features"], feature_starts=starts, **rest)


def cached(path: Path, key: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What this file holds if it was made under the same key, else made now and stored."""
    if path.is_file():
        stored = torch.load(path, weights_only=True)
        if stored.pop("key") == key:
            return stored
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"key": key, **made}, path)
    return made


def fingerprint(*paths: Path) -> str:
    """Changes when one of the files does."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def random_windows(
    takes: Takes, batch: int, window: int, past: int, generator: torch.Generator
) -> tuple[Float[Tensor, "batch window motion=56"], Conditions]:
    """Clean motion windows at random places with their full conditions; one in ten begins its performance.

    Before the first frame lie the portrait at rest and the first moment's sound, as at run time; beyond the last frame
    nothing is heard and the last pose is held.
    """
    which = torch.randint(len(takes.lengths), (batch,), generator=generator)
    length = takes.lengths[which]
    first = (torch.rand(batch, generator=generator) * (length - 12).clamp(min=1)).long()
    first[torch.rand(batch, generator=generator) < 0.1] = 0
    frame = first[:, None] + torch.arange(-past, window)  # [batch, past+window]
    inside = torch.minimum(frame.clamp(min=0), length[:, None] - 1)
    motion = takes.motion[takes.starts[which, None] + inside].float()
    motion[frame < 0] = 0
    audio = takes.features[takes.feature_starts[which, None] + inside].float()
    assert motion.shape[-1] == MOTION
    conditions = Conditions(
        audio=audio[:, past:],
        heard=frame[:, past:] < length[:, None],
        past_audio=audio[:, :past],
        past_motion=motion[:, :past],
        gaze=takes.gaze[which, None].expand(-1, window, -1),
        head_distance=takes.head_distance[which, None].expand(-1, window),
        emotion=takes.emotion[which, None].expand(-1, window, -1),
        listening=takes.listening[which, None].expand(-1, window),
        present=torch.ones(batch, 5, dtype=torch.bool),
    )
    return motion[:, past:], conditions
