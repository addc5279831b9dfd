"""The truth about an index, in one SQLite file."""

from __future__ import annotations

from minisearch.storage.store import Base, FileStamp, Store, StoredChunk, StoredDocument

__all__ = ["Base", "FileStamp", "Store", "StoredChunk", "StoredDocument"]
