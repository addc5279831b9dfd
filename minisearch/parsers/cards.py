"""Calendars (iCalendar, RFC 5545) and address cards (vCard, RFC 6350, also 2.1) as lines that people read.

Folded lines are joined, escapes and quoted-printable decoded, properties and dates written in words: "Start:
2025-03-04 09:00 UTC".  Each event, task or card is a section.  Time zones, alarms and what only programs read
are left out; pictures and properties of single programs are named in a note.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from minisearch.errors import listed
from minisearch.parsers.encodings import charset_of
from minisearch.parsers.source import MAX_TITLE, AnchoredText, DocumentBuilder, Source
from minisearch.parsers.transfer import decoded
from minisearch.types import Anchors, Document, Heading, Origin

LABELS = {"DTSTART": "Start", "DTEND": "End", "RRULE": "Repeats", "EXDATE": "Except", "RDATE": "Also"}
LABELS |= {"FN": "Name", "N": "Full name", "ORG": "Organisation", "TITLE": "Job title", "TEL": "Phone"}
LABELS |= {"ADR": "Address", "BDAY": "Birthday", "URL": "Web", "IMPP": "Messages", "": ""}
TITLES = ("SUMMARY", "FN", "N", "ORG", "EMAIL")
UNREAD = {"VERSION", "PRODID", "CALSCALE", "METHOD", "TRANSP", "CLASS", "UID", "DTSTAMP", "SEQUENCE"}
UNREAD |= {"CREATED", "LAST-MODIFIED", "REV"}
PICTURES = {"PHOTO", "LOGO", "SOUND", "KEY"}
LISTS = {"N", "ADR", "ORG", "RRULE"}  # with parts between semicolons
DATES = {"DTSTART", "DTEND", "DUE", "EXDATE", "RDATE", "RECURRENCE-ID", "COMPLETED", "BDAY", "ANNIVERSARY"}
SKIPPED = {"VTIMEZONE", "VALARM"}
EDGES = {"BEGIN": 1, "END": -1}
PLAIN_TYPES = {"pref", "voice", "internet", "intl", "postal", "parcel"}

OLD = re.compile(r"^VERSION:2\.1", re.MULTILINE | re.IGNORECASE)
FOLD = re.compile(r"(?:\r\n|\r|\n)[ \t]")
LINE = re.compile(r"[^\r\n]+")
HEAD = re.compile(r'(?:[\w-]{1,100}\.)?(?P<name>[\w-]{1,100})(?P<parameters>(?:;(?:[^:;"]|"[^"]*")*)*):')
PARAMETER = re.compile(r';(?:([\w-]+)=)?((?:[^;"]|"[^"]*")*)')
MAX_HEAD = 10_000  # characters
# What is not copied: an escaped character, a date, the scheme of an address, a mark between parts.
PIECE = re.compile(
    r"\\(?P<escaped>.)|\b(?P<date>(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(?:\d\d)?(Z?))?)\b"
    r"|\A(?P<scheme>(?i:mailto|tel|sip):)|(?P<mark>;+)|(?P<equals>(?:FREQ)?=)"
)


class _Property(NamedTuple):
    """A line of the file: its name in upper case, its parameters by name, and where its value stands."""

    name: str
    parameters: dict[str, str]
    start: int
    end: int


def read_cards(source: Source) -> Document:
    """Each event, task or card as a section; a text that has none is read as plain text."""
    text = source.text
    is_old = OLD.search(text) is not None  # the space of a fold belongs to the text
    # A "=" in quoted-printable continues the line by itself.
    found = (one for one in FOLD.finditer(text) if not (is_old and text[one.start() - 1] == "="))
    folds = ((fold.start(), fold.end() - is_old) for fold in found)
    unfolded = AnchoredText(text, Anchors((0,), (0,))).without(folds)
    cards = _Cards(Source("", unfolded.text, Origin(unfolded.text), source.notes), "cards")
    cards.read()
    if not cards.headings:
        return source.unchanged("text", *["no calendar and no card: read as plain text"] * bool(text.strip()))
    document = cards.document()
    read = AnchoredText(document.text, document.origin.anchors).mapped_through(unfolded)
    return replace(document, path=source.path, origin=replace(source.origin, anchors=read.anchors))


class _Cards(DocumentBuilder):
    """The sections read so far."""

    def read(self) -> None:
        """Read all of it."""
        kind, n_skipped = "", 0  # of the open components
        properties: list[_Property] = []
        left_out: Counter[str] = Counter()
        for one in (*_properties(self.source.text), _Property("END", {}, 0, 0)):
            value = self._value(one).text.strip().upper()
            if one.name in EDGES and value in SKIPPED:
                n_skipped = max(n_skipped + EDGES[one.name], 0)
            elif one.name in EDGES:
                self._add(properties)
                kind, properties = value, []
            elif one.name == "X-WR-CALNAME":
                self.title = self._value(one).text
            elif _is_left_out(one, kind) or value.startswith("DATA:"):
                left_out[one.name] += 1
            elif one.name not in UNREAD and not n_skipped and value.strip("; "):
                properties.append(one)
        if len(self.headings) == 1:
            self.title = self.title or self.headings[0].title
        if left_out:
            named = listed([f"{name} ({n:,})" for name, n in sorted(left_out.items())])
            self.notes.append(f"properties left out: {named}")

    def _add(self, properties: list[_Property]) -> None:
        """Add an event, a task or a card, with what it is about as its heading."""
        if not properties:
            return
        self.begin_paragraph()
        begin = len(self)
        titles: dict[str, str] = {}
        for one in properties:
            self.insert("\n" if begin < len(self) else "")
            value = _readable(self._value(one), one.name)
            titles.setdefault(one.name, " ".join(value.text.split())[:MAX_TITLE])
            self.insert(_label(one), one.start)
            self.add(value)
            self.insert(f" ({one.parameters['tzid']})" if "tzid" in one.parameters else "")
        title = next(filter(None, map(titles.get, TITLES)), "Without a name")
        self.headings.append(Heading(begin, 1, title))
        self.blocks.append((begin, len(self)))

    def _value(self, one: _Property) -> AnchoredText:
        """The value as it is in the file, or what its quoted-printable means."""
        if one.parameters.get("encoding") == "quoted-printable":
            charset = charset_of(one.parameters.get("charset", "")) or "utf-8"
            return decoded(self.source, one.start, one.end, encoding="quoted-printable", charset=charset)
        return AnchoredText(self.source.text[one.start : one.end], Anchors((0,), (one.start,)))


def _properties(text: str) -> Iterator[_Property]:
    """The lines of an unfolded text; one without a name is a value."""
    end = 0
    for line in LINE.finditer(text):
        if line.start() < end:  # it continued the line before
            continue
        head = HEAD.match(text, line.start(), min(line.end(), line.start() + MAX_HEAD))
        if not head:
            yield _Property("", {}, *line.span())
            continue
        parameters: dict[str, str] = {}
        for key, quoted in PARAMETER.findall(head["parameters"]):
            words = quoted.replace('"', "").strip()
            is_encoding = words.lower() in {"base64", "quoted-printable"}
            name = key.lower() or ("encoding" if is_encoding else "type")
            words = words if name in {"cn", "tzid"} else words.lower()
            parameters[name] = f"{parameters[name]},{words}" if name in parameters else words
        end = line.end()
        if parameters.get("encoding") == "quoted-printable":
            while text.startswith("=", end - 1) and (continued := LINE.search(text, end)):
                end = continued.end()
        yield _Property(head["name"].upper(), parameters, head.end(), end)


def _is_left_out(one: _Property, kind: str) -> bool:
    """Whether it is a picture, or belongs to one program; in a card, that may be an address."""
    is_of_program = one.name.startswith("X-") and (kind != "VCARD" or one.name.startswith("X-AB"))
    return is_of_program or one.name in PICTURES or one.parameters.get("encoding") in {"b", "base64"}


def _label(one: _Property) -> str:
    """What to write before a value: "Phone (work): ", "Attendee: Ada Lovelace, "."""
    name = LABELS.get(one.name, one.name.removeprefix("X-").replace("-", " ").capitalize())
    types = [word for word in one.parameters.get("type", "").split(",") if word and word not in PLAIN_TYPES]
    name += f" ({', '.join(types)})" if types else ""
    person = f"{one.parameters['cn']}, " if "cn" in one.parameters else ""
    return f"{name}: {person}" if name else ""


def _readable(value: AnchoredText, name: str) -> AnchoredText:
    """The value of a property without escapes, with dates and lists as people write them."""
    return value.edited((*piece.span(), _words_of(piece, name)) for piece in PIECE.finditer(value.text))


def _words_of(piece: re.Match[str], name: str) -> str:
    if piece["escaped"]:
        return "\n" if piece["escaped"] in "nN" else piece["escaped"]
    if piece["date"] and (name in DATES or "T" in piece["date"]):
        year, month, day, hour, minute, zone = piece.groups()[2:8]
        return f"{year}-{month}-{day}" + (f" {hour}:{minute}{' UTC' * bool(zone)}" if hour else "")
    if piece["mark"] and name in LISTS:
        return ", " * (piece.start() > 0 and piece.end() < len(piece.string))
    if piece["equals"] and name == "RRULE":
        return " " * (piece["equals"] == "=")
    return "" if piece["scheme"] else piece[0]
