"""The database schema: named migrations, each applied once, and checks of the schema that a file has.

A released migration never changes.  A new column is a new ``m00N_`` function at the end of `MIGRATIONS`.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from minisearch.errors import IndexCorrupt, StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

MIGRATION_SET = "minisearch"
MIGRATIONS_TABLE = "_sqlite_migrations"  # sqlite-utils' name for it


def m001_tables(db: Database) -> None:
    """Documents, chunks, vectors, fields, notes; full text; skipped files; runs; undo; vector index."""
    for statement in _TABLES + _FULL_TEXT + _COUNTERS + _UNDO:
        db.execute(statement)


MIGRATIONS = [m001_tables]

# Columns that a table and its undo table share.
_DOCUMENT = """
    format text not null, title text not null, n_bytes integer not null, mtime_ns integer not null,
    ctime_ns integer not null, read_at_ns integer not null, sha256 blob not null, ingest text not null,
    language text not null, n_characters integer not null, n_bytes_reached integer not null,
    keeps_secrets integer not null, crc32 integer not null"""
_CHUNK = """
    start_char integer not null, end_char integer not null, start_byte integer not null,
    end_byte integer not null, line integer not null, end_line integer not null, page integer,
    n_tokens integer not null, text_sha256 blob not null, crc32 integer not null,
    is_rewritten integer not null, title text not null, heading text not null, text text not null,
    anchors text not null, names text not null, parts text not null"""
_FIELD = """
    name blob not null, kind text not null, text blob, folded blob, number real, crc32 integer not null"""
_NOTE = """
    text text not null, crc32 integer not null"""

# Ids are never used twice (AUTOINCREMENT), so every chunk newer than the vector index has a greater id.
# Paths are bytes (os.fsencode): a file name need not be valid text.  So are reasons, which quote paths, and
# the texts of fields: a document may hold halves of surrogate pairs, which SQLite does not take as text.
_TABLES = [
    """create table meta (
        key text primary key,
        value text not null
    ) without rowid""",
    f"""create table documents (
        id integer primary key autoincrement,
        path blob not null unique,
        {_DOCUMENT}
    )""",
    f"""create table chunks (
        id integer primary key autoincrement,
        document_id integer not null references documents (id) on delete cascade,
        {_CHUNK}
    )""",
    "create index chunks_document_id on chunks (document_id)",
    "create index chunks_text_sha256 on chunks (text_sha256)",
    "create index chunks_is_rewritten on chunks (is_rewritten) where is_rewritten",
    """create table vectors (
        chunk_id integer primary key references chunks (id) on delete cascade,
        vector blob not null,
        crc32 integer not null
    )""",
    f"""create table fields (
        document_id integer not null references documents (id) on delete cascade,
        {_FIELD}
    )""",
    "create index fields_document_id on fields (document_id)",
    "create index fields_folded on fields (name, kind, folded)",
    "create index fields_number on fields (name, kind, number)",
    f"""create table notes (
        document_id integer not null references documents (id) on delete cascade,
        {_NOTE}
    )""",
    "create index notes_document_id on notes (document_id)",
    # The state of a skipped file and what read it; null where that is not known.
    """create table problems (
        path blob primary key,
        reason blob not null,
        n_bytes integer,
        mtime_ns integer,
        ctime_ns integer,
        read_at_ns integer,
        ingest text,
        n_crashes integer not null
    ) without rowid""",
    """create table left_out (
        path blob primary key,
        reason blob not null
    ) without rowid""",
    """create table runs (
        id integer primary key autoincrement,
        started_at text not null,
        finished_at text,
        outcome text not null,
        roots text not null,
        pid integer not null,
        counts text not null
    )""",
    # The vector index file in use, its ids, and its size and time when it was published.
    """create table bases (
        id integer primary key autoincrement,
        backend text not null,
        file text not null,
        generation integer not null,
        sha256 text not null,
        n_bytes integer not null,
        mtime_ns integer not null,
        max_id integer not null,
        ids blob not null,
        crc32 integer not null
    )""",
    "create table removed_from_base (chunk_id integer primary key)",
]

# A chunk is in one of two full-text tables.  Most are in `chunks_fts`, which stores only the words, because
# the texts are in `chunks`.  Chunks with Chinese, Japanese or Korean, or with words that need normalising,
# are rewritten (see full_text.py); `chunks_rewritten` keeps the rewritten text.  Chunks are never updated.
# Words of file names are found like titles, parts of words like the text.
_FULL_TEXT = [
    """create view chunks_plain as select
        id, title || char(10) || names as title, heading, text || char(10) || parts as text
        from chunks where not is_rewritten""",
    """create virtual table chunks_fts using fts5 (
        title, heading, text, content = 'chunks_plain', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """create virtual table chunks_rewritten using fts5 (
        title, heading, text, tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """create trigger chunks_plain_inserted after insert on chunks when not new.is_rewritten begin
        insert into chunks_fts (rowid, title, heading, text) values
            (new.id, new.title || char(10) || new.names, new.heading, new.text || char(10) || new.parts);
    end""",
    """create trigger chunks_plain_deleted after delete on chunks when not old.is_rewritten begin
        insert into chunks_fts (chunks_fts, rowid, title, heading, text) values ('delete',
            old.id, old.title || char(10) || old.names, old.heading, old.text || char(10) || old.parts);
    end""",
    """create trigger chunks_rewritten_deleted after delete on chunks when old.is_rewritten begin
        delete from chunks_rewritten where rowid = old.id;
    end""",
]

# Queries need these numbers.  To count the rows would take longer with every chunk.
_COUNTERS = [
    """create table counters (
        n_documents integer not null,
        n_chunks integer not null,
        n_rewritten integer not null
    )""",
    "insert into counters values (0, 0, 0)",
    """create trigger documents_inserted after insert on documents begin
        update counters set n_documents = n_documents + 1;
    end""",
    """create trigger documents_deleted after delete on documents begin
        update counters set n_documents = n_documents - 1;
    end""",
    """create trigger chunks_inserted after insert on chunks begin
        update counters set n_chunks = n_chunks + 1, n_rewritten = n_rewritten + new.is_rewritten;
    end""",
    """create trigger chunks_deleted after delete on chunks begin
        update counters set n_chunks = n_chunks - 1, n_rewritten = n_rewritten - old.is_rewritten;
    end""",
    """create trigger chunks_deleted_from_base after delete on chunks
        when old.id <= (select max(max_id) from bases) begin
        insert into removed_from_base (chunk_id) values (old.id);
    end""",
]

# Every path that a change touched, as it was before, under the number of the change.  A path that held no
# document has a row without a format.  In `former_vectors`, a greater id was in use later.
_UNDO = [
    f"""create table undo_documents (
        id integer primary key,
        change integer not null,
        path blob not null,
        {_DOCUMENT.replace(" not null", "")},
        unique (change, path)
    )""",
    f"""create table undo_chunks (
        id integer primary key,
        undo_id integer not null references undo_documents (id) on delete cascade,
        {_CHUNK},
        vector_crc32 integer not null,
        vector blob not null
    )""",
    "create index undo_chunks_undo_id on undo_chunks (undo_id)",
    "create index undo_chunks_text_sha256 on undo_chunks (text_sha256)",
    f"""create table undo_fields (
        undo_id integer not null references undo_documents (id) on delete cascade,
        {_FIELD}
    )""",
    "create index undo_fields_undo_id on undo_fields (undo_id)",
    f"""create table undo_notes (
        undo_id integer not null references undo_documents (id) on delete cascade,
        {_NOTE}
    )""",
    "create index undo_notes_undo_id on undo_notes (undo_id)",
    """create table undo_meta (
        change integer not null,
        key text not null,
        value text not null,
        primary key (change, key)
    ) without rowid""",
    """create table former_vectors (
        id integer primary key,
        text_sha256 blob not null unique,
        keeps_secrets integer not null,
        crc32 integer not null,
        vector blob not null
    )""",
    "create index former_vectors_keeps_secrets on former_vectors (keeps_secrets) where keeps_secrets",
]


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the migrations that are missing in the database."""
    # Imported here because sqlite-utils takes 40 ms to import, and only a new database needs it.
    from sqlite_utils import Database, Migrations

    migrations = Migrations(MIGRATION_SET)
    for step in MIGRATIONS:
        migrations()(step)
    migrations.apply(Database(connection, execute_plugins=False))


def applied_migrations(db: sqlite3.Connection) -> list[str]:
    """The names of the migrations applied to a database, in order."""
    if not db.execute("select 1 from sqlite_master where name = ?", [MIGRATIONS_TABLE]).fetchone():
        return []
    rows = db.execute(
        f"select name from {MIGRATIONS_TABLE} where migration_set = ? order by rowid",  # noqa: S608 - ours
        [MIGRATION_SET],
    )
    return [name for (name,) in rows]


def needs_migration(db: sqlite3.Connection, path: Path) -> bool:
    """Whether a migration is missing; StoreError for a schema that is too new or too old."""
    applied, known = applied_migrations(db), [step.__name__ for step in MIGRATIONS]
    if _is_before_first_release(applied):
        raise StoreError(
            f"{path} was made by an earlier version, which this one does not read: make it again with: "
            f"{_command_to_make_again(db, path)}"
        )
    newer = [name for name in applied if name not in known]
    if newer:
        raise StoreError(
            f"{path} was made by a newer minisearch (its schema has {newer[-1]}): "
            f"upgrade with: pip install --upgrade minisearch-local"
        )
    return not set(known) <= set(applied)


def refuse_older_backup(db: sqlite3.Connection, path: Path) -> None:
    """StoreError for a backup of a schema that is too old."""
    if _is_before_first_release(applied_migrations(db)):
        raise StoreError(
            f"{path} is a backup made by an earlier version, which this one does not read: "
            f"make a new index with: minisearch index FOLDER"
        )


def _is_before_first_release(applied: list[str]) -> bool:
    return bool(applied) and applied[0] != MIGRATIONS[0].__name__


def _command_to_make_again(db: sqlite3.Connection, path: Path) -> str:
    """A shell command that removes the database and indexes the same folders and files."""
    roots: list[str] = []
    with contextlib.suppress(sqlite3.Error, ValueError, TypeError):
        ((stored,),) = db.execute("select value from meta where key = 'roots'")
        roots = [str(path.parent.parent / root) for root in list(json.loads(stored))]
    folder, names = shlex.quote(str(path.parent)), shlex.join(roots) or "FOLDER"
    return f"rm -f {shlex.quote(str(path))}* && minisearch index --index {folder} {names}"


def refuse_foreign_database(db: sqlite3.Connection, path: Path) -> None:
    """IndexCorrupt for a database of another program, or one with triggers or views that are not ours.

    A trigger or view in a database from elsewhere can run anything when the database is written to.
    """
    names = (name for (name,) in db.execute("select name from sqlite_master where type = 'table'"))
    tables = sorted(name for name in names if name != MIGRATIONS_TABLE)
    applied = applied_migrations(db)
    if tables and not applied:
        raise IndexCorrupt(
            f"{path} is no minisearch index (it has tables {', '.join(tables[:3])}): "
            f"choose another folder with --index"
        )
    if _is_before_first_release(applied):
        return  # refused by `needs_migration` before anything is written
    ours = {_normalised(statement) for statement in _FULL_TEXT + _COUNTERS}
    rows = db.execute(
        "select type, name, coalesce(sql, '') from sqlite_master where type in ('trigger', 'view')"
    )
    for type_, name, sql in rows:
        if _normalised(sql) not in ours:
            raise IndexCorrupt(
                f"{path} holds a {type_} {name!r}, which minisearch did not put there and which could run "
                f"when it is written to: choose another folder with --index"
            )


def _normalised(sql: str) -> str:
    return " ".join(sql.lower().split())
