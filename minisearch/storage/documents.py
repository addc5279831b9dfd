"""Documents as rows: a `StoredDocument` in, with what hangs on it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minisearch.storage.connection import Connection
from minisearch.storage.failures import damaged, path_of
from minisearch.storage.fields import Value
from minisearch.storage.records import FileStamp, StoredDocument

# All of a document but its id and path.
COLUMNS = (
    "format, title, n_bytes, mtime_ns, ctime_ns, read_at_ns, sha256, ingest, language, n_characters, "
    "n_bytes_reached"
)
_MARKS = ", ".join("?" * len(COLUMNS.split(",")))
_INSERT = f"insert into documents (path, {COLUMNS}) values (?, {_MARKS})"  # noqa: S608 - ours
_UPDATE = f"update documents set ({COLUMNS}) = ({_MARKS}) where id = ?"  # noqa: S608 - ours


def columns_of(document: StoredDocument) -> list[Any]:
    """A document's columns, in the order of `COLUMNS`."""
    stamp = document.stamp
    return [
        *(document.format, document.title),
        *(stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns, stamp.read_at_ns),
        *(document.sha256, document.ingest, document.language),
        *(document.n_characters, document.n_bytes_reached),
    ]


def put_row(connection: Connection, path: bytes, row: list[Any]) -> int:
    """Add a document's row, or replace that of the same path, inside a transaction; its id."""
    known = connection.rows("select id from documents where path = ?", [path])
    if known:
        connection.write(_UPDATE, [*row, known[0][0]])
        return int(known[0][0])
    return connection.write(_INSERT, [path, *row])


def clear(connection: Connection, document_id: int) -> None:
    """Remove what hangs on a document, inside a transaction: chunks with vectors and words, fields, notes."""
    for table in ("chunks", "fields", "notes"):
        connection.write(f"delete from {table} where document_id = ?", [document_id])  # noqa: S608 - ours


def read_documents(
    connection: Connection, fields: Mapping[int, Mapping[str, tuple[Value, ...]]]
) -> dict[str, StoredDocument]:
    """Every document by its path, with its own of the fields."""
    documents = {}
    for id_, path, *row in connection.rows(f"select id, path, {COLUMNS} from documents"):  # noqa: S608 - ours
        format_, title, *stamp, sha256, ingest, language, n_characters, n_bytes_reached = row
        name = path_of(path, connection.path)
        if not (isinstance(sha256, bytes) and all(isinstance(number, int) for number in stamp)):
            raise damaged(connection.path, f"the record of {name!r} is none")
        documents[name] = StoredDocument(
            path=name,
            format=format_,
            title=title,
            stamp=FileStamp(*stamp),
            sha256=sha256,
            ingest=ingest,
            language=language,
            fields=fields.get(id_, {}),
            id=id_,
            n_characters=n_characters,
            n_bytes_reached=n_bytes_reached,
        )
    return documents
