"""Stores: where an index keeps its documents, vectors and full text; `base` has the interface.

To add a store, add a module beside these and a row in the table.  `open_store` imports only the store that it
opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from minisearch.paths import IndexLocation
from minisearch.vectors import load_backend

if TYPE_CHECKING:
    from minisearch.stores.local import LocalStore

_STORES = {"local": "minisearch.stores.local:LocalStore"}


def open_store(location: IndexLocation, *, writable: bool = False, kind: str = "local") -> LocalStore:
    """The open store of an index; StoreError. A writer must hold the lock: see `open_to_write`."""
    module, _, class_name = _STORES[kind].partition(":")
    store: LocalStore = getattr(import_module(module), class_name)(location.database, writable=writable)
    return store


@contextmanager
def open_to_write(location: IndexLocation) -> Iterator[LocalStore]:
    """The store of an index, open for writing, with the lock that allows one writer; IndexBusy."""
    from minisearch.stores.local.files import writer_lock  # imported here: it is not for readers

    with writer_lock(location.path), open_store(location, writable=True) as store:
        yield store


def check_backend(name: str) -> None:
    """InputError for an unknown vector index, BackendUnavailable if its library is not installed."""
    load_backend(name)
