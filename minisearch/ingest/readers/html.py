"""HTML to the text a person would see, every piece of it tied to its place in the source.

Not the standard library's parser: that takes time quadratic in the input on unclosed markup (200 KB of
``<a `` measured at minutes), and this needs no tree, only a walk over tags.  Each pattern below begins
where the last one ended and never looks back, so the time is linear whatever the file holds.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace

from minisearch.ingest.readers.decode import Source
from minisearch.ingest.readers.fields import Fields
from minisearch.ingest.readers.markdown import MAX_TITLE, first_title
from minisearch.types import Document, Heading

TAG_NAME = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
TAG_REST = re.compile(r"""[^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>""")
# Words with single spaces between, kept as they stand; a character reference; other white space.
PIECE = re.compile(r"(?P<words>[^ \t\n\r\f&]+(?: [^ \t\n\r\f&]+)*)|(?P<reference>&#?\w*;?)|[ \t\n\r\f]+")
ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
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
        self.headings: list[Heading] = []
        self.gap = ""  # the white space owed before the next word
        self.level = 0  # of the heading that is open
        self.heading_start: tuple[int, int] | None = None  # its first character and its first part
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
            self._open(name)
            if name == "meta" and end - start <= MAX_META:
                self._meta(start, end)
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

    def _open(self, name: str) -> None:
        self._owe(GAP_AROUND.get(name, ""))
        self.n_veils += name in VEILS
        self.n_pre += name == "pre"
        if name in HEADINGS:
            self.level, self.heading_start = int(name[1]), None

    def _close(self, name: str) -> None:
        self._owe(GAP_AROUND.get(name, ""))
        self.n_veils = max(self.n_veils - (name in VEILS), 0)
        self.n_pre = max(self.n_pre - (name == "pre"), 0)
        if name in HEADINGS:
            if self.level and self.heading_start:
                start, part = self.heading_start
                title = " ".join("".join(self.parts[part:]).split())[:MAX_TITLE]
                self.headings.append(Heading(start, self.level, title))
            self.level = 0

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
        if self.parts:
            self._append(self.gap)
        self.gap = ""
        if self.level and not self.heading_start:
            self.heading_start = self.n_characters, len(self.parts)
        self._anchor(piece.start())
        self._append(text)
        self._anchor(piece.end())

    def _append(self, text: str) -> None:
        self.parts.append(text)
        self.n_characters += len(text)

    def _anchor(self, position: int) -> None:
        """Note that the text goes on from this place of the source, unless that is where it would anyway."""
        text_anchor, source_anchor = self.anchors[-1]
        if text_anchor == self.n_characters:
            self.anchors[-1] = (text_anchor, position)
        elif position - source_anchor != self.n_characters - text_anchor:
            self.anchors.append((self.n_characters, position))


def _after(source: str, mark: str, start: int) -> int:
    """The end of the mark's next appearance, or of the file."""
    found = source.find(mark, start)
    return found + len(mark) if found >= 0 else len(source)
