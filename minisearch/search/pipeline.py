"""One query through a whole search: both legs, their fusion, a closer look, the page, its evidence.

    query -> dense hits + full-text hits (the filter inside both) -> fused -> reranked -> page -> evidence

What is asked, of which state of the index and with which models is decided before; nothing is opened,
loaded or written here.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minisearch.filters import And, Contains, Filter, Not
from minisearch.manifest import ScoreBaseline
from minisearch.results import (
    Evidence,
    Mode,
    Place,
    Query,
    SearchOptions,
    SearchResult,
    SearchResults,
    Trace,
)
from minisearch.search.candidates import NOTHING, Ranking, candidates, reranked, scores_of
from minisearch.search.confidence import CONFIDENT_FROM, is_confident, relevance
from minisearch.search.evidence import best_sentences, evidence, likeliest_sentences
from minisearch.search.grouping import Candidate, Group, by_document, diversify, merge, spread
from minisearch.search.rerank import Reranked
from minisearch.stores.local import Store, StoredChunk
from minisearch.types import Encoder, FloatArray, IntArray
from minisearch.vectors.base import VectorIndex

# Candidates looked at for a page of k: enough that neighbours and copies can go together. Grouping takes time
# with their square (3 ms for 100), and goes deeper only where a page would otherwise stay short.
LEAST_CANDIDATES = 100
CANDIDATES_A_RESULT = 5
MOST_COMPARED = 2_000  # beyond, only equal texts count as copies: a matrix of cosines would take the memory

# For evidence the query's words are weighed by their rarity in the passages found first, whatever k is. Of
# what rarity on a page of three gave, this changes 12 of 1,572 sentences (see `evidence.WORDS_COUNT`), 4 for
# the better and 4 for the worse; rarity in the whole index changes 31, 8 for the better and 11 for the worse.
FOUND_FIRST = 5

ALL = 2**31


def condition(query: Query, where: Filter | None) -> Filter | None:
    """The condition that every result meets: the filter, the query's phrases, none of its excluded words."""
    parts = (
        *([] if where is None else [where]),
        *map(Contains, query.required),
        *(Not(Contains(phrase)) for phrase in query.excluded),
    )
    return And(parts) if parts else None


@dataclass(frozen=True, slots=True)
class Answerer:
    """One state of an index, and what it takes to ask it.

    ``index`` is of the one snapshot that ``store`` is in; it and ``encoder`` may be None where only words
    are looked for.  ``rerank`` looks again at texts; ``baseline`` is what the index says to queries it has no
    answer for; ``shown`` turns a stored path into the user's.
    """

    store: Store
    index: VectorIndex | None
    encoder: Encoder | None
    rerank: Callable[[str, Sequence[str]], Reranked] | None
    baseline: ScoreBaseline | None
    shown: Callable[[str], str]

    def answer(
        self,
        query: Query,
        vector: FloatArray | None,
        options: SearchOptions,
        *,
        but_not: IntArray | None = None,
    ) -> SearchResults:
        """Ranked answers, none of the chunks ``but_not``; ``vector`` (d,) is None in lexical mode."""
        wanted = condition(query, options.where)
        among = None if wanted is None else self.store.select(wanted)
        if but_not is not None:
            among = np.setdiff1d(self.store.chunk_ids() if among is None else among, but_not)
        is_dense = options.mode == "dense"
        bm25 = NOTHING if is_dense else self.store.lexical(query.text, ALL, among=among)
        n = max(LEAST_CANDIDATES, CANDIDATES_A_RESULT * options.k, options.rerank_depth or 0)
        scores: dict[int, float] | None = None
        while True:
            ranking = found = candidates(self.index, vector, bm25, n, mode=options.mode, among=among)
            chunks = self.store.chunks(found.ids.tolist())
            if self.rerank is not None:
                scores = scores or scores_of(found, self.rerank(_words(query), _texts(found, chunks)))
                ranking = reranked(found, scores)
            groups = self._page(ranking, chunks, options)
            if len(groups) >= options.k or ranking.is_complete or self._is_every_document(groups, options):
                break
            n *= 4
        results = self._results(groups, ranking, chunks, query)
        if options.evidence and results:
            found_first = [chunks[id_] for id_ in found.ids[:FOUND_FIRST].tolist()]
            results = self._with_evidence(results, chunks, query, vector, found_first)
        is_filtered = among is not None and wanted is not None
        return SearchResults(
            results=tuple(results),
            query=query,
            mode=options.mode,
            # Whatever k is.
            is_confident=is_confident([self._relevance(trace, query) for trace in ranking.traces]),
            plan=self._plan(n, options.mode, among) if is_filtered else "",
            n_matching=len(among) if among is not None and is_filtered else None,
            n_reranked=len(scores or {}),
        )

    def _is_every_document(self, groups: Sequence[Group], options: SearchOptions) -> bool:
        """Whether a page by document cannot grow: it is not worth a look at every passage."""
        return options.by == "document" and len(groups) >= self.store.counts()[0]

    def _plan(self, n: int, mode: Mode, among: IntArray | None) -> str:
        return "scan" if mode == "lexical" or self.index is None else self.index.plan(n, among=among)

    # --- the page ------------------------------------------------------------------------------------------

    def _page(self, ranking: Ranking, chunks: dict[int, StoredChunk], options: SearchOptions) -> list[Group]:
        """At most k groups of candidates, in the order of the page."""
        ranked = [
            Candidate(id_, chunks[id_].document_id, float(score), chunks[id_].text, chunks[id_].heading)
            for id_, score in zip(ranking.ids.tolist(), ranking.scores, strict=True)
        ]
        if options.diverse is not None and ranked:
            compared, rest = ranked[:MOST_COMPARED], ranked[MOST_COMPARED:]
            vectors, trade_off = self._vectors(compared), 1 - options.diverse
            ranked = diversify(compared, vectors, len(compared), trade_off=trade_off) + rest
        if options.by == "chunk":
            return [Group((candidate,)) for candidate in ranked[: options.k]]
        if options.by == "document":
            return by_document(ranked)[: options.k]
        is_compared = self.index is not None and len(ranked) <= MOST_COMPARED
        return spread(merge(ranked, self._vectors(ranked) if is_compared else None), options.k)

    def _vectors(self, ranked: Sequence[Candidate]) -> FloatArray:
        return self.vectors(np.array([candidate.chunk_id for candidate in ranked], np.int64))

    def vectors(self, chunk_ids: IntArray) -> FloatArray:
        """The chunks' vectors, (n, d)."""
        assert self.index is not None, "vectors are asked for only where there is an index"
        return self.index.vectors(chunk_ids)

    def _results(
        self,
        groups: Sequence[Group],
        ranking: Ranking,
        chunks: dict[int, StoredChunk],
        query: Query,
    ) -> list[SearchResult]:
        trace_of = dict(zip(ranking.ids.tolist(), ranking.traces, strict=True))
        results = []
        for rank, group in enumerate(groups, start=1):
            chunk, trace = chunks[group.best.chunk_id], trace_of[group.best.chunk_id]
            results.append(
                SearchResult(
                    rank=rank,
                    score=group.best.score,
                    path=self.shown(chunk.path),
                    line=chunk.line,
                    end_line=chunk.end_line,
                    heading=chunk.heading,
                    text=chunk.text,
                    doc_id=chunk.document_id,
                    chunk_id=chunk.id,
                    title=chunk.title,
                    page=chunk.page,
                    relevance=self._relevance(trace, query),
                    trace=trace,
                    merged=tuple(self._place(chunks[member.chunk_id]) for member in group.members[1:]),
                )
            )
        return results

    def _relevance(self, trace: Trace, query: Query) -> float | None:
        if self.baseline is None or trace.cosine is None:
            return None
        found = relevance(trace.cosine, self.baseline, words=trace.words or 0.0)
        # Who asks for a phrase, and for nothing else, is answered by any passage that holds it.
        is_phrase = query.required and query.text == " ".join(query.required)
        return max(found, CONFIDENT_FROM) if is_phrase else found

    def _place(self, chunk: StoredChunk) -> Place:
        return Place(self.shown(chunk.path), chunk.line, chunk.end_line, chunk.id, chunk.page)

    # --- evidence ------------------------------------------------------------------------------------------

    def _with_evidence(
        self,
        results: Sequence[SearchResult],
        chunks: dict[int, StoredChunk],
        query: Query,
        vector: FloatArray | None,
        found_first: Sequence[StoredChunk],
    ) -> list[SearchResult]:
        """The same results, each with the sentence that matched, whichever others are on the page."""
        words = _words(query)
        texts = [result.text for result in results]
        headings = [result.heading for result in results]
        first = [(chunk.text, chunk.heading) for chunk in found_first]
        spans: Sequence[tuple[int, int, float | None]]
        if vector is None or self.encoder is None:
            spans = likeliest_sentences(words, texts, headings=headings, found_first=first)
        else:
            spans = best_sentences(
                words,
                texts,
                self.encoder.encode_document,
                vector,
                headings=headings,
                found_first=first,
                cosines=[result.trace.cosine for result in results],
                word_vectors=getattr(
                    self.encoder, "word_vectors", None
                ),  # a caller's encoder need not have it
            )
        return [
            replace(result, evidence=_evidence(chunks[result.chunk_id], *span))
            for result, span in zip(results, spans, strict=True)
        ]


def _evidence(chunk: StoredChunk, start: int, end: int, score: float | None) -> Evidence:
    """The sentence at ``start:end`` of a passage, with its place in the file."""
    found = evidence(chunk.text, chunk.anchors or [(0, chunk.line, 1)], start, end, score)
    return found if chunk.page is None else replace(found, page=chunk.page + bisect(chunk.page_breaks, start))


def _texts(ranking: Ranking, chunks: dict[int, StoredChunk]) -> list[str]:
    return [chunks[id_].text for id_ in ranking.ids.tolist()]


def _words(query: Query) -> str:
    """What is looked for, in words: the text and the concepts that pull."""
    return " ".join([query.text, *(concept for concept, weight in query.steers if weight > 0)]).strip()
