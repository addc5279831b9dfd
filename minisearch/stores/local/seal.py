"""The seal of a closed database: its size, time and SHA-256, in a small file beside it.

SQLite's pages carry no checksum.  A writer seals the file when it closes it, and removes the seal before it
writes.  A reader that finds a seal trusts a file of the same size, modification time and state without
reading it.  Where one of them differs, and always for a writer and for `verify`, the whole file is compared
by SHA-256, in a thread.

So damage below the file system, which changes neither size nor time, is found by the checksums of the rows
that a query uses, by SQLite's own checks, or by `verify`.  In the full text, in filter columns and in
counters only `verify` finds it.

Without a seal, a writer is active or was killed.  Then damage is found by the checksums of rows.  The same
holds if the seal belongs to another state of the database, because a folder was copied over an older one or a
backup was put in place by hand.  The state is a random name that each writer stores with its changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minisearch.stores.local.files import descriptor_of, open_regular, sync, write_whole
from minisearch.stores.local.sqlite import has_log
from minisearch.threads import DaemonThread

BLOCK_BYTES = 1 << 20

_FORMAT = re.compile(rb"minisearch seal 2\n(?P<body>(\d+) (\d+) ([0-9a-f]{64}) ([0-9a-f]{16}))\n(\d+)\n")


# --- the state, in the database --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """The name of the state that the last writer left, and that of the state that was last sealed.

    The second shows whether a log belongs to a sealed file: it does if it continues from the sealed state.
    """

    name: str = ""
    sealed_before: str = ""


def new_name() -> str:
    """A name that no other state has."""
    return secrets.token_hex(8)


def read_state(db: sqlite3.Connection) -> State | None:
    """The state of an open database, including its log; None if the record is damaged.

    A database that was never written to has an empty state.
    """
    try:
        if not db.execute("select 1 from sqlite_master where name = 'state'").fetchone():
            return State()
        rows = db.execute("select name, sealed_before, crc32 from state").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):  # reported when more is read
        return None
    states = [State(name, before) for name, before, crc32 in rows if crc32 == _crc32(name, before)]
    return states[0] if len(states) == len(rows) == 1 else None


def write_state(db: sqlite3.Connection, state: State) -> None:
    """Set the state, inside the transaction that writes."""
    db.execute("delete from state")
    crc32 = _crc32(state.name, state.sealed_before)
    db.execute(
        "insert into state (name, sealed_before, crc32) values (?, ?, ?)",
        [state.name, state.sealed_before, crc32],
    )


def _crc32(*names: object) -> int:
    return zlib.crc32(" ".join(map(str, names)).encode())


# --- the seal, in a file ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seal:
    """A file's size, modification time and digest, and the name of its state."""

    n_bytes: int
    mtime_ns: int
    sha256: str
    state: str

    def encode(self) -> bytes:
        """The content of the seal file, with a checksum of its own."""
        body = f"{self.n_bytes} {self.mtime_ns} {self.sha256} {self.state}"
        return f"minisearch seal 2\n{body}\n{zlib.crc32(body.encode())}\n".encode()


def seal_path(path: Path) -> Path:
    """Where a database's seal is."""
    return path.with_name(f"{path.name}.seal")


def read_seal(path: Path) -> Seal | None:
    """The seal of the database at a path; None if there is none or it is damaged."""
    try:
        with open(open_regular(seal_path(path)), "rb") as file:  # noqa: PTH123 - a descriptor
            found = _FORMAT.fullmatch(file.read(1_000))
    except OSError:
        return None
    if found is None or zlib.crc32(found["body"]) != int(found[6]):
        return None
    n_bytes, mtime_ns, sha256, state = found["body"].decode().split()
    return Seal(int(n_bytes), int(mtime_ns), sha256, state)


def write_seal(path: Path, state: str) -> None:
    """Seal a held, closed database in the state of this name; on a full disk it stays without a seal."""
    with contextlib.suppress(OSError):
        descriptor = descriptor_of(path)
        n_bytes, sha256 = _digest(descriptor)
        seal = Seal(n_bytes, os.fstat(descriptor).st_mtime_ns, sha256, state)
        write_whole(seal_path(path), seal.encode())


def break_seal(path: Path) -> None:
    """Remove a database's seal, also from the disk: an old seal would make good data look damaged."""
    try:
        seal_path(path).unlink()
    except FileNotFoundError:
        return
    sync(path.parent)


class SealCheck:
    """Compares a held database with its seal, if it has one.

    ``read_state`` reads the database's state; it is called here.  A whole comparison runs in a thread.  It is
    made where it ``is_whole``, and where size, time or state differ.
    """

    def __init__(self, path: Path, read_state: Callable[[], State | None], *, is_whole: bool) -> None:
        self._path = path
        self._seal = read_seal(path)  # first, so that a writer in between is detected by its new seal
        self._state = read_state()
        self._is_of_another = False
        self._problem = ""
        self._stop = threading.Event()
        self._thread = DaemonThread(self._compare)
        if self._seal is not None and (is_whole or not self._is_same(self._seal)):
            self._thread.start()

    @property
    def is_sealed(self) -> bool:
        """Whether there is a seal of this database's state; valid after `problem`."""
        return self._seal is not None and not self._is_of_another

    @property
    def sealed_before(self) -> str:
        """The name of the state in which the file was last sealed; valid after `problem`."""
        if self._seal is not None and self.is_sealed:
            return self._seal.state
        return self._state.sealed_before if self._state else ""

    def problem(self) -> str:
        """Wait for the comparison, and return a description of the damage, or ""."""
        if self._thread.ident is not None:
            self._thread.join()
        return self._problem

    def whole_problem(self) -> str:
        """Like `problem`, after comparing the whole file."""
        if self._seal is not None and self._thread.ident is None:
            self._thread.start()
        return self.problem()

    def abandon(self) -> None:
        """Stop the comparison and ignore its result."""
        self._stop.set()
        self.problem()

    def _is_same(self, seal: Seal) -> bool:
        """Whether size, time and state are as they were sealed, and no log lies beside the file."""
        try:
            found = os.fstat(descriptor_of(self._path))
        except OSError:
            return False
        is_same_file = (found.st_size, found.st_mtime_ns) == (seal.n_bytes, seal.mtime_ns)
        is_same_state = self._state is not None and self._state.name == seal.state
        return is_same_file and is_same_state and not has_log(self._path)

    def _compare(self) -> None:
        seal = self._seal
        if seal is None:
            return
        log = has_log(self._path)
        try:
            found = _digest(descriptor_of(self._path), self._stop)
        except OSError as error:
            problem = "" if isinstance(error, FileNotFoundError) else str(error)
        else:
            is_as_sealed = found == (seal.n_bytes, seal.sha256)
            if not self._stop.is_set() and self._is_another(seal, is_as_sealed, log):
                self._is_of_another = True
                return
            problem = "a log lies beside it that is not its own" if log else ""
            if not is_as_sealed:
                problem = "it is not what was last written: its checksum is wrong"
        # A writer removes the seal before it writes. In that case what was read here cannot be compared.
        if problem and not self._stop.is_set() and read_seal(self._path) == seal:
            self._problem = problem

    def _is_another(self, seal: Seal, is_as_sealed: bool, has_log: bool) -> bool:
        """Whether the seal is of another state than the database with its log."""
        if self._state is None or self._state.name == seal.state or (is_as_sealed and not has_log):
            return False
        # With a log the state is the log's. The log belongs to the sealed file if it continues from it.
        return not is_as_sealed or self._state.sealed_before == seal.state


def _digest(descriptor: int, stop: threading.Event | None = None) -> tuple[int, str]:
    """Size and SHA-256 of a whole file; of a part if it is stopped."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := os.pread(descriptor, BLOCK_BYTES, n_bytes):
        digest.update(block)
        n_bytes += len(block)
        if stop is not None and stop.is_set():
            break
    return n_bytes, digest.hexdigest()
