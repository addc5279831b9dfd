"""What is put into the store comes out again, whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from minisearch.errors import IndexCorrupt
from minisearch.stores.base import FileStamp, SkipStamp
from minisearch.stores.local import LocalStore
from minisearch.stores.local.documents import read_vectors, row_crc32
from minisearch.stores.local.vector_index import Base
from minisearch.types import Chunk, Note, Skipped
from tests.stores.store_cases import (
    DIMENSION,
    STAMP,
    a_chunk,
    a_document,
    as_put,
    assert_sound,
    contents,
    put,
    sql,
    vectors_of,
)

WORDS = ["kelp", "lava", "moth", "quartz"]  # words that stemming leaves as they are
ODD_PATHS = [
    "a b.md",
    "-rf.md",
    "line\nbreak\ttab.md",
    "quo'te\".md",
    "😀/שלום.md",
    unicodedata.normalize("NFC", "é.md"),
    unicodedata.normalize("NFD", "é.md"),
    os.fsdecode(b"\xff\xfe invalid.md"),
    os.fsdecode(b"half \xc3.md"),
    "n" * 255,
    "deep/" * 900 + "x.md",
    "",
]


class History(RuleBasedStateMachine):
    """Any order of changes, failures and reopenings, against a dictionary of texts by path."""

    paths = st.sampled_from(["a.md", "b.md", "ü/c.md"])
    texts = st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), max_size=4
    )  # often twice the same

    @initialize()
    def create(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "minisearch.db"
        self.store = LocalStore(self.path, writable=True)
        self.held = {}
        self.documents = {}
        self.generation = 0
        self.last_id = 0

    @rule(path=paths, texts=texts, title=st.text(max_size=3))
    def put(self, path, texts, title):
        document = a_document(path, title=title, sha256=title.encode())
        self.store.put(document, [a_chunk(text) for text in texts], vectors_of(texts))
        new_ids = [id_ for id_, chunk in self.all_chunks().items() if chunk.path == path]
        assert all(id_ > self.last_id for id_ in new_ids), "an id was used twice"
        self.last_id = max([self.last_id, *new_ids])
        self.held[path] = as_put(*texts)
        self.documents[path] = document
        self.generation += 1

    @rule(path=paths, texts=texts, n_vectors=st.integers(0, 3))
    def fail_to_put(self, path, texts, n_vectors):
        vectors = broken_off(min(n_vectors, len(texts)))
        with pytest.raises(RuntimeError, match="no more vectors"):
            self.store.put(a_document(path, title="half"), [a_chunk(text) for text in texts], vectors)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data):
        paths = data.draw(st.lists(st.sampled_from(sorted(self.held)), min_size=1, unique=True))
        self.store.remove([self.store.documents()[path].id for path in paths])
        for path in paths:
            del self.held[path], self.documents[path]
        self.generation += 1

    @rule()
    def remove_nothing(self):
        self.store.remove([])

    @precondition(lambda self: self.held)
    @rule(data=st.data(), read_at_ns=st.integers(0, 2**62))
    def restamp(self, data, read_at_ns):
        path = data.draw(st.sampled_from(sorted(self.held)))
        stamp = FileStamp(1, 2, 3, read_at_ns)
        self.store.restamp(self.store.documents()[path].id, stamp)
        self.documents[path] = a_document(
            path, title=self.documents[path].title, sha256=self.documents[path].sha256, stamp=stamp
        )

    @rule(writable=st.booleans())
    def reopen(self, writable):
        self.store.close()
        if not writable:
            with LocalStore(self.path) as reader:
                assert contents(reader) == self.held
        self.store = LocalStore(self.path, writable=True)

    @invariant()
    def it_holds_what_was_put(self):
        assert contents(self.store) == self.held
        assert self.store.generation == self.generation
        n_chunks = sum(map(len, self.held.values()))
        assert self.store.counts() == (len(self.held), n_chunks)
        known = self.store.known_vectors(sorted({text for held in self.held.values() for text, _ in held}))
        assert {text: vector.tobytes() for text, vector in known.items()} == {
            text: vector for held in self.held.values() for text, vector in held
        }

    @invariant()
    def its_documents_are_as_described(self):
        stored = self.store.documents()
        assert {path: document.id > 0 for path, document in stored.items()} == dict.fromkeys(self.held, True)
        for path, expected in self.documents.items():
            found = stored[path]
            assert (found.path, found.format, found.title) == (path, "markdown", expected.title)
            assert (found.stamp, found.sha256, found.ingest) == (expected.stamp, expected.sha256, "ingest-1")

    @invariant()
    def full_text_is_in_step(self):
        for word in WORDS:
            rows = [
                row
                for table in ("chunks_fts", "chunks_rewritten")
                for row in sql(self.path, f"select rowid from {table} where {table} match ?", [word])
            ]
            expected = [id_ for id_, chunk in self.all_chunks().items() if word in chunk.text.split()]
            assert sorted(id_ for (id_,) in rows) == expected
        assert_sound(self.path)

    def all_chunks(self):
        return dict(sorted(self.store.chunks(self.store.chunk_ids().tolist()).items()))

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


def broken_off(n):
    """Vectors that end in an error after the first ``n``."""
    yield from vectors_of(["x"] * n)
    raise RuntimeError("no more vectors")


def test_any_history_leaves_what_a_dictionary_would_hold():
    quick = settings(
        max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(History, settings=quick)


def test_an_empty_store_holds_nothing(store):
    assert contents(store) == {}
    assert (store.generation, store.counts(), store.meta(), store.index.base()) == (0, (0, 0), {}, None)
    assert store.journal.last_run() is None
    assert (store.journal.skipped(), store.notes()) == ([], [])


def test_a_document_without_chunks_is_held_all_the_same(store):
    put(store, "empty.md")
    assert contents(store) == {"empty.md": []}


def test_what_is_known_of_a_document_and_its_passages_comes_back(store):
    document = replace(a_document("a.md"), n_characters=7, n_bytes_indexed=5, language="python")
    chunk = replace(a_chunk("kelp"), page=3, anchors=((0, 2, 1), (2, 3, 9)), line=2, end_line=3)
    store.put(document, [chunk, a_chunk("lava")], vectors_of(["kelp", "lava"]))
    assert store.documents()["a.md"] == replace(document, id=1)
    kelp, lava = store.chunks_of("a.md")
    assert (kelp.page, kelp.anchors, kelp.line, kelp.end_line) == (3, chunk.anchors, 2, 3)
    assert lava.page is None


def test_vectors_come_back_bit_for_bit(store):
    bits = [0x00000000, 0x80000000, 0x00000001, 0x7F7FFFFF, 0x7F800000, 0xFFC00001, 0x3F800001, 0x33333333]
    strange = np.array([bits, bits[::-1]], np.uint32).view(np.float32)
    for layout in (strange, np.asfortranarray(strange), np.repeat(strange, 2, axis=1)[:, ::2]):
        store.put(a_document("a.md"), [a_chunk("one"), a_chunk("two")], layout)
        ids, vectors = store.all_vectors(DIMENSION)
        assert vectors.view(np.uint32).tolist() == [bits, bits[::-1]]
        assert (ids.dtype, vectors.dtype) == (np.int64, np.float32)
        known = store.known_vectors(["two"])["two"]
        assert known.view(np.uint32).tolist() == bits[::-1]


def test_vectors_after_an_id_are_those_of_newer_chunks(store):
    put(store, "a.md", "one", "two")
    newest = int(store.chunk_ids()[-1])
    assert [len(part) for part in read_vectors(store._connection, DIMENSION, newest)] == [0, 0]
    put(store, "b.md", "three")
    ids, vectors = read_vectors(store._connection, DIMENSION, newest)
    assert ids.tolist() == [newest + 1]
    assert vectors.tobytes() == vectors_of(["three"]).tobytes()


def test_a_known_text_is_found_in_whatever_document_holds_it(store):
    put(store, "a.md", "one", "shared")
    put(store, "b.md", "shared", "two")
    assert sorted(store.known_vectors(["one", "two", "shared", "One", "", "one "])) == [
        "one",
        "shared",
        "two",
    ]
    store.remove([store.documents()["a.md"].id])
    assert sorted(store.known_vectors(["one", "two", "shared"])) == ["one", "shared", "two"]
    assert store.known_vectors([]) == {}


def test_any_number_of_values_fit_into_one_lookup(store):
    if sys.version_info >= (3, 11):  # as in the oldest builds of SQLite still in use
        store._connection._db.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
    texts = [f"text {i}" for i in range(2_500)]
    put(store, "long.md", *texts)
    ids = store.chunk_ids().tolist()
    chunks = store.chunks(ids)
    assert [chunks[id_].text for id_ in ids] == texts
    assert sorted(store.known_vectors([*texts, *map(str, range(999))])) == sorted(texts)
    for n in (899, 900, 901, 1800):
        assert len(store.chunks(ids[:n])) == len(store.known_vectors(texts[:n])) == n


@pytest.mark.parametrize("n_vectors", [0, 1, 2, 4])
def test_a_wrong_number_of_vectors_leaves_the_old_document_whole(store, path, n_vectors):
    put(store, "a.md", "old one", "old two", title="old")
    chunks = [a_chunk(text) for text in ("new one", "new two", "new three")]
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is (shorter|longer) than argument 1"):
        store.put(a_document("a.md", title="new"), chunks, vectors_of(["x"] * n_vectors))
    assert contents(store) == {"a.md": as_put("old one", "old two")}
    assert (store.documents()["a.md"].title, store.generation) == ("old", 1)
    assert_sound(path)


def test_a_failure_inside_a_snapshot_takes_back_all_that_was_written_in_it(store, path):
    put(store, "a.md", "old")

    def change_and_fail():
        with store.snapshot():
            put(store, "a.md", "new")
            put(store, "b.md", "more")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        change_and_fail()
    assert contents(store) == {"a.md": as_put("old")}
    assert store.generation == 1
    assert_sound(path)


def test_a_chunk_keeps_every_number_and_word(store, path):
    chunk = Chunk(3, 9, "text\0😀 ", 5, 17, 2, 4, "Title > Part", 6)
    store.put(a_document("a.md"), [chunk], vectors_of(["x"]))
    [[id_, stored]] = store.chunks(store.chunk_ids().tolist()).items()
    document = store.documents()["a.md"]
    assert (stored.id, stored.document_id, stored.path) == (id_, document.id, "a.md")
    assert (stored.line, stored.end_line, stored.heading, stored.text) == (
        2,
        4,
        "Title > Part",
        "text\0😀 ",
    )
    columns = "start_char, end_char, start_byte, end_byte, n_tokens"
    assert sql(path, f"select {columns} from chunks") == [(3, 9, 5, 17, 6)]


def test_a_chunk_keeps_the_title_of_its_document_and_the_places_inside_it(store, path):
    anchors = ((0, 3, 1), (7, 3, 19), (9, 12_345_678, 1))
    chunks = [Chunk(0, 9, "text", 0, 9, 3, 4, "", 6, anchors), Chunk(0, 9, "more", 0, 9, 3, 4, "", 6)]
    store.put(a_document("a.md", title="Tides 🌊"), chunks, vectors_of(["x", "y"]))
    with LocalStore(path) as reader:
        stored = reader.chunks(reader.chunk_ids().tolist())
    assert [(chunk.title, chunk.anchors) for chunk in stored.values()] == [
        ("Tides 🌊", anchors),
        ("Tides 🌊", ()),
    ]
    put(store, "a.md", "text", title="Ebb")
    assert [chunk.title for chunk in store.chunks(store.chunk_ids().tolist()).values()] == ["Ebb"]


@pytest.mark.parametrize("junk", ["{", "[1]", "7", "[[1, 2]]", "no json"])
def test_places_that_are_damaged_are_named(store, path, junk):
    put(store, "a.md", "kelp")
    sum_of_junk = row_crc32(b"a.md", 1, 1, None, "", "kelp", "", junk)  # not damaged, but hostile
    sql(path, "update chunks set anchors = ?, crc32 = ?", [junk, sum_of_junk])
    with pytest.raises(IndexCorrupt, match=r"damaged \(the places in chunk 1.* index again"):
        store.chunks([1])


def test_a_document_keeps_its_language_and_fields_until_it_is_replaced(store):
    fields = {"author": ("Ann", "Bo"), "year": (2024.5,), "draft": (True, False), "note": ("",)}
    document = replace(a_document("a.md"), language="python", fields=fields)
    store.put(document, [a_chunk("kelp")], vectors_of(["kelp"]))
    put(store, "b.md", "lava")
    stored = store.documents(with_fields=True)
    assert replace(stored["a.md"], id=0) == document
    assert (stored["b.md"].language, stored["b.md"].fields) == ("", {})
    put(store, "a.md", "kelp")
    assert replace(store.documents(with_fields=True)["a.md"], id=0) == a_document("a.md")


def test_fields_are_read_only_where_they_are_asked_for(store, path):
    document = replace(a_document("a.md"), fields={"author": ("Ann",)})
    store.put(document, [a_chunk("kelp")], vectors_of(["kelp"]))
    sql(path, "alter table fields rename to elsewhere")
    assert replace(store.documents()["a.md"], id=0) == a_document("a.md")
    with pytest.raises(IndexCorrupt, match="no such table: fields"):
        store.documents(with_fields=True)


def test_ids_are_never_used_twice(path):
    used_documents, used_chunks = set(), set()
    for _ in range(3):
        with LocalStore(path, writable=True) as store:
            put(store, "a.md", "one", "two")
            put(store, "a.md", "one")
            document_ids = {document.id for document in store.documents().values()}
            chunk_ids = set(store.chunk_ids().tolist())
            assert not document_ids & used_documents
            assert not chunk_ids & used_chunks
            used_documents |= document_ids
            used_chunks |= chunk_ids
            store.remove(document_ids)
            assert store.counts() == (0, 0)


def test_a_document_keeps_its_id_when_it_is_replaced(store):
    put(store, "a.md", "one")
    before = store.documents()["a.md"].id
    put(store, "b.md", "two")
    put(store, "a.md", "three")
    assert store.documents()["a.md"].id == before


def test_odd_paths_come_back_as_they_are(path):
    with LocalStore(path, writable=True) as store:
        for odd in ODD_PATHS:
            put(store, odd, f"text of {odd!r}")
        store.journal.set_skipped([], [Skipped(odd, "odd") for odd in ODD_PATHS])
    with LocalStore(path) as store:
        documents = store.documents()
        assert sorted(documents) == sorted(ODD_PATHS)
        assert [documents[odd].path for odd in ODD_PATHS] == ODD_PATHS
        chunks = store.chunks(store.chunk_ids().tolist())
        assert {chunk.path: chunk.text for chunk in chunks.values()} == {
            odd: f"text of {odd!r}" for odd in ODD_PATHS
        }
        assert sorted(problem.path for problem in store.journal.skipped()) == sorted(ODD_PATHS)


def test_facts_replace_one_another_and_leave_the_generation_alone(store):
    put(store, "a.md", "one")
    store.set_meta(model="first", backend="flat")
    store.set_meta(model="second")
    assert store.meta() == {"model": "second", "backend": "flat", "generation": "1", "change": "1 0"}


def test_the_generation_grows_with_every_change_of_documents_and_no_other(store):
    generations = [store.generation]
    put(store, "a.md", "one")
    generations.append(store.generation)
    store.remove([1])
    generations.append(store.generation)
    assert generations == [0, 1, 2]
    store.index.use(Base("flat", "vectors-1.npy", 1, "abc", np.array([1], np.int64)))
    store.set_meta(model="x")
    store.journal.start_run(["."])
    assert store.generation == 2


def test_the_base_published_last_is_the_one_in_use(store, path):
    ids = np.array([1, 2**31, 2**53 + 1, 2**63 - 1], np.int64)
    store.index.use(Base("annoy", "old.ann", 1, "aa", ids[:1]))
    store.index.use(Base("flat", "new.npy", 7, "bb", ids))
    base = store.index.base()
    assert (base.backend, base.file, base.generation, base.sha256) == ("flat", "new.npy", 7, "bb")
    assert base.ids.tolist() == ids.tolist()
    assert sql(path, "select count(*) from bases") == [(1,)]
    store.index.use(Base("flat", "empty.npy", 8, "cc", ids[:0]))
    assert store.index.base().ids.tolist() == []


def test_the_journal_tells_how_the_latest_run_went(store):
    first = store.journal.start_run(["docs", os.fsdecode(b"\xff")])
    running = store.journal.last_run()
    assert (running.outcome, running.finished_at, running.pid) == ("running", None, os.getpid())
    assert (running.roots, running.counts) == (("docs", os.fsdecode(b"\xff")), {})
    second = store.journal.start_run([])
    assert second != first
    store.journal.finish_run(first, "complete", {"added": 1})
    assert store.journal.last_run().outcome == "running"
    store.journal.finish_run(second, "failed", {"added": 2, "removed": 0})
    latest = store.journal.last_run()
    assert (latest.outcome, latest.counts, latest.roots) == ("failed", {"added": 2, "removed": 0}, ())
    assert latest.started_at <= latest.finished_at


def test_skipped_files_are_forgotten_by_path_and_noted_anew(store):
    store.journal.set_skipped([], [Skipped("b", "too large"), Skipped("a", "unreadable")])
    assert store.journal.skipped() == [Skipped("a", "unreadable"), Skipped("b", "too large")]
    store.journal.set_skipped(["a", "never noted"], [Skipped("c", "gone")])
    assert store.journal.skipped() == [Skipped("b", "too large"), Skipped("c", "gone")]
    store.journal.set_skipped([], [Skipped("b", "still too large")])
    assert store.journal.skipped() == [Skipped("b", "still too large"), Skipped("c", "gone")]


def test_how_a_skipped_file_stood_is_noted_where_it_is_known(store):
    stamp = SkipStamp(STAMP, "ingest-1")
    paths = ("a", "b", "c", os.fsdecode(b"\xff"))
    skipped = [Skipped(path, "no text in it", STAMP.n_bytes * (path not in "bc")) for path in paths]
    store.journal.set_skipped([], skipped, {"a": stamp, os.fsdecode(b"\xff"): stamp, "not skipped": stamp})
    assert store.journal.skipped() == skipped
    assert store.journal.skip_stamps() == {"a": stamp, os.fsdecode(b"\xff"): stamp}
    store.journal.set_skipped(["b"], [Skipped("a", "unreadable")])
    assert store.journal.skip_stamps() == {os.fsdecode(b"\xff"): stamp}


def test_what_was_left_out_is_forgotten_by_path_and_noted_anew(store):
    store.journal.set_left_out([], [Skipped("b", "hidden"), Skipped("a", "ignored by .gitignore")])
    assert store.journal.left_out() == [Skipped("a", "ignored by .gitignore"), Skipped("b", "hidden")]
    store.journal.set_left_out(["a", "never noted"], [Skipped("b", "ignored"), Skipped("c", "hidden")])
    assert store.journal.left_out() == [Skipped("b", "ignored"), Skipped("c", "hidden")]
    assert store.journal.skipped() == []


def test_a_reason_that_quotes_an_odd_path_comes_back_as_it_is(store):
    odd = [
        Skipped(name, f"named twice: {name}") for name in ("Grüße", "a\nb\x1b[0m", os.fsdecode(b"ok\xff.md"))
    ]
    odd = sorted(odd, key=lambda one: os.fsencode(one.path))
    store.journal.set_skipped([], odd)
    assert store.journal.skipped() == odd
    store.journal.set_left_out([], odd)
    assert store.journal.left_out() == odd


# --- notes -----------------------------------------------------------------------------------------


def put_noted(store, path, *notes):
    store.put(a_document(path), [a_chunk("kelp")], vectors_of(["kelp"]), notes)


def test_every_note_of_a_document_is_kept_in_the_order_of_paths(store):
    put_noted(store, "b.md", "read as Windows-1252", "1 byte lost", "1 byte lost")
    put_noted(store, os.fsdecode(b"a\xff.md"), "odd name")
    put_noted(store, "c.md")
    assert store.notes() == [
        Note(os.fsdecode(b"a\xff.md"), "odd name"),
        Note("b.md", "read as Windows-1252"),
        Note("b.md", "1 byte lost"),
        Note("b.md", "1 byte lost"),
    ]


def test_notes_last_as_long_as_the_text_that_they_are_about(store):
    for path in ("a.md", "b.md", "c.md"):
        put_noted(store, path, "old")
    put_noted(store, "a.md", "new")
    put_noted(store, "b.md")
    store.restamp(store.documents()["c.md"].id, STAMP)
    assert store.notes() == [Note("a.md", "new"), Note("c.md", "old")]
    store.remove([store.documents()["c.md"].id])
    assert store.notes() == [Note("a.md", "new")]


def test_a_document_that_cannot_be_stored_leaves_the_notes_of_the_one_before(store):
    put_noted(store, "a.md", "old")
    with pytest.raises(ValueError, match="zip"):
        store.put(a_document("a.md"), [a_chunk("kelp")], vectors_of([]), ["new"])
    assert store.notes() == [Note("a.md", "old")]
