"""One search, from the parsed query to the results.

    query -> dense and lexical hits (the filter inside both) -> fuse -> rerank -> group -> SearchResults

Everything it needs comes in: one snapshot of the index, the query and its vector, the options, the models.
Nothing is opened, loaded or written here; that is left to `searcher`.
"""

from __future__ import annotations

import os
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minisearch.errors import InputError
from minisearch.filters import And, Contains, Filter, Not
from minisearch.manifest import ScoreBaseline
from minisearch.results import Evidence, Mode, Place, Query, SearchOptions, SearchResult, SearchResults, Trace
from minisearch.search.confidence import CONFIDENT_FROM, is_confident, relevance
from minisearch.search.evidence import best_sentences, evidence, likeliest_sentences
from minisearch.search.grouping import Candidate, Group, by_document, diversify, merge, spread
from minisearch.search.ranking import Ranking, lexical_query, rank_candidates, reranked
from minisearch.stores.base import Snapshot, StoredChunk
from minisearch.types import Encoder, FloatArray, IntArray

# How many candidates are ranked for k results: enough that neighbours and copies can be grouped. Grouping
# takes time with their square (3 ms for 100), and more are ranked only if there are too few groups.
MIN_CANDIDATES = 100
CANDIDATES_PER_RESULT = 5
MAX_COMPARED = 2_000  # beyond, only equal texts count as copies: a matrix of cosines would take the memory
MAX_HITS = 2**31  # no limit

# For evidence the query's words are weighed by their rarity in the first candidates, whatever k is. Compared
# with rarity among three results, this changes 12 of 1,572 sentences (see `evidence.WORDS_COUNT`), 4 for the
# better and 4 for the worse; rarity in the whole index changes 31, 8 for the better and 11 for the worse.
N_FOUND_FIRST = 5


def condition(query: Query, where: Filter | None) -> Filter | None:
    """The condition that every result meets: the filter, the query's phrases, none of its excluded words."""
    parts = (
        *([] if where is None else [where]),
        *map(Contains, query.required),
        *(Not(Contains(phrase)) for phrase in query.excluded),
    )
    return And(parts) if parts else None


def passages_at(
    passages: Sequence[StoredChunk], path: str | os.PathLike[str], line: int | None
) -> Sequence[StoredChunk]:
    """The passages of a document that hold a line, all without one; InputError if there are none.

    A blank line between two passages counts as part of the one after it.
    """
    if line is not None and (isinstance(line, bool) or not isinstance(line, int)):
        raise InputError(f"line is {line!r}: expected the number of a line, from 1")
    if not passages:
        raise InputError(
            f"{os.fspath(path) or 'an empty path'} is not in the index: expected a file that was indexed"
        )
    if line is None:
        return passages
    held = [passage for passage in passages if passage.line <= line <= passage.end_line]
    following = [passage for passage in passages if 0 < line < passage.line]
    if not held and not following:
        raise InputError(
            f"{os.fspath(path)} has no passage at line {line}: its last ends at {passages[-1].end_line}"
        )
    return held or following[:1]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One snapshot of an index and the models to search it with.

    A lexical search may come without an ``encoder``, and reads no vectors unless it ``uses_vectors``.
    ``rerank`` scores the first of some texts for a query.  ``baseline`` is what unrelated queries score.
    ``shown`` turns a stored path into the user's.
    """

    snapshot: Snapshot
    uses_vectors: bool
    encoder: Encoder | None
    rerank: Callable[[str, Sequence[str]], FloatArray] | None
    baseline: ScoreBaseline | None
    shown: Callable[[str], str]

    def search(
        self,
        query: Query,
        vector: FloatArray | None,
        options: SearchOptions,
        *,
        exclude: IntArray | None = None,
    ) -> SearchResults:
        """The results without the chunks ``exclude``; ``vector`` (d,) is None in lexical mode."""
        where = condition(query, options.where)
        among = None if where is None else self.snapshot.select(where)
        if among is not None and exclude is not None:
            among, exclude = np.setdiff1d(among, exclude), None
        lexical = None
        if options.mode != "dense":
            words = lexical_query(query.text, self.snapshot)
            lexical = self.snapshot.lexical(words, MAX_HITS, where=among, exclude=exclude)
        n = max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * options.k, options.rerank_depth or 0)
        scores: dict[int, float] | None = None
        while True:
            ranking = found = rank_candidates(self.snapshot, vector, lexical, n, where=among, exclude=exclude)
            chunks = self.snapshot.chunks(found.ids.tolist())
            if self.rerank is not None:
                scores = scores or self._reranker_scores(found, chunks, query)
                ranking = reranked(found, scores)
            groups = self._groups(ranking, chunks, options)
            has_every_document = options.by == "document" and len(groups) >= self.snapshot.counts()[0]
            if len(groups) >= options.k or ranking.is_complete or has_every_document:
                break
            n *= 4
        results = self._results(groups, ranking, chunks, query)
        if options.evidence and results:
            found_first = [chunks[id_] for id_ in found.ids[:N_FOUND_FIRST].tolist()]
            results = self._with_evidence(results, chunks, query, vector, found_first)
        is_filtered = among is not None and where is not None
        return SearchResults(
            results=tuple(results),
            query=query,
            mode=options.mode,
            # Over all candidates, so that it does not depend on k.
            is_confident=is_confident([self._relevance(trace, query) for trace in ranking.traces]),
            plan=self._plan(n, options.mode, among) if is_filtered else "",
            n_matching=len(among) if among is not None and is_filtered else None,
            n_reranked=len(scores or {}),
        )

    def _reranker_scores(
        self, ranking: Ranking, chunks: dict[int, StoredChunk], query: Query
    ) -> dict[int, float]:
        """The reranker's scores by chunk id, best first; equal scores keep the order of the ranking."""
        assert self.rerank is not None, "the search has a reranker"
        ids: list[int] = ranking.ids.tolist()
        scores = self.rerank(_words(query), [chunks[id_].text for id_ in ids])
        return dict(sorted(zip(ids, scores.tolist(), strict=False), key=lambda pair: -pair[1]))

    def _plan(self, n: int, mode: Mode, among: IntArray | None) -> str:
        return "scan" if mode == "lexical" else self.snapshot.plan(n, where=among)

    # --- grouping ------------------------------------------------------------------------------------------

    def _groups(
        self, ranking: Ranking, chunks: dict[int, StoredChunk], options: SearchOptions
    ) -> list[Group]:
        """At most k groups of candidates, in the order of the results."""
        ranked = [
            Candidate(id_, chunks[id_].document_id, float(score), chunks[id_].text, chunks[id_].heading)
            for id_, score in zip(ranking.ids.tolist(), ranking.scores, strict=True)
        ]
        if options.diverse is not None and ranked:
            compared, rest = ranked[:MAX_COMPARED], ranked[MAX_COMPARED:]
            vectors, trade_off = self._vectors_of(compared), 1 - options.diverse
            ranked = diversify(compared, vectors, len(compared), trade_off=trade_off) + rest
        if options.by == "chunk":
            return [Group((candidate,)) for candidate in ranked[: options.k]]
        if options.by == "document":
            return by_document(ranked)[: options.k]
        is_compared = self.uses_vectors and len(ranked) <= MAX_COMPARED
        return spread(merge(ranked, self._vectors_of(ranked) if is_compared else None), options.k)

    def _vectors_of(self, ranked: Sequence[Candidate]) -> FloatArray:
        return self.snapshot.vectors(np.array([candidate.chunk_id for candidate in ranked], np.int64))

    # --- results -------------------------------------------------------------------------------------------

    def _results(
        self, groups: Sequence[Group], ranking: Ranking, chunks: dict[int, StoredChunk], query: Query
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
        # A query that is nothing but a phrase is answered by any passage that has it.
        is_phrase = query.required and query.text == " ".join(query.required)
        return max(found, CONFIDENT_FROM) if is_phrase else found

    def _place(self, chunk: StoredChunk) -> Place:
        return Place(self.shown(chunk.path), chunk.line, chunk.end_line, chunk.id, chunk.page)

    def _with_evidence(
        self,
        results: Sequence[SearchResult],
        chunks: dict[int, StoredChunk],
        query: Query,
        vector: FloatArray | None,
        found_first: Sequence[StoredChunk],
    ) -> list[SearchResult]:
        """The same results, each with the sentence that answers the query best."""
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
                word_vectors=getattr(self.encoder, "word_vectors", None),  # a caller's encoder may lack it
            )
        return [
            replace(result, evidence=_evidence(chunks[result.chunk_id], *span))
            for result, span in zip(results, spans, strict=True)
        ]


def _evidence(chunk: StoredChunk, start: int, end: int, score: float | None) -> Evidence:
    """The sentence at ``start:end`` of a passage, with its place in the file."""
    found = evidence(chunk.text, chunk.anchors or [(0, chunk.line, 1)], start, end, score)
    return found if chunk.page is None else replace(found, page=chunk.page + bisect(chunk.page_breaks, start))


def _words(query: Query) -> str:
    """The words to look for: the text and the concepts with a positive weight."""
    return " ".join([query.text, *(concept for concept, weight in query.steers if weight > 0)]).strip()
