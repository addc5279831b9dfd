"""``minisearch alert``, and what the other commands print of alerts: queries that report new matches.

Matches go to standard output, one line each, or to the standard input of a command of the user's.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from minisearch.cli.options import IndexChoice, json_option, offline_option, with_index
from minisearch.cli.terminal import as_json_line, name_line, one_line, printable, shortened
from minisearch.errors import MinisearchError
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.analysis.alerts import AlertMatch
    from minisearch.engine import MiniSearch

RUN_HELP = "Run COMMAND with new matches of alerts as JSON lines on its input."
on_alert_option = click.option("--on-alert", metavar="COMMAND", help=RUN_HELP)


@click.group()
def alert() -> None:
    """Keep queries that report new matches.

    After each run of minisearch index and watch, passages that match one of them and were not reported yet
    are printed.
    """


@alert.command()
@click.argument("text")
@offline_option
@with_index
def add(index: IndexChoice, text: str) -> None:
    """Report passages that answer TEXT, from now on."""
    with index.open() as ms:
        n = ms.alerts.add(text)
    click.echo(f"Added; {count(n, 'passage')} already there will not be reported")


@alert.command("list")
@json_option
@with_index
def list_(index: IndexChoice, as_json: bool) -> None:
    """List the alerts of an index."""
    with index.open() as ms:
        queries = [one.query for one in ms.alerts.all()]
    click.echo(
        as_json_line(queries) if as_json else "\n".join(map(one_line, queries)) or "There are no alerts"
    )


@alert.command()
@click.argument("text")
@with_index
def remove(index: IndexChoice, text: str) -> None:
    """Remove an alert."""
    with index.open() as ms:
        ms.alerts.remove(text)


@alert.command()
@click.option("--exec", "command", metavar="COMMAND", help=RUN_HELP)
@json_option
@offline_option
@with_index
def check(index: IndexChoice, command: str | None, as_json: bool) -> None:
    """Report new matches now, as the next indexing run would.

    The exit code is 1 if there are none.
    """
    with index.open() as ms:
        matches = ms.alerts.check()
    report(matches, command=command, as_json=as_json)
    if not matches:
        raise SystemExit(1)


def report_new(ms: MiniSearch, *, command: str | None, as_json: bool) -> None:
    """Report what an indexing run has brought; the run itself is over, and no error of an alert undoes it."""
    try:
        report(ms.alerts.check(), command=command, as_json=as_json)
    except MinisearchError as error:
        click.echo(f"The alerts were not reported: {printable(str(error))}", err=True)


def report(matches: Sequence[AlertMatch], *, command: str | None, as_json: bool) -> None:
    """Print new matches, or pass them to a command; they are printed too if it fails."""
    lines = [as_json_line(one) for match in matches for one in _as_json(match)]
    if command is not None and lines:
        problem = _run(command, "\n".join([*lines, ""]))
        if not problem:
            return
        click.echo(problem, err=True)
    if as_json:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    for match in matches:
        click.echo(f"alert      {one_line(match.query)}")
        for hit in match.results:
            text = hit.evidence.text if hit.evidence else hit.text
            click.echo(f"  {name_line(hit.place)}: {shortened(one_line(' '.join(text.split())))}")


def _run(command: str, text: str) -> str:
    """Run a command of the user's with this input; what went wrong, or ""."""
    try:
        done = subprocess.run(shlex.split(command), input=text, text=True, check=False)  # noqa: S603 - the user's own
    except (OSError, ValueError) as error:
        return f"Cannot run {one_line(command)!r}: {error}"
    return f"{one_line(command)!r} ended with code {done.returncode}" if done.returncode else ""


def _as_json(match: AlertMatch) -> Iterator[dict[str, object]]:
    return ({"alert": match.query, **one.to_dict()} for one in match.results)
