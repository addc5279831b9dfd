"""Source code's outline: source in, where its classes and functions begin out, by tree-sitter.

It runs in a process of its own because a grammar is native code without a limit: 12 KB of ``/*`` on lines of
their own keep some of them busy for 11 s, four times as long for twice as many.  The walk over the tree looks
only into what takes several lines, and holds no more than one path.  How large a passage may be is not asked
here.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from minisearch.parsers.extract.contents import Unreadable
from minisearch.parsers.extract.grammars import COMMENTS, GRAMMARS, WRAPPERS, Grammar

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, TreeCursor

MAX_DEPTH = 6  # definitions further inside stay part of the one around them
MAX_NAME = 200  # characters

LETTER = re.compile(r"[^\W_]")
SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function: the bytes it takes, from the comments above it on, how deep it is, its name."""

    start: int
    end: int
    depth: int
    name: str


@dataclass(frozen=True, slots=True)
class Outline:
    """Where parts of a source begin, in characters: each with its level and its name.

    A part without a name is what goes on after a definition, in the one around it.
    """

    parts: list[tuple[int, int, str]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"parts": self.parts}


def take(data: bytes) -> Outline:
    """The outline of a source in UTF-8, whose first line is the grammar's name."""
    name, _, source = data.partition(b"\n")
    grammar = GRAMMARS.get(name.decode())
    if grammar is None:
        raise Unreadable(f"no such grammar: {name!r}")
    tree = _parser(name.decode()).parse(source)
    found = sorted(_definitions(tree.walk(), source, grammar), key=lambda one: (one.start, -one.end))
    return Outline(list(_parts(_in_characters(found, source), source.decode())))


@cache
def _parser(name: str) -> Parser:
    from tree_sitter import Language, Parser

    grammar = GRAMMARS[name]
    module = importlib.import_module(grammar.module)
    return Parser(Language(getattr(module, grammar.function)()))


def _definitions(cursor: TreeCursor, source: bytes, grammar: Grammar) -> Iterator[Definition]:
    """Every definition of a tree, from its top down, with what belongs to it above."""
    above = _Above(source)
    ends: list[int] = []  # of the definitions around
    while (node := cursor.node) is not None:
        while ends and ends[-1] <= node.start_byte:
            ends.pop()
        if node.type in COMMENTS:
            above.comment(node)
        elif node.type in WRAPPERS:
            above.wrapper(node)
        elif node.type in grammar.definitions and len(ends) < MAX_DEPTH:
            name = grammar.name(node)
            if name:
                start = above.start(node)
                yield Definition(start, node.end_byte, len(ends) + 1, " ".join(name.split())[:MAX_NAME])
                ends.append(node.end_byte)
        has_lines = node.type in WRAPPERS or node.start_point.row != node.end_point.row
        if has_lines and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


class _Above:
    """What stands right above a definition with no blank line between: comments, decorators, a template."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._start = self._column = self._last_row = -1
        self._wrapper = (-1, -1)

    def comment(self, node: Node) -> None:
        """Take a comment or the like, if it is the first thing on its line."""
        row, column = node.start_point
        if self._source[node.start_byte - column : node.start_byte].strip():
            return
        if not (self._column == column and row == self._last_row + 1):
            self._start, self._column = node.start_byte, column
        end = node.end_point
        self._last_row = end.row - (end.column == 0)

    def wrapper(self, node: Node) -> None:
        """Take the beginning of a node around a definition."""
        self._wrapper = (self._first(node), node.end_byte)

    def start(self, node: Node) -> int:
        """Where the definition begins, with all that."""
        start, end = self._wrapper
        self._wrapper = (-1, -1)
        return start if node.end_byte <= end else self._first(node)

    def _first(self, node: Node) -> int:
        row, column = node.start_point
        is_led = self._start >= 0 and self._column <= column and row == self._last_row + 1
        return self._start if is_led else node.start_byte


def _in_characters(found: list[Definition], source: bytes) -> list[Definition]:
    """The same, counted in characters, in one pass over the source."""
    if source.isascii():
        return found
    n_characters = {}
    last = counted = 0
    for offset in sorted({edge for one in found for edge in (one.start, one.end)}):
        counted += len(source[last:offset].decode("utf-8", "ignore"))
        n_characters[offset] = counted
        last = offset
    return [Definition(n_characters[one.start], n_characters[one.end], one.depth, one.name) for one in found]


def _parts(found: list[Definition], text: str) -> Iterator[tuple[int, int, str]]:
    """Each definition, from the beginning of its line, and what goes on after one."""
    open_: list[Definition] = []
    last = -1  # where the last part began
    last_end = 0
    for one in [*found, None]:
        start = one.start if one else len(text)
        line = text.rfind("\n", 0, start) + 1
        n_ended = sum(around.end <= start for around in open_)
        ended = [open_.pop() for _ in range(n_ended)]
        last_end = max([last_end, *(closed.end for closed in ended)])
        if line >= last_end and line > last:
            start = line
        untils = [*(closed.end for closed in ended[1:]), start]
        for closed, until in zip(ended, untils, strict=False):
            rest = _next_words(text, closed.end)
            if last < rest < until and LETTER.search(text, rest, until):
                yield rest, closed.depth, ""
                last = rest
        if one and start > last:
            yield start, one.depth, one.name
            last = start
            open_.append(one)


def _next_words(text: str, position: int) -> int:
    """The beginning of the next line that is not blank."""
    end = text.find("\n", position)
    words = SPACE.match(text, end) if end >= 0 else None
    return text.rfind("\n", 0, words.end()) + 1 if words else len(text)
