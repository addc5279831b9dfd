"""The parser for each file format: a path or its bytes go in, a `Document` comes out.

The suffix names the format (see `formats`), and a format has its parser here.  Parsers of text formats
(``READERS``) get a decoded `Source` and find title, headings and fields.  Binary formats (``EXTRACTED``) are
taken apart in the sandbox process; a file may have taken that process over, so every value of its answer is
checked here.  Any other file is plain text, unless its first bytes say that it is not.

Whether a file is wanted or has changed is left to others.  The message of an IngestError is only the reason
("binary file"): the caller knows the path.
"""

from __future__ import annotations

import importlib.util
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import metadata
from typing import Any

from minisearch.errors import IngestError, install_line
from minisearch.formats import format_of, suffix_of
from minisearch.parsers.cards import read_cards
from minisearch.parsers.contents import text_piece
from minisearch.parsers.email_ import read_email
from minisearch.parsers.grammars import MODULES
from minisearch.parsers.html import read_html
from minisearch.parsers.json_ import read_json, read_jsonl
from minisearch.parsers.markdown import read_markdown
from minisearch.parsers.markup import read_markup
from minisearch.parsers.notebook import read_notebook
from minisearch.parsers.rst import read_rst
from minisearch.parsers.sandbox import NONSENSE, Limits, Sandbox
from minisearch.parsers.scans import ocr_problem, texts_of_scans
from minisearch.parsers.source import (
    MAX_TITLE,
    DocumentBuilder,
    Source,
    checked_headings,
    decode,
    read_text,
    top_title,
    without_terminal_codes,
)
from minisearch.parsers.tables import read_table, row_texts
from minisearch.text import count, storable
from minisearch.types import Document, Heading, Origin, TextFormat

# --- source code -------------------------------------------------------------------------------------------
# A tree-sitter grammar finds the definitions, in the sandbox process: it is native code, and a source file
# may be made to crash it or to keep it busy for hours.  Where the grammar is not installed or fails, there
# are no headings, and the chunker cuts at lines.

# A megabyte of ordinary source takes half a second and 50 MB.
CODE_SANDBOX = Sandbox(Limits(wall_s=60, cpu_s=5))


def read_code(source: Source, sandbox: Sandbox = CODE_SANDBOX) -> Document:
    """The file unchanged, with headings where the grammar of its language is installed."""
    document = source.unchanged("code")
    grammar = grammar_of(source.path)
    if grammar and is_installed(grammar) and source.text.strip():
        try:
            outline = sandbox.extract("grammars", f"{grammar} source", f"{grammar}\n{source.text}".encode())
            return replace(document, headings=tuple(checked_headings(outline["parts"], source.text)))
        except (KeyError, TypeError, ValueError):  # the process may be compromised
            return source.unchanged("code", f"cut at lines, not at functions: {NONSENSE}")
        except IngestError as error:
            return source.unchanged("code", f"cut at lines, not at functions: {error}")
    return document


def grammar_of(path: str) -> str:
    """The grammar for a file of this name, installed or not; "" where there is none."""
    format_ = format_of(path)
    name = format_.grammar or format_.language
    return name if name in MODULES else ""


def is_cut_at_lines(path: str) -> bool:
    """Whether a file of this name would be cut at functions if its grammar were installed."""
    grammar = grammar_of(path)
    return bool(grammar) and not is_installed(grammar)


@cache
def is_installed(grammar: str) -> bool:
    """Whether this grammar can be used here."""
    return all(importlib.util.find_spec(module) for module in ("tree_sitter", MODULES[grammar]))


# --- all formats -------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[Source], Document]] = {
    "text": read_text,
    "code": read_code,
    "markdown": read_markdown,
    "rst": read_rst,
    "markup": read_markup,
    "html": read_html,
    "table": read_table,
    "json": read_json,
    "jsonl": read_jsonl,
    "notebook": read_notebook,
    "email": read_email,
    "cards": read_cards,
}

# The first bytes of formats that are refused as text, the format whose parser takes them if there is one, and
# the reason.
MAGIC = (
    (b"%PDF-", "", "a PDF by another name: call it .pdf"),
    (b"{\\rtf", "rtf", "an RTF file by another name: call it .rtf"),
)
# The same of formats that nothing reads, for files whose suffix has no advice.
BINARY = (
    (
        b"PK\x03\x04",
        "a ZIP archive: unpack it to index its files; a document needs its own suffix (.docx, .epub)",
    ),
    (b"7z\xbc\xaf", "a 7z archive: unpack it to index its files"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it to index its files"),
    (b"\x1f\x8b", "a gzip archive: unpack it to index its files"),
    (b"BZh", "a bzip2 archive: unpack it to index its files"),
    (b"\xfd7zXZ", "an xz archive: unpack it to index its files"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old or encrypted Office document (save it as .docx, .xlsx or .pdf) or a message (call it .msg)",
    ),
    (b"\x89PNG", "binary file (PNG image)"),
    (b"\xff\xd8\xff", "binary file (JPEG image)"),
    (b"GIF8", "binary file (GIF image)"),
    (b"\x7fELF", "binary file (ELF program)"),
)
# What to do with binary files of these suffixes.
ADVICE = {
    ".doc .dot": "old Word format: save it as .docx",
    ".xls .xlt .xlsb": "old or binary Excel format: save it as .xlsx",
    ".ppt .pps .pot": "old PowerPoint format: save it as .pptx",
    ".pages": "a document of Apple's iWork: export it as .docx or .pdf",
    ".key": "a document of Apple's iWork: export it as .pptx or .pdf",
    ".numbers": "a document of Apple's iWork: export it as .xlsx or .pdf",
    ".one": "OneNote section: export it as .docx or .pdf",
    ".pub .vsd .vsdx .wpd .wps .djvu": "not a format that is read: export it as .pdf",
    ".mobi .azw .azw3": "Kindle book: convert it to .epub",
    ".gif .heic .jpeg .jpg .png .tif .tiff .webp": "image: to read its words, save it as .pdf for --ocr",
    ".aac .flac .m4a .mp3 .ogg .opus .wav .wma": "sound: only a transcript as text can be indexed",
    ".avi .mkv .mov .mp4 .webm .wmv": "video: only a transcript as text can be indexed",
}
ADVICE_BY_SUFFIX = {suffix: advice for suffixes, advice in ADVICE.items() for suffix in suffixes.split()}

# In the first entry of a ZIP archive, with the kind of the document after it.
OPEN_DOCUMENT = b"mimetypeapplication/vnd.oasis.opendocument."


def read_bytes(path: str) -> bytes:
    """All bytes of a regular file.

    Raises IngestError when it cannot be read, with the OSError, if any, as its ``__cause__``.  An IngestError
    of ``parse``, in contrast, is about the content.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read()
    except OSError as error:
        raise IngestError(f"cannot be read: {error.strerror or error}") from error
    raise IngestError("not a regular file")


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe would block until someone writes to it; a file that was replaced by a link since it was
    # found may lead anywhere.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def parse(path: str, data: bytes, *, uses_ocr: bool = False) -> Document:
    """The document in these bytes; the suffix of the path chooses the reader.

    With ``uses_ocr`` the words of scanned pages are recognised, which takes seconds a page.
    Raises IngestError when they are binary, or not in the encoding that their byte-order mark names.
    """
    format_ = format_of(path)
    if extracted := EXTRACTED.get(format_.name):
        document = extracted.read(path, data, uses_ocr=uses_ocr)
    else:
        if data.startswith(b"PK") and OPEN_DOCUMENT in data[:128]:
            raise IngestError("an OpenDocument file by another name: call it .odt, .ods or .odp")
        for magic, own, reason in MAGIC:
            if data.startswith(magic) and own != format_.name:
                raise IngestError(reason)
        advice = ADVICE_BY_SUFFIX.get(suffix_of(path), "")
        for magic, reason in BINARY:
            if data.startswith(magic):
                raise IngestError(advice or reason)
        try:
            source = decode(path, data, format_.name)
        except IngestError as error:
            raise IngestError(advice or str(error)) from error
        document = source.in_file(READERS[format_.name](source))
    return without_terminal_codes(replace(document, language=document.language or format_.language))


def parse_text(name: str, text: str, format_: TextFormat) -> Document:
    """The document in a text from memory."""
    text = storable(text)
    document = READERS[format_](Source(name, text, Origin(text)))
    return without_terminal_codes(replace(document, language="markdown" if format_ == "markdown" else ""))


def reading_key(path: str, *, uses_ocr: bool) -> list[str]:
    """What decides how a file of this name is read: its suffix, unless plain text, a missing grammar, OCR."""
    name = format_of(path).name
    key = [suffix_of(path)] * (name != "text") + ["at lines"] * is_cut_at_lines(path)
    return key + ["with OCR"] * (uses_ocr and name == "pdf")


@lru_cache(maxsize=1)
def installed_libraries() -> tuple[str, ...]:
    """The installed libraries that parsers use, as "name version": they decide what can be read."""
    found = []
    for name in sorted({"tree-sitter", *(format_.library for format_ in EXTRACTED.values())} - {""}):
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return tuple(found)


# --- binary formats ----------------------------------------------------------------------------------------

MAX_NOTES = 20
MAX_LINE = 1 << 31  # more than any file has


# One for all threads, because a process for each file would cost more than reading it; starts with the first.
SANDBOX = Sandbox()


@dataclass(frozen=True, slots=True)
class Extracted:
    """A binary format: the module that extracts it, and the library that this needs.

    ``has_heading_title`` where the one outermost heading is the title of a document without one.
    """

    name: str
    library: str = ""
    has_heading_title: bool = False
    sandbox: Sandbox = SANDBOX

    def read(self, path: str, data: bytes, *, uses_ocr: bool = False) -> Document:
        """The document in these bytes; IngestError with the reason where there is none."""
        label = self.name.upper()
        if self.library and not importlib.util.find_spec(self.library):
            raise IngestError(f"{label} needs {self.library}: {install_line(self.name)}")
        contents = self.sandbox.extract(self.name, label, data)
        try:
            if scanned := _list(contents.get("scanned", [])):
                self._read_scans(contents, scanned, data, uses_ocr=uses_ocr)
            document = _document(path, self.name, contents)
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise IngestError(NONSENSE) from error
        if document.title or not self.has_heading_title:
            return document
        return replace(document, title=top_title(document.headings))

    def _read_scans(
        self, contents: dict[str, Any], scanned: list[int], data: bytes, *, uses_ocr: bool
    ) -> None:
        """Add the words of scanned pages, and notes; IngestError where no page has any."""
        pages = _list(contents["pages"])
        problem = ocr_problem() if uses_ocr else "--ocr reads them"
        texts = [""] * len(scanned) if problem else [*texts_of_scans(data, scanned, self.sandbox)]
        for place, text in zip(scanned, texts, strict=True):
            pages[place].insert(0, text_piece(text))
        n_read = sum(map(bool, texts))
        why = f"without text, probably scanned: {problem or 'no words were recognised'}"
        if not any(_text(piece["text"]) for page in pages for piece in page):
            raise IngestError(f"{count(len(pages), 'page')} {why}")
        for n, what in ((n_read, "read by OCR"), (len(scanned) - n_read, why)):
            if n:
                contents["notes"].append(f"{n:,} of {count(len(pages), 'page')} {what}")


EXTRACTED = {
    "pdf": Extracted("pdf", library="pypdfium2", has_heading_title=True),
    "docx": Extracted("docx", has_heading_title=True),
    "pptx": Extracted("pptx"),
    "xlsx": Extracted("xlsx"),
    "epub": Extracted("epub", has_heading_title=True),
    "odf": Extracted("odf", has_heading_title=True),
    "rtf": Extracted("rtf", has_heading_title=True),
    "msg": Extracted("msg"),
}


def _document(path: str, format_: str, contents: dict[str, Any]) -> Document:
    """The Document with these contents; KeyError, TypeError or ValueError where they make no sense."""
    notes = [_text(note)[:MAX_TITLE] for note in _list(contents["notes"])][:MAX_NOTES]
    builder = _Builder(Source(path, "", Origin(""), tuple(notes)), format_)
    builder.title = _text(contents["title"])
    if builder.title.strip():
        builder.fields.add("title", builder.title)
    for name, value in _list(contents["properties"]):
        builder.fields.add(_text(name), _text(value))
    for page in _list(contents["pages"]):
        builder.begin_page()
        for piece in _list(page):
            builder.add_piece(piece)
    document = builder.document()
    pages = document.pages if contents["has_pages"] is True else ()
    lines = tuple(builder.lines.items()) if format_of(path).line else ()
    return replace(document, origin=Origin(document.text, is_extract=True), pages=pages, lines=lines)


class _Builder(DocumentBuilder):
    """Adds pages and the pieces that `contents` describes."""

    _gap = ""  # before the next piece

    def __init__(self, source: Source, format_: str) -> None:
        super().__init__(source, format_)
        self.lines: dict[int, int] = {}  # where a paragraph or row begins, and its number

    def begin_page(self) -> None:
        self.insert("\n\n" if self.pages else "")
        self._gap = ""
        self.pages.append(len(self))
        self.lines[len(self)] = 1

    def add_piece(self, piece: dict[str, Any]) -> None:
        if "group" in piece:
            self._gap = "\n" if piece["kind"] == "next item" else self._gap
            start = len(self) + len(self._gap)
            for inner in _list(piece["group"]):
                self.add_piece(inner)
            if start < len(self):
                self.blocks.append((start, len(self)))
        elif "html" in piece:
            document = read_html(Source.of_text(_text(piece["html"])))
            self._add_text(document.text, document.headings, document.blocks)
        elif "rows" in piece:
            rows = [[_text(cell) for cell in _list(row)] for row in _list(piece["rows"])]
            lines = _list(piece.get("lines", [0] * len(rows)))
            for row, line in zip(row_texts(rows), lines, strict=True):
                self._add_text(row, (), [(0, len(row))], line=line)
        else:
            text = _text(piece["text"])
            self._add_text(text, checked_headings(piece["headings"], text), line=piece.get("line", 0))

    def _add_text(
        self, text: str, headings: Iterable[Heading], blocks: Iterable[tuple[int, int]] = (), line: int = 0
    ) -> None:
        if type(line) is not int or not 0 <= line <= MAX_LINE:
            raise TypeError("not the number of a line")
        if not text:
            return
        self.insert(self._gap)
        base = len(self)
        if line:
            self.lines[base] = line
        self.headings += [replace(heading, start=base + heading.start) for heading in headings]
        self.blocks += [(base + start, base + end) for start, end in blocks]
        self.insert(text)
        self._gap = "\n\n"


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return storable(value)
