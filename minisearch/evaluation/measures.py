"""Rankings and judgements in, four measures a query out, computed by ir-measures.

nDCG@10 (the gain is the judgement, the discount log2 of the rank + 1), Recall@100, MRR@10 and MAP; for the
last three a document answers when its judgement is above 0.  Every query with judgements counts, one without
a ranking as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np

from minisearch.errors import InputError
from minisearch.evaluation.collection import Judgements
from minisearch.evaluation.runs import Rankings

MEASURES = {"nDCG@10": "nDCG@10", "Recall@100": "R@100", "MRR@10": "RR@10", "MAP": "AP"}  # ours: ir-measures'
PERCENTILES = (50, 95, 99)

Scores = dict[str, dict[str, float]]  # by measure, then by query


def scores_by_query(rankings: Rankings, judgements: Judgements) -> Scores:
    """Each measure of each judged query's ranking, in the judgements' order.

    >>> from minisearch.evaluation.runs import RankedDocuments
    >>> ranking = RankedDocuments(("noise", "answer"), (2.0, 1.0))
    >>> scores_by_query({"q": ranking}, {"q": {"answer": 1}})["MRR@10"]
    {'q': 0.5}

    Raises InputError where ir-measures is not installed.
    """
    library = load_ir_measures()
    # ir-measures orders by score, ties its own way; ours are in order already, so the rank is the score.
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


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """What p50, p95 and p99 of the queries stayed within, in milliseconds."""
    values = np.percentile(np.asarray(seconds) * 1_000, PERCENTILES)
    return {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, values, strict=True)}


def load_ir_measures() -> ModuleType:
    """The library; InputError, with how to get it, where it is not installed."""
    try:
        import ir_measures
    except ImportError as error:
        raise InputError(
            "measuring needs ir-measures, which is not installed: pip install 'minisearch[eval]'"
        ) from error
    return ir_measures
