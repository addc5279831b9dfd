"""The local store: documents, chunks, vectors, full text, history and journal in one SQLite file.

A document is put as a whole, with its chunks, their vectors and full-text rows and its notes, in one
transaction that raises the generation number by one.  Everything else in an index folder can be rebuilt from
this file; the vector index beside it is a cache.  Files of documents, models and ranking are left to others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from minisearch.errors import IndexNotWritable
from minisearch.filters import Filter
from minisearch.paths import is_from_memory
from minisearch.stores.base import (
    FileStamp,
    LexicalQuery,
    RollbackReport,
    StoredChunk,
    StoredDocument,
    Term,
    Where,
    to_bytes,
)
from minisearch.stores.local.backup import back_up
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.documents import (
    clear_document,
    columns_of,
    insert_chunk,
    insert_vector,
    known_names,
    known_vectors,
    put_document_row,
    read_chunks,
    read_documents,
    read_fields,
    read_names,
    read_stamps,
    read_vectors,
    restamp,
    row_crc32,
    write_fields,
)
from minisearch.stores.local.filters import select, sql_condition
from minisearch.stores.local.full_text import FullText
from minisearch.stores.local.history import Undo
from minisearch.stores.local.integrity import check
from minisearch.stores.local.journal import Journal
from minisearch.stores.local.sqlite import damaged, path_of
from minisearch.stores.local.vector_index import LiveIndex, chunk_ids, generation
from minisearch.stores.terms import words_of_name
from minisearch.text import folded
from minisearch.types import Chunk, FloatArray, Hits, IntArray, Note, StoredValue
from minisearch.vectors import load_backend
from minisearch.vectors.base import VectorIndex

_TO_BE_SHRUNK = "to_be_shrunk"  # this key is set while bytes of deleted secrets are still in the file
_META_VALUE = "select value from meta where key = ?"
_PATHS = "select path from documents where id in"

logger = logging.getLogger(__name__)


class LocalStore:
    """An open database. Use it as a context manager, or close it; every method may raise StoreError."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self._connection = Connection(path, writable=writable)
        self.journal = Journal(self._connection)
        self._undo = Undo(self._connection)
        self._full_text = FullText(self._connection)
        self.index = LiveIndex(self._connection)
        self._is_checked = False  # whether the rows that filters compare were read once

    def __enter__(self) -> LocalStore:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._close(skip_maintenance=failure is not None)

    def close(self) -> None:
        """Close the file, with everything that was written on the disk."""
        self._close(skip_maintenance=False)

    def _close(self, *, skip_maintenance: bool) -> None:
        """Close the file; with ``skip_maintenance``, as after Ctrl-C, the next writer maintains it."""
        try:
            if self._connection.is_writable and not (skip_maintenance or self._connection.is_closed):
                self._maintain()
        finally:
            self._connection.close()

    def _maintain(self) -> None:
        with contextlib.suppress(IndexNotWritable):  # a full disk: old changes stay for now
            self._undo.forget()
        self._check_before_sealing()
        self._free_space()

    def _check_before_sealing(self) -> None:
        """IndexCorrupt for damage in a file without a seal: after sealing, it would not be checked."""
        if self._connection.is_doubtful:
            problems = check(self._connection, deep=True)
            if problems:
                raise damaged(self._connection.path, problems[0])
            self._connection.is_sound = True

    def _free_space(self) -> None:
        """Shrink the file if much of it is free, or if it contains bytes of deleted secrets."""
        connection = self._connection
        if not connection.rows(_META_VALUE, [_TO_BE_SHRUNK]):
            connection.shrink()
            return
        with contextlib.suppress(IndexNotWritable):  # a full disk
            with connection.transaction():  # the full text holds deleted words until it is merged
                for table in ("chunks_fts", "chunks_rewritten"):
                    connection.write(f"insert into {table} ({table}) values ('optimize')")  # noqa: S608 - ours
            if connection.shrink(is_due=True):
                with connection.transaction():
                    connection.write("delete from meta where key = ?", [_TO_BE_SHRUNK])
                return
        logger.warning(
            "%s could not be rewritten: bytes of deleted secrets stay in it until a later run; "
            "is another program using it, or is there too little free space for a copy?",
            connection.path,
        )

    def check(self, *, deep: bool = False) -> list[str]:
        """Descriptions of what is wrong with the database; an empty list if nothing is.

        The file against its seal, SQLite's own check, references between rows, and every checksum.  ``deep``
        also compares every SQLite index, and the full text with the chunks; a reader does so on a copy in
        the temporary folder, so that a writer can go on.
        """
        return check(self._connection, deep=deep)

    def copy_to(self, path: Path) -> None:
        """Copy the whole database as it is at this moment into a new file; this one is only read."""
        self._connection.copy_to(path)

    def backup(self, path: Path) -> None:
        """Copy the database as it is at this moment into a new file, checked and on the disk.

        A writer can go on meanwhile.  Raises InputError if there is something at the path, IndexNotWritable
        if there is no room; then no file is left there.
        """
        back_up(self._connection, path)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[LocalStore]:
        """One transaction: all reads in it see one generation."""
        with self._connection.transaction():
            yield self

    def is_outdated(self) -> bool:
        """Whether another database may be at the path now: then open the store again."""
        return self._connection.is_outdated()

    # --- the manifest ------------------------------------------------------------------------------

    def meta(self) -> dict[str, str]:
        """The manifest: what the index was built with."""
        return {row[0]: row[1] for row in self._connection.rows("select key, value from meta")}

    def set_meta(self, **values: str) -> None:
        """Set some values of the manifest."""
        with self._connection.transaction():
            known = self.meta()
            self._undo.keep_meta(known, values)
            self._connection.write_many(
                "insert or replace into meta (key, value) values (?, ?)", list(values.items())
            )

    @property
    def generation(self) -> int:
        """Grows by one with every change of documents; 0 for an empty store."""
        return generation(self._connection)

    def _content_version(self) -> tuple[int, int]:
        """Differs whenever documents may have changed, also in a transaction that was rolled back."""
        return self.generation, self._connection.n_changes

    def counts(self) -> tuple[int, int]:
        """How many documents and how many chunks."""
        ((n_documents, n_chunks),) = self._connection.rows("select n_documents, n_chunks from counters")
        return n_documents, n_chunks

    # --- documents ---------------------------------------------------------------------------------

    def documents(self, *, with_fields: bool = False) -> dict[str, StoredDocument]:
        """Every document by its path; the fields, which may be many, only on request."""
        with self._connection.transaction():
            return read_documents(self._connection, read_fields(self._connection) if with_fields else {})

    def put(
        self,
        document: StoredDocument,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        notes: Sequence[str] = (),
    ) -> None:
        """Add a document, or replace the one of the same path, in one transaction; as `Store.put`."""
        path, connection = os.fsencode(document.path), self._connection
        with connection.transaction():
            self._undo.keep([path])
            document_id = put_document_row(connection, path, columns_of(document))
            clear_document(connection, document_id)
            of_file = "" if is_from_memory(document.path) else words_of_name(document.path)
            names = " ".join(filter(None, [of_file, *document.names]))
            chunk_ids = [
                insert_chunk(connection, document_id, path, document.title, names, one) for one in chunks
            ]
            for chunk_id, vector in zip(chunk_ids, vectors, strict=True):
                stored = vector.tobytes()
                insert_vector(connection, chunk_id, stored, zlib.crc32(stored))
            connection.write_many(
                "insert into notes (document_id, text, crc32) values (?, ?, ?)",
                [(document_id, note, row_crc32(path, note)) for note in notes],
            )
            write_fields(connection, document_id, path, document.fields)
            self._raise_generation()

    def fields(self, names: Sequence[str], where: Filter) -> dict[int, dict[str, tuple[StoredValue, ...]]]:
        """The fields of these names of documents that match a filter, by document id, ascending."""
        sql, values = sql_condition(where)
        matching = f"select c.document_id from chunks c where {sql}"  # noqa: S608 - ours
        # With the "+", SQLite goes from the documents to their fields, not through all fields of a name.
        condition = f"+f.name in ({', '.join('?' * len(names))}) and f.document_id in ({matching})"
        with self._connection.transaction():
            self._check_compared_rows()
            return read_fields(
                self._connection, condition, [*(to_bytes(folded(name)) for name in names), *values]
            )

    def paths(self, document_ids: Sequence[int]) -> dict[int, str]:
        """The paths of documents, by id; unknown ids are left out."""
        rows = self._connection.rows_in("select id, path from documents where id in", document_ids)
        return {id_: path_of(path, self._connection.path) for id_, path in rows}

    def field_names(self, among: Sequence[str] | None = None) -> list[str]:
        """The names of all fields of documents, as filters compare them, in order; or those among some."""
        with self._connection.transaction():
            self._check_compared_rows()
            if among is None:
                return read_names(self._connection)
            return known_names(self._connection, among)

    def restamp(self, document_id: int, stamp: FileStamp) -> None:
        """Record that a file was read again and has the same bytes."""
        with self._connection.transaction():
            restamp(self._connection, document_id, stamp)

    def notes(self) -> list[Note]:
        """The content that the parsers could not keep, ordered by path."""
        rows = self._connection.rows(
            "select d.path, n.text, n.crc32 from notes n join documents d on d.id = n.document_id "
            "order by d.path, n.rowid"
        )
        for path, text, crc32 in rows:
            if row_crc32(path, text) != crc32:
                raise damaged(
                    self._connection.path, f"a note on {os.fsdecode(path)!r} is not what was stored"
                )
        return [Note(os.fsdecode(path), text) for path, text, _ in rows]

    def remove(self, document_ids: Iterable[int], *, for_good: bool = False) -> None:
        """Remove documents with their chunks, vectors, fields and notes, in one transaction.

        Their vectors can still be reused, because a file may come back.  With ``for_good`` they are kept for
        one rollback only, and all vectors of earlier texts are deleted.
        """
        ids = list(document_ids)
        if not (ids or for_good):
            return
        with self._connection.transaction():
            paths = [path for (path,) in self._connection.rows_in(_PATHS, ids)]
            (self._undo.keep_for_rollback_only if for_good else self._undo.keep)(paths)
            if ids:
                self._connection.write_many("delete from documents where id = ?", ((id_,) for id_ in ids))
                self._raise_generation()

    def begin_change(self, run_id: int) -> None:
        """Begin the change of a run: everything it puts and removes, which `roll_back` undoes as a whole.

        If the run before it was interrupted, both are one change.  Without this call, a change is everything
        put and removed since the store was opened.
        """
        self._undo.begin(run_id)

    def forget_secrets(self, keeps: Callable[[str], bool]) -> None:
        """Delete earlier versions of unscreened documents whose path no longer ``keeps`` secrets.

        A rollback then leaves those documents unchanged.  Other earlier versions are kept until the next
        change, even with a secret that was since deleted from an unscreened file.  When the store is closed,
        or by a later writer if that fails, the file is rewritten, so that no deleted bytes remain in it.
        """
        with self._connection.transaction():
            if self._undo.forget_secrets(lambda path: keeps(os.fsdecode(path))):
                self._connection.write(
                    "insert or replace into meta (key, value) values (?, '1')", [_TO_BE_SHRUNK]
                )

    def roll_back(self) -> RollbackReport:
        """Undo the latest change, in one transaction; a second call makes it again.

        Documents that the change put return to their earlier state or disappear; removed ones come back.  So
        do the values of the manifest.  Raises InputError if there is nothing to undo.
        """
        with self._connection.transaction():
            report = self._undo.roll_back()
            self._raise_generation()
        return report

    def _raise_generation(self) -> None:
        self._connection.write(
            "insert into meta (key, value) values ('generation', '1') "
            "on conflict (key) do update set value = cast(value as integer) + 1"
        )

    # --- search ------------------------------------------------------------------------------------

    def chunks(self, ids: Sequence[int], *, may_be_gone: bool = False) -> dict[int, StoredChunk]:
        """The chunks with these ids, by id.

        With ``may_be_gone``, for ids of an earlier snapshot, those that no longer exist are left out; without
        it, a missing one raises IndexCorrupt.
        """
        found = read_chunks(self._connection, ids)
        missing = set(ids) - found.keys()
        if missing and not may_be_gone:
            raise damaged(self._connection.path, f"chunk {min(missing)} is of no document")
        return found

    def chunks_of(self, path: str) -> list[StoredChunk]:
        """The chunks of the document at a path, in order; none if there is no such document."""
        rows = self._connection.rows(
            "select c.id from chunks c join documents d on d.id = c.document_id where d.path = ? "
            "order by c.id",
            [os.fsencode(path)],
        )
        ids = [row[0] for row in rows]
        found = self.chunks(ids)
        return [found[id_] for id_ in ids]

    def stamps(self, document_ids: Sequence[int]) -> dict[int, FileStamp]:
        """The states of the files of these documents when they were read, by id."""
        return read_stamps(self._connection, document_ids)

    def select(self, where: Filter) -> IntArray:
        """Ids (n,), ascending, of the chunks that match a filter; InputError for an invalid filter."""
        self._check_compared_rows()
        return select(self._connection, where)

    def _check_compared_rows(self) -> None:
        """Without a seal, compare the checksums of the rows that filters compare, once."""
        if not (self._is_checked or self._connection.is_sealed):
            self.documents(with_fields=True)
            self._is_checked = True

    def _resolved(self, where: Where | None) -> IntArray | None:
        return where if where is None or isinstance(where, np.ndarray) else self.select(where)

    def term_counts(self, terms: Sequence[Term]) -> list[int]:
        """The number of chunks with each term."""
        with self._connection.transaction():
            return self._full_text.term_counts(terms, self._content_version())

    def words_with_prefix(self, prefix: str) -> dict[str, int]:
        """The stems that begin with a prefix, each with about its number of chunks."""
        with self._connection.transaction():
            return self._full_text.words_with_prefix(prefix)

    def lexical(
        self, query: LexicalQuery, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks that match a query's terms best, by weighted BM25; equal scores by smaller id."""
        with self._connection.transaction():
            ids = self._resolved(where)
            return self._full_text.search(query, k, self._content_version(), where=ids, exclude=exclude)

    def dense(
        self, vector: FloatArray, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks nearest to a unit vector (d,), by cosine; equal scores by smaller id."""
        n_excluded = 0 if exclude is None else len(exclude)
        with self._connection.transaction():
            index = self.vector_index(self._dimension(len(vector)))
            (hits,) = index.search(vector[None], k + n_excluded, among=self._resolved(where))
        if exclude is None:
            return hits
        is_wanted = ~np.isin(hits.ids, exclude)
        return Hits(hits.ids[is_wanted][:k], hits.scores[is_wanted][:k])

    def plan(self, k: int, *, where: Where | None = None) -> str:
        """How `dense` would search: "scan" (all vectors) or "widen" (candidates of a vector index)."""
        with self._connection.transaction():
            return self.vector_index().plan(k, among=self._resolved(where))

    def cosines(self, vector: FloatArray, ids: IntArray) -> FloatArray:
        """The cosines (n,) of these chunks, to the last bit as in `dense`; nan for an unknown id."""
        with self._connection.transaction():
            return self.vector_index(self._dimension(len(vector))).scores(vector, ids)

    def vectors(self, ids: IntArray) -> FloatArray:
        """The vectors (n, d) of these chunks."""
        with self._connection.transaction():
            return self.vector_index().vectors(ids)

    def known_vectors(self, texts: Sequence[str], *, dimension: int = 0) -> dict[str, FloatArray]:
        """The vectors already stored for any of these texts, in any document, of now or before.

        IndexCorrupt for a vector in use that is damaged or of another ``dimension``.
        """
        return known_vectors(self._connection, texts, dimension)

    def chunk_ids(self) -> IntArray:
        """Every chunk's id, ascending."""
        return chunk_ids(self._connection)

    def sample_ids(self, n: int) -> IntArray:
        """About n ids of chunks, evenly spread; the same ones at every call."""
        ids = self.chunk_ids()
        return ids[:: max(1, len(ids) // n)][:n]

    def exact_index(self, dimension: int) -> VectorIndex:
        """All stored vectors, for exact results: each is compared with every query."""
        return load_backend("flat").build(*self.all_vectors(dimension))

    def all_vectors(self, dimension: int) -> tuple[IntArray, FloatArray]:
        """Ids (n,), ascending, and vectors (n, dimension) of all chunks, each checked."""
        return read_vectors(self._connection, dimension, 0)

    # --- the vector index --------------------------------------------------------------------------

    def vector_index(self, dimension: int = 0) -> VectorIndex:
        """The vector index over every chunk, inside a snapshot; 0: the dimension of the stored vectors."""
        return self.index.current(self._content_version(), dimension or self._dimension(1))

    def _dimension(self, default: int) -> int:
        """The dimension of the stored vectors."""
        rows = self._connection.rows("select length(vector) / 4 from vectors limit 1")
        return int(rows[0][0]) if rows else default
