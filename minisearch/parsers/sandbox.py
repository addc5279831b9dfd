"""Extract the contents of a file in a process of its own, which may crash, hang or grow without harm here.

A format and a file's bytes come in; the contents come out as plain values, which the caller must check.  The
process (`sandbox_child`) starts with the first file and is kept for the next ones.  When it crashes, takes
too long or answers nonsense, it is ended: its file gets a reason, and the next file a fresh process.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minisearch
from minisearch.errors import CutShort, IngestError, TookTooLong
from minisearch.threads import Turn

BOOT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from minisearch.parsers.sandbox_child import main
main(*json.loads(sys.argv[2]))
"""
ROOT = str(Path(minisearch.__file__).parents[1])
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
POLL_S = 0.1  # how often a waiting caller looks at the clock
NONSENSE = "its reader gave an invalid answer"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take: seconds, seconds of processor time, memory, and text."""

    wall_s: float = 30
    cpu_s: int = 20
    memory_bytes: int = 1 << 30
    answer_bytes: int = 50_000_000


class Sandbox:
    """A process that extracts one file at a time; threads wait for one another."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        # Ends the process, at the latest with its owner.
        self._ended: weakref.finalize[..., Any] = weakref.finalize(self, int)
        self._parent_pid = 0
        self._lock = Turn()

    def extract(self, format_: str, label: str, data: bytes) -> dict[str, Any]:
        """The contents of a file, from the ``extract`` of the module ``format_``; messages call it ``label``.

        Raises IngestError with the reason when there is no answer, `CutShort` where another try may give one.
        """
        with self._lock:
            try:
                answer = self._answer(format_, label, data)
            except BaseException:
                self._end()
                raise
            if answer.get("is_last"):
                self._end()
        if "reason" in answer:
            words = " ".join(str(answer["reason"]).split())
            raise IngestError("".join(c if c.isprintable() else "\ufffd" for c in words)[:300])
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
        return self._process.pid if self._process else None

    def _answer(self, format_: str, label: str, data: bytes) -> dict[str, Any]:
        process = self._started()
        header = json.dumps({"format": format_, "label": label, "n_bytes": len(data)}).encode() + b"\n"
        answers: list[bytes] = []
        has_ended = threading.Event()
        arguments = (process, (header, data), self.limits.answer_bytes + 1, answers, has_ended)
        # `Thread.start` would wait for ever if memory ran out in the first steps of the new thread.
        _thread.start_new_thread(_converse, arguments)
        deadline = time.monotonic() + self.limits.wall_s
        while not has_ended.wait(POLL_S):
            if time.monotonic() > deadline:
                raise TookTooLong(f"the {label} took more than {self.limits.wall_s:g} s to read")
        if not answers or not answers[0]:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
            status = self._end()
            # The file causes too much work; a signal may have another cause, such as a lack of memory.
            kind = IngestError if status == -signal.SIGXCPU else CutShort
            raise kind(self._why_ended(status, label))
        try:
            answer = json.loads(answers[0])
        except (ValueError, RecursionError) as error:
            raise IngestError(NONSENSE) from error
        if not isinstance(answer, dict):
            raise IngestError(NONSENSE)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        """The process that was kept, if it runs and this process started it (no fork did); else a new one."""
        if self._process and self._parent_pid == os.getpid() and self._process.poll() is None:
            return self._process
        self._end()
        # The child finds modules where this process does, except in the current folder.
        here = str(Path.cwd())
        paths = [path for path in sys.path if Path(path).is_absolute() and path != here]
        limits = self.limits
        arguments = [[*paths, ROOT], limits.cpu_s, limits.memory_bytes, limits.answer_bytes]
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment["MALLOC_ARENA_MAX"] = "1"  # each arena reserves much of the limited address space
        # Isolated (-I): neither the current folder nor the environment decides which modules are loaded.
        # A session of its own: Ctrl-C reaches only the parent, which ends the child.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-X", "utf8", "-W", "ignore", "-c", BOOT, ROOT, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        self._parent_pid = os.getpid()
        self._ended = weakref.finalize(self, _end, self._process, self._parent_pid)
        return self._process

    def _why_ended(self, status: int, label: str) -> str:
        if status == -signal.SIGXCPU:
            return f"the {label} took more than {self.limits.cpu_s} s of processor time to read"
        if status == -signal.SIGABRT:  # a library gives up, most often for lack of memory
            more = f"it may need more than {self.limits.memory_bytes / (1 << 30):g} GiB of memory"
            return f"the reader of the {label} gave up (signal 6; {more})"
        if status < 0:
            return f"the reader of the {label} crashed (signal {-status})"
        return f"its reader ended without an answer (exit status {status})"

    def _end(self) -> int:
        """End the process, if there is one; its exit status."""
        self._process = None
        return self._ended() or 0


def _converse(
    process: subprocess.Popen[bytes],
    request: tuple[bytes, bytes],
    max_bytes: int,  # the line break included
    answers: list[bytes],
    has_ended: threading.Event,
) -> None:
    """Send a request and add the answer, one line; nothing where the process ends before."""
    assert process.stdin and process.stdout
    try:
        with suppress(OSError, ValueError):  # the caller may have closed a pipe
            process.stdin.writelines(request)
            process.stdin.flush()
            answers.append(process.stdout.readline(max_bytes))
    finally:
        has_ended.set()


def _end(process: subprocess.Popen[bytes], parent_pid: int) -> int:
    """End a process and forget it; its exit status, or 0 where another process started it."""
    if os.getpid() == parent_pid:
        process.kill()
        process.wait()
    else:
        process.returncode = 0  # otherwise Popen would warn that it still runs
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):
                pipe.close()
    return process.returncode
