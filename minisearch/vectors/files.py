"""The files that bases lie in: written whole, or an error; and words for those that cannot be used.

What is in a file is its backend's to know.
"""

from __future__ import annotations

from pathlib import Path

from minisearch.errors import IndexCorrupt, IndexNotWritable


def write_file(path: Path, *parts: bytes | memoryview) -> None:
    """``parts`` one after another in the file at ``path``; raises IndexNotWritable, as on a full disk."""
    try:
        with path.open("wb") as file:
            for part in parts:
                file.write(part)
    except OSError as error:
        raise not_writable(path, error) from error


def not_writable(path: Path, error: OSError) -> IndexNotWritable:
    """The error for an index file that could not be written."""
    return IndexNotWritable(f"{path}: the vector index cannot be written ({error.strerror or error})")


def check_base(path: Path, *, found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raise IndexCorrupt unless the base has the (number, dimension) that it should."""
    if found != expected:
        raise IndexCorrupt(
            f"{path}: holds {found[0]} vectors of dimension {found[1]} where {expected[0]} of dimension "
            f"{expected[1]} were expected; rebuild the vector index"
        )


def corrupt(path: Path, reason: str | Exception) -> IndexCorrupt:
    """The error for an index file that its library, or we, refuse."""
    return IndexCorrupt(f"{path}: the vector index cannot be read ({reason}); rebuild it")
