"""Back up a database while a writer works, and restore it.

A backup is one file: SQLite copies one snapshot of the database.  The file gets its name only after it is
complete, checked and synced to disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from minisearch.errors import IndexCorrupt, IndexNotWritable, InputError
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.files import create_private, free_space, sync
from minisearch.stores.local.integrity import check
from minisearch.stores.local.schema import refuse_foreign_database, refuse_older_backup
from minisearch.stores.local.seal import seal_path
from minisearch.stores.local.sqlite import copy_pages, named_errors, open_database


def back_up(connection: Connection, path: Path) -> None:
    """`LocalStore.backup`."""
    with _whole_file(path, "backup") as temporary:
        connection.copy_to(temporary)
        with contextlib.closing(Connection(temporary, writable=False)) as copy:
            _refuse_damage(copy, path)


def restore(backup: Path, path: Path) -> None:
    """Copy a backup to a path where there is no database.

    The copy is checked first, which takes about 0.1 ms per chunk.  The vector index is not in the
    backup: it is built again from the vectors.  Raises IndexCorrupt for a damaged backup or another file,
    InputError if there is an index already.
    """
    if not backup.is_file():
        raise InputError(f"there is no backup at {backup}")
    with _whole_file(path, "index") as temporary:
        with named_errors(backup), contextlib.closing(open_database(backup, "mode=ro")) as source:
            refuse_foreign_database(source, backup)
            refuse_older_backup(source, backup)
            with contextlib.closing(sqlite3.connect(temporary)) as target, named_errors(path):
                copy_pages(source, target)
        with contextlib.closing(Connection(temporary, writable=True)) as copy:
            _refuse_damage(copy, backup, deep=True)
            copy.is_sound = True
        seal_path(temporary).rename(seal_path(path))


def _refuse_damage(connection: Connection, path: Path, *, deep: bool = False) -> None:
    problems = check(connection, deep=deep)
    if problems:
        raise IndexCorrupt(f"{path} is damaged ({problems[0]}): use another backup, or index again")


@contextlib.contextmanager
def _whole_file(path: Path, what: str) -> Iterator[Path]:
    """An empty file, beside the path, that gets this name when it is complete; the path must not exist."""
    _refuse_to_replace(path, what)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for the {what}")
    try:
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.unfinished-", dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            create_private(temporary)
            yield temporary
            sync(temporary)
            _refuse_to_replace(path, what)  # again, because copying takes a while
            temporary.rename(path)
            sync(path.parent)
    except (OSError, IndexNotWritable) as error:
        raise IndexNotWritable(
            f"cannot write the {what} {path} ({error}; {free_space(path.parent)}): free some space, check "
            f"the permissions, or choose another folder"
        ) from error


def _refuse_to_replace(path: Path, what: str) -> None:
    if os.path.lexists(path):
        raise InputError(f"{path} exists, and a new {what} replaces nothing: choose another name")
