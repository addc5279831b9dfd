"""One SQLite connection: opening, transactions, the seal and closing, with our error classes.

The path of a database goes in.  SQL statements are left to the callers, raw work on files to `sqlite`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from minisearch.errors import StoreError
from minisearch.stores.local.files import create_private, hold, release
from minisearch.stores.local.schema import (
    applied_migrations,
    migrate,
    needs_migration,
    refuse_foreign_database,
)
from minisearch.stores.local.seal import break_seal, read_seal, seal_problem, write_seal
from minisearch.stores.local.sqlite import (
    copy_pages,
    damaged,
    handle_signals,
    has_log,
    is_interrupted,
    named_errors,
    named_os_errors,
    open_database,
    open_to_read,
    refuse_links,
    stamp_of,
)
from minisearch.threads import after_fork, no_fork

CLOSE_TIMEOUT_S = 1.0  # long enough for a reader in the middle of a query
SHRUNK_FROM = 256  # pages, a megabyte: in a smaller file there is little to free
MAX_VARIABLES = 900  # SQLite binds at most 999 values per statement in the oldest builds still in use

logger = logging.getLogger(__name__)


class Connection:
    """An open database.

    A writer creates the file if it is missing, and its schema.  A reader opens it read-only, also in a folder
    without write permission.  Raises StoreError; IndexCorrupt if the file is not as it was sealed.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self.is_writable = writable
        self.is_closed = False
        self._is_immutable = False
        self._has_written = False
        after_fork(self, Connection._close_in_child)
        hold(path)
        try:
            with no_fork, named_errors(path):
                self._connect()
        except BaseException:
            release(path)
            raise

    def _connect(self) -> None:
        path = self.path
        stamp = stamp_of(path)  # before opening, so that a file replaced in between counts as outdated
        refuse_links(path)
        is_new = self.is_writable and not (stamp and stamp[2])
        if is_new:
            with named_os_errors(path):
                break_seal(path)  # of a deleted file
                create_private(path)
        self.is_sealed = read_seal(path) is not None  # as the file was opened
        self.is_sound = is_new or self.is_sealed  # whether it may be sealed
        self.compare_with_seal(is_whole=self.is_writable)
        if self.is_writable:
            self._db = open_database(path, "mode=rwc")
        else:
            self._db, self._is_immutable = open_to_read(path)
        try:
            refuse_foreign_database(self._db, path)
            is_behind = needs_migration(self._db, path)  # before anything is written
            if self.is_writable:
                self._prepare_to_write()
            if is_behind:
                self._migrate()
        except BaseException:
            self._db.close()
            raise
        self._stamp = stamp or stamp_of(path)

    def _prepare_to_write(self) -> None:
        db = self._db
        db.execute("pragma trusted_schema = on")  # the full-text triggers need it
        db.execute("pragma recursive_triggers = on")  # a replaced row is removed from the full text too
        # Debian's SQLite overwrites all freed pages: 7 s instead of 0.3 to delete 100,000 chunks.
        db.execute("pragma secure_delete = fast")
        if db.execute("pragma journal_mode").fetchone() != ("wal",):
            self._begin_to_write()
            db.execute("pragma journal_mode = wal")
        # Triggers make SQLite keep a journal of each statement, and there may be no temporary folder for it.
        db.execute("pragma temp_store = memory")
        # In WAL mode NORMAL loses nothing when a process is killed. A power cut may lose the last documents,
        # but never half of one. Closing at the end of a run syncs.
        db.execute("pragma synchronous = normal")

    def _migrate(self) -> None:
        if not self.is_writable:
            state = "is empty, because its first run was interrupted or has just begun"
            if applied_migrations(self._db):
                state = "was made by an earlier version"
            raise StoreError(f"{self.path} {state}: run minisearch index again")
        self._begin_to_write()
        migrate(self._db)

    def _close_in_child(self) -> None:
        """In a forked child: close the copy of the parent's connection.

        SQLite's record of locks is of the process, and a connection of the child would rely on locks that
        only the parent has (https://sqlite.org/howtocorrupt.html, 2.6).  A copy inside a call of SQLite could
        not be closed; it is kept for ever.
        """
        self.is_closed = True
        if db := getattr(self, "_db", None):
            if no_fork.is_kept:
                db.close()
            else:
                import ctypes

                ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))

    # --- the seal ----------------------------------------------------------------------------------

    def compare_with_seal(self, *, is_whole: bool) -> None:
        """IndexCorrupt unless the file is what a writer sealed, if it is sealed."""
        problem = seal_problem(self.path, is_whole=is_whole)
        if problem:
            raise damaged(self.path, problem)

    def _begin_to_write(self) -> None:
        if not self._has_written:
            with named_os_errors(self.path):
                break_seal(self.path)
            self._has_written = True

    @property
    def is_doubtful(self) -> bool:
        """Whether this writer found no valid seal; then the file must be checked before it is sealed."""
        return self._has_written and not self.is_sound

    # --- use ---------------------------------------------------------------------------------------

    @property
    def n_changes(self) -> int:
        """How many rows this connection has changed, also in transactions that were rolled back."""
        return self._db.total_changes

    def is_outdated(self) -> bool:
        """Whether to open the file again: it was replaced or changed without SQLite noticing, or closed."""
        if self.is_closed:
            return True
        now = stamp_of(self.path)
        if now is None or self._stamp is None or now[:2] != self._stamp[:2]:
            return True
        return self._is_immutable and (now != self._stamp or has_log(self.path))

    def _named_errors(self) -> contextlib.AbstractContextManager[None]:
        return named_errors(self.path, is_only_read=not self.is_writable)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A context in which reads see one snapshot and writes are atomic; contexts nest."""
        with self._named_errors():
            if self._db.in_transaction:
                yield
                return
            with no_fork:
                self._db.execute("begin")
                try:
                    yield
                    self._db.commit()
                except BaseException:
                    self._db.rollback()
                    raise

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        with no_fork, self._named_errors():
            return self._db.execute(sql, values).fetchall()

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Every row of a query that ends in "in", for any number of values."""
        rows = []
        for start in range(0, len(values), MAX_VARIABLES):
            part = values[start : start + MAX_VARIABLES]
            rows += self.rows(f"{sql} ({', '.join('?' * len(part))})", part)
        return rows

    def cursor(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The rows one by one, in a transaction, for results that are too large for a list."""
        with self._named_errors():
            return self._db.execute(sql, values)

    def write(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run a statement inside a transaction; the id of the row it inserted, if any."""
        assert self._db.in_transaction, "a write outside a transaction"
        self._begin_to_write()
        return self._db.execute(sql, values).lastrowid or 0

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row, inside a transaction."""
        assert self._db.in_transaction, "a write outside a transaction"
        self._begin_to_write()
        self._db.executemany(
            sql, (row for row in rows)
        )  # a generator, so that signals are handled between rows

    def copy_to(self, path: Path) -> None:
        """Copy the whole database as it is at this moment into a new file; this one is only read."""
        with no_fork, contextlib.closing(sqlite3.connect(path)) as copy, named_errors(path):
            copy_pages(self._db, copy)

    @contextlib.contextmanager
    def writable(self) -> Iterator[sqlite3.Connection]:
        """For a writer, the database itself; for a reader, a copy in a temporary file without a name."""
        if self.is_writable:
            with self.transaction():
                yield self._db
            return
        with contextlib.closing(sqlite3.connect("")) as copy, named_errors(self.path, is_only_read=True):
            with no_fork:
                copy_pages(self._db, copy)
            copy.execute("pragma trusted_schema = off")
            handle_signals(copy)
            yield copy

    def close(self) -> None:
        """Close the file; a writer first moves its log into the database, syncs and seals it."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            with no_fork:
                is_at_rest = self.is_writable and self._move_log()
                self._db.close()
            if is_at_rest and self._has_written and self.is_sound:
                write_seal(self.path)
        finally:
            release(self.path)

    def shrink(self, *, is_due: bool = False) -> bool:
        """Rewrite the file without free space, if that is over half of it or ``is_due``; whether it was done.

        It is not done while a reader holds the log, or on a full disk.  It takes some 4 s for each 100,000
        chunks that stay.
        """
        if not self._has_written:
            return False
        (((n_pages,),), ((n_free,),)) = self.rows("pragma page_count"), self.rows("pragma freelist_count")
        if not is_due and (n_pages < SHRUNK_FROM or n_free * 2 <= n_pages):
            return False
        if not self._move_log() and not is_due:
            return False
        try:
            with no_fork:
                self._db.execute("pragma temp_store = file")  # the copy may be larger than the memory
                self._db.execute("vacuum")
        except sqlite3.Error as error:
            if is_interrupted(error):
                raise KeyboardInterrupt from error
            logger.debug("%s was not shrunk: %s", self.path, error)
            return False
        return True

    def _move_log(self) -> bool:
        """Whether all of the log is in the database now, and on the disk."""
        with no_fork, contextlib.suppress(sqlite3.Error):  # a reader uses the log: the next close moves it
            self._db.execute(f"pragma busy_timeout = {CLOSE_TIMEOUT_S * 1000:.0f}")
            return bool(self._db.execute("pragma wal_checkpoint(truncate)").fetchone() == (0, 0, 0))
        return False
