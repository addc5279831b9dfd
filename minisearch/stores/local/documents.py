"""Documents as rows: a `StoredDocument` in, with what hangs on it, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from minisearch.stores.local.connection import Connection
from minisearch.stores.local.failures import damaged, path_of
from minisearch.stores.local.fields import Value
from minisearch.stores.local.records import FileStamp, StoredDocument
from minisearch.stores.local.sums import row_crc32

# All of a document but its id and path.
COLUMNS = (
    "format, title, n_bytes, mtime_ns, ctime_ns, read_at_ns, sha256, ingest, language, n_characters, "
    "n_bytes_reached, keeps_secrets, crc32"
)
_MARKS = ", ".join("?" * len(COLUMNS.split(",")))
_INSERT = f"insert into documents (path, {COLUMNS}) values (?, {_MARKS})"  # noqa: S608 - ours
_UPDATE = f"update documents set ({COLUMNS}) = ({_MARKS}) where id = ?"  # noqa: S608 - ours


def columns_of(document: StoredDocument) -> list[Any]:
    """A document's columns, in the order of `COLUMNS`."""
    stamp = document.stamp
    row = [
        *(document.format, document.title),
        *(stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns, stamp.read_at_ns),
        *(document.sha256, document.ingest, document.language),
        *(document.n_characters, document.n_bytes_reached, int(document.keeps_secrets)),
    ]
    return [*row, row_crc32(os.fsencode(document.path), *row)]


def put_row(connection: Connection, path: bytes, row: list[Any]) -> int:
    """Add a document's row, or replace that of the same path, inside a transaction; its id."""
    known = connection.rows("select id from documents where path = ?", [path])
    if known:
        connection.write(_UPDATE, [*row, known[0][0]])
        return int(known[0][0])
    return connection.write(_INSERT, [path, *row])


def restamp(connection: Connection, document_id: int, stamp: FileStamp) -> None:
    """`Store.restamp`, inside a transaction."""
    document = _document(connection, _rows(connection, "where id = ?", [document_id])[0], {})
    connection.write(_UPDATE, [*columns_of(replace(document, stamp=stamp)), document_id])


def clear(connection: Connection, document_id: int) -> None:
    """Remove what hangs on a document, inside a transaction: chunks with vectors and words, fields, notes."""
    for table in ("chunks", "fields", "notes"):
        connection.write(f"delete from {table} where document_id = ?", [document_id])  # noqa: S608 - ours


def read_documents(
    connection: Connection, fields: Mapping[int, Mapping[str, tuple[Value, ...]]]
) -> dict[str, StoredDocument]:
    """Every document by its path, with its own of the fields."""
    documents = {}
    for row in _rows(connection):
        document = _document(connection, row, fields.get(row[0], {}))
        documents[document.path] = document
    return documents


def _rows(connection: Connection, where: str = "", values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    return connection.rows(f"select id, path, {COLUMNS} from documents {where}", values)  # noqa: S608 - ours


def _document(
    connection: Connection, stored: tuple[Any, ...], fields: Mapping[str, tuple[Value, ...]]
) -> StoredDocument:
    id_, path, *row, crc32 = stored
    name = path_of(path, connection.path)
    if row_crc32(path, *row) != crc32:
        raise damaged(connection.path, f"the record of {name!r} is not what was stored")
    format_, title, *stamp, sha256, ingest, language, n_characters, n_bytes_reached, keeps_secrets = row
    if not (isinstance(sha256, bytes) and all(isinstance(number, int) for number in stamp)):
        raise damaged(connection.path, f"the record of {name!r} is none")  # whoever wrote it knows checksums
    return StoredDocument(
        path=name,
        format=format_,
        title=title,
        stamp=FileStamp(*stamp),
        sha256=sha256,
        ingest=ingest,
        language=language,
        fields=fields,
        id=id_,
        n_characters=n_characters,
        n_bytes_reached=n_bytes_reached,
        keeps_secrets=bool(keeps_secrets),
    )
