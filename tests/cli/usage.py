"""How a wrong command line is answered: by click, with the usage, on standard error."""

from __future__ import annotations

from click.testing import Result


def usage_error(result: Result) -> str:
    """What is said to be wrong, in one line, below the usage; the exit code is 2, and nothing was printed."""
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    usage, _, empty, error = result.stderr.splitlines()
    assert (usage[:7], empty, error[:7]) == ("Usage: ", "", "Error: ")
    return error.removeprefix("Error: ")
