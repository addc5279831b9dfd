"""Decode a file: bytes go in, a `Source` comes out, with an `Origin` that gives the bytes back.

A byte-order mark decides the encoding.  Without one the file is UTF-8 where it is valid, or where any two
bytes of it form a UTF-8 character; else Windows-1252.  An invalid byte becomes one U+FFFD in the text, while
``Origin.source`` keeps the byte.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from minisearch.errors import IngestError
from minisearch.types import Document, Origin

SNIFF_BYTES = 8192

# Longest first: the mark of UTF-32 begins with the mark of UTF-16.
BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Binary formats that a user may take for documents; most others contain a NUL byte.
MAGIC = (
    (b"%PDF-", "a PDF by another name: call it .pdf"),
    (b"PK\x03\x04", "a ZIP archive; of these .docx, .pptx, .xlsx and .epub are read"),
    (b"\xd0\xcf\x11\xe0", "an old or encrypted Office document: save it as .docx, .pptx, .xlsx or .pdf"),
    (b"{\\rtf", "RTF is not read: save it as .docx or .pdf"),
    (b"\x89PNG", "binary file (PNG image)"),
    (b"\xff\xd8\xff", "binary file (JPEG image)"),
    (b"GIF8", "binary file (GIF image)"),
    (b"\x1f\x8b", "binary file (gzip)"),
    (b"\x7fELF", "binary file (ELF program)"),
)

UNFIT = re.compile("[\0\ud800-\udfff]")  # SQLite and tokenizers accept neither NUL nor lone surrogates
NOT_ASCII = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")


def fit(text: str) -> str:
    """The text with U+FFFD in place of each character that cannot be stored."""
    return UNFIT.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class Source:
    """A decoded file: ``text`` is ``origin.source`` with U+FFFD for each character that cannot be stored."""

    path: str
    text: str
    origin: Origin
    notes: tuple[str, ...] = ()

    @classmethod
    def of_text(cls, text: str) -> Source:
        """A source for a text that lies inside another file."""
        return cls("", text, Origin(text))

    def unchanged(self, format_: str, *notes: str) -> Document:
        """The file as a document without structure, with more notes."""
        return Document(self.path, self.text, format_, self.origin, notes=(*self.notes, *notes))


def decode(path: str, data: bytes) -> Source:
    """The characters of a file.

    Raises IngestError when it is binary, or is not in the encoding that its byte-order mark names.
    """
    origin = _origin(data)
    notes = []
    n_undecodable = sum("\udc80" <= character <= "\udcff" for character in UNFIT.findall(origin.source))
    if origin.encoding == "cp1252":
        notes.append("not UTF-8; read as Windows-1252")
    if n_undecodable:
        n_bytes = "1 byte is" if n_undecodable == 1 else f"{n_undecodable} bytes are"
        notes.append(f"{n_bytes} not valid {'UTF-8' if origin.encoding == 'utf-8' else 'Windows-1252'}")
    return Source(path, fit(origin.source), origin, tuple(notes))


def _origin(data: bytes) -> Origin:
    for bom, encoding in BOMS:
        if data.startswith(bom):
            # A byte in a surrogate can be encoded back into UTF-8, but not into units of two or four bytes.
            errors = "surrogateescape" if encoding == "utf-8" else "strict"
            try:
                return Origin(data[len(bom) :].decode(encoding, errors), encoding, len(bom))
            except UnicodeDecodeError as error:
                raise IngestError(f"marked as {encoding.upper()}, but is not: {error.reason}") from error
    for magic, reason in MAGIC:
        if data.startswith(magic):
            raise IngestError(reason)
    if b"\0" in data[:SNIFF_BYTES]:
        raise IngestError("binary file")
    source = data.decode("utf-8", "surrogateescape")
    if UNFIT.search(source.replace("\0", "")) and not NOT_ASCII.search(source):
        return Origin(data.decode("cp1252", "surrogateescape"), "cp1252")
    return Origin(source)
