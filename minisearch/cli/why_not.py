"""``minisearch why-not``: explain why a file was not found.

The options of a query and a file come in, one verdict and its scores go out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.options import IndexChoice, json_option, offline_option, with_index, wrong_usage
from minisearch.cli.query import K, query
from minisearch.cli.query_options import QueryCommand, QueryOptions, file_and_line
from minisearch.cli.terminal import as_json_line, one_line
from minisearch.errors import InputError

if TYPE_CHECKING:
    from minisearch.results import SearchResult
    from minisearch.search.why_not import WhyNot

ONLY_QUERY = {"text", "batch", "like", "no_evidence", "full", "why", "as_json", "refresh"}
ONLY_QUERY |= {"files", "format_", "max_tokens", "no_pager"}
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
        search = options.search_options(K)
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
