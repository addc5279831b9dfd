"""HTML to the text a person would see, every piece of it tied to its place in the source.

Not the standard library's parser: that takes time quadratic in the input on unclosed markup (200 KB of
``<a `` measured at minutes), and this needs no tree, only a walk over tags.  Each pattern below begins
where the last one ended and never looks back, so the time is linear whatever the file holds.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace

from minisearch.parsers.decode import Source
from minisearch.parsers.fields import Fields
from minisearch.parsers.html_blocks import NESTING, Blocks
from minisearch.parsers.html_tables import Cell, Row, words_before
from minisearch.parsers.markdown import MAX_TITLE, first_title
from minisearch.types import Document, Heading

# No name is as long, and of "<a<a<a" without end each would be looked at to the end.
TAG_NAME = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,40})")
TAG_REST = re.compile(r"""[^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>""")
# Words with single spaces between, kept as they stand; a character reference; other white space.
PIECE = re.compile(r"(?P<words>[^ \t\n\r\f&]+(?: [^ \t\n\r\f&]+)*)|(?P<reference>&#?\w*;?)|[ \t\n\r\f]+")
ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
ALT = re.compile(r"""\salt\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
LETTER = re.compile(r"[^\W\d_]")
MAX_META = 10_000  # characters of a tag
PIECE_AS_IT_STANDS = re.compile(r"(?P<words>[^&]+)|(?P<reference>&#?\w*;?)")

RAW = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title")
}  # no tags inside
VEILS = {"template", "noscript"}
HEADINGS = {f"h{level}" for level in range(1, 7)}
GAPS = ("", " ", "\n", "\n\n")  # the wider, the later
PARAGRAPHS = """
    address article aside blockquote body details dialog dl fieldset figure footer form h1 h2 h3 h4 h5 h6
    header hr main nav ol p pre section table ul
"""
LINES = "br caption dd div dt figcaption legend li option summary thead tbody tfoot tr"
GAP_AROUND = {
    **dict.fromkeys(PARAGRAPHS.split(), "\n\n"),
    **dict.fromkeys(LINES.split(), "\n"),
    **dict.fromkeys(("td", "th"), " "),
}
CELLS = {"td", "th"}
SECTIONS = {"thead", "tbody", "tfoot"}
TABLE = re.compile("</?table", re.IGNORECASE)
SPAN = re.compile(r"""\s(colspan|rowspan)\s*=\s*["']?\s*([0-9]{1,9})""", re.IGNORECASE)


def read_html(source: Source) -> Document:
    """The visible text; blocks stand on lines of their own, paragraphs between blank lines."""
    page = _Page(source.text)
    page.read()
    text_anchors, source_anchors = zip(*page.anchors, strict=True)
    headings = tuple(page.headings)
    if page.title:
        page.fields.add("title", page.title)
    return Document(
        source.path,
        "".join(page.parts),
        "html",
        replace(source.origin, text_anchors=text_anchors, source_anchors=source_anchors),
        title=page.title or first_title(headings),
        headings=headings,
        notes=(*source.notes, *page.fields.notes()),
        fields=page.fields.found(),
        blocks=page.blocks.found("".join(page.parts)),
    )


class _Page:
    """What has been seen of a page so far."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.last_bracket = source.rfind(">")
        self.parts: list[str] = []
        self.n_characters = 0
        self.anchors: list[tuple[int, int]] = [(0, 0)]
        self.title = ""
        self.fields = Fields()
        self.blocks = Blocks()
        self.headings: list[Heading] = []
        self.gap = ""  # the white space owed before the next word
        self.level = 0  # of the heading that is open
        self.heading_start: tuple[int, int] | None = None  # its first character and its first part
        self.cell: int | None = None  # the first part of the row's last cell with words
        self.is_at_cell = self.is_joined = False  # no word in this cell yet; it goes on in the line
        self.before: dict[int, str] = {}  # what is said before cells, by the place of their tags
        self.before_cell: str | None = None
        self.last_break = -1  # the last part with the end of a line
        self.n_pre = 0
        self.n_veils = 0
        self.has_sound_quotes = True

    def read(self) -> None:
        source, position = self.source, 0
        while position < len(source):
            bracket = source.find("<", position)
            if bracket < 0:
                bracket = len(source)
            self._text(position, bracket)
            position = self._markup(bracket) if bracket < len(source) else bracket

    def _markup(self, start: int) -> int:
        """Take what begins with the ``<`` at ``start``; return where it ends."""
        source = self.source
        if source.startswith("<!--", start):
            return _after(source, "-->", start + 2)
        if source.startswith(("<!", "<?"), start):
            return _after(source, ">", start)
        opening = TAG_NAME.match(source, start)
        end = self._tag_end(opening.end()) if opening else 0
        if not opening or not end:
            self._text(start, start + 1)
            return start + 1
        name = opening[2].lower()
        if opening[1]:
            self._close(name)
        elif source[end - 2] != "/" or name not in RAW.keys() | VEILS:
            self._open(name, start, end)
            if name == "meta" and end - start <= MAX_META:
                self._meta(start, end)
            elif name == "img":
                self._alternative(start, end)
            if name in RAW:
                return self._raw(name, end)
        return end

    def _tag_end(self, start: int) -> int:
        """Where the tag ends; 0 when it does not."""
        source = self.source
        if self.has_sound_quotes:
            rest = TAG_REST.match(source, start)
            if rest:
                return rest.end()
            self.has_sound_quotes = False  # look for a closing quote to the end of the file once only
        return source.find(">", start) + 1 if start <= self.last_bracket else 0

    def _raw(self, name: str, start: int) -> int:
        end_tag = RAW[name].search(self.source, start)
        end = end_tag.start() if end_tag else len(self.source)
        if name == "title" and not self.title:
            self.title = " ".join(html.unescape(self.source[start:end]).split())[:MAX_TITLE]
        return end

    def _meta(self, start: int, end: int) -> None:
        """Take ``<meta name=... content=...>`` for a field; keywords are a list, with commas between."""
        attributes = {
            found[1].lower(): html.unescape(found[2] or found[3] or found[4] or "")
            for found in ATTRIBUTE.finditer(self.source, start, end)
        }
        name, content = attributes.get("name", ""), attributes.get("content", "")
        if name.strip().lower() == "keywords":
            self.fields.add_all(name, filter(None, map(str.strip, content.split(","))))
        elif content:
            self.fields.add(name, content)

    def _alternative(self, start: int, end: int) -> None:
        """Take what a picture is said to show, for those who do not see it."""
        words = ALT.search(self.source, start, end)
        if words and words.lastindex and LETTER.search(words[words.lastindex]):
            self._owe(" ")
            self._text(*words.span(words.lastindex))
            self._owe(" ")

    def _open(self, name: str, start: int, end: int) -> None:
        """A tag that stands at ``start:end`` opens."""
        if name in CELLS:
            self._begin_cell(start)
        elif name == "table" and not self.level:
            self._look_at_table(end)
        self._owe_around(name)
        self.n_veils += name in VEILS
        self.n_pre += name == "pre"
        if name in NESTING:
            self.blocks.open(name, self.n_characters)
        if name in HEADINGS:
            self.level, self.heading_start = int(name[1]), None

    def _close(self, name: str) -> None:
        self._owe_around(name)
        self.n_veils = max(self.n_veils - (name in VEILS), 0)
        self.n_pre = max(self.n_pre - (name == "pre"), 0)
        if name in NESTING:
            self.blocks.close(name, self.n_characters)
        if name in HEADINGS:
            if self.level and self.heading_start:
                start, part = self.heading_start
                title = " ".join("".join(self.parts[part:]).split())[:MAX_TITLE]
                self.headings.append(Heading(start, self.level, title))
            self.level = 0

    def _look_at_table(self, start: int) -> None:
        """Find what is said before its cells, which are all of one table if it has no other in it."""
        end = TABLE.search(self.source, start)
        if not self.blocks.is_open("table") and (end is None or end[0][1] == "/"):
            table = _Table(self.source[start : end.start() if end else len(self.source)])
            table.read()
            self.before = {start + place: words for place, words in table.before_cells().items()}

    def _begin_cell(self, start: int) -> None:
        """A cell stands in one line with the one before it, though that was a paragraph; several were not."""
        self.before_cell = self.before.get(start)
        self.is_at_cell = True
        self.is_joined = self.cell is not None and self.last_break < self.cell
        if self.is_joined:
            self.gap = " "

    def _owe_around(self, name: str) -> None:
        if name in {"table", "tr"}:
            self.cell, self.is_at_cell, self.is_joined = None, False, False
        if not (self.is_joined and name in {"p", "div"}):
            self._owe(GAP_AROUND.get(name, ""))

    def _owe(self, gap: str) -> None:
        self.gap = max(self.gap, gap, key=GAPS.index)

    def _text(self, start: int, end: int) -> None:
        if self.n_veils:
            return
        for piece in (PIECE_AS_IT_STANDS if self.n_pre else PIECE).finditer(self.source, start, end):
            if piece["words"]:
                self._put(piece["words"], piece)
            elif piece["reference"]:
                self._put(html.unescape(piece["reference"]), piece)
            else:
                self._owe(" ")

    def _put(self, text: str, piece: re.Match[str]) -> None:
        before = self.before_cell if self.is_at_cell else None
        if self.parts:
            is_next_in_line = before is not None and self.cell is not None and "\n" not in self.gap
            self._append("; " if is_next_in_line else self.gap)
        self.gap = ""
        if before:  # words of ours stand for the place where they are
            self._anchor(piece.start())
            self._append(before)
        if self.is_at_cell:
            self.cell, self.is_at_cell, self.is_joined = len(self.parts), False, False
        if self.level and not self.heading_start:
            self.heading_start = self.n_characters, len(self.parts)
        self._anchor(piece.start())
        self._append(text)
        self._anchor(piece.end())

    def _append(self, text: str) -> None:
        if "\n" in text:
            self.last_break = len(self.parts)
        self.parts.append(text)
        self.n_characters += len(text)

    def _anchor(self, position: int) -> None:
        """Note that the text goes on from this place of the source, unless that is where it would anyway."""
        text_anchor, source_anchor = self.anchors[-1]
        if text_anchor == self.n_characters:
            self.anchors[-1] = (text_anchor, position)
        elif position - source_anchor != self.n_characters - text_anchor:
            self.anchors.append((self.n_characters, position))


class _Table(_Page):
    """A table looked at ahead, for its cells and their words."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.rows = [Row(0)]
        self.is_laid_out = self.is_in_head = False
        self.cell_tags: list[tuple[Row, int, int, bool, int]] = []

    def _open(self, name: str, start: int, end: int) -> None:
        super()._open(name, start, end)
        section = self.rows[-1].section
        if name in SECTIONS:
            self.is_in_head = name == "thead"
            self.rows.append(Row(section + 1))
        elif name == "tr":
            self.rows.append(Row(section))
        elif name in CELLS:
            is_header = name == "th" or self.is_in_head
            self.cell_tags.append((self.rows[-1], start, end, is_header, len(self.parts)))
        self.is_laid_out = self.is_laid_out or name in HEADINGS

    def _close(self, name: str) -> None:
        super()._close(name)
        if name == "thead" and self.is_in_head:  # rows may follow it without a <tbody>
            self.is_in_head = False
            self.rows.append(Row(self.rows[-1].section + 1))

    def before_cells(self) -> dict[int, str]:
        """What is said before the words of each cell; nothing where there are headings in them."""
        ends = (*(first for *_, first in self.cell_tags[1:]), len(self.parts))
        for (row, start, end, is_header, first), last in zip(self.cell_tags, ends, strict=False):
            words = " ".join("".join(self.parts[first:last]).split())
            spans = {name.lower(): int(n) for name, n in SPAN.findall(self.source, start, end)}
            row.cells.append(
                Cell(start, words, is_header, max(spans.get("colspan", 1), 1), spans.get("rowspan", 1))
            )
        return {} if self.is_laid_out else words_before(self.rows)


def _after(source: str, mark: str, start: int) -> int:
    """The end of the mark's next appearance, or of the file."""
    found = source.find(mark, start)
    return found + len(mark) if found >= 0 else len(source)
