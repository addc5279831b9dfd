"""The truth about an index, in one SQLite file."""

from __future__ import annotations

from minisearch.stores.local.backup import restore
from minisearch.stores.local.records import Base, FileStamp, SkipStamp, StoredChunk, StoredDocument, Undone
from minisearch.stores.local.store import Store

__all__ = ["Base", "FileStamp", "SkipStamp", "Store", "StoredChunk", "StoredDocument", "Undone", "restore"]
