"""What several commands share: the index they open, options, help in sections, and usage errors.

A command line comes in; a command gets its options and, through `with_index`, the `IndexChoice` that opens
the index.  What the options of a query mean is left to `query_options`.
"""

from __future__ import annotations

import functools
import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import minisearch
from minisearch.cli.terminal import one_line, printable
from minisearch.errors import IndexNotFound, InputError, ModelError
from minisearch.paths import INDEX_FOLDER, find_index

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch

EXIT_NO_RESULTS, EXIT_QUERY_ERROR = 1, 2  # of query, as grep's
EXIT_INTERRUPTED = 130  # the code that shells use for Ctrl-C; SIGTERM is handled in minisearch.__main__

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

offline_option = click.option("--offline", is_flag=True, help="Never open a network connection.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
pager_option = click.option(
    "--no-pager", is_flag=True, help="Print long pages without a pager (PAGER, or less)."
)
A_FILE = click.Path(path_type=Path)
MODEL_HELP = "Name or folder of a model.  [default: all-MiniLM-L6-v2]"


# --- the index ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """The index that a command line asks for: ``folder`` is that of --index, None without it."""

    folder: Path | None
    is_offline: bool
    is_verbose: bool

    def open(self, *, default: Callable[[], Path] = find_index, **models: Any) -> MiniSearch:  # noqa: ANN401
        """Open the index: by default the nearest one, from the current folder upwards."""
        return minisearch.MiniSearch(self.found(default), offline=self.is_offline, **models)

    def found(self, default: Callable[[], Path] = find_index) -> Path:
        """The index folder: that of --index, or the ``default``."""
        return self.folder or default()

    @property
    def argument(self) -> str:
        """The --index argument that a suggested command needs, with a space before it; often empty."""
        return "" if self.folder is None else f" --index {shlex.quote(one_line(str(self.folder)))}"


def index_or_default() -> Path:
    """The nearest index folder, or the usual name where there is none."""
    try:
        return find_index()
    except IndexNotFound:
        return Path(INDEX_FOLDER)


def with_index(command: AnyFunction) -> Callable[..., Any]:
    """A decorator for commands that use an index: adds --index and -v, sets up logging.

    The command gets an `IndexChoice` as its first argument, which takes in the option --offline too.
    """

    @functools.wraps(command)
    def run(*, index_folder: Path | None, verbose: bool, offline: bool = False, **options: Any) -> None:  # noqa: ANN401
        logging.basicConfig(format="minisearch: %(message)s", level=logging.WARNING)
        if verbose:
            logging.getLogger("minisearch").setLevel(logging.INFO)
        command(IndexChoice(index_folder, offline, verbose), **options)

    run = click.option("-v", "--verbose", is_flag=True, help="Print each step.")(run)
    return click.option(
        "--index",
        "index_folder",
        metavar="DIR",
        envvar="MINISEARCH_INDEX",
        type=A_FILE,
        help="The index folder.  [default: .minisearch; env: MINISEARCH_INDEX]",
    )(run)


# --- values ------------------------------------------------------------------------------------------


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Turn an InputError into click's usage error: the usage line, and exit code 2."""
    try:
        yield
    except InputError as error:
        raise click.UsageError(printable(str(error))) from error


def number(default: int | None = None, *, least: int = 1) -> dict[str, Any]:
    """The attributes of an option that takes a number."""
    whole_number = click.IntRange(least)
    whole_number.name = "whole number"  # click says "'many' is not a valid whole number"
    has_default = default is not None
    return {"type": whole_number, "default": default, "show_default": has_default, "metavar": "N"}


def one_of(choices: Sequence[str], what: str) -> dict[str, Any]:
    """The attributes of an option with a few values; unlike `click.Choice`, it suggests the nearest one."""

    def convert(given: str) -> str:
        if given not in choices:
            near = nearest(given, choices, cutoff=0.5)
            expected = f"expected {', '.join(choices[:-1])} or {choices[-1]}"
            suggestion = f"; did you mean {near}?" if near else ""
            raise click.BadParameter(printable(f"unknown {what} '{given}': {expected}{suggestion}"))
        return given

    return {"type": convert, "metavar": "|".join(choices)}


def nearest(given: str, choices: Sequence[str], *, cutoff: float) -> str | None:
    """The choice with the most similar spelling, None when none is similar."""
    import difflib  # imported only after a mistake

    return next(iter(difflib.get_close_matches(given.casefold(), choices, n=1, cutoff=cutoff)), None)


def model_name(given: str) -> str:
    """The type of an option that takes a model: a name of the catalog, or a folder."""
    # Not at the top: a query that a server answers imports nothing that it does not need.
    from minisearch.minilm.catalog import find
    from minisearch.minilm.hub import locate

    if find(given) is None:
        try:
            locate(given)  # a folder, and so never a download
        except ModelError as error:
            raise click.BadParameter(printable(str(error))) from error
    return given


# --- commands ----------------------------------------------------------------------------------------


class SectionOption(click.Option):
    """An option that is listed in a section of the help."""

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **attributes)
        self.section = section


def section(name: str) -> Callable[..., Callable[[AnyFunction], AnyFunction]]:
    """A decorator like `click.option`, for the options of one section of the help."""
    return functools.partial(click.option, cls=SectionOption, section=name)


class SectionedCommand(click.Command):
    """A command whose help lists its options by section, the common ones last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options; all sections have columns of the same width."""
        sections: dict[str, list[tuple[str, str]]] = {}
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        for option in sorted(options, key=lambda option: not isinstance(option, SectionOption)):
            record = option.get_help_record(ctx)
            if record is not None:
                name = option.section if isinstance(option, SectionOption) else "Other options"
                sections.setdefault(name, []).append(record)
        widest = max(len(names) for rows in sections.values() for names, _ in rows if len(names) <= 28)
        for name, rows in sections.items():
            with formatter.section(name):
                formatter.write_dl([(f"{names:<{widest}}", text) for names, text in rows])
