"""What Office documents say of themselves: title, author, dates."""

from __future__ import annotations

from minisearch.extract import xml
from minisearch.extract.archive import Archive
from minisearch.extract.contents import Contents, Unreadable

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


def take_properties(archive: Archive, contents: Contents) -> None:
    """Note the title and the properties of an Office document; one without any is as good."""
    if CORE not in archive.names:
        return
    try:
        root = xml.parse(archive.read(CORE))
    except Unreadable:
        contents.notes.append("its properties (title, author) are damaged and left out")
        return
    for element in root:
        name = str(element.tag).rpartition("}")[2]
        if name == "title":
            contents.title = " ".join((element.text or "").split())
        elif name == "keywords":
            contents.add_keywords(element.text)
        elif name in PROPERTIES:
            contents.add_property(PROPERTIES[name], element.text)
