"""Ranking: how the candidates of a search are scored and ordered.

The vector index, the query's vector and the full-text hits come in, a `Ranking` goes out.  In hybrid mode the
dense and the lexical scores are fused, after the query's vector was moved a little towards the best
candidates (pseudo-relevance feedback).  Grouping the candidates and showing them is left to `pipeline`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minisearch.results import Trace
from minisearch.types import FloatArray, Hits, IntArray
from minisearch.vectors.base import VectorIndex

# BM25 counts as a share of the score of a perfect match of all the query's words, so that a result with only
# common words stays low even if no other result shares more.  The usual scale, in which the best BM25 of
# the results is 1, gives that result the full weight: nDCG@10 .78 in place of .93 on queries that share few
# words with the passages that answer them.  This weight, that of the feedback and that of pairs of words
# (stores/local/lexical.py) were chosen together on eight collections, so that none is below a half-and-half
# fusion by more than chance: the six of scripts/fusion.py, similar sentences and a library's documentation.
LEXICAL_WEIGHT = 1.25

NEAR = 0.3  # if the best cosine is lower, nothing is near in meaning, and words may decide

# The first results are taken to be relevant and move the query a little towards them.  0.2 moves nDCG@10
# by -.007 (data/) to +.009 (claims) on the six of scripts/fusion.py; 0.3 is within .004 of it on all.
N_FEEDBACK, FEEDBACK_WEIGHT = 3, 0.2


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first: ids (n,) and scores (n,), each with its trace.

    ``is_complete`` if nothing else matches the query.
    """

    ids: IntArray
    scores: FloatArray
    traces: tuple[Trace, ...]
    is_complete: bool


def rank_candidates(
    index: VectorIndex | None,
    vector: FloatArray | None,
    lexical: Hits | None,
    n: int,
    *,
    among: IntArray | None,
) -> Ranking:
    """The n best candidates, or all there are, of the chunks ``among``.

    Without ``lexical`` hits the search is dense, without an index or a ``vector`` (d,) it is lexical, with
    all of them it is hybrid.
    """
    if index is None or vector is None:
        assert lexical is not None, "a search needs a vector or full-text hits"
        return _lexical_ranking(lexical, n)
    (dense,) = index.search(vector[None], n, among=among)
    if lexical is None:
        traces = [Trace(dense_rank=i + 1, cosine=float(score)) for i, score in enumerate(dense.scores)]
        return Ranking(dense.ids, dense.scores, tuple(traces), len(dense) < n)
    return _hybrid_ranking(index, vector, dense, lexical, n)


def _lexical_ranking(lexical: Hits, n: int) -> Ranking:
    ids, scores = lexical.ids[:n], lexical.scores[:n]
    words = lexical.words[:n] if lexical.words is not None else np.zeros(len(ids))
    traces = [
        Trace(lexical_rank=i + 1, bm25=score, words=share)
        for i, (score, share) in enumerate(zip(scores.tolist(), words.tolist(), strict=True))
    ]
    return Ranking(ids, scores, tuple(traces), len(lexical) <= n)


def _hybrid_ranking(index: VectorIndex, vector: FloatArray, dense: Hits, lexical: Hits, n: int) -> Ranking:
    ids = np.union1d(dense.ids, lexical.ids[:n])
    cosines = index.scores(vector, ids)
    bm25 = _looked_up(lexical.scores, lexical, ids)
    words = _looked_up(lexical.words, lexical, ids)
    fused = fuse(cosines, bm25, ceiling=lexical.ceiling)
    moved = with_feedback(vector, index.vectors(ids[_best(fused, ids, N_FEEDBACK)]))
    feedback = index.scores(moved, ids)
    fused = fuse(feedback, bm25, ceiling=lexical.ceiling)
    order = _best(fused, ids, n)
    dense_ranks, lexical_ranks = _ranks(dense.ids), _ranks(lexical.ids[:n])
    traces = [
        Trace(
            dense_rank=dense_ranks.get(id_),
            cosine=float(cosines[i]),
            lexical_rank=lexical_ranks.get(id_),
            bm25=float(bm25[i]) or None,
            words=float(words[i]) if bm25[i] else None,
            fused=float(fused[i]),
            feedback=float(feedback[i]),
        )
        for i, id_ in zip(order.tolist(), ids[order].tolist(), strict=True)
    ]
    return Ranking(ids[order], fused[order], tuple(traces), len(dense) < n)


def fuse(cosines: FloatArray, bm25: FloatArray, *, ceiling: float) -> FloatArray:
    """The convex combination of both, (n,) float32 in [0, 1] if no cosine is negative; higher is better.

    ``cosines`` (n,) are divided by the highest, or by `NEAR`; ``bm25`` (n,), 0 without a shared word, by
    ``ceiling``, the score of a perfect match of all words; what pairs of words add beyond it does not count.
    After Bruch, Gai and Ingber, "An analysis of fusion functions for hybrid retrieval", ACM TOIS 2023.
    """
    if not len(cosines):
        return np.empty(0, np.float32)
    dense = cosines / max(float(cosines.max()), NEAR)
    lexical = np.clip(bm25 / ceiling, 0, 1) if ceiling > 0 else np.zeros(len(bm25))
    fused: FloatArray = ((dense + LEXICAL_WEIGHT * lexical) / (1 + LEXICAL_WEIGHT)).astype(np.float32)
    return fused


def with_feedback(vector: FloatArray, first: FloatArray) -> FloatArray:
    """The query's vector (d,) moved towards the vectors of the first results (n, d), of unit length.

    Pseudo-relevance feedback.  Rocchio, "Relevance feedback in information retrieval", in Salton (ed.), "The
    SMART retrieval system", 1971.
    """
    if not len(first):
        return vector
    moved = vector + FEEDBACK_WEIGHT * first.mean(axis=0)
    length = float(np.linalg.norm(moved))
    return np.asarray(moved / length, np.float32) if length > 0 else vector


def reranked(ranking: Ranking, scores: dict[int, float]) -> Ranking:
    """The ranking with the candidates of ``scores``, by chunk id and best first, before all others."""
    position = {id_: n for n, id_ in enumerate(ranking.ids.tolist())}
    seen = [position[id_] for id_ in scores if id_ in position]
    order = np.array([*seen, *(n for id_, n in position.items() if id_ not in scores)], np.int64)
    traces = [ranking.traces[n] for n in order.tolist()]
    new_scores = ranking.scores[order]
    for rank, n in enumerate(seen):
        score = scores[int(ranking.ids[n])]
        new_scores[rank] = score
        traces[rank] = replace(traces[rank], rank_before_rerank=n + 1, rerank=score)
    return Ranking(ranking.ids[order], new_scores, tuple(traces), ranking.is_complete)


def _best(scores: FloatArray, ids: IntArray, n: int) -> IntArray:
    """The positions of the n highest scores; equal scores by smaller id."""
    return np.lexsort((ids, -scores))[:n]


def _ranks(ids: IntArray) -> dict[int, int]:
    return {id_: rank for rank, id_ in enumerate(ids.tolist(), start=1)}


def _looked_up(numbers: FloatArray | None, hits: Hits, ids: IntArray) -> FloatArray:
    """The hits' numbers for these ids, which ascend; 0 for an id that is not among the hits."""
    found = np.zeros(len(ids), np.float32)
    if numbers is not None:
        is_among = np.isin(hits.ids, ids)
        found[np.searchsorted(ids, hits.ids[is_among])] = numbers[is_among]
    return found
