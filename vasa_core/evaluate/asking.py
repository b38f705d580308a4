"""What is asked of a motion and seen in its frames: gaze, distance, moods and their strength, lips on the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from tqdm.auto import tqdm

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import EMOTIONS, Controls
from vasa_core.evaluate import emotion
from vasa_core.evaluate.figures import angle_deg, closures, estimated, main_gaze, ratio_of_means, world_gaze
from vasa_core.evaluate.findings import Figure, Findings, mean_figure, share_figure
from vasa_core.evaluate.judging import Bench, Heard, Judged, with_words
from vasa_core.evaluate.seen import Calibration, Sighting, Stage
from vasa_core.evaluate.speaking import chance_of, over_chance
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
MOOD_LOOKS = 5  # where a mood is looked for


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


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A wish, the motion that answers it, and what is seen of some of its frames."""

    wish: Wish
    motion: Motion
    seen: Sighting


def seen_of(bench: Bench, wishes: Sequence[Wish], truth: bool, bar: tqdm, looks: int = LOOKS) -> Iterator[Shown]:
    """Each wish with what is seen of it, generated, or performed by the training world for comparison."""
    jobs = [(wish.item.features[: wish.frames], wish.controls, wish.seed) for wish in wishes]
    motions = (performance(bench, wish) for wish in wishes) if truth else bench.generated_ahead(jobs)
    for wish, motion in zip(wishes, motions, strict=True):
        which = np.linspace(FRAME_RATE_HZ, wish.frames - 1, looks).round().astype(int)
        seen = wish.stage.watched(motion, which.tolist())
        bar.update()
        if seen.frames:  # a clip without a face cannot be judged by its frames
            yield Shown(wish=wish, motion=motion, seen=seen)


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
    ways = (False, True) if truths else (False,)
    found = {truth: [_control(bench, shown) for shown in seen_of(bench, wishes, truth, bar)] for truth in ways}
    figures = []
    for at, (name, what, high, bar_, paper) in enumerate(CONTROL_FIGURES):
        ours, *truth_ = (estimated([row[at] for row in rows]) for rows in found.values())
        figures.append(Figure(name=name, what=what, ours=ours, truth=truth_[0] if truth_ else None, high=high,
                              bar=bar_, paper=paper))  # fmt: skip
    return Findings(figures=figures, curves={"controls": [row[len(CONTROL_FIGURES) :] for row in found[False]]})


CONTROL_FIGURES: tuple[tuple[str, str, float, str, str], ...] = (
    ("gaze_error_deg", "E_g: asked gaze against frames, degrees", 4.0, "≤ 4", "5.25"),
    ("gaze_error_of_motion_deg", "the same of the motion itself, at these frames", np.inf, "", ""),
    ("gaze_judge_error_deg", "the judge's own error: gaze of the motion against frames", np.inf, "", ""),
    ("distance_error", "E_d: asked distance against frames", 0.005, "≤ 0.005", "0.005"),
    ("distance_error_of_motion", "the same of the motion itself, at these frames", np.inf, "", ""),
    ("distance_judge_error", "the judge's own error: distance of the motion against frames", np.inf, "", ""),
)
"""In the order of `_control`: name, what, bar, the bar in words, the paper's."""


def radians(degrees: tuple[float, float]) -> tuple[float, float]:
    """Two angles in rad."""
    return float(np.deg2rad(degrees[0])), float(np.deg2rad(degrees[1]))


def _control(bench: Bench, shown: Shown) -> list[float]:
    """The six errors of `CONTROL_FIGURES`, then asked and seen gaze (degrees), asked and seen distance."""
    wish, seen = shown.wish, shown.seen
    calibration = wish.stage.calibration or Calibration(gaze=bench.judges.gaze, depth=np.array([0.0, 1.0]))
    looks, distance = seen.gaze(calibration.gaze), seen.distance(calibration.depth)
    asked, wanted = np.array(wish.controls.gaze, float), float(wish.controls.head_distance)
    if not len(looks):
        return [float("nan")] * 3 + [abs(distance - wanted)] + [float("nan")] * 2 + [*np.rad2deg(asked)] * 2
    looked = main_gaze(looks)
    meant = main_gaze(world_gaze(shown.motion)[np.array(seen.frames)[seen.eyes_shown]])
    true = 1 - float(shown.motion.head_pose[seen.frames, TRANSLATION_Z].mean()) / CAMERA_DISTANCE_CM
    return [
        angle_deg(looked, asked), angle_deg(meant, asked), angle_deg(looked, meant),
        abs(distance - wanted), abs(true - wanted), abs(distance - true),
        *np.rad2deg(asked), *np.rad2deg(looked), wanted, distance,
    ]  # fmt: skip


def moods(bench: Bench, spoken: Sequence[Heard], stages: Sequence[Stage], truths: bool, bar: tqdm) -> Findings:
    """Each mood at full strength on each sitter, named by the judge from the frames."""
    wishes = [
        Wish(item=spoken[(3 * number + at) % len(spoken)], stage=stage, seed=50 * number + at,
             controls=Controls(emotion=name, emotion_intensity=1.0))
        for number, stage in enumerate(stages)
        for at, name in enumerate(EMOTIONS)
    ]  # fmt: skip
    ways = (False, True) if truths else (False,)
    looked = {way: [_mood(shown) for shown in seen_of(bench, wishes, way, bar, MOOD_LOOKS)] for way in ways}
    named = {way: [(asked, int(emotion.judged(bench.judges.emotion, signs).argmax())) for asked, signs in rows]
             for way, rows in looked.items()}  # fmt: skip
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), int)
    for asked, found in named[False]:
        confusion[asked, found] += 1
    ours, *truth_ = (estimated([float(asked == found) for asked, found in rows]) for rows in named.values())
    figures = [Figure(name="emotion_accuracy", what="moods recognised on rendered frames, eight at full intensity",
                      ours=ours, truth=truth_[0] if truth_ else None, low=0.9, bar="≥ 90 %")]  # fmt: skip
    if truths:
        what = "how far a mood moves the face from a plain one, over the performed, at full intensity"
        strengths = estimated(mood_strengths(looked[False], looked[True]))
        figures.append(Figure(name="emotion_strength", what=what, ours=strengths))
    return Findings(figures=figures, confusion=confusion.tolist())


def _mood(shown: Shown) -> tuple[int, Float[np.ndarray, " signs=49"]]:
    """The mood asked for, by number, and the signs of it that are seen."""
    return EMOTIONS.index(shown.wish.controls.emotion), emotion.signs_of(shown.seen)


def mood_strengths(
    ours: Sequence[tuple[int, Float[np.ndarray, " signs"]]], truths: Sequence[tuple[int, Float[np.ndarray, " signs"]]]
) -> list[float]:
    """Of each mood but the plain one: our mean change from plain along the true one's, over the true one's length."""
    mine, true = ({mood: np.mean([signs for asked, signs in rows if asked == mood], axis=0)
                   for mood in {asked for asked, _ in rows}} for rows in (ours, truths))  # fmt: skip
    changes = [(mine[mood] - mine[0], true[mood] - true[0]) for mood in sorted(mine.keys() & true.keys() - {0})]
    return [float(change @ aim / (aim @ aim)) for change, aim in changes]


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
    for shown in seen_of(bench, wishes, False, bar, MOOD_LOOKS):
        name, intensity = shown.wish.controls.emotion, float(shown.wish.controls.emotion_intensity)
        strength = emotion.strength(bench.judges.emotion, emotion.signs_of(shown.seen), name)
        seen.setdefault((name, intensity), []).append(strength)
    curves = np.array([[np.mean(seen.get((name, at), [np.nan])) for at in INTENSITIES] for name in EMOTIONS[1:]])
    figure = Figure(name="emotion_dial", what="steps of the mood's dial (¼ ½ ¾ 1) that show more of it",
                    ours=estimated((np.diff(curves) > 0).mean(1).tolist()), low=1.0, bar="1")  # fmt: skip
    return Findings(figures=[figure], curves={"emotion_dial": curves.tolist()})


def on_screen(
    bench: Bench, ours: Sequence[Judged], truths: Sequence[Judged], stages: Sequence[Stage], bar: tqdm
) -> Findings:
    """Whole clips rendered and read back by MediaPipe: closures and sync as somebody sees them.

    Chance is the share of random moments of speech that would pass as closures: it rises with the share of P, B and M
    in a text (9 % of English phones, 22 % of our lines'), so the truth's own ratio stands beside.
    """
    again: list[tuple[Judged, Judged]] = []
    for at, (mine, true) in enumerate(zip(with_words(ours), with_words(truths), strict=True)):
        stage = stages[at % len(stages)]
        seen, true_seen = stage.traced(mine.motion), stage.traced(true.motion)
        bar.update()
        if seen and true_seen:  # a lost face leaves no time axis to measure on
            again.append((bench.judged(mine.line, seen), bench.judged(true.line, true_seen)))
    closed, true_closed = ([closures(pair[way].clip) for pair in again] for way in (0, 1))
    chance, true_chance = ([chance_of(pair[way]) for pair in again] for way in (0, 1))
    scores = [(one.sync.confidence, other.sync.confidence) for one, other in again]
    figures = [
        share_figure("bilabial_closure_rendered", "P, B, M whose lips close (frames, MediaPipe)", closed, true_closed,
                     0.85, "≥ 85 %"),
        mean_figure("bilabial_chance_rendered", "the same at any time of speech",
                    list(zip(chance, true_chance, strict=True))),
        Figure(name="bilabial_over_chance_rendered", what="closures over chance (frames)",
               ours=over_chance([one for one, _ in again]), truth=over_chance([other for _, other in again]),
               low=2.0, bar="≥ 2"),
        Figure(name="sync_confidence_ratio_rendered", what="S_C over the truth's, both read off frames",
               ours=estimated(scores, ratio_of_means)),
    ]  # fmt: skip
    return Findings(figures=figures)
