"""The process that holds the models and does the work, one thing at a time: `python -m demo.worker`.

Consent is asked for here again, at the moment of the work, and by the release door while it runs. A crash here costs
the job at hand; the server starts another worker.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import sys
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from demo.child import ChildDied, Line, Sent, bound_memory, hush_native_logs, line_to_parent
from demo.requests import ClipRequest, LiveRequest, StillRequest, Wishes, controls_from
from vasa_core import assets
from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.errors import BadOption, BadSound, VasaError

if TYPE_CHECKING:
    from vasa_core.controls import ControlCurve, Controls
    from vasa_core.portrait import Portrait
    from vasa_core.studio import Studio
    from vasa_core.trust.consent import Grant
    from vasa_core.trust.registry import Registry

PORTRAITS_KEPT = 6
TELL_S = 0.1
"""Progress is told at most this often."""
LATE_S = 1.2
"""A frame is late when its sound was heard so long ago: the stream's own half second, and as much again."""
MOST_LEFT_OUT = 11
"""Of a row of late frames every twelfth is drawn."""
LIVE_REFINED_CORES = 4
"""With fewer, browser and engine share them: live then shows the bare warp, clips and stills are refined everywhere."""

LIVE_SIZES = (384, 256, 192)
"""Steps down from the size asked for, while frames come late."""
GRACE_S = 10.0
"""How long the work may take to stop once the server is gone."""
VOICES = "espeak-ng"
MEMORY = "VASA_WORKER_BYTES"
"""Set in the environment by the server, where memory is to be bounded."""


class Cancelled(Exception):
    """Who asked for this no longer wants it, or the server is gone."""


class Hearing:
    """What the server sends while we work: a thread reads, so that a cancellation is seen between two frames."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.tasks: queue.Queue[Sent | None] = queue.Queue()
        self.live: queue.Queue[Sent | None] = queue.Queue()
        self.heard_s = 0.0
        """Seconds of sound that have arrived in a live session, whether or not they were listened to yet."""
        self.stop = Event()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while received := self._line.receive():
                message, _ = received
                if message["do"] == "cancel":
                    self.stop.set()
                    self.live.put(None)
                elif message["do"] in ("sound", "controls", "end"):
                    self.heard_s += len(received[1]) / 4 / SAMPLE_RATE_HZ
                    self.live.put(received)
                elif message["do"] == "live":
                    self.live, self.heard_s = queue.Queue(), 0.0
                    self.tasks.put(received)
                else:
                    self.tasks.put(received)
        except ChildDied:
            pass
        self.stop.set()
        self.live.put(None)
        self.tasks.put(None)
        time.sleep(GRACE_S)
        os._exit(1)  # the work did not notice: nobody is left to want it

    def check(self) -> None:
        """Stops the work when it is no longer wanted."""
        if self.stop.is_set():
            raise Cancelled


@dataclass
class Worker:
    """One device's models, and what is asked of them."""

    studio: Studio
    registry: Registry
    line: Line
    hearing: Hearing
    _portraits: OrderedDict[tuple[str, int], Portrait] = field(default_factory=OrderedDict)
    _told: float = 0.0

    def run(self) -> None:
        """Does what is asked until the server hangs up."""
        doing: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "clip": self._clip, "still": self._still, "live": self._live,
            "consent": self._consent,
        }  # fmt: skip
        while (received := self.hearing.tasks.get()) is not None:
            asked, _ = received
            self.hearing.stop.clear()
            self.line.send(self._answer(doing[asked["do"]], asked))

    def _answer(self, work: Callable[[dict[str, Any]], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"done": work(asked)}
        except Cancelled:
            return {"cancelled": True}
        except VasaError as refusal:
            return {"refused": str(refusal), "kind": type(refusal).__name__}
        except Exception as fault:
            if isinstance(fault, MemoryError) or "allocate memory" in str(fault):  # torch raises a RuntimeError
                return {"failed": "This needed more memory than there is; try a smaller size or a shorter sound."}
            traceback.print_exc()
            return {"failed": "Something went wrong while this was made; try again, or with another portrait or sound."}

    # ---- the three kinds of work -----------------------------------------------------------------------------------

    def _clip(self, asked: dict[str, Any]) -> dict[str, Any]:
        request = ClipRequest(**asked["request"])
        out, made_sound = Path(asked["out"]), Path(asked["out"]).with_suffix(".wav")
        self._watch("speech", 0.0)
        try:
            sound = self._sound(request, asked["sound"], made_sound, asked["sound_s"])
            portrait = self._portrait(Path(asked["portrait"]))
            grant = self._grant(portrait, "speak", asked, request.controls, request.curve)
            curve = self._curve(controls_from(request.controls), request.curve, sound)
            released = self.studio.speak(
                portrait, sound, out, curve, consent=grant, seed=request.seed, fps=request.fps, size=request.size,
                full_picture=request.full_picture, progress=False, watch=self._watch,
            )  # fmt: skip
        finally:
            made_sound.unlink(missing_ok=True)
        self._watch("signing", 1.0)
        kept = timedelta(seconds=asked["kept_s"])
        clip = self.registry.keep_clip(grant, released.path, asked["owner"], asked["title"], keep_for=kept)
        made = {"duration_s": round(released.duration_s, 3), "seconds": released.seconds, "frames": released.frames}
        return {"clip": clip.id, "made": made}

    def _still(self, asked: dict[str, Any]) -> dict[str, Any]:
        from vasa_core.trust.release import release_still

        request = StillRequest(**asked["request"])
        portrait = self._portrait(Path(asked["portrait"]))
        grant = self._grant(portrait, "look", asked, {}, None)
        picture = self.studio.look(
            portrait, yaw=request.yaw, pitch=request.pitch, roll=request.roll,
            gaze=(request.gaze_yaw, request.gaze_pitch), expression=dict(request.expression), size=request.size,
        )  # fmt: skip
        released = release_still(picture, Path(asked["out"]), grant, house=self.studio.house, photo=_photo(asked))
        return {"path": str(released.path), "consent": grant.consent_id}

    def _live(self, asked: dict[str, Any]) -> dict[str, Any]:
        from vasa_core.trust.release import release_live

        request = LiveRequest(**asked["request"])
        portrait = self._portrait(Path(asked["portrait"]))
        grant = self._grant(portrait, "speak", asked, request.controls, None)
        wishes, pace = _LiveWishes(request.controls, self._moods(asked)), _LivePace(self.hearing, request.size)
        self.line.send({"live": "ready"})
        moments = self.studio.stream(
            portrait, self._heard(wishes), lambda second: wishes.now, seed=request.seed, size=request.size,
            late=pace.is_late, refined=(os.cpu_count() or 1) >= LIVE_REFINED_CORES,
        )  # fmt: skip
        sent = 0
        shown: deque[float] = deque()  # the door may look ahead: seconds wait here for their frames

        def pictures() -> Iterator[np.ndarray]:
            for moment in moments:
                self.hearing.check()
                shown.append(moment.second)
                yield pace.fitting(moment.picture)

        with closing(moments):
            for jpeg in release_live(pictures(), grant, house=self.studio.house):
                self.line.send({"frame": sent, "at_s": shown.popleft(), "heard_s": self.hearing.heard_s}, jpeg)
                sent += 1
        return {"frames": sent}

    def _moods(self, asked: dict[str, Any]) -> Callable[[str], None]:
        """Refuses a mood that the consent of a live session does not cover."""
        if asked["consent"] is None:
            return lambda mood: None
        record = self.registry.consent(asked["consent"])
        return lambda mood: record.check_covers("speak", asked.get("language"), (mood,))

    # ---- consent ---------------------------------------------------------------------------------------------------

    def _consent(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Keeps a consent once its evidence was looked at."""
        from vasa_core.pictures import load_picture

        picture, owner = load_picture(asked["portrait"]), asked["owner"]
        if asked["how"] == "statement":
            evidence = self.registry.signed_statement(Path(asked["document"]), owner)
        else:
            evidence = self.registry.captured(asked["challenge"], Path(asked["video"]), picture, owner)
        record = self.registry.record_consent(
            picture,
            name=asked["name"],
            statement=asked["statement"],
            purposes=asked["purposes"],
            languages=asked["languages"],
            emotions=asked["emotions"],
            expires_on=date.fromisoformat(asked["until"]),
            recorded_by=owner,
            evidence=evidence,
        )
        return {"consent": record.id}

    # ---- what they share -------------------------------------------------------------------------------------------

    def _watch(self, stage: str, share: float) -> None:
        self.hearing.check()
        now = time.monotonic()
        if share in (0.0, 1.0) or now - self._told > TELL_S:
            self._told = now
            self.line.send({"stage": stage, "share": round(share, 4)})

    def _portrait(self, path: Path) -> Portrait:
        """Ready to move; the last few are kept, since people try one portrait again and again."""
        key = (str(path), path.stat().st_mtime_ns)
        if key not in self._portraits:
            self._portraits[key] = self.studio.portrait(path)
            while len(self._portraits) > PORTRAITS_KEPT:
                self._portraits.popitem(last=False)
        self._portraits.move_to_end(key)
        return self._portraits[key]

    def _grant(
        self, portrait: Portrait, purpose: str, asked: dict[str, Any], wishes: Wishes, curve: str | None
    ) -> Grant:
        """Leave for exactly this: whose face, what for, in which language and moods."""
        return self.registry.grant(
            portrait.picture,
            purpose,
            asked_by=asked["owner"],
            language=asked.get("language"),
            emotions=emotions_of(wishes, curve),
            portrait_path=Path(asked["portrait"]),
            consent_id=asked["consent"],
        )

    def _curve(self, controls: Controls, curve: str | None, sound: Path) -> Controls | ControlCurve:
        if curve is None:
            return controls
        from demo.presets import CURVES

        if curve not in CURVES:
            raise BadOption("There is no such curve.")
        return CURVES[curve](controls, _seconds(sound))

    def _sound(self, request: ClipRequest, path: str | None, made: Path, longest_s: float) -> Path:
        sound = Path(path) if path else spoken(request.text or "", request.language or "en", made)
        if _seconds(sound) > longest_s:
            raise BadSound(f"The sound is longer than {longest_s:g} seconds; shorten it.")
        return sound

    def _heard(self, wishes: _LiveWishes) -> Iterator[Any]:
        """The voice as it comes in; between its pieces the wishes change."""
        import torch

        coming = self.hearing.live
        while (received := coming.get()) is not None:
            message, payload = received
            if message["do"] == "end":
                return
            if message["do"] == "controls":
                wishes.change(message["controls"])
                continue
            samples = np.frombuffer(payload, dtype="<f4")
            yield torch.from_numpy(np.nan_to_num(samples).clip(-1, 1))
        raise Cancelled


class _LiveWishes:
    """The controls as they are now, in a live session."""

    def __init__(self, wishes: Wishes, check_mood: Callable[[str], None]) -> None:
        self.now, self._check_mood = controls_from(wishes), check_mood

    def change(self, wishes: dict[str, Any]) -> None:
        """Other wishes; impossible ones, and moods that nobody agreed to, leave things as they are."""
        try:
            asked = controls_from(wishes)
            self._check_mood(asked.emotion)
            self.now = asked
        except VasaError:
            return


class _LivePace:
    """What keeps a live session in time: late frames are left out, and where many are, smaller ones are made."""

    def __init__(self, hearing: Hearing, size: int) -> None:
        self._hearing, self._size, self._left_out = hearing, size, 0
        self._late: deque[bool] = deque(maxlen=FRAME_RATE_HZ)

    def is_late(self, second: float) -> bool:
        """Whether a frame of this second of the sound is left out: it would come too long after it was heard.

        Some are drawn however late, so that on a machine too busy to keep up the face still moves.
        """
        late = self._hearing.heard_s - second > LATE_S
        self._late.append(late)
        smaller = [size for size in LIVE_SIZES if size < self._size]
        if smaller and len(self._late) == FRAME_RATE_HZ and sum(self._late) * 3 > FRAME_RATE_HZ:
            self._size = smaller[0]
            self._late.clear()
        self._left_out = self._left_out + 1 if late and self._left_out < MOST_LEFT_OUT else 0
        return self._left_out > 0

    def fitting(self, picture: np.ndarray) -> np.ndarray:
        """The picture at the size that this machine can bear."""
        if picture.shape[0] <= self._size:
            return picture
        return cv2.resize(picture, (self._size, self._size), interpolation=cv2.INTER_AREA)


def emotions_of(wishes: Wishes, curve: str | None) -> tuple[str, ...]:
    """Every mood that a request can show: the one asked for, and what its curve turns it into."""
    from vasa_core.controls import Controls

    asked = str(wishes.get("emotion", "neutral"))
    if curve is None:
        return (asked,)
    from demo.presets import CURVES

    if curve not in CURVES:
        return (asked,)
    shown = CURVES[curve](Controls(emotion=asked), 10.0)
    return tuple(dict.fromkeys([asked, *(shown(second / 2).emotion for second in range(21))]))


def _photo(asked: dict[str, Any]) -> Path | None:
    """The photograph of a person, which the credentials then name; our own cast are no photographs."""
    return Path(asked["portrait"]) if asked["consent"] is not None else None


def spoken(text: str, language: str, out: Path) -> Path:
    """The text said by espeak-ng, where that is installed."""
    if shutil.which(VOICES) is None:
        raise BadOption("No machine voice is installed here (espeak-ng); record or upload a sound instead.")
    command = [VOICES, "-v", language, "-w", str(out), "--stdin"]
    said = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60, check=False)
    if said.returncode or not out.is_file():
        raise BadOption(f"The machine voice does not speak '{language}'; choose another language.")
    return out


def _seconds(sound: Path) -> float:
    """How long a sound is, as it decodes."""
    from vasa_core.audio import load_sound

    return len(load_sound(sound)) / SAMPLE_RATE_HZ


def _warm(worker: Worker) -> None:
    """Loads and compiles everything once, on one of our own cast: the first person waits no longer than others."""
    studio = worker.studio
    studio.look(worker._portrait(assets.portraits()[0]), size=128)
    samples = np.zeros(SAMPLE_RATE_HZ // FRAME_RATE_HZ * 12, np.float32)
    import torch

    for _ in studio.stream(worker._portrait(assets.portraits()[0]), [torch.from_numpy(samples)], size=128):
        break


def main() -> None:
    """Loads the models, then serves the server."""
    hush_native_logs()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    line = line_to_parent()
    try:
        bound_memory(int(os.environ[MEMORY]) if MEMORY in os.environ else None)
        from vasa_core.studio import Studio
        from vasa_core.trust.house import House

        house = House.at()
        worker = Worker(Studio(house=house), house.registry, line, Hearing(line))
        _warm(worker)
        line.send({"ready": True})
        worker.run()
    except ChildDied:
        return
    except VasaError as refusal:
        line.send({"fatal": str(refusal)})


if __name__ == "__main__":
    main()
