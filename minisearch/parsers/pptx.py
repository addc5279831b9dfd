"""PPTX: each slide is a page with its title as heading, then its shapes, speaker's notes and comments.

Shapes come in the order in which they are seen: rows from top to bottom, each from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import tag_name
from minisearch.parsers.contents import Contents, Pieces, paragraph, text_piece
from minisearch.parsers.office import (
    Package,
    add_shape,
    attribute,
    child,
    children,
    non_visual,
    shapes,
    text_of,
)

TITLES = {"title", "ctrTitle"}
FOOTERS = {"ftr", "hdr", "dt"}


Box = tuple[int, int, int]  # top, left and height, in the units of the file


def extract(data: bytes) -> dict[str, Any]:
    """The slides in order, also hidden ones; a header or footer that several slides repeat comes once."""
    contents = Contents(has_pages=True)
    package = Package(data, contents)
    main = package.main("ppt/presentation.xml")
    footers: set[str] = set()
    slides = children(package.root(main), "sldIdLst", "sldId")
    package.add_pages(main, slides, "slides", lambda page, part: _add_slide(page, package, part, footers))
    return contents.as_json()


def _add_slide(page: Pieces, package: Package, part: str, footers: set[str]) -> None:
    found = list(_in_order(package, part, package.root(part)))
    title = next((shape for shape in found if _placeholder(shape) in TITLES), None)
    page += paragraph("" if title is None else " ".join(_text(title).split()), level=1)
    for shape in found:
        kind, words = _placeholder(shape), _text(shape)
        is_repeated = kind == "sldNum" or (kind in FOOTERS and words in footers)
        footers |= {words} if kind in FOOTERS else set()
        if shape is not title and not is_repeated:
            add_shape(page, package, part, shape)
    remarks: list[tuple[str, str]] = []
    for _, root in package.roots(part, "notesSlide"):
        remarks += (("Notes", _text(shape)) for shape in _shapes(root) if _placeholder(shape) == "body")
    for _, root in package.roots(part, "comments"):
        remarks += (("Comment", words) for words in _comments(root))
    page += [text_piece(f"{label}: {words.strip()}") for label, words in remarks if words.strip()]


def _shapes(slide: Element) -> list[Element]:
    return list(shapes(children(slide, "cSld", "spTree")))


def _in_order(package: Package, part: str, slide: Element) -> Iterator[Element]:
    """The shapes as they are seen; a group comes as a whole, its shapes in their order."""
    layouts = list(package.parts(part, "slideLayout"))
    masters = [name for layout in layouts for name in package.parts(layout, "slideMaster")]
    outer = [shape for name in (*layouts, *masters) for shape in _shapes(package.optional(name))]
    yield from _sorted([one for tree in children(slide, "cSld", "spTree") for one in tree], outer)


def _sorted(tree: Iterable[Element], outer: list[Element]) -> Iterator[Element]:
    boxes: list[tuple[Box, Element]] = []
    for element in tree:
        box = _box(element) or _inherited(element, outer) or (boxes[-1][0] if boxes else (0, 0, 0))
        boxes.append((box, element))
    for element in in_rows(boxes):
        if tag_name(element) == "grpSp":
            yield from _sorted(element, outer)
        else:
            yield from shapes([element])


def in_rows(boxes: list[tuple[Box, Element]]) -> Iterator[Element]:
    """The elements as they are seen: from row to row, in each from the left."""
    boxes = sorted(boxes, key=lambda one: one[0][0])
    while boxes:
        top, _, height = boxes[0][0]
        n_beside = next(
            (i for i, (box, _) in enumerate(boxes) if 2 * (box[0] - top) > min(height, box[2])), len(boxes)
        )
        yield from (element for _, element in sorted(boxes[:n_beside], key=lambda one: one[0][1]))
        del boxes[:n_beside]


def _box(shape: Element) -> Box | None:
    """Where a shape or group stands; None where it does not say."""
    for frame in (frame for part in (shape, *shape) for frame in children(part, "xfrm")):
        place, size = child(frame, "off"), child(frame, "ext")
        numbers = attribute(place, "y"), attribute(place, "x"), attribute(size, "cy")
        if all(re.fullmatch(r"-?\d{1,15}", number) for number in numbers):
            top, left, height = map(int, numbers)
            return top, left, height
    return None


def _inherited(shape: Element, outer: list[Element]) -> Box | None:
    """Where the layout or the master has the placeholder that a shape fills."""
    kind, index = _placeholder(shape), _placeholder(shape, "idx")
    for other in outer if kind or index else []:
        is_same = _placeholder(other, "idx") == index if index else _placeholder(other) == kind
        if is_same and (box := _box(other)):
            return box
    return None


def _comments(root: Element) -> Iterator[str]:
    """The words of comments, in the old and in the new format."""
    for element in root.iter():
        if tag_name(element) == "text":
            yield element.text or ""
        elif tag_name(element) == "txBody":
            yield text_of(element)


def _placeholder(shape: Element, name: str = "type") -> str:
    """The kind of placeholder that a shape is: title, body, slide number; "" for none."""
    return attribute(child(non_visual(shape), "nvPr", "ph"), name)


def _text(shape: Element) -> str:
    return "\n".join(map(text_of, children(shape, "txBody")))
