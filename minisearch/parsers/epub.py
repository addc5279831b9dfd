"""EPUB: each chapter is a page in reading order, and stays HTML for the HTML parser."""

from __future__ import annotations

import codecs
import posixpath
import re
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from minisearch.parsers.archive import Archive, parse_xml, tag_name
from minisearch.parsers.contents import Contents, ExtractionError, Pieces

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,100}?encoding=["']([\w.-]{1,40})["']""")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
PROPERTIES = {"creator": "author", "subject": "keywords"}
PROPERTIES |= {
    name: name
    for name in ("title", "contributor", "publisher", "date", "language", "description", "identifier")
}
TEXT = re.compile("html|xml|oeb1")  # SVG drawings hold text, too
MAX_CHAPTERS = 10_000


def extract(data: bytes) -> dict[str, Any]:
    """The chapters in the order of the book's spine; damaged and missing chapters are noted."""
    archive = Archive(data)
    contents = Contents(has_pages=True)
    package_name = _package_name(archive)
    package = parse_xml(archive.read(package_name))
    _extract_properties(package, contents)
    folder = posixpath.dirname(package_name)
    hrefs = _chapters(package)
    names = [posixpath.normpath(posixpath.join(folder, unquote(href))) for href in hrefs[:MAX_CHAPTERS]]
    if _encrypted(archive).intersection(names):
        raise ExtractionError("encrypted: the book is protected (DRM)")
    entries = set(archive.names)
    found = [name for name in names if name in entries]
    n_undecodable = 0

    def fill(page: Pieces, name: str) -> None:
        nonlocal n_undecodable
        html, n_lost = _decoded(archive.read(name))
        n_undecodable += n_lost
        page.append({"html": html})

    contents.add_pages((("", name) for name in found), fill)
    contents.count("missing chapters", len(hrefs) - len(found))
    contents.count("places in chapters that cannot be decoded", n_undecodable)
    return contents.as_json()


def _package_name(archive: Archive) -> str:
    """The name of the entry that lists the book's contents."""
    for element in parse_xml(archive.read(CONTAINER)).iter():
        if tag_name(element) == "rootfile" and (path := element.get("full-path")):
            return path
    raise ExtractionError("damaged: no book in it")


def _extract_properties(package: Element, contents: Contents) -> None:
    for element in package.iter():
        name = tag_name(element)
        if name == "title" or (name in PROPERTIES and "dc/elements" in element.tag):
            contents.add_property(PROPERTIES[name], element.text)


def _chapters(package: Element) -> list[str]:
    """The hrefs of the spine, each once, in reading order; "" for what is no text or not in the book.

    A table of contents may refer to several places of a chapter.
    """
    hrefs = {
        element.get("id"): element.get("href", "").partition("#")[0]
        for element in package.iter()
        if tag_name(element) == "item" and TEXT.search(element.get("media-type", ""))
    }
    spine = [element.get("idref") for element in package.iter() if tag_name(element) == "itemref"]
    found = dict.fromkeys(hrefs.get(idref) or f"#{idref}" for idref in spine)
    return ["" if href.startswith("#") else href for href in found]


def _encrypted(archive: Archive) -> set[str]:
    """The names of encrypted entries; a book without DRM may encrypt its fonts."""
    if ENCRYPTION not in archive:
        return set()
    root = parse_xml(archive.read(ENCRYPTION))
    return {
        unquote(element.get("URI", "")) for element in root.iter() if tag_name(element) == "CipherReference"
    }


def _decoded(data: bytes) -> tuple[str, int]:
    """A chapter's text, and how many places in it could not be decoded."""
    encoding = next((encoding for bom, encoding in BOMS if data.startswith(bom)), "")
    declared = DECLARED.match(data)
    encoding = encoding or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        text = data.decode(encoding, "replace")
    except (LookupError, UnicodeError):  # an unknown encoding, or one without a replacement
        encoding, text = "utf-8", data.decode("utf-8", "replace")
    n_replaced = text.count("\ufffd")
    # Replacement characters that the author wrote are not counted.
    return text, n_replaced and n_replaced - data.decode(encoding, "ignore").count("\ufffd")
