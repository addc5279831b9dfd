"""Stores: where an index keeps its documents, vectors and full text; `base` has the interface.

To add a store, add a module beside these and choose it in `open_store`, the only place that opens one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minisearch.paths import IndexLocation
from minisearch.stores.local import LocalStore, check_filter
from minisearch.stores.local.files import writer_lock
from minisearch.vectors import load_backend

__all__ = ["check_backend", "check_filter", "open_store", "open_to_write"]


def open_store(location: IndexLocation, *, writable: bool = False) -> LocalStore:
    """The open store of an index; StoreError. A writer must hold the lock: see `open_to_write`."""
    return LocalStore(location.database, writable=writable)


@contextmanager
def open_to_write(location: IndexLocation) -> Iterator[LocalStore]:
    """The store of an index, open for writing, with the lock that allows one writer; IndexBusy."""
    with writer_lock(location.path), open_store(location, writable=True) as store:
        yield store


def check_backend(name: str) -> None:
    """InputError for an unknown vector index, BackendUnavailable if its library is not installed."""
    load_backend(name)
