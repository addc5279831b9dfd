"""What the README and the pages of the documentation show can be typed, and works."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from minisearch import MiniSearch, filters
from minisearch.cli import COMMANDS as CLI_COMMANDS
from minisearch.cli import cli
from minisearch.cli.query_options import QueryOptions
from minisearch.errors import InputError
from minisearch.formats import FORMATS
from minisearch.minilm.catalog import CATALOG
from minisearch.minilm.hub import locate
from scripts.command_reference import ESCAPES, WIDTH, commands, on_page_markdown
from tests.fakes import HashingEncoder
from tests.server.asgi import Answer, ask
from tests.tmux import Terminal, needs_tmux

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
BLOCKS = [(name, language, block) for name, page in PAGES.items() for language, block in BLOCK.findall(page)]
COMMANDS = sorted(
    {
        (name, command.partition(" #")[0].strip())
        for name, language, block in BLOCKS
        if language in {"", "sh", "console"}
        for line in block.splitlines()
        for part in line.split(" && ")
        for command in re.findall(r"^(?:\$ |.* -m )?(minisearch [-\w].*)", part)
    }
)
# These examples need something of their own, and are run by the tests that are named.
RUN_ELSEWHERE = {
    "docs/filters.md": "below",
    "docs/integrations.md": "tests/integrations/test_docs.py",
    "docs/recipes.md": "below",
    "docs/training.md": "tests/training/test_classification.py",
}


# --- every page --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_line_in_the_documentation_is_understood(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, *arguments = shlex.split(line)
    for made in (argument for argument in arguments if argument.startswith("./my-")):
        Path(made).symlink_to(locate("all-MiniLM-L6-v2").folder)
    context, command = click.Context(cli, info_name="minisearch"), cli
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        inner = command.get_command(context, arguments[0])
        if inner is None:
            break
        context, command = click.Context(inner, info_name=arguments.pop(0), parent=context), inner
    if "--help" not in arguments:
        command.make_context(context.info_name, arguments)


def test_the_documentation_shows_every_command() -> None:
    assert {shlex.split(line)[1] for _, line in COMMANDS} >= set(CLI_COMMANDS)


def pages_with(language: str) -> list[str]:
    """The names of the pages that have blocks in a language, but for those that are run elsewhere."""
    return sorted({name for name, given, _ in BLOCKS if given == language} - set(RUN_ELSEWHERE))


def program_on(page: str, language: str) -> str:
    """All blocks of a page in a language, one after the other."""
    return "\n".join(block for name, given, block in BLOCKS if (name, given) == (page, language))


def indexed_copy(documents: Path, folder: Path) -> Path:
    """The folder, with a copy of the documents in `docs` and their index, made with the real model."""
    shutil.copytree(documents, folder / "docs")
    with MiniSearch.open(folder) as ms:
        ms.index(folder / "docs")
    return folder


@pytest.fixture(scope="module")
def programming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the documents about programming and their index."""
    return indexed_copy(ROOT / "data" / "docs" / "programming", tmp_path_factory.mktemp("programming"))


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all documents and their index."""
    return indexed_copy(ROOT / "data" / "docs", tmp_path_factory.mktemp("indexed"))


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_of_a_page_runs_as_it_stands(
    page: str,
    programming: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(programming, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    exec(compile(program_on(page, "python"), page, "exec", dont_inherit=True), {})
    assert capsys.readouterr().out


def run_in_shell(program: str, folder: Path) -> str:
    """What a shell prints that runs a program in a folder with the command `minisearch`; no line may fail."""
    command = folder / "minisearch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m minisearch "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",  # two threads beside another test take three times as long
        "COLUMNS": "100",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    done = subprocess.run(
        ["sh", "-euc", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", pages_with("sh"))
def test_the_commands_of_a_page_run_over_the_documents(page: str, indexed: Path, tmp_path: Path) -> None:
    shutil.copytree(indexed, tmp_path, dirs_exist_ok=True)
    assert run_in_shell(program_on(page, "sh"), tmp_path)


def test_the_tutorial_prints_the_places_that_it_shows(indexed: Path, tmp_path: Path) -> None:
    shutil.copytree(indexed, tmp_path, dirs_exist_ok=True)
    shown = program_on("docs/tutorial.md", "console")
    commands = re.findall(r"^\$ (.+)", shown, re.MULTILINE)
    assert len(commands) == 2
    printed = run_in_shell("\n".join(commands), tmp_path)
    lines = [line for line in shown.splitlines() if re.search(r"^ \d+  .*%|^No ", line)]
    assert len(lines) == 6
    for line in lines:
        assert re.sub(r"\d+%", "", line) in re.sub(r"\d+%", "", printed)


def test_every_page_is_in_the_site() -> None:
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {f"docs/{name}" for name in named} == set(PAGES) - {"README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", PAGES[page])):
        path, _, heading = target.partition("#")
        if not path.startswith("http"):
            found = (ROOT / page).parent / path if path else ROOT / page
            assert found.exists(), target
            if heading:
                names = re.findall(r"^#+ (.+)", found.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-") for name in names}


def test_nothing_in_the_documentation_waits_to_be_filled_in() -> None:
    for name, page in PAGES.items():
        assert not re.findall(r"^[A-Z]+$", page, re.MULTILINE), name


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= 120
    assert {"docs/session.svg", "docs/pictures/page.png"} <= set(re.findall(r"!\[.*?\]\((.*?)\)", README))


def test_the_readme_names_the_binary_formats_and_how_they_are_cited() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| ")]
    for one in FORMATS:
        if one.is_binary:
            name = re.compile(rf"\b{one.suffixes.split()[0][1:]}\b", re.IGNORECASE)
            (row,) = (row for row in rows if name.search(row))
            names = {"p.": "page"}.get(one.page, one.page), one.line
            assert row.split("|")[-2].strip() == (" and ".join(filter(None, names)) or "heading"), one


def test_the_reference_has_the_help_of_every_command() -> None:
    found = dict(commands())
    assert {name.split()[1] for name in found if " " in name} == set(CLI_COMMANDS)
    assert {"minisearch alert add", "minisearch train distill"} <= set(found)
    page = on_page_markdown(PAGES["docs/reference/commands.md"])
    for name, help_text in found.items():
        assert f"\n## {name}\n\n```text\nUsage: {name} " in page
        arguments = [*name.split()[1:], "--help"]
        printed = CliRunner().invoke(cli, arguments, prog_name="minisearch", terminal_width=WIDTH).output
        assert ESCAPES.sub("", printed).strip() == help_text, name


def test_the_reference_has_the_short_option_for_help() -> None:
    # In a process of its own, as click keeps the option for help of the first context, whatever it was.
    program = (
        "from scripts.command_reference import commands; print({'-h, --help' in h for _, h in commands()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{True}\n"


# --- recipes -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe_folder(programming: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents and queries, whose index the recipes share."""
    folder = tmp_path_factory.mktemp("recipes")
    shutil.copytree(programming, folder, dirs_exist_ok=True)
    (folder / "queries.txt").write_text("retry a failed request\nundo a commit\n")
    return folder


def program_of(title: str) -> str:
    """The program below a heading of docs/recipes.md."""
    section = PAGES["docs/recipes.md"].split(f"\n## {title}\n")[1].split("\n## ")[0]
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
    titles = re.findall(r"^## (.+)", PAGES["docs/recipes.md"], re.MULTILINE)
    assert len(titles) == 5
    tests = Path(__file__).read_text()
    assert all(re.search(rf'(run_recipe|program_of)\("{title}"', tests) for title in titles)


# --- filters -----------------------------------------------------------------------------------------

FILTERS = PAGES["docs/filters.md"]


def test_the_page_about_filters_is_named_where_a_filter_is_given() -> None:
    query = cli.get_command(click.Context(cli), "query")
    assert query is not None
    assert "docs/filters.md" in query.get_help(click.Context(query))


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


def test_the_documentation_gives_every_checkpoint_its_layers_and_parameters() -> None:
    page = PAGES["docs/models.md"]
    rows = re.findall(r"^\| `([\w.-]+)`[^|]*\| (\d+) \| ([\d,]+) \|", page, re.MULTILINE)
    counted = [
        (checkpoint.name, str(checkpoint.config.num_hidden_layers), f"{checkpoint.n_parameters:,}")
        for checkpoint in CATALOG.values()
    ]
    assert sorted(rows) == sorted(counted)


@pytest.mark.parametrize("page", ["README.md", "docs/assistants.md"])
def test_the_configuration_of_a_client_starts_a_command_that_exists(page: str) -> None:
    (server,) = json.loads(program_on(page, "json"))["mcpServers"].values()
    assert server["command"] == "minisearch"
    name, *arguments = server["args"]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"(?:^|`)make (\w+)", "\n".join(PAGES.values()), re.MULTILINE))
    assert (
        {"demo", "docs", "test", "check"}
        <= targets
        <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    )


def test_the_changelog_speaks_of_this_version() -> None:
    import minisearch

    assert f"## {minisearch.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{minisearch.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_a_docstring_becomes_markdown() -> None:
    as_markdown = pytest.importorskip("scripts.docstring_examples", exc_type=ImportError).as_markdown
    tree = "A tree.\n\n::\n\n    a\n    └── b\n\nThe end.\n"
    assert as_markdown(tree) == "A tree.\n\n\n```text\na\n└── b\n```\n\nThe end.\n\n"
    example = 'It adds.\n\n>>> add(  # doctest: +SKIP\n...     1)\n1\n\nAn "error" else.'
    assert (
        as_markdown(example) == 'It adds.\n\n\n```pycon\n>>> add(\n...     1)\n1\n```\n\n\nAn "error" else.\n'
    )
