"""The current vector index: the published base file, brought up to date from the store.

The store is the truth and the index a cache, so nothing is lost here.  A base that is out of date gets a
delta and tombstones from the store.  A base that is missing, damaged or foreign is not opened; until a new
one is published, every query is answered exactly from the stored vectors.

A base of the size and modification time that it was published with is opened without reading it; otherwise
its SHA-256 is compared first.  `verify` and writers always compare it.  So damage below the file system,
which changes neither, is found only by `verify` and by the next run.

To publish: write a temporary file, fsync, rename it to a new name, add one row to the store, and remove the
old file.  If the process is killed at any step, either the old or the new index is complete and in use.
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

from minisearch.errors import IndexCorrupt, IndexNotWritable, StoreError
from minisearch.stores.local import Base, Store
from minisearch.stores.local.files import PRIVATE, free_space, open_regular, sync
from minisearch.types import IntArray
from minisearch.vectors import load_backend, open_base
from minisearch.vectors.base import VectorIndex

logger = logging.getLogger(__name__)

# A delta is searched exactly and read from the store by every new process (1,000 vectors: 1.5 MB, some
# milliseconds), so it may stay until it is a tenth of the base; merging costs a build of the whole.
MERGE_ABOVE = 1_000
MERGE_FRACTION = 0.1

# Bases, and with ".tmp" those not yet in use; a user's folder may hold a vectors.csv or vectors.tmp.
_FILE_NAME = re.compile(r"vectors-\d+-[0-9a-f]{12}\.\w+")


@dataclass(frozen=True, slots=True)
class _Opened:
    """An index, the ids in its base, the open store, the base's row, and whether its file is in use."""

    index: VectorIndex
    ids: IntArray
    store: Store
    base_id: int
    is_published: bool


class LiveIndex:
    """The vector index of one folder, kept from query to query.

    Its base is checked and opened once; while other processes add and remove documents, only what came
    and went since the base was built is read again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: _Opened | None = None
        self._generation = -1  # that the opened index was last brought up to

    def current(self, store: Store, dimension: int) -> VectorIndex:
        """The index over every chunk in the store; call it inside one snapshot of the store.

        It stays the same object, changed in place, until another base is published or another store
        is handed in.  Raises BackendUnavailable when the base needs a library that is not installed.
        """
        generation, base_id = store.version()
        opened = self._opened
        if opened is None or opened.store is not store or opened.base_id != base_id:
            base = _open_base(store, self._folder, dimension)
            index = load_backend("flat").build(*store.vectors(dimension)) if base is None else base
            opened = _Opened(index, index.ids, store, base_id, base is not None)
            self._opened, self._generation = opened, -1
        if generation != self._generation:
            newest = int(opened.ids[-1]) if len(opened.ids) else 0
            if opened.is_published:
                removed = store.removed_from_base()
            else:
                removed = np.setdiff1d(opened.ids, store.chunk_ids(), assume_unique=True)
            opened.index.set_changes(*store.vectors(dimension, after=newest), removed)
            self._generation = generation
        return opened.index


def _open_base(store: Store, folder: Path, dimension: int) -> VectorIndex | None:
    """The base in use, as it was published; None when there is none that can be used."""
    base = store.base()
    if base is None:
        return None
    path = folder / base.file
    try:
        # Before any native parser sees the file: FAISS loads a zeroed block without an error and Annoy can
        # be made to crash. A file swapped between this line and the next is not defended against.
        if _is_unchanged(base, folder) or _sha256_of(base, folder) == base.sha256:
            return open_base(base.backend, path, base.ids, dimension)
        problem = "its checksum is wrong"
    except (OSError, ValueError, IndexCorrupt) as error:  # ValueError: no possible name, no known backend
        problem = str(error)
    if _is_replaced(store):  # by a writer, who then deleted it: nothing is wrong, the next query has the new
        logger.info("the vector index %s was replaced just now: answering from the stored vectors", path)
        return None
    logger.warning(
        "the vector index %s cannot be used (%s): answering exactly from the stored vectors; "
        "the next 'minisearch index' or 'minisearch rebuild' makes it again",
        path,
        problem,
    )
    return None


def _is_replaced(store: Store) -> bool:
    try:
        return store.has_newer_base()
    except StoreError:  # the database went too
        return False


def is_due(store: Store, folder: Path, backend: str) -> bool:
    """Whether a new base should be published: none yet, another backend, damaged, or too much beside it."""
    base = store.base()
    if base is None or base.backend != backend:
        return True
    if base.generation == store.generation:
        return not is_intact(base, folder)
    n_removed = len(store.removed_from_base())
    n_added = store.counts()[1] - (len(base.ids) - n_removed)
    n_beside = n_added + n_removed
    return n_beside > max(MERGE_ABOVE, MERGE_FRACTION * len(base.ids)) or not is_intact(base, folder)


def publish_index(store: Store, folder: Path, dimension: int, backend: str) -> None:
    """Build the index anew from the stored vectors and put it into use; the writer's lock is held.

    Raises BackendUnavailable, and IndexNotWritable when the file cannot be written whole.
    """
    index_class = load_backend(backend)
    with store.snapshot():
        generation = store.generation
        ids, vectors = store.vectors(dimension)
    index = index_class.build(ids, vectors)
    temporary = folder / f"vectors-{generation}-{secrets.token_hex(6)}.tmp"
    try:
        index.save(temporary)
        temporary.chmod(PRIVATE)
        sync(temporary)
        sha256 = _sha256(temporary, ids)
        path = folder / f"{temporary.stem}{index_class.suffix}"
        temporary.replace(path)
        sync(folder)
        found = path.stat()
    except (OSError, IndexNotWritable) as error:
        raise IndexNotWritable(
            f"cannot write the vector index to {folder} ({error}; {free_space(folder)}): the documents are "
            f"stored and answers stay exact; make room or check the permissions, then run: minisearch rebuild"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # what a full disk, or Ctrl-C, has left
            temporary.unlink(missing_ok=True)
    store.publish(Base(backend, path.name, generation, sha256, ids, found.st_size, found.st_mtime_ns))
    for old in folder.iterdir():
        if _FILE_NAME.fullmatch(old.name) and old != path:
            with contextlib.suppress(OSError):  # nobody reads it any more, and the next publish tries again
                old.unlink()


def is_intact(base: Base, folder: Path) -> bool:
    """Whether the file of a base is there, and is what was published."""
    try:
        return _sha256_of(base, folder) == base.sha256
    except (OSError, ValueError):
        return False


def _is_unchanged(base: Base, folder: Path) -> bool:
    """Whether the file of a base has the size and time that it was published with."""
    found = _path_of(base, folder).lstat()
    return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (base.n_bytes, base.mtime_ns)


def is_there(base: Base, folder: Path) -> bool:
    """Whether there is a file of this base, whatever is in it."""
    return _FILE_NAME.fullmatch(base.file) is not None and (folder / base.file).is_file()


def _sha256_of(base: Base, folder: Path) -> str:
    return _sha256(_path_of(base, folder), base.ids)


def _path_of(base: Base, folder: Path) -> Path:
    if not _FILE_NAME.fullmatch(base.file):  # the record may come from elsewhere: nothing outside is opened
        raise ValueError("its record names no file of an index")
    return folder / base.file


def _sha256(path: Path, ids: IntArray) -> str:
    """Of a base whole: which vectors there are, and whose they are; OSError for a link or a pipe."""
    digest = hashlib.sha256(ids.tobytes())
    with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
