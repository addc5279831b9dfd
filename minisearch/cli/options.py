"""What several commands share: the index they open, options, help in sections, and usage errors.

A command line comes in; a command gets its options and, through `with_index`, the `IndexChoice` that opens
the index.  What the options of a query mean is left to `query_options`.
"""

from __future__ import annotations

import functools
import importlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

import minisearch
from minisearch.cli import settings
from minisearch.cli.terminal import one_line, printable
from minisearch.errors import IndexNotFound, InputError, MinisearchError, ModelError, install_line
from minisearch.paths import DATABASE, INDEX_FOLDER, find_index, quoted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
    """The index that a command line asks for: ``folder`` is that of --index or -c, None without them."""

    folder: Path | None
    is_offline: bool
    is_verbose: bool
    collection: settings.Collection | None = None

    def open(self, *, default: Callable[[], Path] = find_index, **models: Any) -> MiniSearch:  # noqa: ANN401
        """Open the index: by default the nearest one, from the current folder upwards."""
        return minisearch.MiniSearch(self.found(default), offline=self.is_offline, **models)

    def found(self, default: Callable[[], Path] = find_index) -> Path:
        """The index folder: that of --index or -c, or the ``default``."""
        one = self.collection
        if one is not None and default is find_index and not (one.index / DATABASE).exists():
            raise IndexNotFound(f"{one.name} has no index yet: make it with: minisearch index -c {one.name}")
        return self.folder or default()

    @property
    def argument(self) -> str:
        """The --index or -c argument that a suggested command needs, with a space before; often empty."""
        if self.collection is not None:
            return f" -c {self.collection.name}"
        return "" if self.folder is None else f" --index {one_line(quoted(self.folder))}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders and files of the collection; empty without one."""
        return tuple(map(Path, self.collection.paths)) if self.collection else ()

    @property
    def within(self) -> tuple[str, ...]:
        """The paths to which a search is limited: those of a collection in an index that it shares."""
        return self.collection.paths if self.collection and not self.collection.has_own_index else ()


def index_or_default() -> Path:
    """The nearest index folder, or the usual name where there is none."""
    try:
        return find_index()
    except IndexNotFound:
        return Path(INDEX_FOLDER)


def with_index(command: AnyFunction) -> Callable[..., Any]:
    """A decorator for commands that use an index: adds --index, -c and -v, sets up logging.

    The command gets an `IndexChoice` as its first argument, which takes in the option --offline too.
    """

    @functools.wraps(command)
    def run(
        *,
        index_folder: Path | None,
        collection: str | None,
        verbose: bool,
        offline: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        logging.basicConfig(format="minisearch: %(message)s", level=logging.WARNING)
        if verbose:
            logging.getLogger("minisearch").setLevel(logging.INFO)
        if index_folder is not None and collection is not None:
            index_folder, collection = _first_given(index_folder, collection)
        one = None if collection is None else settings.read().collection(collection)
        command(IndexChoice(one.index if one else index_folder, offline, verbose, one), **options)

    run = click.option("-v", "--verbose", is_flag=True, help="Print each step.")(run)
    run = click.option(
        *("-c", "--collection"),
        metavar="NAME",
        envvar="MINISEARCH_COLLECTION",
        shell_complete=complete_collection,
        help="The index of a collection.  [env: MINISEARCH_COLLECTION]",
    )(run)
    return click.option(
        "--index",
        "index_folder",
        metavar="DIR",
        envvar="MINISEARCH_INDEX",
        type=A_FILE,
        help="The index folder.  [default: .minisearch; env: MINISEARCH_INDEX]",
    )(run)


def complete_collection(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The names of collections that begin so."""
    with suppress(InputError):  # a completion prints no error
        return [one for one in settings.read().collections if one.startswith(typed)]
    return []


def _first_given(folder: Path, name: str) -> tuple[Path | None, str | None]:
    """The one of --index and -c that was given in the more important place."""
    order = [ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP]
    sources = map(click.get_current_context().get_parameter_source, ("index_folder", "collection"))
    of_folder, of_name = (order.index(source) if source in order else len(order) for source in sources)
    if of_folder == of_name:
        raise click.UsageError("--index and --collection exclude each other: give one of them")
    return (folder, None) if of_folder < of_name else (None, name)


# --- values ------------------------------------------------------------------------------------------


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Turn an InputError into click's usage error: the usage line, and exit code 2."""
    try:
        yield
    except InputError as error:
        raise click.UsageError(printable(str(error))) from error


def imported(module: str, name: str, extra: str) -> Any:  # noqa: ANN401 - a function, a class or a constant
    """What a module defines whose libraries are those of an extra, which may not be installed."""
    try:
        return getattr(importlib.import_module(f"minisearch.{module}"), name)
    except ImportError as error:
        raise MinisearchError(
            f"this command needs a library that cannot be imported ({error}); install it with: "
            f"{install_line(extra)}"
        ) from error


def number(default: int | None = None, *, least: int = 1) -> dict[str, Any]:
    """The attributes of an option that takes a number."""
    whole_number = click.IntRange(least)
    whole_number.name = "whole number"  # click says "'many' is not a valid whole number"
    has_default = default is not None
    return {"type": whole_number, "default": default, "show_default": has_default, "metavar": "N"}


class Quantity(click.FloatRange):
    """A number in a range; nan, which is in every range of click, and inf are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


def one_of(choices: Sequence[str], what: str) -> dict[str, Any]:
    """The attributes of an option with a few values; unlike `click.Choice`, it suggests the nearest one."""

    def convert(given: str) -> str:
        if given not in choices:
            near = nearest(given, choices, cutoff=0.5)
            expected = f"expected {', '.join(choices[:-1])} or {choices[-1]}"
            suggestion = f"; did you mean {near}?" if near else ""
            raise click.BadParameter(printable(f"unknown {what} '{given}': {expected}{suggestion}"))
        return given

    def complete(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(typed)]

    return {"type": convert, "metavar": "|".join(choices), "shell_complete": complete}


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


def complete_model(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The names of models that begin so, or else a folder."""
    from click.shell_completion import CompletionItem

    from minisearch.minilm.catalog import CATALOG

    names = [CompletionItem(name) for name in CATALOG if name.startswith(typed)]
    return names or [CompletionItem(typed, type="dir")]


def complete_file(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The completion of a value that begins with the name of a file."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


A_MODEL: dict[str, Any] = {"type": model_name, "metavar": "NAME", "shell_complete": complete_model}


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
