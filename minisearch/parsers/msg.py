"""Outlook messages (.msg): subject, people, date and body, out of the streams of an OLE file.

A property is a stream named by its number and its type, or eight bytes in a table if it is short.  The body
is taken in the first of three forms that has words: plain text, HTML, compressed RTF.  Attached messages
follow; other attachments are named in a note.
https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxmsg
"""

from __future__ import annotations

import datetime
import io
from collections import defaultdict
from contextlib import suppress
from typing import Any

import olefile

from minisearch.errors import listed
from minisearch.parsers import rtf
from minisearch.parsers.contents import Contents, ExtractionError, Pieces, paragraph, unnumbered

UNICODE, NARROW, BINARY, NUMBER, TIME = 0x001F, 0x001E, 0x0102, 0x0003, 0x0040
SUBJECT, BODY, HTML, RTF, DISPLAYED_TO, DISPLAYED_CC = 0x0037, 0x1000, 0x1013, 0x1009, 0x0E04, 0x0E03
NAME, SENDER, RECIPIENT_KIND, FILE_NAMES, MESSAGE = 0x3001, 0x0C1A, 0x0C15, (0x3707, 0x3704, 0x3001), 0x3701
SENDERS_ADDRESS, ADDRESS = (0x5D01, 0x5D02, 0x0C1F), (0x39FE, 0x3003)
TIMES = (0x0039, 0x0E06, 0x3007)  # sent, delivered, written
CODE_PAGE, CODE_PAGE_OF_HTML = 0x3FFD, 0x3FDE
KINDS = {1: "To", 2: "Cc"}
EPOCH = datetime.datetime(1601, 1, 1)
MAX_DEPTH, MAX_NAME = 20, 80
TABLE = "__properties_version1.0"
Path = tuple[str, ...]  # of a folder in the file


def extract(data: bytes) -> dict[str, Any]:
    """The message as one page, titled by its subject."""
    try:
        file = olefile.OleFileIO(io.BytesIO(data))
    except OSError as error:
        raise ExtractionError("damaged: not an OLE file, as Outlook's messages are") from error
    if not file.exists(TABLE):
        raise ExtractionError("not an Outlook message: save an old Office document as .docx, .xlsx or .pptx")
    contents = Contents(has_pages=False)
    left_out: list[str] = []
    inside: dict[Path, list[Path]] = defaultdict(list)
    for path in map(tuple, file.listdir(streams=False, storages=True)):
        inside[path[:-1]].append(path)
    message = _Folder(file, inside, (), 1252)
    contents.pages.append(_pieces(message, left_out))
    contents.add_property("title", message.text(SUBJECT))
    for name, value in _headers(message):
        contents.add_property(name.lower(), value)
    if left_out:
        contents.notes.append(f"attachments left out: {listed(left_out)}")
    return contents.as_json()


class _Folder:
    """A message, a recipient or an attachment: a folder of properties."""

    def __init__(
        self, file: olefile.OleFileIO, inside: dict[Path, list[Path]], path: Path, code_page: int
    ) -> None:
        self.file, self.inside, self.path = file, inside, path
        table = self._stream(TABLE)
        begin = 32 if not path else 24 if path[-1].startswith("__substg1.0_") else 8
        rows = (table[i : i + 16] for i in range(begin, len(table) - 15, 16))
        self._short = {int.from_bytes(row[:4], "little"): row[8:] for row in rows}
        self.code_page = self.number(CODE_PAGE) or code_page

    def folders(self, prefix: str) -> list[_Folder]:
        """The folders in it whose names begin like this."""
        found = (path for path in self.inside.get(self.path, []) if path[-1].startswith(prefix))
        return [_Folder(self.file, self.inside, path, self.code_page) for path in found]

    def text(self, *numbers: int) -> str:
        """The first of these properties that has words, in one of three forms."""
        for number in numbers:
            words = self.long(number, UNICODE).decode("utf-16-le", "replace")
            words = words or self.long(number, NARROW).decode(rtf.codec(self.code_page), "replace")
            if words.strip("\0 \t\r\n"):
                return words.replace("\0", "")
        return ""

    def long(self, number: int, kind: int) -> bytes:
        """The bytes of a long property; b"" where there is none."""
        return self._stream(f"__substg1.0_{number:04X}{kind:04X}")

    def number(self, number: int) -> int:
        """A short property; 0 where there is none."""
        return int.from_bytes(self._short.get(number << 16 | NUMBER, b"")[:4], "little")

    def time(self, number: int) -> str:
        """A short property as a time in ISO form; "" where there is none."""
        ticks = int.from_bytes(self._short.get(number << 16 | TIME, b""), "little")  # of 100 ns
        with suppress(OverflowError):
            if ticks:
                return (EPOCH + datetime.timedelta(microseconds=ticks // 10)).isoformat(" ", "seconds") + "Z"
        return ""

    def _stream(self, name: str) -> bytes:
        path = [*self.path, name]
        return bytes(self.file.openstream(path).read()) if self.file.exists(path) else b""


def _headers(message: _Folder) -> list[tuple[str, str]]:
    """The people and the date: names and values."""
    sender = _person(message.text(SENDER), message.text(*SENDERS_ADDRESS))
    found = [("From", sender)]
    people = [
        (KINDS.get(one.number(RECIPIENT_KIND), ""), _person(one.text(NAME), one.text(*ADDRESS)))
        for one in message.folders("__recip")
    ]
    for kind, displayed in (("To", DISPLAYED_TO), ("Cc", DISPLAYED_CC)):
        own = [person for of, person in people if of == kind] or message.text(displayed).split(";")
        found += [(kind, person.strip()) for person in own]
    found.append(("Date", next(filter(None, map(message.time, TIMES)), "")))
    return [(name, value) for name, value in found if value]


def _person(name: str, address: str) -> str:
    return f"{name} <{address}>" if name and "@" in address and name != address else name or address


def _pieces(message: _Folder, left_out: list[str]) -> Pieces:
    headers: dict[str, list[str]] = {"Subject": [message.text(SUBJECT)]}
    for name, value in _headers(message):
        headers.setdefault(name, []).append(value)
    pieces = paragraph("\n".join(f"{name}: {', '.join(of)}" for name, of in headers.items() if any(of)))
    pieces += _body(message)
    for attachment in message.folders("__attach"):
        inner = attachment.folders(f"__substg1.0_{MESSAGE:04X}")
        if inner and len(inner[0].path) < 2 * MAX_DEPTH:
            pieces += _pieces(inner[0], left_out)
        else:
            left_out.append(" ".join(attachment.text(*FILE_NAMES).split())[:MAX_NAME] or "unnamed")
    return pieces


def _body(message: _Folder) -> Pieces:
    if text := message.text(BODY):
        return paragraph(text)
    codec = rtf.codec(message.number(CODE_PAGE_OF_HTML) or message.code_page)
    if html := message.long(HTML, BINARY).decode(codec, "replace") or message.text(HTML):
        return [{"html": html}]
    packed = message.long(RTF, BINARY)
    pages: list[Pieces] = [[]]
    with suppress(ExtractionError):  # it is not RTF
        pages = rtf.extract(_unpacked(packed))["pages"] if packed else pages
    return unnumbered(pages[0])


# --- compressed RTF (MS-OXRTFCP) ---------------------------------------------------------------------------

DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
SIZE = 4096  # of the window that references lead back into


def _unpacked(data: bytes) -> bytes:
    """RTF from tokens: a byte, or twelve bits that lead back to words, and four bits with their number."""
    if data[8:12] == b"MELA":  # not compressed
        return data[16:]
    window = bytearray(DICTIONARY.ljust(SIZE, b"\0"))
    out, at, position = bytearray(), len(DICTIONARY), 16
    while position < len(data):
        flags, position = data[position], position + 1
        for bit in range(8):
            is_reference = flags >> bit & 1
            token = data[position : position + 1 + is_reference]
            position += len(token)
            start, n_more = divmod(int.from_bytes(token, "big"), 16) if is_reference else (at, -1)
            if not token or (is_reference and start == at % SIZE):
                return bytes(out)
            for i in range(n_more + 2):
                byte = window[(start + i) % SIZE] if is_reference else token[0]
                window[at % SIZE] = byte
                out.append(byte)
                at += 1
    return bytes(out)
