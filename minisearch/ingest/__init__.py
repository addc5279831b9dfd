"""From a path to chunks: ``walk`` finds files, ``parse`` makes documents of their bytes, ``chunk`` cuts."""

from minisearch.ingest.chunking import chunk
from minisearch.ingest.reach import bytes_under
from minisearch.ingest.readers import parse, read, read_bytes
from minisearch.ingest.readers.code import is_cut_at_lines
from minisearch.ingest.walk import Found, LeftOut, Unreadable, walk

__all__ = [
    "Found",
    "LeftOut",
    "Unreadable",
    "bytes_under",
    "chunk",
    "is_cut_at_lines",
    "parse",
    "read",
    "read_bytes",
    "walk",
]
