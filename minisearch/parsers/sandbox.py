"""Extract the contents of a file in a process of its own, which may crash, hang or grow without harm here.

A format and a file's bytes come in; the contents come out as plain values, which the caller must check.  The
process (`sandbox_child`) starts with the first file and is kept for the next ones.  When it crashes, takes
too long or answers nonsense, it is ended: its file gets a reason, and the next file a fresh process.  A
caller that waits can be stopped at any time.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minisearch
from minisearch.errors import CutShort, IngestError, TookTooLong
from minisearch.parsers.contents import FRAME

BOOT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from minisearch.parsers.sandbox_child import main
main(*json.loads(sys.argv[2]))
"""
ROOT = str(Path(minisearch.__file__).parents[1])
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
POLL_S = 0.1  # how often a waiting caller looks whether it was stopped
PART = 1 << 20  # bytes written or read in one call
NONSENSE = "its reader gave an invalid answer"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take: seconds, seconds of processor time, memory, and text."""

    wall_s: float = 30
    cpu_s: int = 20
    memory_bytes: int = 1 << 30
    answer_bytes: int = 50_000_000


class Stopped(Exception):
    """The caller was stopped while it waited for a file."""


_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """In this block and thread, reading a file raises `Stopped` soon after ``stop`` is set."""
    token = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(token)


class Sandbox:
    """A process that extracts one file at a time; threads wait for one another."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def extract(self, format_: str, label: str, data: bytes) -> dict[str, Any]:
        """The contents of a file, from the ``extract`` of the module ``format_``; messages call it ``label``.

        Raises IngestError with the reason when there is no answer, `CutShort` where another try may give one,
        and `Stopped`.
        """
        with self._lock:
            answer = self._answer(format_, label, data)
        if answer.get("is_out_of_memory"):
            raise IngestError(f"the {label} needed more than {self._memory} of memory to read")
        if "reason" in answer:
            raise IngestError(_printable(answer["reason"]))
        contents = answer.get("contents")
        if not isinstance(contents, dict):
            raise IngestError(NONSENSE)
        return contents

    def close(self) -> None:
        """End the process; the next file would start another."""
        with self._lock:
            self._end()

    @property
    def pid(self) -> int | None:
        """The id of the process that waits for the next file, if there is one."""
        return self._child.process.pid if self._child else None

    @property
    def _memory(self) -> str:
        n_bytes = self.limits.memory_bytes
        return f"{n_bytes / (1 << 30):g} GiB" if n_bytes >= 1 << 30 else f"{n_bytes / (1 << 20):g} MiB"

    def _answer(self, format_: str, label: str, data: bytes) -> dict[str, Any]:
        if self._child is not None and self._child.is_usable():
            # A process that was kept may be ended for other reasons than this file.
            with suppress(_Ended):
                return self._ask(self._child, format_, label, data, is_kept=True)
        self._end()
        self._child = _Child(self, self.limits)
        return self._ask(self._child, format_, label, data, is_kept=False)

    def _ask(self, child: _Child, format_: str, label: str, data: bytes, *, is_kept: bool) -> dict[str, Any]:
        deadline = time.monotonic() + self.limits.wall_s
        try:
            child.send([FRAME.pack(len(format_)), format_.encode(), FRAME.pack(len(data)), data], deadline)
            answer = json.loads(child.receive(self.limits.answer_bytes + PART, deadline))
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except TimeoutError as error:
            self._end()
            raise TookTooLong(f"the {label} took more than {self.limits.wall_s:g} s to read") from error
        except (ValueError, RecursionError) as error:
            self._end()
            raise IngestError(NONSENSE) from error
        except _Ended as error:
            status = self._end()
            if is_kept and status in (0, -signal.SIGKILL):
                raise
            # The file causes too much work; a signal may have another cause, such as a lack of memory.
            kind = IngestError if status == -signal.SIGXCPU else CutShort
            raise kind(self._reason(status, label)) from error
        except BaseException:
            self._end()
            raise
        if "contents" not in answer and "reason" not in answer:
            self._end()  # it had no memory left, and may not get it back
        return answer

    def _reason(self, status: int, label: str) -> str:
        """Why the process ended, by its exit status."""
        if status == -signal.SIGXCPU:
            return f"the {label} took more than {self.limits.cpu_s} s of processor time to read"
        if status == -signal.SIGABRT:  # a library gives up, most often for lack of memory
            more = f"it may need more than {self._memory} of memory"
            return f"the reader of the {label} gave up (signal 6; {more})"
        if status < 0:
            return f"the reader of the {label} crashed (signal {-status})"
        return f"its reader ended without an answer (exit status {status})"

    def _end(self) -> int:
        """End the process, if there is one; its exit status."""
        child, self._child = self._child, None
        return (child.end() or 0) if child else 0


class _Ended(Exception):
    """The process ended before it answered."""


class _Child:
    """One process and its pipes; it ends with its owner."""

    def __init__(self, owner: Sandbox, limits: Limits) -> None:
        # The child finds modules where this process does, except in the current folder.
        here = str(Path.cwd())
        paths = [path for path in sys.path if Path(path).is_absolute() and path != here]
        arguments = [[*paths, ROOT], limits.cpu_s, limits.memory_bytes, limits.answer_bytes]
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment["MALLOC_ARENA_MAX"] = "1"  # each arena reserves much of the limited address space
        # Isolated (-I): neither the current folder nor the environment decides which modules are loaded.
        # A session of its own: Ctrl-C reaches only the parent, which ends the child.
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-X", "utf8", "-W", "ignore", "-c", BOOT, ROOT, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        self.parent_pid = os.getpid()
        assert self.process.stdin and self.process.stdout
        self.requests, self.answers = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.requests, False)
        os.set_blocking(self.answers, False)
        self.end = weakref.finalize(owner, _end, self.process, self.parent_pid)

    def is_usable(self) -> bool:
        """Whether it still runs, and this process started it (a fork has only a copy of the object)."""
        return self.parent_pid == os.getpid() and self.process.poll() is None

    def send(self, frames: list[bytes], deadline: float) -> None:
        """Write all frames; raises TimeoutError, or _Ended where the process no longer reads."""
        for frame in frames:
            view = memoryview(frame)
            while view:
                self._wait(self.requests, select.POLLOUT, deadline)
                try:
                    view = view[os.write(self.requests, view[:PART]) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise _Ended from error

    def receive(self, max_bytes: int, deadline: float) -> bytes:
        """Read one frame; raises TimeoutError, _Ended, or ValueError where the frame is longer."""
        (length,) = FRAME.unpack(self._read(FRAME.size, deadline))
        if length > max_bytes:
            raise ValueError("the answer is too long")
        return self._read(length, deadline)

    def _read(self, n_bytes: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < n_bytes:
            self._wait(self.answers, select.POLLIN, deadline)
            with suppress(BlockingIOError):
                part = os.read(self.answers, min(PART, n_bytes - len(data)))
                if not part:
                    raise _Ended
                data += part
        return bytes(data)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        stop = _STOP.get()
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            if poll.poll(1000 * min(left_s, POLL_S)):
                return


def _end(process: subprocess.Popen[bytes], parent_pid: int) -> int:
    """End a process and forget it; its exit status, or 0 where another process started it."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()
    if os.getpid() != parent_pid:
        process.returncode = 0  # otherwise Popen would warn that it still runs
        return 0
    try:
        return process.wait(POLL_S)  # a process that crashed has its own exit status
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _printable(reason: object) -> str:
    """A reason as one printable line."""
    words = " ".join(str(reason).split())
    return "".join(character if character.isprintable() else "\ufffd" for character in words)[:300]
