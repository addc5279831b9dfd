# ruff: noqa: E501 - XML is easier to read in one line
"""Small PDF, DOCX, PPTX, XLSX and EPUB files, made by hand or by the libraries that write them."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

PdfLine = tuple[float, float, float, str]  # x, y, size, words (Latin-1)


def pdf_objects(objects: Sequence[bytes], *, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1, the first one its catalogue."""
    parts = [b"%PDF-1.7\n"]
    offsets = []
    position = len(parts[0])
    for number, body in enumerate(objects, 1):
        offsets.append(position)
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        position += len(parts[-1])
    out = b"".join(parts)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (
        size, table, size, trailer, len(out),
    )  # fmt: skip


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), entries, data)


def pdf_of_streams(
    streams: Sequence[bytes], *, catalog: bytes = b"", trailer: bytes = b"", more: Sequence[bytes] = ()
) -> bytes:
    """A PDF with a page for each stream of drawing commands; /F1 is Helvetica.

    The first page is object 5, the second 7, and so on; the objects of ``more`` follow the last page.
    """
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % catalog,
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for content in streams:
        objects.append(content)
        kids.append(b"%d 0 R" % (len(objects) + 1))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % len(objects)
        )
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), b" ".join(kids))
    return pdf_objects([*objects, *more], trailer=trailer)


def pdf_of_lines(pages: Sequence[Sequence[PdfLine]], **extras: Any) -> bytes:
    """A PDF with these words at these places; see `pdf_of_streams` for ``extras``."""
    return pdf_of_streams([stream(drawing(lines)) for lines in pages], **extras)


def drawing(lines: Sequence[PdfLine]) -> bytes:
    shown = b"".join(
        b"/F1 %g Tf 1 0 0 1 %g %g Tm (%b) Tj\n"
        % (size, x, y, words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("latin-1"))
        for x, y, size, words in lines
    )
    return b"BT\n" + shown + b"ET"


def pdf(*pages: str, **extras: Any) -> bytes:
    """A PDF with these texts, line by line from the top of each page; see `pdf_of_streams` for ``extras``."""
    return pdf_of_lines(
        [[(72, 720 - 14 * i, 12, words) for i, words in enumerate(text.splitlines())] for text in pages],
        **extras,
    )


def encrypted_pdf(words: str, password: str) -> bytes:
    """A PDF that opens with this password, encrypted by RC4 with 40 bits (PDF 1.7, 7.6.3)."""
    padding = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
    user, owner = (password.encode() + padding)[:32], (b"owner" + padding)[:32]
    by_owner = _rc4(_md5(owner)[:5], user)
    key = _md5(user + by_owner + (-4).to_bytes(4, "little", signed=True) + b"id")[:5]
    of_stream = _md5(key + (4).to_bytes(3, "little") + bytes(2))[:10]
    entries = (
        by_owner.hex().encode(),
        _rc4(key, padding).hex().encode(),
        b"id".hex().encode(),
        b"id".hex().encode(),
    )
    return pdf_of_streams(
        [stream(_rc4(of_stream, drawing([(72, 720, 12, words)])))],
        trailer=b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b> >> /ID [<%b> <%b>]" % entries,
    )


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def zipped(entries: Mapping[str, str | bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CORE = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
DUBLIN = "http://purl.org/dc/elements/1.1/"


def docx_entries(body: str, *, prolog: str = "", title: str = "") -> dict[str, str | bytes]:
    """The parts of a DOCX whose body is this WordprocessingML."""
    return {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{RELATIONSHIPS}"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{RELATIONSHIPS}"><Relationship Id="r1" '
        f'Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "word/document.xml": f'{prolog}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        "word/styles.xml": f'<w:styles xmlns:w="{WORD}"><w:style w:type="paragraph" w:styleId="Heading1">'
        '<w:name w:val="heading 1"/></w:style><w:style w:type="paragraph" w:styleId="Heading2">'
        '<w:name w:val="heading 2"/></w:style></w:styles>',
        "docProps/core.xml": f'<cp:coreProperties xmlns:cp="{CORE}" xmlns:dc="{DUBLIN}"><dc:title>{title}</dc:title>'
        "<dc:creator>Ada</dc:creator><cp:keywords>engines, tables</cp:keywords></cp:coreProperties>",
    }  # fmt: skip


def paragraph(words: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{escape(words)}</w:t></w:r></w:p>"


def docx(*paragraphs: str, title: str = "") -> bytes:
    return zipped(docx_entries("".join(map(paragraph, paragraphs)), title=title))


def pptx(slides: Sequence[tuple[str, str, str]]) -> bytes:
    """Slides of a title, a text and speaker's notes."""
    from pptx import Presentation

    presentation = Presentation()
    for title, text, notes in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def epub_entries(
    chapters: Mapping[str, str], *, prolog: str = "", title: str = "A book"
) -> dict[str, str | bytes]:
    """The parts of an EPUB whose spine names these chapters (file name -> XHTML body), in this order."""
    items = "".join(
        f'<item id="c{i}" href="{name}" media-type="application/xhtml+xml"/>'
        for i, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    return {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "OEBPS/book.opf": f'{prolog}<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="{DUBLIN}"><metadata>'
        f"<dc:title>{title}</dc:title><dc:creator>Mary</dc:creator></metadata>"
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        **{
            f"OEBPS/{name}": f'<?xml version="1.0"?><!DOCTYPE html><html><body>{body}</body></html>'
            for name, body in chapters.items()
        },
    }  # fmt: skip


def epub(*chapters: str) -> bytes:
    return zipped(epub_entries({f"{i}.xhtml": body for i, body in enumerate(chapters)}))


def deflated(n_megabytes: int) -> bytes:
    """That many megabytes of blanks, packed, in a moment; only the checksum at the end is wrong."""
    packer = zlib.compressobj(9)
    first, second = (packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + second * (n_megabytes - 1) + packer.flush()


# --- Outlook messages --------------------------------------------------------------------------------------

Folder = dict[str, "bytes | Folder"]
FREE, LAST, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def ole(root: Folder) -> bytes:
    """An OLE file of version 3 with these streams and folders (MS-CFB), each sector of 512 bytes."""
    entries: list[list[Any]] = []  # name, kind, child, next, start, data

    def add(name: str, kind: int, content: bytes | Folder) -> int:
        entries.append([name, kind, FREE, FREE, 0, b""])
        number = len(entries) - 1
        if isinstance(content, bytes):
            entries[number][5] = content
            return number
        kids = [add(one, 2 if isinstance(content[one], bytes) else 1, content[one])
                for one in sorted(content, key=lambda one: (len(one), one.upper()))]  # fmt: skip
        entries[number][2] = kids[0] if kids else FREE
        for kid, after in pairwise(kids):
            entries[kid][3] = after
        return number

    add("Root Entry", 5, root)
    sectors: list[bytes] = []
    fat: list[int] = []

    def put(data: bytes) -> int:
        """The number of the first sector of these bytes."""
        start, n = len(sectors), -(-len(data) // 512)
        sectors.extend(data[i * 512 : (i + 1) * 512].ljust(512, b"\0") for i in range(n))
        fat.extend([*range(start + 1, start + n), LAST] if n else [])
        return start if n else LAST

    mini, mini_fat = bytearray(), list[int]()
    for entry in entries[1:]:
        data = entry[5]
        if len(data) >= 4096:
            entry[4] = put(data)
        elif data:
            start, n = len(mini_fat), -(-len(data) // 64)
            entry[4] = start
            mini += data.ljust(n * 64, b"\0")
            mini_fat += [*range(start + 1, start + n), LAST]
    entries[0][4], entries[0][5] = put(bytes(mini)), bytes(mini)
    first_mini = put(b"".join(n.to_bytes(4, "little") for n in mini_fat))
    n_mini = -(-len(mini_fat) // 128)
    directory = bytearray()
    for name, kind, child, after, start, data in entries:
        words = name.encode("utf-16-le")
        directory += words.ljust(64, b"\0") + (len(words) + 2).to_bytes(2, "little") + bytes([kind, 1])
        directory += b"".join(n.to_bytes(4, "little") for n in (FREE, after, child)) + bytes(36)
        directory += start.to_bytes(4, "little") + len(data).to_bytes(8, "little")
    first_directory = put(bytes(directory))
    n_fat = next(n for n in range(1, 100) if n * 128 >= len(fat) + n)
    places = range(len(fat), len(fat) + n_fat)
    fat += [FAT] * n_fat
    fat += [FREE] * (n_fat * 128 - len(fat))
    table = b"".join(n.to_bytes(4, "little") for n in fat)
    sectors += [table[i : i + 512] for i in range(0, len(table), 512)]
    head = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + bytes.fromhex("3E000300FEFF09000600") + bytes(10)
    numbers = [n_fat, first_directory, 0, 4096, first_mini if n_mini else LAST, n_mini, LAST, 0, *places]
    head += b"".join(n.to_bytes(4, "little") for n in [*numbers, *[FREE] * (109 - n_fat)])
    return head.ljust(512, b"\0") + b"".join(sectors)


def message(
    words: Mapping[int, str], *, encoding: str = "", long: Mapping[int, bytes] | None = None,
    short: Mapping[int, int] | None = None, folders: Folder | None = None, header: int = 32,
) -> Folder:  # fmt: skip
    """The properties of an Outlook message (MS-OXMSG): texts in UTF-16 or in an 8-bit encoding, bytes, numbers.

    A short property is given by its number and type together.
    """
    kind, codec = ("001E", encoding) if encoding else ("001F", "utf-16-le")
    table = b"".join(
        tag.to_bytes(4, "little") + bytes(4) + value.to_bytes(8, "little")
        for tag, value in (short or {}).items()
    )
    return {
        "__properties_version1.0": bytes(header) + table,
        **{f"__substg1.0_{number:04X}{kind}": text.encode(codec) for number, text in words.items()},
        **{f"__substg1.0_{number:04X}0102": data for number, data in (long or {}).items()},
        **(folders or {}),
    }
