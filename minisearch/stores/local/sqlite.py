"""Raw SQLite work: open a database, copy it, and translate errors.

A path or an open `sqlite3` connection goes in.  Transactions and the seal are left to `connection`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from minisearch.errors import IndexBusy, IndexCorrupt, IndexNotWritable, StoreError
from minisearch.globs import glob
from minisearch.stores.local.files import free_space

BUSY_TIMEOUT_S = 30.0
SHM_BYTES = 1 << 16  # size of SQLite's smallest -shm file, twice
PAGES_AT_ONCE = 2_000  # some 10 ms
MAX_VALUE_BYTES = 256_000_000  # the ids of 32 million chunks
STEPS_AT_ONCE = 10_000  # of SQLite's virtual machine: some milliseconds


# --- opening ---------------------------------------------------------------------------------------


def open_database(path: Path, mode: str) -> sqlite3.Connection:
    """An open database, with the functions that our queries call; sqlite3.Error."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    try:
        if sys.version_info >= (3, 11):  # no row of ours is longer; a longer one would take minutes to read
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        for function in (path_matches, path_ends):
            db.create_function(function.__name__, 2, function, deterministic=True)
        # JSON has no bytes and no exact numbers, so both are hexadecimal texts in a list of values.
        db.create_function("bytes_of", 1, bytes.fromhex, deterministic=True)
        db.create_function("number_of", 1, float.fromhex, deterministic=True)
        handle_signals(db)
        db.execute("pragma foreign_keys = on")
        db.execute("pragma cell_size_check = on")
        db.execute("pragma trusted_schema = off")  # a database from another source must not run code
        db.execute("select count(*) from sqlite_master").fetchone()  # the first real read: is it a database?
    except BaseException:
        db.close()
        raise
    return db


def handle_signals(db: sqlite3.Connection) -> None:
    """Let Ctrl-C end a statement that takes long: Python handles signals in this function."""
    db.set_progress_handler(lambda: None, STEPS_AT_ONCE)


def open_to_read(path: Path) -> tuple[sqlite3.Connection, bool]:
    """The database, and whether it is opened as immutable (a file that never changes)."""
    try:
        return open_database(path, "mode=ro"), False
    except sqlite3.OperationalError:
        # A WAL database needs its -shm file, which cannot be created in a folder without write permission or
        # on a full disk. Without a log the file alone is complete, and SQLite reads it as immutable. If
        # another process writes to it, SQLite does not notice, but `Connection.is_outdated` does.
        has_place = os.access(path.parent, os.W_OK) and shutil.disk_usage(path.parent).free >= SHM_BYTES
        if has_place or has_log(path):
            raise
        return open_database(path, "immutable=1"), True


def path_matches(pattern: bytes, path: object) -> bool:
    """For SQL: whether a stored path matches a pattern (UTF-8, with lone surrogates).

    A pattern that begins with "/" matches only relative paths, with "//" only absolute ones, and with "///"
    only documents from memory.
    """
    name, text = _name(path), pattern.decode("utf-8", "surrogatepass")
    if text.startswith("/") and _kind(text[1:]) != _kind(name):
        return False
    return glob(text)(name)


def _kind(name: str) -> int:
    """0 for a relative path, 1 for an absolute one, 2 for a document from memory."""
    return name.startswith("/") + name.startswith("//")


def path_ends(suffix: bytes, path: object) -> bool:
    """For SQL: whether the file name of a stored path ends with a suffix, whatever the case."""
    name = _name(path).rpartition("/")[2]
    return name.casefold().endswith(suffix.decode("utf-8", "surrogatepass").casefold())


def _name(stored: object) -> str:
    """A path as a Python string; empty if the column holds none, which is reported when the row is read."""
    return os.fsdecode(stored) if isinstance(stored, bytes | str) else ""


def has_log(path: Path) -> bool:
    """Whether there are transactions in a log beside the database."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """Which file is at the path (device, inode) and its state (bytes, mtime_ns); None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def refuse_links(path: Path) -> None:
    """Refuse symbolic links, folders, pipes and devices: an index folder may come from elsewhere."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + suffix)
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(file.lstat().st_mode):
                raise IndexNotWritable(
                    f"{file} is a symbolic link, a folder, a pipe or a device where a file was expected: "
                    f"move it away, or choose another folder with --index"
                )


def copy_pages(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Make one database a copy of another as it is at this moment, in one file; sqlite3.Error."""
    is_snapshot = source.in_transaction
    if not is_snapshot:
        source.execute("begin")
    try:
        source.execute("select count(*) from sqlite_master").fetchone()  # starts the snapshot: a writer
        # would restart the copy. Between two steps Python handles signals.
        source.backup(target, pages=PAGES_AT_ONCE, progress=lambda *_: None)
        target.execute("pragma journal_mode = delete")
    finally:
        if not is_snapshot:
            source.rollback()


# --- errors ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def named_errors(path: Path, *, is_only_read: bool = False) -> Iterator[None]:
    """Raise SQLite's errors as ours; KeyboardInterrupt for any signal that arrived inside SQLite.

    Where the file ``is_only_read``, "disk is full" is about the temporary folder.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # damaged text may be undecodable
        # SQLite hides what the signal handler raised inside one of our functions, which raise nothing else.
        if "user-defined function" in str(error) or is_interrupted(error):
            raise KeyboardInterrupt from error
        if is_only_read and "disk is full" in str(error):
            raise IndexNotWritable(
                f"no space for the temporary files of SQLite ({error}): free some, or set SQLITE_TMPDIR to "
                f"another folder"
            ) from error
        raise _named(error, path) from error


def is_interrupted(error: Exception) -> bool:
    """Whether a signal ended a statement."""
    return str(error) == "interrupted"


@contextlib.contextmanager
def named_os_errors(path: Path) -> Iterator[None]:
    """Raise the operating system's errors as IndexNotWritable."""
    try:
        yield
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error


# SQLite reports these as I/O errors, but memory ran out; Python names them from 3.11 on.
_WITHOUT_MEMORY = ("SQLITE_IOERR_NOMEM", "SQLITE_IOERR_SHMMAP")


def _named(error: Exception, path: Path) -> StoreError:
    reason = str(error)
    if getattr(error, "sqlite_errorname", "") in _WITHOUT_MEMORY:
        reason += ": there was no memory for it"
    if any(sign in reason for sign in ("not a database", "malformed", "corrupt", "decode", "too big")):
        return damaged(path, reason)
    if "locked" in reason or "busy" in reason:
        return IndexBusy(f"{path} is in use by another process ({reason}): try again in a moment")
    if any(sign in reason for sign in ("readonly", "unable to open", "full", "disk I/O", "attempt to write")):
        return _not_writable(path, reason)
    # "no such table", "no such column": a database, but not one of ours
    return IndexCorrupt(f"{path} is no minisearch index ({reason}): choose another folder with --index")


def _not_writable(path: Path, reason: str) -> IndexNotWritable:
    return IndexNotWritable(
        f"cannot use {path} ({reason}): check the permissions and the free space of {path.parent} "
        f"({free_space(path.parent)}), or choose another folder with --index"
    )


def damaged(path: Path, reason: str) -> IndexCorrupt:
    """The error for a damaged database."""
    return IndexCorrupt(
        f"{path} is damaged ({reason}): restore it from a backup, or delete {path.name}* and vectors-* "
        f"in {path.parent} and index again"
    )


def path_of(stored: object, database: Path) -> str:
    """The path in a column as a Python string; IndexCorrupt if the column holds no path."""
    if isinstance(stored, bytes | str):
        return os.fsdecode(stored)
    raise damaged(database, f"the path of a file is {stored!r}")
