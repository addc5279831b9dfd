"""Small documents to store, and ways to look at a store from outside."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import numpy as np

from minisearch.search.ranking import lexical_query
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.types import Chunk

DIMENSION = 8
STAMP = FileStamp(n_bytes=12, mtime_ns=1_700_000_000_000_000_001, ctime_ns=2, read_at_ns=3)


def a_document(path, *, title="", stamp=STAMP, sha256=b"\0" * 32):
    return StoredDocument(path, "markdown", title, stamp, sha256, "ingest-1")


def a_chunk(text, heading=""):
    return Chunk(0, len(text), text, 0, len(text.encode()), 1, 1, heading, 3)


def vectors_of(texts, dimension=DIMENSION):
    """Unit vectors, (n, dimension); equal texts have equal ones."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=dimension) for text in texts]
    rows = np.array(rows, np.float32).reshape(len(texts), dimension)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def put(store, path, *texts, title=""):
    store.put(a_document(path, title=title), [a_chunk(text) for text in texts], vectors_of(texts))


def lexical(store, text, k, **options):
    """The chunks that hold words of a text best, ranked as a search does."""
    with store.snapshot():
        query = lexical_query(text, store)
        return store.lexical(query, k, **options)


def contents(store):
    """What a store holds, by path: each chunk's text and the bytes of its vector, in the order of ids."""
    ids, vectors = store.all_vectors(DIMENSION)
    chunks = store.chunks(ids.tolist())
    assert ids.tolist() == store.chunk_ids().tolist() == sorted(chunks)
    held = {path: [] for path in store.documents()}
    for id_, vector in zip(ids.tolist(), vectors, strict=True):
        held[chunks[id_].path].append((chunks[id_].text, vector.tobytes()))
    return held


def as_put(*texts):
    """What ``contents`` shows of a document with these texts."""
    return [(text, vector.tobytes()) for text, vector in zip(texts, vectors_of(texts), strict=True)]


def sql(path, statement, values=()):
    """Rows of a statement, by a connection of its own that knows nothing of the store's, nor of its seal."""
    if not statement.startswith(("select", "pragma", "explain")):
        path.with_name(f"{path.name}.seal").unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def assert_sound(path):
    """SQLite finds nothing wrong, every chunk has its vector, the full text is that of the chunks."""
    assert sql(path, "pragma integrity_check") == [("ok",)]
    assert sql(path, "pragma foreign_key_check") == []
    assert sql(path, "select id from chunks except select chunk_id from vectors") == []
    assert (
        sql(path, "select id from chunks where is_rewritten except select rowid from chunks_rewritten") == []
    )
    assert (
        sql(path, "select rowid from chunks_rewritten except select id from chunks where is_rewritten") == []
    )
    for table in ("chunks_fts", "chunks_rewritten"):
        sql(path, f"insert into {table} ({table}, rank) values ('integrity-check', 1)")


def make_earlier_database(path, roots="[]"):
    """A database with the schema of versions before the first release, as far as it is looked at."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """create table _sqlite_migrations
                (id integer primary key, migration_set text, name text, applied_at text);
            insert into _sqlite_migrations (migration_set, name) values ('minisearch', 'm001_create_tables');
            insert into _sqlite_migrations (migration_set, name)
                values ('minisearch', 'm002_fields_and_columns');
            create table meta (key text primary key, value text not null) without rowid;
            create table documents (id integer primary key, path blob);
            create trigger chunks_ai after insert on documents begin select 1; end;"""
        )
        db.execute("insert into meta values ('roots', ?)", [roots])
        db.commit()
