"""The generation before: what a change replaces is kept, in the transaction that replaces it.

A change is all that one run, or one opened store, puts and removes; a run that was cut short and the one
that goes on from there are one change.  The first time a change touches a path, the document there goes
into the `undo_` tables as it was; going back puts it into its place again, and what that replaces is
kept in turn, so going back twice returns.  Ids are new each time: none is ever used again.  Of what is
forgotten the vectors stay (former.py), but for what a user removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from minisearch.errors import InputError
from minisearch.stores.local import chunks, documents, fields, former
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.failures import damaged
from minisearch.stores.local.records import Undone
from minisearch.stores.local.vectors import insert_stored

CHANGE = "change"  # the fact that says whose the images are: "number run"
# They count on, whatever comes back; and what a user has named stays named.
_OWN_FACTS = {CHANGE, "generation", "named"}

_FIELDS = fields.COLUMNS
_CHUNKS = ", ".join(f"c.{column}" for column in chunks.COLUMNS.split(", "))

_KEEP_DOCUMENT = f"""insert into undo_documents (change, path, {documents.COLUMNS})
    select ?, path, {documents.COLUMNS} from documents where id = ?"""  # noqa: S608 - ours
_KEEP_CHUNKS = f"""insert into undo_chunks (undo_id, {chunks.COLUMNS}, vector_crc32, vector)
    select ?, {_CHUNKS}, v.crc32, v.vector from chunks c join vectors v on v.chunk_id = c.id
    where c.document_id = ? order by c.id"""  # noqa: S608 - ours
_KEEP_FIELDS = f"""insert into undo_fields (undo_id, {_FIELDS})
    select ?, {_FIELDS} from fields where document_id = ? order by rowid"""  # noqa: S608 - ours
_KEEP_NOTES = """insert into undo_notes (undo_id, text, crc32)
    select ?, text, crc32 from notes where document_id = ? order by rowid"""

_IMAGE = f"select {documents.COLUMNS} from undo_documents where id = ?"  # noqa: S608 - ours
_CHUNKS_OF_IMAGE = (
    f"select vector_crc32, vector, {chunks.COLUMNS} from undo_chunks where undo_id = ? order by id"  # noqa: S608 - ours
)
_FIELDS_OF_IMAGE = f"""insert into fields (document_id, {_FIELDS})
    select ?, {_FIELDS} from undo_fields where undo_id = ? order by rowid"""  # noqa: S608 - ours
_NOTES_OF_IMAGE = """insert into notes (document_id, text, crc32)
    select ?, text, crc32 from undo_notes where undo_id = ? order by rowid"""

_IS_REMOVED_STAYS = """update undo_documents set is_removed = 1 where change = ? and path in (
    select path from undo_documents where change = ? and is_removed)"""

_OTHERS = "select id from undo_documents where change <> ?"
_TABLES = ("undo_chunks", "undo_fields", "undo_notes")  # what hangs on undo_documents


class Undo:
    """What the latest change of one store replaced; every method but `forget` runs inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._run_id = 0
        self._own: tuple[int, int] | None = None  # this store's change, once it has begun
        self._manifest: dict[str, str] = {}  # facts that were set before it began, as they were

    def begin(self, run_id: int) -> None:
        """Let the next thing that is kept be the first of a run's change."""
        if self._own is not None:
            self._own, self._manifest = None, {}
        self._run_id = run_id

    def keep_facts(self, known: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Keep the facts that are about to change; one that is new stays when its change is undone."""
        old = {key: known[key] for key in new if key in known and known[key] != new[key]}
        if self._has_begun():
            self._keep_facts(old)
        else:  # a run says what the index is before it puts the first document
            self._manifest = old | self._manifest

    def keep(self, paths: Iterable[bytes]) -> None:
        """Keep what is at these paths, unless the change has touched them before."""
        if not self._has_begun():
            self._begin()
        for path in paths:
            self._keep(path)

    def forget(self) -> None:
        """Forget what earlier changes replaced; until then their vectors can still be used."""
        if self._own is None:
            return
        with self._connection.transaction():
            change, _ = self._stored()
            self._forget_others(change)

    def let_go(self, paths: Sequence[bytes]) -> None:
        """Keep what is at these paths as `keep` does, but only to go back: no vector outlives the change."""
        if paths:
            self.keep(paths)
            assert self._own is not None, "kept outside a change"
            self._connection.write_many(
                "update undo_documents set is_removed = 1 where change = ? and path = ?",
                [(self._own[0], path) for path in paths],
            )
        former.forget_all(self._connection)

    def forget_secrets(self, keeps: Callable[[bytes], bool]) -> bool:
        """Whether anything was kept of documents with their secrets, where none are now: it is forgotten."""
        rows = self._connection.rows("select id, path from undo_documents where keeps_secrets")
        images = [(image,) for image, path in rows if not keeps(path)]
        if images:
            for table, of_image in [*((one, "undo_id") for one in _TABLES), ("undo_documents", "id")]:
                self._connection.write_many(f"delete from {table} where {of_image} = ?", images)  # noqa: S608 - ours
        return former.forget_secrets(self._connection, are_screened=bool(images)) or bool(images)

    def roll_back(self) -> Undone:
        """Put back what the latest change replaced, keep what is there now; InputError for nothing."""
        change, _ = self._stored()
        images = self._connection.rows(
            "select id, path, format is not null from undo_documents where change = ? order by id", [change]
        )
        manifest = dict(self._connection.rows("select key, value from undo_meta where change = ?", [change]))
        if not images and not manifest:
            raise InputError("there is no earlier generation to go back to: nothing was changed since it")
        self._run_id = 0
        self._begin()
        n_added = n_updated = n_removed = 0
        for image, path, existed in images:
            exists = self._keep(path)
            if existed:
                self._put_back(image, path)
            elif exists:
                self._connection.write("delete from documents where path = ?", [path])
            n_added += existed and not exists
            n_updated += existed and exists
            n_removed += exists and not existed
        self._connection.write(_IS_REMOVED_STAYS, [change + 1, change])
        self._put_facts_back(manifest)
        self._forget_others(change + 1)
        return Undone(n_added, n_updated, n_removed)

    # --- whose the images are ----------------------------------------------------------------------

    def _stored(self) -> tuple[int, int]:
        """The change that was kept last, and its run (0: none)."""
        rows = self._connection.rows("select value from meta where key = ?", [CHANGE])
        try:
            change, run_id = map(int, rows[0][0].split()) if rows else (0, 0)
        except ValueError as error:
            raise damaged(self._connection.path, f"its change is {rows[0][0]!r}") from error
        return change, run_id

    def _has_begun(self) -> bool:
        # Asked of the database: a transaction that failed took the beginning back.
        return self._own is not None and self._own == self._stored()

    def _begin(self) -> None:
        change, run_id = self._stored()
        if not (self._run_id and run_id and self._is_unfinished(run_id)):
            change += 1
        self._own = change, self._run_id
        self._connection.write(
            "insert or replace into meta (key, value) values (?, ?)", [CHANGE, f"{change} {self._run_id}"]
        )
        self._keep_facts(self._manifest)

    def _is_unfinished(self, run_id: int) -> bool:
        rows = self._connection.rows("select outcome from runs where id = ?", [run_id])
        return rows not in ([], [("complete",)])  # of one that is forgotten, a hundred have come since

    # --- now -> images -----------------------------------------------------------------------------

    def _keep(self, path: bytes) -> bool:
        """Whether there is a document at the path, which is then kept."""
        assert self._own is not None, "kept outside a change"
        change, connection = self._own[0], self._connection
        found = connection.rows("select id from documents where path = ?", [path])
        is_kept = connection.rows(
            "select 1 from undo_documents where change = ? and path = ?", [change, path]
        )
        if not is_kept and not found:
            connection.write("insert into undo_documents (change, path) values (?, ?)", [change, path])
        elif is_kept:
            if found:
                former.keep_document(connection, found[0][0])
        else:
            image = connection.write(_KEEP_DOCUMENT, [change, found[0][0]])
            for statement in (_KEEP_CHUNKS, _KEEP_FIELDS, _KEEP_NOTES):
                connection.write(statement, [image, found[0][0]])
        return bool(found)

    def _keep_facts(self, manifest: Mapping[str, str]) -> None:
        assert self._own is not None, "kept outside a change"
        self._connection.write_many(
            "insert or ignore into undo_meta (change, key, value) values (?, ?, ?)",
            [(self._own[0], key, value) for key, value in manifest.items() if key not in _OWN_FACTS],
        )

    # --- images -> now -----------------------------------------------------------------------------

    def _put_back(self, image: int, path: bytes) -> None:
        connection = self._connection
        (row,) = connection.rows(_IMAGE, [image])
        document_id = documents.put_row(connection, path, list(row))
        documents.clear(connection, document_id)
        for crc32, vector, *columns in connection.rows(_CHUNKS_OF_IMAGE, [image]):
            chunk_id = chunks.insert_row(connection, document_id, columns)
            insert_stored(connection, chunk_id, vector, crc32)
        for statement in (_FIELDS_OF_IMAGE, _NOTES_OF_IMAGE):
            connection.write(statement, [document_id, image])
        connection.write("delete from problems where path = ?", [path])

    def _put_facts_back(self, manifest: Mapping[str, str]) -> None:
        known = dict(self._connection.rows("select key, value from meta"))
        self._keep_facts({key: known[key] for key in manifest if key in known})
        self._connection.write_many(
            "insert or replace into meta (key, value) values (?, ?)", list(manifest.items())
        )

    def _forget_others(self, change: int) -> None:
        former.keep_images(self._connection, change)
        former.forget_superfluous(self._connection, change)
        for table in _TABLES:
            self._forget_rows(table, change)
        for table in ("undo_documents", "undo_meta"):
            self._connection.write(f"delete from {table} where change <> ?", [change])  # noqa: S608 - ours

    def _forget_rows(self, table: str, change: int) -> None:
        write, of_others = self._connection.write, f"undo_id in ({_OTHERS})"
        ((n, n_others),) = self._connection.rows(
            f"select count(*), count(*) filter (where {of_others}) from {table}",  # noqa: S608 - ours
            [change],
        )
        if n_others <= n - n_others:
            write(f"delete from {table} where {of_others}", [change])  # noqa: S608 - ours
            return
        # SQLite empties a table in a fraction of the time that its rows take one by one.
        write(f"create temp table kept as select * from {table} where not {of_others}", [change])  # noqa: S608 - ours
        write(f"delete from {table}")  # noqa: S608 - ours
        write(f"insert into {table} select * from kept")  # noqa: S608 - ours
        write("drop table kept")
