"""JSON to lines that a sentence encoder understands, "address.city: London"; JSONL likewise, line by line.

Every key, string and number of the file is in the text, in the file's order and at its place, so duplicate
keys and big numbers stay as they are.  Objects stand between blank lines; short values of an array share a
line; an array's numbering is left out.  What is not JSON (comments, say) is read as it stands, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from minisearch.chunking.places import LINE_BREAK
from minisearch.parsers.composing import Composition
from minisearch.parsers.decode import Source
from minisearch.parsers.json_scan import NotJson, Token, string_value, take_string, tokens
from minisearch.parsers.markdown import MAX_TITLE
from minisearch.types import Document

MAX_PATH = 60  # characters said of the keys above, the inner ones: they are said again on every line
MAX_SHORT = 40  # characters of a value that shares a line

TITLES = ("title", "name")  # the better first


def read_json(source: Source) -> Document:
    """The document, titled by its own "title" or "name"; one value a line is read as JSONL."""
    lines = _Lines(source.text)
    try:
        lines.add(tokens(source.text))
    except NotJson as error:
        return read_jsonl(source) if _is_jsonl(source.text) else _as_it_stands(source, error.position)
    title = next((lines.titles[key] for key in TITLES if key in lines.titles), "")
    return replace(_document(source, lines), title=" ".join(title.split())[:MAX_TITLE])


def read_jsonl(source: Source) -> Document:
    """Each line a value; a line that is none is kept as it stands."""
    lines = _Lines(source.text)
    broken = []
    for number, (start, end) in enumerate(_file_lines(source.text), start=1):
        if of_line := _tokens_of_line(source.text, start, end):
            lines.add(of_line)
        elif source.text[start:end].strip():
            lines.add_as_it_stands(start, end)
            broken.append(number)
    document = _document(source, lines)
    if not broken:
        return document
    n_broken = "1 line is" if len(broken) == 1 else f"{len(broken)} lines are"
    note = f"{n_broken} no JSON, the first line {broken[0]}: kept as it stands"
    return replace(document, notes=(*document.notes, note))


def _document(source: Source, lines: _Lines) -> Document:
    tied = lines.made.tied()
    return Document(
        source.path,
        tied.text,
        "json",
        tied.origin(source.origin),
        notes=source.notes,
        blocks=lines.blocks(),
    )


def _as_it_stands(source: Source, position: int) -> Document:
    notes = source.notes
    if source.text.strip():
        line = len(LINE_BREAK.findall(source.text, 0, position)) + 1
        notes = (*notes, f"not JSON (line {line}): read as it stands")
    return Document(source.path, source.text, "code", source.origin, notes=notes)


def _is_jsonl(text: str) -> bool:
    """Whether the first two lines that are not blank are objects or arrays, each by itself."""
    n_containers = 0
    for start, end in _file_lines(text):
        if text[start:end].strip():
            first = next(iter(_tokens_of_line(text, start, end)), None)
            if not first or first.kind not in "{[":
                return False
            n_containers += 1
            if n_containers == 2:
                return True
    return False


def _tokens_of_line(text: str, start: int, end: int) -> list[Token]:
    """The tokens of a line; none where it is no JSON."""
    try:
        return list(tokens(text, start, end))
    except NotJson:
        return []


def _file_lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in LINE_BREAK.finditer(text):
        yield start, found.start()
        start = found.end()
    yield start, len(text)


class _Container(NamedTuple):
    """An object or an array that is open; ``path`` leads to it, ``key`` is its own; lines before it."""

    kind: str
    path: str
    key: Token | None
    n_lines: int = 0


class _Lines:
    """The lines so far, and the top-level values that may serve as a title."""

    def __init__(self, text: str) -> None:
        self.made = Composition()
        self.titles: dict[str, str] = {}
        self._text = text
        self._gap = ""  # owed before the next line
        self._row: str | None = None  # the path of the array whose values share the last line
        self._separator = ", "
        self._line_starts: list[int] = []
        self._line_ends: list[int] = []  # of all but the last
        self._objects: set[tuple[int, int]] = set()  # first and last line of each

    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Lines, and the lines of objects, as `Document.blocks` has them."""
        n_lines = len(self._line_starts)
        ends = [*self._line_ends, self.made.n_characters]
        lines = {(i, i + 1) for i in range(n_lines)} | self._objects
        of_lines = sorted(lines, key=lambda block: (block[0], -block[1]))
        blocks = ((self._line_starts[first], ends[last - 1]) for first, last in of_lines)
        return tuple((start, end) for start, end in blocks if start < end)

    def add(self, of_value: Iterable[Token]) -> None:
        """The lines of one value; NotJson where its tokens say so."""
        self._break_paragraph()
        containers = [_Container("", "", None)]
        key = previous = None
        for token in of_value:
            if token.kind == "key":
                key = token
                continue
            if token.kind in "{[":
                containers.append(self._open(token, containers[-1], key))
            elif token.kind in "}]":
                closed = containers.pop()
                if previous and previous.kind in "{[":
                    self._begin_line(containers[-1].path, closed.key, previous.start)
                    self.made.take(closed.kind + token.kind, previous.start, token.end)
                if closed.kind == "{":
                    if closed.n_lines < len(self._line_starts):
                        self._objects.add((closed.n_lines, len(self._line_starts)))
                    self._break_paragraph()
            else:
                self._add_plain(token, containers[-1], key, is_top=len(containers) == 2)
            key, previous = None, token
        self._break_paragraph()

    def add_as_it_stands(self, start: int, end: int) -> None:
        """A paragraph that is no JSON."""
        self._break_paragraph()
        self._begin_line("", None, start)
        self.made.take(self._text[start:end], start, end)
        self._break_paragraph()

    def _open(self, token: Token, above: _Container, key: Token | None) -> _Container:
        self._separator = "; "
        if token.kind == "{":
            self._break_paragraph()
        if key is None:
            return _Container(token.kind, above.path, None, len(self._line_starts))
        name = " ".join(string_value(self._text, key.start, key.end).split())
        if len(name) > MAX_PATH:  # cut in the paths below: here it stands whole
            self._begin_line(above.path, key, key.start)
        path = f"{above.path}.{name}" if above.path else name
        path = path if len(path) <= MAX_PATH else f"…{path[1 - MAX_PATH :]}"
        return _Container(token.kind, path, key, len(self._line_starts))

    def _add_plain(self, token: Token, container: _Container, key: Token | None, *, is_top: bool) -> None:
        is_short = token.end - token.start <= MAX_SHORT
        if container.kind == "[" and self._row == container.path and self._gap == "\n" and is_short:
            self.made.say(self._separator)
        else:
            self._begin_line(container.path, key, token.start)
        self._separator = ", "
        self._row = container.path if container.kind == "[" and is_short else None
        if token.kind == "plain":
            self.made.take(self._text[token.start : token.end], token.start, token.end)
            return
        take_string(self.made, self._text, token.start, token.end)
        if is_top and key:
            name = self._text[key.start : key.end]
            if name in TITLES:
                self.titles.setdefault(name, string_value(self._text, token.start, token.end))

    def _begin_line(self, path: str, key: Token | None, place: int) -> None:
        if self._line_starts:
            self._line_ends.append(self.made.n_characters)
        self.made.say(self._gap)
        self._gap, self._row = "\n", None
        self._line_starts.append(self.made.n_characters)
        if key:
            if path:
                self.made.say(f"{path}.", key.start)
            take_string(self.made, self._text, key.start, key.end)
            self.made.say(": ")
        elif path:
            self.made.say(f"{path}: ", place)

    def _break_paragraph(self) -> None:
        self._gap = "\n\n" if self._gap else ""
