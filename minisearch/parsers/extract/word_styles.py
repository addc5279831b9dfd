"""Styles of Word: which paragraphs are headings, which are in lists, and the number that stands before them.

A paragraph's own properties come in, and count for more than those of its style, and that of the style which
it is based on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from minisearch.parsers.extract.numbering import Numbering
from minisearch.parsers.extract.office import Package, attribute, child, children

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DEPTHS = set("012345678")
HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)


class Styles:
    """Which paragraphs are headings, of which level, which are list items, and how they are numbered."""

    def __init__(self, package: Package, main: str) -> None:
        self._styles: dict[str, Element] = {}
        for name in package.parts(main, "styles"):
            for style in children(package.optional(name), "style"):
                self._styles[attribute(style, "styleId")] = style
        numbering = next(package.parts(main, "numbering"), "")
        self._numbering = Numbering(package.optional(numbering) if numbering else None)

    def heading(self, properties: Element | None) -> int:
        """The level of a paragraph with these properties as a heading; 0 where it is none."""
        for element in self._chain(properties):
            name = attribute(child(element, "name"), "val")
            level = HEADING.fullmatch(name)
            if level or name.lower() == "title":
                return min(int(level[1]), 6) if level else 1
            outline = attribute(child(element, "outlineLvl"), "val") or attribute(
                child(element, "pPr", "outlineLvl"), "val"
            )
            if outline.isdecimal():
                return int(outline) + 1 if int(outline) < 6 else 0
        return 0

    def item(self, properties: Element | None) -> tuple[str, int]:
        """The list that a paragraph with these properties is in, and how deep, from 0; "" where in none."""
        found = {"numId": "", "ilvl": ""}
        for element in self._chain(properties):
            for numbered in (*children(element, "numPr"), *children(element, "pPr", "numPr")):
                for name in found:
                    found[name] = found[name] or attribute(child(numbered, name), "val")
        name, depth = found["numId"], found["ilvl"] or "0"
        return ("" if name == "0" else name), (int(depth) if depth in DEPTHS else 0)

    def number(self, name: str, depth: int) -> str:
        """What stands before the next paragraph of a list, with a space; nothing in none."""
        said = self._numbering.next(name, depth) if name else ""
        return f"{said} " if said else ""

    def _chain(self, properties: Element | None) -> list[Element]:
        """The properties, the style they name, the style that is based on, and so on."""
        found = [] if properties is None else [properties]
        name = attribute(child(properties, "pStyle"), "val")
        while (style := self._styles.get(name)) is not None and style not in found:
            found.append(style)
            name = attribute(child(style, "basedOn"), "val")
        return found
