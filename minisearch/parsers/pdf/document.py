"""PDF by PDFium: each page's text in paragraphs, its form fields and annotations; bookmarks as headings.

`page` reads the lines of a page, `layout` makes paragraphs of them.  A document without bookmarks
has the headings that its larger characters show.
"""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfPage

from minisearch.parsers.contents import Contents, ExtractionError, text_piece
from minisearch.parsers.pdf.layout import (
    Headings,
    blocks,
    headings_by_size,
    reading_order,
    whole_words,
    without_running_heads,
)
from minisearch.parsers.pdf.page import PageText, letters, opened, read_page

MAX_HEADINGS = 5_000
DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
WRITER = re.compile(r"^(?:Microsoft (?:Office )?\w+ - )")
# What programs write as a title when the author gave none: nothing much, or the name of the source file.
NO_TITLE = re.compile(
    r"(?:untitled.*|\(?(?:anonymous|unspecified|unknown)\)?"
    r"|.*\.(?:docx?|pptx?|xlsx?|indd|tex|dvi|ps|pdf|qxd|rtf|odt|fm|html?))$",
    re.I,
)


def extract(data: bytes) -> dict[str, Any]:
    """Every page's text; ExtractionError where there is none, or the file needs a password."""
    try:
        document = opened(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise ExtractionError("encrypted: it needs a password") from error
        raise
    contents = Contents(has_pages=True)
    with suppress(pypdfium2.PdfiumError):
        document.init_forms()
    _extract_properties(document.get_metadata_dict(), contents)
    _note_left_out(document, contents)
    _extract_pages(document, contents)
    return contents.as_json()


def _extract_pages(document: PdfDocument, contents: Contents) -> None:
    pages: list[PageText | None] = []
    remarks: list[list[str]] = []
    for index in range(len(document)):
        page_text, page_remarks = _read_page(document, index)
        pages.append(page_text)
        remarks.append(page_remarks)
    all_lines, n_running = without_running_heads([page or PageText() for page in pages])
    with_ligatures = _ligatures([line.text for lines in all_lines for line in lines])
    if with_ligatures is not str:
        all_lines = [[replace(line, text=with_ligatures(line.text)) for line in lines] for lines in all_lines]
    all_blocks = whole_words([blocks(reading_order(lines)) for lines in all_lines])
    _note_pages(pages, contents, is_empty=not any(all_blocks) and not any(remarks))
    contents.count("repeated lines at the head or foot of pages left out", n_running)
    headings = _outline(document) or headings_by_size(all_blocks)
    for index, page_blocks in enumerate(all_blocks):
        text = "\n\n".join(block.text for block in page_blocks)
        page = text_piece(text, _placed(text, headings.get(index, [])))
        contents.pages.append([page, *map(text_piece, remarks[index])])


def _read_page(document: PdfDocument, index: int) -> tuple[PageText | None, list[str]]:
    """A page's lines, None where they cannot be read, and its remarks."""
    try:
        with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
            return read_page(page, text_page), _remarks(page)
    except pypdfium2.PdfiumError:
        return None, []


def _note_pages(pages: Sequence[PageText | None], contents: Contents, *, is_empty: bool) -> None:
    """Note pages without text, or with doubtful or hidden text; ExtractionError where no page has any."""
    n_pages, n_unread = len(pages), pages.count(None)
    read = [page for page in pages if page]
    contents.scanned += [index for index, page in enumerate(pages) if page and page.is_scanned]
    if is_empty and not contents.scanned:
        reason = "damaged: none of its pages can be read" if n_unread == n_pages else "no text in it"
        raise ExtractionError(f"{reason} (pages: {n_pages:,})")
    for n, what in (
        (n_unread, "that cannot be read"),
        (sum(page.is_garbled for page in read), "with glyphs without text: words may be wrong or missing"),
    ):
        if n:
            contents.notes.append(f"{n:,} of {n_pages:,} pages {what}")
    contents.count("characters of hidden text left out", sum(page.n_hidden for page in read))


def _note_left_out(document: PdfDocument, contents: Contents) -> None:
    """Note attached files and XFA forms, whose content is not read."""
    contents.count("attached files left out", document.count_attachments())
    if document.get_formtype() in {pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND}:
        contents.notes.append("XFA form: only what is drawn on its pages is read")


def _extract_properties(properties: dict[str, Any], contents: Contents) -> None:
    title = WRITER.sub("", " ".join(str(properties.get("Title") or "").split()))
    if not NO_TITLE.match(title):
        contents.add_property("title", title)
    contents.add_property("author", properties.get("Author"))
    contents.add_property("subject", properties.get("Subject"))
    contents.add_property("keywords", properties.get("Keywords"))
    for name, field in (("CreationDate", "created"), ("ModDate", "modified")):
        date = DATE.match(str(properties.get(name) or ""))
        if date:
            contents.add_property(field, "-".join(filter(None, date.groups())))


def _outline(document: PdfDocument) -> Headings:
    """The bookmarks of the document."""
    outline: Headings = {}
    with suppress(pypdfium2.PdfiumError, RecursionError):
        for n_headings, bookmark in enumerate(document.get_toc(max_depth=9)):
            if n_headings == MAX_HEADINGS:
                break
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            if page is not None:
                outline.setdefault(page, []).append((bookmark.level + 1, bookmark.get_title()))
    return outline


def _placed(text: str, headings: list[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Headings with their positions in a page's text: the line with their words, else the last position.

    A title that comes again is on a later line.
    """
    placed: list[tuple[int, int, str]] = []
    position = 0
    end_by_title: dict[str, int] = {}  # of the line on which a title was last found
    on_page, places = letters(text) if headings else ("", [])
    for level, title in headings:
        if title := " ".join(title.split()):
            wanted, _ = letters(title)
            start = max(position, end_by_title.get(wanted, 0))
            if (found := _line_of(wanted, text, on_page, places, start)) is not None:
                position = found
                end_by_title[wanted] = found + len(text[found:].split("\n", 1)[0])
            placed.append((position, level, title))
    return placed


MAX_FOUND = 50  # places of a title on its page that are compared
MAX_NUMBER = 12  # characters before a title on its line, such as "Chapter 3: "


def _line_of(wanted: str, text: str, on_page: str, places: list[int], position: int) -> int | None:
    """Where the line with the letters of a title begins, from a position on; None if there is none.

    A line of nothing else is better than one that begins with the title, and that than any other.
    """
    best = (3, -1)
    found = bisect_left(places, position) - 1
    for _ in range(MAX_FOUND * bool(wanted)):
        found = on_page.find(wanted, found + 1)
        if found < 0 or best[0] == 0:
            break
        start, end = places[found], places[found + len(wanted) - 1] + 1
        line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        is_last = not any(map(str.isalnum, text[end : line_end if line_end >= 0 else len(text)]))
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            is_first = start - line_start <= MAX_NUMBER
            best = min(best, (2 - is_first - (is_first and is_last), line_start))
    return best[1] if best[0] < 3 else None


# --- ligatures -------------------------------------------------------------------------------------------

# Fonts of TeX without names for their characters leave the codes of ligatures in the text: those of the
# encoding OT1, or those of T1. The codes of T1 are letters such as "ø" in OT1.
LIGATURES = ("ff", "fi", "fl", "ffi", "ffl")
OT1 = dict(zip("\x0b\x0c\x0d\x0e\x0f", LIGATURES, strict=True))
T1 = dict(zip("\x1b\x1c\x1d\x1e\x1f", LIGATURES, strict=True))
A_LATIN = "[A-Za-z\u00c0-\u024f]"


def _ligatures(texts: Sequence[str]) -> Callable[[str], str]:
    """Puts ligatures in place of their codes, in a document that has such a code between letters."""
    characters: set[str] = set().union(*texts)
    for codes in (OT1, T1):
        if characters.isdisjoint(codes):
            continue
        code = f"[{''.join(codes)}]"
        if any(map(re.compile(f"{A_LATIN}{code}{A_LATIN}").search, texts)):
            beside = re.compile(f"(?<={A_LATIN}){code}|{code}(?={A_LATIN})")
            return partial(beside.sub, lambda found: codes[found[0]])  # noqa: B023 - of the same loop
    return str


# --- form fields and annotations -------------------------------------------------------------------------

MAX_REMARKS = 10_000  # of a page
MAX_LENGTH = 1_000_000  # bytes of one
PASSWORD = 1 << 13  # the flag of a form field whose value viewers hide


def _remarks(page: PdfPage) -> list[str]:
    """What was filled into the forms of a page, or noted on it; PDFium does not count it to the text."""
    found: dict[str, None] = {}
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_REMARKS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            try:
                found[_remark(annotation, page.formenv)] = None
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
    return list(filter(None, found))


def _remark(annotation: object, form: object) -> str:
    subtype = pdfium.FPDFAnnot_GetSubtype(annotation)
    if subtype == pdfium.FPDF_ANNOT_WIDGET:
        return _field(annotation, form) if form else ""
    if subtype == pdfium.FPDF_ANNOT_POPUP:  # repeats its parent
        return ""
    words = _string(partial(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents"))
    return _labelled("" if subtype == pdfium.FPDF_ANNOT_FREETEXT else "Comment", words)


def _field(annotation: object, form: object) -> str:
    """A form field's label and value; "" for a password, a button, and a box that is not ticked."""
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    is_box = kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON}
    is_empty = is_box and not pdfium.FPDFAnnot_IsChecked(form, annotation)
    is_secret = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & PASSWORD
    is_filled = kind not in {pdfium.FPDF_FORMFIELD_PUSHBUTTON, pdfium.FPDF_FORMFIELD_SIGNATURE}
    if is_empty or not is_filled or (is_secret and kind == pdfium.FPDF_FORMFIELD_TEXTFIELD):
        return ""
    name, label, value = (
        _string(partial(get, form, annotation))
        for get in (
            pdfium.FPDFAnnot_GetFormFieldName,
            pdfium.FPDFAnnot_GetFormFieldAlternateName,
            pdfium.FPDFAnnot_GetFormFieldValue,
        )
    )
    if kind == pdfium.FPDF_FORMFIELD_LISTBOX:
        value = ", ".join(_selected(annotation, form)) or value
    return _labelled(label or name, value)


def _selected(annotation: object, form: object) -> Iterator[str]:
    """The selected options of a list; PDFium's value of the field is only the first of them."""
    for index in range(min(pdfium.FPDFAnnot_GetOptionCount(form, annotation), MAX_REMARKS)):
        if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, index):
            yield _string(partial(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, index))


def _string(get: Callable[..., int]) -> str:
    """A text in UTF-16, from a function that returns the text's length when it gets no buffer."""
    n_bytes = get(None, 0)
    if not 2 < n_bytes <= MAX_LENGTH:
        return ""
    buffer = ctypes.create_string_buffer(n_bytes)
    get(ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), n_bytes)
    return buffer.raw[: n_bytes - 2].decode("utf-16-le", "replace")


def _labelled(label: str, words: str) -> str:
    words = words.replace("\r\n", "\n").replace("\r", "\n").strip()
    label = " ".join(label.split())
    return f"{label}: {words}" if label and words else words
