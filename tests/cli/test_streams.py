"""Standard streams that are closed: a command does its work, and says what it says to nobody."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.commands import minisearch

CLOSED = ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"]

# The streams' files as the process ends, told in a file.
TELL_OF_STREAMS = """
import atexit, os
def tell():
    with open(os.environ["TOLD"], "w") as file:
        file.write(" ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3)))
atexit.register(tell)
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bread.md").write_text("# Bread\n\nFlour, water, salt.\n")
    return tmp_path / "index"


def run(closed: str, *arguments: object, first: str = "") -> subprocess.CompletedProcess[str]:
    return minisearch(*arguments, before=("sh", "-c", f'exec "$@" {closed}', "sh"), first=first)


@pytest.mark.parametrize("closed", CLOSED)
def test_every_command_works_with_any_stream_closed(index: Path, closed: str) -> None:
    has_stdout = closed == "2>&-"
    done = run(closed, "index", index.parent / "docs", "--index", index)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 document added") == has_stdout
    asked = run(closed, "query", "bread", "--index", index)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert ("Flour, water, salt." in asked.stdout) == has_stdout


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_the_exit_code_still_reports_an_error(index: Path, closed: str) -> None:
    for code, arguments in ((1, ["status", "--index", index]), (2, ["nonsense"])):
        done = run(closed, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_no_file_of_the_index_takes_the_place_of_a_closed_stream(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = index.parent / "told"
    monkeypatch.setenv("TOLD", str(told))
    run("<&- >&- 2>&-", "index", index.parent / "docs", "--index", index, first=TELL_OF_STREAMS)
    assert told.read_text().split() == ["/dev/null"] * 3
