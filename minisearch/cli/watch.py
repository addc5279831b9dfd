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
from minisearch.cli.options import common, json_option, offline_option, set_up_logging
from minisearch.cli.terminal import printable

if TYPE_CHECKING:
    from minisearch.errors import MinisearchError

EXIT_INTERRUPTED = 130


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="A checkpoint's name or folder.  [default: all-MiniLM-L6-v2]")
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
    with minisearch.MiniSearch(folder, model=model, offline=offline) as ms:
        roots = named or ms.roots()
        try:
            for report in ms.watch(*roots, on_problem=_tell):
                if as_json:
                    click.echo(show.as_json(report))
                else:
                    click.echo(f"{time.strftime('%H:%M:%S')}  {show.counts(report)}")
        except KeyboardInterrupt:
            click.echo("Stopped watching: the index is as of the last line", err=True)
            sys.exit(EXIT_INTERRUPTED)


def _tell(error: MinisearchError) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')}  {printable(str(error))}", err=True)
