"""The layout of a PDF: lines with places go in, paragraphs and headings in reading order come out.

A PDF knows no paragraphs, only characters with positions.  Columns are read one after the other, and a table
row by row, where the lines were drawn otherwise.  What runs along the head or foot of the pages is read once.
Lines at one distance and in one size form a block.  Within a block, a line that was broken because the column
ended continues in the next; any other line keeps its end, as in lists, poems and code.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from math import inf
from statistics import median

from minisearch.parsers.pdf.page import HYPHEN, MAX_GAP, SAME_WORD, PageText, TextLine
from minisearch.text import EAST_ASIAN, HANGUL, LEADER, STOP_WORDS, has_dots, short_leaders

Lines = Sequence[TextLine]

# --- running heads ---------------------------------------------------------------------------------------

MAX_OUTER = 6  # lines at one edge of a page, or parts of them
MARGIN = 0.2  # of the height of a page
MIN_GAP = 1.4  # between them and the text, in heights of a character
MIN_PAGES = 3
NUMBER = re.compile(r"\d+")


def without_running_heads(pages: Sequence[PageText]) -> tuple[list[list[TextLine]], int]:
    """The lines of all pages without those that come again at one height, and how many these are.

    The first of them stays, unless it is nothing but the number of the page.
    """
    found: dict[str, list[tuple[int, TextLine]]] = {}
    for index, page in enumerate(pages):
        usual = median(line.size for line in page.lines) if page.lines else 0.0
        for line in _outer(page):
            for key in _running(line.text, index, is_heading=line.size >= MIN_LARGER * usual):
                found.setdefault(key, []).append((index, line))
    dropped: set[int] = set()
    for key, places in found.items():
        again = [place for place in places if abs(place[1].top - places[0][1].top) < place[1].size]
        is_number = not any(map(str.isalpha, key.replace("page", "")))
        if len({index for index, _ in again}) >= MIN_PAGES - is_number:
            dropped.update(id(line) for _, line in (again if is_number else again[1:]))
    return [[line for line in page.lines if id(line) not in dropped] for page in pages], len(dropped)


def _outer(page: PageText) -> Iterator[TextLine]:
    """The lines at the edges of a page, from the edge on, up to a gap; none where there is no such gap."""
    margin = MARGIN * (page.top - page.bottom)
    lines = sorted((line for line in page.lines if line.top == line.bottom), key=lambda line: line.top)
    for edge, from_edge in ((page.bottom, lines), (page.top, lines[::-1])):
        for n_lines, (line, inner) in enumerate(pairwise(from_edge[: MAX_OUTER + 1]), 1):
            if abs(line.top - edge) > margin:
                break
            if abs(line.top - inner.top) > MIN_GAP * line.size:
                yield from from_edge[:n_lines]
                break


def _running(text: str, index: int, *, is_heading: bool) -> Iterator[str]:
    """What a line has in common with those of other pages: its words, its number less that of the page.

    A number in a heading or a sentence is none of a page.
    """
    words = " ".join(text.casefold().split())
    has_words = any(map(str.isalpha, words))
    if has_words:
        yield words
    if not (has_words and (is_heading or words[-1] in ".!?")):
        for number in list(NUMBER.finditer(words[:MAX_HEADING]))[:3]:
            yield f"{words[: number.start()]}#{int(number[0]) - index}{words[number.end() :]}"


# --- reading order ---------------------------------------------------------------------------------------

MIN_LINES = 3  # of a column
MIN_COLUMN = 14  # characters of a column's lines, at the median; those of a cell of a table are fewer
MIN_INSIDE = 0.25  # of a column's lines begin in the middle of a sentence
# Lines of scripts without spaces between words, and of their punctuation, are joined without one.
IS_WIDE = re.compile(f"(?![{HANGUL}])[{EAST_ASIAN}]")
N_EDGES = 12  # left edges that are tried as those of a column
MAX_DEPTH = 6
MAX_RUN_GAP = 5  # between two lines of a run, in heights of a character
MIN_RUN = 2.5  # lines of a run, on average, where the order of drawing is that of reading
SAME_EDGE = 3.0  # points
MOST, NEARLY_ALL = 0.8, 0.9
MIN_FULL = 4  # lines of a text beside a table that fill their column


def reading_order(lines: Lines, depth: int = 0) -> list[TextLine]:
    """The lines of a page in the order in which they are read.

    Groups of lines follow each other from the top to the bottom.  Lines side by side are in the order in
    which they were drawn, unless columns were drawn row by row, from the bottom, or in no order, or a table
    column by column.
    """
    runs: list[list[TextLine]] = []  # of lines drawn downward
    for line in lines:
        last = runs[-1][-1] if runs else None
        if last and -MAX_RUN_GAP * line.size < line.top - last.top <= line.size / 2:
            runs[-1].append(line)
        else:
            runs.append([line])
    is_downward = len(lines) >= MIN_RUN * len(runs)
    if depth < MAX_DEPTH and not is_downward and (parts := _columns(lines)):
        return [line for part in parts for line in reading_order(part, depth + 1)]
    groups: list[list[int]] = []  # numbers of runs side by side, with the height at which they end
    ends: list[float] = []
    for number in sorted(range(len(runs)), key=lambda number: -runs[number][0].top):
        if not groups or runs[number][0].top <= ends[-1]:
            groups.append([])
            ends.append(inf)
        groups[-1].append(number)
        ends[-1] = min(ends[-1], runs[number][-1].top)
    return [line for group in groups for line in _with_rows([runs[number] for number in sorted(group)])]


def _by_column(lines: Lines, depth: int = 0) -> Lines:
    """A run with its columns one after the other."""
    if depth < MAX_DEPTH and (parts := _columns(lines)):
        return [line for part in parts for line in _by_column(part, depth + 1)]
    return lines


def _columns(lines: Lines) -> tuple[Lines, ...] | None:
    """What stands above two columns, the left one, the right one, and what stands below; None without any."""
    edges = Counter(round(line.left / SAME_EDGE) for line in lines)
    downward = sorted(lines, key=lambda line: -line.top)
    best: tuple[Lines, Lines] | None = None
    n_best = MIN_LINES - 1
    for edge, n_lines in edges.most_common(N_EDGES):
        if n_lines <= n_best:
            continue
        x = (edge - 0.5) * SAME_EDGE - 1
        for is_free, group in groupby(downward, key=lambda line: not line.left < x < line.right):
            beside = list(group)
            left = [line for line in beside if line.left < x]
            right = [line for line in beside if line.left >= x]
            if is_free and min(len(left), len(right)) > n_best and _are_columns(left, right):
                n_best = min(len(left), len(right))
                best = left, right
    if best is None:
        return None
    sides = [{id(line) for line in side} for side in best]
    top = max(line.top for side in best for line in side)
    rest = [line for line in lines if id(line) not in sides[0] | sides[1]]
    left, right = ([line for line in lines if id(line) in side] for side in sides)
    return [line for line in rest if line.top >= top], left, right, [line for line in rest if line.top < top]


def _are_columns(left: Lines, right: Lines) -> bool:
    """Whether two parts of a page are columns, and not the cells of a table."""
    return (
        (_is_text(left) and _is_text(right)) or _is_beside_text(left, right) or _is_beside_text(right, left)
    )


def _is_text(lines: Lines) -> bool:
    """Whether lines are those of running text, and not the cells of a table."""
    wide = [IS_WIDE.match(line.text) is not None for line in lines]
    lengths = [len(line.text) * (1 + is_wide) for line, is_wide in zip(lines, wide, strict=True)]
    n_inside = sum(line.text[0].islower() for line in lines) + sum(wide)
    return median(lengths) >= MIN_COLUMN and n_inside >= MIN_INSIDE * len(lines)


def _is_beside_text(lines: Lines, text: Lines) -> bool:
    """Whether a text fills its column, and nearly each of its lines has another line beside it.

    A term beside its definition is on the first line only.
    """
    margin = _margin(text)
    n_full = sum(_continues(above, below, margin) for above, below in pairwise(text))
    n_beside = sum(lines[-1].top - 1 < line.top < lines[0].top + 1 for line in text)
    return (
        _is_text(text)
        and n_full >= max(NEARLY_ALL * (len(text) - 1), MIN_FULL)
        and MIN_LINES <= n_beside <= len(lines) / MOST
    )


def _with_rows(runs: Sequence[Lines]) -> list[TextLine]:
    """The lines of runs side by side; row by row where the runs are the columns of a table.

    In a table, most lines of a column have their like in another.
    """
    lines = [line for run in runs for line in run]
    top = min(max(line.top for line in run) for run in runs) + 1
    bottom = max(min(line.top for line in run) for run in runs) - 1
    cells = [line for line in lines if bottom < line.top < top]
    heights = Counter(round(line.top) for line in cells)
    n_alone = sum(count == 1 for count in heights.values())
    is_table = len(runs) > 2 and len(heights) >= MIN_LINES and n_alone <= (1 - MOST) * len(heights)
    if not is_table or all(map(_is_text, runs)):
        return [line for run in runs for line in _by_column(run)]
    above = [line for line in lines if line.top >= top]
    rows = sorted(cells, key=lambda line: (-round(line.top), line.left))
    return [*above, *rows, *(line for line in lines if line.top <= bottom)]


# --- lines to paragraphs ---------------------------------------------------------------------------------

SOFT_HYPHEN = "\u00ad"
ITEM = re.compile(r"[•◦▪▫‣⁃·●○■□▶►➢✓–*\-\ue000-\uf8ff][ \t]|\(?\w{1,3}[.)][ \t]")
MAX_ENTRY = 300  # characters
ENTRY = re.compile(rf"{LEADER.pattern}\w{{1,6}}$")  # of a table of contents: dots, and a page number

ENDS_IN_HYPHEN = re.compile(r"[^\W_](?:-|(\u2010))$")
ENDS_IN_DASH = re.compile(r"\d[\u2012\u2013]$")

MAX_DISTANCE = 1.35  # of the usual distance between lines; beyond it a paragraph begins
MAX_SIZE_RATIO = 1.18  # between the sizes of two lines; beyond it a paragraph begins
MAX_SIZE_RATIO_WITHIN = 1.25  # where the line below begins in small letters: a word in another font is larger


@dataclass(frozen=True, slots=True)
class Block:
    """The text of a paragraph, a list or a heading, and the size of its characters; 0 in slanted lines."""

    text: str
    size: float


def blocks(lines: Lines) -> list[Block]:
    """The blocks of a page; a hyphen that ends a line in the middle of a word is still `HYPHEN`."""
    return [
        Block(_joined(block), median(line.size * (line.top == line.bottom) for line in block))
        for block in _blocks(_whole_rows(lines))
    ]


def _whole_rows(lines: Lines) -> list[TextLine]:
    """The lines, with those that follow each other on one baseline as one."""
    rows: list[list[TextLine]] = []
    for line in lines:
        if rows and not rows[-1][-1].text.endswith(HYPHEN) and _is_beside(line, rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_whole(row) if len(row) > 1 else row[0] for row in rows]


def _is_beside(line: TextLine, row: Lines) -> bool:
    """Whether a line stands on the baseline of a row, or right after it as a number of a footnote does."""
    last = row[-1]
    rise = min(abs(row[0].bottom - line.top), abs(last.bottom - line.top))
    is_note = line.size < last.size and abs(line.left - last.right) < last.size / 2
    return rise < last.size / (2 if is_note else 4)


def _whole(row: Lines) -> TextLine:
    """The parts of a row as one line, with spaces between words."""
    size, text, n_cells = max(part.size for part in row), [row[0].text], 1
    for last, part in pairwise(row):
        gap = abs(complex(part.left - last.right, part.top - last.bottom))
        is_word = last.left < last.right and gap + abs(part.size - last.size) < SAME_WORD * size
        text.append(part.text if is_word else f" {part.text}")
        n_cells += gap > MAX_GAP * size
    return replace(row[0], text="".join(text), right=row[-1].right, size=size, n_cells=n_cells)


def _blocks(lines: Lines) -> Iterator[list[TextLine]]:
    """Lines that belong together, by their distance and size."""
    distances = [above.bottom - below.top for above, below in pairwise(lines)]
    by_size: dict[int, list[float]] = {}
    for above, distance in zip(lines, distances, strict=False):
        if above.size / 2 < distance < 3 * above.size:
            by_size.setdefault(round(above.size), []).append(distance)
    # The lower quartile: a page may hold more headings than text.
    usual = {size: sorted(found)[len(found) // 4] for size, found in by_size.items()}
    block: list[TextLine] = list(lines[:1])
    for (above, below), distance in zip(pairwise(lines), distances, strict=True):
        is_far = distance > MAX_DISTANCE * usual.get(round(above.size), 0)
        max_ratio = MAX_SIZE_RATIO_WITHIN if below.text[0].islower() else MAX_SIZE_RATIO
        is_like = above.size < max_ratio * below.size and below.size < max_ratio * above.size
        if is_far or distance < 0 or not is_like:
            yield block
            block = []
        block.append(below)
    if block:
        yield block


def _joined(block: Lines) -> str:
    """A block's text, with lines joined that were broken only because the column ended."""
    margin = _margin(block)
    lines = [block[0].text.strip()]
    for above, below in pairwise(block):
        word = below.text.strip()
        if (hyphen := ENDS_IN_HYPHEN.search(lines[-1])) and word[0].isalnum():
            lines[-1] = lines[-1][:-1] + (SOFT_HYPHEN if hyphen[1] else HYPHEN)
        if _has_broken(lines[-1][-1:]) or (ENDS_IN_DASH.search(lines[-1]) and word[0].isdigit()):
            lines[-1] += word
        elif _continues(above, below, margin) and not (
            has_dots(tail := lines[-1][-MAX_ENTRY:]) and ENTRY.search(tail)
        ):
            is_wide = IS_WIDE.match(word[0]) and IS_WIDE.match(lines[-1][-1:])
            lines[-1] += word if is_wide else f" {word}"
        else:
            lines.append(word)
    return short_leaders("\n".join(lines))


def _continues(above: TextLine, below: TextLine, margin: float) -> bool:
    """Whether the line below continues the sentence of the line above."""
    if min(above.n_cells, below.n_cells) > 1 or ITEM.match(below.text.lstrip()):  # rows of a table, items
        return False
    is_indented = below.left > above.left + 0.8 * above.size and not ITEM.match(above.text.lstrip())
    advance = abs(above.right - above.left) / len(above.text)
    n_needed = len(below.text.split(None, 1)[0]) + 2  # a wide word may need more than its number of letters
    return not is_indented and abs(margin - above.right) <= n_needed * advance


def _margin(lines: Lines) -> float:
    """Where the longest line ends; the first to the left in scripts written from right to left."""
    n_leftward = sum(line.right < line.left for line in lines)
    return (min if n_leftward > len(lines) / 2 else max)(line.right for line in lines)


# --- broken words ----------------------------------------------------------------------------------------

WORD = re.compile(r"[^\W\d_]+")
HYPHENATED = re.compile(r"[^\W\d_]+[-\u2010][^\W\d_]+")
BREAK = re.compile(rf"({HYPHEN}|{SOFT_HYPHEN}\n?)")
BROKEN = re.compile(rf"[^\W\d_]*(?:{BREAK.pattern}[^\W\d_]*)+")
# English: the halves of words without a hyphen, where neither half nor the whole stands elsewhere.
PREFIX = re.compile("(?:com|con|dis|inter|par|per|pre|pro|sub|trans)$")
SUFFIX = re.compile(
    r"[aeiou]?[cst]?(?:i?al|able|an[ct]|ate|en[ct]|ful|ing|ion|ity|ive|less|ly|ment|ness|ous)\w{0,4}$"
)
AND = {"and", "bis", "et", "o", "oder", "or", "ou", "to", "und", "y"}  # "pre- and post-war"
MIN_HALF, MIN_WORD = 3, 4  # letters
SIZES = [300, 2_000]  # different words; from each number on, one more half must stand elsewhere
MIN_ENGLISH = 0.2  # of the words are English stop words


def whole_words(pages: Sequence[Sequence[Block]]) -> list[list[Block]]:
    """The blocks of all pages with their broken words joined, also from one column or page to the next."""
    texts = [[block.text for block in page] for page in pages]
    places = [(page, place) for page, found in enumerate(texts) for place in range(len(found))]
    for (page, place), (next_page, next_place) in pairwise(places):
        start, following = texts[page][place], texts[next_page][next_place]
        if start[-2:-1].isalpha() and start[-1] in {HYPHEN, "-"} and following[0].islower():
            end, *rest = following.split(maxsplit=1)
            texts[page][place] = f"{start[:-1]}{HYPHEN}{end}"
            texts[next_page][next_place] = "".join(rest)
    if any(_has_broken(text) for found in texts for text in found):
        unbroken = _Vocabulary(text for found in texts for text in found).unbroken
        texts = [list(map(unbroken, found)) for found in texts]
    return [
        [replace(block, text=text) for block, text in zip(page, found, strict=True) if text]
        for page, found in zip(pages, texts, strict=True)
    ]


def _has_broken(text: str) -> bool:
    return HYPHEN in text or SOFT_HYPHEN in text


class _Vocabulary:
    """The words of a document, by which it is decided whether a hyphen belongs to a word."""

    def __init__(self, texts: Iterable[str]) -> None:
        text = "\n".join(BROKEN.sub(" ", text) if _has_broken(text) else text for text in texts).lower()
        self.has_soft_hyphens = "\u2010" not in text
        self.hyphenated = {word.replace("\u2010", "-") for word in HYPHENATED.findall(text)}
        found = WORD.findall(text)
        self.words = set(found)
        self.is_english = sum(word in STOP_WORDS for word in found) > MIN_ENGLISH * len(found)
        self.min_known = bisect(SIZES, len(self.words))  # halves that must stand elsewhere

    def unbroken(self, text: str) -> str:
        """The text with each broken word whole, with or without its hyphen."""
        return BROKEN.sub(self._joined, text) if _has_broken(text) else text

    def _joined(self, broken: re.Match[str]) -> str:
        """A word whose parts stand on two lines, or on more in a narrow column."""
        text = broken.string
        is_part = text.endswith("-", 0, broken.start()) or text.startswith("-", broken.end())
        before, *parts = BREAK.split(broken[0])
        whole = ""
        for mark, after in zip(parts[::2], parts[1::2], strict=True):
            if mark != HYPHEN and self.has_soft_hyphens:
                before += after
            elif after in AND or is_part or self._has_hyphen(before, after):
                whole += f"{before}- " if after in AND else f"{before}-"
                before = after
            else:
                before += after
        return whole + before

    def _has_hyphen(self, before: str, after: str) -> bool:
        if not after[:1].islower() or len(before) < 2:
            return True
        before, after = before.lower(), after.lower()
        if f"{before}-{after}" in self.hyphenated:
            return True
        if before + after in self.words or min(len(before), len(after)) < MIN_HALF:
            return False
        n_known = sum(half in self.words or half in STOP_WORDS for half in (before, after))
        if not self.is_english or PREFIX.match(before) or SUFFIX.match(after):
            return n_known >= 2
        is_syllable = before[-1] == after[0] or len(after) < MIN_WORD  # hap-pen, win-dow
        return n_known >= max(self.min_known, is_syllable)


# --- headings --------------------------------------------------------------------------------------------

MIN_LARGER = 1.15  # than the text
MAX_HEADING = 150  # characters

Headings = dict[int, list[tuple[int, str]]]  # by page, from 0: level and title


def headings_by_size(pages: Sequence[Sequence[Block]]) -> Headings:
    """The headings of a document: its short blocks in larger characters than most of its text."""
    n_characters: Counter[int] = Counter()
    for block in (block for page in pages for block in page):
        n_characters[round(block.size)] += len(block.text)
    usual = max(n_characters, key=n_characters.__getitem__, default=0)
    headings: Headings = {}
    sizes = set()
    for index, page in enumerate(pages):
        for block in page:
            is_title = (
                len(block.text) <= MAX_HEADING and WORD.search(block.text) and block.text[-1] not in ".,;"
            )
            if block.size >= MIN_LARGER * usual and is_title:
                headings.setdefault(index, []).append((-round(block.size), " ".join(block.text.split())))
                sizes.add(-round(block.size))
    levels = {size: min(level, 4) for level, size in enumerate(sorted(sizes), 1)}
    return {index: [(levels[size], title) for size, title in found] for index, found in headings.items()}
