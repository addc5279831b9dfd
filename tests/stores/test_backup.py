"""A copy taken while others write can be made an index again; a check finds what was damaged on purpose."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from minisearch.errors import IndexCorrupt, IndexNotWritable, InputError, StoreError
from minisearch.filters import Contains
from minisearch.stores.local import LocalStore, backup, integrity, restore
from minisearch.stores.local.seal import read_seal
from tests.stores.store_cases import as_put, assert_sound, contents, lexical, make_earlier_database, put, sql
from tests.stores.test_undo import everything, put_rich


@pytest.fixture
def filled(path):
    with LocalStore(path, writable=True) as store:
        put_rich(store, "a.md", ["kelp", "東京の天気", "moth"], title="計画", notes=["cut"])
        put_rich(store, "b.md", ["once"])
        put_rich(store, "b.md", ["formerly"])
        put_rich(store, "b.md", ["lava"], notes=["cut"])
    with LocalStore(path, writable=True) as store:
        put_rich(store, "b.md", ["lava again"], notes=["cut again"])
    return path


def read_everything_in(path):
    with LocalStore(path) as store:
        return everything(store)


# --- check -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_database_has_no_problems(filled, writable, deep):
    before = filled.read_bytes()
    with LocalStore(filled, writable=writable) as store:
        assert store.check(deep=deep) == []
    assert filled.read_bytes() == before


def test_an_empty_database_has_no_problems(store):
    assert store.check(deep=True) == []


@pytest.mark.parametrize(
    ("damage", "problem", "is_deep"),
    [
        (
            "update vectors set vector = zeroblob(32) where chunk_id = 1",
            "the vector of chunk 1 is not",
            False,
        ),
        ("update vectors set vector = 'text' where chunk_id = 1", "the vector of chunk 1 is not", False),
        (
            "update vectors set vector = zeroblob(4) where chunk_id = 1",
            "of different lengths: 4 bytes, 32",
            False,
        ),
        ("delete from vectors where chunk_id = 2", "chunk 2 has no vector", False),
        ("update chunks set text = 'x' where id = 3", "the text of chunk 3 is not what was stored", False),
        ("update documents set path = 'c.md' where id = 1", "the text of chunk 1 is not", False),
        ("update documents set sha256 = x'00' where id = 1", "the record of document 1 is not", False),
        ("update documents set n_bytes_reached = 7 where id = 2", "the record of document 2 is not", False),
        ("update fields set text = 'x' where document_id = 2", "a field of document 2 is not", False),
        ("update fields set folded = 'x' where document_id = 2", "a field of document 2 is not", False),
        ("update fields set number = 7.0 where document_id = 1", "a field of document 1 is not", False),
        ("update fields set document_id = 1", "a field of document 1 is not", False),
        ("update notes set text = 'x'", "a note of document 1 is not", False),
        ("update undo_documents set title = 'x'", "the record of kept document 3 is not", False),
        ("update undo_fields set name = x'00'", "a field of kept document 3 is not", False),
        ("update undo_notes set text = 'x'", "a note of kept document 3 is not", False),
        ("update undo_chunks set text = 'x'", "the text of kept chunk 1 is not what was stored", False),
        ("update undo_chunks set vector = zeroblob(32)", "the vector of kept chunk 1 is not", False),
        ("update former_vectors set vector = zeroblob(32)", "the vector of former text 1 is not", False),
        ("update former_vectors set vector = x'00'", "of different lengths: 1 bytes, 32", False),
        ("delete from undo_documents", "a row of undo_chunks belongs to one of undo_documents", False),
        ("delete from documents where id = 2", "a row of chunks belongs to one of documents", False),
        (
            "insert into chunks_fts(chunks_fts) values ('delete-all')",
            "the full text in chunks_fts is not",
            True,
        ),
        ("delete from chunks_rewritten", "passages have words in chunks_rewritten", True),
        ("update chunks_rewritten_content set c2 = 'x'", "the full text in chunks_rewritten is not", True),
    ],
)
def test_a_check_finds_what_was_damaged(filled, damage, problem, is_deep):
    sql(filled, damage)
    with LocalStore(filled) as store:
        assert any(problem in found for found in store.check(deep=True))
        assert any(problem in found for found in store.check()) != is_deep


def test_a_check_finds_words_that_cannot_be_looked_up(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", " ".join(f"w{n}" for n in range(1_000)))
        assert store.check(deep=True) == []
        assert len(lexical(store, "w999", 3)) == 1
    sql(path, "delete from chunks_fts_idx")
    sql(path, "insert into chunks_fts (chunks_fts, rank) values ('integrity-check', 1)")  # finds nothing
    with LocalStore(path) as store:
        assert len(lexical(store, "w999", 3)) == 0
        (problem,) = store.check(deep=True)
    assert problem.startswith("the full text in chunks_fts is not that of the passages (it does not find 'w")
    with pytest.raises(IndexCorrupt, match="does not find"), LocalStore(path, writable=True) as store:
        put(store, "b.md", "w7")
    assert not path.with_name(f"{path.name}.seal").exists()


def test_a_check_of_a_database_whose_pages_are_damaged_says_so(filled):
    with closing(sqlite3.connect(filled)) as db:
        ((root,),) = db.execute("select rootpage from sqlite_master where name = 'chunks'").fetchall()
    filled.with_name("minisearch.db.seal").unlink()
    data = bytearray(filled.read_bytes())
    data[4096 * (root - 1) + 3 : 4096 * (root - 1) + 60] = b"\xff" * 57
    filled.write_bytes(data)
    with LocalStore(filled) as store:
        assert store.check() != []


# --- backup and restore ----------------------------------------------------------------------------


def test_a_backup_restored_is_the_same_index(filled, tmp_path):
    copy, restored = tmp_path / "copy", tmp_path / "new" / "minisearch.db"
    restored.parent.mkdir()
    with LocalStore(filled) as store:
        expected, meta, generation = everything(store), store.meta(), store.generation
        store.backup(copy)
    assert not {path.name for path in tmp_path.iterdir()} - {*os.listdir(filled.parent), "copy", "new"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    restore(copy, restored)
    assert {path.name for path in restored.parent.iterdir()} == {"minisearch.db", "minisearch.db.seal"}
    assert read_seal(restored).n_bytes == restored.stat().st_size
    with LocalStore(restored) as store:
        assert (everything(store), store.meta(), store.generation) == (expected, meta, generation)
        assert lexical(store, "東京", 3).ids.tolist() == [2]
        assert store.select(Contains("kelp")).tolist() == [1]
    with LocalStore(restored, writable=True) as store:
        store.roll_back()
        assert contents(store)["b.md"] == as_put("lava")
    assert_sound(restored)


def test_a_backup_is_of_one_moment_while_a_writer_goes_on(path, tmp_path):
    stop, n_backups = threading.Event(), 5

    def write():
        with LocalStore(path, writable=True) as store:
            n = 0
            while not stop.is_set() or n < 20:
                with store.snapshot():  # both or none
                    put(store, "a.md", f"{n}", "x" * 3_000)
                    put(store, "b.md", f"{n}")
                n += 1

    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "0", "x")
        put(store, "b.md", "0")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(n_backups):
            with LocalStore(path) as store:
                store.backup(tmp_path / f"copy {n}")
    finally:
        stop.set()
        writer.join()
    for n in range(n_backups):
        with LocalStore(tmp_path / f"copy {n}") as store:
            found = contents(store)
            assert found["a.md"][0] == found["b.md"][0]


def test_a_backup_replaces_nothing(filled, tmp_path):
    for name in ("file", "folder", "link"):
        target = tmp_path / name
        if name == "file":
            target.write_text("mine")
        elif name == "folder":
            target.mkdir()
        else:
            target.symlink_to("nowhere")
        with (
            LocalStore(filled) as store,
            pytest.raises(InputError, match=f"{target} exists, and a new backup replaces"),
        ):
            store.backup(target)
    assert (tmp_path / "file").read_text() == "mine"
    with LocalStore(filled) as store, pytest.raises(InputError, match="there is no folder"):
        store.backup(tmp_path / "nowhere" / "copy")
    with pytest.raises(InputError, match=f"{filled} exists, and a new index replaces nothing"):
        restore(filled, filled)


def test_what_came_to_be_at_the_path_meanwhile_is_not_replaced(filled, tmp_path, monkeypatch):
    def sync_late(path):
        (tmp_path / "copy").write_bytes(b"mine")

    monkeypatch.setattr(backup, "sync", sync_late)
    with LocalStore(filled) as store, pytest.raises(InputError, match="replaces nothing"):
        store.backup(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"mine"
    assert not list(tmp_path.glob("copy.*"))


def test_a_check_that_has_no_room_finds_no_damage(filled, monkeypatch):
    """It names SQLite's temporary folder, which need not be on the disk of the index."""

    def find_no_room(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(integrity, "_fts5_problem", find_no_room)
    with (
        LocalStore(filled) as store,
        pytest.raises(IndexNotWritable, match=r"temporary files.*SQLITE_TMPDIR"),
    ):
        store.check(deep=True)


def test_a_backup_that_finds_no_room_leaves_nothing(filled, tmp_path, monkeypatch):
    before = set(tmp_path.iterdir())
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(backup, "sync", lambda _: (_ for _ in ()).throw(full))
    message = rf"cannot write the backup {tmp_path / 'copy'} \(.*No space left.*[\d,]+ bytes free"
    with LocalStore(filled) as store, pytest.raises(IndexNotWritable, match=message):
        store.backup(tmp_path / "copy")
    assert set(tmp_path.iterdir()) - before <= {tmp_path / f"minisearch.db{end}" for end in ("-wal", "-shm")}


@pytest.mark.parametrize(
    "damage",
    [
        "update vectors set vector = zeroblob(32) where chunk_id = 1",
        "insert into chunks_fts(chunks_fts) values ('delete-all')",
    ],
)
def test_a_damaged_backup_is_refused_and_leaves_nothing(filled, tmp_path, damage):
    with LocalStore(filled) as store:
        store.backup(tmp_path / "copy")
    sql(tmp_path / "copy", damage)
    (tmp_path / "new").mkdir()
    with pytest.raises(IndexCorrupt, match=rf"{tmp_path / 'copy'} is damaged"):
        restore(tmp_path / "copy", tmp_path / "new" / "minisearch.db")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("content", [b"# Notes\n" * 700, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_file_that_is_no_backup_is_refused(tmp_path, content):
    (tmp_path / "notes").write_bytes(content)
    with pytest.raises(IndexCorrupt, match=re.escape(str(tmp_path / "notes"))):
        restore(tmp_path / "notes", tmp_path / "minisearch.db")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
    with pytest.raises(InputError, match="there is no backup at"):
        restore(tmp_path / "nothing", tmp_path / "minisearch.db")


def test_a_backup_of_an_earlier_schema_is_refused(tmp_path):
    make_earlier_database(tmp_path / "copy")
    with pytest.raises(StoreError, match="copy is a backup made by an earlier version"):
        restore(tmp_path / "copy", tmp_path / "minisearch.db")
    assert not (tmp_path / "minisearch.db").exists()
