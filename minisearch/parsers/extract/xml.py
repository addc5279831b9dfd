"""XML that nobody has checked, made safe for any parser: no entities of its own, no odd encodings.

Entities are how a few lines of XML become gigabytes ("billion laughs"), or a file of this machine becomes
part of a text.  They can only be defined in a document type with a part of its own, before the root element;
so that is as far as a look goes, and it costs the same whatever the length of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from minisearch.parsers.extract.contents import Damaged, Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# In others a document type could be spelt so that expat sees none where another parser does.
ENCODINGS = {
    "utf-8",
    "utf8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "us-ascii",
    "ascii",
    "iso-8859-1",
    "windows-1252",
}
FIRST_STEP = 4096  # bytes


class _RootReached(Exception):
    """The prolog is over."""


def is_sound(data: bytes) -> bool:
    """Whether this begins as XML does; Unreadable where it defines entities or hides its encoding."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = _reach_root
    parser.StartDoctypeDeclHandler = _check_document_type
    parser.EntityDeclHandler = _refuse_entities
    parser.XmlDeclHandler = _check_encoding
    try:
        start, end = 0, FIRST_STEP
        while start < len(data):
            parser.Parse(data[start:end], False)
            start, end = end, 2 * end  # a comment without end is looked at anew at every step
    except _RootReached:
        return True
    except (expat.ExpatError, ValueError, LookupError):
        return False
    return False


def parse(data: bytes) -> Element:
    """The root element; Unreadable where it is damaged or unsafe."""
    from xml.etree import ElementTree

    if is_sound(data):
        try:
            return ElementTree.fromstring(data)  # noqa: S314 - what would be unsafe was just looked for
        except (ElementTree.ParseError, ValueError, LookupError):
            pass
    raise Damaged("damaged: the XML in it cannot be read")


def _reach_root(*_: object) -> NoReturn:
    raise _RootReached


def _check_document_type(_name: str, _system: str | None, _public: str | None, has_subset: bool) -> None:
    if has_subset:
        _refuse_entities()


def _refuse_entities(*_: object) -> NoReturn:
    raise Unreadable("the XML in it defines entities of its own, which is refused as unsafe")


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.lower() not in ENCODINGS:
        raise Unreadable(f"the XML in it is in an encoding that is not read: {encoding[:40]}")
