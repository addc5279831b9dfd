"""The progress bar of an indexing run: files, chunks a second, time left.

It is drawn on standard error and only on a terminal; elsewhere nothing is drawn.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from minisearch.types import IndexProgress


class Progress:
    """A progress bar; use it as a context manager and hand `update` to the run."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._started_s: float | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task("", total=None, state="loading the model", rate="")
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
        self._started_s = self._started_s or time.perf_counter()
        elapsed_s = time.perf_counter() - self._started_s
        self._bar.update(
            self._task,
            total=done.n_bytes,
            completed=done.n_bytes_done,
            state=f"{done.n_files_done:,}/{done.n_files:,} files",
            rate=f"{done.n_chunks_done / elapsed_s:,.0f} chunks/s" if elapsed_s > 1 else "",
        )


def _bar() -> Bar:
    # Here, because `minisearch query` and `minisearch status` draw no bar and need not import one.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("indexing"),
        BarColumn(),  # counts bytes: files differ too much in size for a steady guess of the time left
        TextColumn("{task.fields[state]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
