"""A database at rest is sealed: no bit of it changes unseen; a writer at work is no damage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minisearch.errors import IndexCorrupt, IndexNotWritable, StoreError
from minisearch.stores.local import LocalStore, connection, files, seal
from minisearch.stores.local.seal import read_seal, seal_path
from tests.stores.store_cases import as_put, assert_sound, contents, put, sql

CHECKOUT = Path(__file__).parents[2]
DAMAGED = r"is damaged \(it is not what was last written: its checksum is wrong; if you put it there yourself"


@pytest.fixture
def filled(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", *(f"kelp {n}" for n in range(40)))
    return path


def flip(path, position, bit=1):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ bit]))


def test_a_closed_writer_leaves_a_seal_of_size_and_sha256(filled):
    digest = subprocess.run(["sha256sum", filled], capture_output=True, text=True, check=True).stdout.split()[
        0
    ]
    found = read_seal(filled)
    assert (found.n_bytes, found.sha256) == (filled.stat().st_size, digest)


@pytest.mark.parametrize("writable", [False, True])
def test_a_flipped_bit_anywhere_is_damage_to_whoever_reads_or_writes(filled, writable):
    n_bytes = filled.stat().st_size
    for position in [*range(100, n_bytes, 9_973), n_bytes - 1]:
        flip(filled, position)
        with pytest.raises(IndexCorrupt), LocalStore(filled, writable=writable) as store:
            store.counts()
        flip(filled, position)
    with LocalStore(filled, writable=writable) as store:
        assert len(contents(store)["a.md"]) == 40


def without_a_trace(path, change, *arguments):
    """Change a file below the file system: its size and times stay."""
    before = path.stat()
    change(path, *arguments)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_reader_of_an_unchanged_file_does_not_read_it(filled, monkeypatch):
    monkeypatch.setattr(seal, "_sha256", None)
    with LocalStore(filled) as reader:
        assert len(contents(reader)["a.md"]) == 40


def test_damage_without_a_trace_is_found_by_a_writer_and_by_a_check(filled):
    without_a_trace(filled, flip, filled.stat().st_size - 1)
    with LocalStore(filled) as reader:
        assert len(contents(reader)["a.md"]) == 40
        [problem] = reader.check()
        assert "its checksum is wrong" in problem
    with pytest.raises(IndexCorrupt, match=DAMAGED):
        LocalStore(filled, writable=True)


def test_a_check_beside_a_writer_compares_nothing_that_was_replaced(filled):
    with LocalStore(filled) as reader:
        with LocalStore(filled, writable=True) as writer:
            put(writer, "b.md", "new")
            assert reader.check(deep=True) == []
        assert reader.check(deep=True) == []


def test_the_error_names_the_file_and_the_cure(filled):
    flip(filled, filled.stat().st_size - 1)
    cure = rf"delete {seal_path(filled)}\): restore it from a backup"
    with pytest.raises(IndexCorrupt, match=f"{filled} {DAMAGED}, {cure}"):
        LocalStore(filled)


def test_damage_is_never_sealed(filled):
    before = seal_path(filled).read_bytes()
    flip(filled, filled.stat().st_size - 1)
    for _ in range(2):
        with pytest.raises(IndexCorrupt, match=DAMAGED), LocalStore(filled, writable=True) as store:
            put(store, "b.md", "new")
        assert seal_path(filled).read_bytes() == before


def test_a_writer_breaks_the_seal_before_it_writes_and_not_before(filled):
    before = seal_path(filled).read_bytes()
    with LocalStore(filled, writable=True) as store:
        assert contents(store).keys() == {"a.md"}
        assert seal_path(filled).read_bytes() == before
        put(store, "b.md", "new")
        assert not seal_path(filled).exists()
    assert seal_path(filled).exists()
    assert seal_path(filled).read_bytes() != before
    with LocalStore(filled) as reader:
        assert contents(reader)["b.md"] == as_put("new")


def test_a_writer_that_wrote_nothing_leaves_the_seal(filled):
    before = seal_path(filled).stat()
    with LocalStore(filled, writable=True) as store:
        store.counts()
    after = seal_path(filled).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_reader_beside_a_writer_sees_no_damage(filled, monkeypatch):
    """The seal goes, the file changes, a new seal comes, all while the reader compares."""
    true_digest = seal._sha256

    def slow(descriptor):
        monkeypatch.setattr(seal, "_sha256", true_digest)
        with LocalStore(filled, writable=True) as writer:
            put(writer, "b.md", "new")
        return "0" * 64  # as of a file that was written to in the middle

    filled.touch()
    monkeypatch.setattr(seal, "_sha256", slow)
    with LocalStore(filled) as reader:
        assert contents(reader)["b.md"] == as_put("new")


def test_what_differs_under_the_same_seal_is_damage_also_then(filled, monkeypatch):
    monkeypatch.setattr(seal, "_sha256", lambda _: "0" * 64)
    filled.touch()
    with pytest.raises(IndexCorrupt, match=DAMAGED):
        LocalStore(filled)


@pytest.mark.parametrize("content", [b"", b"minisearch seal 1\n", b"\xff" * 200, b"x" * 5_000_000])
def test_a_seal_that_is_damaged_itself_says_nothing(filled, content):
    seal_path(filled).write_bytes(content)
    with LocalStore(filled) as reader:
        assert len(contents(reader)["a.md"]) == 40
    with LocalStore(filled, writable=True) as store:
        put(store, "b.md", "new")
    assert read_seal(filled).n_bytes == filled.stat().st_size


def test_every_flipped_bit_of_a_seal_is_noticed(filled):
    whole = seal_path(filled).read_bytes()
    for position in range(8 * len(whole)):
        flip(seal_path(filled), position // 8, 1 << position % 8)
        assert read_seal(filled) is None
        flip(seal_path(filled), position // 8, 1 << position % 8)
    assert read_seal(filled).encode() == whole


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_seal_that_is_no_file_says_nothing(filled, kind, tmp_path):
    good = tmp_path / "good"
    seal_path(filled).rename(good)
    if kind == "link":
        seal_path(filled).symlink_to(good)
    elif kind == "pipe":
        os.mkfifo(seal_path(filled))
    else:
        seal_path(filled).mkdir()
    with LocalStore(filled) as reader:
        assert len(contents(reader)["a.md"]) == 40


def test_a_log_from_elsewhere_beside_a_sealed_database_is_damage(filled, tmp_path):
    """SQLite would take it in: nothing in a log says whose it is."""
    with LocalStore(filled, writable=True) as store:
        put(store, "b.md", "new")
        log = filled.with_name("minisearch.db-wal").read_bytes()
    filled.with_name("minisearch.db-wal").write_bytes(log)
    for writable in (False, True):
        with pytest.raises(IndexCorrupt, match="a log lies beside"):
            LocalStore(filled, writable=writable)


def test_a_seal_left_by_a_database_that_was_deleted_is_replaced(filled):
    filled.unlink()
    with LocalStore(filled, writable=True) as store:
        put(store, "b.md", "new")
    with LocalStore(filled) as reader:
        assert contents(reader) == {"b.md": as_put("new")}


def test_a_killed_writer_leaves_no_seal_and_the_next_one_checks_before_it_seals(filled, monkeypatch):
    program = (
        "import os, signal, sys; from pathlib import Path; from minisearch.stores.local import LocalStore;"
        "from tests.stores.store_cases import put;"
        "put(LocalStore(Path(sys.argv[1]), writable=True), 'b.md', 'new');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, filled], env={**os.environ, "PYTHONPATH": str(CHECKOUT)})
    assert not seal_path(filled).exists()
    with LocalStore(filled) as reader:
        assert contents(reader)["b.md"] == as_put("new")
    with LocalStore(filled, writable=True) as store:
        put(store, "c.md", "new")
    assert read_seal(filled).n_bytes == filled.stat().st_size
    assert_sound(filled)


def test_damage_in_a_database_without_a_seal_is_found_before_it_is_sealed(filled):
    sql(filled, "update vectors set vector = zeroblob(32) where chunk_id = 3")
    for _ in range(2):
        store = LocalStore(filled, writable=True)
        put(store, "b.md", "new")
        with pytest.raises(IndexCorrupt, match="the vector of chunk 3 is not what was stored"):
            store.close()
        assert not seal_path(filled).exists()


def test_an_interrupt_does_not_wait_for_that_check(filled, monkeypatch):
    seal_path(filled).unlink()
    monkeypatch.setattr(LocalStore, "_check_before_sealing", None)
    with pytest.raises(KeyboardInterrupt), LocalStore(filled, writable=True) as store:
        put(store, "b.md", "new")
        raise KeyboardInterrupt
    assert not seal_path(filled).exists()


def test_a_writer_whose_log_a_reader_holds_leaves_no_seal(filled, monkeypatch):
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.05)
    with LocalStore(filled) as reader, reader.snapshot():
        reader.counts()
        with LocalStore(filled, writable=True) as store:
            put(store, "b.md", "new")
        assert not seal_path(filled).exists()
    with LocalStore(filled) as reader:
        assert contents(reader)["b.md"] == as_put("new")


def test_a_disk_without_room_for_the_seal_leaves_none_and_no_other_file(filled, monkeypatch):
    with LocalStore(filled, writable=True) as store:
        put(store, "b.md", "new")
        with monkeypatch.context() as patch:
            full = OSError(28, "No space left on device")
            patch.setattr(seal, "create_private", lambda *_: (_ for _ in ()).throw(full))
            store.close()
    assert {file.name for file in filled.parent.iterdir()} == {"minisearch.db"}
    with LocalStore(filled) as reader:
        assert contents(reader)["b.md"] == as_put("new")


def test_a_seal_that_cannot_be_broken_stops_the_writer(filled, monkeypatch):
    before = filled.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "break_seal", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
        message = r"I/O error.*[\d,]+ bytes free"
        with LocalStore(filled, writable=True) as store, pytest.raises(IndexNotWritable, match=message):
            put(store, "b.md", "new")
    assert filled.read_bytes() == before
    with LocalStore(filled) as reader:
        assert contents(reader).keys() == {"a.md"}


def test_reading_bytes_leaves_the_locks_of_sqlite_alone(filled):
    """Closing a descriptor would drop them, and another process could take the log from under a reader."""
    with LocalStore(filled) as reader:
        assert len(contents(reader)) == 1
        for n in range(3):  # each of these reads the whole file, and closes
            with LocalStore(filled, writable=True) as store:
                put(store, f"{n}.md", "new")
            with LocalStore(filled) as other:
                other.counts()
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        inode = str(filled.stat().st_ino)
        assert any(
            line[1] == "POSIX" and line[5].endswith(f":{inode}") and line[4] == str(os.getpid())
            for line in held
        )
    assert not [path for path in files._held if str(path) == str(filled)]


def test_no_descriptor_is_left_open(filled):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with LocalStore(filled) as reader:
            reader.counts()
        with LocalStore(filled):
            pass
        with pytest.raises(StoreError):
            LocalStore(filled.with_name("nothing.db"))
    assert len(os.listdir("/proc/self/fd")) <= before  # of what ran before, some may be closed by now


# --- a seal that was carried over, beside another database -----------------------------------------


@pytest.mark.parametrize("writable", [False, True])
def test_a_backup_put_in_place_by_hand_is_refused_until_the_seal_is_deleted(filled, tmp_path, writable):
    with LocalStore(filled) as store:
        store.backup(tmp_path / "copy")
        expected = contents(store)
    shutil.copyfile(tmp_path / "copy", filled)
    with pytest.raises(IndexCorrupt, match=f"if you put it there yourself, delete {seal_path(filled)}"):
        LocalStore(filled, writable=writable)
    seal_path(filled).unlink()
    with LocalStore(filled, writable=writable) as store:
        assert contents(store) == expected
    with LocalStore(filled, writable=True) as store:
        put(store, "b.md", "new")
    assert read_seal(filled).n_bytes == filled.stat().st_size
