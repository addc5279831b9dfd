"""A page on a screen, and what can be done with its results: a pager, `get` and `open`."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch import MiniSearch, minilm
from minisearch.cli import cli
from minisearch.cli.places import Remembered, opening_command, remember, remembered
from minisearch.cli.query import Output, _fitting
from minisearch.cli.terminal import Terminal
from minisearch.errors import InputError
from minisearch.results import Query, SearchResult, SearchResults
from tests.fakes import HashingEncoder

# --- a page fits on the screen -----------------------------------------------------------------------

TEXT = "\n\n".join(f"Line {n} of a passage that is long enough to be shown." for n in range(9))
HITS = tuple(SearchResult(n, 0.5, f"{n}.md", 1, 9, f"Heading {n}", TEXT, n, n) for n in range(1, 6))


def fitted(rows: int | None, *, is_k_given: bool = False) -> tuple[int, int, str]:
    """How many results are shown on a screen, in how many lines, and the page."""
    output = Output("text", Terminal(80, rows=rows))
    shown, text = _fitting(SearchResults(HITS, Query("q")), "", output, is_k_given=is_k_given)
    return len(shown), text.count("\n") + 1, text


@pytest.mark.parametrize("rows", range(18, 45))
def test_a_page_is_sized_to_the_screen(rows: int) -> None:
    n, n_lines, text = fitted(rows)
    assert n_lines + 1 < rows
    assert 3 <= n <= 5
    assert ("more result" in text) == (n < 5)
    assert "Line 1 of" in text, "at least two lines of each passage"


def test_a_tall_screen_shows_more_of_each_passage_and_a_pipe_shows_all() -> None:
    assert fitted(60)[:2] == fitted(None)[:2] == (5, 5 * 6 + 4)
    assert fitted(32)[:2] == (5, 5 * 5 + 4)
    assert fitted(26)[:2] == (5, 5 * 4 + 4)


def test_as_many_results_as_were_asked_for_are_shown_on_any_screen() -> None:
    assert fitted(10, is_k_given=True)[:2] == (5, 5 * 6 + 4)


# --- in a terminal -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an index of twelve files, and a state folder."""
    (tmp_path / "docs").mkdir()
    for n in range(12):
        text = f"# Tasks {n}\n\n## Retrying\n\nRun a failed task again, part {n}.\n\n## Other\n\nBread {n}.\n"
        (tmp_path / "docs" / f"{n}.md").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINISEARCH_INDEX", raising=False)
    for name in ("VISUAL", "EDITOR", "PAGER", "LESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(minilm.SentenceTransformer, "from_pretrained", lambda name, **_: HashingEncoder(name))
    run("index", "docs")
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


def on_screen(*arguments: str, rows: int = 24, **environment: str) -> str:
    """What a command writes to a terminal of so many rows; it searches by words, so it needs no model."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    command = [sys.executable, "-m", "minisearch", *arguments]
    known = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    known |= {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]), "TERM": "xterm"}
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=known | environment)
    os.close(child)
    written = b""
    while select.select([parent], [], [], 30)[0]:
        try:
            read = os.read(parent, 4096)
        except OSError:
            break
        if not read:
            break
        written += read
    assert process.wait(timeout=30) == 0, written
    os.close(parent)
    return written.decode().replace("\r\n", "\n")


def n_remembered() -> int:
    (file,) = Path(os.environ["XDG_STATE_HOME"], "minisearch").iterdir()
    return len(json.loads(file.read_text())["results"])


QUERY = ("query", "failed task", "--mode", "lexical")


def test_a_screen_gets_five_results_and_a_pipe_ten(folder: Path) -> None:
    pager = folder / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\ncat\n")
    pager.chmod(0o755)
    assert len(re.findall("docs/\\d+.md:", on_screen(*QUERY, rows=60, PAGER=str(pager)))) == 5
    assert len(re.findall("docs/\\d+.md:", run(*QUERY).stdout)) == 10
    short = on_screen(*QUERY, rows=18, PAGER=str(pager))
    assert "2 more results: -k 5)" in short and "PAGED" not in short
    paged = on_screen(*QUERY, "-k", "9", PAGER=str(pager))
    assert paged.startswith("PAGED\n") and len(re.findall("docs/\\d+.md:", paged)) == 9
    assert "\x1b[36m" in paged and "\x1b]8" not in paged, "colours, and no links"
    for options, name in [
        (["--no-pager"], str(pager)),
        ([], ""),
        ([], "/no/such/pager"),
        ([], "'unbalanced"),
    ]:
        plain = on_screen(*QUERY, "-k", "9", *options, PAGER=name)
        assert "PAGED" not in plain and len(re.findall("docs/\\d+.md:", plain)) == 9
    assert "\x1b" not in on_screen(*QUERY, "-k", "9", "--no-pager", NO_COLOR="1")


@pytest.mark.parametrize("flags", [None, "--ignore-case --prompt=x", "-Pprompt", "-r", "FX", ""])
def test_the_pager_is_asked_for_colours_and_the_environment_is_not_changed(
    flags: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f'#!/bin/sh\necho "$LESS" > {tmp_path}/flags\ncat > {tmp_path}/page\n')
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("LESS", raising=False)
    if flags is not None:
        monkeypatch.setenv("LESS", flags)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    Terminal(80, has_styles=True, rows=3).show("é\n" * 9)
    expected = "FX" if flags is None else flags
    assert (tmp_path / "flags").read_text() == f"-R {expected}\n"
    assert (tmp_path / "page").read_text() == "é\n" * 9 + "\n"
    assert os.environ.get("LESS") == flags


# --- get ---------------------------------------------------------------------------------------------


def test_get_prints_the_section_around_a_line(folder: Path) -> None:
    long = "".join(
        f"# Part {n}\n\nThe part {n} is about thing{n}, and it goes on for a while.\n\n" for n in range(9)
    )
    (folder / "long.md").write_text(long)
    run("index", "long.md")
    printed = run("get", "long.md:7").stdout
    assert printed == "Part 1 — long.md:5-7\n" + "\n".join(long.splitlines()[4:7]) + "\n"
    assert run("get", "long.md:7:3").stdout == printed
    found = json.loads(run("get", "long.md:7", "--json").stdout)
    assert (found["path"], found["line"], found["end_line"]) == ("long.md", 5, 7)
    assert "thing8" in run("get", "long.md").stdout
    assert "its last passage ends at line" in run("get", "long.md:999", code=1).stderr
    assert (
        run("get", "lnog.md", code=1).stderr == "Error: lnog.md is not in the index: did you mean long.md?\n"
    )


def test_get_knows_the_results_of_the_last_query(folder: Path) -> None:
    path = re.search(r"^ 2 .*(docs/\d+\.md)", run(*QUERY).stdout, re.MULTILINE)[1]
    assert path in run("get", "2").stdout.splitlines()[0]
    (folder / "2").write_text("a file of that name goes first\n")
    assert "2 is not in the index" in run("get", "2", code=1).stderr


# --- the results of the last query -------------------------------------------------------------------


def test_the_results_are_remembered_in_a_private_file_and_the_index_is_not_changed(folder: Path) -> None:
    files = [path for path in (folder / ".minisearch").iterdir() if path.suffix not in {".db-wal", ".db-shm"}]
    before = [path.read_bytes() for path in files]
    run(*QUERY)
    assert [path.read_bytes() for path in files] == before
    (file,) = (folder / "state" / "minisearch").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert n_remembered() == 10
    run("query", "bread", "--mode", "lexical", "-l", "-k", "2")
    assert n_remembered() == 2
    (folder / "queries.txt").write_text("bread\ntask\n")
    listed = run("query", "--batch", "queries.txt", "--mode", "lexical", "-l", "-k", "1").stdout
    assert re.fullmatch(r"== bread\n\ndocs/\d+\.md\n\n== task\n\ndocs/\d+\.md\n\n", listed)
    assert n_remembered() == 2, "the queries of a batch share their numbers"


@pytest.mark.parametrize("option", [[], ["--json"], ["-l"], ["--format", "context"]])
def test_open_and_get_follow_the_last_query_in_every_format(folder: Path, option: list[str]) -> None:
    run(*QUERY)
    run("query", "bread", "--mode", "lexical", "-k", "3", *option)
    assert "Bread" in run("get", "1").stdout
    assert n_remembered() == 3
    run("query", "zzzz", "--mode", "lexical", *option, code=1)
    for command in ("get", "open"):
        refused = run(command, "1", code=1).stderr
        assert "no query has been made yet, or it found nothing" in refused


def test_get_says_on_standard_error_that_a_file_has_changed_or_is_gone(folder: Path) -> None:
    run(*QUERY, "-k", "3")
    (first, *_) = json.loads(Path("state/minisearch/last-results.json").read_text())["results"]
    file = Path(os.path.relpath(first[0]))
    before = run("get", "1")
    assert before.stderr == ""
    file.write_text("Another text.")
    for place in ("1", str(file), f"{file}:5"):
        assert run("get", place).stderr == f"{file}: changed since it was indexed\n"
    file.unlink()
    after = run("get", "1")
    assert (after.stdout, after.stderr) == (before.stdout, f"{file}: no longer exists\n")


def test_remembering_looks_at_no_absolute_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    lstat = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda path, **named: (looked_at.append(str(path)), lstat(path, **named))[1]
    )
    remember(
        ".minisearch", [("/net/host/a.md", 3, 1, None), ("docs/1.md", 5, 1, None), ("an id", 1, 1, None)]
    )
    paths = [remembered(number).path for number in (1, 2, 3)]
    assert paths == ["/net/host/a.md", str(folder / "docs" / "1.md"), "an id"]
    assert "docs/1.md" in looked_at and "/net/host/a.md" not in looked_at


def test_get_uses_the_index_of_the_last_query(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "only.md").write_text("Only here is a walnut.")
    run("index", "b", "--index", "b/.minisearch")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    run("query", "walnut", "--mode", "lexical", "--index", "../b/.minisearch")
    assert run("get", "1").stdout == "../b/only.md:1\nOnly here is a walnut.\n"
    monkeypatch.chdir("/")
    assert "Only here is a walnut." in run("get", "1").stdout


def test_a_query_works_where_nothing_can_be_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert "docs/" in run(*QUERY).stdout
    assert "no query has been made yet, or it found nothing" in run("open", "1", code=1).stderr


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "[[1]]", '{"a": 1}', '{"index": "i", "results": 1}', "\x00"]
)
def test_a_broken_memory_is_as_good_as_none(folder: Path, content: str) -> None:
    run(*QUERY)
    (file,) = (folder / "state" / "minisearch").iterdir()
    file.write_text(content)
    assert "no query has been made yet, or it found nothing" in run("open", "1", code=1).stderr
    assert "no query has been made yet, or it found nothing" in run("get", "1", code=1).stderr


# --- open --------------------------------------------------------------------------------------------


def test_open_runs_the_editor_at_the_line_of_a_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = folder / "vim"
    editor.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/called\nexit $FAILS\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", f"{editor} -n")
    monkeypatch.setenv("FAILS", "0")
    first, second = re.findall(r"^ [12] .*(docs/\d+\.md):(\d+)", run(*QUERY).stdout, re.MULTILINE)
    path, line = second
    run("open", "2")
    assert (folder / "called").read_text().splitlines() == ["-n", f"+{line}", str(folder / path)]
    assert "there is no result 11: the last query has 10 results" in run("open", "11", code=1).stderr
    assert "there is no result 0" in run("open", "0", code=1).stderr
    monkeypatch.setenv("FAILS", "3")
    assert "ended with exit code 3" in run("open", "1", code=1).stderr
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert (
        "cannot run /no/such/editor: No such file or directory; set EDITOR" in run("open", "1", code=1).stderr
    )
    (folder / first[0]).unlink()
    assert "does not exist any more" in run("open", "1", code=1).stderr


TEXT_FILE = Remembered("/a b/c.md", 7, 3, None)


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vim", ["vim", "+7", "/a b/c.md"]),
        ("/usr/bin/nano -w", ["/usr/bin/nano", "-w", "+7", "/a b/c.md"]),
        ("code --wait", ["code", "--wait", "--goto", "/a b/c.md:7:3"]),
        ("hx", ["hx", "/a b/c.md:7:3"]),
        ("my-editor", ["my-editor", "/a b/c.md"]),
    ],
)
def test_an_editor_gets_the_line_as_it_takes_it(
    editor: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    assert opening_command(TEXT_FILE) == command
    monkeypatch.setenv("EDITOR", "other")
    monkeypatch.setenv("VISUAL", editor)
    assert opening_command(TEXT_FILE) == command


@pytest.mark.parametrize("name", ["VISUAL", "EDITOR"])
def test_an_editor_with_half_a_quotation_is_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv(name, "vim '")
    with pytest.raises(InputError, match=f'^{name} is "vim \'", with a quotation mark that is not closed'):
        opening_command(TEXT_FILE)


def test_files_without_lines_are_opened_by_the_viewer_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("xdg-open", "open"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("EDITOR", "vim")
    monkeypatch.delenv("VISUAL", raising=False)
    viewer, target = opening_command(Remembered("/a b/c.pdf", 7, 3, 12))
    assert (Path(viewer).parent, target) == (tmp_path, "file:///a%20b/c.pdf#page=12")
    for name in ("c.docx", "c.xlsx", "c.epub"):
        assert opening_command(Remembered(f"/a/{name}", 7, 3, 2))[1:] == [f"/a/{name}"]
    monkeypatch.delenv("EDITOR")
    assert opening_command(TEXT_FILE)[1:] == ["/a b/c.md"]
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"no program to open /a b/c\.md with: set EDITOR"):
        opening_command(TEXT_FILE)
    monkeypatch.setenv("EDITOR", "vim")
    for name in ("c.docx", "c.xlsx", "c.epub", "c.pdf"):
        with pytest.raises(InputError, match=rf"no program to open /a/{name} with: install .*open, or print"):
            opening_command(Remembered(f"/a/{name}", 7, 3, 1))
    assert opening_command(Remembered("/a/c.eml", 7, 3, None)) == ["vim", "+7", "/a/c.eml"]


def test_what_a_viewer_prints_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run(*QUERY)
    for name in ("xdg-open", "open"):
        (folder / name).write_text("#!/bin/sh\necho no browser >&2\nexit 3\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    message = run("open", "1", code=1).stderr
    assert message.endswith("ended with exit code 3; set EDITOR, or print its text with: minisearch get 1\n")
    assert "no browser" not in capfd.readouterr().err


def test_ctrl_c_belongs_to_the_editor_and_does_not_end_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = folder / "editor"
    editor.write_text(f"#!/bin/sh\ntrap : INT\nkill -INT $PPID\nsleep 0.2\ntouch {folder}/went-on\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    run(*QUERY)
    before = signal.getsignal(signal.SIGINT)
    run("open", "1")
    assert (folder / "went-on").exists()
    assert signal.getsignal(signal.SIGINT) is before


# --- documents from memory ---------------------------------------------------------------------------


def test_a_result_from_memory_is_read_from_anywhere_and_removed_by_its_id(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = "https://example.com/giraffe"
    with MiniSearch.open(".") as ms:
        ms.add([{"id": id_, "text": "A giraffe sleeps standing."}])
    assert f"  {id_}:1:1\n" in run("query", "giraffe", "-k", "1", "--mode", "lexical").output
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run("get", "1").output == f"{id_}:1\nA giraffe sleeps standing.\n"
    refused = run("open", "1", code=1).stderr
    assert f"{id_} is not a file: minisearch get 1 prints its indexed text" in refused
    monkeypatch.chdir(folder)
    assert run("get", id_).output.endswith("A giraffe sleeps standing.\n")
    assert run("remove", id_).output == "Removed 1 document from the index\n"
    assert "giraffe" not in run("query", "giraffe", "--mode", "lexical", code=1).stdout


@pytest.mark.parametrize("id_", ["faq:7", "inv.pdf:12", "a p. 3"])
def test_a_document_whose_id_ends_like_a_place_is_found_by_it(folder: Path, id_: str) -> None:
    with MiniSearch.open(".") as ms:
        others = [{"id": id_.partition(":")[0], "text": "A zebra."}] if ":" in id_ else []
        ms.add([{"id": id_, "text": "A giraffe sleeps standing."}, *others])
    place = json.loads(run("query", "giraffe", "-k", "1", "--json").output)["place"]
    for name in (id_, place):
        assert run("get", name).output.endswith("\nA giraffe sleeps standing.\n")
        assert run("query", "--like", name, "-k", "1").output
        assert run("why-not", name, "giraffe").output.startswith(f"{id_}")
