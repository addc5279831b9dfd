"""A passage that is too long in, parts within the bounds out, cut at the best places there are.

Between paragraphs is better than within one, a list item is better than a sentence; and what belongs together
(``Document.blocks``: a table, a list item, code in a fence) is cut only where it is longer than a part.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from minisearch.chunking.sections import Passage, skip_space, stripped
from minisearch.parsers.decode import newlines
from minisearch.types import Document, IntArray

# Where to cut, the best first; a match ends where the next passage may begin.
PARAGRAPH_AT_MARGIN = re.compile(r"\n[ \t]*\n(?=\S)")  # so that what is indented stays with its introduction
PARAGRAPH = re.compile(r"\n[ \t]*\n")
ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t])")
SENTENCE = re.compile(r"(?<![\d.])[.!?][\"'”’)\]]*\s+(?=[^\sa-z])|[。！？][」』”’）]*")
LINE = re.compile(r"\n")
WORD = re.compile(r"\s+")

# A line break in wrapped prose is an accident, in code it is structure.
PROSE_CUTS = (PARAGRAPH_AT_MARGIN, PARAGRAPH, ITEM, SENTENCE, LINE, WORD)
CODE_CUTS = (PARAGRAPH_AT_MARGIN, PARAGRAPH, LINE, SENTENCE, WORD)


class Cutter:
    """Cuts passages of one document; what does not depend on the passage is kept."""

    def __init__(
        self, document: Document, *, max_tokens: int, max_characters: int, overlap_tokens: int
    ) -> None:
        self.text = document.text
        self.flat = newlines(document.text)
        self.max_tokens = max_tokens
        self.max_characters = max_characters
        self.overlap_tokens = min(overlap_tokens, max_tokens // 2)
        self.is_code = document.format == "code"
        self.cuts = CODE_CUTS if self.is_code else PROSE_CUTS
        self.blocks = np.array(document.blocks, np.int64).reshape(-1, 2)

    def cut(self, passage: Passage, tokens: IntArray) -> Iterator[Passage]:
        """The parts of a passage that is too long, each within the bounds by this count of its tokens.

        ``tokens`` (n,) are the first characters of the passage's tokens, in the document.
        """
        whole, long = self._blocks_in(passage, tokens)
        start = passage.start
        reached = skip_space(self.text, start, passage.end)  # all before is in some part, or white space
        while True:
            if self._limit(tokens, start) <= reached:  # a desert, wider than a part
                start = reached
            limit = max(self._limit(tokens, start), reached + 1)
            if limit >= passage.end:
                yield from self._part(passage, start, passage.end)
                return
            block_start = whole.start_around(limit)
            if block_start is not None and block_start <= reached and start < reached:
                start = reached  # it needs all the room there is
                continue
            if block_start is not None and block_start > reached:
                limit = block_start
            fair = self._fair(tokens, start, limit)
            cut = self._best_cut(max((start + limit) // 2, reached), fair, limit, whole, long)
            yield from self._part(passage, start, cut)
            reached = skip_space(self.text, cut, passage.end)
            start = self._next_start(tokens, start, cut, whole)

    def _part(self, passage: Passage, start: int, end: int) -> Iterator[Passage]:
        return stripped(self.text, start, end, passage.heading, is_code=self.is_code)

    def _blocks_in(self, passage: Passage, tokens: IntArray) -> tuple[_Stretches, _Stretches]:
        """The largest blocks that fit into a part, and the largest of those that do not."""
        first, last = np.searchsorted(self.blocks[:, 0], (passage.start, passage.end))
        starts, ends = self.blocks[first:last].T
        n_tokens = np.subtract(*np.searchsorted(tokens, (ends, starts)))
        do_fit = (n_tokens <= self.max_tokens) & (ends - starts <= self.max_characters)
        return _Stretches(starts[do_fit], ends[do_fit]), _Stretches(starts[~do_fit], ends[~do_fit])

    def _fair(self, tokens: IntArray, start: int, limit: int) -> int:
        """Where the part would end if this and all that follow, each up to a limit, were of like length."""
        first, last = np.searchsorted(tokens, [start, limit])
        n_left, n_most = len(tokens) - int(first), int(last) - int(first)
        if n_most < 1 or n_left <= n_most:
            return limit
        return int(tokens[first + math.ceil(n_left / math.ceil(n_left / n_most))])

    def _limit(self, tokens: IntArray, start: int) -> int:
        """The first character that is too many, or of the first token that is."""
        last = int(np.searchsorted(tokens, start)) + self.max_tokens
        in_tokens = int(tokens[last]) if last < len(tokens) else len(self.text)
        return min(in_tokens, start + self.max_characters)

    def _best_cut(self, floor: int, fair: int, limit: int, whole: _Stretches, long: _Stretches) -> int:
        """Of the places of the best kind after ``floor``, up to ``limit``, the nearest to ``fair``.

        Parts filled to the limit leave a line or two as the last, which is found for its title alone: nDCG@10
        by dense search .370 in place of .379 on Cranfield, .954 in place of .958 on data/.
        """
        for kind in self.cuts:
            places = [found.end() for found in kind.finditer(self.flat, floor, limit + 1)]
            open_ = [
                place
                for place in places
                if floor < place <= limit
                and whole.start_around(place) is None
                and not (kind is PARAGRAPH_AT_MARGIN and long.start_around(place) is not None)
            ]
            if open_:
                return min(open_, key=lambda place: abs(place - fair))
        return limit

    def _next_start(self, tokens: IntArray, start: int, cut: int, whole: _Stretches) -> int:
        """Where the part after ``cut`` begins: at the first sentence, else line, with room in the overlap.

        Never in the first half of the part before, so that every part brings something new, and never within
        what belongs together.
        """
        if not self.overlap_tokens or not len(tokens):
            return cut
        first = int(np.searchsorted(tokens, cut)) - self.overlap_tokens
        earliest = max(int(tokens[max(first, 0)]), (start + cut) // 2 + 1)
        for kind in (LINE,) if self.is_code else (SENTENCE, LINE):
            for found in kind.finditer(self.flat, start, cut):
                if earliest <= found.end() < cut and whole.start_around(found.end()) is None:
                    return found.end()
        return cut


class _Stretches:
    """The outermost of some stretches, ``starts`` ascending (n,) and ``ends`` (n,), none of which overlap."""

    def __init__(self, starts: IntArray, ends: IntArray) -> None:
        reached = np.maximum.accumulate(np.concatenate([[-1], ends]))[:-1]
        is_outermost = ends > reached
        self._starts: list[int] = starts[is_outermost].tolist()
        self._ends: list[int] = ends[is_outermost].tolist()

    def start_around(self, position: int) -> int | None:
        """Where the stretch begins that this position lies inside of, not at its edges."""
        i = bisect_left(self._starts, position) - 1
        return self._starts[i] if i >= 0 and position < self._ends[i] else None
