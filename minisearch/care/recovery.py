"""The way back: an index as it was before its last change, and copies of all of it.

Every change keeps what it replaces, in the database and in its own transaction; a copy is the whole database
at one moment, taken while others read and write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from minisearch import storage
from minisearch.choices import read_roots
from minisearch.errors import IndexCorrupt, IndexNotFound, IndexNotWritable
from minisearch.facts import Facts
from minisearch.home import Home
from minisearch.live_index import is_due, publish_index
from minisearch.storage import Store, Undone
from minisearch.storage.lock import writer_lock


def roll_back(home: Home) -> Undone:
    """`MiniSearch.rollback`."""
    home.must_exist()
    with writer_lock(home.path), Store(home.database, writable=True) as store:
        run_id = store.journal.start_run([home.key_of(root) for root in read_roots(store, home)])
        undone = store.roll_back()
        store.journal.finish_run(run_id, "rolled back", asdict(undone))
        _publish_if_due(store, home)
    return undone


def back_up(home: Home, path: str | os.PathLike[str]) -> None:
    """`MiniSearch.backup`."""
    home.must_exist()
    with Store(home.database) as store:
        Facts.read(store, home.folder)  # a copy of nothing would be taken for a copy
        store.backup(Path(path))


def restore(home: Home, path: str | os.PathLike[str]) -> int:
    """`MiniSearch.restore`."""
    if home.exists():
        raise IndexNotWritable(
            f"there is an index in {home.folder} already: name another folder with --index, or move it away"
        )
    is_new = not home.path.exists()
    home.create()
    with writer_lock(home.path), _nothing_left(home, is_new=is_new), _no_backup(path):
        storage.restore(Path(path), home.database)
        with Store(home.database, writable=True) as store:
            _publish_if_due(store, home)
            return sum(not os.path.lexists(home.absolute(key)) for key in store.documents())


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
def _nothing_left(home: Home, *, is_new: bool) -> Iterator[None]:
    """On a failure, the files that have come into a folder go again, and a new folder with them.

    The writer's lock must be held: without it, another process may be making its index there.
    """
    ours = {home.path / name for name in (".gitignore", "writer.lock")}
    there = set(home.path.iterdir()) - (ours if is_new and not home.exists() else set())
    try:
        yield
    except BaseException:
        for path in set(home.path.iterdir()) - there:
            path.unlink()
        if not there:
            home.path.rmdir()
        raise


def _publish_if_due(store: Store, home: Home) -> None:
    facts = Facts.read(store, home.folder)
    if is_due(store, home.path, facts.backend):
        publish_index(store, home.path, facts.dimension, facts.backend)
