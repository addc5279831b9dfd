"""The reference of all commands, made of the help that the commands print: a hook of mkdocs.

The page with the line `MARK` goes in; Markdown with a section for each command comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from minisearch.cli import cli

MARK = "<!-- commands -->"
WIDTH = 88  # characters of a line of help
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def on_page_markdown(markdown: str, **_: object) -> str:
    """The page with the reference in place of the mark; mkdocs calls this for each page."""
    return markdown.replace(MARK, command_reference()) if MARK in markdown else markdown


def command_reference() -> str:
    """A section with the help of each command."""
    return "\n\n".join(f"## {name}\n\n```text\n{help_text}\n```" for name, help_text in commands())


def commands() -> Iterator[tuple[str, str]]:
    """The name of each command and its help, as a terminal of `WIDTH` columns shows it, without colours."""
    return _commands_of(cli, "minisearch", None)


def _commands_of(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    settings = {**command.context_settings, "terminal_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context.command_path, ESCAPES.sub("", command.get_help(context)).rstrip()
    if isinstance(command, click.Group):
        for inner_name in sorted(command.list_commands(context)):
            inner = command.get_command(context, inner_name)
            if inner is not None and not inner.hidden:
                yield from _commands_of(inner, inner_name, context)
