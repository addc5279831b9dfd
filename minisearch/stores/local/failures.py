"""What goes wrong with a database, as errors of ours: each names the file, what is wrong and the cure."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from minisearch.errors import IndexBusy, IndexCorrupt, IndexNotWritable, StoreError
from minisearch.stores.local.files import free_space


@contextlib.contextmanager
def named_errors(path: Path, *, is_only_read: bool = False) -> Iterator[None]:
    """SQLite's errors as ours; where the file ``is_only_read``, a disk is full that it is not on.

    KeyboardInterrupt where a signal, whichever it was, came inside a function of ours that SQLite called.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # text that damage made undecodable
        # The functions raise nothing themselves, and SQLite does not tell what the signal's handler raised.
        if "user-defined function" in str(error):
            raise KeyboardInterrupt from error
        if is_only_read and "disk is full" in str(error):
            raise _no_temporary_room(str(error)) from error
        raise _named(error, path) from error


@contextlib.contextmanager
def named_os_errors(path: Path) -> Iterator[None]:
    """The operating system's errors, as an index that cannot be written."""
    try:
        yield
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error


# What SQLite calls an I/O error, and is none; Python tells them apart from 3.11 on.
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
    # "no such table", "no such column": the file is a database, but not one of ours
    return IndexCorrupt(f"{path} is no minisearch index ({reason}): choose another folder with --index")


def _no_temporary_room(reason: str) -> IndexNotWritable:
    # As SQLite chooses it (https://sqlite.org/tempfiles.html, 5), which does not tell.
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    folders = [Path(one) for one in (*named, "/var/tmp", "/usr/tmp", "/tmp", ".") if one]  # noqa: S108
    usable = (one for one in folders if one.is_dir() and os.access(one, os.W_OK | os.X_OK))
    folder = next(usable, folders[-1])
    return IndexNotWritable(
        f"no room for temporary files in {folder} ({reason}; {free_space(folder)}): make room there, or set "
        f"SQLITE_TMPDIR to another folder"
    )


def _not_writable(path: Path, reason: str) -> IndexNotWritable:
    return IndexNotWritable(
        f"cannot use {path} ({reason}): check the permissions and the free space of {path.parent} "
        f"({free_space(path.parent)}), or choose another folder with --index"
    )


def damaged(path: Path, reason: str) -> IndexCorrupt:
    """The error for a database that does not hold what was put into it."""
    return IndexCorrupt(
        f"{path} is damaged ({reason}): restore it from a backup, or delete {path.name}* and vectors-* "
        f"in {path.parent} and index again"
    )


def path_of(stored: object, database: Path) -> str:
    """The path in a column, as Python has it; IndexCorrupt where there is none."""
    if isinstance(stored, bytes | str):
        return os.fsdecode(stored)
    raise damaged(database, f"the path of a file is {stored!r}")
