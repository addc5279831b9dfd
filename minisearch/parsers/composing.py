"""A text put together from pieces of a file and from words of ours, every character tied to its place.

In come pieces in the file's order, each with where it stands; out go the text and its anchors, as `Origin`
has them.  A piece that was copied runs side by side with the file; words of ours (the name of a column, the
path of a key) stand for a place.  What the pieces are is left to the reader of each format.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from minisearch.types import Origin


@dataclass(frozen=True, slots=True)
class TiedText:
    """A text, and which of its positions stand where in its source; anchors as in `Origin`."""

    text: str
    text_anchors: tuple[int, ...] = (0,)
    source_anchors: tuple[int, ...] = (0,)

    def place(self, position: int) -> int:
        """Where in the source a position of the text stands."""
        last = bisect_right(self.text_anchors, position) - 1
        place = self.source_anchors[last] + position - self.text_anchors[last]
        return min([place, *self.source_anchors[last + 1 : last + 2]])

    def through(self, earlier: TiedText) -> TiedText:
        """The same text tied to the source of ``earlier``, from whose text it was made."""
        anchors: list[tuple[int, int]] = []
        ends = (*self.text_anchors[1:], len(self.text))
        limits = (*self.source_anchors[1:], len(earlier.text))
        for start, end, middle, limit in zip(
            self.text_anchors, ends, self.source_anchors, limits, strict=True
        ):
            anchors.append((start, earlier.place(middle)))
            first = bisect_right(earlier.text_anchors, middle)
            last = bisect_left(earlier.text_anchors, min(middle + end - start, limit))
            turns = zip(earlier.text_anchors[first:last], earlier.source_anchors[first:last], strict=True)
            anchors += [(start + turn - middle, place) for turn, place in turns]
        text_anchors, source_anchors = zip(*anchors, strict=True)
        return TiedText(self.text, text_anchors, source_anchors)

    def origin(self, of_file: Origin) -> Origin:
        """The origin of a document with this text, made of this file."""
        return replace(of_file, text_anchors=self.text_anchors, source_anchors=self.source_anchors)


class Composition:
    """A text under way; places must never go back."""

    def __init__(self) -> None:
        self.n_characters = 0
        self._parts: list[str] = []
        self._text_anchors = [0]
        self._source_anchors = [0]

    def say(self, words: str, place: int | None = None) -> None:
        """Words of ours, which begin at a place, or where the last piece ended."""
        if place is not None:
            self._tie(place)
        self._append(words)

    def take(self, piece: str, start: int, end: int) -> None:
        """What stands at ``start:end`` of the source: its very characters, or what they mean."""
        self._tie(start)
        self._append(piece)
        self._tie(end)

    def add(self, tied: TiedText, offset: int = 0) -> None:
        """A whole text; the source that it is tied to begins at ``offset`` of this one."""
        base = self.n_characters
        for text_anchor, source_anchor in zip(tied.text_anchors, tied.source_anchors, strict=True):
            self._anchor(base + text_anchor, offset + source_anchor)
        self._append(tied.text)

    def tied(self) -> TiedText:
        """All of it so far."""
        return TiedText("".join(self._parts), tuple(self._text_anchors), tuple(self._source_anchors))

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.n_characters += len(text)

    def _tie(self, place: int) -> None:
        self._anchor(self.n_characters, place)

    def _anchor(self, position: int, place: int) -> None:
        """Note where the text goes on, unless it would go on there anyway."""
        if self._text_anchors[-1] == position:
            self._source_anchors[-1] = place
        elif place - self._source_anchors[-1] != position - self._text_anchors[-1]:
            self._text_anchors.append(position)
            self._source_anchors.append(place)
