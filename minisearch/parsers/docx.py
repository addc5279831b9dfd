"""DOCX: paragraphs, headings, list items and tables in reading order.

A footnote, a comment and a text box follow the paragraph that they belong to.  Headers and footers, which
repeat on every page, come once.  Tracked changes are read as accepted.  Paragraphs of the body are numbered
as Word counts them: those with text, also in tables, but not in text boxes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import tag_name
from minisearch.parsers.contents import (
    LEFT,
    Contents,
    Piece,
    Pieces,
    Rows,
    filled_down,
    paragraph,
    text_piece,
    words_of,
)
from minisearch.parsers.docx_styles import Styles
from minisearch.parsers.office import (
    Package,
    attribute,
    child,
    children,
    figure_pieces,
    is_description,
    whole_number,
)
from minisearch.text import A_LETTER

# Properties, deleted text, and the instructions of fields.
SKIPPED = {
    *("pPr", "rPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr", "sdtPr", "sdtEndPr", "rubyPr"),
    *("del", "moveFrom", "instrText", "delText", "delInstrText"),
}
# Elements that stand for a character; the second line writes equations in one line.
SIGNS = {"tab": " ", "ptab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011"}
SIGNS |= {"den": "/", "sup": "^", "sub": "_"}
ASIDES = {"footnotes": "Footnote", "endnotes": "Endnote", "comments": "Comment"}
PRIVATE = range(0xE000, 0xF900)  # characters here have a meaning only in a symbol font

MAX_CELL = 2_000  # characters; a table with longer cells lays out a page
MAX_SPAN = 63  # columns that a table of Word can have


def extract(data: bytes) -> dict[str, Any]:
    """The body between the headers and the footers."""
    contents = Contents(has_pages=False)
    package = Package(data, contents)
    main = package.main("word/document.xml")
    styles = Styles(package, main)
    body = _Reader(package, main, styles, dict(_asides(package, main, styles)))
    headers = _once(package, main, styles, "header")
    root = package.root(main)
    contents.pages.append([*headers, *body.read(root), *_once(package, main, styles, "footer")])
    deleted = [one.text or "" for one in root.iter() if tag_name(one) == "delText"]
    contents.count("deleted words left out", len(" ".join(deleted).split()))
    contents.count("embedded documents left out", [*map(tag_name, root.iter())].count("altChunk"))
    return contents.as_json()


def _once(package: Package, main: str, styles: Styles, kind: str) -> Pieces:
    """The different headers or footers, each once, without those that are only a page number."""
    found: dict[str, Pieces] = {}
    for name, root in package.roots(main, kind):
        pieces = _Reader(package, name, styles).read(root)
        found.setdefault(words_of(pieces), pieces)
    return [piece for text, pieces in found.items() if A_LETTER.search(text) for piece in pieces]


def _asides(package: Package, main: str, styles: Styles) -> Iterator[tuple[str, Pieces]]:
    """Footnotes, endnotes and comments by the name and id of their references; comments name their author."""
    for kind, label in ASIDES.items():
        for name, root in package.roots(main, kind):
            for aside in children(root, kind.removesuffix("s")):
                author = attribute(aside, "author").strip()
                words = f"{label} by {author}:" if author else f"{label}:"
                if pieces := _Reader(package, name, styles).read(aside):
                    reference = f"{tag_name(aside)}Reference {attribute(aside, 'id')}"
                    yield reference, _continued([text_piece(words)], pieces)


@dataclass(slots=True)
class _Flow:
    """What has been read of an element so far."""

    pieces: Pieces = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # of the current paragraph
    after: Pieces = field(default_factory=list)  # what follows the current paragraph
    unfinished: list[Element] = field(default_factory=list)  # paragraphs that the next one continues
    items: list[tuple[int, Pieces]] = field(default_factory=list)  # the open list items by depth

    def end_paragraph(self, level: int = 0, depth: int = -1, number: int = 0) -> None:
        """Make the words a paragraph, or a heading of this level, or a list item of this depth, from 0."""
        pieces = [*paragraph("".join(self.words), level, number), *self.after]
        self.words, self.after = [], []
        if depth < 0:
            self.items.clear()
            self.pieces += pieces
        elif pieces:
            self._begin_item(depth, pieces)

    def _begin_item(self, depth: int, pieces: Pieces) -> None:
        kind = "item"
        while self.items and self.items[-1][0] >= depth:
            last_depth, siblings = self.items.pop()
            kind = "next item" if last_depth == depth and len(siblings) == 1 else "item"
        outer = self.items[-1][1] if self.items else self.pieces
        outer.append({"group": pieces, "kind": kind})
        self.items.append((depth, pieces))


class _Reader:
    """Reads the elements of one part."""

    def __init__(
        self, package: Package, part: str, styles: Styles, asides: dict[str, Pieces] | None = None
    ) -> None:
        self._package, self._part, self._styles = package, part, styles
        self._asides = asides or {}
        self._flow = _Flow()
        self._cells: list[list[Pieces | None]] | None = None  # of the current table
        self._is_placeholder = False  # within a form field that only shows what to fill in
        self._is_counted = asides is not None  # only the paragraphs of the body are
        self._n_paragraphs = self._n_texts = 0
        self._handlers: dict[str, Callable[[Element], None]] = {
            "p": self._paragraph,
            "t": self._words,
            "sdt": self._form_field,
            "tbl": self._table,
            "tr": self._row,
            "tc": self._cell,
            "txbxContent": self._text_box,
            "AlternateContent": self._alternatives,
            "docPr": lambda element: self._description(attribute(element, "descr")),
            "shape": self._shape,
            "sym": self._symbol,
            "ruby": self._ruby,
            "ddList": self._choice,
            "chart": self._figure,
            "relIds": self._figure,
            **dict.fromkeys(("footnoteReference", "endnoteReference", "commentReference"), self._aside),
        }

    def read(self, element: Element) -> Pieces:
        """The pieces of an element."""
        outer, self._flow = self._flow, _Flow()
        self._add(element)
        self._end_paragraph()
        pieces, self._flow = self._flow.pieces, outer
        return pieces

    def _add(self, *elements: Element) -> None:
        """Add what is in these elements."""
        for element in elements:
            for one in element:
                name = tag_name(one)
                if name in self._handlers:
                    self._handlers[name](one)
                elif name not in SKIPPED:
                    self._flow.words.append(SIGNS.get(name, ""))
                    self._add(one)

    def _paragraph(self, element: Element) -> None:
        properties = child(element, "pPr")
        if any(child(properties, "rPr", name) is not None for name in ("del", "moveFrom")):
            self._flow.unfinished.append(element)  # its end was deleted
            return
        if "".join(self._flow.words).strip():  # words outside of paragraphs
            self._flow.end_paragraph()
        level = self._styles.heading_level(properties)
        list_id, depth = self._styles.list_item(properties)
        if list_id and (number := self._styles.numbering.next(list_id, depth)):
            self._flow.words.append(f"{number} ")
        self._end_paragraph(element, level=level, depth=-1 if level or not list_id else depth)

    def _end_paragraph(self, *elements: Element, level: int = 0, depth: int = -1) -> None:
        unfinished, self._flow.unfinished = self._flow.unfinished, []
        n_texts = self._n_texts
        self._add(*unfinished, *elements)
        has_text = self._n_texts > n_texts  # a picture, a number in a list or a text box does not count
        self._n_paragraphs += has_text
        self._flow.end_paragraph(level, depth, self._n_paragraphs if has_text and self._is_counted else 0)

    def _words(self, element: Element) -> None:
        if not self._is_placeholder:
            words = (element.text or "").replace("\n", " ")
            self._flow.words.append(words)
            self._n_texts += bool(words.strip())

    def _text_box(self, element: Element) -> None:
        outer = self._is_counted, self._n_paragraphs, self._n_texts
        self._is_counted = False
        self._flow.after += self.read(element)
        self._is_counted, self._n_paragraphs, self._n_texts = outer

    def _table(self, element: Element) -> None:
        outer, self._cells = self._cells, []
        self._add(element)
        cells, self._cells = self._cells, outer
        self._flow.items.clear()
        rows = _data_rows(cells)
        lines = [next(filter(None, map(_first_number, filter(None, row))), 0) for row in cells]
        self._flow.pieces.append(_laid_out(cells) if rows is None else {"rows": rows, "lines": lines})

    def _row(self, element: Element) -> None:
        if child(element, "trPr", "del") is None:
            if self._cells is not None:
                self._cells.append([[] for _ in range(_span(element, "trPr", "gridBefore", otherwise=0))])
            self._add(element)

    def _cell(self, element: Element) -> None:
        pieces = self.read(element)
        if not self._cells:  # outside of tables
            self._flow.pieces += pieces
            return
        merged = child(element, "tcPr", "vMerge")
        continues = merged is not None and attribute(merged, "val") != "restart" and not pieces
        self._cells[-1].append(None if continues else pieces)
        self._cells[-1] += [COVERED] * (_span(element, "tcPr", "gridSpan") - 1)

    def _form_field(self, element: Element) -> None:
        outer = self._is_placeholder
        placeholder = child(element, "sdtPr", "showingPlcHdr")
        is_off = attribute(placeholder, "val") in {"0", "false", "off"}
        self._is_placeholder = placeholder is not None and not is_off
        self._add(element)
        self._is_placeholder = outer

    def _alternatives(self, element: Element) -> None:
        """Add the first of several versions that shows anything."""
        flow = self._flow
        for one in element:
            n_words, n_pieces = len(flow.words), len(flow.pieces) + len(flow.after)
            self._add(one)
            if len(flow.pieces) + len(flow.after) > n_pieces or "".join(flow.words[n_words:]).strip():
                return

    def _description(self, words: str) -> None:
        """Add what the author wrote that a picture shows."""
        if is_description(words.strip()):
            self._flow.words.append(f" {' '.join(words.split())} ")

    def _shape(self, element: Element) -> None:
        self._description(attribute(element, "alt"))
        self._add(element)

    def _symbol(self, element: Element) -> None:
        code = attribute(element, "char")
        if re.fullmatch("[0-9A-Fa-f]{1,5}", code) and int(code, 16) not in PRIVATE:
            self._flow.words.append(chr(int(code, 16)))

    def _ruby(self, element: Element) -> None:
        """Add the words, and in brackets how they are pronounced."""
        self._add(*children(element, "rubyBase"))
        self._flow.words.append("(")
        self._add(*children(element, "rt"))
        self._flow.words.append(")")

    def _choice(self, element: Element) -> None:
        """Add what is selected in the list of a form."""
        selected = attribute(child(element, "result"), "val", "0")
        entries = [attribute(entry, "val") for entry in children(element, "listEntry")]
        if selected.isdecimal() and len(selected) < 4 and int(selected) < len(entries):
            self._flow.words.append(entries[int(selected)])

    def _aside(self, element: Element) -> None:
        self._flow.after += self._asides.get(f"{tag_name(element)} {attribute(element, 'id')}", [])

    def _figure(self, element: Element) -> None:
        for piece in figure_pieces(self._package, self._part, element):
            self._flow.after += map(text_piece, piece["text"].split("\n")) if "text" in piece else [piece]


# --- tables ----------------------------------------------------------------------------------------------


COVERED: Pieces = []  # in place of a cell that the one on its left covers


def _data_rows(cells: Sequence[Sequence[Pieces | None]]) -> Rows | None:
    """The words of each cell; None for a table that lays out a page.

    Such a table has one column, or cells with headings, tables or much text.  A cell over several rows is
    repeated in each, but not below a header of several rows.
    """
    filled = [cell for row in cells for cell in row if cell]
    is_layout = any(_has_structure(cell) or len(words_of(cell)) > MAX_CELL for cell in filled)
    if is_layout or max(map(len, cells), default=0) < 2:
        return None
    return filled_down([list(map(_cell_words, row)) for row in cells])


def _cell_words(cell: Pieces | None) -> str | None:
    if cell is None:
        return None
    return LEFT if cell is COVERED else " ".join(words_of(cell).split())


def _laid_out(cells: Sequence[Sequence[Pieces | None]]) -> Piece:
    """The cells of a table that lays out a page; short ones side by side are one line."""
    rows: Pieces = []
    for row in cells:
        pieces: Pieces = []
        is_line = False
        for cell in filter(None, row):
            pieces = _continued(pieces, cell) if is_line else [*pieces, *cell]
            is_line = len(cell) == 1 and _line(cell[0]) != ""
        rows.append({"group": pieces, "kind": "row"})
    return {"group": rows, "kind": "table"}


def _continued(pieces: Pieces, others: Pieces) -> Pieces:
    """All pieces; where the first of the others is a paragraph, it continues the line before it."""
    line = _line(pieces[-1])
    if not (line and _is_paragraph(others[0])):
        return [*pieces, *others]
    joined = text_piece(f"{line} {others[0]['text']}", line=_first_number(pieces[-1:]))
    return [*pieces[:-1], joined, *others[1:]]


def _first_number(pieces: Pieces) -> int:
    """The number of the first paragraph that has one."""
    numbers = (piece.get("line") or _first_number(piece.get("group", [])) for piece in pieces)
    return next(filter(None, numbers), 0)


def _line(piece: Piece) -> str:
    """The text of a paragraph or list item of one line; "" for other pieces."""
    if "item" in piece.get("kind", "") and len(piece["group"]) == 1:
        piece = piece["group"][0]
    return piece["text"] if _is_paragraph(piece) and "\n" not in piece["text"] else ""


def _is_paragraph(piece: Piece) -> bool:
    return "text" in piece and not piece["headings"]


def _has_structure(pieces: Pieces) -> bool:
    """Whether there are headings or tables among the pieces."""
    return any(
        "rows" in piece
        or piece.get("headings")
        or piece.get("kind") == "table"
        or _has_structure(piece.get("group", []))
        for piece in pieces
    )


def _span(element: Element, *path: str, otherwise: int = 1) -> int:
    """How many columns an element takes."""
    value = attribute(child(element, *path), "val")
    return min(whole_number(value, otherwise), MAX_SPAN)
