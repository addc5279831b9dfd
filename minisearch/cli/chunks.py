"""``minisearch chunks``: how a file is cut, for whoever wonders what can be found of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.options import common, json_option, model_name, offline_option, set_up_logging
from minisearch.cli.terminal import Terminal, fitting, one_line, printable
from minisearch.errors import IndexNotFound
from minisearch.paths import INDEX_FOLDER, find_index

if TYPE_CHECKING:
    from minisearch.maintenance.chunks import CutFile
    from minisearch.types import Chunk

INDENT = "      "


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--full", is_flag=True, help="Print every chunk whole, not only its first words.")
@click.option(
    "--model", type=model_name, metavar="NAME", help="A checkpoint's name or folder.  [default: the index's]"
)
@offline_option
@json_option
@common
def chunks(
    file: Path,
    full: bool,
    model: str | None,
    offline: bool,
    as_json: bool,
    index_folder: Path | None,
    verbose: bool,
) -> None:
    """Show how a file is cut.

    For each chunk: its number, tokens, lines, bytes, page, the headings above it, and its first words. The
    title of the file goes before each chunk when it is embedded, and counts. The settings are the index's,
    or the usual ones where there is no index; nothing is stored.
    """
    set_up_logging(verbose)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in `query`
    with minisearch.MiniSearch(index_folder or _index_folder(), model=model, offline=offline) as ms:
        cut = ms.chunks(file)
    if as_json:
        click.echo(json.dumps(_plain(cut)))
    else:
        click.echo("\n".join(_lines(cut, Terminal.of_stdout(), full=full)))


def _index_folder() -> Path:
    try:
        return find_index()
    except IndexNotFound:
        return Path(INDEX_FOLDER)


def _lines(cut: CutFile, terminal: Terminal, *, full: bool) -> Iterator[str]:
    kind = ", ".join(dict.fromkeys(filter(None, (cut.format, cut.language))))
    count = show.count(len(cut.chunks), "chunk")
    yield one_line(f"{cut.path}: {kind}; {count} of at most {cut.max_tokens} tokens of {cut.model}")
    if cut.title:
        yield one_line(f"title: {cut.title}")
    if cut.is_extract:
        yield "lines and bytes are those of the text that was taken out of the file"
    for note in cut.notes:
        yield one_line(f"note: {note}")
    for number, chunk in enumerate(cut.chunks, start=1):
        yield ""
        yield one_line(f"{number:>4}  {_where(chunk)}")
        if full:
            yield from (f"{INDENT}{line}" for line in printable(chunk.text).splitlines())
        else:
            words = one_line(" ".join(chunk.text[: terminal.columns * 4].split()))
            n_fitting = fitting(words, terminal.columns - len(INDENT))
            yield f"{INDENT}{words[:n_fitting]}"


def _where(chunk: Chunk) -> str:
    """The facts of a chunk on one line."""
    lines = f"{chunk.line}-{chunk.end_line}" if chunk.end_line > chunk.line else f"{chunk.line}"
    manifest = [
        show.count(chunk.n_tokens, "token"),
        f"lines {lines}",
        f"bytes {chunk.byte_start}-{chunk.byte_end}",
    ]
    manifest += [f"page {chunk.page}"] if chunk.page else []
    manifest += [chunk.heading] if chunk.heading else []
    return "  ".join(manifest)


def _plain(cut: CutFile) -> dict[str, Any]:
    """The same for JSON, texts whole."""
    names = ("start", "end", "byte_start", "byte_end", "line", "end_line", "page", "heading", "n_tokens")
    return {
        "path": cut.path,
        "format": cut.format,
        "language": cut.language,
        "title": cut.title,
        "notes": cut.notes,
        "model": cut.model,
        "max_tokens": cut.max_tokens,
        "is_extract": cut.is_extract,
        "chunks": [
            {"number": number, **{name: getattr(chunk, name) for name in names}, "text": chunk.text}
            for number, chunk in enumerate(cut.chunks, start=1)
        ],
    }
