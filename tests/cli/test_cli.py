"""The commands: what they print, for people and for scripts, and how they fail."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch import MiniSearch, minilm
from minisearch.cli import cli
from minisearch.errors import MinisearchError
from minisearch.stores.local.files import writer_lock
from tests.cli.usage import usage_error
from tests.fakes import HashingEncoder
from tests.sockets import BLOCK_SOCKETS

RESULT_FIELDS = ["rank", "score", "path", "line", "end_line", "heading", "text", "doc_id", "chunk_id"]
RESULT_FIELDS += ["title", "page", "relevance", "evidence", "trace", "merged", "file_state"]
RESULT_FIELDS += ["place", "is_confident", "required", "excluded"]
COMMANDS = ["index", "query", "why-not", "similarity", "models", "status", "rebuild", "remove"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with two documents, and a quick model under every name."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tasks.md").write_text("# Tasks\n\n## Retrying\n\nRun a failed task again.\n")
    (tmp_path / "docs" / "bread.md").write_text("Flour, water, salt.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINISEARCH_INDEX", raising=False)
    monkeypatch.setattr(
        minilm.SentenceTransformer, "from_pretrained", lambda name, **_: HashingEncoder(name.split("/")[-1])
    )
    return tmp_path


def run(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def indexed_once(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A folder with one file, indexed with the real model by the real command."""
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "a.txt").write_text("hello world")
    assert run_for_real("index", "a.txt", cwd=folder).returncode == 0
    return folder


@pytest.fixture
def indexed(indexed_once: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    shutil.copytree(indexed_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def error_of(*arguments: str | Path, code: int | None = None) -> str:
    """The one line a mistake is answered with."""
    result = run(*arguments, code=code or (2 if arguments[0] == "query" else 1))
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    return result.stderr


# --- what is printed -------------------------------------------------------------------------------


def test_index_prints_what_changed_and_why_files_were_skipped(folder: Path) -> None:
    (folder / "docs" / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    first, second, *rest = run("index", "docs").stdout.splitlines()
    assert first == "2 documents added, 0 updated, 0 unchanged, 0 removed, 1 skipped"
    assert second.startswith("2 chunks embedded (")
    assert rest == ["skipped    docs/photo.md: binary file (PNG image)"]
    assert "0 documents added, 0 updated, 2 unchanged" in run("index", "docs").stdout


def test_query_prints_score_place_heading_and_passage(folder: Path) -> None:
    run("index", "docs")
    first, *_ = run("query", "run a failed task again").stdout.split("\n\n")
    head, *passage = first.splitlines()
    assert re.fullmatch(r" 1  [ \d]{2}\d%  docs/tasks.md:5:1", head), "where the evidence begins"
    assert passage == ["    Tasks > Retrying", ">   Run a failed task again."]


def test_query_json_is_one_object_a_line_with_the_promised_fields(folder: Path) -> None:
    run("index", "docs")
    rows = [json.loads(line) for line in run("query", "failed task", "--json", "-k", "5").stdout.splitlines()]
    assert [list(row) for row in rows] == [RESULT_FIELDS, RESULT_FIELDS]
    first = {name: value for name, value in rows[0].items() if name in RESULT_FIELDS[:9]}
    assert first | {"score": 0} == {
        "rank": 1,
        "score": 0,
        "path": "docs/tasks.md",
        "line": 1,
        "end_line": 5,
        "heading": "Tasks > Retrying",
        "text": "# Tasks\n\n## Retrying\n\nRun a failed task again.",
        "doc_id": rows[0]["doc_id"],
        "chunk_id": rows[0]["chunk_id"],
    }
    evidence = {
        name: rows[0]["evidence"][name] for name in ("text", "line", "column", "end_line", "end_column")
    }
    assert evidence == {
        "text": "Run a failed task again.",
        "line": 5,
        "column": 1,
        "end_line": 5,
        "end_column": 25,
    }


def test_k_bounds_the_results(folder: Path) -> None:
    run("index", "docs")
    assert len(run("query", "water", "--json", "-k", "1").stdout.splitlines()) == 1


def test_a_long_passage_is_shortened_unless_asked_for_whole(folder: Path) -> None:
    (folder / "docs" / "long.md").write_text("\n".join(f"line {n}" for n in range(9)))
    run("index", "docs")
    short = run("query", "line", "-k", "1").stdout
    assert short.splitlines()[4].endswith("  line 3 …")
    assert "line 8" in run("query", "line", "-k", "1", "--full").stdout


def test_wrapped_prose_is_put_together_again_and_code_is_not(folder: Path) -> None:
    prose = "These words were wrapped by their author at some seventy characters, as one\ndoes in a letter.\n"
    code = "if x:\n    y = 1\n    z = 2\n"
    (folder / "docs" / "mixed.txt").write_text(f"{prose}\n{code}")
    run("index", "docs")
    passage = run("query", "wrapped by their author", "-k", "1").stdout.rpartition("%")[2].splitlines()[1:5]
    assert passage == [
        ">   These words were wrapped by their author at some seventy characters, as one",
        ">   does in a letter.",
        "    if x:",
        "        y = 1 …",
    ]


def test_status_says_what_is_there(folder: Path) -> None:
    (folder / "docs" / "empty.md").touch()
    run("index", "docs", "--backend", "flat")
    lines = run("status").stdout.splitlines()
    rows = dict(line.split(maxsplit=1) for line in lines if line[:1].strip())
    assert (rows["documents"], rows["chunks"]) == ("2", "2")
    assert (rows["model"], rows["backend"]) == ("all-MiniLM-L6-v2", "flat")
    assert rows["last"].startswith("run   complete, 20")
    assert rows["skipped"] == "docs/empty.md: no text in it"


def test_reports_and_status_as_json(folder: Path) -> None:
    report = json.loads(run("index", "docs", "--json").stdout)
    assert (report["added"], report["skipped"]) == (2, [])
    status = json.loads(run("status", "--json").stdout)
    assert (status["n_documents"], status["last_run"]["outcome"]) == (2, "complete")


def test_rebuild_and_remove_say_what_they_did(folder: Path) -> None:
    run("index", "docs")
    assert run("rebuild", "--backend", "flat").stdout == "Rebuilt with flat: 2 chunks\n"
    assert run("remove", "docs/bread.md").stdout == "Removed 1 document from the index\n"


def test_verbose_says_what_is_being_done(indexed: Path) -> None:
    done = run_for_real("query", "hello", "-v", cwd=indexed)
    assert "minisearch: weights: installed package: found in" in done.stderr


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder: Path) -> None:
    (folder / "docs" / "evil\x1b[31m\n.md").write_text("red \x1b]0;title\x07 \x9b31m alert")
    (folder / "docs" / "evil\x1b.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    output = run("index", "docs").stdout + run("status").stdout + run("query", "red alert").stdout
    assert not {char for char in output if not char.isprintable()} - {"\n"}
    assert (
        json.loads(run("query", "red alert", "--json").stdout.splitlines()[0])["path"]
        == "docs/evil\x1b[31m\n.md"
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str) -> None:
    output = run(*command.split(), "--help").stdout
    assert output.startswith("Usage: minisearch")
    if not command:
        assert all(f"  {name}  " in output for name in COMMANDS)
    elif command != "models":
        assert "--index DIR" in output


def test_what_each_command_does_fits_its_line() -> None:
    lines = CliRunner().invoke(cli, ["--help"], terminal_width=80).stdout.splitlines()
    assert not [line for line in lines[1:] if line.endswith("...")]


def test_the_help_shows_its_examples_a_line_each() -> None:
    lines = run("--help").stdout.splitlines()
    assert "    minisearch index ./docs" in lines
    assert '    minisearch query "how do I retry a failed task"' in lines


def test_an_index_without_documents_says_so(folder: Path) -> None:
    run("index", "docs")
    run("remove", "docs")
    result = run("query", "anything", code=1)
    assert (result.stdout, result.stderr.startswith("No results: the index is empty")) == ("", True)


def test_an_index_that_a_first_run_is_still_filling_says_so(folder: Path) -> None:
    run("index", "docs")
    run("remove", "docs")
    (folder / ".minisearch" / "minisearch.db.seal").unlink(missing_ok=True)  # another's hand writes
    with contextlib.closing(sqlite3.connect(folder / ".minisearch" / "minisearch.db")) as database, database:
        database.execute("update runs set outcome = 'running', finished_at = null, pid = ?", [os.getpid()])
    result = run("query", "anything", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith(
        "No results: the first indexing run is still in progress; try again later"
    )
    assert "the first indexing run" in run("query", "anything", "--ext", "md", "--json", code=1).stderr


def test_a_filter_restricts_the_files_and_an_empty_result_names_it(folder: Path) -> None:
    run("index", "docs")
    assert re.findall(r"docs/\w+\.md", run("query", "task", "--path", "bread.md").stdout) == ["docs/bread.md"]
    assert run("query", "task", "--path", "nowhere/**", "--lang", "go", code=1).stderr == (
        "No results: nothing in the index matches --path 'nowhere/**' and --lang go; there is no "
        "nowhere in the current folder: --path '**/nowhere/**' looks everywhere; "
        "no document is in go: there is markdown\n"
    )
    assert run("query", '"failed task" -again', code=1).stderr == (
        'No results: nothing in the index matches the phrase "failed task" and not "again"'
        "; --literal treats quotes and - in the query as text\n"
    )


def test_an_excluded_word_is_shown_above_the_results(folder: Path) -> None:
    run("index", "docs")
    assert (
        "Only passages without: rf (--literal treats it as text)"
        in run("query", "rm -rf task").stdout.splitlines()
    )
    assert "without" not in run("query", "--literal", "rm -rf task").stdout


def test_similarity_needs_no_index(folder: Path) -> None:
    assert run("similarity", "one text", "one text").stdout == "1.000\n"
    assert not (folder / ".minisearch").exists()


def test_a_second_index_below_a_first_gets_a_note(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("index", "docs").stderr == ""
    assert run("index", "docs").stderr == ""
    monkeypatch.chdir(folder / "docs")
    Path("empty").mkdir()
    for nothing in ("empty", "nowhere"):
        assert "making another" not in error_of("index", nothing)
    assert "there is an index in ../.minisearch; making another one here" in run("index", ".").stderr


def test_a_moved_index_folder_says_what_to_do(folder: Path) -> None:
    run("index", "docs")
    (folder / "elsewhere").mkdir()
    (folder / ".minisearch").rename(folder / "elsewhere" / ".minisearch")
    message = error_of("index", "--index", "elsewhere/.minisearch")
    assert f"cannot index {folder}/elsewhere/docs: no such file or folder. If the index was moved" in message
    assert message.endswith("name them: minisearch index PATH --index elsewhere/.minisearch\n")


def test_the_version_is_the_packages() -> None:
    import minisearch

    assert run("--version").stdout == f"minisearch {minisearch.__version__}\n"


# --- where the index is ----------------------------------------------------------------------------


def test_query_and_status_look_for_the_index_upwards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "docs")
    monkeypatch.chdir(folder / "docs")
    assert "  tasks.md:5:1\n" in run("query", "failed task").stdout
    assert run("status").stdout.startswith("index      ../.minisearch")


def test_the_option_goes_before_the_environment_and_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "docs")
    run("index", "docs/bread.md", "--index", "one")
    monkeypatch.setenv("MINISEARCH_INDEX", "one")
    assert json.loads(run("status", "--json").stdout)["n_documents"] == 1
    assert json.loads(run("status", "--json", "--index", ".minisearch").stdout)["n_documents"] == 2


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(folder: Path) -> None:
    assert "cannot index nowhere: No such file or directory" in error_of("index", "nowhere")


def test_an_empty_folder(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert "no files to index in empty" in error_of("index", "empty")
    assert not (folder / ".minisearch").exists()


def test_a_query_before_any_index(folder: Path) -> None:
    assert "make one with: minisearch index FOLDER" in error_of("query", "x")
    assert "make one with: minisearch index FOLDER --index nowhere" in error_of(
        "status", "--index", "nowhere"
    )


@pytest.mark.parametrize("name", ["file", "file/x", "file/x/y"])
def test_an_index_folder_that_is_a_file_is_an_error(folder: Path, name: str) -> None:
    (folder / "file").write_text("mine")
    assert error_of("index", "docs", "--index", name) == (
        f"Error: cannot make the index folder {name} (Not a directory): choose another with --index\n"
    )
    assert (folder / "file").read_text() == "mine"


def test_a_file_holds_no_index_to_ask(folder: Path) -> None:
    (folder / "file").write_text("mine")
    for command in (["query", "x"], ["status"], ["verify"], ["rollback"], ["rebuild"], ["remove", "docs"]):
        assert error_of(*command, "--index", "file").startswith(
            "Error: file is not a folder: expected a folder"
        )


def test_a_place_where_no_folder_can_be_made_is_an_error(folder: Path) -> None:
    assert error_of("index", "docs", "--index", "/proc/x/y") == (
        "Error: cannot make the index folder /proc/x/y (No such file or directory): "
        "choose another with --index\n"
    )


def test_the_free_space_is_shown_only_for_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(number: int) -> Callable[..., None]:
        def mkdir(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return mkdir

    monkeypatch.setattr(Path, "mkdir", failing(errno.EACCES))
    assert "(Permission denied): choose another" in error_of("index", "docs", "--index", "new")
    monkeypatch.setattr(Path, "mkdir", failing(errno.ENOSPC))
    assert re.search(r"\(No space left.*; [\d,]+ bytes free\)", error_of("index", "docs", "--index", "new"))


def test_an_index_without_tables_is_an_error(folder: Path) -> None:
    (folder / ".minisearch").mkdir()
    with contextlib.closing(sqlite3.connect(folder / ".minisearch" / "minisearch.db")) as database:
        database.execute("pragma journal_mode = wal")
    for command in (["query", "x"], ["status"], ["verify"]):
        assert error_of(*command).endswith(
            ".minisearch/minisearch.db is empty, because its first run was interrupted or has just begun: "
            "run minisearch index again\n"
        )
    assert "2 documents added" in run("index", "docs").stdout
    assert "Run a failed task" in run("query", "x").stdout


@pytest.mark.parametrize("first", ["m001_create_tables", "m001_initial"])
def test_an_index_of_an_older_version_says_so(folder: Path, first: str) -> None:
    run("index", "docs")
    (folder / ".minisearch" / "minisearch.db.seal").unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(folder / ".minisearch" / "minisearch.db")) as database, database:
        database.execute("update _sqlite_migrations set name = ? where id = 1", [first])
    assert "was made by an earlier version" in error_of("query", "x")
    assert "made by an earlier version" in error_of("index", "docs")


def test_an_empty_query_and_k_zero(folder: Path) -> None:
    run("index", "docs")
    assert "the query is empty" in error_of("query", " ")
    assert usage_error(run("query", "x", "-k", "0", code=2)) == (
        "Invalid value for '-k' / '-n' / '--limit': 0 is not in the range x>=1."
    )


@pytest.mark.parametrize("command", [["index", "docs"], ["rebuild"]])
def test_an_unknown_backend_lists_the_known_ones(folder: Path, command: list[str]) -> None:
    run("index", "docs")
    assert usage_error(run(*command, "--backend", "hnsw", code=2)) == (
        "Invalid value for '--backend': unknown backend 'hnsw': expected faiss, annoy or flat"
    )


def test_an_unknown_dtype_lists_the_known_ones(folder: Path) -> None:
    error = usage_error(run("index", "docs", "--dtype", "float8", code=2))
    assert error.endswith(
        "unknown dtype 'float8': expected auto, float32, bfloat16 or int8; did you mean float32?"
    )
    assert not (folder / ".minisearch").exists()


def test_the_dtype_reaches_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def from_pretrained(name: str, *, dtype: str, offline: bool) -> HashingEncoder:
        asked.append(dtype)
        return HashingEncoder(name)

    monkeypatch.setattr(minilm.SentenceTransformer, "from_pretrained", from_pretrained)
    run("index", "docs", "--dtype", "int8")
    assert asked == ["int8"]
    run("index", "docs/bread.md")
    assert asked == ["int8"], "nothing changed: vectors of every dtype go together"


@pytest.mark.parametrize("command", [["index", "docs"], ["watch", "docs"], ["chunks", "docs/tasks.md"]])
def test_a_model_that_is_neither_known_nor_a_folder_is_a_wrong_value(
    folder: Path, command: list[str]
) -> None:
    error = usage_error(run(*command, "--model", "all-MiniLM-L6", code=2))
    assert error.startswith("Invalid value for '--model': unknown model 'all-MiniLM-L6'; did you mean all-Mi")
    assert "no model.safetensors in docs" in usage_error(run(*command, "--model", "docs", code=2))
    assert not (folder / ".minisearch").exists()


def test_a_misspelt_option_or_command_is_named(folder: Path) -> None:
    assert "No such option '--bakend'" in run("index", "docs", "--bakend", "flat", code=2).stderr
    assert "Did you mean '--limit'?" in run("query", "x", "--limt", "3", code=2).stderr.replace(
        "'--like', ", ""
    )
    wrong = usage_error(run("serach", "x", code=2))
    assert wrong == "No such command 'serach'. Did you mean: minisearch search"
    assert usage_error(run("statsu", code=2)) == "No such command 'statsu'. Did you mean: minisearch status"
    assert usage_error(run("xyz", code=2)) == "No such command 'xyz'."
    of_query = usage_error(run("how do I retry", code=2))
    assert of_query == "No such command 'how do I retry'. Did you mean: minisearch query \"how do I retry\""


def test_search_means_query(folder: Path) -> None:
    run("index", "docs")
    assert run("search", "a failed task").stdout == run("query", "a failed task").stdout != ""
    assert "Usage: minisearch search [OPTIONS] [TEXT]..." in run("search", "--help").stdout


def test_a_path_that_is_nearly_right_is_corrected(folder: Path) -> None:
    assert "cannot index dosc: No such file or directory; did you mean docs?" in error_of("index", "dosc")
    assert "did you mean docs/bread.md?" in error_of("index", "docs/braed.md")
    assert "did you mean" not in error_of("index", "docs/zzz")
    run("index", "docs")
    assert "docs/braed.md is not in the index: did you mean docs/bread.md?" in error_of(
        "query", "--like", "docs/braed.md"
    )


def test_the_files_of_the_results_are_listed_each_once(folder: Path) -> None:
    (folder / "docs" / "long.md").write_text(
        "".join(f"# Task {n}\n\nA failed task {n}.\n\n" for n in range(9))
    )
    run("index", "docs")
    listed = run("query", "failed task", "-l").stdout.splitlines()
    assert sorted(listed) == ["docs/bread.md", "docs/long.md", "docs/tasks.md"]
    assert run("query", "failed task", "-l", "-n", "1").stdout.splitlines() == listed[:1]
    assert run("query", "failed task", "--format", "files", "--limit", "1").stdout.splitlines() == listed[:1]


def test_a_context_is_numbered_and_cites_its_passages(folder: Path) -> None:
    run("index", "docs")
    printed = run("query", "a failed task", "--format", "context").stdout
    assert printed.startswith(
        "[1] Tasks > Retrying — docs/tasks.md:1-5\n# Tasks\n\n## Retrying\n\nRun a failed"
    )
    assert "\n\n[2] docs/bread.md:1\nFlour, water, salt.\n" in printed
    with MiniSearch.open(".") as ms:
        assert printed == f"{ms.context('a failed task')}\n"
    short = run("query", "a failed task", "--format", "context", "--max-tokens", "30").stdout
    assert "[1]" in short and "[2]" not in short
    assert "max_tokens is 2, and the best passage has" in error_of(
        "query", "a failed task", "--format", "context", "--max-tokens", "2"
    )
    unclear = run("query", "zebras in Africa", "--format", "context")
    assert unclear.stdout and unclear.stderr == "No clear answer found. Closest passages:\n"
    nothing = run("query", "x", "--format", "context", "--ext", "pdf", code=1)
    assert (nothing.stdout, nothing.stderr) == ("", "No results: nothing in the index matches --ext pdf\n")


def test_an_index_made_with_another_model(folder: Path) -> None:
    run("index", "docs")
    message = error_of("index", "docs", "--model", "all-MiniLM-L12-v2")
    assert "was made with all-MiniLM-L6-v2" in message
    assert "--index NEW_FOLDER --model all-MiniLM-L12-v2" in message
    assert json.loads(run("status", "--json").stdout)["n_documents"] == 2


def test_a_corrupt_database(folder: Path) -> None:
    run("index", "docs")
    database = folder / ".minisearch" / "minisearch.db"
    database.write_bytes(b"\x00" * 4_096)
    for command in (["query", "x"], ["status"], ["index", "docs"]):
        assert "minisearch.db" in error_of(*command)
    assert database.read_bytes() == b"\x00" * 4_096, "nothing was done to it"


def test_an_index_another_process_writes_to(folder: Path) -> None:
    run("index", "docs")
    with writer_lock(folder / ".minisearch"):
        assert "another minisearch is writing to " in error_of("index", "docs", code=75)


def run_for_real(*arguments: str | Path, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minisearch", *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        **options,
    )


def test_ctrl_c_keeps_finished_documents_and_the_next_run_goes_on(tmp_path: Path, weights: Path) -> None:
    """With the real model; `tests.faults.test_signals` has the other signals and moments."""
    # The first window is of one text in many files, encoded once and soon stored; the second takes a while.
    copied, written = 64, 200
    for number in range(copied):
        (tmp_path / f"a{number:03}").mkdir()  # the name of a file without title is embedded too
        (tmp_path / f"a{number:03}" / "words.txt").write_text("a sentence of some words. " * 200)
    for number in range(written):
        (tmp_path / f"b{number:03}.txt").write_text(
            f"document {number}: " + "a sentence of some words. " * 40
        )
    command = [sys.executable, "-m", "minisearch", "index", "."]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    while n_documents(tmp_path) < 10:
        assert process.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.01)
    sent_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - sent_s < 5
    # Where the interrupt came within exec() of a text, as when a dataclass is made, `python -m` ends by the
    # signal itself, whoever caught it. To a shell both are 130; the installed command is not run by -m.
    assert process.returncode in {130, -signal.SIGINT}
    said = (
        r"(?:\d+ of about .*\n)*Interrupted: (\d+) of 264 files indexed; run the same command to continue\n"
    )
    n_said = int(re.fullmatch(said, stderr)[1])
    n_kept = n_documents(tmp_path)
    assert n_kept - 1 <= n_said <= n_kept, "the interrupt may come before a stored document is counted"
    assert 10 <= n_kept < copied + written
    status = run_for_real("status", cwd=tmp_path).stdout
    assert "last run   interrupted" in status
    report = json.loads(run_for_real("index", ".", "--json", cwd=tmp_path).stdout)
    assert (report["unchanged"], report["added"]) == (n_kept, copied + written - n_kept)


def n_documents(folder: Path) -> int:
    try:
        with MiniSearch(folder / ".minisearch") as ms:
            return ms.status().n_documents
    except MinisearchError:  # nothing is there yet
        return 0


def can_mount() -> bool:
    """Whether a process may have mounts of its own here, as root in a user namespace."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs mounts of its own: permissions do not bind root")
def test_a_read_only_index_folder_answers_queries_and_refuses_to_be_written(indexed: Path) -> None:
    script = (
        "mount --bind .minisearch .minisearch && mount -o remount,ro,bind .minisearch && "
        f"{sys.executable} -m minisearch query hello --json; "
        f"{sys.executable} -m minisearch index a.txt; echo $?"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=indexed,
        env=environment(),
        capture_output=True,
        text=True,
    )
    answer, code = done.stdout.splitlines()
    assert json.loads(answer)["path"] == "a.txt"
    assert code == "1"
    assert done.stderr.count("\n") == 1
    assert "Read-only file system; check its permissions" in done.stderr


@pytest.mark.parametrize("arguments", [["index", "a.txt"], ["query", "hello", "--json"]])
def test_offline_opens_no_socket_on_the_way_from_the_command_line(
    indexed: Path, arguments: list[str]
) -> None:
    if arguments[0] == "index":
        shutil.rmtree(indexed / ".minisearch")
    done = run_blocked(*arguments, "--offline", cwd=indexed, weights_are="present")
    assert done.returncode == 0, done.stderr


def test_offline_without_weights_is_an_error_that_opens_no_socket(indexed: Path) -> None:
    shutil.rmtree(indexed / ".minisearch")
    absent = run_blocked("index", "a.txt", "--offline", cwd=indexed, weights_are="absent")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "Hugging Face hub: not asked: offline" in absent.stderr


def run_blocked(*arguments: str, cwd: Path, weights_are: str) -> subprocess.CompletedProcess[str]:
    """A command in a process that dies when it opens a socket, with or without weights to be found."""
    hide = "import importlib.util; importlib.util.find_spec = lambda name: None\n" * (weights_are == "absent")
    program = f"{BLOCK_SOCKETS}\n{hide}from minisearch.cli import main\nmain()"
    given = {name: value for name, value in environment().items() if name != "HF_HUB_OFFLINE"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env=given | {"HF_HOME": str(cwd)},
        capture_output=True,
        text=True,
    )


def environment() -> dict[str, str]:
    """This process's, in which the package can be imported from any folder."""
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    given.pop("MINISEARCH_INDEX", None)
    return given
