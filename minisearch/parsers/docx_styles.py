"""Paragraph styles and numbering of a DOCX: which paragraphs are headings or list items, and their numbers.

A paragraph's properties come in; its heading level, its list and the number before it ("4.2", "(a)") come
out.  A paragraph's own properties win over those of its style, which win over those of the style it is based
on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

from minisearch.parsers.office import Package, attribute, child, children, whole_number

DEPTHS = set("012345678")
HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
MAX_LEVEL = 6


class Styles:
    """The heading level, the list and the number of each paragraph."""

    def __init__(self, package: Package, main: str) -> None:
        self._styles: dict[str, Element] = {}
        for _, root in package.roots(main, "styles"):
            for style in children(root, "style"):
                self._styles[attribute(style, "styleId")] = style
        self.numbering = Numbering(package.optional(next(package.parts(main, "numbering"), "")))

    def heading_level(self, properties: Element | None) -> int:
        """The level of a heading with these properties; 0 for a paragraph that is no heading."""
        for element in self._chain(properties):
            name = attribute(child(element, "name"), "val")
            level = HEADING.fullmatch(name)
            if level or name.lower() == "title":
                return min(int(level[1]), MAX_LEVEL) if level else 1
            outline = attribute(child(element, "outlineLvl"), "val") or attribute(
                child(element, "pPr", "outlineLvl"), "val"
            )
            if outline.isdecimal():
                level_below = int(outline[:9])  # Python refuses numbers of thousands of digits
                return level_below + 1 if level_below < MAX_LEVEL else 0
        return 0

    def list_item(self, properties: Element | None) -> tuple[str, int]:
        """The list id of a paragraph with these properties ("" for none), and its depth from 0."""
        found = {"numId": "", "ilvl": ""}
        for element in self._chain(properties):
            for numbered in (*children(element, "numPr"), *children(element, "pPr", "numPr")):
                for name in found:
                    found[name] = found[name] or attribute(child(numbered, name), "val")
        list_id, depth = found["numId"], found["ilvl"] or "0"
        return ("" if list_id == "0" else list_id), (int(depth) if depth in DEPTHS else 0)

    def _chain(self, properties: Element | None) -> list[Element]:
        """The properties, the style they name, the style that one is based on, and so on."""
        found = [] if properties is None else [properties]
        name = attribute(child(properties, "pStyle"), "val")
        while (style := self._styles.get(name)) is not None and style not in found:
            found.append(style)
            name = attribute(child(style, "basedOn"), "val")
        return found


PLACEHOLDER = re.compile("%([1-9])")
ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc")),
    *((50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
MAX_LETTERED = 780  # thirty times the alphabet


class Numbering:
    """The counters of a document's lists; paragraphs are numbered in the order of the calls.

    A numbered paragraph only names a list and a depth; the list defines the format and the start of each
    depth.
    """

    def __init__(self, root: Element) -> None:
        levels: dict[str, dict[str, Element]] = {}
        styled: dict[str, dict[str, Element]] = {}
        for one in children(root, "abstractNum"):
            abstract_id, style = attribute(one, "abstractNumId"), attribute(child(one, "styleLink"), "val")
            levels[abstract_id] = {attribute(level, "ilvl"): level for level in children(one, "lvl")}
            styled |= {style: levels[abstract_id]} if style else {}
        for one in children(root, "abstractNum"):  # a list may refer to a style, whose levels another defines
            style = attribute(child(one, "numStyleLink"), "val")
            levels |= {attribute(one, "abstractNumId"): styled[style]} if style in styled else {}
        self._lists: dict[str, tuple[str, dict[str, Element]]] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._starts: dict[tuple[str, str], str] = {}
        for one in children(root, "num"):
            abstract_id = attribute(child(one, "abstractNumId"), "val")
            list_id = attribute(one, "numId")
            self._lists[list_id] = abstract_id, levels.get(abstract_id, {})
            for override in children(one, "lvlOverride"):
                if start := attribute(child(override, "startOverride"), "val"):
                    self._starts[list_id, attribute(override, "ilvl")] = start

    def next(self, list_id: str, depth: int) -> str:
        """The number before the next paragraph of this list at this depth, from 0; "" for a bullet."""
        abstract_id, levels = self._lists.get(list_id, ("", {}))
        level = levels.get(str(depth))
        if level is None or depth > 8:
            return ""
        counts = self._counts.setdefault(abstract_id, [None] * 9)
        counts[depth + 1 :] = [None] * (8 - depth)
        restart = self._starts.pop((list_id, str(depth)), None)
        count = counts[depth]
        counts[depth] = _start(level, restart) if restart or count is None else count + 1
        if attribute(child(level, "numFmt"), "val", "decimal") in {"bullet", "none"}:
            return ""
        is_legal = child(level, "isLgl") is not None
        return PLACEHOLDER.sub(
            lambda place: _formatted(levels, counts, int(place[1]) - 1, is_legal),
            attribute(child(level, "lvlText"), "val"),
        )


def _start(level: Element | None, restart: str | None = None) -> int:
    start = restart or attribute(child(level, "start"), "val", "1")
    return whole_number(start, 1)


def _formatted(levels: dict[str, Element], counts: list[int | None], depth: int, is_legal: bool) -> str:
    level, count = levels.get(str(depth)), counts[depth]
    number = _start(level) if count is None else count
    format_ = attribute(child(level, "numFmt"), "val", "decimal")
    return str(number) if is_legal else NUMBER_FORMATS.get(format_, str)(number)


def _letters(number: int) -> str:
    """The 27th is "aa", the 28th "bb"."""
    return chr(97 + (number - 1) % 26) * ((number + 25) // 26) if 0 < number <= MAX_LETTERED else str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    found = ""
    for value, letters in ROMAN:
        found += letters * (number // value)
        number %= value
    return found


NUMBER_FORMATS: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "decimalZero": lambda number: f"{number:02}",
}
