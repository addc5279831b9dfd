"""What belongs together in lined markup: list items, tables, indented text, and what a reader knows besides.

Lines come in, stretches go out, each from the beginning of its first line to the end of its last.  An item or
a directive takes all that is indented below it, as both Markdown and reStructuredText have it; so this looks
at margins and at first characters only, and at each line once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from minisearch.parsers.drawn_tables import Block, tables

LINE = re.compile(r"([ \t]*)([^\n]*)(?:\n|\Z)")
ITEM = re.compile(r"(?:[-*+•]|\d{1,9}[.)]|#\.)(?:[ \t]|$)|\.\.(?:[ \t]|$)")
# A line that goes on with the paragraph above it, though it is indented less, is none of these.
BEGINNING = re.compile(r"#{1,6}(?:[ \t]|$)|`{3}|~{3}|[|<>]|(?:=+|-+|\*+)[ \t]*$")
TAB = 4


@dataclass(slots=True)
class _Open:
    """Something under way: its margin, where it began; an item takes what is indented further than itself."""

    margin: int
    start: int
    is_item: bool


def blocks(flat: str, regions: Sequence[Block] = (), *, is_lazy: bool = False) -> tuple[Block, ...]:
    """The blocks of a text, the outer before the inner; in ``regions`` (ascending) nothing else begins.

    ``is_lazy`` where a line at the margin may go on with an item's paragraph, as in Markdown.
    """
    found = [*_indented(flat, regions, is_lazy), *tables(flat, regions)]
    return tuple(sorted(set(found), key=lambda block: (block[0], -block[1])))


def _lines(flat: str, regions: Iterable[Block]) -> Iterator[tuple[int, int, int, str]]:
    """Start, end, margin and words of each line; a region is one line, with the words it begins with."""
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
        yield line.start(), end, len(line[1].expandtabs(TAB)), line[2]


def _indented(flat: str, regions: Iterable[Block], is_lazy: bool) -> Iterator[Block]:
    """Items with all that is indented below them, indented text, and the regions themselves."""
    open_: list[_Open] = []
    last_end = 0  # of the last line with words
    last_margin = 0
    is_after_blank = True
    for start, end, margin, words in _lines(flat, regions):
        if not words.strip():
            is_after_blank = True
            continue
        is_item = ITEM.match(words) is not None
        goes_on = is_lazy and not is_after_blank and not is_item and not BEGINNING.match(words)
        while not goes_on and open_ and (margin < open_[-1].margin + open_[-1].is_item):
            yield open_.pop().start, last_end
        if is_item:
            open_.append(_Open(margin, start, is_item=True))
        elif not goes_on and margin > last_margin:
            open_.append(_Open(margin, start, is_item=False))
        if "\n" in flat[start:end]:
            yield start, end
        last_end, last_margin, is_after_blank = end, margin, False
    for one in open_:
        yield one.start, last_end
