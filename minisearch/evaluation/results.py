"""Several settings' rankings of one collection in, measured and compared with the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minisearch.evaluation.collection import Judgements
from minisearch.evaluation.measures import Scores, means, percentiles, scores_by_query
from minisearch.evaluation.runs import Rankings
from minisearch.evaluation.significance import Comparison, compare


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to search, by its name, with what it found; ``latencies_s`` is empty for somebody else's run."""

    name: str
    rankings: Rankings
    latencies_s: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A setting measured: means by measure, by query, and against the first setting where it is not that.

    ``latency_ms`` has p50, p95 and p99, and is None where nothing was timed.
    """

    name: str
    means: Mapping[str, float]
    scores: Scores
    latency_ms: Mapping[str, float] | None
    against_first: Mapping[str, Comparison] | None


def measure(settings: Sequence[Setting], judgements: Judgements, *, seed: int = 0) -> list[Result]:
    """Each setting's result, in their order."""
    results: list[Result] = []
    for setting in settings:
        scores = scores_by_query(setting.rankings, judgements)
        first = results[0].scores if results else None
        results.append(
            Result(
                setting.name,
                means(scores),
                scores,
                percentiles(setting.latencies_s) if setting.latencies_s else None,
                {name: _compared(first[name], scores[name], seed) for name in scores} if first else None,
            )
        )
    return results


def _compared(first: Mapping[str, float], second: Mapping[str, float], seed: int) -> Comparison:
    return compare(list(first.values()), list(second.values()), seed=seed)  # both in the judgements' order
