"""Threads and forked processes: locks that are free after a fork, and methods that a coroutine can await.

A forked child has a copy of all memory and one thread.  A lock that another thread held stays locked in it
for ever, and connections and descriptors belong to the parent.  So what must be new in a child is registered
here: `Turn` for locks, `Pool` for objects that threads share, `after_fork` for anything else.  `no_fork` is
for what a fork must not interrupt.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Threads that search one index at the same time.  Each has a connection, with its own copy of the vectors
# that were added since the vector index was built.
N_AT_ONCE = max(2, min(8, os.cpu_count() or 1))

FORK_WAIT_S = 10.0  # a fork does not wait longer for a block to end
CLOSE_WAIT_S = 60.0  # `Pool.close` does not wait longer for other threads
IDLE_S = 60.0  # a free object is closed after this time: it may hold files that have been replaced

_renewals: list[tuple[weakref.ref[Any], Callable[[Any], None]]] = []
_renewals_lock = threading.RLock()  # a registration may be interrupted by a destructor that registers too


def after_fork(owner: T, renew: Callable[[T], None]) -> None:
    """Call ``renew(owner)`` in every child that is forked while ``owner`` lives."""
    with _renewals_lock:
        _renewals[:] = [one for one in _renewals if one[0]() is not None]
        _renewals.append((weakref.ref(owner), renew))


class NoFork:
    """``with no_fork:`` lets a fork in another thread wait until the block ends.

    Then no call of SQLite is interrupted in the child, and the child can close the connections of its parent.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_inside: Counter[int] = Counter()  # by thread
        self._n_forking = 0
        self.is_kept = True  # False in a child whose parent did not wait for all blocks

    def __enter__(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            while self._n_forking and not self._n_inside[thread]:
                self._changed.wait()
            self._n_inside[thread] += 1

    def __exit__(self, *_: object) -> None:
        thread = threading.get_ident()
        with self._changed:
            self._n_inside[thread] -= 1
            if not self._n_inside[thread]:
                del self._n_inside[thread]
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Keep other threads out, and wait for those inside."""
        thread = threading.get_ident()
        with self._changed:
            self._n_forking += 1
            self.is_kept = self._changed.wait_for(lambda: not self._n_inside.keys() - {thread}, FORK_WAIT_S)

    def in_parent(self) -> None:
        """Let other threads in again."""
        with self._changed:
            self._n_forking -= 1
            self._changed.notify_all()

    def in_child(self) -> None:
        """Forget the threads that only the parent has."""
        self._changed, self._n_forking = threading.Condition(), 0
        for thread in self._n_inside.keys() - {threading.get_ident()}:
            del self._n_inside[thread]


no_fork = NoFork()


def _in_child() -> None:
    global _renewals_lock
    _renewals_lock = threading.RLock()
    no_fork.in_child()
    for reference, renew in _renewals:
        owner = reference()
        if owner is not None:
            renew(owner)


os.register_at_fork(before=no_fork.before_fork, after_in_parent=no_fork.in_parent, after_in_child=_in_child)


class Turn:
    """A reentrant lock for threads that take turns; free in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        after_fork(self, Turn._renew)

    def _renew(self) -> None:
        if self._lock.acquire(blocking=False):  # it is free, or the thread that forked holds it
            self._lock.release()
        else:
            self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Pool(Generic[T]):
    """Up to ``size`` objects, each used by one thread at a time; all are free in a forked child.

    ``renewed`` is called with a free object, or with None if there is none, and returns the one to use.  A
    thread that already has an object gets another one at once, beyond ``size`` if need be.
    """

    def __init__(self, size: int, renewed: Callable[[T | None], T], close: Callable[[T], None]) -> None:
        self._size, self._renewed, self._close = size, renewed, close
        self._free: list[tuple[float, T]] = []  # with the time since which each is free
        self._set_free()
        after_fork(self, Pool._set_free)

    def _set_free(self) -> None:
        self._changed = threading.Condition()
        self._users: Counter[int] = Counter()  # how many objects each thread has
        self._is_closing = False

    @contextmanager
    def one(self) -> Iterator[T]:
        """An object for this thread, as soon as there is one."""
        changed, thread = self._changed, threading.get_ident()
        with changed:
            changed.wait_for(lambda: self._users[thread] or self._has_room())
            self._users[thread] += 1
            found = self._free.pop()[1] if self._free else None
        try:
            found = self._renewed(found)
            yield found
        finally:
            if changed is self._changed:  # not in a child that was forked meanwhile
                self._take_back(found, thread)

    def _has_room(self) -> bool:
        return len(self._users) < self._size and not self._is_closing

    def _take_back(self, found: T | None, thread: int) -> None:
        now_s = time.monotonic()
        with self._changed:
            self._users[thread] -= 1
            if not self._users[thread]:
                del self._users[thread]
            idle = [one for since_s, one in self._free if now_s - since_s > IDLE_S]
            self._free = [free for free in self._free if now_s - free[0] <= IDLE_S]
            if found is not None:
                self._free.append((now_s, found))
            self._changed.notify_all()
        for one in idle:
            self._close(one)

    def close(self) -> None:
        """Close all objects, as soon as no other thread uses any; later calls of `one` make new ones."""
        with self._changed:
            self._is_closing = True
            try:
                self._changed.wait_for(self._is_unused, CLOSE_WAIT_S)
                while self._free:
                    self._close(self._free.pop()[1])
            finally:
                self._is_closing = False
                self._changed.notify_all()

    def _is_unused(self) -> bool:
        """Whether no other thread uses an object; the caller may be a signal handler inside `one`."""
        others = self._users.keys() - {threading.get_ident()}
        return others.isdisjoint(thread.ident for thread in threading.enumerate())


def in_thread(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The method as a coroutine: it runs in a thread, while the event loop goes on.

    If the coroutine is cancelled, a call that has begun still runs to its end, and its result is dropped.
    """

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        import asyncio  # only a program with an event loop needs it

        return await asyncio.to_thread(method, *args, **kwargs)

    call.__doc__ = f"`{method.__name__}`, to be awaited: it runs in a thread, while the event loop goes on."
    return call


def is_alive(pid: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
