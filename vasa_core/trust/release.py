"""The one door: only this file writes pictures and videos, and only for a `Grant`.

Every frame gets the visible label, then the invisible watermark; every file says in its metadata that it is
AI-generated, and is signed last; every release stands in the audit, with the file's sha256. Files are written beside
their final name and moved into place when complete: a failure, an interruption or a consent revoked meanwhile leaves
nothing half-made and harms no file that was there. Memory does not grow with the length of the video.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import InitVar, dataclass
from fractions import Fraction
from glob import escape
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.errors import BadOption, BadSound, VasaError
from vasa_core.ledger import Ledger
from vasa_core.trust.consent import TERMINAL, Grant, file_sha256
from vasa_core.trust.credentials import sign
from vasa_core.trust.house import House
from vasa_core.trust.label import Label, label_for
from vasa_core.trust.watermark import Mark, mark_for

VIDEO_SUFFIXES = (".mp4",)
STILL_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SOUND_RATE_HZ = 48_000  # the rate of the file that leaves, what browsers play; not the engine's own
SOUND_BIT_RATE = 128_000
MP4 = {"movflags": "+faststart"}  # the index first, so that browsers start at once
X264 = {"crf": "18", "preset": "veryfast"}
EXIF_IMAGE_DESCRIPTION = 0x010E
LIVE_QUALITY = 88  # JPEG
CARELESS_QUALITY = 45  # JPEG, on which a watermark is tried

Frame = UInt8[np.ndarray, "height width 3"]
Sound = Path | str | Float[np.ndarray, " sample"] | None

_SEAL = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A file that went through the door, and where the time went while it was made."""

    path: Path
    frames: int
    duration_s: float
    seconds: dict[str, float]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("Only vasa_core.trust.release makes a Released")


def check_output(path: Path | str, suffixes: tuple[str, ...] = VIDEO_SUFFIXES) -> Path:
    """The path, once its folder is there and can be written; made for calling before any work starts."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise BadOption(f"{path} must end in {' or '.join(suffixes)}.")
    if path.is_dir():
        raise BadOption(f"{path} is a folder; give the name of a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = _unfinished(path)
        probe.touch()
        probe.unlink()
    except OSError as refusal:
        raise BadOption(f"{path} cannot be written ({refusal.strerror}); choose another folder.") from None
    return path


def release_video(
    frames: Iterable[Frame],
    sound: Sound,
    fps: int,
    out: Path | str,
    grant: Grant,
    *,
    house: House,
    photo: Path | None = None,
    ledger: Ledger | None = None,
    progress: Callable[[int], object] | None = None,
) -> Released:
    """Marks and writes the frames with their sound as H.264 and AAC, frame by frame as they come, and signs the file.

    `sound` is a file, heard at its own quality from its first sample, or mono samples at the engine's rate. It is cut
    to the frames' length. `photo` is the file of the person's photograph, if at hand. `progress` is called with 1
    after each frame.
    """
    grant.check("speak")
    out, ledger = check_output(out), ledger or Ledger()
    with _moved_into_place(out, grant, house, photo, ledger) as unfinished, _opened(unfinished, ledger) as file:
        file.metadata.update(_declaration("video", grant))
        count = _write(file, frames, sound, fps, grant, house, ledger, progress)
    return Released(path=out, frames=count, duration_s=count / fps, seconds=dict(ledger.seconds), seal=_SEAL)


def release_still(
    picture: Frame,
    out: Path | str,
    grant: Grant,
    *,
    house: House,
    photo: Path | None = None,
    ledger: Ledger | None = None,
) -> Released:
    """Marks, writes and signs one picture."""
    grant.check("look")
    out, ledger = check_output(out, STILL_SUFFIXES), ledger or Ledger()
    with _moved_into_place(out, grant, house, photo, ledger) as unfinished, ledger.stage("encode"):
        image = Image.fromarray(_marked(picture, grant, house))
        declaration, exif = PngInfo(), Image.Exif()
        for key, text in _declaration("picture", grant).items():
            declaration.add_itxt(key.capitalize(), text)
        exif[EXIF_IMAGE_DESCRIPTION] = "; ".join(_declaration("picture", grant).values())
        image.save(unfinished, format=_still_format(out), pnginfo=declaration, exif=exif, quality=95)
    return Released(path=out, frames=1, duration_s=0.0, seconds=dict(ledger.seconds), seal=_SEAL)


def release_live(frames: Iterable[Frame], grant: Grant, *, house: House, fps: int = FRAME_RATE_HZ) -> Iterator[bytes]:
    """The frames as JPEG files with label and watermark, one by one as they come; a stream cannot be signed.

    The audit hears of the beginning before a frame leaves, and of the end however it comes. A consent revoked
    meanwhile ends the stream within a second's worth of frames.
    """
    grant.check("speak")
    _tell(house, grant, "live_started")
    return _live(frames, grant, house, fps)


def _live(frames: Iterable[Frame], grant: Grant, house: House, fps: int) -> Iterator[bytes]:
    count = 0
    try:
        for frame in frames:
            if count % fps == 0:
                grant.check("speak")
            pixels = cv2.cvtColor(_marked(frame, grant, house), cv2.COLOR_RGB2BGR)
            count += 1
            yield cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, LIVE_QUALITY))[1].tobytes()
    finally:
        _tell(house, grant, "live_ended", frames=count)


def _marked(picture: Frame, grant: Grant, house: House) -> Frame:
    height, width, _ = picture.shape
    labelled = label_for(height, width).onto(picture)
    return mark_for(grant.mark, house.watermark_key, height, width).onto(labelled)


def _tell(house: House, grant: Grant, event: str, **facts: str | int) -> None:
    """The audit hears who had it made, under which grant."""
    known = house.registry.made_with(grant.mark)
    house.registry.audit.append(event, known["asked_by"] if known else TERMINAL, grant=grant.grant_id, **facts)


def _still_format(out: Path) -> str:
    return {".png": "PNG", ".webp": "WEBP"}.get(out.suffix.lower(), "JPEG")


def _declaration(what: str, grant: Grant) -> dict[str, str]:
    return {
        "title": f"AI-generated {what}",
        "comment": f"AI-generated: made by {software()}; not a recording of a real event. Grant {grant.grant_id}.",
    }


def software() -> str:
    """Name and version of this software, for the metadata."""
    try:
        return f"vasa_core {version('vasa_core')}"
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "vasa_core"


# ---- files that appear whole or not at all ------------------------------------------------------------------------


STAGES = ("unfinished", "unsent")


def _unfinished(out: Path, stage: str = STAGES[0]) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.{stage}")


def clear_unfinished(out: Path) -> None:
    """Removes what processes that were killed left of this file; nobody may be writing it."""
    for stage in STAGES:
        for left in out.parent.glob(f"{escape(f'.{out.name}.')}*.{stage}"):
            left.unlink(missing_ok=True)


@contextmanager
def _moved_into_place(out: Path, grant: Grant, house: House, photo: Path | None, ledger: Ledger) -> Iterator[Path]:
    """A name to write under. When all went well the file is signed, told to the audit and takes its real name; when
    not, it vanishes."""
    unfinished, signed = _unfinished(out), _unfinished(out, STAGES[1])
    try:
        yield unfinished
        with _writing(ledger, "sign"):
            grant.check(grant.purpose)  # revoked while it was made: it does not leave
            sign(unfinished, signed, grant, software(), house.authority, photo)
            _tell(house, grant, "generated", kind=out.suffix.lower().lstrip("."), sha256=file_sha256(signed))
            signed.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
        signed.unlink(missing_ok=True)


@contextmanager
def _opened(unfinished: Path, ledger: Ledger) -> Iterator[av.container.OutputContainer]:
    """An MP4 file to write; what stopped the writing is never hidden by what then fails in closing it."""
    with _writing(ledger):
        file = av.open(unfinished, "w", format="mp4", options=MP4)
    try:
        yield file
    except BaseException:
        with suppress(OSError, av.error.FFmpegError):
            file.close()
        raise
    with _writing(ledger):
        file.close()


@contextmanager
def _writing(ledger: Ledger, stage: str = "encode") -> Iterator[None]:
    """Books time under this stage and names what goes wrong while writing."""
    try:
        with ledger.stage(stage):
            yield
    except (OSError, av.error.FFmpegError) as failure:
        raise VasaError(f"The file could not be written ({failure.strerror}); is the disk full?") from failure


# ---- encoding -----------------------------------------------------------------------------------------------------


def _write(
    file: av.container.OutputContainer,
    frames: Iterable[Frame],
    sound: Sound,
    fps: int,
    grant: Grant,
    house: House,
    ledger: Ledger,
    progress: Callable[[int], object] | None,
) -> int:
    """Frames and sound, side by side so that neither waits in memory for the other; returns how many frames."""
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise BadSound("There is not a single frame of sound; choose a longer recording.")
    with _writing(ledger):
        picture_track = _picture_track(file, first, fps)
        voice = _Voice(file, sound) if sound is not None else None
        label = label_for(*first.shape[:2])
        mark = mark_for(grant.mark, house.watermark_key, picture_track.height, picture_track.width)
        mark = mark.suited_to(cv2.cvtColor(first, cv2.COLOR_RGB2GRAY), recompressed)
    count = 0
    for frame in chain([first], frames):
        if count % fps == 0:
            grant.check(grant.purpose)
        with _writing(ledger):
            file.mux(picture_track.encode(_encodable(frame, count, label, mark, ledger)))
            count += 1
            if voice is not None:
                voice.write_until(count / fps)
        if progress is not None:
            progress(1)
    with _writing(ledger):
        file.mux(picture_track.encode(None))
        if voice is not None:
            voice.finish()
    return count


def _picture_track(file: av.container.OutputContainer, first: Frame, fps: int) -> av.VideoStream:
    track = file.add_stream("libx264", rate=fps, options=X264)
    height, width, _ = first.shape
    track.width, track.height = width + width % 2, height + height % 2
    track.pix_fmt = "yuv420p"
    track.codec_context.time_base = Fraction(1, fps)
    track.codec_context.color_range = ColorRange.MPEG
    track.codec_context.colorspace = Colorspace.ITU709
    track.codec_context.color_primaries = ColorPrimaries.BT709
    track.codec_context.color_trc = ColorTrc.BT709
    return track


def _encodable(frame: Frame, index: int, label: Label, mark: Mark, ledger: Ledger) -> av.VideoFrame:
    """Labelled, in BT.709 yuv420p, marked in its luma; an odd side repeats its last line, since sides must be even."""
    height, width, _ = frame.shape
    labelled = label.onto(frame)
    if height % 2 or width % 2:
        labelled = np.pad(labelled, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(labelled), format="rgb24")
    encodable = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    with ledger.stage("mark"):
        mark.into_luma(_luma(encodable))
    encodable.pts = index
    return encodable


def _luma(frame: av.VideoFrame) -> UInt8[np.ndarray, "height width"]:
    """The frame's luma plane itself, not a copy."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


def recompressed(luma: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """A plane after a careless compression, in memory alone: what a watermark is tried on."""
    done, data = cv2.imencode(".jpg", luma, (cv2.IMWRITE_JPEG_QUALITY, CARELESS_QUALITY))
    if not done:
        raise BadOption("a frame could not be compressed: choose another size.")
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


class _Voice:
    """The sound track, written as far as the pictures have come."""

    def __init__(self, file: av.container.OutputContainer, sound: Path | str | np.ndarray) -> None:
        if isinstance(sound, Path | str):
            source, layout = _decoded(sound), _layout(sound)
        else:
            source, layout = _as_frames(sound), "mono"
        self._file = file
        self._track = file.add_stream("aac", rate=SOUND_RATE_HZ, layout=layout, bit_rate=SOUND_BIT_RATE)
        self._blocks = _resampled(source, layout)
        self._written = 0  # samples at SOUND_RATE_HZ

    def write_until(self, second: float) -> None:
        """Writes all sound before this time; what lies after it waits."""
        end = round(second * SOUND_RATE_HZ)
        while self._written < end and (block := next(self._blocks, None)) is not None:
            kept = block.to_ndarray()[:, : end - self._written]
            if kept.shape[1] < block.samples:
                self._blocks = chain([_frame(block.to_ndarray()[:, kept.shape[1] :], block.layout.name)], self._blocks)
            self._encode(_frame(kept, block.layout.name))

    def finish(self) -> None:
        """Lets out what the encoder still holds; any sound after the last picture is dropped."""
        self._file.mux(self._track.encode(None))

    def _encode(self, block: av.AudioFrame) -> None:
        block.pts, block.time_base = self._written, Fraction(1, SOUND_RATE_HZ)
        self._written += block.samples
        self._file.mux(self._track.encode(block))


def _frame(samples: np.ndarray, layout: str) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, dtype=np.float32), format="fltp", layout=layout)
    frame.sample_rate = SOUND_RATE_HZ
    return frame


def _resampled(source: Iterable[av.AudioFrame], layout: str) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=SOUND_RATE_HZ)
    for frame in source:
        frame.pts = None  # gaps in a file's time stamps must not move the sound against the lips
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _decoded(path: Path | str) -> Iterator[av.AudioFrame]:
    """A file's sound as it is, from its first sample: the same samples that `audio.load_sound` hears."""
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.best("audio")):
            assert isinstance(frame, av.AudioFrame)
            yield frame


def _layout(path: Path | str) -> str:
    with av.open(str(path)) as file:
        stream = file.streams.best("audio")
        if not isinstance(stream, av.AudioStream):
            raise BadSound(f"{path} has no sound; give a sound file or a video with sound.")
        return "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"


def _as_frames(samples: Float[np.ndarray, " sample"]) -> Iterator[av.AudioFrame]:
    """One second at a time."""
    for start in range(0, len(samples), SAMPLE_RATE_HZ):
        second = np.ascontiguousarray(samples[None, start : start + SAMPLE_RATE_HZ], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(second, format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        yield frame
