"""Which passages a question is asked of: a small tree of conditions, for Python and the command line alike.

    Path("guides/**") & Extension("md") & Field("author", "=", "x")

A tree is only a description.  The store turns it into parameterised SQL, `search.where` makes one from text.
Conditions on documents are about the file; `Contains` is about the passage itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from minisearch.errors import InputError

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
    """Documents whose path matches a pattern as .gitignore would read it, from where the paths shown begin.

    ``*`` and ``?`` stay within a folder, ``**`` crosses them; a folder's name stands for all below it.
    """

    pattern: str


@dataclass(frozen=True, slots=True)
class Extension(Filter):
    """Documents whose file name ends so, in whatever case; with or without the dot."""

    suffix: str


@dataclass(frozen=True, slots=True)
class Language(Filter):
    """Documents in this language of programming or markup, as the reader named it ("python", "markdown")."""

    name: str


@dataclass(frozen=True, slots=True)
class Since(Filter):
    """Documents whose file was changed at this moment or later; a moment without a zone is local."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class Before(Filter):
    """Documents whose file was changed before this moment."""

    moment: datetime


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
        if isinstance(self.value, bool) and self.operator not in {"=", "!="}:
            raise InputError(f"{self.name} {self.operator} {self.value}: true and false take only = and !=")


@dataclass(frozen=True, slots=True)
class Contains(Filter):
    """Passages with these words in this order in text, heading or title; endings and accents aside."""

    phrase: str


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of them; with none, everything."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """At least one of them; with none, nothing."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """All that the condition leaves out."""

    part: Filter
