"""Progress on standard error: the steps of a long command, and an indexing run with its speed and time left.

Counts come in; a bar on a terminal, or now and then a plain line elsewhere, goes out.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from minisearch.cli.terminal import fitting, one_line, width
from minisearch.text import count

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.live import Live
    from rich.table import Table

    from minisearch.types import IndexProgress

RECENT_S = 30.0  # the speed is the mean of this time
NARROWEST_BAR, WIDEST_BAR = 8, 40
FIRST_LINE_S, LINE_S = 10.0, 60.0  # in a pipe: when the first line is printed, and then how often


class StepCounter:
    """The current step of a long command: a line that changes on a terminal, else lines or none."""

    def __init__(self, *, prints_lines: bool = False) -> None:
        self._step = ""
        self._prints_lines = prints_lines
        self._is_terminal = sys.stderr.isatty()
        self._next_line_s = time.monotonic() + FIRST_LINE_S

    def __enter__(self) -> StepCounter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the line."""
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def update(self, step: str, n_done: int, n: int) -> None:
        """Show the progress of a step: a new line only for a new step."""
        is_new, self._step = step != self._step, step
        counter = f"  {n_done:,}/{n:,}" if self._is_terminal and n > 1 else ""
        self.show(step + counter, is_due=is_new)

    def show(self, line: str, *, is_due: bool | None = True) -> None:
        """Show a line: on a terminal at once, elsewhere if it is due; with None, at most one a minute."""
        now_s = time.monotonic()
        if self._is_terminal:
            line = line[: fitting(line, shutil.get_terminal_size().columns - 1)]
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)
        elif self._prints_lines and (is_due or (is_due is None and now_s >= self._next_line_s)):
            click.echo(line, err=True)
            self._next_line_s = now_s + LINE_S if is_due is None else self._next_line_s


# --- an indexing run ---------------------------------------------------------------------------------


class Pace:
    """The recent speed of an indexing run, and the time that is left at that speed.

    Only steps that encoded chunks count: unchanged files, and loading the model, say nothing about the time
    that is left.  Times are seconds of any one clock, which stands while the model is loaded.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, IndexProgress]] = deque()
        self._loading_s = 0.0  # so far
        self._loading_since_s: float | None = None

    def _working_s(self, now_s: float) -> float:
        return (now_s if self._loading_since_s is None else self._loading_since_s) - self._loading_s

    def add(self, done: IndexProgress, now_s: float) -> None:
        """Add the progress at a time."""
        if self._loading_since_s is not None:
            self._loading_s += now_s - self._loading_since_s
        self._loading_since_s = now_s if done.is_loading else None
        now_s, recent = self._working_s(now_s), self._recent
        if done.n_chunks_done > (recent[-1][1].n_chunks_done if recent else 0):
            recent.append((now_s, done))
            while len(recent) > 2 and recent[1][0] < now_s - RECENT_S:
                recent.popleft()

    def chunks_per_s(self) -> float | None:
        """The speed, None while it is unknown."""
        if len(self._recent) < 2:
            return None
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        return (last.n_chunks_done - first.n_chunks_done) / max(last_s - first_s, 1e-3)

    def left_s(self, done: IndexProgress, now_s: float) -> float | None:
        """Seconds to the end, None while unknown; they count down between two steps."""
        chunks_per_s = self.chunks_per_s()
        if chunks_per_s is None or done.n_chunks is None:
            return None
        last_s, last = self._recent[-1]
        left_s = (done.n_chunks - last.n_chunks_done) / chunks_per_s
        return max(0.0, left_s - (self._working_s(now_s) - last_s))


class Progress:
    """The progress of an indexing run on standard error; a context manager.

    On a terminal it is a bar and the file at work.  Elsewhere, with ``prints_lines``, it is a line after ten
    seconds and then every minute.
    """

    def __init__(self, *, is_shown: bool = True, prints_lines: bool = False) -> None:
        self._is_shown = is_shown
        self._prints_lines = prints_lines
        self._pace = Pace()
        self._live: Live | None = None
        self._next_line_s = time.monotonic() + FIRST_LINE_S
        self.done: IndexProgress | None = None

    def __enter__(self) -> Progress:
        if self._is_shown and sys.stderr.isatty():
            # Imported here: `minisearch query` and `minisearch status` draw no bar.
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self, console=Console(stderr=True), transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the bar, and print no more lines."""
        self._prints_lines = False
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, done: IndexProgress) -> None:
        """Take over the progress; the callback of an indexing run."""
        now_s = time.monotonic()
        self._pace.add(done, now_s)
        self.done = done
        if self._prints_lines and self._is_shown and now_s >= self._next_line_s and not sys.stderr.isatty():
            self._next_line_s = now_s + LINE_S
            click.echo(f"{self._counts(done, now_s)}, {self._files(done)}", err=True)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Table]:
        """The two lines on a terminal; drawn again several times a second."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        done, now_s, columns = self.done, time.monotonic(), options.max_width
        first, second, bar = "looking for files", "", ProgressBar(pulse=True)
        if done:
            n_done, n = done.n_chunks_done, done.n_chunks
            if not n:  # nothing is embedded so far
                n_done, n = done.n_bytes_done, done.n_bytes
            first, second = self._counts(done, now_s), f"{self._files(done)}, {done.doing}"
            bar = ProgressBar(total=max(n, n_done, 1), completed=n_done)
            if done.path:
                second += f" {last_part(done.path, columns - len(second) - 1)}"
        bar.width = min(WIDEST_BAR, columns - len(first) - 1)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(*[bar] * (bar.width >= NARROWEST_BAR), Text(first, no_wrap=True, overflow="ellipsis"))
        yield grid
        below = Table.grid()
        below.add_row(Text(second, no_wrap=True, overflow="ellipsis"))
        yield below

    def _counts(self, done: IndexProgress, now_s: float) -> str:
        """Passages, speed and time left, where they are known."""
        n = "" if done.n_chunks is None else f" of {'about ' * done.is_estimate}{done.n_chunks:,}"
        parts = [f"{done.n_chunks_done:,}{n} passages"]
        if (rate := self._pace.chunks_per_s()) is not None:
            parts.append(f"{rate:,.0f} a second")
        if left_s := self._pace.left_s(done, now_s):
            parts.append(f"{clock(left_s)} left")
        return ", ".join(parts)

    @staticmethod
    def _files(done: IndexProgress) -> str:
        return f"{done.n_files_done:,} of {count(done.n_files, 'file')}"


def last_part(path: str, columns: int) -> str:
    """The end of a path, from the current folder if it is below it, in so many columns.

    >>> last_part("/a/long/path/notes.md", 12)
    '…th/notes.md'
    """
    shown = one_line(path.removeprefix(f"{os.getcwd()}/"))  # noqa: PTH109 - a text of any bytes
    if width(shown) <= columns:
        return shown
    n = fitting(shown[::-1], max(0, columns - 1))
    return f"…{shown[len(shown) - n :]}"


def clock(seconds: float) -> str:
    """Minutes and seconds, hours where there are any.

    >>> clock(65), clock(3_725)
    ('1:05', '1:02:05')
    """
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
