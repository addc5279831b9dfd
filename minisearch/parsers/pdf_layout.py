"""The layout of a PDF: lines with places go in, paragraphs and headings in reading order come out.

A PDF knows no paragraphs, only characters with positions.  Columns are read one after the other, and a table
row by row, where the lines were drawn otherwise.  What runs along the head or foot of the pages is read once.
Lines at one distance and in one size form a block.  Within a block, a line that was broken because the column
ended continues in the next; any other line keeps its end, as in lists, poems and code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from minisearch.parsers.pdf_page import HYPHEN, PageText, TextLine
from minisearch.text import EAST_ASIAN, HANGUL, LEADER, STOP_WORDS, has_dots, short_leaders, stem

Lines = Sequence[TextLine]

# --- running heads ---------------------------------------------------------------------------------------

MAX_OUTER = 6  # lines at one edge of a page, or parts of them
MARGIN = 0.15  # of the height of a page
MIN_GAP = 1.4  # between them and the text, in heights of a character
MIN_PAGES = 3
NUMBER = re.compile(r"\d{1,4}|\b[ivxlc]{1,6}\b", re.IGNORECASE)
ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def without_running_heads(pages: Sequence[PageText]) -> tuple[list[list[TextLine]], int]:
    """The lines of all pages without those that come again at one height, and how many these are.

    The first of them stays, unless it is nothing but the number of the page.
    """
    found: dict[str, list[tuple[int, TextLine]]] = {}
    for index, page in enumerate(pages):
        for line in _outer(page):
            for key in _running(line.text, index):
                found.setdefault(key, []).append((index, line))
    dropped: set[tuple[int, int]] = set()
    for key, places in found.items():
        again = [place for place in places if abs(place[1].top - places[0][1].top) < place[1].size]
        if len({index for index, _ in again}) >= MIN_PAGES:
            is_number = not any(map(str.isalpha, key.replace("page", "")))
            dropped.update((index, id(line)) for index, line in (again if is_number else again[1:]))
    kept = [
        [line for line in page.lines if (index, id(line)) not in dropped] for index, page in enumerate(pages)
    ]
    return kept, len(dropped)


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


def _running(text: str, index: int) -> Iterator[str]:
    """What a line has in common with those of other pages: its words, its number less that of the page."""
    words = " ".join(text.casefold().split())
    if any(map(str.isalpha, words)):
        yield words
    for number in list(NUMBER.finditer(words))[:4]:
        yield f"{words[: number.start()]}#{_value(number[0]) - index}{words[number.end() :]}"


def _value(number: str) -> int:
    if number.isdigit():
        return int(number)
    values = [ROMAN[letter] for letter in number]
    return sum(-one if one < after else one for one, after in pairwise([*values, 0]))


# --- reading order ---------------------------------------------------------------------------------------

MIN_LINES = 3  # of a column
MIN_COLUMN = 14  # characters of a column's lines, at the median; those of a cell of a table are fewer
MIN_LOWER = 0.25  # of a column's lines begin in the middle of a sentence
# Lines of scripts without spaces between words, and of their punctuation, are joined without one.
IS_WIDE = re.compile(f"(?![{HANGUL}])[{EAST_ASIAN}]")
N_EDGES = 12  # left edges that are tried as those of a column
MAX_DEPTH = 6
SAME_EDGE = 3.0  # points


def reading_order(lines: Lines, depth: int = 0) -> list[TextLine]:
    """The lines of a page in the order in which they are read."""
    if depth < MAX_DEPTH and (parts := _columns(lines)):
        return [line for part in parts for line in reading_order(part, depth + 1)]
    return _top_down(lines)


def _columns(lines: Lines) -> tuple[Lines, ...] | None:
    """What stands above two columns, the left one, the right one, and what stands below; None without any."""
    edges = Counter(round(line.left / SAME_EDGE) for line in lines)
    best: tuple[int, tuple[Lines, ...]] | None = None
    for edge, n_lines in edges.most_common(N_EDGES):
        if n_lines < MIN_LINES or (best and n_lines <= best[0]):
            break
        for top, bottom in _free_heights(lines, x := (edge - 0.5) * SAME_EDGE - 1):
            within = [line for line in lines if bottom < line.top < top]
            left = [line for line in within if line.left < x]
            right = [line for line in within if line.left >= x]
            if _is_column(left) and _is_column(right) and _stand_side_by_side(left, right):
                above = [line for line in lines if line.top >= top]
                below = [line for line in lines if line.top <= bottom]
                n_columns = min(len(left), len(right))
                if best is None or n_columns > best[0]:
                    best = n_columns, (above, left, right, below)
    return best[1] if best else None


def _free_heights(lines: Lines, x: float) -> Iterator[tuple[float, float]]:
    """The ranges of heights, top and bottom, in which no line crosses x."""
    crossing = sorted((line.top for line in lines if line.left < x < line.right), reverse=True)
    yield from zip([float("inf"), *crossing], [*crossing, float("-inf")], strict=True)


def _is_column(lines: Lines) -> bool:
    """Whether lines are those of running text, and not the cells of a table."""
    if (
        len(lines) < MIN_LINES
        or median(len(line.text) * (1 + bool(IS_WIDE.match(line.text))) for line in lines) < MIN_COLUMN
    ):
        return False
    n_lower = sum(line.text[:1].islower() or bool(IS_WIDE.match(line.text)) for line in lines)
    return n_lower >= MIN_LOWER * len(lines)


def _stand_side_by_side(left: Lines, right: Lines) -> bool:
    top = min(max(line.top for line in left), max(line.top for line in right))
    bottom = max(min(line.top for line in left), min(line.top for line in right))
    return all(sum(bottom <= line.top <= top for line in lines) >= MIN_LINES - 1 for lines in (left, right))


def _top_down(lines: Lines) -> list[TextLine]:
    """Groups of lines from the top to the bottom; lines side by side as they were drawn."""
    runs: list[list[TextLine]] = []
    for line in lines:
        if runs and line.top <= runs[-1][-1].top + line.size / 2:
            runs[-1].append(line)
        else:
            runs.append([line])
    if len(runs) == 1:
        return runs[0]
    groups: list[tuple[float, list[list[TextLine]]]] = []  # each with the bottom of its runs
    for run in sorted(runs, key=lambda run: -run[0].top):
        bottom = run[-1].top
        if groups and run[0].top > groups[-1][0]:
            groups[-1] = min(bottom, groups[-1][0]), [*groups[-1][1], run]
        else:
            groups.append((bottom, [run]))
    drawn = {id(run): number for number, run in enumerate(runs)}
    ordered: list[TextLine] = []
    for _, group in groups:
        group.sort(key=lambda run: drawn[id(run)])
        ordered += _with_rows(group)
    return ordered


def _with_rows(runs: Sequence[Lines]) -> list[TextLine]:
    """The lines of runs side by side, those that are a table row by row."""
    lines = [line for run in runs for line in run]
    top = min(max(line.top for line in run) for run in runs) + 1
    bottom = max(min(line.top for line in run) for run in runs) - 1
    cells = [[line for line in run if bottom < line.top < top] for run in runs]
    if not _is_table(cells):
        return lines
    rows = sorted((line for run in cells for line in run), key=lambda line: (-round(line.top), line.left))
    above, below = ([line for line in lines if is_out(line.top)] for is_out in (top.__le__, bottom.__ge__))
    return [*above, *rows, *below]


def _is_table(runs: Sequence[Lines]) -> bool:
    """Whether runs of lines are the columns of a table: each line has its like in other columns."""
    if len(runs) < 2 or min(map(len, runs)) < MIN_LINES:
        return False
    heights = Counter(round(line.top) for run in runs for line in run)
    n_alone = sum(count == 1 for count in heights.values())
    is_number = any(2 * sum(line.text[:1].isdigit() for line in run) > len(run) for run in runs)
    return n_alone <= len(heights) / 5 and (len(runs) > 2 or is_number)


# --- lines to paragraphs ---------------------------------------------------------------------------------

SOFT_HYPHEN = "\u00ad"
ITEM = re.compile(r"[•◦▪‣·–*-][ \t]|\(?\w{1,3}[.)][ \t]")
MAX_ENTRY = 300  # characters
ENTRY = re.compile(rf"{LEADER.pattern}\w{{1,6}}$")  # of a table of contents: dots, and a page number

ENDS_IN_HYPHEN = re.compile(r"[^\W_][-\u2010]$")
AND = re.compile(r"(?:and|or|to|und|oder|bis|et|ou|y|o)\b")  # "pre- and post-war"

MAX_DISTANCE = 1.35  # of the usual distance between lines; beyond it a paragraph begins
MAX_SIZE_RATIO = 1.25  # between the sizes of two lines; beyond it a paragraph begins


@dataclass(frozen=True, slots=True)
class Block:
    """The text of a paragraph, a list or a heading, and the size of its characters."""

    text: str
    size: float


def blocks(lines: Lines) -> list[Block]:
    """The blocks of a page; a hyphen that ends a line in the middle of a word is still `HYPHEN`."""
    return [
        Block(_joined(block), median(line.size for line in block)) for block in _blocks(_whole_rows(lines))
    ]


def _whole_rows(lines: Lines) -> list[TextLine]:
    """The lines, with those that follow each other on one baseline as one."""
    rows: list[TextLine] = []
    for line in lines:
        last = rows[-1] if rows else None
        if last and abs(last.bottom - line.top) < last.size / 4 and not last.text.endswith(HYPHEN):
            n_cells, size = last.n_cells + line.n_cells, max(last.size, line.size)
            text = f"{last.text} {line.text}"
            rows[-1] = replace(line, text=text, left=last.left, top=last.top, size=size, n_cells=n_cells)
        else:
            rows.append(line)
    return rows


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
        is_like = above.size < MAX_SIZE_RATIO * below.size and below.size < MAX_SIZE_RATIO * above.size
        if is_far or distance < 0 or not is_like:
            yield block
            block = []
        block.append(below)
    if block:
        yield block


def _joined(block: Lines) -> str:
    """A block's text, with lines joined that were broken only because the column ended."""
    margin = max(line.right for line in block)
    lines = [block[0].text.strip()]
    for above, below in pairwise(block):
        word = below.text.strip()
        if not word:
            continue
        if ENDS_IN_HYPHEN.search(lines[-1]) and word[0].isalnum() and not AND.match(word):
            lines[-1] = lines[-1][:-1] + HYPHEN
        if lines[-1].endswith(HYPHEN):
            lines[-1] += word
        elif _continues(above, below, margin) and not _is_entry(lines[-1][-MAX_ENTRY:]):
            is_wide = IS_WIDE.match(word[0]) and IS_WIDE.match(lines[-1][-1:])
            lines[-1] += word if is_wide else f" {word}"
        else:
            lines.append(word)
    return short_leaders("\n".join(lines))


def _is_entry(text: str) -> bool:
    return has_dots(text) and ENTRY.search(text) is not None


def _continues(above: TextLine, below: TextLine, margin: float) -> bool:
    """Whether the line below continues the sentence of the line above."""
    is_table = above.n_cells > 1 and below.n_cells > 1
    if is_table or ITEM.match(below.text.lstrip()):
        return False
    is_indented = below.left > above.left + 0.8 * above.size and not ITEM.match(above.text.lstrip())
    first_word = len(below.text.split(None, 1)[0]) if below.text.strip() else 0
    had_room = above.right + first_word * 0.5 * above.size < margin  # a letter is about half its size wide
    return not is_indented and not had_room


# --- broken words ----------------------------------------------------------------------------------------

WORD = re.compile(r"[^\W\d_]+")
HYPHENATED = re.compile(r"[^\W\d_]+-[^\W\d_]+")
BROKEN = re.compile(rf"(?<![^\W\d_])([^\W\d_]*)(?:{HYPHEN}|{SOFT_HYPHEN}\n?)([^\W\d_]*)")
# English: where neither half nor the whole stands elsewhere, such halves are none of words with a hyphen.
PREFIX = re.compile(
    "(?:circum|com|con|contra|counter|dis|hyper|hypo|inter|intro|micro|mis|para|per|pre|pro|sub|super|sur|trans|under)$"
)
SUFFIX = re.compile(
    r"[aeiou]?[cst]?(?:i?al|ally|ance|ancy|ant|ary|ate|ated|able|ence|ency|ent|ery|est|ful|ial|ian|ible|ical"
    r"|ing|ion|ism|ist|ity|ive|i[sz]e|i[sz]ed|less|ly|ment|ness|ory|ous|ship|ual|ure)s?\w{0,4}$"
)
MIN_HALF = 3  # letters
LARGE = 2_000  # different words: a document with so many has nearly all that it uses more than once
MIN_ENGLISH = 0.2  # of the words are English stop words


def whole_words(pages: Sequence[Sequence[Block]]) -> list[list[Block]]:
    """The blocks of all pages with their broken words joined, also from one column or page to the next."""
    joined: list[list[Block]] = []
    last: list[Block] = []  # the page with the block before
    for page in pages:
        joined.append([])
        for block in page:
            if last and last[-1].text[-1:] in {HYPHEN, "-"} and (tail := FIRST_WORD.match(block.text)):
                before = last[-1].text[:-1]
                if before[-1:].isalpha():
                    last[-1] = replace(last[-1], text=f"{before}{HYPHEN}{tail[1]}")
                    block = replace(block, text=block.text[tail.end() :])
            joined[-1].append(block)
            last = joined[-1]
    texts = [block.text for page in joined for block in page]
    if not any(map(_has_broken, texts)):
        return joined
    vocabulary = _Vocabulary(texts)
    return [[replace(block, text=vocabulary.unbroken(block.text)) for block in page] for page in joined]


FIRST_WORD = re.compile(r"([^\W\d_A-Z]\S*)(?:\s+|$)")


def _has_broken(text: str) -> bool:
    return HYPHEN in text or SOFT_HYPHEN in text


class _Vocabulary:
    """The words of a document, by which it is decided whether a hyphen belongs to a word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.words: set[str] = set()
        self.hyphenated: set[str] = set()
        n_words = n_english = 0
        for text in texts:
            lower = text.lower()
            self.hyphenated.update(HYPHENATED.findall(lower))
            found = WORD.findall(BROKEN.sub(" ", lower) if _has_broken(lower) else lower)
            self.words.update(found)
            n_words += len(found)
            n_english += sum(word in STOP_WORDS for word in found)
        self.stems = {stem(word) for word in self.words}
        self.is_small_english = len(self.words) < LARGE and n_english > MIN_ENGLISH * n_words

    def unbroken(self, text: str) -> str:
        """The text with each broken word whole, with or without its hyphen."""
        return BROKEN.sub(self._joined, text) if _has_broken(text) else text

    def _joined(self, broken: re.Match[str]) -> str:
        before, after = broken[1], broken[2]
        if HYPHEN not in broken[0]:
            return before + after
        is_part = "-" in {
            broken.string[broken.start() - 1 : broken.start()],
            broken.string[broken.end() : broken.end() + 1],
        }
        return f"{before}-{after}" if is_part or self._has_hyphen(before, after) else before + after

    def _has_hyphen(self, before: str, after: str) -> bool:
        if not after[:1].islower() or len(before) < 2:
            return True
        before, after = before.lower(), after.lower()
        if f"{before}-{after}" in self.hyphenated:
            return True
        if (
            before + after in self.words
            or stem(before + after) in self.stems
            or min(len(before), len(after)) < MIN_HALF
        ):
            return False
        if all(half in self.words or half in STOP_WORDS for half in (before, after)):
            return True
        return self.is_small_english and not PREFIX.match(before) and not SUFFIX.match(after)


# --- headings --------------------------------------------------------------------------------------------

MIN_LARGER = 1.15  # than the text
MAX_HEADING = 150  # characters
MAX_LEVELS = 4

Headings = dict[int, list[tuple[int, str]]]  # by page, from 0: level and title


def headings_by_size(pages: Sequence[Sequence[Block]]) -> Headings:
    """The headings of a document: its short blocks in larger characters than most of its text."""
    n_characters: Counter[int] = Counter()
    for page in pages:
        for block in page:
            n_characters[round(block.size)] += len(block.text)
    if not n_characters:
        return {}
    usual = n_characters.most_common(1)[0][0]
    found = [
        (index, round(block.size), " ".join(block.text.split()))
        for index, page in enumerate(pages)
        for block in page
        if block.size >= MIN_LARGER * usual
        and len(block.text) <= MAX_HEADING
        and len(WORD.findall(block.text))
        and not block.text.endswith((".", ",", ";"))
    ]
    levels = {
        size: level for level, size in enumerate(sorted({size for _, size, _ in found}, reverse=True), 1)
    }
    headings: Headings = {}
    for index, size, title in found:
        headings.setdefault(index, []).append((min(levels[size], MAX_LEVELS), title))
    return headings
