"""The vector index as of this moment: the published base file, brought up to date from the store.

The store is the truth and the index a cache, so nothing here can lose anything: a base that is stale
gets a delta and tombstones from the store, one that is missing, torn or foreign is not opened at all,
and until a new one is published every query is answered exactly from the stored vectors.

Publishing builds beside and renames: temporary file, fsync, rename to a name no index has had, one
row in the store, and only then is the old file removed.  Killed at any step, either the old or the new
index is whole and in use.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from pathlib import Path

import numpy as np

from minisearch.errors import IndexCorrupt, IndexNotWritable
from minisearch.indexes import load_backend
from minisearch.indexes.base import VectorIndex
from minisearch.storage import Base, Store
from minisearch.types import IntArray

logger = logging.getLogger(__name__)

# A delta is searched exactly and read from the store by every new process (1,000 vectors: 1.5 MB, some
# milliseconds), so it may stay until it is a tenth of the base; merging costs a build of the whole.
MERGE_ABOVE = 1_000
MERGE_FRACTION = 0.1

_FILE_NAME = re.compile(r"vectors-\d+-[0-9a-f]{12}\.\w+")  # a user's folder may hold a vectors.csv


def open_index(store: Store, folder: Path, dimension: int) -> VectorIndex:
    """The index over every chunk in the store; call it inside one snapshot of the store.

    Raises BackendUnavailable when the base's library is not installed.
    """
    index = _open_base(store.base(), folder, dimension)
    if index is None:
        return load_backend("flat").build(*store.vectors(dimension))
    newest = int(index.ids[-1]) if len(index.ids) else 0
    removed = np.setdiff1d(index.ids, store.chunk_ids(), assume_unique=True)
    index.set_changes(*store.vectors(dimension, after=newest), removed)
    return index


def _open_base(base: Base | None, folder: Path, dimension: int) -> VectorIndex | None:
    if base is None:
        return None
    path = folder / base.file
    try:
        # Before any native parser sees the file: FAISS loads a zeroed block without a word and Annoy can
        # be made to crash. A file swapped between this line and the next is not defended against.
        if _sha256(path, base.ids) == base.sha256:
            return load_backend(base.backend).load(path, base.ids, dimension)
        problem = "its checksum is wrong"
    except (OSError, IndexCorrupt) as error:
        problem = str(error)
    logger.warning(
        "the vector index %s cannot be used (%s): answering exactly from the stored vectors; "
        "the next 'minisearch index' or 'minisearch rebuild' makes it again",
        path,
        problem,
    )
    return None


def is_due(store: Store, folder: Path, backend: str) -> bool:
    """Whether a new base should be published: none yet, another backend, damaged, or too much beside it."""
    base = store.base()
    if base is None or base.backend != backend:
        return True
    if base.generation == store.generation:
        return not _is_intact(base, folder)
    ids = store.chunk_ids()
    n_removed = len(np.setdiff1d(base.ids, ids, assume_unique=True))
    n_added = len(ids) - (len(base.ids) - n_removed)
    n_beside = n_added + n_removed
    return n_beside > max(MERGE_ABOVE, MERGE_FRACTION * len(base.ids)) or not _is_intact(base, folder)


def publish_index(store: Store, folder: Path, dimension: int, backend: str) -> None:
    """Build the index anew from the stored vectors and put it into use; the writer's lock is held.

    Raises BackendUnavailable, and IndexNotWritable when the file cannot be written whole.
    """
    index_class = load_backend(backend)
    with store.snapshot():
        generation = store.generation
        ids, vectors = store.vectors(dimension)
    index = index_class.build(ids, vectors)
    temporary = folder / "vectors.tmp"
    try:
        index.save(temporary)
        _sync(temporary)
        sha256 = _sha256(temporary, ids)
        path = folder / f"vectors-{generation}-{sha256[:12]}{index_class.suffix}"
        temporary.replace(path)
        _sync(folder)
    except (OSError, IndexNotWritable) as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise IndexNotWritable(
            f"cannot write the vector index to {folder} ({error}): the documents are stored and answers stay "
            f"exact; make room or check the permissions, then run: minisearch rebuild"
        ) from error
    store.publish(Base(backend, path.name, generation, sha256, ids))
    for old in folder.iterdir():
        if _FILE_NAME.fullmatch(old.name) and old != path:
            with contextlib.suppress(OSError):  # nobody reads it any more, and the next publish tries again
                old.unlink()


def _is_intact(base: Base, folder: Path) -> bool:
    try:
        return _sha256(folder / base.file, base.ids) == base.sha256
    except OSError:
        return False


def _sha256(path: Path, ids: IntArray) -> str:
    """Of a base whole: which vectors there are, and whose they are."""
    digest = hashlib.sha256(ids.tobytes())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
