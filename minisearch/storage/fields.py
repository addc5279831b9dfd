"""What documents say of themselves, as rows: ``Document.fields`` in, columns that SQL compares out, and back.

A value is of one of three kinds, and compares with its own only.  Texts and names are kept as bytes, half
characters and NULs included: bytes of UTF-8 compare as the characters do.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping

from minisearch.storage.connection import Connection

Value = str | float | bool

TEXT, NUMBER, TRUTH = "text", "number", "truth"

Row = tuple[bytes, str, bytes | None, bytes | None, float | None]


def write_fields(connection: Connection, document_id: int, fields: Mapping[str, tuple[Value, ...]]) -> None:
    """Add a document's fields, inside a transaction."""
    connection.write_many(
        "insert into fields (document_id, name, kind, text, folded, number) values (?, ?, ?, ?, ?, ?)",
        ((document_id, *row) for row in rows_of(fields)),
    )


def read_fields(connection: Connection) -> dict[int, dict[str, tuple[Value, ...]]]:
    """The fields of every document that has any, by its id."""
    found: dict[int, dict[str, tuple[Value, ...]]] = {}
    rows = connection.rows("select document_id, name, kind, text, number from fields order by rowid")
    for document_id, name, kind, text, number in rows:
        fields = found.setdefault(document_id, {})
        name = name.decode("utf-8", "surrogatepass")
        fields[name] = (*fields.get(name, ()), value_of(kind, text, number))
    return found


def read_names(connection: Connection) -> list[str]:
    """The names of all documents' fields, as they are compared, in order."""
    rows = connection.rows("select distinct name from fields order by name")
    return [name.decode("utf-8", "surrogatepass") for (name,) in rows]


def rows_of(fields: Mapping[str, tuple[Value, ...]]) -> Iterator[Row]:
    """(name, kind, text, folded, number) of every value, in their order."""
    for name, values in fields.items():
        for value in values:
            text = to_bytes(value) if isinstance(value, str) else None
            yield folded(name), kind_of(value), text, *compared(value)


def value_of(kind: str, text: bytes | None, number: float | None) -> Value:
    """The value from its columns."""
    if kind == TEXT:
        return (text or b"").decode("utf-8", "surrogatepass")
    if kind == TRUTH:
        return bool(number)
    return math.nan if number is None else number  # what SQLite makes of NaN


def kind_of(value: Value) -> str:
    """Which values it may be compared with."""
    if isinstance(value, str):
        return TEXT
    return TRUTH if isinstance(value, bool) else NUMBER


def compared(value: Value) -> tuple[bytes | None, float | None]:
    """The columns (folded, number) by which a value is compared; the other one is None."""
    if isinstance(value, str):
        return folded(value), None
    try:
        return None, float(value)
    except OverflowError:  # a whole number beyond 1e308
        return None, math.inf if value > 0 else -math.inf


def folded(text: str) -> bytes:
    """A text that equals those that differ from it in case only."""
    return to_bytes(unicodedata.normalize("NFC", text.casefold()))


def to_bytes(text: str) -> bytes:
    """Any string, half characters too."""
    return text.encode("utf-8", "surrogatepass")
