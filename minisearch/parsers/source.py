"""Decode a file, and build documents whose text differs from the file's.

Bytes go in, a `Source` comes out: the decoded text, and an `Origin` that gives the bytes back.  A reader
copies pieces of the source and inserts words in between (the name of a column, the path of a key); a
`TextBuilder` records how the text maps to the source, `Fields` collects metadata within bounds, and a
`DocumentBuilder` the rest of a `Document` too.  What the pieces are is left to the reader of each format.

`encodings` finds the encoding.  An invalid byte becomes one U+FFFD in the text, while ``Origin.source`` keeps
the byte.
"""

from __future__ import annotations

import codecs
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import accumulate

from minisearch.parsers.encodings import SHIFTING, origin_of, shown
from minisearch.text import LEADER, SHORT_LEADER, UNSTORABLE, short_leaders, storable
from minisearch.types import Anchors, Document, Heading, Origin


@dataclass(frozen=True, slots=True)
class Source:
    """A decoded file: ``text`` is ``origin.source`` with U+FFFD for each character that cannot be stored.

    ``file`` is given where ``origin`` cannot give back the bytes: the origin that can, and the anchors that
    map the text to it.
    """

    path: str
    text: str
    origin: Origin
    notes: tuple[str, ...] = ()
    file: tuple[Origin, Anchors] | None = None

    @classmethod
    def of_text(cls, text: str) -> Source:
        """A source for a text that lies inside another file."""
        return cls("", text, Origin(text))

    def unchanged(self, format_: str, *notes: str) -> Document:
        """The file as a document without structure, with more notes."""
        return Document(self.path, self.text, format_, self.origin, notes=(*self.notes, *notes))

    def in_file(self, document: Document) -> Document:
        """A document that was read from this source, mapped to the bytes of the file."""
        if not self.file:
            return document
        origin, anchors = self.file
        read = AnchoredText(document.text, document.origin.anchors)
        mapped = read.mapped_through(AnchoredText(self.text, anchors))
        return replace(document, origin=replace(origin, anchors=mapped.anchors))


def decode(path: str, data: bytes, format_: str = "text") -> Source:
    """The characters of a file, whose encoding may be declared in the way of its format.

    Raises IngestError when it is binary, or is not in the encoding that its byte-order mark names.
    """
    origin, found = origin_of(data, format_)
    notes, encoding = list(found), origin.encoding
    is_exact = (
        encoding == "utf-8"
        or origin.n_bom_bytes
        or not (SHIFTING.fullmatch(encoding) or origin.source.encode(encoding, "surrogateescape") != data)
    )
    if format_ == "email" and not is_exact:  # its parts are decoded from their bytes
        origin, is_exact = Origin(data.decode("utf-8", "surrogateescape")), True
    n_undecodable = sum("\udc80" <= character <= "\udcff" for character in UNSTORABLE.findall(origin.source))
    if n_undecodable and format_ != "email":  # whose parts have encodings of their own
        n_bytes = "1 byte is" if n_undecodable == 1 else f"{n_undecodable} bytes are"
        notes.append(f"{n_bytes} not valid {shown(encoding)}")
    source = Source(path, storable(origin.source), origin, tuple(notes))
    return source if is_exact else _by_bytes(source, data)


def _by_bytes(source: Source, data: bytes) -> Source:
    """The source of a file in which a character is written in several ways, or after a shift."""
    decoder = codecs.getincrementaldecoder(source.origin.encoding)("surrogateescape")
    builder, start = TextBuilder(), 0
    for end in range(1, len(data) + 1):
        if words := decoder.decode(data[end - 1 : end]):
            builder.copy(storable(words), start, end)
            start = end
    builder.copy(storable(decoder.decode(b"", final=True)), start, len(data))
    built = builder.build()
    file = Origin(data.decode("ascii", "surrogateescape"), "ascii"), built.anchors
    return replace(source, text=built.text, origin=Origin(built.text), file=file)


# --- building a text ---------------------------------------------------------------------------------------

MAX_LEVEL = 9  # of a heading
MAX_TITLE = 200  # a title is repeated in the heading of every chunk below it: a 5 MB "heading" must not be


def top_title(headings: Iterable[Heading]) -> str:
    """The words of the one level-1 heading, as in docutils; "" where there is none.

    Several are sections of a document without a title, such as the versions of a changelog.
    """
    titles = [heading.title for heading in headings if heading.level == 1 and heading.title]
    return titles[0] if len(titles) == 1 else ""


def checked_headings(found: Iterable[tuple[int, int, str]], text: str) -> list[Heading]:
    """The headings that the sandbox process found in a text; TypeError or ValueError for nonsense."""
    headings: list[Heading] = []
    last = 0
    for start, level, title in found:
        if not (last <= start <= len(text) and level >= 1):
            raise ValueError("a heading outside its text")
        last = start
        headings.append(Heading(int(start), min(int(level), MAX_LEVEL), storable(title)[:MAX_TITLE]))
    return headings


@dataclass(frozen=True, slots=True)
class AnchoredText:
    """A text, and the anchors that map it to its source."""

    text: str
    anchors: Anchors

    def mapped_through(self, source: AnchoredText) -> AnchoredText:
        """The same text, mapped to the source of ``source``, which it was made from."""
        pairs: list[tuple[int, int]] = []
        ends = (*self.anchors.text[1:], len(self.text))
        limits = (*self.anchors.source[1:], len(source.text))
        outer = source.anchors
        for start, end, middle, limit in zip(
            self.anchors.text, ends, self.anchors.source, limits, strict=True
        ):
            pairs.append((start, outer.source_position(middle)))
            first = bisect_right(outer.text, middle)
            last = bisect_left(outer.text, min(middle + end - start, limit))
            pairs += [
                (start + turn - middle, place)
                for turn, place in zip(outer.text[first:last], outer.source[first:last], strict=True)
            ]
        return AnchoredText(self.text, Anchors(*zip(*pairs, strict=True)))

    def without(self, spans: Iterable[tuple[int, int]]) -> AnchoredText:
        """The text without these spans, which ascend."""
        return self.edited((start, end, "") for start, end in spans)

    def edited(self, edits: Iterable[Edit]) -> AnchoredText:
        """The text with other words in place of these ranges, which ascend."""
        builder, position = TextBuilder(), 0
        for start, end, words in edits:
            builder.copy(self.text[position:start], position, start)
            builder.insert(words, start)
            position = end
        builder.copy(self.text[position:], position, len(self.text))
        return builder.build().mapped_through(self)


Block = tuple[int, int]
Edit = tuple[int, int, str]  # start and end in a text, and the words that replace it


def edited(document: Document, edits: Sequence[Edit]) -> Document:
    """The document with other words in place of these ranges of its text, which ascend.

    What begins inside a range begins behind its words, and what ends inside ends before them.
    """
    if not edits:
        return document
    text = AnchoredText(document.text, document.origin.anchors).edited(edits)
    starts = [start for start, _, _ in edits]
    shifts = [0, *accumulate(len(words) - (end - start) for start, end, words in edits)]

    def moved(position: int, *, is_end: bool = False) -> int:
        i = (bisect_left if is_end else bisect_right)(starts, position)
        if not i or (not is_end and position == starts[i - 1]):
            return position + shifts[max(i - 1, 0)]
        start, end, _ = edits[i - 1]
        return start + shifts[i - 1] if is_end and position < end else max(position, end) + shifts[i]

    blocks = [(moved(start), moved(end, is_end=True)) for start, end in document.blocks]
    return replace(
        document,
        text=text.text,
        origin=replace(document.origin, anchors=text.anchors),
        headings=tuple(replace(one, start=moved(one.start)) for one in document.headings),
        pages=tuple(map(moved, document.pages)),
        blocks=outermost_first(block for block in blocks if block[0] < block[1]),
        lines=tuple({moved(start): number for start, number in document.lines}.items()),
    )


def outermost_first(found: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks as `Document` has them: each once, by start, the outer before the inner."""
    return tuple(sorted(set(found), key=lambda block: (block[0], -block[1])))


class TextBuilder:
    """Assembles a text from pieces of a source and inserted words; source positions must never decrease."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._n_characters = 0
        self._text_anchors = [0]
        self._source_anchors = [0]

    def __len__(self) -> int:
        return self._n_characters

    def insert(self, words: str, at: int | None = None) -> None:
        """Add words that map to the position ``at`` of the source, or to where the last piece ended."""
        if at is not None:
            self._anchor(self._n_characters, at)
        self._append(words)

    def copy(self, piece: str, start: int, end: int) -> None:
        """Add ``start:end`` of the source: its characters, or what they mean."""
        self._anchor(self._n_characters, start)
        self._append(piece)
        self._anchor(self._n_characters, end)

    def add(self, part: AnchoredText) -> None:
        """Add a whole text that maps to the same source."""
        base = self._n_characters
        for text_anchor, source_anchor in zip(part.anchors.text, part.anchors.source, strict=True):
            self._anchor(base + text_anchor, source_anchor)
        self._append(part.text)

    def begin_paragraph(self) -> None:
        """Leave a blank line, unless nothing stands above."""
        self.insert("\n\n" if self._n_characters else "")

    def build(self) -> AnchoredText:
        """All of it so far."""
        return AnchoredText(
            "".join(self._parts), Anchors(tuple(self._text_anchors), tuple(self._source_anchors))
        )

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._n_characters += len(text)

    def _anchor(self, position: int, place: int) -> None:
        """Record where the text continues, unless it would continue there anyway."""
        if self._text_anchors[-1] == position:
            self._source_anchors[-1] = place
        elif place - self._source_anchors[-1] != position - self._text_anchors[-1]:
            self._text_anchors.append(position)
            self._source_anchors.append(place)


def read_text(source: Source) -> Document:
    """Plain text as it is, but for the dots in a table of contents."""
    has_leaders = short_leaders(source.text) != source.text
    leaders = LEADER.finditer(source.text) if has_leaders else ()
    return edited(source.unchanged("text"), [(*leader.span(), SHORT_LEADER) for leader in leaders])


# Escape sequences of terminals: colours and the cursor, titles of windows, character sets; and what a letter
# of a manual page is printed over: itself if it is bold, a line.
TERMINAL_CODE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,50}[ -/]{0,9}[@-~]|\x1b(?:\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)"
    r"|[#%()*+][0-9A-Z]|[78=>@-Z\\^_c])|(?:_|\+(?=\x08o)|([^\s\x08])(?=\x08\1))\x08(?=\S)"
)


def without_terminal_codes(document: Document) -> Document:
    """The document without the codes that colour text and move the cursor on a terminal."""
    has_codes = "\x1b" in document.text or "\b" in document.text  # the pattern alone is slow
    codes = [(*code.span(), "") for code in TERMINAL_CODE.finditer(document.text)] if has_codes else []
    if not codes:
        return document
    document = edited(document, codes)
    headings = (replace(one, title=TERMINAL_CODE.sub("", one.title)) for one in document.headings)
    return replace(document, title=TERMINAL_CODE.sub("", document.title), headings=tuple(headings))


# --- metadata ----------------------------------------------------------------------------------------------

Value = str | float | bool

MAX_VALUES = 200
MAX_VALUE = 1_000  # characters
MAX_NAME = 100
MAX_NAMES = 1_000  # characters: they are repeated with each chunk
LISTS = {"keywords", "tags", "categories"}  # a text in one of them is a list with commas or semicolons


class Fields:
    """Collects fields; values beyond the bounds are left out and counted."""

    def __init__(self) -> None:
        self._values: dict[str, list[Value]] = {}
        self._words: set[str] = set()
        self._n_values = 0
        self._n_left_out = 0
        self._n_cut = 0

    def add(self, name: str, value: object, *, written: str = "", is_item: bool = False) -> None:
        """Add a value of a field, ``written`` so, perhaps an item of a list; dates become ISO text.

        None is ignored.
        """
        name = " ".join(storable(name).lower().split())
        plain = _plain(value)
        if value is None or not name:
            return
        if name in LISTS and isinstance(plain, str) and not is_item:
            self.add_all(name, filter(None, map(str.strip, re.split("[,;]", plain))))
            return
        if plain is None or self._n_values == MAX_VALUES or len(name) > MAX_NAME:
            self.leave_out()
            return
        if isinstance(plain, str) and len(plain) > MAX_VALUE:
            plain = plain[:MAX_VALUE]
            self._n_cut += 1
        self._values.setdefault(name, []).append(plain)
        self._n_values += 1
        if plain and not isinstance(value, bool):
            self._words.add(plain if isinstance(plain, str) else written or str(value))

    def add_all(self, name: str, values: Iterable[object]) -> None:
        """Add each value of a list."""
        for value in values:
            self.add(name, value, is_item=True)

    def leave_out(self) -> None:
        """Count a value that cannot be kept."""
        self._n_left_out += 1

    def found(self) -> dict[str, tuple[Value, ...]]:
        """Each name with its values, in the order in which they were added."""
        return {name: tuple(values) for name, values in self._values.items()}

    def names(self) -> tuple[str, ...]:
        """The texts and numbers among the values, by which the document is found; the shortest, if many."""
        ordered = sorted(self._words, key=lambda words: (len(words), words))
        lengths = accumulate(map(len, ordered))
        return tuple(words for words, length in zip(ordered, lengths, strict=True) if length <= MAX_NAMES)

    @property
    def are_whole(self) -> bool:
        """Whether values and names keep everything, so that it need not stay in the text."""
        return bool(self._values) and not self.notes() and len(self.names()) == len(self._words)

    def text(self, name: str) -> str:
        """The first value of a field if it is a text, else ""."""
        first = self._values.get(name, [""])[0]
        return first if isinstance(first, str) else ""

    def notes(self) -> tuple[str, ...]:
        """What was left out, in words for the user."""
        notes = []
        if self._n_left_out:
            notes.append(f"metadata: {self._n_left_out} left out, too many, too deep or not plain values")
        if self._n_cut:
            notes.append(f"metadata: {self._n_cut} cut to {MAX_VALUE:,} characters")
        return tuple(notes)


def _plain(value: object) -> Value | None:
    """The value as it is stored; None where it is not a plain one."""
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:  # more than 308 digits
            return None
        return number if math.isfinite(number) else str(number)
    return storable(value).strip() if isinstance(value, str) else None


# --- building a document -----------------------------------------------------------------------------------


class DocumentBuilder(TextBuilder):
    """Assembles a document from a source."""

    def __init__(self, source: Source, format_: str) -> None:
        super().__init__()
        self.source = source
        self.format = format_
        self.title = ""
        self.language = ""
        self.fields = Fields()
        self.names: tuple[str, ...] = ()
        self.headings: list[Heading] = []
        self.pages: list[int] = []
        self.blocks: list[Block] = []
        self.notes: list[str] = []

    def add_part(self, part: AnchoredText, parsed: Document | DocumentBuilder | None = None) -> None:
        """Add a whole text that maps to the same source, with the headings and blocks found in it."""
        start = len(self)
        self.add(part)
        if parsed:
            self.headings += [replace(heading, start=start + heading.start) for heading in parsed.headings]
            self.blocks += [(start + first, start + last) for first, last in parsed.blocks]

    def document(self) -> Document:
        """The document that was assembled."""
        built = self.build()
        return Document(
            self.source.path,
            built.text,
            self.format,
            replace(self.source.origin, anchors=built.anchors),
            title=" ".join(self.title.split())[:MAX_TITLE],
            headings=tuple(self.headings),
            notes=(*self.source.notes, *self.fields.notes(), *self.notes),
            language=self.language,
            fields=self.fields.found(),
            names=self.names,
            pages=tuple(self.pages),
            blocks=outermost_first(self.blocks),
        )
