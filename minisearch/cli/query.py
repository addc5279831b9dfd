"""``minisearch query``: a question, a file of them, or a passage to find more of; which files may answer.

Options come in, the arguments of `MiniSearch.query` and a page for each question go out.  Nothing is searched
here; how a page looks is `page`'s part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.asked import AUTO, BYS, MODES, RERANKERS, Asked
from minisearch.cli.options import SectionedCommand, common, section, set_up_logging
from minisearch.cli.page import page
from minisearch.cli.terminal import Terminal, one_line
from minisearch.errors import InputError
from minisearch.home import find_index

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.results import SearchResults
    from minisearch.types import IndexStatus

asking, choosing, ranking, printing = map(
    section, ["What to ask", "Which files", "How to rank", "What to print"]
)


class QueryCommand(SectionedCommand):
    """``--rerank`` may go without its value; a ``-word`` that is no option gets an answer that helps."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; a text that follows a bare ``--rerank`` stays text."""
        end = args.index("--") if "--" in args else len(args)
        for place, arg in enumerate(args[:end]):
            if arg == "--rerank" and args[place + 1 : place + 2][:1] not in [[kind] for kind in RERANKERS]:
                args[place] = f"--rerank={AUTO}"
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name.startswith("--"):
                raise
            cure = 'quote it with the question: minisearch query "bread -rye"'
            raise click.UsageError(f"{error.message} To leave out what holds a word, {cure}", ctx) from error


@click.command(cls=QueryCommand)
@click.argument("text", nargs=-1)
@asking("--batch", metavar="FILE", help="Ask every line of FILE in turn; - is standard input.")
@asking("--like", metavar="FILE[:LINE]", help="Find more like this file, or the passage at this line.")
@asking("--literal", is_flag=True, help="Take quotes, - and + in the question as they are.")
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
@ranking("-k", "k", type=int, default=10, show_default=True, metavar="N", help="How many results.")
@ranking(
    "--mode",
    metavar="|".join(MODES),
    default=MODES[0],
    help="By meaning and words, meaning, or words.  [default: hybrid]",
)
@ranking(
    "--by",
    metavar="|".join(BYS),
    default=BYS[0],
    help="What a result is; chunk merges nothing.  [default: passage]",
)
@ranking("--rerank", metavar="[cross|bi]", help="Look at the best again, with a larger model.")
@ranking("--rerank-budget", metavar="TIME", help="As many of them as this allows, as in 300ms.")
@ranking("--rerank-depth", type=int, metavar="N", help="This many of them.")
@ranking("--rerank-model", metavar="NAME", help="The larger model: a checkpoint's name or folder.")
@ranking("--diverse", is_flag=True, help="Prefer results that differ from those above them.")
@printing("--full", is_flag=True, help="Print passages whole.")
@printing("--why", is_flag=True, help="Say what each step of the search made of a result.")
@printing("--no-evidence", is_flag=True, help="Do not look for the sentence that matched.")
@printing("--json", "as_json", is_flag=True, help="Print one object a line, for scripts.")
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@common
def query(
    text: tuple[str, ...],
    full: bool,
    why: bool,
    as_json: bool,
    offline: bool,
    index_folder: Path | None,
    verbose: bool,
    **given: Any,  # noqa: ANN401 - what `Asked` takes
) -> None:
    """Print the passages that answer TEXT, best first.

    They are looked for by meaning and by words.

    \b
      minisearch query "how do I retry a failed task" --ext md --since "2 weeks"
      minisearch query 'bread "sour dough" -rye +crust^0.5'
      minisearch query --like docs/tasks.md:40

    In TEXT, "a phrase" must be in every answer and -word in none, wherever it stands; +concept and
    -concept^0.5 pull towards a concept and push away from it. The page says which words were left out.
    Put -- before a TEXT that begins with a dash.

    A percentage is the relevance: how far a result rises above what this index says to questions that it has
    no answer for. Where that was not measured, a score stands there.

    --json prints the fields of SearchResult, evidence and merged places with their spans, and is_confident,
    which is about all results of a question; with --batch also query, with --why also search.
    """  # noqa: D301 - click reads \b as "leave these lines as they are"
    set_up_logging(verbose)
    output = Output(full, why, as_json)
    asked = Asked(text=" ".join(text), **given)
    arguments = asked.arguments()
    # NumPy's threads wait for one another in a loop that takes all they get: with as much as the weights'
    # hash beside them on two cores, 20 ms of work took 300. It asks for their number when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    folder = index_folder or find_index()
    with minisearch.MiniSearch(folder, offline=offline, rerank_model=asked.rerank_model) as ms:
        for question, found in _answers(ms, asked, arguments):
            output.show(found, question)
            if not found:
                about = "" if question is None else f" for {one_line(question)!r}"
                click.echo(f"No results{about}: {_why_nothing(ms.status(), found, asked)}", err=True)


@dataclass(frozen=True, slots=True)
class Output:
    """How answers are printed: ``full`` passages, with the reasons ``why``, or ``as_json``."""

    full: bool
    why: bool
    as_json: bool

    def show(self, found: SearchResults, question: str | None) -> None:
        """Print the answers to one question, under the question itself where there may be several."""
        if self.as_json:
            for result in found:
                click.echo(show.as_json(result, **self._about(found, question)))
            return
        terminal = Terminal.of_stdout()
        parts = [] if question is None else [terminal.styled(f"== {one_line(question)}", "1")]
        if found:
            parts.append(page(found, terminal, whole=self.full, why=self.why))
        if parts:
            end = "" if question is None else "\n"
            click.echo("\n\n".join(parts) + end, color=True)  # the terminal has had its say

    def _about(self, found: SearchResults, question: str | None) -> dict[str, Any]:
        """What every line says about all results of its question."""
        about: dict[str, Any] = {"is_confident": found.is_confident}
        if self.why:
            about["search"] = {
                "question": asdict(found.question),
                "mode": found.mode,
                "plan": found.plan,
                "n_matching": found.n_matching,
                "n_reranked": found.n_reranked,
            }
        return about if question is None else about | {"query": question}


def _answers(
    ms: MiniSearch, asked: Asked, arguments: dict[str, Any]
) -> Iterator[tuple[str | None, SearchResults]]:
    """Each question's answers as they come, with the question itself where there may be several."""
    if asked.like is not None:
        path, line = asked.passage()
        yield None, ms.like(path, line, **arguments)
    elif asked.batch is None:
        yield None, ms.query(asked.question(asked.text), **arguments)
    else:
        for number, text in _questions(asked.batch):
            try:
                found = ms.query(asked.question(text), **arguments)
            except InputError as error:
                raise InputError(f"{asked.batch}, line {number}: {error}") from error
            yield text, found


def _questions(file: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that say something, with their numbers; - is standard input, read as it comes."""
    n_asked = 0
    try:
        with click.open_file(file, encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    n_asked += 1
                    yield number, line.strip()
    except OSError as error:
        raise InputError(f"cannot read questions from {file}: {error.strerror}") from error
    if not n_asked:
        raise InputError(f"no questions in {file}: expected one a line")


def _why_nothing(status: IndexStatus, found: SearchResults, asked: Asked) -> str:
    """What an empty page means, and what to do about it."""
    run = status.last_run
    if not status.n_chunks:
        if run is not None and run.outcome == "running":
            roots = " ".join(map(one_line, run.roots))
            return f"a first run over {roots} is still going on; ask again when it has come further"
        return "the index holds no documents; fill it with: minisearch index FOLDER"
    operators = [f'the phrase "{one_line(phrase)}"' for phrase in found.question.required]
    operators += [f'not "{one_line(phrase)}"' for phrase in found.question.excluded]
    limits = [*asked.limits(), *operators]
    if limits:
        cure = "; --literal takes quotes and - in the question as text" if operators else ""
        return f"nothing in the index matches {' and '.join(limits)}{cure}"
    if asked.mode == "lexical":
        return "no passage has any of these words; --mode hybrid looks for what they mean"
    return "nothing in the index comes near that"
