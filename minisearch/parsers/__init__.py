"""Parsers: a file's bytes come in, a `Document` comes out; one module for each format.

The names below are imported on first use.  The sandbox process imports modules of this folder without them,
and so starts in a fifth of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minisearch.parsers.registry import parse, parse_text, read_bytes

__all__ = ["parse", "parse_text", "read_bytes"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from minisearch.parsers import registry

    return getattr(registry, name)
