"""Tables drawn in a text with characters: where each stands, and each of its rows.

Lines come in, stretches go out, each from the beginning of its first line to the end of its last.  A header
is a stretch with the rule below it, and another with the first row, since names alone say nothing.  The words
stay as they were written: no row says its header again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

Block = tuple[int, int]

# Drawn with + - | around the cells; with a rule below the header; with borders above and below.
DRAWN = re.compile(r"(?:^[ \t]*(?:\+[-=]+\+|\|)[^\n]*(?:\n|\Z))+", re.MULTILINE)
# Of all columns, so between rows; where a cell goes through several rows, its words stand in the line.
EDGE = re.compile(r"^[ \t]*\+(?:[-=]+\+)+[ \t]*$", re.MULTILINE)
RULE = re.compile(r"^[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*(?:\|[ \t]*)?$", re.MULTILINE)
ROWS = re.compile(r"(?:\n[^\n|]*\|[^\n]*)*")
BORDER = re.compile(r"^[ \t]*=+(?:[ \t]+=+)+[ \t]*$", re.MULTILINE)
BLANK_BELOW = re.compile(r"\n[ \t]*(?:\n|\Z)|\Z")
LINE = re.compile(r"^([ \t]*)[^ \t\n][^\n]*", re.MULTILINE)  # one with words
NO_BREAK = re.compile(r"[^\n]+")


def tables(flat: str, regions: Sequence[Block] = ()) -> Iterator[Block]:
    """Tables and what they are made of, in any order; in ``regions`` (ascending) there are none."""
    flat = _blanked(flat, regions)
    yield from _drawn(flat)
    yield from _ruled(flat)
    yield from _bordered(flat)


def _blanked(flat: str, regions: Sequence[Block]) -> str:
    """The text with nothing but spaces and line breaks in the regions."""
    parts: list[str] = []
    position = 0
    for start, end in regions:
        parts += flat[position:start], NO_BREAK.sub(lambda words: " " * len(words[0]), flat[start:end])
        position = end
    return "".join([*parts, flat[position:]])


def _lines(flat: str, start: int, end: int) -> list[Block]:
    return [line.span() for line in LINE.finditer(flat, start, end)]


def _below_header(start: int, end: int, rows: Sequence[Block]) -> Iterator[Block]:
    """A header with what draws it, the same with the first row, and the rows."""
    yield start, end
    yield from ((start, row_end) for _, row_end in rows[:1])
    yield from rows


def _drawn(flat: str) -> Iterator[Block]:
    """Grids, whose rows may take several lines, and all else that is drawn with bars, a row in each line."""
    for drawn in DRAWN.finditer(flat):
        start, end = drawn.start(), drawn.end() - drawn[0].endswith("\n")
        yield start, end
        yield from _lines(flat, start, end)
        edges = list(EDGE.finditer(flat, start, end))
        if len(edges) > 1 and edges[0].start() == start:
            bounds = [start, *(edge.end() + 1 for edge in edges[1:])]
            rows = [(first, after - 1) for first, after in pairwise(bounds)]
            yield from _below_header(*rows[0], rows[1:]) if "=" in edges[1][0] else rows


def _ruled(flat: str) -> Iterator[Block]:
    """Tables of Markdown, whose lines need not begin with a bar."""
    reached = 0
    for rule in RULE.finditer(flat):
        header = flat.rfind("\n", 0, max(rule.start() - 1, 0)) + 1
        if rule.start() > reached and "|" in rule[0] and "|" in flat[header : rule.start()]:
            rows = ROWS.match(flat, rule.end())
            reached = rows.end() if rows else rule.end()
            yield header, reached
            yield from _below_header(header, rule.end(), _lines(flat, rule.end(), reached))


def _bordered(flat: str) -> Iterator[Block]:
    """Simple tables of reStructuredText; the border that a blank line follows is the last."""
    borders: list[Block] = []
    for border in BORDER.finditer(flat):
        is_last = BLANK_BELOW.match(flat, border.end()) is not None
        if borders or not is_last:
            borders.append(border.span())
        if is_last and borders:
            yield borders[0][0], border.end()
            yield from _between(flat, borders)
            borders = []


def _between(flat: str, borders: Sequence[Block]) -> Iterator[Block]:
    """The rows, each begun by a line with words in the first column; the last has the border below it."""
    (start, top), (last, end) = borders[0], borders[-1]
    margin = flat.index("=", start) - start
    header_end = borders[1][1] if len(borders) > 2 else top
    rows: list[Block] = []
    for line in LINE.finditer(flat, header_end, end):
        is_begun = len(line[1]) <= margin and line.start() != last
        first = line.start() if is_begun or not rows else rows.pop()[0]
        rows.append((first, line.end()))
    yield from _below_header(start, header_end, rows)
