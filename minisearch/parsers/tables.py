"""CSV and TSV: rows as text that says what each value is, "name: Ada; born: 1815", mapped to the file.

The delimiter follows from counts, the header from what its cells look like.  Not the standard library's
reader: that gives no positions, and its Sniffer takes letters for delimiters.  Rows, cells and quotes are as
that reader has them wherever the quotes are balanced.

Other formats use the same header rules: `row_texts` for rows of plain cells, `labels_by_position` for tables
whose cells may span columns and rows, in HTML or drawn with characters (see `blocks`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice, pairwise, repeat, zip_longest
from typing import NamedTuple

from minisearch.parsers.contents import LEFT
from minisearch.parsers.source import DocumentBuilder, Source
from minisearch.types import Document

DELIMITERS = "\t;|,"
SAMPLE = 64 * 1024  # characters
SAMPLE_ROWS = 200

MAX_LABEL = 60  # characters: a label is repeated in every row
MAX_HEADER_WORDS = 8

SEP_LINE = re.compile(r"sep=([^\r\n])(?:\r\n|\r|\n)", re.IGNORECASE)  # Excel's way to name the delimiter
DECIMAL_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9])")
VALUE = re.compile(
    r"""[-+]?[$€£¥]?\s?[-+]?[0-9][0-9.,' ]*(?:[eE][-+]?[0-9]+)?\s?[%$€£¥]?   # numbers, prices, shares
      | [0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ][0-9:.]+(?:Z|[-+][0-9:]+)?)?   # dates
      | [0-9]{1,2}:[0-9]{2}(?::[0-9.]+)?
      | https?://\S* | [^\s@]+@[^\s@]+\.[^\s@]+ | true | false""",
    re.VERBOSE | re.IGNORECASE,
)
YEAR = re.compile(r"(?:1[5-9]|20)[0-9]{2}")


class CellSpan(NamedTuple):
    """Where a cell stands, without quotes and white space around it; quotes inside may be doubled."""

    start: int
    end: int
    is_doubled: bool = False

    def value(self, text: str) -> str:
        """The words of the cell."""
        words = text[self.start : self.end]
        return words.replace('""', '"') if self.is_doubled else words


def read_table(source: Source) -> Document:
    """Each row as a paragraph of its cells that are not empty, with the names of their columns."""
    text = source.text
    named = SEP_LINE.match(text)
    start = named.end() if named else 0
    delimiter = named[1] if named else delimiter_of(text, is_tsv=source.path.lower().endswith(".tsv"))
    sample = islice(rows(text, delimiter, start), SAMPLE_ROWS)
    n_above, header = header_of([[cell.value(text) for cell in row] for row in sample])
    labels = labels_of(header)
    builder = DocumentBuilder(source, "table")
    for number, row in enumerate(rows(text, delimiter, start)):
        _add_row(builder, text, row, labels if number > n_above else [])
    return builder.document()


def _add_row(builder: DocumentBuilder, text: str, row: Sequence[CellSpan], labels: Sequence[str]) -> None:
    builder.begin_paragraph()
    begin = len(builder)
    for cell, label in zip(row, chain(labels, repeat("")), strict=False):
        if cell.start == cell.end:
            continue
        if begin == len(builder):
            builder.insert(label, cell.start)
        else:
            builder.insert(f"; {label}")
        position = cell.start
        while cell.is_doubled and (quotes := text.find('""', position, cell.end)) >= 0:
            builder.copy(text[position : quotes + 1], position, quotes + 2)
            position = quotes + 2
        builder.copy(text[position : cell.end], position, cell.end)
    if begin < len(builder):
        builder.blocks.append((begin, len(builder)))


# --- rows ----------------------------------------------------------------------------------------------


def rows(text: str, delimiter: str, start: int = 0) -> Iterator[list[CellSpan]]:
    """The rows from ``start`` on that have a cell.

    A quote that is not closed, or that closes in the middle of words, is an ordinary character: a stray one
    must not turn the rest of the file into one cell.
    """
    match = _cell_pattern(delimiter).match
    row: list[CellSpan] = []
    position = start
    while position < len(text):
        found = match(text, position)
        assert found  # it matches the empty string too
        kind = found.lastgroup or "bare"
        first, last = found.span(kind)
        value = text[first:last]
        first += len(value) - len(value.lstrip())
        last = max(first, last - len(value) + len(value.rstrip()))
        row.append(CellSpan(first, last, kind == "quoted" and text.find('""', first, last) >= 0))
        position = found.end()
        if text.startswith(delimiter, position) and position + 1 < len(text):
            position += 1
            continue
        position += 2 if text.startswith("\r\n", position) else 1
        if len(row) > 1 or row[0].start < row[0].end:
            yield row
        row = []


@lru_cache(maxsize=16)
def _cell_pattern(delimiter: str) -> re.Pattern[str]:
    mark = re.escape(delimiter)
    return re.compile(rf' *"(?P<quoted>[^"]*(?:""[^"]*)*)" *(?=[{mark}\r\n]|\Z)|(?P<bare>[^{mark}\r\n]*)')


def delimiter_of(text: str, *, is_tsv: bool = False) -> str:
    """The delimiter for which most rows have the same number of cells, at least two; of equals, more cells.

    It is a tab where the name says so and there is one.  Commas that all stand between two digits are decimal
    commas if another delimiter fits.
    """
    sample = text[:SAMPLE]
    if is_tsv and "\t" in sample:
        return "\t"
    scores = {delimiter: _evenness(text, delimiter) for delimiter in DELIMITERS if delimiter in sample}
    if not scores:
        return ","
    others = {delimiter: score for delimiter, score in scores.items() if delimiter != ","}
    is_decimal = "," not in DECIMAL_COMMA.sub("", sample)
    if is_decimal and others and max(others.values())[0] >= 0.9:
        scores = others
    return max(scores, key=lambda delimiter: scores[delimiter])


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """The share of rows with the most common number of cells above one, and that number."""
    sample = list(islice(rows(text[:SAMPLE], delimiter), SAMPLE_ROWS))
    if len(text) > SAMPLE and 1 < len(sample) < SAMPLE_ROWS:
        sample.pop()  # it may be cut in two
    counts = Counter(len(row) for row in sample)
    n_rows, n_cells = max(((n, cells) for cells, n in counts.items() if cells > 1), default=(0, 0))
    return n_rows / max(len(sample), 1), n_cells


# --- the header ----------------------------------------------------------------------------------------


def header_of(sample: Sequence[Sequence[str]]) -> tuple[int, Sequence[str]]:
    """The number of the row that is the header, and the names of the columns; (0, []) without.

    The header is the first row that is filled as widely as most rows below it; its first cell may be empty.
    Rows above it that are at most half as full are titles.  A fuller row above it may itself be the header of
    a table with unnamed columns: it is, if it is the only one, unless a column below the wider row holds
    numbers or dates.  A row as wide as the table may be a title as well, such as a line of words with commas.
    A name over several columns is joined with those in the row below.
    """
    n_filled = [sum(bool(cell.strip()) for cell in row) for row in sample]

    def names(number: int) -> Sequence[str]:
        return _names(sample[number], sample[number + 1 :])

    def is_above_values(number: int) -> bool:
        return any(map(_is_of_values, _columns(sample[number], sample[number + 1 :])))

    candidates: list[int] = []
    for number, row in enumerate(sample[:-1]):
        below = sorted(filter(None, n_filled[number + 1 :])) or [0]
        n_most = below[(len(below) - 1) // 2]
        n_first_empty = next((i for i, cell in enumerate(row) if cell.strip()), 0)
        if n_filled[number] and n_filled[number] + min(n_first_empty, 1) >= n_most:
            second = names(number + 1) if number + 2 < len(sample) else []
            if second and any(one and one == beside for one, beside in pairwise(row)):
                pairs = zip_longest(row, second, fillvalue="")
                return number + 1, [" ".join(dict.fromkeys(filter(None, pair))) for pair in pairs]
            wide = next((i for i in range(number + 1, len(sample) - 1) if n_filled[i] >= n_most), number)
            is_title = _is_like_title(row) and len(set(sample[wide])) == len(sample[wide])
            if wide > number and is_title and names(wide) and is_above_values(wide):
                return wide, names(wide)
            if not candidates or (names(number) and is_above_values(number)):
                candidates = [number]
            break
        if n_filled[number] and (2 * n_filled[number] > n_most or n_first_empty + n_filled[number] >= n_most):
            candidates.append(number)
    found = names(candidates[0]) if len(candidates) == 1 else []
    return (candidates[0], found) if found else (0, [])


def _is_like_title(row: Sequence[str]) -> bool:
    """Whether a row may be a line of words with commas: a comment, "Report: x", or with a year."""
    return row[0].startswith("#") or any(": " in cell or YEAR.fullmatch(cell.strip()) for cell in row)


def _names(header: Sequence[str], body: Sequence[Sequence[str]]) -> Sequence[str]:
    """The names of the columns, if a row is a header of the rows below it, else nothing.

    Most tables have one, so the row is a header unless something speaks against it.  A number, a date, an
    address or a sentence is no name (a year may be one, above figures).  A row with a cell that ends with a
    colon is no header: the cell names the one beside it.  If no column holds numbers or dates, a name that
    appears again in its column, or twice in the row, means that there is no header.
    """
    names = [name.strip() for name in header]
    if not any(names) or any(_is_sentence(name) or name.endswith(":") for name in names):
        return []
    columns = _columns(header, body)
    of_values = [_is_of_values(column) for column in columns]
    for name, column in zip(names, columns, strict=True):
        if VALUE.fullmatch(name) and not (YEAR.fullmatch(name) and not all(map(YEAR.fullmatch, column))):
            return []
    if all(YEAR.fullmatch(name) for name in names):
        return []
    if any(of_values):
        return header
    filled = [name for name in names if name]
    comes_again = any(name and name in column for name, column in zip(names, columns, strict=True))
    return [] if comes_again or len(set(filled)) < len(filled) else header


def _columns(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[list[str]]:
    """For each cell of a header, the cells below it."""
    return [[row[i].strip() for row in body if i < len(row)] for i in range(len(header))]


def _is_of_values(column: Sequence[str]) -> bool:
    filled = [value for value in column if value]
    return bool(filled) and sum(bool(VALUE.fullmatch(value)) for value in filled) >= 0.8 * len(filled)


def _is_sentence(name: str) -> bool:
    n_words = len(name.split())
    has_end = n_words > 2 and name.endswith((".", "!", "?", "。"))
    return has_end or n_words > MAX_HEADER_WORDS or "\n" in name


def labels_of(header: Sequence[str]) -> list[str]:
    """What to write before the values of each column: "name: ", or nothing where it has no name."""
    names = (" ".join(name.split())[:MAX_LABEL] for name in header)
    return [f"{name}: " if name else "" for name in names]


def row_text(labels: Sequence[str], values: Sequence[str]) -> str:
    """A row as text, as in `read_table`: "name: Ada; born: 1815"; empty cells are left out."""
    return "; ".join(
        label + value for label, value in zip(chain(labels, repeat("")), values, strict=False) if value
    )


def row_texts(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each row of a table as in `row_text`; "" for one without words.

    A cell over several columns, which is followed by LEFT in each of the others, has the names of all of them
    unless it is alone in its row.  A form has no header: its rows begin with "Name:", and read "Name: Ada".
    """
    rows = [[cell if cell == LEFT else " ".join(cell.split()) for cell in row] for row in rows]
    last, names = header_of([_spread(row) for row in rows[:SAMPLE_ROWS]])
    labelled = (_labelled(row, names if number > last else []) for number, row in enumerate(rows))
    return [row_text(labels, words).replace(":; ", ": ") for labels, words in labelled]


def _spread(row: Sequence[str]) -> list[str]:
    """The row with a cell of several columns in each of them, unless it is the only one."""
    spread: list[str] = []
    has_others = sum(cell not in ("", LEFT) for cell in row) > 1
    for cell in row:
        spread.append(cell if cell != LEFT else spread[-1] if spread and has_others else "")
    return spread


def _labelled(row: Sequence[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels and the words of the cells of a row, without those marked LEFT."""
    starts = [i for i, cell in enumerate(row) if cell != LEFT]
    names = names if len(starts) > 1 or len(row) == 1 else []
    of_cells = [filter(None, names[start:end]) for start, end in pairwise([*starts, len(row)])]
    labels = labels_of([", ".join(dict.fromkeys(of_cell)) for of_cell in of_cells])
    return labels, [row[start] for start in starts]


# --- tables whose cells span columns and rows --------------------------------------------------------------
# A table of HTML without a header, or with one column, may be the layout of a page, and gets no labels.

MAX_COLUMNS = 100  # cells beyond them have no label, so that the cost of a row is bounded
# Cells of several rows are repeated in each, in total at most this many times the words of their table.
MAX_REPEATED = 8


@dataclass(slots=True)
class Cell:
    """A cell: the position of its tag, its words, the columns and rows it spans (0: all of its section).

    `labels_by_position` finds its columns, ``start:end``, and the number of the first row below it.
    """

    position: int
    words: str
    is_header: bool
    n_columns: int = 1
    n_rows: int = 1
    start: int = 0
    end: int = 0
    end_row: int = 0


@dataclass(slots=True)
class Row:
    """The cells of a row; rows of one section (thead, tbody, tfoot) share its number."""

    section: int
    cells: list[Cell] = field(default_factory=list)


def labels_by_position(rows: Sequence[Row]) -> dict[int, str]:
    """What to write before the words of each cell, by its position; nothing where there is no header.

    A cell that spans columns has the names of all of them, but none where it spans the whole table.  One that
    spans rows is repeated in each, before the row's own cells.
    """
    in_columns = list(_in_columns(rows))
    n_columns = max((cell.end for cells, _ in in_columns for cell in cells), default=0)
    room = MAX_REPEATED * sum(len(cell.words) for row in rows for cell in row.cells)
    labels: dict[int, str] = {}
    names: list[list[str]] = []
    is_named = is_below = False  # whether a row used these names; whether it is below the first row of cells
    for cells, above in in_columns:
        filled = [cell for cell in cells if cell.words]
        if _is_header(filled, is_first=not is_below):
            names = _with_header([] if is_named else names, cells, n_columns)
            is_named = False
            labels |= {cell.position: "" for cell in cells}
            continue
        is_named = is_below = is_below or len(filled) > 1
        labels |= {cell.position: _label(names, cell, n_columns) for cell in cells}
        if filled and room > 0 and (repeated := _repeated(names, above, n_columns)):
            room -= len(repeated)
            labels[filled[0].position] = repeated + labels[filled[0].position]
    return labels if any(labels.values()) else {}


def _in_columns(rows: Sequence[Row]) -> Iterator[tuple[list[Cell], list[Cell]]]:
    """The cells of each row with their columns, and those that continue from above."""
    above: list[Cell] = []
    section = -1
    for number, row in enumerate(rows):
        above = [cell for cell in above if cell.end_row > number and row.section == section]
        taken = {column for cell in above for column in range(cell.start, cell.end)}
        section, column = row.section, 0
        cells = []
        for cell in row.cells:
            while column in taken:
                column += 1
            if column >= MAX_COLUMNS:
                break
            cell.start = column
            column += 1
            while column < min(cell.start + cell.n_columns, MAX_COLUMNS) and column not in taken:
                column += 1
            cell.end, cell.end_row = column, number + cell.n_rows if cell.n_rows else len(rows)
            cells.append(cell)
        yield cells, above
        above = [*above, *cells]


def _repeated(names: Sequence[Sequence[str]], above: Sequence[Cell], n_columns: int) -> str:
    """The cells that continue from above, with their labels; those with many words are left out."""
    inner = (cell for cell in above if names and cell.end - cell.start < n_columns)
    short = (cell for cell in inner if 0 < len(cell.words) <= MAX_LABEL)
    return "".join(f"{_label(names, cell, n_columns)}{cell.words}; " for cell in short)


def _is_header(filled: Sequence[Cell], *, is_first: bool) -> bool:
    """Whether a row names columns other than the first; below other rows, a row of figures is a sum."""
    if not all(cell.is_header for cell in filled) or not any(cell.start for cell in filled):
        return False
    words = [cell.words for cell in filled]
    return is_first or not any(VALUE.fullmatch(value) and not YEAR.fullmatch(value) for value in words)


def _with_header(names: Sequence[Sequence[str]], cells: Sequence[Cell], n_columns: int) -> list[list[str]]:
    """The names of the columns with those of one more header row, the outermost row first."""
    named = [list(names[column]) if names else [] for column in range(n_columns)]
    for cell in cells:
        words = cell.words.rstrip(" :")
        if words and cell.end - cell.start < n_columns:
            for column in range(cell.start, cell.end):
                if words not in named[column]:
                    named[column].append(words)
    return named


def _label(names: Sequence[Sequence[str]], cell: Cell, n_columns: int) -> str:
    if not names or cell.end - cell.start == n_columns:
        return ""
    of_columns = dict.fromkeys(" ".join(names[column]) for column in range(cell.start, cell.end))
    return labels_of([", ".join(filter(None, of_columns))])[0]
