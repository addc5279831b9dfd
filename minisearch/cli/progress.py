"""The progress bar of an indexing run: files, what it is at, chunks a second, time left.

It is drawn on standard error and only on a terminal; elsewhere nothing is drawn.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn, TaskID

    from minisearch.types import IndexProgress

N_RECENT = 8


class Pace:
    """How fast a run has lately been, and how long it still takes at that.

    Looked at only when chunks were encoded: files that rush by because they have not changed, and the time
    that loading the model takes, say nothing about what is left.  Times are seconds of any one clock.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, IndexProgress]] = deque(maxlen=N_RECENT)

    def saw(self, done: IndexProgress, now_s: float) -> None:
        """Take in how far the run has come."""
        if done.n_chunks_done > (self._recent[-1][1].n_chunks_done if self._recent else 0):
            self._recent.append((now_s, done))

    def chunks_per_s(self) -> float | None:
        """None as long as that cannot be told."""
        if len(self._recent) < 2:
            return None
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        return (last.n_chunks_done - first.n_chunks_done) / max(last_s - first_s, 1e-3)

    def left_s(self, now_s: float) -> float | None:
        """Seconds to the end, None as long as that cannot be told."""
        if len(self._recent) < 2:
            return None
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        n_bytes = last.n_bytes_done - first.n_bytes_done
        if not n_bytes:  # one huge document, so far
            return None
        left_s = (last.n_bytes - last.n_bytes_done) * (last_s - first_s) / n_bytes
        return max(0.0, left_s - (now_s - last_s))


class Progress:
    """A progress bar; use it as a context manager and hand `update` to the run."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._bar = _bar(self._pace)
            self._task = self._bar.add_task("", total=None, state="looking for files", rate="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Wipe the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(self, done: IndexProgress) -> None:
        """Show how far a run has come."""
        if self._bar is None or self._task is None:
            return
        self._pace.saw(done, time.monotonic())
        rate = self._pace.chunks_per_s()
        self._bar.update(
            self._task,
            total=done.n_bytes,
            completed=done.n_bytes_done,
            state=f"{done.n_files_done:,}/{done.n_files:,} files, {done.doing}",
            rate="" if rate is None else f"{rate:,.0f} chunks/s",
        )


def _bar(pace: Pace) -> Bar:
    # Here, because `minisearch query` and `minisearch status` draw no bar and need not import one.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("indexing"),
        BarColumn(),  # counts bytes: files differ too much in size for a steady guess of the time left
        TextColumn("{task.fields[state]}"),
        TextColumn("{task.fields[rate]}"),
        _time_left(pace),
        console=Console(stderr=True),
        transient=True,
    )


def _time_left(pace: Pace) -> ProgressColumn:
    """A column that counts down; rich's own is misled by files that rush by."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class TimeLeft(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002 - rich's signature
            left_s = pace.left_s(time.monotonic())
            return Text("" if left_s is None else f"{clock(left_s)} left")

    return TimeLeft()


def clock(seconds: float) -> str:
    """Minutes and seconds, hours where there are any.

    >>> clock(65), clock(3_725)
    ('1:05', '1:02:05')
    """
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
