"""``status``, ``chunks``, ``similarity``, ``why-not``: what an index holds, and why a file was not found.

Nothing is written: one call of `MiniSearch` goes out, and what it found is printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from minisearch.cli.indexing import by_reason, choice_lines, problem_lines
from minisearch.cli.options import (
    A_FILE,
    A_MODEL,
    IndexChoice,
    complete_file,
    index_or_default,
    json_option,
    offline_option,
    with_index,
    wrong_usage,
)
from minisearch.cli.query import K, query
from minisearch.cli.query_options import QueryCommand, QueryOptions, lines_on, place_in
from minisearch.cli.terminal import (
    Terminal,
    as_json_line,
    fitting,
    name_line,
    one_line,
    printable,
    size,
)
from minisearch.errors import InputError
from minisearch.formats import format_of
from minisearch.results import place_name
from minisearch.text import count, newlines

if TYPE_CHECKING:
    from minisearch.maintenance.chunks import FileChunks
    from minisearch.maintenance.coverage import Coverage
    from minisearch.results import SearchResult
    from minisearch.search.why_not import WhyNot
    from minisearch.types import Chunk, IndexStatus, RunOutcome

INDENT = "      "
UNFINISHED: dict[RunOutcome | Literal["never"], str] = {
    "running": "a run is in progress: files that it has not reached are not counted",
    "interrupted": "the last run was interrupted: files that it did not reach are not counted",
    "failed": "the last run failed: files that it did not reach are not counted",
}


@click.command()
@click.option("--coverage", is_flag=True, help="Show how much of your files is in the index.")
@json_option
@with_index
def status(index: IndexChoice, coverage: bool, as_json: bool) -> None:
    """Show what the index holds, and how its last run ended.

    Files that the run skipped are listed too. With --coverage: the number of bytes found, and of bytes with a
    vector, and every file that was skipped or left out, with the reason.
    """
    with index.open() as ms:
        if coverage:
            covered = ms.coverage()
            text = as_json_line(covered) if as_json else _coverage_text(covered, is_verbose=index.is_verbose)
        else:
            found = ms.status()
            text = as_json_line(found) if as_json else _status_text(found, is_verbose=index.is_verbose)
    click.echo(text if as_json else Terminal.of_stdout().wrapped(text))


def _status_text(found: IndexStatus, *, is_verbose: bool) -> str:
    ready = "" if found.is_index_ready else " (not built: queries scan the stored vectors)"
    rows = [
        ("index", found.path),
        ("documents", f"{found.n_documents:,}"),
        ("chunks", f"{found.n_chunks:,}"),
        ("model", found.model),
        ("backend", found.backend + ready),
        ("on disk", size(found.n_bytes)),
    ]
    if found.last_run:
        run = found.last_run
        counts = ", ".join(f"{n:,} {name}" for name, n in run.counts.items())
        rows.append(("last run", f"{run.outcome}, {run.finished_at or run.started_at}"))
        rows.append(("", ": ".join(filter(None, [" ".join(run.roots), counts]))))
    if is_verbose:
        from minisearch.maintenance.chunks import how_code_is_split  # imports all parsers

        rows.append(("code", f"cut {how_code_is_split()}"))
    lines = [one_line(f"{name:<11}{value}").rstrip() for name, value in rows]
    return "\n".join([*lines, *problem_lines(found, is_verbose=is_verbose)])


def _coverage_text(found: Coverage, *, is_verbose: bool) -> str:
    """How many bytes have a vector, where the others are, and every file without one."""
    n_files = found.n_documents + len({one.path for one in found.skipped})
    share = f"{found.n_bytes_reached / found.n_bytes:.1%}" if found.n_bytes else "none"
    documents = f"{count(found.n_chunks, 'chunk')} of {count(found.n_documents, 'document')}"
    lines = [
        f"found      {count(n_files, 'file')}, {count(found.n_bytes, 'byte')}; "
        f"{count(found.n_characters, 'character')} of text",
        f"indexed    {count(found.n_bytes_reached, 'byte')} ({share}) in {documents}",
        f"not text   {count(found.n_bytes_between, 'byte')} (white space, markup)",
        f"skipped    {count(found.n_bytes_passed_over, 'byte')} of skipped files",
    ]
    if n_left_out := sum(not one.path.endswith("/") for one in found.left_out):
        lines.append(f"left out   {count(found.n_bytes_left_out, 'byte')} of {count(n_left_out, 'file')}")
    if found.outcome in UNFINISHED:
        lines.append(f"incomplete {UNFINISHED[found.outcome]}")
    lines += choice_lines(found.choices)
    for label, files in (("skipped", found.skipped), ("left out", found.left_out), ("note", found.notes)):
        lines += by_reason(label, files, is_verbose=is_verbose)
    if any(one.path.endswith("/") for one in found.left_out):
        lines.append("A folder that was left out counts once: the files in it were not looked at")
    return "\n".join(lines)


# --- chunks ------------------------------------------------------------------------------------------


@click.command()
@click.argument("file", type=A_FILE)
@click.option("--full", is_flag=True, help="Print whole chunks, not only their first words.")
@click.option("--model", **A_MODEL, help="Name or folder of a model.  [default: the index's]")
@offline_option
@json_option
@with_index
def chunks(index: IndexChoice, file: Path, full: bool, model: str | None, as_json: bool) -> None:
    """Show how a file is split into chunks.

    For each chunk: its number, tokens, lines, bytes, page, the headings above it, and its first words. The
    title of the file is embedded before each chunk, and its tokens count. The settings are those of the
    index, or the defaults where there is none; nothing is stored.
    """
    with index.open(default=index_or_default, model=model) as ms:
        cut = ms.chunks(file)
    if as_json:
        click.echo(as_json_line(_chunks_json(cut)))
    else:
        click.echo("\n".join(_chunk_lines(cut, Terminal.of_stdout(), full=full)))


def _chunk_lines(cut: FileChunks, terminal: Terminal, *, full: bool) -> Iterator[str]:
    kind = ", ".join(dict.fromkeys(filter(None, (cut.format, cut.language))))
    n_chunks = count(len(cut.chunks), "chunk")
    yield one_line(
        f"{name_line(cut.path)}: {kind}; {n_chunks} of at most {cut.max_tokens} tokens of {cut.model}"
    )
    if cut.title:
        yield one_line(f"title: {cut.title}")
    if cut.is_extract:
        lines = format_of(cut.path).line
        yield (
            f"lines are {lines}s of the file, bytes are those of the text extracted from it"
            if lines
            else "lines and bytes are those of the text extracted from the file"
        )
    for note in cut.notes:
        yield one_line(f"note: {note}")
    page = format_of(cut.path).page.replace("p.", "") or "page"
    for number, chunk in enumerate(cut.chunks, start=1):
        yield ""
        yield one_line(f"{number:>4}  {_place(chunk, page)}")
        if full:
            yield from (f"{INDENT}{line}" for line in printable(newlines(chunk.text)).splitlines())
        else:
            words = one_line(" ".join(chunk.text[: terminal.columns * 4].split()))
            yield INDENT + words[: fitting(words, terminal.columns - len(INDENT))]


def _place(chunk: Chunk, page: str) -> str:
    """The size and place of a chunk in one line; ``page`` is what pages are called."""
    lines = f"{chunk.line}-{chunk.end_line}" if chunk.end_line > chunk.line else f"{chunk.line}"
    parts = [count(chunk.n_tokens, "token"), f"lines {lines}", f"bytes {chunk.byte_start}-{chunk.byte_end}"]
    parts += [f"{page} {chunk.page}"] if chunk.page else []
    return "  ".join([*parts, *([chunk.heading] if chunk.heading else [])])


def _chunks_json(cut: FileChunks) -> dict[str, Any]:
    names = ("start", "end", "byte_start", "byte_end", "line", "end_line", "page", "heading", "n_tokens")
    found = {name: value for name, value in asdict(cut).items() if name != "chunks"}
    return found | {
        "chunks": [
            {"number": number, **{name: getattr(chunk, name) for name in names}, "text": chunk.text}
            for number, chunk in enumerate(cut.chunks, start=1)
        ]
    }


# --- similarity --------------------------------------------------------------------------------------


@click.command()
@click.argument("texts", nargs=-1)
@offline_option
@json_option
@with_index
def similarity(index: IndexChoice, texts: tuple[str, ...], as_json: bool) -> None:
    """Print how similar texts are in meaning.

    For two texts this is their cosine, at most 1; more texts give a table.

    The model is the index's, or the default one where there is no index. With --json: texts, and cosine of
    two texts or cosines, one row per text.
    """
    if len(texts) < 2:
        raise click.UsageError(
            f'expected at least two texts, got {len(texts)}: minisearch similarity "one text" "another"'
        )
    with index.open(default=index_or_default) as ms:
        cosines: list[list[float]] = ms.similarity(*texts).tolist()
    if as_json:
        found = {"cosine": cosines[0][1]} if len(texts) == 2 else {"cosines": cosines}
        click.echo(as_json_line({"texts": texts, **found}))
    elif len(texts) == 2:
        click.echo(f"{cosines[0][1]:.3f}")
    else:
        click.echo("\n".join(_similarity_table(texts, cosines, Terminal.of_stdout().columns)))


def _similarity_table(
    texts: Sequence[str], cosines: Sequence[Sequence[float]], columns: int
) -> Iterator[str]:
    """A row and a column for each text; each row ends with the beginning of its text."""
    yield "   " + "".join(f"{number:>8}" for number in range(1, len(texts) + 1))
    for number, (text, row) in enumerate(zip(texts, cosines, strict=True), start=1):
        numbers = f"{number:>3}" + "".join(f"{cosine:>8.3f}" for cosine in row)
        label = one_line(text)
        yield f"{numbers}  {label[: fitting(label, max(8, columns - len(numbers) - 2))]}"


# --- why-not -----------------------------------------------------------------------------------------

ONLY_QUERY = {"text", "batch", "like", "no_evidence", "full", "why", "as_json", "refresh"}
ONLY_QUERY |= {"files", "format_", "max_tokens", "no_pager"}
ONLY_QUERY |= {"offline", "index_folder", "collection", "verbose"}


@click.command(  # with options of its own, because each has the variable of its command
    "why-not", cls=QueryCommand, params=[copy(one) for one in query.params if one.name not in ONLY_QUERY]
)
@click.argument("file", metavar="FILE[:LINE]", shell_complete=complete_file)
@click.argument("text", nargs=-1, required=True)
@offline_option
@json_option
@with_index
def why_not(index: IndexChoice, file: str, text: tuple[str, ...], as_json: bool, **given: Any) -> None:  # noqa: ANN401
    """Explain why a file was not found.

    The query is TEXT; with a LINE, the passage at that line is meant. In a PDF and in slides it is a page, as
    for get. The file may not be indexed, not match a filter, or rank below the results that are shown, by
    meaning, by words or by both. The options are those of query.

    \b
      minisearch why-not docs/tasks.md "how do I retry a failed task" -k 5
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    with wrong_usage():
        options = QueryOptions(
            text=" ".join(text), batch=None, like=None, no_evidence=True, within=index.within, **given
        )
        search = options.checked_search_options(K)
    if not options.text.strip():
        raise InputError("the query is empty: say what you are looking for")
    with index.open(rerank_model=options.rerank_model) as ms:
        path, line, page = place_in(ms, file)
        explain = partial(ms.searcher.why_not, path, query=options.query(options.text), options=search)
        found = explain(line=line)
        if isinstance(page, int) and found.verdict != "not indexed":
            on_page = (explain(line=one) for one in lines_on(ms, path, page))
            found = min(on_page, key=lambda one: one.passage.rank if one.passage else math.inf)
    click.echo(as_json_line(found) if as_json else _why_not_text(found, line, page))


def _why_not_text(found: WhyNot, line: int | None, page: int | str | None) -> str:
    number = page if isinstance(page, int) else None
    place = found.path if line is None and number is None else place_name(found.path, line or 1, number)
    lines = [one_line(f"{name_line(place)}: {found.verdict}: {found.reason}")]
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
