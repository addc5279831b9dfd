"""Find the blocks of line-based markup: list items, tables and their rows, indented text.

A text comes in, spans come out, each from the start of its first line to the end of its last.  A list item or
a directive includes everything indented below it, in Markdown and reStructuredText alike.  A reader passes
spans that it knows already (fenced code, say); nothing is looked for inside them.

For a table with a header there are edits, too, that write its rows as those of all other formats: "name: Ada;
born: 1815".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from minisearch.parsers.source import Block, Edit, outermost_first
from minisearch.parsers.tables import Cell, Row, labels_by_position, row_text
from minisearch.text import LIST_MARKER

LINE = re.compile(r"^([^\S\n]*)(\S[^\n]*)", re.MULTILINE)
ITEM = re.compile(rf"(?:{LIST_MARKER}|#\.)(?:[ \t]|$)|\.\.(?:[ \t]|$)")
# A line that continues the paragraph above it, though it is indented less, starts with none of these.
OPENING = re.compile(r"#{1,6}(?:[ \t]|$)|`{3}|~{3}|[|<>]|(?:=+|-+|\*+)[ \t]*$")
TAB_WIDTH = 4


def blocks(
    flat: str, tables: Iterable[DrawnTable], regions: Sequence[Block] = (), *, is_lazy: bool = False
) -> tuple[Block, ...]:
    r"""The blocks of a text whose line breaks are ``\n``, with those of its tables.

    Nothing is looked for in ``regions``, which begin with a line.  ``is_lazy`` where a line without
    indentation may continue the paragraph of an item, as in Markdown.
    """
    of_tables = (block for table in tables for block in table.blocks())
    return outermost_first([*_indented(flat, regions, is_lazy), *of_tables])


# --- items and indented text -------------------------------------------------------------------------------


def _indented(flat: str, regions: Iterable[Block], is_lazy: bool) -> Iterator[Block]:
    """Items with everything indented below them, indented text, and the regions themselves."""
    open_: list[tuple[int, int]] = []  # the least indentation of what a block includes, and where it begins
    last_end = -2
    last_indent = 0
    for start, end, indent, words in _lines(flat, regions):
        is_after_blank = start > last_end + 1
        is_item = ITEM.match(words) is not None
        continues = is_lazy and not is_after_blank and not is_item and not OPENING.match(words)
        while not continues and open_ and indent < open_[-1][0]:
            yield open_.pop()[1], last_end
        if is_item or (not continues and indent > last_indent):
            open_.append((indent + is_item, start))
        if flat.find("\n", start, end) >= 0:
            yield start, end
        last_end, last_indent = end, indent
    yield from ((start, last_end) for _, start in open_)


def _lines(flat: str, regions: Iterable[Block]) -> Iterator[tuple[int, int, int, str]]:
    """Start, end, indentation and words of each line that is not blank; a region counts as one line."""
    ends = dict(regions)
    last_end = 0
    for line in LINE.finditer(flat):
        start, end = line.span()
        if start >= last_end:
            last_end = max(end, ends.get(start, 0))
            spaces, words = line.groups()
            yield start, last_end, len(spaces.expandtabs(TAB_WIDTH) if "\t" in spaces else spaces), words


# --- tables drawn with characters --------------------------------------------------------------------------
# A header is a block with the rule below it, and another one with the first row: alone it says little.

# Drawn with + - | around the cells; with a rule below the header; with borders above and below.
DRAWN = re.compile(r"(?:^[ \t>]*(?:\+[-=]+\+|\|)[^\n]*(?:\n|\Z))+", re.MULTILINE)
# An edge through all columns, so between rows; where a cell spans rows, its words stand in the line.
EDGE = re.compile(r"^[ \t]*\+(?:[-=]+\+)+[ \t]*$", re.MULTILINE)
RULE = re.compile(r"^[ \t>]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*(?:\|[ \t]*)?$", re.MULTILINE)
ROWS = re.compile(r"(?:\n[^\n|]*\|[^\n]*)*")
BORDER = re.compile(r"^[ \t]*=+(?:[ \t]+=+)+[ \t]*$", re.MULTILINE)
BLANK_BELOW = re.compile(r"\n[ \t]*(?:\n|\Z)|\Z")
FILLED_LINE = re.compile(r"^([ \t]*)[^ \t\n][^\n]*", re.MULTILINE)
NO_BREAK = re.compile(r"[^\n]+")
GAP = re.compile(r"[ \t]+")
MAX_LINE = 1 << 30  # characters


def blanked(flat: str, regions: Sequence[Block]) -> str:
    """The text with spaces in place of everything in the regions but line breaks."""
    parts: list[str] = []
    position = 0
    for start, end in regions:
        parts += flat[position:start], NO_BREAK.sub(lambda words: " " * len(words[0]), flat[start:end])
        position = end
    return "".join([*parts, flat[position:]])


def filled_lines(flat: str, start: int, end: int) -> list[Block]:
    """The lines that are not blank, each from its first character, a space perhaps, to its last."""
    return [line.span() for line in FILLED_LINE.finditer(flat, start, end)]


SpannedCell = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """A table: its header with the rule below, if any, and its rows with the edges below.

    ``edges`` are the offsets in a line of what separates columns, where ``mark`` stands; without any, cells
    are separated by bars anywhere.  ``cells`` are those of the header and each row where a reader found them:
    start, end, and how many columns each spans.
    """

    start: int
    end: int
    header: Block | None
    rows: Sequence[Block]
    mark: str = "|"
    edges: Sequence[int] = ()
    cells: Sequence[Sequence[SpannedCell]] = ()

    @classmethod
    def of_cells(
        cls, start: int, end: int, rows: Sequence[Sequence[SpannedCell]], *, has_header: bool
    ) -> DrawnTable:
        """The table at ``start:end`` with these cells; the first row may be its header."""
        filled = [row for row in rows if row]
        ranges = [(row[0][0], row[-1][1]) for row in filled]
        n_header = int(has_header and bool(filled))
        return cls(start, end, ranges[0] if n_header else None, ranges[n_header:], cells=filled)

    def blocks(self) -> Iterator[Block]:
        """The table, its header with its rule, the same with the first row, and the rows."""
        yield self.start, self.end
        if self.header:
            yield self.header
            yield from ((self.header[0], end) for _, end in self.rows[:1])
        yield from self.rows


def drawn_tables(flat: str) -> list[DrawnTable]:
    """The tables of a text, in order of start."""
    found: list[DrawnTable] = []  # each search looks at every line, but few texts have the signs
    if "|" in flat or "-+" in flat or "=+" in flat:
        found += (*_drawn(flat), *_ruled(flat))
    if "= " in flat or "=\t" in flat:
        found += _bordered(flat)
    return sorted(found, key=lambda table: (table.start, table.header is None))


def _drawn(flat: str) -> Iterator[DrawnTable]:
    """Grids, whose rows may have several lines, and everything else drawn with bars, one row per line."""
    for drawn in DRAWN.finditer(flat):
        start, end = drawn.start(), drawn.end() - drawn[0].endswith("\n")
        yield DrawnTable(start, end, None, filled_lines(flat, start, end))
        borders = list(EDGE.finditer(flat, start, end))
        if len(borders) > 1 and borders[0].start() == start:
            bounds = [start, *(border.end() + 1 for border in borders[1:])]
            rows = [(first, after - 1) for first, after in pairwise(bounds)]
            edges = sorted({i for border in borders for i, sign in enumerate(border[0]) if sign == "+"})
            n_header = "=" in borders[1][0]
            yield DrawnTable(start, end, rows[0] if n_header else None, rows[n_header:], "|+", edges)


def _ruled(flat: str) -> Iterator[DrawnTable]:
    """Markdown tables, whose lines need not begin with a bar."""
    reached = 0
    for rule in RULE.finditer(flat):
        header = flat.rfind("\n", 0, max(rule.start() - 1, 0)) + 1
        if rule.start() > reached and "|" in rule[0] and "|" in flat[header : rule.start()]:
            rows = ROWS.match(flat, rule.end())
            reached = rows.end() if rows else rule.end()
            below = filled_lines(flat, rule.end(), reached)
            yield DrawnTable(header, reached, (header, rule.end()), below)


def _bordered(flat: str) -> Iterator[DrawnTable]:
    """Simple tables of reStructuredText; the border above a blank line is the last."""
    borders: list[re.Match[str]] = []
    for border in BORDER.finditer(flat):
        is_last = BLANK_BELOW.match(flat, border.end()) is not None
        if borders or not is_last:
            borders.append(border)
        if is_last and borders:
            yield _simple(flat, borders)
            borders = []


def _simple(flat: str, borders: Sequence[re.Match[str]]) -> DrawnTable:
    """The table: a row begins where the first column has words, and the last includes the border below."""
    start, last, end = borders[0].start(), borders[-1].start(), borders[-1].end()
    indent = flat.index("=", start) - start
    gaps = [gap.span() for gap in GAP.finditer(borders[0][0].rstrip(), indent)]
    header = (start, borders[1].end()) if len(borders) > 2 else None
    rows: list[Block] = [] if header else [(start, start)]
    for line in FILLED_LINE.finditer(flat, header[1] if header else borders[0].end(), end):
        begins = len(line[1]) < gaps[0][0] and line.start() != last
        first = line.start() if begins or not rows else rows.pop()[0]
        rows.append((first, line.end()))
    return DrawnTable(
        start, end, header, rows, " ", [indent - 1, *(after - 1 for _, after in gaps), MAX_LINE]
    )


# --- rows with the names of their columns ------------------------------------------------------------------

BAR = re.compile(r"(?<!\\)\|")
MARKS = re.compile(r"[*`]+")  # of emphasis and code in a name
NO_WORDS = re.compile(r"[-=+|:>\s]*")  # a rule, or an edge
INDENTATION = re.compile("[ \t>]*")  # in Markdown perhaps that of a quotation
WORDS = re.compile(r"\S(?:[^\n]*\S)?")


def row_edits(flat: str, tables: Iterable[DrawnTable]) -> Iterator[Edit]:
    """The edits for all tables, in order; a table inside another is a part of it."""
    reached = 0
    for table in tables:
        if (table.header or table.cells) and table.start >= reached:
            reached = table.end
            yield from _edits(flat, table, [*([table.header] if table.header else []), *table.rows])


def _edits(flat: str, table: DrawnTable, ranges: Sequence[Block]) -> Iterator[Edit]:
    rows = [Row(0) for _ in ranges]
    lines_of: list[list[Block]] = []  # of each cell, by its position
    for n, (row, (start, end)) in enumerate(zip(rows, ranges, strict=True)):
        for width, lines in _given(flat, table.cells[n]) if table.cells else _cells(flat, start, end, table):
            words = " ".join(flat[first:last] for first, last in lines)
            is_header = n == 0 and table.header is not None
            words = MARKS.sub("", words) if is_header else words
            row.cells.append(Cell(len(lines_of), words, is_header, width))
            lines_of.append(lines)
    labels = labels_by_position(rows)
    position = table.start
    for (start, _), row in zip(ranges if labels or table.cells else [], rows, strict=False):
        filled = [
            (labels.get(cell.position, ""), lines_of[cell.position]) for cell in row.cells if cell.words
        ]
        if filled and position > table.start:
            yield position, start, "\n"
            position = start
        indentation = INDENTATION.match(flat, start)
        before = indentation[0] if indentation and not table.cells else ""
        if any(len(lines) > 1 for _, lines in filled):  # which stand beside one another
            last = max(last for _, lines in filled for _, last in lines)
            texts = [" ".join(flat[first:end] for first, end in lines) for _, lines in filled]
            words = row_text([label for label, _ in filled], texts)
            yield position, last, before + words
            position = last
        else:
            for label, ((first, last),) in filled:
                yield position, first, before + label
                position, before = last, "; "
    if position > table.start:
        yield position, table.end, ""


def _given(flat: str, cells: Sequence[SpannedCell]) -> Iterator[tuple[int, list[Block]]]:
    """The same as `_cells` for cells that a reader found."""
    for start, end, n_columns in cells:
        yield n_columns, [line.span() for line in WORDS.finditer(flat, start, end)]


def _cells(flat: str, start: int, end: int, table: DrawnTable) -> list[tuple[int, list[Block]]]:
    """How many columns each cell of a row spans, and where the words of its lines stand."""
    cells: dict[int, tuple[int, list[Block]]] = {}
    for first, last in filled_lines(flat, start, end):
        if NO_WORDS.fullmatch(flat, first, last):
            continue
        edges = _edges(flat, first, first + len(flat[first:last].rstrip()), table)
        for (column, left), (after, right) in pairwise(edges):
            words = flat[left + 1 : right].strip()
            _, lines = cells.setdefault(column, (after - column, []))
            if words and (len(words) == 1 or not NO_WORDS.fullmatch(words)):
                place = flat.index(words, left + 1)
                lines.append((place, place + len(words)))
    return [cells[column] for column in sorted(cells)]


def _edges(flat: str, first: int, last: int, table: DrawnTable) -> list[tuple[int, int]]:
    """The edges of the cells in a line: how many columns are left of each, and where it stands."""
    bars = [bar.start() for bar in BAR.finditer(flat, first, last)]
    end = last - (flat[last - 1] == "|")
    if not table.edges or ("|" in table.mark and len(bars) == len(table.edges)):  # wide letters shift bars
        begin = [] if flat[first:last].lstrip(" \t>").startswith("|") else [first - 1]
        return list(enumerate([*begin, *bars, *([last] if end == last else [])]))
    places = [first + offset for offset in table.edges]
    inner = [(i, min(place, last)) for i, place in enumerate(places[1:-1], start=1)]
    inner = [(i, place) for i, place in inner if place == last or flat[place] in table.mark]
    return [(0, places[0]), *inner, (len(places) - 1, end)]
