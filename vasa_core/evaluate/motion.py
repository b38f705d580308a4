"""How good the motion is: `vasa evaluate motion`, judged on voices and languages that nobody was trained on.

Every figure is computed in that run, with its bootstrap interval over clips, the truth's own score (the same sounds
performed by `world.performer`) and, where there is one, the paper's number, which came from other judges, people and
pictures and is for orientation only. The truth is synthetic: a generator as good as it is still no better than it.
Sounds: `lines`; judges: `sync`, `capp`, `emotion`; rendered frames are the engine's own, on sitters no judge knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.controls import Controls
from vasa_core.evaluate.asking import controls, mood_dial, moods, on_screen
from vasa_core.evaluate.dials import speed, sweeps, ten_steps
from vasa_core.evaluate.findings import Findings, merged
from vasa_core.evaluate.judging import Bench
from vasa_core.evaluate.lines import SITTERS, Line, read_lines
from vasa_core.evaluate.seen import Mesh, Stage
from vasa_core.evaluate.speaking import eyes, head, life, lips, pose_judge
from vasa_core.matting import load_matting
from vasa_core.pictures import load_picture
from vasa_core.pixel_codes import load_pixel_encoder
from vasa_core.portrait import prepare
from vasa_core.relief import load_relief
from vasa_core.studio import one_thread
from vasa_core.surface import Surface
from vasa_core.world.performer import Mood, perform
from vasa_core.world.scripts import scripts_from
from vasa_core.world.utterances import load_utterances

QUICK_SITTERS = 2
SEEDS = (0, 1)
"""Ways in which each line is generated; the paper takes three samples."""

EVERY = 2
"""One line in so many is rendered as a whole, and walked through all dials: both take long."""

PEOPLE_TAKES = 12


def measure(quick: bool, people: Path | None = None, progress: bool = True) -> Findings:
    """All figures; `people` is a folder of recorded utterances, judged apart from the shipped lines."""
    with one_thread(), tqdm(disable=not progress, unit="clip", dynamic_ncols=True) as bar, Mesh() as mesh:
        bench = Bench()
        heard = bench.heard(read_lines())
        findings = [speed(bench, heard[0])]
        bar.set_description("spoken")
        ours = bench.spoken(heard, Controls(), SEEDS[:1] if quick else SEEDS, bar)
        truths = [[bench.judged(item.line, item.line.truths[way]) for item in heard] for way in (0, 1)]
        findings += [lips(ours, truths[0]), head(ours, truths[0]), eyes(ours, truths[0]), life(ours, truths)]
        bar.set_description("rendered")
        stages = [stage_of(name, bench, mesh) for name in (SITTERS[:QUICK_SITTERS] if quick else SITTERS)]
        spoken = [item for item in heard if item.line.spoken]
        findings.append(controls(bench, spoken, stages, truths=not quick, bar=bar))
        findings.append(moods(bench, spoken, stages, truths=not quick, bar=bar))
        if not quick:
            findings.append(pose_judge(bench, ours, truths[0]))
            findings.append(mood_dial(bench, spoken, stages[:QUICK_SITTERS], bar))
            findings.append(on_screen(bench, ours[: len(heard) : EVERY], truths[0][::EVERY], stages, bar))
            bar.set_description("dials")
            findings.append(ten_steps(bench, heard, ours, truths[0], SEEDS, bar))
            findings.append(sweeps(bench, heard[::EVERY], bar))
        if people is not None:
            bar.set_description("people")
            findings.append(recorded(bench, people_lines(people, bench.surface), () if quick else stages, bar))
    return merged(findings)


def stage_of(name: str, bench: Bench, mesh: Mesh) -> Stage:
    """One of our sitters before the camera, looked at through known looks first."""
    pixels = load_pixel_encoder(assets.weights("pixels.safetensors"), bench.surface)
    relief = load_relief(assets.weights("relief.safetensors"))
    matting = load_matting(assets.weights("matting.safetensors"))
    picture = load_picture(assets.FOLDER / "portraits" / f"{name}.png")
    portrait = prepare(picture, bench.surface, pixels, relief, matting)
    return Stage(portrait, bench.surface, mesh, bench.judges.gaze)


def people_lines(folder: Path, surface: Surface, seed: int = 5) -> list[Line]:
    """Takes of recorded people whom neither speech encoder nor judges know; the motion model may have met them."""
    from vasa_core.train.judges import held_out_people
    from vasa_core.train.speech import split

    known = {utterance.speaker for utterance in held_out_people(folder)}
    strangers = [u for u in split(load_utterances(folder))["real speakers"] if u.speaker not in known]
    rng, lines = np.random.default_rng(seed), []
    for script in scripts_from(strangers, rng):
        if script.language != "none":
            truths = tuple(
                perform(script.phones, script.sound.numpy(), Mood(), rng).motion(surface.dynamics_from_expression)
                for _ in range(2)
            )
            lines.append(Line(sound=script.sound, phones=script.phones, speaker=script.speaker,
                              language=script.language, truths=truths))  # fmt: skip
    return [lines[at] for at in sorted(rng.permutation(len(lines))[:PEOPLE_TAKES])]


def recorded(bench: Bench, lines: Sequence[Line], stages: Sequence[Stage], bar: tqdm) -> Findings:
    """The figures of lips and head for recordings of people; with sitters those of lips on frames as well."""
    heard = bench.heard(lines)
    ours = bench.spoken(heard, Controls(), SEEDS[:1], bar)
    truths = [bench.judged(item.line, item.line.truths[0]) for item in heard]
    parts = [lips(ours, truths), head(ours, truths)]
    parts += [on_screen(bench, ours[::EVERY], truths[::EVERY], stages, bar)] if stages else []
    found = [figure for part in parts for figure in part.figures]
    return Findings(figures=[replace(f, name=f"people_{f.name}", what=f"people: {f.what}") for f in found])
