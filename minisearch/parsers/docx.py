"""DOCX to HTML, whose headings and lists our own HTML reader understands, with rows of tables in between.

A footnote, a comment and a text box follow the paragraph they hang on; what stands on every page, as a header
does, comes once.  Of tracked changes the text as it would be with all of them accepted.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING

from minisearch.parsers.archive import tag_name
from minisearch.parsers.contents import Contents, Page
from minisearch.parsers.docx_styles import Styles
from minisearch.parsers.figures import add_figure, is_description
from minisearch.parsers.office import Package, Rows, attribute, child, children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from xml.etree.ElementTree import Element

TAG = re.compile("<[^>]*>")
STRUCTURE = re.compile("<(?:table|h[1-6])>")  # a row of words would lose it
MAX_CELL = 2_000  # characters of HTML; pages stand beside each other in longer ones
MAX_SPAN = 63  # columns that a table of Word can have

WORD = re.compile(r"[^\W\d_]")
# Not the text: how it looks, what it was, what a field asks for. Deleted text is no "t" in any case.
SKIPPED = {
    *("pPr", "rPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr", "sdtPr", "sdtEndPr", "rubyPr"),
    *("del", "moveFrom", "instrText", "delText", "delInstrText"),
}
BETWEEN = {"tab": " ", "ptab": " ", "br": "<br>", "cr": "<br>", "noBreakHyphen": "\u2011"}
# How equations are written in one line.
EQUATION = {"den": "/", "sup": "^", "sub": "_"}
ASIDES = {"footnotes": "Footnote", "endnotes": "Endnote", "comments": "Comment"}
PRIVATE = range(0xE000, 0xF900)  # what a font of symbols shows there, only the font knows


def extract(data: bytes) -> Contents:
    """The body between headers and footers."""
    contents = Contents(has_pages=False)
    package = Package(data, contents)
    main = package.main("word/document.xml")
    styles = Styles(package, main)
    asides = dict(_asides(package, main, styles))
    body = _Words(package, main, styles, asides)
    page = Page()
    contents.pages.append(page)
    headers = _once(package, main, styles, "header")
    body.add(package.root(main))
    for piece in (*headers, *body.pieces(), *_once(package, main, styles, "footer")):
        if isinstance(piece, str):
            page.add_html(piece)
        else:
            page.add_rows(piece)
    if body.n_left_out:
        what = "1 part that is" if body.n_left_out == 1 else f"{body.n_left_out} parts that are"
        contents.notes.append(f"{what} another document left out")
    return contents


def _once(package: Package, main: str, styles: Styles, kind: str) -> list[str]:
    """The headers or footers, which differ by section and page, each once; bare page numbers never."""
    found: dict[str, None] = {}
    for name in package.parts(main, kind):
        if (root := package.optional(name)) is not None:
            words = _Words(package, name, styles)
            words.add(root)
            found[words.html()] = None
    return [html for html in found if WORD.search(TAG.sub("", html))]


def _asides(package: Package, main: str, styles: Styles) -> Iterator[tuple[str, str]]:
    """Footnotes, endnotes and comments, by what refers to them; a comment with its author."""
    for kind, label in ASIDES.items():
        for name in package.parts(main, kind):
            for aside in children(package.optional(name), kind.removesuffix("s")):
                words = _Words(package, name, styles)
                words.add(aside)
                author = attribute(aside, "author").strip()
                said = f"{label} by {escape(author)}: " if author else f"{label}: "
                reference = f"{tag_name(aside)}Reference {attribute(aside, 'id')}"
                if _has_words(html := words.html()):
                    yield reference, f"<p>{said}{html.removeprefix('<p>')}"


def _has_words(html: str) -> bool:
    return bool(TAG.sub("", html).strip())


class _Words:
    """The HTML of one part under way."""

    def __init__(
        self, package: Package, part: str, styles: Styles, asides: dict[str, str] | None = None
    ) -> None:
        self._package, self._part, self._styles = package, part, styles
        self._asides = asides or {}
        self._parts: list[str | Rows] = []
        self._after: list[str | Rows] = []  # what follows the paragraph that is under way
        self._before = ""  # what is left of paragraphs whose end was deleted: they go on in the next one
        self._cells: list[list[str | None]] | None = None  # of the table that is under way
        self._is_unfilled = False  # within a form's field that only says what to fill in
        self._items: list[int] = []  # how deep the list items are that are open
        self.n_left_out = 0
        self._steps: dict[str, Callable[[Element], None]] = {
            "p": self._paragraph,
            "t": lambda element: self._parts.append("" if self._is_unfilled else escape(element.text or "")),
            "sdt": self._field,
            "tbl": self._table,
            "tr": self._row,
            "tc": self._cell,
            "txbxContent": lambda element: self._after.append(f"<div>{self._apart(element)}</div>"),
            "AlternateContent": self._alternatives,
            "docPr": lambda element: self._described(attribute(element, "descr")),
            "shape": self._shape,
            "sym": self._symbol,
            "ruby": self._ruby,
            "ddList": self._choice,
            "altChunk": self._leave_out,
            "chart": self._figure,
            "relIds": self._figure,
            **dict.fromkeys(("footnoteReference", "endnoteReference", "commentReference"), self._aside),
        }

    def html(self) -> str:
        """All of it."""
        return "".join(piece if isinstance(piece, str) else _html_of_words(piece) for piece in self.pieces())

    def pieces(self) -> list[str | Rows]:
        """All of it: HTML, and rows of the tables that stand by themselves."""
        self._close_items(-1)
        before = f"<p>{self._before}</p>" if self._before else ""
        pieces: list[str | Rows] = []
        html: list[str] = []
        for piece in (*self._parts, before, *self._after):
            if isinstance(piece, str):
                html.append(piece)
            else:
                pieces += ("".join(html), piece)
                html = []
        return [*pieces, "".join(html)]

    def add(self, element: Element) -> None:
        """Add what an element shows."""
        for one in element:
            name = tag_name(one)
            if name in BETWEEN:
                self._parts.append(BETWEEN[name])
            elif name in self._steps:
                self._steps[name](one)
            elif name not in SKIPPED:
                self._parts.append(EQUATION.get(name, ""))
                self.add(one)

    def _apart(self, element: Element) -> str:
        """The HTML of an element by itself."""
        outer = self._parts, self._after, self._items, self._before
        self._parts, self._after, self._items, self._before = [], [], [], ""
        self.add(element)
        html = self.html()
        self._parts, self._after, self._items, self._before = outer
        return html

    def _paragraph(self, element: Element) -> None:
        properties = child(element, "pPr")
        if any(child(properties, "rPr", name) is not None for name in ("del", "moveFrom")):
            self._before += html if _has_words(html := self._apart(element)) else ""
            return
        level = self._styles.heading_level(properties)
        name, depth = self._styles.list_item(properties)
        number = self._styles.next_number(name, depth)
        if level or not name:
            depth = -1
        self._close_items(depth)
        tag = f"h{level}" if level else "p"
        if depth < 0:
            self._parts.append(f"<{tag}>")
        elif self._items and self._items[-1] == depth:
            self._parts.append("</li><li>")
        else:
            self._parts.append("<ul><li>")
            self._items.append(depth)
        self._parts += (escape(f"{number} " if number else ""), self._before)
        self._before = ""
        self.add(element)
        if depth < 0:
            self._parts.append(f"</{tag}>")
        self._parts += self._after
        self._after = []

    def _close_items(self, depth: int) -> None:
        """Close the list items that are deeper than this."""
        while self._items and self._items[-1] > depth:
            self._items.pop()
            self._parts.append("</li></ul>")

    def _table(self, element: Element) -> None:
        self._close_items(-1)
        outer, self._cells = self._cells, []
        self.add(element)
        rows = _of_data(self._cells)
        self._parts.append(_html_of(self._cells) if rows is None else rows)
        self._cells = outer

    def _row(self, element: Element) -> None:
        if child(element, "trPr", "del") is None:
            if self._cells is not None:
                self._cells.append([""] * _span(element, "trPr", "gridBefore", otherwise=0))
            self.add(element)

    def _cell(self, element: Element) -> None:
        html = self._apart(element)
        if not self._cells:  # a cell of no table
            self._parts.append(html)
            return
        self._cells[-1].append(None if _is_continued(element) and not _has_words(html) else html)
        self._cells[-1] += [""] * (_span(element, "tcPr", "gridSpan") - 1)

    def _field(self, element: Element) -> None:
        outer = self._is_unfilled
        unfilled = child(element, "sdtPr", "showingPlcHdr")
        self._is_unfilled = unfilled is not None and attribute(unfilled, "val") not in {"0", "false", "off"}
        self.add(element)
        self._is_unfilled = outer

    def _alternatives(self, element: Element) -> None:
        """The first of several ways to say the same that says anything."""
        for one in element:
            n_parts, n_after = len(self._parts), len(self._after)
            self.add(one)
            found = self._parts[n_parts:] + self._after[n_after:]
            if any(not isinstance(piece, str) or _has_words(piece) for piece in found):
                return

    def _described(self, words: str) -> None:
        """What a person wrote that a picture shows."""
        if is_description(words.strip()):
            self._parts.append(f" {escape(words)} ")

    def _shape(self, element: Element) -> None:
        self._described(attribute(element, "alt"))
        self.add(element)

    def _symbol(self, element: Element) -> None:
        code = attribute(element, "char")
        if re.fullmatch("[0-9A-Fa-f]{1,5}", code) and int(code, 16) not in PRIVATE:
            self._parts.append(escape(chr(int(code, 16))))

    def _ruby(self, element: Element) -> None:
        base, above = ("".join(map(self._apart, children(element, name))) for name in ("rubyBase", "rt"))
        self._parts.append(f"{base}({above})")

    def _choice(self, element: Element) -> None:
        """What is chosen from the list in a form."""
        chosen = attribute(child(element, "result"), "val", "0")
        entries = [attribute(entry, "val") for entry in children(element, "listEntry")]
        if chosen.isdecimal() and len(chosen) < 4 and int(chosen) < len(entries):
            self._parts.append(escape(entries[int(chosen)]))

    def _aside(self, element: Element) -> None:
        html = self._asides.get(f"{tag_name(element)} {attribute(element, 'id')}")
        if html:
            self._after.append(f"<div>{html}</div>")

    def _leave_out(self, _: Element) -> None:
        self.n_left_out += 1

    def _figure(self, element: Element) -> None:
        """A chart or a diagram, as paragraphs and a table."""
        page = Page()
        add_figure(page, self._package, self._part, element)
        for block in page.blocks:
            lines = block.get("text", "").split("\n")
            self._after += (f"<p>{escape(line)}</p>" for line in lines if line)
            if rows := block.get("rows"):
                self._after.append(rows)


def _span(element: Element, *path: str, otherwise: int = 1) -> int:
    """How many columns an element takes."""
    value = attribute(child(element, *path), "val")
    return min(int(value), MAX_SPAN) if value.isdecimal() and len(value) < 10 else otherwise


def _is_continued(cell: Element) -> bool:
    """Whether a cell is one with the cell above it."""
    merged = child(cell, "tcPr", "vMerge")
    return merged is not None and attribute(merged, "val") != "restart"


def _of_data(cells: Sequence[Sequence[str | None]]) -> Rows | None:
    """The cells' words; None where the table has one column, or cells hold headings, tables or pages.

    A cell of several rows is said in each, but not below a header of several rows.
    """
    said = [html for row in cells for html in row if html]
    is_laid_out = any(len(html) > MAX_CELL or STRUCTURE.search(html) for html in said)
    if is_laid_out or max(map(len, cells), default=0) < 2:
        return None
    rows: Rows = []
    for number, row in enumerate(cells):
        above = rows[-1] if number > 1 else []
        rows.append(
            [
                _words(html) if html is not None else above[column] if column < len(above) else ""
                for column, html in enumerate(row)
            ]
        )
    return rows


def _html_of(cells: Sequence[Sequence[str | None]]) -> str:
    """The same cells as a table."""
    rows = ("".join(f"<td>{html or ''}</td>" for html in row) for row in cells)
    return "".join(f"<tr>{row}</tr>" for row in rows).join(("<table>", "</table>"))


def _html_of_words(rows: Rows) -> str:
    """Rows of words as a table."""
    return _html_of([[escape(words) for words in row] for row in rows])


def _words(html: str) -> str:
    return " ".join(unescape(TAG.sub(" ", html)).split())
