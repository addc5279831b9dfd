"""The numbers that Word puts before headings and items, such as "4.2", "(a)" or "Article IX", in words.

They stand in no paragraph.  A paragraph only names a list and a level; the list says how levels are written
and where they begin.  Paragraphs are numbered in the order in which they are asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from minisearch.parsers.extract.office import attribute, child, children

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

PLACE = re.compile("%([1-9])")
ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc")),
    *((50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
MAX_LETTERED = 780  # thirty times the alphabet


class Numbering:
    """The lists of a document, each as far as it has come."""

    def __init__(self, root: Element | None) -> None:
        levels = {
            attribute(one, "abstractNumId"): {
                attribute(level, "ilvl"): level for level in children(one, "lvl")
            }
            for one in children(root, "abstractNum")
        }
        levels |= _of_styles(root, levels)
        self._lists: dict[str, tuple[str, dict[str, Element]]] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._starts: dict[tuple[str, str], str] = {}
        for one in children(root, "num"):
            kind = attribute(child(one, "abstractNumId"), "val")
            name = attribute(one, "numId")
            self._lists[name] = kind, levels.get(kind, {})
            for override in children(one, "lvlOverride"):
                if start := attribute(child(override, "startOverride"), "val"):
                    self._starts[name, attribute(override, "ilvl")] = start

    def next(self, name: str, depth: int) -> str:
        """What stands before the next paragraph of this list at this depth, from 0; a bullet is nothing."""
        kind, levels = self._lists.get(name, ("", {}))
        level = levels.get(str(depth))
        if level is None or depth > 8:
            return ""
        counts = self._counts.setdefault(kind, [None] * 9)
        counts[depth + 1 :] = [None] * (8 - depth)
        restart = self._starts.pop((name, str(depth)), None)
        count = counts[depth]
        counts[depth] = self._start(level, restart) if restart or count is None else count + 1
        if attribute(child(level, "numFmt"), "val", "decimal") in {"bullet", "none"}:
            return ""
        is_legal = child(level, "isLgl") is not None
        return PLACE.sub(
            lambda place: self._said(levels, counts, int(place[1]) - 1, is_legal),
            attribute(child(level, "lvlText"), "val"),
        )

    def _start(self, level: Element | None, restart: str | None = None) -> int:
        start = restart or attribute(child(level, "start"), "val", "1")
        return int(start) if start.isdecimal() and len(start) < 10 else 1

    def _said(self, levels: dict[str, Element], counts: list[int | None], depth: int, is_legal: bool) -> str:
        level, count = levels.get(str(depth)), counts[depth]
        number = self._start(level) if count is None else count
        written = attribute(child(level, "numFmt"), "val", "decimal")
        return str(number) if is_legal else WRITTEN.get(written, str)(number)


def _of_styles(root: Element | None, levels: dict[str, dict[str, Element]]) -> dict[str, dict[str, Element]]:
    """The levels of the lists that say them in a style, which another list defines."""
    styled: dict[str, dict[str, Element]] = {}
    for one in children(root, "abstractNum"):
        if style := attribute(child(one, "styleLink"), "val"):
            styled[style] = levels[attribute(one, "abstractNumId")]
    named = (
        (attribute(one, "abstractNumId"), attribute(child(one, "numStyleLink"), "val"))
        for one in children(root, "abstractNum")
    )
    return {name: styled[style] for name, style in named if style in styled}


def _letters(number: int) -> str:
    """The 27th is "aa", the 28th "bb"."""
    return chr(97 + (number - 1) % 26) * ((number + 25) // 26) if 0 < number <= MAX_LETTERED else str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    found = ""
    for worth, letters in ROMAN:
        found += letters * (number // worth)
        number %= worth
    return found


WRITTEN: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "decimalZero": lambda number: f"{number:02}",
}
