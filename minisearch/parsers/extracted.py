"""Binary formats (PDF, Office, EPUB): bytes come in, a `Document` comes out.

The sandbox process extracts the contents.  A file may have taken that process over, so every value of its
answer is checked here.  Then blocks are joined with blank lines, rows of tables become text, and HTML goes
through the HTML parser.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from minisearch.errors import IngestError
from minisearch.parsers.decode import UNFIT, Source
from minisearch.parsers.fields import Fields
from minisearch.parsers.html import read_html
from minisearch.parsers.markdown import MAX_TITLE, first_title
from minisearch.parsers.sandbox import NONSENSE, Sandbox
from minisearch.parsers.tables import SAMPLE_ROWS, header_of, labels_of, row_text
from minisearch.types import Document, Heading, Origin

MAX_NOTES = 20
MAX_LEVEL = 9


@dataclass(frozen=True, slots=True)
class Format:
    """A binary format: the module that extracts it, its name in messages, and the library it needs."""

    module: str
    label: str
    library: str = ""
    extra: str = ""


PDF = Format("pdf", "PDF", "pypdfium2", "pdf")
DOCX = Format("docx", "DOCX")
PPTX = Format("pptx", "PPTX")
XLSX = Format("xlsx", "XLSX")
EPUB = Format("epub", "EPUB")

# One for all threads, because a process for each file would cost more than reading it; starts with the first.
SANDBOX = Sandbox()


def reader(format_: Format, sandbox: Sandbox = SANDBOX) -> Callable[[str, bytes], Document]:
    """The reader of a format, from a path and bytes to a Document; it raises IngestError with the reason."""

    def read(path: str, data: bytes) -> Document:
        if format_.library and not importlib.util.find_spec(format_.library):
            install = f"pip install 'minisearch[{format_.extra}]'"
            raise IngestError(f"{format_.label} needs {format_.library}: {install}")
        contents = sandbox.extract(format_.module, format_.label, data)
        try:
            return _document(path, format_.module, contents)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise IngestError(NONSENSE) from error

    return read


EXTRACTED = {
    ".pdf": reader(PDF),
    **dict.fromkeys((".docx", ".docm"), reader(DOCX)),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), reader(PPTX)),
    **dict.fromkeys((".xlsx", ".xlsm"), reader(XLSX)),
    ".epub": reader(EPUB),
}


def _document(path: str, format_: str, contents: dict[str, Any]) -> Document:
    """The Document with these contents; KeyError, TypeError or ValueError where they make no sense."""
    body = _Body()
    for page in _list(contents["pages"]):
        body.begin_page()
        for block in _list(page):
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
        blocks=tuple(sorted(set(body.blocks), key=lambda block: (block[0], -block[1]))),
    )


class _Body:
    """A text under construction, with the positions of its pages, headings and blocks."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.pages: list[int] = []
        self.headings: list[Heading] = []
        self.blocks: list[tuple[int, int]] = []
        self._n_characters = 0
        self._gap = ""  # before the next block

    def begin_page(self) -> None:
        self._append("\n\n" if self.pages else "")
        self._gap = ""
        self.pages.append(self._n_characters)

    def add(self, block: dict[str, Any]) -> None:
        """Add one of the blocks that `contents` describes."""
        if "group" in block:
            self._gap = "\n" if block["kind"] == "next item" else self._gap
            start = self._n_characters + len(self._gap)
            for inner in _list(block["group"]):
                self.add(inner)
            if start < self._n_characters:
                self.blocks.append((start, self._n_characters))
        elif "html" in block:
            html = _text(block["html"])
            document = read_html(Source("", html, Origin(html), ()))
            self._put(document.text, document.headings, document.blocks)
        elif "rows" in block:
            rows = [[_text(cell) for cell in _list(row)] for row in _list(block["rows"])]
            for row in _row_texts(rows):
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


def _row_texts(rows: list[list[str]]) -> list[str]:
    """The rows of a table as "header: cell; header: cell".

    A form has no header: its rows begin with "Name:", and read "Name: Ada".
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
