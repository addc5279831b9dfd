r"""Map positions in a document's text to its file: bytes, lines and columns.

A document goes in, and positions or spans of its text; bytes, lines and columns of the file come out.  Line
breaks are found once for each document, and its bytes are counted in one pass, for any number of positions.
A line ends with ``\n``, ``\r\n`` or a lone ``\r``, as in editors; where the document has numbers of its own,
such as those of paragraphs, they count instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise

import numpy as np

from minisearch.text import LINE_BREAK
from minisearch.types import Document, IntArray

LineAnchor = tuple[int, int, int]

# An escape ("&amp;", "\u6f22") is many characters for one or two; behind a word there may be anything.
MAX_ESCAPED = 2
MAX_ESCAPE = 12


class Positions:
    """Where the characters of one document's text stand in its file; positions are (n,), ascending."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._origin = document.origin
        self._text_anchors = np.array(document.origin.anchors.text)
        self._source_anchors = np.array(document.origin.anchors.source)
        self._limits = np.append(self._source_anchors[1:], len(document.origin.source))
        self._text_ends = np.append(self._text_anchors[1:], len(document.text))

    @cached_property
    def _line_starts(self) -> IntArray:
        return _line_starts(self._origin.source)

    def _in_source(self, positions: IntArray) -> IntArray:
        parallel, limits = self._parallel(positions)
        found: IntArray = np.minimum(parallel, limits)
        return found

    def _parallel(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Where each position would be if both texts ran on from its anchor, and where the next anchor is."""
        nearest = np.searchsorted(self._text_anchors, positions, side="right") - 1
        parallel = self._source_anchors[nearest] + positions - self._text_anchors[nearest]
        return parallel, self._limits[nearest]

    @cached_property
    def _breaks(self) -> IntArray:
        """Positions, ascending, whose line and column do not follow from the character before.

        They are the anchors, and wherever a line begins in the text or in the source but not in both: at the
        blank line that a reader put between two paragraphs, or the line break that it replaced by a space.
        """
        text_starts = _line_starts(self._document.text)
        if self._document.lines:
            text = self._document.text
            filled = [start for start in text_starts.tolist() if not text.startswith("\n", start)]
            return np.union1d(self._numbers[0], filled)
        begins_in_source = np.isin(self._in_source(text_starts), self._line_starts)
        nearest = np.searchsorted(self._source_anchors, self._line_starts, side="right") - 1
        in_text = self._text_anchors[nearest] + self._line_starts - self._source_anchors[nearest]
        is_before_end = (nearest >= 0) & (in_text < self._text_ends[nearest])
        only_in_source = np.setdiff1d(in_text[is_before_end], text_starts)
        return np.unique(np.concatenate([self._text_anchors, text_starts[~begins_in_source], only_in_source]))

    @cached_property
    def _numbers(self) -> tuple[IntArray, IntArray]:
        """Where each of the document's own numbers begins to count, and the number."""
        starts, numbers = np.array(self._document.lines, np.int64).reshape(-1, 2).T
        return starts, numbers

    def byte_offsets(self, positions: IntArray) -> IntArray:
        """The byte offset of each position, (n,)."""
        offsets = np.empty(len(positions), np.int64)
        offset, last = self._origin.n_bom_bytes, 0
        for i, position in enumerate(self._in_source(positions).tolist()):
            offset += self._n_bytes(last, position)
            offsets[i] = offset
            last = position
        return offsets

    def _n_bytes(self, start: int, end: int) -> int:
        return len(self._origin.source[start:end].encode(self._origin.encoding, "surrogateescape"))

    def lines_and_columns(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """The line and the column (characters) of each position, both from 1, (n,) each."""
        if self._document.lines:
            starts, numbers = self._numbers
            last = np.searchsorted(starts, positions, side="right") - 1
            return numbers[last], positions - starts[last] + 1
        in_source = self._in_source(positions)
        lines = np.searchsorted(self._line_starts, in_source, side="right")
        return lines, in_source - self._line_starts[lines - 1] + 1

    def anchors(self, start: int, end: int) -> tuple[LineAnchor, ...]:
        """`Chunk.anchors` for ``start:end``; one stands at the end where a cut word must not run on."""
        first, last = np.searchsorted(self._breaks, (start + 1, end))
        parallel, limit = self._parallel(np.array([end - 1]))
        positions = np.concatenate([[start], self._breaks[first:last], [end] if parallel > limit else []])
        positions = positions.astype(np.int64)
        columns = (positions - start, *self.lines_and_columns(positions))
        return tuple(zip(*(column.tolist() for column in columns), strict=True))

    def n_bytes_under(self, start: int, end: int) -> int:
        """The number of bytes that a span was made from, without those that follow its words in the file."""
        first, last = np.searchsorted(self._text_anchors, (start + 1, end))
        edges = np.concatenate([[start], self._text_anchors[first:last], [end]])
        begins, limits = self._parallel(edges[:-1])
        begins = np.minimum(begins, limits)
        lengths = np.diff(edges)
        ends = np.minimum(begins + lengths, limits)
        nearest = np.searchsorted(self._text_anchors, edges[:-1], side="right") - 1
        is_ended = (edges[1:] == self._text_ends[nearest]) & (nearest + 1 < len(self._text_ends))
        is_escape = is_ended & (lengths <= MAX_ESCAPED) & (limits - begins <= MAX_ESCAPE)
        for i in np.flatnonzero(is_escape).tolist():
            if not self._document.text[edges[i + 1] - 1].isspace():
                ends[i] = limits[i]
        return sum(map(self._n_bytes, begins.tolist(), ends.tolist()))


def bytes_under(document: Document, spans: Iterable[tuple[int, int]], n_bytes: int) -> int:
    """Of the ``n_bytes`` of the document's file, those under spans (start, end) of its text.

    Bytes under two spans count once; what lies between (a script, an image, an attachment) does not count.
    The bytes of a binary file are divided equally among its pages; those of pages without text do not count.
    """
    spans = list(_disjoint(spans))
    if document.origin.is_extract:
        bounds = [*document.pages, len(document.text)] if document.pages else [0, len(document.text)]
        pages = list(pairwise(bounds))
        n_reached = sum(not document.text[start:end].isspace() and start < end for start, end in pages)
        return n_bytes * n_reached // len(pages) if spans else 0
    positions = Positions(document)
    return sum(positions.n_bytes_under(start, end) for start, end in spans)


def _disjoint(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same spans, ascending, each without what an earlier one covers."""
    reached = 0
    for start, end in sorted(spans):
        if end > reached:
            yield max(start, reached), end
            reached = end


def _line_starts(text: str) -> IntArray:
    """Where each line begins, the first at 0."""
    return np.array([0, *(found.end() for found in LINE_BREAK.finditer(text))], np.int64)
