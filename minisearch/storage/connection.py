"""One SQLite connection: how it is opened, what runs in a transaction, what its errors mean to a user."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from minisearch.errors import IndexBusy, IndexCorrupt, IndexNotWritable, StoreError
from minisearch.storage import schema
from minisearch.storage.globs import path_ends, path_matches

BUSY_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 1.0  # a reader in the middle of a query is waited for, one that was suspended is not
MAX_VARIABLES = 900  # SQLite binds at most 999 values a statement in the oldest builds still in use


class Connection:
    """An open database whose errors are ours.

    A writer creates the file when it is absent and brings its schema up to date; a reader opens it
    read-only, and also from a folder that cannot be written to.  Raises StoreError.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self.is_writable = writable
        self.is_closed = False
        self._is_immutable = False
        stamp = _stamp(path)  # before opening: a file replaced in between counts as outdated, not as opened
        with named_errors(path):
            if writable:
                self._db = _open(path, "mode=rwc")
            else:
                self._db, self._is_immutable = _open_to_read(path)
            try:
                _refuse_strangers(self._db, path)
                if writable:
                    _prepare_to_write(self._db)
                _migrate(self._db, path, writable=writable)
            except BaseException:
                self._db.close()
                raise
        self._stamp = stamp or _stamp(path)

    def is_outdated(self) -> bool:
        """Whether another file is at the path than was opened, or that file has changed unseen by SQLite."""
        now = _stamp(self.path)
        if now is None or self._stamp is None or now[:2] != self._stamp[:2]:
            return True
        return self._is_immutable and (now != self._stamp or _has_log(self.path))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is read inside is of one moment, all that is written is written or not; they nest."""
        with named_errors(self.path):
            if self._db.in_transaction:
                yield
                return
            self._db.execute("begin")
            try:
                yield
                self._db.commit()
            except BaseException:
                self._db.rollback()
                raise

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        with named_errors(self.path):
            return self._db.execute(sql, values).fetchall()

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Every row of a query that ends in "in", for any number of values."""
        rows = []
        for start in range(0, len(values), MAX_VARIABLES):
            part = values[start : start + MAX_VARIABLES]
            rows += self.rows(f"{sql} ({', '.join('?' * len(part))})", part)
        return rows

    def cursor(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The rows one by one, for more than fits in memory twice."""
        with named_errors(self.path):
            return self._db.execute(sql, values)

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement inside a transaction; the id of the row it inserted, if it did."""
        assert self._db.in_transaction, "a write outside a transaction"
        return self._db.execute(sql, values).lastrowid or 0

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once a row, inside a transaction."""
        assert self._db.in_transaction, "a write outside a transaction"
        self._db.executemany(sql, rows)

    def copy_to(self, path: Path) -> None:
        """Copy the whole database, as it is at this moment, into a new file; this one is only read."""
        with contextlib.closing(sqlite3.connect(path)) as copy, named_errors(path):
            self._db.backup(copy)

    def close(self) -> None:
        """Close the file; a writer first moves its log into the database and onto the disk."""
        if self.is_writable and not self.is_closed:
            with contextlib.suppress(sqlite3.Error):  # a reader holds the log: the next close does it
                self._db.execute(f"pragma busy_timeout = {CLOSE_TIMEOUT_S * 1000:.0f}")
                self._db.execute("pragma wal_checkpoint(truncate)")
        self.is_closed = True
        self._db.close()


def _open(path: Path, mode: str) -> sqlite3.Connection:
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


def _open_to_read(path: Path) -> tuple[sqlite3.Connection, bool]:
    """The database, and whether it is read as a file that never changes."""
    try:
        return _open(path, "mode=ro"), False
    except sqlite3.OperationalError:
        # A WAL database needs its -shm file, which cannot be made in a folder that this user cannot write
        # to. Without a log the file alone is whole, and SQLite will read it if told that it never changes.
        # Another user may write to it all the same: SQLite would not notice, `is_outdated` does.
        if os.access(path.parent, os.W_OK) or _has_log(path):
            raise
        return _open(path, "immutable=1"), True


def _has_log(path: Path) -> bool:
    """Whether a writer has put, or left, transactions beside the database."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """Which file is at the path (device, inode) and its state (bytes, time of change); None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_strangers(db: sqlite3.Connection, path: Path) -> None:
    """Leave a database of another program as it is."""
    names = (name for (name,) in db.execute("select name from sqlite_master where type = 'table'"))
    tables = sorted(name for name in names if name != schema.MIGRATIONS_TABLE)
    if tables and not schema.applied(db):
        raise IndexCorrupt(
            f"{path} is no minisearch index (it has tables {', '.join(tables[:3])}): "
            f"choose another folder with --index"
        )


def _prepare_to_write(db: sqlite3.Connection) -> None:
    db.execute("pragma trusted_schema = on")  # the full-text triggers need it
    db.execute("pragma recursive_triggers = on")  # a row that is replaced leaves the full text too
    # Debian's SQLite overwrites all that it frees: 7 s, not 0.3, where 100,000 passages go at once.
    db.execute("pragma secure_delete = fast")
    db.execute("pragma journal_mode = wal")
    # In WAL mode NORMAL survives a killed process whole; a power cut may lose the last documents, never
    # half of one, and closing at the end of a run syncs.
    db.execute("pragma synchronous = normal")


def _migrate(db: sqlite3.Connection, path: Path, *, writable: bool) -> None:
    applied, known = schema.applied(db), [step.__name__ for step in schema.STEPS]
    newer = [name for name in applied if name not in known]
    if newer:
        raise StoreError(
            f"{path} was made by a newer minisearch (its schema has {newer[-1]}): "
            f"upgrade with: pip install --upgrade minisearch"
        )
    if set(known) <= set(applied):
        return
    if not writable:
        raise StoreError(f"{path} is unfinished or of an older version: run minisearch index again")
    # Here, because sqlite-utils takes 40 ms to import, and only a new database needs it.
    from minisearch.storage.migrate import migrate

    migrate(db)


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: each names the file, what is wrong and the cure."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # text that damage made undecodable
        raise _named(error, path) from error


def _named(error: Exception, path: Path) -> StoreError:
    reason = str(error)
    if any(sign in reason for sign in ("not a database", "malformed", "corrupt", "decode")):
        return damaged(path, reason)
    if "locked" in reason or "busy" in reason:
        return IndexBusy(f"{path} is in use by another process ({reason}): try again in a moment")
    if any(sign in reason for sign in ("readonly", "unable to open", "full", "disk I/O", "attempt to write")):
        return IndexNotWritable(
            f"cannot use {path} ({reason}): check the permissions and the free space of {path.parent}, "
            f"or choose another folder with --index"
        )
    # "no such table", "no such column": the file is a database, but not one of ours
    return IndexCorrupt(f"{path} is no minisearch index ({reason}): choose another folder with --index")


def damaged(path: Path, reason: str) -> IndexCorrupt:
    """The error for a database that does not hold what was put into it."""
    return IndexCorrupt(
        f"{path} is damaged ({reason}): restore it from a backup, or delete {path.name}* and vectors-* "
        f"in {path.parent} and index again"
    )
