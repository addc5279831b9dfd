"""``minisearch query``: search the index, and print the results, or why there are none.

Options come in; one search and one page, list or context for each query go out.  How results look is left to
`page`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from minisearch.cli.options import (
    A_MODEL,
    EXIT_NO_RESULTS,
    EXIT_QUERY_ERROR,
    IndexChoice,
    complete_file,
    number,
    offline_option,
    one_of,
    pager_option,
    section,
    with_index,
    wrong_usage,
)
from minisearch.cli.query_options import (
    FORMATS,
    RERANKERS,
    UNFINISHED,
    QueryCommand,
    QueryOptions,
    lines_on,
    output_format,
    place_in,
    read_batch,
    why_nothing,
)
from minisearch.cli.terminal import Terminal, as_json_line, name_line, one_line, printable, shortened
from minisearch.errors import (
    IndexBusy,
    IndexNotWritable,
    IngestError,
    InputError,
    MinisearchError,
    ShrinkRefused,
)
from minisearch.paths import IndexLocation
from minisearch.results import BYS, MODES, SearchOptions, SearchResults
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.server.client import Answer as Served
    from minisearch.types import RunOutcome

MAX_TOKENS = 2_000  # as in rag.py, which needs NumPy and is not imported for --help
K, K_ON_SCREEN, K_FOR_CONTEXT = 10, 5, 20
LINES = (4, 3, 2)  # of each passage: as many as let the page fit on the screen
FEWEST_RESULTS = 3  # below that, a page is longer than the screen
GET_RERANKER = "minisearch models download ms-marco-MiniLM-L12-v2"

query_option, files_option, ranking_option, output_option = map(
    section, ["What to search for", "Which files", "How to rank", "What to print"]
)


@click.command(cls=QueryCommand)
@click.argument("text", nargs=-1)
@query_option(
    "--batch",
    metavar="FILE",
    shell_complete=complete_file,
    help="Search for each line of FILE; - is standard input.",
)
@query_option(
    "--like",
    metavar="FILE[:LINE]",
    shell_complete=complete_file,
    help="Find more like this file, or the passage at this line or page.",
)
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
    "--where",
    metavar="EXPR",
    help='Metadata in the files: \'author = "x" and tags contains "y"\', see docs/filters.md.',
)
@ranking_option(
    *("-k", "-n", "--limit", "k"), **number(), help="Number of results.  [default: 10, on a screen 5]"
)
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
@ranking_option("--rerank-model", **A_MODEL, help="Name or folder of the larger model.")
@ranking_option("--diverse", is_flag=True, help="Prefer results that differ from those above them.")
@output_option("--full", is_flag=True, help="Print whole passages.")
@output_option("--why", is_flag=True, help="Show the scores of each search step.")
@output_option("--no-evidence", is_flag=True, help="Do not look for the sentences that match.")
@output_option("--json", "as_json", is_flag=True, help="Print one JSON object per line, for scripts.")
@output_option("-l", "--files", is_flag=True, help="Print only the names of the files.")
@output_option(
    "--format",
    "format_",
    **one_of(FORMATS, "format") | {"metavar": "NAME"},
    help="text, json (or jsonl), csv, md (Markdown), files, or context (for a prompt).",
)
@output_option("--max-tokens", **number(), help=f"Size of the context.  [default: {MAX_TOKENS}]")
@pager_option
@click.option("--refresh", is_flag=True, help="Index changed files first.")
@offline_option
@with_index
def query(
    index: IndexChoice,
    text: tuple[str, ...],
    full: bool,
    why: bool,
    as_json: bool,
    files: bool,
    format_: str | None,
    max_tokens: int | None,
    no_pager: bool,
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

    A percentage is the relevance: how sure it is that the passage answers. The sentences that match are bold;
    without colour, their lines begin with >. minisearch get N prints the section around result N, and
    minisearch open N opens it.

    --json prints the fields of SearchResult with evidence and merged places, and for the query is_confident,
    required and excluded; with --batch also query, with --why also search; if misspelt words were corrected,
    typed and searched. In JSON and CSV, line is where the passage begins, and place where the sentences that
    match are. A query of a batch without results prints one line: rank is null, and no_results or
    error gives the reason.

    An invalid query in a batch is reported on standard error with its line number, and the other queries are
    answered; the exit code is then 2. The same holds if --refresh fails: the existing index is searched.

    The exit code is 0 with results, 1 without any, 2 after an error. Results without a clear answer are
    results: scripts find that in is_confident.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    with wrong_usage():
        options = QueryOptions(text=" ".join(text), within=index.within, **given)
        form = output_format(options, as_json, files, format_, max_tokens)
        terminal = Terminal.of_stdout()
        default_k = _default_k(form, terminal, options)
        search = options.search_options(default_k)
        if form == "files":
            search = replace(search, by="document", evidence=False)
    output = Output(form, terminal, full, why, uses_pager=not no_pager, is_k_given=options.k is not None)
    if form != "context" and not refresh and (served := _served(index, options, search)):
        _show(Answer(None, served.found, remark=_remark(served.outcome)), output, index)
        return
    with wrong_usage():
        options.checked_search_options(default_k)
    with index.open(rerank_model=options.rerank_model) as ms:
        n_found, n_failed = 0, int(refresh and not _refresh(ms))
        if search.rerank == "auto" and options.rerank_model is None and not ms.searcher.has_reranker():
            click.echo(f"Not reranked: the model is not on this machine; {GET_RERANKER} gets it", err=True)
            search = replace(search, rerank=None, rerank_depth=None, rerank_budget_s=None)
        if form == "context":
            n_found = _print_context(ms, index, options, search, max_tokens or MAX_TOKENS)
        else:
            for answer in _answers(ms, options, search):
                run = ms.status().last_run if form == "text" else None
                reason = "" if answer.found or answer.error else why_nothing(ms, answer.found, options)
                remark = _remark(run.outcome if run else "")
                _show(replace(answer, reason=reason, remark=remark), output, index, is_first=not n_found)
                n_found += len(answer.found)
                n_failed += bool(answer.error)
    if n_failed or not n_found:
        sys.exit(EXIT_QUERY_ERROR if n_failed else EXIT_NO_RESULTS)


@dataclass(frozen=True, slots=True)
class Output:
    """How results are printed: the format, the terminal, and the options of a page."""

    format: str
    terminal: Terminal
    full: bool = False
    why: bool = False
    uses_pager: bool = True
    is_k_given: bool = False


def _default_k(form: str, terminal: Terminal, options: QueryOptions) -> int:
    if form == "context":
        return K_FOR_CONTEXT
    return K_ON_SCREEN if form == "text" and terminal.rows and options.batch is None else K


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


def _served(index: IndexChoice, options: QueryOptions, search: SearchOptions) -> Served | None:
    """The answer of a running server of the index; None without one, or if only this process can answer.

    Errors too are left to this process.
    """
    is_model_needed = options.rerank_model is not None or (index.is_offline and search.rerank is not None)
    if not options.text or index.is_verbose or is_model_needed:
        return None
    from minisearch.server.client import ask

    try:
        location = IndexLocation(index.found())
        if search.where is not None:
            from minisearch.search.path_filters import with_stored_paths

            search = replace(search, where=with_stored_paths(search.where, location))
        return ask(location, options.query(options.text), search, meanwhile=_import_page)
    except MinisearchError:
        return None


def _import_page() -> None:
    import minisearch.cli.page
    import minisearch.cli.places  # noqa: F401


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of one query, or the error that makes it invalid; ``query`` is None outside of a batch.

    ``reason`` says why there are no results, ``remark`` what a reader has to know about the index.
    """

    query: str | None
    found: SearchResults
    error: str = ""
    reason: str = ""
    remark: str = ""

    @property
    def label(self) -> str:
        """The query, as a heading or a message names it."""
        return shortened(one_line(self.query or ""))


def _answers(ms: MiniSearch, options: QueryOptions, search: SearchOptions) -> Iterator[Answer]:
    """The answer to each query, as soon as it is found."""
    if options.like is not None:
        path, line, page = place_in(ms, options.like)
        if isinstance(page, int):
            line = lines_on(ms, path, page)[0]
        yield Answer(None, ms.searcher.similar(path, line, search))
    elif options.batch is None:
        yield Answer(None, ms.searcher.query(options.query(options.text), search))
    else:
        has_failed = False
        for number, text in read_batch(options.batch):
            try:
                yield Answer(text, ms.searcher.query(options.query(text), search))
            except InputError as error:  # noqa: PERF203 - a search costs more
                if not has_failed:
                    ms.searcher.query("anything", search)  # raises too if the options are at fault
                has_failed = True
                yield Answer(text, SearchResults(), f"{options.batch}, line {number}: {error}")


# --- what is printed ---------------------------------------------------------------------------------


def _show(answer: Answer, output: Output, index: IndexChoice, *, is_first: bool = True) -> None:
    """Print the answer to one query; on standard error its error, or the reason why nothing was found."""
    from minisearch.cli.page import as_csv, as_markdown, unclear  # --help need not compile its patterns
    from minisearch.cli.places import remember

    if answer.query is None:
        remember(str(index.found()), [(hit.path, *hit.at) for hit in answer.found])
    if output.format in {"csv", "files", "md"}:
        said = "" if output.format == "md" else unclear(answer.found)  # Markdown has it in the text
        _say_first(answer.found.query.text if answer.found.typed else "", said, answer.label)
    if output.format == "json":
        _print_json(answer, why=output.why)
    elif output.format == "csv":
        click.echo(as_csv(answer.found, query=answer.query, has_header=is_first), nl=False)
    elif output.format == "md":
        click.echo(as_markdown(answer.found, query=answer.query), nl=False)
    else:
        _print_text(answer, output)
    if answer.error:
        click.echo(f"Error: {printable(answer.error)}", err=True)
    elif answer.reason:
        about = "" if answer.query is None else f" for {answer.label!r}"
        click.echo(f"No results{about}: {answer.reason}", err=True)


def _say_first(searched: str, unclear: str, label: str = "") -> None:
    """On standard error what a page says above the results: the corrected query, and no clear answer."""
    about = f"{label!r}: " if label else ""
    corrected = f"Showing results for: {one_line(searched)}; --literal searches for what was typed"
    for said in [*[corrected] * bool(searched), *[unclear] * bool(unclear)]:
        click.echo(about + said, err=True)


def _print_text(answer: Answer, output: Output) -> None:
    """The page of one query, or the files; in a batch below the query itself."""
    terminal, found, is_batch = output.terminal, answer.found, answer.query is not None
    if is_batch:
        heading = terminal.styled(f"== {answer.label}", "1")
        click.echo(f"{heading}\n" if found else heading, color=True)
    if found:
        if output.format == "files":
            paths = dict.fromkeys(hit.path for hit in found)
            text = "\n".join(terminal.linked(name_line(path), path, 1) for path in paths)
        else:
            found, text = _fitting(found, answer.remark, output, is_k_given=output.is_k_given or is_batch)
        terminal.show(text, uses_pager=output.uses_pager and not is_batch)
    if is_batch:
        click.echo()


def _fitting(
    found: SearchResults, remark: str, output: Output, *, is_k_given: bool
) -> tuple[SearchResults, str]:
    """The results that are shown, and their page: short enough for the screen where that is possible."""
    from minisearch.cli.page import page  # --help need not compile its patterns

    def text_of(shown: SearchResults, n_lines: int, note: str) -> str:
        style = partial(page, shown, whole=output.full, why=output.why, n_lines=n_lines, remark=note)
        text = style(output.terminal)
        if output.terminal.fits(text) or not output.uses_pager:
            return text
        return style(replace(output.terminal, link=""))  # not every pager knows links

    shortest = len(found) if is_k_given or output.full or output.why else min(FEWEST_RESULTS, len(found))
    for n in range(len(found), shortest - 1, -1):
        note = remark or (
            f"({count(len(found) - n, 'more result')}: -k {len(found)})" if n < len(found) else ""
        )
        for n_lines in LINES:
            shown = found[:n]
            text = text_of(shown, n_lines, note)
            if output.terminal.fits(text):
                return shown, text
    return found, text_of(found, LINES[0], remark)


def _print_context(
    ms: MiniSearch, index: IndexChoice, options: QueryOptions, search: SearchOptions, max_tokens: int
) -> int:
    """Numbered passages for a prompt, and how many; on standard error why there are none."""
    from minisearch.cli.page import unclear
    from minisearch.cli.places import remember

    chosen = {field.name: getattr(search, field.name) for field in fields(search)}
    del chosen["evidence"]
    context = ms.context(options.query(options.text), max_tokens, **chosen)
    remember(str(index.found()), [(one.path, one.line, 1, one.page) for one in context])
    _say_first(context.searched, unclear(context))
    if context:
        click.echo(printable(str(context)))
    else:
        click.echo(f"No results: {why_nothing(ms, SearchResults(), options)}", err=True)
    return len(context)


def _print_json(answer: Answer, *, why: bool) -> None:
    """A line for each result; for a query of a batch without results, one line with the reason."""
    found = answer.found
    about: dict[str, Any] = {
        "is_confident": found.is_confident,
        "required": found.query.required,
        "excluded": found.query.excluded,
    }
    if found.typed:
        about |= {"typed": found.typed, "searched": found.query.text}
    if found.unknown_words:
        about["unknown_words"] = found.unknown_words
    if why:
        names = ("mode", "plan", "n_matching", "n_reranked")
        about["search"] = {"question": found.query} | {name: getattr(found, name) for name in names}
    if answer.query is not None:
        about["query"] = answer.query
    for result in found:
        click.echo(as_json_line(result.to_dict() | about))
    if not found and answer.query is not None:
        cause = {"error": answer.error} if answer.error else {"no_results": answer.reason}
        click.echo(as_json_line({"rank": None, **cause, **about}))


def _remark(outcome: RunOutcome | Literal[""]) -> str:
    """What a reader of the results has to know about the last indexing run: the index is incomplete."""
    return f"({UNFINISHED[outcome]}: the index may be incomplete)" if outcome in UNFINISHED else ""
