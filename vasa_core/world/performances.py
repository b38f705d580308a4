"""Performances at scale: hours of timed speech with all that a face and head do, as shards.

    python -m vasa_core.world perform --hours 2 --out runs/performances --seed 0

A take lasts 15 s; its files share a key, for instance 0000123:

    0000123.sound.flac   what is heard, 16 kHz mono
    0000123.curves.npz   25 frames a second: expression (57 weights), gaze (rad), head_pose (rad, cm), tongue
    0000123.json         phones with times, the other's phones if the take is listened to, mood, speaker, language, song

Everything follows from the seed, the utterances and the number of the take, on any machine and in any order.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import BadInput, BadOption
from vasa_core.world import batch, shards
from vasa_core.world.performer import EXPRESSION_NAMES, Mood, Performance
from vasa_core.world.scripts import TAKE_LENGTH_S, Script, numbered_script, performed, random_mood
from vasa_core.world.sound_stage import staged
from vasa_core.world.utterances import Utterance, read_shard

FILES_A_SHARD = 8  # of utterances: enough variety for a shard, little to load
CURVES = ("expression", "gaze", "head_pose", "tongue")


@dataclass(frozen=True, kw_only=True)
class Take:
    """One take as it is read back: what is heard and what the performer does."""

    key: str
    sound: Float[Tensor, " sample"]
    script: Script
    performance: Performance


@dataclass(frozen=True, kw_only=True)
class PerformWork:
    """A data set of takes as work for `batch.run`."""

    folder: Path
    library: Path
    seed: int
    takes: int
    per_shard: int = 240  # one hour
    spoiled: float = 0.6
    """Share of takes heard through a room, noise, music or a codec."""
    code: str = field(default_factory=batch.source_hash)
    unit: str = "take"

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The utterances' files."""
        names = tuple(sorted(path.name for path in self.library.glob("*.npz")))
        if not names:
            where = self.library
            raise BadInput(f"There are no utterances in {where}: run python -m vasa_core.world.voices --out {where}.")
        return names

    def settings(self) -> dict[str, Any]:
        """What decides the bytes."""
        sizes = [(name, (self.library / name).stat().st_size) for name in self.files]
        library = hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:12]
        return {"seed": self.seed, "takes": self.takes, "per_shard": self.per_shard, "spoiled": self.spoiled,
                "library": library, "code": self.code}  # fmt: skip

    def about(self) -> dict[str, Any]:
        """What the manifest says beside the settings."""
        return {
            "kind": "performances",
            "expression_names": list(EXPRESSION_NAMES),
            "take_s": TAKE_LENGTH_S,
            "numpy": np.__version__,
        }

    def count(self) -> int:
        """Shards in all."""
        return -(-self.takes // self.per_shard)

    def groups(self, shard: int) -> range:
        """The takes of a shard."""
        return range(shard * self.per_shard, min(self.takes, (shard + 1) * self.per_shard))

    def amount(self, shard: int) -> int:
        """How many takes a shard holds."""
        return len(self.groups(shard))

    def make(self, shard: int, tick: batch.Tick) -> Iterator[shards.Files]:
        """The files of each take of a shard."""
        rng = np.random.default_rng([self.seed, shard, 0])
        chosen = rng.choice(self.files, size=min(FILES_A_SHARD, len(self.files)), replace=False)
        utterances = [utterance for name in sorted(chosen) for utterance in read_shard(self.library / name)]
        for number in self.groups(shard):
            yield take_files(f"{number:07d}", utterances, np.random.default_rng([self.seed, number, 1]), self.spoiled)
            tick(1)


def take_files(key: str, utterances: Sequence[Utterance], rng: np.random.Generator, spoiled: float) -> shards.Files:
    """One take: drawn, performed, heard through something now and then, and packed."""
    script, mood = numbered_script(utterances, rng), random_mood(rng)
    performance = performed(script, mood, rng)
    heard = script.sound
    if rng.random() < spoiled:
        clean = Utterance(sound=heard, phones=script.phones, speaker="", language="", source="")
        heard = staged(clean, utterances, rng).sound
    told = {
        "phones": [(p.label, round(p.start_s, 4), round(p.end_s, 4)) for p in script.phones],
        "other": [(p.label, round(p.start_s, 4), round(p.end_s, 4)) for p in script.other],
        "mood": asdict(mood),
        "speaker": script.speaker,
        "language": script.language,
        "song": asdict(script.song) if script.song else None,
    }
    curves = {name: getattr(performance, name) for name in CURVES}
    return [
        (f"{key}.sound.flac", flac(heard)),
        (f"{key}.curves.npz", shards.npz(curves)),
        (f"{key}.json", json.dumps(told, ensure_ascii=False).encode()),
    ]


def flac(sound: Float[Tensor, " sample"]) -> bytes:
    """The sound as 16-bit FLAC."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=SAMPLE_RATE_HZ, layout="mono")
        pcm = (sound.clamp(-1, 1) * 32767).round().to(torch.int16).numpy()[None]
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ, frame_size=4096)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


def unflac(data: bytes) -> Float[Tensor, " sample"]:
    """The sound in those bytes."""
    with av.open(io.BytesIO(data), mode="r") as file:
        pcm = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    return torch.from_numpy(pcm.astype(np.float32) / 32767)


def read_takes(path: Path, check: bool = False) -> Iterator[Take]:
    """The takes of a shard, one after the other; `check` compares the checksum first."""
    if check:
        shards.check_shard(path)
    for key, files in shards.read_samples(path):
        told = json.loads(files["json"])
        curves = np.load(io.BytesIO(files["curves.npz"]), allow_pickle=False)
        mood = Mood(**{**told["mood"], "gaze": tuple(told["mood"]["gaze"])})
        sound = unflac(files["sound.flac"])
        script = Script.told(sound, told)
        performance = Performance(mood=mood, **{name: curves[name] for name in CURVES})
        yield Take(key=key, sound=sound, script=script, performance=performance)


# --------------------------------------------------------------------------- command line


def run_perform(options: argparse.Namespace) -> None:
    """Makes what is missing of these hours, and says how fast."""
    if not options.hours > 0:
        raise BadOption(f"{options.hours} hours are nothing to perform: give for instance --hours 2.")
    takes = int(np.ceil(options.hours * 3600 / TAKE_LENGTH_S))
    work = PerformWork(folder=options.out, library=options.utterances, seed=options.seed, takes=takes)
    done = batch.run(work, batch.shard_range(options.shards, work.count()), options.workers)
    hours = done.units * TAKE_LENGTH_S / 3600
    print(
        f"{options.out}: {done.made} shards made, {done.kept} kept; {hours:.2f} hours in {done.seconds:.0f} s, "
        f"{done.rate * TAKE_LENGTH_S:.0f} times real time with {options.workers} processes"
    )


def add_perform(commands: argparse._SubParsersAction) -> None:
    """`perform` on the command line of the world."""
    perform = commands.add_parser("perform", help="perform hours of speech: faces and heads with sound, as shards")
    perform.add_argument("--hours", type=float, default=1.0, help="hours of takes, 240 an hour")
    perform.add_argument("--out", type=Path, required=True, help="folder of the shards")
    perform.add_argument("--utterances", type=Path, default=Path("runs/world/utterances"), help="what is said")
    perform.add_argument("--seed", type=int, default=0)
    perform.add_argument("--shards", default=":", metavar="A:B", help="only these shards: so machines share the work")
    perform.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    perform.set_defaults(run=run_perform)
