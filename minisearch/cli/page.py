"""A page of answers, for people: where each stands, the passage around its evidence, and why it is there.

`SearchResults` come in, the text for a `Terminal` goes out.  What an empty page means is told by `query`,
which knows what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import dropwhile
from typing import TYPE_CHECKING

from minisearch.cli.highlight import highlighted
from minisearch.cli.terminal import (
    CYAN,
    FAINT,
    MAGENTA,
    PLAIN,
    Marked,
    Terminal,
    fitting,
    one_line,
    width,
    wrap,
)

if TYPE_CHECKING:
    from minisearch.results import Question, SearchResult, SearchResults

INDENT = "    "
PASSAGE_LINES = 4
WRAPPED_FROM = 60  # a line this long that goes on in the next was probably wrapped
HEADING_MARKS = "#=-~^*+_.:`\"' \t"
PLACES_SHOWN = 4
LONGEST_QUESTION = 200
LABEL = 10  # columns of the names that --why prints
UNSURE = "Nothing here clearly answers that; the nearest passages:"
HOW_UNSURE = (
    "(how that is known: to questions it has no answer for, this index gives passages that are as near; "
    "the relevance is at most {:.0%} here)"
)


def page(found: SearchResults, terminal: Terminal, *, whole: bool = False, why: bool = False) -> str:
    """All that is said of one question's answers; ``whole`` passages, or the lines around the evidence."""
    parts = []
    if found.is_confident is False and found:
        parts.append("\n".join(_unsure(found, terminal)))
    if found.question.excluded and found:
        parts.append("\n".join(terminal.styled(line, FAINT) for line in _left_out(found.question, terminal)))
    if why:
        parts.append("\n".join(terminal.styled(line, FAINT) for line in _plan(found, terminal)))
    parts += ["\n".join(_result(hit, found.question, terminal, whole, why)) for hit in found]
    return "\n\n".join(parts)


def _unsure(found: SearchResults, terminal: Terminal) -> Iterator[str]:
    yield terminal.styled(UNSURE, "1")
    best = max((hit.relevance for hit in found if hit.relevance is not None), default=None)
    if best is not None:
        yield from _wrapped(HOW_UNSURE.format(best), terminal.columns)


def _left_out(question: Question, terminal: Terminal) -> list[str]:
    """Which words no answer has, and how to have them back: ``rm -rf build`` may not have meant it."""
    words = [f'"{phrase}"' if len(phrase.split()) > 1 else phrase for phrase in question.excluded]
    them = "it" if len(words) == 1 else "them"
    said = f"without: {_shortened(one_line(', '.join(words)))} (--literal takes {them} as text)"
    return _wrapped(said, terminal.columns)


def _result(
    hit: SearchResult, question: Question, terminal: Terminal, whole: bool, why: bool
) -> Iterator[str]:
    yield f"{hit.rank:>2}  {_rating(hit)}  {_place(hit, terminal)}"
    heading = one_line(hit.heading or hit.title)
    if heading:
        yield from (INDENT + terminal.styled(line, MAGENTA) for line in _wrapped(heading, _room(terminal)))
    yield from _passage(hit, question, terminal, whole)
    if hit.merged:
        yield from _also(hit, terminal)
    if why:
        yield from (INDENT + terminal.styled(line, FAINT) for line in _reasons(hit))


def _rating(hit: SearchResult) -> str:
    """The relevance where it was measured, as a percentage; the score otherwise."""
    return f"{hit.score:.3f}" if hit.relevance is None else f"{hit.relevance:>4.0%}"


def _place(hit: SearchResult, terminal: Terminal) -> str:
    """``path:line:column`` of the evidence, or ``path:line`` of the passage."""
    line, column = (hit.evidence.line, hit.evidence.column) if hit.evidence else (hit.line, 1)
    text = f"{one_line(hit.path)}:{line}" + (f":{column}" if hit.evidence else "")
    return terminal.linked(terminal.styled(text, CYAN), hit.path, line, column)


def _also(hit: SearchResult, terminal: Terminal) -> Iterator[str]:
    """The places that a result stands for too, as many in a line as there is room for."""
    lead, line, used = INDENT + "also: ", "", 0
    for place in hit.merged[:PLACES_SHOWN]:
        text = f"{one_line(place.path)}:{place.line}"
        if used and len(lead) + used + 2 + width(text) > terminal.columns:
            yield lead + line + ","
            lead, line, used = " " * len(lead), "", 0
        line += (", " if used else "") + terminal.linked(text, place.path, place.line)
        used += (2 if used else 0) + width(text)
    n_more = len(hit.merged) - PLACES_SHOWN
    yield lead + line + (f" and {n_more} more" if n_more > 0 else "")


# --- the passage ------------------------------------------------------------------------------------


def _passage(hit: SearchResult, question: Question, terminal: Terminal, whole: bool) -> Iterator[str]:
    """The passage, wrapped; of a long one the lines around the evidence, or else the first ones."""
    words = [question.text, *(concept for concept, weight in question.steers if weight > 0)]
    if len(question.text) > LONGEST_QUESTION:  # a passage, all of whose words would be underlined
        words = []
    span = (hit.evidence.start, hit.evidence.end) if hit.evidence else None
    text = highlighted(hit.text, words=words, evidence=span)
    titles = {"", hit.title, *hit.heading.split(" > ")}  # said already, so left out at the top of the passage
    body = dropwhile(
        lambda line: line.text.strip(HEADING_MARKS) in titles and not line.has_evidence, _lines(text)
    )
    lines = [part for line in _rejoined(body) for part in wrap(line.printable(), _room(terminal))]
    start, end = (0, len(lines)) if whole else _window(lines)
    for number, line in enumerate(lines[start:end], start):
        indent = "  … " if number == start > 0 else INDENT
        if number == end - 1 and end < len(lines):
            yield indent + terminal.shown(line[: fitting(line.text, _room(terminal) - 2)]) + " …"
        else:
            yield indent + terminal.shown(line)


def _window(lines: list[Marked]) -> tuple[int, int]:
    """The lines to show of a passage: the evidence, with the line before it where there is room."""
    if len(lines) <= PASSAGE_LINES:
        return 0, len(lines)
    marked = [number for number, line in enumerate(lines) if line.has_evidence] or [0]
    has_room = marked[-1] - marked[0] + 1 < PASSAGE_LINES
    start = max(0, min(marked[0] - has_room, len(lines) - PASSAGE_LINES))
    return start, start + PASSAGE_LINES


def _lines(text: Marked) -> Iterator[Marked]:
    """The lines of a text, without what ends them."""
    start = 0
    for line in text.text.splitlines(keepends=True):
        yield text[start : start + len(line.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"))]
        start += len(line)


def _rejoined(lines: Iterable[Marked]) -> list[Marked]:
    """Lines with those put together again that look like one paragraph, wrapped by its author."""
    joined: list[Marked] = []
    previous = ""
    for line in lines:
        text = line.text
        same_margin = len(text) - len(text.lstrip()) == len(previous) - len(previous.lstrip())
        goes_on = len(previous) >= WRAPPED_FROM and (previous[-1].isalnum() or previous[-1] in ",.;:-–—)")
        if goes_on and same_margin and text.lstrip()[:1].isalpha():
            mark = joined[-1].marks[-1] if joined[-1].marks[-1:] == line.strip().marks[:1] else PLAIN
            joined[-1] += Marked(" ", mark) + line.strip()
        else:
            joined.append(line)
        previous = text
    return joined


# --- why --------------------------------------------------------------------------------------------


def _plan(found: SearchResults, terminal: Terminal) -> Iterator[str]:
    """What was done for the page as a whole, a line each."""
    question = found.question
    rows = [("searched", f"{found.mode}: {_shortened(question.text)!r}")]
    rows += [("required", one_line(phrase)) for phrase in question.required]
    rows += [("steered", f"{weight:+g} {concept}") for concept, weight in question.steers]
    n = "" if found.n_matching is None else f" of the {found.n_matching:,} passages it leaves"
    if found.plan == "scan":
        rows.append(("filter", "exact scan" + n))
    elif found.plan:
        rows.append(("filter", f"{found.plan}: vector search that goes on until it has enough{n}"))
    if found.n_reranked:
        rows.append(("reranked", f"{found.n_reranked:,} candidates"))
    for name, value in rows:
        first, *rest = _wrapped(one_line(value), terminal.columns - LABEL) or [""]
        yield f"{name:<{LABEL}}{first}"
        yield from (" " * LABEL + line for line in rest)


def _reasons(hit: SearchResult) -> Iterator[str]:
    """What each step of the search made of a result, a line each."""
    trace, rows = hit.trace, []
    if trace.cosine is not None:
        rows.append(("dense", f"{_rank(trace.dense_rank)}, cosine {trace.cosine:.3f}"))
    if trace.bm25 is not None:
        rows.append(("lexical", f"{_rank(trace.lexical_rank)}, BM25 {trace.bm25:.2f}"))
    elif trace.fused is not None:
        rows.append(("lexical", "none of the words"))
    if trace.fused is not None:
        rows.append(("fused", f"{trace.fused:.3f}"))
    if trace.rerank is not None:
        rows.append(("rerank", f"{trace.rank_before_rerank} -> {hit.rank}, score {trace.rerank:.3f}"))
    if hit.evidence is not None and hit.evidence.score is not None:
        rows.append(("evidence", f"cosine {hit.evidence.score:.3f}"))
    if hit.relevance is not None:
        rows.append(("relevance", f"{hit.relevance:.3f}"))
    yield from (f"{name:<{LABEL}}{value}" for name, value in rows)


def _rank(rank: int | None) -> str:
    return "not among the first" if rank is None else f"rank {rank}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_QUESTION else text[:LONGEST_QUESTION] + "…"


def _wrapped(text: str, columns: int) -> list[str]:
    return [line.text for line in wrap(Marked.plain(text), columns)]


def _room(terminal: Terminal) -> int:
    return terminal.columns - len(INDENT)
