"""What is taken out of a file: pages of blocks, and what the file says of itself.

Plain values only, since they go from one process to another as JSON.  Turning them into a ``Document`` is the
reader's, on the other side; it believes none of them unchecked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

MAX_PROPERTY = 2_000  # characters; a title or a list of keywords is never longer


class Unreadable(Exception):
    """A file that gives no text; its message is the reason, for the user."""


class Damaged(Unreadable):
    """A part that cannot be read; what stands in others may be."""


class Plain(Protocol):
    """What goes back to the process that asked."""

    def plain(self) -> dict[str, Any]:
        """As values that JSON knows."""
        ...


@dataclass(slots=True)
class Page:
    """Blocks in reading order, each one of three kinds."""

    blocks: list[dict[str, Any]] = field(default_factory=list)

    def add_text(self, text: str, headings: list[tuple[int, int, str]] | None = None) -> None:
        """A text as it stands; a heading is its first character in it, its level and its words."""
        self.blocks.append({"text": text, "headings": headings or []})

    def add_html(self, html: str) -> None:
        """A text with its outline, still in HTML."""
        self.blocks.append({"html": html})

    def add_rows(self, rows: list[list[str]]) -> None:
        """A table, row by row."""
        self.blocks.append({"rows": rows})


@dataclass(slots=True)
class Contents:
    """Everything taken out of one file; ``has_pages`` where its pages are such to a person too."""

    has_pages: bool
    pages: list[Page] = field(default_factory=list)
    title: str = ""
    properties: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_property(self, name: str, value: object) -> None:
        """Something the file says of itself; empty values are left out."""
        text = " ".join(str(value or "").split())[:MAX_PROPERTY]
        if text:
            self.properties.append((name, text))

    def add_keywords(self, value: object) -> None:
        """Keywords as people write them, with commas or semicolons between."""
        for word in str(value or "")[:MAX_PROPERTY].replace(";", ",").split(","):
            self.add_property("keywords", word)

    def leave_out(self, name: str) -> None:
        """Note that a part cannot be read."""
        self.notes.append(f"{name} in it cannot be read and is left out")

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "has_pages": self.has_pages,
            "pages": [page.blocks for page in self.pages],
            "title": self.title,
            "properties": self.properties,
            "notes": self.notes,
        }
