"""The database schema: named migrations, each applied once, and checks of the schema that a file has.

The header of the file (``user_version``) has the number of migrations that were applied.  A released
migration never changes.  A new column is a new ``m00N_`` function at the end of `MIGRATIONS`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from minisearch.errors import IndexCorrupt, StoreError

APPLICATION_ID = 0x6D696E69  # "mini", in the header of the file: a database of ours


def m001_initial(db: sqlite3.Connection) -> None:
    """Documents, chunks, vectors, fields, notes; full text; skipped files; runs; undo; vector index."""
    db.execute(f"pragma application_id = {APPLICATION_ID}")
    for statement in _TABLES + _FULL_TEXT + _COUNTERS + _UNDO:
        db.execute(statement)


MIGRATIONS = [m001_initial]

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
    anchors text not null"""
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
_FULL_TEXT = [
    "create view chunks_plain as select id, title, heading, text from chunks where not is_rewritten",
    """create virtual table chunks_fts using fts5 (
        title, heading, text, content = 'chunks_plain', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """create virtual table chunks_rewritten using fts5 (
        title, heading, text, tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """create trigger chunks_plain_inserted after insert on chunks when not new.is_rewritten begin
        insert into chunks_fts (rowid, title, heading, text)
            values (new.id, new.title, new.heading, new.text);
    end""",
    """create trigger chunks_plain_deleted after delete on chunks when not old.is_rewritten begin
        insert into chunks_fts (chunks_fts, rowid, title, heading, text)
            values ('delete', old.id, old.title, old.heading, old.text);
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


def migrate(db: sqlite3.Connection) -> None:
    """Apply the migrations that are missing in the database, each in a transaction."""
    for number in range(schema_version(db) + 1, len(MIGRATIONS) + 1):
        db.execute("begin")
        try:
            MIGRATIONS[number - 1](db)
            db.execute(f"pragma user_version = {number}")
            db.commit()
        except BaseException:
            db.rollback()
            raise


def schema_version(db: sqlite3.Connection) -> int:
    """The number of migrations that were applied to a database; 0 for an empty one."""
    ((version,),) = db.execute("pragma user_version")
    return int(version)


def needs_migration(db: sqlite3.Connection, path: Path) -> bool:
    """Whether a migration is missing; StoreError for a schema that is too new."""
    version = schema_version(db)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} was made by a newer minisearch (its schema has version {version}): "
            f"upgrade with: pip install --upgrade minisearch"
        )
    return version < len(MIGRATIONS)


def refuse_foreign_database(db: sqlite3.Connection, path: Path) -> None:
    """IndexCorrupt for a database of another program, or one with triggers or views that are not ours.

    A trigger or view in a database from elsewhere can run anything when the database is written to.
    """
    tables = sorted(name for (name,) in db.execute("select name from sqlite_master where type = 'table'"))
    if not tables:
        return
    ((application_id,),) = db.execute("pragma application_id")
    if {"_sqlite_migrations", "meta", "documents"} <= set(tables):
        raise IndexCorrupt(
            f"{path} was made by an earlier version, which this one does not read: delete {path.name}* and "
            f"vectors-* in {path.parent} and run: minisearch index FOLDER"
        )
    if application_id != APPLICATION_ID:
        raise IndexCorrupt(
            f"{path} is no minisearch index (it has tables {', '.join(tables[:3])}): "
            f"choose another folder with --index"
        )
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
