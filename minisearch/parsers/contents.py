"""What the sandbox process extracts from one file: pages of pieces, properties, and notes.

Only plain values, because they travel from one process to another as JSON.  `registry` turns them into a
``Document`` and checks every value first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from minisearch.text import short_leaders

MAX_PROPERTY = 2_000  # characters; a title or a list of keywords is never longer

# One of: {"text", "headings", "line"}, with position, level and title of each heading; {"html"}, for the HTML
# parser; {"rows", "lines"}, a table of data; {"group", "kind"}, pieces that belong together: a "table", a
# "row", an "item", or a "next item" directly below an item.  A line is the number of the paragraph or row by
# which readers know the place, 0 for that of the piece before; without "lines" all rows have 0.
Piece = dict[str, Any]
Pieces = list[Piece]
Rows = list[list[str]]


class ExtractionError(Exception):
    """The file gives no text; the message is the reason, for the user."""


class DamagedPart(ExtractionError):
    """One part of the file cannot be read; other parts may be readable."""


def text_piece(text: str, headings: Sequence[tuple[int, int, str]] = (), line: int = 0) -> Piece:
    """Text with its headings, and the number of its paragraph or row."""
    return {"text": text if headings else short_leaders(text), "headings": headings, "line": line}


LEFT = "\x1f"  # the words of a cell that the one on its left covers; XML has no such character


def filled_down(rows: Sequence[Sequence[str | None]]) -> Rows:
    """The rows with the words of a cell over several rows in each; None is a cell that continues from above.

    They are not repeated below the first row, which may be half of a header of two rows.
    """
    filled: Rows = []
    for number, row in enumerate(rows):
        above = [*filled[-1], *[""] * len(row)] if number > 1 else [""] * len(row)
        filled.append([above[column] if words is None else words for column, words in enumerate(row)])
    return filled


SPACE = re.compile(r"[ \t\r\f]+")


def paragraph(words: str, level: int = 0, number: int = 0) -> Pieces:
    """The words as one piece without needless white space; a heading if it has a level; [] without words."""
    lines = (SPACE.sub(" ", line).strip() for line in words.split("\n"))
    text = "\n".join(filter(None, lines))
    headings = [(0, level, " ".join(text.split()))] if level else []
    return [text_piece(text, headings, number)] if text else []


def unnumbered(pieces: Pieces) -> Pieces:
    """The pieces without the numbers of paragraphs."""
    return [piece | {"line": 0} if "line" in piece else piece for piece in pieces]


def words_of(pieces: Pieces) -> str:
    """All words of the pieces."""
    lines = (
        piece["text"]
        if "text" in piece
        else "\n".join(map(" ".join, piece["rows"]))
        if "rows" in piece
        else words_of(piece["group"])
        for piece in pieces
    )
    return "\n".join(lines)


@dataclass(slots=True)
class Contents:
    """Everything extracted from one file.

    ``has_pages`` is true where readers know its pages by number.  ``scanned`` are the places of pages that
    show pictures but hold no text.
    """

    has_pages: bool
    pages: list[Pieces] = field(default_factory=list)
    title: str = ""
    properties: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)

    def add_property(self, name: str, value: object) -> None:
        """Add a property of the file, unless it is empty; the first title is the document's."""
        text = " ".join(str(value or "").split())[:MAX_PROPERTY]
        if name == "title":
            self.title = self.title or text
        elif text:
            self.properties.append((name, text))

    def note_unreadable(self, name: str) -> None:
        """Note that a part cannot be read."""
        self.notes.append(f"{name} in it cannot be read and is left out")

    def count(self, what: str, n: int) -> None:
        """Add a note such as "embedded files left out: 2", unless there are none."""
        if n:
            self.notes.append(f"{what}: {n:,}")

    def add_pages(self, names: Iterable[tuple[str, str]], fill: Callable[[Pieces, str], None]) -> None:
        """Add a page for each part, given its title ("" for none) and its name ("" for a missing part).

        ``fill`` adds the part's pieces.  A damaged part is left out with a note; DamagedPart where no part
        could be read and at least one is damaged.
        """
        n_read = 0
        damage: DamagedPart | None = None
        for title, name in names:
            page = paragraph(title, level=1)
            self.pages.append(page)
            if not name:
                continue
            try:
                fill(page, name)
                n_read += 1
            except DamagedPart as error:
                self.note_unreadable(name)
                damage = error
        if damage and not n_read:
            raise damage

    def as_json(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}
