"""How fast a graphics card makes frames: from sound to pictures in memory, whole and streaming, stage by stage.

Needs a prepared portrait and samples, no pictures or sounds to open, so that it also runs where MediaPipe and FFmpeg
are missing:

    vasa bench --pack FOLDER                                             # where they are
    python -m vasa_core.device.measure FOLDER --json OUT.json            # on the machine with the card
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vasa_core import assets
from vasa_core import portrait as portraits
from vasa_core.blinks import Blinker
from vasa_core.clock import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from vasa_core.controls import Controls, constant
from vasa_core.decoder import Decoder
from vasa_core.device.choice import device_named
from vasa_core.device.frames import WHOLE_BATCH, Drawer, Moment
from vasa_core.device.motion import DeviceMotion, DeviceSpeech
from vasa_core.device.posing import enlarged
from vasa_core.errors import BadInput, BadOption
from vasa_core.landmarks import CROP_PX
from vasa_core.latents import Motion
from vasa_core.motion import load_motion_model
from vasa_core.portrait import Portrait
from vasa_core.refinement import FaceNetworks, load_networks
from vasa_core.render import poses, within_view
from vasa_core.resting import Rest
from vasa_core.speech import bilabial, clearness, load_speech_encoder, silence
from vasa_core.stream import LIVE, WHOLE, Pace, motion_windows
from vasa_core.surface import Surface, load_surface
from vasa_core.trailing import Trail

PORTRAIT_FILE, SOUND_FILE = "portrait.safetensors", "sound.safetensors"
FIDELITY_FROM, FIDELITY_STEP = 10, 5
"""Frames of the performance that are compared with the processor's: from this one on, each so many apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceFigures:
    """What was measured. Frames are 512 x 512, made from sound, in the processor's memory."""

    machine: str
    frames: int
    offline_fps: float
    """Sound to frames, all of it there beforehand; once warm."""
    motion_fps: float
    drawing_fps: float
    """Frames alone, motion given."""
    drawing_plain_fps: float
    """The same without recordings (CUDA graphs)."""
    stream_fps: float
    frame_p50_ms: float
    frame_p95_ms: float
    frame_p99_ms: float
    """From frame to frame while streaming; stretches of several frames arrive at once."""
    stretch_p99_ms: float
    """From stretch to stretch, a frame's share: what a player that holds one stretch feels."""
    first_frame_ms: float
    """From the last sound that it needs, warm."""
    ready_s: float
    """Portrait made ready and all recorded, before the first frame."""
    stages_ms: dict[str, float]
    """A frame's share of a batch, one stage after the other, each waited for."""
    device_memory_mb: float
    whole_db: float
    mouth_db: float
    """PSNR of frames against the processor's own, the network in full precision."""


@dataclass(frozen=True, kw_only=True)
class Rig:
    """All that is measured: models on the device, a portrait and a voice."""

    device: torch.device
    portrait: Portrait
    sound: Float[Tensor, " sample"]
    surface: Surface
    networks: FaceNetworks
    speech: DeviceSpeech
    motion: DeviceMotion


def pack(portrait: Portrait, sound: Float[Tensor, " sample"], folder: Path) -> None:
    """Writes what `rig` reads; the picture that the portrait was cut from stays behind."""
    folder.mkdir(parents=True, exist_ok=True)
    portraits.save(replace(portrait, picture=portrait.crop), folder / PORTRAIT_FILE)
    save_file({"samples": sound.contiguous()}, folder / SOUND_FILE)


def rig_of(folder: Path, device: torch.device) -> Rig:
    """The rig of what was packed."""
    try:
        sound = load_file(folder / SOUND_FILE)["samples"]
    except (FileNotFoundError, SafetensorError, KeyError):
        raise BadInput(f"{folder} holds no packed portrait and sound: write it with vasa bench --pack.") from None
    return rig(portraits.load(folder / PORTRAIT_FILE), sound, device)


def rig(portrait: Portrait, sound: Float[Tensor, " sample"], device: torch.device) -> Rig:
    """The shipped weights on the device."""
    return Rig(
        device=device,
        portrait=portrait,
        sound=sound,
        surface=load_surface(assets.weights("surface.safetensors")),
        networks=load_networks(assets.weights("face.safetensors"), exact=True),
        speech=DeviceSpeech(load_speech_encoder(assets.weights("speech.safetensors")), device),
        motion=DeviceMotion(load_motion_model(assets.weights("motion.safetensors")), device),
    )


def measure(subject: Rig, seconds: float = 30.0, tries: int = 5) -> DeviceFigures:
    """Makes this many seconds of the voice, over and over if need be, in every way."""
    begun = time.perf_counter()
    drawer = Drawer(subject.device, subject.networks)
    moments = list(_wanted(subject, _motions(subject, _chunks(subject, seconds), WHOLE)))
    given = [moment for moment in moments if moment is not None]
    _all(_drawn(subject, drawer, given[:1], live=False))
    _all(_drawn(subject, drawer, given[:1], live=True))
    ready_s = time.perf_counter() - begun
    motion_s = _spent(subject, lambda: _all(_motions(subject, _chunks(subject, seconds), WHOLE)))
    drawing_s = _spent(subject, lambda: _all(_drawn(subject, drawer, given, live=False)))
    plain = Drawer(subject.device, subject.networks, recorded=False)
    few = given[: 4 * WHOLE_BATCH]
    _all(_drawn(subject, plain, few[:1], live=False))
    plain_s = _spent(subject, lambda: _all(_drawn(subject, plain, few, live=False)))
    offline_s = _spent(subject, lambda: _all(_spoken(subject, drawer, seconds, WHOLE)))
    arrivals = np.array([time.perf_counter() for _ in _spoken(subject, drawer, seconds, LIVE)])
    gaps_ms = 1000 * np.diff(arrivals)
    stretches_ms = 1000 * np.diff(arrivals[:: LIVE.hop_of(0)]) / LIVE.hop_of(0)
    whole_db, mouth_db = _fidelity(subject, drawer, given)
    return DeviceFigures(
        machine=_machine(subject.device),
        frames=len(given),
        offline_fps=len(given) / offline_s,
        motion_fps=len(given) / motion_s,
        drawing_fps=len(given) / drawing_s,
        drawing_plain_fps=len(few) / plain_s,
        stream_fps=(len(arrivals) - 1) / max(float(arrivals[-1] - arrivals[0]), 1e-9),
        frame_p50_ms=_percentile(gaps_ms, 50),
        frame_p95_ms=_percentile(gaps_ms, 95),
        frame_p99_ms=_percentile(gaps_ms, 99),
        stretch_p99_ms=_percentile(stretches_ms, 99),
        first_frame_ms=1000 * float(np.median([_first_frame_s(subject, drawer) for _ in range(tries)])),
        ready_s=ready_s,
        stages_ms=_stages(subject, plain, given, tries),
        device_memory_mb=_memory_mb(subject.device),
        whole_db=whole_db,
        mouth_db=mouth_db,
    )


# ---- the chain ---------------------------------------------------------------------------------------------------


def _chunks(subject: Rig, seconds: float) -> Iterator[Tensor]:
    """The voice over and over, one video frame's worth at a time."""
    for k in range(round(seconds * FRAME_RATE_HZ)):
        at = (k * SAMPLES_PER_FRAME) % (len(subject.sound) - SAMPLES_PER_FRAME)
        yield subject.sound[at : at + SAMPLES_PER_FRAME]


def _motions(subject: Rig, chunks: Iterable[Tensor], pace: Pace) -> Iterator[Motion]:
    """Sound to motion, as the studio does it."""
    curve, generator = constant(Controls()), torch.Generator().manual_seed(0)
    features = subject.speech.listen(chunks, pace.hop_of(subject.motion.config.window))
    made_from, heard = itertools.tee(features)
    windows = motion_windows(made_from, curve, subject.motion, generator, pace)
    rested = Rest(subject.surface, silence, bilabial, clearness).change(windows, heard)
    return Blinker(subject.surface, np.random.default_rng(0)).change(rested, curve)


def _wanted(subject: Rig, motions: Iterable[Motion]) -> Iterator[Moment | None]:
    trail = Trail()
    for motion in motions:
        for wished, dynamics in poses(motion):
            pose = within_view(wished, subject.portrait)
            yield pose, dynamics, trail(pose)
        yield None


def _drawn(subject: Rig, drawer: Drawer, wanted: Iterable[Moment | None], live: bool) -> Iterator[np.ndarray]:
    return drawer.frames(subject.portrait, subject.surface, CROP_PX, wanted, live)


def _spoken(subject: Rig, drawer: Drawer, seconds: float, pace: Pace) -> Iterator[np.ndarray]:
    wanted = _wanted(subject, _motions(subject, _chunks(subject, seconds), pace))
    return _drawn(subject, drawer, wanted, live=pace is LIVE)


def _first_frame_s(subject: Rig, drawer: Drawer) -> float:
    """Seconds from the last chunk that the first frame waited for to that frame."""
    handed = [0.0]

    def noted() -> Iterator[Tensor]:
        for chunk in _chunks(subject, 4.0):
            handed[0] = time.perf_counter()
            yield chunk

    wanted = _wanted(subject, _motions(subject, noted(), LIVE))
    with closing(drawer.frames(subject.portrait, subject.surface, CROP_PX, wanted, live=True)) as frames:
        next(frames)
        return time.perf_counter() - handed[0]


# ---- figures -----------------------------------------------------------------------------------------------------


def _stages(subject: Rig, drawer: Drawer, given: list[Moment], tries: int) -> dict[str, float]:
    """Milliseconds of each stage of a batch, a frame's share, least of some tries; not recorded, so that each can be
    waited for."""
    batches = drawer.ready(subject.portrait, subject.surface, CROP_PX, live=False)
    decoder, batch, mends = batches.decoder, batches.batch, batches.decoder.mends
    assert mends
    filled = (given * (batch // len(given) + 1))[:batch]
    told = [torch.from_numpy(np.stack(part)).to(subject.device) for part in zip(*filled, strict=True)]
    least: dict[str, float] = {}

    def timed(name: str, step: Callable):
        start = time.perf_counter()
        made = step()
        _wait(subject.device)
        spent = 1000 * (time.perf_counter() - start) / batch
        least[name] = min(least.get(name, np.inf), spent)
        return made

    with torch.inference_mode():
        for _ in range(tries):
            found = timed("poses", lambda: decoder.posing(*told))
            warps, _ = timed("rasteriser and warp", lambda found=found: decoder.warping(found, decoder.rooms))
            contours = [part.openings(enlarged(found.projected, decoder.zoom)) for part in decoder.parts]
            mouth = (warps.picture, found, decoder.posing, contours[0], decoder.rooms.mouth)
            timed("mouth", lambda mouth=mouth: decoder.mouths.draw(*mouth))
            for eye, contour in zip(decoder.eyes, contours[1:], strict=True):
                drawn = (warps.picture, found, decoder.posing, contour)
                timed("one eye", lambda eye=eye, drawn=drawn: eye.draw(*drawn))
            sight = (warps, contours, decoder._fine_windows())
            fine = timed("fine sight", lambda sight=sight: decoder.sights.fine(*sight))
            coarse, _ = timed("coarse sight", lambda found=found: decoder.sights.coarse(found, decoder.rooms))
            seen = (warps, fine, coarse)
            pictures = timed("network and blend", lambda seen=seen: mends(*seen))
            timed("to the processor", lambda pictures=pictures: pictures.to(torch.uint8).cpu())
    return least


def _fidelity(subject: Rig, drawer: Drawer, given: list[Moment]) -> tuple[float, float]:
    """PSNR (dB), whole and around the mouth, against the compiled decoder."""
    chosen = given[FIDELITY_FROM :: max(FIDELITY_STEP, len(given) // 8)][:8] or given[:1]
    decoder = Decoder(subject.portrait, subject.surface, subject.networks)
    lips = subject.portrait.landmarks[[61, 291, 0, 17]]
    margin = float(np.ptp(lips[:, 0])) / 3
    (x0, y0), (x1, y1) = np.maximum(lips.min(0) - margin, 0).astype(int), (lips.max(0) + 2 * margin).astype(int)
    errors = []
    for moment, frame in zip(chosen, _drawn(subject, drawer, chosen, live=False), strict=True):
        errors.append((decoder.frame(*moment).astype(np.float32) - frame) ** 2)
    around = [error[y0:y1, x0:x1] for error in errors]
    return _psnr_db(float(np.mean(errors))), _psnr_db(float(np.mean(around)))


def _percentile(values: np.ndarray, share: float) -> float:
    return float(np.percentile(values, share)) if len(values) else 0.0  # a trial of a moment has no gaps


def _psnr_db(mean_square: float) -> float:
    return float(10 * np.log10(255**2 / max(mean_square, 1e-9)))


def _all(items: Iterable[object]) -> None:
    for _ in items:
        pass


def _spent(subject: Rig, work: Callable[[], object]) -> float:
    _wait(subject.device)
    start = time.perf_counter()
    work()
    _wait(subject.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory_mb(device: torch.device) -> float:
    return torch.cuda.max_memory_reserved(device) / 1e6 if device.type == "cuda" else 0.0


def _machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor, by the card's road"
    return f"{name}, torch {torch.__version__}"


def report(figures: DeviceFigures) -> str:
    """The figures as a table."""
    rows = []
    for name, value in asdict(figures).items():
        if isinstance(value, dict):
            rows += [f"  {stage:<24}{spent:9.3f}  ms a frame" for stage, spent in value.items()]
        else:
            rows.append(f"{name:<24}{value:>12.1f}" if isinstance(value, float) else f"{name:<24}{value:>12}")
    return "\n".join(rows)


def write(figures: DeviceFigures, path: Path) -> None:
    """The figures as JSON."""
    path.write_text(json.dumps(asdict(figures), indent=1) + "\n")


def main() -> None:
    """Measures what was packed on the device asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="written by vasa bench --pack")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or torch-cpu to try it without a card")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the video that is made")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    try:
        device = device_named(asked.device)
        if device is None:
            raise BadOption("this measures the graphics card's road: vasa bench measures the processor's.")
        figures = measure(rig_of(asked.folder, device), asked.seconds, asked.tries)
    except BadInput as refusal:
        parser.exit(refusal.exit_code, f"{refusal}\n")
    print(report(figures))
    if asked.json:
        write(figures, asked.json)


if __name__ == "__main__":
    main()
