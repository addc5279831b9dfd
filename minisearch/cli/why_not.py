"""``minisearch why-not``: why a file is not among the answers to a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.asked import QueryOptions, file_and_line
from minisearch.cli.options import common, json_option, offline_option, set_up_logging, wrong_usage
from minisearch.cli.query import query
from minisearch.cli.query_command import QueryCommand
from minisearch.cli.terminal import one_line
from minisearch.errors import InputError
from minisearch.paths import find_index

if TYPE_CHECKING:
    from minisearch.results import SearchResult
    from minisearch.search.why_not import WhyNot

NOT_ASKED: dict[str, Any] = {"batch": None, "like": None, "no_evidence": True}
SHARED = {"literal", "paths", "extensions", "languages", "since", "before", "where", "k", "mode", "by"}
SHARED |= {"rerank", "rerank_budget", "rerank_depth", "rerank_model", "diverse"}


@click.command(
    name="why-not", cls=QueryCommand, params=[option for option in query.params if option.name in SHARED]
)
@click.argument("file", metavar="FILE[:LINE]")
@click.argument("text", nargs=-1, required=True)
@offline_option
@json_option
@common
def why_not(
    file: str,
    text: tuple[str, ...],
    offline: bool,
    as_json: bool,
    index_folder: Path | None,
    verbose: bool,
    **given: Any,  # noqa: ANN401 - what `QueryOptions` takes
) -> None:
    """Say why FILE is not among the answers to TEXT.

    Or why what stands at that line of it is not. It may not be indexed, be kept out by a filter, be
    outranked, or be found by one leg of the search and lost in the fusion of both. The options
    are those of query.

    \b
      minisearch why-not docs/tasks.md "how do I retry a failed task" -k 5
    """  # noqa: D301 - click reads \b as "leave these lines as they are"
    set_up_logging(verbose)
    with wrong_usage():
        asked = QueryOptions(text=" ".join(text), **NOT_ASKED, **given)
        options = asked.search_options()
    if not asked.text.strip():
        raise InputError("the query is empty: say what you are looking for")
    folder = index_folder or find_index()
    with minisearch.MiniSearch(folder, offline=offline, rerank_model=asked.rerank_model) as ms:
        path, line = file_and_line(file)
        found = ms.searcher.why_not(path, line, asked.query(asked.text), options)
    click.echo(show.as_json(found) if as_json else _text(found, line))


def _text(found: WhyNot, line: int | None) -> str:
    place = found.path if line is None else f"{found.path}:{line}"
    lines = [one_line(f"{place}: {found.verdict}: {found.reason}")]
    if found.verdict != "found":
        rows = {"last on the page": found.last, "its best passage": found.passage}
        lines += [_row(name, result) for name, result in rows.items() if result is not None]
    return "\n".join(lines)


def _row(name: str, result: SearchResult) -> str:
    """A result with what each step of the search made of it."""
    trace = result.trace
    steps = {
        "by meaning": (trace.dense_rank, trace.cosine),
        "by words": (trace.lexical_rank, trace.bm25),
        "with feedback": (None, trace.feedback),
        "fused": (trace.rank_before_rerank, trace.fused),
        "reranked": (None, trace.rerank),
    }
    told = [
        " ".join([name, *([f"{rank:,}"] if rank else []), *([f"({score:.3f})"] if score is not None else [])])
        for name, (rank, score) in steps.items()
        if rank is not None or score is not None
    ]
    return one_line(f"{name:<18}{result.path}:{result.line}  {', '.join(told)}")
