"""Markdown: its text, headings and blocks, and its front matter as fields.

The text is that of the file, but for rows of tables, links such as ``[[page|words]]``, and callouts.

Headings are lines that begin with ``#`` and paragraphs underlined with ``=`` or ``-``, as in CommonMark, but
not those in fenced code, comments, ``<pre>`` and front matter.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minisearch.parsers.blocks import blanked, blocks, drawn_tables, row_edits
from minisearch.parsers.source import MAX_NAME, MAX_TITLE, Block, Edit, Fields, Source, edited, top_title
from minisearch.text import front_matter, newlines
from minisearch.types import Document, Heading

if TYPE_CHECKING:
    import yaml

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

# Code; or a link as in Obsidian and wikis, whose bar is escaped in a table.
LINK = re.compile(
    r"`[^`\n]+`|(?<![\w\]])!?\[\[(?![\s\[])(?P<page>[^\[\]|\n]{1,300}?)"
    r"(?:\\?\|(?P<words>[^\[\]\n]{1,300}))?\]\](?![(\[])"
)
# "> [!note] Title", and ":::note Title" with variants of Docusaurus, MyST and Quarto; ":::" alone closes it.
QUOTED_CALLOUT = re.compile(
    r"^[ \t]*(?:>[ \t]*)+(?P<mark>\[!(?P<kind>[A-Za-z][\w-]*)\][-+]?[ \t]*)", re.MULTILINE
)
FENCED_CALLOUT = re.compile(
    r"^[ \t>]*(?P<mark>:{3,}[ \t]*(?P<class>\{\.)?\{?(?P<kind>[A-Za-z][\w-]*)?(?P<rest>[^\n]*))$",
    re.MULTILINE,
)
CALLOUT_TITLE = re.compile(r"title=\"([^\"\n]*)\"|^\[([^\]\n]*)\]|^\}?[ \t]+([^{}\n]*)$")


def read_markdown(source: Source) -> Document:
    """The document, titled by its front matter or its one level-1 heading."""
    flat = newlines(source.text)
    fields, note, front_end = Fields(), "", 0
    if front := front_matter(flat):
        front_end = front.end()
        if len(front["body"]) > MAX_FRONT_MATTER:
            note = f"front matter of more than {MAX_FRONT_MATTER // 1024} KB: its fields are left out"
        else:
            read_fields = _yaml_fields if front["yaml"] else _toml_fields
            fields, note = read_fields(front["body"])
    regions = _closed_regions(flat)
    visible = blanked(flat, [(0, front_end), *regions] if front_end else regions)
    headings = tuple(_headings(visible, front_end))
    title = " ".join(fields.text("title").split())
    if not title and (found := FRONT_TITLE.search(flat, 0, front_end)):
        title = found[1].strip().strip("\"'")
    tables = drawn_tables(visible)
    document = replace(
        source.unchanged("markdown", *fields.notes(), *filter(None, [note])),
        title=title[:MAX_TITLE] or top_title(headings),
        headings=headings,
        fields=fields.found(),
        blocks=blocks(flat, tables, regions, is_lazy=True),
    )
    edits: list[Edit] = []
    for edit in sorted([*row_edits(flat, tables), *_links(visible), *_callouts(visible)]):
        if not edits or edit[0] >= edits[-1][1]:
            edits.append(edit)
    return edited(document, edits)


def _links(visible: str) -> Iterator[Edit]:
    """Edits that leave the words of a link such as ``[[page|words]]``, or the page where it has none."""
    for link in LINK.finditer(visible):
        if link["page"]:  # else it is code
            first, last = link.span("words" if link["words"] else "page")
            yield link.start(), first, ""
            yield last, link.end(), ""


def _callouts(visible: str) -> Iterator[Edit]:
    """Edits that make "Note: Title" of the first lines of callouts."""
    for callout in QUOTED_CALLOUT.finditer(visible):
        yield *callout.span("mark"), f"{callout['kind'].capitalize()}: "
    for callout in FENCED_CALLOUT.finditer(visible):
        kind = callout["kind"] or ""
        if callout["class"]:  # others are about the layout, such as "column"
            kind = kind.removeprefix("callout-") if kind.startswith("callout-") else ""
        title = CALLOUT_TITLE.search(callout["rest"]) if kind else None
        words = title[title.lastindex] if title and title.lastindex else ""
        yield (
            *callout.span("mark"),
            f"{kind.capitalize()}: {words}".strip(": ") + ":" * (kind != "" and not words),
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


def _headings(visible: str, start: int) -> Iterator[Heading]:
    floor = start  # the end of the last heading
    for line in HEADING.finditer(visible, start):
        if line["marks"]:
            yield Heading(line.start(), len(line["marks"]), _words(line["title"] or ""))
        elif (begin := _paragraph_start(visible, line.start(), floor)) < line.start():
            title = " ".join(visible[begin : line.start()].split())
            yield Heading(begin, 1 if "=" in line["rule"] else 2, title[:MAX_TITLE])
        floor = line.end()


def _words(title: str) -> str:
    return re.sub(r"(?:^|(?<![ \t])[ \t]+)#+$", "", title.strip())[
        :MAX_TITLE
    ]  # the marks that close "# Title #"


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


# --- front matter ------------------------------------------------------------------------------------------
# Untrusted: no code in it is run, and none takes long, for its length, names, values and nodes are bounded.

MAX_FRONT_MATTER = 64 * 1024  # characters; PyYAML needs about half a second for them
MAX_NODES = 5_000  # of a YAML tree: aliases make endless ones of a few lines

KEY = re.compile(r"^[\w-]+:", re.MULTILINE)


def _yaml_fields(text: str) -> tuple[Fields, str]:
    """The fields of a YAML mapping, and a note; no fields where it is something else.

    PyYAML composes the tree but constructs plain values only, so no tag in it creates an object.
    """
    import yaml  # takes 20 ms, and few documents need it

    fields = Fields()
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if isinstance(root, yaml.MappingNode):
                _add_yaml(loader, fields, root)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # "\UFFFFFFFF" raises no YAMLError
        if not KEY.search(text):
            return Fields(), ""  # prose between two rules
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark else ""
        return Fields(), f"front matter is not YAML{where}: its fields are left out"
    except RecursionError:
        return Fields(), "front matter is nested too deep: its fields are left out"
    return fields, ""


def _add_yaml(loader: yaml.SafeLoader, fields: Fields, root: yaml.Node) -> None:
    """Add the values of a tree; a bounded number of them, for an alias may lead back to a node above."""
    n_nodes = 0

    def add(node: yaml.Node, name: str, *, is_item: bool = False) -> None:
        nonlocal n_nodes
        n_nodes += 1
        if n_nodes > MAX_NODES or len(name) > MAX_NAME or (is_item and node.id != "scalar"):
            fields.leave_out()
        elif node.id == "scalar":
            _add_scalar(loader, fields, node, name)
        elif node.id == "sequence":
            for item in node.value:
                add(item, name, is_item=True)
        else:
            for key, value in node.value:
                if key.id == "scalar" and key.value != "<<":
                    add(value, f"{name}.{key.value}" if name else key.value)
                else:
                    fields.leave_out()

    add(root, "")


def _add_scalar(loader: yaml.SafeLoader, fields: Fields, node: yaml.ScalarNode, name: str) -> None:
    is_plain = node.style is None
    implied = loader.resolve(type(node), node.value, (is_plain, not is_plain))
    is_time = ":" in node.value and implied.endswith((":int", ":float"))
    if node.tag == "tag:yaml.org,2002:str" or is_time:
        fields.add(name, node.value)  # 12:30 is a time, though in YAML 1.1 it is the number 750
    elif node.tag != implied:
        fields.leave_out()
    else:
        try:
            fields.add(name, loader.construct_object(node))
        except (ValueError, OverflowError):  # 2024-02-30, or 5,000 digits
            fields.add(name, node.value)


def _toml_fields(text: str) -> tuple[Fields, str]:
    """The fields of a TOML document, and a note."""
    fields = Fields()
    try:
        _add_table(_toml_table(text), "", fields)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:100]
        return Fields(), f"TOML front matter ({reason}): its fields are left out"
    return fields, ""


def _toml_table(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    raise ValueError("reading it takes Python 3.11")


def _add_table(table: dict[str, Any], prefix: str, fields: Fields) -> None:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _add_table(value, f"{name}.", fields)
        elif isinstance(value, list):
            fields.add_all(name, value)
        else:
            fields.add(name, value)
