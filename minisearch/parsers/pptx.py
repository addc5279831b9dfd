"""PPTX: each slide is a page with its title as heading, then its shapes, speaker's notes and comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import tag_name
from minisearch.parsers.contents import Contents, Pieces, heading_piece, text_piece
from minisearch.parsers.office import Package, add_shape, attribute, child, children, shapes, text_of

TITLES = {"title", "ctrTitle"}
FOOTERS = {"ftr", "hdr", "dt"}


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
    found = _shapes(package.root(part))
    title = next((shape for shape in found if _placeholder(shape) in TITLES), None)
    words = "" if title is None else " ".join(_text(title).split())
    if words:
        page.append(heading_piece(words))
    for shape in found:
        kind, words = _placeholder(shape), _text(shape)
        is_repeated = kind == "sldNum" or (kind in FOOTERS and words in footers)
        if kind in FOOTERS:
            footers.add(words)
        if shape is not title and not is_repeated:
            add_shape(page, package, part, shape)
    for _, root in package.roots(part, "notesSlide"):
        notes = (_text(shape) for shape in _shapes(root) if _placeholder(shape) == "body")
        _add_remarks(page, "Notes", notes)
    for _, root in package.roots(part, "comments"):
        _add_remarks(page, "Comment", _comments(root))


def _shapes(slide: Element) -> list[Element]:
    return [shape for tree in children(slide, "cSld", "spTree") for shape in shapes(tree)]


def _comments(root: Element) -> Iterator[str]:
    """The words of comments, in the old and in the new format."""
    for element in root.iter():
        if tag_name(element) == "text":
            yield element.text or ""
        elif tag_name(element) == "txBody":
            yield text_of(element)


def _add_remarks(page: Pieces, label: str, remarks: Iterable[str]) -> None:
    page += (text_piece(f"{label}: {remark}") for remark in filter(None, map(str.strip, remarks)))


def _placeholder(shape: Element) -> str:
    """The kind of placeholder that a shape is: title, body, slide number; "" for none."""
    for element in shape:
        if tag_name(element).startswith("nv") and (place := child(element, "nvPr", "ph")) is not None:
            return attribute(place, "type")
    return ""


def _text(shape: Element) -> str:
    return "\n".join(map(text_of, children(shape, "txBody")))
