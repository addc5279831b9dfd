"""What a change replaces, kept so that it can be undone, and the vectors of former texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from minisearch.errors import InputError
from minisearch.stores.base import Undone
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.documents import (
    CHUNK_COLUMNS,
    DOCUMENT_COLUMNS,
    FIELD_COLUMNS,
    clear_document,
    insert_chunk_row,
    insert_vector_row,
    put_document_row,
)
from minisearch.stores.local.sqlite import damaged

MIN_FORMER_VECTORS = 10_000  # that are kept of a small index: 16 MB with 384 dimensions

_PUT = "insert or replace into former_vectors (text_sha256, keeps_secrets, crc32, vector) "

_KEEP_VECTORS = f"""{_PUT}
    select c.text_sha256, d.keeps_secrets, v.crc32, v.vector
    from chunks c join vectors v on v.chunk_id = c.id join documents d on d.id = c.document_id
    where d.id = ? order by c.id"""  # noqa: S608 - ours

# Where a user removes something, earlier texts of it go as well: all that was kept before.
_KEEP_VECTORS_OF_IMAGES = f"""{_PUT}
    select i.text_sha256, d.keeps_secrets, i.vector_crc32, i.vector
    from undo_chunks i join undo_documents d on d.id = i.undo_id
    where d.change <> :change and d.path not in (select path from undo_documents where is_removed)
        and :change not in (select change from undo_documents where is_removed)
        and not exists (select 1 from chunks c where c.text_sha256 = i.text_sha256)
    order by i.id"""  # noqa: S608 - ours

_FORGET_USED = """delete from former_vectors where text_sha256 in (
    select c.text_sha256 from undo_documents u join documents d on d.path = u.path
    join chunks c on c.document_id = d.id where u.change = ?)"""

_N_OVER = """select (select count(*) from former_vectors)
    - max((select count(*) from chunks), ?)"""
_FORGET_OLDEST = """delete from former_vectors
    where id in (select id from former_vectors order by id limit ?)"""


def _keep_vectors(connection: Connection, document_id: int) -> None:
    """Keep the vectors of a document that is about to be replaced, and is kept nowhere else."""
    connection.write(_KEEP_VECTORS, [document_id])


def _keep_vectors_of_images(connection: Connection, change: int) -> None:
    """Keep the vectors of what changes other than this one have replaced, which is about to be forgotten."""
    connection.write(_KEEP_VECTORS_OF_IMAGES, {"change": change})


def _forget_superfluous(connection: Connection, change: int) -> None:
    """Forget what this change has brought back into the index, and the oldest where they are too many."""
    if connection.rows("select 1 from former_vectors limit 1"):
        connection.write(_FORGET_USED, [change])
        ((n_over,),) = connection.rows(_N_OVER, [MIN_FORMER_VECTORS])
        if n_over > 0:
            connection.write(_FORGET_OLDEST, [n_over])


def forget_former_vectors(connection: Connection) -> None:
    """Forget every one of them."""
    if connection.rows("select 1 from former_vectors limit 1"):
        connection.write("delete from former_vectors")


def _forget_secret_vectors(connection: Connection, *, are_screened: bool) -> bool:
    """Forget those of documents with their secrets, if some ``are_screened`` now or none is left; if any."""
    if not connection.rows("select 1 from former_vectors where keeps_secrets limit 1"):
        return False
    if not are_screened and connection.rows("select 1 from documents where keeps_secrets limit 1"):
        return False
    connection.write("delete from former_vectors where keeps_secrets")
    return True


CHANGE = "change"  # the fact that says whose the images are: "number run"
# They count on, whatever comes back; and what a user has named stays named.
_OWN_FACTS = {CHANGE, "generation", "named"}

_FIELDS = FIELD_COLUMNS
_CHUNKS = ", ".join(f"c.{column}" for column in CHUNK_COLUMNS.split(", "))

_KEEP_DOCUMENT = f"""insert into undo_documents (change, path, {DOCUMENT_COLUMNS})
    select ?, path, {DOCUMENT_COLUMNS} from documents where id = ?"""  # noqa: S608 - ours
_KEEP_CHUNKS = f"""insert into undo_chunks (undo_id, {CHUNK_COLUMNS}, vector_crc32, vector)
    select ?, {_CHUNKS}, v.crc32, v.vector from chunks c join vectors v on v.chunk_id = c.id
    where c.document_id = ? order by c.id"""  # noqa: S608 - ours
_KEEP_FIELDS = f"""insert into undo_fields (undo_id, {_FIELDS})
    select ?, {_FIELDS} from fields where document_id = ? order by rowid"""  # noqa: S608 - ours
_KEEP_NOTES = """insert into undo_notes (undo_id, text, crc32)
    select ?, text, crc32 from notes where document_id = ? order by rowid"""

_IMAGE = f"select {DOCUMENT_COLUMNS} from undo_documents where id = ?"  # noqa: S608 - ours
_CHUNKS_OF_IMAGE = (
    f"select vector_crc32, vector, {CHUNK_COLUMNS} from undo_chunks where undo_id = ? order by id"  # noqa: S608 - ours
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
        forget_former_vectors(self._connection)

    def forget_secrets(self, keeps: Callable[[bytes], bool]) -> bool:
        """Whether anything was kept of documents with their secrets, where none are now: it is forgotten."""
        rows = self._connection.rows("select id, path from undo_documents where keeps_secrets")
        images = [(image,) for image, path in rows if not keeps(path)]
        if images:
            for table, of_image in [*((one, "undo_id") for one in _TABLES), ("undo_documents", "id")]:
                self._connection.write_many(f"delete from {table} where {of_image} = ?", images)  # noqa: S608 - ours
        return _forget_secret_vectors(self._connection, are_screened=bool(images)) or bool(images)

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
                _keep_vectors(connection, found[0][0])
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
        document_id = put_document_row(connection, path, list(row))
        clear_document(connection, document_id)
        for crc32, vector, *columns in connection.rows(_CHUNKS_OF_IMAGE, [image]):
            chunk_id = insert_chunk_row(connection, document_id, columns)
            insert_vector_row(connection, chunk_id, vector, crc32)
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
        _keep_vectors_of_images(self._connection, change)
        _forget_superfluous(self._connection, change)
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
