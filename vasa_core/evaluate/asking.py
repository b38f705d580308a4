"""What is asked of a motion and seen in its frames: gaze, distance, moods and their strength, lips on the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import EMOTIONS, Controls
from vasa_core.evaluate import emotion
from vasa_core.evaluate.figures import angle_deg, closures, estimated, main_gaze, ratio_of_means
from vasa_core.evaluate.findings import Figure, Findings, mean_figure, point, share_figure
from vasa_core.evaluate.judging import Bench, Heard, Judged, with_words
from vasa_core.evaluate.seen import Sighting, Stage
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import Motion
from vasa_core.motion import TRANSLATION_Z
from vasa_core.world.performer import Mood, perform

GAZES_DEG = ((0.0, 0.0), (15.0, 0.0), (-15.0, 0.0), (0.0, 8.0), (0.0, -8.0), (22.0, -8.0))
DISTANCES = (1.0, 0.85, 1.2, 1.0, 1.1, 1.35)
"""Asked together with the gazes, one clip each."""

INTENSITIES = (0.25, 0.5, 0.75, 1.0)
CLIP_FRAMES = 92  # of a clip with a wish: two windows
LOOKS = 8  # frames of it that are rendered


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One clip to be made and looked at: what is said, under which controls, on whom."""

    item: Heard
    controls: Controls
    stage: Stage
    seed: int

    @property
    def frames(self) -> int:
        """Length of the clip."""
        return min(CLIP_FRAMES, len(self.item.features))


def seen_of(bench: Bench, wishes: Sequence[Wish], truth: bool, bar: tqdm) -> Iterator[tuple[Wish, Sighting]]:
    """Each wish with what is seen of it, generated, or performed by the training world for comparison."""
    jobs = [(wish.item.features[: wish.frames], wish.controls, wish.seed) for wish in wishes]
    motions = (performance(bench, wish) for wish in wishes) if truth else bench.generated_ahead(jobs)
    for wish, motion in zip(wishes, motions, strict=True):
        which = np.linspace(FRAME_RATE_HZ, wish.frames - 1, LOOKS).round().astype(int)
        seen = wish.stage.watched(motion, which.tolist())
        bar.update()
        if seen.frames:  # a clip without a face cannot be judged by its frames
            yield wish, seen


def performance(bench: Bench, wish: Wish) -> Motion:
    """The same wish as the training world performs it."""
    controls, line = wish.controls, wish.item.line
    mood = Mood(
        gaze=(float(controls.gaze[0]), float(controls.gaze[1])),
        head_distance=float(controls.head_distance),
        emotion=controls.emotion,
        intensity=float(controls.emotion_intensity) * (controls.emotion != "neutral"),
    )
    done = perform(line.phones, line.sound.numpy(), mood, np.random.default_rng(wish.seed))
    return done.motion(bench.surface.dynamics_from_expression)[: wish.frames]


def controls(bench: Bench, spoken: Sequence[Heard], stages: Sequence[Stage], truths: bool, bar: tqdm) -> Findings:
    """E_g and E_d: what was asked for against what is read off the frames."""
    wishes = []
    for at, (gaze_deg, distance) in enumerate(zip(GAZES_DEG, DISTANCES, strict=True)):
        for number, stage in enumerate(stages if truths else stages[at % len(stages) :][:1]):
            wish = Controls(gaze=radians(gaze_deg), head_distance=distance)
            item = spoken[(at + number) % len(spoken)]
            wishes.append(Wish(item=item, controls=wish, stage=stage, seed=100 * number + at))
    found = {truth: [_control(bench, *pair) for pair in seen_of(bench, wishes, truth, bar)]
             for truth in ((False, True) if truths else (False,))}  # fmt: skip
    figures = []
    for at, name, what, high, bar_, paper in (
        (0, "gaze_error_deg", "E_g: asked gaze against frames, degrees", 4.0, "≤ 4", "5.25"),
        (1, "distance_error", "E_d: asked distance against frames", 0.005, "≤ 0.005", "0.005"),
    ):
        ours, *truth_ = (estimated([row[at] for row in rows]) for rows in found.values())
        figures.append(Figure(name=name, what=what, ours=ours, truth=truth_[0] if truth_ else None, high=high,
                              bar=bar_, paper=paper))  # fmt: skip
    return Findings(figures=figures, curves={"controls": [row[2:] for row in found[False]]})


def radians(degrees: tuple[float, float]) -> tuple[float, float]:
    """Two angles in rad."""
    return float(np.deg2rad(degrees[0])), float(np.deg2rad(degrees[1]))


def _control(bench: Bench, wish: Wish, seen: Sighting) -> list[float]:
    """Angle between asked and main gaze (degrees), error of the mean distance, then asked and seen for the plot."""
    awake = seen.lids > emotion.OPEN_LIDS
    looks = seen.gaze(wish.stage.reading or bench.judges.gaze)
    looked = main_gaze(looks[awake] if awake.any() else looks)
    asked, distance = np.array(wish.controls.gaze, float), float(wish.controls.head_distance)
    ratio = 1 - float(seen.head_pose[:, TRANSLATION_Z].mean()) / CAMERA_DISTANCE_CM
    return [angle_deg(looked, asked), abs(ratio - distance), *np.rad2deg(asked), *np.rad2deg(looked), distance, ratio]


def moods(bench: Bench, spoken: Sequence[Heard], stages: Sequence[Stage], truths: bool, bar: tqdm) -> Findings:
    """Each mood at full strength on each sitter, named by the judge from the frames."""
    wishes = [
        Wish(item=spoken[(3 * number + at) % len(spoken)], stage=stage, seed=50 * number + at,
             controls=Controls(emotion=name, emotion_intensity=1.0))
        for number, stage in enumerate(stages)
        for at, name in enumerate(EMOTIONS)
    ]  # fmt: skip
    named = {truth: [_named(bench, *pair) for pair in seen_of(bench, wishes, truth, bar)]
             for truth in ((False, True) if truths else (False,))}  # fmt: skip
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), int)
    for asked, found in named[False]:
        confusion[asked, found] += 1
    ours, *truth_ = (estimated([float(asked == found) for asked, found in rows]) for rows in named.values())
    figure = Figure(name="emotion_accuracy", what="moods recognised on rendered frames, eight at full intensity",
                    ours=ours, truth=truth_[0] if truth_ else None, low=0.9, bar="≥ 90 %")  # fmt: skip
    return Findings(figures=[figure], confusion=confusion.tolist())


def _named(bench: Bench, wish: Wish, seen: Sighting) -> tuple[int, int]:
    """The mood asked for and the mood the judge sees, by number."""
    found = int(emotion.judged(bench.judges.emotion, emotion.signs_of(seen)).argmax())
    return EMOTIONS.index(wish.controls.emotion), found


def mood_dial(bench: Bench, spoken: Sequence[Heard], stages: Sequence[Stage], bar: tqdm) -> Findings:
    """How strongly the judge sees a mood as its dial is turned up; monotone when each step shows more."""
    wishes = [
        Wish(item=spoken[(at + number) % len(spoken)], stage=stage, seed=at + 10 * number,
             controls=Controls(emotion=name, emotion_intensity=intensity))
        for at, name in enumerate(EMOTIONS[1:])
        for intensity in INTENSITIES
        for number, stage in enumerate(stages)
    ]  # fmt: skip
    seen: dict[tuple[str, float], list[float]] = {}
    for wish, sighting in seen_of(bench, wishes, False, bar):
        name, intensity = wish.controls.emotion, float(wish.controls.emotion_intensity)
        strength = emotion.strength(bench.judges.emotion, emotion.signs_of(sighting), name)
        seen.setdefault((name, intensity), []).append(strength)
    curves = np.array([[np.mean(seen.get((name, at), [np.nan])) for at in INTENSITIES] for name in EMOTIONS[1:]])
    figure = Figure(name="emotion_dial", what="steps of the mood's dial (¼ ½ ¾ 1) that show more of it",
                    ours=estimated((np.diff(curves) > 0).mean(1).tolist()), low=1.0, bar="1")  # fmt: skip
    return Findings(figures=[figure], curves={"emotion_dial": curves.tolist()})


def on_screen(
    bench: Bench, ours: Sequence[Judged], truths: Sequence[Judged], stages: Sequence[Stage], bar: tqdm
) -> Findings:
    """Whole clips rendered and read back: closures, sync and blinks as somebody sees them."""
    rows: list[list[tuple[int, int]]] = [[], []]
    scores: list[tuple[float, float]] = []
    chance: list[tuple[float, float]] = []
    for at, pair in enumerate(zip(with_words(ours), with_words(truths), strict=True)):
        stage, found = stages[at % len(stages)], []
        for way, clip in enumerate(pair):
            seen = stage.watched(clip.motion, range(len(clip.motion)))
            if len(seen.frames) < len(clip.motion):
                break  # a face was lost: the clip cannot be measured on its time axis
            again = bench.judged(clip.line, seen.motion(stage.reading or bench.judges.gaze))
            rows[way].append(closures(again.clip))
            found.append(again)
            bar.update()
        if len(found) == 2:
            scores.append((found[0].sync.confidence, found[1].sync.confidence))
            chance.append(tuple(f.clip.figures.get("lips.closed_by_chance", np.nan) for f in found))  # type: ignore[arg-type]
    closed = share_figure(
        "bilabial_closure_rendered", "P, B, M whose lips close (frames, MediaPipe)", rows[0], rows[1], 0.85, "≥ 85 %"
    )
    by_chance = mean_figure("bilabial_chance_rendered", "the same at any time of speech", chance)
    twice = closed.ours.value / max(by_chance.ours.value, 1e-3)
    return Findings(
        figures=[
            closed,
            by_chance,
            Figure(name="bilabial_over_chance_rendered", what="closures over chance (frames)", ours=point(twice),
                   low=2.0, bar="≥ 2"),
            Figure(name="sync_confidence_ratio_rendered", what="S_C over the truth's, both read off frames",
                   ours=estimated(scores, ratio_of_means)),
        ]
    )  # fmt: skip
