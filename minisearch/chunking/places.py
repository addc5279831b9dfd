r"""Positions in a document's text to places in its file: bytes, lines and columns.

Breaks of lines are found once for a document, and its bytes are counted in one pass, however many positions
are asked for.  A line ends with ``\n``, ``\r\n`` or a lone ``\r``, as editors count.
"""

from __future__ import annotations

import re

import numpy as np

from minisearch.types import Document, IntArray

LINE_BREAK = re.compile(r"\r\n|\r|\n")

Anchor = tuple[int, int, int]


class Places:
    """Where the characters of one document's text stand in its file; positions are (n,), ascending."""

    def __init__(self, document: Document) -> None:
        self._origin = document.origin
        self._text_anchors = np.array(document.origin.text_anchors)
        self._source_anchors = np.array(document.origin.source_anchors)
        self._limits = np.append(self._source_anchors[1:], len(document.origin.source))
        self._line_starts = _line_starts(document.origin.source)
        self._turns = self._find_turns(document.text)

    def _in_source(self, positions: IntArray) -> IntArray:
        side_by_side, limits = self._side_by_side(positions)
        found: IntArray = np.minimum(side_by_side, limits)
        return found

    def _side_by_side(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Where each position would stand if both texts ran on from its anchor, and where the next one is."""
        nearest = np.searchsorted(self._text_anchors, positions, side="right") - 1
        side_by_side = self._source_anchors[nearest] + positions - self._text_anchors[nearest]
        return side_by_side, self._limits[nearest]

    def _find_turns(self, text: str) -> IntArray:
        """Positions, ascending, whose place does not follow from the character before.

        They are the anchors, and wherever a line begins in the text or in the source but not in both: the
        blank line that a reader put between two paragraphs, or the line break that it took for a space.
        """
        text_starts = _line_starts(text)
        begins_in_source = np.isin(self._in_source(text_starts), self._line_starts)
        nearest = np.searchsorted(self._source_anchors, self._line_starts, side="right") - 1
        in_text = self._text_anchors[nearest] + self._line_starts - self._source_anchors[nearest]
        is_kept = (nearest >= 0) & (in_text < np.append(self._text_anchors[1:], len(text))[nearest])
        begin_in_source_only = np.setdiff1d(in_text[is_kept], text_starts)
        turns: IntArray = np.unique(
            np.concatenate([self._text_anchors, text_starts[~begins_in_source], begin_in_source_only])
        )
        return turns

    def offsets(self, positions: IntArray) -> IntArray:
        """The byte offset of each position, (n,)."""
        origin = self._origin
        offsets = np.empty(len(positions), np.int64)
        offset, last = origin.n_bom_bytes, 0
        for i, position in enumerate(self._in_source(positions).tolist()):
            offset += len(origin.source[last:position].encode(origin.encoding, "surrogateescape"))
            offsets[i] = offset
            last = position
        return offsets

    def lines_and_columns(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """The line and the column (characters) of each position, both from 1, (n,) each."""
        in_source = self._in_source(positions)
        lines = np.searchsorted(self._line_starts, in_source, side="right")
        return lines, in_source - self._line_starts[lines - 1] + 1

    def anchors(self, start: int, end: int) -> tuple[Anchor, ...]:
        """`Chunk.anchors` of the text between; one at its end where words cut in two must run no further."""
        first, last = np.searchsorted(self._turns, (start + 1, end))
        side_by_side, limit = self._side_by_side(np.array([end - 1]))
        positions = np.concatenate([[start], self._turns[first:last], [end] if side_by_side > limit else []])
        positions = positions.astype(np.int64)
        columns = (positions - start, *self.lines_and_columns(positions))
        return tuple(zip(*(column.tolist() for column in columns), strict=True))


def _line_starts(text: str) -> IntArray:
    """Where each line begins, the first at 0."""
    return np.array([0, *(found.end() for found in LINE_BREAK.finditer(text))], np.int64)
