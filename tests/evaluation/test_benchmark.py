"""A collection is indexed as files are, and asked as users ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch, SentenceTransformer
from minisearch.errors import InputError
from minisearch.evaluation.benchmark import open_benchmark, path_of
from minisearch.evaluation.collection import Collection, CollectionDocument, read_collection
from minisearch.evaluation.measures import means, scores_by_query
from minisearch.filters import Field
from minisearch.stores.local import LocalStore
from minisearch.text import title_of_name
from tests.fakes import HashingEncoder

LONG = "\n\n".join(f"Paragraph {i} tells of number {i} and of nothing else at all." for i in range(12))
ENTRIES = (
    CollectionDocument("bread", "Sourdough", "Flour, water, salt."),
    CollectionDocument("tasks", "", "Run a failed task again.", {"author": ("Ada",), "year": (1843.0,)}),
    CollectionDocument("long", "Numbers", LONG + "\n\nAt the very end stands a zebra."),
    CollectionDocument("tea", "Tea", "Water must boil."),
)
QUERIES = {"q1": "salt and flour", "q2": "at the very end stands a zebra", "q3": "failed task"}


def collection(*entries: CollectionDocument, queries: Mapping[str, str] = QUERIES) -> Collection:
    corpus = {entry.id: entry for entry in entries or ENTRIES}
    judgements = {query: {next(iter(corpus)): 1} for query in queries}
    return Collection("made", "test", corpus, queries, judgements)


# --- awkward collections -----------------------------------------------------------------------------

HOSTILE_IDS = [
    *("../up", "/etc/passwd", ".", "..", "%2E", "a b", "a%20b", "a/b", "a//b", "a/../b", "naïve"),
    *("日本", "nul\0", "line\nbreak", "x" * 2_000, "Makefile.py", "-rf", "~", "\x1b[31m"),
]


def test_any_id_comes_back_as_it_was_given(encoder: HashingEncoder) -> None:
    entries = [CollectionDocument(id_, "", f"word{i} stands here") for i, id_ in enumerate(HOSTILE_IDS)]
    queries = {str(i): f"word{i}" for i in range(len(entries))}
    with open_benchmark(collection(*entries, queries=queries), encoder=encoder) as opened:
        rankings = opened.run(mode="lexical").rankings
    assert [ranking.ids for ranking in rankings.values()] == [(id_,) for id_ in HOSTILE_IDS]
    assert len({path_of(id_) for id_ in HOSTILE_IDS}) == len(HOSTILE_IDS)


def test_a_document_without_text_is_passed_over_and_told(encoder: HashingEncoder) -> None:
    entries = [
        *ENTRIES,
        CollectionDocument("void", "", " \n"),
        CollectionDocument("only a title", "Zebra crossing", ""),
    ]
    with open_benchmark(collection(*entries), encoder=encoder) as opened:
        assert [(skipped.reason) for skipped in opened.report.skipped] == ["no text in it"]
        assert "only a title" in opened.run(mode="lexical").rankings["q2"].ids


def test_queries_are_taken_as_they_stand(encoder: HashingEncoder) -> None:
    queries = {"minus": "zebra -end", "quote": '"zebra end"', "plus": "+zebra^3", "open": '"zebra'}
    with open_benchmark(collection(queries=queries), encoder=encoder) as opened:
        rankings = opened.run(mode="lexical").rankings
    assert {query: ranking.ids[0] for query, ranking in rankings.items()} == dict.fromkeys(queries, "long")


# --- the engine's own way ----------------------------------------------------------------------------


def test_documents_are_cut_as_files_with_the_same_text_are(encoder: HashingEncoder, tmp_path: Path) -> None:
    named = [replace(entry, title=title_of_name(f"{entry.id}.txt")) for entry in ENTRIES]  # as files are
    (tmp_path / "docs").mkdir()
    for entry in named:
        (tmp_path / "docs" / f"{entry.id}.txt").write_text(entry.text)
    with MiniSearch.open(tmp_path, encoder=encoder) as ms:
        ms.index(tmp_path / "docs")
        expected = [(result.text, result.score) for result in ms.query("zebra", 99, mode="dense", by="chunk")]
    with open_benchmark(collection(*named), encoder=encoder) as opened:
        results = opened.engine.query("zebra", 99, mode="dense", by="chunk")
        assert opened.report.n_chunks == len(expected) > len(ENTRIES)
    assert sorted((result.text, result.score) for result in results) == sorted(expected)


def test_a_document_cut_in_many_is_ranked_once_by_its_best_passage(encoder: HashingEncoder) -> None:
    with open_benchmark(collection(), encoder=encoder) as opened:
        ranking = opened.run(mode="dense").rankings["q2"]
        best = opened.engine.query(QUERIES["q2"], 1, mode="dense", by="chunk")[0]
    assert sorted(ranking.ids) == sorted(entry.id for entry in ENTRIES)
    assert (ranking.ids[0], ranking.scores[0]) == ("long", best.score)
    assert list(ranking.scores) == sorted(ranking.scores, reverse=True)


@pytest.mark.parametrize("whole", [False, True])
def test_a_title_counts_in_dense_search_too(encoder: HashingEncoder, whole: bool) -> None:
    queries = {"q": "sourdough"}
    with open_benchmark(collection(queries=queries), encoder=encoder, whole=whole) as opened:
        assert opened.run(mode="dense").rankings["q"].ids[0] == "bread"
    untitled = [replace(entry, title="") for entry in ENTRIES]
    with open_benchmark(collection(*untitled, queries=queries), encoder=encoder, whole=whole) as opened:
        ranking = opened.run(mode="dense").rankings["q"]
    assert ranking.scores[ranking.ids.index("bread")] == pytest.approx(
        float(encoder.encode(["sourdough"])[0] @ encoder.encode([ENTRIES[0].text])[0]), abs=1e-6
    )


def test_fields_can_be_filtered_by(encoder: HashingEncoder) -> None:
    with open_benchmark(collection(), encoder=encoder) as opened:
        results = opened.engine.query(
            "anything", where=Field("author", "=", "ada") & Field("year", "<", 1900)
        )
        assert [opened.collection_ids[result.doc_id] for result in results] == ["tasks"]


def test_no_more_than_k_documents_are_ranked(encoder: HashingEncoder) -> None:
    with open_benchmark(collection(), encoder=encoder) as opened:
        timed = opened.run(mode="dense", k=2)
    assert [len(ranking.ids) for ranking in timed.rankings.values()] == [2, 2, 2]
    assert len(timed.latencies_s) == 3


def test_latency_is_that_of_ten_passages(encoder: HashingEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    query, asked = MiniSearch.query, []

    def noted(self: MiniSearch, text: str, **options: object) -> object:
        asked.append((options["k"], options.get("by", "passage")))
        return query(self, text, **options)

    monkeypatch.setattr(MiniSearch, "query", noted)
    monkeypatch.setattr("minisearch.evaluation.benchmark.N_TIMED", 2)
    with open_benchmark(collection(), encoder=encoder) as opened:
        timed = opened.run(k=100)
    assert asked[:3] == [(100, "document")] * 3
    assert set(asked[3:]) == {(10, "passage")}
    assert len(timed.latencies_s) == 2


# --- whole documents ---------------------------------------------------------------------------------


def test_whole_documents_rank_as_the_cosines_of_title_and_text(encoder: HashingEncoder) -> None:
    texts = [f"{entry.title} {entry.text}" for entry in ENTRIES]
    cosines = encoder.encode(list(QUERIES.values())) @ encoder.encode(texts).T  # (queries, documents)
    with open_benchmark(collection(), encoder=encoder, whole=True) as opened:
        assert opened.report.n_chunks == len(ENTRIES)
        rankings = opened.run(mode="dense").rankings
    for row, ranking in zip(cosines, rankings.values(), strict=True):
        order = np.argsort(-row)
        assert ranking.ids == tuple(ENTRIES[i].id for i in order)
        assert ranking.scores == pytest.approx(row[order].tolist(), abs=1e-6)


@pytest.mark.slow
def test_dense_search_reproduces_the_reference_on_cranfield(
    minilm: SentenceTransformer, shared: Path
) -> None:
    cranfield = read_collection(shared / "cranfield")
    with open_benchmark(cranfield, encoder=minilm, whole=True) as opened:
        rankings = opened.run(mode="dense").rankings
    # Exact search over sentence-transformers' float32 vectors of title + " " + text.
    assert means(scores_by_query(rankings, cranfield.judgements))["nDCG@10"] == pytest.approx(
        0.3736, abs=1e-3
    )


@pytest.mark.slow
def test_hybrid_search_is_better_than_dense_by_nine_in_a_hundred_on_cranfield(
    minilm: SentenceTransformer, shared: Path
) -> None:
    cranfield = read_collection(shared / "cranfield")
    with open_benchmark(cranfield, encoder=minilm) as opened:
        hybrid, dense = (opened.run(mode=mode, k=10).rankings for mode in ("hybrid", "dense"))
    measured = [means(scores_by_query(one, cranfield.judgements))["nDCG@10"] for one in (hybrid, dense)]
    assert measured[0] >= 1.09 * measured[1]
    assert measured[0] >= 1.10 * 0.3736, "and than dense search over whole documents by a tenth"


# --- where the index is ------------------------------------------------------------------------------


def test_a_temporary_index_is_gone_afterwards_whatever_happened(encoder: HashingEncoder) -> None:
    with pytest.raises(KeyboardInterrupt), open_benchmark(collection(), encoder=encoder) as opened:
        folder = Path(opened.engine.status().path)
        assert folder.is_dir()
        raise KeyboardInterrupt
    assert not folder.parent.exists()


def test_a_kept_index_is_not_embedded_again_until_something_changed(tmp_path: Path) -> None:
    index = tmp_path / "kept"
    encoder = HashingEncoder()
    with open_benchmark(collection(), encoder=encoder, index=index) as opened:
        first = opened.run().rankings
        assert opened.report.added == len(ENTRIES)
    encoder.n_encoded = 0
    with open_benchmark(collection(), encoder=encoder, index=index) as opened:
        assert encoder.n_encoded == 0
        assert (opened.report.unchanged, opened.report.n_encoded) == (len(ENTRIES), 0)
        assert opened.run().rankings == first
    changed = (replace(ENTRIES[0], text="Rye."), *ENTRIES[2:])
    with open_benchmark(collection(*changed), encoder=encoder, index=index) as opened:
        report = opened.report
        assert (report.updated, report.removed, report.unchanged, report.n_encoded) == (1, 1, 2, 1)
        assert set(opened.run(mode="dense").rankings["q1"].ids) == {entry.id for entry in changed}


def test_a_change_of_title_or_fields_is_a_change(tmp_path: Path, encoder: HashingEncoder) -> None:
    index = tmp_path / "kept"
    other_title, other_fields = replace(ENTRIES[0], title="Loaf"), replace(ENTRIES[1], fields={})
    for entries, n_updated in ((ENTRIES, 0), ((other_title, other_fields, *ENTRIES[2:]), 2)):
        with open_benchmark(collection(*entries), encoder=encoder, index=index) as opened:
            assert opened.report.updated == n_updated


def test_a_kept_index_is_cut_anew_for_whole_documents(tmp_path: Path, encoder: HashingEncoder) -> None:
    for whole in (False, True, False):
        with open_benchmark(collection(), encoder=encoder, index=tmp_path / "kept", whole=whole) as opened:
            n_chunks = opened.engine.status().n_chunks
        assert (n_chunks == len(ENTRIES)) == whole


def test_an_index_of_files_is_refused_and_left_as_it_is(tmp_path: Path, encoder: HashingEncoder) -> None:
    (tmp_path / "a.txt").write_text("Mine.")
    with MiniSearch.open(tmp_path, encoder=encoder) as ms:
        ms.index(tmp_path / "a.txt")
    index = tmp_path / ".minisearch"
    with (
        pytest.raises(InputError, match="is an index of files"),
        open_benchmark(collection(), encoder=encoder, index=index),
    ):
        pass
    with LocalStore(index / "minisearch.db") as store:
        assert list(store.documents()) == ["a.txt"]
        assert "collection" not in store.meta()
