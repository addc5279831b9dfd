"""Lines as they stand on a page to paragraphs, as a person reads them.

A PDF knows no paragraphs, only characters and where they stand.  Lines that follow at one distance, in one
size, are a block; within it a line that was only broken because the column ended goes on in the next, and any
other keeps its end, as in lists, poems and code.  Pure: positions in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from minisearch.text import EAST_ASIAN

HYPHEN = "\ufffe"  # how PDFium writes a hyphen that ended a line, and takes the next line with it
SOFT_HYPHEN = "\u00ad"
ITEM = re.compile(r"[•◦▪‣·–*-][ \t]|\(?\w{1,3}[.)][ \t]")
IS_WIDE = re.compile(f"[{EAST_ASIAN}]")  # lines of these scripts are joined without a space
HYPHENATED = re.compile(r"[^\W\d_]+-[^\W\d_]+")
BROKEN = re.compile(rf"([^\W\d_]*)(?:{HYPHEN}|{SOFT_HYPHEN}\n?)([^\W\d_]*)")

GAP = 1.35  # of the usual distance between lines, beyond which a paragraph begins
SIZE = 1.25  # of a line's height, likewise


@dataclass(frozen=True, slots=True)
class Line:
    """Words with their place, in points from the lower left; where a hyphen joined two lines, of both.

    ``left`` and ``top`` are where it begins, ``right`` and ``bottom`` where it ends, both at the feet of the
    letters; ``size`` is the height of its characters.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


def paragraphs(lines: Sequence[Line], hyphenated: frozenset[str] = frozenset()) -> str:
    r"""The text of a page, blocks with a blank line between.

    ``hyphenated`` are words (in lower case) known to keep their hyphen, from `hyphenated_words`.
    """
    text = "\n\n".join(_joined(block) for block in _blocks(lines))
    return BROKEN.sub(lambda broken: _mended(broken, hyphenated), text)


def hyphenated_words(text: str) -> set[str]:
    """The words with a hyphen inside a line, in lower case: such a hyphen belongs to the word."""
    return {word.lower() for word in HYPHENATED.findall(text)}


def _mended(broken: re.Match[str], hyphenated: frozenset[str]) -> str:
    before, after = broken[1], broken[2]
    belongs = not after[:1].islower() or f"{before}-{after}".lower() in hyphenated
    return f"{before}-{after}" if belongs and HYPHEN in broken[0] else before + after


def _blocks(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines that belong together, by their distance and size."""
    gaps = [above.bottom - below.top for above, below in pairwise(lines)]
    usual: dict[int, list[float]] = {}
    for (above, _), gap in zip(pairwise(lines), gaps, strict=True):
        if above.size / 2 < gap < 3 * above.size:
            usual.setdefault(round(above.size), []).append(gap)
    block: list[Line] = list(lines[:1])
    for (above, below), gap in zip(pairwise(lines), gaps, strict=True):
        known = sorted(usual.get(round(above.size), []))
        is_far = not known or gap > GAP * known[len(known) // 4]  # a page may hold more headings than text
        is_like = above.size < SIZE * below.size and below.size < SIZE * above.size
        same_line = abs(gap) < above.size / 4  # cells of a table
        if not same_line and (is_far or gap < 0 or not is_like):
            yield block
            block = []
        block.append(below)
    if block:
        yield block


def _joined(block: Sequence[Line]) -> str:
    """A block's text: one line of text for lines that were broken for want of room."""
    margin = max(line.right for line in block)
    parts = [block[0].text.strip()]
    for above, below in pairwise(block):
        word = below.text.strip()
        if not word:
            continue
        if abs(above.bottom - below.top) < above.size / 4:
            parts.append(" ")
        elif _goes_on(above, below, margin):
            parts.append("" if IS_WIDE.match(word[0]) and IS_WIDE.match(parts[-1][-1:] or " ") else " ")
        else:
            parts.append("\n")
        parts.append(word)
    return "".join(parts)


def _goes_on(above: Line, below: Line, margin: float) -> bool:
    """Whether the line below goes on with what the one above says."""
    if ITEM.match(below.text.lstrip()):
        return False
    is_indented = below.left > above.left + 0.8 * above.size and not ITEM.match(above.text.lstrip())
    first_word = len(below.text.split(None, 1)[0]) if below.text.strip() else 0
    had_room = above.right + first_word * 0.5 * above.size < margin  # half its size wide is a usual letter
    return not is_indented and not had_room
