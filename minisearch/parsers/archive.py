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
from typing import NoReturn, cast
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat

from minisearch.parsers.contents import DamagedPart, ExtractionError

MAX_BYTES = 200_000_000  # unpacked, in all
MAX_ENTRIES = 10_000
MAX_RATIO = 500  # deflate reaches 1,032; the XML of a spreadsheet with one value throughout about 200
SMALL = 1_000_000  # bytes; an entry that unpacks to less may have any ratio
STEP = 1 << 16
OLE = b"\xd0\xcf\x11\xe0"  # the container of an Office document with a password
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, OSError)

# In another encoding expat could miss a document type that another parser sees.
ENCODINGS = {
    *("utf-8", "utf8", "utf-16", "utf-16le", "utf-16be"),
    *("us-ascii", "ascii", "iso-8859-1", "windows-1252"),
}
PROLOG_STEP = 4096  # bytes
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
    _check_prolog(data)
    try:
        return ElementTree.fromstring(data)  # noqa: S314 - the prolog defines no entities
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DamagedPart(DAMAGED_XML) from error


def iterate_xml(data: bytes, names: set[str]) -> Iterator[Element]:
    """The elements with these tag names, one by one; each is removed from the tree after its turn.

    Raises DamagedPart at the first error in the XML.
    """
    _check_prolog(data)
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


class _RootReached(Exception):
    """The prolog has ended."""


def _check_prolog(data: bytes) -> None:
    """Refuse XML that defines entities or has an unusual encoding.

    Entities can only be defined before the root element, so the check ends there.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = _reach_root
    parser.StartDoctypeDeclHandler = _check_document_type
    parser.EntityDeclHandler = _refuse_entities
    parser.XmlDeclHandler = _check_encoding
    try:
        start, end = 0, PROLOG_STEP
        while start < len(data):
            parser.Parse(data[start:end], False)
            start, end = end, 2 * end  # expat scans an endless comment anew at every step
    except _RootReached:
        return
    except (expat.ExpatError, ValueError, LookupError):
        pass
    raise DamagedPart(DAMAGED_XML)


def _reach_root(*_: object) -> NoReturn:
    raise _RootReached


def _check_document_type(_name: str, _system: str | None, _public: str | None, has_subset: bool) -> None:
    if has_subset:
        _refuse_entities()


def _refuse_entities(*_: object) -> NoReturn:
    raise ExtractionError("the XML in it defines entities of its own, which is refused as unsafe")


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.lower() not in ENCODINGS:
        raise ExtractionError(f"the XML in it is in an encoding that is not supported: {encoding[:40]}")
