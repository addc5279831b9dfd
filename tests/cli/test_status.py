"""``minisearch chunks``: what it shows is what an index holds."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from minisearch import MiniSearch, Settings
from minisearch.cli import cli
from minisearch.parsers import registry
from tests.fakes import HashingEncoder

MARKDOWN = "# Title\n\nSome words.\n\n## Part\n\n" + "More words here. " * 80 + "\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["chunks", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def fail(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["chunks", *arguments])
    assert done.exit_code == 1
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("none.md", None, "none.md: No such file"),
        ("empty.md", b"", "empty.md gives no chunks: no text in it"),
        ("zero.txt", b"a\0b", "zero.txt gives no chunks: binary file"),
        ("wrong.txt", b"\xff\xfea", "wrong.txt gives no chunks: marked as UTF-16"),
    ],
)
def test_a_file_without_text_is_refused_with_its_reason(here, name, data, reason):
    if data is not None:
        (here / name).write_bytes(data)
    assert reason in fail(name)


def test_a_folder_is_refused(here):
    assert "is a folder: name one file" in fail(".")


def test_it_works_without_an_index_and_makes_none(here):
    (here / "a.md").write_text(MARKDOWN)
    shown = run("a.md")
    assert shown.startswith("a.md: markdown; ")
    assert "of at most 254 tokens of all-MiniLM-L6-v2\ntitle: Title\n" in shown
    assert "\n   1  " in shown and "lines 1-3  bytes 0-20  Title\n      # Title Some words.\n" in shown
    assert list(here.iterdir()) == [here / "a.md"]


def test_json_has_all_fields_of_each_chunk(here):
    data = b"\xef\xbb\xbf# \xc3\x9c\r\n\r\nwords\r\n\r\n## B\r\n\r\nmore"
    (here / "a.md").write_bytes(data)
    found = json.loads(run("a.md", "--json"))
    assert {name: found[name] for name in ("path", "format", "language", "title", "notes", "is_extract")} == {
        "path": "a.md", "format": "markdown", "language": "markdown", "title": "Ü", "notes": [],
        "is_extract": False,
    }  # fmt: skip
    first, second = found["chunks"]
    assert (first["number"], first["heading"], first["line"], first["end_line"]) == (1, "Ü", 1, 3)
    assert data[second["byte_start"] : second["byte_end"]].decode() == second["text"] == "## B\r\n\r\nmore"
    assert second["page"] is None


def test_full_prints_every_word_and_no_control_character(here):
    (here / "a.txt").write_text("one\n\x1b[31m\x07two\n" + "word " * 60 + "last")
    assert "last" not in run("a.txt")
    shown = run("a.txt", "--full")
    assert "last" in shown and "\\x07two" in shown and not {"\x1b", "\x07"} & {*shown, *run("a.txt")}


def test_full_prints_the_line_breaks_of_windows_as_line_breaks(here):
    (here / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    assert "\\r" not in run("a.txt", "--full")


def test_notes_of_the_parser_are_shown(here, monkeypatch):
    (here / "a.txt").write_bytes(b"caf\xe9")
    assert "note: not UTF-8; read as Windows-1252\n" in run("a.txt")
    (here / "a.py").write_text("def f():\n    pass\n")
    assert "note" not in run("a.py")
    monkeypatch.setattr(registry, "is_installed", lambda grammar: False)
    assert "note: cut at lines; at functions with: pip install 'minisearch-local[code]'\n" in run("a.py")


def test_a_secret_is_blanked_as_in_an_index(here):
    (here / "a.txt").write_text("the key is AKIA" + "Q3EXAMZ7LKWPTN5B" + " for now\n")
    shown = run("a.txt", "--full")
    assert "AKIAQ3" not in shown and "█" in shown and "note: " in shown


def test_what_is_shown_is_what_an_index_holds(here):
    (here / "a.md").write_text("---\ntags: [x, y]\n---\n" + MARKDOWN)
    (here / "b.py").write_text("def f():\n    return 1\n\n\nclass A:\n" + "    x = 1\n" * 90)
    settings = Settings(max_tokens=30, overlap_tokens=5)
    with MiniSearch.open(here, encoder=HashingEncoder(), settings=settings) as ms:
        ms.index(here)
        shown = [chunk for name in ("a.md", "b.py") for chunk in ms.chunks(here / name).chunks]
        database = here / ".minisearch" / "minisearch.db"
    with MiniSearch.open(here, encoder=HashingEncoder()) as ms:  # the settings are the index's
        again = [chunk for name in ("a.md", "b.py") for chunk in ms.chunks(here / name).chunks]
    stored = sqlite3.connect(database).execute("SELECT text FROM chunks ORDER BY id").fetchall()
    assert len(shown) > 10
    assert [chunk.text for chunk in shown] == [chunk.text for chunk in again] == [text for (text,) in stored]


def test_status_shows_how_code_is_split(here, monkeypatch):
    (here / "a.txt").write_text("words")
    with MiniSearch.open(here, encoder=HashingEncoder()) as ms:
        ms.index(here)

    def status(*options: str) -> str:
        return CliRunner().invoke(cli, ["status", *options]).stdout

    assert "\ncode       cut at functions in c, cpp, go, java, javascript, python, rust, tsx" in status("-v")
    assert "code " not in status()
    monkeypatch.setattr("minisearch.maintenance.chunks.is_installed", lambda grammar: False)
    assert "\ncode       cut at lines; at functions with: pip install 'minisearch-local[code]'\n" in status(
        "-v"
    )


def test_neither_torch_nor_a_network_is_needed(here):
    import subprocess

    (here / "a.py").write_text("def f():\n    return 1\n")
    source = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = refuse\n"
        "from minisearch.cli import cli\n"
        "cli(['chunks', 'a.py', '--offline'], standalone_mode=False)\n"
        "assert not {'torch', 'faiss', 'rich', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 chunk of" in done.stdout
