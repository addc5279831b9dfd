"""Work that may be long in one step of SQLite's, ended at once by Ctrl-C.

Python answers a signal between two of its own steps, and one statement may take many seconds: a thread does
the work, and whoever knows how breaks it off.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

INTERRUPTED_EVERY_S = 0.02

T = TypeVar("T")


def interruptible(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """What the work gives; ``interrupt`` is called until it has ended, should a signal come."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    # Here, because a query need not wait for its import.
    from concurrent.futures import Future

    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    try:
        # Not an executor: a signal that came while it starts its thread would wait for all of the work.
        threading.Thread(target=run, daemon=True).start()
        return done.result()
    except BaseException:
        _end(done, interrupt)
        raise


def _end(done: Future[T], interrupt: Callable[[], None]) -> None:
    """Wait for work that is broken off, if it has begun; every statement that follows is broken off too."""
    from concurrent.futures import wait

    while not (done.cancel() or done.done()):
        with contextlib.suppress(KeyboardInterrupt, SystemExit):  # an impatient user
            interrupt()
            wait([done], timeout=INTERRUPTED_EVERY_S)
