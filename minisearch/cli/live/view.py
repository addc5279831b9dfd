"""What live search shows, as lines of the terminal: the rows of results, and the document beside them.

Results and previews come in, strips that Textual draws go out.  The colours are the terminal's own, which
suit a dark and a light background.  Keys and searches are left to `app`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number
from pygments.util import ClassNotFound
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from minisearch.cli.page import place, rating
from minisearch.cli.passage import INDENT, highlighted, is_marked, laid_out, passage, words_of
from minisearch.cli.terminal import (
    EVIDENCE,
    EVIDENCE_WORD,
    PLAIN,
    WORD,
    Marked,
    Terminal,
    fitting,
    one_line,
    width,
)
from minisearch.formats import format_of
from minisearch.results import OUTDATED
from minisearch.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minisearch.analysis.reading import Preview
    from minisearch.results import Query, SearchResult

CHOSEN, MARGIN = "▌ ", "  "
LINES = 2  # of a result
ROOM_OF_RATING = 6

FAINT = Style(dim=True)
PLACE, HEADING = Style(color="cyan"), Style(color="magenta")
BOLD, ACCENT = Style(bold=True), Style(color="yellow")
SGR = {"4": BOLD, "1;4": BOLD}  # of a passage: in the list only the words of the query stand out

# Kinds of tokens, each with its mark and its style; the first that a token is of counts.
KINDS = (
    (Comment, "c", FAINT),
    (Keyword, "k", Style(color="magenta")),
    (Name.Function, "f", Style(color="cyan")),
    (Name.Class, "f", Style(color="cyan")),
    (Name.Tag, "f", Style(color="cyan")),
    (Name.Attribute, "f", Style(color="cyan")),
    (Number, "n", Style(color="cyan")),
    (Literal, "s", Style(color="green")),
    (Generic.Heading, "b", BOLD),
    (Generic.Subheading, "b", BOLD),
    (Generic.Strong, "b", BOLD),
    (Generic.Emph, "i", Style(italic=True)),
)
ON_EVIDENCE = Style(color="black", bgcolor="yellow", bold=True)
STYLES = {mark: style for _, mark, style in KINDS} | {
    WORD: Style(underline=True),
    EVIDENCE: ON_EVIDENCE,
    EVIDENCE_WORD: ON_EVIDENCE + Style(underline=True),
}
LEXERS = {"markdown": "markdown", "rst": "rst", "shell": "bash", "terraform": "hcl", "csharp": "c#"}


class Lines(ScrollView, inherit_bindings=False):
    """A pane that shows lines and scrolls."""

    def __init__(self, *, id: str, can_focus: bool = False) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.can_focus = can_focus
        self._strips: Sequence[Strip] = ()

    def show(self, strips: Sequence[Strip], *, top: int | None = None) -> None:
        """Draw other lines; ``top`` is the first one in the window, None leaves the window where it is."""
        self._strips = strips
        self.virtual_size = Size(self.scrollable_content_region.width, len(strips))
        if top is not None:
            self.scroll_to(y=max(0, top), animate=False, immediate=True, force=True)
        self.refresh()

    @property
    def text(self) -> str:
        """All lines without their styles."""
        return "\n".join(strip.text.rstrip() for strip in self._strips)

    def render_line(self, y: int) -> Strip:
        """A line of the window."""
        number = self.scroll_offset.y + y
        strip = self._strips[number] if number < len(self._strips) else Strip([])
        return strip.adjust_cell_length(self.scrollable_content_region.width)


@dataclass(frozen=True, slots=True)
class Row:
    """A result in the list: its lines without the margin, and the result."""

    hit: SearchResult
    strips: tuple[Strip, ...]

    def drawn(self, *, is_chosen: bool) -> list[Strip]:
        """The lines with their margin, which marks the chosen result."""
        margin = Segment(CHOSEN if is_chosen else MARGIN, PLACE if is_chosen else None)
        lines = [self.strips[0].apply_style(BOLD), *self.strips[1:]] if is_chosen else self.strips
        return [Strip([margin, *line]) for line in lines]


def row(hit: SearchResult, query: Query, columns: int, base: str) -> Row:
    """A result: its relevance, place and heading, and below them the line that answers best."""
    above = head(hit, columns - width(MARGIN) - ROOM_OF_RATING, base)
    terminal = Terminal(columns - len(INDENT), has_styles=True)
    line = next(passage(hit, query, terminal, whole=False, n_lines=1), "")[len(INDENT) :]
    return Row(hit, (Strip([Segment(f"{rating(hit):<{ROOM_OF_RATING}}"), *above]), _excerpt(line)))


def _excerpt(text: str) -> Strip:
    """A line of text with the escape sequences of `passage`, below the place of its result."""
    parts = re.split(r"\x1b\[([\d;]*)m", text)
    styles = [None, *(SGR.get(code) for code in parts[1::2])]
    segments = [Segment(part, style) for part, style in zip(parts[::2], styles, strict=True) if part]
    if segments:
        segments[0] = Segment(segments[0].text.lstrip(), segments[0].style)
    return Strip([Segment(" " * ROOM_OF_RATING), *segments])


def cut(text: str, columns: int, *, at_start: bool = False) -> str:
    """A text that fits, with … where it was cut."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    if at_start:
        return "…" + text[::-1][: fitting(text[::-1], columns - 1)][::-1]
    return text[: fitting(text, columns - 1)].rstrip() + "…"


def head(hit: SearchResult, columns: int, base: str) -> Strip:
    """The place of a result, what a reader has to know of its file, and its heading, in one line.

    Places are shown without the folder ``base``, which all files share.
    """
    state = f"  {OUTDATED[hit.file_state]}" if hit.file_state in OUTDATED else ""
    name = cut(place(hit, Terminal()).removeprefix(base), columns - width(state), at_start=True)
    heading = cut(one_line(hit.full_heading), max(0, columns - width(name) - width(state) - 2))
    return Strip([Segment(name, PLACE), Segment(state, FAINT), Segment(f"  {heading}", HEADING)])


def document(shown: Preview, hit: SearchResult, query: Query, columns: int) -> tuple[list[Strip], int]:
    """The lines of a preview, with the sentences that answer marked, and the number of the first of these."""
    texts, start = list[str](), 0
    for part in shown.parts:
        texts.append(part.gap)
        if part.chunk_id == hit.chunk_id:
            start = sum(map(len, texts)) - part.start
        texts.append(part.text)
    text = "".join(texts)
    first, last = (hit.evidence.start, hit.evidence.end) if hit.evidence else (0, 1)
    marked = highlighted(text, words=words_of(query), evidence=(max(0, start + first), start + last))
    marked = _with_kinds(marked, shown)
    is_shown = hit.evidence is not None and is_marked(hit)
    strips, place_of_evidence = list[Strip](), None
    if shown.n_before:
        strips.append(Strip([Segment(f"  {count(shown.n_before, 'passage')} above", FAINT)]))
    for line in laid_out(marked, shown.path):
        for piece in list(line.wrapped(columns - width(MARGIN))) or [Marked.plain("")]:
            if piece.has_evidence and place_of_evidence is None:
                place_of_evidence = len(strips)
            strips.append(_strip(piece if is_shown else piece.without_evidence()))
    if shown.n_after:
        strips.append(Strip([Segment(f"  {count(shown.n_after, 'passage')} below", FAINT)]))
    return strips, place_of_evidence or 0


def _with_kinds(marked: Marked, shown: Preview) -> Marked:
    """The same with the kinds of tokens marked: of code, and of a text in a markup language."""
    if format_of(shown.path).is_binary or shown.format not in {"code", "markdown", "rst", "json", "jsonl"}:
        return marked
    try:
        lexer = get_lexer_by_name(LEXERS.get(shown.language, shown.language))
    except ClassNotFound:
        return marked
    marks = list(marked.marks)
    for start, kind, token in lexer.get_tokens_unprocessed(marked.text):
        if mark := next((mark for parent, mark, _ in KINDS if kind in parent), None):
            for at in range(start, start + len(token)):
                marks[at] = mark if marks[at] == PLAIN else marks[at]
    return Marked(marked.text, "".join(marks))


def plain(text: str) -> Strip:
    """A line without styles."""
    return Strip([Segment(MARGIN + text.replace("\n", " "))])


def _strip(line: Marked) -> Strip:
    """A line with its margin, which marks the sentences that answer."""
    margin = Segment(CHOSEN, ACCENT) if line.has_evidence else Segment(MARGIN)
    stretches = groupby(zip(line.text, line.marks, strict=True), key=lambda pair: pair[1])
    parts = (Segment("".join(char for char, _ in pairs), STYLES.get(mark)) for mark, pairs in stretches)
    return Strip(chain([margin], parts))
