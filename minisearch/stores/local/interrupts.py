"""Run long database work so that Ctrl-C ends it at once.

Python handles a signal between two bytecodes, and one SQL statement may take many seconds: a thread runs the
statement, and ``interrupt`` ends it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from minisearch.threads import DaemonThread

INTERRUPTED_EVERY_S = 0.02

T = TypeVar("T")


def interruptible(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """The result of ``work``; after a signal, ``interrupt`` is called until the work has ended.

    Raises what the work raises, and MemoryError where its thread could not begin or end.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[T] = []
    errors: list[BaseException] = []
    is_cancelled = threading.Event()

    def run() -> None:
        if is_cancelled.is_set():
            return
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = DaemonThread(run)
    try:
        # Not an executor: a signal that came while it starts its thread would wait for all of the work.
        thread.start()
        thread.join()
    except BaseException:
        is_cancelled.set()
        while thread.is_alive():
            with contextlib.suppress(KeyboardInterrupt, SystemExit):  # an impatient user
                interrupt()
                thread.join(INTERRUPTED_EVERY_S)
        raise
    if errors:
        raise errors[0]
    if not results:
        raise MemoryError
    return results[0]
