"""How far an answer rises above what the index says to queries it has no answer for.

The best scores of such queries come in, as a `ScoreBaseline`; a cosine, and how many of the query's words a
passage has, become an estimate from 0 to 1, and a page is confident or not.  That is evidence of relevance,
never that an answer exists: a query about a subject the index is full of scores high whether or not any
passage answers it.  Asking those queries, and keeping what came of it, is left to others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from minisearch.manifest import N_PERCENTILES, ScoreBaseline

# Of the sum of both heights; fitted by scripts/confidence.py --fit.  Nothing that was tried in the sum beside
# the cosine told more (AUROC within about 0.01, some worse): margins to later results, the number of shared
# words, agreement of both legs, hubness.
SLOPE, CONSTANT = 0.65, -0.42

CONFIDENT_FROM = 0.5

# A passage that holds every word of the query once has about this share of what a perfect match of them
# would score (BM25 saturates). Of queries from elsewhere few find such a passage (scripts/confidence.py: 5
# more of 1,419 pass). A name is often no nearer in meaning than chance; farther, words alone are an accident.
WORDS_FROM, NEAR_ENOUGH = 0.4, 0.1

# Spreads are a tenth or two; a smaller one comes from too few different scores and would count for too much.
LEAST_SPREAD = 0.03

_PERCENTILES = np.linspace(0, 100, N_PERCENTILES)


def score_baseline(generic: Sequence[float], cross: Sequence[float]) -> ScoreBaseline:
    """The baseline of the best cosines themselves, in any order and number, above none."""
    return ScoreBaseline(_percentiles(generic), _percentiles(cross))


def heights(cosine: float, baseline: ScoreBaseline) -> tuple[float, float]:
    """How high a cosine stands above chance, generic and cross: 0 at the median, 1 at the 95th percentile."""
    return _height(cosine, baseline.generic), _height(cosine, baseline.cross)


def _height(cosine: float, percentiles: Sequence[float]) -> float:
    median, high = percentiles[10], percentiles[19]
    return (cosine - median) / max(high - median, LEAST_SPREAD)


def relevance(cosine: float, baseline: ScoreBaseline, *, words: float = 0.0) -> float:
    """The estimate for a passage with this cosine to the query: in [0, 1], growing with the cosine.

    ``words`` is what it has of the query's words, as a share of a perfect match (`Hits.words`).
    """
    by_meaning = 1 / (
        1 + math.exp(min(-SLOPE * sum(heights(cosine, baseline)) - CONSTANT, 700.0))
    )  # no overflow
    if words < WORDS_FROM or by_meaning < NEAR_ENOUGH:
        return by_meaning
    by_words = CONFIDENT_FROM + (1 - CONFIDENT_FROM) * (words - WORDS_FROM) / (1 - WORDS_FROM)
    return max(by_meaning, by_words)


def is_confident(relevances: Iterable[float | None]) -> bool | None:
    """Whether any of these rises above chance; None where none was estimated."""
    known = [one for one in relevances if one is not None]
    return max(known) >= CONFIDENT_FROM if known else None


def _percentiles(scores: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(score), 4) for score in np.percentile(np.asarray(scores), _PERCENTILES))
