"""What every store does, over each of them: the local one is the reference."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.filters import Before, Contains, Extension, Field, Language, Not, Path, Since
from minisearch.indexing import writer
from minisearch.paths import DATABASE
from minisearch.search import searcher
from minisearch.search.ranking import lexical_query
from minisearch.stores.base import SkipStamp, Snapshot, Store, Term
from minisearch.stores.local import LocalStore
from minisearch.types import Note, Skipped
from tests.fakes import HashingEncoder
from tests.stores.memory_store import MemoryStore
from tests.stores.store_cases import DIMENSION, STAMP, a_chunk, a_document, lexical, vectors_of

TEXTS = {
    "guides/kelp.md": ["kelp forests grow fast", "a forest of kelp", "naïve lava"],
    "guides/lava.MD": ["lava is hot", "retries of a failed task"],
    "notes.txt": ["東京の天気", "kelp kelp kelp", "moth"],
}


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    with LocalStore(tmp_path / "minisearch.db", writable=True) as store:
        yield store


@pytest.fixture
def filled(store):
    for path, texts in TEXTS.items():
        put(store, path, *texts)
    return store


def put(store, path, *texts, **values):
    document = replace(a_document(path, title=f"Title of {path}"), **values)
    store.put(document, [a_chunk(text) for text in texts], vectors_of(texts), notes=["cut"])


def texts_of(store, ids):
    with store.snapshot() as snapshot:
        chunks = snapshot.chunks(ids.tolist())
    return [chunks[id_].text for id_ in ids.tolist()]


def all_ids(store):
    with store.snapshot() as snapshot:
        return snapshot.select(Not(Path("no such path")))


def test_both_are_stores(store):
    a_store: Store = store
    with a_store.snapshot() as snapshot:
        a_snapshot: Snapshot = snapshot
        assert a_snapshot.counts() == (0, 0)


# --- documents -------------------------------------------------------------------------------------


def test_the_manifest_keeps_what_was_set(store):
    store.set_meta(model="a", backend="flat")
    store.set_meta(model="b")
    assert {key: store.meta()[key] for key in ("model", "backend")} == {"model": "b", "backend": "flat"}


def test_the_names_of_fields_are_each_given_once_as_they_are_compared(store):
    with store.snapshot() as snapshot:
        assert snapshot.field_names() == []
    put(store, "a.md", "kelp", fields={"Author": ("Ada",), "E\u0301tat": ("x", True), "n": (1.0,)})
    put(store, "b.md", "lava", fields={"author": ("Bob",), "": ("x",)})
    with store.snapshot() as snapshot:
        assert snapshot.field_names() == ["", "author", "n", "état"]
        assert snapshot.field_names(["ÉTAT", "none", "Author", "author"]) == ["author", "état"]
        assert snapshot.field_names([]) == []


def test_documents_come_back_with_their_ids(filled):
    documents = filled.documents()
    assert documents.keys() == TEXTS.keys()
    assert len({one.id for one in documents.values()}) == 3
    assert documents["notes.txt"] == replace(
        a_document("notes.txt", title="Title of notes.txt"), id=documents["notes.txt"].id
    )


def test_stamps_are_the_states_of_the_files_when_they_were_read(filled):
    documents = filled.documents().values()
    with filled.snapshot() as snapshot:
        assert snapshot.stamps([*(one.id for one in documents), 999]) == {
            one.id: one.stamp for one in documents
        }


def test_fields_come_back_on_request(store):
    put(store, "a.md", "kelp", fields={"year": (2024.0,)})
    assert store.documents()["a.md"].fields == {}
    assert store.documents(with_fields=True)["a.md"].fields == {"year": (2024.0,)}


def test_notes_are_ordered_by_path(filled):
    assert filled.notes() == [Note(path, "cut") for path in sorted(TEXTS)]


def test_a_document_is_replaced_whole_and_no_chunk_id_is_used_twice(filled):
    before, id_ = all_ids(filled), filled.documents()["notes.txt"].id
    put(filled, "notes.txt", "new")
    after = all_ids(filled)
    assert filled.documents()["notes.txt"].id == id_
    assert len(after) == 6 and after[-1] > before[-1]
    assert "東京の天気" not in texts_of(filled, after)


def test_removed_documents_are_in_no_result(filled):
    filled.remove([filled.documents()["notes.txt"].id])
    with filled.snapshot() as snapshot:
        assert snapshot.counts() == (2, 5)
        assert snapshot.chunks_of("notes.txt") == []
        assert len(snapshot.dense(vectors_of(["moth"])[0], 9)) == 5
        assert snapshot.term_counts([Term(("moth",))]) == [0]
    assert "moth" not in texts_of(filled, lexical(filled, "moth kelp", 9).ids)


def test_vectors_of_known_texts_are_known_also_after_they_left(filled):
    filled.remove([filled.documents()["notes.txt"].id])
    known = filled.known_vectors(["moth", "lava is hot", "unknown"])
    assert known.keys() == {"moth", "lava is hot"}
    assert known["moth"].tobytes() == vectors_of(["moth"])[0].tobytes()


def test_passages_come_in_the_order_of_the_document(filled):
    with filled.snapshot() as snapshot:
        for path, texts in TEXTS.items():
            assert [one.text for one in snapshot.chunks_of(path)] == texts


def test_a_sample_of_ids_is_spread_and_always_the_same(filled):
    with filled.snapshot() as snapshot:
        assert (
            snapshot.sample_ids(3).tolist()
            == snapshot.sample_ids(3).tolist()
            == all_ids(filled)[::2][:3].tolist()
        )
        assert snapshot.sample_ids(99).tolist() == all_ids(filled).tolist()


def test_the_generation_grows_with_every_change_of_documents(store):
    generations = [store.generation]
    put(store, "a.md", "kelp")
    generations.append(store.generation)
    store.remove([store.documents()["a.md"].id])
    generations.append(store.generation)
    store.remove([])
    store.set_meta(model="a")
    assert generations == sorted(set(generations)) and generations[0] == 0
    assert store.generation == generations[-1]


def test_a_document_takes_the_stamp_of_the_latest_reading(filled):
    before, stamp = filled.documents(), replace(STAMP, mtime_ns=7, read_at_ns=8)
    filled.restamp(before["notes.txt"].id, stamp)
    assert filled.documents() == before | {"notes.txt": replace(before["notes.txt"], stamp=stamp)}


def test_what_is_removed_for_good_is_known_only_where_another_document_has_it(filled):
    put(filled, "copy.md", "moth")
    documents = filled.documents()
    filled.remove([documents["guides/lava.MD"].id])
    filled.remove([documents["notes.txt"].id], for_good=True)
    assert filled.known_vectors(["lava is hot", "moth", "kelp kelp kelp"]).keys() == {"moth"}


def test_fields_are_those_of_documents_that_match(store):
    put(store, "a.md", "kelp", fields={"year": (2024.0,), "tag": ("sea", "food")})
    put(store, "b.md", "lava", fields={"year": (1999.0,)})
    put(store, "c.txt", "moth", fields={"tag": ("air",)})
    ids = {path: one.id for path, one in store.documents().items()}
    with store.snapshot() as snapshot:
        assert snapshot.field_names() == ["tag", "year"]
        assert snapshot.fields(["YEAR", "none"], Extension("md")) == {
            ids["a.md"]: {"year": (2024.0,)},
            ids["b.md"]: {"year": (1999.0,)},
        }
        assert snapshot.fields(["tag"], Extension("txt")) == {ids["c.txt"]: {"tag": ("air",)}}
        assert snapshot.paths([ids["b.md"], 999]) == {ids["b.md"]: "b.md"}


def test_chunks_that_no_longer_exist_are_left_out_on_request(filled):
    ids = all_ids(filled).tolist()
    with filled.snapshot() as snapshot:
        assert snapshot.chunks([*ids, 999], may_be_gone=True) == snapshot.chunks(ids)


# --- the journal, and changes ----------------------------------------------------------------------


def test_the_last_run_is_the_one_that_started_last(store):
    assert store.journal.last_run() is None
    first, second = store.journal.start_run(["a"]), store.journal.start_run(["b", "c"])
    store.journal.finish_run(first, "failed", {})
    run = store.journal.last_run()
    assert (run.roots, run.outcome, run.finished_at, run.is_finished) == (("b", "c"), "running", None, False)
    store.journal.finish_run(second, "complete", {"added": 2})
    run = store.journal.last_run()
    assert (run.outcome, run.counts, run.is_finished) == ("complete", {"added": 2}, True)
    assert run.finished_at >= run.started_at


def test_records_of_skipped_files_are_replaced_and_forgotten(store):
    stamp = SkipStamp(STAMP, "ingest-1", n_crashes=2)
    b, a = Skipped("b", "too large", STAMP.n_bytes), Skipped("a", "binary file")
    store.journal.set_skipped([], [b, a], {"b": stamp})
    assert (store.journal.skipped(), store.journal.skip_stamps()) == ([a, b], {"b": stamp})
    store.journal.set_skipped(["a", "none"], [replace(b, reason="empty")])
    of_unknown_size = Skipped("b", "empty")
    assert (store.journal.skipped(), store.journal.skip_stamps()) == ([of_unknown_size], {})


def test_records_of_what_was_left_out_are_replaced_and_forgotten(store):
    kept, gone = Skipped("a/", "hidden"), Skipped("b", "ignored")
    store.journal.set_left_out([], [gone, kept])
    assert store.journal.left_out() == [kept, gone]
    store.journal.set_left_out(["b"], [replace(kept, reason="excluded")])
    assert store.journal.left_out() == [replace(kept, reason="excluded")]


def test_a_run_is_one_change_and_forgetting_secrets_leaves_what_is_stored(filled):
    before = filled.documents()
    filled.begin_change(filled.journal.start_run(["notes.txt"]))
    put(filled, "notes.txt", "new", keeps_secrets=True)
    filled.forget_secrets(lambda path: False)
    assert filled.documents().keys() == before.keys()
    assert texts_of(filled, all_ids(filled))[-1] == "new"
    assert not filled.is_outdated()


def test_the_vector_cache_changes_no_hit_and_is_not_due_once_published(filled):
    (query,) = vectors_of(["moth"])
    with filled.snapshot() as snapshot:
        before = snapshot.dense(query, 9)
    filled.index.publish("flat", DIMENSION)
    assert not filled.index.is_due("flat") and not filled.index.publish_if_due("flat", DIMENSION)
    with filled.snapshot() as snapshot:
        after = snapshot.dense(query, 9)
    assert (before.ids.tolist(), before.scores.tobytes()) == (after.ids.tolist(), after.scores.tobytes())


# --- with a folder ---------------------------------------------------------------------------------


def test_indexing_and_search_ask_nothing_else_of_a_store(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    for name, words in (
        ("kelp.md", "kelp forests grow fast"),
        ("lava.md", "lava is hot"),
        ("moth.txt", "a moth"),
    ):
        (tmp_path / "docs" / name).write_text(words)
    found = []
    for store in (None, MemoryStore()):
        folder = tmp_path / f"index-{store is None}"
        if store is not None:
            folder.mkdir()
            (folder / DATABASE).touch()
            monkeypatch.setattr(writer, "open_to_write", lambda _: nullcontext(store))  # noqa: B023
            monkeypatch.setattr(searcher, "open_store", lambda _: store)  # noqa: B023
        with MiniSearch(folder, encoder=HashingEncoder()) as ms:
            first = ms.index(tmp_path / "docs", backend="flat")
            (tmp_path / "docs" / "moth.txt").write_text("no moth")
            again = ms.index(tmp_path / "docs")
            (tmp_path / "docs" / "moth.txt").write_text("a moth")
            assert (first.added, again.updated, again.unchanged) == (3, 1, 2)
            results = [
                (one.path, one.text, round(one.score, 4))
                for mode in ("hybrid", "dense", "lexical")
                for one in ms.query("hot lava", mode=mode, where=Extension("md"))
            ]
            like = [one.text for one in ms.similar(tmp_path / "docs" / "kelp.md")]
            missing = ms.why_not(tmp_path / "docs" / "none.md", "lava").verdict
            status = ms.status()
            found.append((results, like, missing, status.n_chunks, status.last_run.outcome, status.skipped))
    assert found[0] == found[1]
    assert found[0][0] and found[0][1:3] == (["lava is hot", "no moth"], "not indexed")


# --- dense search ----------------------------------------------------------------------------------


def test_dense_search_is_brute_force(filled):
    ids = all_ids(filled)
    with filled.snapshot() as snapshot:
        vectors = snapshot.vectors(ids)
        for query in vectors_of(["one", "two", "moth"]):
            hits = snapshot.dense(query, 4)
            order = np.lexsort((ids, -(vectors @ query)))[:4]
            assert hits.ids.tolist() == ids[order].tolist()
            np.testing.assert_allclose(hits.scores, (vectors @ query)[order], atol=1e-6)
            assert hits.scores.tobytes() == snapshot.cosines(query, hits.ids).tobytes()


def test_equal_vectors_are_ordered_by_id(store):
    put(store, "a.md", "kelp", "kelp", "kelp")
    with store.snapshot() as snapshot:
        hits = snapshot.dense(vectors_of(["kelp"])[0], 2)
    assert hits.ids.tolist() == sorted(hits.ids.tolist()) and len(set(hits.scores.tolist())) == 1


@pytest.mark.parametrize("as_ids", [False, True])
def test_filters_and_exclusions_hold_inside_the_search(filled, as_ids):
    (query,) = vectors_of(["moth"])
    with filled.snapshot() as snapshot:
        ids = snapshot.select(Path("guides/**"))
        where = ids if as_ids else Path("guides/**")
        hits = snapshot.dense(query, 9, where=where)
        assert sorted(hits.ids.tolist()) == ids.tolist()
        fewer = snapshot.dense(query, 2, where=where, exclude=hits.ids[:2])
        assert fewer.ids.tolist() == hits.ids[2:4].tolist()
        words = lexical_query("kelp lava", snapshot)
        found = snapshot.lexical(words, 9, where=where)
        assert set(found.ids.tolist()) <= {*ids.tolist()} and len(found) == 5
        rest = snapshot.lexical(words, 2, where=where, exclude=found.ids[:1])
        assert rest.ids.tolist() == found.ids[1:3].tolist()


def test_the_cosine_of_no_chunk_is_nan(filled):
    with filled.snapshot() as snapshot:
        assert np.isnan(snapshot.cosines(vectors_of(["a"])[0], np.array([999], np.int64))).all()


def test_an_empty_store_has_no_hits(store):
    with store.snapshot() as snapshot:
        assert len(snapshot.dense(vectors_of(["a"])[0], 3)) == 0
        assert len(snapshot.lexical(lexical_query("a", snapshot), 3)) == 0


# --- lexical search --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("retry", ["retries of a failed task"]),
        ("NAIVE", ["naïve lava"]),
        ("天気", ["東京の天気"]),
        ("moth", ["moth"]),
        ("zebra", []),
    ],
)
def test_words_are_found_whatever_their_form(filled, query, expected):
    assert texts_of(filled, lexical(filled, query, 9).ids) == expected


def test_scores_are_bm25_over_all_chunks(store, tmp_path):
    """The local store's own scores, of the same documents; it has other lengths where some are in Chinese."""
    with LocalStore(tmp_path / "reference.db", writable=True) as reference:
        for one in (store, reference):
            for path, texts in TEXTS.items():
                put(one, path, *(text for text in texts if text.isascii()))
        for query in ("kelp", "kelp forest", "hot lava task", "title of kelp"):
            hits, expected = lexical(store, query, 9), lexical(reference, query, 9)
            assert hits.ids.tolist() == expected.ids.tolist()
            np.testing.assert_allclose(hits.scores, expected.scores, rtol=1e-5)
            np.testing.assert_allclose(hits.words, expected.words, rtol=1e-5)
            assert hits.ceiling == pytest.approx(expected.ceiling)


def test_terms_are_counted_by_chunk(filled):
    terms = [Term(("kelp",)), Term(("forests",)), Term(("kelp", "forests")), Term(("東京",)), Term(("x",))]
    with filled.snapshot() as snapshot:
        assert snapshot.term_counts(terms) == [4, 2, 1, 1, 0]  # titles count too


def test_a_query_after_a_failed_transaction_sees_what_is_stored(tmp_path):
    """Both transactions would raise the generation to the same number."""
    with LocalStore(tmp_path / "minisearch.db", writable=True) as store:
        with pytest.raises(RuntimeError), store.snapshot():
            put(store, "a.md", "moth", "moth")
            assert len(lexical(store, "moth", 9)) == len(store.dense(vectors_of(["x"])[0], 9)) == 2
            raise RuntimeError
        put(store, "a.md", "kelp")
        assert texts_of(store, lexical(store, "kelp moth", 9).ids) == ["kelp"]
        assert texts_of(store, store.dense(vectors_of(["x"])[0], 9).ids) == ["kelp"]


# --- filters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "n_expected"),
    [
        (Path("*.md"), 3),
        (Path("/guides/**"), 5),
        (Path("//guides/**"), 0),
        (Extension(".md"), 5),
        (Language("python"), 0),
        (Since(datetime(2023, 1, 1, tzinfo=timezone.utc)), 8),
        (Before(datetime(2023, 1, 1, tzinfo=timezone.utc)), 0),
        (Contains("grow fast"), 1),
        (Contains("天"), 1),
        (Contains("天気"), 1),
        (Not(Contains("lava")), 5),
        (Path("*.md") | Contains("moth"), 4),
        (Path("*.md") & Contains("kelp"), 3),
    ],
)
def test_a_filter_leaves_the_same_chunks_in_every_store(filled, where, n_expected):
    with filled.snapshot() as snapshot:
        assert len(snapshot.select(where)) == n_expected


@pytest.mark.parametrize(
    ("where", "is_left"),
    [
        (Field("Author", "=", "ada lovelace"), True),
        (Field("author", "contains", "LOVE"), True),
        (Field("year", ">=", 2024), True),
        (Field("year", "<", 2024), False),
        (Field("year", "=", "2024"), False),
        (Field("year", "!=", 7), True),
        (Field("draft", "=", True), True),
        (Field("draft", "=", 1), False),
        (Field("missing", "!=", 1), True),
    ],
)
def test_a_field_is_compared_by_its_kind(store, where, is_left):
    fields = {"author": ("Ada Lovelace",), "year": (2024.0,), "draft": (True,)}
    put(store, "a.md", "kelp", fields=fields)
    with store.snapshot() as snapshot:
        assert (len(snapshot.select(where)) == 1) == is_left
