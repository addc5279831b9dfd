"""Databases that are not what they should be, disks that are full, others at work: an error with a name."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from minisearch.errors import IndexBusy, IndexCorrupt, IndexNotWritable, StoreError
from minisearch.stores.local import LocalStore, connection, files, sqlite
from minisearch.stores.local.files import writer_lock
from minisearch.stores.local.seal import seal_path
from tests.stores.store_cases import as_put, assert_sound, contents, put, sql

CHECKOUT = Path(__file__).parents[2]
OWN_FILES = {"minisearch.db", "minisearch.db-wal", "minisearch.db-shm", "minisearch.db.seal"}


@pytest.fixture
def filled(path):
    """A closed database that holds two documents."""
    fill(path)
    return path


def fill(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", *(f"kelp {i}" for i in range(30)))
        put(store, "b.md", "lava", "x" * 9_000)


def filled_contents():
    return {"a.md": as_put(*(f"kelp {i}" for i in range(30))), "b.md": as_put("lava", "x" * 9_000)}


def read_everything(path):
    with LocalStore(path) as store, store.snapshot():
        store.meta(), store.counts(), store.generation, store.index.base()
        store.journal.last_run(), store.journal.skipped(), store.notes()
        store.known_vectors(["lava", "kelp 3"])
        return contents(store)


def named(path, cure):
    """A pattern for a message that names the file and ends in the cure."""
    return rf"(?s:.*{re.escape(str(path))}.*{cure})"


def python(program, *arguments, **options):
    """A Python of its own, running ``program``."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


# --- files that are not our database ---------------------------------------------------------------


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize(
    "content", [b"# Notes\n" * 700, b"xy", b"SQLite format 3\0" + b"\xff" * 5_000, bytes(range(256)) * 16]
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path, content, writable):
    path.write_bytes(content)
    with pytest.raises(IndexCorrupt, match=named(path, "index again")):
        LocalStore(path, writable=writable)
    assert path.read_bytes() == content


@pytest.mark.parametrize("writable", [False, True])
def test_a_folder_in_the_place_of_the_database_is_refused(path, writable):
    path.mkdir()
    with pytest.raises(IndexNotWritable, match=named(path, "choose another folder with --index")):
        LocalStore(path, writable=writable)


def test_a_database_that_is_not_there_is_not_made_by_reading(path):
    with pytest.raises(StoreError, match=named(path, "choose another folder with --index")):
        LocalStore(path)
    assert list(path.parent.iterdir()) == []


def test_an_empty_file_asks_for_indexing_and_can_be_filled(path):
    path.touch()
    with pytest.raises(StoreError, match=named(path, "is empty.* run minisearch index again")):
        LocalStore(path)
    assert path.read_bytes() == b""
    fill(path)
    assert read_everything(path) == filled_contents()


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize(
    "schema",
    [
        "create table recipes (title text)",
        "create table documents (id integer primary key, body text)",
        "create table _sqlite_migrations (id integer primary key, migration_set text, name text, applied_at);"
        "insert into _sqlite_migrations (migration_set, name) values ('llm', 'm001_initial');"
        "create table logs (id integer)",
        "create table _sqlite_migrations (oven integer); create table pans (id)",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_as_it_is(path, schema, writable):
    with closing(sqlite3.connect(path)) as theirs:
        theirs.executescript(schema)
    before = path.read_bytes()
    with pytest.raises(IndexCorrupt, match=named(path, "is no minisearch index .* with --index")):
        LocalStore(path, writable=writable)
    assert path.read_bytes() == before


@pytest.mark.parametrize("writable", [False, True])
def test_a_schema_from_the_future_is_refused_and_left_as_it_is(filled, writable):
    seal_path(filled).unlink()
    sql(
        filled,
        "insert into _sqlite_migrations (migration_set, name, applied_at) "
        "values ('minisearch', 'm999_telepathy', 'tomorrow')",
    )
    sql(filled, "pragma wal_checkpoint(truncate)")
    before = filled.read_bytes()
    with pytest.raises(
        StoreError, match=named(filled, r"m999_telepathy.*pip install --upgrade minisearch-local")
    ):
        LocalStore(filled, writable=writable)
    assert filled.read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_database_that_is_refused_is_closed_again(path):
    for content in (b"no database" * 500, b""):
        path.write_bytes(content)
        with pytest.raises(StoreError):
            LocalStore(path)
    path.unlink()
    sql(path, "create table recipes (title text)")
    for writable in (False, True):
        with pytest.raises(IndexCorrupt):
            LocalStore(path, writable=writable)
    assert str(path) not in {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}


# --- damage ----------------------------------------------------------------------------------------


def test_a_database_cut_short_is_refused(filled):
    whole = filled.read_bytes()
    # One byte is nothing to SQLite: a file of that length counts as empty, as one of none does.
    for n_bytes in [*range(2, len(whole) - 4096, 7_001), len(whole) - 4096]:
        filled.write_bytes(whole[:n_bytes])
        with pytest.raises(IndexCorrupt, match=named(filled, "restore it from a backup, or delete")):
            read_everything(filled)
        assert filled.read_bytes() == whole[:n_bytes]
    filled.write_bytes(whole)
    assert read_everything(filled) == filled_contents()


def test_a_page_of_zeros_is_an_error_with_a_name_and_harms_nothing_else(filled):
    whole = filled.read_bytes()
    n_pages, n_refused = len(whole) // 4096, 0
    for page in range(n_pages):
        damaged = whole[: 4096 * page] + bytes(4096) + whole[4096 * (page + 1) :]
        filled.write_bytes(damaged)
        try:
            read_everything(filled)
        except IndexCorrupt as error:
            n_refused += 1
            assert re.search(named(filled, "index again"), str(error))
        assert filled.read_bytes() == damaged
        with contextlib.suppress(IndexCorrupt), LocalStore(filled, writable=True) as store:
            put(store, "a.md", "new")
            put(store, "c.md", "new")
            store.remove([store.documents()["b.md"].id])
        for name in OWN_FILES:
            filled.with_name(name).unlink(missing_ok=True)
    assert n_refused > n_pages // 3  # the others hold full text or indexes, which this reading never needs
    filled.write_bytes(whole)
    assert read_everything(filled) == filled_contents()
    assert_sound(filled)


@pytest.mark.parametrize("vector", [b"", b"\0" * 4, b"\0" * 31, b"\0" * 64, None, 7, "text" * 8])
def test_a_vector_of_another_length_is_damage_and_not_a_number(filled, vector):
    sql(filled, "drop table vectors")
    sql(filled, "create table vectors (chunk_id integer primary key, vector, crc32)")
    sql(filled, "insert into vectors values (3, ?, 0)", [vector])
    with pytest.raises(
        IndexCorrupt, match=named(filled, r"chunk 3 has no vector of 8 numbers.* index again")
    ):
        read_everything(filled)


@pytest.mark.parametrize(
    ("vector", "dimension"),
    [(b"\0" * 31, 0), (None, 0), ("text" * 8, 0), (b"", 0), (7, 8), (b"", 8), (b"\0" * 28, 8)],
)
def test_a_known_vector_of_another_length_is_damage_too(filled, vector, dimension):
    sql(filled, "drop table vectors")
    sql(filled, "create table vectors (chunk_id integer primary key, vector, crc32)")
    sql(filled, "insert into vectors values (4, ?, 0)", [vector])
    cure = named(filled, r"chunk 4 has no vector of .* index again")
    with LocalStore(filled, writable=True) as store, pytest.raises(IndexCorrupt, match=cure):
        store.known_vectors(["kelp 3"], dimension=dimension)


def test_a_vector_with_a_bit_flipped_is_damage(filled):
    ((vector,),) = sql(filled, "select vector from vectors where chunk_id = 4")
    for position in (0, 17, len(vector) - 1):
        flipped = bytearray(vector)
        flipped[position] ^= 1
        sql(filled, "update vectors set vector = ? where chunk_id = 4", [bytes(flipped)])
        with pytest.raises(IndexCorrupt, match=named(filled, "the vector of chunk 4 is not what was stored")):
            read_everything(filled)
        with LocalStore(filled) as store, pytest.raises(IndexCorrupt, match="the vector of chunk 4"):
            store.known_vectors(["kelp 3"])
        sql(filled, "update vectors set vector = ? where chunk_id = 4", [vector])
    assert read_everything(filled) == filled_contents()


@pytest.mark.parametrize(
    "change",
    [
        "chunks set text = 'kelq 3'",
        "chunks set title = 'another'",
        "chunks set heading = 'another'",
        "chunks set line = line + 1",
        "chunks set end_line = end_line + 1",
        "chunks set page = 1",
        "chunks set anchors = '[[0,1,2]]'",
        "documents set path = cast('c.md' as blob)",
    ],
)
def test_a_passage_that_is_not_what_was_stored_is_damage(filled, change):
    table, _ = change.split(maxsplit=1)
    sql(filled, f"update {change} where {'id' if table == 'documents' else 'document_id'} = 1")
    with LocalStore(filled) as store:
        with pytest.raises(IndexCorrupt, match=named(filled, "the text of chunk 4 is not what was stored")):
            store.chunks([4])
        assert store.chunks([31])[31].text == "lava"


@pytest.mark.parametrize(
    ("column", "junk"),
    [
        *(("roots", junk) for junk in ("no json", "", "7", b"\xff")),
        *(("counts", junk) for junk in ("[1]", "null", "{")),
        ("pid", "me"),
    ],
)
def test_a_damaged_record_of_the_last_run_is_named(filled, column, junk):
    with LocalStore(filled, writable=True) as store:
        store.journal.start_run(["docs"])
    sql(filled, f"update runs set {column} = ?", [junk])
    with pytest.raises(
        IndexCorrupt, match=named(filled, r"damaged \(the record of its last run.* index again")
    ):
        read_everything(filled)


def test_a_damaged_generation_is_named(filled):
    sql(filled, "update meta set value = 'seven' where key = 'generation'")
    with pytest.raises(
        IndexCorrupt, match=named(filled, r"damaged \(its generation is 'seven'\).* index again")
    ):
        read_everything(filled)


def test_the_cure_for_damage_names_our_files_and_not_the_folder_they_are_in(filled):
    """With --index the folder may be one of the user's, with all their documents in it."""
    sql(filled, "update documents set title = cast(x'ff00' as text)")
    with pytest.raises(IndexCorrupt) as caught:
        read_everything(filled)
    assert f"delete minisearch.db* and vectors-* in {filled.parent} and index again" in str(caught.value)
    assert "delete the folder" not in str(caught.value)


def test_text_that_cannot_be_decoded_is_damage(filled):
    sql(filled, "update documents set title = cast(x'ff00' as text)")
    with pytest.raises(IndexCorrupt, match=named(filled, r"damaged \(Could not decode.* index again")):
        read_everything(filled)


def test_a_schema_that_runs_more_than_tables_is_not_run_by_reading(filled):
    """In a database from elsewhere, a view in the place of a table could reach into any module."""
    seal_path(filled).unlink()
    with closing(sqlite3.connect(filled)) as theirs:
        theirs.executescript(
            "alter table meta rename to old_meta;"
            "create view meta as select heading as key, text as value from chunks_fts"
        )
    with pytest.raises(StoreError, match=named(filled, "holds a view .meta., .* with --index")):
        read_everything(filled)


# --- places that cannot be written to --------------------------------------------------------------

AS_NOBODY = """
import os, sys
from pathlib import Path
from minisearch.errors import StoreError
from minisearch.stores.local import LocalStore
from minisearch.stores.local.files import writer_lock
from minisearch.stores.local.seal import seal_path
from tests.stores.store_cases import contents, put

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
path = Path(sys.argv[1])
with LocalStore(path) as store:
    print(len(contents(store)["a.md"]))

def write():
    with LocalStore(path, writable=True) as store:
        put(store, "c.md", "new")

for attempt in (write, writer_lock(path.parent).__enter__):
    try:
        attempt()
    except StoreError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("writer", ["gone", "at work", "killed"])
def test_a_folder_that_cannot_be_written_to_can_be_read(writer):
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = Path(folder) / "minisearch.db"
        fill(path)
        if writer == "at work":
            put(stack.enter_context(LocalStore(path, writable=True)), "c.md", "in the log")
        if writer == "killed":
            with keep_writing(path, until="1") as child:
                child.communicate()
        before = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        for file in Path(folder).iterdir():
            file.chmod(0o444)
        os.chmod(folder, 0o555)
        with python(AS_NOBODY, path) as child:
            read, written, locked = child.communicate()[0].splitlines()
        os.chmod(folder, 0o755)
        assert read == "30"
        assert re.match(f"IndexNotWritable {named(path, 'check the permissions .* with --index')}", written)
        assert re.match(f"IndexNotWritable {named(folder, 'check its permissions .* with --index')}", locked)
        after = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        assert after["minisearch.db"] == before["minisearch.db"]
        assert after.keys() == before.keys()


READER_AS_NOBODY = """
import os, sys
from pathlib import Path
from minisearch.stores.local import LocalStore
from tests.stores.store_cases import contents

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
path = Path(sys.argv[1])
store = LocalStore(path)
for _ in sys.stdin:
    is_outdated = store.is_outdated()
    if is_outdated:
        store.close()
        store = LocalStore(path)
    print(int(is_outdated), len(contents(store)), flush=True)
"""


def test_a_reader_of_a_folder_that_it_cannot_write_to_notices_what_others_write():
    """It reads the file as one that never changes, so SQLite gives it old pages for ever."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "minisearch.db"
        fill(path)
        path.chmod(0o644)
        os.chmod(folder, 0o555)
        with python(READER_AS_NOBODY, path, stdin=subprocess.PIPE) as child:

            def ask():
                child.stdin.write("\n")
                child.stdin.flush()
                return child.stdout.readline().split()

            assert [ask(), ask()] == [["0", "2"], ["0", "2"]]
            os.chmod(folder, 0o755)
            with LocalStore(path, writable=True) as store:
                put(store, "c.md", "in the log")
                os.chmod(folder, 0o555)
                assert ask() == ["1", "3"]
                os.chmod(folder, 0o755)
                put(store, "d.md", "in the log")
                assert ask() == ["0", "4"]
            os.chmod(folder, 0o555)
            assert ask() == ["0", "4"]
            child.stdin.close()


# --- the file at the path --------------------------------------------------------------------------


@pytest.mark.parametrize("writable", [False, True])
def test_a_store_is_outdated_once_another_file_is_in_its_place(filled, writable):
    with LocalStore(filled, writable=writable) as store:
        assert not store.is_outdated()
        twin = filled.with_name("twin")
        shutil.copy(filled, twin)
        filled.rename(filled.with_name("moved"))
        assert store.is_outdated()
        twin.rename(filled)
        assert store.is_outdated()
        assert contents(store) == filled_contents()
    with LocalStore(filled) as store:
        assert not store.is_outdated()


def test_a_store_is_not_outdated_by_what_sqlite_shows_it(filled):
    with LocalStore(filled) as reader:
        with LocalStore(filled, writable=True) as store:
            assert not store.is_outdated()
            put(store, "c.md", "new")
            assert not reader.is_outdated()
        assert not reader.is_outdated()
        assert "c.md" in contents(reader)


def test_a_new_store_is_not_outdated(path):
    with LocalStore(path, writable=True) as store:
        assert not store.is_outdated()


def test_reading_leaves_nothing_behind_but_the_files_of_sqlite(filled):
    before = filled.read_bytes(), filled.stat().st_mtime_ns
    with LocalStore(filled) as reader:
        contents(reader)
        assert {file.name for file in filled.parent.iterdir()} <= OWN_FILES
    assert {file.name for file in filled.parent.iterdir()} <= OWN_FILES
    assert (filled.read_bytes(), filled.stat().st_mtime_ns) == before


def test_closing_leaves_the_file_and_its_seal(filled):
    assert {file.name for file in filled.parent.iterdir()} == {"minisearch.db", "minisearch.db.seal"}
    assert sql(filled, "pragma journal_mode") == [("wal",)]


def test_a_name_full_of_signs_is_a_name(tmp_path):
    for name in ("100% a?mode=memory#b & c", "😀 é", os.fsdecode(b"\xff")):
        folder = tmp_path / name
        folder.mkdir()
        fill(folder / "minisearch.db")
        assert read_everything(folder / "minisearch.db") == filled_contents()
        assert {file.name for file in folder.iterdir()} <= OWN_FILES


@contextlib.contextmanager
def no_file_longer_than(n_bytes):
    """What a full disk is to SQLite; CPython ignores the signal, so that writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("n_bytes", [150_000, 200_001, 300_000, 412_345])
def test_a_full_disk_is_an_error_with_a_name_and_loses_nothing(filled, n_bytes):
    n_put = 0
    with LocalStore(filled, writable=True) as store, no_file_longer_than(n_bytes):
        room = r"the free space of .* \([\d,]+ bytes free\).* with --index"
        with pytest.raises(IndexNotWritable, match=named(filled, room)) as caught:
            while True:
                put(store, f"{n_put}.md", *(f"moth {n_put} {i}" for i in range(40)))
                n_put += 1
                assert n_put < 100
        assert n_put > 0
        assert "\n" not in str(caught.value)
        store.close()  # its log does not fit into the database either
    expected = filled_contents() | {
        f"{n}.md": as_put(*(f"moth {n} {i}" for i in range(40))) for n in range(n_put)
    }
    assert read_everything(filled) == expected
    with LocalStore(filled, writable=True) as store:
        put(store, "after.md", "room again")
        assert contents(store) == expected | {"after.md": as_put("room again")}
    assert_sound(filled)


# --- others at work --------------------------------------------------------------------------------


def test_a_database_that_another_process_writes_to_is_busy_and_can_be_read(filled, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    with LocalStore(filled, writable=True) as store, closing(sqlite3.connect(filled)) as other:
        other.execute("begin immediate")
        with pytest.raises(IndexBusy, match=named(filled, "another process .* try again in a moment")):
            put(store, "c.md", "new")
        assert read_everything(filled) == filled_contents()
        other.rollback()
        put(store, "c.md", "new")
        assert contents(store) == filled_contents() | {"c.md": as_put("new")}


def test_a_snapshot_is_of_one_generation_while_a_writer_goes_on(filled):
    with LocalStore(filled, writable=True) as writer, LocalStore(filled) as reader:
        with reader.snapshot():
            assert reader.generation == 2
            put(writer, "a.md", "new")
            writer.remove([writer.documents()["b.md"].id])
            assert reader.generation == 2
            assert contents(reader) == filled_contents()
        assert reader.generation == 4
        assert contents(reader) == {"a.md": as_put("new")}


def test_a_reader_never_sees_half_of_a_document(filled):
    with LocalStore(filled, writable=True) as writer, LocalStore(filled) as reader:
        with writer.snapshot():
            put(writer, "a.md", "new")
            assert contents(reader) == filled_contents()
        assert contents(reader)["a.md"] == as_put("new")


def test_a_suspended_reader_does_not_hold_up_a_writer_that_closes(filled, monkeypatch):
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.05)
    with LocalStore(filled) as reader, reader.snapshot():
        assert reader.generation == 2
        with LocalStore(filled, writable=True) as writer:
            put(writer, "c.md", "new")
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 5
        assert reader.generation == 2
    assert read_everything(filled) == filled_contents() | {"c.md": as_put("new")}
    with LocalStore(filled, writable=True):
        pass
    assert {file.name for file in filled.parent.iterdir()} <= {"minisearch.db", "minisearch.db.seal"}


HOLD_LOCK = """
import sys, time
from pathlib import Path
from minisearch.stores.local.files import writer_lock

with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_writes_and_a_killed_one_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WAIT_S", 0.2)
    with python(HOLD_LOCK, tmp_path) as child:
        try:
            assert child.stdout.readline() == "held\n"
            for _ in range(3):  # asking must not wipe out who it is
                started_s = time.monotonic()
                who = rf"index busy \(pid {child.pid}\).*{named(tmp_path, 'wait until it has finished')}"
                with pytest.raises(IndexBusy, match=who):
                    writer_lock(tmp_path).__enter__()
                assert 0.2 <= time.monotonic() - started_s < 2
        finally:
            child.kill()
    with writer_lock(tmp_path):
        pass


def test_a_second_writer_waits_for_a_short_run(tmp_path):
    held, done = threading.Event(), []

    def run():
        with writer_lock(tmp_path):
            held.set()
            time.sleep(0.2)
            done.append("first")

    first = threading.Thread(target=run)
    first.start()
    held.wait()
    with writer_lock(tmp_path):
        done.append("second")
    first.join()
    assert done == ["first", "second"]


def test_the_lock_holds_within_one_process_and_is_let_go_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WAIT_S", 0.1)
    with pytest.raises(RuntimeError, match="failed"), writer_lock(tmp_path):
        with pytest.raises(IndexBusy, match="another minisearch is writing"):
            writer_lock(tmp_path).__enter__()
        raise RuntimeError("failed")
    with writer_lock(tmp_path):
        pass


def test_a_lock_that_cannot_be_made_says_why(tmp_path):
    path = tmp_path / "writer.lock"
    path.mkdir()
    with pytest.raises(IndexNotWritable, match=named(tmp_path, "Is a directory; check its permissions")):
        writer_lock(tmp_path).__enter__()
    path.rmdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IndexNotWritable, match="symbolic links"):
        writer_lock(tmp_path).__enter__()
    assert not (tmp_path / "elsewhere").exists()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(IndexNotWritable, match="is not a file"):
        writer_lock(tmp_path).__enter__()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_all_files_are_the_owners_alone_whatever_the_umask(path, umask):
    before = os.umask(umask)
    try:
        with writer_lock(path.parent), LocalStore(path, writable=True) as store:
            put(store, "a.md", "kelp")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            store.backup(path.with_name("copy"))
        modes |= {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys([*OWN_FILES, "writer.lock", "copy"], 0o600)


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_link_out_of_the_folder_is_not_followed(filled, tmp_path_factory, suffix, writable):
    target = tmp_path_factory.mktemp("theirs") / "file"
    file = filled.with_name(filled.name + suffix)
    if suffix:
        target.write_bytes(b"theirs")
    else:
        file.rename(target)
    before = target.read_bytes()
    file.symlink_to(target)
    with pytest.raises(StoreError, match=f"{file} is a symbolic link.* --index"):
        LocalStore(filled, writable=writable)
    assert target.read_bytes() == before


# --- writers that die ------------------------------------------------------------------------------

KEEP_WRITING = """
import os, signal, sys
from pathlib import Path
from minisearch.stores.local import LocalStore
from tests.stores.store_cases import put

store = LocalStore(Path(sys.argv[1]), writable=True)
for n in range(1_000_000):
    if str(n) == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    put(store, f"{n % 7}.md", *(f"{n} {i}" for i in range(5)))
    print(n, flush=True)
"""


def keep_writing(path, *, until="never"):
    return python(KEEP_WRITING, path, until)


@pytest.mark.parametrize("n_puts", [1, 40, 200])
def test_a_killed_writer_leaves_every_document_whole(path, n_puts):
    with keep_writing(path) as child:
        for _ in range(n_puts):
            acknowledged = int(child.stdout.readline())
        child.kill()
        acknowledged = int((child.stdout.read().split("\n")[:-1] or [acknowledged])[-1])
    with LocalStore(path) as reader:
        last = reader.generation - 1
        assert last in (acknowledged, acknowledged + 1)
        assert contents(reader) == {
            f"{n % 7}.md": as_put(*(f"{n} {i}" for i in range(5))) for n in range(max(0, last - 6), last + 1)
        }
    with LocalStore(path, writable=True) as writer:
        put(writer, "a.md", "new")
    assert_sound(path)


KILLED_AT_EACH_STATEMENT = """
import os, signal, sqlite3, sys
from pathlib import Path
from minisearch.stores.local import LocalStore

class Killed(sqlite3.Connection):
    n_left = 0

    def execute(self, *arguments):
        Killed.n_left -= 1
        if Killed.n_left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)

connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Killed, **options)
for n in range(1_000):
    folder = Path(sys.argv[1]) / str(n)
    folder.mkdir()
    child = os.fork()
    if child == 0:
        Killed.n_left = n
        LocalStore(folder / "minisearch.db", writable=True).close()
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print(n)
        break
"""


def test_a_first_opening_killed_at_any_statement_is_finished_by_the_next(tmp_path):
    with python(KILLED_AT_EACH_STATEMENT, tmp_path) as child:
        n_statements = int(child.communicate()[0])
    assert n_statements > 10
    for n in range(n_statements + 1):
        path = tmp_path / str(n) / "minisearch.db"
        if path.exists():
            with contextlib.suppress(StoreError), LocalStore(path) as reader:
                assert contents(reader) == {}
        with LocalStore(path, writable=True) as store:
            put(store, "a.md", "kelp")
        assert read_everything(path) == {"a.md": as_put("kelp")}
        assert_sound(path)
        shutil.rmtree(path.parent)
