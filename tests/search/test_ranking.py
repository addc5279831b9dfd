"""Fusion against numbers worked out by hand, and what must hold of any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.results import Trace
from minisearch.search.ranking import LEXICAL_WEIGHT, Ranking, fuse, reranked, with_feedback


def f32(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_the_convex_combination_is_the_hand_worked_one() -> None:
    fused = fuse(f32(0.8, 0.4, 0.2), f32(0, 5, 20), ceiling=20)
    total = 1 + LEXICAL_WEIGHT
    expected = [
        1 / total,
        (0.5 + LEXICAL_WEIGHT * 0.25) / total,
        (0.25 + LEXICAL_WEIGHT) / total,
    ]
    assert fused == pytest.approx(expected, rel=1e-6)
    assert fused.dtype == np.float32


def test_a_passage_that_is_best_in_both_legs_scores_one() -> None:
    assert fuse(f32(0.5, 0.1), f32(12, 3), ceiling=12)[0] == pytest.approx(1)


def test_without_a_word_in_common_the_cosines_decide() -> None:
    cosines = f32(0.1, 0.7, 0.3)
    assert np.argsort(-fuse(cosines, f32(0, 0, 0), ceiling=0)).tolist() == [1, 2, 0]


def test_a_weak_match_of_words_does_not_lift_what_is_far_in_meaning() -> None:
    """The best BM25 of the page is no reason by itself: it may share only a common word."""
    near, far = fuse(f32(0.6, 0.2), f32(0, 2), ceiling=40)
    assert near > far


def test_where_nothing_is_near_in_meaning_words_may_decide() -> None:
    fused = fuse(f32(0.15, 0.06), f32(0, 8), ceiling=20)  # shares of .3, not of .15
    assert fused == pytest.approx([0.5 / 2.25, (0.2 + 1.25 * 0.4) / 2.25])


def test_nothing_gives_nothing() -> None:
    assert fuse(f32(), f32(), ceiling=3).tolist() == []


scores = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=20), st.integers(0, 19))
def test_more_in_either_leg_never_scores_less(pairs: list[tuple[float, float]], position: int) -> None:
    position %= len(pairs)
    cosines, bm25 = f32(*(c for c, _ in pairs)), f32(*(b for _, b in pairs))
    before = fuse(cosines, bm25, ceiling=1)
    assert ((before >= 0) & (before <= 1 + 1e-6)).all()
    bm25[position] = 1
    assert fuse(cosines, bm25, ceiling=1)[position] >= before[position]
    higher = cosines.copy()
    higher[position] = max(cosines[position], 0.9 * cosines.max())  # below the highest, which sets the scale
    assert fuse(higher, f32(*(b for _, b in pairs)), ceiling=1)[position] >= before[position] - 1e-6


def test_feedback_moves_the_query_by_a_fifth_towards_the_mean_of_what_was_found() -> None:
    moved = with_feedback(f32(1, 0), np.array([[0, 1], [0.6, 0.8]], np.float32))
    assert moved == pytest.approx(np.array([1.06, 0.18]) / np.hypot(1.06, 0.18))
    assert moved.dtype == np.float32
    assert with_feedback(f32(1, 0), np.empty((0, 2), np.float32)).tolist() == [1, 0]


@given(st.lists(st.floats(-8, 8, width=32), max_size=12), st.integers(0, 12))
def test_reranked_candidates_come_first_and_the_others_keep_their_order(scores: list[float], n: int) -> None:
    ids = np.arange(100, 100 + len(scores) + n)
    traces = tuple(Trace(fused=1 / id_) for id_ in ids.tolist())
    ranking = Ranking(ids, f32(*(1 / ids)), traces, is_complete=True)
    best_first = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    found = reranked(ranking, {100 + i: scores[i] for i in best_first})
    assert found.ids.tolist() == [*(100 + i for i in best_first), *ids[len(scores) :].tolist()]
    assert found.scores.tolist() == [
        *(scores[i] for i in best_first),
        *ranking.scores[len(scores) :].tolist(),
    ]
    for trace, id_ in zip(found.traces, found.ids.tolist(), strict=True):
        is_seen = id_ < 100 + len(scores)
        assert trace.fused == 1 / id_
        assert (trace.rank_before_rerank, trace.rerank) == (
            (id_ - 99, scores[id_ - 100]) if is_seen else (None, None)
        )
    assert found.is_complete
