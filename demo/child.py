"""A process beside the server that does what may crash: JSON messages to and from it, and one restart away from health.

JSON and not pickle: what decodes strangers' pictures and sounds must not be able to run code in the server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

Sent = tuple[dict[str, Any], bytes]
"""A message and the bytes that go with it."""


class ChildDied(Exception):
    """The process ended in the middle of something: killed, out of memory, or crashed in a library."""


class Line:
    """One end of the wire: messages with bytes, whole or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, message: Mapping[str, Any], payload: bytes = b"") -> None:
        """Sends one message; ChildDied where nobody listens any more."""
        head = json.dumps(message).encode()
        try:
            self._connection.send_bytes(len(head).to_bytes(4, "little") + head + payload)
        except (OSError, ValueError):
            raise ChildDied from None

    def receive(self, timeout_s: float | None = None) -> Sent | None:
        """The next message; None when none came in time; ChildDied at the end of the line."""
        try:
            if not self._connection.poll(timeout_s):
                return None
            received = self._connection.recv_bytes()
        except (OSError, EOFError):
            raise ChildDied from None
        end = 4 + int.from_bytes(received[:4], "little")
        return json.loads(received[4:end]), received[end:]

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


class Child:
    """A running process of ours: `python -m MODULE`, at the other end of `line`."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        ours, theirs = Pipe()
        command = [sys.executable, "-m", module, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            # idle threads of OpenBLAS spin; each clip's threads would leave a heap of their own half empty
            env={"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", **os.environ, **environment},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at the server's terminal is for the server, which tells us to end
        )
        theirs.close()
        self.line = Line(ours)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def end(self, patience_s: float = 0.0) -> None:
        """Hangs up, and kills what does not end by itself in time."""
        self.line.close()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def line_to_parent() -> Line:
    """The child's end of the wire, as the command line names it."""
    return Line(Connection(int(sys.argv[1])))


def hush_native_logs() -> None:
    """Lets only Python write to the server's log: MediaPipe's C++ parts write notes to descriptor 2."""
    ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = ours


def bound_memory(most_bytes: int | None) -> None:
    """This process gets no more than so much memory of its own from here on; if the machine runs out, it goes first."""
    import resource

    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        Path("/proc/self/oom_score_adj").write_text("800")
    except OSError:
        return  # not Linux, or not allowed: the limit above still holds
