"""The generation before comes back as it was, and then the one after it; what a change is."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.errors import IndexCorrupt, InputError
from minisearch.stores.base import RollbackReport
from minisearch.stores.local import LocalStore, connection
from minisearch.stores.local.journal import MOST_RUNS
from minisearch.stores.local.seal import read_seal
from minisearch.types import Note, Skipped
from tests.stores.store_cases import (
    DIMENSION,
    a_chunk,
    a_document,
    as_put,
    assert_sound,
    contents,
    lexical,
    put,
    sql,
    vectors_of,
)

PATHS = ["a.md", "b.md", "ü/c.md", "d.md"]
TEXTS = ["kelp and lava", "東京の天気", "CO₂", "", "moth"]  # two of them are rewritten for the full text


def everything(store):
    """What a store holds, but for ids: documents with fields and notes, passages, vectors, words."""
    documents = store.documents(with_fields=True)
    ids, vectors = store.all_vectors(DIMENSION)
    of_id = dict(zip(ids.tolist(), vectors.tolist(), strict=True))
    return {
        path: (
            replace(document, id=0),
            [(replace(c, id=0, document_id=0), of_id[c.id]) for c in store.chunks_of(path)],
            [note.text for note in store.notes() if note.path == path],
            sorted(
                word
                for word in ("kelp", "moth", "co2", "東京")
                for c in store.chunks_of(path)
                if c.id in lexical(store, word, 100).ids
            ),
        )
        for path, document in documents.items()
    }


def put_rich(store, path, texts, title="", notes=()):
    document = replace(
        a_document(path, title=title), fields={"tags": ("x", title), "n": (1.5,), "b": (True,)}
    )
    chunks = [replace(a_chunk(text), page=n, anchors=((0, n, 1),)) for n, text in enumerate(texts, 1)]
    store.put(document, chunks, vectors_of(texts), notes)


def test_the_generation_before_comes_back_whole_and_then_the_one_after(path):
    with LocalStore(path, writable=True) as store:
        put_rich(store, "a.md", TEXTS, title="First", notes=["cut"])
        put_rich(store, "b.md", ["gone soon"])
        before = everything(store)
    with LocalStore(path, writable=True) as store:
        put_rich(store, "a.md", ["only this"], title="Second")
        put_rich(store, "a.md", ["only this, again"], title="Third")
        store.remove([store.documents()["b.md"].id])
        put_rich(store, "c.md", ["new"])
        after, newest, generation = everything(store), store.chunk_ids()[-1], store.generation
        assert store.roll_back() == RollbackReport(added=1, updated=1, removed=1)
        assert everything(store) == before
        assert store.chunk_ids()[0] > newest  # no id is used twice: an index file knows them by their ids
        assert store.generation == generation + 1
        assert_sound(path)
    with LocalStore(path, writable=True) as store:
        assert store.roll_back() == RollbackReport(added=1, updated=1, removed=1)
        assert everything(store) == after
        assert store.roll_back() == RollbackReport(added=1, updated=1, removed=1)
        assert everything(store) == before
    assert_sound(path)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PATHS), st.lists(st.sampled_from(TEXTS), max_size=3)),
        st.tuples(st.just("remove"), st.sampled_from(PATHS), st.none()),
    ),
    max_size=5,
)


@settings(max_examples=30, deadline=None)
@given(changes=st.lists(steps, min_size=1, max_size=4), data=st.data())
def test_any_change_is_taken_back_and_made_again(tmp_path_factory, changes, data):
    path = tmp_path_factory.mktemp("undo") / "minisearch.db"
    history = [{}]
    for change in changes:
        with LocalStore(path, writable=True) as store:
            n_done = 0
            for step, name, texts in change:
                documents = store.documents()
                if step == "put":
                    put_rich(store, name, texts, title=data.draw(st.sampled_from(["", "計画", "Plan"])))
                elif name in documents:
                    store.remove([documents[name].id])
                n_done += step == "put" or name in documents
            history += [everything(store)] if n_done else []
    with LocalStore(path, writable=True) as store:
        for expected in (history[-2:] * 2)[:3] if len(history) > 1 else []:
            store.roll_back()
            assert everything(store) == expected
        if len(history) == 1:
            with pytest.raises(InputError, match="no earlier generation"):
                store.roll_back()
    assert_sound(path)


def test_an_empty_store_has_nothing_to_take_back(store):
    with pytest.raises(InputError, match="there is no earlier generation to go back to"):
        store.roll_back()
    assert store.generation == 0


def test_the_first_run_can_be_taken_back_too(store):
    put(store, "a.md", "kelp")
    assert store.roll_back() == RollbackReport(0, 0, 1)
    assert contents(store) == {}
    assert store.roll_back() == RollbackReport(1, 0, 0)
    assert contents(store) == {"a.md": as_put("kelp")}


def a_run(path, outcome, **documents):
    with LocalStore(path, writable=True) as store:
        run_id = store.journal.start_run(["docs"])
        store.begin_change(run_id)
        for name, text in documents.items():
            put(store, name, text)
        if outcome:
            store.journal.finish_run(run_id, outcome, {})


@pytest.mark.parametrize("outcome", ["interrupted", "failed", None])
def test_a_run_that_was_cut_short_and_the_one_that_goes_on_are_one_change(path, outcome):
    a_run(path, "complete", a="one", b="one")
    a_run(path, outcome, a="two")
    a_run(path, "complete", b="two", c="two")
    with LocalStore(path, writable=True) as store:
        assert store.roll_back() == RollbackReport(0, 2, 1)
        assert contents(store) == {"a": as_put("one"), "b": as_put("one")}


def test_a_complete_run_is_a_change_of_its_own(path):
    a_run(path, "interrupted", a="one")
    a_run(path, "complete", b="one")
    a_run(path, "complete", b="two")
    a_run(path, "complete")  # nothing was changed
    with LocalStore(path, writable=True) as store:
        assert store.roll_back() == RollbackReport(0, 1, 0)
        assert contents(store) == {"a": as_put("one"), "b": as_put("one")}


def test_a_removal_after_a_run_that_was_cut_short_is_a_change_of_its_own(path):
    a_run(path, "interrupted", a="one", b="one")
    with LocalStore(path, writable=True) as store:
        store.remove([store.documents()["a"].id])
    with LocalStore(path, writable=True) as store:
        store.roll_back()
        assert contents(store) == {"a": as_put("one"), "b": as_put("one")}
    a_run(path, "complete", b="two")
    with LocalStore(path, writable=True) as store:
        store.roll_back()
        assert contents(store) == {"a": as_put("one"), "b": as_put("one")}


def test_a_change_that_failed_leaves_the_one_before_it_to_be_taken_back(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "two")
    with LocalStore(path, writable=True) as store:
        for _ in range(2):
            with pytest.raises(ValueError, match="zip"):
                store.put(a_document("a.md"), [a_chunk("three")], vectors_of([]))
    with LocalStore(path, writable=True) as store:
        assert contents(store) == {"a.md": as_put("two")}
        store.roll_back()
        assert contents(store) == {"a.md": as_put("one")}


def test_a_change_that_failed_once_is_kept_whole_when_it_is_tried_again(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        with pytest.raises(ValueError, match="zip"):
            store.put(a_document("a.md"), [a_chunk("half")], vectors_of([]))
        put(store, "a.md", "two")
        put(store, "b.md", "two")
        store.roll_back()
        assert contents(store) == {"a.md": as_put("one")}


def test_a_rollback_that_fails_changes_nothing(store, path, monkeypatch):
    put(store, "a.md", "one")
    put(store, "b.md", "one")
    store.begin_change(7)
    put(store, "a.md", "two")
    store.remove([store.documents()["b.md"].id])
    before = everything(store), store.generation
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(
            LocalStore, "_raise_generation", lambda _: (_ for _ in ()).throw(RuntimeError("power cut"))
        )
        store.roll_back()
    assert (everything(store), store.generation) == before
    assert store.roll_back() == RollbackReport(1, 1, 0)
    assert contents(store) == {"a.md": as_put("one"), "b.md": as_put("one")}
    assert_sound(path)


def test_the_facts_of_the_generation_before_come_back(path):
    with LocalStore(path, writable=True) as store:
        store.set_meta(model="m", cut="200")
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        store.set_meta(model="m", cut="100")  # before the run begins its change
        run_id = store.journal.start_run([])
        store.begin_change(run_id)
        put(store, "a.md", "two")
        store.set_meta(baseline="measured", cut="50")
        store.journal.finish_run(run_id, "complete", {})
    with LocalStore(path, writable=True) as store:
        store.roll_back()
        assert {key: store.meta()[key] for key in ("model", "cut")} == {"model": "m", "cut": "200"}
        store.roll_back()
        assert {key: store.meta()[key] for key in ("model", "cut")} == {"model": "m", "cut": "50"}


def test_facts_that_changed_without_a_document_belong_to_no_change(path):
    with LocalStore(path, writable=True) as store:
        store.set_meta(backend="flat")
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        store.set_meta(backend="annoy")
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "two")
        store.roll_back()
        assert store.meta()["backend"] == "annoy"


def test_a_branch_switched_there_and_back_needs_no_new_vectors(path):
    """In several windows, as a long run stores them: none may forget what a later one needs."""
    main, branch = [f"main {n}" for n in range(4)], [f"branch {n}" for n in range(4)]
    for texts, others in ((main, branch), (branch, main), (main, branch)):
        with LocalStore(path, writable=True) as store:
            is_new = not store.documents()
            for n, text in enumerate(texts):
                known = store.known_vectors([text])
                if others is branch and not is_new:
                    assert known[text].tobytes() == vectors_of([text])[0].tobytes()
                put(store, f"{n}.md", text)
    with LocalStore(path) as reader:
        assert sorted(reader.known_vectors(main + branch)) == sorted(main + branch)


def test_what_is_older_than_the_generation_before_is_forgotten(path):
    for text in ("one", "two", "three"):
        with LocalStore(path, writable=True) as store:
            put(store, "a.md", text)
            put(store, f"{text}.md", text)
    with LocalStore(path) as reader:
        assert sorted(reader.known_vectors(["one", "two", "three"])) == ["one", "three", "two"]
    assert sql(path, "select text from undo_chunks") == [("two",)]
    assert len(sql(path, "select * from undo_documents")) == 2


def test_a_kept_vector_that_is_damaged_is_named(path):
    for text in ("one", "two"):
        with LocalStore(path, writable=True) as store:
            put(store, "a.md", text)
    sql(path, "update undo_chunks set vector = zeroblob(32)")
    with LocalStore(path) as reader, pytest.raises(IndexCorrupt, match="is not what was stored"):
        reader.known_vectors(["one"])


def test_a_document_that_comes_back_is_no_longer_among_those_passed_over(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        store.remove([store.documents()["a.md"].id])
        store.journal.set_skipped([], [Skipped("a.md", "unreadable"), Skipped("b.md", "too large")])
        store.roll_back()
        assert store.journal.skipped() == [Skipped("b.md", "too large")]


def test_a_killed_rollback_is_done_or_not(path):
    """Its transaction is not committed: what another connection sees is the state before."""
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "two")
        with LocalStore(path) as reader:
            with store.snapshot():
                store.roll_back()
                assert contents(reader) == {"a.md": as_put("two")}
            assert contents(reader) == {"a.md": as_put("one")}


def test_notes_and_fields_of_a_document_that_is_put_twice_are_those_of_the_second(store):
    put_rich(store, "a.md", ["one"], title="x", notes=["first"])
    put_rich(store, "a.md", ["one"], title="y", notes=["second"])
    assert store.notes() == [Note("a.md", "second")]
    assert store.documents(with_fields=True)["a.md"].fields["tags"] == ("x", "y")


def test_sqlite_writes_as_little_as_it_can_when_much_is_forgotten(path):
    """Debian's SQLite overwrites every page it frees, which takes seconds for a large generation."""
    with LocalStore(path, writable=True) as store:
        assert store._connection.rows("pragma secure_delete") == [(2,)]
    assert sqlite3.sqlite_version_info >= (3, 20)


def test_a_hundred_runs_are_remembered(path):
    with LocalStore(path, writable=True) as store:
        for n in range(MOST_RUNS + 5):
            store.journal.finish_run(store.journal.start_run([f"{n}"]), "complete", {})
        assert store.journal.last_run().roots == (f"{MOST_RUNS + 4}",)
    assert sql(path, "select count(*), min(id), max(id) from runs") == [(MOST_RUNS, 6, MOST_RUNS + 5)]


def test_a_change_whose_run_is_forgotten_has_come_to_its_end(path):
    a_run(path, "complete", a="one")
    with LocalStore(path, writable=True) as store:
        for _ in range(MOST_RUNS):
            store.journal.finish_run(store.journal.start_run([]), "complete", {})
    a_run(path, "complete", a="two")
    with LocalStore(path, writable=True) as store:
        assert store.roll_back() == RollbackReport(0, 1, 0)
        assert contents(store) == {"a": as_put("one")}


# --- what must not come back, and what takes room --------------------------------------------------

SECRET = "ghp_qqzzxxvvkkjjwwyyqqzzxxvvkkjjwwyy1234"


def put_secret(store, path, *, keeps_secrets, text):
    document = replace(a_document(path), keeps_secrets=keeps_secrets, fields={"key": (text,)})
    store.put(document, [a_chunk(text)], vectors_of([text]), [text])


def bytes_of(path):
    return b"".join(file.read_bytes() for file in path.parent.glob("minisearch.db*"))


@pytest.mark.parametrize("ends_as", ["screened", "removed"])
def test_what_is_screened_now_does_not_come_back(path, ends_as):
    with LocalStore(path, writable=True) as store:
        for name in ("a.md", "b.md"):
            put_secret(store, name, keeps_secrets=True, text=f"{SECRET} {name}")
        put(store, "c.md", *("kelp" for _ in range(50)))
    with LocalStore(path, writable=True) as store:
        store.remove([store.documents()["b.md"].id])
        if ends_as == "screened":
            put_secret(store, "a.md", keeps_secrets=False, text="[secret]")
        else:
            store.remove([store.documents()["a.md"].id])
        put(store, "c.md", "lava")
        store.forget_secrets(lambda name: name == "b.md")
    of_a, of_b = f"{SECRET} a.md".encode(), f"{SECRET} b.md".encode()
    assert of_a not in bytes_of(path)
    assert of_b in bytes_of(path)
    assert_sound(path)
    with LocalStore(path, writable=True) as store:
        store.roll_back()
        held = contents(store)
        assert held["c.md"] == as_put(*("kelp" for _ in range(50)))
        assert held["b.md"] == as_put(f"{SECRET} b.md")
        assert held.get("a.md") == (as_put("[secret]") if ends_as == "screened" else None)
    assert_sound(path)


@pytest.mark.parametrize("ends_as", ["interrupted", "without room"])
def test_what_is_screened_now_leaves_the_file_later_if_it_could_not_at_once(
    path, monkeypatch, caplog, ends_as
):
    with LocalStore(path, writable=True) as store:
        put_secret(store, "a.md", keeps_secrets=True, text=f"{SECRET} " * 500)

    def screen():
        with LocalStore(path, writable=True) as store:
            put_secret(store, "a.md", keeps_secrets=False, text="[secret]")
            store.forget_secrets(lambda _: False)
            if ends_as == "interrupted":
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection.Connection, "shrink", lambda *_, **__: False)
        if ends_as == "interrupted":
            with pytest.raises(KeyboardInterrupt):
                screen()
        else:
            with caplog.at_level(logging.DEBUG):
                screen()
            assert [one.levelname for one in caplog.records] == ["WARNING"]
            assert "bytes of deleted secrets stay" in caplog.messages[0]
    assert SECRET.encode() in bytes_of(path)
    with LocalStore(path) as reader:
        assert contents(reader) == {"a.md": as_put("[secret]")}
    assert SECRET.encode() in bytes_of(path)  # who reads writes nothing
    with LocalStore(path, writable=True):
        pass  # there is nothing else to do
    before = bytes_of(path)
    assert SECRET.encode() not in before
    with LocalStore(path, writable=True):
        pass  # nor that
    assert bytes_of(path) == before
    assert read_seal(path).n_bytes == path.stat().st_size
    assert_sound(path)


@pytest.mark.parametrize("is_due", [False, True])
def test_a_file_that_another_holds_is_not_shrunk_until_a_later_run(path, monkeypatch, is_due):
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.05)
    a_large_change(path, 1)
    with LocalStore(path, writable=True) as store:
        store.remove([one.id for one in store.documents().values()], for_good=True)
    before = path.stat().st_size
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        store = LocalStore(path, writable=True)
        put(store, "a.md", "new")
        store._undo.forget()
        other.execute("begin immediate")
        started_s = time.monotonic()
        assert not store._connection.shrink(is_due=is_due)
        store._connection.close()
        assert time.monotonic() - started_s < 5
    assert path.stat().st_size >= before
    with LocalStore(path, writable=True) as store:
        put(store, "b.md", "new")
    assert path.stat().st_size < before / 2
    assert_sound(path)


def test_nothing_is_written_where_there_are_no_secrets_to_forget(path):
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "one")
    with LocalStore(path, writable=True) as store:
        put(store, "a.md", "two")
    before = path.read_bytes()
    with LocalStore(path, writable=True) as store:
        store.forget_secrets(lambda _: False)
    assert path.read_bytes() == before


def a_large_change(path, n, n_documents=60):
    with LocalStore(path, writable=True) as store, store.snapshot():
        for one in range(n_documents):
            put(store, f"{one}.md", *(f"kelp {n} {one} {part} " + "x" * 400 for part in range(20)))


def test_a_file_never_takes_more_than_twice_what_it_holds(path):
    for n in range(5):
        a_large_change(path, n)
        if n == 1:
            holds_two = path.stat().st_size
    assert path.stat().st_size <= 2 * holds_two
    for _ in range(2):  # the second one forgets what the first has kept
        with LocalStore(path, writable=True) as store:
            put(store, "last.md", "last")
            gone = [one.id for name, one in store.documents().items() if name != "last.md"]
            store.remove(gone, for_good=True)
    with LocalStore(path, writable=True) as store:
        assert contents(store) == {"last.md": as_put("last")}
        assert store.roll_back() == RollbackReport(0, 1, 0)
    assert path.stat().st_size < max(holds_two / 2, 4096 * connection.SHRUNK_FROM) / 2
    assert read_seal(path).n_bytes == path.stat().st_size
    assert_sound(path)


def test_a_file_that_is_read_shrinks_another_time(path, monkeypatch):
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.05)
    a_large_change(path, 1)
    before = path.stat().st_size
    with LocalStore(path, writable=True) as store:
        store.remove([one.id for one in store.documents().values()])
    with LocalStore(path) as reader, reader.snapshot():
        n_before = len(contents(reader))
        with LocalStore(path, writable=True) as store:
            put(store, "a.md", "new")
        assert len(contents(reader)) == n_before
        assert path.stat().st_size == before or path.stat().st_size > before / 2
    with LocalStore(path, writable=True) as store:
        put(store, "b.md", "new")
    assert path.stat().st_size < before / 2
    with LocalStore(path) as reader:
        assert contents(reader) == {"a.md": as_put("new"), "b.md": as_put("new")}


def test_a_file_whose_shrinking_is_interrupted_is_as_it_was_and_shrinks_another_time(path, monkeypatch):
    a_large_change(path, 1)
    before = path.stat().st_size
    with LocalStore(path, writable=True) as store:
        store.remove([one.id for one in store.documents().values()], for_good=True)
    steps = []

    def stop_late():
        steps.append(1)
        if len(steps) > 2:
            raise KeyboardInterrupt  # as a signal handler does

    store = LocalStore(path, writable=True)
    put(store, "a.md", "new")
    store._undo.forget()
    store._connection._db.set_progress_handler(stop_late, 10)
    with pytest.raises(KeyboardInterrupt):
        store._connection.shrink()
    store._connection._db.set_progress_handler(None, 1)
    store._close(skip_maintenance=True)
    assert path.stat().st_size >= before
    with LocalStore(path) as reader:
        assert contents(reader) == {"a.md": as_put("new")}
    assert_sound(path)
    with LocalStore(path, writable=True) as store:
        put(store, "b.md", "new")
    assert path.stat().st_size < before / 2
    assert_sound(path)
