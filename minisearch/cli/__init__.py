"""The command line: each command is a thin call of the `MiniSearch` method of the same name.

Arguments come in; results go to standard output.  Errors are one line on standard error and an exit code: 1,
2 for a wrong command line, 75 when another process is writing, 130 and 143 when interrupted or terminated.
``query`` ends as grep does: 0 with results, 1 without, 2 for an error.  A reader of the output that has read
enough, such as head, is no error: 0.
Heavy libraries are imported when a command needs them: ``--help`` loads no NumPy, a query no torch or FAISS.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import resource
import sys
from typing import Any

import click

import minisearch
from minisearch.cli.options import EXIT_INTERRUPTED, EXIT_QUERY_ERROR, nearest
from minisearch.cli.settings import default_map, set_variables
from minisearch.cli.terminal import printable
from minisearch.errors import IndexBusy, InputError, MinisearchError

EXIT_BUSY = 75
# These encode a few texts with NumPy, on one thread: NumPy's threads wait for one another in busy loops, and
# with the hashing of the weights on the second of two cores, 20 ms of work took 300. NumPy reads the variable
# when it is imported, so it is set before a command runs.
NUMPY_COMMANDS = {"query", "get", "why-not", "chunks", "similar", "similarity", "mcp", "serve", "ui"}
ALIASES = {"search": "query"}
FUNCTIONS = {"eval": "evaluate", "open": "open_result", "why-not": "why_not"}  # where the names differ
NOT_LOADED = re.compile("failed to map segment|annot allocate memory")  # a library, for lack of memory
LEAST_BYTES = 400_000_000  # of address space; with less, libraries end the process while they are loaded
USE_MODEL = NUMPY_COMMANDS | {
    "alert",
    "compare",
    "eval",
    "index",
    "rebuild",
    "restore",
    "selftest",
    "train",
    "verify",
    "watch",
}
NO_MEMORY = "there is not enough memory: finished work is kept; free some memory and run the command again"


# Each command by the module that defines it, which is imported when the command is needed.
COMMANDS = {
    "alert": "analysis.alerts",
    "backup": "maintenance",
    "chunks": "status",
    "cluster": "analysis.commands",
    "collection": "setup",
    "compare": "analysis.commands",
    "completion": "setup",
    "doctor": "setup",
    "dups": "analysis.commands",
    "eval": "evaluation.commands",
    "get": "places",
    "index": "indexing",
    "mcp": "serve",
    "models": "maintenance",
    "open": "places",
    "query": "query",
    "rebuild": "indexing",
    "remove": "indexing",
    "restore": "maintenance",
    "rollback": "maintenance",
    "selftest": "evaluation.commands",
    "serve": "serve",
    "similar": "analysis.commands",
    "similarity": "status",
    "status": "status",
    "train": "training.commands",
    "ui": "live.command",
    "verify": "maintenance",
    "watch": "indexing",
    "why-not": "status",
}


class _Group(click.Group):
    """Finds the commands, and turns the library's errors into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        name = ALIASES.get(name, name)
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"minisearch.cli.{COMMANDS[name]}")
        command: click.Command = getattr(module, FUNCTIONS.get(name, name))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        given = args[0]
        if not ctx.resilient_parsing and not given.startswith("-") and self.get_command(ctx, given) is None:
            near = nearest(given, [*COMMANDS, *ALIASES], cutoff=0.6)
            near = f'query "{given}"' if " " in given and '"' not in given else near
            hint = f" Did you mean: minisearch {near}" if near else ""
            raise click.UsageError(printable(f"No such command '{given}'.{hint}"), ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and command.name is not None:
            ctx.invoked_subcommand = given  # for the exit code, should the settings be wrong
            set_variables(command.name, command.params)
            try:
                ctx.default_map = {given: default_map(ctx, command)}
            except InputError:
                if not ctx.resilient_parsing:  # a completion prints no error
                    raise
        known = ALIASES.get(given, given)
        if known in USE_MODEL:
            _check_address_space()
        if known in NUMPY_COMMANDS:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        ctx.color = False if os.environ.get("NO_COLOR") else None
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except click.NoSuchOption as error:
            near = nearest(error.option_name, error.possibilities or [], cutoff=0)  # click sorts them by name
            raise click.NoSuchOption(error.option_name, error.message, near and [near], error.ctx) from error
        except BrokenPipeError:  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still writes when it ends
            ctx.exit(0)
        except (MinisearchError, MemoryError, OSError, ImportError) as error:
            if isinstance(error, ImportError) and NOT_LOADED.search(str(error)) is None:
                raise
            is_memory = isinstance(error, MemoryError | ImportError)
            message = NO_MEMORY if is_memory else printable(str(error))
            if isinstance(error, FileNotFoundError) and error.filename is None:
                message = "the current folder was deleted: change to another one, or name all paths in full"
            click.echo(f"Error: {message}", err=True)
            is_query = ALIASES.get(ctx.invoked_subcommand or "", ctx.invoked_subcommand) in {
                "query",
                "similar",
            }
            ctx.exit(EXIT_BUSY if isinstance(error, IndexBusy) else EXIT_QUERY_ERROR if is_query else 1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(minisearch.__version__, message="minisearch %(version)s")
def cli() -> None:
    """Search your own files by meaning.

    \b
      minisearch index ./docs
      minisearch query "how do I retry a failed task"

    The index is the folder .minisearch in the current folder, or the one that --index or MINISEARCH_INDEX
    names, or that of a collection (-c). Every command but "index" looks for it in the folders above too.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"


def main() -> None:
    """The ``minisearch`` command."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that cannot show a character still shows its number
    cli(prog_name="minisearch")


def _check_address_space() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_loaded = "numpy" in sys.modules  # by a program that calls `cli` itself
    if limit != resource.RLIM_INFINITY and limit < LEAST_BYTES and not is_loaded:
        raise InputError(
            f"the address space of this process is limited to {limit // 1_000_000:,} MB, and loading a model "
            f"takes about 1,000 MB: raise the limit (ulimit -v unlimited)"
        )


def _open_closed_streams() -> None:
    """Open the null device in place of each standard stream that was closed (``>&-``)."""
    # In the order of their numbers, since an opened file gets the lowest free one: otherwise a file of the
    # index would get it, and the messages of a library on standard error would be written into that file.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end
