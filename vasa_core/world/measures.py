"""Measures of a talking head as pure functions: head, lips, lids and eyes, alone and against the sound.

They follow the definitions by which real people on video were measured (25 frames a second, MediaPipe's landmarks in a
frontal head frame, lengths in spans between the outer eye corners), so that ours and theirs can be put side by side.
A `Track` comes from a motion and a surface, or as well from landmarks found on any video. Angles here are degrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import signal
from scipy.spatial.transform import Rotation

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ, exact_div
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import EXPRESSION, Motion
from vasa_core.surface import LANDMARKS, Surface
from vasa_core.world.curves import Phone

PHONE_CLASSES = {
    "bilabial": "P B M", "labiodental": "F V", "open": "AA AE AH AO AW AY", "rounded": "UW OW W UH OY",
    "spread": "IY EY IH", "sibilant": "S Z SH ZH CH JH", "alveolar": "T D N L TH DH", "velar": "K G NG HH",
}  # fmt: skip
CLASS_OF_PHONE = {phone: name for name, phones in PHONE_CLASSES.items() for phone in phones.split()}

EXPECTED_OPENING = {"bilabial": 0.15, "labiodental": 0.25, "open": 0.70, "rounded": 0.40, "spread": 0.50,
                    "sibilant": 0.35, "alveolar": 0.45, "velar": 0.50, "other": 0.45, "silence": 0.20}  # fmt: skip
"""Mean lip opening of real people at the centre of each class, over the clip's own 95th percentile."""

ENERGY_RATE_HZ = 100
CLOSED = 0.15  # of the clip's own 95th percentile: below this lips count as shut
RIGID = (6, 197, 195, 5, 4, 168, 8, 33, 133, 263, 362, 10, 67, 103, 54, 109, 338, 297, 332, 284, 151, 127, 356)
LIP_RING = (0, 17, 13, 14, 37, 267, 84, 314)
BROWS = (105, 66, 107, 334, 296, 336)
EYES = ((33, 133, 160, 144, 158, 153), (263, 362, 387, 373, 385, 380))
"""Outer and inner corner, then two pairs of upper and lower lid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """What is seen of a head: turns (yaw, pitch, roll) about their mean, place, size, and its face from the front."""

    turns_deg: Float[ndarray, "frame 3"]
    place: Float[ndarray, "frame 2"]
    size: Float[ndarray, " frame"]
    landmarks: Float[ndarray, "frame 468 3"]
    gaze_deg: Float[ndarray, "frame 2"]

    @property
    def seconds(self) -> float:
        return len(self.turns_deg) / FRAME_RATE_HZ


@dataclass(frozen=True, kw_only=True, slots=True)
class Blink:
    """One blink: the frame it is deepest in, frames under 60 % and 82 % of the open lid, and the lid's least share."""

    frame: int
    frames_under_60: int
    frames_under_82: int
    depth: float


def track_of(motion: Motion, surface: Surface) -> Track:
    """What a tracker without noise would see of this motion on the mean face."""
    turn = Rotation.from_rotvec(motion.head_pose[:, :3].double().numpy())
    about_mean = (turn.mean().inv() * turn).as_euler("xyz", degrees=True)
    neutral = surface.neutral[:LANDMARKS]
    span = float(np.linalg.norm(neutral[33] - neutral[263]))
    code = motion.facial_dynamics[:, :EXPRESSION].numpy()
    face = neutral + np.tensordot(code, surface.dynamics_basis[:, :LANDMARKS], 1)
    face[:, 14, 1] += neutral[13, 1] - neutral[14, 1]  # a face at rest counts as shut
    centre = turn.apply(neutral[list(RIGID)].mean(0)) + motion.head_pose[:, 3:].double().numpy()
    near = CAMERA_DISTANCE_CM / (CAMERA_DISTANCE_CM - centre[:, 2])
    return Track(
        turns_deg=about_mean[:, [1, 0, 2]] - about_mean[:, [1, 0, 2]].mean(0),
        place=centre[:, :2] * near[:, None] / span,
        size=near / near.mean(),
        landmarks=(face / span).astype(np.float32),
        gaze_deg=np.rad2deg(motion.facial_dynamics[:, EXPRESSION:].numpy()),
    )


# --------------------------------------------------------------------------- curves


def distance(track: Track, one: int, other: int) -> Float[ndarray, " frame"]:
    """Between two landmarks, seen from the front, in eye spans."""
    return np.linalg.norm(track.landmarks[:, one, :2] - track.landmarks[:, other, :2], axis=1)


def lip_opening(track: Track) -> Float[ndarray, " frame"]:
    """Between the inner lips' middles, in eye spans; lips that press into each other are shut, not open."""
    return np.maximum(track.landmarks[:, 13, 1] - track.landmarks[:, 14, 1], 0.0)


def lid_ratio(track: Track) -> Float[ndarray, " frame"]:
    """Opening of both eyes over their own running 80th percentile (4 s)."""
    ratios = []
    for outer, inner, upper_one, lower_one, upper_two, lower_two in EYES:
        gaps = track.landmarks[:, [upper_one, upper_two], 1] - track.landmarks[:, [lower_one, lower_two], 1]
        ratios.append(np.maximum(gaps, 0).mean(1) / distance(track, outer, inner))
    opening, reach = np.mean(ratios, axis=0), 2 * FRAME_RATE_HZ
    padded = np.pad(opening, reach, mode="constant", constant_values=np.nan)
    base = np.nanpercentile(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), 80, axis=1)
    return opening / np.maximum(base, 1e-3)


def runs(mask: Bool[ndarray, " frame"]) -> list[tuple[int, int]]:
    """Where the mask is true without a break: (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(np.int8), 0]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def power_shares(curve: Float[ndarray, " frame"], edges_hz: Sequence[float]) -> list[float]:
    """Share of the curve's power below, between and above these frequencies (linear trend out, Hann window)."""
    frequency, power = signal.periodogram(signal.detrend(curve), FRAME_RATE_HZ, window="hann")
    frequency, power = frequency[1:], power[1:]
    bounds = [0.0, *edges_hz, np.inf]
    total = max(float(power.sum()), 1e-12)
    return [float(power[(frequency >= a) & (frequency < b)].sum() / total) for a, b in pairwise(bounds)]


def low_passed(curve: Float[ndarray, "frame ..."], limit_hz: float = 6.0) -> Float[ndarray, "frame ..."]:
    """Without what lies above the limit, in phase."""
    numerator, denominator = signal.butter(3, limit_hz / (FRAME_RATE_HZ / 2))
    return signal.filtfilt(numerator, denominator, curve, axis=0, padlen=min(12, len(curve) - 2))


def fast_rms(curve: Float[ndarray, " frame"], above_hz: float = 8.0) -> float:
    """Root mean square of what lies above this frequency."""
    sections = signal.butter(4, above_hz / (FRAME_RATE_HZ / 2), "high", output="sos")
    return float(np.sqrt(np.mean(signal.sosfiltfilt(sections, curve, padlen=min(24, len(curve) - 2)) ** 2)))


def head_speed(track: Track) -> Float[ndarray, " frame"]:
    """Degrees per second, below 6 Hz."""
    return np.linalg.norm(np.gradient(low_passed(track.turns_deg), axis=0), axis=1) * FRAME_RATE_HZ


# --------------------------------------------------------------------------- what one clip shows


def head_figures(track: Track) -> dict[str, float]:
    """How far, how fast and in which rhythm the head turns and sways."""
    found: dict[str, float] = {}
    step = np.abs(np.diff(track.turns_deg, axis=0)).mean(0)
    slow = np.abs(np.diff(low_passed(track.turns_deg), axis=0))
    for at, axis in enumerate(("yaw", "pitch", "roll")):
        turn = track.turns_deg[:, at]
        found[f"head.sd.{axis}"] = float(turn.std())
        found[f"head.range.{axis}"] = float(np.percentile(turn, 97.5) - np.percentile(turn, 2.5))
        found[f"head.dP.{axis}"] = float(step[at])
        for name, share in zip(("<0.5", "0.5-2", "2-5", ">5"), power_shares(turn, (0.5, 2, 5)), strict=True):
            found[f"head.power.{axis}.{name}"] = share
    speed = head_speed(track)
    p50, p90, p99 = np.percentile(speed, (50, 90, 99))
    return found | {
        "head.dP": float(step.mean()),
        "head.dP_below_6Hz": float(slow.mean()),
        "head.power_above_3Hz": float(np.mean([power_shares(turn, (3,))[1] for turn in track.turns_deg.T])),
        "head.speed.p50": float(p50),
        "head.speed.p90": float(p90),
        "head.speed.p99": float(p99),
        "head.burstiness": float(p90 / max(p50, 1e-3)),
        "head.still_share": float((speed < 2).mean()),
        "head.place_sd.x": float(track.place[:, 0].std()),
        "head.place_sd.y": float(track.place[:, 1].std()),
        "head.place_step": float(np.linalg.norm(np.diff(track.place, axis=0), axis=1).mean()),
        "head.size_sd": float(track.size.std()),
    }


def lip_figures(track: Track) -> dict[str, float]:
    """How far the lips open and in which rhythm; brows beside them."""
    opening, width = lip_opening(track), distance(track, 61, 291)
    p5, p50, p95 = np.percentile(opening, (5, 50, 95))
    brow = track.landmarks[:, list(BROWS), 1].mean(1)
    names = ("<1", "1-3", "3-6", "6-8", ">8")
    shares = power_shares(opening, (1, 3, 6, 8))
    return {f"lips.power.{name}": share for name, share in zip(names, shares, strict=True)} | {
        "lips.p5": float(p5),
        "lips.p50": float(p50),
        "lips.p95": float(p95),
        "lips.width_mean": float(width.mean()),
        "lips.width_sd": float(width.std()),
        "lips.protrusion_sd": float(track.landmarks[:, list(LIP_RING), 2].mean(1).std()),
        "lips.jaw_sd": float(track.landmarks[:, 152, 1].std()),
        "lips.step_over_p95": float(np.abs(np.diff(opening)).mean() / max(p95, 1e-3)),
        "lips.fast_over_p95": fast_rms(opening) / max(float(p95), 1e-3),
        "brows.sd": float(brow.std()),
        "brows.range": float(np.percentile(brow, 95) - np.percentile(brow, 5)),
    }


def blinks_of(track: Track) -> tuple[list[Blink], list[Blink]]:
    """Full blinks (under half of the open lid) and partial ones, as a tracker counts them."""
    ratio, full, partial = lid_ratio(track), [], []
    for first, end in runs(ratio < 0.82):
        depth, under_60 = float(ratio[first:end].min()), int((ratio[first:end] < 0.6).sum())
        blink = Blink(frame=first + int(ratio[first:end].argmin()), frames_under_60=under_60,
                      frames_under_82=end - first, depth=depth)  # fmt: skip
        if depth < 0.5 and under_60 <= 12 and end - first <= 25:
            full.append(blink)
        elif 0.5 <= depth < 0.76 and end - first <= 12:
            partial.append(blink)
    return full, partial


def saccades_of(track: Track) -> list[tuple[int, float]]:
    """(frame, degrees) of every jump of the eyes over 2.5 degrees in two frames, blinks left out."""
    gaze = signal.medfilt(track.gaze_deg, (3, 1))
    jump = np.zeros(len(gaze))
    jump[2:] = np.hypot(gaze[2:, 0] - gaze[:-2, 0], 0.7 * (gaze[2:, 1] - gaze[:-2, 1]))
    for first, end in runs(lid_ratio(track) < 0.82):
        jump[max(0, first - 3) : end + 3] = 0
    found: list[tuple[int, float]] = []
    for first, end in runs(jump > 2.5):
        frame = first + int(jump[first:end].argmax())
        if not found or frame - found[-1][0] >= 4:
            found.append((frame, float(jump[frame])))
    return found


def eye_figures(track: Track) -> dict[str, float]:
    """Where the eyes rest in the head, and whether they hold the world still while it turns."""
    steps = np.diff(track.gaze_deg[:, 0]), np.diff(low_passed(track.turns_deg)[:, 0])
    return {
        "gaze.sd.x": float(track.gaze_deg[:, 0].std()),
        "gaze.sd.y": float(track.gaze_deg[:, 1].std()),
        "gaze.counter_rotation": -correlation(*steps),
        "lids.closed_share": float((lid_ratio(track) < 0.6).mean()),
    }


def correlation(one: Float[ndarray, " n"], other: Float[ndarray, " n"]) -> float:
    """Pearson's, 0 where one of them does not move; what is not a number is left out."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if len(one) < 20 or one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


# --------------------------------------------------------------------------- against the sound


def energy_db(sound: Float[ndarray, " sample"]) -> Float[ndarray, " moment"]:
    """Level of 25 ms around each hundredth of a second, lightly smoothed."""
    hop, half = exact_div(SAMPLE_RATE_HZ, ENERGY_RATE_HZ), 200
    padded = np.pad(sound.astype(np.float64) ** 2, (half, half + hop))
    sums = np.cumsum(np.r_[0.0, padded])
    starts = np.arange(len(sound) // hop) * hop
    level = 20 * np.log10(np.sqrt((sums[starts + 2 * half] - sums[starts]) / (2 * half)) + 1e-5)
    window = np.hanning(9)
    return np.convolve(level, window / window.sum(), mode="same")


def voice_activity(level_db: Float[ndarray, " moment"], frames: int) -> Bool[ndarray, " frame"]:
    """Which video frames have a voice: by level alone, gaps under 0.2 s bridged."""
    high, low = np.percentile(level_db, (95, 5))
    active = signal.medfilt((level_db > max(high - 28, low + 0.25 * (high - low))).astype(float), 15) > 0.5
    for first, end in runs(~active):
        if end - first < 20 and first > 0 and end < len(active):
            active[first:end] = True
    at = np.clip((np.arange(frames) + 0.5) * ENERGY_RATE_HZ / FRAME_RATE_HZ, 0, len(active) - 1).astype(int)
    return active[at]


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """What the lips did at one phone; openings over the clip's 95th percentile, width in the clip's own deviations."""

    label: str
    kind: str
    opening: float
    least: float
    width_z: float
    protrusion_z: float


def tokens_of(track: Track, phones: Sequence[Phone]) -> list[Token]:
    """Every phone but silence, its least opening taken within 60 ms of its centre."""
    time = frame_times(track)
    opening = lip_opening(track)
    opening = opening / max(float(np.percentile(opening, 95)), 1e-3)
    width, protrusion = distance(track, 61, 291), track.landmarks[:, list(LIP_RING), 2].mean(1)
    width_z, protrusion_z = ((c - c.mean()) / (c.std() + 1e-9) for c in (width, protrusion))
    tokens = []
    for phone in phones:
        centre = (phone.start_s + phone.end_s) / 2
        if phone.label == "SIL" or not 0.06 < centre < track.seconds - 0.06:
            continue
        near = np.interp(centre + np.linspace(-0.06, 0.06, 13), time, opening)
        at = [float(np.interp(centre, time, curve)) for curve in (opening, width_z, protrusion_z)]
        kind = CLASS_OF_PHONE.get(phone.label, "other")
        tokens.append(Token(label=phone.label, kind=kind, opening=at[0], least=float(near.min()), width_z=at[1],
                            protrusion_z=at[2]))  # fmt: skip
    return tokens


def frame_times(track: Track) -> Float[ndarray, " frame"]:
    """Each frame shows the middle of its own time."""
    return (np.arange(len(track.turns_deg)) + 0.5) / FRAME_RATE_HZ


def expected_opening(phones: Sequence[Phone], time: Float[ndarray, " moment"]) -> Float[ndarray, " moment"]:
    """The opening that real people's lips have on average at these phones, joined through their centres."""
    spoken = [phone for phone in phones if phone.label != "SIL" or phone.end_s - phone.start_s > 0.12]
    if not spoken:
        return np.full(len(time), EXPECTED_OPENING["silence"])
    centres = [(phone.start_s + phone.end_s) / 2 for phone in spoken]
    kinds = ["silence" if phone.label == "SIL" else CLASS_OF_PHONE.get(phone.label, "other") for phone in spoken]
    window = np.hanning(9)
    return np.convolve(
        np.interp(time, centres, [EXPECTED_OPENING[kind] for kind in kinds]), window / window.sum(), "same"
    )


def sync_of(track: Track, phones: Sequence[Phone]) -> dict[str, float]:
    """Best correlation of lip opening with what the phones ask for, its lag (> 0: lips late), and chance."""
    spoken = [phone for phone in phones if phone.label != "SIL"]
    if len(spoken) < 6:
        return {}
    time = np.arange(int(track.seconds * ENERGY_RATE_HZ)) / ENERGY_RATE_HZ
    opening = np.interp(time, frame_times(track), lip_opening(track))
    zone = (time >= spoken[0].start_s - 0.1) & (time <= spoken[-1].end_s + 0.1)
    wanted = np.where(zone, expected_opening(phones, time), np.nan)
    backwards = np.full_like(wanted, np.nan)
    backwards[zone] = wanted[zone][::-1]
    lags = range(-40, 41, 2)
    heard, chance = ([lagged(opening, curve, lag) for lag in lags] for curve in (wanted, backwards))
    best = int(np.argmax(heard))
    return {
        "sync.correlation": heard[best],
        "sync.chance": max(chance),
        "sync.lag_ms": lags[best] * 1000.0 / ENERGY_RATE_HZ,
    }


def lagged(follower: Float[ndarray, " n"], leader: Float[ndarray, " n"], lag: int) -> float:
    """Correlation of follower(t + lag) with leader(t)."""
    if lag >= 0:
        return correlation(follower[lag:], leader[: len(leader) - lag])
    return correlation(follower[:lag], leader[-lag:])


def onset_leads_ms(track: Track, active: Bool[ndarray, " frame"]) -> list[float]:
    """When the mouth opens around each onset of the voice after a pause; negative is before the sound."""
    opening, found = lip_opening(track), []
    wide = 0.3 * np.percentile(opening, 95)
    for first, end in runs(active):
        begin = max(0, first - 12)
        if first >= 5 and end - first >= 8 and not active[first - 5 : first].any() and opening[begin] < wide:
            opened = np.flatnonzero(opening[begin : first + 8] > wide)
            found += [float(begin + opened[0] - first) * 1000 / FRAME_RATE_HZ] if len(opened) else []
    return found


def onset_speeds(track: Track, active: Bool[ndarray, " frame"]) -> list[Float[ndarray, " lag=33"]]:
    """Head speed over its mean from 0.48 s before each onset of the voice to 0.8 s after it; NaN beyond the clip."""
    speed, found = head_speed(track), []
    for first, end in runs(active):
        if first >= 5 and end - first >= 8 and not active[first - 5 : first].any():
            at = np.arange(first - 12, first + 21)
            inside = (at >= 0) & (at < len(speed))
            found.append(np.where(inside, speed[np.clip(at, 0, len(speed) - 1)] / (speed.mean() + 1e-6), np.nan))
    return found


def speech_figures(track: Track, sound: Float[ndarray, " sample"], phones: Sequence[Phone]) -> dict[str, float]:
    """Lips and head against the sound of one clip."""
    level = energy_db(sound)
    active = voice_activity(level, len(track.turns_deg))
    opening, speed = lip_opening(track), head_speed(track)
    p95 = max(float(np.percentile(opening, 95)), 1e-3)
    found = sync_of(track, phones)
    for name, part in (("speech", active), ("silence", ~active)):
        if part.sum() >= 8:
            found[f"lips.{name}.mean"] = float(opening[part].mean() / p95)
            found[f"lips.{name}.closed"] = float((opening[part] < CLOSED * p95).mean())
            found[f"head.speed.{name}"] = float(speed[part].mean())
    at = np.clip((frame_times(track) * ENERGY_RATE_HZ).astype(int), 0, len(level) - 1)
    lags = range(-15, 16)
    found["head.energy_correlation"] = max(lagged(speed, level[at], lag) for lag in lags)
    found["head.energy_chance"] = max(lagged(speed, level[at][::-1], lag) for lag in lags)
    if active.sum() > 20:
        moments = np.random.default_rng(1).choice(frame_times(track)[active], 200)
        near = np.interp(moments[:, None] + np.linspace(-0.06, 0.06, 13), frame_times(track), opening)
        found["lips.closed_by_chance"] = float((near.min(1) < CLOSED * p95).mean())
    return found


# --------------------------------------------------------------------------- many clips together


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """Everything measured on one clip."""

    seconds: float
    figures: dict[str, float]
    blinks: list[Blink]
    partial_blinks: list[Blink]
    saccades: list[tuple[int, float]]
    tokens: list[Token]
    onset_leads_ms: list[float]
    onset_speeds: list[Float[ndarray, " lag=33"]]


def clip_of(track: Track, sound: Float[ndarray, " sample"], phones: Sequence[Phone]) -> Clip:
    """Measures one clip against its sound and phones."""
    full, partial = blinks_of(track)
    active = voice_activity(energy_db(sound), len(track.turns_deg))
    figures = head_figures(track) | lip_figures(track) | eye_figures(track) | speech_figures(track, sound, phones)
    return Clip(
        seconds=track.seconds,
        figures=figures,
        blinks=full,
        partial_blinks=partial,
        saccades=saccades_of(track),
        tokens=tokens_of(track, phones),
        onset_leads_ms=onset_leads_ms(track, active),
        onset_speeds=onset_speeds(track, active),
    )


def pooled(clips: Sequence[Clip]) -> dict[str, float]:
    """One figure per measure: the median over clips, or what all clips' events say together."""
    names = sorted({name for clip in clips for name in clip.figures})
    found = {name: _median(clip.figures.get(name, np.nan) for clip in clips) for name in names}
    return found | _blink_figures(clips) | _gaze_figures(clips) | _phone_figures(clips) | _onset_figures(clips)


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def _blink_figures(clips: Sequence[Clip]) -> dict[str, float]:
    seconds = sum(clip.seconds for clip in clips)
    blinks = [blink for clip in clips for blink in clip.blinks]
    gaps = [np.diff([blink.frame for blink in clip.blinks]) / FRAME_RATE_HZ for clip in clips]
    logs = np.log(np.concatenate([*gaps, [np.nan]])[:-1].clip(0.05))
    return {
        "blinks.per_min": 60 * len(blinks) / seconds,
        "blinks.partial_per_min": 60 * sum(len(clip.partial_blinks) for clip in clips) / seconds,
        "blinks.frames_under_60": _median(blink.frames_under_60 for blink in blinks),
        "blinks.frames_under_82": _median(blink.frames_under_82 for blink in blinks),
        "blinks.depth": _median(blink.depth for blink in blinks),
        "blinks.interval_mu": float(logs.mean()) if len(logs) else float("nan"),
        "blinks.interval_sigma": float(logs.std()) if len(logs) else float("nan"),
    }


def _gaze_figures(clips: Sequence[Clip]) -> dict[str, float]:
    jumps = [size for clip in clips for _, size in clip.saccades]
    fixed = [gap for clip in clips for gap in np.diff([frame for frame, _ in clip.saccades]) / FRAME_RATE_HZ]
    return {
        "gaze.saccades_per_s": len(jumps) / sum(clip.seconds for clip in clips),
        "gaze.saccade_deg": _median(jumps),
        "gaze.fixation_s": _median(fixed),
    }


def _phone_figures(clips: Sequence[Clip]) -> dict[str, float]:
    by_kind: dict[str, list[Token]] = {}
    for clip in clips:
        for token in clip.tokens:
            by_kind.setdefault(token.kind, []).append(token)
    found: dict[str, float] = {}
    for kind, tokens in by_kind.items():
        found[f"phones.{kind}.opening"] = _median(token.opening for token in tokens)
        found[f"phones.{kind}.closed"] = float(np.mean([token.least < CLOSED for token in tokens]))
        found[f"phones.{kind}.width_z"] = float(np.mean([token.width_z for token in tokens]))
        found[f"phones.{kind}.protrusion_z"] = float(np.mean([token.protrusion_z for token in tokens]))
    if "open" in by_kind and "bilabial" in by_kind:
        means = [float(np.mean([token.opening for token in by_kind[kind]])) for kind in ("open", "bilabial")]
        found["phones.open_minus_bilabial"] = means[0] - means[1]
    return found


def _onset_figures(clips: Sequence[Clip]) -> dict[str, float]:
    speeds = [speed for clip in clips for speed in clip.onset_speeds]
    found = {"onset.mouth_lead_ms": _median(lead for clip in clips for lead in clip.onset_leads_ms)}
    if speeds:
        mean = np.nanmean(speeds, axis=0)
        found |= {"onset.head_speed_320ms_before": float(mean[4]), "onset.head_speed_80ms_before": float(mean[10])}
    return found
