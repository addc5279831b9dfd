"""Commands in this process: how one ends, and how a wrong command line is answered."""

from __future__ import annotations

from click.testing import CliRunner, Result

from minisearch.cli import cli


def usage_error(result: Result) -> str:
    """What is said to be wrong, in one line, below the usage; the exit code is 2, and nothing was printed."""
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    usage, _, empty, error = result.stderr.splitlines()
    assert (usage[:7], empty, error[:7]) == ("Usage: ", "", "Error: ")
    return error.removeprefix("Error: ")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result
