"""A whole database copied, and the file beside it or beside its place to be that a copy is made in.

That file has one name, and its owner alone can read it: what a killed process has left of it is removed by
whoever next writes to that database, or makes one there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from minisearch.errors import IndexBusy
from minisearch.stores.local.files import PRIVATE, open_regular
from minisearch.stores.local.lock import is_acquired

PAGES_AT_ONCE = 2_000  # some 10 ms
_BESIDE = ("-journal", "-wal", "-shm", ".seal", ".seal.tmp")
_BUSY, _LOCKED = 5, 6  # SQLite's codes, which `sqlite3` names from Python 3.11 on


def copy_pages(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    *,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Make one database what another is at this moment; a signal is answered meanwhile. sqlite3.Error."""

    def stop_if_in_vain(status: int, *_: object) -> None:
        if is_interrupted():
            raise sqlite3.OperationalError("interrupted")
        if status in (_BUSY, _LOCKED):  # Python would wait for ever
            raise sqlite3.OperationalError("database is busy")

    is_snapshot = source.in_transaction
    if not is_snapshot:
        source.execute("begin")
    try:
        source.execute("select count(*) from sqlite_master").fetchone()  # the moment: else writers restart it
        source.backup(target, pages=PAGES_AT_ONCE, progress=stop_if_in_vain)
    finally:
        if not is_snapshot:
            source.rollback()


def unfinished(path: Path) -> Path:
    """Where a database that is to be at the path is made."""
    return path.with_name(f"{path.name}.unfinished")


def remove_unfinished(path: Path) -> None:
    """Remove what a killed process may have left there."""
    _remove(unfinished(path), "", *_BESIDE)


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """An empty file of one's own to make the database in, which is gone at the end unless it was moved.

    IndexBusy where another process is making it, OSError.
    """
    file = unfinished(path)
    descriptor = open_regular(file, os.O_RDWR | os.O_CREAT)  # closed after every connection: see files.py
    try:
        if not _is_ours(descriptor, file):
            raise IndexBusy(f"another process is writing to {file}: wait until it has finished")
        try:
            os.ftruncate(descriptor, 0)
            os.fchmod(descriptor, PRIVATE)
            _remove(file, *_BESIDE)
            yield file
        finally:
            remove_unfinished(path)
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int, file: Path) -> bool:
    """Whether this process alone has the file, and it has this one name: not that of a finished database."""
    if not is_acquired(descriptor):
        return False
    found = os.fstat(descriptor)
    return found.st_nlink == 1 and os.path.lexists(file) and os.path.samestat(found, file.lstat())


def _remove(file: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        with contextlib.suppress(OSError):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
