"""``minisearch watch``: the index follows the files, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.indexing import folder_and_paths
from minisearch.cli.options import (
    EXIT_INTERRUPTED,
    PathsCommand,
    common,
    json_option,
    model_name,
    offline_option,
    set_up_logging,
)
from minisearch.cli.progress import Progress
from minisearch.cli.terminal import one_line, printable

if TYPE_CHECKING:
    from minisearch.errors import MinisearchError
    from minisearch.types import IngestReport

AS_OF_THE_LAST_LINE = "Stopped watching: the index is as of the last line"
BEFORE_THE_FIRST = "Stopped before the first run was done: every finished document is kept"


@click.command(cls=PathsCommand)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--model",
    type=model_name,
    metavar="NAME",
    help="A checkpoint's name or folder.  [default: all-MiniLM-L6-v2]",
)
@offline_option
@json_option
@common
def watch(
    paths: tuple[Path, ...],
    model: str | None,
    offline: bool,
    as_json: bool,
    index_folder: Path | None,
    verbose: bool,
) -> None:
    """Keep the index up to date with files and folders, until Ctrl-C.

    A saved file can be found two seconds later. Without PATHS, all that the index was made of is watched.
    Needs minisearch[watch].
    """
    set_up_logging(verbose)
    folder, named = folder_and_paths(index_folder, paths)
    n_told = 0
    with minisearch.MiniSearch(folder, model=model, offline=offline) as ms, Progress() as progress:

        def tell_of(error: MinisearchError) -> None:
            progress.stop()
            click.echo(f"{_now()}  {printable(str(error))}", err=True)

        roots = named or ms.roots()
        try:
            for report in ms.watch(*roots, on_problem=tell_of, on_progress=progress.update):
                n_told += 1  # before the line is printed: its run is done, should Ctrl-C come meanwhile
                progress.stop()  # drawn for the first run, which may take long
                click.echo(show.as_json(report) if as_json else f"{_now()}  {show.counts(report)}")
                for line in show.news(report):
                    click.echo(line, err=True)
                if n_told == 1:
                    click.echo(_watching(report, roots), err=True)
        except KeyboardInterrupt:
            progress.stop()
            click.echo(AS_OF_THE_LAST_LINE if n_told else BEFORE_THE_FIRST, err=True)
            sys.exit(EXIT_INTERRUPTED)


def _watching(first: IngestReport, roots: list[str]) -> str:
    n_documents = first.added + first.updated + first.unchanged
    return one_line(
        f"Watching {show.count(n_documents, 'document')} below {', '.join(roots)}; Ctrl-C ends it"
    )


def _now() -> str:
    return time.strftime("%H:%M:%S")
