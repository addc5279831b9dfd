"""Collections, settings, completion and the doctor."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch.cli import cli
from minisearch.maintenance import doctor
from minisearch.minilm.encoders import Encoders
from tests.fakes import HashingEncoder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of notes, in a home folder without settings."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "MINISEARCH_INDEX", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("to_index", "to_query", "to_add"):
        monkeypatch.setattr(Encoders, name, lambda *_: HashingEncoder())
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder, text in (("notes", "The roof leaks."), ("wo[r]k", "The roof is paid."), ("else", "")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(text)
    monkeypatch.chdir(tmp_path / "else")
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


def error_of(*arguments: str, code: int = 1) -> str:
    (line,) = run(*arguments, code=code).stderr.splitlines()[-1:]
    return line


# --- collections -------------------------------------------------------------------------------------


def test_a_collection_is_searched_from_anywhere(home: Path) -> None:
    added = run("collection", "add", "notes", "~/notes").stdout
    assert added == f"Added notes: {home}/notes. Next: minisearch index -c notes\n"
    assert error_of("query", "-c", "notes", "roof", code=2) == (
        "Error: notes has no index yet: make it with: minisearch index -c notes"
    )
    run("index", "-c", "notes")
    assert run("query", "-c", "notes", "roof", "-l").stdout == f"{home}/notes/a.md\n"
    assert run("query", "--collection", "notes", "snow", "--mode", "lexical", code=1).stdout == ""
    assert json.loads(run("status", "-c", "notes", "--json").stdout)["path"] == f"{home}/notes/.minisearch"
    assert "The roof leaks." in run("get", "-c", "notes", f"{home}/notes/a.md").stdout
    (home / "notes" / "b.md").write_text("A new roof.")
    assert run("index", "-c", "notes").stdout.startswith("1 document added, 0 updated, 1 unchanged")


def test_collections_in_one_index_search_their_own_folders(home: Path) -> None:
    run("collection", "add", "notes", "../notes", "--index", "../shared")
    run("collection", "add", "work", "../wo[r]k", "--index", "../shared")
    run("index", "-c", "notes")
    run("index", "-c", "work")
    for name, folder in (("notes", "notes"), ("work", "wo[r]k")):
        assert run("query", "-c", name, "roof", "-l").stdout == f"{home}/{folder}/a.md\n"
    found = run("query", "roof", "-l", "--index", "../shared").stdout
    assert len(found.splitlines()) == 2
    run("collection", "remove", "notes")
    assert run("query", "-c", "work", "roof", "-l").stdout == f"{home}/wo[r]k/a.md\n", "still its own"
    told = run("query", "-c", "work", "roof", "--ext", "pdf", code=1).stderr
    assert f"the collection's paths ({home}/wo[r]k) and --ext pdf" in told
    assert (
        "filtered: none of its passages is of a file at"
        in run("why-not", "-c", "work", "../notes/a.md", "roof").stdout
    )


def test_several_folders_share_an_index_in_the_data_folder(home: Path) -> None:
    run("collection", "add", "all", "../notes", "../wo[r]k")
    run("index", "-c", "all")
    assert (home / ".local/share/minisearch/collections/all/minisearch.db").exists()
    assert len(run("query", "-c", "all", "roof", "-l").stdout.splitlines()) == 2


def test_collections_are_listed_and_forgotten(home: Path) -> None:
    assert "minisearch collection add NAME FOLDER" in run("collection", "list").stderr
    run("collection", "add", "notes", "../notes")
    assert run("collection", "list").stdout == (
        f"notes  {home}/notes  index: {home}/notes/.minisearch (none yet: minisearch index -c notes)\n"
    )
    assert json.loads(run("collection", "list", "--json").stdout) == [
        {"name": "notes", "index": f"{home}/notes/.minisearch", "paths": [f"{home}/notes"]}
    ]
    run("index", "-c", "notes")
    run("collection", "remove", "notes")
    assert json.loads(run("collection", "list", "--json").stdout) == []
    assert (home / "notes" / ".minisearch" / "minisearch.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "a/b", "."], "'a/b' is no name: expected letters, digits, - and _, at most 64"),
        (["add", "", "."], "'' is no name"),
        (["add", "-x", "."], "No such option"),
        (["add", "n" * 65, "."], "is no name"),
        (["add", "x", "nowhere"], "nowhere does not exist: name folders or files to search"),
        (["add", "x"], "Missing argument"),
        (["add", "notes", "."], "there is a collection notes already"),
        (["remove", "other"], "there is no collection other: expected one of notes"),
    ],
)
def test_a_wrong_collection_is_one_error(home: Path, arguments: list[str], message: str) -> None:
    run("collection", "add", "notes", "../notes")
    done = CliRunner().invoke(cli, ["collection", *arguments])
    assert done.exit_code in {1, 2} and message in done.stderr


# --- settings: command line, environment, file, default ----------------------------------------------


@pytest.fixture
def configure(home: Path) -> Callable[[object], None]:
    def write(content: object) -> None:
        file = home / ".config" / "minisearch" / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    configure: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "../notes", "../wo[r]k")
    assert len(run("search", "roof", "-l").stdout.splitlines()) == 2, "the default"
    configure({"options": {"query": {"limit": 1, "files": True}}})
    assert len(run("query", "roof").stdout.splitlines()) == 1
    monkeypatch.setenv("MINISEARCH_QUERY_LIMIT", "2")
    assert len(run("search", "roof").stdout.splitlines()) == 2
    assert len(run("query", "roof", "-k", "1").stdout.splitlines()) == 1


def test_index_and_collection_follow_the_same_order(
    home: Path, configure: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("collection", "add", "notes", "../notes")
    run("collection", "add", "work", "../wo[r]k")
    for name in ("notes", "work"):
        run("index", "-c", name)
    monkeypatch.setenv("MINISEARCH_INDEX", f"{home}/wo[r]k/.minisearch")
    assert f"{home}/notes/" in run("query", "-c", "notes", "roof", "-l").stdout
    assert f"{home}/wo[r]k/" in run("query", "roof", "-l").stdout
    told = run("query", "-c", "notes", "--index", f"{home}/notes/.minisearch", "roof", code=2).stderr
    assert "--index and --collection exclude each other" in told
    monkeypatch.setenv("MINISEARCH_COLLECTION", "notes")
    assert "exclude each other" in run("query", "roof", code=2).stderr


def test_the_settings_in_the_documentation_are_understood(configure: Callable[[object], None]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    configure(block)
    for name in json.loads(block)["options"]:
        run(name, "--help")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a settings file (Expecting property name"),
        ("[]", "is not a settings file"),
        ({"option": {}}, "expected options and collections, got option"),
        ({"collections": {"a": {"index": "x", "paths": [1]}}}, "a path that is no text"),
        ({"options": {"status": {"limit": 3}}}, "sets 'limit' of status, which it has not"),
    ],
)
def test_a_wrong_settings_file_is_one_error(
    configure: Callable[[object], None], content: object, message: str
) -> None:
    configure(content)
    line = error_of("status", *(["-c", "a"] if "collections" in content else []))
    assert line.startswith("Error: ") and "config.json" in line and message in line


# --- completion --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_once_and_removed_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    start = home / f".{shell}rc"
    start.write_text("echo hello")
    told = run("completion").stdout
    assert run("completion", shell).stdout == told
    assert f"To undo it: minisearch completion {shell} --remove" in told
    places = [*home.rglob("minisearch/completion.*"), *home.rglob("minisearch.fish")]
    assert len(places) == 1 and "_MINISEARCH_COMPLETE" in places[0].read_text()
    if shell != "fish":
        assert start.read_text() == f"echo hello\n. {places[0]} # minisearch completion\n"
    if shutil.which(shell):
        subprocess.run([shell, "-n", places[0]], check=True)
    run("completion", "--remove")
    assert not places[0].exists()
    assert start.read_text() == "echo hello" + "\n" * (shell != "fish")


def test_an_unknown_shell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert error_of("completion") == "Error: no completion for the shell 'tcsh': expected bash, zsh, fish"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("minisearch que", {"query"}),
        ("minisearch query --format m", {"md"}),
        ("minisearch query --form", {"--format"}),
        ("minisearch query -c no", {"notes"}),
        ("minisearch completion z", {"zsh"}),
    ],
)
def test_commands_options_and_values_are_completed(typed: str, expected: set[str]) -> None:
    run("collection", "add", "notes", "../notes")
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "minisearch"],
        env={
            **os.environ,
            **words,
            "_MINISEARCH_COMPLETE": "bash_complete",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


# --- doctor ------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports that fail or succeed at once, since real ones take seconds."""

    def importing(name: str) -> subprocess.Popen[str]:
        module = {"torch": "no_such_torch", "watchfiles": "no_such_watchfiles"}.get(name, "sys")
        return subprocess.Popen(
            [sys.executable, "-Sc", f"import {module}"], stderr=subprocess.PIPE, text=True
        )

    monkeypatch.setattr(doctor, "_importing", importing)
    monkeypatch.setattr(doctor, "verified_sha256", lambda _: "")


def checks(*arguments: str, code: int) -> dict[str, dict[str, str]]:
    found = json.loads(run("doctor", "--json", *arguments, code=code).stdout)
    return {one["subject"]: one for one in found}


def test_a_sound_installation_has_no_problem(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.locate("all-MiniLM-L6-v2", offline=True)
    monkeypatch.setattr(doctor, "locate", lambda *_, **__: real)  # the index has another encoder
    run("collection", "add", "notes", "../notes")
    run("index", "-c", "notes")
    found = checks("-c", "notes", code=0)
    assert {one["outcome"] for name, one in found.items() if not name.startswith("extra")} == {"ok"}
    assert found["index"]["text"].endswith(".minisearch: 1 document, 1 chunk")
    assert run("doctor").stdout.endswith("No problem found\n")


@pytest.mark.usefixtures("quick", "weights")
def test_each_problem_has_its_cure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "../notes", "--index", "index")
    shutil.rmtree(home / "notes")
    os.chmod("index", 0o755)
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 10**18)
    found = checks("--index", "index", code=1)
    assert {name for name, one in found.items() if one["outcome"] == "problem"} == {
        *("torch", "files", "disk"),
        "model",  # that of the test
    }
    assert found["torch"]["cure"] == "pip install --force-reinstall --no-deps torch"
    assert found["extra watch"]["cure"] == "to install it: pip install 'minisearch-local[watch]'"
    assert found["files"]["cure"] == (
        f"move it, or the index, back; or take it out: minisearch remove {home}/notes --index index"
    )
    assert found["permissions"]["cure"] == "chmod 700 index"


@pytest.mark.usefixtures("quick", "weights")
def test_a_missing_or_damaged_index_is_a_problem_where_it_is_named(home: Path) -> None:
    assert checks(code=1)["index"]["outcome"] == "note"
    assert checks("--index", "nowhere", code=1)["index"]["outcome"] == "problem"
    run("index", "../notes", "--index", "index")
    database = Path("index", "minisearch.db")
    database.write_bytes(database.read_bytes()[:5_000])
    found = checks("--index", "index", code=1)["index"]
    assert found["outcome"] == "problem" and "damaged" in found["text"]


@pytest.mark.usefixtures("quick")
def test_missing_weights_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DEFAULT_MODEL", "bge-small-en-v1.5")
    found = checks(code=1)["model"]
    assert found == {
        "subject": "model",
        "outcome": "note",  # the first run of index downloads them
        "text": "bge-small-en-v1.5 is not on this machine",
        "cure": found["cure"],
    }
    assert found["cure"].startswith("minisearch models download bge-small-en-v1.5")
    Path(".minisearch").mkdir()
    Path(".minisearch", "minisearch.db").touch()
    assert checks(code=1)["model"]["outcome"] == "problem"
