"""Private files, complete writes, and the lock that allows one writer for each index folder.

Links are not followed, and only the owner may read written files.

`hold` and `release` are for the database itself.  SQLite's locks belong to the process: closing any
descriptor of the file, even one that only read it, releases the locks of all connections in this process
(https://sqlite.org/howtocorrupt.html, 2.2).  Another process could then remove the log while they use it.
So the descriptors of a database stay open while any connection to it is open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minisearch.errors import IndexBusy, IndexNotWritable
from minisearch.threads import Turn

PRIVATE = 0o600


@dataclass
class _Held:
    n_connections: int = 0
    descriptors: dict[tuple[int, int], int] = field(default_factory=dict)  # by device and inode


# Shared by the whole process, like the locks.
_turn = Turn()
_held: dict[str, _Held] = {}
_locks: set[int] = set()  # descriptors of writer locks


def _forget() -> None:
    """In a forked child: close the copies of descriptors, which keeps the locks of the parent."""
    for descriptor in (*_locks, *(one for held in _held.values() for one in held.descriptors.values())):
        os.close(descriptor)
    _locks.clear()
    _held.clear()


os.register_at_fork(after_in_child=_forget)


def hold(path: Path) -> None:
    """Call this before a connection to a database is opened."""
    with _turn:
        _held.setdefault(os.path.realpath(path), _Held()).n_connections += 1


def release(path: Path) -> None:
    """Call this after that connection was closed."""
    with _turn:
        held = _held[name := os.path.realpath(path)]
        held.n_connections -= 1
        if not held.n_connections:
            del _held[name]
            for descriptor in held.descriptors.values():
                os.close(descriptor)


def descriptor_of(path: Path) -> int:
    """A descriptor for reading a held database; do not close it. OSError if there is no file."""
    with _turn:
        descriptors = _held[os.path.realpath(path)].descriptors
        found = path.lstat()
        key = found.st_dev, found.st_ino
        if key not in descriptors:
            descriptor = open_regular(path)
            found = os.fstat(descriptor)  # another file may be there by now
            key = found.st_dev, found.st_ino
            descriptors[key] = descriptor
        return descriptors[key]


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file; OSError for a link, a pipe or a device."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a file")
    return descriptor


def create_private(path: Path) -> None:
    """An empty file that only its owner may open, unless there is one."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        try:
            os.fchmod(descriptor, PRIVATE)
        finally:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; not for the database: see above."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


FEW_INODES = 20  # a run needs some at the same time


def free_space(folder: Path) -> str:
    """The free space, in words for a message; a disk without inodes takes no more files either."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return "free space unknown"
    free = f"{found.f_bavail * found.f_frsize:,} bytes free"
    is_short = found.f_files and found.f_favail < FEW_INODES  # some file systems do not count them
    return f"{free}, but inodes for only {found.f_favail} more files" if is_short else free


WAIT_S = 3.0  # enough for a short run of a watcher; a long run is not waited for
_POLL_S = 0.05


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's one writer lock; IndexBusy, with the holder's process, after waiting for `WAIT_S`."""
    try:
        descriptor = open_regular(folder / "writer.lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _no_lock(folder, error) from error
    _locks.add(descriptor)
    try:
        with contextlib.suppress(PermissionError):  # another user's
            os.fchmod(descriptor, PRIVATE)
        try:
            _acquire(descriptor, folder)
        except OSError as error:  # a file system without locks
            raise _no_lock(folder, error) from error
        with contextlib.suppress(OSError):  # a full disk
            os.pwrite(descriptor, f"{os.getpid():>10}\n".encode(), 0)
        yield
    finally:
        if descriptor in _locks:  # not in a child that was forked here
            _locks.remove(descriptor)
            os.close(descriptor)  # and with it the lock


def _acquire(descriptor: int, folder: Path) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline_s:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise IndexBusy(
                    f"index busy (pid {holder}): another minisearch is writing to {folder}: "
                    f"wait until it has finished"
                ) from error
        time.sleep(_POLL_S)


def _no_lock(folder: Path, error: OSError) -> IndexNotWritable:
    return IndexNotWritable(
        f"cannot write to {folder}: {error.strerror or error}; check its permissions and the free space "
        f"({free_space(folder)}), or choose another folder with --index"
    )
