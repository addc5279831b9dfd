"""XLSX: each sheet is a page with its name as heading, then its rows, headers, comments and drawings.

Rows are read as a stream, so that no more than one row is held as XML: a million cells take seconds.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import iterate_xml, tag_name
from minisearch.parsers.contents import LEFT, Contents, DamagedPart, Pieces, text_piece
from minisearch.parsers.office import (
    Package,
    add_shape,
    attribute,
    child,
    children,
    format_number,
    number_format,
    shapes,
    whole_number,
)
from minisearch.text import A_LETTER

MAX_COLUMNS = 16_384
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")  # a character that XML cannot hold
COLUMN = re.compile("[A-Z]{1,3}")
# Codes in headers and footers: alignment, font, and fields such as the page number.
HEADER_CODE = re.compile(r'&(?:"[^"]*"|[0-9]+|K[0-9A-Fa-f]{6}|.)')


Area = tuple[int, int, int, int]  # first and last row, first and last column


def extract(data: bytes) -> dict[str, Any]:
    """Every sheet, also hidden ones; a formula gives its last value, or itself where there is none."""
    contents = Contents(has_pages=True)
    package = Package(data, contents)
    main = package.main("xl/workbook.xml")
    root = package.root(main)
    book = _Workbook(package, main, is_1904=attribute(child(root, "workbookPr"), "date1904") in {"1", "true"})
    package.add_pages(main, children(root, "sheets", "sheet"), "sheets", book.add_sheet)
    contents.count("formulas that were never calculated, read as written", book.n_uncalculated)
    contents.count("cells that point to a missing text", book.n_lost)
    return contents.as_json()


class _Workbook:
    """What the sheets of a workbook share: strings, number formats, and the first day of its calendar."""

    def __init__(self, package: Package, main: str, *, is_1904: bool) -> None:
        self._package, self._is_1904 = package, is_1904
        self._strings: list[str] = []
        self._formats: list[str] = []
        self.n_uncalculated = self.n_lost = 0
        for name in package.parts(main, "sharedStrings"):
            self._add_strings(name)
        for _, styles in package.roots(main, "styles"):
            self._formats += _formats(styles)

    def _add_strings(self, part: str) -> None:
        try:
            self._strings += map(_text, iterate_xml(self._package.archive.read(part), {"si"}))
        except DamagedPart:
            self._package.contents.note_unreadable(part)

    def add_sheet(self, page: Pieces, part: str) -> None:
        """Add a sheet's rows, headers and footers, comments, and drawings."""
        rows: list[dict[int, str]] = []
        numbers: list[int] = []
        number = 0
        headers: dict[str, None] = {}
        merged: list[Area] = []
        for element in iterate_xml(self._package.archive.read(part), {"row", "headerFooter", "mergeCell"}):
            if tag_name(element) == "mergeCell":
                merged += _merged(element.get("ref", ""))
            elif tag_name(element) == "headerFooter":
                texts = (" ".join(HEADER_CODE.sub(" ", one.text or "").split()) for one in element)
                headers |= dict.fromkeys(filter(A_LETTER.search, texts))
            else:
                number = whole_number(element.get("r", "")) or number + 1
                if row := self._row(element):
                    rows.append(row)
                    numbers.append(number)
        used = sorted(set().union(*rows))  # columns that no row uses would only take room
        _fill(rows, numbers, used, merged)
        cells = [[row.get(column, "") for column in used] for row in rows]
        page.append({"rows": cells, "lines": numbers})
        page += map(text_piece, headers)
        self._add_comments(page, part)
        for name, root in self._package.roots(part, "drawing"):
            for shape in shapes(root):
                add_shape(page, self._package, name, shape)

    def _row(self, element: Element) -> dict[int, str]:
        """The cells of a row that are not empty, by column."""
        row: dict[int, str] = {}
        column = -1
        for cell in element:
            place = _column(cell.get("r", ""))
            column = column + 1 if place < 0 or place in row else place
            if words := self._cell(cell):
                row[column] = words
        return row

    def _cell(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        parts = {tag_name(element): element for element in cell}
        if "is" in parts:
            return _text(parts["is"]).strip()
        value = parts["v"].text or "" if "v" in parts else ""
        if "f" in parts and not value and kind != "str":  # an empty text is a value, too
            self.n_uncalculated += 1
            return f"={parts['f'].text}" if parts["f"].text else ""
        if not value:
            return ""
        if kind == "n":
            format_ = _item(self._formats, cell.get("s", "0")) or ""
            return format_number(value, format_, is_1904=self._is_1904)
        if kind == "s":
            words = _item(self._strings, value)
            self.n_lost += words is None
            return (words or "").strip()
        if kind == "b":
            return str(value == "1")
        return _unescaped(value).strip()

    def _add_comments(self, page: Pieces, part: str) -> None:
        """Add comments; where a cell has a thread, not the copy that older programs show."""
        threaded: set[str] = set()
        for kind in ("threadedComment", "comments"):
            for _, root in self._package.roots(part, kind):
                for comment in root.iter():
                    place = attribute(comment, "ref")
                    if tag_name(comment) == "threadedComment":
                        threaded.add(place)
                    elif tag_name(comment) != "comment" or place in threaded:
                        continue
                    if words := _text(comment).strip():
                        line = whole_number(place.lstrip(ascii_uppercase))
                        page.append(text_piece(f"Comment on {place}: {words}", line=line))


def _item(values: Sequence[str], index: str) -> str | None:
    is_index = index.isdecimal() and len(index) < 12 and int(index) < len(values)
    return values[int(index)] if is_index else None


def _text(element: Element) -> str:
    """A text in one or several runs, without phonetic guides."""
    parts = []
    for one in element:
        name = tag_name(one)
        if name in {"t", "text"} and not len(one):
            parts.append(_unescaped(one.text or ""))
        elif name != "rPh":
            parts.append(_text(one))
    return "".join(parts)


def _unescaped(text: str) -> str:
    return ESCAPED.sub(lambda code: chr(int(code[1], 16)), text) if "_x" in text else text


def _formats(styles: Element) -> list[str]:
    """The number format of each cell style, by its index."""
    own = {
        attribute(one, "numFmtId"): attribute(one, "formatCode")
        for one in children(styles, "numFmts", "numFmt")
    }
    ids = [attribute(one, "numFmtId", "0") for one in children(styles, "cellXfs", "xf")]
    return [number_format(whole_number(id_), own.get(id_, "")) for id_ in ids]


def _merged(reference: str) -> list[Area]:
    """The area of a merged cell, such as "A3:B5"; nothing for what is none."""
    first, _, last = reference.partition(":")
    top, bottom = (whole_number(place.lstrip(ascii_uppercase)) for place in (first, last))
    left, right = _column(first), _column(last)
    return [(top, bottom, left, right)] if 0 < top <= bottom and 0 <= left <= right else []


def _fill(rows: list[dict[int, str]], numbers: list[int], used: list[int], merged: list[Area]) -> None:
    """Repeat a merged cell in each of its rows that has other cells, and mark the columns that it covers.

    See `filled_down` for the first row.
    """
    room = len(rows) * len(used)  # merged cells never overlap
    for top, bottom, left, right in sorted(merged):
        start, after = bisect_left(numbers, top), bisect_right(numbers, bottom)
        columns = used[bisect_left(used, left) : bisect_right(used, right)]
        room -= (after - start) * len(columns)
        if room < 0:
            return
        words = rows[start].get(left, "") if start < after and numbers[start] == top else ""
        for row in rows[start : after if start else 1] if words else ():
            row |= dict.fromkeys(columns, LEFT) | {left: words} | row


def _column(place: str) -> int:
    """The column of a cell: 1 for "B2"; negative for a cell without a place, which takes the next column."""
    letters = COLUMN.match(place)
    column = 0
    for letter in letters[0] if letters else "":
        column = 26 * column + ord(letter) - 64
    return min(column, MAX_COLUMNS) - 1
