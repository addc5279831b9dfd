"""PDF by PDFium: each page's text in paragraphs, the outline as headings; by pypdf where PDFium cannot."""

from __future__ import annotations

import ctypes
import importlib.util
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minisearch.parsers.extract.contents import Contents, Page, Unreadable
from minisearch.parsers.extract.lines import Line, hyphenated_words, paragraphs
from minisearch.parsers.extract.remarks import remarks, remarks_by_pypdf

if TYPE_CHECKING:
    from pypdf import PdfReader
    from pypdfium2 import PdfDocument, PdfTextPage

MAX_HEADINGS = 5_000
DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
WRITER = re.compile(r"^(?:Microsoft (?:Office )?\w+ - )")
# What programs write as a title when nobody gave one: the name of the file they came from.
NO_TITLE = re.compile(
    r"(?:untitled.*|.*\.(?:docx?|pptx?|xlsx?|indd|tex|dvi|ps|pdf|qxd|rtf|odt|fm|html?))$", re.I
)

Outline = dict[int, list[tuple[int, str]]]  # headings by page, from 0: level and words


def take(data: bytes) -> Contents:
    """Every page's text; Unreadable where there is none, the file is encrypted, or no library can read it."""
    start = data.find(b"%PDF-", 0, 1024)
    if start < 0:
        raise Unreadable("not a PDF, whatever its name says")
    data = data[start:]
    if importlib.util.find_spec("pypdfium2") is None:
        return _take_by_pypdf(data)
    try:
        return _take_by_pdfium(data)
    except Unreadable:
        raise
    except (MemoryError, RecursionError):
        raise
    except Exception:
        if importlib.util.find_spec("pypdf") is None:
            raise
        return _take_by_pypdf(data)


# --- PDFium ------------------------------------------------------------------------------------------


def _take_by_pdfium(data: bytes) -> Contents:
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise Unreadable("encrypted: it takes a password") from error
        raise
    contents = Contents(has_pages=True)
    with suppress(pypdfium2.PdfiumError):
        document.init_forms()
    _take_properties(document.get_metadata_dict(), contents)
    _note_left_out(document, contents)
    pages: list[list[Line]] = []
    said: list[list[str]] = []
    n_unread = n_scanned = 0
    for index in range(len(document)):
        try:
            lines, on_it, is_scanned = _read_page(document, index)
        except pypdfium2.PdfiumError:
            lines, on_it, is_scanned = [], [], False
            n_unread += 1
        pages.append(lines)
        said.append(on_it)
        n_scanned += is_scanned
    words = hyphenated_words("\n".join(line.text for lines in pages for line in lines))
    texts = [paragraphs(lines, frozenset(words)) for lines in pages]
    _fill(contents, texts, said, _pdfium_outline(document), n_unread=n_unread, n_scanned=n_scanned)
    return contents


def _note_left_out(document: PdfDocument, contents: Contents) -> None:
    """Note what PDFium knows of and does not show."""
    import pypdfium2.raw as pdfium

    if n_attached := document.count_attachments():
        contents.notes.append(
            f"{n_attached} attached {'file is' if n_attached == 1 else 'files are'} left out"
        )
    if document.get_formtype() in {pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND}:
        contents.notes.append("it holds an XFA form, of which only what is drawn on its pages is read")


def _read_page(document: PdfDocument, index: int) -> tuple[list[Line], list[str], bool]:
    """A page's lines, the remarks on it, and whether it shows pictures but holds no text."""
    import pypdfium2.raw as pdfium

    page = document[index]
    try:
        text_page = page.get_textpage()
        try:
            lines = list(_lines(text_page))
        finally:
            text_page.close()
        is_scanned = not any(line.text.strip() for line in lines) and any(
            page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3)
        )
        return lines, remarks(page), is_scanned
    finally:
        page.close()


def _lines(text_page: PdfTextPage) -> Iterator[Line]:
    import pypdfium2.raw as pdfium

    text = text_page.get_text_range()
    position = 0  # in units of UTF-16, as PDFium counts
    for line in text.split("\r\n"):
        n_units = len(line) + sum(character > "\uffff" for character in line)
        if line.strip():
            first = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, position)
            last = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, position + n_units - 1)
            left, bottom, _, top = _box(text_page, first)
            _, end_bottom, right, end_top = _box(text_page, last)
            size = max(top - bottom, end_top - end_bottom, 1.0)  # a word in another font may be lower
            yield Line(line, left, _foot(text_page, first), right, _foot(text_page, last), size)
        position += n_units + 2


def _box(text_page: PdfTextPage, index: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a character's cell; zeros where it has none."""
    import pypdfium2

    if index >= 0:
        with suppress(pypdfium2.PdfiumError):
            left, bottom, right, top = text_page.get_charbox(index, loose=True)
            return left, bottom, right, top
    return 0.0, 0.0, 0.0, 0.0


def _foot(text_page: PdfTextPage, index: int) -> float:
    """How high a character stands; where its cell ends depends on its font."""
    import pypdfium2.raw as pdfium

    x, y = ctypes.c_double(), ctypes.c_double()
    return y.value if index >= 0 and pdfium.FPDFText_GetCharOrigin(text_page, index, x, y) else 0.0


def _pdfium_outline(document: PdfDocument) -> Outline:
    import pypdfium2

    outline: Outline = {}
    n_headings = 0
    with suppress(pypdfium2.PdfiumError, RecursionError):
        for bookmark in document.get_toc(max_depth=9):
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            n_headings += 1
            if n_headings > MAX_HEADINGS:
                break
            if page is not None:
                outline.setdefault(page, []).append((bookmark.level + 1, bookmark.get_title()))
    return outline


# --- pypdf -------------------------------------------------------------------------------------------


def _take_by_pypdf(data: bytes) -> Contents:
    import pypdf

    document = pypdf.PdfReader(io.BytesIO(data), strict=False)
    if document.is_encrypted and not document.decrypt(""):
        raise Unreadable("encrypted: it takes a password")
    contents = Contents(has_pages=True)
    with suppress(Exception):  # whatever is wrong with it, the text is worth having
        _take_properties(
            {str(name).lstrip("/"): value for name, value in (document.metadata or {}).items()}, contents
        )
    texts: list[str] = []
    said: list[list[str]] = []
    n_unread = n_scanned = 0
    for page in document.pages:
        try:
            said.append([])
            text = page.extract_text()
            with suppress(Exception):  # the words of the page are worth more
                said[-1] = remarks_by_pypdf(page)
            n_scanned += not text.strip() and "/XObject" in page.get("/Resources", {})
        except (MemoryError, RecursionError):
            raise
        except Exception:  # of one page
            text = ""
            n_unread += 1
        texts.append(re.sub(r"(?<=[^\W\d_])-\n(?=[a-z])", "", text))
    _fill(contents, texts, said, _pypdf_outline(document), n_unread=n_unread, n_scanned=n_scanned)
    return contents


def _pypdf_outline(document: PdfReader) -> Outline:
    outline: Outline = {}
    n_headings = 0
    with suppress(Exception):
        waiting: list[Iterator[Any]] = [iter(document.outline)]
        while waiting and n_headings < MAX_HEADINGS:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
            elif isinstance(entry, list):
                waiting.append(iter(entry))
            else:
                n_headings += 1
                page = document.get_destination_page_number(entry)
                if page is not None:
                    outline.setdefault(page, []).append((len(waiting), str(entry.title)))
    return outline


# --- both --------------------------------------------------------------------------------------------


def _fill(
    contents: Contents,
    texts: list[str],
    said: list[list[str]],
    outline: Outline,
    *,
    n_unread: int,
    n_scanned: int,
) -> None:
    n_pages = len(texts)
    if not any(map(str.strip, texts)) and not any(said):
        pages = "1 page" if n_pages == 1 else f"{n_pages:,} pages"
        if n_unread == n_pages:
            raise Unreadable(f"damaged: none of its pages can be read ({pages})")
        if n_scanned:
            raise Unreadable(f"no text in it: scanned pages? {pages}; minisearch does no OCR")
        raise Unreadable(f"no text in it ({pages})")
    for count, what in ((n_scanned, "without text (scanned?)"), (n_unread, "that cannot be read")):
        if count:
            contents.notes.append(f"{count:,} of {n_pages:,} pages {what}")
    for index, (text, on_it) in enumerate(zip(texts, said, strict=True)):
        page = Page()
        page.add_text(text, _placed(text, outline.get(index, [])))
        for remark in on_it:
            page.add_text(remark)
        contents.pages.append(page)


def _placed(text: str, headings: list[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Headings with their place in the page's text: the line that says the same, else the last one's."""
    placed: list[tuple[int, int, str]] = []
    position = 0
    for level, title in headings:
        title = " ".join(title.split())
        if not title:
            continue
        words = r"\s+".join(map(re.escape, title.split()[:30]))
        found = re.compile(words, re.IGNORECASE).search(text, position)
        if found:
            position = text.rfind("\n", 0, found.start()) + 1
        placed.append((position, level, title))
    return placed


def _take_properties(properties: dict[str, Any], contents: Contents) -> None:
    title = WRITER.sub("", " ".join(str(properties.get("Title") or "").split()))
    if not NO_TITLE.match(title):
        contents.title = title
    contents.add_property("author", properties.get("Author"))
    contents.add_property("subject", properties.get("Subject"))
    contents.add_keywords(properties.get("Keywords"))
    for name, field in (("CreationDate", "created"), ("ModDate", "modified")):
        date = DATE.match(str(properties.get(name) or ""))
        if date:
            contents.add_property(field, "-".join(filter(None, date.groups())))
