"""A mail's anatomy: where its headers and the bodies of its parts stand, nothing decoded.

Not the standard library's parser: that keeps no places, recurses into nested parts, and asks at every line
whether one of all the boundaries around begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from minisearch.parsers.transfer import header_words

HEADER = re.compile(
    r"(?P<name>[!-9;-~]{1,100})[ \t]{0,20}:(?P<value>[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)"
    r"(?:\r\n|\r|\n|\Z)"
)
ENVELOPE = re.compile(r"From [^\r\n]*(?:\r\n|\r|\n)")  # of an mbox
LINE_BREAK = re.compile(r"\r\n|\r|\n")
BOUNDARY_ENDS = re.compile(r"(--)?[ \t]{0,80}(?:\r\n|\r|\n|\Z)")
PARAMETER = re.compile(
    r""";\s{0,80}([\w*-]{1,60})\s{0,80}=\s{0,80}(?:"((?:[^"\\]|\\.){0,1000})"|([^\s;"]{0,1000}))"""
)
MAX_HEADER = 10_000  # characters of a value that are looked at


class Header(NamedTuple):
    """A header's name in lower case, and where its value stands."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Part:
    """A mail or a part of one: headers, and where its body stands."""

    text: str = field(repr=False)
    headers: tuple[Header, ...]
    start: int
    end: int

    def words(self, name: str) -> str:
        """The first header of this name, decoded; "" where there is none."""
        for header in self.headers:
            if header.name == name:
                return header_words(self.text[header.start : min(header.end, header.start + MAX_HEADER)])
        return ""

    def parameters(self, name: str) -> tuple[str, dict[str, str]]:
        """Such a header's value in lower case and its parameters: "text/plain", {"charset": "utf-8"}."""
        words = self.words(name)
        found: dict[str, str] = {}
        for key, quoted, bare in PARAMETER.findall(words):
            found.setdefault(key.lower(), re.sub(r"\\(.)", r"\1", quoted) or bare)
        return words.partition(";")[0].strip().lower(), found

    @property
    def content_type(self) -> str:
        """Its type; "text/plain" where it gives none."""
        found = self.parameters("content-type")[0]
        return found if "/" in found else "text/plain"

    def parts(self) -> list[Part]:
        """The parts between its boundaries; none where there are none."""
        boundary = self.parameters("content-type")[1].get("boundary", "")
        return [
            part_of(self.text, start, end)
            for start, end in _between(self.text, self.start, self.end, boundary)
        ]


def part_of(text: str, start: int, end: int) -> Part:
    """The part that stands at ``start:end``: headers up to a blank line or the first that is none."""
    envelope = ENVELOPE.match(text, start, end)
    position = envelope.end() if envelope else start
    headers = []
    while found := HEADER.match(text, position, end):
        headers.append(Header(found["name"].lower(), *found.span("value")))
        position = found.end()
    blank = LINE_BREAK.match(text, position, end)
    return Part(text, tuple(headers), blank.end() if blank else position, end)


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
        yield open_at, end  # cut off
