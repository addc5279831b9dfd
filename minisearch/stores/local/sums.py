"""Checksums of what is stored: SQLite's pages have none, so a flipped bit would come back as it is.

A row comes in, 32 bits go out; the rows keep them, and whoever reads a row compares.
"""

from __future__ import annotations

import zlib


def row_crc32(path: object, *columns: object) -> int:
    """Of columns that belong to the file at a path, such as those of a chunk that answers show."""
    of_path = zlib.crc32(path) if isinstance(path, bytes) else -1  # damage may have changed the type too
    return zlib.crc32("\0".join(map(str, columns)).encode("utf-8", "surrogatepass"), of_path)
