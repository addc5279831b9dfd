"""How the command line of a query is read, where click by itself would answer in a way that does not help.

The arguments as the shell hands them over come in; click goes on from there.
"""

from __future__ import annotations

import click

from minisearch.cli.asked import AUTO, RERANKERS
from minisearch.cli.options import SectionedCommand, nearest
from minisearch.cli.terminal import one_line

KINDS = (*RERANKERS, AUTO)


class QueryCommand(SectionedCommand):
    """``--rerank`` may go without its value; a ``-word`` that is no option gets an answer that helps."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; a text that follows a bare ``--rerank`` stays text."""
        end = args.index("--") if "--" in args else len(args)
        for place, arg in enumerate(args[:end]):
            following = next(iter(args[place + 1 :]), "")
            if arg == "--rerank" and following not in KINDS:
                args[place] = f"--rerank={AUTO}"
                _tell_of_a_typo(following)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name.startswith("--"):
                raise
            cure = 'quote it with the query: minisearch query "bread -rye"'
            raise click.UsageError(f"{error.message} To leave out what holds a word, {cure}", ctx) from error


def _tell_of_a_typo(word: str) -> None:
    """Say so where a word behind a bare ``--rerank`` is text, and may have been meant as its value."""
    near = nearest(word, KINDS, cutoff=0.8)
    if near:
        click.echo(
            f"Note: '{one_line(word)}' is taken as text, and --rerank as it comes; if {near} is meant: "
            f"--rerank={near}",
            err=True,
        )
