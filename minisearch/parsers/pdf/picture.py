"""Draw a page of a PDF in the sandbox process: a PNG, and where a text stands on the page."""

from __future__ import annotations

import base64
import ctypes
import json
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2 import PdfTextPage

from minisearch.parsers.contents import ExtractionError

MAX_PIXELS = 12_000_000
MAX_BOXES = 200
LEAST_PIECE = 12  # letters of a text that are looked for alone
MAX_GAP = 3.0  # between the words of a line, in heights of a character
SAME_LINE = 0.6  # of the height: the share by which two characters on one line overlap

Box = tuple[float, float, float, float]  # left, bottom, right, top, in points


def extract(request: bytes) -> dict[str, Any]:
    """Draw a page: the request is a line of JSON with its number, a text and a width, and then the file."""
    header, _, data = request.partition(b"\n")
    asked = json.loads(header)
    document = pypdfium2.PdfDocument(data[max(data.find(b"%PDF-", 0, 1024), 0) :])
    if not 0 <= asked["page"] < len(document):
        raise ExtractionError(f"it has {len(document):,} pages")
    document.init_forms()
    with closing(document[asked["page"]]) as page:
        width, height = page.get_size()
        scale = min(asked["width"] / max(width, 1), (MAX_PIXELS / max(width * height, 1)) ** 0.5)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        to_device = _Device(page, bitmap.width, bitmap.height)
        with closing(page.get_textpage()) as text_page:
            boxes = [to_device.box(one) for one in _boxes_of(asked["text"], text_page)]
    return {
        "png": base64.b64encode(_png(bitmap)).decode(),
        "width": bitmap.width,
        "height": bitmap.height,
        "n_pages": len(document),
        "boxes": boxes[:MAX_BOXES],
    }


class _Device:
    """The places on a page in shares of the picture, whatever its box and rotation."""

    def __init__(self, page: pypdfium2.PdfPage, width: int, height: int) -> None:
        self._page, self._width, self._height = page, width, height

    def box(self, box: Box) -> tuple[float, float, float, float]:
        """Left, top, width and height."""
        (left, bottom), (right, top) = self._point(box[0], box[1]), self._point(box[2], box[3])
        x, y = min(left, right), min(bottom, top)
        return x, y, abs(right - left), abs(top - bottom)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        at_x, at_y = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(self._page, 0, 0, self._width, self._height, 0, x, y, at_x, at_y)
        return at_x.value / self._width, at_y.value / self._height


def _boxes_of(text: str, text_page: PdfTextPage) -> Iterator[Box]:
    """A box for each line of a text on the page; only letters and digits are compared.

    A text that does not stand there as a whole is looked for line by line, and then sentence by sentence.
    """
    letters, places = _letters(text_page.get_text_range())
    wanted, _ = _letters(text)
    pieces = [wanted] if wanted in letters else [_letters(one)[0] for one in text.splitlines()]
    for piece in pieces:
        start = letters.find(piece) if piece == wanted or len(piece) >= LEAST_PIECE else -1
        if piece and start >= 0:
            yield from _lines_of(text_page, places[start : start + len(piece)])


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text in lower case, and the place of each."""
    found: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = unicodedata.normalize("NFKD", character).casefold()
        for one in plain:
            if one.isalnum():
                found.append(one)
                places.append(place)
    return "".join(found), places


def _lines_of(text_page: PdfTextPage, places: list[int]) -> Iterator[Box]:
    """The boxes of characters, those of a line as one."""
    line: Box | None = None
    for place in dict.fromkeys(places):
        box = text_page.get_charbox(place, loose=True)
        if (
            line
            and _overlap(line, box) >= SAME_LINE
            and box[2] > line[0]
            and box[0] - line[2] < 3 * _height(box)
        ):
            line = (min(line[0], box[0]), min(line[1], box[1]), max(line[2], box[2]), max(line[3], box[3]))
            continue
        if line:
            yield line
        line = box
    if line:
        yield line


def _height(box: Box) -> float:
    return max(box[3] - box[1], 0.1)


def _overlap(one: Box, other: Box) -> float:
    """The share of the lower one's height at which both stand."""
    return (min(one[3], other[3]) - max(one[1], other[1])) / min(_height(one), _height(other))


def _png(bitmap: pypdfium2.PdfBitmap) -> bytes:
    """The picture as PNG: red, green and blue, 8 bits each."""
    pixels, n = memoryview(bitmap.buffer).cast("B"), bitmap.width * bitmap.n_channels
    rows = []
    for row in range(bitmap.height):
        values = bytes(pixels[row * bitmap.stride :][:n])
        if bitmap.n_channels == 4:
            picture = bytearray(bitmap.width * 3)
            for channel in range(3):
                picture[channel::3] = values[channel::4]
            values = bytes(picture)
        rows.append(b"\0" + values)
    head = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 4)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
