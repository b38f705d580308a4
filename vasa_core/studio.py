"""The few calls a command line, a notebook or a demo needs: a portrait made ready, speaking, or in one pose.

    studio = Studio()
    studio.speak("portrait.png", "speech.wav", "out.mp4")
    picture = studio.look("portrait.png", yaw=10, expression={"jawOpen": 0.3})

Angles here are degrees, signed as in `latents`: yaw > 0 to image right, pitch > 0 down.
"""

from __future__ import annotations

import difflib
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.ahead import made_ahead
from vasa_core.audio import load_sound
from vasa_core.blinks import Blinker
from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.controls import ControlCurve, Controls, constant
from vasa_core.decoder import Decoder, with_appearance
from vasa_core.device.choice import CPU, device_named
from vasa_core.device.frames import Drawer
from vasa_core.device.motion import DeviceMotion, DeviceSpeech
from vasa_core.driving import motion_of
from vasa_core.errors import BadOption, MissingWeights
from vasa_core.footage import has_sound
from vasa_core.footage import watch as watch_face
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import DYNAMICS, GAZE, Motion
from vasa_core.ledger import Ledger
from vasa_core.matting import Matting, load_matting
from vasa_core.motion import MotionTransformer, load_motion_model
from vasa_core.pictures import load_picture
from vasa_core.pixel_codes import PixelEncoder, load_pixel_encoder
from vasa_core.portrait import Portrait, prepare
from vasa_core.refinement import FaceNetworks, load_networks
from vasa_core.relief import Relief, load_relief
from vasa_core.render import (
    PasteBack,
    Wanted,
    drawn,
    made_at,
    poses,
    render_frame,
    render_frames,
    resized,
    within_view,
)
from vasa_core.resting import Rest
from vasa_core.speech import SpeechEncoder, bilabial, clearness, load_speech_encoder, silence
from vasa_core.stream import LIVE, WHOLE, Pace, motion_windows
from vasa_core.surface import Surface, load_surface
from vasa_core.swift import one_thread
from vasa_core.trailing import Trail
from vasa_core.trust.consent import Grant, Statement, grant_for
from vasa_core.trust.house import House
from vasa_core.trust.release import STILL_SUFFIXES, Released, check_output, release_still, release_video
from vasa_core.wav2vec import Wav2VecEncoder, load_wav2vec

Picture = UInt8[np.ndarray, "height width 3"]
Subject = Portrait | Picture | Path | str
Consent = Grant | Statement | Path | str | None
Watch = Callable[[str, float], object]
"""Told a stage's name and the share of it that is done."""

FRAME_RATES = (10, 60)
SIZES = (128, 1024)
TURN_LIMIT_DEG = {"yaw": 40.0, "pitch": 30.0, "roll": 45.0}
GAZE_LIMIT_DEG = (35.0, 25.0)
AS_RECORDED = "as recorded"
"""The emotion of a driver's video, which nobody has named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One frame of a stream, and the middle of its time in seconds since the sound began."""

    second: float
    picture: Picture


def _nobody(stage: str, share: float) -> None:
    """Watches nothing."""


@dataclass(frozen=True)
class Studio:
    """Our weights, loaded when first needed, and what they can do."""

    ask: Callable[[str], str] | None = None
    """Puts a question about consent to a person; without it a stranger's portrait needs a written statement."""

    house: House = field(default_factory=House.at)
    """Where grants are kept and what signs and marks; by default the user's own."""

    every_frame: bool = False
    """The refinement network is asked about every frame of a video, not only when needed: the reference, and slower."""

    wav2vec: Path | None = None
    """A folder with wav2vec 2.0, to be listened with in place of our own ear; needs `motion` trained on it."""

    motion: Path | None = None
    """Motion weights other than the shipped ones."""

    device: str = CPU
    """Where videos and streams are computed: `cpu`, by compiled code, or `cuda`, on a graphics card (`device.choice`).
    A card's network is asked about every frame."""

    def __post_init__(self) -> None:
        device_named(self.device)  # refuses what is not there

    @cached_property
    def surface(self) -> Surface:
        """The deforming face surface."""
        return load_surface(assets.weights("surface.safetensors"))

    @cached_property
    def face_networks(self) -> FaceNetworks:
        """Appearance and refinement: the learned half of the decoder."""
        return load_networks(assets.weights("face.safetensors"))

    @cached_property
    def speech_encoder(self) -> SpeechEncoder:
        """Our own ear."""
        encoder, device = load_speech_encoder(assets.weights("speech.safetensors")), device_named(self.device)
        return DeviceSpeech(encoder, device) if device else encoder

    @cached_property
    def drawer(self) -> Drawer | None:
        """What draws frames in place of the processor's compiled code."""
        device = device_named(self.device)
        return Drawer(device, self.face_networks) if device else None

    @cached_property
    def ear(self) -> SpeechEncoder | Wav2VecEncoder:
        """What motion is made from."""
        return load_wav2vec(self.wav2vec) if self.wav2vec else self.speech_encoder

    @cached_property
    def pixel_encoder(self) -> PixelEncoder:
        """What tells of a face by its pixels, where landmarks do not."""
        return load_pixel_encoder(assets.weights("pixels.safetensors"), self.surface)

    @cached_property
    def relief(self) -> Relief:
        """What tells how hair, hats and necks stand out."""
        return load_relief(assets.weights("relief.safetensors"))

    @cached_property
    def matting(self) -> Matting:
        """What tells a person from the background."""
        return load_matting(assets.weights("matting.safetensors"))

    @cached_property
    def motion_model(self) -> MotionTransformer:
        """The motion diffusion transformer, which must have learned from this ear."""
        path = self.motion or assets.weights("motion.safetensors")
        model = load_motion_model(path)
        given = self.ear.encode(torch.empty(0)).shape[1]
        if model.config.audio_features != given:
            raise MissingWeights(
                f"{path.name} learned to move from {model.config.audio_features} numbers a frame, but "
                f"{f'wav2vec 2.0 in {self.wav2vec}' if self.wav2vec else 'our own ear'} gives {given}: name motion "
                "weights that learned from it, as python -m vasa_core.train.motion --encoder makes them."
            )
        return model

    @cached_property
    def motion_at_work(self) -> MotionTransformer | DeviceMotion:
        """The motion model where it runs."""
        device = device_named(self.device)
        return DeviceMotion(self.motion_model, device) if device else self.motion_model

    def portrait(self, subject: Subject) -> Portrait:
        """The portrait of the one face in a picture, ready to move; takes a second, so keep it for more calls."""
        if isinstance(subject, Portrait):
            return subject
        portrait = prepare(_picture(subject), self.surface, self.pixel_encoder, self.relief, self.matting)
        return with_appearance(portrait, self.surface, self.face_networks)

    def grant(
        self,
        subject: Subject,
        purpose: str,
        consent: Consent = None,
        *,
        language: str | None = None,
        emotions: Collection[str] = (),
    ) -> Grant:
        """Leave to animate this portrait: free for our own cast, on a consent statement for everybody else.

        A consent may be limited to languages and emotions; then it must be said which ones are asked for.
        """
        if isinstance(consent, Grant):
            consent.check_covers(_picture(subject))
            return consent
        path = subject if isinstance(subject, str | Path) else None
        return grant_for(
            _picture(subject),
            path,
            purpose,
            consent,
            self.ask,
            registry=self.house.registry,
            language=language,
            emotions=emotions,
        )

    def speak(
        self,
        subject: Subject,
        sound: Path | str,
        out: Path | str,
        controls: Controls | ControlCurve | None = None,
        *,
        consent: Consent = None,
        language: str | None = None,
        seed: int = 0,
        fps: int = FRAME_RATE_HZ,
        size: int = CROP_PX,
        full_picture: bool = False,
        progress: bool = True,
        watch: Watch = _nobody,
    ) -> Released:
        """The video of this portrait speaking this sound, written to `out` while it is made, window by window.

        `watch` is told each stage and how much of it is done; what it raises stops the work and leaves no file.
        """
        _check_between("--fps", fps, *FRAME_RATES)
        _check_between("--size", size, *SIZES)
        out = _check_is_not(check_output(out), subject, sound)
        ledger, curve = Ledger(), constant(controls or Controls())
        watch("speech", 0.0)
        with ledger.stage("speech"):
            samples = load_sound(sound)
        emotions = _emotions(curve, len(samples) / SAMPLE_RATE_HZ)
        grant = self.grant(subject, "speak", consent, language=language, emotions=emotions)
        count = math.ceil(len(samples) * fps / SAMPLE_RATE_HZ)
        bar, made = (
            tqdm(total=count, unit="frame", disable=not progress, leave=False, dynamic_ncols=True),
            itertools.count(1),
        )

        def step(frames: int) -> None:
            bar.update(frames)
            watch("render", next(made) / count)

        motion = at_rate(self._motions([samples], curve, seed, WHOLE), fps, count)
        # beside the portrait first, then beside the pixels of the window before
        with bar, one_thread(), closing(made_ahead(ledger.timed("motion", motion))) as motions:
            watch("portrait", 0.0)
            with ledger.stage("portrait"):
                portrait = self.portrait(subject)
            frames = ledger.timed("render", self._frames(portrait, motions, size, full_picture, fps))
            watch("motion", 0.0)
            return release_video(
                frames, sound, fps, out, grant, house=self.house, photo=_file(subject), ledger=ledger, progress=step
            )

    def reenact(
        self,
        subject: Subject,
        video: Path | str,
        out: Path | str,
        *,
        consent: Consent = None,
        language: str | None = None,
        fps: int = FRAME_RATE_HZ,
        size: int = CROP_PX,
        full_picture: bool = False,
        progress: bool = True,
        watch: Watch = _nobody,
    ) -> Released:
        """The video of this portrait moving as the person in another video moves, with that video's sound.

        Nothing of the driver but motion and voice is in the result; that the driver agrees is for the caller to know.
        A consent limited to some emotions cannot cover it, as nobody knows beforehand which ones the driver shows.
        """
        _check_between("--fps", fps, *FRAME_RATES)
        _check_between("--size", size, *SIZES)
        out = _check_is_not(check_output(out), subject, video)
        grant = self.grant(subject, "speak", consent, language=language, emotions={AS_RECORDED})
        ledger = Ledger()
        with ledger.stage("watch"), _share_bar("watch", progress, watch) as told:
            footage = watch_face(video, told)
        with ledger.stage("portrait"):
            portrait = self.portrait(subject)
        with ledger.stage("motion"), one_thread(), _share_bar("motion", progress, watch) as told:
            motion = motion_of(Path(video), footage, self.surface, told)
        count = max(1, round(footage.length_s * fps))
        frames = ledger.timed("render", self._frames(portrait, at_rate([motion], fps, count), size, full_picture, fps))
        bar, made = tqdm(total=count, unit="frame", disable=not progress, leave=False), itertools.count(1)

        def step(frames: int) -> None:
            bar.update(frames)
            watch("render", next(made) / count)

        sound = video if has_sound(video) else None
        with bar, one_thread():
            return release_video(
                frames, sound, fps, out, grant, house=self.house, photo=_file(subject), ledger=ledger, progress=step
            )

    def stream(
        self,
        subject: Subject,
        chunks: Iterable[Float[Tensor, " _"]],
        controls: Controls | ControlCurve | None = None,
        *,
        seed: int = 0,
        size: int = CROP_PX,
        pace: Pace = LIVE,
        late: Callable[[float], bool] = lambda second: False,
        refined: bool = True,
    ) -> Generator[Moment, None, None]:
        """Frames with their times while the sound still comes in, as 16 kHz samples in chunks of any length.

        Chunks change no bit of the motion. Controls may be a function of the second and answer with what a user has
        set meanwhile. Back-pressure: nothing is made over a stretch and a few frames early. Drop policy: a
        frame that `late` says is late is left out, its motion made all the same. Closing the generator ends all work.
        Without `refined` frames are the bare warp, at about half the cost: for machines that do more than this.
        """
        _check_between("size", size, *SIZES)
        portrait, curve = self.portrait(subject), constant(controls or Controls())
        trail = Trail()
        left = threading.Event()
        seconds: deque[float] = deque()

        def wanted() -> Iterator[Wanted | None]:
            count = itertools.count()
            for motion in motions:
                for wished, facial_dynamics in poses(motion):
                    head_pose = within_view(wished, portrait)
                    trailing = trail(head_pose)  # hair swings on while a frame is left out
                    second = (next(count) + 0.5) / FRAME_RATE_HZ
                    if not late(second):
                        seconds.append(second)
                        yield head_pose, facial_dynamics, trailing
                yield None

        with (
            one_thread(),
            closing(made_ahead(self._motions(chunks, curve, seed, pace), left=left)) as motions,
            closing(self._drawn_live(portrait, wanted(), made_at(size), refined, left)) as frames,
        ):
            for frame in frames:
                yield Moment(second=seconds.popleft(), picture=resized(frame, size))

    def look(
        self,
        subject: Subject,
        *,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        gaze: tuple[float, float] = (0.0, 0.0),
        expression: dict[str, float] | None = None,
        size: int = CROP_PX,
        full_picture: bool = False,
    ) -> Picture:
        """One picture of the portrait turned, looking and making a face as asked, relative to its own pose."""
        _check_between("--size", size, *SIZES)
        head_pose = _head_pose(yaw, pitch, roll)
        facial_dynamics = self._facial_dynamics(expression or {}, gaze)
        portrait = self.portrait(subject)
        frame = render_frame(
            portrait,
            head_pose,
            facial_dynamics,
            self.surface,
            CROP_PX if full_picture else size,
            self.face_networks,
        )
        return PasteBack(portrait)(frame) if full_picture else frame

    def release_look(self, subject: Subject, out: Path | str, *, consent: Consent = None, **look: Any) -> Released:
        """The same picture, labelled and written to a file; takes what `look` takes."""
        out = _check_is_not(check_output(out, STILL_SUFFIXES), subject)
        grant = self.grant(subject, "look", consent)
        return release_still(self.look(subject, **look), out, grant, house=self.house, photo=_file(subject))

    def first_motion(self, chunks: Iterable[Float[Tensor, " _"]], pace: Pace = LIVE) -> Iterator[Motion]:
        """Motion of a stream without its pictures, stretch by stretch: what waits for sound, and how long."""
        return self._motions(chunks, constant(Controls()), 0, pace)

    # ---- stages ---------------------------------------------------------------------------------------------------

    def _motions(
        self, chunks: Iterable[Float[Tensor, " _"]], curve: ControlCurve, seed: int, pace: Pace
    ) -> Iterator[Motion]:
        """Sound to motion, whatever waits for it: a file, a live page, a notebook."""
        generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        block = pace.hop_of(self.motion_model.config.window)
        if self.wav2vec:  # only our own ear tells silence
            sound, again = itertools.tee(chunks)
            made_from, heard = self.ear.listen(sound, block), self.speech_encoder.listen(again, block)
        else:
            made_from, heard = itertools.tee(self.ear.listen(chunks, block))
        windows = motion_windows(made_from, curve, self.motion_at_work, generator, pace)
        rested = Rest(self.surface, silence, bilabial, clearness).change(windows, heard)
        return Blinker(self.surface, rng).change(rested, curve)

    def _frames(
        self, portrait: Portrait, moments: Iterable[Motion], size: int, full: bool, fps: int
    ) -> Iterator[Picture]:
        whole = PasteBack(portrait) if full else None
        shown_px, networks, every, drawer = CROP_PX if full else size, self.face_networks, self.every_frame, self.drawer
        frames = render_frames(
            portrait, moments, self.surface, shown_px, networks, fps, every_frame=every, drawer=drawer
        )
        for frame in frames:
            yield whole(frame) if whole else frame

    def _drawn_live(
        self, portrait: Portrait, wanted: Iterable[Wanted | None], size: int, refined: bool, left: threading.Event
    ) -> Generator[Picture, None, None]:
        networks = self.face_networks if refined else None
        if self.drawer:
            drawer = self.drawer if refined else Drawer(self.drawer.device, None)
            return drawer.frames(portrait, self.surface, size, wanted, live=True)
        decoder = Decoder(portrait, self.surface, networks, size)
        return drawn(decoder, wanted, every_frame=self.every_frame, left=left)

    def _facial_dynamics(
        self, expression: dict[str, float], gaze: tuple[float, float]
    ) -> Float[np.ndarray, " dynamics"]:
        for name, weight in expression.items():
            _check_between(f"--expression {name}", weight, -1.0, 1.0)
        for name, degrees, limit in zip(("yaw", "pitch"), gaze, GAZE_LIMIT_DEG, strict=True):
            _check_between(f"--gaze {name}", degrees, -limit, limit)
        try:
            facial_dynamics = self.surface.dynamics_from_weights(expression)
        except KeyError as unknown:
            raise BadOption(_did_you_mean(unknown.args[0], self.surface.expression_names)) from None
        facial_dynamics[DYNAMICS - GAZE :] = np.deg2rad(gaze)
        return facial_dynamics


@contextmanager
def _share_bar(stage: str, progress: bool, watch: Watch) -> Iterator[Callable[[float], object]]:
    """Something to tell the share of a stage that is done; it shows a bar and tells who watches."""
    with tqdm(total=1.0, desc=stage, disable=not progress, leave=False, bar_format="{l_bar}{bar}|") as bar:
        watch(stage, 0.0)

        def told(share: float) -> None:
            bar.update(share - bar.n)
            watch(stage, share)

        yield told


def _emotions(curve: ControlCurve, seconds: float) -> set[str]:
    """Every mood that is wished for in this time."""
    return {curve((frame + 0.5) / FRAME_RATE_HZ).emotion for frame in range(math.ceil(seconds * FRAME_RATE_HZ))}


def _head_pose(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, " pose"]:
    for name, degrees in {"yaw": yaw, "pitch": pitch, "roll": roll}.items():
        _check_between(f"--{name}", degrees, -TURN_LIMIT_DEG[name], TURN_LIMIT_DEG[name])
    return np.array([*np.deg2rad([pitch, yaw, roll]), 0, 0, 0], np.float32)


def _file(subject: Subject) -> Path | None:
    """The portrait's file, if it came as one."""
    return Path(subject) if isinstance(subject, str | Path) else None


def _picture(subject: Subject) -> Picture:
    if isinstance(subject, Portrait):
        return subject.picture
    return load_picture(subject) if isinstance(subject, str | Path) else subject


def _check_is_not(out: Path, *inputs: object) -> Path:
    """The output path, unless it would overwrite what the video is made from."""
    for path in inputs:
        if isinstance(path, str | Path) and Path(path).resolve() == out.resolve():
            raise BadOption(f"{out} is one of the inputs; choose another name for the output.")
    return out


def _check_between(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise BadOption(f"{option} must lie between {low:g} and {high:g}, not {value:g}.")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = sorted({k.removesuffix("_L").removesuffix("_R") for k in known})
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}."
    return f"There is no expression '{name}'; {hint}"


def at_rate(windows: Iterable[Motion], fps: int, count: int) -> Iterator[Motion]:
    """`count` frames of the same motion at another frame rate, as it streams by; the last moment is held if need be.

    Frame k shows the middle of its own time, (k + 1/2) / fps, and lies between the two motion frames around it.
    """
    step, place, seen, made = FRAME_RATE_HZ / fps, (FRAME_RATE_HZ / fps - 1) / 2, 0, 0
    last: Tensor | None = None
    for window in windows:
        first = seen if last is None else seen - 1  # the place of packed[0] in the whole motion
        packed = window.packed() if last is None else torch.cat([last, window.packed()])
        seen, last = seen + len(window), packed[-1:]
        ready = min(max(0, math.floor((seen - 1 - place) / step + 1e-9) + 1), count - made)
        if ready:
            yield _between(packed, place - first + step * torch.arange(ready, dtype=torch.float64))
        place, made = place + step * ready, made + ready
    if last is not None and made < count:
        yield Motion.unpacked(last.expand(count - made, -1))


def _between(packed: Float[Tensor, "frame motion"], places: Float[Tensor, " place"]) -> Motion:
    places = places.clamp(0, len(packed) - 1)
    below = places.long()
    above = (below + 1).clamp(max=len(packed) - 1)
    return Motion.unpacked(torch.lerp(packed[below], packed[above], (places - below).to(packed)[:, None]))
