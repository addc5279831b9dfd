"""The command line: each command is a thin call on the `MiniSearch` method of the same name.

Nothing heavy is imported before a command needs it: ``--help`` loads not even numpy, a query neither
torch nor faiss.  Errors come out as one line on standard error and a non-zero exit code: 1, 2 for a
wrong command line, 75 when another process is writing, 130 and 143 when interrupted or terminated.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.evaluate import evaluate
from minisearch.cli.models import models
from minisearch.cli.options import common, json_option, offline_option, set_up_logging
from minisearch.cli.progress import Progress
from minisearch.cli.query import query
from minisearch.cli.selftest import selftest
from minisearch.cli.similarity import similarity
from minisearch.cli.terminal import printable
from minisearch.config import DTYPES
from minisearch.errors import IndexBusy, IndexNotFound, MinisearchError
from minisearch.home import INDEX_FOLDER, find_index
from minisearch.indexes import backend_names

EXIT_BUSY, EXIT_INTERRUPTED, EXIT_TERMINATED = 75, 130, 143


class _Group(click.Group):
    """Turns the library's errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        ctx.color = False if os.environ.get("NO_COLOR") else None
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except MinisearchError as error:
            click.echo(f"Error: {printable(str(error))}", err=True)
            ctx.exit(EXIT_BUSY if isinstance(error, IndexBusy) else 1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # click knows what to do when `| head` has seen enough
            click.echo(f"Error: {printable(str(error))}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(minisearch.__version__, message="minisearch %(version)s")
def cli() -> None:
    """Search your own files by meaning.

    \b
      minisearch index ./docs
      minisearch query "how do I retry a failed task"

    The index is the folder .minisearch in the current one, unless --index or MINISEARCH_INDEX names
    another; every command but "index" looks for it from the current folder upwards.
    """  # noqa: D301 - click reads \b as "leave these lines as they are"


for _command in (query, similarity, models, evaluate, selftest):
    cli.add_command(_command)


# Not a click.Choice: the engine knows the names, and says a wrong one in one line.
_backend = click.option(
    "--backend", metavar="|".join(backend_names()), help="The kind of vector index.  [default: faiss]"
)


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@_backend
@click.option("--model", metavar="NAME", help="A checkpoint's name or folder.  [default: all-MiniLM-L6-v2]")
@click.option(
    "--dtype", metavar="|".join(DTYPES), default="auto", help="What the model computes in.  [default: auto]"
)
@offline_option
@json_option
@common
def index(
    paths: tuple[Path, ...],
    backend: str | None,
    model: str | None,
    dtype: str,
    offline: bool,
    as_json: bool,
    index_folder: Path | None,
    verbose: bool,
) -> None:
    """Bring the index up to date with files and folders.

    New and changed files are read, cut into passages and embedded; files that are gone leave the index.
    What has not changed is not embedded again. Files that .gitignore names, and hidden ones, are left out.
    """
    set_up_logging(verbose)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    folder = index_folder or Path(INDEX_FOLDER)
    if index_folder is None:
        _tell_of_an_index_above(folder)
    with (
        minisearch.MiniSearch(folder, model=model, dtype=dtype, offline=offline) as ms,
        Progress() as progress,
    ):
        try:
            report = ms.index(*paths, backend=backend, on_progress=progress.update)
        except KeyboardInterrupt:
            progress.stop()
            click.echo("Interrupted: every finished document is kept; the same command goes on", err=True)
            sys.exit(EXIT_INTERRUPTED)
    click.echo(show.as_json(report) if as_json else show.report(report, verbose=verbose))


@cli.command()
@json_option
@common
def status(as_json: bool, index_folder: Path | None, verbose: bool) -> None:
    """Say what the index holds and how its last run ended.

    It lists what that run passed over, too.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index()) as ms:
        found = ms.status()
    click.echo(show.as_json(found) if as_json else show.status(found, verbose=verbose))


@cli.command()
@_backend
@common
def rebuild(backend: str | None, index_folder: Path | None, verbose: bool) -> None:
    """Build the vector index again.

    With another backend if one is named; nothing is embedded again.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index()) as ms:
        ms.rebuild(backend)
        found = ms.status()
    click.echo(f"Rebuilt with {found.backend}: {show.count(found.n_chunks, 'chunk')}")


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@common
def remove(paths: tuple[Path, ...], index_folder: Path | None, verbose: bool) -> None:
    """Take files or whole folders out of the index.

    The files themselves stay.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index()) as ms:
        n_removed = ms.remove(*paths)
    click.echo(f"Removed {show.count(n_removed, 'document')} from the index")


def _tell_of_an_index_above(folder: Path) -> None:
    """Say so when a new index here will hide one that queries from here have used until now."""
    with contextlib.suppress(IndexNotFound):
        above = find_index()
        if above != folder:
            click.echo(
                f"Note: there is an index in {above}; making another one here. "
                f"To add to that one instead, use --index {above}",
                err=True,
            )


def main() -> None:
    """The ``minisearch`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that cannot show a text still shows where
    cli(prog_name="minisearch")
