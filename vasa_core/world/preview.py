"""The preview clip: performances on our own cast, rendered by the portrait engine, with their sound.

    python -m vasa_core.world preview --out out/preview.mp4

Two sitters at a time: one speaks or sings, the other listens. Then one sentence by three people, each in a way of its
own. The clip leaves through the one door, labelled as everything; the cast is ours, so nobody's consent is needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, exact_div
from vasa_core.latents import Motion
from vasa_core.pictures import load_picture
from vasa_core.portrait import Portrait, prepare
from vasa_core.render import render_frames
from vasa_core.surface import Surface, load_surface
from vasa_core.trust.consent import Grant, grant_for
from vasa_core.trust.house import House
from vasa_core.trust.release import Released, release_video
from vasa_core.world.listening import listen
from vasa_core.world.performer import Mood, Performance, Song, perform
from vasa_core.world.singing import sung
from vasa_core.world.sound_stage import in_room, music, room, under
from vasa_core.world.utterances import Utterance, with_silence
from vasa_core.world.voices import flite_utterance

SAMPLES_A_FRAME = exact_div(SAMPLE_RATE_HZ, FRAME_RATE_HZ)
Frame = UInt8[np.ndarray, "height width 3"]

STORY = (
    "Maybe Pam began paddling before the storm became a problem. "
    "But I can hardly believe that the children climbed the mountain alone."
)
VERSE = "Happy people keep on hoping, though the road is long and slow."
SENTENCE = "Peter, my mum pops balloons behind the big blue barn."


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is heard for a while, and who does what: names of sitters with their performances."""

    sound: Float[np.ndarray, " sample"]
    shown: tuple[tuple[str, Performance], ...]


def scenes(rng: np.random.Generator) -> list[Scene]:
    """A story and its listener, a song and its listener, and three ways of saying one sentence."""
    happy, moved = Mood(emotion="happy", intensity=0.35), Mood(emotion="happy", intensity=0.2, gaze=(0.10, 0.0))
    story = with_silence(flite_utterance(STORY, "slt", stretch=1.05), 0.6, 1.2)
    heard = story.sound.numpy()
    across = Mood(gaze=(-0.16, 0.0), emotion="happy", intensity=0.15)
    told = Scene(
        sound=heard,
        shown=(
            ("elena", perform(story.phones, heard, happy, rng)),
            ("jonas", listen(story.phones, heard, across, rng)),
        ),
    )
    verse, score = sung(flite_utterance(VERSE, "rms", stretch=0.95), rng)
    verse = with_silence(verse, 0.8, 0.8)
    song = Song(beat_s=score.beat_s, first_beat_s=0.8)
    voice = verse.sound.numpy()
    accompanied = under(in_room(voice, room(rng)), music(len(voice), rng), 8.0).astype(np.float32)
    performed = Scene(
        sound=0.9 * accompanied / np.abs(accompanied).max(),
        shown=(
            ("kofi", perform(verse.phones, voice, moved, rng, song)),
            ("mei", listen(verse.phones, voice, across, rng)),
        ),
    )
    return [told, performed, three_ways(rng)]


def three_ways(rng: np.random.Generator) -> Scene:
    """The same sentence by three people at once: neutral, surprised and angry."""
    said: Utterance = with_silence(flite_utterance(SENTENCE, "awb"), 0.5, 0.7)
    sound = said.sound.numpy()
    moods = (Mood(), Mood(emotion="surprised", intensity=0.7), Mood(emotion="angry", intensity=0.7))
    names = ("henry", "amara", "ravi")
    return Scene(
        sound=sound, shown=tuple((n, perform(said.phones, sound, m, rng)) for n, m in zip(names, moods, strict=True))
    )


class Stage:
    """Portraits made ready once, and leave to show them."""

    def __init__(self, size: int) -> None:
        self.house = House.at()
        self.surface: Surface = load_surface(assets.weights("surface.safetensors"))
        self.size = size
        self._portraits: dict[str, tuple[Portrait, Grant]] = {}

    def sitter(self, name: str) -> tuple[Portrait, Grant]:
        """The portrait of one of our cast, and the grant for it."""
        if name not in self._portraits:
            path = assets.FOLDER / "portraits" / f"{name}.png"
            picture = load_picture(path)
            self._portraits[name] = prepare(picture, self.surface), self._grant(picture, path)
        return self._portraits[name]

    def _grant(self, picture: Frame, path: Path) -> Grant:
        return grant_for(picture, path, "speak", registry=self.house.registry)

    def frames(self, scene: Scene, slots: int) -> Iterator[Frame]:
        """The scene's sitters side by side, in a picture that has room for so many."""
        films = [
            render_frames(self.sitter(name)[0], [self.motion(done)], self.surface, self.size)
            for name, done in scene.shown
        ]
        for pictures in zip(*films, strict=True):
            row = np.zeros((self.size, slots * self.size, 3), np.uint8)
            left = (slots - len(pictures)) * self.size // 2
            row[:, left : left + len(pictures) * self.size] = np.concatenate(pictures, axis=1)
            yield row

    def motion(self, done: Performance) -> Motion:
        """The performance as the engine moves portraits."""
        return done.motion(self.surface.dynamics_from_expression)


def frame_count(chosen: Sequence[Scene]) -> int:
    """Frames of all scenes."""
    return sum(len(scene.shown[0][1]) for scene in chosen)


def whole_sound(chosen: Sequence[Scene]) -> Float[np.ndarray, " sample"]:
    """All scenes' sounds one after the other, each filled up to its frames."""
    pieces = []
    for scene in chosen:
        samples = len(scene.shown[0][1]) * SAMPLES_A_FRAME
        pieces.append(np.pad(scene.sound, (0, samples - len(scene.sound))))
    return np.concatenate(pieces).astype(np.float32)


def preview(out: Path, size: int, seed: int) -> Released:
    """Renders the clip and lets it out."""
    chosen, stage = scenes(np.random.default_rng(seed)), Stage(size)
    slots = max(len(scene.shown) for scene in chosen)
    grants = [stage.sitter(name)[1] for scene in chosen for name, _ in scene.shown]
    torch.set_num_threads(1)
    frames = (frame for scene in chosen for frame in stage.frames(scene, slots))
    sound = whole_sound(chosen)
    with tqdm(total=frame_count(chosen), unit="frame", dynamic_ncols=True) as bar:
        return release_video(frames, sound, FRAME_RATE_HZ, out, grants[0], house=stage.house, progress=bar.update)


def run_preview(options: argparse.Namespace) -> None:
    """Makes the clip and says what became of it."""
    made = preview(options.out, options.size, options.seed)
    print(f"{made.path}: {made.duration_s:.1f} s, {made.frames} frames")


def add_preview(commands: argparse._SubParsersAction) -> None:
    """`preview` on the command line of the world."""
    shown = commands.add_parser("preview", help="a clip of performances with sound, on our own cast")
    shown.add_argument("--out", type=Path, default=Path("out/preview.mp4"))
    shown.add_argument("--size", type=int, default=384, help="pixels along the side of each portrait")
    shown.add_argument("--seed", type=int, default=0)
    shown.set_defaults(run=run_preview)
