"""What documents say of themselves, as rows: ``Document.fields`` in, columns that SQL compares out, and back.

A value is of one of three kinds, and compares with its own only.  Texts and names are kept as bytes, half
characters and NULs included: bytes of UTF-8 compare as the characters do.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping

from minisearch.stores.local.connection import Connection
from minisearch.stores.local.failures import damaged, path_of
from minisearch.stores.local.sums import row_crc32

Value = str | float | bool

TEXT, NUMBER, TRUTH = "text", "number", "truth"

Row = tuple[bytes, str, bytes | None, bytes | None, float | None]


COLUMNS = "name, kind, text, folded, number, crc32"  # all of a value but its document's id
_COLUMNS = ", ".join(f"f.{column}" for column in COLUMNS.split(", "))


def write_fields(
    connection: Connection, document_id: int, path: bytes, fields: Mapping[str, tuple[Value, ...]]
) -> None:
    """Add the fields of the document at this path, inside a transaction."""
    connection.write_many(
        f"insert into fields (document_id, {COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - ours
        ((document_id, *row, row_crc32(path, *row)) for row in rows_of(fields)),
    )


def read_fields(connection: Connection) -> dict[int, dict[str, tuple[Value, ...]]]:
    """The fields of every document that has any, by its id."""
    found: dict[int, dict[str, tuple[Value, ...]]] = {}
    rows = connection.rows(
        f"select f.document_id, d.path, {_COLUMNS} from fields f "  # noqa: S608 - ours
        "join documents d on d.id = f.document_id order by f.rowid"
    )
    for document_id, path, *row in rows:
        name, kind, text, folded_, number, crc32 = row
        if row_crc32(path, name, kind, text, folded_, number) != crc32:
            of_what = path_of(path, connection.path)
            raise damaged(connection.path, f"a field of {of_what!r} is not what was stored")
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
        # As SQLite gives it back: no -0, and NaN as null.
        return None, None if math.isnan(value) else float(value) + 0.0
    except OverflowError:  # a whole number beyond 1e308
        return None, math.inf if value > 0 else -math.inf


def folded(text: str) -> bytes:
    """A text that equals those that differ from it in case only."""
    return to_bytes(unicodedata.normalize("NFC", text.casefold()))


def to_bytes(text: str) -> bytes:
    """Any string, half characters too."""
    return text.encode("utf-8", "surrogatepass")
