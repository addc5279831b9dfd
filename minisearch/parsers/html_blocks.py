"""What belongs together in HTML: items, tables, their rows and text as it stands, however badly they nest.

The names of tags come in as they open and close, each at a position of the text; stretches of it go out.
"""

from __future__ import annotations

import re

SPACE = re.compile(r"\s*")
# What belongs together; and lists, since an item with no list in between ends the one before it.
BLOCKS = {"li", "pre", "table", "tr"}
NESTING = BLOCKS | {"ol", "ul"}


class Blocks:
    """Blocks under way, whatever is left unclosed; an end is looked for only where there was a beginning."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []
        self._n_open = dict.fromkeys(NESTING, 0)
        self._closed: list[tuple[int, int]] = []

    def open(self, name: str, position: int) -> None:
        """A block begins; an item or a row ends the one before it."""
        if name in {"li", "tr"} and self._open and self._open[-1][0] == name:
            self.close(name, position)
        self._open.append((name, position))
        self._n_open[name] += 1

    def close(self, name: str, position: int) -> None:
        """The last block of this kind ends, and all that began in it."""
        while self._n_open[name]:
            closed, start = self._open.pop()
            self._n_open[closed] -= 1
            if closed in BLOCKS:
                self._closed.append((start, position))
            if closed == name:
                return

    def is_open(self, name: str) -> bool:
        """Whether a block of this kind is under way."""
        return self._n_open[name] > 0

    def found(self, text: str) -> tuple[tuple[int, int], ...]:
        """All of them, without the white space at their edges."""
        while self._open:
            self.close(self._open[-1][0], len(text))
        words = _words_after([start for start, _ in self._closed], text)
        blocks = {(words[start], end) for start, end in self._closed if words[start] < end}
        return tuple(sorted(blocks, key=lambda block: (block[0], -block[1])))


def _words_after(positions: list[int], text: str) -> dict[int, int]:
    """For each position the next character that is no white space; each character is looked at once."""
    found = {len(text): len(text)}
    next_ = len(text)
    for position in sorted(set(positions), reverse=True):
        space = SPACE.match(text, position, next_)
        end = space.end() if space else position
        found[position] = end if end < next_ else found[next_]
        next_ = position
    return found
