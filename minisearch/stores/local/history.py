"""Undo history: the state before the latest change, and the vectors of texts that are no longer in the index.

One change is everything that a run, or one opened store, adds and removes.  An interrupted run and the run
that continues it are one change.  When a change first touches a path, the document there is copied into the
`undo_` tables, in the same transaction.  A rollback restores it and keeps the replaced document, so that a
second rollback redoes the change.  Restored chunks get new ids: no id is used twice.

The vectors of replaced and removed texts are also copied into `former_vectors`, under the SHA-256 of the
text, and stay there when the next change deletes the earlier documents.  So switching back to a branch in git
embeds nothing again.  The table has at most as many vectors as the index and its `undo_` tables have chunks,
or `MIN_FORMER_VECTORS`; the oldest are deleted first.  Nothing is kept of documents that the user removed,
nor of documents with secrets once they are screened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from minisearch.errors import InputError
from minisearch.stores.base import RollbackReport
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.documents import (
    CHUNK_COLUMNS,
    DOCUMENT_COLUMNS,
    FIELD_COLUMNS,
    clear_document,
    insert_chunk_row,
    insert_vector,
    put_document_row,
)
from minisearch.stores.local.sqlite import damaged

MIN_FORMER_VECTORS = 10_000  # kept also for a small index: 16 MB with 384 dimensions
CHANGE = "change"  # the key in `meta` that holds the latest change and its run: "number run"
_OWN_KEYS = {CHANGE, "generation"}  # a rollback leaves them alone
REMOVAL = -1  # in place of the number of a run: the user removed documents

_CHUNKS = ", ".join(f"c.{column}" for column in CHUNK_COLUMNS.split(", "))
_KEEP_DOCUMENT = f"""insert into undo_documents (change, path, {DOCUMENT_COLUMNS})
    select ?, path, {DOCUMENT_COLUMNS} from documents where id = ?"""  # noqa: S608 - ours
_KEEP_PARTS = (
    f"""insert into undo_chunks (undo_id, {CHUNK_COLUMNS}, vector_crc32, vector)
    select ?, {_CHUNKS}, v.crc32, v.vector from chunks c join vectors v on v.chunk_id = c.id
    where c.document_id = ? order by c.id""",  # noqa: S608 - ours
    f"""insert into undo_fields (undo_id, {FIELD_COLUMNS})
    select ?, {FIELD_COLUMNS} from fields where document_id = ? order by rowid""",  # noqa: S608 - ours
    """insert into undo_notes (undo_id, text, crc32)
    select ?, text, crc32 from notes where document_id = ? order by rowid""",
)
_KEPT_DOCUMENT = f"select {DOCUMENT_COLUMNS} from undo_documents where id = ?"  # noqa: S608 - ours
_KEPT_CHUNKS = f"select vector_crc32, vector, {CHUNK_COLUMNS} from undo_chunks where undo_id = ? order by id"  # noqa: S608 - ours
_PUT_PARTS_BACK = (
    f"""insert into fields (document_id, {FIELD_COLUMNS})
    select ?, {FIELD_COLUMNS} from undo_fields where undo_id = ? order by rowid""",  # noqa: S608 - ours
    """insert into notes (document_id, text, crc32)
    select ?, text, crc32 from undo_notes where undo_id = ? order by rowid""",
)
_KEEP_VECTORS = """insert or replace into former_vectors (text_sha256, keeps_secrets, crc32, vector)
    select c.text_sha256, d.keeps_secrets, v.crc32, v.vector
    from chunks c join vectors v on v.chunk_id = c.id join documents d on d.id = c.document_id
    where d.id = ? order by c.id"""
_FORGET_USED = """delete from former_vectors where text_sha256 in (
    select c.text_sha256 from undo_documents u join documents d on d.path = u.path
    join chunks c on c.document_id = d.id where u.change = ?)"""
_FORGET_OLDEST = """delete from former_vectors where id in (
    select id from former_vectors order by id limit max(0, (select count(*) from former_vectors)
        - max((select n_chunks from counters) + (select count(*) from undo_chunks), ?)))"""


class Undo:
    """The documents that the latest change replaced; all methods but `forget` need an open transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._run_id = 0
        self._own: tuple[int, int] | None = None  # this store's change and run, once it has begun
        self._meta: dict[str, str] = {}  # earlier values of the manifest, set before the change began

    def begin(self, run_id: int) -> None:
        """Let the change of a run begin with the next document that is kept."""
        if self._own is not None:
            self._own, self._meta = None, {}
        self._run_id = run_id

    def keep_meta(self, known: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Keep the values of the manifest that are about to change; a rollback leaves new keys alone."""
        old = {key: known[key] for key in new if key in known and known[key] != new[key]}
        if self._has_begun():
            self._keep_meta(old)
        else:  # a run sets the manifest before it puts the first document
            self._meta = old | self._meta

    def keep(self, paths: Iterable[bytes]) -> None:
        """Keep the documents at these paths, unless this change has already touched them."""
        if not self._has_begun():
            self._begin()
        for path in paths:
            self._keep(path)

    def keep_for_rollback_only(self, paths: Sequence[bytes]) -> None:
        """Keep the documents at these paths for a rollback only, and delete all former vectors."""
        if paths:
            self._run_id = REMOVAL
            self.keep(paths)
        self._connection.write("delete from former_vectors")

    def forget(self) -> None:
        """Delete the documents that earlier changes replaced, and former vectors above the limit."""
        if self._own is None:
            return
        with self._connection.transaction():
            change, _ = self._stored()
            self._forget_others(change)

    def forget_secrets(self, keeps: Callable[[bytes], bool]) -> bool:
        """Delete earlier documents with secrets whose path ``keeps`` none now; whether there were any."""
        rows = self._connection.rows("select id, path from undo_documents where keeps_secrets")
        kept = [(undo_id,) for undo_id, path in rows if not keeps(path)]
        if kept:
            self._connection.write_many("delete from undo_documents where id = ?", kept)
        return self._forget_secret_vectors(are_screened=bool(kept)) or bool(kept)

    def _forget_secret_vectors(self, *, are_screened: bool) -> bool:
        connection = self._connection
        if not connection.rows("select 1 from former_vectors where keeps_secrets limit 1"):
            return False
        if not are_screened and connection.rows("select 1 from documents where keeps_secrets limit 1"):
            return False
        connection.write("delete from former_vectors where keeps_secrets")
        return True

    def roll_back(self) -> RollbackReport:
        """Undo the latest change, and keep the present documents for a redo; InputError if there is none."""
        change, run_id = self._stored()
        kept = self._connection.rows(
            "select id, path, format is not null from undo_documents where change = ? order by id", [change]
        )
        meta = dict(self._connection.rows("select key, value from undo_meta where change = ?", [change]))
        if not kept and not meta:
            raise InputError("there is no earlier generation to go back to: nothing was changed since it")
        self._run_id = min(run_id, 0)  # also when a removal is made again, no vector is kept
        self._begin()
        n_added = n_updated = n_removed = 0
        for undo_id, path, existed in kept:
            exists = self._keep(path)
            if existed:
                self._put_back(undo_id, path)
            elif exists:
                self._connection.write("delete from documents where path = ?", [path])
            n_added += existed and not exists
            n_updated += existed and exists
            n_removed += exists and not existed
        self._put_meta_back(meta)
        self._forget_others(change + 1)
        return RollbackReport(n_added, n_updated, n_removed)

    # --- which change ------------------------------------------------------------------------------

    def _stored(self) -> tuple[int, int]:
        """The latest change and its run (0: none)."""
        rows = self._connection.rows("select value from meta where key = ?", [CHANGE])
        try:
            change, run_id = map(int, rows[0][0].split()) if rows else (0, 0)
        except ValueError as error:
            raise damaged(self._connection.path, f"its change is {rows[0][0]!r}") from error
        return change, run_id

    def _has_begun(self) -> bool:
        # Read from the database: a failed transaction has undone the start of the change.
        return self._own is not None and self._own == self._stored()

    def _begin(self) -> None:
        change, run_id = self._stored()
        if not (self._run_id > 0 and run_id > 0 and self._is_unfinished(run_id)):
            change += 1
        self._own = change, self._run_id
        self._connection.write(
            "insert or replace into meta (key, value) values (?, ?)", [CHANGE, f"{change} {self._run_id}"]
        )
        self._keep_meta(self._meta)

    def _is_unfinished(self, run_id: int) -> bool:
        rows = self._connection.rows("select outcome from runs where id = ?", [run_id])
        return rows not in ([], [("complete",)])  # a run that is no longer listed ended long ago

    # --- the present state -> undo tables ----------------------------------------------------------

    def _keep(self, path: bytes) -> bool:
        """Keep the document at a path, unless this change has already touched it; whether there is one.

        Its vectors are kept in any case, unless the user removes documents.
        """
        assert self._own is not None, "kept outside a change"
        (change, run_id), connection = self._own, self._connection
        found = connection.rows("select id from documents where path = ?", [path])
        is_kept = connection.rows(
            "select 1 from undo_documents where change = ? and path = ?", [change, path]
        )
        if not is_kept and not found:
            connection.write("insert into undo_documents (change, path) values (?, ?)", [change, path])
        elif not is_kept:
            undo_id = connection.write(_KEEP_DOCUMENT, [change, found[0][0]])
            for statement in _KEEP_PARTS:
                connection.write(statement, [undo_id, found[0][0]])
        if found and run_id != REMOVAL:
            connection.write(_KEEP_VECTORS, [found[0][0]])
        return bool(found)

    def _keep_meta(self, meta: Mapping[str, str]) -> None:
        assert self._own is not None, "kept outside a change"
        self._connection.write_many(
            "insert or ignore into undo_meta (change, key, value) values (?, ?, ?)",
            [(self._own[0], key, value) for key, value in meta.items() if key not in _OWN_KEYS],
        )

    # --- undo tables -> the present state ----------------------------------------------------------

    def _put_back(self, undo_id: int, path: bytes) -> None:
        connection = self._connection
        (row,) = connection.rows(_KEPT_DOCUMENT, [undo_id])
        document_id = put_document_row(connection, path, list(row))
        clear_document(connection, document_id)
        for crc32, vector, *columns in connection.rows(_KEPT_CHUNKS, [undo_id]):
            chunk_id = insert_chunk_row(connection, document_id, columns)
            insert_vector(connection, chunk_id, vector, crc32)
        for statement in _PUT_PARTS_BACK:
            connection.write(statement, [document_id, undo_id])
        connection.write("delete from problems where path = ?", [path])

    def _put_meta_back(self, meta: Mapping[str, str]) -> None:
        known = dict(self._connection.rows("select key, value from meta"))
        self._keep_meta({key: known[key] for key in meta if key in known})
        self._connection.write_many(
            "insert or replace into meta (key, value) values (?, ?)", list(meta.items())
        )

    def _forget_others(self, change: int) -> None:
        """Delete the documents that other changes replaced, and former vectors above the limit."""
        write = self._connection.write
        for table in ("undo_documents", "undo_meta"):
            write(f"delete from {table} where change <> ?", [change])  # noqa: S608 - ours
        write(_FORGET_USED, [change])
        write(_FORGET_OLDEST, [MIN_FORMER_VECTORS])
