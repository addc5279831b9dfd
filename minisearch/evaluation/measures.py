"""Rankings and relevance judgements in; measures, intervals and significance out.

With graded judgements (`evaluate_settings`): nDCG@10 (gain = judgement, discount log2 of rank + 1),
Recall@100, MRR@10 and MAP, computed by ir-measures; a document is relevant when its judgement is above 0.  A
judged query without a ranking scores 0.  With one known document a query (`rank_measures`): recall at 1, 5
and 10, and MRR@10.  Where the rankings come from is left to `benchmark` and `selftest`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

import numpy as np

from minisearch.errors import InputError, install_line
from minisearch.evaluation.collection import Judgements
from minisearch.evaluation.runs import Rankings
from minisearch.types import FloatArray

MEASURES = {"nDCG@10": "nDCG@10", "Recall@100": "R@100", "MRR@10": "RR@10", "MAP": "AP"}  # ours: ir-measures'
PERCENTILES = (50, 95, 99)
N_WARM_UP = 3  # calls that are not timed: they fill caches, start threads and read pages

DEPTH = 10  # of a known-item search: lower ranks count as not found
RECALL_AT = (1, 5, 10)
MRR = f"MRR@{DEPTH}"

N_RESAMPLES = 10_000
CONFIDENCE = 0.95
Z = 1.959964  # 95 % of a normal distribution lie within

Scores = dict[str, dict[str, float]]  # by measure, then by query
Given = TypeVar("Given")
Result = TypeVar("Result")


# --- several settings on one collection --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to search, with its rankings; ``latencies_s`` is empty when nothing was timed (a run file)."""

    name: str
    rankings: Rankings
    latencies_s: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean of (second - first) over the queries, its 95 % interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A setting measured: means by measure, scores by query, and the comparison with the first setting.

    ``latency_ms`` has p50, p95 and p99, and is None where nothing was timed.  ``against_first`` is None for
    the first setting itself.
    """

    name: str
    means: Mapping[str, float]
    scores: Scores
    latency_ms: Mapping[str, float] | None
    against_first: Mapping[str, Comparison] | None


def evaluate_settings(settings: Sequence[Setting], judgements: Judgements) -> list[Evaluation]:
    """One evaluation a setting, in the settings' order."""
    evaluations: list[Evaluation] = []
    for setting in settings:
        scores = scores_by_query(setting.rankings, judgements)
        first = evaluations[0].scores if evaluations else {}
        compared = {name: compare(list(first[name].values()), list(scores[name].values())) for name in first}
        latency_ms = percentiles(setting.latencies_s) if setting.latencies_s else None
        evaluations.append(Evaluation(setting.name, means(scores), scores, latency_ms, compared or None))
    return evaluations


def scores_by_query(rankings: Rankings, judgements: Judgements) -> Scores:
    """Each measure of each judged query's ranking, in the judgements' order.

    >>> from minisearch.evaluation.runs import RankedDocuments
    >>> ranking = RankedDocuments(("noise", "answer"), (2.0, 1.0))
    >>> scores_by_query({"q": ranking}, {"q": {"answer": 1}})["MRR@10"]
    {'q': 0.5}

    Raises InputError where ir-measures is not installed.
    """
    library = load_ir_measures()
    # ir-measures sorts by score and breaks ties its own way; our rankings are sorted: the rank is the score.
    run = {
        query: {document: -float(rank) for rank, document in enumerate(rankings[query].ids)}
        for query in judgements
        if query in rankings and rankings[query].ids
    }
    wanted = {library.parse_measure(theirs): ours for ours, theirs in MEASURES.items()}
    scores: Scores = {ours: dict.fromkeys(judgements, 0.0) for ours in MEASURES}
    for metric in library.iter_calc(list(wanted), judgements, run):
        scores[wanted[metric.measure]][metric.query_id] = float(metric.value)
    return scores


def means(scores: Scores) -> dict[str, float]:
    """Each measure's mean over the queries."""
    return {measure: float(np.mean(list(of_query.values()))) for measure, of_query in scores.items()}


def timed(
    call: Callable[[Given], Result],
    inputs: Sequence[Given],
    on_progress: Callable[[int], None] = lambda _: None,
) -> tuple[list[Result], tuple[float, ...]]:
    """The result of a call for each input, and the seconds that it took; a few calls before warm up."""
    for given in inputs[:N_WARM_UP]:
        call(given)
    results, latencies_s = list[Result](), list[float]()
    for n_done, given in enumerate(inputs, start=1):
        started_s = time.perf_counter()
        results.append(call(given))
        latencies_s.append(time.perf_counter() - started_s)
        on_progress(n_done)
    return results, tuple(latencies_s)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99, in milliseconds."""
    values = np.percentile(np.asarray(seconds) * 1_000, PERCENTILES)
    return {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, values, strict=True)}


def load_ir_measures() -> ModuleType:
    """The library; InputError with the command that installs it where it is missing."""
    try:
        import ir_measures
    except ImportError as error:
        raise InputError(
            f"measuring needs ir-measures, which is not installed: {install_line('eval')}"
        ) from error
    return ir_measures


# --- known-item search: one right document a query ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, with its 95 % interval."""

    value: float
    low: float
    high: float


def rank_measures(ranks: Sequence[int]) -> dict[str, Estimate]:
    """Recall at 1, 5 and 10, and MRR@10, from the rank of each query's document; 0 means "not found".

    >>> {name: round(one.value, 3) for name, one in rank_measures([1, 2, 0, 4]).items()}
    {'recall@1': 0.25, 'recall@5': 0.75, 'recall@10': 0.75, 'MRR@10': 0.438}
    """
    recalls = {f"recall@{k}": mean([float(0 < rank <= k) for rank in ranks]) for k in RECALL_AT}
    return recalls | {MRR: mean(reciprocal_ranks(ranks))}


def reciprocal_ranks(ranks: Sequence[int]) -> list[float]:
    """1 / rank, 0 below the tenth rank."""
    return [1 / rank if 0 < rank <= DEPTH else 0.0 for rank in ranks]


def mean(values: Sequence[float]) -> Estimate:
    """The mean of numbers from 0 to 1, with Wilson's score interval.

    The interval is made for shares (Wilson, JASA 22, 1927).  Other numbers from 0 to 1 vary less than shares
    of the same mean, so for them it is too wide rather than too narrow.
    """
    n, value = len(values), sum(values) / len(values)
    centre = (value + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2))
    return Estimate(value, max(centre - half, 0.0), min(centre + half, 1.0))


# --- significance ------------------------------------------------------------------------------------


def compare(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> Comparison:
    """How the second setting's scores differ from the first's, query by query."""
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)  # (n,)
    low, high = bootstrap_interval(differences, seed=seed)
    return Comparison(float(differences.mean()), low, high, randomisation_p(differences, seed=seed))


def randomisation_p(differences: FloatArray | np.ndarray, *, seed: int = 0) -> float:
    """The p value of a paired randomisation test: how often random signs give a mean at least as far from 0.

    ``differences`` (n,).  If 2^n is at most N_RESAMPLES, all signs are tried and p is exact.  Otherwise
    N_RESAMPLES are drawn, and the observed signs count as one more, so that p is never 0.  See Smucker, Allan
    and Carterette, "A comparison of statistical significance tests for information retrieval evaluation",
    CIKM 2007.
    """
    n = len(differences)
    # Sums of the same numbers in another order differ in their last bits.
    bound = abs(differences.sum()) * (1 - 1e-12)
    if 2**n <= N_RESAMPLES:
        negative = np.arange(2**n)[:, None] >> np.arange(n) & 1  # (2^n, n)
        return float(np.mean(np.abs((1 - 2 * negative) @ differences) >= bound))
    generator = np.random.default_rng(seed)
    sums = [(1 - 2 * generator.integers(0, 2, n)) @ differences for _ in range(N_RESAMPLES)]
    n_as_far = int(np.sum(np.abs(sums) >= bound))
    return (n_as_far + 1) / (N_RESAMPLES + 1)


def bootstrap_interval(values: FloatArray | np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap's 95 % interval of the mean of ``values`` (n,)."""
    n = len(values)
    generator = np.random.default_rng(seed)
    resampled = [values[generator.integers(0, n, n)].mean() for _ in range(N_RESAMPLES)]
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
