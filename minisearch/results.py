"""The vocabulary of a search: the query, the search options, and the ranked results with their scores.

Frozen data classes for every part of the package.  Importing them does not load NumPy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args, overload

from minisearch.errors import InputError, short
from minisearch.formats import format_of
from minisearch.text import count, title_of_name

if TYPE_CHECKING:
    from minisearch.filters import Filter
    from minisearch.types import Reranker  # it imports NumPy, which --help must not

Mode = Literal["hybrid", "dense", "lexical"]
By = Literal["passage", "document", "chunk"]
FileState = Literal["unchanged", "changed", "deleted"]

MAX_LISTED = 3
MODES: tuple[Mode, ...] = get_args(Mode)
BYS: tuple[By, ...] = get_args(By)
# The states of a file that a reader has to know.
OUTDATED: dict[FileState | None, str] = {
    "changed": "changed since it was indexed",
    "deleted": "no longer exists",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    ``text`` is embedded and searched word by word.  Every result contains each of the ``required`` phrases
    and none of the ``excluded`` ones.  ``steers`` are concepts, each with a weight: above 0 it moves the
    vector of the query towards the concept, below 0 away from it.
    """

    text: str
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    steers: tuple[tuple[str, float], ...] = ()


class QueryOptions(TypedDict, total=False):
    """The keyword arguments of `MiniSearch.query`, for the methods that pass them on."""

    mode: Mode
    where: Filter | str | None
    by: By
    rerank: str | Reranker | None
    rerank_depth: int | None
    rerank_budget_s: float | None
    diverse: float | None
    evidence: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How to search: the options of `MiniSearch.query`, checked once when they are made.

    ``k`` is the number of results.  ``where`` restricts the search to the passages that match a filter.
    ``rerank`` scores the best ``rerank_depth`` candidates again, or as many as ``rerank_budget_s`` seconds
    allow.  ``diverse`` from 0 to 1 trades relevance for variety; None leaves the ranking unchanged.
    ``evidence`` looks for the sentences of each passage that answer the query best.

    Raises InputError for a value that makes no sense.
    """

    k: int = 10
    mode: Mode = "hybrid"
    where: Filter | None = None
    by: By = "passage"
    rerank: str | Reranker | None = None
    rerank_depth: int | None = None
    rerank_budget_s: float | None = None
    diverse: float | None = None
    evidence: bool = False

    def __post_init__(self) -> None:
        if not _is_whole(self.k) or self.k < 1:
            raise InputError(f"k is {self.k!r}: ask for at least 1 result")
        for name, given, known in (("mode", self.mode, MODES), ("by", self.by, BYS)):
            if given not in known:
                raise InputError(f"{name} is {given!r}: expected one of {', '.join(known)}")
        if self.diverse is not None and not (_is_number(self.diverse) and 0 <= self.diverse <= 1):
            raise InputError(f"diverse is {self.diverse!r}: expected a number from 0 to 1, such as 0.5")
        self._check_rerank()

    def _check_rerank(self) -> None:
        if self.rerank is not None and not isinstance(self.rerank, str) and not _can_score(self.rerank):
            raise InputError(
                f'rerank is {self.rerank!r:.60}: expected "auto", "cross", "bi", or an object with a name '
                f"and score(query, texts)"
            )
        depth, budget_s = self.rerank_depth, self.rerank_budget_s
        if depth is not None and (not _is_whole(depth) or depth < 1):
            raise InputError(f"rerank_depth is {depth!r}: ask for at least 1 candidate")
        if budget_s is not None and not (_is_number(budget_s) and 0 < budget_s < math.inf):
            raise InputError(f"rerank_budget_s is {budget_s!r}: expected a number of seconds above 0")
        if self.rerank is None and (depth, budget_s) != (None, None):
            raise InputError('a rerank depth or budget without rerank: expected rerank="auto" as well')


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _can_score(reranker: object) -> bool:
    is_object = not isinstance(reranker, type)
    return is_object and hasattr(reranker, "name") and callable(getattr(reranker, "score", None))


@dataclass(frozen=True, slots=True)
class Trace:
    """The ranks and scores of a result in each step of the search.

    Ranks count from 1, and are None where that search did not find the result.  ``cosine`` is present in all
    modes with vectors; ``bm25``, and the share ``words`` of the query's words (0 to 1), where the lexical
    search found the result.  In hybrid mode ``fused``, in [0, 1], combines both (and is lower for a list of
    references and its like, see `search.kinds`), and ``exact`` is the share of the query's rare identifiers,
    codes and file names that the passage has, None if the query has none; a tenth of it for rare names, and 1
    for a document or section named as the query.
    ``rerank`` is on the scale of the reranker.
    """

    dense_rank: int | None = None
    cosine: float | None = None
    lexical_rank: int | None = None
    bm25: float | None = None
    fused: float | None = None
    rank_before_rerank: int | None = None
    rerank: float | None = None
    words: float | None = None
    exact: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sentences of a passage that answer the query best, one or a few in a row, and their place.

    ``start:end`` are characters of the result's ``text``.  ``line`` and ``column`` (in characters, from 1)
    are the place of its first character in the file, ``end_line`` and ``end_column`` the place after its
    last.  ``page`` is None for files without pages.  ``score`` is the cosine of the nearest sentence with the
    query by word vectors, a rough one that no model computes; None if there are no word vectors.
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
    """The place of a passage that was merged into a result: a near copy, or a neighbour.

    ``line`` is where the passage begins; in a search with evidence it is the first line that has most of the
    query's words.
    """

    path: str
    line: int
    end_line: int
    chunk_id: int
    page: int | None = None


def place_name(
    path: str, line: int, page: int | None = None, *, end_line: int | None = None, heading: str = ""
) -> str:
    """The place of a passage as it is cited: with its page, its line or lines, or neither.

    A sheet is named by the first part of the ``heading``, if it is given.

    >>> place_name("a.md", 3), place_name("a.md", 3, end_line=9), place_name("a.pdf", 3, 12)
    ('a.md:3', 'a.md:3-9', 'a.pdf p. 12')
    >>> place_name("a.docx", 12), place_name("a.xlsx", 14, 1, heading="Budget"), place_name("a.epub", 3)
    ('a.docx paragraph 12', 'a.xlsx sheet Budget, row 14', 'a.epub')
    """
    format_ = format_of(path)
    is_range = end_line is not None and end_line > line
    lines = f"{line}-{end_line}" if is_range else f"{line}"
    if format_.line:
        lines = f"{format_.line}{'s' * is_range} {lines}"
    if format_.page and page is not None:
        name = heading.split(" > ")[0] if format_.line else ""
        at_page = f"{path} {format_.page} {name or page}"
        return f"{at_page}, {lines}" if format_.line else at_page
    if not format_.has_lines:
        return path
    return f"{path} {lines}" if format_.line else f"{path}:{lines}"


CITED_PLACE = re.compile(
    r"(.+\.\w+)(?: (?:p\.|slide) (?P<page>\d{1,9})| paragraphs? (?P<paragraph>\d{1,9})(?:-\d+)?"
    r"| sheet (?P<sheet>.+), rows? (?P<row>\d{1,9})(?:-\d+)?)"
)
NUMBERED_PAGE = re.compile(r"(.+\.\w+):(\d{1,9})")


def cited_place(name: str) -> tuple[str, int | None, int | str | None] | None:
    """Path, line and page of a place in a file without lines, as `place_name` writes it; None for any other.

    >>> cited_place("a.pdf p. 12"), cited_place("a.docx paragraphs 3-9"), cited_place("a.md:3")
    (('a.pdf', None, 12), ('a.docx', 3, None), None)
    >>> cited_place("a.pdf:12")
    ('a.pdf', None, 12)
    >>> cited_place("a.xlsx sheet Budget, row 14")
    ('a.xlsx', 14, 'Budget')
    """
    numbered = NUMBERED_PAGE.fullmatch(name)
    if numbered and (format_ := format_of(numbered[1])).page and not format_.line:
        return numbered[1], None, int(numbered[2])
    found = CITED_PLACE.fullmatch(name)
    if found is None:
        return None
    line, page = found["paragraph"] or found["row"], found["page"]
    return found[1], int(line) if line else None, int(page) if page else found["sheet"]


PLACE = re.compile(r"(?s)(.+):([0-9]+)(?:-[0-9]+)?")
MAX_LINE_DIGITS = 18  # Python itself refuses to read numbers of thousands of digits


def path_and_line(name: str, is_path: Callable[[str], bool] = lambda _: False) -> tuple[str, int | None]:
    """Path and line of a place with a line, and maybe a column or a last line; else the name itself.

    >>> path_and_line("a.md:3"), path_and_line("a.md:3-9"), path_and_line("a.md:3:7"), path_and_line("a.md")
    (('a.md', 3), ('a.md', 3), ('a.md', 3), ('a.md', None))

    A name that ``is_path`` is not taken apart.
    """
    found = PLACE.fullmatch(name)
    if found is None or is_path(name):
        return name, None
    if not is_path(found[1]):
        found = PLACE.fullmatch(found[1]) or found  # the last number is a column
    path, line = found[1], found[2]
    if len(line) > MAX_LINE_DIGITS:
        raise InputError(f"{short(path)} has no line {line[:10]}...: expected one in the file")
    return path, int(line)


def place_of(
    name: str, is_path: Callable[[str], bool] = lambda _: False
) -> tuple[str, int | None, int | str | None]:
    """Path, line and page of a place, however it is written: the last number after a PDF is a page.

    >>> place_of("a.md:3"), place_of("a.pdf:3"), place_of("a.pdf p. 3"), place_of("a.docx paragraph 3")
    (('a.md', 3, None), ('a.pdf', None, 3), ('a.pdf', None, 3), ('a.docx', 3, None))
    """
    cited = None if is_path(name) else cited_place(name)
    return cited or (*path_and_line(name, is_path), None)


def full_heading(title: str, heading: str, path: str = "") -> str:
    """The headings of a passage, beginning with the title of its document unless that only repeats its name.

    >>> full_heading("Tasks", "Retrying"), full_heading("Tasks", "Tasks > Retrying"), full_heading("", "")
    ('Tasks > Retrying', 'Tasks > Retrying', '')
    >>> full_heading("to do", "Monday", "notes/to-do.md")
    'Monday'
    """
    if title == title_of_name(path):
        return heading
    if not title or heading.split(" > ")[0].casefold() == title.casefold():
        return heading
    return f"{title} > {heading}" if heading else title


def beginning(text: str) -> str:
    """The first words of a text, on one line."""
    return short(" ".join(text.split()))


def listed(places: Sequence[str]) -> str:
    """Some places, for a ``repr``: ": a.md:3, b.md:7, ..."; "" for none."""
    return ": " * bool(places) + ", ".join([*places[:MAX_LISTED], *["..."] * (len(places) > MAX_LISTED)])


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One result: a passage, its score and its place.

    ``line`` and ``end_line`` count from 1, both included: paragraphs in a DOCX, rows of the sheet in an XLSX,
    lines of the extracted text in any other binary file (a PDF).  ``page`` is the page, slide, sheet, chapter
    or cell on which the passage begins, from 1, None for files without any.  ``score`` determines the rank:
    the cosine in dense mode, BM25 in lexical mode, their fusion in hybrid mode, or the score of the reranker;
    ``trace`` has all of them.  ``relevance``, from 0 to 1, says how sure the result is (see
    `search.confidence`), None for results of `MiniSearch.similar`.  Neither rises from one result to the
    next.  ``merged`` are the places of near copies and neighbours, and by document those of its other
    passages.  ``file_state`` says whether the file still has the size and time of change with which it was
    indexed; None for a document from memory, and for a file that the index may not open.
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
    file_state: FileState | None = None

    def __repr__(self) -> str:
        relevance = "" if self.relevance is None else f", relevance={self.relevance:.2f}"
        return f"SearchResult({self.rank}, {self.place!r}{relevance}, {beginning(self.text)!r})"

    @property
    def full_heading(self) -> str:
        """The title of the document and the headings above the passage, the same way in every format.

        ``heading`` begins with the title in those formats where the title is a heading.  A title that only
        repeats the name of the file is left out.
        """
        return full_heading(self.title, self.heading, self.path)

    @property
    def at(self) -> tuple[int, int, int | None]:
        """Line, column and page of the evidence, or of the passage."""
        if self.evidence:
            return self.evidence.line, self.evidence.column, self.evidence.page or self.page
        return self.line, 1, self.page

    @property
    def place(self) -> str:
        """The place of the evidence, or of the passage, by what a reader can find: see `place_name`."""
        line, _, page = self.at
        return place_name(self.path, line, page, heading=self.heading)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON, with its ``place``."""
        return asdict(self) | {"place": self.place}


@dataclass(frozen=True, slots=True)
class SearchResults(Sequence[SearchResult]):
    """The results of one query, best first; a sequence of `SearchResult`, whose slices are `SearchResults`.

    ``is_confident`` is False if there is no clear answer, whatever k is; None for results of
    `MiniSearch.similar`.  ``plan`` says how a filter was applied: "scan" of the ``n_matching`` passages, or
    "widen", a vector search until enough of them are found; "" without a filter.  ``n_reranked`` counts the
    candidates that the reranker scored.  ``typed`` is the query as it was typed, if its spelling was
    corrected, else "".  ``unknown_words`` are words of the query that no passage has, if they are few and
    the search is not dense.
    """

    results: tuple[SearchResult, ...] = ()
    query: Query = Query("")
    mode: Mode = "hybrid"
    is_confident: bool | None = None
    plan: str = ""
    n_matching: int | None = None
    n_reranked: int = 0
    typed: str = ""
    unknown_words: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[SearchResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, position: int) -> SearchResult: ...

    @overload
    def __getitem__(self, position: slice) -> SearchResults: ...

    def __getitem__(self, position: int | slice) -> SearchResult | SearchResults:
        if isinstance(position, slice):
            return replace(self, results=self.results[position])
        return self.results[position]

    def __repr__(self) -> str:
        n = f"{count(len(self), 'result')} for {beginning(self.query.text)!r}"
        places = listed([one.place for one in self])
        return f"SearchResults({n}, is_confident={self.is_confident}{places})"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return asdict(replace(self, results=())) | {"results": [one.to_dict() for one in self.results]}
