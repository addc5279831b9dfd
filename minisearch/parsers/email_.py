"""Mail: headers as fields, the body and attached texts as text, mapped to the lines of the file.

Of a body in several forms the one with the most words is taken, and of the others the paragraphs with a word
that it lacks.  Attached texts and mails follow the body; other attachments are named in a note.  The mails of
an mbox and the parts of a mail are positions in the file, of which no copy is made.

The standard library reads the headers of a part, bounded in length.  It does not divide a mail into parts: it
keeps no positions, calls itself for nested parts, and compares each line with all boundaries around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from minisearch.errors import listed
from minisearch.parsers.cards import read_cards
from minisearch.parsers.encodings import charset_of, detect, shown
from minisearch.parsers.html import read_html
from minisearch.parsers.source import MAX_TITLE, AnchoredText, DocumentBuilder, Source
from minisearch.parsers.transfer import UNENCODED, decoded, unflowed
from minisearch.text import CJK, LINE_BREAK, storable
from minisearch.types import Document, Heading

if TYPE_CHECKING:
    from email.message import Message

SHOWN = ("subject", "from", "to", "cc", "date")
ADDRESSES = ("from", "to", "cc")
HEADING = ("subject", "from", "date")  # of a mail in an mbox
MAILS = ("message/rfc822", "message/global", "text/rfc822-headers")
READERS = {"text/html": read_html, "text/x-amp-html": read_html, "text/calendar": read_cards}
READERS |= dict.fromkeys(("text/vcard", "text/x-vcard", "text/directory"), read_cards)
NO_TEXT = {"text/css", "text/javascript", "text/ecmascript"}  # of a page that a browser saved as one file
MAX_DEPTH = 20
MAX_NAME = 80

# Of a text: what only the plain form of a mail has, such as the addresses of links; words; blank lines.
PLAIN_ONLY = re.compile(r"https?://\S+|mailto:\S+|\[(?:image|cid):[^\]\r\n]*\]|^[ \t]*\d+[.)] ", re.MULTILINE)
WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
BLANK_LINES = re.compile(r"(?:\r\n|\r|\n)[ \t]*(?:\r\n|\r|\n)\s*")


def read_email(source: Source) -> Document:
    """The mail, titled by its subject, or the mails of an mbox, each under its subject, sender and date.

    A text without mail headers is read as plain text.
    """
    starts = list(_envelopes(source.text))
    mail = _Mail(source, is_mbox=bool(starts))
    if len(starts) > 1:
        for start, end in pairwise([*starts, len(source.text)]):
            mail.add_message(part_of(source.text, start, end))
        return mail.document()
    part = part_of(source.text, 0, len(source.text))
    if not part.spans:
        return source.unchanged("text", *["no mail header: read as plain text"] * bool(source.text.strip()))
    mail.add_mail(part)
    mail.add_fields(part)
    return mail.document()


class _Mail(DocumentBuilder):
    """A mail read so far."""

    def __init__(self, source: Source, *, is_mbox: bool = False) -> None:
        super().__init__(source, "email")
        self._is_mbox = is_mbox
        self._left_out: list[str] = []

    def add_fields(self, part: Part) -> None:
        """Add the subject, which is the title, each address, and the date in ISO form."""
        from email.utils import getaddresses, parsedate_to_datetime

        self.title = part.value("subject")
        for name in SHOWN:
            value = part.value(name)
            found: list[object] = []
            with suppress(ValueError, TypeError, IndexError, OverflowError, RecursionError):  # each happens
                if name in ADDRESSES:
                    pairs = getaddresses([value])
                    found = [f"{who} <{where}>" if who else where for who, where in pairs if where]
                elif name == "date":
                    found = [parsedate_to_datetime(value)]
            self.fields.add_all(name, found or [value] * bool(value))

    def add_message(self, part: Part) -> None:
        """Add a mail of an mbox with its heading."""
        begin = len(self)
        self.add_mail(part)
        if title := ", ".join(filter(None, map(part.value, HEADING)))[:MAX_TITLE]:
            self.headings.append(Heading(begin + 2 * bool(begin), 1, title))

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
            self.notes.append(f"attachments left out: {listed(self._left_out)}")
        return super().document()

    def _add_part(self, part: Part, depth: int, *, is_body: bool = False) -> None:
        kind = part.headers.get_content_type()  # "text/plain" where none is given
        if depth > MAX_DEPTH:
            self.notes.append(f"parts nested deeper than {MAX_DEPTH} are left out")
        elif kind.startswith("multipart/") and (parts := part.parts()):
            if kind == "multipart/alternative":
                self._add_alternatives(parts, depth, is_body=is_body)
                return
            for number, inner in enumerate(parts):
                if kind == "multipart/digest":
                    inner.headers.set_default_type("message/rfc822")
                self._add_part(inner, depth + 1, is_body=is_body and not number)
        elif kind in MAILS and part.encoding in UNENCODED:
            self.add_mail(part_of(part.text, part.start, part.end), depth + 1)
        elif kind in MAILS:
            text = self._decoded(part)
            mail = _Mail(Source.of_text(text.text))
            mail.add_mail(part_of(text.text, 0, len(text.text)), depth + 1)
            self._add_version(mail, mail.build().mapped_through(text))
        elif kind.startswith(("text/", "multipart/", "message/")) and kind not in NO_TEXT:
            self._add_text(part, kind, "" if is_body else part.file_name)
        else:
            self._left_out.append(f"{part.file_name or 'unnamed'} ({kind[:MAX_NAME]})")

    def _add_alternatives(self, parts: list[Part], depth: int, *, is_body: bool) -> None:
        """Add the form with the most words, and of the others the paragraphs with a word that it lacks."""
        versions = [_Mail(self.source, is_mbox=self._is_mbox) for _ in parts]
        for version, part in zip(versions, parts, strict=True):
            version._add_part(part, depth + 1, is_body=is_body)
        words = [_words(version.build().text) for version in versions]
        fullest = max(range(len(parts)), key=lambda number: len(words[number]))
        for number, version in enumerate(versions):
            text = version.build()
            if number != fullest:
                version.headings, version.blocks = [], []
                text = text.without(_paragraphs_within(text.text, words[fullest]))
            self._add_version(version, text)

    def _add_version(self, mail: _Mail, text: AnchoredText) -> None:
        """Add what was read of another mail, or of a form of this one, as this text."""
        self.notes += mail.notes
        self._left_out += mail._left_out
        if text.text.strip():
            self.begin_paragraph()
            self.add_part(text, mail)

    def _add_text(self, part: Part, kind: str, name: str) -> None:
        text = self._decoded(part)
        page = None
        if kind in READERS:
            page = READERS[kind](Source.of_text(text.text))
            self.notes += page.notes
            text = AnchoredText(page.text, page.origin.anchors).mapped_through(text)
        elif kind == "text/plain" and part.parameter("format").lower() == "flowed":
            text = unflowed(text, deletes_space=part.parameter("delsp").lower() == "yes")
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
        if self._is_mbox and encoding != "base64":
            text = text.without(found.span() for found in ESCAPED_FROM.finditer(text.text))
        return text

    def _in_charset(self, part: Part, charset: str) -> AnchoredText:
        return decoded(self.source, part.start, part.end, encoding=part.encoding, charset=charset)


def _words(text: str) -> set[str]:
    return set(WORD.findall(PLAIN_ONLY.sub(" ", text).casefold()))


def _paragraphs_within(text: str, words: set[str]) -> Iterator[tuple[int, int]]:
    """Where the paragraphs stand all of whose words are among these."""
    ends = [found.end() for found in BLANK_LINES.finditer(text)]
    paragraphs = pairwise([0, *ends, len(text)])
    return ((start, end) for start, end in paragraphs if _words(text[start:end]) <= words)


# --- the parts of a mail -----------------------------------------------------------------------------------

HEADER = re.compile(
    r"(?P<name>[!-9;-~]{1,100})[ \t]{0,20}:(?P<value>[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)"
    r"(?:\r\n|\r|\n|\Z)"
)
ENVELOPE = re.compile(r"From [^\r\n]*(?:\r\n|\r|\n)")  # of an mbox
# The same line with the date that programs write there, and a header below it: "From" begins sentences, too.
BETWEEN_MAILS = re.compile(
    r"From (?:\S{1,300}@\S{1,300}[ \t]{0,20}"
    r"|[^\r\n]{0,300}?\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+[^\r\n]{0,40}\d:\d\d[^\r\n]{0,100})"
    r"(?:\r\n|\r|\n)(?=[!-9;-~]{1,100}:)"
)
ESCAPED_FROM = re.compile(r"^>(?=>*From )", re.MULTILINE)
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
    def file_name(self) -> str:
        """The name of an attachment; "" where none is given."""
        value = self.parameter("filename", "content-disposition") or self.parameter("name")
        return header_words(value)[:MAX_NAME]

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


def _envelopes(text: str) -> Iterator[int]:
    """Where the mails of an mbox begin; nothing for other texts."""
    at = len(text[:MAX_HEADER]) - len(text[:MAX_HEADER].lstrip())
    is_mbox = BETWEEN_MAILS.match(text, at)
    while is_mbox and at >= 0:
        if BETWEEN_MAILS.match(text, at):
            yield at
        at = text.find("\nFrom ", at) + 1 or -1


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


def header_words(value: str) -> str:
    """A header's value in one line, encoded words decoded."""
    from email.errors import HeaderParseError
    from email.header import decode_header

    value = " ".join(value[:MAX_HEADER].split())
    parts: list[str] = []
    try:
        for words, charset in decode_header(value):
            known = charset_of((charset or "").partition("*")[0]) or "utf-8"
            if charset is None:  # the library encodes what stands between encoded words
                known = "raw-unicode-escape"
            parts.append(words if isinstance(words, str) else words.decode(known, "replace"))
    except HeaderParseError:  # broken base64
        parts = [value]
    return " ".join(storable("".join(parts)).split())
