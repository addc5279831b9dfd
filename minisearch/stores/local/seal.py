"""The seal of a database that is at rest: its size and SHA-256, in a small file beside it.

SQLite's pages carry no checksum, so a block of zeros or a flipped bit can change an answer without a word.
A writer that closes seals the file, and breaks the seal before it writes; a reader that finds one compares.
Without a seal a writer is at work, or was killed: then the checksums of the rows remain, and SQLite's own.
So they do where the seal is of another state (state.py): a folder was copied over an older one, or a backup
was put in place by hand.

The whole file is read, about 1.5 GB/s where the processor knows SHA-256; a thread does it, beside whatever
else a reader has to load.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minisearch.stores.local.files import descriptor_of, open_regular, sync, write_whole
from minisearch.stores.local.state import State

BLOCK_BYTES = 1 << 20

_FORMAT = re.compile(rb"minisearch seal 1\n(?P<body>(\d+) ([0-9a-f]{64}) ([0-9a-f]{16}))\n(\d+)\n")


@dataclass(frozen=True, slots=True)
class Seal:
    """A file's size and digest, and the name of its state: two seals of the same content differ."""

    n_bytes: int
    sha256: str
    state: str

    def encode(self) -> bytes:
        """As it stands in its file, with a checksum of its own."""
        body = f"{self.n_bytes} {self.sha256} {self.state}"
        return f"minisearch seal 1\n{body}\n{zlib.crc32(body.encode())}\n".encode()


def seal_path(path: Path) -> Path:
    """Where a database's seal is."""
    return path.with_name(f"{path.name}.seal")


def read_seal(path: Path) -> Seal | None:
    """The seal of the database at a path; None where there is none, or one that is damaged itself."""
    try:
        with open(open_regular(seal_path(path)), "rb") as file:  # noqa: PTH123 - a descriptor
            found = _FORMAT.fullmatch(file.read(1_000))
    except OSError:
        return None
    if found is None or zlib.crc32(found["body"]) != int(found[5]):
        return None
    n_bytes, sha256, state = found["body"].decode().split()
    return Seal(int(n_bytes), sha256, state)


def write_seal(path: Path, state: str) -> None:
    """Seal a held database, in the state of this name, at rest; a full disk leaves it without a seal."""
    with contextlib.suppress(OSError):
        n_bytes, sha256 = _digest(descriptor_of(path))
        write_whole(seal_path(path), Seal(n_bytes, sha256, state).encode())


def break_seal(path: Path) -> None:
    """Remove a database's seal, also from the disk: a seal that came back would call good data damaged."""
    try:
        seal_path(path).unlink()
    except FileNotFoundError:
        return
    sync(path.parent)


def has_log(path: Path) -> bool:
    """Whether a writer has put, or left, transactions beside the database."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


class SealCheck:
    """Compares a held database with its seal, if it has one, in a thread.

    ``state`` reads the database's state; it is called here.
    """

    def __init__(self, path: Path, state: Callable[[], State | None]) -> None:
        self._path = path
        self._seal = read_seal(path)  # first: a writer in between then shows by its own seal
        self._state = state()
        self._is_of_another = False
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._compare, args=[self._seal], daemon=True)
        if self._seal is not None:
            self._thread.start()

    @property
    def is_sealed(self) -> bool:
        """Whether there was a seal of this database's state; ask after `problem`."""
        return self._seal is not None and not self._is_of_another

    @property
    def sealed_before(self) -> str:
        """The name of the state in which the file was last sealed; ask after `problem`."""
        if self._seal is not None and self.is_sealed:
            return self._seal.state
        return self._state.sealed_before if self._state else ""

    def problem(self) -> str:
        """Wait for the comparison: what is wrong, or nothing."""
        if self._thread.ident is not None:
            self._thread.join()
        return self._problem

    def abandon(self) -> None:
        """End it, whatever it has found."""
        self._stop.set()
        self.problem()

    def _compare(self, seal: Seal) -> None:
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
        # A writer breaks the seal before it writes. Then what was read here is nothing to compare with.
        if problem and not self._stop.is_set() and read_seal(self._path) == seal:
            self._problem = problem

    def _is_another(self, seal: Seal, is_as_sealed: bool, has_log: bool) -> bool:
        """Whether the seal is of another state than the database with its log, which are one."""
        if self._state is None or self._state.name == seal.state or (is_as_sealed and not has_log):
            return False
        # Under the file that was sealed, the state is the log's: it is this file's log if it goes on from it.
        return not is_as_sealed or self._state.sealed_before == seal.state


def _digest(descriptor: int, stop: threading.Event | None = None) -> tuple[int, str]:
    """Size and SHA-256 of a whole file; of less once it is stopped."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := os.pread(descriptor, BLOCK_BYTES, n_bytes):
        digest.update(block)
        n_bytes += len(block)
        if stop is not None and stop.is_set():
            break
    return n_bytes, digest.hexdigest()
