"""Find the blocks of line-based markup: list items, tables and their rows, indented text.

A text comes in, spans come out, each from the start of its first line to the end of its last.  A list item or
a directive includes everything indented below it, in Markdown and reStructuredText alike.  A reader passes
spans that it knows already (fenced code, say); nothing is looked for inside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from minisearch.text import LIST_MARKER

Block = tuple[int, int]

LINE = re.compile(r"([ \t]*)([^\n]*)(?:\n|\Z)")
ITEM = re.compile(rf"(?:{LIST_MARKER}|#\.)(?:[ \t]|$)|\.\.(?:[ \t]|$)")
# A line that continues the paragraph above it, though it is indented less, starts with none of these.
OPENING = re.compile(r"#{1,6}(?:[ \t]|$)|`{3}|~{3}|[|<>]|(?:=+|-+|\*+)[ \t]*$")
TAB_WIDTH = 4


def blocks(flat: str, regions: Sequence[Block] = (), *, is_lazy: bool = False) -> tuple[Block, ...]:
    r"""The blocks of a text whose line breaks are ``\n``; nothing is looked for in ``regions`` (ascending).

    ``is_lazy`` where a line without indentation may continue the paragraph of an item, as in Markdown.
    """
    blanked = _blanked(flat, regions)
    tables = (*_drawn(blanked), *_ruled(blanked), *_bordered(blanked))
    return outermost_first([*_indented(flat, regions, is_lazy), *tables])


def outermost_first(found: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks as `Document` has them: each once, by start, the outer before the inner."""
    return tuple(sorted(set(found), key=lambda block: (block[0], -block[1])))


# --- items and indented text -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A block that has not ended; an item includes what is indented further than itself."""

    indent: int
    start: int
    is_item: bool


def _indented(flat: str, regions: Iterable[Block], is_lazy: bool) -> Iterator[Block]:
    """Items with everything indented below them, indented text, and the regions themselves."""
    open_: list[_Open] = []
    last_end = 0  # of the last line that is not blank
    last_indent = 0
    is_after_blank = True
    for start, end, indent, words in _lines(flat, regions):
        if not words.strip():
            is_after_blank = True
            continue
        is_item = ITEM.match(words) is not None
        continues = is_lazy and not is_after_blank and not is_item and not OPENING.match(words)
        while not continues and open_ and (indent < open_[-1].indent + open_[-1].is_item):
            yield open_.pop().start, last_end
        if is_item:
            open_.append(_Open(indent, start, is_item=True))
        elif not continues and indent > last_indent:
            open_.append(_Open(indent, start, is_item=False))
        if "\n" in flat[start:end]:
            yield start, end
        last_end, last_indent, is_after_blank = end, indent, False
    for block in open_:
        yield block.start, last_end


def _lines(flat: str, regions: Iterable[Block]) -> Iterator[tuple[int, int, int, str]]:
    """Start, end, indentation and words of each line; a region counts as one line."""
    waiting = iter([*regions, (len(flat) + 1, 0)])
    region = next(waiting)
    position = 0
    while position < len(flat):
        line = LINE.match(flat, position)
        assert line  # it matches an empty line too
        end = line.end(2)
        while region[1] <= position and region[0] < len(flat):
            region = next(waiting)
        position = line.end()
        if line.start() <= region[0] <= end:
            end = max(end, region[1])
            position = max(position, flat.find("\n", end) + 1 or len(flat))
        yield line.start(), end, len(line[1].expandtabs(TAB_WIDTH)), line[2]


# --- tables drawn with characters --------------------------------------------------------------------------
# A header is a block with the rule below it, and another one with the first row: alone it says little.

# Drawn with + - | around the cells; with a rule below the header; with borders above and below.
DRAWN = re.compile(r"(?:^[ \t]*(?:\+[-=]+\+|\|)[^\n]*(?:\n|\Z))+", re.MULTILINE)
# An edge through all columns, so between rows; where a cell spans rows, its words stand in the line.
EDGE = re.compile(r"^[ \t]*\+(?:[-=]+\+)+[ \t]*$", re.MULTILINE)
RULE = re.compile(r"^[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*(?:\|[ \t]*)?$", re.MULTILINE)
ROWS = re.compile(r"(?:\n[^\n|]*\|[^\n]*)*")
BORDER = re.compile(r"^[ \t]*=+(?:[ \t]+=+)+[ \t]*$", re.MULTILINE)
BLANK_BELOW = re.compile(r"\n[ \t]*(?:\n|\Z)|\Z")
FILLED_LINE = re.compile(r"^([ \t]*)[^ \t\n][^\n]*", re.MULTILINE)
NO_BREAK = re.compile(r"[^\n]+")


def _blanked(flat: str, regions: Sequence[Block]) -> str:
    """The text with spaces in place of everything in the regions but line breaks."""
    parts: list[str] = []
    position = 0
    for start, end in regions:
        parts += flat[position:start], NO_BREAK.sub(lambda words: " " * len(words[0]), flat[start:end])
        position = end
    return "".join([*parts, flat[position:]])


def _filled_lines(flat: str, start: int, end: int) -> list[Block]:
    return [line.span() for line in FILLED_LINE.finditer(flat, start, end)]


def _header_and_rows(start: int, end: int, rows: Sequence[Block]) -> Iterator[Block]:
    """A header with its rule, the same with the first row, and the rows."""
    yield start, end
    yield from ((start, row_end) for _, row_end in rows[:1])
    yield from rows


def _drawn(flat: str) -> Iterator[Block]:
    """Grids, whose rows may have several lines, and everything else drawn with bars, one row per line."""
    for drawn in DRAWN.finditer(flat):
        start, end = drawn.start(), drawn.end() - drawn[0].endswith("\n")
        yield start, end
        yield from _filled_lines(flat, start, end)
        edges = list(EDGE.finditer(flat, start, end))
        if len(edges) > 1 and edges[0].start() == start:
            bounds = [start, *(edge.end() + 1 for edge in edges[1:])]
            rows = [(first, after - 1) for first, after in pairwise(bounds)]
            yield from _header_and_rows(*rows[0], rows[1:]) if "=" in edges[1][0] else rows


def _ruled(flat: str) -> Iterator[Block]:
    """Markdown tables, whose lines need not begin with a bar."""
    reached = 0
    for rule in RULE.finditer(flat):
        header = flat.rfind("\n", 0, max(rule.start() - 1, 0)) + 1
        if rule.start() > reached and "|" in rule[0] and "|" in flat[header : rule.start()]:
            rows = ROWS.match(flat, rule.end())
            reached = rows.end() if rows else rule.end()
            yield header, reached
            yield from _header_and_rows(header, rule.end(), _filled_lines(flat, rule.end(), reached))


def _bordered(flat: str) -> Iterator[Block]:
    """Simple tables of reStructuredText; the border above a blank line is the last."""
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
    """The rows: each begins at a line with words in the first column, the last includes the border below."""
    (start, top), (last, end) = borders[0], borders[-1]
    indent = flat.index("=", start) - start
    header_end = borders[1][1] if len(borders) > 2 else top
    rows: list[Block] = []
    for line in FILLED_LINE.finditer(flat, header_end, end):
        begins = len(line[1]) <= indent and line.start() != last
        first = line.start() if begins or not rows else rows.pop()[0]
        rows.append((first, line.end()))
    yield from _header_and_rows(start, header_end, rows)
