"""Mail: headers as fields, the body and attached texts as text, mapped to the lines of the file.

Of a body in several forms the plain text is taken, else the HTML, through its reader.  Attached texts and
mails follow the body; other attachments are named in a note.

The standard library reads the headers of a part, bounded in length.  It does not divide a mail into parts: it
keeps no positions, calls itself for nested parts, and compares each line with all boundaries around it.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minisearch.parsers.encodings import SHIFTING, charset_of, detect, shown
from minisearch.parsers.html import read_html
from minisearch.parsers.source import AnchoredText, DocumentBuilder, Source, TextBuilder
from minisearch.text import LINE_BREAK, storable
from minisearch.types import Anchors, Document

if TYPE_CHECKING:
    from email.message import Message

SHOWN = ("subject", "from", "to", "cc", "date")
ADDRESSES = ("from", "to", "cc")
UNENCODED = ("", "7bit", "8bit", "binary")
MAX_DEPTH = 20
MAX_NAMED = 5  # attachments in a note
MAX_NAME = 80


def read_email(source: Source) -> Document:
    """The mail, titled by its subject; a text without mail headers is read as plain text."""
    part = part_of(source.text, 0, len(source.text))
    if not part.spans:
        return source.unchanged("text", *["no mail header: read as plain text"] * bool(source.text.strip()))
    mail = _Mail(source)
    mail.add_mail(part)
    mail.add_fields(part)
    return mail.document()


class _Mail(DocumentBuilder):
    """A mail read so far."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, "email")
        self._left_out: list[str] = []

    def add_fields(self, part: Part) -> None:
        """Add the subject, which is the title, each address, and the date in ISO form."""
        from email.utils import getaddresses, parsedate_to_datetime

        self.title = part.value("subject")
        for name in SHOWN:
            value = part.value(name)
            try:
                if name in ADDRESSES:
                    pairs = getaddresses([value])
                    found = [f"{who} <{where}>" if who else where for who, where in pairs if where]
                    self.fields.add_all(name, found or [value] * bool(value))
                elif name == "date" and value:
                    self.fields.add(name, parsedate_to_datetime(value))
                elif value:
                    self.fields.add(name, value)
            except (ValueError, TypeError, IndexError, OverflowError, RecursionError):  # each of them happens
                self.fields.add(name, value)

    def add_mail(self, part: Part, depth: int = 0) -> None:
        """Add a mail: the headers that people read, and its body."""
        self.begin_paragraph()
        begin = len(self)
        for name, start, end in part.spans:
            if name in SHOWN and (value := header_words(part.text[start:end])):
                self.insert("\n" if begin < len(self) else "")
                self.insert(f"{name.title()}: ", start)
                found = part.text.find(value, start, end)
                self.copy(value, *((found, found + len(value)) if found >= 0 else (start, end)))
        self._add_part(part, depth, is_body=True)

    def document(self) -> Document:
        """The mail, with notes on what was left out."""
        self.notes = list(dict.fromkeys(self.notes))
        if self._left_out:
            n_others = len(self._left_out) - MAX_NAMED
            others = f" and {n_others} more" if n_others > 0 else ""
            self.notes.append(f"attachments left out: {', '.join(self._left_out[:MAX_NAMED])}{others}")
        return super().document()

    def _add_part(self, part: Part, depth: int, *, is_body: bool = False) -> None:
        kind = part.content_type
        if depth > MAX_DEPTH:
            self.notes.append(f"parts nested deeper than {MAX_DEPTH} are left out")
        elif kind.startswith("multipart/") and (parts := part.parts()):
            if kind == "multipart/alternative":
                parts = [self._best(parts)]
            for number, inner in enumerate(parts):
                self._add_part(inner, depth + 1, is_body=is_body and not number)
        elif kind == "message/rfc822" and part.encoding in UNENCODED:
            self.add_mail(part_of(part.text, part.start, part.end), depth + 1)
        elif kind.startswith(("text/", "multipart/")):
            self._add_text(part, kind, "" if is_body else part.file_name)
        else:
            self._left_out.append(f"{part.file_name or 'unnamed'} ({kind[:MAX_NAME]})")

    def _best(self, parts: list[Part]) -> Part:
        """Of alternatives the plain text, else the HTML, else the last, which is the richest."""
        for kind in ("text/plain", "text/html"):
            for part in parts:
                if part.content_type == kind and self._decoded(part).text.strip():
                    return part
        return parts[-1]

    def _add_text(self, part: Part, kind: str, name: str) -> None:
        text = self._decoded(part)
        page = None
        if kind == "text/html":
            page = read_html(Source.of_text(text.text))
            text = AnchoredText(page.text, page.origin.anchors).mapped_through(text)
        if not text.text.strip():
            return
        self.begin_paragraph()
        if name:
            self.insert(f"Attachment: {name}\n", part.start)
        self.add_part(text, page)

    def _decoded(self, part: Part) -> AnchoredText:
        encoding = part.encoding
        if encoding not in (*UNENCODED, "quoted-printable", "base64"):
            self.notes.append(f"{encoding[:MAX_NAME]}, an unknown encoding: read unchanged")
        named = part.parameter("charset")
        charset = charset_of(named) if named else self.source.origin.encoding
        if charset is None:
            self.notes.append(f"{named[:MAX_NAME]}, an unknown character set: read as UTF-8")
        text = self._in_charset(part, charset or "utf-8")
        if "\ufffd" in text.text and charset in (None, "utf-8"):
            data = self._in_charset(part, "latin-1").text.encode("latin-1", "replace")
            if found := detect(data):
                charset, text = found.encoding, self._in_charset(part, found.encoding)
                note = f"not UTF-8; read as {shown(charset)}{'' if found.is_sure else ', a guess'}"
                self.notes += [note] * (note not in self.source.notes)
        if n_lost := text.text.count("\ufffd"):
            self.notes.append(f"{n_lost} not valid {shown(charset or 'utf-8')}")
        return text

    def _in_charset(self, part: Part, charset: str) -> AnchoredText:
        return decoded(self.source, part.start, part.end, encoding=part.encoding, charset=charset)


# --- the parts of a mail -----------------------------------------------------------------------------------

HEADER = re.compile(
    r"(?P<name>[!-9;-~]{1,100})[ \t]{0,20}:(?P<value>[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)"
    r"(?:\r\n|\r|\n|\Z)"
)
ENVELOPE = re.compile(r"From [^\r\n]*(?:\r\n|\r|\n)")  # of an mbox
BOUNDARY_ENDS = re.compile(r"(--)?[ \t]{0,80}(?:\r\n|\r|\n|\Z)")
MAX_HEADER = 10_000  # characters of a value that are looked at


@dataclass(frozen=True, slots=True)
class Part:
    """A mail or a part of one: its headers, where their values stand, and where its body stands."""

    text: str = field(repr=False)
    headers: Message
    spans: tuple[tuple[str, int, int], ...]  # a name in lower case, start and end
    start: int
    end: int

    def value(self, name: str) -> str:
        """The decoded value of the first header of this name; "" where there is none."""
        return header_words(self.headers.get(name, ""))

    @property
    def encoding(self) -> str:
        """The transfer encoding in lower case; "" where none is given."""
        return self.value("content-transfer-encoding").lower()

    @property
    def content_type(self) -> str:
        """The content type; "text/plain" where none is given."""
        return self.headers.get_content_type()

    @property
    def file_name(self) -> str:
        """The name of an attachment; "" where none is given."""
        return header_words(self.parameter("filename", "content-disposition") or self.parameter("name"))[
            :MAX_NAME
        ]

    def parameter(self, name: str, header: str = "content-type") -> str:
        """A parameter of a header; "" where it is not given."""
        from email.utils import collapse_rfc2231_value

        try:
            return collapse_rfc2231_value(self.headers.get_param(name, "", header))
        except ValueError:  # "name*1…1" with more digits than Python converts
            return ""

    def parts(self) -> list[Part]:
        """The parts between its boundaries."""
        spans = _between(self.text, self.start, self.end, self.parameter("boundary"))
        return [part_of(self.text, start, end) for start, end in spans]


def part_of(text: str, start: int, end: int) -> Part:
    """The part at ``start:end``; its headers end at the first line that is not a header."""
    from email.message import Message  # takes 40 ms, and few documents are mail

    envelope = ENVELOPE.match(text, start, end)
    position = envelope.end() if envelope else start
    headers, spans = Message(), []
    while found := HEADER.match(text, position, end):
        spans.append((found["name"].lower(), *found.span("value")))
        headers[found["name"]] = found["value"][:MAX_HEADER].strip()
        position = found.end()
    blank = LINE_BREAK.match(text, position, end)
    return Part(text, headers, tuple(spans), blank.end() if blank else position, end)


def _between(text: str, start: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
    mark = f"--{boundary}"
    open_at: int | None = None
    at = text.find(mark, start, end) if boundary else -1
    while at >= 0:
        ends = BOUNDARY_ENDS.match(text, at + len(mark), end)
        if ends and (at == start or text[at - 1] in "\r\n"):
            if open_at is not None:
                yield open_at, max(open_at, at - (2 if text.startswith("\r\n", at - 2) else 1))
            open_at = ends.end()
            if ends[1]:
                return
        at = text.find(mark, at + len(mark), end)
    if open_at is not None and open_at < end:
        yield open_at, end  # the file is cut off


# --- transfer encodings and character sets -----------------------------------------------------------------

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
QUOTED = re.compile(
    r"(?P<bytes>(?:=[0-9A-Fa-f]{2})+)|(?P<soft>=[ \t]{0,80}(?:\r\n|\r|\n|\Z))|(?P<plain>[^=\r\n]+|.)",
    re.DOTALL,
)
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
Piece = tuple[bytes, int, int]


def decoded(source: Source, start: int, end: int, *, encoding: str, charset: str) -> AnchoredText:
    """The decoded text at ``start:end``, mapped to the file; ``charset`` is a name from `charset_of`."""
    if encoding == "quoted-printable":
        return _from_bytes(_quoted_printable(source, start, end), charset)
    if encoding == "base64":
        return _from_bytes(_base64(source, start, end), charset)
    is_decoded = charset == source.origin.encoding or source.origin.n_bom_bytes
    if is_decoded or (source.text[start:end].isascii() and not SHIFTING.fullmatch(charset)):
        return AnchoredText(source.text[start:end], Anchors((0,), (start,)))
    lines = (line.span() for line in LINE.finditer(source.text, start, end))
    return _from_bytes(((_raw(source, a, b), a, b) for a, b in lines), charset)


def _from_bytes(pieces: Iterator[Piece], charset: str) -> AnchoredText:
    """The text of pieces of bytes, each with the place in the file that it was decoded from."""
    builder = TextBuilder()
    decoder = codecs.getincrementaldecoder(charset)("replace")
    reached = 0
    for data, start, end in pieces:
        words = storable(decoder.decode(data).replace("\ufeff", ""))
        n_early = max(len(words) - (end - start), 0)  # an incomplete character of the piece before
        builder.copy(words[:n_early], reached or start, start)
        builder.copy(words[n_early:], start, end)
        reached = end
    builder.copy(storable(decoder.decode(b"", final=True).replace("\ufeff", "")), reached, reached)
    return builder.build()


def _raw(source: Source, start: int, end: int) -> bytes:
    return source.origin.source[start:end].encode(source.origin.encoding, "surrogateescape")


def _quoted_printable(source: Source, start: int, end: int) -> Iterator[Piece]:
    for piece in QUOTED.finditer(source.text, start, end):
        if piece["bytes"]:
            yield bytes.fromhex(piece["bytes"].replace("=", "")), *piece.span()
        elif piece["plain"]:
            yield _raw(source, *piece.span()), *piece.span()


def _base64(source: Source, start: int, end: int) -> Iterator[Piece]:
    """The bytes of each line; letters that do not make a whole byte wait for the next line."""
    pending = ""
    for line in LINE.finditer(source.text, start, end):
        letters = pending + NOT_BASE64.sub("", line[0])
        whole = len(letters) if "=" in line[0] else len(letters) // 4 * 4
        pending = letters[whole:]
        yield _bytes(letters[:whole]), *line.span()
    yield _bytes(pending), end, end


def _bytes(letters: str) -> bytes:
    if len(letters) % 4 == 1:  # six bits are less than a byte
        letters = letters[:-1]
    return binascii.a2b_base64(letters + "=" * (-len(letters) % 4))


def header_words(value: str) -> str:
    """A header's value in one line, encoded words decoded."""
    from email.errors import HeaderParseError
    from email.header import decode_header

    value = " ".join(value[:MAX_HEADER].split())
    parts: list[str] = []
    try:
        for words, charset in decode_header(value):
            # The library encodes what stands between encoded words.
            known = (
                "raw-unicode-escape" if charset is None else charset_of(charset.partition("*")[0]) or "utf-8"
            )
            parts.append(words if isinstance(words, str) else words.decode(known, "replace"))
    except HeaderParseError:  # broken base64
        parts = [value]
    return " ".join(storable("".join(parts)).split())
