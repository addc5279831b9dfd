"""``minisearch query``: a query, a file of them, or a passage to find more of; which files may answer.

Options come in, the arguments of `MiniSearch.query` and a page for each query go out.  Nothing is searched
here; how a page looks is `page`'s part.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.asked import QueryOptions, file_and_line
from minisearch.cli.nothing import HOW_IT_ENDED, why_nothing
from minisearch.cli.options import common, model_name, one_of, section, set_up_logging, wrong_usage
from minisearch.cli.query_command import KINDS, QueryCommand
from minisearch.cli.terminal import Terminal, one_line, printable
from minisearch.errors import IndexBusy, IndexNotWritable, IngestError, InputError, ShrinkRefused
from minisearch.paths import find_index
from minisearch.results import BYS, MODES

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.results import Query, SearchOptions, SearchResults

asking, choosing, ranking, printing = map(
    section, ["What to ask", "Which files", "How to rank", "What to print"]
)


@click.command(cls=QueryCommand)
@click.argument("text", nargs=-1)
@asking("--batch", metavar="FILE", help="Ask every line of FILE in turn; - is standard input.")
@asking("--like", metavar="FILE[:LINE]", help="Find more like this file, or the passage at this line.")
@asking("--literal", is_flag=True, help="Take quotes, - and + in the query as they are.")
@choosing(
    "--path", "paths", metavar="GLOB", multiple=True, help="Paths like 'guides/**'; repeat it for others."
)
@choosing("--ext", "extensions", metavar="EXT", multiple=True, help="File names ending so, as in md.")
@choosing("--lang", "languages", metavar="NAME", multiple=True, help="A language, as in python or markdown.")
@choosing("--since", metavar="WHEN", help="Changed since: 2024-01-31, 7d, '2 weeks', yesterday.")
@choosing("--before", metavar="WHEN", help="Changed before that.")
@choosing(
    "--where", metavar="EXPR", help='What files say of themselves: \'author = "x" and tags contains "y"\'.'
)
@ranking(
    "-k", "k", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="How many results."
)
@ranking(
    "--mode",
    type=one_of(MODES, "mode"),
    metavar="|".join(MODES),
    default=MODES[0],
    help="By meaning and words, meaning, or words.  [default: hybrid]",
)
@ranking(
    "--by",
    type=one_of(BYS, "--by"),
    metavar="|".join(BYS),
    default=BYS[0],
    help="What a result is; chunk merges nothing.  [default: passage]",
)
@ranking(
    "--rerank",
    type=one_of(KINDS, "reranker"),
    metavar="[cross|bi]",
    help="Look at the best again, with a larger model.",
)
@ranking("--rerank-budget", metavar="TIME", help="As many of them as this allows, as in 300ms.")
@ranking("--rerank-depth", type=click.IntRange(1), metavar="N", help="This many of them.")
@ranking(
    "--rerank-model",
    type=model_name,
    metavar="NAME",
    help="The larger model: a checkpoint's name or folder.",
)
@ranking("--diverse", is_flag=True, help="Prefer results that differ from those above them.")
@printing("--full", is_flag=True, help="Print passages whole.")
@printing("--why", is_flag=True, help="Say what each step of the search made of a result.")
@printing("--no-evidence", is_flag=True, help="Do not look for the sentence that matched.")
@printing("--json", "as_json", is_flag=True, help="Print one object a line, for scripts.")
@click.option("--refresh", is_flag=True, help="Look for changed files first.")
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@common
def query(
    text: tuple[str, ...],
    full: bool,
    why: bool,
    as_json: bool,
    refresh: bool,
    offline: bool,
    index_folder: Path | None,
    verbose: bool,
    **given: Any,  # noqa: ANN401 - what `QueryOptions` takes
) -> None:
    """Print the passages that answer TEXT, best first.

    They are looked for by meaning and by words.

    \b
      minisearch query "how do I retry a failed task" --ext md --since "2 weeks"
      minisearch query 'bread "sour dough" -rye +crust^0.5'
      minisearch query --like docs/tasks.md:40

    In TEXT, "a phrase" must be in every answer and -word in none, wherever it stands; +concept and
    -concept^0.5 pull towards a concept and push away from it. A number, such as one of a telephone, is a
    phrase where it stands anywhere. The page says which words were required and which were left out. Put --
    before a TEXT that begins with a dash.

    A percentage is the relevance: how far a result rises above what this index says to queries that it has
    no answer for. Where that was not measured, a score stands there. The sentence that answers is bold;
    without colour its lines begin with >.

    --json prints the fields of SearchResult, evidence and merged places with their spans, and of the query
    is_confident, about all that was found, and the phrases required and excluded; with --batch also query,
    with --why also search. A query of a batch without results has one line too: its rank is null, and
    no_results says why, or error what is wrong with the query.

    A query of a batch that makes no sense is told on standard error with its line; the others are
    answered, and the exit code is 1. So it is where --refresh is refused: the answers are of what was there.
    """  # noqa: D301 - click reads \b as "leave these lines as they are"
    set_up_logging(verbose)
    output = Output(full, why, as_json)
    # NumPy's threads wait for one another in a loop that takes all they get: with as much as the weights'
    # hash beside them on two cores, 20 ms of work took 300. It asks for their number when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with wrong_usage():
        asked = QueryOptions(text=" ".join(text), **given)
        options = asked.search_options()
    folder = index_folder or find_index()
    with minisearch.MiniSearch(folder, offline=offline, rerank_model=asked.rerank_model) as ms:
        n_refused = int(refresh and not _is_refreshed(ms))
        for answer in _answers(ms, asked, options):
            output.show(answer, ms, asked)
            n_refused += bool(answer.refusal)
    if n_refused:
        sys.exit(1)


def _is_refreshed(ms: MiniSearch) -> bool:
    """Bring the index up to date; where that is refused, say why: what is there can be asked all the same."""
    try:
        report = ms.refresh()
    except (IndexBusy, IndexNotWritable, IngestError, InputError, ShrinkRefused) as error:
        click.echo(f"Not refreshed: {printable(str(error))}", err=True)
        return False
    has_changed = report.added or report.updated or report.removed
    for line in [*([show.counts(report)] if has_changed else []), *show.news(report)]:
        click.echo(line, err=True)
    return True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a query: results, or why it was refused; ``query`` is None outside of a batch."""

    query: str | None
    found: SearchResults
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """How answers are printed: ``full`` passages, with the reasons ``why``, or ``as_json``."""

    full: bool
    why: bool
    as_json: bool

    def show(self, answer: Answer, ms: MiniSearch, asked: QueryOptions) -> None:
        """Print what came of one query, and on standard error why it is nothing."""
        nothing = "" if answer.found or answer.refusal else why_nothing(ms, answer.found, asked)
        if self.as_json:
            self._json(answer, nothing)
        else:
            self._page(answer, _remark(answer.found, ms, asked))
        if answer.refusal:
            click.echo(f"Error: {printable(answer.refusal)}", err=True)
        elif nothing:
            about = "" if answer.query is None else f" for {one_line(answer.query)!r}"
            click.echo(f"No results{about}: {nothing}", err=True)

    def _page(self, answer: Answer, remark: str) -> None:
        """The page of one query, under the query itself where there may be several."""
        terminal = Terminal.of_stdout()
        parts = [] if answer.query is None else [terminal.styled(f"== {one_line(answer.query)}", "1")]
        if answer.found:
            # Here, because --help need not compile the patterns by which a page tells code from prose.
            from minisearch.cli.page import page

            parts.append(page(answer.found, terminal, whole=self.full, why=self.why, remark=remark))
        if parts:
            end = "" if answer.query is None else "\n"
            click.echo("\n\n".join(parts) + end, color=True)  # the terminal has had its say

    def _json(self, answer: Answer, nothing: str) -> None:
        """A line for each result; for a query of a batch without any, one that says why."""
        if answer.found:
            for result in answer.found:
                click.echo(show.as_json(result, **self._about(answer)))
        elif answer.query is not None:
            reason = {"error": answer.refusal} if answer.refusal else {"no_results": nothing}
            click.echo(json.dumps({"rank": None, **reason, **self._about(answer)}))

    def _about(self, answer: Answer) -> dict[str, Any]:
        """What every line says about its query."""
        found = answer.found
        about: dict[str, Any] = {
            "is_confident": found.is_confident,
            "required": found.query.required,
            "excluded": found.query.excluded,
        }
        if self.why:
            about["search"] = {
                "question": asdict(found.query),
                "mode": found.mode,
                "plan": found.plan,
                "n_matching": found.n_matching,
                "n_reranked": found.n_reranked,
            }
        return about if answer.query is None else about | {"query": answer.query}


def _answers(ms: MiniSearch, asked: QueryOptions, options: SearchOptions) -> Iterator[Answer]:
    """What came of each query, as soon as it is there."""
    if asked.like is not None:
        path, line = file_and_line(asked.like)
        yield Answer(None, ms.searcher.like(path, line, options))
    elif asked.batch is None:
        yield Answer(None, ms.searcher.query(asked.query(asked.text), options))
    else:
        yield from _answers_of_batch(ms, asked, options)


def _answers_of_batch(ms: MiniSearch, asked: QueryOptions, options: SearchOptions) -> Iterator[Answer]:
    """The same for each line of a file; one that makes no sense is refused, and the others are answered."""
    from minisearch.results import SearchResults

    n_refused = 0
    for number, text in _queries(asked.batch or ""):
        found = _found_or_error(ms, asked.query(text), options)
        if not isinstance(found, InputError):
            yield Answer(text, found)
            continue
        if not n_refused:
            ms.searcher.query("anything", options)  # what is wrong with this too is wrong with the options
        n_refused += 1
        yield Answer(text, SearchResults(), f"{asked.batch}, line {number}: {found}")


def _found_or_error(ms: MiniSearch, query: str | Query, options: SearchOptions) -> SearchResults | InputError:
    try:
        return ms.searcher.query(query, options)
    except InputError as error:
        return error


def _remark(found: SearchResults, ms: MiniSearch, asked: QueryOptions) -> str:
    """What has to be known of the index to read a page: that it is not whole, or small."""
    status = ms.status()
    run = status.last_run
    if run and run.outcome not in {"complete", "rolled back"}:
        is_over = run.outcome in HOW_IT_ENDED
        state = f"the last run {HOW_IT_ENDED[run.outcome]}" if is_over else "an indexing run is under way"
        return f"({state}: not everything may be in the index yet)"
    if not found or asked.like or found.mode == "lexical" or found[0].relevance is not None:
        return ""
    from minisearch.search.confidence import MIN_DOCUMENTS

    if status.n_documents >= MIN_DOCUMENTS:
        return ""
    return f"(scores, not percentages: a relevance can be told from {MIN_DOCUMENTS} documents on)"


def _queries(file: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that say something, with their numbers; - is standard input, read as it comes."""
    n_asked = 0
    try:
        with click.open_file(file, encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    n_asked += 1
                    yield number, line.strip()
    except OSError as error:
        raise InputError(f"cannot read queries from {file}: {error.strerror}") from error
    if not n_asked:
        raise InputError(f"no queries in {file}: expected one a line")
