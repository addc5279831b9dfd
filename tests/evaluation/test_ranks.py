"""Recall and reciprocal rank against numbers worked out by hand, intervals against SciPy's."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from minisearch.evaluation.ranks import figures, mean, reciprocals


def test_figures_are_those_worked_out_by_hand() -> None:
    found = figures([1, 3, 6, 10, 0])
    assert {name: figure.value for name, figure in found.items()} == {
        "recall@1": pytest.approx(1 / 5),
        "recall@5": pytest.approx(2 / 5),
        "recall@10": pytest.approx(4 / 5),
        "MRR@10": pytest.approx((1 + 1 / 3 + 1 / 6 + 1 / 10) / 5),
    }


def test_beyond_the_tenth_place_nothing_counts() -> None:
    assert reciprocals([11, 100, 0]) == [0, 0, 0]
    assert all(figure.value == 0 for figure in figures([11, 0]).values())


@pytest.mark.parametrize(("n_found", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (150, 200)])
def test_the_interval_of_a_share_is_wilsons(n_found: int, n: int) -> None:
    figure = mean([1.0] * n_found + [0.0] * (n - n_found))
    expected = binomtest(n_found, n).proportion_ci(method="wilson")
    assert (figure.low, figure.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert figure.low <= figure.value <= figure.high


def test_all_found_is_no_certainty() -> None:
    assert figures([1] * 20)["MRR@10"].low < 0.9
