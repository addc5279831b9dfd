"""Markdown, kept word for word; what is read is its outline.

Headings are lines with leading ``#`` and paragraphs underlined with ``=`` or ``-``, as CommonMark has
them, outside fenced code, comments, ``<pre>`` and the front matter that some files begin with, whose values
become fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from minisearch.parsers.blocks import blocks
from minisearch.parsers.decode import Source, newlines
from minisearch.parsers.fields import Fields, toml_front_matter, yaml_front_matter
from minisearch.types import Document, Heading

MAX_TITLE = 200  # a title stands in the heading of every chunk below it: a 5 MB "heading" must not

# A rule with a blank line below it begins none, as Pandoc has it.
YAML = re.compile(r"---[ \t]*\n(?![ \t]*\n)(?P<body>(?:[^\n]*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
TOML = re.compile(r"\+\+\+[ \t]*\n(?P<body>(?:[^\n]*\n)*?)\+\+\+[ \t]*(?:\n|\Z)")
FRONT_TITLE = re.compile(r"^title:[ \t]*([^\n]*)$", re.MULTILINE)

# At any depth, for lists: a bare fence opens or closes, one with words behind it only opens.
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

# What ends a paragraph when one looks upwards from its underline: a line of some other kind, or a list
# item or quotation, whose text no rule at the margin can underline.
INTERRUPTION = re.compile(r"[ \t]*$| {4}|\t| {0,3}(?:#{1,6}(?:[ \t]|$)|`{3}|~{3}|\||<|(?:=+|-+)[ \t]*$)")
CONTAINER = re.compile(r" {0,3}(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])")


def read_markdown(source: Source) -> Document:
    """The document, titled by its front matter or its first level-1 heading."""
    flat = newlines(source.text)
    front_end, fields, notes = _front_matter(flat)
    headings = tuple(_headings(flat, front_end))
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
        notes=(*source.notes, *notes),
        fields=fields.found(),
        blocks=blocks(flat, closed_regions(flat), is_lazy=True),
    )


def _front_matter(flat: str) -> tuple[int, Fields, tuple[str, ...]]:
    """Where the front matter ends (0 where there is none), its fields, and notes on it."""
    for pattern, read_fields in ((YAML, yaml_front_matter), (TOML, toml_front_matter)):
        if front := pattern.match(flat):
            return (front.end(), *read_fields(front["body"]))
    return 0, Fields(), ()


def front_matter_end(text: str) -> int:
    """Where the front matter of a Markdown file ends; 0 where it has none."""
    flat = newlines(text)
    return next((front.end() for pattern in (YAML, TOML) if (front := pattern.match(flat))), 0)


def first_title(headings: tuple[Heading, ...]) -> str:
    """The words of the first level-1 heading, "" when there is none."""
    return next((heading.title for heading in headings if heading.level == 1), "")


def closed_regions(flat: str) -> list[tuple[int, int]]:
    """Where fenced code, comments and ``<pre>`` begin and end, in order; an open one reaches to the end."""
    regions: list[tuple[int, int]] = []
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


def _headings(flat: str, start: int) -> Iterator[Heading]:
    regions = iter([*closed_regions(flat), (len(flat) + 1, len(flat) + 1)])
    region = next(regions)
    floor = start  # where the paragraph under way may at the earliest begin
    for line in HEADING.finditer(flat, start):
        while region[1] <= line.start():
            floor = max(floor, region[1])
            region = next(regions)
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
    """Where the paragraph that ends at ``end`` begins; ``end`` when there is none."""
    begin = end
    while begin > floor:
        line_start = flat.rfind("\n", floor, begin - 1) + 1 or floor
        if CONTAINER.match(flat, line_start, begin - 1):
            return end
        if INTERRUPTION.match(flat, line_start, begin - 1):
            break
        begin = line_start
    return begin
