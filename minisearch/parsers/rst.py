"""reStructuredText: its text, section titles and described objects, its blocks, and the fields at its top.

A title is a line at the margin, underlined and perhaps overlined with one repeated punctuation mark.  Each
style is one level; the levels follow the order in which the styles first appear.  Directives, literal blocks
and block quotes are indented, so they contain no title; neither do tables, whose rules have gaps.  The
directive of an object, such as a function or an option, is the heading of what is indented below it.
https://docutils.sourceforge.io/docs/ref/rst/restructuredtext.html#sections
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from minisearch.parsers.blocks import DrawnTable, SpannedCell, blocks, drawn_tables, row_edits
from minisearch.parsers.source import MAX_TITLE, Edit, Fields, Source, edited, top_title
from minisearch.parsers.tables import rows as csv_rows
from minisearch.text import newlines
from minisearch.types import Document, Heading

RULE = re.compile(r"^([!-/:-@[-`{-~])\1*[ \t]*$", re.MULTILINE)

OVERLINED = re.compile(r"(\S+)[ \t]*\n(?P<title>[^\n]*)\n(?P<below>\1)[ \t]*$", re.MULTILINE)
# Lines at the margin that begin something else, so that a rule below them is no underline: bullets,
# fields, line blocks, doctests, explicit markup.  "1. Words" is a title when it is underlined.
NOT_TITLE = re.compile(
    r"$|([!-/:-@[-`{-~])\1*$|[-+*•‣⁃|][ \t]|:[^:\s][^:]*:[ \t]|>>>[ \t]|\.\.(?:[ \t]|$)|__[ \t]"
)
# Lines that may stand right above a title without a blank line between: one-line markup, indented lines.
ENDED = re.compile(r"[ \t]|\.\.[ \t]|$")
# Labels, page marks like ":orphan:", and Sphinx's directives that name what follows, such as
# ".. setting:: RETRY_TIMES", belong to the title below them.
NAMING = r"\.\. (?:index|module|setting|confval|envvar|event|reqmeta|signal)::[ \t]+[^\n]+"
LABELS = re.compile(rf"(?:^(?:\.\. _[^\n]*:|{NAMING}|:\w+:)[ \t]*\n(?:[ \t]*\n)*)+\Z", re.MULTILINE)
# An object's signature, and what is indented further below; the first line of that indents objects within.
OBJECT = re.compile(
    r"""\.\.\ (?:[a-z]+:[\w-]+ | attribute | c(?:lass|lassmethod|onfval|mdoption) | d(?:ata|ecorator|escribe)
    | directive | e(?:nvvar|xception) | function | m(?:acro|ember|ethod) | object | option | property | role
    | setting | staticmethod | type | var)::[ \t]+(?P<signature>\S[^\n]*)""",
    re.VERBOSE,
)
BODY = r"\n(?:[ \t]*\n)*({0}[ \t]+)\S[^\n]*(?:\n(?:[ \t]*\n)*{0}[ \t]+\S[^\n]*)*"
# ":author: x", with the indented lines below; and what may stand between: blank lines, comments, labels.
FIELD = re.compile(r":([^:\n]+):(?=\s|\Z)[ \t]*([^\n]*(?:\n[ \t]+[^\s][^\n]*)*)(?:\n|\Z)")
META = re.compile(r"^\.\. meta::[ \t]*\n((?:[ \t]+:[^\n]*(?:\n|\Z))+)", re.MULTILINE)
BULLET = re.compile(r"(?:\A|\n)[ \t]*[-*+•][ \t]+")
# "[ \t]" and not "[ \t]+" before "[^\n]*": of two runs that overlap, every split would be tried.
BLANK_OR_MARKUP = re.compile(r"(?:[ \t]*\n|\.\.(?:[ \t][^\n]*)?\n(?:[ \t][^\n]*\n)*)*")
# A table of lists or of CSV, with its indented lines; its options; a cell of a list.
TABLE = re.compile(
    r"^([ \t]*)\.\. (list|flat|csv)-table::[ \t]*([^\n]*)(?:\n|\Z)((?:[ \t]*\n|\1[ \t]+[^\n]*(?:\n|\Z))*)",
    re.MULTILINE,
)
OPTION = re.compile(r"[ \t]+:([\w-]+):[ \t]*([^\n]*)(?:\n|\Z)")
CELL = re.compile(r"^([ \t]*)(\*[ \t]+)?-(?=[ \t]|$)", re.MULTILINE)
MAX_LABELS = 1000  # characters above a title in which labels are looked for


def read_rst(source: Source) -> Document:
    """The document, titled by its one outermost section; a heading begins at the labels above its title."""
    flat = newlines(source.text)
    sections = list(_headings(flat))
    headings = tuple(_with_objects(flat, [heading for heading, _ in sections]))
    fields, docinfo = _fields(flat, sections)
    found = list(_directives(flat))
    tables = sorted([*drawn_tables(flat), *(one for one, _ in found)], key=lambda table: table.start)
    document = replace(
        source.unchanged("rst", *fields.notes()),
        title=top_title(headings) or fields.text("title")[:MAX_TITLE],
        headings=headings,
        fields=fields.found(),
        names=fields.names(),
        blocks=blocks(flat, tables),
    )
    heads = [edit for _, edits in found for edit in edits]
    return edited(document, sorted([*row_edits(flat, tables), *heads, *docinfo]))


def _directives(flat: str) -> Iterator[tuple[DrawnTable, list[Edit]]]:
    """The tables of directives, and edits that leave the title of the directive above each."""
    for found in TABLE.finditer(flat) if "-table::" in flat else ():  # the search looks at every line
        position, end = found.start(4), found.start(4) + len(found[4].rstrip())
        options: dict[str, tuple[str, int, int]] = {}
        while option := OPTION.match(flat, position, end):
            options[option[1]] = option[2].strip(), *option.span(2)
            position = option.end()
        n_header = options.get("header-rows", ("0",))[0]
        if found[2] == "csv":
            delimiter = {"tab": "\t", "space": " "}.get(*[options.get("delim", (",",))[0]] * 2) or ","
            header = [options["header"][1:]] if "header" in options else []
            rows = [row for span in (*header, (position, end)) for row in _csv_rows(flat, *span, delimiter)]
            n_header = "1" if header else n_header
        else:
            rows = _list_rows(flat, position, end)
        if any(rows):
            table = DrawnTable.of_cells(found.start(4), end, rows, has_header=n_header != "0")
            yield table, [(found.end(1), found.start(3), "")]


def _csv_rows(flat: str, start: int, end: int, delimiter: str) -> Iterator[list[SpannedCell]]:
    for row in csv_rows(flat[start:end], delimiter):
        yield [(start + cell.start, start + cell.end, 1) for cell in row]


def _list_rows(flat: str, start: int, end: int) -> list[list[SpannedCell]]:
    """The rows of a list of lists; other lists stand in its cells."""
    marks = list(CELL.finditer(flat, start, end))
    first = next((mark for mark in marks if mark[2]), None)
    indent, dash = (first[1], len(first[1] + first[2])) if first else ("", 0)
    own = [mark for mark in marks if (mark[1] == indent if mark[2] else len(mark[1]) == dash)]
    rows: list[list[SpannedCell]] = []
    for mark, after in zip(own, [*(mark.start() for mark in own[1:]), end], strict=False):
        if mark[2]:
            rows.append([])
        if rows:
            rows[-1].append((mark.end(), after, 1))
    return rows


def _with_objects(flat: str, sections: Sequence[Heading]) -> list[Heading]:
    """The sections and the objects in them; what follows an object has a heading without a title."""
    starts = [section.start for section in sections]
    headings = list(sections)
    around: list[tuple[int, str]] = []  # where the objects around end, and the indentation of those within
    for found in OBJECT.finditer(flat):
        line = flat.rfind("\n", 0, found.start()) + 1
        indent = flat[line : found.start()]
        while around and around[-1][0] <= line:
            around.pop()
        if indent != (around[-1][1] if around else "") or not (
            body := re.compile(BODY.format(indent)).match(flat, found.end())
        ):
            continue
        labels = LABELS.search(flat, max(line - MAX_LABELS, 0), line)
        section = bisect_right(starts, line)
        level = (sections[section - 1].level if section else 0) + 1 + len(around)
        start = labels.start() if labels else line
        headings.append(Heading(start, level, found["signature"].strip()[:MAX_TITLE]))
        headings.append(Heading(body.end(), level, ""))
        around.append((body.end(), body[1]))
    headings.sort(key=lambda heading: (heading.start, -heading.level, heading.title))
    ends = (*(heading.start for heading in headings[1:]), len(flat))
    return [
        one for one, end in zip(headings, ends, strict=False) if one.title or flat[one.start : end].strip()
    ]


def _fields(flat: str, sections: list[tuple[Heading, int]]) -> tuple[Fields, list[Edit]]:
    """The field lists above the title and right below, and ``meta``; edits that leave them out.

    A field longer than a title, such as an abstract, stays in the text.
    """
    fields, edits, position, is_below = Fields(), list[Edit](), 0, False
    for meta in META.finditer(flat):
        for option in OPTION.finditer(meta[1]):
            fields.add(option[1], option[2].strip() or None)
        edits.append((*meta.span(), ""))
    while True:
        between = BLANK_OR_MARKUP.match(flat, position)
        position = between.end() if between else position
        if found := FIELD.match(flat, position):
            for words in BULLET.split(found[2])[BULLET.match(found[2]) is not None :]:
                fields.add(found[1], " ".join(words.split()))
            if len(found[2]) <= MAX_TITLE:
                edits.append((*found.span(), ""))
            position = found.end()
        elif sections and not is_below and sections[0][0].start <= position:
            position, is_below = sections[0][1], True
        else:
            return fields, sorted(edits) if fields.are_whole and flat[position:].strip() else []


def _headings(flat: str) -> Iterator[tuple[Heading, int]]:
    """Each heading, and where the last line of its title ends."""
    styles: list[tuple[str, bool]] = []
    floor = 0  # the end of the last title
    for rule in RULE.finditer(flat):
        if floor and rule.start() <= floor:
            continue
        found = _underlined(flat, rule, floor) or _overlined(flat, rule, floor)
        if not found:
            continue
        start, end, title = found
        style = (rule[1], start == rule.start())
        if style not in styles:
            styles.append(style)
        labels = LABELS.search(flat, max(floor, start - MAX_LABELS), start)
        floor = end
        yield Heading(labels.start() if labels else start, styles.index(style) + 1, title[:MAX_TITLE]), end


def _underlined(flat: str, rule: re.Match[str], floor: int) -> tuple[int, int, str] | None:
    """Start, end and words of the title on the line above the rule."""
    end = rule.start() - 1
    if end <= floor:
        return None
    start = flat.rfind("\n", 0, end) + 1
    title = flat[start:end].rstrip()
    if title[:1].isspace() or NOT_TITLE.match(title) or not _can_begin(flat, start, floor):
        return None
    return (start, rule.end(), title) if _is_long_enough(rule.group().rstrip(), title) else None


def _overlined(flat: str, rule: re.Match[str], floor: int) -> tuple[int, int, str] | None:
    """Start, end and words of the title between this rule and the same rule two lines below."""
    found = OVERLINED.match(flat, rule.start())
    title = found["title"].strip() if found else ""
    if not found or not title or RULE.match(title) or not _can_begin(flat, rule.start(), floor):
        return None
    return (rule.start(), found.end("below"), title) if _is_long_enough(found["below"], title) else None


def _can_begin(flat: str, start: int, floor: int) -> bool:
    """Whether a title may begin here: the line above does not continue."""
    above = flat.rfind("\n", 0, max(start - 1, 0)) + 1
    return start <= floor + 1 or ENDED.match(flat, above, start - 1) is not None


def _is_long_enough(mark: str, title: str) -> bool:
    """Whether a rule has four marks, or is as wide as the title; wide letters count twice."""
    return len(mark) >= 4 or len(mark) >= sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in title)
