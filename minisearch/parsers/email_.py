"""Mail: who wrote what to whom and when, the body as text, on the lines of the file it stands on.

Of a body that comes in several forms the plain one is taken, otherwise HTML through its reader.  Attached
texts and mails follow it; other attachments are named in a note.  How parts lie in the file is `mime`'s, how
they are encoded is `transfer`'s.
"""

from __future__ import annotations

from dataclasses import replace

from minisearch.parsers.composing import Composition, TiedText
from minisearch.parsers.decode import Source
from minisearch.parsers.fields import Fields
from minisearch.parsers.html import read_html
from minisearch.parsers.markdown import MAX_TITLE
from minisearch.parsers.mime import Part, part_of
from minisearch.parsers.transfer import charset_of, decoded, header_words
from minisearch.types import Document, Heading, Origin

SHOWN = ("subject", "from", "to", "cc", "date")
ADDRESSES = ("from", "to", "cc")
ENCODINGS = ("", "7bit", "8bit", "binary", "quoted-printable", "base64")
MAX_DEPTH = 20
MAX_NAMED = 5  # attachments in a note
MAX_NAME = 80


def read_email(source: Source) -> Document:
    """The mail, titled by its subject; a text without a header is read as it stands."""
    part = part_of(source.text, 0, len(source.text))
    if not part.headers:
        notes = (*source.notes, *(["no mail header: read as plain text"] if source.text.strip() else []))
        return Document(source.path, source.text, "text", source.origin, notes=notes)
    mail = _Mail(source)
    mail.add(part)
    tied = mail.made.tied()
    fields = _fields(part)
    return Document(
        source.path,
        tied.text,
        "email",
        tied.origin(source.origin),
        title=part.words("subject")[:MAX_TITLE],
        headings=tuple(mail.headings),
        blocks=tuple(mail.blocks),
        notes=(*source.notes, *fields.notes(), *mail.notes()),
        fields=fields.found(),
    )


def _fields(part: Part) -> Fields:
    """Subject, addresses one by one, and the date in ISO form."""
    from email.utils import getaddresses, parsedate_to_datetime  # 40 ms, and few documents are mail

    fields = Fields()
    for name in SHOWN:
        words = part.words(name)
        try:
            if name in ADDRESSES:
                found = [
                    f"{who} <{where}>" if who else where for who, where in getaddresses([words]) if where
                ]
                fields.add_all(name, found or [words] * bool(words))
            elif name == "date" and words:
                fields.add(name, parsedate_to_datetime(words))
            elif words:
                fields.add(name, words)
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError):  # all of them happen
            fields.add(name, words)
    return fields


class _Mail:
    """The text of a mail under way."""

    def __init__(self, source: Source) -> None:
        self.made = Composition()
        self.headings: list[Heading] = []
        self.blocks: list[tuple[int, int]] = []
        self._source = source
        self._left_out: list[str] = []
        self._notes: list[str] = []

    def add(self, part: Part, depth: int = 0) -> None:
        """A mail: the headers that people read, and its body."""
        self._break()
        begun = False
        for header in part.headers:
            if header.name in SHOWN and (words := header_words(part.text[header.start : header.end])):
                self.made.say("\n" if begun else "")
                self.made.say(f"{header.name.title()}: ", header.start)
                start = part.text.find(words, header.start, header.end)
                start, end = (start, start + len(words)) if start >= 0 else (header.start, header.end)
                self.made.take(words, start, end)
                begun = True
        self._add_part(part, depth, is_body=True)

    def notes(self) -> tuple[str, ...]:
        """What was left out, in words for the user."""
        notes = list(dict.fromkeys(self._notes))
        if self._left_out:
            others = len(self._left_out) - MAX_NAMED
            named = ", ".join(self._left_out[:MAX_NAMED]) + (f" and {others} more" if others > 0 else "")
            notes.append(f"attachments left out: {named}")
        return tuple(notes)

    def _add_part(self, part: Part, depth: int, *, is_body: bool = False) -> None:
        kind = part.content_type
        if depth > MAX_DEPTH:
            self._notes.append(f"parts nested deeper than {MAX_DEPTH} are left out")
        elif kind.startswith("multipart/") and (parts := part.parts()):
            if kind == "multipart/alternative":
                parts = [self._best(parts)]
            for number, inner in enumerate(parts):
                self._add_part(inner, depth + 1, is_body=is_body and not number)
        elif kind == "message/rfc822" and part.words("content-transfer-encoding").lower() in ENCODINGS[:4]:
            self.add(part_of(part.text, part.start, part.end), depth + 1)
        elif kind.startswith(("text/", "multipart/")):
            self._add_text(part, kind, "" if is_body else _file_name(part))
        else:
            self._left_out.append(f"{_file_name(part) or 'unnamed'} ({kind[:MAX_NAME]})")

    def _best(self, parts: list[Part]) -> Part:
        """Of parts that say the same: plain text, or else HTML, or else the last, which is the richest."""
        for kind in ("text/plain", "text/html"):
            for part in parts:
                if part.content_type == kind and self._words(part).text.strip():
                    return part
        return parts[-1]

    def _add_text(self, part: Part, kind: str, name: str) -> None:
        tied = self._words(part)
        headings: tuple[Heading, ...] = ()
        blocks: tuple[tuple[int, int], ...] = ()
        if kind == "text/html":
            page = read_html(Source("", tied.text, Origin(tied.text), ()))
            tied = TiedText(page.text, page.origin.text_anchors, page.origin.source_anchors).through(tied)
            headings, blocks = page.headings, page.blocks
        if not tied.text.strip():
            return
        self._break()
        if name:
            self.made.say(f"Attachment: {name}\n", part.start)
        start = self.made.n_characters
        self.made.add(tied)
        self.headings += [replace(heading, start=start + heading.start) for heading in headings]
        self.blocks += [(start + first, start + last) for first, last in blocks]

    def _words(self, part: Part) -> TiedText:
        encoding = part.words("content-transfer-encoding").lower()
        if encoding not in ENCODINGS:
            self._notes.append(f"{encoding[:MAX_NAME]}, an encoding not known here: read as it stands")
        named = part.parameters("content-type")[1].get("charset", "utf-8")
        charset = charset_of(named)
        if charset is None:
            self._notes.append(f"{named[:MAX_NAME]}, a character set not known here: read as UTF-8")
        return decoded(self._source, part.start, part.end, encoding=encoding, charset=charset or "utf-8")

    def _break(self) -> None:
        self.made.say("\n\n" if self.made.n_characters else "")


def _file_name(part: Part) -> str:
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        found = part.parameters(header)[1]
        for name in (parameter, f"{parameter}*", f"{parameter}*0", f"{parameter}*0*"):
            if name in found:
                return _unquoted(found[name]) if name.endswith("*") else found[name][:MAX_NAME]
    return ""


def _unquoted(value: str) -> str:
    """What RFC 2231 makes of other alphabets in a parameter: "utf-8''%C3%A9.txt"."""
    from urllib.parse import unquote

    charset, mark, rest = value.partition("''")
    return unquote(rest if mark else value, charset_of(charset) or "utf-8", "replace")[:MAX_NAME]
