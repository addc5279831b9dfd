from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.errors import InputError
from minisearch.search.grouping import COPY_COSINE, Candidate, Group, by_document, diversify, merge, spread
from minisearch.types import FloatArray

QUICK = settings(deadline=None, max_examples=50)


def candidate(
    chunk_id: int, document_id: int = 1, score: float = 0.5, text: str = "", heading: str = ""
) -> Candidate:
    return Candidate(chunk_id, document_id, score, text or f"text {chunk_id}", heading)


def ids(groups: list[Group]) -> list[list[int]]:
    return [[member.chunk_id for member in group.members] for group in groups]


def unit(vectors: object) -> FloatArray:
    array = np.asarray(vectors, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def at_cosine(cosine: float) -> FloatArray:
    """Two unit vectors."""
    return np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[Candidate], FloatArray]:
    """Few documents and texts, so that neighbours and copies abound; scores fall, ties by chunk id."""
    chunk_ids = draw(st.lists(st.integers(1, 40), unique=True, max_size=25))
    drawn = [
        candidate(
            i,
            i // 8,
            draw(st.sampled_from([0.1, 0.2, 0.5])),
            draw(st.sampled_from(["a", "b", ""])),
            draw(st.sampled_from(["A", "A > B"])),
        )
        for i in chunk_ids
    ]
    ranked = sorted(drawn, key=lambda one: (-one.score, one.chunk_id))
    angles = np.array([draw(st.sampled_from([0.0, 0.1, 1.0, 2.0])) for _ in ranked])
    return ranked, np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# --- merge ---------------------------------------------------------------------------------------------


def test_nothing_gives_nothing() -> None:
    assert merge([]) == merge([], np.empty((0, 3), np.float32)) == []
    assert spread([], 3) == by_document([]) == []
    assert diversify([], np.empty((0, 3), np.float32), 3, trade_off=0.5) == []


def test_a_neighbour_goes_to_the_better_passage() -> None:
    assert ids(merge([candidate(7), candidate(20), candidate(8), candidate(6)])) == [[7, 8, 6], [20]]


def test_a_neighbour_of_two_goes_to_the_best() -> None:
    assert ids(merge([candidate(5), candidate(7), candidate(6)])) == [[5, 6], [7]]


def test_a_chain_of_neighbours_does_not_become_one_group() -> None:
    assert ids(merge([candidate(i) for i in (5, 6, 7, 8, 9)])) == [[5, 6], [7, 8], [9]]


def test_consecutive_ids_of_two_documents_are_no_neighbours() -> None:
    assert ids(merge([candidate(5, 1), candidate(6, 2)])) == [[5], [6]]


def test_neighbours_under_different_headings_stay_apart() -> None:
    ranked = [candidate(5, heading="A"), candidate(6, heading="A > B"), candidate(7, heading="A > B")]
    assert ids(merge([*ranked, candidate(4, heading="A")])) == [[5, 4], [6, 7]]


def test_equal_texts_are_copies_wherever_they_stand() -> None:
    assert ids(merge([candidate(5, 1, text="a"), candidate(60, 2, text="a")])) == [[5, 60]]


@pytest.mark.parametrize(("cosine", "n_groups"), [(COPY_COSINE + 0.001, 1), (COPY_COSINE - 0.001, 2)])
def test_passages_above_the_threshold_are_copies(cosine: float, n_groups: int) -> None:
    assert len(merge([candidate(5, 1), candidate(60, 2)], at_cosine(cosine))) == n_groups


def test_a_copy_of_a_copy_is_measured_by_the_best() -> None:
    angles = np.arccos(0.98) * np.array([0, 1, 2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert ids(merge([candidate(10), candidate(20), candidate(30)], vectors)) == [[10, 20], [30]]


@QUICK
@given(rankings())
def test_every_candidate_is_in_exactly_one_group(ranking: tuple[list[Candidate], FloatArray]) -> None:
    ranked, vectors = ranking
    groups = merge(ranked, vectors)
    position = {one: at for at, one in enumerate(ranked)}
    assert sorted(position[member] for group in groups for member in group.members) == [*range(len(ranked))]
    leaders = [position[group.best] for group in groups]
    assert leaders == sorted(leaders)
    for group in groups:
        places = [position[member] for member in group.members]
        assert places == sorted(places)


@QUICK
@given(rankings())
def test_merging_agrees_with_the_definition(ranking: tuple[list[Candidate], FloatArray]) -> None:
    ranked, vectors = ranking
    group_of: dict[int, int] = {}  # position -> its best's position
    for i, one in enumerate(ranked):
        group_of[i] = i
        for j in range(i):
            other = ranked[j]
            is_next = (one.document_id, one.heading) == (other.document_id, other.heading) and (
                abs(one.chunk_id - other.chunk_id) == 1
            )
            is_copy = one.text_key == other.text_key or vectors[i] @ vectors[j] >= COPY_COSINE
            if group_of[j] == j and (is_next or is_copy):
                group_of[i] = j
                break
    expected = [
        [ranked[i].chunk_id for i in group_of if group_of[i] == j] for j in group_of if group_of[j] == j
    ]
    assert ids(merge(ranked, vectors)) == expected


# --- spread --------------------------------------------------------------------------------------------


def test_one_document_does_not_flood_the_page() -> None:
    groups = merge([candidate(i, document) for i, document in [(10, 1), (20, 1), (30, 1), (40, 2), (50, 3)]])
    assert ids(spread(groups, 3, per_document=2)) == [[10], [20], [40]]
    assert ids(spread(groups, 4, per_document=1)) == [[10], [40], [50], [20]]
    assert ids(spread(groups, 9, per_document=1)) == [[10], [40], [50], [20], [30]]


@QUICK
@given(rankings(), st.integers(1, 30), st.integers(1, 4))
def test_spread_gives_k_groups_or_all(
    ranking: tuple[list[Candidate], FloatArray], k: int, per_document: int
) -> None:
    groups = merge(*ranking)
    shown = spread(groups, k, per_document=per_document)
    assert len(shown) == len(set(shown)) == min(k, len(groups))
    counts: dict[int, int] = {}
    firsts = []  # those that keep to the bound, wherever they stand
    for group in groups:
        document = group.best.document_id
        counts[document] = counts.get(document, 0) + 1
        firsts += [group] if counts[document] <= per_document else []
    assert shown[: len(firsts)] == firsts[:k]
    assert [group for group in groups if group in shown[len(firsts) :]] == shown[len(firsts) :]


@pytest.mark.parametrize(("k", "per_document"), [(0, 3), (3, 0)])
def test_a_page_of_nothing_is_refused(k: int, per_document: int) -> None:
    with pytest.raises(InputError, match=f"k is {k} and per_document is {per_document}"):
        spread([], k, per_document=per_document)


# --- diversify -----------------------------------------------------------------------------------------


def literal_mmr(scores: list[float], vectors: FloatArray, k: int, trade_off: float) -> list[int]:
    """Carbonell and Goldstein's formula, word by word."""
    low, high = min(scores), max(scores)
    chosen: list[int] = []
    while len(chosen) < min(k, len(scores)):
        best, best_value = -1, -np.inf
        for i, score in enumerate(scores):
            if i in chosen:
                continue
            relevance = (score - low) / (high - low) if high > low else 1.0
            similarity = max((float(vectors[i] @ vectors[j]) for j in chosen), default=0.0)
            value = trade_off * relevance - (1 - trade_off) * similarity
            if value > best_value + 1e-9:
                best, best_value = i, value
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("trade_off", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_diversify_is_mmr(seed: int, trade_off: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((30, 6)))
    ranked = [candidate(i, score=float(s)) for i, s in enumerate(sorted(rng.random(30), reverse=True))]
    expected = literal_mmr([one.score for one in ranked], vectors, 20, trade_off)
    chosen = diversify(ranked, vectors, 20, trade_off=trade_off)
    assert [one.chunk_id for one in chosen] == expected


def test_what_has_been_said_comes_later() -> None:
    ranked = [candidate(1, score=0.9), candidate(2, score=0.89), candidate(3, score=0.5)]
    vectors = unit([[1, 0], [1, 0.01], [0, 1]])
    assert [one.chunk_id for one in diversify(ranked, vectors, 3, trade_off=0.5)] == [1, 3, 2]


@QUICK
@given(rankings(), st.integers(1, 30))
def test_a_trade_off_of_one_leaves_the_ranking(ranking: tuple[list[Candidate], FloatArray], k: int) -> None:
    ranked, vectors = ranking
    assert diversify(ranked, vectors, k, trade_off=1.0) == ranked[:k]


def test_scores_of_two_scales_do_not_mix() -> None:
    ranked = [candidate(1, score=-3.0), candidate(2, score=-4.0), candidate(3, score=0.9)]
    vectors = unit([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for trade_off in (0.3, 0.9, 1.0):
        assert diversify(ranked, vectors, 3, trade_off=trade_off) == ranked


@QUICK
@given(rankings(), st.floats(0, 1))
def test_diversify_loses_nothing(ranking: tuple[list[Candidate], FloatArray], trade_off: float) -> None:
    ranked, vectors = ranking
    chosen = diversify(ranked, vectors, len(ranked) + 1, trade_off=trade_off)
    assert chosen[:1] == ranked[:1]
    assert sorted(one.chunk_id for one in chosen) == sorted(one.chunk_id for one in ranked)


@pytest.mark.parametrize(("k", "trade_off"), [(0, 0.5), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_a_senseless_trade_off_is_refused(k: int, trade_off: float) -> None:
    with pytest.raises(InputError, match=f"k is {k}, the trade-off {trade_off}: expected at least 1, and"):
        diversify([], np.empty((0, 2), np.float32), k, trade_off=trade_off)


# --- by document ---------------------------------------------------------------------------------------


def test_each_document_stands_where_its_best_passage_does() -> None:
    ranked = [candidate(i, document) for i, document in [(10, 2), (20, 1), (11, 2), (30, 3), (21, 1)]]
    assert ids(by_document(ranked)) == [[10, 11], [20, 21], [30]]


# --- time ----------------------------------------------------------------------------------------------


def test_a_hundred_candidates_take_milliseconds() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((100, 384)))
    ranked = [candidate(10 * i, i, 1 - i / 100) for i in range(100)]

    def seconds() -> float:
        start = time.perf_counter()
        spread(merge(ranked, vectors), 10)
        diversify(ranked, vectors, 10, trade_off=0.7)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(20)) < 0.02  # 3 ms on an idle machine
