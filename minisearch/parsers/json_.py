r"""JSON as lines that a sentence encoder understands, "address.city: London"; JSONL in the same way.

All keys, strings and numbers of the file are in the text, in the file's order and mapped to it, so duplicate
keys and big numbers are kept.  Blank lines separate objects; short values of an array share a line; array
indices are left out.  A file that is not JSON (because of comments, say) is read as plain lines, with a note.

The standard library decides whether it is JSON (line breaks in strings, NaN and Infinity are), but gives no
positions: they come from a pass over the tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from minisearch.parsers.source import DocumentBuilder, Source, TextBuilder
from minisearch.text import LINE_BREAK, line_number, storable
from minisearch.types import Document

MAX_PATH = 60  # characters of the keys above, the inner ones: they are repeated on every line
MAX_SHORT = 40  # characters of a value that shares a line

TITLES = ("title", "name")  # the better first


def read_json(source: Source) -> Document:
    """The document, titled by its own "title" or "name"; a file with one value a line is read as JSONL."""
    lines = _Lines(source)
    try:
        lines.add_value(tokens(source.text))
    except NotJson as error:
        if _is_jsonl(source.text):
            return read_jsonl(source)
        note = f"not JSON (line {line_number(source.text, error.position)}): read as plain lines"
        return source.unchanged("code", *[note] * bool(source.text.strip()))
    lines.title = next((lines.titles[key] for key in TITLES if key in lines.titles), "")
    return lines.document()


def read_jsonl(source: Source) -> Document:
    """Each line is a value; a line that is not JSON is kept unchanged."""
    lines = _Lines(source)
    broken = []
    for number, start, end in _filled_lines(source.text):
        if value := _tokens_of_line(source.text, start, end):
            lines.add_value(value)
        else:
            lines.add_unchanged(start, end)
            broken.append(number)
    if broken:
        n_broken = "1 line is" if len(broken) == 1 else f"{len(broken)} lines are"
        lines.notes.append(f"{n_broken} not JSON, the first is line {broken[0]}: kept unchanged")
    return lines.document()


def _is_jsonl(text: str) -> bool:
    """Whether each of the first two lines that are not blank is an object or an array."""
    lines = [_tokens_of_line(text, start, end) for _, start, end in islice(_filled_lines(text), 2)]
    return len(lines) == 2 and all(line and line[0].kind in "{[" for line in lines)


def _tokens_of_line(text: str, start: int, end: int) -> list[Token]:
    """The tokens of a line; none where it is not JSON."""
    try:
        return list(tokens(text, start, end))
    except NotJson:
        return []


def _filled_lines(text: str) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each line that is not blank."""
    ends = [(found.start(), found.end()) for found in LINE_BREAK.finditer(text)]
    start = 0
    for number, (end, next_start) in enumerate([*ends, (len(text), len(text))], start=1):
        if text[start:end].strip():
            yield number, start, end
        start = next_start


class _Container(NamedTuple):
    """An open object or array: the path that leads to it, its own key, the number of lines before it."""

    kind: str
    path: str
    key: Token | None
    n_lines: int = 0


class _Lines(DocumentBuilder):
    """Collects lines, and the top-level values that may serve as a title."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, "json")
        self.titles: dict[str, str] = {}
        self._text = source.text
        self._gap = ""  # pending before the next line
        self._row: str | None = None  # path of the array whose values share the last line
        self._separator = ", "
        self._line_starts: list[int] = []

    def add_value(self, value: Iterable[Token]) -> None:
        """Add the lines of one value; raises NotJson where its tokens do."""
        self._break_paragraph()
        containers = [_Container("", "", None)]
        key = previous = None
        for token in value:
            if token.kind == "key":
                key = token
                continue
            if token.kind in "{[":
                containers.append(self._open(token, containers[-1], key))
            elif token.kind in "}]":
                closed = containers.pop()
                if previous and previous.kind in "{[":
                    self._begin_line(containers[-1].path, closed.key, previous.start)
                    self.copy(closed.kind + token.kind, previous.start, token.end)
                if closed.kind == "{":
                    self._add_block(closed.n_lines)
                    self._break_paragraph()
            else:
                self._add_plain(token, containers[-1], key, is_top=len(containers) == 2)
            key, previous = None, token
        self._break_paragraph()

    def add_unchanged(self, start: int, end: int) -> None:
        """Add a paragraph that is not JSON."""
        self._break_paragraph()
        self._begin_line("", None, start)
        self.copy(self._text[start:end], start, end)
        self._break_paragraph()

    def _open(self, token: Token, above: _Container, key: Token | None) -> _Container:
        self._separator = "; "
        if token.kind == "{":
            self._break_paragraph()
        if key is None:
            return _Container(token.kind, above.path, None, len(self._line_starts))
        name = " ".join(string_value(self._text, key).split())
        if len(name) > MAX_PATH:  # it is cut in the paths below, and whole here
            self._begin_line(above.path, key, key.start)
        path = f"{above.path}.{name}" if above.path else name
        path = path if len(path) <= MAX_PATH else f"…{path[1 - MAX_PATH :]}"
        return _Container(token.kind, path, key, len(self._line_starts))

    def _add_plain(self, token: Token, container: _Container, key: Token | None, *, is_top: bool) -> None:
        is_short = token.end - token.start <= MAX_SHORT
        if container.kind == "[" and self._row == container.path and self._gap == "\n" and is_short:
            self.insert(self._separator)
        else:
            self._begin_line(container.path, key, token.start)
        self._separator = ", "
        self._row = container.path if container.kind == "[" and is_short else None
        copy_string(self, self._text, token)  # a plain value has no escapes
        if is_top and key and token.kind == "string":
            name = self._text[key.start : key.end]
            if name in TITLES:
                self.titles.setdefault(name, string_value(self._text, token))

    def document(self) -> Document:
        """The document; each line and each object is a block."""
        self._add_block(len(self._line_starts) - 1)
        return super().document()

    def _add_block(self, n_lines: int) -> None:
        """Add everything below the first lines as a block."""
        if 0 <= n_lines < len(self._line_starts) and self._line_starts[n_lines] < len(self):
            self.blocks.append((self._line_starts[n_lines], len(self)))

    def _begin_line(self, path: str, key: Token | None, place: int) -> None:
        self._add_block(len(self._line_starts) - 1)
        self.insert(self._gap)
        self._gap, self._row = "\n", None
        self._line_starts.append(len(self))
        if key:
            if path:
                self.insert(f"{path}.", key.start)
            copy_string(self, self._text, key)
            self.insert(": ")
        elif path:
            self.insert(f"{path}: ", place)

    def _break_paragraph(self) -> None:
        self._gap = "\n\n" if self._gap else ""


# --- scanning ----------------------------------------------------------------------------------------------

# In a text that is JSON: a string, which is a key where a colon follows; a bracket; a number or a word.
TOKEN = re.compile(
    r'"(?P<string>[^"\\]*(?:\\.[^"\\]*)*)"(?P<colon>\s*:)?|(?P<mark>[\[\]{}])|(?P<plain>[^\s,\[\]{}"]+)',
    re.DOTALL,
)
STRING_PIECE = re.compile(
    r"""(?P<words>[^"\\]+)
      | \\u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})
      | \\u(?P<unit>[0-9a-fA-F]{4})
      | \\(?P<mark>["\\/bfnrt])""",
    re.VERBOSE,
)
MEANINGS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class NotJson(Exception):
    """The text is not JSON, or nested deeper than the library reads; ``position`` is where the error is."""

    def __init__(self, position: int) -> None:
        self.position = position


class Token(NamedTuple):
    """``kind`` is one of ``{ } [ ] key string plain``; the span of a string leaves out its quotes."""

    kind: str
    start: int
    end: int


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """The tokens of the one value at ``start:end``; raises NotJson where there is none, or more than one."""
    end = len(text) if end is None else end
    try:  # nothing is kept, and no number is converted
        json.loads(text[start:end], strict=False, parse_int=str, parse_float=str, object_pairs_hook=len)
    except json.JSONDecodeError as error:
        raise NotJson(start + error.pos) from error
    except RecursionError as error:
        raise NotJson(start) from error
    return _tokens(text, start, end)


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    for found in TOKEN.finditer(text, start, end):
        kind = found.lastgroup or ""
        if kind == "colon":
            yield Token("key", *found.span("string"))
        else:
            yield Token(found[kind] if kind == "mark" else kind, *found.span(kind))


def copy_string(builder: TextBuilder, text: str, token: Token) -> None:
    """Add the decoded string or key, each escaped character mapped to its escape."""
    if text.find("\\", token.start, token.end) < 0:
        builder.copy(text[token.start : token.end], token.start, token.end)
        return
    for piece in STRING_PIECE.finditer(text, token.start, token.end):
        builder.copy(_meaning(piece), *piece.span())


def string_value(text: str, token: Token) -> str:
    """The decoded string or key."""
    if text.find("\\", token.start, token.end) < 0:
        return text[token.start : token.end]
    return "".join(map(_meaning, STRING_PIECE.finditer(text, token.start, token.end)))


def _meaning(piece: re.Match[str]) -> str:
    if piece["pair"]:
        high, low = int(piece["pair"][:4], 16), int(piece["pair"][-4:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    if piece["unit"]:
        return storable(chr(int(piece["unit"], 16)))
    return piece["words"] or MEANINGS.get(piece["mark"], piece["mark"])


Node: TypeAlias = "dict[str, Node] | list[Node] | Token"


def tree(text: str) -> Node:
    """The value of a text, strings and plain values as tokens; of equal keys the last one counts."""
    top: list[Node] = []
    open_nodes: list[dict[str, Node] | list[Node]] = [top]
    key = ""
    for token in tokens(text):
        if token.kind == "key":
            key = string_value(text, token)
        elif token.kind in "}]":
            open_nodes.pop()
        else:
            node: Node = {} if token.kind == "{" else [] if token.kind == "[" else token
            above = open_nodes[-1]
            if isinstance(above, dict):
                above[key] = node
            else:
                above.append(node)
            if not isinstance(node, Token):
                open_nodes.append(node)
    return top[0]
