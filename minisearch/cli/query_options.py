"""The options of ``query`` and ``why-not``: how they are read, and what they mean to the search.

The command line comes in; `QueryOptions` go out, and from them the `SearchOptions` of the engine, or why they
match nothing.  Raises InputError for options that make no sense together.  Searching and printing is left to
`query`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from minisearch.cli.options import SectionedCommand
from minisearch.cli.terminal import one_line
from minisearch.errors import InputError, nearest_of, shell_quoted, short
from minisearch.results import BYS, MODES, SearchOptions, place_of

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.filters import Filter
    from minisearch.results import By, Mode, Query, SearchResults
    from minisearch.types import RunOutcome, RunRecord

# As in search/rerank.py, which needs NumPy and is not imported for --help.
AUTO = "auto"  # the better of those that are on this machine
RERANKERS = ("cross", "bi", AUTO)
DIVERSE = 0.5
FORMATS = ("text", "jsonl", "json", "csv", "md", "files", "context")  # json is jsonl
UNFINISHED: dict[RunOutcome, str] = {
    "running": "indexing is in progress",
    "failed": "the last indexing run failed",
    "interrupted": "the last indexing run was interrupted",
}


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """The options of a query as they were given: what to search for, in which files, how to rank."""

    text: str
    batch: str | None = None
    like: str | None = None
    literal: bool = False
    paths: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: str | None = None
    before: str | None = None
    where: str | None = None
    k: int | None = None
    mode: str = MODES[0]
    by: str = BYS[0]
    rerank: str | None = None
    rerank_budget: str | None = None
    rerank_depth: int | None = None
    rerank_model: str | None = None
    diverse: bool = False
    no_evidence: bool = False
    within: tuple[str, ...] = ()  # those of a collection in an index that it shares

    def __post_init__(self) -> None:
        n_given = sum([bool(self.text), self.batch is not None, self.like is not None])
        if not n_given:
            raise InputError("the query is empty: say what you are looking for")
        if n_given > 1:
            raise InputError("TEXT, --batch and --like exclude each other: give one of them")
        if self.like == "":
            raise InputError("--like is empty: expected a file that was indexed, or FILE:LINE")
        if self.literal and self.like is not None:
            raise InputError("--literal is about the operators in a query, and --like has none")
        if self.like is not None and (self.mode != MODES[0] or self._rerank() is not None):
            raise InputError("--like compares by meaning alone: it does not go with --mode and --rerank")
        for option, values in self._file_options():
            if "" in values:
                raise InputError(f"{option} is empty: leave it out for all files, or see minisearch query -h")
        if self.rerank_budget is not None and self.rerank_depth is not None:
            raise InputError("--rerank-budget and --rerank-depth exclude each other: give one of them")

    def search_options(self, default_k: int) -> SearchOptions:
        """The options of the search; --like compares by meaning alone."""
        return SearchOptions(
            k=self.k or default_k,
            mode="dense" if self.like is not None else cast("Mode", self.mode),
            where=self._filter(),
            by=cast("By", self.by),
            rerank=self._rerank(),
            rerank_depth=self.rerank_depth,
            rerank_budget_s=None if self.rerank_budget is None else parse_duration(self.rerank_budget),
            diverse=DIVERSE if self.diverse else None,
            evidence=not self.no_evidence,
        )

    def checked_search_options(self, default_k: int) -> SearchOptions:
        """The same; InputError for a filter that the store would refuse, too.  This imports the storage."""
        from minisearch.search.path_filters import check

        options = self.search_options(default_k)
        if options.where is not None:
            check(options.where)
        return options

    def query(self, text: str) -> str | Query:
        """The text for the engine to parse, or with --literal a query without operators."""
        if not self.literal:
            return text
        from minisearch.search.query import literal_query

        return literal_query(text)

    def file_limits(self) -> Iterator[str]:
        """The options that restrict the files, as they were given."""
        if self.within:
            yield f"the collection's paths ({one_line(', '.join(self.within))})"
        for option, values in self._file_options():
            if values:
                yield " or ".join(f"{option} {one_line(shell_quoted(value))}" for value in values)

    def _file_options(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The options that restrict the files, with their values."""
        repeatable = {"--path": self.paths, "--ext": self.extensions, "--lang": self.languages}
        single = {"--since": self.since, "--before": self.before, "--where": self.where}
        yield from repeatable.items()
        yield from ((option, [] if value is None else [value]) for option, value in single.items())

    def _filter(self) -> Filter | None:
        """All conditions on files as one filter, None where there is none."""
        if not self.within and not any(values for _, values in self._file_options()):
            return None
        # Not at the top, as in `query`: a query that a server answers imports only what it needs.
        from minisearch.filters import And, Before, Extension, Language, Or, Since, parse_where
        from minisearch.filters import Path as PathFilter

        alternatives: list[Sequence[Filter]] = [
            [PathFilter(re.sub(r"([\\*?\[])", r"\\\1", path)) for path in self.within],
            [PathFilter(pattern) for pattern in self.paths],
            [Extension(one) for given in self.extensions for one in re.split(r"[,\s]+", given.lstrip("*"))],
            [Language(name) for name in self.languages],
        ]
        parts = [Or(tuple(any_of)) if len(any_of) > 1 else any_of[0] for any_of in alternatives if any_of]
        dates = ((Since, self.since), (Before, self.before))
        parts += [condition(parse_date(text)) for condition, text in dates if text is not None]
        if self.where is not None:
            parts.append(parse_where(self.where))
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _rerank(self) -> str | None:
        if self.rerank is not None:
            return self.rerank
        is_meant = (self.rerank_budget, self.rerank_depth, self.rerank_model) != (None, None, None)
        return AUTO if is_meant else None


def output_format(
    options: QueryOptions, as_json: bool, files: bool, given: str | None, max_tokens: int | None
) -> str:
    """The format that the options ask for; InputError if they do not agree."""
    asked = {*["json"] * as_json, *["files"] * files, *([given.replace("jsonl", "json")] if given else [])}
    if len(asked) > 1:
        raise InputError(f"{' and '.join(sorted(asked))} are different formats: ask for one of them")
    form = asked.pop() if asked else FORMATS[0]
    if form == "context" and not options.text:
        raise InputError("--format context needs a TEXT: it does not go with --batch and --like")
    if max_tokens is not None and form != "context":
        raise InputError("--max-tokens is the size of a context: it needs --format context")
    return form


class QueryCommand(SectionedCommand):
    """A command with a query: ``--rerank`` may go without its value, and ``-word`` gets a helpful error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; a text that follows a bare ``--rerank`` stays text."""
        end = args.index("--") if "--" in args else len(args)
        for place, arg in enumerate(args[:end]):
            following = next(iter(args[place + 1 :]), "")
            if arg == "--rerank" and following not in RERANKERS:
                args[place] = f"--rerank={AUTO}"
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name.startswith("--"):
                raise
            example = 'minisearch query "bread -rye"'
            raise click.UsageError(
                f"{error.message} To exclude passages with a word, quote it with the query: {example}", ctx
            ) from error


# --- why nothing was found ---------------------------------------------------------------------------


def why_nothing(ms: MiniSearch, found: SearchResults, options: QueryOptions) -> str:
    """Why there is no result, and what to change."""
    status = ms.status()
    if not status.n_chunks:
        return _nothing_indexed(status.last_run)
    operators = [f'the phrase "{one_line(phrase)}"' for phrase in found.query.required]
    operators += [f'not "{one_line(phrase)}"' for phrase in found.query.excluded]
    if limits := [*options.file_limits(), *operators]:
        hints = [*_folders_elsewhere(options), *_unknown_languages(ms, options)]
        hints += ["--literal treats quotes and - in the query as text"] if operators else []
        return "; ".join([f"nothing in the index matches {' and '.join(limits)}", *hints])
    if options.mode == "lexical":
        return "no passage contains any of these words; --mode hybrid searches by meaning too"
    return "nothing in the index is similar to that"


def _nothing_indexed(run: RunRecord | None) -> str:
    if run is not None and run.outcome == "running":
        return "the first indexing run is still in progress; try again later"
    if run is not None and run.outcome in UNFINISHED:
        return f"the index is empty: {UNFINISHED[run.outcome]}; run again: minisearch index"
    return "the index is empty; fill it with: minisearch index FOLDER"


def _folders_elsewhere(options: QueryOptions) -> Iterator[str]:
    """A hint for each --path whose first folder is not in the current folder."""
    for pattern in options.paths:
        first, _, rest = pattern.partition("/")
        if rest and not set(first) & set("*?[\\") and first and not exists(first):
            anywhere = one_line(shell_quoted(f"**/{pattern}"))
            yield f"there is no {one_line(first)} in the current folder: --path {anywhere} looks everywhere"


def _unknown_languages(ms: MiniSearch, options: QueryOptions) -> Iterator[str]:
    """A hint for each language that no document has."""
    known = ms.languages() if options.languages else []
    for name in options.languages:
        if name.casefold() not in known:
            yield one_line(f"no document is in {name}{nearest_of(name, known)}")


# --- files and lines ---------------------------------------------------------------------------------


def place_in(ms: MiniSearch, name: str) -> tuple[str, int | None, int | str | None]:
    """Path, line and page of a place; the name of a file or a document is not taken apart."""
    return place_of(name, lambda path: exists(path) or ms.searcher.has(path))


def lines_on(ms: MiniSearch, path: str, page: int) -> list[int]:
    """The first line of each passage on a page of a document; InputError if there are none."""
    from minisearch.rag import on_page

    return [one.line for one in on_page(ms.searcher.chunks_of(path)[1], path, page)]


def exists(name: str) -> bool:
    """Whether there is a file or folder of this name."""
    try:
        return Path(name).exists()
    except OSError:  # not a name that a file could have
        return False


def read_batch(file: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, with their numbers; - is standard input, read as it arrives."""
    is_empty = True
    try:
        with click.open_file(file, encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    is_empty = False
                    yield number, line.strip()
    except OSError as error:
        raise InputError(f"cannot read queries from {file}: {error.strerror}") from error
    if is_empty:
        raise InputError(f"no queries in {file}: expected one per line")


# --- dates -------------------------------------------------------------------------------------------

# A month is 30 days and a year 365: over such times, a day more or less does not matter.
UNITS = {
    **dict.fromkeys(["min", "minute", "minutes"], timedelta(minutes=1)),
    **dict.fromkeys(["h", "hour", "hours"], timedelta(hours=1)),
    **dict.fromkeys(["d", "day", "days"], timedelta(days=1)),
    **dict.fromkeys(["w", "week", "weeks"], timedelta(weeks=1)),
    **dict.fromkeys(["month", "months"], timedelta(days=30)),
    **dict.fromkeys(["y", "year", "years"], timedelta(days=365)),
}
SPAN = re.compile(r"(\d+)\s*([a-z]+)(?:\s+ago)?")


def parse_date(text: str, *, now: datetime | None = None) -> datetime:
    """The date and time that a text names, in local time where it names no zone; InputError if none.

    >>> parse_date("2 weeks", now=datetime(2024, 3, 15))
    datetime.datetime(2024, 3, 1, 0, 0)

    A date is its first moment: "today" and "yesterday" begin at midnight.
    """
    now = now or datetime.now()
    wanted = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if wanted in {"today", "yesterday"}:
        return midnight - timedelta(days=wanted == "yesterday")
    try:
        if span := SPAN.fullmatch(wanted):
            return now - int(span[1]) * UNITS[span[2]]
        if re.fullmatch(r"\d{4}(-\d\d)?", wanted):
            wanted += "-01" if "-" in wanted else "-01-01"
        return datetime.fromisoformat(re.sub("z$", "+00:00", wanted))  # Python 3.10 knows no Z
    except (ValueError, KeyError, OverflowError) as error:
        raise InputError(
            f"can't read the date '{short(text)}': expected one like 2024-01-31, 2024-01, 2024-01-31T18:30, "
            "7d, '2 weeks' or yesterday"
        ) from error


def parse_duration(text: str) -> float:
    """Seconds of a duration like "300ms", "0.5s" or "2 s"; InputError for anything else.

    >>> parse_duration("300ms")
    0.3
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(ms|s)\s*", text, re.IGNORECASE)
    seconds = float(match[1]) / (1_000 if match[2].lower() == "ms" else 1) if match else 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(
            f"'{short(text)}' is no duration: expected a number above 0 with ms or s, like 300ms or 0.5s"
        )
    return seconds
