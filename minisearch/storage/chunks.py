"""Chunks as rows: a `Chunk` in, a `StoredChunk` out, and its words in the full text."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

from minisearch.storage.connection import Connection, damaged
from minisearch.storage.records import StoredChunk
from minisearch.storage.words import is_plain, spaced
from minisearch.types import Chunk


def insert_chunk(connection: Connection, document_id: int, title: str, chunk: Chunk) -> int:
    """Add a chunk of a document with this title, inside a transaction; its id."""
    texts = [title, chunk.heading, chunk.text]
    is_rewritten = not all(map(is_plain, texts))
    anchors = json.dumps(chunk.anchors, separators=(",", ":")) if chunk.anchors else ""
    chunk_id = connection.write(
        "insert into chunks (document_id, start_char, end_char, start_byte, end_byte, line, end_line, "
        "n_tokens, text_sha256, anchors, is_cjk, title, heading, text) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            document_id,
            *(chunk.start, chunk.end, chunk.byte_start, chunk.byte_end, chunk.line, chunk.end_line),
            *(chunk.n_tokens, text_sha256(chunk.embedded), anchors, is_rewritten, *texts),
        ],
    )
    if is_rewritten:  # the others come into the full text by a trigger
        connection.write(
            "insert into chunks_cjk (rowid, title, heading, text) values (?, ?, ?, ?)",
            [chunk_id, *map(spaced, texts)],
        )
    return chunk_id


def read_chunks(connection: Connection, ids: Sequence[int]) -> dict[int, StoredChunk]:
    """The chunks with these ids, by id."""
    rows = connection.rows_in(
        "select c.id, c.document_id, d.path, c.line, c.end_line, c.heading, c.text, c.title, c.anchors "
        "from chunks c join documents d on d.id = c.document_id where c.id in",
        ids,
    )
    return {
        id_: StoredChunk(
            id_,
            document_id,
            os.fsdecode(path),
            line,
            end_line,
            heading,
            text,
            title,
            _anchors(connection, id_, anchors),
        )
        for id_, document_id, path, line, end_line, heading, text, title, anchors in rows
    }


def text_sha256(text: str) -> bytes:
    """The key under which a text's vector is found again."""
    return hashlib.sha256(text.encode()).digest()


def _anchors(connection: Connection, chunk_id: int, stored: str) -> tuple[tuple[int, int, int], ...]:
    try:
        return tuple((position, line, column) for position, line, column in json.loads(stored or "[]"))
    except (ValueError, TypeError) as error:
        raise damaged(connection.path, f"the places in chunk {chunk_id}: {error}") from error
