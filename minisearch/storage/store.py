"""The truth about an index: documents, chunks, vectors, full text, and what happened, in one SQLite file.

A document goes in whole, with its chunks, their vectors and full-text rows and its notes, in one transaction
that raises the generation number by one.  Whatever else an index folder holds can be made again from
here.  The store knows nothing of files, models or backends: it is handed what it keeps.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minisearch.storage.connection import Connection, damaged
from minisearch.storage.journal import Journal
from minisearch.types import Chunk, FloatArray, IntArray, Note


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What the file system said of a file when it was read; equal stamps let a run skip reading it.

    ``read_at_ns`` is the time just before: a file changed at or after it may have changed unseen.
    """

    n_bytes: int
    mtime_ns: int
    ctime_ns: int
    read_at_ns: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's row: what is needed to tell whether the file has changed.

    ``sha256`` is of the file's bytes; ``ingest`` is the fingerprint of the settings it was cut with.
    """

    path: str
    format: str
    title: str
    stamp: FileStamp
    sha256: bytes
    ingest: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as an answer needs it."""

    id: int
    document_id: int
    path: str
    line: int
    end_line: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Base:
    """The vector index in use: its file, the ids in it, the generation they are of, the SHA-256 of both."""

    backend: str
    file: str
    generation: int
    sha256: str
    ids: IntArray


class Store:
    """An open database. Use it as a context manager, or close it; every method may raise StoreError."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self._connection = Connection(path, writable=writable)
        self.journal = Journal(self._connection)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, with all that was written on the disk."""
        self._connection.close()

    def copy_to(self, path: Path) -> None:
        """Copy the whole database, as it is at this moment, into a new file; this one is only read."""
        self._connection.copy_to(path)

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """One transaction: all that is read inside it is of one generation."""
        return self._connection.transaction()

    def is_outdated(self) -> bool:
        """Whether what is read here may no longer be what is at the path: then open the store again."""
        return self._connection.is_outdated()

    # --- what the index is -------------------------------------------------------------------------

    def meta(self) -> dict[str, str]:
        """The index's own facts: model, its fingerprint, dimension, backend."""
        return {row[0]: row[1] for row in self._connection.rows("select key, value from meta")}

    def set_meta(self, **values: str) -> None:
        """Set some of those facts."""
        with self._connection.transaction():
            self._connection.write_many(
                "insert or replace into meta (key, value) values (?, ?)", list(values.items())
            )

    @property
    def generation(self) -> int:
        """Grows by one with every change of documents; 0 for an empty store."""
        return self._number("generation")

    def _number(self, key: str) -> int:
        """A fact that is a number; 0 before it is set."""
        rows = self._connection.rows("select value from meta where key = ?", [key])
        try:
            return int(rows[0][0]) if rows else 0
        except ValueError as error:
            raise damaged(self._connection.path, f"its {key} is {rows[0][0]!r}") from error

    def version(self) -> tuple[int, int]:
        """Differs whenever documents, or the vector index in use, have changed."""
        ((base,),) = self._connection.rows("select coalesce(max(id), 0) from bases")
        return self.generation, base

    def counts(self) -> tuple[int, int]:
        """How many documents and how many chunks."""
        ((n_documents, n_chunks),) = self._connection.rows(
            "select (select count(*) from documents), (select count(*) from chunks)"
        )
        return n_documents, n_chunks

    # --- documents ---------------------------------------------------------------------------------

    def documents(self) -> dict[str, StoredDocument]:
        """Every document by its path."""
        rows = self._connection.rows(
            "select path, format, title, n_bytes, mtime_ns, ctime_ns, read_at_ns, sha256, ingest, id "
            "from documents"
        )
        documents = (
            StoredDocument(os.fsdecode(row[0]), row[1], row[2], FileStamp(*row[3:7]), *row[7:])
            for row in rows
        )
        return {document.path: document for document in documents}

    def put(
        self,
        document: StoredDocument,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        notes: Sequence[str] = (),
    ) -> None:
        """Add a document, or replace the one of the same path, in one transaction.

        ``vectors`` (len(chunks), dimension) are the chunks' unit vectors, in their order.  ``notes`` say
        what the reader could not keep.
        """
        stamp = document.stamp
        facts = [document.format, document.title, stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns]
        facts += [stamp.read_at_ns, document.sha256, document.ingest]
        with self._connection.transaction():
            document_id = self._put_document(os.fsencode(document.path), facts)
            self._connection.write("delete from chunks where document_id = ?", [document_id])
            chunk_ids = [self._insert_chunk(document_id, chunk) for chunk in chunks]
            rows = zip(chunk_ids, (vector.tobytes() for vector in vectors), strict=True)
            self._connection.write_many("insert into vectors (chunk_id, vector) values (?, ?)", rows)
            self._connection.write("delete from notes where document_id = ?", [document_id])
            self._connection.write_many(
                "insert into notes (document_id, text) values (?, ?)", [(document_id, note) for note in notes]
            )
            self._raise_generation()

    def _put_document(self, path: bytes, facts: list[Any]) -> int:
        known = self._connection.rows("select id from documents where path = ?", [path])
        if known:
            self._connection.write(
                "update documents set format = ?, title = ?, n_bytes = ?, mtime_ns = ?, ctime_ns = ?, "
                "read_at_ns = ?, sha256 = ?, ingest = ? where id = ?",
                [*facts, known[0][0]],
            )
            return int(known[0][0])
        return self._connection.write(
            "insert into documents (path, format, title, n_bytes, mtime_ns, ctime_ns, read_at_ns, sha256, "
            "ingest) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [path, *facts],
        )

    def _insert_chunk(self, document_id: int, chunk: Chunk) -> int:
        return self._connection.write(
            "insert into chunks (document_id, start_char, end_char, start_byte, end_byte, line, end_line, "
            "heading, text, n_tokens, text_sha256) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                document_id,
                *(chunk.start, chunk.end, chunk.byte_start, chunk.byte_end, chunk.line, chunk.end_line),
                *(chunk.heading, chunk.text, chunk.n_tokens, text_sha256(chunk.text)),
            ],
        )

    def restamp(self, document_id: int, stamp: FileStamp) -> None:
        """Note that a file was read again and found to hold the same bytes."""
        with self._connection.transaction():
            self._connection.write(
                "update documents set n_bytes = ?, mtime_ns = ?, ctime_ns = ?, read_at_ns = ? where id = ?",
                [stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns, stamp.read_at_ns, document_id],
            )

    def notes(self) -> list[Note]:
        """What the readers could not keep of the documents, ordered by path."""
        rows = self._connection.rows(
            "select d.path, n.text from notes n join documents d on d.id = n.document_id "
            "order by d.path, n.rowid"
        )
        return [Note(os.fsdecode(path), text) for path, text in rows]

    def remove(self, document_ids: Iterable[int]) -> None:
        """Remove documents with all that belongs to them, in one transaction."""
        ids = [(document_id,) for document_id in document_ids]
        if ids:
            with self._connection.transaction():
                self._connection.write_many("delete from documents where id = ?", ids)
                self._raise_generation()

    def _raise_generation(self) -> None:
        self._connection.write(
            "insert into meta (key, value) values ('generation', '1') "
            "on conflict (key) do update set value = cast(value as integer) + 1"
        )

    # --- chunks and vectors ------------------------------------------------------------------------

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """The chunks with these ids, by id."""
        rows = self._connection.rows_in(
            "select c.id, c.document_id, d.path, c.line, c.end_line, c.heading, c.text "
            "from chunks c join documents d on d.id = c.document_id where c.id in",
            ids,
        )
        return {row[0]: StoredChunk(row[0], row[1], os.fsdecode(row[2]), *row[3:]) for row in rows}

    def known_vectors(self, texts: Sequence[str]) -> dict[str, FloatArray]:
        """The vectors already stored for any of these texts, in whatever document."""
        by_hash = {text_sha256(text): text for text in texts}
        rows = self._connection.rows_in(
            "select c.text_sha256, c.id, v.vector from chunks c join vectors v on v.chunk_id = c.id "
            "where c.text_sha256 in",
            list(by_hash),
        )
        dimension = self._number("dimension")
        return {by_hash[hash_]: self._vector(id_, vector, dimension) for hash_, id_, vector in rows}

    def chunk_ids(self) -> IntArray:
        """Every chunk's id, ascending."""
        # Unordered, so that SQLite reads them from a small index rather than from the table itself.
        ids = np.array([row[0] for row in self._connection.rows("select id from chunks")], np.int64)
        return np.sort(ids)

    def vectors(self, dimension: int, *, after: int = 0) -> tuple[IntArray, FloatArray]:
        """Ids (n,), ascending, and vectors (n, dimension) of the chunks with ids greater than ``after``."""
        with self._connection.transaction():
            ((n,),) = self._connection.rows("select count(*) from vectors where chunk_id > ?", [after])
            ids, vectors = np.empty(n, np.int64), np.empty((n, dimension), np.float32)
            rows = self._connection.cursor(
                "select chunk_id, vector from vectors where chunk_id > ? order by chunk_id", [after]
            )
            for position, (chunk_id, vector) in enumerate(rows):
                ids[position] = chunk_id
                vectors[position] = self._vector(chunk_id, vector, dimension)
        return ids, vectors

    def _vector(self, chunk_id: int, stored: object, dimension: int) -> FloatArray:
        """A vector from its column, (dimension,); of whatever length where the dimension is not set."""
        if not isinstance(stored, bytes) or len(stored) % 4 or (dimension and len(stored) != 4 * dimension):
            numbers = f"{dimension} numbers" if dimension else "whole numbers"
            raise damaged(self._connection.path, f"chunk {chunk_id} has no vector of {numbers}")
        return np.frombuffer(stored, np.float32)

    # --- the vector index in use -------------------------------------------------------------------

    def base(self) -> Base | None:
        """The vector index file in use, if one was ever published."""
        rows = self._connection.rows(
            "select backend, file, generation, sha256, ids from bases order by id desc limit 1"
        )
        if not rows:
            return None
        backend, file, generation, sha256, ids = rows[0]
        # Only a cache: ids that are damaged come back as they are and fail the checksum with the file.
        whole = ids[: len(ids) // 8 * 8] if isinstance(ids, bytes) else b""
        return Base(str(backend), str(file), generation, str(sha256), np.frombuffer(whole, np.int64))

    def has_newer_base(self) -> bool:
        """Whether another file was published since the present snapshot began."""
        with Store(self._connection.path) as now:
            return now.version()[1] != self.version()[1]

    def publish(self, base: Base) -> None:
        """Make a file the vector index in use, in place of the one before."""
        with self._connection.transaction():
            self._connection.write("delete from bases")
            self._connection.write(
                "insert into bases (backend, file, generation, sha256, ids) values (?, ?, ?, ?, ?)",
                [base.backend, base.file, base.generation, base.sha256, base.ids.tobytes()],
            )


def text_sha256(text: str) -> bytes:
    """The key under which a text's vector is found again."""
    return hashlib.sha256(text.encode()).digest()
