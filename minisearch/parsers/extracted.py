"""Formats that are no text (PDF, Office, EPUB): bytes in, as a Document what a process took out of them.

The answer of that process is checked here value by value, since a file may have taken it over.  Its pieces
of HTML go through the HTML reader, its tables are worded like those of other files, and pages are joined
with a blank line.  How a file is taken apart is `extract`'s, what that may cost the sandbox's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from minisearch.errors import IngestError
from minisearch.parsers.building import MAX_TITLE, first_title
from minisearch.parsers.fields import Fields
from minisearch.parsers.html import read_html
from minisearch.parsers.sandbox import NONSENSE, Sandbox
from minisearch.parsers.source import UNFIT, Source
from minisearch.parsers.tables import SAMPLE_ROWS, header_of, labels_of, row_text
from minisearch.types import Document, Heading, Origin

MAX_NOTES = 20
MAX_LEVEL = 9


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is no text: its name, that for people, and the libraries any one of which reads it."""

    name: str
    label: str
    libraries: tuple[str, ...] = ()
    extra: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether a library that reads it is installed."""
        return not self.libraries or any(map(importlib.util.find_spec, self.libraries))


PDF = Format("pdf", "PDF", ("pypdfium2", "pypdf"), "pdf")
DOCX = Format("docx", "DOCX")
PPTX = Format("pptx", "PPTX")
XLSX = Format("xlsx", "XLSX")
EPUB = Format("epub", "EPUB")
SUFFIXES = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".docm": DOCX,
    ".pptx": PPTX,
    ".pptm": PPTX,
    ".ppsx": PPTX,
    ".xlsx": XLSX,
    ".xlsm": XLSX,
    ".epub": EPUB,
}

# One for all threads, since a process for each file would cost more than reading it; started when needed.
SANDBOX = Sandbox()


def reader(format_: Format, sandbox: Sandbox = SANDBOX) -> Callable[[str, bytes], Document]:
    """The reader of a format: path and bytes to a Document; it raises IngestError with the bare reason."""

    def read(path: str, data: bytes) -> Document:
        if not format_.is_readable:
            install = f"pip install 'minisearch[{format_.extra}]'"
            raise IngestError(f"{format_.label} needs {format_.libraries[0]}: {install}")
        contents = sandbox.take(format_.name, format_.label, data)
        try:
            return _document(path, format_.name, contents)
        except (KeyError, TypeError, ValueError) as error:
            raise IngestError(NONSENSE) from error

    return read


EXTRACTED = {suffix: reader(format_) for suffix, format_ in SUFFIXES.items()}


def _document(path: str, format_: str, contents: dict[str, Any]) -> Document:
    """The Document that these contents make; KeyError, TypeError or ValueError where they make no sense."""
    body = _Body()
    for blocks in _list(contents["pages"]):
        body.begin_page()
        for block in _list(blocks):
            body.add(block)
    text = "".join(body.parts)
    title = _text(contents["title"]).strip()[:MAX_TITLE]
    fields = Fields()
    if title:
        fields.add("title", title)
    for name, value in _list(contents["properties"]):
        fields.add(_text(name), _text(value))
    notes = [_text(note)[:MAX_TITLE] for note in _list(contents["notes"])][:MAX_NOTES]
    return Document(
        path,
        text,
        format_,
        Origin(text, is_extract=True),
        title=title or (first_title(tuple(body.headings)) if format_ in ("docx", "epub") else ""),
        headings=tuple(body.headings),
        notes=(*notes, *fields.notes()),
        fields=fields.found(),
        pages=tuple(body.pages) if contents["has_pages"] is True else (),
        blocks=tuple(body.blocks),
    )


class _Body:
    """A text under way: its pieces with a blank line between, and where pages, headings and blocks are."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.pages: list[int] = []
        self.headings: list[Heading] = []
        self.blocks: list[tuple[int, int]] = []
        self._n_characters = 0
        self._gap = ""

    def begin_page(self) -> None:
        self._append("\n\n" if self.pages else "")
        self._gap = ""
        self.pages.append(self._n_characters)

    def add(self, block: dict[str, Any]) -> None:
        if "html" in block:
            html = _text(block["html"])
            document = read_html(Source("", html, Origin(html), ()))
            self._put(document.text, document.headings, document.blocks)
        elif "rows" in block:
            rows = [[_text(cell) for cell in _list(row)] for row in _list(block["rows"])]
            for row in _worded(rows):
                self._put(row, (), [(0, len(row))])
        else:
            headings = (
                Heading(int(start), int(level), _text(title)) for start, level, title in block["headings"]
            )
            self._put(_text(block["text"]), headings)

    def _put(self, text: str, headings: Iterable[Heading], blocks: Iterable[tuple[int, int]] = ()) -> None:
        if not text:
            return
        self._append(self._gap)
        last = 0
        for heading in headings:
            if not (last <= heading.start <= len(text) and heading.level >= 1):
                raise ValueError("a heading outside its page")
            last = heading.start
            level = min(heading.level, MAX_LEVEL)
            self.headings.append(Heading(self._n_characters + last, level, heading.title[:MAX_TITLE]))
        self.blocks += [(self._n_characters + start, self._n_characters + end) for start, end in blocks]
        self._append(text)
        self._gap = "\n\n"

    def _append(self, text: str) -> None:
        self.parts.append(text)
        self._n_characters += len(text)


def _worded(rows: list[list[str]]) -> list[str]:
    """A table as those of other files are: each row a paragraph that says what its cells are.

    Of a form, whose rows begin with "Name:", the rows are "Name: Ada".
    """
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    labels = labels_of(header_of(rows[:SAMPLE_ROWS]))
    texts = (row_text(labels if number else [], row) for number, row in enumerate(rows))
    return [text.replace(":; ", ": ") for text in texts if text]


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return UNFIT.sub("\ufffd", value)
