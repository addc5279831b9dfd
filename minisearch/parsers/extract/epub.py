"""EPUB: the chapters in reading order, each a page, left in their HTML for the HTML reader."""

from __future__ import annotations

import codecs
import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from minisearch.parsers.extract import xml
from minisearch.parsers.extract.archive import Archive
from minisearch.parsers.extract.contents import Contents, Damaged, Page, Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,100}?encoding=["']([\w.-]{1,40})["']""")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
PROPERTIES = {
    "creator": "author",
    "contributor": "contributor",
    "publisher": "publisher",
    "date": "date",
    "language": "language",
    "subject": "keywords",
    "description": "description",
    "identifier": "identifier",
}
TEXT = re.compile("html|xml|oeb1")  # drawings in SVG have words too
MAX_CHAPTERS = 10_000


def take(data: bytes) -> Contents:
    """The chapters that the book's spine names; those damaged and those missing are noted.

    Damaged where nothing but damage is left.
    """
    archive = Archive(data)
    contents = Contents(has_pages=True)
    package_name = _package_name(archive)
    package = xml.parse(archive.read(package_name))
    _take_properties(package, contents)
    entries, encrypted = set(archive.names), _encrypted(archive)
    chapters = _chapters(package)
    n_missing, n_undecodable = len(chapters[MAX_CHAPTERS:]), 0
    damage: Damaged | None = None
    for href in chapters[:MAX_CHAPTERS]:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package_name), unquote(href)))
        if name in encrypted:
            raise Unreadable("encrypted: the book is protected (DRM)")
        if name not in entries:
            n_missing += 1
            continue
        page = Page()
        contents.pages.append(page)
        try:
            html, n_lost = _decoded(archive.read(name))
        except Damaged as error:
            contents.leave_out(name)
            damage = error
            continue
        n_undecodable += n_lost
        page.add_html(html)
    if damage and not any(page.blocks for page in contents.pages):
        raise damage
    if n_missing:
        contents.notes.append(f"{n_missing} of its chapters {'is' if n_missing == 1 else 'are'} missing")
    if n_undecodable:
        places = "1 place" if n_undecodable == 1 else f"{n_undecodable:,} places"
        contents.notes.append(f"{places} in its chapters cannot be decoded")
    return contents


def _package_name(archive: Archive) -> str:
    """Where the book's list of contents stands."""
    for element in xml.parse(archive.read(CONTAINER)).iter():
        if _name(element) == "rootfile" and (path := element.get("full-path")):
            return path
    raise Unreadable("damaged: no book in it")


def _take_properties(package: Element, contents: Contents) -> None:
    for element in package.iter():
        name = _name(element)
        if name == "title" and not contents.title:
            contents.title = " ".join((element.text or "").split())
        elif name in PROPERTIES and "dc/elements" in str(element.tag):
            contents.add_property(PROPERTIES[name], element.text)


def _chapters(package: Element) -> list[str]:
    """The hrefs of the spine, in reading order; "" for what is no text, or nowhere."""
    hrefs = {
        element.get("id"): element.get("href", "")
        for element in package.iter()
        if _name(element) == "item" and TEXT.search(element.get("media-type", ""))
    }
    spine = [element.get("idref") for element in package.iter() if _name(element) == "itemref"]
    return [hrefs.get(idref, "") for idref in spine]


def _encrypted(archive: Archive) -> set[str]:
    """The names of entries that are; of a book that is free, its fonts at most."""
    if ENCRYPTION not in archive.names:
        return set()
    root = xml.parse(archive.read(ENCRYPTION))
    return {unquote(element.get("URI", "")) for element in root.iter() if _name(element) == "CipherReference"}


def _decoded(data: bytes) -> tuple[str, int]:
    """The characters of a chapter, and how many of them stand for bytes without a meaning."""
    encoding = next((encoding for bom, encoding in BOMS if data.startswith(bom)), "")
    declared = DECLARED.match(data)
    if not encoding and declared:
        encoding = declared[1].decode("ascii")
    try:
        text = data.decode(encoding or "utf-8", "replace")
    except (LookupError, UnicodeError):  # no such encoding, or one that replaces nothing
        encoding = "utf-8"
        text = data.decode(encoding, "replace")
    n_unfit = text.count("\ufffd")
    # The author's own ones stay where bytes are passed over.
    return text, n_unfit and n_unfit - data.decode(encoding or "utf-8", "ignore").count("\ufffd")


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
