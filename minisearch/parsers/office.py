"""Office documents as packages: XML parts, relationships between parts, properties, numbers, and drawings.

The bytes of a DOCX, PPTX or XLSX come in; XML elements by part name, numbers in words, and the texts and
tables of drawings come out, for the extractor of each format.  No library is used: libraries silently drop
what they do not know.  Elements are matched by their local names, so that the strict and the transitional
dialect read alike.
"""

from __future__ import annotations

import datetime
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import takewhile
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import Archive, local_name, parse_xml, tag_name
from minisearch.parsers.contents import (
    LEFT,
    Contents,
    ExtractionError,
    Pieces,
    Rows,
    filled_down,
    text_piece,
)

CORE = "docprops/core.xml"  # in lower case
PROPERTIES = {"creator": "author"}
PROPERTIES |= {name: name for name in ("title", "subject", "keywords", "category", "description")}
PROPERTIES |= {name: name for name in ("language", "created", "modified")}


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

    def optional(self, name: str) -> Element:
        """A part's root element; see `optional_root`."""
        return optional_root(self.archive, self.contents, name)

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """The kind and the name of each part that this part refers to, by relationship id."""
        if part not in self._related:
            self._related[part] = dict(self._relationships(part))
        return self._related[part]

    def parts(self, part: str, *kinds: str) -> Iterator[str]:
        """The names of the parts of these kinds that this part refers to, in its order."""
        return (name for kind, name in self.related(part).values() if kind in kinds)

    def roots(self, part: str, *kinds: str) -> Iterator[tuple[str, Element]]:
        """The names and root elements of the parts of these kinds; see `parts` and `optional`."""
        return ((name, self.optional(name)) for name in self.parts(part, *kinds))

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
        self.contents.count(f"missing {what}", sum(not name for _, name in names))

    def _relationships(self, part: str) -> Iterator[tuple[str, tuple[str, str]]]:
        folder, base = posixpath.split(part)
        name = self._names.get(posixpath.join(folder, "_rels", f"{base}.rels").lower(), "")
        for element in self.optional(name):
            target = posixpath.join("/", folder, unquote(element.get("Target", "")))
            target = self._names.get(posixpath.normpath(target).lstrip("/").lower(), "")
            if element.get("TargetMode") != "External" and target:
                yield element.get("Id", ""), (posixpath.basename(element.get("Type", "")), target)

    def _extract_properties(self) -> None:
        for element in self.optional(self._names.get(CORE, "")):
            if name := PROPERTIES.get(tag_name(element)):
                self.contents.add_property(name, element.text)

    def _note_embedded(self) -> None:
        """Note embedded files, except the workbook behind a chart: the chart itself says what it holds."""
        charts = [name for name in self.archive.names if "/charts/" in name and "/_rels/" not in name]
        behind = {target for chart in charts for _, target in self.related(chart).values()}
        embedded = [name for name in self.archive.names if "/embeddings/" in name and not name.endswith("/")]
        self.contents.count("embedded files left out", len(set(embedded) - behind))


def optional_root(archive: Archive, contents: Contents, name: str) -> Element:
    """The root element of an entry; an empty one where there is none or, with a note, no readable one."""
    try:
        return parse_xml(archive.read(name)) if name in archive else Element("")
    except ExtractionError:
        contents.note_unreadable(name)
        return Element("")


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


def whole_number(words: str, otherwise: int = 0) -> int:
    """The number that the words of an attribute are; ``otherwise`` for what is none, or has many digits."""
    return int(words) if words.isdecimal() and len(words) < 8 else otherwise


def reference(element: Element, name: str = "id") -> str:
    """The id of the part that an element refers to; the element may have an ``id`` of its own, too."""
    suffix = f"relationships}}{name}"
    return next((value for key, value in element.items() if key.endswith(suffix)), "")


# --- numbers ---------------------------------------------------------------------------------------------

MAX_DAYS = 2_958_466  # the first day of the year 10000
# How a number is shown: as "date", as "elapsed" time, by a code such as "#,##0.00", or "", as it is stored.
BUILT_IN = {1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 46: "elapsed"}
BUILT_IN |= dict.fromkeys((5, 6, 37, 38, 41, 42), "#,##0") | dict.fromkeys((7, 8, 39, 40, 43, 44), "#,##0.00")
BUILT_IN |= dict.fromkeys((*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)), "date")

MAX_SHOWN = 1e15  # Office keeps 15 digits
TOKEN = re.compile(
    r"""(?P<literal>"[^"]*"?|\\.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]
    |(?P<elapsed>\[(?:h+|m+|s+)\])|\[[^\]]*\]|_.|\*.    # colours, conditions and padding have no name
    |(?P<general>General|@)|(?P<exponent>E[-+]0*)|(?P<sign>[0\#?.,%])|(?P<other>.)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def number_format(format_id: int, code: str = "") -> str:
    """How the built-in format with this id, or the workbook's own format with this code, shows a number."""
    if not code:
        return BUILT_IN.get(format_id, "")
    positive = list(takewhile(lambda token: token["other"] != ";", TOKEN.finditer(code)))
    if any(token["elapsed"] for token in positive):
        return "elapsed"
    is_date = any((token["other"] or "").lower() in {*"dmhys"} for token in positive)
    return "date" if is_date else code


def format_number(value: str, format_: str, *, is_1904: bool = False) -> str:
    """A number as it is shown: 1234 by "00000" is 01234, 45351 as a date 2024-02-29.

    Dates are days since 1899-12-30, or since 1904-01-01 where ``is_1904``.
    """
    try:
        amount = float(value)
    except ValueError:
        return value
    if format_ in {"date", "elapsed"} and 0 <= amount < MAX_DAYS:
        return _elapsed(amount) if format_ == "elapsed" else _date(amount, is_1904)
    if format_ in {"", "date", "elapsed"} or not abs(amount) < MAX_SHOWN:
        return _plain_number(value)
    return _by_code(Decimal(f"{amount:.15g}"), format_) or _plain_number(value)


def _by_code(amount: Decimal, code: str) -> str:
    """The number by the section of a code for its sign; "" where it has none, or is for a fraction."""
    sections: list[list[re.Match[str]]] = [[]]
    for token in TOKEN.finditer(code):
        if token["other"] == ";":
            sections.append([])
        else:
            sections[-1].append(token)
    section = 1 if amount < 0 else 2 if amount == 0 else 0
    tokens = sections[section] if section < len(sections) else sections[0]
    signs = "".join(token["sign"] or "" for token in tokens)
    if any(token["exponent"] for token in tokens):
        return f"{float(amount):.{len(signs.partition('.')[2])}E}"
    if any(token["other"] == "/" for token in tokens):
        return ""
    try:
        digits = iter(list(_digits(abs(amount), signs)))
    except InvalidOperation:  # more digits than 28
        return ""
    words = "-" if amount < 0 and tokens is sections[0] else ""
    for token in tokens:
        literal = (token["literal"] or "").strip('"').removeprefix("\\")
        number = next(digits) if token["sign"] else f"{abs(amount):f}" if token["general"] else ""
        words += number or literal or token["currency"] or token["other"] or ""
    return " ".join(words.split())


def _digits(amount: Decimal, signs: str) -> Iterator[str]:
    """What stands in place of each sign of a code: digits, a point, nothing."""
    bare = signs.replace("%", "")
    whole, _, part = bare.rstrip(",").partition(".")
    amount = amount * 100 ** signs.count("%") / 1000 ** (len(bare) - len(bare.rstrip(",")))
    rounded = amount.quantize(Decimal(1).scaleb(-len(part)), ROUND_HALF_UP)
    digits, _, decimals = f"{rounded:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(part.rfind("0") + 1, "0")
    digits = digits.lstrip("0").rjust(whole.count("0"), "0")
    n_more = len(whole.replace(",", "")) - 1  # places of digits behind the first one
    if "," in whole and digits:
        digits, n_more = f"{int(digits):,}", 0
    padded = digits.rjust(n_more + 1)
    n_first = len(padded) - n_more
    places = iter([padded[:n_first], *padded[n_first:]])
    for sign in signs:
        if sign == ".":
            places = iter(())
            yield f".{decimals}" if decimals else ""
        elif sign in "0#?":
            yield next(places, "").strip()
        else:
            yield "%" if sign == "%" else ""


def _plain_number(value: str) -> str:
    """A number with the 15 digits that Office keeps; a whole number in digits as it is."""
    return value if value.isdecimal() else f"{float(value):.15g}"


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


# --- drawings ----------------------------------------------------------------------------------------------
# Pictures give the alternative text that their author wrote; text inside a picture is not read.

Points = dict[int, str]  # values in words, by the index of their category
Series = tuple[Points, str, Points]  # categories, name, values

FILE_NAME = re.compile(r"\S*\.\w{3,4}")  # what programs write where the author gave no alternative text
SHAPES = {"sp", "pic", "graphicFrame", "cxnSp"}


def shapes(tree: Iterable[Element]) -> Iterator[Element]:
    """Every shape in order, also within groups; of alternatives the first that has shapes."""
    for element in tree:
        name = tag_name(element)
        if name in SHAPES:
            yield element
        elif name == "AlternateContent":
            yield from next(filter(None, (list(shapes(choice)) for choice in element)), [])
        else:
            yield from shapes(element)


def add_shape(page: Pieces, package: Package, part: str, shape: Element) -> None:
    """Add a shape's alternative text, its text, and the table, chart or diagram that it frames."""
    if description := _description(shape):
        page.append(text_piece(description))
    for frame in children(shape, "txBody"):
        if text := text_of(frame):
            page.append(text_piece(text))
    for element in (inner for data in children(shape, "graphic", "graphicData") for inner in data):
        if tag_name(element) == "tbl":
            rows = [list(map(_cell, children(row, "tc"))) for row in children(element, "tr")]
            page.append({"rows": filled_down(rows)})
        else:
            page += figure_pieces(package, part, element)


def _cell(cell: Element) -> str | None:
    """The words of a cell; None where the one above it covers it, LEFT where the one on its left does."""
    if text := text_of(cell):
        return text
    if attribute(cell, "vMerge") in {"1", "true"} and attribute(cell, "hMerge") not in {"1", "true"}:
        return None
    return LEFT if attribute(cell, "hMerge") in {"1", "true"} else ""


def figure_pieces(package: Package, part: str, element: Element) -> Pieces:
    """The titles and values of the chart or diagram that an element refers to, if it refers to one."""
    is_diagram = tag_name(element) == "relIds"
    _, name = package.related(part).get(reference(element, "dm" if is_diagram else "id"), ("", ""))
    if tag_name(element) not in {"chart", "relIds"}:
        return []
    root = package.optional(name)
    titles, tables = (_paragraphs(root), []) if is_diagram else _chart(root)
    text = "\n".join(filter(None, titles))
    return [*([text_piece(text)] if text else []), *({"rows": table} for table in tables)]


def is_description(words: str) -> bool:
    """Whether an alternative text describes the picture; programs write the name of its file there."""
    return bool(words) and not FILE_NAME.fullmatch(words)


def _description(shape: Element) -> str:
    words = attribute(child(non_visual(shape), "cNvPr"), "descr").strip()
    return words if is_description(words) else ""


def non_visual(shape: Element) -> Element | None:
    """What a shape has beside its drawing: its alternative text, and the placeholder that it fills."""
    return next((element for element in shape if tag_name(element).startswith("nv")), None)


def text_of(frame: Element) -> str:
    """The paragraphs of a text frame, each on a line."""
    return "\n".join(_paragraphs(frame)).strip("\n")


def _paragraphs(element: Element) -> list[str]:
    return ["".join(_runs(one)) for one in element.iter() if tag_name(one) == "p"]


def _runs(element: Element) -> Iterator[str]:
    for one in element:
        name = tag_name(one)
        if name == "t":
            yield one.text or ""
        elif name == "br":
            yield "\n"
        elif name == "tab":
            yield "\t"
        elif name != "Fallback":  # the same words again, for older programs
            yield from _runs(one)


def _chart(root: Element) -> tuple[list[str], list[Rows]]:
    """A chart's titles, and its values as a table: a row for each category, a column for each series.

    Where series have different categories, as in a scatter plot, each series is a table.
    """
    titles = [" ".join(_paragraphs(one)) for one in root.iter() if tag_name(one) == "title"]
    elements = [one for one in root.iter() if tag_name(one) == "ser"]
    if not elements:  # a newer kind of chart, with other names for its parts
        values = [one.text or "" for one in root.iter() if tag_name(one) in {"v", "pt"}]
        return [*titles, *values], []
    is_1904 = attribute(child(root, "date1904"), "val", "0") in {"1", "true"}
    series = [one for element in elements for one in _series(element, is_1904)]
    named = {point for categories, _, _ in series for point in categories.items()}
    is_shared = len(named) == len({index for index, _ in named})
    return titles, [_table(series)] if is_shared else [_table([one]) for one in series]


def _series(element: Element, is_1904: bool) -> Iterator[Series]:
    """A series of values; the sizes of bubbles are a series too."""
    name = " ".join(_values(child(element, "tx")))
    categories = _points(element, is_1904, "cat", "xVal")
    yield categories, name, _points(element, is_1904, "val", "yVal")
    if sizes := _points(element, is_1904, "bubbleSize"):
        yield categories, f"{name} (size)", sizes


def _table(series: list[Series]) -> Rows:
    names = {index: name for categories, _, _ in series for index, name in categories.items()}
    indexes = sorted(names.keys() | {index for _, _, values in series for index in values})
    rows = [[names.get(index, ""), *(values.get(index, "") for _, _, values in series)] for index in indexes]
    return [["", *(name for _, name, _ in series)], *rows]


def _points(series: Element, is_1904: bool, *names: str) -> Points:
    """A series' values by index; a category with several levels has the names of all of them."""
    points: Points = {}
    for element in (one for one in series if tag_name(one) in names):
        inner = list(element.iter())
        has_numbers = not {"numCache", "numLit"}.isdisjoint(map(tag_name, inner))
        are_numbers = has_numbers or tag_name(element) != "cat"
        code = next((one.text or "" for one in inner if tag_name(one) == "formatCode"), "")
        format_ = number_format(0, code)
        for point in (one for one in inner if tag_name(one) == "pt"):
            index = attribute(point, "idx")
            if index.isdecimal() and len(index) < 10:
                words = " ".join(_values(point))
                words = format_number(words, format_, is_1904=is_1904) if are_numbers else words
                points[int(index)] = f"{words} {points.get(int(index), '')}".strip()
    return points


def _values(element: Element | None) -> list[str]:
    return [] if element is None else [one.text or "" for one in element.iter() if tag_name(one) == "v"]
