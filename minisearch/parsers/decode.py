"""Bytes to characters, without losing the way back.

A byte-order mark decides; else strict UTF-8; else, when no two bytes of the file make a UTF-8 character
together, it is taken for a file of the Windows-1252 years; else it is UTF-8 with damage.  A byte that
has no meaning becomes one U+FFFD in the text, while ``Origin.source`` remembers which byte it was.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from minisearch.errors import IngestError
from minisearch.types import Origin

SNIFF_BYTES = 8192

# Longest first: the mark of UTF-32 begins with the mark of UTF-16.
BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Binary formats a user may have taken for documents; any other betrays itself by a NUL.
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

UNFIT = re.compile("[\0\ud800-\udfff]")  # SQLite and tokenizers take neither NUL nor half a character
WIDE = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """A decoded file: ``text`` has ``origin.source``'s characters, one for one, the unfit ones as U+FFFD."""

    path: str
    text: str
    origin: Origin
    notes: tuple[str, ...]


def decode(path: str, data: bytes) -> Source:
    """The characters of a file.

    Raises IngestError when it is binary, or not in the encoding that its byte-order mark names.
    """
    origin = _origin(data)
    notes = []
    n_undecodable = sum("\udc80" <= character <= "\udcff" for character in UNFIT.findall(origin.source))
    if origin.encoding == "cp1252":
        notes.append("not UTF-8; read as Windows-1252")
    if n_undecodable:
        n_bytes = "1 byte is" if n_undecodable == 1 else f"{n_undecodable} bytes are"
        notes.append(f"{n_bytes} not valid {'UTF-8' if origin.encoding == 'utf-8' else 'Windows-1252'}")
    return Source(path, UNFIT.sub("\ufffd", origin.source), origin, tuple(notes))


def _origin(data: bytes) -> Origin:
    for bom, encoding in BOMS:
        if data.startswith(bom):
            try:
                return Origin(data[len(bom) :].decode(encoding, _errors(encoding)), encoding, len(bom))
            except UnicodeDecodeError as error:
                raise IngestError(f"marked as {encoding.upper()}, but is not: {error.reason}") from error
    for magic, reason in MAGIC:
        if data.startswith(magic):
            raise IngestError(reason)
    if b"\0" in data[:SNIFF_BYTES]:
        raise IngestError("binary file")
    source = data.decode("utf-8", "surrogateescape")
    if UNFIT.search(source.replace("\0", "")) and not WIDE.search(source):
        return Origin(data.decode("cp1252", "surrogateescape"), "cp1252")
    return Origin(source)


def _errors(encoding: str) -> str:
    # An escaped byte can be put back into UTF-8, but not into units of two or four bytes.
    return "surrogateescape" if encoding == "utf-8" else "strict"


def newlines(text: str) -> str:
    r"""The text with every line break written ``\n``, each character in its old place.

    >>> newlines("a\r\nb\rc")
    'a \nb\nc'
    """
    return text.replace("\r\n", " \n").replace("\r", "\n") if "\r" in text else text
