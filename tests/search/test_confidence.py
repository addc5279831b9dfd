"""Confidence: an estimate that grows with the cosine, against the index's own scores by chance."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.manifest import ScoreBaseline
from minisearch.search.confidence import (
    CONFIDENT_FROM,
    CONSTANT,
    SLOPE,
    heights,
    is_confident,
    relevance,
    score_baseline,
)

cosines = st.floats(-1, 1, width=32)
nulls = st.builds(
    score_baseline, st.lists(cosines, min_size=1, max_size=30), st.lists(cosines, min_size=1, max_size=30)
)


def a_null(generic: tuple[float, float], cross: tuple[float, float]) -> ScoreBaseline:
    """A null with these medians and 95th percentiles, evenly spread."""

    def percentiles(median: float, high: float) -> tuple[float, ...]:
        return tuple(median + (high - median) * (i - 10) / 9 for i in range(21))

    return ScoreBaseline(percentiles(*generic), percentiles(*cross))


@given(nulls, cosines, cosines, st.floats(0, 1), st.floats(0, 1))
def test_more_in_meaning_or_in_words_is_never_less_relevant(
    baseline: ScoreBaseline, one: float, other: float, few: float, many: float
) -> None:
    (low, high), (few, many) = sorted([one, other]), sorted([few, many])
    assert 0 <= relevance(low, baseline, words=few) <= relevance(high, baseline, words=many) <= 1


@given(nulls, cosines)
def test_a_clearly_higher_cosine_is_more_relevant_until_it_is_certain(
    baseline: ScoreBaseline, cosine: float
) -> None:
    low, high = relevance(cosine, baseline), relevance(cosine + 0.1, baseline)
    assert low < high or low > 1 - 1e-9 or high < 1e-9


def test_heights_are_counted_from_the_median_in_steps_to_the_95th_percentile() -> None:
    baseline = a_null(generic=(0.2, 0.4), cross=(0.5, 0.7))
    assert heights(0.4, baseline) == pytest.approx((1.0, -0.5))
    assert heights(0.2, baseline) == pytest.approx((0.0, -1.5))


def test_relevance_is_the_logistic_of_both_heights_together() -> None:
    baseline = a_null(generic=(0.2, 0.4), cross=(0.5, 0.7))
    # 0.6 stands 2 above the generic median and 0.5 above the other.
    assert relevance(0.6, baseline) == pytest.approx(1 / (1 + math.exp(-(2.5 * SLOPE + CONSTANT))))


def test_the_same_cosine_says_less_where_chance_scores_higher() -> None:
    quiet, loud = a_null((0.2, 0.4), (0.3, 0.5)), a_null((0.3, 0.5), (0.5, 0.7))
    assert relevance(0.45, loud) < relevance(0.45, quiet) - 0.2


@pytest.mark.parametrize(("words", "expected"), [(0.39, None), (0.4, 0.5), (0.7, 0.75), (1.0, 1.0)])
def test_a_passage_with_all_the_words_is_relevant_where_it_is_not_far_in_meaning(words, expected) -> None:
    baseline = a_null(generic=(0.2, 0.4), cross=(0.5, 0.7))
    by_meaning = relevance(0.3, baseline)
    assert 0.1 < by_meaning < 0.5
    assert relevance(0.3, baseline, words=words) == pytest.approx(
        by_meaning if expected is None else expected
    )
    assert relevance(0.05, baseline, words=words) == relevance(0.05, baseline) < 0.1
    assert relevance(0.9, baseline, words=0.4) == relevance(0.9, baseline) > 0.5


def test_scores_that_are_all_the_same_still_give_a_number() -> None:
    baseline = score_baseline([0.3] * 5, [0.3])
    assert relevance(-1.0, baseline) < 0.01
    assert relevance(1.0, baseline) > 0.99


def test_percentiles_are_those_of_the_scores_in_any_order() -> None:
    scores = [i / 100 for i in range(101)]
    baseline = score_baseline(scores, scores[::-1])
    assert baseline.generic == baseline.cross == tuple(i / 20 for i in range(21))


def test_a_page_is_confident_when_any_result_is() -> None:
    assert is_confident([CONFIDENT_FROM - 0.01, None, CONFIDENT_FROM]) is True
    assert is_confident([CONFIDENT_FROM - 0.01, 0.0]) is False


def test_a_page_without_estimates_says_nothing() -> None:
    assert is_confident([]) is None
    assert is_confident([None, None]) is None
