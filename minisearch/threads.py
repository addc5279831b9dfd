"""A daemon thread whose start does not wait for ever when memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable

START_TIMEOUT_S = 10.0


class DaemonThread(threading.Thread):
    """Runs ``work`` in a thread that does not keep the process from ending.

    `threading.Thread.start` waits, without a limit, for the first steps of the new thread.  When memory runs
    out in these steps the thread ends, and `start` never returns: `minisearch index` hung in this way.
    """

    def __init__(self, work: Callable[[], None], *, name: str | None = None) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self._started = _LimitedEvent()  # what `start` waits for

    def start(self) -> None:
        """Start the thread; MemoryError where it cannot begin."""
        try:
            super().start()
        except RuntimeError as error:  # "can't start new thread"
            raise MemoryError from error


class _LimitedEvent(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:
        if not super().wait(START_TIMEOUT_S if timeout is None else timeout):
            raise MemoryError
        return True
