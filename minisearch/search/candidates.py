"""Candidates for a page: what each leg of a search proposes, fused, and in a reranker's order.

An index, a query's vector and its BM25 hits come in, a `Ranking` goes out.  Which of them share a place,
and what is shown of them, is left to `answering`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minisearch.results import Mode, Trace
from minisearch.search.ranking import N_FEEDBACK, fuse, with_feedback
from minisearch.search.rerank import Reranked
from minisearch.types import FloatArray, Hits, IntArray
from minisearch.vectors.base import VectorIndex

NOTHING = Hits(np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first: ids (n,) and what ranks them (n,), each with how it came to stand there.

    ``is_complete`` when nothing else matches.
    """

    ids: IntArray
    scores: FloatArray
    traces: tuple[Trace, ...]
    is_complete: bool


def candidates(
    index: VectorIndex | None,
    vector: FloatArray | None,
    bm25: Hits,
    n: int,
    *,
    mode: Mode,
    among: IntArray | None,
) -> Ranking:
    """The n best candidates of a mode, or all there are."""
    if vector is None or index is None:
        ids, scores = bm25.ids[:n], bm25.scores[:n]
        words = bm25.words[:n] if bm25.words is not None else np.zeros(len(ids))
        traces = [
            Trace(lexical_rank=rank, bm25=score, words=share)
            for rank, score, share in zip(range(1, n + 1), scores.tolist(), words.tolist(), strict=False)
        ]
        return Ranking(ids, scores, tuple(traces), len(bm25) <= n)
    (dense,) = index.search(vector[None], n, among=among)
    is_complete = len(dense) < n
    if mode == "dense":
        traces = [Trace(dense_rank=i + 1, cosine=float(score)) for i, score in enumerate(dense.scores)]
        return Ranking(dense.ids, dense.scores, tuple(traces), is_complete)
    ids = np.union1d(dense.ids, bm25.ids[:n])
    cosines = index.scores(vector, ids)
    lexical = _looked_up(bm25.scores, bm25, ids)
    words = _looked_up(bm25.words, bm25, ids)
    fused = fuse(cosines, lexical, ceiling=bm25.ceiling)
    moved = with_feedback(vector, index.vectors(ids[_best(fused, ids, N_FEEDBACK)]))
    feedback = index.scores(moved, ids)
    fused = fuse(feedback, lexical, ceiling=bm25.ceiling)
    order = _best(fused, ids, n)
    dense_ranks, lexical_ranks = _ranks(dense.ids), _ranks(bm25.ids[:n])
    traces = [
        Trace(
            dense_rank=dense_ranks.get(id_),
            cosine=float(cosines[i]),
            lexical_rank=lexical_ranks.get(id_),
            bm25=float(lexical[i]) or None,
            words=float(words[i]) if lexical[i] else None,
            fused=float(fused[i]),
            feedback=float(feedback[i]),
        )
        for i, id_ in zip(order.tolist(), ids[order].tolist(), strict=True)
    ]
    return Ranking(ids[order], fused[order], tuple(traces), is_complete)


def _best(scores: FloatArray, ids: IntArray, n: int) -> IntArray:
    """Where the n highest scores stand, equal ones by smaller id."""
    return np.lexsort((ids, -scores))[:n]


def _ranks(ids: IntArray) -> dict[int, int]:
    return {id_: rank for rank, id_ in enumerate(ids.tolist(), start=1)}


def _looked_up(numbers: FloatArray | None, hits: Hits, ids: IntArray) -> FloatArray:
    """The hits' numbers for these ids, which ascend; 0 where there is none."""
    found = np.zeros(len(ids), np.float32)
    if numbers is not None:
        is_asked = np.isin(hits.ids, ids)
        found[np.searchsorted(ids, hits.ids[is_asked])] = numbers[is_asked]
    return found


def scores_of(ranking: Ranking, outcome: Reranked) -> dict[int, float]:
    """The reranker's scores of the chunks it looked at, by id, best first."""
    ids = ranking.ids[outcome.order[: outcome.n_seen]].tolist()
    return dict(zip(ids, outcome.scores.tolist(), strict=True))


def reranked(ranking: Ranking, scores: dict[int, float]) -> Ranking:
    """The ranking in a reranker's order; who was not looked at stands behind, with the score it had."""
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
