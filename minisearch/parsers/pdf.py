"""PDF by PDFium: each page's text in paragraphs, its form fields and annotations; bookmarks as headings.

A PDF knows no paragraphs, only characters with positions.  Lines at one distance and in one size form a
block.  Within a block, a line that was broken because the column ended continues in the next; any other line
keeps its end, as in lists, poems and code.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

from minisearch.parsers.contents import Contents, ExtractionError, text_piece
from minisearch.text import EAST_ASIAN, HANGUL, LEADER, short_leaders

MAX_HEADINGS = 5_000
DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
WRITER = re.compile(r"^(?:Microsoft (?:Office )?\w+ - )")
# What programs write as a title when the author gave none: nothing much, or the name of the source file.
NO_TITLE = re.compile(
    r"(?:untitled.*|\(?(?:anonymous|unspecified|unknown)\)?"
    r"|.*\.(?:docx?|pptx?|xlsx?|indd|tex|dvi|ps|pdf|qxd|rtf|odt|fm|html?))$",
    re.I,
)

Outline = dict[int, list[tuple[int, str]]]  # headings by page, from 0: level and title


def extract(data: bytes) -> dict[str, Any]:
    """Every page's text; ExtractionError where there is none, or the file needs a password."""
    start = data.find(b"%PDF-", 0, 1024)
    if start < 0:
        raise ExtractionError("not a PDF, despite its name")
    try:
        document = pypdfium2.PdfDocument(data[start:])
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
    pages: list[list[TextLine]] = []
    remarks: list[list[str]] = []
    n_pages, n_unread = len(document), 0
    for index in range(n_pages):
        try:
            page_lines, page_remarks, is_scanned = _read_page(document, index)
        except pypdfium2.PdfiumError:
            page_lines, page_remarks, is_scanned = [], [], False
            n_unread += 1
        pages.append(page_lines)
        remarks.append(page_remarks)
        contents.scanned += [index] * is_scanned
    with_ligatures = _ligatures([line.text for lines in pages for line in lines])
    pages = [[replace(line, text=with_ligatures(line.text)) for line in lines] for lines in pages]
    # The words with a hyphen inside a line: there the hyphen belongs to the word.
    all_words = HYPHENATED.findall("\n".join(line.text for lines in pages for line in lines))
    hyphenated = frozenset(word.lower() for word in all_words)
    texts = [paragraphs(lines, hyphenated) for lines in pages]
    if not (contents.scanned or any(map(str.strip, texts)) or any(remarks)):
        count = f"pages: {n_pages:,}"
        if n_unread == n_pages:
            raise ExtractionError(f"damaged: none of its pages can be read ({count})")
        raise ExtractionError(f"no text in it ({count})")
    if n_unread:
        contents.notes.append(f"{n_unread:,} of {n_pages:,} pages that cannot be read")
    outline = _outline(document)
    for index, (text, page_remarks) in enumerate(zip(texts, remarks, strict=True)):
        page = text_piece(text, _placed(text, outline.get(index, [])))
        contents.pages.append([page, *map(text_piece, page_remarks)])


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
    contents.add_keywords(properties.get("Keywords"))
    for name, field in (("CreationDate", "created"), ("ModDate", "modified")):
        date = DATE.match(str(properties.get(name) or ""))
        if date:
            contents.add_property(field, "-".join(filter(None, date.groups())))


def _outline(document: PdfDocument) -> Outline:
    """The bookmarks of the document."""
    outline: Outline = {}
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
    letters, places = _letters(text) if headings else ("", [])
    for level, title in headings:
        if title := " ".join(title.split()):
            wanted, _ = _letters(title)
            start = max(position, end_by_title.get(wanted, 0))
            if (found := _line_of(wanted, text, letters, places, start)) is not None:
                position = found
                end_by_title[wanted] = found + len(text[found:].split("\n", 1)[0])
            placed.append((position, level, title))
    return placed


MAX_FOUND = 50  # places of a title on its page that are compared
MAX_NUMBER = 12  # characters before a title on its line, such as "Chapter 3: "


def _line_of(wanted: str, text: str, letters: str, places: list[int], position: int) -> int | None:
    """Where the line with the letters of a title begins, from a position on; None if there is none.

    A line of nothing else is better than one that begins with the title, and that than any other.
    """
    best = (3, -1)
    found = bisect_left(places, position) - 1
    for _ in range(MAX_FOUND * bool(wanted)):
        found = letters.find(wanted, found + 1)
        if found < 0 or best[0] == 0:
            break
        start, end = places[found], places[found + len(wanted) - 1] + 1
        line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        is_last = not any(map(str.isalnum, text[end : line_end if line_end >= 0 else len(text)]))
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            is_first = start - line_start <= MAX_NUMBER
            best = min(best, (2 - is_first - (is_first and is_last), line_start))
    return best[1] if best[0] < 3 else None


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text, without case, accents and ligatures, and the place of each.

    Bookmarks and pages often differ in all other characters: apostrophes, dashes, white space.
    """
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        known = character if character.isascii() else unicodedata.normalize("NFKD", character)
        plain = [one for one in known.casefold() if one.isalnum()]
        letters += plain
        places += [place] * len(plain)
    return "".join(letters), places


# --- a page ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line's text and its place, in points from the lower left; where a hyphen joined two lines, of both.

    ``left`` and ``top`` are where it begins, ``right`` and ``bottom`` where it ends, both on the baseline;
    ``size`` is the height of its characters.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


def _read_page(document: PdfDocument, index: int) -> tuple[list[TextLine], list[str], bool]:
    """A page's lines, its remarks, and whether it shows pictures but holds no text."""
    with closing(document[index]) as page:
        with closing(page.get_textpage()) as text_page:
            lines = list(_lines(text_page))
        is_scanned = not any(line.text.strip() for line in lines) and any(
            page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3)
        )
        return lines, _remarks(page), is_scanned


def _lines(text_page: PdfTextPage) -> Iterator[TextLine]:
    text = text_page.get_text_range()
    position = 0  # in UTF-16 units, as PDFium counts
    for line in text.split("\r\n"):
        n_units = len(line) + sum(character > "\uffff" for character in line)
        if line.strip():
            first = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, position)
            last = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, position + n_units - 1)
            left, bottom, _, top = _box(text_page, first)
            _, end_bottom, right, end_top = _box(text_page, last)
            size = max(top - bottom, end_top - end_bottom, 1.0)  # a word in another font may be lower
            yield TextLine(line, left, _baseline(text_page, first), right, _baseline(text_page, last), size)
        position += n_units + 2


def _box(text_page: PdfTextPage, index: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a character's cell; zeros where it has none."""
    if index >= 0:
        with suppress(pypdfium2.PdfiumError):
            left, bottom, right, top = text_page.get_charbox(index, loose=True)
            return left, bottom, right, top
    return 0.0, 0.0, 0.0, 0.0


def _baseline(text_page: PdfTextPage, index: int) -> float:
    """The height of a character's baseline; where its cell ends depends on its font."""
    x, y = ctypes.c_double(), ctypes.c_double()
    return y.value if index >= 0 and pdfium.FPDFText_GetCharOrigin(text_page, index, x, y) else 0.0


# --- ligatures -------------------------------------------------------------------------------------------

# Fonts of TeX without names for their characters leave the codes of ligatures in the text: those of the
# encoding OT1, or those of T1. The codes of T1 are letters such as "ø" in OT1.
LIGATURES = ("ff", "fi", "fl", "ffi", "ffl")
OT1 = dict(zip("\x0b\x0c\x0d\x0e\x0f", LIGATURES, strict=True))
T1 = dict(zip("\x1b\x1c\x1d\x1e\x1f", LIGATURES, strict=True))
A_LATIN = "[A-Za-z\u00c0-\u024f]"


def _ligatures(texts: Sequence[str]) -> Callable[[str], str]:
    """Puts ligatures in place of their codes, in a document that has such a code between letters."""
    for codes in (OT1, T1):
        code = f"[{''.join(codes)}]"
        if any(map(re.compile(f"{A_LATIN}{code}{A_LATIN}").search, texts)):
            beside = re.compile(f"(?<={A_LATIN}){code}|{code}(?={A_LATIN})")
            return partial(beside.sub, lambda found: codes[found[0]])  # noqa: B023 - of the same loop
    return str


# --- lines to paragraphs ---------------------------------------------------------------------------------

HYPHEN = "\ufffe"  # PDFium's character for a hyphen at the end of a line, which it joins with the next line
SOFT_HYPHEN = "\u00ad"
ITEM = re.compile(r"[•◦▪‣·–*-][ \t]|\(?\w{1,3}[.)][ \t]")
# Lines of scripts without spaces between words, and of their punctuation, are joined without one.
IS_WIDE = re.compile(f"(?![{HANGUL}])[{EAST_ASIAN}]")
MAX_ENTRY = 300  # characters
ENTRY = re.compile(rf"{LEADER.pattern}\w{{1,6}}$")  # of a table of contents: dots, and a page number
HYPHENATED = re.compile(r"[^\W\d_]+-[^\W\d_]+")
BROKEN = re.compile(rf"([^\W\d_]*)(?:{HYPHEN}|{SOFT_HYPHEN}\n?)([^\W\d_]*)")

MAX_DISTANCE = 1.35  # of the usual distance between lines; beyond it a paragraph begins
MAX_SIZE_RATIO = 1.25  # between the sizes of two lines; beyond it a paragraph begins


def paragraphs(lines: Sequence[TextLine], hyphenated: frozenset[str] = frozenset()) -> str:
    """The text of a page, with a blank line between paragraphs.

    ``hyphenated`` are words (in lower case) known to keep their hyphen.
    """
    text = "\n\n".join(_joined(block) for block in _blocks(lines))
    return BROKEN.sub(lambda broken: _unbroken(broken, hyphenated), text)


def _unbroken(broken: re.Match[str], hyphenated: frozenset[str]) -> str:
    before, after = broken[1], broken[2]
    belongs = not after[:1].islower() or f"{before}-{after}".lower() in hyphenated
    return f"{before}-{after}" if belongs and HYPHEN in broken[0] else before + after


def _blocks(lines: Sequence[TextLine]) -> Iterator[list[TextLine]]:
    """Lines that belong together, by their distance and size."""
    distances = [above.bottom - below.top for above, below in pairwise(lines)]
    by_size: dict[int, list[float]] = {}
    for above, distance in zip(lines, distances, strict=False):
        if above.size / 2 < distance < 3 * above.size:
            by_size.setdefault(round(above.size), []).append(distance)
    # The lower quartile: a page may hold more headings than text.
    usual = {size: sorted(found)[len(found) // 4] for size, found in by_size.items()}
    block: list[TextLine] = list(lines[:1])
    for (above, below), distance in zip(pairwise(lines), distances, strict=True):
        is_far = distance > MAX_DISTANCE * usual.get(round(above.size), 0)
        is_like = above.size < MAX_SIZE_RATIO * below.size and below.size < MAX_SIZE_RATIO * above.size
        is_same_line = abs(distance) < above.size / 4  # cells of a table
        if not is_same_line and (is_far or distance < 0 or not is_like):
            yield block
            block = []
        block.append(below)
    if block:
        yield block


def _joined(block: Sequence[TextLine]) -> str:
    """A block's text, with lines joined that were broken only because the column ended."""
    margin = max(line.right for line in block)
    lines = [block[0].text.strip()]
    for above, below in pairwise(block):
        word = below.text.strip()
        if not word:
            continue
        if abs(above.bottom - below.top) < above.size / 4:
            lines[-1] += f" {word}"
        elif _continues(above, below, margin) and not ENTRY.search(lines[-1][-MAX_ENTRY:]):
            is_wide = IS_WIDE.match(word[0]) and IS_WIDE.match(lines[-1][-1:])
            lines[-1] += word if is_wide else f" {word}"
        else:
            lines.append(word)
    return short_leaders("\n".join(lines))


def _continues(above: TextLine, below: TextLine, margin: float) -> bool:
    """Whether the line below continues the sentence of the line above."""
    if ITEM.match(below.text.lstrip()):
        return False
    is_indented = below.left > above.left + 0.8 * above.size and not ITEM.match(above.text.lstrip())
    first_word = len(below.text.split(None, 1)[0]) if below.text.strip() else 0
    had_room = above.right + first_word * 0.5 * above.size < margin  # a letter is about half its size wide
    return not is_indented and not had_room


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
    words = _string(lambda *buffer: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", *buffer))
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
        _string(lambda *buffer, get=get: get(form, annotation, *buffer))
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
            yield _string(
                lambda *buffer, index=index: pdfium.FPDFAnnot_GetOptionLabel(form, annotation, index, *buffer)
            )


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
