"""The one writer of an index folder: whoever holds its lock.

The operating system lets go of it when its holder dies, however that happens; the file says who that is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from minisearch.errors import IndexBusy, IndexNotWritable
from minisearch.stores.local.files import PRIVATE, free_space, open_regular

WAIT_S = 3.0  # for two short runs at once, such as a watcher's and one by hand; a long one is not waited for
_POLL_S = 0.05


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's one writer lock; IndexBusy, with the holder's process, after waiting for `WAIT_S`."""
    try:
        descriptor = _open(folder / "writer.lock")
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        try:
            _acquire(descriptor, folder)
        except OSError as error:  # a file system without locks
            raise _not_writable(folder, error) from error
        with contextlib.suppress(OSError):  # a full disk
            os.pwrite(descriptor, f"{os.getpid():>10}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _open(path: Path) -> int:
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    with contextlib.suppress(PermissionError):  # another user's
        os.fchmod(descriptor, PRIVATE)
    return descriptor


def _acquire(descriptor: int, folder: Path) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not is_acquired(descriptor):
        if time.monotonic() >= deadline_s:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise IndexBusy(
                f"index busy (pid {holder}): another minisearch is writing to {folder}: "
                f"wait until it has finished"
            )
        time.sleep(_POLL_S)


def is_acquired(descriptor: int) -> bool:
    """Lock an open file, unless another process has; OSError where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _not_writable(folder: Path, error: OSError) -> IndexNotWritable:
    return IndexNotWritable(
        f"cannot write to {folder}: {error.strerror or error}; check its permissions and the free space "
        f"({free_space(folder)}), or choose another folder with --index"
    )
