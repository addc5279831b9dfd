"""Markdown: its text, headings and blocks, and its front matter as fields.

The text is that of the file without front matter and comments, but for rows of tables, links such as
``[[page|words]]``, and callouts.  Front matter that is no mapping, or of which something cannot be kept,
stays in the text, and so does that of a file without other text.

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
PICTURE_SIZE = re.compile(r"(?:^|\|)\d+(?:x\d+)?$")
# Code; or what begins or ends a comment of HTML or Obsidian.
COMMENT_EDGE = re.compile(
    r"`[^`\n]+`|(?P<begin><!--)|(?P<end>-->)|(?P<begins>(?<![\w%])(?=%%(?!%)))?%%(?P<ends>(?![\w%]))?"
)
CALLOUT_TITLE = re.compile(r"title=\"([^\"\n]*)\"|^\[([^\]\n]*)\]|^\}?[ \t]+([^{}\n]*)$")


def read_markdown(source: Source) -> Document:
    """The document, titled by its front matter or its one level-1 heading."""
    flat = newlines(source.text)
    fields, note, front_end, edits = Fields(), "", 0, list[Edit]()
    if front := front_matter(flat):
        front_end = front.end()
        fields, note = _front_fields(front)
        if fields.are_whole and not note and flat[front_end:].strip():
            edits.append((0, front_end, ""))
    regions = _closed_regions(flat)
    code = [one for one in regions if not flat[slice(*one)].lstrip().startswith("<!--")]
    comments = list(_comments(blanked(flat, [(0, front_end), *code])))
    visible = blanked(blanked(flat, [(0, front_end), *regions]), comments)
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
        names=fields.names() if edits else (),
        blocks=blocks(flat, tables, regions, is_lazy=True),
    )
    left_out = ((start, end, "") for start, end in comments)
    if n_notes := sum(flat.startswith("%%", start) for start, _ in comments):
        document = replace(document, notes=(*document.notes, f"comments left out (%%): {n_notes:,}"))
    for edit in sorted([*row_edits(flat, tables), *_links(visible), *_callouts(visible), *left_out]):
        if not edits or edit[0] >= edits[-1][1]:
            edits.append(edit)
    return edited(document, edits)


def _comments(visible: str) -> Iterator[Block]:
    """Where comments of HTML and Obsidian stand; one without an end is text."""
    start, end = -1, ""
    for edge in COMMENT_EDGE.finditer(visible):
        begins, ends = (edge["begin"], edge["begins"]), (edge["end"], edge["ends"])
        if start < 0 and any(one is not None for one in begins):
            start, end = edge.start(), "-->" if edge["begin"] else "%%"
        elif start >= 0 and edge[0] == end and any(one is not None for one in ends):
            yield start, edge.end()
            start = -1


def _links(visible: str) -> Iterator[Edit]:
    """Edits that make "words (page)" of ``[[page|words]]``, and "page > part" of ``[[page#part]]``.

    Beside words the page is named without its folders, and only where they do not say it.
    """
    for link in LINK.finditer(visible):
        if not link["page"]:  # it is code
            continue
        words = PICTURE_SIZE.sub("", link["words"] or "")
        page = link["page"].partition("#^")[0]
        first, shown = link.start("words" if words else "page"), words or page
        target = page.rpartition("/")[2].removesuffix(".md").strip("#")
        is_said = not words or target.casefold() in words.casefold()
        yield link.start(), first, ""
        for mark in re.finditer("#+", "" if words else page):
            yield first + mark.start(), first + mark.end(), " > " * (mark.start() > 0)
        yield first + len(shown), link.end(), "" if is_said else f" ({target.replace('#', ' > ')})"


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


def _front_fields(front: re.Match[str]) -> tuple[Fields, str]:
    """The fields, and a note where they cannot be read; no fields where it is no mapping."""
    text, fields = front["body"], Fields()
    if len(text) > MAX_FRONT_MATTER:
        return fields, f"front matter of more than {MAX_FRONT_MATTER // 1024} KB: its fields are left out"
    try:
        if front["yaml"]:
            _add_yaml(fields, text)
        else:
            _add_toml(fields, _toml_table(text), "")
    except RecursionError:
        return Fields(), "front matter is nested too deep: its fields are left out"
    except ValueError as error:
        is_prose = front["yaml"] and not KEY.search(text)  # between two rules
        return Fields(), "" if is_prose else f"front matter is not {error}: its fields are left out"
    return fields, ""


def _add_yaml(fields: Fields, text: str) -> None:
    """Add the fields of a YAML mapping; ValueError with "YAML" and the line where it is not YAML.

    PyYAML composes the tree but constructs plain values only, so no tag in it creates an object.
    """
    import yaml  # takes 20 ms, and few documents need it

    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if isinstance(root, yaml.MappingNode):
                _add_tree(loader, fields, root)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # "\UFFFFFFFF" raises no YAMLError
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"YAML (line {mark.line + 2})" if mark else "YAML") from error


def _add_tree(loader: yaml.SafeLoader, fields: Fields, root: yaml.Node) -> None:
    """Add the values of a tree; a bounded number of them, for an alias may lead back to a node above."""
    n_nodes = 0

    def add(node: yaml.Node, name: str, *, is_item: bool = False) -> None:
        nonlocal n_nodes
        n_nodes += 1
        if n_nodes > MAX_NODES or len(name) > MAX_NAME:
            fields.leave_out()
        elif node.id == "scalar":
            _add_scalar(loader, fields, node, name, is_item=is_item)
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


def _add_scalar(
    loader: yaml.SafeLoader, fields: Fields, node: yaml.ScalarNode, name: str, *, is_item: bool
) -> None:
    is_plain = node.style is None
    implied = loader.resolve(type(node), node.value, (is_plain, not is_plain))
    is_time = ":" in node.value and implied.endswith((":int", ":float"))
    if node.tag == "tag:yaml.org,2002:str" or is_time:
        fields.add(name, node.value, is_item=is_item)  # 12:30 is a time, though 750 in YAML 1.1
    elif node.tag != implied:
        fields.leave_out()
    else:
        try:
            fields.add(name, loader.construct_object(node), written=node.value, is_item=is_item)
        except (ValueError, OverflowError):  # 2024-02-30, or 5,000 digits
            fields.add(name, node.value)


def _toml_table(text: str) -> dict[str, Any]:
    """The table of a TOML document; ValueError with the reason where it is none."""
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            return tomllib.loads(text)
        except ValueError as error:
            raise ValueError(f"TOML ({str(error).partition(chr(10))[0][:100]})") from error
    raise ValueError("read: TOML takes Python 3.11")


def _add_toml(fields: Fields, value: object, name: str, *, is_item: bool = False) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _add_toml(fields, inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for item in value:
            _add_toml(fields, item, name, is_item=True)
    else:
        fields.add(name, value, is_item=is_item)
