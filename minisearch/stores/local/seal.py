"""The seal of a closed database: its size, time and SHA-256, in a small file beside it.

SQLite's pages carry no checksum.  A writer seals the file when it closes it, and removes the seal before it
writes.  A reader that finds a seal trusts a file of the same size and modification time without reading it.
Where one of them differs, and always for a writer and for `verify`, the whole file is compared by SHA-256.

So damage below the file system, which changes neither size nor time, is found by the checksums of the rows
that a query uses, by SQLite's own checks, or by `verify`.  In the full text, in filter columns and in
counters only `verify` finds it.

Without a seal, a writer is active or was killed.  Then damage is found by the checksums of rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path

from minisearch.stores.local.files import create_private, descriptor_of, open_regular, sync
from minisearch.stores.local.sqlite import has_log

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Seal:
    """A file's size, modification time and digest."""

    n_bytes: int
    mtime_ns: int
    sha256: str

    def encode(self) -> bytes:
        """The content of the seal file, with a checksum of its own."""
        body = " ".join(map(str, astuple(self)))
        return f"{body} {zlib.crc32(body.encode())}\n".encode()


def seal_path(path: Path) -> Path:
    """Where a database's seal is."""
    return path.with_name(f"{path.name}.seal")


def read_seal(path: Path) -> Seal | None:
    """The seal of the database at a path; None if there is none or it is damaged."""
    try:
        with open(open_regular(seal_path(path)), "rb") as file:  # noqa: PTH123 - a descriptor
            content = file.read(1_000)
        n_bytes, mtime_ns, sha256, _ = content.decode().split()
        seal = Seal(int(n_bytes), int(mtime_ns), sha256)
    except (OSError, ValueError):
        return None
    return seal if seal.encode() == content else None


def write_seal(path: Path) -> None:
    """Seal a held, closed database; on a full disk it stays without a seal."""
    with contextlib.suppress(OSError):
        descriptor = descriptor_of(path)
        found = os.fstat(descriptor)
        seal = Seal(found.st_size, found.st_mtime_ns, _sha256(descriptor))
        create_private(seal_path(path))
        with open(open_regular(seal_path(path), os.O_WRONLY | os.O_TRUNC), "wb") as file:  # noqa: PTH123
            file.write(seal.encode())  # half of it would be no seal


def break_seal(path: Path) -> None:
    """Remove a database's seal, also from the disk: an old seal would make good data look damaged."""
    try:
        seal_path(path).unlink()
    except FileNotFoundError:
        return
    sync(path.parent)


def seal_problem(path: Path, *, is_whole: bool) -> str:
    """How a held database differs from its seal; "" if it does not, or has none.

    The whole file is read if ``is_whole``, or if its size or time differ from the seal.
    """
    seal = read_seal(path)
    if seal is None:
        return ""
    try:
        problem = _difference(path, seal, is_whole=is_whole)
    except FileNotFoundError:  # SQLite reports it
        return ""
    except OSError as error:
        problem = str(error)
    # A writer removes the seal before it writes. In that case what was read here cannot be compared.
    return problem if read_seal(path) == seal else ""


def _difference(path: Path, seal: Seal, *, is_whole: bool) -> str:
    if has_log(path):
        return "a log lies beside it that is not its own"
    descriptor = descriptor_of(path)
    found = os.fstat(descriptor)
    is_same = (found.st_size, found.st_mtime_ns) == (seal.n_bytes, seal.mtime_ns)
    if (is_whole or not is_same) and _sha256(descriptor) != seal.sha256:
        return (
            f"it is not what was last written: its checksum is wrong; if you put it there yourself, delete "
            f"{seal_path(path)}"
        )
    return ""


def _sha256(descriptor: int) -> str:
    digest, position = hashlib.sha256(), 0
    while block := os.pread(descriptor, BLOCK_BYTES, position):
        digest.update(block)
        position += len(block)
    return digest.hexdigest()
