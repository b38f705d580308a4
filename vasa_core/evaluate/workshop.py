"""The workshop on responsible media (notebook 09): its quiz, its attacks and judgements, and how they are drawn.

`show_` draws a figure and describes it in words. What is measured is measured here; prose and questions stand in the
notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from vasa_core import showing
from vasa_core.audio import load_sound
from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import ConsentRefused, MissingExtra
from vasa_core.evaluate.attacks import Attack, cropped, frames_of, luma, scaled, x264
from vasa_core.evaluate.detector import DETAIL_PX, NEIGHBOURS, Crop, Exhibit, Picture, Sitting
from vasa_core.trust.codeword import payload_bits
from vasa_core.trust.consent import Grant, Statement, pixels_sha256
from vasa_core.trust.release import Released
from vasa_core.trust.watermark import read

try:
    import ipywidgets as widgets
    from IPython.display import HTML, display
    from matplotlib import pyplot as plt
    from scipy.stats import binom
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import roc_auc_score, roc_curve
except ModuleNotFoundError:
    raise MissingExtra("The workshop needs its libraries: install this package's extra 'notebooks'.") from None

LETTERS = "ABCDEFGH"
ROLES = (0, 1, 0, 1, 0, 0, 1, 1)
"""Which moment of each person the quiz shows: speaking, or a strong face."""

FEW_FALSE_ALARMS = 0.01
LOUD = 0.05
"""Sound begins where it first is this share of the loudest."""

ENLARGED_PX, LOUDER = 36, 10
ARROWS = {(0, 1): "→", (1, 0): "↓", (1, 1): "↘", (1, -1): "↙", (0, 2): "→→", (2, 0): "↓↓"}


# ---- can you tell? ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Quiz:
    """Eight faces, some true, some moved by our decoder; a seed tosses the coins."""

    pictures: tuple[Crop, ...]
    moved: tuple[bool, ...]

    @staticmethod
    def of(people: Sequence[Sitting], seed: int) -> Quiz:
        """The quiz with these people."""
        moved = tuple(bool(coin) for coin in np.random.default_rng(seed).integers(0, 2, len(LETTERS)))
        chosen = zip(people, moved, ROLES, strict=True)
        return Quiz(pictures=tuple((one.refined if m else one.true)[k] for one, m, k in chosen), moved=moved)

    def right(self, believed_moved: Sequence[str]) -> int:
        """How many of the eight somebody has right who takes these letters for moved, and no others."""
        return sum((letter in believed_moved) == moved for letter, moved in zip(LETTERS, self.moved, strict=True))

    def tell(self, believed_moved: Sequence[str]) -> None:
        """Prints how many are right, once something was chosen."""
        print(f"{self.right(believed_moved)} of 8 right" if believed_moved else "choose with Ctrl and a click")

    def show(self) -> None:
        """The faces with their letters."""
        alt = (
            "Eight faces in two rows, lettered A to H, speaking or grimacing, each with the label AI. "
            "Which of them our decoder moved is the question."
        )
        showing.described(showing.pictures(self.pictures, list(LETTERS), columns=4), alt)

    def ask(self) -> None:
        """A list to choose from, and how many are right."""
        chosen = widgets.SelectMultiple(options=list(LETTERS), rows=len(LETTERS), description="moved")
        told = widgets.interactive_output(
            lambda letters: print(f"{self.right(letters)} of 8 right"), {"letters": chosen}
        )
        display(widgets.HBox([chosen, told]))

    def answers(self) -> HTML:
        """The answers, folded away."""
        told = [f"{letter} {'moved' if moved else 'true'}" for letter, moved in zip(LETTERS, self.moved, strict=True)]
        return HTML(
            f"<details><summary>The answers (after everybody has written theirs)</summary>{', '.join(told)}</details>"
        )


def show_guessing(answers_of: Mapping[str, int]) -> None:
    """How likely so many right answers are by guessing alone."""
    figure, axes = plt.subplots()
    for (who, count), colour in zip(answers_of.items(), (showing.ORANGE, showing.BLUE), strict=False):
        right = np.arange(count + 1)
        size = 7 if count < 20 else 2
        axes.plot(100 * right / count, binom.sf(right - 1, count, 0.5), "o-", color=colour, label=who, markersize=size)
    axes.axhline(0.05, color=showing.INK, linestyle=":", label="one in twenty")
    axes.set(xlabel="right answers, %", ylabel="chance by guessing alone", xlim=(40, 100))
    axes.legend()
    alt = "Falling curves of the chance to have so many right by guessing: with 8 answers it is below one in twenty"
    showing.described(figure, f"{alt} only from seven right on, with 200 answers from 56 percent on.")


# ---- consent ---------------------------------------------------------------------------------------------------------


def statement(picture: Picture, today: date) -> dict[str, object]:
    """The fields of a consent: stills of this picture, neutral or happy, for thirty days."""
    return {
        "subject": "A. Person", "statement": "You may show me smiling.", "recorded_by": "a teacher", "date": today,
        "expiry": today + timedelta(30), "purposes": ("look",), "emotions": ("happy",),
        "portrait_sha256": pixels_sha256(picture),
    }  # fmt: skip


def changed(fields: Mapping[str, object], **changes: object) -> Statement:
    """The statement with some of its fields written otherwise."""
    return Statement(**(dict(fields) | changes))  # type: ignore[arg-type]


def ask(asked: Callable[[], Grant | Released]) -> None:
    """Prints the answer to something asked of the studio: on what grounds yes, or why not."""
    try:
        given = asked()
        print("yes:", given.basis if isinstance(given, Grant) else given.path.name)
    except ConsentRefused as refusal:
        print(f"no [{refusal.code}]: {refusal}")


# ---- the watermark under attack --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A watermark read after an attack of one strength."""

    strength: float
    bits: int
    """Right ones, of 48."""
    believed: bool


ATTACKS = {
    "H.264, crf": (23, 33, 38, 43, 48),
    "crop, share of the sides": (0.05, 0.15, 0.3, 0.45),
    "resized, side in px": (384, 256, 192, 128),
}
"""What is done to a clip, and how strongly."""


def attack(kind: str, strength: float) -> Attack:
    """An attack of ATTACKS."""
    if kind.startswith("H.264"):
        return x264(int(strength))
    if kind.startswith("crop"):
        return lambda clip: cropped(clip, strength, 0.4, 0.6)
    side = int(strength)
    return lambda clip: scaled(x264(28)(scaled(clip, side, side)), clip[0].width, clip[0].height)


def attacked(film: Path, payload: int, key: bytes) -> dict[str, list[Trial]]:
    """What is read of this payload from a released film after each attack."""
    clip = frames_of(film)
    return {
        kind: [_tried(attack(kind, s)(clip), s, payload, key) for s in strengths] for kind, strengths in ATTACKS.items()
    }


def _tried(clip: list, strength: float, payload: int, key: bytes) -> Trial:
    reading = read(map(luma, clip), key)
    assert reading is not None
    right = int((payload_bits(reading.payload) == payload_bits(payload)).sum())
    return Trial(strength=float(strength), bits=right, believed=reading.fits)


def show_survival(trials: Mapping[str, Sequence[Trial]]) -> None:
    """Bits right against the strength of each attack."""
    figure, axes = plt.subplots(1, len(trials), sharey=True)
    for place, (kind, tried) in zip(axes, trials.items(), strict=True):
        place.plot([t.strength for t in tried], [t.bits for t in tried], color=showing.PALE, zorder=1)
        for trial in tried:
            marker, colour = ("o", showing.BLUE) if trial.believed else ("X", showing.RED)
            place.scatter(trial.strength, trial.bits, marker=marker, color=colour, s=70, zorder=2)
        place.axhline(24, color=showing.INK, linestyle=":")
        place.set(xlabel=kind, ylim=(15, 50))
        if kind.startswith("resized"):
            place.invert_xaxis()
    axes[0].set_ylabel("bits right of 48")
    alt = (
        "Bits read right, of 48, as compression, cropping and shrinking grow stronger: 48 and believed (dots) at first,"
    )
    showing.described(
        figure, f"{alt} then within a step or two near 24, which is guessing, and not believed (crosses)."
    )


# ---- judging a detector ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a detector's scores are worth; see notebook 09, part 6, for the definitions."""

    auc: float
    eer: float
    caught: float
    """Share of fakes caught where one photograph in a hundred is accused."""
    fpr: Float[np.ndarray, " bar"]
    tpr: Float[np.ndarray, " bar"]

    def __str__(self) -> str:
        return f"AUC {self.auc:.2f}   EER {self.eer:4.0%}   caught at 1 % false alarms {self.caught:4.0%}"


def judged(photographs: Float[np.ndarray, " photograph"], fakes: Float[np.ndarray, " fake"]) -> Verdict:
    """The verdict on scores of photographs and of fakes; a higher score suspects more."""
    truth = np.repeat([0, 1], [len(photographs), len(fakes)])
    scores = np.concatenate([photographs, fakes])
    fpr, tpr, _ = roc_curve(truth, scores)
    return Verdict(
        auc=float(roc_auc_score(truth, scores)),
        eer=_equal_error(fpr, tpr),
        caught=float(np.interp(FEW_FALSE_ALARMS, fpr, tpr)),
        fpr=fpr,
        tpr=tpr,
    )


def _equal_error(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Where the curve crosses FNR = FPR, between its points."""
    below = int(np.argmax(fpr >= 1 - tpr))
    if below == 0:
        return float(fpr[0])
    gap = (1 - tpr - fpr)[below - 1 : below + 1]
    share = gap[0] / (gap[0] - gap[1])
    return float(fpr[below - 1] + share * (fpr[below] - fpr[below - 1]))


def leading_silence_s(sound: Float[np.ndarray, " sample"]) -> float:
    """Seconds before the sound begins."""
    level = np.abs(sound)
    return float(np.argmax(level > LOUD * level.max())) / SAMPLE_RATE_HZ


def silence_of(path: Path) -> float:
    """Seconds before the sound in a file begins."""
    return leading_silence_s(load_sound(path).numpy())


# ---- drawing a detector ----------------------------------------------------------------------------------------------


def show_grain(photograph: Exhibit, fake: Exhibit) -> None:
    """Both pictures, each beside a piece of its forehead."""
    figure, axes = plt.subplots(1, 4, figsize=(showing.WIDTH_IN, 2.7))
    for k, (exhibit, what) in enumerate(((photograph, "photograph"), (fake, "fake"))):
        left, top, right, _ = exhibit.face
        x, y = (left + right - ENLARGED_PX) // 2, top + 6
        piece = exhibit.picture[y : y + ENLARGED_PX, x : x + ENLARGED_PX].astype(np.float32)
        grain = 128 + LOUDER * (piece - cv2.GaussianBlur(piece, (0, 0), DETAIL_PX))
        axes[2 * k].imshow(showing.labelled(exhibit.picture)[::2, ::2])
        axes[2 * k + 1].imshow(np.clip(grain, 0, 255).astype(np.uint8))
        for place, title in zip(axes[2 * k : 2 * k + 2], (what, f"forehead: grain × {LOUDER}"), strict=True):
            place.set_title(title, fontsize=12)
            place.axis("off")
    alt = "A photograph and a fake of the same synthetic person, both labelled AI, each beside the grain of its"
    showing.described(
        figure, f"{alt} forehead, amplified: lively from pixel to pixel in the photograph, duller in the fake."
    )


def show_alike(photographs: Float[np.ndarray, "one feature=7"], fakes: Float[np.ndarray, "other feature=7"]) -> None:
    """How alike neighbours' grain is, by direction."""
    figure, axes = plt.subplots()
    told = ((photographs, showing.BLUE, -0.1, "photographs"), (fakes, showing.ORANGE, 0.1, "fakes"))
    for values, colour, aside, word in told:
        alike = values[:, 1:]
        at = np.arange(len(NEIGHBOURS)) + aside
        axes.errorbar(at, alike.mean(0), alike.std(0), fmt="o", color=colour, label=word, capsize=4, markersize=7)
    names = [ARROWS[way] for way in NEIGHBOURS]
    axes.set(xticks=range(len(names)), xticklabels=names, xlabel="the neighbour compared with", ylabel="how alike, ρ")
    axes.axhline(0, color=showing.INK, linewidth=1)
    axes.legend()
    alt = "How alike the grain of neighbouring pixels is in six directions, mean and spread, for photographs and fakes:"
    showing.described(figure, f"{alt} with the next pixel to the right and below it is clearly more alike in fakes.")


def show_roc(verdict: Verdict) -> None:
    """Fakes caught against photographs accused."""
    figure, axes = plt.subplots(figsize=(5, 4.2))
    axes.plot(verdict.fpr, verdict.tpr, color=showing.BLUE, label=f"AUC {verdict.auc:.2f}")
    axes.plot([0, 1], [0, 1], ":", color=showing.INK, label="a coin")
    axes.plot([0, 1], [1, 0], color=showing.PALE, linewidth=1, label="FNR = FPR")
    axes.axvline(FEW_FALSE_ALARMS, color=showing.RED, linewidth=1, label="1 % false alarms")
    axes.set(xlabel="photographs accused (FPR)", ylabel="fakes caught (TPR)")
    axes.legend(loc="lower right")
    alt = (
        "Fakes caught against photographs accused, for people never trained on: the curve lies far above the diagonal;"
    )
    showing.described(figure, f"{alt} a red line at the left edge marks one percent of false alarms.")


def show_reliability(said: Float[np.ndarray, " answer"], truth: Bool[np.ndarray, " answer"]) -> None:
    """What happened against what was promised."""
    happened, promised = calibration_curve(truth, said, n_bins=5)
    figure, axes = plt.subplots(figsize=(5, 4.2))
    axes.plot([0, 1], [0, 1], ":", color=showing.INK, label="keeps its word")
    axes.plot(promised, happened, "o-", color=showing.ORANGE, label="our detector")
    axes.set(xlabel="what it said: P(fake)", ylabel="share that was fake")
    axes.set_title(f"Brier score {np.mean((said - truth) ** 2):.2f}")
    axes.legend(loc="upper left")
    alt = "A reliability diagram for unseen people: the share that was fake against the probability that the detector"
    showing.described(figure, f"{alt} gave, in up to five groups, beside the diagonal of one that keeps its word.")


def show_robustness(
    names: Sequence[str], verdicts: Sequence[Verdict], caught: Sequence[float], accused: Sequence[float]
) -> None:
    """What compression leaves of a detector."""
    figure, axes = plt.subplots()
    axes.plot(names, [verdict.auc for verdict in verdicts], "o-", color=showing.INK, label="AUC")
    axes.plot(names, caught, "s--", color=showing.ORANGE, label="fakes that it calls fake")
    axes.plot(names, accused, "v--", color=showing.BLUE, label="photographs that it calls fake")
    axes.axhline(0.5, color=showing.PALE, linewidth=1)
    axes.set(xlabel="H.264 compression (crf; videos on the web have 23 to 28)", ylim=(-0.04, 1.04))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    alt = "Area under the curve, fakes and photographs called fake, from no compression to crf 35: the area falls to"
    showing.described(
        figure, f"{alt} about one half, and the two other lines meet: the answer no longer depends on the truth."
    )


def right_alarms(tpr: float, fpr: float, share_of_fakes: float | Float[np.ndarray, " share"]) -> float | np.ndarray:
    """The share of alarms that are right, by Bayes' rule."""
    return tpr * share_of_fakes / (tpr * share_of_fakes + fpr * (1 - share_of_fakes))


def tell_alarms(tpr: float = 0.95, fpr: float = 0.01, one_in: int = 1000) -> None:
    """Prints what alarms are worth where one video in so many is fake."""
    right = right_alarms(tpr, fpr, 1 / one_in)
    accused = 1_000_000 * fpr * (1 - 1 / one_in)
    print(f"of 100 alarms {100 * right:.0f} are right; of a million videos {accused:,.0f} are accused wrongly")


def show_alarms(tpr: float) -> None:
    """The share of alarms that are right, as fakes grow rare."""
    rare = np.logspace(-4, -0.3, 60)
    figure, axes = plt.subplots()
    for fpr, colour in ((0.001, showing.BLUE), (0.01, showing.ORANGE), (0.05, showing.RED)):
        axes.semilogx(rare, 100 * right_alarms(tpr, fpr, rare), color=colour, label=f"{fpr:.1%} false alarms")
    axes.set(
        xlabel="share of videos that are fake", ylabel="alarms that are right, %", title=f"catching {tpr:.0%} of fakes"
    )
    axes.legend()
    alt = "Alarms that are right, in percent, against the share of fakes, for three rates of false alarms: where one"
    showing.described(
        figure, f"{alt} video in a thousand is fake, one percent of false alarms leaves one alarm in ten right."
    )
