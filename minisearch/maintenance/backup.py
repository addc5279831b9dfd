"""Undo the last change of an index, and make and restore copies of it.

An index goes in, the index as it was before its last change comes out, or one file with all of it.  The store
keeps what every change replaces; a copy is the whole database at one moment, taken while others read and
write.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from minisearch.errors import IndexCorrupt, IndexNotFound, IndexNotWritable
from minisearch.manifest import Manifest
from minisearch.paths import DATABASE, IndexLocation, is_from_memory
from minisearch.stores import local as storage
from minisearch.stores import open_store, open_to_write
from minisearch.stores.base import RollbackReport
from minisearch.stores.local.files import writer_lock

logger = logging.getLogger(__name__)


def roll_back(location: IndexLocation) -> RollbackReport:
    """`MiniSearch.rollback`."""
    location.must_exist()
    with open_to_write(location) as store:
        before = Manifest.read(store, location.folder)
        run_id = store.journal.start_run(before.roots)
        undone = store.roll_back()
        manifest = Manifest.read(store, location.folder)
        replace(manifest, trusted=before.trusted).write(store)  # what a user has named stays named
        store.journal.finish_run(run_id, "rolled back", asdict(undone))
        store.index.publish_if_due(manifest.backend, manifest.dimension)
    return undone


def back_up(location: IndexLocation, path: str | os.PathLike[str]) -> None:
    """`MiniSearch.backup`."""
    location.must_exist()
    with open_store(location) as store:
        Manifest.read(store, location.folder)  # a copy of nothing would be taken for a copy
        store.backup(Path(path))


def restore(location: IndexLocation, path: str | os.PathLike[str]) -> int:
    """`MiniSearch.restore`."""
    if location.exists():
        raise IndexNotWritable(
            f"there is an index in {location.folder} already: name another folder with --index, or move it"
        )
    is_new = not location.path.exists()
    location.create()
    with writer_lock(location.path), _nothing_left(location, is_new=is_new), _no_backup(path):
        storage.restore(Path(path), location.database)
        with open_store(location, writable=True) as store:
            manifest = Manifest.read(store, location.folder)
            try:
                store.index.publish_if_due(manifest.backend, manifest.dimension)
            except IndexNotWritable as error:  # it is a cache: all documents are restored
                logger.warning("%s", error)
            files = (key for key in store.documents() if not is_from_memory(key))
            return sum(not os.path.lexists(location.absolute(key)) for key in files)


@contextmanager
def _no_backup(path: str | os.PathLike[str]) -> Iterator[None]:
    """A refused backup without the advice for an index: the file may be anything of the user's own."""
    try:
        yield
    except (IndexCorrupt, IndexNotFound) as error:
        raise IndexCorrupt(
            f"{os.fspath(path)} is no backup of an index, or is damaged: name a file that "
            f"'minisearch backup' has made"
        ) from error


@contextmanager
def _nothing_left(location: IndexLocation, *, is_new: bool) -> Iterator[None]:
    """On a failure, remove the files of the index, and a new folder with them; the writer's lock is held."""
    had_index = location.exists()  # another process may have made it just now
    before = set(location.path.iterdir())
    try:
        yield
    except BaseException:
        if is_new and not had_index:
            shutil.rmtree(location.path)
        elif not had_index:
            for pattern in (f"{DATABASE}*", "vectors-*"):
                for path in set(location.path.glob(pattern)) - before:
                    path.unlink()
        raise
