"""HTML: the text that a person would see, with headings, blocks and metadata.

What nobody sees (see `hidden`) is left out, and counted.  Navigation, and other lists of links around the
content, are sections of their own, so that a passage is one or the other.

Not the standard library's parser: that takes quadratic time on unclosed markup (minutes for 200 KB of
``<a ``), and this needs no tree, only a pass over the tags.  Each pattern below starts where the last one
ended, so the time is linear whatever the file holds.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from minisearch.parsers.hidden import HARD, SHOWN, UNSEEN, Styles, attributes_of
from minisearch.parsers.source import MAX_TITLE, Block, DocumentBuilder, Source, top_title
from minisearch.parsers.tables import Cell, Row, labels_by_position
from minisearch.text import A_LETTER, NAVIGATION
from minisearch.types import Document, Heading

# The name is bounded, for no tag has a longer one, and each "<" in "<a<a<a" would be matched to the end.
TAG_NAME = re.compile(r"<(/?)([a-zA-Z][^\s/>]{0,40})")
TAG_REST = re.compile(r"""[^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>""")
# Words with single spaces between them, which are copied; a character reference; other white space.
PIECE = re.compile(r"(?P<words>[^ \t\n\r\f&]+(?: [^ \t\n\r\f&]+)*)|(?P<reference>&#?\w*;?)|[ \t\n\r\f]+")
PIECE_IN_PRE = re.compile(r"(?P<words>[^&]+)|(?P<reference>&#?\w*;?)")
ALT = re.compile(r"""\salt\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
PICTURE_NAME = re.compile(r"[^\s<>]+\.(?:svg|png|jpe?g|gif|webp|bmp|tiff?)", re.IGNORECASE)
UNQUOTED_END = re.compile(r"""=[^\s"'=<>]*/>\Z""")  # <a href=/b/>, which is no empty element
SPAN = re.compile(r"""\s(colspan|rowspan)\s*=\s*["']?\s*([0-9]{1,9})""", re.IGNORECASE)
TABLE = re.compile("</?table", re.IGNORECASE)
LONG_NUMBER = re.compile("&#(?:[0-9]{10,}|[xX][0-9a-fA-F]{10,});?")
MAX_META = 10_000  # characters of a tag
MIN_HIDDEN = 20  # words: fewer, such as those of a closed menu, are not worth a note

# Elements without tags inside, by what ends them.
RAW = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title")}
HEADINGS = {f"h{level}" for level in range(1, 7)}
CELLS = {"td", "th"}
TABLE_SECTIONS = {"thead", "tbody", "tfoot"}
BLOCKS = {"li", "pre", "table", "tr"}
NESTING = BLOCKS | {"ol", "ul"}  # an item ends the one before it unless a list began in between
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr"}

GAPS = ("", " ", "\n", "\n\n")  # from narrow to wide
PARAGRAPHS = """
    address article aside blockquote body center details dialog dl fieldset figure footer form h1 h2 h3 h4 h5
    h6 header hgroup hr main menu nav ol p pre search section table ul
"""
LINES = "br caption dd div dt figcaption legend li optgroup option summary thead tbody tfoot tr"
APART = "audio button canvas iframe input label meter object progress select svg textarea video"
ENDS_PARAGRAPH = {*PARAGRAPHS.split(), *CELLS, "dd", "div", "dt", "figcaption", "li", "tr"}
GAP_AROUND = {
    **dict.fromkeys(PARAGRAPHS.split(), "\n\n"),
    **dict.fromkeys(LINES.split(), "\n"),
    **dict.fromkeys((*CELLS, *APART.split(), "annotation", "desc", "text"), " "),
}
# Open elements without end tags that the start of another ends; a block also ends a paragraph.
ENDED_BY = {"li": {"li"}, "tr": {"tr", "td", "th"}, "option": {"option"}}
ENDED_BY |= {"td": {"td", "th"}, "th": {"td", "th"}, "dt": {"dt", "dd"}, "dd": {"dt", "dd"}}

AROUND = {"nav", "header", "footer", "aside"}  # elements around the content
NAVIGATION_ROLE = re.compile(r"""\srole\s*=\s*["']?navigation\b""", re.IGNORECASE)
MIN_LINKS, MOST = 2, 0.5  # links in a list of them, and their share of its text

INLINE = {"", "inline", "none", "contents"}
ROWS = {"flex", "inline-flex", "grid", "inline-grid"}  # whose elements stand apart


def read_html(source: Source) -> Document:
    """The visible text: blocks on lines of their own, blank lines between paragraphs."""
    page = _Page(source)
    page.read()
    if page.title:
        page.fields.add("title", page.title)
    page.title = page.title or top_title(page.headings)
    page.elements.close("", len(page))
    page.blocks = page.elements.blocks
    page.headings = _with_navigation(page.headings, page.elements.parts, page.elements.links)
    if page.n_hidden >= MIN_HIDDEN:
        page.notes.append(f"hidden words left out: {page.n_hidden:,}")
    return page.document()


class _Page(DocumentBuilder):
    """What was read of a page so far."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, "html")
        self.html = source.text
        self.elements = _Elements()
        self.gap = ""  # pending white space, written before the next word
        self.last_break = -1  # where the last piece with a line break begins
        self.n_hidden = 0  # words
        self.link_end = -1  # where the last link ended
        self.level = 0  # of the open heading
        self.heading_start: int | None = None
        self.heading_parts: list[str] = []
        self.cell: int | None = None  # where the row's last cell with words begins
        self.is_at_cell = self.is_joined = False  # no word in this cell yet; it continues the line
        self.labels: dict[int, str] = {}  # of the table's cells, by the position of their tags
        self.cell_label: str | None = None
        self.last_bracket = self.html.rfind(">")
        self.are_quotes_closed = True

    def read(self) -> None:
        """Read all of it."""
        position, end = 0, len(self.html)
        while position < end:
            bracket = self.html.find("<", position)
            bracket = bracket if bracket >= 0 else end
            self._text(position, bracket)
            position = self._markup(bracket) if bracket < end else end

    # --- markup

    def _markup(self, start: int) -> int:
        """Read what begins with the ``<`` at ``start``; return where it ends."""
        source = self.html
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
        elif source[end - 2] != "/" or name not in RAW.keys() | UNSEEN:
            self._open(name, start, end)
            if name == "meta" and end - start <= MAX_META:
                self._meta(start, end)
            elif name == "img" and not self.elements.state_of(name, source[start:end])[0]:
                self._alternative(start, end)
            if name in RAW:
                return self._raw(name, start, end)
        return end

    def _tag_end(self, start: int) -> int:
        """Where the tag ends; 0 where it does not."""
        source = self.html
        if self.are_quotes_closed:
            rest = TAG_REST.match(source, start)
            if rest:
                return rest.end()
            self.are_quotes_closed = False  # search for a closing quote to the end of the file only once
        return source.find(">", start) + 1 if start <= self.last_bracket else 0

    def _raw(self, name: str, tag: int, start: int) -> int:
        end_tag = RAW[name].search(self.html, start)
        end = end_tag.start() if end_tag else len(self.html)
        if name == "style" and "media" not in self.html[tag:start].lower():
            self.elements.styles.add(self.html[start:end])
        if name == "title" and not (self.title or self.elements.places["svg"]):
            self.title = " ".join(_unescaped(self.html[start:end]).split())[:MAX_TITLE]
        return end

    def _meta(self, start: int, end: int) -> None:
        """Add ``<meta name=... content=...>`` as a field."""
        attributes = attributes_of(self.html[start:end])
        name, content = (_unescaped(attributes.get(one, "")) for one in ("name", "content"))
        if content:
            self.fields.add(name, content)

    def _alternative(self, start: int, end: int) -> None:
        """Add the alternative text of an image, unless it is the name of its file."""
        words = ALT.search(self.html, start, end)
        if not words or not words.lastindex or PICTURE_NAME.fullmatch(words[words.lastindex]):
            return
        if A_LETTER.search(words[words.lastindex]):
            self._widen_gap(" ")
            self._text(*words.span(words.lastindex))
            self._widen_gap(" ")

    def _open(self, name: str, start: int, end: int) -> None:
        """An element opens, its tag at ``start:end``."""
        if name in CELLS:
            self._open_cell(start)
        elif name == "table" and not self.level:
            self._look_at_table(end)
        gap = self.elements.open(name, self.html[start:end], len(self))
        if name == "a" and self.link_end == len(self):
            gap = "\n" if self.elements.n_parts else " "
        self._gap_around(name, gap)
        if name in HEADINGS:
            self.level, self.heading_start = int(name[1]), None

    def _close(self, name: str) -> None:
        self._gap_around(name, self.elements.close(name, len(self)))
        self.link_end = len(self) if name == "a" else self.link_end
        if name in HEADINGS:
            if self.level and self.heading_start is not None:
                title = " ".join("".join(self.heading_parts).split())[:MAX_TITLE]
                self.headings.append(Heading(self.heading_start, self.level, title))
            self.level, self.heading_start = 0, None

    def _look_at_table(self, start: int) -> None:
        """Find the labels of the cells of a table, unless it contains another table or lies in one."""
        end = TABLE.search(self.html, start)
        if not self.elements.places["table"] and (end is None or end[0][1] == "/"):
            table = _Table(Source.of_text(self.html[start : end.start() if end else len(self.html)]))
            table.elements.styles = self.elements.styles
            table.read()
            self.labels = {start + position: label for position, label in table.labels_of_cells().items()}

    def _open_cell(self, start: int) -> None:
        """A cell of one paragraph shares a line with the cell before it, one of several does not."""
        self.cell_label = self.labels.get(start)
        self.is_at_cell = True
        self.is_joined = self.cell is not None and self.last_break < self.cell
        if self.is_joined:
            self.gap = " "

    def _gap_around(self, name: str, gap: str) -> None:
        if name in {"table", "tr"}:
            self.cell, self.is_at_cell, self.is_joined = None, False, False
        if not (self.is_joined and name in {"p", "div"}):
            self._widen_gap(gap)

    def _widen_gap(self, gap: str) -> None:
        self.gap = max(self.gap, gap, key=GAPS.index)

    # --- text

    def _text(self, start: int, end: int) -> None:
        if self.elements.is_hidden:
            self.n_hidden += len(self.html[start:end].split())
            return
        for piece in (PIECE_IN_PRE if self.elements.places["pre"] else PIECE).finditer(self.html, start, end):
            if piece["words"]:
                self._put(piece["words"], piece)
            elif piece["reference"]:
                self._put(_unescaped(piece["reference"]), piece)
            else:
                self._widen_gap(" ")

    def _put(self, words: str, piece: re.Match[str]) -> None:
        label = self.cell_label if self.is_at_cell else None
        if len(self):
            is_next_in_line = label is not None and self.cell is not None and "\n" not in self.gap
            gap = "; " if is_next_in_line else self.gap
            self._track(gap)
            self.insert(gap)
        self.gap = ""
        if label or not words.isspace():
            self.elements.begin(len(self) + (0 if label else len(words) - len(words.lstrip())))
        if label:
            self._track(label)
            self.insert(label, piece.start())
        if self.is_at_cell:
            self.cell, self.is_at_cell, self.is_joined = len(self), False, False
        if self.level and self.heading_start is None:
            self.heading_start, self.heading_parts = len(self), []
        self._track(words)
        self.copy(words, *piece.span())

    def _track(self, words: str) -> None:
        """Keep the words of an open heading and the position of the last line break before adding them."""
        if "\n" in words:
            self.last_break = len(self)
        if self.heading_start is not None:
            self.heading_parts.append(words)


class _Table(_Page):
    """A table that is read ahead, for its cells and their words."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.rows = [Row(0)]
        self.has_headings = self.is_in_head = False
        self.cells: list[tuple[Cell, int]] = []  # with the positions in the text where they begin

    def _open(self, name: str, start: int, end: int) -> None:
        super()._open(name, start, end)
        section = self.rows[-1].section
        if name in TABLE_SECTIONS:
            self.is_in_head = name == "thead"
            self.rows.append(Row(section + 1))
        elif name == "tr":
            self.rows.append(Row(section))
        elif name in CELLS:
            spans = {name.lower(): int(n) for name, n in SPAN.findall(self.html, start, end)}
            n_columns, n_rows = max(spans.get("colspan", 1), 1), spans.get("rowspan", 1)
            cell = Cell(start, "", name == "th" or self.is_in_head, n_columns, n_rows)
            self.rows[-1].cells.append(cell)
            self.cells.append((cell, len(self)))
        self.has_headings = self.has_headings or name in HEADINGS

    def _close(self, name: str) -> None:
        super()._close(name)
        if name == "thead" and self.is_in_head:  # rows may follow without a <tbody>
            self.is_in_head = False
            self.rows.append(Row(self.rows[-1].section + 1))

    def labels_of_cells(self) -> dict[int, str]:
        """The labels of the cells, by the position of their tags; none for a table that contains headings."""
        text = self.build().text
        ends = (*(start for _, start in self.cells[1:]), len(text))
        for (cell, start), end in zip(self.cells, ends, strict=False):
            cell.words = " ".join(text[start:end].split())
        return {} if self.has_headings else labels_by_position(self.rows)


@dataclass(slots=True)
class _Element:
    """An open element: whether it is hidden, the gap around it, and where its words begin (-1: nowhere yet).

    ``nesting`` is the place of the nearest element, perhaps itself, of those that nest.
    """

    name: str
    state: int
    gap: str
    nesting: int
    is_row: bool = False
    part: str = ""  # its name if it stands around the content
    begin: int = -1


class _Elements:
    """The open elements, however badly they nest, and what style sheets say of them."""

    def __init__(self) -> None:
        self.styles = Styles()
        self.blocks: list[Block] = []
        self.links: list[Block] = []
        self.parts: list[tuple[int, int, str]] = []  # around the content
        self.n_parts = 0  # open ones
        self._open = [_Element("", SHOWN, "", -1)]
        self.places: dict[str, list[int]] = defaultdict(list, {"": [0]})  # of open elements, by their names
        self._n_begun = 0

    @property
    def is_hidden(self) -> bool:
        """Whether text here is not seen."""
        return self._open[-1].state != SHOWN

    def open(self, name: str, tag: str, position: int) -> str:
        """An element opens, and perhaps ends others; the gap before it."""
        ended = ENDED_BY.get(name, set()) | ({"p"} if name in ENDS_PARAGRAPH else set())
        while self._open[-1].name in ended:
            self._pop(position)
        nesting = self._open[-1].nesting
        if name in {"li", "tr"} and nesting > 0 and self._open[nesting].name == name:
            self.close(name, position)
        state, display = self.state_of(name, tag)
        above = self._open[-1]
        gap = GAP_AROUND.get(name, "\n" if display not in INLINE else " " if above.is_row else "")
        if state != SHOWN and GAPS.index(gap) <= 1:
            gap = ""
        if name not in VOID and (not tag.endswith("/>") or UNQUOTED_END.search(tag)):
            place = len(self._open)
            nesting = place if name in NESTING else above.nesting
            part = "nav" if "navigation" in tag and NAVIGATION_ROLE.search(tag) else name
            is_row, part = name == "nav" or display in ROWS, part if part in AROUND else ""
            self._open.append(_Element(name, state, gap, nesting, is_row, part))
            self.n_parts += part != ""
            self.places[name].append(place)
        return gap

    def begin(self, position: int) -> None:
        """The words of all open elements begin here, if they have not begun before."""
        for element in self._open[self._n_begun :]:
            element.begin = position
        self._n_begun = len(self._open)

    def close(self, name: str, position: int) -> str:
        """The last open element of this name closes, with everything that opened in it; the gap after it.

        An end tag without an element is ignored, and one of a paragraph or inline if a list or table began in
        its element.
        """
        place = self.places[name][-1] if self.places[name] else -1
        is_inline = name == "p" or not (name in ENDS_PARAGRAPH or name in NESTING)
        if place < 0 or (name and is_inline and self._open[-1].nesting > place):
            return GAP_AROUND.get(name, "")
        gap = ""
        while len(self._open) > max(place, 1):
            gap = max(gap, self._pop(position), key=GAPS.index)
        return gap

    def _pop(self, position: int) -> str:
        closed = self._open.pop()
        self.places[closed.name].pop()
        self._n_begun = min(self._n_begun, len(self._open))
        if closed.name in BLOCKS and closed.begin >= 0:
            self.blocks.append((closed.begin, position))
        elif closed.name == "a" and closed.begin >= 0:
            self.links.append((closed.begin, position))
        if closed.part:
            self.n_parts -= 1
            self.parts.append((max(closed.begin, 0), position, closed.part))
        return closed.gap

    def state_of(self, name: str, tag: str) -> tuple[int, str]:
        """Whether the text in this element is hidden, or elements inside may show theirs; its ``display``."""
        around = self._open[-1].state
        if around == HARD or name in {"html", "body"}:  # scripts show a page when it is complete
            return around, ""
        own, display = self.styles.of(name, tag)
        return around if own is None else own, display


def _with_navigation(
    headings: Sequence[Heading], parts: Iterable[tuple[int, int, str]], links: Sequence[Block]
) -> list[Heading]:
    """The headings with one above each list of links around the content, and one without words below it."""
    starts = [start for start, _ in links]
    lengths = [0, *accumulate(end - start for start, end in links)]
    places = [one.start for one in headings]
    n_tops = [0, *accumulate(one.level == 1 for one in headings)]
    found, after, position, level = list[Heading](), 0, 0, 2
    for start, end, name in sorted(parts, key=lambda part: (part[0], -part[1])):
        first, last = bisect_left(starts, start), bisect_left(starts, end)
        above, below = bisect_left(places, start), bisect_left(places, end)
        has_title = below > above if name == "header" else n_tops[below] > n_tops[above]
        is_list = last - first >= MIN_LINKS and lengths[last] - lengths[first] > MOST * (end - start)
        if start >= after and is_list and not has_title:
            level = headings[above - 1].level + 1 if above > position else level
            found += [*headings[position:above], Heading(start, level, NAVIGATION), Heading(end, level, "")]
            position, after = below, end
    found += headings[position:]
    nexts = [one.start for one in found[1:]]
    return [
        one for one, after in zip(found, nexts, strict=False) if one.title or after - one.start > 2
    ] + found[-1:]


def _unescaped(text: str) -> str:
    """The text with its character references decoded; Python refuses numbers of thousands of digits."""
    return html.unescape(LONG_NUMBER.sub("\ufffd", text))


def _after(source: str, mark: str, start: int) -> int:
    """Where the next appearance of the mark ends; the end of the file where there is none."""
    found = source.find(mark, start)
    return found + len(mark) if found >= 0 else len(source)
