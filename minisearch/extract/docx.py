"""DOCX by mammoth: to HTML, whose headings and lists our own HTML reader understands."""

from __future__ import annotations

from minisearch.extract.archive import Archive, cleaned
from minisearch.extract.contents import Contents, Page
from minisearch.extract.office import take_properties

STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def take(data: bytes) -> Contents:
    """The body with its notes and comments left where they stand; headers and footers are not in it."""
    import mammoth

    archive = Archive(data)
    contents = Contents(has_pages=False)
    take_properties(archive, contents)
    result = mammoth.convert_to_html(
        cleaned(archive),
        style_map=STYLES,
        include_embedded_style_map=False,
        convert_image=mammoth.images.img_element(_without_image),
    )
    page = Page()
    page.add_html(result.value)
    contents.pages.append(page)
    return contents


def _without_image(_: object) -> dict[str, str]:
    return {}
