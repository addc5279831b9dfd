"""Chunks as rows: a `Chunk` in, a `StoredChunk` out, and its words in the full text."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from minisearch.stores.local.connection import Connection
from minisearch.stores.local.failures import damaged
from minisearch.stores.local.records import StoredChunk
from minisearch.stores.local.sums import row_crc32
from minisearch.stores.local.words import is_plain, spaced
from minisearch.types import Chunk

# All of a chunk but its id and its document's.
COLUMNS = (
    "start_char, end_char, start_byte, end_byte, line, end_line, page, n_tokens, text_sha256, crc32, "
    "is_rewritten, title, heading, text, anchors"
)
_INSERT = f"insert into chunks (document_id, {COLUMNS}) values (?{', ?' * len(COLUMNS.split(','))})"  # noqa: S608 - ours


def insert_chunk(connection: Connection, document_id: int, path: bytes, title: str, chunk: Chunk) -> int:
    """Add a chunk of a document with this path and title, inside a transaction; its id."""
    texts = [title, chunk.heading, chunk.text]
    is_rewritten = not all(map(is_plain, texts))
    anchors = _written(chunk)
    places = [chunk.line, chunk.end_line, chunk.page]
    crc32 = row_crc32(path, *places, chunk.heading, chunk.text, title, anchors)
    row: list[Any] = [chunk.start, chunk.end, chunk.byte_start, chunk.byte_end, *places, chunk.n_tokens]
    row += [text_sha256(chunk.embedded), crc32, is_rewritten, *texts, anchors]
    return insert_row(connection, document_id, row)


def insert_row(connection: Connection, document_id: int, row: Sequence[Any]) -> int:
    """Add a chunk by its columns, in the order of `COLUMNS`, inside a transaction; its id."""
    chunk_id = connection.write(_INSERT, [document_id, *row])
    *_, is_rewritten, title, heading, text, _ = row
    if is_rewritten:  # the others come into the full text by a trigger
        connection.write(
            "insert into chunks_rewritten (rowid, title, heading, text) values (?, ?, ?, ?)",
            [chunk_id, *map(spaced, (title, heading, text))],
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
        anchors, breaks = _read(connection, id_, anchors)
        chunks[id_] = StoredChunk(
            id_, document_id, os.fsdecode(path), line, end_line, heading, text, title, anchors, page, breaks
        )
    return chunks


def text_sha256(text: str) -> bytes:
    """The key under which a text's vector is found again."""
    return hashlib.sha256(text.encode()).digest()


def _written(chunk: Chunk) -> str:
    """The places inside a chunk as its column keeps them: its anchors, and where pages begin if any do."""
    places: object = chunk.anchors
    if chunk.page_breaks:
        places = {"anchors": chunk.anchors, "page_breaks": chunk.page_breaks}
    return json.dumps(places, separators=(",", ":")) if places else ""


def _read(
    connection: Connection, chunk_id: int, stored: str
) -> tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]:
    try:
        places = json.loads(stored or "[]")
        if not isinstance(places, dict):
            places = {"anchors": places, "page_breaks": ()}
        anchors = tuple((position, line, column) for position, line, column in places["anchors"])
        return anchors, tuple(map(int, places["page_breaks"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(connection.path, f"the places in chunk {chunk_id}: {error}") from error
