"""Raw SQLite work: open a database, copy it, rewrite it without free space, and translate errors.

A path or an open `sqlite3` connection goes in.  Transactions and the seal are left to `connection`.

A copy is made in one file beside the database, named ``*.unfinished``, that only its owner can read.  The
next writer removes a copy that a killed process left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from minisearch.errors import IndexBusy, IndexCorrupt, IndexNotWritable, StoreError
from minisearch.globs import glob
from minisearch.stores.local.files import PRIVATE, create_private, free_space, is_acquired, open_regular

BUSY_TIMEOUT_S = 30.0
SHM_BYTES = 1 << 16  # size of SQLite's smallest -shm file, twice
PAGES_AT_ONCE = 2_000  # some 10 ms
_BESIDE = ("-journal", "-wal", "-shm", ".seal", ".seal.tmp")
_BUSY, _LOCKED = 5, 6  # SQLite's codes, which `sqlite3` names from Python 3.11 on


# --- opening ---------------------------------------------------------------------------------------


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
        db.execute("pragma trusted_schema = off")  # a database from another source must not run code
        db.execute("select count(*) from sqlite_master").fetchone()  # the first real read: is it a database?
    except BaseException:
        db.close()
        raise
    return db


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

    A pattern that begins with "//" matches only absolute paths, one that begins with "/" only relative ones.
    """
    name = _name(path)
    if pattern.startswith(b"/") and pattern.startswith(b"//") != name.startswith("/"):
        return False
    return glob(pattern.decode("utf-8", "surrogatepass"))(name)


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
    """Refuse symbolic links, pipes and devices: an index folder may come from elsewhere."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + suffix)
        try:
            mode = file.lstat().st_mode
        except OSError:
            continue
        if stat.S_ISLNK(mode):
            raise StoreError(
                f"{file} is a symbolic link, which an index does not follow: replace it by the file "
                f"itself, or choose another folder with --index"
            )
        if not stat.S_ISREG(mode):
            raise IndexNotWritable(
                f"{file} is a folder, a pipe or a device where a file was expected: move it away, or choose "
                f"another folder with --index"
            )


# --- copying ---------------------------------------------------------------------------------------


def copy_pages(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    *,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Make one database a copy of another as it is at this moment; signals are handled meanwhile.

    Raises sqlite3.Error.
    """

    def check_progress(status: int, *_: object) -> None:
        if is_interrupted():
            raise sqlite3.OperationalError("interrupted")
        if status in (_BUSY, _LOCKED):  # Python would wait forever
            raise sqlite3.OperationalError("database is busy")

    is_snapshot = source.in_transaction
    if not is_snapshot:
        source.execute("begin")
    try:
        source.execute("select count(*) from sqlite_master").fetchone()  # starts the snapshot: a writer
        source.backup(target, pages=PAGES_AT_ONCE, progress=check_progress)  # would restart the copy
    finally:
        if not is_snapshot:
            source.rollback()


def unfinished(path: Path) -> Path:
    """Where the copy that is to replace the database at the path is made."""
    return path.with_name(f"{path.name}.unfinished")


def remove_unfinished(path: Path) -> None:
    """Remove what a killed process may have left there."""
    _remove(unfinished(path), "", *_BESIDE)


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """A locked, empty, temporary file to make a database in; it is removed at the end unless it was moved.

    Raises IndexBusy if another process is making it, and OSError.
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
    """Whether only this process has the file, and it has no other name, such as a finished database's."""
    if not is_acquired(descriptor):
        return False
    found = os.fstat(descriptor)
    return found.st_nlink == 1 and os.path.lexists(file) and os.path.samestat(found, file.lstat())


def _remove(file: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        with contextlib.suppress(OSError):
            file.with_name(file.name + suffix).unlink(missing_ok=True)


def vacuum(db: sqlite3.Connection, path: Path, *, is_interrupted: Callable[[], bool]) -> None:
    """Rewrite an open database without free space, or leave it unchanged: sqlite3.Error, OSError.

    SQLite's own VACUUM cannot be interrupted while it copies the result back; this can.
    """
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


# --- errors ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def named_errors(path: Path, *, is_only_read: bool = False) -> Iterator[None]:
    """Raise SQLite's errors as ours.

    Where the file ``is_only_read``, "disk is full" is about the temporary folder.  KeyboardInterrupt if any
    signal arrived inside a Python function that SQLite called.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # damaged text may be undecodable
        # Our functions raise nothing themselves, and SQLite hides what the signal handler raised.
        if "user-defined function" in str(error):
            raise KeyboardInterrupt from error
        if is_only_read and "disk is full" in str(error):
            raise _no_temporary_room(str(error)) from error
        raise _named(error, path) from error


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
    if any(sign in reason for sign in ("not a database", "malformed", "corrupt", "decode")):
        return damaged(path, reason)
    if "locked" in reason or "busy" in reason:
        return IndexBusy(f"{path} is in use by another process ({reason}): try again in a moment")
    if any(sign in reason for sign in ("readonly", "unable to open", "full", "disk I/O", "attempt to write")):
        return _not_writable(path, reason)
    # "no such table", "no such column": a database, but not one of ours
    return IndexCorrupt(f"{path} is no minisearch index ({reason}): choose another folder with --index")


def _no_temporary_room(reason: str) -> IndexNotWritable:
    # The folder that SQLite chooses (https://sqlite.org/tempfiles.html, 5), which it does not report.
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    folders = [Path(one) for one in (*named, "/var/tmp", "/usr/tmp", "/tmp", ".") if one]  # noqa: S108
    usable = (one for one in folders if one.is_dir() and os.access(one, os.W_OK | os.X_OK))
    folder = next(usable, folders[-1])
    return IndexNotWritable(
        f"no space for temporary files in {folder} ({reason}; {free_space(folder)}): free some, or set "
        f"SQLITE_TMPDIR to another folder"
    )


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
