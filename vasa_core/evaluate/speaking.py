"""What a motion does while a line is said: lips and sound, rest, the head, blinks and gaze, variety."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.evaluate import capp, sync
from vasa_core.evaluate.figures import (
    PARTS,
    Estimate,
    apart,
    class_openings,
    closed_at_rest,
    closed_over_chance,
    closures,
    estimated,
    estimated_together,
    frechet,
    join_speed,
    needless_closures,
    part_of,
    phone_order,
    quiver,
    ratio_of_means,
    share,
    states,
)
from vasa_core.evaluate.findings import Figure, Findings, mean_figure, own_and_true, point, share_figure
from vasa_core.evaluate.judging import Bench, Judged, with_words
from vasa_core.stream import WHOLE
from vasa_core.world.measures import Clip, Track, distance, lip_opening, pooled
from vasa_core.world.report import BANDS
from vasa_core.world.utterances import Phone

WINDOW_FRAMES = 2 * FRAME_RATE_HZ
HOP = WHOLE.hop_of(WINDOW_FRAMES)
SHIFTS = tuple(range(13))
SCALES = (0.2, 0.5, 1.0, 1.5, 3.0)
ITSELF = point(1.0)
"""The truth over itself."""

ROUNDED = {"UW": 0.5, "UH": 0.5, "OW": 0.8, "AO": 0.5, "W": 0.5, "OY": 0.3}
"""When lips are roundest, as a share of the phone's time: of diphthongs in the middle of their rounder part."""

UNROUNDED = frozenset("IY IH EY EH AE AA AH AY".split())


def _paired(ours: Sequence[Judged], truths: Sequence[Judged], number: str) -> list[tuple[float, float]]:
    """(ours, truth) of each line, ours averaged over seeds."""
    rows = []
    for truth in truths:
        mine = [_number(clip, number) for clip in ours if clip.line is truth.line]
        rows.append((float(np.nanmean(mine)), _number(truth, number)))
    return rows


def _number(clip: Judged, name: str) -> float:
    if name == "capp":
        return clip.capp
    if name in ("confidence", "distance", "offset"):
        return float(getattr(clip.sync, name))
    return clip.clip.figures.get(name, float("nan"))


def wide_open(truths: Sequence[Judged]) -> float:
    """The opening of the lips at loud vowels in true performances, in eye spans."""
    return float(np.median([np.percentile(lip_opening(clip.track), 95) for clip in with_words(truths)]))


def lips(ours: Sequence[Judged], truths: Sequence[Judged]) -> Findings:
    """Do the lips say what is heard, and rest when nothing is."""
    said, true = with_words(ours), with_words(truths)
    confidence = _paired(said, true, "confidence")
    wide = wide_open(truths)
    mine, theirs = own_and_true(confidence)
    order = [_together(clips, phone_order, ["phone_order"]) for clips in (said, true)]
    figures = [
        Figure(name="sync_confidence_ratio", what="S_C over the truth's", ours=estimated(confidence, ratio_of_means),
               truth=ITSELF, low=1.05, bar="≥ 1.05", paper="8.841 / 7.640 = 1.16"),
        Figure(name="sync_confidence", what="S_C (this judge's unit)", ours=mine, truth=theirs,
               paper="8.841 (real 7.640)"),
        mean_figure("sync_distance", "S_D (this judge's unit)", _paired(said, true, "distance"),
                paper="6.312 (real 7.189)"),
        _offset(said, true),
        share_figure("bilabial_closure", "P, B, M whose lips close (motion)",
                 [closures(c.clip) for c in said], [closures(c.clip) for c in true], low=0.95, bar="≥ 95 %"),
        mean_figure("bilabial_chance", "the same at any time of speech", _paired(said, true, "lips.closed_by_chance")),
        Figure(name="bilabial_over_chance", what="closures over chance (motion)", ours=over_chance(said),
               truth=over_chance(true)),
        Figure(name="needless_closures_per_s", what="times a second that lips close where nothing said asks for it",
               ours=_needless(said), truth=_needless(true)),
        share_figure("silence_closed", "frames with lips closed in pauses",
                 [closed_at_rest(c.track, c.line.phones, wide) for c in ours],
                 [closed_at_rest(c.track, c.line.phones, wide) for c in truths], low=0.97, bar="≥ 97 %"),
        Figure(name="silence_quiver", what="change of opening a frame in pauses, of the opening at vowels",
               ours=estimated([quiver(c.track, c.line.phones, wide) for c in ours]),
               truth=estimated([quiver(c.track, c.line.phones, wide) for c in truths])),
        Figure(name="phone_order", what="lip opening by phone class: rank correlation with real people",
               ours=order[0]["phone_order"], truth=order[1]["phone_order"], low=0.9, bar="≥ 0.9"),
        mean_figure("phone_sync", "correlation with the opening real people's phones have",
                _paired(said, true, "sync.correlation"), low=0.40, bar="≥ 0.40"),
        *rounding(said, true),
    ]  # fmt: skip
    openings = [list(class_openings([c.clip for c in clips]).values()) for clips in (said, true)]
    offsets = [np.mean([c.sync.distances for c in clips], axis=0).tolist() for clips in (said, true)]
    return Findings(figures=figures, curves={"sync_offsets": offsets, "phone_openings": openings})


def chance_of(clip: Judged) -> float:
    """The share of random moments of speech at which the lips would pass as closed."""
    return _number(clip, "lips.closed_by_chance")


def lip_width(track: Track) -> Float[np.ndarray, " frame"]:
    """Between the corners of the mouth, in eye spans."""
    return distance(track, 61, 291)


def narrowing(track: Track, phones: Sequence[Phone]) -> float:
    """How much narrower lips are at rounded sounds than at unrounded vowels, eye spans; NaN where either lacks."""
    time = (np.arange(len(track.turns_deg)) + 0.5) / FRAME_RATE_HZ
    moments = [(p.label, p.start_s + ROUNDED.get(p.label, 0.5) * (p.end_s - p.start_s)) for p in phones]
    round_s, other_s = ([at for label, at in moments if label in kind] for kind in (ROUNDED, UNROUNDED))
    if not (round_s and other_s):
        return float("nan")
    round_, other = (np.interp(times_s, time, lip_width(track)).mean() for times_s in (round_s, other_s))
    return float(other - round_)


def width_sync(one: Judged, other: Judged) -> float:
    """Correlation over time of how wide the lips are in two motions of one line, pauses left out."""
    frames = min(len(one.motion), len(other.motion))
    said = np.array(one.line.said(frames, FRAME_RATE_HZ)) != "SIL"
    return float(np.corrcoef(*(lip_width(clip.track)[:frames][said] for clip in (one, other)))[0, 1])


def rounding(said: Sequence[Judged], true: Sequence[Judged]) -> list[Figure]:
    """Are lips round where they must be, and wide where they must."""
    rows = [
        (np.nanmean([narrowing(c.track, c.line.phones) for c in said if c.line is truth.line]),
         narrowing(truth.track, truth.line.phones))
        for truth in true
    ]  # fmt: skip
    together = [float(np.mean([width_sync(c, truth) for c in said if c.line is truth.line])) for truth in true]
    return [
        Figure(name="rounding_ratio", what="how far rounded sounds narrow the lips, over the truth's",
               ours=estimated([(float(mine), its) for mine, its in rows], ratio_of_means), truth=ITSELF,
               low=0.85, high=1.15, bar="0.85 – 1.15"),
        Figure(name="lip_width_sync", what="correlation of lip width with the truth's over time",
               ours=estimated(together)),
    ]  # fmt: skip


def _needless(clips: Sequence[Judged]) -> Estimate:
    return estimated([needless_closures(c.track, c.line.phones) for c in clips], share)


def over_chance(clips: Sequence[Judged]) -> Estimate:
    """Closures of P, B and M over that chance."""
    return estimated([(*closures(c.clip), chance_of(c)) for c in clips], closed_over_chance)


def _offset(said: Sequence[Judged], true: Sequence[Judged]) -> Figure:
    """Where the distance averaged over all clips is least."""

    def least(rows: Float[np.ndarray, "clip offset"]) -> float:
        return float(rows.mean(0).argmin() - sync.REACH)

    ours, truth = (estimated([c.sync.distances.tolist() for c in clips], least) for clips in (said, true))
    return Figure(name="sync_offset_frames", what="offset of the lips in frames, > 0 late", ours=ours, truth=truth,
                  low=-1, high=1, bar="0 ± 1")  # fmt: skip


def _together(
    clips: Sequence[Judged], figures: Callable[[Sequence[Clip]], dict[str, float]], names: Sequence[str]
) -> dict[str, Estimate]:
    return estimated_together([c.clip for c in clips], figures, names)


def head(ours: Sequence[Judged], truths: Sequence[Judged]) -> Findings:
    """Does the head move as much as real ones, and to the voice."""
    said, true = with_words(ours), with_words(truths)
    steps, score = _paired(said, true, "head.dP"), _paired(said, true, "capp")
    figures = [
        Figure(name="capp_ratio", what="CAPP over the truth's", ours=estimated(score, ratio_of_means), truth=ITSELF,
               low=0.85, bar="≥ 0.85", paper="0.468 / 0.588 = 0.80"),
        mean_figure("capp", "CAPP (this judge's unit)", score, paper="0.468 (real 0.588)"),
        Figure(name="delta_p_ratio", what="ΔP over the truth's", ours=estimated(steps, ratio_of_means), truth=ITSELF,
               low=0.75, high=1.1, bar="0.75 – 1.1", paper="0.304 / 0.505 = 0.60"),
        mean_figure("delta_p_deg", "ΔP, mean of three axes, degrees a frame", steps, 0.30, 0.70, "0.30 – 0.70",
                    "0.304"),
        mean_figure("head_burstiness", "head speed, 90th over 50th percentile", _paired(said, true, "head.burstiness"),
                2.3, 4.0, "2.3 – 4"),
        mean_figure("head_power_above_5hz", "share of turning above 5 Hz", _mean_of_axes(said, true), 0.0, 0.03,
                    "< 0.03"),
        Figure(name="join_speed_ratio", what="speed where windows join over speed elsewhere",
               ours=estimated([join_speed(c.motion, HOP) for c in said]),
               truth=estimated([join_speed(c.motion, HOP) for c in true]), low=0.8, high=1.25, bar="0.8 – 1.25"),
    ]  # fmt: skip
    return Findings(figures=figures)


def _mean_of_axes(ours: Sequence[Judged], truths: Sequence[Judged]) -> list[tuple[float, float]]:
    axes = [_paired(ours, truths, f"head.power.{axis}.>5") for axis in ("yaw", "pitch", "roll")]
    return [(float(a), float(b)) for a, b in np.mean(axes, axis=0)]


def eyes(ours: Sequence[Judged], truths: Sequence[Judged]) -> Findings:
    """Blinks, gaze, and every other measure beside the band of real people."""
    mine, theirs = (pooled([c.clip for c in with_words(clips)]) for clips in (ours, truths))

    rows = (
        ("blinks_per_min", "blinks a minute", "blinks.per_min", 10.0, 33.0, "10 – 33"),
        (
            "blink_frames",
            "frames a blink keeps the lids under 82 %",
            "blinks.frames_under_82",
            2.5,
            10.0,
            "100 – 400 ms",
        ),
        ("blink_interval_sigma", "spread of the log of the waits", "blinks.interval_sigma", 0.6, 1.0, "0.6 – 1.0"),
        ("saccades_per_s", "saccades a second", "gaze.saccades_per_s", 0.4, 1.2, "0.4 – 1.2"),
        ("fixation_s", "median time between saccades", "gaze.fixation_s", 0.2, 2.45, "0.2 – 2.45"),
        ("gaze_sd_x", "gaze in the head, spread to the sides, degrees", "gaze.sd.x", 2.0, 6.0, "2 – 6"),
    )
    keys = [*(row[2] for row in rows), "bands"]
    together, true = (_together(with_words(clips), _with_bands, keys) for clips in (ours, truths))
    figures = [
        Figure(name=name, what=what, ours=together[key], truth=true[key], low=low, high=high, bar=bar)
        for name, what, key, low, high, bar in rows
    ]
    bands = [(b.name, mine.get(b.name, np.nan), theirs.get(b.name, np.nan), b.low, b.high, b.real) for b in BANDS]
    what = f"of {len(bands)} measures, share in the band of real people"
    figures.append(Figure(name="bands_reached", what=what, ours=together["bands"], truth=true["bands"]))
    return Findings(figures=figures, bands=bands)


def _with_bands(clips: Sequence[Clip]) -> dict[str, float]:
    """All measures together, and the share of them that lies in the band of real people."""
    found = pooled(clips)
    inside = [band.low <= found.get(band.name, np.nan) <= band.high for band in BANDS]
    return found | {"bands": float(np.mean(inside))}


def life(ours: Sequence[Judged], truths: Sequence[Sequence[Judged]]) -> Findings:
    """Is it different each time, and like the truth as a whole; and is the pose judge worth believing."""
    by_line = [[c for c in ours if c.line is truth.line] for truth in truths[0]]
    pairs = [apart(same[0].track, same[1].track) for same in by_line if len(same) > 1]
    true_pairs = [apart(a.track, b.track) for a, b in zip(*truths, strict=True)]
    mine = [np.concatenate([states(c.track) for c in same]) for same in by_line]
    first, second = ([states(c.track) for c in clips] for clips in truths)
    figures = [
        Figure(name=f"frechet_{part}", what=f"Fréchet distance of curves and speeds to the truth: {part}",
               ours=apart_as_wholes(mine, first, part), truth=apart_as_wholes(second, first, part),
               paper="FVD25 105.9 (real 29.2)" if part == "motion" else "")
        for part in PARTS
    ]  # fmt: skip
    if pairs:
        for at, name, what in ((0, "diversity_head", "difference between seeds: head, degrees"),
                               (1, "diversity_lips", "difference between seeds: lips, eye spans")):  # fmt: skip
            ours_, truth = (estimated([pair[at] for pair in some]) for some in (pairs, true_pairs))
            figures.append(Figure(name=name, what=what, ours=ours_, truth=truth))
    return Findings(figures=figures)


def apart_as_wholes(
    ones: Sequence[Float[np.ndarray, "_ 18"]], others: Sequence[Float[np.ndarray, "_ 18"]], part: str, draws: int = 60
) -> Estimate:
    """The Fréchet distance of this part of all clips, and of clips drawn with replacement, from the others."""
    chosen = [(part_of(one, part), part_of(other, part)) for one, other in zip(ones, others, strict=True)]

    def distance(which: Sequence[int]) -> float:
        return frechet(*(np.concatenate([chosen[at][way] for at in which]) for way in (0, 1)))

    rng = np.random.default_rng(0)
    drawn = [distance(rng.integers(0, len(chosen), len(chosen)).tolist()) for _ in range(draws)]
    value = distance(range(len(chosen)))
    # fewer different clips are farther apart by themselves: what counts is how far draws scatter
    low, high = value + np.percentile(drawn, [2.5, 97.5]) - np.median(drawn)
    return Estimate(value=value, low=max(0.0, float(low)), high=float(high))


def pose_judge(bench: Bench, ours: Sequence[Judged], truths: Sequence[Judged]) -> Findings:
    """Is CAPP worth believing: its score as the head is moved against the sound, and as its turns are scaled."""
    curves: dict[str, list[list[float]]] = {"capp_shift": [], "capp_scale": []}
    judge, sides = bench.judges.capp, list(range(-SHIFTS[-1], SHIFTS[-1] + 1))
    for clips in (with_words(ours), with_words(truths)):
        heard = [(sync.heard(c.line.sound, len(c.motion)), c.track.turns_deg) for c in clips]
        moved = np.array([capp.shifted(judge, mel, turns, sides) for mel, turns in heard])
        middle = SHIFTS[-1]
        moved = np.stack([(moved[:, middle + s] + moved[:, middle - s]) / 2 for s in SHIFTS], axis=1)
        curves["capp_shift"].append(np.nanmean(moved, axis=0).tolist())
        scaled = [
            np.nanmean([capp.shifted(judge, mel, turns, (0,), capp.STRIDE, scale) for mel, turns in heard])
            for scale in SCALES
        ]
        curves["capp_scale"].append([float(score) for score in scaled])
    figures = [
        Figure(name=f"capp_truth_shift_{frames}", what=f"CAPP of the truth moved {frames} frames, over unmoved",
               ours=estimated(moved[:, [frames, 0]].tolist(), ratio_of_means), paper=paper)
        for frames, paper in ((1, "0.76"), (2, "0.34"), (3, "0.11"), (4, "0.13"), (8, ""), (12, ""))
    ]  # fmt: skip
    return Findings(figures=figures, curves=curves)
