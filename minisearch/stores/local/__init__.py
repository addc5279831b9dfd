"""The local store: one SQLite file with everything an index holds, and a vector index file beside it."""

from __future__ import annotations

from minisearch.stores.local.backup import restore
from minisearch.stores.local.filters import check_filter
from minisearch.stores.local.store import LocalStore

__all__ = ["LocalStore", "check_filter", "restore"]
