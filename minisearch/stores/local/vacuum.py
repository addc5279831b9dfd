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

from minisearch.stores.local.copying import copy_pages, remove_unfinished, unfinished
from minisearch.stores.local.files import create_private
from minisearch.stores.local.opening import open_database


def vacuum(db: sqlite3.Connection, path: Path, *, is_interrupted: Callable[[], bool]) -> None:
    """Write an open database anew, or leave it as it is: sqlite3.Error, OSError."""
    copy = unfinished(path)
    remove_unfinished(path)
    try:
        create_private(copy)
        db.execute("vacuum into ?", [str(copy)])
        with contextlib.closing(open_database(copy, "mode=ro")) as vacuumed:
            remove_unfinished(path)
            copy_pages(vacuumed, db, is_interrupted=is_interrupted)
    finally:
        remove_unfinished(path)
