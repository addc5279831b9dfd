"""Ranking: how the candidates of a search are scored and ordered.

`lexical_query` decides which words of a text a store is to look up, and how much each counts.
`rank_candidates` takes a snapshot, the query's vector and the full-text hits and returns a `Ranking`; in
hybrid mode it adds the dense and the lexical score.  Grouping the candidates and showing them is left to
`pipeline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from minisearch.results import Trace
from minisearch.search.kinds import asked_for, kind_of
from minisearch.stores.base import (
    LexicalQuery,
    Snapshot,
    StoredChunk,
    Term,
    TermGroup,
    Where,
    inverse_document_frequency,
)
from minisearch.text import STOP_WORDS, bigrams, folded_letters, normalised_words, paired_parts
from minisearch.types import FloatArray, Hits, IntArray

# How much a word counts in each column.  A title says in a few words what the whole document is about.
TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT = 2.0, 1.0, 1.0

# How much two adjacent words of the query count in a chunk that has them side by side, beside what each of
# them counts.  Metzler and Croft, "A Markov random field model for term dependencies", SIGIR 2005.  It raises
# nDCG@10 on claims and titles by .02 to .03 and on Cranfield by .01, and costs functions .005 (fusion.py).
PAIR_WEIGHT = 0.4

# A word in a larger share of the chunks tells nothing apart (FTS5 scores it 0.000001), and takes most time.
COMMON = 0.5

MAX_WORDS = 200  # of a longer text the first, and as many pairs: each takes about half a millisecond

MAX_TERM_SCORE = 2.2  # times the idf: the limit of BM25 with k1 = 1.2 for a word that is often repeated

# With fewer chunks than `FEW` the idf of a stop word is a guess: it is computed as if there were `MORE`
# chunks more, half of them with the word, so that it counts less than a rare name.
FEW, MORE = 1_000, 50

# A query of so many words is answered by a chunk with all of them.  A longer one is answered by a part of
# them: its words count more than their share.  The words of a shorter one count less beside its meaning.
# These numbers were chosen together on thirteen collections, among them those of scripts/fusion.py.
EXPECTED_WORDS = 5
SHORT_POWER, LONG_POWER = 0.3, 1.3

# BM25 counts as a share of the score of a perfect match of the query's words, so that a result with only
# common words stays low even if no other result shares more.  At this share it counts no more.
MAX_LEXICAL_SHARE = 1.8

NEAR = 0.3  # if the best cosine is lower, nothing is near in meaning, and words may decide

# References, tables of contents, lists of links, licences and tests lose this share of their score unless the
# query asks for them.  Chosen by hand: the collections of `scripts/fusion.py` have next to no such chunks.
KIND_PENALTY = 0.2
NAME_SHARE = 0.1  # the exact score of a rare name, and of words side by side
HEADERS_PENALTY = 0.4  # the headers of a mail alone repeat its title, and so have a high cosine
NAVIGATION_PENALTY = 0.6  # a link has the words of the page that it leads to, and no others
LOOKED_AT = 30  # candidates whose kind and heading count


@dataclass(frozen=True, slots=True)
class Best:
    """The best cosine of all candidates, and the best share of a match of the query's words."""

    cosine: float | None = None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first: ids (n,) and scores (n,), each with its trace.

    ``is_complete`` if nothing else matches the query.
    """

    ids: IntArray
    scores: FloatArray
    traces: tuple[Trace, ...]
    is_complete: bool
    best: Best = Best()


def lexical_query(text: str, snapshot: Snapshot) -> LexicalQuery:
    """The terms of a text and how much each counts in this snapshot.

    Words in more than half of the chunks count only if the text has no others.  Of a text of more than 200
    different words only the first 200 count.
    """
    n_times, pairs = _terms(text)
    terms = [*n_times]
    _, n_chunks = snapshot.counts()
    counts = dict(zip(terms, snapshot.term_counts(terms), strict=True))

    def idf(term: Term) -> float:
        if n_chunks < FEW and _is_stop_word(term):
            return inverse_document_frequency(counts[term] + MORE / 2, n_chunks + MORE)
        return inverse_document_frequency(counts[term], n_chunks)

    found = [term for term in terms if counts[term]]
    rare = [term for term in found if counts[term] <= COMMON * n_chunks]
    stop_words = tuple(term for term in rare or found if _is_stop_word(term))
    content = [term for term in rare or found if not _is_stop_word(term)]
    adjacent = tuple(
        Term(one.words + other.words)
        for one, other in pairs
        if {one, other} <= {*found}
        and not {one, other}.isdisjoint(rare)
        and not (_is_stop_word(one) and _is_stop_word(other))  # "what to" says as little as "what"
    )
    # Words that no chunk holds count too: a chunk that lacks them answers only a part of the query.
    content_ceiling = MAX_TERM_SCORE * sum(
        n_times[term] * idf(term) for term in terms if not _is_stop_word(term)
    )
    n_content = sum(not _is_stop_word(term) for term in terms)
    return LexicalQuery(
        text=text,
        groups=(
            *(
                TermGroup(tuple(term for term in content if n_times[term] == n), weight=n, is_content=True)
                for n in sorted({n_times[term] for term in content})
            ),
            TermGroup(stop_words, idf=tuple(map(idf, stop_words))),
            TermGroup(adjacent, weight=PAIR_WEIGHT),
        ),
        column_weights=(TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT),
        ceiling=_expected_share(n_content)
        * (content_ceiling + MAX_TERM_SCORE * sum(map(idf, filter(_is_stop_word, terms)))),
        content_ceiling=content_ceiling,
    )


def _expected_share(n_content: int) -> float:
    """The share of a perfect match that counts 1, for a query of so many words without stop words."""
    ratio = EXPECTED_WORDS / max(1, n_content)
    return float(ratio ** (LONG_POWER if ratio < 1 else SHORT_POWER))


def _is_stop_word(term: Term) -> bool:
    return len(term.words) == 1 and not term.is_prefix and term.words[0].lower() in STOP_WORDS


def _terms(text: str) -> tuple[Counter[Term], list[tuple[Term, Term]]]:
    """How often the first words of a text are in it, and its pairs of adjacent ones outside paired text."""
    terms: dict[tuple[str, bool], Term] = {}
    n_times: Counter[Term] = Counter()
    pairs: dict[tuple[Term, Term], None] = {}
    before: Term | None = None
    for part, is_paired in chain.from_iterable(map(paired_parts, normalised_words(text))):
        is_prefix = is_paired and len(part) == 1  # finds every word that begins with the character
        for word in bigrams(part) if is_paired else [part]:
            if len(terms) == MAX_WORDS:
                return n_times, [*pairs]
            term = terms.setdefault((folded_letters(word), is_prefix), Term((word,), is_prefix))
            n_times[term] += 1
        if before and not is_paired and len(pairs) < MAX_WORDS:
            pairs[before, term] = None
        before = None if is_paired else term
    return n_times, [*pairs]


def rank_candidates(
    snapshot: Snapshot,
    vector: FloatArray | None,
    lexical: Hits | None,
    n: int,
    *,
    exact: Hits | None = None,
    where: Where | None = None,
    exclude: IntArray | None = None,
) -> Ranking:
    """The n best candidates, or all there are, of the chunks that ``where`` leaves.

    Without ``lexical`` hits the search is dense, without a ``vector`` (d,) it is lexical, with both it is
    hybrid; then the ``exact`` hits come first (see `exact_hits`).
    """
    if vector is None:
        assert lexical is not None, "a search needs a vector or full-text hits"
        return _lexical_ranking(lexical, n)
    dense = snapshot.dense(vector, n, where=where, exclude=exclude)
    if lexical is None:
        traces = [Trace(dense_rank=i + 1, cosine=float(score)) for i, score in enumerate(dense.scores)]
        return Ranking(dense.ids, dense.scores, tuple(traces), len(dense) < n)
    return _hybrid_ranking(snapshot, vector, dense, lexical, exact, n)


def _lexical_ranking(lexical: Hits, n: int) -> Ranking:
    ids, scores = lexical.ids[:n], lexical.scores[:n]
    words = lexical.words[:n] if lexical.words is not None else np.zeros(len(ids))
    traces = [
        Trace(lexical_rank=i + 1, bm25=score, words=share)
        for i, (score, share) in enumerate(zip(scores.tolist(), words.tolist(), strict=True))
    ]
    return Ranking(ids, scores, tuple(traces), len(lexical) <= n)


def _hybrid_ranking(
    snapshot: Snapshot, vector: FloatArray, dense: Hits, lexical: Hits, exact: Hits | None, n: int
) -> Ranking:
    found = {*dense.ids.tolist(), *lexical.ids[:n].tolist(), *([] if exact is None else exact.ids.tolist())}
    ids = np.array(sorted(found), np.int64)
    cosines = snapshot.cosines(vector, ids)
    bm25 = _looked_up(lexical.scores, lexical, ids)
    words = _looked_up(lexical.words, lexical, ids)
    fused = fuse(cosines, bm25, ceiling=lexical.ceiling)
    shares = None if exact is None else _looked_up(exact.scores, exact, ids)
    scores = fused
    if shares is not None:  # one with any token comes before all without
        scores = ((fused + np.where(shares > 0, 1 + shares, 0) / 2) / 2).astype(np.float32)
    order = _best(scores, ids, n)
    dense_ranks, lexical_ranks = _ranks(dense.ids), _ranks(lexical.ids[:n])
    traces = [
        Trace(
            dense_rank=dense_ranks.get(id_),
            cosine=float(cosines[i]),
            lexical_rank=lexical_ranks.get(id_),
            bm25=float(bm25[i]) or None,
            words=float(words[i]) if bm25[i] else None,
            fused=float(fused[i]),
            exact=float(shares[i]) if shares is not None else None,
        )
        for i, id_ in zip(order.tolist(), ids[order].tolist(), strict=True)
    ]
    best = Best(
        float(cosines.max(initial=-1)),
        float(lexical_shares(bm25, lexical.ceiling).max(initial=0)),
    )
    return Ranking(ids[order], scores[order], tuple(traces), len(dense) < n, best)


def fuse(cosines: FloatArray, bm25: FloatArray, *, ceiling: float) -> FloatArray:
    """The sum of both, (n,) float32 in [0, 1] if no cosine is negative; higher is better.

    ``cosines`` (n,) are divided by the highest, or by `NEAR`; ``bm25`` (n,), 0 without a shared word, by
    ``ceiling``, the score at which words count as much as the best cosine (see `LexicalQuery`).
    After Bruch, Gai and Ingber, "An analysis of fusion functions for hybrid retrieval", ACM TOIS 2023.
    """
    if not len(cosines):
        return np.empty(0, np.float32)
    dense = cosines / max(float(cosines.max()), NEAR)
    fused: FloatArray = ((dense + lexical_shares(bm25, ceiling)) / (1 + MAX_LEXICAL_SHARE)).astype(np.float32)
    return fused


def lexical_shares(bm25: FloatArray, ceiling: float) -> FloatArray:
    """BM25 scores as shares of the ceiling, (n,)."""
    if ceiling <= 0:
        return np.zeros(len(bm25), np.float32)
    shares: FloatArray = np.clip(bm25 / ceiling, 0, MAX_LEXICAL_SHARE)
    return shares


def reranked(ranking: Ranking, scores: dict[int, float]) -> Ranking:
    """The ranking with the candidates of ``scores``, by chunk id and best first, before all others.

    The others keep their order; their scores, on another scale, are at most the last reranked one.
    """
    position = {id_: n for n, id_ in enumerate(ranking.ids.tolist())}
    seen = [position[id_] for id_ in scores if id_ in position]
    order = np.array([*seen, *(n for id_, n in position.items() if id_ not in scores)], np.int64)
    traces = [ranking.traces[n] for n in order.tolist()]
    new_scores = ranking.scores[order]
    for rank, n in enumerate(seen):
        score = scores[int(ranking.ids[n])]
        new_scores[rank] = score
        traces[rank] = replace(traces[rank], rank_before_rerank=n + 1, rerank=score)
    return replace(
        ranking, ids=ranking.ids[order], scores=np.minimum.accumulate(new_scores), traces=tuple(traces)
    )


def with_prose_first(ranking: Ranking, chunks: Mapping[int, StoredChunk], text: str) -> Ranking:
    """A hybrid ranking with lower scores for chunks that rarely answer a query (see `kinds`).

    Those with an exact token of the query still come before all without any, but for navigation.  Those with
    its words side by side do not: a list of references has many titles.
    """
    asked = asked_for(text)
    traces, scores = [*ranking.traces], ranking.scores.copy()
    for n, id_ in enumerate(ranking.ids[:LOOKED_AT].tolist()):
        fused = traces[n].fused
        kind = kind_of(chunks[id_].text, chunks[id_].path, chunks[id_].heading)
        if fused is not None and kind is not None and kind not in asked:
            penalties = {"headers": HEADERS_PENALTY, "navigation": NAVIGATION_PENALTY}
            lost, exact = penalties.get(kind, KIND_PENALTY) * abs(fused), traces[n].exact
            scores[n] -= lost if exact is None else lost / 2  # half of the score is for exact tokens
            if exact and (kind == "navigation" or exact <= NAME_SHARE + 1e-6):
                scores[n] -= (1 + exact) / 4
            traces[n] = replace(traces[n], fused=fused - lost)
    order = _best(scores, ranking.ids, len(scores))
    return replace(
        ranking, ids=ranking.ids[order], scores=scores[order], traces=tuple(traces[n] for n in order.tolist())
    )


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
