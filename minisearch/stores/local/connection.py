"""One SQLite connection: opening, transactions, the seal, interrupts and closing, with our error classes.

The path of a database goes in.  SQL statements are left to the callers, raw work on files to `sqlite`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from minisearch.errors import StoreError
from minisearch.stores.local.files import create_private, hold, release
from minisearch.stores.local.schema import (
    applied_migrations,
    migrate,
    needs_migration,
    refuse_foreign_database,
    refuse_older_backup,
)
from minisearch.stores.local.seal import (
    SealCheck,
    State,
    break_seal,
    new_name,
    read_state,
    write_seal,
    write_state,
)
from minisearch.stores.local.sqlite import (
    copy_pages,
    damaged,
    has_log,
    named_errors,
    named_os_errors,
    open_database,
    open_to_read,
    refuse_links,
    remove_unfinished,
    stamp_of,
    vacuum,
)
from minisearch.threads import DaemonThread

CLOSE_TIMEOUT_S = 1.0  # long enough for a reader in the middle of a query
STEPS_AT_ONCE = 10_000  # of SQLite's virtual machine: some milliseconds
SHRUNK_FROM = 256  # pages, a megabyte: in a smaller file there is little to free
INTERRUPTED_EVERY_S = 0.02
MAX_VARIABLES = 900  # SQLite binds at most 999 values per statement in the oldest builds still in use

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Connection:
    """An open database.

    A writer creates the file if it is missing, and its schema.  A reader opens it read-only, also in a folder
    without write permission.  Raises StoreError.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self.is_writable = writable
        self.is_closed = False
        self._is_immutable = False
        self._has_written = False
        self.state = new_name()  # the name of what this connection writes
        self._is_named = False
        self._is_interrupted = False
        hold(path)
        try:
            with named_errors(path):
                self._connect()
        except BaseException:
            release(path)
            raise

    def _connect(self) -> None:
        path = self.path
        stamp = stamp_of(path)  # before opening, so that a file replaced in between counts as outdated
        refuse_links(path)
        self._is_sound = is_new = self.is_writable and not (stamp and stamp[2])
        if is_new:
            with named_os_errors(path):
                break_seal(path)  # of a deleted file
                create_private(path)
        if self.is_writable:
            remove_unfinished(path)  # left by a killed writer
            self._db = open_database(path, "mode=rwc")
        else:
            self._db, self._is_immutable = open_to_read(path)
        self._check = SealCheck(path, lambda: read_state(self._db), is_whole=self.is_writable)
        try:
            refuse_foreign_database(self._db, path)
            is_behind = needs_migration(self._db, path)  # before anything is written
            if self.is_writable:
                self._prepare_to_write()
            if is_behind:
                self._migrate()
        except BaseException:
            self._check.abandon()
            self._db.close()
            raise
        self._stamp = stamp or stamp_of(path)

    def _prepare_to_write(self) -> None:
        db = self._db
        db.execute("pragma trusted_schema = on")  # the full-text triggers need it
        db.execute("pragma recursive_triggers = on")  # a replaced row is removed from the full text too
        # Debian's SQLite overwrites all freed pages: 7 s instead of 0.3 to delete 100,000 passages.
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
        with self.transaction():
            self._name_state()

    # --- the seal ----------------------------------------------------------------------------------

    def _wait_for_check(self) -> None:
        """IndexCorrupt if the comparison with the seal found damage."""
        problem = self._check.problem()
        if problem:
            raise damaged(self.path, problem)

    def _begin_to_write(self) -> None:
        if not self._has_written:
            self._wait_for_check()  # a damaged file must not be sealed again
            self._is_sound = self._is_sound or self._check.is_sealed
            with named_os_errors(self.path):
                break_seal(self.path)
            self._has_written = True

    def _name_state(self) -> None:
        """Set the state inside the transaction, the first time or after a rollback of the first time."""
        if not self._is_named:
            self._is_named = True
            write_state(self._db, State(self.state, self._check.sealed_before))

    def compare_whole_file(self) -> None:
        """IndexCorrupt unless the whole file is what a writer sealed, if it is sealed."""
        problem = self._check.whole_problem()
        if problem:
            raise damaged(self.path, problem)

    @property
    def is_sealed(self) -> bool:
        """Whether the file was opened as a writer sealed it."""
        self._wait_for_check()
        return self._check.is_sealed

    @property
    def is_doubtful(self) -> bool:
        """Whether this writer found no valid seal; then the file must be checked before it is sealed."""
        return self._has_written and not self._is_sound

    def mark_as_checked(self) -> None:
        """Record that the file was checked."""
        self._is_sound = True

    @property
    def n_changes(self) -> int:
        """How many rows this connection has changed, also in transactions that were rolled back."""
        return self._db.total_changes

    def is_outdated(self) -> bool:
        """Whether another file is at the path now, or the file has changed without SQLite noticing."""
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
            self._wait_for_check()
            was_named = self._is_named
            self._db.execute("begin")
            try:
                yield
                self._db.commit()
            except BaseException:
                self._db.rollback()
                self._is_named = was_named
                raise

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        self._wait_for_check()
        return self.early_rows(sql, values)

    def early_rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The same, without waiting for the comparison with the seal."""
        with self._named_errors():
            return self._db.execute(sql, values).fetchall()

    def rows_in(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Every row of a query that ends in "in", for any number of values."""
        rows = []
        for start in range(0, len(values), MAX_VARIABLES):
            part = values[start : start + MAX_VARIABLES]
            rows += self.rows(f"{sql} ({', '.join('?' * len(part))})", part)
        return rows

    def cursor(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The rows one by one, for results that are too large for a list."""
        self._wait_for_check()
        with self._named_errors():
            return self._db.execute(sql, values)

    def write(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run a statement inside a transaction; the id of the row it inserted, if any."""
        assert self._db.in_transaction, "a write outside a transaction"
        self._begin_to_write()
        self._name_state()
        return self._db.execute(sql, values).lastrowid or 0

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row, inside a transaction."""
        assert self._db.in_transaction, "a write outside a transaction"
        self._begin_to_write()
        self._name_state()
        self._db.executemany(
            sql, (row for row in rows)
        )  # a generator, so that signals are handled between rows

    def interruptible(self, work: Callable[[], T]) -> T:
        """Do work that may keep SQLite busy for seconds; Ctrl-C ends it within milliseconds."""
        return interruptible(work, self._interrupt)

    def _interrupt(self) -> None:
        self._is_interrupted = True
        self._db.interrupt()

    def copy_to(self, path: Path) -> None:
        """Copy the whole database as it is at this moment into a new file; this one is only read."""
        self._wait_for_check()
        _copy(self._db, path)

    @staticmethod
    def copy_file(source: Path, path: Path) -> None:
        """Copy a minisearch database into a new file."""
        with named_errors(source), contextlib.closing(open_database(source, "mode=ro")) as db:
            refuse_foreign_database(db, source)
            refuse_older_backup(db, source)
            _copy(db, path)

    @contextlib.contextmanager
    def copied(self) -> Iterator[sqlite3.Connection]:
        """A writable copy of the whole database in a temporary file without a name."""
        self._wait_for_check()
        with contextlib.closing(sqlite3.connect("")) as copy, named_errors(self.path, is_only_read=True):
            copy_pages(self._db, copy, is_interrupted=lambda: self._is_interrupted)
            copy.execute("pragma trusted_schema = off")
            copy.set_progress_handler(lambda: self._is_interrupted, STEPS_AT_ONCE)
            yield copy

    def close(self) -> None:
        """Close the file; a writer first moves its log into the database, syncs and seals it."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            self._check.abandon()
            is_at_rest = self.is_writable and self._move_log()
            self._db.close()
            if is_at_rest and self._is_named and self._is_sound:
                write_seal(self.path, self.state)
        finally:
            release(self.path)

    def shrink(self, *, is_due: bool = False) -> bool:
        """Rewrite the file without free space, if that is over half of it or ``is_due``; whether it was done.

        It is not done while a reader holds the log, or on a full disk.  It takes some 4 s for each 100,000
        passages that stay.
        """
        if not self._has_written:
            return False
        (((n_pages,),), ((n_free,),)) = self.rows("pragma page_count"), self.rows("pragma freelist_count")
        if not is_due and (n_pages < SHRUNK_FROM or n_free * 2 <= n_pages):
            return False
        if not self._move_log() and not is_due:
            return False
        try:
            vacuum(self._db, self.path, is_interrupted=lambda: self._is_interrupted)
        except (sqlite3.Error, OSError) as error:
            if self._is_interrupted:
                raise
            logger.debug("%s was not shrunk: %s", self.path, error)
            return False
        return True

    def _move_log(self) -> bool:
        """Whether all of the log is in the database now, and on the disk."""
        with contextlib.suppress(sqlite3.Error):  # a reader uses the log: the next close moves it
            self._db.execute(f"pragma busy_timeout = {CLOSE_TIMEOUT_S * 1000:.0f}")
            return bool(self._db.execute("pragma wal_checkpoint(truncate)").fetchone() == (0, 0, 0))
        return False


def _copy(db: sqlite3.Connection, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as copy, named_errors(path):
        copy_pages(db, copy)
        copy.execute("pragma journal_mode = delete")  # a single file
        if read_state(copy) != State():  # so that the seal of the original does not apply to the copy
            write_state(copy, State(new_name()))
            copy.commit()


def interruptible(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """The result of ``work``; after a signal, ``interrupt`` is called until the work has ended.

    Python handles a signal between two bytecodes, and one SQL statement may take many seconds: a thread runs
    it.  A progress handler would not do: SQLite calls it between instructions of its virtual machine, and one
    of those may check a whole table.  Raises what the work raises, and MemoryError where its thread could not
    begin or end.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[T] = []
    errors: list[BaseException] = []
    is_cancelled = threading.Event()
    working = threading.Lock()

    def run() -> None:
        try:
            if not is_cancelled.is_set():
                results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            working.release()

    thread = DaemonThread(run)
    working.acquire()
    try:
        # Not an executor: a signal that came while it starts its thread would wait for all of the work.
        thread.start()
        # Not `join`: after a signal in it, Python 3.11 treats the thread as ended.
        working.acquire()
    except BaseException:
        is_cancelled.set()
        while thread.is_alive():
            with contextlib.suppress(KeyboardInterrupt, SystemExit):  # a second Ctrl-C
                interrupt()
                working.acquire(timeout=INTERRUPTED_EVERY_S)
        raise
    if errors:
        raise errors[0]
    if not results:
        raise MemoryError
    return results[0]
