"""Divide a document into spans along its headings; they may still be too long for a chunk.

In prose each heading begins a span, but headings with nothing between them stay with what follows.  In
code a class or function that fits into a chunk is one span with everything in it, else each of its parts
is one; small neighbours share a span, since a line or two say too little alone.  Cutting spans that are
too long is left to `chunker`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from minisearch.text import LETTER_OR_DIGIT, NAVIGATION
from minisearch.types import Document, Heading

SPACE = re.compile(r"\s*")
# A line that only names the place below it, in MyST, reStructuredText and HTML.
LABEL = re.compile(
    r"^[ \t]*(?:\([\w.:-]+\)=|\.\. _[^:\n]+:|<a (?:id|name)=[^<>]*>(?:</a>)?)[ \t]*$", re.MULTILINE
)
BLANK_LINES = re.compile(r"\s*(?:[\r\n]|\Z)")

# A span of code smaller than this is joined with its neighbour. For queries that are the first sentence of
# a function's docstring, which is removed from the source, MRR@10 of dense search is .403 with 0, .406 with
# 16, .419 with 32, .389 with 64 and .382 with 128, in sqlite-utils and our own modules; it is .356 where
# source is cut at lines (scripts/code_chunks.py).
SMALL_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Span:
    """A span of the document that is one chunk or will be cut into several.

    It has no white space at either end, but the first line of code keeps its indentation.
    """

    start: int
    end: int
    heading: str


Counter = Callable[[Sequence[Span]], list[int]]


def sections(document: Document, count: Counter, *, max_tokens: int, max_characters: int) -> list[Span]:
    """The spans of a document, in order; ``count`` returns the number of tokens of each span.

    Spans may be longer than the bounds, which only say what fits into a chunk.
    """
    if document.format == "code":
        parts = list(_parts(document))
        sizes = count([part.span for part in parts])
        return list(_packed(parts, sizes, max_tokens, max_characters))
    return list(_sections(document))


# --- prose -----------------------------------------------------------------------------------------


def _sections(document: Document) -> Iterator[Span]:
    """One span for each section; headings without a text of their own lead the next section with one.

    So does what stands before the first heading if it is only labels and signs such as ``---``.
    """
    text = document.text
    path: list[Heading] = []
    starts = [heading.start for heading in document.headings] + [len(text)]
    leads = len(starts) > 1 and not _has_words(text[: starts[0]])
    leading = 0 if leads else None  # where the span under way began, if it has no text yet
    if leading is None:
        yield from stripped(text, 0, starts[0], "")
    for heading, end in zip(document.headings, starts[1:], strict=True):
        _descend(path, heading)
        start = heading.start if leading is None else leading
        if end < len(text) and not _has_words(text[_body_start(text, heading, end) : end]):
            leading = start
            continue
        leading = None
        yield from stripped(text, start, end, _joined(path))


def _has_words(text: str) -> bool:
    return LETTER_OR_DIGIT.search(LABEL.sub("", text)) is not None


def _body_start(text: str, heading: Heading, end: int) -> int:
    """Where the text below a heading begins: after the first line that consists of its words."""
    if heading.title == NAVIGATION:  # which stands in no line
        return heading.start
    position = first_line_end = 0
    for line in text[heading.start : end].splitlines(keepends=True):
        position += len(line)
        first_line_end = first_line_end or position
        if line.strip("# \t\r\n") == heading.title:
            return heading.start + position
    return heading.start + first_line_end


def _descend(path: list[Heading], heading: Heading) -> None:
    while path and path[-1].level >= heading.level:
        path.pop()
    path.append(heading)


def _joined(path: Sequence[Heading]) -> str:
    return " > ".join(heading.title for heading in path if heading.title)


# --- code ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """A definition without those inside it, or the text between definitions.

    ``inside`` is the path of the definition around it; its span's heading adds its own name, if any.
    """

    span: Span
    level: int
    inside: str


def _parts(document: Document) -> Iterator[_Part]:
    """The parts of a source file, from one heading to the next."""
    text = document.text
    path: list[Heading] = []
    first = Heading(0, 1, "")
    headings = [*([first] if not document.headings or document.headings[0].start else []), *document.headings]
    ends = [heading.start for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        _descend(path, heading)
        for span in stripped(text, heading.start, end, _joined(path), is_code=True):
            yield _Part(span, heading.level, _joined(path[:-1]))


@dataclass(slots=True)
class _Unit:
    """Adjacent parts that make one span; a unit may join it if it lies ``inside`` the same definition."""

    first: int
    after: int
    heading: str
    inside: str


def _packed(
    parts: Sequence[_Part], sizes: Sequence[int], max_tokens: int, max_characters: int
) -> Iterator[Span]:
    """Whole definitions where they fit, small neighbours together."""
    total = [0, *accumulate(sizes)]

    def fits(first: int, after: int) -> bool:
        n_characters = parts[after - 1].span.end - parts[first].span.start
        return total[after] - total[first] <= max_tokens and n_characters <= max_characters

    units: list[_Unit] = []
    for unit in _units(parts, fits):
        last = units[-1] if units else None
        if last and parts[unit.first].inside == last.inside and fits(last.first, unit.after):
            n_fewest = min(total[one.after] - total[one.first] for one in (last, unit))
            if n_fewest < SMALL_TOKENS:
                last.after, last.heading = unit.after, last.inside
                continue
        units.append(unit)
    for unit in units:
        yield Span(parts[unit.first].span.start, parts[unit.after - 1].span.end, unit.heading)


def _units(parts: Sequence[_Part], fits: Callable[[int, int], bool]) -> Iterator[_Unit]:
    """The largest definitions that fit, and the parts of those that do not."""
    after_whole = _after_whole(parts)
    first = 0
    while first < len(parts):
        part, after = parts[first], after_whole[first]
        is_opened = after > first + 1 and not fits(first, after)
        if is_opened:
            after = first + 1
        heading = part.span.heading
        yield _Unit(first, after, heading, heading if is_opened else part.inside)
        first = after


def _after_whole(parts: Sequence[_Part]) -> list[int]:
    """For each part the first one after it that is not inside it."""
    found = [len(parts)] * len(parts)
    open_: list[int] = []
    for i, part in enumerate(parts):
        while open_ and parts[open_[-1]].level >= part.level:
            found[open_.pop()] = i
        open_.append(i)
    return found


# --- both ------------------------------------------------------------------------------------------


def stripped(text: str, start: int, end: int, heading: str, *, is_code: bool = False) -> Iterator[Span]:
    """The span at ``start:end`` without the white space around it; none where nothing is left."""
    if is_code:
        blank_lines = BLANK_LINES.match(text, start, end)
        start = blank_lines.end() if blank_lines else start
    else:
        start = skip_space(text, start, end)
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Span(start, end, heading)


def skip_space(text: str, start: int, end: int) -> int:
    """The first character from ``start`` on that is not white space; ``end`` where there is none."""
    found = SPACE.match(text, start, end)
    assert found  # it matches the empty string too
    return found.end()
