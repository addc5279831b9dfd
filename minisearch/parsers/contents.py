"""What the sandbox process extracts from one file: pages of blocks, properties, and notes.

Only plain values, because they travel from one process to another as JSON.  `extracted` turns them into a
``Document`` and checks every value first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Requests and answers travel in frames: the length (8 bytes, big endian), then as many bytes.
FRAME = struct.Struct(">Q")
MAX_PROPERTY = 2_000  # characters; a title or a list of keywords is never longer


class ExtractionError(Exception):
    """The file gives no text; the message is the reason, for the user."""


class DamagedPart(ExtractionError):
    """One part of the file cannot be read; other parts may be readable."""


@dataclass(slots=True)
class Page:
    """Blocks in reading order, as JSON objects of three kinds: text, HTML, and rows of a table."""

    blocks: list[dict[str, Any]] = field(default_factory=list)

    def add_text(self, text: str, headings: list[tuple[int, int, str]] | None = None) -> None:
        """Add plain text; a heading is its position in the text, its level, and its title."""
        self.blocks.append({"text": text, "headings": headings or []})

    def add_html(self, html: str) -> None:
        """Add HTML, which the HTML parser reads later."""
        self.blocks.append({"html": html})

    def add_rows(self, rows: list[list[str]]) -> None:
        """Add a table, row by row."""
        self.blocks.append({"rows": rows})


@dataclass(slots=True)
class Contents:
    """Everything extracted from one file; ``has_pages`` is true where readers know its pages by number."""

    has_pages: bool
    pages: list[Page] = field(default_factory=list)
    title: str = ""
    properties: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_property(self, name: str, value: object) -> None:
        """Add a property of the file, unless it is empty."""
        text = " ".join(str(value or "").split())[:MAX_PROPERTY]
        if text:
            self.properties.append((name, text))

    def add_keywords(self, value: object) -> None:
        """Add keywords that are separated by commas or semicolons."""
        for word in str(value or "")[:MAX_PROPERTY].replace(";", ",").split(","):
            self.add_property("keywords", word)

    def note_unreadable(self, name: str) -> None:
        """Note that a part cannot be read."""
        self.notes.append(f"{name} in it cannot be read and is left out")

    def note_missing(self, n_missing: int, what: str) -> None:
        """Note how many parts of a kind ("slides") the file names but does not hold."""
        if n_missing:
            self.notes.append(f"{n_missing} of its {what} {'is' if n_missing == 1 else 'are'} missing")

    def add_pages(self, names: Iterable[tuple[str, str]], fill: Callable[[Page, str], None]) -> None:
        """Add a page for each part, given its title ("" for none) and its name ("" for a missing part).

        ``fill`` adds the part's blocks.  A damaged part is left out with a note; DamagedPart where no part
        could be read and at least one is damaged.
        """
        n_read = 0
        damage: DamagedPart | None = None
        for title, name in names:
            page = Page()
            self.pages.append(page)
            if title:
                page.add_text(title, [(0, 1, title)])
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
        """Everything as plain values for JSON."""
        return {
            "has_pages": self.has_pages,
            "pages": [page.blocks for page in self.pages],
            "title": self.title,
            "properties": self.properties,
            "notes": self.notes,
        }


def counted(n: int, singular: str, plural: str) -> str:
    """A number with the right form of its noun.

    >>> counted(1, "file is", "files are"), counted(2_000, "file is", "files are")
    ('1 file is', '2,000 files are')
    """
    return f"{n:,} {singular if n == 1 else plural}"
