"""Confidence: how far a result scores above what the index scores for unrelated queries.

The best cosines of unrelated queries, measured once after indexing, are the `ScoreBaseline`.  A cosine and
the share of the query's words that a passage has come in; an estimate from 0 to 1 goes out, and a search is
confident or not.  This is evidence of relevance, not that an answer exists: a query about a subject that the
index is full of scores high whether or not any passage answers it.

The unrelated queries are everyday ones, and sentences of the index's own documents, searched for in all the
other documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from minisearch.manifest import N_PERCENTILES, ScoreBaseline
from minisearch.search.sentences import sentences
from minisearch.stores.base import Snapshot
from minisearch.types import Encoder

GENERIC_QUERIES = Path(__file__).parent / "generic_queries.txt"

MIN_DOCUMENTS = 20  # with fewer, one document on the subject of an unrelated query distorts the baseline
N_SENTENCES = 80
MAX_WORDS = 15
COPIED_WORDS = 8  # a passage that has this many first words of a sentence in a row repeats the sentence

# Passages of the sentence's own document are skipped; if all of these are, the sentence is not counted.
N_NEIGHBOURS = 20

# Of the sum of both heights; fitted by scripts/confidence.py --fit.  Other signals in the sum did not help
# (AUROC within about 0.01, some worse): margins to later results, the number of shared words, agreement of
# the dense and the lexical ranking, hubness.
SLOPE, CONSTANT = 0.65, -0.42

CONFIDENT_FROM = 0.5

# A passage with every word of the query once has about this share of the score of a perfect match (BM25
# saturates). Few unrelated queries find such a passage (scripts/confidence.py: 5 more of 1,419 pass). A name
# is often no nearer in meaning than chance; below NEAR_ENOUGH a match of words is an accident.
WORDS_FROM, NEAR_ENOUGH = 0.4, 0.1

# Spreads are a tenth or two; a smaller one comes from too few different scores and would count for too much.
LEAST_SPREAD = 0.03

_PERCENTILES = np.linspace(0, 100, N_PERCENTILES)


def score_baseline(generic: Sequence[float], cross: Sequence[float]) -> ScoreBaseline:
    """The baseline of the best cosines, at least one of each, in any order."""
    return ScoreBaseline(_percentiles(generic), _percentiles(cross))


def heights(cosine: float, baseline: ScoreBaseline) -> tuple[float, float]:
    """How far a cosine is above chance, generic and cross: 0 at the median, 1 at the 95th percentile."""
    return _height(cosine, baseline.generic), _height(cosine, baseline.cross)


def _height(cosine: float, percentiles: Sequence[float]) -> float:
    median, high = percentiles[10], percentiles[19]
    return (cosine - median) / max(high - median, LEAST_SPREAD)


def relevance(cosine: float, baseline: ScoreBaseline, *, words: float = 0.0) -> float:
    """The estimate for a passage with this cosine to the query: in [0, 1], higher for a higher cosine.

    ``words`` is its BM25 for the query's words as a share of a perfect match (`Hits.words`).
    """
    exponent = -SLOPE * sum(heights(cosine, baseline)) - CONSTANT
    by_meaning = 1 / (1 + math.exp(min(exponent, 700.0)))  # more would overflow
    if words < WORDS_FROM or by_meaning < NEAR_ENOUGH:
        return by_meaning
    by_words = CONFIDENT_FROM + (1 - CONFIDENT_FROM) * (words - WORDS_FROM) / (1 - WORDS_FROM)
    return max(by_meaning, by_words)


def is_confident(relevances: Iterable[float | None]) -> bool | None:
    """Whether any of these estimates is above chance; None if there are none."""
    known = [one for one in relevances if one is not None]
    return max(known) >= CONFIDENT_FROM if known else None


def _percentiles(scores: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(score), 4) for score in np.percentile(np.asarray(scores), _PERCENTILES))


# --- measuring the baseline --------------------------------------------------------------------------------


def measure_baseline(snapshot: Snapshot, encoder: Encoder) -> ScoreBaseline | None:
    """Measure what unrelated queries score; None if the index is too small for that.

    The same index always gives the same baseline.
    """
    n_documents, _ = snapshot.counts()
    if n_documents < MIN_DOCUMENTS:
        return None
    generic = [snapshot.dense(vector, 1) for vector in encoder.encode_query(generic_queries())]
    cross = _cross_scores(snapshot, encoder)
    if not cross:
        return None
    return score_baseline([float(hits.scores[0]) for hits in generic], cross)


def generic_queries() -> list[str]:
    """Everyday queries about all kinds of subjects."""
    return GENERIC_QUERIES.read_text(encoding="utf-8").splitlines()


def _cross_scores(snapshot: Snapshot, encoder: Encoder) -> list[float]:
    """For a sentence of each chunk, its best cosine in another document that does not repeat it."""
    sampled = snapshot.chunks(snapshot.sample_ids(N_SENTENCES).tolist()).values()
    texts = [_first_sentence(chunk.text, chunk.heading) for chunk in sampled]
    found = [snapshot.dense(vector, N_NEIGHBOURS) for vector in encoder.encode_query(texts)]
    neighbours = snapshot.chunks(np.unique(np.concatenate([hits.ids for hits in found])).tolist())
    scores = []
    for chunk, text, hits in zip(sampled, texts, found, strict=True):
        start = " ".join(text.split()[:COPIED_WORDS])
        is_other = [
            neighbours[id_].document_id != chunk.document_id and start not in _one_line(neighbours[id_].text)
            for id_ in hits.ids.tolist()
        ]
        scores += hits.scores[is_other][:1].tolist()
    return scores


def _first_sentence(text: str, heading: str) -> str:
    spans = sentences(text, heading=heading)
    first = text[slice(*spans[0])] if spans else text
    return " ".join(first.split()[:MAX_WORDS])


def _one_line(text: str) -> str:
    return " ".join(text.split())
