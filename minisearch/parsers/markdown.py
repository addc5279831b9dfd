"""Markdown: the text unchanged, its headings, its blocks, and its front matter as fields.

Headings are lines that begin with ``#`` and paragraphs underlined with ``=`` or ``-``, as in CommonMark, but
not those in fenced code, comments, ``<pre>`` and front matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from minisearch.parsers.blocks import Block, blocks
from minisearch.parsers.fields import Fields, toml_front_matter, yaml_front_matter
from minisearch.parsers.source import MAX_TITLE, Source, first_title
from minisearch.text import front_matter, newlines
from minisearch.types import Document, Heading

FRONT_TITLE = re.compile(r"^title:[ \t]*([^\n]*)$", re.MULTILINE)

# Indented at will, as in lists. A fence with words behind it only opens, a bare one opens or closes.
FENCE = re.compile(
    r"^[ \t>]*(?P<bare>`{3,}|~{3,})[ \t]*$"
    r"|^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?P<open>`{3,}(?=[^`\n]*$)|~{3,})"
    r"|^ {0,3}<(?P<block>!--|pre\b)",
    re.MULTILINE,
)
BLOCK_ENDS = {"!--": "-->", "pre": "</pre>"}
HEADING = re.compile(
    r"^ {0,3}(?:(?P<marks>#{1,6})(?P<title>[ \t][^\n]*)?|(?P<rule>=+|-+)[ \t]*)$", re.MULTILINE
)

# What ends a paragraph above an underline: a line of some other kind, or a list item or quotation, whose text
# an underline at the margin does not reach.
INTERRUPTION = re.compile(r"[ \t]*$| {4}|\t| {0,3}(?:#{1,6}(?:[ \t]|$)|`{3}|~{3}|\||<|(?:=+|-+)[ \t]*$)")
CONTAINER = re.compile(r" {0,3}(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])")


def read_markdown(source: Source) -> Document:
    """The document, titled by its front matter or its first level-1 heading."""
    flat = newlines(source.text)
    fields, notes, front_end = Fields(), source.notes, 0
    if front := front_matter(flat):
        read_fields = yaml_front_matter if front["yaml"] else toml_front_matter
        fields, more = read_fields(front["body"])
        notes, front_end = (*notes, *more), front.end()
    regions = _closed_regions(flat)
    headings = tuple(_headings(flat, front_end, regions))
    title = " ".join(fields.text("title").split())
    if not title and (found := FRONT_TITLE.search(flat, 0, front_end)):
        title = found[1].strip().strip("\"'")
    return Document(
        source.path,
        source.text,
        "markdown",
        source.origin,
        title=title[:MAX_TITLE] or first_title(headings),
        headings=headings,
        notes=notes,
        fields=fields.found(),
        blocks=blocks(flat, regions, is_lazy=True),
    )


def _closed_regions(flat: str) -> list[Block]:
    """Fenced code, comments and ``<pre>``, in order; one without an end reaches to the last line."""
    regions: list[Block] = []
    position = 0
    fence = ""
    for mark in FENCE.finditer(flat):
        if mark.start() < position:
            continue
        run = mark["bare"] or mark["open"]
        if fence:
            if mark["bare"] and run.startswith(fence):
                regions[-1] = (regions[-1][0], mark.end())
                fence = ""
        elif run:
            regions.append((mark.start(), len(flat)))
            fence = run
        else:
            block_end = BLOCK_ENDS[mark["block"]]
            end = flat.find(block_end, mark.end())
            position = end + len(block_end) if end >= 0 else len(flat)
            regions.append((mark.start(), position))
    return regions


def _headings(flat: str, start: int, regions: Sequence[Block]) -> Iterator[Heading]:
    waiting = iter([*regions, (len(flat) + 1, len(flat) + 1)])
    region = next(waiting)
    floor = start  # the earliest place where the current paragraph may begin
    for line in HEADING.finditer(flat, start):
        while region[1] <= line.start():
            floor = max(floor, region[1])
            region = next(waiting)
        if region[0] <= line.start():
            continue
        if line["marks"]:
            floor = line.end()
            yield Heading(line.start(), len(line["marks"]), _words(line["title"] or ""))
        else:
            begin = _paragraph_start(flat, line.start(), floor)
            floor = line.end()
            if begin < line.start():
                title = " ".join(flat[begin : line.start()].split())
                yield Heading(begin, 1 if "=" in line["rule"] else 2, title[:MAX_TITLE])


def _words(title: str) -> str:
    words = title.strip()
    bare = words.rstrip("#")
    if not bare or bare[-1] in " \t":  # the marks that close "# Title #"
        words = bare.rstrip()
    return words[:MAX_TITLE]


def _paragraph_start(flat: str, end: int, floor: int) -> int:
    """Where the paragraph that ends at ``end`` begins; ``end`` where there is none."""
    begin = end
    while begin > floor:
        line_start = flat.rfind("\n", floor, begin - 1) + 1 or floor
        if CONTAINER.match(flat, line_start, begin - 1):
            return end
        if INTERRUPTION.match(flat, line_start, begin - 1):
            break
        begin = line_start
    return begin
