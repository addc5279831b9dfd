"""What the README says can be typed, and works."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from minisearch import MiniSearch, filters
from minisearch.cli import COMMANDS as CLI_COMMANDS
from minisearch.cli import cli
from minisearch.cli.query_options import QueryOptions
from minisearch.errors import InputError
from minisearch.minilm.catalog import CATALOG
from tests.fakes import HashingEncoder
from tests.server.asgi import Answer, ask
from tests.tmux import Terminal, needs_tmux

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall(README)
COMMANDS = [
    line.partition("#")[0].strip("$ ")
    for language, block in BLOCKS
    if not language
    for line in block.splitlines()
    if re.match(r"(\$ )?minisearch \w", line)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_line_in_the_readme_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)


def test_the_readme_shows_every_command() -> None:
    assert {shlex.split(line)[1] for line in COMMANDS} == set(CLI_COMMANDS)


def test_the_readmes_python_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "data" / "docs" / "programming", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    program = "\n".join(block for language, block in BLOCKS if language == "python")
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "docs/retry.py:" in printed


# --- recipes -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents and queries, whose index the recipes share."""
    folder = tmp_path_factory.mktemp("recipes")
    shutil.copytree(ROOT / "data" / "docs" / "programming", folder / "docs")
    (folder / "queries.txt").write_text("retry a failed request\nundo a commit\n")
    return folder


def program_of(title: str) -> str:
    """The program below a heading of docs/recipes.md."""
    recipes = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    section = recipes.split(f"\n## {title}\n")[1].split("\n## ")[0]
    ((_, program),) = BLOCK.findall(section)
    return program


def run_recipe(title: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that are left when the program below a heading of docs/recipes.md has run."""
    monkeypatch.chdir(folder)
    program = program_of(title)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(program, "docs/recipes.md", "exec", dont_inherit=True), names)
    return names


def test_the_recipe_for_a_language_model_cites_what_the_model_used(
    recipe_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe("Answer a question with a language model", recipe_folder, monkeypatch)
    reply, citation, unanswered = capsys.readouterr().out.splitlines()
    assert reply == "Wait longer after every attempt [1]."
    assert re.fullmatch(r"\[1\] .*docs/retry\.py:\d+-\d+", citation)
    assert unanswered == "The documents have no clear answer."


def test_the_recipe_for_fastapi_answers_requests(
    recipe_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    names = run_recipe("Answer requests with FastAPI", recipe_folder, monkeypatch)

    async def answers() -> list[Answer]:
        async with names["lifespan"](names["app"]):
            paths = ["/ask?question=retry+a+failed+request", "/ask?question=retry&max_tokens=0"]
            return [await asyncio.to_thread(ask, names["app"], path) for path in paths]

    found, refused = asyncio.run(answers())
    assert (found.code, found.json["prompt"].partition(" ")[0]) == (200, "[1]")
    assert any("docs/retry.py" in citation for citation in found.json["citations"])
    assert (refused.code, refused.json["detail"]) == (
        400,
        "max_tokens is 0: expected a number of tokens above 0",
    )


def test_the_recipe_for_a_job_writes_a_line_for_each_query(
    recipe_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe("Many queries in one job", recipe_folder, monkeypatch)
    assert capsys.readouterr().out.startswith("IngestReport(added=")
    lines = (recipe_folder / "results.jsonl").read_text().splitlines()
    best = [json.loads(line)["results"][0]["path"] for line in lines]
    assert best == ["docs/retry.py", "docs/git-undo.md"]


def test_the_recipe_for_a_notebook_prints_three_results(
    recipe_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_recipe("In a notebook", recipe_folder, monkeypatch)
    names["ms"].close()
    printed = capsys.readouterr().out
    assert len(re.findall(r"^\d+%  docs/", printed, re.MULTILINE)) == 3
    assert "docs/git-undo.md" in printed.splitlines()[0]


@needs_tmux
@pytest.mark.skipif(shutil.which("fzf") is None, reason="fzf is not installed")
def test_the_recipe_for_fzf_searches_while_one_types(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data" / "docs" / "programming", tmp_path / "docs")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path / "docs", backend="flat")
    programs = {
        "minisearch": f"#!{sys.executable}\nimport sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from minisearch.minilm.encoders import Encoders; from tests.fakes import HashingEncoder\n"
        "Encoders.to_query = Encoders.to_add = lambda *_: HashingEncoder()\n"
        "from minisearch.cli import main; main()\n",
        "vim": f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n',
        "recipe": program_of("Live search with fzf"),
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    command = f"PATH={tmp_path}:$PATH XDG_STATE_HOME={tmp_path}/state EDITOR=vim sh recipe"
    with Terminal(command, tmp_path, columns=160) as terminal:
        terminal.until(lambda screen: "> " in screen)
        terminal.type("git reflog")
        terminal.until(lambda screen: re.search(r"%  docs/git-undo\.md:\d+", screen) is not None)
        terminal.until(lambda screen: "reflog" in screen.partition("git-undo.md")[2])  # the preview
        terminal.keys("Enter")
        terminal.until(lambda _: (tmp_path / "opened").exists())
        assert "docs/git-undo.md" in (tmp_path / "opened").read_text()
        terminal.keys("Escape")
        terminal.until(lambda screen: "code" in screen)


def test_every_recipe_is_run() -> None:
    titles = re.findall(r"^## (.+)", (ROOT / "docs" / "recipes.md").read_text(), re.MULTILINE)
    assert len(titles) == 5
    tests = Path(__file__).read_text()
    assert all(re.search(rf'(run_recipe|program_of)\("{title}"', tests) for title in titles)


# --- filters -----------------------------------------------------------------------------------------

FILTERS = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")


def test_the_page_about_filters_is_named_where_a_filter_is_given() -> None:
    query = cli.get_command(click.Context(cli), "query")
    assert query is not None
    assert "docs/filters.md" in query.get_help(click.Context(query))
    assert "(docs/filters.md)" in README


def rows_of(title: str) -> list[list[str]]:
    """The rows of the tables below a heading of docs/filters.md, without code marks in the first cell."""
    section = FILTERS.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in re.findall(r"^\|.*", section, re.M)
    ]
    return [[row[0].strip("`"), *row[1:]] for row in rows if row[0].startswith("`")]


@pytest.fixture
def filtered(tmp_path: Path) -> Iterator[MiniSearch]:
    """An index of the documents that the page about filters shows, and their program."""
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        names: dict[str, Any] = {"ms": ms}
        documents, program = (block for language, block in BLOCK.findall(FILTERS) if language == "python")
        exec(compile(documents, "docs/filters.md", "exec", dont_inherit=True), names)
        ms.add(names["documents"])
        exec(compile(program, "docs/filters.md", "exec", dont_inherit=True), names)
        yield ms


def test_every_filter_in_the_documentation_finds_what_it_says(filtered: MiniSearch) -> None:
    rows = rows_of("Conditions")
    assert len(rows) == 20
    for where, expected, *_ in rows:
        found = {hit.path for hit in filtered.query("x", where=where, by="document")}
        assert found == set(expected.split(", ")), where


def test_every_wrong_filter_in_the_documentation_is_that_error(filtered: MiniSearch) -> None:
    rows = rows_of("Mistakes")
    assert len(rows) == 4
    for where, message in rows:
        with pytest.raises(InputError) as error:
            filtered.query("x", where=where)
        assert str(error.value).split("\n")[0].removeprefix("cannot read the condition: ") == message


def test_every_option_in_the_documentation_of_filters_is_that_condition() -> None:
    rows = rows_of("Path, extension, language and time")
    assert len(rows) == 6
    command = cli.get_command(click.Context(cli), "query")
    assert command is not None
    for option, condition, _ in rows:
        context = command.make_context("query", ["x", *shlex.split(option)])
        names = {field.name for field in dataclasses.fields(QueryOptions)}
        given = {name: value for name, value in context.params.items() if name in names}
        found = QueryOptions(**given | {"text": "x"}).search_options(1).where
        expected = eval(condition.strip("`"), {**vars(filters), "datetime": datetime})
        assert type(found) is type(expected) and (found == expected or isinstance(found, filters.Since)), (
            option
        )


# -----------------------------------------------------------------------------------------------------


def test_the_readme_gives_every_checkpoint_its_layers_and_parameters() -> None:
    rows = re.findall(r"^\| `([\w.-]+)`[^|]*\| (\d+) \| ([\d,]+) \|", README, re.MULTILINE)
    counted = [
        (checkpoint.name, str(checkpoint.config.num_hidden_layers), f"{checkpoint.n_parameters:,}")
        for checkpoint in CATALOG.values()
    ]
    assert sorted(rows) == sorted(counted)


def test_the_configuration_of_a_client_starts_a_command_that_exists() -> None:
    (block,) = (block for language, block in BLOCKS if language == "json")
    (server,) = json.loads(block)["mcpServers"].values()
    assert server["command"] == "minisearch"
    name, *arguments = server["args"]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)


def test_nothing_in_the_readme_waits_to_be_filled_in() -> None:
    assert not re.findall(r"^[A-Z]+$", README, re.MULTILINE)


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    assert (
        {"demo", "test", "check"}
        <= targets
        <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    )


def test_the_changelog_speaks_of_this_version() -> None:
    import minisearch

    assert f"## {minisearch.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{minisearch.__version__}"' in (ROOT / "pyproject.toml").read_text()
