"""reStructuredText, kept word for word; what is read is its section titles.

A title is a line at the margin, underlined, perhaps overlined, with one repeated punctuation mark; the
styles take their levels in the order in which they first appear.  Directives, literal blocks and block
quotes are indented and so never reach the margin; tables have gaps in their rules.
https://docutils.sourceforge.io/docs/ref/rst/restructuredtext.html#sections
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from minisearch.ingest.readers.decode import Source, newlines
from minisearch.ingest.readers.markdown import MAX_TITLE, first_title
from minisearch.types import Document, Heading

RULE = re.compile(r"^([!-/:-@[-`{-~])\1*[ \t]*$", re.MULTILINE)

# Lines at the margin that begin something else, so that a rule below them is no underline: bullets,
# fields, line blocks, doctests, explicit markup.  "1. Words" is a title when it is underlined.
NOT_TITLE = re.compile(r"$|[-+*•‣⁃|][ \t]|:[^:\s][^:]*:[ \t]|>>>[ \t]|\.\.(?:[ \t]|$)|__[ \t]")
# What may stand right above a title without a blank line between: markup of one line, indented lines.
ENDED = re.compile(r"[ \t]|\.\.[ \t]|$")
TARGETS = re.compile(r"(?:^\.\. _[^\n]*:[ \t]*\n(?:[ \t]*\n)*)+\Z", re.MULTILINE)
MAX_TARGETS = 1000  # characters; labels further above a title are not looked for


def read_rst(source: Source) -> Document:
    """The document, titled by its first section; a heading begins at the labels right above its title."""
    flat = newlines(source.text)
    headings = tuple(_headings(flat))
    return Document(
        source.path,
        source.text,
        "rst",
        source.origin,
        title=first_title(headings),
        headings=headings,
        notes=source.notes,
    )


def _headings(flat: str) -> Iterator[Heading]:
    styles: list[tuple[str, bool]] = []
    floor = 0  # the end of the last title
    for rule in RULE.finditer(flat):
        if rule.start() <= floor and floor:
            continue
        found = _overlined(flat, rule) or _underlined(flat, rule, floor)
        if not found:
            continue
        start, end, title = found
        style = (rule[1], start == rule.start())
        if style not in styles:
            styles.append(style)
        labels = TARGETS.search(flat, max(floor, start - MAX_TARGETS), start)
        floor = end
        yield Heading(labels.start() if labels else start, styles.index(style) + 1, title[:MAX_TITLE])


def _overlined(flat: str, rule: re.Match[str]) -> tuple[int, int, str] | None:
    title_start = rule.end() + 1
    title_end = _line_end(flat, title_start)
    title = flat[title_start:title_end].strip()
    below = flat[title_end + 1 : _line_end(flat, title_end + 1)].rstrip()
    mark = rule.group().rstrip()
    if title and below == mark and _is_long_enough(mark, title):
        return rule.start(), title_end + 1 + len(below), title
    return None


def _underlined(flat: str, rule: re.Match[str], floor: int) -> tuple[int, int, str] | None:
    title_end = rule.start() - 1
    title_start = flat.rfind("\n", 0, max(title_end, 0)) + 1
    if title_end <= floor and floor:
        return None
    title = flat[title_start : max(title_end, 0)].rstrip()
    above_start = flat.rfind("\n", 0, max(title_start - 1, 0)) + 1
    is_alone = title_start <= floor + 1 or ENDED.match(flat, above_start, max(title_start - 1, 0))
    if title[:1].isspace() or NOT_TITLE.match(title) or RULE.match(title) or not is_alone:
        return None
    if not _is_long_enough(rule.group().rstrip(), title):
        return None
    return title_start, rule.end(), title


def _line_end(flat: str, start: int) -> int:
    end = flat.find("\n", start)
    return end if end >= 0 else len(flat)


def _is_long_enough(mark: str, title: str) -> bool:
    """A rule of four marks or more always counts; a shorter one only when it spans the title."""
    return len(mark) >= 4 or len(mark) >= sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in title)
