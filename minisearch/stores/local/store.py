"""The truth about an index: documents, chunks, vectors, full text, and what happened, in one SQLite file.

A document goes in whole, with its chunks, their vectors and full-text rows and its notes, in one transaction
that raises the generation number by one.  Whatever else an index folder holds can be made again from
here.  The store knows nothing of files, models or backends: it is handed what it keeps.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from minisearch.errors import IndexNotWritable
from minisearch.filters import Filter
from minisearch.stores.base import FileStamp, StoredChunk, StoredDocument, Undone
from minisearch.stores.local.backup import back_up
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.documents import (
    Base,
    clear_document,
    columns_of,
    insert_chunk,
    insert_vector,
    known_vectors,
    put_document_row,
    read_chunks,
    read_documents,
    read_fields,
    read_names,
    read_vectors,
    restamp,
    row_crc32,
    write_fields,
)
from minisearch.stores.local.filters import select
from minisearch.stores.local.full_text import lexical
from minisearch.stores.local.history import Undo, forget_former_vectors
from minisearch.stores.local.integrity import check
from minisearch.stores.local.journal import Journal
from minisearch.stores.local.sqlite import damaged
from minisearch.types import Chunk, FloatArray, Hits, IntArray, Note

_MODEL = "model_fingerprint"  # the fact that says whose the vectors are
_TO_BE_SHRUNK = "to_be_shrunk"  # the fact that bytes of what was forgotten are still in the file
_FACT = "select value from meta where key = ?"
_PATHS = "select path from documents where id in"

logger = logging.getLogger(__name__)


class Store:
    """An open database. Use it as a context manager, or close it; every method may raise StoreError."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self._connection = Connection(path, writable=writable)
        self.journal = Journal(self._connection)
        self._undo = Undo(self._connection)
        self._is_checked = False  # what filters compare

    def __enter__(self) -> Store:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._close(in_haste=failure is not None)

    def close(self) -> None:
        """Close the file, with all that was written on the disk."""
        self._close(in_haste=False)

    def _close(self, *, in_haste: bool) -> None:
        """Close the file; ``in_haste``, as when interrupted, without what the next writer can do as well."""
        try:
            if self._connection.is_writable and not (in_haste or self._connection.is_closed):
                self._connection.interruptible(self._tidy)
        finally:
            self._connection.close()

    def _tidy(self) -> None:
        with contextlib.suppress(IndexNotWritable):  # a full disk: what is kept stays for now
            self._undo.forget()
        self._check_before_sealing()
        self._shrink()

    def _shrink(self) -> None:
        connection = self._connection
        if not (connection.is_writable and connection.early_rows(_FACT, [_TO_BE_SHRUNK])):
            connection.shrink()
            return
        with contextlib.suppress(IndexNotWritable):  # a full disk
            with connection.transaction():  # the full text holds words of what is gone until it is merged
                for table in ("chunks_fts", "chunks_rewritten"):
                    connection.write(f"insert into {table} ({table}) values ('optimize')")  # noqa: S608 - ours
            if connection.shrink(is_due=True):
                with connection.transaction():
                    connection.write("delete from meta where key = ?", [_TO_BE_SHRUNK])
                return
        logger.warning(
            "%s could not be written anew: bytes of secrets that were forgotten stay in it until a run can; "
            "is another program using it, or is there no room for twice its size beside it?",
            connection.path,
        )

    def _check_before_sealing(self) -> None:
        """IndexCorrupt for damage in a file that had no seal: once sealed, it would never be found."""
        if self._connection.is_doubtful:
            problems = check(self._connection, deep=True, in_place=True)
            if problems:
                raise damaged(self._connection.path, problems[0])
            self._connection.vouch()

    def check(self, *, deep: bool = False) -> list[str]:
        """What is wrong with the database, in words; nothing where it is sound.

        SQLite's own check, what refers to what, and every checksum; ``deep`` also every index and all of the
        full text against the passages, on a copy in the temporary folder, so that a writer can go on.
        """
        return self._connection.interruptible(lambda: check(self._connection, deep=deep))

    def copy_to(self, path: Path) -> None:
        """Copy the whole database, as it is at this moment, into a new file; this one is only read."""
        self._connection.copy_to(path)

    def backup(self, path: Path) -> None:
        """Copy the database as it is at this moment into a new file, checked and on the disk.

        A writer can go on meanwhile.  Raises InputError if there is something at the path, IndexNotWritable
        where there is no room; then nothing is left there.
        """
        back_up(self._connection, path)

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """One transaction: all that is read inside it is of one generation."""
        return self._connection.transaction()

    def is_outdated(self) -> bool:
        """Whether what is read here may no longer be what is at the path: then open the store again."""
        return self._connection.is_outdated()

    # --- what the index is -------------------------------------------------------------------------

    def meta(self) -> dict[str, str]:
        """The index's own facts: model, its fingerprint, dimension, backend."""
        return {row[0]: row[1] for row in self._connection.early_rows("select key, value from meta")}

    def set_meta(self, **values: str) -> None:
        """Set some of those facts."""
        with self._connection.transaction():
            known = self.meta()
            if known.get(_MODEL, "") != values.get(_MODEL, known.get(_MODEL, "")):
                forget_former_vectors(self._connection)
            self._undo.keep_facts(known, values)
            self._connection.write_many(
                "insert or replace into meta (key, value) values (?, ?)", list(values.items())
            )

    @property
    def generation(self) -> int:
        """Grows by one with every change of documents; 0 for an empty store."""
        return self._number("generation")

    def _number(self, key: str) -> int:
        """A fact that is a number; 0 before it is set."""
        rows = self._connection.rows(_FACT, [key])
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
        ((n_documents, n_chunks),) = self._connection.rows("select n_documents, n_chunks from counters")
        return n_documents, n_chunks

    # --- documents ---------------------------------------------------------------------------------

    def documents(self, *, with_fields: bool = False) -> dict[str, StoredDocument]:
        """Every document by its path, without its fields unless they are asked for: they may be many."""
        with self._connection.transaction():
            return read_documents(self._connection, read_fields(self._connection) if with_fields else {})

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
        path, connection = os.fsencode(document.path), self._connection
        with connection.transaction():
            self._undo.keep([path])
            document_id = put_document_row(connection, path, columns_of(document))
            clear_document(connection, document_id)
            chunk_ids = [insert_chunk(connection, document_id, path, document.title, one) for one in chunks]
            for chunk_id, vector in zip(chunk_ids, vectors, strict=True):
                insert_vector(connection, chunk_id, vector)
            connection.write_many(
                "insert into notes (document_id, text, crc32) values (?, ?, ?)",
                [(document_id, note, row_crc32(path, note)) for note in notes],
            )
            write_fields(connection, document_id, path, document.fields)
            self._raise_generation()

    def field_names(self) -> list[str]:
        """The names of the fields that any document has, as a filter compares them, in order."""
        return read_names(self._connection)

    def restamp(self, document_id: int, stamp: FileStamp) -> None:
        """Note that a file was read again and found to hold the same bytes."""
        with self._connection.transaction():
            restamp(self._connection, document_id, stamp)

    def notes(self) -> list[Note]:
        """What the readers could not keep of the documents, ordered by path."""
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
        """Remove documents with all that belongs to them, in one transaction.

        Their vectors stay known, since a file that is gone may come back; ``for_good``, only until the next
        change, and nothing that left the index before stays known either.
        """
        ids = list(document_ids)
        if not (ids or for_good):
            return
        with self._connection.transaction():
            paths = [path for (path,) in self._connection.rows_in(_PATHS, ids)]
            (self._undo.let_go if for_good else self._undo.keep)(paths)
            if ids:
                self._connection.write_many("delete from documents where id = ?", ((id_,) for id_ in ids))
                self._raise_generation()

    def begin_change(self, run_id: int) -> None:
        """Let what is put and removed from now on be this run's change, which `roll_back` takes back as one.

        If the run before it did not come to its end, both are one change.  Without this, a change is what
        was put and removed since the store was opened.
        """
        self._undo.begin(run_id)

    def forget_secrets(self, keeps: Callable[[str], bool]) -> None:
        """Forget what earlier changes kept of unscreened documents, where the path ``keeps`` no secrets now.

        Going back then leaves those documents as they are.  What a change has replaced otherwise stays as it
        was read, until the change after it: also a secret that was deleted from a file that is not screened.
        The file is written anew when it is closed, by this writer or the next that can, so that no bytes of
        what was forgotten stay in it.
        """
        with self._connection.transaction():
            if self._undo.forget_secrets(lambda path: keeps(os.fsdecode(path))):
                self._connection.write(
                    "insert or replace into meta (key, value) values (?, '1')", [_TO_BE_SHRUNK]
                )

    def roll_back(self) -> Undone:
        """Take the latest change back, in one transaction; once more, and it is made again.

        Documents that the change put are as they were before or gone, removed ones are there; so are the
        index's facts.  Raises InputError where there is nothing to take back.
        """
        with self._connection.transaction():
            undone = self._undo.roll_back()
            self._raise_generation()
        return undone

    def _raise_generation(self) -> None:
        self._connection.write(
            "insert into meta (key, value) values ('generation', '1') "
            "on conflict (key) do update set value = cast(value as integer) + 1"
        )

    # --- chunks and vectors ------------------------------------------------------------------------

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """The chunks with these ids, by id; each is of a document."""
        found = read_chunks(self._connection, ids)
        missing = set(ids) - found.keys()
        if missing:
            raise damaged(self._connection.path, f"chunk {min(missing)} is of no document")
        return found

    def passages(self, path: str) -> list[StoredChunk]:
        """The chunks of the document at a path, in their order; none where there is no such document."""
        rows = self._connection.rows(
            "select c.id from chunks c join documents d on d.id = c.document_id where d.path = ? "
            "order by c.id",
            [os.fsencode(path)],
        )
        ids = [row[0] for row in rows]
        found = self.chunks(ids)
        return [found[id_] for id_ in ids]

    def select(self, where: Filter) -> IntArray:
        """Ids (n,), ascending, of the chunks that a filter leaves; InputError if it makes no sense."""
        if not (self._is_checked or self._connection.is_sealed):
            self.documents(with_fields=True)  # SQL compares what nobody has vouched for: read all of it once
            self._is_checked = True
        return select(self._connection, where)

    def lexical(self, text: str, k: int, *, among: IntArray | None = None) -> Hits:
        """The k chunks, of those with ids ``among`` (n,), that hold words of the text best, by BM25.

        Words in more than half of the chunks count only where the text has no others, and of a text of more
        than 200 different words only the first 200.  No words: no hits.
        """
        return lexical(self._connection, text, k, among)

    def known_vectors(self, texts: Sequence[str], *, dimension: int = 0) -> dict[str, FloatArray]:
        """The vectors already stored for any of these texts, in whatever document, of now or of before.

        IndexCorrupt for one of now that is damaged, or has another ``dimension``, or of what `roll_back`
        brings back; one that left before that is not known then.
        """
        return known_vectors(self._connection, texts, dimension)

    def chunk_ids(self) -> IntArray:
        """Every chunk's id, ascending."""
        # Unordered, so that SQLite reads them from a small index rather than from the table itself.
        ids = np.array([row[0] for row in self._connection.rows("select id from chunks")], np.int64)
        return np.sort(ids)

    def vectors(self, dimension: int, *, after: int = 0) -> tuple[IntArray, FloatArray]:
        """Ids (n,), ascending, and vectors (n, dimension) of the chunks with ids greater than ``after``."""
        return read_vectors(self._connection, dimension, after)

    # --- the vector index in use -------------------------------------------------------------------

    def base(self) -> Base | None:
        """The vector index file in use, if one was ever published."""
        rows = self._connection.rows(
            "select backend, file, generation, sha256, n_bytes, mtime_ns, ids, crc32 from bases "
            "order by id desc limit 1"
        )
        if not rows:
            return None
        backend, file, generation, sha256, n_bytes, mtime_ns, ids, crc32 = rows[0]
        # The index file is only a cache: a damaged record is returned, and fails the SHA-256 comparison.
        whole = ids[: len(ids) // 8 * 8] if isinstance(ids, bytes) else b""
        if row_crc32(whole, backend, file, generation, sha256, n_bytes, mtime_ns) != crc32:
            mtime_ns = 0
        return Base(
            *(str(backend), str(file), generation, str(sha256), np.frombuffer(whole, np.int64)),
            *(n_bytes, mtime_ns),
        )

    def removed_from_base(self) -> IntArray:
        """Ids (n,), ascending, of the chunks removed since the vector index file in use was published."""
        rows = self._connection.rows("select chunk_id from removed_from_base order by chunk_id")
        return np.array([row[0] for row in rows], np.int64)

    def has_newer_base(self) -> bool:
        """Whether another file was published since the present snapshot began."""
        with Store(self._connection.path) as now:
            return now.version()[1] != self.version()[1]

    def publish(self, base: Base) -> None:
        """Make a file the vector index in use, in place of the one before."""
        connection, ids = self._connection, base.ids.tobytes()
        row = [base.backend, base.file, base.generation, base.sha256, base.n_bytes, base.mtime_ns]
        with connection.transaction():
            for table in ("bases", "removed_from_base"):
                connection.write(f"delete from {table}")  # noqa: S608 - ours
            connection.write(
                "insert into bases "
                "(backend, file, generation, sha256, n_bytes, mtime_ns, crc32, max_id, ids) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [*row, row_crc32(ids, *row), int(base.ids[-1]) if len(base.ids) else 0, ids],
            )
            if base.generation != self.generation:  # documents were removed while the file was built
                removed = np.setdiff1d(base.ids, self.chunk_ids(), assume_unique=True).tolist()
                connection.write_many(
                    "insert into removed_from_base (chunk_id) values (?)", ((id_,) for id_ in removed)
                )
