"""What several commands share: options, a help page in sections, and how a wrong choice is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from minisearch.cli.terminal import printable
from minisearch.errors import InputError, ModelError
from minisearch.minilm.catalog import find
from minisearch.minilm.hub import locate
from minisearch.paths import quoted

EXIT_INTERRUPTED = 130  # as a shell says of Ctrl-C; SIGTERM is answered in minisearch.__main__

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

offline_option = click.option("--offline", is_flag=True, help="Never open a network connection.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def common(command: AnyFunction) -> AnyFunction:
    """The options every command has."""
    command = click.option("-v", "--verbose", is_flag=True, help="Say what is being done.")(command)
    return click.option(
        "--index",
        "index_folder",
        metavar="DIR",
        envvar="MINISEARCH_INDEX",
        type=click.Path(path_type=Path),
        help="The index folder.  [default: .minisearch; env: MINISEARCH_INDEX]",
    )(command)


def set_up_logging(verbose: bool) -> None:
    """Warnings on standard error; what is being done too, if asked for."""
    logging.basicConfig(format="minisearch: %(message)s", level=logging.WARNING)
    if verbose:
        logging.getLogger("minisearch").setLevel(logging.INFO)


@contextmanager
def wrong_usage() -> Iterator[None]:
    """What makes no sense in a command line is answered as click answers it: its usage, and exit code 2."""
    try:
        yield
    except InputError as error:
        raise click.UsageError(printable(str(error))) from error


def one_of(choices: Sequence[str], what: str) -> Callable[[str], str]:
    """An option's type, a few words; unlike a `click.Choice`, it says which one may have been meant."""

    def convert(given: str) -> str:
        if given not in choices:
            near = nearest(given, choices, cutoff=0.5)
            expected = f"expected {', '.join(choices[:-1])} or {choices[-1]}"
            cure = f"; did you mean {near}?" if near else ""
            raise click.BadParameter(printable(f"unknown {what} '{given}': {expected}{cure}"))
        return given

    return convert


def nearest(given: str, choices: Sequence[str], *, cutoff: float) -> str | None:
    """The choice that is spelt most like what was given, if any is."""
    import difflib  # only to answer a mistake

    return next(iter(difflib.get_close_matches(given.lower(), choices, n=1, cutoff=cutoff)), None)


def model_name(given: str) -> str:
    """An option's type, a checkpoint of the catalog or a folder with one, its weights here or not."""
    if find(given) is None:
        try:
            locate(given)  # a folder, and so never a download
        except ModelError as error:
            raise click.BadParameter(printable(str(error))) from error
    return given


class PathsCommand(click.Command):
    """A command over files: one whose name begins with ``-`` is told apart from a wrong option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; where a wrong option is a file's name, say how it is given."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            file = next((arg for arg in given if arg.startswith("-") and Path(arg).exists()), None)
            if file is None:
                raise
            raise click.UsageError(
                f"{error.message} For the file of that name: {quoted(file)}", ctx
            ) from error


class SectionOption(click.Option):
    """An option that stands in a section of its command's help."""

    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **attributes)
        self.section = section


def section(name: str) -> Callable[..., Callable[[AnyFunction], AnyFunction]]:
    """A decorator like `click.option`, for the options of one section."""

    def option(*names: str, **attributes: Any) -> Callable[[AnyFunction], AnyFunction]:  # noqa: ANN401
        return click.option(*names, cls=SectionOption, section=name, **attributes)

    return option


class SectionedCommand(click.Command):
    """A command whose help lists its options by section, the common ones last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, all sections with columns of the same width."""
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
