r"""JSON as a flat run of tokens with their positions; what they mean together is the readers' to say.

Not the standard library's parser: that gives no positions, stops at a depth of some thousands, and makes an
integer of every number, which takes time with the square of its digits.  This keeps its own stack, so depth
costs nothing, and accepts what that one accepts with ``strict=False`` (line breaks inside strings; NaN and
Infinity as values).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from minisearch.parsers.composing import Composition
from minisearch.parsers.decode import UNFIT

SPACE = r"[ \t\n\r]*"
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
VALUE = re.compile(
    rf'{SPACE}(?:(?P<quote>")|(?P<open>[\[{{])|(?P<plain>{NUMBER}|true|false|null|NaN|-?Infinity))'
)
CLOSERS = {"{": "}", "[": "]"}
CLOSE = {"{": re.compile(rf"{SPACE}\}}"), "[": re.compile(rf"{SPACE}\]")}
QUOTE = re.compile(rf'{SPACE}"')
COLON = re.compile(rf"{SPACE}:")
NEXT = re.compile(rf"{SPACE}([,\]}}])")
REST = re.compile(rf"{SPACE}\Z")

PLAIN_STRING = re.compile(r'[^"\\]*"')
STRING_PIECE = re.compile(
    r"""(?P<words>[^"\\]+)
      | (?P<end>")
      | \\u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})
      | \\u(?P<unit>[0-9a-fA-F]{4})
      | \\(?P<mark>["\\/bfnrt])""",
    re.VERBOSE,
)
MEANINGS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class NotJson(Exception):
    """The text breaks JSON's grammar; the argument is where."""

    @property
    def position(self) -> int:
        """Where in the text."""
        return int(self.args[0])


class Token(NamedTuple):
    r"""``kind`` is one of ``{ } [ ] key string plain``; a string is between its quotes."""

    kind: str
    start: int
    end: int


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """The tokens of the one value between; NotJson where there is none, or something after it."""
    end = len(text) if end is None else end
    position = start
    closers: list[str] = []
    while True:
        token, position = _value(text, position, end)
        yield token
        if token.kind in CLOSERS:
            closers.append(CLOSERS[token.kind])
            closed = CLOSE[token.kind].match(text, position, end)
            if not closed:
                if token.kind == "{":
                    key, position = _key(text, position, end)
                    yield key
                continue
            position = closed.end()
            yield Token(closers.pop(), position - 1, position)
        while closers and (mark := _next(text, position, end)).kind == closers[-1]:
            position = mark.end
            yield mark
            closers.pop()
        if not closers:
            break
        if mark.kind != ",":
            raise NotJson(position)
        position = mark.end
        if closers[-1] == "}":
            key, position = _key(text, position, end)
            yield key
    if not REST.match(text, position, end):
        raise NotJson(position)


def _value(text: str, position: int, end: int) -> tuple[Token, int]:
    """A string, a plain value or the mark that opens a container, and where it is over."""
    found = VALUE.match(text, position, end)
    if not found:
        raise NotJson(position)
    if found["quote"]:
        stop = _string_end(text, found.end(), end)
        return Token("string", found.end(), stop), stop + 1
    if found["plain"]:
        return Token("plain", *found.span("plain")), found.end()
    return Token(found["open"], found.end() - 1, found.end()), found.end()


def _next(text: str, position: int, end: int) -> Token:
    """A comma, or the mark that closes a container."""
    found = NEXT.match(text, position, end)
    if not found:
        raise NotJson(position)
    return Token(found[1], *found.span(1))


def _key(text: str, position: int, end: int) -> tuple[Token, int]:
    quote = QUOTE.match(text, position, end)
    if not quote:
        raise NotJson(position)
    stop = _string_end(text, quote.end(), end)
    colon = COLON.match(text, stop + 1, end)
    if not colon:
        raise NotJson(stop + 1)
    return Token("key", quote.end(), stop), colon.end()


def _string_end(text: str, start: int, end: int) -> int:
    """Where the closing quote stands."""
    plain = PLAIN_STRING.match(text, start, end)
    if plain:
        return plain.end() - 1
    position = start
    while piece := STRING_PIECE.match(text, position, end):
        if piece["end"]:
            return position
        position = piece.end()
    raise NotJson(position)


def take_string(made: Composition, text: str, start: int, end: int) -> None:
    """What a string between its quotes means, every escaped character at its place."""
    if text.find("\\", start, end) < 0:
        made.take(text[start:end], start, end)
        return
    for piece in STRING_PIECE.finditer(text, start, end):
        made.take(_meaning(piece), *piece.span())


def string_value(text: str, start: int, end: int) -> str:
    """What a string between its quotes means."""
    if text.find("\\", start, end) < 0:
        return text[start:end]
    return "".join(map(_meaning, STRING_PIECE.finditer(text, start, end)))


def _meaning(piece: re.Match[str]) -> str:
    if piece["pair"]:
        high, low = int(piece["pair"][:4], 16), int(piece["pair"][-4:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    if piece["unit"]:
        return UNFIT.sub("\ufffd", chr(int(piece["unit"], 16)))
    return piece["words"] or MEANINGS.get(piece["mark"], piece["mark"])


Node: TypeAlias = "dict[str, Node] | list[Node] | Token"


def tree(text: str) -> Node:
    """The one value of a text, its strings and plain values as tokens; of equal keys the last counts."""
    top: list[Node] = []
    open_nodes: list[dict[str, Node] | list[Node]] = [top]
    key = ""
    for token in tokens(text):
        if token.kind == "key":
            key = string_value(text, token.start, token.end)
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
