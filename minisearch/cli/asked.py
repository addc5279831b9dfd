"""What one ``minisearch query`` asks for: the options as they were given, and what they mean to the engine.

Strings come in; the keyword arguments of `MiniSearch.query` go out, or InputError for a choice that makes no
sense.  Asking and printing is `query`'s part.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from minisearch.cli.terminal import one_line
from minisearch.cli.when import parse_moment
from minisearch.errors import InputError
from minisearch.filters import And, Before, Extension, Filter, Language, Or, Since
from minisearch.filters import Path as PathFilter
from minisearch.results import MODES, SearchOptions

if TYPE_CHECKING:
    from minisearch.results import By, Mode, Query

# As in rerankers.py, which needs NumPy and is not imported for --help.
RERANKERS = ("cross", "bi")
AUTO = "auto"  # the better of those that are on this machine
DIVERSE = 0.5
PLACE = re.compile(r"(?s)(.+):([0-9]+)")
MOST_DIGITS = 18  # of a line's number; Python itself refuses to read some thousands


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """The options that say what is asked, of which files, and how it is ranked."""

    text: str
    batch: str | None
    like: str | None
    literal: bool
    paths: tuple[str, ...]
    extensions: tuple[str, ...]
    languages: tuple[str, ...]
    since: str | None
    before: str | None
    where: str | None
    k: int
    mode: str
    by: str
    rerank: str | None
    rerank_budget: str | None
    rerank_depth: int | None
    rerank_model: str | None
    diverse: bool
    no_evidence: bool

    def __post_init__(self) -> None:
        n_given = sum([bool(self.text), self.batch is not None, self.like is not None])
        if not n_given:
            raise InputError("the query is empty: say what you are looking for")
        if n_given > 1:
            raise InputError("TEXT, --batch and --like are three ways to ask: give one of them")
        if self.like == "":
            raise InputError("--like is empty: expected a file that was indexed, or FILE:LINE")
        if self.literal and self.like is not None:
            raise InputError("--literal is about the operators in a query, and --like has none")
        if self.like is not None and (self.mode != MODES[0] or self._rerank() is not None):
            raise InputError(
                "--like compares passages by meaning alone: --mode and --rerank do not go with it"
            )
        for option, values in self._files():
            if "" in values:
                raise InputError(f"{option} is empty: leave it out for all files, or see minisearch query -h")
        if self.rerank_budget is not None and self.rerank_depth is not None:
            raise InputError("--rerank-budget and --rerank-depth both say how many: give one of them")

    def search_options(self) -> SearchOptions:
        """The options of the search; --like compares by meaning alone."""
        return SearchOptions(
            k=self.k,
            mode="dense" if self.like is not None else cast("Mode", self.mode),
            where=self._filter(),
            by=cast("By", self.by),
            rerank=self._rerank(),
            rerank_depth=self.rerank_depth,
            rerank_budget_s=_seconds(self.rerank_budget),
            diverse=DIVERSE if self.diverse else None,
            evidence=not self.no_evidence,
        )

    def query(self, text: str) -> str | Query:
        """What is asked: a text for the engine to take apart, or one to take as it is."""
        if not self.literal:
            return text
        from minisearch.search.query import literal_query  # needs NumPy, as all below does

        return literal_query(text)

    def limits(self) -> Iterator[str]:
        """The conditions on files, as they were given."""
        for option, values in self._files():
            if given := [value for value in values if value is not None]:
                yield " or ".join(f"{option} {shlex.quote(one_line(value))}" for value in given)

    def _files(self) -> Iterator[tuple[str, Sequence[str | None]]]:
        """The options that say which files, each with what was given."""
        yield "--path", self.paths
        yield "--ext", self.extensions
        yield "--lang", self.languages
        yield "--since", [self.since]
        yield "--before", [self.before]
        yield "--where", [self.where]

    def _filter(self) -> Filter | None:
        """All conditions on files together, None where there is none."""
        alternatives: list[Sequence[Filter]] = [
            [PathFilter(pattern) for pattern in self.paths],
            [Extension(suffix) for suffix in self.extensions],
            [Language(name) for name in self.languages],
        ]
        parts = [_any_of(conditions) for conditions in alternatives if conditions]
        if self.since is not None:
            parts.append(Since(parse_moment(self.since)))
        if self.before is not None:
            parts.append(Before(parse_moment(self.before)))
        if self.where is not None:
            from minisearch.filters import parse_where

            parts.append(parse_where(self.where))
        if not parts:
            return None
        from minisearch.search.path_filters import check  # it comes with all of the storage

        where = And(tuple(parts)) if len(parts) > 1 else parts[0]
        check(where)
        return where

    def _rerank(self) -> str | None:
        if self.rerank is not None:
            return self.rerank
        is_meant = (self.rerank_budget, self.rerank_depth, self.rerank_model) != (None, None, None)
        return AUTO if is_meant else None


def file_and_line(given: str) -> tuple[str, int | None]:
    """``FILE:LINE`` taken apart, or ``FILE:LINE:COLUMN`` as a page prints it; a file called so goes first."""
    found = PLACE.fullmatch(given)
    if found is None or is_there(given):
        return given, None
    if not is_there(found[1]):
        found = PLACE.fullmatch(found[1]) or found  # the last number is a column
    path, line = found[1], found[2]
    if len(line) > MOST_DIGITS:
        raise InputError(f"{one_line(path)} has no line {line[:10]}...: expected one in the file")
    return path, int(line)


def is_there(name: str) -> bool:
    """Whether there is a file or folder of this name."""
    try:
        return Path(name).exists()
    except OSError:  # no name that a file could have
        return False


def _any_of(conditions: Sequence[Filter]) -> Filter:
    return conditions[0] if len(conditions) == 1 else Or(tuple(conditions))


def _seconds(duration: str | None) -> float | None:
    if duration is None:
        return None
    from minisearch.search.rerank import parse_duration

    return parse_duration(duration)
