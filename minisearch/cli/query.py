"""``minisearch query`` and ``minisearch why-not``: search the index, and explain why a file was not found.

Options come in; one search and one printed page for each query go out.  What an empty result means is
explained here; how results look is left to `page`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.options import (
    IndexChoice,
    json_option,
    model_name,
    nearest,
    number,
    offline_option,
    one_of,
    section,
    with_index,
    wrong_usage,
)
from minisearch.cli.query_options import RERANKERS, QueryCommand, QueryOptions, exists, file_and_line
from minisearch.cli.terminal import Terminal, as_json_line, one_line, printable
from minisearch.errors import IndexBusy, IndexNotWritable, IngestError, InputError, ShrinkRefused
from minisearch.filters import fields_of, parse_where
from minisearch.results import BYS, MODES, SearchResults

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.results import SearchOptions, SearchResult
    from minisearch.search.why_not import WhyNot
    from minisearch.types import RunRecord

FIELDS_SHOWN = 8
HOW_IT_ENDED = {"failed": "failed", "interrupted": "was interrupted"}

query_option, files_option, ranking_option, output_option = map(
    section, ["What to search for", "Which files", "How to rank", "What to print"]
)


@click.command(cls=QueryCommand)
@click.argument("text", nargs=-1)
@query_option("--batch", metavar="FILE", help="Search for each line of FILE; - is standard input.")
@query_option("--like", metavar="FILE[:LINE]", help="Find more like this file, or the passage at this line.")
@query_option("--literal", is_flag=True, help="Treat quotes, - and + in the query as plain text.")
@files_option("--path", "paths", metavar="GLOB", multiple=True, help="Paths like 'guides/**'; repeatable.")
@files_option(
    "--ext", "extensions", metavar="EXT", multiple=True, help="File extension, such as md; repeatable."
)
@files_option(
    "--lang", "languages", metavar="NAME", multiple=True, help="Language, such as python or markdown."
)
@files_option("--since", metavar="WHEN", help="Changed since: 2024-01-31, 7d, '2 weeks', yesterday.")
@files_option("--before", metavar="WHEN", help="Changed before: the same forms.")
@files_option(
    "--where", metavar="EXPR", help='Metadata in the files: \'author = "x" and tags contains "y"\'.'
)
@ranking_option("-k", "k", **number(10), help="Number of results.")
@ranking_option(
    "--mode",
    **one_of(MODES, "mode"),
    default=MODES[0],
    help="By meaning and words, meaning, or words.  [default: hybrid]",
)
@ranking_option(
    "--by",
    **one_of(BYS, "--by"),
    default=BYS[0],
    help="What a result is; chunk merges nothing.  [default: passage]",
)
@ranking_option(
    "--rerank",
    **one_of(RERANKERS, "reranker") | {"metavar": "[cross|bi]"},
    help="Score the best results again with a larger model.",
)
@ranking_option("--rerank-budget", metavar="TIME", help="Rerank as many as fit in this time, such as 300ms.")
@ranking_option("--rerank-depth", **number(), help="Rerank this many.")
@ranking_option("--rerank-model", type=model_name, metavar="NAME", help="Name or folder of the larger model.")
@ranking_option("--diverse", is_flag=True, help="Prefer results that differ from those above them.")
@output_option("--full", is_flag=True, help="Print whole passages.")
@output_option("--why", is_flag=True, help="Show the scores of each search step.")
@output_option("--no-evidence", is_flag=True, help="Do not look for the sentence that matches.")
@output_option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for scripts.")
@click.option("--refresh", is_flag=True, help="Index changed files first.")
@offline_option
@with_index
def query(
    index: IndexChoice,
    text: tuple[str, ...],
    full: bool,
    why: bool,
    as_json: bool,
    refresh: bool,
    **given: Any,  # noqa: ANN401 - the fields of `QueryOptions`
) -> None:
    """Print the passages that answer TEXT, best first.

    The search is by meaning and by words.

    \b
      minisearch query "how do I retry a failed task" --ext md --since "2 weeks"
      minisearch query 'bread "sour dough" -rye +crust^0.5'
      minisearch query --like docs/tasks.md:40

    In TEXT, every result contains "a phrase" and none contains -word; +concept and -concept^0.5 move the
    query towards a concept or away from it. A number, such as a telephone number, is searched as a phrase if
    the index contains it. Put -- before a TEXT that begins with a dash.

    A percentage is the relevance: how sure it is that the passage answers. The sentence that matches is bold;
    without colour, its lines begin with >.

    --json prints the fields of SearchResult with evidence and merged places, and for the query is_confident,
    required and excluded; with --batch also query, with --why also search. A query of a batch without results
    prints one line: rank is null, and no_results or error gives the reason.

    An invalid query in a batch is reported on standard error with its line number, and the other queries are
    answered; the exit code is then 1. The same holds if --refresh fails: the existing index is searched.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    with wrong_usage():
        options = QueryOptions(text=" ".join(text), **given)
        search = options.search_options()
    with index.open(rerank_model=options.rerank_model) as ms:
        n_failed = int(refresh and not _refresh(ms))
        for answer in _answers(ms, options, search):
            _show(answer, ms, options, full=full, why=why, as_json=as_json)
            n_failed += bool(answer.error)
    if n_failed:
        sys.exit(1)


def _refresh(ms: MiniSearch) -> bool:
    """Index changed files; False, with a message, where that fails and the existing index is searched."""
    from minisearch.cli.indexing import counts, news  # with its imports, too much for a query

    try:
        report = ms.refresh()
    except (IndexBusy, IndexNotWritable, IngestError, InputError, ShrinkRefused) as error:
        click.echo(f"Not refreshed: {printable(str(error))}", err=True)
        return False
    has_changed = report.added or report.updated or report.removed
    for line in [*([counts(report)] if has_changed else []), *news(report)]:
        click.echo(line, err=True)
    return True


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of one query, or the error that makes it invalid; ``query`` is None outside of a batch."""

    query: str | None
    found: SearchResults
    error: str = ""


def _answers(ms: MiniSearch, options: QueryOptions, search: SearchOptions) -> Iterator[Answer]:
    """The answer to each query, as soon as it is found."""
    if options.like is not None:
        path, line = file_and_line(options.like)
        yield Answer(None, ms.searcher.like(path, line, search))
    elif options.batch is None:
        yield Answer(None, ms.searcher.query(options.query(options.text), search))
    else:
        has_failed = False
        for number, text in _batch(options.batch):
            try:
                yield Answer(text, ms.searcher.query(options.query(text), search))
            except InputError as error:  # noqa: PERF203 - a search costs more
                if not has_failed:
                    ms.searcher.query("anything", search)  # raises too if the options are at fault
                has_failed = True
                yield Answer(text, SearchResults(), f"{options.batch}, line {number}: {error}")


def _batch(file: str) -> Iterator[tuple[int, str]]:
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


# --- what is printed ---------------------------------------------------------------------------------


def _show(
    answer: Answer, ms: MiniSearch, options: QueryOptions, *, full: bool, why: bool, as_json: bool
) -> None:
    """Print the answer to one query; on standard error its error, or why nothing was found."""
    reason = "" if answer.found or answer.error else why_nothing(ms, answer.found, options)
    if as_json:
        _print_json(answer, reason, why=why)
    else:
        _print_page(answer, _remark(ms), full=full, why=why)
    if answer.error:
        click.echo(f"Error: {printable(answer.error)}", err=True)
    elif reason:
        about = "" if answer.query is None else f" for {one_line(answer.query)!r}"
        click.echo(f"No results{about}: {reason}", err=True)


def _print_page(answer: Answer, remark: str, *, full: bool, why: bool) -> None:
    """The page of one query, in a batch below the query itself."""
    terminal = Terminal.of_stdout()
    parts = [] if answer.query is None else [terminal.styled(f"== {one_line(answer.query)}", "1")]
    if answer.found:
        from minisearch.cli.page import page  # --help need not compile its patterns

        parts.append(page(answer.found, terminal, whole=full, why=why, remark=remark))
    if parts:
        end = "" if answer.query is None else "\n"
        click.echo("\n\n".join(parts) + end, color=True)  # `Terminal` has decided about styles


def _print_json(answer: Answer, reason: str, *, why: bool) -> None:
    """A line for each result; for a query of a batch without results, one line with the reason."""
    found = answer.found
    about: dict[str, Any] = {
        "is_confident": found.is_confident,
        "required": found.query.required,
        "excluded": found.query.excluded,
    }
    if found.typed:
        about["typed"] = found.typed
    if why:
        names = ("mode", "plan", "n_matching", "n_reranked")
        about["search"] = {"question": found.query} | {name: getattr(found, name) for name in names}
    if answer.query is not None:
        about["query"] = answer.query
    for result in found:
        click.echo(as_json_line(asdict(result) | about))
    if not found and answer.query is not None:
        cause = {"error": answer.error} if answer.error else {"no_results": reason}
        click.echo(as_json_line({"rank": None, **cause, **about}))


def _remark(ms: MiniSearch) -> str:
    """What a reader of the results has to know about the index: that it is incomplete."""
    status = ms.status()
    run = status.last_run
    if run and run.outcome not in {"complete", "rolled back"}:
        is_over = run.outcome in HOW_IT_ENDED
        state = f"the last indexing run {HOW_IT_ENDED[run.outcome]}" if is_over else "indexing is in progress"
        return f"({state}: the index may be incomplete)"
    return ""


# --- why nothing was found ---------------------------------------------------------------------------


def why_nothing(ms: MiniSearch, found: SearchResults, options: QueryOptions) -> str:
    """Why there is no result, and what to change."""
    status = ms.status()
    if not status.n_chunks:
        return _nothing_indexed(status.last_run)
    operators = [f'the phrase "{one_line(phrase)}"' for phrase in found.query.required]
    operators += [f'not "{one_line(phrase)}"' for phrase in found.query.excluded]
    if limits := [*options.file_limits(), *operators]:
        hints = [*_folders_elsewhere(options), *_extension_patterns(options), *_unknown_names(ms, options)]
        hints += ["--literal treats quotes and - in the query as text"] if operators else []
        return "; ".join([f"nothing in the index matches {' and '.join(limits)}", *hints])
    if options.mode == "lexical":
        return "no passage contains any of these words; --mode hybrid searches by meaning too"
    return "nothing in the index is similar to that"


def _nothing_indexed(run: RunRecord | None) -> str:
    roots = "" if run is None else " ".join(map(one_line, run.roots))
    if run is not None and run.outcome == "running":
        return f"the first indexing run, over {roots}, is still in progress; try again later"
    if run is not None and run.outcome in HOW_IT_ENDED:
        ended = f"the last indexing run, over {roots}, {HOW_IT_ENDED[run.outcome]}"
        return f"the index holds no documents: {ended}; run again: minisearch index"
    return "the index holds no documents; fill it with: minisearch index FOLDER"


def _folders_elsewhere(options: QueryOptions) -> Iterator[str]:
    """A hint for each --path whose first folder is not in the current folder."""
    for pattern in options.paths:
        first, _, rest = pattern.partition("/")
        if rest and not set(first) & set("*?[\\") and first and not exists(first):
            anywhere = shlex.quote(one_line(f"**/{pattern}"))
            yield f"there is no {one_line(first)} in the current folder: --path {anywhere} looks everywhere"


def _extension_patterns(options: QueryOptions) -> Iterator[str]:
    """A hint for each --ext that is a pattern, or a list of extensions."""
    for suffix in options.extensions:
        if len(several := suffix.replace(",", " ").split()) > 1:
            each = " ".join(f"--ext {shlex.quote(one_line(one.lstrip('.')))}" for one in several)
            yield f"--ext takes one extension: {each}"
        if set(suffix) & set("*/"):
            yield "--ext takes an extension, such as md; --path takes patterns"


def _unknown_names(ms: MiniSearch, options: QueryOptions) -> Iterator[str]:
    """A hint for each language and field that no document has."""
    known = ms.languages() if options.languages else []
    for name in options.languages:
        if name.casefold() not in known:
            yield f"no document is in {one_line(name)}{_instead(name, known)}"
    known = ms.field_names() if options.where is not None else []
    for name in fields_of(parse_where(options.where)) if options.where is not None else []:
        if name.casefold() not in known:
            yield f"no document has a field {one_line(name)}{_instead(name, known)}"


def _instead(name: str, known: Sequence[str]) -> str:
    """The known name with the most similar spelling, or else the first known names."""
    if near := nearest(name, known, cutoff=0.6):
        return f": did you mean {one_line(near)}?"
    if not known:
        return ", or any other"
    n_more = len(known) - FIELDS_SHOWN
    more = f" and {n_more:,} more" if n_more > 0 else ""
    return f": there {'are' if len(known) > 1 else 'is'} {one_line(', '.join(known[:FIELDS_SHOWN]))}{more}"


# --- why-not -----------------------------------------------------------------------------------------

ONLY_QUERY = {"text", "batch", "like", "no_evidence", "full", "why", "as_json", "refresh"}
ONLY_QUERY |= {"offline", "index_folder", "verbose"}


@click.command(
    "why-not", cls=QueryCommand, params=[option for option in query.params if option.name not in ONLY_QUERY]
)
@click.argument("file", metavar="FILE[:LINE]")
@click.argument("text", nargs=-1, required=True)
@offline_option
@json_option
@with_index
def why_not(index: IndexChoice, file: str, text: tuple[str, ...], as_json: bool, **given: Any) -> None:  # noqa: ANN401
    """Explain why a file was not found.

    The query is TEXT; with a LINE, the passage at that line is meant. The file may not be indexed, not match
    a filter, or rank below the results that are shown, by meaning, by words or by both. The options are those
    of query.

    \b
      minisearch why-not docs/tasks.md "how do I retry a failed task" -k 5
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    with wrong_usage():
        options = QueryOptions(text=" ".join(text), batch=None, like=None, no_evidence=True, **given)
        search = options.search_options()
    if not options.text.strip():
        raise InputError("the query is empty: say what you are looking for")
    with index.open(rerank_model=options.rerank_model) as ms:
        path, line = file_and_line(file)
        found = ms.searcher.why_not(path, line, options.query(options.text), search)
    click.echo(as_json_line(found) if as_json else _why_not_text(found, line))


def _why_not_text(found: WhyNot, line: int | None) -> str:
    place = found.path if line is None else f"{found.path}:{line}"
    lines = [one_line(f"{place}: {found.verdict}: {found.reason}")]
    if found.verdict != "found":
        rows = {"last result": found.last, "best passage": found.passage}
        lines += [_scores(name, result) for name, result in rows.items() if result is not None]
    return "\n".join(lines)


def _scores(name: str, result: SearchResult) -> str:
    """A result with its rank and score in each search step."""
    trace = result.trace
    steps = {
        "by meaning": (trace.dense_rank, trace.cosine),
        "by words": (trace.lexical_rank, trace.bm25),
        "fused": (trace.rank_before_rerank, trace.fused),
        "reranked": (None, trace.rerank),
    }
    shown = [
        " ".join([step, *([f"{rank:,}"] if rank else []), *([f"({score:.3f})"] if score is not None else [])])
        for step, (rank, score) in steps.items()
        if rank is not None or score is not None
    ]
    return one_line(f"{name:<18}{result.path}:{result.line}  {', '.join(shown)}")
