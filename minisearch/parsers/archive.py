"""ZIP archives and XML from untrusted files, read within bounds.

Bytes of the archive come in; unpacked entries and parsed XML come out.  Nothing is written to disk.  Sizes
that the archive claims are not trusted: bytes are counted as they are unpacked, over all entries, so entries
that share bytes gain nothing.  XML may not define entities: with them a few lines become gigabytes ("billion
laughs"), or a local file becomes part of the text.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from typing import cast
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from minisearch.parsers.contents import DamagedPart, ExtractionError

MAX_BYTES = 200_000_000  # unpacked, in all
MAX_ENTRIES = 10_000
MAX_RATIO = 500  # deflate reaches 1,032; the XML of a spreadsheet with one value throughout about 200
SMALL = 1_000_000  # bytes; an entry that unpacks to less may have any ratio
STEP = 1 << 16
OLE = b"\xd0\xcf\x11\xe0"  # the container of an Office document with a password
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, OSError)

# Of entities, a few lines make gigabytes. In UTF-16 there is a NUL after each letter.
ENTITY = b"<!ENTITY"
XML_STEP = 1 << 14  # bytes; with more elements alive, Python's garbage collector takes more time
DAMAGED_XML = "damaged: the XML in it cannot be read"


class Archive:
    """The entries of a ZIP archive by name; where a name occurs twice, the later entry counts."""

    def __init__(self, data: bytes) -> None:
        self._left = MAX_BYTES
        if data.startswith(OLE):
            raise ExtractionError("encrypted, or an old Office document by another name")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (*ZIP_ERRORS, NotImplementedError) as error:
            raise ExtractionError("damaged: not a ZIP archive") from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise ExtractionError(f"refused as unsafe: more than {MAX_ENTRIES:,} entries in the archive")
        self._entries = {entry.filename: entry for entry in entries}

    @property
    def names(self) -> list[str]:
        """The names of the entries, in the archive's order."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """An entry's bytes; ExtractionError where the entry is missing, too large, or encrypted."""
        entry = self._entries.get(name)
        if entry is None:
            raise ExtractionError(f"damaged: no {name[:100]} in it")
        if entry.flag_bits & 1:
            raise ExtractionError("encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ExtractionError("packed by a method that is not supported")
        try:
            return self._unpack(entry)
        except (*ZIP_ERRORS, NotImplementedError, RuntimeError) as error:
            raise DamagedPart("damaged: the archive cannot be unpacked") from error

    def _unpack(self, entry: zipfile.ZipInfo) -> bytes:
        unpacked = io.BytesIO()
        with self._zip.open(entry) as file:
            while part := file.read(STEP):
                unpacked.write(part)
                self._left -= len(part)
                if self._left < 0:
                    raise ExtractionError(
                        f"refused as unsafe: it unpacks to more than {MAX_BYTES // 10**6} MB"
                    )
                if unpacked.tell() > max(SMALL, MAX_RATIO * entry.compress_size):
                    raise ExtractionError(
                        f"refused as unsafe: it unpacks to more than {MAX_RATIO} times its size"
                    )
        return unpacked.getvalue()


def parse_xml(data: bytes) -> Element:
    """The root element; ExtractionError where the XML is damaged or unsafe."""
    _refuse_entities(data)
    try:
        return ElementTree.fromstring(data)  # noqa: S314 - it defines no entities
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DamagedPart(DAMAGED_XML) from error


def iterate_xml(data: bytes, names: set[str]) -> Iterator[Element]:
    """The elements with these tag names, one by one; each is removed from the tree after its turn.

    Raises DamagedPart at the first error in the XML.
    """
    _refuse_entities(data)
    parser: ElementTree.XMLPullParser[Element] = ElementTree.XMLPullParser(("start", "end"))
    ancestors: list[Element] = []
    try:
        for start in range(0, len(data), XML_STEP):
            parser.feed(data[start : start + XML_STEP])
            for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
                if event == "start":
                    ancestors.append(element)
                    continue
                ancestors.pop()
                if tag_name(element) in names:
                    yield element
                    if ancestors:
                        ancestors[-1].remove(element)
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DamagedPart(DAMAGED_XML) from error


def tag_name(element: Element) -> str:
    """An element's name without its namespace."""
    return local_name(element.tag)


@cache
def local_name(name: str) -> str:
    """The name of a tag or an attribute without its namespace."""
    return name.rpartition("}")[2]


def _refuse_entities(data: bytes) -> None:
    if ENTITY in data.replace(b"\0", b""):
        raise ExtractionError("the XML in it defines entities of its own, which is refused as unsafe")
