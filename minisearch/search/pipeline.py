"""One search, from the parsed query to the results.

    query -> dense and lexical hits (both filtered) -> fuse -> rerank -> group -> SearchResults

The snapshot of the index, the query and its vector, the options and the models go in.  Opening the index and
loading models is left to `searcher`.
"""

from __future__ import annotations

import math
import os
import re
from bisect import bisect
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from minisearch.errors import InputError
from minisearch.filters import And, Contains, Filter, Not, check_fields, needed_fields
from minisearch.manifest import ScoreBaseline
from minisearch.paths import IndexLocation, is_from_memory, may_open
from minisearch.results import (
    Evidence,
    FileState,
    Mode,
    Place,
    Query,
    SearchOptions,
    SearchResult,
    SearchResults,
)
from minisearch.search.confidence import CONFIDENT_FROM, is_led_away, relevances, with_rarer_words
from minisearch.search.evidence import best_sentences, evidence, line_and_column
from minisearch.search.grouping import Candidate, Group, by_document, diversify, merge, spread
from minisearch.search.ranking import Ranking, lexical_query, rank_candidates, reranked, with_prose_first
from minisearch.search.words import (
    exact_hits,
    lacks_exact_token,
    unknown_words,
    with_known_numbers,
    with_names_first,
)
from minisearch.stores.base import FileStamp, Snapshot, StoredChunk
from minisearch.text import STOP_WORDS, folded, folded_letters, normalised_words, stem
from minisearch.types import Encoder, FloatArray, IntArray

# How many candidates are ranked for k results: enough that neighbours and copies can be grouped. Grouping
# takes time with their square (3 ms for 100), and more are ranked only if there are too few groups.
MIN_CANDIDATES = 100
CANDIDATES_PER_RESULT = 5
MAX_COMPARED = 2_000  # beyond, only equal texts count as copies: the matrix of cosines would be too large
MAX_HITS = 2**31  # no limit
BELOW_CONFIDENT = CONFIDENT_FROM - 0.01


def combined_filter(query: Query, where: Filter | None) -> Filter | None:
    """The filter for every result: ``where``, all phrases of the query, and none of its excluded words."""
    parts = (
        *([] if where is None else [where]),
        *map(Contains, query.required),
        *(Not(Contains(phrase)) for phrase in query.excluded),
    )
    return And(parts) if parts else None


def chunks_at(
    chunks: Sequence[StoredChunk], path: str | os.PathLike[str], line: int | None
) -> Sequence[StoredChunk]:
    """The chunks of a document that contain a line, or all if line is None; InputError if there are none.

    A blank line between two chunks counts as part of the one after it.
    """
    if line is not None and (isinstance(line, bool) or not isinstance(line, int)):
        raise InputError(f"line is {line!r}: expected the number of a line, from 1")
    if not chunks:
        raise InputError(
            f"{os.fspath(path) or 'an empty path'} is not in the index: expected a file that was indexed"
        )
    if line is None:
        return chunks
    containing = [chunk for chunk in chunks if chunk.line <= line <= chunk.end_line]
    following = [chunk for chunk in chunks if 0 < line < chunk.line]
    if not containing and not following:
        raise InputError(
            f"{os.fspath(path)} has no passage at line {line}: "
            f"its last passage ends at line {chunks[-1].end_line}"
        )
    return containing or following[:1]


def file_state(location: IndexLocation, trusted: Set[str], key: str, stamp: FileStamp) -> FileState | None:
    """Whether a document's file still has its size and time of change.

    None for a document from memory, and for a file that the index may not open or the system cannot look at.
    """
    path = location.absolute(key)
    if is_from_memory(key) or not may_open(path, trusted):
        return None
    try:
        now = os.stat(path)  # noqa: PTH116 - for each result of a query
    except (FileNotFoundError, NotADirectoryError):
        return "deleted"
    except OSError:
        return None
    is_same = stamp.is_same(FileStamp(now.st_size, now.st_mtime_ns, stamp.ctime_ns, 0))
    return "unchanged" if is_same else "changed"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One snapshot of an index and the models to search it with.

    A lexical search needs no ``encoder``, and reads no vectors unless ``uses_vectors`` is set.  ``rerank``
    scores texts for a query, and may score only the first ones.  ``baseline`` holds the scores of unrelated
    queries; without it results have no relevance.  ``is_readable`` is False if the model does not know most
    of the query: then its vector says nothing, and words decide.  ``display_path`` converts a stored path
    for display; ``file_state`` compares a file, by its stored path, with its state when it was indexed.
    """

    snapshot: Snapshot
    uses_vectors: bool
    encoder: Encoder | None
    rerank: Callable[[str, Sequence[str]], FloatArray] | None
    baseline: ScoreBaseline | None
    display_path: Callable[[str], str]
    file_state: Callable[[str, FileStamp], FileState | None] = lambda *_: None
    is_readable: bool = True

    def search(
        self,
        query: Query,
        vector: FloatArray | None,
        options: SearchOptions,
        *,
        exclude: IntArray | None = None,
    ) -> SearchResults:
        """The results without the chunks ``exclude``; ``vector`` (d,) is None in lexical mode.

        Raises InputError for a filter on a field that no document has.
        """
        allowed_ids = self._matching(query, options.where)
        if allowed_ids is not None and exclude is not None:
            allowed_ids, exclude = np.setdiff1d(allowed_ids, exclude), None
        lexical = exact = None
        text = query.text  # in which words are looked up
        if options.mode != "dense":
            text = with_known_numbers(text, self.snapshot)
            words = lexical_query(text, self.snapshot)
            lexical = self.snapshot.lexical(words, MAX_HITS, where=allowed_ids, exclude=exclude)
            if not self.is_readable and len(lexical):
                vector = None
            if vector is not None:
                tokenizer = getattr(self.encoder, "tokenizer", None)
                exact = exact_hits(text, self.snapshot, tokenizer, where=allowed_ids, exclude=exclude)
        n = max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * options.k, options.rerank_depth or 0)
        scores: dict[int, float] | None = None
        while True:
            candidates = rank_candidates(
                self.snapshot, vector, lexical, n, exact=exact, where=allowed_ids, exclude=exclude
            )
            chunks = self.snapshot.chunks(candidates.ids.tolist())
            if lexical is not None:
                candidates = with_prose_first(candidates, chunks, query.text)
                candidates = with_names_first(candidates, chunks, text)
            ranking = candidates
            if self.rerank is not None:
                scores = scores or self._reranker_scores(candidates, chunks, query)
                ranking = reranked(candidates, scores)
            groups = self._groups(ranking, chunks, options)
            has_every_document = options.by == "document" and len(groups) >= self.snapshot.counts()[0]
            if len(groups) >= options.k or ranking.is_complete or has_every_document:
                break
            n *= 4
        unknown = () if lexical is None else unknown_words(text, self.snapshot)
        relevance = self._relevances(candidates, query, text, unknown, vector, options.mode)
        wanted = _pattern_of(_words(query)) if options.evidence else None
        results = self._results(groups, ranking, chunks, relevance, wanted)
        if options.evidence and results:
            results = self._with_evidence(results, chunks, query, vector)
        return SearchResults(
            results=tuple(results),
            query=query,
            mode=options.mode,
            is_confident=relevance[0] >= CONFIDENT_FROM if relevance else None,
            plan="" if allowed_ids is None else self._plan(n, options.mode, allowed_ids),
            n_matching=None if allowed_ids is None else len(allowed_ids),
            n_reranked=len(scores or {}),
            unknown_words=_not_in_names(unknown, results),
        )

    def _matching(self, query: Query, where: Filter | None) -> IntArray | None:
        """The ids of the chunks that may be results; None for all."""
        if where is not None and self.snapshot.counts()[0]:
            needed = needed_fields(where)
            if needed and len(self.snapshot.field_names(needed)) < len({folded(name) for name in needed}):
                check_fields(where, self.snapshot.field_names())
        combined = combined_filter(query, where)
        return None if combined is None else self.snapshot.select(combined)

    def _reranker_scores(
        self, ranking: Ranking, chunks: dict[int, StoredChunk], query: Query
    ) -> dict[int, float]:
        """The reranker's scores by chunk id, best first; equal scores keep the order of the ranking."""
        assert self.rerank is not None, "the search has a reranker"
        ids: list[int] = ranking.ids.tolist()
        scores = self.rerank(_words(query), [chunks[id_].text for id_ in ids])
        return dict(sorted(zip(ids, scores.tolist(), strict=False), key=lambda pair: -pair[1]))

    def _plan(self, n: int, mode: Mode, allowed_ids: IntArray) -> str:
        return "scan" if mode == "lexical" else self.snapshot.plan(n, where=allowed_ids)

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

    def _relevances(
        self,
        candidates: Ranking,
        query: Query,
        text: str,
        unknown: Sequence[str],
        vector: FloatArray | None,
        mode: Mode,
    ) -> list[float]:
        """The relevance of the first result, of the second, and so on; none without a baseline.

        A reranker knows better than the candidates' scores which of them comes first, but not how sure it is.
        """
        if self.baseline is None:
            return []
        used = "lexical" if vector is None else mode
        is_plain = used == "hybrid" and not query.steers
        if is_plain and self.encoder is not None:
            candidates = with_rarer_words(candidates, query.text, self.snapshot, self.encoder)
        found = relevances(candidates, self.baseline if self.is_readable else None, used)
        has_all = bool(candidates.traces) and candidates.traces[0].exact == 1
        if used == "hybrid" and not has_all:
            # What is near to an unknown code is another code.
            is_other = lacks_exact_token(text, self.snapshot)
            if not is_other and is_plain and self.encoder is not None:
                is_other = is_led_away(query.text, unknown, candidates, self.snapshot, self.encoder)
            if is_other:
                return [min(one, BELOW_CONFIDENT) for one in found]
        # If the query is just a phrase, any chunk with that phrase answers it.
        is_phrase = query.required and query.text == " ".join(query.required)
        return [max(one, CONFIDENT_FROM) for one in found] if is_phrase else found

    def _results(
        self,
        groups: Sequence[Group],
        ranking: Ranking,
        chunks: dict[int, StoredChunk],
        relevances: Sequence[float],
        wanted: re.Pattern[str] | None,
    ) -> list[SearchResult]:
        """The results; a score or a relevance above that of the result before it counts as that one.

        The words ``wanted`` choose the line of each merged chunk.
        """
        position = {id_: n for n, id_ in enumerate(ranking.ids.tolist())}
        results = []
        stamps = self.snapshot.stamps(list({chunks[group.best.chunk_id].document_id for group in groups}))
        score = relevance = math.inf
        for rank, group in enumerate(groups, start=1):
            chunk, n = chunks[group.best.chunk_id], position[group.best.chunk_id]
            score = min(score, group.best.score)
            relevance = min(relevance, relevances[n]) if relevances else relevance
            results.append(
                SearchResult(
                    rank=rank,
                    score=score,
                    path=self.display_path(chunk.path),
                    line=chunk.line,
                    end_line=chunk.end_line,
                    heading=chunk.heading,
                    text=chunk.text,
                    doc_id=chunk.document_id,
                    chunk_id=chunk.id,
                    title=chunk.title,
                    page=chunk.page,
                    relevance=relevance if relevances else None,
                    trace=ranking.traces[n],
                    merged=tuple(
                        self._place(chunks[member.chunk_id], wanted) for member in group.members[1:]
                    ),
                    file_state=self.file_state(chunk.path, stamps[chunk.document_id]),
                )
            )
        return results

    def _place(self, chunk: StoredChunk, wanted: re.Pattern[str] | None) -> Place:
        position = _best_line(chunk.text, wanted) if wanted else 0
        line, _ = line_and_column(anchors_of(chunk), chunk.text, position)
        return Place(self.display_path(chunk.path), line, chunk.end_line, chunk.id, _page_at(chunk, position))

    def _with_evidence(
        self,
        results: Sequence[SearchResult],
        chunks: dict[int, StoredChunk],
        query: Query,
        vector: FloatArray | None,
    ) -> list[SearchResult]:
        """The same results, each with the sentences that answer the query best."""
        # A caller's encoder may lack word vectors.
        word_vectors = None if vector is None else getattr(self.encoder, "word_vectors", None)
        marks = best_sentences(
            _words(query),
            [result.text for result in results],
            headings=[result.heading for result in results],
            word_vectors=word_vectors,
            tokenizer=getattr(self.encoder, "tokenizer", None),
        )
        return [
            replace(result, evidence=_evidence_at(chunks[result.chunk_id], *mark))
            for result, mark in zip(results, marks, strict=True)
        ]


def _not_in_names(unknown: Sequence[str], results: Sequence[SearchResult]) -> tuple[str, ...]:
    """The words that are in no name of a file that was found."""
    names = folded_letters("\n".join(result.path for result in results))
    return tuple(word for word in unknown if folded_letters(word) not in names)


def _evidence_at(chunk: StoredChunk, start: int, end: int, score: float | None) -> Evidence:
    """The sentences at ``start:end`` of a chunk, with their place in the file."""
    found = evidence(chunk.text, anchors_of(chunk), start, end, score)
    return replace(found, page=_page_at(chunk, start))


def anchors_of(chunk: StoredChunk) -> Sequence[tuple[int, int, int]]:
    """The places of positions in a chunk's text; see `Chunk.anchors`."""
    return chunk.anchors or [(0, chunk.line, 1)]


def _page_at(chunk: StoredChunk, position: int) -> int | None:
    return None if chunk.page is None else chunk.page + bisect(chunk.page_breaks, position)


PART = r"(?-i:(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))"  # where a part of a compound name begins


def _pattern_of(text: str) -> re.Pattern[str] | None:
    """A pattern for words and parts of names, whatever their endings; None for stop words alone."""
    words = {word.casefold() for word in normalised_words(text)} - STOP_WORDS
    return (
        re.compile(rf"(?:\b|_|{PART})(?:{'|'.join(sorted(map(stem, words)))})", re.IGNORECASE)
        if words
        else None
    )


def _best_line(text: str, wanted: re.Pattern[str]) -> int:
    """The start of the first line with most of the wanted words; 0 if none has any."""
    words_of: dict[int, set[str]] = {}
    for found in wanted.finditer(text):
        words_of.setdefault(text.rfind("\n", 0, found.start()) + 1, set()).add(found[0].casefold())
    return max(words_of, key=lambda start: len(words_of[start]), default=0)


def _words(query: Query) -> str:
    """The words to look for: the text and the concepts with a positive weight."""
    return " ".join([query.text, *(concept for concept, weight in query.steers if weight > 0)]).strip()
