"""The outline of source code, by tree-sitter: source comes in, the places of classes and functions come out.

It runs in the sandbox process because a grammar is native code without a time limit: 12 KB of ``/*`` on lines
of their own keep some grammars busy for 11 s, and twice as many four times as long.  The walk over the tree
only enters nodes of several lines, and holds one path at a time.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from minisearch.text import LETTER_OR_DIGIT

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, TreeCursor

MAX_DEPTH = 6  # deeper definitions stay part of the definition around them
MAX_NAME = 200  # characters

SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function: the bytes from the comments above it to its end, its depth, and its name."""

    start: int
    end: int
    depth: int
    name: str


def extract(data: bytes) -> dict[str, Any]:
    """The ``parts`` of a source in UTF-8, after a line with the grammar's name.

    A part is its position in characters, its level, and its name.  One without a name is the rest of a
    definition after another one inside it has ended.
    """
    name, _, source = data.partition(b"\n")
    tree = _parser(name.decode()).parse(source)
    found = sorted(_definitions(tree.walk(), source), key=lambda one: (one.start, -one.end))
    return {"parts": list(_parts(_in_characters(found, source), source.decode()))}


@cache
def _parser(name: str) -> Parser:
    from tree_sitter import Language, Parser

    module = importlib.import_module(MODULES[name])
    language = getattr(module, f"language_{name}", None) or module.language
    return Parser(Language(language()))


def _definitions(cursor: TreeCursor, source: bytes) -> Iterator[Definition]:
    """Every definition of a tree, from the top down, with the comments and decorators above it."""
    above = _Above(source)
    ends: list[int] = []  # of the enclosing definitions
    while (node := cursor.node) is not None:
        while ends and ends[-1] <= node.start_byte:
            ends.pop()
        if node.type in COMMENTS:
            above.comment(node)
        elif node.type in WRAPPERS:
            above.wrapper(node)
        elif len(ends) < MAX_DEPTH and (name := _name(node)):
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
    """The comments, decorators or template directly above a definition, with no blank line between."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._start = self._column = self._last_row = -1
        self._wrapper = (-1, -1)

    def comment(self, node: Node) -> None:
        """Note a comment or decorator, if it is the first thing on its line."""
        row, column = node.start_point
        if self._source[node.start_byte - column : node.start_byte].strip():
            return
        if not (self._column == column and row == self._last_row + 1):
            self._start, self._column = node.start_byte, column
        end = node.end_point
        self._last_row = end.row - (end.column == 0)

    def wrapper(self, node: Node) -> None:
        """Note a node that wraps a definition and begins before it."""
        self._wrapper = (self._first(node), node.end_byte)

    def start(self, node: Node) -> int:
        """Where the definition begins, with what is above it."""
        start, end = self._wrapper
        self._wrapper = (-1, -1)
        return start if node.end_byte <= end else self._first(node)

    def _first(self, node: Node) -> int:
        row, column = node.start_point
        is_led = self._start >= 0 and self._column <= column and row == self._last_row + 1
        return self._start if is_led else node.start_byte


def _in_characters(found: list[Definition], source: bytes) -> list[Definition]:
    """The definitions with offsets in characters in place of bytes, in one pass over the source."""
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
    """Each definition from the beginning of its line, and the rest of a definition after an inner one."""
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
            if last < rest < until and LETTER_OR_DIGIT.search(text, rest, until):
                yield rest, closed.depth, ""
                last = rest
        if one and start > last:
            yield start, one.depth, one.name
            last = start
            open_.append(one)


def _next_words(text: str, position: int) -> int:
    """The start of the next line that is not blank."""
    end = text.find("\n", position)
    words = SPACE.match(text, end) if end >= 0 else None
    return text.rfind("\n", 0, words.end()) + 1 if words else len(text)


# --- grammars -------------------------------------------------------------------------------------------

# The module of each grammar.
MODULES = {name: f"tree_sitter_{name}" for name in ("c", "cpp", "go", "java", "javascript", "python", "rust")}
MODULES |= dict.fromkeys(("tsx", "typescript"), "tree_sitter_typescript")

# The nodes that define something, in any language, with the field that holds the name.
DEFINITIONS = dict.fromkeys(
    """
    abstract_class_declaration annotation_type_declaration class class_declaration class_definition
    class_specifier compact_constructor_declaration concept_definition constructor_declaration
    enum_declaration enum_item enum_specifier function_declaration function_definition function_item
    function_signature generator_function_declaration interface_declaration internal_module
    macro_definition method_declaration method_definition mod_item module namespace_definition
    preproc_function_def public_field_definition record_declaration struct_item struct_specifier trait_item
    type_alias_declaration type_definition type_spec union_item union_specifier variable_declarator
    """.split(),  # noqa: SIM905 - one per line would be 40 lines
    "name",
) | {"assignment_expression": "left", "field_definition": "property", "impl_item": "type", "pair": "key"}

# Nodes that belong to the definition directly below.
COMMENTS = {"comment", "line_comment", "block_comment", "attribute_item", "decorator"}
# Nodes that hold a definition and begin before it.
WRAPPERS = {"decorated_definition", "export_statement", "template_declaration", "type_declaration"}

# In JavaScript a function may be the value of a name: the field of the node that holds the value.
VALUES = {
    "assignment_expression": "right",
    "field_definition": "value",
    "pair": "value",
    "public_field_definition": "value",
    "variable_declarator": "value",
}
FUNCTIONS = {"arrow_function", "function_expression", "generator_function", "class"}


def _name(node: Node) -> str:
    """The name of what a node defines; "" where it defines nothing."""
    if node.type not in DEFINITIONS or not _is_defining(node):
        return ""
    named = node.child_by_field_name(DEFINITIONS[node.type]) or node.child_by_field_name("declarator")
    while named is not None:  # in C the name is inside pointers, arrays and parameters
        inner = named.child_by_field_name("declarator")
        if inner is None:
            break
        named = inner
    if named is None or named.text is None:
        return ""
    return _receiver(node) + named.text.decode("utf-8", "replace")


def _is_defining(node: Node) -> bool:
    """False for a struct without a body, and for a name whose value is no function."""
    if node.type.endswith("_specifier"):
        return node.child_by_field_name("body") is not None
    if field := VALUES.get(node.type):
        value = node.child_by_field_name(field)
        return value is not None and value.type in FUNCTIONS
    return True


def _receiver(node: Node) -> str:
    """The type of a method in Go, with a dot; "" for other nodes."""
    receiver = node.child_by_field_name("receiver")
    if receiver is None or receiver.text is None:
        return ""
    words = receiver.text.decode("utf-8", "replace").strip("() ").partition("[")[0].split()
    return words[-1].lstrip("*") + "." if words else ""
