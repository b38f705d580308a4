"""The bench at which motion is judged: models and judges loaded once, lines heard, motions made two at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.blinks import Blinker
from vasa_core.controls import Controls, constant
from vasa_core.evaluate import capp, sync
from vasa_core.evaluate.judges import Judges, load_judges
from vasa_core.evaluate.lines import Line
from vasa_core.latents import Motion
from vasa_core.motion import MotionTransformer, load_motion_model
from vasa_core.resting import Rest
from vasa_core.speech import SpeechEncoder, bilabial, clearness, load_speech_encoder, silence
from vasa_core.stream import generate_motion
from vasa_core.surface import Surface, load_surface
from vasa_core.world.measures import Clip, Track, clip_of, track_of


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A line with what the speech encoder hears of it."""

    line: Line
    features: Float[Tensor, "frame audio"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One motion for one line, and all that was found of it."""

    line: Line
    motion: Motion
    track: Track
    clip: Clip
    sync: sync.Sync
    capp: float


class Bench:
    """What is judged and what judges it, loaded once."""

    def __init__(self, judges: Judges | None = None) -> None:
        self.surface: Surface = load_surface(assets.weights("surface.safetensors"))
        self.encoder: SpeechEncoder = load_speech_encoder(assets.weights("speech.safetensors"))
        self.model: MotionTransformer = load_motion_model(assets.weights("motion.safetensors"))
        self.judges = judges or load_judges()
        self.pool = ThreadPoolExecutor(2)

    def heard(self, lines: Iterable[Line]) -> list[Heard]:
        """Every line through the speech encoder."""
        return [Heard(line=line, features=self.encoder.encode(line.sound)) for line in lines]

    def generated(self, features: Float[Tensor, "frame audio"], controls: Controls, seed: int) -> Motion:
        """The motion as the studio makes it, blinks included."""
        motion = generate_motion(features, controls, self.model, torch.Generator().manual_seed(seed))
        rested = Rest(self.surface, silence, bilabial, clearness).change([motion], [features])
        blinker = Blinker(self.surface, np.random.default_rng(seed))
        pieces = list(blinker.change(rested, constant(controls)))
        return Motion.unpacked(torch.cat([piece.packed() for piece in pieces]))

    def judged(self, line: Line, motion: Motion) -> Judged:
        """Everything that is measured on one clip without rendering it."""
        track = track_of(motion, self.surface)
        mel = sync.heard(line.sound, len(motion))
        lips = sync.lip_shapes(track)
        with torch.no_grad():
            found = sync.matched(
                self.judges.sync.hear(mel[None])[0],
                self.judges.sync.see(lips[None])[0],
            )
        return Judged(
            line=line,
            motion=motion,
            track=track,
            clip=clip_of(track, line.sound.numpy(), line.phones),
            sync=found,
            capp=capp.judged(self.judges.capp, mel, track.turns_deg),
        )

    def generated_ahead(self, jobs: Iterable[tuple[Tensor, Controls, int]]) -> Iterator[Motion]:
        """The motions of these (features, controls, seed) in order, made two at a time while others are looked at."""
        return self.pool.map(lambda job: self.generated(*job), list(jobs))

    def spoken(self, heard: Sequence[Heard], controls: Controls, seeds: Sequence[int], bar: tqdm) -> list[Judged]:
        """Each line in so many ways, seed by seed."""
        items = [(item, 1000 * seed + at) for seed in seeds for at, item in enumerate(heard)]
        motions = self.generated_ahead((item.features, controls, seed) for item, seed in items)
        found = []
        for (item, _), motion in zip(items, motions, strict=True):
            found.append(self.judged(item.line, motion))
            bar.update()
        return found


def with_words(clips: Iterable[Judged]) -> list[Judged]:
    """Those with a word in them."""
    return [clip for clip in clips if clip.line.spoken]
