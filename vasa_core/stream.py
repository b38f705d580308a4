"""Motion from audio features, window by window (paper section 3.3): long sound at constant memory.

Each window is denoised with the last K frames as context and a few frames of look-ahead, heard but made again by the
next window, so lips can prepare for what comes. The next window is drawn to what was expected of those frames, so that
windows join without a twitch. The first window's past is the portrait at rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import GAZE_LIMIT_RAD, ControlCurve, Controls, constant
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.latents import GAZE, MOTION, POSE, Motion
from vasa_core.motion import CONDITIONS, TRANSLATION_Z, Conditions, MotionTransformer
from vasa_core.sampler import guided, held, sample_deis, settled
from vasa_core.swift import Swift, one_thread

LOOKAHEAD = 8
"""Frames (0.32 s) heard beyond those emitted: lips and jaw prepare 120 to 200 ms before the voice."""

TO_THE_VOICE, STRICTEST_HEAD, STRICTEST_EYES = 10.0, 5.0, 2.5
"""How many times as strictly as lips the head and the eyes are guided by the sound, and how strictly at most.

At a strength that opens the mouth as wide as people do, heads would keep to the voice a quarter less than in the
performances they learned from, and move as evenly as nobody does. Eyes led as strictly would leave their aim."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How far motion runs behind its sound: `hop` frames are made at a time, `lookahead` frames heard beyond them."""

    hop: int | None = None
    """None: all of the model's window but the look-ahead."""
    lookahead: int = LOOKAHEAD
    imagined: int = 0
    """Frames denoised beyond those heard, so that what is made has somewhere to go."""
    strictest_head: float = STRICTEST_HEAD
    """How strictly the sound leads the head at most."""

    def __post_init__(self) -> None:
        if (self.hop is not None and self.hop < 1) or self.lookahead < 1 or self.imagined < 0:
            raise ValueError("a pace makes at least one frame, hears at least one ahead and imagines none or more")

    def hop_of(self, window: int) -> int:
        """Frames made at a time by a model with this window."""
        return self.hop or window - self.lookahead

    def delay_frames(self, window: int) -> int:
        """Frames of features that must be there before the first frame of a stretch is made."""
        return self.hop_of(window) + self.lookahead + 1


WHOLE = Pace()
"""For sound that is all there: the longest windows, the fewest passes."""

LIVE = Pace(hop=8, lookahead=4, imagined=8, strictest_head=2.5)
"""For a voice that is still speaking: motion follows 0.5 s behind the features. So short a window hears little of a
sentence: led as strictly as in long ones, heads are thrown about twice as fast as people's (0.76 degrees a frame)."""

HEAD_SHARE = (0.30, 0.40)
"""Pitch and yaw: how much of the main gaze the head takes over from the eyes (as in the performances trained on)."""

TURNS = 3
"""Of a head's pose the first three are its turns, the others where it is."""

HEAD_KEPT = 0.92
"""Heads guided so strictly go too far; this share of it moves them as far as in the performances."""

TURN_NOISE, TURN_DRIFT, SHIFT_NOISE = 0.4, 1.25, 0.6
"""Share of the noise from which heads begin: of the turns' course within the window, of the turns' mean, and of where
the head is. With all of its course a head keeps to the voice a fifth less, recorded people's above all. The mean says
where it looks while it moves, which no voice tells: with 0.6 of that too, heads stay within 0.7 of the spread that
performances have. One that is asked for a direction has no more of it than of the course: it would drift off its aim
by 2 degrees."""

LIPS_NOISE = 0.0
"""Share of the noise from which lips begin. What they do is said by the voice: without chance of their own they say it
as plainly as the mean of many performances; heads, eyes and brows, which begin with all of it, keep lips varied."""

LIPS_SETTLED, LIPS_LED = 0.5, 0.7
"""How far lips keep to their first answer, and share of the strictness asked for with which the sound leads the face.

Where a sound may be an OO or an AH the walk decides, wide or round as if it were sure. Half-way to the mean of what it
may be lips are as round as the sound is clear: their width over time keeps to performances at 0.82 (0.78 without;
people 0.80, 0.76), their opening at 0.86 (0.83; people 0.73, 0.69). Guidance reaches farther from a mean: with so much
less of it mouths are as wide, as round and as open as before. Rounded sounds whose lips are still wider than at rest
(32 of 390, 37 without) are heard as others by the speech encoder: no walk can mend that."""

GAZE_UNTIL = 0.6
"""Diffusion time from which on the eyes are guided to their aim. Before it the answer without an aim is straight ahead,
and eyes pushed away from there come to rest a third beyond their aim; from there on they only scatter less about it."""


def generate_motion(
    audio_features: Float[Tensor, "frame audio"],
    controls: Controls | ControlCurve,
    model: MotionTransformer,
    generator: torch.Generator,
    pace: Pace = WHOLE,
) -> Motion:
    """The whole motion for this sound, one frame per frame of features."""
    windows = list(motion_windows(audio_features, controls, model, generator, pace))
    return Motion.unpacked(torch.cat([window.packed() for window in windows]))


@torch.inference_mode()
def motion_windows(
    audio_features: Float[Tensor, "frame audio"] | Iterable[Float[Tensor, "_ audio"]],
    controls: Controls | ControlCurve,
    model: MotionTransformer | Swift,
    generator: torch.Generator,
    pace: Pace = WHOLE,
) -> Iterator[Motion]:
    """Pieces of motion in order, each as soon as enough sound is there; features may come whole or in blocks.

    The same features in other blocks give the same motion. A curve of controls is asked for a stretch just before
    that stretch is made, so it may answer with what a user has set meanwhile.
    """
    config, curve = model.config, constant(controls)
    swift = model if isinstance(model, Swift) else Swift(model)
    hop, lookahead = pace.hop_of(config.window), pace.lookahead
    length = min(config.window, hop + lookahead + pace.imagined)
    past_motion = torch.zeros(1, config.past, MOTION)
    past_audio: Tensor | None = None
    ahead = torch.zeros(1, lookahead, MOTION)  # what the window before expects next; at first: the portrait's own pose
    weight = join_weight(length, lookahead) * (torch.arange(MOTION) < POSE)
    start = 0
    for audio, frames in _audio_windows(audio_features, hop + lookahead, hop):
        if past_audio is None:
            past_audio = audio[:1, :1].repeat(1, config.past, 1)  # before the clip: as it begins
        wishes = [curve((start + i + 0.5) / FRAME_RATE_HZ) for i in range(length)]
        conditions = _conditions(audio, past_audio, past_motion, wishes)
        with one_thread():
            window = _denoised_window(swift, conditions, wishes[0], ahead, weight, generator, pace.strictest_head)
        made, ahead = window[:, :frames], window[:, frames : frames + lookahead]
        weight = join_weight(length, lookahead).expand(-1, MOTION)
        past_motion = torch.cat([past_motion, made], dim=1)[:, -config.past :]
        past_audio = torch.cat([past_audio, audio[:, :frames]], dim=1)[:, -config.past :]
        yield Motion.unpacked(_as_wished(made[0], wishes[:frames]))
        start += frames


def _audio_windows(
    features: Tensor | Iterable[Tensor], heard: int, hop: int
) -> Iterator[tuple[Float[Tensor, "1 frame audio"], int]]:
    """(audio of up to `heard` frames, how many of them to emit), never holding more than a block and a window."""
    waiting: Tensor | None = None
    for block in [features] if isinstance(features, Tensor) else features:
        waiting = block.float() if waiting is None else torch.cat([waiting, block.float()])
        while len(waiting) >= heard + 1:  # one more frame: the last window emits all it has
            yield waiting[None, :heard].clone(), hop
            waiting = waiting[hop:]
    if waiting is not None and len(waiting):
        yield waiting[None].clone(), len(waiting)


def _conditions(audio: Tensor, past_audio: Tensor, past_motion: Tensor, wishes: list[Controls]) -> Conditions:
    """C of the paper for one window; frames beyond the end of the sound are marked as not heard."""
    missing = len(wishes) - audio.shape[1]
    heard = torch.arange(len(wishes))[None] < audio.shape[1]
    return Conditions(
        audio=torch.nn.functional.pad(audio, (0, 0, 0, missing)),
        heard=heard,
        past_audio=past_audio,
        past_motion=past_motion,
        gaze=torch.tensor([[wish.gaze for wish in wishes]], dtype=torch.float32),
        head_distance=torch.tensor([[wish.head_distance for wish in wishes]], dtype=torch.float32),
        emotion=torch.tensor([[wish.emotion_vector() for wish in wishes]], dtype=torch.float32),
        listening=torch.tensor([[float(wish.listening) for wish in wishes]]),
        present=torch.ones(1, len(CONDITIONS), dtype=torch.bool),
    )


def join_weight(window: int, lookahead: int) -> Float[Tensor, "window 1"]:
    """How far each frame is drawn to what the window before expected: almost wholly at first, not past its ear."""
    place = ((torch.arange(window) + 0.5) / lookahead).clamp(max=1)
    return (1 - place * place * (3 - 2 * place))[:, None]


def to_the_voice(guidance_audio: float, strictest_head: float = STRICTEST_HEAD) -> Float[Tensor, " motion=56"]:
    """Lambda of the sound for each number of the motion: the face nearly as asked, head and eyes more strictly."""
    strict = torch.full((MOTION,), LIPS_LED * float(guidance_audio))
    for place, most in ((slice(POSE), strictest_head), (slice(-GAZE, None), STRICTEST_EYES)):
        strict[place] = min(TO_THE_VOICE * guidance_audio, max(most, guidance_audio))
    return strict


def _denoised_window(
    swift: Swift,
    conditions: Conditions,
    wish: Controls,
    ahead: Float[Tensor, "1 ahead motion=56"],
    weight: Float[Tensor, "window motion=56"],
    generator: torch.Generator,
    strictest_head: float,
) -> Float[Tensor, "1 window motion=56"]:
    """One sample of the window, guided and joined to the one before, in rad and cm; z from the distance asked for."""
    window = conditions.audio.shape[1]
    noise = torch.randn(1, window, MOTION, generator=generator)
    turns, aimed = noise[..., :TURNS], any(wish.gaze)
    drift = turns.mean(1, keepdim=True)
    noise[..., :TURNS] = (TURN_NOISE if aimed else TURN_DRIFT) * drift + TURN_NOISE * (turns - drift)
    noise[..., TURNS:POSE] *= SHIFT_NOISE
    noise = swift.model.lips_stilled(noise, LIPS_NOISE)
    # straight ahead needs no leading: only who asks for a direction pays for the third pass
    guidance = {
        "audio": to_the_voice(wish.guidance_audio, strictest_head),
        "gaze": wish.guidance_gaze if aimed else 0.0,
    }
    expected = torch.nn.functional.pad(swift.model.standardised(ahead), (0, 0, 0, window - ahead.shape[1]))
    led = guided(swift.answering(conditions), guidance, {"gaze": GAZE_UNTIL})
    denoiser = held(settled(led, swift.model.lips, LIPS_SETTLED), expected, weight)
    return swift.model.restored(sample_deis(denoiser, noise, wish.steps))


def _as_wished(made: Float[Tensor, "frame motion=56"], wishes: list[Controls]) -> Float[Tensor, "frame motion=56"]:
    """The window with the head's liveliness scaled, its turn and distance put in; the eyes keep their aim meanwhile."""
    energy = HEAD_KEPT * torch.tensor([wish.energy for wish in wishes])[:, None]
    distance = torch.tensor([wish.head_distance for wish in wishes])
    share = torch.tensor([[HEAD_SHARE[0] * wish.gaze[1], HEAD_SHARE[1] * wish.gaze[0], 0.0] for wish in wishes])
    asked = torch.tensor([[wish.pose[1], wish.pose[0], wish.pose[2]] for wish in wishes])
    turn = share + energy * (made[:, :3] - share) + asked
    shift = energy * made[:, 3:POSE]
    packed = torch.cat([turn, shift, made[:, POSE:]], dim=-1)
    for eyes, axis, limit in ((-2, 1, GAZE_LIMIT_RAD[0]), (-1, 0, GAZE_LIMIT_RAD[1])):
        aimed = made[:, eyes] - (turn[:, axis] - made[:, axis])
        packed[:, eyes] = torch.where(asked[:, axis] == 0, aimed, aimed.clamp(-limit, limit))
    packed[:, TRANSLATION_Z] -= (distance - 1) * CAMERA_DISTANCE_CM
    return packed
