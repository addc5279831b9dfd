"""The randomisation test and the bootstrap against SciPy's, and against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from minisearch.evaluation.significance import bootstrap_interval, compare, randomisation_p

generator = np.random.default_rng(11)
FEW = generator.normal(0.05, 0.1, 11)
MANY = {
    "clear": generator.normal(0.03, 0.1, 200),
    "doubtful": generator.normal(0.008, 0.1, 200),
    "mostly equal": np.where(generator.random(200) < 0.9, 0.0, generator.normal(0.05, 0.2, 200)),
}


def scipy_p(differences: np.ndarray, n_resamples: float) -> float:
    found = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=n_resamples,
        rng=np.random.default_rng(5),
    )
    return float(found.pvalue)


def test_three_equal_gains_happen_by_chance_one_time_in_four() -> None:
    assert randomisation_p(np.array([0.2, 0.2, 0.2])) == 2 / 8
    assert randomisation_p(np.array([0.1, 0.2, 0.3])) == 2 / 8
    assert randomisation_p(np.array([0.1, 0.1, -0.1])) == 1.0


def test_sums_that_are_equal_but_for_rounding_count_as_equal() -> None:
    # In tenths the sum is -1, and every choice of signs of these six gives at least 1 either way.
    assert randomisation_p(np.array([-0.5, 0.3, -0.3, 0.1, 0.6, -0.3])) == 1.0


def test_no_difference_is_no_news() -> None:
    assert randomisation_p(np.zeros(5)) == 1.0
    assert randomisation_p(np.zeros(500)) == 1.0
    assert compare([0.3], [0.5]).p == 1.0  # a single query proves nothing


def test_few_queries_are_tested_exactly_as_scipy_does() -> None:
    assert randomisation_p(FEW) == pytest.approx(scipy_p(FEW, np.inf), abs=1e-12)
    tied = np.round(FEW, 1)  # many sums fall on the bound itself
    assert randomisation_p(tied) == pytest.approx(scipy_p(tied, np.inf), abs=1e-12)


@pytest.mark.parametrize("name", MANY)
def test_many_queries_are_tested_by_sampling_as_near_as_chance_allows(name: str) -> None:
    expected = scipy_p(MANY[name], 20_000)
    error = 4 * np.sqrt(expected * (1 - expected) * (1 / 10_000 + 1 / 20_000)) + 1e-4
    assert abs(randomisation_p(MANY[name]) - expected) < error


def test_p_is_never_nothing() -> None:
    assert randomisation_p(np.ones(100)) == 1 / 10_001


@pytest.mark.parametrize("name", MANY)
def test_the_interval_is_scipys_percentile_bootstrap(name: str) -> None:
    found = stats.bootstrap(
        (MANY[name],), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(5)
    ).confidence_interval
    spread = found.high - found.low
    assert bootstrap_interval(MANY[name]) == pytest.approx((found.low, found.high), abs=0.05 * spread)


def test_the_difference_is_second_minus_first_and_lies_in_its_interval() -> None:
    found = compare([0.1, 0.2, 0.3, 0.4], [0.2, 0.4, 0.3, 0.5])
    assert found.difference == pytest.approx(0.1)
    assert found.low <= found.difference <= found.high
    turned = compare([0.2, 0.4, 0.3, 0.5], [0.1, 0.2, 0.3, 0.4])
    assert (turned.difference, turned.p) == (pytest.approx(-0.1), found.p)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not() -> None:
    first, second = np.zeros(300), np.random.default_rng(0).normal(0.01, 0.1, 300)
    assert compare(first, second) == compare(first, second, seed=0)
    assert compare(first, second).low != compare(first, second, seed=1).low


def test_a_great_many_queries_are_drawn_in_blocks() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, 5_000)
    low, high = bootstrap_interval(values)
    expected = 1.96 * values.std() / np.sqrt(len(values))
    assert (high - low) / 2 == pytest.approx(expected, rel=0.05)
