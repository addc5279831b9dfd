"""What the README says can be typed, and works."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from minisearch.cli import COMMANDS as CLI_COMMANDS
from minisearch.cli import cli
from minisearch.minilm.catalog import CATALOG

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
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
