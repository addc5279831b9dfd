"""A self-test of small indexes: nothing is left to match, nothing is written, and what is broken shows."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.errors import BackendUnavailable, IndexNotFound, InputError
from minisearch.evaluation import selftest as selftest_module
from minisearch.evaluation.known_items import contains, words
from minisearch.evaluation.measures import rank_measures, reciprocal_ranks
from minisearch.evaluation.selftest import SelfTest, masked_copy, overlap, selftest
from minisearch.filters import Contains
from minisearch.stores.local import LocalStore
from minisearch.types import Hits
from minisearch.vectors.flat import FlatIndex
from tests.fakes import HashingEncoder
from tests.stores.store_cases import lexical as search_words

N_DOCUMENTS = 40
COMMON = ["the", "and", "with", "from", "into", "over", "again", "today", "often", "never", "other"]


def an_encoder() -> HashingEncoder:
    return HashingEncoder(max_tokens=80)


def write_documents(folder: Path, n: int = N_DOCUMENTS) -> None:
    """Each document has twelve words of a few dozen that title, headings and sentences are made of."""
    generator = np.random.default_rng(5)
    syllables = ["ka", "lo", "mi", "ter", "ven", "su", "gra", "pel", "no", "bi"]
    vocabulary = ["".join(generator.choice(syllables, 3).tolist()) for _ in range(60)]
    for i in range(n):
        own = generator.choice(vocabulary, 12, replace=False).tolist()

        def some(n_words: int, own: list[str] = own) -> str:
            picked = [generator.choice(own if generator.random() < 0.5 else COMMON) for _ in range(n_words)]
            return " ".join(map(str, picked)).capitalize()

        sections = [
            f"## {' '.join(generator.choice(own, 3).tolist())}\n\n{some(7)}. {some(12)}. {some(25)}.\n"
            for _ in range(3)
        ]
        title = " ".join(generator.choice(own, 4).tolist())
        text = f"# {title}\n\n" + "\n".join(sections)
        (folder / f"{i}.{'txt' if i % 4 == 0 else 'md'}").write_text(
            text if i % 4 == 0 else f"---\nnumber: {i}\n---\n{text}"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an index over its documents."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "docs").mkdir()
    write_documents(folder / "docs")
    with MiniSearch.open(folder, encoder=an_encoder()) as ms:
        ms.index(folder / "docs", backend="flat")
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Path:
    return folder / ".minisearch"


@pytest.fixture(scope="module")
def found(index: Path) -> SelfTest:
    return selftest(index, n=30, backends=["flat"], encoder=an_encoder())


def state_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def mrr(found: SelfTest, mode: str) -> float:
    (one,) = [one for one in found.engine if one.mode == mode]
    return rank_measures(one.ranks)["MRR@10"].value


# --- the copy -------------------------------------------------------------------------------------------


def test_no_passage_of_a_document_holds_its_query(index: Path) -> None:
    with (
        masked_copy(index, n=30, encoder=an_encoder()) as copy,
        LocalStore(copy.folder / "minisearch.db") as store,
    ):
        titles = {row.id: row.title for row in store.documents().values()}
        chunks = store.chunks(store.chunk_ids().tolist()).values()
        for item in copy.items:
            assert len(words(item.text)) >= 3
            own = [chunk for chunk in chunks if chunk.document_id == item.document_id]
            texts = [titles[item.document_id], *(t for c in own for t in (c.text, c.heading, c.title))]
            assert own
            assert not any(contains(text, words(item.text)) for text in texts)
            by_full_text = store.chunks(store.select(Contains(item.text)).tolist()).values()
            assert item.document_id not in {chunk.document_id for chunk in by_full_text}


def test_the_copy_says_of_its_documents_what_the_index_says(index: Path) -> None:
    with (
        masked_copy(index, n=30, encoder=an_encoder()) as copy,
        LocalStore(index / "minisearch.db") as original,
        LocalStore(copy.folder / "minisearch.db") as store,
    ):
        before, after = original.documents(with_fields=True), store.documents(with_fields=True)
        assert sum(bool(row.fields) for row in before.values()) == 3 * N_DOCUMENTS // 4
        assert after == {
            path: dataclasses.replace(row, title=after[path].title) for path, row in before.items()
        }


def test_before_masking_every_query_stood_in_its_document(index: Path) -> None:
    with masked_copy(index, n=30, encoder=an_encoder()) as copy, LocalStore(index / "minisearch.db") as store:
        for item in copy.items:
            held = store.chunks(store.select(Contains(item.text)).tolist()).values()
            assert {chunk.document_id for chunk in held} == {item.document_id}


def test_every_vector_in_the_copy_is_that_of_its_text(index: Path) -> None:
    encoder = an_encoder()
    with (
        masked_copy(index, n=30, encoder=encoder) as copy,
        LocalStore(copy.folder / "minisearch.db") as store,
    ):
        ids, vectors = store.all_vectors(encoder.dimension)
        chunks = store.chunks(ids.tolist())
        texts = [f"{chunks[id_].title} {chunks[id_].text}" for id_ in ids.tolist()]
        np.testing.assert_array_equal(vectors, encoder.encode(texts))
        assert len(chunks) == copy.n_chunks
        assert len({chunk.document_id for chunk in chunks.values()}) == copy.n_documents == N_DOCUMENTS


def test_only_passages_that_changed_are_embedded_again(index: Path) -> None:
    encoder = an_encoder()
    with masked_copy(index, n=30, encoder=encoder) as copy:
        assert 0 < encoder.n_encoded < copy.n_chunks


def test_the_index_is_only_read_and_the_copy_goes(
    folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = state_of(folder)
    selftest(index, n=20, modes=["lexical"], backends=["flat"], encoder=an_encoder())
    assert state_of(folder) == before
    assert list(tmp_path.iterdir()) == []


# --- what is measured -----------------------------------------------------------------------------------


def without_times(found: SelfTest) -> SelfTest:
    return dataclasses.replace(
        found,
        engine=tuple(dataclasses.replace(one, latencies_s=()) for one in found.engine),
        vector_indexes=tuple(
            dataclasses.replace(one, latencies_s=(), build_s=0) for one in found.vector_indexes
        ),
    )


def test_a_seed_gives_the_same_queries_and_ranks_and_another_seed_others(
    index: Path, found: SelfTest
) -> None:
    again = selftest(index, n=30, backends=["flat"], encoder=an_encoder())
    assert without_times(again) == without_times(found)
    other = selftest(index, n=30, seed=1, modes=["lexical"], backends=["flat"], encoder=an_encoder())
    assert other.items != found.items


def test_all_that_was_asked_for_is_measured_once(found: SelfTest) -> None:
    assert [(one.mode, one.backend) for one in found.engine] == [
        ("hybrid", "flat"),
        ("dense", "flat"),
        ("lexical", ""),
    ]
    assert len(found.items) == len({item.document_id for item in found.items}) == 30
    for one in found.engine:
        assert len(one.ranks) == len(one.latencies_s) == 30
        assert all(0 <= rank <= 10 for rank in one.ranks)
        assert min(one.latencies_s) > 0
    assert Path(found.items[0].path).is_file()


def test_ranks_are_those_of_the_queries_documents(index: Path, found: SelfTest) -> None:
    with masked_copy(index, n=30, encoder=an_encoder()) as copy:
        ranks = []
        for item in copy.items:
            with LocalStore(copy.folder / "minisearch.db") as store:
                hits = search_words(store, item.text, 1_000)
                of_chunk = {id_: chunk.document_id for id_, chunk in store.chunks(hits.ids.tolist()).items()}
            documents = list(dict.fromkeys(of_chunk[id_] for id_ in hits.ids.tolist()))
            rank = documents.index(item.document_id) + 1 if item.document_id in documents else 0
            ranks.append(rank if rank <= 10 else 0)
    (lexical,) = [one for one in found.engine if one.mode == "lexical"]
    assert reciprocal_ranks(lexical.ranks) == reciprocal_ranks(ranks)
    assert len(set(ranks)) > 1


@pytest.mark.annoy
def test_the_vector_index_is_compared_with_an_exact_scan(index: Path) -> None:
    found = selftest(index, n=20, modes=["lexical"], backends=["flat", "annoy"], encoder=an_encoder())
    flat, annoy = found.vector_indexes
    assert (flat.backend, annoy.backend) == ("flat", "annoy")
    assert flat.recall == 1
    assert 0.5 < annoy.recall <= 1
    n_vectors = found.n_chunks * an_encoder().dimension * 4
    for one in found.vector_indexes:
        assert one.n_bytes >= n_vectors
        assert len(one.latencies_s) == 20
        assert one.build_s > 0


def test_overlap_counts_ids_whatever_their_order() -> None:
    def hits(*ids: int) -> Hits:
        return Hits(np.array(ids, np.int64), np.zeros(len(ids), np.float32))

    assert overlap([hits(1, 2), hits(5, 6)], [hits(2, 1), hits(6, 7)]) == 3 / 4


# --- what is broken shows -------------------------------------------------------------------------------


def test_without_the_masking_the_queries_find_themselves(
    index: Path, found: SelfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest_module, "masked", lambda document, item: (document.title, document.chunks))
    unmasked = selftest(index, n=30, backends=["flat"], encoder=an_encoder())
    assert unmasked.items == found.items
    for mode in ("hybrid", "dense", "lexical"):
        assert mrr(unmasked, mode) > mrr(found, mode)
    assert mrr(unmasked, "lexical") > 0.95


def test_a_vector_index_with_shuffled_ids_lowers_the_numbers(
    index: Path, found: SelfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = FlatIndex.load.__func__  # type: ignore[attr-defined]

    def load_shuffled(cls: type[FlatIndex], path: Path, ids: np.ndarray, dimension: int) -> FlatIndex:
        whole = load(cls, path, ids, dimension)
        return cls(ids, whole._base_vectors[np.random.default_rng(0).permutation(len(ids))])

    monkeypatch.setattr(FlatIndex, "load", classmethod(load_shuffled))
    broken = selftest(index, n=30, backends=["flat"], encoder=an_encoder())
    assert found.vector_indexes[0].recall == 1
    assert broken.vector_indexes[0].recall < 0.3
    assert mrr(broken, "dense") < mrr(found, "dense") / 2
    assert mrr(broken, "lexical") == mrr(found, "lexical")


# --- what cannot be done --------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "docs").mkdir()
    write_documents(tmp_path / "docs", 19)
    (tmp_path / "docs" / "short.md").write_text("# Nothing to ask\n")
    with MiniSearch.open(tmp_path, encoder=an_encoder()) as ms:
        ms.index(tmp_path / "docs", backend="flat")
        yield tmp_path / ".minisearch"


def test_too_small_an_index_is_told_so(small: Path) -> None:
    with pytest.raises(InputError, match=r"too small for a self-test: it needs 20 documents .* 19 of its 20"):
        selftest(small, backends=["flat"], encoder=an_encoder())


def test_fewer_than_twenty_queries_are_refused(index: Path) -> None:
    with pytest.raises(InputError, match="n is 19: ask for at least 20"):
        selftest(index, n=19, encoder=an_encoder())


def test_no_index_and_no_such_backend(index: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound):
        selftest(tmp_path, backends=["flat"], encoder=an_encoder())
    with pytest.raises(InputError, match="no vector index called 'flatt'"):
        selftest(index, backends=["flatt"], encoder=an_encoder())


def test_the_index_s_own_backend_is_measured_unless_others_are_named(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(name: str) -> None:
        if name != "flat":
            raise BackendUnavailable(f"the {name} index needs a library")

    monkeypatch.setattr(selftest_module, "check_backend", check)
    found = selftest(index, n=20, modes=["dense"], encoder=an_encoder())
    assert [one.backend for one in found.vector_indexes] == ["flat"], "the index's own"
    with pytest.raises(BackendUnavailable, match="annoy"):
        selftest(index, n=20, backends=["flat", "annoy"], encoder=an_encoder())
