"""A fresh database has exactly one known schema; an older or newer one is refused and left unchanged."""

from __future__ import annotations

import hashlib

import pytest

from minisearch.errors import StoreError
from minisearch.stores.local import LocalStore, schema
from tests.stores.store_cases import make_earlier_database, put, sql

TABLES = {
    *("meta", "documents", "chunks", "vectors", "fields", "notes", "problems", "left_out", "runs"),
    *("bases", "removed_from_base", "chunks_fts", "chunks_rewritten", "counters"),
    *("undo_documents", "undo_chunks", "undo_fields", "undo_notes", "undo_meta", "former_vectors"),
    "sqlite_sequence",
    *(f"chunks_fts_{part}" for part in ("config", "data", "docsize", "idx")),
    *(f"chunks_rewritten_{part}" for part in ("config", "content", "data", "docsize", "idx")),
}
OTHERS = {
    ("view", "chunks_plain"),
    *(
        ("trigger", f"{table}_{what}")
        for table in ("documents", "chunks")
        for what in ("inserted", "deleted")
    ),
    *(("trigger", f"chunks_plain_{what}") for what in ("inserted", "deleted")),
    ("trigger", "chunks_rewritten_deleted"),
    ("trigger", "chunks_deleted_from_base"),
    *(("index", f"chunks_{column}") for column in ("document_id", "text_sha256", "is_rewritten")),
    *(("index", f"fields_{column}") for column in ("document_id", "folded", "number")),
    ("index", "notes_document_id"),
    *(("index", f"undo_{table}_undo_id") for table in ("chunks", "fields", "notes")),
    ("index", "undo_chunks_text_sha256"),
    ("index", "former_vectors_keeps_secrets"),
}

# Of every statement of ours in sqlite_master. If this fails, a migration was changed. After the first
# release, add a new one instead.
M001_SHA256 = "ff9e04a75f0a667001c30740b5a78318e02bdb495dfc9870bf5a62fc346c11ba"


def test_a_fresh_database_has_exactly_this_schema(path):
    LocalStore(path, writable=True).close()
    found = sql(path, "select type, name, sql from sqlite_master where name not like 'sqlite_autoindex%'")
    assert {name for type_, name, _ in found if type_ == "table"} == TABLES
    assert {(type_, name) for type_, name, _ in found if type_ != "table"} == OTHERS
    shadow = {name for name in TABLES if name.startswith(("chunks_fts_", "chunks_rewritten_"))}
    ours = [text for _, name, text in found if "sqlite_" not in name and name not in shadow]
    assert (
        hashlib.sha256("\n".join(sorted(" ".join(text.split()) for text in ours)).encode()).hexdigest()
        == M001_SHA256
    )
    assert sql(path, "pragma user_version") == [(len(schema.MIGRATIONS),)]
    assert sql(path, "pragma application_id") == [(schema.APPLICATION_ID,)]


def test_a_new_migration_is_applied_once(path, monkeypatch):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "kelp")

    def m002_colours(db):
        db.execute("alter table notes add column colour text")

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, m002_colours])
    with pytest.raises(StoreError, match="an earlier version: run minisearch index again"):
        LocalStore(path)
    for _ in range(2):
        with LocalStore(path, writable=True) as store:
            assert store.counts() == (1, 1)
    assert len(sql(path, "select colour from notes")) == 0


def test_a_migration_that_fails_leaves_the_database_unchanged(path, monkeypatch):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "kelp")

    def m002_fails(db):
        db.execute("alter table notes add column colour text")
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, m002_fails])
        LocalStore(path, writable=True)
    assert "colour" not in str(sql(path, "select sql from sqlite_master"))
    with LocalStore(path) as store:
        assert store.counts() == (1, 1)


@pytest.mark.parametrize("writable", [False, True])
def test_an_earlier_schema_is_refused_with_what_to_do(path, writable):
    make_earlier_database(path)
    before = path.read_bytes()
    cure = rf"delete minisearch.db\* and vectors-\* in {path.parent} and run: minisearch index FOLDER$"
    with pytest.raises(StoreError, match=f"by an earlier version, which this one does not read: {cure}"):
        LocalStore(path, writable=writable)
    assert path.read_bytes() == before
