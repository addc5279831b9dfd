"""The command line: each command is a thin call on the `MiniSearch` method of the same name.

Nothing heavy is imported before a command needs it: ``--help`` loads not even numpy, a query neither
torch nor faiss.  Errors come out as one line on standard error and a non-zero exit code: 1, 2 for a
wrong command line, 75 when another process is writing, 130 and 143 when interrupted or terminated.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.care import backup, restore, rollback, verify
from minisearch.cli.chunks import chunks
from minisearch.cli.coverage import coverage_text
from minisearch.cli.evaluate import evaluate
from minisearch.cli.indexing import backend_option, index
from minisearch.cli.models import models
from minisearch.cli.options import EXIT_INTERRUPTED, PathsCommand, common, json_option, set_up_logging
from minisearch.cli.query import query
from minisearch.cli.selftest import selftest
from minisearch.cli.similarity import similarity
from minisearch.cli.terminal import printable
from minisearch.cli.watch import watch
from minisearch.cli.why_not import why_not
from minisearch.errors import IndexBusy, MinisearchError
from minisearch.paths import find_index

EXIT_BUSY = 75
# These encode a few texts with NumPy, on one thread: NumPy's threads wait for one another in busy loops, and
# with the hashing of the weights on the second of two cores, 20 ms of work took 300. NumPy reads the variable
# when it is imported, so it is set before a command runs.
NUMPY_COMMANDS = {"query", "why-not", "chunks", "similarity"}
NO_MEMORY = "there is not enough memory: what was finished is kept; make room and run the same command again"


class _Group(click.Group):
    """Turns the library's errors into one line and an exit code."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in NUMPY_COMMANDS:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        return name, command, rest

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
        except MemoryError:
            click.echo(f"Error: {NO_MEMORY}", err=True)
            ctx.exit(1)
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


_COMMANDS = (
    index,
    watch,
    query,
    why_not,
    chunks,
    similarity,
    models,
    evaluate,
    selftest,
    verify,
    rollback,
    backup,
    restore,
)
for _command in _COMMANDS:
    cli.add_command(_command)


@cli.command()
@click.option("--coverage", is_flag=True, help="Say how much of your files is in it, and what is not.")
@json_option
@common
def status(coverage: bool, as_json: bool, index_folder: Path | None, verbose: bool) -> None:
    """Say what the index holds and how its last run ended.

    It lists what that run passed over, too. With --coverage: how many bytes were seen, how many of them
    reached a vector, and every file that was skipped or left out, with its reason.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index()) as ms:
        if coverage:
            covered = ms.coverage()
            click.echo(show.as_json(covered) if as_json else coverage_text(covered, verbose=verbose))
            return
        found = ms.status()
    click.echo(show.as_json(found) if as_json else show.status(found, verbose=verbose))


@cli.command()
@backend_option
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


@cli.command(cls=PathsCommand)
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


def main() -> None:
    """The ``minisearch`` command."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that cannot show a text still shows where
    cli(prog_name="minisearch")


def _open_closed_streams() -> None:
    """Where a standard stream was closed (``>&-``), the null device: what is said there is said to nobody."""
    # In the order of their numbers, as an opened file gets the lowest that is free: otherwise one of the
    # index would get it, and whatever a library says on standard error would be written into that.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end
