"""The words of a search: the query, and the ranked answers with all that is known of each.

Frozen data that any part may hold; nothing here searches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args, overload

Mode = Literal["hybrid", "dense", "lexical"]
By = Literal["passage", "document", "chunk"]

MODES: tuple[Mode, ...] = get_args(Mode)
BYS: tuple[By, ...] = get_args(By)


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked, its operators taken apart.

    ``text`` is what is embedded and looked up word by word.  Every answer holds each of the ``required``
    phrases and none of the ``excluded`` ones.  ``steers`` are further concepts that pull the query's
    vector (weight above 0) or push it away (below).
    """

    text: str
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    steers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """Why a result stands where it does: what each step of the search made of it.

    Ranks count from 1 and are None where that leg did not propose it.  ``cosine`` is always there in the
    modes that use vectors; ``bm25``, and ``words``, what it has of the query's words from 0 to 1,
    where the full text found it.  In hybrid mode ``feedback`` is the cosine
    to the query's vector moved towards what was found first, and ``fused``, in [0, 1], is made of that and
    ``bm25``.  ``rerank`` is on the reranker's own scale.
    """

    dense_rank: int | None = None
    cosine: float | None = None
    lexical_rank: int | None = None
    bm25: float | None = None
    fused: float | None = None
    rank_before_rerank: int | None = None
    rerank: float | None = None
    feedback: float | None = None
    words: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sentence of a passage that answers best, and where it stands in the file.

    ``start:end`` are characters of the result's ``text``.  ``line`` and ``column`` (characters, from 1) are
    the place of its first character in the file, ``end_line`` and ``end_column`` that after its last;
    ``page`` is its page, None where the file has none.
    ``score`` is its cosine with the query, None where the query has no vector.
    """

    text: str
    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int
    score: float | None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where else a result's words stand: a copy, or a passage next to it that was found as well.

    ``page`` is as in `SearchResult`.
    """

    path: str
    line: int
    end_line: int
    chunk_id: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One answer: a passage, its score, and where to find it.

    ``path`` opens from the folder the index was opened from; ``line`` and ``end_line`` count from 1, both
    included; of a file that is no text (a PDF) they count in what its reader took out of it.  ``page`` is the
    page, slide, sheet, chapter or cell that it begins on, from 1; None where the file has none.  ``score`` is
    what ranks it: the cosine in dense mode, BM25 in lexical mode, their fusion in hybrid mode, the
    reranker's score where there was one; ``trace`` has them all.  ``relevance`` estimates, from 0 to 1, how
    far it rises above what this index says to queries it has no answer for; None where that was never
    measured.  ``merged`` are the near copies and neighbours that it stands for too, by document the other
    passages of it that were found.
    """

    rank: int
    score: float
    path: str
    line: int
    end_line: int
    heading: str
    text: str
    doc_id: int
    chunk_id: int
    title: str = ""
    page: int | None = None
    relevance: float | None = None
    evidence: Evidence | None = None
    trace: Trace = Trace()
    merged: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResults(Sequence[SearchResult]):
    """Ranked answers to one query, best first; a sequence of `SearchResult`.

    ``is_confident`` says whether anything that was found rises above chance, among these or further down, so
    that it does not depend on how many were asked for; None where that cannot be told.
    ``plan`` tells how a filter was applied: "scan" of the ``n_matching`` passages it leaves, or "widen", a
    vector search that goes on until enough of them are found; "" without a filter.  ``n_reranked`` are the
    candidates that the reranker saw.
    """

    results: tuple[SearchResult, ...] = ()
    query: Query = Query("")
    mode: Mode = "hybrid"
    is_confident: bool | None = None
    plan: str = ""
    n_matching: int | None = None
    n_reranked: int = 0

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[SearchResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, position: int) -> SearchResult: ...

    @overload
    def __getitem__(self, position: slice) -> tuple[SearchResult, ...]: ...

    def __getitem__(self, position: int | slice) -> SearchResult | tuple[SearchResult, ...]:
        return self.results[position]
