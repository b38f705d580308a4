"""A real server of ours in a house of its own, and browsers without a screen that talk to it: for the demo's tests."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from conftest import REPOSITORY

PASSWORD = "correct horse battery staple"
LOOKS = 1500
PEOPLE = (
    ("anna", "administrator"),
    ("rita", "reviewer"),
    ("rolf", "reviewer"),
    ("vera", "viewer"),
    ("mallory", "viewer"),
)


@dataclass
class House:
    """A folder with a registry and accounts, and the server that runs on it."""

    home: Path
    port: int = field(default_factory=lambda: free_port())
    environment: dict[str, str] = field(default_factory=dict)
    server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def add(self, *people: tuple[str, str]) -> None:
        """Accounts (name, role), all with the same password."""
        from vasa_core.trust.accounts import Accounts

        registry = self.registry()
        accounts = Accounts(registry.audit)
        for name, role in people:
            accounts.add(name, role, PASSWORD, by="tests")
        registry.close()

    def registry(self):
        from vasa_core.trust.registry import Registry

        return Registry.open(self.environment.get("VASA_DATABASE"), self.home)

    def start(self, *, ready: bool = True) -> None:
        """The server as `make app` starts it; waits until its models are loaded too."""
        here = {"VASA_HOME": str(self.home), "VASA_PORT": str(self.port)}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VASA_")} | here | self.environment
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "demo"]
            self.server = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        self.wait(ready=ready)

    def wait(self, *, ready: bool = True) -> None:
        """Looks a limited number of times: a machine that is asleep meanwhile loses no test."""
        for _ in range(LOOKS):
            assert self.server is not None and self.server.poll() is None, self.log.read_text()
            with suppress(httpx.TransportError):
                health = httpx.get(f"{self.url}/health", timeout=5).json()
                if health["ready"] or not ready:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(how)
            self.server.wait(200)
        self.server = None

    def worker_pids(self) -> list[int]:
        """The worker processes of this server, or of a server that died."""
        return [pid for pid in processes(b"demo.worker") if str(self.home).encode() in environment_of(pid)]

    def browser(self, name: str | None = None) -> Browser:
        browser = Browser(self.url)
        if name is not None:
            assert browser.sign_in(name).status_code == 303
        return browser


class Browser(httpx.Client):
    """What a browser sends: cookies, its page's origin, and the session's word where our own scripts show it."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, timeout=60, headers={"Origin": url}, event_hooks={"response": [self._look]})
        self.csrf = ""
        self.read: list[str] = []

    def _look(self, answer: httpx.Response) -> None:
        """Remembers what was read: a test may ask whether anything leaked."""
        if not answer.headers.get("content-type", "").startswith(("text/event-stream", "video/", "image/")):
            answer.read()
            self.read.append(answer.text[:100_000])

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        word = hidden_word(self.get("/login").text)
        answer = self.post("/login", data={"name": name, "password": password, "csrf": word})
        if answer.status_code == 303:
            self.csrf = token_of(self)
            self.headers["X-CSRF"] = self.csrf
        return answer

    def upload(self, content: bytes, kind: str, name: str = "file") -> httpx.Response:
        return self.post("/uploads", files={"file": (name, content)}, data={"kind": kind})

    def finish(self, job_id: str) -> dict:
        """The job once it is over."""
        for _ in range(LOOKS):
            job = self.get(f"/jobs/{job_id}").json()
            if job["state"] not in ("queued", "running"):
                return job
            time.sleep(0.1)
        raise AssertionError(f"still {job}")


def hidden_word(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page[:500]
    return found[1]


def token_of(browser: Browser) -> str:
    return browser.get("/session").json()["csrf"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes(word: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word in (entry / "cmdline").read_bytes().split(b"\0") and b"Z" not in state_of(entry):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def state_of(entry: Path) -> bytes:
    return (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()[0]


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def voice(seconds: float = 0.4, pitch_hz: float = 140.0) -> bytes:
    """A short buzz as a WAV file: enough for lips to move."""
    t = np.arange(round(16_000 * seconds)) / 16_000
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 20)) * np.hanning(len(t))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((buzz / 3 * 32767).clip(-32768, 32767).astype("<i2").tobytes())
    return out.getvalue()


QUICK = {"size": 128, "fps": 10, "controls": {"steps": 1}}
"""A clip that costs little: for tests of everything around the engine."""


@contextmanager
def running(home: Path, *people: tuple[str, str], **environment: str) -> Iterator[House]:
    """A house with people in it and its server running."""
    house = House(home, environment=environment)
    house.add(*people)
    house.start()
    try:
        yield house
    finally:
        house.stop()
