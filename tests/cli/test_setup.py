"""Collections, settings and completion."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner

from minisearch.cli import cli, settings, setup
from minisearch.errors import InputError
from tests.cli.usage import run

pytestmark = pytest.mark.usefixtures("home")
ROOT = Path(__file__).parents[2]


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


def test_a_folder_whose_name_is_not_utf_8_is_a_collection(home: Path) -> None:
    folder = Path(os.fsdecode(bytes(home) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "a.md").write_text("The roof is new.")
    run("collection", "add", "odd", "../" + folder.name)
    run("index", "-c", "odd")
    assert run("query", "-c", "odd", "roof", "--format", "json").stdout.count("The roof is new.") >= 1
    assert os.listdir(home / ".config" / "minisearch") == ["config.json"]


def test_a_failed_write_leaves_the_settings_and_nothing_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run("collection", "add", "notes", "../notes")
    monkeypatch.setattr(Path, "replace", full)
    told = error_of("collection", "add", "other", ".")
    assert told == f"Error: cannot write {home}/.config/minisearch/config.json: No space left on device"
    assert os.listdir(home / ".config" / "minisearch") == ["config.json"]
    assert run("collection", "list").stdout.startswith("notes ")


def test_a_collection_added_at_the_same_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    real, others = settings.read, []

    def read_while_another_adds() -> settings.Settings:
        found = real()
        if not others:
            arguments = [sys.executable, "-m", "minisearch", "collection", "add", "two", "."]
            others.append(subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(ROOT)}))
            with contextlib.suppress(subprocess.TimeoutExpired):
                others[0].wait(timeout=2)  # it waits for this one
        return found

    monkeypatch.setattr(settings, "read", read_while_another_adds)
    assert setup.add.callback is not None
    setup.add.callback("one", (Path(),), None)
    assert others[0].wait() == 0
    assert set(real().collections) == {"one", "two"}


def test_a_linked_settings_file_stays_a_link(home: Path) -> None:
    folder = home / ".config" / "minisearch"
    folder.mkdir(parents=True)
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "config.json").write_text("{}")
    (home / "dotfiles" / "config.json").chmod(0o640)
    (folder / "config.json").symlink_to(home / "dotfiles" / "config.json")
    run("collection", "add", "notes", "../notes")
    assert (folder / "config.json").is_symlink()
    assert '"notes"' in (home / "dotfiles" / "config.json").read_text()
    assert (home / "dotfiles" / "config.json").stat().st_mode & 0o777 == 0o640


def test_what_is_no_regular_file_is_not_replaced(home: Path) -> None:
    os.mkfifo(home / "fifo")
    with pytest.raises(InputError, match="fifo: it is not a regular file"):
        settings.replace_file(home / "fifo", b"x")
    assert (home / "fifo").is_fifo()


def test_without_a_home_folder_the_settings_are_empty(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> NoReturn:
        raise KeyError("no entry")

    run("index", "../notes")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert run("query", "roof", "-l").stdout == f"{home}/notes/a.md\n"
    assert "there are no collections" in run("collection", "list").stderr.lower()
    told = error_of("collection", "add", "notes", "../notes")
    assert told == "Error: the home folder of this user is not known: set XDG_CONFIG_HOME to a folder"
    assert "set HOME to a folder" in error_of("completion", "bash")
    assert "~/notes" in error_of("collection", "add", "notes", "~/notes")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    run("collection", "add", "notes", "../notes")
    run("index", "-c", "notes")


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
    run("why-not", "../notes/a.md", "roof")  # an option of two commands has a variable for each
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
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
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
        ('{"options":' + "[" * 100_000, "is not a settings file"),
    ],
)
def test_a_wrong_settings_file_is_one_error(
    configure: Callable[[object], None], content: object, message: str
) -> None:
    configure(content)
    line = error_of("status", *(["-c", "a"] if "collections" in content else []))
    assert line.startswith("Error: ") and "config.json" in line and message in line


def test_a_single_value_is_a_list_of_one(home: Path, configure: Callable[[object], None]) -> None:
    run("index", "../notes")
    for value in ("md", ["md", "txt"]):
        configure({"options": {"query": {"ext": value}}})
        assert run("query", "roof", "-l").stdout == f"{home}/notes/a.md\n"
    configure({"options": {"query": {"ext": "pdf"}}})
    run("query", "roof", code=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("limit", "many", "'many' is not a valid whole number"),
        ("limit", [1, 2], "expected a text, a number, true or false, got [1, 2]"),
        ("mode", 3, "unknown mode '3'"),
        ("files", "maybe", "'maybe' is not a valid boolean"),
        ("ext", {"md": 1}, "expected a text, a number, true or false, or a list of them, got {"),
        ("ext", None, "got null"),
    ],
)
def test_a_wrong_value_in_the_settings_names_their_file(
    home: Path, configure: Callable[[object], None], name: str, value: object, message: str
) -> None:
    configure({"options": {"query": {name: value}}})
    told = error_of("query", "roof", code=2)
    start = f"Error: {home}/.config/minisearch/config.json sets '{name}' of query to a wrong value: "
    assert told.startswith(start) and message in told


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
        assert start.read_text() == (
            f"echo hello\n[ -r {places[0]} ] && . {places[0]} # minisearch completion\n"
        )
    if shutil.which(shell):
        subprocess.run([shell, "-n", places[0]], check=True)
    run("completion", "--remove")
    assert not places[0].exists()
    assert start.read_text() == "echo hello" + "\n" * (shell != "fish")


def test_completion_changes_only_its_line_in_the_shells_own_file(home: Path) -> None:
    start = home / ".bashrc"
    start.symlink_to("dotfiles")
    start.write_bytes(b"echo caf\xe9\r\n. /old # minisearch completion\r\n# end\r\n")
    (home / "dotfiles").chmod(0o640)
    before = start.stat()
    run("completion", "bash")
    assert start.is_symlink() and start.stat().st_mode == before.st_mode
    assert start.stat().st_ino != before.st_ino, "written beside it, and renamed"
    lines = start.read_bytes().splitlines(keepends=True)
    assert lines[:2] == [b"echo caf\xe9\r\n", b"# end\r\n"] and len(lines) == 3
    run("completion", "bash", "--remove")
    assert start.read_bytes() == b"echo caf\xe9\r\n# end\r\n"


def test_a_failed_write_leaves_the_shells_own_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    start = home / ".bashrc"
    start.write_text("echo hello\n")
    (home / ".local").write_text("no folder")
    assert error_of("completion", "bash").startswith(f"Error: cannot write {home}/.local/share/minisearch/")
    assert start.read_text() == "echo hello\n"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    run("completion", "bash")
    (home / "minisearch" / "completion.bash").unlink()
    done = subprocess.run(["bash", start], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("hello\n", ""), "a new shell prints no error"
    start.write_text("echo hello\n")
    monkeypatch.setattr(Path, "replace", full)
    assert error_of("completion", "bash").endswith(": No space left on device")
    assert start.read_text() == "echo hello\n"


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
    assert completed(typed) == expected


PROMPTS = {
    "bash": (".bashrc", "PS1='REA''DY> '"),
    "zsh": (".zshrc", "PROMPT='REA''DY> '"),
    "fish": (".config/fish/config.fish", "function fish_prompt; echo -n 'REA''DY> '; end"),
}
# Writes down how it was called; completions are those of the real command.
COMMAND = """#!/bin/sh
if [ -z "$_MINISEARCH_COMPLETE" ]; then
    printf '%s\\n' "$*" >> "$HOME/calls"
else
    "{python}" -m minisearch "$@"
    echo completed >> "$HOME/completions"
fi
"""


@contextmanager
def typing_in(shell: str) -> Iterator[Callable[[str, Callable[[str], bool]], None]]:
    """A shell on a terminal, and a function that types and then waits for what is on the screen."""
    command = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", shell, "-i"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout

        def type_and_wait(keys: str, is_there: Callable[[str], bool]) -> None:
            assert process.stdin and process.stdout
            process.stdin.write(keys.encode())
            process.stdin.flush()
            screen, deadline_s = "", time.monotonic() + 120
            while not is_there(screen):
                assert time.monotonic() < deadline_s, screen
                if select.select([process.stdout], [], [], 0.05)[0]:
                    screen += os.read(process.stdout.fileno(), 65_536).decode(errors="replace")

        try:
            yield type_and_wait
        finally:
            process.kill()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_works_in_the_shell_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    name, prompt = PROMPTS[shell]
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(f"{prompt}\n")
    (home / "bin").mkdir()
    (home / "bin" / "minisearch").write_text(COMMAND.format(python=sys.executable))
    (home / "bin" / "minisearch").chmod(0o755)
    (home / "else" / "queries.txt").write_text("oven")
    monkeypatch.setenv("PATH", f"{home}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TERM", "xterm")
    run("completion", shell)
    cases = {
        "que": "query",
        "query --format m": "query --format md",
        "query --batch qu": "query --batch queries.txt",
        "models show snowflake-arctic-embed-x": "models show snowflake-arctic-embed-xs",
    }
    calls, completions = home / "calls", home / "completions"

    def n_lines(file: Path) -> int:
        return len(file.read_text().splitlines()) if file.exists() else 0

    with typing_in(shell) as type_and_wait:
        type_and_wait("", lambda screen: "READY> " in screen)
        for n, typed in enumerate(cases, start=1):
            type_and_wait(f"minisearch {typed}\t", lambda _, n=n: n_lines(completions) >= n)
            type_and_wait("\r", lambda screen, n=n: n_lines(calls) >= n and "READY> " in screen)
    assert [line.strip() for line in calls.read_text().splitlines()] == list(cases.values())


def test_an_explanation_with_a_comma_is_whole_in_fish(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    (home / "bin").mkdir()
    (home / "bin" / "minisearch").write_text(COMMAND.format(python=sys.executable))
    (home / "bin" / "minisearch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run("completion", "fish")
    done = subprocess.run(
        ["fish", "-c", "complete -C 'minisearch collection a'"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "add\tName folders, or files, and their index.\n"


def completed(typed: str) -> set[str]:
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
    assert done.stderr == ""
    return {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_completion_prints_no_error(configure: Callable[[object], None]) -> None:
    completed("minisearch qery --")
    configure("{")
    assert completed("minisearch query --form") == {"--format"}
    assert completed("minisearch query -c no") == {""}
