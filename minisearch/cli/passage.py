"""A passage as it is printed: the lines around its evidence, or all of them, with words highlighted.

A `SearchResult` comes in, lines that fit a `Terminal` go out.  A paragraph is joined and wrapped again.
Fenced and indented blocks, tables, list items and all lines of code and data keep their line breaks.  The
rest of a result is left to `page`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, pairwise
from typing import TYPE_CHECKING

from minisearch.cli.terminal import (
    EVIDENCE,
    EVIDENCE_WORD,
    PLAIN,
    TAB,
    WORD,
    Marked,
    Terminal,
    width,
    wrap,
)
from minisearch.formats import format_of, suffix_of
from minisearch.search.lines import (
    CODE_DIRECTIVES,
    CODE_LINE,
    DIRECTIVE,
    ITEM,
    WRAPPED_FROM,
    end_of_fields,
    fence_after,
    fence_before,
    is_line_by_line,
    is_row,
)
from minisearch.text import (
    ACCENTS,
    IGNORABLE,
    SOUTH_EAST_ASIAN,
    STOP_WORDS,
    begins_wide,
    bigrams,
    folded_letters,
    paired_parts,
    stem,
)

if TYPE_CHECKING:
    from minisearch.results import Query, SearchResult

INDENT = "    "
EVIDENCE_MARK = ">"  # in the first column: visible without colour, and found by grep '^>'
PASSAGE_LINES = 4
WRAPPED_TO = 120  # columns: text with longer lines was not wrapped by hand, and its line breaks are kept
LONG_WORD = 30  # characters
FEWEST_FILLED = 3  # lines of a paragraph that show the column at which its text was wrapped
NARROWEST_FILLED = 30  # columns: shorter lines are names and the like
# A line that begins like this begins something new: a heading, row, quotation, rule, directive or field.
NOT_WRAPPED_BEFORE = re.compile(r"[#|>]|\.\.(?:\s|$)|:[\w-]+:(?:\s|$)|[A-Z][\w-]*:\s|([^\w\s])\1{2,}\s*$")
NOT_WRAPPED_AFTER = ("  ", "\\", "|", "{", "}")  # the first two are line breaks in Markdown
HEADING_MARKS = "#=-~^*+_.:`\"' \t"
LONGEST_QUERY = 200
WRAPPED_INDENT = 2  # more columns of indentation for the rest of a wrapped line of code
BLOCK_INDENT = 4  # of a code block in Markdown, beyond the list item that it belongs to

MARKED_FROM = 0.2  # the relevance of a result whose evidence is marked
# Lines of markup alone: directives, targets and options of reStructuredText, fences, underlines, comments.
MARKUP = re.compile(
    r"\s*(?:\.\.(?:\s+[\w:-]+::(?:\s+\S+)?|\s+_.*:.*)?|:(?:caption:.*|[\w-]+:(?:\s+\S+)?)|(?:`{3,}|~{3,})\s*[^`]*|"
    r"([^\w\s])\1{2,}|<!--.*-->)\s*"
)
# A row or a rule of a table; columns separated by three spaces or more.
TABLE = re.compile(r"\s*(?:\||\+[-=+]{2,}|[-=]{3,}(?:\s+[-=]{3,})+\s*$)|.*\s\|\s|.*\S {3,}\S")


def passage(
    hit: SearchResult, query: Query, terminal: Terminal, *, whole: bool, n_lines: int = PASSAGE_LINES
) -> Iterator[str]:
    """The lines of the passage: all if ``whole``, else ``n_lines`` around its evidence.

    The evidence of a result that is hardly relevant decides which lines are shown, but is not marked.
    """
    marked, fields_end = _marked(hit, query), end_of_fields(hit.text)
    if fields_end and not whole and hit.evidence and hit.evidence.start >= fields_end:
        marked, fields_end = marked[fields_end:], 0
    lines = laid_out(marked, hit.path)
    if not whole and _is_prose(hit.path):
        lines = [
            line for line in lines if line.marked.has_evidence or not MARKUP.fullmatch(line.marked.text)
        ] or lines
    if not fields_end:  # the first rule of front matter is not one below a title
        lines = list(dropwhile(repeats_title(hit.title, hit.heading), lines))
    if whole:
        if not is_marked(hit):
            lines = [replace(line, marked=line.marked.without_evidence()) for line in lines]
        yield from whole_text(lines, terminal)
        return
    room = terminal.columns - len(INDENT)
    shown = [part for line in lines for part in line.wrapped(room)]
    start, end = _window(shown, n_lines)
    parts = shown[start:end] if is_marked(hit) else [line.without_evidence() for line in shown[start:end]]
    for number, line in enumerate(parts, start):
        margin = _margin(line, terminal, is_cut=number == start > 0)
        if number == end - 1 and end < len(shown):
            yield margin + terminal.shown(next(wrap(line, room - 2), line)) + " …"
        else:
            yield margin + terminal.shown(line)


def whole_text(lines: Sequence[Line], terminal: Terminal) -> Iterator[str]:
    """All lines of a layout, but blank ones at the ends; verbatim ones in one piece, to be copied."""
    filled = [number for number, line in enumerate(lines) if line.marked.text.strip()] or [-1]
    for line in lines[filled[0] : filled[-1] + 1]:
        whole = line.marked.printable()
        is_kept = line.is_verbatim or not whole.text.strip()
        kept = [whole[: len(whole.text.rstrip())]]
        for part in kept if is_kept else line.wrapped(terminal.columns - len(INDENT)):
            yield _margin(part, terminal) + terminal.shown(part) if part else ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the layout; where it wraps, the rest begins at column ``hang``."""

    marked: Marked
    hang: int
    is_verbatim: bool

    def wrapped(self, columns: int) -> Iterator[Marked]:
        """The line in parts that fit; nothing where it is blank."""
        hang = self.hang + WRAPPED_INDENT * self.is_verbatim
        return wrap(self.marked.printable(), columns, hang=hang)


def _marked(hit: SearchResult, query: Query) -> Marked:
    span = (hit.evidence.start, hit.evidence.end) if hit.evidence else None
    return highlighted(hit.text, words=words_of(query), evidence=span)


def words_of(query: Query) -> list[str]:
    """The texts whose words are underlined."""
    if len(query.text) > LONGEST_QUERY:  # a passage, all of whose words would be underlined
        return []
    return [query.text, *(concept for concept, weight in query.steers if weight > 0)]


def is_marked(hit: SearchResult) -> bool:
    """Whether the evidence is marked: not that of a result that is hardly relevant."""
    return hit.relevance is None or hit.relevance >= MARKED_FROM


def repeats_title(title: str, heading: str) -> Callable[[Line], bool]:
    """Whether a line at the top of the passage repeats a heading printed above it, or is a rule or blank."""
    titles = {"", title, *heading.split(" > ")}

    def repeats(line: Line) -> bool:
        words = line.marked.text.strip(HEADING_MARKS)
        is_fence = line.is_verbatim and not words and bool(line.marked.text.strip())
        return words in titles and not is_fence and not line.marked.has_evidence

    return repeats


def _margin(line: Marked, terminal: Terminal, *, is_cut: bool = False) -> str:
    """The margin of a line: a mark for evidence where there are no styles, and … where lines were cut."""
    mark = EVIDENCE_MARK if line.has_evidence and not terminal.has_styles else " "
    return f"{mark} {'…' if is_cut else ' '} "


def _window(lines: list[Marked], n_lines: int) -> tuple[int, int]:
    """The range of lines to show: the evidence, and the line before it where there is room.

    Of a longer evidence, the lines with most of the query's words.
    """
    if len(lines) <= n_lines:
        return 0, len(lines)
    marked = [number for number, line in enumerate(lines) if line.has_evidence] or [0]
    starts = range(marked[0], max(marked[0], marked[-1] + 1 - n_lines) + 1)
    n_words = [line.marks.count(EVIDENCE_WORD) for line in lines]
    start = max(starts, key=lambda number: sum(n_words[number : number + n_lines]))
    has_room = marked[-1] - marked[0] + 1 < n_lines
    above = lines[max(0, start - 1)].text
    start -= has_room and any(map(str.isalnum, above))
    start = max(0, min(start, len(lines) - n_lines))
    return start, start + n_lines


# --- which lines go together ------------------------------------------------------------------------


def laid_out(text: Marked, path: str) -> list[Line]:
    """The lines of the text, with the wrapped lines of a paragraph joined."""
    rows = list(_rows(text))
    if not _is_prose(path):
        return [Line(row, _indentation(row.text), is_verbatim=True) for row in rows]
    blocks = _Blocks([row.text for row in rows])
    laid_out_rows = [Line(row, *blocks.hang_of(number)) for number, row in enumerate(rows)]
    columns, lines = _wrapped_at(laid_out_rows), list[Line]()
    for number, line in enumerate(laid_out_rows):
        above = laid_out_rows[number - 1] if number else None
        is_below = above and _is_one_paragraph(above, line, lines[-1].hang)
        if above and is_below and _is_full(above, line, columns[number]):
            lines[-1] = replace(lines[-1], marked=_joined(lines[-1].marked, line.marked.strip()))
        else:
            lines.append(line)
    return lines


def _is_prose(path: str) -> bool:
    """Whether a file is no code or data, whose lines are kept."""
    return format_of(path).is_prose or not suffix_of(path)


class _Blocks:
    """The blocks around each line of a text; `hang_of` is called for the lines in order."""

    def __init__(self, rows: Sequence[str]) -> None:
        self._rows = rows
        self._fence = fence_before(rows)
        self._literal: int | None = None  # the lines of a literal block are indented more
        self._items: list[int] = []  # the columns at which the text of the open list items begins
        self._is_kept = _kept_paragraphs(rows)

    def hang_of(self, number: int) -> tuple[int, bool]:
        """The column at which the wrapped line continues, and whether it is verbatim."""
        row = self._rows[number]
        indentation = _indentation(row)
        if self._is_fenced(number) or not row.strip() or self._is_literal(row, indentation):
            return indentation, True
        while self._items and indentation < self._items[-1]:
            self._items.pop()
        if indentation - (self._items or [0])[-1] >= BLOCK_INDENT:
            return indentation, True
        hang = indentation
        if item := ITEM.match(row):
            hang = len(item[0].expandtabs(TAB))
            self._items.append(hang)
        return hang, self._is_kept[number] or TABLE.match(row) is not None or is_row(row)

    def _is_fenced(self, number: int) -> bool:
        """Whether a line is in a fenced block, its fences included."""
        above = self._rows[number - 1] if number else ""
        before, self._fence = self._fence, fence_after(self._rows[number], self._fence, above)
        return bool(before or self._fence)

    def _is_literal(self, row: str, indentation: int) -> bool:
        """Whether a line belongs to a literal block of reStructuredText; remembers whether it opens one."""
        if self._literal is not None and indentation > self._literal:
            return True
        directive = DIRECTIVE.fullmatch(row)
        is_opening = directive[1] in CODE_DIRECTIVES if directive else row.rstrip().endswith("::")
        self._literal = indentation if is_opening else None
        return False


def _kept_paragraphs(rows: Sequence[str]) -> list[bool]:
    """Which lines are in a paragraph of records, or of code that is not marked as such."""
    is_kept: list[bool] = []
    while len(is_kept) < len(rows):
        start = len(is_kept)
        end = next((n for n in range(start, len(rows)) if not rows[n].strip()), len(rows))
        some = rows[start:end]
        n_code = sum(CODE_LINE.match(row) is not None for row in some)
        is_code = len(some) > 1 and 2 * n_code > len(some)
        is_kept += [is_code or (bool(some) and is_line_by_line(some))] * len(some)
        is_kept += [False] * (end < len(rows))
    return is_kept


def _is_one_paragraph(above: Line, line: Line, hang: int) -> bool:
    """Whether two adjacent lines can belong to a paragraph whose lines begin at column ``hang``."""
    over, text = above.marked.text, line.marked.text
    return not (
        above.is_verbatim
        or line.is_verbatim
        or _indentation(text) != hang
        or over.startswith("#")
        or over.endswith(NOT_WRAPPED_AFTER)
        or ITEM.match(text)
        or NOT_WRAPPED_BEFORE.match(text.lstrip())
    )


def _is_full(above: Line, line: Line, columns: float) -> bool:
    """Whether the first word of a line had no room on the line above."""
    if begins_wide(line.marked.text.lstrip()):
        return width(above.marked.text) + 2 > columns
    return width(above.marked.text) + 1 + width(line.marked.text.split(None, 1)[0]) > columns


def _wrapped_at(lines: Sequence[Line]) -> list[float]:
    """For each line the column at which its paragraph was wrapped by hand; infinity if it was not.

    Filled paragraphs show the least column of the text.  No paragraph was wrapped before the end of its
    longest line, but for a line with a long word such as an address.
    """
    paragraphs, least = list[list[Line]](), [WRAPPED_FROM]
    for number, line in enumerate(lines):
        if number and _is_one_paragraph(lines[number - 1], line, paragraphs[-1][0].hang):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    longest = [max((width(one.marked.text) for one in lines), default=0) for lines in paragraphs]
    for paragraph, columns in zip(paragraphs, longest, strict=True):
        is_long = len(paragraph) >= FEWEST_FILLED and columns >= NARROWEST_FILLED
        if is_long and all(_is_full(*pair, columns) for pair in pairwise(paragraph)):
            least.append(columns)
    found = list[float]()
    for paragraph in paragraphs:
        found += [_own_column(paragraph, min(least))] * len(paragraph)
    return found


def _own_column(paragraph: Sequence[Line], least: int) -> float:
    """The column at which a paragraph was wrapped: infinity if most of its lines end before it."""
    words = (width(line.marked.text) for line in paragraph if not _has_long_word(line))
    columns = max(least, max(words, default=0))
    n_full = sum(_is_full(*pair, columns) for pair in pairwise(paragraph))
    is_wrapped = columns <= WRAPPED_TO and 2 * n_full >= len(paragraph) - 1
    return columns if is_wrapped else math.inf


def _has_long_word(line: Line) -> bool:
    return any(len(word) >= LONG_WORD for word in line.marked.text.split())


def _joined(above: Marked, below: Marked) -> Marked:
    """Two lines as one, with a space between them unless both are Chinese, Japanese or Korean."""
    above = above[: len(above.text.rstrip())]
    if begins_wide(above.text[-1]) and begins_wide(below.text[0]):
        return above + below
    mark = above.marks[-1] if above.marks[-1:] == below.marks[:1] else PLAIN
    return above + Marked(" ", mark) + below


def _indentation(row: str) -> int:
    return len(row[: len(row) - len(row.lstrip())].expandtabs(TAB))


def _rows(text: Marked) -> Iterator[Marked]:
    """The lines of a text, without their line breaks."""
    start = 0
    for row in text.text.splitlines(keepends=True):
        yield text[start : start + len(row.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"))]
        start += len(row)


# --- highlighting ------------------------------------------------------------------------------------

# Words match whatever their case and common English endings, as in full-text search; Chinese, Japanese and
# Korean match by pairs of characters. This only guides the eye: it has no part in what is found.
A_WORD = re.compile(rf"\w[\w{IGNORABLE}{ACCENTS}{SOUTH_EAST_ASIAN}]*")

Span = tuple[int, int]


def highlighted(text: str, *, words: Iterable[str], evidence: Span | None) -> Marked:
    """The text with its evidence (characters, half-open) and the query's words marked."""
    marks = [PLAIN] * len(text)
    if evidence is not None:
        start, end = evidence
        marks[start:end] = [EVIDENCE] * len(marks[start:end])
    for start, end in shared(text, words):
        for position in range(start, end):
            marks[position] = WORD if marks[position] in {PLAIN, WORD} else EVIDENCE_WORD
    return Marked(text, "".join(marks))


def shared(text: str, words: Iterable[str]) -> Iterator[Span]:
    """Where the text has a word of ``words``, in order; pairs of Chinese characters may overlap."""
    wanted = {key for word in words for _, _, key in _keys(word)} - STOP_WORDS
    for start, end, key in _keys(text):
        if key in wanted:
            yield start, end


def _keys(text: str) -> Iterator[tuple[int, int, str]]:
    """The start, the end and the normalised form of each word."""
    for match in A_WORD.finditer(text):
        start = match.start()
        for part, is_paired in paired_parts(match[0]):
            word, end = part.casefold() if is_paired else folded_letters(part), start + len(part)
            if not is_paired:
                yield start, end, word if word in STOP_WORDS else stem(word)
            else:
                for position, key in enumerate(bigrams(word), start):
                    yield position, position + len(key), key
            start = end
