"""Read scanned pages of a PDF: its bytes and the numbers of its pages go in, the words of each page come out.

PDFium draws a page in the sandbox process, and Tesseract, a program of its own, reads the picture in all
languages that it has data for.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

from minisearch.errors import IngestError, install_line

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

    from minisearch.parsers.sandbox import Sandbox

PROGRAM = "tesseract"
DPI = 300  # what Tesseract's documentation asks for
POINTS_AN_INCH = 72
MAX_PIXELS = 20_000_000  # a page of A3 at 300 dots an inch has 17 million
MAX_AT_ONCE = 8  # pages drawn for one request, which sends the file
MAX_BYTES = 10_000_000  # of pictures in an answer, before the last
TIMEOUT_S = 120  # of a page
NOT_LANGUAGES = {"osd", "equ"}  # data that finds scripts and formulas
BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
HYPHENATED = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")


def ocr_problem() -> str:
    """Why scans cannot be read on this machine, with the cure; "" where they can."""
    if not importlib.util.find_spec("pytesseract"):
        return f"--ocr needs pytesseract: {install_line('ocr')}"
    if not shutil.which(PROGRAM):
        return (
            "--ocr needs the program tesseract (Debian and Ubuntu: apt install tesseract-ocr, "
            "macOS: brew install tesseract)"
        )
    return ""


def texts_of_scans(data: bytes, pages: Sequence[int], sandbox: Sandbox) -> Iterator[str]:
    """The words of each of these pages, from 0, in paragraphs; "" where none are recognised."""
    n_read, n_at_once = 0, MAX_AT_ONCE
    while wanted := pages[n_read : n_read + n_at_once]:
        request = json.dumps({"pages": wanted}).encode() + b"\n" + data
        try:
            pictures = sandbox.extract("scans", "PDF", request)["pictures"][: len(wanted)] or [{}]
        except (IngestError, LookupError, TypeError):
            if n_at_once > 1:  # one page is too much: draw the others without it
                n_at_once = 1
                continue
            pictures = [{}]
        n_read += len(pictures)
        yield from map(_words_of, pictures)


def _words_of(drawn: dict[str, Any]) -> str:
    import pytesseract  # an extra
    from PIL import Image

    try:
        packed = base64.b64decode(drawn["pixels"])
        pixels = zlib.decompressobj().decompress(packed, 2 * MAX_PIXELS)
        picture = Image.frombytes("L", (drawn["width"], drawn["height"]), pixels)
        config = f"--dpi {DPI}"
        text = pytesseract.image_to_string(picture, lang=_languages(), config=config, timeout=TIMEOUT_S)
    except (KeyError, TypeError, ValueError, OSError, RuntimeError, zlib.error):
        return ""  # the page cannot be drawn, or it took too long
    return paragraphs(text)


@cache
def _languages() -> str:
    import pytesseract

    return "+".join(one for one in pytesseract.get_languages() if one not in NOT_LANGUAGES)


def paragraphs(text: str) -> str:
    r"""A page that Tesseract has read, with each paragraph on one line.

    >>> paragraphs("A word was bro-\nken at\nline ends.\n\nNext.\n\f")
    'A word was broken at line ends.\n\nNext.'
    """
    joined = (" ".join(HYPHENATED.sub("", one).split()) for one in BLANK_LINE.split(text))
    return "\n\n".join(filter(None, joined))


# --- in the sandbox process ------------------------------------------------------------------------------


def extract(request: bytes) -> dict[str, Any]:
    """Draw pages in grey; the request is a line of JSON with their numbers, and then the file.

    The answer may have fewer pages than were wanted, from the first on.
    """
    from pypdfium2 import PdfiumError  # only this process draws

    from minisearch.parsers.pdf.page import opened

    header, _, data = request.partition(b"\n")
    document = opened(data)
    pictures: list[dict[str, Any]] = []
    n_bytes = 0
    for number in json.loads(header)["pages"]:
        try:
            with closing(document[number]) as page:
                pictures.append(picture := _drawn(page))
        except PdfiumError:
            pictures.append({})
            continue
        n_bytes += len(picture["pixels"])
        if n_bytes > MAX_BYTES:
            break
    return {"pictures": pictures}


def _drawn(page: PdfPage) -> dict[str, Any]:
    width, height = page.get_size()
    n_pixels = width * height * (DPI / POINTS_AN_INCH) ** 2
    scale = DPI / POINTS_AN_INCH * min(1.0, (MAX_PIXELS / max(n_pixels, 1)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    pixels = memoryview(bitmap.buffer).cast("B")
    rows = (pixels[row * bitmap.stride :][: bitmap.width] for row in range(bitmap.height))
    packed = zlib.compress(b"".join(rows), 1)
    return {"width": bitmap.width, "height": bitmap.height, "pixels": base64.b64encode(packed).decode()}
