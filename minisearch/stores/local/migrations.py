"""The tables, as a list of migrations: each runs once, in a transaction with the record of it.

A released migration never changes; a new column is a new ``m00N_`` function at the end.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from minisearch.stores.local import sums, words

if TYPE_CHECKING:
    from sqlite_utils import Database


def m001_create_tables(db: Database) -> None:
    """Documents, their chunks, vectors, full text and notes; files passed over; runs; the vector index."""
    for statement in _M001.split(";"):
        db.execute(statement)
    db.table("chunks").enable_fts(["text", "heading"], tokenize="porter unicode61", create_triggers=True)


# Ids are never used twice (AUTOINCREMENT), so "every chunk newer than the index" is "every greater id".
# Paths are bytes (os.fsencode): a file name need not be valid text.
_M001 = """
create table meta (
    key text primary key,
    value text not null
) without rowid;

create table documents (
    id integer primary key autoincrement,
    path blob not null unique,
    format text not null,
    title text not null,
    n_bytes integer not null,
    mtime_ns integer not null,
    ctime_ns integer not null,
    read_at_ns integer not null,
    sha256 blob not null,
    ingest text not null
);

create table chunks (
    id integer primary key autoincrement,
    document_id integer not null references documents (id) on delete cascade,
    start_char integer not null,
    end_char integer not null,
    start_byte integer not null,
    end_byte integer not null,
    line integer not null,
    end_line integer not null,
    heading text not null,
    text text not null,
    n_tokens integer not null,
    text_sha256 blob not null
);
create index chunks_document_id on chunks (document_id);
create index chunks_text_sha256 on chunks (text_sha256);

create table vectors (
    chunk_id integer primary key references chunks (id) on delete cascade,
    vector blob not null
);

create table notes (
    document_id integer not null references documents (id) on delete cascade,
    text text not null
);
create index notes_document_id on notes (document_id);

create table problems (
    path blob primary key,
    reason text not null
) without rowid;

create table runs (
    id integer primary key autoincrement,
    started_at text not null,
    finished_at text,
    outcome text not null,
    roots text not null,
    pid integer not null,
    counts text not null
);

create table bases (
    id integer primary key autoincrement,
    backend text not null,
    file text not null,
    generation integer not null,
    sha256 text not null,
    ids blob not null
)
"""


def m002_fields_and_columns(db: Database) -> None:
    """Language and fields of documents; places inside chunks; full text over titles, and in other scripts."""
    for statement in _M002_COLUMNS + M002_FULL_TEXT:
        db.execute(statement)
    rows = db.execute("select id, title, heading, text from chunks")
    for id_ in [id_ for id_, *texts in rows if not all(map(words.is_plain, texts))]:
        (texts,) = db.execute("select title, heading, text from chunks where id = ?", [id_])
        db.execute("update chunks set is_cjk = 1 where id = ?", [id_])
        db.execute(
            "insert into chunks_cjk (rowid, title, heading, text) values (?, ?, ?, ?)",
            [id_, *map(words.spaced, texts)],
        )
    db.execute("insert into chunks_fts (chunks_fts) values ('rebuild')")


_M002_COLUMNS = [
    "drop trigger chunks_ai",
    "drop trigger chunks_ad",
    "drop trigger chunks_au",
    "drop table chunks_fts",
    "alter table documents add column language text not null default ''",
    "alter table chunks add column title text not null default ''",
    "alter table chunks add column anchors text not null default ''",
    "alter table chunks add column is_cjk integer not null default 0",
    "update chunks set title = (select title from documents where id = document_id)",
    "create index chunks_is_cjk on chunks (is_cjk) where is_cjk",
    # Texts and names are bytes: a document may hold halves of characters, which are no text to SQLite.
    """create table fields (
        document_id integer not null references documents (id) on delete cascade,
        name blob not null,
        kind text not null,
        text blob,
        folded blob,
        number real
    )""",
    "create index fields_document_id on fields (document_id)",
    "create index fields_folded on fields (name, kind, folded)",
    "create index fields_number on fields (name, kind, number)",
]

# A chunk is in one of two tables. Most keep their words only, the texts being in `chunks`. Those with
# Chinese, Japanese or Korean, or with words that have another form, are few and rewritten (see words.py), so
# their table keeps what it was given.
# A chunk is put and deleted, never updated.
M002_FULL_TEXT = [
    "create view chunks_plain as select id, title, heading, text from chunks where not is_cjk",
    """create virtual table chunks_fts using fts5 (
        title, heading, text, content = 'chunks_plain', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """create virtual table chunks_cjk using fts5 (
        title, heading, text, tokenize = 'porter unicode61 remove_diacritics 2'
    )""",
    """create trigger chunks_plain_inserted after insert on chunks when not new.is_cjk begin
        insert into chunks_fts (rowid, title, heading, text)
            values (new.id, new.title, new.heading, new.text);
    end""",
    """create trigger chunks_plain_deleted after delete on chunks when not old.is_cjk begin
        insert into chunks_fts (chunks_fts, rowid, title, heading, text)
            values ('delete', old.id, old.title, old.heading, old.text);
    end""",
    """create trigger chunks_cjk_deleted after delete on chunks when old.is_cjk begin
        delete from chunks_cjk where rowid = old.id;
    end""",
]


def m003_pages_sums_and_undo(db: Database) -> None:
    """Pages; how much of a file was reached; checksums; files left out on purpose; what a change replaced."""
    db.conn.create_function("crc32", 1, zlib.crc32, deterministic=True)
    db.conn.create_function("row_crc32", -1, sums.row_crc32, deterministic=True)
    for statement in _M003_COLUMNS + M003_FULL_TEXT + _M003_UNDO:
        db.execute(statement)


_M003_COLUMNS = [
    "alter table documents add column n_characters integer not null default 0",
    "alter table documents add column n_bytes_reached integer not null default 0",
    "alter table documents add column keeps_secrets integer not null default 0",
    "alter table documents add column crc32 integer not null default 0",
    """update documents set crc32 = row_crc32(
        path, format, title, n_bytes, mtime_ns, ctime_ns, read_at_ns, sha256, ingest, language,
        n_characters, n_bytes_reached, keeps_secrets
    )""",
    "alter table fields add column crc32 integer not null default 0",
    """update fields set crc32 = row_crc32(
        (select path from documents where id = document_id), name, kind, text, folded, number
    )""",
    "alter table notes add column crc32 integer not null default 0",
    "update notes set crc32 = row_crc32((select path from documents where id = document_id), text)",
    # How a file stood when it was passed over, and what read it: null where that is not known.
    "alter table problems add column n_bytes integer",
    "alter table problems add column mtime_ns integer",
    "alter table problems add column ctime_ns integer",
    "alter table problems add column read_at_ns integer",
    "alter table problems add column ingest text",
    """create table left_out (
        path blob primary key,
        reason text not null
    ) without rowid""",
    "create table state (name text not null, sealed_before text not null, crc32 integer not null)",
    "alter table chunks add column page integer",
    "alter table chunks add column crc32 integer not null default 0",
    """update chunks set crc32 = row_crc32(
        (select path from documents where id = document_id),
        line, end_line, page, heading, text, title, anchors
    )""",
    "alter table vectors add column crc32 integer not null default 0",
    "update vectors set crc32 = crc32(vector)",
]

# What was named after Chinese, Japanese and Korean holds every chunk whose words are rewritten.
M003_FULL_TEXT = [
    "drop trigger chunks_plain_inserted",
    "drop trigger chunks_plain_deleted",
    "drop trigger chunks_cjk_deleted",
    "drop view chunks_plain",
    "drop index chunks_is_cjk",
    "alter table chunks rename column is_cjk to is_rewritten",
    "alter table chunks_cjk rename to chunks_rewritten",
    "create index chunks_is_rewritten on chunks (is_rewritten) where is_rewritten",
    "create view chunks_plain as select id, title, heading, text from chunks where not is_rewritten",
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

# Every path that a change touched, as it was before, under the change's number. Of a path that held no
# document there is the row alone, without a format. None refers to another by a foreign key: SQLite empties a
# table without one at once, any other row by row.
_M003_UNDO = [
    """create table undo_documents (
        id integer primary key,
        change integer not null,
        path blob not null,
        format text,
        title text,
        n_bytes integer,
        mtime_ns integer,
        ctime_ns integer,
        read_at_ns integer,
        sha256 blob,
        ingest text,
        language text,
        n_characters integer,
        n_bytes_reached integer,
        keeps_secrets integer,
        crc32 integer,
        unique (change, path)
    )""",
    """create table undo_chunks (
        id integer primary key,
        undo_id integer not null,
        start_char integer not null,
        end_char integer not null,
        start_byte integer not null,
        end_byte integer not null,
        line integer not null,
        end_line integer not null,
        page integer,
        n_tokens integer not null,
        text_sha256 blob not null,
        crc32 integer not null,
        is_rewritten integer not null,
        title text not null,
        heading text not null,
        text text not null,
        anchors text not null,
        vector_crc32 integer not null,
        vector blob not null
    )""",
    "create index undo_chunks_undo_id on undo_chunks (undo_id)",
    "create index undo_chunks_text_sha256 on undo_chunks (text_sha256)",
    """create table undo_fields (
        undo_id integer not null,
        name blob not null,
        kind text not null,
        text blob,
        folded blob,
        number real,
        crc32 integer not null
    )""",
    "create index undo_fields_undo_id on undo_fields (undo_id)",
    """create table undo_notes (
        undo_id integer not null,
        text text not null,
        crc32 integer not null
    )""",
    "create index undo_notes_undo_id on undo_notes (undo_id)",
    """create table undo_meta (
        change integer not null,
        key text not null,
        value text not null,
        primary key (change, key)
    ) without rowid""",
]


def m004_former_vectors(db: Database) -> None:
    """Vectors of texts that the index held formerly; which of what a change replaced a user has removed."""
    for statement in _M004:
        db.execute(statement)


# The greater the id, the later its text was in use. The digest is all that is kept of a text.
_M004 = [
    """create table former_vectors (
        id integer primary key,
        text_sha256 blob not null unique,
        keeps_secrets integer not null,
        crc32 integer not null,
        vector blob not null
    )""",
    "create index former_vectors_keeps_secrets on former_vectors (keeps_secrets) where keeps_secrets",
    "alter table undo_documents add column is_removed integer not null default 0",
]

STEPS = [m001_create_tables, m002_fields_and_columns, m003_pages_sums_and_undo, m004_former_vectors]
