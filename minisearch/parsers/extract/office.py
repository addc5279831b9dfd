"""Office documents as packages of parts: their XML by name, which part belongs to which, their properties.

DOCX, PPTX and XLSX are read from their XML, without a library: those drop what they do not know in silence.
Elements are told by their local names, so that the strict and the transitional dialect read alike, and words
in drawings and equations come with those around them.
"""

from __future__ import annotations

import posixpath
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from minisearch.parsers.extract import xml
from minisearch.parsers.extract.archive import Archive
from minisearch.parsers.extract.contents import Contents, Damaged, Page, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from xml.etree.ElementTree import Element

CORE = "docProps/core.xml"
PROPERTIES = {
    "creator": "author",
    "subject": "subject",
    "category": "category",
    "description": "description",
    "language": "language",
    "created": "created",
    "modified": "modified",
}


class Package:
    """The parts of an Office document, by name; what cannot be had of them is noted in ``contents``."""

    def __init__(self, data: bytes, contents: Contents) -> None:
        self.archive = Archive(data)
        self.contents = contents
        self._names = {name.lower(): name for name in self.archive.names}  # some programs differ in case
        self._related: dict[str, dict[str, tuple[str, str]]] = {}
        self._take_properties()
        self._note_embedded()

    def main(self, fallback: str) -> str:
        """The name of the part that the others hang on."""
        return next(self.parts("", "officeDocument"), fallback)

    def root(self, name: str) -> Element:
        """A part's root element; Unreadable where there is none, or it is unsafe."""
        return xml.parse(self.archive.read(name))

    def optional(self, name: str) -> Element | None:
        """A part's root element; None, and a note, where it cannot be read."""
        try:
            return self.root(name)
        except Unreadable:
            self.contents.leave_out(name)
            return None

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """By id, the kind and the name of each part that this one refers to."""
        if part not in self._related:
            self._related[part] = dict(self._relationships(part))
        return self._related[part]

    def parts(self, part: str, *kinds: str) -> Iterator[str]:
        """The names of the parts of these kinds that this one refers to, in its order."""
        return (name for kind, name in self.related(part).values() if kind in kinds)

    def take_pages(
        self, main: str, places: Iterable[Element], what: str, take: Callable[[Page, str], None]
    ) -> None:
        """Have ``take`` fill a page from each part that these elements of ``main`` refer to.

        One that is damaged is left out with a note, and those missing are counted as ``what`` ("slides");
        Damaged where nothing but damage is left.
        """
        n_missing = n_read = 0
        damage: Damaged | None = None
        for place in places:
            page = Page()
            self.contents.pages.append(page)
            if title := attribute(place, "name"):  # sheets have one
                page.add_text(title, [(0, 1, title)])
            _, name = self.related(main).get(reference(place), ("", ""))
            n_missing += not name
            if name:
                try:
                    take(page, name)
                    n_read += 1
                except Damaged as error:
                    self.contents.leave_out(name)
                    damage = error
        if damage and not n_read:
            raise damage
        if n_missing:
            self.contents.notes.append(
                f"{n_missing} of its {what} {'is' if n_missing == 1 else 'are'} missing"
            )

    def _relationships(self, part: str) -> Iterator[tuple[str, tuple[str, str]]]:
        folder, base = posixpath.split(part)
        name = self._names.get(posixpath.join(folder, "_rels", f"{base}.rels").lower())
        if name is None or (root := self.optional(name)) is None:
            return
        for element in root:
            target = posixpath.join("/", folder, unquote(element.get("Target", "")))
            target = self._names.get(posixpath.normpath(target).lstrip("/").lower(), "")
            if element.get("TargetMode") != "External" and target:
                yield element.get("Id", ""), (posixpath.basename(element.get("Type", "")), target)

    def _take_properties(self) -> None:
        if CORE.lower() not in self._names or (root := self.optional(self._names[CORE.lower()])) is None:
            return
        for element in root:
            name = local(element)
            if name == "title":
                self.contents.title = " ".join((element.text or "").split())
            elif name == "keywords":
                self.contents.add_keywords(element.text)
            elif name in PROPERTIES:
                self.contents.add_property(PROPERTIES[name], element.text)

    def _note_embedded(self) -> None:
        """Note files within the file; the workbook behind a chart says what the chart says."""
        charts = [name for name in self.archive.names if "/charts/" in name and "/_rels/" not in name]
        behind = {target for chart in charts for _, target in self.related(chart).values()}
        embedded = [name for name in self.archive.names if "/embeddings/" in name and not name.endswith("/")]
        if n_left_out := len(set(embedded) - behind):
            are = "file is" if n_left_out == 1 else "files are"
            self.contents.notes.append(f"{n_left_out} embedded {are} left out")


@cache
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def local(element: Element) -> str:
    """An element's name without its namespace."""
    return _local(element.tag)


def children(element: Element | None, *path: str) -> list[Element]:
    """The elements at the end of a path of local names; none below None."""
    found = [] if element is None else [element]
    for name in path:
        found = [child for above in found for child in above if local(child) == name]
    return found


def child(element: Element | None, *path: str) -> Element | None:
    """The first element at the end of a path of local names."""
    return next(iter(children(element, *path)), None)


def attribute(element: Element | None, name: str, default: str = "") -> str:
    """An attribute's value by its local name."""
    if element is None:
        return default
    return next((value for key, value in element.items() if _local(key) == name), default)


def reference(element: Element, name: str = "id") -> str:
    """The id of the part that an element refers to, which may stand beside an id of its own."""
    end = f"relationships}}{name}"
    return next((value for key, value in element.items() if key.endswith(end)), "")
