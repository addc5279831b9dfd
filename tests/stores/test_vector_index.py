"""The vector index in use answers like the stored vectors themselves, whatever happened to its file."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minisearch.errors import BackendUnavailable, IndexNotWritable, InputError
from minisearch.manifest import BACKENDS
from minisearch.paths import IndexLocation
from minisearch.stores.local import LocalStore, vector_index
from minisearch.stores.local.vector_index import LiveIndex
from minisearch.vectors import load_backend
from tests.backends import INSTALLED
from tests.stores.store_cases import a_chunk, a_document
from tests.vectors.index_cases import brute_force, index_class, unit_rows

DIMENSION = 8
POOL = unit_rows(120, DIMENSION)  # few enough that an index holds many copies of one vector
QUERIES = unit_rows(4, DIMENSION, seed=1)
N_DOCUMENTS = 60  # of three chunks: enough for a backend to be asked before the rows are scanned


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    loaded = index_class(request.param)  # skips where its library is missing
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "faiss":
            patch.setattr(loaded, "hnsw_from", 1)  # a graph, which FAISS has to open
        yield request.param


@pytest.fixture(scope="module")
def published(backend, tmp_path_factory):
    """A folder with sixty documents and an index over all of them; tests work on copies."""
    folder = tmp_path_factory.mktemp(backend)
    with LocalStore(folder / "minisearch.db", writable=True) as store:
        for n in range(N_DOCUMENTS):
            put(store, f"{n}.md", [2 * n, 2 * n + 1, n])
        store.index.publish(backend, DIMENSION)
    return folder


@pytest.fixture
def folder(published, tmp_path):
    return shutil.copytree(published, tmp_path / "index")


@pytest.fixture
def store(folder):
    with LocalStore(folder / "minisearch.db", writable=True) as store:
        yield store


def put(store, path, rows):
    """A document whose chunks have these rows of POOL as vectors."""
    store.put(a_document(path), [a_chunk(f"{path} {row}") for row in rows], POOL[rows])


def remove(store, *paths):
    documents = store.documents()
    store.remove([documents[path].id for path in paths])


def n_added(index):
    """Vectors beside the base."""
    return len(index._changes.ids)


def change(store):
    """Something new, something replaced, something gone: all that a base cannot know."""
    put(store, "new.md", [7, 7, 119])
    put(store, "3.md", [100, 8])
    remove(store, "0.md", "59.md")


def base_file(folder):
    [path] = [path for path in folder.iterdir() if path.name.startswith("vectors")]
    return path


def assert_exact(store, folder, live=None):
    """The index finds what multiplying with every vector in the database finds."""
    with store.snapshot():
        ids, vectors = store.all_vectors(DIMENSION)
        index = (live or LiveIndex(store._connection)).current(store.generation, DIMENSION)
    assert index.ids.tolist() == ids.tolist()
    for query in QUERIES:
        for k in (1, 7, 1_000):
            [hits] = index.search(query[None], k)
            expected = brute_force(ids, vectors, query, k)
            assert hits.ids.tolist() == [id_ for id_, _ in expected]
            np.testing.assert_allclose(hits.scores, [score for _, score in expected], atol=1e-6)
    return index


# --- base, delta and tombstones --------------------------------------------------------------------


def test_a_store_that_never_published_is_searched_exactly(tmp_path, caplog):
    with LocalStore(tmp_path / "minisearch.db", writable=True) as store:
        assert len(assert_exact(store, tmp_path)) == 0
        put(store, "a.md", [1, 2, 3])
        assert len(assert_exact(store, tmp_path)) == 3
        assert store.index.is_due("flat")
    assert caplog.records == []
    assert {path.name for path in tmp_path.iterdir()} == {"minisearch.db", "minisearch.db.seal"}


def test_an_index_of_nothing_can_be_published_and_added_to(backend, tmp_path, caplog):
    with LocalStore(tmp_path / "minisearch.db", writable=True) as store:
        store.index.publish(backend, DIMENSION)
        assert not store.index.is_due(backend)
        assert len(assert_exact(store, tmp_path)) == 0
        put(store, "a.md", [1, 2, 3])
        index = assert_exact(store, tmp_path)
        assert (index.n_base, len(index)) == (0, 3)
        store.index.publish(backend, DIMENSION)
        assert assert_exact(store, tmp_path).n_base == 3
        remove(store, "a.md")
        assert len(assert_exact(store, tmp_path)) == 0
    assert caplog.records == []


paths = st.integers(0, N_DOCUMENTS + 9).map("{}.md".format)
steps = st.one_of(
    st.tuples(st.just("put"), paths, st.lists(st.integers(0, 119), max_size=5)),
    st.tuples(st.just("remove"), st.lists(paths, min_size=1, max_size=20, unique=True)),
    st.tuples(st.just("publish")),
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=st.lists(steps, min_size=1, max_size=12))
def test_base_delta_and_tombstones_answer_like_the_stored_vectors(backend, published, history):
    with tempfile.TemporaryDirectory() as parent:
        folder = shutil.copytree(published, Path(parent) / "index")
        with (
            LocalStore(folder / "minisearch.db", writable=True) as store,
            LocalStore(folder / "minisearch.db") as reader,
        ):
            live = LiveIndex(reader._connection)
            for step, *arguments in history:
                if step == "put":
                    put(store, *arguments)
                elif step == "remove":
                    remove(store, *(path for path in arguments[0] if path in store.documents()))
                else:
                    store.index.publish(backend, DIMENSION)
                assert assert_exact(reader, folder, live).name == backend
            assert assert_exact(store, folder).name == backend


def test_changes_since_the_base_are_beside_it(backend, store, folder, caplog):
    change(store)
    index = assert_exact(store, folder)
    assert (index.name, index.n_base, len(index)) == (backend, 180, 176)
    store.index.publish(backend, DIMENSION)
    index = assert_exact(store, folder)
    assert (index.name, index.n_base, len(index)) == (backend, 176, 176)
    assert caplog.records == []


def test_another_backend_takes_over_without_new_vectors(backend, store, folder):
    change(store)
    for name in ("flat", backend):
        store.index.publish(name, DIMENSION)
        assert assert_exact(store, folder).name == name
        assert base_file(folder).suffix == index_class(name).suffix


def test_a_snapshot_sees_the_index_of_its_own_generation(backend, store, folder):
    with LocalStore(folder / "minisearch.db") as reader:
        with reader.snapshot():
            before = reader.chunk_ids().tolist()
            change(store)
            assert LiveIndex(reader._connection).current(reader.generation, DIMENSION).ids.tolist() == before
            store.index.publish(backend, DIMENSION)
            assert LiveIndex(reader._connection).current(reader.generation, DIMENSION).ids.tolist() == before
        assert_exact(reader, folder)


def test_an_open_index_outlives_its_file(backend, store, folder):
    index = assert_exact(store, folder)
    expected = [hits.ids.tolist() for hits in index.search(QUERIES, 20)]
    change(store)
    store.index.publish(backend, DIMENSION)
    assert [hits.ids.tolist() for hits in index.search(QUERIES, 20)] == expected


def test_a_backend_whose_library_is_missing_is_named(backend, store, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, f"minisearch.vectors.{backend}", None)
    with pytest.raises(BackendUnavailable, match=f"the {backend} index needs .* pip install"):
        LiveIndex(store._connection).current(store.generation, DIMENSION)
    with pytest.raises(BackendUnavailable, match=f"the {backend} index needs .* pip install"):
        store.index.publish(backend, DIMENSION)


def test_an_unknown_backend_changes_nothing(store, folder):
    before = store.generation, base_file(folder)
    with pytest.raises(InputError, match="no vector index called 'pinecone'; choose from"):
        store.index.publish("pinecone", DIMENSION)
    assert (store.generation, base_file(folder)) == before


# --- kept from query to query ----------------------------------------------------------------------


@pytest.fixture
def reader(store, folder):
    with LocalStore(folder / "minisearch.db") as reader:
        yield reader


def test_the_index_stays_while_nothing_changes(backend, store, folder, reader, monkeypatch):
    live = LiveIndex(reader._connection)
    index = assert_exact(reader, folder, live)
    store.set_meta(backend="flat")
    monkeypatch.setattr(vector_index, "read_vectors", None)  # nothing is read again
    assert live.current(reader.generation, DIMENSION) is index


def test_changes_by_another_process_leave_the_base_in_memory(backend, store, folder, reader, caplog):
    live = LiveIndex(reader._connection)
    index = assert_exact(reader, folder, live)
    base_file(folder).unlink()  # whoever reads it again finds nothing
    change(store)
    assert assert_exact(reader, folder, live) is index
    put(store, "later.md", [5, 6])
    remove(store, "new.md")
    assert assert_exact(reader, folder, live) is index
    assert (index.name, index.n_base) == (backend, 180)
    assert caplog.records == []


def test_another_base_is_opened(backend, store, folder, reader):
    live = LiveIndex(reader._connection)
    old = assert_exact(reader, folder, live)
    store.index.publish(backend, DIMENSION)  # of the same content, at the same generation
    again = assert_exact(reader, folder, live)
    assert again is not old
    change(store)
    store.index.publish(backend, DIMENSION)
    assert n_added(assert_exact(reader, folder, live)) == 0


@pytest.mark.parametrize("is_published", [False, True])
def test_exact_answers_without_a_base_follow_every_change(store, folder, reader, is_published, caplog):
    if is_published:
        base_file(folder).write_bytes(b"damaged")
    else:
        with store.snapshot():
            store._connection.write("delete from bases")
    live = LiveIndex(reader._connection)
    index = assert_exact(reader, folder, live)
    change(store)
    assert assert_exact(reader, folder, live) is index
    remove(store, "new.md")
    put(store, "4.md", [9])
    assert assert_exact(reader, folder, live) is index
    assert (index.name, len(caplog.records)) == ("flat", int(is_published))  # it warns once, not every time


def test_an_index_that_could_not_be_brought_up_to_date_is_at_the_next_query(store, folder, reader):
    live = LiveIndex(reader._connection)
    index = assert_exact(reader, folder, live)
    change(store)
    with pytest.MonkeyPatch.context() as monkeypatch:
        Failing(monkeypatch, 0).at(vector_index, "read_vectors", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            live.current(reader.generation, DIMENSION)
    assert assert_exact(reader, folder, live) is index


def test_a_base_that_is_missing_is_a_fault_also_in_an_old_snapshot(store, folder, reader, caplog):
    base_file(folder).unlink()
    live = LiveIndex(reader._connection)
    with reader.snapshot():
        reader.counts()
        change(store)
        assert_exact(reader, folder, live)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_base_replaced_after_the_snapshot_began_is_not_needed(backend, store, folder, reader, caplog):
    """The answers are exact; the warning is the price of an old snapshot."""
    with reader.snapshot():
        reader.counts()
        change(store)
        store.index.publish(backend, DIMENSION)
        assert LiveIndex(reader._connection).current(reader.generation, DIMENSION).name == "flat"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert_exact(reader, folder)


# --- when a merge is due ---------------------------------------------------------------------------


def test_a_merge_is_due_past_a_number_of_changes(backend, store, folder, monkeypatch):
    monkeypatch.setattr(vector_index, "MERGE_ABOVE", 25)
    assert not store.index.is_due(backend)
    put(store, "new.md", list(range(10)))  # 10 beside the base
    put(store, "new.md", list(range(12)))  # 12: what came and went again does not count
    put(store, "0.md", [1, 2, 3, 4, 5])  # 12 + 5 added + 3 removed = 20
    remove(store, "1.md")  # 23
    put(store, "2 more.md", [1, 2])  # 25
    assert not store.index.is_due(backend)
    put(store, "1 more.md", [1])  # 26
    assert store.index.is_due(backend)
    store.index.publish(backend, DIMENSION)
    assert not store.index.is_due(backend)


def test_a_merge_is_due_past_a_tenth_of_a_large_base(backend, store, folder, monkeypatch):
    monkeypatch.setattr(vector_index, "MERGE_ABOVE", 5)
    put(store, "new.md", list(range(18)))
    assert not store.index.is_due(backend)  # a tenth of 180
    remove(store, "0.md")
    assert store.index.is_due(backend)


def test_another_backend_is_due_at_once(backend, store, folder):
    others = [name for name in BACKENDS if name != backend]
    assert [store.index.is_due(name) for name in (backend, *others)] == [False, True, True]


# --- damaged files ---------------------------------------------------------------------------------


def zero_a_page(path):
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(512) + whole[middle + 512 :])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def swap_for_another_base(path):
    """One of as many vectors, which its library would load without a word."""
    [backend] = [name for name in INSTALLED if index_class(name).suffix == path.suffix]
    older = path.with_name("older")
    index_class(backend).build(np.arange(180), POOL[np.arange(180) % 119]).save(older)
    older.replace(path)


def put_a_folder_in_its_place(path):
    path.unlink()
    path.mkdir()


def put_a_pipe_in_its_place(path):
    path.unlink()
    os.mkfifo(path)


def put_an_endless_device_in_its_place(path):
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "torn": lambda path: os.truncate(path, path.stat().st_size * 2 // 3),
    "zero-filled": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a page of zeros": zero_a_page,
    "a flipped bit": flip_a_bit,
    "swapped": swap_for_another_base,
    "a folder": put_a_folder_in_its_place,
    "a pipe": put_a_pipe_in_its_place,
    "an endless device": put_an_endless_device_in_its_place,
}


@pytest.fixture
def _in_time():
    """Fails a test that waits for ever."""

    def fail(*_):
        raise AssertionError("still waiting")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_in_time")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gives_exact_answers_and_a_warning_until_it_is_made_again(
    backend, store, folder, damage, caplog
):
    path = base_file(folder)
    DAMAGES[damage](path)
    for alter in (lambda _: None, change):
        alter(store)
        assert assert_exact(store, folder).name == "flat"
        [warning] = caplog.messages
        assert f"the vector index {path} cannot be used" in warning
        assert "answering exactly from the stored vectors" in warning
        assert "'minisearch rebuild' makes it again" in warning
        assert store.index.is_due(backend)
        caplog.clear()
    store.index.publish(backend, DIMENSION)
    assert not store.index.is_due(backend)
    assert assert_exact(store, folder).name == backend
    assert caplog.records == []


def test_a_file_of_the_published_size_and_time_is_opened_without_reading_it(
    backend, store, folder, caplog, monkeypatch
):
    monkeypatch.setattr(vector_index, "_sha256", None)
    assert assert_exact(store, folder).name == backend
    assert caplog.records == []


def test_damage_without_a_trace_is_found_by_the_next_run(backend, store, folder):
    path = base_file(folder)
    before = path.stat()
    flip_a_bit(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not store.index.is_intact()
    assert store.index.is_due(backend)


def test_damaged_ids_are_noticed_like_a_damaged_file(backend, store, folder, caplog):
    """A base that gives a vector another chunk's id would answer with the wrong text."""
    good = store.index.base().ids.copy()
    swapped, zeroed, moved = good.copy(), good.copy(), good.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    zeroed[90:] = 0
    moved[-1] += 1
    arrays = [ids.tobytes() for ids in (swapped, zeroed, moved, good[:-1])]
    for ids in (*arrays, good.tobytes()[:-1], b"\7", b"", 7, "text"):
        with store.snapshot():
            store._connection.write("update bases set ids = ?", [ids])
        assert assert_exact(store, folder).name == "flat"
        assert "its checksum is wrong" in caplog.text
        assert store.index.is_due(backend)
        caplog.clear()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("backend", value) for value in ("pinecone", b"\xff")),
        *(("file", value) for value in ("a\0b", "", b"\xff", "x" * 5_000)),
        ("generation", "seven"),
        ("sha256", 7),
    ],
)
def test_a_damaged_record_of_a_file_is_no_worse_than_a_damaged_file(store, folder, column, value, caplog):
    if column == "backend" and base_file(folder).suffix == ".npy":
        return  # a list of vectors is opened, whatever the backend
    with store.snapshot():
        store._connection.write(f"update bases set {column} = ?", [value])
    assert assert_exact(store, folder).name == (
        "flat" if column != "generation" else store.index.base().backend
    )
    assert ("answering exactly" in caplog.text) == (column != "generation")
    store.index.is_due("flat")
    store.index.publish("flat", DIMENSION)
    caplog.clear()
    assert_exact(store, folder)
    assert caplog.records == []


def test_a_file_outside_the_folder_is_not_opened(backend, store, folder, tmp_path, caplog):
    """A record, or a link, that came with an index from elsewhere leads nowhere."""
    path = base_file(folder)
    outside = shutil.copy(path, tmp_path / path.name)
    for name in (str(outside), f"../{path.name}", f"./{path.name}"):
        with store.snapshot():
            store._connection.write("update bases set file = ?", [name])
        assert assert_exact(store, folder).name == "flat"
        assert store.index.is_due(backend)
    with store.snapshot():
        store._connection.write("update bases set file = ?", [path.name])
    path.unlink()
    path.symlink_to(outside)
    assert assert_exact(store, folder).name == "flat"
    assert store.index.is_due(backend)
    assert len(caplog.records) == 4


def test_an_index_file_is_the_owners_alone_whatever_the_umask(backend, store, folder):
    for umask in (0o000, 0o077, 0o777):
        before = os.umask(umask)
        try:
            store.index.publish(backend, DIMENSION)
        finally:
            os.umask(before)
        assert stat.S_IMODE(base_file(folder).stat().st_mode) == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_an_index_folder_is_the_owners_alone_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        IndexLocation(tmp_path / "index").create()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "index").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "index" / ".gitignore").stat().st_mode) == 0o600
    assert (tmp_path / "index" / ".gitignore").read_text() == "*\n"


def test_a_damaged_file_that_is_made_again_at_the_same_generation_is_whole(backend, store, folder):
    flip_a_bit(base_file(folder))
    store.index.publish(backend, DIMENSION)
    assert not store.index.is_due(backend)
    assert assert_exact(store, folder).name == backend


def test_opening_writes_nothing(folder, caplog):
    def files():
        ours = (path for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm")))
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in ours}

    for damage in (lambda path: None, flip_a_bit, Path.unlink):
        damage(base_file(folder))
        before = files()
        with LocalStore(folder / "minisearch.db") as reader:
            assert_exact(reader, folder)
            reader.index.is_due("flat")
        assert files() == before
    assert len(caplog.records) == 2


# --- publishing that fails -------------------------------------------------------------------------


def test_files_of_the_user_stay(backend, store, folder):
    theirs = ["vectors.csv", "vectors-2024.npy", "vectors", "vectors.tmp", "my-vectors-1-0123456789ab.npy"]
    for name in theirs:
        (folder / name).write_text("mine")
    for name in ("vectors-1-0123456789ab.ann", "vectors-2-0123456789ab.tmp"):
        (folder / name).write_text("left over by a publish that was killed")
    change(store)
    store.index.publish(backend, DIMENSION)
    assert sorted(path.name for path in folder.glob("*vectors*")) == sorted(
        [*theirs, store.index.base().file]
    )
    assert {(folder / name).read_text() for name in theirs} == {"mine"}


class Failing:
    """Lets the first ``n`` of the calls that publishing makes pass, and fails the next with ``error``."""

    def __init__(self, monkeypatch, n):
        self.n_left = n
        self.monkeypatch = monkeypatch

    def at(self, owner, name, error, half_done=lambda *_: None):
        real = getattr(owner, name)

        def call(*arguments, **options):
            self.n_left -= 1
            if self.n_left == -1:
                half_done(real, *arguments)
                raise error
            return real(*arguments, **options)

        self.monkeypatch.setattr(owner, name, call)


def half_a_file(_, index, path):
    path.write_bytes(b"\x93NUMPY half of")


def test_publishing_that_fails_at_any_call_leaves_the_old_or_the_new_index(backend, published, tmp_path):
    disk_full = OSError(28, "No space left on device")
    for n in range(100):
        folder = shutil.copytree(published, tmp_path / str(n))
        with LocalStore(folder / "minisearch.db", writable=True) as store:
            old = store.index.base().file
            change(store)
            with pytest.MonkeyPatch.context() as monkeypatch:
                failing = Failing(monkeypatch, n)
                cls = load_backend(backend)
                failing.at(cls, "save", IndexNotWritable(f"{folder}: No space left"), half_a_file)
                failing.at(os, "open", disk_full)
                failing.at(os, "fsync", disk_full)
                failing.at(Path, "open", disk_full)
                failing.at(Path, "replace", disk_full)
                failing.at(LiveIndex, "use", IndexNotWritable(f"cannot use {folder}: disk is full"))
                failing.at(Path, "unlink", disk_full)
                message = ""
                try:
                    store.index.publish(backend, DIMENSION)
                except IndexNotWritable as error:
                    message = str(error)
            is_published = store.index.base().file != old
            assert is_published != (str(folder) in message)
            assert list(folder.glob("*.tmp")) == []
            assert_exact(store, folder)
            store.index.publish(backend, DIMENSION)
            assert base_file(folder).name == store.index.base().file
            assert n_added(assert_exact(store, folder)) == 0
        if failing.n_left >= 0:
            break
    assert n > 6, "there are more calls than that to fail at"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_publishing_that_is_interrupted_leaves_no_temporary_file(backend, store, folder, interrupt):
    change(store)
    before = {path.name for path in folder.iterdir()}
    for n in range(3):
        with pytest.MonkeyPatch.context() as monkeypatch:
            failing = Failing(monkeypatch, n)
            failing.at(load_backend(backend), "save", interrupt(), half_a_file)
            failing.at(os, "fsync", interrupt())
            failing.at(Path, "open", interrupt())
            failing.at(Path, "replace", interrupt())
            with pytest.raises(interrupt):
                store.index.publish(backend, DIMENSION)
        assert {path.name for path in folder.iterdir()} == before
        assert assert_exact(store, folder).name == backend


def test_a_disk_without_room_says_what_still_works_and_what_to_do(backend, store, folder, monkeypatch):
    change(store)
    Failing(monkeypatch, 0).at(os, "fsync", OSError(28, "No space left on device"))
    with pytest.raises(IndexNotWritable) as caught:
        store.index.publish(backend, DIMENSION)
    assert str(folder) in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert "results stay exact" in str(caught.value)
    assert "minisearch rebuild" in str(caught.value)


KILLED_AT_EACH_STEP = """
import os, shutil, signal, sys
from pathlib import Path
from minisearch.vectors import load_backend
from minisearch.stores.local import LocalStore
from minisearch.stores.local.vector_index import LiveIndex
from tests.stores.test_vector_index import change

published, copies, backend = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
n_left = 0

def step():
    global n_left
    n_left -= 1
    if n_left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def killed_around(owner, name):
    real = getattr(owner, name)
    def call(*arguments, **options):
        step()
        result = real(*arguments, **options)
        step()
        return result
    setattr(owner, name, call)

for n in range(100):
    folder = shutil.copytree(published, copies / str(n))
    if (child := os.fork()) == 0:
        store = LocalStore(folder / "minisearch.db", writable=True)
        change(store)
        n_left = n
        load_backend("faiss").hnsw_from = 1
        killed_around(load_backend(backend), "save")
        killed_around(os, "fsync")
        killed_around(Path, "replace")
        killed_around(LiveIndex, "use")
        killed_around(Path, "unlink")
        store.index.publish(backend, 8)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


def test_publishing_that_is_killed_at_any_step_leaves_the_old_or_the_new_index(
    backend, published, tmp_path, caplog
):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", KILLED_AT_EACH_STEP, str(published), str(tmp_path), backend]
    subprocess.run(program, env=environment, check=True)
    copies = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    # Before and after each of save, two fsyncs, rename, unlink (of nothing), publish, unlink; and whole.
    assert len(copies) == 15
    bases = []
    for folder in copies:
        with LocalStore(folder / "minisearch.db", writable=True) as store:
            index = assert_exact(store, folder)
            bases.append("old" if n_added(index) else "new")
            store.index.publish(backend, DIMENSION)
            assert base_file(folder).name == store.index.base().file
            assert n_added(assert_exact(store, folder)) == 0
    assert bases == ["old"] * 11 + ["new"] * 4
    assert caplog.records == []
