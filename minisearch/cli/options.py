"""What several commands share: options, a help page in sections, and how a wrong choice is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from minisearch.errors import InputError

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


def chosen(given: str, choices: Sequence[str], what: str) -> str:
    """The choice that was given; InputError with the nearest one when there is no such choice.

    Not a `click.Choice`: that answers with its usage, and with three lines more.
    """
    if given in choices:
        return given
    import difflib  # only to answer a mistake

    near = difflib.get_close_matches(given.lower(), choices, n=1, cutoff=0.5)
    cure = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"unknown {what} '{given}': expected {', '.join(choices[:-1])} or {choices[-1]}{cure}")


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
            raise click.UsageError(f"{error.message} For the file of that name: ./{file}", ctx) from error


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
