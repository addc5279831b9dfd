"""Drawings of Office documents: the words in shapes, tables, charts and diagrams, on slides and on sheets.

A drawing comes in with the part it stands in, blocks of text and rows go out.  Pictures have the words that
their author gave them; what is painted in them is not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from minisearch.parsers.extract.cells import Format, format_of, said
from minisearch.parsers.extract.contents import Page
from minisearch.parsers.extract.office import Package, attribute, child, children, local, reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

Points = dict[int, str]  # words by the number of their category
Column = tuple[Points, str, Points]  # categories, the name of a series, its values
Rows = list[list[str]]

FILE_NAME = re.compile(r"\S*\.\w{3,4}")  # what programs write where nobody said what a picture shows
SHAPES = {"sp", "pic", "graphicFrame", "cxnSp"}


def shapes(tree: Element) -> Iterator[Element]:
    """Every shape, those in groups too, in order; of alternatives the first that has any."""
    for element in tree:
        name = local(element)
        if name in SHAPES:
            yield element
        elif name == "AlternateContent":
            yield from next(filter(None, (list(shapes(choice)) for choice in element)), [])
        else:
            yield from shapes(element)


def add_shape(page: Page, package: Package, part: str, shape: Element) -> None:
    """Add a shape's words, what it is said to show, the table, chart or diagram that it frames."""
    described = description(shape)
    if described:
        page.add_text(described)
    for frame in children(shape, "txBody"):
        if text := text_of(frame):
            page.add_text(text)
    for element in (inner for data in children(shape, "graphic", "graphicData") for inner in data):
        if local(element) == "tbl":
            page.add_rows(
                [[text_of(cell) for cell in children(row, "tc")] for row in children(element, "tr")]
            )
        else:
            add_figure(page, package, part, element)


def add_figure(page: Page, package: Package, part: str, element: Element) -> None:
    """Add the words of the chart or diagram that an element refers to, if it refers to one."""
    is_diagram = local(element) == "relIds"
    _, name = package.related(part).get(reference(element, "dm" if is_diagram else "id"), ("", ""))
    if local(element) not in {"chart", "relIds"} or not name or (root := package.optional(name)) is None:
        return
    titles, tables = (_paragraphs(root), []) if is_diagram else _chart(root)
    if any(titles):
        page.add_text("\n".join(filter(None, titles)))
    for rows in tables:
        page.add_rows(rows)


def description(shape: Element) -> str:
    """What a person wrote that a shape shows, for those who cannot see it."""
    for element in shape:
        if local(element).startswith("nv"):
            words = attribute(child(element, "cNvPr"), "descr").strip()
            return "" if FILE_NAME.fullmatch(words) else words
    return ""


def text_of(frame: Element) -> str:
    """The paragraphs of a frame, each on a line."""
    return "\n".join(_paragraphs(frame)).strip("\n")


def _paragraphs(element: Element) -> list[str]:
    return ["".join(_runs(one)) for one in element.iter() if local(one) == "p"]


def _runs(element: Element) -> Iterator[str]:
    for one in element:
        name = local(one)
        if name == "t":
            yield one.text or ""
        elif name == "br":
            yield "\n"
        elif name == "tab":
            yield "\t"
        elif name != "Fallback":  # says again, as a picture, what stands before it
            yield from _runs(one)


def _chart(root: Element) -> tuple[list[str], list[Rows]]:
    """A chart's titles, and its values as a table: a row for each category, a column for each series.

    Where series do not share their categories, as points in a plane need not, a table for each.
    """
    titles = [" ".join(_paragraphs(one)) for one in root.iter() if local(one) == "title"]
    series = [one for one in root.iter() if local(one) == "ser"]
    if not series:  # a kind of chart that came later, and names its parts in another way
        values = [one.text or "" for one in root.iter() if local(one) in {"v", "pt"}]
        return [*titles, *values], []
    is_1904 = attribute(child(root, "date1904"), "val", "0") in {"1", "true"}
    columns = [column for one in series for column in _columns(one, is_1904)]
    shared: Points = {}
    for categories, _, _ in columns:
        shared = categories | shared
    is_shared = all(
        shared[index] == words for categories, _, _ in columns for index, words in categories.items()
    )
    return titles, [_table(columns)] if is_shared else [_table([column]) for column in columns]


def _columns(series: Element, is_1904: bool) -> Iterator[Column]:
    """The categories, the name and the values of a series; the sizes of bubbles are a column too."""
    name = " ".join(_values(child(series, "tx")))
    categories = _points(series, is_1904, "cat", "xVal")
    yield categories, name, _points(series, is_1904, "val", "yVal")
    if sizes := _points(series, is_1904, "bubbleSize"):
        yield categories, f"{name} (size)", sizes


def _table(columns: list[Column]) -> Rows:
    table: dict[int, list[str]] = {}
    for number, (categories, _, values) in enumerate(columns, 1):
        for index, words in categories.items():
            row = table.setdefault(index, [""] * (len(columns) + 1))
            row[0] = row[0] or words
        for index, words in values.items():
            table.setdefault(index, [""] * (len(columns) + 1))[number] = words
    return [["", *(name for _, name, _ in columns)], *(table[index] for index in sorted(table))]


def _points(series: Element, is_1904: bool, *names: str) -> Points:
    """A series' values by their number; where categories have several levels, all of them."""
    points: Points = {}
    for element in (one for one in series if local(one) in names):
        inner = list(element.iter())
        are_numbers = local(element) != "cat" or any(local(one) in {"numCache", "numLit"} for one in inner)
        code = next((one.text or "" for one in inner if local(one) == "formatCode"), "")
        format_ = format_of(0, code) if code else Format.NUMBER
        for point in (one for one in inner if local(one) == "pt"):
            index = attribute(point, "idx")
            if index.isdecimal() and len(index) < 10:
                words = " ".join(_values(point))
                words = said(words, format_, is_1904=is_1904) if are_numbers else words
                points[int(index)] = f"{words} {points.get(int(index), '')}".strip()
    return points


def _values(element: Element | None) -> list[str]:
    return [] if element is None else [one.text or "" for one in element.iter() if local(one) == "v"]
