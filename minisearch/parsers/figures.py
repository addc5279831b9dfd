"""Drawings in Office documents: the words of shapes, tables, charts and diagrams on slides and sheets.

XML elements of a drawing come in with the part that holds them; pieces of text and rows go out.  Pictures
give the alternative text that their author wrote; text inside a picture is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import tag_name
from minisearch.parsers.contents import Pieces, Rows, rows_piece, text_piece
from minisearch.parsers.office import (
    NumberFormat,
    Package,
    attribute,
    child,
    children,
    format_number,
    number_format,
    reference,
)

Points = dict[int, str]  # values in words, by the index of their category
Series = tuple[Points, str, Points]  # categories, name, values

FILE_NAME = re.compile(r"\S*\.\w{3,4}")  # what programs write where the author gave no alternative text
SHAPES = {"sp", "pic", "graphicFrame", "cxnSp"}


def shapes(tree: Element) -> Iterator[Element]:
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
            rows = [[text_of(cell) for cell in children(row, "tc")] for row in children(element, "tr")]
            page.append(rows_piece(rows))
        else:
            page += figure_pieces(package, part, element)


def figure_pieces(package: Package, part: str, element: Element) -> Pieces:
    """The titles and values of the chart or diagram that an element refers to, if it refers to one."""
    is_diagram = tag_name(element) == "relIds"
    _, name = package.related(part).get(reference(element, "dm" if is_diagram else "id"), ("", ""))
    if tag_name(element) not in {"chart", "relIds"} or not name or (root := package.optional(name)) is None:
        return []
    titles, tables = (_paragraphs(root), []) if is_diagram else _chart(root)
    text = "\n".join(filter(None, titles))
    return [*([text_piece(text)] if text else []), *map(rows_piece, tables)]


def is_description(words: str) -> bool:
    """Whether an alternative text describes the picture; programs write the name of its file there."""
    return bool(words) and not FILE_NAME.fullmatch(words)


def _description(shape: Element) -> str:
    for element in shape:
        if tag_name(element).startswith("nv"):
            words = attribute(child(element, "cNvPr"), "descr").strip()
            return words if is_description(words) else ""
    return ""


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
    shared: Points = {}
    for categories, _, _ in series:
        shared = categories | shared
    is_shared = all(
        shared[index] == words for categories, _, _ in series for index, words in categories.items()
    )
    return titles, [_table(series)] if is_shared else [_table([one]) for one in series]


def _series(element: Element, is_1904: bool) -> Iterator[Series]:
    """A series of values; the sizes of bubbles are a series too."""
    name = " ".join(_values(child(element, "tx")))
    categories = _points(element, is_1904, "cat", "xVal")
    yield categories, name, _points(element, is_1904, "val", "yVal")
    if sizes := _points(element, is_1904, "bubbleSize"):
        yield categories, f"{name} (size)", sizes


def _table(series: list[Series]) -> Rows:
    table: dict[int, list[str]] = {}
    for column, (categories, _, values) in enumerate(series, 1):
        for index, words in categories.items():
            row = table.setdefault(index, [""] * (len(series) + 1))
            row[0] = row[0] or words
        for index, words in values.items():
            table.setdefault(index, [""] * (len(series) + 1))[column] = words
    return [["", *(name for _, name, _ in series)], *(table[index] for index in sorted(table))]


def _points(series: Element, is_1904: bool, *names: str) -> Points:
    """A series' values by index; a category with several levels has the names of all of them."""
    points: Points = {}
    for element in (one for one in series if tag_name(one) in names):
        inner = list(element.iter())
        are_numbers = tag_name(element) != "cat" or any(
            tag_name(one) in {"numCache", "numLit"} for one in inner
        )
        code = next((one.text or "" for one in inner if tag_name(one) == "formatCode"), "")
        format_ = number_format(0, code) if code else NumberFormat.NUMBER
        for point in (one for one in inner if tag_name(one) == "pt"):
            index = attribute(point, "idx")
            if index.isdecimal() and len(index) < 10:
                words = " ".join(_values(point))
                words = format_number(words, format_, is_1904=is_1904) if are_numbers else words
                points[int(index)] = f"{words} {points.get(int(index), '')}".strip()
    return points


def _values(element: Element | None) -> list[str]:
    return [] if element is None else [one.text or "" for one in element.iter() if tag_name(one) == "v"]
