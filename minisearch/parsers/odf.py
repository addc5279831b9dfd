"""OpenDocument: texts, spreadsheets and presentations, as LibreOffice writes them, zipped or as flat XML.

The paragraphs of a text are numbered, and a footnote or comment follows its paragraph.  Each sheet is a page
whose cells have the words that are shown; each slide is a page with its notes.  Deleted text is left out.
https://docs.oasis-open.org/office/OpenDocument/v1.3/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import Archive, iterate_xml, parse_xml, tag_name
from minisearch.parsers.contents import (
    LEFT,
    Contents,
    ExtractionError,
    Pieces,
    filled_down,
    paragraph,
    text_piece,
    unnumbered,
    words_of,
)
from minisearch.parsers.docx_styles import NUMBER_FORMATS
from minisearch.parsers.office import attribute, child, children, is_description, optional_root, whole_number
from minisearch.parsers.pptx import Box, in_rows

AUTHOR = "initial-creator"  # "creator" is who changed it last
PROPERTIES = {"creator": "author", AUTHOR: "author", "creation-date": "created", "date": "modified"}
PROPERTIES |= {"keyword": "keywords"}
PROPERTIES |= {name: name for name in ("title", "subject", "description", "language")}
SKIPPED = {
    *("tracked-changes", "forms", "sequence-decls", "variable-decls", "user-field-decls", "ruby-text"),
    *("note-citation", "binary-data", "event-listeners", "page-number", "page-count", "creator", "date"),
}
SIGNS = {"tab": " ", "line-break": "\n", "s": " "}
FLAT = re.compile(rb"<[\w-]{1,20}:document[\s>]")  # the whole document as one element
KIND = re.compile(rb"<[\w-]{1,20}:(spreadsheet|presentation)[\s/>]")
ASIDES = {"note": "Footnote", "annotation": "Comment"}
VALUES = ("date-value", "time-value", "boolean-value", "value")
MAX_REPEATED = 1_000  # times that a filled row or cell counts; empty ones may fill a sheet

LIST_FORMATS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
LENGTH = re.compile(r"(-?\d{0,6}(?:\.\d{1,6})?)(mm|cm|in|pt|px|)")
MICROMETRES = {"mm": 1_000, "cm": 10_000, "in": 25_400, "pt": 353, "px": 265, "": 1_000}
TRANSLATED = re.compile(r"translate\s*\(\s*(\S{1,20})\s+([^\s)]{1,20})")

Cells = list[str | None]


def extract(data: bytes) -> dict[str, Any]:
    """The body of the document; its kind is that of the element in it."""
    contents = Contents(has_pages=False)
    objects: set[str] = set()
    if FLAT.search(data[:10_000]):
        content, meta = data, parse_xml(data)
        styles, kind = meta, attribute(meta, "mimetype").rpartition(".")[2]
    else:
        archive = Archive(data)
        manifest = "META-INF/manifest.xml"
        if manifest in archive and b"encryption-data" in archive.read(manifest):
            raise ExtractionError("encrypted")
        content = archive.read("content.xml")
        meta = optional_root(archive, contents, "meta.xml")
        styles = optional_root(archive, contents, "styles.xml")
        found = KIND.search(content)
        kind = found[1].decode() if found else "text"
        objects = {name.partition("/")[0] for name in archive.names if name.startswith("Object ")}
    contents.has_pages = kind in {"spreadsheet", "presentation"}
    for element in children(meta, "meta"):
        names = PROPERTIES if child(element, AUTHOR) is None else PROPERTIES | {"creator": ""}
        for one in element:
            if name := names.get(tag_name(one)):
                contents.add_property(name, one.text)
    if kind == "spreadsheet":
        contents.pages += _sheets(content)
    elif kind == "presentation":
        contents.pages += map(_slide, children(parse_xml(content), "body", "presentation", "page"))
    else:
        root = parse_xml(content)
        lists = [*children(styles, "styles", "list-style"), *children(root, "automatic-styles", "list-style")]
        text = _Reader(lists).read(children(root, "body", "text"))
        masters = children(styles, "master-styles", "master-page")
        above, below = (_once(masters, name) for name in ("header", "footer"))
        contents.pages.append([*above, *text, *below])
    contents.count("embedded objects left out", len(objects))
    return contents.as_json()


def _once(masters: list[Element], name: str) -> Pieces:
    found = dict.fromkeys(_words(one) for master in masters for one in children(master, name))
    return [piece for words in found for piece in paragraph(words)]


class _Reader:
    """Reads elements in order; the words of a paragraph are collected until it ends."""

    def __init__(self, list_styles: Iterable[Element] = ()) -> None:
        self._levels = {
            (attribute(style, "name"), attribute(level, "level")): level
            for style in list_styles
            for level in style
        }
        self._lists: list[
            tuple[str, int]
        ] = []  # the styles of the open ones, and the number of the last item
        self._last: dict[tuple[str, int], int] = {}  # of lists that another may continue
        self._label = ""  # before the next paragraph
        self._pieces: Pieces = []
        self._after: Pieces = []  # what follows the current paragraph
        self._parts: list[str] = []
        self._n_paragraphs = 0
        self._is_in_item = False

    def read(self, elements: Iterable[Element]) -> Pieces:
        """The pieces of some elements, or of those in an element."""
        outer = self._pieces, self._after, self._parts
        self._pieces, self._after, self._parts = [], [], []
        for one in elements:
            self._add(one)
        self._end_paragraph()
        pieces = self._pieces
        self._pieces, self._after, self._parts = outer
        return pieces

    def _add(self, element: Element) -> None:
        name = tag_name(element)
        if name in {"p", "h"}:
            self._end_paragraph()
            self._add_inner(element)
            level = attribute(element, "outline-level", "1")
            self._end_paragraph(whole_number(level, 1) if name == "h" else 0)
        elif name == "table":
            self._end_paragraph()
            tall: dict[int, int] = {}
            rows, lines = list[Cells](), list[int]()
            for row in _rows(element):
                lines.append(self._n_paragraphs + 1)
                rows.append(_row(self, row, tall))
            self._pieces.append({"rows": filled_down(rows), "lines": lines})
        elif name == "list":
            style = attribute(element, "style-name") or (self._lists[-1][0] if self._lists else "")
            place = style, len(self._lists)
            continues = "true" in attribute(element, "continue-numbering") or attribute(
                element, "continue-list"
            )
            self._lists.append((style, self._last.get(place, 0) if continues else self._start(*place) - 1))
            self._add_inner(element)
            self._last[place] = self._lists.pop()[1]
        elif name == "list-item":
            self._end_paragraph()
            self._label = self._next_label(element)
            is_next = self._pieces and ("group" in self._pieces[-1] or self._is_in_item)
            outer, self._is_in_item = self._is_in_item, True
            item = {"group": self.read(element), "kind": "next item" if is_next else "item"}
            self._pieces.append(item)
            self._is_in_item = outer
        elif name == "text-box":
            self._after += self.read(element)
        elif name in ASIDES:
            who = "".join(text for one in children(element, "creator") for text in one.itertext())
            label = f"{ASIDES[name]} by {who}" if who else ASIDES[name]
            words = _words(element)
            self._after += [text_piece(f"{label}: {words}")] * bool(words)
        elif name in {"title", "desc"} and "svg" in element.tag:
            words = (element.text or "").strip()
            self._parts.append(f" {words} " if is_description(words) else "")
        elif name not in SKIPPED:
            self._parts.append(SIGNS.get(name, ""))
            self._add_inner(element)

    def _add_inner(self, element: Element) -> None:
        self._parts.append((element.text or "").replace("\n", " "))
        for one in element:
            self._add(one)
            self._parts.append((one.tail or "").replace("\n", " "))

    def _start(self, style: str, depth: int) -> int:
        return whole_number(attribute(self._levels.get((style, str(depth + 1))), "start-value"), 1)

    def _next_label(self, item: Element) -> str:
        """The number of the next item of the innermost list; "" for a bullet."""
        style, number = self._lists.pop() if self._lists else ("", 0)
        number = whole_number(attribute(item, "start-value"), number + 1)
        self._lists.append((style, number))
        level = self._levels.get((style, str(len(self._lists))))
        if level is None or not attribute(level, "num-format"):
            return ""
        n_shown = whole_number(attribute(level, "display-levels"), 1)
        first = max(len(self._lists) - n_shown, 0)
        numbers = []
        for depth, (_, count) in enumerate(self._lists[first:], start=first + 1):
            format_ = attribute(self._levels.get((style, str(depth))), "num-format")
            numbers.append(NUMBER_FORMATS.get(LIST_FORMATS.get(format_, ""), str)(count))
        return f"{attribute(level, 'num-prefix')}{'.'.join(numbers)}{attribute(level, 'num-suffix')} "

    def _end_paragraph(self, level: int = 0) -> None:
        words = "".join(self._parts)
        if words.strip():
            words, self._label = self._label + words, ""
        pieces = paragraph(words, level, self._n_paragraphs + 1)
        self._n_paragraphs += len(pieces)
        self._pieces += pieces + self._after
        self._parts, self._after = [], []


def _words(elements: Iterable[Element]) -> str:
    return " ".join(words_of(_Reader().read(elements)).split())


def _slide(slide: Element) -> Pieces:
    """A slide: its title as heading, its shapes as they are seen, its comments and notes."""
    title = next((one for one in slide if attribute(one, "class") == "title"), None)
    boxes: list[tuple[Box, Element]] = []
    for one in slide:
        if one is not title and tag_name(one) != "notes":
            boxes.append((_box(one) or (boxes[-1][0] if boxes else (0, 0, 0)), one))
    shapes = in_rows(boxes)
    notes = " ".join(_words([one]) for one in children(slide, "notes", "frame"))
    pieces = paragraph("" if title is None else _words([title]), level=1) + _Reader().read(shapes)
    pieces += [text_piece(f"Notes: {notes}")] * bool(notes.strip())
    return unnumbered(pieces)


def _box(shape: Element) -> Box | None:
    """Where a shape, or the first one of a group, stands; None where it does not say."""
    moved = TRANSLATED.search(attribute(shape, "transform"))
    places = (*moved.groups()[::-1],) if moved else (attribute(shape, "y"), attribute(shape, "x"))
    lengths = [LENGTH.fullmatch(place) for place in (*places, attribute(shape, "height") or "0")]
    if any(not length or not length[1] for length in lengths):
        return next(filter(None, map(_box, shape)), None) if tag_name(shape) == "g" else None
    top, left, height = (int(float(one[1]) * MICROMETRES[one[2]]) for one in lengths if one)
    return top, left, height


def _sheets(content: bytes) -> Iterator[Pieces]:
    """A page for each sheet; one row is held as XML at a time."""
    rows: list[Cells] = []
    lines: list[int] = []
    number, tall = 1, dict[int, int]()
    for element in iterate_xml(content, {"table-row", "table"}):
        if tag_name(element) == "table":
            table: Pieces = [{"rows": filled_down(rows), "lines": lines}] if rows else []
            yield paragraph(attribute(element, "name"), level=1) + table
            rows, lines, number, tall = [], [], 1, {}
            continue
        row = _row(_Reader(), element, tall)
        while row and not row[-1]:
            row.pop()
        n_rows = whole_number(attribute(element, "number-rows-repeated"), 1)
        if row:
            rows += [row] * min(n_rows, MAX_REPEATED)
            lines += range(number, number + min(n_rows, MAX_REPEATED))
        number += n_rows


def _rows(element: Element) -> Iterator[Element]:
    """The rows of a table, also within its header or a group."""
    for one in element:
        if tag_name(one) == "table-row":
            yield one
        else:
            yield from _rows(one)


def _row(reader: _Reader, row: Element, tall: dict[int, int]) -> Cells:
    """What each cell shows, or its value; None where one continues from above.

    ``tall`` has the number of rows that the cell of each column still covers.
    """
    cells: Cells = []
    for cell in row:
        words = " ".join(words_of(reader.read(cell)).split())
        words = words or next(filter(None, (attribute(cell, name) for name in VALUES)), "")
        n_rows = whole_number(attribute(cell, "number-rows-spanned"), 1)
        for _ in range(min(whole_number(attribute(cell, "number-columns-repeated"), 1), MAX_REPEATED)):
            n_covered = tall.get(len(cells), 0)
            is_covered = tag_name(cell) == "covered-table-cell" and not words
            tall[len(cells)] = max(n_rows, n_covered) - 1
            cells.append(words if not is_covered else None if n_covered > 0 else LEFT)
    return cells
