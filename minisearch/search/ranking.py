"""Ranking: how the candidates of a search are scored and ordered.

`lexical_query` decides which words of a text a store is to look up, and how much each counts.
`rank_candidates` takes a snapshot, the query's vector and the full-text hits and returns a `Ranking`.  In
hybrid mode the dense and the lexical scores are fused, after the query's vector was moved a little towards
the best candidates (pseudo-relevance feedback).  Grouping the candidates and showing them is left to
`pipeline`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from minisearch.results import Trace
from minisearch.stores.base import LexicalQuery, Snapshot, Term, TermGroup, Where, inverse_document_frequency
from minisearch.text import CJK_RUN, STOP_WORDS, bigrams, normalised_words
from minisearch.types import FloatArray, Hits, IntArray

# How much a word counts in each column.  A title says in a few words what the whole document is about.
TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT = 2.0, 1.0, 1.0

# How much two adjacent words of the query count in a passage that has them side by side, beside what each of
# them counts.  Metzler and Croft, "A Markov random field model for term dependencies", SIGIR 2005.  It raises
# nDCG@10 on claims and titles by .02 and changes the other four of scripts/fusion.py by .004 at most.
PAIR_WEIGHT = 0.4

# A word in a larger share of the passages tells nothing apart (FTS5 scores it 0.000001), and takes most time.
COMMON = 0.5

MAX_WORDS = 200  # of a longer text the first, and as many pairs: each takes about half a millisecond

MAX_TERM_SCORE = 2.2  # times the idf: the limit of BM25 with k1 = 1.2 for a word that is often repeated

# With few passages the idf of a stop word is a guess: it is computed as if there were so many more, half of
# them with the word.  A name in one of 20 then counts five times as much as "where" and "does", not the same.
FEW, MORE = 1_000, 50

# BM25 counts as a share of the score of a perfect match of all the query's words, so that a result with only
# common words stays low even if no other result shares more.  The usual scale, in which the best BM25 of
# the results is 1, gives that result the full weight: nDCG@10 .78 in place of .93 on queries that share few
# words with the passages that answer them.  This weight, that of the feedback and that of pairs of words
# were chosen together on eight collections, so that none is below a half-and-half
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


def lexical_query(text: str, snapshot: Snapshot) -> LexicalQuery:
    """The terms of a text and how much each counts in this snapshot.

    Words in more than half of the chunks count only if the text has no others.  Of a text of more than 200
    different words only the first 200 count.
    """
    terms, pairs = _terms(text)
    _, n_chunks = snapshot.counts()
    counts = dict(zip(terms, snapshot.term_counts(terms), strict=True))

    def idf(term: Term) -> float:
        if n_chunks < FEW and _is_stop_word(term):
            return inverse_document_frequency(counts[term] + MORE / 2, n_chunks + MORE)
        return inverse_document_frequency(counts[term], n_chunks)

    found = [term for term in terms if counts[term]]
    rare = [term for term in found if counts[term] <= COMMON * n_chunks]
    stop_words = tuple(term for term in rare or found if _is_stop_word(term))
    adjacent = tuple(
        Term(one.words + other.words)
        for one, other in pairs
        if {one, other} <= {*found}
        and not {one, other}.isdisjoint(rare)
        and not (_is_stop_word(one) and _is_stop_word(other))  # "what to" says as little as "what"
    )
    return LexicalQuery(
        text=text,
        groups=(
            TermGroup(tuple(term for term in rare or found if not _is_stop_word(term)), is_content=True),
            TermGroup(stop_words, idf=tuple(map(idf, stop_words))),
            TermGroup(adjacent, weight=PAIR_WEIGHT),
        ),
        column_weights=(TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT),
        # Words that no passage holds count too: a passage that lacks them answers only a part of the query.
        ceiling=MAX_TERM_SCORE * sum(map(idf, terms)),
        content_ceiling=MAX_TERM_SCORE * sum(idf(term) for term in terms if not _is_stop_word(term)),
    )


def _is_stop_word(term: Term) -> bool:
    return len(term.words) == 1 and not term.is_prefix and term.words[0].lower() in STOP_WORDS


def _terms(text: str) -> tuple[list[Term], list[tuple[Term, Term]]]:
    """The first words of a text, and the pairs of adjacent ones outside CJK text; each once."""
    terms: dict[tuple[str, bool], Term] = {}
    pairs: dict[tuple[Term, Term], None] = {}
    before: Term | None = None
    split = (re.split(f"({CJK_RUN.pattern})", word) for word in normalised_words(text))
    for part in filter(None, chain.from_iterable(split)):
        is_cjk = CJK_RUN.match(part) is not None
        is_prefix = is_cjk and len(part) == 1  # finds every word that begins with the character
        for word in bigrams(part) if is_cjk else [part]:
            if len(terms) == MAX_WORDS:
                return [*terms.values()], [*pairs]
            term = terms.setdefault((word.lower(), is_prefix), Term((word,), is_prefix))
        if before and not is_cjk and len(pairs) < MAX_WORDS:
            pairs[before, term] = None
        before = None if is_cjk else term
    return [*terms.values()], [*pairs]


def rank_candidates(
    snapshot: Snapshot,
    vector: FloatArray | None,
    lexical: Hits | None,
    n: int,
    *,
    where: Where | None = None,
    exclude: IntArray | None = None,
) -> Ranking:
    """The n best candidates, or all there are, of the chunks that ``where`` leaves.

    Without ``lexical`` hits the search is dense, without a ``vector`` (d,) it is lexical, with both it is
    hybrid.
    """
    if vector is None:
        assert lexical is not None, "a search needs a vector or full-text hits"
        return _lexical_ranking(lexical, n)
    dense = snapshot.dense(vector, n, where=where, exclude=exclude)
    if lexical is None:
        traces = [Trace(dense_rank=i + 1, cosine=float(score)) for i, score in enumerate(dense.scores)]
        return Ranking(dense.ids, dense.scores, tuple(traces), len(dense) < n)
    return _hybrid_ranking(snapshot, vector, dense, lexical, n)


def _lexical_ranking(lexical: Hits, n: int) -> Ranking:
    ids, scores = lexical.ids[:n], lexical.scores[:n]
    words = lexical.words[:n] if lexical.words is not None else np.zeros(len(ids))
    traces = [
        Trace(lexical_rank=i + 1, bm25=score, words=share)
        for i, (score, share) in enumerate(zip(scores.tolist(), words.tolist(), strict=True))
    ]
    return Ranking(ids, scores, tuple(traces), len(lexical) <= n)


def _hybrid_ranking(snapshot: Snapshot, vector: FloatArray, dense: Hits, lexical: Hits, n: int) -> Ranking:
    ids = np.union1d(dense.ids, lexical.ids[:n])
    cosines = snapshot.cosines(vector, ids)
    bm25 = _looked_up(lexical.scores, lexical, ids)
    words = _looked_up(lexical.words, lexical, ids)
    fused = fuse(cosines, bm25, ceiling=lexical.ceiling)
    moved = with_feedback(vector, snapshot.vectors(ids[_best(fused, ids, N_FEEDBACK)]))
    feedback = snapshot.cosines(moved, ids)
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
