"""A fresh database has exactly one known schema; an older or newer one is refused and left unchanged."""

from __future__ import annotations

import hashlib
import json
import shlex

import pytest

from minisearch.errors import StoreError
from minisearch.stores.local import LocalStore, schema
from tests.stores.store_cases import make_earlier_database, put, sql

TABLES = {
    *("meta", "documents", "chunks", "vectors", "fields", "notes", "problems", "left_out", "runs"),
    *("bases", "removed_from_base", "chunks_fts", "chunks_rewritten", "counters"),
    *("undo_documents", "undo_chunks", "undo_fields", "undo_notes", "undo_meta", "former_vectors"),
    *("_sqlite_migrations", "sqlite_sequence"),
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
    ("index", "idx__sqlite_migrations_migration_set_name"),
}

# Of every statement of ours in sqlite_master. If this fails, a migration was changed. After the first
# release, add a new one instead.
SCHEMA_SHA256 = "0cab0993c2b3412dfb8254b600c5f5c1ce66b29964d9afe006cb6e41ba8c9817"


def test_a_fresh_database_has_exactly_this_schema(path):
    LocalStore(path, writable=True).close()
    found = sql(path, "select type, name, sql from sqlite_master where name not like 'sqlite_autoindex%'")
    assert {name for type_, name, _ in found if type_ == "table"} == TABLES
    assert {(type_, name) for type_, name, _ in found if type_ != "table"} == OTHERS
    shadow = {name for name in TABLES if name.startswith(("chunks_fts_", "chunks_rewritten_"))}
    ours = [text for _, name, text in found if "sqlite_" not in name and name not in shadow]
    assert (
        hashlib.sha256("\n".join(sorted(" ".join(text.split()) for text in ours)).encode()).hexdigest()
        == SCHEMA_SHA256
    )
    applied = sql(path, "select migration_set, name from _sqlite_migrations")
    assert applied == [("minisearch", step.__name__) for step in schema.MIGRATIONS]


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
def test_an_earlier_schema_is_refused_with_the_command_that_makes_it_again(tmp_path, writable):
    path = tmp_path / "a project" / ".minisearch" / "minisearch.db"
    path.parent.mkdir(parents=True)
    make_earlier_database(path, json.dumps(["docs", "/elsewhere/more docs"]))
    before = path.read_bytes()
    command = (
        f"rm -f {shlex.quote(str(path))}* && minisearch index --index {shlex.quote(str(path.parent))} "
        f"{shlex.quote(str(tmp_path / 'a project' / 'docs'))} '/elsewhere/more docs'"
    )
    with pytest.raises(StoreError) as refused:
        LocalStore(path, writable=writable)
    assert str(refused.value).endswith(
        f"by an earlier version, which this one does not read: make it again with: {command}"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("roots", ["[]", "no JSON", "{}", "7", "null"])
def test_an_earlier_schema_without_known_folders_is_refused_too(path, roots):
    make_earlier_database(path, roots)
    with pytest.raises(StoreError, match=r"minisearch index --index \S+ FOLDER$"):
        LocalStore(path)
