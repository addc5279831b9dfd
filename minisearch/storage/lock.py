"""The one writer of an index folder: whoever holds its lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from minisearch.errors import IndexBusy, IndexNotWritable


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's one writer lock; IndexBusy at once when another process does.

    The operating system lets go of it when its holder dies, however that happens.
    """
    lock = FileLock(folder / "writer.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise IndexBusy(f"another minisearch is writing to {folder}: wait until it has finished") from None
    except OSError as error:
        raise IndexNotWritable(
            f"cannot write to {folder}: {error.strerror}; check its permissions and the free space, "
            f"or choose another folder with --index"
        ) from error
    try:
        yield
    finally:
        lock.release()
