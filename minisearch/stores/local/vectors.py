"""Vectors as rows: float32 as bytes with their checksum, which whoever reads them compares."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence

import numpy as np

from minisearch.errors import IndexCorrupt
from minisearch.stores.local import former
from minisearch.stores.local.chunks import text_sha256
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.failures import damaged
from minisearch.types import FloatArray, IntArray

_VECTORS_OF_TEXTS = (
    "select c.text_sha256, c.id, v.vector, v.crc32 from chunks c join vectors v on v.chunk_id = c.id "
    "where c.text_sha256 in"
)
_KEPT_VECTORS_OF_TEXTS = "select text_sha256, id, vector, vector_crc32 from undo_chunks where text_sha256 in"


def insert_vector(connection: Connection, chunk_id: int, vector: FloatArray) -> None:
    """Add a chunk's vector, inside a transaction."""
    stored = vector.tobytes()
    insert_stored(connection, chunk_id, stored, zlib.crc32(stored))


def insert_stored(connection: Connection, chunk_id: int, stored: bytes, crc32: int) -> None:
    """The same from its columns."""
    connection.write(
        "insert into vectors (chunk_id, vector, crc32) values (?, ?, ?)", [chunk_id, stored, crc32]
    )


def known_vectors(connection: Connection, texts: Sequence[str], dimension: int) -> dict[str, FloatArray]:
    """`Store.known_vectors`; of whatever length where the dimension is 0."""
    by_hash = {text_sha256(text): text for text in texts}
    known: dict[str, FloatArray] = {}
    for query in (_VECTORS_OF_TEXTS, _KEPT_VECTORS_OF_TEXTS):
        unknown = [hash_ for hash_, text in by_hash.items() if text not in known]
        for hash_, id_, stored, crc32 in connection.rows_in(query, unknown):
            known[by_hash[hash_]] = _vector(connection, id_, stored, crc32, dimension)
    unknown = [hash_ for hash_, text in by_hash.items() if text not in known]
    for hash_, id_, stored, crc32 in connection.rows_in(former.VECTORS_OF_TEXTS, unknown):
        with contextlib.suppress(IndexCorrupt):  # nothing is lost: it is computed again
            known[by_hash[hash_]] = _vector(connection, id_, stored, crc32, dimension)
    return known


def read_vectors(connection: Connection, dimension: int, after: int) -> tuple[IntArray, FloatArray]:
    """`Store.vectors`."""
    with connection.transaction():
        ((n,),) = connection.rows("select count(*) from vectors where chunk_id > ?", [after])
        ids, vectors = np.empty(n, np.int64), np.empty((n, dimension), np.float32)
        rows = connection.cursor(
            "select chunk_id, vector, crc32 from vectors where chunk_id > ? order by chunk_id", [after]
        )
        for position, (chunk_id, stored, crc32) in enumerate(rows):
            ids[position] = chunk_id
            vectors[position] = _vector(connection, chunk_id, stored, crc32, dimension)
    return ids, vectors


def _vector(connection: Connection, chunk_id: int, stored: object, crc32: int, dimension: int) -> FloatArray:
    if not isinstance(stored, bytes) or len(stored) % 4 or (dimension and len(stored) != 4 * dimension):
        numbers = f"{dimension} numbers" if dimension else "whole numbers"
        raise damaged(connection.path, f"chunk {chunk_id} has no vector of {numbers}")
    if zlib.crc32(stored) != crc32:
        raise damaged(connection.path, f"the vector of chunk {chunk_id} is not what was stored")
    return np.frombuffer(stored, np.float32)
