"""The commands that messages advise do what they say when they are pasted into a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch import minilm
from minisearch.cli import cli
from tests.fakes import HashingEncoder

INDEX = "Bob's index"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with folders whose names a shell would cut, and one that such a part names."""
    for name in ("my notes", "my", "-x"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.md").write_text(f"Note {number} of {name}.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINISEARCH_INDEX", raising=False)
    monkeypatch.setattr(minilm.SentenceTransformer, "from_pretrained", lambda name, **_: HashingEncoder(name))
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


def advised(message: str, command: str) -> list[str]:
    """The arguments of the command that ends a message, as a shell takes them."""
    found = re.search(rf"minisearch ({command} .*)$", message.rstrip("\n"))
    assert found, message
    return shlex.split(found[1])


@pytest.mark.parametrize("name", ["my notes", "-x"])
def test_a_refused_run_advises_a_command_that_prunes_the_same_folder_in_the_same_index(
    folder: Path, name: str
) -> None:
    run("index", "--index", INDEX, "--", name)
    (folder / name / "0.md").unlink()
    (folder / name / "1.md").unlink()
    command = advised(run("index", "--index", INDEX, "--", name, code=1).stderr, "index")
    assert run(*command).stdout.startswith("0 documents added, 0 updated, 1 unchanged, 2 removed")


def test_a_folder_that_has_lost_all_is_removed_by_the_advised_command(folder: Path) -> None:
    run("index", "my notes", "my", "--index", INDEX)
    for path in (folder / "my notes").iterdir():
        path.unlink()
    command = advised(run("index", "my notes", "--index", INDEX, code=1).stderr, "remove")
    assert run(*command).stdout == "Removed 3 documents from the index\n"


def test_a_folder_that_no_run_has_seen_is_indexed_by_the_advised_command(folder: Path) -> None:
    run("index", "my", "--index", INDEX)
    told = run("why-not", "my notes/0.md", "note", "--index", INDEX).stdout
    assert run(*advised(told.splitlines()[0], "index")).stdout.startswith("1 document added, 0 updated")
    assert not (folder / ".minisearch").exists(), "it went to the index that was asked"


def test_where_there_is_no_index_one_is_made_by_the_advised_command(folder: Path) -> None:
    command = advised(run("status", "--index", INDEX, code=1).stderr, "index")
    run(*("my notes" if argument == "FOLDER" else argument for argument in command))
    assert (folder / INDEX / "minisearch.db").is_file()


@pytest.mark.parametrize(
    ("command", "given", "cure"),
    [
        (["status", "--index", "my notes"], "my notes", "--index 'my notes/.minisearch'?"),
        (["index", "my", "--index", "my notes"], "my notes", "--index 'my notes/.minisearch'"),
    ],
)
def test_an_index_inside_the_folder_given_is_named_whole(
    folder: Path, command: list[str], given: str, cure: str
) -> None:
    if command[0] == "status":
        run("index", given, "--index", f"{given}/.minisearch")
    assert run(*command, code=1).stderr.endswith(f"{cure}\n")


def test_a_copied_index_names_all_that_it_follows_and_itself_whole(folder: Path) -> None:
    run("index", "my notes", "--index", "one index")
    (folder / "one index").rename(INDEX)
    told = run("index", "--index", INDEX, code=1).stderr
    named, taken_out = (
        told.rstrip("\n").split(": minisearch index ")[1].split("; remove the others: minisearch ")
    )
    assert shlex.split(taken_out) == ["remove", "PATH", "--index", INDEX]
    assert run("index", *shlex.split(named)).stdout.startswith("0 documents added, 0 updated, 3 unchanged")


def test_another_model_is_named_whole(folder: Path, tmp_path: Path) -> None:
    run("index", "my", "--index", INDEX)
    model = tmp_path / "Bob's model"
    model.mkdir()
    for name in ("config.json", "model.safetensors"):
        (model / name).write_text("{}")
    told = run("index", "my", "--index", INDEX, "--model", str(model), code=1).stderr
    assert advised(told, "index") == ["index", "PATH", "--index", "NEW_FOLDER", "--model", str(model)]
