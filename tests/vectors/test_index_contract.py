"""What every backend promises, held against brute force."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from minisearch.errors import InputError
from tests.vectors.index_cases import ALL_BACKENDS, brute_force, index_class, some_ids, unit_rows

NO_IDS = np.empty(0, np.int64)


def no_vectors(dimension=24):
    return np.empty((0, dimension), np.float32)


def assert_same_as_brute_force(index, ids, vectors, query, k):
    [hits] = index.search(query[None], k)
    expected = brute_force(ids, vectors, query, k)
    assert hits.ids.tolist() == [id_ for id_, _ in expected]
    np.testing.assert_allclose(hits.scores, [score for _, score in expected], atol=1e-6)
    assert hits.ids.dtype == np.int64
    assert hits.scores.dtype == np.float32


def test_an_empty_base_answers_with_nothing(backend, tmp_path):
    index = backend.build(NO_IDS, no_vectors())
    index.save(tmp_path / "base")
    for empty in (index, backend.load(tmp_path / "base", NO_IDS, 24)):
        [hits] = empty.search(unit_rows(1), k=5)
        assert (len(hits), len(empty), empty.dimension) == (0, 0, 24)
        assert empty.search(no_vectors(), k=5) == []


def test_one_vector_is_the_answer_to_everything(backend):
    ids, vectors = some_ids(1), unit_rows(1)
    for query in unit_rows(3, seed=1):
        assert_same_as_brute_force(backend.build(ids, vectors), ids, vectors, query, k=3)


@pytest.mark.parametrize("n", [2, 17, 90, 400])
@pytest.mark.parametrize("k", [1, 10, 89, 1000])
def test_the_nearest_come_first_or_all_where_there_are_fewer(backend, n, k):
    ids, vectors = some_ids(n), unit_rows(n)
    index = backend.build(ids, vectors)
    for query in unit_rows(5, seed=1):
        assert_same_as_brute_force(index, ids, vectors, query, k)


def test_vectors_of_one_dimension_and_of_an_odd_one(backend):
    for dimension in (1, 7):
        ids, vectors = some_ids(40), unit_rows(40, dimension)
        assert_same_as_brute_force(
            backend.build(ids, vectors), ids, vectors, unit_rows(1, dimension)[0], k=40
        )


def test_equal_scores_are_ordered_by_id(backend):
    vectors = np.repeat(unit_rows(1000), 3, axis=0)[np.random.default_rng(1).permutation(3000)]
    ids = some_ids(3000)
    index = backend.build(ids, vectors)
    for query in vectors[:10]:
        for k in (1, 2, 3, 4):  # cuts inside the three copies, and after them
            assert_same_as_brute_force(index, ids, vectors, query, k)


def test_a_thousand_copies_come_in_order_of_their_ids(backend):
    ids, vectors = some_ids(1000), np.repeat(unit_rows(1), 1000, axis=0)
    index = backend.build(ids, vectors)
    [hits] = index.search(vectors[:1], k=10)
    assert hits.ids.tolist() == ids[:10].tolist()
    assert len(set(hits.scores.tolist())) == 1
    index.set_changes(NO_IDS, vectors[:0], ids[:995])
    [hits] = index.search(vectors[:1], k=10)
    assert hits.ids.tolist() == ids[995:].tolist()


def test_the_last_place_goes_to_the_smallest_id_among_many_copies(backend):
    vectors = unit_rows(2000)
    copies = np.random.default_rng(2).permutation(2000)[:100]
    vectors[copies] = vectors[copies[0]]
    ids = some_ids(2000)
    assert_same_as_brute_force(backend.build(ids, vectors), ids, vectors, vectors[copies[0]], k=30)


def test_scores_a_rounding_apart_are_ordered_by_the_one_score(backend):
    """The same numbers in other orders, against equal weights: who sums otherwise ranks otherwise."""
    rng = np.random.default_rng(3)
    row = unit_rows(1, 384)[0]
    vectors = np.array([rng.permutation(row) for _ in range(400)])
    query = np.full((1, 384), 384**-0.5, np.float32)
    expected = index_class("flat").build(some_ids(400), vectors).search(query, k=10)[0]
    assert len(set(expected.scores.tolist())) > 1
    assert backend.build(some_ids(400), vectors).search(query, k=10)[0].ids.tolist() == expected.ids.tolist()


def test_what_a_graph_does_not_reach_is_no_hit_twice_and_no_hit_less():
    class Sparse(index_class("hnsw")):
        n_neighbours, ef_construction, ef_search = 2, 2, 1

    ids, vectors, queries = some_ids(2000), unit_rows(2000), unit_rows(50, seed=1)
    index = Sparse.build(ids, vectors)
    assert any((index._index.search(query[None], 400)[1] < 0).any() for query in queries)  # FAISS gave up
    for query, hits in zip(queries, index.search(queries, k=390), strict=True):
        score_of = dict(brute_force(ids, vectors, query, 2000))
        assert len(set(hits.ids.tolist())) == 390
        np.testing.assert_allclose(hits.scores, [score_of[id_] for id_ in hits.ids.tolist()], atol=1e-6)


def test_with_everything_removed_nothing_is_found(backend):
    ids, vectors = some_ids(300), unit_rows(300)
    index = backend.build(ids[:200], vectors[:200])
    index.set_changes(ids[200:], vectors[200:], ids)
    [hits] = index.search(unit_rows(1, seed=1), k=10)
    assert len(hits) == len(index) == len(index.ids) == 0
    assert (index.n_base, len(index)) == (200, 0)


def test_a_delta_on_an_empty_base_is_searched(backend):
    ids, vectors = some_ids(50), unit_rows(50)
    index = backend.build(NO_IDS, no_vectors())
    index.set_changes(ids, vectors, NO_IDS)
    for query in unit_rows(3, seed=1):
        assert_same_as_brute_force(index, ids, vectors, query, k=7)


def test_base_and_delta_are_searched_as_one(backend):
    ids, vectors = some_ids(500), unit_rows(500)
    index = backend.build(ids[:400], vectors[:400])
    removed = ids[::3]
    index.set_changes(ids[400:], vectors[400:], removed)
    live = ~np.isin(ids, removed)
    assert index.ids.tolist() == ids[live].tolist()
    assert (index.n_base, len(index)) == (400, 333)
    for query in unit_rows(10, seed=1):
        assert_same_as_brute_force(index, ids[live], vectors[live], query, k=10)


def test_changes_replace_the_changes_before(backend):
    ids, vectors = some_ids(120), unit_rows(120)
    index = backend.build(ids[:100], vectors[:100])
    index.set_changes(ids[100:], vectors[100:], ids[:50])
    index.set_changes(NO_IDS, vectors[:0], ids[:1])
    assert index.ids.tolist() == ids[1:100].tolist()


def test_removing_an_id_that_is_not_there_changes_nothing(backend):
    ids, vectors = some_ids(10), unit_rows(10)
    index = backend.build(ids, vectors)
    index.set_changes(NO_IDS, vectors[:0], np.array([1, 10**12]))
    assert (index.n_base, len(index)) == (10, 10)


def test_with_nine_in_ten_removed_the_search_widens_until_k(backend):
    ids, vectors = some_ids(4000), unit_rows(4000)
    index = backend.build(ids, vectors)
    for query in unit_rows(5, seed=1):
        nearest = np.argsort(vectors @ query)[::-1][:3600]
        index.set_changes(NO_IDS, vectors[:0], np.sort(ids[nearest]))
        live = np.setdiff1d(np.arange(4000), nearest)
        assert_same_as_brute_force(index, ids[live], vectors[live], query, k=10)
        index.set_changes(NO_IDS, vectors[:0], ids[np.arange(4000) % 10 > 0])
        assert_same_as_brute_force(index, ids[::10], vectors[::10], query, k=10)


def test_a_saved_index_answers_as_before(backend, tmp_path):
    ids, vectors, queries = some_ids(900), unit_rows(900), unit_rows(20, seed=1)
    built = backend.build(ids, vectors)
    path = tmp_path / f"a folder é{backend.suffix}"
    built.save(path)
    loaded = backend.load(path, ids, 24)
    again = tmp_path / "again"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
    for before, after in zip(built.search(queries, 10), loaded.search(queries, 10), strict=True):
        assert before.ids.tolist() == after.ids.tolist()
        assert before.scores.tobytes() == after.scores.tobytes()


def test_a_mapped_index_still_answers_once_its_file_is_replaced_and_gone(backend, tmp_path):
    ids, vectors = some_ids(900), unit_rows(900)
    backend.build(ids, vectors).save(tmp_path / "old")
    index = backend.load(tmp_path / "old", ids, 24)
    backend.build(ids, unit_rows(900, seed=5)).save(tmp_path / "new")
    (tmp_path / "new").replace(tmp_path / "old")
    (tmp_path / "old").unlink()
    assert_same_as_brute_force(index, ids, vectors, unit_rows(1, seed=1)[0], k=10)


def test_building_twice_gives_the_same_file(backend, tmp_path):
    for name in ("one", "two"):
        backend.build(some_ids(2000), unit_rows(2000)).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_scores_have_the_same_bits_wherever_a_vector_lies(backend, tmp_path):
    """Base or delta, built or loaded, few candidates or a scan, one query or many: one score a pair."""
    flat = index_class("flat")
    for dimension in (7, 24, 384):
        ids, vectors, queries = some_ids(600), unit_rows(600, dimension), unit_rows(20, dimension, seed=1)
        reference = [
            dict(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))
            for hits in flat.build(ids, vectors).search(queries, k=600)
        ]
        base = backend.build(ids[:450], vectors[:450])
        base.save(tmp_path / "base")
        for index in (base, backend.load(tmp_path / "base", ids[:450], dimension)):
            index.set_changes(ids[450:], vectors[450:], NO_IDS)
            for k in (1, 10, 600):
                for query, hits, expected in zip(queries, index.search(queries, k), reference, strict=True):
                    [alone] = index.search(query[None], k)
                    assert alone.scores.tobytes() == hits.scores.tobytes()
                    assert hits.scores.tolist() == [expected[id_] for id_ in hits.ids.tolist()]


def test_searching_while_changes_arrive_sees_all_of_them_or_none(backend):
    ids, vectors = some_ids(600), unit_rows(600)
    index = backend.build(ids[:500], vectors[:500])
    query = unit_rows(1, seed=1)
    before = index.search(query, k=10)[0].ids.tolist()

    def change():
        index.set_changes(ids[500:], vectors[500:], np.sort(np.array(before)))

    change()
    after = index.search(query, k=10)[0].ids.tolist()
    assert not set(before) & set(after)
    stop = threading.Event()

    def keep_changing():
        while not stop.is_set():
            index.set_changes(NO_IDS, vectors[:0], NO_IDS)
            change()

    writer = threading.Thread(target=keep_changing)
    writer.start()
    try:
        seen = {tuple(index.search(query, k=10)[0].ids.tolist()) for _ in range(300)}
    finally:
        stop.set()
        writer.join()
    assert seen <= {tuple(before), tuple(after)}


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_less_than_one_hit_is_refused(backend, k):
    with pytest.raises(InputError, match=f"k is {k}; ask for at least 1"):
        backend.build(some_ids(3), unit_rows(3)).search(unit_rows(1), k)


@pytest.mark.parametrize("shape", [(24,), (1, 23), (1, 1, 24)])
def test_queries_of_another_shape_are_refused(backend, shape):
    with pytest.raises(InputError, match=r"this index takes \(q, 24\)"):
        backend.build(some_ids(3), unit_rows(3)).search(np.ones(shape, np.float32), k=1)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_query_that_is_not_finite_is_refused(backend, number):
    with pytest.raises(InputError, match="not finite"):
        backend.build(some_ids(3), unit_rows(3)).search(np.full((1, 24), number, np.float32), k=1)


# Of the ten nearest, how many are found.  Brute force misses none.
RECALL = {"flat": 1.0, "hnsw": 0.99, "annoy": 0.95}


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_nearly_all_of_the_ten_nearest_are_found(name):
    ids, vectors, queries = some_ids(5000), unit_rows(5000, dimension=96), unit_rows(100, 96, seed=1)
    answers = index_class(name).build(ids, vectors).search(queries, k=10)
    n_found = 0
    for query, hits in zip(queries, answers, strict=True):
        expected = {id_ for id_, _ in brute_force(ids, vectors, query, 10)}
        n_found += len(expected & set(hits.ids.tolist()))
    assert n_found / 1000 >= RECALL[name]
