"""The tables, as a list of migrations: each runs once, in a transaction with the record of it.

A released migration never changes; a new column is a new ``m00N_`` function at the end.  Which of them a
database has had is read without sqlite-utils, which makes them.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

MIGRATION_SET = "minisearch"
MIGRATIONS_TABLE = "_sqlite_migrations"  # sqlite-utils' name for it


def applied(db: sqlite3.Connection) -> list[str]:
    """The migrations that a database has had, in their order."""
    if not db.execute("select 1 from sqlite_master where name = ?", [MIGRATIONS_TABLE]).fetchone():
        return []
    rows = db.execute(
        f"select name from {MIGRATIONS_TABLE} where migration_set = ? order by rowid",  # noqa: S608 - ours
        [MIGRATION_SET],
    )
    return [name for (name,) in rows]


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

STEPS = [m001_create_tables]
