"""ZIP archives that nobody has checked: entries come out within bounds, and never onto a disk.

What the archive says of its sizes is not believed: bytes are counted as they are unpacked.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from minisearch.parsers.extract.contents import Damaged, Unreadable

MAX_BYTES = 200_000_000  # unpacked, in all
MAX_ENTRIES = 10_000
MAX_RATIO = 500  # deflate reaches 1,032; the XML of a spreadsheet with one value throughout about 200
SMALL = 1_000_000  # bytes unpacked, below which no ratio matters
STEP = 1 << 16
OLE = b"\xd0\xcf\x11\xe0"  # what a document with a password is wrapped in
LOCAL_HEADER = struct.Struct("<4s22xHH")  # its mark; the lengths of name and extra field

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, OSError)


class Archive:
    """The entries of a ZIP archive, by name; a name that stands twice means the later one."""

    def __init__(self, data: bytes) -> None:
        self._left = MAX_BYTES
        if data.startswith(OLE):
            raise Unreadable("encrypted, or an old Office document by another name")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (*DAMAGE, NotImplementedError) as error:
            raise Unreadable("damaged: not a ZIP archive, as it ought to be") from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise Unreadable(f"refused as unsafe: more than {MAX_ENTRIES:,} entries in the archive")
        _refuse_overlaps(data, entries)
        self._entries = {entry.filename: entry for entry in entries}

    @property
    def names(self) -> list[str]:
        """The names of its entries, in the archive's order."""
        return list(self._entries)

    def read(self, name: str) -> bytes:
        """An entry's bytes; Unreadable where there are too many, or there is no such entry."""
        entry = self._entries.get(name)
        if entry is None:
            raise Unreadable(f"damaged: no {name[:100]} in it")
        if entry.flag_bits & 1:
            raise Unreadable("encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable("packed by a method that is not read")
        try:
            return self._unpack(entry)
        except (*DAMAGE, NotImplementedError, RuntimeError) as error:
            raise Damaged("damaged: the archive cannot be unpacked") from error

    def _unpack(self, entry: zipfile.ZipInfo) -> bytes:
        unpacked = io.BytesIO()
        with self._zip.open(entry) as file:
            while part := file.read(STEP):
                unpacked.write(part)
                self._left -= len(part)
                if self._left < 0:
                    raise Unreadable(f"refused as unsafe: it unpacks to more than {MAX_BYTES // 10**6} MB")
                if unpacked.tell() > max(SMALL, MAX_RATIO * entry.compress_size):
                    raise Unreadable(f"refused as unsafe: it unpacks to more than {MAX_RATIO} times its size")
        return unpacked.getvalue()


def _refuse_overlaps(data: bytes, entries: list[zipfile.ZipInfo]) -> None:
    """Unreadable where two entries share bytes: so a small archive unpacks to any size."""
    reached = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        start = entry.header_offset
        if start < reached:
            raise Unreadable("refused as unsafe: entries of the archive overlap")
        try:
            mark, n_name, n_extra = LOCAL_HEADER.unpack_from(data, start)
        except struct.error:
            mark, n_name, n_extra = b"", 0, 0
        if mark != b"PK\x03\x04":
            raise Unreadable("damaged: the archive cannot be unpacked")
        reached = start + LOCAL_HEADER.size + n_name + n_extra + entry.compress_size
