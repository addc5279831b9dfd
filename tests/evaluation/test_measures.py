"""Measures against numbers worked out by hand and trec_eval's, intervals and significance against SciPy's."""

from __future__ import annotations

import builtins
import math
from types import ModuleType

import numpy as np
import pytest
import pytrec_eval
from scipy import stats

from minisearch.errors import InputError
from minisearch.evaluation.measures import (
    Setting,
    bootstrap_interval,
    compare,
    evaluate_settings,
    mean,
    means,
    percentiles,
    randomisation_p,
    rank_measures,
    reciprocal_ranks,
    scores_by_query,
)
from minisearch.evaluation.runs import RankedDocuments


def ranking(*ids: str) -> RankedDocuments:
    return RankedDocuments(ids, tuple(float(-rank) for rank in range(len(ids))))


def noise(n: int) -> list[str]:
    return [f"noise{i}" for i in range(n)]


def test_the_four_measures_of_a_ranking_worked_out_by_hand() -> None:
    judgements = {"q": {"a": 3, "b": 2, "c": 1, "x": 0}}
    scores = scores_by_query({"q": ranking("x", "a", "c")}, judgements)
    gain = 3 / math.log2(3) + 1 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert scores["nDCG@10"]["q"] == pytest.approx(gain / ideal)
    assert scores["nDCG@10"]["q"] == pytest.approx(0.50249, abs=1e-5)
    assert scores["Recall@100"]["q"] == pytest.approx(2 / 3)
    assert scores["MRR@10"]["q"] == pytest.approx(1 / 2)
    assert scores["MAP"]["q"] == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_each_measure_looks_as_deep_as_its_name_says() -> None:
    judgements = {"at 10": {"a": 1}, "at 11": {"a": 1}, "at 100": {"a": 1}, "at 101": {"a": 1}}
    rankings = {name: ranking(*noise(int(name[3:]) - 1), "a") for name in judgements}
    scores = scores_by_query(rankings, judgements)
    assert list(scores["nDCG@10"].values()) == pytest.approx([1 / math.log2(11), 0, 0, 0])
    assert list(scores["MRR@10"].values()) == pytest.approx([1 / 10, 0, 0, 0])
    assert list(scores["Recall@100"].values()) == [1, 1, 1, 0]
    assert list(scores["MAP"].values()) == pytest.approx([1 / 10, 1 / 11, 1 / 100, 1 / 101])


def test_the_order_counts_and_not_the_scores() -> None:
    backwards = {"q": RankedDocuments(("a", "b"), (1.0, 2.0))}
    equal = {"q": RankedDocuments(("a", "b"), (1.0, 1.0))}
    for rankings in (backwards, equal):
        assert scores_by_query(rankings, {"q": {"a": 1}})["MRR@10"] == {"q": 1.0}


def test_a_query_without_a_ranking_counts_as_nothing_found() -> None:
    judgements = {"found": {"a": 1}, "empty": {"a": 1}, "missing": {"a": 1}}
    scores = scores_by_query({"found": ranking("a"), "empty": ranking(), "other": ranking("a")}, judgements)
    assert scores["MAP"] == {"found": 1.0, "empty": 0.0, "missing": 0.0}
    assert means(scores) == pytest.approx(dict.fromkeys(scores, 1 / 3))
    assert scores_by_query({}, judgements)["MAP"] == dict.fromkeys(judgements, 0.0)


def test_random_rankings_score_as_in_trec_eval() -> None:
    generator = np.random.default_rng(7)
    ids = [f"d{i}" for i in range(300)]
    judgements, rankings, run = {}, {}, {}
    for query in map(str, range(40)):
        judged = generator.choice(ids, 30, replace=False).tolist()
        judgements[query] = {id_: int(generator.integers(0, 4)) for id_ in judged} | {judged[0]: 2}
        found = generator.permutation(ids).tolist()
        rankings[query] = ranking(*found)
        run[query] = {id_: 1000.0 - rank for rank, id_ in enumerate(found)}
    names = {"nDCG@10": "ndcg_cut_10", "Recall@100": "recall_100", "MAP": "map"}
    expected = pytrec_eval.RelevanceEvaluator(judgements, set(names.values())).evaluate(run)
    scores = scores_by_query(rankings, judgements)
    for ours, theirs in names.items():
        assert scores[ours] == pytest.approx({query: expected[query][theirs] for query in judgements})


def test_percentiles_are_milliseconds() -> None:
    assert percentiles([i / 1_000 for i in range(101)]) == pytest.approx({"p50": 50, "p95": 95, "p99": 99})


def test_without_ir_measures_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: object) -> ModuleType:
        if name == "ir_measures":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'minisearch-local\[eval\]'"):
        scores_by_query({}, {})


# --- several settings --------------------------------------------------------------------------------


JUDGEMENTS = {f"q{i}": {"a": 1} for i in range(12)}
RIGHT, WRONG = RankedDocuments(("a", "b"), (2.0, 1.0)), RankedDocuments(("b", "a"), (2.0, 1.0))


def setting(name: str, n_right: int, *, is_timed: bool = True) -> Setting:
    rankings = {query: RIGHT if i < n_right else WRONG for i, query in enumerate(JUDGEMENTS)}
    return Setting(name, rankings, [0.01 * (i + 1) for i in range(12)] if is_timed else ())


def test_every_setting_is_compared_with_the_first_query_by_query() -> None:
    first, second, third = evaluate_settings([setting("a", 4), setting("b", 12), setting("c", 4)], JUDGEMENTS)
    assert first.against_first is None
    assert (first.means["MRR@10"], second.means["MRR@10"]) == (pytest.approx((4 + 8 / 2) / 12), 1.0)
    assert second.against_first is not None
    assert third.against_first is not None
    assert second.against_first["MRR@10"] == compare([1.0] * 4 + [0.5] * 8, [1.0] * 12)
    assert second.against_first["MRR@10"].p == 2 / 2**8
    assert third.against_first["MRR@10"].difference == 0
    assert third.against_first["MRR@10"].p == 1


def test_the_order_in_which_a_run_has_its_queries_changes_nothing() -> None:
    turned = Setting("b", dict(reversed(setting("b", 6).rankings.items())))
    (_, straight), (_, found) = (
        evaluate_settings([setting("a", 4), other], JUDGEMENTS) for other in (setting("b", 6), turned)
    )
    assert found.against_first == straight.against_first


def test_what_was_not_timed_has_no_latency() -> None:
    timed, untimed = evaluate_settings([setting("a", 4), setting("b", 4, is_timed=False)], JUDGEMENTS)
    assert timed.latency_ms is not None
    assert timed.latency_ms["p50"] == pytest.approx(65)
    assert untimed.latency_ms is None


# --- known-item search -------------------------------------------------------------------------------


def test_known_item_measures_are_those_worked_out_by_hand() -> None:
    found = rank_measures([1, 3, 6, 10, 0])
    assert {name: one.value for name, one in found.items()} == {
        "recall@1": pytest.approx(1 / 5),
        "recall@5": pytest.approx(2 / 5),
        "recall@10": pytest.approx(4 / 5),
        "MRR@10": pytest.approx((1 + 1 / 3 + 1 / 6 + 1 / 10) / 5),
    }


def test_beyond_the_tenth_place_nothing_counts() -> None:
    assert reciprocal_ranks([11, 100, 0]) == [0, 0, 0]
    assert all(one.value == 0 for one in rank_measures([11, 0]).values())


@pytest.mark.parametrize(("n_found", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (150, 200)])
def test_the_interval_of_a_share_is_wilsons(n_found: int, n: int) -> None:
    one = mean([1.0] * n_found + [0.0] * (n - n_found))
    expected = stats.binomtest(n_found, n).proportion_ci(method="wilson")
    assert (one.low, one.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert one.low <= one.value <= one.high


def test_all_found_is_no_certainty() -> None:
    assert rank_measures([1] * 20)["MRR@10"].low < 0.9


# --- significance ------------------------------------------------------------------------------------


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
