"""Work that may be long in one step of SQLite's, ended at once by Ctrl-C.

Python answers a signal between two of its own steps, and one statement may take many seconds: a thread does
the work, and whoever knows how breaks it off.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

INTERRUPTED_EVERY_S = 0.02

T = TypeVar("T")


def interruptible(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """What the work gives; ``interrupt`` is called until it has ended, should a signal come."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    # Here, because a query need not wait for its import.
    from concurrent.futures import ThreadPoolExecutor, wait

    with ThreadPoolExecutor(1) as executor:
        done = executor.submit(work)
        try:
            return done.result()
        except BaseException:
            while not done.done():  # every statement that follows is broken off too
                with contextlib.suppress(KeyboardInterrupt, SystemExit):  # an impatient user
                    interrupt()
                    wait([done], timeout=INTERRUPTED_EVERY_S)
            raise
