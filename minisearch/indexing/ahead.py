"""An iterable in, the same items out, made ahead of their use by one background thread.

The maker runs at most ``limit`` ahead.  Leaving the block stops it, whatever the reason for leaving; what
it raises is raised where its items are taken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TypeVar

from minisearch.threads import DaemonThread

Item = TypeVar("Item")

# A maker that is stuck, in a read from a network folder that is gone or in one long step of a parser, is not
# waited for longer than this: Ctrl-C is to end a command within two seconds.
PATIENCE_S = 1.0
CHECK_S = 0.5  # how often a reader of the queue looks whether the maker is still there


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing a maker hands over, with what made it stop early."""

    error: BaseException | None = None


@contextmanager
def ahead(
    items: Iterable[Item],
    *,
    limit: int,
    size: Callable[[Item], int] = lambda _: 1,
    stop: threading.Event | None = None,
) -> Iterator[Iterator[Item]]:
    """The items in their order; while one is used, the next are made.

    >>> with ahead(range(3), limit=2) as numbers:
    ...     list(numbers)
    [0, 1, 2]

    The sizes of the items that wait stay below ``limit``, but for the last one.  ``stop`` is set when no
    more are wanted: work on an item that takes long may look at it and give up, by any exception.
    """
    stop = stop or threading.Event()
    # SimpleQueue, since a KeyboardInterrupt cannot leave it locked, as it can a Condition or a Queue.
    made: SimpleQueue[tuple[Item, int] | _End] = SimpleQueue()
    taken: SimpleQueue[int] = SimpleQueue()  # sizes

    def make() -> None:
        waiting = 0
        try:
            for item in items:
                n = size(item)
                made.put((item, n))
                waiting += n
                while waiting >= limit and not stop.is_set():
                    waiting -= taken.get()
                if stop.is_set():
                    break
            made.put(_End())
        except BaseException as error:  # whatever it is, it belongs to whoever takes the items
            made.put(_End(error))

    def take() -> Iterator[Item]:
        while not isinstance(next_ := _next(made, maker), _End):
            item, n = next_
            taken.put(n)
            yield item
        if next_.error is not None:
            raise next_.error

    # A daemon, so that a maker that is stuck does not keep the process from ending.
    maker = DaemonThread(make, name="ahead")
    try:
        maker.start()
        yield take()
    finally:
        stop.set()
        taken.put(0)  # wakes a maker that waits for room
        if maker.is_alive():
            maker.join(PATIENCE_S)


def _next(made: SimpleQueue[tuple[Item, int] | _End], maker: DaemonThread) -> tuple[Item, int] | _End:
    """The next thing the maker hands over; MemoryError where it has ended without memory for a last word."""
    while True:
        try:
            return made.get(timeout=CHECK_S)
        except Empty:  # noqa: PERF203 - at most twice a second
            if not maker.is_alive() and made.empty():
                raise MemoryError from None
