"""Processes that write to an index, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


@dataclass
class Ended:
    """How an actor ended: its exit code (negative: the signal), what it had told, and how long it ran."""

    code: int
    put: dict[str, str] = field(default_factory=dict)
    n_put: int = 0
    n_removed: int = 0
    is_done: bool = False
    errors: str = ""
    ended_s: float = 0.0


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.faults.actor", *map(str, arguments)]


def environment(*, held_after: int = 0) -> dict[str, str]:
    """One in which this checkout is imported, and in which an actor waits after so many lines, if any."""
    held = {"HELD_AFTER": str(held_after)} if held_after else {}
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)} | held


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    """A Python process of ours, both of whose outputs are read by whoever waits for it."""
    return subprocess.Popen(
        arguments, env=environment(), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(
    *arguments: object,
    after_lines: int | None = None,
    delay_s: float = 0.0,
    with_signal: signal.Signals = signal.SIGKILL,
    cwd: Path | None = None,
) -> Ended:
    """Let an actor run to its end, or send it a signal ``delay_s`` after its ``after_lines``-th line.

    Without a delay it is sure to be there still: it waits after that line.
    """
    env = environment(held_after=0 if delay_s else after_lines or 0)
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines: list[bytes] = []
        sent_s = time.monotonic()
        errors: list[bytes] = []
        drain = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
        drain.start()
        for line in process.stdout:
            lines.append(line)
            if len(lines) == after_lines:
                time.sleep(delay_s)
                sent_s = time.monotonic()
                process.send_signal(with_signal)
        code = process.wait()
        drain.join()
    ended = Ended(code, errors=b"".join(errors).decode(errors="replace"))
    ended.ended_s = time.monotonic() - sent_s
    for line in lines:
        word, *rest = line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ")
        if word == "put":
            ended.put[" ".join(rest[:-1])] = rest[-1]
            ended.n_put += 1
        elif word == "removed":
            ended.n_removed += int(rest[0])
        ended.is_done |= word == "done"
    return ended
