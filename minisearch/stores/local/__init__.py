"""The truth about an index, in one SQLite file."""

from __future__ import annotations

from minisearch.stores.base import FileStamp, SkipStamp, StoredChunk, StoredDocument, Undone
from minisearch.stores.local.backup import restore
from minisearch.stores.local.documents import Base
from minisearch.stores.local.store import Store

__all__ = ["Base", "FileStamp", "SkipStamp", "Store", "StoredChunk", "StoredDocument", "Undone", "restore"]
