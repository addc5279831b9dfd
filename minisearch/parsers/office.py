"""Office documents as packages: their XML parts, the relationships between parts, properties, and values.

The bytes of a DOCX, PPTX or XLSX come in; XML elements by part name come out, for the extractor of each
format.  No library is used: libraries silently drop what they do not know.  Elements are matched by their
local names, so that the strict and the transitional dialect read alike.
"""

from __future__ import annotations

import datetime
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import Archive, local_name, parse_xml, tag_name
from minisearch.parsers.contents import Contents, ExtractionError, Pieces, counted

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
    """The parts of an Office document by name; parts that cannot be read are noted in ``contents``."""

    def __init__(self, data: bytes, contents: Contents) -> None:
        self.archive = Archive(data)
        self.contents = contents
        self._names = {name.lower(): name for name in self.archive.names}  # some programs differ in case
        self._related: dict[str, dict[str, tuple[str, str]]] = {}
        self._extract_properties()
        self._note_embedded()

    def main(self, fallback: str) -> str:
        """The name of the main part of the document."""
        return next(self.parts("", "officeDocument"), fallback)

    def root(self, name: str) -> Element:
        """A part's root element; ExtractionError where the part is missing, damaged or unsafe."""
        return parse_xml(self.archive.read(name))

    def optional(self, name: str) -> Element | None:
        """A part's root element; None, and a note, where it cannot be read."""
        try:
            return self.root(name)
        except ExtractionError:
            self.contents.note_unreadable(name)
            return None

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """The kind and the name of each part that this part refers to, by relationship id."""
        if part not in self._related:
            self._related[part] = dict(self._relationships(part))
        return self._related[part]

    def parts(self, part: str, *kinds: str) -> Iterator[str]:
        """The names of the parts of these kinds that this part refers to, in its order."""
        return (name for kind, name in self.related(part).values() if kind in kinds)

    def add_pages(
        self, main: str, references: Iterable[Element], what: str, fill: Callable[[Pieces, str], None]
    ) -> None:
        """Add a page for each part that these elements of ``main`` refer to; see `Contents.add_pages`.

        Missing parts are counted in a note, in which they are called ``what`` ("slides").
        """
        related = self.related(main)
        names = [
            (attribute(element, "name"), related.get(reference(element), ("", ""))[1])  # sheets have a name
            for element in references
        ]
        self.contents.add_pages(names, fill)
        self.contents.note_missing(sum(not name for _, name in names), what)

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

    def _extract_properties(self) -> None:
        if CORE.lower() not in self._names or (root := self.optional(self._names[CORE.lower()])) is None:
            return
        for element in root:
            name = tag_name(element)
            if name == "title":
                self.contents.title = " ".join((element.text or "").split())
            elif name == "keywords":
                self.contents.add_keywords(element.text)
            elif name in PROPERTIES:
                self.contents.add_property(PROPERTIES[name], element.text)

    def _note_embedded(self) -> None:
        """Note embedded files, except the workbook behind a chart: the chart itself says what it holds."""
        charts = [name for name in self.archive.names if "/charts/" in name and "/_rels/" not in name]
        behind = {target for chart in charts for _, target in self.related(chart).values()}
        embedded = [name for name in self.archive.names if "/embeddings/" in name and not name.endswith("/")]
        if n_left_out := len(set(embedded) - behind):
            self.contents.notes.append(
                counted(n_left_out, "embedded file is left out", "embedded files are left out")
            )


def children(element: Element | None, *path: str) -> list[Element]:
    """The elements at the end of a path of tag names; none below None."""
    found = [] if element is None else [element]
    for name in path:
        found = [child for parent in found for child in parent if tag_name(child) == name]
    return found


def child(element: Element | None, *path: str) -> Element | None:
    """The first element at the end of a path of tag names."""
    return next(iter(children(element, *path)), None)


def attribute(element: Element | None, name: str, default: str = "") -> str:
    """An attribute's value by its local name."""
    if element is None:
        return default
    return next((value for key, value in element.items() if local_name(key) == name), default)


def reference(element: Element, name: str = "id") -> str:
    """The id of the part that an element refers to; the element may have an ``id`` of its own, too."""
    suffix = f"relationships}}{name}"
    return next((value for key, value in element.items() if key.endswith(suffix)), "")


# --- numbers ---------------------------------------------------------------------------------------------

# What does not belong to a format's code: literal text, padding, and conditions or colours.
LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
BUILT_IN_DATES = {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
MAX_DAYS = 2_958_466  # the first day of the year 10000


class NumberFormat(Enum):
    """What a number in a cell or a chart stands for, by its number format.

    Formats that only set the digits to show are plain numbers: all digits are kept.
    """

    NUMBER = "number"
    DATE = "date"
    ELAPSED = "elapsed"
    PERCENT = "percent"


def number_format(format_id: int, code: str = "") -> NumberFormat:
    """What the built-in format with this id, or the workbook's own format with this code, stands for."""
    if not code:
        if format_id in {9, 10}:
            return NumberFormat.PERCENT
        if format_id == 46:
            return NumberFormat.ELAPSED
        return NumberFormat.DATE if format_id in BUILT_IN_DATES else NumberFormat.NUMBER
    positive = LITERAL.sub("", code.split(";")[0])
    if ELAPSED.search(positive):
        return NumberFormat.ELAPSED
    if re.search("[dmhys]", positive, re.IGNORECASE) and "general" not in positive.lower():
        return NumberFormat.DATE
    return NumberFormat.PERCENT if "%" in positive else NumberFormat.NUMBER


def format_number(value: str, format_: NumberFormat, *, is_1904: bool = False) -> str:
    """A number in words: as a date 45351 is 2024-02-29, as a percentage 0.125 is 12.5%.

    Dates are days since 1899-12-30, or since 1904-01-01 where ``is_1904``.
    """
    if format_ is NumberFormat.NUMBER:
        return _plain_number(value)
    try:
        amount = float(value)
    except ValueError:
        return value
    if format_ is NumberFormat.PERCENT:
        return f"{100 * amount:.15g}%"
    if not 0 <= amount < MAX_DAYS:
        return _plain_number(value)
    return _elapsed(amount) if format_ is NumberFormat.ELAPSED else _date(amount, is_1904)


def _plain_number(value: str) -> str:
    """A number with the 15 digits that Office keeps; other words as they are."""
    if value.isdecimal():
        return value
    try:
        return f"{float(value):.15g}"
    except ValueError:
        return value


def _elapsed(days: float) -> str:
    minutes, seconds = divmod(round(days * 86_400), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _date(days: float, is_1904: bool) -> str:
    seconds = round((days % 1) * 86_400)
    if days < 1:  # a time of day without a date
        return (datetime.datetime.min + datetime.timedelta(seconds=min(seconds, 86_399))).time().isoformat()
    epoch = datetime.datetime(1904, 1, 1) if is_1904 else datetime.datetime(1899, 12, 30)
    if not is_1904 and days < 60:  # Excel has a 29 February 1900, as Lotus 1-2-3 had
        epoch += datetime.timedelta(days=1)
    try:
        moment = epoch + datetime.timedelta(days=int(days), seconds=seconds)
    except OverflowError:
        return _plain_number(str(days))
    return moment.date().isoformat() if moment.time() == datetime.time() else moment.isoformat(" ", "seconds")
