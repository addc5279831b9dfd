"""Labels for the cells of HTML tables that have a header, so that rows read as those of other tables.

Rows of cells go in, in the order of the file; a label for each cell comes out, from the header above it:
"Deposit: ".  Where labels are written is left to `html`.  A table without a header, or with one
column, may be the layout of a page, and gets no labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from minisearch.parsers.tables import MAX_LABEL, VALUE, YEAR, labels_of

MAX_COLUMNS = 100  # cells beyond them have no label, so that the cost of a row is bounded
MAX_ABOVE = 20  # cells that continue from above; where there are more, no row from there on has labels
# Cells of several rows are repeated in each, in total at most this many times the words of their table.
MAX_REPEATED = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: the position of its tag, its words, the columns and rows it spans (0: all of its section)."""

    place: int
    words: str
    is_header: bool
    n_columns: int = 1
    n_rows: int = 1


@dataclass(slots=True)
class Row:
    """The cells of a row; rows of one section (thead, tbody, tfoot) share its number."""

    section: int
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A cell with its columns, ``start:end``, and the number of the first row below it."""

    cell: Cell
    start: int
    end: int
    end_row: int


def labels_by_place(rows: Sequence[Row]) -> dict[int, str]:
    """What to write before the words of each cell, by its place; nothing where there is no header.

    A cell that spans columns has the names of all of them, but none where it spans the whole table.  One that
    spans rows is repeated in each, before the row's own cells.
    """
    placed = list(_placed(rows))
    n_columns = max((one.end for row, _ in placed for one in row), default=0)
    room = MAX_REPEATED * sum(len(cell.words) for row in rows for cell in row.cells)
    labels: dict[int, str] = {}
    names: list[list[str]] = []
    is_named = is_below = False  # whether a row used these names; whether it is below the first row of cells
    repeated, of_above = "", None
    for row, above in placed:
        filled = [one for one in row if one.cell.words]
        if _is_header(filled, is_first=not is_below):
            names = _named([] if is_named else names, row, n_columns)
            is_named, of_above = False, None
            labels |= {one.cell.place: "" for one in row}
            continue
        is_named = is_below = is_below or len(filled) > 1
        labels |= {one.cell.place: _label(names, one, n_columns) for one in row}
        if above is not of_above:  # it is the same for many rows
            repeated, of_above = _repeated(names, above, n_columns), above
        if filled and len(repeated) <= room:
            room -= len(repeated)
            labels[filled[0].cell.place] = repeated + labels[filled[0].cell.place]
    return labels if any(labels.values()) else {}


def _placed(rows: Sequence[Row]) -> Iterator[tuple[list[_Placed], tuple[_Placed, ...]]]:
    """The cells of each row with their columns, and those that continue from above."""
    above: tuple[_Placed, ...] = ()
    row: list[_Placed] = []
    taken: set[int] = set()
    section = -1
    for number, cells in enumerate(rows):
        before = (*above, *row) if cells.section == section else ()
        still = tuple(one for one in before if one.end_row > number)
        section = cells.section
        if still != above:
            above, taken = still, {column for one in still for column in range(one.start, one.end)}
        if len(above) > MAX_ABOVE:
            return
        row, column = [], 0
        for cell in cells.cells:
            while column in taken:
                column += 1
            if column >= MAX_COLUMNS:
                break
            end = column + 1
            while end < min(column + cell.n_columns, MAX_COLUMNS) and end not in taken:
                end += 1
            row.append(_Placed(cell, column, end, number + cell.n_rows if cell.n_rows else len(rows)))
            column = end
        yield row, above


def _repeated(names: Sequence[Sequence[str]], above: Sequence[_Placed], n_columns: int) -> str:
    """The cells that continue from above, with their labels; those with many words are left out."""
    short = (
        one
        for one in above
        if one.end - one.start < n_columns and 0 < len(one.cell.words) <= MAX_LABEL and names
    )
    return "".join(f"{_label(names, one, n_columns)}{one.cell.words}; " for one in short)


def _is_header(filled: Sequence[_Placed], *, is_first: bool) -> bool:
    """Whether a row names columns other than the first; below other rows, a row of figures is a sum."""
    if not all(one.cell.is_header for one in filled) or not any(one.start for one in filled):
        return False
    words = [one.cell.words for one in filled]
    return is_first or not any(VALUE.fullmatch(value) and not YEAR.fullmatch(value) for value in words)


def _named(names: Sequence[Sequence[str]], row: Sequence[_Placed], n_columns: int) -> list[list[str]]:
    """The names of the columns, those of the outermost header row first, with one more header row."""
    named = [list(names[column]) if names else [] for column in range(n_columns)]
    for one in row:
        words = one.cell.words.rstrip(" :")
        if words and one.end - one.start < n_columns:
            for column in range(one.start, one.end):
                if words not in named[column]:
                    named[column].append(words)
    return named


def _label(names: Sequence[Sequence[str]], one: _Placed, n_columns: int) -> str:
    if not names or one.end - one.start == n_columns:
        return ""
    of_columns = dict.fromkeys(" ".join(names[column]) for column in range(one.start, one.end))
    return labels_of([", ".join(filter(None, of_columns))])[0]
