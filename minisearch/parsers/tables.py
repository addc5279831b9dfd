"""CSV and TSV to rows that say what they mean: "name: Ada; born: 1815", each at its place in the file.

The delimiter is told by counts, the header by what its cells are like; the rules are below, with what they
are there for.  Not the standard library's reader: that gives no positions, and its Sniffer takes letters for
delimiters.  Cells, quotes and rows are what its reader makes of them wherever the quoting is sound.  How rows
share a passage is the chunker's; the words of a row are here for other formats with rows, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from minisearch.parsers.composing import Composition
from minisearch.parsers.decode import Source
from minisearch.types import Document

DELIMITERS = "\t;|,"
SAMPLE = 64 * 1024  # characters
SAMPLE_ROWS = 200

MAX_LABEL = 60  # characters: a label is said again in every row
MAX_HEADER_WORDS = 8

SEP_LINE = re.compile(r"sep=([^\r\n])(?:\r\n|\r|\n)", re.IGNORECASE)  # Excel's own word for the delimiter
DECIMAL_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9])")
VALUE = re.compile(
    r"""[-+]?[$€£¥]?\s?[-+]?[0-9][0-9.,' ]*(?:[eE][-+]?[0-9]+)?\s?[%$€£¥]?   # numbers, prices, shares
      | [0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ][0-9:.]+(?:Z|[-+][0-9:]+)?)?   # dates
      | [0-9]{1,2}:[0-9]{2}(?::[0-9.]+)?
      | https?://\S* | [^\s@]+@[^\s@]+\.[^\s@]+ | true | false""",
    re.VERBOSE | re.IGNORECASE,
)
YEAR = re.compile(r"(?:1[5-9]|20)[0-9]{2}")


class Cell(NamedTuple):
    """Where a cell's words stand, without the quotes and white space around; quotes within may be doubled."""

    start: int
    end: int
    is_doubled: bool = False

    def value(self, text: str) -> str:
        """The cell's words."""
        words = text[self.start : self.end]
        return words.replace('""', '"') if self.is_doubled else words


def read_table(source: Source) -> Document:
    """Each row a paragraph of its cells, those that are not empty, with their columns' names."""
    text = source.text
    named = SEP_LINE.match(text)
    start = named.end() if named else 0
    delimiter = named[1] if named else delimiter_of(text, is_tsv=source.path.lower().endswith(".tsv"))
    sample = islice(rows(text, delimiter, start), SAMPLE_ROWS)
    labels = labels_of(header_of([[cell.value(text) for cell in row] for row in sample]))
    made = Composition()
    blocks = []
    for number, row in enumerate(rows(text, delimiter, start)):
        made.say("\n\n" if made.n_characters else "")
        begin = made.n_characters
        _add_row(made, text, row, labels if number else [])
        if begin < made.n_characters:
            blocks.append((begin, made.n_characters))
    tied = made.tied()
    return Document(
        source.path,
        tied.text,
        "table",
        tied.origin(source.origin),
        notes=source.notes,
        blocks=tuple(blocks),
    )


def _add_row(made: Composition, text: str, row: Sequence[Cell], labels: Sequence[str]) -> None:
    is_first = True
    for i, cell in enumerate(row):
        if cell.start < cell.end:
            label = labels[i] if i < len(labels) else ""
            if is_first:
                made.say(label, cell.start)
            else:
                made.say(f"; {label}")
            _take(made, text, cell)
            is_first = False


def _take(made: Composition, text: str, cell: Cell) -> None:
    position = cell.start
    while cell.is_doubled and (quotes := text.find('""', position, cell.end)) >= 0:
        made.take(text[position : quotes + 1], position, quotes + 2)
        position = quotes + 2
    made.take(text[position : cell.end], position, cell.end)


# --- rows ----------------------------------------------------------------------------------------------


def rows(text: str, delimiter: str, start: int = 0) -> Iterator[list[Cell]]:
    """The rows from ``start`` on, none without a cell; quotes count where what follows the closing one fits.

    A quote that opens and is never closed, or closes in the middle of words, is a character like others: a
    stray one must not make one cell of the rest of the file.
    """
    match = _cell_pattern(delimiter).match
    row: list[Cell] = []
    position = start
    while position < len(text):
        found = match(text, position)
        assert found  # it matches the empty string too
        words = found.lastgroup or "bare"
        first, last = found.span(words)
        if first < last and (text[first].isspace() or text[last - 1].isspace()):
            first, last = _without_space(text, first, last)
        row.append(Cell(first, last, words == "quoted" and text.find('""', first, last) >= 0))
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


def _without_space(text: str, start: int, end: int) -> tuple[int, int]:
    words = text[start:end]
    start += len(words) - len(words.lstrip())
    return start, max(start, end - len(words) + len(words.rstrip()))


def delimiter_of(text: str, *, is_tsv: bool = False) -> str:
    """The delimiter by which most rows have equally many cells, at least two; the most cells among equals.

    A tab where the name says so and there is one.  A comma that only ever stands between two digits is a
    decimal comma, if another delimiter fits.
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
    """The share of rows with the commonest number of cells above one, and that number."""
    sample = list(islice(rows(text[:SAMPLE], delimiter), SAMPLE_ROWS))
    if len(text) > SAMPLE and 1 < len(sample) < SAMPLE_ROWS:
        sample.pop()  # perhaps cut in two
    counts = Counter(len(row) for row in sample)
    n_rows, n_cells = max(((n, cells) for cells, n in counts.items() if cells > 1), default=(0, 0))
    return n_rows / max(len(sample), 1), n_cells


# --- the header ----------------------------------------------------------------------------------------


def header_of(sample: Sequence[Sequence[str]]) -> Sequence[str]:
    """The names of the columns, which is the first row, if that is what it holds; otherwise none.

    Most tables have a header, so the first row is one unless it speaks against it: a number, a date, an
    address or a sentence is no name (a year may be, above figures), what ends with a colon names what stands
    beside it, and a name does not come again in its own column, nor twice in the row, where nothing else
    tells it from the rows below.
    """
    if len(sample) < 2:
        return []
    header, *body = sample
    names = [name.strip() for name in header]
    if not any(names) or any(_is_sentence(name) or name.endswith(":") for name in names):
        return []
    columns = [[row[i].strip() for row in body if i < len(row)] for i in range(len(names))]
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


def _is_of_values(column: Sequence[str]) -> bool:
    filled = [value for value in column if value]
    return bool(filled) and sum(bool(VALUE.fullmatch(value)) for value in filled) >= 0.8 * len(filled)


def _is_sentence(name: str) -> bool:
    n_words = len(name.split())
    return (
        n_words > MAX_HEADER_WORDS or "\n" in name or (n_words > 2 and name.endswith((".", "!", "?", "。")))
    )


def labels_of(header: Sequence[str]) -> list[str]:
    """What is said before the values of each column: "name: ", or nothing where it has no name."""
    names = (" ".join(name.split())[:MAX_LABEL] for name in header)
    return [f"{name}: " if name else "" for name in names]


def row_text(labels: Sequence[str], values: Sequence[str]) -> str:
    """A row in words, as `read_table` says it: "name: Ada; born: 1815"; empty cells are left out."""
    said = [(labels[i] if i < len(labels) else "") + value for i, value in enumerate(values) if value]
    return "; ".join(said)
