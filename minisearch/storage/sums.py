"""Checksums of what is stored: SQLite's pages have none, so a flipped bit would come back as it is.

A row comes in, 32 bits go out; the rows keep them, and whoever reads a row compares.
"""

from __future__ import annotations

import zlib


def chunk_crc32(path: object, *shown: object) -> int:
    """Of a chunk as answers show it: its path, then line, end_line, page, heading, text, title, anchors."""
    of_path = zlib.crc32(path) if isinstance(path, bytes) else -1  # damage may have changed the type too
    return zlib.crc32("\0".join(map(str, shown)).encode("utf-8", "surrogatepass"), of_path)
