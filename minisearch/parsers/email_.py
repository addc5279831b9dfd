"""Mail: headers as fields, the body and attached texts as text, mapped to the lines of the file.

Of a body in several forms the plain text is taken, else the HTML, through its reader.  Attached texts and
mails follow the body; other attachments are named in a note.  Where the parts stand and how they are encoded
is left to `mime`.
"""

from __future__ import annotations

from minisearch.parsers.building import AnchoredText, DocumentBuilder
from minisearch.parsers.html import read_html
from minisearch.parsers.mime import Part, charset_of, decoded, header_words, part_of
from minisearch.parsers.source import Source
from minisearch.types import Document

SHOWN = ("subject", "from", "to", "cc", "date")
ADDRESSES = ("from", "to", "cc")
UNENCODED = ("", "7bit", "8bit", "binary")
MAX_DEPTH = 20
MAX_NAMED = 5  # attachments in a note
MAX_NAME = 80


def read_email(source: Source) -> Document:
    """The mail, titled by its subject; a text without mail headers is read as plain text."""
    part = part_of(source.text, 0, len(source.text))
    if not part.headers:
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
        from email.utils import getaddresses, parsedate_to_datetime  # takes 40 ms, and few documents are mail

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
        is_first = True
        for header in part.headers:
            if header.name in SHOWN and (value := header_words(part.text[header.start : header.end])):
                self.insert("" if is_first else "\n")
                self.insert(f"{header.name.title()}: ", header.start)
                start = part.text.find(value, header.start, header.end)
                start, end = (start, start + len(value)) if start >= 0 else (header.start, header.end)
                self.copy(value, start, end)
                is_first = False
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
            self._add_text(part, kind, "" if is_body else _file_name(part))
        else:
            self._left_out.append(f"{_file_name(part) or 'unnamed'} ({kind[:MAX_NAME]})")

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
        named = part.parameters("content-type")[1].get("charset", "utf-8")
        charset = charset_of(named)
        if charset is None:
            self.notes.append(f"{named[:MAX_NAME]}, an unknown character set: read as UTF-8")
        return decoded(self.source, part.start, part.end, encoding=encoding, charset=charset or "utf-8")


def _file_name(part: Part) -> str:
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        found = part.parameters(header)[1]
        for name in (parameter, f"{parameter}*", f"{parameter}*0", f"{parameter}*0*"):
            if name in found:
                return _unquoted(found[name]) if name.endswith("*") else found[name][:MAX_NAME]
    return ""


def _unquoted(value: str) -> str:
    """A parameter with its character set, as in RFC 2231: "utf-8''%C3%A9.txt"."""
    from urllib.parse import unquote

    charset, mark, rest = value.partition("''")
    return unquote(rest if mark else value, charset_of(charset) or "utf-8", "replace")[:MAX_NAME]
