"""A page of a PDF, as PDFium sees it: lines of characters with their places, and whether they can be trusted.

PDFium joins what stands on one baseline, and the two lines of a word with a hyphen.  Here such lines are cut
at wide gaps, so that `layout` can tell columns.  Accents that are drawn as characters of their own are
put on their letters.  Text that no reader sees is left out: invisible without a picture below it, in the
colour of the paper, tiny, or outside the page.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, pi
from statistics import median, median_low

import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

from minisearch.parsers.contents import ExtractionError

HYPHEN = "\ufffe"  # PDFium's character for a hyphen at the end of a line; here only for that
UNKNOWN = "\ufffd"  # a glyph that has no text
NOTHING = "\x01"  # stands where a character was taken out, so that all others keep their places
HIDDEN = "\x02"  # stands for each hidden character

BLANK = f"\\s{NOTHING}{HIDDEN}"
PIECE = re.compile(f"[^{BLANK}{HYPHEN}](?:[^\r\n{HIDDEN}{HYPHEN}]*[^{BLANK}{HYPHEN}])?{HYPHEN}?|{HYPHEN}")
SPACES = re.compile(r"(?<=\S)[ \t\u00a0]+(?=\S)")

MAX_GAP = 1.0  # between the words of a line, in heights of a character
USUAL_ADVANCE = 0.5  # from one character to the next
MAX_SPREAD = 1.1  # of the usual advance: beyond it there may be a gap between words of one object
MIN_SIZE = 1.5  # points; smaller text is tiny

Box = tuple[float, float, float, float]  # left, bottom, right, top


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line's text and its place, in points from the lower left.

    ``left`` and ``top`` are where it begins, ``right`` and ``bottom`` where it ends, both on the baseline;
    ``size`` is the height of its characters.  ``n_cells`` is the number of parts between wide gaps.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    n_cells: int = 1


@dataclass(slots=True)
class PageText:
    """The lines of a page, in the order in which they were drawn, and what is said about it."""

    lines: list[TextLine] = field(default_factory=list)
    bottom: float = 0.0
    top: float = 0.0
    n_hidden: int = 0  # characters left out
    is_garbled: bool = False  # it has glyphs of which the font does not say what they are
    is_scanned: bool = False  # it shows pictures or glyphs but has no text


def read_page(page: PdfPage, text_page: PdfTextPage) -> PageText:
    """The lines of a page; PdfiumError where it cannot be read."""
    characters = _Characters(text_page)
    text = characters.text
    found = PageText(is_garbled=len(IS_STRANGE.findall(text)) > max(2, MIN_GARBLED * len(text)))
    text = _without_hidden(_with_accents(text, characters), characters, page)
    found.n_hidden = text.count(HIDDEN)
    left, found.bottom, right, found.top = characters.turned(page.get_bbox())
    seen: dict[str, list[complex]] = {}  # where a text stands
    for line in _lines(text, characters):
        start, end = complex(line.left, line.top), complex(line.right, line.bottom)
        length = abs(end - start)
        is_tiny = line.size < MIN_SIZE and 0 < length < MIN_SIZE * len(line.text)
        is_outside = max(line.left, line.right) <= left or min(line.left, line.right) >= right
        low, high = min(line.top, line.bottom), max(line.top, line.bottom) + line.size
        if is_tiny or is_outside or high <= found.bottom or low >= found.top:
            found.n_hidden += len(line.text)
            continue
        places = seen.setdefault(line.text, [])  # fake bold and shadows are drawn beside themselves
        if not length or all(abs(start - place) > line.size / 5 for place in places[-MAX_SEEN:]):
            places.append(start)
            found.lines.append(line)
    if not found.lines:
        kinds = {item.type for item in page.get_objects(max_depth=3)}
        has_glyphs = pdfium.FPDF_PAGEOBJ_TEXT in kinds and not found.n_hidden
        found.is_scanned = has_glyphs or pdfium.FPDF_PAGEOBJ_IMAGE in kinds
    return found


def opened(data: bytes) -> PdfDocument:
    """The document, which may begin after other bytes; PdfiumError where it cannot be opened."""
    start = data.find(b"%PDF-", 0, 1024)
    if start < 0:
        raise ExtractionError("not a PDF, despite its name")
    return PdfDocument(data[start:])


def letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text, without case, accents and ligatures, and the place of each.

    Bookmarks and pages often differ in all other characters: apostrophes, dashes, white space.
    """
    plain = {
        character: [one for one in unicodedata.normalize("NFKD", character).casefold() if one.isalnum()]
        for character in set(text)
    }
    found = [one for character in text for one in plain[character]]
    return "".join(found), [place for place, character in enumerate(text) for _ in plain[character]]


# --- characters ------------------------------------------------------------------------------------------

MAX_SEEN = 20  # lines of the same words that are compared
MIN_GARBLED = 0.02  # of the characters are none that anyone writes: control characters, or of private use
N_SAMPLES = 30  # characters of a page whose angle is looked at
MARK = re.compile("[\x00\x02\ufffe]")  # a hyphen, or a glyph without text
IS_STRANGE = re.compile(f"[\x04-\x08\x0e-\x1f\x7f-\x9f\ue000-\uefff\uf100-\uf8ff{UNKNOWN}]")


# --- accents ---------------------------------------------------------------------------------------------

# Fonts of TeX without letters with accents (OT1) draw the accent and the letter one on the other.
SPACING = "`´¨^ˆ~˜¯˘˙˚˝ˇ¸˛"
COMBINING = "\u0300\u0301\u0308\u0302\u0302\u0303\u0303\u0304\u0306\u0307\u030a\u030b\u030c\u0327\u0328"
MARKS = dict(zip(SPACING, COMBINING, strict=True))
ACCENT = re.compile(f"[{SPACING}{COMBINING}]")
DOTLESS = {"ı": "i", "ȷ": "j"}
BLANKS = f" \r\n{NOTHING}"
SAME_WORD = 0.15  # of the size: a gap below it is none between words


def _with_accents(text: str, characters: _Characters) -> str:
    """The text with each accent on the letter that it is drawn above or below, before it or after."""
    if not ACCENT.search(text):
        return text
    changed = list(text)
    for found in ACCENT.finditer(text):
        place = found.start()
        left, _, right, _ = characters.box(place)
        after, before = place + 1, place - 1
        while after < len(text) and text[after] in BLANKS:
            after += 1
        while before >= 0 and text[before] in BLANKS:
            before -= 1
        for letter, other in ((after, before), (before, after)):
            if not 0 <= letter < len(text):
                continue
            box = characters.box(letter)
            plain = DOTLESS.get(changed[letter], changed[letter]) + MARKS.get(found[0], found[0])
            whole = unicodedata.normalize("NFC", plain)
            if len(whole) == 1 and box[0] < (left + right) / 2 < box[2]:
                first, last = min(place, letter), max(place, letter)
                if 0 <= other < len(text) and characters.gap(*sorted((letter, other))) < SAME_WORD:
                    first, last = min(first, other + 1), max(last, other - 1)
                changed[first : last + 1] = NOTHING * (last + 1 - first)
                changed[letter] = whole
                break
    return "".join(changed)


# --- hidden text -----------------------------------------------------------------------------------------

WHITE = 250  # of 255, in each colour
MAX_OBJECTS = 20_000
MAX_BELOW = 200  # objects compared with a text, to find whether they lie below it
PICTURES = {pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_SHADING, pdfium.FPDF_PAGEOBJ_FORM}
_Colour = tuple[ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint]


def _without_hidden(text: str, characters: _Characters, page: PdfPage) -> str:
    """The text with `HIDDEN` for each character that is drawn in white, or not at all, over nothing."""
    others: list[object] = []  # what else is drawn
    doubtful: list[tuple[object, bool, int]] = []  # text objects, and how many others may lie below
    colour = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint()
    for index in range(min(pdfium.FPDFPage_CountObjects(page), MAX_OBJECTS)):
        item = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(item) != pdfium.FPDF_PAGEOBJ_TEXT:
            others.append(item)
        elif pdfium.FPDFTextObj_GetTextRenderMode(item) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE:
            doubtful.append((item, True, len(others)))
        elif _is_white(item, colour):
            doubtful.append((item, False, len(others)))
    boxes = [(other, _bounds(other)) for other in others if doubtful]
    hidden = {
        _address(item)
        for item, is_invisible, n_below in doubtful
        if not _is_seen(item, boxes if is_invisible else boxes[:n_below], colour, is_invisible=is_invisible)
    }
    if not hidden:
        return text
    drawn = (_address(pdfium.FPDFText_GetTextObject(characters.raw, place)) for place in range(len(text)))
    return "".join(HIDDEN if item in hidden else one for one, item in zip(text, drawn, strict=True))


def _is_seen(
    item: object, others: Sequence[tuple[object, Box]], colour: _Colour, *, is_invisible: bool
) -> bool:
    """Whether a doubtful text lies over a colour, or is that of a scan or of outlines, over or below them."""
    left, bottom, right, top = _bounds(item)
    x, y, height = (left + right) / 2, (bottom + top) / 2, top - bottom
    mode, is_stroked, width = ctypes.c_int(), ctypes.c_int(), ctypes.c_float()
    for other, box in others[: -MAX_BELOW - 1 : -1]:
        is_below = box[0] <= x <= box[2] and box[1] <= y <= box[3]
        if pdfium.FPDFPageObj_GetType(other) in PICTURES:
            if is_below:
                return True
        elif is_invisible:
            is_beside = box[0] < right and box[2] > left and box[1] < top and box[3] > bottom
            if is_beside and box[3] - box[1] < 2 * height:  # the outline of a letter
                return True
        elif is_below:
            pdfium.FPDFPath_GetDrawMode(other, mode, is_stroked)
            pdfium.FPDFPageObj_GetStrokeWidth(other, width)
            if mode.value or (is_stroked.value and width.value > height / 2):
                return not (mode.value and _is_white(other, colour))
    return len(others) > MAX_BELOW


def _is_white(item: object, colour: _Colour) -> bool:
    """Whether an object is filled with white; `colour` is room for the answer."""
    red, green, blue, _ = colour
    found = pdfium.FPDFPageObj_GetFillColor(item, *colour)
    return bool(found) and red.value >= WHITE and green.value >= WHITE and blue.value >= WHITE


def _bounds(item: object) -> Box:
    left, bottom, right, top = ctypes.c_float(), ctypes.c_float(), ctypes.c_float(), ctypes.c_float()
    pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


def _address(pointer: object) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


# --- lines -----------------------------------------------------------------------------------------------


def units(text_page: PdfTextPage) -> str:
    """The text of a page with one character for each that PDFium counts."""
    text: str = text_page.get_text_range()
    n_units = pdfium.FPDFText_CountChars(text_page.raw)
    if len(text) == n_units:
        return text
    # Some have no text, or are beyond 16 bits.
    return "".join(chr(pdfium.FPDFText_GetUnicode(text_page.raw, place)) for place in range(n_units))


class _Characters:
    """The text of a page in UTF-16 units, as PDFium counts, and where its characters are seen.

    `HYPHEN` is a hyphen at the end of a line, `UNKNOWN` a glyph without text.  The page is turned so that
    most of its text is upright.
    """

    def __init__(self, text_page: PdfTextPage) -> None:
        self.raw = text_page.raw
        self._rect = pdfium.FS_RECTF()
        self._edges = [ctypes.c_double() for _ in range(4)]
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        text = units(text_page)
        sample = range(0, len(text), len(text) // N_SAMPLES + 1)
        angles = [
            pdfium.FPDFText_GetCharAngle(self.raw, place) for place in sample if not text[place].isspace()
        ]
        self.n_turns = round(-2 * median_low(angles) / pi) % 4 if angles else 0  # by a right angle each
        # Number 3 is the space in most fonts that do not say so.
        self.text = MARK.sub(self._marked, text).replace("\x03", " ")

    def _marked(self, mark: re.Match[str]) -> str:
        return HYPHEN if pdfium.FPDFText_IsHyphen(self.raw, mark.start()) == 1 else UNKNOWN

    def turned(self, box: Box) -> Box:
        """A box on the page as it is seen."""
        for _ in range(self.n_turns):
            box = box[1], -box[2], box[3], -box[0]
        return box

    def box(self, position: int) -> Box:
        """The cell of a character; zeros where it has none."""
        rect = self._rect
        if pdfium.FPDFText_GetLooseCharBox(self.raw, position, rect):
            box = rect.left, rect.bottom, rect.right, rect.top
            return self.turned(box) if self.n_turns else box
        return 0.0, 0.0, 0.0, 0.0

    def gap(self, before: int, after: int) -> float:
        """The room between two characters, in heights of the first."""
        left, bottom, right, top = self.box(before)
        return (self.box(after)[0] - right) / max(top - bottom, 1.0) if left < right else 0.0

    def spread(self, start: int, end: int) -> tuple[float, float]:
        """The widest gap between two objects of a line, and the room of a character, in heights of one."""
        left, top, right, bottom = self._edges
        line_left, before, widest, height = inf, inf, 0.0, 1.0
        for number in range(pdfium.FPDFText_CountRects(self.raw, start, end - start)):
            pdfium.FPDFText_GetRect(self.raw, number, left, top, right, bottom)
            box = left.value, bottom.value, right.value, top.value
            if self.n_turns:
                box = self.turned(box)
            widest = max(widest, box[0] - before)
            line_left, before = min(line_left, box[0]), box[2]
            height = max(height, box[3] - box[1])
        return widest / height, (before - line_left) / height / (end - start)

    def baseline(self, position: int) -> float:
        """The height of a character's baseline; where its cell ends depends on its font."""
        if not pdfium.FPDFText_GetCharOrigin(self.raw, position, self._x, self._y):
            return 0.0
        x, y = self._x.value, self._y.value
        return self.turned((x, y, x, y))[1] if self.n_turns else y


def _lines(text: str, characters: _Characters) -> Iterator[TextLine]:
    """The lines of a page's text, cut at hyphens that PDFium joined, and at wide gaps."""
    spans = [piece.span() for piece in PIECE.finditer(text)]
    spreads = [characters.spread(*span) for span in spans]
    max_advance = MAX_SPREAD * min(median(advance for _, advance in spreads), USUAL_ADVANCE) if spans else 0.0
    for (start, end), (gap, advance) in zip(spans, spreads, strict=True):
        if gap > MAX_GAP or advance > max_advance:
            for space in SPACES.finditer(text, start, end):
                if characters.gap(space.start() - 1, space.end()) > MAX_GAP:
                    yield _line(text, start, space.start(), characters)
                    start = space.end()
        yield _line(text, start, end, characters)


def _line(text: str, start: int, end: int, characters: _Characters) -> TextLine:
    left, bottom, _, top = characters.box(start)
    _, end_bottom, right, end_top = characters.box(end - 1)
    size = max(top - bottom, end_top - end_bottom, 1.0)  # a word in another font may be lower
    first = characters.baseline(start)
    last = first if (bottom, top) == (end_bottom, end_top) else characters.baseline(end - 1)
    if abs(first - last) < size / 2:  # a number of a footnote or an index is higher or lower than its line
        first = last = min(first, last)
    words = text[start:end].replace(NOTHING, "")
    if not words.isascii():
        words = words.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return TextLine(words, left, first, right, last, size)
