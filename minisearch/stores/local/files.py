"""Files beside SQLite's: no link is followed, only the owner may read, what is written is whole.

`hold` and `release` are for the database itself.  SQLite's locks belong to the process: closing any
descriptor of the file, also one that only read it, lets go of those that all connections here hold
(https://sqlite.org/howtocorrupt.html, 2.2), and another process may then take the log away from under them.
So a database's descriptors stay open until no connection is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

PRIVATE = 0o600


@dataclass
class _Held:
    n_connections: int = 0
    descriptors: dict[tuple[int, int], int] = field(default_factory=dict)  # by device and inode


# State of the process, as the locks are.
_turn = threading.Lock()
_held: dict[str, _Held] = {}


def hold(path: Path) -> None:
    """Call it before a connection to a database is opened."""
    with _turn:
        _held.setdefault(_name(path), _Held()).n_connections += 1


def release(path: Path) -> None:
    """Call it after that connection was closed."""
    with _turn:
        held = _held[_name(path)]
        held.n_connections -= 1
        if not held.n_connections:
            del _held[_name(path)]
            for descriptor in held.descriptors.values():
                os.close(descriptor)


def descriptor_of(path: Path) -> int:
    """A descriptor to read a held database with; it is not to be closed. OSError where there is no file."""
    with _turn:
        held = _held[_name(path)]
        found = path.lstat()
        key = found.st_dev, found.st_ino
        if key not in held.descriptors:
            descriptor = open_regular(path)
            found = os.fstat(descriptor)  # another file may be there by now
            held.descriptors[found.st_dev, found.st_ino] = descriptor
            return descriptor
        return held.descriptors[key]


def _name(path: Path) -> str:
    return os.path.realpath(path)


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = PRIVATE) -> int:
    """A descriptor of a file that is one; OSError for a link, and for a pipe instead of waiting for ever."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
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


def write_whole(path: Path, content: bytes) -> None:
    """Put a private file at the path that is on the disk, or leave what is there; OSError."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        create_private(temporary)
        descriptor = open_regular(temporary, os.O_WRONLY)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk; not for the database: see above."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_space(folder: Path) -> str:
    """The room there is, in words for a message."""
    try:
        return f"{shutil.disk_usage(folder).free:,} bytes free"
    except OSError:
        return "free space unknown"
