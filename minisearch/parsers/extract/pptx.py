"""PPTX: a slide a page, its title the heading; tables, charts, diagrams, notes and comments are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minisearch.parsers.extract.contents import Contents, Page
from minisearch.parsers.extract.figures import add_shape, shapes, text_of
from minisearch.parsers.extract.office import Package, attribute, child, children, local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

TITLES = {"title", "ctrTitle"}
ON_EVERY_SLIDE = {"ftr", "hdr", "dt"}


def take(data: bytes) -> Contents:
    """The slides in their order, hidden ones too, shapes as they are stacked; what all slides say, once."""
    contents = Contents(has_pages=True)
    package = Package(data, contents)
    main = package.main("ppt/presentation.xml")
    said: set[str] = set()
    slides = children(package.root(main), "sldIdLst", "sldId")
    package.take_pages(main, slides, "slides", lambda page, part: _take_slide(page, package, part, said))
    return contents


def _take_slide(page: Page, package: Package, part: str, said: set[str]) -> None:
    found = [shape for tree in children(package.root(part), "cSld", "spTree") for shape in shapes(tree)]
    title = next((shape for shape in found if _kind(shape) in TITLES), None)
    words = "" if title is None else " ".join(_text(title).split())
    if words:
        page.add_text(words, [(0, 1, words)])
    for shape in found:
        kind, words = _kind(shape), _text(shape)
        is_repeated = kind == "sldNum" or (kind in ON_EVERY_SLIDE and words in said)
        if kind in ON_EVERY_SLIDE:
            said.add(words)
        if shape is not title and not is_repeated:
            add_shape(page, package, part, shape)
    _take_asides(page, package, part)


def _take_asides(page: Page, package: Package, part: str) -> None:
    """Add the speaker's notes and the comments on a slide."""
    for name in package.parts(part, "notesSlide"):
        notes = package.optional(name)
        page_of_notes = [shape for tree in children(notes, "cSld", "spTree") for shape in shapes(tree)]
        _take_remarks(page, "Notes", (_text(shape) for shape in page_of_notes if _kind(shape) == "body"))
    for name in package.parts(part, "comments"):
        comments = package.optional(name)
        _take_remarks(page, "Comment", () if comments is None else _comments(comments))


def _comments(root: Element) -> Iterator[str]:
    """Comments as they were first kept, and as they are now, with answers."""
    for element in root.iter():
        if local(element) == "text":
            yield element.text or ""
        elif local(element) == "txBody":
            yield text_of(element)


def _take_remarks(page: Page, label: str, remarks: Iterable[str]) -> None:
    for remark in filter(None, map(str.strip, remarks)):
        page.add_text(f"{label}: {remark}")


def _kind(shape: Element) -> str:
    """What a placeholder holds the place of: a title, a body, the number of the slide ..."""
    for element in shape:
        if local(element).startswith("nv") and (place := child(element, "nvPr", "ph")) is not None:
            return attribute(place, "type")
    return ""


def _text(shape: Element) -> str:
    return "\n".join(map(text_of, children(shape, "txBody")))
