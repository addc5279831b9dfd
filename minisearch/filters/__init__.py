"""Which passages a query is asked of: conditions, put together in Python or read from text.

    from minisearch.filters import Extension, Field, Path, parse_where

What a condition means for what is stored is the store's part.
"""

from minisearch.filters.tree import (
    And,
    Before,
    Contains,
    Extension,
    Field,
    Filter,
    Language,
    Not,
    Operator,
    Or,
    Path,
    Since,
    Value,
    flat,
)
from minisearch.filters.where import as_filter, fields_of, parse_where

__all__ = [
    "And",
    "Before",
    "Contains",
    "Extension",
    "Field",
    "Filter",
    "Language",
    "Not",
    "Operator",
    "Or",
    "Path",
    "Since",
    "Value",
    "as_filter",
    "fields_of",
    "flat",
    "parse_where",
]
