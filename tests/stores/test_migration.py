"""A database of an earlier version is brought up to date by the next write, with all that it holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from minisearch.errors import StoreError
from minisearch.filters import Contains, Extension
from minisearch.stores.local import Store, migrate, migrations, words
from minisearch.stores.local.chunks import text_sha256
from minisearch.types import Skipped
from tests.stores.store_cases import as_put, assert_sound, contents, put, sql, vectors_of

TEXTS = ["kelp and lava", "東京の天気", "retries"]


@pytest.fixture(params=range(1, len(migrations.STEPS)))
def earlier(path, monkeypatch, request):
    """A database that an earlier version made or wrote to, with two documents and the traces of a third."""
    fill_first_version(path, monkeypatch)
    with monkeypatch.context() as patch, closing(sqlite3.connect(path)) as db:
        patch.setattr(migrate, "STEPS", migrations.STEPS[: request.param])
        migrate.migrate(db)
    return path


def fill_first_version(path, monkeypatch):
    with monkeypatch.context() as patch, closing(sqlite3.connect(path)) as db:
        patch.setattr(migrate, "STEPS", migrations.STEPS[:1])
        migrate.migrate(db)
        db.execute("insert into meta values ('generation', '7'), ('dimension', '8')")
        for id_, name in ((2, b"a.md"), (5, b"\xff.md")):
            db.execute(
                "insert into documents values (?, ?, 'markdown', 'Retry 計画', 1, 2, 3, 4, x'00', 'cut')",
                [id_, name],
            )
            for text, vector in zip(TEXTS, vectors_of(TEXTS), strict=True):
                (chunk_id,) = db.execute(
                    "insert into chunks (document_id, start_char, end_char, start_byte, end_byte, line, "
                    "end_line, heading, text, n_tokens, text_sha256) "
                    "values (?, 0, 1, 0, 1, 3, 4, 'Top > Part', ?, 5, ?) "
                    "returning id",
                    [id_, text, text_sha256(text)],
                ).fetchone()
                db.execute("insert into vectors values (?, ?)", [chunk_id, vector.tobytes()])
        db.execute("update sqlite_sequence set seq = 90 where name = 'chunks'")
        db.execute("update documents set title = 'Plain' where id = 5")
        db.execute("insert into problems values (x'61', 'unreadable')")
        db.commit()


def test_reading_it_asks_for_indexing_and_changes_nothing(earlier):
    before = earlier.read_bytes()
    with pytest.raises(StoreError, match="older version: run minisearch index again"):
        Store(earlier)
    assert earlier.read_bytes() == before


def test_writing_keeps_documents_chunks_and_vectors(earlier):
    with Store(earlier, writable=True) as store:
        assert contents(store) == {"a.md": as_put(*TEXTS), "\udcff.md": as_put(*TEXTS)}
        assert store.generation == 7
        assert store.journal.problems() == [Skipped("a", "unreadable")]
        assert (store.journal.problem_stamps(), store.journal.left_out()) == ({}, [])
        document = store.documents()["a.md"]
        assert (document.id, document.ingest, document.language, document.fields) == (2, "cut", "", {})
        chunk = store.chunks([4])[4]
        assert (chunk.title, chunk.heading, chunk.line, chunk.anchors) == ("Plain", "Top > Part", 3, ())
        assert (chunk.page, document.n_characters, document.n_bytes_reached) == (None, 0, 0)
        assert_sound(earlier)
        put(store, "b.md", "new")
        assert store.chunk_ids().tolist()[-1] == 91  # no id is used twice
    with Store(earlier) as reader:
        assert reader.counts() == (3, 7)
    assert_sound(earlier)


def test_what_it_held_is_in_the_full_text_of_now(earlier):
    with Store(earlier, writable=True) as store:
        assert store.lexical("天気", 5).ids.tolist() == [5, 2]  # under the shorter title, in fewer words
        assert store.select(Contains("retry")).tolist() == [1, 2, 3, 6]
        assert store.select(Contains("計画")).tolist() == [1, 2, 3]
        assert store.select(Contains("plain") & Extension("md")).tolist() == [4, 5, 6]
        store.remove([2, 5])
    assert_sound(earlier)
    for table in ("chunks_fts", "chunks_rewritten"):
        sql(earlier, f"create virtual table {table}_words using fts5vocab('{table}', 'row')")
        assert sql(earlier, f"select term from {table}_words") == []


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(path, monkeypatch):
    def fail(text):
        raise RuntimeError("power cut")

    earlier = path
    fill_first_version(earlier, monkeypatch)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(words, "spaced", fail)
        Store(earlier, writable=True)
    assert [name for (name,) in sql(earlier, "select name from _sqlite_migrations")] == ["m001_create_tables"]
    assert sql(earlier, "select rowid from chunks_fts where chunks_fts match 'retry'") == [(3,), (6,)]
    with Store(earlier, writable=True) as store:
        assert len(store.lexical("retry", 9)) == 4
    assert_sound(earlier)


def test_known_vectors_are_still_known(earlier):
    with Store(earlier, writable=True) as store:
        known = store.known_vectors(["retries", "other"])
    assert list(known) == ["retries"]
    assert np.array_equal(known["retries"], vectors_of(["retries"])[0])
