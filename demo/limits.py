"""How much one account, and all of them together, may ask of this machine; every number can be set from outside."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from threading import Lock
from typing import Any

from vasa_core.errors import BadOption, Busy

PREFIX = "VASA_LIMIT_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of one installation. `VASA_LIMIT_SOUND_S=120` sets `sound_s`, and so on."""

    sound_s: float = 60.0
    """Longest sound of a clip, in seconds."""
    text_letters: int = 600
    """Longest sentence to be spoken by the machine voice."""
    upload_bytes: int = 20_000_000
    picture_pixels: int = 40_000_000
    """Refused by the file's header, before anything is decoded."""
    size_px: int = 1024
    steps: int = 50
    """Most denoising steps of a clip."""
    queued_per_account: int = 5
    queued_in_all: int = 100
    clips_per_hour: int = 40
    stills_per_minute: int = 240
    uploads_per_hour: int = 60
    verifications_per_minute: int = 12
    """Of one address, on the public page."""
    live_s: float = 120.0
    """A live session ends by itself after this many seconds, so that others get the device."""
    job_s: float = 1800.0
    """A job that takes longer is stopped."""
    wait_s: float = 30.0
    """How long a picture waits for a busy device before it is refused."""
    worker_bytes: int = 12_000_000_000
    """Memory of the worker on a CPU; beyond it the job at hand fails and the machine lives on."""
    uploads_kept_s: float = 24 * 3600.0
    clips_kept_s: float = 30 * 24 * 3600.0

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            if not getattr(self, name) > 0:
                raise BadOption(f"{PREFIX}{name.upper()} must be a number above 0, not {getattr(self, name)}.")


def limits_from(environment: Mapping[str, str]) -> Limits:
    """The limits, with what the environment sets; a misspelled name is refused."""
    known = {f"{PREFIX}{f.name.upper()}": f for f in fields(Limits)}
    given = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
    if unknown := sorted(given.keys() - known.keys()):
        raise BadOption(f"There is no limit {unknown[0]}; there are {', '.join(sorted(known))}.")
    numbers: dict[str, Any] = {known[name].name: _number(name, text) for name, text in given.items()}
    return Limits(**numbers)


def _number(name: str, text: str) -> float | int:
    try:
        number = float(text)
    except ValueError:
        raise BadOption(f"{name} must be a number, not '{text}'.") from None
    return int(number) if number.is_integer() else number


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` events a `seconds` for each key, counted over a sliding window, in this process."""

    count: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Hashable, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _lock: Lock = field(default_factory=Lock)

    def allows(self, key: Hashable) -> bool:
        """Counts one event, unless it would be one too many."""
        with self._lock:
            now, seen = self.clock(), self._seen[key]
            while seen and seen[0] <= now - self.seconds:
                seen.popleft()
            if len(seen) >= self.count:
                return False
            seen.append(now)
            self._forget(now)
            return True

    def check(self, key: Hashable, what: str) -> None:
        """Refuses one event too many, saying which."""
        if not self.allows(key):
            raise Busy(f"At most {self.count} {what} in {_span(self.seconds)}; wait a little and try again.")

    def _forget(self, now: float) -> None:
        """Keys without recent events go, so that a flood of addresses does not fill the memory."""
        if len(self._seen) > 10_000:
            for key in [k for k, seen in self._seen.items() if not seen or seen[-1] <= now - self.seconds]:
                del self._seen[key]


def _span(seconds: float) -> str:
    return {60: "a minute", 3600: "an hour"}.get(int(seconds), f"{seconds:g} seconds")
