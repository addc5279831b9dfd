"""Build a text that differs from its file's, and keep the way from every character back to the file.

A reader copies pieces of the source and inserts words in between (the name of a column, the path of a key); a
`TextBuilder` records the anchors, a `DocumentBuilder` the rest of a `Document` too.  What the pieces are is
left to the reader of each format.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from minisearch.parsers.blocks import Block, outermost_first
from minisearch.parsers.fields import Fields
from minisearch.parsers.source import Source
from minisearch.types import Anchors, Document, Heading

MAX_TITLE = 200  # a title is repeated in the heading of every chunk below it: a 5 MB "heading" must not be


def first_title(headings: Iterable[Heading]) -> str:
    """The words of the first level-1 heading, "" where there is none."""
    return next((heading.title for heading in headings if heading.level == 1), "")


@dataclass(frozen=True, slots=True)
class AnchoredText:
    """A text, and the anchors that map it to its source."""

    text: str
    anchors: Anchors

    def mapped_through(self, source: AnchoredText) -> AnchoredText:
        """The same text, mapped to the source of ``source``, which it was made from."""
        pairs: list[tuple[int, int]] = []
        ends = (*self.anchors.text[1:], len(self.text))
        limits = (*self.anchors.source[1:], len(source.text))
        outer = source.anchors
        for start, end, middle, limit in zip(
            self.anchors.text, ends, self.anchors.source, limits, strict=True
        ):
            pairs.append((start, outer.source_position(middle)))
            first = bisect_right(outer.text, middle)
            last = bisect_left(outer.text, min(middle + end - start, limit))
            pairs += [
                (start + turn - middle, place)
                for turn, place in zip(outer.text[first:last], outer.source[first:last], strict=True)
            ]
        return AnchoredText(self.text, Anchors(*zip(*pairs, strict=True)))


class TextBuilder:
    """Assembles a text from pieces of a source and inserted words; source positions must never decrease."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._n_characters = 0
        self._text_anchors = [0]
        self._source_anchors = [0]

    def __len__(self) -> int:
        return self._n_characters

    def insert(self, words: str, at: int | None = None) -> None:
        """Add words that map to the position ``at`` of the source, or to where the last piece ended."""
        if at is not None:
            self._anchor(self._n_characters, at)
        self._append(words)

    def copy(self, piece: str, start: int, end: int) -> None:
        """Add ``start:end`` of the source: its characters, or what they mean."""
        self._anchor(self._n_characters, start)
        self._append(piece)
        self._anchor(self._n_characters, end)

    def add(self, part: AnchoredText) -> None:
        """Add a whole text that maps to the same source."""
        base = self._n_characters
        for text_anchor, source_anchor in zip(part.anchors.text, part.anchors.source, strict=True):
            self._anchor(base + text_anchor, source_anchor)
        self._append(part.text)

    def begin_paragraph(self) -> None:
        """Leave a blank line, unless nothing stands above."""
        self.insert("\n\n" if self._n_characters else "")

    def build(self) -> AnchoredText:
        """All of it so far."""
        return AnchoredText(
            "".join(self._parts), Anchors(tuple(self._text_anchors), tuple(self._source_anchors))
        )

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._n_characters += len(text)

    def _anchor(self, position: int, place: int) -> None:
        """Record where the text continues, unless it would continue there anyway."""
        if self._text_anchors[-1] == position:
            self._source_anchors[-1] = place
        elif place - self._source_anchors[-1] != position - self._text_anchors[-1]:
            self._text_anchors.append(position)
            self._source_anchors.append(place)


class DocumentBuilder(TextBuilder):
    """Assembles a document from a source."""

    def __init__(self, source: Source, format_: str) -> None:
        super().__init__()
        self.source = source
        self.format = format_
        self.title = ""
        self.language = ""
        self.fields = Fields()
        self.headings: list[Heading] = []
        self.pages: list[int] = []
        self.blocks: list[Block] = []
        self.notes: list[str] = []

    def add_part(self, part: AnchoredText, parsed: Document | None = None) -> None:
        """Add a whole text that maps to the same source, with the headings and blocks found in it."""
        start = len(self)
        self.add(part)
        if parsed:
            self.headings += [replace(heading, start=start + heading.start) for heading in parsed.headings]
            self.blocks += [(start + first, start + last) for first, last in parsed.blocks]

    def document(self) -> Document:
        """The document that was assembled."""
        built = self.build()
        return Document(
            self.source.path,
            built.text,
            self.format,
            replace(self.source.origin, anchors=built.anchors),
            title=" ".join(self.title.split())[:MAX_TITLE],
            headings=tuple(self.headings),
            notes=(*self.source.notes, *self.fields.notes(), *self.notes),
            language=self.language,
            fields=self.fields.found(),
            pages=tuple(self.pages),
            blocks=outermost_first(self.blocks),
        )
