"""Which passages a query is asked of: a small tree of conditions, for Python and the command line alike.

    Path("guides/**") & Extension("md") & Field("author", "=", "x")

A tree is only a description.  The store turns it into parameterised SQL, `where` makes one from text.
Conditions on documents are about the file; `Contains` is about the passage itself.  What makes no
sense raises InputError where it is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from minisearch.errors import InputError, short

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains"]
Value = str | float | bool


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
    """Documents whose path matches a pattern as .gitignore would read it, seen from the current folder.

    Where the index was named by an absolute path, also as seen from the folder that holds it.

    ``*`` and ``?`` stay within a folder, ``**`` crosses them; a folder's name stands for all below it.  With
    "/" in front it is of a place on the disk, ``*`` in whatever part of it; where that does not lead to the
    folder that holds the index, of a place in that folder.
    """

    pattern: str

    def __post_init__(self) -> None:
        _must_be_text(self, self.pattern)


@dataclass(frozen=True, slots=True)
class Extension(Filter):
    """Documents whose file name ends so, in whatever case; with or without the dot."""

    suffix: str

    def __post_init__(self) -> None:
        _must_be_text(self, self.suffix)


@dataclass(frozen=True, slots=True)
class Language(Filter):
    """Documents in this language of programming or markup, as the reader named it ("python", "markdown")."""

    name: str

    def __post_init__(self) -> None:
        _must_be_text(self, self.name)


@dataclass(frozen=True, slots=True)
class Since(Filter):
    """Documents whose file was changed at this moment or later; a moment without a zone is local."""

    moment: datetime

    def __post_init__(self) -> None:
        _must_be_moment(self, self.moment)


@dataclass(frozen=True, slots=True)
class Before(Filter):
    """Documents whose file was changed before this moment."""

    moment: datetime

    def __post_init__(self) -> None:
        _must_be_moment(self, self.moment)


@dataclass(frozen=True, slots=True)
class Field(Filter):
    """Documents with a field (front matter, reader's metadata) of which some value compares so.

    Names and texts are compared whatever their case.  Numbers and truth values compare with their own kind
    only, ISO dates as the texts they are.  ``contains`` holds where a value of a list equals it, or a text
    has it inside.  ``!=`` is the opposite of ``=``: a document without the field matches it, and no other.
    """

    name: str
    operator: Operator
    value: Value

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"Field: expected the name of a field, a text, got {short(repr(self.name))}")
        if self.operator not in get_args(Operator):
            raise InputError(
                f"expected one of {' '.join(get_args(Operator))}, got {short(repr(self.operator))}"
            )
        if wrong := _what_is_wrong(self.operator, self.value):
            comparison = f"{short(self.name)} {self.operator} {short(repr(self.value))}"
            raise InputError(f"{comparison}: {wrong}")


@dataclass(frozen=True, slots=True)
class Contains(Filter):
    """Passages with these words in this order in text, heading or title; endings and accents aside."""

    phrase: str

    def __post_init__(self) -> None:
        _must_be_text(self, self.phrase)


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of them; with none, everything."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _must_be_conditions(self, self.parts)


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one of them; with none, nothing."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _must_be_conditions(self, self.parts)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """All that the condition leaves out."""

    part: Filter

    def __post_init__(self) -> None:
        _must_be_condition(self.part)


def _what_is_wrong(operator: Operator, value: object) -> str:
    """What is expected of a value that cannot be compared so; nothing for any other."""
    if not isinstance(value, str | int | float):
        return "expected a text, a number, True or False"
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, bool) and operator not in {"=", "!="}:
        return "true and false take only = and !="
    return ""


def _must_be_text(where: Filter, given: object) -> None:
    if not isinstance(given, str):
        raise InputError(f"{type(where).__name__}: expected a text, got {short(repr(given))}")


def _must_be_moment(where: Filter, given: object) -> None:
    if not isinstance(given, datetime):
        raise InputError(
            f"{type(where).__name__}: expected a datetime such as datetime(2024, 1, 31), "
            f"got {short(repr(given))}"
        )


def _must_be_conditions(where: Filter, given: object) -> None:
    if not isinstance(given, tuple):
        raise InputError(f"{type(where).__name__}: expected a tuple of conditions, got {short(repr(given))}")
    for part in given:
        _must_be_condition(part)


def _must_be_condition(given: object) -> None:
    if not isinstance(given, Filter):
        raise InputError(f"expected a condition of minisearch.filters, got {short(repr(given))}")


def flat(where: And | Or) -> Iterator[Filter]:
    """The parts of a chain such as ``a & b & c``, which Python nests to the left."""
    waiting: list[Filter] = [where]
    while waiting:
        part = waiting.pop()
        if isinstance(part, And | Or) and type(part) is type(where):
            waiting.extend(reversed(part.parts))
        else:
            yield part
