"""Documents, their fields, chunks and vectors as database rows, each with a checksum.

Records of `stores.base` go in and come out.  Every row that is read is checked against its checksum;
IndexCorrupt if they differ.  Transactions are left to the callers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from minisearch.errors import IndexCorrupt
from minisearch.stores.base import (
    BOOLEAN,
    BYTES,
    TEXT,
    FileStamp,
    StoredChunk,
    StoredDocument,
    comparison_key,
    kind_of,
    to_bytes,
)
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.full_text import is_plain, rewritten
from minisearch.stores.local.sqlite import damaged, path_of
from minisearch.stores.terms import further_words
from minisearch.text import folded
from minisearch.types import Chunk, FloatArray, IntArray, StoredValue


def row_crc32(path: object, *columns: object) -> int:
    """A checksum of columns that belong to the file at a path, such as those of a chunk."""
    of_path = zlib.crc32(path) if isinstance(path, bytes) else -1  # damage may have changed the type too
    return zlib.crc32("\0".join(map(str, columns)).encode("utf-8", "surrogatepass"), of_path)


FIELD_COLUMNS = "name, kind, text, folded, number, crc32"  # all of a value but its document's id
_F_COLUMNS = ", ".join(f"f.{column}" for column in FIELD_COLUMNS.split(", "))


def write_fields(
    connection: Connection, document_id: int, path: bytes, fields: Mapping[str, tuple[StoredValue, ...]]
) -> None:
    """Add the fields of the document at this path, inside a transaction."""
    rows = (
        (to_bytes(folded(name)), kind_of(one), _as_bytes(one), *comparison_key(one))
        for name, values in fields.items()
        for one in values
    )
    connection.write_many(
        f"insert into fields (document_id, {FIELD_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - ours
        ((document_id, *row, row_crc32(path, *row)) for row in rows),
    )


def _as_bytes(value: StoredValue) -> bytes | None:
    return to_bytes(value) if isinstance(value, str) else value if isinstance(value, bytes) else None


def read_fields(
    connection: Connection, condition: str = "1", values: Sequence[Any] = ()
) -> dict[int, dict[str, tuple[StoredValue, ...]]]:
    """The fields of every document, by its id: those rows ``f`` for which an SQL condition holds."""
    found: dict[int, dict[str, tuple[StoredValue, ...]]] = {}
    rows = connection.rows(
        f"select f.document_id, d.path, {_F_COLUMNS} from fields f "  # noqa: S608 - ours
        f"join documents d on d.id = f.document_id where {condition} order by f.document_id, f.rowid",
        values,
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


# One step in the index from each name to the next: "select distinct" would read all fields.
NAMES = f"""with recursive names (name) as (
    select min(name) from fields
    union all select (select min(name) from fields where name > names.name) from names where name is not null
)
select name from names
where name is not null and exists (select 1 from fields where name = names.name and kind != '{BYTES}')"""  # noqa: S608 - ours


def read_names(connection: Connection) -> list[str]:
    """The names of all documents' fields, as they are compared, in order; checksums are left to callers."""
    rows = connection.rows(NAMES)
    return [name.decode("utf-8", "surrogatepass") for (name,) in rows]


def known_names(connection: Connection, names: Iterable[str]) -> list[str]:
    """Those of these names that a field has, as `read_names` returns them."""
    sql = f"select 1 from fields where name = ? and kind != '{BYTES}' limit 1"  # noqa: S608 - ours
    wanted = sorted({to_bytes(folded(name)) for name in names})
    return [name.decode("utf-8", "surrogatepass") for name in wanted if connection.rows(sql, [name])]


def value_of(kind: str, text: bytes | None, number: float | None) -> StoredValue:
    """The value from its columns."""
    if kind == BYTES:
        return text or b""
    if kind == TEXT:
        return (text or b"").decode("utf-8", "surrogatepass")
    if kind == BOOLEAN:
        return bool(number)
    return math.nan if number is None else number  # what SQLite makes of NaN


# All of a document but its id and path.
DOCUMENT_COLUMNS = (
    "format, title, n_bytes, mtime_ns, ctime_ns, read_at_ns, sha256, ingest, language, n_characters, "
    "n_bytes_reached, keeps_secrets, crc32"
)
_MARKS = ", ".join("?" * len(DOCUMENT_COLUMNS.split(",")))
_INSERT_DOCUMENT = f"insert into documents (path, {DOCUMENT_COLUMNS}) values (?, {_MARKS})"  # noqa: S608 - ours
_UPDATE_DOCUMENT = f"update documents set ({DOCUMENT_COLUMNS}) = ({_MARKS}) where id = ?"  # noqa: S608 - ours


def columns_of(document: StoredDocument) -> list[Any]:
    """A document's columns, in the order of `DOCUMENT_COLUMNS`."""
    stamp = document.stamp
    row = [
        *(document.format, document.title),
        *(stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns, stamp.read_at_ns),
        *(document.sha256, document.ingest, document.language),
        *(document.n_characters, document.n_bytes_indexed, int(document.keeps_secrets)),
    ]
    return [*row, row_crc32(os.fsencode(document.path), *row)]


def put_document_row(connection: Connection, path: bytes, row: list[Any]) -> int:
    """Add a document's row, or replace that of the same path, inside a transaction; its id."""
    known = connection.rows("select id from documents where path = ?", [path])
    if known:
        connection.write(_UPDATE_DOCUMENT, [*row, known[0][0]])
        return int(known[0][0])
    return connection.write(_INSERT_DOCUMENT, [path, *row])


def restamp(connection: Connection, document_id: int, stamp: FileStamp) -> None:
    """`LocalStore.restamp`, inside a transaction."""
    rows = _document_rows(connection, "where id = ?", [document_id])
    if not rows:
        raise damaged(connection.path, f"document {document_id} is not found by its id")
    document = _document(connection, rows[0], {})
    connection.write(_UPDATE_DOCUMENT, [*columns_of(replace(document, stamp=stamp)), document_id])


def clear_document(connection: Connection, document_id: int) -> None:
    """Remove the chunks, vectors, fields and notes of a document, inside a transaction."""
    for table in ("chunks", "fields", "notes"):
        connection.write(f"delete from {table} where document_id = ?", [document_id])  # noqa: S608 - ours


def read_documents(
    connection: Connection, fields: Mapping[int, Mapping[str, tuple[StoredValue, ...]]]
) -> dict[str, StoredDocument]:
    """Every document by its path, with its fields from ``fields``, by document id."""
    documents = {}
    for row in _document_rows(connection):
        document = _document(connection, row, fields.get(row[0], {}))
        documents[document.path] = document
    return documents


def read_stamps(connection: Connection, ids: Sequence[int]) -> dict[int, FileStamp]:
    """The states of the files of these documents when they were read, by id."""
    rows = connection.rows_in(f"select id, path, {DOCUMENT_COLUMNS} from documents where id in", ids)  # noqa: S608 - ours
    return {row[0]: _document(connection, row, {}).stamp for row in rows}


def _document_rows(
    connection: Connection, where: str = "", values: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    return connection.rows(f"select id, path, {DOCUMENT_COLUMNS} from documents {where}", values)  # noqa: S608 - ours


def _document(
    connection: Connection, stored: tuple[Any, ...], fields: Mapping[str, tuple[StoredValue, ...]]
) -> StoredDocument:
    id_, path, *row, crc32 = stored
    name = path_of(path, connection.path)
    if row_crc32(path, *row) != crc32:
        raise damaged(connection.path, f"the record of {name!r} is not what was stored")
    format_, title, *stamp, sha256, ingest, language, n_characters, n_bytes_indexed, keeps_secrets = row
    if not (isinstance(sha256, bytes) and all(isinstance(number, int) for number in stamp)):
        raise damaged(
            connection.path, f"the record of {name!r} is no record"
        )  # its checksum is right: not damage, but a forged row
    return StoredDocument(
        *(name, format_, title, FileStamp(*stamp), sha256, ingest, language, fields, id_, n_characters),
        n_bytes_indexed,
        keeps_secrets=bool(keeps_secrets),
    )


# All of a chunk but its id and its document's.
CHUNK_COLUMNS = (
    "start_char, end_char, start_byte, end_byte, line, end_line, page, n_tokens, text_sha256, crc32, "
    "is_rewritten, title, heading, text, anchors, names, parts"
)
_INSERT_CHUNK = (
    f"insert into chunks (document_id, {CHUNK_COLUMNS}) values (?{', ?' * len(CHUNK_COLUMNS.split(','))})"  # noqa: S608 - ours
)


def insert_chunk(
    connection: Connection, document_id: int, path: bytes, title: str, names: str, chunk: Chunk
) -> int:
    """Add a chunk of a document with this path, title and words of its name, in a transaction; its id."""
    texts, parts = [title, chunk.heading, chunk.text], further_words(f"{chunk.heading}\n{chunk.text}")
    is_rewritten = not all(map(is_plain, [*texts, names, parts]))
    anchors = _anchors_to_json(chunk)
    places = [chunk.line, chunk.end_line, chunk.page]
    crc32 = row_crc32(path, *places, chunk.heading, chunk.text, title, anchors)
    row: list[Any] = [chunk.start, chunk.end, chunk.byte_start, chunk.byte_end, *places, chunk.n_tokens]
    row += [text_sha256(chunk.embedded), crc32, is_rewritten, *texts, anchors, names, parts]
    return insert_chunk_row(connection, document_id, row)


def insert_chunk_row(connection: Connection, document_id: int, row: Sequence[Any]) -> int:
    """Add a chunk by its columns, in the order of `CHUNK_COLUMNS`, inside a transaction; its id."""
    chunk_id = connection.write(_INSERT_CHUNK, [document_id, *row])
    *_, is_rewritten, title, heading, text, _, names, parts = row
    if is_rewritten:  # the others come into the full text by a trigger
        connection.write(
            "insert into chunks_rewritten (rowid, title, heading, text) values (?, ?, ?, ?)",
            [chunk_id, *map(rewritten, (f"{title}\n{names}", heading, f"{text}\n{parts}"))],
        )
    return chunk_id


def read_chunks(connection: Connection, ids: Sequence[int]) -> dict[int, StoredChunk]:
    """The chunks with these ids, by id."""
    rows = connection.rows_in(
        "select c.id, c.document_id, c.crc32, "
        "d.path, c.line, c.end_line, c.page, c.heading, c.text, c.title, c.anchors "
        "from chunks c join documents d on d.id = c.document_id where c.id in",
        ids,
    )
    chunks = {}
    for id_, document_id, crc32, *shown in rows:
        if row_crc32(*shown) != crc32:
            raise damaged(connection.path, f"the text of chunk {id_} is not what was stored")
        path, line, end_line, page, heading, text, title, anchors = shown
        anchors, breaks = _anchors_from_json(connection, id_, anchors)
        chunks[id_] = StoredChunk(
            id_, document_id, os.fsdecode(path), line, end_line, heading, text, title, anchors, page, breaks
        )
    return chunks


def text_sha256(text: str) -> bytes:
    """The key under which the vector of a text is stored."""
    return hashlib.sha256(text.encode()).digest()


def _anchors_to_json(chunk: Chunk) -> str:
    """A chunk's anchors and page breaks as JSON; "" for none."""
    both = (chunk.anchors, chunk.page_breaks)
    return json.dumps(both, separators=(",", ":")) if any(both) else ""


def _anchors_from_json(
    connection: Connection, chunk_id: int, stored: str
) -> tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]:
    try:
        anchors, page_breaks = json.loads(stored or "[[], []]")
        return tuple((position, line, column) for position, line, column in anchors), tuple(
            map(int, page_breaks)
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(connection.path, f"the places in chunk {chunk_id}: {error}") from error


_FORMER_VECTORS_OF_TEXTS = "select text_sha256, id, vector, crc32 from former_vectors where text_sha256 in"
_VECTORS_OF_TEXTS = (
    "select c.text_sha256, c.id, v.vector, v.crc32 from chunks c join vectors v on v.chunk_id = c.id "
    "where c.text_sha256 in"
)
_KEPT_VECTORS_OF_TEXTS = "select text_sha256, id, vector, vector_crc32 from undo_chunks where text_sha256 in"


def insert_vector(connection: Connection, chunk_id: int, stored: bytes, crc32: int) -> None:
    """Add a chunk's vector, as bytes, inside a transaction."""
    row = [chunk_id, stored, crc32]
    connection.write("insert into vectors (chunk_id, vector, crc32) values (?, ?, ?)", row)


def known_vectors(connection: Connection, texts: Sequence[str], dimension: int) -> dict[str, FloatArray]:
    """`LocalStore.known_vectors`; dimension 0 accepts vectors of any length."""
    by_hash = {text_sha256(text): text for text in texts}
    known: dict[str, FloatArray] = {}
    for query in (_VECTORS_OF_TEXTS, _KEPT_VECTORS_OF_TEXTS):
        unknown = [hash_ for hash_, text in by_hash.items() if text not in known]
        for hash_, id_, stored, crc32 in connection.rows_in(query, unknown):
            if hash_ not in by_hash:
                raise damaged(connection.path, f"the text of chunk {id_} is found under a wrong hash")
            known[by_hash[hash_]] = _vector(connection, id_, stored, crc32, dimension)
    unknown = [hash_ for hash_, text in by_hash.items() if text not in known]
    for hash_, id_, stored, crc32 in connection.rows_in(_FORMER_VECTORS_OF_TEXTS, unknown):
        with contextlib.suppress(IndexCorrupt, KeyError):  # damaged: it is computed again
            known[by_hash[hash_]] = _vector(connection, id_, stored, crc32, dimension)
    return known


def read_vectors(connection: Connection, dimension: int, after: int) -> tuple[IntArray, FloatArray]:
    """Ids (n,), ascending, and vectors (n, dimension) of the chunks with ids greater than ``after``."""
    with connection.transaction():
        ((n,),) = connection.rows("select count(*) from vectors where chunk_id > ?", [after])
        ids, vectors = np.empty(n, np.int64), np.empty((n, dimension), np.float32)
        rows = connection.cursor(
            "select chunk_id, vector, crc32 from vectors where chunk_id > ? order by chunk_id", [after]
        )
        n_read = 0
        for n_read, (chunk_id, stored, crc32) in enumerate(islice(rows, n), 1):
            ids[n_read - 1] = chunk_id
            vectors[n_read - 1] = _vector(connection, chunk_id, stored, crc32, dimension)
        if n_read < n or next(rows, None) or (np.diff(ids, prepend=after) <= 0).any():
            raise damaged(connection.path, "the ids of its vectors do not ascend, or some are missing")
    return ids, vectors


def _vector(connection: Connection, chunk_id: int, stored: object, crc32: int, dimension: int) -> FloatArray:
    is_whole = isinstance(stored, bytes) and len(stored) > 0 and len(stored) % 4 == 0
    if not isinstance(stored, bytes) or not is_whole or (dimension and len(stored) != 4 * dimension):
        numbers = f"{dimension} numbers" if dimension else "whole numbers"
        raise damaged(connection.path, f"chunk {chunk_id} has no vector of {numbers}")
    if zlib.crc32(stored) != crc32:
        raise damaged(connection.path, f"the vector of chunk {chunk_id} is not what was stored")
    return np.frombuffer(stored, np.float32)
