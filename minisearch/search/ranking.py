"""Two rankings into one: what the vectors say and what the words say.

Cosines and BM25 scores of the same candidates come in, one number a candidate goes out; where the candidates
come from, and what the page makes of them, is left to others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minisearch.types import FloatArray, IntArray

# BM25 counts by its share of what a perfect match of all the query's words would score, so that an answer
# that shares only its common words stays low, whoever else shares fewer.  The usual scale, the best BM25 of
# the page as 1, gives that answer the full weight: nDCG@10 .78 in place of .93 on queries in other words
# than their answers'.  This weight, that of the feedback and that of pairs of words (storage/lexical.py) were
# chosen together on eight collections, so that none is below a half-and-half fusion by more than chance: the
# six of scripts/fusion.py, alike sentences and a library's documentation.
LEXICAL_WEIGHT = 1.25

NEAR = 0.3  # a page whose best cosine is lower has nothing near in meaning, and words may decide

# What is found first is taken for right, and moves the query a little towards itself.  0.2 moves nDCG@10
# by -.007 (data/) to +.009 (claims) on the six of scripts/fusion.py; 0.3 is within .004 of it on all.
N_FEEDBACK, FEEDBACK_WEIGHT = 3, 0.2


def fuse(cosines: FloatArray, bm25: FloatArray, *, ceiling: float) -> FloatArray:
    """The convex combination of both, (n,) float32 in [0, 1] where no cosine is negative; higher is better.

    ``cosines`` (n,) count by their share of the highest, or of `NEAR`; ``bm25`` (n,), 0 where no word is
    shared, by their share of ``ceiling``, what all words come to; what pairs add beyond it does not count.
    After Bruch, Gai and Ingber, "An analysis of fusion functions for hybrid retrieval", ACM TOIS 2023.
    """
    if not len(cosines):
        return np.empty(0, np.float32)
    dense = cosines / max(float(cosines.max()), NEAR)
    lexical = np.clip(bm25 / ceiling, 0, 1) if ceiling > 0 else np.zeros(len(bm25))
    fused: FloatArray = ((dense + LEXICAL_WEIGHT * lexical) / (1 + LEXICAL_WEIGHT)).astype(np.float32)
    return fused


def with_feedback(vector: FloatArray, first: FloatArray) -> FloatArray:
    """The query's vector (d,) and a little of those found first (n, d), of unit length.

    Pseudo-relevance feedback.  Rocchio, "Relevance feedback in information retrieval", in Salton (ed.), "The
    SMART retrieval system", 1971.
    """
    if not len(first):
        return vector
    moved = vector + FEEDBACK_WEIGHT * first.mean(axis=0)
    length = float(np.linalg.norm(moved))
    return np.asarray(moved / length, np.float32) if length > 0 else vector


def reciprocal_rank_fusion(
    rankings: Sequence[IntArray], *, constant: int = 60
) -> tuple[IntArray, FloatArray]:
    """Ids of all rankings, best first, and the sum over them of 1 / (constant + rank), ranks from 1.

    Equal sums by smaller id.  Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and
    individual rank learning methods", SIGIR 2009.  It sees no scores, and stands below `fuse` on
    Cranfield and far below it on data/ (scripts/fusion.py, the only one to use it).
    """
    ids, places = np.unique(np.concatenate([*rankings, np.empty(0, np.int64)]), return_inverse=True)
    shares = [1 / (constant + np.arange(1, len(ranking) + 1)) for ranking in rankings]
    sums = np.bincount(places, np.concatenate([*shares, np.empty(0)]), len(ids)).astype(np.float32)
    order = np.lexsort((ids, -sums))
    return ids[order], sums[order]
