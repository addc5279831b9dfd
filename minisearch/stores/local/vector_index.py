"""The vector index of a store: the published base file, brought up to date from the stored vectors.

The vectors in the store are authoritative, and the index is a cache.  A base that is out of date gets a delta
and tombstones from the store.  A base that is missing, damaged or from another index is not opened; until a
new one is published, queries compare all stored vectors.

A base of the size and modification time that it was published with is opened without reading it; otherwise
its SHA-256 is compared first.  `verify` and writers always compare it.  So damage below the file system,
which changes neither, is found only by `verify` and by the next run.

To publish: write a temporary file, fsync, rename it to a new name, add one row to the database, and remove
the old file.  If the process is killed at any step, either the old or the new index is complete and in use.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minisearch.errors import IndexCorrupt, IndexNotWritable
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.documents import read_vectors, row_crc32
from minisearch.stores.local.files import PRIVATE, free_space, open_regular, sync
from minisearch.stores.local.sqlite import damaged
from minisearch.types import IntArray
from minisearch.vectors import load_backend, open_base
from minisearch.vectors.base import VectorIndex

logger = logging.getLogger(__name__)

# Every new process reads the delta from the database and scans it (1,000 vectors: 1.5 MB, some milliseconds),
# so it may grow to a tenth of the base. Merging it means building the whole index again.
MERGE_ABOVE = 1_000
MERGE_FRACTION = 0.1

# Base files; with ".tmp" those not yet in use. A user's folder may hold a vectors.csv or vectors.tmp.
_FILE_NAME = re.compile(r"vectors-\d+-[0-9a-f]{12}\.\w+")


@dataclass(frozen=True, slots=True)
class Base:
    """The vector index file in use, the chunk ids in it, and the generation that it was built from.

    ``sha256`` is of the ids and the file; the file's size and time tell whether it was changed since.
    """

    backend: str
    file: str
    generation: int
    sha256: str
    ids: IntArray
    n_bytes: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Opened:
    """An index, the ids in its base, the base's row, and whether its file is in use."""

    index: VectorIndex
    ids: IntArray
    base_id: int
    is_published: bool


class LiveIndex:
    """The vector index of one open database, kept between queries.

    The base is checked and opened once.  While other processes add and remove documents, only the changes
    since the base was built are read again.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._folder = connection.path.parent
        self._opened: _Opened | None = None
        self._version: object = None  # of the opened index

    # --- use ---------------------------------------------------------------------------------------

    def current(self, version: object, dimension: int) -> VectorIndex:
        """The index over every chunk; call it inside a snapshot.

        ``version`` differs if documents may have changed.  The index stays the same object, changed in place,
        until another base is published.  Raises BackendUnavailable when the base needs a library that is not
        installed.
        """
        base_id, opened, connection = self.base_id(), self._opened, self._connection
        if opened is None or opened.base_id != base_id:
            base = self._open_base(dimension)
            index = base
            if index is None:
                index = load_backend("flat").build(*read_vectors(connection, dimension, 0))
            opened = _Opened(index, index.ids, base_id, base is not None)
            self._opened, self._version = opened, None
        if version != self._version:
            newest = int(opened.ids[-1]) if len(opened.ids) else 0
            if opened.is_published:
                removed = self.removed_ids()
            else:
                removed = np.setdiff1d(opened.ids, chunk_ids(connection), assume_unique=True)
            opened.index.set_changes(*read_vectors(connection, dimension, newest), removed)
            self._version = version
        return opened.index

    def _open_base(self, dimension: int) -> VectorIndex | None:
        """The base in use, as it was published; None if there is none that can be used."""
        base = self.base()
        if base is None:
            return None
        path = self._folder / base.file
        try:
            # Before any native parser sees the file: FAISS loads a zeroed block without an error and Annoy
            # can be made to crash. There is no protection against a file that is replaced right after this.
            if self._is_unchanged(base) or self._sha256_of(base) == base.sha256:
                return open_base(base.backend, path, base.ids, dimension)
            problem = "its checksum is wrong"
        except (OSError, ValueError, IndexCorrupt) as error:  # ValueError: no possible name, no known backend
            problem = str(error)
        logger.warning(
            "the vector index %s cannot be used (%s): answering exactly from the stored vectors; "
            "the next 'minisearch index' or 'minisearch rebuild' makes it again",
            path,
            problem,
        )
        return None

    # --- the base in use ---------------------------------------------------------------------------

    def base_id(self) -> int:
        """The number of the base's row; 0 if there is none."""
        ((base_id,),) = self._connection.rows("select coalesce(max(id), 0) from bases")
        return int(base_id)

    def base(self) -> Base | None:
        """The vector index file in use, if one was ever published."""
        rows = self._connection.rows(
            "select backend, file, generation, sha256, n_bytes, mtime_ns, ids, crc32 from bases "
            "order by id desc limit 1"
        )
        if not rows:
            return None
        backend, file, generation, sha256, n_bytes, mtime_ns, ids, crc32 = rows[0]
        # The index file is only a cache: a damaged record is returned, and fails the SHA-256 comparison.
        whole = ids[: len(ids) // 8 * 8] if isinstance(ids, bytes) else b""
        if row_crc32(whole, backend, file, generation, sha256, n_bytes, mtime_ns) != crc32:
            mtime_ns = 0
        return Base(
            *(str(backend), str(file), generation, str(sha256), np.frombuffer(whole, np.int64)),
            *(n_bytes, mtime_ns),
        )

    def removed_ids(self) -> IntArray:
        """Ids (n,), ascending, of the chunks removed since the base was published."""
        rows = self._connection.rows("select chunk_id from removed_from_base order by chunk_id")
        return np.array([row[0] for row in rows], np.int64)

    def is_there(self) -> bool:
        """Whether the file of the base exists, with any content."""
        base = self.base()
        return base is not None and bool(_FILE_NAME.fullmatch(base.file)) and self._path_of(base).is_file()

    def is_intact(self) -> bool:
        """Whether the file of the base is what was published, or none was ever published."""
        base = self.base()
        try:
            return base is None or self._sha256_of(base) == base.sha256
        except (OSError, ValueError):
            return False

    def _is_unchanged(self, base: Base) -> bool:
        """Whether the file of a base has the size and time that it was published with."""
        found = self._path_of(base).lstat()
        stamp = (found.st_size, found.st_mtime_ns)
        return stat.S_ISREG(found.st_mode) and stamp == (base.n_bytes, base.mtime_ns)

    def _sha256_of(self, base: Base) -> str:
        return _sha256(self._path_of(base), base.ids)

    def _path_of(self, base: Base) -> Path:
        if not _FILE_NAME.fullmatch(base.file):  # the record may come from elsewhere: open nothing outside
            raise ValueError("its record names no file of an index")
        return self._folder / base.file

    # --- publishing --------------------------------------------------------------------------------

    def is_due(self, backend: str) -> bool:
        """Whether to publish: no base yet, another backend, a damaged file, or too many changes since."""
        base = self.base()
        if base is None or base.backend != backend or not self.is_intact():
            return True
        ((n_chunks,),) = self._connection.rows("select n_chunks from counters")
        n_removed = len(self.removed_ids())
        n_added = n_chunks - (len(base.ids) - n_removed)
        return bool(n_added + n_removed > max(MERGE_ABOVE, MERGE_FRACTION * len(base.ids)))

    def publish_if_due(self, backend: str, dimension: int) -> bool:
        """Publish a new index if one is due; whether it was."""
        if is_due := self.is_due(backend):
            self.publish(backend, dimension)
        return is_due

    def publish(self, backend: str, dimension: int) -> None:
        """Rebuild the index from the stored vectors and put it into use; the writer's lock is held.

        Raises BackendUnavailable, and IndexNotWritable when the file cannot be written whole.
        """
        backend_class, folder = load_backend(backend), self._folder
        with self._connection.transaction():
            built_from = generation(self._connection)
            ids, vectors = read_vectors(self._connection, dimension, 0)
        index = backend_class.build(ids, vectors)
        temporary = folder / f"vectors-{built_from}-{secrets.token_hex(6)}.tmp"
        try:
            index.save(temporary)
            temporary.chmod(PRIVATE)
            sync(temporary)
            sha256 = _sha256(temporary, ids)
            path = folder / f"{temporary.stem}{index.suffix}"
            temporary.replace(path)
            sync(folder)
            found = path.stat()
        except OSError as error:
            raise IndexNotWritable(
                f"cannot write the vector index to {folder} ({error}; {free_space(folder)}): the documents "
                f"are stored and results stay exact; free some space or check the permissions, then run: "
                f"minisearch rebuild"
            ) from error
        finally:
            with contextlib.suppress(OSError):  # left after a full disk or Ctrl-C
                temporary.unlink(missing_ok=True)
        base = Base(backend, path.name, built_from, sha256, ids, found.st_size, found.st_mtime_ns)
        self.use(base, is_current=built_from == generation(self._connection))
        for old in folder.iterdir():
            if _FILE_NAME.fullmatch(old.name) and old != path:
                with contextlib.suppress(OSError):  # the next publish tries again
                    old.unlink()

    def use(self, base: Base, *, is_current: bool = True) -> None:
        """Make a file the vector index in use, replacing the current one."""
        connection, ids = self._connection, base.ids.tobytes()
        row = [base.backend, base.file, base.generation, base.sha256, base.n_bytes, base.mtime_ns]
        with connection.transaction():
            for table in ("bases", "removed_from_base"):
                connection.write(f"delete from {table}")  # noqa: S608 - ours
            connection.write(
                "insert into bases "
                "(backend, file, generation, sha256, n_bytes, mtime_ns, crc32, max_id, ids) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [*row, row_crc32(ids, *row), int(base.ids[-1]) if len(base.ids) else 0, ids],
            )
            if not is_current:  # documents were removed while the file was built
                removed = np.setdiff1d(base.ids, chunk_ids(connection), assume_unique=True).tolist()
                connection.write_many(
                    "insert into removed_from_base (chunk_id) values (?)", ((id_,) for id_ in removed)
                )


def generation(connection: Connection) -> int:
    """`LocalStore.generation`."""
    rows = connection.rows("select value from meta where key = 'generation'")
    try:
        return int(rows[0][0]) if rows else 0
    except ValueError as error:
        raise damaged(connection.path, f"its generation is {rows[0][0]!r}") from error


def chunk_ids(connection: Connection) -> IntArray:
    """Every chunk's id, ascending."""
    # Unordered, so that SQLite reads them from a small index rather than from the table itself.
    return np.sort(np.array([row[0] for row in connection.rows("select id from chunks")], np.int64))


def _sha256(path: Path, ids: IntArray) -> str:
    """Of a base: which vectors there are, and whose they are; OSError for a link or a pipe."""
    digest = hashlib.sha256(ids.tobytes())
    with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
