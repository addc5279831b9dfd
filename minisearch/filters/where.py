"""What ``--where`` says, as a filter: text in, a tree of `Field` conditions out.

    author = "x" and tags contains 'y'
    not draft = true and (year >= 2020 or year < 1990)

A condition is a field's name, a comparison (``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``contains``) and a
value: a text in quotes, where a backslash keeps the next character as it is; a number; ``true`` or ``false``;
or a bare word.  ``not`` binds closer than ``and``, that closer than ``or``; all are read in capitals too.
Which fields there are, and what comparing means, is not known here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NoReturn, cast

from minisearch.errors import MAX_SHOWN, InputError, short
from minisearch.filters.tree import And, Field, Filter, Not, Operator, Or, Value

MAX_DEPTH = 20  # of parentheses and nots

SPACE = re.compile(r"\s*")
NAME = re.compile(r"[\w.-]+")
OPERATOR = re.compile(r"!=|<=|>=|=|<|>|contains(?![\w.-])", re.IGNORECASE)
QUOTED = re.compile(r"""(?s)"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""")
BARE = re.compile(r"""[^\s()"'=!<>]+""")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
ESCAPED = re.compile(r"(?s)\\(.)")
KEYWORDS = {"and", "or", "not", "contains"}


def parse_where(text: str) -> Filter:
    """The filter that a text describes.

    >>> parse_where("year >= 2020 or not draft = true").parts[0]
    Field(name='year', operator='>=', value=2020.0)

    Raises InputError, with the place and what was expected there, for any other text.
    """
    if not isinstance(text, str):
        raise InputError(f"expected a condition, a text, got {type(text).__name__}")
    parser = _Parser(text)
    found = parser.any_of()
    parser.expect_end()
    return found


def as_filter(where: Filter | str | None) -> Filter | None:
    """A filter as a caller gave it, a text parsed; InputError for anything else."""
    if where is None or isinstance(where, Filter):
        return where
    if isinstance(where, str):
        return parse_where(where)
    raise InputError(
        f"where is {short(repr(where))}: expected a text such as 'author = \"x\"', or conditions such as "
        f"minisearch.filters.Extension('md')"
    )


def fields_of(where: Filter) -> list[str]:
    """The names of the fields that a filter asks about, each once, in their order.

    >>> fields_of(parse_where("not year < 2020 and (author = x or year = 2024)"))
    ['year', 'author']
    """
    waiting, names = [where], list[str]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, Field):
            names.append(part.name)
        elif isinstance(part, Not):
            waiting.append(part.part)
        elif isinstance(part, And | Or):
            waiting.extend(reversed(part.parts))
    return list(dict.fromkeys(names))


class _Parser:
    """Reads from left to right; each method takes one kind of thing, and the white space behind it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._position = 0
        self._take(SPACE)

    def any_of(self) -> Filter:
        parts = [self._all_of()]
        while self._take_keyword("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def expect_end(self) -> None:
        if self._position < len(self._text):
            self._fail("and, or, or the end")

    def _all_of(self) -> Filter:
        parts = [self._one()]
        while self._take_keyword("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"at most {MAX_DEPTH} levels of not and parentheses")
        found: Filter
        if self._take_keyword("not"):
            found = Not(self._one())
        elif self._take_mark("("):
            found = self.any_of()
            if not self._take_mark(")"):
                self._fail("and, or, or )")
        else:
            found = self._condition()
        self._depth -= 1
        return found

    def _condition(self) -> Field:
        name = None if self._at_keyword() else self._take(NAME)
        if name is None:
            self._fail("the name of a field, as in: author = x")
        found = self._take(OPERATOR)
        if found is None:
            self._fail(f"=, !=, <, <=, >, >= or contains after {short(name)}")
        operator = cast("Operator", found.lower())
        start = self._position
        value = self._value(found)
        if isinstance(value, bool) and operator not in {"=", "!="}:
            self._position = start
            self._fail(f"a text or a number after {operator} (true and false take only = and !=)")
        return Field(name, operator, value)

    def _value(self, operator: str) -> Value:
        if quoted := QUOTED.match(self._text, self._position):
            self._take(QUOTED)
            return ESCAPED.sub(r"\1", quoted[1] if quoted[1] is not None else quoted[2])
        if self._text.startswith(('"', "'"), self._position):
            self._fail("a second quotation mark that ends the text from here")
        word = None if self._at_keyword() else self._take(BARE)
        if word is None:
            self._fail(f"a value after {operator}: a word, a number, true, false, or a text in quotes")
        if word.lower() in {"true", "false"}:
            return word.lower() == "true"
        if NUMBER.fullmatch(word) and math.isfinite(float(word)):
            return float(word)
        return word

    def _at_keyword(self) -> bool:
        word = BARE.match(self._text, self._position)
        return word is not None and word[0].lower() in KEYWORDS

    def _take_keyword(self, keyword: str) -> bool:
        word = BARE.match(self._text, self._position)
        if word is None or word[0].lower() != keyword:
            return False
        self._take(BARE)
        return True

    def _take_mark(self, mark: str) -> bool:
        return self._take(re.compile(re.escape(mark))) is not None

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """What stands here, if it is of this kind, and the white space behind it."""
        found = pattern.match(self._text, self._position)
        if found is None:
            return None
        space = SPACE.match(self._text, found.end())
        self._position = space.end() if space else found.end()
        return found[0]

    def _fail(self, expected: str) -> NoReturn:
        rest = self._text[self._position :]
        word = BARE.match(rest)
        got = repr(short(word[0] if word else rest[0])) if rest else "the end"
        raise InputError(f"cannot read the condition: expected {expected}, got {got}\n{self._shown()}")

    def _shown(self) -> str:
        """The text around the place, and a caret below it."""
        start = max(0, self._position - MAX_SHOWN // 2)
        line = "".join(c if c.isprintable() else " " for c in self._text[start : start + MAX_SHOWN])
        before = line[: self._position - start]
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in before)
        return f"  {line}\n  {' ' * width}^"
