"""Searches among some ids: k results or every match, on every backend, whatever came and went."""

from __future__ import annotations

import numpy as np
import pytest

from minisearch.errors import InputError
from tests.vectors.index_cases import ALL_BACKENDS, brute_force, index_class, some_ids, unit_rows

NO_IDS = np.empty(0, np.int64)
N_CASES_EACH = 3_000  # times four backends


def ids_of(hits):
    return hits.ids.tolist()


@pytest.fixture
def index(backend):
    """600 in the base, of which every fifth is gone, and 60 in the delta."""
    ids, vectors = some_ids(660), unit_rows(660)
    index = backend.build(ids[:600], vectors[:600])
    index.set_changes(ids[600:], vectors[600:], ids[::5])
    return index


def live(n=660):
    keep = np.arange(n) % 5 > 0
    return some_ids(n)[keep], unit_rows(n)[keep]


def test_among_nothing_there_is_nothing(index):
    query = unit_rows(1, seed=1)
    for among in (NO_IDS, np.array([-7, 1, 2, 10**15])):
        assert ids_of(index.search(query, k=3, among=among)[0]) == []
        assert index.plan(3, among=among) == "scan"


def test_among_everything_is_the_search_without(index):
    queries = unit_rows(5, seed=1)
    everything = np.arange(-5, 5_000)
    for k in (1, 10, 1_000):
        for one, other in zip(
            index.search(queries, k), index.search(queries, k, among=everything), strict=True
        ):
            assert ids_of(one) == ids_of(other)
            assert one.scores.tobytes() == other.scores.tobytes()


def test_a_removed_id_is_not_found_though_it_is_named(index):
    removed = some_ids(660)[::5]
    assert ids_of(index.search(unit_rows(1), k=5, among=removed)[0]) == []


def test_fewer_matches_than_k_all_come_from_base_and_delta(index):
    ids, vectors = live()
    chosen = np.array([3, 400, 520])
    [hits] = index.search(unit_rows(1, seed=1), k=10, among=ids[chosen])
    expected = brute_force(ids[chosen], vectors[chosen], unit_rows(1, seed=1)[0], 10)
    assert ids_of(hits) == [id_ for id_, _ in expected]


def test_a_filter_that_leaves_only_the_farthest_still_fills_k(backend):
    """What the query is least like: no candidate of the first fetch passes."""
    ids, vectors = some_ids(3_000), unit_rows(3_000)
    index = backend.build(ids, vectors)
    for query in unit_rows(5, seed=1):
        farthest = np.sort(np.argsort(vectors @ query)[:900])
        [hits] = index.search(query[None], k=10, among=ids[farthest])
        expected = brute_force(ids[farthest], vectors[farthest], query, 10)
        assert ids_of(hits) == [id_ for id_, _ in expected]


def test_each_query_of_a_batch_gets_its_answer(index):
    queries, among = unit_rows(4, seed=1), live()[0][::2]
    together = index.search(queries, 5, among=among)
    assert [ids_of(hits) for hits in together] == [
        ids_of(index.search(query[None], 5, among=among)[0]) for query in queries
    ]


# The backends' plans --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flat", "faiss"])
def test_without_a_graph_every_plan_is_a_scan(name):
    index = index_class(name).build(some_ids(2_000), unit_rows(2_000))
    assert index.plan(1) == index.plan(1, among=some_ids(2_000)) == "scan"


@pytest.mark.parametrize("name", ["hnsw", "annoy"])
def test_few_matches_are_scanned_and_many_are_searched_for(name):
    """2 + 8 candidates at a share of 1/2 are 20, which cost 80 rows; at 1/8 they are 80, and cost 320."""
    index = index_class(name).build(some_ids(2_000), unit_rows(2_000))
    asked = []
    candidates = index._candidates
    index._candidates = lambda query, k: asked.append(k) or candidates(query, k)
    for step, plan, fetched in ((2, "widen", [20]), (8, "scan", [])):
        among = some_ids(2_000)[::step]
        assert index.plan(2, among=among) == plan
        asked.clear()
        index.search(unit_rows(1, seed=1), 2, among=among)
        assert asked[:1] == fetched


# Cosines of chosen ids -------------------------------------------------------------------------


def test_scores_are_the_bits_that_a_search_gives(index):
    [query] = unit_rows(1, seed=1)
    [hits] = index.search(query[None], k=1_000)
    assert index.scores(query, hits.ids).tobytes() == hits.scores.tobytes()
    one_by_one = [index.scores(query, hits.ids[i : i + 1])[0] for i in range(len(hits))]
    assert one_by_one == hits.scores.tolist()


def test_what_is_not_there_has_no_score(index):
    ids, vectors = live()
    asked = np.array([ids[-1], -3, some_ids(660)[0], 6, 10**15, ids[2], ids[2]])  # any order, twice
    scores = index.scores(vectors[2], asked)
    assert np.isnan(scores).tolist() == [False, True, True, True, True, False, False]
    np.testing.assert_allclose(scores[[0, 5]], [vectors[-1] @ vectors[2], 1.0], atol=1e-6)
    assert scores.dtype == np.float32
    assert index.scores(vectors[2], NO_IDS).shape == (0,)


def test_scores_of_a_query_of_another_shape_are_refused(index):
    for query in (np.ones(23, np.float32), np.ones((1, 24), np.float32)):
        with pytest.raises(InputError, match=r"this index takes \(q, 24\)"):
            index.scores(query, NO_IDS)


# Ten thousand cases ------------------------------------------------------------------------------


def random_case(rng, backend):
    """An index after changes, what is live in it, and whether it is large enough for candidates."""
    n = int(rng.choice([0, 1, 7, 60, 300], p=[0.02, 0.03, 0.15, 0.5, 0.3]))
    n_base = int(rng.integers(0, n + 1)) if rng.random() < 0.5 else n
    pool = unit_rows(max(1, n // int(rng.choice([1, 4]))), dimension=6, seed=int(rng.integers(1_000)))
    vectors = pool[rng.integers(0, len(pool), n)]  # copies among them: equal scores
    ids = np.sort(rng.choice(4 * n + 1, n, replace=False)).astype(np.int64)
    index = backend.build(ids[:n_base], vectors[:n_base])
    removed = ids[rng.random(n) < rng.choice([0, 0.1, 0.9])]
    index.set_changes(ids[n_base:], vectors[n_base:], removed)
    is_live = ~np.isin(ids, removed)
    return index, ids[is_live], vectors[is_live]


def random_filter(rng, n):
    """None, or ascending ids of which a random share, or a random stretch, is there."""
    kind = rng.choice(["none", "share", "stretch", "few"], p=[0.1, 0.5, 0.2, 0.2])
    everything = np.arange(-2, 4 * n + 3)
    if kind == "none":
        return None
    if kind == "share":
        return everything[rng.random(len(everything)) < rng.choice([0.05, 0.3, 0.9])]
    if kind == "few":
        return np.unique(rng.choice(everything, 5))
    start, end = np.sort(rng.integers(0, len(everything) + 1, 2))
    return everything[start:end]


def exact(ids, vectors, query, k):
    """The same as `brute_force`, over scores that are equal for equal vectors."""
    scores = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    order = np.lexsort((ids, -scores))[:k]
    return ids[order], scores[order]


@pytest.mark.parametrize("name", ALL_BACKENDS)
def test_k_results_or_every_match_in_thousands_of_random_cases(name, record_property):
    """Small collections, where candidates that widen to the end are as exact as a scan."""
    rng = np.random.default_rng(ALL_BACKENDS.index(name))
    backend = index_class(name)
    n_cases = n_widened = 0
    while n_cases < N_CASES_EACH:
        index, ids, vectors = random_case(rng, backend)
        for query in unit_rows(30, dimension=6, seed=int(rng.integers(1_000))):
            among, k = random_filter(rng, 300), int(rng.choice([1, 2, 5, 20, 400]))
            is_allowed = np.ones(len(ids), bool) if among is None else np.isin(ids, among)
            expected_ids, expected_scores = exact(ids[is_allowed], vectors[is_allowed], query, k)
            [hits] = index.search(query[None], k, among=among)
            plan = index.plan(k, among=among)
            assert ids_of(hits) == expected_ids.tolist(), (n_cases, k, plan)
            assert (abs(hits.scores - expected_scores) < 1e-6).all()
            n_cases += 1
            n_widened += plan == "widen"
    record_property("cases", n_cases)
    assert n_cases == N_CASES_EACH
    assert (n_widened > 100) == (name in ("hnsw", "annoy"))
    print(f"{name}: {n_cases} cases, 0 mismatches, {n_widened} by candidates")


@pytest.mark.parametrize("name", ["hnsw", "annoy"])
def test_where_candidates_are_approximate_count_membership_scores_and_order_hold(name):
    rng = np.random.default_rng(7)
    ids, vectors = some_ids(4_000), unit_rows(4_000)
    index = index_class(name).build(ids[:3_800], vectors[:3_800])
    removed = ids[rng.random(4_000) < 0.1]
    index.set_changes(ids[3_800:], vectors[3_800:], removed)
    n_found = n_expected = n_widened = 0
    for query in unit_rows(250, seed=2):
        k, share = int(rng.choice([1, 10, 50])), rng.choice([0.01, 0.3, 0.9])
        allowed = rng.random(4_000) < share
        among = ids[allowed]
        expected, _ = exact(
            ids[allowed & ~np.isin(ids, removed)], vectors[allowed & ~np.isin(ids, removed)], query, k
        )
        [hits] = index.search(query[None], k, among=among)
        assert len(hits) == len(expected)
        assert np.isin(hits.ids, among).all()
        assert not np.isin(hits.ids, removed).any()
        assert hits.scores.tobytes() == index.scores(query, hits.ids).tobytes()
        assert np.lexsort((hits.ids, -hits.scores)).tolist() == list(range(len(hits)))
        n_found += len(np.intersect1d(hits.ids, expected))
        n_expected += len(expected)
        n_widened += index.plan(k, among=among) == "widen"
    assert n_widened > 80
    assert n_found >= 0.99 * n_expected
