"""A database written anew, without the room and the bytes of what is gone.

It is what SQLite's VACUUM does, but that nothing can stop at its end: that a copy takes the place of the
database.  The copy is made in the index folder, where its owner alone can read; of a writer that is killed
it stays, until the next one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from minisearch.storage.files import create_private
from minisearch.storage.opening import open_database

PAGES_AT_ONCE = 2_000  # some 10 ms
_BUSY, _LOCKED = 5, 6  # SQLite's codes, which `sqlite3` names from Python 3.11 on


def vacuum(db: sqlite3.Connection, path: Path, *, is_interrupted: Callable[[], bool]) -> None:
    """Write an open database anew, or leave it as it is: sqlite3.Error, OSError."""

    def stop_if_in_vain(status: int, *_: object) -> None:
        if is_interrupted():
            raise sqlite3.OperationalError("interrupted")
        if status in (_BUSY, _LOCKED):  # Python would wait for ever
            raise sqlite3.OperationalError("database is busy")

    copy = _copy_of(path)
    remove_copy(path)
    try:
        create_private(copy)
        db.execute("vacuum into ?", [str(copy)])
        with contextlib.closing(open_database(copy, "mode=ro")) as vacuumed:
            remove_copy(path)
            vacuumed.backup(db, pages=PAGES_AT_ONCE, progress=stop_if_in_vain)
    finally:
        remove_copy(path)


def remove_copy(path: Path) -> None:
    """Remove what a killed writer may have left beside the database."""
    copy = _copy_of(path)
    for file in (copy, copy.with_name(f"{copy.name}-journal")):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.vacuumed")
