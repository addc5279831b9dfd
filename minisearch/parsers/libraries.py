"""The libraries that read what is no text: which of them are here, and in which version.

A file passed over because one was missing, or failed on it, is worth another look when that changes.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata

LIBRARIES = ("pypdfium2", "pypdf", "tree-sitter")


@lru_cache(maxsize=1)
def installed() -> tuple[str, ...]:
    """Those that are installed, as "name version"."""
    return tuple(f"{name} {version}" for name in LIBRARIES if (version := _version(name)))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
