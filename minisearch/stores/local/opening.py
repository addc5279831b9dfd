"""How a database is opened, and whether it is one of ours: nothing in it runs, none of its files leads away.

A path comes in, an SQLite connection or a named refusal goes out; what is done with it is left to others.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from pathlib import Path

from minisearch.errors import IndexCorrupt, IndexNotWritable, StoreError
from minisearch.globs import glob
from minisearch.stores.local import migrations, schema
from minisearch.stores.local.seal import has_log

BUSY_TIMEOUT_S = 30.0
SHM_BYTES = 1 << 16  # that SQLite's smallest -shm file takes, twice


def open_database(path: Path, mode: str) -> sqlite3.Connection:
    """An open database, with the functions that our queries call; sqlite3.Error."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    try:
        for function in (path_matches, path_ends):
            db.create_function(function.__name__, 2, function, deterministic=True)
        db.execute("pragma foreign_keys = on")
        db.execute("pragma cell_size_check = on")
        db.execute("pragma trusted_schema = off")  # a database that came from elsewhere runs nothing
        db.execute("select count(*) from sqlite_master").fetchone()  # the first real read: is it a database?
    except BaseException:
        db.close()
        raise
    return db


def open_to_read(path: Path) -> tuple[sqlite3.Connection, bool]:
    """The database, and whether it is read as a file that never changes."""
    try:
        return open_database(path, "mode=ro"), False
    except sqlite3.OperationalError:
        # A WAL database needs its -shm file, which cannot be made in a folder that this user cannot write
        # to, or on a disk that is full. Without a log the file alone is whole, and SQLite will read it if
        # told that it never changes. Another may write to it all the same: SQLite would not notice,
        # `is_outdated` does.
        has_place = os.access(path.parent, os.W_OK) and shutil.disk_usage(path.parent).free >= SHM_BYTES
        if has_place or has_log(path):
            raise
        return open_database(path, "immutable=1"), True


def stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """Which file is at the path (device, inode) and its state (bytes, time of change); None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def refuse_links(path: Path) -> None:
    """An index folder may come from elsewhere: none of its files leads out of it, or waits for ever."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + suffix)
        try:
            mode = file.lstat().st_mode
        except OSError:
            continue
        if stat.S_ISLNK(mode):
            raise StoreError(
                f"{file} is a symbolic link, which an index does not follow: put the file itself into its "
                f"place, or choose another folder with --index"
            )
        if not stat.S_ISREG(mode):
            raise IndexNotWritable(
                f"{file} is a folder, a pipe or a device where a file was expected: move it away, or choose "
                f"another folder with --index"
            )


def refuse_strangers(db: sqlite3.Connection, path: Path) -> None:
    """Leave a database of another program as it is."""
    names = (name for (name,) in db.execute("select name from sqlite_master where type = 'table'"))
    tables = sorted(name for name in names if name != schema.MIGRATIONS_TABLE)
    if tables and not schema.applied(db):
        raise IndexCorrupt(
            f"{path} is no minisearch index (it has tables {', '.join(tables[:3])}): "
            f"choose another folder with --index"
        )
    foreign = schema.foreign_programs(db)
    if foreign:
        raise IndexCorrupt(
            f"{path} holds {foreign[0]}, which no minisearch has put there and which could run as it is "
            f"written to: choose another folder with --index"
        )


def is_behind(db: sqlite3.Connection, path: Path) -> bool:
    """Whether a migration is to be made; StoreError for a schema from the future."""
    applied, known = schema.applied(db), [step.__name__ for step in migrations.STEPS]
    newer = [name for name in applied if name not in known]
    if newer:
        raise StoreError(
            f"{path} was made by a newer minisearch (its schema has {newer[-1]}): "
            f"upgrade with: pip install --upgrade minisearch"
        )
    return not set(known) <= set(applied)


def path_matches(pattern: bytes, path: object) -> bool:
    """For SQL: whether a stored path matches a pattern (UTF-8, half characters allowed).

    With "//" in front a pattern is of absolute paths only, with "/" of none of them.
    """
    name = _name(path)
    if pattern.startswith(b"/") and pattern.startswith(b"//") != name.startswith("/"):
        return False
    return glob(pattern.decode("utf-8", "surrogatepass"))(name)


def path_ends(suffix: bytes, path: object) -> bool:
    """For SQL: whether the file name of a stored path ends so, in whatever case."""
    name = _name(path).rpartition("/")[2]
    return name.casefold().endswith(suffix.decode("utf-8", "surrogatepass").casefold())


def _name(stored: object) -> str:
    """A path as Python has it; "" for what is none, as whoever reads that row will say."""
    return os.fsdecode(stored) if isinstance(stored, bytes | str) else ""
