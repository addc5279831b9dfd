"""The measures against numbers worked out by hand, and against trec_eval's on random rankings."""

from __future__ import annotations

import builtins
import math
from types import ModuleType

import numpy as np
import pytest
import pytrec_eval

from minisearch.errors import InputError
from minisearch.evaluation.measures import means, percentiles, scores_by_query
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
    with pytest.raises(InputError, match=r"pip install 'minisearch\[eval\]'"):
        scores_by_query({}, {})
