"""The seal of a database that is at rest: its size and SHA-256, in a small file beside it.

SQLite's pages carry no checksum, so a block of zeros or a flipped bit can change an answer without a word.
A writer that closes seals the file, and breaks the seal before it writes; a reader that finds one compares.
Without a seal a writer is at work, or was killed: then the checksums of the rows remain, and SQLite's own.

The whole file is read, about 1.5 GB/s where the processor knows SHA-256; a thread does it, beside whatever
else a reader has to load.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

from minisearch.storage.files import descriptor_of, open_regular, sync, write_whole

BLOCK_BYTES = 1 << 20

_FORMAT = re.compile(rb"minisearch seal 1\n(?P<body>(\d+) ([0-9a-f]{64}) [0-9a-f]{16})\n(\d+)\n")


@dataclass(frozen=True, slots=True)
class Seal:
    """A file's size and digest; two seals of the same content differ."""

    n_bytes: int
    sha256: str
    nonce: str

    def encode(self) -> bytes:
        """As it stands in its file, with a checksum of its own."""
        body = f"{self.n_bytes} {self.sha256} {self.nonce}"
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
    if found is None or zlib.crc32(found["body"]) != int(found[4]):
        return None
    n_bytes, sha256, nonce = found["body"].decode().split()
    return Seal(int(n_bytes), sha256, nonce)


def write_seal(path: Path) -> None:
    """Seal a held database that nobody writes to; a full disk leaves it without a seal."""
    with contextlib.suppress(OSError):
        n_bytes, sha256 = _digest(descriptor_of(path))
        write_whole(seal_path(path), Seal(n_bytes, sha256, secrets.token_hex(8)).encode())


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
    """Compares a held database with its seal, if it has one, in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seal = read_seal(path)
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._compare, args=[self._seal], daemon=True)
        if self._seal is not None:
            self._thread.start()

    @property
    def is_sealed(self) -> bool:
        """Whether there was a seal."""
        return self._seal is not None

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
            problem = "a log lies beside it that is not its own" if log else ""
            if found != (seal.n_bytes, seal.sha256):
                problem = "it is not what was last written: its checksum is wrong"
        # A writer breaks the seal before it writes. Then what was read here is nothing to compare with.
        if problem and not self._stop.is_set() and read_seal(self._path) == seal:
            self._problem = problem


def _digest(descriptor: int, stop: threading.Event | None = None) -> tuple[int, str]:
    """Size and SHA-256 of a whole file; of less once it is stopped."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := os.pread(descriptor, BLOCK_BYTES, n_bytes):
        digest.update(block)
        n_bytes += len(block)
        if stop is not None and stop.is_set():
            break
    return n_bytes, digest.hexdigest()
