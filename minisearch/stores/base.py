"""The records that a store takes and returns, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What the file system said of a file when it was read; equal stamps let a run skip reading it.

    ``read_at_ns`` is the time just before: a file changed at or after it may have changed unseen.
    """

    n_bytes: int
    mtime_ns: int
    ctime_ns: int
    read_at_ns: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's row: what tells whether the file has changed, and what it can be chosen by.

    ``sha256`` is of the file's bytes; ``ingest`` is the fingerprint of the settings it was cut with;
    ``language`` and ``fields`` are `Document`'s, the numbers among the fields as floats; of what the store
    gives back, the fields are empty unless they were asked for.  ``n_characters`` is the length of its text,
    ``n_bytes_reached`` how many of the file's bytes are in its chunks; both are 0 where it was stored by an
    earlier version.  ``keeps_secrets`` says that it was not screened.
    """

    path: str
    format: str
    title: str
    stamp: FileStamp
    sha256: bytes
    ingest: str
    language: str = ""
    fields: Mapping[str, tuple[str | float | bool, ...]] = field(default_factory=dict)
    id: int = 0
    n_characters: int = 0
    n_bytes_reached: int = 0
    keeps_secrets: bool = False


@dataclass(frozen=True, slots=True)
class SkipStamp:
    """The state of a skipped file, the settings it was read with, and how often it crashed its reader."""

    stamp: FileStamp
    ingest: str
    n_crashes: int = 0


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as an answer needs it; ``title`` is its document's, the places are `Chunk`'s."""

    id: int
    document_id: int
    path: str
    line: int
    end_line: int
    heading: str
    text: str
    title: str = ""
    anchors: tuple[tuple[int, int, int], ...] = ()
    page: int | None = None
    page_breaks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Undone:
    """What going back did: documents that came back, are as they were before, and are gone again."""

    added: int
    updated: int
    removed: int
