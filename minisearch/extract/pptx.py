"""PPTX by python-pptx: a slide a page, its title the heading; tables and speaker's notes are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from minisearch.extract.archive import Archive, cleaned
from minisearch.extract.contents import Contents, Page
from minisearch.extract.office import take_properties

if TYPE_CHECKING:
    from pptx.shapes.base import BaseShape

MAX_SHAPES = 100_000


def take(data: bytes) -> Contents:
    """The slides in their order, shapes as they are stacked."""
    import pptx

    archive = Archive(data)
    contents = Contents(has_pages=True)
    take_properties(archive, contents)
    n_figures = 0
    for slide in pptx.Presentation(cleaned(archive)).slides:
        page = Page()
        contents.pages.append(page)
        title = slide.shapes.title
        words = " ".join(title.text_frame.text.split()) if title is not None else ""
        if words:
            page.add_text(words, [(0, 1, words)])
        for shape in _shapes(slide.shapes):
            if title is not None and shape.shape_id == title.shape_id:
                continue
            n_figures += not _take_shape(shape, page)
        if slide.has_notes_slide:
            notes = slide.notes_slide.notes_text_frame
            if notes is not None and notes.text.strip():
                page.add_text(f"Notes: {notes.text.strip()}")
    if n_figures:
        what = "1 chart or diagram is" if n_figures == 1 else f"{n_figures} charts or diagrams are"
        contents.notes.append(f"{what} left out")
    return contents


def _shapes(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """Every shape, those in groups too, in order; without recursion, since groups nest as a file likes."""
    waiting = [iter(shapes)]
    n_shapes = 0
    while waiting and n_shapes < MAX_SHAPES:
        shape = next(waiting[-1], None)
        if shape is None:
            waiting.pop()
        elif hasattr(shape, "shapes"):
            waiting.append(iter(shape.shapes))
        else:
            n_shapes += 1
            yield shape


def _take_shape(shape: BaseShape, page: Page) -> bool:
    """Add a shape's text or table; False where it is a figure whose words are not read."""
    frame = getattr(shape, "text_frame", None)
    if frame is not None:
        text = "\n".join(paragraph.text.replace("\v", "\n") for paragraph in frame.paragraphs)
        if text.strip():
            page.add_text(text.strip("\n"))
    elif shape.has_table:
        rows = shape.table.rows  # type: ignore[attr-defined]  # a graphic frame has it
        page.add_rows([[cell.text.strip() for cell in row.cells] for row in rows])
    else:
        return not hasattr(shape, "has_chart")  # a graphic frame that holds no table
    return True
