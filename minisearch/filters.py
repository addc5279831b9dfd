"""Filters: conditions on the passages to search, combined in Python or parsed from text.

    Path("guides/**") & Extension("md") & Field("author", "=", "x")
    parse_where('author = "x" and not draft = true')

A filter is a small tree of frozen conditions.  All but `Contains` are about the document, `Contains` is about
the passage.  A condition that makes no sense raises InputError when it is made.  What a condition means for
stored passages is left to the store.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NoReturn, cast, get_args

from minisearch.errors import MAX_SHOWN, InputError, nearest_of, short
from minisearch.text import folded, storable

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains"]
Value = str | float | bool

MAX_UNKNOWN = 2  # fields that one message names: each is compared with all known ones
A_MOMENT = "a datetime such as datetime(2024, 1, 31)"
MAX_PHRASE = 2_000  # characters, more than a passage has; SQLite cannot be interrupted while it compares them

WHERE_HELP = (
    "Conditions on metadata, such as: author = 'ada' and (year >= 2020 or not tags contains 'k8s'). "
    f"Operators: {', '.join(get_args(Operator))}; and, or, not. docs/filters.md explains them."
)


class Filter:
    """A condition; combine them with ``&``, ``|`` and ``~``."""

    __slots__ = ()

    def __and__(self, other: Filter) -> And:
        return And((self, other))

    def __or__(self, other: Filter) -> Or:
        return Or((self, other))

    def __invert__(self) -> Not:
        return Not(self)


@dataclass(frozen=True, slots=True)
class Path(Filter):
    """Documents whose path matches a pattern, which is read as in .gitignore.

    ``*`` and ``?`` match within one folder, ``**`` across folders; the name of a folder matches every file
    below it.  A pattern without a slash matches a name at any depth.  A relative pattern starts at the
    current folder or, if the index was opened by an absolute path, also at the folder that holds the index.
    A pattern that begins with "/" is an absolute path; if it does not lead to the folder that holds the
    index, it starts at that folder.
    """

    pattern: str

    def __post_init__(self) -> None:
        _must_be(self, self.pattern, str, "a text")


@dataclass(frozen=True, slots=True)
class StoredPath(Path):
    """A pattern of the paths in the store, which no longer depends on the current folder."""


@dataclass(frozen=True, slots=True)
class Extension(Filter):
    """Documents whose file name ends with a suffix, given with or without its dot, in any case."""

    suffix: str

    def __post_init__(self) -> None:
        _must_be(self, self.suffix, str, "a text")


@dataclass(frozen=True, slots=True)
class Language(Filter):
    """Documents in a programming or markup language, as its parser names it ("python", "markdown")."""

    name: str

    def __post_init__(self) -> None:
        _must_be(self, self.name, str, "a text")


@dataclass(frozen=True, slots=True)
class Since(Filter):
    """Documents whose file was changed at this moment or later; without a time zone it is local time."""

    moment: datetime

    def __post_init__(self) -> None:
        _must_be(self, self.moment, datetime, A_MOMENT)


@dataclass(frozen=True, slots=True)
class Before(Filter):
    """Documents whose file was changed before this moment."""

    moment: datetime

    def __post_init__(self) -> None:
        _must_be(self, self.moment, datetime, A_MOMENT)


@dataclass(frozen=True, slots=True)
class Field(Filter):
    """Documents with a field (front matter, metadata) one of whose values compares with ``value`` as asked.

    The case of names and texts does not matter.  Numbers compare with numbers only, true and false with each
    other only; ISO dates compare as texts.  ``contains`` matches if one value of a list equals it, or a text
    contains it.  ``!=`` is the opposite of ``=``, so it also matches documents without the field.  With
    ``is_exact`` texts compare character by character, so their case matters.  A search refuses a field that
    no document has, see `check_fields`, unless ``is_optional``.
    """

    name: str
    operator: Operator
    value: Value
    is_exact: bool = False
    is_optional: bool = False

    def __post_init__(self) -> None:
        _must_be(self, self.name, str, "the name of a field, a text")
        if self.operator not in get_args(Operator):
            raise InputError(
                f"expected one of {' '.join(get_args(Operator))}, got {short(repr(self.operator))}"
            )
        if wrong := _what_is_wrong(self.operator, self.value):
            comparison = f"{short(self.name)} {self.operator} {short(repr(self.value))}"
            raise InputError(f"{comparison}: {wrong}")


@dataclass(frozen=True, slots=True)
class Contains(Filter):
    """Passages with these words in this order in text, heading, title or file name; accents are ignored."""

    phrase: str

    def __post_init__(self) -> None:
        _must_be(self, self.phrase, str, "a text")
        if len(self.phrase) > MAX_PHRASE:
            raise InputError(
                f"a phrase of {len(self.phrase):,} characters, where at most {MAX_PHRASE:,} were expected: "
                f"quote a shorter part of {short(repr(self.phrase))}"
            )


@dataclass(frozen=True, slots=True)
class And(Filter):
    """Matches if all parts match; without parts, always."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _must_be_conditions(self, self.parts)


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Matches if at least one part matches; without parts, never."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _must_be_conditions(self, self.parts)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """Matches if the part does not."""

    part: Filter

    def __post_init__(self) -> None:
        _must_be_condition(self.part)


def _what_is_wrong(operator: Operator, value: object) -> str:
    """What was expected instead of this value; "" if the operator can compare it."""
    if not isinstance(value, str | int | float):
        return "expected a text, a number, True or False"
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, bool) and operator not in {"=", "!="}:
        return "true and false take only = and !="
    return ""


def _must_be(where: Filter, given: object, kind: type, what: str) -> None:
    if not isinstance(given, kind):
        raise InputError(f"{type(where).__name__}: expected {what}, got {short(repr(given))}")


def _must_be_conditions(where: Filter, given: tuple[Filter, ...]) -> None:
    _must_be(where, given, tuple, "a tuple of conditions")
    for part in given:
        _must_be_condition(part)


def _must_be_condition(given: object) -> None:
    if not isinstance(given, Filter):
        raise InputError(f"expected a condition of minisearch.filters, got {short(repr(given))}")


def flat(where: And | Or) -> Iterator[Filter]:
    """The parts of a chain such as ``a & b & c``, which Python nests to the left, in order."""
    waiting: list[Filter] = [where]
    while waiting:
        part = waiting.pop()
        if isinstance(part, And | Or) and type(part) is type(where):
            waiting.extend(reversed(part.parts))
        else:
            yield part


# --- what fields are compared with -------------------------------------------------------------------------

MAX_NUMBER = 1e300  # JSON allows larger numbers, databases do not


def flat_fields(values: Mapping[str, object], prefix: str = "") -> dict[str, tuple[Value, ...]]:
    """The fields of metadata as in JSON: names in lower case, those of inner objects joined with a dot.

    Lists give several values.  What no condition compares, such as None, is left out.

    >>> flat_fields({"Tags": ["a", "b"], "author": {"name": "Ada"}, "none": None})
    {'tags': ('a', 'b'), 'author.name': ('Ada',)}
    """
    flat: dict[str, tuple[Value, ...]] = {}
    for given, value in values.items():
        name = prefix + " ".join(storable(str(given)).lower().split())
        if isinstance(value, Mapping):
            found = flat_fields(value, f"{name}.")
        else:
            plain = map(_plain, value if isinstance(value, list | tuple) else [value])
            found = {name: tuple(one for one in plain if one is not None)}
        for inner, ones in found.items():
            if ones and inner:
                flat[inner] = (*flat.get(inner, ()), *ones)
    return flat


def _plain(value: object) -> Value | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int | float) and abs(value) < MAX_NUMBER:  # false for nan
        return float(value)
    return None


# --- the text form -----------------------------------------------------------------------------------------
#
#     author = "x" and tags contains 'y'
#     not draft = true and (year >= 2020 or year < 1990)
#
# A condition is a field name, an operator and a value: a quoted text, in which a backslash escapes the next
# character; a number; true or false; or a bare word.  A name of other signs than letters, digits, "_", "."
# and "-" is quoted too.  "not" binds closer than "and", "and" closer than "or".  See docs/filters.md.

_MAX_DEPTH = 20  # of parentheses and nots

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[\w.-]+")
_OPERATOR = re.compile(r"!=|<=|>=|=|<|>|contains(?![\w.-])", re.IGNORECASE)
_QUOTED = re.compile(r"""(?s)"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""")
_WORD_SIGN = r"""[^\s()"'=!<>]"""
_BARE = re.compile(f"{_WORD_SIGN}+")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_ESCAPED = re.compile(r"(?s)\\(.)")
_KEYWORD = re.compile(f"(?:and|or|not|contains)(?!{_WORD_SIGN})", re.IGNORECASE)
_AND, _OR, _NOT = (re.compile(f"{word}(?!{_WORD_SIGN})", re.IGNORECASE) for word in ("and", "or", "not"))
_OPENING, _CLOSING = re.compile(r"\("), re.compile(r"\)")


def parse_where(text: str) -> Filter:
    """Parse the text form of a filter.

    >>> parse_where("year >= 2020 or not draft = true").parts[0]
    Field(name='year', operator='>=', value=2020.0)

    Raises InputError, which shows the place and says what was expected, for a text that is no condition.
    """
    if not isinstance(text, str):
        raise InputError(f"expected a condition, a text, got {type(text).__name__}")
    parser = _Parser(text)
    found = parser.any_of()
    parser.expect_end()
    return found


def as_filter(where: Filter | str | None) -> Filter | None:
    """The filter that a caller gave, parsed if it is a text; InputError for anything else."""
    if where is None or isinstance(where, Filter):
        return where
    if isinstance(where, str):
        return parse_where(where)
    raise InputError(
        f"where is {short(repr(where))}: expected a text such as 'author = \"x\"', or conditions such as "
        f"minisearch.filters.Extension('md')"
    )


def check_fields(where: Filter, known: Sequence[str]) -> None:
    """InputError, with the nearest of the ``known`` names, for a condition on a field that no document has.

    >>> check_fields(parse_where("autor = ada and not draft = true"), ["author", "year"])
    Traceback (most recent call last):
    minisearch.errors.InputError: no document has a field autor: did you mean author?

    Documents without the field meet ``!=`` and a condition after ``not``, so there it is no error.
    """
    names = set(known)
    unknown = [name for name in needed_fields(where) if folded(name) not in names]
    named = unknown[:MAX_UNKNOWN]
    hints = [f"no document has a field {short(name)}{nearest_of(name, known)}" for name in named]
    if n_more := len(unknown) - len(named):
        hints.append(f"{n_more:,} more fields of the filter are unknown")
    if hints:
        raise InputError("; ".join(hints))


def needed_fields(where: Filter) -> list[str]:
    """The names in conditions that only a document with the field meets, each once, in order."""
    waiting, names = [(where, False)], list[str]()
    while waiting:
        part, is_negated = waiting.pop()
        if isinstance(part, Field):
            if not part.is_optional and (part.operator == "!=") == is_negated:
                names.append(part.name)
        elif isinstance(part, Not):
            waiting.append((part.part, not is_negated))
        elif isinstance(part, And | Or):
            waiting.extend((one, is_negated) for one in reversed(part.parts))
    return list(dict.fromkeys(names))


class _Parser:
    """A recursive-descent parser: each method reads one kind of phrase and the white space after it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._position = 0
        self._take(_SPACE)

    def any_of(self) -> Filter:
        parts = [self._all_of()]
        while self._take(_OR):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def expect_end(self) -> None:
        if self._position < len(self._text):
            self._fail("and, or, or the end")

    def _all_of(self) -> Filter:
        parts = [self._one()]
        while self._take(_AND):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._fail(f"at most {_MAX_DEPTH} levels of not and parentheses")
        found: Filter
        if self._take(_NOT):
            found = Not(self._one())
        elif self._take(_OPENING):
            found = self.any_of()
            if not self._take(_CLOSING):
                self._fail("and, or, or )")
        else:
            found = self._condition()
        self._depth -= 1
        return found

    def _condition(self) -> Field:
        name = self._quoted() or self._word(_NAME)
        if name is None:
            self._fail("the name of a field, as in: author = x")
        found = self._take(_OPERATOR)
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
        if (text := self._quoted()) is not None:
            return text
        word = self._word(_BARE)
        if word is None:
            self._fail(f"a value after {operator}: a word, a number, true, false, or a text in quotes")
        if word.lower() in {"true", "false"}:
            return word.lower() == "true"
        if _NUMBER.fullmatch(word) and math.isfinite(float(word)):
            return float(word)
        return word

    def _quoted(self) -> str | None:
        """The text in quotes that begins here, if one does, without its quotes and backslashes."""
        if quoted := self._take(_QUOTED):
            return _ESCAPED.sub(r"\1", quoted[1:-1])
        if self._text.startswith(('"', "'"), self._position):
            self._fail("a second quotation mark that ends the text from here")
        return None

    def _word(self, pattern: re.Pattern[str]) -> str | None:
        return None if _KEYWORD.match(self._text, self._position) else self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """Read a match of the pattern here, if there is one, and the white space after it."""
        found = pattern.match(self._text, self._position)
        if found is None:
            return None
        space = _SPACE.match(self._text, found.end())
        self._position = space.end() if space else found.end()
        return found[0]

    def _fail(self, expected: str) -> NoReturn:
        rest = self._text[self._position :]
        word = _BARE.match(rest)
        got = repr(short(word[0] if word else rest[0])) if rest else "the end"
        raise InputError(f"cannot read the condition: expected {expected}, got {got}\n{self._shown()}")

    def _shown(self) -> str:
        """The text around the position, with a caret below it."""
        start = max(0, self._position - MAX_SHOWN // 2)
        line = "".join(c if c.isprintable() else " " for c in self._text[start : start + MAX_SHOWN])
        before = line[: self._position - start]
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in before)
        return f"  {line}\n  {' ' * width}^"
