"""Draw a page of a PDF in the sandbox process: a PNG, and where a text stands on the page."""

from __future__ import annotations

import base64
import ctypes
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2 import PdfTextPage

from minisearch.parsers.contents import ExtractionError
from minisearch.parsers.pdf.page import Box, letters, opened, units

MAX_PIXELS = 12_000_000
MAX_BOXES = 200
LEAST_PIECE = 12  # letters of a text that are looked for alone


def extract(request: bytes) -> dict[str, Any]:
    """Draw a page: the request is a line of JSON with its number, a text and a width, and then the file."""
    header, _, data = request.partition(b"\n")
    asked = json.loads(header)
    document = opened(data)
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

    A text that does not stand there as a whole is looked for line by line.
    """
    on_page, places = letters(units(text_page))
    wanted, _ = letters(text)
    pieces = [wanted] if wanted in on_page else [letters(one)[0] for one in text.splitlines()]
    for piece in pieces:
        start = on_page.find(piece) if piece == wanted or len(piece) >= LEAST_PIECE else -1
        if piece and start >= 0:
            first, last = places[start], places[start + len(piece) - 1]
            n_boxes = text_page.count_rects(first, last + 1 - first)
            yield from map(text_page.get_rect, range(n_boxes))


def _png(bitmap: pypdfium2.PdfBitmap) -> bytes:
    """The picture as PNG: red, green and blue, 8 bits each."""
    pixels, n_bytes = memoryview(bitmap.buffer).cast("B"), bitmap.width * 3
    rows = [b"\0" + bytes(pixels[row * bitmap.stride :][:n_bytes]) for row in range(bitmap.height)]
    head = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 4)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
