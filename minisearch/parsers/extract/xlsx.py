"""XLSX row by row: a sheet a page, hidden ones too, its name the heading; comments and drawings follow.

A sheet goes by as a stream, and no more than a row of it is held as XML: a million cells take seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, cast

from minisearch.parsers.extract import xml
from minisearch.parsers.extract.cells import Format, format_of, said
from minisearch.parsers.extract.contents import Contents, Damaged, Page
from minisearch.parsers.extract.figures import add_shape, shapes
from minisearch.parsers.extract.office import Package, attribute, child, children, local

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_COLUMNS = 16_384
STEP = 1 << 14  # bytes; more elements alive at once take more of the time of Python's garbage collector
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")  # a character that XML would not keep
COLUMN = re.compile("[A-Z]{1,3}")
# In headers and footers: where what follows stands, in which font, and what changes from page to page.
HEADER_CODE = re.compile(r'&(?:"[^"]*"|[0-9]+|K[0-9A-Fa-f]{6}|.)')


def take(data: bytes) -> Contents:
    """Every sheet's rows that hold something; of a formula the value it last had, or else the formula."""
    contents = Contents(has_pages=True)
    package = Package(data, contents)
    main = package.main("xl/workbook.xml")
    root = package.root(main)
    book = _Book(package, main, is_1904=attribute(child(root, "workbookPr"), "date1904") in {"1", "true"})
    package.take_pages(main, children(root, "sheets", "sheet"), "sheets", book.take_sheet)
    if book.n_uncalculated:
        formulas = "1 formula was" if book.n_uncalculated == 1 else f"{book.n_uncalculated:,} formulas were"
        contents.notes.append(f"{formulas} never calculated: read as written, without a value")
    if book.n_lost:
        cells = (
            "1 cell points to a text that is"
            if book.n_lost == 1
            else f"{book.n_lost:,} cells point to texts that are"
        )
        contents.notes.append(f"{cells} missing")
    return contents


class _Book:
    """What the sheets of a workbook share: strings, formats, the day that dates are counted from."""

    def __init__(self, package: Package, main: str, *, is_1904: bool) -> None:
        self._package, self._is_1904 = package, is_1904
        self._strings: list[str] = []
        self._formats: list[Format] = []
        self.n_uncalculated = self.n_lost = 0
        for name in package.parts(main, "sharedStrings"):
            self._take_strings(name)
        for name in package.parts(main, "styles"):
            if (styles := package.optional(name)) is not None:
                self._formats += _formats(styles)

    def _take_strings(self, part: str) -> None:
        try:
            self._strings += (_text(one) for one in _stream(self._package, part, {"si"}))
        except Damaged:
            self._package.contents.leave_out(part)

    def take_sheet(self, page: Page, part: str) -> None:
        """Add a sheet's rows, then what hangs on them."""
        rows: list[dict[int, str]] = []
        said_once: list[str] = []
        for element in _stream(self._package, part, {"row", "headerFooter"}):
            if local(element) == "headerFooter":
                found = (" ".join(HEADER_CODE.sub(" ", one.text or "").split()) for one in element)
                said_once += (words for words in found if re.search(r"[^\W\d_]", words))
            elif row := self._row(element):
                rows.append(row)
        if rows:
            used = sorted(set().union(*rows))  # columns that no row uses would only take room
            page.add_rows([[row.get(column, "") for column in used] for row in rows])
        for words in dict.fromkeys(said_once):
            page.add_text(words)
        self._take_comments(page, part)
        for name in self._package.parts(part, "drawing"):
            self._take_drawing(page, name)

    def _row(self, element: Element) -> dict[int, str]:
        """A row's cells as words by column, without the empty ones."""
        row: dict[int, str] = {}
        column = -1
        for cell in element:
            place = _column(cell.get("r", ""))
            column = column + 1 if place < 0 or place in row else place
            if words := self._words(cell):
                row[column] = words
        return row

    def _words(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        value = formula = ""
        is_formula = False
        for element in cell:
            name = local(element)
            if name == "v":
                value = element.text or ""
            elif name == "is":
                return _text(element).strip()
            elif name == "f":
                is_formula, formula = True, element.text or ""
        if is_formula and not value and kind != "str":  # text without letters is a value too
            self.n_uncalculated += 1
            return f"={formula}" if formula else ""
        if not value:
            return ""
        if kind == "n":
            style = cell.get("s", "0")
            format_ = self._formats[int(style)] if _is_below(style, self._formats) else Format.NUMBER
            return said(value, format_, is_1904=self._is_1904)
        if kind == "s":
            return self._shared(value)
        if kind == "b":
            return str(value == "1")
        return _unescaped(value).strip()

    def _shared(self, index: str) -> str:
        if _is_below(index, self._strings):
            return self._strings[int(index)].strip()
        self.n_lost += 1
        return ""

    def _take_comments(self, page: Page, part: str) -> None:
        """Add comments; where there is a thread, not what stands in for it in older programs."""
        threaded: set[str] = set()
        for kind in ("threadedComment", "comments"):
            for name in self._package.parts(part, kind):
                root = self._package.optional(name)
                for comment in () if root is None else root.iter():
                    place = attribute(comment, "ref")
                    if local(comment) == "threadedComment":
                        threaded.add(place)
                    elif local(comment) != "comment" or place in threaded:
                        continue
                    if words := _text(comment).strip():
                        page.add_text(f"Comment on {place}: {words}")

    def _take_drawing(self, page: Page, part: str) -> None:
        root = self._package.optional(part)
        for shape in () if root is None else shapes(root):
            add_shape(page, self._package, part, shape)


def _is_below(index: str, values: Sized) -> bool:
    return index.isdecimal() and len(index) < 12 and int(index) < len(values)


def _text(element: Element) -> str:
    """A text in one or several runs, without how it is pronounced."""
    parts = []
    for one in element:
        name = local(one)
        if name in {"t", "text"} and not len(one):
            parts.append(_unescaped(one.text or ""))
        elif name != "rPh":
            parts.append(_text(one))
    return "".join(parts)


def _unescaped(text: str) -> str:
    return ESCAPED.sub(lambda code: chr(int(code[1], 16)), text) if "_x" in text else text


def _formats(styles: Element) -> list[Format]:
    """What numbers are, by the number of their cell's style."""
    own = {
        attribute(one, "numFmtId"): attribute(one, "formatCode")
        for one in children(styles, "numFmts", "numFmt")
    }
    codes = [attribute(one, "numFmtId", "0") for one in children(styles, "cellXfs", "xf")]
    return [format_of(int(code) if code.isdecimal() else 0, own.get(code, "")) for code in codes]


def _column(place: str) -> int:
    """The column of "B2" is 1; of a cell that does not say, the next one, which any number below is."""
    letters = COLUMN.match(place)
    column = 0
    for letter in letters[0] if letters else "":
        column = 26 * column + ord(letter) - 64
    return min(column, MAX_COLUMNS) - 1


def _stream(package: Package, part: str, names: set[str]) -> Iterator[Element]:
    """The elements of these names in a part, each forgotten after its turn; Damaged where it is."""
    from xml.etree import ElementTree

    data = package.archive.read(part)
    if not xml.is_sound(data):
        raise Damaged("damaged: the XML in it cannot be read")
    parser: ElementTree.XMLPullParser[Element] = ElementTree.XMLPullParser(("start", "end"))
    around: list[Element] = []
    try:
        for start in range(0, len(data), STEP):
            parser.feed(data[start : start + STEP])
            for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                if event == "start":
                    around.append(element)
                    continue
                around.pop()
                if local(element) in names:
                    yield element
                    if around:
                        around[-1].remove(element)
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Damaged("damaged: the XML in it cannot be read") from error
