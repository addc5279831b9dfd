"""The truth about an index, in one SQLite file."""

from __future__ import annotations

from minisearch.storage.backup import restore
from minisearch.storage.records import Base, FileStamp, SkipStamp, StoredChunk, StoredDocument, Undone
from minisearch.storage.store import Store

__all__ = ["Base", "FileStamp", "SkipStamp", "Store", "StoredChunk", "StoredDocument", "Undone", "restore"]
