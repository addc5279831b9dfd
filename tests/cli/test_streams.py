"""Standard streams that are closed: a command does its work, and says what it says to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.commands import minisearch
from tests.faults.processes import CHECKOUT, environment

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


@pytest.mark.parametrize("format_", ["text", "jsonl", "csv", "md", "files", "context"])
def test_a_query_ends_quietly_when_its_reader_has_gone(index: Path, format_: str) -> None:
    run("", "index", index.parent / "docs", "--index", index)
    reading, writing = os.pipe()
    os.close(reading)
    command = ["-m", "tests.faults.commands", "query", "bread", "--index", str(index), "--format", format_]
    done = subprocess.run(
        [sys.executable, *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=CHECKOUT,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["bread"], 0),
        (["wheels of a train", "--mode", "lexical"], 1),
        (["bread", "--ext", "pdf", "--json"], 1),
        (["bread", "--ext", "pdf", "-l"], 1),
        (["-bread"], 2),
        (["bread", "--mode", "none"], 2),
        (["bread", "--where", "autor = ada"], 2),
        (["bread", "--index", "/nowhere"], 2),
    ],
)
def test_the_exit_codes_of_a_query_are_those_of_grep(index: Path, arguments: list[str], code: int) -> None:
    run("", "index", index.parent / "docs", "--index", index)
    done = run("", "query", "--index", index, *arguments)
    assert done.returncode == code, done.stderr
    assert bool(done.stdout) == (code == 0)
