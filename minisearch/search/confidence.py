"""Confidence: how sure a result is, as one number that never rises from one result to the next.

A `Ranking` and the index's `ScoreBaseline` come in; for each candidate an estimate from 0 to 1 goes out.  The
baseline, measured after indexing, is what unrelated queries score in this index: everyday ones, and sentences
of its own documents searched for in all the other documents.

The estimate is a logistic function of four signals: how far the best cosine is above the baseline, the best
share of the query's words, whether the candidate has the query's exact tokens or its name, and how far its
fused score is below the best one.  It is evidence of relevance, not that an answer exists: a query about a
subject that the index is full of may score high whether or not any chunk answers it, although the words
that most chunks share, such as the name of a project, do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minisearch.manifest import ScoreBaseline
from minisearch.results import Mode
from minisearch.search.ranking import Ranking
from minisearch.search.sentences import sentences
from minisearch.search.words import without_common_words, without_words
from minisearch.stores.base import Snapshot
from minisearch.text import content_words
from minisearch.types import Encoder, FloatArray

GENERIC_QUERIES = Path(__file__).parent / "generic_queries.txt"

# An index with fewer documents is measured with fewer everyday queries, to save time, and not with its own
# sentences, to which there is too little to compare.
FEW_DOCUMENTS = 20
EVERY_GENERIC_OF_FEW = 4
N_SENTENCES = 80
MAX_SENTENCE_WORDS = 15
COPIED_WORDS = 8  # a chunk that has this many first words of a sentence in a row repeats the sentence

# Chunks of the sentence's own document are skipped; if all of these are, the sentence is not counted.
N_NEIGHBOURS = 20

# Own sentences score .6 on average of the collections of scripts/confidence.py, where everyday queries score
# .24, that is this share of the rest to 1.  Near copies score higher and say nothing about queries: more does
# not count.
OWN_ABOVE_GENERIC, MAX_OWN = 0.47, 0.65

# The distance from the median to the 95th percentile.  A smaller one comes from too few different scores.
LEAST_SPREAD, LEAST_OWN_SPREAD = 0.1, 0.15

# The heights count within these bounds: beyond them they make no further difference.
GENERIC_RANGE, OWN_RANGE = (-1.0, 2.0), (-1.5, 1.0)


class Weights(NamedTuple):
    """The weights of the signals, in the logit of the estimate."""

    meaning: float
    words: float
    exact: float
    below_best: float
    constant: float


# Fitted by scripts/confidence.py --fit, which also measures each collection with the weights of the others.
WEIGHTS: dict[Mode, Weights] = {
    "hybrid": Weights(0.88, 0.8, 1.88, -7.1, -1.41),
    "dense": Weights(1.1, 0.0, 0.0, 0.0, -1.33),
    "lexical": Weights(0.0, 7.27, 0.0, 0.0, -1.98),
}

# Below it there is no clear answer.  At .5 more queries were refused although the right result was first, on
# the collections of scripts/confidence.py; queries of another collection rarely reach .4.
CONFIDENT_FROM = 0.4

# A chunk with every word of the query once has .45 of a perfect match, and is a clear answer however low
# its estimate is: words of one chunk alone, such as names, mean little to the model.  Of the first results
# with such a share, three of four are right on the collections of scripts/confidence.py.
WORDS_FROM, LEAST_BY_WORDS, MOST_BY_WORDS = 0.3, 0.45, 0.8

# The share of the first result's cosine below which words that no chunk has lead away from it.  Of 210 right
# and clear answers of data/ and Cranfield one is below, by misspelt words; of 16 with a foreign word twelve.
LED_AWAY = 0.85

# Until the first indexing run has ended, the baseline is that of a usual index.
USUAL_BASELINE = ScoreBaseline(generic=(0.24, 0.4), own=(0.6, 0.75), n_documents=0)


def with_rarer_words(ranking: Ranking, text: str, snapshot: Snapshot, encoder: Encoder) -> Ranking:
    """The ranking with the best cosine of the query without its common words, if that is lower.

    The name of a project is near to everything in its documentation, and so is "celery on a games console".
    """
    rest = without_common_words(text, snapshot)
    if rest == text or ranking.best.cosine is None or not len(ranking.ids):
        return ranking
    (vector,) = encoder.encode_query([rest])
    cosine = float(snapshot.cosines(vector, ranking.ids).max())
    return replace(ranking, best=replace(ranking.best, cosine=min(cosine, ranking.best.cosine)))


def is_led_away(
    text: str, unknown: Collection[str], ranking: Ranking, snapshot: Snapshot, encoder: Encoder
) -> bool:
    """Whether words that no chunk has make a query mean something else than the first candidate says.

    Its cosine is much lower with them than without: "bread on kubernetes", but not "baguette hard as rock".
    """
    rest = without_words(text, unknown)
    if not unknown or not content_words(rest) or not len(ranking.ids) or ranking.traces[0].exact:
        return False
    vectors = encoder.encode_query([text, rest])
    with_them, without = (float(snapshot.cosines(vector, ranking.ids[:1])[0]) for vector in vectors)
    return with_them < LED_AWAY * without


def heights(cosine: float, baseline: ScoreBaseline) -> tuple[float, float]:
    """How far a cosine is above the baseline, generic and own: 0 at the median, 1 at the 95th percentile.

    >>> heights(0.4, ScoreBaseline(generic=(0.2, 0.4), own=(0.5, 0.7)))
    (1.0, -0.5)
    """
    generic, own = baseline.generic, baseline.own
    median = min(own[0], MAX_OWN)
    return (
        float(np.clip((cosine - generic[0]) / max(generic[1] - generic[0], LEAST_SPREAD), *GENERIC_RANGE)),
        float(np.clip((cosine - median) / max(own[1] - own[0], LEAST_OWN_SPREAD), *OWN_RANGE)),
    )


def signals(ranking: Ranking, baseline: ScoreBaseline | None, mode: Mode) -> FloatArray:
    """The signals of each candidate, (n, 5), in the order of `Weights`."""
    n = len(ranking.ids)
    found = np.zeros((n, 5), np.float32)
    found[:, 4] = 1
    if not n:
        return found
    if mode == "dense":
        found[:, 0] = [_meaning(trace.cosine, baseline) for trace in ranking.traces]
    elif mode == "lexical":
        found[:, 1] = [trace.words or 0.0 for trace in ranking.traces]
    else:
        fused = np.array([trace.fused or 0.0 for trace in ranking.traces], np.float32)
        found[:, 0], found[:, 1] = _meaning(ranking.best.cosine, baseline), ranking.best.share
        found[:, 2] = [trace.exact or 0.0 for trace in ranking.traces]
        # A document that is named as the query may have a low score of its own.
        found[:, 3] = np.where(found[:, 2] >= 1, 0, fused.max() - fused)
    return found


def _meaning(cosine: float | None, baseline: ScoreBaseline | None) -> float:
    """The sum of both heights; that of the lowest cosine where the vectors say nothing."""
    if cosine is None or baseline is None:
        return GENERIC_RANGE[0] + OWN_RANGE[0]
    return sum(heights(cosine, baseline))


def relevances(ranking: Ranking, baseline: ScoreBaseline | None, mode: Mode) -> list[float]:
    """The estimate for each candidate, in [0, 1]; none is above the one before it."""
    logits = (signals(ranking, baseline, mode) * np.array(WEIGHTS[mode], np.float32)).sum(axis=1)
    estimates = 1 / (1 + np.exp(-logits))
    if mode == "hybrid":
        words = np.array([trace.words or 0.0 for trace in ranking.traces])
        estimates = np.maximum(estimates, least_by_words(words))
    found: list[float] = np.minimum.accumulate(estimates).tolist()
    return found


def least_by_words(words: FloatArray) -> FloatArray:
    """The least relevance of chunks with these shares of the query's words, (n,); 0 if they are few."""
    least = np.minimum(LEAST_BY_WORDS + words - WORDS_FROM, MOST_BY_WORDS)
    return np.where(words >= WORDS_FROM, least, 0.0)


# --- measuring the baseline --------------------------------------------------------------------------------


def measure_baseline(snapshot: Snapshot, encoder: Encoder) -> ScoreBaseline | None:
    """Measure what unrelated queries score; None if the index is empty.

    The same index always gives the same baseline.
    """
    n_documents, n_chunks = snapshot.counts()
    if not n_chunks:
        return None
    is_small = n_documents < FEW_DOCUMENTS
    queries = generic_queries()[:: EVERY_GENERIC_OF_FEW if is_small else 1]
    generic = _median_and_high(
        [float(snapshot.dense(vector, 1).scores[0]) for vector in encoder.encode_query(queries)]
    )
    scores = [] if is_small else _own_scores(snapshot, encoder)
    median = generic[0] + OWN_ABOVE_GENERIC * (1 - generic[0])
    own = _median_and_high(scores) if scores else (median, min(median + LEAST_OWN_SPREAD, 1.0))
    return ScoreBaseline(generic, own, n_documents)


def _median_and_high(scores: Sequence[float]) -> tuple[float, float]:
    median, high = np.percentile(np.asarray(scores), [50, 95])
    return round(float(median), 4), round(float(high), 4)


def generic_queries() -> list[str]:
    """Everyday queries about all kinds of subjects."""
    return GENERIC_QUERIES.read_text(encoding="utf-8").splitlines()


def _own_scores(snapshot: Snapshot, encoder: Encoder) -> list[float]:
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
    return " ".join(first.split()[:MAX_SENTENCE_WORDS])


def _one_line(text: str) -> str:
    return " ".join(text.split())
