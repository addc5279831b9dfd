"""Tables of Word: rows of cells where they hold data, HTML where they only lay a page out.

Rows of cells in HTML come in; None stands for a cell that goes on with the one above it.  What names the
columns is told from the cells by those who read all tables.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING

from minisearch.parsers.extract.office import attribute, child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

Rows = list[list[str]]

TAG = re.compile("<[^>]*>")
STRUCTURE = re.compile("<(?:table|h[1-6])>")  # a row of words would lose it
MAX_CELL = 2_000  # characters of HTML; pages stand beside each other in longer ones
MAX_SPAN = 63  # columns that a table of Word can have


def span(element: Element, *path: str, otherwise: int = 1) -> int:
    """How many columns an element takes."""
    value = attribute(child(element, *path), "val")
    return min(int(value), MAX_SPAN) if value.isdecimal() and len(value) < 10 else otherwise


def is_continued(cell: Element) -> bool:
    """Whether a cell is one with the cell above it."""
    merged = child(cell, "tcPr", "vMerge")
    return merged is not None and attribute(merged, "val") != "restart"


def of_data(cells: Sequence[Sequence[str | None]]) -> Rows | None:
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


def html_of(cells: Sequence[Sequence[str | None]]) -> str:
    """The same cells as a table."""
    rows = ("".join(f"<td>{html or ''}</td>" for html in row) for row in cells)
    return "".join(f"<tr>{row}</tr>" for row in rows).join(("<table>", "</table>"))


def html_of_words(rows: Rows) -> str:
    """Rows of words as a table."""
    return html_of([[escape(words) for words in row] for row in rows])


def _words(html: str) -> str:
    return " ".join(unescape(TAG.sub(" ", html)).split())
